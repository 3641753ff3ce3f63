//! The one place that knows concrete types: builds, wires, runs, stops.

mod ops;
mod preview;
mod sites;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::Notify;

pub use preview::{Preview, Previewed};

use crate::clock::Clock;
use crate::config::{self, Config};
use crate::credentials::logins::Logins;
use crate::credentials::seal::Sealer;
use crate::dispatch::budget::{Budget, Limits};
use crate::dispatch::lease::Holder;
use crate::dispatch::worker::Worker;
use crate::http::{Frame, Health, Operations, Public, routes};
use crate::ids::Ids;
use crate::mirror::{Lanes, UnderWay};
use crate::model::{Mode, System};
use crate::receive::{Gate, Intake};
use crate::reconcile::{Reconciler, Scope};
use crate::record::{Directory, Recorder, Waiting};
use crate::resolve::Resolver;
use crate::store::{Load, Store, sql};
use crate::supervisor::Supervisor;
use crate::systems::http_client::{HttpLimits, HttpTransport};
use crate::systems::{Site, Transport};

/// How long what runs may take to end when we are asked to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the service stands on; tests and the demo bring their own.
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
    /// Its workspaces.
    pub sites: BTreeMap<String, Arc<Site>>,
    /// Where webhooks are received.
    pub public: SocketAddr,
    /// Where operators are answered.
    pub ops: SocketAddr,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    holder: Arc<Holder>,
    reconciler: Reconciler,
    supervisor: Supervisor,
    wakes: Vec<Arc<Notify>>,
    runs: Mutex<Vec<ops::Run>>,
}

/// Starts the service.
pub async fn start(config: &Config, ground: Ground) -> Result<Arc<Running>> {
    let Ground { clock, ids, transport } = ground;
    let store = sql::open(config.store.url.expose()).await?;
    register(config, store.as_ref(), clock.as_ref()).await?;
    let sealer = sealer(config)?;
    let logins = Logins::gather(&config.logins(), store.as_ref(), sealer.as_ref()).await?;
    let budget = Budget::new(limits(config), clock.clone(), ids.clone());
    let builder =
        sites::Builder { config, logins: &logins, transport, clock: clock.clone(), ids: ids.clone(), budget: &budget };
    let sites = builder.sites()?;
    let names: Vec<String> = sites.keys().cloned().collect();
    let owner = ids.uuid(clock.now()).to_string();
    let holder = Arc::new(Holder::new(store.clone(), clock.clone(), owner, config.dispatch.lease, names));
    holder.renew().await?;

    let public = TcpListener::bind(config.server.public).await.with_context(|| taken(config.server.public))?;
    let ops = TcpListener::bind(config.server.ops).await.with_context(|| taken(config.server.ops))?;
    let wakes = sites.keys().map(|_| Arc::new(Notify::new())).collect();
    let running = Arc::new(Running {
        reconciler: Reconciler {
            log: store.clone(),
            entities: store.clone(),
            workspaces: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        },
        public: public.local_addr()?,
        ops: ops.local_addr()?,
        supervisor: Supervisor::new(clock.clone()),
        runs: Mutex::default(),
        store,
        sites,
        clock,
        ids,
        holder,
        wakes,
    });
    running.spawn_workers();
    running.listen(config, public, ops);
    running.reconcile_every(config.reconcile.every);
    tracing::info!(public = %running.public, ops = %running.ops, workspaces = running.sites.len(), "lockstep serves");
    Ok(running)
}

