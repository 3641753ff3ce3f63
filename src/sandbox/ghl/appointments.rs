//! Appointments. Their last-updated time shows only when read, not in the answer of a write (v2).
//!
//! In: checked bodies and users' fields. Out: answers; `AppointmentCreate`, `AppointmentUpdate`, `AppointmentDelete`.
//! Times are shown with the offset of the location's zone, and naive in a contact's list. A description is shown as
//! `notes` too. A recurring appointment is kept and shown as its master only. Slots have a page of their own.

use serde_json::{Value, json};

use super::answers::{Answer, Refusal};
use super::fields::{Fields, Shelf, apply, flag, fresh_id, oldest_first, only, pick, text};
use super::routes::Call;
use super::slots::SLOT;
use super::{Ghl, times, webhooks};
use crate::clock::Millis;
use crate::sandbox::Turn;

const READ: &[&str] = &[
    "id",
    "address",
    "title",
    "calendarId",
    "locationId",
    "contactId",
    "groupId",
    "appointmentStatus",
    "assignedUserId",
    "users",
    "notes",
    "description",
    "isRecurring",
    "rrule",
    "startTime",
    "endTime",
    "dateAdded",
    "dateUpdated",
    "createdBy",
    "masterEventId",
];
const WRITE_ANSWER: &[&str] = &[
    "calendarId",
    "locationId",
    "contactId",
    "startTime",
    "endTime",
    "title",
    "meetingLocationType",
    "appointmentStatus",
    "assignedUserId",
    "address",
    "isRecurring",
    "rrule",
    "id",
];
const OF_CONTACT: &[&str] = &[
    "id",
    "calendarId",
    "status",
    "title",
    "assignedUserId",
    "notes",
    "startTime",
    "endTime",
    "address",
    "locationId",
    "contactId",
    "groupId",
    "appointmentStatus",
    "users",
    "dateAdded",
    "dateUpdated",
];
const WRITABLE: &[&str] = &[
    "calendarId",
    "title",
    "meetingLocationType",
    "appointmentStatus",
    "assignedUserId",
    "description",
    "address",
    "rrule",
    "startTime",
    "endTime",
];
/// What v3 answers to a write beyond v2.
const WRITE_DATES: &[&str] = &["dateAdded", "dateUpdated"];

pub(super) fn post(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let contact = text(&call.body, "contactId");
    if text(ghl.contact(contact)?, "locationId") != text(&call.body, "locationId") {
        return Err(Refusal::unknown("Contact", contact));
    }
    let calendar = ghl.settings.calendar(text(&call.body, "calendarId"));
    if calendar.is_some_and(|calendar| calendar.demands_user) && text(&call.body, "assignedUserId").is_empty() {
        return Err(Refusal::bad_request("Either userId or assignedUserId must be set"));
    }
    let check_slot = !flag(&call.body, "ignoreFreeSlotValidation");
    let id = ghl.create_appointment(contact, &call.body, check_slot, turn)?;
    ghl.note_mailing("create", &id, &call.body);
    Ok(written(&ghl.appointments[&id], call))
}

/// What a write answers: the appointment itself, not wrapped.
fn written(appointment: &Fields, call: &Call) -> Value {
    let mut shown = pick(appointment, WRITE_ANSWER);
    if call.v3 {
        shown.extend(pick(appointment, WRITE_DATES));
    }
    Value::Object(shown)
}

pub(super) fn get(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    Ok(json!({"event": read(ghl.appointment(&call.ids[0])?)}))
}

pub(super) fn put(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let check_slot = !flag(&call.body, "ignoreFreeSlotValidation");
    ghl.update_appointment(&call.ids[0], &call.body, check_slot, turn)?;
    ghl.note_mailing("update", &call.ids[0], &call.body);
    Ok(written(ghl.appointment(&call.ids[0])?, call))
}

/// Of an appointment or a block.
pub(super) fn delete(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    if ghl.blocks.remove(&call.ids[0]).is_none() {
        ghl.delete_appointment(&call.ids[0], turn)?;
    }
    Ok(json!({"succeeded": true}))
}

/// The appointments of a calendar, a user or a group that touch a span of time (epoch milliseconds).
pub(super) fn list(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    Ok(json!({"events": listed(&ghl.appointments, call)?}))
}

/// What a list of events asks for, out of appointments or blocks.
pub(super) fn listed(shelf: &Shelf, call: &Call) -> Result<Vec<Fields>, Refusal> {
    let by = [("calendarId", "calendarId"), ("userId", "assignedUserId"), ("groupId", "groupId")];
    if by.iter().all(|(key, _)| call.asked(key).is_empty()) {
        return Err(Refusal::bad_request("Either of userId, calendarId or groupId is required"));
    }
    let (Ok(from), Ok(to)) = (call.asked("startTime").parse().map(Millis), call.asked("endTime").parse().map(Millis))
    else {
        return Err(Refusal::unprocessable(vec!["startTime and endTime must be epoch milliseconds".to_owned()]));
    };
    let found = oldest_first(shelf, |one| {
        let (start, end) = span(one);
        let fits = |(key, field): &(&str, &str)| call.asked(key).is_empty() || call.asked(key) == text(one, field);
        text(one, "locationId") == call.asked("locationId") && by.iter().all(fits) && start <= to && end >= from
    });
    Ok(found.into_iter().map(read).collect())
}

