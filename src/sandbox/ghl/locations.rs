//! A location as a whole: its record, and the search over the tasks of all its contacts.
//!
//! In: a location's id. Out: answers; nothing changes here.

use serde_json::{Value, json};

use super::Ghl;
use super::answers::{Answer, Refusal};
use super::attached;
use super::fields::{Fields, flag, oldest_first, text, texts};
use super::routes::Call;
use super::settings::LocationSettings;
use super::tasks::Tasks;
use crate::sandbox::Turn;

const TASKS_A_PAGE: usize = 25;

impl Ghl {
    /// The location, or a 400.
    pub(super) fn location(&self, id: &str) -> Result<&LocationSettings, Refusal> {
        self.settings.location(id).ok_or_else(|| Refusal::unknown("Location", id))
    }
}

pub(super) fn get(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    let location = ghl.location(&call.ids[0])?;
    Ok(json!({"location": {
        "id": location.id,
        "name": location.name,
        "timezone": location.timezone,
        "settings": {"allowDuplicateContact": location.allow_duplicates},
    }}))
}

/// Finds tasks by contact, assignee, state, business of their contact and words of their title; shows them with their
/// contact.
pub(super) fn search_tasks(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    ghl.location(&call.ids[0])?;
    let (contacts, users) = (texts(&call.body, "contactId"), texts(&call.body, "assignedTo"));
    let (words, business) = (text(&call.body, "query").to_lowercase(), text(&call.body, "businessId"));
    let of_business = |task: &Fields| {
        let contact = ghl.contacts.get(text(task, "contactId"));
        contact.is_some_and(|contact| text(contact, "businessId") == business)
    };
    let wanted = |task: &Fields| {
        text(task, "locationId") == call.ids[0]
            && (contacts.is_empty() || contacts.iter().any(|contact| contact == text(task, "contactId")))
            && (users.is_empty() || users.iter().any(|user| user == text(task, "assignedTo")))
            && (!call.body.contains_key("completed") || flag(task, "completed") == flag(&call.body, "completed"))
            && (business.is_empty() || of_business(task))
            && text(task, "title").to_lowercase().contains(&words)
    };
    let count = |key: &str, usual: usize| {
        call.body.get(key).and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok()).unwrap_or(usual)
    };
    let found = oldest_first(&ghl.tasks, wanted).into_iter().skip(count("skip", 0)).take(count("limit", TASKS_A_PAGE));
    Ok(json!({"tasks": found.map(attached::read::<Tasks>).collect::<Vec<Fields>>()}))
}
