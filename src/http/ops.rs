//! The ops listener: is it alive, is it ready, how does it stand, compare now.
//!
//! In: what [`Ops`] tells, and the operator's token. Out: JSON. What reconciling does is left to the service behind it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::problem::Problem;
use crate::clock::Millis;
use crate::model::{InstallKey, System, WrittenTo};
use crate::reconcile::Scope;
use crate::secret::Secret;

/// Why the service is not well, in one line for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotWell(pub String);

/// Why an operator's request was not done.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// There is no such workspace.
    #[error("there is no workspace `{0}`")]
    UnknownWorkspace(String),
    /// It runs already.
    #[error("{0} is running already")]
    Busy(String),
    /// It cannot be done as things stand.
    #[error("{0}")]
    Conflict(String),
    /// Something failed; the answer does not say what, the log does.
    #[error("it failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl OpsError {
    /// Something failed.
    pub fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// What the ops listener needs of the running service.
#[async_trait]
pub trait Ops: Send + Sync {
    /// Whether every worker shows signs of life.
    fn live(&self) -> Result<(), NotWell>;
    /// Whether webhooks can be recorded.
    async fn ready(&self) -> Result<(), NotWell>;
    /// How it stands. Never takes the service out of rotation.
    async fn status(&self) -> Result<Value, OpsError>;
    /// Compares the systems with what we hold, in one workspace or all; gives the run's id at once.
    async fn reconcile(&self, workspace: Option<String>, scope: Scope) -> Result<Value, OpsError>;
    /// How a run of reconcile stands.
    async fn run(&self, id: &str) -> Result<Option<Value>, OpsError>;
    /// What a workspace in shadow mode would write.
    async fn preview(&self, workspace: &str) -> Result<Value, OpsError>;
    /// Lets a workspace write what the preview with this code showed.
    async fn go_live(&self, workspace: &str, code: &str) -> Result<Value, OpsError>;
    /// Approves what waits for a person under this subject.
    async fn approve(&self, workspace: &str, subject: &str) -> Result<Value, OpsError>;
    /// The installs of our app, without their tokens.
    async fn installs(&self) -> Result<Value, OpsError>;
    /// Renews the tokens of an install now, so that the present ones are worth nothing to whoever got hold of them.
    async fn rotate(&self, install: InstallKey) -> Result<Value, OpsError>;
    /// Gives the tokens of an install up; `uninstall`: at the vendor too.
    async fn revoke(&self, install: InstallKey, uninstall: bool) -> Result<Value, OpsError>;
    /// The capability table of one workspace or all.
    fn capabilities(&self, workspace: Option<&str>) -> Result<Value, OpsError>;
    /// What a workspace's systems say of the accounts, calendars and fields that the configuration names.
    async fn inspect(&self, workspace: &str) -> Result<Value, OpsError>;
    /// Asks a system one thing, and gives its answer as it is, but for its secrets unless they are asked for. Reads only.
    async fn ask(&self, workspace: &str, system: System, question: Question) -> Result<Value, OpsError>;
    /// Invites a contact to book by a link of its own, which is written where the contact finds it.
    async fn invite(&self, workspace: &str, order: Invite) -> Result<Value, OpsError>;
    /// The invitations of a workspace, newest first, without their links.
    async fn invitations(&self, workspace: &str) -> Result<Value, OpsError>;
}

/// What is to be compared: in the query, or as JSON in the body. An unknown key is refused: a misspelt `dry_run` would
/// write.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Order {
    workspace: Option<String>,
    dry_run: bool,
    full: bool,
}

type Behind = State<Arc<dyn Ops>>;

pub(super) async fn live(State(ops): Behind) -> Response {
    wellness("live", ops.live())
}

pub(super) async fn ready(State(ops): Behind) -> Response {
    wellness("ready", ops.ready().await)
}

fn wellness(word: &'static str, result: Result<(), NotWell>) -> Response {
    match result {
        Ok(()) => Json(json!({"status": word})).into_response(),
        Err(NotWell(why)) => {
            tracing::error!(why, "not {word}");
            let code = if word == "live" { "not_live" } else { "not_ready" };
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, why).into_response()
        }
    }
}

pub(super) async fn status(State(ops): Behind) -> Result<Json<Value>, Problem> {
    ops.status().await.map(Json).map_err(failed)
}

pub(super) async fn reconcile(
    State(ops): Behind,
    query: Result<Query<Order>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail);
    let Query(mut order) = query.map_err(|error| bad(error.body_text()))?;
    let body = body.map_err(|error| Problem::of(error.status()))?;
    if !body.is_empty() {
        if order != Order::default() {
            return Err(bad("give the order in the query or in the body, not in both".to_owned()));
        }
        order = serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
    }
    let scope = Scope { full: order.full, dry_run: order.dry_run };
    let run = ops.reconcile(order.workspace, scope).await.map_err(failed)?;
    Ok((StatusCode::ACCEPTED, Json(run)))
}

pub(super) async fn run(State(ops): Behind, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let run = ops.run(&id).await.map_err(failed)?;
    run.map(Json)
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "unknown_run", "runs are remembered until a restart"))
}

pub(super) async fn preview(State(ops): Behind, Path(workspace): Path<String>) -> Result<Json<Value>, Problem> {
    ops.preview(&workspace).await.map(Json).map_err(failed)
}

/// What a person says back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    code: String,
}

