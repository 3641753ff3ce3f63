//! Whether a workspace's company in TIMIFY is as the configuration says, and questions by hand; for a person who sets it up.
//!
//! In: a workspace, or the name of an operation. Out: findings in plain lines, or the vendor's answer. Reads only, a handful of
//! calls: the companies of the app, the fields of the company's customers, its services and its resources.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value as Json;

use super::Timify;
use crate::model::{CalendarRow, System, Workspace};
use crate::systems::inquiry::{self, Operation};
use crate::systems::{Inquiry, Inspected, NotAsked, SystemError, wire};

const OPERATIONS: &[Operation] = &[
    Operation::get("customers.list", "/v1/customers").may(&["page", "limit"]),
    Operation::get("customers.get", "/v1/customers/{customerId}").may(&["external"]),
    Operation::get("customfields.list", "/v1/customers/customfields"),
    Operation::get("appointments.list", "/v1/appointments").may(&[
        "from_date",
        "to_date",
        "from_time",
        "to_time",
        "ids",
        "customer_id",
        "timezone",
        "page",
        "limit",
    ]),
    Operation::get("appointments.get", "/v1/appointments/{appointmentId}"),
    Operation::get("services.list", "/v1/services").may(&["bookable", "page", "limit"]),
    Operation::get("resources.list", "/v1/resources").may(&["bookable", "page", "limit"]),
    Operation::get("companies.list", "/v1/companies").may(&["enterprise_id", "page", "limit"]),
];

/// The fields of a customer without which nobody can be told apart, and what they are called here.
const NEEDED: [(&str, &str); 4] =
    [("firstName", "first name"), ("lastName", "last name"), ("email", "e-mail"), ("mobilePhone", "mobile phone")];
const NOTES: &str = "notes";

/// Pages of one list that are read at most. Without a limit a page holds 10,000.
const PAGES: u64 = 10;

#[async_trait]
impl Inquiry for Timify {
    async fn inspect(&self, workspace: &Workspace) -> Vec<Inspected> {
        let mut found = Vec::new();
        if let Some(fields) = self.inspect_company(&mut found).await {
            found.extend(inspect_fields(&fields, workspace));
            self.inspect_calendars(workspace, &mut found).await;
        }
        found
    }

    async fn ask(&self, operation: &str, params: &BTreeMap<String, String>) -> Result<(u16, Json), NotAsked> {
        Ok(self.get(&inquiry::put(OPERATIONS, operation, params)?).await?)
    }
}

impl Timify {
    /// All records of a list, with or without the vendor's envelope.
    async fn listed(&self, path: &str) -> Result<Vec<Json>, SystemError> {
        let mut records = Vec::new();
        for page in 1..=PAGES {
            let number = page.to_string();
            let path = if page == 1 { path.to_owned() } else { wire::query(path, &[("page", &number)]) };
            let (status, json) = self.get(&path).await?;
            let list = json.as_array().or_else(|| json["data"].as_array());
            records.extend(list.ok_or_else(|| self.garbled(status, "a list without `data`"))?.iter().cloned());
            if json["meta"]["totalPages"].as_u64().is_none_or(|pages| page >= pages) {
                break;
            }
        }
        Ok(records)
    }

    /// Whether the token works and the app is let into the company; the definitions of its customers' fields if so. It is not
    /// documented which companies the list of companies names, so what the company itself answers decides.
    async fn inspect_company(&self, found: &mut Vec<Inspected>) -> Option<Vec<Json>> {
        let id = &self.company.id;
        let companies = match self.listed("/v1/companies").await {
            Err(error @ (SystemError::Unauthorized { status: 401, .. } | SystemError::NotConnected { .. })) => {
                found.push(Inspected::problem(format!("the app's id and secret do not work: {error}")));
                return None;
            }
            companies => companies.unwrap_or_default(),
        };
        let fields = match self.listed("/v1/customers/customfields").await {
            Ok(fields) => fields,
            Err(error) => {
                let seen: Vec<String> = companies.iter().map(named).collect();
                let seen = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
                let line = format!("the app is not let into company {id}: {error}; it sees {seen}");
                found.push(Inspected::problem(line));
                return None;
            }
        };
        let company = companies.iter().find(|company| is(company, id));
        let name = company.map_or_else(|| id.clone(), named);
        found.push(Inspected::fine(format!("the app's token works for company {name}")));
        Some(fields)
    }

    async fn inspect_calendars(&self, workspace: &Workspace, found: &mut Vec<Inspected>) {
        let (services, resources) = (self.listed("/v1/services").await, self.listed("/v1/resources").await);
        for (what, error) in [("services", services.as_ref().err()), ("resources", resources.as_ref().err())] {
            found.extend(error.map(|error| Inspected::problem(format!("the company's {what} are not told: {error}"))));
        }
        let (Ok(services), Ok(resources)) = (services, resources) else { return };
        let rows = &workspace.calendars;
        found.extend(rows.iter().filter_map(|row| inspect_row(row, &services, &resources)));
        let service = |one: &Json| rows.iter().any(|row| row.timify_service.as_ref().is_some_and(|id| is(one, id)));
        let resource = |one: &Json| rows.iter().any(|row| row.timify_resource.as_ref().is_some_and(|id| is(one, id)));
        // A row without a service stands for all services of its resource.
        let all = rows.iter().any(|row| row.timify_service.is_none() && row.timify_resource.is_some());
        let services = services.iter().filter(|one| !all && !service(one)).map(|one| ("service", one));
        let resources = resources.iter().filter(|one| !resource(one)).map(|one| ("resource", one));
        let line = |(what, one): (&str, &Json)| Inspected::fine(format!("not mapped: {what} {}", named(one)));
        found.extend(services.chain(resources).map(line));
    }
}

