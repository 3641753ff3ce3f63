//! `lockstep key new`: makes a key for sealing.

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::credentials::seal;

/// Makes a key for sealing.
#[derive(Debug, Args)]
pub struct Key {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Prints a new key, for `[seal] keys` (put it first; older keys stay behind it).
    New,
}

impl Key {
    /// Prints it.
    pub fn run(self) -> Result<()> {
        let What::New = self.what;
        println!("{}", seal::new_key()?);
        Ok(())
    }
}
