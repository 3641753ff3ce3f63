use rstest::rstest;
use serde_json::{Value as Json, json};

use super::door::{observe, read_envelope};
use super::*;
use crate::clock::Millis;
use crate::model::{Action, Class, ExternalId, Field, Fields, Kind, Moved, Observation, Shape, Standing, Value};
use crate::systems::testing::{Script, Told, caller, change, place, step, told, told_with};
use crate::systems::{Expressed, Home, SystemError, Target, Terms};
use std::sync::Arc;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/timerex/", $name, ".json"))
    };
}

mod guests;
mod traps;

const CONFIRMED: &str = fixture!("event_confirmed");

fn team() -> Team {
    let row = |name: &str, id: &str, path: &str| CalendarRow {
        name: name.to_owned(),
        timerex: Some(id.to_owned()),
        timerex_url_path: Some(path.to_owned()),
        ..CalendarRow::default()
    };
    let calendars = vec![row("intro", "0c1d2e3f405162738495", "9f8e7d6c"), row("second", "cal2", "path2")];
    Team {
        url_path: "example_team_1a2b".to_owned(),
        calendars,
        region: Some("JP".to_owned()),
        questions: Vec::new(),
        notify: true,
    }
}

fn timerex(told: impl IntoIterator<Item = Told>) -> (Timerex, Arc<Script>) {
    let (caller, script) = caller(System::Timerex, told);
    (Timerex::new(caller, team()), script)
}

fn seen(body: &str) -> Observation {
    observe(body.as_bytes(), &team(), |at| at).unwrap()
}

fn changed_body(body: &str, edit: impl FnOnce(&mut Json)) -> String {
    let mut json: Json = serde_json::from_str(body).unwrap();
    edit(&mut json);
    json.to_string()
}

fn at(text: &str) -> Millis {
    Millis::parse(text).unwrap()
}

fn booked(status: &str, start: &str, end: &str) -> Fields {
    [
        (Field::STATUS, Value::text(status)),
        (Field::START, Value::Instant(at(start))),
        (Field::END, Value::Instant(at(end))),
        (Field::CALENDAR, Value::text("intro")),
        (Field::TITLE, Value::text("Intro call 60")),
    ]
    .into()
}

#[rstest]
#[case::zoom(CONFIRMED)]
#[case::google_meet(fixture!("event_confirmed_google_meet"))]
#[case::older_shape(fixture!("event_confirmed_older_shape"))]
fn a_confirmed_booking_is_a_version_with_all_its_fields(#[case] body: &str) {
    let one = seen(body);
    let created = at("2026-03-02T04:05:06Z");
    assert_eq!((one.kind, one.id.as_str(), one.parent), (Kind::Appointment, "1111aaaa2222bbbb3333", None));
    assert_eq!((one.class, one.at), (Class::Versioned(created), Some(created)));
    assert_eq!(one.shape, Shape::Full(booked("confirmed", "2026-03-10T01:00:00Z", "2026-03-10T02:00:00Z")));
    assert_eq!(one.moved, None);
}

#[rstest]
#[case::documented_status_3(fixture!("event_cancelled"))]
#[case::observed_status_2(fixture!("event_cancelled_status2"))]
fn the_type_decides_that_a_booking_is_cancelled_and_not_its_number(#[case] body: &str) {
    let one = seen(body);
    assert_eq!(one.class, Class::Versioned(at("2026-03-05T00:10:00Z")));
    assert_eq!(one.shape, Shape::Full(booked("cancelled", "2026-03-10T01:00:00Z", "2026-03-10T02:00:00Z")));
    assert_eq!(one.moved, None);
}

#[test]
fn a_cancelled_booking_of_the_older_shape_is_a_claim() {
    let body = changed_body(fixture!("event_cancelled"), |json| {
        let event = json["event"].as_object_mut().unwrap();
        for key in
            ["created_at", "canceled_at", "calendar_id", "is_changed", "old_event_id", "new_event_id", "url_params"]
        {
            event.remove(key);
        }
    });
    let one = seen(&body);
    assert_eq!((one.class, one.at, one.moved.clone()), (Class::Claim, None, None));
    assert_eq!(one.fields().unwrap()[&Field::STATUS], Value::text("cancelled"));
    assert_eq!(one.fields().unwrap()[&Field::CALENDAR], Value::text("intro"));
    assert_eq!(read_envelope(body.as_bytes()).standing, Standing::Routed);
}

#[rstest]
#[case::as_described(fixture!("reschedule_1_old_cancelled"))]
#[case::misspelt_as_in_the_example(fixture!("reschedule_1_old_cancelled_documented_typo"))]
fn the_two_halves_of_a_move_name_each_other(#[case] old: &str) {
    let (old, new) = (seen(old), seen(fixture!("reschedule_2_new_confirmed")));
    assert_eq!(old.moved, Some(Moved::To(new.id.clone())));
    assert_eq!(new.moved, Some(Moved::From(old.id)));
}

