//! The rate budget: how many calls may be made to a system for a workspace, and when.
//!
//! In: the wish to make one call, what its answer said. Out: leave for that call, after a wait if need be, or how long there will
//! be none. A system's limits are windows of several lengths, some of writes alone. A vendor that says stop, or fails again and
//! again, is left alone, and asked again by one call first. Per process: who holds the lease on a workspace is the only one who
//! calls for it.

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
use crate::systems::allowance::{Allowance, Denied, Errand, Leave, RateSeen};

/// The short window that GHL counts in.
const SHORT: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// How long a call that begins something waits for its turn. Longer, and it had better make room for other systems' calls.
const MOMENT: Duration = Duration::from_secs(1);
/// How long a call that goes on with something waits: a short window, and what is needed to count it. Longer windows put it off.
const PATIENCE: Duration = Duration::from_secs(12);
/// How long the others wait for the one call that tries again after a stop.
const PROBE: Duration = Duration::from_millis(100);

/// The stop after a 429 that says nothing; up to half of it more, so that replicas do not come back together.
const UNSAID: Duration = Duration::from_secs(10);
/// The longest stop that is believed before the vendor is asked again, when the day's calls are spent: when its day ends is not known.
const SPENT: Duration = Duration::from_hours(1);

/// Which calls a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// All of them.
    All,
    /// Those that change something.
    Writes,
}

/// One limit of a system: so many calls for one workspace in any window of a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The length of the window.
    pub length: Duration,
    /// How exactly the end of a call is kept.
    pub grain: Duration,
    /// The calls that it holds.
    pub calls: NonZeroU32,
    /// What is counted.
    pub counted: Counted,
}

impl Limit {
    /// Calls in ten seconds.
    pub fn in_ten_seconds(calls: NonZeroU32) -> Self {
        Self { length: SHORT, grain: Duration::from_millis(10), calls, counted: Counted::All }
    }

    /// Calls in a minute.
    pub fn in_a_minute(calls: NonZeroU32) -> Self {
        Self { length: MINUTE, grain: Duration::from_millis(100), calls, counted: Counted::All }
    }

    /// Writes in an hour.
    pub fn writes_in_an_hour(calls: NonZeroU32) -> Self {
        Self { length: HOUR, grain: Duration::from_secs(5), calls, counted: Counted::Writes }
    }

    /// Calls in a day.
    pub fn in_a_day(calls: NonZeroU32) -> Self {
        Self { length: DAY, grain: Duration::from_mins(1), calls, counted: Counted::All }
    }
}

/// So many failures in a row, and calls stop: then one tries again, after a wait that doubles as long as it fails.
const FAILURES: u32 = 5;
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_mins(1);

/// Rate budgets per (workspace, system).
pub struct Budget {
    limits: BTreeMap<System, Vec<Limit>>,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    meters: Mutex<BTreeMap<(String, System), Meter>>,
}

impl Budget {
    /// A system that is left out has no limit but what its vendor says.
    pub fn new(limits: BTreeMap<System, Vec<Limit>>, clock: Arc<dyn Clock>, ids: Arc<Ids>) -> Self {
        Self { limits, clock, ids, meters: Mutex::default() }
    }

    /// The budget of one workspace in one system; always the same one.
    pub fn of(&self, workspace: &str, system: System) -> Arc<dyn Allowance> {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Meter {
            name: (workspace.to_owned(), system),
            state: Arc::new(Mutex::new(State::new(self.limits.get(&system).map_or(&[], Vec::as_slice)))),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
        };
        Arc::new(meters.entry((workspace.to_owned(), system)).or_insert_with(fresh).clone())
    }
}

/// Counts the calls of one workspace to one system.
#[derive(Clone)]
struct Meter {
    name: (String, System),
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
    async fn pass(&self, errand: Errand) -> Result<Box<dyn Leave>, Denied> {
        let patience = self.clock.now() + if errand.yields_to() > 0 { MOMENT } else { PATIENCE };
        loop {
            let now = self.clock.now();
            let entered = self.state().enter(errand, now);
            let wait = match entered {
                Ok(probe) => return Ok(Box::new(Ticket { meter: self.clone(), errand, probe })),
                Err(Denied::Spent(wait)) if now + wait <= patience => wait,
                Err(Denied::Spent(wait)) => return Err(Denied::Spent(wait.max(self.state().put_off(errand, now)))),
                Err(failing) => return Err(failing),
            };
            self.clock.sleep(wait).await;
        }
    }
}

/// Leave for one call.
struct Ticket {
    meter: Meter,
    errand: Errand,
    /// Whether it is the one that tries again after a stop.
    probe: bool,
}

