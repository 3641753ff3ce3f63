//! Free slots, and the blocked ones: when a calendar can be booked by a caller that does not waive the check.
//!
//! In: a calendar and a span of time; blocks to make or change. Out: starts of free slots with the offset of a zone.
//! The calendars are open on weekdays from nine to five in the location's zone, in slots of half an hour; a slot is free
//! if it lies ahead and neither a live appointment nor a block of the calendar overlaps it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::answers::{Answer, Refusal};
use super::fields::{Fields, apply, fresh_id, only, pick, text};
use super::routes::Call;
use super::settings::CalendarSettings;
use super::{Ghl, appointments, times};
use crate::clock::Millis;
use crate::sandbox::Turn;

/// How long a slot is.
pub(super) const SLOT: Duration = Duration::from_mins(30);
const LONGEST: Duration = Duration::from_hours(31 * 24);
const BLOCK: &[&str] = &["id", "locationId", "title", "startTime", "endTime", "calendarId", "assignedUserId"];
const BLOCK_WRITABLE: &[&str] = &["title", "calendarId", "assignedUserId", "startTime", "endTime"];

/// `GET /calendars/{calendarId}/free-slots`: by day, in the asked zone or the location's.
pub(super) fn free(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let calendar = ghl.settings.calendar(&call.ids[0]).ok_or_else(|| Refusal::unknown("Calendar", &call.ids[0]))?;
    let at = |key: &str| Millis(call.asked(key).parse().unwrap_or_default());
    let (from, to) = (at("startDate"), at("endDate"));
    if to < from || to.since(from) > LONGEST {
        return Err(Refusal::bad_request("Date range cannot be more than 31 days"));
    }
    let own = ghl.zone(&calendar.location);
    let zone = call.query.get("timezone").unwrap_or(&own);
    let mut days: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for start in ghl.free_slots(calendar, from, to, turn.now) {
        let shown = times::with_offset(start, zone);
        days.entry(shown.chars().take(10).collect()).or_default().push(shown);
    }
    Ok(days.into_iter().map(|(day, slots)| (day, json!({"slots": slots}))).collect())
}

pub(super) fn post_block(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let id = fresh_id(turn.rng);
    let now = turn.now.rfc3339();
    let start = json!({
        "id": id, "locationId": text(&call.body, "locationId"), "dateAdded": now, "dateUpdated": now,
        "title": "", "contactId": "", "appointmentStatus": "confirmed", "users": [],
    });
    let Value::Object(block) = start else { return Err(Refusal::bad_request("Bad Request")) };
    keep_block(ghl, block, call, turn)
}

pub(super) fn put_block(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let held = ghl.blocks.get(&call.ids[0]).cloned().ok_or_else(|| Refusal::unknown("Event", &call.ids[0]))?;
    keep_block(ghl, held, call, turn)
}

/// The blocks of a calendar or a user that touch a span of time.
pub(super) fn list_blocks(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    Ok(json!({"events": appointments::listed(&ghl.blocks, call)?}))
}

fn keep_block(ghl: &mut Ghl, mut block: Fields, call: &Call, turn: &Turn<'_>) -> Answer {
    apply(&mut block, only(&call.body, BLOCK_WRITABLE));
    let calendar = ghl.calendar_in(text(&block, "locationId"), text(&block, "calendarId"))?.clone();
    let zone = ghl.zone(&calendar.location);
    for key in ["startTime", "endTime"] {
        let at = Millis::parse(text(&block, key))
            .ok_or_else(|| Refusal::unprocessable(vec![format!("{key} must be a valid ISO 8601 date string")]))?;
        block.insert(key.to_owned(), times::with_offset(at, &zone).into());
    }
    block.insert("groupId".to_owned(), calendar.group.into());
    block.insert("dateUpdated".to_owned(), turn.now.rfc3339().into());
    block.entry("assignedUserId").or_insert_with(|| calendar.user.into());
    let mut shown = pick(&block, BLOCK);
    shown.entry("title").or_insert_with(|| "".into());
    ghl.blocks.insert(text(&block, "id").to_owned(), block);
    Ok(Value::Object(shown))
}

impl Ghl {
    /// The calendar, if it is one of the location.
    pub(super) fn calendar_in(&self, location: &str, id: &str) -> Result<&CalendarSettings, Refusal> {
        let held = self.settings.calendar(id).filter(|calendar| calendar.location == location);
        held.ok_or_else(|| Refusal::unknown("Calendar", id))
    }

    /// The time zone of a location.
    pub(super) fn zone(&self, location: &str) -> String {
        self.settings.location(location).map_or_else(String::new, |location| location.timezone.clone())
    }

    fn free_slots(&self, calendar: &CalendarSettings, from: Millis, to: Millis, now: Millis) -> Vec<Millis> {
        let mut slots = times::half_hours(from.max(now), to, &self.zone(&calendar.location));
        slots.retain(|start| !self.taken(&calendar.id, *start, *start + SLOT, ""));
        slots
    }

    /// Whether a booking fits: its start must be written as the slot is shown, offset included, and nothing else may
    /// overlap it.
    pub(super) fn is_bookable(&self, calendar: &str, written: &str, end: Millis, own: &str, now: Millis) -> bool {
        let (Some(settings), Some(start)) = (self.settings.calendar(calendar), Millis::parse(written)) else {
            return false;
        };
        let zone = self.zone(&settings.location);
        let open = times::half_hours(start.max(now), start, &zone).contains(&start);
        open && times::with_offset(start, &zone) == written && !self.taken(calendar, start, end, own)
    }

    /// Whether another live appointment or a block of the calendar overlaps the span.
    fn taken(&self, calendar: &str, start: Millis, end: Millis, own: &str) -> bool {
        self.appointments.values().chain(self.blocks.values()).any(|other| {
            let (from, to) = appointments::span(other);
            text(other, "calendarId") == calendar
                && text(other, "id") != own
                && text(other, "appointmentStatus") != "cancelled"
                && from < end
                && to > start
        })
    }
}