/// Whether a record has this id.
fn is(record: &Json, id: &str) -> bool {
    wire::id(wire::first(record, &["/id", "/_id"])).is_some_and(|held| held.as_str() == id)
}

/// A record's id and name: `65d0… ("Room A")`.
fn named(record: &Json) -> String {
    let id = wire::id(wire::first(record, &["/id", "/_id"]));
    let id = id.as_ref().map_or("without an id", |id| id.as_str());
    let name = wire::text(wire::first(record, &["/name", "/title"]));
    format!("{id} (\"{}\")", name.as_text().unwrap_or("no name"))
}

/// The service and the resource of a row; a row that names neither has nothing in TIMIFY.
fn inspect_row(row: &CalendarRow, services: &[Json], resources: &[Json]) -> Option<Inspected> {
    let name = &row.name;
    let found = |list: &'_ [Json], id: &str| list.iter().find(|one| is(one, id)).cloned();
    let Some(resource_id) = &row.timify_resource else {
        let lacks = format!("calendar `{name}` names a service and no resource: set timify_resource");
        return row.timify_service.as_ref().map(|_| Inspected::problem(lacks));
    };
    let Some(resource) = found(resources, resource_id) else {
        return Some(Inspected::problem(format!("calendar `{name}`: the company has no resource {resource_id}")));
    };
    let resource = named(&resource);
    let Some(service_id) = &row.timify_service else {
        return Some(Inspected::fine(format!("calendar `{name}` is all services of resource {resource}")));
    };
    let Some(service) = found(services, service_id) else {
        return Some(Inspected::problem(format!("calendar `{name}`: the company has no service {service_id}")));
    };
    let minutes = wire::text(&service["duration"]).as_text().and_then(|text| text.parse().ok());
    let line = format!("calendar `{name}` is service {} with resource {resource}", named(&service));
    Some(match does(&service, resource_id) {
        Some(true) => Inspected::fine(line).lasting(name, minutes),
        None => Inspected::fine(format!("{line}; which resources do it is not told")).lasting(name, minutes),
        Some(false) => Inspected::problem(format!("{line}, and that resource does not do that service")),
    })
}

/// Whether a resource does a service; `None`: the service does not tell who does it.
fn does(service: &Json, resource: &str) -> Option<bool> {
    let groups = wire::items(&service["dependencies"]);
    let listed = groups.iter().flat_map(|group| wire::items(wire::first(group, &["/resourcesIds", "/resourceIds"])));
    let listed: Vec<&Json> = listed.collect();
    (!listed.is_empty()).then(|| listed.iter().any(|id| **id == resource))
}

/// The default key of a field: `firstName`, also out of `customerFields.basic.firstName`.
fn key(field: &Json) -> Option<&str> {
    wire::first(field, &["/defaultId", "/default_id", "/translationKey"]).as_str()?.rsplit('.').next()
}

/// Whether the customers have what we write: the usual fields, those that the configuration names, and those that hold notes
/// and tags where no extension does.
fn inspect_fields(fields: &[Json], workspace: &Workspace) -> Vec<Inspected> {
    let has = |wanted: &str| fields.iter().any(|field| key(field) == Some(wanted));
    let lacking = NEEDED.iter().filter(|(wanted, _)| !has(wanted));
    let line = |(wanted, ours): &(&str, &str)| format!("the customers have no field for the {ours} (`{wanted}`)");
    let mut found: Vec<Inspected> = lacking.map(|needed| Inspected::problem(line(needed))).collect();
    if found.is_empty() {
        found.push(Inspected::fine("the customers have fields for name, e-mail and mobile phone"));
    }
    for (ours, id) in workspace.fields.get(&System::Timify).into_iter().flatten() {
        let field = fields.iter().find(|field| is(field, id));
        found.push(match field {
            Some(field) => Inspected::fine(format!("field `{ours}` is customer field {id} ({})", label(field))),
            None => Inspected::problem(format!("field `{ours}`: the customers have no field {id}")),
        });
    }
    if workspace.extensions.contains(&System::Timify) {
        return found;
    }
    let projection = &workspace.projection;
    if projection.notes {
        found.push(if has(NOTES) {
            Inspected::fine("notes stand in the customers' notes text")
        } else {
            Inspected::problem("the customers have no notes text: set notes = false in [workspaces.timify]")
        });
    }
    found.extend(projection.tags_field.as_deref().map(|tags| {
        match fields.iter().find(|field| wire::text(&field["label"]).as_text() == Some(tags)) {
            Some(_) => Inspected::fine(format!("tags stand in the customer field \"{tags}\"")),
            None if projection.make_tags_field => {
                Inspected::fine(format!("the customers have no field \"{tags}\" yet: it is made for the first tag"))
            }
            None => Inspected::problem(format!(
                "the customers have no field \"{tags}\" for tags: make it there, or set make_tags_field = true"
            )),
        }
    }));
    found
}

/// What people see a field called, or its key.
fn label(field: &Json) -> String {
    let label = wire::text(wire::first(field, &["/label", "/name"]));
    format!("\"{}\"", label.as_text().or(key(field)).unwrap_or("no label"))
}

#[cfg(test)]
mod tests;
