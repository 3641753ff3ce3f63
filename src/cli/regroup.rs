//! `lockstep match`, `apart`, `split`: a person says who is who. Asked of the running service.

use anyhow::Result;
use clap::Args;
use http::Method;
use serde_json::{Value as Json, json};

use super::ConfigFile;
use super::conflicts::word;
use super::operate::Operator;
use crate::model::{EntityId, System};

/// Says that two are one.
#[derive(Debug, Args)]
pub struct Match {
    #[command(flatten)]
    file: ConfigFile,
    /// The one that goes.
    entity: EntityId,
    /// The one that stays.
    #[arg(long)]
    with: EntityId,
}

impl Match {
    /// Says so.
    pub async fn run(self) -> Result<()> {
        let answer = say(&self.file, self.entity, "match", json!({ "with": self.with })).await?;
        match answer["waits"].as_str() {
            Some(why) => println!("it waits: {why}"),
            None => println!("{} is {} by change {}", self.entity, self.with, answer["change"]),
        }
        Ok(())
    }
}

/// Says that two are never to be matched.
#[derive(Debug, Args)]
pub struct Apart {
    #[command(flatten)]
    file: ConfigFile,
    /// One.
    entity: EntityId,
    /// The other.
    other: EntityId,
}

impl Apart {
    /// Says so.
    pub async fn run(self) -> Result<()> {
        let answer = say(&self.file, self.entity, "apart", json!({ "with": self.other })).await?;
        println!("{} and {} are kept apart by change {}", self.entity, self.other, answer["change"]);
        Ok(())
    }
}

/// Undoes a wrong match: what one system holds becomes another one.
#[derive(Debug, Args)]
pub struct Split {
    #[command(flatten)]
    file: ConfigFile,
    /// What it leaves.
    entity: EntityId,
    /// The system whose object leaves.
    #[arg(long)]
    system: System,
}

impl Split {
    /// Has it done.
    pub async fn run(self) -> Result<()> {
        let answer = say(&self.file, self.entity, "split", json!({ "system": self.system })).await?;
        let into = word(&answer["order"]["into"]);
        println!("what {} holds is {into} by change {}; they are kept apart", self.system, answer["change"]);
        Ok(())
    }
}

async fn say(file: &ConfigFile, entity: EntityId, what: &str, order: Json) -> Result<Json> {
    let operator = Operator::of(&file.load()?)?;
    operator.ask(Method::POST, &format!("/api/v1/entities/{entity}/{what}"), Some(order)).await
}
