//! Installs against a vendor whose refresh tokens are good once, over a real store.

mod connecting;
mod fake;
mod renewing;
mod tending;
mod timerex;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use self::fake::{AGENCY, Fake, HERE};
use super::{App, Finished, GhlApp, Keeper, Means, OauthApp, OauthError};
use crate::clock::{Clock, ManualClock, Millis};
use crate::credentials::seal::{Sealer, new_key};
use crate::model::{Install, InstallKey, InstallState, System};
use crate::secret::Secret;
use crate::store::{Installs, Store, sql};
use crate::systems::{Credential, SystemError, Version};

/// Where the owner comes back to.
const BACK: &str = "https://sync.example.com/oauth/ghl/callback";

/// After this the access token of the documents (86,399 s) has less than a minute left.
const NEARLY_A_DAY: Duration = Duration::from_mins(24 * 60 - 1);

/// A vendor, a store and a clock.
struct Bench {
    fake: Arc<Fake>,
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    sealer: Arc<Sealer>,
    app: GhlApp,
    _folder: TempDir,
}

fn here() -> InstallKey {
    InstallKey::location(HERE)
}

fn agency() -> InstallKey {
    InstallKey::company(AGENCY)
}

/// Wants one location.
fn only_here(location: &str, _company: Option<&str>) -> bool {
    location == HERE
}

fn any(_location: &str, _company: Option<&str>) -> bool {
    true
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("lockstep.db").display());
        let client = OauthApp {
            system: System::Ghl,
            authorize_url: "https://marketplace.test/v2/oauth/chooselocation".to_owned(),
            token_url: "https://vendor.test/oauth/token".to_owned(),
            client_id: "app-suffix".to_owned(),
            client_secret: Secret::new("client-secret"),
            scopes: vec!["contacts.readonly".to_owned(), "calendars/events.write".to_owned()],
            redirect_url: BACK.to_owned(),
            renew_before: Duration::from_hours(1),
        };
        let app = GhlApp {
            client,
            base_url: "https://vendor.test/".to_owned(),
            version_id: Some("v1".to_owned()),
            version: "2021-07-28".to_owned(),
            reconnect: false,
        };
        Self {
            fake: Arc::new(Fake::new()),
            store: sql::open(&url).await.unwrap(),
            clock: Arc::new(ManualClock::at(Millis(1_767_323_045_000))),
            sealer: Arc::new(Sealer::new(&[Secret::new(new_key().unwrap())]).unwrap()),
            app,
            _folder: folder,
        }
    }

    fn keeper(&self, owner: &str) -> Arc<Keeper> {
        self.keeper_over(owner, self.store.clone())
    }

    fn keeper_over(&self, owner: &str, store: Arc<dyn Installs>) -> Arc<Keeper> {
        let (sealer, clock, owner) = (self.sealer.clone(), self.clock.clone(), owner.to_owned());
        let means = Means { store, sealer, transport: self.fake.clone(), clock, owner };
        Keeper::new(App::Ghl(self.app.clone()), means).unwrap()
    }

    /// The owner of an account goes through the whole authorization.
    async fn connect(&self, keeper: &Arc<Keeper>, key: &InstallKey) -> Result<Finished, OauthError> {
        let begun = keeper.begin().await.unwrap();
        let code = Secret::new(self.fake.code(key));
        keeper.finish(&state_of(&begun.url), &begun.cookie, &code, &only_here).await
    }

    /// A keeper whose location is connected.
    async fn connected(&self) -> Arc<Keeper> {
        let keeper = self.keeper("one");
        self.connect(&keeper, &here()).await.unwrap();
        keeper
    }

    /// A keeper whose agency is connected, and with it its location.
    async fn agency_connected(&self) -> Arc<Keeper> {
        let keeper = self.keeper("one");
        self.connect(&keeper, &agency()).await.unwrap();
        keeper
    }

    async fn row(&self, key: &InstallKey) -> Option<Install> {
        self.store.install(key).await.unwrap()
    }

    async fn state(&self, key: &InstallKey) -> Option<InstallState> {
        self.row(key).await.map(|row| row.state)
    }

    fn refreshes(&self) -> usize {
        self.fake.count("refresh_token")
    }

    /// The vendor forgets all refresh tokens of an account.
    fn spend(&self, key: &InstallKey) {
        self.fake.ground().refresh.retain(|_, whose| whose != key);
    }

    /// Whether a request signed now is let in.
    async fn works(&self, keeper: &Arc<Keeper>) -> bool {
        let header = sign(&keeper.credential(here())).await.unwrap().0;
        self.fake.lets_in(&here(), &header)
    }
}

fn state_of(url: &Secret) -> Secret {
    let (_, query) = url.expose().split_once('?').unwrap();
    Secret::new(query.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap())
}

async fn sign(credential: &Arc<dyn Credential>) -> Result<(String, Version), SystemError> {
    let mut request = http::Request::new(Bytes::new());
    let version = credential.sign(&mut request).await?;
    Ok((request.headers()["authorization"].to_str().unwrap().to_owned(), version))
}

/// What a refusal without asking says.
async fn unauthorized(credential: &Arc<dyn Credential>) -> String {
    match sign(credential).await {
        Err(SystemError::Unauthorized { reason, .. } | SystemError::NotConnected { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}
