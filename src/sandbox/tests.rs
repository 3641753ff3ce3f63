//! The core with its faults, the deliveries, and the whole over real sockets.

use std::time::Duration;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::delivery::{DeliveryState, Outbox, Signature};
use super::faults::{Fault, FaultKind, Only};
use super::signing::{Signer, standard_webhooks_match};
use super::*;
use crate::clock::Millis;

const NOW: Millis = Millis(1_774_464_391_262);

fn fault(kind: FaultKind, count: u32) -> Fault {
    Fault { kind, count: Some(count), only: Only::Any, path: None, delay_ms: 0, retry_after: Some(7) }
}

/// A signed call to the extension beside TimeRex: the shortest way to a write.
fn write(key: &str) -> Request {
    let settings = SandboxSettings::example();
    let body = json!({ "name": "Hanako" }).to_string();
    let secret = &settings.timerex_extension.accounts[0].secret;
    let headers = signing::standard_webhooks(secret, key, NOW, body.as_bytes());
    let request = http::Request::post("/extension/timerex/contacts?x=1").header("idempotency-key", key);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    request.body(body.into()).unwrap()
}

fn contacts(sandbox: &Sandbox) -> usize {
    let state = sandbox.state();
    state["extension"]["timerex"]["sandbox_team_1"]["contacts"].as_array().unwrap().len()
}

#[test]
fn a_write_is_logged_with_its_object_and_its_repetition_is_no_write() {
    let mut sandbox = Sandbox::new(&SandboxSettings::example());
    let answer = sandbox.answer(NOW, write("k1"));
    assert_eq!((answer.response.status().as_u16(), answer.webhooks.len()), (201, 1));
    assert_eq!(answer.response.headers()["date"], "Wed, 25 Mar 2026 18:46:31 GMT");
    assert!(sandbox.answer(NOW, write("k1")).webhooks.is_empty());
    let rows = sandbox.requests(0);
    assert_eq!((rows[0].write, rows[1].write), (true, false));
    assert_eq!((rows[0].kind, rows[0].path.as_str()), (Some("contact"), "/contacts"));
    assert_eq!(rows[0].account.as_deref(), Some("sandbox_team_1"));
    assert_eq!(rows[0].id, answer.webhooks[0].body["data"]["id"].as_str().map(str::to_owned));
    sandbox.forget_requests();
    assert_eq!((sandbox.requests(0).len(), sandbox.next_request()), (0, 2));
}

#[rstest::rstest]
#[case::down(FaultKind::Down, Some(503), false, 0)]
#[case::rate_limited(FaultKind::RateLimited, Some(429), false, 0)]
#[case::error_500(FaultKind::Error500, Some(500), false, 0)]
#[case::cut_before_apply(FaultKind::CutBeforeApply, None, true, 0)]
#[case::cut_after_apply(FaultKind::CutAfterApply, None, true, 1)]
fn a_fault_strikes_once_and_only_a_late_cut_has_applied_the_write(
    #[case] kind: FaultKind,
    #[case] status: Option<u16>,
    #[case] cut: bool,
    #[case] applied: usize,
) {
    let mut sandbox = Sandbox::new(&SandboxSettings::example());
    sandbox.faults.add(StandIn::extension(System::Timerex), fault(kind, 1));
    let answer = sandbox.answer(NOW, write("k1"));
    assert_eq!((answer.cut, answer.webhooks.len(), contacts(&sandbox)), (cut, applied, applied));
    assert_eq!(sandbox.requests(0)[0].status, status);
    assert_eq!(sandbox.requests(0)[0].write, applied == 1);
    assert_eq!(sandbox.requests(0)[0].fault, Some(kind));
    assert_eq!(sandbox.answer(NOW, write("k2")).response.status(), 201);
}

