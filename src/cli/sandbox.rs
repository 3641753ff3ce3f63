//! `lockstep sandbox`: the three vendors and an extension endpoint as stand-ins, over real HTTP.

use std::net::SocketAddr;

use anyhow::Result;
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::demo::config;
use super::serve::stopped;
use crate::credentials::seal::new_key;
use crate::sandbox::settings::SandboxSettings;
use crate::sandbox::shell;
use crate::secret::Secret;

/// Runs the sandbox.
#[derive(Debug, Args)]
pub struct Sandbox {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Where the service's public listener is: the stand-ins send their webhooks there.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    service: String,
    /// How many workspaces it has accounts for.
    #[arg(long, default_value_t = 1)]
    workspaces: usize,
    /// Prints a configuration that connects the service with it, and ends.
    #[arg(long)]
    print_config: bool,
    /// The printed configuration reaches GHL and TimeRex by OAuth, with a key made just now to seal the tokens.
    #[arg(long, requires = "print_config")]
    oauth: bool,
}

impl Sandbox {
    /// Runs until it is told to stop.
    pub async fn run(self) -> Result<()> {
        let mut settings = SandboxSettings::with_workspaces(self.workspaces);
        if self.print_config {
            let base = format!("http://{}", self.listen);
            let oauth = if self.oauth { Some((self.service, Secret::new(new_key()?))) } else { None };
            print!(
                "{}",
                config::text(
                    &settings,
                    &base,
                    &config::Service { oauth, timerex_oauth: self.oauth, ..config::Service::default() }
                )?
            );
            return Ok(());
        }
        settings.ghl.client.redirect_uris = vec![format!("{}/oauth/ghl/callback", self.service)];
        settings.timerex.oauth.redirect_uris = vec![format!("{}/oauth/timerex/callback", self.service)];
        settings.receivers = config::receivers(&settings, &self.service);
        let listener = TcpListener::bind(self.listen).await?;
        println!("stand-ins on http://{}; control API on http://{}/control", self.listen, self.listen);
        let stop = CancellationToken::new();
        let ring = stop.clone();
        tokio::spawn(async move {
            let _ = stopped().await;
            ring.cancel();
        });
        shell::serve(listener, settings, stop).await?;
        Ok(())
    }
}
