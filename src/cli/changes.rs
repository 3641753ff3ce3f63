//! `lockstep changes`: what was recorded and not understood or not placed.

use anyhow::Result;
use clap::Args;

use super::ConfigFile;
use super::table::table;
use crate::model::Standing;
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
    /// How many, newest first.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Also prints the bodies. They may hold personal data.
    #[arg(long)]
    bodies: bool,
}

impl Changes {
    /// Prints them.
    pub async fn run(self) -> Result<()> {
        let store = sql::open_read_only(self.file.load()?.store.url.expose()).await?;
        let standing = if self.unparsed {
            Standing::Unparsed
        } else if self.unrouted {
            Standing::Unrouted
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
            for change in &changes {
                println!("--- change {}\n{}", change.id, String::from_utf8_lossy(&change.said.body));
            }
        }
        Ok(())
    }
}
