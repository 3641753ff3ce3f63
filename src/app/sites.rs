//! The registry: from the configuration to sites, that is, to each workspace's systems ready to be called.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::clock::Clock;
use crate::config::{Config, WorkspaceEntry};
use crate::credentials::login::{Login, TimifyLogin};
use crate::credentials::logins::Logins;
use crate::credentials::standard_webhooks::StandardWebhooks;
use crate::credentials::static_token::StaticToken;
use crate::credentials::timify_token::{TimifyApp, TimifyToken};
use crate::dispatch::budget::Budget;
use crate::ids::Ids;
use crate::model::{System, Workspace};
use crate::systems::allowance::Unlimited;
use crate::systems::call::Caller;
use crate::systems::extension::{Combined, ExtensionClient};
use crate::systems::ghl::{Ghl, GhlDoor, GhlSettings};
use crate::systems::offset::ClockOffset;
use crate::systems::timerex::{Team, Timerex, TimerexDoor};
use crate::systems::timify::{Company, Timify, TimifyDoor};
use crate::systems::{Credential, Door, Site, Target, Transport};

/// Who reads the envelopes of each system's webhooks.
pub fn doors() -> BTreeMap<System, Arc<dyn Door>> {
    let ghl: Arc<dyn Door> = Arc::new(GhlDoor);
    let timify: Arc<dyn Door> = Arc::new(TimifyDoor);
    let timerex: Arc<dyn Door> = Arc::new(TimerexDoor);
    [(System::Ghl, ghl), (System::Timify, timify), (System::Timerex, timerex)].into()
}

/// Builds sites.
pub struct Builder<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// What each connection shows its vendor.
    pub logins: &'a Logins,
    /// The way out.
    pub transport: Arc<dyn Transport>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub ids: Arc<Ids>,
    /// Counts the calls.
    pub budget: &'a Budget,
}

impl Builder<'_> {
    /// A site for each workspace.
    pub fn sites(&self) -> Result<BTreeMap<String, Arc<Site>>> {
        let offsets: BTreeMap<System, Arc<ClockOffset>> =
            System::ALL.iter().map(|system| (*system, Arc::new(ClockOffset::new(self.clock.clone())))).collect();
        let credentials = self.credentials()?;
        let models = self.config.workspaces();
        let mut sites = BTreeMap::new();
        for (entry, workspace) in self.config.workspaces.iter().zip(models) {
            let mut targets: BTreeMap<System, Arc<dyn Target>> = BTreeMap::new();
            for (system, account) in &entry.accounts {
                let credential = credentials.get(account.connection.as_str()).context("a connection is missing")?;
                let offset = offsets[system].clone();
                let (url, transport, credential) = (self.base_url(*system), self.transport.clone(), credential.clone());
                let allowance = self.budget.of(&entry.name, *system);
                let caller = Caller::new(*system, url, transport, credential, offset, allowance);
                targets.insert(*system, self.target(*system, caller, entry, &workspace)?);
            }
            let quiet = self.config.dispatch.quiet;
            sites.insert(entry.name.clone(), Arc::new(Site { workspace, targets, quiet }));
        }
        Ok(sites)
    }

    fn base_url(&self, system: System) -> &str {
        let systems = &self.config.systems;
        match system {
            System::Ghl => &systems.ghl.base_url,
            System::Timify => &systems.timify.base_url,
            System::Timerex => &systems.timerex.base_url,
        }
    }

    /// One credential a connection, so that all its workspaces share one token.
    fn credentials(&self) -> Result<BTreeMap<&str, Arc<dyn Credential>>> {
        let mut credentials: BTreeMap<&str, Arc<dyn Credential>> = BTreeMap::new();
        for name in self.config.connections.keys() {
            credentials.insert(name, self.credential(name)?);
        }
        Ok(credentials)
    }

    fn credential(&self, name: &str) -> Result<Arc<dyn Credential>> {
        Ok(match self.logins.get(name) {
            Some(Login::Ghl(token)) => Arc::new(StaticToken::bearer(token)?),
            Some(Login::Timerex(key)) => Arc::new(StaticToken::api_key("x-api-key", key)?),
            Some(Login::Timify(TimifyLogin { app_id, app_secret })) => {
                let timify = &self.config.systems.timify;
                let app = TimifyApp {
                    base_url: timify.base_url.clone(),
                    app_id: app_id.expose().to_owned(),
                    app_secret: app_secret.clone(),
                    scheme: timify.authorization,
                };
                Arc::new(TimifyToken::new(app, self.transport.clone(), self.clock.clone()))
            }
            None => bail!(
                "connection `{name}` has no credentials: name them in the configuration, or keep them sealed with \
                 `lockstep credential set {name}`"
            ),
        })
    }

    fn target(
        &self,
        system: System,
        caller: Caller,
        entry: &WorkspaceEntry,
        workspace: &Workspace,
    ) -> Result<Arc<dyn Target>> {
        let extension = self.extension(system, entry, workspace)?;
        let none = || format!("workspace `{}` has no account in {system}", entry.name);
        Ok(match system {
            System::Ghl => {
                let systems = &self.config.systems.ghl;
                let settings = GhlSettings {
                    location: workspace.accounts.get(&system).cloned().with_context(none)?,
                    contacts_version: systems.contacts_version.clone(),
                    calendars_version: systems.calendars_version.clone(),
                    custom_fields: BTreeMap::new(),
                };
                Arc::new(Ghl::new(settings, workspace.calendars.clone(), workspace.policy.region.clone(), caller))
            }
            System::Timify => {
                let company = Company::of(workspace, self.config.systems.timify.list_days.get()).with_context(none)?;
                Arc::new(Combined::new(Timify::new(caller, company), extension))
            }
            System::Timerex => {
                let team = Team::of(workspace).with_context(none)?;
                Arc::new(Combined::new(Timerex::new(caller, team), extension))
            }
        })
    }

    fn extension(
        &self,
        system: System,
        entry: &WorkspaceEntry,
        workspace: &Workspace,
    ) -> Result<Option<ExtensionClient>> {
        let Some(extension) = entry.extensions.get(&system) else { return Ok(None) };
        let signer = StandardWebhooks::new(&extension.secrets, self.clock.clone(), self.ids.clone())?;
        let offset = Arc::new(ClockOffset::new(self.clock.clone()));
        let (transport, signer) = (self.transport.clone(), Arc::new(signer));
        // It is the operator's own, and no limit of it is known.
        let caller = Caller::new(system, &extension.url, transport, signer, offset, Arc::new(Unlimited));
        Ok(Some(ExtensionClient::new(caller, workspace.policy.region.clone(), self.ids.clone())))
    }
}
