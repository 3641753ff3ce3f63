//! The way in and what is told of it; both follow the workspaces that are served.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::access::Accounts;
use super::sites;
use crate::config::{self, Config};
use crate::http::Health;
use crate::ids::Ids;
use crate::model::System;
use crate::receive::{Gate, Intake};
use crate::record::{Directory, Recorder};
use crate::systems::secrets::Veil;
use crate::verify::Check;

/// Where webhooks come in, and where it is told whether they do.
pub struct Doorway {
    /// The way in.
    pub intake: Arc<Intake>,
    /// What `/health` tells.
    pub health: Arc<Health>,
}

impl Doorway {
    /// The doorway of the workspaces of a configuration.
    pub fn new(config: &Config, recorder: &Recorder, veil: Arc<Veil>, accounts: Accounts, ids: &Arc<Ids>) -> Self {
        let (models, checks) = (config.workspaces(), config::checks(config));
        let (store, clock) = (accounts.store.clone(), accounts.clock.clone());
        let directory = Directory::of(&models);
        let intake = Intake::new(gates(checks.clone()), directory, recorder.clone(), veil, clock.clone(), ids.clone());
        let health = Health::new(store, models, &checks, Arc::new(accounts), intake.sightings(), clock);
        Self { intake: Arc::new(intake), health: Arc::new(health) }
    }

    /// Opens it for the workspaces of this configuration.
    pub fn admit(&self, config: &Config) {
        let (models, checks) = (config.workspaces(), config::checks(config));
        self.health.serve(models.clone(), &checks);
        self.intake.admit(gates(checks), Directory::of(&models));
    }
}

fn gates(checks: BTreeMap<System, Vec<Check>>) -> BTreeMap<System, Gate> {
    let doors = sites::doors();
    let gate = |(system, checks)| (system, Gate { checks, door: doors[&system].clone() });
    checks.into_iter().map(gate).collect()
}
