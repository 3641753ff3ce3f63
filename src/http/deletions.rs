//! What an operator answers to a deletion that waits for a person, over the ops listener.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::ops::{Behind, bad_body, failed};
use super::problem::Problem;
use crate::model::{Answer, System};

/// What was deleted where, and what that is to mean.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deletion {
    /// Our entity id, an id in one of the systems, an e-mail or a phone number.
    pub entity: String,
    /// Where it was deleted.
    pub system: System,
    /// What that is to mean.
    pub answer: Answer,
}

pub(super) async fn answer(
    State(ops): Behind,
    Path(workspace): Path<String>,
    body: Result<Json<Deletion>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Json(order) = body.map_err(|error| bad_body(&error))?;
    let answered = ops.deletion(&workspace, order).await.map_err(failed)?;
    Ok((StatusCode::ACCEPTED, Json(answered)))
}
