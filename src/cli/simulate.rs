//! `lockstep simulate`: random histories of edits and faults, played in virtual time and judged.

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::sandbox::simulate::{self, Tally};

/// Plays random histories.
#[derive(Debug, Args)]
pub struct Simulate {
    /// How many.
    #[arg(long, default_value = "1000")]
    seeds: NonZeroU64,
    /// The first seed; one seed always plays the same history.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many are played side by side; one a core if left out.
    #[arg(long)]
    jobs: Option<usize>,
    /// Stops after so many broken ones.
    #[arg(long, default_value_t = 1)]
    keep_on: usize,
    /// Tells line by line what happens in the first seed.
    #[arg(long)]
    tell: bool,
}

impl Simulate {
    /// Plays them. Exit code 1: something was broken.
    pub fn run(self) -> Result<ExitCode> {
        if self.tell {
            let from = self.from;
            let played = thread::spawn(move || simulate::play_acts(from, simulate::history(from), true)).join();
            let run = played.map_err(|_| anyhow::anyhow!("it panicked"))??;
            run.told.iter().chain(&run.broken).for_each(|line| println!("{line}"));
            return Ok(ExitCode::SUCCESS);
        }
        let begun = Instant::now();
        let jobs = self.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
        let tally = simulate::seeds(self.from, self.seeds.get(), jobs, self.keep_on)?;
        let took = begun.elapsed().as_secs_f64();
        print!("{tally}");
        println!(
            "{} seeds from {} in {took:.1} s: {:.1} a second",
            tally.played,
            self.from,
            tally.played as f64 / took
        );
        Ok(if Tally::is_whole(&tally) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
