//! Each row of the stand-in's route table against the documents: that it answers as documented, under which scope, with which
//! status, and exactly which keys it takes.

use std::collections::BTreeSet;

use lockstep::sandbox::ghl::{Ghl, RouteRow};
use serde_json::{Value, json};

use super::lies;
use super::openapi::{body_keys, operation, promises, query_keys};
use super::stand::{CALENDAR, LOCATION, Stand};

/// A path of the row as the documents have it, with ids that the stand-in does not know, and the name of its operation. The
/// first id of a location's path is the stand's location, so that the token fits.
fn documented(row: &RouteRow) -> (String, String) {
    let ours = row.path.replacen("locations/{}", &format!("locations/{LOCATION}"), 1);
    let path = format!("/{}", ours.replace("{}", "none"));
    let paths = [path.clone(), format!("{path}/")];
    let found = paths.into_iter().find_map(|path| operation(row.method, &path).map(|name| (path, name)));
    found.unwrap_or_else(|| panic!("{} {} is in no document", row.method, row.path))
}

#[test]
fn each_row_asks_for_the_documented_scope_and_answers_with_the_documented_status() {
    for row in Ghl::routes() {
        let (path, name) = documented(&row);
        let (mut scopes, statuses) = promises(row.method, &path).unwrap();
        scopes.extend(lies::UNLISTED_SCOPES.iter().filter(|lie| lie.0 == name).map(|lie| lie.1.to_owned()));
        assert!(scopes.iter().any(|scope| scope == row.scope), "{name}: {} is none of {scopes:?}", row.scope);
        assert!(statuses.contains(&row.status.to_string()), "{name}: {} is none of {statuses:?}", row.status);
    }
}

#[test]
fn each_row_takes_exactly_the_documented_keys_in_its_body() {
    let all: BTreeSet<String> = Ghl::routes().flat_map(|row| body_keys(row.method, &documented(&row).0)).collect();
    for row in Ghl::routes() {
        let (path, name) = documented(&row);
        let mut body: Value = all.iter().map(|key| (key.clone(), json!(0))).collect();
        body["strange"] = 0.into();
        let query = if query_keys(row.method, &path).is_empty() { String::new() } else { complete_query(&row) };
        let reply = Stand::new().send(&Stand::request(row.method, &format!("{path}{query}"), Some(&body)));
        let messages = reply.body["message"].as_array().unwrap_or_else(|| panic!("{name}: {}", reply.body));
        let refused = |key: &String| messages.contains(&json!(format!("property {key} should not exist")));
        let wanted: BTreeSet<String> = body_keys(row.method, &path).into_iter().collect();
        let taken: BTreeSet<String> = all.iter().filter(|key| !refused(key)).cloned().collect();
        assert_eq!(taken, wanted, "{name}");
        assert!(refused(&"strange".to_owned()), "{name}");
    }
}

/// A query with all keys that the row demands.
fn complete_query(row: &RouteRow) -> String {
    match row.path {
        "calendars/events" | "calendars/blocked-slots" => format!("?locationId={LOCATION}&startTime=0&endTime=1"),
        "calendars/{}/free-slots" => "?startDate=0&endDate=1".to_owned(),
        "calendars/appointments/{}/notes" => "?limit=1&offset=0".to_owned(),
        "users/search" => "?companyId=c".to_owned(),
        "locations/{}/customFields" => String::new(),
        _ => format!("?locationId={LOCATION}"),
    }
}

#[test]
fn each_row_takes_exactly_the_documented_keys_in_its_query() {
    let all: BTreeSet<String> = Ghl::routes().flat_map(|row| query_keys(row.method, &documented(&row).0)).collect();
    for row in Ghl::routes() {
        let (path, name) = documented(&row);
        let pairs = all.iter().map(|key| {
            let value = if key == "locationId" { LOCATION } else { "0" };
            format!("{key}={value}")
        });
        let query = pairs.chain(["strange=0".to_owned()]).collect::<Vec<_>>().join("&");
        let reply = Stand::new().send(&Stand::request(row.method, &format!("{path}?{query}"), None));
        let messages = reply.body["message"].as_array().unwrap_or_else(|| panic!("{name}: {}", reply.body));
        let refused = |key: &String| messages.contains(&json!(format!("property {key} should not exist")));
        let wanted: BTreeSet<String> = query_keys(row.method, &path).into_iter().collect();
        let taken: BTreeSet<String> = all.iter().filter(|key| !refused(key)).cloned().collect();
        assert_eq!(taken, wanted, "{name}");
        assert!(refused(&"strange".to_owned()), "{name}");
    }
}

