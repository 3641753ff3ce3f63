use rstest::rstest;
use serde_json::{Value as Json, json};

use super::definitions::Definitions;
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
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/timify/", $name, ".json"))
    };
}

mod booked;
mod hints;
mod known;
mod projected;
mod traps;

const COMPANY: &str = "65a0000000000000000000b1";
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
        id: COMPANY.to_owned(),
        calendars: vec![
            row("massage", Some("srv1"), Some("65a0000000000000000000d1")),
            row("room", None, Some("65a0000000000000000000d1")),
            row("elsewhere", None, None),
        ],
        round_minutes,
        region: Some("DE".to_owned()),
        list_days: 31,
        ..Company::default()
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
    assert_eq!(reading.observation.shape, Shape::Partial(hanako()));
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
    let definitions = Arc::new(Definitions::read(&list).unwrap());
    let record = json!({ "lastName": "Yamada", "fields": [{ "id": "65c000000000000000000098", "value": " Hanako " }] });
    let company = Company::default();
    let read = Card::new(&company, Some(definitions)).fields(&record);
    let expected: Fields =
        [(Field::FIRST_NAME, Value::text("Hanako")), (Field::LAST_NAME, Value::text("Yamada"))].into();
    assert_eq!(read, expected);
}

#[rstest]
#[case::no_values(json!({ "fields": [] }), &[])]
#[case::no_values_in_either_list(json!({ "fields": [], "customfields": [] }), &[])]
#[case::only_plain_keys(json!({ "firstName": "Hanako", "lastName": "", "email": null }), &[(Field::FIRST_NAME, "Hanako")])]
#[case::a_list_of_some(json!({ "fields": [{ "defaultId": "email", "value": "a@b.c" }] }), &[(Field::EMAIL, "a@b.c")])]
#[case::values_left_out(json!({ "fields": [{ "defaultId": "email" }, { "defaultId": "firstName", "value": "Hanako" }] }), &[(Field::FIRST_NAME, "Hanako")])]
#[case::the_other_list(json!({ "fields": [], "customfields": [{ "defaultId": "email", "value": "a@b.c" }] }), &[(Field::EMAIL, "a@b.c")])]
#[case::emptied(json!({ "fields": [{ "defaultId": "email", "value": "" }, { "defaultId": "mobilePhone", "value": null }] }), &[(Field::EMAIL, ""), (Field::PHONE, "")])]
#[case::another_form(json!({ "fields": [{ "defaultId": "email", "value": { "is": "a@b.c" } }, { "defaultId": "mobilePhone", "value": "{\"country\":\"DE\"}" }] }), &[])]
#[tokio::test]
async fn a_value_that_a_record_does_not_show_is_not_cleared(#[case] record: Json, #[case] expected: &[(Field, &str)]) {
    let mut record = record;
    record["id"] = json!("c1");
    let (timify, _) = timify([told(200, definitions()), told(200, json!({ "data": record }))]);
    let reading = timify.read(&place(Kind::Contact, "c1")).await.unwrap();
    let expected = expected.iter().map(|(field, value)| (field.clone(), Value::text(*value))).collect();
    assert_eq!((reading.observation.shape, reading.within), (Shape::Partial(expected), None));
}

#[rstest]
#[case::the_vendors_text(json!("{\"phone\":\"+491510000000\",\"country\":\"DE\",\"prefix\":\"49\",\"number\":\"01510000000\"}"))]
#[case::number_and_country(json!("{\"number\":\"01510000000\",\"country\":\"DE\"}"))]
#[case::object(json!({ "phone": "+49 151 0000000" }))]
#[case::plain(json!("0151 0000000"))]
fn a_phone_is_found_inside_its_json_text(#[case] value: Json) {
    let record = json!({ "fields": [{ "id": "x", "defaultId": "mobilePhone", "value": value }] });
    let read = Card::new(&company(false), None).fields(&record);
    assert_eq!(read[&Field::PHONE], Value::text("+491510000000"));
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
    let known = Arc::new(Definitions::read(&definitions()).unwrap());
    assert_eq!(Card::new(&company(false), Some(known)).fields(&sent), hanako());
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
    let found = timify.find(&Wanted { kind: Kind::Contact, parent: None, fields, key: None }).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].observation.shape, Shape::Partial(hanako()));
    assert_eq!(found[0].observation.class, Class::Current);
    assert_eq!(script.asked()[2].0, "GET /v1/customers?page=2&limit=100");
    let nameless = Wanted { kind: Kind::Contact, parent: None, fields: Fields::new(), key: None };
    assert!(timify.find(&nameless).await.unwrap().is_empty());
}
