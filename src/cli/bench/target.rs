//! `lockstep bench-target`: the vendors of a benchmark, in a process of their own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tokio::net::TcpListener;

use super::settings;
use crate::sandbox::shell::canned;

/// Runs the vendors of a benchmark.
#[derive(Debug, Args)]
pub struct Target {
    /// How many workspaces they have accounts for.
    #[arg(long, default_value_t = 1)]
    workspaces: usize,
    /// How long they take to answer, in milliseconds.
    #[arg(long, default_value_t = 0)]
    answer_ms: u64,
}

impl Target {
    /// Serves until it is killed; its address is the first line that it prints.
    pub async fn run(self) -> Result<()> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        println!("{}", listener.local_addr()?);
        Ok(canned::serve(listener, &settings(self.workspaces), Duration::from_millis(self.answer_ms)).await?)
    }
}
