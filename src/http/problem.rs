//! Problems (RFC 9457): what an error answer says.
//!
//! In: a status and a stable code, from a handler or a layer. Out: `application/problem+json` with `type`, `title`,
//! `status`, `code` and `request_id`; a 5xx says nothing of its cause. A handler only marks its response; the body is
//! written once, by the [`Frame`](super::Frame), which knows the request's id.

use axum::response::{IntoResponse, Response};
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, StatusCode};
use serde_json::{Value, json};

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// A word that does not change.
    pub code: &'static str,
    /// One line for people; empty: nothing more to say.
    pub detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), headers: Vec::new() }
    }

    /// The problem of a bare status, as layers and the router answer it.
    pub fn of(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::REQUEST_TIMEOUT => "request_timeout",
            StatusCode::PAYLOAD_TOO_LARGE => "body_too_large",
            status if status.is_client_error() => "bad_request",
            _ => "internal",
        };
        Self::new(status, code, "")
    }

    /// Asks to come back after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.headers.push((RETRY_AFTER, HeaderValue::from(seconds)));
        self
    }

    /// Asks for a bearer token.
    #[must_use]
    pub fn bearer(mut self) -> Self {
        self.headers.push((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        self
    }

    /// Its body.
    pub(super) fn body(&self, request_id: &str) -> Value {
        let mut body = json!({
            "type": format!("urn:lockstep:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "request_id": request_id,
        });
        if !self.detail.is_empty() {
            body["detail"] = Value::from(self.detail.as_str());
        }
        body
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let mut response = self.status.into_response();
        response.headers_mut().extend(self.headers.drain(..));
        response.extensions_mut().insert(self);
        response
    }
}
