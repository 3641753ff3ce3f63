//! Notes and tasks of GHL whose webhooks are lost: a full reconcile finds what became of them, and the next one finds nothing.
//! There is no list of all notes, so it takes a call for each contact.

use http::Method;
use serde_json::{Value, json};

use super::mission::held;
use super::{contact, email};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, World};

const EXTENSIONS: [&str; 2] = ["timify+", "timerex+"];

/// An edit in GHL of which no webhook tells; gives the object's id.
async fn untold(world: &World, what: &str, with: Value) -> String {
    world.control(Method::POST, "lose", json!({ "system": "ghl", "count": 1 })).await;
    world.edit(0, "ghl", what, with).await
}

/// What a full run found in GHL of a kind, and wrote: unknown, drifted, missing; the writes.
async fn found(world: &World, kind: &str) -> ([u64; 3], Vec<String>) {
    world.settle().await;
    let mark = world.mark().await;
    let run = world.reconcile().await;
    world.settle().await;
    let listings = run["reports"][0]["listings"].as_array().unwrap();
    assert!(listings.iter().all(|one| one["error"].is_null()), "{run}");
    let of_kind = |one: &&Value| one["system"] == "ghl" && one["kind"] == kind;
    let listing = listings.iter().find(of_kind).unwrap();
    (["unknown", "drifted", "missing"].map(|what| listing[what].as_u64().unwrap()), world.writes(mark).await)
}

async fn is_quiet(world: &World, kind: &str) {
    assert_eq!(found(world, kind).await, ([0; 3], vec![]), "the next run finds nothing and writes nothing");
}

/// What both extensions hold in a field of the objects of a kind, sorted.
async fn beside(world: &World, kinds: &str, field: &str) -> [Vec<String>; 2] {
    let mut all = EXTENSIONS.map(|_| Vec::new());
    for (held_in, system) in all.iter_mut().zip(EXTENSIONS) {
        let objects = held(world, system, kinds).await;
        held_in.extend(objects.iter().map(|one| one[field].as_str().unwrap().to_owned()));
        held_in.sort();
    }
    all
}

fn both(values: &[&str]) -> [Vec<String>; 2] {
    EXTENSIONS.map(|_| values.iter().map(|value| (*value).to_owned()).collect())
}

/// A person who is everywhere.
async fn person(world: &World, name: &str) -> String {
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", name) })).await;
    world.settle().await;
    world.everywhere(0, &email(name)).await;
    id
}

fn saying(text: &str) -> Value {
    json!({ "body": text })
}

/// The calls since a mark that listed some contact's notes in GHL.
async fn lists_of_notes(world: &World, mark: u64) -> usize {
    world.calls(mark).await.iter().filter(|call| call.label() == "ghl GET note" && call.id.is_none()).count()
}

async fn a_note_whose_webhooks_are_lost_is_found_edited_and_deleted_by_full_runs(place: &mut Place) {
    let world = Plan::of(1).start(place).await;
    let (ada, _) = (person(&world, "Ada").await, person(&world, "Bea").await);
    world.edit(0, "ghl", "create note", json!({ "parent": ada, "fields": saying("Told") })).await;
    world.settle().await;
    is_quiet(&world, "note").await;

    let note = untold(&world, "create note", json!({ "parent": ada, "fields": saying("Mornings") })).await;
    world.settle().await;
    assert_eq!(beside(&world, "notes", "content").await, both(&["Told"]), "nobody told of it");
    let mark = world.mark().await;
    world.command(&["reconcile"]);
    world.settle().await;
    assert_eq!(lists_of_notes(&world, mark).await, 0, "a run that is not full lists no notes");
    assert_eq!(found(&world, "note").await, ([1, 0, 0], vec!["timerex+ POST note".into(), "timify+ POST note".into()]));
    assert_eq!(beside(&world, "notes", "content").await, both(&["Mornings", "Told"]));
    let mark = world.mark().await;
    is_quiet(&world, "note").await;
    assert_eq!(lists_of_notes(&world, mark).await, 2, "a call for each contact");

    untold(&world, "update note", json!({ "id": note, "fields": saying("Evenings") })).await;
    world.fault(json!({ "system": "ghl", "kind": "error_500", "path": "/notes", "only": "reads", "count": 2 })).await;
    assert_eq!(found(&world, "note").await, ([0, 1, 0], vec!["timerex+ PUT note".into(), "timify+ PUT note".into()]));
    assert_eq!(beside(&world, "notes", "content").await, both(&["Evenings", "Told"]));
    is_quiet(&world, "note").await;

    untold(&world, "delete note", json!({ "id": note })).await;
    let writes = vec!["timerex+ DELETE note".into(), "timify+ DELETE note".into()];
    assert_eq!(found(&world, "note").await, ([0, 0, 1], writes));
    assert_eq!(beside(&world, "notes", "content").await, both(&["Told"]));
    is_quiet(&world, "note").await;
    world.stop().await;
}

async fn the_notes_of_a_contact_that_is_gone_are_not_taken_for_deleted(place: &mut Place) {
    let world = Plan::of(1).start(place).await;
    let ada = person(&world, "Ada").await;
    world.edit(0, "ghl", "create note", json!({ "parent": ada, "fields": saying("Stays") })).await;
    world.settle().await;
    // The contact goes with its notes; as many webhooks as there may be are lost.
    world.control(Method::POST, "lose", json!({ "system": "ghl", "count": 9 })).await;
    world.edit(0, "ghl", "delete contact", json!({ "id": ada })).await;
    assert_eq!(found(&world, "note").await, ([0; 3], vec![]));
    assert_eq!(beside(&world, "notes", "content").await, both(&["Stays"]), "a contact is unlinked, not deleted");
    is_quiet(&world, "contact").await;
    world.stop().await;
}

async fn a_completed_task_of_which_no_webhook_told_is_found_by_a_run(place: &mut Place) {
    let mut plan = Plan::of(1);
    plan.adjust = |config| config.systems.ghl.poll_tasks = std::time::Duration::ZERO;
    let world = plan.start(place).await;
    let ada = person(&world, "Ada").await;
    let task = json!({ "title": "Done", "body": "", "dueDate": "2031-05-05T09:00:00.000Z", "completed": true });
    let task = untold(&world, "create task", json!({ "parent": ada, "fields": task })).await;
    let (found_here, writes) = found(&world, "task").await;
    assert_eq!((found_here, writes.len()), ([1, 0, 0], 2), "{writes:?}");
    assert_eq!(beside(&world, "tasks", "title").await, both(&["Done"]));
    world.edit(0, "ghl", "update task", json!({ "id": task, "fields": { "title": "Really done" } })).await;
    assert_eq!(found(&world, "task").await.0, [0, 1, 0], "edits have no webhook");
    assert_eq!(beside(&world, "tasks", "title").await, both(&["Really done"]));
    untold(&world, "delete task", json!({ "id": task })).await;
    assert_eq!(found(&world, "task").await.0, [0, 0, 1]);
    assert_eq!(beside(&world, "tasks", "title").await, both(&[]));
    is_quiet(&world, "task").await;
    world.stop().await;
}

on_both!(
    Place: a_note_whose_webhooks_are_lost_is_found_edited_and_deleted_by_full_runs,
    the_notes_of_a_contact_that_is_gone_are_not_taken_for_deleted,
    a_completed_task_of_which_no_webhook_told_is_found_by_a_run,
);
