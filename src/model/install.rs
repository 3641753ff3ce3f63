//! Installs of our app at a vendor: what an account's owner granted us.

use std::collections::BTreeSet;

use super::{System, words};
use crate::clock::Millis;

words! {
    /// What an install is good for.
    Holder {
        /// An agency with its locations: its token makes tokens of locations, and reads no contact itself.
        Company = "company",
        /// One location.
        Location = "location",
    }
}

words! {
    /// How an install stands.
    InstallState {
        /// The vendor says that the app is installed; no token came yet.
        Awaiting = "awaiting",
        /// There are tokens, and they are renewed.
        Connected = "connected",
        /// The vendor says that the location is not active. The tokens are kept: they work again when it is.
        Inactive = "inactive",
        /// The vendor takes the tokens no longer: its owner has to connect again.
        Lost = "lost",
        /// The app was uninstalled, or the tokens were given up here. No tokens are kept.
        Removed = "removed",
    }
}

/// Which install.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstallKey {
    /// The vendor.
    pub system: System,
    /// A company or a location.
    pub holder: Holder,
    /// The vendor's id of it.
    pub account: String,
}

impl InstallKey {
    /// An install at a location of GHL.
    pub fn location(account: impl Into<String>) -> Self {
        Self { system: System::Ghl, holder: Holder::Location, account: account.into() }
    }

    /// An install at a company (agency) of GHL.
    pub fn company(account: impl Into<String>) -> Self {
        Self { system: System::Ghl, holder: Holder::Company, account: account.into() }
    }
}

impl std::fmt::Display for InstallKey {
    /// `ghl/location/ID`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.system, self.holder, self.account)
    }
}

/// An install with its tokens, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// Which.
    pub key: InstallKey,
    /// The company that a location belongs to, where that is known.
    pub company: Option<String>,
    /// How it stands.
    pub state: InstallState,
    /// Why, in one line, where it does not stand well.
    pub reason: Option<String>,
    /// The scopes that were granted.
    pub scopes: BTreeSet<String>,
    /// Access and refresh token, sealed.
    pub sealed: Option<Vec<u8>>,
    /// When the access token ends.
    pub expires: Option<Millis>,
    /// Rises with each pair of tokens, and when they are wiped. 0: not stored yet.
    pub generation: i64,
    /// When it was last written.
    pub changed: Millis,
}

impl Install {
    /// One that is not there yet.
    pub fn awaited(key: InstallKey, now: Millis) -> Self {
        Self {
            key,
            company: None,
            state: InstallState::Awaiting,
            reason: None,
            scopes: BTreeSet::new(),
            sealed: None,
            expires: None,
            generation: 0,
            changed: now,
        }
    }
}
