//! The keys of each body and query, as the vendor's v2 documents list them.
//!
//! Tables only; `whitelist` checks requests against them.

use super::whitelist::Form::{
    Email, Flag, Instant, List, Number, Object, OneOf, Phone, Short, Text, TextOrNull, Texts, UpTo,
};
use super::whitelist::{Key, opt, req};

/// The words an appointment's status may be written with in v2.
const STATUSES: &[&str] = &["new", "confirmed", "cancelled", "showed", "noshow", "invalid"];
const STATUSES_V3: &[&str] = &["new", "confirmed", "cancelled", "showed", "noshow", "invalid", "completed", "active"];
const MEETINGS: &[&str] = &["custom", "zoom", "gmeet", "phone", "address", "ms_teams", "google"];

pub(super) const NOTHING: &[Key] = &[];

pub(super) const CONTACT_CREATE: &[Key] = &[
    req("locationId", Text),
    opt("gender", Text),
    opt("companyName", TextOrNull),
    opt("firstName", TextOrNull),
    opt("lastName", TextOrNull),
    opt("name", TextOrNull),
    opt("email", Email),
    opt("phone", Phone),
    opt("address1", TextOrNull),
    opt("city", TextOrNull),
    opt("state", TextOrNull),
    opt("postalCode", Text),
    opt("website", TextOrNull),
    opt("timezone", TextOrNull),
    opt("dnd", Flag),
    opt("dndSettings", Object),
    opt("inboundDndSettings", Object),
    opt("tags", Texts),
    opt("customFields", List),
    opt("source", Text),
    opt("dateOfBirth", TextOrNull),
    opt("country", Text),
    opt("assignedTo", Text),
];

pub(super) const CONTACT_UPSERT: &[Key] = &{
    let mut keys = [opt("createNewIfDuplicateAllowed", Flag); CONTACT_CREATE.len() + 1];
    let mut at = 0;
    while at < CONTACT_CREATE.len() {
        keys[at] = CONTACT_CREATE[at];
        at += 1;
    }
    keys
};

/// No `locationId`, `gender`, `companyName`: sending them is refused.
pub(super) const CONTACT_UPDATE: &[Key] = &[
    opt("firstName", TextOrNull),
    opt("lastName", TextOrNull),
    opt("name", TextOrNull),
    opt("email", Email),
    opt("phone", Phone),
    opt("address1", TextOrNull),
    opt("city", TextOrNull),
    opt("state", TextOrNull),
    opt("postalCode", Text),
    opt("website", TextOrNull),
    opt("timezone", TextOrNull),
    opt("dnd", Flag),
    opt("dndSettings", Object),
    opt("inboundDndSettings", Object),
    opt("tags", Texts),
    opt("customFields", List),
    opt("source", TextOrNull),
    opt("dateOfBirth", TextOrNull),
    opt("country", Text),
    opt("assignedTo", TextOrNull),
];

pub(super) const CONTACT_SEARCH: &[Key] = &[
    req("locationId", Text),
    req("pageLimit", Number),
    opt("page", Number),
    opt("searchAfter", List),
    opt("filters", List),
    opt("sort", List),
    opt("query", Text),
];

pub(super) const DUPLICATE_QUERY: &[Key] = &[req("locationId", Text), opt("number", Text), opt("email", Text)];

pub(super) const TAGS: &[Key] = &[req("tags", Texts)];

pub(super) const TASK_CREATE: &[Key] =
    &[req("title", Text), opt("body", Text), req("dueDate", Instant), req("completed", Flag), opt("assignedTo", Text)];

pub(super) const TASK_UPDATE: &[Key] =
    &[opt("title", Text), opt("body", Text), opt("dueDate", Instant), opt("completed", Flag), opt("assignedTo", Text)];

pub(super) const TASK_COMPLETED: &[Key] = &[req("completed", Flag)];

pub(super) const TASK_SEARCH: &[Key] = &[
    opt("contactId", Texts),
    opt("completed", Flag),
    opt("assignedTo", Texts),
    opt("query", Text),
    opt("limit", Number),
    opt("skip", Number),
    opt("businessId", Text),
];

pub(super) const NOTE_CREATE: &[Key] =
    &[req("body", Text), opt("userId", Text), opt("title", Text), opt("color", Text), opt("pinned", Flag)];

pub(super) const NOTE_UPDATE: &[Key] =
    &[opt("body", Text), opt("userId", Text), opt("title", Text), opt("color", Text), opt("pinned", Flag)];

pub(super) const APPOINTMENT_CREATE: &[Key] = &appointment_create(STATUSES);
pub(super) const APPOINTMENT_CREATE_V3: &[Key] = &appointment_create(STATUSES_V3);

const fn appointment_create(statuses: &'static [&'static str]) -> [Key; 17] {
    [
        req("calendarId", Text),
        req("locationId", Text),
        req("contactId", Text),
        req("startTime", Instant),
        opt("endTime", Instant),
        opt("title", Text),
        opt("meetingLocationType", OneOf(MEETINGS)),
        opt("meetingLocationId", Text),
        opt("overrideLocationConfig", Flag),
        opt("appointmentStatus", OneOf(statuses)),
        opt("assignedUserId", Text),
        opt("description", Text),
        opt("address", Text),
        opt("ignoreDateRange", Flag),
        opt("toNotify", Flag),
        opt("ignoreFreeSlotValidation", Flag),
        opt("rrule", Text),
    ]
}

