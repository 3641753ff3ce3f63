//! How installs come and go: the owner's way through the vendor's page and back, and the webhooks that tell of it.
//!
//! In: a code, the word that the app was installed or uninstalled, and who wants which account. Out: rows with tokens, rows
//! that await some, wiped rows. An account that nobody here wants leaves nothing behind.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::held::Known;
use super::renew::later;
use super::vendor::{Granted, Refusal};
use super::{Admits, Begun, Finished, Keeper, OauthError};
use crate::credentials::seal::random;
use crate::few::few_at_a_time;
use crate::model::{Holder, Install, InstallKey, InstallState};
use crate::secret::Secret;
use crate::systems::SystemError;

/// How long an authorization may take.
const TICKET: Duration = Duration::from_mins(10);

impl Keeper {
    /// Begins an authorization: where to send the owner's browser, and the cookie it must bring back. Good for ten minutes.
    pub async fn begin(&self) -> Result<Begun, OauthError> {
        let (state, cookie) = (random().map_err(OauthError::Sealing)?, random().map_err(OauthError::Sealing)?);
        let now = self.clock.now();
        let (known, shown) = (hex::encode(state.digest()), hex::encode(cookie.digest()));
        if !self.store.keep_ticket(&known, &shown, now, now + TICKET).await? {
            return Err(OauthError::Crowded);
        }
        Ok(Begun { url: self.vendor.authorize_url(&state), cookie })
    }

