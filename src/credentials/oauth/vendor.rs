//! The OAuth calls of GHL (dossier sections 3.2 and 4): the code and refresh grants in the words of the `oauth2` crate, and
//! beside them the vendor's own calls for tokens of locations, for lost tokens and for uninstalling.
//!
//! In: a code, a token, an account. Out: [`Granted`], or a [`Refusal`] that tells what it means. Everything travels over
//! our [`Transport`], which follows no redirect. What to do about a refusal is left to `renew` and `connect`.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::pair::Pair;
use super::{OauthApp, OauthError};
use crate::model::{Holder, InstallKey, System};
use crate::secret::Secret;
use crate::systems::call::{Reply, encode};
use crate::systems::{SystemError, Transport};

/// How long an access token is trusted when the vendor does not say.
const UNSAID: Duration = Duration::from_hours(1);

/// Locations on a page of those where the app is installed.
const PAGE: usize = 100;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// What GHL tells beside the tokens.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whose {
    user_type: Option<String>,
    company_id: Option<String>,
    location_id: Option<String>,
}

impl ExtraTokenFields for Whose {}

type TokenAnswer = StandardTokenResponse<Whose, BasicTokenType>;

type Client = oauth2::Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Tokens, and whose they are.
#[derive(Debug)]
pub(super) struct Granted {
    /// Whose, where the vendor says.
    pub(super) key: Option<InstallKey>,
    /// The company of a location.
    pub(super) company: Option<String>,
    /// The scopes; none where the vendor does not say.
    pub(super) scopes: BTreeSet<String>,
    /// The tokens.
    pub(super) pair: Pair,
    /// How long the access token lives.
    pub(super) life: Duration,
}

/// Why there are no tokens.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Refusal {
    /// It may work later. If there was no answer, a refresh token that was sent may be used up all the same.
    #[error(transparent)]
    Later(SystemError),
    /// The location is not active; the same refresh token works again when it is.
    #[error("the location is not active at the vendor")]
    Inactive,
    /// The grant is invalid, ended, or was used already.
    #[error("the vendor takes these tokens no longer")]
    Spent,
    /// Our client id and secret are not taken.
    #[error("the vendor does not take our client")]
    Client,
    /// Anything else.
    #[error("HTTP {status}: {said}")]
    No {
        /// The HTTP status.
        status: u16,
        /// What the vendor said, without any secret.
        said: String,
    },
}

/// What the vendor's words mean, in the order in which they are looked for, in lower case.
const MEANINGS: &[(&str, Refusal)] = &[
    ("location is not active", Refusal::Inactive),
    ("refresh token is invalid", Refusal::Spent),
    ("invalid grant", Refusal::Spent),
    ("invalid_grant", Refusal::Spent),
    ("invalid_client", Refusal::Client),
    ("invalid client", Refusal::Client),
    ("client credentials", Refusal::Client),
    ("clientid", Refusal::Client),
    ("client_id", Refusal::Client),
    ("clientsecret", Refusal::Client),
    ("client_secret", Refusal::Client),
];

/// Calls the vendor.
pub(super) struct Vendor {
    pub(super) app: OauthApp,
    client: Client,
    transport: Arc<dyn Transport>,
}

