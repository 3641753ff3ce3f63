//! The one place that knows concrete types: builds, wires, runs, stops.

mod access;
pub(crate) mod assembly;
mod bells;
mod conflicts;
mod connect;
mod deletions;
pub(crate) mod doorway;
mod grants;
mod installs;
mod invitations;
mod keepers;
mod ops;
mod preview;
pub(crate) mod roster;
mod rounds;
mod sites;
pub(crate) mod stages;
mod told;
pub mod veils;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use assembly::{Assembly, assemble};
pub use conflicts::shown;
use doorway::Doorway;
pub use preview::{Preview, Previewed};
use roster::{Roster, Served};
use stages::Stages;

use crate::clock::Clock;
use crate::config::{Config, Systems};
use crate::credentials::logins::Logins;
use crate::credentials::oauth::Keeper;
use crate::credentials::seal::Sealer;
use crate::dispatch::budget::{Budget, Limit};
use crate::dispatch::lease::Holder;
use crate::dispatch::worker::POLL;
use crate::http::{Connections, Frame, Operations, Public, affordable, routes, serve};
use crate::ids::Ids;
use crate::model::{Mode, System};
use crate::record::Recorder;
use crate::store::{Load, Store, StoreError, sql};
use crate::supervisor::Supervisor;
use crate::systems::http_client::{HttpLimits, HttpTransport};
use crate::systems::{Site, Transport};

/// How long what runs may take to end when we are asked to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a database server may take to answer for the first time.
const SERVER_STARTS: Duration = Duration::from_mins(1);

/// Connections of operators.
const OPERATORS: usize = 64;

/// How long a connection may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(30);

/// What the service stands on; tests and the demo bring their own.
#[derive(Clone)]
pub struct Ground {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids and jitter.
    pub ids: Arc<Ids>,
    /// The way out to the vendors.
    pub transport: Arc<dyn Transport>,
}

impl Ground {
    /// The machine's clock and randomness, and real HTTP. `proxy`: whether the environment's proxy is used.
    pub fn real(proxy: bool) -> Result<Self> {
        let limits = HttpLimits { proxy, ..HttpLimits::default() };
        Ok(Self {
            clock: Arc::new(crate::clock::SystemClock),
            ids: Arc::new(Ids::random()),
            transport: Arc::new(HttpTransport::new(&limits)?),
        })
    }
}

/// The running service.
pub struct Running {
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// Where webhooks are received.
    pub public: SocketAddr,
    /// Where operators are answered.
    pub ops: SocketAddr,
    roster: Arc<Roster>,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    holder: Arc<Holder>,
    /// Who keeps the installs of our app, by vendor.
    keepers: BTreeMap<System, Arc<Keeper>>,
    /// Rung when there may be something to do about installs.
    installs: Notify,
    /// An owner has just connected: what waited for that is looked for whatever was known before.
    just_connected: AtomicBool,
    /// Held while workspaces open, so that the doorway never goes back to fewer.
    opening: tokio::sync::Mutex<()>,
    doorway: Doorway,
    stages: Stages,
    supervisor: Supervisor,
    runs: Mutex<Vec<ops::Run>>,
}

/// Starts the service.
pub async fn start(config: &Config, ground: Ground) -> Result<Arc<Running>> {
    let (db, assembly) = founded(config, &ground).await?;
    let store: Arc<dyn Store> = db.clone();
    let Assembly { roster, doorway, recorder, writer, stages, holder, keepers } = assembly;
    let Ground { clock, ids, .. } = ground;
    let served = roster.served();
    let public = TcpListener::bind(config.server.public).await.with_context(|| taken(config.server.public))?;
    let ops = TcpListener::bind(config.server.ops).await.with_context(|| taken(config.server.ops))?;
    let supervisor = Supervisor::new(clock.clone());
    let listened = CancellationToken::new();
    supervisor.spawn(writer.run(listened.clone().cancelled_owned()));
    let running = Arc::new(Running {
        public: public.local_addr()?,
        ops: ops.local_addr()?,
        installs: Notify::new(),
        just_connected: AtomicBool::new(false),
        opening: tokio::sync::Mutex::default(),
        runs: Mutex::default(),
        doorway,
        stages,
        supervisor,
        keepers,
        store,
        roster,
        clock,
        ids,
        holder,
    });
    for name in served.sites.keys() {
        running.work(&served, name);
    }
    running.lead_on(&recorder);
    running.listen(config, public, ops, listened);
    running.look_after_installs();
    running.go_round(config, db);
    tracing::info!(public = %running.public, ops = %running.ops, workspaces = served.sites.len(), "lockstep serves");
    Ok(running)
}

