//! Settings: how one value of the configuration is read, and how it is shown.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, Uri};

use super::tree::{Node, Tree, quoted};
use crate::clock::Millis;
use crate::credentials::login::TokenScheme;
use crate::model::{CreateRule, FieldRule, Mode, OnDelete, ReadBeforeWrite, System};

/// A kind of value that a key can take.
pub(super) trait Setting: Sized {
    /// Reads it; the error says what is expected.
    fn read(node: &Node) -> Result<Self, String>;
    /// Shows it as it could stand in the file.
    fn show(&self) -> String;
}

fn text(node: &Node) -> Result<&str, String> {
    match &node.value {
        Tree::Text(text) => Ok(text),
        other => Err(format!("expected text, found {}", other.what())),
    }
}

fn integer(node: &Node) -> Result<i64, String> {
    match &node.value {
        Tree::Integer(number) => Ok(*number),
        Tree::Text(text) if node.is_from_environment() => {
            text.trim().parse().map_err(|_| format!("expected a number, found {}", quoted(text)))
        }
        other => Err(format!("expected a number, found {}", other.what())),
    }
}

impl Setting for String {
    fn read(node: &Node) -> Result<Self, String> {
        let text = text(node)?.trim();
        if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
    }
    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for bool {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            Tree::Boolean(truth) => Ok(*truth),
            Tree::Text(text) if node.is_from_environment() => {
                text.trim().parse().map_err(|_| "expected true or false".to_owned())
            }
            other => Err(format!("expected true or false, found {}", other.what())),
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u32 {
    fn read(node: &Node) -> Result<Self, String> {
        Self::try_from(integer(node)?).map_err(|_| format!("must be from 0 to {}", Self::MAX))
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for NonZeroU32 {
    fn read(node: &Node) -> Result<Self, String> {
        u32::read(node).ok().and_then(Self::new).ok_or_else(|| "must be a number of at least 1".to_owned())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

/// Units of time, the largest first, as showing prefers them.
const UNITS: &[(&str, u128)] = &[("days", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Setting for Duration {
    fn read(node: &Node) -> Result<Self, String> {
        let expected = || r#"expected a time such as "250ms", "30s", "10m", "2h" or "4days""#.to_owned();
        let (number, unit) = split_unit(text(node)?).ok_or_else(expected)?;
        let unit = if unit == "d" || unit == "day" { "days" } else { unit };
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
        let total = u128::from(number).checked_mul(*millis).and_then(|total| u64::try_from(total).ok());
        total.map(Self::from_millis).ok_or_else(expected)
    }
    fn show(&self) -> String {
        let millis = self.as_millis();
        let fitting = UNITS.iter().find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit));
        let (name, unit) = fitting.copied().unwrap_or(("s", 1_000));
        quoted(&format!("{}{name}", millis / unit))
    }
}

impl Setting for Millis {
    fn read(node: &Node) -> Result<Self, String> {
        let expected = || r#"expected an instant such as "2026-09-01T00:00:00Z""#.to_owned();
        Self::parse(text(node)?).ok_or_else(expected)
    }
    fn show(&self) -> String {
        quoted(&self.rfc3339())
    }
}

/// A number of bytes: `"1MiB"`, `"512KiB"`, `"4096B"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub usize);

const SIZES: &[(&str, usize)] = &[("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Setting for Size {
    fn read(node: &Node) -> Result<Self, String> {
        let expected = || r#"expected a size such as "1MiB" or "512KiB""#.to_owned();
        let (number, unit) = split_unit(text(node)?).ok_or_else(expected)?;
        let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
        let total = usize::try_from(number).ok().and_then(|number| number.checked_mul(*bytes));
        total.filter(|total| *total > 0).map(Self).ok_or_else(expected)
    }
    fn show(&self) -> String {
        let fitting = SIZES.iter().find(|(_, unit)| self.0.is_multiple_of(*unit));
        let (name, unit) = fitting.copied().unwrap_or(("B", 1));
        quoted(&format!("{}{name}", self.0 / unit))
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..at].parse().ok()?, text[at..].trim_start()))
}

/// An http or https address without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HttpUrl(pub String);

impl Setting for HttpUrl {
    fn read(node: &Node) -> Result<Self, String> {
        let expected = || r#"expected an address such as "https://lockstep.example.com""#.to_owned();
        let text = text(node)?.trim().trim_end_matches('/');
        let uri: Uri = text.parse().map_err(|_| expected())?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        if is_http && has_host && uri.query().is_none() { Ok(Self(text.to_owned())) } else { Err(expected()) }
    }
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

impl Setting for HeaderName {
    fn read(node: &Node) -> Result<Self, String> {
        text(node)?.trim().to_ascii_lowercase().parse().map_err(|_| "expected the name of a header".to_owned())
    }
    fn show(&self) -> String {
        quoted(self.as_str())
    }
}

/// Values whose `FromStr` and `Display` say it all.
fn spoken<T: FromStr<Err: fmt::Display>>(node: &Node) -> Result<T, String> {
    text(node)?.trim().parse().map_err(|error: T::Err| error.to_string())
}

impl Setting for SocketAddr {
    fn read(node: &Node) -> Result<Self, String> {
        spoken(node).map_err(|_| r#"expected an address and port such as "127.0.0.1:8080""#.to_owned())
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

/// A closed list of words.
pub(super) trait Word: Copy + fmt::Display + FromStr + 'static {
    /// All of them.
    const WORDS: &'static [Self];
}

macro_rules! word_settings {
    ($($name:ty),+) => { $(impl Word for $name { const WORDS: &'static [Self] = Self::ALL; })+ };
}
word_settings!(System, Mode, CreateRule, FieldRule, OnDelete, ReadBeforeWrite, TokenScheme);

impl<T: Word> Setting for T {
    fn read(node: &Node) -> Result<Self, String> {
        let word = text(node)?.trim();
        word.parse().map_err(|_| {
            let words: Vec<String> = T::WORDS.iter().map(|word| quoted(&word.to_string())).collect();
            format!("expected one of {}, found {}", words.join(", "), quoted(word))
        })
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            Tree::List(items) => items.iter().map(T::read).collect(),
            Tree::Text(text) if node.is_from_environment() => {
                let part = |part: &str| Node { source: node.source.clone(), value: Tree::Text(part.trim().to_owned()) };
                text.split(',').filter(|text| !text.trim().is_empty()).map(|text| T::read(&part(text))).collect()
            }
            other => Err(format!("expected a list, found {}", other.what())),
        }
    }
    fn show(&self) -> String {
        format!("[{}]", self.iter().map(T::show).collect::<Vec<_>>().join(", "))
    }
}