#[test]
fn a_clock_that_is_set_back_makes_no_search_lag_longer() {
    let mut settings = SandboxSettings::example();
    settings.ghl.search_lag_ms = 4_000;
    let ghl = StandIn::vendor(System::Ghl);
    let (mut sandbox, account) = (Sandbox::new(&settings), &settings.workspaces[0]);
    sandbox.faults.skew(ghl, 207_000);
    let (action, kind, fields) = ("create".to_owned(), "contact".to_owned(), json!({ "email": "a@example.com" }));
    let edit = Edit { action, kind, account: account.ghl_location.clone(), id: None, parent: None, fields };
    sandbox.edit(NOW, ghl, &edit).unwrap();
    sandbox.faults.skew(ghl, -211_000);
    let mut found = |after: u64| {
        let request = http::Request::post("/ghl/contacts/search").header("version", "2021-07-28");
        let request = request.header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", account.ghl_token));
        let body = json!({ "locationId": account.ghl_location, "pageLimit": 10 }).to_string();
        let answer = sandbox.answer(NOW + Duration::from_millis(after), request.body(body.into()).unwrap());
        serde_json::from_slice::<Value>(answer.response.body()).unwrap()["total"].clone()
    };
    assert_eq!([found(3_999), found(4_000)], [0, 1]);
}

#[test]
fn a_wrong_clock_shows_in_the_date_and_refuses_our_timestamps() {
    let mut sandbox = Sandbox::new(&SandboxSettings::example());
    sandbox.faults.skew(StandIn::extension(System::Timerex), 400_000);
    let answer = sandbox.answer(NOW, write("k1"));
    assert_eq!(answer.response.status(), 401);
    assert_eq!(answer.response.headers()["date"], "Wed, 25 Mar 2026 18:53:11 GMT");
    assert_eq!(
        sandbox.answer(NOW, http::Request::get("/elsewhere").body(Bytes::new()).unwrap()).response.status(),
        404
    );
}

fn webhook(id: &str) -> Webhook {
    let (system, account) = (System::Timerex, "sandbox_team_1".to_owned());
    let body = json!({ "webhook_type": "event_confirmed" });
    Webhook { system, extension: false, account, id: id.to_owned(), body, push_to: None }
}

fn outbox() -> Outbox {
    let url = "http://127.0.0.1:9/".to_owned();
    let receiver = Receiver { system: System::Timerex, extension: false, account: None, url };
    Outbox::new(delivery::DeliverySettings::default(), vec![receiver])
}

const TIMEREX: StandIn = StandIn { system: System::Timerex, extension: false };

#[test]
fn a_failed_delivery_is_repeated_with_the_same_id_and_body_and_then_given_up() {
    let mut outbox = outbox();
    outbox.accept(&webhook("a"), NOW);
    let mut now = NOW;
    let mut bodies = Vec::new();
    for status in [Some(500), None, Some(404)] {
        let sending = outbox.take_due(now).pop().unwrap();
        assert!(outbox.take_due(now).is_empty());
        bodies.push((sending.id, sending.body));
        outbox.settle(sending.number, status, now);
        now = outbox.next_due(now).unwrap_or(now);
    }
    assert!(bodies.iter().all(|one| *one == bodies[0]));
    assert_eq!(now, NOW + Duration::from_secs(1));
    let delivery = &outbox.list(0)[0];
    assert_eq!((delivery.state, delivery.attempts.len(), outbox.pending()), (DeliveryState::Failed, 3, 0));
}

fn of_ghl(word: &str) -> Webhook {
    let body = json!({ "type": word, "webhookId": "w1" });
    let (account, id) = ("loc".to_owned(), "w1".to_owned());
    Webhook { system: System::Ghl, extension: false, account, id, body, push_to: None }
}

/// An outbox of GHL with its default URL, and one for the account `loc`.
fn ghl_outbox(settings: delivery::DeliverySettings) -> Outbox {
    let to = |account: Option<&str>, url: &str| Receiver {
        system: System::Ghl,
        extension: false,
        account: account.map(str::to_owned),
        url: url.to_owned(),
    };
    Outbox::new(settings, vec![to(None, "http://default/"), to(Some("loc"), "http://own/")])
}

