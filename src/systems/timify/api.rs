//! Calls TIMIFY for one company.
//!
//! In: places, steps, page marks. Out: readings, answers, pages. Each call names the company in the header `company-id`; no
//! call lets TIMIFY notify anybody.

use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use serde_json::{Value as Json, json};

use super::{Timify, appointments, customers};
use crate::clock::Millis;
use crate::model::{Action, Class, ExternalId, Field, Fields, Kind, Observation, Place, Shape, Step, System, Value};
use crate::systems::call::encode;
use crate::systems::{Answer, Page, Reading, SystemError, Target, Terms, Wanted, wire};

/// Records asked for on one page.
const LIMIT: usize = 100;
/// Pages that a look for an existing record reads before it gives up.
const PAGES: u32 = 1_000;
const DAY: Duration = Duration::from_hours(24);
const DAY_MS: i64 = 86_400_000;
/// Appointments are listed by their date, from this many days before today to that many after.
const DAYS_BACK: u32 = 31;
const DAYS_AHEAD: u32 = 366;
const SILENT: &[(&str, &str)] = &[("has_notify_customers", "false"), ("has_notify_resources", "false")];

impl Timify {
    pub(super) async fn get(&self, path: &str) -> Result<(u16, Json), SystemError> {
        self.caller.call(Method::GET, path, &[("company-id", &self.company.id)], None, false).await
    }

    async fn write(&self, method: Method, path: &str, body: Option<Json>) -> Result<(u16, Json), SystemError> {
        self.caller.call(method, path, &[("company-id", &self.company.id)], body, true).await
    }

    fn refused(&self, reason: &str) -> SystemError {
        wire::not_sent(self.system(), reason)
    }

