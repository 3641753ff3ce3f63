//! Leases on workspaces.

use std::sync::Arc;

use lockstep::clock::Millis;
use lockstep::model::Lease;

use crate::support::databases::{Database, in_memory, on_both};

on_both!(
    a_free_lease_is_taken_and_renewed_with_one_number,
    a_live_lease_is_not_taken,
    an_expired_lease_changes_hands_with_a_higher_number,
    a_lease_given_back_is_free_at_once,
    live_leases_are_listed_whoever_holds_them,
    a_restart_waits_for_leases_only_where_another_process_may_still_work,
    of_many_that_want_a_lease_one_gets_it,
);

in_memory!(
    a_free_lease_is_taken_and_renewed_with_one_number,
    a_live_lease_is_not_taken,
    an_expired_lease_changes_hands_with_a_higher_number,
    a_lease_given_back_is_free_at_once,
    live_leases_are_listed_whoever_holds_them,
    of_many_that_want_a_lease_one_gets_it,
);

async fn take(db: &Database, names: &[&str], owner: &str, now: i64, until: i64) -> Vec<(String, i64, i64)> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let leases = db.store.lease(&names, owner, Millis(now), Millis(until)).await.unwrap();
    assert!(leases.iter().all(|lease| lease.owner == owner));
    leases.into_iter().map(|lease| (lease.workspace, lease.fence, lease.until.0)).collect()
}

fn row(name: &str, fence: i64, until: i64) -> (String, i64, i64) {
    (name.to_owned(), fence, until)
}

async fn a_free_lease_is_taken_and_renewed_with_one_number(db: &Database) {
    assert_eq!(take(db, &["b", "a", "b"], "us", 0, 10).await, [row("a", 1, 10), row("b", 1, 10)]);
    assert_eq!(take(db, &["a", "b"], "us", 5, 15).await, [row("a", 1, 15), row("b", 1, 15)]);
    assert_eq!(take(db, &["a"], "us", 99, 110).await, [row("a", 1, 110)], "expired, but nobody took it");
    assert_eq!(take(db, &[], "us", 0, 10).await, []);
}

async fn a_live_lease_is_not_taken(db: &Database) {
    take(db, &["a"], "us", 0, 10).await;
    assert_eq!(take(db, &["a", "b"], "them", 9, 20).await, [row("b", 1, 20)]);
    assert_eq!(take(db, &["a"], "us", 9, 30).await, [row("a", 1, 30)]);
}

async fn an_expired_lease_changes_hands_with_a_higher_number(db: &Database) {
    take(db, &["a"], "us", 0, 10).await;
    assert_eq!(take(db, &["a"], "them", 10, 20).await, [row("a", 2, 20)]);
    assert_eq!(take(db, &["a"], "us", 15, 25).await, []);
    assert_eq!(take(db, &["a"], "us", 20, 30).await, [row("a", 3, 30)]);
}

async fn a_lease_given_back_is_free_at_once(db: &Database) {
    take(db, &["a", "b"], "us", 0, 10).await;
    take(db, &["c"], "them", 0, 10).await;
    db.store.release(&["a", "b", "c", "d"].map(str::to_owned), "us").await.unwrap();
    assert_eq!(take(db, &["a", "c"], "third", 1, 20).await, [row("a", 2, 20)]);
    assert_eq!(take(db, &["b"], "us", 1, 20).await, [row("b", 2, 20)], "what is still under way is refused");
}

async fn live_leases_are_listed_whoever_holds_them(db: &Database) {
    take(db, &["b", "a"], "us", 0, 10).await;
    take(db, &["c"], "them", 0, 11).await;
    let live = async |now| {
        let live = db.store.live_leases(Millis(now)).await.unwrap().into_iter();
        live.map(|lease| format!("{} {} {}", lease.workspace, lease.owner, lease.until.0)).collect::<Vec<_>>()
    };
    assert_eq!(live(9).await, ["a us 10", "b us 10", "c them 11"]);
    assert_eq!(live(10).await, ["c them 11"]);
    db.store.release(&["a".to_owned()], "us").await.unwrap();
    assert_eq!(live(9).await, ["b us 10", "c them 11"]);
}

async fn a_restart_waits_for_leases_only_where_another_process_may_still_work(db: &mut Database) {
    take(db, &["a"], "killed", 0, 10).await;
    db.reopen().await;
    // Opening a SQLite file needs its lock, which proves that the process before is dead.
    let at_once = if db.url.starts_with("sqlite") { vec![row("a", 2, 11)] } else { Vec::new() };
    assert_eq!(take(db, &["a"], "us", 1, 11).await, at_once);
}

async fn of_many_that_want_a_lease_one_gets_it(db: &Database) {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = Arc::clone(&db.store);
        let mut names: Vec<String> = ["a", "b", "c"].map(ToOwned::to_owned).into();
        names.rotate_left(n % 3);
        tasks.spawn(async move { store.lease(&names, &format!("p{n}"), Millis(0), Millis(10)).await.unwrap() });
    }
    let leases: Vec<Lease> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(leases.len(), 3, "{leases:?}");
    assert!(leases.iter().all(|lease| lease.fence == 1));
}
