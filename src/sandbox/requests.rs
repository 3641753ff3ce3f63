//! The sandbox's request log: one row a request, never a body but its digest, and which requests count as writes.

use http::Method;
use serde::Serialize;
use serde_json::Value;

use super::{Request, Response, StandIn, web};
use crate::clock::Millis;

/// Left on an answer by a world that knows whose account was meant.
#[derive(Debug, Clone)]
pub(super) struct Account(pub String);

/// Left on an answer that repeats an earlier one: nothing changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeated;

/// The words of paths that name a kind; the last one in a path decides.
const KINDS: &[(&str, &str)] = &[
    ("contacts", "contact"),
    ("customers", "contact"),
    ("tasks", "task"),
    ("notes", "note"),
    ("tags", "tag"),
    ("appointments", "appointment"),
    ("events", "appointment"),
    ("customfields", "custom_field"),
    ("customFields", "custom_field"),
    ("one-time-url", "one_time_url"),
];

/// Path words that follow a kind without being an id.
const NO_IDS: &[&str] = &["search", "upsert", "bulk", "delete", "duplicate", "appointments", "business"];

/// One request as the log keeps it.
#[derive(Debug, Clone, Serialize)]
pub struct RequestRow {
    /// Counts up from 0; survives clearing the log.
    pub number: u64,
    /// When it came, on the sandbox's own clock.
    pub at: Millis,
    /// Whom it was for.
    #[serde(flatten)]
    pub stand_in: StandIn,
    /// The method.
    pub method: String,
    /// The path without the stand-in's prefix and without the query.
    pub path: String,
    /// What was answered; none where the connection was cut.
    pub status: Option<u16>,
    /// Whether it changed objects: a write that was applied, answered or not.
    pub write: bool,
    /// The kind of object that the path names.
    pub kind: Option<&'static str>,
    /// The object; of a tag call the contact.
    pub id: Option<String>,
    /// The account, where it is known.
    pub account: Option<String>,
    /// SHA-256 of its body, hexadecimal: tells whether two requests said the same.
    pub body_sha256: String,
    /// The fault that hit it.
    pub fault: Option<super::faults::FaultKind>,
}

/// Whether a request is made to change objects: asking for tokens, uninstalling and searching by POST
/// is not.
pub(super) fn means_to_write(request: &Request) -> bool {
    let parts = web::segments(request.uri().path());
    let asks = parts.iter().any(|part| matches!(*part, "auth" | "oauth" | "token" | "marketplace" | "search"));
    !web::reads_only(request.method()) && !asks
}

/// The kind and the id that a path, or else the answer to a create, names.
pub(super) fn object(request: &Request, response: Option<&Response>) -> (Option<&'static str>, Option<String>) {
    let parts = web::segments(request.uri().path());
    let word = |part: &&str| KINDS.iter().find(|(word, _)| word == part).map(|(_, kind)| *kind);
    let Some(at) = parts.iter().rposition(|part| word(part).is_some()) else {
        return (None, None);
    };
    let kind = word(&parts[at]);
    let named = if kind == Some("tag") { at.checked_sub(1) } else { Some(at + 1) };
    let named = named.and_then(|at| parts.get(at)).filter(|part| !NO_IDS.contains(part));
    let made = || response.filter(|_| request.method() == Method::POST && means_to_write(request)).and_then(made);
    (kind, named.map(|part| (*part).to_owned()).or_else(made))
}

/// The id in the answer to a create, wherever the vendor puts it.
fn made(response: &Response) -> Option<String> {
    let body: Value = serde_json::from_slice(response.body()).ok()?;
    let places = ["/id", "/data/id", "/contact/id", "/task/id", "/note/id", "/appointment/id"];
    places.iter().find_map(|place| body.pointer(place)?.as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::ghl_task("PUT", "/contacts/c1/tasks/t1/completed", true, Some("task"), Some("t1"))]
    #[case::ghl_search("POST", "/contacts/search", false, Some("contact"), None)]
    #[case::ghl_upsert("POST", "/contacts/upsert", true, Some("contact"), Some("made"))]
    #[case::ghl_appointment("PUT", "/calendars/events/appointments/a1", true, Some("appointment"), Some("a1"))]
    #[case::tags("DELETE", "/contacts/c1/tags", true, Some("tag"), Some("c1"))]
    #[case::token("POST", "/v1/auth/token", false, None, None)]
    #[case::timify_create("POST", "/v1/customers", true, Some("contact"), Some("made"))]
    #[case::timify_bulk("POST", "/v1/appointments/delete/bulk", true, Some("appointment"), Some("made"))]
    #[case::timerex_cancel("POST", "/api/beta/events/e1/cancel", true, Some("appointment"), Some("e1"))]
    #[case::timerex_revoke("POST", "/api/beta/token/revoke", false, None, None)]
    #[case::read("GET", "/v1/customers/c1", false, Some("contact"), Some("c1"))]
    fn a_request_is_told_by_its_path(
        #[case] method: &str,
        #[case] path: &str,
        #[case] writes: bool,
        #[case] kind: Option<&str>,
        #[case] id: Option<&str>,
    ) {
        let request = http::Request::builder().method(method).uri(path).body(bytes::Bytes::new()).unwrap();
        let response = web::json(201, &serde_json::json!({ "data": { "id": "made" } }));
        assert_eq!(means_to_write(&request), writes);
        assert_eq!(object(&request, Some(&response)), (kind, id.map(str::to_owned)));
    }
}
