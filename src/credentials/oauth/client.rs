//! Our client at a vendor: the code and refresh grants in the words of the `oauth2` crate, and signed calls beside them.
//!
//! In: a code, a token, a call. Out: [`Granted`] or an answer's body, or a [`Refusal`] that tells what it means. Everything
//! travels over our [`Transport`], which follows no redirect. Whose tokens they are is the vendor's to say; what to do about
//! a refusal is left to `renew` and `connect`.

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
use serde_json::{Map, Value};

use super::pair::Pair;
use super::{OauthApp, OauthError};
use crate::model::{InstallKey, System};
use crate::secret::Secret;
use crate::systems::call::{Reply, encode};
use crate::systems::{SystemError, Transport};

/// How long an access token is trusted when the vendor does not say.
const UNSAID: Duration = Duration::from_hours(1);

/// A body in the form of an HTML form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
/// A body in JSON.
pub(super) const JSON: &str = "application/json";

/// What a vendor tells beside the tokens.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Beside {
    #[serde(flatten)]
    said: Map<String, Value>,
}

impl ExtraTokenFields for Beside {}

type TokenAnswer = StandardTokenResponse<Beside, BasicTokenType>;

type Grants = oauth2::Client<
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
    /// What else the vendor said.
    pub(super) said: Map<String, Value>,
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

/// What vendors' words mean, in the order in which they are looked for, in lower case.
pub(super) type Meanings = &'static [(&'static str, Refusal)];

