//! The definitions of the company's fields: kept, read again, and what is not among them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::*;
use crate::clock::ManualClock;
use crate::systems::Transport;
use crate::systems::testing::caller_over;

const C1: &str = "PATCH /v1/customers/c1";
const LIST: &str = "GET /v1/customers/customfields";

fn lines(script: &Script) -> Vec<String> {
    script.asked().into_iter().map(|(line, _)| line).collect()
}

/// A company whose workspace maps these names to these ids.
fn mapping(fields: &[(&str, &str)], told: impl IntoIterator<Item = Told>) -> (Timify, Arc<Script>) {
    let own = fields.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect();
    let workspace = Workspace {
        accounts: [(System::Timify, COMPANY.to_owned())].into(),
        fields: [(System::Timify, own)].into(),
        ..Workspace::default()
    };
    let (caller, script) = caller(System::Timify, told);
    (Timify::new(caller, Company::of(&workspace, 31).unwrap()), script)
}

fn with(more: &[Json]) -> Told {
    let mut all = definitions();
    all["data"].as_array_mut().unwrap().extend_from_slice(more);
    told(200, all)
}

fn set(field: Field, value: &str) -> Step {
    step(Action::Update, Kind::Contact, Some("c1"), [(field, Value::text(value))].into())
}

fn done() -> Told {
    told(200, json!({ "status": 1 }))
}

fn refusal() -> Told {
    told(422, json!({ "status": 0, "message": "invalid custom field" }))
}

#[tokio::test]
async fn definitions_are_read_again_after_an_hour_and_not_before() {
    let script = Arc::new(Script::new([told(200, definitions()), told(200, json!([])), told(200, definitions())]));
    let clock = Arc::new(ManualClock::at(Millis(0)));
    let timify = Timify::new(caller_over(System::Timify, script.clone(), clock.clone()), company(false));
    for (minutes, calls) in [(0, 1), (59, 1), (1, 2), (1, 3), (1, 3)] {
        clock.advance(Duration::from_mins(minutes));
        timify.prepare().await.unwrap();
        assert_eq!(lines(&script).len(), calls, "an answer that is no list changes nothing, and is asked again");
        assert_eq!(timify.express(Kind::Contact, &Field::EMAIL, &Value::Blank), Expressed::Holds(Value::Blank));
    }
}

#[rstest]
#[case::nothing(json!({ "status": 1 }))]
#[case::no_fields(json!({ "data": [] }))]
#[case::only_own_ones(json!({ "data": [{ "id": "f1", "label": "Shoe size" }] }))]
#[tokio::test]
async fn an_answer_that_lists_no_usual_field_blanks_nobody(#[case] answer: Json) {
    let (timify, _) = timify([told(200, answer), body(CUSTOMER)]);
    assert!(matches!(timify.read(&place(Kind::Contact, "c1")).await, Err(SystemError::Garbled { .. })));
}

#[rstest]
#[case::no_fields_at_all(json!({ "data": { "id": "c1", "externalId": "x" } }))]
#[case::no_record(json!({ "data": {}, "status": 1 }))]
#[tokio::test]
async fn a_record_without_its_fields_blanks_nobody(#[case] answer: Json) {
    let (timify, _) = timify([told(200, definitions()), told(200, answer)]);
    assert!(matches!(timify.read(&place(Kind::Contact, "c1")).await, Err(SystemError::Garbled { .. })));
}

#[tokio::test]
async fn a_listed_record_without_its_fields_is_only_a_hint() {
    let list = json!({ "data": [{ "id": "c1" }] });
    let (timify, _) = timify([told(200, definitions()), told(200, list)]);
    let page = timify.changed(Kind::Contact, None, None).await.unwrap();
    assert_eq!(page.observations, [Observation::new(Kind::Contact, ExternalId::new("c1"), Class::Claim, Shape::Hint)]);
}

#[tokio::test]
async fn ids_differ_per_company_and_a_refused_write_is_sent_once_more_by_the_ids_of_now() {
    let moved = json!({ "data": [{ "id": "new", "defaultId": "email" }] });
    let (timify, script) = timify([told(200, definitions()), refusal(), told(200, moved), done()]);
    timify.apply(&set(Field::EMAIL, "a@b.c")).await.unwrap();
    assert_eq!(lines(&script), [LIST, C1, LIST, C1]);
    let sent = script.asked().pop().unwrap().1;
    assert_eq!(sent, json!({ "customfields": [{ "id": "new", "value": "a@b.c" }] }));
}

