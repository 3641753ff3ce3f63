//! `lockstep conflicts`, `restore`, `dismiss`: what lost, and putting it back. Listing reads the store; the rest is asked of
//! the running service.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use http::Method;
use serde_json::{Value as Json, json};

use super::ConfigFile;
use super::operate::Operator;
use super::table::table;
use crate::app::shown;
use crate::model::{ConflictId, ConflictState, EntityId, KeptConflict, Value};
use crate::store::{Sought, Store, sql};

/// Conflicts read at once.
const PAGE: u32 = 500;

/// Lists values that lost, with both sides.
#[derive(Debug, Args)]
pub struct Conflicts {
    #[command(flatten)]
    file: ConfigFile,
    /// Only those of this workspace.
    #[arg(long)]
    workspace: Option<String>,
    /// Only those of this entity.
    #[arg(long)]
    entity: Option<EntityId>,
    /// Those that were restored or dismissed, instead of the open ones.
    #[arg(long, default_value = "open")]
    state: ConflictState,
    /// Prints them as JSON, one a line.
    #[arg(long)]
    json: bool,
}

impl Conflicts {
    /// Prints them.
    pub async fn run(self) -> Result<()> {
        let config = self.file.load()?;
        let store = sql::open_read_only(config.store.url.expose()).await?;
        let state = Some(self.state);
        let wanted = Sought { workspace: self.workspace, entity: self.entity, report: None, state };
        let kept = all(store.as_ref(), &wanted).await?;
        if self.json {
            for one in &kept {
                println!("{}", shown(one));
            }
        } else {
            print(&kept);
        }
        Ok(())
    }
}

async fn all(store: &dyn Store, wanted: &Sought) -> Result<Vec<KeptConflict>> {
    let mut kept: Vec<KeptConflict> = Vec::new();
    loop {
        let after = kept.last().map_or(ConflictId(0), |last| last.id);
        let page = store.kept(wanted, after, PAGE).await?;
        let full = page.len() == PAGE as usize;
        kept.extend(page);
        if !full {
            return Ok(kept);
        }
    }
}

/// One block a report: what lost when one object was linked is one decision.
fn print(kept: &[KeptConflict]) {
    let mut reports: BTreeMap<ConflictId, Vec<&KeptConflict>> = BTreeMap::new();
    for one in kept {
        reports.entry(one.report).or_default().push(one);
    }
    let mut rows = table(["conflict", "entity", "field", "lost", "by", "won", "by", "rule", "shown by", "at"]);
    for one in reports.values().flatten() {
        let conflict = &one.told.conflict;
        let number = if one.report == one.id { one.id.to_string() } else { format!("{} (of {})", one.id, one.report) };
        rows.add_row([
            number,
            one.told.entity.to_string(),
            conflict.field.to_string(),
            text(&conflict.lost),
            format!("{} {}", conflict.lost_stamp.author, conflict.lost_stamp.t),
            text(&conflict.won),
            format!("{} {}", conflict.won_stamp.author, conflict.won_stamp.t),
            conflict.rule.clone(),
            one.told.proof.shown_by.map_or_else(String::new, |by| by.to_string()),
            one.at.rfc3339(),
        ]);
    }
    println!("{rows}\n{} values lost, in {} reports", kept.len(), reports.len());
}

fn text(value: &Value) -> String {
    value.as_text().map_or_else(|| format!("{value:?}"), ToOwned::to_owned)
}

/// Puts a value back that lost.
#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    file: ConfigFile,
    /// Its number, as `lockstep conflicts` lists it.
    conflict: i64,
    /// Also over an edit that is newer than the conflict.
    #[arg(long)]
    anyway: bool,
    /// With all that lost when the same object was linked.
    #[arg(long)]
    report: bool,
}

impl Restore {
    /// Asks for it.
    pub async fn run(self) -> Result<()> {
        let operator = Operator::of(&self.file.load()?)?;
        let path = format!("/api/v1/conflicts/{}/restore", self.conflict);
        let order = json!({ "anyway": self.anyway, "report": self.report });
        let answer = operator.ask(Method::POST, &path, Some(order)).await?;
        if answer["state"] == "restored" {
            println!("conflict {} was restored before", self.conflict);
            return Ok(());
        }
        let count = answer["conflicts"].as_array().map_or(0, Vec::len);
        println!("{count} put back by change {}: lockstep explain {}", answer["change"], word(&answer["entity"]));
        Ok(())
    }
}

/// Lets a value be that lost.
#[derive(Debug, Args)]
pub struct Dismiss {
    #[command(flatten)]
    file: ConfigFile,
    /// Its number, as `lockstep conflicts` lists it.
    conflict: i64,
}

impl Dismiss {
    /// Asks for it.
    pub async fn run(self) -> Result<()> {
        let operator = Operator::of(&self.file.load()?)?;
        let path = format!("/api/v1/conflicts/{}/dismiss", self.conflict);
        operator.ask(Method::POST, &path, None).await?;
        println!("conflict {} is dismissed", self.conflict);
        Ok(())
    }
}

pub(super) fn word(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}
