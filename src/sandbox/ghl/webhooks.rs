//! The webhooks that a change sends, in the vendor's shape and key order.
//!
//! In: the changed object. Out: a [`Webhook`] in the turn. Empty fields are left out, `name` of a contact too, as in the
//! captured bodies; no body names who made the change. Facts: GHL dossier 1.1 and 2.

use serde_json::{Value, json};

use super::fields::{Fields, flag, fresh_uuid, pick, text};
use super::{Ghl, contact_fields};
use crate::model::System;
use crate::sandbox::{Turn, Webhook};

const CONTACT: &[&str] = &[
    "id",
    "address1",
    "city",
    "state",
    "companyName",
    "firstName",
    "lastName",
    "email",
    "phone",
    "dnd",
    "dndSettings",
    "tags",
    "country",
    "source",
    "dateAdded",
    "dateOfBirth",
    "postalCode",
    "website",
    "assignedTo",
    "customFields",
    "attributionSource",
];
const TASK: &[&str] = &["id", "assignedTo", "body", "contactId", "title", "dateAdded", "dueDate"];
const BARE_TASK: &[&str] = &["id", "assignedTo", "title", "dateAdded", "dueDate"];
const NOTE: &[&str] = &["id", "body", "contactId", "dateAdded"];
const APPOINTMENT: &[&str] = &[
    "id",
    "address",
    "title",
    "calendarId",
    "contactId",
    "groupId",
    "appointmentStatus",
    "assignedUserId",
    "users",
    "notes",
    "source",
    "startTime",
    "endTime",
    "dateAdded",
    "dateUpdated",
];

pub(super) fn contact(ghl: &Ghl, name: &str, contact: &Fields, turn: &mut Turn<'_>) {
    let mut shown = contact.clone();
    contact_fields::midnight(&mut shown);
    if !flag(contact, "dnd") {
        shown.remove("dnd");
    }
    send(ghl, name, contact, pick(&shown, CONTACT), turn);
}

pub(super) fn task(ghl: &Ghl, name: &str, task: &Fields, turn: &mut Turn<'_>) {
    let bare = name == "TaskCreate" && ghl.settings.task_create_without_contact;
    send(ghl, name, task, pick(task, if bare { BARE_TASK } else { TASK }), turn);
}

pub(super) fn note(ghl: &Ghl, name: &str, note: &Fields, turn: &mut Turn<'_>) {
    send(ghl, name, note, pick(note, NOTE), turn);
}

pub(super) fn appointment(ghl: &Ghl, name: &str, appointment: &Fields, turn: &mut Turn<'_>) {
    let nested = Value::Object(pick(appointment, APPOINTMENT));
    let payload = Fields::from_iter([("appointment".to_owned(), nested)]);
    send(ghl, name, appointment, payload, turn);
}

/// What the app itself meets: INSTALL, UNINSTALL. Its head has no location: that is part of the payload, where it is one.
pub(super) fn app(ghl: &Ghl, name: &str, account: &str, payload: Value, turn: &mut Turn<'_>) {
    let app = ghl.settings.app_id.as_str();
    let head = [("type", name), ("appId", app), ("versionId", app)];
    let payload = if let Value::Object(payload) = payload { payload } else { Fields::new() };
    post(account, &head, payload, turn);
}

/// A business is told of as a record, without its head in the documents' examples; the envelope is the usual one.
pub(super) fn business(ghl: &Ghl, name: &str, business: &Fields, keys: &[&str], turn: &mut Turn<'_>) {
    if !ghl.settings.business_webhooks {
        return;
    }
    let properties: Vec<Value> =
        pick(business, keys).into_iter().map(|(key, value)| json!({"key": key, "valueString": value})).collect();
    let pairs = [
        ("id", business.get("id").cloned().unwrap_or_default()),
        ("owners", json!([])),
        ("followers", json!([])),
        ("properties", properties.into()),
    ];
    send(ghl, name, business, pairs.map(|(key, value)| (key.to_owned(), value)).into_iter().collect(), turn);
}

/// Only an installed app is told of what happens in a location.
fn send(ghl: &Ghl, name: &str, object: &Fields, payload: Fields, turn: &mut Turn<'_>) {
    let (location, app) = (text(object, "locationId"), ghl.settings.app_id.as_str());
    if ghl.settings.location(location).is_some_and(|location| !location.installed) {
        return;
    }
    let head = [("type", name), ("locationId", location), ("versionId", app), ("appId", app)];
    post(location, &head, payload, turn);
}

fn post(account: &str, head: &[(&str, &str)], payload: Fields, turn: &mut Turn<'_>) {
    let id = fresh_uuid(turn.rng);
    let mut body: Fields = head.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
    body.extend(payload);
    body.insert("timestamp".to_owned(), turn.now.rfc3339().into());
    body.insert("webhookId".to_owned(), id.clone().into());
    let (account, body) = (account.to_owned(), Value::Object(body));
    turn.webhooks.push(Webhook { system: System::Ghl, extension: false, account, id, body, push_to: None });
}
