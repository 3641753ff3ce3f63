//! Only the way in: the public listener on a store, without workers, with a clock that the test moves.

use std::sync::Arc;

use async_trait::async_trait;
use lockstep::cli::demo::config::{self, Service};
use lockstep::clock::{Clock, ManualClock, Millis, SystemClock};
use lockstep::config::{Config, checks};
use lockstep::http::{Access, Begun, Connect, ConnectError, Connected, Frame, Health, Lacks, Public, routes};
use lockstep::ids::Ids;
use lockstep::model::{Change, Install, Standing, System, Workspace};
use lockstep::receive::{Gate, Intake};
use lockstep::record::{Directory, Recorder, Waiting};
use lockstep::sandbox::signing::Signer;
use lockstep::sandbox::{SandboxSettings, StandIn};
use lockstep::secret::Secret;
use lockstep::store::{Store, StoreError};
use lockstep::systems::Door;
use lockstep::systems::ghl::GhlDoor;
use lockstep::systems::timerex::TimerexDoor;
use lockstep::systems::timify::TimifyDoor;
use lockstep::verify::PublicKey;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// The way in for all systems.
pub struct Doorway {
    /// Where it is kept.
    pub store: Arc<dyn Store>,
    /// What it believes the time to be.
    pub clock: Arc<ManualClock>,
    /// The way in, without HTTP.
    pub intake: Arc<Intake>,
    /// What it was configured from.
    pub config: Config,
    /// The sandbox whose keys it believes.
    pub settings: SandboxSettings,
    signer: Arc<Signer>,
    base: String,
    client: reqwest::Client,
    listener: AbortHandle,
}

impl Drop for Doorway {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Doorway {
    /// On a store. With `rsa`, GHL's older signature is made and, until its date, believed.
    pub async fn open(store: &Arc<dyn Store>, now: &str, rsa: bool, adjust: impl FnOnce(&mut Config)) -> Self {
        let mut settings = SandboxSettings::example();
        settings.ghl_keys.rsa = rsa;
        let signer = Arc::new(Signer::new(&settings).unwrap());
        let text = config::text(&settings, "http://127.0.0.1:9", &Service::default()).unwrap();
        let mut config = Config::read("lockstep.toml", &text, std::env::temp_dir().as_path(), []).unwrap();
        config.systems.ghl.rsa_keys = signer.rsa_pem().iter().map(|pem| PublicKey::rsa(pem).unwrap()).collect();
        adjust(&mut config);
        let clock = Arc::new(ManualClock::at(Millis::parse(now).unwrap()));
        Self::serve(store.clone(), clock, config, settings, signer).await
    }

    /// The same again, as after a restart: with the same keys, on the same store, at the same time.
    pub async fn again(&self) -> Self {
        let (config, settings) = (self.config.clone(), self.settings.clone());
        Self::serve(self.store.clone(), self.clock.clone(), config, settings, self.signer.clone()).await
    }

    async fn serve(
        store: Arc<dyn Store>,
        clock: Arc<ManualClock>,
        config: Config,
        settings: SandboxSettings,
        signer: Arc<Signer>,
    ) -> Self {
        let (time, ids): (Arc<dyn Clock>, _) = (clock.clone(), Arc::new(Ids::seeded(5)));
        let (recorder, writer) = Recorder::new(store.clone(), Waiting::default(), Arc::new(SystemClock));
        tokio::spawn(writer.run(std::future::pending()));
        let (checks, workspaces) = (checks(&config), config.workspaces());
        let doors: [(System, Arc<dyn Door>); 3] = [
            (System::Ghl, Arc::new(GhlDoor)),
            (System::Timify, Arc::new(TimifyDoor)),
            (System::Timerex, Arc::new(TimerexDoor)),
        ];
        let gates = doors.into_iter().map(|(system, door)| (system, Gate { checks: checks[&system].clone(), door }));
        let gates = gates.collect();
        let directory = Directory::of(&workspaces);
        let intake = Intake::new(gates, directory, recorder, Arc::new(|_, _| None), time.clone(), ids.clone());
        let intake = Arc::new(intake);
        intake.sightings().keep(store.as_ref(), clock.now()).await.unwrap();
        let health =
            Health::new(store.clone(), workspaces, &checks, Arc::new(Nobody), intake.sightings(), time.clone());
        let public = Public {
            intake: intake.clone(),
            health: Arc::new(health),
            connect: Arc::new(Nobody),
            frame: Frame { clock: time, ids },
            body_limit: config.server.body_limit,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, routes::public(public)).await.unwrap() });
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        Self { store, clock, intake, config, settings, signer, base, client, listener: serving.abort_handle() }
    }

    /// The headers with which GHL signs a body.
    pub fn signed(&self, body: &[u8]) -> Vec<(String, String)> {
        self.signer.headers(StandIn::vendor(System::Ghl), "", "", self.clock.now(), body)
    }

    /// Posts a webhook of GHL over HTTP: the status, and `status` or `code` of the answer.
    pub async fn post(&self, headers: &[(String, String)], body: &str) -> (u16, String) {
        self.post_to(System::Ghl, headers, body).await
    }

    /// The same for any system.
    pub async fn post_to(&self, system: System, headers: &[(String, String)], body: &str) -> (u16, String) {
        let request = self.client.post(format!("{}/webhooks/{system}", self.base)).body(body.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let said = if status == 200 { &said["status"] } else { &said["code"] };
        (status, said.as_str().unwrap().to_owned())
    }

    /// `GET /health`.
    pub async fn health(&self) -> Value {
        let answer = self.client.get(format!("{}/health", self.base)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// The row that came last.
    pub async fn newest(&self) -> Option<Change> {
        let mut newest: Option<Change> = None;
        for standing in Standing::ALL {
            let one = self.store.by_standing(*standing, 1).await.unwrap().pop();
            newest = newest.into_iter().chain(one).max_by_key(|change| change.id);
        }
        newest
    }
}

/// Nobody connects here, and nothing is known of what is granted.
struct Nobody;

#[async_trait]
impl Access for Nobody {
    async fn install(&self, _: &Workspace, _: System) -> Result<Option<Install>, StoreError> {
        Ok(None)
    }
    fn lacks(&self, _: &str, _: System) -> Lacks {
        Lacks::default()
    }
}

#[async_trait]
impl Connect for Nobody {
    async fn begin(&self, _: System) -> Result<Begun, ConnectError> {
        Err(ConnectError::NotConfigured)
    }
    async fn finish(&self, _: System, _: &str, _: &Secret, _: &Secret) -> Result<Connected, ConnectError> {
        Err(ConnectError::NotConfigured)
    }
    fn is_https(&self) -> bool {
        false
    }
}
