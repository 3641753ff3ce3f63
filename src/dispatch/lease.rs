//! The leases of this process: taken and renewed in the background, asked by the workers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::model::Lease;
use crate::store::{Leases, Result};
use crate::supervisor::Heartbeat;

/// How often leases are asked for that are not held.
const ASKING: Duration = Duration::from_secs(1);

/// Holds leases.
pub struct Holder {
    leases: Arc<dyn Leases>,
    clock: Arc<dyn Clock>,
    owner: String,
    lasts: Duration,
    wanted: Mutex<Vec<String>>,
    held: Mutex<BTreeMap<String, Lease>>,
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
        Self { leases, clock, owner, lasts, wanted: Mutex::new(workspaces), held: Mutex::default() }
    }

    /// Wants one more.
    pub fn want(&self, workspace: &str) {
        self.wanted().push(workspace.to_owned());
    }

    /// Takes what is free and renews what is held.
    pub async fn renew(&self) -> Result<()> {
        let now = self.clock.now();
        let wanted = self.wanted().clone();
        let leases = self.leases.lease(&wanted, &self.owner, now, now + self.lasts).await?;
        *self.lock() = leases.into_iter().map(|lease| (lease.workspace.clone(), lease)).collect();
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
        let renewal = self.lasts / 3;
        if self.lock().len() == self.wanted().len() { renewal } else { renewal.min(ASKING) }
    }

    /// Gives everything back, so that another process need not wait for the leases to end.
    pub async fn give_back(&self) -> Result<()> {
        self.lock().clear();
        self.leases.release_leases(&self.owner).await
    }

    /// The lease on a workspace, if it is held and has not run out.
    pub fn lease(&self, workspace: &str) -> Option<Lease> {
        self.lock().get(workspace).filter(|lease| lease.until > self.clock.now()).cloned()
    }

    /// A write under the lease was refused: it is another's.
    pub fn lost(&self, workspace: &str) {
        tracing::warn!(workspace = %workspace, "the lease is another's");
        self.lock().remove(workspace);
    }

    fn wanted(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Lease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
