//! Listing what changed in GHL, a page at a time, for reconciling. All of it is claims.
//!
//! | kind | how | gap |
//! | --- | --- | --- |
//! | contact | `POST /contacts/search` by `dateUpdated` | the search index is seconds behind |
//! | task | `POST /locations/{id}/tasks/search`, first open, then completed | no filter by time: all tasks, each time |
//! | note | `GET /contacts/{id}/notes` per contact of the search | a call a contact: only where everything is listed |
//! | appointment | `GET /calendars/events` per mapped calendar | 30 days back, 180 days ahead; unmapped calendars unseen |
//!
//! A page is named by where it starts, so that a run that was stopped goes on from there, also with another configuration: it
//! may see an object twice. Only tasks are counted, as their search has no better place: one that moves up because others are
//! deleted meanwhile is seen by the next listing. Whether a search that names no state shows completed tasks is not documented,
//! so each state is searched. The deprecated `GET /contacts/`, which v3 drops, is not needed.
//!
//! To list the notes of N contacts takes N calls, and one more for each hundred contacts; each is a page of its own, so that it
//! waits for leave by itself and stands back behind the lanes. A search of changed contacts would not do: whether a note
//! changes its contact's `dateUpdated` is not documented.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::api::{self, garbled, unasked};
use super::operations::{CONTACTS_SEARCH, NOTES_LIST};
use super::target::TASKS_PER_PAGE;
use super::{Ghl, wire};
use crate::clock::Millis;
use crate::model::{Class, ExternalId, Field, Kind, Link, Observation, Shape, System};
use crate::systems::{Page, Shown, SystemError};

const CONTACTS_PER_PAGE: usize = 100;
const LOOK_BACK: Duration = Duration::from_hours(30 * 24);
const LOOK_AHEAD: Duration = Duration::from_hours(180 * 24);

/// What comes before the count in the name of a page of completed tasks.
const COMPLETED: &str = "completed/";

