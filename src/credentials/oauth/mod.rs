//! OAuth 2.0 installs of our app at a vendor: how tokens come, how they are kept fresh, and how they go.
//!
//! In: an owner who comes back from the vendor's page with a code, webhooks that tell of installs, calls to sign. Out:
//! [`Install`] rows with sealed tokens, and a [`Credential`](crate::systems::Credential) for each
//! account. A refresh token is good once, so a pair is renewed by one task of one replica at a time, and the new one is
//! stored before anybody uses it. What is a vendor's own stands behind `vendor`: a new one is a file beside `timerex` and a
//! config table. The HTTP routes and their pages are elsewhere.

mod client;
mod connect;
mod credential;
mod ghl;
mod held;
mod pair;
mod renew;
mod tend;
mod timerex;
mod vendor;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::task::TaskTracker;

use self::held::Held;
use self::vendor::Vendor;
use super::seal::{SealError, Sealer};
use crate::clock::Clock;
use crate::model::{Install, InstallKey, System};
use crate::secret::Secret;
use crate::store::{Installs, StoreError};
use crate::systems::{SystemError, Transport};

/// Our app, as any vendor knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthApp {
    /// The vendor.
    pub system: System,
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: Secret,
    /// Where the owner of an account is sent to.
    pub authorize_url: String,
    /// Where codes and refresh tokens are traded.
    pub token_url: String,
    /// What we ask for.
    pub scopes: Vec<String>,
    /// Where the owner comes back to.
    pub redirect_url: String,
    /// Access tokens are renewed this long before they end.
    pub renew_before: Duration,
}

/// Our app at GHL. Its client id is the app's id, a dash, and a suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GhlApp {
    /// The client.
    pub client: OauthApp,
    /// Where the API answers: `https://services.leadconnectorhq.com`.
    pub base_url: String,
    /// The version of a private app, which its owner is asked for by.
    pub version_id: Option<String>,
    /// The `Version` header of OAuth calls.
    pub version: String,
    /// Whether lost tokens are asked for anew with our client secret alone.
    pub reconnect: bool,
}

impl GhlApp {
    /// The id of the app that the client is.
    pub fn app_id(&self) -> &str {
        self.client.client_id.split('-').next().unwrap_or_default()
    }
}

/// Our app at TimeRex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerexApp {
    /// The client.
    pub client: OauthApp,
    /// Where the API answers: `https://timerex.net/api/beta`.
    pub base_url: String,
}

/// Our app at one vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum App {
    /// At GHL.
    Ghl(GhlApp),
    /// At TimeRex.
    Timerex(TimerexApp),
}

/// What a keeper stands on.
#[derive(Clone)]
pub struct Means {
    /// Where installs are kept.
    pub store: Arc<dyn Installs>,
    /// Seals their tokens.
    pub sealer: Arc<Sealer>,
    /// The way out.
    pub transport: Arc<dyn Transport>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Names this replica in claims.
    pub owner: String,
}

/// Tells whether we want an install: at a location (`""`: any of its company), of a company where that is known; at a team,
/// of its user.
pub type Admits<'a> = &'a (dyn Fn(&str, Option<&str>) -> bool + Send + Sync);

/// An authorization that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Where to send the owner's browser.
    pub url: Secret,
    /// What the browser must show when it comes back.
    pub cookie: Secret,
}

/// What came of an authorization, or of the word that the app was installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finished {
    /// Have tokens now.
    pub connected: Vec<InstallKey>,
    /// Installed, and their tokens are still to come.
    pub awaiting: Vec<InstallKey>,
    /// Installed at the vendor, and not wanted here. Nothing of them is kept.
    pub refused: Vec<InstallKey>,
}

/// Why an authorization, or what was asked for an install, came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum OauthError {
    /// Too many authorizations are open.
    #[error("too many authorizations are open; the oldest end in ten minutes")]
    Crowded,
    /// The `state` is unknown, too old, or was used already.
    #[error("this authorization was not begun here, has ended, or was used already: begin it again")]
    Ticket,
    /// The browser is not the one that began it.
    #[error("this authorization was begun in another browser: begin it again in this one")]
    Cookie,
    /// The vendor did not take the code.
    #[error("the vendor does not take the code: begin the authorization again ({0})")]
    Code(String),
    /// The vendor does not know our client.
    #[error("the vendor does not take our client: check client_id and client_secret in [systems.{0}.oauth]")]
    Client(System),
    /// Nobody asked for this account.
    #[error(
        "{0} is, or sees, no account that a workspace here has and nobody else has connected; nothing of it was kept"
    )]
    Foreign(InstallKey),
    /// There is no such install.
    #[error("there is no install {0}")]
    Unknown(InstallKey),
    /// An address in the configuration is none.
    #[error("{0} is not an address")]
    Address(&'static str),
    /// The vendor did not do what was asked.
    #[error(transparent)]
    Vendor(#[from] SystemError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sealed row does not open with any of our keys.
    #[error("the sealed tokens of {key} do not open: their key is not among `[seal] keys`")]
    Sealed {
        /// The row.
        key: InstallKey,
        /// Why.
        #[source]
        source: SealError,
    },
    /// A sealed row holds something else.
    #[error("the sealed tokens of {0} cannot be read; connect it again")]
    Unreadable(InstallKey),
    /// Sealing failed, or there was no randomness.
    #[error("tokens cannot be sealed")]
    Sealing(#[source] SealError),
}

/// Keeps the installs of our app at one vendor.
pub struct Keeper {
    vendor: Arc<dyn Vendor>,
    store: Arc<dyn Installs>,
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
    owner: String,
    held: Mutex<BTreeMap<InstallKey, Arc<Held>>>,
    /// Renewals that run, whoever waits for them.
    renewals: TaskTracker,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keeper({}, {})", self.system(), self.app().client_id)
    }
}

impl Keeper {
    /// Keeps the installs of an app; nothing is called yet.
    pub fn new(app: App, means: Means) -> Result<Arc<Self>, OauthError> {
        let Means { store, sealer, transport, clock, owner } = means;
        let vendor: Arc<dyn Vendor> = match app {
            App::Ghl(app) => Arc::new(ghl::Ghl::new(app, transport)?),
            App::Timerex(app) => Arc::new(timerex::Timerex::new(app, transport)?),
        };
        Ok(Arc::new(Self { vendor, store, sealer, clock, owner, held: Mutex::default(), renewals: TaskTracker::new() }))
    }

    fn app(&self) -> &OauthApp {
        &self.vendor.client().app
    }

    fn system(&self) -> System {
        self.app().system
    }

    /// The rows that are ours.
    async fn rows(&self) -> Result<Vec<Install>, OauthError> {
        let mut rows = self.store.installs().await?;
        rows.retain(|row| row.key.system == self.system());
        Ok(rows)
    }

    /// What is held in memory of an install, if anything is: nothing is made for whatever a webhook may name.
    fn peek(&self, key: &InstallKey) -> Option<Arc<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// What is held in memory of an install.
    fn held(&self, key: &InstallKey) -> Arc<Held> {
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key.clone()).or_insert_with(|| Arc::new(Held::new(self.clock.clone()))).clone()
    }
}

/// The vendor does not let us in; said without asking it again.
fn unauthorized(system: System, reason: impl Into<String>) -> SystemError {
    SystemError::Unauthorized { system, status: 401, reason: reason.into() }
}

/// There are no tokens, and there is nobody to ask for some but the owner of the account.
fn not_connected(system: System, reason: impl Into<String>) -> SystemError {
    SystemError::NotConnected { system, reason: reason.into() }
}
