//! The configuration: any text, and variables of the environment.

use lockstep::app;
use lockstep::config::{Config, checks};
use lockstep::record::Directory;

/// Lines behind this one are variables.
pub const VARIABLES: &str = "\n# variables\n";

pub fn text(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (text, variables) = text.split_once(VARIABLES).unwrap_or((text, ""));
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (format!("LOCKSTEP_{name}"), value.to_owned()));
    // Files that it names are looked for where there are none.
    match Config::read("lockstep.toml", text, std::path::Path::new("/nonexistent/"), variables) {
        Ok(config) => {
            drop((checks(&config), Directory::of(&config.workspaces()), app::sites(&config)));
        }
        Err(mistakes) => assert!(!mistakes.to_string().trim().is_empty(), "refused without a reason"),
    }
}
