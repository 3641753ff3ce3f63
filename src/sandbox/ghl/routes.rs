//! The routes: one table that names method, path, scope, the place that tells the location, keys and handler.
//!
//! In: a request. Out: the handler's answer, after the checks that the vendor makes before it: route, version, token,
//! scope, location, rate, whitelist. What the answer says is left to the handlers.

use std::collections::BTreeMap;

use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::answers::{Answer, Refusal};
use super::fields::{Fields, text};
use super::rate::Meter;
use super::whitelist::{self, Key};
use super::{Ghl, appointments, auth, calendars, contacts, keys, locations, notes, search, tags, tasks};
use crate::sandbox::{Request, Turn};

/// What a handler gets: the ids of the path, the query and the body.
pub(super) struct Call {
    pub(super) ids: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) body: Fields,
}

type Act = fn(&mut Ghl, &Call, &mut Turn<'_>) -> Answer;

/// Where a request names its location.
#[derive(Debug, Clone, Copy)]
enum Place {
    Body,
    Query,
    Path,
    Contact,
    Appointment,
    Calendar,
}

/// One row of the table; `{}` in a path stands for an id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    method: &'static str,
    path: &'static str,
    scope: &'static str,
    status: u16,
    place: Place,
    query: &'static [Key],
    body: &'static [Key],
    act: Act,
}

const fn route(method: &'static str, path: &'static str, scope: &'static str, act: Act) -> Route {
    let (query, body) = (keys::NOTHING, keys::NOTHING);
    Route { method, path, scope, status: 200, place: Place::Contact, query, body, act }
}

impl Route {
    const fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    const fn query(self, query: &'static [Key]) -> Self {
        Self { query, place: Place::Query, ..self }
    }

    const fn body(self, body: &'static [Key]) -> Self {
        Self { body, ..self }
    }

    const fn gives(self, status: u16) -> Self {
        Self { status, ..self }
    }
}

const READ: &str = "contacts.readonly";
const WRITE: &str = "contacts.write";
const CALENDARS: &str = "calendars.readonly";
const READ_EVENTS: &str = "calendars/events.readonly";
const WRITE_EVENTS: &str = "calendars/events.write";

#[rustfmt::skip]
const ROUTES: &[Route] = &[
    route("POST", "contacts", WRITE, contacts::post).at(Place::Body).body(keys::CONTACT_CREATE).gives(201),
    route("POST", "contacts/upsert", WRITE, contacts::upsert).at(Place::Body).body(keys::CONTACT_UPSERT),
    route("POST", "contacts/search", READ, search::post).at(Place::Body).body(keys::CONTACT_SEARCH),
    route("GET", "contacts/search/duplicate", READ, contacts::duplicate).query(keys::DUPLICATE_QUERY),
    route("GET", "contacts/{}", READ, contacts::get),
    route("PUT", "contacts/{}", WRITE, contacts::put).body(keys::CONTACT_UPDATE),
    route("DELETE", "contacts/{}", WRITE, contacts::delete),
    route("POST", "contacts/{}/tags", WRITE, tags::post).body(keys::TAGS).gives(201),
    route("DELETE", "contacts/{}/tags", WRITE, tags::delete).body(keys::TAGS),
    route("GET", "contacts/{}/tasks", READ, tasks::list),
    route("POST", "contacts/{}/tasks", WRITE, tasks::post).body(keys::TASK_CREATE).gives(201),
    route("GET", "contacts/{}/tasks/{}", READ, tasks::get),
    route("PUT", "contacts/{}/tasks/{}", WRITE, tasks::put).body(keys::TASK_UPDATE),
    route("PUT", "contacts/{}/tasks/{}/completed", WRITE, tasks::put).body(keys::TASK_COMPLETED),
    route("DELETE", "contacts/{}/tasks/{}", WRITE, tasks::delete),
    route("GET", "contacts/{}/notes", READ, notes::list),
    route("POST", "contacts/{}/notes", WRITE, notes::post).body(keys::NOTE_CREATE).gives(201),
    route("GET", "contacts/{}/notes/{}", READ, notes::get),
    route("PUT", "contacts/{}/notes/{}", WRITE, notes::put).body(keys::NOTE_UPDATE),
    route("DELETE", "contacts/{}/notes/{}", WRITE, notes::delete),
    route("GET", "contacts/{}/appointments", READ, appointments::of_contact),
    route("GET", "calendars", CALENDARS, calendars::list).query(keys::CALENDARS_QUERY),
    route("GET", "calendars/events", READ_EVENTS, appointments::list).query(keys::EVENTS_QUERY),
    route("POST", "calendars/events/appointments", WRITE_EVENTS, appointments::post)
        .at(Place::Body).body(keys::APPOINTMENT_CREATE),
    route("GET", "calendars/events/appointments/{}", READ_EVENTS, appointments::get).at(Place::Appointment),
    route("PUT", "calendars/events/appointments/{}", WRITE_EVENTS, appointments::put)
        .at(Place::Appointment).body(keys::APPOINTMENT_UPDATE),
    route("DELETE", "calendars/events/{}", WRITE_EVENTS, appointments::delete).at(Place::Appointment).gives(201),
    route("GET", "calendars/{}", CALENDARS, calendars::get).at(Place::Calendar),
    route("GET", "locations/{}", "locations.readonly", locations::get).at(Place::Path),
    route("GET", "locations/{}/tags", "locations/tags.readonly", locations::tags).at(Place::Path),
    route("POST", "locations/{}/tasks/search", "locations/tasks.readonly", locations::search_tasks)
        .at(Place::Path).body(keys::TASK_SEARCH),
];

