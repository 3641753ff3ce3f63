//! Lanes: one call at a time for one entity in one system, entities side by side, children after their contact (law 6), and
//! nobody's trouble is another's (law 10).

use std::collections::BTreeMap;

use lockstep::sandbox::Workspace as Account;
use serde_json::{Value, json};

use super::{contact, email};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Call, Plan, World, world};

/// A free half hour that begins some days and minutes from now; TIMIFY knows steps of five minutes only.
fn slot(days: i64, minutes: i64) -> (String, String) {
    use lockstep::clock::Millis;
    const MINUTE: i64 = 60_000;
    let midnight = crate::support::world::now().0 / (1_440 * MINUTE) * (1_440 * MINUTE);
    let start = midnight + days * 1_440 * MINUTE + (540 + minutes) * MINUTE;
    (Millis(start).rfc3339(), Millis(start + 30 * MINUTE).rfc3339())
}

fn in_ghl(account: &Account, minutes: i64) -> Value {
    let (start, end) = slot(3, minutes);
    json!({ "calendarId": account.ghl_calendar, "startTime": start, "endTime": end, "title": "Consultation" })
}

/// A contact made in GHL and brought everywhere; its id in GHL.
async fn settled_contact(world: &World, at: usize, name: &str) -> String {
    let id = world.edit(at, "ghl", "create contact", json!({ "fields": contact("ghl", name) })).await;
    world.settle().await;
    id
}

