//! The extension contract by its document: our client, the stand-in, its webhooks, and any other endpoint that a test names.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use lockstep::clock::{Clock, ManualClock, Millis};
use lockstep::credentials::standard_webhooks::StandardWebhooks;
use lockstep::ids::Ids;
use lockstep::model::{
    Action, Author, Class, ExternalId, Field, Fields, Kind, Observation, Shape, Stamp, Step, System, Terms, Value,
};
use lockstep::sandbox::extension::Extension;
use lockstep::sandbox::signing::{standard_webhooks, standard_webhooks_match};
use lockstep::sandbox::{Edit, SandboxSettings, Turn, Webhook, World};
use lockstep::secret::Secret;
use lockstep::systems::allowance::Unlimited;
use lockstep::systems::call::Caller;
use lockstep::systems::extension::ExtensionClient;
use lockstep::systems::offset::ClockOffset;
use lockstep::systems::{SystemError, Target, Transport, TransportError, Wanted};
use rstest::rstest;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::bench::{delivered, place, step};
use super::extension_document::{
    DOCUMENT, Judged, check_answer, check_request, check_webhook, follow, judge, operations,
};

/// TimeRex's stand-in, called without a socket.
struct Desk {
    world: Mutex<(Extension, fastrand::Rng)>,
    clock: Arc<ManualClock>,
    asked: Mutex<Vec<http::Request<Bytes>>>,
    webhooks: Mutex<Vec<Webhook>>,
}

#[async_trait]
impl Transport for Desk {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        self.asked.lock().unwrap().push(request.clone());
        self.clock.advance(Duration::from_millis(1));
        Ok(self.turn(|world, turn| world.answer(&request, turn)))
    }
}

impl Desk {
    fn turn<T>(&self, what: impl FnOnce(&mut Extension, &mut Turn<'_>) -> T) -> T {
        let (world, rng) = &mut *self.world.lock().unwrap();
        let mut turn = Turn { now: self.clock.now(), real: self.clock.now(), rng, webhooks: Vec::new() };
        let answer = what(world, &mut turn);
        self.webhooks.lock().unwrap().append(&mut turn.webhooks);
        answer
    }
}

struct Stand {
    desk: Arc<Judged<Desk>>,
    secret: String,
    account: String,
}

impl Stand {
    fn new() -> Self {
        let mut settings = SandboxSettings::example().timerex_extension;
        settings.echo_webhooks = true;
        let (secret, account) = (settings.accounts[0].secret.clone(), settings.accounts[0].account.clone());
        let clock = Arc::new(ManualClock::at(Millis::parse("2026-11-21T20:00:00Z").unwrap()));
        let world = Mutex::new((Extension::new(settings), fastrand::Rng::with_seed(5)));
        let desk = Desk { world, clock, asked: Mutex::default(), webhooks: Mutex::default() };
        Self { desk: Arc::new(Judged::new(desk)), secret, account }
    }

    fn caller(&self, secrets: &[&str]) -> Caller {
        caller(self.desk.clone(), self.desk.inner.clock.clone(), "http://extension.test", secrets)
    }

    fn edit(&self, action: &str, kind: &str, id: Option<&str>, parent: Option<&str>, fields: Json) -> String {
        let (action, kind, text) = (action.to_owned(), kind.to_owned(), |id: &str| id.to_owned());
        let edit =
            Edit { action, kind, account: self.account.clone(), id: id.map(text), parent: parent.map(text), fields };
        self.desk.inner.turn(|world, turn| world.edit(&edit, turn).unwrap())
    }

