//! An appointment and the model's fields, both ways.
//!
//! In: appointment records, steps. Out: start, end, title and the calendar row; the body of a write. Traps of the vendor: `date`
//! is no date (`2024-04-04Z`), the end stands in `bookings` only, times are written as UTC minutes divisible by five. There
//! is no status: a cancelled appointment is a deleted one.

use serde_json::{Map, Value as Json, json};

use super::Company;
use crate::clock::Millis;
use crate::model::{Action, CalendarRow, ExternalId, Field, Fields, Step, Value};
use crate::systems::{Expressed, wire};

const MINUTE: i64 = 60_000;
/// Starts stand on this grid.
const GRID: i64 = 5 * MINUTE;

/// All that TIMIFY holds of an appointment.
pub(super) fn fields(record: &Json, calendars: &[CalendarRow]) -> Fields {
    let instant = |at: Option<Millis>| at.map_or(Value::Blank, Value::Instant);
    let start = wire::instant(&record["startDate"]);
    [
        (Field::START, instant(start)),
        (Field::END, instant(end(record, start))),
        (Field::TITLE, wire::text(&record["title"])),
        (Field::CALENDAR, calendar(record, calendars)),
    ]
    .into()
}

/// The customer of an appointment; of several, the first.
pub(super) fn customer(record: &Json) -> Option<ExternalId> {
    wire::id(wire::first(record, &["/customers/0/id", "/singleCustomers/0/id"]))
}

/// The last end among the parts of the first occurrence: a series stands in one record, a part or two to each occurrence.
fn end(record: &Json, start: Option<Millis>) -> Option<Millis> {
    let bookings = wire::items(&record["bookings"]);
    let first = bookings.first().map(|one| &one["recurringDay"]);
    let same_day = bookings.iter().filter(|one| Some(&one["recurringDay"]) == first);
    let last = same_day.filter_map(|one| wire::instant(one.pointer("/interval/end")?)).max();
    let by_length = || Some(Millis(start?.0 + record["duration"].as_i64()? * MINUTE));
    last.or_else(by_length)
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

/// The body of a create or a change: what the step sets; a time and its length go together. Nobody is ever notified.
pub(super) fn body(step: &Step, company: &Company) -> Result<Json, &'static str> {
    let mut out = Map::new();
    let set = |field: &Field| step.fields.contains_key(field);
    let value = |field: &Field| step.fields.get(field).or_else(|| step.whole.get(field)).unwrap_or(&Value::Blank);
    if set(&Field::START) || set(&Field::END) {
        let start = value(&Field::START).as_instant().ok_or("the appointment has no start")?;
        out.insert("datetime".to_owned(), json!(minute(start)));
        if let Some(end) = value(&Field::END).as_instant() {
            if end <= start {
                return Err("the appointment ends before it starts");
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
    // An appointment made without a title shows the service's name.
    let title = step.fields.get(&Field::TITLE).filter(|title| !(title.is_blank() && step.action == Action::Create));
    out.extend(title.map(|title| ("title".to_owned(), json!(title.as_text().unwrap_or_default()))));
    for notify in ["has_notify_customers", "has_notify_resources"] {
        out.insert(notify.to_owned(), json!(false));
    }
    Ok(Json::Object(out))
}

/// UTC, `YYYY-MM-DD HH:mm`.
fn minute(at: Millis) -> String {
    at.rfc3339().replacen('T', " ", 1).chars().take(16).collect()
}