#[test]
fn each_row_answers_as_documented() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com", "tags": ["vip"]}));
    contacts(&mut stand, &contact);
    attached(&mut stand, &contact);
    calendars(&mut stand, &contact);
    locations(&mut stand);
    stand.done(200, "DELETE", &format!("/contacts/{contact}"), None);
    let rows: BTreeSet<String> = Ghl::routes().map(|row| documented(&row).1).collect();
    assert_eq!(stand.answered, rows);
}

fn contacts(stand: &mut Stand, contact: &str) {
    let path = format!("/contacts/{contact}");
    let business = json!({"locationId": LOCATION, "name": "Engines Ltd", "city": "London"});
    let business = stand.done(201, "POST", "/businesses/", business)["buiseness"]["id"].as_str().unwrap().to_owned();
    let bulk = json!({"locationId": LOCATION, "ids": [contact], "businessId": business});
    assert_eq!(stand.done(200, "POST", "/contacts/bulk/business", bulk)["ids"], json!([contact]));
    stand.done(200, "GET", &path, None);
    stand.done(200, "PUT", &path, json!({"city": "Berlin", "dndSettings": {"SMS": {"status": "active"}}}));
    stand.done(200, "POST", "/contacts/upsert", json!({"locationId": LOCATION, "email": "a@example.com"}));
    stand.done(200, "POST", "/contacts/search", json!({"locationId": LOCATION, "pageLimit": 1}));
    stand.done(200, "GET", &format!("/contacts/?locationId={LOCATION}&limit=1&query=ada"), None);
    stand.done(200, "GET", &format!("/contacts/business/{business}?locationId={LOCATION}&limit=5&skip=0"), None);
    stand.done(200, "GET", &format!("/contacts/search/duplicate?locationId={LOCATION}&email=a%40example.com"), None);
    let tags = json!({"locationId": LOCATION, "contacts": [contact, "abc"], "tags": ["new"]});
    assert_eq!(stand.done(201, "POST", "/contacts/bulk/tags/update/add", tags)["errorCount"], 1);
    stand.done(201, "POST", &format!("{path}/tags"), json!({"tags": ["x"]}));
    stand.done(200, "DELETE", &format!("{path}/tags"), json!({"tags": ["x"]}));
    stand.done(201, "POST", &format!("{path}/followers"), json!({"followers": ["u1"]}));
    stand.done(200, "DELETE", &format!("{path}/followers"), json!({"followers": ["u1"]}));

    let of_it = format!("/businesses/{business}");
    stand.done(200, "GET", &format!("/businesses/?locationId={LOCATION}&limit=5&skip=0"), None);
    assert_eq!(stand.done(200, "GET", &of_it, None)["business"]["name"], "Engines Ltd");
    stand.done(200, "PUT", &of_it, json!({"city": "Paris"}));
    assert_eq!(stand.done(200, "DELETE", &of_it, None)["success"], true);
}

