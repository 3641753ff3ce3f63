//! The registry: from the configuration to sites, that is, to each workspace's systems ready to be called.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::Ground;
use crate::config::{Account, Config, WorkspaceEntry};
use crate::credentials::login::{Login, TimifyLogin};
use crate::credentials::logins::{Logins, SealedLogin};
use crate::credentials::oauth::Keeper;
use crate::credentials::private_token::PrivateToken;
use crate::credentials::seal::Sealer;
use crate::credentials::standard_webhooks::StandardWebhooks;
use crate::credentials::static_token::StaticToken;
use crate::credentials::timify_token::{TimifyApp, TimifyToken};
use crate::dispatch::budget::Budget;
use crate::model::{InstallKey, System, Workspace};
use crate::store::Store;
use crate::systems::allowance::Unlimited;
use crate::systems::call::Caller;
use crate::systems::extension::{Combined, ExtensionClient};
use crate::systems::ghl::{Ghl, GhlDoor, GhlSettings};
use crate::systems::offset::ClockOffset;
use crate::systems::timerex::{Team, Timerex, TimerexDoor};
use crate::systems::timify::{Company, Timify, TimifyDoor};
use crate::systems::{Credential, Door, Inquiry, Inviting, Site, Target};

/// Who reads the envelopes of each system's webhooks.
pub fn doors() -> BTreeMap<System, Arc<dyn Door>> {
    let ghl: Arc<dyn Door> = Arc::new(GhlDoor);
    let timify: Arc<dyn Door> = Arc::new(TimifyDoor);
    let timerex: Arc<dyn Door> = Arc::new(TimerexDoor);
    [(System::Ghl, ghl), (System::Timify, timify), (System::Timerex, timerex)].into()
}

/// Builds sites, now and when a workspace opens later.
pub struct Builder {
    config: Config,
    /// One credential a connection, so that all its workspaces share one token. Installs have one an account.
    credentials: BTreeMap<String, Arc<dyn Credential>>,
    offsets: BTreeMap<System, Arc<ClockOffset>>,
    keepers: BTreeMap<System, Arc<Keeper>>,
    budget: Budget,
    ground: Ground,
}

/// What proves us to the vendors.
pub struct Proofs<'a> {
    /// What each connection shows its vendor.
    pub logins: &'a Logins,
    /// Where the sealed ones lie, and what opens them: one that is replaced is noticed.
    pub sealed: Option<(Arc<dyn Store>, Arc<Sealer>)>,
    /// Who keeps the tokens of installs, by vendor.
    pub keepers: BTreeMap<System, Arc<Keeper>>,
}

impl Builder {
    /// A builder for the workspaces of a configuration.
    pub fn new(config: &Config, proofs: &Proofs<'_>, budget: Budget, ground: Ground) -> Result<Self> {
        let offset = |system: &System| (*system, Arc::new(ClockOffset::new(ground.clock.clone())));
        let offsets = System::ALL.iter().map(offset).collect();
        let mut credentials = BTreeMap::new();
        for (name, _) in config.connections.iter().filter(|(_, connection)| !connection.oauth) {
            credentials.insert(name.clone(), credential(config, proofs, name, &ground)?);
        }
        Ok(Self { config: config.clone(), credentials, offsets, keepers: proofs.keepers.clone(), budget, ground })
    }

    /// A site for each workspace.
    pub fn sites(&self, config: &Config) -> Result<BTreeMap<String, Arc<Site>>> {
        config.workspaces.iter().map(|entry| Ok((entry.name.clone(), self.site(entry)?))).collect()
    }

    /// The site of one workspace.
    pub fn site(&self, entry: &WorkspaceEntry) -> Result<Arc<Site>> {
        let workspace = entry.to_model();
        let none = || format!("workspace `{}` lacks an account", entry.name);
        let mut targets: BTreeMap<System, Arc<dyn Target>> = BTreeMap::new();
        let mut inquiries: BTreeMap<System, Arc<dyn Inquiry>> = BTreeMap::new();
        let mut inviting: BTreeMap<System, Arc<dyn Inviting>> = BTreeMap::new();
        let clock = |system: &System| (*system, Arc::new(ClockOffset::new(self.ground.clock.clone())));
        let clocks: BTreeMap<System, Arc<ClockOffset>> = entry.extensions.keys().map(clock).collect();
        for (system, account) in &entry.accounts {
            let caller = self.caller(*system, account, &entry.name)?;
            let extension = self.extension(*system, entry, &workspace, &clocks)?;
            let target: Arc<dyn Target> = match system {
                System::Ghl => {
                    let ghl = Arc::new(self.ghl(account, &workspace, caller));
                    inquiries.insert(*system, ghl.clone());
                    ghl
                }
                System::Timify => {
                    let company = Company::of(&workspace, self.config.systems.timify.list_days.get());
                    let timify = Timify::new(caller, company.with_context(none)?);
                    let combined = Arc::new(Combined::new(timify, extension));
                    inquiries.insert(*system, combined.clone());
                    combined
                }
                System::Timerex => {
                    let team = Team::of(&workspace).with_context(none)?;
                    inviting.insert(*system, Arc::new(Timerex::new(caller.clone(), team.clone())));
                    let combined = Arc::new(Combined::new(Timerex::new(caller, team), extension));
                    inquiries.insert(*system, combined.clone());
                    combined
                }
            };
            targets.insert(*system, target);
        }
        Ok(Arc::new(Site { workspace, targets, inquiries, inviting, clocks, quiet: self.config.dispatch.quiet }))
    }