/// Where the listing of notes stands: the contacts whose notes come next, and where the search goes on after them.
type Round = (Vec<ExternalId>, Option<Value>);

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
            Kind::Task => self.all_tasks(page).await,
            Kind::Note if since.is_some() => Ok(Page::empty()),
            Kind::Note => self.all_notes(page).await,
            Kind::Appointment => self.changed_appointments(since, page).await,
        }
    }

    /// What [`Self::list_changed`] shows of everything.
    pub(super) fn in_lists(&self, link: &Link) -> Shown {
        let calendar = &link.known(&Field::CALENDAR).value;
        let is_mapped = |name: &str| self.mapping.mapped_calendars().any(|(row, _)| row == name);
        match link.kind {
            Kind::Contact | Kind::Task => Shown::Always,
            Kind::Note => Shown::Below,
            Kind::Appointment if !calendar.as_text().is_none_or(is_mapped) => Shown::Outside,
            Kind::Appointment => Shown::around(self.api.caller.offset().now(), link, LOOK_BACK, LOOK_AHEAD),
        }
    }

    /// Oldest change first. The page's name is the `searchAfter` of the last contact on the page before.
    async fn changed_contacts(&self, since: Option<Millis>, page: Option<&str>) -> Result<Page, SystemError> {
        let after = page.map(serde_json::from_str).transpose().map_err(|_| unasked("this is no page of contacts"))?;
        let (status, contacts, after) = self.contacts(since, after).await?;
        let observations = self.claims(Kind::Contact, status, &contacts);
        Ok(Page { observations, next: after.map(|after| after.to_string()), ..Page::empty() })
    }

    /// Contacts after a `searchAfter`; also that of the next page, if there may be one.
    async fn contacts(
        &self,
        since: Option<Millis>,
        after: Option<Value>,
    ) -> Result<(u16, Vec<Value>, Option<Value>), SystemError> {
        let mut body = json!({
            "pageLimit": CONTACTS_PER_PAGE,
            "sort": [{ "field": "dateUpdated", "direction": "asc" }],
        });
        if let Some(since) = since {
            let range = json!({ "gte": since.rfc3339() });
            body["filters"] = json!([{ "field": "dateUpdated", "operator": "range", "value": range }]);
        }
        if let Some(after) = after {
            body["searchAfter"] = after;
        }
        let (status, body) = self.api.call(CONTACTS_SEARCH, &[], &[], Some(body)).await?;
        let contacts = wire::listed(Kind::Contact, &body);
        let mut next = None;
        if let Some(last) = contacts.last().filter(|_| contacts.len() >= CONTACTS_PER_PAGE) {
            // Without it the rest of the list could not be reached, and would seem not to be there.
            let after = Some(&last["searchAfter"]).filter(|after| after.is_array()).cloned();
            next = Some(after.ok_or_else(|| garbled(status, "a full page of contacts has no `searchAfter`"))?);
        }
        Ok((status, contacts.to_vec(), next))
    }

    /// A contact's notes at a time. A page of contacts shows nothing itself: the next page's name carries their ids.
    async fn all_notes(&self, page: Option<&str>) -> Result<Page, SystemError> {
        let round = page.map_or_else(|| Ok(Round::default()), serde_json::from_str);
        let (left, after) = round.map_err(|_| unasked("this is no page of notes"))?;
        let Some((contact, left)) = left.split_first() else {
            let (status, contacts, after) = self.contacts(None, after).await?;
            let ids = self.claims(Kind::Contact, status, &contacts).into_iter().map(|one| one.id);
            return Ok(Page { next: round_on((ids.collect(), after)), ..Page::empty() });
        };
        let next = round_on((left.to_vec(), after));
        let listed = self.api.call(NOTES_LIST, &api::ids(Kind::Note, None, Some(contact)), &[], None).await;
        let (status, body) = match listed {
            // Deleted meanwhile: that is found where contacts are listed, and says nothing of its notes elsewhere.
            Err(SystemError::Gone { .. }) => return Ok(Page { next, ..Page::empty() }),
            listed => listed?,
        };
        let mut observations = self.claims(Kind::Note, status, wire::listed(Kind::Note, &body));
        for note in &mut observations {
            note.parent.get_or_insert_with(|| contact.clone());
        }
        Ok(Page { observations, next, of: Some(contact.clone()) })
    }

    /// The open tasks, then the completed ones.
    async fn all_tasks(&self, page: Option<&str>) -> Result<Page, SystemError> {
        let completed = |count: &str| format!("{COMPLETED}{count}");
        if let Some(page) = page.and_then(|page| page.strip_prefix(COMPLETED)) {
            let listed = self.tasks(true, Some(page)).await?;
            return Ok(Page { next: listed.next.as_deref().map(completed), ..listed });
        }
        let listed = self.tasks(false, page).await?;
        Ok(Page { next: listed.next.or_else(|| Some(completed("0"))), ..listed })
    }

    /// The tasks of one state. The page's name is how many tasks to skip.
    pub(super) async fn tasks(&self, completed: bool, page: Option<&str>) -> Result<Page, SystemError> {
        let skip: usize = number(page)?;
        let tasks = self.api.tasks(Some(completed), TASKS_PER_PAGE, skip).await?;
        let next = (tasks.len() == TASKS_PER_PAGE).then(|| (skip + TASKS_PER_PAGE).to_string());
        Ok(Page { observations: self.claims(Kind::Task, 200, &tasks), next, ..Page::empty() })
    }

    /// The page's name is its calendar's id; calendars are listed in the order of their ids.
    async fn changed_appointments(&self, since: Option<Millis>, page: Option<&str>) -> Result<Page, SystemError> {
        let calendars: BTreeSet<&str> = self.mapping.mapped_calendars().map(|(_, id)| id).collect();
        let mut left = calendars.range(page.unwrap_or_default()..);
        let Some(calendar) = left.next() else { return Ok(Page::empty()) };
        let now = self.api.caller.offset().to_theirs(self.api.caller.offset().now());
        let (status, mut listed) = self.api.appointments(calendar, (now - LOOK_BACK).0, (now + LOOK_AHEAD).0).await?;
        listed.retain(|one| since.is_none_or(|since| wire::updated(one).is_none_or(|updated| updated >= since)));
        let next = left.next().map(|id| (*id).to_owned());
        Ok(Page { observations: self.claims(Kind::Appointment, status, &listed), next, ..Page::empty() })
    }

    fn claims(&self, kind: Kind, status: u16, objects: &[Value]) -> Vec<Observation> {
        let standing = objects.iter().filter(|object| !wire::deleted(object));
        standing.filter_map(|object| self.claim(kind, status, object)).collect()
    }

    /// One row never stops its page. What cannot be read is a hint: the object is read by itself, and stands out alone. What
    /// has no id, or belongs to another location, is left out.
    fn claim(&self, kind: Kind, status: u16, object: &Value) -> Option<Observation> {
        let error = match self.observed(kind, status, object, Class::Claim) {
            Ok(seen) => return Some(seen),
            Err(error) => error,
        };
        tracing::debug!(system = %System::Ghl, %kind, %error, "a listed object could not be read");
        let id = wire::id(object).filter(|_| matches!(error, SystemError::Garbled { .. }))?;
        let hint = Observation::new(kind, id, Class::Claim, Shape::Hint);
        Some(Observation { parent: wire::parent(kind, object), ..hint })
    }
}

/// The name of the page that a round of the contacts goes on with; `None`: it is over.
fn round_on(round: Round) -> Option<String> {
    let over = round.0.is_empty() && round.1.is_none();
    (!over).then(|| json!(round).to_string())
}

fn number(page: Option<&str>) -> Result<usize, SystemError> {
    page.map_or(Ok(0), |page| page.parse().map_err(|_| unasked("this is no page")))
}
