mod asking;
mod listing;
mod quirks;

use super::*;
use crate::clock::{Clock, ManualClock, Millis};
use crate::credentials::static_token::StaticToken;
use crate::model::{Class, ExternalId, Fields, Place, Shape, Step};
use crate::secret::Secret;
use crate::systems::allowance::Unlimited;
use crate::systems::offset::ClockOffset;
use crate::systems::testing::{Script, Told, told, told_with};
use crate::systems::{Credential, Reading, SystemError, Target, Wanted};
use rstest::rstest;
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// What a client is made of, where a test wants something other than usual.
#[derive(Default)]
struct Made {
    /// The version of all families; empty: the usual ones.
    version: &'static str,
    /// Each family's version is its name.
    apart: bool,
    region: Option<&'static str>,
    /// Custom fields by our name.
    fields: &'static [(&'static str, &'static str)],
    credential: Option<Arc<dyn Credential>>,
    notify: bool,
}

impl Made {
    fn ghl(self, told: impl IntoIterator<Item = Told>) -> (Ghl, Arc<Script>) {
        let script = Arc::new(Script::new(told));
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Millis::parse("2026-01-02T00:00:00Z").unwrap()));
        let token = || Arc::new(StaticToken::bearer(&Secret::new("pit-1")).unwrap()) as Arc<dyn Credential>;
        let offset = Arc::new(ClockOffset::new(clock));
        let credential = self.credential.unwrap_or_else(token);
        let caller = Caller::new(System::Ghl, "http://ghl", script.clone(), credential, offset, Arc::new(Unlimited));
        let version = |family: &str, usual: &str| match (self.apart, self.version) {
            (true, _) => family.to_owned(),
            (false, "") => usual.to_owned(),
            (false, version) => version.to_owned(),
        };
        let settings = GhlSettings {
            location: "Loc".to_owned(),
            contacts_version: version("contacts", "2021-07-28"),
            calendars_version: version("calendars", "2021-04-15"),
            locations_version: version("locations", "2021-07-28"),
            businesses_version: version("businesses", "2021-07-28"),
            custom_fields: self.fields.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect(),
            notify: self.notify,
        };
        let row = |name: &str, id: &str| CalendarRow {
            name: name.to_owned(),
            ghl: Some(id.to_owned()),
            ..CalendarRow::default()
        };
        let region = self.region.map(str::to_owned);
        (Ghl::new(settings, vec![row("cut", "CalA"), row("dye", "CalB")], region, caller), script)
    }
}

fn ghl(told: impl IntoIterator<Item = Told>) -> (Ghl, Arc<Script>) {
    Made { fields: &[("shoe", "FieldA")], ..Made::default() }.ghl(told)
}

fn id(text: &str) -> ExternalId {
    ExternalId::new(text)
}

fn place(kind: Kind, parent: Option<&str>) -> Place {
    Place { kind, id: id("X"), parent: parent.map(id) }
}

fn step(action: Action, kind: Kind, fields: &[(Field, Value)]) -> Step {
    let below = kind != Kind::Contact;
    Step {
        action,
        kind,
        id: (action != Action::Create).then(|| id("X")),
        parent: below.then(|| id("C")),
        fields: fields.iter().cloned().collect(),
        stamps: BTreeMap::new(),
        whole: Fields::new(),
        key: None,
        alone: false,
    }
}

fn text(field: Field, text: &str) -> (Field, Value) {
    (field, Value::text(text))
}

fn tag(name: &str, there: bool) -> (Field, Value) {
    (Field::tag(name), if there { Value::Flag(true) } else { Value::Blank })
}

fn hour(hour: u8) -> Value {
    Value::Instant(Millis::parse(&format!("2026-01-02T{hour:02}:00:00Z")).unwrap())
}

