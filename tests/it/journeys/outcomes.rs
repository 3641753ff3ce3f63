//! Nothing vanishes (law 11): every acknowledged change ends in an outcome, and `explain` tells which and why.

use std::collections::BTreeSet;

use http::Method;
use lockstep::model::Outcome;
use serde_json::{Value, json};

use super::{contact, email, from_ghl, told};
use crate::support::databases::{Place, on_both};
use crate::support::world::{World, world};

/// Edits, a clash, copies, late and foreign webhooks, a deletion: a bit of everything. Gives the GHL id of the contact that is
/// left, and how many webhooks the test itself sent besides those of the stand-ins.
async fn turmoil(world: &World) -> (String, usize) {
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Vera") })).await;
    world.settle().await;
    let timify = world.everywhere(0, &email("Vera")).await[1].id.clone();
    for system in ["ghl", "timify"] {
        world.control(Method::POST, "hold", json!({ "system": system })).await;
    }
    for number in 0..3 {
        let fields = json!({ "city": format!("GHL {number}") });
        world.edit(0, "ghl", "update contact", json!({ "id": id, "fields": fields })).await;
        let fields = json!({ "city": format!("TIMIFY {number}"), "lastName": format!("Name {number}") });
        world.edit(0, "timify", "update contact", json!({ "id": timify, "fields": fields })).await;
    }
    for system in ["timify", "ghl"] {
        world.control(Method::POST, "release", json!({ "system": system, "order": "reversed" })).await;
    }
    let note = world.edit(0, "ghl", "create note", json!({ "parent": id, "fields": { "body": "Mornings" } })).await;
    world.settle().await;
    world.edit(0, "ghl", "delete note", json!({ "parent": id, "id": note })).await;
    let late = told(world, 0, "late", &id, &contact("ghl", "Vera"));
    let sent = [
        late.clone(),
        late.replace("\"late\"", "\"never had\"").replace(&id, "NeverHad000000000000").replace("Update", "Delete"),
        late.replace("\"late\"", "\"foreign\"").replace(&world.account(0).ghl_location, "AnotherLocation00000"),
        late.replace("\"late\"", "\"unknown\"").replace("ContactUpdate", "MoonPhase"),
        late.replace("\"late\"", "\"other\"").replace("ContactUpdate", "OpportunityCreate"),
        "hello".to_owned(),
    ];
    for body in &sent {
        assert_eq!(from_ghl(world, body).await.status, 200);
    }
    assert_eq!(from_ghl(world, &late).await.body["status"], "duplicate");
    world.settle().await;
    (id, sent.len())
}

async fn every_acknowledged_change_has_an_outcome_and_explain_tells_it(place: &mut Place) {
    let world = world(place).await;
    let (id, sent) = turmoil(&world).await;
    let log = world.deliveries().await;
    let delivered = log.iter().filter(|one| one["state"] == "delivered").count();
    assert_eq!(delivered, log.len(), "the stand-ins gave nothing up");
    let rows = place.number("SELECT COUNT(*) FROM change_log WHERE origin = 'webhook'").await;
    assert_eq!(usize::try_from(rows).unwrap(), delivered + sent, "one row for each acknowledged webhook");
    let open = "SELECT COUNT(*) FROM change_log WHERE id NOT IN (SELECT change_id FROM verdicts)";
    assert_eq!(place.number(open).await, 0, "a change without an outcome");
    assert_eq!(place.number("SELECT COUNT(*) FROM inbox").await, 0);
    let outcomes = world.app.store.outcomes("main").await.unwrap();
    for outcome in [Outcome::Applied, Outcome::Echo, Outcome::Superseded] {
        assert!(outcomes.contains_key(&outcome), "{outcome}: {outcomes:?}");
    }

    let named = world.app.store.named(&email("Vera")).await.unwrap();
    let conflicts = world.app.store.conflicts("main", Some(named[0])).await.unwrap();
    assert!(!conflicts.is_empty(), "one of the two cities lost, and is kept");
    let story = world.app.store.story(named[0]).await.unwrap();
    let numbers: BTreeSet<String> = story.iter().map(|(change, _)| change.id.to_string()).collect();
    let about = "SELECT COUNT(*) FROM change_log WHERE kind = 'contact' AND workspace = 'main' AND origin = 'webhook'";
    let of_contact = story.iter().filter(|(change, _)| change.said.label != "read").count();
    // All but the deletion of a contact that we never had.
    assert_eq!(i64::try_from(of_contact).unwrap(), place.number(about).await - 1, "{story:?}");
    for name in [email("Vera"), id] {
        let told = world.command(&["explain", &name]);
        for number in &numbers {
            let cell = format!(" {number} ");
            assert!(told.contains(&cell), "explain {name} leaves change {number} out:\n{told}");
        }
        for word in ["applied", "superseded", "echo", "what lost, and is kept"] {
            assert!(told.contains(word), "explain {name} says nothing of {word}:\n{told}");
        }
    }
    world.assert_everywhere(0, &email("Vera"), "lastName", "Name 2").await;
    let held: Vec<Value> = world.deliveries().await.into_iter().filter(|one| one["state"] == "held").collect();
    assert!(held.is_empty());
    world.stop().await;
}

on_both!(Place: every_acknowledged_change_has_an_outcome_and_explain_tells_it);
