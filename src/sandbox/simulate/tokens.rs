//! Values that can be recognised wherever they turn up: each that a person types in carries the number of its edit.
//!
//! `v17q` in names and texts, `+4915110000017` as a phone number. In: bytes. Out: the numbers in them.

use std::collections::BTreeSet;

use serde_json::Value;

/// How the phone numbers begin.
const PHONE: &str = "4915110";

/// The text of an edit.
pub fn text(number: u32) -> String {
    format!("v{number}q")
}

/// The phone number of an edit.
pub fn phone(number: u32) -> String {
    format!("+{PHONE}{number:06}")
}

/// Adds the numbers of all edits whose values stand in some JSON.
pub fn within(json: &Value, into: &mut BTreeSet<u32>) {
    match json {
        Value::String(text) => scan(text.as_bytes(), into),
        Value::Array(list) => list.iter().for_each(|one| within(one, into)),
        Value::Object(map) => map.values().for_each(|one| within(one, into)),
        _ => {}
    }
}

/// Adds the numbers of all edits whose values stand in a text. A text of an edit is a word of its own: ids are drawn, and may hold
/// any letters.
pub fn scan(bytes: &[u8], into: &mut BTreeSet<u32>) {
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at + 1..];
        let begins = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        match bytes[at] {
            b'v' if begins => {
                let digits = digits(rest);
                let after = rest.get(digits.len()..).unwrap_or_default();
                let ends = !after.get(1).is_some_and(u8::is_ascii_alphanumeric);
                if !digits.is_empty() && after.first() == Some(&b'q') && ends {
                    into.extend(number(digits));
                }
            }
            b'4' if rest.starts_with(&PHONE.as_bytes()[1..]) => {
                let digits = rest.get(PHONE.len() - 1..PHONE.len() + 5).unwrap_or_default();
                if digits.len() == 6 && digits.iter().all(u8::is_ascii_digit) {
                    into.extend(number(digits));
                }
            }
            _ => {}
        }
        at += 1;
    }
}

fn digits(bytes: &[u8]) -> &[u8] {
    let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    &bytes[..count]
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_found_in_names_and_phone_numbers() {
        let mut found = BTreeSet::new();
        scan(
            format!(r#"{{"a":"x {} y","p":"{}","no":"v12 v3r 49151100"}}"#, text(17), phone(23)).as_bytes(),
            &mut found,
        );
        assert_eq!(found, BTreeSet::from([17, 23]));
    }

    #[test]
    fn what_an_id_happens_to_hold_is_no_edit() {
        let mut found = BTreeSet::new();
        let body = serde_json::json!({ "id": "Mo4La5tTaMI3Ydv1qDBT", "list": [{ "id": "v2qDBT", "of": "Ydv3q", "text": "a\nv4q" }] });
        within(&body, &mut found);
        assert_eq!(found, BTreeSet::from([4]));
    }
}
