//! A company (agency) of GHL and its locations: the company's tokens make those of its locations.
//!
//! In: a company's tokens, the word that the app was installed, and who wants which location. Out: locations with tokens, or
//! that await some.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Ghl, tells_of_token};
use crate::credentials::oauth::client::{Granted, Refusal};
use crate::credentials::oauth::connect::not_done;
use crate::credentials::oauth::held::Known;
use crate::credentials::oauth::renew::later;
use crate::credentials::oauth::{Admits, Finished, Keeper, OauthError};
use crate::few::few_at_a_time;
use crate::model::{InstallKey, InstallState, System};
use crate::systems::SystemError;

impl Ghl {
    /// A company's tokens came.
    pub(super) async fn company_came(
        &self,
        keeper: &Arc<Keeper>,
        key: InstallKey,
        granted: Granted,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError> {
        let company = key.account.as_str();
        let listed = self.installed_locations(&granted.pair.access, company).await;
        let any = listed.iter().flatten().any(|location| admits(location, Some(company)));
        if !any && !admits("", Some(company)) {
            // Only a list that is there tells that nothing of it is wanted.
            listed.map_err(|refusal| not_done(System::Ghl, refusal))?;
            return Err(OauthError::Foreign(key));
        }
        // First of all: with these tokens, all the others can be made again.
        keeper.keep(&key, &granted).await?;
        let (wanted, refused) = sorted_out(listed.map_err(|refusal| not_done(System::Ghl, refusal))?, company, admits);
        let made = few_at_a_time(wanted, |location| {
            let (ghl, keeper, company) = (self.clone(), keeper.clone(), company.to_owned());
            async move { ghl.make(&keeper, &location, &company).await }
        });
        let Finished { mut connected, awaiting, .. } = together(made.await)?;
        connected.insert(0, key.clone());
        Ok(Finished { connected, awaiting, refused })
    }

    pub(super) async fn location_told(
        &self,
        keeper: &Arc<Keeper>,
        location: &str,
        company: Option<&str>,
    ) -> Result<Finished, OauthError> {
        let key = InstallKey::location(location);
        let row = keeper.store.install(&key).await?;
        if row.as_ref().is_some_and(|row| row.state == InstallState::Connected) {
            return Ok(Finished { connected: vec![key], ..Finished::default() });
        }
        match company.map(ToOwned::to_owned).or_else(|| row?.company) {
            Some(company) => self.make(keeper, location, &company).await,
            None => keeper.await_tokens(key, None, None).await,
        }
    }

    pub(super) async fn company_told(
        &self,
        keeper: &Arc<Keeper>,
        company: &str,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError> {
        let key = InstallKey::company(company);
        let known = match keeper.fresh(&key).await {
            Ok(known) => known,
            Err(
                OauthError::Vendor(SystemError::Unauthorized { .. } | SystemError::NotConnected { .. })
                | OauthError::Unknown(_),
            ) => {
                // Its locations cannot be listed without its tokens.
                if admits("", Some(company)) {
                    return keeper.await_tokens(key, None, None).await;
                }
                return Ok(Finished { refused: vec![key], ..Finished::default() });
            }
            Err(error) => return Err(error),
        };
        let Known { pair: Some(pair), .. } = &known else { return Err(known.refusal().into()) };
        let listed =
            self.installed_locations(&pair.access, company).await.map_err(|refusal| not_done(System::Ghl, refusal))?;
        let (wanted, refused) = sorted_out(listed, company, admits);
        let told = few_at_a_time(wanted, |location| {
            let (ghl, keeper, company) = (self.clone(), keeper.clone(), company.to_owned());
            async move { ghl.location_told(&keeper, &location, Some(&company)).await }
        });
        let Finished { mut connected, awaiting, .. } = together(told.await)?;
        connected.push(key);
        Ok(Finished { connected, awaiting, refused })
    }

    /// Makes the tokens of a location that is wanted with its company's; failing that, it awaits them.
    pub(super) async fn make(
        &self,
        keeper: &Arc<Keeper>,
        location: &str,
        company: &str,
    ) -> Result<Finished, OauthError> {
        let key = InstallKey::location(location);
        match self.mint(keeper, company, location).await {
            Ok(granted) if granted.key.as_ref().is_none_or(|whose| *whose == key) => {
                let company = granted.company.or_else(|| Some(company.to_owned()));
                keeper.keep(&key, &Granted { company, ..granted }).await?;
                Ok(Finished { connected: vec![key], ..Finished::default() })
            }
            Ok(_) => Err(OauthError::Foreign(key)),
            Err(refusal) => {
                tracing::warn!(install = %key, reason = %refusal, "no tokens of this location could be made");
                keeper.await_tokens(key, Some(company), Some(refusal.to_string())).await
            }
        }
    }

    /// Makes tokens of a location with its company's, if we have those.
    pub(super) async fn mint(&self, keeper: &Arc<Keeper>, company: &str, location: &str) -> Result<Granted, Refusal> {
        let key = InstallKey::company(company);
        let fresh = |known: Result<Known, OauthError>| known.and_then(Known::usable).map_err(no_company);
        let mut known = fresh(keeper.fresh(&key).await)?;
        for last in [false, true] {
            let Some(pair) = &known.pair else { break };
            match self.location_token(&pair.access, company, location).await {
                Err(Refusal::No { status: 401, said }) if !last && tells_of_token(&said) => {
                    known = fresh(keeper.renew(&key, known.row.generation).await)?;
                }
                minted => return minted,
            }
        }
        Err(Refusal::Spent)
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

/// What a location can make of its company's tokens not being there.
fn no_company(error: OauthError) -> Refusal {
    match error {
        OauthError::Vendor(SystemError::Unauthorized { .. } | SystemError::NotConnected { .. })
        | OauthError::Unknown(_) => Refusal::Spent,
        OauthError::Client(_) => Refusal::Client,
        OauthError::Store(error) => Refusal::Later(later(System::Ghl, &error.to_string())),
        OauthError::Vendor(error) => Refusal::Later(error),
        _ => Refusal::Spent,
    }
}
