//! Fields and their values, in canonical form.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::clock::Millis;

/// The name of a field: one of the constants here, `tag:NAME` or `custom:KEY`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Field(Cow<'static, str>);

macro_rules! fields {
    ($($(#[$doc:meta])* $constant:ident = $name:literal),+ $(,)?) => {
        impl Field {
            $($(#[$doc])* pub const $constant: Self = Self(Cow::Borrowed($name));)+
            const NAMED: &'static [&'static str] = &[$($name),+];
        }
    };
}

fields! {
    /// Contact: given name.
    FIRST_NAME = "first_name",
    /// Contact: family name.
    LAST_NAME = "last_name",
    /// Contact: e-mail, lower case.
    EMAIL = "email",
    /// Contact: phone, E.164.
    PHONE = "phone",
    /// Contact: street and number.
    ADDRESS = "address",
    /// Contact: city.
    CITY = "city",
    /// Contact: state or prefecture.
    STATE = "state",
    /// Contact: postal code.
    POSTAL_CODE = "postal_code",
    /// Contact: ISO 3166 two-letter code, upper case.
    COUNTRY = "country",
    /// Contact: date of birth, `YYYY-MM-DD`.
    BIRTHDAY = "birthday",
    /// Contact: the business it belongs to, by the id that GHL gave that business.
    BUSINESS = "business",
    /// Task, appointment: title.
    TITLE = "title",
    /// Task, note: text.
    BODY = "body",
    /// Task: when it is due (an instant).
    DUE = "due",
    /// Task: whether it is done (a flag).
    COMPLETED = "completed",
    /// Appointment: the name of the `calendars` row.
    CALENDAR = "calendar",
    /// Appointment: first instant.
    START = "start",
    /// Appointment: last instant.
    END = "end",
    /// Appointment: `new`, `confirmed`, `cancelled`, `showed`, `noshow`, `invalid`. Contact: a word of the business's own.
    STATUS = "status",
}

/// The status of an appointment that does not take place.
pub const CANCELLED: &str = "cancelled";

impl Field {
    /// The boolean field of one tag; tags compare in lower case.
    pub fn tag(name: &str) -> Self {
        Self(Cow::Owned(format!("tag:{}", name.trim().to_lowercase())))
    }

    /// A mapped custom field.
    pub fn custom(key: &str) -> Self {
        Self(Cow::Owned(format!("custom:{key}")))
    }

    /// The tag's name, if this is a tag.
    pub fn as_tag(&self) -> Option<&str> {
        self.0.strip_prefix("tag:")
    }

    /// The custom field's key, if this is one.
    pub fn as_custom(&self) -> Option<&str> {
        self.0.strip_prefix("custom:")
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Reads a name: one of the constants, or a tag or custom field.
    pub fn parse(name: &str) -> Option<Self> {
        let known = Self::NAMED.iter().find(|known| **known == name).map(|known| Self(Cow::Borrowed(known)));
        known.or_else(|| {
            (name.starts_with("tag:") || name.starts_with("custom:")).then(|| Self(Cow::Owned(name.to_owned())))
        })
    }
}

impl Borrow<str> for Field {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| serde::de::Error::custom(format!("`{name}` is not a field")))
    }
}

/// The value of a field. JSON: `null`, `true`, milliseconds, `"text"`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Nothing: never set, cleared, or a tag that is not there.
    #[default]
    Blank,
    /// Yes or no; a tag that is there is `Flag(true)`.
    Flag(bool),
    /// An instant.
    Instant(Millis),
    /// A text, trimmed, never empty, its lines ended by `\n`.
    Text(String),
}

impl Value {
    /// A text, trimmed, and its lines ended by `\n`: each vendor ends them its own way. An empty one is [`Value::Blank`].
    pub fn text(text: impl AsRef<str>) -> Self {
        let text = text.as_ref().trim();
        if text.is_empty() { Self::Blank } else { Self::Text(text.replace("\r\n", "\n").replace('\r', "\n")) }
    }

    /// Whether there is nothing.
    pub fn is_blank(&self) -> bool {
        *self == Self::Blank
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The instant, if it is one.
    pub fn as_instant(&self) -> Option<Millis> {
        if let Self::Instant(instant) = self { Some(*instant) } else { None }
    }

    /// Whether it is `Flag(true)`.
    pub fn is_set(&self) -> bool {
        *self == Self::Flag(true)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("blank"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Instant(instant) => write!(f, "{instant}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// Values by field.
pub type Fields = BTreeMap<Field, Value>;

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::windows("one\r\ntwo\r\n", "one\ntwo")]
    #[case::old("one\rtwo", "one\ntwo")]
    #[case::mixed(" one\r\n\r\ntwo\nthree ", "one\n\ntwo\nthree")]
    #[case::inside("one  two\n three", "one  two\n three")]
    fn a_text_is_one_however_its_lines_end(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(Value::text(text), Value::Text(expected.to_owned()));
        assert_eq!(Value::text(expected), Value::Text(expected.to_owned()));
    }

    #[test]
    fn a_text_of_nothing_but_line_ends_is_blank() {
        assert_eq!(Value::text("\r\n \r\n"), Value::Blank);
    }
}
