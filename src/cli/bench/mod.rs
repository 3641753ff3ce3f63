//! `lockstep bench`: what the service does on this machine, measured from outside, with the vendors in a process of their own.
//!
//! In: a store, how long to measure. Out: a table, or JSON. `docs/performance.md` says what each figure means.

mod load;
mod place;
mod spent;
mod target;

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::table::table;
use crate::model::{ReadBeforeWrite, System};
use crate::sandbox::SandboxSettings;
use crate::sandbox::shell::canned::{Tally, micros};
use load::{Load, Pace, What};
use place::{Place, Plan, UNBOUND};
pub use target::Target;

/// How long mirrors may take to come to an end after the load.
const DRAIN: Duration = Duration::from_mins(5);
/// How long the service is left alone before its idle memory is looked at.
const IDLE: Duration = Duration::from_secs(2);

/// Measures the service.
#[derive(Debug, Args)]
pub struct Bench {
    /// The store, an empty one; by default a SQLite file in the folder for temporary files.
    #[arg(long)]
    store: Option<String>,
    /// The program that serves, to compare two builds; by default this one.
    #[arg(long)]
    program: Option<PathBuf>,
    /// How long each load lasts, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Connections of the closed loops.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Webhooks a second of the open loop, in which the way to the vendors is timed.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Workspaces.
    #[arg(long, default_value = "1")]
    workspaces: NonZeroUsize,
    /// Contacts in each.
    #[arg(long, default_value = "1000")]
    contacts: NonZeroU64,
    /// Whether what is about to be written is read first: `always` (the default of workspaces) or `in_doubt`.
    #[arg(long, default_value_t = ReadBeforeWrite::InDoubt)]
    reads: ReadBeforeWrite,
    /// Fills the store first with the history of so many changes, to see what they cost those that come.
    #[arg(long, default_value_t = 0)]
    grown: u32,
    /// How many processes serve; more than one need a store on PostgreSQL.
    #[arg(long, default_value = "1")]
    replicas: NonZeroUsize,
    /// How long the vendors take to answer, in milliseconds.
    #[arg(long, default_value_t = 0)]
    answer_ms: u64,
    /// How many calls each workspace may make to each system in ten seconds; by default more than it can make.
    #[arg(long)]
    budget: Option<u32>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// The accounts of a benchmark. Both processes make them, alike; no vendor limits how often it may be called.
fn settings(workspaces: usize) -> SandboxSettings {
    let mut settings = SandboxSettings::with_workspaces(workspaces);
    (settings.ghl.burst, settings.ghl.daily) = (u32::MAX, u32::MAX);
    settings
}

/// Where edits are mirrored to.
const TARGETS: [System; 2] = [System::Ghl, System::Timify];

/// One row: the figure's name, its value in the unit that the name tells.
type Figures = Vec<(String, Value)>;

impl Bench {
    /// Measures and prints.
    pub async fn run(self) -> Result<()> {
        let plan = Plan {
            store: self.store,
            program: self.program,
            workspaces: self.workspaces.get(),
            contacts: self.contacts.get(),
            reads: self.reads,
            grown: self.grown,
            replicas: self.replicas.get(),
            answer_ms: self.answer_ms,
            budget: self.budget.unwrap_or(UNBOUND),
        };
        let place = Place::start(&plan).await?;
        let mut figures: Figures = vec![("cold start, ms".into(), json!(place.cold_start.as_millis()))];
        tokio::time::sleep(IDLE).await;
        figures.push(("memory idle, MB".into(), megabytes(place.memory()?)));
        let lasts = Duration::from_secs(self.seconds);
        for (name, what) in [("accepted, HMAC", What::KeptHmac), ("accepted, Ed25519", What::KeptEd25519)] {
            figures.extend(accepting(&place, name, what, Pace::Closed(self.connections), lasts).await?);
        }
        let made = place.sender.contacts().await?;
        arrived(&place, &made).await?;
        figures.extend(mirroring(&place, "mirrored", Pace::Closed(self.connections), lasts).await?);
        let (name, begun) = (format!("mirrored at {}/s", self.rate), micros());
        figures.extend(mirroring(&place, &name, Pace::Open(self.rate), lasts).await?);
        if let Some(budget) = self.budget {
            figures.extend(spent(&place, &name, budget, begun, lasts).await?);
        }
        figures.push(("memory after, MB".into(), megabytes(place.memory()?)));
        print(&figures, self.json);
        Ok(())
    }
}

fn print(figures: &Figures, as_json: bool) {
    if as_json {
        println!("{}", Value::Object(figures.iter().cloned().collect()));
        return;
    }
    let mut table = table(["figure", "value"]);
    for (name, value) in figures {
        table.add_row([name.clone(), value.to_string()]);
    }
    println!("{table}");
}

/// How fast webhooks are accepted that are kept and mirrored nowhere.
async fn accepting(place: &Place, name: &str, what: What, pace: Pace, lasts: Duration) -> Result<Figures> {
    let cpu = place.cpu()?;
    let load = place.sender.send(what, pace, lasts).await?;
    let cpu = place.cpu()?.saturating_sub(cpu);
    ensure!(!load.sent.is_empty(), "no webhook was accepted ({name})");
    Ok(vec![
        (format!("{name}, webhooks/s"), per_second(load.sent.len(), load.span)),
        (format!("{name}, ms at p50"), at(&load.took, 50)),
        (format!("{name}, ms at p99"), at(&load.took, 99)),
        (format!("{name}, CPU µs/webhook"), each(cpu, load.sent.len())),
        (format!("{name}, refused"), json!(load.refused)),
        (format!("{name}, memory, MB"), megabytes(place.memory()?)),
    ])
}

/// How fast edits stand in both other systems; until the last one does.
async fn mirroring(place: &Place, name: &str, pace: Pace, lasts: Duration) -> Result<Figures> {
    let (cpu, before) = (place.cpu()?, place.tally().await?);
    let (begun, load) = (micros(), place.sender.send(What::Edits, pace, lasts).await?);
    ensure!(!load.sent.is_empty(), "no webhook was accepted ({name})");
    let came = place.settled(&load).await?;
    let (cpu, after) = (place.cpu()?.saturating_sub(cpu), place.tally().await?);
    let edits = load.sent.len();
    let last = came.values().copied().max().unwrap_or(begun);
    let sent: BTreeMap<u64, i64> = load.sent.iter().copied().collect();
    let ways = came.iter().filter_map(|((_, number), came)| Some(came - sent.get(number)?));
    let ways: Vec<Duration> = ways.map(|micros| Duration::from_micros(micros.max(0) as u64)).collect();
    let calls = |of: fn(&Tally) -> u64| json!(rounded((of(&after) - of(&before)) as f64 / edits as f64));
    Ok(vec![
        (format!("{name}, webhooks/s"), per_second(edits, Duration::from_micros((last - begun).max(1) as u64))),
        (format!("{name}, CPU µs/webhook"), each(cpu, edits)),
        (format!("{name}, writes/webhook"), calls(|tally| tally.writes)),
        (format!("{name}, reads/webhook"), calls(|tally| tally.reads)),
        (format!("{name}, sent to received, ms at p50"), at(&ways, 50)),
        (format!("{name}, sent to received, ms at p99"), at(&ways, 99)),
        (format!("{name}, refused"), json!(load.refused)),
    ])
}

/// What the workspaces made of their budgets in an open loop that began then.
async fn spent(place: &Place, name: &str, budget: u32, begun: i64, lasts: Duration) -> Result<Figures> {
    let everybody = (0..place.sender.workspaces()).flat_map(|workspace| TARGETS.map(|system| (system, workspace)));
    let mut times: BTreeMap<(System, usize), Vec<i64>> = everybody.map(|one| (one, Vec::new())).collect();
    for (system, number, at) in place.tally().await?.came.into_iter().filter(|(_, _, at)| *at >= begun) {
        times.entry((system, place.sender.workspace(number))).or_default().push(at);
    }
    // What is left of the load before leaves the windows first.
    let (from, to) = (begun + spent::WINDOW, begun + lasts.as_micros() as i64);
    ensure!(from < to, "a budget is measured after its first {} s: use a longer --seconds", spent::WINDOW / 1_000_000);
    let shares: Vec<f64> = times.values().map(|times| spent::share(times, budget, from, to)).collect();
    let most = times.values().map(|times| spent::most(times)).max().unwrap_or(0);
    let percent = |share: f64| json!(rounded(share * 100.0));
    Ok(vec![
        (format!("{name}, budgets used, %"), percent(shares.iter().sum::<f64>() / shares.len() as f64)),
        (format!("{name}, least used, %"), percent(shares.iter().copied().fold(f64::INFINITY, f64::min))),
        (format!("{name}, most writes in a window of {budget}"), json!(most)),
    ])
}

/// Waits until every contact that was made stands in both systems.
async fn arrived(place: &Place, made: &Load) -> Result<()> {
    let contacts = place.sender.all_contacts();
    ensure!(made.sent.len() as u64 == contacts, "{} of {contacts} contacts were sent", made.sent.len());
    let begun = Instant::now();
    while place.tally().await?.writes < contacts * 2 {
        ensure!(begun.elapsed() < DRAIN, "the contacts were not made in {} s", DRAIN.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

impl Place {
    /// Waits until the last edit of each contact stands in both systems; gives when each edit came. Edits that a newer one of
    /// the same contact overtook need not come.
    async fn settled(&self, load: &Load) -> Result<BTreeMap<(System, u64), i64>> {
        let contacts = self.sender.all_contacts();
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        for (number, _) in &load.sent {
            let newest = last.entry(number % contacts).or_default();
            *newest = (*number).max(*newest);
        }
        let begun = Instant::now();
        loop {
            let came = self.tally().await?.came;
            in_order(&came, contacts)?;
            let came: BTreeMap<_, _> = came.into_iter().map(|(system, number, at)| ((system, number), at)).collect();
            let stands = |number: &u64| TARGETS.iter().all(|at| came.contains_key(&(*at, *number)));
            let missing = last.values().filter(|number| !stands(number)).count();
            if missing == 0 {
                return Ok(came);
            }
            ensure!(begun.elapsed() < DRAIN, "{missing} contacts are not equal after {} s", DRAIN.as_secs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Nobody sees an edit after a newer one of the same contact.
fn in_order(came: &[(System, u64, i64)], contacts: u64) -> Result<()> {
    let mut newest: BTreeMap<(System, u64), u64> = BTreeMap::new();
    for (system, number, _) in came {
        let before = newest.insert((*system, number % contacts), *number).unwrap_or(0);
        ensure!(before <= *number, "edit {number} came to {system} after edit {before} of the same contact");
    }
    Ok(())
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn per_second(count: usize, span: Duration) -> Value {
    json!((count as f64 / span.as_secs_f64()).round())
}

fn each(cpu: Duration, count: usize) -> Value {
    json!((cpu.as_micros() as f64 / count as f64).round())
}

fn megabytes(bytes: u64) -> Value {
    json!(rounded(bytes as f64 / 1e6))
}

/// The time that so many in a hundred did not pass, in milliseconds.
fn at(times: &[Duration], percent: usize) -> Value {
    let mut times = times.to_vec();
    times.sort_unstable();
    let time = times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    json!(time.map(|time| rounded(time.as_secs_f64() * 1e3)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_that_comes_after_a_newer_one_of_its_contact_is_noticed() {
        let came = |numbers: [u64; 3]| numbers.map(|number| (System::Ghl, number, 0));
        assert!(in_order(&came([12, 21, 22]), 10).is_ok());
        assert_eq!(
            in_order(&came([22, 21, 12]), 10).unwrap_err().to_string(),
            "edit 12 came to ghl after edit 22 of the same contact"
        );
    }

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!((at(&times, 50), at(&times, 99), at(&[], 50)), (json!(51.0), json!(100.0), Value::Null));
    }
}
