use std::sync::Arc;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::door::{observe, read_envelope};
use super::*;
use crate::clock::Millis;
use crate::ids::Ids;
use crate::model::{
    Action, Author, Class, ExternalId, Field, Fields, Kind, Observation, Place, Shape, Stamp, Standing, Step, System,
    Value, Workspace,
};
use crate::systems::testing::{Script, Told, caller, change, place, step, told, told_with};
use crate::systems::timerex::{Team, Timerex};
use crate::systems::timify::{Company, Timify};
use crate::systems::{Expressed, Home, SystemError, Target, Terms, Wanted};

const UPDATED: &str = "2026-01-02T03:04:05.678Z";

fn client(system: System, answers: impl IntoIterator<Item = Told>) -> (ExtensionClient, Arc<Script>) {
    let (caller, script) = caller(system, answers);
    (ExtensionClient::new(caller, None, Arc::new(Ids::seeded(1))), script)
}

/// A vendor that answers with `native`, and an extension beside it that answers with `beside`.
fn timify(native: Vec<Told>, beside: Option<Vec<Told>>) -> (Combined<Timify>, Arc<Script>) {
    let (caller, _) = caller(System::Timify, native);
    let workspace = Workspace { accounts: [(System::Timify, "k".to_owned())].into(), ..Workspace::default() };
    let company = Company::of(&workspace, 31).unwrap();
    let (client, script) = client(System::Timify, beside.clone().unwrap_or_default());
    (Combined::new(Timify::new(caller, company), beside.map(|_| client)), script)
}

fn timerex(beside: Option<Vec<Told>>) -> (Combined<Timerex>, Arc<Script>) {
    let (caller, _) = caller(System::Timerex, []);
    let workspace = Workspace { accounts: [(System::Timerex, "t".to_owned())].into(), ..Workspace::default() };
    let (client, script) = client(System::Timerex, beside.clone().unwrap_or_default());
    (Combined::new(Timerex::new(caller, Team::of(&workspace).unwrap()), beside.map(|_| client)), script)
}

fn webhook(label: &str, data: &Json) -> Vec<u8> {
    json!({ "type": label, "timestamp": "2026-01-02T03:04:06.000Z", "data": data }).to_string().into_bytes()
}

fn seen(label: &str, data: &Json) -> Vec<Observation> {
    observe(&webhook(label, data), None, |at| at).unwrap()
}

fn fields<const N: usize>(fields: [(Field, Value); N]) -> Fields {
    fields.into()
}

fn task_at(contact: Option<&str>) -> Place {
    Place { parent: contact.map(ExternalId::new), ..place(Kind::Task, "t1") }
}

fn of_contact(step: Step) -> Step {
    Step { parent: Some(ExternalId::new("c1")), ..step }
}

fn lines(script: &Script) -> Vec<String> {
    script.asked().into_iter().map(|(line, _)| line).collect()
}

#[test]
fn an_absent_key_is_unchanged_and_null_clears() {
    let data =
        json!({ "id": "t1", "contactId": "c1", "title": " Call ", "dueDate": null, "lastUpdated": UPDATED, "x": 1 });
    let [one] = seen("task.updated", &data).try_into().unwrap();
    let version = Millis::parse(UPDATED).unwrap();
    assert_eq!(one.shape, Shape::Partial(fields([(Field::TITLE, Value::text("Call")), (Field::DUE, Value::Blank)])));
    assert_eq!((one.class, one.at, one.version), (Class::Versioned(version), Some(version), Some(version)));
    assert_eq!((one.kind, one.id.as_str(), one.parent), (Kind::Task, "t1", Some(ExternalId::new("c1"))));
}

#[test]
fn a_deletion_and_an_object_without_last_updated_are_claims() {
    let [gone] = seen("note.deleted", &json!({ "id": "n1", "contactId": "c1" })).try_into().unwrap();
    assert_eq!((gone.class, gone.shape), (Class::Claim, Shape::Gone));
    assert_eq!(gone.at, Millis::parse("2026-01-02T03:04:06.000Z"));
    let [bare] = seen("note.updated", &json!({ "id": "n1", "content": "hi" })).try_into().unwrap();
    assert_eq!((bare.class, bare.shape), (Class::Claim, Shape::Partial(fields([(Field::BODY, Value::text("hi"))]))));
}

#[test]
fn a_completed_task_is_completed_even_if_the_object_does_not_say_so() {
    let [one] = seen("task.completed", &json!({ "id": "t1", "contactId": "c1" })).try_into().unwrap();
    assert_eq!(one.shape, Shape::Partial(fields([(Field::COMPLETED, Value::Flag(true))])));
}

