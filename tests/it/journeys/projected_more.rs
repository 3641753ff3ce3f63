//! Notes and tags within TIMIFY's customers when things go wrong on the way: at the same moment, lost, told again, deleted with
//! their customer, without a field for them, and in shadow mode.

use http::{Method, StatusCode};
use lockstep::config::Config;
use lockstep::model::Origin;
use serde_json::{Value, json};

use super::mission::held;
use super::projected::{Stage, block, plan};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, World};

async fn notes_of_one_moment_all_arrive_and_a_burst_of_edits_ends_at_its_last(place: &mut Place) {
    let stage = Stage::set(plan(), place, "Ina").await;
    stage.types("Own").await;
    let (one, two, three) = tokio::join!(stage.note("One"), stage.note("Two"), stage.note("Three"));
    stage.settle("Own").await;
    let mut lines = block(&stage.text().await);
    lines.sort();
    assert_eq!(lines, ["One", "Three", "Two"]);
    for number in 0..8 {
        stage.rewords(&one, &format!("One, version {number}")).await;
        stage.rewords(&two, &format!("Two, version {number}")).await;
    }
    stage.world.edit(0, "ghl", "delete note", json!({ "id": three })).await;
    stage.settle("Own").await;
    let mut lines = block(&stage.text().await);
    lines.sort();
    assert_eq!(lines, ["One, version 7", "Two, version 7"]);
    assert_eq!(stage.texts().await, ["One, version 7", "Own", "Two, version 7"]);
    stage.world.stop().await;
}

/// Reconciles, wholly or what changed lately, and comes to rest; gives what differed.
async fn reconciled(world: &World, full: bool) -> Vec<Value> {
    let started = world.ops(Method::POST, "/reconcile", json!({ "full": full })).await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{started:?}");
    let path = format!("/reconcile/{}", started.body["run"].as_str().unwrap());
    world
        .until("the run is done", async || world.ops(Method::GET, &path, Value::Null).await.body["status"] == "done")
        .await;
    world.settle().await;
    let run = world.ops(Method::GET, &path, Value::Null).await.body;
    run["reports"][0]["drift"].as_array().unwrap().clone()
}

async fn what_a_lost_webhook_would_have_told_is_found_and_then_no_more(place: &mut Place) {
    let stage = Stage::set(plan(), place, "Jo").await;
    let world = &stage.world;
    stage.types("Own").await;
    stage.settle("Own").await;
    stage.note("One").await;
    let two = stage.note("Two").await;
    stage.settle("Own").await;
    assert_eq!(reconciled(world, true).await, [Value::Null; 0]);
    for (full, word) in [(false, "lately"), (true, "wholly")] {
        world.control(Method::POST, "lose", json!({ "system": "timify", "count": 1 })).await;
        let (own, text) = (format!("Own, {word}"), stage.text().await);
        let (_, ours) = text.split_once("\n\n").unwrap();
        stage.types(&format!("{own}\n\n{}", ours.replace("] One", &format!("] One, {word}")))).await;
        if full {
            world.control(Method::POST, "lose", json!({ "system": "ghl", "count": 1 })).await;
            stage.rewords(&two, "Two and a half").await;
        }
        world.settle().await;
        assert!(!stage.texts().await.contains(&own), "nobody told of it");

        assert!(!reconciled(world, full).await.is_empty());
        let texts = stage.texts().await;
        assert!(
            texts.contains(&own) && texts.iter().any(|text| text.starts_with(&format!("One, {word}"))),
            "{texts:?}"
        );
        let mark = world.mark().await;
        assert_eq!(reconciled(world, full).await, [Value::Null; 0], "the second finds nothing");
        assert_eq!(world.writes(mark).await, [""; 0]);
    }
    assert_eq!(stage.texts().await, ["One, wholly, lately", "Own, wholly", "Two and a half"]);
    assert!(block(&stage.text().await).contains(&"Two and a half".to_owned()));

    world.control(Method::POST, "lose", json!({ "system": "timify", "count": 1 })).await;
    stage.types("Own, wholly").await;
    world.settle().await;
    assert_eq!(stage.texts().await.len(), 3);
    reconciled(world, true).await;
    assert_eq!(stage.texts().await, ["Own, wholly"], "the block was gone");
    assert_eq!(reconciled(world, true).await, [Value::Null; 0]);
    stage.world.stop().await;
}

async fn our_own_notes_come_back_as_echoes(place: &mut Place) {
    let stage = Stage::set(plan(), place, "Kim").await;
    let world = &stage.world;
    stage.types("Own").await;
    stage.note("One").await;
    stage.settle("Own").await;
    let looked = async || world.app.store.origins("main").await.unwrap().get(&Origin::Look).copied().unwrap_or(0);
    let (mark, before) = (world.mark().await, looked().await);
    let note = stage.note("Two").await;
    stage.settle("Own").await;
    stage.rewords(&note, "Two and a half").await;
    stage.settle("Own").await;
    assert_eq!(world.writes(mark).await, ["timify PATCH contact", "timify PATCH contact"]);
    assert_eq!(looked().await, before, "what stands there as we wrote it makes no row");
    let mark = world.mark().await;
    world.edit(0, "timify", "update contact", json!({ "id": stage.customer, "fields": { "city": "Nara" } })).await;
    stage.settle("Own").await;
    assert_eq!(world.writes(mark).await, ["ghl PUT contact"]);
    assert_eq!(looked().await, before);
    stage.world.stop().await;
}