/// Those that mean the same at every vendor; RFC 6749, 5.2, and variations on it.
const MEANINGS: Meanings = &[
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

/// Calls the vendor in the name of our app.
pub(super) struct Client {
    pub(super) app: OauthApp,
    /// What is meant by words that this vendor alone uses; they come first.
    own: Meanings,
    grants: Grants,
    transport: Arc<dyn Transport>,
}

/// A call beside the grants.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: String,
    /// Signs it, if it is to be signed.
    pub(super) access: Option<&'a Secret>,
    /// The `Version` header.
    pub(super) version: Option<&'a str>,
    /// The body with its type, if there is one.
    pub(super) body: Option<(&'static str, String)>,
    /// What else must not come back in the vendor's words.
    pub(super) hush: Option<&'a Secret>,
}

impl Client {
    pub(super) fn new(app: OauthApp, own: Meanings, transport: Arc<dyn Transport>) -> Result<Self, OauthError> {
        let token = TokenUrl::new(app.token_url.clone());
        let authorize = AuthUrl::new(app.authorize_url.clone());
        let back = RedirectUrl::new(app.redirect_url.clone());
        let grants = oauth2::Client::new(ClientId::new(app.client_id.clone()))
            .set_client_secret(ClientSecret::new(app.client_secret.expose().to_owned()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(token.map_err(|_| OauthError::Address("the token URL"))?)
            .set_auth_uri(authorize.map_err(|_| OauthError::Address("authorize_url"))?)
            .set_redirect_uri(back.map_err(|_| OauthError::Address("the redirect URL"))?);
        Ok(Self { app, own, grants, transport })
    }

    /// Where to send the owner of an account; `more`: what the vendor wants beside the common parameters.
    pub(super) fn authorize_url(&self, state: &Secret, more: Option<(&'static str, &str)>) -> Secret {
        let state = CsrfToken::new(state.expose().to_owned());
        let scopes = self.app.scopes.iter().map(|scope| Scope::new(scope.clone()));
        let mut request = self.grants.authorize_url(|| state).add_scopes(scopes);
        if let Some((name, value)) = more {
            request = request.add_extra_param(name, value);
        }
        Secret::new(request.url().0)
    }

    /// Trades a code for tokens; `more`: a parameter of the vendor's own.
    pub(super) async fn exchange(
        &self,
        code: &Secret,
        more: Option<(&'static str, &'static str)>,
    ) -> Result<Granted, Refusal> {
        let way = Way { client: self, hush: code };
        let mut request = self.grants.exchange_code(AuthorizationCode::new(code.expose().to_owned()));
        if let Some((name, value)) = more {
            request = request.add_extra_param(name, value);
        }
        Ok(granted(request.request_async(&way).await.map_err(|error| self.unread(error))?))
    }

    /// Trades a refresh token for a new pair. It is used up by that.
    pub(super) async fn refresh(
        &self,
        refresh: &Secret,
        more: Option<(&'static str, &'static str)>,
    ) -> Result<Granted, Refusal> {
        let way = Way { client: self, hush: refresh };
        let token = RefreshToken::new(refresh.expose().to_owned());
        let mut request = self.grants.exchange_refresh_token(&token);
        if let Some((name, value)) = more {
            request = request.add_extra_param(name, value);
        }
        let mut granted = granted(request.request_async(&way).await.map_err(|error| self.unread(error))?);
        // RFC 6749, 6: where no new one comes, the old one stays good.
        granted.pair.refresh.get_or_insert_with(|| refresh.clone());
        Ok(granted)
    }

    /// Makes one of the vendor's own calls; the body of a success.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<Bytes, Refusal> {
        let Call { method, url, access, version, body, hush } = call;
        let mut request = Request::builder().method(method).uri(url).header(ACCEPT, JSON);
        if let Some(version) = version {
            request = request.header("version", version);
        }
        let (content, body) = body.unzip();
        if let Some(content) = content {
            request = request.header(CONTENT_TYPE, content);
        }
        if let Some(access) = access {
            request = request.header(AUTHORIZATION, bearer(access, self.app.system).map_err(Refusal::Later)?);
        }
        let request = request.body(Bytes::from(body.unwrap_or_default()));
        let request = request.map_err(|_| self.garbled("the request cannot be built"))?;
        self.send(request, &access.into_iter().chain(hush).collect::<Vec<_>>()).await
    }

    /// The tokens of an answer to one of the vendor's own calls.
    pub(super) fn tokens(&self, body: &[u8]) -> Result<Granted, Refusal> {
        let answer: TokenAnswer = serde_json::from_slice(body).map_err(|_| self.garbled("it has no tokens"))?;
        Ok(granted(answer))
    }

    /// Sends it; the body of a success. `hush`: what must not come back in the vendor's words, beside the client secret.
    async fn send(&self, request: Request<Bytes>, hush: &[&Secret]) -> Result<Bytes, Refusal> {
        let answer = self.transport.send(request).await.map_err(|error| self.unavailable(None, error.to_string()))?;
        let status = answer.status().as_u16();
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        // Before the message is shortened: half a token would not be known again.
        let secrets = hush.iter().copied().chain([&self.app.client_secret]).map(Secret::expose);
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        let text =
            secrets.filter(|secret| !secret.is_empty()).fold(text, |text, secret| text.replace(secret, "[secret]"));
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        Err(self.refusal(answer.headers(), &Reply { status, body, readable: true }))
    }

    fn refusal(&self, headers: &HeaderMap, reply: &Reply) -> Refusal {
        let after = || headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs);
        let (status, said) = (reply.status, reply.message());
        match status {
            429 => return Refusal::Later(SystemError::Wait { system: self.app.system, status, after: after() }),
            408 | 500.. => return self.unavailable(Some(status), said),
            _ => {}
        }
        // The word of the standard may stand beside a sentence that does not repeat it.
        let lower = format!("{said} {}", reply.body["error"].as_str().unwrap_or_default()).to_lowercase();
        let meaning = self.own.iter().chain(MEANINGS).find(|(words, _)| lower.contains(words));
        meaning.map_or(Refusal::No { status, said }, |(_, refusal)| refusal.clone())
    }

    fn unavailable(&self, status: Option<u16>, reason: String) -> Refusal {
        let reason = format!("no tokens: {reason}");
        Refusal::Later(SystemError::Unavailable { system: self.app.system, status, reason })
    }

    /// An answer that cannot be read.
    pub(super) fn garbled(&self, what: &str) -> Refusal {
        let reason = format!("of an OAuth call: {what}");
        Refusal::Later(SystemError::Garbled { system: self.app.system, status: 200, reason })
    }

    /// A body that the crate could not read is not repeated: it may hold tokens.
    fn unread(&self, error: RequestTokenError<Refusal, BasicErrorResponse>) -> Refusal {
        match error {
            RequestTokenError::Request(refusal) => refusal,
            RequestTokenError::Parse(at, _) => self.garbled(&format!("it has no tokens (at {})", at.path())),
            RequestTokenError::ServerResponse(_) | RequestTokenError::Other(_) => self.garbled("it has no tokens"),
        }
    }
}

/// The way of the `oauth2` crate's requests to the vendor.
struct Way<'a> {
    client: &'a Client,
    hush: &'a Secret,
}

impl<'c> AsyncHttpClient<'c> for Way<'_> {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Refusal>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let body = self.client.send(request.map(Bytes::from), &[self.hush]).await?;
            // Whatever success was called, the crate knows only 200.
            Ok(HttpResponse::new(body.to_vec()))
        })
    }
}

/// `Bearer TOKEN`.
pub(super) fn bearer(access: &Secret, system: System) -> Result<HeaderValue, SystemError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", access.expose())).map_err(|_| SystemError::Garbled {
        system,
        status: 200,
        reason: "the access token is not fit for a header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A form, its values encoded.
pub(super) fn form(pairs: &[(&str, &str)]) -> (&'static str, String) {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", encode(value));
    (FORM, pairs.iter().map(pair).collect::<Vec<_>>().join("&"))
}

fn granted(answer: TokenAnswer) -> Granted {
    Granted {
        key: None,
        company: None,
        scopes: answer.scopes().into_iter().flatten().map(|scope| scope.to_string()).collect(),
        pair: Pair {
            access: Secret::new(answer.access_token().secret()),
            refresh: answer.refresh_token().map(|token| Secret::new(token.secret())),
        },
        life: answer.expires_in().unwrap_or(UNSAID),
        said: answer.extra_fields().said.clone(),
    }
}
