//! How far a vendor's clock is from ours, measured from the `Date` of its answers.
//!
//! In: a `Date` and the instants between which it was written. Out: vendor times on our clock. Each answer bounds the
//! difference from both sides, and the bounds of many answers narrow it down; as long as no difference at all fits the
//! bounds, there is none. So a right clock is never "corrected" by the noise of measuring.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Millis};
use crate::model::{Class, FRESH, Observation, is_told_late};

/// What a `Date` may lag behind: it tells whole seconds, and servers render it once a second.
const RESOLUTION_MS: i64 = 2_000;

/// Clocks drift apart by less than one part in this many; old bounds widen by it.
const DRIFT: i64 = 10_000;

/// Times repeat for so long at most, as far as anybody waits: a `Date` may be of another century.
const REPEATING: Duration = Duration::from_hours(24);

/// Bounds that are wider than others by less say as much.
const COARSE_MS: i64 = 1_000;

/// The difference between a vendor's clock and ours.
#[derive(Debug)]
pub struct ClockOffset {
    clock: Arc<dyn Clock>,
    measured: Mutex<Measured>,
}

/// What was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    bounds: Option<Bounds>,
    /// The clock was set back: until then it may be told what was stamped before that, with times that come again.
    repeats: Millis,
}

/// Vendor time minus our time lies between `low` and `high`, as known at `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Bounds {
    low: i64,
    high: i64,
    at: Millis,
}

