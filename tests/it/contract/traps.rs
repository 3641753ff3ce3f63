//! The vendor's traps: what is refused, in whose words, and what changes without a word.

use lockstep::sandbox::World;
use rstest::rstest;
use serde_json::json;

use super::stand::{CALENDAR, FOREIGN, LOCATION, Stand};

#[test]
fn an_unknown_object_is_a_400_not_a_404() {
    let mut stand = Stand::new();
    let reply = stand.call("GET", "/contacts/lookup", None);
    assert_eq!((reply.status, &reply.body["message"]), (400, &json!("Contact with id lookup not found")));
    assert_eq!(stand.call("GET", "/calendars/events/appointments/none", None).status, 400);
    let route = stand.send(&Stand::request("GET", "/hooks", None));
    assert_eq!((route.status, route.body["traceId"].is_string()), (404, true));
}

#[test]
fn a_duplicate_is_refused_with_the_id_of_the_existing_contact() {
    let mut stand = Stand::new();
    let id = stand.contact(json!({"email": "a@example.com", "phone": "+4930111111"}));
    for (body, field) in [(json!({"email": "A@Example.com"}), "email"), (json!({"phone": "+49 30 111111"}), "phone")] {
        let mut body = body;
        body["locationId"] = LOCATION.into();
        let reply = stand.call("POST", "/contacts/", body);
        assert_eq!(reply.status, 400);
        assert_eq!(reply.body["message"], "This location does not allow duplicated contacts.");
        assert_eq!(reply.body["meta"], json!({"contactId": id, "contactName": "Ada Lovelace", "matchingField": field}));
    }
    stand.ghl.settings_mut().locations[0].allow_duplicates = true;
    assert_ne!(stand.contact(json!({"email": "a@example.com"})), id);
}

