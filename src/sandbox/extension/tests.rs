use super::*;
use crate::sandbox::SandboxSettings;

const START: Millis = Millis(1_774_464_391_262);

struct Bench {
    world: Extension,
    rng: fastrand::Rng,
    now: Millis,
    webhooks: Vec<Webhook>,
}

impl Bench {
    fn timerex() -> Self {
        Self::new(SandboxSettings::with_workspaces(2).timerex_extension)
    }

    fn timify() -> Self {
        Self::new(SandboxSettings::example().timify_extension)
    }

    fn new(settings: ExtensionSettings) -> Self {
        Self { world: Extension::new(settings), rng: fastrand::Rng::with_seed(1), now: START, webhooks: Vec::new() }
    }

    fn sent(&mut self, request: http::request::Builder, body: &str, signed_at: Millis) -> (u16, Value) {
        let secret = self.world.settings.accounts[0].secret.clone();
        let headers = signing::standard_webhooks(&secret, "msg_1", signed_at, body.as_bytes());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        self.raw(request.body(body.to_owned().into()).unwrap())
    }

    fn raw(&mut self, request: Request) -> (u16, Value) {
        let mut turn = Turn { now: self.now, real: self.now, rng: &mut self.rng, webhooks: Vec::new() };
        let response = self.world.answer(&request, &mut turn);
        self.webhooks.append(&mut turn.webhooks);
        (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap_or_default())
    }

    fn call(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.now = self.now + std::time::Duration::from_millis(1);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.sent(http::Request::builder().method(method).uri(path), &body, self.now)
    }

    fn keyed(&mut self, key: &str, path: &str, body: Value) -> (u16, Value) {
        let request = http::Request::post(path).header("idempotency-key", key);
        self.sent(request, &body.to_string(), self.now)
    }

    fn edit(&mut self, action: &str, kind: &str, id: Option<&str>, parent: Option<&str>, fields: Value) -> String {
        let account = self.world.settings.accounts[0].account.clone();
        let (action, kind, text) = (action.to_owned(), kind.to_owned(), |id: &str| id.to_owned());
        let edit = Edit { action, kind, account, id: id.map(text), parent: parent.map(text), fields };
        let mut turn = Turn { now: self.now, real: self.now, rng: &mut self.rng, webhooks: Vec::new() };
        let id = self.world.edit(&edit, &mut turn).unwrap();
        self.webhooks.append(&mut turn.webhooks);
        id
    }

    fn told(&self) -> Vec<&str> {
        self.webhooks.iter().map(|webhook| webhook.body["type"].as_str().unwrap()).collect()
    }
}

#[test]
fn an_unsigned_an_old_and_a_foreign_request_are_refused() {
    let mut bench = Bench::timerex();
    assert_eq!(bench.raw(http::Request::get("/contacts").body(Bytes::new()).unwrap()).0, 401);
    let late = Millis(START.0 - 301_000);
    assert_eq!(bench.sent(http::Request::get("/contacts"), "", late).0, 401);
    assert_eq!(bench.sent(http::Request::get("/contacts"), "", Millis(START.0 - 299_000)).0, 200);
    let headers = signing::standard_webhooks("whsec_bm90IHRoZSBzZWNyZXQ=", "msg_1", START, b"");
    let request = http::Request::get("/contacts");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    assert_eq!(bench.raw(request.body(Bytes::new()).unwrap()).0, 401);
}

#[test]
fn a_key_used_again_gives_the_first_answer_and_makes_nothing() {
    let mut bench = Bench::timerex();
    let first = bench.keyed("k1", "/contacts", json!({ "email": "a@example.test" }));
    assert_eq!(first.0, 201);
    assert_eq!(bench.keyed("k1", "/contacts", json!({ "email": "a@example.test" })), first);
    assert_eq!(bench.keyed("k1", "/contacts", json!({ "email": "b@example.test" })).0, 422);
    assert_eq!(bench.call("GET", "/contacts", Value::Null).1["items"].as_array().unwrap().len(), 1);
    assert_eq!(bench.told(), ["contact.created"]);
    let refused = bench.keyed("k2", "/contacts", json!({ "email": "a@example.test" }));
    assert_eq!((refused.0, bench.keyed("k2", "/contacts", json!({ "email": "a@example.test" }))), (409, refused));
}

#[test]
fn a_second_contact_with_the_same_email_is_a_conflict_that_names_the_first() {
    let mut bench = Bench::timerex();
    let (_, first) = bench.call("POST", "/contacts", json!({ "email": "a@example.test" }));
    let (status, problem) = bench.call("POST", "/contacts", json!({ "email": "A@Example.test" }));
    assert_eq!((status, &problem["id"]), (409, &first["id"]));
    let path = format!("/contacts/{}", first["id"].as_str().unwrap());
    assert_eq!(bench.call("DELETE", &path, Value::Null).0, 204);
    assert_eq!(bench.call("POST", "/contacts", json!({ "email": "a@example.test" })).0, 201);
}

#[test]
fn put_merges_and_null_clears() {
    let mut bench = Bench::timerex();
    let body =
        json!({ "firstName": "Hanako", "phone": "+81312345678", "address": { "city": "Tokyo", "country": "JP" } });
    let (_, made) = bench.call("POST", "/contacts", body);
    let path = format!("/contacts/{}", made["id"].as_str().unwrap());
    let change = json!({ "phone": null, "address": { "city": "Osaka" }, "lastUpdated": "ignored" });
    let (_, read) = bench.call("PUT", &path, change);
    assert_eq!((&read["firstName"], &read["phone"]), (&json!("Hanako"), &Value::Null));
    assert_eq!(read["address"], json!({ "city": "Osaka", "country": "JP" }));
    assert_eq!(read["lastUpdated"], bench.now.rfc3339());
    assert_eq!(bench.call("GET", &path, Value::Null).1, read);
}

