//! Many histories: played side by side, what was broken in the first, and how often everything occurred in all.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{panic, thread};

use anyhow::{Context, Result, anyhow};

use super::story::Trouble;
use super::{Run, play};
use crate::model::{FieldRule, Finding, Mode, Outcome, ReadBeforeWrite};

/// What many histories came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many were played.
    pub played: u64,
    /// The first broken one of each job.
    pub broken: Vec<(u64, Vec<String>)>,
    /// How often everything occurred.
    pub counts: BTreeMap<String, u64>,
}

impl Tally {
    fn of(seed: u64, run: Run) -> Self {
        let broken = if run.broken.is_empty() { Vec::new() } else { vec![(seed, run.broken)] };
        Self { played: 1, broken, counts: run.counts }
    }

    fn join(&mut self, other: Self) {
        self.played += other.played;
        self.broken.extend(other.broken);
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }

    /// What should have occurred and did not: each fault, deed, verdict, outcome, mode and rule.
    pub fn missing(&self) -> Vec<String> {
        let words =
            |group: &str, words: Vec<&str>| words.iter().map(|word| format!("{group}/{word}")).collect::<Vec<_>>();
        let faults = Trouble::WORDS.to_vec();
        // What is unchanged is not written down.
        let findings = Finding::ALL.iter().filter(|finding| **finding != Finding::Unchanged);
        let findings = findings.map(|finding| finding.word()).collect();
        // Nothing is given up for good yet.
        let outcomes = Outcome::ALL.iter().filter(|outcome| **outcome != Outcome::Dead);
        let outcomes = outcomes.map(|outcome| outcome.word()).collect();
        let rules = FieldRule::ALL.iter().map(|rule| rule.word()).collect();
        let modes = Mode::ALL.iter().map(|mode| mode.word()).collect();
        let reads = ReadBeforeWrite::ALL.iter().map(|word| word.word()).collect();
        let wanted = [
            words("fault", faults),
            words("fault", vec!["token_expiry"]),
            words("verdict", findings),
            words("outcome", outcomes),
            words("policy/rule", rules),
            words("policy/mode", modes),
            words("policy/read_before_write", reads),
        ];
        wanted.into_iter().flatten().filter(|what| !self.counts.contains_key(what)).collect()
    }

    /// Whether nothing was broken.
    pub fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }
}

/// Hears of a broken seed at once: many take hours.
pub type Tell = fn(seed: u64, broken: &[String]);

/// Plays some seeds, so many side by side, until some are broken.
pub fn seeds(from: u64, count: u64, jobs: usize, most_broken: usize, tell: Tell) -> Result<Tally> {
    let (next, stop) = (AtomicU64::new(from), AtomicBool::new(false));
    let job = || -> Result<Tally> {
        let mut tally = Tally::default();
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                break;
            }
            let run = panic::catch_unwind(|| play(seed)).map_err(|_| anyhow!("seed {seed} panicked"))?;
            let run = run.with_context(|| format!("seed {seed}"))?;
            if !run.broken.is_empty() {
                tell(seed, &run.broken);
            }
            tally.join(Tally::of(seed, run));
            if tally.broken.len() >= most_broken {
                stop.store(true, Ordering::Relaxed);
            }
        }
        Ok(tally)
    };
    let mut all = Tally::default();
    thread::scope(|scope| {
        let running: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(job)).collect();
        for one in running {
            let ended = one.join().map_err(|_| anyhow!("a history panicked"))?;
            all.join(ended?);
        }
        Ok(())
    })
    .map(|()| all)
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.counts {
            writeln!(f, "{what:<40} {count}")?;
        }
        let mut broken: Vec<_> = self.broken.iter().collect();
        broken.sort();
        for (seed, what) in broken {
            writeln!(f, "seed {seed}:")?;
            for line in what {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}
