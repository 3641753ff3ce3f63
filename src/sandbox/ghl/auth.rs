//! Who may call: the `Version` header, the bearer token, its class, its scopes, its locations.
//!
//! In: headers, settings, the tokens given out by OAuth. Out: who calls, or the vendor's own refusal (GHL dossier 3.1 and
//! 3.9). A refusal names the first of these that is wrong: version, token, class, scope, location.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::answers::Refusal;
use super::settings::GhlSettings;
use super::{Ghl, routes};
use crate::clock::Millis;
use crate::sandbox::{Request, web};

const VERSIONS: &[&str] = &["2021-04-15", "2021-07-28", "2023-02-21"];

/// What the documents open to agencies beside locations; all else is for locations only.
const AGENCIES_TOO: &[&str] = &["locations/{}", "users/{}", "companies/{}"];

/// Whose token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Location,
    /// An agency's Private Integration Token.
    AgencyPit,
    /// An agency's OAuth token.
    Company,
}

/// Who calls.
#[derive(Debug)]
pub(super) struct Caller {
    class: Class,
    scopes: Vec<String>,
    locations: Vec<String>,
}

/// Refuses a request without a version, or with an unknown one; `v3` is unknown unless the settings say otherwise, rather
/// than answered in the wrong shape.
pub(super) fn version(settings: &GhlSettings, headers: &HeaderMap) -> Result<(), Refusal> {
    version_among(headers, |version| settings.v3 && version == "v3")
}

/// The same for routes that speak v3 whatever the settings say.
pub(super) fn version_or_v3(headers: &HeaderMap) -> Result<(), Refusal> {
    version_among(headers, |version| version == "v3")
}

fn version_among(headers: &HeaderMap, also: impl Fn(&str) -> bool) -> Result<(), Refusal> {
    let Some(version) = headers.get("version") else {
        return Err(Refusal::unauthorized("version header was not found."));
    };
    let version = version.to_str().unwrap_or_default();
    if VERSIONS.contains(&version) || also(version) {
        return Ok(());
    }
    Err(Refusal::bad_request(format!("Invalid API version segment '{version}' at position 0")))
}

/// The token that a request carries.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// Who calls: the bearer of a Private Integration Token, or of an access token that has not ended.
pub(super) fn caller(ghl: &Ghl, headers: &HeaderMap, now: Millis) -> Result<Caller, Refusal> {
    let offered = bearer(headers).ok_or_else(Refusal::bad_token)?;
    if let Some(pit) = ghl.settings.tokens.iter().find(|pit| pit.token.matches(offered.as_bytes())) {
        let class = if pit.agency { Class::AgencyPit } else { Class::Location };
        return Ok(Caller { class, scopes: pit.scopes.clone(), locations: pit.locations.clone() });
    }
    let grant = ghl.tokens.bearer(offered, now).ok_or_else(Refusal::bad_token)?;
    let class = if grant.location.is_some() { Class::Location } else { Class::Company };
    Ok(Caller { class, scopes: grant.scopes.clone(), locations: grant.location.iter().cloned().collect() })
}

/// Checks a request to a route that needs `scope` and touches `location`, if that can be told; gives what it counts against.
pub(super) fn admit(
    ghl: &Ghl,
    request: &Request,
    scope: &str,
    location: Option<&str>,
    now: Millis,
) -> Result<String, Refusal> {
    let caller = caller(ghl, request.headers(), now)?;
    let sent = web::segments(request.uri().path());
    let open =
        || request.method() == http::Method::GET && AGENCIES_TOO.iter().any(|one| routes::ids(one, &sent).is_some());
    match caller.class {
        Class::AgencyPit if !open() => return Err(Refusal::unauthorized("Token's user type mismatch!")),
        Class::Company if !open() => return Err(Refusal::foreign_class(ghl.settings.class_refusal_is_403)),
        _ => {}
    }
    caller.must_have(scope)?;
    if let Some(location) = location {
        caller.must_reach(location)?;
    }
    Ok(location.map_or_else(|| caller.resource(&ghl.settings), str::to_owned))
}

impl Caller {
    /// Whether it is an agency.
    pub(super) fn is_agency(&self) -> bool {
        self.class != Class::Location
    }

    /// Refuses all but an agency's OAuth token, with 401 whatever the switch for the other direction says.
    pub(super) fn must_be_company(&self) -> Result<(), Refusal> {
        if self.class == Class::Company { Ok(()) } else { Err(Refusal::foreign_class(false)) }
    }

    /// Refuses a token that lacks the scope.
    pub(super) fn must_have(&self, scope: &str) -> Result<(), Refusal> {
        if self.scopes.iter().any(|held| held == scope) {
            return Ok(());
        }
        Err(Refusal::unauthorized("The token is not authorized for this scope."))
    }

    /// Refuses a token of another location; an agency reaches all of its own.
    pub(super) fn must_reach(&self, location: &str) -> Result<(), Refusal> {
        let reaches = self.is_agency() || self.locations.iter().any(|held| held == location);
        if reaches { Ok(()) } else { Err(Refusal::foreign_location()) }
    }

    /// What its calls count against where no location is touched.
    pub(super) fn resource(&self, settings: &GhlSettings) -> String {
        self.locations.first().unwrap_or(&settings.company.id).clone()
    }
}
