//! One request to a vendor, and what its answer means; shared by all connectors.
//!
//! In: method, path, headers, JSON body. Out: status and JSON, or a [`SystemError`] that tells what to do next. Signing,
//! one repetition after a renewed credential, leave for each call that goes out, the vendor's clock and the limits it states are
//! done here; what the JSON says is left to the connector.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::Value;

use super::allowance::{Allowance, Denied, Errand, Leave, RateSeen};
use super::offset::ClockOffset;
use super::trail;
use super::{Credential, Decision, SystemError, Transport, TransportError, Version};
use crate::clock::Millis;
use crate::model::System;

/// The longest part of a vendor's message that we keep, in characters.
const LONGEST_MESSAGE: usize = 300;

/// Calls one system with one credential.
#[derive(Clone)]
pub struct Caller {
    system: System,
    base_url: String,
    transport: Arc<dyn Transport>,
    credential: Arc<dyn Credential>,
    offset: Arc<ClockOffset>,
    allowance: Arc<dyn Allowance>,
    /// Whether a wrong credential is answered with a login page.
    behind_login: bool,
}

/// An answer that the connector may judge: 2xx, or a 4xx that is about this request.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The JSON; `null` when there was no body.
    pub body: Value,
    /// Whether the body was JSON, or empty.
    pub readable: bool,
}

impl Caller {
    /// Calls `base_url` (scheme, host, perhaps a path; no query). The offset is shared by all callers of one vendor, the
    /// allowance by all that call it for one workspace.
    pub fn new(
        system: System,
        base_url: &str,
        transport: Arc<dyn Transport>,
        credential: Arc<dyn Credential>,
        offset: Arc<ClockOffset>,
        allowance: Arc<dyn Allowance>,
    ) -> Self {
        let base_url = base_url.trim_end_matches('/').to_owned();
        Self { system, base_url, transport, credential, offset, allowance, behind_login: false }
    }

    /// Calls a vendor that answers a wrong credential with its login page, or a redirect to it, instead of a 401.
    pub fn behind_login(self) -> Self {
        Self { behind_login: true, ..self }
    }

    /// The system.
    pub fn system(&self) -> System {
        self.system
    }

    /// Whether a scope is granted, as far as is known.
    pub fn granted(&self, scope: &str) -> Result<(), SystemError> {
        if self.credential.lacks(scope) {
            return Err(SystemError::NotGranted { system: self.system, scope: scope.to_owned() });
        }
        Ok(())
    }

    /// The vendor said that a scope is not granted.
    pub fn denied(&self, scope: &str) -> SystemError {
        self.credential.denied(scope);
        SystemError::NotGranted { system: self.system, scope: scope.to_owned() }
    }

    /// What is known of the vendor's clock.
    pub fn offset(&self) -> &ClockOffset {
        &self.offset
    }

