//! How installs come and go: the owner's way through the vendor's page and back, and the webhooks that tell of it.
//!
//! In: a code, the word that the app was installed or uninstalled, and who wants which account. Out: rows with tokens, rows
//! that await some, wiped rows. An account that nobody here wants leaves nothing behind. What hangs on what (locations on
//! companies, teams on users) is sorted out by the vendor's own part.

use std::sync::Arc;
use std::time::Duration;

use super::client::{Granted, Refusal};
use super::renew::later;
use super::{Admits, Begun, Finished, Keeper, OauthError};
use crate::credentials::seal::random;
use crate::model::{Install, InstallKey, InstallState, System};
use crate::secret::Secret;

/// How long an authorization may take.
const TICKET: Duration = Duration::from_mins(10);

impl Keeper {
    /// Begins an authorization: where to send the owner's browser, and the cookie it must bring back. Good for ten minutes.
    pub async fn begin(&self) -> Result<Begun, OauthError> {
        let (state, cookie) = (random().map_err(OauthError::Sealing)?, random().map_err(OauthError::Sealing)?);
        let now = self.clock.now();
        let (known, shown) = (self.ticket(&state), hex::encode(cookie.digest()));
        if !self.store.keep_ticket(&known, &shown, now, now + TICKET).await? {
            return Err(OauthError::Crowded);
        }
        Ok(Begun { url: self.vendor.authorize_url(&state), cookie })
    }

    /// By what a begun authorization is known. One that was begun at another vendor is none here: its code would be another's.
    fn ticket(&self, state: &Secret) -> String {
        format!("{}/{}", self.system(), hex::encode(state.digest()))
    }

    /// The owner came back: trades the code for tokens and stores those that `admits` wants, with all that hangs on them.
    /// [`OauthError::Foreign`] if nothing was wanted.
    pub async fn finish(
        self: &Arc<Self>,
        state: &Secret,
        cookie: &Secret,
        code: &Secret,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError> {
        let ticket = self.store.take_ticket(&self.ticket(state), self.clock.now()).await?;
        let begun_with = Secret::new(ticket.ok_or(OauthError::Ticket)?);
        if !begun_with.matches(hex::encode(cookie.digest()).as_bytes()) {
            return Err(OauthError::Cookie);
        }
        let granted = self.vendor.exchange(code).await.map_err(|refusal| not_exchanged(self.system(), refusal))?;
        let key = granted.key.clone();
        let key = key.ok_or_else(|| later(self.system(), "the answer to the code names no account"))?;
        self.vendor.take_in(self, key, granted, admits).await
    }

    /// The vendor says that the app was installed: at a location, or (without one) at all chosen locations of a company.
    /// May come before the owner is back, and more than once.
    pub async fn installed(
        self: &Arc<Self>,
        location: Option<&str>,
        company: Option<&str>,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError> {
        self.vendor.installed(self, location, company, admits).await
    }

    /// Stores new tokens, over whatever there is.
    pub(super) async fn keep(&self, key: &InstallKey, granted: &Granted) -> Result<(), OauthError> {
        loop {
            let before = self.store.install(key).await?;
            let row = self.row_of(key, granted, before.as_ref())?;
            if self.store.put_install(&row, row.generation - 1).await? {
                tracing::info!(install = %key, "an install is connected");
                return self.learn(row).map(drop);
            }
        }
    }

    /// Stores that an account is reached with the tokens of another install, over whatever there is.
    pub(super) async fn keep_without_tokens(&self, key: &InstallKey, bearer: &InstallKey) -> Result<(), OauthError> {
        loop {
            let from = self.store.install(key).await?.map_or(0, |before| before.generation);
            let row = self.bare(key, Some(&bearer.account), from + 1);
            let row = Install { state: InstallState::Connected, ..row };
            if self.store.put_install(&row, from).await? {
                tracing::info!(install = %key, with = %bearer, "an install is connected");
                return self.learn(row).map(drop);
            }
        }
    }

    /// Notes that an install awaits its tokens, and since when they were last asked for. One that has some, or had, stands
    /// as it stands.
    pub(super) async fn await_tokens(
        &self,
        key: InstallKey,
        company: Option<&str>,
        reason: Option<String>,
    ) -> Result<Finished, OauthError> {
        let before = self.store.install(&key).await?;
        let state = before.as_ref().map_or(InstallState::Removed, |row| row.state);
        if matches!(state, InstallState::Removed | InstallState::Awaiting) {
            let company = company.or(before.as_ref().and_then(|row| row.company.as_deref()));
            let from = before.as_ref().map_or(0, |row| row.generation);
            let row = Install { state: InstallState::Awaiting, reason, ..self.bare(&key, company, from + 1) };
            // If it moved, its tokens came.
            if self.store.put_install(&row, from).await? {
                self.learn(row)?;
            }
        }
        Ok(Finished { awaiting: vec![key], ..Finished::default() })
    }

    /// The vendor says that the app was uninstalled, or the tokens are given up: wipes those of an install and of what hangs
    /// on it. Gives those that were wiped now; may come more than once.
    pub async fn wipe(&self, key: &InstallKey) -> Result<Vec<InstallKey>, OauthError> {
        let rows = self.rows().await?;
        let mut wiped = Vec::new();
        for mut row in rows.into_iter().filter(|row| row.key == *key || row.hangs_on(key)) {
            while row.state != InstallState::Removed {
                let gone = self.bare(&row.key, row.company.as_deref(), row.generation + 1);
                if self.store.put_install(&gone, row.generation).await? {
                    tracing::info!(install = %gone.key, "an install was removed, its tokens are wiped");
                    wiped.push(self.learn(gone)?.row.key);
                    break;
                }
                let Some(there) = self.store.install(&row.key).await? else { break };
                row = there;
            }
        }
        Ok(wiped)
    }

    /// A row without tokens.
    fn bare(&self, key: &InstallKey, company: Option<&str>, generation: i64) -> Install {
        Install {
            key: key.clone(),
            company: company.map(ToOwned::to_owned),
            state: InstallState::Removed,
            reason: None,
            scopes: [].into(),
            sealed: None,
            expires: None,
            generation,
            changed: self.clock.now(),
        }
    }
}

/// Why a code gave no tokens.
fn not_exchanged(system: System, refusal: Refusal) -> OauthError {
    match refusal {
        Refusal::Later(error) => error.into(),
        Refusal::Client => OauthError::Client(system),
        other => OauthError::Code(other.to_string()),
    }
}

/// Why a call with good tokens was not done.
pub(super) fn not_done(system: System, refusal: Refusal) -> OauthError {
    match refusal {
        Refusal::Later(error) => error.into(),
        Refusal::Client => OauthError::Client(system),
        other => super::unauthorized(system, other.to_string()).into(),
    }
}
