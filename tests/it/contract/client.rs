//! Our GHL client, judged by the vendor's documents (see `bench`): each kind through each method and each call of a plan,
//! and what comes back must mean what was sent.

use std::collections::BTreeSet;
use std::time::Duration;

use lockstep::clock::Millis;
use lockstep::model::{Action, ExternalId, Field, Fields, Kind, Shape, Terms, Value};
use lockstep::systems::ghl::Ghl;
use lockstep::systems::{SystemError, Target, Wanted};
use rstest::rstest;

use super::bench::{Bench, delivered, place, step};

fn at(text: &str) -> Value {
    Value::Instant(Millis::parse(text).unwrap())
}

/// Each field of a kind: its first value, its second, and whether it can be blank in GHL.
fn fields_of(kind: Kind) -> Vec<(Field, Value, Value, bool)> {
    let text = |field, first: &str, second: &str, clears| (field, Value::text(first), Value::text(second), clears);
    match kind {
        Kind::Contact => vec![
            text(Field::FIRST_NAME, "Ada", "Augusta", true),
            text(Field::LAST_NAME, "Lovelace", "King", true),
            text(Field::EMAIL, "ada@example.com", "augusta+king@example.com", true),
            text(Field::PHONE, "+4915123456789", "+819012345678", true),
            text(Field::ADDRESS, "1 St James's Square", "Ockham Park", true),
            text(Field::CITY, "London", "Köln", true),
            text(Field::STATE, "Greater London", "NRW", true),
            text(Field::POSTAL_CODE, "SW1Y 4JH", "50667", true),
            text(Field::COUNTRY, "GB", "JP", true),
            text(Field::BIRTHDAY, "1815-12-10", "1816-01-31", true),
            text(Field::custom("shoe"), "36", "37 \"wide\"", true),
            (Field::tag("vip"), Value::Flag(true), Value::Blank, true),
            (Field::tag("early bird"), Value::Flag(true), Value::Blank, true),
        ],
        Kind::Task => vec![
            text(Field::TITLE, "Call back", "Write", false),
            text(Field::BODY, "about the engine", "about the notes", true),
            (Field::DUE, at("2026-04-03T09:30:00Z"), at("2026-04-04T07:00:00Z"), true),
            (Field::COMPLETED, Value::Flag(false), Value::Flag(true), false),
        ],
        Kind::Note => vec![text(Field::BODY, "likes tea", "likes\ncoffee", false)],
        Kind::Appointment => vec![
            text(Field::CALENDAR, "first", "second", false),
            (Field::START, at("2026-04-03T09:00:00Z"), at("2026-04-03T09:10:00Z"), false),
            (Field::END, at("2026-04-03T09:30:00Z"), at("2026-04-03T10:00:00Z"), false),
            // GHL puts the calendar's name where a title is missing.
            text(Field::TITLE, "First talk", "Second talk", false),
            text(Field::STATUS, "confirmed", "showed", false),
        ],
    }
}

fn firsts(kind: Kind) -> Fields {
    fields_of(kind).into_iter().map(|(field, first, ..)| (field, first)).collect()
}

/// One object in GHL, driven by our client.
struct Driven {
    bench: Bench,
    ghl: Ghl,
    kind: Kind,
    parent: Option<ExternalId>,
    id: ExternalId,
    /// What it should hold.
    held: Fields,
}

impl Driven {
    /// Makes it, below a contact if need be.
    async fn made(kind: Kind) -> Self {
        let bench = Bench::new();
        let ghl = bench.ghl();
        let mut parent = None;
        if kind != Kind::Contact {
            let person = Fields::from([(Field::EMAIL, Value::text("parent@example.com"))]);
            parent = Some(ghl.apply(&step(Action::Create, Kind::Contact, None, None, person)).await.unwrap().id);
        }
        let held = firsts(kind);
        let answer = ghl.apply(&step(Action::Create, kind, None, parent.as_ref(), held.clone())).await.unwrap();
        let made = Self { bench, ghl, kind, parent, id: answer.id, held };
        let shown = answer.shown.unwrap();
        assert_eq!(shown.id, made.id);
        for (field, value) in shown.fields().unwrap() {
            assert_eq!(made.held.get(field), Some(value), "the answer to the create shows {field}");
        }
        made
    }

