//! Limits (law 8): the fuse of one entity, and the brake on creates and deletes. (Bodies over their limit: `bad_input`.)

use std::num::NonZeroU32;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{contact, email};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, World};

async fn limited(place: &Place, line: &str) -> World {
    let mut plan = Plan::of(1);
    plan.service.dispatch.push_str(line);
    plan.start(place).await
}

/// What waits for a person.
async fn reviews(world: &World) -> Vec<String> {
    let status = world.ops(Method::GET, "/status", Value::Null).await.body;
    let reviews = status["workspaces"][0]["reviews"].as_array().unwrap().clone();
    reviews.iter().map(|review| review["subject"].as_str().unwrap().to_owned()).collect()
}

async fn the_fuse_stops_what_keeps_changing(place: &mut Place) {
    let world = limited(place, "fuse = 3").await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Hedi") })).await;
    world.settle().await;
    for number in 0..5 {
        let fields = json!({ "city": format!("City {number}") });
        world.edit(0, "ghl", "update contact", json!({ "id": id, "fields": fields })).await;
        world.settle().await;
    }
    let writes = world.writes(0).await;
    for system in ["timify ", "timerex+ "] {
        assert_eq!(writes.iter().filter(|label| label.starts_with(system)).count(), 3, "{writes:?}");
    }
    let [ghl, timify, _] = world.everywhere(0, &email("Hedi")).await;
    assert_eq!((ghl.fields["city"].as_str(), timify.fields["city"].as_str()), ("City 4", "City 1"));
    let subjects = reviews(&world).await;
    assert_eq!(subjects.iter().filter(|subject| subject.starts_with("fuse/")).count(), 2, "{subjects:?}");
    world.stop().await;
}

async fn the_brake_holds_creates_until_they_are_approved(place: &mut Place) {
    const PEOPLE: [&str; 6] = ["Ina", "Jo", "Kai", "Lea", "Mia", "Nils"];
    let world = limited(place, "creates_per_hour = 2").await;
    for name in PEOPLE {
        world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", name) })).await;
    }
    world.settle().await;
    let made = |writes: &[String], label: &str| writes.iter().filter(|one| *one == label).count();
    let writes = world.writes(0).await;
    assert_eq!(made(&writes, "timify POST contact"), 2, "{writes:?}");
    assert_eq!(made(&writes, "timerex+ POST contact"), 2, "{writes:?}");
    let subjects = reviews(&world).await;
    assert!(subjects.contains(&"brake/timify/create".to_owned()), "{subjects:?}");

    let subject = json!({ "subject": "brake/timify/create" });
    let approved = world.ops(Method::POST, "/workspaces/main/approve", subject).await;
    assert_eq!((approved.status, &approved.body["released"]), (StatusCode::OK, &json!(4)), "{approved:?}");
    world.settle().await;
    let writes = world.writes(0).await;
    assert_eq!(made(&writes, "timify POST contact"), 6, "{writes:?}");
    assert_eq!(made(&writes, "timerex+ POST contact"), 2, "what was not approved still waits");
    world.stop().await;
}

async fn the_brake_holds_deletes(place: &mut Place) {
    let world = limited(place, "deletes_per_hour = 1").await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Ole") })).await;
    let mut notes = Vec::new();
    for number in 0..3 {
        let fields = json!({ "body": format!("Note {number}") });
        notes.push(world.edit(0, "ghl", "create note", json!({ "parent": id, "fields": fields })).await);
    }
    world.settle().await;
    let mark = world.mark().await;
    for note in &notes {
        world.edit(0, "ghl", "delete note", json!({ "parent": id, "id": note })).await;
    }
    world.settle().await;
    assert_eq!(world.writes(mark).await, ["timerex+ DELETE note", "timify+ DELETE note"]);
    world.stop().await;
}

/// Refills one call a second: never the two at once that a read and its write need, unless they are taken together.
async fn a_spent_budget_puts_writes_off_and_makes_no_read_for_nothing(place: &mut Place) {
    const WINDOW: i64 = 10_000;
    const BUDGET: usize = 20;
    let mut plan = Plan::of(1);
    plan.adjust = |config| config.systems.timify.requests_per_10s = NonZeroU32::new(20).unwrap();
    let world = plan.start(place).await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Pia") })).await;
    for number in 0..5 {
        let fields = json!({ "city": format!("City {number}") });
        world.edit(0, "ghl", "update contact", json!({ "id": id, "fields": fields })).await;
        world.settle().await;
    }
    world.settle().await;
    let calls = world.calls(0).await;
    let timify: Vec<_> = calls.iter().filter(|call| call.label().starts_with("timify ")).collect();
    let writes = timify.iter().filter(|call| call.write).count();
    assert!((2..=6).contains(&writes), "{writes} writes for one create and five updates, which may coalesce");
    assert!(timify.len() <= 6 * 3 + 3, "{} calls for {writes} writes", timify.len());
    let [ghl, timify_side, _] = world.everywhere(0, &email("Pia")).await;
    assert_eq!((ghl.fields["city"].as_str(), timify_side.fields["city"].as_str()), ("City 4", "City 4"));
    // The token and the field definitions, fetched once, are not in the budget.
    for first in &timify {
        let window = timify.iter().filter(|call| (first.at..first.at + WINDOW).contains(&call.at)).count();
        assert!(window <= BUDGET + 3, "{window} calls in ten seconds");
    }
    world.stop().await;
}

on_both!(
    Place: the_fuse_stops_what_keeps_changing,
    a_spent_budget_puts_writes_off_and_makes_no_read_for_nothing,
    the_brake_holds_creates_until_they_are_approved,
    the_brake_holds_deletes,
);