/// A contact's appointments, in naive local time and with two names for the status.
pub(super) fn of_contact(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    let zone = ghl.zone(text(ghl.contact(&call.ids[0])?, "locationId"));
    let shown = |appointment: &Fields| {
        let mut shown = appointment.clone();
        let (start, end) = span(appointment);
        shown.insert("startTime".to_owned(), times::naive(start, &zone).into());
        shown.insert("endTime".to_owned(), times::naive(end, &zone).into());
        shown.insert("status".to_owned(), text(appointment, "appointmentStatus").into());
        pick(&shown, OF_CONTACT)
    };
    let held = oldest_first(&ghl.appointments, |appointment| text(appointment, "contactId") == call.ids[0]);
    Ok(json!({"events": held.into_iter().map(shown).collect::<Vec<_>>()}))
}

/// The read model; of a block its contact is shown as an empty text.
pub(super) fn read(appointment: &Fields) -> Fields {
    let mut shown = pick(appointment, READ);
    for key in ["title", "contactId"] {
        shown.entry(key).or_insert_with(|| "".into());
    }
    shown
}

impl Ghl {
    pub(super) fn appointment(&self, id: &str) -> Result<&Fields, Refusal> {
        self.appointments.get(id).ok_or_else(|| Refusal::unknown("Event", id))
    }

    /// Writes down a call that let the vendor write to the contact: `toNotify` is true unless it says false.
    fn note_mailing(&mut self, call: &str, id: &str, body: &Fields) {
        if body.get("toNotify") != Some(&json!(false)) {
            let reason = if body.contains_key("toNotify") { "asked" } else { "default" };
            self.notified.push(json!({"id": id, "call": call, "reason": reason, "customers": 1}));
        }
    }

    pub(super) fn create_appointment(
        &mut self,
        contact: &str,
        input: &Fields,
        check_slot: bool,
        turn: &mut Turn<'_>,
    ) -> Result<String, Refusal> {
        let location = text(self.contact(contact)?, "locationId").to_owned();
        let id = fresh_id(turn.rng);
        let start = json!({
            "id": id, "locationId": location, "contactId": contact, "appointmentStatus": "confirmed", "users": [],
            "isRecurring": input.contains_key("rrule"), "source": "third_party", "createdBy": {"source": "third_party"},
            "dateAdded": turn.now.rfc3339(), "dateUpdated": turn.now.rfc3339(),
        });
        let Value::Object(mut appointment) = start else { return Err(Refusal::bad_request("Bad Request")) };
        if input.contains_key("rrule") {
            appointment.insert("masterEventId".to_owned(), id.clone().into());
        }
        self.set_appointment(&mut appointment, input, check_slot.then_some(turn.now))?;
        webhooks::appointment(self, "AppointmentCreate", &appointment, turn);
        self.appointments.insert(id.clone(), appointment);
        Ok(id)
    }

    pub(super) fn update_appointment(
        &mut self,
        id: &str,
        input: &Fields,
        check_slot: bool,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let before = self.appointment(id)?;
        let mut after = before.clone();
        self.set_appointment(&mut after, input, check_slot.then_some(turn.now))?;
        if after != *before {
            after.insert("dateUpdated".to_owned(), turn.now.rfc3339().into());
            webhooks::appointment(self, "AppointmentUpdate", &after, turn);
            self.appointments.insert(id.to_owned(), after);
        }
        Ok(())
    }

    pub(super) fn delete_appointment(&mut self, id: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let appointment = self.appointment(id)?.clone();
        self.appointments.remove(id);
        self.drop_notes_of_appointment(id);
        webhooks::appointment(self, "AppointmentDelete", &appointment, turn);
        Ok(())
    }

    /// Applies a write and fills what it leaves open: end, title, user and group of the calendar. A start that moves
    /// alone keeps the length. With an instant, a new time must be a free slot as of then.
    fn set_appointment(&self, appointment: &mut Fields, input: &Fields, check: Option<Millis>) -> Result<(), Refusal> {
        let (old_start, old_end) = span(appointment);
        let length = if old_end > old_start { old_end.since(old_start) } else { SLOT };
        apply(appointment, only(input, WRITABLE));
        let calendar = self.calendar_in(text(appointment, "locationId"), text(appointment, "calendarId"))?;
        let written = text(appointment, "startTime").to_owned();
        let start = Millis::parse(&written)
            .ok_or_else(|| Refusal::unprocessable(vec!["startTime must be a valid ISO 8601 date string".to_owned()]))?;
        let end = Millis::parse(text(input, "endTime")).unwrap_or(start + length);
        let moved = start != old_start || end != old_end;
        let own = text(appointment, "id");
        if check.is_some_and(|now| moved && !self.is_bookable(&calendar.id, &written, end, own, now)) {
            return Err(Refusal::bad_request("The slot you have selected is no longer available."));
        }
        let zone = self.zone(&calendar.location);
        appointment.insert("startTime".to_owned(), times::with_offset(start, &zone).into());
        appointment.insert("endTime".to_owned(), times::with_offset(end, &zone).into());
        appointment.insert("groupId".to_owned(), calendar.group.clone().into());
        for (key, usual) in [("title", &calendar.name), ("assignedUserId", &calendar.user)] {
            appointment.entry(key).or_insert_with(|| usual.clone().into());
        }
        match appointment.get("description").cloned() {
            Some(text) => appointment.insert("notes".to_owned(), text),
            None => appointment.remove("notes"),
        };
        Ok(())
    }
}

/// Start and end; 1970 when there are none yet.
pub(super) fn span(appointment: &Fields) -> (Millis, Millis) {
    let at = |key| Millis::parse(text(appointment, key)).unwrap_or_default();
    (at("startTime"), at("endTime"))
}