#[tokio::test]
async fn a_write_that_is_refused_for_something_else_is_not_sent_again() {
    let (timify, script) = timify([told(200, definitions()), refusal(), told(200, definitions())]);
    let refused = timify.apply(&set(Field::EMAIL, "a@b.c")).await.unwrap_err();
    assert!(matches!(&refused, SystemError::Refused { status: 422, reason, .. } if reason == "invalid custom field"));
    assert_eq!(lines(&script), [LIST, C1, LIST]);
}

#[tokio::test]
async fn an_answer_with_status_0_is_a_refusal_whatever_its_http_status() {
    let zero = || told(200, json!({ "status": 0, "message": "no" }));
    let (timify, _) = timify([told(200, definitions()), zero(), told(200, definitions())]);
    let refused = timify.apply(&set(Field::EMAIL, "a@b.c")).await.unwrap_err();
    assert!(matches!(&refused, SystemError::Refused { reason, .. } if reason == "no"), "{refused}");
}

#[tokio::test]
async fn a_refusal_with_status_0_is_kept_as_one_short_line() {
    let said = format!("see\nhttps://x.test/cancel/abc {}", "ä".repeat(999));
    let (timify, _) = timify([told(200, json!({ "status": 0, "message": said }))]);
    let Err(SystemError::Refused { reason, .. }) = timify.read(&place(Kind::Appointment, "a1")).await else { panic!() };
    assert!(reason.starts_with("see https://x.test/… ää") && reason.chars().count() <= 301, "{reason}");
}

#[tokio::test]
async fn mapped_fields_are_read_and_written_by_their_ids() {
    let own = [json!({ "id": "f1", "label": "Loyalty" }), json!({ "id": "f2", "type": "PHONE", "label": "Office" })];
    let values = json!([{ "id": "f1", "value": "gold" }, { "id": "f2", "value": "{\"phone\":\"+491510000001\"}" },
                        { "id": "f3", "value": "" }, { "id": "f9", "value": "not mapped" }]);
    let record = json!({ "data": { "id": "c1", "fields": values } });
    let names = [("loyalty", "f1"), ("status", "f3"), ("office", "f2")];
    let all = || with(&[own[0].clone(), own[1].clone(), json!({ "id": "f3", "label": "State" })]);
    let (timify, script) = mapping(&names, [all(), told(200, record), done()]);
    let read = timify.read(&place(Kind::Contact, "c1")).await.unwrap().observation;
    let held = read.fields().unwrap();
    let expected =
        [(Field::custom("loyalty"), "gold"), (Field::custom("office"), "+491510000001"), (Field::STATUS, "")];
    for (field, value) in expected {
        assert_eq!(held[&field], Value::text(value), "{field}");
    }
    timify.apply(&set(Field::custom("office"), "+491510000002")).await.unwrap();
    let value = script.asked().pop().unwrap().1["customfields"][0]["value"].as_str().unwrap().to_owned();
    let value: Json = serde_json::from_str(&value).unwrap();
    assert_eq!((value["phone"].as_str(), value["country"].as_str()), (Some("+491510000002"), Some("DE")));
}

#[tokio::test]
async fn a_mapped_id_that_the_company_does_not_have_is_refused_by_its_key_and_nothing_is_written() {
    let (timify, script) = mapping(&[("loyalty", "f7")], [told(200, definitions()), told(200, definitions())]);
    let fields = [(Field::custom("loyalty"), Value::text("gold")), (Field::EMAIL, Value::text("a@b.c"))];
    let refused = timify.apply(&step(Action::Update, Kind::Contact, Some("c1"), fields.into())).await.unwrap_err();
    let said = refused.to_string();
    assert!(said.contains("`[workspaces.timify.fields] loyalty`") && said.contains("`f7`"), "{said}");
    assert_eq!(lines(&script), [LIST, LIST], "it is looked for once more, and nothing is written");
    let loyalty = Field::custom("loyalty");
    assert!(matches!(timify.express(Kind::Contact, &loyalty, &Value::text("x")), Expressed::Holds(_)));
}

