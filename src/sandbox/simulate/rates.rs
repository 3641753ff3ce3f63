//! Invariant 13: no budget of calls and no fuse is exceeded, in any window, as the stand-ins count.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::stage::Stage;
use super::world::{Caller, lock};
use crate::app::limits;
use crate::clock::Millis;
use crate::dispatch::budget::Counted;
use crate::model::System;
use crate::sandbox::RequestRow;

/// The window of the fuse.
const FUSE: Duration = Duration::from_mins(10);

/// When what was done, in the order in which it was done.
type Times = Vec<Millis>;

/// Every window that held too much. `inherited`: objects that changed hands.
pub fn judge(stage: &Stage, inherited: &BTreeSet<(System, String)>) -> Vec<String> {
    let world = lock(&stage.world);
    let mut rows = world.sandbox.requests(0);
    let mut broken = budgets(stage, &rows, &world.callers);
    // A fuse is an entity's, and so is what it counts. What comes in late counts when it was sent, which is not known here.
    let changed_hands =
        |row: &RequestRow| row.id.as_ref().is_some_and(|id| inherited.contains(&(row.stand_in.system, id.clone())));
    rows.retain(|row| world.callers.contains_key(&row.number) && !changed_hands(row));
    broken.extend(fuses(stage, &rows));
    broken
}

/// A budget is one process's: that which holds the lease is the only one who calls. What comes in after its caller gave up is
/// left out: nobody can say when.
fn budgets(stage: &Stage, rows: &[&RequestRow], callers: &BTreeMap<u64, Caller>) -> Vec<String> {
    let mut calls: BTreeMap<(System, &str, Caller), Vec<&RequestRow>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.stand_in.extension) {
        if let (Some(account), Some(caller)) = (row.account.as_deref(), callers.get(&row.number)) {
            calls.entry((row.stand_in.system, account, *caller)).or_default().push(row);
        }
    }
    let limits = limits(&stage.config);
    let mut broken = Vec::new();
    for ((system, account, _), rows) in calls {
        for limit in limits.get(&system).into_iter().flatten() {
            let counted = rows.iter().filter(|row| row.write || limit.counted == Counted::All);
            let times: Times = counted.map(|row| row.at).collect();
            if let Some(at) = exceeded(&times, limit.length, limit.calls.get()) {
                broken.push(format!("13: more than {} calls to {system} {account} from {at}", limit.calls));
            }
        }
    }
    broken
}

fn fuses(stage: &Stage, rows: &[&RequestRow]) -> Vec<String> {
    let most = stage.config.workspaces.iter().map(|entry| entry.policy.limits.fuse).max().unwrap_or_default();
    let mut writes: BTreeMap<(System, &str), Times> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.write) {
        if let Some(id) = &row.id {
            writes.entry((row.stand_in.system, id)).or_default().push(row.at);
        }
    }
    let blown =
        writes.into_iter().filter_map(|((system, id), times)| Some((system, id, exceeded(&times, FUSE, most)?)));
    blown.map(|(system, id, at)| format!("13: more than {most} writes to {system} {id} from {at}")).collect()
}

/// Where a window begins that holds more than that.
fn exceeded(times: &[Millis], length: Duration, most: u32) -> Option<Millis> {
    let ends = times.iter().skip(most as usize);
    times.iter().zip(ends).find(|(first, last)| last.since(**first) < length).map(|(first, _)| *first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_holds_too_much_is_found() {
        let times: Times = [0, 4, 9, 10, 30].map(|s| Millis(s * 1_000)).into();
        let ten = Duration::from_secs(10);
        assert_eq!(exceeded(&times, ten, 3), None);
        assert_eq!(exceeded(&times, ten, 2), Some(Millis(0)));
        assert_eq!(exceeded(&times, Duration::from_secs(11), 3), Some(Millis(0)));
    }
}
