//! What TimeRex can hold: bookings, which only guests make and move, and which we can cancel.

use super::bookings::{CANCELLED, CONFIRMED};
use super::{Timerex, door};
use crate::model::{Action, Change, Entity, Field, Kind, Observation, System, Value};
use crate::systems::{Expressed, Home, Terms, Unreadable};

const NO_BOOKING: &str = "TimeRex has no call that creates a booking; send a one-time link";
const NO_MOVE: &str = "TimeRex has no call that moves or edits a booking; only its guest can";
const NO_CONTACT: &str = "TimeRex has no contacts: guests come in through bookings";
const NO_SUCH: &str = "TimeRex has no tasks and no notes";

/// The fields of a booking beside its status.
const FIELDS: [Field; 4] = [Field::START, Field::END, Field::CALENDAR, Field::TITLE];

impl Terms for Timerex {
    fn system(&self) -> System {
        System::Timerex
    }

    fn home(&self, kind: Kind) -> Home {
        match kind {
            Kind::Appointment => Home::Native,
            Kind::Contact => Home::Kept(NO_CONTACT),
            Kind::Task | Kind::Note => Home::Kept(NO_SUCH),
        }
    }

    fn tags(&self) -> Home {
        Home::Kept(NO_CONTACT)
    }

    fn creates(&self, kind: Kind) -> Result<(), &'static str> {
        Err(match kind {
            Kind::Appointment => NO_BOOKING,
            Kind::Contact => NO_CONTACT,
            Kind::Task | Kind::Note => NO_SUCH,
        })
    }

    fn changes(&self, kind: Kind) -> Result<(), &'static str> {
        Err(if kind == Kind::Appointment { NO_MOVE } else { NO_SUCH })
    }

    fn express(&self, kind: Kind, field: &Field, value: &Value) -> Expressed {
        match (kind, field) {
            (Kind::Appointment, field) if *field == Field::STATUS => Expressed::Holds(status(value)),
            (Kind::Appointment, field) if FIELDS.contains(field) => Expressed::Holds(value.clone()),
            _ => Expressed::Absent,
        }
    }

    fn carriers(&self, kind: Kind, field: &Field, value: &Value, making: bool) -> &'static [Action] {
        let cancels = kind == Kind::Appointment && *field == Field::STATUS && status(value) == Value::text(CANCELLED);
        if cancels && !making { &[Action::Cancel] } else { &[] }
    }

    fn wants(&self, _entity: &Entity) -> bool {
        true
    }

    /// Nothing is deleted there; should a booking be gone all the same, it does not take place.
    fn gone_means(&self, kind: Kind) -> Option<(Field, Value)> {
        (kind == Kind::Appointment).then(|| (Field::STATUS, Value::text(CANCELLED)))
    }

    fn observe(&self, change: &Change) -> Result<Vec<Observation>, Unreadable> {
        let ours = |at| self.caller.offset().to_ours(at);
        door::observe(&change.said.body, &self.team, ours).map(|one| vec![one])
    }
}

/// TimeRex knows confirmed and cancelled. Every other status is a booking that stands: `invalid`, too, for cancelling cannot be
/// taken back and tells the guest, so it takes the word itself. A status that was never set stays unset.
fn status(value: &Value) -> Value {
    match value.as_text() {
        None => Value::Blank,
        Some(CANCELLED) => Value::text(CANCELLED),
        Some(_) => Value::text(CONFIRMED),
    }
}
