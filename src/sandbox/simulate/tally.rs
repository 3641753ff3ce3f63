//! Many histories: played side by side, what was broken in the first, and how often everything occurred in all.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use anyhow::Result;

use super::{Run, play};

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
    fn add(&mut self, seed: u64, run: Run) {
        self.played += 1;
        if !run.broken.is_empty() {
            self.broken.push((seed, run.broken));
        }
        for (what, count) in run.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }

    fn join(&mut self, other: Self) {
        self.played += other.played;
        self.broken.extend(other.broken);
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }

    /// Whether nothing was broken.
    pub fn is_whole(&self) -> bool {
        self.broken.is_empty()
    }
}

/// Plays some seeds, so many side by side, until one is broken.
pub fn seeds(from: u64, count: u64, jobs: usize, most_broken: usize) -> Result<Tally> {
    let (next, stop) = (AtomicU64::new(from), AtomicBool::new(false));
    let job = || -> Result<Tally> {
        let mut tally = Tally::default();
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                break;
            }
            tally.add(seed, play(seed)?);
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
            let ended = one.join().map_err(|_| anyhow::anyhow!("a history panicked"))?;
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
