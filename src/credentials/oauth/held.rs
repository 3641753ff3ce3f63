//! What is held in memory of an install: its row as last read, with its tokens open.
//!
//! In: rows. Out: [`Known`]. Who may write the row is left to `renew` and `connect`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::client::Granted;
use super::pair::Pair;
use super::{Keeper, OauthError, not_connected, unauthorized};
use crate::clock::{Clock, Millis};
use crate::credentials::denied::Denied;
use crate::model::{Install, InstallKey, InstallState};
use crate::systems::SystemError;

/// How long refusals that do not tell why are not answered with a renewal after one was.
const TRY_AGAIN: Duration = Duration::from_mins(1);

/// A row, and its tokens.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) row: Install,
    pub(super) pair: Option<Pair>,
}

impl Known {
    /// The same, if requests can be signed with it.
    pub(super) fn usable(self) -> Result<Self, OauthError> {
        if self.row.state == InstallState::Connected && self.pair.is_some() {
            Ok(self)
        } else {
            Err(self.refusal().into())
        }
    }

    /// Why requests cannot be signed with it.
    pub(super) fn refusal(&self) -> SystemError {
        let key = &self.row.key;
        let what = match self.row.state {
            InstallState::Awaiting => "the app is installed, and its tokens did not come yet",
            InstallState::Connected => "its tokens are missing: connect it again",
            InstallState::Inactive => "the location is not active at the vendor",
            InstallState::Lost => "the vendor takes its tokens no longer: connect it again",
            InstallState::Removed => "the app was uninstalled there, or given up here: connect it again",
        };
        let reason = format!("{key}: {what}");
        // A row that says "connected" is not mended by waiting for that.
        let of = key.system;
        if self.row.state == InstallState::Connected { unauthorized(of, reason) } else { not_connected(of, reason) }
    }
}

/// What is held of one install.
pub(super) struct Held {
    /// Held while its tokens are renewed, so that one renewal serves all who wait.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// The row as last read.
    known: Mutex<Option<Known>>,
    /// New tokens that the store did not take yet. The ones they came from are spent.
    unsaved: Mutex<Option<Install>>,
    /// What the vendor said is not granted.
    pub(super) denied: Denied,
    /// When tokens were last renewed for a refusal whose words did not tell why.
    tried: Mutex<Option<Millis>>,
}

impl Held {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            turn: tokio::sync::Mutex::default(),
            known: Mutex::default(),
            unsaved: Mutex::default(),
            denied: Denied::new(clock),
            tried: Mutex::default(),
        }
    }

    pub(super) fn known(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn unsaved(&self) -> Option<Install> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_unsaved(&self, row: Option<Install>) {
        *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner) = row;
    }

    /// Whether tokens may be renewed for a refusal whose words do not tell why: now and then. Where new tokens are refused
    /// too, it is not for them.
    pub(super) fn may_try(&self, now: Millis) -> bool {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let may = tried.is_none_or(|at| now.since(at) >= TRY_AGAIN);
        if may {
            *tried = Some(now);
        }
        may
    }

    /// Whether a scope is known to be missing.
    pub(super) fn lacks(&self, scope: &str) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let scopes = known.as_ref().map(|known| &known.row.scopes);
        scopes.is_some_and(|scopes| !scopes.is_empty() && !scopes.contains(scope)) || self.denied.has(scope)
    }
}

impl Keeper {
    /// Reads the row of an install.
    pub(super) async fn read(&self, key: &InstallKey) -> Result<Option<Known>, OauthError> {
        let row = self.store.install(key).await?;
        row.map(|row| self.learn(row)).transpose()
    }

    /// Holds a row, with its tokens open.
    pub(super) fn learn(&self, row: Install) -> Result<Known, OauthError> {
        let known = Known { pair: Pair::open(&row, &self.sealer)?, row };
        let held = self.held(&known.row.key);
        let mut place = held.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = place.as_ref() {
            if before.row.generation > known.row.generation {
                return Ok(known);
            }
            if before.row.scopes != known.row.scopes {
                held.denied.clear();
            }
        }
        *place = Some(known.clone());
        Ok(known)
    }

    /// The row that new tokens make of an install, to be put over `before`.
    pub(super) fn row_of(
        &self,
        key: &InstallKey,
        granted: &Granted,
        before: Option<&Install>,
    ) -> Result<Install, OauthError> {
        let now = self.clock.now();
        let scopes = Some(&granted.scopes).filter(|scopes| !scopes.is_empty());
        Ok(Install {
            key: key.clone(),
            company: granted.company.clone().or_else(|| before?.company.clone()),
            state: InstallState::Connected,
            reason: None,
            scopes: scopes.or(before.map(|row| &row.scopes)).cloned().unwrap_or_default(),
            sealed: Some(granted.pair.seal(key, &self.sealer)?),
            expires: Some(now + granted.life),
            generation: before.map_or(0, |row| row.generation) + 1,
            changed: now,
        })
    }
}
