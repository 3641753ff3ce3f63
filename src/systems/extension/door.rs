//! Reads an extension's webhooks: `{"type": "task.updated", "timestamp": "...", "data": {object}}`.
//!
//! In: a verified webhook, or the body of a kept change. Out: its envelope; its observations. An object's own `lastUpdated`
//! makes an observation versioned. An absent key says nothing, so each observation is partial.

use serde_json::Value as Json;

use super::map;
use crate::clock::Millis;
use crate::model::{Class, Field, Kind, Observation, Shape, Standing, Value};
use crate::systems::{Envelope, Unreadable, wire};
use crate::verify::VerifiedWebhook;

/// The envelope of an extension's webhook. It names no account: the secret that vouches for it does.
pub fn envelope(webhook: &VerifiedWebhook) -> Envelope {
    read_envelope(&webhook.raw().body, webhook.delivery())
}

/// As [`envelope`]: of a body and the `webhook-id`.
pub(super) fn read_envelope(body: &[u8], delivery: Option<&str>) -> Envelope {
    let delivery = delivery.map(str::to_owned);
    let unparsed = |reason: &str| Envelope { delivery: delivery.clone(), ..Envelope::unparsed(reason) };
    let Ok(json) = serde_json::from_slice::<Json>(body) else {
        return unparsed("the body is not JSON");
    };
    let Some(label) = json["type"].as_str() else {
        return unparsed("the body has no `type`");
    };
    let known = typed(label).is_some();
    let object = wire::id(&json["data"]["id"]);
    let (standing, reason) = match (known, &object) {
        (false, _) => (Standing::NotMirrored, Some("a type that the contract does not have")),
        (true, None) => (Standing::Unparsed, Some("the body has no `data.id`")),
        (true, Some(_)) => (Standing::Routed, None),
    };
    Envelope {
        delivery,
        account: None,
        label: label.to_owned(),
        kind: typed(label).map(|(kind, _)| kind),
        object,
        at: wire::instant(&json["timestamp"]),
        standing,
        reason: reason.map(str::to_owned),
    }
}

/// The kind and the verb of a type of the contract.
fn typed(label: &str) -> Option<(Kind, &str)> {
    let (kind, verb) = label.split_once('.')?;
    let kind = kind.parse().ok().filter(|kind| *kind != Kind::Appointment)?;
    let known = matches!(verb, "created" | "updated" | "deleted") || (verb == "completed" && kind == Kind::Task);
    known.then_some((kind, verb))
}

/// The observations in a webhook's body. `ours` brings the endpoint's times to our clock.
pub(super) fn observe(
    body: &[u8],
    region: Option<&str>,
    ours: impl Fn(Millis) -> Millis,
) -> Result<Vec<Observation>, Unreadable> {
    let json: Json =
        serde_json::from_slice(body).map_err(|error| Unreadable(format!("the body is not JSON: {error}")))?;
    let label = json["type"].as_str().unwrap_or_default();
    let (kind, verb) = typed(label).ok_or_else(|| Unreadable(format!("`{label}` is no type of the contract")))?;
    let data = &json["data"];
    let mut one =
        object(kind, data, region, &ours).ok_or_else(|| Unreadable("the body has no `data.id`".to_owned()))?;
    if one.version.is_none() {
        one.at = wire::instant(&json["timestamp"]).map(&ours).or(one.at);
    }
    if verb == "deleted" {
        return Ok(vec![Observation { class: Class::Claim, shape: Shape::Gone, ..one }]);
    }
    if let (true, Shape::Partial(fields)) = (verb == "completed", &mut one.shape) {
        fields.entry(Field::COMPLETED).or_insert(Value::Flag(true));
    }
    Ok(vec![one])
}

/// An object of the contract as a partial observation, versioned if it has a `lastUpdated`; a tombstone of a list is gone. Where
/// nothing else tells when a note was edited, its `timestamp` does.
pub(super) fn object(
    kind: Kind,
    data: &Json,
    region: Option<&str>,
    ours: impl Fn(Millis) -> Millis,
) -> Option<Observation> {
    let id = wire::id(&data["id"])?;
    let version = wire::instant(&data["lastUpdated"]);
    let shape = if data["deleted"] == true { Shape::Gone } else { Shape::Partial(map::fields(kind, data, region)) };
    let class = version.map_or(Class::Claim, Class::Versioned);
    let parent = if kind == Kind::Contact { None } else { wire::id(&data["contactId"]) };
    let all_tags = kind == Kind::Contact && map::lists_tags(data);
    let written = || wire::instant(&data["timestamp"]).filter(|_| kind == Kind::Note);
    let at = version.or_else(written).map(ours);
    Some(Observation { parent, at, version, all_tags, ..Observation::new(kind, id, class, shape) })
}
