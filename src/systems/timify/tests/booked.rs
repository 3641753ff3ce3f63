//! Appointments: read, written, looked for, listed; series; and that nobody is notified.

use super::*;

#[test]
fn the_end_of_an_appointment_stands_in_its_bookings() {
    let json: Json = serde_json::from_str(APPOINTMENT).unwrap();
    let fields = appointments::fields(&json["data"], &company(false).calendars);
    let expected: Fields = [
        (Field::START, instant("2026-04-04T07:05:00Z")),
        (Field::END, instant("2026-04-04T07:35:00Z")),
        (Field::TITLE, Value::text("Consultation")),
        (Field::CALENDAR, Value::text("room")),
    ]
    .into();
    assert_eq!(fields, expected);
}

#[test]
fn a_series_ends_where_its_first_occurrence_ends() {
    let json: Json = serde_json::from_str(fixture!("appointment_recurring_get_response")).unwrap();
    let fields = appointments::fields(&json["data"], &[]);
    assert_eq!(fields[&Field::START], instant("2026-04-07T14:00:00Z"));
    assert_eq!(fields[&Field::END], instant("2026-04-07T16:30:00Z"));
    assert_eq!(fields[&Field::CALENDAR], Value::text("timify:/65a0000000000000000000d1"));
}

#[test]
fn the_row_of_service_and_resource_comes_before_the_row_of_the_resource() {
    let record = |service: &str| json!({ "serviceId": service, "resources": [{ "id": "65a0000000000000000000d1" }] });
    let calendar =
        |service| appointments::fields(&record(service), &company(false).calendars)[&Field::CALENDAR].clone();
    assert_eq!(calendar("srv1"), Value::text("massage"));
    assert_eq!(calendar("srv2"), Value::text("room"));
    let unknown = json!({ "serviceId": "srv2", "resources": [{ "id": "r9" }] });
    assert_eq!(
        appointments::fields(&unknown, &company(false).calendars)[&Field::CALENDAR],
        Value::text("timify:srv2/r9")
    );
}

#[rstest]
#[case(Field::START, "2026-04-04T07:05:00Z", false, Some("2026-04-04T07:05:00Z"))]
#[case(Field::START, "2026-04-04T07:03:00Z", false, None)]
#[case(Field::START, "2026-04-04T07:03:20Z", true, Some("2026-04-04T07:00:00Z"))]
#[case(Field::END, "2026-04-04T07:33:00Z", false, Some("2026-04-04T07:33:00Z"))]
#[case(Field::END, "2026-04-04T07:33:20Z", true, Some("2026-04-04T07:33:00Z"))]
fn starts_stand_on_full_five_minutes(
    #[case] field: Field,
    #[case] text: &str,
    #[case] round: bool,
    #[case] expected: Option<&str>,
) {
    match (appointments::express(&company(round), &field, &instant(text)), expected) {
        (Expressed::Holds(held), Some(expected)) => assert_eq!(held, instant(expected)),
        (Expressed::Refused(reason), None) => assert!(reason.contains("round_minutes"), "{reason}"),
        (other, _) => panic!("{other:?}"),
    }
}

#[rstest]
#[case("room", None)]
#[case("elsewhere", Some("timify_resource"))]
#[case("timerex:9f8e7d6c", Some("timify_resource"))]
#[case("", Some("no calendar"))]
fn a_calendar_without_a_resource_is_refused_naming_the_key(#[case] name: &str, #[case] said: Option<&str>) {
    match (appointments::express(&company(false), &Field::CALENDAR, &Value::text(name)), said) {
        (Expressed::Holds(held), None) => assert_eq!(held, Value::text(name)),
        (Expressed::Refused(reason), Some(said)) => assert!(reason.contains(said), "{reason}"),
        (other, _) => panic!("{other:?}"),
    }
}

fn booking() -> Fields {
    [
        (Field::START, instant("2026-04-04T07:05:00Z")),
        (Field::END, instant("2026-04-04T07:35:00Z")),
        (Field::TITLE, Value::text("Consultation")),
        (Field::CALENDAR, Value::text("massage")),
    ]
    .into()
}

