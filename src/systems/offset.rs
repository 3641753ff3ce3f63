//! How far a vendor's clock is from ours, measured from the `Date` of its answers.
//!
//! In: a `Date` and the instants between which it was written. Out: vendor times on our clock. Each answer bounds the
//! difference from both sides, and the bounds of many answers narrow it down; as long as no difference at all fits the
//! bounds, there is none. So a right clock is never "corrected" by the noise of measuring. A clock that was set back tells
//! versions a second time: what it may have told before proves nothing any more.

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::{Clock, Millis};
use crate::model::{Class, Observation};

/// What a `Date` may lag behind: it tells whole seconds, and servers render it once a second.
const RESOLUTION_MS: i64 = 2_000;

/// Clocks drift apart by less than one part in this many; old bounds widen by it.
const DRIFT: i64 = 10_000;

/// The difference between a vendor's clock and ours.
#[derive(Debug)]
pub struct ClockOffset {
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

/// What is known of a vendor's clock.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    bounds: Option<Bounds>,
    /// What it told at most before it was set back.
    told: Option<Millis>,
}

/// Vendor time minus our time lies between `low` and `high`, as known at `at`.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    low: i64,
    high: i64,
    at: Millis,
}

impl ClockOffset {
    /// Nothing measured yet: no difference.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// The present instant on our clock.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Takes in the `Date` of an answer to a request that was `sent`, and its answer `received`, on our clock.
    pub fn measure(&self, date: Millis, sent: Millis, received: Millis) {
        let new = Bounds { low: date.0 - received.0, high: date.0 + RESOLUTION_MS - sent.0, at: received };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = known.bounds
            && new.high < old.low
        {
            known.told = known.told.max(Some(Millis(received.0.saturating_add(old.high))));
        }
        known.bounds = Some(known.bounds.map_or(new, |old| old.narrowed(new)));
    }

    fn known(&self) -> Known {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Vendor time minus our time, in milliseconds.
    pub fn ms(&self) -> i64 {
        self.known()
            .bounds
            .map_or(0, |Bounds { low, high, .. }| if low <= 0 && high >= 0 { 0 } else { low.midpoint(high) })
    }

    /// A vendor's time on our clock.
    pub fn to_ours(&self, theirs: Millis) -> Millis {
        Millis(theirs.0.saturating_sub(self.ms()))
    }

    /// An observation as it is to be taken: of a version that may be of before the clock was set back, nobody knows whether it is
    /// newer than another one.
    pub fn weighed(&self, seen: Observation) -> Observation {
        match seen.class {
            Class::Versioned(version) if self.known().told.is_some_and(|told| version <= told) => {
                Observation { class: Class::Claim, ..seen }
            }
            _ => seen,
        }
    }

    /// A time of ours on the vendor's clock.
    pub fn to_theirs(&self, ours: Millis) -> Millis {
        Millis(ours.0.saturating_add(self.ms()))
    }
}

impl Bounds {
    /// Both together; when they contradict each other, the vendor's clock was set, and only the new ones count.
    fn narrowed(self, new: Self) -> Self {
        let slack = (new.at.0 - self.at.0).abs() / DRIFT;
        let (low, high) = (new.low.max(self.low - slack), new.high.min(self.high + slack));
        if low > high { new } else { Self { low, high, at: new.at } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::model::{ExternalId, Kind, Shape};
    use std::time::Duration;

    /// Asks a vendor whose clock is `skew` off, `times` times, with answers that take 80 ms.
    fn measured(skew: i64, times: u64) -> ClockOffset {
        let clock = Arc::new(ManualClock::at(Millis(1_700_000_000_000)));
        let offset = ClockOffset::new(clock.clone());
        for _ in 0..times {
            let sent = offset.now();
            clock.advance(Duration::from_millis(40));
            let date = Millis((offset.now().0 + skew).div_euclid(1_000) * 1_000);
            clock.advance(Duration::from_millis(40));
            offset.measure(date, sent, offset.now());
            clock.advance(Duration::from_millis(773));
        }
        offset
    }

    #[test]
    fn a_right_clock_is_never_corrected() {
        for skew in [0, 30, -30] {
            assert_eq!(measured(skew, 50).ms(), 0);
        }
        assert_eq!(measured(0, 0).to_ours(Millis(7)), Millis(7));
    }

    #[test]
    fn a_clock_five_minutes_off_is_known_within_a_second() {
        for skew in [-300_000, 300_000] {
            assert!((measured(skew, 1).ms() - skew).abs() <= 2_000);
            let offset = measured(skew, 50);
            assert!((offset.ms() - skew).abs() <= 1_000, "{} for {skew}", offset.ms());
            assert_eq!(offset.to_theirs(offset.to_ours(Millis(5))), Millis(5));
        }
    }

    #[test]
    fn a_clock_that_is_set_is_measured_anew() {
        let offset = measured(-300_000, 20);
        let now = offset.now();
        offset.measure(now, now, now);
        assert_eq!(offset.ms(), 0);
    }

    #[test]
    fn a_version_of_before_the_clock_was_set_back_proves_nothing() {
        let offset = measured(0, 20);
        let (now, back) = (offset.now(), Duration::from_mins(3));
        let class = |version| {
            let versioned = Class::Versioned(version);
            offset.weighed(Observation::new(Kind::Contact, ExternalId::new("c"), versioned, Shape::Hint)).class
        };
        let soon = now + Duration::from_secs(5);
        assert_eq!([class(now), class(soon)], [Class::Versioned(now), Class::Versioned(soon)]);
        offset.measure(now - back, now, now);
        assert_eq!([class(now - back), class(now), class(soon)], [Class::Claim, Class::Claim, Class::Versioned(soon)]);
        // Set on again, it tells nothing a second time.
        offset.measure(soon, soon, soon);
        assert_eq!([class(now), class(soon)], [Class::Claim, Class::Versioned(soon)]);
    }

    #[test]
    fn a_clock_that_is_set_on_tells_nothing_twice() {
        let offset = measured(-300_000, 20);
        let now = offset.now();
        offset.measure(now, now, now);
        let seen = Observation::new(Kind::Contact, ExternalId::new("c"), Class::Versioned(Millis(7)), Shape::Hint);
        assert_eq!(offset.weighed(seen.clone()), seen);
    }
}
