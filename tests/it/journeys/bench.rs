//! `lockstep bench` measures the real service from outside: what it prints is there, and edits reach both other systems.

use std::process::Command;

use serde_json::Value;

/// Measures; gives what is printed.
fn bench(arguments: &[&str]) -> Value {
    let bench =
        Command::new(env!("CARGO_BIN_EXE_lockstep")).args(["bench", "--json"]).args(arguments).output().unwrap();
    assert!(bench.status.success(), "{}", String::from_utf8_lossy(&bench.stderr));
    serde_json::from_slice(&bench.stdout).unwrap()
}

fn figure(figures: &Value, name: &str) -> f64 {
    figures[name].as_f64().unwrap_or_else(|| panic!("no {name} in {figures}"))
}

/// CPU time is what other tests beside disturb least; they may all the same, so more is let pass than is reached.
#[test]
fn a_million_changes_that_are_stored_cost_those_that_come_hardly_anything() {
    let load = ["--seconds", "3", "--connections", "8", "--contacts", "100", "--rate", "20", "--grown"];
    let of = |grown: &str| bench(&[load.as_slice(), &[grown]].concat());
    let (empty, grown) = (of("0"), of("1000000"));
    for name in ["accepted, HMAC", "accepted, Ed25519", "mirrored"] {
        let cost = |figures| figure(figures, &format!("{name}, CPU µs/webhook"));
        let ratio = cost(&grown) / cost(&empty);
        println!("{name}: {} µs in an empty store, {} µs after a million changes", cost(&empty), cost(&grown));
        assert!(ratio < 1.6, "{name}: {ratio:.2} times\n{empty}\n{grown}");
    }
}

#[test]
fn the_benchmark_mirrors_every_edit_to_both_systems_with_one_write_each() {
    let figures = bench(&["--seconds", "1", "--connections", "4", "--contacts", "20", "--rate", "20"]);
    let figure = |name: &str| figure(&figures, name);
    for load in ["accepted, HMAC", "accepted, Ed25519", "mirrored", "mirrored at 20/s"] {
        assert!(figure(&format!("{load}, webhooks/s")) > 0.0, "{figures}");
        assert!(figure(&format!("{load}, refused")).abs() < f64::EPSILON, "{figures}");
    }
    // In the open loop no edit overtakes another one of its contact.
    assert!((figure("mirrored at 20/s, writes/webhook") - 2.0).abs() < f64::EPSILON, "{figures}");
    assert!(figure("mirrored, writes/webhook") <= 2.0, "{figures}");
    assert!(figure("mirrored at 20/s, reads/webhook").abs() < f64::EPSILON, "{figures}");
    assert!(figure("cold start, ms") > 0.0 && figure("memory idle, MB") > 1.0, "{figures}");
}
