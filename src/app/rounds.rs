//! What is done from time to time: everything is reconciled, what webhooks do not tell of is polled, what webhooks are proven
//! by is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Running, installs, ops};
use crate::config::Config;
use crate::model::{Kind, System};
use crate::reconcile::retention::{Kept, Sweeper};
use crate::reconcile::{Poll, Scope};
use crate::store::Retention;
use crate::systems::Site;

/// How often it is kept what webhooks are proven by.
const SIGHTINGS: Duration = Duration::from_mins(1);

/// How often it is looked whose poll is due, at most: a workspace that has just become ours is not left for a whole interval.
const LOOK: Duration = Duration::from_secs(10);
/// The same for short intervals: so many looks in one.
const LOOKS: u32 = 4;
/// How often it is asked which links are to be looked at; by it, what the vendor tells of one is followed soon.
const LINKS: Duration = Duration::from_secs(2);

/// How often it is looked whether the clock was set back, and by how much it must have been for that to be said.
const TICK: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_secs(5);

/// How often it is looked what is too old to be kept.
const SWEEP: Duration = Duration::from_hours(1);

/// Waits for the next round. `false`: there is none, the service stops.
pub(super) async fn next(pause: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(pause) => true,
    }
}

impl Running {
    /// Starts the rounds; one with a pause of zero is left out.
    pub(super) fn go_round(self: &Arc<Self>, config: &Config, store: Arc<dyn Retention>) {
        self.keep_sightings();
        self.watch_the_clock();
        self.sweep_every(config, store);
        self.follow_invitations();
        let (every, systems) = (config.reconcile.every, &config.systems);
        if !every.is_zero() {
            self.reconcile_every(every);
        }
        for (system, kind, every) in [
            (System::Ghl, Kind::Task, systems.ghl.poll_tasks),
            (System::Timerex, Kind::Appointment, systems.timerex.poll_bookings),
        ] {
            if !every.is_zero() {
                self.poll_every(system, kind, every);
            }
        }
    }

    /// Keeps what the webhooks are proven by, so that a restart does not forget what used to come.
    fn keep_sightings(&self) {
        let (sightings, store, clock) = (self.doorway.intake.sightings(), self.store.clone(), self.clock.clone());
        let stop = self.supervisor.stop().clone();
        self.supervisor.spawn(async move {
            loop {
                if let Err(error) = sightings.keep(store.as_ref(), clock.now()).await {
                    tracing::warn!(error = %error, "what webhooks are proven by was not kept");
                }
                if !next(SIGHTINGS, &stop).await {
                    return;
                }
            }
        });
    }

    /// Says so when the clock is set back. What comes in after that is worked as ever.
    fn watch_the_clock(&self) {
        let (clock, stop) = (self.clock.clone(), self.supervisor.stop().clone());
        self.supervisor.spawn(async move {
            let mut was = (clock.now(), Instant::now());
            while next(TICK, &stop).await {
                let is = (clock.now(), Instant::now());
                let back = (was.0 + is.1.duration_since(was.1)).since(is.0);
                if back > STEP {
                    tracing::error!(
                        seconds = back.as_secs(),
                        "the machine's clock was set back: what waited for a time then waits longer by as much"
                    );
                }
                was = is;
            }
        });
    }

    /// Lets go of what is too old, in one process of all.
    fn sweep_every(self: &Arc<Self>, config: &Config, store: Arc<dyn Retention>) {
        let kept = Kept { bodies: config.retention.bodies, history: config.retention.history };
        let sweeper = Sweeper { store, clock: self.clock.clone(), kept };
        if !sweeper.has_work() {
            return;
        }
        let (running, stop) = (self.clone(), self.supervisor.stop().clone());
        self.supervisor.spawn(async move {
            while next(SWEEP, &stop).await {
                if running.holder.lease(installs::LEASE).is_none() {
                    continue;
                }
                match stop.run_until_cancelled(sweeper.sweep()).await {
                    Some(Ok(rows)) => tracing::info!(rows, "old history was let go of"),
                    Some(Err(error)) => {
                        tracing::warn!(%error, "old history was not let go of; trying again in an hour");
                    }
                    None => return,
                }
            }
        });
    }

