//! The traps of the vendor's documents that the other tests do not name, one by one.

use super::*;
use crate::systems::timify::door::read_envelope;
use crate::systems::{Decision, Door};

const SERIES: &str = fixture!("appointment_recurring_get_response");

fn create(fields: Fields) -> Step {
    step(Action::Create, Kind::Appointment, None, fields)
}

fn booking(calendar: &str) -> Fields {
    [
        (Field::START, instant("2026-04-04T07:05:00Z")),
        (Field::END, instant("2026-04-04T07:35:00Z")),
        (Field::CALENDAR, Value::text(calendar)),
    ]
    .into()
}

fn edited(edit: impl FnOnce(&mut Json)) -> Json {
    let mut json: Json = serde_json::from_str(APPOINTMENT).unwrap();
    edit(&mut json["data"]);
    json
}

async fn seen(answer: Json) -> Observation {
    let (timify, _) = timify([told(200, answer)]);
    timify.read(&place(Kind::Appointment, "a1")).await.unwrap().observation
}

#[tokio::test]
async fn the_token_is_the_apps_so_every_call_names_the_company() {
    let list = || told(200, json!({ "data": [], "status": 1 }));
    let (timify, script) = timify([told(200, definitions()), list(), list(), body(APPOINTMENT)]);
    let company = || script.header("company-id");
    timify.changed(Kind::Contact, None, None).await.unwrap();
    assert_eq!(company().as_deref(), Some(COMPANY));
    timify.changed(Kind::Appointment, None, None).await.unwrap();
    assert_eq!(company().as_deref(), Some(COMPANY));
    let fields = [booking("massage"), [(Field::TITLE, Value::text("x"))].into()].into_iter().flatten().collect();
    timify.apply(&create(fields)).await.unwrap();
    assert_eq!((company().as_deref(), script.asked().len()), (Some(COMPANY), 4));
}

#[tokio::test]
async fn no_limit_means_ten_thousand_so_every_list_says_page_and_limit() {
    let list = || told(200, json!({ "data": [], "status": 1 }));
    let (timify, script) = timify([told(200, definitions()), list(), list(), list(), list()]);
    for kind in [Kind::Contact, Kind::Appointment] {
        timify.changed(kind, None, None).await.unwrap();
        let fields = [booking("massage"), hanako()].into_iter().flatten().collect();
        timify.find(&Wanted { kind, parent: None, fields, key: None }).await.unwrap();
    }
    let asked = script.asked();
    assert_eq!(asked.len(), 5);
    for (line, _) in &asked[1..] {
        assert!(line.contains("page=1&limit=100"), "{line}");
    }
}

#[test]
fn all_is_asked_for_in_snake_case() {
    let fields = [booking("massage"), [(Field::TITLE, Value::text("x"))].into()].into_iter().flatten().collect();
    let sent = appointments::body(&create(fields), &company(false)).unwrap();
    let keys: Vec<&String> = sent.as_object().unwrap().keys().collect();
    assert!(keys.iter().all(|key| !key.contains(char::is_uppercase)), "{keys:?}");
    assert!(keys.iter().any(|key| *key == "service_id"), "{keys:?}");
}

#[rstest]
#[case::no_body("")]
#[case::a_text("nope")]
#[case::a_page("<html>no</html>")]
#[case::empty("{}")]
#[case::code_only(r#"{"error":{"code":17}}"#)]
#[case::errors(r#"{"errors":[{"field":"email"}],"status":0}"#)]
#[tokio::test]
async fn what_an_error_says_is_not_documented_so_any_body_is_taken(#[case] body: &str) {
    for (status, decision) in [(400, Decision::Park), (422, Decision::Park), (409, Decision::Park)] {
        let (timify, _) = timify([told_with(status, &[], body)]);
        let fields = [booking("massage"), [(Field::TITLE, Value::text("x"))].into()].into_iter().flatten().collect();
        let error = timify.apply(&create(fields)).await.unwrap_err();
        assert_eq!((error.decision(), error.status()), (decision, Some(status)), "{error}");
    }
}

#[rstest]
#[case("defaultId", "email")]
#[case("default_id", "email")]
#[case("translationKey", "customerFields.basic.email")]
fn the_default_key_of_a_field_is_read_in_each_spelling_that_was_seen(#[case] spelling: &str, #[case] key: &str) {
    let mut field = json!({ "id": "f1", "type": "EMAIL" });
    field[spelling] = json!(key);
    let read = Definitions::read(&json!({ "data": [field.clone()] })).unwrap();
    assert_eq!(read.by_key("email").unwrap().id, "f1");
    field["value"] = json!("a@b.c");
    let record = json!({ "fields": [field] });
    let held = Card::new(&company(false), None).fields(&record);
    assert_eq!(held[&Field::EMAIL], Value::text("a@b.c"));
}

#[tokio::test]
async fn the_times_of_a_customer_are_not_documented_so_it_may_have_none() {
    let mut json: Json = serde_json::from_str(CUSTOMER).unwrap();
    json["data"].as_object_mut().unwrap().retain(|key, _| !key.ends_with("At"));
    let (timify, _) = timify([told(200, definitions()), told(200, json)]);
    let one = timify.read(&place(Kind::Contact, "c1")).await.unwrap().observation;
    assert_eq!((one.class, one.at, one.version), (Class::Current, None, None));
    assert_eq!(one.shape, Shape::Partial(hanako()));
}

