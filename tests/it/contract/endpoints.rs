//! Each endpoint once round, judged by the documents (see `stand`), and what its answers must say.

use serde_json::{Value, json};

use super::stand::{CALENDAR, LOCATION, Stand};

#[test]
fn a_contact_goes_its_whole_way() {
    let mut stand = Stand::new();
    let id = stand.contact(json!({"email": "Ada@Example.com", "phone": "+49 (30) 123-456", "tags": ["VIP", "vip"],
        "dateOfBirth": "12/10/1815", "customFields": [{"id": "cf1", "field_value": 7}], "gender": "female"}));
    assert_eq!((id.len(), stand.events()), (20, vec!["ContactCreate"]));
    let path = format!("/contacts/{id}");
    let held = stand.done(200, "GET", &path, None)["contact"].clone();
    let seen =
        ["email", "emailLowerCase", "phone", "name", "dateOfBirth", "type"].map(|key| held[key].as_str().unwrap());
    assert_eq!(seen, ["Ada@Example.com", "ada@example.com", "+4930123456", "Ada Lovelace", "1815-12-10", "lead"]);
    assert_eq!((&held["tags"], &held["customFields"]), (&json!(["vip"]), &json!([{"id": "cf1", "value": 7}])));
    assert_eq!(held["dateUpdated"], "2026-11-21T09:00:00.000Z");

    stand.advance(60);
    let put = stand.done(200, "PUT", &path, json!({"firstName": "Augusta", "phone": null, "tags": ["New"]}));
    assert_eq!((&put["succeded"], &put["contact"]["dateUpdated"]), (&json!(true), &json!("2026-11-21T09:01:00.000Z")));
    assert_eq!((&put["contact"]["tags"], put["contact"].get("phone")), (&json!(["new"]), None));
    assert_eq!(put["contact"]["dateAdded"], "2026-11-21T09:00:00.000Z");
    assert_eq!(stand.events(), ["ContactUpdate", "ContactTagUpdate"]);

    assert_eq!(stand.done(200, "DELETE", &path, None)["succeded"], true);
    assert_eq!(stand.events(), ["ContactDelete"]);
    assert_eq!(stand.call("GET", &path, None).status, 400);
}

#[test]
fn upsert_updates_the_first_match_and_ignores_a_second_field_of_another_contact() {
    let mut stand = Stand::new();
    let by_email = stand.contact(json!({"email": "a@example.com"}));
    let by_phone = stand.contact(json!({"phone": "+4930111111"}));
    let body = json!({"locationId": LOCATION, "email": "A@example.com", "phone": "+4930111111", "city": "Berlin"});
    let answer = stand.done(200, "POST", "/contacts/upsert", body);
    assert_eq!((&answer["new"], &answer["contact"]["id"]), (&json!(false), &json!(by_email)));
    assert_eq!((answer["contact"].get("phone"), &answer["contact"]["city"]), (None, &json!("Berlin")));
    let fresh = stand.done(200, "POST", "/contacts/upsert", json!({"locationId": LOCATION, "email": "b@example.com"}));
    assert_eq!(fresh["new"], true);
    assert_ne!(fresh["contact"]["id"], json!(by_phone));
}

#[test]
fn duplicate_search_finds_by_email_and_by_number() {
    let mut stand = Stand::new();
    let id = stand.contact(json!({"email": "a+b@example.com", "phone": "+4930111111"}));
    for by in ["email=a%2Bb%40example.com", "number=%2B4930111111"] {
        let path = format!("/contacts/search/duplicate?locationId={LOCATION}&{by}");
        assert_eq!(stand.done(200, "GET", &path, None)["contact"]["id"], json!(id), "{by}");
    }
    let none = format!("/contacts/search/duplicate?locationId={LOCATION}&email=c%40example.com");
    assert_eq!(stand.done(200, "GET", &none, None)["contact"], Value::Null);
    let bare = stand.call("GET", &format!("/contacts/search/duplicate?locationId={LOCATION}"), None);
    assert_eq!(
        (bare.status, &bare.body["message"]),
        (400, &json!("Pass at least one of number, email query parameter"))
    );
}

