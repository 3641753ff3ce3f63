//! The rate budget: how many calls a workspace may make to a system.
//!
//! Per process; a call that finds the budget spent is put off, it is no failure.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::model::System;

/// The window that vendors count in.
const WINDOW: Duration = Duration::from_secs(10);

/// Rate budgets per (workspace, system).
pub struct Budget {
    /// With the most that can be taken at once.
    limits: BTreeMap<System, (DefaultKeyedRateLimiter<String>, NonZeroU32)>,
    clock: DefaultClock,
}

impl Budget {
    /// `per_window`: calls in ten seconds, per system. A system that is left out has no limit.
    pub fn new(per_window: &BTreeMap<System, NonZeroU32>) -> Self {
        let limits = per_window
            .iter()
            .filter_map(|(system, calls)| {
                let quota = quota(calls.get())?;
                Some((*system, (RateLimiter::keyed(quota), quota.burst_size())))
            })
            .collect();
        Self { limits, clock: DefaultClock::default() }
    }

    /// Takes so many calls at once, or none and tells how long to wait for them. More than a burst holds counts as a burst.
    pub fn take(&self, workspace: &str, system: System, calls: NonZeroU32) -> Result<(), Duration> {
        let Some((limit, burst)) = self.limits.get(&system) else { return Ok(()) };
        match limit.check_key_n(&workspace.to_owned(), calls.min(*burst)) {
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(until)) => Err(until.wait_time_from(self.clock.now())),
        }
    }
}

/// A bucket that refills at the full rate lets two bursts into one window. So the burst is half a window's calls, the
/// refill the other half, and no window ever holds more than the limit.
fn quota(calls: u32) -> Option<Quota> {
    let burst = NonZeroU32::new(calls.div_ceil(2))?;
    let refill = (calls - burst.get()).max(1);
    Some(Quota::with_period(WINDOW / refill)?.allow_burst(burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_budget_tells_how_long_to_wait_and_workspaces_do_not_share_it() {
        let budget = Budget::new(&[(System::Ghl, NonZeroU32::new(10).unwrap())].into());
        let one = NonZeroU32::MIN;
        let taken = (0..10).take_while(|_| budget.take("a", System::Ghl, one).is_ok()).count();
        assert_eq!(taken, 5, "half of the window's calls at once");
        let wait = budget.take("a", System::Ghl, one).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(2));
        assert!(budget.take("b", System::Ghl, one).is_ok());
        assert!(budget.take("a", System::Timify, one).is_ok(), "no limit was set");
    }

    #[test]
    fn a_read_and_its_write_are_taken_together_or_not_at_all() {
        let budget = Budget::new(&[(System::Ghl, NonZeroU32::new(6).unwrap())].into());
        let two = NonZeroU32::new(2).unwrap();
        assert!(budget.take("a", System::Ghl, two).is_ok());
        assert!(budget.take("a", System::Ghl, two).is_err(), "one is left, and is not taken");
        assert!(budget.take("a", System::Ghl, NonZeroU32::MIN).is_ok());
    }
}
