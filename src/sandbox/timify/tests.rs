use std::time::Duration;

use http::StatusCode;

use super::*;
use crate::sandbox::{SandboxSettings, Webhook};

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
        let mut turn = Turn { now: self.now, real: self.now, rng: &mut self.rng, webhooks: Vec::new() };
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
        let mut turn = Turn { now: self.now, real: self.now, rng: &mut self.rng, webhooks: Vec::new() };
        let done = self.world.edit(&edit, &mut turn);
        self.webhooks.append(&mut turn.webhooks);
        done
    }

    fn field(&mut self, key: &str) -> String {
        let (_, body) = self.call("GET", "/v1/customers/customfields", &Value::Null);
        let fields = body["data"].as_array().unwrap().clone();
        fields.iter().find(|field| field["defaultId"] == key).unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// A new appointment's path.
    fn booked(&mut self) -> String {
        let wish = booking(self, "2026-04-04 07:05");
        let (status, made) = self.call("POST", "/v1/appointments", &wish);
        assert_eq!(status, 200);
        format!("/v1/appointments/{}", made["data"]["id"].as_str().unwrap())
    }

    fn resource(&self) -> String {
        self.world.companies[&self.company].known.resources[0].id.clone()
    }
}

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/timify/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Where all keys of a record stand; of a list, those of its first item.
fn keys(record: &Value) -> std::collections::BTreeSet<String> {
    fn gather(at: &str, value: &Value, keys: &mut std::collections::BTreeSet<String>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(key, value)| {
                keys.insert(format!("{at}/{key}"));
                gather(&format!("{at}/{key}"), value, keys);
            }),
            Value::Array(items) => items.iter().take(1).for_each(|item| gather(&format!("{at}/0"), item, keys)),
            _ => {}
        }
    }
    let mut keys = std::collections::BTreeSet::new();
    gather("", record, &mut keys);
    keys
}

fn with(change: impl Fn(&mut TimifySettings)) -> Bench {
    let mut settings = SandboxSettings::with_workspaces(2).timify;
    change(&mut settings);
    Bench::with(settings)
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
    let real = fixture("appointment_get_response");
    let top = |record: &Value| record.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(top(&made["data"]), top(&real["data"]));
    for part in ["bookings", "resources"] {
        assert_eq!(keys(&made["data"][part][0]), keys(&real["data"][part][0]), "{part}");
    }
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
    (settings.echo_webhooks, settings.webhook.body) = (false, WebhookBody::Ids);
    let mut bench = Bench::with(settings);
    bench.call("POST", "/v1/customers", &json!({ "externalId": "crm-42" }));
    assert!(bench.webhooks.is_empty());
    let id = bench.edit("create", "contact", None, json!({ "externalId": "crm-43" })).unwrap();
    assert_eq!(bench.webhooks[0].body["data"], json!({ "id": id, "externalId": "crm-43" }));
}

fn weekly(bench: &Bench) -> Value {
    let mut wish = booking(bench, "2026-03-24 14:00");
    wish["recurring"] = json!({ "timezone": "Europe/Berlin", "frequency": "WEEKS", "repeat_times": 3 });
    wish
}

fn starts(record: &Value) -> Vec<&str> {
    record["bookings"].as_array().unwrap().iter().map(|one| one["startDate"].as_str().unwrap()).collect()
}

#[test]
fn a_series_is_one_record_with_a_booking_for_each_occurrence_by_the_wall_clock() {
    let mut bench = Bench::new();
    let wish = weekly(&bench);
    let (_, made) = bench.call("POST", "/v1/appointments", &wish);
    assert_eq!(keys(&made), keys(&fixture("appointment_recurring_get_response")));
    assert_eq!(starts(&made["data"]), ["2026-03-24T14:00:00Z", "2026-03-31T13:00:00Z", "2026-04-07T13:00:00Z"]);
    assert_eq!(made["data"]["bookings"][1]["recurringDay"], "2026-03-31");
    assert_eq!(made["data"]["recurring"]["weekDays"], json!([2]));
    let later = "/v1/appointments?from_date=2026-04-07&to_date=2026-04-07";
    assert_eq!(bench.call("GET", later, &Value::Null).1["total"], 1);
    for gap in ["timezone", "frequency"] {
        let mut wish = weekly(&bench);
        wish["recurring"].as_object_mut().unwrap().remove(gap);
        assert_eq!(bench.call("POST", "/v1/appointments", &wish).0, 422, "{gap}");
    }
}

