//! The traps of the vendor's documents, one by one.

use super::*;
use crate::systems::Decision;

fn read(event: &Json) -> Observation {
    bookings::read(event, &team(), |at| at).unwrap()
}

fn record(edit: impl FnOnce(&mut Json)) -> Observation {
    read(&serde_json::from_str(&changed_body(fixture!("rest_get_event"), edit)).unwrap())
}

#[test]
fn canceled_at_has_one_l_and_dates_the_cancellation() {
    let body = changed_body(fixture!("event_cancelled"), |json| {
        json["event"]["cancelled_at"] = json!("2027-01-01T00:00:00+00:00");
    });
    assert_eq!(seen(&body).version(), Some(at("2026-03-05T00:10:00Z")));
    assert_eq!(read_envelope(body.as_bytes()).at, Some(at("2026-03-05T00:10:00Z")));
}

#[test]
fn calendar_id_is_optional_and_the_url_path_tells_the_calendar() {
    let body = changed_body(CONFIRMED, |json| drop(json["event"].as_object_mut().unwrap().remove("calendar_id")));
    assert_eq!(seen(&body), seen(CONFIRMED));
}

#[test]
fn travel_times_may_be_missing() {
    let body = changed_body(CONFIRMED, |json| {
        json["event"].as_object_mut().unwrap().retain(|key, _| !key.ends_with("_travel_time"));
    });
    assert_eq!(seen(&body), seen(CONFIRMED));
}

#[test]
fn the_url_may_carry_the_query_that_the_guest_came_with() {
    let one = record(|json| {
        json["calendar_id"] = Json::Null;
        json["url"] = json!("https://timerex.net/s/example_team_1a2b/9f8e7d6c/?contact_ref=ghl_1&x=/y");
    });
    assert_eq!(one.fields().unwrap()[&Field::CALENDAR], Value::text("intro"));
}

#[test]
fn ids_are_opaque() {
    let body = changed_body(CONFIRMED, |json| json["event"]["id"] = json!("536667"));
    assert_eq!(seen(&body).id, ExternalId::new("536667"));
    let number = changed_body(CONFIRMED, |json| json["event"]["id"] = json!(536_667));
    assert_eq!(seen(&number).id, ExternalId::new("536667"));
}

#[test]
fn old_event_id_is_null_in_a_booking_that_was_not_moved() {
    assert_eq!(seen(CONFIRMED).moved, None);
    let moved = record(|json| json["old_event_id"] = json!("0000aaaa0000aaaa0000"));
    assert_eq!(moved.moved, Some(Moved::From(ExternalId::new("0000aaaa0000aaaa0000"))));
}

#[rstest]
#[case(json!("confirmed"), "confirmed")]
#[case(json!("Cancelled"), "cancelled")]
#[case(json!("canceled"), "cancelled")]
#[case(json!(1), "confirmed")]
#[case(json!("1"), "confirmed")]
#[case(json!(2), "cancelled")]
#[case(json!(3), "cancelled")]
#[case(json!("3"), "cancelled")]
fn the_api_may_show_status_as_a_word_or_a_number(#[case] shown: Json, #[case] status: &str) {
    let one = record(|json| json["status"] = shown.clone());
    assert_eq!(one.fields().unwrap()[&Field::STATUS], Value::text(status));
    let item = json!({ "id": "b", "status": shown });
    assert_eq!(bookings::listed(&item, "intro").unwrap().fields().unwrap()[&Field::STATUS], Value::text(status));
}

#[rstest]
#[case(json!("pending"))]
#[case(json!(0))]
#[case(json!(null))]
fn a_status_that_nobody_documents_is_not_guessed(#[case] shown: Json) {
    let event = json!({ "id": "b", "status": shown });
    assert!(bookings::read(&event, &team(), |at| at).is_none());
    assert!(bookings::listed(&event, "intro").is_none());
}

#[rstest]
#[case::says_cancelled_but_is_confirmed(CONFIRMED, 3, "confirmed")]
#[case::says_confirmed_but_is_cancelled(fixture!("event_cancelled"), 1, "cancelled")]
fn where_status_and_type_disagree_the_type_is_right(#[case] body: &str, #[case] number: i64, #[case] status: &str) {
    let body = changed_body(body, |json| json["event"]["status"] = json!(number));
    assert_eq!(seen(&body).fields().unwrap()[&Field::STATUS], Value::text(status));
}

