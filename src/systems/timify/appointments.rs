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
use crate::model::{Action, CalendarRow, ExternalId, Field, Fields, Step, Value};
use crate::systems::{Expressed, wire};

const UNTITLED: &str = "TIMIFY holds an appointment without a title only where a service names it: give it a title, or set \
                        timify_service in the calendar's row";
const MINUTE: i64 = 60_000;
/// Starts stand on this grid.
const GRID: i64 = 5 * MINUTE;

/// All that TIMIFY holds of an appointment; of a series, of its first occurrence.
pub(super) fn fields(record: &Json, calendars: &[CalendarRow]) -> Fields {
    let start = utc(&record["startDate"]);
    shape(record, calendars, start, end(record, start))
}

fn shape(record: &Json, calendars: &[CalendarRow], start: Option<Millis>, end: Option<Millis>) -> Fields {
    let instant = |at: Option<Millis>| at.map_or(Value::Blank, Value::Instant);
    [
        (Field::START, instant(start)),
        (Field::END, instant(end)),
        (Field::TITLE, wire::text(&record["title"])),
        (Field::CALENDAR, calendar(record, calendars)),
    ]
    .into()
}

/// The later occurrences of a series, by what is stable of each: the day that it was planned for. One record holds a whole
/// series, each occurrence with a part or several in `bookings`; the record itself stands for the first.
pub(super) fn later(record: &Json, calendars: &[CalendarRow]) -> BTreeMap<String, Fields> {
    let of = |(day, (start, end))| (day, shape(record, calendars, Some(start), end));
    let mut days: Vec<_> = occurrences(record).into_iter().collect();
    days.sort_by_key(|(_, (start, _))| *start);
    days.into_iter().skip(1).map(of).collect()
}

/// First and last instant of each occurrence, by its day; none where the record is no series.
fn occurrences(record: &Json) -> BTreeMap<String, (Millis, Option<Millis>)> {
    let mut days: BTreeMap<String, (Millis, Option<Millis>)> = BTreeMap::new();
    for booking in wire::items(&record["bookings"]) {
        let begin = utc(wire::first(booking, &["/startDate", "/interval/begin"]));
        let (Some(day), Some(begin)) = (day(record, booking), begin) else { continue };
        let end = booking.pointer("/interval/end").and_then(utc);
        let held = days.entry(day).or_insert((begin, end));
        *held = (held.0.min(begin), held.1.max(end));
    }
    days
}

/// The day of a part; without one of its own, in a record that says it recurs, the day that it starts on.
fn day(record: &Json, booking: &Json) -> Option<String> {
    let own = booking["recurringDay"].as_str().filter(|day| !day.is_empty());
    let started = || booking["startDate"].as_str().filter(|_| record["recurring"].is_object())?.get(..10);
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

/// The last end among the parts; of a series, of its first occurrence.
fn end(record: &Json, start: Option<Millis>) -> Option<Millis> {
    let first = occurrences(record).into_values().min_by_key(|(start, _)| *start);
    let bookings = wire::items(&record["bookings"]).iter();
    let last = || bookings.filter_map(|one| one.pointer("/interval/end").and_then(utc)).max();
    let by_length = || Some(Millis(start?.0 + record["duration"].as_i64()? * MINUTE));
    first.map_or_else(last, |(_, end)| end).or_else(by_length)
}

/// The name of the row with this service and resource; a row without a service stands for all services of its resource.
fn calendar(record: &Json, rows: &[CalendarRow]) -> Value {
    let service = wire::id(wire::first(record, &["/serviceId", "/service/id"]));
    let service = service.as_ref().map(ExternalId::as_str);
    let listed = wire::items(&record["resources"]).iter().map(|one| &one["id"]);
    let resources = listed.chain(wire::items(&record["bookings"]).iter().map(|one| &one["resourceId"]));
    let resources: Vec<&str> = resources.filter_map(Json::as_str).collect();
    let here = |row: &&CalendarRow| row.timify_resource.as_deref().is_some_and(|id| resources.contains(&id));
    let exact = rows.iter().find(|row| here(row) && row.timify_service.as_deref() == service);
    let row = exact.or_else(|| rows.iter().find(|row| here(row) && row.timify_service.is_none()));
    let unmapped = || {
        let resource = resources.first().copied().unwrap_or_default();
        Value::text(format!("timify:{}/{resource}", service.unwrap_or_default()))
    };
    row.map_or_else(unmapped, |row| Value::text(&row.name))
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
