//! `lockstep changes`: what was recorded: what was not understood or not placed, and the rest.

use std::borrow::Cow;

use anyhow::Result;
use clap::Args;

use super::ConfigFile;
use super::table::table;
use crate::app::veils;
use crate::credentials::seal::Sealer;
use crate::model::{Change, Standing};
use crate::store::sql;

/// Lists changes.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true)))]
pub struct Changes {
    #[command(flatten)]
    file: ConfigFile,
    /// Those that could not be read.
    #[arg(long, group = "which")]
    unparsed: bool,
    /// Those that name no workspace of ours, or one that their credential may not speak for.
    #[arg(long, group = "which")]
    unrouted: bool,
    /// Those that are understood and nothing that is mirrored.
    #[arg(long, group = "which")]
    not_mirrored: bool,
    /// Those that are understood and belong to a workspace.
    #[arg(long, group = "which")]
    routed: bool,
    /// How many, newest first.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Also prints the bodies. They may hold personal data.
    #[arg(long)]
    bodies: bool,
    /// Shows the secrets in them too, as far as they were kept: sealed ones are opened with the configuration's keys.
    #[arg(long, requires = "bodies")]
    unseal: bool,
}

impl Changes {
    /// Prints them.
    pub async fn run(self) -> Result<()> {
        let config = self.file.load()?;
        let store = sql::open_read_only(config.store.url.expose()).await?;
        let standing = if self.unparsed {
            Standing::Unparsed
        } else if self.unrouted {
            Standing::Unrouted
        } else if self.routed {
            Standing::Routed
        } else {
            Standing::NotMirrored
        };
        let mut table = table(["change", "received", "from", "what", "why"]);
        let changes = store.by_standing(standing, self.limit).await?;
        for change in &changes {
            let said = &change.said;
            let why = said.reason.clone().unwrap_or_default();
            table.add_row([
                change.id.to_string(),
                said.received.rfc3339(),
                said.system.to_string(),
                said.label.clone(),
                why,
            ]);
        }
        println!("{table}\n{} {standing}", changes.len());
        if self.bodies {
            let sealer = if self.unseal { Some(Sealer::new(&config.seal.keys)?) } else { None };
            for change in &changes {
                println!("--- change {}\n{}", change.id, String::from_utf8_lossy(&shown(change, sealer.as_ref())));
            }
        }
        Ok(())
    }
}

/// The body of a change, without its secrets if there is no sealer.
fn shown<'a>(change: &'a Change, sealer: Option<&Sealer>) -> Cow<'a, [u8]> {
    let (system, body) = (change.said.system, &change.said.body);
    let failed = |key: &str, error| eprintln!("change {}: `{key}`: {error}", change.id);
    let other = match sealer {
        Some(sealer) => veils::with_secrets(system, body, sealer, failed),
        None => veils::without_secrets(system, body),
    };
    other.map_or(Cow::Borrowed(body), Cow::Owned)
}
