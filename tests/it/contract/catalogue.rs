//! Each body that GHL documents, and each that somebody captured, from the signed delivery to what is made of it.
//!
//! In: all files of `tests/fixtures/ghl/events`, in the envelope that real deliveries have. Out: a snapshot a file, of the
//! row that the real way in records in a real store, and of the observations that are read from it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use insta::assert_snapshot;
use lockstep::app;
use lockstep::clock::Clock;
use lockstep::model::{Standing, System};
use lockstep::receive::{Receipt, Rejected};
use lockstep::secret::digest;
use lockstep::verify::Refusal;
use serde_json::{Map, Value, json};

use super::telling::{arrival, here, names, snapshots, told};
use crate::support::databases::Database;
use crate::support::doorway::Doorway;

/// When a delivery was made whose body does not say it.
const SENT: &str = "2026-08-30T10:00:00.000Z";

/// The body of this name is of another product of the vendor, which signs nothing.
const UNSIGNED: &str = "observed-workflow-custom-webhook-unsigned";

/// Name and body of each file; beside the bodies stand the documents' schemas of them.
fn bodies() -> Vec<(String, Value)> {
    let folder = here("fixtures/ghl/events");
    let read = |path: PathBuf| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let documented = names(&folder, ".json").into_iter().filter(|name| !name.ends_with(".schema"));
    let documented = documented.map(|name| (name.clone(), read(folder.join(format!("{name}.json")))));
    let folder = folder.join("observed");
    let observed = names(&folder, ".json").into_iter();
    let observed = observed.map(|name| (format!("observed-{name}"), read(folder.join(format!("{name}.json")))));
    documented.chain(observed).collect()
}

/// The body as it is delivered to us: compact, with the envelope's keys in the captured order, about the location that the
/// workspace has. The documented examples of `AppointmentUpdate` and `AppointmentDelete` are of the type `AppointmentCreate`,
/// which is a slip.
fn delivered(name: &str, body: &Value, door: &Doorway) -> String {
    let (app, location) = (&door.settings.ghl.app_id, &door.settings.workspaces[0].ghl_location);
    let body = body.as_object().unwrap();
    let mut whole = Map::new();
    let mut put = |key: &str, value: Value| {
        whole.entry(key).or_insert(value);
    };
    for key in ["type", "locationId", "versionId", "appId"] {
        match (key, body.get(key)) {
            ("type", Some(_)) if name.starts_with("Appointment") => put(key, json!(name)),
            ("versionId" | "appId", _) => put(key, json!(app)),
            ("locationId", Some(_)) => put(key, json!(location)),
            (_, Some(value)) => put(key, value.clone()),
            (_, None) => {}
        }
    }
    let ends = ["timestamp", "webhookId"];
    for (key, value) in body.iter().filter(|(key, _)| !ends.contains(&key.as_str())) {
        put(key, value.clone());
    }
    put("timestamp", body.get("timestamp").cloned().unwrap_or(json!(SENT)));
    put("webhookId", body.get("webhookId").cloned().unwrap_or(json!(webhook_id(name))));
    Value::Object(whole).to_string()
}

/// A UUID that is always the same for a file.
fn webhook_id(name: &str) -> String {
    let digits = hex::encode(digest(name.as_bytes()));
    format!("{}-{}-4{}-8{}-{}", &digits[..8], &digits[8..12], &digits[12..15], &digits[15..18], &digits[18..30])
}

#[tokio::test]
async fn every_known_body_is_recorded_and_read_as_its_documents_say() {
    let database = Database::sqlite().await;
    let door = Doorway::open(&database.store, SENT, false, |_| {}).await;
    let sites = app::sites(&door.config).unwrap();
    let settings = snapshots("catalogue");
    for (name, body) in bodies() {
        let body = delivered(&name, &body, &door);
        let headers = if name == UNSIGNED { Vec::new() } else { door.signed(body.as_bytes()) };
        let receipt = door.intake.accept(arrival(System::Ghl, &headers, body.as_bytes())).await;
        let text = match receipt {
            Err(rejected) => format!("rejected: {rejected}\n"),
            Ok(receipt) => {
                assert_eq!(receipt, Receipt::Recorded, "{name}");
                let change = door.newest().await.unwrap();
                assert_eq!(change.said.body, body.as_bytes(), "{name}: the body is kept as it came");
                assert_eq!(change.said.received, door.clock.now());
                let workspace = change.said.workspace.as_deref().filter(|_| change.said.standing == Standing::Routed);
                let terms = workspace.and_then(|workspace| sites[workspace].terms(System::Ghl));
                let observations = terms.map(|terms| terms.observe(&change).unwrap()).unwrap_or_default();
                let again = door.intake.accept(arrival(System::Ghl, &headers, body.as_bytes())).await;
                assert_eq!(again, Ok(Receipt::Duplicate), "{name}");
                told(&change, &observations)
            }
        };
        settings.bind(|| assert_snapshot!(name.as_str(), text));
    }
}

#[test]
fn every_snapshot_has_its_body() {
    let bodies: BTreeSet<String> = bodies().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names(&here("it/contract/snapshots/catalogue"), ".snap"), bodies);
}

#[tokio::test]
async fn a_changed_byte_of_any_known_body_is_refused() {
    /// Bytes that are changed in each body, one at a time.
    const CHANGED: usize = 16;
    let database = Database::sqlite().await;
    let door = Doorway::open(&database.store, SENT, false, |_| {}).await;
    for (name, body) in bodies() {
        let body = delivered(&name, &body, &door).into_bytes();
        let headers = door.signed(&body);
        for change in 0..CHANGED {
            let mut changed = body.clone();
            changed[change * (body.len() - 1) / (CHANGED - 1)] ^= 1 << (change % 8);
            let answer = door.intake.accept(arrival(System::Ghl, &headers, &changed)).await;
            assert_eq!(answer, Err(Rejected::Refused(Refusal::Bad)), "{name}");
        }
    }
    assert!(door.newest().await.is_none(), "nothing of it is kept");
}
