//! Installs of our app, while the service runs: what the vendor tells of them is done, what they open is served, tokens are
//! renewed in time, and what waited for a scope or for its account to be connected goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::Running;
use super::access::{Accounts, lacks};
use crate::clock::Millis;
use crate::config::Config;
use crate::credentials::oauth::{Keeper, OauthError};
use crate::http::Access;
use crate::mirror::{CONNECT, GRANT, NOT_CONNECTED, NOT_GRANTED};
use crate::model::{Change, ChangeId, Holder, Install, InstallKey, InstallState, Mirror, MirrorState, System};
use crate::store::{Review, Store, StoreError};
use crate::systems::{Site, Target};

/// The name under which one process at a time does what installs ask for. No workspace can have it.
pub(super) const LEASE: &str = "(installs)";
/// How often it is looked for installs that another process took in, and for what waits for a scope.
const LOOK: Duration = Duration::from_secs(5);
/// Another process may still be committing a change with a lower number than one that we have seen, for so long at most.
const SETTLED: Duration = Duration::from_mins(1);
/// Changes read at once.
const BATCH: u32 = 500;

/// The locations that have a workspace because the app was installed in them.
pub(super) async fn opened(config: &Config, store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let Some(oauth) = &config.systems.ghl.oauth else { return Ok(Vec::new()) };
    let opens = |install: &Install| {
        let ours = install.company.as_ref().is_some_and(|company| oauth.companies.contains(company));
        ours && install.key.holder == Holder::Location && install.state != InstallState::Removed
    };
    let installs = store.installs().await?.into_iter();
    Ok(installs.filter(opens).map(|install| install.key.account).collect())
}

/// Whether tokens of an account are accepted: a workspace has it, or its agency may open workspaces.
pub(super) fn admits(config: &Config, location: &str, company: Option<&str>) -> bool {
    let companies = config.systems.ghl.oauth.as_ref().map_or(&[] as &[String], |oauth| &oauth.companies);
    config.has_location(location) || company.is_some_and(|company| companies.iter().any(|one| one == company))
}