#[test]
fn there_is_no_updated_at_so_a_booking_made_is_older_than_its_cancellation() {
    let body = changed_body(CONFIRMED, |json| json["event"]["updated_at"] = json!("2027-01-01T00:00:00+00:00"));
    assert_eq!(seen(&body).version(), seen(CONFIRMED).version());
    assert!(seen(CONFIRMED).version() < seen(fixture!("event_cancelled")).version());
}

#[test]
fn the_second_smaller_event_inside_the_first_changes_nothing() {
    let alone = record(|json| drop(json.as_object_mut().unwrap().remove("event")));
    assert_eq!(record(|json| json["event"]["start_datetime"] = json!("2030-01-01T00:00:00+00:00")), alone);
}

#[test]
fn the_booking_of_a_one_time_url_with_its_timezone_key_is_the_same_booking() {
    let url: Json = serde_json::from_str(fixture!("rest_one_time_url_confirmed")).unwrap();
    let mut event = url["event"].clone();
    assert!(event["timezone"].is_string() && event["calendar_timezone"].is_null());
    event["status"] = url["status"].clone();
    let (one, full) = (read(&event), record(|_| {}));
    assert_eq!((&one.id, one.version), (&full.id, full.version));
    let Shape::Partial(shown) = one.shape else { panic!("it is not whole") };
    for (field, value) in &shown {
        assert_eq!(full.fields().unwrap().get(field), Some(value), "{field}");
    }
    assert_eq!(one.guest, full.guest);
}

#[rstest]
#[case::utc(json!("2026-03-10T01:00:00+00:00"), json!("2026-03-10T10:00:00+09:00"))]
#[case::only_local(json!(null), json!("2026-03-10T10:00:00+09:00"))]
#[case::new_york(json!(null), json!("2026-03-09T21:00:00-04:00"))]
#[case::naive_utc_is_not_taken_for_utc(json!("2026-03-10T10:00:00"), json!("2026-03-10T10:00:00+09:00"))]
fn a_start_is_read_in_utc_or_else_in_local_time_with_its_offset(#[case] utc: Json, #[case] local: Json) {
    let one = record(|json| {
        json["start_datetime"] = utc;
        json["local_start_datetime"] = local;
    });
    assert_eq!(one.fields().unwrap()[&Field::START], Value::Instant(at("2026-03-10T01:00:00Z")));
}

#[test]
fn a_local_time_without_offset_is_no_instant() {
    let one = record(|json| {
        json["start_datetime"] = Json::Null;
        json["local_start_datetime"] = json!("2026-03-10T10:00:00");
    });
    assert_eq!(one.fields().unwrap().get(&Field::START), None);
}

#[tokio::test]
async fn a_429_that_names_no_time_is_waited_out_for_ten_to_thirty_seconds() {
    let (timerex, _) = timerex([told(429, json!({}))]);
    let error = timerex.read(&place(Kind::Appointment, "b")).await.unwrap_err();
    let Decision::Later(wait) = error.decision() else { panic!("{error}") };
    assert!((10..=30).contains(&wait.as_secs()), "{wait:?}");
}

fn silent(told: impl IntoIterator<Item = Told>) -> (Timerex, Arc<Script>) {
    let (caller, script) = caller(System::Timerex, told);
    (Timerex::new(caller, Team { notify: false, ..team() }), script)
}

