//! Polling GHL's open tasks with our own client: what a round lists, what it costs, and what becomes rows.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use lockstep::dispatch::budget::{Budget, Limit};
use lockstep::ids::Ids;
use lockstep::model::{Kind, Origin, System, Workspace};
use lockstep::reconcile::{Poll, Reconciler};
use lockstep::sandbox::Edit;
use lockstep::systems::{Site, Target};
use serde_json::{Value, json};

use super::bench::Bench;
use crate::support::databases::Database;

fn edit(bench: &Bench, kind: &str, action: &str, id: Option<&str>, parent: Option<&str>, fields: Value) -> String {
    let edit = Edit {
        account: bench.account.ghl_location.clone(),
        kind: kind.to_owned(),
        action: action.to_owned(),
        id: id.map(str::to_owned),
        parent: parent.map(str::to_owned),
        fields,
    };
    bench.edit(System::Ghl, &edit).0
}

/// So many open tasks of one contact, and one that is done.
fn with_tasks(open: usize) -> (Bench, Vec<String>) {
    let bench = Bench::new();
    let contact = edit(&bench, "contact", "create", None, None, json!({ "email": "a@example.com" }));
    let task = |number: usize| {
        let fields = json!({ "title": format!("Task {number}"), "dueDate": "2031-05-05T09:00:00.000Z" });
        edit(&bench, "task", "create", None, Some(&contact), fields)
    };
    let tasks: Vec<String> = (0..=open).map(task).collect();
    edit(&bench, "task", "complete", tasks.last().map(String::as_str), None, json!({}));
    (bench, tasks)
}

#[tokio::test]
async fn a_call_lists_a_hundred_open_tasks_and_nothing_else() {
    let (bench, tasks) = with_tasks(101);
    let ghl = bench.ghl();
    let first = ghl.untold(Kind::Task, None).await.unwrap();
    assert_eq!(first.observations.len(), 100);
    let second = ghl.untold(Kind::Task, first.next.as_deref()).await.unwrap();
    assert_eq!((second.observations.len(), second.next), (1, None));
    let mut listed: Vec<&str> =
        first.observations.iter().chain(&second.observations).map(|one| one.id.as_str()).collect();
    listed.sort_unstable();
    let mut open: Vec<&str> = tasks[..101].iter().map(String::as_str).collect();
    open.sort_unstable();
    assert_eq!(listed, open);
    for kind in [Kind::Contact, Kind::Note, Kind::Appointment] {
        assert!(
            ghl.untold(kind, None).await.unwrap().observations.is_empty(),
            "webhooks tell of each edit of a {kind}"
        );
    }
}

async fn polling(bench: &Bench, calls: u32) -> (Database, Reconciler, Site) {
    let database = Database::sqlite().await;
    let store = &database.store;
    let ids = Arc::new(Ids::seeded(1));
    let limits = vec![Limit::in_ten_seconds(NonZeroU32::new(calls).unwrap())];
    let budget = Budget::new([(System::Ghl, limits)].into(), bench.core.clock.clone(), ids.clone());
    let reconciler = Reconciler {
        log: store.clone(),
        entities: store.clone(),
        workspaces: store.clone(),
        clock: bench.core.clock.clone(),
        ids,
    };
    let workspace = Workspace { name: "main".to_owned(), ..Workspace::default() };
    let ghl: Arc<dyn Target> = Arc::new(bench.ghl_within(budget.of("main", System::Ghl)));
    let targets = [(System::Ghl, ghl)].into();
    (database, reconciler, Site::new(workspace, targets))
}

#[tokio::test]
async fn what_differs_is_said_once_and_again_only_when_it_changed() {
    let (bench, tasks) = with_tasks(3);
    let (database, reconciler, site) = polling(&bench, 1_000).await;
    let mut poll = Poll::new(System::Ghl, Kind::Task, Duration::from_mins(2));
    let mut rounds = Vec::new();
    let no_fields = json!({});
    for (task, action, fields) in [
        (0, "", no_fields.clone()),
        (0, "", no_fields.clone()),
        (0, "update", json!({ "title": "Write" })),
        (0, "", no_fields.clone()),
        (1, "complete", no_fields.clone()),
        (1, "update", json!({ "completed": false })),
        (3, "update", json!({ "completed": false })),
    ] {
        if !action.is_empty() {
            edit(&bench, "task", action, Some(&tasks[task]), None, fields);
        }
        bench.advance(120);
        rounds.push(reconciler.poll(&site, &mut poll).await.unwrap());
    }
    assert_eq!(rounds, [3, 0, 1, 0, 0, 1, 1]);
    let rows = database.store.undecided("main", bench.now(), 100).await.unwrap();
    assert!(rows.iter().all(|row| row.said.origin == Origin::Look && row.said.kind == Some(Kind::Task)));
    // How old the first round's differences are, nobody knows; later ones came up since the round before.
    let known: Vec<bool> = rows.iter().map(|row| row.said.at.is_some()).collect();
    assert_eq!(known, [false, false, false, true, true, true]);
    let cursor = database.store.cursor("main", "reconcile/ghl/task").await.unwrap();
    assert_eq!(cursor, None, "where reconciling goes on is not touched");
}

#[tokio::test]
async fn a_spent_budget_ends_the_round_and_nothing_waits_for_it() {
    let (bench, _) = with_tasks(101);
    let (_database, reconciler, site) = polling(&bench, 2).await;
    let mut poll = Poll::new(System::Ghl, Kind::Task, Duration::from_mins(2));
    assert_eq!(reconciler.poll(&site, &mut poll).await.unwrap(), 101, "two calls");
    let mut fresh = Poll::new(System::Ghl, Kind::Task, Duration::from_mins(2));
    assert_eq!(reconciler.poll(&site, &mut fresh).await.unwrap(), 0, "the third is left to others");
}
