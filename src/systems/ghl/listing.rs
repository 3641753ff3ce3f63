//! Listing what changed in GHL, a page at a time, for reconciling. All of it is claims.
//!
//! | kind | how | gap |
//! | --- | --- | --- |
//! | contact | `POST /contacts/search` by `dateUpdated` | the search index is seconds behind |
//! | task | `POST /locations/{id}/tasks/search` | no filter by time: all tasks, each time |
//! | note | none | GHL lists notes per contact only; a page is always empty |
//! | appointment | `GET /calendars/events` per mapped calendar | 30 days back, 180 days ahead; unmapped calendars unseen |

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::api::unasked;
use super::target::TASKS_PER_PAGE;
use super::{Ghl, wire};
use crate::clock::Millis;
use crate::model::{Class, Kind, Observation};
use crate::systems::{Page, SystemError};

const CONTACTS_PER_PAGE: usize = 100;
const LOOK_BACK: Duration = Duration::from_hours(30 * 24);
const LOOK_AHEAD: Duration = Duration::from_hours(180 * 24);

impl Ghl {
    pub(super) async fn list_changed(
        &self,
        kind: Kind,
        since: Option<Millis>,
        page: Option<&str>,
    ) -> Result<Page, SystemError> {
        let since = since.map(|since| self.api.caller.offset().to_theirs(since));
        match kind {
            Kind::Contact => self.changed_contacts(since, page).await,
            Kind::Task => self.tasks(None, page).await,
            Kind::Note => Ok(Page { observations: Vec::new(), next: None }),
            Kind::Appointment => self.changed_appointments(since, page).await,
        }
    }

    /// Oldest change first. The page's name is the `searchAfter` of the last contact on the page before.
    async fn changed_contacts(&self, since: Option<Millis>, page: Option<&str>) -> Result<Page, SystemError> {
        let mut body = json!({
            "locationId": self.api.location,
            "pageLimit": CONTACTS_PER_PAGE,
            "sort": [{ "field": "dateUpdated", "direction": "asc" }],
        });
        if let Some(since) = since {
            let range = json!({ "gte": since.rfc3339() });
            body["filters"] = json!([{ "field": "dateUpdated", "operator": "range", "value": range }]);
        }
        if let Some(page) = page {
            body["searchAfter"] = serde_json::from_str(page).map_err(|_| unasked("this is no page of contacts"))?;
        }
        let (status, body) = self.api.look(Kind::Contact, Method::POST, "/contacts/search", Some(body)).await?;
        let contacts = wire::listed(Kind::Contact, &body);
        let more = contacts.len() == CONTACTS_PER_PAGE;
        let after = contacts.last().map(|last| &last["searchAfter"]).filter(|after| more && after.is_array());
        Ok(Page { observations: self.claims(Kind::Contact, status, contacts)?, next: after.map(ToString::to_string) })
    }

    /// All tasks, or those of one state. The page's name is how many tasks to skip.
    pub(super) async fn tasks(&self, completed: Option<bool>, page: Option<&str>) -> Result<Page, SystemError> {
        let skip: usize = number(page)?;
        let tasks = self.api.tasks(completed, TASKS_PER_PAGE, skip).await?;
        let next = (tasks.len() == TASKS_PER_PAGE).then(|| (skip + TASKS_PER_PAGE).to_string());
        Ok(Page { observations: self.claims(Kind::Task, 200, &tasks)?, next })
    }

    /// The page's name is the place of its calendar in the table.
    async fn changed_appointments(&self, since: Option<Millis>, page: Option<&str>) -> Result<Page, SystemError> {
        let (at, calendars) = (number(page)?, self.mapping.calendar_ids());
        let Some(calendar) = calendars.get(at) else { return Ok(Page { observations: Vec::new(), next: None }) };
        let now = self.api.caller.offset().to_theirs(self.api.caller.offset().now());
        let (status, mut listed) = self.api.appointments(calendar, (now - LOOK_BACK).0, (now + LOOK_AHEAD).0).await?;
        listed.retain(|one| since.is_none_or(|since| wire::updated(one).is_none_or(|updated| updated >= since)));
        let next = (at + 1 < calendars.len()).then(|| (at + 1).to_string());
        Ok(Page { observations: self.claims(Kind::Appointment, status, &listed)?, next })
    }

    fn claims(&self, kind: Kind, status: u16, objects: &[Value]) -> Result<Vec<Observation>, SystemError> {
        let standing = objects.iter().filter(|object| !wire::deleted(object));
        standing.map(|object| self.observed(kind, status, object, Class::Claim)).collect()
    }
}

fn number(page: Option<&str>) -> Result<usize, SystemError> {
    page.map_or(Ok(0), |page| page.parse().map_err(|_| unasked("this is no page")))
}
