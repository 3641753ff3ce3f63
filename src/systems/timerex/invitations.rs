//! One-time links: the way to a booking that one can make from here, for only the guest books.
//!
//! In: a calendar, a link. Out: a link, and how it stands with the booking that was made by it. There is no idempotency key,
//! so a link that was asked for without a clear answer may be there, and nobody knows it.

use async_trait::async_trait;
use http::Method;
use serde_json::{Value as Json, json};

use super::{Timerex, bookings};
use crate::model::{Class, ExternalId, InvitationState, Observation};
use crate::secret::Secret;
use crate::systems::call::encode;
use crate::systems::{Inviting, Looked, OneTimeLink, SystemError, Terms, wire};

#[async_trait]
impl Inviting for Timerex {
    async fn invite(&self, calendar: &str) -> Result<OneTimeLink, SystemError> {
        let path = format!("/calendars/{}/one-time-url", encode(calendar));
        let (status, json) = self.call(Method::POST, &path).await?;
        let url = json["url"].as_str().filter(|url| !url.trim().is_empty());
        let (Some(id), Some(url)) = (wire::id(&json["id"]), url) else {
            return Err(self.unreadable(status, "a one-time URL without `id` and `url`"));
        };
        Ok(OneTimeLink { id, url: Secret::new(url.trim()) })
    }

    async fn watch(&self, link: &ExternalId, token: &Secret, notify: &str) -> Result<(), SystemError> {
        let body = json!({ "token": token.expose(), "notification_url": notify });
        let path = format!("{}/watch", path(link));
        self.caller.call(Method::POST, &path, &[], Some(body), true).await.map(drop)
    }

    async fn look(&self, link: &ExternalId) -> Result<Looked, SystemError> {
        let (status, json) = self.call(Method::GET, &path(link)).await?;
        let state =
            state(&json["status"]).ok_or_else(|| self.unreadable(status, "a one-time URL of no known status"))?;
        let booking = self.booked(&json, state);
        if booking.is_none() && state != InvitationState::Open {
            return Err(self.unreadable(status, "a one-time URL that is booked, without its booking"));
        }
        Ok(Looked { state, booking })
    }
}

impl Timerex {
    /// The booking that a link shows, in the form of the API's other answers: it says how it stands beside it, and not on
    /// which calendar. What shows its own time of change is a version of it; anything else is for the lane to read.
    fn booked(&self, json: &Json, state: InvitationState) -> Option<Observation> {
        let mut event = json["event"].clone();
        if state == InvitationState::Open || !event.is_object() {
            return None;
        }
        event["status"] = json!(state.word());
        let seen = bookings::read(&event, &self.team, |at| self.caller.offset().to_ours(at))?;
        Some(Observation { class: seen.version.map_or(Class::Claim, Class::Versioned), ..seen })
    }

    fn unreadable(&self, status: u16, reason: &str) -> SystemError {
        SystemError::Garbled { system: self.system(), status, reason: reason.to_owned() }
    }
}

fn path(link: &ExternalId) -> String {
    format!("/calendars/one-time-url/{}", encode(link.as_str()))
}

fn state(word: &Json) -> Option<InvitationState> {
    match word.as_str()?.to_lowercase().as_str() {
        "pending" => Some(InvitationState::Open),
        "confirmed" => Some(InvitationState::Confirmed),
        word if word.starts_with("cancel") => Some(InvitationState::Cancelled),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::model::{Field, System, Value};
    use crate::systems::testing::{Script, Told, caller, told, told_with};
    use crate::systems::timerex::Team;

    const PENDING: &str = include_str!("../../../tests/fixtures/timerex/rest_one_time_url_pending.json");
    const BOOKED: &str = include_str!("../../../tests/fixtures/timerex/rest_one_time_url_confirmed.json");

    fn timerex(told: impl IntoIterator<Item = Told>) -> (Timerex, std::sync::Arc<Script>) {
        let (caller, script) = caller(System::Timerex, told);
        let team = Team {
            url_path: "team".to_owned(),
            calendars: Vec::new(),
            region: None,
            questions: Vec::new(),
            notify: false,
        };
        (Timerex::new(caller, team), script)
    }

    #[tokio::test]
    async fn a_link_is_asked_for_by_the_calendar_and_watched_by_its_id() {
        let (timerex, script) = timerex([told_with(201, &[], PENDING), told(201, json!({}))]);
        let made = timerex.invite("cal 1").await.unwrap();
        assert_eq!((made.id.as_str(), made.url.expose()), ("7777eeee8888ffff9999", "https://timerex.net/s/onetime"));
        timerex.watch(&made.id, &Secret::new("my-channel-token"), "https://hooks.example.test/x").await.unwrap();
        let asked = script.asked();
        assert_eq!(asked[0].0, "POST /calendars/cal%201/one-time-url");
        assert_eq!(asked[1].0, "POST /calendars/one-time-url/7777eeee8888ffff9999/watch");
        let body = json!({ "token": "my-channel-token", "notification_url": "https://hooks.example.test/x" });
        assert_eq!(asked[1].1, body, "{asked:?}");
    }

    #[tokio::test]
    async fn what_may_have_made_a_link_is_unclear_and_what_cannot_have_is_refused() {
        let login = [("location", "https://timerex.net/login")];
        let (timerex, script) = timerex([
            told(500, json!({})),
            told(201, json!({ "id": "x" })),
            told_with(302, &login, "<html>"),
            told(404, json!({})),
        ]);
        assert!(matches!(timerex.invite("c").await, Err(SystemError::Unclear { .. })));
        assert!(matches!(timerex.invite("c").await, Err(SystemError::Garbled { .. })));
        assert!(matches!(timerex.invite("c").await, Err(SystemError::Unauthorized { .. })));
        assert!(matches!(timerex.invite("c").await, Err(SystemError::Gone { .. })));
        assert_eq!(script.asked().len(), 4, "none is repeated");
    }

    #[tokio::test]
    async fn a_look_shows_the_booking_with_its_guest_as_a_version_of_it() {
        let (timerex, _) = timerex([told_with(200, &[], PENDING), told_with(200, &[], BOOKED)]);
        let link = ExternalId::new("7777eeee8888ffff9999");
        assert_eq!(timerex.look(&link).await.unwrap(), Looked { state: InvitationState::Open, booking: None });
        let looked = timerex.look(&link).await.unwrap();
        assert_eq!(looked.state, InvitationState::Confirmed);
        let booking = looked.booking.unwrap();
        let made = Millis::parse("2026-03-02T04:05:06Z").unwrap();
        assert_eq!((booking.id.as_str(), booking.class), ("1111aaaa2222bbbb3333", Class::Versioned(made)));
        assert_eq!(booking.fields().unwrap()[&Field::STATUS], Value::text("confirmed"));
        assert_eq!(booking.guest.unwrap().fields[&Field::EMAIL], Value::text("hanako.yamada@example.test"));
    }

    #[tokio::test]
    async fn a_cancelled_booking_that_does_not_say_when_is_for_the_lane_to_read() {
        let mut json: Json = serde_json::from_str(BOOKED).unwrap();
        json["status"] = json!("cancelled");
        let (timerex, _) = timerex([told(200, json.clone()), told(200, json!({ "status": "confirmed" }))]);
        let looked = timerex.look(&ExternalId::new("x")).await.unwrap();
        assert_eq!((looked.state, looked.booking.unwrap().class), (InvitationState::Cancelled, Class::Claim));
        assert!(timerex.look(&ExternalId::new("x")).await.is_err(), "it says nothing of the booking");
    }
}
