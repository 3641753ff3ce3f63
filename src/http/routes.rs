//! All routes of both listeners, and the layers around them.
//!
//! Outermost first: the frame (request id, form of errors), the log line (no bodies, no headers), panics, the time limit,
//! the size limit.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::{DefaultOnResponse, TraceLayer};
use tracing::Level;

use super::connect::{self, Connect};
use super::decisions::{self, Decisions};
use super::deletions;
use super::frame::{Frame, RequestId, frame};
use super::health::{Health, health};
use super::ops::{self, Ops};
use super::problem::Problem;
use super::webhooks;
use crate::receive::Intake;
use crate::secret::Secret;

/// What the public listener needs.
#[derive(Clone)]
pub struct Public {
    /// The way in.
    pub intake: Arc<Intake>,
    /// What `/health` tells.
    pub health: Arc<Health>,
    /// What connects accounts.
    pub connect: Arc<dyn Connect>,
    /// What gives requests their ids.
    pub frame: Frame,
    /// The largest body, in bytes.
    pub body_limit: usize,
}

/// What the ops listener needs.
#[derive(Clone)]
pub struct Operations {
    /// The running service.
    pub ops: Arc<dyn Ops>,
    /// What undoes decisions.
    pub decisions: Arc<dyn Decisions>,
    /// The operator's token; without it only health is mounted.
    pub token: Option<Secret>,
    /// What gives requests their ids.
    pub frame: Frame,
}

/// The longest time a public request may take, its body included. Longer than the recorder's patience.
const PUBLIC_TIME: Duration = Duration::from_secs(15);

/// The longest time an operator's request may take.
const OPS_TIME: Duration = Duration::from_mins(1);

/// The largest body of an operator's request.
const OPS_BODY: usize = 64 << 10;

/// The public listener.
pub fn public(state: Public) -> Router {
    let routes = Router::new()
        .route("/webhooks/{system}", post(webhooks::to_system))
        .route("/webhooks/{system}/{workspace}", post(webhooks::to_workspace))
        .with_state(state.intake)
        .merge(Router::new().route("/health", get(health)).with_state(state.health))
        .merge(
            Router::new()
                .route("/oauth/{system}/connect", get(connect::connect))
                .route("/oauth/{system}/callback", get(connect::callback))
                .with_state(state.connect),
        );
    framed(routes, state.frame, PUBLIC_TIME, state.body_limit)
}

/// The ops listener.
pub fn ops(state: Operations) -> Router {
    let open = Router::new().route("/health/live", get(ops::live)).route("/health/ready", get(ops::ready));
    let decided = Router::new()
        .route("/api/v1/conflicts", get(decisions::list))
        .route("/api/v1/conflicts/{id}/restore", post(decisions::restore))
        .route("/api/v1/conflicts/{id}/dismiss", post(decisions::dismiss))
        .route("/api/v1/entities/{entity}/match", post(decisions::is_one))
        .route("/api/v1/entities/{entity}/apart", post(decisions::are_two))
        .route("/api/v1/entities/{entity}/split", post(decisions::split))
        .with_state(state.decisions);
    let guarded = state.token.map(|token| {
        Router::new()
            .route("/status", get(ops::status))
            .route("/reconcile", post(ops::reconcile))
            .route("/reconcile/{run}", get(ops::run))
            .route("/api/v1/capabilities", get(ops::capabilities))
            .route("/workspaces/{workspace}/preview", get(ops::preview))
            .route("/workspaces/{workspace}/live", post(ops::go_live))
            .route("/workspaces/{workspace}/approve", post(ops::approve))
            .route("/workspaces/{workspace}/deletions", post(deletions::answer))
            .route("/workspaces/{workspace}/inspect", get(ops::inspect))
            .route("/workspaces/{workspace}/ask/{system}", post(ops::ask))
            .route("/workspaces/{workspace}/invitations", get(ops::invitations).post(ops::invite))
            .route("/installs", get(ops::installs))
            .route("/installs/{system}/{holder}/{account}/rotate", post(ops::rotate))
            .route("/installs/{system}/{holder}/{account}/revoke", post(ops::revoke))
            .merge(decided)
            .route_layer(from_fn_with_state(Arc::new(token), ops::guard))
    });
    let routes = guarded.into_iter().fold(open, Router::merge).with_state(state.ops);
    framed(routes, state.frame, OPS_TIME, OPS_BODY)
}

fn framed(routes: Router, state: Frame, time: Duration, size: usize) -> Router {
    // Router::layer puts each layer around those before it.
    routes
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(size))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, time))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_request(())
                .on_response(DefaultOnResponse::new().level(Level::DEBUG))
                .on_failure(()),
        )
        .layer(from_fn_with_state(state, frame))
}

fn span(request: &Request<Body>) -> tracing::Span {
    let id = request.extensions().get::<RequestId>().map_or("", |RequestId(id)| id);
    tracing::info_span!("request", request.id = id, method = %request.method(), path = request.uri().path())
}

/// The message of a panic may quote a body, so it is not put into the log.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    Problem::of(StatusCode::INTERNAL_SERVER_ERROR).into_response()
}