impl Leave for Ticket {
    fn learn(&self, seen: &RateSeen) {
        let jitter = Duration::from_millis(self.meter.ids.below(UNSAID.as_millis() as u64 / 2));
        let now = self.meter.clock.now();
        self.meter.state().learn(seen, self.probe, jitter, now);
    }

    fn ended(&self, well: bool) {
        let (now, (workspace, system)) = (self.meter.clock.now(), &self.meter.name);
        match self.meter.state().ended(well, self.probe, now) {
            Some(Turn::Fails(wait)) => {
                tracing::warn!(workspace, %system, wait_s = wait.as_secs(), "it fails whatever it is asked: calls wait");
            }
            Some(Turn::Works) => tracing::info!(workspace, %system, "it answers again"),
            None => {}
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let now = self.meter.clock.now();
        self.meter.state().leave(self.errand, self.probe, now);
    }
}

/// No call before `until`; then one, and if that is taken, the rest.
#[derive(Debug)]
struct Stop {
    until: Millis,
    /// How long that was when it began.
    wait: Duration,
    probed: bool,
    /// Because it fails, not because it said so.
    failing: bool,
}

impl Stop {
    fn denied(&self, wait: Duration) -> Denied {
        if self.failing { Denied::Failing(wait) } else { Denied::Spent(wait) }
    }
}

/// A system stops to work, or works again.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Fails(Duration),
    Works,
}

struct State {
    windows: Vec<Window>,
    stop: Option<Stop>,
    /// Failures in a row.
    failures: u32,
}

impl State {
    fn new(limits: &[Limit]) -> Self {
        Self { windows: limits.iter().copied().map(Window::new).collect(), stop: None, failures: 0 }
    }

    /// The windows that count such a call.
    fn windows(&mut self, errand: Errand) -> impl Iterator<Item = &mut Window> {
        self.windows.iter_mut().filter(move |window| window.counts(errand))
    }

    /// Counts one more call, and tells whether it is the one that tries again; or how long there is no room for it.
    fn enter(&mut self, errand: Errand, now: Millis) -> Result<bool, Denied> {
        if let Some(stop) = &mut self.stop {
            // It lasts no longer when the clock is set back.
            stop.until = stop.until.min(now + stop.wait);
        }
        match &self.stop {
            Some(stop) if now < stop.until => return Err(stop.denied(stop.until.since(now))),
            Some(stop) if stop.probed => return Err(stop.denied(if stop.failing { FIRST } else { PROBE })),
            _ => {}
        }
        let wait = self.windows(errand).map(|window| window.wait(errand, now)).max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(Denied::Spent(wait));
        }
        self.windows(errand).for_each(Window::enter);
        if let Some(stop) = &mut self.stop {
            stop.probed = true;
        }
        Ok(self.stop.is_some())
    }

    /// When a call that does not wait here had better come back.
    fn put_off(&mut self, errand: Errand, now: Millis) -> Duration {
        self.windows(errand).map(|window| window.put_off(errand, now)).max().unwrap_or_default()
    }

    fn leave(&mut self, errand: Errand, probe: bool, now: Millis) {
        self.windows(errand).for_each(|window| window.leave(now));
        // It had no answer: the next one tries.
        if let Some(stop) = self.stop.as_mut().filter(|_| probe) {
            stop.probed = false;
        }
    }

    fn learn(&mut self, seen: &RateSeen, probe: bool, jitter: Duration, now: Millis) {
        for (length, told) in [(SHORT, seen.burst), (DAY, seen.day)] {
            let Some(told) = told.and_then(NonZeroU32::new) else { continue };
            self.windows.iter_mut().filter(|window| window.length() == length).for_each(|window| window.told(told));
        }
        let known = self.stop.as_ref().map(|stop| stop.until);
        if let Some(wait) = pause(seen, jitter, now) {
            let until = known.unwrap_or(now).max(now + wait);
            self.stop = Some(Stop { until, wait: until.since(now), probed: false, failing: false });
        } else if probe && known.is_some_and(|until| until <= now) {
            self.stop = None;
        }
    }

    /// Counts failures in a row; calls that left before a stop say nothing new of it.
    fn ended(&mut self, well: bool, probe: bool, now: Millis) -> Option<Turn> {
        if well {
            self.stop.take_if(|stop| stop.failing && probe);
            let failed = std::mem::take(&mut self.failures) >= FAILURES;
            return failed.then_some(Turn::Works);
        }
        if self.stop.is_some() && !probe {
            return None;
        }
        self.failures += 1;
        let again = self.failures.checked_sub(FAILURES)?;
        let wait = FIRST.saturating_mul(1 << again.min(16)).min(LONGEST);
        self.stop = Some(Stop { until: now + wait, wait, probed: false, failing: true });
        (again == 0).then_some(Turn::Fails(wait))
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
