//! GHL's webhooks: what one is about ([`GhlDoor`]), and what it says of an object.
//!
//! In: the raw body of a verified webhook. Out: its envelope, or observations. Contact, task and note webhooks carry no
//! version, so they are claims; an appointment carries its own last-updated. Bodies leave empty fields out, and no body
//! tells who made the change.

use serde_json::Value;

use super::map::Mapping;
use super::wire;
use crate::clock::Millis;
use crate::model::{Change, Class, Field, Kind, Observation, Origin, Shape, Standing, Value as Held};
use crate::systems::offset::ClockOffset;
use crate::systems::{Door, Envelope, Unreadable};
use crate::verify::VerifiedWebhook;

/// What a type of webhook tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// How the object stands.
    Stands,
    /// The task is done; the body has no flag for it.
    Done,
    /// The object is deleted.
    Deleted,
}

/// The types that we mirror. `TaskUpdate` is not documented; it costs nothing to understand it should it come.
const MIRRORED: &[(&str, Kind, Told)] = &[
    ("ContactCreate", Kind::Contact, Told::Stands),
    ("ContactUpdate", Kind::Contact, Told::Stands),
    ("ContactTagUpdate", Kind::Contact, Told::Stands),
    ("ContactDndUpdate", Kind::Contact, Told::Stands),
    ("ContactDelete", Kind::Contact, Told::Deleted),
    ("TaskCreate", Kind::Task, Told::Stands),
    ("TaskUpdate", Kind::Task, Told::Stands),
    ("TaskComplete", Kind::Task, Told::Done),
    ("TaskDelete", Kind::Task, Told::Deleted),
    ("NoteCreate", Kind::Note, Told::Stands),
    ("NoteUpdate", Kind::Note, Told::Stands),
    ("NoteDelete", Kind::Note, Told::Deleted),
    ("AppointmentCreate", Kind::Appointment, Told::Stands),
    ("AppointmentUpdate", Kind::Appointment, Told::Stands),
    ("AppointmentDelete", Kind::Appointment, Told::Deleted),
];

/// How the types begin that we know of and do not mirror: the app's own life, accounts, other objects.
const NOT_MIRRORED: &[&str] = &[
    "INSTALL",
    "UNINSTALL",
    "UPDATE",
    "PLAN_CHANGE",
    "Location",
    "User",
    "Record",
    "Relation",
    "Association",
    "ObjectSchema",
    "Opportunity",
    "Invoice",
    "Order",
    "Product",
    "Price",
    "Campaign",
    "Conversation",
    "Inbound",
    "Outbound",
    "ProviderOutbound",
    "LCEmail",
    "VoiceAi",
    "ExternalAuth",
    "SaasPlan",
];

/// The documented bodies of custom-object and association webhooks have no `type`; they are known by a key.
const UNNAMED: &[(&str, &str)] = &[("properties", "Record"), ("associationId", "Relation")];

/// No documented webhook has secrets; the record of a location has those of its Twilio and Mailgun accounts. The rest is what
/// tokens are called.
const SECRETS: &[&str] = &["authToken", "apiKey", "access_token", "refresh_token", "accessToken", "refreshToken"];

/// Reads GHL's envelopes.
#[derive(Debug, Clone, Copy, Default)]
pub struct GhlDoor;

impl Door for GhlDoor {
    fn envelope(&self, webhook: &VerifiedWebhook) -> Envelope {
        envelope(&webhook.raw().body)
    }

    fn secrets(&self) -> &'static [&'static str] {
        SECRETS
    }
}

fn envelope(body: &[u8]) -> Envelope {
    let body: Value = match serde_json::from_slice(body) {
        Ok(body @ Value::Object(_)) => body,
        Ok(_) => return Envelope::unparsed("the body is no JSON object"),
        Err(_) => return Envelope::unparsed("the body is not JSON"),
    };
    let Some(label) = label(&body) else { return Envelope::unparsed("the body has no `type`") };
    let mut envelope = Envelope {
        delivery: wire::text(&body, "webhookId").map(str::to_owned),
        account: account_of(label, &body).map(str::to_owned),
        label: label.to_owned(),
        kind: None,
        object: None,
        at: wire::instant(&body["timestamp"]),
        standing: Standing::NotMirrored,
        reason: None,
    };
    if let Some((kind, _)) = mirrored(label) {
        let object = payload(kind, &body);
        let location = || wire::text(object, "locationId").map(str::to_owned);
        envelope.account = envelope.account.or_else(location);
        (envelope.kind, envelope.object) = (Some(kind), wire::id(object));
        envelope.standing = Standing::Routed;
        if envelope.object.is_none() {
            (envelope.standing, envelope.reason) = (Standing::Unparsed, Some(format!("the {kind} has no `id`")));
        }
    } else if !NOT_MIRRORED.iter().any(|known| label.starts_with(known)) {
        (envelope.standing, envelope.reason) = (Standing::Unparsed, Some("its `type` is unknown".to_owned()));
    }
    envelope
}

