//! Where the official documents are known not to say what the vendor does: each with its reason.

use std::sync::LazyLock;

use serde_json::{Value, json};

/// A property (or, with an empty key, a whole schema) whose truth differs from the document.
struct Lie {
    schema: &'static str,
    key: &'static str,
    truth: Value,
    /// Why we hold it to be so.
    #[expect(dead_code, reason = "for the reader")]
    reason: &'static str,
}

/// Answers that an operation may give though the document lists them for none or only some of the operations.
pub const UNLISTED_STATUSES: &[(u16, &str)] = &[
    (403, "a token of another location: seen by integrators, in no document"),
    (404, "an unknown route"),
    (422, "whitelist validation: seen on routes whose document lists only 400 and 401"),
    (429, "rate limit: named by the vendor's SDK"),
];

/// Answers whose status is another than the document's: the operation, the status that comes, the one that it is documented
/// under, and why.
pub const OTHER_STATUSES: &[(&str, u16, u16, &str)] = &[
    ("POST /oauth/locationToken", 201, 200, "201 was seen by integrators"),
    ("POST /oauth/location-token", 201, 200, "the name that v3 has for the same call; inferred"),
];

/// Keys that answers carry though their schema does not have them.
pub const UNLISTED_KEYS: &[(&str, &str, &str)] = &[
    ("GetAccessCodeSuccessfulResponseDto", "refreshTokenId", "in the sample answer of the vendor's page on tokens"),
    ("GetAccessTokenSuccessfulResponseDto", "refreshTokenId", "as in v2; inferred"),
    (
        "GetLocationAccessTokenSuccessfulResponseDto",
        "refresh_token",
        "seen by integrators; v3 has it (vendor issue #285)",
    ),
    (
        "GetLocationAccessTokenSuccessfulResponseDto",
        "userType",
        "in the sample answer of the vendor's page on agencies",
    ),
    (
        "GetLocationAccessTokenSuccessfulResponseDto",
        "companyId",
        "in the sample answer of the vendor's page on agencies",
    ),
    ("GetLocationAccessTokenV3SuccessfulResponseDto", "userType", "as in v2; inferred"),
    ("GetLocationAccessTokenV3SuccessfulResponseDto", "companyId", "as in v2; inferred"),
    ("BadRequestDTO", "error", "every refusal seen names itself, as the documented 401 does"),
    ("UnauthorizedDTO", "error_description", "a code that is not known is refused in the form of RFC 6749; seen"),
];

/// Answers without the `traceId` that the vendor promises for all: the operation, the statuses, and why.
pub const UNTRACED: &[(&str, &[u16], &str)] = &[
    ("POST /oauth/token", &[200, 401], "no sample of tokens, or of a refused code, has one"),
    ("GET /oauth/installed-locations", &[400, 404], "the schema of these refusals has no place for one"),
];

/// Operations that name no scope, and the one that they ask for.
pub const UNLISTED_SCOPES: &[(&str, &str, &str)] = &[
    ("POST /contacts/bulk/business", "contacts.write", "a write to contacts; inferred"),
    ("POST /contacts/bulk/tags/update/{type}", "contacts.write", "a write to contacts; inferred"),
];

