//! A first run against accounts that are full already: nothing is written before a person has seen and confirmed it, and
//! nothing but what was shown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::{Method, StatusCode};
use lockstep::model::{ExternalId, Kind};
use serde_json::{Value, json};

use crate::support::databases::{Place, on_both};
use crate::support::people::Person;
use crate::support::world::{Plan, World};

/// Contacts on each side; the first half of TIMIFY's are the second half of GHL's.
const EACH: usize = 1_000;
const HALF: usize = EACH / 2;
/// Of TIMIFY's own half, the last few repeat the e-mail of one that is in both.
const DOUBLES: usize = 3;

/// What a write is about: system, entity, `create` or `update`.
type Written = (String, String, String);

fn email(number: usize) -> String {
    format!("person{number}@example.test")
}

/// Every tenth of those in both has another city in TIMIFY, every fifteenth no last name, every twentieth one more phone.
fn in_timify(number: usize) -> Value {
    let shared = number < EACH;
    let mut fields = json!({ "firstName": format!("First {number}"), "email": email(number), "city": "Osaka" });
    if number.is_multiple_of(10) && shared {
        fields["city"] = json!("Kobe");
    }
    if !number.is_multiple_of(15) || !shared {
        fields["lastName"] = json!(format!("Last {number}"));
    }
    if number.is_multiple_of(20) {
        fields["mobilePhone"] = json!(format!("+491512{number:07}"));
    }
    fields
}

fn in_ghl(number: usize) -> Value {
    json!({
        "firstName": format!("First {number}"), "lastName": format!("Last {number}"), "email": email(number),
        "city": "Osaka"
    })
}

async fn populate(world: &World) {
    for number in 0..EACH {
        world.edit(0, "ghl", "create contact", json!({ "fields": in_ghl(number) })).await;
    }
    for number in HALF..HALF + EACH - DOUBLES {
        world.edit(0, "timify", "create contact", json!({ "fields": in_timify(number) })).await;
    }
    for number in HALF..HALF + DOUBLES {
        world.edit(0, "timify", "create contact", json!({ "fields": in_timify(number) })).await;
    }
}

async fn preview(world: &World) -> Value {
    let reply = world.ops(Method::GET, "/workspaces/main/preview", Value::Null).await;
    assert_eq!((reply.status, &reply.body["unfinished"]), (StatusCode::OK, &json!(0)), "{reply:?}");
    reply.body
}

async fn go_live(world: &World, code: &Value) -> crate::support::world::Reply {
    world.ops(Method::POST, "/workspaces/main/live", json!({ "code": code })).await
}

/// What a preview says will be written.
fn shown(preview: &Value) -> BTreeSet<Written> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut shown = BTreeSet::new();
    for call in preview["calls"].as_array().unwrap() {
        for step in call["what"].as_str().unwrap().split("; ") {
            let verb = step.split(' ').next().unwrap().to_owned();
            shown.insert((text(&call["system"]), text(&call["entity"]), verb));
        }
    }
    shown
}

/// What was written, each with how often.
async fn written(world: &World, since: u64) -> BTreeMap<Written, usize> {
    let mut written = BTreeMap::new();
    for call in world.calls(since).await.into_iter().filter(|call| call.write) {
        let (label, system) = (call.label(), call.system());
        let id = ExternalId::new(call.id.as_deref().unwrap());
        let link = world.app.store.link("main", system.parse().unwrap(), Kind::Contact, &id).await.unwrap();
        let verb = if label.contains(" POST ") { "create" } else { "update" };
        *written.entry((system, link.unwrap().entity.to_string(), verb.to_owned())).or_default() += 1;
    }
    written
}

/// Fails unless each customer of TIMIFY is in GHL with the same values; of doubles only one can be.
async fn assert_equal(world: &World) {
    let ghl = world.people(0, "ghl").await;
    assert_eq!(ghl.len(), HALF + EACH - DOUBLES, "no contact was doubled");
    let by_email: BTreeMap<&str, &Person> = ghl.iter().map(|one| (one.fields["email"].as_str(), one)).collect();
    assert_eq!(by_email.len(), ghl.len());
    let timify = world.people(0, "timify").await;
    assert_eq!(timify.len(), EACH, "GHL's contacts without a booking stay out of TIMIFY");
    let differ = timify.iter().filter(|one| by_email[one.fields["email"].as_str()].fields != one.fields);
    let differ: Vec<&Person> = differ.collect();
    assert!(differ.len() <= DOUBLES, "{} of {} differ: {:?}", differ.len(), timify.len(), &differ[..5]);
}

async fn a_first_run_writes_nothing_before_it_is_confirmed_and_nothing_that_was_not_shown(place: &mut Place) {
    let mut plan = Plan::of(1);
    plan.service.mode = None;
    plan.service.policy = String::from("create_settle = \"1s\"");
    plan.connected = false;
    plan.patience = Duration::from_mins(5);
    let world = plan.start(place).await;
    populate(&world).await;
    world.connect().await;
    world.reconcile().await;
    world.settle().await;
    let first = preview(&world).await;
    assert_eq!(world.writes(0).await, [""; 0], "shadow mode writes nothing");
    let creates = shown(&first).into_iter().filter(|(_, _, verb)| verb == "create");
    let creates: Vec<String> = creates.map(|(system, ..)| system).collect();
    assert_eq!(creates, vec!["ghl"; EACH - HALF - DOUBLES], "those that only TIMIFY has");

    go_live(&world, &json!("000000000000")).await.assert_problem(409, "conflict");
    let ghl = world.people(0, "ghl").await;
    let equal = ghl.iter().find(|one| one.fields["email"] == email(HALF + 7)).unwrap();
    world.edit(0, "ghl", "update contact", json!({ "id": equal.id, "fields": { "city": "Nara" } })).await;
    world.settle().await;
    go_live(&world, &first["code"]).await.assert_problem(409, "conflict");
    assert_eq!(world.writes(0).await, [""; 0], "still nothing");

    let last = preview(&world).await;
    assert_eq!(shown(&last).difference(&shown(&first)).count(), 1, "the edit is what the new preview adds");
    let mark = world.mark().await;
    let live = go_live(&world, &last["code"]).await;
    assert_eq!(live.status, StatusCode::OK, "{live:?}");
    world.settle().await;
    let (shown, written) = (shown(&last), written(&world, mark).await);
    let unseen: Vec<_> = written.keys().filter(|one| !shown.contains(*one)).collect();
    assert!(unseen.is_empty(), "written and never shown: {unseen:?}");
    let twice: Vec<_> = written.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "written more than once: {twice:?}");
    assert_eq!(written.len(), shown.len(), "all that was shown was written");
    assert_equal(&world).await;

    let mark = world.mark().await;
    world.reconcile().await;
    world.settle().await;
    assert_eq!(world.writes(mark).await, [""; 0], "the second run finds nothing");
    world.stop().await;
}

on_both!(Place: a_first_run_writes_nothing_before_it_is_confirmed_and_nothing_that_was_not_shown);
