//! A GHL stand-in on a bench: a location, a calendar, a token, a clock that the test moves.
//!
//! Every success is judged by the documents on its way out, as is the request that led to it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use lockstep::clock::Millis;
use lockstep::sandbox::ghl::{CalendarSettings, Ghl, GhlSettings, LocationSettings, TokenSettings};
use lockstep::sandbox::{Edit, EditRefused, Request, Response, Turn, Webhook, World};
use serde_json::Value;

use super::openapi::{Version, check_request, check_response_of, operation};

pub const LOCATION: &str = "LocAAAAAAAAAAAAAAAA1";
pub const FOREIGN: &str = "LocBBBBBBBBBBBBBBBB2";
pub const CALENDAR: &str = "CalAAAAAAAAAAAAAAAA1";
pub const TOKEN: &str = "pit-one";

pub struct Stand {
    pub ghl: Ghl,
    pub now: Millis,
    /// The webhooks of the last turn.
    pub sent: Vec<Webhook>,
    /// The documented operations that succeeded.
    pub answered: BTreeSet<String>,
    /// Which version of the API the calls ask for.
    pub version: Version,
    rng: fastrand::Rng,
}

pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Stand {
    pub fn new() -> Self {
        let berlin =
            LocationSettings { timezone: "Europe/Berlin".to_owned(), ..LocationSettings::new(LOCATION, "One") };
        let settings = GhlSettings {
            tokens: vec![TokenSettings::full(TOKEN, &[LOCATION]), TokenSettings::full("pit-two", &[FOREIGN])],
            locations: vec![berlin, LocationSettings::new(FOREIGN, "Two")],
            calendars: vec![CalendarSettings::new(CALENDAR, "Intake", LOCATION)],
            ..GhlSettings::default()
        };
        let now = Millis::parse("2026-11-21T09:00:00.000Z").unwrap();
        let (ghl, rng) = (Ghl::new(settings), fastrand::Rng::with_seed(7));
        Self { ghl, now, sent: Vec::new(), answered: BTreeSet::new(), version: Version::V2, rng }
    }

    pub fn advance(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    /// A request as our token makes it, with the version of its family.
    pub fn request(method: &str, target: &str, body: Option<&Value>) -> Request {
        let version = if target.starts_with("/calendars") { "2021-04-15" } else { "2021-07-28" };
        http::Request::builder()
            .method(method)
            .uri(target)
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("version", version)
            .header("content-type", "application/json")
            .body(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default())
            .unwrap()
    }

    /// Sends a request as it is; whatever comes back.
    pub fn pass(&mut self, request: &Request) -> Response {
        let mut turn = Turn { now: self.now, real: self.now, rng: &mut self.rng, webhooks: Vec::new() };
        let response = self.ghl.answer(request, &mut turn);
        self.sent = turn.webhooks;
        response
    }

    /// Sends a request as it is.
    pub fn send(&mut self, request: &Request) -> Reply {
        let response = self.pass(request);
        let body = serde_json::from_slice(response.body()).unwrap();
        Reply { status: response.status().as_u16(), headers: response.headers().clone(), body }
    }

    /// Sends a request; whatever comes back must be documented, and so must a request that succeeded.
    pub fn call(&mut self, method: &str, target: &str, body: impl Into<Option<Value>>) -> Reply {
        let body = body.into();
        let mut request = Self::request(method, target, body.as_ref());
        if self.version == Version::V3 {
            request.headers_mut().insert("version", http::HeaderValue::from_static("v3"));
        }
        let reply = self.send(&request);
        let path = request.uri().path();
        assert!(reply.body["traceId"].is_string(), "{method} {target} has no traceId");
        assert_eq!(
            check_response_of(self.version, method, path, reply.status, &reply.body),
            [""; 0],
            "{method} {target}: {}",
            reply.body
        );
        if reply.status < 300 {
            self.answered.extend(operation(method, path));
            let query = request.uri().query().unwrap_or_default();
            assert_eq!(
                check_request(method, path, query, request.headers(), body.as_ref()),
                [""; 0],
                "{method} {target}"
            );
        }
        reply
    }

    /// The same, for a call that must succeed with this status.
    pub fn done(&mut self, status: u16, method: &str, target: &str, body: impl Into<Option<Value>>) -> Value {
        let reply = self.call(method, target, body);
        assert_eq!(reply.status, status, "{method} {target}: {}", reply.body);
        reply.body
    }

    pub fn edit(
        &mut self,
        kind: &str,
        action: &str,
        id: Option<&str>,
        parent: Option<&str>,
        fields: Value,
    ) -> Result<String, EditRefused> {
        let edit = Edit {
            action: action.to_owned(),
            kind: kind.to_owned(),
            account: LOCATION.to_owned(),
            id: id.map(str::to_owned),
            parent: parent.map(str::to_owned),
            fields,
        };
        let mut turn = Turn { now: self.now, real: self.now, rng: &mut self.rng, webhooks: Vec::new() };
        let made = self.ghl.edit(&edit, &mut turn);
        self.sent = turn.webhooks;
        made
    }

    /// The types of the last turn's webhooks.
    pub fn events(&self) -> Vec<&str> {
        self.sent.iter().map(|webhook| webhook.body["type"].as_str().unwrap()).collect()
    }

    /// A contact made through the API; its id.
    pub fn contact(&mut self, extra: Value) -> String {
        let mut body = serde_json::json!({"locationId": LOCATION, "firstName": "Ada", "lastName": "Lovelace"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let body = self.done(201, "POST", "/contacts/", body);
        body["contact"]["id"].as_str().unwrap().to_owned()
    }

    /// An appointment made through the API; its id.
    pub fn appointment(&mut self, contact: &str, start: &str) -> String {
        let body = serde_json::json!({
            "calendarId": CALENDAR, "locationId": LOCATION, "contactId": contact, "startTime": start,
            "title": "First talk", "ignoreFreeSlotValidation": true, "ignoreDateRange": true, "toNotify": false,
        });
        self.done(200, "POST", "/calendars/events/appointments", body)["id"].as_str().unwrap().to_owned()
    }
}
