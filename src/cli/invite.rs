//! `lockstep invite`: a contact gets a link by which it can book once. Asked of the running service.

use anyhow::{Context, Result};
use clap::Args;
use http::Method;
use serde_json::json;

use super::ConfigFile;
use super::operate::Operator;
use super::table::table;

/// Invites a contact to book, by a link that TimeRex makes for it.
#[derive(Debug, Args)]
pub struct Invite {
    #[command(flatten)]
    file: ConfigFile,
    /// The workspace.
    workspace: String,
    /// The contact: our entity id, an id in one of the systems, an e-mail or a phone number.
    #[arg(required_unless_present = "list")]
    contact: Option<String>,
    /// The calendar, by the name of its row in the configuration.
    #[arg(long, required_unless_present = "list")]
    calendar: Option<String>,
    /// Where the link is written: `note`, `task`, or `field:NAME` with a name of `[workspaces.ghl.fields]`.
    #[arg(long, required_unless_present = "list")]
    to: Option<String>,
    /// When the task is due, for example 2026-03-10T09:00:00Z.
    #[arg(long)]
    due: Option<String>,
    /// Lists the invitations of the workspace instead, without their links.
    #[arg(long, conflicts_with_all = ["contact", "calendar", "to", "due"])]
    list: bool,
}

impl Invite {
    /// Does it.
    pub async fn run(self) -> Result<()> {
        let operator = Operator::of(&self.file.load()?)?;
        let path = format!("/workspaces/{}/invitations", self.workspace);
        if self.list {
            return list(&operator, &path).await;
        }
        let contact = self.contact.context("who is invited?")?;
        let order = json!({ "contact": contact, "calendar": self.calendar, "to": self.to, "due": self.due });
        let one = operator.ask(Method::POST, &path, Some(order)).await?;
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        println!("contact {} has a link to {}: {}", text("contact"), text("calendar"), text("to"));
        if one["watched"] != true {
            let why = one["reason"].as_str().map_or_else(String::new, |reason| format!(" ({reason})"));
            println!("whether it is used is found by looking at it from time to time{why}");
        }
        Ok(())
    }
}

async fn list(operator: &Operator, path: &str) -> Result<()> {
    let answer = operator.ask(Method::GET, path, None).await?;
    let header = ["contact", "calendar", "to", "state", "made", "reason"];
    let mut table = table(header);
    for one in answer["invitations"].as_array().into_iter().flatten() {
        table.add_row(header.map(|key| one[key].as_str().unwrap_or_default().to_owned()));
    }
    println!("{table}");
    Ok(())
}
