//! Time as a parameter.
//!
//! All instants are integer milliseconds UTC ([`Millis`]). Nothing asks the machine for the time except [`SystemClock`].

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// RFC 3339 in UTC with milliseconds, as the vendors write it: `2026-03-29T13:52:04.212Z`.
    pub fn rfc3339(self) -> String {
        Timestamp::from_millisecond(self.0)
            .map_or_else(|_| self.0.to_string(), |instant| instant.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
    }

    /// Reads RFC 3339 with any offset or `Z`.
    pub fn parse(text: &str) -> Option<Self> {
        text.trim().parse::<Timestamp>().ok().map(|instant| Self(instant.as_millisecond()))
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl Add<Duration> for Millis {
    type Output = Self;
    fn add(self, more: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(more.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Millis {
    type Output = Self;
    fn sub(self, less: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(less.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// Who tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present instant.
    fn now(&self) -> Millis;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    fn now(&self) -> Millis {
        Millis(Timestamp::now().as_millisecond())
    }
}

/// A clock that stands until it is moved; for tests and simulation.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn at(start: Millis) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(0), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_keep_their_milliseconds_when_written_and_read() {
        let instant = Millis::parse("2026-03-29T13:52:04.212Z").unwrap();
        assert_eq!(instant.rfc3339(), "2026-03-29T13:52:04.212Z");
        assert_eq!(Millis::parse("2026-03-29T22:52:04.212+09:00"), Some(instant));
        assert_eq!(Millis::parse("yesterday"), None);
    }
}
