//! Small words for objects of JSON fields: what the stand-in stores, reads and shows.
//!
//! In: fields. Out: views of them, fresh ids. No knowledge of any kind of object.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// An object's fields by name, in order.
pub(super) type Fields = Map<String, Value>;

/// The objects of a kind by id.
pub(super) type Shelf = BTreeMap<String, Fields>;

/// The text of a field; empty when it is absent or no text.
pub(super) fn text<'a>(fields: &'a Fields, key: &str) -> &'a str {
    fields.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a field says true.
pub(super) fn flag(fields: &Fields, key: &str) -> bool {
    fields.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// The texts of a list field.
pub(super) fn texts(fields: &Fields, key: &str) -> Vec<String> {
    let list = fields.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether a value says nothing: the vendor leaves such fields out.
pub(super) fn empty(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

/// The named fields that say something, in the order of the names.
pub(super) fn pick(fields: &Fields, keys: &[&str]) -> Fields {
    let held = keys.iter().filter_map(|key| fields.get_key_value(*key));
    held.filter(|(_, value)| !empty(value)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Only the named fields, as they are.
pub(super) fn only(fields: &Fields, keys: &[&str]) -> Fields {
    let named = fields.iter().filter(|(key, _)| keys.contains(&key.as_str()));
    named.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Sets or clears the given fields.
pub(super) fn apply(fields: &mut Fields, change: Fields) {
    for (key, value) in change {
        if empty(&value) {
            fields.remove(&key);
        } else {
            fields.insert(key, value);
        }
    }
}

/// The objects that pass, oldest first.
pub(super) fn oldest_first(shelf: &Shelf, pass: impl Fn(&Fields) -> bool) -> Vec<&Fields> {
    let mut found: Vec<&Fields> = shelf.values().filter(|fields| pass(fields)).collect();
    found.sort_by_key(|fields| (text(fields, "dateAdded"), text(fields, "id")));
    found
}

/// A fresh id of 20 letters and digits, as the vendor's.
pub(super) fn fresh_id(rng: &mut fastrand::Rng) -> String {
    std::iter::repeat_with(|| rng.alphanumeric()).take(20).collect()
}

/// A fresh id of 24 hexadecimal digits, as the vendor's businesses have.
pub(super) fn fresh_record_id(rng: &mut fastrand::Rng) -> String {
    std::iter::repeat_with(|| rng.digit(16)).take(24).collect()
}

/// A fresh UUID of version 4.
pub(super) fn fresh_uuid(rng: &mut fastrand::Rng) -> String {
    uuid::Builder::from_random_bytes(rng.u128(..).to_be_bytes()).into_uuid().to_string()
}