impl Vendor {
    pub(super) fn new(app: OauthApp, transport: Arc<dyn Transport>) -> Result<Self, OauthError> {
        let base = app.base_url.trim_end_matches('/');
        let token = TokenUrl::new(format!("{base}/oauth/token"));
        let authorize = AuthUrl::new(app.authorize_url.clone());
        let back = RedirectUrl::new(app.redirect_url.clone());
        let client = oauth2::Client::new(ClientId::new(app.client_id.clone()))
            .set_client_secret(ClientSecret::new(app.client_secret.expose().to_owned()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(token.map_err(|_| OauthError::Address("base_url"))?)
            .set_auth_uri(authorize.map_err(|_| OauthError::Address("authorize_url"))?)
            .set_redirect_uri(back.map_err(|_| OauthError::Address("the redirect URL"))?);
        Ok(Self { app, client, transport })
    }

    /// Where to send the owner of an account.
    pub(super) fn authorize_url(&self, state: &Secret) -> Secret {
        let state = CsrfToken::new(state.expose().to_owned());
        let scopes = self.app.scopes.iter().map(|scope| Scope::new(scope.clone()));
        let mut request = self.client.authorize_url(|| state).add_scopes(scopes);
        if let Some(version) = &self.app.version_id {
            request = request.add_extra_param("version_id", version);
        }
        Secret::new(request.url().0)
    }

    /// Trades a code for tokens.
    pub(super) async fn exchange(&self, code: &Secret) -> Result<Granted, Refusal> {
        let hush = [code, &self.app.client_secret];
        let way = Way { vendor: self, hush };
        let request = self.client.exchange_code(AuthorizationCode::new(code.expose().to_owned()));
        let answer = request.add_extra_param("user_type", "Location").request_async(&way).await;
        Ok(granted(answer.map_err(unread)?))
    }

    /// Trades a refresh token for a new pair. It is used up by that.
    pub(super) async fn refresh(&self, refresh: &Secret, holder: Holder) -> Result<Granted, Refusal> {
        let hush = [refresh, &self.app.client_secret];
        let way = Way { vendor: self, hush };
        let token = RefreshToken::new(refresh.expose().to_owned());
        let request = self.client.exchange_refresh_token(&token).add_extra_param("user_type", user_type(holder));
        let mut granted = granted(request.request_async(&way).await.map_err(unread)?);
        // RFC 6749, 6: where no new one comes, the old one stays good.
        granted.pair.refresh.get_or_insert_with(|| refresh.clone());
        Ok(granted)
    }

    /// Makes tokens of a location with its company's token.
    pub(super) async fn location_token(
        &self,
        access: &Secret,
        company: &str,
        location: &str,
    ) -> Result<Granted, Refusal> {
        let form = format!("companyId={}&locationId={}", encode(company), encode(location));
        let body = self.call(Method::POST, "/oauth/locationToken", Some(access), FORM, form).await?;
        let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_| garbled("it has no tokens"))?;
        Ok(granted(answer))
    }

    /// The locations of a company at which the app is installed.
    pub(super) async fn installed_locations(
        &self,
        access: &Secret,
        company: &str,
    ) -> Result<BTreeSet<String>, Refusal> {
        let mut found = BTreeSet::new();
        loop {
            let path = format!(
                "/oauth/installedLocations?companyId={}&appId={}&isInstalled=true&skip={}&limit={PAGE}",
                encode(company),
                encode(self.app.app_id()),
                found.len(),
            );
            let body = self.call(Method::GET, &path, Some(access), JSON, String::new()).await?;
            let page: Value = serde_json::from_slice(&body).map_err(|_| garbled("it is not JSON"))?;
            let locations = page["locations"].as_array().ok_or_else(|| garbled("it has no locations"))?;
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
    pub(super) async fn reconnect(&self, key: &InstallKey) -> Result<Granted, Refusal> {
        let body = json!({
            "clientKey": self.app.client_id,
            "clientSecret": self.app.client_secret.expose(),
            id_name(key.holder): key.account,
        });
        let body = self.call(Method::POST, "/oauth/reconnect", None, JSON, body.to_string()).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = answer["authorizationCode"].as_str().map(Secret::new);
        self.exchange(&code.ok_or_else(|| garbled("it has no authorizationCode"))?).await
    }

    /// Uninstalls the app.
    pub(super) async fn uninstall(&self, access: &Secret, key: &InstallKey) -> Result<(), Refusal> {
        let path = format!("/marketplace/app/{}/installations", encode(self.app.app_id()));
        let body = json!({ id_name(key.holder): key.account }).to_string();
        self.call(Method::DELETE, &path, Some(access), JSON, body).await.map(drop)
    }

    /// One of the vendor's own calls, with the `Version` header.
    async fn call(
        &self,
        method: Method,
        path: &str,
        access: Option<&Secret>,
        content: &'static str,
        body: String,
    ) -> Result<Bytes, Refusal> {
        let url = format!("{}{path}", self.app.base_url.trim_end_matches('/'));
        let mut request = Request::builder().method(method).uri(url).header(ACCEPT, JSON);
        request = request.header("version", &self.app.version);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, content);
        }
        if let Some(access) = access {
            request = request.header(AUTHORIZATION, bearer(access).map_err(Refusal::Later)?);
        }
        let request = request.body(Bytes::from(body)).map_err(|_| garbled("the request cannot be built"))?;
        let hush: Vec<&Secret> = access.into_iter().chain([&self.app.client_secret]).collect();
        self.send(request, &hush).await
    }

    /// Sends it; the body of a success. `hush`: what must not come back in the vendor's words.
    async fn send(&self, request: Request<Bytes>, hush: &[&Secret]) -> Result<Bytes, Refusal> {
        let answer = self.transport.send(request).await.map_err(|error| unavailable(None, error.to_string()))?;
        let status = answer.status().as_u16();
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        // Before the message is shortened: half a token would not be known again.
        let secrets = hush.iter().map(|secret| secret.expose()).filter(|secret| !secret.is_empty());
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        let text = secrets.fold(text, |text, secret| text.replace(secret, "[secret]"));
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let said = Reply { status, body, readable: true }.message();
        Err(refusal(status, answer.headers(), said))
    }
}

/// The way of the `oauth2` crate's requests to the vendor.
struct Way<'a> {
    vendor: &'a Vendor,
    hush: [&'a Secret; 2],
}

impl<'c> AsyncHttpClient<'c> for Way<'_> {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Refusal>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let body = self.vendor.send(request.map(Bytes::from), &self.hush).await?;
            // Whatever success was called, the crate knows only 200.
            Ok(HttpResponse::new(body.to_vec()))
        })
    }
}

