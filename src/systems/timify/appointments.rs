//! An appointment and the model's fields, both ways. Pure.
//!
//! In: appointment records, steps. Out: start, end, title and the calendar row; the later occurrences of a series; the body of a
//! write. Traps of the vendor: `date` is no date (`2024-04-04Z`), the end stands in `bookings` only, times are written as UTC
//! minutes divisible by five. There is no status: a cancelled appointment is a deleted one. Records have an `externalId`, but
//! whether a write of one takes it, and under which name, is not documented: none is sent.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::Company;
use crate::clock::Millis;
use crate::model::{Action, CalendarRow, ExternalId, Field, Fields, Shape, Step, Value};
use crate::systems::{Expressed, wire};

const UNTITLED: &str = "TIMIFY holds an appointment without a title only where a service names it: give it a title, or set \
                        timify_service in the calendar's row";
const MINUTE: i64 = 60_000;
/// Starts stand on this grid.
const GRID: i64 = 5 * MINUTE;

/// What a record shows of an appointment; of a series, of the occurrence that the record itself stands for.
pub(super) fn fields(record: &Json, calendars: &[CalendarRow]) -> Fields {
    let (start, end) = span(record);
    shown(record, calendars, start, end)
}

/// What is not shown, or in a form that it never has, says nothing.
fn shown(record: &Json, calendars: &[CalendarRow], start: Option<Millis>, end: Option<Millis>) -> Fields {
    let title = record.get("title").filter(|title| title.is_string() || title.is_null());
    let all = [
        (Field::START, start.map(Value::Instant)),
        (Field::END, end.map(Value::Instant)),
        (Field::TITLE, title.map(wire::text)),
        (Field::CALENDAR, calendar(record, calendars)),
    ];
    all.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
}

/// The shape of what is shown: the whole, if nothing is missing.
pub(super) fn shape(fields: Fields) -> Shape {
    let whole = [Field::START, Field::END, Field::TITLE, Field::CALENDAR].iter().all(|one| fields.contains_key(one));
    if whole { Shape::Full(fields) } else { Shape::Partial(fields) }
}

/// The other occurrences of a series, by what is stable of each: the day that it was planned for. One record holds a whole
/// series, each occurrence with a part or several in `bookings`; the record itself stands for one (see [`anchor`]). `None`: the
/// record does not tell, as its parts are missing or cannot be read.
pub(super) fn later(record: &Json, calendars: &[CalendarRow]) -> Option<BTreeMap<String, Fields>> {
    let mut days = occurrences(record)?;
    if let Some(own) = anchor(record, &days) {
        days.remove(&own);
    }
    let of = |(day, (start, end))| (day, shown(record, calendars, Some(start), end));
    Some(days.into_iter().map(of).collect())
}

/// Whether a record says that it recurs.
pub(super) fn recurs(record: &Json) -> bool {
    !matches!(record["recurring"], Json::Null | Json::Bool(false))
}

/// The day of the occurrence that the record stands for: the one with a part that begins at the record's start, else the
/// earliest.
fn anchor(record: &Json, days: &BTreeMap<String, Span>) -> Option<String> {
    let start = utc(&record["startDate"]);
    let at_start = |booking: &&Json| start.is_some() && begin(booking) == start;
    let own = wire::items(&record["bookings"]).iter().find(at_start).and_then(|booking| day(record, booking));
    let earliest = || days.iter().min_by_key(|(_, (start, _))| *start).map(|(day, _)| day.clone());
    own.filter(|own| days.contains_key(own)).or_else(earliest)
}

/// First and last instant.
type Span = (Millis, Option<Millis>);

/// The span of each occurrence, by its day; none where the record is no series. `None`: it does not tell.
fn occurrences(record: &Json) -> Option<BTreeMap<String, Span>> {
    let bookings = wire::items(&record["bookings"]);
    let is_series = recurs(record) || bookings.iter().any(|booking| day(record, booking).is_some());
    if bookings.is_empty() || !is_series {
        return (!bookings.is_empty()).then(BTreeMap::new);
    }
    let mut days: BTreeMap<String, Span> = BTreeMap::new();
    for booking in bookings {
        let (day, begin) = (day(record, booking)?, begin(booking)?);
        let end = booking.pointer("/interval/end").and_then(utc);
        let held = days.entry(day).or_insert((begin, end));
        *held = (held.0.min(begin), held.1.max(end));
    }
    Some(days)
}

