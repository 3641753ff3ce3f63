//! The command line of Lockstep.

use std::process::ExitCode;

fn main() -> ExitCode {
    lockstep::cli::run()
}
