//! The guest: names, addresses, answers by label, the comment, the contact that the link named.

use super::*;
use crate::model::Guest;

fn guest_of(body: &str, team: &Team) -> Guest {
    *observe(body.as_bytes(), team, |at| at).unwrap().guest.unwrap()
}

fn asking(questions: &[(Field, &str)]) -> Team {
    let questions = questions.iter().map(|(field, label)| (field.clone(), (*label).to_owned())).collect();
    Team { questions, ..team() }
}

fn with_form(form: &Json) -> String {
    changed_body(CONFIRMED, |json| json["event"]["form"] = form.clone())
}

#[test]
fn a_japanese_guest_is_read_family_name_first_with_the_contact_of_the_link() {
    let guest = *seen(CONFIRMED).guest.unwrap();
    assert_eq!(guest.correlation.as_deref(), Some("Abc123"));
    let expected: Fields = [
        (Field::FIRST_NAME, Value::text("花子")),
        (Field::LAST_NAME, Value::text("山田")),
        (Field::EMAIL, Value::text("hanako.yamada@example.test")),
    ]
    .into();
    assert_eq!(guest.fields, expected);
}

#[test]
fn a_guest_without_email_leaves_it_out_and_a_phone_is_read_in_the_region() {
    let body = changed_body(CONFIRMED, |json| {
        json["event"]["guest_locale"] = json!("en");
        json["event"]["url_params"] = json!([{ "utm_source": "x" }, { "ghl_contact_id": "Xyz9" }]);
        json["event"]["form"] = json!([
            { "field_type": "guest_name", "value": "Mary Ann Smith" },
            { "field_type": "guest_email", "value": "" },
            { "field_type": "guest_phone", "value": "090-1234-5678" },
            { "field_type": "checkboxes", "value": ["a", "b"] },
        ]);
    });
    let guest = *seen(&body).guest.unwrap();
    assert_eq!(guest.correlation.as_deref(), Some("Xyz9"));
    let expected: Fields = [
        (Field::FIRST_NAME, Value::text("Mary Ann")),
        (Field::LAST_NAME, Value::text("Smith")),
        (Field::PHONE, Value::text("+819012345678")),
    ]
    .into();
    assert_eq!(guest.fields, expected);
}

#[test]
fn a_guest_says_when_all_that_was_typed_also_once_the_booking_is_cancelled() {
    let typed = Some(at("2026-03-02T04:05:06Z"));
    assert_eq!(guest_of(CONFIRMED, &team()).typed, typed);
    assert_eq!(guest_of(fixture!("event_cancelled"), &team()).typed, typed);
}

#[test]
fn answers_are_found_by_their_label_and_unmapped_ones_are_ignored() {
    let team = asking(&[(Field::CITY, "地域"), (Field::custom("topics"), "話題"), (Field::STATUS, "希望")]);
    let guest = guest_of(CONFIRMED, &team);
    assert_eq!(guest.fields[&Field::CITY], Value::text("東京"));
    assert_eq!(guest.fields[&Field::STATUS], Value::text("オンライン"));
    assert_eq!(guest.fields.len(), 6, "{:?}", guest.fields);
}

#[test]
fn a_value_that_is_a_list_becomes_one_line() {
    let guest = guest_of(CONFIRMED, &asking(&[(Field::custom("topics"), "話題")]));
    assert_eq!(guest.fields[&Field::custom("topics")], Value::text("価格, 導入"));
}

#[test]
fn labels_compare_without_case_and_the_space_around_them_and_one_that_was_renamed_maps_nothing() {
    let form = json!([{ "field_type": "text", "label": " Postal CODE ", "value": " 100-0001 " }]);
    let fields = |label| observe(with_form(&form).as_bytes(), &asking(&[(Field::POSTAL_CODE, label)]), |at| at);
    let postal = |label| fields(label).unwrap().guest.unwrap().fields.get(&Field::POSTAL_CODE).cloned();
    assert_eq!(postal("postal code"), Some(Value::text("100-0001")));
    assert_eq!(postal("Post code"), None);
}

#[rstest]
#[case(Field::PHONE, "０９０－１２３４－５６７８", Some("+819012345678"))]
#[case(Field::COUNTRY, "jp", Some("JP"))]
#[case(Field::COUNTRY, "日本です", None)]
#[case(Field::BIRTHDAY, "1990/05/06", Some("1990-05-06"))]
#[case(Field::BIRTHDAY, "in May", None)]
#[case(Field::EMAIL, "Hanako@Example.TEST", Some("hanako@example.test"))]
#[case(Field::ADDRESS, "1-1 Chiyoda", Some("1-1 Chiyoda"))]
#[case(Field::custom("member"), "A7", Some("A7"))]
fn an_answer_takes_the_form_of_its_field(#[case] field: Field, #[case] typed: &str, #[case] held: Option<&str>) {
    let form = json!([{ "field_type": "guest_name", "value": "A" }, { "label": "Q", "value": typed }]);
    let guest = guest_of(&with_form(&form), &asking(&[(field.clone(), "q")]));
    assert_eq!(guest.fields.get(&field), held.map(Value::text).as_ref());
}

#[rstest]
#[case::given("080-1111-2222", "+818011112222")]
#[case::left_empty("", "+819012345678")]
fn a_mapped_phone_comes_before_the_vendors_own_where_it_is_given(#[case] mapped: &str, #[case] held: &str) {
    let form = json!([
        { "field_type": "paragraph", "label": "Mobile", "value": mapped },
        { "field_type": "guest_phone", "label": "電話番号", "value": "090-1234-5678" },
    ]);
    let guest = guest_of(&with_form(&form), &asking(&[(Field::PHONE, "mobile")]));
    assert_eq!(guest.fields[&Field::PHONE], Value::text(held));
}

#[test]
fn items_that_carry_only_a_type_and_a_value_are_read() {
    let body = changed_body(CONFIRMED, |json| {
        for item in json["event"]["form"].as_array_mut().unwrap() {
            item.as_object_mut().unwrap().retain(|key, _| key == "field_type" || key == "value");
        }
    });
    let guest = guest_of(&body, &asking(&[(Field::CITY, "地域")]));
    assert_eq!(guest.fields.len(), 3, "{:?}", guest.fields);
    assert_eq!(guest.comment.as_deref(), Some("よろしくお願いします"));
}

#[test]
fn a_comment_is_read_in_webhook_and_api_and_an_empty_one_is_none() {
    let read = bookings::read(&serde_json::from_str(fixture!("rest_get_event")).unwrap(), &team(), |at| at);
    assert_eq!(read.unwrap().guest.unwrap().comment, guest_of(CONFIRMED, &team()).comment);
    let form = json!([{ "field_type": "guest_name", "value": "A" }, { "field_type": "guest_comment", "value": "  " }]);
    assert_eq!(guest_of(&with_form(&form), &team()).comment, None);
}

#[test]
fn a_workspace_names_questions_by_our_fields_or_by_names_of_its_own() {
    let fields = [("phone", "Tel"), ("member", "No."), ("title", "Job")];
    let workspace = Workspace {
        accounts: [(System::Timerex, "t".to_owned())].into(),
        fields: [(System::Timerex, fields.map(|(name, label)| (name.to_owned(), label.to_owned())).into())].into(),
        ..Workspace::default()
    };
    let team = Team::of(&workspace).unwrap();
    let named: Vec<&str> = team.questions.iter().map(|(field, _)| field.name()).collect();
    assert_eq!(named, ["custom:member", "phone", "custom:title"], "a task's title is no field of a contact");
    assert!(!team.notify);
}
