//! GHL's JSON: which key holds which field, and in what form. Tables and lenient look-ups only; values are read and
//! written in `map`.

use serde_json::Value;

use crate::clock::Millis;
use crate::model::{ExternalId, Field, Kind};

/// The form of a value in GHL's JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Any text.
    Text,
    /// An e-mail address.
    Email,
    /// A phone number; GHL stores E.164.
    Phone,
    /// A two-letter country code.
    Country,
    /// A date: `YYYY-MM-DD` on read, ISO midnight UTC in a create's answer and in webhooks.
    Day,
    /// ISO 8601 with `Z` or an offset, or epoch milliseconds.
    Instant,
    /// As `Instant`; a task without a due date has [`NO_DUE`](super::map::NO_DUE).
    Due,
    /// `true` or `false`; absent is `false`.
    Flag,
    /// A calendar id.
    Calendar,
    /// An appointment status.
    Status,
    /// The id of another object. It is read with the contact and written by a call of its own.
    Tie,
}

/// One field and where it stands.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) field: Field,
    pub(super) key: &'static str,
    pub(super) form: Form,
}

const fn column(field: Field, key: &'static str, form: Form) -> Column {
    Column { field, key, form }
}

static CONTACT: [Column; 11] = [
    column(Field::FIRST_NAME, "firstName", Form::Text),
    column(Field::LAST_NAME, "lastName", Form::Text),
    column(Field::EMAIL, "email", Form::Email),
    column(Field::PHONE, "phone", Form::Phone),
    column(Field::ADDRESS, "address1", Form::Text),
    column(Field::CITY, "city", Form::Text),
    column(Field::STATE, "state", Form::Text),
    column(Field::POSTAL_CODE, "postalCode", Form::Text),
    column(Field::COUNTRY, "country", Form::Country),
    column(Field::BIRTHDAY, "dateOfBirth", Form::Day),
    column(Field::BUSINESS, "businessId", Form::Tie),
];

static TASK: [Column; 4] = [
    column(Field::TITLE, "title", Form::Text),
    column(Field::BODY, "body", Form::Text),
    column(Field::DUE, "dueDate", Form::Due),
    column(Field::COMPLETED, "completed", Form::Flag),
];

static NOTE: [Column; 1] = [column(Field::BODY, "body", Form::Text)];

static APPOINTMENT: [Column; 5] = [
    column(Field::CALENDAR, "calendarId", Form::Calendar),
    column(Field::START, "startTime", Form::Instant),
    column(Field::END, "endTime", Form::Instant),
    column(Field::TITLE, "title", Form::Text),
    column(Field::STATUS, "appointmentStatus", Form::Status),
];

/// The plain fields of a kind. Tags and custom fields of a contact are lists and stand apart.
pub(super) fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Contact => &CONTACT,
        Kind::Task => &TASK,
        Kind::Note => &NOTE,
        Kind::Appointment => &APPOINTMENT,
    }
}

/// The plain field's column.
pub(super) fn column_of(kind: Kind, field: &Field) -> Option<&'static Column> {
    columns(kind).iter().find(|column| column.field == *field)
}

/// The object in an answer: GHL wraps it in the name of its kind, except some appointment answers.
pub(super) fn unwrapped(kind: Kind, body: &Value) -> &Value {
    let names: &[&str] = match kind {
        Kind::Contact => &["contact"],
        Kind::Task => &["task"],
        Kind::Note => &["note"],
        Kind::Appointment => &["event", "appointment"],
    };
    names.iter().map(|name| &body[*name]).find(|inner| inner.is_object()).unwrap_or(body)
}

/// The objects in the answer to a list or search.
pub(super) fn listed(kind: Kind, body: &Value) -> &[Value] {
    let name = match kind {
        Kind::Contact => "contacts",
        Kind::Task => "tasks",
        Kind::Note => "notes",
        Kind::Appointment => "events",
    };
    body[name].as_array().map_or(&[], Vec::as_slice)
}

/// A text that says something.
pub(super) fn text<'a>(json: &'a Value, key: &str) -> Option<&'a str> {
    json[key].as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// The object's id; search answers may spell it `_id`.
pub(super) fn id(json: &Value) -> Option<ExternalId> {
    text(json, "id").or_else(|| text(json, "_id")).map(ExternalId::new)
}

/// The contact that the object belongs to.
pub(super) fn parent(kind: Kind, json: &Value) -> Option<ExternalId> {
    if kind == Kind::Contact { None } else { text(json, "contactId").map(ExternalId::new) }
}

/// The object's own last-updated, on GHL's clock (contacts and appointments have one).
pub(super) fn updated(json: &Value) -> Option<Millis> {
    instant(&json["dateUpdated"])
}

/// An instant, as text or as epoch milliseconds.
pub(super) fn instant(value: &Value) -> Option<Millis> {
    value.as_str().map_or_else(|| value.as_i64().map(Millis), Millis::parse)
}

/// Whether the object says that it is deleted: contacts are deleted softly, v3 events have a flag.
pub(super) fn deleted(json: &Value) -> bool {
    json["deleted"] == true
}
