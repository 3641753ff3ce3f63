//! Every parser of bytes from outside, given what nobody should send: each known body, the kept corpus, and for a while
//! whatever random changes make of them.
//!
//! The same targets run under libFuzzer, which sees what its inputs reach: `fuzz/README.md` tells how. Here no tool is needed.
//! `LOCKSTEP_FUZZ_SECONDS` is how long each target is tried, `LOCKSTEP_FUZZ_SEED` chooses other changes, and
//! `LOCKSTEP_FUZZ_KNOWN` names a folder to which the known inputs are written, for libFuzzer to begin with.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod known;
mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use mutate::Mutator;
use rstest::rstest;

/// A number from the environment.
fn chosen(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Tries one input. What it breaks is kept in a file, for libFuzzer or a test.
fn attempt(name: &str, input: &[u8]) {
    if let Err(cause) = catch_unwind(AssertUnwindSafe(|| targets::run(name, input))) {
        let file = std::env::temp_dir().join(format!("lockstep-fuzz-{name}-{}", std::process::id()));
        std::fs::write(&file, input).unwrap();
        eprintln!("{name} broke on {}: {}", file.display(), String::from_utf8_lossy(input));
        std::panic::resume_unwind(cause);
    }
}

#[rstest]
#[case("webhook_ghl")]
#[case("webhook_timify")]
#[case("webhook_timerex")]
#[case("webhook_extension")]
#[case("signatures")]
#[case("answers")]
#[case("config")]
fn nothing_from_outside_breaks_its_reader(#[case] name: &str) {
    let known = known::known(name);
    assert!(!known.is_empty(), "no input is known for {name}");
    for input in &known {
        attempt(name, input);
    }
    if let Some(folder) = std::env::var_os("LOCKSTEP_FUZZ_KNOWN") {
        let folder = Path::new(&folder).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, input) in known.iter().enumerate() {
            std::fs::write(folder.join(format!("known-{number}")), input).unwrap();
        }
    }
    let mut mutator = Mutator::new(chosen("LOCKSTEP_FUZZ_SEED", 1), known);
    let (until, mut tried) = (Instant::now() + Duration::from_secs(chosen("LOCKSTEP_FUZZ_SECONDS", 2)), 0_u64);
    while Instant::now() < until {
        attempt(name, &mutator.next());
        tried += 1;
    }
    println!("{name}: {tried} inputs");
}

#[test]
fn every_target_has_its_case_and_its_binary() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/Cargo.toml")).unwrap();
    let this = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/main.rs")).unwrap();
    for name in known::NAMES {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name} is no binary of fuzz/Cargo.toml");
        assert!(this.contains(&format!("#[case(\"{name}\")]")), "{name} has no case");
    }
}
