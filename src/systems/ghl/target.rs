//! Reading, looking and writing: one workspace's objects in GHL.
//!
//! In: places, wishes, steps. Out: readings and answers in GHL's terms. Tasks and notes are addressed through their contact.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value as Json, json};

use super::api::{self, garbled, unasked, unclear};
use super::operations::{self, Operation};
use super::{Ghl, map, wire};
use crate::clock::Millis;
use crate::model::{
    Action, Class, ExternalId, Field, Fields, Kind, Link, Observation, Place, Shape, Step, System, Value,
};
use crate::systems::wire::{has_address, not_sent};
use crate::systems::{Answer, Page, Reading, Shown, SystemError, Target, Wanted};

/// How far round its start an existing appointment is looked for.
const NEARBY: Duration = Duration::from_hours(1);

/// How many pages of the location's tasks are searched for a task of which only the id is known.
const SEARCHED_PAGES: usize = 50;

/// Tasks on one page of the location's task search.
pub(super) const TASKS_PER_PAGE: usize = 100;

#[async_trait]
impl Target for Ghl {
    async fn read(&self, place: &Place) -> Result<Reading, SystemError> {
        let found;
        let parent = match &place.parent {
            None if place.kind == Kind::Task => {
                found = self.contact_of_task(&place.id).await?;
                Some(&found)
            }
            known => known.as_ref(),
        };
        let ids = api::ids(place.kind, Some(&place.id), parent);
        let mut reading = match self.api.call(operation(place.kind, Action::Read)?, &ids, &[], None).await {
            Ok((status, body)) => self.reading(place.kind, status, wire::unwrapped(place.kind, &body))?,
            Err(SystemError::Gone { status, .. }) => {
                let gone = Observation::new(place.kind, place.id.clone(), Class::Current, Shape::Gone);
                Reading::new(gone, status)
            }
            Err(error) => return Err(error),
        };
        reading.observation.parent = reading.observation.parent.or_else(|| parent.cloned());
        Ok(reading)
    }

    async fn find(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError> {
        let readings = match wanted.kind {
            Kind::Contact => return self.find_contacts(&wanted.fields).await,
            Kind::Task | Kind::Note => self.listed_below(wanted).await?,
            Kind::Appointment => self.listed_nearby(wanted).await?,
        };
        // A cancelled appointment is no double of one that stands.
        let stands = |fields: &Fields| fields.get(&Field::STATUS).and_then(Value::as_text) != Some("cancelled");
        let same: &[Field] = match wanted.kind {
            Kind::Note => &[Field::BODY],
            Kind::Task => &[Field::TITLE, Field::DUE],
            _ => &[Field::START],
        };
        let value = |fields: &Fields, field: &Field| fields.get(field).cloned().unwrap_or_default();
        let fits = |reading: &Reading| {
            let observation = &reading.observation;
            let alike = |fields: &Fields| {
                stands(fields) == stands(&wanted.fields)
                    && same.iter().all(|at| value(fields, at) == value(&wanted.fields, at))
            };
            observation.fields().is_some_and(alike) && observation.parent == wanted.parent
        };
        Ok(readings.into_iter().filter(fits).collect())
    }

    async fn apply(&self, step: &Step) -> Result<Answer, SystemError> {
        if let Some(field) = self.mapping.custom.unwritable(&step.fields) {
            let reason = format!("`{field}` is a list or a file in GHL that a text would destroy: edit it there");
            return Err(not_sent(System::Ghl, &reason));
        }
        if step.action == Action::Create && !has_address(&step.fields) && has_address(&step.whole) {
            let reason =
                "its phone says no country, and nothing else tells who it is: set `region`, or mend the number";
            return Err(not_sent(System::Ghl, reason));
        }
        let body = match step.action {
            Action::Create => Some(self.creation(step)),
            Action::Update | Action::Cancel => Some(self.changes(step)),
            Action::Complete => {
                let done = step.fields.get(&Field::COMPLETED).is_some_and(Value::is_set);
                Some(json!({ "completed": done }))
            }
            Action::AddTags | Action::RemoveTags => Some(json!({ "tags": map::tag_names(&step.fields) })),
            Action::SetBusiness => {
                let business = step.fields.get(&Field::BUSINESS).and_then(Value::as_text);
                Some(json!({ "ids": [step.id.as_ref().map(ExternalId::as_str)], "businessId": business }))
            }
            // The body is declared as required.
            Action::Delete if step.kind == Kind::Appointment => Some(json!({})),
            Action::Delete => None,
            Action::Read | Action::Find => return Err(unasked("reading is no step of a plan")),
        };
        let ids = api::ids(step.kind, step.id.as_ref(), step.parent.as_ref());
        let (status, body) = self.api.call(operation(step.kind, step.action)?, &ids, &[], body).await?;
        self.answer(step, status, &body)
    }

    fn granted(&self, kind: Kind, action: Action) -> Result<(), SystemError> {
        // The listing first: what else looking needs, reading tells too.
        let listing = operations::listing(kind).filter(|_| action == Action::Find);
        let mut needed = listing.into_iter().chain(operations::of(kind, action));
        needed.try_for_each(|operation| self.api.caller.granted(operation.scope))
    }

    async fn changed(&self, kind: Kind, since: Option<Millis>, page: Option<&str>) -> Result<Page, SystemError> {
        self.list_changed(kind, since, page).await
    }

    fn shows(&self, link: &Link) -> Shown {
        self.in_lists(link)
    }

    async fn untold(&self, kind: Kind, page: Option<&str>) -> Result<Page, SystemError> {
        if kind == Kind::Task { self.tasks(false, page).await } else { Ok(Page::empty()) }
    }
}

impl Ghl {
    /// An object as an answer shows it, current and whole.
    pub(super) fn reading(&self, kind: Kind, status: u16, object: &Json) -> Result<Reading, SystemError> {
        let mut observation = self.observed(kind, status, object, Class::Current)?;
        if wire::deleted(object) {
            observation.shape = Shape::Gone;
        }
        Ok(Reading::new(observation, status))
    }

