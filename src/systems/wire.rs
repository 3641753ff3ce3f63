//! Small words for the vendors' JSON and queries: reading one value under several spellings, and writing a query.
//!
//! In: JSON as it came. Out: model values. What a field is called, and what it means, is each connector's own.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::SystemError;
use super::call::encode;
use crate::clock::Millis;
use crate::model::{Class, ExternalId, Field, Fields, Observation, Place, Shape, System, Value};

/// The first of these JSON pointers that leads to something other than `null`; else `null`.
pub fn first<'a>(json: &'a Json, pointers: &[&str]) -> &'a Json {
    pointers.iter().filter_map(|pointer| json.pointer(pointer)).find(|found| !found.is_null()).unwrap_or(&Json::Null)
}

/// A text, or a number or flag as its text; anything else is blank.
pub fn text(json: &Json) -> Value {
    match json {
        Json::String(text) => Value::text(text),
        Json::Number(number) => Value::text(number.to_string()),
        Json::Bool(flag) => Value::text(flag.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => Value::Blank,
    }
}

/// What stands between the items of a list that is held as one text.
pub const LIST: &str = ", ";

/// As [`text`]; a list is one line of its items. What it was before is not to be told from that.
pub fn line(json: &Json) -> Value {
    let Json::Array(items) = json else { return text(json) };
    let items: Vec<Value> = items.iter().map(text).collect();
    Value::text(items.iter().filter_map(Value::as_text).collect::<Vec<_>>().join(LIST))
}

/// An id; ids are opaque, some senders write them as numbers.
pub fn id(json: &Json) -> Option<ExternalId> {
    text(json).as_text().map(ExternalId::new)
}

/// An instant: RFC 3339, `YYYY-MM-DD HH:mm` in UTC, or epoch milliseconds as a number or its text.
pub fn instant(json: &Json) -> Option<Millis> {
    match json {
        Json::Number(number) => number.as_i64().map(Millis),
        Json::String(text) => {
            let text = text.trim();
            let minute = || Millis::parse(&format!("{}:00Z", text.replacen(' ', "T", 1)));
            Millis::parse(text).or_else(|| text.parse().ok().map(Millis)).or_else(minute)
        }
        _ => None,
    }
}

/// The items of a list; none if it is no list.
pub fn items(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}

/// A path with its query; the values are encoded.
pub fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut out = path.to_owned();
    for (at, (name, value)) in pairs.iter().enumerate() {
        let _ = write!(out, "{}{name}={}", if at == 0 { '?' } else { '&' }, encode(value));
    }
    out
}

/// The name in a part of a path that stands for an id: `{name}`.
fn braced(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

/// The names of the ids in a path.
pub fn ids(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(braced)
}

/// A path with its ids put in, encoded.
pub fn path<'a, E>(path: &'static str, id: impl Fn(&'static str) -> Result<&'a str, E>) -> Result<String, E> {
    let part = |part: &'static str| braced(part).map_or_else(|| Ok(part.to_owned()), |name| id(name).map(encode));
    Ok(path.split('/').map(part).collect::<Result<Vec<_>, E>>()?.join("/"))
}

/// Whether a text can stand in a path as an id. What a URL would swallow makes another request than the one meant.
pub fn is_id(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
}

/// The reading of an object that is no longer there.
pub fn gone(place: &Place) -> Observation {
    let gone = Observation::new(place.kind, place.id.clone(), Class::Current, Shape::Gone);
    Observation { parent: place.parent.clone(), ..gone }
}

/// What an answer to a write shows, as far as it shows it.
pub fn partial(mut one: Observation) -> Observation {
    if let Shape::Full(fields) = one.shape {
        one.shape = Shape::Partial(fields);
    }
    one
}

/// A call that we do not even send, because it cannot succeed; status 0, as there was no answer.
pub fn not_sent(system: System, reason: &str) -> SystemError {
    SystemError::Refused { system, status: 0, reason: reason.to_owned() }
}

/// By what two contacts are told to be one person.
const ADDRESSES: [Field; 2] = [Field::EMAIL, Field::PHONE];

/// Whether a contact has an e-mail or a phone at all.
pub fn has_address(one: &Fields) -> bool {
    ADDRESSES.iter().any(|field| one.get(field).is_some_and(|value| !value.is_blank()))
}

/// Whether two contacts share their e-mail or their phone.
pub fn same_person(one: &Fields, other: &Fields) -> bool {
    ADDRESSES
        .iter()
        .any(|field| one.get(field).is_some_and(|value| !value.is_blank() && Some(value) == other.get(field)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!("2026-04-04T07:05:00Z"), Some("2026-04-04T07:05:00.000Z"))]
    #[case(json!("2026-04-04 07:05"), Some("2026-04-04T07:05:00.000Z"))]
    #[case(json!("1774464391262"), Some("2026-03-25T18:46:31.262Z"))]
    #[case(json!(1_774_464_391_262_i64), Some("2026-03-25T18:46:31.262Z"))]
    #[case(json!("2026-04-04Z"), None)]
    #[case(json!(null), None)]
    fn instants_are_read_in_each_of_the_vendors_forms(#[case] json: Json, #[case] expected: Option<&str>) {
        assert_eq!(instant(&json).map(Millis::rfc3339).as_deref(), expected);
    }

    #[test]
    fn a_query_survives_an_opaque_token() {
        assert_eq!(
            query("/x", &[("a", "2023-12-19 16:00:00"), ("t", "a+/=")]),
            "/x?a=2023-12-19%2016%3A00%3A00&t=a%2B%2F%3D"
        );
        assert_eq!(query("/x", &[]), "/x");
    }
}
