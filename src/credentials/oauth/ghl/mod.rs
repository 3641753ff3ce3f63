//! GHL (dossier sections 3.2 and 4): tokens of locations and of companies, and the calls that no other vendor has.
//!
//! In: a code, a token, an account. Out: tokens, and whose they are. What a company brings with it is in `company`.

mod company;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::client::{Call, Client, Granted, JSON, Meanings, Refusal, form};
use super::pair::Pair;
use super::vendor::Vendor;
use super::{Admits, Finished, GhlApp, Keeper, OauthError};
use crate::model::{Holder, Install, InstallKey};
use crate::secret::Secret;
use crate::systems::Transport;
use crate::systems::call::encode;

/// Locations on a page of those where the app is installed.
const PAGE: usize = 100;

/// A paused location keeps its refresh token.
const OWN: Meanings = &[("location is not active", Refusal::Inactive)];

/// Our app at GHL.
#[derive(Clone)]
pub(super) struct Ghl {
    client: Arc<Client>,
    app: Arc<GhlApp>,
}

impl Ghl {
    pub(super) fn new(app: GhlApp, transport: Arc<dyn Transport>) -> Result<Self, OauthError> {
        Ok(Self { client: Arc::new(Client::new(app.client.clone(), OWN, transport)?), app: Arc::new(app) })
    }

    /// Makes tokens of a location with its company's token.
    async fn location_token(&self, access: &Secret, company: &str, location: &str) -> Result<Granted, Refusal> {
        let body = form(&[("companyId", company), ("locationId", location)]);
        let body = self.call(Method::POST, "/oauth/locationToken", Some(access), Some(body)).await?;
        self.client.tokens(&body).map(whose)
    }

    /// The locations of a company at which the app is installed.
    async fn installed_locations(&self, access: &Secret, company: &str) -> Result<BTreeSet<String>, Refusal> {
        let mut found = BTreeSet::new();
        loop {
            let path = format!(
                "/oauth/installedLocations?companyId={}&appId={}&isInstalled=true&skip={}&limit={PAGE}",
                encode(company),
                encode(self.app.app_id()),
                found.len(),
            );
            let body = self.call(Method::GET, &path, Some(access), None).await?;
            let page: Value = serde_json::from_slice(&body).map_err(|_| self.client.garbled("it is not JSON"))?;
            let locations = page["locations"].as_array().ok_or_else(|| self.client.garbled("it has no locations"))?;
            let before = found.len();
            let installed = locations.iter().filter(|location| location["isInstalled"] != json!(false));
            found.extend(installed.filter_map(|location| location["_id"].as_str().map(ToOwned::to_owned)));
            // The vendor may give fewer than we ask for: only a page without anything new is the end.
            if found.len() == before {
                return Ok(found);
            }
        }
    }

    /// Asks for lost tokens anew, with our client secret alone.
    async fn reconnect(&self, key: &InstallKey) -> Result<Granted, Refusal> {
        let app = &self.app.client;
        let body = json!({
            "clientKey": app.client_id,
            "clientSecret": app.client_secret.expose(),
            id_name(key.holder): key.account,
        });
        let body = self.call(Method::POST, "/oauth/reconnect", None, Some((JSON, body.to_string()))).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = answer["authorizationCode"].as_str().map(Secret::new);
        self.exchange(&code.ok_or_else(|| self.client.garbled("it has no authorizationCode"))?).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        access: Option<&Secret>,
        body: Option<(&'static str, String)>,
    ) -> Result<Bytes, Refusal> {
        let url = format!("{}{path}", self.app.base_url.trim_end_matches('/'));
        let version = Some(self.app.version.as_str());
        self.client.call(Call { method, url, access, version, body, hush: None }).await
    }
}

#[async_trait]
impl Vendor for Ghl {
    fn client(&self) -> &Client {
        &self.client
    }

    fn authorize_url(&self, state: &Secret) -> Secret {
        let version = self.app.version_id.as_deref().map(|version| ("version_id", version));
        self.client.authorize_url(state, version)
    }

