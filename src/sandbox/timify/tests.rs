use http::StatusCode;

use super::*;
use crate::sandbox::SandboxSettings;

const START: Millis = Millis(1_774_464_391_262);

struct Bench {
    world: Timify,
    rng: fastrand::Rng,
    now: Millis,
    token: String,
    company: String,
    webhooks: Vec<Webhook>,
}

impl Bench {
    fn new() -> Self {
        Self::with(SandboxSettings::with_workspaces(2).timify)
    }

    fn with(settings: TimifySettings) -> Self {
        let company = settings.companies[0].id.clone();
        let (world, rng) = (Timify::new(settings), fastrand::Rng::with_seed(1));
        let mut bench = Self { world, rng, now: START, token: String::new(), company, webhooks: Vec::new() };
        let app = json!({ "appid": "0123456789abcdef01234567", "appsecret": "00000000-0000-4000-8000-0000000000aa" });
        let (_, body) = bench.call("POST", "/v1/auth/token", &app);
        bench.token = body["accessToken"].as_str().unwrap().to_owned();
        bench
    }

    fn send(&mut self, request: &Request) -> (StatusCode, Value) {
        let mut turn = Turn { now: self.now, rng: &mut self.rng, webhooks: Vec::new() };
        let response = self.world.answer(request, &mut turn);
        self.webhooks.append(&mut turn.webhooks);
        (response.status(), serde_json::from_slice(response.body()).unwrap_or_default())
    }

    fn call(&mut self, method: &str, path: &str, body: &Value) -> (StatusCode, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = http::Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let request = request.header("company-id", &self.company);
        self.send(&request.body(body.into()).unwrap())
    }

    fn edit(&mut self, action: &str, kind: &str, id: Option<&str>, fields: Value) -> Result<String, EditRefused> {
        let (action, kind, account) = (action.to_owned(), kind.to_owned(), self.company.clone());
        let edit = Edit { action, kind, account, id: id.map(str::to_owned), parent: None, fields };
        let mut turn = Turn { now: self.now, rng: &mut self.rng, webhooks: Vec::new() };
        let done = self.world.edit(&edit, &mut turn);
        self.webhooks.append(&mut turn.webhooks);
        done
    }

