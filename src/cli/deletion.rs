//! `lockstep deletion`: says what a deletion in one system is to mean in the others, asked of the running service.

use anyhow::Result;
use clap::Args;
use http::Method;
use serde_json::json;

use super::ConfigFile;
use super::operate::Operator;
use crate::model::{Answer, System};

/// Says what a deletion is to mean: delete it elsewhere too, keep it where it still is, or make it again.
#[derive(Debug, Args)]
pub struct Deletion {
    #[command(flatten)]
    file: ConfigFile,
    /// The workspace.
    workspace: String,
    /// What was deleted: our entity id, an id in one of the systems, an e-mail or a phone number.
    entity: String,
    /// Where it was deleted: ghl, timify, timerex.
    #[arg(long = "in")]
    system: System,
    /// delete: in the other systems too; keep: where it still is; remake: keep, and make it again where it was deleted.
    answer: Answer,
}

impl Deletion {
    /// Tells it. `lockstep explain` shows what came of it.
    pub async fn run(self) -> Result<()> {
        let operator = Operator::of(&self.file.load()?)?;
        let path = format!("/workspaces/{}/deletions", self.workspace);
        let order = json!({ "entity": self.entity, "system": self.system, "answer": self.answer });
        let answer = operator.ask(Method::POST, &path, Some(order)).await?;
        println!("{} {}: `{}`", self.system, answer["entity"].as_str().unwrap_or_default(), self.answer);
        Ok(())
    }
}