#[rstest]
#[case::contact(
    step(Action::Create, Kind::Contact, &[text(Field::EMAIL, "a@b.c"), text(Field::custom("shoe"), "42"), tag("vip", true)]),
    "POST /contacts/",
    json!({"email": "a@b.c", "customFields": [{"id": "FieldA", "field_value": "42"}], "tags": ["vip"], "locationId": "Loc"})
)]
#[case::contact_update(
    step(Action::Update, Kind::Contact, &[text(Field::CITY, "Rome"), (Field::PHONE, Value::Blank)]),
    "PUT /contacts/X",
    json!({"city": "Rome", "phone": ""})
)]
#[case::tags_added(
    step(Action::AddTags, Kind::Contact, &[tag("vip", true), tag("lead", true)]),
    "POST /contacts/X/tags",
    json!({"tags": ["lead", "vip"]})
)]
#[case::tags_removed(
    step(Action::RemoveTags, Kind::Contact, &[tag("vip", false)]),
    "DELETE /contacts/X/tags",
    json!({"tags": ["vip"]})
)]
#[case::contact_deleted(step(Action::Delete, Kind::Contact, &[]), "DELETE /contacts/X", Json::Null)]
#[case::task(
    step(Action::Create, Kind::Task, &[text(Field::TITLE, "Call")]),
    "POST /contacts/C/tasks",
    json!({"title": "Call", "dueDate": "2099-12-31T00:00:00.000Z", "completed": false})
)]
#[case::task_update(
    step(Action::Update, Kind::Task, &[(Field::DUE, hour(9)), (Field::COMPLETED, Value::Flag(true))]),
    "PUT /contacts/C/tasks/X",
    json!({"dueDate": "2026-01-02T09:00:00.000Z", "completed": true})
)]
#[case::task_done(
    step(Action::Complete, Kind::Task, &[(Field::COMPLETED, Value::Flag(true))]),
    "PUT /contacts/C/tasks/X/completed",
    json!({"completed": true})
)]
#[case::note(step(Action::Create, Kind::Note, &[text(Field::BODY, "hi")]), "POST /contacts/C/notes", json!({"body": "hi"}))]
#[case::note_deleted(step(Action::Delete, Kind::Note, &[]), "DELETE /contacts/C/notes/X", Json::Null)]
#[case::appointment(
    step(Action::Create, Kind::Appointment, &[
        text(Field::CALENDAR, "cut"), (Field::START, hour(9)), (Field::END, hour(10)), text(Field::STATUS, "confirmed"),
    ]),
    "POST /calendars/events/appointments",
    json!({"calendarId": "CalA", "startTime": "2026-01-02T09:00:00.000Z", "endTime": "2026-01-02T10:00:00.000Z",
        "appointmentStatus": "confirmed", "locationId": "Loc", "contactId": "C",
        "ignoreFreeSlotValidation": true, "ignoreDateRange": true, "toNotify": false})
)]
#[case::appointment_update(
    step(Action::Update, Kind::Appointment, &[text(Field::STATUS, "cancelled")]),
    "PUT /calendars/events/appointments/X",
    json!({"appointmentStatus": "cancelled", "ignoreFreeSlotValidation": true, "ignoreDateRange": true, "toNotify": false})
)]
#[case::appointment_deleted(step(Action::Delete, Kind::Appointment, &[]), "DELETE /calendars/events/X", json!({}))]
#[tokio::test]
async fn a_step_is_one_call(#[case] step: Step, #[case] line: &str, #[case] body: Json) {
    let (ghl, script) =
        ghl([told(200, json!({"id": "X", "contact": {"id": "X"}, "task": {"id": "X"}, "note": {"id": "X"}}))]);
    let answer = ghl.apply(&step).await.unwrap();
    assert_eq!(answer.id, id("X"));
    assert_eq!(script.asked(), [(line.to_owned(), body)]);
    let version = if step.kind == Kind::Appointment { "2021-04-15" } else { "2021-07-28" };
    assert_eq!(script.header("version").as_deref(), Some(version));
}

