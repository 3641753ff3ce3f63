//! The control API of the sandbox: make a person's edit, look at everything, set faults, steer the deliveries.
//!
//! In: JSON under `/control`. Out: JSON. It is for tests, the demo and people at a keyboard; it asks for no credentials.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::delivery::Signature;
use super::faults::{Fault, FaultKind, Only};
use super::shell::Shared;
use super::{Edit, EditRefused, Receiver, StandIn, Webhook};
use crate::model::System;

type Shell = State<Arc<Shared>>;

/// All routes of the control API.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/state", get(state))
        .route("/edits", post(edit))
        .route("/requests", get(requests).delete(forget_requests))
        .route("/deliveries", get(deliveries))
        .route("/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/hold", post(hold))
        .route("/release", post(release))
        .route("/duplicate", post(duplicate))
        .route("/lose", post(lose))
        .route("/forge", post(forge))
        .route("/keys", get(keys))
        .route("/receivers", get(list_receivers).post(register))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditBody {
    system: System,
    #[serde(default)]
    extension: bool,
    action: String,
    kind: String,
    account: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    parent: Option<String>,
    #[serde(default)]
    fields: Value,
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

#[derive(Deserialize)]
struct Which {
    system: Option<System>,
    #[serde(default)]
    extension: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultBody {
    system: System,
    #[serde(default)]
    extension: bool,
    /// A fault's word, or `clock`.
    kind: String,
    count: Option<u32>,
    #[serde(default)]
    only: Only,
    path: Option<String>,
    #[serde(default)]
    delay_ms: u64,
    retry_after: Option<u64>,
    #[serde(default)]
    offset_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Steering {
    system: System,
    #[serde(default)]
    extension: bool,
    count: Option<u32>,
    #[serde(default)]
    order: ReleaseOrder,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
enum ReleaseOrder {
    #[default]
    Given,
    Reversed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForgeBody {
    system: System,
    #[serde(default)]
    extension: bool,
    #[serde(default)]
    account: String,
    #[serde(default)]
    id: Option<String>,
    /// A JSON body.
    body: Option<Value>,
    /// Or a body to the byte, which need not be JSON.
    raw: Option<String>,
    #[serde(default)]
    signature: Signature,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receivers {
    receivers: Vec<Receiver>,
}

impl Steering {
    fn from(&self) -> StandIn {
        StandIn { system: self.system, extension: self.extension }
    }
}

impl IntoResponse for EditRefused {
    fn into_response(self) -> Response {
        let body = json!({ "type": "about:blank", "status": 422, "title": "edit refused", "detail": self.0 });
        (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
    }
}

async fn state(State(shared): Shell) -> Json<Value> {
    Json(shared.sandbox().state())
}

async fn edit(State(shared): Shell, Json(body): Json<EditBody>) -> Result<Json<Value>, EditRefused> {
    let EditBody { system, extension, action, kind, account, id, parent, fields } = body;
    let edit = Edit { action, kind, account, id, parent, fields };
    let made = shared.sandbox().edit(shared.now(), StandIn { system, extension }, &edit);
    let (id, webhooks) = made?;
    shared.post(&webhooks);
    let webhooks: Vec<_> = webhooks.iter().map(|webhook| webhook.id.as_str()).collect();
    Ok(Json(json!({ "id": id, "webhooks": webhooks })))
}

async fn requests(State(shared): Shell, Query(Since { since }): Query<Since>) -> Json<Value> {
    let sandbox = shared.sandbox();
    Json(json!({ "requests": sandbox.requests(since), "next": sandbox.next_request() }))
}

async fn forget_requests(State(shared): Shell) -> StatusCode {
    shared.sandbox().forget_requests();
    StatusCode::NO_CONTENT
}

async fn deliveries(State(shared): Shell, Query(Since { since }): Query<Since>) -> Json<Value> {
    let outbox = shared.outbox();
    let (pending, next) = (outbox.pending(), outbox.next_number());
    Json(json!({ "deliveries": outbox.list(since), "pending": pending, "next": next }))
}

async fn list_faults(State(shared): Shell) -> Json<Value> {
    let sandbox = shared.sandbox();
    let faults = sandbox.faults.list().iter().map(|(at, fault)| json!({ "at": at, "fault": fault }));
    Json(json!({ "faults": faults.collect::<Vec<_>>() }))
}

async fn add_fault(State(shared): Shell, Json(body): Json<FaultBody>) -> Result<StatusCode, EditRefused> {
    let at = StandIn { system: body.system, extension: body.extension };
    if body.kind == "clock" {
        shared.sandbox().faults.skew(at, body.offset_ms);
        return Ok(StatusCode::NO_CONTENT);
    }
    let kind: FaultKind =
        serde_json::from_value(Value::String(body.kind)).map_err(|error| EditRefused(error.to_string()))?;
    let FaultBody { count, only, path, delay_ms, retry_after, .. } = body;
    shared.sandbox().faults.add(at, Fault { kind, count, only, path, delay_ms, retry_after });
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults(State(shared): Shell, Query(which): Query<Which>) -> StatusCode {
    let at = which.system.map(|system| StandIn { system, extension: which.extension });
    shared.sandbox().faults.clear(at);
    StatusCode::NO_CONTENT
}

async fn hold(State(shared): Shell, Json(asked): Json<Steering>) -> StatusCode {
    shared.outbox().hold(asked.from(), asked.count);
    StatusCode::NO_CONTENT
}

async fn release(State(shared): Shell, Json(asked): Json<Steering>) -> Json<Value> {
    let reversed = asked.order == ReleaseOrder::Reversed;
    let released = shared.outbox().release(asked.from(), reversed, shared.now());
    shared.wake();
    Json(json!({ "released": released }))
}

async fn duplicate(State(shared): Shell, Json(asked): Json<Steering>) -> StatusCode {
    shared.outbox().duplicate(asked.from(), asked.count.unwrap_or(1));
    StatusCode::NO_CONTENT
}

async fn lose(State(shared): Shell, Json(asked): Json<Steering>) -> StatusCode {
    shared.outbox().lose(asked.from(), asked.count.unwrap_or(1));
    StatusCode::NO_CONTENT
}

async fn forge(State(shared): Shell, Json(forged): Json<ForgeBody>) -> Json<Value> {
    let body = forged.body.unwrap_or_default();
    let bytes = forged.raw.map_or_else(|| Bytes::from(body.to_string()), Bytes::from);
    let webhook = Webhook {
        system: forged.system,
        extension: forged.extension,
        account: forged.account,
        id: forged.id.unwrap_or_else(|| "forged".to_owned()),
        body,
        push_to: None,
    };
    let delivery = shared.outbox().forge(&webhook, bytes, forged.signature, shared.now());
    shared.wake();
    Json(json!({ "delivery": delivery }))
}

/// What a configuration that connects to this sandbox needs.
async fn keys(State(shared): Shell) -> Json<Value> {
    let (settings, signer) = (&shared.settings, &shared.signer);
    let app = settings.timify.apps.first();
    let (name, value) = &settings.timify_header;
    Json(json!({
        "ghl": {
            "app_id": settings.ghl.app_id,
            "client_id": settings.ghl.client.id,
            "client_secret": settings.ghl.client.secret.expose(),
            "redirect_uris": settings.ghl.client.redirect_uris,
            "company": settings.ghl.company.id,
            "ed25519_pem": signer.ed25519_pem(),
            "rsa_pem": signer.rsa_pem(),
        },
        "timify": {
            "appid": app.map(|app| &app.appid),
            "appsecret": app.map(|app| &app.appsecret),
            "header": { "name": name, "value": value },
        },
        "timerex": {
            "header": settings.timerex_header,
            "client_id": settings.timerex.oauth.client_id,
            "client_secret": settings.timerex.oauth.client_secret.expose(),
            "redirect_uris": settings.timerex.oauth.redirect_uris,
        },
        "workspaces": settings.workspaces,
    }))
}

async fn list_receivers(State(shared): Shell) -> Json<Value> {
    Json(json!({ "receivers": shared.outbox().receivers() }))
}

async fn register(State(shared): Shell, Json(body): Json<Receivers>) -> StatusCode {
    let mut outbox = shared.outbox();
    body.receivers.into_iter().for_each(|receiver| outbox.register(receiver));
    StatusCode::NO_CONTENT
}