/// What a person approves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Approve {
    subject: String,
}

/// What a system is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The operation, by its name in the catalogue.
    pub operation: String,
    /// Its parameters.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Whether secrets in the answer are shown.
    #[serde(default)]
    pub secrets: bool,
}

/// Who is invited to what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// The contact: our entity id, an id in one of the systems, an e-mail or a phone number.
    pub contact: String,
    /// The name of the calendar's row.
    pub calendar: String,
    /// Where the link is written: `note`, `task`, `field:NAME`.
    #[serde(deserialize_with = "place_for_link")]
    pub to: WrittenTo,
    /// When a task is due.
    #[serde(default, deserialize_with = "instant")]
    pub due: Option<Millis>,
}

fn place_for_link<'de, D: Deserializer<'de>>(deserializer: D) -> Result<WrittenTo, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Millis>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let instant = Millis::parse(&text);
    instant.map(Some).ok_or_else(|| D::Error::custom(format!("`{text}` is not a time such as 2026-03-10T09:00:00Z")))
}

/// Whether the app is uninstalled at the vendor too.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Revoke {
    uninstall: bool,
}

pub(super) async fn installs(State(ops): Behind) -> Result<Json<Value>, Problem> {
    ops.installs().await.map(Json).map_err(failed)
}

pub(super) async fn rotate(
    State(ops): Behind,
    Path(key): Path<(String, String, String)>,
) -> Result<Json<Value>, Problem> {
    ops.rotate(install_key(key)?).await.map(Json).map_err(failed)
}

pub(super) async fn revoke(
    State(ops): Behind,
    Path(key): Path<(String, String, String)>,
    body: Result<Json<Revoke>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(Revoke { uninstall }) = body.map_err(|error| bad_body(&error))?;
    ops.revoke(install_key(key)?, uninstall).await.map(Json).map_err(failed)
}

fn install_key((system, holder, account): (String, String, String)) -> Result<InstallKey, Problem> {
    let (Ok(system), Ok(holder)) = (system.parse(), holder.parse()) else {
        return Err(Problem::of(StatusCode::NOT_FOUND));
    };
    Ok(InstallKey { system, holder, account })
}

/// Whose table is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    workspace: Option<String>,
}

pub(super) async fn capabilities(
    State(ops): Behind,
    query: Result<Query<Whose>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let bad = |error: QueryRejection| Problem::new(StatusCode::BAD_REQUEST, "bad_request", error.body_text());
    let Query(Whose { workspace }) = query.map_err(bad)?;
    ops.capabilities(workspace.as_deref()).map(Json).map_err(failed)
}

pub(super) async fn inspect(State(ops): Behind, Path(workspace): Path<String>) -> Result<Json<Value>, Problem> {
    ops.inspect(&workspace).await.map(Json).map_err(failed)
}

pub(super) async fn ask(
    State(ops): Behind,
    Path((workspace, system)): Path<(String, String)>,
    body: Result<Json<Question>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(question) = body.map_err(|error| bad_body(&error))?;
    let system = system.parse().map_err(|_| Problem::of(StatusCode::NOT_FOUND))?;
    ops.ask(&workspace, system, question).await.map(Json).map_err(failed)
}

pub(super) async fn go_live(
    State(ops): Behind,
    Path(workspace): Path<String>,
    body: Result<Json<Confirm>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(Confirm { code }) = body.map_err(|error| bad_body(&error))?;
    ops.go_live(&workspace, &code).await.map(Json).map_err(failed)
}

pub(super) async fn approve(
    State(ops): Behind,
    Path(workspace): Path<String>,
    body: Result<Json<Approve>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Json(Approve { subject }) = body.map_err(|error| bad_body(&error))?;
    ops.approve(&workspace, &subject).await.map(Json).map_err(failed)
}

pub(super) async fn invite(
    State(ops): Behind,
    Path(workspace): Path<String>,
    body: Result<Json<Invite>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Json(order) = body.map_err(|error| bad_body(&error))?;
    let invited = ops.invite(&workspace, order).await.map_err(failed)?;
    Ok((StatusCode::CREATED, Json(invited)))
}

pub(super) async fn invitations(State(ops): Behind, Path(workspace): Path<String>) -> Result<Json<Value>, Problem> {
    ops.invitations(&workspace).await.map(Json).map_err(failed)
}

pub(super) fn bad_body(error: &JsonRejection) -> Problem {
    Problem::new(error.status(), "bad_request", error.body_text())
}

fn failed(error: OpsError) -> Problem {
    match &error {
        OpsError::UnknownWorkspace(_) => Problem::new(StatusCode::NOT_FOUND, "unknown_workspace", error.to_string()),
        OpsError::Conflict(_) => Problem::new(StatusCode::CONFLICT, "conflict", error.to_string()),
        OpsError::Busy(_) => Problem::new(StatusCode::CONFLICT, "busy", error.to_string()),
        OpsError::Failed(cause) => {
            tracing::error!(%cause, "an operator's request failed");
            Problem::of(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Lets a request pass that shows the operator's token.
pub(super) async fn guard(State(token): State<Arc<Secret>>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let is_ours = shown.and_then(bearer).is_some_and(|shown| token.matches(shown));
    if is_ours {
        next.run(request).await
    } else {
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "").bearer().into_response()
    }
}

/// The token of `Bearer TOKEN`; the scheme's case does not matter (RFC 9110).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}
