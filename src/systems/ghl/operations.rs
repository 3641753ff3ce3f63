//! Every operation of GHL's API that this client can send: one table.
//!
//! In: a name, or a kind of object and what a plan does to it. Out: method, path, family (each has its own `Version` header),
//! the scope that it needs, and whether it writes. `api` fills the path in and sends; nothing else builds a request. Paths,
//! scopes and keys are those of the vendor's OpenAPI documents (v2); where these name no scope, it says so here.

use std::collections::BTreeSet;

use http::Method;

use crate::model::{Action, Kind};
use crate::systems::wire;

/// Operations that share a `Version` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Contacts with their tasks, notes and tags.
    Contacts,
    /// Calendars and appointments.
    Calendars,
    /// Locations: their task search, tags and custom fields.
    Locations,
    /// Businesses.
    Businesses,
}

/// The method of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// Where a request names the location: always the workspace's own, so nobody passes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Located {
    /// In the path, or nowhere.
    ByPath,
    /// In the query.
    Query,
    /// In the body.
    Body,
}

/// Where a parameter goes, and in what form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    /// Into the query.
    Query,
    /// Into the body, as a text.
    Text,
    /// Into the body, as the JSON that it is written in: a number, a flag, a list.
    Json,
}

/// A parameter besides the ids of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) goes: Goes,
    pub(super) must: bool,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Our name for it.
    pub name: &'static str,
    /// The path; `{name}` stands for an id.
    pub path: &'static str,
    /// Whose version it is sent with.
    pub family: Family,
    /// The scope that a token needs for it.
    pub scope: &'static str,
    /// Whether it changes anything.
    pub writes: bool,
    verb: Verb,
    pub(super) located: Located,
    /// Whether version `v3` has dropped it.
    pub(super) until_v3: bool,
    /// What it takes; of operations that only people ask for, and of those that they may.
    pub(super) params: &'static [Param],
    /// The kind that the mirror uses it for; `None`: only people ask for it.
    kind: Option<Kind>,
    /// What the mirror does by it; empty beside a kind: it lists what changed.
    actions: &'static [Action],
}

const fn row(verb: Verb, name: &'static str, path: &'static str, family: Family, scope: &'static str) -> Operation {
    let (located, params, actions): (_, &[Param], &[Action]) = (Located::ByPath, &[], &[]);
    Operation { name, path, family, scope, writes: false, verb, located, until_v3: false, params, kind: None, actions }
}

const fn param(name: &'static str, goes: Goes) -> Param {
    Param { name, goes, must: false }
}

const fn query(name: &'static str) -> Param {
    param(name, Goes::Query)
}

impl Param {
    const fn must(self) -> Self {
        Self { must: true, ..self }
    }
}

impl Operation {
    const fn writes(self) -> Self {
        Self { writes: true, ..self }
    }

    const fn at(self, located: Located) -> Self {
        Self { located, ..self }
    }

    const fn takes(self, params: &'static [Param]) -> Self {
        Self { params, ..self }
    }

    const fn until_v3(self) -> Self {
        Self { until_v3: true, ..self }
    }

    /// The mirror does this by it; nothing: it lists what changed.
    const fn does(self, kind: Kind, actions: &'static [Action]) -> Self {
        Self { kind: Some(kind), actions, ..self }
    }

    /// The method.
    pub fn method(&self) -> Method {
        match self.verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Delete => Method::DELETE,
        }
    }

    /// The ids in its path that have to be given.
    pub fn ids(&self) -> impl Iterator<Item = &'static str> {
        wire::ids(self.path).filter(|id| *id != LOCATION)
    }

    /// Whether it makes an object.
    pub(super) fn creates(&self) -> bool {
        self.actions.contains(&Action::Create)
    }
}

/// The parameter that is always the workspace's own location.
pub(super) const LOCATION: &str = "locationId";

const READ: &str = "contacts.readonly";
const WRITE: &str = "contacts.write";
const CALENDARS: &str = "calendars.readonly";
const READ_EVENTS: &str = "calendars/events.readonly";
const WRITE_EVENTS: &str = "calendars/events.write";
const BUSINESSES: &str = "businesses.readonly";

const PAGED: &[Param] = &[query("limit"), query("skip")];
const SPAN: &[Param] =
    &[query("startTime").must(), query("endTime").must(), query("calendarId"), query("userId"), query("groupId")];
