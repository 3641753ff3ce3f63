use super::*;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

fn mapping() -> Mapping {
    let calendars = vec![
        CalendarRow { name: "cut".to_owned(), ghl: Some("CalA".to_owned()), ..CalendarRow::default() },
        CalendarRow { name: "dye".to_owned(), ..CalendarRow::default() },
    ];
    let custom = [("shoe".to_owned(), "FieldA".to_owned()), ("status".to_owned(), "FieldS".to_owned())].into();
    Mapping::new(Some("JP".to_owned()), calendars, custom, "2021-07-28", "2021-04-15")
}

fn held(kind: Kind, field: &Field, value: &Value) -> Value {
    match mapping().express(kind, field, value) {
        Expressed::Holds(value) => value,
        other => panic!("{field}: {other:?}"),
    }
}

/// What GHL would show after it took the JSON: a custom field comes back under another key.
fn shown(kind: Kind, fields: &Fields) -> Fields {
    let mut json = Json::Object(mapping().json(kind, fields));
    for entry in json["customFields"].as_array_mut().into_iter().flatten() {
        entry["value"] = entry["field_value"].take();
    }
    mapping().whole(kind, &json).unwrap()
}

fn plain_fields() -> impl Strategy<Value = (Kind, Field)> {
    let all = Kind::ALL.iter().flat_map(|kind| {
        let text = |form: Form| {
            !matches!(form, Form::Instant | Form::Due | Form::Flag | Form::Calendar | Form::Status | Form::Tie)
        };
        let columns = wire::columns(*kind).iter().filter(move |column| text(column.form));
        columns.map(|column| (*kind, column.field.clone()))
    });
    let mut all: Vec<(Kind, Field)> = all.collect();
    all.extend([(Kind::Contact, Field::custom("shoe")), (Kind::Contact, Field::STATUS)]);
    proptest::sample::select(all)
}

proptest! {
    #[test]
    fn text_that_ghl_was_told_is_what_it_shows((kind, field) in plain_fields(), text in "\\PC{0,40}") {
        let value = held(kind, &field, &Value::text(text));
        prop_assert_eq!(held(kind, &field, &value), value.clone(), "expressing twice changes nothing");
        let shown = shown(kind, &[(field.clone(), value.clone())].into());
        prop_assert_eq!(shown.get(&field).cloned().unwrap_or_default(), value);
    }

    #[test]
    fn instants_keep_their_milliseconds(ms in 0_i64..4_000_000_000_000) {
        for (kind, field) in [(Kind::Task, Field::DUE), (Kind::Appointment, Field::START), (Kind::Appointment, Field::END)] {
            let value = held(kind, &field, &Value::Instant(Millis(ms)));
            let fields = shown(kind, &[(field.clone(), value)].into());
            prop_assert_eq!(fields[&field].as_instant(), Some(Millis(ms)));
        }
    }
}

#[test]
fn a_task_without_a_due_date_is_told_and_read_as_one() {
    let blank: Fields = [(Field::DUE, Value::Blank)].into();
    let json = mapping().json(Kind::Task, &blank);
    assert_eq!(json["dueDate"], "2099-12-31T00:00:00.000Z");
    assert_eq!(shown(Kind::Task, &blank), [(Field::COMPLETED, Value::Flag(false))].into());
    let rounded = json!({ "dueDate": "2099-12-30T15:00:00.000Z" });
    assert_eq!(mapping().stated(Kind::Task, &rounded).unwrap()[&Field::DUE], Value::Blank);
    assert_eq!(held(Kind::Task, &Field::DUE, &Value::Instant(NO_DUE)), Value::Blank);
}

#[test]
fn a_cleared_field_is_sent_as_an_empty_text() {
    let fields: Fields = [(Field::PHONE, Value::Blank), (Field::custom("shoe"), Value::Blank)].into();
    let json = Json::Object(mapping().json(Kind::Contact, &fields));
    assert_eq!(json, json!({ "phone": "", "customFields": [{ "id": "FieldA", "field_value": "" }] }));
    assert_eq!(shown(Kind::Contact, &fields), Fields::new());
}

#[test]
fn a_contact_is_read_in_normal_form_and_unknown_keys_are_left() {
    let json = json!({
        "id": "C1", "firstName": " Jane ", "email": "Jane@Example.COM", "phone": "０３-1234-5678", "country": "jp",
        "dateOfBirth": "1990-05-06T00:00:00.000Z", "tags": ["VIP", " Lead "], "dnd": true, "city": null,
        "customFields": [{"id": "FieldA", "value": 42}, {"id": "Other", "value": "x"}],
    });
    let expected = [
        (Field::FIRST_NAME, Value::text("Jane")),
        (Field::EMAIL, Value::text("jane@example.com")),
        (Field::PHONE, Value::text("+81312345678")),
        (Field::COUNTRY, Value::text("JP")),
        (Field::BIRTHDAY, Value::text("1990-05-06")),
        (Field::tag("vip"), Value::Flag(true)),
        (Field::tag("lead"), Value::Flag(true)),
        (Field::custom("shoe"), Value::text("42")),
    ];
    assert_eq!(mapping().whole(Kind::Contact, &json).unwrap(), expected.into());
}

