//! The vendor's quirks, one test each.

use super::*;
use crate::systems::Decision;

/// The keys that the documents list for the body of each write (v2), besides those that every appointment carries.
const CREATE_CONTACT: &[&str] = &[
    "locationId",
    "firstName",
    "lastName",
    "email",
    "phone",
    "address1",
    "city",
    "state",
    "postalCode",
    "country",
    "dateOfBirth",
    "tags",
    "customFields",
];
const TASK: &[&str] = &["title", "body", "dueDate", "completed"];
const APPOINTMENT: &[&str] = &["calendarId", "startTime", "endTime", "title", "appointmentStatus"];
const ALWAYS: &[&str] = &["ignoreFreeSlotValidation", "ignoreDateRange", "toNotify"];

/// A value for every field that the model has, whether or not it belongs to the kind.
fn everything() -> Vec<(Field, Value)> {
    let texts = [
        Field::FIRST_NAME,
        Field::LAST_NAME,
        Field::EMAIL,
        Field::PHONE,
        Field::ADDRESS,
        Field::CITY,
        Field::STATE,
        Field::POSTAL_CODE,
        Field::COUNTRY,
        Field::BIRTHDAY,
        Field::BUSINESS,
        Field::TITLE,
        Field::BODY,
        Field::CALENDAR,
        Field::STATUS,
        Field::custom("shoe"),
        Field::custom("hat"),
    ];
    let mut all: Vec<(Field, Value)> = texts.into_iter().map(|field| text(field, "cut")).collect();
    all.extend([(Field::DUE, hour(9)), (Field::START, hour(9)), (Field::END, hour(10)), tag("vip", true)]);
    all.push((Field::COMPLETED, Value::Flag(true)));
    all
}