#[test]
fn a_list_of_tags_is_the_whole_list() {
    let data = json!({ "id": "c1", "name": "Mary Ann Smith", "tags": ["VIP", " "], "lastUpdated": UPDATED });
    let [one] = seen("contact.updated", &data).try_into().unwrap();
    let said = fields([
        (Field::FIRST_NAME, Value::text("Mary Ann")),
        (Field::LAST_NAME, Value::text("Smith")),
        (Field::tag("vip"), Value::Flag(true)),
    ]);
    let version = Class::Versioned(Millis::parse(UPDATED).unwrap());
    assert_eq!((one.class, one.shape, one.all_tags), (version, Shape::Partial(said), true));
    let [silent] = seen("contact.updated", &json!({ "id": "c1", "email": "A@B.c" })).try_into().unwrap();
    assert!(!silent.all_tags);
}

#[test]
fn the_status_and_the_custom_values_of_a_contact_are_read_a_list_as_one_line() {
    let data = json!({ "id": "c1", "status": "lead", "custom": { "size": 42, "hats": ["red", "green"], "old": null } });
    let [one] = seen("contact.updated", &data).try_into().unwrap();
    let said = fields([
        (Field::STATUS, Value::text("lead")),
        (Field::custom("size"), Value::text("42")),
        (Field::custom("hats"), Value::text("red, green")),
        (Field::custom("old"), Value::Blank),
    ]);
    assert_eq!(one.shape, Shape::Partial(said));
}

#[rstest]
#[case(json!({ "type": "task.updated", "data": { "id": "t1" } }), Some(Kind::Task), Standing::Routed)]
#[case(json!({ "type": "appointment.updated", "data": { "id": "a1" } }), None, Standing::NotMirrored)]
#[case(json!({ "type": "note.completed", "data": { "id": "n1" } }), None, Standing::NotMirrored)]
#[case(json!({ "type": "task.updated", "data": {} }), Some(Kind::Task), Standing::Unparsed)]
#[case(json!({ "data": { "id": "t1" } }), None, Standing::Unparsed)]
#[case(json!([]), None, Standing::Unparsed)]
fn an_envelope_has_the_webhook_id_and_no_account(
    #[case] body: Json,
    #[case] kind: Option<Kind>,
    #[case] standing: Standing,
) {
    let envelope = read_envelope(body.to_string().as_bytes(), Some("msg_1"));
    assert_eq!((envelope.kind, envelope.standing, envelope.account), (kind, standing, None));
    assert_eq!(envelope.delivery.as_deref(), Some("msg_1"));
    assert_eq!(read_envelope(b"{", Some("msg_1")).delivery.as_deref(), Some("msg_1"));
}

#[rstest]
#[case::the_flag_goes_before_the_word(json!({ "completed": false, "status": "done" }), Some(Value::Flag(false)))]
#[case::completed(json!({ "status": "Completed" }), Some(Value::Flag(true)))]
#[case::done(json!({ "status": " done " }), Some(Value::Flag(true)))]
#[case::open(json!({ "status": "open" }), Some(Value::Flag(false)))]
#[case::beside_null(json!({ "completed": null, "status": "done" }), Some(Value::Flag(true)))]
#[case::cleared(json!({ "completed": null }), Some(Value::Blank))]
#[case::a_word_that_we_do_not_know(json!({ "status": "on hold" }), None)]
#[case::a_form_that_the_contract_does_not_have(json!({ "completed": ["yes"] }), None)]
fn the_status_of_a_task_tells_whether_it_is_done(#[case] task: Json, #[case] expected: Option<Value>) {
    assert_eq!(map::fields(Kind::Task, &task, None).get(&Field::COMPLETED), expected.as_ref());
}

#[test]
fn a_value_of_another_form_clears_nothing() {
    let task = json!({ "title": { "text": "Call" }, "dueDate": "tomorrow", "body": "", "assignedTo": "u1" });
    assert_eq!(map::fields(Kind::Task, &task, None), fields([(Field::BODY, Value::Blank)]));
    let contact = json!({ "email": ["a@b.c"], "address": "Main Street 1", "custom": null });
    assert_eq!(map::fields(Kind::Contact, &contact, None), Fields::new());
}

#[rstest]
#[case::by_last_updated(json!({ "id": "n1", "timestamp": "2026-01-01T00:00:00.000Z", "lastUpdated": UPDATED }), UPDATED)]
#[case::by_the_webhook(json!({ "id": "n1", "timestamp": "2026-01-01T00:00:00.000Z" }), "2026-01-02T03:04:06.000Z")]
fn a_webhook_tells_when_a_note_was_edited(#[case] note: Json, #[case] at: &str) {
    assert_eq!(seen("note.updated", &note)[0].at, Millis::parse(at));
}

#[tokio::test]
async fn the_timestamp_of_a_note_tells_when_it_was_edited_if_nothing_else_does() {
    let at = "2026-01-01T00:00:00.000Z";
    let (client, _) = client(System::Timerex, [told(200, json!({ "id": "n1", "content": "Hi", "timestamp": at }))]);
    let note = client.read(&Place { parent: Some(ExternalId::new("c1")), ..place(Kind::Note, "n1") }).await.unwrap();
    assert_eq!((note.observation.at, note.observation.version), (Millis::parse(at), None));
}

