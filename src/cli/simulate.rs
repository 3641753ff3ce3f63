//! `lockstep simulate`: random histories of edits and faults, played in virtual time and judged.

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::Args;

use crate::model::ReadBeforeWrite;
use crate::sandbox::simulate::{self, Short};

/// Plays random histories.
#[derive(Debug, Args)]
pub struct Simulate {
    /// How many.
    #[arg(long, default_value = "1000")]
    seeds: NonZeroU64,
    /// The first seed; a seed always plays the same history.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many are played side by side; one a core if left out.
    #[arg(long)]
    jobs: Option<usize>,
    /// Stops after so many broken ones; the first is shortened.
    #[arg(long, default_value_t = 1)]
    broken: usize,
    /// Tells line by line what happens in the first seed, with bodies, instead of judging many.
    #[arg(long)]
    tell: bool,
}

impl Simulate {
    /// Plays them. Exit code 1: something was broken.
    pub fn run(self) -> Result<ExitCode> {
        // Its runtimes are its own.
        thread::spawn(move || if self.tell { self.tell() } else { self.judge() })
            .join()
            .map_err(|_| anyhow!("a history panicked"))?
    }

    fn tell(&self) -> Result<ExitCode> {
        let run = simulate::play_acts(self.from, simulate::history(self.from), true)?;
        run.told.iter().chain(&run.broken).for_each(|line| println!("{line}"));
        Ok(if run.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn judge(&self) -> Result<ExitCode> {
        let begun = Instant::now();
        let jobs = self.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
        let tell = |seed, broken: &[String]| eprintln!("seed {seed} broke: {}", broken.join("; "));
        let tally = simulate::seeds(self.from, self.seeds.get(), jobs, self.broken, tell)?;
        let took = begun.elapsed().as_secs_f64();
        print!("{tally}");
        let missing = tally.missing();
        if !missing.is_empty() {
            println!("never occurred: {}", missing.join(", "));
        }
        println!(
            "{} histories from seed {} in {took:.1} s: {:.1} a second",
            tally.played,
            self.from,
            tally.played as f64 / took
        );
        let count = |what: &str| tally.counts.get(what).copied().unwrap_or(0) as f64;
        for mode in ReadBeforeWrite::ALL {
            let each =
                |what: &str| count(&format!("calls/{mode}/{what}")) / count(&format!("calls/{mode}/deeds")).max(1.0);
            println!(
                "read_before_write = {mode}: for each edit {:.2} writes, {:.2} reads, and {:.2} reads while reconciling",
                each("writes"),
                each("reads"),
                each("reconciling")
            );
        }
        let Some((seed, _)) = tally.broken.iter().min() else { return Ok(ExitCode::SUCCESS) };
        if let Some(Short { acts, broken, .. }) = simulate::shorten(*seed)? {
            println!(
                "seed {seed}, shortened to {} acts (`lockstep simulate --from {seed} --tell` tells all of it):",
                acts.len()
            );
            for line in acts.iter().map(ToString::to_string).chain(broken) {
                println!("    {line}");
            }
        }
        Ok(ExitCode::FAILURE)
    }
}
