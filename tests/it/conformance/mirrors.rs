//! Work to be done, and how much was done.

use lockstep::clock::Millis;
use lockstep::model::{Action, AttemptResult, Mirror, MirrorState, Mode, Priority, System};
use lockstep::store::{Outlook, Times};

use super::{ACME, NOW, attempt, change, contact, id, mirror};
use crate::support::databases::{Database, in_memory, on_both};

on_both!(
    due_mirrors_come_when_their_time_has_come_longest_due_first,
    what_is_live_comes_before_any_backlog,
    the_outlook_tells_when_there_is_what_to_do,
    mirrors_are_found_by_state,
    the_fuse_counts_writes_that_may_have_landed,
    the_brake_counts_calls_that_may_have_landed,
);

in_memory!(
    due_mirrors_come_when_their_time_has_come_longest_due_first,
    what_is_live_comes_before_any_backlog,
    the_outlook_tells_when_there_is_what_to_do,
    mirrors_are_found_by_state,
    the_fuse_counts_writes_that_may_have_landed,
    the_brake_counts_calls_that_may_have_landed,
);

fn with(n: u128, system: System, state: MirrorState, due: i64) -> Mirror {
    Mirror { state, due: Millis(due), ..mirror(n, system) }
}

async fn due_mirrors_come_when_their_time_has_come_longest_due_first(db: &Database) {
    use MirrorState::{Due, Held, Idle, Parked, Waiting};
    db.put(|s| {
        s.entities.extend((1..=6).map(contact));
        s.mirrors.extend([
            with(1, System::Ghl, Due, NOW.0),
            with(2, System::Ghl, Due, 5),
            with(3, System::Ghl, Due, NOW.0 + 1),
        ]);
        s.mirrors.extend([
            with(4, System::Ghl, Idle, 1),
            with(5, System::Ghl, Parked, 1),
            with(6, System::Ghl, Held, 1),
        ]);
        s.mirrors.push(with(1, System::Timify, Waiting, 1));
    })
    .await;
    let due = async |workspace, limit| {
        let mirrors = db.store.due(workspace, NOW, limit).await.unwrap();
        mirrors.iter().map(|mirror| mirror.entity).collect::<Vec<_>>()
    };
    assert_eq!(due(ACME, 9).await, [id(2), id(1)]);
    assert_eq!(due(ACME, 1).await, [id(2)]);
    assert_eq!(due("other", 9).await, []);
}

async fn what_is_live_comes_before_any_backlog(db: &Database) {
    let ranked = |n, due, priority| Mirror { priority, ..with(n, System::Ghl, MirrorState::Due, due) };
    db.put(|s| {
        s.entities.extend((1..=5).map(contact));
        s.mirrors.extend([
            ranked(1, 1, Priority::Backfill),
            ranked(2, 3, Priority::Reconcile),
            ranked(3, 2, Priority::Reconcile),
            ranked(4, 5, Priority::Live),
            ranked(5, 4, Priority::Live),
        ]);
    })
    .await;
    let due = async |limit| {
        let mirrors = db.store.due(ACME, NOW, limit).await.unwrap();
        mirrors.iter().map(|mirror| (mirror.entity, mirror.priority)).collect::<Vec<_>>()
    };
    let all = [
        (id(5), Priority::Live),
        (id(4), Priority::Live),
        (id(1), Priority::Backfill),
        (id(3), Priority::Reconcile),
        (id(2), Priority::Reconcile),
    ];
    assert_eq!(due(9).await, all);
    assert_eq!(due(4).await, all[..4]);
    assert_eq!(due(1).await, all[..1]);
    db.put(|s| s.mirrors.push(Mirror { rev: 1, ..ranked(1, 1, Priority::Live) })).await;
    assert_eq!(due(1).await, [(id(1), Priority::Live)]);
}

