//! `lockstep demo`: a sandbox and the service on free loopback ports, SQLite in a fresh folder, a story, and the proof that the
//! three systems agree and that nothing was written but what the story declares.

mod compare;
pub mod config;
mod report;
mod stage;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::{self, Ground, Running};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::ids::Ids;
use crate::sandbox::settings::SandboxSettings;
use crate::sandbox::shell;
use report::{Played, Proof};
use stage::Stage;
use story::{STEPS, Story};

/// Plays a story between the three systems and shows that they agree.
#[derive(Debug, Args)]
pub struct Demo {
    /// Tells the story with other names, times and orders.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Takes one guard out, to show that the demo would notice; it then ends with exit code 1.
    #[arg(long = "break", value_name = "GUARD")]
    broken: Option<Guard>,
    /// Leaves everything running afterwards and prints where.
    #[arg(long)]
    keep: bool,
    /// Prints one JSON line at the end instead of tables.
    #[arg(long)]
    json: bool,
}

/// A guard that can be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Guard {
    /// Own writes that come back are recognised.
    Echo,
    /// A webhook that comes twice is one row.
    Dedup,
    /// Of two edits of one field the newer wins.
    Order,
    /// What goes out is the difference from what the system is known to hold.
    Snapshot,
}

/// The quiet period of the demo: long enough for a burst, short enough to watch.
const QUIET: Duration = Duration::from_millis(400);

impl Demo {
    /// Plays, proves, tells. Exit code 0 only if everything agrees.
    pub async fn run(self) -> Result<ExitCode> {
        let folder = fresh_folder()?;
        let stop = CancellationToken::new();
        let world = self.start(&folder, &stop).await?;
        let mut stage = Stage::new(&world.sandbox, world.app.clone(), world.settings.workspaces[0].clone())?;
        let outcome = self.perform(&mut stage).await;
        if self.keep && outcome.is_ok() {
            println!("\n{}", world.whereabouts(&folder));
            super::serve::stopped().await?;
        }
        world.app.stop().await?;
        stop.cancel();
        let proof = outcome?;
        std::fs::remove_dir_all(&folder).with_context(|| format!("{} could not be removed", folder.display()))?;
        Ok(if proof.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn perform(&self, stage: &mut Stage) -> Result<Proof> {
        let mut story = Story::new(self.seed);
        let mut played = Vec::new();
        if !self.json {
            println!("Lockstep demo, seed {}: {} steps, three systems, no internet\n", self.seed, STEPS.len());
        }
        for (name, reads) in STEPS {
            let started = SystemClock.now();
            let step = story.play((name, reads), stage).await.with_context(|| format!("step `{name}`"))?;
            let settled = stage.settle().await;
            let traffic = stage.traffic().await?;
            let one =
                Played { name, step, traffic, at: started, failure: settled.err().map(|error| error.to_string()) };
            if !self.json {
                println!("{}", report::line(&one));
            }
            let failed = one.failure.is_some() || (self.broken.is_some() && !one.is_as_declared());
            played.push(one);
            if failed {
                break;
            }
        }
        let compared = compare::compare(&stage.state().await?, &stage.account);
        let proof = Proof::gather(stage, played, compared).await?;
        if self.json {
            println!("{}", proof.json());
        } else {
            println!("{}", proof.tables());
        }
        Ok(proof)
    }

    async fn start(&self, folder: &std::path::Path, stop: &CancellationToken) -> Result<World> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let sandbox = format!("http://{}", listener.local_addr()?);
        let mut settings = SandboxSettings::example();
        settings.seed = self.seed;
        // The service's port is not known before it listens, so a free one is looked for first.
        let public = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        settings.receivers = config::receivers(&settings, &format!("http://{public}"));
        let tolerance = if self.broken == Some(Guard::Order) { "24h" } else { "2s" };
        let service = config::Service {
            public: public.to_string(),
            ops: "127.0.0.1:0".to_owned(),
            store: format!("sqlite://{}", folder.join("lockstep.db").display()),
            dispatch: format!("quiet = \"{}ms\"\nbackoff = \"2s\"", QUIET.as_millis()),
            policy: format!("clock_tolerance = \"{tolerance}\"\ncreate_settle = \"2s\""),
            ..config::Service::default()
        };
        let text = config::text(&settings, &sandbox, &service)?;
        std::fs::write(folder.join("lockstep.toml"), &text)?;
        let mut config = Config::read("lockstep.toml", &text, folder, [])?;
        for workspace in &mut config.workspaces {
            let guards = &mut workspace.policy.guards;
            guards.echo = self.broken != Some(Guard::Echo);
            guards.dedup = self.broken != Some(Guard::Dedup);
            guards.snapshot = self.broken != Some(Guard::Snapshot);
        }
        let (shell_settings, shell_stop) = (settings.clone(), stop.clone());
        tokio::spawn(async move {
            if let Err(error) = shell::serve(listener, shell_settings, shell_stop).await {
                tracing::error!(error = %error, "the sandbox ended");
            }
        });
        let ground = Ground { clock: Arc::new(SystemClock), ids: Arc::new(Ids::random()), ..Ground::real(false)? };
        let app = app::start(&config, ground).await?;
        Ok(World { app, sandbox, settings })
    }
}

struct World {
    app: Arc<Running>,
    sandbox: String,
    settings: SandboxSettings,
}

impl World {
    fn whereabouts(&self, folder: &std::path::Path) -> String {
        format!(
            "still running, until you press Ctrl-C:\n  the three systems   {sandbox}/control/state\n  every call          \
             {sandbox}/control/requests\n  the service         http://{public}/health\n  operators           \
             http://{ops}/status (Authorization: Bearer sandbox-ops-token)\n  its configuration   {config}\n\n  explain one: \
             lockstep explain --config {config} E-MAIL",
            sandbox = self.sandbox,
            public = self.app.public,
            ops = self.app.ops,
            config = folder.join("lockstep.toml").display(),
        )
    }
}

fn fresh_folder() -> Result<PathBuf> {
    let name = format!("lockstep-demo-{}", Ids::random().uuid(SystemClock.now()));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
