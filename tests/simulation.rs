//! The simulation, for as long as CI has time: a fixed set of seeds, none of which breaks anything. By hand and for long:
//! `cargo run --release -- simulate --seeds 1000000`.

use lockstep::sandbox::simulate;

/// Side by side in one test; each takes some tenths of a second without optimisation.
const SEEDS: u64 = 240;
const JOBS: usize = 2;

#[test]
fn no_history_of_edits_and_faults_breaks_what_must_hold() {
    let tally = simulate::seeds(1, SEEDS, JOBS, 1, |_, _| ()).unwrap();
    assert!(tally.is_whole(), "{tally}");
    assert_eq!(tally.played, SEEDS);
    assert_eq!(tally.missing(), [""; 0], "{tally}");
}

#[test]
fn a_seed_plays_the_same_history_each_time() {
    let once = |seed| {
        let run = simulate::play_acts(seed, simulate::history(seed), true).unwrap();
        (run.told, run.counts)
    };
    for seed in [3, 17, 200] {
        assert_eq!(once(seed), once(seed));
    }
}