/// Opens the store and wires the parts. A database server that does not answer starts beside us, or fails over: it is waited
/// for. What keeps a file from being opened seldom goes away by itself.
async fn founded(config: &Config, ground: &Ground) -> Result<(Arc<sql::Db>, Assembly)> {
    let began = ground.clock.now();
    let url = config.store.url.expose();
    loop {
        let founding = async {
            let db = sql::open(url).await?;
            let store: Arc<dyn Store> = db.clone();
            anyhow::Ok((db, assemble(config, ground, &store).await?))
        };
        let error = match founding.await {
            Ok(founded) => return Ok(founded),
            Err(error) => error,
        };
        let passes = matches!(error.downcast_ref(), Some(StoreError::Unavailable(_))) && !url.starts_with("sqlite://");
        if !passes || ground.clock.now().since(began) > SERVER_STARTS {
            return Err(error);
        }
        tracing::warn!(%error, "the database does not answer; trying again");
        tokio::time::sleep(POLL).await;
    }
}

/// The sites of a configuration, for looking at what they can do; nothing is called, and no sealed credential is opened.
pub fn sites(config: &Config) -> Result<BTreeMap<String, Arc<Site>>> {
    let logins = Logins::for_looking(&config.logins());
    let proofs = sites::Proofs { logins: &logins, sealed: None, keepers: BTreeMap::new() };
    let ground = Ground::real(false)?;
    let budget = Budget::new(limits(config), ground.clock.clone(), ground.ids.clone());
    sites::Builder::new(config, &proofs, budget, ground)?.sites(config)
}

fn taken(address: SocketAddr) -> String {
    format!("{address} cannot be listened on; is another Lockstep running?")
}

/// Makes rows for new workspaces (in shadow mode, unless the configuration says otherwise) and sets the modes it names.
async fn register(config: &Config, store: &dyn Store, clock: &dyn Clock) -> Result<()> {
    let now = clock.now();
    let names: Vec<String> = config.workspaces.iter().map(|workspace| workspace.name.clone()).collect();
    store.register(&names, Mode::Shadow, now).await?;
    for workspace in &config.workspaces {
        if let Some(mode) = workspace.mode {
            store.set_mode(&workspace.name, mode, now).await?;
        }
    }
    Ok(())
}

/// The sealer of the configured keys, if there are any.
pub fn sealer(config: &Config) -> Result<Option<Sealer>> {
    let keys = &config.seal.keys;
    if keys.is_empty() { Ok(None) } else { Ok(Some(Sealer::new(keys)?)) }
}

/// What a configuration says of how often each system may be called for one workspace.
pub(crate) fn limits(config: &Config) -> BTreeMap<System, Vec<Limit>> {
    let Systems { ghl, timify, timerex } = &config.systems;
    let of_ghl = vec![Limit::in_ten_seconds(ghl.requests_per_10s), Limit::in_a_day(ghl.requests_per_day)];
    let of_timify = vec![Limit::in_ten_seconds(timify.requests_per_10s)];
    let of_timerex = vec![
        Limit::in_ten_seconds(timerex.requests_per_10s),
        // TimeRex says what a minute holds of reads only; writes are counted too, as it may be all of them.
        Limit::in_a_minute(timerex.requests_per_minute),
        Limit::writes_in_an_hour(timerex.writes_per_hour),
    ];
    [(System::Ghl, of_ghl), (System::Timify, of_timify), (System::Timerex, of_timerex)].into()
}

