//! TimeRex (dossier 3.1): tokens of a user, who may see several teams.
//!
//! In: a code, a user's tokens. Out: the user's install with the tokens, and one without tokens for each wanted team that
//! the user sees. Nobody tells when our app is let in or put out, and there is no way to new tokens but the user.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use serde_json::Value;

use super::client::{Call, Client, Granted, Refusal, form};
use super::connect::not_done;
use super::pair::Pair;
use super::vendor::Vendor;
use super::{Admits, Finished, Keeper, OauthError, TimerexApp};
use crate::model::{Holder, Install, InstallKey, InstallState, System};
use crate::secret::Secret;
use crate::systems::Transport;
use crate::systems::call::encode;

/// What "all", an empty list of scopes, means.
const ALL: &[&str] =
    &["profile", "email", "User.Teams.Read", "User.Teams.Calendars.Read", "User.Teams.Calendars.ReadWrite"];

/// Our app at TimeRex.
pub(super) struct Timerex {
    client: Client,
    base_url: String,
}

impl Timerex {
    pub(super) fn new(app: TimerexApp, transport: Arc<dyn Transport>) -> Result<Self, OauthError> {
        let base_url = app.base_url.trim_end_matches('/').to_owned();
        Ok(Self { client: Client::new(app.client, &[], transport)?, base_url })
    }

    async fn read(&self, path: &str, access: &Secret) -> Result<Value, Refusal> {
        let url = format!("{}{path}", self.base_url);
        let call = Call { method: Method::GET, url, access: Some(access), version: None, body: None, hush: None };
        let body = self.client.call(call).await?;
        // With a wrong token, a login page may come.
        serde_json::from_slice(&body).map_err(|_| self.client.garbled("it is not JSON"))
    }

    /// The url paths of the teams that a user sees.
    async fn teams(&self, access: &Secret) -> Result<BTreeSet<String>, Refusal> {
        let (mut found, mut path) = (BTreeSet::new(), "/user/me/teams".to_owned());
        loop {
            let page = self.read(&path, access).await?;
            let teams = page["items"].as_array().ok_or_else(|| self.client.garbled("it has no teams"))?;
            let before = found.len();
            found.extend(teams.iter().filter_map(|team| team["url_path"].as_str().map(ToOwned::to_owned)));
            let next = page["nextPageToken"].as_str().filter(|token| !token.is_empty());
            let Some(next) = next else { return Ok(found) };
            // Half a list would give up the teams of the other half.
            if found.len() == before {
                return Err(self.client.garbled("its list of teams does not end"));
            }
            path = format!("/user/me/teams?nextPageToken={}", encode(next));
        }
    }

    /// The scopes that were granted: a vendor that does not say grants those that were asked for (RFC 6749, 5.1).
    fn granted(&self, said: BTreeSet<String>) -> BTreeSet<String> {
        let asked = &self.client.app.scopes;
        match (said.is_empty(), asked.is_empty()) {
            (false, _) => said,
            (true, false) => asked.iter().cloned().collect(),
            (true, true) => ALL.iter().map(ToString::to_string).collect(),
        }
    }
}

#[async_trait]
impl Vendor for Timerex {
    fn client(&self) -> &Client {
        &self.client
    }

    fn authorize_url(&self, state: &Secret) -> Secret {
        self.client.authorize_url(state, None)
    }

    async fn exchange(&self, code: &Secret) -> Result<Granted, Refusal> {
        let granted = self.client.exchange(code, None).await?;
        let user = self.read("/user/me", &granted.pair.access).await?;
        // Ids are opaque; a number would do as well.
        let id = user["id"].as_str().map(ToOwned::to_owned).or_else(|| Some(user["id"].as_u64()?.to_string()));
        let key = id.filter(|id| !id.is_empty()).map(InstallKey::user);
        Ok(Granted { key, scopes: self.granted(granted.scopes), ..granted })
    }

    async fn refresh(&self, refresh: &Secret, _holder: Holder) -> Result<Granted, Refusal> {
        self.client.refresh(refresh, None).await
    }

    /// Each wanted team is this user's from now on, unless it is well connected by another one: anybody on a team can come here,
    /// and must not take it from who connected it. Teams that the user does not see any more are given up.
    async fn take_in(
        &self,
        keeper: &Arc<Keeper>,
        key: InstallKey,
        granted: Granted,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError> {
        let listed = self.teams(&granted.pair.access).await;
        let listed = listed.map_err(|refusal| not_done(System::Timerex, refusal))?;
        let rows = keeper.rows().await?;
        let is_free = |team: &str| {
            let row = rows.iter().find(|row| row.key == InstallKey::team(team));
            row.is_none_or(|row| row.hangs_on(&key) || row.among(&rows).state != InstallState::Connected)
        };
        let (wanted, others): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|team| admits(team, Some(&key.account)) && is_free(team));
        if wanted.is_empty() {
            return Err(OauthError::Foreign(key));
        }
        let wanted: Vec<InstallKey> = wanted.into_iter().map(InstallKey::team).collect();
        // First of all: no team may name a user whose tokens are not there.
        keeper.keep(&key, &granted).await?;
        for team in &wanted {
            keeper.keep_without_tokens(team, &key).await?;
        }
        for gone in rows.iter().filter(|row| row.hangs_on(&key) && !wanted.contains(&row.key)) {
            keeper.wipe(&gone.key).await?;
        }
        let refused = others.into_iter().map(InstallKey::team).collect();
        Ok(Finished { connected: [key].into_iter().chain(wanted).collect(), awaiting: Vec::new(), refused })
    }

    async fn installed(
        &self,
        _keeper: &Arc<Keeper>,
        _location: Option<&str>,
        _company: Option<&str>,
        _admits: Admits<'_>,
    ) -> Result<Finished, OauthError> {
        Ok(Finished::default())
    }

    async fn recover(&self, _keeper: &Arc<Keeper>, _row: &Install) -> Result<Granted, Refusal> {
        Err(Refusal::Spent)
    }

    async fn complete(&self, _keeper: &Arc<Keeper>, _row: &Install) -> Result<Finished, OauthError> {
        Ok(Finished::default())
    }

    fn always_tells(&self) -> bool {
        true
    }

    /// What the call takes is not documented. So it says all that it could want: the access token signs it, as all calls of
    /// that API, and the form is that of RFC 7009.
    async fn give_up(&self, pair: &Pair, _key: &InstallKey) -> Result<(), Refusal> {
        let app = &self.client.app;
        let token = pair.refresh.as_ref().unwrap_or(&pair.access);
        let body = form(&[
            ("token", token.expose()),
            ("token_type_hint", if pair.refresh.is_some() { "refresh_token" } else { "access_token" }),
            ("client_id", &app.client_id),
            ("client_secret", app.client_secret.expose()),
        ]);
        let url = format!("{}/token/revoke", self.base_url);
        let access = Some(&pair.access);
        let call = Call { method: Method::POST, url, access, version: None, body: Some(body), hush: Some(token) };
        match self.client.call(call).await {
            // A redirect, too: to the login page, as for a wrong key.
            Err(Refusal::Spent | Refusal::No { status: 300..=399 | 401, .. }) => Ok(()),
            told => told.map(drop),
        }
    }

    /// A token that is not taken is answered with the vendor's login page, which says nothing.
    fn tells_of_token(&self, _message: &str) -> Option<bool> {
        None
    }
}
