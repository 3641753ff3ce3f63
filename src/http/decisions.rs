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

#[cfg(test)]
pub(super) mod tests {
    use axum::body::Body;
    use http::Request;
    use rstest::rstest;
    use serde_json::json;

    use super::super::tests::{ask, operations};
    use super::*;

    const ONE: &str = "00000000-0000-0000-0000-000000000001";

    /// Answers what it was asked; conflict 404 is not there, 409 is overtaken.
    pub struct TestDecisions;

    #[async_trait]
    impl Decisions for TestDecisions {
        async fn conflicts(&self, listing: Listing) -> Result<Value, DecisionError> {
            match listing.workspace.as_deref() {
                Some("nowhere") => Err(DecisionError::Unknown("workspace", "nowhere".to_owned())),
                _ => Ok(json!({ "asked": format!("{:?}/{:?}/{:?}", listing.state, listing.after, listing.limit) })),
            }
        }
        async fn restore(&self, id: ConflictId, restore: Restore) -> Result<Value, DecisionError> {
            match id.0 {
                404 => Err(DecisionError::Unknown("conflict", id.to_string())),
                409 if !restore.anyway => Err(DecisionError::Overtaken("a newer edit".to_owned())),
                500 => Err(DecisionError::failed(std::io::Error::other("secret"))),
                _ => Ok(json!({ "conflict": id, "report": restore.report })),
            }
        }
        async fn dismiss(&self, id: ConflictId) -> Result<Value, DecisionError> {
            Ok(json!({ "conflict": id }))
        }
        async fn regroup(&self, entity: EntityId, who: Who) -> Result<Value, DecisionError> {
            match who {
                Who::Is(other) if other == entity => Err(DecisionError::Refused("they are one already".to_owned())),
                who => Ok(json!({ "who": format!("{who:?}") })),
            }
        }
    }

    #[rstest]
    #[case::a_page("GET", "conflicts?after=3&limit=5&state=dismissed", "", 200, "Dismissed")]
    #[case::a_misspelt_filter("GET", "conflicts?stat=open", "", 400, "bad_request")]
    #[case::an_unknown_workspace("GET", "conflicts?workspace=nowhere", "", 404, "unknown_workspace")]
    #[case::restored("POST", "conflicts/7/restore", "", 202, "7")]
    #[case::with_its_report("POST", "conflicts/7/restore", r#"{"report": true}"#, 202, "true")]
    #[case::overtaken("POST", "conflicts/409/restore", "", 409, "overtaken")]
    #[case::anyway("POST", "conflicts/409/restore", r#"{"anyway": true}"#, 202, "409")]
    #[case::misspelt("POST", "conflicts/409/restore", r#"{"any_way": true}"#, 422, "bad_request")]
    #[case::not_there("POST", "conflicts/404/restore", "", 404, "unknown_conflict")]
    #[case::no_number("POST", "conflicts/x/restore", "", 404, "unknown_conflict")]
    #[case::failed("POST", "conflicts/500/restore", "", 500, "internal")]
    #[case::dismissed("POST", "conflicts/7/dismiss", "", 200, "7")]
    #[case::one("POST", "entities/ONE/match", r#"{"with": "00000000-0000-0000-0000-000000000002"}"#, 202, "Is(")]
    #[case::itself(
        "POST",
        "entities/ONE/match",
        r#"{"with": "00000000-0000-0000-0000-000000000001"}"#,
        409,
        "conflict"
    )]
    #[case::two("POST", "entities/ONE/apart", r#"{"with": "00000000-0000-0000-0000-000000000002"}"#, 202, "IsNot")]
    #[case::split("POST", "entities/ONE/split", r#"{"system": "timify"}"#, 202, "Timify")]
    #[case::no_entity("POST", "entities/x/split", r#"{"system": "timify"}"#, 404, "unknown_entity")]
    #[tokio::test]
    async fn a_decision_is_asked_for_and_answered(
        #[case] method: &str,
        #[case] path: &str,
        #[case] body: &str,
        #[case] status: u16,
        #[case] says: &str,
    ) {
        let asked = |token: &str| {
            let path = format!("/api/v1/{}", path.replace("ONE", ONE));
            let request =
                Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
            let request = if body.is_empty() { request } else { request.header("content-type", "application/json") };
            request.body(Body::from(body.to_owned())).unwrap()
        };
        let router = operations(Some("t"));
        assert_eq!(ask(&router, asked("other")).await.0, StatusCode::UNAUTHORIZED);
        let (answered, _, told) = ask(&router, asked("t")).await;
        assert_eq!(answered.as_u16(), status, "{told}");
        assert!(told.to_string().contains(says) && !told.to_string().contains("secret"), "{told}");
    }
}
