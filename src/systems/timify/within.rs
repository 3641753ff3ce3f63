//! What stands within something else: its ids, and the later occurrences of a recurring appointment.
//!
//! One record holds a whole series. Its id stays that of the first occurrence; each later one is an appointment of its own,
//! `APPOINTMENT#DAY`, which can be read and not be changed. (The notes within customers are in `notes`.)

use serde_json::Value as Json;

use super::{Timify, appointments};
use crate::model::{Class, ExternalId, Fields, Kind, Observation, Place};
use crate::systems::{Reading, SystemError, wire};

impl Timify {
    /// All that stands within an object, as claims; `None`: the record does not tell.
    pub(super) fn all_within(&self, kind: Kind, id: &ExternalId, record: &Json) -> Option<Vec<Observation>> {
        if kind == Kind::Contact {
            return self.notes_within(id, record);
        }
        let later = appointments::later(record, &self.company.calendars)?;
        let one = |(day, fields): (String, Fields)| self.occurrence(id, &day, fields, record, Class::Claim);
        Some(later.into_iter().map(one).collect())
    }

    fn occurrence(&self, first: &ExternalId, day: &str, fields: Fields, record: &Json, class: Class) -> Observation {
        let one = Observation::new(Kind::Appointment, first.inner(day), class, appointments::shape(fields));
        Observation { parent: appointments::customer(record), ..self.dated(one, record) }
    }

    /// Reads one occurrence of a series: it is gone if the series is, or has it no more. A record without its parts says neither.
    pub(super) async fn read_occurrence(
        &self,
        place: &Place,
        first: &ExternalId,
        day: &str,
    ) -> Result<Reading, SystemError> {
        let (status, json) = match self.get(&self.path(Kind::Appointment, first)?).await {
            Ok(answer) => answer,
            Err(SystemError::Gone { status, .. }) => return Ok(Reading::new(wire::gone(place), status)),
            Err(error) => return Err(error),
        };
        let record = &json["data"];
        if wire::id(wire::first(record, &["/id", "/_id"])).is_none() {
            return Err(self.garbled(status, "no record with an id"));
        }
        let later = appointments::later(record, &self.company.calendars);
        let mut later = later.ok_or_else(|| self.garbled(status, "an appointment without its `bookings`"))?;
        let seen = later.remove(day).map(|fields| self.occurrence(first, day, fields, record, Class::Current));
        Ok(Reading::new(seen.unwrap_or_else(|| wire::gone(place)), status))
    }
}
