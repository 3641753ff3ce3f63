//! `lockstep serve`: runs the service until it is told to stop.

use anyhow::Result;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::ConfigFile;
use crate::app::{self, Ground};

/// Runs the service.
#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    file: ConfigFile,
}

impl Serve {
    /// Serves. The first signal lets what runs end, the second ends at once; leases cover the rest.
    pub async fn run(self) -> Result<()> {
        let config = self.file.load()?;
        let running = app::start(&config, Ground::real(true)?).await?;
        println!("webhooks on http://{}, operators on http://{}", running.public, running.ops);
        stopped().await?;
        tracing::info!("stopping; a second signal stops at once");
        tokio::select! {
            ended = running.stop() => ended,
            second = stopped() => second,
        }
    }
}

/// Waits for the signal that asks us to stop.
pub async fn stopped() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
