//! The secrets in a vendor's JSON: links that cancel or move a booking for whoever opens them, links and passwords of meetings.
//!
//! In: a body as it came, the keys whose values are secrets ([`Door::secrets`](super::Door::secrets)), and a [`Veil`]. Out: the
//! body with something else in the place of these values, and all the rest byte for byte as it was; also of a body that was cut
//! off. What is to stand there is left to whoever brings the veil.

use std::borrow::Cow;

/// What stands in the place of a secret: gets its key and its value as JSON, gives other JSON, or `None` to leave it.
pub type Veil = dyn Fn(&str, &str) -> Option<String> + Send + Sync;

/// The JSON that stands in the place of a secret that is not kept.
pub const DROPPED: &str = r#""[dropped]""#;

/// Values that hold no secret.
const EMPTY: &[&[u8]] = &[b"", b"null", b"\"\""];

/// The body with the values of these keys veiled, wherever they stand; `None`: there was nothing to do.
pub fn veiled(body: &[u8], keys: &[&str], veil: impl Fn(&str, &str) -> Option<String>) -> Option<Vec<u8>> {
    let (mut out, mut copied, mut at) = (Vec::new(), 0, 0);
    while let Some(opened) = find(body, at, b'"') {
        let named = past_text(body, opened);
        let Some(value) = value_of_key(body, named) else {
            at = named;
            continue;
        };
        let name = text(&body[opened..named]);
        let Some(key) = keys.iter().find(|key| **key == name) else {
            at = value;
            continue;
        };
        at = past_value(body, value);
        let held = &body[value..at];
        let other = if EMPTY.contains(&held) { None } else { veil(key, &String::from_utf8_lossy(held)) };
        if let Some(other) = other {
            out.extend_from_slice(&body[copied..value]);
            out.extend_from_slice(other.as_bytes());
            copied = at;
        }
    }
    (copied > 0).then(|| [out.as_slice(), &body[copied..]].concat())
}

fn find(body: &[u8], from: usize, byte: u8) -> Option<usize> {
    body.get(from..)?.iter().position(|one| *one == byte).map(|at| from + at)
}

