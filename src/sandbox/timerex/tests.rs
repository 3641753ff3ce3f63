use http::StatusCode;

use super::*;
use crate::sandbox::{SandboxSettings, Webhook};

const START: Millis = Millis(1_772_424_306_000);

struct Bench {
    world: Timerex,
    rng: fastrand::Rng,
    now: Millis,
    webhooks: Vec<Webhook>,
}

impl Bench {
    fn new(change: impl Fn(&mut TimerexSettings)) -> Self {
        let mut settings = SandboxSettings::with_workspaces(2).timerex;
        change(&mut settings);
        Self { world: Timerex::new(settings), rng: fastrand::Rng::with_seed(1), now: START, webhooks: Vec::new() }
    }

    fn raw(&mut self, method: &str, path: &str, key: &str) -> Response {
        self.sent(method, path, key, "")
    }

    fn sent(&mut self, method: &str, path: &str, key: &str, body: &str) -> Response {
        let request = http::Request::builder().method(method).uri(format!("/api/beta{path}"));
        let request = request.header("x-api-key", key).body(body.to_owned().into()).unwrap();
        let mut turn = Turn { now: self.now, rng: &mut self.rng, webhooks: Vec::new() };
        let response = self.world.answer(&request, &mut turn);
        self.webhooks.append(&mut turn.webhooks);
        response
    }

    fn call(&mut self, method: &str, path: &str) -> (StatusCode, Value) {
        let key = self.team().api_key.clone();
        let response = self.raw(method, path, &key);
        (response.status(), serde_json::from_slice(response.body()).unwrap_or_default())
    }

    fn post(&mut self, path: &str, body: &Value) -> StatusCode {
        let key = self.team().api_key.clone();
        self.sent("POST", path, &key, &body.to_string()).status()
    }

    /// A new one-time URL of the first calendar, watched by the documented request; its id and its address.
    fn one_time_url(&mut self) -> (String, String) {
        let calendar = self.team().calendars[0].id.clone();
        let (_, url) = self.call("POST", &format!("/calendars/{calendar}/one-time-url"));
        let [id, address] = ["id", "url"].map(|key| url[key].as_str().unwrap().to_owned());
        let path = format!("/calendars/one-time-url/{id}/watch");
        assert_eq!(self.post(&path, &fixture("rest_watch_one_time_url_request")), 201);
        (id, address)
    }

    /// The status words of the pushes so far.
    fn pushed(&self) -> Vec<&str> {
        let pushes = self.webhooks.iter().filter(|one| one.push_to.is_some());
        pushes.map(|one| one.body["status"].as_str().unwrap()).collect()
    }

    fn team(&self) -> &TimerexTeam {
        &self.world.settings.teams[0]
    }

    fn edit(&mut self, action: &str, id: Option<&str>, fields: Value) -> Result<String, EditRefused> {
        let (action, kind, account) = (action.to_owned(), "appointment".to_owned(), self.team().url_path.clone());
        let edit = Edit { action, kind, account, id: id.map(str::to_owned), parent: None, fields };
        let mut turn = Turn { now: self.now, rng: &mut self.rng, webhooks: Vec::new() };
        let done = self.world.edit(&edit, &mut turn);
        self.webhooks.append(&mut turn.webhooks);
        done
    }

