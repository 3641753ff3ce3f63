//! The owner of an account lets us in: what stands behind `/oauth/ghl/connect` and its callback.

use std::sync::Arc;

use async_trait::async_trait;

use super::Running;
use super::installs::admits;
use crate::credentials::oauth::OauthError;
use crate::http::{Begun, Connect, ConnectError, Connected};
use crate::model::{Holder, InstallKey};
use crate::secret::Secret;

#[async_trait]
impl Connect for Arc<Running> {
    async fn begin(&self) -> Result<Begun, ConnectError> {
        let keeper = self.keeper.as_ref().ok_or(ConnectError::NotConfigured)?;
        let begun = keeper.begin().await.map_err(refused)?;
        Ok(Begun { url: begun.url, cookie: begun.cookie })
    }

    async fn finish(&self, state: &str, cookie: &Secret, code: &Secret) -> Result<Connected, ConnectError> {
        let keeper = self.keeper.as_ref().ok_or(ConnectError::NotConfigured)?;
        let served = self.roster.served();
        let admits = |location: &str, company: Option<&str>| admits(&served.config, location, company);
        let finished = keeper.finish(&Secret::new(state), cookie, code, &admits).await.map_err(refused)?;
        self.open_what_is_installed().await.map_err(|error| ConnectError::Failed(error.into()))?;
        self.installs.notify_one();
        let served = self.roster.served();
        let locations = finished.connected.iter().filter(|key| key.holder == Holder::Location);
        let workspace =
            |key: &InstallKey| Some((key.account.clone(), served.config.workspace_of(&key.account)?.to_owned()));
        Ok(Connected {
            connected: locations.filter_map(workspace).collect(),
            left_out: finished.refused.into_iter().map(|key| key.account).collect(),
        })
    }

    fn is_https(&self) -> bool {
        let served = self.roster.served();
        served.config.server.public_url.as_ref().is_some_and(|url| url.starts_with("https://"))
    }
}

fn refused(error: OauthError) -> ConnectError {
    match error {
        OauthError::Crowded => ConnectError::TooMany,
        OauthError::Ticket | OauthError::Cookie => ConnectError::NotBegun,
        OauthError::Code(_) | OauthError::Client | OauthError::Foreign(_) => ConnectError::Refused(error.to_string()),
        other => ConnectError::Failed(other.into()),
    }
}
