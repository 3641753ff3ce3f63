//! What the demo shows: a line a step while it plays, then each edit with its calls, then the comparison and the verdict.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;

use super::compare::Row;
use super::stage::{Stage, Traffic, Writes};
use super::story::{STEPS, Step};
use crate::cli::table::table;
use crate::clock::Millis;
use crate::model::Outcome;

/// A step that was played.
pub struct Played {
    /// Its name.
    pub name: &'static str,
    /// What people did, and what must follow.
    pub step: Step,
    /// What followed.
    pub traffic: Traffic,
    /// When it began.
    pub at: Millis,
    /// Why it did not come to rest.
    pub failure: Option<String>,
}

impl Played {
    fn writes(&self) -> usize {
        self.traffic.writes.values().sum()
    }

    /// Whether exactly the declared writes followed.
    pub fn is_as_declared(&self) -> bool {
        self.failure.is_none() && self.traffic.writes == self.step.expected && self.traffic.reads <= self.step.reads
    }
}

/// The line of a step.
pub fn line(played: &Played) -> String {
    let mark = mark(played.is_as_declared());
    let writes = played.writes();
    let reads = played.traffic.reads;
    format!("  {mark} {:<75} {writes} writes, {reads:>2} reads", played.step.edit)
}

/// So many for each of these, to two places.
fn each(calls: usize, of: usize) -> String {
    let hundredths = (calls * 100).checked_div(of).unwrap_or(0);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn mark(good: bool) -> &'static str {
    if good { "ok " } else { "BAD" }
}

/// The changes that a step brought to systems: objects made equal there, however many edits each took along.
#[derive(Debug, Default, Clone, Copy)]
struct Mirrored {
    count: usize,
    /// The longest time from edit to arrival, in milliseconds.
    slowest: i64,
}

/// Everything the demo found out.
pub struct Proof {
    played: Vec<Played>,
    rows: Vec<Row>,
    lags: Vec<i64>,
    by_step: BTreeMap<&'static str, Mirrored>,
    echoes: u64,
    conflicts: usize,
    parked: u64,
    delivered: usize,
    recorded: u64,
}

impl Proof {
    /// Asks the service for its own account of what happened.
    pub async fn gather(stage: &Stage, played: Vec<Played>, rows: Vec<Row>) -> Result<Self> {
        let store = &stage.app().store;
        let name = &stage.account.name;
        let attempts = store.attempts_since(name, Millis(0), 100_000).await?;
        let mut lags: Vec<i64> = attempts.iter().filter_map(|attempt| attempt.lag_ms).collect();
        lags.sort_unstable();
        let mut by_step: BTreeMap<&'static str, Mirrored> = BTreeMap::new();
        for attempt in &attempts {
            let step = played.iter().rev().find(|one| one.at <= attempt.at);
            if let (Some(step), Some(lag)) = (step, attempt.lag_ms) {
                let mirrored = by_step.entry(step.name).or_default();
                *mirrored = Mirrored { count: mirrored.count + 1, slowest: lag.max(mirrored.slowest) };
            }
        }
        let outcomes = store.outcomes(name).await?;
        let load = store.load(name).await?;
        Ok(Self {
            played,
            rows,
            lags,
            by_step,
            echoes: outcomes.get(&Outcome::Echo).copied().unwrap_or(0),
            conflicts: store.conflicts(name, None).await?.len(),
            parked: load.parked,
            delivered: stage.acknowledged().await?,
            recorded: stage.recorded().await?,
        })
    }

    /// Whether everything is as it must be.
    pub fn holds(&self) -> bool {
        self.played.len() == STEPS.len()
            && self.played.iter().all(Played::is_as_declared)
            && self.rows.iter().all(Row::agrees)
            && self.parked == 0
            && self.conflicts == 1
            && self.recorded == self.delivered as u64
    }

    fn converged(&self) -> bool {
        self.rows.iter().all(Row::agrees)
    }

    fn percentile(&self, of_hundred: usize) -> i64 {
        let at = (self.lags.len() * of_hundred).div_ceil(100).saturating_sub(1);
        self.lags.get(at).copied().unwrap_or(0)
    }

