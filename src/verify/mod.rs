//! Whether a webhook comes from whom it says. Pure checking of bytes and headers; there is no other way to a
//! [`VerifiedWebhook`].
//!
//! In: a [`RawWebhook`] and the [`Check`]s that are configured for the route's system. Out: the webhook with the name of
//! the credential that vouches for it and the workspaces it may speak for, or a [`Refusal`]. No check, no route.

use bytes::Bytes;
use http::HeaderMap;

use crate::clock::Millis;
use crate::model::System;

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