const SEARCHED: &[Param] = &[
    param("pageLimit", Goes::Json).must(),
    param("page", Goes::Json),
    param("searchAfter", Goes::Json),
    param("filters", Goes::Json),
    param("sort", Goes::Json),
    param("query", Goes::Text),
];
const TASKS_SEARCHED: &[Param] = &[
    param("contactId", Goes::Json),
    param("completed", Goes::Json),
    param("assignedTo", Goes::Json),
    param("query", Goes::Text),
    param("limit", Goes::Json),
    param("skip", Goes::Json),
    param("businessId", Goes::Text),
];

macro_rules! operations {
    ($($constant:ident = $row:expr;)+) => {
        $(pub(super) const $constant: &Operation = &$row;)+
        /// The table.
        pub const OPERATIONS: &[&Operation] = &[$($constant),+];
    };
}

use Family::{Businesses, Calendars, Contacts, Locations};
use Kind::{Appointment, Contact, Note, Task};
use Located::{Body, Query};
use Verb::{Delete, Get, Post, Put};

#[rustfmt::skip]
operations! {
    CONTACTS_GET = row(Get, "contacts.get", "/contacts/{contactId}", Contacts, READ).does(Contact, &[Action::Read]);
    CONTACTS_CREATE = row(Post, "contacts.create", "/contacts/", Contacts, WRITE).writes().at(Body).does(Contact, &[Action::Create]);
    CONTACTS_UPDATE = row(Put, "contacts.update", "/contacts/{contactId}", Contacts, WRITE).writes().does(Contact, &[Action::Update]);
    CONTACTS_DELETE = row(Delete, "contacts.delete", "/contacts/{contactId}", Contacts, WRITE).writes().does(Contact, &[Action::Delete]);
    CONTACTS_LIST = row(Get, "contacts.list", "/contacts/", Contacts, READ).at(Query).until_v3()
        .takes(&[query("limit"), query("startAfter"), query("startAfterId"), query("query")]);
    CONTACTS_SEARCH = row(Post, "contacts.search", "/contacts/search", Contacts, READ).at(Body).takes(SEARCHED).does(Contact, &[]);
    CONTACTS_DUPLICATE = row(Get, "contacts.duplicate", "/contacts/search/duplicate", Contacts, READ).at(Query)
        .takes(&[query("email"), query("number")]).does(Contact, &[Action::Find]);
    CONTACTS_BY_BUSINESS = row(Get, "contacts.by_business", "/contacts/business/{businessId}", Contacts, READ).at(Query)
        .takes(&[query("limit"), query("skip"), query("query")]);
    // The documents name no scope for it; it writes contacts.
    CONTACTS_SET_BUSINESS = row(Post, "contacts.set_business", "/contacts/bulk/business", Contacts, WRITE).writes().at(Body)
        .does(Contact, &[Action::SetBusiness]);
    CONTACTS_APPOINTMENTS = row(Get, "contacts.appointments", "/contacts/{contactId}/appointments", Contacts, READ);
    TAGS_ADD = row(Post, "tags.add", "/contacts/{contactId}/tags", Contacts, WRITE).writes().does(Contact, &[Action::AddTags]);
    TAGS_REMOVE = row(Delete, "tags.remove", "/contacts/{contactId}/tags", Contacts, WRITE).writes().does(Contact, &[Action::RemoveTags]);
    TASKS_LIST = row(Get, "tasks.list", "/contacts/{contactId}/tasks", Contacts, READ).does(Task, &[Action::Find]);
    TASKS_GET = row(Get, "tasks.get", "/contacts/{contactId}/tasks/{taskId}", Contacts, READ).does(Task, &[Action::Read]);
    TASKS_CREATE = row(Post, "tasks.create", "/contacts/{contactId}/tasks", Contacts, WRITE).writes().does(Task, &[Action::Create]);
    TASKS_UPDATE = row(Put, "tasks.update", "/contacts/{contactId}/tasks/{taskId}", Contacts, WRITE).writes().does(Task, &[Action::Update]);
    TASKS_COMPLETED = row(Put, "tasks.completed", "/contacts/{contactId}/tasks/{taskId}/completed", Contacts, WRITE).writes()
        .does(Task, &[Action::Complete]);
    TASKS_DELETE = row(Delete, "tasks.delete", "/contacts/{contactId}/tasks/{taskId}", Contacts, WRITE).writes().does(Task, &[Action::Delete]);
    TASKS_SEARCH = row(Post, "tasks.search", "/locations/{locationId}/tasks/search", Locations, "locations/tasks.readonly")
        .takes(TASKS_SEARCHED).does(Task, &[]);
    NOTES_LIST = row(Get, "notes.list", "/contacts/{contactId}/notes", Contacts, READ).does(Note, &[Action::Find]);
    NOTES_GET = row(Get, "notes.get", "/contacts/{contactId}/notes/{id}", Contacts, READ).does(Note, &[Action::Read]);
    NOTES_CREATE = row(Post, "notes.create", "/contacts/{contactId}/notes", Contacts, WRITE).writes().does(Note, &[Action::Create]);
    NOTES_UPDATE = row(Put, "notes.update", "/contacts/{contactId}/notes/{id}", Contacts, WRITE).writes().does(Note, &[Action::Update]);
    NOTES_DELETE = row(Delete, "notes.delete", "/contacts/{contactId}/notes/{id}", Contacts, WRITE).writes().does(Note, &[Action::Delete]);
    APPOINTMENTS_LIST = row(Get, "appointments.list", "/calendars/events", Calendars, READ_EVENTS).at(Query).takes(SPAN)
        .does(Appointment, &[Action::Find]);
    APPOINTMENTS_GET = row(Get, "appointments.get", "/calendars/events/appointments/{eventId}", Calendars, READ_EVENTS)
        .does(Appointment, &[Action::Read]);
    APPOINTMENTS_CREATE = row(Post, "appointments.create", "/calendars/events/appointments", Calendars, WRITE_EVENTS).writes().at(Body)
        .does(Appointment, &[Action::Create]);
    // To cancel is to update: GHL has no call of its own for it.
    APPOINTMENTS_UPDATE = row(Put, "appointments.update", "/calendars/events/appointments/{eventId}", Calendars, WRITE_EVENTS).writes()
        .does(Appointment, &[Action::Update, Action::Cancel]);
    // Not where it is read and updated.
    APPOINTMENTS_DELETE = row(Delete, "appointments.delete", "/calendars/events/{eventId}", Calendars, WRITE_EVENTS).writes()
        .does(Appointment, &[Action::Delete]);
    CALENDARS_LIST = row(Get, "calendars.list", "/calendars/", Calendars, CALENDARS).at(Query)
        .takes(&[query("groupId"), query("showDrafted")]);
    CALENDARS_GET = row(Get, "calendars.get", "/calendars/{calendarId}", Calendars, CALENDARS);
    LOCATIONS_GET = row(Get, "locations.get", "/locations/{locationId}", Locations, "locations.readonly");
    LOCATIONS_TAGS = row(Get, "locations.tags", "/locations/{locationId}/tags", Locations, "locations/tags.readonly");
    LOCATIONS_CUSTOM_FIELDS = row(Get, "locations.custom_fields", "/locations/{locationId}/customFields", Locations,
        "locations/customFields.readonly").takes(&[query("model")]);
    BUSINESSES_LIST = row(Get, "businesses.list", "/businesses/", Businesses, BUSINESSES).at(Query).takes(PAGED);
    BUSINESSES_GET = row(Get, "businesses.get", "/businesses/{businessId}", Businesses, BUSINESSES);
}

/// The operation of this name.
pub fn named(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().copied().find(|operation| operation.name == name)
}

/// The operation by which an action on a kind is done; `None`: GHL has none.
pub(super) fn of(kind: Kind, action: Action) -> Option<&'static Operation> {
    OPERATIONS.iter().copied().find(|operation| operation.kind == Some(kind) && operation.actions.contains(&action))
}

/// The operation that lists what changed of a kind, if it has one of its own.
pub(super) fn listing(kind: Kind) -> Option<&'static Operation> {
    OPERATIONS.iter().copied().find(|operation| operation.kind == Some(kind) && operation.actions.is_empty())
}

/// The scopes that mirroring a kind needs, for reading it or for writing it.
pub fn scopes(kind: Kind, writes: bool) -> BTreeSet<&'static str> {
    let used = OPERATIONS.iter().filter(|operation| operation.kind == Some(kind) && operation.writes == writes);
    used.map(|operation| operation.scope).collect()
}

#[cfg(test)]
mod tests;
