//! Which workspace an account belongs to.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{System, Workspace};

/// The accounts and names of all workspaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    accounts: BTreeMap<(System, String), String>,
    names: BTreeSet<String>,
    dedup: bool,
}

impl Directory {
    /// The directory of these workspaces.
    pub fn of(workspaces: &[Workspace]) -> Self {
        let accounts = workspaces.iter().flat_map(|workspace| {
            let account = |(system, id): (&System, &String)| ((*system, id.clone()), workspace.name.clone());
            workspace.accounts.iter().map(account)
        });
        let names = workspaces.iter().map(|workspace| workspace.name.clone());
        let dedup = workspaces.iter().all(|workspace| workspace.policy.guards.dedup);
        Self { accounts: accounts.collect(), names: names.collect(), dedup }
    }

    /// Whether repetitions of a delivery are told by its id; only a rehearsal goes without.
    pub fn tells_repetitions(&self) -> bool {
        self.dedup
    }

    /// The workspace of an account.
    pub fn workspace(&self, system: System, account: &str) -> Option<&str> {
        self.accounts.get(&(system, account.to_owned())).map(String::as_str)
    }

    /// The workspaces that have an account in a system.
    pub fn of_system(&self, system: System) -> impl Iterator<Item = &str> {
        self.accounts.iter().filter(move |((of, _), _)| *of == system).map(|(_, name)| name.as_str())
    }

    /// Whether there is a workspace of this name.
    pub fn knows(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}
