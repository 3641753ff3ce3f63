//! Signs our calls to an extension endpoint: Standard Webhooks 1.0, the same scheme in which it signs what it sends us.
//!
//! In: a request whose body is final. Out: the headers `webhook-id`, `webhook-timestamp` (seconds) and
//! `webhook-signature` (HMAC-SHA256 over `id.timestamp.body`, one signature a secret, so that secrets can be rotated).

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use http::header::InvalidHeaderValue;
use sha2::Sha256;

use crate::clock::{Clock, Millis};
use crate::ids::Ids;
use crate::secret::Secret;
use crate::systems::{Credential, SystemError, Version};

/// A secret that is not base64 (after an optional `whsec_`), or no secret at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// There is none.
    #[error("an extension needs at least one secret")]
    Missing,
    /// It is not base64.
    #[error("secret number {0} is not base64 (expected `whsec_` and base64)")]
    NotBase64(usize),
}

/// The credential of an extension endpoint.
pub struct StandardWebhooks {
    keys: Vec<Hmac<Sha256>>,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
}

impl StandardWebhooks {
    /// `secrets`: newest first; each request carries a signature by every one of them.
    pub fn new(secrets: &[Secret], clock: Arc<dyn Clock>, ids: Arc<Ids>) -> Result<Self, BadSecret> {
        if secrets.is_empty() {
            return Err(BadSecret::Missing);
        }
        let keys = secrets.iter().enumerate().map(|(at, secret)| keyed(secret).ok_or(BadSecret::NotBase64(at + 1)));
        Ok(Self { keys: keys.collect::<Result<_, _>>()?, clock, ids })
    }

    /// The value of `webhook-signature`.
    fn signature(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let sign = |key: &Hmac<Sha256>| {
            let mut mac = key.clone();
            for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                mac.update(part);
            }
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        };
        self.keys.iter().map(sign).collect::<Vec<_>>().join(" ")
    }

    fn headers(
        &self,
        id: &str,
        now: Millis,
        body: &[u8],
    ) -> Result<[(&'static str, HeaderValue); 3], InvalidHeaderValue> {
        let timestamp = now.0.div_euclid(1_000).to_string();
        let signature = self.signature(id, &timestamp, body);
        let value = |text: &str| HeaderValue::from_str(text);
        Ok([
            ("webhook-id", value(id)?),
            ("webhook-timestamp", value(&timestamp)?),
            ("webhook-signature", value(&signature)?),
        ])
    }
}

fn keyed(secret: &Secret) -> Option<Hmac<Sha256>> {
    let text = secret.expose();
    let key = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()?;
    Hmac::new_from_slice(&key).ok().filter(|_| !key.is_empty())
}

#[async_trait]
impl Credential for StandardWebhooks {
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<Version, SystemError> {
        let now = self.clock.now();
        let id = format!("msg_{}", self.ids.uuid(now).simple());
        // An id of ours and base64 are always fit for a header.
        for (name, value) in self.headers(&id, now, request.body()).into_iter().flatten() {
            request.headers_mut().insert(name, value);
        }
        Ok(Version(0))
    }

    async fn refused(&self, _signed: Version, _message: &str) -> bool {
        false
    }

    fn lacks(&self, _scope: &str) -> bool {
        false
    }

    fn denied(&self, _scope: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn credential(secrets: &[&str]) -> Result<StandardWebhooks, BadSecret> {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        let clock = Arc::new(ManualClock::at(Millis(1_614_265_330_000)));
        StandardWebhooks::new(&secrets, clock, Arc::new(Ids::seeded(1)))
    }

    #[test]
    fn the_example_of_the_specification_is_met_and_a_rotated_secret_signs_too() {
        let (new, old) = ("whsec_AAAA", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        let both = credential(&[new, old]).unwrap().signature(id, "1614265330", body);
        let (_, second) = both.split_once(' ').unwrap();
        assert_eq!(second, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[tokio::test]
    async fn each_request_gets_a_fresh_id_and_the_present_second() {
        let credential = credential(&["whsec_AAAA"]).unwrap();
        let mut ids = Vec::new();
        for _ in 0..2 {
            let mut request = http::Request::new(Bytes::new());
            credential.sign(&mut request).await.unwrap();
            assert_eq!(request.headers()["webhook-timestamp"], "1614265330");
            ids.push(request.headers()["webhook-id"].clone());
        }
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn no_secret_and_a_secret_that_is_no_base64_are_refused() {
        assert_eq!(credential(&[]).err(), Some(BadSecret::Missing));
        assert_eq!(credential(&["whsec_AAAA", "not base64!"]).err(), Some(BadSecret::NotBase64(2)));
        assert_eq!(credential(&["whsec_"]).err(), Some(BadSecret::NotBase64(1)));
    }
}
