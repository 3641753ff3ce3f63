//! What the service says about itself: log lines, as text for people or as JSON for machines.
//!
//! In: a filter (`info`, `lockstep=debug,warn`) and a form. Nothing secret is ever given to it: secrets have no `Display`,
//! bodies and personal values are not logged at all.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::SubscriberInitExt;

use crate::model::words;

words! {
    /// The form of log lines.
    LogForm {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is none.
    #[error("not a log filter such as `info` or `lockstep=debug,warn`")]
    Filter(#[from] ParseError),
    /// Logging was started before.
    #[error("logging is started already")]
    Started(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging to standard error, so that standard output is left to the answers of commands.
pub fn start(filter: &str, form: LogForm) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(filter)?;
    let colors = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colors).with_writer(io::stderr);
    match form {
        LogForm::Text => lines.finish().try_init()?,
        LogForm::Json => lines.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_refused_before_anything_starts() {
        assert!(matches!(start("lockstep=loud", LogForm::Text), Err(TelemetryError::Filter(_))));
    }
}