#[test]
fn a_name_counts_only_where_neither_part_is_there() {
    let read = |contact: Json| map::fields(Kind::Contact, &contact, None);
    let (first, last) = (Field::FIRST_NAME, Field::LAST_NAME);
    assert_eq!(
        read(json!({ "name": "Ada Lovelace" })),
        fields([(first.clone(), Value::text("Ada")), (last, Value::text("Lovelace"))])
    );
    assert_eq!(
        read(json!({ "name": "Ada Lovelace", "firstName": "Augusta" })),
        fields([(first, Value::text("Augusta"))])
    );
}

#[test]
fn no_list_of_tags_is_said_by_null_and_nothing_by_its_absence() {
    let all_tags = |contact: Json| seen("contact.updated", &contact)[0].all_tags;
    assert!(all_tags(json!({ "id": "c1", "tags": null })));
    assert!(!all_tags(json!({ "id": "c1" })) && !all_tags(json!({ "id": "c1", "tags": "vip" })));
    assert!(!all_tags(json!({ "id": "c1", "tags": [{ "name": "vip" }] })));
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof!["[a-z]{1,8}( [a-z]{1,8})?".prop_map(Value::Text), Just(Value::Blank)]
}

proptest! {
    #[test]
    fn what_is_written_reads_back_as_it_was(texts in proptest::collection::vec(text(), 7), due in 0_i64..4_000_000_000_000, done: bool) {
        let contact = [Field::FIRST_NAME, Field::LAST_NAME, Field::EMAIL, Field::ADDRESS, Field::CITY, Field::STATE, Field::POSTAL_CODE];
        let mut contact: Fields = contact.into_iter().zip(texts.clone()).collect();
        contact.extend([
            (Field::PHONE, Value::text("+819012345678")),
            (Field::COUNTRY, Value::text("JP")),
            (Field::custom("size"), texts[0].clone()),
            (Field::STATUS, texts[1].clone()),
            (Field::tag("vip"), Value::Flag(true)),
        ]);
        let task = fields([
            (Field::TITLE, texts[0].clone()),
            (Field::BODY, texts[1].clone()),
            (Field::DUE, Value::Instant(Millis(due))),
            (Field::COMPLETED, Value::Flag(done)),
        ]);
        let note = fields([(Field::BODY, texts[2].clone())]);
        for (kind, fields) in [(Kind::Contact, contact), (Kind::Task, task), (Kind::Note, note)] {
            let made = map::body(&step(Action::Create, kind, None, fields.clone()));
            prop_assert_eq!(map::fields(kind, &made, None), fields);
        }
    }
}

#[test]
fn a_changed_city_is_written_with_the_rest_of_the_address() {
    let whole = fields([
        (Field::CITY, Value::text("Kyoto")),
        (Field::COUNTRY, Value::text("JP")),
        (Field::EMAIL, Value::text("e")),
    ]);
    let update = step(Action::Update, Kind::Contact, Some("c1"), fields([(Field::CITY, Value::text("Kyoto"))]));
    let body = map::body(&Step { whole, ..update });
    let address = json!({ "line1": null, "city": "Kyoto", "state": null, "postalCode": null, "country": "JP" });
    assert_eq!(body, json!({ "address": address }));
    let cleared = map::fields(Kind::Contact, &json!({ "address": null }), None);
    assert_eq!(cleared.get(&Field::CITY), Some(&Value::Blank));
    assert_eq!(cleared.get(&Field::EMAIL), None);
}

#[test]
fn a_written_note_carries_the_time_of_its_edit() {
    let edit = Stamp::new(Millis::parse(UPDATED).unwrap(), Author::Ghl);
    let written = |action, stamp| {
        let step = of_contact(step(action, Kind::Note, Some("n1"), fields([(Field::BODY, Value::text("Hi"))])));
        map::body(&Step { stamps: [(Field::BODY, stamp)].into(), ..step })
    };
    for action in [Action::Create, Action::Update] {
        assert_eq!(written(action, edit), json!({ "content": "Hi", "timestamp": UPDATED }));
    }
    assert_eq!(written(Action::Create, Stamp::NEVER), json!({ "content": "Hi" }));
}

#[test]
fn a_written_task_says_in_both_ways_whether_it_is_done() {
    let written = |value| map::body(&step(Action::Update, Kind::Task, Some("t1"), fields([(Field::COMPLETED, value)])));
    assert_eq!(written(Value::Flag(true)), json!({ "completed": true, "status": "completed" }));
    assert_eq!(written(Value::Flag(false)), json!({ "completed": false, "status": "open" }));
    assert_eq!(written(Value::Blank), json!({ "completed": null, "status": "open" }));
    let title = step(Action::Update, Kind::Task, Some("t1"), fields([(Field::TITLE, Value::text("Call"))]));
    assert_eq!(map::body(&title), json!({ "title": "Call" }));
}

