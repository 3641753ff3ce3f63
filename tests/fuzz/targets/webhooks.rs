//! Bodies of webhooks from senders that are proven: the way from a proof to observations.

use bytes::Bytes;
use lockstep::model::{Change, ChangeId, ExternalId, System};
use lockstep::record::place;
use lockstep::sandbox::StandIn;
use lockstep::systems::secrets::{DROPPED, veiled};
use lockstep::verify::{Check, RawWebhook, verify};
use serde_json::{Value, json};
use uuid::Uuid;

use super::ground::{GROUND, NOW, headers};

/// The longest text that goes into an index.
const LONGEST: usize = 1_000;

pub fn ghl(body: &[u8]) {
    webhook(StandIn::vendor(System::Ghl), body);
}

pub fn timify(body: &[u8]) {
    webhook(StandIn::vendor(System::Timify), body);
}

pub fn timerex(body: &[u8]) {
    webhook(StandIn::vendor(System::Timerex), body);
}

/// The first byte tells whose extension it is.
pub fn extension(input: &[u8]) {
    let Some((whose, body)) = input.split_first() else { return };
    let system = if whose.is_multiple_of(2) { System::Timify } else { System::Timerex };
    webhook(StandIn::extension(system), body);
}

fn webhook(from: StandIn, body: &[u8]) {
    let ground = &*GROUND;
    let account = &ground.settings.workspaces[0];
    let account = match from.system {
        System::Ghl => &account.ghl_location,
        System::Timify => &account.timify_company,
        System::Timerex => &account.timerex_team,
    };
    let signed = ground.signer.headers(from, account, "delivery-1", NOW, body);
    let headers = headers(signed.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let raw =
        RawWebhook { system: from.system, workspace: None, headers, body: Bytes::copy_from_slice(body), received: NOW };
    let checks = &ground.checks[&from.system];
    // What its body must say besides may refuse it; what is behind that is tried all the same.
    drop(verify(checks, raw.clone(), NOW));
    let without: Vec<Check> = checks.iter().map(|check| Check { rule: None, ..check.clone() }).collect();
    let Ok(webhook) = verify(&without, raw, NOW) else { panic!("the sender was not believed") };
    let door = &ground.doors[&from.system];
    let said = place(&webhook, door.envelope(&webhook), &ground.directory, Uuid::nil());
    let texts =
        [Some(said.dedup.as_str()), Some(said.label.as_str()), said.reason.as_deref(), said.workspace.as_deref()];
    for text in texts.into_iter().flatten().chain(said.object.as_ref().map(ExternalId::as_str)) {
        assert!(text.len() <= LONGEST && !text.contains('\0'), "no database takes this: {text:?}");
    }
    hides_secrets(&said.body, door.secrets());
    let change = Change { id: ChangeId(1), said };
    for site in ground.sites.values() {
        let Some(terms) = site.terms(from.system) else { continue };
        for seen in terms.observe(&change).into_iter().flatten() {
            assert!(!seen.id.as_str().is_empty(), "an object without an id: {seen:?}");
        }
    }
}

/// No reader of the JSON finds a secret in what is stored, and it is JSON as before.
fn hides_secrets(body: &[u8], keys: &[&str]) {
    let Ok(before) = serde_json::from_slice::<Value>(body) else { return };
    let stored = veiled(body, keys, |_, _| Some(DROPPED.to_owned()));
    let stored = stored.as_deref().unwrap_or(body);
    let Ok(after) = serde_json::from_slice::<Value>(stored) else {
        panic!("it is no JSON any more: {}", String::from_utf8_lossy(stored));
    };
    assert_eq!(hidden(before, keys), after);
}

fn hidden(json: Value, keys: &[&str]) -> Value {
    let drop = |key: &str, value: Value| {
        let secret = keys.contains(&key) && !(value.is_null() || value == "");
        if secret { json!("[dropped]") } else { hidden(value, keys) }
    };
    match json {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| {
                    let value = drop(&key, value);
                    (key, value)
                })
                .collect(),
        ),
        Value::Array(list) => list.into_iter().map(|one| hidden(one, keys)).collect(),
        other => other,
    }
}
