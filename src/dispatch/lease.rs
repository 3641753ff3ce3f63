//! The leases of this process: taken and renewed in the background, asked by the workers, shared fairly with other processes.
//!
//! Each process holds a place, and so is counted. Nobody takes more workspaces than one's share; who has more because another
//! process came lets its workers finish, and gives the rest back. Who dies is counted no more once its leases have run out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Millis};
use crate::model::Lease;
use crate::store::{Leases, Result};
use crate::supervisor::Heartbeat;

/// How often it is looked who else is there, and what is free, while not everything is ours.
const ASKING: Duration = Duration::from_secs(1);

/// What a place is called, before its number. No workspace can be called so.
const PLACE: &str = "(process) ";

/// What no workspace is called: a place, or a duty that one process has for all.
const NO_WORKSPACE: char = '(';

/// Holds leases.
pub struct Holder {
    leases: Arc<dyn Leases>,
    clock: Arc<dyn Clock>,
    owner: String,
    lasts: Duration,
    hand: Mutex<Hand>,
}

/// What is in our hand.
#[derive(Default)]
struct Hand {
    wanted: BTreeSet<String>,
    held: BTreeMap<String, Lease>,
    /// Held, and more than our share: no new work is begun. `true`: what was begun has ended.
    leaving: BTreeMap<String, bool>,
}

impl Holder {
    /// A holder that wants these workspaces, under the name `owner`, for `lasts` at a time.
    pub fn new(
        leases: Arc<dyn Leases>,
        clock: Arc<dyn Clock>,
        owner: String,
        lasts: Duration,
        workspaces: Vec<String>,
    ) -> Self {
        let hand = Hand { wanted: workspaces.into_iter().collect(), ..Hand::default() };
        Self { leases, clock, owner, lasts, hand: Mutex::new(hand) }
    }

    /// Wants one more.
    pub fn want(&self, workspace: &str) {
        self.hand().wanted.insert(workspace.to_owned());
    }

    /// Renews what is held, takes what is free up to our share, and gives back what is too much.
    pub async fn renew(&self) -> Result<()> {
        let now = self.clock.now();
        let live = self.leases.live_leases(now).await?;
        let (left, asked) = self.hand().turn(live, &self.owner, now + self.lasts - self.lasts / 3);
        if !left.is_empty() {
            self.leases.release(&left, &self.owner).await?;
        }
        if !asked.is_empty() {
            let leases = self.leases.lease(&asked, &self.owner, now, now + self.lasts).await?;
            self.hand().take(&asked, leases);
        }
        Ok(())
    }

    /// Renews until `stop` is rung.
    pub async fn run(&self, stop: tokio_util::sync::CancellationToken, heart: Heartbeat) {
        loop {
            heart.beat();
            if let Err(error) = self.renew().await {
                tracing::error!(error = %error, "leases could not be renewed");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.clock.sleep(self.pause()) => {}
            }
        }
    }

    /// Renewing is in time at a third of a lease; what another process holds, or a dead one held, is asked for more often.
    fn pause(&self) -> Duration {
        let (renewal, hand) = (self.lasts / 3, self.hand());
        let all = hand.leaving.is_empty() && hand.wanted.iter().all(|name| hand.held.contains_key(name));
        if all { renewal } else { renewal.min(ASKING) }
    }

    /// Gives everything back, so that another process need not wait for the leases to end.
    pub async fn give_back(&self) -> Result<()> {
        let held: Vec<String> = std::mem::take(&mut self.hand().held).into_keys().collect();
        self.leases.release(&held, &self.owner).await
    }

    /// The lease on a workspace, if it is held, has not run out, and is to be kept.
    pub fn lease(&self, workspace: &str) -> Option<Lease> {
        let hand = self.hand();
        let kept = hand.held.get(workspace).filter(|_| !hand.leaving.contains_key(workspace));
        kept.filter(|lease| lease.until > self.clock.now()).cloned()
    }

    /// A write under the lease was refused: it is another's.
    pub fn lost(&self, workspace: &str) {
        tracing::warn!(workspace = %workspace, "the lease is another's");
        self.hand().held.remove(workspace);
    }

    /// Nothing that was begun in a workspace is under way: if it is to leave, it may.
    pub fn at_rest(&self, workspace: &str) {
        if let Some(ended) = self.hand().leaving.get_mut(workspace) {
            *ended = true;
        }
    }

    fn hand(&self) -> std::sync::MutexGuard<'_, Hand> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_workspace(name: &str) -> bool {
    !name.starts_with(NO_WORKSPACE)
}

impl Hand {
    /// What to give back and what to ask for, when these leases are live. Ours that last until `soon` or less are renewed.
    fn turn(&mut self, live: Vec<Lease>, owner: &str, soon: Millis) -> (Vec<String>, Vec<String>) {
        let (ours, theirs): (Vec<Lease>, Vec<Lease>) = live.into_iter().partition(|lease| lease.owner == owner);
        let taken: BTreeSet<&str> = theirs.iter().map(|lease| lease.workspace.as_str()).collect();
        self.held = ours.into_iter().map(|lease| (lease.workspace.clone(), lease)).collect();
        let processes = taken.iter().filter(|name| name.starts_with(PLACE)).count() + 1;
        let share = self.wanted.iter().filter(|name| is_workspace(name)).count().div_ceil(processes);
        let mine = self.held.keys().filter(|name| is_workspace(name)).count();
        let left = self.leave(mine.saturating_sub(share));

        let free =
            |name: &&String| !left.contains(*name) && !self.held.contains_key(*name) && !taken.contains(name.as_str());
        let (more, duties): (Vec<&String>, Vec<&String>) =
            self.wanted.iter().filter(free).partition(|name| is_workspace(name));
        let more = more.into_iter().take(share.saturating_sub(mine));
        let has_place = self.held.keys().any(|name| name.starts_with(PLACE));
        let places = || (0..).map(|number| format!("{PLACE}{number}"));
        let place = places().find(|name| !taken.contains(name.as_str())).filter(|_| !has_place);
        let old = self.held.values().filter(|lease| lease.until <= soon).map(|lease| &lease.workspace);
        let asked = old.chain(more).chain(duties).cloned().chain(place).collect();
        (left, asked)
    }

    /// Has so many leave, those first that are about to; gives those that may.
    fn leave(&mut self, surplus: usize) -> Vec<String> {
        let workspaces = self.held.keys().filter(|name| is_workspace(name));
        let (going, staying): (Vec<&String>, Vec<&String>) =
            workspaces.partition(|name| self.leaving.contains_key(*name));
        let leaving = going.into_iter().chain(staying).take(surplus);
        self.leaving = leaving.map(|name| (name.clone(), self.leaving.get(name) == Some(&true))).collect();
        let left: Vec<String> =
            self.leaving.iter().filter(|(_, ended)| **ended).map(|(name, _)| name.clone()).collect();
        for name in &left {
            self.held.remove(name);
            self.leaving.remove(name);
        }
        left
    }

    /// Of those that were asked for, these are ours.
    fn take(&mut self, asked: &[String], leases: Vec<Lease>) {
        self.held.retain(|name, _| !asked.contains(name));
        self.held.extend(leases.into_iter().map(|lease| (lease.workspace.clone(), lease)));
        self.leaving.retain(|name, _| self.held.contains_key(name));
    }
}

#[cfg(test)]
mod tests;