#[test]
fn custom_values_are_written_together() {
    let whole = fields([(Field::custom("shoe"), Value::text("42")), (Field::custom("hat"), Value::text("7"))]);
    let update = step(Action::Update, Kind::Contact, Some("c1"), fields([(Field::custom("hat"), Value::Blank)]));
    assert_eq!(map::body(&Step { whole, ..update }), json!({ "custom": { "shoe": "42", "hat": null } }));
}

#[test]
fn a_create_that_is_sent_again_is_the_same_to_the_letter_whatever_was_edited_since() {
    let create = step(Action::Create, Kind::Contact, None, fields([(Field::CITY, Value::text("Kyoto"))]));
    let mut later = create.clone();
    later.whole.extend([(Field::STATE, Value::text("Kyoto-fu")), (Field::custom("hat"), Value::text("7"))]);
    assert_eq!(map::body(&create).to_string(), map::body(&later).to_string());
}

#[tokio::test]
async fn an_endpoint_may_have_us_wait_for_an_hour_at_most() {
    for (asked, waits) in [("7", 7), ("31536000", 3_600)] {
        let (client, _) = client(System::Timerex, [told_with(429, &[("retry-after", asked)], "{}")]);
        let error = client.read(&task_at(Some("c1"))).await.unwrap_err();
        assert!(matches!(error, SystemError::Wait { status: 429, after: Some(after), .. } if after.as_secs() == waits));
    }
    let (client, _) = client(System::Timerex, [told_with(503, &[("retry-after", "7")], "{}")]);
    let error = client.read(&task_at(Some("c1"))).await.unwrap_err();
    assert!(matches!(error, SystemError::Wait { status: 503, after: Some(after), .. } if after.as_secs() == 7));
}

#[tokio::test]
async fn a_list_that_gives_its_own_cursor_again_does_not_go_on_for_ever() {
    let page = || told(200, json!({ "items": [], "nextCursor": "p" }));
    let (client, _) = client(System::Timerex, [page(), page()]);
    assert_eq!(client.changed(Kind::Task, None, None).await.unwrap().next.as_deref(), Some("p"));
    assert!(matches!(client.changed(Kind::Task, None, Some("p")).await, Err(SystemError::Garbled { .. })));
}

#[tokio::test]
async fn an_answer_about_another_object_is_not_believed() {
    let other = || told(200, json!({ "id": "t2", "title": "Call" }));
    let (client, _) = client(System::Timerex, [other(), other()]);
    assert!(matches!(client.read(&task_at(Some("c1"))).await, Err(SystemError::Garbled { .. })));
    let title = fields([(Field::TITLE, Value::text("Call"))]);
    let answer = client.apply(&of_contact(step(Action::Update, Kind::Task, Some("t1"), title))).await.unwrap();
    assert_eq!((answer.id.as_str(), answer.shown), ("t1", None));
}

#[tokio::test]
async fn an_answer_without_last_updated_shows_what_it_says_and_no_version() {
    let (client, _) = client(System::Timerex, [told(200, json!({ "id": "t1", "title": "Call" }))]);
    let title = fields([(Field::TITLE, Value::text("Call"))]);
    let update = of_contact(step(Action::Update, Kind::Task, Some("t1"), title.clone()));
    let shown = client.apply(&update).await.unwrap().shown.unwrap();
    assert_eq!((shown.class, shown.shape, shown.version), (Class::Current, Shape::Partial(title), None));
}

#[tokio::test]
async fn a_conflict_of_an_update_is_a_refusal_and_no_create_that_succeeded() {
    let (client, _) = client(System::Timerex, [told(409, json!({ "title": "another has this e-mail", "id": "c7" }))]);
    let update = step(Action::Update, Kind::Contact, Some("c1"), fields([(Field::EMAIL, Value::text("a@b.c"))]));
    let error = client.apply(&update).await.unwrap_err();
    assert!(matches!(error, SystemError::Refused { status: 409, .. }), "{error}");
}

#[tokio::test]
async fn a_create_carries_the_intents_id_and_every_other_write_an_id_of_its_own() {
    let object = || told(200, json!({ "id": "t1", "contactId": "c1", "title": "Call", "lastUpdated": UPDATED }));
    let (client, script) = client(System::Timerex, [object(), object(), object()]);
    let title = || fields([(Field::TITLE, Value::text("Call"))]);
    let key = Uuid::from_u128(9);
    let create = Step { key: Some(key), ..of_contact(step(Action::Create, Kind::Task, None, title())) };
    let answer = client.apply(&create).await.unwrap();
    assert_eq!((answer.id.as_str(), answer.shown.unwrap().shape), ("t1", Shape::Partial(title())));
    assert_eq!(script.header("idempotency-key"), Some(key.to_string()));
    let update = of_contact(step(Action::Update, Kind::Task, Some("t1"), title()));
    client.apply(&update).await.unwrap();
    let first = script.header("idempotency-key");
    client.apply(&update).await.unwrap();
    assert!(first.is_some() && first != script.header("idempotency-key"));
    assert_eq!(lines(&script), ["POST /contacts/c1/tasks", "PUT /contacts/c1/tasks/t1", "PUT /contacts/c1/tasks/t1"]);
}

