//! What v3 says otherwise, judged by its own documents; refused until the switch is on.

use serde_json::{Value, json};

use super::openapi::Version;
use super::stand::{CALENDAR, LOCATION, Stand};

fn stand() -> Stand {
    let mut stand = Stand::new();
    stand.ghl.settings_mut().v3 = true;
    stand.version = Version::V3;
    stand
}

#[test]
fn v3_is_refused_until_it_is_switched_on() {
    let mut stand = stand();
    stand.ghl.settings_mut().v3 = false;
    let reply = stand.call("GET", &format!("/locations/{LOCATION}"), None);
    assert_eq!((reply.status, &reply.body["message"]), (400, &json!("Invalid API version segment 'v3' at position 0")));
    stand.ghl.settings_mut().v3 = true;
    stand.done(200, "GET", &format!("/locations/{LOCATION}"), None);
}

#[test]
fn a_v3_contact_has_camel_case_keys() {
    let mut stand = stand();
    let dnd = json!({"sms": {"status": "active"}, "whatsApp": {"status": "inactive"}});
    let id = stand.contact(json!({"email": "a@example.com", "dndSettings": dnd,
        "customFields": [{"id": "cf1", "fieldValue": "36"}]}));
    let path = format!("/contacts/{id}");
    let held = stand.done(200, "GET", &path, None)["contact"].clone();
    assert_eq!((&held["dndSettings"], &held["customFields"]), (&dnd, &json!([{"id": "cf1", "value": "36"}])));
    let found = stand.done(200, "POST", "/contacts/search", json!({"locationId": LOCATION, "pageLimit": 1}));
    assert_eq!(found["contacts"][0]["dndSettings"], dnd);
    let put = stand.done(200, "PUT", &path, json!({"city": "Berlin"}));
    assert_eq!((&put["succeeded"], put.get("succeded")), (&json!(true), None));
    for old in [json!({"customFields": [{"id": "cf1", "field_value": "37"}]}), json!({"dndSettings": {"SMS": {}}})] {
        assert_eq!(stand.call("PUT", &path, old).status, 422);
    }
    assert_eq!(stand.done(200, "DELETE", &path, None)["succeeded"], true);
    stand.version = Version::V2;
    let older = stand.contact(json!({"email": "b@example.com", "dndSettings": {"SMS": {"status": "active"}}}));
    let older = stand.done(200, "GET", &format!("/contacts/{older}"), None)["contact"]["dndSettings"].clone();
    assert_eq!(older, json!({"SMS": {"status": "active"}}));
}

#[test]
fn v3_has_no_list_of_contacts() {
    let mut stand = stand();
    let path = format!("/contacts/?locationId={LOCATION}");
    let mut request = Stand::request("GET", &path, None);
    request.headers_mut().insert("version", "v3".parse().unwrap());
    assert_eq!(stand.send(&request).status, 404);
    stand.version = Version::V2;
    assert_eq!(stand.done(200, "GET", &path, None)["contacts"], json!([]));
}

#[test]
fn a_v3_write_of_an_appointment_answers_with_its_dates_and_knows_more_statuses() {
    let mut stand = stand();
    let contact = stand.contact(json!({"email": "a@example.com"}));
    let body = json!({"calendarId": CALENDAR, "locationId": LOCATION, "contactId": contact,
        "startTime": "2026-12-01T10:00:00Z", "ignoreFreeSlotValidation": true});
    let path = "/calendars/events/appointments";
    let made = stand.done(200, "POST", path, body);
    stand.advance(5);
    let put = stand.done(200, "PUT", &format!("{path}/{}", made["id"].as_str().unwrap()), json!({"title": "New"}));
    let path = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(stand.done(200, "PUT", &path, json!({"appointmentStatus": "active"}))["appointmentStatus"], "active");
    stand.version = Version::V2;
    assert_eq!(stand.call("PUT", &path, json!({"appointmentStatus": "completed"})).status, 422);
    let dates = |answer: &Value| ["dateAdded", "dateUpdated"].map(|key| answer[key].as_str().unwrap().to_owned());
    let (first, second) = ("2026-11-21T09:00:00.000Z", "2026-11-21T09:00:05.000Z");
    assert_eq!((dates(&made), dates(&put)), ([first, first].map(str::to_owned), [first, second].map(str::to_owned)));
}
