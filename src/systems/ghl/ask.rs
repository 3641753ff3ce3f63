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
use crate::systems::inquiry::{NotPut, check};

/// Why a question was not put, or not answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// There is no such operation, or its parameters are others.
    #[error(transparent)]
    NotPut(#[from] NotPut),
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
    /// The location is given.
    #[error("`{name}` takes no `{LOCATION}`: it is always the workspace's own")]
    Located {
        /// The operation.
        name: &'static str,
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

fn reading() -> Vec<&'static str> {
    OPERATIONS.iter().filter(|operation| !operation.writes).map(|operation| operation.name).collect()
}

/// What an operation takes by hand, and whether it must: the ids of its path, then the rest.
fn taken(operation: &'static Operation) -> impl Iterator<Item = (&'static str, bool)> {
    let params = operation.params.iter().map(|param| (param.name, param.must));
    operation.ids().map(|id| (id, true)).chain(params)
}

/// What an operation takes by hand.
pub fn takes(name: &str) -> Vec<&'static str> {
    operations::named(name).into_iter().flat_map(taken).map(|(param, _)| param).collect()
}

impl Ghl {
    /// Asks one operation that reads, by name. `params` are the ids of its path and what else it takes (see [`takes`]).
    pub(super) async fn asked(&self, name: &str, params: &BTreeMap<String, String>) -> Result<(u16, Value), AskError> {
        let operation =
            operations::named(name).ok_or_else(|| NotPut::Unknown { name: name.to_owned(), known: reading() })?;
        let name = operation.name;
        if operation.writes {
            return Err(AskError::Writes { name });
        }
        if operation.until_v3 && self.api.versions.of(operation.family) == V3 {
            return Err(AskError::Dropped { name });
        }
        if params.contains_key(LOCATION) {
            return Err(AskError::Located { name });
        }
        check(name, taken(operation), params)?;
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
