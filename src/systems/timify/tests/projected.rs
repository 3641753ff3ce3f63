//! What TIMIFY has no objects for: notes within the customer's one notes text, tags in a custom field.

use super::*;
use crate::model::{Place, Projection};

const NOTES: &str = "65c00000000000000000009a";
const A: &str = "00000000aa";

fn key(end: u128) -> Uuid {
    Uuid::from_u128((0xffee << 40) | end)
}

fn block(items: &str) -> String {
    format!(
        "--- Lockstep notes: kept by Lockstep. Please write your own text above this line. ---\n{items}\n\
         --- End of Lockstep notes ---"
    )
}

/// The customer `c1` with this notes text.
fn customer(notes: &str) -> Told {
    let fields =
        json!([{ "id": NOTES, "defaultId": "notes", "value": notes }, { "defaultId": "email", "value": "a@b.c" }]);
    told(200, json!({ "data": { "id": "c1", "updatedAt": "2026-03-25T18:46:31Z", "fields": fields }, "status": 1 }))
}

fn done() -> Told {
    told(200, json!({ "status": 1 }))
}

fn known(told_after: impl IntoIterator<Item = Told>) -> (Timify, Arc<Script>) {
    timify([told(200, definitions())].into_iter().chain(told_after))
}

fn projecting(projection: Projection, told: impl IntoIterator<Item = Told>) -> (Timify, Arc<Script>) {
    let (caller, script) = caller(System::Timify, told);
    (Timify::new(caller, Company { projection, ..company(false) }), script)
}

fn text(text: &str) -> Fields {
    [(Field::BODY, Value::text(text))].into()
}

fn note(action: Action, id: Option<&str>, body: &str) -> Step {
    let parent = Some(ExternalId::new("c1"));
    Step { parent, key: id.is_none().then(|| key(0xaa)), ..step(action, Kind::Note, id, text(body)) }
}

/// What was written last.
fn written(script: &Script) -> (String, Json) {
    let (line, body) = script.asked().pop().unwrap();
    assert_eq!(line, "PATCH /v1/customers/c1");
    let [entry] = body["customfields"].as_array().unwrap().as_slice() else { panic!("{body}") };
    assert_eq!((entry["id"].as_str(), body.as_object().unwrap().len()), (Some(NOTES), 1));
    (entry["value"].as_str().unwrap().to_owned(), body)
}

#[tokio::test]
async fn notes_are_one_text_and_each_part_of_it_is_a_note_within_the_customer() {
    let held = format!("prefers mornings\n\n{}", block("[#00000000aa] Called\n[#00000000bb] Two\nlines"));
    let (timify, _) = known([customer(&held)]);
    let reading = timify.read(&place(Kind::Contact, "c1")).await.unwrap();
    let contact = reading.observation.fields().unwrap();
    assert_eq!((contact.get(&Field::EMAIL), contact.get(&Field::BODY)), (Some(&Value::text("a@b.c")), None));
    let within = reading.within.unwrap();
    let expected = [("c1#own", "prefers mornings"), ("c1#00000000aa", "Called"), ("c1#00000000bb", "Two\nlines")];
    assert_eq!(within.len(), 3);
    for (one, (id, body)) in within.iter().zip(expected) {
        assert_eq!((one.kind, one.id.as_str(), one.class), (Kind::Note, id, Class::Claim));
        assert_eq!(one.shape, Shape::Full(text(body)));
        assert_eq!((&one.parent, one.at), (&Some(ExternalId::new("c1")), Some(at("2026-03-25T18:46:31Z"))));
    }
}

#[rstest]
#[case::nothing("", Some(0))]
#[case::blanks(" \n ", Some(0))]
#[case::only_ones_own("x", Some(1))]
#[case::cut("--- Lockstep notes ---\n[#00000000aa] Call", None)]
#[tokio::test]
async fn what_stands_within_is_told_as_a_whole_or_not_at_all(#[case] notes: &str, #[case] count: Option<usize>) {
    let (timify, _) = known([customer(notes)]);
    let within = timify.read(&place(Kind::Contact, "c1")).await.unwrap().within;
    assert_eq!(within.map(|within| within.len()), count);
}

