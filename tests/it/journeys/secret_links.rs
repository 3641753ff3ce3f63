//! Links with which whoever holds them can act: they reach no store, no log and no screen, unless the operator says so, and
//! what is decided is the same either way.

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit, Mac};
use http::StatusCode;
use lockstep::config::{Config, SecretLinks};
use lockstep::model::{Standing, System};
use lockstep::secret::Secret;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::databases::{Place, on_both};
use crate::support::logs;
use crate::support::world::{Plan, World};

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const GATEWAY: &str = "what-the-gateway-signs-with";
const GUEST: &str = "guest@example.test";
const BOOKED: &str = include_str!("../../fixtures/timerex/event_confirmed.json");

/// What stands in the webhooks of TimeRex's stand-in: the start of its links, and what lets one into the meeting.
const OF_TIMEREX: [&str; 4] =
    ["timerex.net/schedule/host_cancel/", "timerex.net/schedule/change/", "pwd=x", r#""password":"000000""#];

fn sealing(config: &mut Config) {
    config.seal.keys = vec![Secret::new(KEY)];
    config.store.secret_links = SecretLinks::Seal;
    let timerex = config.connections.get_mut("timerex-main").unwrap();
    timerex.hmac_header = Some("x-signature".parse().unwrap());
    timerex.hmac_secrets = vec![Secret::new(GATEWAY)];
}

async fn start(place: &Place, adjust: fn(&mut Config)) -> World {
    let mut plan = Plan::of(1);
    plan.settings.timerex.teams[0].calendars[0].meeting = Some(lockstep::sandbox::timerex::Meeting::Zoom);
    // Else another world's ids, some of which are logged, may be this one's secrets.
    plan.settings.seed = fastrand::u64(..);
    // The key stands in the operator's file.
    plan.service.dispatch += "[seal]\nkeys = [\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]\n";
    plan.adjust = adjust;
    plan.start(place).await
}

/// What a world comes to, without what is by chance.
#[derive(Debug, PartialEq, Eq)]
struct Came {
    writes: Vec<String>,
    appointments: Vec<[Value; 4]>,
    rows: BTreeSet<[String; 3]>,
}

/// A guest books in TimeRex, and a person moves it in TIMIFY; gives what came of it, and the secrets of the webhooks.
async fn book(world: &World) -> (Came, Vec<String>) {
    let account = world.account(0);
    let fields = json!({
        "calendar_id": account.timerex_calendar, "start_datetime": "2031-05-06T09:00:00Z",
        "end_datetime": "2031-05-06T09:30:00Z", "guest_name": "Gus Guest", "guest_email": GUEST, "guest_locale": "en"
    });
    world.edit(0, "timerex", "create appointment", json!({ "fields": fields })).await;
    world.settle().await;
    let booked = world.state().await["timify"][&account.timify_company]["appointments"][0].clone();
    let moved = json!({ "id": booked["id"], "fields": { "startDate": "2031-05-06T10:00:00Z" } });
    world.edit(0, "timify", "update appointment", moved).await;
    world.settle().await;

    let state = world.state().await;
    let held = state["ghl"]["appointments"].as_object().unwrap();
    let told = |one: &Value| ["startTime", "endTime", "title", "appointmentStatus"].map(|key| one[key].clone());
    let mut rows = BTreeSet::new();
    let person = world.app.store.named(GUEST).await.unwrap()[0];
    for entity in [vec![person], world.app.store.children(person, None).await.unwrap()].concat() {
        for (change, verdict) in world.app.store.story(entity).await.unwrap() {
            let what = format!("{} {}", change.said.system, change.said.label);
            rows.insert([what, verdict.outcome.to_string(), format!("{:?}", verdict.findings)]);
        }
    }
    let secret = booked["reschedulingSecret"].as_str().unwrap().to_owned();
    let secrets = OF_TIMEREX.iter().map(ToString::to_string).chain([secret]).collect();
    let appointments = held.values().map(told).collect();
    (Came { writes: world.writes(0).await, appointments, rows }, secrets)
}

async fn stored(world: &World) -> String {
    let rows = world.app.store.by_standing(Standing::Routed, 500).await.unwrap();
    rows.iter().map(|row| String::from_utf8_lossy(&row.said.body).into_owned()).collect::<Vec<_>>().join("\n")
}

fn among<'a>(text: &str, secrets: &'a [String]) -> Vec<&'a str> {
    secrets.iter().map(String::as_str).filter(|secret| text.contains(*secret)).collect()
}