    /// A whole object in an answer. One of another location is refused: this workspace's token must not reach it.
    pub(super) fn observed(
        &self,
        kind: Kind,
        status: u16,
        object: &Json,
        class: Class,
    ) -> Result<Observation, SystemError> {
        if let Some(location) = wire::text(object, "locationId").filter(|location| *location != self.api.location) {
            let reason = format!("the {kind} belongs to location {location}: check the token of this workspace");
            return Err(SystemError::Refused { system: System::Ghl, status, reason });
        }
        let id = wire::id(object).ok_or_else(|| garbled(status, format!("the {kind} has no `id`")))?;
        let fields = self.mapping.whole(kind, object).map_err(|error| garbled(status, error.to_string()))?;
        let version = wire::updated(object);
        Ok(Observation {
            parent: wire::parent(kind, object),
            at: version.map(|at| self.api.caller.offset().to_ours(at)),
            version: version.filter(|_| class == Class::Current),
            also: self.mapping.also(kind, object),
            ..Observation::new(kind, id, class, Shape::Full(fields))
        })
    }

    /// Real `TaskCreate` webhooks may lack the contact; the location's task search knows it. A task that it does not show
    /// may be too new for its index, so that is no proof of absence.
    async fn contact_of_task(&self, id: &ExternalId) -> Result<ExternalId, SystemError> {
        for page in 0..SEARCHED_PAGES {
            let tasks = self.api.tasks(None, TASKS_PER_PAGE, page * TASKS_PER_PAGE).await?;
            let found = tasks.iter().find(|task| wire::id(task).as_ref() == Some(id));
            if let Some(contact) = found.and_then(|task| wire::parent(Kind::Task, task)) {
                return Ok(contact);
            }
            if tasks.len() < TASKS_PER_PAGE {
                break;
            }
        }
        Err(unasked("the location's task search does not show which contact the task belongs to"))
    }

    /// Each key is searched by itself: e-mail and phone may lead to two different contacts.
    async fn find_contacts(&self, fields: &Fields) -> Result<Vec<Reading>, SystemError> {
        let mut ids = BTreeSet::new();
        for (field, key) in [(Field::EMAIL, "email"), (Field::PHONE, "number")] {
            if let Some(value) = fields.get(&field).and_then(Value::as_text) {
                ids.extend(self.api.duplicate(key, value).await?);
            }
        }
        let mut readings = Vec::new();
        for id in ids {
            let reading = self.read(&Place { kind: Kind::Contact, id, parent: None }).await?;
            if reading.observation.shape != Shape::Gone {
                readings.push(reading);
            }
        }
        Ok(readings)
    }

