//! Whitelist validation: unknown keys, missing keys and wrong types are refused with a list of messages.
//!
//! In: a table of keys and what a request sent. Out: nothing, or the 422 with its array. The tables stand in `keys`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answers::Refusal;
use super::fields::Fields;
use crate::clock::Millis;

/// The form that a value must have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Text,
    TextOrNull,
    Email,
    Phone,
    Flag,
    Number,
    /// A number up to this one.
    UpTo(u32),
    /// A text of so many characters at most.
    Short(usize),
    Texts,
    List,
    Object,
    /// ISO 8601 with an offset or `Z`.
    Instant,
    OneOf(&'static [&'static str]),
}

/// A key that a body or a query may carry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    name: &'static str,
    form: Form,
    required: bool,
}

pub(super) const fn opt(name: &'static str, form: Form) -> Key {
    Key { name, form, required: false }
}

pub(super) const fn req(name: &'static str, form: Form) -> Key {
    Key { name, form, required: true }
}

/// Checks a body against its keys.
pub(super) fn body(keys: &[Key], sent: &Fields) -> Result<(), Refusal> {
    let mut messages = strangers(keys, sent.keys());
    for key in keys {
        match sent.get(key.name) {
            Some(value) => messages.extend(key.form.fault(key.name, value)),
            None if key.required => messages.push(format!("{} should not be empty", key.name)),
            None => {}
        }
    }
    verdict(messages)
}

/// Checks a query against its keys; a value is read as the form that its key wants.
pub(super) fn query(keys: &[Key], sent: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let mut messages = strangers(keys, sent.keys());
    for key in keys {
        match sent.get(key.name).filter(|value| !value.is_empty()) {
            Some(value) => messages.extend(key.form.fault(key.name, &key.form.read(value))),
            None if key.required => messages.push(format!("{} should not be empty", key.name)),
            None => {}
        }
    }
    verdict(messages)
}

fn strangers<'a>(keys: &[Key], sent: impl Iterator<Item = &'a String>) -> Vec<String> {
    let unknown = sent.filter(|name| !keys.iter().any(|key| key.name == *name));
    unknown.map(|name| format!("property {name} should not exist")).collect()
}

fn verdict(messages: Vec<String>) -> Result<(), Refusal> {
    if messages.is_empty() { Ok(()) } else { Err(Refusal::unprocessable(messages)) }
}

impl Form {
    /// The value that a text of a query stands for.
    fn read(self, text: &str) -> Value {
        match self {
            Self::Number | Self::UpTo(_) | Self::Flag => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
            Self::Texts => vec![text].into(),
            _ => text.into(),
        }
    }

    /// What is wrong with a value, in the vendor's words.
    fn fault(self, name: &str, value: &Value) -> Option<String> {
        let (fits, wanted) = match self {
            Self::Text => (value.is_string(), "a string"),
            Self::TextOrNull => (value.is_string() || value.is_null(), "a string"),
            Self::Email => (value.is_null() || value.as_str().is_some_and(is_email), "an email"),
            Self::Phone => (value.is_null() || value.as_str().is_some_and(is_phone), "a valid phone number"),
            Self::Flag => (value.is_boolean(), "a boolean value"),
            Self::Number => (value.is_number(), "a number conforming to the specified constraints"),
            Self::Texts => (is_texts(value), "an array of strings"),
            Self::List => (value.is_array(), "an array"),
            Self::Object => (value.is_object(), "an object"),
            Self::Instant => (value.as_str().is_some_and(is_instant), "a valid ISO 8601 date string"),
            Self::UpTo(most) => {
                let fits = value.as_f64().is_some_and(|number| number <= f64::from(most));
                return (!fits).then(|| format!("{name} must not be greater than {most}"));
            }
            Self::Short(most) => {
                let fits = value.as_str().is_some_and(|text| text.chars().count() <= most);
                return (!fits).then(|| format!("{name} must be shorter than or equal to {most} characters"));
            }
            Self::OneOf(words) if value.as_str().is_some_and(|word| words.contains(&word)) => return None,
            Self::OneOf(words) => {
                return Some(format!("{name} must be one of the following values: {}", words.join(", ")));
            }
        };
        (!fits).then(|| format!("{name} must be {wanted}"))
    }
}

/// An empty address clears the field, so it passes.
fn is_email(text: &str) -> bool {
    let shaped = |(local, domain): (&str, &str)| !local.is_empty() && domain.contains('.') && !domain.ends_with('.');
    text.is_empty() || (!text.contains(char::is_whitespace) && text.split_once('@').is_some_and(shaped))
}

fn is_phone(text: &str) -> bool {
    text.is_empty() || text.chars().filter(char::is_ascii_digit).count() >= 5
}

fn is_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
}

fn is_instant(text: &str) -> bool {
    Millis::parse(text).is_some()
}
