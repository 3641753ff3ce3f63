//! What proves a webhook of GHL, over time: late and repeated deliveries, the end of the older signature, a signature that
//! stops coming, and installs that nobody knows yet.

use std::time::Duration;

use lockstep::clock::{Clock, Millis};
use lockstep::model::{ChangeId, Standing, System};
use serde_json::{Value, json};

use crate::support::databases::{Database, on_both};
use crate::support::doorway::Doorway;

const START: &str = "2026-08-20T10:00:00.000Z";
const DAY: Duration = Duration::from_hours(24);

type Headers = Vec<(String, String)>;

fn body(door: &Doorway, webhook: &str, more: &Value) -> String {
    let app = &door.settings.ghl.app_id;
    let mut body = json!({
        "type": "ContactUpdate", "locationId": door.settings.workspaces[0].ghl_location, "versionId": app, "appId": app,
        "id": "c1", "timestamp": door.clock.now().rfc3339(), "webhookId": webhook
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

/// The headers without one of the signatures.
fn without(headers: &Headers, name: &str) -> Headers {
    headers.iter().filter(|(known, _)| known != name).cloned().collect()
}

fn recorded() -> (u16, String) {
    (200, "recorded".to_owned())
}

fn duplicate() -> (u16, String) {
    (200, "duplicate".to_owned())
}

fn unauthorized() -> (u16, String) {
    (401, "unauthorized".to_owned())
}

async fn a_delivery_that_comes_days_late_is_accepted_once(database: &mut Database) {
    let door = Doorway::open(&database.store, START, false, |_| {}).await;
    let (first, lost) = (body(&door, "w1", &json!({})), body(&door, "w2", &json!({})));
    let (first_headers, lost_headers) = (door.signed(first.as_bytes()), door.signed(lost.as_bytes()));
    assert_eq!(door.post(&first_headers, &first).await, recorded());
    for _ in 0..3 {
        door.clock.advance(DAY);
        assert_eq!(door.post(&first_headers, &first).await, duplicate(), "the vendor repeats for three days");
    }
    assert_eq!(door.post(&lost_headers, &lost).await, recorded(), "its first try was lost");
    assert_eq!(door.post(&lost_headers, &lost).await, duplicate());
    let other = body(&door, "w3", &json!({}));
    assert_eq!(door.post(&first_headers, &other).await, unauthorized(), "a signature is of one body");
}

async fn an_age_limit_is_kept_where_one_is_set(database: &mut Database) {
    let limit = |config: &mut lockstep::config::Config| config.systems.ghl.max_age = Some(4 * DAY);
    let door = Doorway::open(&database.store, START, false, limit).await;
    let (first, old) = (body(&door, "w1", &json!({})), body(&door, "w2", &json!({})));
    door.clock.advance(4 * DAY);
    assert_eq!(door.post(&door.signed(first.as_bytes()), &first).await, recorded());
    door.clock.advance(Duration::from_millis(1));
    assert_eq!(door.post(&door.signed(old.as_bytes()), &old).await, unauthorized());
    let timeless = json!({ "timestamp": null });
    let timeless = body(&door, "w3", &timeless);
    assert_eq!(door.post(&door.signed(timeless.as_bytes()), &timeless).await, unauthorized());
}

async fn the_older_signature_proves_something_until_its_date(database: &mut Database) {
    let ends = Millis::parse("2026-09-01T00:00:00.000Z").unwrap();
    let door = Doorway::open(&database.store, START, true, |_| {}).await;
    assert_eq!(door.config.systems.ghl.rsa_until, ends, "the date that the vendor announced");
    let na: (String, String) = ("x-ghl-signature".into(), "N/A".into());
    let deliveries: Vec<(String, Headers)> = (0..8)
        .map(|number| {
            let body = body(&door, &format!("w{number}"), &json!({}));
            let headers = door.signed(body.as_bytes());
            (body, headers)
        })
        .collect();
    let older = |at: usize| without(&deliveries[at].1, "x-ghl-signature");
    assert_eq!(door.post(&older(0), &deliveries[0].0).await, recorded());
    let unsigned_newer = [older(1), vec![na.clone()]].concat();
    assert_eq!(door.post(&unsigned_newer, &deliveries[1].0).await, recorded(), "N/A is no signature");
    let wrong_newer = [older(2), vec![(na.0.clone(), "AAAA".into())]].concat();
    assert_eq!(door.post(&wrong_newer, &deliveries[2].0).await, unauthorized(), "there is no falling back");
    assert_eq!(door.post(&deliveries[3].1, &deliveries[3].0).await, recorded(), "both");
    assert_eq!(door.post(&older(3), &deliveries[3].0).await, duplicate(), "repeated under the other signature");

    door.clock.advance(ends.since(door.clock.now()));
    for at in [4, 5] {
        assert_eq!(door.post(&older(at), &deliveries[at].0).await, unauthorized());
    }
    let unsigned_newer = [older(4), vec![na]].concat();
    assert_eq!(door.post(&unsigned_newer, &deliveries[4].0).await, unauthorized());
    assert_eq!(door.post(&deliveries[5].1, &deliveries[5].0).await, recorded(), "the newer one beside it");
    let newer = without(&deliveries[6].1, "x-wh-signature");
    assert_eq!(door.post(&newer, &deliveries[6].0).await, recorded());
}

async fn a_signature_that_stops_coming_is_told_until_it_comes_again(database: &mut Database) {
    let later = |config: &mut lockstep::config::Config| config.systems.ghl.rsa_until = Millis(4_000_000_000_000);
    let mut door = Doorway::open(&database.store, START, true, later).await;
    let mut number = 0;
    let mut come = async |door: &Doorway, times: u32, missing: &str| {
        for _ in 0..times {
            number += 1;
            let body = body(door, &format!("w{number}"), &json!({}));
            let headers = without(&door.signed(body.as_bytes()), missing);
            assert_eq!(door.post(&headers, &body).await, recorded());
            door.clock.advance(Duration::from_mins(2));
        }
    };
    come(&door, 1, "").await;
    assert_eq!(door.health().await["alarms"], json!([]));
    // The newer signature goes, and the older one would hide it: until its own end.
    come(&door, 25, "x-ghl-signature").await;
    assert_eq!(door.health().await["alarms"], json!([]), "not for an hour yet");
    door.intake.sightings().keep(door.store.as_ref(), door.clock.now()).await.unwrap();
    door = door.again().await;
    come(&door, 25, "x-ghl-signature").await;
    let alarms = door.health().await["alarms"].take();
    assert_eq!(alarms.as_array().unwrap().len(), 1, "{alarms}");
    let alarm = &alarms[0];
    assert_eq!((&alarm["system"], &alarm["header"]), (&json!("ghl"), &json!("x-ghl-signature")), "{alarm}");
    assert_eq!(alarm["last_seen"], START);
    come(&door, 1, "").await;
    assert_eq!(door.health().await["alarms"], json!([]));
}

async fn an_install_of_an_unknown_account_is_kept_for_those_who_act_on_it(database: &mut Database) {
    let door = Doorway::open(&database.store, START, false, |_| {}).await;
    let installs = [
        json!({ "type": "INSTALL", "installType": "Location", "locationId": "LocNobodyKnows00000", "companyId": "Comp1" }),
        json!({ "type": "INSTALL", "locationId": null, "companyId": "Comp1" }),
        json!({ "type": "UNINSTALL", "locationId": null, "companyId": "Comp1" }),
        json!({ "type": "INSTALL", "companyId": "Comp1" }),
    ];
    for (number, install) in installs.iter().enumerate() {
        let body = body(&door, &format!("w{number}"), install);
        assert_eq!(door.post(&door.signed(body.as_bytes()), &body).await, recorded());
    }
    let told = door.store.told_of_installs(System::Ghl, ChangeId(0), 100).await.unwrap();
    let told: Vec<(&str, Standing, Option<&str>)> = told
        .iter()
        .map(|change| (change.said.label.as_str(), change.said.standing, change.said.workspace.as_deref()))
        .collect();
    let workspace = door.settings.workspaces[0].name.as_str();
    let kept = |label: &'static str, workspace| (label, Standing::NotMirrored, workspace);
    let expected =
        [kept("INSTALL", None), kept("INSTALL", None), kept("UNINSTALL", None), kept("INSTALL", Some(workspace))];
    assert_eq!(told, expected);
}

on_both!(
    a_delivery_that_comes_days_late_is_accepted_once,
    an_age_limit_is_kept_where_one_is_set,
    the_older_signature_proves_something_until_its_date,
    a_signature_that_stops_coming_is_told_until_it_comes_again,
    an_install_of_an_unknown_account_is_kept_for_those_who_act_on_it,
);
