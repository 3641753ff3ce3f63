//! Calendars: read only; they come from the settings.
//!
//! In: a calendar or a location. Out: the keys of the vendor's calendar that a caller needs.

use serde_json::{Value, json};

use super::Ghl;
use super::answers::{Answer, Refusal};
use super::routes::Call;
use super::settings::CalendarSettings;
use crate::sandbox::Turn;

pub(super) fn list(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    ghl.location(&call.query["locationId"])?;
    let group = call.query.get("groupId");
    let listed = |calendar: &&CalendarSettings| {
        calendar.location == call.query["locationId"] && group.is_none_or(|group| *group == calendar.group)
    };
    let calendars: Vec<Value> = ghl.settings.calendars.iter().filter(listed).map(shown).collect();
    Ok(json!({"calendars": calendars}))
}

pub(super) fn get(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    let calendar = ghl.settings.calendar(&call.ids[0]).ok_or_else(|| Refusal::unknown("Calendar", &call.ids[0]))?;
    Ok(json!({"calendar": shown(calendar)}))
}

fn shown(calendar: &CalendarSettings) -> Value {
    json!({
        "id": calendar.id,
        "locationId": calendar.location,
        "groupId": calendar.group,
        "name": calendar.name,
        "calendarType": "round_robin",
        "isActive": true,
        "teamMembers": [{"userId": calendar.user, "priority": 0.5, "isPrimary": true}],
        "slotDuration": 30,
        "slotDurationUnit": "mins",
        "autoConfirm": true,
    })
}
