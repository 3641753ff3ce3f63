//! One workspace at work: its inbox is decided, its due mirrors get lanes.
//!
//! In: a site and the lease on it. Runs lanes side by side, one per (entity, system) at a time, and wakes when a change is
//! recorded, a lane ends, or something becomes due. What settlements made due it hears; only what it does not know it asks for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use agenda::Agenda;

use super::bell::{Bell, Rung};
use super::clocks::Clocks;
use super::lease::Holder;
use crate::clock::{Clock, Millis};
use crate::mirror::{Beginnings, Begun, Lanes, Worked};
use crate::model::{EntityId, Lease, Mode, Priority, System};
use crate::resolve::{BATCH, Resolver};
use crate::store::{Cached, Mirrors, Result, Workspaces};
use crate::supervisor::Heartbeat;
use crate::systems::{Site, trail};

mod agenda;

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
    /// Finds what is due, and tells what became so.
    pub mirrors: Arc<Cached>,
    /// Tells what there is to do.
    pub workspaces: Arc<dyn Workspaces>,
    /// The leases of this process.
    pub holder: Arc<Holder>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Rung when there is something to do.
    pub bell: Arc<Bell>,
    /// The slow poll that catches what no wake-up told: [`POLL`], unless time is virtual.
    pub poll: Duration,
}

/// Mirrors of a backlog that the rows are asked for at once, at least.
const BACKLOG: usize = 256;

/// How soon what is due next is looked for again, at the soonest.
const SHORTEST: Duration = Duration::from_millis(5);

type Key = (EntityId, System);

/// What goes on from one round to the next: the lanes that run, what is known to be due, and what is kept of clocks.
#[derive(Default)]
struct Running {
    keys: BTreeSet<Key>,
    tasks: JoinSet<(Key, Result<Worked>)>,
    agenda: Agenda,
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
                    running.agenda.doubt();
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
                rung = self.bell.rung() => match rung {
                    Rung::Changes => running.agenda.came_in(self.clock.now()),
                    Rung::Anything => running.agenda.wake(),
                },
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
        running.agenda.under(&lease);
        running.agenda.hear(self.mirrors.news(name));
        let Some(mode) = self.mode(&mut running.agenda, now).await? else { return Ok(self.poll) };
        if running.agenda.has_changes(now) {
            let room = self.site.workspace.policy.limits.lanes.saturating_sub(running.keys.len());
            let begins = Beginnings::new(&self.lanes, (&self.site, &lease, mode), &running.keys, room);
            let decided = self.resolver.step(&self.site, &lease, Some(&begins)).await;
            let calls = begins.into_calls();
            if matches!(decided, Ok(None)) {
                self.holder.lost(name);
                return Ok(self.poll);
            }
            for call in calls {
                self.carry_on(running, &lease, mode, call);
            }
            let count = decided?.unwrap_or_default();
            running.agenda.decided(count < BATCH as usize, now);
            running.agenda.hear(self.mirrors.news(name));
        }
        // Also while more comes in than can be decided: what is due does not wait for that to end.
        self.start(running, &lease, mode).await?;
        // What is due by now has its lane, or gets the place of one that ends.
        let now = self.clock.now();
        let next = running.agenda.next(now).map_or(self.poll, |next| next.since(now));
        Ok(if running.agenda.has_changes(now) { Duration::ZERO } else { next.clamp(SHORTEST, self.poll) })
    }

    /// The mode in which to work; first the rows are asked, if they may know what the agenda does not. `None`: it is not registered.
    async fn mode(&self, agenda: &mut Agenda, now: Millis) -> Result<Option<Mode>> {
        let known = agenda.mode(now);
        if known.is_some() {
            return Ok(known);
        }
        let Some(outlook) = self.workspaces.outlook(&self.site.workspace.name, now).await? else { return Ok(None) };
        agenda.looked(&outlook, now, now + self.poll);
        Ok(Some(outlook.mode))
    }

    async fn start(&self, running: &mut Running, lease: &Lease, mode: Mode) -> Result<()> {
        let Running { keys, tasks, agenda, .. } = running;
        let limit = self.site.workspace.policy.limits.lanes;
        let (now, free) = (self.clock.now(), limit.saturating_sub(keys.len()));
        if free == 0 {
            return Ok(());
        }
        let mut next = agenda.take(now, free, |key| !keys.contains(key));
        if next.len() < free && agenda.may_be_more() {
            let most = limit.max(BACKLOG) + limit;
            let due = self.mirrors.due(&self.site.workspace.name, now, most as u32).await?;
            agenda.found(&due, due.len() < most);
            let taken: BTreeSet<Key> = next.iter().map(|(key, _)| *key).collect();
            next.extend(agenda.take(now, free - next.len(), |key| !keys.contains(key) && !taken.contains(key)));
        }
        for (key, rank) in next {
            keys.insert(key);
            let (lanes, site, lease) = (self.lanes.clone(), self.site.clone(), lease.clone());
            let work = async move { (key, lanes.work(&site, &lease, mode, key.0, key.1).await) };
            tasks.spawn(trail::ranked(rank, work));
        }
        Ok(())
    }

    /// A call that the decision began is made at once.
    fn carry_on(&self, running: &mut Running, lease: &Lease, mode: Mode, call: Begun) {
        let key = (call.entity, call.system);
        running.keys.insert(key);
        let (lanes, site, lease) = (self.lanes.clone(), self.site.clone(), lease.clone());
        let work = async move { (key, lanes.carry_on(&site, &lease, mode, call).await) };
        running.tasks.spawn(trail::ranked(Priority::Live, work));
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
                        running.agenda.doubt();
                    }
                }
            }
            Err(panic) => {
                // Which lane it was is not known: none counts as running, and rows decide who comes next.
                tracing::error!(workspace = %workspace, error = %panic, "a lane panicked");
                running.keys.clear();
                running.agenda.doubt();
            }
        }
    }
}

#[cfg(test)]
mod tests;
