//! What is tried: each target takes any bytes and must neither panic, nor go on without end, nor let anything through.
//!
//! Also built by `fuzz/`, so nothing here is of the tests' own.

mod answers;
mod config;
mod ground;
mod signatures;
mod webhooks;

use std::path::{Path, PathBuf};

/// All targets.
pub const NAMES: &[&str] =
    &["webhook_ghl", "webhook_timify", "webhook_timerex", "webhook_extension", "signatures", "answers", "config"];

/// Tries one input on one target.
pub fn run(name: &str, input: &[u8]) {
    match name {
        "webhook_ghl" => webhooks::ghl(input),
        "webhook_timify" => webhooks::timify(input),
        "webhook_timerex" => webhooks::timerex(input),
        "webhook_extension" => webhooks::extension(input),
        "signatures" => signatures::forged(input),
        "answers" => answers::answer(input),
        "config" => config::text(input),
        other => panic!("{other} is no target"),
    }
}

/// What is known to be sent, or was found to reach far.
pub fn known(name: &str) -> Vec<Vec<u8>> {
    let mut known = match name {
        "webhook_ghl" => files("tests/fixtures/ghl/events"),
        "webhook_timify" => files("tests/fixtures/timify/assumed"),
        "webhook_timerex" => files("tests/fixtures/timerex"),
        "webhook_extension" => webhooks::of_the_contract(),
        "signatures" => signatures::known(),
        "answers" => answers::known(),
        "config" => config::known(),
        other => panic!("{other} is no target"),
    };
    known.extend(files(&format!("fuzz/corpus/{name}")));
    known
}

/// The contents of all files in a folder of the project and below.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![project().join(folder)];
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() { folders.push(path) } else { found.extend(std::fs::read(path)) }
        }
    }
    found
}

/// The folder of the project: `fuzz/` is built from one below it.
fn project() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    if here.ends_with("fuzz") { here.parent().unwrap_or(here) } else { here }
}