#[tokio::test]
async fn an_appointment_is_made_in_utc_minutes_and_nobody_is_notified() {
    let (timify, script) = timify([body(APPOINTMENT)]);
    let create = step(Action::Create, Kind::Appointment, None, booking());
    let create = Step { parent: Some(ExternalId::new("c1")), ..create };
    let answer = timify.apply(&create).await.unwrap();
    assert_eq!(answer.id.as_str(), "66000000000000000000a001");
    assert_eq!(answer.shown.unwrap().version, Some(Millis(1_774_464_391_262)));
    let expected = json!({
        "datetime": "2026-04-04 07:05", "duration": 30, "resource_ids": ["65a0000000000000000000d1"], "service_id": "srv1",
        "title": "Consultation", "has_notify_customers": false, "has_notify_resources": false, "customer_id": "c1",
    });
    assert_eq!(script.asked(), [("POST /v1/appointments".to_owned(), expected)]);
}

#[tokio::test]
async fn a_moved_start_carries_the_length_with_it() {
    let (timify, script) = timify([body(APPOINTMENT), body(APPOINTMENT)]);
    let whole = booking();
    let fields: Fields = [(Field::START, instant("2026-04-04T07:15:00Z"))].into();
    let update = Step { whole, ..step(Action::Update, Kind::Appointment, Some("a1"), fields) };
    timify.apply(&update).await.unwrap();
    let (line, sent) = script.asked().pop().unwrap();
    assert_eq!(line, "PATCH /v1/appointments/a1");
    let quiet = json!({ "datetime": "2026-04-04 07:15", "duration": 20, "has_notify_customers": false, "has_notify_resources": false });
    assert_eq!(sent, quiet);
}

#[test]
fn a_cancelled_appointment_does_not_exist_here() {
    let (timify, _) = timify([]);
    let mut entity = Entity::new(EntityId(Uuid::nil()), "w", Kind::Appointment, Millis(0));
    entity.set(Field::STATUS, Value::text("showed"), Stamp::NEVER);
    assert!(timify.wants(&entity));
    entity.set(Field::STATUS, Value::text("cancelled"), Stamp::NEVER);
    assert!(!timify.wants(&entity));
    assert_eq!(timify.gone_means(Kind::Appointment), Some((Field::STATUS, Value::text("cancelled"))));
    assert_eq!(timify.gone_means(Kind::Contact), None);
    assert_eq!(timify.express(Kind::Appointment, &Field::STATUS, &Value::text("showed")), Expressed::Absent);
    assert!(matches!(timify.home(Kind::Task), Home::Kept(reason) if timify.creates(Kind::Task) == Err(reason)));
}

#[tokio::test]
async fn an_existing_appointment_is_found_by_start_and_customer() {
    let record = |id: &str, customer: &str, start: &str| {
        json!({ "id": id, "startDate": start, "duration": 30, "serviceId": "srv1", "customers": [{ "id": customer }],
                "resources": [{ "id": "65a0000000000000000000d1" }] })
    };
    let (start, later) = ("2026-04-04T07:05:00Z", "2026-04-04T08:05:00Z");
    let records = [record("a1", "c2", start), record("a2", "c1", later), record("a3", "c1", start)];
    let list = json!({ "data": records, "total": 3 });
    let (timify, script) = timify([told(200, list)]);
    let wanted = Wanted { kind: Kind::Appointment, parent: Some(ExternalId::new("c1")), fields: booking(), key: None };
    let found: Vec<_> = timify.find(&wanted).await.unwrap().into_iter().map(|one| one.observation.id.0).collect();
    assert_eq!(found, ["a3"]);
    let expected = "GET /v1/appointments?from_date=2026-04-03&to_date=2026-04-05&customer_id=c1&page=1&limit=100";
    assert_eq!(script.asked()[0].0, expected);
}

#[tokio::test]
async fn appointments_are_listed_in_ranges_that_the_vendor_takes() {
    let empty = || told(200, json!({ "data": [], "status": 1 }));
    let (timify, script) = timify((0..20).map(|_| empty()));
    let (mut mark, mut ranges) = (None, 0);
    loop {
        mark = timify.changed(Kind::Appointment, None, mark.as_deref()).await.unwrap().next;
        ranges += 1;
        if mark.is_none() {
            break;
        }
    }
    let asked = script.asked();
    assert_eq!(asked[0].0, "GET /v1/appointments?from_date=2025-12-02&to_date=2026-01-01&page=1&limit=100");
    assert_eq!(asked[1].0, "GET /v1/appointments?from_date=2026-01-02&to_date=2026-02-01&page=1&limit=100");
    assert_eq!((ranges, asked.len()), (13, 13));
}

