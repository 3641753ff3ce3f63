//! Reads TIMIFY's webhooks: which object of which company, and whether it is gone.
//!
//! In: a verified webhook, or the body of a kept change. Out: its envelope; hints, and claims that objects are gone. The
//! vendor documents neither the names nor the body, so several spellings are taken, and nothing else is believed.

use serde_json::Value as Json;

use crate::clock::Millis;
use crate::model::{Class, ExternalId, Kind, Observation, Shape, Standing};
use crate::secret::digest;
use crate::systems::extension::door as extension;
use crate::systems::{Door, Envelope, Unreadable, wire};
use crate::verify::VerifiedWebhook;

const NAMES: &[&str] = &["/event", "/type", "/eventType", "/event_type", "/topic"];
const COMPANIES: &[&str] = &["/companyId", "/company_id", "/company/id", "/data/companyId", "/data/company_id"];
const IDS: &[&str] = &[
    "/data/id",
    "/data/_id",
    "/data/customerId",
    "/data/eventId",
    "/data/appointmentId",
    "/id",
    "/customerId",
    "/eventId",
    "/appointmentId",
];
const MANY: &[&str] = &["/data/ids", "/ids"];
const MOMENTS: &[&str] = &["/data/timestamp", "/data/updatedAt"];

/// With the first, anyone moves the appointment; the last is that of a reservation. How webhooks spell it is not documented.
const SECRETS: &[&str] = &["reschedulingSecret", "rescheduling_secret", "secret"];

/// The door of TIMIFY and of the extension beside it.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimifyDoor;

impl Door for TimifyDoor {
    fn envelope(&self, webhook: &VerifiedWebhook) -> Envelope {
        if webhook.is_extension() { extension::envelope(webhook) } else { read_envelope(&webhook.raw().body) }
    }

    fn secrets(&self) -> &'static [&'static str] {
        SECRETS
    }
}

/// As [`Door::envelope`], of the vendor's own body.
pub(super) fn read_envelope(body: &[u8]) -> Envelope {
    let Ok(json) = serde_json::from_slice::<Json>(body) else {
        return Envelope::unparsed("the body is not JSON");
    };
    let Some(name) = wire::first(&json, NAMES).as_str() else {
        return Envelope::unparsed("the body names no event");
    };
    let kind = named(name).map(|(kind, _)| kind);
    let ids = ids(&json);
    let (standing, reason) = match (kind, ids.is_empty()) {
        (None, _) => (Standing::NotMirrored, Some("not about a customer or an appointment")),
        (Some(_), true) => (Standing::Unparsed, Some("the body names no object")),
        (Some(_), false) => (Standing::Routed, None),
    };
    let at = wire::instant(wire::first(&json, MOMENTS));
    Envelope {
        // Two deliveries with the same bytes are one only where the bytes carry a moment: two deletions may look the same.
        delivery: at.map(|_| hex::encode(digest(body))),
        account: wire::id(wire::first(&json, COMPANIES)).map(|company| company.0),
        label: name.to_owned(),
        kind,
        object: if let [only] = ids.as_slice() { Some(only.clone()) } else { None },
        at,
        standing,
        reason: reason.map(str::to_owned),
    }
}

/// The kind, and whether the objects are gone: from `customer_updated`, `Customer.Updated`, `Events Deleted` and the like.
fn named(name: &str) -> Option<(Kind, bool)> {
    let words = words(name);
    let kind = match words.first()?.as_str() {
        "customer" | "customers" => Kind::Contact,
        "event" | "events" | "appointment" | "appointments" => Kind::Appointment,
        _ => return None,
    };
    match words.get(1)?.as_str() {
        "created" | "updated" => Some((kind, false)),
        "deleted" => Some((kind, true)),
        _ => None,
    }
}

/// Lower-case words, split at anything that is no letter and before capitals.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small_before = false;
    for c in name.chars() {
        if !c.is_alphabetic() || (c.is_uppercase() && small_before) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphabetic()) {
            word.extend(c.to_lowercase());
        }
        small_before = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn ids(json: &Json) -> Vec<ExternalId> {
    let many: Vec<_> = wire::items(wire::first(json, MANY)).iter().filter_map(wire::id).collect();
    if many.is_empty() { wire::id(wire::first(json, IDS)).into_iter().collect() } else { many }
}

/// One claim for each object that the body names: gone, or only that it is to be read.
pub(super) fn observe(body: &[u8], ours: impl Fn(Millis) -> Millis) -> Result<Vec<Observation>, Unreadable> {
    let json: Json =
        serde_json::from_slice(body).map_err(|error| Unreadable(format!("the body is not JSON: {error}")))?;
    let name = wire::first(&json, NAMES).as_str().unwrap_or_default();
    let (kind, gone) =
        named(name).ok_or_else(|| Unreadable(format!("`{name}` is not about an object that is mirrored")))?;
    let at = wire::instant(wire::first(&json, MOMENTS)).map(ours);
    let shape = if gone { Shape::Gone } else { Shape::Hint };
    let one = |id| Observation { at, ..Observation::new(kind, id, Class::Claim, shape.clone()) };
    Ok(ids(&json).into_iter().map(one).collect())
}