#[tokio::test]
async fn the_answer_to_a_create_names_the_object_and_shows_what_it_carries() {
    let made =
        json!({"contact": {"id": "N", "email": "A@b.c", "tags": ["VIP"], "dateUpdated": "2026-01-01T00:00:00Z"}});
    let (ghl, _) = ghl([told(201, made)]);
    let answer = ghl.apply(&step(Action::Create, Kind::Contact, &[text(Field::EMAIL, "a@b.c")])).await.unwrap();
    let shown = answer.shown.unwrap();
    assert_eq!((answer.id, answer.status, shown.class), (id("N"), 201, Class::Current));
    assert_eq!(shown.shape, Shape::Partial([text(Field::EMAIL, "a@b.c"), tag("vip", true)].into()));
    assert_eq!(shown.version, Millis::parse("2026-01-01T00:00:00Z"));
}

#[tokio::test]
async fn a_create_whose_answer_names_nothing_is_garbled() {
    let (ghl, _) = ghl([told(201, json!({"contact": {}}))]);
    let error = ghl.apply(&step(Action::Create, Kind::Contact, &[])).await.unwrap_err();
    assert!(matches!(error, SystemError::Garbled { status: 201, .. }), "{error}");
}

#[rstest]
#[case::duplicate(Action::Create, 400, json!({"message": "no duplicates", "meta": {"contactId": "Old"}}), "already has it as Old")]
#[case::duplicate_update(Action::Update, 400, json!({"message": "no duplicates", "meta": {"contactId": "Old"}}), "no duplicates")]
#[case::unknown(Action::Update, 400, json!({"message": "Contact with id X not found"}), "no longer has it")]
#[case::no_route(Action::Update, 404, json!({"message": "Cannot PUT /contacts/X"}), "check base_url")]
#[case::bad_key(Action::Update, 422, json!({"message": ["property a should not exist"]}), "property a should not exist")]
#[tokio::test]
async fn a_refusal_is_understood(#[case] action: Action, #[case] status: u16, #[case] body: Json, #[case] said: &str) {
    let (ghl, _) = ghl([told(status, body)]);
    let error = ghl.apply(&step(action, Kind::Contact, &[text(Field::CITY, "Rome")])).await.unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
    assert_eq!(error.status(), Some(status));
}

#[tokio::test]
async fn a_whole_reading_is_current_and_carries_its_version() {
    let event = json!({"event": {"id": "X", "locationId": "Loc", "contactId": "C", "calendarId": "CalA",
        "appointmentStatus": "Confirmed", "startTime": "2026-01-02T10:00:00+01:00", "dateUpdated": "2026-01-01T00:00:00Z"}});
    let (ghl, script) = ghl([told(200, event)]);
    let Reading { observation, status, .. } = ghl.read(&place(Kind::Appointment, None)).await.unwrap();
    let fields = [text(Field::CALENDAR, "cut"), text(Field::STATUS, "confirmed"), (Field::START, hour(9))];
    assert_eq!(script.asked()[0].0, "GET /calendars/events/appointments/X");
    assert_eq!((status, observation.class, observation.parent), (200, Class::Current, Some(id("C"))));
    assert_eq!(observation.shape, Shape::Full(fields.into()));
    assert_eq!((observation.version, observation.at), (Millis::parse("2026-01-01T00:00:00Z"), observation.version));
}

#[rstest]
#[case(Kind::Contact, 400, json!({"message": "Contact with id X not found"}))]
#[case(Kind::Note, 404, json!({"message": "Not found"}))]
#[case(Kind::Contact, 200, json!({"contact": {"id": "X", "deleted": true}}))]
#[tokio::test]
async fn a_missing_object_reads_as_gone(#[case] kind: Kind, #[case] status: u16, #[case] body: Json) {
    let (ghl, _) = ghl([told(status, body)]);
    let reading = ghl.read(&place(kind, Some("C"))).await.unwrap();
    assert_eq!((reading.observation.shape, reading.status), (Shape::Gone, status));
}

