//! What TimeRex can hold: bookings, which only guests make and move, and which we can cancel.

use super::bookings::CONFIRMED;
use super::{Timerex, door};
use crate::model::{Action, CANCELLED, Change, Entity, Field, Kind, Observation, System, Value};
use crate::systems::{Expressed, Home, Terms, Unreadable};

pub(super) const NO_BOOKING: &str =
    "TimeRex has no call that creates a booking: only guests book; send the guest a one-time link";
pub(super) const NO_MOVE: &str =
    "TimeRex has no call that moves or edits a booking: only its guest can; a host cancels it and asks for a new one";
const NO_CONTACT: &str =
    "TimeRex has no contacts: its guests come in with their bookings; an extension can hold contacts";
const NO_TASK: &str = "TimeRex has no tasks; an extension can hold them";
const NO_NOTE: &str = "TimeRex has no notes; an extension can hold them";
const NO_TAGS: &str = "TimeRex has no tags; an extension can hold them";
/// Why a booking is not cancelled by us.
pub(super) const TELLS_GUEST: &str =
    "TimeRex tells the guest of each cancellation: cancel it there, or set [workspaces.notify] timerex = true";

/// The fields of a booking beside its status.
const FIELDS: [Field; 4] = [Field::START, Field::END, Field::CALENDAR, Field::TITLE];

impl Terms for Timerex {
    fn system(&self) -> System {
        System::Timerex
    }

    fn home(&self, kind: Kind) -> Home {
        match kind {
            Kind::Appointment => Home::Native,
            kind => Home::Kept(lacking(kind)),
        }
    }

    fn tags(&self) -> Home {
        Home::Kept(NO_TAGS)
    }

    fn creates(&self, kind: Kind) -> Result<(), &'static str> {
        Err(if kind == Kind::Appointment { NO_BOOKING } else { lacking(kind) })
    }

    fn changes(&self, kind: Kind) -> Result<(), &'static str> {
        Err(if kind == Kind::Appointment { NO_MOVE } else { lacking(kind) })
    }

    fn express(&self, kind: Kind, field: &Field, value: &Value) -> Expressed {
        match (kind, field) {
            (Kind::Appointment, field) if *field == Field::STATUS => match status(value) {
                cancelled if cancelled == Value::text(CANCELLED) && !self.team.notify => {
                    Expressed::Refused(TELLS_GUEST.to_owned())
                }
                status => Expressed::Holds(status),
            },
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

    /// A booking that is cancelled stays so.
    fn is_final(&self, kind: Kind, field: &Field, value: &Value) -> bool {
        kind == Kind::Appointment && *field == Field::STATUS && value.as_text() == Some(CANCELLED)
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

fn lacking(kind: Kind) -> &'static str {
    match kind {
        Kind::Appointment => NO_BOOKING,
        Kind::Contact => NO_CONTACT,
        Kind::Task => NO_TASK,
        Kind::Note => NO_NOTE,
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