async fn sent_keys(action: Action, kind: Kind) -> Vec<String> {
    let (ghl, script) = ghl([told(200, json!({ "id": "X" }))]);
    ghl.apply(&step(action, kind, &everything())).await.unwrap();
    let mut keys: Vec<String> = script.asked()[0].1.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

#[rstest]
#[case::contact(Action::Create, Kind::Contact, CREATE_CONTACT, &[])]
#[case::contact_update(Action::Update, Kind::Contact, &CREATE_CONTACT[1..11], &["customFields"])]
#[case::task(Action::Create, Kind::Task, TASK, &[])]
#[case::task_update(Action::Update, Kind::Task, TASK, &[])]
#[case::completion(Action::Complete, Kind::Task, &["completed"], &[])]
#[case::note(Action::Create, Kind::Note, &["body"], &[])]
#[case::note_update(Action::Update, Kind::Note, &["body"], &[])]
#[case::appointment(Action::Create, Kind::Appointment, APPOINTMENT, &["locationId", "contactId"])]
#[case::appointment_update(Action::Update, Kind::Appointment, APPOINTMENT, &[])]
#[case::tags(Action::AddTags, Kind::Contact, &["tags"], &[])]
#[case::business(Action::SetBusiness, Kind::Contact, &["ids", "businessId", "locationId"], &[])]
#[tokio::test]
async fn only_keys_of_the_document_are_sent(
    #[case] action: Action,
    #[case] kind: Kind,
    #[case] keys: &[&str],
    #[case] more: &[&str],
) {
    let always = if kind == Kind::Appointment { ALWAYS } else { &[] };
    let mut expected: Vec<String> = [keys, more, always].concat().into_iter().map(str::to_owned).collect();
    expected.sort();
    assert_eq!(sent_keys(action, kind).await, expected);
}

#[rstest]
#[case("+49 151 234 567 89", "+4915123456789")]
#[case("０９０－１２３４－５６７８", "+819012345678")]
#[tokio::test]
async fn phones_are_sent_in_e164(#[case] phone: &str, #[case] e164: &str) {
    let (ghl, script) = Made { region: Some("JP"), ..Made::default() }.ghl([told(200, json!({ "id": "X" }))]);
    let Expressed::Holds(held) = ghl.express(Kind::Contact, &Field::PHONE, &Value::text(phone)) else { panic!() };
    ghl.apply(&step(Action::Update, Kind::Contact, &[(Field::PHONE, held)])).await.unwrap();
    assert_eq!(script.asked()[0].1, json!({ "phone": e164 }));
}

#[tokio::test]
async fn tags_are_one_in_any_case_and_have_calls_of_their_own() {
    let shown = json!({ "contact": { "id": "X", "tags": ["VIP", "early Bird"] } });
    let (ghl, script) = ghl([told(200, shown), told(200, json!({ "contact": { "id": "X" } }))]);
    let reading = ghl.read(&place(Kind::Contact, None)).await.unwrap();
    let fields = [tag("Vip", true), tag("EARLY BIRD", true)];
    assert_eq!(reading.observation.shape, Shape::Full(fields.clone().into()));
    ghl.apply(&step(Action::Update, Kind::Contact, &[text(Field::CITY, "Rome"), fields[0].clone()])).await.unwrap();
    assert_eq!(script.asked()[1].1, json!({ "city": "Rome" }), "a `tags` of an update would replace the whole list");
}

#[rstest]
#[case::v2("succeded")]
#[case::v3("succeeded")]
#[case::bulk("success")]
#[tokio::test]
async fn a_200_that_says_it_was_not_done_is_unclear_and_looked_at(#[case] flag: &str) {
    let (ghl, _) = ghl([told(200, json!({ flag: false })), told(200, json!({ flag: true }))]);
    let delete = step(Action::Delete, Kind::Contact, &[]);
    let error = ghl.apply(&delete).await.unwrap_err();
    assert!(matches!(error, SystemError::Unclear { status: Some(200), .. }), "{error}");
    assert_eq!(error.decision(), Decision::Look);
    assert_eq!(ghl.apply(&delete).await.unwrap().id, id("X"));
}

#[rstest]
#[case::text(json!("email must be an email"))]
#[case::list(json!(["email must be an email", "phone is odd"]))]
#[tokio::test]
async fn a_message_is_a_text_or_a_list(#[case] message: Json) {
    let (ghl, _) = ghl([told(422, json!({ "statusCode": 422, "message": message, "traceId": "t-1" }))]);
    let error = ghl.apply(&step(Action::Update, Kind::Contact, &[text(Field::EMAIL, "x")])).await.unwrap_err();
    assert!(matches!(error, SystemError::Refused { status: 422, .. }), "{error}");
    assert!(error.to_string().contains("email must be an email") && error.to_string().contains("trace t-1"), "{error}");
}

#[rstest]
#[case(Kind::Contact)]
#[case(Kind::Task)]
#[case(Kind::Note)]
#[case(Kind::Appointment)]
#[tokio::test]
async fn a_422_may_have_created_all_the_same_so_it_is_looked_for(#[case] kind: Kind) {
    let refused = || told(422, json!({ "message": ["property a should not exist"] }));
    let (ghl, _) = ghl([refused(), refused()]);
    let error = ghl.apply(&step(Action::Create, kind, &[])).await.unwrap_err();
    assert!(matches!(&error, SystemError::Unclear { status: Some(422), reason, .. } if reason.contains("property a")));
    assert_eq!(error.decision(), Decision::Look);
    let error = ghl.apply(&step(Action::Update, kind, &[])).await.unwrap_err();
    assert_eq!(error.decision(), Decision::Park, "what was to be changed is there anyway");
}

#[rstest]
#[case::wrapped(json!({ "event": { "id": "X", "title": "Cut" } }))]
#[case::otherwise(json!({ "appointment": { "id": "X", "title": "Cut" } }))]
#[case::bare(json!({ "id": "X", "title": "Cut", "traceId": "t" }))]
#[tokio::test]
async fn an_appointment_is_wrapped_or_not(#[case] body: Json) {
    let (ghl, _) = ghl([told(200, body.clone()), told(200, body)]);
    let reading = ghl.read(&place(Kind::Appointment, None)).await.unwrap();
    assert_eq!(reading.observation.shape, Shape::Full([text(Field::TITLE, "Cut")].into()));
    let shown = ghl.apply(&step(Action::Create, Kind::Appointment, &[])).await.unwrap().shown.unwrap();
    assert_eq!((shown.id, shown.shape), (id("X"), Shape::Partial([text(Field::TITLE, "Cut")].into())));
}

#[tokio::test]
async fn v3_has_other_keys_and_dates_in_the_answers_of_appointments() {
    let answer = json!({ "id": "X", "startTime": "2026-01-02T10:00:00+01:00", "dateUpdated": "2026-01-01T00:00:00Z" });
    let made = Made { version: "v3", fields: &[("shoe", "FieldA")], ..Made::default() };
    let (ghl, script) =
        made.ghl([told(200, json!({ "succeeded": true, "contact": { "id": "X" } })), told(200, answer)]);
    ghl.apply(&step(Action::Update, Kind::Contact, &[text(Field::custom("shoe"), "42")])).await.unwrap();
    assert_eq!(script.asked()[0].1, json!({ "customFields": [{ "id": "FieldA", "fieldValue": "42" }] }));
    assert_eq!(script.header("version").as_deref(), Some("v3"));
    let shown = ghl.apply(&step(Action::Update, Kind::Appointment, &[(Field::START, hour(9))])).await.unwrap().shown;
    let shown = shown.unwrap();
    assert_eq!(shown.version, Millis::parse("2026-01-01T00:00:00Z"));
    assert_eq!(shown.fields().unwrap()[&Field::START], hour(9));
}

#[tokio::test]
async fn a_business_is_set_and_left_by_a_bulk_call_of_one() {
    let done = || told(200, json!({ "success": true, "ids": ["X"] }));
    let (ghl, script) = ghl([done(), done(), told(200, json!({ "success": true, "ids": ["other"] }))]);
    let set = step(Action::SetBusiness, Kind::Contact, &[text(Field::BUSINESS, "B1")]);
    let answer = ghl.apply(&set).await.unwrap();
    assert_eq!((answer.id, answer.shown), (id("X"), None));
    ghl.apply(&step(Action::SetBusiness, Kind::Contact, &[(Field::BUSINESS, Value::Blank)])).await.unwrap();
    let line = "POST /contacts/bulk/business".to_owned();
    let asked = script.asked();
    assert_eq!(asked[0], (line.clone(), json!({ "locationId": "Loc", "ids": ["X"], "businessId": "B1" })));
    assert_eq!(asked[1], (line, json!({ "locationId": "Loc", "ids": ["X"], "businessId": null })));
    assert!(matches!(ghl.apply(&set).await, Err(SystemError::Unclear { .. })), "the answer names another contact");
}

#[tokio::test]
async fn an_unknown_business_or_calendar_is_no_proof_that_the_object_is_gone() {
    let missing = |what: &str| told(400, json!({ "message": format!("{what} with id B1 not found") }));
    let (ghl, _) = ghl([missing("Business"), missing("Calendar"), missing("Contact")]);
    let set = step(Action::SetBusiness, Kind::Contact, &[text(Field::BUSINESS, "B1")]);
    assert_eq!(ghl.apply(&set).await.unwrap_err().decision(), Decision::Park);
    let moved = step(Action::Update, Kind::Appointment, &[text(Field::CALENDAR, "cut")]);
    assert_eq!(ghl.apply(&moved).await.unwrap_err().decision(), Decision::Park);
    assert!(matches!(ghl.apply(&set).await, Err(SystemError::Gone { .. })));
}

#[tokio::test]
async fn a_list_of_texts_stays_a_list_and_what_a_text_would_destroy_is_not_written() {
    let showing = |value: Json| {
        told(200, json!({ "contact": { "id": "X", "customFields": [{ "id": "FieldA", "value": value }] } }))
    };
    let (ghl, script) = ghl([
        showing(json!(["red", "green"])),
        told(200, json!({ "contact": { "id": "X" } })),
        showing(json!({ "file": { "url": "u" } })),
    ]);
    let read = ghl.read(&place(Kind::Contact, None)).await.unwrap();
    let held = read.observation.fields().unwrap()[&Field::custom("shoe")].clone();
    let expressed = ghl.express(Kind::Contact, &Field::custom("shoe"), &held);
    assert_eq!(expressed, Expressed::Holds(held), "no difference from the snapshot, so no plan writes it back");
    let edit = step(Action::Update, Kind::Contact, &[text(Field::custom("shoe"), "blue, green")]);
    ghl.apply(&edit).await.unwrap();
    assert_eq!(script.asked()[1].1["customFields"], json!([{ "id": "FieldA", "field_value": ["blue", "green"] }]));
    ghl.read(&place(Kind::Contact, None)).await.unwrap();
    let error = ghl.apply(&edit).await.unwrap_err();
    assert!(error.decision() == Decision::Park && error.to_string().contains("`custom:shoe`"), "{error}");
    assert_eq!(script.asked().len(), 3, "nothing was sent");
}

#[rstest]
#[case::mapped(&[("status", "FieldS")], Expressed::Holds(Value::text("lead")))]
#[case::not_mapped(&[], Expressed::Absent)]
#[tokio::test]
async fn the_status_of_a_contact_is_a_custom_field_if_one_is_mapped(
    #[case] fields: &'static [(&'static str, &'static str)],
    #[case] expressed: Expressed,
) {
    let contact = json!({ "contact": { "id": "X", "customFields": [{ "id": "FieldS", "value": "lead" }] } });
    let (ghl, script) = Made { fields, ..Made::default() }.ghl([told(200, contact), told(200, json!({ "id": "X" }))]);
    assert_eq!(ghl.express(Kind::Contact, &Field::STATUS, &Value::text("lead")), expressed);
    let mapped = !fields.is_empty();
    let held = if mapped { vec![text(Field::STATUS, "lead")] } else { vec![] };
    let reading = ghl.read(&place(Kind::Contact, None)).await.unwrap();
    assert_eq!(reading.observation.shape, Shape::Full(held.into_iter().collect()));
    let calls = ghl.carriers(Kind::Contact, &Field::STATUS, &Value::text("won"), false);
    assert_eq!(calls, if mapped { &[Action::Update] as &[Action] } else { &[] });
    ghl.apply(&step(Action::Update, Kind::Contact, &[text(Field::STATUS, "won")])).await.unwrap();
    let sent = if mapped { json!([{ "id": "FieldS", "field_value": "won" }]) } else { Json::Null };
    assert_eq!(script.asked()[1].1["customFields"], sent);
}

#[tokio::test]
async fn a_listing_that_was_stopped_goes_on_where_it_was_with_other_calendars_too() {
    let (ghl, script) = ghl([told(200, json!({ "events": [] })), told(200, json!({ "events": [] }))]);
    for (page, calendar) in [("CalAA", "CalB"), ("CalB", "CalB")] {
        let listed = ghl.changed(Kind::Appointment, None, Some(page)).await.unwrap();
        assert_eq!(listed.next, None);
        assert!(script.asked().last().unwrap().0.contains(&format!("calendarId={calendar}&")), "{page}");
    }
    assert_eq!(ghl.changed(Kind::Appointment, None, Some("CalC")).await.unwrap().next, None);
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test]
async fn a_full_page_that_does_not_say_how_to_go_on_is_not_taken_for_the_last() {
    let contacts: Vec<Json> = (0..100).map(|at| json!({ "id": format!("C{at}") })).collect();
    let (ghl, _) = ghl([told(200, json!({ "contacts": contacts }))]);
    assert!(matches!(ghl.changed(Kind::Contact, None, None).await, Err(SystemError::Garbled { .. })));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_does_not_stop_its_page() {
    let tasks = json!({ "tasks": [
        { "id": "T1", "title": "Call", "contactId": "C" },
        { "id": "T2", "title": { "odd": true }, "contactId": "C" },
        { "title": "no id" },
        { "id": "T3", "title": "Foreign", "locationId": "Other" },
        "no object",
        { "_id": "T4", "title": "Write", "completed": true },
    ] });
    let (ghl, _) = ghl([told(200, tasks.clone()), told(200, tasks)]);
    for page in [ghl.changed(Kind::Task, None, None).await.unwrap(), ghl.untold(Kind::Task, None).await.unwrap()] {
        let seen: Vec<_> = page.observations.iter().map(|seen| (seen.id.as_str(), seen.class)).collect();
        assert_eq!(seen, [("T1", Class::Claim), ("T2", Class::Claim), ("T4", Class::Claim)]);
        let odd = &page.observations[1];
        assert_eq!((&odd.shape, &odd.parent), (&Shape::Hint, &Some(id("C"))), "it is read by itself");
        assert!(page.observations[2].fields().is_some());
    }
}

#[rstest]
#[case::v2_showed("", "showed", true)]
#[case::v2_active("", "active", false)]
#[case::v2_completed("", "completed", false)]
#[case::v3_showed("v3", "showed", true)]
#[case::v3_active("v3", "active", true)]
#[case::v3_completed("v3", "completed", true)]
#[case::never("v3", "rescheduled", false)]
#[tokio::test]
async fn a_status_is_written_where_the_version_has_it_and_read_in_any(
    #[case] version: &'static str,
    #[case] status: &str,
    #[case] written: bool,
) {
    let event = json!({ "event": { "id": "X", "contactId": "C", "appointmentStatus": status } });
    let (ghl, _) = Made { version, ..Made::default() }.ghl([told(200, event)]);
    match ghl.express(Kind::Appointment, &Field::STATUS, &Value::text(status)) {
        Expressed::Holds(value) => assert!(written && value == Value::text(status), "{value:?}"),
        Expressed::Refused(reason) => {
            assert!(!written && reason.contains(&format!("`{status}`")), "{reason}");
            assert_eq!(reason.contains("calendars_version"), status != "rescheduled", "{reason}");
        }
        Expressed::Absent => panic!("appointments have a status"),
    }
    let reading = ghl.read(&place(Kind::Appointment, None)).await.unwrap();
    assert_eq!(reading.observation.shape, Shape::Full([text(Field::STATUS, status)].into()));
}

/// A note that comes back with other line ends is the note that was written: no edit, and no other note.
#[tokio::test]
async fn line_ends_are_no_edit_of_a_note() {
    let shown = json!({ "id": "X", "body": " Prefers mornings\r\nCall first\r\n" });
    let (ghl, _) = ghl([told(200, json!({ "note": shown })), told(200, json!({ "notes": [shown] }))]);
    let written = text(Field::BODY, "Prefers mornings\nCall first");
    assert_eq!(ghl.express(Kind::Note, &written.0, &written.1), Expressed::Holds(written.1.clone()));
    let fields: Fields = [written].into();
    let reading = ghl.read(&place(Kind::Note, Some("C"))).await.unwrap();
    assert_eq!(reading.observation.shape, Shape::Full(fields.clone()));
    let found = ghl.find(&Wanted { kind: Kind::Note, parent: Some(id("C")), fields, key: None }).await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_contact_of_whom_only_a_number_without_country_is_known_is_not_made() {
    let (ghl, script) = ghl([told(200, json!({ "contact": { "id": "X" } }))]);
    let (name, phone) = (text(Field::FIRST_NAME, "Jane"), text(Field::PHONE, "015123456789"));
    let mut create = step(Action::Create, Kind::Contact, std::slice::from_ref(&name));
    create.whole = [name, phone].into();
    let error = ghl.apply(&create).await.unwrap_err();
    assert_eq!((error.decision(), script.asked()), (Decision::Park, vec![]), "it could not be looked for");
    assert!(error.to_string().contains("`region`"), "{error}");
    let email = text(Field::EMAIL, "a@b.c");
    create.fields.extend([email.clone()]);
    create.whole.extend([email]);
    ghl.apply(&create).await.unwrap();
    assert_eq!(script.asked()[0].1, json!({ "firstName": "Jane", "email": "a@b.c", "locationId": "Loc" }));
}
