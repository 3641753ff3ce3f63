//! The TIMIFY credential: an app id and secret, exchanged for an access token that serves all companies of the app.
//!
//! In: requests to sign. Out: requests with an `Authorization` header. One exchange is in flight at a time, for all tasks. A token
//! is renewed before its end by the refresh token that came with it, and where that is not taken, by exchanging the app id and
//! secret again. Vendor source: docs.timify.dev, `POST /v1/auth/token` and `POST /v1/auth/refresh-token`; of the latter only the
//! path is known, so the names of the exchange's answer are used, and each plausible one is read.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::login::TokenScheme;
use crate::clock::{Clock, Millis};
use crate::model::System;
use crate::secret::Secret;
use crate::systems::{Credential, SystemError, Transport, Version};

/// A token is renewed this long before its end, or after three quarters of its life if that is earlier.
const MARGIN: Duration = Duration::from_mins(1);
/// How long a token is trusted when the vendor does not say.
const UNSAID: Duration = Duration::from_mins(10);
/// How soon after its making a token that took a refused one's place is not doubted again.
const DOUBT: Duration = Duration::from_mins(1);
/// From here on an `expires` is no length in seconds but an instant: 2001 in seconds and in milliseconds.
const EPOCH_SECONDS: i64 = 1_000_000_000;
const EPOCH_MILLIS: i64 = EPOCH_SECONDS * 1_000;

const ACCESS: &[&str] = &["accessToken", "access_token", "token"];
const REFRESH: &[&str] = &["refreshToken", "refresh_token"];
const LIFE: &[&str] = &["expires", "expiresIn", "expires_in"];

/// What the credential needs to know.
pub struct TimifyApp {
    /// For example `https://api.timify.com`.
    pub base_url: String,
    /// The app's id.
    pub app_id: String,
    /// The app's secret.
    pub app_secret: Secret,
    /// How the token is sent.
    pub scheme: TokenScheme,
}

struct Token {
    access: Secret,
    refresh: Option<Secret>,
    version: Version,
    made: Millis,
    /// When to renew it.
    renew: Millis,
    /// Whether it took the place of one that the vendor refused.
    amends: bool,
}

/// Exchanges, keeps and renews the token of one TIMIFY app.
pub struct TimifyToken {
    app: TimifyApp,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    /// Held while a token is fetched, so that one exchange serves all who wait.
    token: Mutex<Option<Token>>,
}

impl TimifyToken {
    /// No token is fetched before the first request.
    pub fn new(app: TimifyApp, transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        Self { app, transport, clock, token: Mutex::new(None) }
    }

    async fn token(&self) -> Result<(Secret, Version), SystemError> {
        let mut held = self.token.lock().await;
        let now = self.clock.now();
        if let Some(token) = held.as_ref().filter(|token| now < token.renew) {
            return Ok((token.access.clone(), token.version));
        }
        let before = held.as_ref();
        let version = Version(before.map_or(0, |token| token.version.0) + 1);
        let refused = before.is_some_and(|token| token.renew == REFUSED);
        let answer = self.renew(before.and_then(|token| token.refresh.as_ref())).await?;
        let token = Token { version, amends: refused, ..answer.read(now)? };
        let signed = (token.access.clone(), version);
        *held = Some(token);
        Ok(signed)
    }

    /// By the refresh token; by the app's secret if there is none, or it does not lead to a new token.
    async fn renew(&self, refresh: Option<&Secret>) -> Result<Answer, SystemError> {
        if let Some(refresh) = refresh {
            let token = refresh.expose();
            // The name is not documented: it is given in both spellings.
            let body = json!({ "refreshToken": token, "refresh_token": token });
            match self.post("refresh-token", &body).await {
                Ok(answer) if answer.has_token() => return Ok(answer),
                Err(wait @ SystemError::Wait { .. }) => return Err(wait),
                _ => {}
            }
        }
        let body = json!({ "appid": self.app.app_id, "appsecret": self.app.app_secret.expose() });
        self.post("token", &body).await
    }