#[test]
fn a_calendar_without_a_row_names_itself_alike_in_webhook_and_api() {
    let body = changed_body(CONFIRMED, |json| {
        json["calendar_url_path"] = json!("elsewhere");
        json["event"]["calendar_id"] = json!("ffff");
    });
    assert_eq!(seen(&body).fields().unwrap()[&Field::CALENDAR], Value::text("timerex:elsewhere"));
    let event = json!({ "id": 536_667, "status": "confirmed", "calendar_id": "ffff", "url": "https://timerex.net/s/t/elsewhere?a=b" });
    let read = bookings::read(&event, &team(), |at| at).unwrap();
    assert_eq!(read.fields().unwrap()[&Field::CALENDAR], Value::text("timerex:elsewhere"));
    assert_eq!(read.id, ExternalId::new("536667"));
    let bare = json!({ "id": "b", "status": "confirmed", "calendar_id": "ffff" });
    assert_eq!(bookings::read(&bare, &team(), |at| at).unwrap().fields().unwrap().get(&Field::CALENDAR), None);
}

#[test]
fn an_envelope_names_team_booking_type_and_moment() {
    let envelope = read_envelope(CONFIRMED.as_bytes());
    assert_eq!(envelope.delivery.as_deref(), Some("example_team_1a2b/1111aaaa2222bbbb3333/event_confirmed"));
    assert_eq!(envelope.account.as_deref(), Some("example_team_1a2b"));
    assert_eq!((envelope.kind, envelope.standing), (Some(Kind::Appointment), Standing::Routed));
    assert_eq!(envelope.at, Some(at("2026-03-02T04:05:06Z")));
    assert_eq!(read_envelope(b"{\"webhook_type\":\"event_x\"}").standing, Standing::NotMirrored);
    for bad in ["", "[]", "{}", "{\"webhook_type\":\"event_confirmed\"}"] {
        assert_eq!(read_envelope(bad.as_bytes()).standing, Standing::Unparsed, "{bad}");
        assert!(observe(bad.as_bytes(), &team(), |at| at).is_err(), "{bad}");
    }
}

#[rstest]
#[case::confirmed(fixture!("push_one_time_url_confirmed"), "one_time_url.confirmed")]
#[case::cancelled(fixture!("push_one_time_url_cancelled"), "one_time_url.cancelled")]
fn what_is_told_of_a_link_is_a_hint_about_it_and_names_no_account(#[case] body: &str, #[case] label: &str) {
    let envelope = read_envelope(body.as_bytes());
    assert_eq!((envelope.label.as_str(), envelope.standing), (label, Standing::NotMirrored));
    assert_eq!(envelope.object, Some(ExternalId::new("7777eeee8888ffff9999")));
    assert_eq!((envelope.account, envelope.delivery), (None, None));
}

#[rstest]
#[case("confirmed", "confirmed")]
#[case("new", "confirmed")]
#[case("showed", "confirmed")]
#[case("noshow", "confirmed")]
#[case("invalid", "confirmed")]
#[case("cancelled", "cancelled")]
fn only_the_word_cancelled_cancels_a_booking(#[case] ours: &str, #[case] theirs: &str) {
    let (timerex, _) = timerex([]);
    let (kind, field) = (Kind::Appointment, Field::STATUS);
    assert_eq!(timerex.express(kind, &field, &Value::text(ours)), Expressed::Holds(Value::text(theirs)));
    let carriers: &[Action] = if ours == "cancelled" { &[Action::Cancel] } else { &[] };
    assert_eq!(timerex.carriers(kind, &field, &Value::text(ours), false), carriers);
    assert!(timerex.carriers(kind, &Field::START, &Value::Instant(Millis(0)), false).is_empty());
}

#[test]
fn nothing_can_be_created_and_a_status_never_set_is_not_invented() {
    let (timerex, _) = timerex([]);
    assert_eq!(timerex.home(Kind::Appointment), Home::Native);
    assert!(matches!(timerex.home(Kind::Contact), Home::Kept(_)));
    assert!(Kind::ALL.iter().all(|kind| timerex.creates(*kind).is_err()));
    assert_eq!(timerex.express(Kind::Appointment, &Field::STATUS, &Value::Blank), Expressed::Holds(Value::Blank));
    assert_eq!(timerex.express(Kind::Contact, &Field::EMAIL, &Value::text("a")), Expressed::Absent);
    let observed = timerex.observe(&change(System::Timerex, false, CONFIRMED.as_bytes())).unwrap();
    assert_eq!(observed, [seen(CONFIRMED)]);
}