    async fn exchange(&self, code: &Secret) -> Result<Granted, Refusal> {
        self.client.exchange(code, Some(("user_type", "Location"))).await.map(whose)
    }

    async fn refresh(&self, refresh: &Secret, holder: Holder) -> Result<Granted, Refusal> {
        let user_type = if holder == Holder::Company { "Company" } else { "Location" };
        self.client.refresh(refresh, Some(("user_type", user_type))).await.map(whose)
    }

    async fn take_in(
        &self,
        keeper: &Arc<Keeper>,
        key: InstallKey,
        granted: Granted,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError> {
        if key.holder == Holder::Company {
            return self.company_came(keeper, key, granted, admits).await;
        }
        if !admits(&key.account, granted.company.as_deref()) {
            return Err(OauthError::Foreign(key));
        }
        keeper.keep(&key, &granted).await?;
        Ok(Finished { connected: vec![key], ..Finished::default() })
    }

    async fn installed(
        &self,
        keeper: &Arc<Keeper>,
        location: Option<&str>,
        company: Option<&str>,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError> {
        match (location, company) {
            (Some(location), _) if !admits(location, company) => {
                Ok(Finished { refused: vec![InstallKey::location(location)], ..Finished::default() })
            }
            (Some(location), _) => self.location_told(keeper, location, company).await,
            (None, Some(company)) => self.company_told(keeper, company, admits).await,
            (None, None) => Ok(Finished::default()),
        }
    }

    async fn recover(&self, keeper: &Arc<Keeper>, row: &Install) -> Result<Granted, Refusal> {
        if let (Holder::Location, Some(company)) = (row.key.holder, &row.company) {
            match self.mint(keeper, company, &row.key.account).await {
                Err(Refusal::Spent | Refusal::Client | Refusal::No { .. }) => {}
                minted => return minted,
            }
        }
        if !self.app.reconnect {
            return Err(Refusal::Spent);
        }
        match self.reconnect(&row.key).await {
            Err(Refusal::Spent | Refusal::No { .. }) => Err(Refusal::Spent),
            reconnected => reconnected,
        }
    }

    async fn complete(&self, keeper: &Arc<Keeper>, row: &Install) -> Result<Finished, OauthError> {
        match &row.company {
            Some(company) => self.make(keeper, &row.key.account, company).await,
            None => Ok(Finished::default()),
        }
    }

    fn always_tells(&self) -> bool {
        false
    }

    /// Uninstalls the app.
    async fn give_up(&self, pair: &Pair, key: &InstallKey) -> Result<(), Refusal> {
        let path = format!("/marketplace/app/{}/installations", encode(self.app.app_id()));
        let body = json!({ id_name(key.holder): key.account }).to_string();
        self.call(Method::DELETE, &path, Some(&pair.access), Some((JSON, body))).await.map(drop)
    }

    /// Missing scopes, wrong kinds of token, foreign locations and missing headers come as a 401 too (dossier 3.9).
    fn tells_of_token(&self, message: &str) -> Option<bool> {
        Some(tells_of_token(message))
    }
}

/// Whether words are about the token itself: it is invalid or has ended.
pub(super) fn tells_of_token(message: &str) -> bool {
    const WORDS: &[&str] = &["invalid token", "token is invalid", "invalid jwt", "invalid_token", "expired"];
    let lower = message.to_lowercase();
    WORDS.iter().any(|words| lower.contains(words))
}

/// Reads whose the tokens are.
fn whose(granted: Granted) -> Granted {
    let said = |name: &str| granted.said.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    let (company, location) = (said("companyId"), said("locationId"));
    let is_company = said("userType").map_or(location.is_none(), |word| word == "Company");
    if is_company {
        return Granted { key: company.map(InstallKey::company), ..granted };
    }
    Granted { key: location.map(InstallKey::location), company, ..granted }
}

fn id_name(holder: Holder) -> &'static str {
    if holder == Holder::Company { "companyId" } else { "locationId" }
}