#[test]
fn ghl_repeats_twelve_times_ever_later_with_jitter_under_the_same_id() {
    let settings = delivery::DeliverySettings::default();
    let plain = settings.ghl;
    let mut outbox = ghl_outbox(settings);
    outbox.accept(&of_ghl("ContactCreate"), NOW);
    let (mut now, mut sent, mut waits) = (NOW, Vec::new(), Vec::new());
    while let Some(sending) = outbox.take_due(now).pop() {
        sent.push((sending.id, sending.body));
        outbox.settle(sending.number, [Some(500), None, Some(302), Some(404)][sent.len() % 4], now);
        let next = outbox.next_due(now).unwrap_or(now);
        waits.push(next.since(now));
        now = next;
    }
    assert_eq!(sent.len(), 13, "the first try and twelve more");
    assert!(sent.iter().all(|one| *one == sent[0]));
    let mut without = plain.first;
    for wait in &waits[..12] {
        assert!((without..=without * 5 / 4).contains(wait), "{wait:?} after {without:?}");
        without = (without * plain.factor).min(plain.longest);
    }
    assert!(waits[..4].iter().any(|wait| !wait.as_millis().is_multiple_of(200)), "no jitter in {waits:?}");
    assert_eq!(outbox.list(0)[0].state, DeliveryState::Failed);
}

#[test]
fn ghl_stops_repeating_at_the_first_success() {
    let mut outbox = ghl_outbox(delivery::DeliverySettings::default());
    outbox.accept(&of_ghl("ContactCreate"), NOW);
    for (status, pending) in [(Some(503), 1), (Some(202), 0)] {
        let now = outbox.next_due(NOW).unwrap_or(NOW);
        let sending = outbox.take_due(now).pop().unwrap();
        outbox.settle(sending.number, status, now);
        assert_eq!(outbox.pending(), pending);
    }
}

#[test]
fn ghl_tells_of_installs_at_the_default_url_only_and_late_when_asked() {
    let ghl_install_delay = Duration::from_secs(5);
    let mut outbox = ghl_outbox(delivery::DeliverySettings { ghl_install_delay, ..Default::default() });
    for word in ["INSTALL", "UNINSTALL", "ContactCreate"] {
        outbox.accept(&of_ghl(word), NOW);
    }
    let mut urls = |now: Millis| {
        let mut urls = Vec::new();
        while let Some(sending) = outbox.take_due(now).pop() {
            outbox.settle(sending.number, Some(200), now);
            urls.push(sending.url);
        }
        urls
    };
    assert_eq!(urls(NOW), ["http://default/", "http://own/"]);
    assert_eq!(urls(NOW + ghl_install_delay), ["http://default/"]);
}

#[test]
fn an_install_by_oauth_works_below_the_stand_ins_path_and_its_calls_are_of_its_location() {
    let settings = SandboxSettings::example();
    let (client, location) = (&settings.ghl.client, settings.workspaces[0].ghl_location.as_str());
    let mut sandbox = Sandbox::new(&settings);
    let query = format!("response_type=code&client_id={}&redirect_uri={}", client.id, client.redirect_uris[0]);
    let target = format!("/ghl/v2/oauth/chooselocation/choose?{query}&state=s&account={location}");
    let chosen = sandbox.answer(NOW, http::Request::get(target).body(Bytes::new()).unwrap());
    assert_eq!((chosen.response.status().as_u16(), chosen.webhooks.len()), (302, 1));
    let back = chosen.response.headers()["location"].to_str().unwrap();
    let code = back.split("code=").nth(1).unwrap().strip_suffix("&state=s").unwrap();
    let secret = client.secret.expose();
    let form = format!("client_id={}&client_secret={secret}&grant_type=authorization_code&code={code}", client.id);
    let asked = http::Request::post("/ghl/oauth/token").header("content-type", "application/x-www-form-urlencoded");
    let tokens = sandbox.answer(NOW, asked.body(form.into()).unwrap());
    let tokens: Value = serde_json::from_slice(tokens.response.body()).unwrap();
    let read = http::Request::get(format!("/ghl/locations/{location}")).header("version", "2021-07-28");
    let read = read.header("authorization", format!("Bearer {}", tokens["access_token"].as_str().unwrap()));
    assert_eq!(sandbox.answer(NOW, read.body(Bytes::new()).unwrap()).response.status(), 200);
    let rows = sandbox.requests(0);
    assert_eq!(rows[2].account.as_deref(), Some(location));
    assert!(rows.iter().all(|row| !row.write), "none of it changes objects");
}