    fn collection(&self, kind: Kind) -> Result<&'static str, SystemError> {
        match kind {
            Kind::Contact => Ok("/v1/customers"),
            Kind::Appointment => Ok("/v1/appointments"),
            Kind::Task | Kind::Note => Err(self.refused("TIMIFY has no tasks and no lists of notes")),
        }
    }

    fn path(&self, kind: Kind, id: &ExternalId) -> Result<String, SystemError> {
        Ok(format!("{}/{}", self.collection(kind)?, encode(id.as_str())))
    }

    /// A record as an observation: the whole object, of this class.
    fn observation(&self, kind: Kind, record: &Json, class: Class) -> Option<Observation> {
        let id = wire::id(wire::first(record, &["/id", "/_id"]))?;
        let appointment = kind == Kind::Appointment;
        let fields = if appointment {
            appointments::fields(record, &self.company.calendars)
        } else {
            customers::fields(record, self.definitions.get(), self.company.region.as_deref())
        };
        // `timestamp` is the finer of the two; a customer has at most `updatedAt`.
        let version = wire::instant(wire::first(record, &["/timestamp", "/updatedAt"]));
        Some(Observation {
            parent: if appointment { appointments::customer(record) } else { None },
            at: version.map(|at| self.caller.offset().to_ours(at)),
            version,
            ..Observation::new(kind, id, class, Shape::Full(fields))
        })
    }

    fn reading(&self, kind: Kind, status: u16, json: &Json) -> Result<Reading, SystemError> {
        let observation = self.observation(kind, &json["data"], Class::Current);
        let observation = observation.ok_or_else(|| self.garbled(status, "no record with an id"))?;
        Ok(Reading::new(observation, status))
    }

    /// What a write's answer shows, where it shows the record.
    fn shown(&self, kind: Kind, json: &Json) -> Option<Observation> {
        let telling: &[&str] =
            if kind == Kind::Contact { &["/data/fields", "/data/customfields"] } else { &["/data/startDate"] };
        let told = !wire::first(json, telling).is_null();
        told.then(|| self.observation(kind, &json["data"], Class::Current)).flatten().map(wire::partial)
    }

    async fn body(&self, step: &Step) -> Result<Json, SystemError> {
        if step.kind == Kind::Appointment {
            return appointments::body(step, &self.company).map_err(|reason| self.refused(reason));
        }
        let list = customers::customfields(&step.fields, self.definitions().await?);
        // Planned before the definitions were read; the next plan leaves the field out.
        let unknown = |field: Field| SystemError::Unavailable {
            system: System::Timify,
            status: None,
            reason: format!("the company's customers have no field for {field}"),
        };
        Ok(json!({ "customfields": list.map_err(unknown)? }))
    }

    async fn create(&self, step: &Step) -> Result<Answer, SystemError> {
        let mut body = self.body(step).await?;
        if let (Kind::Contact, Some(key)) = (step.kind, step.key) {
            body["externalId"] = json!(key.to_string());
        }
        if let (Kind::Appointment, Some(customer)) = (step.kind, &step.parent) {
            body["customer_id"] = json!(customer.as_str());
        }
        let (status, json) = self.write(Method::POST, self.collection(step.kind)?, Some(body)).await?;
        // Made, but under which id? Only a look tells.
        let id = wire::id(wire::first(&json, &["/data/id", "/data/_id"])).ok_or_else(|| SystemError::Unclear {
            system: System::Timify,
            status: Some(status),
            reason: "the answer to a create names no id".to_owned(),
        })?;
        Ok(Answer { id, shown: self.shown(step.kind, &json), status })
    }

    async fn change(&self, step: &Step, id: &ExternalId) -> Result<Answer, SystemError> {
        let path = self.path(step.kind, id)?;
        let (status, json) = match (step.action, step.kind) {
            (Action::Update, _) => self.write(Method::PATCH, &path, Some(self.body(step).await?)).await?,
            // The flags go into the query: a body of a DELETE may be dropped on the way.
            (Action::Delete, Kind::Appointment) => {
                self.write(Method::DELETE, &wire::query(&path, SILENT), None).await?
            }
            (Action::Delete, _) => self.write(Method::DELETE, &path, None).await?,
            _ => return Err(self.refused("TIMIFY has no such call")),
        };
        Ok(Answer { id: id.clone(), shown: self.shown(step.kind, &json), status })
    }

    /// One page of a list, and whether another one follows.
    async fn page(
        &self,
        kind: Kind,
        pairs: &[(&str, &str)],
        page: u32,
    ) -> Result<(Vec<Observation>, bool), SystemError> {
        if kind == Kind::Contact {
            self.prepare().await?;
        }
        let (limit, number) = (LIMIT.to_string(), page.max(1).to_string());
        let mut pairs = pairs.to_vec();
        pairs.extend([("page", number.as_str()), ("limit", &limit)]);
        let (status, json) = self.get(&wire::query(self.collection(kind)?, &pairs)).await?;
        let Some(records) = json["data"].as_array() else {
            return Err(self.garbled(status, "a list without `data`"));
        };
        let more = json["meta"]["totalPages"].as_u64().map_or(records.len() >= LIMIT, |pages| u64::from(page) < pages);
        let observations = records.iter().filter_map(|record| self.observation(kind, record, Class::Claim));
        Ok((observations.collect(), more))
    }

    async fn look(
        &self,
        kind: Kind,
        pairs: &[(&str, &str)],
        same: impl Fn(&Observation) -> bool + Send + Sync,
    ) -> Result<Vec<Reading>, SystemError> {
        let mut found = Vec::new();
        for page in 1..=PAGES {
            let (observations, more) = self.page(kind, pairs, page).await?;
            let current = |one| Reading::new(Observation { class: Class::Current, ..one }, 200);
            found.extend(observations.into_iter().filter(&same).map(current));
            if !more {
                return Ok(found);
            }
        }
        Err(self.garbled(200, "a list that does not end"))
    }

    /// The appointments of the customer that start at this instant. The days around it are asked for, too: it is not said
    /// in which zone the dates of a list are.
    async fn same_appointment(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError> {
        let Some(start) = wanted.fields.get(&Field::START).and_then(Value::as_instant) else {
            return Ok(Vec::new());
        };
        let (from, to) = (day(start - DAY), day(start + DAY));
        let mut pairs = vec![("from_date", from.as_str()), ("to_date", &to)];
        pairs.extend(wanted.parent.as_ref().map(|customer| ("customer_id", customer.as_str())));
        let value = |fields: &Fields, field: &Field| fields.get(field).cloned();
        self.look(Kind::Appointment, &pairs, |one| {
            let held = one.fields().is_some_and(|held| {
                let same = |field: Field| value(held, &field) == value(&wanted.fields, &field);
                same(Field::START) && (!wanted.fields.contains_key(&Field::CALENDAR) || same(Field::CALENDAR))
            });
            held && one.parent == wanted.parent
        })
        .await
    }

    /// One page of the appointments around today, range by range; a mark is the first day of its range and the page.
    async fn appointment_page(&self, mark: Option<&str>) -> Result<Page, SystemError> {
        let today = self.caller.offset().now();
        let until = today + DAY * DAYS_AHEAD;
        let (from, page) = mark.and_then(read_mark).unwrap_or_else(|| (midnight(today - DAY * DAYS_BACK), 1));
        let next_range = from + DAY * self.company.list_days;
        let (first, last) = (day(from), day(next_range - DAY));
        let pairs = [("from_date", first.as_str()), ("to_date", &last)];
        let (observations, more) = self.page(Kind::Appointment, &pairs, page).await?;
        let next = if more { Some((from, page + 1)) } else { Some((next_range, 1)).filter(|(from, _)| *from <= until) };
        Ok(Page { observations, next: next.map(|(from, page)| format!("{}/{page}", day(from))) })
    }
}

