//! Webhook bodies: which changes send which, with the documented keys in the observed order; users' edits.

use lockstep::sandbox::World;
use serde_json::{Value, json};

use super::stand::{CALENDAR, LOCATION, Stand};

/// Keys of the envelope, and one that was seen in bodies though the schema does not list it.
const BEYOND_THE_SCHEMA: &[&str] = &["appId", "versionId", "timestamp", "webhookId", "attributionSource"];

fn schema(name: &str) -> Value {
    if name == "ContactDndUpdate" {
        // Only an example is documented: its keys are the schema.
        let example = include_str!("../../fixtures/ghl/events/ContactDndUpdate.json");
        return json!({"properties": serde_json::from_str::<Value>(example).unwrap()});
    }
    macro_rules! schemas {
        ($($name:literal),+ $(,)?) => {
            match name {
                $($name => include_str!(concat!("../../fixtures/ghl/events/", $name, ".schema.json")),)+
                other => panic!("no schema for {other}"),
            }
        };
    }
    let text = schemas!(
        "ContactCreate",
        "ContactUpdate",
        "ContactDelete",
        "ContactTagUpdate",
        "NoteCreate",
        "NoteUpdate",
        "NoteDelete",
        "TaskCreate",
        "TaskComplete",
        "TaskDelete",
        "AppointmentCreate",
        "AppointmentUpdate",
        "AppointmentDelete",
    );
    serde_json::from_str(text).unwrap()
}

/// Holds the last turn's webhooks against their schemas and the envelope.
fn judge(stand: &Stand) {
    for webhook in &stand.sent {
        let body = webhook.body.as_object().unwrap();
        let properties = &schema(body["type"].as_str().unwrap())["properties"];
        let keys: Vec<&str> = body.keys().map(String::as_str).collect();
        assert_eq!(keys[..4], ["type", "locationId", "versionId", "appId"], "{keys:?}");
        assert!(["id", "appointment"].contains(&keys[4]), "{keys:?}");
        assert_eq!(keys[keys.len() - 2..], ["timestamp", "webhookId"], "{keys:?}");
        assert_eq!(
            (webhook.body["webhookId"].as_str(), webhook.account.as_str()),
            (Some(webhook.id.as_str()), LOCATION)
        );
        let known = |key: &str| BEYOND_THE_SCHEMA.contains(&key) || !properties[key].is_null();
        assert!(keys.iter().all(|key| known(key)), "{keys:?}");
        let nested = &properties["appointment"]["properties"];
        for (key, value) in body.iter().chain(body.get("appointment").and_then(Value::as_object).into_iter().flatten())
        {
            assert!(nested.is_null() || !nested[key].is_null() || known(key), "{key}");
            assert!(!value.is_null() && *value != json!(""), "{key} is empty and should be left out");
        }
    }
}

#[test]
fn every_kind_of_change_sends_its_event_in_the_documented_shape() {
    let mut stand = Stand::new();
    let mut seen = Vec::new();
    let mut note = |stand: &Stand| {
        judge(stand);
        seen.extend(stand.events().into_iter().map(str::to_owned));
    };
    let fields = json!({"name": "Ada Lovelace", "email": "a@example.com", "tags": ["VIP"], "city": "", "dateOfBirth": "1815-12-10"});
    let contact = stand.edit("contact", "create", None, None, fields).unwrap();
    note(&stand);
    for change in [json!({"phone": "+4930111111"}), json!({"dnd": true})] {
        stand.edit("contact", "update", Some(&contact), None, change).unwrap();
        note(&stand);
    }
    stand.edit("contact", "update", Some(&contact), None, json!({"addTags": ["New"], "removeTags": ["vip"]})).unwrap();
    note(&stand);
    let task = json!({"title": "Call", "body": "back", "dueDate": "2026-12-01T10:00:00Z"});
    let task = stand.edit("task", "create", None, Some(&contact), task).unwrap();
    note(&stand);
    stand.edit("task", "update", Some(&task), None, json!({"title": "Write"})).unwrap();
    note(&stand);
    for action in ["complete", "delete"] {
        stand.edit("task", action, Some(&task), None, json!({})).unwrap();
        note(&stand);
    }
    let text = stand.edit("note", "create", None, Some(&contact), json!({"body": "Tea", "title": "T"})).unwrap();
    note(&stand);
    for action in ["update", "delete"] {
        stand.edit("note", action, Some(&text), None, json!({"body": "Coffee"})).unwrap();
        note(&stand);
    }
    let booking = json!({"calendarId": CALENDAR, "startTime": "2026-12-01T10:00:00Z", "description": "Bring tea"});
    let booking = stand.edit("appointment", "create", None, Some(&contact), booking).unwrap();
    note(&stand);
    for (action, fields) in
        [("move", json!({"startTime": "2026-12-02T10:00:00Z"})), ("cancel", json!({})), ("delete", json!({}))]
    {
        stand.edit("appointment", action, Some(&booking), None, fields).unwrap();
        note(&stand);
    }
    stand.edit("contact", "delete", Some(&contact), None, json!({})).unwrap();
    note(&stand);
    let wanted = [
        "ContactCreate",
        "ContactUpdate",
        "ContactDndUpdate",
        "ContactTagUpdate",
        "TaskCreate",
        "TaskComplete",
        "TaskDelete",
        "NoteCreate",
        "NoteUpdate",
        "NoteDelete",
        "AppointmentCreate",
        "AppointmentUpdate",
        "AppointmentUpdate",
        "AppointmentDelete",
        "ContactDelete",
    ];
    assert_eq!(seen, wanted);
}