    /// All tasks or notes of the contact (one page, GHL has no paging here).
    async fn listed_below(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError> {
        let ids = api::ids(wanted.kind, None, wanted.parent.as_ref());
        let (status, body) = self.api.call(operation(wanted.kind, Action::Find)?, &ids, &[], None).await?;
        let listed = wire::listed(wanted.kind, &body).iter().map(|object| {
            let mut reading = self.reading(wanted.kind, status, object)?;
            reading.observation.parent = reading.observation.parent.or_else(|| wanted.parent.clone());
            Ok(reading)
        });
        listed.collect()
    }

    /// The appointments of the wanted calendar round the wanted start.
    async fn listed_nearby(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError> {
        let calendar = wanted.fields.get(&Field::CALENDAR).and_then(Value::as_text);
        let calendar = calendar.and_then(|name| self.mapping.calendar_id(name));
        let start = wanted.fields.get(&Field::START).and_then(Value::as_instant);
        let (Some(calendar), Some(start)) = (calendar, start) else { return Ok(Vec::new()) };
        let (status, listed) = self.api.appointments(calendar, (start - NEARBY).0, (start + NEARBY).0).await?;
        let readings: Result<Vec<Reading>, SystemError> =
            listed.iter().map(|one| self.reading(Kind::Appointment, status, one)).collect();
        Ok(readings?.into_iter().filter(|reading| reading.observation.shape != Shape::Gone).collect())
    }

    /// The body of a create. GHL demands a due date and a completion of each task.
    fn creation(&self, step: &Step) -> Json {
        let mut fields = step.fields.clone();
        fields.retain(|_, value| !value.is_blank());
        if step.kind == Kind::Task {
            for field in [Field::DUE, Field::COMPLETED] {
                fields.entry(field).or_default();
            }
        }
        let mut body = self.mapping.json(step.kind, &fields);
        match step.kind {
            Kind::Contact => {
                let names = map::tag_names(&fields);
                if !names.is_empty() {
                    body.insert("tags".to_owned(), names.into());
                }
            }
            Kind::Appointment => {
                body.insert("contactId".to_owned(), step.parent.as_ref().map(ExternalId::as_str).into());
                mirrored(&mut body, self.notify);
            }
            Kind::Task | Kind::Note => {}
        }
        body.into()
    }

    /// The body of an update: only what changes; keys that the DTO does not list are refused with 422. A start takes the
    /// end with it: one without the other moves the end, for GHL keeps the length.
    fn changes(&self, step: &Step) -> Json {
        let mut fields = step.fields.clone();
        if let Some(end) = step.whole.get(&Field::END).filter(|_| fields.contains_key(&Field::START)) {
            fields.entry(Field::END).or_insert_with(|| end.clone());
        }
        let mut body = self.mapping.json(step.kind, &fields);
        if step.kind == Kind::Appointment {
            mirrored(&mut body, self.notify);
        }
        body.into()
    }

    /// What an answer shows: the object where it carries one. The answer to a tag call may hold all tags or only those
    /// concerned (not documented), so it shows nothing.
    fn answer(&self, step: &Step, status: u16, body: &Json) -> Result<Answer, SystemError> {
        if step.action == Action::SetBusiness && !names_contact(body, step) {
            return Err(unclear(status, "the answer does not name the contact"));
        }
        let plain = matches!(step.action, Action::Create | Action::Update | Action::Cancel | Action::Complete);
        let object = Some(wire::unwrapped(step.kind, body)).filter(|_| plain);
        let id = object.and_then(wire::id).or_else(|| step.id.clone());
        let id = id.ok_or_else(|| garbled(status, "the answer to a create has no `id`"))?;
        let mut shown = None;
        if let Some(object) = object.filter(|object| wire::id(object).is_some()) {
            let fields = self.mapping.stated(step.kind, object).map_err(|error| garbled(status, error.to_string()))?;
            let version = wire::updated(object);
            shown = Some(Observation {
                parent: wire::parent(step.kind, object).or_else(|| step.parent.clone()),
                at: version.map(|at| self.api.caller.offset().to_ours(at)),
                version,
                ..Observation::new(step.kind, id.clone(), Class::Current, Shape::Partial(fields))
            });
        }
        Ok(Answer { id, shown, status })
    }
}

/// By which operation an action is done.
fn operation(kind: Kind, action: Action) -> Result<&'static Operation, SystemError> {
    let none = || not_sent(System::Ghl, &format!("GHL has no call to {action} a {kind}"));
    operations::of(kind, action).ok_or_else(none)
}

/// Whether the answer to a bulk call lists the contact, as far as it lists any.
fn names_contact(body: &Json, step: &Step) -> bool {
    let id = step.id.as_ref().map(ExternalId::as_str);
    body["ids"].as_array().is_none_or(|ids| ids.iter().any(|listed| listed.as_str() == id))
}

/// A mirror repeats what was booked elsewhere: no slot is claimed again, and nobody is notified twice unless that is wanted.
fn mirrored(body: &mut Map<String, Json>, notify: bool) {
    for (key, value) in [("ignoreFreeSlotValidation", true), ("ignoreDateRange", true), ("toNotify", notify)] {
        body.insert(key.to_owned(), value.into());
    }
}