fn day(at: Millis) -> String {
    at.rfc3339().chars().take(10).collect()
}

fn midnight(at: Millis) -> Millis {
    Millis(at.0 - at.0.rem_euclid(DAY_MS))
}

fn read_mark(mark: &str) -> Option<(Millis, u32)> {
    let (day, page) = mark.split_once('/')?;
    Some((Millis::parse(&format!("{day}T00:00:00Z"))?, page.parse().ok()?))
}

#[async_trait]
impl Target for Timify {
    async fn read(&self, place: &Place) -> Result<Reading, SystemError> {
        if place.kind == Kind::Contact {
            self.prepare().await?;
        }
        match self.get(&self.path(place.kind, &place.id)?).await {
            Ok((status, json)) => self.reading(place.kind, status, &json),
            Err(SystemError::Gone { status, .. }) => Ok(Reading::new(wire::gone(place), status)),
            Err(error) => Err(error),
        }
    }

    async fn find(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError> {
        if wanted.kind == Kind::Appointment {
            return self.same_appointment(wanted).await;
        }
        if !wire::has_address(&wanted.fields) {
            return Ok(Vec::new());
        }
        // The vendor has no search by e-mail or phone: all customers are looked through.
        let same = |one: &Observation| one.fields().is_some_and(|held| wire::same_person(held, &wanted.fields));
        self.look(wanted.kind, &[], same).await
    }

    async fn apply(&self, step: &Step) -> Result<Answer, SystemError> {
        match (step.action, &step.id) {
            (Action::Create, _) => self.create(step).await,
            (_, Some(id)) => self.change(step, id).await,
            (_, None) => Err(self.refused("the step names no object")),
        }
    }

    /// Everything, whatever `since` says: the vendor's lists know no filter by the time of a change.
    fn granted(&self, _kind: Kind, _action: Action) -> Result<(), SystemError> {
        Ok(())
    }

    async fn changed(&self, kind: Kind, _since: Option<Millis>, page: Option<&str>) -> Result<Page, SystemError> {
        if kind == Kind::Appointment {
            return self.appointment_page(page).await;
        }
        let number = page.and_then(|page| page.parse().ok()).unwrap_or(1);
        let (observations, more) = self.page(kind, &[], number).await?;
        Ok(Page { observations, next: more.then(|| (number + 1).to_string()) })
    }

    async fn untold(&self, _kind: Kind, _page: Option<&str>) -> Result<Page, SystemError> {
        Ok(Page::empty())
    }
}