#[test]
fn search_filters_by_time_sorts_and_goes_on_after_a_cursor() {
    let mut stand = Stand::new();
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ids.push(stand.contact(json!({"email": format!("{name}@example.com"), "tags": [name]})));
        stand.advance(10);
    }
    let mut found = |body: Value| {
        let mut whole =
            json!({"locationId": LOCATION, "pageLimit": 2, "sort": [{"field": "dateUpdated", "direction": "asc"}]});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let answer = stand.done(200, "POST", "/contacts/search", whole);
        let contacts = answer["contacts"].as_array().unwrap().clone();
        let shown: Vec<String> = contacts.iter().map(|contact| contact["id"].as_str().unwrap().to_owned()).collect();
        (shown, answer["total"].as_u64().unwrap(), contacts.last().map(|last| last["searchAfter"].clone()))
    };
    let (first, total, cursor) = found(json!({}));
    assert_eq!((&first[..], total), (&ids[..2], 4));
    assert_eq!(found(json!({"searchAfter": cursor})).0, ids[2..]);
    assert_eq!(found(json!({"page": 2})).0, ids[2..]);
    let since = json!({"field": "dateUpdated", "operator": "range", "value": {"gte": "2026-11-21T09:00:10Z", "lt": "2026-11-21T09:00:30Z"}});
    assert_eq!(
        found(json!({"filters": [since]})),
        (ids[1..3].to_vec(), 2, Some(json!([1_795_251_620_000_i64, ids[2]])))
    );
    let either = json!({"group": "OR", "filters": [
        {"field": "tags", "operator": "eq", "value": "a"}, {"field": "email", "operator": "contains", "value": "D@EX"}]});
    assert_eq!(found(json!({"filters": [either]})).0, [ids[0].clone(), ids[3].clone()]);
}

#[test]
fn a_task_goes_its_whole_way_and_carries_no_dates() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com"}));
    let tasks = format!("/contacts/{contact}/tasks");
    let body = json!({"title": "Call", "body": "back", "dueDate": "2026-12-01T11:00:00+01:00", "completed": false});
    let task = stand.done(201, "POST", &tasks, body)["task"].clone();
    let id = task["id"].as_str().unwrap();
    assert_eq!(stand.events(), ["TaskCreate"]);
    let mut keys: Vec<&str> = task.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["body", "completed", "contactId", "dueDate", "id", "title"]);
    assert_eq!(task["dueDate"], "2026-12-01T10:00:00.000Z");

    let path = format!("{tasks}/{id}");
    assert_eq!(stand.done(200, "PUT", &path, json!({"title": "Write"}))["task"]["title"], "Write");
    assert_eq!(
        stand.done(200, "PUT", &format!("{path}/completed"), json!({"completed": true}))["task"]["completed"],
        true
    );
    assert_eq!(stand.events(), ["TaskComplete"]);
    assert_eq!(stand.done(200, "GET", &path, None)["task"]["title"], "Write");
    assert_eq!(stand.done(200, "GET", &tasks, None)["tasks"].as_array().unwrap().len(), 1);
    let search = format!("/locations/{LOCATION}/tasks/search");
    let found = stand.done(200, "POST", &search, json!({"contactId": [contact], "completed": true, "limit": 5}));
    assert_eq!(found["tasks"][0]["contactId"], json!(contact));
    assert_eq!(stand.done(200, "POST", &search, json!({"completed": false}))["tasks"], json!([]));
    assert_eq!(stand.done(200, "DELETE", &path, None)["succeded"], true);
    assert_eq!(stand.events(), ["TaskDelete"]);
    assert_eq!(stand.call("GET", &path, None).status, 400);
}

#[test]
fn a_note_goes_its_whole_way_and_keeps_its_first_date() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com"}));
    let notes = format!("/contacts/{contact}/notes");
    let note = stand.done(201, "POST", &notes, json!({"body": "Likes tea", "title": "Tea"}))["note"].clone();
    let path = format!("{notes}/{}", note["id"].as_str().unwrap());
    stand.advance(5);
    let put = stand.done(200, "PUT", &path, json!({"body": "Likes coffee"}))["note"].clone();
    assert_eq!((&put["dateAdded"], &put["title"]), (&note["dateAdded"], &json!("Tea")));
    assert_eq!(stand.events(), ["NoteUpdate"]);
    assert_eq!(stand.sent[0].body.get("title"), None);
    assert_eq!(stand.done(200, "GET", &path, None)["note"], put);
    assert_eq!(stand.done(200, "GET", &notes, None)["notes"], json!([put]));
    stand.done(200, "DELETE", &path, None);
    assert_eq!(stand.events(), ["NoteDelete"]);
    assert_eq!(stand.done(200, "GET", &notes, None)["notes"], json!([]));
}