/// Checks and carries out a request. What is left of the rate limit goes to `meter` as soon as it is known.
pub(super) fn answer(
    ghl: &mut Ghl,
    request: &Request,
    turn: &mut Turn<'_>,
    meter: &mut Option<Meter>,
) -> Result<(u16, Value), Refusal> {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let (route, ids) = find(method, path).ok_or_else(|| Refusal::no_route(method, path))?;
    auth::version(&ghl.settings, request.headers())?;
    let call = Call { ids, query: query(request), body: body(request)? };
    let location = location_of(ghl, route.place, &call);
    let metered = auth::admit(ghl, request, route.scope, location.as_deref(), turn.now)?;
    let left = meter.insert(ghl.rate.take(&metered, &ghl.settings, turn.now));
    if left.exceeded {
        return Err(Refusal::too_many());
    }
    whitelist::query(route.query, &call.query)?;
    whitelist::body(route.body, &call.body)?;
    (route.act)(ghl, &call, turn).map(|body| (route.status, body))
}

fn find(method: &str, path: &str) -> Option<(&'static Route, Vec<String>)> {
    let sent: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    ROUTES.iter().filter(|route| route.method == method).find_map(|route| Some((route, ids(route.path, &sent)?)))
}

/// The ids that a path carries, if it is of this template.
pub(super) fn ids(template: &str, sent: &[&str]) -> Option<Vec<String>> {
    let template: Vec<&str> = template.split('/').collect();
    let pairs = || template.iter().zip(sent);
    let fits = template.len() == sent.len() && pairs().all(|(wanted, got)| *wanted == "{}" || wanted == got);
    fits.then(|| pairs().filter(|(wanted, _)| **wanted == "{}").map(|(_, got)| (*got).to_owned()).collect())
}

fn query(request: &Request) -> BTreeMap<String, String> {
    let pairs = request.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decoded(k), decoded(v))).collect()
}

/// Undoes `%2B` and `+` of a query.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).filter(|_| *first == b'%').and_then(|digits| hex::decode(digits).ok());
        rest = if escaped.is_some() { &tail[2..] } else { tail };
        match escaped {
            Some(byte) => bytes.extend(byte),
            None => bytes.push(if *first == b'+' { b' ' } else { *first }),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A body that is not declared as JSON is not read, as in the vendor's framework.
fn body(request: &Request) -> Result<Fields, Refusal> {
    let declared = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if request.body().is_empty() || !declared.is_some_and(|kind| kind.starts_with("application/json")) {
        return Ok(Fields::new());
    }
    serde_json::from_slice(request.body()).map_err(|_| Refusal::bad_request("Unexpected token in JSON"))
}

/// The location that a request touches, if that can be told.
fn location_of(ghl: &Ghl, place: Place, call: &Call) -> Option<String> {
    let first = || call.ids.first().map(String::as_str).unwrap_or_default();
    let held = |fields: Option<&Fields>| fields.map(|fields| text(fields, "locationId").to_owned());
    match place {
        Place::Body => held(Some(&call.body)).filter(|location| !location.is_empty()),
        Place::Query => call.query.get("locationId").cloned(),
        Place::Path => Some(first().to_owned()),
        Place::Contact => held(ghl.contacts.get(first())),
        Place::Appointment => held(ghl.appointments.get(first())),
        Place::Calendar => ghl.settings.calendar(first()).map(|calendar| calendar.location.clone()),
    }
}