fn attached(stand: &mut Stand, contact: &str) {
    let tasks = format!("/contacts/{contact}/tasks");
    let body = json!({"title": "Call", "dueDate": "2026-12-01T10:00:00Z", "completed": false});
    let task = format!("{tasks}/{}", stand.done(201, "POST", &tasks, body)["task"]["id"].as_str().unwrap());
    stand.done(200, "GET", &tasks, None);
    stand.done(200, "GET", &task, None);
    stand.done(200, "PUT", &task, json!({"title": "Write"}));
    stand.done(200, "PUT", &format!("{task}/completed"), json!({"completed": true}));
    stand.done(200, "POST", &format!("/locations/{LOCATION}/tasks/search"), json!({}));
    stand.done(200, "DELETE", &task, None);
    let notes = format!("/contacts/{contact}/notes");
    let note = stand.done(201, "POST", &notes, json!({"body": "Tea"}))["note"]["id"].clone();
    let note = format!("{notes}/{}", note.as_str().unwrap());
    stand.done(200, "GET", &notes, None);
    stand.done(200, "GET", &note, None);
    stand.done(200, "PUT", &note, json!({"body": "Coffee", "pinned": true}));
    stand.done(200, "DELETE", &note, None);
}

fn calendars(stand: &mut Stand, contact: &str) {
    let id = stand.appointment(contact, "2026-12-01T10:00:00Z");
    let path = format!("/calendars/events/appointments/{id}");
    stand.done(200, "GET", &format!("/calendars/?locationId={LOCATION}"), None);
    stand.done(200, "GET", &format!("/calendars/{CALENDAR}"), None);
    let day = "1796083200000&endDate=1796169600000&timezone=America/Chicago";
    stand.done(200, "GET", &format!("/calendars/{CALENDAR}/free-slots?startDate={day}"), None);
    stand.done(200, "GET", &path, None);
    stand.done(200, "PUT", &path, json!({"title": "Second talk"}));
    let span = format!("locationId={LOCATION}&calendarId={CALENDAR}&startTime=1796083200000&endTime=1796169600000");
    let events = stand.done(200, "GET", &format!("/calendars/events?{span}"), None);
    assert_eq!(events["events"][0]["id"], json!(id));
    stand.done(200, "GET", &format!("/contacts/{contact}/appointments"), None);

    let block = json!({"locationId": LOCATION, "calendarId": CALENDAR, "title": "Away",
        "startTime": "2026-12-01T14:00:00Z", "endTime": "2026-12-01T15:00:00Z"});
    let blocked = stand.done(201, "POST", "/calendars/events/block-slots", block.clone());
    let put = format!("/calendars/events/block-slots/{}", blocked["id"].as_str().unwrap());
    stand.done(201, "PUT", &put, block);
    let blocks = stand.done(200, "GET", &format!("/calendars/blocked-slots?{span}"), None);
    assert_eq!(blocks["events"].as_array().unwrap().len(), 1);

    let notes = format!("/calendars/appointments/{id}/notes");
    let note = stand.done(201, "POST", &notes, json!({"body": "Bring tea"}))["note"]["id"].clone();
    let note = format!("{notes}/{}", note.as_str().unwrap());
    stand.done(200, "GET", &format!("{notes}?limit=20&offset=0"), None);
    stand.done(200, "PUT", &note, json!({"body": "Bring coffee"}));
    stand.done(200, "DELETE", &note, None);
    stand.done(201, "DELETE", &format!("/calendars/events/{id}"), json!({}));
}

fn locations(stand: &mut Stand) {
    let path = format!("/locations/{LOCATION}");
    stand.done(200, "GET", &path, None);
    assert_eq!(
        stand.done(200, "POST", &format!("{path}/tags"), json!({"name": "Early Bird"}))["tag"]["name"],
        "early bird"
    );
    stand.done(200, "GET", &format!("{path}/tags"), None);
    let field = json!({"name": "Shoe Size", "dataType": "TEXT", "model": "contact"});
    let made = stand.done(201, "POST", &format!("{path}/customFields"), field)["customField"].clone();
    assert_eq!(made["fieldKey"], "contact.shoe_size");
    let listed = stand.done(200, "GET", &format!("{path}/customFields?model=contact"), None);
    assert_eq!(listed["customFields"], json!([made]));
    let users = stand.done(200, "GET", &format!("/users/?locationId={LOCATION}"), None)["users"].clone();
    let one = users[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(stand.done(200, "GET", "/users/search?companyId=c&query=sandbox&limit=5", None)["count"], 1);
    assert_eq!(stand.done(200, "GET", &format!("/users/{one}"), None)["id"], json!(one));
}