    fn field(&mut self, key: &str) -> String {
        let (_, body) = self.call("GET", "/v1/customers/customfields", &Value::Null);
        let fields = body["data"].as_array().unwrap().clone();
        fields.iter().find(|field| field["defaultId"] == key).unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn resource(&self) -> String {
        self.world.companies[&self.company].known.resources[0].id.clone()
    }
}

fn booking(bench: &Bench, datetime: &str) -> Value {
    json!({ "resource_ids": [bench.resource()], "datetime": datetime, "duration": 30, "title": "Consultation" })
}

#[test]
fn the_token_is_taken_raw_and_as_bearer_until_it_ends_and_a_refresh_replaces_it() {
    let mut bench = Bench::new();
    let raw = http::Request::get("/v1/customers").header("authorization", bench.token.clone());
    let raw = raw.header("company-id", bench.company.clone()).body(bytes::Bytes::new()).unwrap();
    assert_eq!(bench.send(&raw).0, 200);
    let query = "/v1/auth/token?appid=0123456789abcdef01234567&appsecret=00000000-0000-4000-8000-0000000000aa";
    let (_, answer) = bench.call("GET", query, &Value::Null);
    assert_eq!(answer["expires"], 3600);
    let (_, fresh) = bench.call("POST", "/v1/auth/refresh-token", &json!({ "refreshToken": answer["refreshToken"] }));
    assert!(fresh["accessToken"].is_string());
    let again = bench.call("POST", "/v1/auth/refresh-token", &json!({ "refreshToken": answer["refreshToken"] }));
    assert_eq!(again.0, 401);
    assert_eq!(bench.call("POST", "/v1/auth/token", &json!({ "appid": "x", "appsecret": "y" })).0, 401);
    bench.now = bench.now + Duration::from_secs(3601);
    assert_eq!(bench.send(&raw).0, 401);
}

#[test]
fn the_company_must_be_named_and_have_the_app() {
    let mut bench = Bench::new();
    let bare = http::Request::get("/v1/customers").header("authorization", bench.token.clone());
    assert_eq!(bench.send(&bare.body(bytes::Bytes::new()).unwrap()).0, 400);
    bench.company = "65a0ffffffffffffffffffff".to_owned();
    assert_eq!(bench.call("GET", "/v1/customers", &Value::Null).0, 403);
}

#[test]
fn a_customer_consists_of_custom_fields_and_is_found_by_its_external_id() {
    let mut bench = Bench::new();
    let (first, phone) = (bench.field("firstName"), bench.field("mobilePhone"));
    let number = "{\"phone\":\"+491510000000\",\"country\":\"DE\",\"prefix\":\"49\",\"number\":\"01510000000\"}";
    let fields = json!([{ "id": first, "value": "Hanako" }, { "id": phone, "value": number }]);
    let (_, made) = bench.call("POST", "/v1/customers", &json!({ "externalId": "crm-42", "customfields": fields }));
    let (_, read) = bench.call("GET", "/v1/customers/crm-42?external=1", &Value::Null);
    assert_eq!(made, read);
    let values: Vec<_> = read["data"]["fields"].as_array().unwrap().iter().map(|field| &field["value"]).collect();
    assert_eq!(values, ["Hanako", number]);
    assert!(read["data"].get("firstName").is_none());
    let clear = json!({ "customfields": [{ "id": phone, "value": null }] });
    let (_, cleared) = bench.call("PATCH", "/v1/customers/crm-42?external=1", &clear);
    assert_eq!(cleared["data"]["fields"][1]["value"], "");
    assert_eq!(bench.call("DELETE", "/v1/customers/crm-42?external=1", &Value::Null).0, 200);
    assert_eq!(bench.call("GET", "/v1/customers/crm-42?external=1", &Value::Null).0, 404);
    let told: Vec<_> = bench.webhooks.iter().map(|webhook| webhook.body["event"].as_str().unwrap()).collect();
    assert_eq!(told, ["customer_created", "customer_updated", "customer_deleted"]);
    assert_eq!(bench.webhooks[0].body["companyId"], bench.company.as_str());
}

#[test]
fn a_field_of_another_company_and_a_bare_phone_are_refused() {
    let mut bench = Bench::new();
    let (first, phone) = (bench.field("firstName"), bench.field("mobilePhone"));
    let foreign = bench.world.settings.companies[1].fields[0].id.clone();
    assert_ne!(first, foreign);
    for (id, value) in [(&foreign, "Hanako"), (&phone, "+491510000000")] {
        let body = json!({ "customfields": [{ "id": id, "value": value }] });
        assert_eq!(bench.call("POST", "/v1/customers", &body).0, 422, "{value}");
    }
    assert!(bench.webhooks.is_empty());
}

#[test]
fn customers_are_paged_and_no_limit_means_ten_thousand() {
    let mut bench = Bench::new();
    for _ in 0..5 {
        bench.call("POST", "/v1/customers", &json!({}));
    }
    let (_, page) = bench.call("GET", "/v1/customers?page=3&limit=2", &Value::Null);
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    assert_eq!((&page["total"], &page["meta"]["totalPages"]), (&json!(5), &json!(3)));
    let (_, all) = bench.call("GET", "/v1/customers", &Value::Null);
    assert_eq!(all["meta"]["limit"], 10_000);
}

#[test]
fn appointments_stand_on_five_minutes_and_on_a_resource() {
    let mut bench = Bench::new();
    let off_grid = booking(&bench, "2026-04-04 07:03");
    assert_eq!(bench.call("POST", "/v1/appointments", &off_grid).0, 422);
    let mut nowhere = booking(&bench, "2026-04-04 07:05");
    nowhere.as_object_mut().unwrap().remove("resource_ids");
    assert_eq!(bench.call("POST", "/v1/appointments", &nowhere).0, 422);
    let fine = booking(&bench, "2026-04-04 07:05");
    let (status, made) = bench.call("POST", "/v1/appointments", &fine);
    assert_eq!(status, 200);
    let id = made["data"]["id"].as_str().unwrap().to_owned();
    let odd = json!({ "datetime": "2026-04-04 07:01" });
    assert_eq!(bench.call("PATCH", &format!("/v1/appointments/{id}"), &odd).0, 422);
}

#[test]
fn an_appointment_has_exactly_the_keys_of_a_real_response() {
    let mut bench = Bench::new();
    let customer = bench.edit("create", "contact", None, json!({ "firstName": "Hanako" })).unwrap();
    let mut wish = booking(&bench, "2026-04-04 07:05");
    wish["customer_id"] = json!(customer);
    let (_, made) = bench.call("POST", "/v1/appointments", &wish);
    let real: Value = serde_json::from_str(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/timify/appointment_get_response.json"
    )))
    .unwrap();
    let keys = |record: &Value| record.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(keys(&made["data"]), keys(&real["data"]));
    assert_eq!(keys(&made["data"]["bookings"][0]), keys(&real["data"]["bookings"][0]));
    for key in ["date", "startDate", "bookings/0/interval"] {
        let at = format!("/data/{key}");
        assert_eq!(made.pointer(&at), real.pointer(&at), "{key}");
    }
    assert_eq!(made["data"]["timestamp"], START.0.to_string());
    assert_eq!(made["data"]["customers"], json!([{ "id": customer, "externalId": null }]));
}