#[tokio::test]
async fn an_enterprise_may_forbid_a_branch_to_change_a_shared_customer_and_that_is_no_loss_of_our_credentials() {
    let forbidden = || told(403, json!({ "status": 0, "message": "shared" }));
    let change = step(Action::Update, Kind::Contact, Some("c1"), [(Field::EMAIL, Value::text("a@b.c"))].into());
    let (timify, script) = timify([told(200, definitions()), forbidden()]);
    let error = timify.apply(&change).await.unwrap_err();
    assert_eq!(error.decision(), Decision::Retry { after: None }, "{error}");
    assert_eq!(script.asked().len(), 2, "it is not sent again at once");
}

#[tokio::test]
async fn a_change_that_an_enterprise_keeps_out_shows_in_the_next_read_and_not_in_our_belief() {
    let (timify, _) = timify([told(200, definitions()), body(CUSTOMER), body(CUSTOMER)]);
    let change = step(Action::Update, Kind::Contact, Some("c1"), [(Field::FIRST_NAME, Value::text("Mary"))].into());
    let shown = timify.apply(&change).await.unwrap().shown.unwrap();
    assert_eq!(shown.fields().unwrap()[&Field::FIRST_NAME], Value::text("Hanako"));
    let read = timify.read(&place(Kind::Contact, "c1")).await.unwrap().observation;
    assert_eq!(read.fields().unwrap()[&Field::FIRST_NAME], Value::text("Hanako"));
}

#[tokio::test]
async fn a_title_may_be_left_out_only_where_a_service_names_the_appointment() {
    let (timify, script) = timify([body(APPOINTMENT)]);
    timify.apply(&create(booking("massage"))).await.unwrap();
    assert_eq!(script.asked()[0].1.get("title"), None);
    let refused = timify.apply(&create(booking("room"))).await.unwrap_err();
    assert!(refused.to_string().contains("timify_service"), "{refused}");
    assert_eq!((refused.decision(), script.asked().len()), (Decision::Park, 1), "nothing is sent");
}

#[tokio::test]
async fn an_appointment_that_is_scheduled_for_deletion_is_not_yet_gone() {
    let one = seen(edited(|record| record["scheduledForDeletionAt"] = json!("2026-05-01T00:00:00Z"))).await;
    assert_eq!(one, seen(edited(|_| {})).await);
}

#[tokio::test]
async fn who_wrote_last_is_no_mark_of_our_own_writes() {
    for scope in [json!("COMPANY"), json!(null), json!("APP")] {
        let one = seen(edited(|record| {
            record["updatedByScope"] = scope.clone();
            record["metadata"] = json!({ "lockstep": "1" });
        }));
        assert_eq!(one.await, seen(edited(|_| {})).await);
    }
}

#[tokio::test]
async fn tags_of_an_appointment_have_no_way_to_be_written_and_are_not_read() {
    let one = seen(edited(|record| {
        record["tagIds"] = json!(["t1"]);
        record["tags"] = json!([{ "id": "t1", "name": "vip" }]);
    }));
    assert_eq!(one.await, seen(edited(|_| {})).await);
}

#[test]
fn an_end_that_only_a_series_part_has_is_read_for_each_part() {
    let json: Json = serde_json::from_str(SERIES).unwrap();
    assert!(json["data"].as_object().unwrap().keys().all(|key| !key.to_lowercase().contains("end")));
    let later = appointments::later(&json["data"], &[]).unwrap();
    assert_eq!(later.len(), 5);
    for (day, fields) in later {
        assert_eq!(fields[&Field::END], instant(&format!("{day}T16:30:00Z")));
    }
}

#[test]
fn the_rescheduling_secret_is_a_credential_and_is_kept_out() {
    let kept = crate::systems::secrets::veiled(
        fixture!("assumed/timify_webhook_event_updated").as_bytes(),
        TimifyDoor.secrets(),
        |_, _| Some("\"-\"".to_owned()),
    );
    let kept: Json = serde_json::from_slice(&kept.unwrap()).unwrap();
    assert_eq!(kept["data"]["reschedulingSecret"], "-");
    assert_eq!(kept["data"]["id"], "66000000000000000000a001");
}

#[test]
fn there_is_no_delivery_id_so_two_bodies_are_one_delivery_only_where_they_carry_a_moment() {
    let of = |body: &str| read_envelope(body.as_bytes()).delivery;
    let updated = fixture!("assumed/timify_webhook_event_updated");
    assert_eq!(of(updated), of(updated));
    assert!(of(updated).is_some());
    let later = updated.replace("1774464391262", "1774464391263");
    assert_ne!(of(updated), of(&later));
    for deleted in [fixture!("assumed/timify_webhook_event_deleted"), fixture!("assumed/timify_webhook_events_deleted")]
    {
        assert_eq!(of(deleted), None);
    }
}

#[test]
fn the_company_may_be_left_out_of_a_body_and_is_then_told_by_the_url() {
    let body = json!({ "event": "customer_updated", "data": { "id": "c1" } }).to_string();
    let envelope = read_envelope(body.as_bytes());
    assert_eq!((envelope.account, envelope.standing), (None, Standing::Routed));
}