fn begin(booking: &Json) -> Option<Millis> {
    utc(wire::first(booking, &["/startDate", "/interval/begin"]))
}

/// The day of a part; without one of its own, in a record that says it recurs, the day that it starts on.
fn day(record: &Json, booking: &Json) -> Option<String> {
    let own = booking["recurringDay"].as_str().filter(|day| !day.is_empty());
    let started = || booking["startDate"].as_str().filter(|_| recurs(record))?.get(..10);
    own.or_else(started).map(str::to_owned)
}

/// The customer of an appointment. A group booking has several: the first is the one that it belongs to here. How a customer
/// stands in the list is not documented.
pub(super) fn customer(record: &Json) -> Option<ExternalId> {
    const IDS: &[&str] = &["/id", "/_id", "/customerId", "/customer_id", "/customer/id", "/customer"];
    let of = |one: &Json| wire::id(one).or_else(|| wire::id(wire::first(one, IDS)));
    let lists = [&record["customers"], &record["singleCustomers"]];
    let listed = lists.into_iter().flat_map(wire::items).find_map(of);
    listed.or_else(|| wire::id(wire::first(record, &["/customerId", "/customer_id", "/customer/id"])))
}

/// An instant; without any mark it is in UTC.
fn utc(json: &Json) -> Option<Millis> {
    let unmarked = || Millis::parse(&format!("{}Z", json.as_str()?.trim().replacen(' ', "T", 1)));
    wire::instant(json).or_else(unmarked)
}

/// When an appointment begins and ends; of a series, both of the same occurrence. The end is the last one among the parts, else
/// follows from the length; where the parts of a series cannot be told apart, the length alone tells it.
fn span(record: &Json) -> (Option<Millis>, Option<Millis>) {
    let stated = utc(&record["startDate"]);
    let bookings = wire::items(&record["bookings"]);
    let ends = bookings.iter().filter_map(|one| one.pointer("/interval/end").and_then(utc));
    let (start, end) = match occurrences(record) {
        Some(days) if days.is_empty() => (stated.or_else(|| bookings.iter().filter_map(begin).min()), ends.max()),
        Some(days) => {
            anchor(record, &days).and_then(|own| days.get(&own)).map_or((None, None), |(s, e)| (Some(*s), *e))
        }
        None => (stated, None),
    };
    let by_length = || Some(Millis(start?.0 + record["duration"].as_i64()? * MINUTE));
    (start, end.or_else(by_length))
}

/// The name of the row with this service and resource; a row without a service stands for all services of its resource. Every
/// appointment stands on a resource: a record that shows none does not tell.
fn calendar(record: &Json, rows: &[CalendarRow]) -> Option<Value> {
    let service = wire::id(wire::first(record, &["/serviceId", "/service/id"]));
    let service = service.as_ref().map(ExternalId::as_str);
    let listed = wire::items(&record["resources"]).iter().map(|one| &one["id"]);
    let resources = listed.chain(wire::items(&record["bookings"]).iter().map(|one| &one["resourceId"]));
    let resources: Vec<&str> = resources.filter_map(Json::as_str).collect();
    let first = resources.first().copied()?;
    let here = |row: &&CalendarRow| row.timify_resource.as_deref().is_some_and(|id| resources.contains(&id));
    let exact = rows.iter().find(|row| here(row) && row.timify_service.as_deref() == service);
    let row = exact.or_else(|| rows.iter().find(|row| here(row) && row.timify_service.is_none()));
    let unmapped = || Value::text(format!("timify:{}/{first}", service.unwrap_or_default()));
    Some(row.map_or_else(unmapped, |row| Value::text(&row.name)))
}