    /// What proves us for an account: the connection's credential, or the tokens of an install.
    fn credential(&self, system: System, account: &Account) -> Result<Arc<dyn Credential>> {
        if let Some(credential) = self.credentials.get(&account.connection) {
            return Ok(credential.clone());
        }
        let key = InstallKey::of_account(system, &account.id);
        Ok(match self.keepers.get(&system).zip(key) {
            Some((keeper, key)) => keeper.credential(key),
            // For looking only: nobody is called.
            None => Arc::new(StaticToken::bearer(&crate::secret::Secret::new("-"))?),
        })
    }

    fn base_url(&self, system: System) -> &str {
        let systems = &self.config.systems;
        match system {
            System::Ghl => &systems.ghl.base_url,
            System::Timify => &systems.timify.base_url,
            System::Timerex => &systems.timerex.base_url,
        }
    }

    fn caller(&self, system: System, account: &Account, workspace: &str) -> Result<Caller> {
        let (credential, offset) = (self.credential(system, account)?, self.offsets[&system].clone());
        let (url, transport) = (self.base_url(system), self.ground.transport.clone());
        let allowance = self.budget.of(workspace, system);
        Ok(Caller::new(system, url, transport, credential, offset, allowance))
    }

    fn ghl(&self, account: &Account, workspace: &Workspace, caller: Caller) -> Ghl {
        let systems = &self.config.systems.ghl;
        let settings = GhlSettings {
            location: account.id.clone(),
            contacts_version: systems.contacts_version.clone(),
            calendars_version: systems.calendars_version.clone(),
            locations_version: systems.locations_version.clone(),
            businesses_version: systems.businesses_version.clone(),
            custom_fields: account.fields.clone(),
            notify: workspace.policy.notify.contains(&System::Ghl),
        };
        Ghl::new(settings, workspace.calendars.clone(), workspace.policy.region.clone(), caller)
    }

    fn extension(
        &self,
        system: System,
        entry: &WorkspaceEntry,
        workspace: &Workspace,
        clocks: &BTreeMap<System, Arc<ClockOffset>>,
    ) -> Result<Option<ExtensionClient>> {
        let Some((extension, offset)) = entry.extensions.get(&system).zip(clocks.get(&system)) else {
            return Ok(None);
        };
        let Ground { transport, clock, ids } = self.ground.clone();
        let signer = StandardWebhooks::new(&extension.secrets, clock, ids.clone())?;
        let (signer, offset) = (Arc::new(signer), offset.clone());
        let caller = Caller::new(system, &extension.url, transport, signer, offset, Arc::new(Unlimited));
        Ok(Some(ExtensionClient::new(caller, workspace.policy.region.clone(), ids)))
    }
}

fn credential(config: &Config, proofs: &Proofs<'_>, name: &str, ground: &Ground) -> Result<Arc<dyn Credential>> {
    Ok(match proofs.logins.get(name) {
        Some(Login::Ghl(token)) => {
            let kept = proofs.sealed.clone().filter(|_| proofs.logins.is_sealed(name));
            let sealed =
                kept.map(|(store, sealer)| SealedLogin { name: name.to_owned(), system: System::Ghl, store, sealer });
            Arc::new(PrivateToken::new(token, sealed, ground.clock.clone())?)
        }
        Some(Login::Timerex(key)) => Arc::new(StaticToken::api_key("x-api-key", key)?),
        Some(Login::Timify(TimifyLogin { app_id, app_secret })) => {
            let timify = &config.systems.timify;
            let app = TimifyApp {
                base_url: timify.base_url.clone(),
                app_id: app_id.expose().to_owned(),
                app_secret: app_secret.clone(),
                scheme: timify.authorization,
            };
            Arc::new(TimifyToken::new(app, ground.transport.clone(), ground.clock.clone()))
        }
        None => bail!(
            "connection `{name}` has no credentials: name them in the configuration, or keep them sealed with \
             `lockstep credential set {name}`"
        ),
    })
}