#[tokio::test]
async fn trouble_is_never_read_as_a_deletion() {
    let answers = [
        told(404, json!({"message": "Cannot GET /contacts/X"})),
        told_with(404, &[], "<html>no such host</html>"),
        told(403, json!({"message": "The token does not have access to this location."})),
        told(503, json!({})),
        told(200, json!({})),
        told(200, json!({"contact": {"id": "X", "locationId": "Other"}})),
    ];
    let many = answers.len();
    let (ghl, script) = ghl(answers);
    for _ in 0..many {
        assert!(ghl.read(&place(Kind::Contact, None)).await.is_err());
    }
    assert_eq!(script.asked().len(), many);
}

#[tokio::test]
async fn a_task_without_its_contact_is_found_by_the_locations_search() {
    let page: Vec<Json> = (0..100).map(|at| json!({"id": format!("T{at}"), "contactId": "D"})).collect();
    let (ghl, script) = ghl([
        told(200, json!({"tasks": page})),
        told(200, json!({"tasks": [{"_id": "X", "contactId": "C"}]})),
        told(200, json!({"task": {"id": "X", "title": "Call", "dueDate": "2026-01-02T09:00:00.000Z"}})),
    ]);
    let reading = ghl.read(&place(Kind::Task, None)).await.unwrap();
    let fields = [text(Field::TITLE, "Call"), (Field::DUE, hour(9)), (Field::COMPLETED, Value::Flag(false))];
    assert_eq!((reading.observation.parent, reading.observation.shape), (Some(id("C")), Shape::Full(fields.into())));
    assert_eq!(script.asked()[1], ("POST /locations/Loc/tasks/search".to_owned(), json!({"limit": 100, "skip": 100})));
    assert_eq!(script.asked()[2].0, "GET /contacts/C/tasks/X");
    let (ghl, _) = self::ghl([told(200, json!({"tasks": []}))]);
    assert!(matches!(ghl.read(&place(Kind::Task, None)).await, Err(SystemError::Unavailable { .. })));
}

#[tokio::test]
async fn email_and_phone_of_two_contacts_give_two_readings() {
    let (ghl, script) = ghl([
        told(200, json!({"contact": {"id": "A"}})),
        told(200, json!({"contact": {"id": "B"}})),
        told(200, json!({"contact": {"id": "A", "email": "a+b@c.d"}})),
        told(200, json!({"contact": {"id": "B", "phone": "+4915123456789"}})),
    ]);
    let fields = [text(Field::EMAIL, "a+b@c.d"), text(Field::PHONE, "+4915123456789")].into();
    let found = ghl.find(&Wanted { kind: Kind::Contact, parent: None, fields, key: None }).await.unwrap();
    assert_eq!(found.iter().map(|reading| reading.observation.id.as_str()).collect::<Vec<_>>(), ["A", "B"]);
    let asked: Vec<String> = script.asked().into_iter().map(|(line, _)| line).collect();
    assert_eq!(asked[0], "GET /contacts/search/duplicate?locationId=Loc&email=a%2Bb%40c.d");
    assert_eq!(asked[1], "GET /contacts/search/duplicate?locationId=Loc&number=%2B4915123456789");
    assert_eq!(asked[2..], ["GET /contacts/A", "GET /contacts/B"]);
}

#[tokio::test]
async fn one_contact_found_twice_is_read_once_and_none_is_none() {
    let (ghl, script) = ghl([
        told(200, json!({"contact": {"id": "A"}})),
        told(200, json!({"contact": {"id": "A"}})),
        told(200, json!({"contact": {"id": "A"}})),
        told(200, json!({"contact": null})),
    ]);
    let wanted = |fields: &[(Field, Value)]| Wanted {
        kind: Kind::Contact,
        parent: None,
        fields: fields.iter().cloned().collect(),
        key: None,
    };
    let both = wanted(&[text(Field::EMAIL, "a@c.d"), text(Field::PHONE, "+4915123456789")]);
    assert_eq!(ghl.find(&both).await.unwrap().len(), 1);
    assert!(ghl.find(&wanted(&[text(Field::EMAIL, "a@c.d")])).await.unwrap().is_empty());
    assert!(ghl.find(&wanted(&[text(Field::FIRST_NAME, "Jane")])).await.unwrap().is_empty());
    assert_eq!(script.asked().len(), 4);
}