#[tokio::test]
async fn a_page_of_customers_lists_their_notes_too_and_notes_have_no_list() {
    let (timify, script) = known([customer("x").map(|answer| {
        let mut json: Json = serde_json::from_slice(answer.body()).unwrap();
        json["data"] = json!([json["data"]]);
        json["total"] = json!(1);
        answer.map(|_| json.to_string().into())
    })]);
    let page = timify.changed(Kind::Contact, None, None).await.unwrap();
    let seen: Vec<_> = page.observations.iter().map(|one| (one.kind, one.id.as_str(), one.class)).collect();
    assert_eq!(seen, [(Kind::Contact, "c1", Class::Claim), (Kind::Note, "c1#own", Class::Claim)]);
    assert_eq!(timify.changed(Kind::Note, None, None).await.unwrap(), crate::systems::Page::empty());
    assert_eq!(script.asked().len(), 2);
}

#[rstest]
#[case::own("c1#own", Some("mine"))]
#[case::ours("c1#00000000aa", Some("Called"))]
#[case::gone("c1#00000000bb", None)]
#[tokio::test]
async fn a_note_is_read_out_of_its_customer(#[case] id: &str, #[case] expected: Option<&str>) {
    let (timify, script) = known([customer(&format!("mine\n\n{}", block("[#00000000aa] Called")))]);
    let read = timify.read(&place(Kind::Note, id)).await.unwrap().observation;
    let shape = expected.map_or(Shape::Gone, |body| Shape::Full(text(body)));
    assert_eq!((read.id.as_str(), read.class, read.shape), (id, Class::Current, shape));
    assert_eq!(script.asked()[1].0, "GET /v1/customers/c1");
}

#[tokio::test]
async fn ones_own_text_that_was_emptied_is_gone_and_so_are_all_notes_of_a_customer_that_is() {
    let (timify, _) = known([customer(&block("[#00000000aa] Called")), told(404, json!({ "status": 0 }))]);
    for id in ["c1#own", "c1#00000000aa"] {
        assert_eq!(timify.read(&place(Kind::Note, id)).await.unwrap().observation.shape, Shape::Gone);
    }
}

#[tokio::test]
async fn what_is_missing_in_a_text_that_was_cut_is_not_gone() {
    let cut = || customer("mine\n\n--- Lockstep notes ---\n[#00000000aa] Call");
    let (timify, script) = known([cut(), cut(), cut(), cut()]);
    let lost = timify.read(&place(Kind::Note, "c1#00000000bb")).await.unwrap_err();
    assert!(matches!(&lost, SystemError::Garbled { reason, .. } if reason.contains("end line")), "{lost}");
    assert!(timify.read(&place(Kind::Note, "c1#own")).await.unwrap().observation.fields().is_some());
    assert!(timify.read(&place(Kind::Note, "c1#00000000aa")).await.unwrap().observation.fields().is_some());
    let lost = timify.apply(&note(Action::Delete, Some("c1#00000000bb"), "")).await.unwrap_err();
    assert!(matches!(lost, SystemError::Garbled { .. }));
    assert_eq!(script.asked().len(), 5, "nothing was written");
}

/// A customer whose record shows no notes text.
fn silent(fields: &Json) -> Told {
    told(200, json!({ "data": { "id": "c1", "firstName": "Hanako", "fields": fields }, "status": 1 }))
}

fn only_email() -> Json {
    json!([{ "defaultId": "email", "value": "a@b.c" }])
}

#[rstest]
#[case::no_values(json!([]))]
#[case::only_plain_keys(json!(null))]
#[case::others(only_email())]
#[case::another_form(json!([{ "id": NOTES, "value": { "text": "mine" } }]))]
#[tokio::test]
async fn notes_that_a_record_does_not_show_are_not_gone(#[case] fields: Json) {
    let (timify, script) = known((0..5).map(|_| silent(&fields)));
    assert_eq!(timify.read(&place(Kind::Contact, "c1")).await.unwrap().within, None);
    for id in ["c1#own", "c1#00000000aa"] {
        assert!(matches!(timify.read(&place(Kind::Note, id)).await, Err(SystemError::Garbled { .. })), "{id}");
    }
    for action in [Action::Update, Action::Delete] {
        let lost = timify.apply(&note(action, Some("c1#00000000aa"), "x")).await.unwrap_err();
        assert!(matches!(lost, SystemError::Garbled { .. }), "{lost}");
    }
    assert_eq!(script.asked().len(), 6, "nothing was written");
}

#[rstest]
#[case::no_values(json!([]))]
#[case::others(only_email())]
#[case::another_form(json!([{ "id": "f9", "value": [{ "name": "vip" }] }]))]
#[tokio::test]
async fn tags_that_a_record_does_not_show_are_not_removed(#[case] fields: Json) {
    let (timify, _) = projecting(tagged(false), [with_tags(), silent(&fields)]);
    assert!(!timify.read(&place(Kind::Contact, "c1")).await.unwrap().observation.all_tags);
}

