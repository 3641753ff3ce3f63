//! What we may do at each account: how the install of our app stands there, and which scopes are known to be missing.

use std::sync::Arc;

use async_trait::async_trait;

use super::roster::Roster;
use crate::clock::Clock;
use crate::config::Config;
use crate::http::{Access, Lacks};
use crate::model::{Action, Install, InstallKey, Kind, System, Workspace};
use crate::store::{Store, StoreError};
use crate::systems::{SystemError, Target};

/// Knows what we may do.
pub struct Accounts {
    /// The workspaces.
    pub roster: Arc<Roster>,
    /// The installs.
    pub store: Arc<dyn Store>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Access for Accounts {
    async fn install(&self, workspace: &Workspace, system: System) -> Result<Option<Install>, StoreError> {
        let key = install_key(&self.roster.served().config, workspace, system);
        let Some(key) = key else { return Ok(None) };
        let Some(stored) = self.store.install(&key).await? else {
            return Ok(Some(Install::awaited(key, self.clock.now())));
        };
        let bearer = self.store.install(&stored.bearer()).await?;
        Ok(Some(stored.among(bearer.as_slice())))
    }

    fn lacks(&self, workspace: &str, system: System) -> Lacks {
        let served = self.roster.served();
        let target = served.sites.get(workspace).and_then(|site| site.targets.get(&system));
        target.map_or_else(Lacks::default, |target| lacks(target.as_ref()))
    }
}

/// The install by which a workspace reaches a system; `None`: by a token of its own, or not at all.
pub(super) fn install_key(config: &Config, workspace: &Workspace, system: System) -> Option<InstallKey> {
    let entry = config.workspaces.iter().find(|entry| entry.name == workspace.name)?;
    let account = entry.accounts.get(&system)?;
    let by_install = config.connections.get(&account.connection).is_none_or(|connection| connection.oauth);
    InstallKey::of_account(system, &account.id).filter(|_| by_install)
}

/// The scopes that a target needs and is known to lack.
pub(super) fn lacks(target: &dyn Target) -> Lacks {
    let mut lacks = Lacks::default();
    for kind in Kind::ALL.iter().filter(|kind| target.home(**kind).holds()) {
        for action in Action::ALL {
            if let Err(SystemError::NotGranted { scope, .. }) = target.granted(*kind, *action) {
                let reads = matches!(action, Action::Read | Action::Find);
                (if reads { &mut lacks.reading } else { &mut lacks.writing }).insert(scope);
            }
        }
    }
    lacks
}
