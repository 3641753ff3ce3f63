//! Requests to GHL's API: an operation of the table is filled in, sent, and its refusal understood.
//!
//! In: an operation, ids, query and body. Out: status and JSON, or a [`SystemError`]. Base URL
//! `https://services.leadconnectorhq.com`; each family of operations has its `Version` header. What is known not to be granted
//! is not sent. What the JSON says is read in `map`.

use http::Method;
use serde_json::{Value, json};

use super::operations::{self, Family, LOCATION, Located, Operation};
use super::wire;
use crate::model::{ExternalId, Kind, System};
use crate::systems::SystemError;
use crate::systems::call::{Caller, Reply, encode};

const SYSTEM: System = System::Ghl;

/// The version that renamed keys and dropped the plain list of contacts.
pub(super) const V3: &str = "v3";

/// Status and JSON of a success.
pub(super) type Answered = Result<(u16, Value), SystemError>;

/// Names and values for a path or a query.
pub(super) type Pairs<'a> = &'a [(&'a str, &'a str)];

/// What a 401 says when the owner granted the token less than the operation needs.
const NOT_GRANTED: &str = "not authorized for this scope";

/// What GHL says of a token that is none of this location, and what helps. Renewing the token does not.
const OTHER_TOKENS: &[(&str, &str)] = &[
    ("this authclass type is not allowed", "the token is an agency's: this needs one of the location itself"),
    ("user type mismatch", "the token is an agency's: this needs one of the location itself"),
    ("does not have access to this location", "the token is another location's: check `location` and `connection`"),
];

/// The flags of an answer that tell whether it was done: misspelt in v2, right in v3, and that of bulk calls.
const DONE: [&str; 3] = ["succeded", "succeeded", "success"];

/// The `Version` header of each family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) contacts: String,
    pub(super) calendars: String,
    pub(super) locations: String,
    pub(super) businesses: String,
}

impl Versions {
    pub(super) fn of(&self, family: Family) -> &str {
        match family {
            Family::Contacts => &self.contacts,
            Family::Calendars => &self.calendars,
            Family::Locations => &self.locations,
            Family::Businesses => &self.businesses,
        }
    }
}

/// GHL's API for one location.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) caller: Caller,
    pub(super) location: String,
    pub(super) versions: Versions,
}

impl Api {
    /// One operation. `ids` fill its path in (others are left); the location goes where the operation names it.
    pub(super) async fn call(
        &self,
        operation: &Operation,
        ids: Pairs<'_>,
        query: Pairs<'_>,
        body: Option<Value>,
    ) -> Answered {
        self.caller.granted(operation.scope)?;
        let path = self.path(operation, ids, query)?;
        let body = self.body(operation, body);
        let headers = [("version", self.versions.of(operation.family))];
        let asked = self.caller.ask(operation.method(), &path, &headers, body, operation.writes).await;
        judge(operation, asked.map_err(|error| self.refused(operation, error))?)
    }

    /// The path with its ids, and the query.
    fn path(&self, operation: &Operation, ids: Pairs<'_>, query: Pairs<'_>) -> Result<String, SystemError> {
        let mut path = crate::systems::wire::path(operation.path, |name| self.id(operation, ids, name))?;
        let location = (operation.located == Located::Query).then_some((LOCATION, self.location.as_str()));
        for (at, (name, value)) in location.iter().chain(query).enumerate() {
            path.extend([if at == 0 { "?" } else { "&" }, name, "=", &encode(value)]);
        }
        Ok(path)
    }

    /// An id for the path. One that a URL would swallow makes another request than the one meant.
    fn id<'a>(&'a self, operation: &Operation, ids: Pairs<'a>, name: &str) -> Result<&'a str, SystemError> {
        if name == LOCATION {
            return Ok(&self.location);
        }
        let given = ids.iter().find(|(given, _)| *given == name).map(|(_, value)| *value);
        let given = given.ok_or_else(|| unasked(format!("`{}` needs `{name}`, which is not known", operation.name)))?;
        if !crate::systems::wire::is_id(given) {
            return Err(unasked(format!("`{name}` of `{}` is no id", operation.name)));
        }
        Ok(given)
    }

    fn body(&self, operation: &Operation, body: Option<Value>) -> Option<Value> {
        if operation.located != Located::Body {
            return body;
        }
        let mut body = body.unwrap_or_else(|| json!({}));
        body[LOCATION] = self.location.as_str().into();
        Some(body)
    }

    /// A scope that is missing is told apart from a token that is wrong.
    fn refused(&self, operation: &Operation, error: SystemError) -> SystemError {
        let SystemError::Unauthorized { system, status, reason } = error else { return error };
        let said = reason.to_lowercase();
        if said.contains(NOT_GRANTED) {
            return self.caller.denied(operation.scope);
        }
        let help = OTHER_TOKENS.iter().find(|(known, _)| said.contains(known)).map(|(_, help)| *help);
        let reason = help.map_or_else(|| reason.clone(), |help| format!("{reason}: {help}"));
        SystemError::Unauthorized { system, status, reason }
    }

