//! The owner of an account lets us in: what stands behind `/oauth/SYSTEM/connect` and its callback.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::Running;
use super::installs::admits;
use crate::credentials::oauth::{Keeper, OauthError};
use crate::http::{Begun, Connect, ConnectError, Connected};
use crate::model::{Holder, InstallKey, System};
use crate::secret::Secret;

/// How long a browser waits for the vendor. Shorter than a public request may take.
const PATIENCE: Duration = Duration::from_secs(12);

#[async_trait]
impl Connect for Arc<Running> {
    async fn begin(&self, system: System) -> Result<Begun, ConnectError> {
        let keeper = self.keepers.get(&system).ok_or(ConnectError::NotConfigured)?;
        let begun = keeper.begin().await.map_err(refused)?;
        Ok(Begun { url: begun.url, cookie: begun.cookie })
    }

    async fn finish(
        &self,
        system: System,
        state: &str,
        cookie: &Secret,
        code: &Secret,
    ) -> Result<Connected, ConnectError> {
        let keeper = self.keepers.get(&system).cloned().ok_or(ConnectError::NotConfigured)?;
        let (running, state, cookie, code) = (self.clone(), Secret::new(state), cookie.clone(), code.clone());
        let (tell, told) = oneshot::channel();
        // By itself: the code is good once, and who closes the browser must not lose the tokens that came for it.
        self.supervisor.spawn(async move {
            let connected = running.connected(system, &keeper, [&state, &cookie, &code]).await;
            if let Err(Err(error)) = tell.send(connected) {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(%error, cause, "an account could not be connected, and nobody waits to hear it");
            }
        });
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(ended)) => Err(ConnectError::Failed(ended.into())),
            Err(_) => Err(ConnectError::Slow),
        }
    }

    fn is_https(&self) -> bool {
        let served = self.roster.served();
        served.config.server.public_url.as_ref().is_some_and(|url| url.starts_with("https://"))
    }
}

impl Running {
    async fn connected(
        self: &Arc<Self>,
        system: System,
        keeper: &Arc<Keeper>,
        [state, cookie, code]: [&Secret; 3],
    ) -> Result<Connected, ConnectError> {
        let served = self.roster.served();
        let admits = |account: &str, company: Option<&str>| admits(&served.config, system, account, company);
        let finished = keeper.finish(state, cookie, code, &admits).await.map_err(refused)?;
        self.open_what_is_installed().await.map_err(|error| ConnectError::Failed(error.into()))?;
        self.just_connected.store(true, Ordering::Relaxed);
        self.installs.notify_one();
        let served = self.roster.served();
        let accounts = finished.connected.iter().filter(|key| matches!(key.holder, Holder::Location | Holder::Team));
        let workspace = |key: &InstallKey| {
            Some((key.account.clone(), served.config.workspace_of(system, &key.account)?.to_owned()))
        };
        Ok(Connected {
            connected: accounts.filter_map(workspace).collect(),
            left_out: finished.refused.into_iter().map(|key| key.account).collect(),
        })
    }
}

fn refused(error: OauthError) -> ConnectError {
    match error {
        OauthError::Crowded => ConnectError::TooMany,
        OauthError::Ticket | OauthError::Cookie => ConnectError::NotBegun,
        OauthError::Code(_) | OauthError::Foreign(_) => ConnectError::Refused(error.to_string()),
        other => ConnectError::Failed(other.into()),
    }
}