#[tokio::test]
async fn completing_tagging_and_deleting_have_their_own_calls() {
    let tags = || told(200, json!({ "tags": ["vip", "old"] }));
    let answers = [told(200, json!({ "id": "t1", "completed": true })), tags(), tags(), told_with(204, &[], "")];
    let (client, script) = client(System::Timify, answers);
    let done =
        of_contact(step(Action::Complete, Kind::Task, Some("t1"), fields([(Field::COMPLETED, Value::Flag(true))])));
    client.apply(&done).await.unwrap();
    let tag = |action, value| step(action, Kind::Contact, Some("c1"), fields([(Field::tag("vip"), value)]));
    let shown = client.apply(&tag(Action::AddTags, Value::Flag(true))).await.unwrap().shown.unwrap();
    let both = fields([(Field::tag("vip"), Value::Flag(true)), (Field::tag("old"), Value::Flag(true))]);
    assert_eq!((shown.class, shown.shape), (Class::Current, Shape::Partial(both)));
    client.apply(&tag(Action::RemoveTags, Value::Blank)).await.unwrap();
    client.apply(&of_contact(step(Action::Delete, Kind::Note, Some("n1"), Fields::new()))).await.unwrap();
    let expected = [
        ("PUT /contacts/c1/tasks/t1/completed", json!({ "completed": true })),
        ("POST /contacts/c1/tags", json!({ "tags": ["vip"] })),
        ("DELETE /contacts/c1/tags", json!({ "tags": ["vip"] })),
        ("DELETE /contacts/c1/notes/n1", Json::Null),
    ];
    assert_eq!(script.asked(), expected.map(|(line, body)| (line.to_owned(), body)));
}

#[tokio::test]
async fn a_read_clears_nothing_that_it_leaves_out_and_a_missing_object_is_gone() {
    let answers = [
        told(200, json!({ "id": "t1", "contactId": "c1", "title": "Call", "lastUpdated": UPDATED })),
        told(404, json!({ "title": "gone" })),
    ];
    let (client, _) = client(System::Timerex, answers);
    let reading = client.read(&task_at(Some("c1"))).await.unwrap().observation;
    assert_eq!(
        (reading.class, reading.shape),
        (Class::Current, Shape::Partial(fields([(Field::TITLE, Value::text("Call"))])))
    );
    assert_eq!(reading.version, Millis::parse(UPDATED));
    let gone = client.read(&task_at(Some("c1"))).await.unwrap();
    assert_eq!(
        (gone.observation.shape, gone.observation.parent, gone.status),
        (Shape::Gone, Some(ExternalId::new("c1")), 404)
    );
    assert!(matches!(client.read(&task_at(None)).await, Err(SystemError::Refused { status: 0, .. })));
}

#[tokio::test]
async fn a_conflict_names_the_existing_object_and_a_problem_says_why() {
    let answers = [
        told(409, json!({ "title": "exists", "id": "c7" })),
        told(422, json!({ "title": "no", "detail": "bad phone" })),
    ];
    let (client, _) = client(System::Timerex, answers);
    let create = step(Action::Create, Kind::Contact, None, fields([(Field::tag("vip"), Value::Flag(true))]));
    let error = client.apply(&create).await.unwrap_err();
    assert!(
        matches!(error, SystemError::Exists { status: 409, ref existing, .. } if existing.as_str() == "c7"),
        "{error}"
    );
    let error = client.apply(&create).await.unwrap_err();
    assert!(matches!(error, SystemError::Refused { status: 422, ref reason, .. } if reason == "bad phone"), "{error}");
}

#[tokio::test]
async fn pages_are_claims_and_tombstones_are_gone() {
    let items = json!([{ "id": "t1", "contactId": "c1", "title": "Call", "lastUpdated": UPDATED },
                       { "id": "t2", "contactId": "c1", "deleted": true, "lastUpdated": UPDATED }]);
    let (client, script) = client(System::Timerex, [told(200, json!({ "items": items, "nextCursor": "a b" }))]);
    let page = client.changed(Kind::Task, Millis::parse(UPDATED), Some("x=")).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("a b"));
    assert!(page.observations.iter().all(|one| one.class == Class::Claim));
    let title = fields([(Field::TITLE, Value::text("Call"))]);
    let shapes: Vec<_> = page.observations.into_iter().map(|one| one.shape).collect();
    assert_eq!(shapes, [Shape::Partial(title), Shape::Gone]);
    assert_eq!(lines(&script), ["GET /tasks?limit=100&updatedSince=2026-01-02T03%3A04%3A05.678Z&cursor=x%3D"]);
}

