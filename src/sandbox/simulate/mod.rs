//! The simulation: the production code in virtual time, between stand-ins that people edit and that fail, judged by what must
//! hold. One seed replays one history exactly.
//!
//! In: seeds. Out: for each, what was broken, if anything, and how often everything occurred.

mod calls;
#[cfg(test)]
mod counter_examples;
mod deletions;
mod idle;
mod oracle;
mod people;
mod rates;
mod repeats;
mod replica;
mod shorten;
mod sightings;
mod stage;
mod story;
mod tally;
mod tokens;
mod twin;
mod view;
mod winners;
mod wire;
mod world;
mod writes;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::Result;

use crate::cli::demo::config::{self as printed, Service};
use crate::config::Config;
use crate::model::{CreateRule, FieldRule, FieldRules, Kind, Mode, OnDelete, Policy, ReadBeforeWrite, System};
use crate::sandbox::SandboxSettings;
use idle::Idle;
pub use shorten::{Short, shorten};
use stage::Stage;
pub use story::{Act, history};
pub use tally::{Tally, Tell, seeds};
use twin::Beside;
use world::lock;

/// In one of so many histories everything is kept in SQLite as well, which takes most of its time.
const BESIDE: u64 = 200;

/// What one history came to.
#[derive(Debug, Default)]
pub struct Run {
    /// What was broken: the invariant, and what shows it.
    pub broken: Vec<String>,
    /// How often everything occurred.
    pub counts: BTreeMap<String, u64>,
    /// What happened, line by line, if that was asked for.
    pub told: Vec<String>,
}

/// Plays the history of a seed.
pub fn play(seed: u64) -> Result<Run> {
    play_acts(seed, history(seed), false)
}

/// Plays some acts in the world of a seed. `telling`: line by line what happened.
pub fn play_acts(seed: u64, acts: Vec<Act>, telling: bool) -> Result<Run> {
    let idle = Idle::default();
    let told = idle.clone();
    let beside = if seed.is_multiple_of(BESIDE) { Some(Arc::new(Beside::new()?)) } else { None };
    let runtime = tokio::runtime::Builder::new_current_thread().on_thread_park(move || told.tell()).build()?;
    let playing = beside.clone();
    let run = runtime.block_on(async move {
        let (settings, config) = setting(seed)?;
        let mut stage = Stage::new(settings, config, acts, seed, idle, playing)?;
        lock(&stage.world).told = telling.then(Vec::new);
        let mut broken = match stage.play().await {
            Ok(()) => oracle::judge(&mut stage).await?,
            Err(restless) => vec![restless.to_string()],
        };
        let counts = std::mem::take(&mut lock(&stage.world).counts);
        broken.extend(counts.keys().filter_map(|what| what.strip_prefix("broken/").map(str::to_owned)));
        let mut told = lock(&stage.world).told.take().unwrap_or_default();
        if telling {
            told.extend(stage.store.left().await);
        }
        broken.extend(stage.beside.iter().filter_map(|beside| beside.difference()));
        Ok(Run { broken, counts, told })
    });
    // What the stage ran goes first: what is beside it has a runtime of its own, which must not end within another.
    drop(runtime);
    drop(beside);
    run
}

/// The accounts and the configuration of a seed.
fn setting(seed: u64) -> Result<(SandboxSettings, Config)> {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x7365_7474_696e_6773);
    let mut settings = SandboxSettings::with_workspaces(story::WORKSPACES);
    settings.seed = seed;
    settings.ghl.search_lag_ms = [0, 1_000, 4_000][rng.usize(..3)];
    settings.ghl.double_tag_webhook = rng.bool();
    settings.ghl.task_create_without_contact = rng.bool();
    settings.timify.token_life = std::time::Duration::from_secs(rng.u64(60..600));
    settings.timify.switches.customer_times = rng.u32(..4) > 0;
    let text = printed::text(&settings, "http://sandbox", &Service::default())?;
    let mut config = Config::read("simulation.toml", &text, std::path::Path::new("/"), [])
        .map_err(|mistakes| anyhow::anyhow!("{mistakes}"))?;
    for entry in &mut config.workspaces {
        vary(&mut entry.policy, &mut rng);
    }
    // One customer in some histories has not gone live.
    if rng.u32(..6) == 0 {
        let at = rng.usize(..config.workspaces.len());
        config.workspaces[at].mode = Some(Mode::Shadow);
    }
    ration(&mut config, &mut rng);
    Ok((settings, config))
}

/// In some histories calls are scarce, and the fuse is thin.
fn ration(config: &mut Config, rng: &mut fastrand::Rng) {
    let few = |calls: u32| NonZeroU32::new(calls).unwrap_or(NonZeroU32::MIN);
    let systems = &mut config.systems;
    let [ghl, timify, timerex] = if rng.u32(..4) == 0 { [12, 10, 8] } else { [90, 50, 60] };
    (systems.ghl.requests_per_10s, systems.timify.requests_per_10s) = (few(ghl), few(timify));
    systems.timerex.requests_per_10s = few(timerex);
    (systems.timerex.requests_per_minute, systems.timerex.writes_per_hour) = (few(timerex * 6), few(3_000));
    let fuse = if rng.u32(..8) == 0 { 4 } else { 30 };
    config.workspaces.iter_mut().for_each(|entry| entry.policy.limits.fuse = fuse);
}

/// Other policies in each workspace of each history.
fn vary(policy: &mut Policy, rng: &mut fastrand::Rng) {
    policy.create = System::ALL.iter().map(|system| (*system, CreateRule::All)).collect();
    if rng.u32(..3) == 0 {
        policy.read_before_write = ReadBeforeWrite::InDoubt;
    }
    for kind in Kind::ALL {
        let usual = policy.on_delete.get(kind).copied().unwrap_or(OnDelete::Hold);
        let rule = if rng.u32(..3) > 0 { usual } else { OnDelete::ALL[rng.usize(..OnDelete::ALL.len())] };
        policy.on_delete.insert(*kind, rule);
    }
    for kind in Kind::ALL {
        for name in FieldRules::names(*kind) {
            // Few fields can be united or appended to: where one can, it often is.
            let long = FieldRules::mistake(*kind, name, FieldRule::Append).is_none() && rng.bool();
            let rule = if long { FieldRule::Append } else { FieldRule::ALL[rng.usize(..FieldRule::ALL.len())] };
            if rng.u32(..3) == 0 && FieldRules::mistake(*kind, name, rule).is_none() {
                policy.rules.set(*kind, name, rule);
            }
        }
    }
}