    /// The contact id that a duplicate search by one key finds, if any.
    pub(super) async fn duplicate(&self, key: &str, value: &str) -> Result<Option<ExternalId>, SystemError> {
        let (_, body) = self.call(operations::CONTACTS_DUPLICATE, &[], &[(key, value)], None).await?;
        Ok(wire::id(&body["contact"]))
    }

    /// The appointments of a calendar that lie between two instants (epoch milliseconds, GHL's clock).
    pub(super) async fn appointments(
        &self,
        calendar: &str,
        from: i64,
        to: i64,
    ) -> Result<(u16, Vec<Value>), SystemError> {
        let (from, to) = (from.to_string(), to.to_string());
        let span = [("calendarId", calendar), ("startTime", &from), ("endTime", &to)];
        let (status, body) = self.call(operations::APPOINTMENTS_LIST, &[], &span, None).await?;
        Ok((status, wire::listed(Kind::Appointment, &body).to_vec()))
    }

    /// A page of all tasks of the location, or of those of one state. It has no filter by time.
    pub(super) async fn tasks(
        &self,
        completed: Option<bool>,
        limit: usize,
        skip: usize,
    ) -> Result<Vec<Value>, SystemError> {
        let mut body = json!({ "limit": limit, "skip": skip });
        if let Some(completed) = completed {
            body["completed"] = completed.into();
        }
        let (_, body) = self.call(operations::TASKS_SEARCH, &[], &[], Some(body)).await?;
        Ok(wire::listed(Kind::Task, &body).to_vec())
    }
}

/// What the ids of an object are called in a path. Tasks and notes are addressed through their contact.
pub(super) fn ids<'a>(
    kind: Kind,
    id: Option<&'a ExternalId>,
    parent: Option<&'a ExternalId>,
) -> Vec<(&'static str, &'a str)> {
    let (own, above) = match kind {
        Kind::Contact => ("contactId", None),
        Kind::Task => ("taskId", Some("contactId")),
        Kind::Note => ("id", Some("contactId")),
        Kind::Appointment => ("eventId", None),
    };
    let own = id.map(|id| (own, id.as_str()));
    let above = above.zip(parent).map(|(above, parent)| (above, parent.as_str()));
    own.into_iter().chain(above).collect()
}

/// Nothing was sent.
pub(super) fn unasked(reason: impl Into<String>) -> SystemError {
    SystemError::Unavailable { system: SYSTEM, status: None, reason: reason.into() }
}

/// The answer is a success and does not say what it should.
pub(super) fn garbled(status: u16, reason: impl Into<String>) -> SystemError {
    SystemError::Garbled { system: SYSTEM, status, reason: reason.into() }
}

/// It was answered, and it is not known whether it was done.
pub(super) fn unclear(status: u16, reason: impl Into<String>) -> SystemError {
    SystemError::Unclear { system: SYSTEM, status: Some(status), reason: reason.into() }
}

fn refusal(status: u16, reason: String) -> SystemError {
    SystemError::Refused { system: SYSTEM, status, reason }
}

/// What an answer means at GHL: an unknown object is 400 (`Contact with id X not found`), an unknown route is 404, a contact
/// that would double another one is 400 with the other's id, and a 2xx may say that nothing was done.
fn judge(operation: &Operation, reply: Reply) -> Answered {
    let (status, message) = (reply.status, reply.message());
    let said = message.to_lowercase();
    let existing = reply.body["meta"]["contactId"].as_str().filter(|id| !id.is_empty());
    if let Some(existing) = existing.filter(|_| status == 400 && operation.creates()) {
        return Err(SystemError::Exists { system: SYSTEM, status, existing: ExternalId::new(existing) });
    }
    match status {
        200..=299 if operation.writes && DONE.iter().any(|flag| reply.body[flag] == false) => {
            Err(unclear(status, "the answer says that it was not done"))
        }
        400 if said.contains("api version") => Err(refusal(status, format!("{message}: check the versions"))),
        // What is gone is then the business or the calendar, not the object that is written.
        400 if said.contains("not found") && is_about_another(operation, &said) => Err(refusal(status, message)),
        400 if said.contains("not found") => Err(SystemError::Gone { system: SYSTEM, status }),
        404 if message.starts_with("Cannot ") => Err(refusal(status, format!("{message}: check base_url"))),
        // It may have been made all the same (the vendor's issue 64), so it has to be looked for.
        422 if operation.creates() => Err(unclear(status, message)),
        _ => reply.success(SYSTEM),
    }
}

fn is_about_another(operation: &Operation, said: &str) -> bool {
    let other = if operation.family == Family::Calendars { "calendar" } else { "business" };
    operation.method() != Method::GET && said.starts_with(other)
}