#[test]
fn held_deliveries_go_in_reverse_when_asked_and_duplicates_and_losses_are_on_demand() {
    let mut outbox = outbox();
    outbox.hold(TIMEREX, Some(2));
    for id in ["a", "b", "c"] {
        outbox.accept(&webhook(id), NOW);
    }
    let drain = |outbox: &mut Outbox| {
        let mut ids = Vec::new();
        while let Some(sending) = outbox.take_due(NOW).pop() {
            outbox.settle(sending.number, Some(200), NOW);
            ids.push(sending.id);
        }
        ids
    };
    assert_eq!(drain(&mut outbox), ["c"]);
    assert_eq!(outbox.release(TIMEREX, true, NOW), 2);
    assert_eq!(drain(&mut outbox), ["b", "a"]);
    outbox.duplicate(TIMEREX, 1);
    for id in ["d", "e"] {
        outbox.accept(&webhook(id), NOW);
    }
    assert_eq!(drain(&mut outbox), ["d", "d", "e"]);
    outbox.lose(TIMEREX, 1);
    outbox.accept(&webhook("f"), NOW);
    assert!(drain(&mut outbox).is_empty());
    assert_eq!(outbox.list(6)[0].state, DeliveryState::Lost);
}

#[test]
fn a_push_goes_to_the_url_that_was_named_and_is_tried_three_times() {
    let mut outbox = outbox();
    let to = "http://127.0.0.1:9/watch".to_owned();
    outbox.accept(&Webhook { push_to: Some(to.clone()), ..webhook("a") }, NOW);
    let mut now = NOW;
    for _ in 0..3 {
        let sending = outbox.take_due(now).pop().unwrap();
        assert_eq!((sending.url.as_str(), sending.push), (to.as_str(), true));
        outbox.settle(sending.number, Some(404), now);
        now = outbox.next_due(now).unwrap_or(now);
    }
    assert_eq!(outbox.list(0)[0].state, DeliveryState::Failed);
    outbox.accept(&Webhook { push_to: Some(to), ..webhook("b") }, now);
    let sending = outbox.take_due(now).pop().unwrap();
    outbox.settle(sending.number, Some(204), now);
    assert_eq!(outbox.list(1)[0].state, DeliveryState::Delivered);
}

#[test]
fn a_webhook_without_a_receiver_is_not_kept_waiting() {
    let mut outbox = Outbox::new(delivery::DeliverySettings::default(), Vec::new());
    outbox.accept(&webhook("a"), NOW);
    assert!(outbox.take_due(NOW).is_empty());
    assert_eq!(outbox.list(0)[0].state, DeliveryState::NoReceiver);
}

#[test]
fn a_forged_delivery_has_the_right_form_and_proves_nothing() {
    let settings = SandboxSettings::example();
    let signer = Signer::new(&settings).unwrap();
    let account = settings.workspaces[0].timerex_team.as_str();
    let (extension, body) = (StandIn::extension(System::Timerex), b"{}");
    let good = signer.headers(extension, account, "m", NOW, body);
    let forged = signer.amiss(Signature::Wrong, extension, account, "m", NOW, body);
    let passes = |headers: &[signing::Header]| {
        let secret = &settings.timerex_extension.accounts[0].secret;
        standard_webhooks_match(secret, &headers[0].1, &headers[1].1, body, &headers[2].1)
    };
    assert!(passes(&good) && !passes(&forged));
    assert_eq!(good[2].1.len(), forged[2].1.len());
    let none = signer.amiss(Signature::Na, StandIn::vendor(System::Ghl), "", "m", NOW, body);
    assert_eq!(none[0], ("x-ghl-signature".to_owned(), "N/A".to_owned()));
    let missing = signer.amiss(Signature::Missing, TIMEREX, account, "m", NOW, body);
    assert!(missing.iter().all(|(name, _)| name != "x-timerex-authorization"));
}

