//! A failing history, shortened: acts are left out as long as it still fails.
//!
//! In: a seed that breaks something. Out: the fewest acts found that break the same, and what they break.

use anyhow::Result;

use super::{Act, history, play_acts};

/// A short history that breaks something.
#[derive(Debug)]
pub struct Short {
    /// The seed of its world.
    pub seed: u64,
    /// Its acts.
    pub acts: Vec<Act>,
    /// What they break.
    pub broken: Vec<String>,
}

/// Shortens the history of a seed; `None`: nothing is broken.
pub fn shorten(seed: u64) -> Result<Option<Short>> {
    let acts = history(seed);
    let broken = play_acts(seed, acts.clone(), false)?.broken;
    let Some(wanted) = broken.first().map(|line| invariant(line).to_owned()) else { return Ok(None) };
    let mut short = Short { seed, acts, broken };
    let mut part = short.acts.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at < short.acts.len() {
            let mut fewer = short.acts.clone();
            fewer.drain(at..(at + part).min(fewer.len()));
            let broken = play_acts(seed, fewer.clone(), false)?.broken;
            if broken.iter().any(|line| invariant(line) == wanted) {
                (short.acts, short.broken) = (fewer, broken);
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    Ok(Some(short))
}

/// The invariant that a line is about: its number, or its first words.
fn invariant(line: &str) -> &str {
    line.split_once(':').map_or(line, |(number, _)| number)
}
