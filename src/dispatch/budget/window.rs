//! One limit: at most so many calls in any window of a given length, wherever the window begins.
//!
//! A call counts from the moment it leaves until one length after its end. The vendor sees it somewhere between the two, so the
//! limit holds on the vendor's clock as well, however long calls are on their way. Ends are rounded up to a grain, so that few
//! numbers are kept.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use super::{Counted, Limit};
use crate::clock::Millis;
use crate::systems::allowance::Errand;

/// This part of a window is left to each rank above a call's own.
const PART: u32 = 10;

/// The calls of one window.
#[derive(Debug)]
pub(super) struct Window {
    /// What was configured.
    configured: Limit,
    /// The calls that it holds: what was configured, or what the vendor said, if that is less.
    limit: u32,
    /// Calls that are on their way.
    open: u32,
    /// Calls that have ended, by when they stop to count.
    ended: VecDeque<(Millis, u32)>,
    /// The sum of these.
    counted: u32,
    /// When those come back that were put off, and for how many others they make room.
    away: Vec<(Millis, u32)>,
}

impl Window {
    pub(super) fn new(limit: Limit) -> Self {
        let (ended, away) = (VecDeque::new(), Vec::new());
        Self { configured: limit, limit: limit.calls.get(), open: 0, ended, counted: 0, away }
    }

    pub(super) fn length(&self) -> Duration {
        self.configured.length
    }

    /// Whether such a call counts.
    pub(super) fn counts(&self, errand: Errand) -> bool {
        self.configured.counted == Counted::All || errand.writes
    }

    /// How long there is no room for one more call. An estimate where it depends on calls that are on their way.
    pub(super) fn wait(&mut self, errand: Errand, now: Millis) -> Duration {
        self.follow_the_clock(now);
        while let Some((_, calls)) = self.ended.pop_front_if(|(until, _)| *until <= now) {
            self.counted -= calls;
        }
        self.room_after(0, errand, now)
    }

    /// Nothing counts for longer than a window from now: else a clock that was set back by an hour would stop all calls for one.
    fn follow_the_clock(&mut self, now: Millis) {
        let latest = now + self.length() + self.configured.grain;
        for (until, _) in self.ended.iter_mut().rev().take_while(|(until, _)| *until > latest) {
            *until = latest;
        }
        self.away.retain(|(back, _)| *back > now && *back <= latest);
    }

    /// As [`wait`](Self::wait), for one that comes back only then: each is told a place of its own, so that those who wait for
    /// an hour do not all come at once, and spend on looking again what others need. Who yields to more stands behind.
    pub(super) fn put_off(&mut self, errand: Errand, now: Millis) -> Duration {
        let before = self.away.iter().filter(|(_, yields)| *yields <= errand.yields_to()).count();
        let wait = self.room_after(before as u32, errand, now);
        if !wait.is_zero() {
            self.away.push((now + wait, errand.yields_to()));
        }
        wait
    }

    /// How long there is no room for one more call after so many others.
    fn room_after(&self, others: u32, errand: Errand, now: Millis) -> Duration {
        let reserve = self.limit / PART * errand.yields_to();
        let mut excess = (self.open + self.counted + reserve + 1).saturating_sub(self.limit);
        if excess == 0 {
            return Duration::ZERO;
        }
        excess += others;
        for (until, calls) in &self.ended {
            excess = excess.saturating_sub(*calls);
            if excess == 0 {
                return until.since(now);
            }
        }
        self.length()
    }

    /// A call leaves.
    pub(super) fn enter(&mut self) {
        self.open += 1;
    }

    /// A call has ended.
    pub(super) fn leave(&mut self, now: Millis) {
        self.open -= 1;
        self.counted += 1;
        let (until, grain) = (now + self.length(), self.configured.grain.as_millis() as i64);
        let until = Millis((until.0 + grain - 1).div_euclid(grain) * grain);
        match self.ended.back_mut() {
            // A clock that was set back does not unsort them.
            Some((last, calls)) if *last >= until => *calls += 1,
            _ => self.ended.push_back((until, 1)),
        }
    }

    /// The vendor said what its limit is: ours, if it is less than what was configured.
    pub(super) fn told(&mut self, limit: NonZeroU32) {
        self.limit = self.configured.calls.min(limit).get();
    }
}