const NOTICES: [&str; 2] = ["has_notify_customers", "has_notify_resources"];

#[rstest]
#[case::silent_unless_configured(false)]
#[case::configured(true)]
#[tokio::test]
async fn notices_default_to_true_at_the_vendor_so_every_write_says_what_is_wanted(#[case] notify: bool) {
    let (caller, script) = caller(System::Timify, (0..8).map(|_| body(APPOINTMENT)));
    let timify = Timify::new(caller, Company { notify, ..company(false) });
    let id = Some("a1");
    timify.apply(&step(Action::Create, Kind::Appointment, None, booking())).await.unwrap();
    timify.apply(&step(Action::Update, Kind::Appointment, id, booking())).await.unwrap();
    timify.apply(&step(Action::Delete, Kind::Appointment, id, Fields::new())).await.unwrap();
    let writes: Vec<_> = script.asked().into_iter().filter(|(line, _)| !line.starts_with("GET")).collect();
    let lines: Vec<&str> = writes.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(lines, ["POST /v1/appointments", "PATCH /v1/appointments/a1", "POST /v1/appointments/delete/bulk"]);
    for (line, sent) in &writes {
        assert_eq!(NOTICES.map(|key| sent[key].as_bool()), [Some(notify); 2], "{line}");
    }
    assert_eq!(writes[2].1["ids"], json!(["a1"]));
}

#[rstest]
#[case::no_such_path(404)]
#[case::no_such_method(405)]
#[tokio::test]
async fn where_there_is_no_bulk_call_a_deletion_is_sent_only_if_customers_may_be_told(#[case] status: u16) {
    let answers = || [body(APPOINTMENT), told(status, json!({ "status": 0 })), told(200, json!({ "status": 1 }))];
    let delete = step(Action::Delete, Kind::Appointment, Some("a1"), Fields::new());
    let (silent, script) = timify(answers());
    let refused = silent.apply(&delete).await.unwrap_err();
    assert!(
        matches!(&refused, SystemError::Refused { status: 0, reason, .. } if reason.contains("[workspaces.notify]")),
        "{refused}"
    );
    assert_eq!(script.asked().len(), 2);
    let (caller, script) = caller(System::Timify, answers());
    let telling = Timify::new(caller, Company { notify: true, ..company(false) });
    telling.apply(&delete).await.unwrap();
    let (line, sent) = script.asked().pop().unwrap();
    assert_eq!(line, "DELETE /v1/appointments/a1?has_notify_customers=true&has_notify_resources=true");
    assert_eq!(NOTICES.map(|key| sent[key].as_bool()), [Some(true); 2]);
}

#[rstest]
#[case::documented(told(200, json!({ "status": 1 })))]
#[case::with_data(told(200, json!({ "data": {}, "status": 1 })))]
#[case::nothing(told_with(204, &[], ""))]
#[tokio::test]
async fn a_deletion_is_done_whatever_a_success_says(#[case] answer: Told) {
    let (timify, _) = timify([body(APPOINTMENT), answer]);
    let answer = timify.apply(&step(Action::Delete, Kind::Appointment, Some("a1"), Fields::new())).await.unwrap();
    assert_eq!((answer.id.as_str(), answer.shown), ("a1", None));
}

#[tokio::test]
async fn what_is_deleted_already_is_gone() {
    let (timify, script) = timify([told(404, json!({ "status": 0 }))]);
    let delete = step(Action::Delete, Kind::Appointment, Some("a1"), Fields::new());
    assert!(matches!(timify.apply(&delete).await, Err(SystemError::Gone { .. })));
    assert_eq!(script.asked().len(), 1);
}

const SERIES: &str = fixture!("appointment_recurring_get_response");

