//! `POST /webhooks/{system}` and `/webhooks/{system}/{workspace}`.
//!
//! | what arrives | answer |
//! | --- | --- |
//! | a proven webhook, stored (whatever it says and whatever its content type) | 200 `{"status":"recorded"}` |
//! | the same again | 200 `{"status":"duplicate"}` |
//! | signature or token missing, empty, `N/A`, wrong, too old, of a scheme that has ended; another app's | 401 `unauthorized` |
//! | a system that is unknown, or that nothing is configured for | 404 `not_found` |
//! | a body over the limit | 413 `body_too_large` |
//! | a proven webhook that cannot be stored | GHL: 429, others: 503, `not_stored`, with `Retry-After` |

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::problem::Problem;
use crate::model::System;
use crate::receive::{Arrival, Intake, Receipt, Rejected};

/// Seconds after which a sender may try again when we could not store.
const RETRY_AFTER: u32 = 30;

/// Without a workspace in the path.
pub(super) async fn to_system(state: State<Arc<Intake>>, Path(system): Path<String>, request: Request) -> Response {
    answer(&state, &system, None, request).await
}

/// With one.
pub(super) async fn to_workspace(
    state: State<Arc<Intake>>,
    Path((system, workspace)): Path<(String, String)>,
    request: Request,
) -> Response {
    answer(&state, &system, Some(workspace), request).await
}

async fn answer(intake: &Intake, system: &str, workspace: Option<String>, request: Request) -> Response {
    // Before the body is read: what has no route costs nothing.
    let Some(system) = system.parse().ok().filter(|system| intake.has_route(*system)) else {
        return Problem::of(StatusCode::NOT_FOUND).into_response();
    };
    let headers = request.headers().clone();
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(rejection) => return Problem::of(rejection.status()).into_response(),
    };
    match intake.accept(Arrival { system, workspace, headers, body }).await {
        Ok(Receipt::Recorded) => Json(json!({"status": "recorded"})).into_response(),
        Ok(Receipt::Duplicate) => Json(json!({"status": "duplicate"})).into_response(),
        Err(rejected) => rejection(system, rejected).into_response(),
    }
}

fn rejection(system: System, rejected: Rejected) -> Problem {
    match rejected {
        Rejected::NoRoute => Problem::of(StatusCode::NOT_FOUND),
        // Which of the reasons it was stays in our log: a sender that guesses learns nothing.
        Rejected::Refused(_) => Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", ""),
        Rejected::NotStored(_) => {
            // GHL has long repeated after 429 only, and repeats after it in any case.
            let status = match system {
                System::Ghl => StatusCode::TOO_MANY_REQUESTS,
                System::Timify | System::Timerex => StatusCode::SERVICE_UNAVAILABLE,
            };
            Problem::new(status, "not_stored", "").retry_after(RETRY_AFTER)
        }
    }
}