#[tokio::test]
async fn a_cancel_tells_the_guest_so_nothing_is_sent_unless_that_is_wanted() {
    let (timerex, script) = silent([]);
    let cancelled = Value::text("cancelled");
    let Expressed::Refused(reason) = timerex.express(Kind::Appointment, &Field::STATUS, &cancelled) else {
        panic!("a cancel is not refused")
    };
    assert!(reason.contains("cancel it there") && reason.contains("timerex = true"), "{reason}");
    let holds = timerex.express(Kind::Appointment, &Field::STATUS, &Value::text("confirmed"));
    assert_eq!(holds, Expressed::Holds(Value::text("confirmed")));
    for action in [Action::Cancel, Action::Delete] {
        let error = timerex.apply(&step(action, Kind::Appointment, Some("b"), Fields::new())).await.unwrap_err();
        assert_eq!(error.decision(), Decision::Park);
        assert!(error.to_string().contains(&reason), "{error}");
    }
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn upcoming_bookings_are_listed_from_yesterday_on_page_by_page() {
    let (page, last) = (fixture!("rest_calendar_events_page1"), fixture!("rest_calendar_events_last_page"));
    let (timerex, script) = timerex([page, last, "{\"items\":[]}"].map(|body| told_with(200, &[], body)));
    let (mut mark, mut seen) = (None, 0);
    loop {
        let page = timerex.untold(Kind::Appointment, mark.as_deref()).await.unwrap();
        seen += page.observations.len();
        mark = page.next;
        if mark.is_none() {
            break;
        }
    }
    assert_eq!((seen, script.asked().len()), (11, 3));
    assert!(script.asked()[0].0.contains("startTime=2026-01-01%2000%3A00%3A00&"), "{:?}", script.asked()[0]);
    assert!(timerex.untold(Kind::Contact, None).await.unwrap().observations.is_empty());
}

#[test]
fn reasons_are_sentences_that_say_what_can_be_done_instead() {
    let (timerex, _) = timerex([]);
    assert!(timerex.creates(Kind::Appointment).unwrap_err().contains("one-time link"));
    assert!(timerex.changes(Kind::Appointment).unwrap_err().contains("its guest"));
    for kind in [Kind::Contact, Kind::Task, Kind::Note] {
        let Home::Kept(reason) = timerex.home(kind) else { panic!("{kind}") };
        assert!(reason.contains(&format!("no {kind}s")) && reason.contains("extension"), "{reason}");
        assert_eq!((timerex.creates(kind), timerex.changes(kind)), (Err(reason), Err(reason)));
    }
}

#[rstest]
#[case::confirmed(CONFIRMED, 3)]
#[case::google_meet(fixture!("event_confirmed_google_meet"), 3)]
#[case::older(fixture!("event_confirmed_older_shape"), 3)]
#[case::cancelled(fixture!("event_cancelled"), 3)]
#[case::status_2(fixture!("event_cancelled_status2"), 3)]
#[case::old_half(fixture!("reschedule_1_old_cancelled"), 3)]
#[case::old_half_misspelt(fixture!("reschedule_1_old_cancelled_documented_typo"), 3)]
#[case::new_half(fixture!("reschedule_2_new_confirmed"), 3)]
fn each_documented_body_names_a_booking_with_its_guest(#[case] body: &str, #[case] fields: usize) {
    let one = seen(body);
    assert!(matches!(&one.shape, Shape::Full(held) if held.len() == 5), "{one:?}");
    assert!(matches!(one.class, Class::Versioned(_)));
    let guest = one.guest.unwrap();
    assert_eq!((guest.fields.len(), guest.comment.as_deref()), (fields, Some("よろしくお願いします")));
}

#[test]
fn the_url_path_of_the_calendar_stands_beside_the_booking_and_not_in_it() {
    let body = changed_body(CONFIRMED, |json| {
        json["event"].as_object_mut().unwrap().remove("calendar_id");
        json["event"]["calendar_url_path"] = json!("path2");
    });
    assert_eq!(seen(&body), seen(CONFIRMED));
}

#[test]
fn the_zone_of_the_guest_may_be_missing() {
    let body = changed_body(CONFIRMED, |json| drop(json["event"].as_object_mut().unwrap().remove("guest_timezone")));
    assert_eq!(seen(&body), seen(CONFIRMED));
}

#[test]
fn where_the_locale_is_missing_the_whole_name_is_kept_all_the_same() {
    let body = changed_body(CONFIRMED, |json| drop(json["event"].as_object_mut().unwrap().remove("guest_locale")));
    let fields = seen(&body).guest.unwrap().fields;
    let mut words = [Field::FIRST_NAME, Field::LAST_NAME].map(|field| fields[&field].as_text().unwrap().to_owned());
    words.sort();
    assert_eq!(words, ["山田", "花子"].map(str::to_owned));
}

#[rstest]
#[case::empty(json!(""))]
#[case::none(json!(null))]
#[case::some(json!("風邪をひきました"))]
fn the_reason_for_cancelling_may_be_empty_and_is_only_a_word_to_people(#[case] reason: Json) {
    let body = changed_body(fixture!("event_cancelled"), |json| json["event"]["cancellation_reason"] = reason);
    assert_eq!(seen(&body), seen(fixture!("event_cancelled")));
}

#[rstest]
#[case::number(json!({ "meeting_id": 80_000_000_001_i64 }))]
#[case::text(json!({ "meeting_id": "800 0000 0001" }))]
#[case::none(json!(null))]
fn a_meeting_in_any_shape_changes_nothing_of_the_booking(#[case] meeting: Json) {
    let body = changed_body(CONFIRMED, |json| {
        let event = json["event"].as_object_mut().unwrap();
        event.insert("online_meeting_provider".to_owned(), Json::Null);
        for key in ["zoom_meeting", "google_meet_meeting", "microsoft_teams_meeting"] {
            event.insert(key.to_owned(), meeting.clone());
        }
        event.insert("hosts".to_owned(), json!([{ "name": "Host One", "email": "host.one@example.test" }]));
    });
    assert_eq!(seen(&body), seen(CONFIRMED));
}

#[rstest]
#[case::an_object(json!({ "url": "https://x.test/f.pdf" }))]
#[case::objects(json!([{ "name": "f.pdf" }]))]
#[case::nothing(json!(null))]
fn how_a_file_is_answered_is_not_documented_so_what_is_no_text_is_no_answer(#[case] value: Json) {
    let body = changed_body(CONFIRMED, |json| {
        let file = json!({ "field_type": "file", "label": "地域", "value": value });
        json["event"]["form"].as_array_mut().unwrap().insert(0, file);
    });
    let team = Team { questions: vec![(Field::CITY, "地域".to_owned())], ..team() };
    let guest = observe(body.as_bytes(), &team, |at| at).unwrap().guest.unwrap();
    assert_eq!(guest.fields[&Field::CITY], Value::text("東京"));
}

#[test]
fn is_changed_says_less_than_the_ids_and_is_not_asked() {
    let body = changed_body(fixture!("reschedule_2_new_confirmed"), |json| json["event"]["is_changed"] = json!(false));
    assert_eq!(seen(&body), seen(fixture!("reschedule_2_new_confirmed")));
    let alone = changed_body(CONFIRMED, |json| json["event"]["is_changed"] = json!(true));
    assert_eq!(seen(&alone).moved, None);
}

#[tokio::test]
async fn the_page_token_is_opaque_and_goes_back_as_it_came() {
    let token = "a/b+c=&d 0/";
    let page = json!({ "items": [], "nextPageToken": token });
    let (timerex, script) = timerex([told(200, page), told(200, json!({ "items": [] }))]);
    let first = timerex.changed(Kind::Appointment, None, None).await.unwrap();
    timerex.changed(Kind::Appointment, None, first.next.as_deref()).await.unwrap();
    let asked = script.asked().pop().unwrap().0;
    assert!(asked.starts_with("GET /calendars/0c1d2e3f405162738495/events?"), "{asked}");
    assert!(asked.ends_with("&nextPageToken=a%2Fb%2Bc%3D%26d%200%2F"), "{asked}");
    assert!(!asked.contains("limit=") && !asked.contains("page="), "the vendor has no such words: {asked}");
}

#[rstest]
#[case(fixture!("event_confirmed"))]
#[case(fixture!("event_confirmed_google_meet"))]
#[case(fixture!("push_one_time_url_confirmed"))]
fn links_with_which_anyone_can_act_are_kept_out(#[case] body: &str) {
    use crate::systems::Door;
    let veiled =
        crate::systems::secrets::veiled(body.as_bytes(), TimerexDoor.secrets(), |_, _| Some("\"-\"".to_owned()));
    let kept = String::from_utf8(veiled.unwrap()).unwrap();
    for secret in ["schedule/host_cancel", "schedule/cancel", "schedule/change", "example.test/j/", "my-channel-token"]
    {
        assert!(!kept.contains(secret), "{secret}");
    }
    assert!(!kept.contains("meet.google") && !kept.contains("pwd="), "{kept}");
}