#[tokio::test]
async fn several_bookings_in_one_record_are_an_appointment_each_by_its_day() {
    let (timify, _) = timify([body(SERIES)]);
    let reading = timify.read(&place(Kind::Appointment, "66000000000000000000a002")).await.unwrap();
    let held = reading.observation.fields().unwrap();
    assert_eq!(
        (&held[&Field::START], &held[&Field::END]),
        (&instant("2026-04-07T14:00:00Z"), &instant("2026-04-07T16:30:00Z"))
    );
    let within = reading.within.unwrap();
    let days = ["14", "21", "28"].map(|day| format!("2026-04-{day}")).into_iter();
    let days: Vec<String> = days.chain(["05", "12"].map(|day| format!("2026-05-{day}"))).collect();
    assert_eq!(within.len(), days.len());
    for (one, day) in within.iter().zip(&days) {
        assert_eq!(one.id.as_str(), format!("66000000000000000000a002#{day}"));
        assert_eq!((one.kind, one.class, one.version), (Kind::Appointment, Class::Claim, reading.observation.version));
        let fields: Fields = [
            (Field::START, instant(&format!("{day}T14:00:00Z"))),
            (Field::END, instant(&format!("{day}T16:30:00Z"))),
            (Field::TITLE, Value::text("Six week course")),
            (Field::CALENDAR, Value::text("room")),
        ]
        .into();
        assert_eq!(one.shape, Shape::Full(fields));
    }
}

#[tokio::test]
async fn an_appointment_with_one_booking_has_nothing_within_and_tells_so() {
    let (timify, _) = timify([body(APPOINTMENT)]);
    assert_eq!(timify.read(&place(Kind::Appointment, "a1")).await.unwrap().within, Some(Vec::new()));
}

#[test]
fn parts_of_one_day_are_one_occurrence_whichever_comes_first() {
    let part = |day: &str, begin: &str, end: &str| json!({ "recurringDay": day, "startDate": format!("{day}T{begin}:00Z"), "interval": { "end": format!("{day}T{end}:00Z") } });
    let (first, second) = ("2026-04-07", "2026-04-14");
    let parts = [
        part(second, "15:00", "16:00"),
        part(second, "14:00", "14:30"),
        part(first, "14:00", "14:30"),
        part(first, "15:00", "16:00"),
    ];
    let record = json!({ "startDate": "2026-04-07T14:00:00Z", "bookings": parts });
    assert_eq!(appointments::fields(&record, &[])[&Field::END], instant("2026-04-07T16:00:00Z"));
    let later = appointments::later(&record, &[]).unwrap();
    assert_eq!(later.keys().collect::<Vec<_>>(), [second]);
    let held = &later[second];
    assert_eq!(
        (&held[&Field::START], &held[&Field::END]),
        (&instant("2026-04-14T14:00:00Z"), &instant("2026-04-14T16:00:00Z"))
    );
}

#[tokio::test]
async fn an_occurrence_is_read_out_of_its_series_and_gone_with_it() {
    let (timify, script) = timify([body(SERIES), body(SERIES), told(404, json!({ "status": 0 }))]);
    let read = |day: &str| place(Kind::Appointment, &format!("66000000000000000000a002#{day}"));
    let seen = timify.read(&read("2026-04-14")).await.unwrap().observation;
    assert_eq!(
        (seen.class, seen.fields().unwrap()[&Field::START].clone()),
        (Class::Current, instant("2026-04-14T14:00:00Z"))
    );
    assert_eq!(timify.read(&read("2026-04-15")).await.unwrap().observation.shape, Shape::Gone);
    assert_eq!(timify.read(&read("2026-04-14")).await.unwrap().observation.shape, Shape::Gone);
    assert_eq!(script.asked()[0].0, "GET /v1/appointments/66000000000000000000a002");
}

#[rstest]
#[case::the_whole(Action::Update, "66000000000000000000a002", 1)]
#[case::the_whole_cancelled_elsewhere(Action::Delete, "66000000000000000000a002", 1)]
#[case::a_day(Action::Update, "66000000000000000000a002#2026-04-14", 0)]
#[case::a_day_cancelled_elsewhere(Action::Delete, "66000000000000000000a002#2026-04-14", 0)]
#[tokio::test]
async fn a_series_is_only_changed_in_timify(#[case] action: Action, #[case] id: &str, #[case] calls: usize) {
    let (timify, script) = timify([body(SERIES)]);
    let refused = timify.apply(&step(action, Kind::Appointment, Some(id), booking())).await.unwrap_err();
    assert!(matches!(&refused, SystemError::Refused { reason, .. } if reason.contains("series")), "{refused}");
    assert_eq!(script.asked().len(), calls, "at most it is looked at");
}

