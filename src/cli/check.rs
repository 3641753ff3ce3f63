//! `lockstep check`: the configuration with all its mistakes, what each system can do, and which webhooks have been seen.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use comfy_table::Table;

use super::ConfigFile;
use super::table::table;
use crate::app;
use crate::config::{self, Config};
use crate::model::{Expressed, Field, Kind, System, Value};
use crate::store::sql;
use crate::systems::{Home, Target};

/// Reads the configuration and prints what it means.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// Also prints every value as it counts, and where it comes from (secrets left out).
    #[arg(long)]
    values: bool,
}

impl Check {
    /// Prints it. Exit code 1: there are mistakes, one a line, each with file, line and key.
    pub async fn run(self) -> Result<ExitCode> {
        let config = self.file.load()?;
        println!("{}: no mistakes\n", self.file.config.display());
        if self.values {
            println!("{}", config.redacted());
        }
        if config.workspaces.is_empty() {
            println!("there is no [[workspaces]] yet, so nothing is kept equal");
            return Ok(ExitCode::SUCCESS);
        }
        println!("{}\n", capabilities(&config)?);
        println!("{}", webhooks(&config).await);
        Ok(ExitCode::SUCCESS)
    }
}

/// What each system of each workspace can do.
fn capabilities(config: &Config) -> Result<Table> {
    let mut table = table(["workspace", "system", "contact", "tags", "task", "note", "appointment"]);
    for (name, site) in app::sites(config)? {
        for (system, target) in &site.targets {
            let cell = |kind: Kind| {
                let home = target.home(kind);
                let made = target.creates(kind).err().filter(|_| home.holds());
                made.map_or_else(|| word(&home), |reason| format!("{} ({reason})", word(&home)))
            };
            let tags = tags(target.as_ref());
            let row = [Kind::Task, Kind::Note, Kind::Appointment].map(cell);
            let [task, note, appointment] = row;
            table.add_row([name.clone(), system.to_string(), cell(Kind::Contact), tags, task, note, appointment]);
        }
    }
    Ok(table)
}

/// Where the tags of a contact live.
fn tags(target: &dyn Target) -> String {
    let held = target.express(Kind::Contact, &Field::tag("any"), &Value::Flag(true)) != Expressed::Absent;
    match (held, target.home(Kind::Contact), target.system()) {
        (false, ..) => word(&Home::Kept),
        (true, Home::Native, system) if system != System::Ghl => word(&Home::Extension),
        (true, home, _) => word(&home),
    }
}

fn word(home: &Home) -> String {
    match home {
        Home::Native => "native".to_owned(),
        Home::Extension => "extension".to_owned(),
        Home::Projected => "projected".to_owned(),
        Home::Kept => "kept here".to_owned(),
        Home::Refused(reason) => format!("refused: {reason}"),
    }
}

/// Which URL goes to which vendor, and whether its webhooks have come.
async fn webhooks(config: &Config) -> Table {
    let mut table = table(["workspace", "system", "webhook URL", "state"]);
    let public = config.server.public_url.clone().unwrap_or_else(|| "https://YOUR-HOST".to_owned());
    let checks = config::checks(config);
    let store = sql::open_read_only(config.store.url.expose()).await.ok();
    for workspace in &config.workspaces {
        let seen = match &store {
            Some(store) => store.last_webhooks(&workspace.name).await.unwrap_or_default(),
            None => std::collections::BTreeMap::new(),
        };
        for system in workspace.accounts.keys() {
            let own = *system == System::Timify;
            let url =
                if own { format!("/webhooks/{system}/{}", workspace.name) } else { format!("/webhooks/{system}") };
            let proven = checks
                .get(system)
                .is_some_and(|checks| checks.iter().any(|check| check.speaks_for.contains(&workspace.name)));
            let state = match (proven, seen.get(system)) {
                (false, _) => "not registered: nothing is configured that could prove it".to_owned(),
                (true, None) => "registered but nothing seen yet".to_owned(),
                (true, Some(at)) => format!("last seen {at}"),
            };
            table.add_row([workspace.name.clone(), system.to_string(), format!("{public}{url}"), state]);
        }
    }
    table
}
