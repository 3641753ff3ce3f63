//! `lockstep install`: the installs of our app at the vendors; `lockstep ask`: one question to a system.

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::ConfigFile;
use super::operate::Operator;
use super::table::table;

/// Shows and tends installs.
#[derive(Debug, Args)]
pub struct Install {
    #[command(flatten)]
    file: ConfigFile,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Prints the address at which the owner of an account lets us in, one for each vendor.
    Url,
    /// Renews the tokens of an install now; the present refresh token is worth nothing afterwards.
    Rotate {
        /// As `lockstep install` lists it, for example `ghl/location/ve9EPM428h8vShlRW1KT`.
        install: String,
    },
    /// Gives the tokens of an install up; of an agency's install, those of its locations too, of a team's those of its user.
    /// TimeRex is told.
    Revoke {
        /// As `lockstep install` lists it.
        install: String,
        /// Uninstalls the app at GoHighLevel too.
        #[arg(long)]
        uninstall: bool,
    },
}

impl Install {
    /// Does it; without a word more it lists them.
    pub async fn run(self) -> Result<()> {
        let config = self.file.load()?;
        match self.what {
            None => list(&Operator::of(&config)?).await,
            Some(What::Url) => {
                let systems = config.oauth_apps();
                ensure!(!systems.is_empty(), "there is no [systems.ghl.oauth], and no [systems.timerex.oauth]");
                let public = config.server.public_url.context("server.public_url is not set")?;
                for system in systems {
                    println!("{public}/oauth/{system}/connect");
                }
                Ok(())
            }
            Some(What::Rotate { install }) => {
                Operator::of(&config)?.ask(Method::POST, &format!("/installs/{install}/rotate"), None).await?;
                println!("{install} has new tokens");
                Ok(())
            }
            Some(What::Revoke { install, uninstall }) => {
                let body = json!({ "uninstall": uninstall });
                let path = format!("/installs/{install}/revoke");
                let answer = Operator::of(&config)?.ask(Method::POST, &path, Some(body)).await?;
                for revoked in answer["revoked"].as_array().into_iter().flatten() {
                    println!("{} has no tokens any more", revoked.as_str().unwrap_or_default());
                }
                Ok(())
            }
        }
    }
}

async fn list(operator: &Operator) -> Result<()> {
    let answer = operator.ask(Method::GET, "/installs", None).await?;
    let mut table = table(["install", "workspace", "state", "access token ends", "reason"]);
    for install in answer["installs"].as_array().into_iter().flatten() {
        let text = |key: &str| install[key].as_str().unwrap_or_default().to_owned();
        table.add_row(["install", "workspace", "state", "expires", "reason"].map(text));
    }
    println!("{table}");
    Ok(())
}

/// Asks a system one thing and prints what it answers. Reads only.
#[derive(Debug, Args)]
pub struct Ask {
    #[command(flatten)]
    file: ConfigFile,
    /// The workspace.
    workspace: String,
    /// The system.
    system: String,
    /// The operation, for example `contacts.get`; an unknown one lists them all.
    operation: String,
    /// Its parameters, for example `contactId=ocQHyuzHvysMo5N5VsXc`.
    params: Vec<String>,
    /// Also shows secrets: links that cancel or move a booking for whoever opens them, passwords.
    #[arg(long)]
    secrets: bool,
}

impl Ask {
    /// Asks.
    pub async fn run(self) -> Result<()> {
        let mut params = Map::new();
        for param in &self.params {
            let Some((name, value)) = param.split_once('=') else { bail!("`{param}` is not of the form NAME=VALUE") };
            params.insert(name.to_owned(), Value::from(value));
        }
        let path = format!("/workspaces/{}/ask/{}", self.workspace, self.system);
        let question = json!({ "operation": self.operation, "params": params, "secrets": self.secrets });
        let answer = Operator::of(&self.file.load()?)?.ask(Method::POST, &path, Some(question)).await?;
        println!("{}", serde_json::to_string_pretty(&answer["answer"])?);
        Ok(())
    }
}
