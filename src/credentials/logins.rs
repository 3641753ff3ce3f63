//! What each connection shows its vendor: named in the configuration, or kept sealed in the store.
//!
//! A sealed login is JSON (`{"token": …}`, `{"app_id": …, "app_secret": …}`, `{"api_key": …}`), sealed with the row's name
//! as its context, so that a row moved to another name does not open.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

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
pub struct Logins {
    logins: BTreeMap<String, Login>,
    sealed: BTreeSet<String>,
}

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
            let opened = open(&name, &sealed, sealer)?;
            if let Some((system, _)) = connections.get(name.as_str()) {
                let login = read(*system, opened.expose()).ok_or_else(|| LoginError::Unreadable(name.clone()))?;
                logins.insert(name, login);
            }
        }
        let named = connections.iter().filter_map(|(name, (_, login))| Some(((*name).to_owned(), (*login)?.clone())));
        let sealed = logins.keys().cloned().collect::<BTreeSet<_>>();
        logins.extend(named);
        let named = |name: &String| connections.get(name.as_str()).is_some_and(|(_, login)| login.is_some());
        Ok(Self { logins, sealed: sealed.into_iter().filter(|name| !named(name)).collect() })
    }

    /// For looking at what sites can do without calling anybody: those in the configuration, and nothing in place of the
    /// rest.
    pub fn for_looking(connections: &Connections<'_>) -> Self {
        let nothing = |system| {
            let Ok(login) = Login::of(system, |_| Ok::<_, Infallible>(Secret::new("-")));
            login
        };
        let login = |(system, login): (System, Option<&Login>)| login.cloned().unwrap_or_else(|| nothing(system));
        let logins = connections.iter().map(|(name, connection)| ((*name).to_owned(), login(*connection))).collect();
        Self { logins, sealed: BTreeSet::new() }
    }

    /// The login of a connection.
    pub fn get(&self, connection: &str) -> Option<&Login> {
        self.logins.get(connection)
    }

    /// Whether it lies sealed in the store, where it can be replaced while we serve.
    pub fn is_sealed(&self, connection: &str) -> bool {
        self.sealed.contains(connection)
    }
}

/// A sealed login that can be read again.
pub struct SealedLogin {
    /// The connection.
    pub name: String,
    /// Its system.
    pub system: System,
    /// Where it lies.
    pub store: Arc<dyn Credentials>,
    /// What opens it.
    pub sealer: Arc<Sealer>,
}

impl SealedLogin {
    /// Reads it; `None` if it is gone.
    pub async fn read(&self) -> Result<Option<Login>, LoginError> {
        let Some(sealed) = self.store.credential(&self.name).await? else { return Ok(None) };
        let opened = open(&self.name, &sealed, Some(&self.sealer))?;
        read(self.system, opened.expose()).map(Some).ok_or_else(|| LoginError::Unreadable(self.name.clone()))
    }
}

impl std::fmt::Debug for SealedLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedLogin({})", self.name)
    }
}

/// Seals with the newest key what was sealed with an older one. Gives how many logins that were.
pub async fn reseal(store: &dyn Credentials, sealer: &Sealer, now: Millis) -> Result<usize, LoginError> {
    let mut resealed = 0;
    for name in store.credential_names().await? {
        let Some(sealed) = store.credential(&name).await?.filter(|sealed| sealer.reseal_needed(sealed)) else {
            continue;
        };
        let opened = open(&name, &sealed, Some(sealer))?;
        let again = sealer.seal(&context(&name), &opened).map_err(LoginError::Sealing)?;
        store.keep_credential(&name, &again, now).await?;
        resealed += 1;
    }
    Ok(resealed)
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

fn open(name: &str, sealed: &[u8], sealer: Option<&Sealer>) -> Result<Secret, LoginError> {
    let opened = sealer.ok_or(SealError::NoKey).and_then(|sealer| sealer.open(&context(name), sealed));
    opened.map_err(|source| LoginError::Sealed { name: name.to_owned(), source })
}

fn context(name: &str) -> String {
    format!("credentials/{name}")
}

fn read(system: System, text: &str) -> Option<Login> {
    let json: Value = serde_json::from_str(text).ok()?;
    Login::of(system, |part| json[part].as_str().map(Secret::new).ok_or(())).ok()
}