/// The tags as TIMIFY and GHL hold them.
async fn tags(stage: &Stage) -> (String, Vec<String>) {
    let state = stage.world.state().await;
    let held = state["ghl"]["contacts"][&stage.contact]["tags"].as_array().unwrap();
    let mut tags: Vec<String> = held.iter().map(|tag| tag.as_str().unwrap().to_owned()).collect();
    tags.sort();
    (stage.record().await["plain"]["Tags"].as_str().unwrap_or_default().to_owned(), tags)
}

async fn in_ghl(stage: &Stage, edit: Value) {
    stage.world.edit(0, "ghl", "update contact", json!({ "id": stage.contact, "fields": edit })).await;
    stage.world.settle().await;
}

async fn in_timify(stage: &Stage, text: &str) {
    let edit = json!({ "id": stage.customer, "fields": { "Tags": text } });
    stage.world.edit(0, "timify", "update contact", edit).await;
    stage.world.settle().await;
}

async fn tags_go_both_ways_and_so_do_removals(place: &mut Place) {
    let stage = Stage::set(plan(), place, "Lea").await;
    in_ghl(&stage, json!({ "addTags": ["vip", "paris, texas"] })).await;
    assert_eq!(tags(&stage).await.0, "\"paris, texas\", vip");
    in_timify(&stage, "VIP; \"paris, texas\"\nnew client").await;
    assert_eq!(tags(&stage).await.1, ["new client", "paris, texas", "vip"]);
    assert_eq!(tags(&stage).await.0, "VIP; \"paris, texas\"\nnew client", "what staff typed is not rewritten");
    in_timify(&stage, "\"paris, texas\", new client").await;
    assert_eq!(tags(&stage).await.1, ["new client", "paris, texas"]);
    in_ghl(&stage, json!({ "removeTags": ["paris, texas"] })).await;
    assert_eq!(tags(&stage).await, ("new client".to_owned(), vec!["new client".to_owned()]));
    in_timify(&stage, "").await;
    assert_eq!(tags(&stage).await, (String::new(), Vec::new()));
    assert_eq!(reconciled(&stage.world, true).await, [Value::Null; 0]);
    assert_eq!(stage.waits().await, [""; 0]);
    stage.world.stop().await;
}

/// A plan whose company has no field `Tags`.
fn fieldless(adjust: fn(&mut Config)) -> Plan {
    let mut plan = Plan { adjust, ..plan() };
    plan.settings.timify.companies[0].fields.retain(|field| field.label.as_deref() != Some("Tags"));
    plan
}

async fn without_a_field_for_tags_they_are_kept_and_it_is_said_why(place: &mut Place) {
    let stage = Stage::set(fieldless(plan().adjust), place, "Max").await;
    in_ghl(&stage, json!({ "addTags": ["vip"], "city": "Nara" })).await;
    assert_eq!(stage.record().await["plain"]["city"], "Nara");
    assert_eq!((stage.waits().await, tags(&stage).await.1), (Vec::new(), vec!["vip".to_owned()]));
    let table = stage.world.ops(Method::GET, "/api/v1/capabilities", Value::Null).await.body.to_string();
    assert!(table.contains("make it in TIMIFY, or set `make_tags_field = true`"), "{table}");
    stage.world.stop().await;
}

async fn a_field_for_tags_is_made_once_where_that_is_allowed(place: &mut Place) {
    let made = fieldless(|config| {
        let workspace = &mut config.workspaces[0];
        workspace.extensions.clear();
        (workspace.projection.tags_field, workspace.projection.make_tags_field) = (Some("Tags".to_owned()), true);
    });
    let stage = Stage::set(made, place, "Nia").await;
    let other = super::contact("ghl", "Ole");
    let mark = stage.world.mark().await;
    let (_, other) = tokio::join!(
        stage.world.edit(0, "ghl", "update contact", json!({ "id": stage.contact, "fields": { "addTags": ["vip"] } })),
        stage.world.edit(0, "ghl", "create contact", json!({ "fields": other })),
    );
    stage.world.edit(0, "ghl", "update contact", json!({ "id": other, "fields": { "addTags": ["new"] } })).await;
    stage.world.settle().await;
    assert_eq!(tags(&stage).await.0, "vip");
    let all = held(&stage.world, "timify", "customers").await;
    assert!(all.iter().any(|one| one["plain"]["Tags"] == "new"), "{:?} {all:?}", stage.waits().await);
    in_ghl(&stage, json!({ "addTags": ["more"] })).await;
    assert_eq!(tags(&stage).await.0, "more, vip");
    let made = stage.world.calls(mark).await.iter().filter(|call| call.label() == "timify POST custom_field").count();
    let labels: Vec<String> = stage.world.calls(mark).await.iter().map(crate::support::world::Call::label).collect();
    assert_eq!(made, 1, "{labels:?}");
    assert_eq!(stage.waits().await, [""; 0]);
    stage.world.stop().await;
}