impl Running {
    /// Looks after installs until the service stops.
    pub(super) fn look_after_installs(self: &Arc<Self>) {
        let (running, stop) = (self.clone(), self.supervisor.stop().clone());
        self.supervisor.watch("installs", |heart| async move {
            let mut done = BTreeSet::new();
            loop {
                heart.beat();
                if let Err(error) = running.installs_turn(&mut done).await {
                    tracing::error!(error = %error, "installs could not be looked after; trying again");
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = running.installs.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        });
    }

    async fn installs_turn(&self, done: &mut BTreeSet<ChangeId>) -> Result<()> {
        if let Some(keeper) = &self.keeper {
            if self.holder.lease(LEASE).is_some() {
                self.do_what_was_told(keeper, done).await?;
            }
            self.open_what_is_installed().await?;
            keeper.renew_due().await?;
        }
        self.release_what_waited().await
    }

    /// INSTALL and UNINSTALL, each once; one that fails is tried again.
    async fn do_what_was_told(&self, keeper: &Arc<Keeper>, done: &mut BTreeSet<ChangeId>) -> Result<()> {
        let text = self.store.cursor(LEASE, "told").await?;
        let cursor = ChangeId(text.and_then(|text| text.parse().ok()).unwrap_or(0));
        let (now, mut reached, mut whole) = (self.clock.now(), cursor, true);
        for change in self.store.told_of_installs(System::Ghl, cursor, BATCH).await? {
            if !done.contains(&change.id) {
                match self.told(keeper, &change).await {
                    Ok(()) => {
                        done.insert(change.id);
                    }
                    Err(error) => {
                        tracing::warn!(change.id = change.id.0, error = %error, "an install could not be followed; trying again");
                        whole = false;
                    }
                }
            }
            if whole && now.since(change.said.received) > SETTLED {
                reached = change.id;
                done.remove(&change.id);
            }
        }
        if reached != cursor {
            self.store.set_cursor(LEASE, "told", &reached.0.to_string(), now).await?;
        }
        Ok(())
    }

    async fn told(&self, keeper: &Arc<Keeper>, change: &Change) -> Result<(), OauthError> {
        let body: Value = serde_json::from_slice(&change.said.body).unwrap_or_default();
        let text = |key: &str| body[key].as_str().filter(|text| !text.is_empty());
        let (location, company) = (text("locationId"), text("companyId"));
        if change.said.label == "UNINSTALL" {
            return if self.is_over(location, company, change.said.at).await? {
                Ok(())
            } else {
                keeper.uninstalled(location, company).await.map(drop)
            };
        }
        let served = self.roster.served();
        let admits = |location: &str, company: Option<&str>| admits(&served.config, location, company);
        keeper.installed(location, company, &admits).await.map(drop)
    }

    /// Whether an uninstalling that was told late is over: tokens that were got or renewed after it are good.
    async fn is_over(
        &self,
        location: Option<&str>,
        company: Option<&str>,
        at: Option<Millis>,
    ) -> Result<bool, OauthError> {
        let key = location.map(InstallKey::location).or_else(|| company.map(InstallKey::company));
        let Some(key) = key else { return Ok(true) };
        let install = self.store.install(&key).await?;
        let since = install.filter(|install| install.state == InstallState::Connected).map(|install| install.changed);
        Ok(since.zip(at).is_some_and(|(since, at)| since > at))
    }

    /// Opens workspaces for installs of agencies that may, also those that another process took in.
    pub(super) async fn open_what_is_installed(&self) -> Result<()> {
        let locations = opened(&self.roster.served().config, self.store.as_ref()).await?;
        let names = self.roster.open(locations)?;
        if names.is_empty() {
            return Ok(());
        }
        self.store.register(&names, crate::model::Mode::Shadow, self.clock.now()).await?;
        let served = self.roster.served();
        self.doorway.admit(&served.config);
        for name in names {
            tracing::info!(workspace = %name, "the app was installed: a workspace is open, in shadow mode");
            self.holder.want(&name);
            self.work(&served, &name);
        }
        Ok(())
    }

    /// What waited for a scope, or for its account to be connected, goes on when that is so.
    async fn release_what_waited(&self) -> Result<()> {
        for (name, site) in self.roster.served().sites.iter().filter(|(name, _)| self.holder.lease(name).is_some()) {
            let reviews = self.store.reviews(name).await?;
            let held = self.store.in_state(name, MirrorState::Held, BATCH).await?;
            let waits = |mirror: &Mirror| begins(mirror, NOT_GRANTED) || begins(mirror, NOT_CONNECTED);
            let tells = |review: &Review| [GRANT, CONNECT].iter().any(|subject| review.subject.starts_with(subject));
            if !held.iter().any(waits) && !reviews.iter().any(tells) {
                continue;
            }
            let (granted, connected) = (granted(site), self.connected(site).await?);
            let waited = |mirror: &Mirror| {
                begins(mirror, NOT_GRANTED) && granted.contains(&mirror.system)
                    || begins(mirror, NOT_CONNECTED) && connected.contains(&mirror.system)
            };
            if held.iter().any(waited) {
                let released = self.release(name, waited).await?;
                tracing::info!(workspace = %name, released, "what waited for its owner's leave goes on");
            }
            // Also those of an edit that went on by itself, or of a process that died between the two.
            let over = |review: &&Review| {
                of(review, GRANT).is_some_and(|system| granted.contains(&system))
                    || of(review, CONNECT).is_some_and(|system| connected.contains(&system))
            };
            for review in reviews.iter().filter(over) {
                self.store.close_review(name, &review.subject, self.clock.now()).await?;
            }
        }
        Ok(())
    }

    /// The systems in which the account of a workspace is connected, or needs not be.
    async fn connected(&self, site: &Site) -> Result<BTreeSet<System>, StoreError> {
        let accounts = self.accounts();
        let mut connected = BTreeSet::new();
        for system in site.targets.keys() {
            let install = accounts.install(&site.workspace, *system).await?;
            if install.is_none_or(|install| install.state == InstallState::Connected) {
                connected.insert(*system);
            }
        }
        Ok(connected)
    }

    fn accounts(&self) -> Accounts {
        Accounts { roster: self.roster.clone(), store: self.store.clone(), clock: self.clock.clone() }
    }
}

/// The systems in which all is granted that a workspace needs for writing.
fn granted(site: &Site) -> BTreeSet<System> {
    let whole = |target: &dyn Target| lacks(target).writing.is_empty();
    site.targets.iter().filter(|(_, target)| whole(target.as_ref())).map(|(system, _)| *system).collect()
}

/// Whether the reason of a mirror begins so.
fn begins(mirror: &Mirror, with: &str) -> bool {
    mirror.reason.as_deref().is_some_and(|reason| reason.starts_with(with))
}

/// The system that the subject of a review names after this.
fn of(review: &Review, prefix: &str) -> Option<System> {
    review.subject.strip_prefix(prefix)?.split('/').next()?.parse().ok()
}