#[tokio::test]
async fn tasks_and_notes_are_found_by_what_they_say() {
    let tasks = json!({"tasks": [
        {"id": "T1", "title": "Call", "dueDate": "2099-12-31T00:00:00.000Z"},
        {"id": "T2", "title": "Call", "dueDate": "2026-01-02T09:00:00.000Z"},
        {"id": "T3", "title": "Write", "dueDate": "2099-12-31T00:00:00.000Z"},
    ]});
    let (ghl, _) =
        ghl([told(200, tasks), told(200, json!({"notes": [{"id": "N1", "body": "a"}, {"id": "N2", "body": "b"}]}))]);
    let wanted = |kind, fields: Fields| Wanted { kind, parent: Some(id("C")), fields, key: None };
    let ids = |found: Vec<Reading>| found.into_iter().map(|reading| reading.observation.id.0).collect::<Vec<_>>();
    let found = ghl.find(&wanted(Kind::Task, [text(Field::TITLE, "Call")].into())).await.unwrap();
    assert_eq!(ids(found), ["T1"]);
    let found = ghl.find(&wanted(Kind::Note, [text(Field::BODY, "b")].into())).await.unwrap();
    assert_eq!(ids(found), ["N2"]);
}

#[tokio::test]
async fn an_appointment_is_found_by_calendar_start_and_contact() {
    let event = |id: &str, contact: &str, at: &str, status: &str| json!({"id": id, "contactId": contact, "calendarId": "CalA", "startTime": at, "appointmentStatus": status});
    let events = json!({"events": [
        event("A1", "C", "2026-01-02T09:00:00Z", "confirmed"),
        event("A2", "D", "2026-01-02T09:00:00Z", "confirmed"),
        event("A3", "C", "2026-01-02T09:30:00Z", "confirmed"),
        event("A4", "C", "2026-01-02T09:00:00Z", "cancelled"),
    ]});
    let (ghl, script) = ghl([told(200, events)]);
    let fields = [text(Field::CALENDAR, "cut"), (Field::START, hour(9))].into();
    let found = ghl.find(&Wanted { kind: Kind::Appointment, parent: Some(id("C")), fields, key: None }).await.unwrap();
    assert_eq!(found.iter().map(|reading| reading.observation.id.as_str()).collect::<Vec<_>>(), ["A1"]);
    let line = "GET /calendars/events?locationId=Loc&calendarId=CalA&startTime=1767340800000&endTime=1767348000000";
    assert_eq!(script.asked()[0].0, line);
}

#[tokio::test]
async fn changed_contacts_are_paged_by_search_after() {
    let contacts: Vec<Json> = (0..100).map(|at| json!({"id": format!("C{at}"), "searchAfter": [at, "x"]})).collect();
    let (ghl, script) = ghl([told(200, json!({"contacts": contacts})), told(200, json!({"contacts": [{"id": "L"}]}))]);
    let since = Millis::parse("2026-01-01T00:00:00Z");
    let first = ghl.changed(Kind::Contact, since, None).await.unwrap();
    assert!(first.observations.iter().all(|seen| seen.class == Class::Claim) && first.observations.len() == 100);
    let last = ghl.changed(Kind::Contact, since, first.next.as_deref()).await.unwrap();
    assert_eq!((last.observations.len(), last.next), (1, None));
    let asked = script.asked();
    assert_eq!(asked[0].1["filters"][0]["value"], json!({"gte": "2026-01-01T00:00:00.000Z"}));
    assert_eq!((&asked[0].1["searchAfter"], &asked[1].1["searchAfter"]), (&Json::Null, &json!([99, "x"])));
}

