//! The routes: one table that names method, path, scope, the place that tells the location, keys and handler.
//!
//! In: a request. Out: the handler's answer, after the checks that the vendor makes before it: route, version, token,
//! scope, location, rate, whitelist. What the answer says is left to the handlers.

use std::collections::BTreeMap;

use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::answers::{Answer, Refusal};
use super::fields::{Fields, text};
use super::notes::{AppointmentNotes, Notes};
use super::rate::Meter;
use super::tasks::Tasks;
use super::whitelist::{self, Key};
use super::{
    Ghl, appointments, attached, auth, bulk, businesses, calendars, contact_lists, contacts, custom_fields, keys,
    locations, notes, search, slots, tags, users, v3,
};
use crate::sandbox::{Request, Turn};

/// What a handler gets: the ids of the path, the query and the body.
pub(super) struct Call {
    pub(super) ids: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) body: Fields,
    /// Whether the caller asked for v3.
    pub(super) v3: bool,
}

impl Call {
    /// A value of the query; empty when it was not sent.
    pub(super) fn asked(&self, key: &str) -> &str {
        self.query.get(key).map(String::as_str).unwrap_or_default()
    }

    /// A whole number of the query, or the usual one.
    pub(super) fn number(&self, key: &str, usual: usize) -> usize {
        self.asked(key).parse().unwrap_or(usual)
    }
}

