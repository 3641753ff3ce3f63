//! Edits of tasks in GHL, for which it sends no webhook: the poll of the open tasks finds them.

use std::time::Duration;

use lockstep::model::Origin;
use serde_json::{Value, json};

use super::contact;
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, World};

/// Polls often.
fn plan() -> Plan {
    let mut plan = Plan::of(1);
    plan.adjust = |config| config.systems.ghl.poll_tasks = Duration::from_millis(200);
    plan
}

/// The only task that TIMIFY's extension holds.
async fn task_in_timify(world: &World) -> Value {
    let state = world.state().await;
    let tasks = &state["extension"]["timify"][&world.account(0).timify_company]["tasks"];
    let tasks: Vec<Value> = match tasks {
        Value::Object(map) => map.values().cloned().collect(),
        other => other.as_array().cloned().unwrap_or_default(),
    };
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    tasks[0].clone()
}

/// How often the location's tasks were searched.
async fn searches(world: &World, mark: u64) -> usize {
    let search = |call: &&crate::support::world::Call| call.label() == "ghl POST task" && !call.write;
    world.calls(mark).await.iter().filter(search).count()
}

/// How many rows reconciling and polling have made.
async fn listed(world: &World) -> u64 {
    let origins = world.app.store.origins("main").await.unwrap();
    [Origin::Listing, Origin::Look].iter().filter_map(|origin| origins.get(origin)).sum()
}

async fn some_polls(world: &World, times: usize) {
    let mark = world.mark().await;
    world.until("the tasks are polled", async || searches(world, mark).await >= times).await;
}

async fn edited_and_reopened_tasks_are_found_without_a_webhook(place: &mut Place) {
    let world = plan().start(place).await;
    let person = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Quinn") })).await;
    let task = json!({ "title": "Call back", "body": "", "dueDate": "2031-05-05T09:00:00.000Z", "completed": false });
    let task = world.edit(0, "ghl", "create task", json!({ "parent": person, "fields": task })).await;
    world.settle().await;
    assert_eq!(task_in_timify(&world).await["title"], "Call back");

    let (mark, sent, before) = (world.mark().await, world.deliveries().await.len(), listed(&world).await);
    let edit = json!({ "title": "Write", "dueDate": "2031-06-06T09:00:00.000Z" });
    world.edit(0, "ghl", "update task", json!({ "id": task, "fields": edit })).await;
    assert_eq!(world.deliveries().await.len(), sent, "no webhook tells of it");
    world.until("the edit arrives", async || task_in_timify(&world).await["title"] == "Write").await;
    world.settle().await;
    assert_eq!(task_in_timify(&world).await["dueDate"], "2031-06-06T09:00:00.000Z");
    assert_eq!(world.writes(mark).await, ["timerex+ PUT task", "timify+ PUT task"]);
    some_polls(&world, 3).await;
    assert!((1..=2).contains(&(listed(&world).await - before)), "an edit is said once, however often it is listed");

    world.edit(0, "ghl", "complete task", json!({ "id": task })).await;
    world.until("it is done", async || task_in_timify(&world).await["completed"] == true).await;
    world.settle().await;
    let sent = world.deliveries().await.len();
    world.edit(0, "ghl", "update task", json!({ "id": task, "fields": { "completed": false } })).await;
    assert_eq!(world.deliveries().await.len(), sent, "no webhook tells of it");
    world.until("it is open again", async || task_in_timify(&world).await["completed"] == false).await;
    world.settle().await;
    world.stop().await;
}

/// What `/health` says is not granted in GHL.
async fn not_granted(world: &World) -> Vec<Value> {
    let url = format!("http://{}/health", world.app.public);
    let text = world.client.get(url).send().await.unwrap().text().await.unwrap();
    let health: Value = serde_json::from_str(&text).unwrap();
    health["workspaces"][0]["systems"]["ghl"]["not_granted"].as_array().cloned().unwrap_or_default()
}

async fn what_is_not_granted_is_not_asked_for_again_and_fails_no_reconcile(place: &mut Place) {
    const TASKS: &str = "locations/tasks.readonly";
    let mut plan = plan();
    plan.settings.ghl.tokens[0].scopes = vec!["contacts.readonly".to_owned()];
    let world = plan.start(place).await;
    world.until("a poll finds it out", async || not_granted(&world).await.contains(&TASKS.into())).await;
    let mark = world.mark().await;
    // It ends with 0, or this fails.
    let told = world.command(&["reconcile", "--full"]);
    for scope in [TASKS, "calendars/events.readonly"] {
        assert!(told.contains(&format!("not granted: {scope}")), "{told}");
    }
    let listings = world.reconcile().await["reports"][0]["listings"].take();
    let of = |kind: &str| listings.as_array().unwrap().iter().find(|one| one["system"] == "ghl" && one["kind"] == kind);
    assert_eq!((&of("task").unwrap()["not_granted"], &of("task").unwrap()["error"]), (&TASKS.into(), &Value::Null));
    assert_eq!(of("contact").unwrap()["not_granted"], Value::Null, "what is granted is listed");
    assert_eq!(searches(&world, mark).await, 0, "it is known, so nothing is sent");
    let events = Value::from("calendars/events.readonly");
    world.until("/health tells it too", async || not_granted(&world).await.contains(&events)).await;
    world.stop().await;
}

on_both!(
    Place: edited_and_reopened_tasks_are_found_without_a_webhook,
    what_is_not_granted_is_not_asked_for_again_and_fails_no_reconcile,
);