#[test]
fn tasks_and_notes_belong_to_their_contact_and_go_with_it() {
    let mut bench = Bench::timerex();
    assert_eq!(bench.call("POST", "/contacts/unknown/tasks", json!({ "title": "Call" })).0, 404);
    let (_, contact) = bench.call("POST", "/contacts", json!({ "name": "Hanako" }));
    let path = format!("/contacts/{}", contact["id"].as_str().unwrap());
    let (_, task) = bench.call("POST", &format!("{path}/tasks"), json!({ "title": "Call" }));
    let task_path = format!("{path}/tasks/{}", task["id"].as_str().unwrap());
    let (_, done) = bench.call("PUT", &format!("{task_path}/completed"), json!({ "completed": true }));
    assert_eq!((&task["status"], &done["status"]), (&json!("open"), &json!("completed")));
    assert_eq!((&done["completed"], &done["contactId"]), (&json!(true), &contact["id"]));
    assert_eq!(
        bench.call("GET", &format!("/contacts/other/tasks/{}", task["id"].as_str().unwrap()), Value::Null).0,
        404
    );
    bench.call("DELETE", &path, Value::Null);
    assert_eq!(bench.call("GET", &task_path, Value::Null).0, 404);
    assert_eq!(bench.told(), ["contact.created", "task.created", "task.completed", "contact.deleted"]);
}

#[test]
fn lists_page_by_cursor_and_show_what_was_deleted() {
    let mut bench = Bench::timerex();
    let ids: Vec<_> = (0..3).map(|_| bench.call("POST", "/contacts", json!({})).1["id"].clone()).collect();
    let before = bench.now;
    bench.call("DELETE", &format!("/contacts/{}", ids[0].as_str().unwrap()), Value::Null);
    let (_, first) = bench.call("GET", "/contacts?limit=2", Value::Null);
    let cursor = first["nextCursor"].as_str().unwrap();
    let (_, last) = bench.call("GET", &format!("/contacts?limit=2&cursor={cursor}"), Value::Null);
    let of = |page: &Value| page["items"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    assert_eq!([of(&first), of(&last)].concat(), [&ids[1], &ids[2], &ids[0]].map(Clone::clone));
    assert_eq!((&last["items"][0]["deleted"], &last["nextCursor"]), (&json!(true), &Value::Null));
    let since = (before + std::time::Duration::from_millis(1)).rfc3339();
    let (_, fresh) = bench.call("GET", &format!("/contacts?updatedSince={since}"), Value::Null);
    assert_eq!(of(&fresh), [ids[0].clone()]);
}

#[test]
fn beside_timify_any_contact_id_is_the_vendors() {
    let mut bench = Bench::timify();
    assert_eq!(bench.call("POST", "/contacts", json!({})).0, 404);
    assert_eq!(bench.call("GET", "/contacts/abc/tags", Value::Null).1, json!({ "tags": [] }));
    assert_eq!(
        bench.call("POST", "/contacts/abc/tags", json!({ "tags": ["vip", "new"] })).1["tags"],
        json!(["new", "vip"])
    );
    assert_eq!(bench.call("DELETE", "/contacts/abc/tags", json!({ "tags": ["new"] })).1, json!({ "tags": ["vip"] }));
    assert_eq!(bench.call("DELETE", "/contacts/abc/tags", json!({ "tags": ["VIP"] })).1, json!({ "tags": [] }));
    assert_eq!(bench.call("POST", "/contacts/abc/notes", json!({ "content": "hello" })).0, 201);
    assert_eq!(bench.told(), ["contact.updated", "contact.updated", "contact.updated", "note.created"]);
    assert_eq!(bench.webhooks[1].body["data"]["id"], "abc");
}

#[test]
fn people_edit_and_every_edit_is_told() {
    let mut bench = Bench::timerex();
    let contact = bench.edit("create", "contact", None, None, json!({ "name": "Hanako", "tags": ["vip"] }));
    let task = bench.edit("create", "task", None, Some(&contact), json!({ "title": "Call" }));
    bench.edit("complete", "task", Some(&task), None, json!({}));
    bench.edit("update", "contact", Some(&contact), None, json!({ "addTags": ["new"], "removeTags": ["vip"] }));
    bench.edit("update", "contact", Some(&contact), None, json!({ "tags": ["only"] }));
    bench.edit("delete", "task", Some(&task), Some(&contact), json!({}));
    let told =
        ["contact.created", "task.created", "task.completed", "contact.updated", "contact.updated", "task.deleted"];
    assert_eq!(bench.told(), told);
    assert_eq!(bench.webhooks[3].body["data"]["tags"], json!(["new"]));
    assert_eq!(bench.webhooks[4].body["data"]["tags"], json!(["only"]));
    assert_eq!(bench.webhooks[5].body["data"]["contactId"], json!(contact));
    assert!(bench.webhooks.iter().all(|webhook| webhook.extension && webhook.id.starts_with("msg_")));
}

#[test]
fn one_accounts_secret_opens_only_its_own_objects() {
    let mut bench = Bench::timerex();
    bench.call("POST", "/contacts", json!({ "name": "Hanako" }));
    bench.world.settings.accounts.reverse();
    assert_eq!(bench.call("GET", "/contacts", Value::Null).1["items"], json!([]));
}
