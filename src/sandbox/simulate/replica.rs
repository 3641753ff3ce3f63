//! A replica: what [`assemble`] wires, run by its own workers. Killed, it learns of nothing any more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::twin::Kept;
use super::wire::Wire;
use super::world::{Shared, lock};
use crate::app::Ground;
use crate::app::assembly::{Assembly, assemble};
use crate::app::roster::Served;
use crate::app::stages::Stages;
use crate::clock::Clock;
use crate::config::Config;
use crate::dispatch::lease::Holder;
use crate::ids::Ids;
use crate::receive::Intake;
use crate::supervisor::Heartbeat;

/// How often workers look for what nothing told them of; longer than in earnest, since each look takes time here.
const POLL: Duration = Duration::from_secs(5);

/// The way into a running replica.
pub struct Door {
    /// Where webhooks come in.
    pub intake: Arc<Intake>,
    /// What is behind.
    pub stages: Arc<Stages>,
    /// What is served.
    pub served: Arc<Served>,
    /// The leases.
    pub holder: Arc<Holder>,
}

/// One replica; without a door it is not up yet, or down.
#[derive(Default)]
pub struct Replica {
    door: Arc<Mutex<Option<Door>>>,
    /// All that it runs; dropped, it is killed.
    pub tasks: JoinSet<()>,
    up: bool,
    starts: u64,
}

impl Replica {
    /// Looks at it if it is up.
    pub fn with<T>(&self, look: impl FnOnce(&Door) -> T) -> Option<T> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(look)
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.tasks = JoinSet::new();
        self.up = false;
        *self.door.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Starts it, unless it is up; `seed` makes its ids.
    pub fn start(&mut self, number: usize, seed: u64, config: &Config, store: &Kept, world: &Shared) {
        if std::mem::replace(&mut self.up, true) {
            return;
        }
        self.starts += 1;
        let wire = Arc::new(Wire { world: world.clone(), caller: (number, self.starts) });
        let ground = Ground {
            clock: Arc::new(lock(world).clock.clone()),
            ids: Arc::new(Ids::seeded(seed ^ (number as u64 + 1) << 40 ^ self.starts << 50)),
            transport: wire.clone(),
        };
        let store = store.paced(wire);
        let (config, door, world) = (config.clone(), self.door.clone(), world.clone());
        self.tasks.spawn(async move {
            match assemble(&config, &ground, &store).await {
                Ok(assembly) => run(assembly, ground, &door, &world).await,
                Err(_) => lock(&world).count("broken/a replica cannot start"),
            }
        });
    }
}

/// Runs what a replica is made of.
async fn run(assembly: Assembly, ground: Ground, door: &Mutex<Option<Door>>, world: &Shared) {
    let Assembly { roster, doorway, recorder, writer, stages, holder, .. } = assembly;
    let (served, stages) = (roster.served(), Arc::new(stages));
    let mut running = JoinSet::new();
    running.spawn(writer.run(std::future::pending()));
    let stop = CancellationToken::new();
    let beat = |clock: &Arc<dyn Clock>| Heartbeat::unwatched(clock.clone());
    let (leases, heart, ring) = (holder.clone(), beat(&ground.clock), stop.clone());
    running.spawn(async move { leases.run(ring, heart).await });
    for (name, site) in &served.sites {
        let worker = stages.worker(site.clone(), served.bells[name].clone(), &holder, POLL);
        let (heart, ring) = (beat(&ground.clock), stop.clone());
        running.spawn(async move { worker.run(ring, heart).await });
    }
    let (brought, woken) = (recorder.brought(), served.clone());
    running.spawn(async move {
        loop {
            woken.wake_these(brought.take().await.iter().flatten().map(String::as_str));
        }
    });
    let open = Door { intake: doorway.intake.clone(), stages, served, holder };
    *door.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
    while let Some(ended) = running.join_next().await {
        if ended.is_err() {
            lock(world).count("broken/a worker panicked");
        }
    }
}
