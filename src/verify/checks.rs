//! Checks: what a webhook at one system's route may be proven by. Made from the configuration, used by
//! [`verify`](super::verify).

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use serde_json::Value;

use super::{PublicKey, RawWebhook, Refusal, SigningSecret, TokenDigest, push};
use crate::clock::Millis;
use crate::model::words;

words! {
    /// The signature schemes, in the order in which they are asked.
    Scheme {
        /// Ed25519 over the raw body, base64 (GHL `X-GHL-Signature`).
        Ed25519 = "ed25519",
        /// RSA PKCS#1 v1.5 with SHA-256 over the raw body, base64 (GHL's older `X-WH-Signature`).
        RsaSha256 = "rsa-sha256",
        /// A fixed text in a named header (TimeRex, TIMIFY). Proves the sender only; the body rests on TLS.
        StaticToken = "static-token",
        /// Standard Webhooks: HMAC-SHA256 over `id.timestamp.body` (extensions).
        StandardWebhooks = "standard-webhooks",
        /// HMAC-SHA256 over the raw body, hex or base64, in a named header (a gateway in front).
        HmacSha256 = "hmac-sha256",
        /// A fixed text in the body, where no header proves anything (TimeRex's push notifications). Proves the sender only.
        BodyToken = "body-token",
    }
}

/// The accepted keys or secrets of one scheme. Lists, so that they can be changed without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Ed25519 public keys.
    Ed25519(Vec<PublicKey>),
    /// RSA public keys.
    RsaSha256(Vec<PublicKey>),
    /// Tokens, known by their SHA-256.
    StaticToken(Vec<TokenDigest>),
    /// Standard Webhooks secrets.
    StandardWebhooks(Vec<SigningSecret>),
    /// HMAC secrets.
    HmacSha256(Vec<SigningSecret>),
    /// Tokens that stand in the body, known by their SHA-256.
    BodyToken(Vec<TokenDigest>),
}

/// One way to prove a webhook, and what follows from the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The name of the credential that then vouches for the webhook.
    pub credential: String,
    /// The workspaces that this credential may speak for.
    pub speaks_for: Vec<String>,
    /// Whether a webhook proven so comes from the system's extension.
    pub extension: bool,
    /// The header that carries the signature or token; `None`: it stands in the body.
    pub header: Option<HeaderName>,
    /// What is accepted.
    pub keys: Keys,
    /// From when on it proves nothing any more, if it ends (GHL's older signature).
    pub until: Option<Millis>,
    /// What the body must say besides.
    pub rule: Option<BodyRule>,
}

impl Check {
    /// The scheme of its keys.
    pub fn scheme(&self) -> Scheme {
        match self.keys {
            Keys::Ed25519(_) => Scheme::Ed25519,
            Keys::RsaSha256(_) => Scheme::RsaSha256,
            Keys::StaticToken(_) => Scheme::StaticToken,
            Keys::StandardWebhooks(_) => Scheme::StandardWebhooks,
            Keys::HmacSha256(_) => Scheme::HmacSha256,
            Keys::BodyToken(_) => Scheme::BodyToken,
        }
    }

    /// Whether it has ended.
    pub fn is_over(&self, now: Millis) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    /// Whether its header is there, or the body is one that carries its proof.
    pub(super) fn is_offered(&self, raw: &RawWebhook) -> bool {
        match self.keys {
            Keys::BodyToken(_) => push::token(&raw.body).is_some(),
            _ => self.is_in(&raw.headers),
        }
    }

    /// Whether its header is there. Empty and `N/A` (GHL's word for unsigned) count as not there.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        self.header.iter().flat_map(|header| headers.get_all(header)).any(|value| {
            let text = value.as_bytes().trim_ascii();
            !text.is_empty() && !text.eq_ignore_ascii_case(b"N/A")
        })
    }
}

/// What a well-signed body must say: GHL signs the webhooks of all apps with one key, so the app id tells ours apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyRule {
    /// The app it must be made for.
    pub app_id: String,
    /// How old its `timestamp` may be, if there is a limit (GHL repeats for up to three days).
    pub max_age: Option<Duration>,
}

impl BodyRule {
    /// A body that is no JSON says nothing, and is recorded as unparsed; any JSON must name our app.
    pub(super) fn admits(&self, body: &[u8], now: Millis) -> Result<(), Refusal> {
        let Ok(json) = serde_json::from_slice::<Value>(body) else { return Ok(()) };
        let text = |key| json.get(key).and_then(Value::as_str);
        if text("appId") != Some(self.app_id.as_str()) {
            return Err(Refusal::ForeignApp);
        }
        let Some(max_age) = self.max_age else { return Ok(()) };
        let made = text("timestamp").and_then(Millis::parse);
        match made {
            Some(made) if now.since(made) <= max_age => Ok(()),
            _ => Err(Refusal::TooOld),
        }
    }
}
