//! One workspace at work: its inbox is decided, its due mirrors get lanes.
//!
//! In: a site and the lease on it. Runs lanes side by side, one per (entity, system) at a time, and wakes when a change is
//! recorded, a lane ends, or something becomes due.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::clocks::Clocks;
use super::lease::Holder;
use crate::clock::Clock;
use crate::mirror::{Lanes, Worked};
use crate::model::{EntityId, Lease, Mode, System};
use crate::resolve::Resolver;
use crate::store::{Mirrors, Result, Workspaces};
use crate::supervisor::Heartbeat;
use crate::systems::{Site, trail};

/// How often what no wake-up told is looked for.
pub const POLL: Duration = Duration::from_secs(1);

/// What a worker needs.
pub struct Worker {
    /// The workspace and its systems.
    pub site: Arc<Site>,
    /// Decides the inbox.
    pub resolver: Arc<Resolver>,
    /// Works mirrors.
    pub lanes: Arc<Lanes>,
    /// Finds what is due.
    pub mirrors: Arc<dyn Mirrors>,
    /// Tells what there is to do.
    pub workspaces: Arc<dyn Workspaces>,
    /// The leases of this process.
    pub holder: Arc<Holder>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Rung when a change was recorded.
    pub wake: Arc<Notify>,
    /// The slow poll that catches what no wake-up told: [`POLL`], unless time is virtual.
    pub poll: Duration,
}

/// How soon what is due next is looked for again, at the soonest.
const SHORTEST: Duration = Duration::from_millis(5);

type Key = (EntityId, System);

/// What goes on from one round to the next: the lanes that run, and what is kept of clocks.
#[derive(Default)]
struct Running {
    keys: BTreeSet<Key>,
    tasks: JoinSet<(Key, Result<Worked>)>,
    clocks: Clocks,
}

impl Worker {
    /// Works until `stop` is rung; lanes that run are finished.
    pub async fn run(&self, stop: tokio_util::sync::CancellationToken, heart: Heartbeat) {
        let mut running = Running::default();
        while !stop.is_cancelled() {
            heart.beat();
            let wait = match self.turn(&mut running).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::error!(workspace = %self.site.workspace.name, error = %error, "the store failed; trying again");
                    self.poll
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(ended) = running.tasks.join_next() => {
                    self.ended(&mut running, ended);
                    // Lanes whose settlements shared a commit end together: one round finds who comes next for all of them.
                    while let Some(ended) = running.tasks.try_join_next() {
                        self.ended(&mut running, ended);
                    }
                }
                () = self.wake.notified() => {}
                () = self.clock.sleep(wait) => {}
            }
        }
        while let Some(ended) = running.tasks.join_next().await {
            self.ended(&mut running, ended);
        }
    }

    /// One round: decide what came in, start what is due. Gives how long there is nothing to do.
    async fn turn(&self, running: &mut Running) -> Result<Duration> {
        let name = &self.site.workspace.name;
        let Some(lease) = self.holder.lease(name) else {
            if running.keys.is_empty() {
                self.holder.at_rest(name);
            }
            return Ok(self.poll);
        };
        let now = self.clock.now();
        running.clocks.keep(self.workspaces.as_ref(), &self.site, &lease, now).await?;
        let Some(outlook) = self.workspaces.outlook(name, now).await? else { return Ok(self.poll) };
        let mut decided = 0;
        if outlook.inbox.is_due(now) {
            let Some(count) = self.resolver.step(&self.site, &lease).await? else {
                self.holder.lost(name);
                return Ok(self.poll);
            };
            decided = count;
        }
        // Also while more comes in than can be decided: what is due does not wait for that to end.
        if decided > 0 || outlook.mirrors.is_due(now) {
            self.start(running, &lease, outlook.mode).await?;
        }
        if decided > 0 {
            return Ok(Duration::ZERO);
        }
        // What is due by now has its lane, or gets the place of one that ends.
        Ok(outlook.later().map_or(self.poll, |due| due.since(self.clock.now()).clamp(SHORTEST, self.poll)))
    }

    async fn start(&self, running: &mut Running, lease: &Lease, mode: Mode) -> Result<()> {
        let limit = self.site.workspace.policy.limits.lanes;
        if running.keys.len() >= limit {
            return Ok(());
        }
        let due = self.mirrors.due(&self.site.workspace.name, self.clock.now(), (limit * 2) as u32).await?;
        for mirror in due {
            let key = (mirror.entity, mirror.system);
            if running.keys.len() >= limit || !running.keys.insert(key) {
                continue;
            }
            let (lanes, site, lease) = (self.lanes.clone(), self.site.clone(), lease.clone());
            let work = async move { (key, lanes.work(&site, &lease, mode, key.0, key.1).await) };
            running.tasks.spawn(trail::ranked(mirror.rank(), work));
        }
        Ok(())
    }

    fn ended(&self, running: &mut Running, ended: std::result::Result<(Key, Result<Worked>), tokio::task::JoinError>) {
        let workspace = &self.site.workspace.name;
        match ended {
            Ok((key, worked)) => {
                running.keys.remove(&key);
                match worked {
                    Ok(Worked::Rested) => {}
                    Ok(Worked::LeaseLost) => self.holder.lost(workspace),
                    Err(error) => {
                        tracing::error!(workspace = %workspace, error = %error, "a lane could not be settled");
                    }
                }
            }
            Err(panic) => {
                // Which lane it was is not known: none counts as running, and rows decide who comes next.
                tracing::error!(workspace = %workspace, error = %panic, "a lane panicked");
                running.keys.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests;
