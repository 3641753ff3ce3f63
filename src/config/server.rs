//! `[server]`, `[store]`, `[seal]` and `[ops]`: where Lockstep listens, keeps, seals, and whom it lets operate.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::section::Section;
use super::setting::{HttpUrl, Size, Word};
use crate::model::words;
use crate::secret::Secret;

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where webhooks and `/health` are answered.
    pub public: SocketAddr,
    /// Where operators are answered.
    pub ops: SocketAddr,
    /// The address under which the vendors reach `public`.
    pub public_url: Option<String>,
    /// The largest body, in bytes.
    pub body_limit: usize,
    /// Connections that may be open at once.
    pub connections: usize,
}

impl Server {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self {
            public: section.or("public", (Ipv4Addr::UNSPECIFIED, 8080).into()),
            ops: section.or("ops", (Ipv4Addr::LOCALHOST, 8081).into()),
            public_url: section.maybe("public_url").map(|HttpUrl(url)| url),
            body_limit: section.or("body_limit", Size(1 << 20)).0,
            connections: section.or("connections", NonZeroU32::new(10_000).unwrap_or(NonZeroU32::MIN)).get() as usize,
        }
    }
}

words! {
    /// What becomes of secrets in the webhooks that are stored.
    SecretLinks {
        /// They are not stored.
        Drop = "drop",
        /// They are sealed with the first of `[seal] keys`.
        Seal = "seal",
        /// They are stored as they came.
        Keep = "keep",
    }
}

impl Word for SecretLinks {
    const WORDS: &'static [Self] = Self::ALL;
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// `sqlite://PATH` or `postgres://HOST/DATABASE`. A secret: it may carry a password.
    pub url: Secret,
    /// What becomes of links and passwords with which whoever holds them can act.
    pub secret_links: SecretLinks,
}

impl Store {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let url = section.secret_or("url", "sqlite://lockstep.db");
        let known = ["sqlite:", "postgres://", "postgresql://"];
        if !known.iter().any(|scheme| url.expose().starts_with(scheme)) {
            section.mistake("url", "is neither sqlite://PATH nor postgres://HOST/DATABASE");
        }
        Self { url, secret_links: section.or("secret_links", SecretLinks::Drop) }
    }
}

/// `[seal]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Base64 of 32 bytes each, the newest first.
    pub keys: Vec<Secret>,
}

impl Seal {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let keys = section.secrets("keys");
        let is_key = |key: &Secret| STANDARD.decode(key.expose()).is_ok_and(|bytes| bytes.len() == 32);
        for (at, _) in keys.iter().enumerate().filter(|(_, key)| !is_key(key)) {
            section.mistake("keys", format!("key {} is not base64 of 32 bytes; `lockstep key new` makes one", at + 1));
        }
        Self { keys }
    }
}

/// `[ops]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ops {
    /// What an operator shows. Without it, only health is mounted.
    pub token: Option<Secret>,
}

impl Ops {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self { token: section.secret("token") }
    }
}
