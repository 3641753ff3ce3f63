//! Keys and secrets in the form in which they are checked. Parsed once, when the configuration is read.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use crate::secret::{Secret, digest};

/// A key or secret that cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// No PEM of a public key.
    #[error("not a PEM public key (-----BEGIN PUBLIC KEY-----)")]
    Pem,
    /// PEM of another kind of key.
    #[error("not a public key of this kind")]
    Kind,
    /// A Standard Webhooks secret that is not base64.
    #[error("not a Standard Webhooks secret (whsec_ and base64)")]
    Secret,
}

/// A public key that signatures are checked with.
#[derive(Clone)]
pub struct PublicKey {
    der: Vec<u8>,
    parsed: Arc<ParsedPublicKey>,
}

impl PublicKey {
    /// An Ed25519 key from PEM (SPKI).
    pub fn ed25519(pem: &str) -> Result<Self, BadKey> {
        let der = spki(pem)?;
        let parsed = ParsedPublicKey::new(&ED25519, &der).map_err(|_| BadKey::Kind)?;
        Ok(Self { der, parsed: Arc::new(parsed) })
    }

    /// An RSA key of 2048 to 8192 bits from PEM (SPKI).
    pub fn rsa(pem: &str) -> Result<Self, BadKey> {
        let der = spki(pem)?;
        let parsed = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &der).map_err(|_| BadKey::Kind)?;
        Ok(Self { der, parsed: Arc::new(parsed) })
    }

    pub(super) fn fits(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    /// The SHA-256 of the key, by which it is recognised.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", hex::encode(digest(&self.der)))
    }
}

fn spki(pem: &str) -> Result<Vec<u8>, BadKey> {
    let armour = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----");
    let inner = armour.and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----")).ok_or(BadKey::Pem)?;
    let text: String = inner.split_whitespace().collect();
    STANDARD.decode(text).map_err(|_| BadKey::Pem)
}

/// The SHA-256 of a token: what it is looked up by.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token.
    pub fn of(token: &Secret) -> Self {
        Self(token.digest())
    }

    /// Takes the same time wherever they differ.
    pub(super) fn fits(&self, offered: &[u8]) -> bool {
        self.0.ct_eq(&digest(offered)).into()
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// The bytes of an HMAC secret.
#[derive(Clone)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// A Standard Webhooks secret: base64, with or without `whsec_` in front.
    pub fn standard(secret: &Secret) -> Result<Self, BadKey> {
        let text = secret.expose().trim();
        let bytes = STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).map_err(|_| BadKey::Secret)?;
        if bytes.is_empty() { Err(BadKey::Secret) } else { Ok(Self(bytes)) }
    }

    /// A secret whose bytes are those of its text.
    pub fn text(secret: &Secret) -> Self {
        Self(secret.expose().as_bytes().to_vec())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for SigningSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SigningSecret {}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
