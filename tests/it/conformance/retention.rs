//! What is old goes, in batches; what waits, what is open and what others rest on stays.

use std::sync::Arc;
use std::time::Duration;

use lockstep::clock::{Clock, Millis, SystemClock};
use lockstep::model::{
    Action, Appended, AttemptResult, ChangeId, Closing, ConflictId, ConflictState, NewChange, NewConflict, Outcome,
    Value,
};
use lockstep::reconcile::retention::{Kept, Sweeper};
use lockstep::store::{Forgotten, History};

use super::{ACME, attempt, change, id, lost, review, verdict};
use crate::support::databases::{Database, on_both};

on_both!(
    bodies_go_before_what_they_told,
    a_change_goes_with_its_verdict_unless_it_waits_or_is_argued_about,
    calls_and_what_people_closed_go_when_they_are_old,
    a_sweep_lets_go_of_all_that_is_old_and_of_nothing_else,
);

const OLD: i64 = 500;

/// A change that came in at this time.
fn at(key: &str, received: i64) -> NewChange {
    NewChange { received: Millis(received), ..change(key) }
}

/// Appends changes that are decided.
async fn decided(db: &Database, changes: &[(&str, i64)]) -> Vec<ChangeId> {
    let mut ids = Vec::new();
    for (key, received) in changes {
        let id = db.append(at(key, *received)).await;
        db.put(|s| s.verdicts.push(verdict(id, Some(super::id(1)), Outcome::Applied))).await;
        ids.push(id);
    }
    ids
}

impl Database {
    /// Lets go of what is older than 1000, two rows at a time; how many rows went.
    async fn let_go(&self, what: History) -> u64 {
        let (mut rows, mut after) = (0, 0);
        loop {
            let went = self.history.as_ref().unwrap().forget(what, Millis(1_000), after, 2).await.unwrap();
            rows += went.rows;
            let Some(last) = went.next else { return rows };
            assert!(last > after);
            after = last;
        }
    }
}

async fn bodies_go_before_what_they_told(db: &mut Database) {
    let ids = decided(db, &[("a", OLD), ("b", OLD), ("c", OLD), ("young", 1_000)]).await;
    let waiting = db.append(at("waits", OLD)).await;
    let told = db.append(NewChange { label: "INSTALL".to_owned(), ..at("app", OLD) }).await;
    db.put(|s| s.verdicts.push(verdict(told, None, Outcome::NotMirrored))).await;
    assert_eq!(db.let_go(History::Bodies).await, 3);
    for (id, has) in [(ids[0], false), (ids[2], false), (ids[3], true), (waiting, true), (told, true)] {
        let change = db.store.change(id).await.unwrap().unwrap();
        assert_eq!(!change.said.body.is_empty(), has, "{id:?}");
        assert_eq!(!change.said.headers.is_empty(), has, "{id:?}");
    }
    assert_eq!(db.store.story(id(1)).await.unwrap().len(), 4, "what was decided stays");
    assert_eq!(db.let_go(History::Bodies).await, 0);
}

async fn a_change_goes_with_its_verdict_unless_it_waits_or_is_argued_about(db: &mut Database) {
    let ids = decided(db, &[("a", OLD), ("argued", OLD), ("b", OLD), ("young", 1_000)]).await;
    let waiting = db.append(at("waits", OLD)).await;
    db.put(|s| s.conflicts.push(NewConflict { change: Some(ids[1]), ..lost(1, Value::text("x")) })).await;
    assert_eq!(db.let_go(History::Changes).await, 2);
    let mut left = Vec::new();
    for id in ids.iter().chain([&waiting]) {
        left.push(db.store.change(*id).await.unwrap().is_some());
    }
    assert_eq!(left, [false, true, false, true, true]);
    let story: Vec<ChangeId> = db.store.story(id(1)).await.unwrap().iter().map(|(change, _)| change.id).collect();
    assert_eq!(story, [ids[1], ids[3]]);
    assert_eq!(db.store.append(&[at("argued", OLD)]).await.unwrap(), [Appended::Duplicate(ids[1])]);
    let again = db.append(at("a", 1_000)).await;
    assert!(again > waiting, "a number is given once");

    let closing = Closing { id: ConflictId(1), state: ConflictState::Dismissed, by: "me".to_owned() };
    assert!(db.store.close_conflict(&closing, Millis(OLD)).await.unwrap());
    // The rows of a settlement bear its own time.
    db.run("UPDATE conflicts SET at = 500").await;
    assert_eq!((db.let_go(History::Conflicts).await, db.let_go(History::Changes).await), (1, 1));
}

async fn calls_and_what_people_closed_go_when_they_are_old(db: &mut Database) {
    let calls = [1, 2, 3, 1_000].map(|at| attempt(1, Action::Update, AttemptResult::Done, at));
    db.put(|s| {
        s.attempts.extend(calls.clone());
        s.reviews.extend([review("closed"), review("open")]);
        s.conflicts.extend([lost(1, Value::text("x")), lost(1, Value::text("y"))]);
    })
    .await;
    db.run("UPDATE reviews SET at = 500; UPDATE conflicts SET at = 500").await;
    assert!(db.store.close_review(ACME, "closed", Millis(OLD)).await.unwrap());
    assert_eq!(db.let_go(History::Calls).await, 3);
    assert_eq!(db.store.attempts(id(1)).await.unwrap(), calls[3..]);
    assert_eq!((db.let_go(History::Reviews).await, db.let_go(History::Conflicts).await), (1, 0));
    assert_eq!(db.number("SELECT COUNT(*) FROM reviews").await, 1, "what is open stays");
    assert_eq!(
        db.history.as_ref().unwrap().forget(History::Calls, Millis(1), 0, 2).await.unwrap(),
        Forgotten::default()
    );
}

async fn a_sweep_lets_go_of_all_that_is_old_and_of_nothing_else(db: &mut Database) {
    let clock = SystemClock;
    let (old, young) = (clock.now().0 - 100_000, clock.now().0);
    let changes: Vec<NewChange> =
        (0..1_001).map(|n| at(&format!("c{n}"), if n < 1_000 { old } else { young })).collect();
    db.store.append(&changes).await.unwrap();
    let kept = Kept { bodies: Duration::from_secs(50), history: Duration::from_secs(50) };
    let sweeper = Sweeper { store: db.history.clone().unwrap(), clock: Arc::new(clock), kept };
    assert_eq!(sweeper.sweep().await.unwrap(), 0, "nothing is decided");
    db.run("DELETE FROM inbox").await;
    let bodies_first = Sweeper { kept: Kept { history: Duration::ZERO, ..kept }, ..sweeper };
    assert_eq!(bodies_first.sweep().await.unwrap(), 1_000);
    assert_eq!(db.number("SELECT COUNT(*) FROM change_log").await, 1_001);
    let sweeper = Sweeper { kept, ..bodies_first };
    assert_eq!(sweeper.sweep().await.unwrap(), 1_000);
    assert_eq!(db.number("SELECT COUNT(*) FROM change_log").await, 1);
    assert_eq!(db.number("SELECT COUNT(*) FROM bodies").await, 1);
    let forever = Sweeper { kept: Kept { bodies: Duration::ZERO, history: Duration::ZERO }, ..sweeper };
    assert!(!forever.has_work());
    assert_eq!(forever.sweep().await.unwrap(), 0);
}
