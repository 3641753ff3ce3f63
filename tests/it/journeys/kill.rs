//! `kill -9` at random moments of a burst, each followed by a restart: of the service, of one of two replicas, of PostgreSQL,
//! while vendors fail. Nothing acknowledged is lost, nothing is made twice, at most one equal write is repeated per kill and
//! call in flight, and in the end all systems agree.
//!
//! `LOCKSTEP_KILL_SEED` and `LOCKSTEP_KILLS` choose another run; a failure prints its seed and keeps its folder.

mod faults;
mod fleet;
pub mod installs;
mod load;
pub mod proof;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use lockstep::cli::demo::config::{self, Service as Settings};
use lockstep::clock::{Clock, Millis, SystemClock};
use lockstep::model::MirrorState;
use lockstep::sandbox::delivery::{DeliverySettings, Retries};
use lockstep::sandbox::settings::SandboxSettings;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::ledger::Ledger;
use crate::support::postgres::{self, Cluster};
use crate::support::service::{Service, free_port};
use crate::support::stage::Stage;
use fleet::Fleet;
use installs::Reach;
use load::{Load, Told};

/// How long a stand-in holds the answer to a write back: the window in which a kill leaves a call open.
const ANSWER_MS: u64 = 40;

/// The longest pause between two people's edits.
const PAUSE: Duration = Duration::from_millis(240);

/// How long everything may take to come to rest after the last kill.
const PATIENCE: Duration = Duration::from_secs(90);

/// Who is slow to answer.
const STAND_INS: [(&str, bool); 5] =
    [("ghl", false), ("timify", false), ("timerex", false), ("timify", true), ("timerex", true)];

/// When the calls were sent that were stored as sent and have no answer.
#[derive(Default)]
struct Open {
    creates: BTreeSet<i64>,
    writes: BTreeSet<i64>,
}

impl Open {
    fn extend(&mut self, more: Self) {
        self.creates.extend(more.creates);
        self.writes.extend(more.writes);
    }
}

/// One kill, and what it left behind.
pub struct Kill {
    pub at: Millis,
    /// Who was killed.
    pub victim: &'static str,
    /// Creates that were sent since the kill before, with no answer stored.
    pub creates: usize,
    /// Other writes likewise.
    pub writes: usize,
}

pub struct Trial {
    pub seed: u64,
    pub kills: usize,
    pub url: String,
    pub folder: TempDir,
    /// Whether GHL is reached by installs of the app, and not by a token that stays.
    pub installed: bool,
    /// How many processes there are on the same database.
    pub replicas: usize,
    /// The database, where it is killed, too.
    pub cluster: Option<Cluster>,
    /// Whether vendors fail now and then.
    pub faults: bool,
}

