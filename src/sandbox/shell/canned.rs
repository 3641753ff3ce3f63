//! The vendors of a benchmark: what is asked seldom is answered by the sandbox; edits and reads of contacts are answered from
//! what it made, in a few microseconds.
//!
//! In: the service's calls. Out: answers, at once or after so long; and at `/tally`, how many calls came and when each numbered edit did.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::clock::{Clock, SystemClock};
use crate::model::System;
use crate::sandbox::core::addressee;
use crate::sandbox::requests::means_to_write;
use crate::sandbox::{Sandbox, SandboxSettings};

/// Before the number of an edit, in its value.
pub const MARK: &str = "bid";
/// The digits of that number.
pub const DIGITS: usize = 10;
const BODY_LIMIT: usize = 1024 * 1024;

/// What came so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Calls that read.
    pub reads: u64,
    /// Calls that wrote.
    pub writes: u64,
    /// The numbered edits: system, number, microseconds since 1970.
    pub came: Vec<(System, u64, i64)>,
}

struct Vendors {
    sandbox: Sandbox,
    /// Contacts as the vendor answers them, by their path.
    contacts: HashMap<String, Value>,
    tally: Tally,
}

type Shared = Arc<Mutex<Vendors>>;

/// Serves until it is dropped; each answer takes so long.
pub async fn serve(listener: TcpListener, settings: &SandboxSettings, takes: Duration) -> io::Result<()> {
    let vendors = Vendors { sandbox: Sandbox::new(settings), contacts: HashMap::new(), tally: Tally::default() };
    let shared: Shared = Arc::new(Mutex::new(vendors));
    let answer = async move |request| {
        let answer = answer(&shared, request).await;
        // A sleep of nothing is still a millisecond.
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        answer
    };
    axum::serve(listener, Router::new().fallback(answer)).await
}

/// The present, for comparing across processes: microseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "two processes are timed finer than the service's clock tells")]
pub fn micros() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

async fn answer(shared: &Shared, request: http::Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let request = http::Request::from_parts(parts, body);
    let path = request.uri().path().to_owned();
    let mut vendors = lock(shared);
    if path == "/tally" {
        return json!(vendors.tally).to_string().into_response();
    }
    let writes = means_to_write(&request);
    *(if writes { &mut vendors.tally.writes } else { &mut vendors.tally.reads }) += 1;
    if let (Some((at, _)), Some(number)) = (addressee(&path), number(request.body()).filter(|_| writes)) {
        vendors.tally.came.push((at.system, number, micros()));
    }
    if let Some(known) = vendors.contacts.get_mut(&path) {
        if writes {
            merge(known, request.body());
        }
        return ([("content-type", "application/json")], enveloped(&path, known).to_string()).into_response();
    }
    let response = vendors.sandbox.answer(SystemClock.now(), request).response;
    if writes && response.status().is_success() {
        vendors.remember(&path, response.body());
    }
    response.map(Body::from)
}

fn lock(shared: &Shared) -> MutexGuard<'_, Vendors> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vendors {
    /// A contact that was made is answered from here from now on.
    fn remember(&mut self, path: &str, answer: &[u8]) {
        let Ok(mut answer) = serde_json::from_slice::<Value>(answer) else { return };
        let made = match path.trim_end_matches('/') {
            "/ghl/contacts" => answer["contact"].take(),
            "/timify/v1/customers" => answer["data"].take(),
            _ => return,
        };
        let id = made["id"].as_str().unwrap_or_default().to_owned();
        self.contacts.insert(format!("{}/{id}", path.trim_end_matches('/')), made);
    }
}

/// A contact as a vendor wraps it.
fn enveloped(path: &str, contact: &Value) -> Value {
    if path.starts_with("/ghl/") {
        json!({ "succeded": true, "contact": contact })
    } else {
        json!({ "data": contact, "status": 1 })
    }
}

/// Puts what is written into what is known, as the vendor does.
fn merge(known: &mut Value, body: &[u8]) {
    let Ok(Value::Object(body)) = serde_json::from_slice::<Value>(body) else { return };
    for (name, value) in body {
        if name != "customfields" {
            known[&name] = value;
            continue;
        }
        for written in value.as_array().into_iter().flatten() {
            let fields = known["fields"].as_array_mut();
            if let Some(field) = fields.into_iter().flatten().find(|field| field["id"] == written["id"]) {
                field["value"] = written["value"].clone();
            }
        }
    }
}

/// The number of an edit, in a body that carries its value.
fn number(body: &[u8]) -> Option<u64> {
    let mark = MARK.as_bytes();
    let at = body.windows(mark.len()).position(|part| part == mark)? + mark.len();
    std::str::from_utf8(body.get(at..at + DIGITS)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_stands_in_what_is_known_in_the_form_of_each_vendor() {
        let mut contact = json!({ "id": "c", "city": null });
        merge(&mut contact, br#"{"city":"bid0000000042"}"#);
        assert_eq!(contact["city"], "bid0000000042");
        let mut customer = json!({ "id": "t", "fields": [{ "id": "f1", "value": "" }, { "id": "f2", "value": "" }] });
        merge(&mut customer, br#"{"customfields":[{"id":"f2","value":"bid0000000042"}]}"#);
        assert_eq!(
            (&customer["fields"][0]["value"], &customer["fields"][1]["value"]),
            (&json!(""), &json!("bid0000000042"))
        );
        assert_eq!(enveloped("/timify/v1/customers/t", &customer)["data"]["id"], "t");
        assert_eq!(enveloped("/ghl/contacts/c", &contact)["contact"]["id"], "c");
    }

    #[test]
    fn an_edit_is_known_by_the_number_in_its_value() {
        assert_eq!(number(br#"{"city":"bid0000000042"}"#), Some(42));
        assert_eq!(number(br#"{"city":"bid00"}"#), None);
        assert_eq!(number(b"{}"), None);
    }
}