#[tokio::test]
async fn changed_appointments_are_paged_by_calendar_and_old_ones_left_out() {
    let events = json!({"events": [
        {"id": "A1", "dateUpdated": "2025-12-01T00:00:00Z"}, {"id": "A2", "dateUpdated": "2026-01-01T12:00:00Z"}, {"id": "A3"},
    ]});
    let (ghl, script) = ghl([told(200, events), told(200, json!({"events": []}))]);
    let since = Millis::parse("2026-01-01T00:00:00Z");
    let first = ghl.changed(Kind::Appointment, since, None).await.unwrap();
    assert_eq!(first.observations.iter().map(|seen| seen.id.as_str()).collect::<Vec<_>>(), ["A2", "A3"]);
    let last = ghl.changed(Kind::Appointment, since, first.next.as_deref()).await.unwrap();
    assert_eq!(last.next, None);
    assert!(script.asked()[1].0.contains("calendarId=CalB"));
}

#[rstest]
#[case(Kind::Contact, Field::CITY, Value::text("Rome"), &[Action::Update])]
#[case(Kind::Contact, Field::tag("vip"), Value::Flag(true), &[Action::AddTags])]
#[case(Kind::Contact, Field::tag("vip"), Value::Blank, &[Action::RemoveTags])]
#[case(Kind::Contact, Field::custom("shoe"), Value::text("x"), &[Action::Update])]
#[case(Kind::Contact, Field::custom("hat"), Value::text("x"), &[])]
#[case(Kind::Contact, Field::STATUS, Value::text("x"), &[])]
#[case(Kind::Contact, Field::PHONE, Value::text("+4915123456789"), &[Action::Update])]
#[case(Kind::Contact, Field::PHONE, Value::Blank, &[Action::Update])]
#[case(Kind::Contact, Field::PHONE, Value::text("015123456789"), &[])]
#[case(Kind::Contact, Field::PHONE, Value::text("+0"), &[])]
#[case(Kind::Task, Field::BUSINESS, Value::text("x"), &[])]
#[case(Kind::Task, Field::COMPLETED, Value::Flag(true), &[Action::Complete, Action::Update])]
#[case(Kind::Appointment, Field::STATUS, Value::text("cancelled"), &[Action::Cancel, Action::Update])]
#[case(Kind::Appointment, Field::STATUS, Value::text("showed"), &[Action::Update])]
#[case(Kind::Note, Field::TITLE, Value::text("x"), &[])]
fn each_field_has_its_calls(#[case] kind: Kind, #[case] field: Field, #[case] value: Value, #[case] calls: &[Action]) {
    let (ghl, _) = ghl([]);
    assert_eq!(ghl.carriers(kind, &field, &value, false), calls);
    let making: &[Action] = if calls.is_empty() { &[] } else { &[Action::Create] };
    assert_eq!(ghl.carriers(kind, &field, &value, true), making);
}

#[test]
fn a_business_has_a_call_of_its_own_also_when_the_contact_is_made() {
    let (ghl, _) = ghl([]);
    for making in [true, false] {
        let calls = ghl.carriers(Kind::Contact, &Field::BUSINESS, &Value::text("B1"), making);
        assert_eq!(calls, [Action::SetBusiness]);
    }
    let held = ghl.express(Kind::Contact, &Field::BUSINESS, &Value::text("B1"));
    assert_eq!(held, Expressed::Holds(Value::text("B1")));
}

#[tokio::test]
async fn an_appointment_that_we_write_tells_nobody_unless_that_is_wanted() {
    for notify in [false, true] {
        let (ghl, script) = Made { notify, ..Made::default() }.ghl([told(200, json!({ "id": "X" }))]);
        let update = step(Action::Update, Kind::Appointment, &[text(Field::STATUS, "cancelled")]);
        ghl.apply(&update).await.unwrap();
        assert_eq!(script.asked()[0].1["toNotify"], notify);
    }
}
