//! Deciding: what a system is known to hold tells whether a field changed (law 4), and where that is in doubt, it is read
//! (law 5).

use http::Method;
use serde_json::{Value, json};

use super::{contact, email, from_ghl, told};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, World, world};

/// A contact made in GHL and brought everywhere; its id in GHL.
async fn settled_contact(world: &World, name: &str) -> String {
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", name) })).await;
    world.settle().await;
    world.everywhere(0, &email(name)).await;
    id
}

async fn edit_ghl(world: &World, id: &str, fields: Value) {
    world.edit(0, "ghl", "update contact", json!({ "id": id, "fields": fields })).await;
}

/// How often GHL was read.
async fn reads_of_ghl(world: &World, mark: u64) -> usize {
    world.calls(mark).await.iter().filter(|call| call.label() == "ghl GET contact").count()
}

async fn a_late_older_webhook_never_takes_a_field_back(place: &mut Place) {
    let world = world(place).await;
    let id = settled_contact(&world, "Aiko").await;
    edit_ghl(&world, &id, json!({ "city": "Kyoto" })).await;
    world.settle().await;
    let mark = world.mark().await;
    // Made before that edit, sent after it: nothing in it says so, not even the time.
    assert_eq!(from_ghl(&world, &told(&world, 0, "late", &id, &contact("ghl", "Aiko"))).await.status, 200);
    world.settle().await;
    assert_eq!(world.writes(mark).await, [""; 0]);
    world.assert_everywhere(0, &email("Aiko"), "city", "Kyoto").await;
    world.stop().await;
}

async fn webhooks_in_the_wrong_order_end_in_the_newest_value(place: &mut Place) {
    let world = world(place).await;
    let id = settled_contact(&world, "Bea").await;
    world.control(Method::POST, "hold", json!({ "system": "ghl" })).await;
    for city in ["Kobe", "Nara", "Osaka", "Sapporo"] {
        edit_ghl(&world, &id, json!({ "city": city })).await;
    }
    world.control(Method::POST, "release", json!({ "system": "ghl", "order": "reversed" })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Bea"), "city", "Sapporo").await;
    world.stop().await;
}

async fn a_system_whose_clock_is_wrong_is_believed_all_the_same(place: &mut Place) {
    let world = world(place).await;
    let id = settled_contact(&world, "Cleo").await;
    for (number, minutes) in [-5, 5, -5].into_iter().enumerate() {
        world.fault(json!({ "system": "ghl", "kind": "clock", "offset_ms": minutes * 60_000 })).await;
        let city = format!("City {number}");
        edit_ghl(&world, &id, json!({ "city": city })).await;
        world.settle().await;
        world.assert_everywhere(0, &email("Cleo"), "city", &city).await;
    }
    world.stop().await;
}

async fn an_own_write_that_comes_back_costs_no_write(place: &mut Place) {
    let world = world(place).await;
    settled_contact(&world, "Dora").await;
    let [_, timify, _] = world.everywhere(0, &email("Dora")).await;
    let mark = world.mark().await;
    world.edit(0, "timify", "update contact", json!({ "id": timify.id, "fields": { "city": "Ulm" } })).await;
    world.settle().await;
    assert_eq!(world.writes(mark).await, ["ghl PUT contact", "timerex+ PUT contact"]);
    for _ in 0..2 {
        let (mark, run) = (world.mark().await, world.reconcile().await);
        world.settle().await;
        let listings = run["reports"][0]["listings"].as_array().unwrap();
        let drift = |key: &str| listings.iter().map(|listing| listing[key].as_u64().unwrap()).sum::<u64>();
        assert_eq!((drift("drifted"), drift("unknown"), drift("missing")), (0, 0, 0), "{run}");
        assert!(drift("listed") >= 3, "{run}");
        assert_eq!(world.writes(mark).await, [""; 0]);
    }
    world.stop().await;
}

async fn edits_of_different_fields_at_the_same_moment_both_survive(place: &mut Place) {
    let world = world(place).await;
    let id = settled_contact(&world, "Elin").await;
    let [_, timify, extension] = world.everywhere(0, &email("Elin")).await;
    tokio::join!(
        edit_ghl(&world, &id, json!({ "city": "Bonn" })),
        world.edit(0, "timify", "update contact", json!({ "id": timify.id, "fields": { "lastName": "Wolf" } })),
        world.edit(0, "timerex+", "update contact", json!({ "id": extension.id, "fields": { "firstName": "Eli" } })),
    );
    world.settle().await;
    for (field, value) in [("city", "Bonn"), ("lastName", "Wolf"), ("firstName", "Eli")] {
        world.assert_everywhere(0, &email("Elin"), field, value).await;
    }
    world.stop().await;
}

async fn an_absent_field_is_read_and_neither_cleared_nor_overlooked(place: &mut Place) {
    let world = world(place).await;
    let id = settled_contact(&world, "Fay").await;
    let mark = world.mark().await;
    let mut fields = contact("ghl", "Fay");
    fields.as_object_mut().unwrap().retain(|field, _| field != "phone" && field != "city");
    assert_eq!(from_ghl(&world, &told(&world, 0, "few", &id, &fields)).await.status, 200);
    world.settle().await;
    assert_eq!(world.writes(mark).await, [""; 0], "absent is not cleared");
    assert_eq!(reads_of_ghl(&world, mark).await, 1, "absent is a doubt, and a doubt is read");
    world.assert_everywhere(0, &email("Fay"), "city", "Osaka").await;

    // Emptied by a person, it is absent from the payload just the same.
    edit_ghl(&world, &id, json!({ "city": "" })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Fay"), "city", "").await;
    world.stop().await;
}

async fn a_burst_costs_one_read_and_one_write_per_target(place: &mut Place) {
    let mut plan = Plan::of(1);
    plan.service.dispatch = String::from("quiet = \"1s\"");
    let world = plan.start(place).await;
    let id = settled_contact(&world, "Gwen").await;
    let mark = world.mark().await;
    for number in 0..20 {
        let field = ["firstName", "lastName", "city", "phone"][number % 4];
        let value = if field == "phone" { format!("+49151999{number:05}") } else { format!("Burst {number}") };
        edit_ghl(&world, &id, json!({ field: value })).await;
    }
    world.settle().await;
    assert_eq!(world.writes(mark).await, ["timerex+ PUT contact", "timify PATCH contact"]);
    assert_eq!(reads_of_ghl(&world, mark).await, 1);
    world.assert_everywhere(0, &email("Gwen"), "city", "Burst 18").await;
    world.stop().await;
}

on_both!(
    Place: a_late_older_webhook_never_takes_a_field_back,
    webhooks_in_the_wrong_order_end_in_the_newest_value,
    a_system_whose_clock_is_wrong_is_believed_all_the_same,
    an_own_write_that_comes_back_costs_no_write,
    edits_of_different_fields_at_the_same_moment_both_survive,
    an_absent_field_is_read_and_neither_cleared_nor_overlooked,
    a_burst_costs_one_read_and_one_write_per_target,
);