    fn webhooks(&self) -> Vec<Webhook> {
        std::mem::take(&mut *self.desk.inner.webhooks.lock().unwrap())
    }
}

/// A caller of an endpoint, as the service makes it.
pub fn caller(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>, url: &str, secrets: &[&str]) -> Caller {
    let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
    let signer = StandardWebhooks::new(&secrets, clock.clone(), Arc::new(Ids::seeded(4))).unwrap();
    let offset = Arc::new(ClockOffset::new(clock));
    Caller::new(System::Timerex, url, transport, Arc::new(signer), offset, Arc::new(Unlimited))
}

fn text(text: &str) -> Value {
    Value::text(text)
}

fn person() -> Fields {
    let texts = [
        (Field::FIRST_NAME, "Hanako"),
        (Field::LAST_NAME, "Yamada"),
        (Field::EMAIL, "hanako@example.com"),
        (Field::PHONE, "+819012345678"),
        (Field::ADDRESS, "Main Street 1"),
        (Field::CITY, "Tokyo"),
        (Field::STATE, "Tokyo"),
        (Field::POSTAL_CODE, "160-0023"),
        (Field::COUNTRY, "JP"),
        (Field::STATUS, "lead"),
        (Field::custom("shoe"), "42"),
    ];
    let mut fields: Fields = texts.into_iter().map(|(field, value)| (field, text(value))).collect();
    fields.insert(Field::tag("vip"), Value::Flag(true));
    fields
}

/// Does all that Lockstep does with an endpoint for TimeRex, and looks at what comes of it. The endpoint may hold others'
/// objects, but nobody with this e-mail.
pub async fn exercise(caller: &Caller) {
    let client = ExtensionClient::new(caller.clone(), None, Arc::new(Ids::seeded(6)));
    let contact = contacts(&client).await;
    tags(caller, &client, &contact).await;
    tasks(&client, &contact).await;
    notes(&client, &contact).await;
    assert_eq!(read(&client, Kind::Contact, &contact, None).await, Some(person()));
    client.apply(&step(Action::Delete, Kind::Contact, Some(&contact), None, Fields::new())).await.unwrap();
    assert_eq!(read(&client, Kind::Contact, &contact, None).await, None);
    assert_eq!(listed(&client, Kind::Contact, &contact).await, Some(Shape::Gone));
}

async fn read(client: &ExtensionClient, kind: Kind, id: &ExternalId, contact: Option<&ExternalId>) -> Option<Fields> {
    let seen = client.read(&place(kind, id, contact)).await.unwrap().observation;
    assert!(seen.version.is_some() || seen.shape == Shape::Gone, "no lastUpdated: {seen:?}");
    assert_eq!(seen.parent.as_ref(), contact, "{seen:?}");
    seen.fields().cloned()
}

/// What the pages since just now say of an object; page after page to the end.
async fn listed(client: &ExtensionClient, kind: Kind, id: &ExternalId) -> Option<Shape> {
    let (mut cursor, mut found) = (None, None);
    let since = Millis::parse("2026-01-01T00:00:00Z");
    loop {
        let page = client.changed(kind, since, cursor.as_deref()).await.unwrap();
        assert!(page.observations.iter().all(|one| one.class == Class::Claim));
        found = found.or(page.observations.into_iter().find(|one| one.id == *id).map(|one| one.shape));
        cursor = page.next;
        if cursor.is_none() {
            return found;
        }
    }
}

async fn contacts(client: &ExtensionClient) -> ExternalId {
    let key = Some(Uuid::from_u128(fastrand::u128(..)));
    let create = Step { key, ..step(Action::Create, Kind::Contact, None, None, person()) };
    let made = client.apply(&create).await.unwrap();
    assert_eq!(made.shown.unwrap().fields(), Some(&person()));
    assert_eq!(client.apply(&create).await.unwrap().id, made.id, "the same key makes nothing new");
    let mut other = create.clone();
    other.fields.insert(Field::CITY, text("Osaka"));
    let refused = client.apply(&other).await.unwrap_err();
    assert!(matches!(refused, SystemError::Refused { status: 422, .. }), "a key is good for one body: {refused}");
    let again = Step { key: Some(Uuid::from_u128(fastrand::u128(..))), ..create };
    let existing = client.apply(&again).await.unwrap_err();
    assert!(matches!(existing, SystemError::Exists { ref existing, .. } if *existing == made.id), "{existing}");
    let wanted = Wanted { kind: Kind::Contact, parent: None, fields: person(), key: None };
    let found = client.find(&wanted).await.unwrap().remove(0).observation;
    assert_eq!((found.id, found.shape), (made.id.clone(), Shape::Partial(person())));

    let update = |change: Fields| {
        let mut whole = person();
        whole.extend(change.clone());
        Step { whole, ..step(Action::Update, Kind::Contact, Some(&made.id), None, change) }
    };
    let away = Fields::from([(Field::PHONE, Value::Blank), (Field::CITY, Value::Blank)]);
    client.apply(&update(away.clone())).await.unwrap();
    let mut expected = person();
    expected.extend(away);
    assert_eq!(read(client, Kind::Contact, &made.id, None).await, Some(expected), "null clears, and stays as null");
    let back = [Field::PHONE, Field::CITY].map(|field| (field.clone(), person()[&field].clone()));
    client.apply(&update(back.into())).await.unwrap();
    made.id
}

async fn tags(caller: &Caller, client: &ExtensionClient, contact: &ExternalId) {
    let path = format!("/contacts/{contact}/tags");
    let tag = |action, value| step(action, Kind::Contact, Some(contact), None, [(Field::tag("new"), value)].into());
    let shown = client.apply(&tag(Action::AddTags, Value::Flag(true))).await.unwrap().shown.unwrap();
    assert_eq!(shown.fields().unwrap().len(), 2, "the whole list after the call: {shown:?}");
    assert_eq!(caller.call(Method::GET, &path, &[], None, false).await.unwrap().1["tags"].as_array().unwrap().len(), 2);
    let shown = client.apply(&tag(Action::RemoveTags, Value::Blank)).await.unwrap().shown.unwrap();
    assert_eq!(shown.fields().unwrap()[&Field::tag("vip")], Value::Flag(true), "{shown:?}");
    assert_eq!(caller.call(Method::GET, &path, &[], None, false).await.unwrap().1, json!({ "tags": ["vip"] }));
}

async fn tasks(client: &ExtensionClient, contact: &ExternalId) {
    let due = Value::Instant(Millis::parse("2026-11-24T09:00:00Z").unwrap());
    let open = Fields::from([
        (Field::TITLE, text("Send the offer")),
        (Field::BODY, text("With the new prices")),
        (Field::DUE, due),
        (Field::COMPLETED, Value::Flag(false)),
    ]);
    let act = |action, id: Option<&ExternalId>, fields| step(action, Kind::Task, id, Some(contact), fields);
    let id = client.apply(&act(Action::Create, None, open.clone())).await.unwrap().id;
    assert_eq!(read(client, Kind::Task, &id, Some(contact)).await, Some(open.clone()));
    for done in [true, false, true] {
        let completed = Fields::from([(Field::COMPLETED, Value::Flag(done))]);
        client.apply(&act(Action::Complete, Some(&id), completed.clone())).await.unwrap();
        assert_eq!(read(client, Kind::Task, &id, Some(contact)).await.unwrap()[&Field::COMPLETED], Value::Flag(done));
    }
    let change = Fields::from([(Field::DUE, Value::Blank), (Field::COMPLETED, Value::Flag(false))]);
    let shown = client.apply(&act(Action::Update, Some(&id), change.clone())).await.unwrap().shown.unwrap();
    let mut expected = open;
    expected.extend(change);
    assert_eq!(shown.fields(), Some(&expected), "the rest is unchanged");
    let elsewhere = place(Kind::Task, &id, Some(&ExternalId::new("another")));
    assert_eq!(client.read(&elsewhere).await.unwrap().observation.shape, Shape::Gone, "it belongs to its contact");
    delete(client, Kind::Task, &id, contact).await;
}

async fn notes(client: &ExtensionClient, contact: &ExternalId) {
    let content = |content: &str| Fields::from([(Field::BODY, text(content))]);
    let at = |action, id: Option<&ExternalId>, t: &str, said: &str| {
        let stamp = Stamp::new(Millis::parse(t).unwrap(), Author::Ghl);
        Step { stamps: [(Field::BODY, stamp)].into(), ..step(action, Kind::Note, id, Some(contact), content(said)) }
    };
    let create = at(Action::Create, None, "2026-11-20T08:00:00Z", "Prefers mornings");
    let id = client.apply(&create).await.unwrap().id;
    let update = at(Action::Update, Some(&id), "2026-11-21T08:00:00Z", "Prefers evenings");
    client.apply(&update).await.unwrap();
    assert_eq!(read(client, Kind::Note, &id, Some(contact)).await, Some(content("Prefers evenings")));
    delete(client, Kind::Note, &id, contact).await;
}

async fn delete(client: &ExtensionClient, kind: Kind, id: &ExternalId, contact: &ExternalId) {
    assert!(matches!(listed(client, kind, id).await, Some(Shape::Partial(_))));
    client.apply(&step(Action::Delete, kind, Some(id), Some(contact), Fields::new())).await.unwrap();
    assert_eq!(read(client, kind, id, Some(contact)).await, None);
    assert_eq!(listed(client, kind, id).await, Some(Shape::Gone), "a tombstone");
}

#[tokio::test]
async fn our_client_and_the_stand_in_keep_to_the_document_in_every_operation() {
    let stand = Stand::new();
    exercise(&stand.caller(&[&stand.secret])).await;
    assert_eq!(*stand.desk.succeeded.lock().unwrap(), operations());
    let webhooks = stand.webhooks();
    let labels: Vec<&str> = webhooks.iter().map(|webhook| webhook.body["type"].as_str().unwrap()).collect();
    for kind in ["contact", "task", "note"] {
        for verb in ["created", "updated", "deleted"] {
            assert!(labels.contains(&format!("{kind}.{verb}").as_str()), "{kind}.{verb} in {labels:?}");
        }
    }
    assert!(labels.contains(&"task.completed"));
    for webhook in webhooks {
        assert_eq!(check_webhook(&webhook.body), [""; 0], "{}", webhook.body);
    }
}

#[tokio::test]
async fn what_people_edit_at_the_stand_in_is_told_as_documented_and_understood() {
    let stand = Stand::new();
    let client = ExtensionClient::new(stand.caller(&[&stand.secret]), None, Arc::new(Ids::seeded(1)));
    let contact = stand.edit("create", "contact", None, None, json!({ "firstName": "Ada", "tags": ["vip"] }));
    let task = stand.edit("create", "task", None, Some(&contact), json!({ "title": "Call", "dueDate": null }));
    let note = stand.edit("create", "note", None, Some(&contact), json!({ "content": "Hi" }));
    stand.edit("complete", "task", Some(&task), None, json!({}));
    stand.edit("update", "contact", Some(&contact), None, json!({ "removeTags": ["vip"] }));
    stand.edit("update", "note", Some(&note), None, json!({ "content": "Hello" }));
    for (kind, id) in [("note", &note), ("task", &task), ("contact", &contact)] {
        stand.edit("delete", kind, Some(id), None, json!({}));
    }
    let webhooks = stand.webhooks();
    assert_eq!(webhooks.len(), 9);
    for webhook in webhooks {
        assert_eq!(check_webhook(&webhook.body), [""; 0], "{}", webhook.body);
        let [seen]: [Observation; 1] = client.observe(&delivered(&webhook)).unwrap().try_into().unwrap();
        let deleted = webhook.body["type"].as_str().unwrap().ends_with(".deleted");
        assert_eq!(seen.shape == Shape::Gone, deleted, "{}", webhook.body);
        assert!(deleted || matches!(seen.class, Class::Versioned(_)), "{}", webhook.body);
    }
}

#[tokio::test]
async fn requests_without_a_body_sign_an_empty_one_and_each_has_an_id_of_its_own() {
    let stand = Stand::new();
    exercise(&stand.caller(&[&stand.secret])).await;
    let asked = stand.desk.inner.asked.lock().unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for request in &*asked {
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert!(ids.insert(header("webhook-id")), "twice: {}", header("webhook-id"));
        let (id, time, signed) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
        let bare = request.method() == Method::GET
            || (request.method() == Method::DELETE && !request.uri().path().ends_with("/tags"));
        let body: &[u8] = if bare { b"" } else { request.body() };
        assert!(
            standard_webhooks_match(&stand.secret, id, time, body, signed),
            "{} {}",
            request.method(),
            request.uri()
        );
        assert_eq!(request.headers().contains_key("idempotency-key"), request.method() != Method::GET);
    }
}

#[tokio::test]
async fn a_secret_can_be_changed_at_either_end_first_and_a_wrong_one_opens_nothing() {
    const OTHER: &str = "whsec_bm90IHRoZSBzZWNyZXQgb2YgdGhlIGVuZHBvaW50";
    let stand = Stand::new();
    let path = "/contacts";
    for secrets in [&[&*stand.secret][..], &[OTHER, &stand.secret], &[&stand.secret, OTHER]] {
        assert_eq!(stand.caller(secrets).call(Method::GET, path, &[], None, false).await.unwrap().0, 200);
    }
    let refused = stand.caller(&[OTHER]).call(Method::GET, path, &[], None, false).await.unwrap_err();
    assert!(matches!(refused, SystemError::Unauthorized { status: 401, .. }), "{refused}");
}

#[test]
fn the_examples_of_the_document_keep_to_its_schemas() {
    let mut faults = Vec::new();
    let mut judged = 0;
    let components = &DOCUMENT["components"];
    for (name, example) in components["examples"].as_object().unwrap() {
        judge(&components["schemas"][name], &example["value"], name, &mut faults);
        judged += 1;
    }
    for (name, response) in components["responses"].as_object().unwrap() {
        for form in response["content"].as_object().into_iter().flatten().map(|(_, form)| form) {
            let Some(example) = form.get("example") else { continue };
            judge(&form["schema"], example, name, &mut faults);
            judged += 1;
        }
    }
    for parameter in components["parameters"].as_object().unwrap().values() {
        if let Some(example) = parameter.get("example") {
            judge(&parameter["schema"], example, parameter["name"].as_str().unwrap(), &mut faults);
            judged += 1;
        }
    }
    assert!(judged > 20);
    assert_eq!(faults, [""; 0]);
}

#[test]
fn lockstep_understands_each_webhook_that_the_document_shows() {
    let stand = Stand::new();
    let client = ExtensionClient::new(stand.caller(&[&stand.secret]), None, Arc::new(Ids::seeded(1)));
    let mut shown = 0;
    for says in DOCUMENT["webhooks"].as_object().unwrap().values() {
        let form = &says["post"]["requestBody"]["content"]["application/json"];
        for example in form["examples"].as_object().unwrap().values() {
            let body = follow(example)["value"].clone();
            assert_eq!(check_webhook(&body), [""; 0], "{body}");
            let (system, account, id) = (System::Timerex, String::new(), "msg_1".to_owned());
            let webhook = Webhook { system, extension: true, account, id, body, push_to: None };
            assert_eq!(client.observe(&delivered(&webhook)).unwrap().len(), 1);
            shown += 1;
        }
    }
    assert_eq!(shown, 7);
}

#[rstest]
#[case::unknown_path("PATCH", "/contacts", json!(null), "no operation PATCH /contacts")]
#[case::unknown_key("POST", "/contacts/c/tasks", json!({ "titel": "x" }), "body.titel is not documented")]
#[case::wrong_type("POST", "/contacts/c/tasks", json!({ "title": 7 }), "body.title is not of type [\"string\", \"null\"]")]
#[case::no_instant("POST", "/contacts/c/notes", json!({ "timestamp": "today" }), "body.timestamp is no instant in UTC")]
#[case::nothing_said("PUT", "/contacts/c", json!({}), "body has too few keys")]
#[case::no_body("PUT", "/contacts/c", json!(null), "the body is not JSON")]
#[case::a_body_too_many("DELETE", "/contacts/c", json!({ "id": "c" }), "a body where none is documented")]
#[case::unknown_query("GET", "/contacts?since=1", json!(null), "query since is not documented")]
#[case::too_many("GET", "/contacts?limit=1000", json!(null), "limit is too large")]
#[case::nested("DELETE", "/contacts/c/tags", json!({ "tags": ["a", 1] }), "body.tags[1] is not of type [\"string\"]")]
fn the_judge_finds_what_is_wrong(#[case] method: &str, #[case] path: &str, #[case] body: Json, #[case] fault: &str) {
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let headers = standard_webhooks("whsec_AAAA", "msg_1", Millis(0), &body);
    let request = headers.iter().fold(http::Request::builder(), |request, (name, value)| request.header(name, value));
    let request = request.method(method).uri(path).header("content-type", "application/json");
    let request = request.header("idempotency-key", Uuid::nil().to_string()).body(body).unwrap();
    assert_eq!(check_request(&request).1, [fault]);
}

#[test]
fn the_judge_finds_what_is_wrong_with_headers_answers_and_webhooks() {
    let bare = http::Request::delete("/contacts/c").body(Bytes::new()).unwrap();
    let missing =
        ["webhook-id is missing", "webhook-timestamp is missing", "idempotency-key is missing", "no signature"];
    assert_eq!(check_request(&bare).1, missing);
    let answer = |status: u16, form: &str, body: Json| {
        let answer = http::Response::builder().status(status).header("content-type", form);
        check_answer("GET", "/contacts/c", &answer.body(body.to_string().into()).unwrap())
    };
    assert_eq!(answer(200, "application/json", json!({ "id": "c" })), ["body.lastUpdated is missing"]);
    assert_eq!(answer(302, "text/html", json!({})), ["status 302 Found is not documented"]);
    let wrong = ["content type `application/json` in place of application/problem+json"];
    assert_eq!(answer(404, "application/json", json!({ "title": "gone" })), wrong);
    let webhook = |label: &str, data: Json| {
        check_webhook(&json!({ "type": label, "timestamp": "2026-11-21T20:00:00.000Z", "data": data }))
    };
    assert_eq!(webhook("booking.created", json!({})), ["no webhook of a `booking`"]);
    assert_eq!(webhook("note.deleted", json!({ "id": "n1" })), [""; 0]);
    let missing = ["body.data.contactId is missing", "body.data.lastUpdated is missing"];
    assert_eq!(
        webhook("note.updated", json!({ "id": "n1", "timestamp": null, "content": "x", "taskId": "t1" })),
        missing
    );
}