#[test]
fn no_event_tells_of_a_task_update_or_of_an_update_without_a_difference() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com", "tags": ["vip"]}));
    let body = json!({"title": "Call", "dueDate": "2026-12-01T10:00:00Z", "completed": true});
    let task = stand.done(201, "POST", &format!("/contacts/{contact}/tasks"), body)["task"]["id"].clone();
    let path = format!("/contacts/{contact}/tasks/{}", task.as_str().unwrap());
    stand.done(200, "PUT", &path, json!({"title": "Write", "completed": false}));
    assert_eq!(stand.events(), [""; 0]);
    stand.done(200, "PUT", &format!("/contacts/{contact}"), json!({"email": "a@example.com", "tags": ["VIP"]}));
    assert_eq!(stand.events(), [""; 0]);
}

#[test]
fn the_switches_change_what_is_sent() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com"}));
    let task = json!({"title": "Call", "body": "back", "dueDate": "2026-12-01T10:00:00Z", "completed": false});
    let tasks = format!("/contacts/{contact}/tasks");
    stand.done(201, "POST", &tasks, task.clone());
    assert_eq!(stand.sent[0].body["contactId"], json!(contact));
    stand.ghl.settings_mut().task_create_without_contact = true;
    stand.done(201, "POST", &tasks, task);
    assert_eq!((stand.sent[0].body.get("contactId"), stand.sent[0].body.get("body")), (None, None));

    stand.ghl.settings_mut().double_tag_webhook = true;
    stand.done(201, "POST", &format!("/contacts/{contact}/tags"), json!({"tags": ["a"]}));
    assert_eq!(stand.events(), ["ContactUpdate", "ContactTagUpdate"]);

    stand.ghl.settings_mut().echo_webhooks = false;
    stand.done(201, "POST", &format!("/contacts/{contact}/tags"), json!({"tags": ["b"]}));
    assert_eq!(stand.events(), [""; 0]);
    stand.edit("contact", "update", Some(&contact), None, json!({"tags": []})).unwrap();
    assert_eq!(stand.events(), ["ContactUpdate", "ContactTagUpdate"]);
}

#[test]
fn an_edit_needs_an_object_of_its_account_and_a_known_action() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com"}));
    assert!(stand.edit("contact", "update", Some("none"), None, json!({})).is_err());
    assert!(stand.edit("contact", "complete", Some(&contact), None, json!({})).is_err());
    assert!(stand.edit("task", "create", None, Some("none"), json!({"title": "x"})).is_err());
    assert!(stand.edit("contact", "create", None, None, json!({"email": "a@example.com"})).is_err());
    assert_eq!(stand.ghl.state()["contacts"].as_object().unwrap().len(), 1);
}

#[test]
fn state_lists_what_is_held_with_parents_and_locations() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com"}));
    let task = stand.edit("task", "create", None, Some(&contact), json!({"title": "Call"})).unwrap();
    let note = stand.edit("note", "create", None, Some(&contact), json!({"body": "Tea"})).unwrap();
    let booking = stand.appointment(&contact, "2026-12-01T10:00:00Z");
    let state = stand.ghl.state();
    for (kind, id) in [("tasks", &task), ("notes", &note), ("appointments", &booking)] {
        assert_eq!(state[kind][id]["contactId"], json!(contact), "{kind}");
        assert_eq!(state[kind][id]["locationId"], LOCATION, "{kind}");
    }
    assert_eq!(state["contacts"][&contact]["email"], "a@example.com");
    stand.edit("contact", "delete", Some(&contact), None, json!({})).unwrap();
    for (kind, held) in stand.ghl.state().as_object().unwrap() {
        let none = if kind == "notified" { json!([]) } else { json!({}) };
        assert_eq!(*held, none, "{kind}");
    }
}
