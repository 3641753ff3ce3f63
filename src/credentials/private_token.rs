//! A GHL Private Integration Token: a bearer token that its owner made by hand, with the scopes that he chose.
//!
//! In: a [`Secret`], and where it lies if it can be replaced while we serve. Out: a [`Credential`]. It cannot be renewed:
//! when the vendor refuses it, the sealed row is read again, and a person has to have put another one there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::denied::Denied;
use super::login::Login;
use super::logins::SealedLogin;
use super::static_token::{NotAHeader, StaticToken};
use crate::clock::Clock;
use crate::secret::Secret;
use crate::systems::{Credential, SystemError, Version};

/// A token, and which one it is since the start.
#[derive(Debug, Clone)]
struct Token {
    secret: Secret,
    signs: StaticToken,
    version: Version,
}

/// A Private Integration Token.
#[derive(Debug)]
pub struct PrivateToken {
    token: Mutex<Token>,
    sealed: Option<SealedLogin>,
    denied: Denied,
}

impl PrivateToken {
    /// `sealed`: where it lies, if it does not stand in the configuration.
    pub fn new(token: &Secret, sealed: Option<SealedLogin>, clock: Arc<dyn Clock>) -> Result<Self, NotAHeader> {
        let token = Token { secret: token.clone(), signs: StaticToken::bearer(token)?, version: Version(0) };
        Ok(Self { token: Mutex::new(token), sealed, denied: Denied::new(clock) })
    }

    fn token(&self) -> MutexGuard<'_, Token> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the sealed token, if it is another one.
    async fn replaced(&self) -> bool {
        let Some(sealed) = &self.sealed else { return false };
        let secret = match sealed.read().await {
            Ok(Some(Login::Ghl(secret))) => secret,
            Ok(_) => return false,
            Err(error) => {
                tracing::warn!(connection = %sealed.name, reason = %error, "a sealed credential could not be read again");
                return false;
            }
        };
        let mut token = self.token();
        if token.secret == secret {
            return false;
        }
        let Ok(signs) = StaticToken::bearer(&secret) else { return false };
        *token = Token { secret, signs, version: Version(token.version.0 + 1) };
        self.denied.clear();
        tracing::info!(connection = %sealed.name, "a credential was replaced");
        true
    }
}

#[async_trait]
impl Credential for PrivateToken {
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<Version, SystemError> {
        let token = self.token().clone();
        token.signs.sign(request).await.map(|_| token.version)
    }

    async fn refused(&self, signed: Version, _message: &str) -> bool {
        // Whatever it said: a token that was put in its place may have other scopes too.
        self.token().version > signed || self.replaced().await
    }

    fn lacks(&self, scope: &str) -> bool {
        self.denied.has(scope)
    }

    fn denied(&self, scope: &str) {
        self.denied.add(scope);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{ManualClock, Millis};
    use crate::credentials::logins;
    use crate::credentials::seal::{Sealer, new_key};
    use crate::model::System;
    use crate::store::{Store, sql};

    async fn signed(token: &PrivateToken) -> (String, Version) {
        let mut request = http::Request::new(Bytes::new());
        let version = token.sign(&mut request).await.unwrap();
        (request.headers()["authorization"].to_str().unwrap().to_owned(), version)
    }

    #[tokio::test]
    async fn a_sealed_token_that_was_replaced_is_taken_after_a_refusal() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("lockstep.db").display());
        let store: Arc<dyn Store> = sql::open(&url).await.unwrap();
        let sealer = Arc::new(Sealer::new(&[Secret::new(new_key().unwrap())]).unwrap());
        let set = async |token: &str| {
            let login = Login::Ghl(Secret::new(token));
            logins::keep("crm", &login, store.as_ref(), &sealer, Millis(0)).await.unwrap();
        };
        set("pit-1").await;
        let sealed =
            SealedLogin { name: "crm".to_owned(), system: System::Ghl, store: store.clone(), sealer: sealer.clone() };
        let clock = Arc::new(ManualClock::at(Millis(0)));
        let token = PrivateToken::new(&Secret::new("pit-1"), Some(sealed), clock).unwrap();

        assert!(!token.refused(Version(0), "The token is not authorized for this scope.").await, "still the same");
        token.denied("contacts.write");
        assert!(token.lacks("contacts.write"));
        set("pit-2").await;
        assert_eq!(signed(&token).await, ("Bearer pit-1".to_owned(), Version(0)));
        assert!(token.refused(Version(0), "Invalid token").await);
        assert_eq!(signed(&token).await, ("Bearer pit-2".to_owned(), Version(1)));
        assert!(!token.lacks("contacts.write"), "the new one may be granted more");
        assert!(token.refused(Version(0), "Invalid token").await, "another call that used the first one");
        assert!(!token.refused(Version(1), "Invalid token").await);
        assert!(!format!("{token:?}").contains("pit-"), "{token:?}");
    }

    #[tokio::test]
    async fn a_denied_scope_is_remembered_for_an_hour() {
        let clock = Arc::new(ManualClock::at(Millis(0)));
        let token = PrivateToken::new(&Secret::new("pit-1"), None, clock.clone()).unwrap();
        token.denied("contacts.write");
        assert!(token.lacks("contacts.write") && !token.lacks("contacts.readonly"));
        clock.advance(Duration::from_hours(1));
        assert!(!token.lacks("contacts.write"));
        assert!(!token.refused(Version(0), "Invalid token").await);
    }
}
