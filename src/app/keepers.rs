//! Who keeps the installs of our app, at each vendor at which it is an OAuth client.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use crate::config::Config;
use crate::credentials::oauth::{App, GhlApp, Keeper, Means, OauthApp, TimerexApp};
use crate::model::System;

/// The keepers of the configured apps; none without means (there are no keys to seal with). Sealed tokens that no key opens
/// are an error.
pub(super) async fn keepers(config: &Config, means: Option<Means>) -> Result<BTreeMap<System, Arc<Keeper>>> {
    let mut keepers = BTreeMap::new();
    let (Some(means), Some(public)) = (means, &config.server.public_url) else { return Ok(keepers) };
    for (system, app) in apps(config, public) {
        let keeper = Keeper::new(app, means.clone())?;
        keeper.open_all().await?;
        keeper.reseal().await?;
        keepers.insert(system, keeper);
    }
    Ok(keepers)
}

/// The configured apps, for a service that is reached at `public`.
fn apps(config: &Config, public: &str) -> Vec<(System, App)> {
    let redirect_url = |system: System| format!("{public}/oauth/{system}/callback");
    let (ghl, timerex) = (&config.systems.ghl, &config.systems.timerex);
    let at_ghl = ghl.oauth.as_ref().map(|oauth| GhlApp {
        client: OauthApp {
            system: System::Ghl,
            client_id: oauth.client_id.clone(),
            client_secret: oauth.client_secret.clone(),
            authorize_url: oauth.authorize_url.clone(),
            token_url: format!("{}/oauth/token", ghl.base_url.trim_end_matches('/')),
            scopes: oauth.scopes.clone(),
            redirect_url: redirect_url(System::Ghl),
            renew_before: oauth.renew_before,
        },
        base_url: ghl.base_url.clone(),
        version_id: oauth.version_id.clone(),
        version: oauth.version.clone(),
        reconnect: oauth.reconnect,
    });
    let at_timerex = timerex.oauth.as_ref().map(|oauth| TimerexApp {
        client: OauthApp {
            system: System::Timerex,
            client_id: oauth.client_id.clone(),
            client_secret: oauth.client_secret.clone(),
            authorize_url: oauth.authorize_url.clone(),
            token_url: oauth.token_url.clone(),
            scopes: oauth.scopes.clone(),
            redirect_url: redirect_url(System::Timerex),
            renew_before: oauth.renew_before,
        },
        base_url: timerex.base_url.clone(),
    });
    let at_ghl = at_ghl.map(|app| (System::Ghl, App::Ghl(app)));
    at_ghl.into_iter().chain(at_timerex.map(|app| (System::Timerex, App::Timerex(app)))).collect()
}
