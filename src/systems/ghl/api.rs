//! Requests to GHL's API: routes, versions, and what its refusals mean.
//!
//! In: what to ask. Out: status and JSON, or a [`SystemError`]. Base URL `https://services.leadconnectorhq.com`; the
//! `Version` header differs between calendars and all the rest. What the JSON says is read in `map`.

use http::Method;
use serde_json::{Value, json};

use super::wire;
use crate::model::{ExternalId, Kind, Step, System};
use crate::systems::SystemError;
use crate::systems::call::{Caller, Reply, encode};

const SYSTEM: System = System::Ghl;

/// Status and JSON of a success.
pub(super) type Answered = Result<(u16, Value), SystemError>;

/// GHL's API for one location.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) caller: Caller,
    pub(super) location: String,
    pub(super) contacts_version: String,
    pub(super) calendars_version: String,
}

impl Api {
    /// A read (also one that is a POST).
    pub(super) async fn look(&self, kind: Kind, method: Method, path: &str, body: Option<Value>) -> Answered {
        self.ask(kind, method, path, body, false).await
    }

    /// A write.
    pub(super) async fn write(&self, kind: Kind, method: Method, path: &str, body: Option<Value>) -> Answered {
        self.ask(kind, method, path, body, true).await
    }

    async fn ask(&self, kind: Kind, method: Method, path: &str, body: Option<Value>, writes: bool) -> Answered {
        let version = if kind == Kind::Appointment { &self.calendars_version } else { &self.contacts_version };
        let creates = method == Method::POST;
        let reply = self.caller.ask(method, path, &[("version", version)], body, writes).await?;
        judge(reply, creates)
    }

    /// The contact ids that a duplicate search by one key finds: none or one.
    pub(super) async fn duplicate(&self, key: &str, value: &str) -> Result<Option<ExternalId>, SystemError> {
        let path = format!("/contacts/search/duplicate?locationId={}&{key}={}", encode(&self.location), encode(value));
        let (_, body) = self.look(Kind::Contact, Method::GET, &path, None).await?;
        Ok(wire::id(&body["contact"]))
    }

    /// The appointments of a calendar that lie between two instants (epoch milliseconds, GHL's clock).
    pub(super) async fn appointments(
        &self,
        calendar: &str,
        from: i64,
        to: i64,
    ) -> Result<(u16, Vec<Value>), SystemError> {
        let path = format!(
            "/calendars/events?locationId={}&calendarId={}&startTime={from}&endTime={to}",
            encode(&self.location),
            encode(calendar)
        );
        let (status, body) = self.look(Kind::Appointment, Method::GET, &path, None).await?;
        Ok((status, wire::listed(Kind::Appointment, &body).to_vec()))
    }

    /// A page of all tasks of the location, or of those of one state. It has no filter by time.
    pub(super) async fn tasks(
        &self,
        completed: Option<bool>,
        limit: usize,
        skip: usize,
    ) -> Result<Vec<Value>, SystemError> {
        let path = format!("/locations/{}/tasks/search", encode(&self.location));
        let mut body = json!({ "limit": limit, "skip": skip });
        if let Some(completed) = completed {
            body["completed"] = completed.into();
        }
        let (_, body) = self.look(Kind::Task, Method::POST, &path, Some(body)).await?;
        Ok(wire::listed(Kind::Task, &body).to_vec())
    }
}

/// Where the objects of a kind are made and listed. Tasks and notes are addressed through their contact.
pub(super) fn shelf(kind: Kind, parent: Option<&ExternalId>) -> Result<String, SystemError> {
    let below = |name: &str| {
        let parent = parent.ok_or_else(|| orphan(kind))?;
        Ok(format!("/contacts/{}/{name}", encode(parent.as_str())))
    };
    match kind {
        Kind::Contact => Ok("/contacts/".to_owned()),
        Kind::Task => below("tasks"),
        Kind::Note => below("notes"),
        Kind::Appointment => Ok("/calendars/events/appointments".to_owned()),
    }
}

/// Where one object is.
pub(super) fn place(kind: Kind, id: &ExternalId, parent: Option<&ExternalId>) -> Result<String, SystemError> {
    let shelf = shelf(kind, parent)?;
    Ok(format!("{}/{}", shelf.trim_end_matches('/'), encode(id.as_str())))
}

/// Where the object of a step is.
pub(super) fn place_of(step: &Step) -> Result<String, SystemError> {
    place(step.kind, id_of(step)?, step.parent.as_ref())
}

/// Where the appointment of a step is deleted: not where it is read and updated.
pub(super) fn deletion_of(step: &Step) -> Result<String, SystemError> {
    Ok(format!("/calendars/events/{}", encode(id_of(step)?.as_str())))
}

fn id_of(step: &Step) -> Result<&ExternalId, SystemError> {
    step.id.as_ref().ok_or_else(|| unasked("the step names no object"))
}

/// The contact of an object is not known, so that it cannot be addressed yet.
pub(super) fn orphan(kind: Kind) -> SystemError {
    unasked(format!("a {kind} is addressed through its contact, which is not known"))
}

/// Nothing was sent.
pub(super) fn unasked(reason: impl Into<String>) -> SystemError {
    SystemError::Unavailable { system: SYSTEM, status: None, reason: reason.into() }
}

/// The answer is a success and does not say what it should.
pub(super) fn garbled(status: u16, reason: impl Into<String>) -> SystemError {
    SystemError::Garbled { system: SYSTEM, status, reason: reason.into() }
}

/// What a 4xx means at GHL: an unknown object is 400 (`Contact with id X not found`), an unknown route is 404, and a
/// contact that would double another one is 400 with the other's id.
fn judge(reply: Reply, creates: bool) -> Answered {
    let (status, message) = (reply.status, reply.message());
    let existing = reply.body["meta"]["contactId"].as_str().filter(|id| !id.is_empty());
    if let Some(existing) = existing.filter(|_| status == 400 && creates) {
        return Err(SystemError::Exists { system: SYSTEM, status, existing: ExternalId::new(existing) });
    }
    if status == 400 && message.to_lowercase().contains("not found") {
        return Err(SystemError::Gone { system: SYSTEM, status });
    }
    if status == 404 && message.starts_with("Cannot ") {
        let reason = format!("{message}: check base_url");
        return Err(SystemError::Refused { system: SYSTEM, status, reason });
    }
    reply.success(SYSTEM)
}
