//! What the vendor's calendars mean beyond their shape: free and blocked slots, the rule of slots, notes of appointments.

use serde_json::json;

use super::semantics::ids;
use super::stand::{CALENDAR, LOCATION, Stand};

#[test]
fn free_slots_leave_out_what_is_booked_blocked_or_past() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com"}));
    // The 30th is a Monday; the stand's now is the 21st.
    let path = format!("/calendars/{CALENDAR}/free-slots?startDate=1795993200000&endDate=1796079599000");
    let slots = |stand: &mut Stand| -> Vec<String> {
        let body = stand.done(200, "GET", &path, None);
        body["2026-11-30"]["slots"].as_array().unwrap().iter().map(|slot| slot.as_str().unwrap().to_owned()).collect()
    };
    let all = slots(&mut stand);
    assert_eq!((all.len(), all[0].as_str()), (16, "2026-11-30T09:00:00+01:00"));
    stand.appointment(&contact, "2026-11-30T08:00:00Z");
    let block = json!({"locationId": LOCATION, "calendarId": CALENDAR, "title": "Away",
        "startTime": "2026-11-30T15:00:00+01:00", "endTime": "2026-11-30T17:00:00+01:00"});
    let block = stand.done(201, "POST", "/calendars/events/block-slots", block)["id"].clone();
    assert_eq!(stand.events(), [""; 0]);
    let left = slots(&mut stand);
    assert_eq!((left[0].as_str(), left.len()), ("2026-11-30T09:30:00+01:00", 11));
    stand.done(201, "DELETE", &format!("/calendars/events/{}", block.as_str().unwrap()), json!({}));
    assert_eq!(slots(&mut stand).len(), 15);
    stand.advance(9 * 86_400 + 4 * 3_600);
    assert_eq!(slots(&mut stand)[0], "2026-11-30T14:00:00+01:00");
    let chicago = stand.done(200, "GET", &format!("{path}&timezone=America/Chicago"), None);
    assert_eq!(chicago["2026-11-30"]["slots"][0], "2026-11-30T07:00:00-06:00");
}

#[test]
fn free_slots_span_31_days_at_most_and_know_no_location() {
    let mut stand = Stand::new();
    let path = format!("/calendars/{CALENDAR}/free-slots?startDate=0&endDate=");
    assert_eq!(stand.call("GET", &format!("{path}2678400000"), None).status, 200);
    assert_eq!(stand.call("GET", &format!("{path}2678400001"), None).status, 400);
    let reply = stand.call("GET", &format!("{path}1&locationId={LOCATION}"), None);
    assert_eq!((reply.status, &reply.body["message"]), (422, &json!(["property locationId should not exist"])));
}

#[test]
fn a_slot_is_booked_as_it_is_written_and_not_as_the_same_instant_elsewhere() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com"}));
    let book = |stand: &mut Stand, start: &str| {
        let body = json!({"calendarId": CALENDAR, "locationId": LOCATION, "contactId": contact, "startTime": start});
        stand.call("POST", "/calendars/events/appointments", body)
    };
    for start in ["2026-12-01T10:00:00Z", "2026-12-01T11:10:00+01:00", "2026-12-01T20:00:00+01:00"] {
        let reply = book(&mut stand, start);
        let message = "The slot you have selected is no longer available.";
        assert_eq!((reply.status, &reply.body["message"]), (400, &json!(message)), "{start}");
    }
    let id = book(&mut stand, "2026-12-01T11:00:00+01:00").body["id"].as_str().unwrap().to_owned();
    let path = format!("/calendars/events/appointments/{id}");
    assert_eq!(stand.call("PUT", &path, json!({"startTime": "2026-12-01T10:30:00Z"})).status, 400);
    stand.done(200, "PUT", &path, json!({"startTime": "2026-12-01T11:30:00+01:00"}));
    stand.done(200, "PUT", &path, json!({"title": "Still there"}));
}

#[test]
fn some_calendars_demand_a_user() {
    let mut stand = Stand::new();
    stand.ghl.settings_mut().calendars[0].demands_user = true;
    let contact = stand.contact(json!({"email": "a@example.com"}));
    let mut body = json!({"calendarId": CALENDAR, "locationId": LOCATION, "contactId": contact,
        "startTime": "2026-12-01T11:00:00+01:00"});
    assert_eq!(stand.call("POST", "/calendars/events/appointments", body.clone()).status, 400);
    body["assignedUserId"] = "Usr0SandboxUser00001".into();
    stand.done(200, "POST", "/calendars/events/appointments", body);
}

#[test]
fn appointment_notes_are_paged_and_go_with_their_appointment() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com"}));
    let id = stand.appointment(&contact, "2026-12-01T10:00:00Z");
    let notes = format!("/calendars/appointments/{id}/notes");
    let mut made = Vec::new();
    for body in ["one", "two", "three"] {
        stand.advance(1);
        made.extend(ids(&json!([stand.done(201, "POST", &notes, json!({"body": body}))["note"]])));
        assert_eq!(stand.events(), [""; 0]);
    }
    let page = stand.done(200, "GET", &format!("{notes}?limit=2&offset=0"), None);
    assert_eq!((ids(&page["notes"]), &page["hasMore"]), (made[..2].to_vec(), &json!(true)));
    assert_eq!(page["notes"][0]["contactId"], json!(contact));
    let rest = stand.done(200, "GET", &format!("{notes}?limit=2&offset=2"), None);
    assert_eq!((ids(&rest["notes"]), &rest["hasMore"]), (made[2..].to_vec(), &json!(false)));
    assert_eq!(stand.call("GET", &format!("{notes}?limit=21&offset=0"), None).status, 422);
    assert_eq!(stand.call("POST", &notes, json!({"body": "x".repeat(5_001)})).status, 422);
    stand.done(201, "DELETE", &format!("/calendars/events/{id}"), json!({}));
    assert_eq!(stand.call("GET", &format!("{notes}?limit=2&offset=0"), None).status, 400);
}

#[test]
fn events_are_listed_by_calendar_user_or_group_only() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com"}));
    let id = stand.appointment(&contact, "2026-12-01T10:00:00Z");
    let span = format!("/calendars/events?locationId={LOCATION}&startTime=1796083200000&endTime=1796169600000");
    assert_eq!(stand.call("GET", &span, None).status, 400);
    for by in
        [format!("calendarId={CALENDAR}"), "userId=Usr0SandboxUser00001".into(), "groupId=Grp0SandboxGroup0001".into()]
    {
        assert_eq!(
            ids(&stand.done(200, "GET", &format!("{span}&{by}"), None)["events"]),
            std::slice::from_ref(&id),
            "{by}"
        );
    }
    assert_eq!(stand.done(200, "GET", &format!("{span}&userId=other"), None)["events"], json!([]));
}

#[test]
fn a_recurring_appointment_names_its_master() {
    let mut stand = Stand::new();
    let contact = stand.contact(json!({"email": "a@example.com"}));
    let body = json!({"calendarId": CALENDAR, "locationId": LOCATION, "contactId": contact,
        "startTime": "2026-12-01T10:00:00Z", "ignoreFreeSlotValidation": true, "rrule": "RRULE:FREQ=DAILY;COUNT=5"});
    let id = stand.done(200, "POST", "/calendars/events/appointments", body)["id"].as_str().unwrap().to_owned();
    let read = stand.done(200, "GET", &format!("/calendars/events/appointments/{id}"), None)["event"].clone();
    assert_eq!((&read["masterEventId"], &read["isRecurring"]), (&json!(id), &json!(true)));
}