    /// Writes one field by each call that a plan could choose, and reads it back each time.
    async fn write(&mut self, field: &Field, value: &Value, before: &Value) {
        let actions = self.ghl.carriers(self.kind, field, value, false);
        assert!(!actions.is_empty(), "{field}");
        for action in actions {
            self.call(*action, field, value).await;
            let back = self.ghl.carriers(self.kind, field, before, false)[0];
            self.call(back, field, before).await;
        }
        self.call(actions[0], field, value).await;
    }

    async fn call(&mut self, action: Action, field: &Field, value: &Value) {
        self.bench.advance(1);
        let fields = Fields::from([(field.clone(), value.clone())]);
        let mut step = step(action, self.kind, Some(&self.id), self.parent.as_ref(), fields);
        step.whole.extend(self.held.clone().into_iter().filter(|(held, _)| held != field));
        let answer = self.ghl.apply(&step).await;
        let answer = answer.unwrap_or_else(|error| panic!("{action} {field} to {value:?}: {error}"));
        assert_eq!(answer.id, self.id);
        let held = |fields: &Fields| fields.get(field).cloned().unwrap_or_default();
        if let Some(shown) = answer.shown.as_ref().and_then(|shown| shown.fields()) {
            assert!(!shown.contains_key(field) || held(shown) == *value, "the answer shows {field} as {value:?}");
        }
        self.held.insert(field.clone(), value.clone());
        self.held.retain(|_, value| !value.is_blank());
        self.is_as_it_should_be().await;
    }

    async fn is_as_it_should_be(&self) {
        let reading = self.ghl.read(&place(self.kind, &self.id, self.parent.as_ref())).await.unwrap();
        assert_eq!(reading.observation.shape, Shape::Full(self.held.clone()));
        assert_eq!((&reading.observation.id, &reading.observation.parent), (&self.id, &self.parent));
    }

    /// The ids of what a look-up before a create would find.
    async fn found(&self) -> Vec<ExternalId> {
        let wanted = Wanted { kind: self.kind, parent: self.parent.clone(), fields: self.held.clone(), key: None };
        let found = self.ghl.find(&wanted).await.unwrap();
        found.into_iter().map(|reading| reading.observation.id).collect()
    }

    /// What a listing shows of it.
    async fn listed(&self, since: Option<Millis>) -> Vec<Option<Fields>> {
        let mut listed = Vec::new();
        let mut page = None;
        loop {
            let found = self.ghl.changed(self.kind, since, page.as_deref()).await.unwrap();
            listed.extend(found.observations.into_iter().filter(|one| one.id == self.id));
            page = found.next;
            if page.is_none() {
                return listed.into_iter().map(|one| one.fields().cloned()).collect();
            }
        }
    }
}

#[rstest]
#[case::contact(Kind::Contact)]
#[case::task(Kind::Task)]
#[case::note(Kind::Note)]
#[case::appointment(Kind::Appointment)]
#[tokio::test]
async fn each_field_is_written_cleared_and_read_back_by_each_call_that_can_carry_it(#[case] kind: Kind) {
    let mut driven = Driven::made(kind).await;
    driven.is_as_it_should_be().await;
    for (field, first, second, clears) in fields_of(kind) {
        driven.write(&field, &second, &first).await;
        if clears {
            driven.write(&field, &Value::Blank, &second).await;
            driven.write(&field, &second, &Value::Blank).await;
        }
    }
}

#[rstest]
#[case::contact(Kind::Contact)]
#[case::task(Kind::Task)]
#[case::note(Kind::Note)]
#[case::appointment(Kind::Appointment)]
#[tokio::test]
async fn what_was_made_is_found_listed_and_deleted(#[case] kind: Kind) {
    let driven = Driven::made(kind).await;
    assert_eq!(driven.found().await, std::slice::from_ref(&driven.id));
    let listed = vec![Some(driven.held.clone())];
    // The search by which notes are listed shows a new contact a moment later.
    driven.bench.advance(60);
    assert_eq!(driven.listed(None).await, listed);
    let lately = driven.bench.now() - Duration::from_mins(2);
    let expected = if kind == Kind::Note { vec![] } else { listed };
    assert_eq!(driven.listed(Some(lately)).await, expected, "notes are listed with everything only");
    driven.bench.advance(60);
    let has_time = matches!(kind, Kind::Contact | Kind::Appointment);
    assert_eq!(driven.listed(Some(driven.bench.now())).await.len(), usize::from(!has_time && kind != Kind::Note));

    let delete = step(Action::Delete, kind, Some(&driven.id), driven.parent.as_ref(), Fields::new());
    assert_eq!(driven.ghl.apply(&delete).await.unwrap().id, driven.id);
    let reading = driven.ghl.read(&place(kind, &driven.id, driven.parent.as_ref())).await.unwrap();
    assert_eq!(reading.observation.shape, Shape::Gone);
    assert_eq!((driven.found().await, driven.listed(None).await), (vec![], vec![]));
}

