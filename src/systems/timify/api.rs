//! Calls TIMIFY for one company.
//!
//! In: places, steps, page marks. Out: readings, answers, pages. Each call names the company in the header `company-id`. What
//! a write sends is in `writing` and `notes`, what a list gives in `lists`.

use async_trait::async_trait;
use http::Method;
use serde_json::Value as Json;

use super::{Timify, appointments, customers};
use crate::clock::Millis;
use crate::model::{Action, Class, ExternalId, Field, Kind, Link, Observation, Place, Shape, Step, Value};
use crate::systems::call::{encode, short_line};
use crate::systems::{Answer, Page, Reading, Shown, SystemError, Target, Terms, Wanted, wire};

impl Timify {
    pub(super) async fn get(&self, path: &str) -> Result<(u16, Json), SystemError> {
        self.ask(Method::GET, path, None, false).await
    }

    /// One call. Answers carry `status: 1`; one that carries 0 is a refusal, whatever its HTTP status.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Json>,
        writes: bool,
    ) -> Result<(u16, Json), SystemError> {
        let answer = self.caller.call(method, path, &[("company-id", &self.company.id)], body, writes).await?;
        if answer.1["status"].as_i64() != Some(0) {
            return Ok(answer);
        }
        let said = short_line(wire::first(&answer.1, &["/message", "/error"]));
        let reason = said.unwrap_or_else(|| "it answers `status: 0`, and says no more".to_owned());
        Err(SystemError::Refused { system: self.system(), status: answer.0, reason })
    }

    pub(super) fn refused(&self, reason: &str) -> SystemError {
        wire::not_sent(self.system(), reason)
    }

    pub(super) fn collection(&self, kind: Kind) -> Result<&'static str, SystemError> {
        match kind {
            Kind::Contact => Ok("/v1/customers"),
            Kind::Appointment => Ok("/v1/appointments"),
            Kind::Task | Kind::Note => Err(self.refused("TIMIFY has no tasks and no lists of notes")),
        }
    }

    pub(super) fn path(&self, kind: Kind, id: &ExternalId) -> Result<String, SystemError> {
        Ok(format!("{}/{}", self.collection(kind)?, encode(id.as_str())))
    }

    /// A record as an observation of this class.
    pub(super) fn observation(&self, kind: Kind, record: &Json, class: Class) -> Option<Observation> {
        let id = wire::id(wire::first(record, &["/id", "/_id"]))?;
        let one = if kind == Kind::Appointment {
            let shape = appointments::shape(appointments::fields(record, &self.company.calendars));
            Observation { parent: appointments::customer(record), ..Observation::new(kind, id, class, shape) }
        } else {
            self.contact(id, record, class)
        };
        Some(self.dated(one, record))
    }

    /// A customer states each field that it shows, blank where it is empty, and no others: a field that was taken from the
    /// company, from the workspace's `fields` or from the record is not said to be blank.
    fn contact(&self, id: ExternalId, record: &Json, class: Class) -> Observation {
        if !customers::is_told(record) {
            return Observation::new(Kind::Contact, id, class, Shape::Hint);
        }
        let card = self.card();
        let mut fields = card.fields(record);
        let tags = card.tags(record);
        let all_tags = tags.is_some();
        fields.extend(tags.into_iter().flatten().map(|tag: Field| (tag, Value::Flag(true))));
        Observation { all_tags, ..Observation::new(Kind::Contact, id, class, Shape::Partial(fields)) }
    }

    /// With the time of its last edit. `timestamp` is the finer of the two; a customer has at most `updatedAt`.
    pub(super) fn dated(&self, one: Observation, record: &Json) -> Observation {
        let version = wire::instant(wire::first(record, &["/timestamp", "/updatedAt"]));
        Observation { at: version.map(|at| self.caller.offset().to_ours(at)), version, ..one }
    }

    /// A record that is there now, if it says anything.
    pub(super) fn current(&self, kind: Kind, record: &Json) -> Option<Observation> {
        self.observation(kind, record, Class::Current).filter(|one| one.fields().is_some())
    }

    fn reading(&self, kind: Kind, status: u16, record: &Json) -> Result<Reading, SystemError> {
        let observation = self.current(kind, record);
        let observation = observation.ok_or_else(|| self.garbled(status, "no record with an id and fields"))?;
        let within = self.all_within(kind, &observation.id, record);
        Ok(Reading { within, ..Reading::new(observation, status) })
    }

    async fn read_whole(&self, place: &Place) -> Result<Reading, SystemError> {
        if place.kind == Kind::Contact {
            self.prepare().await?;
        }
        match self.get(&self.path(place.kind, &place.id)?).await {
            Ok((status, json)) => self.reading(place.kind, status, &json["data"]),
            Err(SystemError::Gone { status, .. }) => Ok(Reading::new(wire::gone(place), status)),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Target for Timify {
    async fn read(&self, place: &Place) -> Result<Reading, SystemError> {
        match (place.kind, place.id.apart()) {
            (Kind::Note, _) => self.read_note(place).await,
            (Kind::Appointment, Some((first, day))) => self.read_occurrence(place, &first, day).await,
            _ => self.read_whole(place).await,
        }
    }

    async fn find(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError> {
        match wanted.kind {
            Kind::Appointment => self.same_appointment(wanted).await,
            Kind::Note => self.find_notes(wanted).await,
            Kind::Contact => self.same_customer(wanted).await,
            Kind::Task => Ok(Vec::new()),
        }
    }

    async fn apply(&self, step: &Step) -> Result<Answer, SystemError> {
        match (step.action, &step.id) {
            (_, _) if step.kind == Kind::Note => self.write_note(step).await,
            (Action::Create, _) => self.create(step).await,
            (_, Some(id)) => self.change(step, id).await,
            (_, None) => Err(self.refused("the step names no object")),
        }
    }

    fn granted(&self, _kind: Kind, _action: Action) -> Result<(), SystemError> {
        Ok(())
    }

    /// Everything, whatever `since` says: the vendor's lists know no filter by the time of a change. Beside each record stands
    /// what is within it; notes have no list of their own.
    async fn changed(&self, kind: Kind, _since: Option<Millis>, page: Option<&str>) -> Result<Page, SystemError> {
        match kind {
            Kind::Contact => self.customer_page(page).await,
            Kind::Appointment => self.appointment_page(page).await,
            Kind::Note | Kind::Task => Ok(Page::empty()),
        }
    }

    fn shows(&self, link: &Link) -> Shown {
        self.in_lists(link)
    }

    async fn untold(&self, _kind: Kind, _page: Option<&str>) -> Result<Page, SystemError> {
        Ok(Page::empty())
    }
}