#[test]
fn tags_are_added_and_removed_by_name_and_known_to_the_location() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com", "tags": ["one"]}));
    stand.advance(5);
    let tags = format!("/contacts/{contact}/tags");
    assert_eq!(stand.done(201, "POST", &tags, json!({"tags": ["Two", "ONE"]}))["tags"], json!(["one", "two"]));
    assert_eq!(stand.events(), ["ContactTagUpdate"]);
    assert_eq!(stand.sent[0].body["tags"], json!(["one", "two"]));
    assert_eq!(stand.done(200, "DELETE", &tags, json!({"tags": ["ONE"]}))["tags"], json!(["two"]));
    let held = stand.done(200, "GET", &format!("/contacts/{contact}"), None);
    assert_eq!(held["contact"]["dateUpdated"], "2026-11-21T09:00:05.000Z");
    let known = stand.done(200, "GET", &format!("/locations/{LOCATION}/tags"), None);
    let names: Vec<&str> = known["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn an_appointment_shows_its_last_update_only_when_read() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com"}));
    let id = stand.appointment(&contact, "2026-12-01T10:00:00Z");
    assert_eq!(stand.events(), ["AppointmentCreate"]);
    let path = format!("/calendars/events/appointments/{id}");
    stand.advance(30);
    let put =
        stand.done(200, "PUT", &path, json!({"startTime": "2026-12-01T12:00:00Z", "ignoreFreeSlotValidation": true}));
    assert_eq!(
        (&put["startTime"], &put["endTime"]),
        (&json!("2026-12-01T13:00:00+01:00"), &json!("2026-12-01T13:30:00+01:00"))
    );
    assert_eq!((put.get("dateUpdated"), stand.events()), (None, vec!["AppointmentUpdate"]));
    let read = stand.done(200, "GET", &path, None)["event"].clone();
    assert_eq!(
        (&read["dateAdded"], &read["dateUpdated"]),
        (&json!("2026-11-21T09:00:00.000Z"), &json!("2026-11-21T09:00:30.000Z"))
    );

    let span = "startTime=1796083200000&endTime=1796169600000";
    let list = format!("/calendars/events?locationId={LOCATION}&calendarId={CALENDAR}&{span}");
    assert_eq!(stand.done(200, "GET", &list, None)["events"], json!([read]));
    let of_contact = stand.done(200, "GET", &format!("/contacts/{contact}/appointments"), None)["events"][0].clone();
    assert_eq!((&of_contact["startTime"], &of_contact["status"]), (&json!("2026-12-01 13:00:00"), &json!("confirmed")));

    stand.done(200, "PUT", &path, json!({"appointmentStatus": "cancelled"}));
    assert_eq!(stand.sent[0].body["appointment"]["appointmentStatus"], "cancelled");
    assert_eq!(stand.done(201, "DELETE", &format!("/calendars/events/{id}"), json!({}))["succeeded"], true);
    assert_eq!(stand.events(), ["AppointmentDelete"]);
    assert_eq!(stand.done(200, "GET", &list, None)["events"], json!([]));
}

#[test]
fn calendars_and_locations_can_be_read() {
    let mut stand = Stand::new();
    let list = stand.done(200, "GET", &format!("/calendars/?locationId={LOCATION}"), None);
    assert_eq!(list["calendars"][0]["id"], CALENDAR);
    assert_eq!(stand.done(200, "GET", &format!("/calendars/{CALENDAR}"), None)["calendar"]["name"], "Intake");
    let location = stand.done(200, "GET", &format!("/locations/{LOCATION}"), None)["location"].clone();
    assert_eq!(
        (&location["timezone"], &location["settings"]["allowDuplicateContact"]),
        (&json!("Europe/Berlin"), &json!(false))
    );
}
