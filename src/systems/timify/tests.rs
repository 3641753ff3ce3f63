use rstest::rstest;
use serde_json::{Value as Json, json};

use super::door::{observe, read_envelope};
use super::*;
use crate::clock::Millis;
use crate::model::{
    Action, Class, Entity, EntityId, ExternalId, Field, Fields, Kind, Observation, Shape, Stamp, Standing, Step, Value,
};
use crate::systems::testing::{Script, Told, caller, change, place, step, told, told_with};
use crate::systems::{Expressed, Home, SystemError, Target, Wanted};
use std::sync::Arc;
use uuid::Uuid;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/timify/", $name, ".json"))
    };
}

const CUSTOMER: &str = fixture!("assumed/timify_customer_get_response");
const APPOINTMENT: &str = fixture!("appointment_get_response");

fn company(round_minutes: bool) -> Company {
    let row = |name: &str, service: Option<&str>, resource: Option<&str>| CalendarRow {
        name: name.to_owned(),
        timify_service: service.map(str::to_owned),
        timify_resource: resource.map(str::to_owned),
        ..CalendarRow::default()
    };
    Company {
        id: "65a0000000000000000000b1".to_owned(),
        calendars: vec![
            row("massage", Some("srv1"), Some("65a0000000000000000000d1")),
            row("room", None, Some("65a0000000000000000000d1")),
            row("elsewhere", None, None),
        ],
        round_minutes,
        region: Some("DE".to_owned()),
        list_days: 31,
    }
}

/// The definitions of a company with the usual fields, birthday left out.
fn definitions() -> Json {
    let usual = [("98", "firstName"), ("99", "lastName"), ("96", "email"), ("97", "mobilePhone"), ("9a", "notes")];
    let usual = usual.map(|(id, key)| json!({ "id": format!("65c0000000000000000000{id}"), "defaultId": key }));
    json!({ "data": usual, "status": 1 })
}

fn timify(told: impl IntoIterator<Item = Told>) -> (Timify, Arc<Script>) {
    let (caller, script) = caller(System::Timify, told);
    (Timify::new(caller, company(false)), script)
}

fn body(text: &str) -> Told {
    told_with(200, &[], text)
}

fn at(text: &str) -> Millis {
    Millis::parse(text).unwrap()
}

fn instant(text: &str) -> Value {
    Value::Instant(at(text))
}

fn hanako() -> Fields {
    [
        (Field::FIRST_NAME, Value::text("Hanako")),
        (Field::LAST_NAME, Value::text("Yamada")),
        (Field::EMAIL, Value::text("hanako.yamada@example.test")),
        (Field::PHONE, Value::text("+491510000000")),
    ]
    .into()
}

#[tokio::test]
async fn a_customer_is_read_out_of_its_custom_fields() {
    let (timify, script) = timify([told(200, definitions()), body(CUSTOMER), body(CUSTOMER)]);
    let reading = timify.read(&place(Kind::Contact, "66000000000000000000c001")).await.unwrap();
    assert_eq!(reading.observation.shape, Shape::Full(hanako()));
    assert_eq!(reading.observation.class, Class::Current);
    assert_eq!(reading.observation.version, Some(at("2026-03-25T18:46:31Z")));
    assert_eq!(script.header("company-id").as_deref(), Some("65a0000000000000000000b1"));
    timify.read(&place(Kind::Contact, "66000000000000000000c001")).await.unwrap();
    let asked: Vec<String> = script.asked().into_iter().map(|(line, _)| line).collect();
    assert_eq!(
        asked,
        [
            "GET /v1/customers/customfields",
            "GET /v1/customers/66000000000000000000c001",
            "GET /v1/customers/66000000000000000000c001",
        ]
    );
}

#[test]
fn fields_without_a_key_are_known_by_their_definition_and_plain_keys_are_taken_too() {
    let list: Json = serde_json::from_str(fixture!("booker_company_customer_fields")).unwrap();
    let definitions = Definitions::read(&list).unwrap();
    let record = json!({ "lastName": "Yamada", "fields": [{ "id": "65c000000000000000000098", "value": " Hanako " }] });
    let read = customers::fields(&record, Some(&definitions), None);
    let expected: Fields = [
        (Field::FIRST_NAME, Value::text("Hanako")),
        (Field::LAST_NAME, Value::text("Yamada")),
        (Field::EMAIL, Value::Blank),
    ]
    .into();
    assert_eq!(read, expected);
}

#[rstest]
#[case::the_vendors_text(json!("{\"phone\":\"+491510000000\",\"country\":\"DE\",\"prefix\":\"49\",\"number\":\"01510000000\"}"))]
#[case::number_and_country(json!("{\"number\":\"01510000000\",\"country\":\"DE\"}"))]
#[case::object(json!({ "phone": "+49 151 0000000" }))]
#[case::plain(json!("0151 0000000"))]
fn a_phone_is_found_inside_its_json_text(#[case] value: Json) {
    let record = json!({ "fields": [{ "id": "x", "defaultId": "mobilePhone", "value": value }] });
    assert_eq!(customers::fields(&record, None, Some("DE"))[&Field::PHONE], Value::text("+491510000000"));
}