/// Where a text ends that is opened here: after its closing quote.
fn past_text(body: &[u8], opened: usize) -> usize {
    let mut at = opened + 1;
    while at < body.len() {
        match body[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    body.len()
}

/// Where the value begins, if the text that ends here is a key.
fn value_of_key(body: &[u8], named: usize) -> Option<usize> {
    let colon = past_blanks(body, named);
    (body.get(colon) == Some(&b':')).then(|| past_blanks(body, colon + 1))
}

fn past_blanks(body: &[u8], from: usize) -> usize {
    let rest = body.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Where a value ends: after its text, its last bracket, or its last character.
fn past_value(body: &[u8], value: usize) -> usize {
    let (mut at, mut depth) = (value, 0_usize);
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => at = past_text(body, at),
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' if depth > 0 => (at, depth) = (at + 1, depth - 1),
            b'}' | b']' | b',' if depth == 0 => return at,
            _ if depth == 0 && byte.is_ascii_whitespace() => return at,
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return at;
        }
    }
    body.len()
}

/// A key as it is meant, whatever of it was escaped.
fn text(quoted: &[u8]) -> Cow<'_, str> {
    serde_json::from_slice::<String>(quoted).map_or_else(|_| String::from_utf8_lossy(quoted), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    const KEYS: &[&str] = &["cancel_url", "password"];

    fn dropped(body: &str) -> Option<String> {
        let out = veiled(body.as_bytes(), KEYS, |_, _| Some(DROPPED.to_owned()))?;
        Some(String::from_utf8(out).unwrap())
    }

    #[rstest]
    #[case::nested(r#"{"a":[{"cancel_url":"x","b":1}]}"#, r#"{"a":[{"cancel_url":"[dropped]","b":1}]}"#)]
    #[case::as_it_stands(
        "{ \"password\" :\n \"x\" , \"n\": 1.50e1 }",
        "{ \"password\" :\n \"[dropped]\" , \"n\": 1.50e1 }"
    )]
    #[case::number(r#"{"password":123456}"#, r#"{"password":"[dropped]"}"#)]
    #[case::object(r#"{"password":{"a":"}\"]","b":[1]},"c":2}"#, r#"{"password":"[dropped]","c":2}"#)]
    #[case::list(r#"{"cancel_url":["x",["y"]],"c":2}"#, r#"{"cancel_url":"[dropped]","c":2}"#)]
    #[case::escaped_key(r#"{"cancel\u005furl":"x"}"#, r#"{"cancel\u005furl":"[dropped]"}"#)]
    #[case::escaped_quote(r#"{"cancel_url":"x\"y\\","c":"d"}"#, r#"{"cancel_url":"[dropped]","c":"d"}"#)]
    #[case::twice(r#"{"password":"x","password":null}"#, r#"{"password":"[dropped]","password":null}"#)]
    #[case::cut_off(r#"{"event":{"cancel_url":"https://x/y"#, r#"{"event":{"cancel_url":"[dropped]""#)]
    #[case::cut_off_at_a_number(r#"{"password":12"#, r#"{"password":"[dropped]""#)]
    fn the_values_of_secret_keys_are_veiled_and_nothing_else(#[case] body: &str, #[case] expected: &str) {
        assert_eq!(dropped(body).as_deref(), Some(expected));
    }

    #[rstest]
    #[case::absent(r#"{"a": {"url":"x"}}"#)]
    #[case::empty(r#"{"cancel_url":"","password": null}"#)]
    #[case::as_a_value(r#"{"label":"password","value":"cancel_url"}"#)]
    #[case::within_a_text(r#"{"note":"\"password\":\"x\""}"#)]
    #[case::longer_key(r#"{"password_hint":"x","my_password":"y"}"#)]
    #[case::nothing_there(r#"{"password":"#)]
    #[case::no_json("hello: \"password")]
    #[case::blank("")]
    fn where_no_secret_stands_nothing_changes(#[case] body: &str) {
        assert_eq!(dropped(body), None);
    }

    #[test]
    fn what_the_veil_leaves_stays() {
        let veil = |key: &str, held: &str| (held != r#""x""#).then(|| format!("\"{key}!\""));
        let out = veiled(br#"{"password":"x","cancel_url":"y"}"#, KEYS, veil).unwrap();
        assert_eq!(out, br#"{"password":"x","cancel_url":"cancel_url!"}"#);
        assert_eq!(veiled(br#"{"password":"x"}"#, KEYS, |_, _| None), None);
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        let key = prop_oneof![Just("cancel_url".to_owned()), Just("password".to_owned()), any::<String>()];
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    /// The same, over the tree.
    fn expected(json: &Value) -> Value {
        match json {
            Value::Array(items) => items.iter().map(expected).collect(),
            Value::Object(pairs) => {
                let one = |(key, value): (&String, &Value)| {
                    let secret = KEYS.contains(&key.as_str()) && !value.is_null() && *value != json!("");
                    (key.clone(), if secret { json!("[dropped]") } else { expected(value) })
                };
                Value::Object(pairs.iter().map(one).collect())
            }
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn any_json_is_veiled_as_its_tree_is(json in tree(), pretty in any::<bool>()) {
            let body = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) }.unwrap();
            let out = dropped(&body).unwrap_or_else(|| body.clone());
            prop_assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected(&json));
            prop_assert_eq!(dropped(&body).is_some(), expected(&json) != json || body.contains("[dropped]"));
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(prop::sample::select(&b"\"\\{}[]:, pasword1x\xff"[..]), 0..80)) {
            let body = [br#"{"password":"#.as_slice(), &bytes].concat();
            let out = veiled(&body, KEYS, |_, _| Some(DROPPED.to_owned()));
            let untouched = out.is_none_or(|out| out.starts_with(&body[..12]));
            prop_assert!(untouched);
        }
    }
}
