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
use crate::model::ReadBeforeWrite;
use crate::sandbox::shell::canned::{Tally, micros};
use crate::store::sql::{Access, Db};

/// How long the service may take to accept its first webhook.
const START: Duration = Duration::from_secs(30);
/// How many ticks of CPU time Linux counts in a second, everywhere.
const TICKS: u64 = 100;
/// More than any benchmark reaches: the budgets and brakes are not what is measured.
const UNBOUND: &str = "1000000";

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
    service: Spawned,
    _vendors: Spawned,
    _folder: Folder,
    target: String,
    /// Sends to the service.
    pub sender: Sender,
    /// From the start of the process to the first accepted webhook.
    pub cold_start: Duration,
    client: reqwest::Client,
}

impl Place {
    /// Starts all of it.
    pub async fn start(plan: &Plan) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("lockstep-bench-{}-{}", std::process::id(), micros()));
        std::fs::create_dir_all(&path)?;
        let folder = Folder(path);
        let (vendors, target) = vendors(plan.workspaces)?;
        let settings = settings(plan.workspaces);
        let (public, ops) = (free_port()?, free_port()?);
        let service = Service {
            public: format!("127.0.0.1:{public}"),
            ops: format!("127.0.0.1:{ops}"),
            store: plan.store.clone().unwrap_or_else(|| format!("sqlite://{}/bench.db", folder.0.display())),
            policy: format!(
                "read_before_write = \"{}\"\n[workspaces.create]\nghl = \"all\"\ntimify = \"all\"\n",
                plan.reads
            ),
            ..Service::default()
        };
        let file = folder.0.join("lockstep.toml");
        std::fs::write(&file, config::text(&settings, &target, &service)?)?;
        if plan.grown > 0 {
            let db = Db::open(&service.store, Access::Serve, 1).await?;
            db.grow(&settings.workspaces[0].name, plan.grown).await?;
            db.close().await;
        }
        let sender = Sender::new(format!("http://{}", service.public), settings, plan.contacts)?;
        let begun = Instant::now();
        let service = serve(plan, &file)?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut place =
            Self { service, _vendors: vendors, _folder: folder, target, sender, cold_start: Duration::ZERO, client };
        place.cold_start = place.first_accepted(begun).await?;
        Ok(place)
    }

    async fn first_accepted(&mut self, begun: Instant) -> Result<Duration> {
        while begun.elapsed() < START {
            if self.sender.post(What::KeptHmac, u64::MAX).await {
                return Ok(begun.elapsed());
            }
            if let Some(status) = self.service.0.try_wait()? {
                bail!("the service ended: {status}");
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

    /// CPU time of the service so far.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(self.proc("stat"))?;
        // After the name, which may hold anything: the 12th and 13th field are user and system time.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).context("no CPU time");
        Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 1_000 / TICKS))
    }

    /// Memory of the service now, in bytes.
    pub fn memory(&self) -> Result<u64> {
        let sums = std::fs::read_to_string(self.proc("smaps_rollup"))?;
        let line = sums.lines().find_map(|line| line.strip_prefix("Pss:")).context("no memory")?;
        let kilobytes: u64 = line.trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1_024)
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.service.0.id()))
    }
}

/// The vendors, and where they are reached.
fn vendors(workspaces: usize) -> Result<(Spawned, String)> {
    let mut vendors = Command::new(std::env::current_exe()?)
        .args(["bench-target", "--workspaces", &workspaces.to_string()])
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
    let unbound = [
        "SYSTEMS__GHL__REQUESTS_PER_10S",
        "SYSTEMS__GHL__REQUESTS_PER_DAY",
        "SYSTEMS__TIMIFY__REQUESTS_PER_10S",
        "DISPATCH__FUSE",
        "DISPATCH__CREATES_PER_HOUR",
    ];
    let unbound = unbound.map(|key| (format!("LOCKSTEP_{key}"), UNBOUND));
    let serve = Command::new(program)
        .args(["--log", "error", "serve", "--config"])
        .arg(file)
        .envs(unbound)
        .stdout(Stdio::null())
        .spawn();
    serve.map(Spawned).context("the service could not be started")
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
