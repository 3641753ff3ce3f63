//! What keeps installs in order without anybody calling the vendor for a task: the timer's renewals, and the operator's
//! commands.

use std::sync::Arc;

use super::connect::not_done;
use super::held::Known;
use super::pair::Pair;
use super::renew::{PATIENCE, lead};
use super::{Keeper, OauthError};
use crate::few::few_at_a_time;
use crate::model::{Install, InstallKey, InstallState};

impl Keeper {
    /// Renews every pair that ends soon, and asks again for what was inactive or awaiting; a few at a time, so that one
    /// account at which the vendor hangs holds nobody else's tokens up. For a timer, about each minute, on every replica. Gives
    /// how many have new tokens. What fails is written in its row and tried again the next time.
    pub async fn renew_due(self: &Arc<Self>) -> Result<usize, OauthError> {
        let rows = self.store.installs().await?;
        let tended = few_at_a_time(rows, |row| {
            let keeper = self.clone();
            async move { keeper.tended(row).await }
        });
        Ok(tended.await.into_iter().filter(|renewed| *renewed).count())
    }

    async fn tended(self: &Arc<Self>, row: Install) -> bool {
        let (key, generation) = (row.key.clone(), row.generation);
        let asked = match self.learn(row) {
            Ok(known) => self.renew_if_due(&known.row).await,
            Err(error) => Err(error),
        };
        asked.unwrap_or_else(|error| {
            tracing::warn!(install = %key, generation, reason = %error, "no new tokens for an install");
            false
        })
    }

    /// Takes over what other replicas wrote: new tokens and scopes, and that tokens were wiped. A row that does not open is
    /// left to the timer, which tells of it.
    pub fn notice(&self, rows: &[Install]) {
        for row in rows {
            let held = self.peek(&row.key).and_then(|held| held.known());
            let seen = |known: Known| (known.row.generation, known.row.changed, known.row.state);
            if held.map(seen) != Some((row.generation, row.changed, row.state)) {
                drop(self.learn(row.clone()));
            }
        }
    }

    /// Waits until no renewal runs: tokens that were asked for are stored before we go.
    pub async fn settled(&self) {
        self.renewals.close();
        self.renewals.wait().await;
    }

    async fn renew_if_due(self: &Arc<Self>, row: &Install) -> Result<bool, OauthError> {
        let now = self.clock.now();
        let unsaved = self.held(&row.key).unsaved().is_some();
        let ends_soon = unsaved || row.expires.is_none_or(|end| end <= now + lead(row, self.vendor.app.renew_before));
        match (row.state, &row.company) {
            (InstallState::Connected, _) if !ends_soon => Ok(false),
            (InstallState::Connected | InstallState::Inactive, _) if self.may_ask(row) => {
                self.renew(&row.key, row.generation).await.map(|_| true)
            }
            (InstallState::Awaiting, Some(company)) if now.since(row.changed) >= PATIENCE => {
                Ok(!self.make(&row.key.account, company).await?.connected.is_empty())
            }
            _ => Ok(false),
        }
    }

    /// Renews a pair now.
    pub async fn rotate(self: &Arc<Self>, key: &InstallKey) -> Result<(), OauthError> {
        let known = self.read(key).await?.ok_or_else(|| OauthError::Unknown(key.clone()))?;
        self.renew(key, known.row.generation).await.map(drop)
    }

    /// Gives up an install: its tokens (a company's: those of its locations too) are wiped here. With `uninstall` the app is
    /// uninstalled at the vendor first, and if that fails nothing is wiped. Gives those that were wiped.
    pub async fn revoke(self: &Arc<Self>, key: &InstallKey, uninstall: bool) -> Result<Vec<InstallKey>, OauthError> {
        if self.store.install(key).await?.is_none() {
            return Err(OauthError::Unknown(key.clone()));
        }
        if uninstall {
            let known = self.fresh(key).await?;
            let Some(pair) = &known.pair else { return Err(known.refusal().into()) };
            self.vendor.uninstall(&pair.access, key).await.map_err(not_done)?;
        }
        self.wipe(key).await
    }

    /// Seals with the newest key what was sealed with an older one. Gives how many rows that were.
    pub async fn reseal(&self) -> Result<usize, OauthError> {
        let mut resealed = 0;
        for row in self.store.installs().await? {
            if !row.sealed.as_ref().is_some_and(|sealed| self.sealer.reseal_needed(sealed)) {
                continue;
            }
            let Some(pair) = Pair::open(&row, &self.sealer)? else { continue };
            let again = Install { sealed: Some(pair.seal(&row.key, &self.sealer)?), ..row };
            // The same tokens: the generation stays. If it moved, the new pair was sealed with the newest key.
            resealed += usize::from(self.store.put_install(&again, again.generation).await?);
        }
        Ok(resealed)
    }

    /// Opens all sealed tokens, as a check at the start: a lost key must be noticed then. Gives how many installs there are.
    pub async fn open_all(&self) -> Result<usize, OauthError> {
        let rows = self.store.installs().await?;
        let count = rows.len();
        rows.into_iter().try_for_each(|row| self.learn(row).map(drop))?;
        Ok(count)
    }
}