static LIES: LazyLock<Vec<Lie>> = LazyLock::new(|| {
    let text = || json!({"type": "string"});
    let instant = "typed `object`; its own example, and every answer seen, is ISO 8601 text";
    let birth = "typed `object`; its own example is text";
    let amount = "typed `object`; its own example is a number";
    let lie = |schema, key, truth, reason| Lie { schema, key, truth, reason };
    vec![
        lie("CalendarEventDTO", "startTime", text(), instant),
        lie("CalendarEventDTO", "endTime", text(), instant),
        lie("CalendarEventDTO", "dateAdded", text(), instant),
        lie("CalendarEventDTO", "dateUpdated", text(), instant),
        lie("BlockedSlotSuccessfulResponseDto", "startTime", text(), instant),
        lie("BlockedSlotSuccessfulResponseDto", "endTime", text(), instant),
        lie(
            "UpdateTagsResponseDTO",
            "responses",
            json!({"type": "array", "items": {"type": "object", "required": ["contactId", "message", "type"],
            "properties": {
                "contactId": {"type": "string"}, "message": {"type": "string"},
                "type": {"type": "string", "enum": ["success", "error"]},
                "oldTags": {"type": "array", "items": {"type": "string"}},
                "tagsAdded": {"type": "array", "items": {"type": "string"}},
                "tagsRemoved": {"type": "array", "items": {"type": "string"}},
            }}}),
            "typed as texts; its own example is a list of objects",
        ),
        lie("CreateContactDto", "dateOfBirth", json!({"type": "string", "nullable": true}), birth),
        lie("UpdateContactDto", "dateOfBirth", json!({"type": "string", "nullable": true}), birth),
        lie("UpsertContactDto", "dateOfBirth", json!({"type": "string", "nullable": true}), birth),
        lie("CreateContactDtoV3", "dateOfBirth", json!({"type": "string", "nullable": true}), birth),
        lie("UpdateContactDtoV3", "dateOfBirth", json!({"type": "string", "nullable": true}), birth),
        lie("UpsertContactDtoV3", "dateOfBirth", json!({"type": "string", "nullable": true}), birth),
        lie("NumericField", "field_value", json!({"type": "number"}), amount),
        lie("MonetoryField", "field_value", json!({"type": "number"}), amount),
        lie("NumericField", "fieldValue", json!({"type": "number"}), amount),
        lie("MonetoryField", "fieldValue", json!({"type": "number"}), amount),
        lie(
            "CustomFieldSchema",
            "value",
            json!({}),
            "values are text, numbers, lists or file maps, as in the event schemas",
        ),
        lie(
            "LocationTaskListSuccessfulResponseDto",
            "tasks",
            json!({"type": "array", "items": {"type": "object", "required": ["id", "contactId"], "properties": {
                "id": {"type": "string"}, "title": {"type": "string"}, "body": {"type": "string"},
                "assignedTo": {"type": "string"}, "dueDate": {"type": "string"}, "completed": {"type": "boolean"},
                "contactId": {"type": "string"},
            }}}),
            "the element is an empty list in the document; tasks with their contactId were seen (vendor issue #332)",
        ),
        lie(
            "SearchBodyV2DTO",
            "",
            search_body(),
            "empty in the document; described on the vendor's page on contact search",
        ),
    ]
});

fn search_body() -> Value {
    json!({"type": "object", "required": ["locationId", "pageLimit"], "properties": {
        "locationId": {"type": "string"},
        "pageLimit": {"type": "number"},
        "page": {"type": "number"},
        "searchAfter": {"type": "array"},
        "query": {"type": "string"},
        "filters": {"type": "array", "items": {"type": "object", "properties": {
            "field": {"type": "string"},
            "operator": {"type": "string", "enum":
                ["eq", "not_eq", "contains", "not_contains", "exists", "not_exists", "range"]},
            "value": {},
            "group": {"type": "string", "enum": ["AND", "OR"]},
            "filters": {"type": "array"},
        }}},
        "sort": {"type": "array", "items": {"type": "object", "required": ["field", "direction"], "properties": {
            "field": {"type": "string"},
            "direction": {"type": "string", "enum": ["asc", "desc"]},
        }}},
    }})
}

/// What a property of a schema truly is, where the document lies.
pub fn truth(schema: &str, key: &str) -> Option<&'static Value> {
    LIES.iter().find(|lie| lie.schema == schema && lie.key == key).map(|lie| &lie.truth)
}

/// Every lie, as schema and key.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    LIES.iter().map(|lie| (lie.schema, lie.key))
}

/// The status under which an answer is documented.
pub fn meant(operation: &str, status: u16) -> u16 {
    let lie = OTHER_STATUSES.iter().find(|lie| (lie.0, lie.1) == (operation, status));
    lie.map_or(status, |lie| lie.2)
}

/// Whether a schema is known to leave a key out.
pub fn unlisted(schema: &str, key: &str) -> bool {
    UNLISTED_KEYS.iter().any(|lie| (lie.0, lie.1) == (schema, key))
}