    /// Asks, and takes only a success: any other answer is an error.
    pub async fn call(
        &self,
        method: Method,
        path_and_query: &str,
        headers: &[(&'static str, &str)],
        body: Option<Value>,
        writes: bool,
    ) -> Result<(u16, Value), SystemError> {
        self.ask(method, path_and_query, headers, body, writes).await?.success(self.system)
    }

    /// Asks, and leaves it to the connector what a 4xx about this request means (see [`Reply::success`]).
    ///
    /// `writes` tells whether the request changes anything, and so whether a missing answer is [`SystemError::Unclear`].
    pub async fn ask(
        &self,
        method: Method,
        path_and_query: &str,
        headers: &[(&'static str, &str)],
        body: Option<Value>,
        writes: bool,
    ) -> Result<Reply, SystemError> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let (mut answer, signed, mut leave) = self.once(&method, path_and_query, headers, body.clone(), writes).await?;
        let reply = Reply::read(answer.status().as_u16(), answer.body());
        let mut refused = self.is_refusal(answer.status(), &reply, writes);
        if refused && self.credential.refused(signed, &reply.message()).await {
            drop(leave);
            (answer, _, leave) = self.once(&method, path_and_query, headers, body, writes).await?;
            refused = self.is_refusal(answer.status(), &Reply::read(answer.status().as_u16(), answer.body()), writes);
        }
        leave.ended(!refused && !is_failure(answer.status()));
        self.weigh(&answer, writes)
    }

    /// Whether our credential is refused. A page in the place of a write's answer may come after the write: it is not sent again.
    fn is_refusal(&self, status: StatusCode, reply: &Reply, writes: bool) -> bool {
        let page = status.is_redirection() || (status.is_success() && !reply.readable && !writes);
        status == StatusCode::UNAUTHORIZED || (self.behind_login && page)
    }

    async fn once(
        &self,
        method: &Method,
        path_and_query: &str,
        headers: &[(&'static str, &str)],
        body: Option<Bytes>,
        writes: bool,
    ) -> Result<(Response<Bytes>, Version, Box<dyn Leave>), SystemError> {
        let mut request = self.request(method, path_and_query, headers, body)?;
        let denied = |denied| match denied {
            Denied::Spent(after) => SystemError::Spent { system: self.system, after },
            Denied::Failing(after) => SystemError::Failing { system: self.system, after },
        };
        let errand = Errand { begins: !trail::begun(), writes, priority: trail::priority() };
        let leave = self.allowance.pass(errand).await.map_err(denied)?;
        // After the wait for leave, so that what is shown is fresh; a token that cannot be had is a failure like any other.
        let signed = self.credential.sign(&mut request).await.inspect_err(|error| {
            leave.ended(matches!(error.decision(), Decision::Connect));
        })?;
        let sent = self.offset.now();
        if writes && trail::is_overdue(sent) {
            return Err(self.unavailable(None, "it was decided too long ago: this process stood still".to_owned()));
        }
        trail::note(|trail| *trail = trail::Trail { sent: Some(sent), ..Default::default() });
        let answer = self.transport.send(request).await.map_err(|error| {
            leave.ended(false);
            match error {
                TransportError::NotSent(reason) => self.unavailable(None, reason),
                TransportError::NoAnswer(reason) => self.no_answer(None, reason, writes),
            }
        })?;
        if let Some(date) = answer.headers().get(DATE).and_then(|date| http_date(date.to_str().ok()?)) {
            self.offset.measure(date, sent, self.offset.now());
        }
        if writes {
            trail::answered(self.offset.now());
        }
        let seen = RateSeen::read(answer.status(), answer.headers(), self.retry_after(answer.headers()));
        trail::note(|trail| trail.saw(&seen));
        leave.learn(&seen);
        Ok((answer, signed, leave))
    }

    fn request(
        &self,
        method: &Method,
        path_and_query: &str,
        headers: &[(&'static str, &str)],
        body: Option<Bytes>,
    ) -> Result<Request<Bytes>, SystemError> {
        let mut builder = Request::builder().method(method).uri(format!("{}{path_and_query}", self.base_url));
        builder = builder.header(ACCEPT, "application/json");
        if body.is_some() {
            builder = builder.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let request = builder.body(body.unwrap_or_default());
        request.map_err(|error| self.unavailable(None, format!("the request cannot be built: {error}")))
    }

    /// What a status means, where it means the same at every vendor.
    fn weigh(&self, answer: &Response<Bytes>, writes: bool) -> Result<Reply, SystemError> {
        let status = answer.status().as_u16();
        let reply = Reply::read(status, answer.body());
        trail::note(|trail| trail.trace = reply.trace().map(ToOwned::to_owned));
        let (system, after) = (self.system, self.retry_after(answer.headers()));
        Err(match status {
            200..=299 if !reply.readable => {
                let reason = "the answer is not JSON".to_owned();
                if writes {
                    SystemError::Unclear { system, status: Some(status), reason }
                } else {
                    SystemError::Garbled { system, status, reason }
                }
            }
            401 | 403 => SystemError::Unauthorized { system, status, reason: reply.message() },
            429 => {
                let interval = || RateSeen::read(answer.status(), answer.headers(), None).interval;
                SystemError::Wait { system, status, after: after.or_else(interval) }
            }
            503 if after.is_some() && !writes => SystemError::Wait { system, status, after },
            300..=399 => {
                let reason = "it redirects, and redirects are not followed: check base_url".to_owned();
                SystemError::Refused { system, status, reason }
            }
            _ if is_failure(answer.status()) => self.no_answer(Some(status), reply.message(), writes),
            _ => return Ok(reply),
        })
    }

    /// What `Retry-After` says: seconds, or a date of the vendor's clock.
    fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        let after = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let until = |date| self.offset.to_ours(date).since(self.offset.now());
        after.parse().ok().map(Duration::from_secs).or_else(|| http_date(after).map(until))
    }

    fn unavailable(&self, status: Option<u16>, reason: String) -> SystemError {
        SystemError::Unavailable { system: self.system, status, reason }
    }

    fn no_answer(&self, status: Option<u16>, reason: String, writes: bool) -> SystemError {
        if writes {
            return SystemError::Unclear { system: self.system, status, reason };
        }
        self.unavailable(status, reason)
    }
}

/// Whether a status tells of the vendor's trouble, and not of the request.
fn is_failure(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT
}

impl Reply {
    fn read(status: u16, body: &[u8]) -> Self {
        if body.trim_ascii().is_empty() {
            return Self { status, body: Value::Null, readable: true };
        }
        let read = serde_json::from_slice(body).ok();
        Self { status, readable: read.is_some(), body: read.unwrap_or_default() }
    }

    /// Status and JSON of a 2xx; else the plain meaning of a 4xx: 404 is [`SystemError::Gone`], the rest
    /// [`SystemError::Refused`] with the vendor's message. A 404 that is not JSON comes from something in between.
    pub fn success(self, system: System) -> Result<(u16, Value), SystemError> {
        let status = self.status;
        match status {
            200..=299 => Ok((status, self.body)),
            404 | 410 if self.readable => Err(SystemError::Gone { system, status }),
            _ => Err(SystemError::Refused { system, status, reason: self.message() }),
        }
    }

    /// The vendor's id of the call.
    fn trace(&self) -> Option<&str> {
        self.body["traceId"].as_str().filter(|trace| trace.len() <= 64)
    }

    /// What the vendor said, in one line, never a whole body: `message` (a text or a list), `error_description`, `error`,
    /// shortened, with the vendor's trace id.
    pub fn message(&self) -> String {
        let error = &self.body["error"];
        let said = [&self.body["message"], &error["message"], &self.body["error_description"], error];
        let mut line = said.iter().find_map(|said| short_line(said)).unwrap_or_else(|| format!("HTTP {}", self.status));
        if let Some(trace) = self.trace() {
            let _ = write!(line, " (trace {trace})");
        }
        line
    }
}

/// What a vendor said (a text or a list of texts), as one short line; of links only the host. `None`: nothing.
pub fn short_line(said: &Value) -> Option<String> {
    let line = match said {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "),
        _ => return None,
    };
    let mut line = line.split_whitespace().map(only_host).collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(LONGEST_MESSAGE) {
        line.truncate(cut);
        line.push('…');
    }
    (!line.is_empty()).then_some(line)
}

/// Of a link only the host: whoever holds the rest may be able to act, and messages are logged and kept.
fn only_host(word: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = word.split_once("://") else { return word.into() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host == rest { word.into() } else { format!("{scheme}://{host}/…").into() }
}

/// Reads an HTTP date: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Millis> {
    let read = DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?;
    Some(Millis(read.as_millisecond()))
}

/// Percent-encodes a text for one path segment or one query value.
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut made, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            made.push(char::from(byte));
        } else {
            let _ = write!(made, "%{byte:02X}");
        }
        made
    })
}

#[cfg(test)]
mod tests;