impl ClockOffset {
    /// Nothing measured yet: no difference.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, measured: Mutex::default() }
    }

    /// The present instant on our clock.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Takes in the `Date` of an answer to a request that was `sent`, and its answer `received`, on our clock.
    pub fn measure(&self, date: Millis, sent: Millis, received: Millis) {
        let new = Bounds { low: date.0 - received.0, high: date.0 + RESOLUTION_MS - sent.0, at: received };
        let new = Measured { bounds: Some(new), ..Measured::default() };
        let mut measured = self.measured();
        *measured = measured.followed_by(new);
    }

    /// What was measured so far.
    pub fn so_far(&self) -> Measured {
        *self.measured()
    }

    /// Takes in what another process measured, or this one before it was started anew.
    pub fn recall(&self, other: Measured) {
        let mut measured = self.measured();
        let is_later = measured.bounds.map(|own| own.at) > other.bounds.map(|other| other.at);
        *measured = if is_later { other.followed_by(*measured) } else { measured.followed_by(other) };
    }

    /// Vendor time minus our time, in milliseconds.
    pub fn ms(&self) -> i64 {
        self.measured()
            .bounds
            .map_or(0, |Bounds { low, high, .. }| if low <= 0 && high >= 0 { 0 } else { low.midpoint(high) })
    }

    /// A vendor's time on our clock.
    pub fn to_ours(&self, theirs: Millis) -> Millis {
        Millis(theirs.0.saturating_sub(self.ms()))
    }

    /// An observation as it is to be taken that came in then, from somebody's own server: its clock may be set back. A version that
    /// was told late, or is still to come, may be of before that, and nobody knows whether it is newer than another one. Nor
    /// is that known of any while times repeat that it showed before.
    pub fn weighed(&self, seen: Observation, received: Millis) -> Observation {
        let Class::Versioned(version) = seen.class else { return seen };
        let at = self.to_ours(version);
        let to_come = at.0 > received.0.saturating_add(RESOLUTION_MS);
        let repeats = received < self.measured().repeats;
        if to_come || repeats || is_told_late(at, received) {
            Observation { class: Class::Claim, ..seen }
        } else {
            seen
        }
    }

    /// A time of ours on the vendor's clock.
    pub fn to_theirs(&self, ours: Millis) -> Millis {
        Millis(ours.0.saturating_add(self.ms()))
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Measured {
    /// Both together, when `later` was measured after this.
    fn followed_by(self, later: Self) -> Self {
        let (bounds, again) = match (self.bounds, later.bounds) {
            (Some(old), Some(new)) => {
                let again = new.is_back_from(old).map(|back| new.at + back.min(REPEATING) + FRESH);
                (Some(old.narrowed(new)), again.unwrap_or_default())
            }
            (old, new) => (old.or(new), Millis(0)),
        };
        Self { bounds, repeats: self.repeats.max(later.repeats).max(again) }
    }

    /// Whether who knows `kept` alone would miss something.
    pub fn is_news_to(self, kept: Self) -> bool {
        let known =
            |known: Self| known.bounds.map(|bounds| bounds.widened(self.bounds.map_or(bounds.at, |own| own.at)));
        self.repeats != kept.repeats
            || match (known(self), known(kept)) {
                (Some(own), Some(kept)) => {
                    own.low < kept.low || own.high > kept.high || own.width() + COARSE_MS < kept.width()
                }
                (own, kept) => own.is_some() != kept.is_some(),
            }
    }
}

impl Bounds {
    /// By how much, at most, the vendor's clock was set back between the two; `None`: it was not.
    fn is_back_from(self, old: Self) -> Option<Duration> {
        (self.high < old.widened(self.at).low).then(|| Duration::from_millis((old.high - self.low).unsigned_abs()))
    }

    /// Both together; when they contradict each other, the vendor's clock was set, and only the new ones count.
    fn narrowed(self, new: Self) -> Self {
        let old = self.widened(new.at);
        let (low, high) = (new.low.max(old.low), new.high.min(old.high));
        if low > high { new } else { Self { low, high, ..old } }
    }

    /// What is left of them at another time. What is not yet a millisecond of drift is left for later.
    fn widened(self, at: Millis) -> Self {
        let slack = (at.0 - self.at.0) / DRIFT;
        Self { low: self.low - slack.abs(), high: self.high + slack.abs(), at: Millis(self.at.0 + slack * DRIFT) }
    }

    fn width(self) -> i64 {
        self.high - self.low
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::model::{ExternalId, Kind, Shape};

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

    /// However often it is asked.
    #[test]
    fn a_clock_that_drifts_was_not_set() {
        let clock = Arc::new(ManualClock::at(Millis(1_700_000_000_000)));
        let offset = ClockOffset::new(clock.clone());
        for second in 0..200_000 {
            // 20 parts in a million, as cheap clocks do.
            let (now, behind) = (offset.now(), second / 50);
            offset.measure(Millis((now.0 - behind).div_euclid(1_000) * 1_000), now, now);
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(offset.so_far().repeats, Millis(0));
        assert!((offset.ms() + 4_000).abs() <= 2_000, "{}", offset.ms());
    }

    /// A machine that has not asked for the time yet: nobody waits for decades.
    #[test]
    fn a_date_of_another_century_is_over_after_a_day() {
        let offset = measured(0, 20);
        let now = offset.now();
        offset.measure(Millis(0), now, now);
        offset.measure(now, now, now);
        assert!(offset.so_far().repeats <= now + REPEATING + FRESH);
    }

    #[test]
    fn a_clock_that_is_set_is_measured_anew() {
        let offset = measured(-300_000, 20);
        let now = offset.now();
        offset.measure(now, now, now);
        assert_eq!(offset.ms(), 0);
    }

    /// Simulation, 310017805: a person's edit was overwritten before it was told, the clock was set back in between, and the edit
    /// passed for a later one than ours.
    #[test]
    fn no_version_proves_an_order_while_times_repeat_that_the_clock_showed_before() {
        const BACK: i64 = 131_000;
        let offset = measured(-40_000, 20);
        let told = |offset: &ClockOffset, after: i64| {
            let received = Millis(offset.now().0 + after);
            let version = Class::Versioned(offset.to_theirs(received));
            let seen = Observation::new(Kind::Note, ExternalId::new("n"), version, Shape::Hint);
            offset.weighed(seen, received).class == Class::Claim
        };
        let now = offset.now();
        let theirs = Millis(offset.to_theirs(now).0 - BACK);
        offset.measure(theirs, now, now);
        assert_eq!(
            [0, BACK, BACK + 59_000, BACK + 65_000].map(|after| told(&offset, after)),
            [true, true, true, false]
        );
        let forth = measured(-40_000, 20);
        forth.measure(Millis(forth.now().0 + BACK), forth.now(), forth.now());
        assert!(!told(&forth, 0), "what was told before has earlier times");
    }

    #[test]
    fn a_version_proves_something_if_it_is_told_at_once() {
        for skew in [0, -300_000] {
            let offset = measured(skew, 20);
            let received = offset.now();
            let theirs = offset.to_theirs(received);
            let class = |version| {
                let seen =
                    Observation::new(Kind::Contact, ExternalId::new("c"), Class::Versioned(version), Shape::Hint);
                offset.weighed(seen, received).class
            };
            let [minute, soon, late] = [60_000, 2_000, 4_000].map(Duration::from_millis);
            let fresh = [theirs - minute, theirs, theirs + soon];
            assert_eq!(fresh.map(class), fresh.map(Class::Versioned));
            assert_eq!([theirs - minute - late, theirs + late].map(class), [Class::Claim; 2]);
        }
    }
}