    /// Reconciles all workspaces; those whose lease is elsewhere are left to their holder.
    fn reconcile_every(self: &Arc<Self>, every: Duration) {
        let (running, stop) = (self.clone(), self.supervisor.stop().clone());
        self.supervisor.spawn(async move {
            while next(every, &stop).await {
                if let Err(error) = ops::start_reconcile(&running, None, Scope::default()) {
                    tracing::warn!(error = %error, "a reconcile was left out");
                }
            }
        });
    }

    /// Looks at the links that are due, of each workspace whose lease is ours.
    fn follow_invitations(self: &Arc<Self>) {
        let (running, stop) = (self.clone(), self.supervisor.stop().clone());
        self.supervisor.spawn(async move {
            let mut busy = BTreeMap::new();
            while next(LINKS, &stop).await {
                // Where nobody can be invited, the store is not asked.
                if running.roster.served().sites.values().all(|site| site.inviting.is_empty()) {
                    continue;
                }
                match running.store.workspaces_with_due_invitations(running.clock.now()).await {
                    Ok(due) => running.look_in_each(&due, &mut busy),
                    Err(error) => tracing::warn!(error = %error, "links that guests were sent were not looked at"),
                }
            }
        });
    }

    /// Each workspace by itself: one that answers slowly holds nobody else up, and is left out until it has ended.
    fn look_in_each(self: &Arc<Self>, due: &[String], busy: &mut BTreeMap<String, Arc<Mutex<()>>>) {
        let served = self.roster.served();
        for (name, site) in due.iter().filter_map(|name| served.sites.get_key_value(name)) {
            if self.holder.lease(name).is_none() {
                continue;
            }
            let Ok(turn) = busy.entry(name.clone()).or_default().clone().try_lock_owned() else { continue };
            let (running, site, stop) = (self.clone(), site.clone(), self.supervisor.stop().clone());
            self.supervisor.spawn(async move {
                stop.run_until_cancelled(running.look_at_links(&site)).await;
                drop(turn);
            });
        }
    }

    async fn look_at_links(&self, site: &Site) {
        match self.stages.follower.follow(site).await {
            Ok(0) => {}
            Ok(_) => self.wake_in(&site.workspace.name),
            Err(error) => tracing::warn!(workspace = %site.workspace.name, error = %error, "links were not looked at"),
        }
    }

    /// Polls a kind of a system, in each workspace whose lease is ours; at once where the last round is too long ago.
    fn poll_every(self: &Arc<Self>, system: System, kind: Kind, every: Duration) {
        let (running, stop) = (self.clone(), self.supervisor.stop().clone());
        self.supervisor.spawn(async move {
            let fresh = || Poll::new(system, kind, every);
            let mut polls = BTreeMap::new();
            loop {
                running.poll_each(system, &mut polls, fresh);
                if !next(LOOK.min(every / LOOKS), &stop).await {
                    return;
                }
            }
        });
    }

    /// Each workspace by itself: one that answers slowly holds nobody else up, and is left out until it has ended.
    fn poll_each(
        self: &Arc<Self>,
        system: System,
        polls: &mut BTreeMap<String, Arc<Mutex<Poll>>>,
        fresh: impl Fn() -> Poll,
    ) {
        for (name, site) in &self.roster.served().sites {
            if self.holder.lease(name).is_none() || !site.targets.contains_key(&system) {
                // What another process has seen meanwhile is not known.
                polls.remove(name);
                continue;
            }
            let poll = polls.entry(name.clone()).or_insert_with(|| Arc::new(Mutex::new(fresh())));
            let Ok(mut poll) = poll.clone().try_lock_owned() else { continue };
            if !poll.may_be_due(self.clock.now()) {
                continue;
            }
            let (running, site, stop) = (self.clone(), site.clone(), self.supervisor.stop().clone());
            self.supervisor.spawn(async move {
                stop.run_until_cancelled(running.poll(&site, &mut poll)).await;
            });
        }
    }

    async fn poll(&self, site: &Site, poll: &mut Poll) {
        match self.stages.reconciler.poll_if_due(site, poll).await {
            Ok(0) => {}
            Ok(_) => self.wake_in(&site.workspace.name),
            Err(error) => tracing::warn!(workspace = %site.workspace.name, error = %error, "a poll was left out"),
        }
    }
}
