//! Small words of HTTP for the stand-ins: answers out of JSON, query parameters, bodies, ids. In and out are values; no IO.

use std::fmt::Write;

use http::{Method, StatusCode, header};
use serde_json::{Map, Value, json};

use super::{Request, Response};

/// A JSON answer.
pub(super) fn json(status: u16, body: &Value) -> Response {
    typed(status, "application/json; charset=utf-8", body.to_string())
}

/// An answer with a body of that content type.
pub(super) fn typed(status: u16, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// An answer without a body.
pub(super) fn empty(status: u16) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// An `application/problem+json` answer; the members of `more` stand beside the title.
pub(super) fn problem(status: u16, title: &str, more: Value) -> Response {
    let mut body = json!({ "type": "about:blank", "status": status, "title": title });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    typed(status, "application/problem+json", body.to_string())
}

/// The parts of a path: `/v1/customers/7` is `["v1", "customers", "7"]`.
pub(super) fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// A header's text; absent when it is not plain text.
pub(super) fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// The body as a JSON object; an empty body is an empty object, anything else that is no object is `None`.
pub(super) fn object(request: &Request) -> Option<Map<String, Value>> {
    if request.body().is_empty() {
        return Some(Map::new());
    }
    serde_json::from_slice(request.body()).ok()
}

/// Whether the method by itself changes nothing.
pub(super) fn reads_only(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The query of a request.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the query of `request`; `+` is a space, `%xx` a byte.
    pub(super) fn of(request: &Request) -> Self {
        Self::read(request.uri().query().unwrap_or(""))
    }

    /// Reads a form: a query without a request.
    pub(super) fn read(form: &str) -> Self {
        let pairs = form.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        });
        Self(pairs.collect())
    }

    /// All keys with their values.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The first value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The first value of a key as a whole number.
    pub(super) fn number(&self, key: &str) -> Option<usize> {
        self.get(key)?.parse().ok()
    }

    /// All values of a key, also written `key[]`, each split at commas.
    pub(super) fn all(&self, key: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(name, _)| name == key || name.strip_suffix("[]") == Some(key));
        named.flat_map(|(_, value)| value.split(',')).filter(|value| !value.is_empty()).collect()
    }
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A new id of that many lower-case hexadecimal digits.
pub(super) fn hex_id(rng: &mut fastrand::Rng, digits: usize) -> String {
    (0..digits).map(|_| char::from_digit(rng.u32(..16), 16).unwrap_or('0')).collect()
}

/// A new random UUID (version 4).
pub(super) fn uuid(rng: &mut fastrand::Rng) -> String {
    uuid::Builder::from_random_bytes(rng.u128(..).to_be_bytes()).into_uuid().to_string()
}

/// A text member of an object.
pub(super) fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

/// Text within a page.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A value of a query.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_lists_may_be_written_three_ways() {
        let request = Request::new(bytes::Bytes::new());
        assert!(Params::of(&request).get("a").is_none());
        let mut request = request;
        *request.uri_mut() = "/x?a=b%20c+d&ids=1,2&ids[]=3&bad=%zz&end=%C3".parse().unwrap();
        let params = Params::of(&request);
        assert_eq!(params.get("a"), Some("b c d"));
        assert_eq!(params.all("ids"), ["1", "2", "3"]);
        assert_eq!(params.get("bad"), Some("%zz"));
    }
}
