//! The frame around every request: its id, and the one form of every error.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};

use super::problem::Problem;
use crate::clock::Clock;
use crate::ids::Ids;

/// The header that carries the request's id.
const REQUEST_ID: &str = "x-request-id";

/// What gives requests their ids. An id that a sender brings is not taken over: logs must be able to rely on it.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Who tells the time.
    pub clock: Arc<dyn Clock>,
    /// Who makes ids.
    pub ids: Arc<Ids>,
}

/// The id of a request, in its extensions.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub String);

/// Marks an answer that people read, and that stays as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page;

/// Gives the request its id; writes it on the answer, and the body of an answer that is an error.
pub(super) async fn frame(State(frame): State<Frame>, mut request: Request, next: Next) -> Response {
    let id = frame.ids.uuid(frame.clock.now()).to_string();
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    let status = response.status();
    let marked = response.extensions_mut().remove::<Problem>();
    let is_page = response.extensions_mut().remove::<Page>().is_some();
    let is_error = !is_page && (status.is_client_error() || status.is_server_error());
    if let Some(problem) = marked.or_else(|| is_error.then(|| Problem::of(status))) {
        *response.body_mut() = problem.body(&id).to_string().into();
        response.headers_mut().remove(CONTENT_LENGTH);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
