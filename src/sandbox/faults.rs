//! Faults on demand: what a stand-in does wrong, for how many requests, and how far its clock is off.
//!
//! In: faults as the control API sets them. Out: for each request, what shall go wrong with it. Applying is the core's.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::StandIn;
use crate::clock::Millis;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 503, nothing applied.
    Down,
    /// 429, nothing applied.
    RateLimited,
    /// 500, nothing applied.
    #[serde(rename = "error_500")]
    Error500,
    /// The connection drops without an answer, nothing applied.
    CutBeforeApply,
    /// The request is applied, then the connection drops without an answer.
    CutAfterApply,
    /// The answer comes late.
    Slow,
}

/// Which requests a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// All.
    #[default]
    Any,
    /// Those that change nothing.
    Reads,
    /// Those that would change objects.
    Writes,
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// How many requests it hits; until cleared when absent.
    #[serde(default)]
    pub count: Option<u32>,
    /// Which requests it hits.
    #[serde(default)]
    pub only: Only,
    /// It hits only paths that contain this.
    #[serde(default)]
    pub path: Option<String>,
    /// Milliseconds; of `slow`.
    #[serde(default)]
    pub delay_ms: u64,
    /// Seconds for a `Retry-After` header; of `down` and `rate_limited`.
    #[serde(default)]
    pub retry_after: Option<u64>,
}

/// All faults that are set.
#[derive(Debug, Default)]
pub struct Faults {
    set: Vec<(StandIn, Fault)>,
    /// Milliseconds that a stand-in's clock is ahead.
    offsets: BTreeMap<StandIn, i64>,
}

impl Fault {
    fn hits(&self, writes: bool, path: &str) -> bool {
        let wanted = match self.only {
            Only::Any => true,
            Only::Reads => !writes,
            Only::Writes => writes,
        };
        wanted && self.path.as_ref().is_none_or(|part| path.contains(part.as_str())) && self.count != Some(0)
    }
}

impl Faults {
    /// Sets a fault, behind those that are set already.
    pub fn add(&mut self, at: StandIn, fault: Fault) {
        self.set.push((at, fault));
    }

    /// Sets how far a stand-in's clock is ahead of ours.
    pub fn skew(&mut self, at: StandIn, offset_ms: i64) {
        self.offsets.insert(at, offset_ms);
    }

    /// Clears the faults and the clock offset of one stand-in, or of all.
    pub fn clear(&mut self, at: Option<StandIn>) {
        self.set.retain(|(set, _)| at.is_some_and(|at| at != *set));
        self.offsets.retain(|set, _| at.is_some_and(|at| at != *set));
    }

    /// The faults that are set, with what is left of their counts.
    pub fn list(&self) -> &[(StandIn, Fault)] {
        &self.set
    }

    /// The stand-in's own time.
    pub fn clock(&self, at: StandIn, now: Millis) -> Millis {
        Millis(now.0.saturating_add(self.offsets.get(&at).copied().unwrap_or(0)))
    }

    /// Takes the first fault that hits this request, and how long its answer is held back.
    pub fn take(&mut self, at: StandIn, writes: bool, path: &str) -> (Option<Fault>, Duration) {
        let (mut taken, mut delay) = (None, Duration::ZERO);
        for (_, fault) in self.set.iter_mut().filter(|(set, fault)| *set == at && fault.hits(writes, path)) {
            if fault.kind == FaultKind::Slow {
                delay += Duration::from_millis(fault.delay_ms);
            } else if taken.is_none() {
                taken = Some(fault.clone());
            } else {
                continue;
            }
            fault.count = fault.count.map(|left| left - 1);
        }
        self.set.retain(|(_, fault)| fault.count != Some(0));
        (taken, delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::System;

    fn fault(kind: FaultKind, count: Option<u32>, only: Only) -> Fault {
        Fault { kind, count, only, path: None, delay_ms: 40, retry_after: None }
    }

    #[test]
    fn a_fault_hits_as_many_fitting_requests_as_it_says_and_no_other_stand_in() {
        let (timify, beside) = (StandIn::vendor(System::Timify), StandIn::extension(System::Timify));
        let mut faults = Faults::default();
        faults.add(timify, fault(FaultKind::Down, Some(1), Only::Writes));
        faults.add(timify, fault(FaultKind::Slow, None, Only::Any));
        assert_eq!(faults.take(beside, true, "/x"), (None, Duration::ZERO));
        assert_eq!(faults.take(timify, false, "/x").0, None);
        assert_eq!(faults.take(timify, true, "/x").0.map(|fault| fault.kind), Some(FaultKind::Down));
        assert_eq!(faults.take(timify, true, "/x"), (None, Duration::from_millis(40)));
        faults.clear(Some(beside));
        assert_eq!(faults.list().len(), 1);
        faults.clear(None);
        assert_eq!(faults.take(timify, true, "/x"), (None, Duration::ZERO));
    }
}
