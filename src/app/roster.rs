//! The workspaces that are served: those of the configuration, and those that installs of our app opened since.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::sites::Builder;
use crate::config::Config;
use crate::dispatch::bell::Bell;
use crate::systems::Site;
use anyhow::Result;

/// Knows what is served.
pub struct Roster {
    builder: Builder,
    served: RwLock<Arc<Served>>,
}

/// What is served at a moment.
pub struct Served {
    /// The configuration, with the workspaces that installs opened.
    pub config: Config,
    /// The workspaces.
    pub sites: BTreeMap<String, Arc<Site>>,
    /// Rung when there is something to do in one.
    pub bells: BTreeMap<String, Arc<Bell>>,
}

impl Roster {
    /// Serves the workspaces of a configuration.
    pub fn new(config: Config, builder: Builder) -> Result<Self> {
        let sites = builder.sites(&config)?;
        let bells = sites.keys().map(|name| (name.clone(), Arc::default())).collect();
        Ok(Self { builder, served: RwLock::new(Arc::new(Served { config, sites, bells })) })
    }

    /// What is served now.
    pub fn served(&self) -> Arc<Served> {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What would be served with a workspace for each of these GHL locations that none has yet, and the names of the new
    /// ones; `None`: there is nothing new. Nothing is served of it until [`Roster::serve`].
    pub fn with(&self, locations: Vec<String>) -> Result<Option<(Served, Vec<String>)>> {
        let served = self.served();
        let known: BTreeSet<&str> = served.config.locations().collect();
        if locations.iter().all(|location| known.contains(location.as_str())) {
            return Ok(None);
        }
        let config = served.config.opening(locations);
        let opened = &config.workspaces[served.config.workspaces.len()..];
        let mut names = Vec::with_capacity(opened.len());
        let (mut sites, mut bells) = (served.sites.clone(), served.bells.clone());
        for entry in opened {
            sites.insert(entry.name.clone(), self.builder.site(entry)?);
            bells.insert(entry.name.clone(), Arc::default());
            names.push(entry.name.clone());
        }
        Ok(Some((Served { config, sites, bells }, names)).filter(|(_, names)| !names.is_empty()))
    }

    /// Serves this from now on.
    pub fn serve(&self, served: Served) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(served);
    }
}

impl Served {
    /// Anything may be different, in any workspace.
    pub fn wake(&self) {
        self.bells.values().for_each(|bell| bell.anything());
    }

    /// Changes were recorded in those of these that are served.
    pub fn wake_these<'a>(&self, workspaces: impl Iterator<Item = &'a str>) {
        workspaces.filter_map(|name| self.bells.get(name)).for_each(|bell| bell.changes());
    }
}