#[tokio::test]
async fn the_first_note_is_written_to_a_customer_who_lists_no_notes_yet() {
    let (timify, script) = known([silent(&only_email()), silent(&only_email()), done(), silent(&json!([]))]);
    let make = note(Action::Create, None, "Called");
    let wanted = Wanted { kind: Kind::Note, parent: make.parent.clone(), fields: text("Called"), key: make.key };
    assert!(timify.find(&wanted).await.unwrap().is_empty());
    timify.apply(&make).await.unwrap();
    assert_eq!(written(&script).0, block("[#00000000aa] Called"));
    assert!(matches!(timify.apply(&make).await, Err(SystemError::Garbled { .. })), "a record without any values");
}

#[tokio::test]
async fn a_note_is_made_below_the_persons_own_text_and_making_it_twice_is_harmless() {
    let expected = format!("mine\r\n\n\n{}", block("[#00000000aa] Called"));
    let (timify, script) = known([customer("mine\r\n"), done(), customer(&expected)]);
    let make = note(Action::Create, None, "Called");
    let made = timify.apply(&make).await.unwrap();
    assert_eq!(made.id.as_str(), "c1#00000000aa");
    assert_eq!(written(&script).0, expected);
    assert_eq!(timify.apply(&make).await.unwrap().id, made.id);
    assert_eq!(script.asked().len(), 4, "it is there, so nothing is written");
}

#[tokio::test]
async fn a_note_is_changed_and_the_last_one_leaves_the_own_text_as_it_was() {
    let held = || customer(&format!("mine\n\n{}", block("[#00000000aa] Called")));
    let (timify, script) = known([held(), done(), held(), done()]);
    timify.apply(&note(Action::Update, Some("c1#00000000aa"), "Called twice")).await.unwrap();
    assert_eq!(written(&script).0, format!("mine\n\n{}", block("[#00000000aa] Called twice")));
    timify.apply(&note(Action::Delete, Some("c1#00000000aa"), "")).await.unwrap();
    assert_eq!(written(&script).0, "mine");
}

#[rstest]
#[case(Action::Update)]
#[case(Action::Delete)]
#[tokio::test]
async fn a_note_that_is_not_there_any_more_is_gone(#[case] action: Action) {
    let (timify, script) = known([customer("mine")]);
    let gone = timify.apply(&note(action, Some("c1#00000000aa"), "x")).await.unwrap_err();
    assert!(matches!(gone, SystemError::Gone { .. }), "{gone}");
    assert_eq!(script.asked().len(), 2);
}