pub(super) const APPOINTMENT_UPDATE: &[Key] = &appointment_update(STATUSES);
pub(super) const APPOINTMENT_UPDATE_V3: &[Key] = &appointment_update(STATUSES_V3);

const fn appointment_update(statuses: &'static [&'static str]) -> [Key; 15] {
    [
        opt("calendarId", Text),
        opt("startTime", Instant),
        opt("endTime", Instant),
        opt("title", Text),
        opt("meetingLocationType", OneOf(MEETINGS)),
        opt("meetingLocationId", Text),
        opt("overrideLocationConfig", Flag),
        opt("appointmentStatus", OneOf(statuses)),
        opt("assignedUserId", Text),
        opt("description", Text),
        opt("address", Text),
        opt("ignoreDateRange", Flag),
        opt("toNotify", Flag),
        opt("ignoreFreeSlotValidation", Flag),
        opt("rrule", Text),
    ]
}

pub(super) const EVENTS_QUERY: &[Key] = &[
    req("locationId", Text),
    req("startTime", Text),
    req("endTime", Text),
    opt("userId", Text),
    opt("calendarId", Text),
    opt("groupId", Text),
];

pub(super) const CALENDARS_QUERY: &[Key] = &[req("locationId", Text), opt("groupId", Text), opt("showDrafted", Text)];

pub(super) const CONTACTS_QUERY: &[Key] = &[
    req("locationId", Text),
    opt("startAfterId", Text),
    opt("startAfter", Number),
    opt("query", Text),
    opt("limit", UpTo(100)),
];

pub(super) const BUSINESS_CONTACTS_QUERY: &[Key] =
    &[req("locationId", Text), opt("limit", Number), opt("skip", Number), opt("query", Text)];

pub(super) const BULK_BUSINESS: &[Key] = &[req("locationId", Text), req("ids", Texts), req("businessId", TextOrNull)];

pub(super) const BULK_TAGS: &[Key] =
    &[req("contacts", Texts), req("tags", Texts), req("locationId", Text), opt("removeAllTags", Flag)];

pub(super) const FOLLOWERS: &[Key] = &[req("followers", Texts)];

/// No `locationId`: sending it is refused.
pub(super) const SLOTS_QUERY: &[Key] = &[
    req("startDate", Number),
    req("endDate", Number),
    opt("timezone", Text),
    opt("userId", Text),
    opt("userIds", Texts),
];

pub(super) const BLOCK: &[Key] = &[
    opt("title", Text),
    req("calendarId", Text),
    opt("assignedUserId", Text),
    req("locationId", Text),
    opt("startTime", Instant),
    opt("endTime", Instant),
];

pub(super) const APPOINTMENT_NOTES_QUERY: &[Key] = &[req("limit", UpTo(20)), req("offset", Number)];

pub(super) const APPOINTMENT_NOTE: &[Key] = &[opt("userId", Text), req("body", Short(5_000))];

pub(super) const LOCATION_TAG: &[Key] = &[req("name", Text)];

pub(super) const CUSTOM_FIELDS_QUERY: &[Key] = &[opt("model", OneOf(&["contact", "opportunity", "all"]))];

pub(super) const CUSTOM_FIELD: &[Key] = &[
    req("name", Text),
    req("dataType", Text),
    opt("placeholder", Text),
    opt("acceptedFormat", Texts),
    opt("isMultipleFile", Flag),
    opt("maxNumberOfFiles", Number),
    opt("textBoxListOptions", List),
    opt("position", Number),
    opt("model", OneOf(&["contact", "opportunity"])),
];

pub(super) const BUSINESSES_QUERY: &[Key] = &[req("locationId", Text), opt("limit", Number), opt("skip", Number)];

pub(super) const BUSINESS_CREATE: &[Key] = &[
    req("name", Text),
    req("locationId", Text),
    opt("phone", Text),
    opt("email", Text),
    opt("website", Text),
    opt("address", Text),
    opt("city", Text),
    opt("postalCode", Text),
    opt("state", Text),
    opt("country", Text),
    opt("description", Text),
];

pub(super) const BUSINESS_UPDATE: &[Key] = &[
    opt("name", Text),
    opt("phone", Text),
    opt("email", Text),
    opt("postalCode", Text),
    opt("website", Text),
    opt("address", Text),
    opt("state", Text),
    opt("city", Text),
    opt("country", Text),
    opt("description", Text),
];

pub(super) const USERS_QUERY: &[Key] = &[req("locationId", Text)];

pub(super) const USER_SEARCH_QUERY: &[Key] = &[
    req("companyId", Text),
    opt("query", Text),
    opt("skip", Number),
    opt("limit", Number),
    opt("locationId", Text),
    opt("type", Text),
    opt("role", Text),
    opt("ids", Text),
    opt("sort", Text),
    opt("sortDirection", Text),
    opt("enabled2waySync", Flag),
];