#[rstest]
#[case::changed(Action::Update, "PATCH /v1/appointments/a1")]
#[case::deleted(Action::Delete, "POST /v1/appointments/delete/bulk")]
#[tokio::test]
async fn what_the_lane_has_just_read_is_not_read_again_and_a_day_of_a_series_is_refused_all_the_same(
    #[case] action: Action,
    #[case] expected: &str,
) {
    let (timify, script) = timify([body(APPOINTMENT)]);
    let alone = |id: &str| Step { alone: true, ..step(action, Kind::Appointment, Some(id), booking()) };
    timify.apply(&alone("a1")).await.unwrap();
    assert!(timify.apply(&alone("a2#2026-04-14")).await.is_err());
    let asked: Vec<String> = script.asked().into_iter().map(|(line, _)| line).collect();
    assert_eq!(asked, [expected]);
}

fn edited(edit: impl FnOnce(&mut Json)) -> Told {
    let mut series: Json = serde_json::from_str(SERIES).unwrap();
    edit(&mut series["data"]);
    told(200, series)
}

#[rstest]
#[case::missing(|record: &mut Json| drop(record.as_object_mut().unwrap().remove("bookings")))]
#[case::none(|record: &mut Json| record["bookings"] = json!([]))]
#[case::null(|record: &mut Json| record["bookings"] = json!(null))]
#[case::only_ids(|record: &mut Json| record["bookings"] = json!(["fd98", "fd99"]))]
#[case::one_without_its_times(|record: &mut Json| record["bookings"][3] = json!({ "id": "fd98", "recurringDay": "2026-04-28" }))]
#[case::neither_rule_nor_parts(|record: &mut Json| (record["recurring"], record["bookings"]) = (json!(null), json!([])))]
#[tokio::test]
async fn a_series_that_does_not_show_its_parts_cancels_none(#[case] edit: fn(&mut Json)) {
    let (timify, script) = timify([edited(edit), edited(edit), edited(|_| ())]);
    let reading = timify.read(&place(Kind::Appointment, "a2")).await.unwrap();
    assert_eq!(reading.within, None);
    let held = reading.observation.fields().unwrap();
    let ends = ["2026-04-07T14:00:00Z", "2026-04-07T16:30:00Z"].map(instant);
    assert_eq!([&held[&Field::START], &held[&Field::END]], [&ends[0], &ends[1]]);
    let occurrence = place(Kind::Appointment, "a2#2026-04-14");
    assert!(matches!(timify.read(&occurrence).await, Err(SystemError::Garbled { .. })));
    assert!(timify.read(&occurrence).await.unwrap().observation.fields().is_some());
    assert_eq!(script.asked().len(), 3);
}

#[tokio::test]
async fn a_series_without_its_parts_is_still_a_series_to_a_write() {
    let (timify, script) = timify([edited(|record| record["bookings"] = json!([]))]);
    let refused = timify.apply(&step(Action::Delete, Kind::Appointment, Some("a2"), Fields::new())).await.unwrap_err();
    assert!(matches!(&refused, SystemError::Refused { reason, .. } if reason.contains("series")), "{refused}");
    assert_eq!(script.asked().len(), 1);
}

#[rstest]
#[case::of_the_parts_that_begin_then("2026-04-21T14:00:00Z", "2026-04-21")]
#[case::of_the_earliest_where_none_does("2026-04-08T09:00:00Z", "2026-04-07")]
#[tokio::test]
async fn a_series_stands_for_one_of_its_occurrences_with_both_instants(#[case] start: &str, #[case] day: &str) {
    let (timify, _) = timify([edited(|record| record["startDate"] = json!(start))]);
    let reading = timify.read(&place(Kind::Appointment, "a2")).await.unwrap();
    let held = reading.observation.fields().unwrap();
    let instants = ["14:00", "16:30"].map(|time| instant(&format!("{day}T{time}:00Z")));
    assert_eq!([&held[&Field::START], &held[&Field::END]], [&instants[0], &instants[1]]);
    let within = reading.within.unwrap();
    assert_eq!(within.len(), 5);
    assert!(within.iter().all(|one| !one.id.as_str().ends_with(day)));
}

#[tokio::test]
async fn what_an_appointments_record_does_not_show_is_not_cleared() {
    let (timify, _) = timify([told(200, json!({ "data": { "id": "a1", "startDate": "2026-04-04T07:05:00Z" } }))]);
    let reading = timify.read(&place(Kind::Appointment, "a1")).await.unwrap();
    let start: Fields = [(Field::START, instant("2026-04-04T07:05:00Z"))].into();
    assert_eq!((reading.observation.shape, reading.within), (Shape::Partial(start), None));
}

