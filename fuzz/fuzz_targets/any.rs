//! One target under libFuzzer; its binary's name tells which.

#![no_main]

#[path = "../../tests/fuzz/targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| targets::run(env!("CARGO_BIN_NAME"), input));