/// The sites of a configuration, for looking at what they can do; nothing is called, and no sealed credential is opened.
pub fn sites(config: &Config) -> Result<BTreeMap<String, Arc<Site>>> {
    let Ground { clock, ids, transport } = Ground::real(false)?;
    let logins = Logins::for_looking(&config.logins());
    let budget = Budget::new(limits(config), clock.clone(), ids.clone());
    sites::Builder { config, logins: &logins, transport, clock, ids, budget: &budget }.sites()
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

fn limits(config: &Config) -> BTreeMap<System, Limits> {
    let systems = &config.systems;
    [
        (System::Ghl, systems.ghl.requests_per_10s, Some(systems.ghl.requests_per_day)),
        (System::Timify, systems.timify.requests_per_10s, None),
        (System::Timerex, systems.timerex.requests_per_10s, None),
    ]
    .map(|(system, short, day)| (system, Limits { short: Some(short), day }))
    .into()
}

impl Running {
    fn spawn_workers(&self) {
        let store = &self.store;
        let resolver =
            Arc::new(Resolver::new(store.clone(), store.clone(), store.clone(), self.clock.clone(), self.ids.clone()));
        let lanes = Arc::new(Lanes {
            log: store.clone(),
            mirrors: store.clone(),
            settling: store.clone(),
            workspaces: store.clone(),
            lookup: resolver.lookup(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            under_way: UnderWay::default(),
        });
        let (holder, stop) = (self.holder.clone(), self.supervisor.stop().clone());
        self.supervisor.watch("leases", |heart| async move { holder.run(stop, heart).await });
        for (site, wake) in self.sites.values().zip(&self.wakes) {
            let worker = Worker {
                site: site.clone(),
                resolver: resolver.clone(),
                lanes: lanes.clone(),
                mirrors: store.clone(),
                workspaces: store.clone(),
                holder: self.holder.clone(),
                clock: self.clock.clone(),
                wake: wake.clone(),
            };
            let stop = self.supervisor.stop().clone();
            self.supervisor.watch(site.workspace.name.clone(), |heart| async move { worker.run(stop, heart).await });
        }
    }

    fn listen(self: &Arc<Self>, config: &Config, public: TcpListener, ops: TcpListener) {
        let (recorder, writer) = Recorder::new(self.store.clone(), Waiting::default());
        self.wake_on_commits(&recorder);
        self.supervisor.spawn(writer.run());
        let checks = config::checks(config);
        let models = config.workspaces();
        let health = Health::new(self.store.clone(), models.clone(), &checks, self.clock.clone());
        let doors = sites::doors();
        let gate = |(system, checks)| (system, Gate { checks, door: doors[&system].clone() });
        let gates = checks.into_iter().map(gate).collect();
        let directory = Directory::of(&models);
        let intake = Intake::new(gates, directory, recorder, self.clock.clone(), self.ids.clone());
        let frame = Frame { clock: self.clock.clone(), ids: self.ids.clone() };
        let routes = [
            (
                public,
                routes::public(Public {
                    intake: Arc::new(intake),
                    health: Arc::new(health),
                    frame: frame.clone(),
                    body_limit: config.server.body_limit,
                }),
            ),
            (ops, routes::ops(Operations { ops: Arc::new(self.clone()), token: config.ops.token.clone(), frame })),
        ];
        for (listener, router) in routes {
            let stop = self.supervisor.stop().clone();
            self.supervisor.spawn(async move {
                let serving = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
                if let Err(error) = serving.await {
                    tracing::error!(error = %error, "a listener ended");
                }
            });
        }
    }

    /// Reconciles all workspaces from time to time; those whose lease is elsewhere are left to their holder.
    fn reconcile_every(self: &Arc<Self>, every: Duration) {
        if every.is_zero() {
            return;
        }
        let (running, stop) = (self.clone(), self.supervisor.stop().clone());
        self.supervisor.spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(every) => {}
                }
                if let Err(error) = ops::start_reconcile(&running, None, Scope::default()) {
                    tracing::warn!(error = %error, "a reconcile was left out");
                }
            }
        });
    }

    /// Workers need not poll for what was just recorded.
    fn wake_on_commits(&self, recorder: &Recorder) {
        let mut commits = recorder.commits();
        let wakes = self.wakes.clone();
        let stop = self.supervisor.stop().clone();
        self.supervisor.spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = commits.changed() => if changed.is_err() { return },
                }
                for wake in &wakes {
                    wake.notify_one();
                }
            }
        });
    }

    fn wake(&self) {
        for wake in &self.wakes {
            wake.notify_one();
        }
    }

    /// What a workspace is doing.
    pub async fn load(&self, workspace: &str) -> Result<Load> {
        Ok(self.store.load(workspace).await?)
    }

    /// Finishes what runs, gives the leases back, and ends.
    pub async fn stop(&self) -> Result<()> {
        if !self.supervisor.finish(PATIENCE).await {
            tracing::warn!("something still ran; its leases end by themselves");
        }
        self.holder.give_back().await?;
        Ok(())
    }
}