#[tokio::test]
async fn a_mapped_id_that_the_company_does_not_have_is_not_read_as_blank() {
    let (timify, _) = mapping(&[("loyalty", "f7")], [told(200, definitions()), body(CUSTOMER)]);
    let read = timify.read(&place(Kind::Contact, "c1")).await.unwrap().observation;
    assert_eq!(read.shape, Shape::Partial(hanako()), "and a part says nothing of what it leaves out");
}

#[tokio::test]
async fn a_customer_made_by_a_create_without_an_answer_is_found_by_the_id_that_we_gave_it() {
    let key = Uuid::from_u128(7);
    let mut made: Json = serde_json::from_str(CUSTOMER).unwrap();
    made["data"]["externalId"] = json!(key.to_string());
    let (timify, script) = timify([told(200, definitions()), told(200, made), told(404, json!({ "status": 0 }))]);
    let nameless = Wanted { kind: Kind::Contact, parent: None, fields: Fields::new(), key: Some(key) };
    let found = timify.find(&nameless).await.unwrap();
    assert_eq!(found[0].observation.id.as_str(), "66000000000000000000c001");
    assert_eq!(lines(&script)[1], format!("GET /v1/customers/{key}?external=1"));
    assert!(timify.find(&nameless).await.unwrap().is_empty());
}

#[tokio::test]
async fn another_customer_than_the_one_asked_for_is_not_taken_for_ours() {
    let (timify, _) = timify([told(200, definitions()), body(CUSTOMER)]);
    let key = Some(Uuid::from_u128(7));
    let wanted = Wanted { kind: Kind::Contact, parent: None, fields: Fields::new(), key };
    assert!(timify.find(&wanted).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_an_answer_to_a_write_leaves_out_or_empty_is_not_blanked() {
    let shown = json!({ "data": { "id": "c1", "fields": [{ "defaultId": "email", "value": "a@b.c" },
                                                         { "defaultId": "firstName", "value": "" }] } });
    let (timify, _) = timify([told(200, definitions()), told(200, shown)]);
    let answer = timify.apply(&set(Field::EMAIL, "a@b.c")).await.unwrap();
    assert_eq!(answer.shown.unwrap().shape, Shape::Partial([(Field::EMAIL, Value::text("a@b.c"))].into()));
}

/// A vendor whose second list of fields is on its way for long.
struct Late {
    made: AtomicBool,
    lists: AtomicUsize,
    gate: Semaphore,
}

#[async_trait]
impl Transport for Late {
    async fn send(&self, request: http::Request<Bytes>) -> Told {
        if request.method() == http::Method::POST {
            self.made.store(true, Ordering::Relaxed);
            return told(200, json!({ "status": 1 }));
        }
        let mut list = definitions();
        if self.made.load(Ordering::Relaxed) {
            list["data"].as_array_mut().unwrap().push(json!({ "id": "f9", "label": "Tags", "type": "TEXT" }));
        }
        if self.lists.fetch_add(1, Ordering::Relaxed) == 1 {
            self.gate.acquire().await.unwrap().forget();
        }
        told(200, list)
    }
}

#[tokio::test]
async fn a_list_that_was_asked_for_before_the_field_was_made_does_not_hide_it() {
    let late = Arc::new(Late { made: AtomicBool::new(false), lists: AtomicUsize::new(0), gate: Semaphore::new(0) });
    let caller = caller_over(System::Timify, late.clone(), Arc::new(ManualClock::at(Millis(0))));
    let timify = Arc::new(Timify::new(caller, company(false)));
    let first = timify.definitions().await.unwrap();
    let (reads, makes) = (timify.clone(), timify.clone());
    let reading = tokio::spawn(async move { reads.newer(Some(&first)).await });
    while late.lists.load(Ordering::Relaxed) < 2 {
        tokio::task::yield_now().await;
    }
    let making = tokio::spawn(async move { makes.make_field("Tags").await });
    while !late.made.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
    }
    late.gate.add_permits(1);
    assert!(reading.await.unwrap().unwrap().by_label("Tags").is_none(), "it is older than the field");
    assert!(making.await.unwrap().unwrap().by_label("Tags").is_some());
}
