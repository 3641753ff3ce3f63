//! Whether a workspace's account in GHL is as the configuration says; for a person who sets it up.
//!
//! In: nothing but the settings. Out: findings in plain lines. Reads only, a handful of calls: the location, its calendars and
//! custom fields, and one harmless question for each scope that mirroring reads by.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Ghl;
use super::api::{Answered, Pairs};
use super::operations::{self, Operation};
use super::wire;
use crate::model::{Kind, Workspace};
use crate::systems::{Inquiry, Inspected, NotAsked, SystemError};

/// What has been found so far.
#[derive(Default)]
struct Report {
    findings: Vec<Inspected>,
    /// The scopes that turned out missing.
    missing: BTreeSet<String>,
}

impl Report {
    /// The JSON of an answer; a failure is a finding, a missing scope is found once.
    fn take(&mut self, operation: &Operation, answered: Answered) -> Option<Value> {
        match answered {
            Ok((_, body)) => return Some(body),
            Err(SystemError::NotGranted { scope, .. }) => self.lacks(&scope),
            Err(error) => self.findings.push(Inspected::problem(format!("`{}`: {error}", operation.name))),
        }
        None
    }

    fn lacks(&mut self, scope: &str) {
        if self.missing.insert(scope.to_owned()) {
            self.findings
                .push(Inspected::problem(format!("the scope `{scope}` is not granted: connect again with it")));
        }
    }
}

#[async_trait]
impl Inquiry for Ghl {
    async fn inspect(&self, _: &Workspace) -> Vec<Inspected> {
        self.inspected().await
    }

    async fn ask(&self, operation: &str, params: &BTreeMap<String, String>) -> Result<(u16, Value), NotAsked> {
        self.asked(operation, params).await.map_err(|error| NotAsked(error.into()))
    }
}

impl Ghl {
    /// Whether the token works for the location, which scopes turn out missing, and whether each calendar and custom field
    /// that is mapped exists there.
    pub(super) async fn inspected(&self) -> Vec<Inspected> {
        let mut report = Report::default();
        let location = &self.api.location;
        let answered = self.api.call(operations::LOCATIONS_GET, &[], &[], None).await;
        if let Err(error @ SystemError::Unauthorized { .. }) = answered {
            return vec![Inspected::problem(format!("the token does not work for location {location}: {error}"))];
        }
        if let Some(body) = report.take(operations::LOCATIONS_GET, answered) {
            let zone = wire::text(&body["location"], "timezone").unwrap_or("not set");
            report.findings.push(Inspected::fine(format!("the token works for location {location} (timezone {zone})")));
        }
        self.inspect_calendars(&mut report).await;
        self.inspect_fields(&mut report).await;
        self.inspect_scopes(&mut report).await;
        report.findings
    }

    async fn inspect_calendars(&self, report: &mut Report) {
        let answered = self.api.call(operations::CALENDARS_LIST, &[], &[], None).await;
        let Some(body) = report.take(operations::CALENDARS_LIST, answered) else { return };
        for (row, id) in self.mapping.mapped_calendars() {
            let found = items(&body["calendars"]).iter().find(|calendar| calendar["id"] == id);
            report.findings.push(match found {
                Some(found) => {
                    let name = wire::text(found, "name").unwrap_or("no name");
                    Inspected::fine(format!("calendar `{row}` is {id} (\"{name}\")")).lasting(row, minutes(found))
                }
                None => Inspected::problem(format!("calendar `{row}`: the location has no calendar {id}")),
            });
        }
        let mapped = |calendar: &&Value| self.mapping.mapped_calendars().any(|(_, id)| calendar["id"] == id);
        for calendar in items(&body["calendars"]).iter().filter(|calendar| !mapped(calendar)) {
            let [id, name] = ["id", "name"].map(|key| wire::text(calendar, key).unwrap_or("?"));
            report.findings.push(Inspected::fine(format!("not mapped: calendar {id} (\"{name}\")")));
        }
    }

    async fn inspect_fields(&self, report: &mut Report) {
        let model = [("model", "contact")];
        let answered = self.api.call(operations::LOCATIONS_CUSTOM_FIELDS, &[], &model, None).await;
        let Some(body) = report.take(operations::LOCATIONS_CUSTOM_FIELDS, answered) else { return };
        for (field, id) in self.mapping.custom.mapped() {
            let ours = field.as_custom().unwrap_or(field.name());
            let found = items(&body["customFields"]).iter().find(|custom| custom["id"] == id);
            report.findings.push(match found {
                Some(found) => {
                    let (name, form) = (wire::text(found, "name"), wire::text(found, "dataType"));
                    let (name, form) = (name.unwrap_or("no name"), form.unwrap_or("no type"));
                    Inspected::fine(format!("field `{ours}` is custom field {id} (\"{name}\", {form})"))
                }
                None => {
                    Inspected::problem(format!("field `{ours}`: the location's contacts have no custom field {id}"))
                }
            });
        }
    }

    /// Asks what each scope for reading lets ask; writing is not tried, but what is known of it is told.
    async fn inspect_scopes(&self, report: &mut Report) {
        let now = self.api.caller.offset().now().0.to_string();
        let calendar = self.mapping.mapped_calendars().next().map(|(_, id)| id).unwrap_or_default();
        let span = [("calendarId", calendar), ("startTime", &now), ("endTime", &now)];
        let one = [("limit", "1")];
        let mut probes: Vec<(&'static Operation, Pairs<'_>, Option<Value>)> = vec![
            (operations::CONTACTS_SEARCH, &[], Some(json!({ "pageLimit": 1 }))),
            (operations::TASKS_SEARCH, &[], Some(json!({ "limit": 1, "skip": 0 }))),
            (operations::LOCATIONS_TAGS, &[], None),
            (operations::BUSINESSES_LIST, &one, None),
        ];
        if !calendar.is_empty() {
            probes.push((operations::APPOINTMENTS_LIST, &span, None));
        }
        for (operation, query, body) in probes {
            let answered = self.api.call(operation, &[], query, body).await;
            report.take(operation, answered);
        }
        for kind in Kind::ALL {
            for scope in [false, true].into_iter().flat_map(|writes| operations::scopes(*kind, writes)) {
                if self.api.caller.granted(scope).is_err() {
                    report.lacks(scope);
                }
            }
        }
        if report.missing.is_empty() {
            report.findings.push(Inspected::fine("no scope is known to be missing (writing was not tried)"));
        }
    }
}

/// How long an appointment of a calendar is, in minutes.
fn minutes(calendar: &Value) -> Option<u64> {
    let length = calendar["slotDuration"].as_u64()?;
    Some(if calendar["slotDurationUnit"] == "hours" { length * 60 } else { length })
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}