#[rstest]
#[case::no_version(&[("version", None)], 401, "version header was not found.")]
#[case::odd_version(&[("version", Some("bogus"))], 400, "Invalid API version segment 'bogus' at position 0")]
#[case::no_token(&[("authorization", None)], 401, "Invalid token: access token is invalid")]
#[case::wrong_token(&[("authorization", Some("Bearer pit-nobody"))], 401, "Invalid token: access token is invalid")]
#[case::foreign_token(&[("authorization", Some("Bearer pit-two"))], 403, "The token does not have access to this location.")]
fn a_caller_is_refused_in_the_vendors_words(
    #[case] headers: &[(&'static str, Option<&'static str>)],
    #[case] status: u16,
    #[case] message: &str,
) {
    let mut stand = Stand::new();
    let id = stand.contact(json!({"email": "a@example.com"}));
    let mut request = Stand::request("DELETE", &format!("/contacts/{id}"), None);
    for (name, value) in headers {
        request.headers_mut().remove(*name);
        if let Some(value) = value {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
    }
    let reply = stand.send(&request);
    assert_eq!((reply.status, reply.body["message"].as_str().unwrap()), (status, message));
    assert_eq!(stand.done(200, "GET", &format!("/contacts/{id}"), None)["contact"]["id"], json!(id));
}

#[test]
fn a_token_without_the_scope_or_of_another_location_is_refused() {
    let mut stand = Stand::new();
    stand.ghl.settings_mut().tokens[0].scopes.retain(|scope| scope != "contacts.write");
    let body = json!({"locationId": LOCATION, "email": "a@example.com"});
    let reply = stand.call("POST", "/contacts/", body);
    assert_eq!((reply.status, &reply.body["message"]), (401, &json!("The token is not authorized for this scope.")));
    let foreign = stand.call("GET", &format!("/locations/{FOREIGN}"), None);
    assert_eq!(foreign.status, 403);
}

#[test]
fn unknown_keys_are_refused_with_a_list_in_bodies_and_queries() {
    let mut stand = Stand::new();
    let id = stand.contact(json!({"email": "a@example.com"}));
    let put = stand.call("PUT", &format!("/contacts/{id}"), json!({"locationId": LOCATION, "dnd": "no"}));
    assert_eq!(put.status, 422);
    assert_eq!(put.body["message"], json!(["property locationId should not exist", "dnd must be a boolean value"]));
    assert_eq!(put.body["error"], "Unprocessable Entity");
    let query = stand.call("GET", &format!("/contacts/{id}?locationId={LOCATION}"), None);
    assert_eq!(query.body["message"], json!(["property locationId should not exist"]));
    let task = stand.call("POST", &format!("/contacts/{id}/tasks"), json!({"title": "x", "dueDate": "soon"}));
    let wanted = json!(["dueDate must be a valid ISO 8601 date string", "completed should not be empty"]);
    assert_eq!((task.status, &task.body["message"]), (422, &wanted));
    assert_eq!(stand.call("POST", "/contacts/", json!({"locationId": LOCATION, "email": "a@b"})).status, 422);
}

#[test]
fn the_101st_request_in_ten_seconds_is_refused_and_the_next_window_is_open() {
    let mut stand = Stand::new();
    let path = format!("/locations/{LOCATION}");
    for left in (0..100).rev() {
        let reply = stand.call("GET", &path, None);
        assert_eq!((reply.status, &reply.headers["x-ratelimit-remaining"]), (200, &left.to_string().parse().unwrap()));
    }
    let reply = stand.call("GET", &path, None);
    assert_eq!(reply.status, 429);
    let shown = ["limit-daily", "daily-remaining", "interval-milliseconds", "max", "remaining"];
    let shown = shown.map(|name| reply.headers[&format!("x-ratelimit-{name}")].to_str().unwrap().to_owned());
    assert_eq!(shown, ["200000", "199900", "10000", "100", "0"]);
    let mut other = Stand::request("GET", &format!("/locations/{FOREIGN}"), None);
    other.headers_mut().insert("authorization", "Bearer pit-two".parse().unwrap());
    assert_eq!(stand.send(&other).status, 200);
    stand.advance(10);
    assert_eq!(stand.call("GET", &path, None).status, 200);
}

#[test]
fn search_lags_behind_a_write() {
    let mut stand = Stand::new();
    stand.ghl.settings_mut().search_lag_ms = 3_000;
    let id = stand.contact(json!({"email": "a@example.com"}));
    let total = |stand: &mut Stand| {
        stand.done(200, "POST", "/contacts/search", json!({"locationId": LOCATION, "pageLimit": 10}))["total"].clone()
    };
    assert_eq!(total(&mut stand), 0);
    stand.advance(3);
    assert_eq!(total(&mut stand), 1);
    stand.done(200, "DELETE", &format!("/contacts/{id}"), None);
    assert_eq!(total(&mut stand), 1);
    stand.advance(3);
    assert_eq!(total(&mut stand), 0);
}

#[test]
fn a_slot_is_given_once_unless_validation_is_waived() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com"}));
    let mut body = json!({"calendarId": CALENDAR, "locationId": LOCATION, "contactId": contact,
        "startTime": "2026-12-01T11:00:00+01:00", "endTime": "2026-12-01T12:00:00+01:00"});
    stand.done(200, "POST", "/calendars/events/appointments", body.clone());
    let reply = stand.call("POST", "/calendars/events/appointments", body.clone());
    assert_eq!((reply.status, stand.sent.len()), (400, 0));
    assert_eq!(reply.body["message"], "The slot you have selected is no longer available.");
    body["ignoreFreeSlotValidation"] = true.into();
    stand.done(200, "POST", "/calendars/events/appointments", body);
}

#[test]
fn answers_carry_the_date_of_the_vendors_own_clock() {
    let mut stand = Stand::new();
    let reply = stand.call("GET", &format!("/locations/{LOCATION}"), None);
    assert_eq!(reply.headers["date"], "Sat, 21 Nov 2026 09:00:00 GMT");
}

#[test]
fn bodies_that_are_no_json_are_refused_or_not_read() {
    let mut stand = Stand::new();
    let mut request = Stand::request("POST", "/contacts/", None);
    *request.body_mut() = "{\"locationId\":".into();
    assert_eq!(stand.send(&request).status, 400);
    request.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(stand.send(&request).body["message"], json!(["locationId should not be empty"]));
}

#[test]
fn a_refused_write_leaves_no_trace() {
    let mut stand = Stand::new();
    stand.contact(json!({"email": "a@example.com"}));
    let before = stand.ghl.state();
    stand.call("POST", "/contacts/", json!({"locationId": LOCATION, "email": "a@example.com"}));
    stand.call("POST", "/contacts/", json!({"locationId": LOCATION, "city": "Berlin"}));
    assert_eq!((stand.ghl.state(), stand.sent.len()), (before, 0));
}