fn label(body: &Value) -> Option<&str> {
    let unnamed = || UNNAMED.iter().find(|(key, _)| body.get(key).is_some()).map(|(_, label)| *label);
    wire::text(body, "type").or_else(unnamed)
}

/// The location; of what is about an agency and not mirrored, the company.
fn account_of<'a>(label: &str, body: &'a Value) -> Option<&'a str> {
    let named = |key: &str, named: bool| if named { wire::text(body, key) } else { None };
    wire::text(body, "locationId")
        .or_else(|| named("id", label.starts_with("Location")))
        .or_else(|| named("companyId", mirrored(label).is_none()))
}

fn mirrored(label: &str) -> Option<(Kind, Told)> {
    MIRRORED.iter().find(|(known, ..)| *known == label).map(|(_, kind, told)| (*kind, *told))
}

/// Appointments are nested, all else is flat.
fn payload(kind: Kind, body: &Value) -> &Value {
    if kind == Kind::Appointment { wire::unwrapped(kind, body) } else { body }
}

/// What a change of GHL says.
pub(super) fn observe(
    mapping: &Mapping,
    offset: &ClockOffset,
    change: &Change,
) -> Result<Vec<Observation>, Unreadable> {
    let said = &change.said;
    if said.origin != Origin::Webhook {
        return hint(change).map(|hint| vec![hint]);
    }
    let body: Value = serde_json::from_slice(&said.body).map_err(|_| Unreadable("the body is not JSON".to_owned()))?;
    let told = label(&body).and_then(mirrored);
    let (kind, told) = told.ok_or_else(|| Unreadable("its `type` is nothing that is mirrored".to_owned()))?;
    let object = payload(kind, &body);
    let id = wire::id(object).ok_or_else(|| Unreadable(format!("the {kind} has no `id`")))?;
    let (class, shape) = told_of(mapping, kind, told, object);
    let sent = wire::instant(&body["timestamp"]);
    let edited = if let Class::Versioned(version) = class { Some(version) } else { sent };
    let mut observation = Observation::new(kind, id, class, shape);
    observation.parent = wire::parent(kind, object);
    // No documented or captured body of a contact names its business, also where it has one.
    observation.silent.extend((kind == Kind::Contact).then_some(Field::BUSINESS));
    observation.at = edited.map(|at: Millis| offset.to_ours(at));
    Ok(vec![observation])
}

fn told_of(mapping: &Mapping, kind: Kind, told: Told, object: &Value) -> (Class, Shape) {
    let said = match (told, kind) {
        (Told::Deleted, _) => Ok(Shape::Gone),
        // Which contact it belongs to must be found out first (a known fault of real TaskCreate bodies).
        (_, Kind::Task | Kind::Appointment) if wire::parent(kind, object).is_none() => Ok(Shape::Hint),
        (Told::Done, _) => mapping.stated(kind, object).map(|mut fields| {
            fields.insert(Field::COMPLETED, Held::Flag(true));
            Shape::Partial(fields)
        }),
        // No task webhook has the flag, so its absence says nothing.
        (Told::Stands, Kind::Task) => mapping.stated(kind, object).map(Shape::Partial),
        // Whole, but for empty fields: a field that a snapshot knows and that is absent here raises a doubt.
        (Told::Stands, _) => mapping.whole(kind, object).map(Shape::Full),
    };
    // A field in a form that nobody documents: the object is read instead.
    let shape = said.unwrap_or(Shape::Hint);
    (class_of(kind, object, &shape), shape)
}

/// An appointment proves something by its version, unless a field is absent: that may be emptied or left out.
fn class_of(kind: Kind, object: &Value, shape: &Shape) -> Class {
    let whole = matches!(shape, Shape::Full(fields) if fields.len() == wire::columns(kind).len());
    let version = wire::updated(object).filter(|_| kind == Kind::Appointment && whole);
    version.map_or(Class::Claim, Class::Versioned)
}

/// A change that is no webhook (a row that reconcile listed) only names its object; what it saw is found out by reading.
fn hint(change: &Change) -> Result<Observation, Unreadable> {
    let said = &change.said;
    let (Some(kind), Some(id)) = (said.kind, said.object.clone()) else {
        return Err(Unreadable("the change names no object".to_owned()));
    };
    let body: Value = serde_json::from_slice(&said.body).unwrap_or_default();
    let mut hint = Observation::new(kind, id, Class::Claim, Shape::Hint);
    (hint.parent, hint.at) = (wire::parent(kind, &body), said.at);
    Ok(hint)
}

#[cfg(test)]
mod tests;