#[tokio::test]
async fn a_customer_is_made_of_field_ids_and_reads_back_as_it_was() {
    let (timify, script) = timify([told(200, definitions()), body(CUSTOMER)]);
    let key = Uuid::from_u128(7);
    let create = Step { key: Some(key), ..step(Action::Create, Kind::Contact, None, hanako()) };
    let answer = timify.apply(&create).await.unwrap();
    assert_eq!(answer.id.as_str(), "66000000000000000000c001");
    assert_eq!(answer.shown.unwrap().shape, Shape::Partial(hanako()));
    let (line, sent) = script.asked().pop().unwrap();
    assert_eq!((line.as_str(), &sent["externalId"]), ("POST /v1/customers", &json!(key.to_string())));
    let documented: Json = serde_json::from_str(fixture!("customer_create_request")).unwrap();
    // How a national number is cut depends on its length, and the example's is too short to be one.
    let by_id = |list: &Json| -> std::collections::BTreeMap<String, Json> {
        let value = |one: &Json| {
            let text = one["value"].as_str().unwrap();
            let mut inner: Json = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
            inner.as_object_mut().and_then(|phone| phone.remove("number"));
            (one["id"].as_str().unwrap().to_owned(), inner)
        };
        list.as_array().unwrap().iter().map(value).collect()
    };
    assert_eq!(by_id(&sent["customfields"]), by_id(&documented["customfields"]));
    let known = Definitions::read(&definitions()).unwrap();
    assert_eq!(customers::fields(&sent, Some(&known), None), hanako());
}

#[tokio::test]
async fn a_field_that_the_company_does_not_have_is_absent_once_its_definitions_are_read() {
    let (timify, _) = timify([told(200, definitions())]);
    let express = |field: &Field| timify.express(Kind::Contact, field, &Value::text("x"));
    assert_eq!(express(&Field::BIRTHDAY), Expressed::Holds(Value::text("x")));
    assert_eq!(express(&Field::COUNTRY), Expressed::Absent);
    let early = step(Action::Update, Kind::Contact, Some("c1"), [(Field::BIRTHDAY, Value::text("1990-05-06"))].into());
    assert!(matches!(timify.apply(&early).await, Err(SystemError::Unavailable { .. })));
    assert_eq!(express(&Field::BIRTHDAY), Expressed::Absent);
    assert_eq!(express(&Field::EMAIL), Expressed::Holds(Value::text("x")));
    assert_eq!(express(&Field::tag("vip")), Expressed::Absent);
}

#[tokio::test]
async fn a_cleared_value_is_written_as_an_empty_text() {
    let (timify, script) = timify([told(200, definitions()), told(200, json!({ "status": 1 }))]);
    let clear = step(Action::Update, Kind::Contact, Some("c1"), [(Field::PHONE, Value::Blank)].into());
    assert_eq!(timify.apply(&clear).await.unwrap().shown, None);
    let expected = json!({ "customfields": [{ "id": "65c000000000000000000097", "value": "" }] });
    assert_eq!(script.asked().pop().unwrap(), ("PATCH /v1/customers/c1".to_owned(), expected));
}

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
    let (timify, script) = timify([body(APPOINTMENT)]);
    let whole = booking();
    let fields: Fields = [(Field::START, instant("2026-04-04T07:15:00Z"))].into();
    let update = Step { whole, ..step(Action::Update, Kind::Appointment, Some("a1"), fields) };
    timify.apply(&update).await.unwrap();
    let (line, sent) = script.asked().pop().unwrap();
    assert_eq!(line, "PATCH /v1/appointments/a1");
    let quiet = json!({ "datetime": "2026-04-04 07:15", "duration": 20, "has_notify_customers": false, "has_notify_resources": false });
    assert_eq!(sent, quiet);
}

#[tokio::test]
async fn a_deletion_notifies_nobody() {
    let (timify, script) = timify([told(200, json!({ "status": 1 }))]);
    timify.apply(&step(Action::Delete, Kind::Appointment, Some("a1"), Fields::new())).await.unwrap();
    let expected = "DELETE /v1/appointments/a1?has_notify_customers=false&has_notify_resources=false";
    assert_eq!(script.asked()[0].0, expected);
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
    assert_eq!(
        (timify.home(Kind::Task), timify.creates(Kind::Task).is_err()),
        (Home::Kept("TIMIFY has no tasks and no lists of notes"), true)
    );
}

