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
        let rows = self.rows().await?;
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
        for row in rows.iter().filter(|row| row.key.system == self.system()) {
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
        if row.bearer() != row.key {
            // It has no tokens of its own.
            return Ok(false);
        }
        let now = self.clock.now();
        let unsaved = self.held(&row.key).unsaved().is_some();
        let ends_soon = unsaved || row.expires.is_none_or(|end| end <= now + lead(row, self.app().renew_before));
        match row.state {
            InstallState::Connected if !ends_soon => Ok(false),
            InstallState::Connected | InstallState::Inactive if self.may_ask(row) => {
                self.renew(&row.key, row.generation).await.map(|_| true)
            }
            InstallState::Awaiting if now.since(row.changed) >= PATIENCE => {
                Ok(!self.vendor.complete(self, row).await?.connected.is_empty())
            }
            _ => Ok(false),
        }
    }

    /// Renews a pair now; of an account that uses another install's, that one.
    pub async fn rotate(self: &Arc<Self>, key: &InstallKey) -> Result<(), OauthError> {
        let key = self.bearer_of(key).await?;
        let known = self.read(&key).await?.ok_or(OauthError::Unknown(key.clone()))?;
        self.renew(&key, known.row.generation).await.map(drop)
    }

    /// Gives up an install: its tokens, and with them all that hangs on it, are wiped here; of an account that uses another
    /// install's, that one. With `tell` (and at a vendor that is always told) they are given up at the vendor first, and if
    /// that fails nothing is wiped. Gives those that were wiped.
    pub async fn revoke(self: &Arc<Self>, key: &InstallKey, tell: bool) -> Result<Vec<InstallKey>, OauthError> {
        let key = self.bearer_of(key).await?;
        let row = self.store.install(&key).await?.ok_or(OauthError::Unknown(key.clone()))?;
        let there_too = self.vendor.always_tells() && row.state == InstallState::Connected;
        if tell || there_too {
            let known = self.fresh(&key).await?;
            let Some(pair) = &known.pair else { return Err(known.refusal().into()) };
            let given_up = self.vendor.give_up(pair, &key).await;
            given_up.map_err(|refusal| not_done(self.system(), refusal))?;
        }
        self.wipe(&key).await
    }

    /// The install whose tokens are meant by another one's name.
    async fn bearer_of(&self, key: &InstallKey) -> Result<InstallKey, OauthError> {
        let row = self.store.install(key).await?.ok_or_else(|| OauthError::Unknown(key.clone()))?;
        Ok(row.bearer())
    }

    /// Seals with the newest key what was sealed with an older one. Gives how many rows that were.
    pub async fn reseal(&self) -> Result<usize, OauthError> {
        let mut resealed = 0;
        for row in self.rows().await? {
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
        let rows = self.rows().await?;
        let count = rows.len();
        rows.into_iter().try_for_each(|row| self.learn(row).map(drop))?;
        Ok(count)
    }
}