/// `Bearer TOKEN`.
pub(super) fn bearer(access: &Secret) -> Result<HeaderValue, SystemError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", access.expose())).map_err(|_| SystemError::Garbled {
        system: System::Ghl,
        status: 200,
        reason: "the access token is not fit for a header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn refusal(status: u16, headers: &HeaderMap, said: String) -> Refusal {
    let after = || headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs);
    match status {
        429 => return Refusal::Later(SystemError::Wait { system: System::Ghl, status, after: after() }),
        408 | 500.. => return unavailable(Some(status), said),
        _ => {}
    }
    let lower = said.to_lowercase();
    let meaning = MEANINGS.iter().find(|(words, _)| lower.contains(words));
    meaning.map_or(Refusal::No { status, said }, |(_, refusal)| refusal.clone())
}

fn unavailable(status: Option<u16>, reason: String) -> Refusal {
    Refusal::Later(SystemError::Unavailable { system: System::Ghl, status, reason: format!("no tokens: {reason}") })
}

fn garbled(what: &str) -> Refusal {
    let reason = format!("of an OAuth call: {what}");
    Refusal::Later(SystemError::Garbled { system: System::Ghl, status: 200, reason })
}

/// A body that the crate could not read is not repeated: it may hold tokens.
fn unread(error: RequestTokenError<Refusal, BasicErrorResponse>) -> Refusal {
    match error {
        RequestTokenError::Request(refusal) => refusal,
        RequestTokenError::Parse(at, _) => garbled(&format!("it has no tokens (at {})", at.path())),
        RequestTokenError::ServerResponse(_) | RequestTokenError::Other(_) => garbled("it has no tokens"),
    }
}

fn granted(answer: TokenAnswer) -> Granted {
    let Whose { user_type, company_id, location_id } = answer.extra_fields();
    let is_company = user_type.as_deref().map_or(location_id.is_none(), |word| word == "Company");
    let key = if is_company {
        company_id.clone().map(InstallKey::company)
    } else {
        location_id.clone().map(InstallKey::location)
    };
    Granted {
        key,
        company: company_id.clone().filter(|_| !is_company),
        scopes: answer.scopes().into_iter().flatten().map(|scope| scope.to_string()).collect(),
        pair: Pair {
            access: Secret::new(answer.access_token().secret()),
            refresh: answer.refresh_token().map(|token| Secret::new(token.secret())),
        },
        life: answer.expires_in().unwrap_or(UNSAID),
    }
}

fn user_type(holder: Holder) -> &'static str {
    match holder {
        Holder::Company => "Company",
        Holder::Location => "Location",
    }
}

fn id_name(holder: Holder) -> &'static str {
    match holder {
        Holder::Company => "companyId",
        Holder::Location => "locationId",
    }
}
