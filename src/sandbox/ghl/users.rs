//! Users: those who take the appointments of the calendars in the settings; read only.
//!
//! In: a location, a company or a user's id. Out: the keys of the vendor's user that a caller needs.

use serde_json::{Value, json};

use super::Ghl;
use super::answers::{Answer, Refusal};
use super::routes::Call;
use crate::sandbox::Turn;

const A_PAGE: usize = 25;

pub(super) fn list(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    Ok(json!({"users": ghl.users(call.query.get("locationId"))?}))
}

/// Finds users by words of their name or address.
pub(super) fn search(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    let words = call.asked("query").to_lowercase();
    let said = |user: &Value, key: &str| user[key].as_str().is_some_and(|text| text.to_lowercase().contains(&words));
    let mut found = ghl.users(call.query.get("locationId"))?;
    found.retain(|user| said(user, "name") || said(user, "email"));
    let count = found.len();
    let page = found.into_iter().skip(call.number("skip", 0)).take(call.number("limit", A_PAGE));
    Ok(json!({"users": page.collect::<Vec<_>>(), "count": count}))
}

pub(super) fn get(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    let found = ghl.users(None)?.into_iter().find(|user| user["id"] == call.ids[0].as_str());
    found.ok_or_else(|| Refusal::unknown("User", &call.ids[0]))
}

impl Ghl {
    /// The users of a location, or of all.
    fn users(&self, location: Option<&String>) -> Result<Vec<Value>, Refusal> {
        location.map_or(Ok(()), |id| self.location(id).map(|_| ()))?;
        let mut users: Vec<Value> = Vec::new();
        let wanted = |calendar: &&super::CalendarSettings| location.is_none_or(|id| *id == calendar.location);
        for calendar in self.settings.calendars.iter().filter(wanted) {
            if users.iter().all(|user| user["id"] != calendar.user.as_str()) {
                users.push(json!({
                    "id": calendar.user,
                    "name": format!("Sandbox {}", calendar.user),
                    "firstName": "Sandbox",
                    "lastName": calendar.user,
                    "email": format!("{}@example.com", calendar.user.to_lowercase()),
                    "phone": "",
                    "extension": "",
                    "roles": {"type": "account", "role": "admin", "locationIds": [calendar.location]},
                }));
            }
        }
        Ok(users)
    }
}