#[rstest::rstest]
#[case::forbidden(json!({ "toNotify": false }), &[])]
#[case::left_open(json!({}), &["default", "default"])]
#[case::asked(json!({ "toNotify": true }), &["asked", "asked"])]
fn ghls_calls_about_appointments_are_written_down_where_they_let_it_write_to_the_contact(
    #[case] said: Value,
    #[case] reasons: &'static [&'static str],
) {
    let settings = SandboxSettings::example();
    let (mut sandbox, account) = (Sandbox::new(&settings), &settings.workspaces[0]);
    let fields = json!({ "firstName": "Hanako" });
    let [action, kind] = ["create", "contact"].map(str::to_owned);
    let edit = Edit { action, kind, account: account.ghl_location.clone(), id: None, parent: None, fields };
    let (contact, _) = sandbox.edit(NOW, StandIn::vendor(System::Ghl), &edit).unwrap();
    let mut call = |method: &str, path: &str, mut body: Value| -> Value {
        body.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        let request = http::Request::builder().method(method).uri(format!("/ghl/calendars/events/appointments{path}"));
        let request = request.header("authorization", format!("Bearer {}", account.ghl_token));
        let request = request.header("version", "2021-04-15").header("content-type", "application/json");
        let response = sandbox.answer(NOW, request.body(body.to_string().into()).unwrap()).response;
        serde_json::from_slice(response.body()).unwrap()
    };
    let made = json!({
        "calendarId": account.ghl_calendar, "locationId": account.ghl_location, "contactId": contact,
        "startTime": "2026-04-04T09:00:00Z", "ignoreFreeSlotValidation": true,
    });
    let id = call("POST", "", made)["id"].as_str().unwrap().to_owned();
    call("PUT", &format!("/{id}"), json!({ "title": "Second talk", "ignoreFreeSlotValidation": true }));
    let state = sandbox.state();
    let notified = state["ghl"]["notified"].as_array().unwrap();
    let told: Vec<_> = notified.iter().map(|row| row["reason"].as_str().unwrap()).collect();
    assert_eq!(told, reasons);
    assert!(notified.iter().all(|row| row["id"] == id.as_str()));
}

/// The header names of a delivery, as documented for it.
fn documented_headers(path: &str) -> Vec<String> {
    let path = format!("{}/tests/fixtures/{path}.json", env!("CARGO_MANIFEST_DIR"));
    let headers: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut names: Vec<_> = headers.as_object().unwrap().keys().cloned().collect();
    names.retain(|name| name != "content-type");
    names.sort();
    names
}

#[test]
fn timerex_proves_itself_under_either_header() {
    let cases = [("x-timerex-authorization", "webhook_headers"), ("authorization", "webhook_headers_legacy")];
    for (header, documented) in cases {
        let mut settings = SandboxSettings::example();
        settings.timerex_header = header.to_owned();
        let account = &settings.workspaces[0];
        let headers = Signer::new(&settings).unwrap().headers(TIMEREX, &account.timerex_team, "m", NOW, b"{}");
        let mut names: Vec<_> = headers.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        assert_eq!(names, documented_headers(&format!("timerex/{documented}")));
        let (_, token) = headers.iter().find(|(name, _)| name == header).unwrap();
        assert_eq!(*token, account.timerex_webhook_token);
    }
}

#[test]
fn timify_proves_itself_by_the_header_that_was_chosen() {
    let mut settings = SandboxSettings::example();
    settings.timify_header = ("x-your-chosen-header".into(), "YOUR_CHOSEN_SECRET".into());
    let headers = Signer::new(&settings).unwrap().headers(StandIn::vendor(System::Timify), "", "m", NOW, b"{}");
    let names: Vec<_> = headers.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, documented_headers("timify/assumed/timify_webhook_headers"));
    assert_eq!(headers[0].1, "YOUR_CHOSEN_SECRET");
}

