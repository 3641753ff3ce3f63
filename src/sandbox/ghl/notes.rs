//! Notes of a contact and of an appointment. They carry `dateAdded` only; the webhooks of a contact's notes have neither
//! title nor user, an appointment's notes have no webhooks.
//!
//! In: fields. Out: what [`attached`] needs to know, and the two answers in which an appointment's notes differ.

use serde_json::json;

use super::answers::{Answer, Refusal};
use super::attached::{self, Sort};
use super::fields::{Fields, Shelf, only, text};
use super::routes::Call;
use super::{Ghl, webhooks};
use crate::sandbox::Turn;

/// The notes of contacts.
pub(super) struct Notes;

impl Sort for Notes {
    const NAME: &'static str = "Note";
    const ONE: &'static str = "note";
    const MANY: &'static str = "notes";
    const PARENT: &'static str = "contactId";
    const READ: &'static [&'static str] =
        &["id", "body", "userId", "dateAdded", "contactId", "title", "color", "pinned"];

    fn shelf(ghl: &Ghl) -> &Shelf {
        &ghl.notes
    }

    fn shelf_mut(ghl: &mut Ghl) -> &mut Shelf {
        &mut ghl.notes
    }

    fn parent<'a>(ghl: &'a Ghl, id: &str) -> Result<&'a Fields, Refusal> {
        ghl.contact(id)
    }

    fn fresh(_: &Fields) -> Fields {
        Fields::new()
    }

    fn written(input: &Fields) -> Fields {
        only(input, &["body", "userId", "title", "color", "pinned"])
    }

    fn updated(before: &Fields, after: &Fields) -> Option<&'static str> {
        (before != after).then_some("NoteUpdate")
    }

    fn tell(ghl: &Ghl, name: &str, object: &Fields, turn: &mut Turn<'_>) {
        webhooks::note(ghl, name, object, turn);
    }
}

/// The notes of appointments.
pub(super) struct AppointmentNotes;

impl Sort for AppointmentNotes {
    const NAME: &'static str = "Note";
    const ONE: &'static str = "note";
    const MANY: &'static str = "notes";
    const PARENT: &'static str = "appointmentId";
    const READ: &'static [&'static str] = &["id", "body", "userId", "dateAdded", "contactId"];

    fn shelf(ghl: &Ghl) -> &Shelf {
        &ghl.appointment_notes
    }

    fn shelf_mut(ghl: &mut Ghl) -> &mut Shelf {
        &mut ghl.appointment_notes
    }

    fn parent<'a>(ghl: &'a Ghl, id: &str) -> Result<&'a Fields, Refusal> {
        ghl.appointment(id)
    }

    fn fresh(parent: &Fields) -> Fields {
        only(parent, &["contactId"])
    }

    fn written(input: &Fields) -> Fields {
        only(input, &["body", "userId"])
    }

    fn updated(_: &Fields, _: &Fields) -> Option<&'static str> {
        None
    }

    fn tell(_: &Ghl, _: &str, _: &Fields, _: &mut Turn<'_>) {}
}

/// A page of an appointment's notes.
pub(super) fn of_appointment(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    let notes = attached::of::<AppointmentNotes>(ghl, &call.ids[0])?;
    let (offset, limit) = (call.number("offset", 0), call.number("limit", 0));
    let shown = notes.iter().skip(offset).take(limit).map(|note| attached::read::<AppointmentNotes>(note));
    Ok(json!({"notes": shown.collect::<Vec<_>>(), "hasMore": notes.len() > offset + limit}))
}

/// Unlike a contact's notes, it answers with `success`.
pub(super) fn delete_of_appointment(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    attached::remove::<AppointmentNotes>(ghl, &call.ids[0], &call.ids[1], turn)?;
    Ok(json!({"success": true}))
}

impl Ghl {
    /// An appointment's notes go with it.
    pub(super) fn drop_notes_of_appointment(&mut self, id: &str) {
        self.appointment_notes.retain(|_, note| text(note, "appointmentId") != id);
    }
}