#[tokio::test]
async fn a_contact_is_looked_for_on_all_pages() {
    let page = |id: &str, email: &str, next: Json| {
        told(200, json!({ "items": [{ "id": id, "email": email }], "nextCursor": next }))
    };
    let (client, _) = client(System::Timerex, [page("c1", "x@y.z", json!("p2")), page("c2", "A@B.c", Json::Null)]);
    let wanted =
        Wanted { kind: Kind::Contact, parent: None, fields: fields([(Field::EMAIL, Value::text("a@b.c"))]), key: None };
    let found: Vec<_> = client.find(&wanted).await.unwrap().into_iter().map(|one| one.observation.id.0).collect();
    assert_eq!(found, ["c2"]);
}

#[test]
fn each_kind_has_one_home() {
    let homes = |terms: &dyn Terms| Kind::ALL.iter().map(|kind| terms.home(*kind)).collect::<Vec<_>>();
    let (bare, _) = timify(vec![], None);
    let (beside, _) = timify(vec![], Some(vec![]));
    let (calendar, _) = timerex(None);
    let (whole, _) = timerex(Some(vec![]));
    // contact, task, note, appointment
    assert!(matches!(homes(&bare).as_slice(), [Home::Native, Home::Kept(_), Home::Projected, Home::Native]));
    assert_eq!(homes(&beside), [Home::Native, Home::Extension, Home::Extension, Home::Native]);
    assert!(matches!(homes(&calendar).as_slice(), [Home::Kept(_), Home::Kept(_), Home::Kept(_), Home::Native]));
    assert_eq!(homes(&whole), [Home::Extension, Home::Extension, Home::Extension, Home::Native]);
    assert!(calendar.creates(Kind::Contact).is_err() && whole.creates(Kind::Contact).is_ok());
    assert!(whole.creates(Kind::Appointment).is_err());
}

#[test]
fn tags_follow_a_native_contact_and_go_along_with_one_of_the_extension() {
    let (tag, set) = (Field::tag("vip"), Value::Flag(true));
    let (bare, _) = timify(vec![], None);
    let (beside, _) = timify(vec![], Some(vec![]));
    let (whole, _) = timerex(Some(vec![]));
    assert_eq!(bare.express(Kind::Contact, &tag, &set), Expressed::Absent);
    assert_eq!(beside.express(Kind::Contact, &tag, &set), Expressed::Holds(set.clone()));
    assert_eq!(beside.carriers(Kind::Contact, &tag, &set, true), [Action::AddTags]);
    assert_eq!(beside.carriers(Kind::Contact, &Field::EMAIL, &Value::text("e"), true), [Action::Create]);
    assert_eq!(whole.carriers(Kind::Contact, &tag, &set, true), [Action::Create]);
    assert_eq!(whole.carriers(Kind::Contact, &tag, &Value::Blank, false), [Action::RemoveTags]);
    assert_eq!(whole.carriers(Kind::Task, &Field::COMPLETED, &set, false), [Action::Complete, Action::Update]);
}

fn customers() -> Json {
    json!({ "data": [{ "id": "c1", "fields": [{ "defaultId": "email", "value": "a@b.c" }] }], "total": 1, "status": 1 })
}

fn definitions() -> Told {
    told(200, json!([{ "id": "f1", "defaultId": "email" }]))
}

#[tokio::test]
async fn a_native_contact_is_read_together_with_its_tags() {
    let one = told(200, json!({ "data": customers()["data"][0] }));
    let beside = vec![told(200, json!({ "tags": ["VIP"] }))];
    let (timify, script) = timify(vec![definitions(), one], Some(beside));
    let reading = timify.read(&place(Kind::Contact, "c1")).await.unwrap();
    let expected = fields([(Field::EMAIL, Value::text("a@b.c")), (Field::tag("vip"), Value::Flag(true))]);
    assert_eq!((reading.observation.shape, reading.observation.all_tags), (Shape::Partial(expected), true));
    assert_eq!(lines(&script), ["GET /contacts/c1/tags"]);
}

#[tokio::test]
async fn a_contact_that_the_endpoint_does_not_know_keeps_its_tags() {
    let one = told(200, json!({ "data": customers()["data"][0] }));
    let (timify, _) = timify(vec![definitions(), one], Some(vec![told(404, json!({ "title": "no such contact" }))]));
    let read = timify.read(&place(Kind::Contact, "c1")).await.unwrap().observation;
    assert_eq!((read.shape, read.all_tags), (Shape::Partial(fields([(Field::EMAIL, Value::text("a@b.c"))])), false));
}

