//! The rate budget: how many calls may be made to a system for a workspace, and when.
//!
//! In: the wish to make one call, what its answer said. Out: leave for that call, after a wait if need be, or how long there will
//! be none. Two windows are counted, ten seconds and a day; a vendor that says stop is heeded, and asked again by one call
//! first. Per process: who holds the lease on a workspace is the only one who calls for it.

mod window;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use self::window::Window;
use crate::clock::{Clock, Millis};
use crate::ids::Ids;
use crate::model::System;
use crate::systems::allowance::{Allowance, Leave, RateSeen};

/// The short window that vendors count in.
const SHORT: Duration = Duration::from_secs(10);
/// How exactly the end of a call is kept in the short window.
const SHORT_GRAIN: Duration = Duration::from_millis(10);
const DAY: Duration = Duration::from_hours(24);
/// How exactly the end of a call is kept in the day.
const DAY_GRAIN: Duration = Duration::from_mins(1);
/// This part of the short window is left to calls that go on with what was begun.
const RESERVE: u32 = 10;

/// How long a call that begins something waits for its turn. Longer, and it had better make room for other systems' calls.
const MOMENT: Duration = Duration::from_secs(1);
/// How long a call that goes on with something waits: a short window, and what is needed to count it.
const PATIENCE: Duration = Duration::from_secs(12);
/// How long the others wait for the one call that tries again after a stop.
const PROBE: Duration = Duration::from_millis(100);

/// The stop after a 429 that says nothing; up to half of it more, so that replicas do not come back together.
const UNSAID: Duration = Duration::from_secs(10);
/// The longest stop that is believed before the vendor is asked again, when the day's calls are spent: when its day ends is not known.
const SPENT: Duration = Duration::from_hours(1);

/// The limits of one system, each for one workspace.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Calls in ten seconds.
    pub short: Option<NonZeroU32>,
    /// Calls in a day.
    pub day: Option<NonZeroU32>,
}

/// Rate budgets per (workspace, system).
pub struct Budget {
    limits: BTreeMap<System, Limits>,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    meters: Mutex<BTreeMap<(String, System), Meter>>,
}

impl Budget {
    /// A system that is left out has no limit but what its vendor says.
    pub fn new(limits: BTreeMap<System, Limits>, clock: Arc<dyn Clock>, ids: Arc<Ids>) -> Self {
        Self { limits, clock, ids, meters: Mutex::default() }
    }

    /// The budget of one workspace in one system; always the same one.
    pub fn of(&self, workspace: &str, system: System) -> Arc<dyn Allowance> {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Meter {
            state: Arc::new(Mutex::new(State::new(self.limits.get(&system).copied().unwrap_or_default()))),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
        };
        Arc::new(meters.entry((workspace.to_owned(), system)).or_insert_with(fresh).clone())
    }
}

/// Counts the calls of one workspace to one system.
#[derive(Clone)]
struct Meter {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
}

impl Meter {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Allowance for Meter {
    async fn pass(&self, begun: bool) -> Result<Box<dyn Leave>, Duration> {
        let patience = self.clock.now() + if begun { PATIENCE } else { MOMENT };
        loop {
            let now = self.clock.now();
            let entered = self.state().enter(begun, now);
            match entered {
                Ok(probe) => return Ok(Box::new(Ticket { meter: self.clone(), probe })),
                Err(wait) if now + wait > patience => return Err(wait),
                Err(wait) => self.clock.sleep(wait).await,
            }
        }
    }
}

/// Leave for one call.
struct Ticket {
    meter: Meter,
    /// Whether it is the one that tries again after a stop.
    probe: bool,
}

impl Leave for Ticket {
    fn learn(&self, seen: &RateSeen) {
        let jitter = Duration::from_millis(self.meter.ids.below(UNSAID.as_millis() as u64 / 2));
        let now = self.meter.clock.now();
        self.meter.state().learn(seen, self.probe, jitter, now);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let now = self.meter.clock.now();
        self.meter.state().leave(self.probe, now);
    }
}

/// No call before `until`; then one, and if that is taken, the rest.
#[derive(Debug)]
struct Stop {
    until: Millis,
    probed: bool,
}

struct State {
    short: Option<Window>,
    day: Option<Window>,
    stop: Option<Stop>,
}

impl State {
    fn new(limits: Limits) -> Self {
        let short = |limit: NonZeroU32| Window::new(SHORT, SHORT_GRAIN, limit, limit.get() / RESERVE);
        let day = |limit| Window::new(DAY, DAY_GRAIN, limit, 0);
        Self { short: limits.short.map(short), day: limits.day.map(day), stop: None }
    }

    fn windows(&mut self) -> impl Iterator<Item = &mut Window> {
        self.short.iter_mut().chain(&mut self.day)
    }

    /// Counts one more call, and tells whether it is the one that tries again; or how long there is no room for it.
    fn enter(&mut self, begun: bool, now: Millis) -> Result<bool, Duration> {
        match &self.stop {
            Some(stop) if now < stop.until => return Err(stop.until.since(now)),
            Some(stop) if stop.probed => return Err(PROBE),
            _ => {}
        }
        let wait = self.windows().map(|window| window.wait(begun, now)).max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        self.windows().for_each(Window::enter);
        if let Some(stop) = &mut self.stop {
            stop.probed = true;
        }
        Ok(self.stop.is_some())
    }

    fn leave(&mut self, probe: bool, now: Millis) {
        self.windows().for_each(|window| window.leave(now));
        // It had no answer: the next one tries.
        if let Some(stop) = self.stop.as_mut().filter(|_| probe) {
            stop.probed = false;
        }
    }

    fn learn(&mut self, seen: &RateSeen, probe: bool, jitter: Duration, now: Millis) {
        for (window, told) in [(&mut self.short, seen.burst), (&mut self.day, seen.day)] {
            if let (Some(window), Some(told)) = (window, told.and_then(NonZeroU32::new)) {
                window.told(told);
            }
        }
        let known = self.stop.as_ref().map(|stop| stop.until);
        if let Some(wait) = pause(seen, jitter, now) {
            let until = known.unwrap_or(now).max(now + wait);
            self.stop = Some(Stop { until, probed: false });
        } else if probe && known.is_some_and(|until| until <= now) {
            self.stop = None;
        }
    }
}

/// How long an answer says that nothing may be sent.
fn pause(seen: &RateSeen, jitter: Duration, now: Millis) -> Option<Duration> {
    let asked = seen.retry_after.filter(|_| seen.refused).map(|asked| asked.min(DAY));
    if seen.day_left == Some(0) {
        let today = Duration::from_millis(now.0.rem_euclid(DAY.as_millis() as i64).unsigned_abs());
        return Some(SPENT.min(DAY.saturating_sub(today)).max(asked.unwrap_or_default()));
    }
    if seen.refused {
        return Some(asked.or(seen.interval).unwrap_or(UNSAID + jitter));
    }
    seen.interval.filter(|_| seen.burst_left == Some(0))
}

#[cfg(test)]
mod tests;