async fn deleting_the_customer_deletes_no_note_in_ghl(place: &mut Place) {
    let stage = Stage::set(plan(), place, "Pia").await;
    stage.types("Own").await;
    let note = stage.note("One").await;
    stage.settle("Own").await;
    stage.world.edit(0, "timify", "delete contact", json!({ "id": stage.customer })).await;
    stage.world.settle().await;
    assert_eq!(stage.texts().await, ["One", "Own"]);
    stage.rewords(&note, "Still here").await;
    stage.note("Another").await;
    stage.world.settle().await;
    assert_eq!(stage.texts().await, ["Another", "Own", "Still here"]);
    assert_eq!(reconciled(&stage.world, true).await, [Value::Null; 0]);
    assert_eq!(stage.texts().await.len(), 3);
    assert_eq!(stage.waits().await, [""; 0]);
    stage.world.stop().await;
}

async fn a_note_that_finds_its_customer_gone_first_deletes_nothing_either(place: &mut Place) {
    let stage = Stage::set(plan(), place, "Quinn").await;
    let world = &stage.world;
    stage.types("Own").await;
    let note = stage.note("One").await;
    stage.settle("Own").await;
    world.control(Method::POST, "lose", json!({ "system": "timify", "count": 1 })).await;
    world.edit(0, "timify", "delete contact", json!({ "id": stage.customer })).await;
    let mark = world.mark().await;
    stage.rewords(&note, "Still here").await;
    world.settle().await;
    let calls = world.calls(mark).await;
    assert!(calls.iter().any(|call| call.system() == "timify" && call.status == Some(404)), "its lane read: {calls:?}");
    assert_eq!(stage.texts().await, ["Own", "Still here"]);
    reconciled(world, true).await;
    assert_eq!(stage.texts().await, ["Own", "Still here"]);
    assert_eq!((world.people(0, "ghl").await.len(), world.people(0, "timify").await.len()), (1, 0));
    stage.world.stop().await;
}

async fn in_shadow_mode_no_note_is_written_and_the_preview_names_them(place: &mut Place) {
    let mut plan = plan();
    plan.service.mode = None;
    let world = plan.start(place).await;
    let person = super::contact("timify", "Rob");
    let customer = world.edit(0, "timify", "create contact", json!({ "fields": person })).await;
    let same = json!({ "firstName": "Rob", "lastName": "Sato", "email": super::email("Rob") });
    let contact = world.edit(0, "ghl", "create contact", json!({ "fields": same })).await;
    world.settle().await;
    let stage = Stage { world, customer, contact };
    stage.types("Own").await;
    stage.note("One").await;
    let world = &stage.world;
    world.settle().await;
    assert_eq!(world.writes(0).await, [""; 0]);
    let preview = world.ops(Method::GET, "/workspaces/main/preview", Value::Null).await.body;
    let of = |system: &str| {
        let calls = preview["calls"].as_array().unwrap().iter();
        calls.filter(|call| call["kind"] == "note" && call["system"] == system).cloned().collect::<Vec<_>>()
    };
    for system in ["ghl", "timify"] {
        let [call] = &of(system)[..] else { panic!("one note to {system}: {preview}") };
        assert!(call["what"].as_str().unwrap().starts_with("create"), "{call}");
    }
    let live = world.ops(Method::POST, "/workspaces/main/live", json!({ "code": preview["code"] })).await;
    assert_eq!(live.status, StatusCode::OK, "{live:?}");
    stage.settle("Own").await;
    assert_eq!(
        (stage.texts().await, block(&stage.text().await)),
        (vec!["One".to_owned(), "Own".to_owned()], vec!["One".to_owned()])
    );
    stage.world.stop().await;
}

on_both!(
    Place: notes_of_one_moment_all_arrive_and_a_burst_of_edits_ends_at_its_last,
    what_a_lost_webhook_would_have_told_is_found_and_then_no_more,
    our_own_notes_come_back_as_echoes,
    tags_go_both_ways_and_so_do_removals,
    without_a_field_for_tags_they_are_kept_and_it_is_said_why,
    a_field_for_tags_is_made_once_where_that_is_allowed,
    deleting_the_customer_deletes_no_note_in_ghl,
    a_note_that_finds_its_customer_gone_first_deletes_nothing_either,
    in_shadow_mode_no_note_is_written_and_the_preview_names_them,
);
