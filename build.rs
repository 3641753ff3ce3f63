//! Tells the tests whether a PostgreSQL and a Python can be had, so that the cases that need one show as ignored, with the
//! reason, where there is none (and fail where `CI=true` asks for all of them).

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-env-changed=TEST_POSTGRES_URL");
    println!("cargo::rerun-if-env-changed=CI");
    println!("cargo::rerun-if-changed=/usr/lib/postgresql");
    // A path that is not there would make cargo build anew each time.
    let python = if Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "/usr/bin" };
    println!("cargo::rerun-if-changed={python}");
    println!("cargo::rustc-check-cfg=cfg(postgres_missing)");
    println!("cargo::rustc-check-cfg=cfg(python_missing)");
    let named = env::var_os("TEST_POSTGRES_URL").is_some();
    let demanded = env::var("CI").is_ok_and(|ci| ci == "true");
    if !(named || demanded || postgres_installed()) {
        println!("cargo::rustc-cfg=postgres_missing");
    }
    if !(demanded || on_path("python3")) {
        println!("cargo::rustc-cfg=python_missing");
    }
}

fn on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(program).exists()))
}

fn postgres_installed() -> bool {
    let debian = std::fs::read_dir(Path::new("/usr/lib/postgresql"))
        .is_ok_and(|versions| versions.flatten().any(|version| version.path().join("bin/initdb").exists()));
    on_path("initdb") || debian
}