#[test]
fn mailing_customers_is_written_down_unless_the_call_forbids_it() {
    let mut bench = Bench::new();
    let mut quiet = booking(&bench, "2026-04-04 07:05");
    let (_, made) = bench.call("POST", "/v1/appointments", &quiet);
    let loud = made["data"]["id"].clone();
    quiet["has_notify_customers"] = json!(false);
    let (_, made) = bench.call("POST", "/v1/appointments", &quiet);
    let path = format!("/v1/appointments/{}?has_notify_customers=false", made["data"]["id"].as_str().unwrap());
    bench.call("DELETE", &path, &Value::Null);
    let state = bench.world.state();
    let notified = &state[bench.company.as_str()]["notified"];
    assert_eq!(notified, &json!([{ "id": loud, "call": "create", "reason": "default", "customers": 0 }]));
    let asked = json!({ "ids": [loud], "has_notify_customers": true });
    bench.call("POST", "/v1/appointments/delete/bulk", &asked);
    assert_eq!(bench.world.state()[bench.company.as_str()]["notified"][1]["reason"], "asked");
    assert_eq!(bench.webhooks.last().unwrap().body["data"], json!({ "ids": [loud] }));
}

#[test]
fn appointments_are_listed_by_a_range_of_at_most_31_days_or_by_ids() {
    let mut bench = Bench::new();
    for datetime in ["2026-04-04 07:05", "2026-05-20 07:05"] {
        let wish = booking(&bench, datetime);
        bench.call("POST", "/v1/appointments", &wish);
    }
    assert_eq!(bench.call("GET", "/v1/appointments", &Value::Null).0, 400);
    let long = "/v1/appointments?from_date=2026-04-01&to_date=2026-05-03";
    assert_eq!(bench.call("GET", long, &Value::Null).0, 400);
    let (_, found) = bench.call("GET", "/v1/appointments?from_date=2026-04-04&to_date=2026-05-04", &Value::Null);
    assert_eq!(found["total"], 1);
    let id = found["data"][0]["id"].as_str().unwrap();
    let (_, named) = bench.call("GET", &format!("/v1/appointments?ids={id}"), &Value::Null);
    assert_eq!(named["data"], found["data"]);
}

#[test]
fn tasks_notes_and_tags_are_not_there() {
    let mut bench = Bench::new();
    let id = bench.edit("create", "contact", None, json!({})).unwrap();
    for path in ["/v1/tasks".to_owned(), "/v1/notes".to_owned(), format!("/v1/customers/{id}/tags")] {
        assert_eq!(bench.call("POST", &path, &json!({})).0, 404, "{path}");
    }
}

#[test]
fn a_user_types_a_bare_phone_and_the_vendor_keeps_it_as_a_json_text() {
    let mut bench = Bench::new();
    let typed = json!({ "firstName": "Hanako", "mobilePhone": "+81312345678" });
    let id = bench.edit("create", "contact", None, typed).unwrap();
    let (_, read) = bench.call("GET", &format!("/v1/customers/{id}"), &Value::Null);
    let value: Value = serde_json::from_str(read["data"]["fields"][1]["value"].as_str().unwrap()).unwrap();
    let split = json!({ "phone": "+81312345678", "country": "JP", "prefix": "81", "number": "0312345678" });
    assert_eq!(value, split);
    let state = bench.world.state();
    assert_eq!(state[bench.company.as_str()]["customers"][0]["plain"]["mobilePhone"], "+81312345678");
    assert!(bench.edit("update", "contact", Some(&id), json!({ "shoeSize": "42" })).is_err());
    assert!(bench.edit("create", "task", None, json!({})).is_err());
}

#[test]
fn a_user_moves_an_appointment_by_its_start_and_its_deletion_is_told_without_mailing_anybody() {
    let mut bench = Bench::new();
    let mut typed = booking(&bench, "2026-04-04 07:05");
    let id = bench.edit("create", "appointment", None, typed.clone()).unwrap();
    let moved = json!({ "startDate": "2026-04-05T18:10:00+09:00" });
    bench.edit("update", "appointment", Some(&id), moved).unwrap();
    assert_eq!(bench.webhooks[1].body["data"]["startDate"], "2026-04-05T09:10:00Z");
    assert_eq!(bench.webhooks[1].body["data"]["bookings"][0]["interval"]["end"], "2026-04-05T09:40:00Z");
    bench.edit("delete", "appointment", Some(&id), Value::Null).unwrap();
    assert_eq!(bench.webhooks[2].body["data"], json!({ "id": id, "externalId": "" }));
    assert_eq!(bench.world.state()[bench.company.as_str()]["notified"], json!([]));
    typed.as_object_mut().unwrap().remove("datetime");
    typed["startDate"] = json!("2026-04-05T09:10:00Z");
    assert_eq!(bench.call("POST", "/v1/appointments", &typed).0, 422);
}

#[test]
fn switches_silence_the_echo_and_shrink_the_body() {
    let mut settings = SandboxSettings::example().timify;
    (settings.echo_webhooks, settings.webhook_body) = (false, WebhookBody::Ids);
    let mut bench = Bench::with(settings);
    bench.call("POST", "/v1/customers", &json!({ "externalId": "crm-42" }));
    assert!(bench.webhooks.is_empty());
    let id = bench.edit("create", "contact", None, json!({ "externalId": "crm-43" })).unwrap();
    assert_eq!(bench.webhooks[0].body["data"], json!({ "id": id, "externalId": "crm-43" }));
}