#[rstest::rstest]
#[case::ids_stay(false)]
#[case::ids_move_up(true)]
fn people_move_and_cut_a_series(#[case] renumbers: bool) {
    let mut bench = with(|settings| settings.switches.renumbers_series = renumbers);
    let wish = weekly(&bench);
    let id = bench.edit("create", "appointment", None, wish).unwrap();
    let told = |bench: &Bench| bench.webhooks.last().unwrap().body["data"].clone();
    let ids = |record: &Value| -> Vec<Value> {
        record["bookings"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect()
    };
    let before = ids(&told(&bench));
    let one = json!({ "day": "2026-03-31", "startDate": "2026-04-01T09:00:00Z" });
    bench.edit("move", "appointment", Some(&id), one).unwrap();
    assert_eq!(starts(&told(&bench)), ["2026-03-24T14:00:00Z", "2026-04-01T09:00:00Z", "2026-04-07T13:00:00Z"]);
    bench.edit("cut", "appointment", Some(&id), json!({ "occurrence": 1 })).unwrap();
    let after = ids(&told(&bench));
    assert_eq!(after[1], before[if renumbers { 1 } else { 2 }]);
    bench.edit("move", "appointment", Some(&id), json!({ "startDate": "2026-03-25T15:00:00Z" })).unwrap();
    assert_eq!(starts(&told(&bench)), ["2026-03-25T15:00:00Z", "2026-04-08T14:00:00Z"]);
    bench.edit("cut", "appointment", Some(&id), json!({ "repeat_times": 1 })).unwrap();
    assert_eq!(starts(&told(&bench)), ["2026-03-25T15:00:00Z"]);
    assert!(bench.edit("cut", "appointment", Some(&id), json!({ "occurrence": 0 })).is_err());
    let names: Vec<_> = bench.webhooks.iter().map(|one| one.body["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["event_created", "event_updated", "event_updated", "event_updated", "event_updated"]);
}

#[test]
fn a_title_may_be_left_out_only_with_a_service_and_a_duration() {
    let mut bench = Bench::new();
    let service = bench.world.companies[&bench.company].known.services[0].id.clone();
    let mut wish = booking(&bench, "2026-04-04 07:05");
    let fields = wish.as_object_mut().unwrap();
    fields.remove("title");
    fields.remove("duration");
    fields.insert("service_id".into(), json!(service));
    assert_eq!(bench.call("POST", "/v1/appointments", &wish).0, 422);
    wish["duration_pattern"] = json!([20, 10]);
    let (status, made) = bench.call("POST", "/v1/appointments", &wish);
    assert_eq!((status.as_u16(), &made["data"]["duration"]), (200, &json!(30)));
    assert_eq!(made["data"]["durationsPattern"], json!([20, 10]));
    wish.as_object_mut().unwrap().remove("service_id");
    assert_eq!(bench.call("POST", "/v1/appointments", &wish).0, 422);
}

#[test]
fn own_and_external_ids_of_services_and_resources_exclude_each_other() {
    let mut bench = with(|settings| {
        settings.companies[0].services[0].external_id = "s-1".into();
        settings.companies[0].resources[0].external_id = "r-1".into();
    });
    let mut wish = booking(&bench, "2026-04-04 07:05");
    wish["external_resource_ids"] = json!(["r-1"]);
    assert_eq!(bench.call("POST", "/v1/appointments", &wish).0, 422);
    wish.as_object_mut().unwrap().remove("resource_ids");
    wish["external_service_id"] = json!("s-1");
    let (_, made) = bench.call("POST", "/v1/appointments", &wish);
    assert_eq!(made["data"]["bookings"][0]["resourceId"], bench.resource());
    wish["service_id"] = made["data"]["serviceId"].clone();
    assert_eq!(bench.call("POST", "/v1/appointments", &wish).0, 422);
}

#[test]
fn the_documented_requests_are_taken() {
    let mut bench = with(|settings| {
        settings.companies[0].resources[0].id = "65a0000000000000000000d1".into();
        let ids = ["65c000000000000000000098", "65c000000000000000000099", "65c000000000000000000096"];
        for (field, id) in
            settings.companies[0].fields.iter_mut().zip(ids.into_iter().chain(["65c000000000000000000097"]))
        {
            field.id = id.into();
        }
    });
    let (status, made) = bench.call("POST", "/v1/appointments", &fixture("appointment_create_request"));
    assert_eq!((status.as_u16(), &made["data"]["startDate"]), (200, &json!("2026-04-04T07:05:00Z")));
    assert_eq!(bench.call("POST", "/v1/customers", &fixture("customer_create_request")).0, 200);
    let (_, read) = bench.call("GET", "/v1/customers/crm-42?external=1", &Value::Null);
    let listed = bench.call("GET", "/v1/customers?limit=10", &Value::Null).1;
    assert_eq!(listed["data"][0], read["data"]);
    let top = |envelope: &Value| envelope.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(top(&listed), top(&fixture("list_envelope_timeshifts")));
    assert_eq!(keys(&listed["meta"]), keys(&fixture("list_envelope_timeshifts")["meta"]));
    assert_eq!(keys(&read), keys(&fixture("assumed/timify_customer_get_response")));
    let app = json!({ "appid": "0123456789abcdef01234567", "appsecret": "00000000-0000-4000-8000-0000000000aa" });
    assert_eq!(keys(&app), keys(&fixture("auth_token_request")));
    let (_, tokens) = bench.call("POST", "/v1/auth/token", &app);
    assert_eq!(keys(&tokens), keys(&fixture("assumed/timify_auth_token_response")));
}

#[test]
fn fields_are_defined_in_categories_and_look_like_the_bookers() {
    let mut bench = with(|settings| settings.switches.field_needs_category = true);
    let (_, category) = bench.call("POST", "/v1/customers/customfields/categories", &json!({ "name": "CRM" }));
    let category = category["data"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/customers/customfields/categories/{category}");
    assert_eq!(bench.call("GET", &path, &Value::Null).1["data"]["name"], "CRM");
    let mut wish = json!({ "label": "Loyalty", "type": "TEXT" });
    assert_eq!(bench.call("POST", "/v1/customers/customfields", &wish).0, 422);
    wish["category_id"] = json!(category);
    let (status, made) = bench.call("POST", "/v1/customers/customfields", &wish);
    assert_eq!((status.as_u16(), &made["data"]["label"]), (200, &json!("Loyalty")));
    let mut shown = keys(&made["data"]);
    assert!(shown.remove("/defaultId"));
    assert_eq!(shown, keys(&fixture("booker_company_customer_fields")[0]));
    let body = json!({ "customfields": [{ "id": made["data"]["id"], "value": "gold" }] });
    assert_eq!(bench.call("POST", "/v1/customers", &body).1["data"]["fields"][0]["value"], "gold");
    assert_eq!(bench.call("DELETE", &path, &Value::Null).0, 200);
    let (_, left) = bench.call("GET", "/v1/customers/customfields/categories", &Value::Null);
    assert_eq!(left["total"], 0);
    assert_eq!(bench.call("POST", "/v1/customers/customfields", &wish).0, 404);
}

#[rstest::rstest]
#[case::camel(FieldKey::DefaultId, "defaultId", "firstName")]
#[case::snake(FieldKey::SnakeDefaultId, "default_id", "firstName")]
#[case::translated(FieldKey::TranslationKey, "translationKey", "customerFields.basic.firstName")]
fn the_key_of_a_field_is_spelt_as_the_switch_says(#[case] switch: FieldKey, #[case] key: &str, #[case] name: &str) {
    let mut bench = with(|settings| settings.switches.field_key = switch);
    let id = bench.edit("create", "contact", None, json!({ "firstName": "Hanako" })).unwrap();
    let (_, fields) = bench.call("GET", "/v1/customers/customfields", &Value::Null);
    let (_, read) = bench.call("GET", &format!("/v1/customers/{id}"), &Value::Null);
    assert_eq!((&fields["data"][0][key], &read["data"]["fields"][0][key]), (&json!(name), &json!(name)));
    assert_eq!(fields["data"][0].get("defaultId").is_some(), switch == FieldKey::DefaultId);
}

#[test]
fn a_customer_can_have_plain_keys_and_no_times() {
    let mut bench = with(|settings| (settings.switches.plain_keys, settings.switches.customer_times) = (true, false));
    let id = bench.edit("create", "contact", None, json!({ "firstName": "Hanako" })).unwrap();
    let (_, read) = bench.call("GET", &format!("/v1/customers/{id}"), &Value::Null);
    assert_eq!((&read["data"]["firstName"], read["data"].get("updatedAt")), (&json!("Hanako"), None));
}

#[rstest::rstest]
#[case::open(Shared::Open, 200, "Jiro")]
#[case::refused(Shared::Refused, 403, "Hanako")]
#[case::ignored(Shared::Ignored, 200, "Hanako")]
fn a_branch_changes_shared_customers_only_if_the_enterprise_lets_it(
    #[case] shared: Shared,
    #[case] status: u16,
    #[case] name: &str,
) {
    let mut bench = with(|settings| settings.switches.shared_customers = shared);
    let id = bench.edit("create", "contact", None, json!({ "firstName": "Hanako" })).unwrap();
    let path = format!("/v1/customers/{id}");
    let body = json!({ "customfields": [{ "id": bench.field("firstName"), "value": "Jiro" }] });
    assert_eq!(bench.call("PATCH", &path, &body).0, status);
    assert_eq!(bench.call("GET", &path, &Value::Null).1["data"]["fields"][0]["value"], name);
    assert_eq!(bench.webhooks.len(), if name == "Jiro" { 2 } else { 1 });
    assert_eq!(bench.call("DELETE", &path, &Value::Null).0, status);
    assert_eq!(bench.call("GET", &path, &Value::Null).0, if name == "Jiro" { 404 } else { 200 });
}

#[test]
fn services_resources_and_companies_are_listed_read_and_changed() {
    let mut bench = with(|settings| settings.companies[0].resources[0].bookable = false);
    assert_eq!(bench.call("GET", "/v1/resources?bookable=true", &Value::Null).1["total"], 0);
    assert_eq!(bench.call("GET", "/v1/resources?limit=1", &Value::Null).1["data"][0]["id"], bench.resource());
    let room = format!("/v1/resources/{}", bench.resource());
    assert_eq!(bench.call("GET", &room, &Value::Null).1["data"]["name"], "Room A");
    assert_eq!(bench.call("PATCH", &room, &json!({ "externalId": "r-1" })).0, 200);
    assert_eq!(bench.call("GET", "/v1/resources/r-1?external=1", &Value::Null).1["data"]["id"], bench.resource());
    let (_, made) = bench.call("POST", "/v1/services", &json!({ "name": "Massage", "duration": 45 }));
    let service = format!("/v1/services/{}", made["data"]["id"].as_str().unwrap());
    let (_, read) = bench.call("GET", &service, &Value::Null);
    assert_eq!(
        (&read["data"]["duration"], &read["data"]["dependencies"][0]["resourcesIds"][0]),
        (&json!(45), &json!(bench.resource()))
    );
    bench.call("DELETE", &service, &Value::Null);
    assert_eq!(bench.call("GET", &service, &Value::Null).0, 404);
    let names: Vec<_> = bench.webhooks.iter().map(|one| one.body["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["resource_updated", "service_created", "service_deleted"]);
    let branches = "/v1/companies?enterprise_id=65e000000000000000000001";
    assert_eq!(bench.call("GET", branches, &Value::Null).1["total"], 2);
    assert_eq!(bench.call("GET", "/v1/companies?enterprise_id=other", &Value::Null).1["total"], 0);
}

#[rstest::rstest]
#[case::it_mails(true, "default")]
#[case::it_does_not(false, "")]
fn what_a_call_leaves_open_is_the_vendors_default(#[case] default: bool, #[case] reason: &str) {
    let mut bench = with(|settings| settings.switches.notifies_by_default = default);
    let path = bench.booked();
    bench.call("PATCH", &path, &json!({ "notes": "moved" }));
    bench.call("DELETE", &path, &Value::Null);
    let state = bench.world.state();
    let rows = state[bench.company.as_str()]["notified"].as_array().unwrap();
    let calls: Vec<_> =
        rows.iter().map(|row| (row["call"].as_str().unwrap(), row["reason"].as_str().unwrap())).collect();
    let all = [("create", reason), ("update", reason), ("delete", reason)];
    assert_eq!(calls, if default { all.to_vec() } else { Vec::new() });
}

#[rstest::rstest]
#[case::words(Spelling::Words, "type", ["customers created", "customers updated", "event created", "event updated", "events deleted"])]
#[case::dotted(Spelling::Dotted, "eventType", ["Customer.Created", "Customer.Updated", "Event.Created", "Event.Updated", "Events.Deleted"])]
#[case::snake(Spelling::Snake, "event", ["customer_created", "customer_updated", "event_created", "event_updated", "events_deleted"])]
fn a_webhook_is_spelt_as_the_switches_say(
    #[case] spelling: Spelling,
    #[case] key: &'static str,
    #[case] names: [&str; 5],
) {
    let mut bench = with(|settings| {
        let company_key = (spelling != Spelling::Words).then_some("company_id");
        let nested = spelling != Spelling::Dotted;
        settings.webhook = WebhookForm { spelling, name_key: key, company_key, nested, body: WebhookBody::Ids };
    });
    bench.call("POST", "/v1/customers", &json!({ "externalId": "crm-42" }));
    bench.call("PATCH", "/v1/customers/crm-42?external=1", &json!({}));
    let path = bench.booked();
    bench.call("PATCH", &path, &json!({ "notes": "x" }));
    let id = path.rsplit('/').next().unwrap();
    bench.call("POST", "/v1/appointments/delete/bulk", &json!({ "ids": [id], "has_notify_customers": false }));
    let told: Vec<_> = bench.webhooks.iter().map(|one| one.body[key].as_str().unwrap()).collect();
    assert_eq!(told, names);
    let body = &bench.webhooks[0].body;
    assert_eq!(body.get("company_id").is_some(), spelling != Spelling::Words);
    let at = if spelling == Spelling::Dotted { body } else { &body["data"] };
    assert_eq!((at["id"].is_string(), &at["externalId"], at.get("fields")), (true, &json!("crm-42"), None));
}

#[test]
fn the_assumed_webhooks_have_the_keys_of_their_examples() {
    let mut bench = with(|settings| settings.switches.customers_within = Within::Records);
    let names = ["firstName", "lastName", "email", "mobilePhone", "notes"];
    let typed: Map<_, _> = names.map(|name| (name.to_owned(), json!(""))).into_iter().collect();
    let id = bench.edit("create", "contact", None, Value::Object(typed.clone())).unwrap();
    bench.edit("update", "contact", Some(&id), json!({ "notes": "prefers mornings" })).unwrap();
    bench.edit("delete", "contact", Some(&id), Value::Null).unwrap();
    let customer = bench.edit("create", "contact", None, Value::Object(typed)).unwrap();
    bench.webhooks.pop();
    let mut wish = booking(&bench, "2026-04-04 07:05");
    wish["customer_id"] = json!(customer);
    let made = bench.call("POST", "/v1/appointments", &wish).1;
    let path = format!("/v1/appointments/{}", made["data"]["id"].as_str().unwrap());
    bench.call("PATCH", &path, &json!({}));
    bench.call("DELETE", &path, &Value::Null);
    let path = bench.booked();
    bench.call("POST", "/v1/appointments/delete/bulk", &json!({ "ids": [path.rsplit('/').next().unwrap()] }));
    bench.webhooks.remove(6);
    let examples = [
        "customer_created",
        "customer_updated",
        "customer_deleted",
        "event_created",
        "event_updated",
        "event_deleted",
        "events_deleted",
    ];
    assert_eq!(bench.webhooks.len(), examples.len());
    for (told, example) in bench.webhooks.iter().zip(examples) {
        let example = fixture(&format!("assumed/timify_webhook_{example}"));
        assert_eq!((keys(&told.body), &told.body["event"]), (keys(&example), &example["event"]));
    }
}

#[test]
fn people_write_notes_and_fields_by_label_or_id_and_book_several_customers() {
    let mut bench = Bench::new();
    let member =
        bench.world.settings.companies[0].fields.iter().find(|one| one.label.as_deref() == Some("Member number"));
    let member = member.unwrap().id.clone();
    let typed = json!({ "notes": "prefers mornings", "Member number": "7", "Tags": "vip" });
    let first = bench.edit("create", "contact", None, typed).unwrap();
    bench.edit("update", "contact", Some(&first), json!({ &member: "8" })).unwrap();
    let second = bench.edit("create", "contact", None, json!({ "firstName": "Jiro" })).unwrap();
    let mut wish = booking(&bench, "2026-04-04 07:05");
    wish["customer_ids"] = json!([first, second]);
    bench.edit("create", "appointment", None, wish).unwrap();
    let state = bench.world.state();
    let held = state[bench.company.as_str()]["customers"].as_array().unwrap();
    let plain = held.iter().find(|one| one["id"] == first.as_str()).map(|one| &one["plain"]).unwrap();
    assert_eq!(*plain, json!({ "notes": "prefers mornings", "Member number": "8", "Tags": "vip" }));
    let record = &bench.webhooks.last().unwrap().body["data"];
    assert_eq!((&record["participants"], record["customers"].as_array().unwrap().len()), (&json!(2), 2));
}

#[rstest::rstest]
#[case::references(Within::References, "/customers/0/id")]
#[case::ids(Within::Ids, "/customers/0")]
#[case::records(Within::Records, "/customers/0/id")]
#[case::single(Within::Single, "/singleCustomers/0/id")]
fn customers_stand_in_an_appointment_as_the_switch_says(#[case] within: Within, #[case] place: &str) {
    let mut bench = with(|settings| settings.switches.customers_within = within);
    let customer = bench.edit("create", "contact", None, json!({ "firstName": "Hanako" })).unwrap();
    let mut wish = booking(&bench, "2026-04-04 07:05");
    wish["customer_id"] = json!(customer);
    let (_, made) = bench.call("POST", "/v1/appointments", &wish);
    assert_eq!(made["data"].pointer(place), Some(&json!(customer)));
    assert_eq!(made["data"]["customers"][0].get("fields").is_some(), within == Within::Records);
}

#[test]
fn a_deleted_appointment_can_stay_readable_though_no_longer_listed() {
    let mut bench = with(|settings| settings.switches.deletes_later = true);
    let path = bench.booked();
    assert_eq!(bench.call("DELETE", &path, &Value::Null).1["status"], 1);
    assert_eq!(bench.call("GET", &path, &Value::Null).1["data"]["scheduledForDeletionAt"], "2026-03-25T18:46:31Z");
    let range = "/v1/appointments?from_date=2026-04-04&to_date=2026-04-04";
    assert_eq!(bench.call("GET", range, &Value::Null).1["total"], 0);
    assert_eq!(bench.call("DELETE", &path, &Value::Null).0, 404);
}

#[test]
fn the_days_of_a_list_are_those_of_its_time_zone_and_its_range_may_be_a_year() {
    let mut bench = with(|settings| settings.switches.range_days = 365);
    bench.booked();
    let day = |zone: &str| format!("/v1/appointments?from_date=2026-04-03&to_date=2026-04-03&timezone={zone}");
    assert_eq!(bench.call("GET", &day("UTC"), &Value::Null).1["total"], 0);
    assert_eq!(bench.call("GET", &day("Pacific/Honolulu"), &Value::Null).1["total"], 1);
    let year = "/v1/appointments?from_date=2026-01-01&to_date=2026-12-31";
    assert_eq!(bench.call("GET", year, &Value::Null).1["total"], 1);
}

#[test]
fn other_statuses_key_names_and_scopes_are_switches() {
    let mut bench = with(|settings| {
        (settings.invalid_status, settings.refresh_key) = (400, "refresh_token");
        (settings.switches.app_scope, settings.switches.tells_fields) = (None, true);
    });
    assert_eq!(bench.call("POST", "/v1/appointments", &json!({})).0, 400);
    let app = json!({ "appid": "0123456789abcdef01234567", "appsecret": "00000000-0000-4000-8000-0000000000aa" });
    let (_, tokens) = bench.call("POST", "/v1/auth/token", &app);
    let renewal = json!({ "refresh_token": tokens["refresh_token"] });
    assert_eq!(bench.call("POST", "/v1/auth/refresh-token", &renewal).0, 200);
    let path = bench.booked();
    assert_eq!(bench.call("GET", &path, &Value::Null).1["data"]["updatedByScope"], Value::Null);
    bench.call("POST", "/v1/customers/customfields", &json!({ "label": "Loyalty" }));
    assert_eq!(bench.webhooks.last().unwrap().body["event"], "field_created");
}