type Heard = (http::HeaderMap, Bytes);

/// A receiver that answers 500 to the first try and 200 to all others.
async fn receiver() -> (String, mpsc::UnboundedReceiver<Heard>) {
    let (tell, heard) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhooks/timerex", listener.local_addr().unwrap());
    let tries = std::sync::atomic::AtomicU32::new(0);
    let tries = std::sync::Arc::new(tries);
    let route = axum::routing::post(move |headers: http::HeaderMap, body: Bytes| async move {
        tell.send((headers, body)).unwrap();
        let first = tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        if first { http::StatusCode::INTERNAL_SERVER_ERROR } else { http::StatusCode::OK }
    });
    let router = axum::Router::new().route("/webhooks/timerex", route);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, heard)
}

/// A sandbox on a free port; gives its base URL.
async fn served(stop: &CancellationToken) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let mut settings = SandboxSettings::example();
    settings.delivery.timerex.first = Duration::from_millis(1);
    settings.delivery.extension.first = Duration::from_millis(1);
    tokio::spawn(shell::serve(listener, settings, stop.clone()));
    base
}

async fn post(base: &str, path: &str, body: Value) -> Value {
    let request = reqwest::Client::builder().no_proxy().build().unwrap().post(format!("{base}{path}"));
    let request = request.header("content-type", "application/json").body(body.to_string());
    let response = request.send().await.unwrap();
    assert!(response.status().is_success(), "{path}: {}", response.status());
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default()
}

