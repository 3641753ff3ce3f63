//! What TIMIFY can hold.

use super::{Timify, appointments, customers, door};
use crate::model::{Action, Change, Entity, Field, Kind, Observation, System, Value};
use crate::systems::{Expressed, Home, Terms, Unreadable};

const NO_SUCH: &str = "TIMIFY has no tasks and no lists of notes";
const NO_TAGS: &str = "TIMIFY's API has no tags of customers";
/// What a deletion of an appointment is elsewhere, and what is not kept here.
const CANCELLED: &str = "cancelled";

impl Terms for Timify {
    fn system(&self) -> System {
        System::Timify
    }

    fn home(&self, kind: Kind) -> Home {
        match kind {
            Kind::Contact | Kind::Appointment => Home::Native,
            Kind::Task | Kind::Note => Home::Kept(NO_SUCH),
        }
    }

    fn tags(&self) -> Home {
        Home::Kept(NO_TAGS)
    }

    fn creates(&self, kind: Kind) -> Result<(), &'static str> {
        if self.home(kind).holds() { Ok(()) } else { Err(NO_SUCH) }
    }

    fn changes(&self, kind: Kind) -> Result<(), &'static str> {
        self.creates(kind)
    }

    /// Tags are absent: their home is the extension.
    fn express(&self, kind: Kind, field: &Field, value: &Value) -> Expressed {
        match kind {
            Kind::Appointment => appointments::express(&self.company, field, value),
            Kind::Contact if customers::knows(field, self.definitions.get()) => Expressed::Holds(value.clone()),
            _ => Expressed::Absent,
        }
    }

    fn carriers(&self, kind: Kind, field: &Field, value: &Value, making: bool) -> &'static [Action] {
        match self.express(kind, field, value) {
            Expressed::Absent => &[],
            _ if making => &[Action::Create],
            _ => &[Action::Update],
        }
    }

    fn wants(&self, entity: &Entity) -> bool {
        entity.kind != Kind::Appointment || entity.value(&Field::STATUS).as_text() != Some(CANCELLED)
    }

    fn gone_means(&self, kind: Kind) -> Option<(Field, Value)> {
        (kind == Kind::Appointment).then(|| (Field::STATUS, Value::text(CANCELLED)))
    }

    fn observe(&self, change: &Change) -> Result<Vec<Observation>, Unreadable> {
        door::observe(&change.said.body, |at| self.caller.offset().to_ours(at))
    }
}
