//! Push notifications: bodies that carry their own proof.
//!
//! In: a body. Out: the token in it, if it has exactly the shape that the vendor documents, so that no other body is ever
//! asked for one; the body without it. Vendor source: developers.timerex.net, "Push notifications".

use bytes::Bytes;
use serde_json::{Map, Value};

/// The keys of TimeRex's push notification, and of what it is about.
const KEYS: [&str; 3] = ["token", "status", "one_time_url"];
const LINK_KEYS: [&str; 2] = ["id", "url"];
/// What stands in place of the token afterwards.
const TAKEN_OUT: &str = "[secret]";

/// The token of a push notification; `None`: it is none.
pub(super) fn token(body: &[u8]) -> Option<String> {
    read(body)?.get("token")?.as_str().filter(|token| !token.trim().is_empty()).map(ToOwned::to_owned)
}

/// The same body without the token.
pub(super) fn without_token(body: &[u8]) -> Option<Bytes> {
    let mut push = read(body)?;
    push.insert("token".to_owned(), TAKEN_OUT.into());
    Some(Value::Object(push).to_string().into())
}

fn read(body: &[u8]) -> Option<Map<String, Value>> {
    let Ok(Value::Object(push)) = serde_json::from_slice(body) else { return None };
    let link = push.get("one_time_url")?.as_object()?;
    let texts = push.get("status")?.is_string() && link.values().all(Value::is_string);
    (has_exactly(&push, &KEYS) && has_exactly(link, &LINK_KEYS) && texts).then_some(push)
}

fn has_exactly(object: &Map<String, Value>, keys: &[&str]) -> bool {
    object.len() == keys.len() && keys.iter().all(|key| object.contains_key(*key))
}
