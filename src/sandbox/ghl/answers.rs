//! The shapes of answers: successes, refusals with the vendor's own messages, rate headers, `traceId`, `Date`.
//!
//! In: what a handler gave. Out: an HTTP response. Facts: GHL dossier 3.9 and 5; where the vendor's text is not known
//! (429, unknown task, note or appointment) the answer is the plainest one of its family.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, DATE};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::fields::Fields;
use super::rate::Meter;
use crate::clock::Millis;
use crate::sandbox::Response;
use crate::sandbox::requests::Account;

/// What a handler gives: the body of a success, or why not.
pub(super) type Answer = Result<Value, Refusal>;

/// A request that is not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    messages: Vec<String>,
    /// Whether the message is shown as a list.
    listed: bool,
    meta: Option<Box<Value>>,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, messages: vec![message.into()], listed: false, meta: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    pub(super) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// A token that is unknown, has ended, or is not there.
    pub(super) fn bad_token() -> Self {
        Self::unauthorized("Invalid token: access token is invalid")
    }

    /// The wrong class of token; with which status is not known.
    pub(super) fn foreign_class(forbidden: bool) -> Self {
        let message = "This authClass type is not allowed to access this scope. Please verify your IAM configuration if \
                       this is not the case.";
        if forbidden { Self::forbidden(message) } else { Self::unauthorized(message) }
    }

    pub(super) fn foreign_location() -> Self {
        Self::forbidden("The token does not have access to this location.")
    }

    pub(super) fn no_route(method: &str, path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("Cannot {method} {path}"))
    }

    pub(super) fn unprocessable(messages: Vec<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, messages, listed: true, meta: None }
    }

    pub(super) fn too_many() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests")
    }

    /// An unknown object is 400 at this vendor, not 404.
    pub(super) fn unknown(what: &str, id: &str) -> Self {
        Self::bad_request(format!("{what} with id {id} not found"))
    }

    pub(super) fn duplicate(id: &str, name: &str, field: &str) -> Self {
        let meta = json!({"contactId": id, "contactName": name, "matchingField": field});
        Self { meta: Some(Box::new(meta)), ..Self::bad_request("This location does not allow duplicated contacts.") }
    }

    /// The message as one line, for a person.
    pub(super) fn line(&self) -> String {
        self.messages.join(", ")
    }

    /// The same refusal with its message as a list.
    pub(super) fn in_a_list(self) -> Self {
        Self { listed: true, ..self }
    }

    /// The message is a list for 422 only, unless asked otherwise.
    fn body(self) -> Value {
        let mut body = Fields::new();
        body.insert("statusCode".to_owned(), self.status.as_u16().into());
        let message = if self.listed { self.messages.into() } else { self.messages.join(", ").into() };
        body.insert("message".to_owned(), message);
        match self.meta {
            Some(meta) => body.insert("meta".to_owned(), *meta),
            None => body.insert("error".to_owned(), self.status.canonical_reason().into()),
        };
        Value::Object(body)
    }
}

/// Writes the response, with the headers that every answer carries.
pub(super) fn response(
    outcome: Result<(u16, Value), Refusal>,
    meter: Option<Meter>,
    trace: &str,
    now: Millis,
) -> Response {
    let (status, mut body) = match outcome {
        Ok((status, body)) => (StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body),
        Err(refusal) => (refusal.status, refusal.body()),
    };
    body["traceId"] = trace.into();
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json; charset=utf-8"));
    if let Ok(date) = imf_fixdate(now).parse() {
        headers.insert(DATE, date);
    }
    for (name, value) in meter.iter().flat_map(Meter::headers) {
        headers.insert(name, value.into());
    }
    if let Some(meter) = meter {
        response.extensions_mut().insert(Account(meter.resource));
    }
    response
}

/// RFC 7231 IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn imf_fixdate(now: Millis) -> String {
    Timestamp::from_millisecond(now.0)
        .map_or_else(|_| String::new(), |at| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}