#[test]
fn a_value_of_an_unknown_form_is_an_error_and_never_a_clearing() {
    for (kind, json) in [
        (Kind::Appointment, json!({ "startTime": "2021-07-16 11:00:00" })),
        (Kind::Contact, json!({ "phone": { "number": 1 } })),
        (Kind::Task, json!({ "completed": "perhaps" })),
    ] {
        assert!(mapping().whole(kind, &json).is_err(), "{json}");
    }
}

#[test]
fn appointment_times_are_read_with_any_offset_or_as_epoch() {
    let json = json!({ "startTime": "2023-09-25T16:00:00+05:30", "endTime": 1_695_641_400_000_i64 });
    let fields = mapping().whole(Kind::Appointment, &json).unwrap();
    assert_eq!(fields[&Field::START].as_instant(), Millis::parse("2023-09-25T10:30:00Z"));
    assert_eq!(fields[&Field::END].as_instant(), Millis::parse("2023-09-25T11:30:00Z"));
}

#[test]
fn a_calendar_is_known_by_the_name_of_its_row() {
    let read =
        |id: &str| mapping().whole(Kind::Appointment, &json!({ "calendarId": id })).unwrap()[&Field::CALENDAR].clone();
    assert_eq!((read("CalA"), read("CalZ")), (Value::text("cut"), Value::text("ghl:CalZ")));
    for (name, id) in [("cut", "CalA"), ("ghl:CalZ", "CalZ")] {
        let value = held(Kind::Appointment, &Field::CALENDAR, &Value::text(name));
        assert_eq!(mapping().json(Kind::Appointment, &[(Field::CALENDAR, value)].into())["calendarId"], id);
    }
}

#[rstest]
#[case::row_without_ghl(Field::CALENDAR, "dye", "set `ghl` in the `[[workspaces.calendars]]` row named `dye`")]
#[case::no_row(Field::CALENDAR, "perm", "no `[[workspaces.calendars]]` row names `perm`")]
#[case::status(Field::STATUS, "rescheduled", "no appointment status `rescheduled`")]
#[case::not_a_time(Field::START, "noon", "a form that GHL cannot hold")]
fn what_ghl_cannot_hold_is_refused_with_what_to_do(#[case] field: Field, #[case] text: &str, #[case] said: &str) {
    match mapping().express(Kind::Appointment, &field, &Value::text(text)) {
        Expressed::Refused(reason) => assert!(reason.contains(said), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fields_that_ghl_does_not_have_stay_out() {
    for (kind, field) in [
        (Kind::Contact, Field::TITLE),
        (Kind::Contact, Field::custom("hat")),
        (Kind::Task, Field::tag("vip")),
        (Kind::Note, Field::custom("shoe")),
    ] {
        assert_eq!(mapping().express(kind, &field, &Value::text("x")), Expressed::Absent, "{kind} {field}");
    }
    assert_eq!(held(Kind::Contact, &Field::tag("VIP"), &Value::Flag(false)), Value::Blank);
    assert_eq!(held(Kind::Task, &Field::COMPLETED, &Value::Blank), Value::Flag(false));
}

#[rstest]
#[case(Field::START)]
#[case(Field::END)]
#[case(Field::CALENDAR)]
#[case(Field::STATUS)]
fn half_an_appointment_is_refused_and_never_a_cleared_value(#[case] field: Field) {
    match mapping().express(Kind::Appointment, &field, &Value::Blank) {
        Expressed::Refused(reason) => assert!(reason.contains(&format!("`{field}` is empty")), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(held(Kind::Contact, &Field::STATUS, &Value::Blank), Value::Blank);
}

#[test]
fn a_business_is_read_with_the_contact_and_written_elsewhere() {
    let fields = mapping().whole(Kind::Contact, &json!({ "businessId": "B1" })).unwrap();
    assert_eq!(fields, [(Field::BUSINESS, Value::text("B1"))].into());
    assert_eq!(mapping().json(Kind::Contact, &fields), Map::new());
}

#[rstest]
#[case::objects(json!({ "additionalEmails": [{ "email": " Two@B.example " }, { "email": null }] }), &["two@b.example"])]
#[case::texts(json!({ "additionalEmails": ["two@b.example"], "additionalPhones": ["+81312345678"] }), &["+81312345678", "two@b.example"])]
#[case::phones(json!({ "additionalPhones": [{ "phone": "+81 3-1234-5678" }] }), &["+81312345678"])]
#[case::none(json!({ "email": "one@b.example" }), &[])]
fn further_addresses_of_a_contact_are_read_in_each_form(#[case] object: Json, #[case] expected: &[&str]) {
    let also = |kind| mapping().also(kind, &object);
    assert_eq!(also(Kind::Contact), expected.iter().map(Value::text).collect());
    assert!(also(Kind::Task).is_empty());
}