#[tokio::test]
async fn a_read_shows_the_booking_without_its_title() {
    let (timerex, script) = timerex([told_with(200, &[], fixture!("rest_get_event"))]);
    let reading = timerex.read(&place(Kind::Appointment, "1111aaaa2222bbbb3333")).await.unwrap();
    let mut expected = booked("confirmed", "2026-03-10T01:00:00Z", "2026-03-10T02:00:00Z");
    expected.remove(&Field::TITLE);
    assert_eq!(reading.observation.shape, Shape::Partial(expected));
    assert_eq!(reading.observation.class, Class::Current);
    assert_eq!(reading.observation.version, Some(at("2026-03-02T04:05:06Z")));
    assert!(reading.observation.guest.is_some());
    assert_eq!(script.asked()[0].0, "GET /events/1111aaaa2222bbbb3333");
}

#[tokio::test]
async fn a_missing_booking_is_gone() {
    let (timerex, _) = timerex([told(404, json!({ "message": "Not Found" }))]);
    let reading = timerex.read(&place(Kind::Appointment, "x")).await.unwrap();
    assert_eq!((reading.observation.shape, reading.status), (Shape::Gone, 404));
}

#[rstest]
#[case::redirect(told_with(302, &[("location", "https://timerex.net/login")], "<!DOCTYPE html>"))]
#[case::page(told_with(200, &[("content-type", "text/html")], "<!DOCTYPE html>"))]
#[tokio::test]
async fn a_login_page_is_a_refusal_of_the_key(#[case] answer: Told) {
    let (timerex, _) = timerex([answer]);
    let error = timerex.read(&place(Kind::Appointment, "x")).await.unwrap_err();
    assert!(matches!(error, SystemError::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn a_page_in_the_place_of_a_cancellations_answer_is_unclear() {
    let (timerex, script) = timerex([told_with(200, &[("content-type", "text/html")], "<!DOCTYPE html>")]);
    let cancel = step(Action::Cancel, Kind::Appointment, Some("b1"), Fields::new());
    assert!(matches!(timerex.apply(&cancel).await, Err(SystemError::Unclear { .. })));
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test]
async fn a_booking_that_is_cancelled_already_counts_as_cancelled() {
    let cancelled = changed_body(fixture!("rest_get_event"), |json| json["status"] = json!("cancelled"));
    let cancel =
        step(Action::Cancel, Kind::Appointment, Some("b1"), [(Field::STATUS, Value::text("cancelled"))].into());
    let (timerex, script) = timerex([
        told_with(200, &[], ""),
        told(400, json!({ "message": "already cancelled" })),
        told_with(200, &[], &cancelled),
        told(400, json!({ "message": "no" })),
        told_with(200, &[], fixture!("rest_get_event")),
    ]);
    assert!(timerex.apply(&cancel).await.unwrap().shown.is_none());
    assert!(timerex.apply(&cancel).await.unwrap().shown.is_some());
    assert!(matches!(timerex.apply(&cancel).await, Err(SystemError::Refused { status: 400, .. })));
    assert_eq!(script.asked()[0].0, "POST /events/b1/cancel");
    let create = step(Action::Create, Kind::Appointment, None, Fields::new());
    assert!(timerex.apply(&create).await.unwrap_err().to_string().contains("one-time link"));
}

#[tokio::test]
async fn all_pages_of_all_mapped_calendars_are_listed() {
    let (page, last) = (fixture!("rest_calendar_events_page1"), fixture!("rest_calendar_events_last_page"));
    let (timerex, script) = timerex([page, last, "{\"items\":[]}"].map(|body| told_with(200, &[], body)));
    let (mut mark, mut seen) = (None, Vec::new());
    loop {
        let page = timerex.changed(Kind::Appointment, None, mark.as_deref()).await.unwrap();
        seen.extend(page.observations);
        mark = page.next;
        if mark.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 11);
    assert!(seen.iter().all(|one| one.class == Class::Claim && matches!(one.shape, Shape::Partial(_))));
    let range = "startTime=2025-12-02%2000%3A00%3A00&endTime=2027-01-03%2000%3A00%3A00";
    let asked: Vec<String> = script.asked().into_iter().map(|(line, _)| line).collect();
    assert_eq!(
        asked,
        [
            format!("GET /calendars/0c1d2e3f405162738495/events?{range}"),
            format!("GET /calendars/0c1d2e3f405162738495/events?{range}&nextPageToken=OPAQUE_BASE64_TOKEN"),
            format!("GET /calendars/cal2/events?{range}"),
        ]
    );
    assert!(timerex.changed(Kind::Contact, None, None).await.unwrap().observations.is_empty());
}