async fn the_outlook_tells_when_there_is_what_to_do(db: &Database) {
    let outlook = async |now| db.store.outlook(ACME, Millis(now)).await.unwrap().unwrap();
    let times = |first: Option<i64>, later: Option<i64>| Times { first: first.map(Millis), later: later.map(Millis) };
    assert_eq!(db.store.outlook(ACME, NOW).await.unwrap(), None, "it is not registered");
    db.store.register(&[ACME.to_owned()], Mode::Shadow, NOW).await.unwrap();
    let nothing = Outlook { mode: Mode::Shadow, inbox: Times::default(), mirrors: Times::default() };
    assert_eq!((outlook(0).await, nothing.first(), nothing.later()), (nothing, None, None));
    db.put(|s| {
        s.entities.extend([contact(1), contact(2)]);
        s.mirrors.extend([
            with(1, System::Ghl, MirrorState::Due, 77),
            with(2, System::Ghl, MirrorState::Due, 88),
            with(1, System::Timify, MirrorState::Idle, 1),
        ]);
    })
    .await;
    assert_eq!(outlook(76).await.mirrors, times(Some(77), Some(77)));
    assert_eq!(outlook(77).await.mirrors, times(Some(77), Some(88)));
    assert_eq!(outlook(88).await.mirrors, times(Some(77), None));
    let early = db.append(lockstep::model::NewChange { received: Millis(66), ..change("a") }).await;
    let seen = outlook(70).await;
    assert_eq!((seen.inbox, seen.first(), seen.later()), (times(Some(66), None), Some(Millis(66)), Some(Millis(77))));
    assert!(seen.inbox.is_due(Millis(66)) && !seen.inbox.is_due(Millis(65)) && !seen.mirrors.is_due(Millis(76)));
    db.put(|s| s.waits.push((early, id(1), System::Ghl, 1))).await;
    assert_eq!(outlook(70).await.inbox, Times::default());
}

async fn mirrors_are_found_by_state(db: &Database) {
    db.put(|s| {
        s.entities.extend([contact(1), contact(2)]);
        s.mirrors.extend([with(1, System::Ghl, MirrorState::Parked, 9), with(2, System::Ghl, MirrorState::Parked, 8)]);
        s.mirrors.push(with(1, System::Timify, MirrorState::Held, 7));
    })
    .await;
    let parked = db.store.in_state(ACME, MirrorState::Parked, 9).await.unwrap();
    assert_eq!(parked.iter().map(|mirror| mirror.entity).collect::<Vec<_>>(), [id(2), id(1)]);
    assert_eq!(db.store.in_state(ACME, MirrorState::Parked, 1).await.unwrap().len(), 1);
    assert_eq!(db.store.in_state(ACME, MirrorState::Idle, 9).await.unwrap(), []);
}

async fn the_fuse_counts_writes_that_may_have_landed(db: &Database) {
    use AttemptResult::{Done, Refused, Retry, Unclear};
    db.put(|s| {
        let all = [Done, Unclear, Retry, Refused];
        s.attempts.extend(all.map(|result| attempt(1, Action::Update, result, 100)));
        s.attempts.extend(all.map(|result| attempt(1, Action::Read, result, 100)));
        s.attempts.extend([attempt(1, Action::AddTags, Done, 200), attempt(1, Action::Find, Done, 200)]);
        s.attempts.push(attempt(2, Action::Update, Done, 200));
    })
    .await;
    let writes = async |system, since| db.store.writes_since(id(1), system, Millis(since)).await.unwrap();
    assert_eq!(writes(System::Timify, 100).await, [Millis(100), Millis(100), Millis(200)]);
    assert_eq!(writes(System::Timify, 101).await, [Millis(200)]);
    assert_eq!(writes(System::Timify, 201).await, []);
    assert_eq!(writes(System::Ghl, 0).await, []);
}

async fn the_brake_counts_calls_that_may_have_landed(db: &Database) {
    use AttemptResult::{Done, Refused, Retry, Unclear};
    db.put(|s| {
        s.attempts.extend([Done, Unclear, Retry, Refused].map(|result| attempt(1, Action::Create, result, 100)));
        s.attempts.extend([attempt(2, Action::Create, Done, 200), attempt(2, Action::Delete, Done, 200)]);
    })
    .await;
    let count =
        async |system, action, since| db.store.actions_since(ACME, system, action, Millis(since)).await.unwrap();
    assert_eq!(count(System::Timify, Action::Create, 100).await, 3);
    assert_eq!(count(System::Timify, Action::Create, 150).await, 1);
    assert_eq!(count(System::Timify, Action::Delete, 0).await, 1);
    assert_eq!(count(System::Ghl, Action::Create, 0).await, 0);
    assert_eq!(db.store.actions_since("other", System::Timify, Action::Create, Millis(0)).await.unwrap(), 0);
}