    async fn post(&self, what: &str, body: &Value) -> Result<Answer, SystemError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/v1/auth/{what}", self.app.base_url.trim_end_matches('/')))
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::from(body.to_string()))
            .map_err(|error| unavailable(None, &error.to_string()))?;
        let response = self.transport.send(request).await.map_err(|error| unavailable(None, &error.to_string()))?;
        Answer::of(response.status(), response.body())
    }
}

/// When a token is to be renewed that the vendor refused: at once.
const REFUSED: Millis = Millis(i64::MIN);

fn unavailable(status: Option<u16>, reason: &str) -> SystemError {
    SystemError::Unavailable { system: System::Timify, status, reason: format!("no access token: {reason}") }
}

/// A successful answer to an exchange.
struct Answer {
    status: u16,
    json: Value,
}

impl Answer {
    fn of(status: StatusCode, body: &[u8]) -> Result<Self, SystemError> {
        let (system, code) = (System::Timify, status.as_u16());
        match status {
            status if status.is_success() => {
                let json: Value = serde_json::from_slice(body).unwrap_or_default();
                // Other answers of the vendor stand in an envelope.
                let json = if json["data"].is_object() { json["data"].clone() } else { json };
                Ok(Self { status: code, json })
            }
            StatusCode::TOO_MANY_REQUESTS => Err(SystemError::Wait { system, status: code, after: None }),
            status if status.is_server_error() => Err(unavailable(Some(code), "the vendor failed")),
            _ => {
                let reason = "the app id and secret were not taken".to_owned();
                Err(SystemError::Unauthorized { system, status: code, reason })
            }
        }
    }

    fn text(&self, keys: &[&str]) -> Option<Secret> {
        let found = keys.iter().find_map(|key| self.json[*key].as_str().filter(|text| !text.is_empty()));
        found.map(Secret::new)
    }

    fn has_token(&self) -> bool {
        self.text(ACCESS).is_some()
    }

    /// How long the token lives: seconds, as a number or its text. An instant is taken for one.
    fn life(&self, now: Millis) -> Duration {
        let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
        let said = LIFE.iter().find_map(|key| number(&self.json[*key])).filter(|said| *said > 0);
        match said {
            None => UNSAID,
            Some(said) if said >= EPOCH_MILLIS => Millis(said).since(now),
            Some(said) if said >= EPOCH_SECONDS => Millis(said * 1_000).since(now),
            Some(said) => Duration::from_secs(said.unsigned_abs()),
        }
    }

    fn read(&self, now: Millis) -> Result<Token, SystemError> {
        let access = self.text(ACCESS).ok_or_else(|| SystemError::Garbled {
            system: System::Timify,
            status: self.status,
            reason: "no accessToken in the answer to the token exchange".to_owned(),
        })?;
        let life = self.life(now);
        let renew = now + life.saturating_sub(MARGIN.min(life / 2)).min(life / 4 * 3);
        Ok(Token { access, refresh: self.text(REFRESH), version: Version(0), made: now, renew, amends: false })
    }
}

#[async_trait]
impl Credential for TimifyToken {
    async fn sign(&self, request: &mut Request<Bytes>) -> Result<Version, SystemError> {
        let (token, version) = self.token().await?;
        let text = match self.app.scheme {
            TokenScheme::Bearer => format!("Bearer {}", token.expose()),
            TokenScheme::Raw => token.expose().to_owned(),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| SystemError::Garbled {
            system: System::Timify,
            status: StatusCode::OK.as_u16(),
            reason: "the access token is not fit for a header".to_owned(),
        })?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(version)
    }

    async fn refused(&self, signed: Version, _message: &str) -> bool {
        let mut held = self.token.lock().await;
        let Some(token) = held.as_mut().filter(|token| token.version == signed) else { return true };
        // The app is not let in, rather than its token too old: a third one would be refused as well.
        if token.amends && self.clock.now() < token.made + DOUBT {
            return false;
        }
        token.renew = REFUSED;
        true
    }

    fn lacks(&self, _scope: &str) -> bool {
        false
    }

    fn denied(&self, _scope: &str) {}
}

#[cfg(test)]
mod tests;
