//! Bells between replicas: who holds the lease of a workspace is told at once of what came in elsewhere.

use std::time::Duration;

use super::Running;
use crate::store::StoreError;

/// How soon the bells are listened for again when the database went away.
const DEAF: Duration = Duration::from_secs(1);

impl Running {
    /// Who holds the lease of a workspace need not poll for what came in here.
    pub(super) async fn ring_elsewhere(&self, workspaces: impl Iterator<Item = &String>) {
        let elsewhere: Vec<&str> =
            workspaces.filter(|name| self.holder.lease(name).is_none()).map(String::as_str).collect();
        if let Err(error) = self.store.ring(&elsewhere).await {
            tracing::warn!(error = %error, "other replicas were not told of what came in; they find it by their poll");
        }
    }

    /// Wakes the workers that other processes ring for.
    pub(super) async fn hear_bells(&self) {
        loop {
            match self.hear().await {
                Ok(()) => return,
                Err(error) => tracing::warn!(error = %error, "what other replicas tell is not heard; trying again"),
            }
            self.clock.sleep(DEAF).await;
        }
    }

    /// Until it fails; at once where there is no other process.
    async fn hear(&self) -> Result<(), StoreError> {
        let Some(mut listening) = self.store.listen().await? else { return Ok(()) };
        loop {
            let workspace = listening.heard().await?;
            self.wake_in(&workspace);
        }
    }
}
