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
        let mut turn = Turn { now: self.now, real: self.now, rng: &mut self.rng, webhooks: Vec::new() };
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
        let mut turn = Turn { now: self.now, real: self.now, rng: &mut self.rng, webhooks: Vec::new() };
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

#[rstest::rstest]
#[case::confirmed("event_confirmed")]
#[case::cancelled("event_cancelled")]
fn one_half_of_a_move_can_come_alone(#[case] told: &str) {
    let mut bench = Bench::new(|_| {});
    let old = bench.book("2026-03-10T01:00:00Z");
    bench.webhooks.clear();
    let order = if told == "event_confirmed" { "confirmed_only" } else { "cancelled_only" };
    let fields = json!({ "start_datetime": "2026-03-12T05:00:00Z", "order": order });
    bench.edit("move", Some(&old), fields).unwrap();
    assert_eq!((bench.webhooks.len(), &bench.webhooks[0].body["webhook_type"]), (1, &json!(told)));
    assert!(bench.edit("move", Some(&old), json!({ "start_datetime": "2026-03-12T05:00:00Z", "order": "x" })).is_err());
}

#[rstest::rstest]
#[case::notifies(true, 1)]
#[case::silent(false, 0)]
fn a_cancel_over_the_api_is_written_down_as_told_to_the_guest_and_that_of_people_is_not(
    #[case] notifies: bool,
    #[case] count: usize,
) {
    let mut bench = Bench::new(|settings| settings.cancel_notifies = notifies);
    let [ours, theirs] = ["2026-03-10T01:00:00Z", "2026-03-11T01:00:00Z"].map(|start| bench.book(start));
    bench.call("POST", &format!("/events/{ours}/cancel"));
    bench.call("POST", &format!("/events/{ours}/cancel"));
    bench.edit("cancel", Some(&theirs), json!({ "cancellation_reason": "ill", "status": 2 })).unwrap();
    let told = &bench.webhooks.last().unwrap().body["event"];
    assert_eq!((&told["status"], &told["cancellation_reason"]), (&json!(2), &json!("ill")));
    let state = bench.world.state();
    let rows = state["sandbox_team_1"]["notified"].as_array().unwrap();
    assert_eq!(rows.len(), count);
    assert!(rows.iter().all(|row| row["id"] == ours.as_str() && row["call"] == "cancel"));
    assert_eq!(state["sandbox_team_2"]["notified"], json!([]));
}

#[test]
fn a_guest_answers_questions_comments_and_brings_parameters() {
    let mut bench = Bench::new(|_| {});
    let fields = json!({
        "calendar": "cal00001", "start_datetime": "2026-03-10T01:00:00Z", "name": "山田 花子", "email": "",
        "phone": "+81312345678", "comment": "よろしく", "params": { "contact_ref": "x" },
        "answers": { "Member number": "7", "話題": ["価格", "導入"], "会社名": "Example KK" },
    });
    bench.edit("create", None, fields).unwrap();
    let told = bench.webhooks[0].body["event"].clone();
    let form = told["form"].as_array().unwrap();
    let said =
        |key: &str, word: &str| form.iter().find(|one| one[key] == word).map(|one| one["value"].clone()).unwrap();
    assert_eq!(said("field_type", "guest_phone"), "+81312345678");
    assert_eq!(
        (said("field_type", "guest_comment"), said("field_type", "guest_email")),
        (json!("よろしく"), json!(""))
    );
    assert_eq!((said("label", "Member number"), said("label", "会社名")), (json!("7"), json!("Example KK")));
    assert_eq!(said("label", "話題"), json!(["価格", "導入"]));
    assert_eq!(told["url_params"], json!([{ "contact_ref": "x" }]));
    let documented = fixture("event_confirmed")["event"]["form"].clone();
    let of = |form: &Value, kind: &str| {
        let item = form.as_array().unwrap().iter().find(|one| one["field_type"] == kind).unwrap();
        keys(item)
    };
    for kind in ["guest_name", "guest_comment", "checkboxes", "paragraph"] {
        assert_eq!(of(&told["form"], kind), of(&documented, kind), "{kind}");
    }
}

#[test]
fn a_cheaper_plan_sends_no_parameters_and_a_bare_form_no_labels() {
    let mut bench = Bench::new(|settings| (settings.sends_url_params, settings.bare_form) = (false, true));
    bench.book("2026-03-10T01:00:00Z");
    let told = &bench.webhooks[0].body["event"];
    assert_eq!((told.get("url_params"), keys(&told["form"][0]).len()), (None, 2));
}

#[rstest::rstest]
#[case::zoom(Meeting::Zoom, "event_confirmed")]
#[case::google_meet(Meeting::GoogleMeet, "event_confirmed_google_meet")]
fn a_meeting_looks_as_documented_and_zooms_number_is_a_text_over_the_api(#[case] meeting: Meeting, #[case] name: &str) {
    let mut bench = Bench::new(|settings| settings.teams[0].calendars[0].meeting = Some(meeting));
    let id = bench.book("2026-03-10T01:00:00Z");
    let (told, documented) = (bench.webhooks[0].body["event"].clone(), &fixture(name)["event"]);
    let key = format!("{}_meeting", meeting.word());
    assert_eq!((keys(&told), &told[&key]), (keys(documented), &documented[&key]));
    let (_, read) = bench.call("GET", &format!("/events/{id}"));
    assert!(read[&key]["meeting_id"].is_string());
    assert_eq!(told[&key]["meeting_id"].is_number(), meeting == Meeting::Zoom);
}