    fn writes(&self) -> usize {
        self.played.iter().map(Played::writes).sum()
    }

    fn reads(&self) -> usize {
        self.played.iter().map(|one| one.traffic.reads).sum()
    }

    fn mirrored(&self) -> usize {
        self.by_step.values().map(|mirrored| mirrored.count).sum()
    }

    fn mirrored_by(&self, step: &Played) -> Mirrored {
        self.by_step.get(step.name).copied().unwrap_or_default()
    }

    /// One line for machines.
    pub fn json(&self) -> String {
        let unexpected: Vec<&str> =
            self.played.iter().filter(|one| !one.is_as_declared()).map(|one| one.name).collect();
        json!({
            "converged": self.converged() && self.holds(), "changes": self.recorded, "delivered": self.delivered,
            "calls": self.writes() + self.reads(), "writes": self.writes(), "reads": self.reads(),
            "mirrored": self.mirrored(),
            "steps": self.played.iter().map(|one| json!({
                "step": one.name, "mirrored": self.mirrored_by(one).count, "writes": one.writes(),
                "reads": one.traffic.reads,
            })).collect::<Vec<_>>(),
            "echoes": self.echoes, "conflicts": self.conflicts, "parked": self.parked,
            "p50_ms": self.percentile(50), "p99_ms": self.percentile(99), "unexpected": unexpected,
        })
        .to_string()
    }

    /// The tables for people.
    pub fn tables(&self) -> String {
        let mut steps = table(["", "edit", "where it went", "mirrored", "writes", "reads", "slowest"]);
        for one in &self.played {
            let Mirrored { count, slowest } = self.mirrored_by(one);
            let calls = [count, one.writes(), one.traffic.reads].map(|number| number.to_string());
            let cells = [mark(one.is_as_declared()).to_owned(), one.step.edit.clone(), went(one)];
            steps.add_row(cells.into_iter().chain(calls).chain([format!("{slowest} ms")]));
        }
        let mut sides = table(["", "object", "field", "GHL", "TIMIFY", "TimeRex"]);
        for row in &self.rows {
            let held = row.held.iter().map(|held| held.clone().unwrap_or_else(|| "-".to_owned()));
            let cells = [mark(row.agrees()).to_owned(), row.object.clone(), row.field.clone()];
            sides.add_row(cells.into_iter().chain(held));
        }
        format!("\n{steps}\n\n{sides}\n\n{}", self.summary())
    }

    fn summary(&self) -> String {
        let verdict = if self.holds() {
            "The three systems agree, and nothing was written but what the story declares."
        } else {
            "SOMETHING IS WRONG: see the lines marked BAD and the rows that differ."
        };
        let mut why = String::new();
        if self.recorded != self.delivered as u64 {
            why = format!("\n{} webhooks were acknowledged, {} rows recorded.", self.delivered, self.recorded);
        }
        if self.conflicts != 1 {
            why.push_str("\nThe story holds one conflict.");
        }
        format!(
            "{verdict}{why}\n{} changes mirrored by {} writes ({} each), with {} reads ({} each).\n{} webhooks recorded, {} echoes \
             recognised, {} conflict kept, {} parked; edit to arrival p50 {} ms, p99 {} ms\n(the demo waits {} ms for further \
             edits of an object before it acts on one).",
            self.mirrored(),
            self.writes(),
            each(self.writes(), self.mirrored()),
            self.reads(),
            each(self.reads(), self.mirrored()),
            self.recorded,
            self.echoes,
            self.conflicts,
            self.parked,
            self.percentile(50),
            self.percentile(99),
            super::QUIET.as_millis()
        )
    }
}

fn went(one: &Played) -> String {
    if let Some(failure) = &one.failure {
        return failure.clone();
    }
    let list = |writes: &Writes| {
        let parts: Vec<String> = writes.iter().map(|(label, count)| format!("{label} x{count}")).collect();
        parts.join("\n")
    };
    if one.is_as_declared() {
        list(&one.traffic.writes)
    } else {
        let (writes, declared) = (list(&one.traffic.writes), list(&one.step.expected));
        format!("{writes}\ndeclared:\n{declared}\nand at most {} reads, not {}", one.step.reads, one.traffic.reads)
    }
}