type Act = fn(&mut Ghl, &Call, &mut Turn<'_>) -> Answer;

/// Where a request names its location.
#[derive(Debug, Clone, Copy)]
enum Place {
    Body,
    Query,
    Path,
    Contact,
    /// An appointment or a block.
    Appointment,
    Calendar,
    Business,
    /// Nowhere: the token's own location counts.
    Token,
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
    /// The keys of its body in v3, where they differ in more than their names.
    body_v3: Option<&'static [Key]>,
    /// Whether v3 still has it.
    in_v3: bool,
    act: Act,
}

const fn route(method: &'static str, path: &'static str, scope: &'static str, act: Act) -> Route {
    let (query, body) = (keys::NOTHING, keys::NOTHING);
    Route { method, path, scope, status: 200, place: Place::Contact, query, body, body_v3: None, in_v3: true, act }
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

    const fn body_v3(self, body: &'static [Key]) -> Self {
        Self { body_v3: Some(body), ..self }
    }

    const fn until_v3(self) -> Self {
        Self { in_v3: false, ..self }
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
    route("GET", "contacts", READ, contact_lists::list).query(keys::CONTACTS_QUERY).until_v3(),
    route("GET", "contacts/business/{}", READ, contact_lists::of_business).query(keys::BUSINESS_CONTACTS_QUERY),
    route("POST", "contacts/bulk/business", WRITE, bulk::business).at(Place::Body).body(keys::BULK_BUSINESS),
    route("POST", "contacts/bulk/tags/update/{}", WRITE, bulk::tags)
        .at(Place::Body).body(keys::BULK_TAGS).gives(201),
    route("GET", "contacts/search/duplicate", READ, contacts::duplicate).query(keys::DUPLICATE_QUERY),
    route("GET", "contacts/{}", READ, contacts::get),
    route("PUT", "contacts/{}", WRITE, contacts::put).body(keys::CONTACT_UPDATE),
    route("DELETE", "contacts/{}", WRITE, contacts::delete),
    route("POST", "contacts/{}/tags", WRITE, tags::post).body(keys::TAGS).gives(201),
    route("DELETE", "contacts/{}/tags", WRITE, tags::delete).body(keys::TAGS),
    route("POST", "contacts/{}/followers", WRITE, bulk::follow).body(keys::FOLLOWERS).gives(201),
    route("DELETE", "contacts/{}/followers", WRITE, bulk::unfollow).body(keys::FOLLOWERS),
    route("GET", "contacts/{}/tasks", READ, attached::list::<Tasks>),
    route("POST", "contacts/{}/tasks", WRITE, attached::post::<Tasks>).body(keys::TASK_CREATE).gives(201),
    route("GET", "contacts/{}/tasks/{}", READ, attached::get::<Tasks>),
    route("PUT", "contacts/{}/tasks/{}", WRITE, attached::put::<Tasks>).body(keys::TASK_UPDATE),
    route("PUT", "contacts/{}/tasks/{}/completed", WRITE, attached::put::<Tasks>).body(keys::TASK_COMPLETED),
    route("DELETE", "contacts/{}/tasks/{}", WRITE, attached::delete::<Tasks>),
    route("GET", "contacts/{}/notes", READ, attached::list::<Notes>),
    route("POST", "contacts/{}/notes", WRITE, attached::post::<Notes>).body(keys::NOTE_CREATE).gives(201),
    route("GET", "contacts/{}/notes/{}", READ, attached::get::<Notes>),
    route("PUT", "contacts/{}/notes/{}", WRITE, attached::put::<Notes>).body(keys::NOTE_UPDATE),
    route("DELETE", "contacts/{}/notes/{}", WRITE, attached::delete::<Notes>),
    route("GET", "contacts/{}/appointments", READ, appointments::of_contact),
    route("GET", "calendars", CALENDARS, calendars::list).query(keys::CALENDARS_QUERY),
    route("GET", "calendars/events", READ_EVENTS, appointments::list).query(keys::EVENTS_QUERY),
    route("POST", "calendars/events/appointments", WRITE_EVENTS, appointments::post)
        .at(Place::Body).body(keys::APPOINTMENT_CREATE).body_v3(keys::APPOINTMENT_CREATE_V3),
    route("GET", "calendars/events/appointments/{}", READ_EVENTS, appointments::get).at(Place::Appointment),
    route("PUT", "calendars/events/appointments/{}", WRITE_EVENTS, appointments::put)
        .at(Place::Appointment).body(keys::APPOINTMENT_UPDATE).body_v3(keys::APPOINTMENT_UPDATE_V3),
    route("DELETE", "calendars/events/{}", WRITE_EVENTS, appointments::delete).at(Place::Appointment).gives(201),
    route("GET", "calendars/blocked-slots", READ_EVENTS, slots::list_blocks).query(keys::EVENTS_QUERY),
    route("POST", "calendars/events/block-slots", WRITE_EVENTS, slots::post_block)
        .at(Place::Body).body(keys::BLOCK).gives(201),
    route("PUT", "calendars/events/block-slots/{}", WRITE_EVENTS, slots::put_block)
        .at(Place::Appointment).body(keys::BLOCK).gives(201),
    route("GET", "calendars/appointments/{}/notes", READ_EVENTS, notes::of_appointment)
        .query(keys::APPOINTMENT_NOTES_QUERY).at(Place::Appointment),
    route("POST", "calendars/appointments/{}/notes", WRITE_EVENTS, attached::post::<AppointmentNotes>)
        .at(Place::Appointment).body(keys::APPOINTMENT_NOTE).gives(201),
    route("PUT", "calendars/appointments/{}/notes/{}", WRITE_EVENTS, attached::put::<AppointmentNotes>)
        .at(Place::Appointment).body(keys::APPOINTMENT_NOTE),
    route("DELETE", "calendars/appointments/{}/notes/{}", WRITE_EVENTS, notes::delete_of_appointment)
        .at(Place::Appointment),
    route("GET", "calendars/{}", CALENDARS, calendars::get).at(Place::Calendar),
    route("GET", "calendars/{}/free-slots", CALENDARS, slots::free).query(keys::SLOTS_QUERY).at(Place::Calendar),
    route("GET", "locations/{}", "locations.readonly", locations::get).at(Place::Path),
    route("GET", "locations/{}/tags", "locations/tags.readonly", tags::of_location).at(Place::Path),
    route("POST", "locations/{}/tags", "locations/tags.write", tags::post_to_location)
        .at(Place::Path).body(keys::LOCATION_TAG),
    route("GET", "locations/{}/customFields", "locations/customFields.readonly", custom_fields::list)
        .query(keys::CUSTOM_FIELDS_QUERY).at(Place::Path),
    route("POST", "locations/{}/customFields", "locations/customFields.write", custom_fields::post)
        .at(Place::Path).body(keys::CUSTOM_FIELD).gives(201),
    route("POST", "locations/{}/tasks/search", "locations/tasks.readonly", locations::search_tasks)
        .at(Place::Path).body(keys::TASK_SEARCH),
    route("GET", "businesses", "businesses.readonly", businesses::list).query(keys::BUSINESSES_QUERY),
    route("POST", "businesses", "businesses.write", businesses::post)
        .at(Place::Body).body(keys::BUSINESS_CREATE).gives(201),
    route("GET", "businesses/{}", "businesses.readonly", businesses::get).at(Place::Business),
    route("PUT", "businesses/{}", "businesses.write", businesses::put).at(Place::Business).body(keys::BUSINESS_UPDATE),
    route("DELETE", "businesses/{}", "businesses.write", businesses::delete).at(Place::Business),
    route("GET", "users", "users.readonly", users::list).query(keys::USERS_QUERY).until_v3(),
    route("GET", "users/search", "users.readonly", users::search).query(keys::USER_SEARCH_QUERY),
    route("GET", "users/{}", "users.readonly", users::get).at(Place::Token),
];

/// What a row of the table says to a judge: method, path (`{}` for an id), scope, status of a success.
#[derive(Debug, Clone, Copy)]
pub struct RouteRow {
    /// The method.
    pub method: &'static str,
    /// The path without a leading or a trailing slash.
    pub path: &'static str,
    /// The scope that a token needs.
    pub scope: &'static str,
    /// The status of a success.
    pub status: u16,
}

/// The rows of the table.
pub(super) fn rows() -> impl Iterator<Item = RouteRow> {
    ROUTES.iter().map(|Route { method, path, scope, status, .. }| RouteRow { method, path, scope, status: *status })
}

/// Checks and carries out a request. What is left of the rate limit goes to `meter` as soon as it is known.
pub(super) fn answer(
    ghl: &mut Ghl,
    request: &Request,
    turn: &mut Turn<'_>,
    meter: &mut Option<Meter>,
) -> Result<(u16, Value), Refusal> {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let v3 = ghl.settings.v3 && v3::asked(request.headers());
    let (route, ids) = find(method, path, v3).ok_or_else(|| Refusal::no_route(method, path))?;
    auth::version(&ghl.settings, request.headers())?;
    let mut body = body(request)?;
    if v3 {
        v3::request(&mut body)?;
    }
    let call = Call { ids, query: query(request), body, v3 };
    let location = location_of(ghl, route.place, &call);
    let metered = auth::admit(ghl, request, route.scope, location.as_deref(), turn.now)?;
    let left = meter.insert(ghl.rate.take(&metered, &ghl.settings, turn.now));
    if left.exceeded {
        return Err(Refusal::too_many());
    }
    whitelist::query(route.query, &call.query)?;
    let keys = route.body_v3.filter(|_| v3).unwrap_or(route.body);
    if let Err(refusal) = whitelist::body(keys, &call.body) {
        if ghl.settings.refused_create_creates && (route.method, route.path) == ("POST", "contacts") {
            let _made = (route.act)(ghl, &call, turn);
        }
        return Err(refusal);
    }
    let mut body = (route.act)(ghl, &call, turn)?;
    if v3 {
        v3::answer(&mut body);
    }
    Ok((route.status, body))
}

fn find(method: &str, path: &str, v3: bool) -> Option<(&'static Route, Vec<String>)> {
    let sent: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let known = ROUTES.iter().filter(|route| route.method == method && (route.in_v3 || !v3));
    known.into_iter().find_map(|route| Some((route, ids(route.path, &sent)?)))
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
        Place::Appointment => held(ghl.appointments.get(first()).or_else(|| ghl.blocks.get(first()))),
        Place::Business => held(ghl.businesses.get(first())),
        Place::Token => None,
        Place::Calendar => ghl.settings.calendar(first()).map(|calendar| calendar.location.clone()),
    }
}
