//! The commands, one file each.

// Before the commands, which then print with these: a closed pipe ends none of them (see `print`).
macro_rules! print {
    ($($text:tt)*) => { $crate::cli::print::out(format_args!($($text)*)) };
}
macro_rules! println {
    ($($text:tt)*) => { $crate::cli::print::out(format_args!("{}\n", format_args!($($text)*))) };
}
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::cli::print::err(format_args!("{}\n", format_args!($($text)*))) };
}

mod bench;
mod changes;
mod check;
mod conflicts;
mod credential;
mod deletion;
pub mod demo;
mod explain;
mod install;
mod invite;
mod key;
mod operate;
mod print;
mod regroup;
mod sandbox;
mod serve;
mod simulate;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Mistakes};
use crate::telemetry::{self, LogForm};

/// Keeps the contacts, tasks, notes, tags and appointments of GoHighLevel, TIMIFY and TimeRex equal.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, about)]
struct Cli {
    /// What to log, for example `info` or `lockstep=debug`.
    #[arg(long, env = "LOCKSTEP_LOG", default_value = "info", global = true)]
    log: String,
    /// Log lines as JSON.
    #[arg(long, global = true)]
    log_json: bool,
    #[command(subcommand)]
    command: Command,
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub struct ConfigFile {
    /// The configuration file.
    #[arg(long, short, env = "LOCKSTEP_CONFIG", default_value = "lockstep.toml")]
    config: PathBuf,
}

impl ConfigFile {
    /// Reads it; the mistakes are printed one a line.
    pub fn load(&self) -> anyhow::Result<Config> {
        Config::load(&self.config, std::env::vars()).map_err(|mistakes: Mistakes| anyhow::anyhow!("{mistakes}"))
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays a story between the three systems and shows that they agree.
    Demo(demo::Demo),
    /// Runs the service.
    Serve(serve::Serve),
    /// Reads the configuration, names every mistake, and prints what each system can do.
    Check(check::Check),
    /// Runs stand-ins of the three vendors, for rehearsing.
    Sandbox(sandbox::Sandbox),
    /// Tells the whole story of one contact, task, note or appointment.
    Explain(explain::Explain),
    /// Lists changes that were recorded and not understood or not placed.
    Changes(changes::Changes),
    /// Compares the systems with what is known of them and feeds the differences in.
    Reconcile(operate::Reconcile),
    /// Shows what a workspace in shadow mode would write.
    Preview(operate::Preview),
    /// Lets a workspace write what its preview showed.
    Live(operate::Live),
    /// Approves what the brake or a park holds.
    Approve(operate::Approve),
    /// Says what a deletion in one system is to mean in the others.
    Deletion(deletion::Deletion),
    /// Lists values that lost, with both sides.
    Conflicts(conflicts::Conflicts),
    /// Puts a value back that lost.
    Restore(conflicts::Restore),
    /// Lets a value be that lost.
    Dismiss(conflicts::Dismiss),
    /// Says that two contacts (tasks, notes, appointments) are one.
    Match(regroup::Match),
    /// Says that two are never to be matched.
    Apart(regroup::Apart),
    /// Undoes a wrong match: what one system holds becomes another one.
    Split(regroup::Split),
    /// Invites a contact to book in TimeRex by a link of its own, or lists who was.
    Invite(invite::Invite),
    /// Keeps a connection's credentials sealed in the store.
    Credential(credential::Credential),
    /// Lists and tends the installs of our app at GoHighLevel.
    Install(install::Install),
    /// Asks a system one thing and prints its answer; reads only.
    Ask(install::Ask),
    /// Plays random histories of edits and faults in virtual time, and judges what must hold.
    Simulate(simulate::Simulate),
    /// Measures the service on this machine.
    Bench(bench::Bench),
    /// The vendors of a benchmark.
    #[command(hide = true)]
    BenchTarget(bench::Target),
    /// Makes a key for sealing.
    Key(key::Key),
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let form = if cli.log_json { LogForm::Json } else { LogForm::Text };
    let quiet = !matches!(cli.command, Command::Serve(_) | Command::Sandbox(_));
    let filter = if quiet && cli.log == "info" { "warn" } else { &cli.log };
    let result = telemetry::start(filter, form).map_err(anyhow::Error::from).and_then(|()| {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(dispatch(cli.command))
    });
    let code = result.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    });
    if print::failed() { ExitCode::FAILURE } else { code }
}

async fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(demo) => return demo.run().await,
        Command::Serve(serve) => serve.run().await?,
        Command::Check(check) => return check.run().await,
        Command::Sandbox(sandbox) => sandbox.run().await?,
        Command::Explain(explain) => return explain.run().await,
        Command::Changes(changes) => changes.run().await?,
        Command::Reconcile(reconcile) => return reconcile.run().await,
        Command::Preview(preview) => preview.run().await?,
        Command::Live(live) => live.run().await?,
        Command::Approve(approve) => approve.run().await?,
        Command::Deletion(deletion) => deletion.run().await?,
        Command::Conflicts(conflicts) => conflicts.run().await?,
        Command::Restore(restore) => restore.run().await?,
        Command::Dismiss(dismiss) => dismiss.run().await?,
        Command::Match(said) => said.run().await?,
        Command::Apart(said) => said.run().await?,
        Command::Split(split) => split.run().await?,
        Command::Invite(invite) => invite.run().await?,
        Command::Credential(credential) => credential.run().await?,
        Command::Install(install) => install.run().await?,
        Command::Ask(ask) => ask.run().await?,
        Command::Simulate(simulate) => return simulate.run(),
        Command::Bench(bench) => bench.run().await?,
        Command::BenchTarget(target) => target.run().await?,
        Command::Key(key) => key.run()?,
    }
    Ok(ExitCode::SUCCESS)
}