    fn book(&mut self, start: &str) -> String {
        let calendar = self.team().calendars[0].url_path.clone();
        let fields = json!({
            "calendar": calendar, "start_datetime": start, "guest_name": "山田 花子",
            "guest_email": "hanako.yamada@example.test", "url_params": { "contact_ref": "ghl_Abc123", "utm_source": "x" },
        });
        self.edit("create", None, fields).unwrap()
    }
}

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/timerex/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn keys(record: &Value) -> std::collections::BTreeSet<String> {
    record.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn a_wrong_key_is_sent_to_a_login_page_and_a_right_one_is_nobody() {
    let mut bench = Bench::new(|_| {});
    let response = bench.raw("GET", "/user/me/teams/primary", "wrong");
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(bench.call("GET", "/user/me").0, 400);
    let (_, team) = bench.call("GET", "/user/me/teams/primary");
    assert_eq!(keys(&team), keys(&fixture("rest_primary_team")));
    assert_eq!(bench.call("GET", "/contacts").0, 404);
}

#[test]
fn a_booking_is_told_with_the_documented_keys() {
    let mut bench = Bench::new(|settings| settings.teams[0].calendars[0].meeting = Some(Meeting::Zoom));
    bench.book("2026-03-10T10:00:00+09:00");
    let (told, documented) = (bench.webhooks[0].body.clone(), fixture("event_confirmed"));
    assert_eq!(keys(&told), keys(&documented));
    assert_eq!(keys(&told["event"]), keys(&documented["event"]));
    for key in ["start_datetime", "local_start_datetime", "status", "created_at"] {
        assert_eq!(told["event"][key], documented["event"][key], "{key}");
    }
    let id = told["event"]["id"].as_str().unwrap().to_owned();
    bench.edit("cancel", Some(&id), json!({})).unwrap();
    let (told, documented) = (bench.webhooks[1].body.clone(), fixture("event_cancelled"));
    assert_eq!(keys(&told["event"]), keys(&documented["event"]));
    assert_eq!((&told["event"]["status"], &told["webhook_type"]), (&json!(3), &json!("event_cancelled")));
}

#[rstest::rstest]
#[case::default("cancelled_first", ["event_cancelled", "event_confirmed"])]
#[case::reversed("confirmed_first", ["event_confirmed", "event_cancelled"])]
fn a_moved_booking_is_two_bookings_that_name_each_other(#[case] order: &str, #[case] told: [&str; 2]) {
    let mut bench = Bench::new(|_| {});
    let old = bench.book("2026-03-10T01:00:00Z");
    bench.webhooks.clear();
    let fields = json!({ "start_datetime": "2026-03-12T05:00:00Z", "order": order });
    let new = bench.edit("move", Some(&old), fields).unwrap();
    assert_ne!(old, new);
    let words: Vec<_> = bench.webhooks.iter().map(|one| one.body["webhook_type"].as_str().unwrap()).collect();
    assert_eq!(words, told);
    let of = |id: &str| bench.webhooks.iter().map(|one| &one.body["event"]).find(|one| one["id"] == id).unwrap();
    assert_eq!((&of(&old)["new_event_id"], &of(&old)["old_event_id"]), (&json!(new), &Value::Null));
    assert_eq!((&of(&new)["old_event_id"], &of(&new)["new_event_id"]), (&json!(old), &Value::Null));
    assert_eq!((&of(&old)["is_changed"], &of(&new)["is_changed"]), (&json!(true), &json!(true)));
    assert_eq!(of(&new)["end_datetime"], "2026-03-12T05:30:00+00:00");
    assert_eq!(bench.call("GET", &format!("/events/{old}")).1["new_event_id"], json!(new));
    assert!(bench.edit("move", Some(&old), json!({ "start_datetime": "2026-03-13T05:00:00Z" })).is_err());
}

#[test]
fn the_old_half_can_carry_the_misspelt_key() {
    let mut bench = Bench::new(|settings| settings.misspelt_new_id = true);
    let old = bench.book("2026-03-10T01:00:00Z");
    let new = bench.edit("move", Some(&old), json!({ "start_datetime": "2026-03-12T05:00:00Z" })).unwrap();
    let told = &bench.webhooks[1].body["event"];
    assert_eq!(told["new_evnet_id"], json!(new));
    assert!(told.get("new_event_id").is_none());
    assert_eq!(keys(told), keys(&fixture("reschedule_1_old_cancelled_documented_typo")["event"]));
}

#[test]
fn the_older_shape_lacks_the_newer_keys() {
    let mut bench = Bench::new(|settings| {
        settings.older_shape = true;
        settings.teams[0].calendars[0].meeting = Some(Meeting::Zoom);
    });
    bench.book("2026-03-10T01:00:00Z");
    assert_eq!(keys(&bench.webhooks[0].body["event"]), keys(&fixture("event_confirmed_older_shape")["event"]));
}

#[test]
fn over_the_api_status_is_a_word_and_url_params_are_missing() {
    let mut bench = Bench::new(|settings| settings.teams[0].calendars[0].meeting = Some(Meeting::Zoom));
    let id = bench.book("2026-03-10T01:00:00Z");
    let (_, read) = bench.call("GET", &format!("/events/{id}"));
    let documented = fixture("rest_get_event");
    assert_eq!(keys(&read), keys(&documented));
    assert_eq!(keys(&read["event"]), keys(&documented["event"]));
    assert_eq!(read["status"], "confirmed");
    let foreign = bench.world.settings.teams[1].api_key.clone();
    assert_eq!(bench.raw("GET", &format!("/events/{id}"), &foreign).status(), 404);
}

#[test]
fn bookings_come_ten_a_page() {
    let mut bench = Bench::new(|_| {});
    for day in 10..22 {
        bench.book(&format!("2026-03-{day}T01:00:00Z"));
    }
    let calendar = bench.team().calendars[0].id.clone();
    let path = format!("/calendars/{calendar}/events?startTime=2026-03-01%2000:00:00&endTime=2026-03-20%2023:00:00");
    let (_, first) = bench.call("GET", &path);
    assert_eq!(first["items"].as_array().unwrap().len(), 10);
    let token = first["nextPageToken"].as_str().unwrap().replace('=', "%3D");
    let (_, last) = bench.call("GET", &format!("{path}&nextPageToken={token}"));
    assert_eq!(keys(&last), std::collections::BTreeSet::from(["items".to_owned()]));
    assert_eq!(last["items"].as_array().unwrap().len(), 1);
    assert_eq!(keys(&last["items"][0]), keys(&fixture("rest_calendar_events_last_page")["items"][0]));
}

#[rstest::rstest]
#[case::fine(true, 200)]
#[case::refused(false, 400)]
fn cancelling_over_the_api_is_told_once(#[case] fine: bool, #[case] again: u16) {
    let mut bench = Bench::new(|settings| settings.cancel_again_is_fine = fine);
    let id = bench.book("2026-03-10T01:00:00Z");
    let path = format!("/events/{id}/cancel");
    assert_eq!(bench.call("POST", &path).0, 200);
    assert_eq!(bench.call("POST", &path).0.as_u16(), again);
    let words: Vec<_> = bench.webhooks.iter().map(|one| one.body["webhook_type"].as_str().unwrap()).collect();
    assert_eq!(words, ["event_confirmed", "event_cancelled"]);
}

#[test]
fn a_key_reads_sixty_times_a_minute() {
    let mut bench = Bench::new(|settings| settings.reads_a_minute = 2);
    for status in [200, 200, 429] {
        assert_eq!(bench.call("GET", "/user/me/teams").0, status);
    }
    bench.now = bench.now + std::time::Duration::from_mins(1);
    assert_eq!(bench.call("GET", "/user/me/teams").0, 200);
}

#[test]
fn members_are_a_list_in_a_list_and_one_object_alone() {
    let mut bench = Bench::new(|_| {});
    let calendar = bench.team().calendars[0].id.clone();
    let (_, list) = bench.call("GET", "/teams/primary/calendars");
    assert!(list["items"][0]["members"].is_array());
    assert!(bench.call("GET", &format!("/calendars/{calendar}")).1["members"].is_object());
}

#[test]
fn a_one_time_url_waits_for_its_booking_and_is_used_once() {
    let mut bench = Bench::new(|settings| settings.teams[0].calendars[0].meeting = Some(Meeting::Zoom));
    let calendar = bench.team().calendars[0].id.clone();
    let (status, url) = bench.call("POST", &format!("/calendars/{calendar}/one-time-url"));
    assert_eq!((status.as_u16(), &url["status"], &url["event"]), (201, &json!("pending"), &Value::Null));
    assert_eq!(keys(&url), keys(&fixture("rest_one_time_url_pending")));
    let fields = json!({ "one_time_url": url["id"], "start_datetime": "2026-03-10T01:00:00Z" });
    let booked = bench.edit("create", None, fields.clone()).unwrap();
    assert!(bench.edit("create", None, fields).is_err());
    let path = format!("/calendars/one-time-url/{}", url["id"].as_str().unwrap());
    let (_, url) = bench.call("GET", &path);
    assert_eq!((&url["status"], &url["event"]["id"]), (&json!("confirmed"), &json!(booked)));
    assert_eq!(keys(&url["event"]), keys(&fixture("rest_one_time_url_confirmed")["event"]));
    let foreign = bench.world.settings.teams[1].api_key.clone();
    assert_eq!(bench.raw("GET", &path, &foreign).status(), 404);
}

#[test]
fn those_who_watch_a_one_time_url_are_pushed_its_booking_and_its_cancelling() {
    let mut bench = Bench::new(|_| {});
    let (id, address) = bench.one_time_url();
    let fields = json!({ "one_time_url": id, "start_datetime": "2026-03-10T01:00:00Z" });
    let booked = bench.edit("create", None, fields).unwrap();
    bench.call("POST", &format!("/events/{booked}/cancel"));
    let pushes: Vec<_> = bench.webhooks.iter().filter(|one| one.push_to.is_some()).collect();
    for (push, documented) in pushes.iter().zip(["push_one_time_url_confirmed", "push_one_time_url_cancelled"]) {
        let mut documented = fixture(documented);
        documented["one_time_url"] = json!({ "id": id, "url": address });
        assert_eq!(push.body, documented);
        assert_eq!(push.push_to.as_deref(), Some("https://hooks.example.test/timerex/watch"));
    }
    assert_eq!(pushes.len(), 2);
    assert_eq!(bench.post(&format!("/calendars/one-time-url/{id}/watch"), &json!({ "token": "t" })), 400);
    assert_eq!(bench.post("/calendars/one-time-url/unknown/watch", &json!({})), 404);
}

#[rstest::rstest]
#[case::pushed(true, &["confirmed", "cancelled", "confirmed"])]
#[case::silent(false, &["confirmed"])]
fn a_moved_booking_keeps_its_one_time_url(#[case] push_moves: bool, #[case] words: &[&str]) {
    let mut bench = Bench::new(|settings| settings.push_moves = push_moves);
    let (id, _) = bench.one_time_url();
    let fields = json!({ "one_time_url": id, "start_datetime": "2026-03-10T01:00:00Z" });
    let old = bench.edit("create", None, fields).unwrap();
    let new = bench.edit("move", Some(&old), json!({ "start_datetime": "2026-03-12T05:00:00Z" })).unwrap();
    assert_eq!(bench.pushed(), words);
    let (_, url) = bench.call("GET", &format!("/calendars/one-time-url/{id}"));
    assert_eq!((&url["status"], &url["event"]["id"]), (&json!("confirmed"), &json!(new)));
}

#[test]
fn a_guest_who_comes_by_a_link_brings_its_query_along() {
    let mut bench = Bench::new(|settings| settings.url_has_query = true);
    let (_, address) = bench.one_time_url();
    let link = format!("{address}?contact_ref=ghl_Abc123&guest_email=hanako%40example.test&utm_source=a%20b");
    let fields = json!({ "link": link, "start_datetime": "2026-03-10T01:00:00Z", "name": "山田 花子" });
    bench.edit("create", None, fields.clone()).unwrap();
    let told = &bench.webhooks[0].body["event"];
    assert_eq!(told["url_params"], json!([{ "contact_ref": "ghl_Abc123" }, { "utm_source": "a b" }]));
    assert_eq!(
        (&told["form"][1]["value"], &told["form"][2]["value"]),
        (&json!("山田 花子"), &json!("hanako@example.test"))
    );
    assert!(
        told["url"]
            .as_str()
            .unwrap()
            .ends_with("/cal00001?contact_ref=ghl_Abc123&guest_email=hanako%40example.test&utm_source=a%20b")
    );
    assert!(bench.edit("create", None, fields).is_err(), "the link is used");
    let page =
        json!({ "link": "https://timerex.net/s/sandbox_team_1/cal00001", "start_datetime": "2026-03-10T01:00:00Z" });
    assert!(bench.edit("create", None, page).is_ok());
}