#[rstest]
#[case::contact(Kind::Contact, Field::CITY, Action::Update)]
#[case::tags(Kind::Contact, Field::tag("vip"), Action::AddTags)]
#[case::task(Kind::Task, Field::TITLE, Action::Update)]
#[case::completion(Kind::Task, Field::COMPLETED, Action::Complete)]
#[case::note(Kind::Note, Field::BODY, Action::Update)]
#[tokio::test]
async fn a_write_to_what_is_gone_says_so(#[case] kind: Kind, #[case] field: Field, #[case] action: Action) {
    let driven = Driven::made(kind).await;
    let (id, parent) = (Some(&driven.id), driven.parent.as_ref());
    driven.ghl.apply(&step(Action::Delete, kind, id, parent, Fields::new())).await.unwrap();
    let fields = Fields::from([(field.clone(), driven.held[&field].clone())]);
    for step in [step(action, kind, id, parent, fields), step(Action::Delete, kind, id, parent, Fields::new())] {
        let error = driven.ghl.apply(&step).await.unwrap_err();
        assert!(matches!(error, SystemError::Gone { .. }), "{step}: {error}");
    }
}

#[tokio::test]
async fn a_second_contact_with_the_same_address_or_number_is_the_first() {
    let driven = Driven::made(Kind::Contact).await;
    for field in [Field::EMAIL, Field::PHONE] {
        let fields = Fields::from([(field.clone(), driven.held[&field].clone())]);
        let error = driven.ghl.apply(&step(Action::Create, Kind::Contact, None, None, fields)).await.unwrap_err();
        assert!(matches!(&error, SystemError::Exists { existing, .. } if *existing == driven.id), "{error}");
    }
}

#[tokio::test]
async fn an_email_and_a_number_of_different_contacts_find_both() {
    let mut driven = Driven::made(Kind::Contact).await;
    let other = Fields::from([(Field::PHONE, Value::text("+818011112222"))]);
    let other = driven.ghl.apply(&step(Action::Create, Kind::Contact, None, None, other)).await.unwrap().id;
    driven.held.insert(Field::PHONE, Value::text("+818011112222"));
    let found: BTreeSet<ExternalId> = driven.found().await.into_iter().collect();
    assert_eq!(found, BTreeSet::from([driven.id.clone(), other]));
}

#[tokio::test]
async fn a_task_whose_contact_is_not_known_is_read_through_the_locations_search() {
    let driven = Driven::made(Kind::Task).await;
    let reading = driven.ghl.read(&place(Kind::Task, &driven.id, None)).await.unwrap();
    assert_eq!(reading.observation.parent, driven.parent);
    assert_eq!(reading.observation.fields(), Some(&driven.held));
}

#[tokio::test]
async fn a_task_without_a_due_date_stays_without_one() {
    let driven = Driven::made(Kind::Contact).await;
    let title = Fields::from([(Field::TITLE, Value::text("Some day"))]);
    let create = step(Action::Create, Kind::Task, None, Some(&driven.id), title.clone());
    let made = driven.ghl.apply(&create).await.unwrap();
    let reading = driven.ghl.read(&place(Kind::Task, &made.id, Some(&driven.id))).await.unwrap();
    let expected = [title, Fields::from([(Field::COMPLETED, Value::Flag(false))])].into_iter().flatten().collect();
    assert_eq!(reading.observation.shape, Shape::Full(expected));
}

#[tokio::test]
async fn an_appointments_start_moves_without_its_end() {
    let mut driven = Driven::made(Kind::Appointment).await;
    driven.call(Action::Update, &Field::START, &at("2026-04-03T09:10:00Z")).await;
    assert_eq!(driven.held[&Field::END], at("2026-04-03T09:30:00Z"));
}