/// A canonical value as TIMIFY would hold it.
pub(super) fn express(company: &Company, field: &Field, value: &Value) -> Expressed {
    match (field, value) {
        (field, Value::Instant(at)) if *field == Field::START => on_grid(*at, GRID, company.round_minutes),
        (field, Value::Instant(at)) if *field == Field::END => on_grid(*at, MINUTE, company.round_minutes),
        (field, _) if *field == Field::CALENDAR => mapped(value, &company.calendars),
        (field, _) if [Field::START, Field::END, Field::TITLE].contains(field) => Expressed::Holds(value.clone()),
        _ => Expressed::Absent,
    }
}

fn on_grid(at: Millis, grid: i64, round: bool) -> Expressed {
    match at.0.rem_euclid(grid) {
        0 => Expressed::Holds(Value::Instant(at)),
        past if round => Expressed::Holds(Value::Instant(Millis(at.0 - past))),
        _ => Expressed::Refused(format!(
            "TIMIFY cannot hold {at}: starts must fall on full five minutes, ends on full minutes; set round_minutes = true to round down"
        )),
    }
}

fn mapped(value: &Value, rows: &[CalendarRow]) -> Expressed {
    let Some(name) = value.as_text() else {
        return Expressed::Refused("TIMIFY needs a resource, and the appointment has no calendar".to_owned());
    };
    match rows.iter().find(|row| row.name == name) {
        Some(row) if row.timify_resource.is_some() => Expressed::Holds(value.clone()),
        Some(_) => {
            Expressed::Refused(format!("calendar `{name}` has no TIMIFY resource: set timify_resource in its row"))
        }
        None => Expressed::Refused(format!("no row of `calendars` is called `{name}`: add one, with timify_resource")),
    }
}

/// Whether the vendor may write to customers and staff. Its own sample says yes, so a write that does not say is taken for one.
pub(super) fn notices(company: &Company) -> [(&'static str, bool); 2] {
    [("has_notify_customers", company.notify), ("has_notify_resources", company.notify)]
}

/// The body of a create or a change: what the step sets; a time and its length go together.
pub(super) fn body(step: &Step, company: &Company) -> Result<Json, &'static str> {
    let mut out = Map::new();
    let set = |field: &Field| step.fields.contains_key(field);
    let value = |field: &Field| step.fields.get(field).or_else(|| step.whole.get(field)).unwrap_or(&Value::Blank);
    if set(&Field::START) || set(&Field::END) {
        let start =
            value(&Field::START).as_instant().ok_or("the appointment has no start, and TIMIFY holds none without")?;
        out.insert("datetime".to_owned(), json!(minute(start)));
        if let Some(end) = value(&Field::END).as_instant() {
            if end <= start {
                return Err("the appointment ends before it starts, and TIMIFY holds only lengths");
            }
            out.insert("duration".to_owned(), json!((end.0 - start.0) / MINUTE));
        }
    }
    if set(&Field::CALENDAR) {
        let row = company.calendars.iter().find(|row| value(&Field::CALENDAR).as_text() == Some(row.name.as_str()));
        let row = row.ok_or("no row of `calendars` has the appointment's calendar")?;
        out.insert("resource_ids".to_owned(), row.timify_resource.iter().cloned().collect());
        out.extend(row.timify_service.as_ref().map(|service| ("service_id".to_owned(), json!(service))));
    }
    if step.action == Action::Create && value(&Field::TITLE).is_blank() && !out.contains_key("service_id") {
        return Err(UNTITLED);
    }
    // An appointment made without a title shows the service's name.
    let title = step.fields.get(&Field::TITLE).filter(|title| !(title.is_blank() && step.action == Action::Create));
    out.extend(title.map(|title| ("title".to_owned(), json!(title.as_text().unwrap_or_default()))));
    out.extend(notices(company).map(|(key, notify)| (key.to_owned(), json!(notify))));
    Ok(Json::Object(out))
}

/// UTC, `YYYY-MM-DD HH:mm`.
fn minute(at: Millis) -> String {
    at.rfc3339().replacen('T', " ", 1).chars().take(16).collect()
}
