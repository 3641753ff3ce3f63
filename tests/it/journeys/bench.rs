//! `lockstep bench` measures the real service from outside: what it prints is there, and edits reach both other systems.

use std::process::Command;

use serde_json::Value;

#[test]
fn the_benchmark_mirrors_every_edit_to_both_systems_with_one_write_each() {
    let bench = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .args(["bench", "--json", "--seconds", "1", "--connections", "4", "--contacts", "20", "--rate", "20"])
        .output()
        .unwrap();
    assert!(bench.status.success(), "{}", String::from_utf8_lossy(&bench.stderr));
    let figures: Value = serde_json::from_slice(&bench.stdout).unwrap();
    let figure = |name: &str| figures[name].as_f64().unwrap_or_else(|| panic!("no {name} in {figures}"));
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