async fn get(base: &str, path: &str) -> Value {
    let response = reqwest::Client::builder().no_proxy().build().unwrap().get(format!("{base}{path}"));
    serde_json::from_slice(&response.send().await.unwrap().bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_signed_delivery_reaches_a_listener_and_is_repeated_until_it_is_taken() {
    let stop = CancellationToken::new();
    let base = served(&stop).await;
    let (url, mut heard) = receiver().await;
    let receivers = json!({ "receivers": [{ "system": "timerex", "extension": true, "url": url }] });
    post(&base, "/control/receivers", receivers).await;
    let edit = json!({
        "system": "timerex", "extension": true, "action": "create", "kind": "contact", "account": "sandbox_team_1",
        "fields": { "name": "山田 花子" },
    });
    let made = post(&base, "/control/edits", edit).await;
    let keys = get(&base, "/control/keys").await;
    let secret = keys["workspaces"][0]["timerex_extension_secret"].as_str().unwrap();
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let (headers, body) = heard.recv().await.unwrap();
        let header = |name: &str| headers[name].to_str().unwrap();
        assert_eq!(header("webhook-id"), made["webhooks"][0].as_str().unwrap());
        let (timestamp, signature) = (header("webhook-timestamp"), header("webhook-signature"));
        assert!(standard_webhooks_match(secret, header("webhook-id"), timestamp, &body, signature));
        bodies.push(body);
    }
    assert_eq!(bodies[0], bodies[1]);
    let told: Value = serde_json::from_slice(&bodies[0]).unwrap();
    assert_eq!((&told["type"], &told["data"]["id"]), (&json!("contact.created"), &made["id"]));
    let state = get(&base, "/control/state").await;
    assert_eq!(state["extension"]["timerex"]["sandbox_team_1"]["contacts"][0]["name"], "山田 花子");
    stop.cancel();
}

#[tokio::test]
async fn a_push_reaches_the_url_that_was_named_without_any_token() {
    let stop = CancellationToken::new();
    let base = served(&stop).await;
    let (url, mut heard) = receiver().await;
    let keys = get(&base, "/control/keys").await;
    let [key, calendar] = ["timerex_key", "timerex_calendar"].map(|key| keys["workspaces"][0][key].as_str().unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let call = |path: String, body: Value| {
        let request = client.post(format!("{base}/timerex/api/beta{path}")).header("x-api-key", key);
        request.body(body.to_string()).send()
    };
    let made = call(format!("/calendars/{calendar}/one-time-url"), json!({})).await.unwrap();
    let link: Value = serde_json::from_slice(&made.bytes().await.unwrap()).unwrap();
    let id = link["id"].as_str().unwrap();
    let watch = json!({ "token": "t1", "notification_url": url });
    assert_eq!(call(format!("/calendars/one-time-url/{id}/watch"), watch).await.unwrap().status(), 201);
    let edit = json!({
        "system": "timerex", "action": "create", "kind": "appointment", "account": "sandbox_team_1",
        "fields": { "link": link["url"], "start_datetime": "2026-03-10T01:00:00Z" },
    });
    post(&base, "/control/edits", edit).await;
    for _ in 0..2 {
        let (headers, body) = heard.recv().await.unwrap();
        assert_eq!(
            (headers.get("x-timerex-authorization"), &headers["content-type"]),
            (None, &"application/json".parse().unwrap())
        );
        let told: Value = serde_json::from_slice(&body).unwrap();
        let expected = json!({ "id": id, "url": link["url"] });
        assert_eq!(told, json!({ "token": "t1", "status": "confirmed", "one_time_url": expected }));
    }
    stop.cancel();
}

#[tokio::test]
async fn a_cut_connection_gives_no_answer_and_the_next_request_does() {
    let stop = CancellationToken::new();
    let base = served(&stop).await;
    let cut = json!({ "system": "timerex", "kind": "cut_before_apply", "count": 1 });
    post(&base, "/control/faults", cut).await;
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = format!("{base}/timerex/api/beta/user/me");
    assert!(client.get(&url).send().await.is_err());
    assert_eq!(client.get(&url).send().await.unwrap().status(), 302);
    let log = get(&base, "/control/requests").await;
    assert_eq!(log["requests"][0]["status"], Value::Null);
    assert_eq!(log["requests"][1]["status"], 302);
    stop.cancel();
}

#[tokio::test]
async fn an_edit_in_ghl_is_told_under_the_published_key() {
    let stop = CancellationToken::new();
    let base = served(&stop).await;
    let (url, mut heard) = receiver().await;
    post(&base, "/control/receivers", json!({ "receivers": [{ "system": "ghl", "url": url }] })).await;
    let keys = get(&base, "/control/keys").await;
    let edit = json!({
        "system": "ghl", "action": "create", "kind": "contact", "account": keys["workspaces"][0]["ghl_location"],
        "fields": { "firstName": "Hanako", "email": "hanako.yamada@example.test" },
    });
    let made = post(&base, "/control/edits", edit).await;
    let (headers, body) = heard.recv().await.unwrap();
    let told: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&told["type"], &told["webhookId"]), (&json!("ContactCreate"), &made["webhooks"][0]));
    assert_eq!(told["appId"], keys["ghl"]["app_id"]);
    let pem: String = keys["ghl"]["ed25519_pem"].as_str().unwrap().lines().filter(|line| !line.contains('-')).collect();
    let [key, signature] =
        [pem.as_bytes(), headers["x-ghl-signature"].as_bytes()].map(|text| BASE64.decode(text).unwrap());
    UnparsedPublicKey::new(&ED25519, key).verify(&body, &signature).unwrap();
    stop.cancel();
}

#[tokio::test]
async fn the_control_api_names_what_it_does_not_know() {
    let stop = CancellationToken::new();
    let base = served(&stop).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let refused = [
        ("/control/faults", json!({ "system": "ghl", "kind": "earthquake" })),
        ("/control/edits", json!({ "system": "timify", "action": "create", "kind": "task", "account": "nobody" })),
    ];
    for (path, body) in refused {
        let request = client.post(format!("{base}{path}")).header("content-type", "application/json");
        let response = request.body(body.to_string()).send().await.unwrap();
        assert_eq!(response.status(), 422, "{path}");
    }
    stop.cancel();
}