#[rstest]
#[case::nothing(json!({}))]
#[case::null(json!({ "tags": null }))]
#[case::a_problem(json!({ "title": "the flow failed", "status": 500 }))]
#[case::another_form(json!({ "tags": [{ "name": "vip" }] }))]
#[tokio::test]
async fn an_answer_without_a_list_of_tags_is_not_read_as_no_tags(#[case] answer: Json) {
    let one = told(200, json!({ "data": customers()["data"][0] }));
    let (timify, _) = timify(vec![definitions(), one], Some(vec![told(200, answer.clone()), told(200, answer)]));
    let error = timify.read(&place(Kind::Contact, "c1")).await.unwrap_err();
    assert!(matches!(error, SystemError::Garbled { status: 200, .. }), "{error}");
    let tag = step(Action::AddTags, Kind::Contact, Some("c1"), fields([(Field::tag("vip"), Value::Flag(true))]));
    assert_eq!(timify.apply(&tag).await.unwrap().shown, None);
}

#[tokio::test]
async fn a_listed_native_contact_says_nothing_of_its_tags_and_their_list_follows() {
    let tagged =
        told(200, json!({ "items": [{ "id": "c1", "tags": ["vip"], "lastUpdated": UPDATED }], "nextCursor": null }));
    let beside = vec![tagged, told(404, json!({ "title": "no such path" }))];
    let (timify, _) = timify(vec![definitions(), told(200, customers())], Some(beside));
    let page = timify.changed(Kind::Contact, None, None).await.unwrap();
    assert_eq!(page.observations[0].shape, Shape::Partial(fields([(Field::EMAIL, Value::text("a@b.c"))])));
    let tags = timify.changed(Kind::Contact, None, page.next.as_deref()).await.unwrap();
    let shapes: Vec<_> = tags.observations.into_iter().map(|one| (one.class, one.shape)).collect();
    let claim = Shape::Partial(fields([(Field::tag("vip"), Value::Flag(true))]));
    assert_eq!((shapes, tags.next), (vec![(Class::Claim, claim)], None));
    let none = timify.changed(Kind::Contact, None, page.next.as_deref()).await.unwrap();
    assert_eq!((none.observations, none.next), (vec![], None));
}

#[test]
fn the_extension_speaks_only_of_tags_where_the_vendor_has_the_contact() {
    let data = json!({ "id": "c1", "email": "x@y.z", "tags": ["vip"], "lastUpdated": UPDATED });
    let from = |label: &str| change(System::Timify, true, &webhook(label, &data));
    let (timify, _) = timify(vec![], Some(vec![]));
    let observed = timify.observe(&from("contact.updated")).unwrap();
    let claim = Shape::Partial(fields([(Field::tag("vip"), Value::Flag(true))]));
    let shapes: Vec<_> = observed.iter().map(|one| (one.class, one.shape.clone())).collect();
    assert_eq!(shapes, [(Class::Claim, claim)]);
    // The vendor says whether its customer is gone, not the extension.
    let gone: Vec<_> = timify.observe(&from("contact.deleted")).unwrap().into_iter().map(|one| one.shape).collect();
    assert_eq!(gone, [Shape::Hint]);
    let (bare, _) = self::timify(vec![], None);
    assert!(bare.observe(&from("contact.updated")).is_err());
    let (whole, _) = timerex(Some(vec![]));
    let mut told = from("contact.updated");
    let version = Millis::parse(UPDATED).unwrap();
    for (received, class) in
        [(version, Class::Versioned(version)), (version + std::time::Duration::from_mins(2), Class::Claim)]
    {
        told.said.received = received;
        assert_eq!(whole.observe(&told).unwrap()[0].class, class, "{received}");
    }
}

#[tokio::test]
async fn tags_and_tasks_go_to_the_extension_and_customers_do_not() {
    let beside = vec![told(200, json!({ "tags": [] })), told(201, json!({ "id": "t1" }))];
    let (timify, script) = timify(vec![definitions(), told(200, json!({ "data": { "id": "c1" } }))], Some(beside));
    let email = fields([(Field::EMAIL, Value::text("a@b.c"))]);
    timify.apply(&step(Action::Create, Kind::Contact, None, email)).await.unwrap();
    assert!(script.asked().is_empty());
    timify
        .apply(&step(Action::RemoveTags, Kind::Contact, Some("c1"), fields([(Field::tag("vip"), Value::Blank)])))
        .await
        .unwrap();
    timify
        .apply(&of_contact(step(Action::Create, Kind::Task, None, fields([(Field::TITLE, Value::text("Call"))]))))
        .await
        .unwrap();
    assert_eq!(lines(&script), ["DELETE /contacts/c1/tags", "POST /contacts/c1/tasks"]);
}

/// As [`timify`], of a company that has its notes and a field for tags.
fn projecting(native: Vec<Told>, beside: Option<Vec<Told>>) -> (Combined<Timify>, Arc<Script>, Arc<Script>) {
    with_notes(true, native, beside)
}