#[test]
fn the_older_shape_of_a_cancelled_booking_has_no_created_at_and_hosts_have_no_ids() {
    let mut bench = Bench::new(|settings| {
        settings.older_shape = true;
        settings.teams[0].calendars[0].meeting = Some(Meeting::Zoom);
    });
    let id = bench.book("2026-03-10T01:00:00Z");
    let (told, documented) =
        (bench.webhooks[0].body["event"].clone(), &fixture("event_confirmed_older_shape")["event"]);
    assert_eq!((&told["hosts"], &told["zoom_meeting"]), (&documented["hosts"], &documented["zoom_meeting"]));
    bench.edit("cancel", Some(&id), json!({})).unwrap();
    let told = &bench.webhooks[1].body["event"];
    assert_eq!((told.get("created_at"), told["canceled_at"].is_string()), (None, true));
}

#[test]
fn the_api_has_the_documented_keys() {
    let mut bench = Bench::new(|settings| settings.teams[0].calendars[0].meeting = Some(Meeting::Zoom));
    let calendar = bench.team().calendars[0].id.clone();
    let (_, teams) = bench.call("GET", "/user/me/teams");
    assert_eq!(
        (keys(&teams), keys(&teams["items"][0])),
        (keys(&fixture("rest_user_teams")), keys(&fixture("rest_user_teams")["items"][0]))
    );
    let (_, listed) = bench.call("GET", "/teams/primary/calendars");
    let documented = &fixture("rest_team_calendars")["items"][0];
    assert_eq!(keys(&listed["items"][0]), keys(documented));
    assert_eq!(keys(&listed["items"][0]["members"][0]), keys(&documented["members"][0]));
    let (_, read) = bench.call("GET", &format!("/calendars/{calendar}"));
    let documented = fixture("rest_get_calendar");
    assert_eq!((keys(&read), keys(&read["members"])), (keys(&documented), keys(&documented["members"])));
    for day in 10..21 {
        bench.book(&format!("2026-03-{day}T01:00:00Z"));
    }
    let (_, page) = bench.call("GET", &format!("/calendars/{calendar}/events"));
    let documented = fixture("rest_calendar_events_page1");
    assert_eq!((keys(&page), keys(&page["items"][0])), (keys(&documented), keys(&documented["items"][0])));
}

#[test]
fn there_is_nothing_of_contacts_tasks_notes_or_tags() {
    let mut bench = Bench::new(|_| {});
    for path in ["/contacts", "/tasks", "/notes", "/tags", "/teams/primary/contacts", "/events"] {
        assert_eq!(bench.call("GET", path).0, 404, "{path}");
        assert_eq!(bench.post(path, &json!({})), 404, "{path}");
    }
}

#[test]
fn a_key_writes_a_hundred_times_an_hour_and_watches_by_a_budget_of_its_own() {
    let mut bench = Bench::new(|settings| (settings.writes_an_hour, settings.watches_a_minute) = (2, 1));
    bench.world.settings.watches_a_day = 2;
    let id = bench.one_time_url().0;
    let watch = format!("/calendars/one-time-url/{id}/watch");
    let request = fixture("rest_watch_one_time_url_request");
    assert_eq!(bench.post(&watch, &request), 429);
    let create = format!("/calendars/{}/one-time-url", bench.team().calendars[0].id);
    assert_eq!(bench.call("POST", &create).0, 201);
    assert_eq!(bench.call("POST", &create).0, 429);
    bench.now = bench.now + std::time::Duration::from_mins(1);
    assert_eq!((bench.post(&watch, &request), bench.call("POST", &create).0.as_u16()), (StatusCode::CREATED, 429));
    bench.now = bench.now + std::time::Duration::from_hours(1);
    assert_eq!((bench.post(&watch, &request).as_u16(), bench.call("POST", &create).0.as_u16()), (429, 201));
    let defaults = TimerexSettings::new(Vec::new());
    let budgets = [defaults.reads_a_minute, defaults.writes_an_hour, defaults.watches_a_minute, defaults.watches_a_day];
    assert_eq!(budgets, [60, 100, 60, 1_000]);
}

#[test]
fn a_calendars_list_may_leave_out_the_cancelled_and_members_may_be_a_list_alone() {
    let mut bench = Bench::new(|settings| (settings.lists_cancelled, settings.member_alone) = (false, false));
    let (id, calendar) = (bench.book("2026-03-10T01:00:00Z"), bench.team().calendars[0].id.clone());
    bench.edit("cancel", Some(&id), json!({})).unwrap();
    assert_eq!(bench.call("GET", &format!("/calendars/{calendar}/events")).1["items"], json!([]));
    assert!(bench.call("GET", &format!("/calendars/{calendar}")).1["members"].is_array());
}
