//! What each connection shows its vendor: named in the configuration, or kept sealed in the store.
//!
//! A sealed login is JSON (`{"token": …}`, `{"app_id": …, "app_secret": …}`, `{"api_key": …}`), sealed with the row's name
//! as its context, so that a row moved to another name does not open.

use std::collections::BTreeMap;
use std::convert::Infallible;

use serde_json::{Map, Value};

use super::login::Login;
use super::seal::{SealError, Sealer};
use crate::clock::Millis;
use crate::model::System;
use crate::secret::Secret;
use crate::store::{Credentials, StoreError};

/// Why a login could not be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sealed row does not open with any of our keys.
    #[error("the sealed credential `{name}` does not open: its key is not among `[seal] keys`")]
    Sealed {
        /// The row.
        name: String,
        /// Why.
        #[source]
        source: SealError,
    },
    /// Sealing failed.
    #[error("it could not be sealed")]
    Sealing(#[source] SealError),
    /// A sealed row holds something else.
    #[error("the sealed credential `{0}` does not hold what its system needs; set it again")]
    Unreadable(String),
}

/// Connections by name: the system of each, and its login where the configuration names it.
pub type Connections<'a> = BTreeMap<&'a str, (System, Option<&'a Login>)>;

/// The login of each connection.
#[derive(Debug, Default)]
pub struct Logins(BTreeMap<String, Login>);

impl Logins {
    /// Those in the configuration, and for the rest those in the store. A sealed row that no key opens is an error, also
    /// if no connection asks for it: a lost key must be noticed at the start.
    pub async fn gather(
        connections: &Connections<'_>,
        store: &dyn Credentials,
        sealer: Option<&Sealer>,
    ) -> Result<Self, LoginError> {
        let mut logins = BTreeMap::new();
        for name in store.credential_names().await? {
            let Some(sealed) = store.credential(&name).await? else { continue };
            let opened = match sealer {
                Some(sealer) => sealer.open(&context(&name), &sealed),
                None => Err(SealError::NoKey),
            };
            let opened = opened.map_err(|source| LoginError::Sealed { name: name.clone(), source })?;
            if let Some((system, _)) = connections.get(name.as_str()) {
                let login = read(*system, opened.expose()).ok_or_else(|| LoginError::Unreadable(name.clone()))?;
                logins.insert(name, login);
            }
        }
        let named = connections.iter().filter_map(|(name, (_, login))| Some(((*name).to_owned(), (*login)?.clone())));
        logins.extend(named);
        Ok(Self(logins))
    }

    /// For looking at what sites can do without calling anybody: those in the configuration, and nothing in place of the
    /// rest.
    pub fn for_looking(connections: &Connections<'_>) -> Self {
        let nothing = |system| {
            let Ok(login) = Login::of(system, |_| Ok::<_, Infallible>(Secret::new("-")));
            login
        };
        let login = |(system, login): (System, Option<&Login>)| login.cloned().unwrap_or_else(|| nothing(system));
        Self(connections.iter().map(|(name, connection)| ((*name).to_owned(), login(*connection))).collect())
    }

    /// The login of a connection.
    pub fn get(&self, connection: &str) -> Option<&Login> {
        self.0.get(connection)
    }
}

/// Seals a login and keeps it.
pub async fn keep(
    name: &str,
    login: &Login,
    store: &dyn Credentials,
    sealer: &Sealer,
    now: Millis,
) -> Result<(), LoginError> {
    let parts = login.parts().into_iter().map(|(name, part)| (name.to_owned(), Value::from(part.expose())));
    let text = Value::Object(parts.collect::<Map<_, _>>());
    let sealed = sealer.seal(&context(name), &Secret::new(text.to_string())).map_err(LoginError::Sealing)?;
    Ok(store.keep_credential(name, &sealed, now).await?)
}

fn context(name: &str) -> String {
    format!("credentials/{name}")
}

fn read(system: System, text: &str) -> Option<Login> {
    let json: Value = serde_json::from_str(text).ok()?;
    Login::of(system, |part| json[part].as_str().map(Secret::new).ok_or(())).ok()
}