fn with_notes(
    notes: bool,
    native: Vec<Told>,
    beside: Option<Vec<Told>>,
) -> (Combined<Timify>, Arc<Script>, Arc<Script>) {
    let definitions = json!([{ "id": "f1", "defaultId": "email" }, { "id": "f2", "defaultId": "notes" }, { "id": "f3", "label": "Tags" }]);
    let (caller, vendor) = caller(System::Timify, [told(200, definitions)].into_iter().chain(native));
    let projection = crate::model::Projection { tags_field: Some("tags".to_owned()), notes, ..Default::default() };
    let company = Company { projection, ..Company::default() };
    let (client, script) = client(System::Timify, beside.clone().unwrap_or_default());
    (Combined::new(Timify::new(caller, company), beside.map(|_| client)), vendor, script)
}

fn noted() -> Json {
    json!({ "id": "c1", "fields": [{ "id": "f1", "value": "a@b.c" }, { "id": "f2", "value": "mine" }, { "id": "f3", "value": "typed" }] })
}

#[test]
fn the_extension_comes_before_what_is_projected_and_the_vendors_own_before_both() {
    let (bare, ..) = projecting(vec![], None);
    assert_eq!((bare.home(Kind::Note), bare.tags()), (Home::Projected, Home::Projected));
    let (beside, ..) = projecting(vec![], Some(vec![]));
    assert_eq!((beside.home(Kind::Note), beside.tags()), (Home::Extension, Home::Extension));
    assert_eq!((beside.home(Kind::Contact), beside.home(Kind::Appointment)), (Home::Native, Home::Native));
    let (tag, set) = (Field::tag("vip"), Value::Flag(true));
    assert_eq!(bare.carriers(Kind::Contact, &tag, &set, false), [Action::Update]);
    assert_eq!(beside.carriers(Kind::Contact, &tag, &set, false), [Action::AddTags]);
}

#[tokio::test]
async fn what_is_projected_is_read_with_its_contact() {
    let (bare, ..) = projecting(vec![told(200, json!({ "data": noted() }))], None);
    let reading = bare.read(&place(Kind::Contact, "c1")).await.unwrap();
    assert!(reading.observation.fields().unwrap().contains_key(&Field::tag("typed")));
    let within: Vec<_> = reading.within.unwrap().into_iter().map(|one| one.id.0).collect();
    assert_eq!(within, ["c1#own"]);
}

#[tokio::test]
async fn what_the_extension_holds_is_not_read_out_of_the_vendors_contact() {
    let native = vec![
        told(200, json!({ "data": noted() })),
        told(200, json!({ "data": [noted()] })),
        told(200, json!({ "data": noted() })),
    ];
    let (beside, ..) = projecting(native, Some(vec![told(200, json!({ "tags": ["vip"] }))]));
    let expected = fields([(Field::EMAIL, Value::text("a@b.c")), (Field::tag("vip"), Value::Flag(true))]);
    let reading = beside.read(&place(Kind::Contact, "c1")).await.unwrap();
    assert_eq!((reading.observation.shape, reading.within), (Shape::Partial(expected), None));
    let email = Shape::Partial(fields([(Field::EMAIL, Value::text("a@b.c"))]));
    let page = beside.changed(Kind::Contact, None, None).await.unwrap();
    let listed: Vec<_> = page.observations.into_iter().map(|one| (one.kind, one.shape, one.all_tags)).collect();
    assert_eq!(listed, [(Kind::Contact, email.clone(), false)]);
    let update = step(Action::Update, Kind::Contact, Some("c1"), fields([(Field::EMAIL, Value::text("a@b.c"))]));
    assert_eq!(beside.apply(&update).await.unwrap().shown.unwrap().shape, email);
}

#[tokio::test]
async fn a_page_without_an_extension_lists_what_stands_within_whole() {
    let (bare, ..) = projecting(vec![told(200, json!({ "data": [noted()], "total": 1 }))], None);
    let page = bare.changed(Kind::Contact, None, None).await.unwrap();
    let kinds: Vec<_> = page.observations.iter().map(|one| (one.kind, one.all_tags)).collect();
    assert_eq!((kinds, page.next), (vec![(Kind::Contact, true), (Kind::Note, false)], None));
    assert_eq!(page.observations[1].shape, Shape::Full(fields([(Field::BODY, Value::text("mine"))])));
}

#[rstest]
#[case::still_projecting(true)]
#[case::no_longer_projecting(false)]
#[tokio::test]
async fn a_note_that_was_projected_before_there_was_an_extension_is_not_taken_for_deleted(#[case] notes: bool) {
    let (beside, vendor, script) = with_notes(notes, vec![], Some(vec![]));
    let before = Place { parent: Some(ExternalId::new("c1")), ..place(Kind::Note, "c1#00000000aa") };
    assert!(matches!(beside.read(&before).await, Err(SystemError::Refused { status: 0, .. })));
    for action in [Action::Update, Action::Delete] {
        let write = of_contact(step(action, Kind::Note, Some("c1#00000000aa"), Fields::new()));
        assert!(matches!(beside.apply(&write).await, Err(SystemError::Refused { status: 0, .. })), "{action}");
    }
    assert!(vendor.asked().is_empty() && script.asked().is_empty());
}
