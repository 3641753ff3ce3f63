//! Installs of our app, while the service runs: what they open is served, and tokens are renewed in time.
//!
//! In: the rows of installs, and a bell. Out: workspaces, new tokens. Following what the vendor tells is `told`'s, letting go
//! on what waited for a scope is `grants`'.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use tokio::time::MissedTickBehavior;

use super::Running;
use super::grants::Grants;
use super::rounds::next;
use crate::config::Config;
use crate::model::{Holder, Install, InstallState, Mode, System};

/// The name under which one process at a time does what belongs to no workspace: what installs ask for, and letting go of old
/// history. No workspace can have it.
pub(super) const LEASE: &str = "(installs)";
/// How often it is looked for installs that another process took in, and for what waits for a scope.
const LOOK: Duration = Duration::from_secs(5);
/// How long it rests after each look: the bell rings for every webhook.
const BREATH: Duration = Duration::from_millis(200);
/// How often it is looked for tokens that end.
const RENEW: Duration = Duration::from_mins(1);

/// The locations that have a workspace because the app was installed in them.
pub(super) fn opened(config: &Config, installs: &[Install]) -> Vec<String> {
    let opens = |install: &&Install| {
        let ours = config.opens_for(install.company.as_deref());
        ours && install.key.holder == Holder::Location && install.state != InstallState::Removed
    };
    installs.iter().filter(opens).map(|install| install.key.account.clone()).collect()
}

/// Whether tokens of an account are accepted: a workspace has it, or its agency may open workspaces.
pub(super) fn admits_location(config: &Config, location: &str, company: Option<&str>) -> bool {
    config.has_location(location) || config.opens_for(company)
}

/// The same for any vendor. The team of a workspace that shows an api key is not reached by tokens.
pub(super) fn admits(config: &Config, system: System, account: &str, company: Option<&str>) -> bool {
    match system {
        System::Ghl => admits_location(config, account, company),
        System::Timify => false,
        System::Timerex => config.has_team(account),
    }
}

impl Running {
    /// Looks after installs until the service stops.
    pub(super) fn look_after_installs(self: &Arc<Self>) {
        let (running, stop) = (self.clone(), self.supervisor.stop().clone());
        self.supervisor.watch("installs", |heart| async move {
            let (told, mut grants) = (Arc::default(), Grants::default());
            let mut tick = tokio::time::interval(LOOK);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                heart.beat();
                tokio::select! {
                    () = stop.cancelled() => return,
                    // Rung for each webhook that is recorded: only what is cheap is done then.
                    () = running.installs.notified() => {}
                    _ = tick.tick() => running.look(&mut grants).await,
                }
                running.follow(&told);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(BREATH) => {}
                }
            }
        });
        self.renew_tokens();
    }

    /// Waits for the store alone: what asks the vendor runs beside it, so that a vendor that hangs does not look as if we did.
    async fn look(&self, grants: &mut Grants) {
        if self.just_connected.swap(false, Ordering::Relaxed) {
            *grants = Grants::default();
        }
        let looked = async {
            let installs = self.store.installs().await?;
            for keeper in self.keepers.values() {
                keeper.notice(&installs);
            }
            self.open(&installs).await?;
            self.release_what_waited(grants, &installs).await
        };
        if let Err(error) = looked.await {
            tracing::error!(error = %error, "installs could not be looked after; trying again");
        }
    }

    /// Renews tokens in time. Should it ever stay away: who needs a token that ends renews it too.
    fn renew_tokens(&self) {
        for keeper in self.keepers.values() {
            let (keeper, stop) = (keeper.clone(), self.supervisor.stop().clone());
            self.supervisor.spawn(async move {
                loop {
                    tokio::select! {
                        // A renewal that runs is waited for at the end of the stop.
                        () = stop.cancelled() => return,
                        renewed = keeper.renew_due() => if let Err(error) = renewed {
                            tracing::error!(error = %error, "tokens could not be renewed; trying again");
                        },
                    }
                    if !next(RENEW, &stop).await {
                        return;
                    }
                }
            });
        }
    }

    /// Opens workspaces for installs of agencies that may, also those that another process took in.
    pub(super) async fn open_what_is_installed(&self) -> Result<()> {
        self.open(&self.store.installs().await?).await
    }

    async fn open(&self, installs: &[Install]) -> Result<()> {
        let _turn = self.opening.lock().await;
        let locations = opened(&self.roster.served().config, installs);
        let Some((served, names)) = self.roster.with(locations)? else { return Ok(()) };
        // First of all: what fails after this is begun anew the next time.
        self.store.register(&names, Mode::Shadow, self.clock.now()).await?;
        self.roster.serve(served);
        let served = self.roster.served();
        self.doorway.admit(&served.config);
        for name in names {
            tracing::info!(workspace = %name, "the app was installed: a workspace is open, in shadow mode");
            self.holder.want(&name);
            self.work(&served, &name);
        }
        Ok(())
    }
}