#[tokio::test]
async fn a_page_of_appointments_lists_their_occurrences() {
    let series: Json = serde_json::from_str(SERIES).unwrap();
    let (timify, _) = timify([told(200, json!({ "data": [series["data"]] }))]);
    let page = timify.changed(Kind::Appointment, None, None).await.unwrap();
    assert_eq!(page.observations.len(), 6);
    assert!(page.observations.iter().all(|one| one.class == Class::Claim));
}

/// How a customer may stand in an appointment: all records that were seen had none.
#[rstest]
#[case::objects(json!({ "customers": [{ "id": "c1" }, { "id": "c2" }] }))]
#[case::ids(json!({ "customers": ["c1", "c2"] }))]
#[case::ties(json!({ "customers": [{ "customerId": "c1" }] }))]
#[case::nested(json!({ "customers": [{ "customer": { "id": "c1" } }] }))]
#[case::single(json!({ "customers": [], "singleCustomers": [{ "_id": "c1" }] }))]
#[case::alone(json!({ "customers": [], "customerId": "c1" }))]
fn the_shape_of_customers_is_unknown_so_each_plausible_one_is_read_and_the_first_is_taken(#[case] record: Json) {
    assert_eq!(appointments::customer(&record), Some(ExternalId::new("c1")));
}

#[test]
fn a_group_booking_without_customers_belongs_to_nobody() {
    let json: Json = serde_json::from_str(APPOINTMENT).unwrap();
    assert_eq!(appointments::customer(&json["data"]), None);
}

#[tokio::test]
async fn updated_at_has_whole_seconds_so_the_version_is_the_timestamp() {
    let json: Json = serde_json::from_str(APPOINTMENT).unwrap();
    assert_eq!(
        (&json["data"]["updatedAt"], &json["data"]["timestamp"]),
        (&json!("2026-03-25T18:46:31Z"), &json!("1774464391262"))
    );
    let (timify, _) = timify([body(APPOINTMENT)]);
    let seen = timify.read(&place(Kind::Appointment, "a1")).await.unwrap().observation;
    assert_eq!((seen.version, seen.at), (Some(Millis(1_774_464_391_262)), Some(Millis(1_774_464_391_262))));
}

#[test]
fn the_date_of_a_record_is_no_date_and_is_not_read() {
    let mut json: Json = serde_json::from_str(APPOINTMENT).unwrap();
    assert_eq!(json["data"]["date"], "2026-04-04Z");
    let before = appointments::fields(&json["data"], &[]);
    json["data"]["date"] = json!("2001-01-01Z");
    assert_eq!(appointments::fields(&json["data"], &[]), before);
}

#[rstest]
#[case("2026-04-04T07:05:00Z")]
#[case("2026-04-04T09:05:00+02:00")]
#[case("2026-04-04T07:05:00")]
#[case("2026-04-04 07:05:00")]
#[case("2026-04-04 07:05")]
fn a_time_without_a_mark_is_in_utc(#[case] text: &str) {
    let record = json!({ "startDate": text, "bookings": [{ "interval": { "end": text } }] });
    let held = appointments::fields(&record, &[]);
    assert_eq!([&held[&Field::START], &held[&Field::END]], [&instant("2026-04-04T07:05:00Z"); 2]);
}

#[tokio::test]
async fn an_end_before_the_start_is_refused_before_anything_is_asked() {
    let (timify, script) = timify([]);
    let mut turned = booking();
    turned.insert(Field::END, instant("2026-04-04T07:00:00Z"));
    for action in [Action::Create, Action::Update] {
        let refused = timify.apply(&step(action, Kind::Appointment, Some("a1"), turned.clone())).await.unwrap_err();
        assert!(matches!(&refused, SystemError::Refused { reason, .. } if reason.contains("ends before")), "{refused}");
    }
    assert!(script.asked().is_empty());
}

#[test]
fn an_appointment_has_no_status_so_none_is_said() {
    let json: Json = serde_json::from_str(APPOINTMENT).unwrap();
    assert!(!appointments::fields(&json["data"], &[]).contains_key(&Field::STATUS));
}
