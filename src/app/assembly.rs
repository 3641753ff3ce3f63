//! What one running service is made of, without its sockets.
//!
//! In: a configuration, the ground it stands on, a store. Out: all its parts, wired. [`super::start`] puts sockets before them;
//! the simulation runs them as they are, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use super::access::Accounts;
use super::doorway::Doorway;
use super::roster::Roster;
use super::stages::Stages;
use super::{Ground, installs, keepers, limits, register, sealer, sites, veils};
use crate::config::Config;
use crate::credentials::logins::{self, Logins};
use crate::credentials::oauth::{Keeper, Means};
use crate::dispatch::budget::Budget;
use crate::dispatch::lease::Holder;
use crate::model::System;
use crate::record::{Recorder, Waiting, Writer};
use crate::store::Store;

/// The parts of one running service.
pub struct Assembly {
    /// The workspaces that are served.
    pub roster: Arc<Roster>,
    /// Where webhooks come in.
    pub doorway: Doorway,
    /// Hands changes to the writer.
    pub recorder: Recorder,
    /// Appends them; must be run.
    pub writer: Writer,
    /// What is behind the change log.
    pub stages: Stages,
    /// The leases; must be run.
    pub holder: Arc<Holder>,
    /// Who keeps the installs of our app, by vendor.
    pub keepers: BTreeMap<System, Arc<Keeper>>,
}

/// Wires the parts. Leases are asked for once.
pub async fn assemble(config: &Config, ground: &Ground, store: &Arc<dyn Store>) -> Result<Assembly> {
    let Ground { clock, ids, .. } = ground.clone();
    let owner = ids.uuid(clock.now()).to_string();
    let sealer = sealer(config)?.map(Arc::new);
    let logins = Logins::gather(&config.logins(), store.as_ref(), sealer.as_deref()).await?;
    if let Some(sealer) = &sealer {
        logins::reseal(store.as_ref(), sealer, clock.now()).await?;
    }
    let means = sealer.clone().map(|sealer| Means {
        store: store.clone(),
        sealer,
        transport: ground.transport.clone(),
        clock: clock.clone(),
        owner: owner.clone(),
    });
    let keepers = keepers::keepers(config, means).await?;
    let opened = installs::opened(config, &store.installs().await?);
    let veil = veils::stored(config.store.secret_links, sealer.clone());
    let sealed = sealer.map(|sealer| (store.clone(), sealer));
    let proofs = sites::Proofs { logins: &logins, sealed, keepers: keepers.clone() };
    let budget = Budget::new(limits(config), clock.clone(), ids.clone());
    let builder = sites::Builder::new(config, &proofs, budget, ground.clone())?;
    let roster = Arc::new(Roster::new(config.opening(opened), builder)?);
    let served = roster.served();
    register(&served.config, store.as_ref(), clock.as_ref()).await?;
    let mut names: Vec<String> = served.sites.keys().cloned().collect();
    names.push(installs::LEASE.to_owned());
    let holder = Arc::new(Holder::new(store.clone(), clock.clone(), owner, config.dispatch.lease, names));
    holder.renew().await?;
    let (recorder, writer) = Recorder::new(store.clone(), Waiting::default(), clock.clone());
    let accounts = Accounts { roster: roster.clone(), store: store.clone(), clock: clock.clone() };
    let doorway = Doorway::new(&served.config, &recorder, veil, accounts, &ids);
    let stages = Stages::new(store, &clock, &ids);
    Ok(Assembly { roster, doorway, recorder, writer, stages, holder, keepers })
}
