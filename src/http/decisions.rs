//! Undoing decisions: what lost, putting it back, and who is who.
//!
//! In: what [`Decisions`] tells, and the operator's orders. Out: JSON; values stand in it, for it is the operator who asks.
//! Nothing of it is logged. What an order does is left to the service behind it.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::ops::bad_body;
use super::problem::Problem;
use crate::model::{ConflictId, ConflictState, EntityId, System};

/// Why an operator's decision was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// There is no such thing: what, and how it was named.
    #[error("there is no {0} `{1}`")]
    Unknown(&'static str, String),
    /// It cannot be done as things stand.
    #[error("{0}")]
    Refused(String),
    /// A newer edit stands where the value would be put back.
    #[error("{0}")]
    Overtaken(String),
    /// Something failed; the answer does not say what, the log does.
    #[error("it failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl DecisionError {
    /// Something failed.
    pub fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// Which conflicts are listed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listing {
    /// Only those of this workspace.
    pub workspace: Option<String>,
    /// Only those of this entity.
    pub entity: Option<EntityId>,
    /// Only those that came to this; `open` unless something else is named.
    pub state: Option<ConflictState>,
    /// Those after this one: the `next` of the page before.
    pub after: Option<i64>,
    /// How many at most.
    pub limit: Option<u32>,
}

/// How a value is put back.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Restore {
    /// Also over an edit that is newer than the conflict.
    pub anyway: bool,
    /// With all that lost in the same report.
    pub report: bool,
}

/// What is said of who an entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// It is that one.
    Is(EntityId),
    /// It is not that one.
    IsNot(EntityId),
    /// What this system holds is another one.
    Without(System),
}

/// What undoing decisions needs of the running service.
#[async_trait]
pub trait Decisions: Send + Sync {
    /// A page of conflicts, in the order of their numbers.
    async fn conflicts(&self, listing: Listing) -> Result<Value, DecisionError>;
    /// Puts what lost back, as an operator's change.
    async fn restore(&self, id: ConflictId, restore: Restore) -> Result<Value, DecisionError>;
    /// Lets what lost be.
    async fn dismiss(&self, id: ConflictId) -> Result<Value, DecisionError>;
    /// Says who an entity is, as an operator's change.
    async fn regroup(&self, entity: EntityId, who: Who) -> Result<Value, DecisionError>;
}

type Behind = State<Arc<dyn Decisions>>;
type Answered = Result<Json<Value>, Problem>;
type Accepted = Result<(StatusCode, Json<Value>), Problem>;

pub(super) async fn list(State(decisions): Behind, query: Result<Query<Listing>, QueryRejection>) -> Answered {
    let bad = |error: QueryRejection| Problem::new(StatusCode::BAD_REQUEST, "bad_request", error.body_text());
    let Query(listing) = query.map_err(bad)?;
    decisions.conflicts(listing).await.map(Json).map_err(failed)
}

pub(super) async fn restore(
    State(decisions): Behind,
    id: Result<Path<i64>, PathRejection>,
    body: Result<Option<Json<Restore>>, JsonRejection>,
) -> Accepted {
    let restore = body.map_err(|error| bad_body(&error))?.map(|Json(restore)| restore).unwrap_or_default();
    accepted(decisions.restore(numbered(id)?, restore).await)
}

pub(super) async fn dismiss(State(decisions): Behind, id: Result<Path<i64>, PathRejection>) -> Answered {
    decisions.dismiss(numbered(id)?).await.map(Json).map_err(failed)
}

/// Another entity.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Other {
    with: EntityId,
}

/// What is split off.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    system: System,
}

pub(super) async fn is_one(
    State(decisions): Behind,
    entity: Result<Path<EntityId>, PathRejection>,
    body: Result<Json<Other>, JsonRejection>,
) -> Accepted {
    let Json(Other { with }) = body.map_err(|error| bad_body(&error))?;
    accepted(decisions.regroup(known(entity)?, Who::Is(with)).await)
}

pub(super) async fn are_two(
    State(decisions): Behind,
    entity: Result<Path<EntityId>, PathRejection>,
    body: Result<Json<Other>, JsonRejection>,
) -> Accepted {
    let Json(Other { with }) = body.map_err(|error| bad_body(&error))?;
    accepted(decisions.regroup(known(entity)?, Who::IsNot(with)).await)
}

pub(super) async fn split(
    State(decisions): Behind,
    entity: Result<Path<EntityId>, PathRejection>,
    body: Result<Json<Part>, JsonRejection>,
) -> Accepted {
    let Json(Part { system }) = body.map_err(|error| bad_body(&error))?;
    accepted(decisions.regroup(known(entity)?, Who::Without(system)).await)
}

fn accepted(done: Result<Value, DecisionError>) -> Accepted {
    done.map(|answer| (StatusCode::ACCEPTED, Json(answer))).map_err(failed)
}

fn numbered(id: Result<Path<i64>, PathRejection>) -> Result<ConflictId, Problem> {
    let unknown = |_| Problem::new(StatusCode::NOT_FOUND, "unknown_conflict", "conflicts are named by their numbers");
    id.map(|Path(id)| ConflictId(id)).map_err(unknown)
}

fn known(id: Result<Path<EntityId>, PathRejection>) -> Result<EntityId, Problem> {
    let unknown = |_| Problem::new(StatusCode::NOT_FOUND, "unknown_entity", "entities are named by their ids");
    id.map(|Path(id)| id).map_err(unknown)
}

fn failed(error: DecisionError) -> Problem {
    match &error {
        DecisionError::Unknown(what, _) => {
            let code = match *what {
                "conflict" => "unknown_conflict",
                "workspace" => "unknown_workspace",
                _ => "unknown_entity",
            };
            Problem::new(StatusCode::NOT_FOUND, code, error.to_string())
        }
        DecisionError::Refused(_) => Problem::new(StatusCode::CONFLICT, "conflict", error.to_string()),
        DecisionError::Overtaken(_) => Problem::new(StatusCode::CONFLICT, "overtaken", error.to_string()),
        DecisionError::Failed(cause) => {
            tracing::error!(%cause, "an operator's decision failed");
            Problem::of(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}