async fn secrets_reach_no_store_no_log_and_no_screen_and_all_else_is_as_with_them(place: &mut Place) {
    logs::keep();
    let other = if place.is_sqlite() { Place::sqlite().await } else { Place::postgres().await };
    let keeping = start(&other, |config| config.store.secret_links = SecretLinks::Keep).await;
    let (with, secrets) = book(&keeping).await;
    assert_eq!(among(&stored(&keeping).await, &secrets), secrets, "the stand-ins send them all");
    let all = ["changes", "--routed", "--limit", "500", "--bodies"];
    assert_eq!(among(&keeping.command(&all), &secrets), [""; 0], "kept is not shown");
    let unsealed = [&all[..], &["--unseal"]].concat();
    assert_eq!(among(&keeping.command(&unsealed), &secrets), secrets);
    assert_eq!(among(&keeping.command(&["explain", GUEST]), &secrets), [""; 0]);
    keeping.stop().await;

    let dropping = start(place, |_| {}).await;
    let (without, more) = book(&dropping).await;
    let bodies = stored(&dropping).await;
    assert_eq!(among(&bodies, &more), [""; 0], "dropped by default");
    assert!(bodies.contains(r#""guest_cancel_url":"[dropped]""#), "{bodies}");
    assert!(bodies.contains(r#""reschedulingSecret":"[dropped]""#), "{bodies}");
    assert_eq!(without, with, "nothing is decided by them");
    dropping.stop().await;

    let said = logs::kept();
    assert!(said.contains("webhook stored"), "the log was kept");
    let told = |line: &&str| !among(line, &[&secrets[..], &more].concat()).is_empty();
    assert_eq!(said.lines().filter(told).collect::<Vec<_>>(), [""; 0]);
}

async fn what_is_sealed_is_opened_by_the_operator_with_the_key_only(place: &mut Place) {
    let world = start(place, sealing).await;
    let (_, secrets) = book(&world).await;
    assert_eq!(among(&stored(&world).await, &secrets), [""; 0]);
    let shown = world.command(&["changes", "--routed", "--limit", "500", "--bodies"]);
    assert!(shown.contains(r#""guest_reschedule_url":"sealed:"#), "{shown}");
    let opened = world.command(&["changes", "--routed", "--limit", "500", "--bodies", "--unseal"]);
    assert_eq!(among(&opened, &secrets), secrets);
    assert!(!opened.contains("sealed:"));
    world.stop().await;
}

/// How a gateway signs.
fn signed(body: &str) -> Vec<(String, String)> {
    let mut mac = Hmac::<Sha256>::new_from_slice(GATEWAY.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    vec![("x-signature".to_owned(), hex::encode(mac.finalize().into_bytes()))]
}

async fn signatures_and_repetitions_are_of_the_bytes_as_they_came(place: &mut Place) {
    let world = start(place, sealing).await;
    let body = BOOKED.replace("example_team_1a2b", &world.account(0).timerex_team);
    let headers = signed(&body);
    let at = body.find("schedule/cancel/").unwrap();
    for bit in 0..8 {
        let mut changed = body.clone().into_bytes();
        changed[at] ^= 1 << bit;
        let reply = world.post("/webhooks/timerex", &headers, changed).await;
        reply.assert_problem(401, "unauthorized");
    }
    assert!(stored(&world).await.is_empty());
    for expected in ["recorded", "duplicate", "duplicate"] {
        let reply = world.post("/webhooks/timerex", &headers, body.clone()).await;
        assert_eq!((reply.status, &reply.body["status"]), (StatusCode::OK, &json!(expected)));
    }
    world.settle().await;
    let rows = world.app.store.by_standing(Standing::Routed, 500).await.unwrap();
    let row = rows.iter().find(|row| row.said.label == "event_confirmed").unwrap();
    let text = String::from_utf8_lossy(&row.said.body).into_owned();
    assert_eq!(row.said.system, System::Timerex);
    assert_eq!(text.matches("\"sealed:").count(), 5, "three links, the meeting's link and its password");
    let around =
        |text: &str| text.lines().filter(|line| !line.contains("_url\": \"") && !line.contains("password")).count();
    assert_eq!(around(&text), around(&body), "all else stands as it came, line by line");
    world.stop().await;
}

on_both!(
    Place: secrets_reach_no_store_no_log_and_no_screen_and_all_else_is_as_with_them,
    what_is_sealed_is_opened_by_the_operator_with_the_key_only,
    signatures_and_repetitions_are_of_the_bytes_as_they_came,
);
