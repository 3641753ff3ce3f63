//! One limit: at most so many calls in any window of a given length, wherever the window begins.
//!
//! A call counts from the moment it leaves until one length after its end. The vendor sees it somewhere between the two, so the
//! limit holds on the vendor's clock as well, however long calls are on their way. Ends are rounded up to a grain, so that few
//! numbers are kept.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::Millis;

/// The calls of one window.
#[derive(Debug)]
pub(super) struct Window {
    length: Duration,
    grain: i64,
    /// What was configured.
    most: NonZeroU32,
    /// What the vendor said, if that is less.
    limit: u32,
    reserve: u32,
    /// Calls that are on their way.
    open: u32,
    /// Calls that have ended, by when they stop to count.
    ended: VecDeque<(Millis, u32)>,
    /// The sum of these.
    counted: u32,
}

impl Window {
    /// `reserve`: how many calls are left to those who go on with what they began.
    pub(super) fn new(length: Duration, grain: Duration, most: NonZeroU32, reserve: u32) -> Self {
        let (grain, ended) = (grain.as_millis() as i64, VecDeque::new());
        Self { length, grain, most, limit: most.get(), reserve, open: 0, ended, counted: 0 }
    }

    /// How long there is no room for one more call. An estimate where it depends on calls that are on their way.
    pub(super) fn wait(&mut self, begun: bool, now: Millis) -> Duration {
        while let Some((_, calls)) = self.ended.pop_front_if(|(until, _)| *until <= now) {
            self.counted -= calls;
        }
        let spare = if begun { 0 } else { self.reserve.min(self.limit / 2) };
        let mut excess = (self.open + self.counted + spare + 1).saturating_sub(self.limit);
        if excess == 0 {
            return Duration::ZERO;
        }
        for (until, calls) in &self.ended {
            excess = excess.saturating_sub(*calls);
            if excess == 0 {
                return until.since(now);
            }
        }
        self.length
    }

    /// A call leaves.
    pub(super) fn enter(&mut self) {
        self.open += 1;
    }

    /// A call has ended.
    pub(super) fn leave(&mut self, now: Millis) {
        self.open -= 1;
        self.counted += 1;
        let until = now + self.length;
        let until = Millis((until.0 + self.grain - 1).div_euclid(self.grain) * self.grain);
        match self.ended.back_mut() {
            // A clock that was set back does not unsort them.
            Some((last, calls)) if *last >= until => *calls += 1,
            _ => self.ended.push_back((until, 1)),
        }
    }

    /// The vendor said what its limit is: ours, if it is less than what was configured.
    pub(super) fn told(&mut self, limit: NonZeroU32) {
        self.limit = self.most.min(limit).get();
    }
}