    /// The owner came back: trades the code for tokens and stores those that `admits` wants. For a company its locations'
    /// tokens are made at once. [`OauthError::Foreign`] if nothing was wanted.
    pub async fn finish(
        self: &Arc<Self>,
        state: &Secret,
        cookie: &Secret,
        code: &Secret,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError> {
        let ticket = self.store.take_ticket(&hex::encode(state.digest()), self.clock.now()).await?;
        let begun_with = Secret::new(ticket.ok_or(OauthError::Ticket)?);
        if !begun_with.matches(hex::encode(cookie.digest()).as_bytes()) {
            return Err(OauthError::Cookie);
        }
        let granted = self.vendor.exchange(code).await.map_err(not_exchanged)?;
        let key = granted.key.clone().ok_or_else(|| later("the answer to the code names no account"))?;
        if key.holder == Holder::Company {
            return self.company_came(key, granted, admits).await;
        }
        if !admits(&key.account, granted.company.as_deref()) {
            return Err(OauthError::Foreign(key));
        }
        self.keep(&key, &granted).await?;
        Ok(Finished { connected: vec![key], ..Finished::default() })
    }

    /// The vendor says that the app was installed: at a location, or (without one) at all chosen locations of a company.
    /// May come before the owner is back, and more than once.
    pub async fn installed(
        self: &Arc<Self>,
        location: Option<&str>,
        company: Option<&str>,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError> {
        match (location, company) {
            (Some(location), _) if !admits(location, company) => {
                Ok(Finished { refused: vec![InstallKey::location(location)], ..Finished::default() })
            }
            (Some(location), _) => self.location_told(location, company).await,
            (None, Some(company)) => self.company_told(company, admits).await,
            (None, None) => Ok(Finished::default()),
        }
    }

    /// The vendor says that the app was uninstalled: at a location, or (without one) at a company with all its locations.
    /// Their tokens are wiped. Gives those that were wiped now; may come more than once.
    pub async fn uninstalled(
        &self,
        location: Option<&str>,
        company: Option<&str>,
    ) -> Result<Vec<InstallKey>, OauthError> {
        match (location, company) {
            (Some(location), _) => self.wipe(&InstallKey::location(location)).await,
            (None, Some(company)) => self.wipe(&InstallKey::company(company)).await,
            (None, None) => Ok(Vec::new()),
        }
    }

    /// A company's tokens came.
    async fn company_came(
        self: &Arc<Self>,
        key: InstallKey,
        granted: Granted,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError> {
        let company = key.account.as_str();
        let listed = self.vendor.installed_locations(&granted.pair.access, company).await;
        let any = listed.iter().flatten().any(|location| admits(location, Some(company)));
        if !any && !admits("", Some(company)) {
            // Only a list that is there tells that nothing of it is wanted.
            listed.map_err(not_done)?;
            return Err(OauthError::Foreign(key));
        }
        // First of all: with these tokens, all the others can be made again.
        self.keep(&key, &granted).await?;
        let (wanted, refused) = sorted_out(listed.map_err(not_done)?, company, admits);
        let made = few_at_a_time(wanted, |location| {
            let (keeper, company) = (self.clone(), company.to_owned());
            async move { keeper.make(&location, &company).await }
        });
        let Finished { mut connected, awaiting, .. } = together(made.await)?;
        connected.insert(0, key.clone());
        Ok(Finished { connected, awaiting, refused })
    }

    async fn location_told(self: &Arc<Self>, location: &str, company: Option<&str>) -> Result<Finished, OauthError> {
        let key = InstallKey::location(location);
        let row = self.store.install(&key).await?;
        if row.as_ref().is_some_and(|row| row.state == InstallState::Connected) {
            return Ok(Finished { connected: vec![key], ..Finished::default() });
        }
        match company.map(ToOwned::to_owned).or_else(|| row?.company) {
            Some(company) => self.make(location, &company).await,
            None => self.await_tokens(key, None, None).await,
        }
    }

    async fn company_told(self: &Arc<Self>, company: &str, admits: Admits<'_>) -> Result<Finished, OauthError> {
        let key = InstallKey::company(company);
        let known = match self.fresh(&key).await {
            Ok(known) => known,
            Err(
                OauthError::Vendor(SystemError::Unauthorized { .. } | SystemError::NotConnected { .. })
                | OauthError::Unknown(_),
            ) => {
                // Its locations cannot be listed without its tokens.
                if admits("", Some(company)) {
                    return self.await_tokens(key, None, None).await;
                }
                return Ok(Finished { refused: vec![key], ..Finished::default() });
            }
            Err(error) => return Err(error),
        };
        let Known { pair: Some(pair), .. } = &known else { return Err(known.refusal().into()) };
        let listed = self.vendor.installed_locations(&pair.access, company).await.map_err(not_done)?;
        let (wanted, refused) = sorted_out(listed, company, admits);
        let told = few_at_a_time(wanted, |location| {
            let (keeper, company) = (self.clone(), company.to_owned());
            async move { keeper.location_told(&location, Some(&company)).await }
        });
        let Finished { mut connected, awaiting, .. } = together(told.await)?;
        connected.push(key);
        Ok(Finished { connected, awaiting, refused })
    }

    /// Makes the tokens of a location that is wanted with its company's; failing that, it awaits them.
    pub(super) async fn make(self: &Arc<Self>, location: &str, company: &str) -> Result<Finished, OauthError> {
        let key = InstallKey::location(location);
        match self.mint(company, location).await {
            Ok(granted) if granted.key.as_ref().is_none_or(|whose| *whose == key) => {
                let company = granted.company.or_else(|| Some(company.to_owned()));
                self.keep(&key, &Granted { company, ..granted }).await?;
                Ok(Finished { connected: vec![key], ..Finished::default() })
            }
            Ok(_) => Err(OauthError::Foreign(key)),
            Err(refusal) => {
                tracing::warn!(install = %key, reason = %refusal, "no tokens of this location could be made");
                self.await_tokens(key, Some(company), Some(refusal.to_string())).await
            }
        }
    }

    /// Stores new tokens, over whatever there is.
    async fn keep(&self, key: &InstallKey, granted: &Granted) -> Result<(), OauthError> {
        loop {
            let before = self.store.install(key).await?;
            let row = self.row_of(key, granted, before.as_ref())?;
            if self.store.put_install(&row, row.generation - 1).await? {
                tracing::info!(install = %key, "an install is connected");
                return self.learn(row).map(drop);
            }
        }
    }

    /// Notes that an install awaits its tokens, and since when they were last asked for. One that has some, or had, stands
    /// as it stands.
    async fn await_tokens(
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

    /// Wipes the tokens of an install; a company's with those of its locations. Gives those that were wiped now.
    pub(super) async fn wipe(&self, key: &InstallKey) -> Result<Vec<InstallKey>, OauthError> {
        let of_company = |row: &Install| key.holder == Holder::Company && row.company.as_ref() == Some(&key.account);
        let rows = self.store.installs().await?;
        let mut wiped = Vec::new();
        for mut row in rows.into_iter().filter(|row| row.key == *key || of_company(row)) {
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

/// The locations of a company that are wanted, and those that are not.
fn sorted_out(listed: BTreeSet<String>, company: &str, admits: Admits<'_>) -> (Vec<String>, Vec<InstallKey>) {
    let (wanted, refused): (Vec<_>, Vec<_>) = listed.into_iter().partition(|location| admits(location, Some(company)));
    (wanted, refused.into_iter().map(InstallKey::location).collect())
}

/// What came of several; the error of one, if there was one. The others are done all the same.
fn together(parts: Vec<Result<Finished, OauthError>>) -> Result<Finished, OauthError> {
    let mut all = Finished::default();
    for part in parts {
        let Finished { connected, awaiting, .. } = part?;
        all.connected.extend(connected);
        all.awaiting.extend(awaiting);
    }
    all.connected.sort();
    all.awaiting.sort();
    Ok(all)
}

/// Why a code gave no tokens.
fn not_exchanged(refusal: Refusal) -> OauthError {
    match refusal {
        Refusal::Later(error) => error.into(),
        Refusal::Client => OauthError::Client,
        other => OauthError::Code(other.to_string()),
    }
}

/// Why a call with good tokens was not done.
pub(super) fn not_done(refusal: Refusal) -> OauthError {
    match refusal {
        Refusal::Later(error) => error.into(),
        Refusal::Client => OauthError::Client,
        other => super::unauthorized(other.to_string()).into(),
    }
}
