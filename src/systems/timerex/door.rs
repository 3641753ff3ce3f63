//! Reads TimeRex's webhooks: `event_confirmed` and `event_cancelled`, the only two; and what it tells of one-time links that
//! we watch, which is a hint: the link is looked at next, and the row itself ends here.
//!
//! In: a verified webhook, or the body of a kept change. Out: its envelope; one observation. There is no delivery id: team,
//! booking and type make two deliveries one, as each booking is confirmed once and cancelled at most once.

use serde_json::Value as Json;

use super::{Team, bookings};
use crate::clock::Millis;
use crate::model::{ExternalId, Kind, Observation, Standing};
use crate::systems::extension::door as extension;
use crate::systems::{Door, Envelope, Unreadable, wire};
use crate::verify::VerifiedWebhook;

/// Links with which anyone cancels or moves the booking or joins its meeting, the meeting's password, and the token that we
/// chose for push notifications.
const SECRETS: &[&str] =
    &["host_cancel_url", "guest_cancel_url", "guest_reschedule_url", "join_url", "short_url", "password", "token"];

/// The door of TimeRex and of the extension beside it.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimerexDoor;

impl Door for TimerexDoor {
    fn envelope(&self, webhook: &VerifiedWebhook) -> Envelope {
        if webhook.is_extension() { extension::envelope(webhook) } else { read_envelope(&webhook.raw().body) }
    }

    fn secrets(&self) -> &'static [&'static str] {
        SECRETS
    }
}

/// Whether the booking is cancelled; `None` for a type that the vendor does not document.
fn cancels(label: &str) -> Option<bool> {
    match label {
        "event_confirmed" => Some(false),
        "event_cancelled" => Some(true),
        _ => None,
    }
}

/// As [`Door::envelope`], of the vendor's own body.
pub(super) fn read_envelope(body: &[u8]) -> Envelope {
    let Ok(json) = serde_json::from_slice::<Json>(body) else {
        return Envelope::unparsed("the body is not JSON");
    };
    if let Some(link) = json["webhook_type"].is_null().then(|| wire::id(&json["one_time_url"]["id"])).flatten() {
        return told_of_link(link, json["status"].as_str().unwrap_or_default());
    }
    let Some(label) = json["webhook_type"].as_str() else {
        return Envelope::unparsed("the body has no `webhook_type`");
    };
    let account = json["team_url_path"].as_str().map(str::to_owned);
    let object = wire::id(&json["event"]["id"]);
    let cancels = cancels(label);
    let (standing, reason) = match (cancels, &object) {
        (None, _) => (Standing::NotMirrored, Some("a type that the vendor does not document")),
        (Some(_), None) => (Standing::Unparsed, Some("the body has no `event.id`")),
        (Some(_), Some(_)) => (Standing::Routed, None),
    };
    let delivery = account.as_ref().zip(object.as_ref()).map(|(team, id)| format!("{team}/{id}/{label}"));
    Envelope {
        delivery,
        account,
        label: label.to_owned(),
        kind: cancels.map(|_| Kind::Appointment),
        object,
        at: wire::instant(&json["event"][bookings::moment(cancels == Some(true))]),
        standing,
        reason: reason.map(str::to_owned),
    }
}

/// The envelope of a push. It names no account, and no two of them can be told apart: a link may be told of again.
fn told_of_link(link: ExternalId, status: &str) -> Envelope {
    Envelope {
        label: format!("one_time_url.{status}"),
        object: Some(link),
        standing: Standing::NotMirrored,
        reason: Some("a hint: the one-time link is looked at next".to_owned()),
        ..Envelope::unparsed("")
    }
}

/// The booking that a webhook tells of.
pub(super) fn observe(body: &[u8], team: &Team, ours: impl Fn(Millis) -> Millis) -> Result<Observation, Unreadable> {
    let json: Json =
        serde_json::from_slice(body).map_err(|error| Unreadable(format!("the body is not JSON: {error}")))?;
    let label = json["webhook_type"].as_str().unwrap_or_default();
    let cancelled = cancels(label).ok_or_else(|| Unreadable(format!("`{label}` is not about a booking")))?;
    bookings::told(&json, cancelled, team, ours).ok_or_else(|| Unreadable("the body has no `event.id`".to_owned()))
}
