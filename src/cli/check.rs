//! `lockstep check`: the configuration with all its mistakes, what each system can do, and which webhooks have been seen.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use comfy_table::Table;
use http::Method;

use super::ConfigFile;
use super::operate::Operator;
use super::table::table;
use crate::app;
use crate::config::{self, Config};
use crate::model::{Kind, System};
use crate::store::sql;
use crate::systems::capabilities::{self, Notes, Object};
use crate::systems::ghl;

/// Reads the configuration and prints what it means.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// Also prints every value as it counts, and where it comes from (secrets left out).
    #[arg(long)]
    values: bool,
    /// Also has the running service ask the vendors: whether tokens work, and whether the calendars and fields that the
    /// configuration names are there.
    #[arg(long)]
    online: bool,
}

impl Check {
    /// Prints it. Exit code 1: there are mistakes, one a line, each with file, line and key; or a vendor knows it otherwise.
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
        if config.workspaces.iter().any(|workspace| workspace.accounts.contains_key(&System::Ghl)) {
            let oauth = config.systems.ghl.oauth.as_ref();
            println!("\n{}", scopes(oauth.map(|oauth| oauth.scopes.as_slice())));
        }
        if self.online && !online(&config).await? {
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What the table above needs of GHL, and whether the app asks for it (`None`: there is no app, a token is made by hand).
fn scopes(asked: Option<&[String]>) -> Table {
    let mut uses: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (writes, does) in [(false, "read"), (true, "write")] {
        for kind in Kind::ALL {
            for scope in ghl::scopes(*kind, writes) {
                uses.entry(scope).or_default().push(format!("{does} {kind}s"));
            }
        }
    }
    let mut table = table(["scope of GoHighLevel", "needed to", "asked for"]);
    for (scope, uses) in uses {
        let state = match asked {
            None => "tick it where the token is made",
            Some(asked) if asked.iter().any(|one| one == scope) => "yes",
            Some(_) => "NO: add it to `scopes`",
        };
        table.add_row([scope.to_owned(), uses.join(", "), state.to_owned()]);
    }
    table
}

/// What the vendors say; `false`: something is not as the configuration says.
async fn online(config: &Config) -> Result<bool> {
    let operator = Operator::of(config)?;
    let mut well = true;
    for workspace in &config.workspaces {
        let path = format!("/workspaces/{}/inspect", workspace.name);
        let answer = operator.ask(Method::GET, &path, None).await?;
        let systems = answer["systems"].as_object().into_iter().flatten();
        let across = ("all systems".to_owned(), answer["across"].clone());
        for (system, lines) in systems.map(|(system, lines)| (system.clone(), lines.clone())).chain([across]) {
            for line in lines.as_array().into_iter().flatten() {
                let ok = line["ok"] == true;
                well &= ok;
                let mark = if ok { "ok" } else { "PROBLEM" };
                println!("{} {system}: {mark}: {}", workspace.name, line["line"].as_str().unwrap_or_default());
            }
        }
    }
    Ok(well)
}

/// What each system of each workspace can do, and below it why it cannot do the rest.
fn capabilities(config: &Config) -> Result<String> {
    let [contacts, tags, tasks, notes, appointments] = Object::ALL.map(Object::plural);
    let mut shown = table(["workspace", "system", contacts, tags, tasks, notes, appointments]);
    let mut notes = Notes::default();
    for (name, site) in app::sites(config)? {
        for (system, target) in &site.targets {
            let cells = capabilities::row(target.as_ref()).map(|cell| notes.text(&cell));
            shown.add_row([name.clone(), system.to_string()].into_iter().chain(cells));
        }
    }
    let mut why = table(["note", "why not, or why not all"]);
    why.add_rows(notes.numbered().map(|(number, note)| [format!("[{number}]"), note.to_owned()]));
    Ok(format!("{shown}\n\n{why}"))
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
            None => BTreeMap::new(),
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
