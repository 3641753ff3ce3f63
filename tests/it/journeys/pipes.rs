//! A command whose reader has gone (`lockstep check | head`) goes on to its end, and says so by its exit code.

use std::process::{Command, Stdio};

use rstest::rstest;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml");

#[rstest]
#[case::tables(&["check", "--config", EXAMPLE, "--values"], 0)]
#[case::a_line(&["key", "new"], 0)]
#[case::an_error(&["check", "--config", "/nowhere/lockstep.toml"], 1)]
fn a_command_whose_reader_has_gone_ends_as_it_would(#[case] arguments: &[&str], #[case] code: i32) {
    let (reader, writer) = std::io::pipe().unwrap();
    let told = writer.try_clone().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LOCKSTEP_")) {
        command.env_remove(name);
    }
    let status = command.args(arguments).stdin(Stdio::null()).stdout(writer).stderr(told).status().unwrap();
    assert_eq!(status.code(), Some(code));
}
