//! Asking GHL by hand: any operation of the table that only reads, by its name.
//!
//! In: the name of an operation, its parameters as texts. Out: status and JSON as they came. The location is always the
//! workspace's own, and nothing is written; the mirror does not come here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Ghl;
use super::api::V3;
use super::operations::{self, Goes, LOCATION, OPERATIONS, Operation};
use crate::systems::SystemError;

/// Why a question was not put, or not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// There is no such operation.
    #[error("there is no operation `{name}`; those that read are {}", reading().join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// It would change something.
    #[error("`{name}` writes; by hand, only what reads can be called")]
    Writes {
        /// The operation.
        name: &'static str,
    },
    /// The version that is configured no longer has it.
    #[error("`{name}` is gone in version v3: use `contacts.search`")]
    Dropped {
        /// The operation.
        name: &'static str,
    },
    /// A parameter that it needs is not there.
    #[error("`{name}` needs `{param}`; it takes {}", takes(name).join(", "))]
    Missing {
        /// The operation.
        name: &'static str,
        /// The parameter.
        param: &'static str,
    },
    /// A parameter that it does not take.
    #[error("`{name}` takes no `{param}`{}; it takes {}", own_location(param), takes(name).join(", "))]
    Stray {
        /// The operation.
        name: &'static str,
        /// The parameter.
        param: String,
    },
    /// A parameter that has to be JSON, and is not.
    #[error("`{param}` of `{name}` must be JSON: a number, `true`, `[\"a\"]`")]
    NotJson {
        /// The operation.
        name: &'static str,
        /// The parameter.
        param: &'static str,
    },
    /// GHL did not answer it.
    #[error(transparent)]
    System(#[from] SystemError),
}

fn own_location(param: &str) -> &'static str {
    if param == LOCATION { " (it is always the workspace's own)" } else { "" }
}

fn reading() -> Vec<&'static str> {
    OPERATIONS.iter().filter(|operation| !operation.writes).map(|operation| operation.name).collect()
}

/// What an operation takes by hand: the ids of its path, then the rest.
pub fn takes(name: &str) -> Vec<&'static str> {
    let taken = |operation: &'static Operation| operation.ids().chain(operation.params.iter().map(|param| param.name));
    operations::named(name).into_iter().flat_map(taken).collect()
}

impl Ghl {
    /// Asks one operation that reads, by name. `params` are the ids of its path and what else it takes (see [`takes`]).
    pub(super) async fn asked(&self, name: &str, params: &BTreeMap<String, String>) -> Result<(u16, Value), AskError> {
        let operation = operations::named(name).ok_or_else(|| AskError::Unknown { name: name.to_owned() })?;
        let name = operation.name;
        if operation.writes {
            return Err(AskError::Writes { name });
        }
        if operation.until_v3 && self.api.versions.of(operation.family) == V3 {
            return Err(AskError::Dropped { name });
        }
        check(operation, params)?;
        let ids: Vec<(&str, &str)> = operation.ids().filter_map(|id| Some((id, params.get(id)?.as_str()))).collect();
        let (mut query, mut body) = (Vec::new(), Map::new());
        for param in operation.params {
            let Some(text) = params.get(param.name) else { continue };
            match param.goes {
                Goes::Query => query.push((param.name, text.as_str())),
                Goes::Text => drop(body.insert(param.name.to_owned(), text.as_str().into())),
                Goes::Json => {
                    let json = serde_json::from_str(text).map_err(|_| AskError::NotJson { name, param: param.name })?;
                    body.insert(param.name.to_owned(), json);
                }
            }
        }
        let takes_body = operation.params.iter().any(|param| param.goes != Goes::Query);
        Ok(self.api.call(operation, &ids, &query, takes_body.then_some(body.into())).await?)
    }
}

fn check(operation: &'static Operation, params: &BTreeMap<String, String>) -> Result<(), AskError> {
    let name = operation.name;
    let taken = takes(name);
    if let Some(stray) = params.keys().find(|given| !taken.contains(&given.as_str())) {
        return Err(AskError::Stray { name, param: stray.clone() });
    }
    let demanded = operation.params.iter().filter(|param| param.must).map(|param| param.name);
    let missing = operation.ids().chain(demanded).find(|param| !params.contains_key(*param));
    missing.map_or(Ok(()), |param| Err(AskError::Missing { name, param }))
}
