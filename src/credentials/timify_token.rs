//! The TIMIFY credential: an app id and secret, exchanged for an access token that serves all companies of the app.
//!
//! In: requests to sign. Out: requests with an `Authorization` header. One exchange is in flight at a time, and a token is
//! renewed a minute before it ends. Renewing exchanges the app id and secret again: the vendor's names for the fields of
//! its refresh call are not documented, and the exchange is. Vendor source: docs.timify.dev, `POST /v1/auth/token`.

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

/// A token is renewed this long before its end.
const MARGIN: Duration = Duration::from_mins(1);
/// How long a token is trusted when the vendor does not say.
const UNSAID: Duration = Duration::from_mins(10);

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
    secret: Secret,
    version: Version,
    renew: Millis,
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
            return Ok((token.secret.clone(), token.version));
        }
        let version = Version(held.as_ref().map_or(0, |token| token.version.0) + 1);
        let (secret, renew) = self.exchange(now).await?;
        *held = Some(Token { secret: secret.clone(), version, renew });
        Ok((secret, version))
    }

    async fn exchange(&self, now: Millis) -> Result<(Secret, Millis), SystemError> {
        let body = json!({ "appid": self.app.app_id, "appsecret": self.app.app_secret.expose() });
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/v1/auth/token", self.app.base_url.trim_end_matches('/')))
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::from(body.to_string()))
            .map_err(|error| unavailable(None, &error.to_string()))?;
        let response = self.transport.send(request).await.map_err(|error| unavailable(None, &error.to_string()))?;
        read(response.status(), response.body(), now)
    }
}

fn unavailable(status: Option<u16>, reason: &str) -> SystemError {
    SystemError::Unavailable { system: System::Timify, status, reason: format!("no access token: {reason}") }
}

/// The token, and when to renew it.
fn read(status: StatusCode, body: &[u8], now: Millis) -> Result<(Secret, Millis), SystemError> {
    let (system, code) = (System::Timify, status.as_u16());
    match status {
        status if status.is_success() => {}
        StatusCode::TOO_MANY_REQUESTS => return Err(SystemError::Wait { system, status: code, after: None }),
        status if status.is_server_error() => return Err(unavailable(Some(code), "the vendor failed")),
        _ => {
            let reason = "the app id and secret were not taken".to_owned();
            return Err(SystemError::Unauthorized { system, status: code, reason });
        }
    }
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(token) = ["accessToken", "token"].iter().find_map(|key| answer[*key].as_str()) else {
        let reason = "no accessToken in the answer to the token exchange".to_owned();
        return Err(SystemError::Garbled { system, status: code, reason });
    };
    let life = answer["expires"].as_u64().map_or(UNSAID, Duration::from_secs);
    Ok((Secret::new(token), now + life.saturating_sub(MARGIN)))
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
        if let Some(token) = held.as_mut().filter(|token| token.version == signed) {
            token.renew = Millis(0);
        }
        true
    }

    fn lacks(&self, _scope: &str) -> bool {
        false
    }

    fn denied(&self, _scope: &str) {}
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::clock::ManualClock;
    use crate::systems::TransportError;
    use http::Response;

    const EXCHANGED: &[u8] = include_bytes!("../../tests/fixtures/timify/assumed/timify_auth_token_response.json");

    #[derive(Default)]
    struct Exchange(AtomicUsize);

    #[async_trait]
    impl Transport for Exchange {
        async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
            assert_eq!(request.uri(), "https://api.example.test/v1/auth/token");
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            assert_eq!(body, json!({ "appid": "app", "appsecret": "hush" }));
            tokio::task::yield_now().await;
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(Response::new(Bytes::from_static(EXCHANGED)))
        }
    }

    fn credential(scheme: TokenScheme) -> (TimifyToken, Arc<Exchange>, Arc<ManualClock>) {
        let (exchange, clock) = (Arc::new(Exchange::default()), Arc::new(ManualClock::at(Millis(0))));
        let base_url = "https://api.example.test/".to_owned();
        let app = TimifyApp { base_url, app_id: "app".to_owned(), app_secret: Secret::new("hush"), scheme };
        (TimifyToken::new(app, exchange.clone(), clock.clone()), exchange, clock)
    }

    async fn signed(credential: &TimifyToken) -> String {
        let mut request = Request::new(Bytes::new());
        credential.sign(&mut request).await.unwrap();
        request.headers()[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn requests_at_the_same_moment_share_one_exchange() {
        let (credential, exchange, _) = credential(TokenScheme::Bearer);
        let (a, b) = tokio::join!(signed(&credential), signed(&credential));
        assert_eq!((a.as_str(), b.as_str()), ("Bearer JWT_ACCESS_TOKEN", "Bearer JWT_ACCESS_TOKEN"));
        assert_eq!(exchange.0.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_token_is_renewed_a_minute_before_its_end() {
        let (credential, exchange, clock) = credential(TokenScheme::Raw);
        assert_eq!(signed(&credential).await, "JWT_ACCESS_TOKEN");
        clock.advance(Duration::from_secs(3_539));
        signed(&credential).await;
        assert_eq!(exchange.0.load(Ordering::SeqCst), 1);
        clock.advance(Duration::from_secs(1));
        signed(&credential).await;
        assert_eq!(exchange.0.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_refused_token_is_renewed_once_however_many_calls_it_was_refused_to() {
        let (credential, exchange, _) = credential(TokenScheme::Bearer);
        let first = credential.sign(&mut Request::new(Bytes::new())).await.unwrap();
        assert!(credential.refused(first, "").await);
        let second = credential.sign(&mut Request::new(Bytes::new())).await.unwrap();
        assert!(credential.refused(first, "").await, "another call that used the first one");
        assert_eq!(credential.sign(&mut Request::new(Bytes::new())).await.unwrap(), second);
        assert_eq!(exchange.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_wrong_secret_is_a_refusal_of_our_credentials() {
        let refused = read(StatusCode::UNAUTHORIZED, b"", Millis(0));
        assert!(matches!(refused, Err(SystemError::Unauthorized { status: 401, .. })));
        assert!(matches!(read(StatusCode::OK, b"{}", Millis(0)), Err(SystemError::Garbled { .. })));
    }
}