/// A number from the environment.
pub fn chosen<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().map_or(default, |text| text.parse().ok().unwrap_or_else(|| panic!("{name} is no number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_made_twice_when_it_is_killed_on_sqlite() {
    Trial::on_sqlite(chosen("LOCKSTEP_KILL_SEED", 1), chosen("LOCKSTEP_KILLS", 50)).run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_made_twice_when_it_is_killed_and_vendors_fail_on_sqlite() {
    let trial = Trial::on_sqlite(chosen("LOCKSTEP_KILL_SEED", 1), chosen("LOCKSTEP_KILLS", 50) / 5);
    Trial { faults: true, ..trial }.run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(
    postgres_missing,
    ignore = "no PostgreSQL: apt-get install postgresql, or set TEST_POSTGRES_URL=postgres://USER@HOST/DATABASE; then \
              cargo test"
)]
async fn nothing_is_lost_or_made_twice_when_replicas_and_postgres_are_killed_and_vendors_fail() {
    // Without its programs here, the server is another's, which nobody may kill.
    let (url, cluster, _fresh) = if let Some(cluster) = Cluster::own().await {
        (cluster.url.clone(), Some(cluster), None)
    } else {
        let fresh = postgres::fresh().await;
        (fresh.url.clone(), None, Some(fresh))
    };
    let trial = Trial::on_sqlite(chosen("LOCKSTEP_KILL_SEED", 1), chosen("LOCKSTEP_KILLS", 50) * 3 / 10);
    Trial { url, replicas: 2, cluster, faults: true, ..trial }.run().await;
}

impl Trial {
    /// One process, on a file of its own.
    pub fn on_sqlite(seed: u64, kills: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("lockstep.db").display());
        Self { seed, kills, url, folder, installed: false, replicas: 1, cluster: None, faults: false }
    }

    pub async fn run(mut self) {
        let ports: Vec<u16> = (0..self.replicas).map(|_| free_port()).collect();
        let settings = self.settings(&ports);
        let stage = Arc::new(Stage::start(settings.clone()).await);
        for (system, extension) in STAND_INS {
            stage.slow_answers(system, extension, ANSWER_MS).await;
        }
        let mut fleet = self.fleet(&settings, &stage, &ports);
        fleet.start_all();
        if self.installed {
            stage.slow_tokens(ANSWER_MS, None).await;
            installs::connect(ports[0], &installs::agency(&settings)).await;
        }
        let stop = CancellationToken::new();
        let people = tokio::spawn(Load::new(stage.clone(), self.seed).run(stop.clone(), PAUSE));
        let trouble = faults::now_and_then(stage.clone(), self.seed, stop.clone());
        let trouble = self.faults.then(|| tokio::spawn(trouble));
        let kills = self.kill_again_and_again(&mut fleet, &stage).await;
        stop.cancel();
        let told = people.await.unwrap();
        if let Some(trouble) = trouble {
            println!("faults: {:?}", trouble.await.unwrap());
        }
        let rested = rest(&self.url, &[&stage.account.name], &stage).await;
        fleet.stop_all();
        self.judge(&stage, &told, &kills, rested).await;
    }

    fn fleet(&mut self, settings: &SandboxSettings, stage: &Stage, ports: &[u16]) -> Fleet {
        let reach = if self.installed { Reach::InstallsAskedAnew } else { Reach::Tokens };
        let replica = |(number, port): (usize, &u16)| {
            let folder = self.folder.path().join(format!("replica-{number}"));
            std::fs::create_dir(&folder).unwrap();
            service(settings, stage, &self.url, &folder, *port, reach)
        };
        let replicas = ports.iter().enumerate().map(replica).collect();
        Fleet { replicas, cluster: self.cluster.take() }
    }

    /// Each sender has its replica.
    fn settings(&self, ports: &[u16]) -> SandboxSettings {
        let mut settings = sandbox_settings(SandboxSettings::example(), self.seed, ports[0]);
        let first = format!(":{}/", ports[0]);
        for (receiver, port) in settings.receivers.iter_mut().zip(ports.iter().cycle()) {
            receiver.url = receiver.url.replace(&first, &format!(":{port}/"));
        }
        if self.installed {
            installs::set(&mut settings, ports[0]);
            settings.ghl.oauth.reconnect = true;
        }
        settings
    }

    async fn kill_again_and_again(&self, fleet: &mut Fleet, stage: &Stage) -> Vec<Kill> {
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let mut kills = Vec::new();
        let mut before = SystemClock.now();
        while kills.len() < self.kills {
            self.moment(&mut rng, stage).await;
            let victim = fleet.any(&mut rng);
            // Others may read what the victim left open before we do.
            let mut open = if fleet.is_alone(victim) { Open::default() } else { self.open_calls().await };
            fleet.kill(victim);
            let at = SystemClock.now();
            if fleet.is_database(victim) {
                tokio::time::sleep(Duration::from_millis(rng.u64(0..1_500))).await;
                fleet.start(victim);
            }
            open.extend(self.open_calls().await);
            let now = |calls: BTreeSet<i64>| calls.into_iter().filter(|sent| *sent >= before.0).count();
            kills.push(Kill { at, victim: fleet.name(victim), creates: now(open.creates), writes: now(open.writes) });
            before = at;
            if !fleet.is_database(victim) {
                fleet.start(victim);
            }
        }
        kills
    }

    async fn open_calls(&self) -> Open {
        let ledger = Ledger::open(&self.url, self.folder.path()).await;
        let open = if ledger.is_made().await { ledger.open_calls().await } else { Default::default() };
        ledger.close().await;
        let (creates, writes) = open;
        Open { creates: creates.into_iter().collect(), writes: writes.into_iter().collect() }
    }

    /// Waits from a start to its kill: some kills come while the service starts, some at any time, most while an answer to a
    /// write of it is on its way.
    async fn moment(&self, rng: &mut fastrand::Rng, stage: &Stage) {
        let ms = Duration::from_millis;
        // A process on PostgreSQL may wait for the lease of a killed one.
        let lease_wait = ms(if self.url.starts_with("sqlite") { 0 } else { 1_300 });
        let (at_work, in_answer) = (lease_wait + ms(rng.u64(60..1_500)), ms(rng.u64(0..ANSWER_MS)));
        match rng.u8(..10) {
            0..2 => tokio::time::sleep(ms(rng.u64(2..60))).await,
            2..4 => tokio::time::sleep(at_work).await,
            kind => {
                tokio::time::sleep(at_work).await;
                // Where nothing comes for so long, this moment is as good as any.
                let second = Duration::from_secs(1);
                let of_tokens = self.installed && kind < 7;
                let _ = if of_tokens { stage.next_of_tokens(second).await } else { stage.next_write(second).await };
                tokio::time::sleep(in_answer).await;
            }
        }
    }

    async fn judge(self, stage: &Stage, told: &Told, kills: &[Kill], rested: bool) {
        let ledger = Ledger::open(&self.url, self.folder.path()).await;
        let mut differ = Vec::new();
        differ.extend((!rested).then(|| format!("it did not come to rest in {} s", PATIENCE.as_secs())));
        let deliveries = stage.get("deliveries").await;
        differ.extend(proof::accounted_for(&deliveries, &ledger).await);
        differ.extend(proof::disagreements(&stage.get("state").await, &stage.account, told));
        let (repeats, unexplained) = proof::repeats(&stage.get("requests").await, kills);
        differ.extend(unexplained);
        if self.installed {
            differ.extend(installs::amiss(stage, &ledger, kills.len()).await);
        }
        let open = |of: fn(&Kill) -> usize| kills.iter().map(of).sum::<usize>();
        let hit = kills.iter().filter(|kill| kill.creates + kill.writes > 0).count();
        let mut killed = BTreeMap::<&str, usize>::new();
        for kill in kills {
            *killed.entry(kill.victim).or_default() += 1;
        }
        println!(
            "seed {}: {} kills {killed:?}, {hit} of them with calls open ({} creates, {} other writes); {repeats} repeated; \
             {} edits, {} contacts, {} bookings, {} tasks, {} notes, {} webhooks",
            self.seed,
            kills.len(),
            open(|kill| kill.creates),
            open(|kill| kill.writes),
            told.edits,
            told.people.len(),
            told.bookings.len(),
            told.tasks.len(),
            told.notes.len(),
            deliveries["deliveries"].as_array().map_or(0, Vec::len),
        );
        let held_up =
            ledger.texts("SELECT DISTINCT entity FROM mirrors WHERE state IN ('parked', 'held', 'due')").await;
        ledger.close().await;
        if !differ.is_empty() {
            let (seed, count) = (self.seed, differ.len());
            let folder = keep(self.folder, stage, &held_up).await;
            differ.truncate(40);
            panic!("seed {seed}: {count} differences; see {}\n  {}", folder.display(), differ.join("\n  "));
        }
    }
}

/// A service at a sandbox, not started yet.
pub fn service(
    settings: &SandboxSettings,
    stage: &Stage,
    url: &str,
    folder: &Path,
    port: u16,
    reach: Reach,
) -> Service {
    let public = format!("127.0.0.1:{port}");
    let service = Settings {
        oauth: reach.oauth(&public),
        public,
        ops: format!("127.0.0.1:{}", free_port()),
        store: url.to_owned(),
        dispatch: "quiet = \"100ms\"\nbackoff = \"1s\"\nlease = \"1s\"\nfuse = 10000\ncreates_per_hour = 100000"
            .to_owned(),
        policy: "create_settle = \"1s\"\nlate_write = \"5s\"\n[workspaces.create]\ntimify = \"all\"".to_owned(),
        ..Settings::default()
    };
    let text = config::text(settings, &stage.base, &service).unwrap();
    std::fs::write(folder.join("lockstep.toml"), text).unwrap();
    let budget = "100000".to_owned();
    let mut variables = vec![
        ("LOCKSTEP_SYSTEMS__GHL__REQUESTS_PER_10S", budget.clone()),
        ("LOCKSTEP_SYSTEMS__TIMIFY__REQUESTS_PER_10S", budget),
        // A webhook without an id is looked for by the digest of what was sent.
        ("LOCKSTEP_STORE__SECRET_LINKS", "keep".to_owned()),
    ];
    variables.extend(reach.variables());
    Service::new(folder.to_owned(), variables)
}

/// Waits until nothing is on its way in these workspaces, several times in a row. Whether it came to that.
pub async fn rest(url: &str, workspaces: &[&str], stage: &Stage) -> bool {
    let store = lockstep::store::sql::open_read_only(url).await.unwrap();
    let began = SystemClock.now();
    let mut quiet = 0;
    while quiet < 5 && SystemClock.now().since(began) < PATIENCE {
        let mut idle = stage.pending().await == 0;
        for workspace in workspaces {
            let load = store.load(workspace).await.unwrap();
            let held = store.in_state(workspace, MirrorState::Held, 1).await.unwrap();
            idle &= load.undecided == 0 && load.due == 0 && held.is_empty();
        }
        quiet = if idle { quiet + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    quiet == 5
}

/// Leaves the folder for a person to look at, with what the stand-ins say, and what is told of the entities that are held up.
async fn keep(folder: TempDir, stage: &Stage, held_up: &[String]) -> std::path::PathBuf {
    let folder = folder.keep();
    for what in ["state", "requests", "deliveries"] {
        write(&folder, what, &stage.get(what).await.to_string());
    }
    for entity in held_up {
        let mut explain = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        explain.args(["explain", entity, "--config"]).arg(folder.join("replica-0/lockstep.toml"));
        let told = explain.output().unwrap();
        write(&folder, entity, &String::from_utf8_lossy(&[told.stdout, told.stderr].concat()));
    }
    folder
}

fn write(folder: &Path, what: &str, text: &str) {
    std::fs::write(folder.join(format!("{what}.txt")), text).unwrap();
}

/// A sandbox that refuses nothing for being asked too often, and whose senders do not give up.
pub fn sandbox_settings(mut settings: SandboxSettings, seed: u64, port: u16) -> SandboxSettings {
    settings.seed = seed;
    (settings.ghl.burst, settings.ghl.daily) = (u32::MAX, u32::MAX);
    (settings.timerex.reads_a_minute, settings.timerex.writes_an_hour) = (usize::MAX, usize::MAX);
    let again =
        Retries { retries: 10_000, first: Duration::from_millis(30), factor: 2, longest: Duration::from_millis(300) };
    settings.delivery =
        DeliverySettings { ghl: again, timify: again, timerex: again, extension: again, ..settings.delivery };
    settings.receivers = config::receivers(&settings, &format!("http://127.0.0.1:{port}"));
    settings
}
