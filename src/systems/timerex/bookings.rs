//! Reads a booking (`event` in the vendor's JSON), as webhooks and the API show it.
//!
//! In: webhook bodies and records. Out: appointment observations with the other half of a move, and with the guest
//! ([`super::guests`]). `status` is a number in webhooks (2 or 3 for a cancelled one, by account) and a word in the API: a
//! webhook's type decides, never its number. A booking is made once and can only be cancelled, so `created_at` and `canceled_at`
//! (one l) are its versions; older bodies lack some of the keys.

use serde_json::Value as Json;

use super::{Team, guests};
use crate::clock::Millis;
use crate::model::{CANCELLED, Class, Field, Fields, Kind, Moved, Observation, Shape, Value};
use crate::systems::wire;

pub(super) const CONFIRMED: &str = "confirmed";
/// The second spelling is the vendor's own, in its example of a moved booking.
const NEW_IDS: &[&str] = &["/new_event_id", "/new_evnet_id"];

/// The booking of a webhook. `cancelled`: what its type says.
pub(super) fn told(body: &Json, cancelled: bool, team: &Team, ours: impl Fn(Millis) -> Millis) -> Option<Observation> {
    let event = &body["event"];
    let mut fields = times(event);
    fields.insert(Field::STATUS, Value::text(if cancelled { CANCELLED } else { CONFIRMED }));
    fields.extend(calendar(event, body["calendar_url_path"].as_str(), team));
    // What a guest booked is called as the calendar; only webhooks show it.
    fields.extend(Some((Field::TITLE, wire::text(&body["calendar_name"]))).filter(|(_, title)| !title.is_blank()));
    let version = wire::instant(&event[moment(cancelled)]);
    let class = version.map_or(Class::Claim, Class::Versioned);
    let whole =
        [Field::START, Field::END, Field::CALENDAR, Field::TITLE].iter().all(|field| fields.contains_key(field));
    let shape = if whole { Shape::Full(fields) } else { Shape::Partial(fields) };
    Some(Observation {
        at: version.map(&ours),
        version,
        moved: moved(event, cancelled),
        guest: guests::read(event, team, &ours).map(Box::new),
        ..Observation::new(Kind::Appointment, wire::id(&event["id"])?, class, shape)
    })
}

/// The booking that `GET /events/{id}` shows. Partial, although it is whole: the name of its calendar is not in it, and that is
/// not to say that the title is blank.
pub(super) fn read(event: &Json, team: &Team, ours: impl Fn(Millis) -> Millis) -> Option<Observation> {
    let status = status(&event["status"])?;
    let mut fields = times(event);
    let cancelled = status == CANCELLED;
    fields.insert(Field::STATUS, Value::text(status));
    fields.extend(calendar(event, None, team));
    let version = wire::instant(&event[moment(cancelled)]);
    Some(Observation {
        at: version.map(&ours),
        version,
        moved: moved(event, cancelled),
        guest: guests::read(event, team, &ours).map(Box::new),
        ..Observation::new(Kind::Appointment, wire::id(&event["id"])?, Class::Current, Shape::Partial(fields))
    })
}

/// An item of a calendar's list: id, status and times only.
pub(super) fn listed(item: &Json, calendar: &str) -> Option<Observation> {
    let mut fields = times(item);
    fields.insert(Field::STATUS, Value::text(status(&item["status"])?));
    fields.insert(Field::CALENDAR, Value::text(calendar));
    Some(Observation::new(Kind::Appointment, wire::id(&item["id"])?, Class::Claim, Shape::Partial(fields)))
}

/// The key of the instant that is the version.
pub(super) const fn moment(cancelled: bool) -> &'static str {
    if cancelled { "canceled_at" } else { "created_at" }
}

/// The API's word for it; the numbers are those of webhooks, should the API show one.
fn status(json: &Json) -> Option<&'static str> {
    let status = wire::text(json);
    match status.as_text()?.to_lowercase().as_str() {
        CONFIRMED | "1" => Some(CONFIRMED),
        "2" | "3" => Some(CANCELLED),
        word => word.starts_with("cancel").then_some(CANCELLED),
    }
}

/// The two instants; where one is missing in UTC, the calendar's local time says the same with its offset.
fn times(event: &Json) -> Fields {
    let read = |(field, utc, local): (Field, &str, &str)| {
        let local = || event[local].as_str().and_then(Millis::parse);
        Some((field, Value::Instant(wire::instant(&event[utc]).or_else(local)?)))
    };
    let keys =
        [(Field::START, "start_datetime", "local_start_datetime"), (Field::END, "end_datetime", "local_end_datetime")];
    keys.into_iter().filter_map(read).collect()
}

/// The name of the row of the booking's calendar, by its id or by its url path. Nothing, if there is no such row and the url
/// path is not known either: the same calendar may have a row by its path.
fn calendar(event: &Json, path: Option<&str>, team: &Team) -> Option<(Field, Value)> {
    let id = event["calendar_id"].as_str();
    let in_url = || event["url"].as_str()?.split(['?', '#']).next()?.trim_end_matches('/').rsplit('/').next();
    let path = path.or_else(in_url);
    let named = |given: Option<&str>, known: &Option<String>| given.is_some() && known.as_deref() == given;
    let row = team.calendars.iter().find(|row| named(id, &row.timerex) || named(path, &row.timerex_url_path));
    let name = row.map(|row| row.name.clone()).or_else(|| path.map(|path| format!("timerex:{path}")))?;
    Some((Field::CALENDAR, Value::text(name)))
}

fn moved(event: &Json, cancelled: bool) -> Option<Moved> {
    if cancelled {
        return wire::id(wire::first(event, NEW_IDS)).map(Moved::To);
    }
    wire::id(&event["old_event_id"]).map(Moved::From)
}