#[rstest]
#[case::contacts(Kind::Contact, &[100, 20])]
#[case::tasks(Kind::Task, &[100, 20, 0])]
#[case::notes(Kind::Note, &[0, 120])]
#[tokio::test]
async fn a_listing_goes_on_after_its_first_page(#[case] kind: Kind, #[case] expected: &[usize]) {
    let driven = Driven::made(kind).await;
    for number in 0..119 {
        driven.bench.advance(1);
        let field = match kind {
            Kind::Contact => Field::EMAIL,
            Kind::Note => Field::BODY,
            _ => Field::TITLE,
        };
        let fields = Fields::from([(field, Value::text(format!("n{number}@example.com")))]);
        driven.ghl.apply(&step(Action::Create, kind, None, driven.parent.as_ref(), fields)).await.unwrap();
    }
    driven.bench.advance(10);
    let (mut pages, mut ids, mut next) = (Vec::new(), BTreeSet::new(), None);
    loop {
        let page = driven.ghl.changed(kind, None, next.as_deref()).await.unwrap();
        pages.push(page.observations.len());
        ids.extend(page.observations.into_iter().map(|one| one.id));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!((pages.as_slice(), ids.len()), (expected, 120));
}

#[rstest]
#[case::contact(Kind::Contact)]
#[case::task(Kind::Task)]
#[case::note(Kind::Note)]
#[case::appointment(Kind::Appointment)]
#[tokio::test]
async fn the_webhook_of_our_own_create_says_what_we_wrote(#[case] kind: Kind) {
    let driven = Driven::made(kind).await;
    let webhooks = driven.bench.webhooks();
    let said = driven.ghl.observe(&delivered(webhooks.last().unwrap())).unwrap();
    assert_eq!((said.len(), &said[0].id, &said[0].parent), (1, &driven.id, &driven.parent));
    let fields = said[0].fields().unwrap();
    assert!(!fields.is_empty());
    for (field, value) in fields {
        assert_eq!(driven.held.get(field), Some(value), "{field}");
    }
}

/// All that our client ever asks of GHL. A new call stands here, and one of the tests above makes it.
#[tokio::test]
async fn the_client_asks_for_these_operations() {
    let mut asked = BTreeSet::new();
    for kind in [Kind::Contact, Kind::Task, Kind::Note, Kind::Appointment] {
        let mut driven = Driven::made(kind).await;
        driven.found().await;
        driven.listed(None).await;
        for (field, first, second, _) in fields_of(kind) {
            driven.write(&field, &second, &first).await;
        }
        let delete = step(Action::Delete, kind, Some(&driven.id), driven.parent.as_ref(), Fields::new());
        driven.ghl.apply(&delete).await.unwrap();
        asked.append(&mut driven.bench.core.asked.lock().unwrap());
    }
    let expected = [
        "DELETE /calendars/events/{eventId}",
        "DELETE /contacts/{contactId}",
        "DELETE /contacts/{contactId}/tags",
        "DELETE /contacts/{contactId}/tasks/{taskId}",
        "DELETE /contacts/{contactId}/notes/{id}",
        "GET /calendars/events",
        "GET /calendars/events/appointments/{eventId}",
        "GET /contacts/search/duplicate",
        "GET /contacts/{contactId}",
        "GET /contacts/{contactId}/notes",
        "GET /contacts/{contactId}/notes/{id}",
        "GET /contacts/{contactId}/tasks",
        "GET /contacts/{contactId}/tasks/{taskId}",
        "POST /calendars/events/appointments",
        "POST /contacts/",
        "POST /contacts/search",
        "POST /contacts/{contactId}/notes",
        "POST /contacts/{contactId}/tags",
        "POST /contacts/{contactId}/tasks",
        "POST /locations/{locationId}/tasks/search",
        "PUT /calendars/events/appointments/{eventId}",
        "PUT /contacts/{contactId}",
        "PUT /contacts/{contactId}/notes/{id}",
        "PUT /contacts/{contactId}/tasks/{taskId}",
        "PUT /contacts/{contactId}/tasks/{taskId}/completed",
    ];
    assert_eq!(asked, expected.into_iter().map(str::to_owned).collect());
}
