//! OAuth 2.0 and the life of an app at an account: consent, codes, tokens, installing and uninstalling.
//!
//! In: requests to `/oauth/...`, `/v2/oauth/...`, `/marketplace/app/...`, and edits of kind `app`, `location`, `token`. Out:
//! answers in the vendor's v2 or v3 form, and INSTALL and UNINSTALL webhooks. Facts: GHL dossier 2.6, 3.9 and 4. What a
//! token may do elsewhere is judged in `auth`.

mod consent;
mod exchange;
mod installs;
mod listing;
mod settings;
#[cfg(test)]
mod tests;
mod tokens;

use std::convert::identity;

use http::header::{CONTENT_TYPE, LOCATION};
use serde_json::{Map, Value};

use super::answers::{self, Refusal};
use super::fields::Fields;
use super::rate::Meter;
use super::{Ghl, auth, routes};
use crate::sandbox::web::{self, Params};
use crate::sandbox::{Request, Response, Turn};

pub(super) use installs::{Installs, edit};
pub use settings::{ClientSettings, CompanySettings, OauthSettings, TargetUser};
pub(super) use tokens::Tokens;

/// A request to one of the routes below.
struct Ask<'a> {
    request: &'a Request,
    /// Whether it speaks v3.
    v3: bool,
    /// The ids of its path.
    ids: Vec<String>,
    /// Its body, form or JSON.
    body: Fields,
}

/// What a route answers.
enum Said {
    /// JSON, with the `traceId` that nearly every answer has.
    Traced(u16, Value),
    /// JSON as it is: token answers carry no `traceId`.
    Plain(u16, Value),
    /// A page for a person.
    Page(u16, String),
    /// Sends the browser there.
    Redirect(String),
    /// A refusal in the common form; others have forms of their own.
    Refused(Refusal),
}

impl From<Refusal> for Said {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What is carried out, or else why not.
type Outcome = Result<Said, Said>;
type Act = fn(&mut Ghl, &Ask<'_>, &mut Turn<'_>, &mut Option<Meter>) -> Outcome;

/// When a route exists.
#[derive(Clone, Copy, PartialEq)]
enum There {
    Always,
    /// Under `Version: v3` only.
    V3,
    /// When the settings say so.
    Reconnect,
}

const ROUTES: &[(&str, &str, There, Act)] = &[
    ("GET", "oauth/chooselocation", There::Always, consent::page),
    ("GET", "v2/oauth/chooselocation", There::Always, consent::page),
    ("GET", "oauth/chooselocation/choose", There::Always, consent::choose),
    ("GET", "v2/oauth/chooselocation/choose", There::Always, consent::choose),
    ("POST", "oauth/token", There::Always, exchange::token),
    ("POST", "oauth/locationToken", There::Always, exchange::location_token),
    ("POST", "oauth/location-token", There::V3, exchange::location_token),
    ("POST", "oauth/reconnect", There::Reconnect, exchange::reconnect),
    ("GET", "oauth/installedLocations", There::Always, listing::list),
    ("GET", "oauth/installed-locations", There::V3, listing::list),
    ("DELETE", "marketplace/app/{}/installations", There::Always, installs::delete),
];

/// Answers a request, if it is one to these routes.
pub(super) fn answer(ghl: &mut Ghl, request: &Request, turn: &mut Turn<'_>, trace: &str) -> Option<Response> {
    let v3 = web::header(request, "version") == Some("v3");
    let there = |there: There| match there {
        There::Always => true,
        There::V3 => v3,
        There::Reconnect => ghl.settings.oauth.reconnect,
    };
    let sent = web::segments(request.uri().path());
    let method = request.method().as_str();
    let mut fitting = ROUTES.iter().filter(|(wanted, _, when, _)| *wanted == method && there(*when));
    let (ids, act) = fitting.find_map(|(_, path, _, act)| Some((routes::ids(path, &sent)?, act)))?;
    let mut meter = None;
    let carried_out = || act(ghl, &Ask { request, v3, ids, body: body(request)? }, turn, &mut meter);
    Some(match carried_out().unwrap_or_else(identity) {
        Said::Traced(status, body) => answers::response(Ok((status, body)), meter, trace, turn.now),
        Said::Refused(refusal) => answers::response(Err(refusal), meter, trace, turn.now),
        Said::Plain(status, body) => web::json(status, &body),
        Said::Page(status, page) => web::typed(status, "text/html; charset=utf-8", page),
        Said::Redirect(to) => redirect(&to),
    })
}

fn redirect(to: &str) -> Response {
    let mut response = web::empty(302);
    if let Ok(to) = to.parse() {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

/// A JSON object, or else a form.
fn body(request: &Request) -> Result<Fields, Refusal> {
    let declared = web::header(request, CONTENT_TYPE.as_str()).unwrap_or_default();
    if declared.starts_with("application/json") {
        return web::object(request).ok_or_else(|| Refusal::bad_request("Unexpected token in JSON"));
    }
    let form = Params::read(&String::from_utf8_lossy(request.body()));
    Ok(form.pairs().map(|(key, value)| (key.to_owned(), value.into())).collect::<Map<_, _>>())
}

/// Counts a call in the name of a location or an agency.
fn count(ghl: &mut Ghl, resource: &str, turn: &Turn<'_>, meter: &mut Option<Meter>) -> Result<(), Refusal> {
    let left = meter.insert(ghl.rate.take(resource, &ghl.settings, turn.now));
    if left.exceeded { Err(Refusal::too_many()) } else { Ok(()) }
}

/// Checks that the caller is an agency with that scope, and counts the call.
fn agency(
    ghl: &mut Ghl,
    ask: &Ask<'_>,
    scope: &str,
    turn: &Turn<'_>,
    meter: &mut Option<Meter>,
) -> Result<(), Refusal> {
    auth::version_or_v3(ask.request.headers())?;
    let caller = auth::caller(ghl, ask.request.headers(), turn.now)?;
    caller.must_be_company()?;
    caller.must_have(scope)?;
    let company = ghl.settings.company.id.clone();
    count(ghl, &company, turn, meter)
}