#[rstest]
#[case::created(fixture!("assumed/timify_webhook_customer_created"), Kind::Contact, Shape::Hint)]
#[case::updated(fixture!("assumed/timify_webhook_customer_updated"), Kind::Contact, Shape::Hint)]
#[case::deleted(fixture!("assumed/timify_webhook_customer_deleted"), Kind::Contact, Shape::Gone)]
#[case::made(fixture!("assumed/timify_webhook_event_created"), Kind::Appointment, Shape::Hint)]
#[case::moved(fixture!("assumed/timify_webhook_event_updated"), Kind::Appointment, Shape::Hint)]
#[case::removed(fixture!("assumed/timify_webhook_event_deleted"), Kind::Appointment, Shape::Gone)]
fn a_webhook_says_which_object_to_look_at(#[case] body: &str, #[case] kind: Kind, #[case] shape: Shape) {
    let envelope = read_envelope(body.as_bytes());
    assert_eq!(envelope.account.as_deref(), Some("65a0000000000000000000b1"));
    assert_eq!((envelope.kind, envelope.standing), (Some(kind), Standing::Routed));
    let (timify, _) = timify([]);
    let observed = timify.observe(&change(System::Timify, false, body.as_bytes())).unwrap();
    let expected = Observation {
        at: envelope.at,
        ..Observation::new(kind, envelope.object.unwrap(), Class::Claim, shape.clone())
    };
    assert_eq!(observed, [expected]);
    // A deletion carries no moment: a second one of the same object is not the first one again.
    assert_eq!(envelope.delivery.is_some(), shape == Shape::Hint);
}

#[test]
fn a_bulk_deletion_names_each_object() {
    let body = fixture!("assumed/timify_webhook_events_deleted").as_bytes();
    let envelope = read_envelope(body);
    assert_eq!((envelope.object, envelope.delivery, envelope.standing), (None, None, Standing::Routed));
    let gone: Vec<_> = observe(body, |at| at).unwrap().into_iter().map(|one| (one.id.0, one.shape)).collect();
    let expected = ["66000000000000000000a001", "66000000000000000000a002"].map(|id| (id.to_owned(), Shape::Gone));
    assert_eq!(gone, expected);
}

#[rstest]
#[case(json!({ "type": "Customer.Updated", "company_id": "k", "data": { "_id": "c1" } }), Some(Kind::Contact), Standing::Routed)]
#[case(json!({ "eventType": "customerDeleted", "company": { "id": "k" }, "customerId": "c1" }), Some(Kind::Contact), Standing::Routed)]
#[case(json!({ "topic": "Appointments Created", "id": "a1" }), Some(Kind::Appointment), Standing::Routed)]
#[case(json!({ "event": "events_deleted", "ids": ["a1"] }), Some(Kind::Appointment), Standing::Routed)]
#[case(json!({ "event": "customer_fields_created", "data": { "id": "f1" } }), None, Standing::NotMirrored)]
#[case(json!({ "event": "resource_updated", "data": { "id": "r1" } }), None, Standing::NotMirrored)]
#[case(json!({ "event": "customer_updated", "data": {} }), Some(Kind::Contact), Standing::Unparsed)]
#[case(json!({ "data": { "id": "c1" } }), None, Standing::Unparsed)]
fn several_spellings_are_read(#[case] body: Json, #[case] kind: Option<Kind>, #[case] standing: Standing) {
    let envelope = read_envelope(body.to_string().as_bytes());
    assert_eq!((envelope.kind, envelope.standing), (kind, standing));
}

#[tokio::test]
async fn an_existing_customer_is_found_by_phone_on_a_later_page() {
    let page =
        |records: Json, page: u32| json!({ "data": records, "meta": { "page": page, "totalPages": 2 }, "status": 1 });
    let other = json!([{ "id": "c9", "fields": [{ "defaultId": "email", "value": "other@example.test" }] }]);
    let same: Json = serde_json::from_str(fixture!("assumed/timify_customers_list_response")).unwrap();
    let (timify, script) =
        timify([told(200, definitions()), told(200, page(other, 1)), told(200, page(same["data"].clone(), 2))]);
    let fields: Fields =
        [(Field::EMAIL, Value::text("new@example.test")), (Field::PHONE, Value::text("+491510000000"))].into();
    let found = timify.find(&Wanted { kind: Kind::Contact, parent: None, fields }).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].observation.shape, Shape::Full(hanako()));
    assert_eq!(found[0].observation.class, Class::Current);
    assert_eq!(script.asked()[2].0, "GET /v1/customers?page=2&limit=100");
    let nameless = Wanted { kind: Kind::Contact, parent: None, fields: Fields::new() };
    assert!(timify.find(&nameless).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_existing_appointment_is_found_by_start_and_customer() {
    let record = |id: &str, customer: &str, start: &str| {
        json!({ "id": id, "startDate": start, "duration": 30, "serviceId": "srv1", "customers": [{ "id": customer }],
                "resources": [{ "id": "65a0000000000000000000d1" }] })
    };
    let (start, later) = ("2026-04-04T07:05:00Z", "2026-04-04T08:05:00Z");
    let list = json!({ "data": [record("a1", "c2", start), record("a2", "c1", later), record("a3", "c1", start)] });
    let (timify, script) = timify([told(200, list)]);
    let wanted = Wanted { kind: Kind::Appointment, parent: Some(ExternalId::new("c1")), fields: booking() };
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