async fn calls_for_one_entity_and_system_run_one_at_a_time(place: &mut Place) {
    const DELAY: i64 = 150;
    let world = world(place).await;
    let ghl = settled_contact(&world, 0, "Ada").await;
    let [_, timify, extension] = world.everywhere(0, &email("Ada")).await;
    let mark = world.mark().await;
    for (system, beside) in [("ghl", false), ("timify", false), ("timerex", true)] {
        world.fault(json!({ "system": system, "extension": beside, "kind": "slow", "delay_ms": DELAY })).await;
    }
    for number in 0..4 {
        for (system, id, field) in
            [("ghl", &ghl, "city"), ("timify", &timify.id, "firstName"), ("timerex+", &extension.id, "lastName")]
        {
            let fields = json!({ field: format!("Value {number}") });
            world.edit(0, system, "update contact", json!({ "id": id, "fields": fields })).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
    }
    world.settle().await;
    let mut lanes: BTreeMap<(String, String), Vec<Call>> = BTreeMap::new();
    for call in world.calls(mark).await {
        let Some(id) = call.id.clone() else { continue };
        lanes.entry((call.system(), id)).or_default().push(call);
    }
    for system in ["ghl", "timify", "timerex+"] {
        let busy = lanes.iter().any(|((named, _), calls)| named == system && calls.len() > 1);
        assert!(busy, "several calls to {system}: {lanes:?}");
    }
    for (lane, calls) in lanes.iter().filter(|((system, _), _)| system != "timify+") {
        for pair in calls.windows(2) {
            assert!(pair[1].at - pair[0].at >= DELAY, "two calls at once in {lane:?}: {pair:?}");
        }
    }
    world.assert_everywhere(0, &email("Ada"), "city", "Value 3").await;
    world.stop().await;
}

async fn entities_are_worked_side_by_side(place: &mut Place) {
    const DELAY: i64 = 1_500;
    let world = world(place).await;
    let ids = [settled_contact(&world, 0, "Ben").await, settled_contact(&world, 0, "Cai").await];
    let mark = world.mark().await;
    world.fault(json!({ "system": "timify", "kind": "slow", "only": "writes", "delay_ms": DELAY })).await;
    for id in &ids {
        world.edit(0, "ghl", "update contact", json!({ "id": id, "fields": { "city": "Basel" } })).await;
    }
    world.settle().await;
    let calls = world.calls(mark).await;
    let at: Vec<i64> = calls.iter().filter(|c| c.label() == "timify PATCH contact").map(|c| c.at).collect();
    assert!(at.len() == 2 && at[1] - at[0] < DELAY, "one waited for the other: {at:?}");
    world.stop().await;
}

async fn a_task_waits_for_its_contact_and_is_released_by_it(place: &mut Place) {
    let world = world(place).await;
    let down = json!({ "system": "timerex", "extension": true, "kind": "down", "only": "writes" });
    world.fault(down).await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Dana") })).await;
    let task = json!({ "title": "Call back", "body": "", "dueDate": slot(2, 0).0, "completed": false });
    world.edit(0, "ghl", "create task", json!({ "parent": id, "fields": task })).await;
    let waits = async || world.app.load("main").await.unwrap().waiting == 1;
    world.until("the task waits for its contact", waits).await;
    world.heal().await;
    world.settle().await;
    let calls = world.calls(0).await;
    let to_extension = |c: &&Call| c.system() == "timerex+" && c.label().contains("POST");
    let made: Vec<&Call> = calls.iter().filter(to_extension).filter(|call| call.write).collect();
    let labels: Vec<String> = made.iter().map(|call| call.label()).collect();
    assert_eq!(labels, ["timerex+ POST contact", "timerex+ POST task"]);
    let tried_early =
        calls.iter().filter(to_extension).any(|c| c.label().ends_with("task") && c.number < made[0].number);
    assert!(!tried_early, "the task was sent before its contact was there: {calls:?}");
    world.stop().await;
}

async fn one_workspaces_trouble_does_not_hold_another_back(place: &mut Place) {
    let world = Plan::of(2).start(place).await;
    let ids = [settled_contact(&world, 0, "Edda").await, settled_contact(&world, 1, "Finn").await];
    let held = world.everywhere(0, &email("Edda")).await;
    world.fault(json!({ "system": "timify", "kind": "down", "path": held[1].id })).await;
    for (at, id) in ids.iter().enumerate() {
        world.edit(at, "ghl", "update contact", json!({ "id": id, "fields": { "city": "Zug" } })).await;
    }
    let moved = async || world.people(1, "timify").await[0].fields["city"] == "Zug";
    world.until("the other workspace goes on", moved).await;
    assert_eq!(world.people(0, "timify").await[0].fields["city"], "Osaka");
    let stuck = async || world.app.load("main").await.unwrap().due == 1;
    world.until("all but the one call is done", stuck).await;
    world.heal().await;
    world.settle().await;
    world.assert_everywhere(0, &email("Edda"), "city", "Zug").await;
    world.assert_everywhere(1, &email("Finn"), "city", "Zug").await;
    world.stop().await;
}

async fn one_parked_entity_holds_nobody_else_back(place: &mut Place) {
    let world = world(place).await;
    let id = settled_contact(&world, 0, "Gil").await;
    let odd = in_ghl(world.account(0), 3);
    world.edit(0, "ghl", "create appointment", json!({ "parent": id, "fields": odd })).await;
    world.settle().await;
    assert_eq!(world.app.load("main").await.unwrap().parked, 1, "TIMIFY cannot hold odd minutes");
    let mark = world.mark().await;
    let even = in_ghl(world.account(0), 60);
    world.edit(0, "ghl", "create appointment", json!({ "parent": id, "fields": even })).await;
    world.edit(0, "ghl", "update contact", json!({ "id": id, "fields": { "city": "Genf" } })).await;
    world.settle().await;
    let expected = ["timerex+ PUT contact", "timify PATCH contact", "timify POST appointment"];
    assert_eq!(world.writes(mark).await, expected);
    world.assert_everywhere(0, &email("Gil"), "city", "Genf").await;
    world.stop().await;
}

on_both!(
    Place: calls_for_one_entity_and_system_run_one_at_a_time,
    entities_are_worked_side_by_side,
    a_task_waits_for_its_contact_and_is_released_by_it,
    one_workspaces_trouble_does_not_hold_another_back,
    one_parked_entity_holds_nobody_else_back,
);
