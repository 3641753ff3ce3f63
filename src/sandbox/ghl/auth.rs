//! Who may call: the `Version` header, the bearer token, its scopes, its locations.
//!
//! In: headers and settings. Out: the token's settings, or the vendor's own refusal (GHL dossier 3.1 and 3.9).
//! The stand-in speaks v2 only, so `v3` is refused like an unknown version rather than answered in the wrong shape.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::answers::Refusal;
use super::settings::{GhlSettings, TokenSettings};

const VERSIONS: &[&str] = &["2021-04-15", "2021-07-28", "2023-02-21"];

/// Refuses a request without a version, or with an unknown one.
pub(super) fn version(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(version) = headers.get("version") else {
        return Err(Refusal::unauthorized("version header was not found."));
    };
    let version = version.to_str().unwrap_or_default();
    if VERSIONS.contains(&version) {
        return Ok(());
    }
    Err(Refusal::bad_request(format!("Invalid API version segment '{version}' at position 0")))
}

/// The token that the request carries.
pub(super) fn token<'a>(settings: &'a GhlSettings, headers: &HeaderMap) -> Result<&'a TokenSettings, Refusal> {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .and_then(|offered| settings.tokens.iter().find(|token| token.token.matches(offered.as_bytes())))
        .ok_or_else(|| Refusal::unauthorized("Invalid token: access token is invalid"))
}

/// Refuses a token that lacks the scope.
pub(super) fn scope(token: &TokenSettings, scope: &str) -> Result<(), Refusal> {
    if token.scopes.iter().any(|held| held == scope) {
        return Ok(());
    }
    Err(Refusal::unauthorized("The token is not authorized for this scope."))
}

/// Refuses a token of another location.
pub(super) fn location(token: &TokenSettings, location: &str) -> Result<(), Refusal> {
    if token.locations.iter().any(|held| held == location) { Ok(()) } else { Err(Refusal::foreign_location()) }
}
