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

/// Where the name stands: object and what happened in one text (`Events Deleted`, `customer.updated`).
const NAMES: &[&str] = &[
    "/event",
    "/type",
    "/eventType",
    "/event_type",
    "/eventName",
    "/event_name",
    "/name",
    "/topic",
    "/trigger",
    "/action",
];
/// Where the two stand apart.
const OBJECTS: &[&str] =
    &["/object", "/objectType", "/object_type", "/entity", "/model", "/resource", "/type", "/event"];
const ACTIONS: &[&str] = &["/action", "/type", "/operation", "/eventType", "/event_type", "/event"];
/// Where the object stands: in one of these, or beside the name.
const PLACES: &[&str] = &["/data", "/payload", "/object", "/body", ""];
const COMPANIES: &[&str] = &["companyId", "company_id", "company/id", "company/_id"];
const MANY: &[&str] =
    &["ids", "eventIds", "event_ids", "appointmentIds", "appointment_ids", "customerIds", "customer_ids"];
const MOMENTS: &[&str] =
    &["/data/timestamp", "/data/updatedAt", "/payload/timestamp", "/payload/updatedAt", "/timestamp", "/updatedAt"];

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
    let Some((name, meaning)) = name(&json) else {
        return Envelope::unparsed("the body names no event");
    };
    let kind = meaning.map(|(kind, _)| kind);
    let ids = kind.map(|kind| ids(&json, kind)).unwrap_or_default();
    let (standing, reason) = match (kind, ids.is_empty()) {
        (None, _) => (Standing::NotMirrored, Some("not about a customer or an appointment")),
        (Some(_), true) => (Standing::Unparsed, Some("the body names no object")),
        (Some(_), false) => (Standing::Routed, None),
    };
    let at = wire::instant(wire::first(&json, MOMENTS));
    Envelope {
        // Two deliveries with the same bytes are one only where the bytes carry a moment: two deletions may look the same.
        delivery: at.map(|_| hex::encode(digest(body))),
        account: company(&json).map(|company| company.0),
        label: name,
        kind,
        object: if let [only] = ids.as_slice() { Some(only.clone()) } else { None },
        at,
        standing,
        reason: reason.map(str::to_owned),
    }
}

/// What the body is called, and what that means to us: the kind, and whether the objects are gone.
fn name(json: &Json) -> Option<(String, Option<(Kind, bool)>)> {
    let texts = |pointers: &'static [&'static str]| pointers.iter().filter_map(|at| json.pointer(at)?.as_str());
    let whole = texts(NAMES).map(str::to_owned);
    let apart = texts(OBJECTS).flat_map(|object| texts(ACTIONS).map(move |action| format!("{object} {action}")));
    let meant = whole.chain(apart).find_map(|name| named(&name).map(|meaning| (name, Some(meaning))));
    meant.or_else(|| texts(NAMES).next().map(|name| (name.to_owned(), None)))
}

/// The kind, and whether the objects are gone: from `customer_updated`, `Customer.Updated`, `Events Deleted`,
/// `event.deleted.bulk`, `CUSTOMER_CREATE` and the like. Any further word makes it something else: `Customer Fields Created`.
fn named(name: &str) -> Option<(Kind, bool)> {
    let mut words = words(name);
    words.retain(|word| word != "bulk");
    let [one, other] = words.as_slice() else { return None };
    let kind = |word: &str| match word {
        "customer" | "customers" => Some(Kind::Contact),
        "event" | "events" | "appointment" | "appointments" => Some(Kind::Appointment),
        _ => None,
    };
    let gone = |word: &str| match word {
        "created" | "create" | "updated" | "update" => Some(false),
        "deleted" | "delete" => Some(true),
        _ => None,
    };
    kind(one).zip(gone(other)).or_else(|| kind(other).zip(gone(one)))
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

/// The company, in the first place that names one.
fn company(json: &Json) -> Option<ExternalId> {
    let pointers = PLACES.iter().flat_map(|place| COMPANIES.iter().map(move |key| format!("{place}/{key}")));
    pointers.filter_map(|pointer| json.pointer(&pointer)).find_map(wire::id)
}

/// The objects that the body names: a list of ids or of objects, else one.
fn ids(json: &Json, kind: Kind) -> Vec<ExternalId> {
    let one = |json: &Json| object_id(json, kind);
    let listed = |place: &Json| {
        let lists = MANY.iter().map(|key| &place[*key]).chain([place]);
        lists.map(|list| wire::items(list).iter().filter_map(one).collect::<Vec<_>>()).find(|ids| !ids.is_empty())
    };
    let places = || PLACES.iter().filter_map(|place| json.pointer(place));
    // A text beside the name may be any; in `data` it can only be the id.
    let plain = || ["/data", "/payload"].iter().filter_map(|place| json.pointer(place)).find_map(wire::id);
    let single = || places().filter(|place| place.is_object()).find_map(one);
    places().find_map(listed).unwrap_or_else(|| plain().or_else(single).into_iter().collect())
}

/// The id of an object, given alone or in the object. A key that names the kind comes before a bare `id`, which beside the name
/// of the webhook may be the delivery's.
fn object_id(json: &Json, kind: Kind) -> Option<ExternalId> {
    const CUSTOMER: &[&str] = &["/customerId", "/customer_id", "/customer/id", "/customer/_id", "/id", "/_id"];
    const EVENT: &[&str] =
        &["/eventId", "/event_id", "/appointmentId", "/appointment_id", "/event/id", "/appointment/id", "/id", "/_id"];
    let keys = if kind == Kind::Contact { CUSTOMER } else { EVENT };
    wire::id(json).or_else(|| keys.iter().filter_map(|key| json.pointer(key)).find_map(wire::id))
}

/// One claim for each object that the body names: gone, or only that it is to be read.
pub(super) fn observe(body: &[u8], ours: impl Fn(Millis) -> Millis) -> Result<Vec<Observation>, Unreadable> {
    let json: Json =
        serde_json::from_slice(body).map_err(|error| Unreadable(format!("the body is not JSON: {error}")))?;
    let (name, meaning) = name(&json).unwrap_or_default();
    let (kind, gone) =
        meaning.ok_or_else(|| Unreadable(format!("`{name}` is not about an object that is mirrored")))?;
    let at = wire::instant(wire::first(&json, MOMENTS)).map(ours);
    let shape = if gone { Shape::Gone } else { Shape::Hint };
    let one = |id| Observation { at, ..Observation::new(kind, id, Class::Claim, shape.clone()) };
    Ok(ids(&json, kind).into_iter().map(one).collect())
}
