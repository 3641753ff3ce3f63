//! Where a benchmark takes place: a folder, the vendors, the service, each in a process of its own.
//!
//! In: which store, and how the service is to be configured. Out: the running processes, and what they cost: CPU time of the
//! service alone, its memory (PSS, shared pages by halves), how long it took to start.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::load::{Sender, What};
use super::settings;
use crate::cli::demo::config::{self, Service};
use crate::clock::{Clock, SystemClock};
use crate::model::ReadBeforeWrite;
use crate::sandbox::shell::canned::{Tally, micros};
use crate::store::sql::{Access, Db};

/// How long the service may take to accept its first webhook.
const START: Duration = Duration::from_secs(30);
/// How many ticks of CPU time Linux counts in a second, everywhere.
const TICKS: u64 = 100;
/// More than any benchmark reaches: fuse and brakes are not what is measured, and budgets only where one is given.
pub const UNBOUND: u32 = 1_000_000;

/// What is measured.
pub struct Plan {
    /// The store's URL; SQLite in the folder if left out.
    pub store: Option<String>,
    /// The program that serves; this one if left out.
    pub program: Option<PathBuf>,
    /// How many workspaces.
    pub workspaces: usize,
    /// How many contacts each has.
    pub contacts: u64,
    /// Whether what is about to be written is read first.
    pub reads: ReadBeforeWrite,
    /// How many changes there are already.
    pub grown: u32,
    /// How many processes serve.
    pub replicas: usize,
    /// How long the vendors take to answer.
    pub answer_ms: u64,
    /// How many calls each workspace may make to each system in ten seconds.
    pub budget: u32,
}

/// A process that ends with us.
struct Spawned(Child);

impl Drop for Spawned {
    fn drop(&mut self) {
        // Nothing of it is wanted any more: if it has ended already, all the better.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder that goes with us.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it lies among other temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The processes and their folder, in the order in which they end.
pub struct Place {
    replicas: Vec<Spawned>,
    _vendors: Spawned,
    folder: Folder,
    target: String,
    /// Sends to the service.
    pub sender: Sender,
    /// From the start of a process to the first webhook that it accepted; the longest.
    pub cold_start: Duration,
    client: reqwest::Client,
}

impl Place {
    /// Starts all of it.
    pub async fn start(plan: &Plan) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("lockstep-bench-{}-{}", std::process::id(), micros()));
        std::fs::create_dir_all(&path)?;
        let folder = Folder(path);
        let (vendors, target) = vendors(plan)?;
        let settings = settings(plan.workspaces);
        let store = plan.store.clone().unwrap_or_else(|| format!("sqlite://{}/bench.db", folder.0.display()));
        if plan.grown > 0 {
            let db = Db::open(&store, Access::Serve, 1).await?;
            db.grow(&settings.workspaces[0].name, plan.grown).await?;
            db.close().await;
        }
        let client = reqwest::Client::builder().no_proxy().build()?;
        let sender = Sender::new(Vec::new(), settings.clone(), plan.contacts)?;
        let (replicas, cold_start) = (Vec::new(), Duration::ZERO);
        let mut place = Self { replicas, _vendors: vendors, folder, target, sender, cold_start, client };
        let mut bases = Vec::new();
        for at in 0..plan.replicas {
            let service = replica(plan, &store)?;
            let file = place.folder.0.join(format!("lockstep-{at}.toml"));
            std::fs::write(&file, config::text(&settings, &place.target, &service)?)?;
            let base = format!("http://{}", service.public);
            place.sender = Sender::new(vec![base.clone()], settings.clone(), plan.contacts)?;
            let begun = Instant::now();
            place.replicas.push(serve(plan, &file)?);
            place.cold_start = place.cold_start.max(place.first_accepted(begun).await?);
            bases.push(base);
        }
        place.sender = Sender::new(bases, settings, plan.contacts)?;
        Ok(place)
    }

    async fn first_accepted(&mut self, begun: Instant) -> Result<Duration> {
        while begun.elapsed() < START {
            if self.sender.post(What::KeptHmac, u64::MAX, SystemClock.now()).await {
                return Ok(begun.elapsed());
            }
            for replica in &mut self.replicas {
                if let Some(status) = replica.0.try_wait()? {
                    bail!("the service ended: {status}");
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bail!("no webhook was accepted in {} s", START.as_secs())
    }

    /// What came at the vendors so far.
    pub async fn tally(&self) -> Result<Tally> {
        let answer = self.client.get(format!("{}/tally", self.target)).send().await?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }

    /// CPU time of the service so far, of all its processes.
    pub fn cpu(&self) -> Result<Duration> {
        self.replicas.iter().map(Spawned::cpu).sum()
    }

    /// Memory of the service now, of all its processes, in bytes.
    pub fn memory(&self) -> Result<u64> {
        self.replicas.iter().map(Spawned::memory).sum()
    }
}

impl Spawned {
    fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(self.proc("stat"))?;
        // After the name, which may hold anything: the 12th and 13th field are user and system time.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).context("no CPU time");
        Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 1_000 / TICKS))
    }

    fn memory(&self) -> Result<u64> {
        let sums = std::fs::read_to_string(self.proc("smaps_rollup"))?;
        let line = sums.lines().find_map(|line| line.strip_prefix("Pss:")).context("no memory")?;
        let kilobytes: u64 = line.trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1_024)
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.0.id()))
    }
}

/// What one process is told.
fn replica(plan: &Plan, store: &str) -> Result<Service> {
    let (public, ops) = (free_port()?, free_port()?);
    Ok(Service {
        public: format!("127.0.0.1:{public}"),
        ops: format!("127.0.0.1:{ops}"),
        store: store.to_owned(),
        policy: format!(
            "read_before_write = \"{}\"\n[workspaces.create]\nghl = \"all\"\ntimify = \"all\"\n",
            plan.reads
        ),
        ..Service::default()
    })
}

/// The vendors, and where they are reached.
fn vendors(plan: &Plan) -> Result<(Spawned, String)> {
    let mut vendors = Command::new(std::env::current_exe()?)
        .args(["bench-target", "--workspaces", &plan.workspaces.to_string()])
        .args(["--answer-ms", &plan.answer_ms.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = vendors.stdout.take().context("the vendors print nothing");
    let vendors = Spawned(vendors);
    let mut address = String::new();
    BufReader::new(lines?).read_line(&mut address)?;
    Ok((vendors, format!("http://{}", address.trim())))
}

fn serve(plan: &Plan, file: &Path) -> Result<Spawned> {
    let program = plan.program.clone().map_or_else(std::env::current_exe, Ok)?;
    let limits = [
        ("SYSTEMS__GHL__REQUESTS_PER_10S", plan.budget),
        ("SYSTEMS__TIMIFY__REQUESTS_PER_10S", plan.budget),
        ("SYSTEMS__GHL__REQUESTS_PER_DAY", UNBOUND),
        ("DISPATCH__FUSE", UNBOUND),
        ("DISPATCH__CREATES_PER_HOUR", UNBOUND),
    ];
    let limits = limits.map(|(key, limit)| (format!("LOCKSTEP_{key}"), limit.to_string()));
    let serve = Command::new(program)
        .args(["--log", "error", "serve", "--config"])
        .arg(file)
        .envs(limits)
        .stdout(Stdio::null())
        .spawn();
    serve.map(Spawned).context("the service could not be started")
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
