//! `lockstep credential set NAME`: keeps a connection's credentials sealed in the store, so that no file holds them.

use std::io::Read;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};

use super::ConfigFile;
use crate::app;
use crate::clock::{Clock, SystemClock};
use crate::credentials::login::Login;
use crate::credentials::logins;
use crate::secret::Secret;
use crate::store::sql;

/// Keeps credentials.
#[derive(Debug, Args)]
pub struct Credential {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Reads a connection's credentials from standard input and seals them: for GHL the token, for TimeRex the api key, for
    /// TIMIFY the app id and, on the next line, the app secret. The service must not be running on a SQLite store.
    Set {
        #[command(flatten)]
        file: ConfigFile,
        /// The connection's name.
        connection: String,
    },
    /// Lists the connections whose credentials are sealed in the store.
    List {
        #[command(flatten)]
        file: ConfigFile,
    },
}

impl Credential {
    /// Does it.
    pub async fn run(self) -> Result<()> {
        match self.what {
            What::Set { file, connection } => set(&file, &connection).await,
            What::List { file } => {
                let store = sql::open_read_only(file.load()?.store.url.expose()).await?;
                for name in store.credential_names().await? {
                    println!("{name}");
                }
                Ok(())
            }
        }
    }
}

async fn set(file: &ConfigFile, name: &str) -> Result<()> {
    let config = file.load()?;
    let Some(connection) = config.connections.get(name) else { bail!("there is no [connections.{name}]") };
    ensure!(connection.login.is_none(), "[connections.{name}] names its credentials itself, and those would count");
    let sealer =
        app::sealer(&config)?.context("there is no key to seal with: set `[seal] keys` (`lockstep key new`)")?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Secret::new);
    let next = |part: &'static str| lines.next().with_context(|| format!("standard input has no line for `{part}`"));
    let login = Login::of(connection.system, next)?;
    let store = sql::open(config.store.url.expose()).await?;
    logins::keep(name, &login, store.as_ref(), &sealer, SystemClock.now()).await?;
    println!("sealed; a running service takes a new GHL token when the old one is refused, the rest at its next start");
    Ok(())
}
