//! Fields of one's own: a contact's status and custom fields, which GHL holds as custom fields and an extension by name.

use lockstep::model::System;
use serde_json::{Value, json};

use super::{contact, email};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, World};

const STATUS: &str = "Cf0StatusFieldId00001";
const HATS: &str = "Cf0HatsFieldId0000001";

async fn mapped(place: &mut Place) -> World {
    let mut plan = Plan::of(1);
    plan.adjust = |config| {
        let ghl = config.workspaces[0].accounts.get_mut(&System::Ghl).unwrap();
        ghl.fields = [("status".to_owned(), STATUS.to_owned()), ("hats".to_owned(), HATS.to_owned())].into();
    };
    plan.start(place).await
}

/// What a contact has in GHL's custom field.
async fn in_ghl(world: &World, id: &str, field: &str) -> Value {
    let state = world.state().await;
    let contacts = &state["ghl"]["contacts"];
    let held = contacts.get(id).or_else(|| contacts.as_array()?.iter().find(|one| one["id"] == id)).unwrap();
    let entries = held["customFields"].as_array().into_iter().flatten();
    entries.filter(|entry| entry["id"] == field).map(|entry| entry["value"].clone()).next().unwrap_or_default()
}

async fn in_extension(world: &World, id: &str) -> Value {
    let state = world.state().await;
    let contacts = &state["extension"]["timerex"][&world.account(0).timerex_team]["contacts"];
    contacts.get(id).or_else(|| contacts.as_array()?.iter().find(|one| one["id"] == id)).unwrap().clone()
}

async fn status_and_custom_fields_are_mirrored_between_ghl_and_an_extension(place: &mut Place) {
    let world = mapped(place).await;
    let mut person = contact("timerex+", "Ida");
    (person["status"], person["custom"]) = ("lead".into(), json!({ "hats": "red", "unmapped": "x" }));
    let there = world.edit(0, "timerex+", "create contact", json!({ "fields": person })).await;
    world.settle().await;
    let ghl = world.everywhere(0, &email("Ida")).await[0].id.clone();
    assert_eq!((in_ghl(&world, &ghl, STATUS).await, in_ghl(&world, &ghl, HATS).await), ("lead".into(), "red".into()));

    let won = json!({ "customFields": [{ "id": STATUS, "value": "won" }, { "id": HATS, "value": ["red", "green"] }] });
    world.edit(0, "ghl", "update contact", json!({ "id": ghl, "fields": won })).await;
    world.settle().await;
    let held = in_extension(&world, &there).await;
    assert_eq!((&held["status"], &held["custom"]["hats"]), (&json!("won"), &json!("red, green")));
    let list = json!(["red", "green"]);
    assert_eq!(in_ghl(&world, &ghl, HATS).await, list, "its rendition is not written back over the list");

    let other = json!({ "id": there, "fields": { "status": "lost", "custom": { "hats": "blue, green" } } });
    world.edit(0, "timerex+", "update contact", other).await;
    world.settle().await;
    assert_eq!(
        (in_ghl(&world, &ghl, STATUS).await, in_ghl(&world, &ghl, HATS).await),
        ("lost".into(), json!(["blue", "green"]))
    );
    world.stop().await;
}

/// No `region` is set, so nobody knows whose number it is: GHL would guess.
async fn a_phone_that_says_no_country_is_not_written_to_ghl_and_the_rest_is(place: &mut Place) {
    let world = Plan::of(1).start(place).await;
    let mut person = contact("timerex+", "Jan");
    (person["phone"], person["address"]) = ("0151 2345678".into(), json!({ "city": "Osaka" }));
    let id = world.edit(0, "timerex+", "create contact", json!({ "fields": person })).await;
    world.settle().await;
    let in_ghl = async || world.people(0, "ghl").await.remove(0).fields;
    let held = in_ghl().await;
    assert_eq!((held["firstName"].as_str(), held["city"].as_str(), held["phone"].as_str()), ("Jan", "Osaka", ""));
    let reviews = world.app.store.reviews("main").await.unwrap();
    assert!(reviews.iter().any(|one| one.subject.ends_with("/ghl") && one.text.contains("phone")), "{reviews:?}");

    world.edit(0, "timerex+", "update contact", json!({ "id": id, "fields": { "address": { "city": "Kobe" } } })).await;
    world.settle().await;
    assert_eq!(in_ghl().await["city"], "Kobe", "what waits for a person holds nothing else back");
    let mark = world.mark().await;
    let number = json!({ "phone": "+491512345678" });
    world.edit(0, "timerex+", "update contact", json!({ "id": id, "fields": number })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Jan"), "phone", "+491512345678").await;
    assert_eq!(world.writes(mark).await, ["ghl PUT contact", "timify PATCH contact"]);
    assert_eq!(world.app.load("main").await.unwrap().parked, 0);
    world.stop().await;
}

on_both!(
    Place: status_and_custom_fields_are_mirrored_between_ghl_and_an_extension,
    a_phone_that_says_no_country_is_not_written_to_ghl_and_the_rest_is,
);