#[rstest]
#[case::own("c1#own", "typed into the customer's notes in TIMIFY")]
#[case::another_homes("n1", "kept somewhere else before")]
#[case::another_homes_with_the_same_sign("c1#7", "kept somewhere else before")]
#[tokio::test]
async fn a_write_to_what_is_not_ours_is_refused_with_a_reason(#[case] id: &str, #[case] said: &str) {
    let (timify, script) = known([]);
    let refused = timify.apply(&note(Action::Update, Some(id), "x")).await.unwrap_err();
    assert!(matches!(&refused, SystemError::Refused { reason, .. } if reason.contains(said)), "{refused}");
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn an_id_of_another_home_is_not_looked_for_here() {
    let (timify, script) = known([]);
    let place = Place { parent: Some(ExternalId::new("c1")), ..place(Kind::Note, "n#7") };
    assert!(matches!(timify.read(&place).await, Err(SystemError::Refused { status: 0, .. })));
    assert!(script.asked().is_empty());
}

#[tokio::test]
async fn an_equal_note_is_found_and_the_one_that_we_made_before_all_others() {
    let held =
        || customer(&format!("Called\n\n{}", block("[#00000000bb] Called\n[#00000000aa] Called\n[#00000000cc] x")));
    let (timify, _) = known([held(), held()]);
    let wanted = |key| Wanted { kind: Kind::Note, parent: Some(ExternalId::new("c1")), fields: text("Called"), key };
    let ids =
        |found: Vec<crate::systems::Reading>| found.into_iter().map(|one| one.observation.id.0).collect::<Vec<_>>();
    assert_eq!(ids(timify.find(&wanted(None)).await.unwrap()), ["c1#00000000bb", "c1#00000000aa"]);
    assert_eq!(ids(timify.find(&wanted(Some(key(0xaa)))).await.unwrap()), ["c1#00000000aa"]);
    assert_eq!(key(0xaa).simple().to_string()[22..], *A);
}

/// A vendor with one customer whose notes text it keeps; another task gets its turn before each answer.
struct Keeping(std::sync::Mutex<String>);

#[async_trait::async_trait]
impl crate::systems::Transport for Keeping {
    async fn send(&self, request: http::Request<bytes::Bytes>) -> Told {
        tokio::task::yield_now().await;
        if request.uri().path().ends_with("customfields") {
            return told(200, definitions());
        }
        let mut held = self.0.lock().unwrap();
        if request.method() == http::Method::PATCH {
            let body: Json = serde_json::from_slice(request.body()).unwrap();
            *held = body["customfields"][0]["value"].as_str().unwrap().to_owned();
        }
        customer(&held)
    }
}

#[tokio::test]
async fn notes_of_one_customer_that_are_written_side_by_side_all_stand() {
    let keeping = Arc::new(Keeping(std::sync::Mutex::new("mine".to_owned())));
    let clock = Arc::new(crate::clock::ManualClock::at(Millis(0)));
    let caller = crate::systems::testing::caller_over(System::Timify, keeping.clone(), clock);
    let timify = Timify::new(caller, company(false));
    let make = |end: u128| Step { key: Some(key(end)), ..note(Action::Create, None, &format!("note {end}")) };
    let (a, b, c) = (make(1), make(2), make(3));
    let (a, b, c) = tokio::join!(timify.apply(&a), timify.apply(&b), timify.apply(&c));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    let held = keeping.0.lock().unwrap().clone();
    let items = "[#0000000001] note 1\n[#0000000002] note 2\n[#0000000003] note 3";
    assert_eq!(held, format!("mine\n\n{}", block(items)));
}

#[tokio::test]
async fn notes_have_a_home_unless_they_are_kept_out_or_the_company_has_no_field() {
    let (timify, _) = known([]);
    assert_eq!((timify.home(Kind::Note), timify.creates(Kind::Note)), (Home::Projected, Ok(())));
    assert_eq!(timify.changes(Kind::Note), Ok(()));
    let (field, value) = (Field::BODY, Value::text("x"));
    assert_eq!(timify.carriers(Kind::Note, &field, &value, true), [Action::Create]);
    assert_eq!(timify.carriers(Kind::Note, &field, &value, false), [Action::Update]);
    assert_eq!(timify.gone_means(Kind::Note), None);

    let off = Projection { notes: false, ..Projection::default() };
    let (off, _) = projecting(off, [told(200, definitions()), customer("mine"), customer("mine")]);
    assert!(matches!(off.home(Kind::Note), Home::Kept(reason) if reason.contains("`notes = false`")));
    assert_eq!(off.express(Kind::Note, &field, &value), Expressed::Absent);
    assert_eq!(off.read(&place(Kind::Contact, "c1")).await.unwrap().within, None);
    assert!(matches!(off.read(&place(Kind::Note, "c1#own")).await, Err(SystemError::Refused { .. })));

    let mut few = definitions();
    few["data"].as_array_mut().unwrap().pop();
    let (few, _) = self::timify([told(200, few), customer("mine")]);
    assert_eq!(few.home(Kind::Note), Home::Projected, "not yet known otherwise");
    assert_eq!(few.read(&place(Kind::Contact, "c1")).await.unwrap().within, None);
    assert!(matches!(few.creates(Kind::Note), Err(reason) if reason.contains("no notes field")));
}

fn tagged(make: bool) -> Projection {
    Projection { tags_field: Some(" tags ".to_owned()), make_tags_field: make, ..Projection::default() }
}

fn with_tags() -> Told {
    let mut all = definitions();
    all["data"].as_array_mut().unwrap().push(json!({ "id": "f9", "label": "TAGS", "type": "TEXT" }));
    told(200, all)
}

fn tags(names: &[(&str, bool)]) -> Fields {
    let value = |set| if set { Value::Flag(true) } else { Value::Blank };
    names.iter().map(|(name, set)| (Field::tag(name), value(*set))).collect()
}

#[tokio::test]
async fn the_tags_of_a_customer_stand_in_the_field_of_that_label() {
    let record = json!({ "data": { "id": "c1", "fields": [{ "id": "f9", "value": "VIP; new client" }] } });
    let (timify, _) = projecting(tagged(false), [with_tags(), told(200, record)]);
    let read = timify.read(&place(Kind::Contact, "c1")).await.unwrap().observation;
    let held: Vec<_> = read.fields().unwrap().keys().filter_map(Field::as_tag).collect();
    assert_eq!((held, read.all_tags, timify.tags()), (vec!["new client", "vip"], true, Home::Projected));
}

#[rstest]
#[case::empty(json!(null), Some(vec![]))]
#[case::options(json!(["VIP", "new client"]), Some(vec!["new client", "vip"]))]
#[case::something_else(json!({ "selected": [1] }), None)]
#[tokio::test]
async fn a_value_that_is_no_text_removes_no_tags(#[case] value: Json, #[case] expected: Option<Vec<&str>>) {
    let record = json!({ "data": { "id": "c1", "fields": [{ "id": "f9", "value": value }] } });
    let (timify, _) = projecting(tagged(false), [with_tags(), told(200, record)]);
    let read = timify.read(&place(Kind::Contact, "c1")).await.unwrap().observation;
    let held: Vec<_> = read.fields().unwrap().keys().filter_map(Field::as_tag).collect();
    assert_eq!((read.all_tags, held), (expected.is_some(), expected.unwrap_or_default()));
}

#[tokio::test]
async fn a_tag_is_written_with_the_whole_list() {
    let (timify, script) = projecting(tagged(false), [with_tags(), done()]);
    let whole = tags(&[("vip", true), ("old", true), ("gone before", false)]);
    let fields = tags(&[("paris, texas", true), ("old", false)]);
    let update = Step { whole, ..step(Action::Update, Kind::Contact, Some("c1"), fields) };
    timify.apply(&update).await.unwrap();
    let sent = json!({ "customfields": [{ "id": "f9", "value": "\"paris, texas\", vip" }] });
    assert_eq!(script.asked().pop().unwrap(), ("PATCH /v1/customers/c1".to_owned(), sent));
}

#[tokio::test]
async fn a_customer_is_made_with_its_tags() {
    let (timify, script) = projecting(tagged(false), [with_tags(), body(CUSTOMER)]);
    assert_eq!(timify.carriers(Kind::Contact, &Field::tag("vip"), &Value::Flag(true), true), [Action::Create]);
    timify.apply(&step(Action::Create, Kind::Contact, None, tags(&[("vip", true)]))).await.unwrap();
    assert_eq!(script.asked().pop().unwrap().1["customfields"], json!([{ "id": "f9", "value": "vip" }]));
}

#[tokio::test]
async fn without_the_field_tags_are_absent_and_the_reason_names_the_key() {
    let tag = |timify: &Timify| timify.express(Kind::Contact, &Field::tag("vip"), &Value::Flag(true));
    let (unnamed, _) = known([]);
    assert!(matches!(unnamed.tags(), Home::Kept(reason) if reason.contains("`tags_field`")));
    assert_eq!(tag(&unnamed), Expressed::Absent);
    let (missing, _) = projecting(tagged(false), [told(200, definitions()), customer("x")]);
    assert_eq!(missing.tags(), Home::Projected, "not yet known otherwise");
    let read = missing.read(&place(Kind::Contact, "c1")).await.unwrap().observation;
    assert!(
        !read.all_tags && matches!(read.shape, Shape::Partial(_)),
        "tags known from before are not taken for removed"
    );
    assert!(matches!(missing.tags(), Home::Kept(reason) if reason.contains("`make_tags_field = true`")));
    assert_eq!(tag(&missing), Expressed::Absent);
}

#[tokio::test]
async fn the_field_for_the_tags_is_made_once_by_the_first_write_that_needs_it() {
    let made = || told(200, json!({ "data": { "id": "f9" }, "status": 1 }));
    let answers = [told(200, definitions()), told(200, definitions()), made(), with_tags(), done(), done()];
    let (timify, script) = projecting(tagged(true), answers);
    timify.prepare().await.unwrap();
    assert_eq!((timify.tags(), script.asked().len()), (Home::Projected, 1), "nothing is made by looking");
    let update = step(Action::Update, Kind::Contact, Some("c1"), tags(&[("vip", true)]));
    timify.apply(&update).await.unwrap();
    timify.apply(&update).await.unwrap();
    let posted = ("POST /v1/customers/customfields".to_owned(), json!({ "label": " tags ", "type": "TEXT" }));
    let asked = script.asked();
    assert_eq!((asked[2].clone(), asked.len()), (posted, 6));
}

#[tokio::test]
async fn a_field_that_was_taken_and_is_not_listed_is_not_made_again() {
    let bare = || told(200, definitions());
    let (timify, script) = projecting(tagged(true), [bare(), bare(), done(), bare(), bare(), bare()]);
    let update = step(Action::Update, Kind::Contact, Some("c1"), tags(&[("vip", true)]));
    for _ in 0..2 {
        let refused = timify.apply(&update).await.unwrap_err();
        assert!(refused.to_string().contains("`tags_field`"), "{refused}");
    }
    let posts = script.asked().into_iter().filter(|(line, _)| line.starts_with("POST")).count();
    assert_eq!(posts, 1);
}
