//! Whether a webhook comes from whom it says. Pure checking of bytes and headers; there is no other way to a
//! [`VerifiedWebhook`].
//!
//! In: a [`RawWebhook`] and the [`Check`]s that are configured for the route's system. Out: the webhook with the name of
//! the credential that vouches for it and the workspaces it may speak for, or a [`Refusal`]. No check, no route.
//! What the body means is left to the systems; only what decides about trust is looked at here ([`BodyRule`]).

mod checks;
mod keys;
mod push;
mod schemes;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::HeaderMap;

use crate::clock::Millis;
use crate::model::System;

pub use checks::{BodyRule, Check, Keys, Scheme};
pub use keys::{BadKey, PublicKey, SigningSecret, TokenDigest};
pub use schemes::TOLERANCE;

/// What arrived.
#[derive(Debug, Clone)]
pub struct RawWebhook {
    /// The system whose route it arrived at.
    pub system: System,
    /// The workspace that the route names, if it names one.
    pub workspace: Option<String>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, untouched.
    pub body: Bytes,
    /// When it arrived.
    pub received: Millis,
}

/// A webhook whose sender is proven.
#[derive(Debug, Clone)]
pub struct VerifiedWebhook {
    raw: RawWebhook,
    credential: String,
    speaks_for: Vec<String>,
    extension: bool,
    delivery: Option<String>,
}

impl VerifiedWebhook {
    /// What arrived.
    pub fn raw(&self) -> &RawWebhook {
        &self.raw
    }

    /// The credential that vouches for it.
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// The workspaces that the credential may speak for (law 12).
    pub fn speaks_for(&self) -> &[String] {
        &self.speaks_for
    }

    /// Whether the system's extension sent it, not the vendor.
    pub fn is_extension(&self) -> bool {
        self.extension
    }

    /// The delivery id that the scheme itself carries (Standard Webhooks `webhook-id`).
    pub fn delivery(&self) -> Option<&str> {
        self.delivery.as_deref()
    }
}

/// Why a webhook is not believed. For our logs only: the sender is answered 401 alike, and nothing is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No header of any configured scheme is there, or it is empty or `N/A`.
    #[error("no signature or token")]
    Missing,
    /// None of the keys or secrets of the scheme fits.
    #[error("the signature or token is wrong")]
    Bad,
    /// Only a scheme that has ended is there (GHL's older signature after its announced end).
    #[error("it is signed only in a way that no longer counts; `rsa_until` in [systems.ghl] says until when")]
    Ended,
    /// It is signed well, and made too long ago or too far ahead.
    #[error("the timestamp is outside the accepted time")]
    TooOld,
    /// It is signed well, and made for another app (GHL signs for all apps with one key).
    #[error("it is made for another app")]
    ForeignApp,
}

/// Checks a webhook. The first scheme whose header is present decides, without falling back to another; within it any of
/// the keys and secrets of any of its checks may pass. A check that has ended is as if it were not there.
pub fn verify(checks: &[Check], raw: RawWebhook, now: Millis) -> Result<VerifiedWebhook, Refusal> {
    let (over, offered): (Vec<_>, Vec<_>) =
        checks.iter().filter(|check| check.is_offered(&raw)).partition(|check| check.is_over(now));
    let first = Scheme::ALL.iter().find(|scheme| offered.iter().any(|check| check.scheme() == **scheme));
    let nothing = if over.is_empty() { Refusal::Missing } else { Refusal::Ended };
    let first = *first.ok_or(nothing)?;
    let deciding = offered.into_iter().filter(|check| check.scheme() == first);
    let mut refusal = Refusal::Bad;
    for check in deciding {
        match schemes::prove(check, &raw, now) {
            Ok(delivery) => return admit(check, raw, delivery, now),
            Err(Refusal::Bad) => {}
            Err(closer) => refusal = closer,
        }
    }
    Err(refusal)
}

fn admit(
    check: &Check,
    mut raw: RawWebhook,
    delivery: Option<String>,
    now: Millis,
) -> Result<VerifiedWebhook, Refusal> {
    if let Some(rule) = &check.rule {
        rule.admits(&raw.body, now)?;
    }
    if raw.system == System::Timerex
        && let Some(body) = push::without_token(&raw.body)
    {
        // What is recorded is what is verified, and a token is nothing to record, whatever proved it.
        raw.body = body;
    }
    Ok(VerifiedWebhook {
        raw,
        credential: check.credential.clone(),
        speaks_for: check.speaks_for.clone(),
        extension: check.extension,
        delivery,
    })
}