impl Running {
    /// The workspaces that are served.
    pub fn sites(&self) -> BTreeMap<String, Arc<Site>> {
        self.roster.served().sites.clone()
    }

    fn serves(&self, workspace: &str) -> bool {
        self.roster.served().sites.contains_key(workspace)
    }

    /// Starts the worker of one workspace.
    fn work(&self, served: &Served, name: &str) {
        let (site, bell) = (served.sites[name].clone(), served.bells[name].clone());
        let worker = self.stages.worker(site, bell, &self.holder, POLL);
        let stop = self.supervisor.stop().clone();
        self.supervisor.watch(name, |heart| async move { worker.run(stop, heart).await });
    }

    /// Listens until the stop is rung; `listened` is rung when no webhook can come any more.
    fn listen(self: &Arc<Self>, config: &Config, public: TcpListener, ops: TcpListener, listened: CancellationToken) {
        let frame = Frame { clock: self.clock.clone(), ids: self.ids.clone() };
        let way_in = Public {
            intake: self.doorway.intake.clone(),
            health: self.doorway.health.clone(),
            connect: Arc::new(self.clone()),
            frame: frame.clone(),
            body_limit: config.server.body_limit,
        };
        let (ops_of, decisions) = (Arc::new(self.clone()), Arc::new(self.clone()));
        let operations = Operations { ops: ops_of, decisions, token: config.ops.token.clone(), frame };
        let most = affordable(config.server.connections);
        let ends = [
            (public, routes::public(way_in), most, listened),
            (ops, routes::ops(operations), OPERATORS, CancellationToken::new()),
        ];
        for (listener, router, most, ended) in ends {
            let limits = Connections { most, head: HEAD };
            let stop = self.supervisor.stop().clone();
            self.supervisor.spawn(async move {
                serve(listener, router, limits, stop.cancelled_owned()).await;
                ended.cancel();
            });
        }
    }

    /// Leases are renewed, and workers need not poll for what was just recorded.
    fn lead_on(self: &Arc<Self>, recorder: &Recorder) {
        let (holder, stop) = (self.holder.clone(), self.supervisor.stop().clone());
        self.supervisor.watch("leases", |heart| async move { holder.run(stop, heart).await });
        let (running, stop) = (self.clone(), self.supervisor.stop().clone());
        self.supervisor.spawn(async move {
            stop.run_until_cancelled(running.hear_bells()).await;
        });
        let (running, brought) = (self.clone(), recorder.brought());
        let stop = self.supervisor.stop().clone();
        self.supervisor.spawn(async move {
            while let Some(workspaces) = stop.run_until_cancelled(brought.take()).await {
                running.roster.served().wake_these(workspaces.iter().flatten().map(String::as_str));
                // What tells of our app itself may name no workspace, or one of ours.
                running.installs.notify_one();
                running.ring_elsewhere(workspaces.iter().flatten()).await;
            }
        });
    }

    fn wake(&self) {
        self.roster.served().wake();
    }

    fn wake_in(&self, workspace: &str) {
        self.roster.served().wake_these([workspace].into_iter());
    }

    /// What a workspace is doing.
    pub async fn load(&self, workspace: &str) -> Result<Load> {
        Ok(self.store.load(workspace).await?)
    }

    /// Finishes what runs, gives the leases back, and ends.
    pub async fn stop(&self) -> Result<()> {
        let ended = async {
            let ended = self.supervisor.finish(PATIENCE).await;
            for keeper in self.keepers.values() {
                keeper.settled().await;
            }
            ended
        };
        if !tokio::time::timeout(PATIENCE, ended).await.unwrap_or(false) {
            tracing::warn!("something still ran; its leases end by themselves");
        }
        self.holder.give_back().await?;
        Ok(())
    }
}
