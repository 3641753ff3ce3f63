//! Settlements: all of it, or nothing.

use std::sync::Arc;
use std::time::Duration;

use lockstep::clock::Millis;
use lockstep::model::{
    Action, AttemptResult, Author, ChangeId, Entity, Field, Finding, Kind, Link, LinkState, Mirror, MirrorState,
    NewChange, NewConflict, Origin, Outcome, Stamped, System, Value,
};
use lockstep::store::{Settled, Settlement, StoreError};

use super::{ACME, NOW, attempt, change, child, conflict, contact, ext, id, link, mirror, review, stamp, verdict};
use crate::support::databases::{Database, Pool, in_memory, on_both};

on_both!(
    a_settlement_writes_all_its_parts,
    a_settlement_that_moved_writes_nothing,
    a_settlement_without_its_lease_writes_nothing,
    a_settlement_that_is_given_up_is_whole_or_is_not,
    of_many_settlements_over_one_revision_one_is_written,
    one_that_comes_too_late_holds_none_back_that_is_settled_beside_it,
    settlements_that_want_each_others_rows_end,
    a_reading_that_is_known_is_skipped,
    a_change_put_back_gets_its_new_verdict,
    a_released_child_is_due,
    a_child_that_waits_while_its_parent_arrives_is_released,
    a_settlement_stays_in_its_workspace,
);

in_memory!(
    a_settlement_writes_all_its_parts,
    a_settlement_that_moved_writes_nothing,
    a_settlement_without_its_lease_writes_nothing,
    of_many_settlements_over_one_revision_one_is_written,
    one_that_comes_too_late_holds_none_back_that_is_settled_beside_it,
    settlements_that_want_each_others_rows_end,
    a_reading_that_is_known_is_skipped,
    a_released_child_is_due,
    a_child_that_waits_while_its_parent_arrives_is_released,
    a_settlement_stays_in_its_workspace,
);

/// The numbers of the changes that stand ready.
struct Ready {
    verdict: ChangeId,
    wait: ChangeId,
    later: ChangeId,
    decided: ChangeId,
}

/// Contact 1 with a link, a mirror and a waiting task 2; three undecided changes and a decided one.
async fn ready(db: &Database) -> Ready {
    let ids = [change("v"), change("w"), change("l"), change("d")].map(async |change| db.append(change).await);
    let [verdict_id, wait, later, decided] = ids;
    let (verdict_id, wait, later, decided) = (verdict_id.await, wait.await, later.await, decided.await);
    let waiting =
        Mirror { state: MirrorState::Waiting, reason: Some("no contact".to_owned()), ..mirror(2, System::Timify) };
    db.put(|s| {
        s.entities.extend([contact(1), child(2, Kind::Task, id(1))]);
        s.links.push(link(1, System::Ghl, "g1"));
        s.mirrors.extend([mirror(1, System::Timify), waiting]);
        s.verdicts.push(verdict(decided, None, Outcome::Echo));
    })
    .await;
    Ready { verdict: verdict_id, wait, later, decided }
}

/// One of each part.
fn full(s: &mut Settlement, ready: &Ready) {
    let mut known = Entity { rev: 1, ..contact(1) };
    known.set(Field::FIRST_NAME, Value::text("Ann"), stamp(9, Author::Ghl));
    s.entities.extend([known, contact(3)]);
    s.links.extend([
        Link { seen: NOW, rev: 1, ..link(1, System::Ghl, "g1") },
        link(1, System::Timify, "t1"),
        link(3, System::Ghl, "g3"),
    ]);
    s.mirrors.extend([Mirror { doubt: 4, rev: 1, ..mirror(1, System::Timify) }, mirror(3, System::Timify)]);
    let read = NewChange { origin: Origin::Read, ..change("read") };
    s.readings.push((read, verdict(ChangeId(0), Some(id(1)), Outcome::Applied)));
    let mut found = verdict(ready.verdict, Some(id(1)), Outcome::Conflict);
    found.findings = [(Field::PHONE, Finding::Lost), (Field::tag("vip"), Finding::Taken)].into();
    s.verdicts.push(found);
    s.waits.push((ready.wait, id(1), System::Ghl, 4));
    s.later.push((ready.later, Millis(NOW.0 + 9)));
    s.conflicts.push(NewConflict::bare(id(1), Some(ready.verdict), conflict(Value::text("+49"))));
    s.attempts.push(attempt(1, Action::Update, AttemptResult::Done, NOW.0));
    s.release.push((id(1), System::Timify));
    s.reviews.push(review("subject"));
}

/// The same, but for what takes looks between its statements.
fn plain(s: &mut Settlement, ready: &Ready) {
    full(s, ready);
    s.readings.clear();
    s.conflicts.clear();
}

/// All that can be seen of what a settlement may touch.
async fn seen(db: &Database) -> String {
    let store = &db.store;
    let mut seen = Vec::new();
    for n in 1..=4 {
        seen.push(format!("{:?}", store.whole(id(n)).await.unwrap()));
        seen.push(format!("{:?}", store.story(id(n)).await.unwrap()));
        seen.push(format!("{:?}", store.attempts(id(n)).await.unwrap()));
        seen.push(format!("{:?}", store.waiting(id(n), System::Ghl).await.unwrap()));
    }
    seen.push(format!("{:?}", store.undecided(ACME, Millis(i64::MAX), 99).await.unwrap()));
    seen.push(format!("{:?}", store.outlook(ACME, Millis(0)).await.unwrap()));
    seen.push(format!("{:?}", store.conflicts(ACME, None).await.unwrap()));
    seen.push(format!("{:?}", store.reviews(ACME).await.unwrap()));
    seen.push(format!("{:?}", store.outcomes(ACME).await.unwrap()));
    seen.join("\n")
}

async fn a_settlement_writes_all_its_parts(db: &Database) {
    let ready = ready(db).await;
    db.put(|s| full(s, &ready)).await;
    let one = db.whole(1).await;
    let first_name = Stamped { value: Value::text("Ann"), stamp: stamp(9, Author::Ghl) };
    assert_eq!((one.entity.rev, one.entity.fields.get(&Field::FIRST_NAME)), (2, Some(&first_name)));
    assert_eq!(one.link(System::Ghl).map(|link| (link.seen, link.rev)), Some((NOW, 2)));
    assert_eq!(one.link(System::Timify).map(|link| (&link.id, link.rev)), Some((&ext("t1"), 1)));
    assert_eq!(one.mirror(System::Timify).map(|mirror| (mirror.doubt, mirror.rev)), Some((4, 2)));
    assert_eq!(db.whole(3).await.links.len(), 1);
    let story = db.store.story(id(1)).await.unwrap();
    let words: Vec<_> = story.iter().map(|(change, found)| (change.said.dedup.as_str(), found.outcome)).collect();
    assert_eq!(words, [("v", Outcome::Conflict), ("read", Outcome::Applied)]);
    assert_eq!(story[0].1.findings.len(), 2);
    assert!(story.iter().all(|(change, found)| change.id == found.change));
    assert_eq!(db.store.waiting(id(1), System::Ghl).await.unwrap()[0].1, 4);
    assert!(db.store.undecided(ACME, NOW, 9).await.unwrap().is_empty());
    assert_eq!(db.store.undecided(ACME, Millis(NOW.0 + 9), 9).await.unwrap()[0].id, ready.later);
    assert_eq!(db.store.conflicts(ACME, Some(id(1))).await.unwrap(), [(id(1), conflict(Value::text("+49")))]);
    assert_eq!(db.store.attempts(id(1)).await.unwrap(), [attempt(1, Action::Update, AttemptResult::Done, NOW.0)]);
    assert_eq!(db.store.reviews(ACME).await.unwrap(), [review("subject")]);
    assert_eq!(db.whole(2).await.mirrors[0].state, MirrorState::Due);
}

/// One thing that came too late.
type Spoil = fn(&mut Settlement, &Ready);

async fn a_settlement_that_moved_writes_nothing(db: &Database) {
    let spoils: [(&str, Spoil); 11] = [
        ("an entity of another revision", |s, _| s.entities[0].rev = 7),
        ("an entity that is not there", |s, _| s.entities.push(Entity { rev: 1, ..contact(4) })),
        ("a new entity that is there", |s, _| s.entities.push(child(2, Kind::Task, id(1)))),
        ("a link of another revision", |s, _| s.links[0].rev = 7),
        ("a new link that is there", |s, _| {
            s.links.push(Link { state: LinkState::Gone, ..link(3, System::Ghl, "g1") });
        }),
        ("a second live link", |s, _| s.links.push(link(1, System::Ghl, "g2"))),
        ("a mirror of another revision", |s, _| s.mirrors[0].rev = 7),
        ("a new mirror that is there", |s, _| s.mirrors.push(mirror(2, System::Timify))),
        ("a verdict on a decided change", |s, ready| s.verdicts.push(verdict(ready.decided, None, Outcome::Applied))),
        ("a decided change that waits", |s, ready| s.waits.push((ready.decided, id(1), System::Ghl, 1))),
        ("a decided change put off", |s, ready| s.later.push((ready.decided, NOW))),
    ];
    let ready = ready(db).await;
    let before = seen(db).await;
    for (what, spoil) in spoils {
        for parts in [full, plain] {
            let settled = db
                .settle(|s| {
                    parts(s, &ready);
                    spoil(s, &ready);
                })
                .await;
            assert_eq!(settled, Settled::Moved, "{what}");
            assert_eq!(seen(db).await, before, "{what}");
        }
    }
    db.put(|s| full(s, &ready)).await;
    assert_ne!(seen(db).await, before);
}

async fn a_settlement_without_its_lease_writes_nothing(db: &Database) {
    let ready = ready(db).await;
    let mut settlement = db.settlement().await;
    full(&mut settlement, &ready);
    let before = seen(db).await;
    let ours = settlement.lease.clone();
    for (spoil, is_plain) in
        ["owner", "fence", "workspace"].into_iter().flat_map(|spoil| [(spoil, false), (spoil, true)])
    {
        let mut other = settlement.clone();
        if is_plain {
            other.readings.clear();
            other.conflicts.clear();
        }
        match spoil {
            "owner" => "them".clone_into(&mut other.lease.owner),
            "fence" => other.lease.fence += 1,
            _ => other = Settlement::new(lockstep::model::Lease { workspace: "other".to_owned(), ..ours.clone() }, NOW),
        }
        assert_eq!(db.store.settle(&other).await.unwrap(), Settled::LeaseLost, "{spoil}");
    }
    let late = Millis(ours.until.0 + 1);
    let theirs = db.store.lease(&[ACME.to_owned()], "them", late, Millis(late.0 + 60_000)).await.unwrap();
    assert_eq!(theirs[0].fence, ours.fence + 1);
    assert_eq!(db.store.settle(&settlement).await.unwrap(), Settled::LeaseLost);
    assert_eq!(seen(db).await, before);
    settlement.lease = theirs[0].clone();
    assert_eq!(db.store.settle(&settlement).await.unwrap(), Settled::Done);
}

/// A process that ends, or a caller that waits no longer: whoever was being written is written whole, or not at all, and
/// nobody after it finds the store in the middle of something.
async fn a_settlement_that_is_given_up_is_whole_or_is_not(db: &Database) {
    let settlement = db.settlement().await;
    for n in 1..=150 {
        let (store, mut settlement) = (Arc::clone(&db.store), settlement.clone());
        settlement.entities.push(contact(n));
        settlement.links.push(link(n, System::Ghl, &format!("g{n}")));
        settlement.attempts.push(attempt(n, Action::Update, AttemptResult::Done, NOW.0));
        let writing = tokio::spawn(async move { store.settle(&settlement).await });
        tokio::time::sleep(Duration::from_micros(n as u64 * 13)).await;
        writing.abort();
        drop(writing.await);
    }
    db.put(|s| s.entities.push(contact(200))).await;
    let mut written = 0;
    for n in 1..=150 {
        let whole = db.store.whole(id(n)).await.unwrap();
        written += usize::from(whole.is_some());
        let links = whole.map_or(0, |whole| whole.links.len());
        assert_eq!(links, db.store.attempts(id(n)).await.unwrap().len(), "{n}");
    }
    println!("{written} of 150 were written");
}

async fn of_many_settlements_over_one_revision_one_is_written(db: &Database) {
    db.put(|s| s.entities.push(contact(1))).await;
    let settlement = db.settlement().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (store, mut settlement) = (Arc::clone(&db.store), settlement.clone());
        settlement.entities.push(Entity { rev: 1, ..contact(1) });
        settlement.mirrors.push(mirror(1, System::Ghl));
        settlement.attempts.push(attempt(1, Action::Update, AttemptResult::Done, n));
        tasks.spawn(async move { store.settle(&settlement).await.unwrap() });
    }
    let settled = tasks.join_all().await;
    assert_eq!(settled.iter().filter(|settled| **settled == Settled::Done).count(), 1, "{settled:?}");
    assert_eq!(settled.iter().filter(|settled| **settled == Settled::Moved).count(), 7, "{settled:?}");
    assert_eq!((db.whole(1).await.entity.rev, db.store.attempts(id(1)).await.unwrap().len()), (2, 1));
}

async fn one_that_comes_too_late_holds_none_back_that_is_settled_beside_it(db: &Database) {
    let settlement = db.settlement().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 1..=40 {
        let (store, mut settlement) = (Arc::clone(&db.store), settlement.clone());
        settlement.entities.push(Entity { rev: if n == 7 { 5 } else { 0 }, ..contact(n) });
        settlement.lease.fence += i64::from(n == 9);
        tasks.spawn(async move { (n, store.settle(&settlement).await.unwrap()) });
    }
    for (n, settled) in tasks.join_all().await {
        let expected = match n {
            7 => Settled::Moved,
            9 => Settled::LeaseLost,
            _ => Settled::Done,
        };
        assert_eq!((n, settled), (n, expected));
        assert_eq!(db.store.whole(id(n)).await.unwrap().is_some(), expected == Settled::Done, "{n}");
    }
}

/// Another process takes the lease over and has not committed yet: the settlement must wait to hear who holds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(
    postgres_missing,
    ignore = "no PostgreSQL: apt-get install postgresql, or set TEST_POSTGRES_URL=postgres://USER@HOST/DATABASE; then \
              cargo test"
)]
async fn a_settlement_waits_for_who_is_taking_its_lease() {
    let db = Database::postgres().await;
    let mut settlement = db.settlement().await;
    settlement.entities.push(contact(1));
    let Pool::Pg(pool) = db.beside().await else { panic!("not PostgreSQL") };
    let mut them = pool.begin().await.unwrap();
    sqlx::query("UPDATE leases SET owner = 'them', fence = fence + 1").execute(&mut *them).await.unwrap();
    let store = Arc::clone(&db.store);
    let settling = tokio::spawn(async move { store.settle(&settlement).await.unwrap() });
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while !settling.is_finished() {
        let (waiting,): (i64,) = sqlx::query_as(sql).fetch_one(&mut *them).await.unwrap();
        if waiting > 0 {
            break;
        }
        // What this view shows stands still inside a transaction until it is told to look again.
        sqlx::query("SELECT pg_stat_clear_snapshot()").execute(&mut *them).await.unwrap();
    }
    them.commit().await.unwrap();
    assert_eq!(settling.await.unwrap(), Settled::LeaseLost);
    assert_eq!(db.store.whole(id(1)).await.unwrap(), None);
}

/// Each settlement writes one contact and releases the other's child: rows are locked in opposite order.
async fn settlements_that_want_each_others_rows_end(db: &Database) {
    db.put(|s| {
        s.entities.extend([contact(1), contact(2), child(11, Kind::Task, id(1)), child(12, Kind::Task, id(2))]);
        s.mirrors.extend([11, 12].map(|n| Mirror { state: MirrorState::Waiting, ..mirror(n, System::Ghl) }));
    })
    .await;
    let settlement = db.settlement().await;
    let mut tasks = tokio::task::JoinSet::new();
    for (mine, other) in [(1, 2), (2, 1)] {
        let (store, settlement) = (Arc::clone(&db.store), settlement.clone());
        tasks.spawn(async move {
            for rev in 1..=15 {
                let mut settlement = settlement.clone();
                settlement.entities.push(Entity { rev, ..contact(mine) });
                settlement.release.push((id(other), System::Ghl));
                while store.settle(&settlement).await.unwrap() == Settled::Moved {}
            }
        });
    }
    tasks.join_all().await;
    assert_eq!((db.whole(1).await.entity.rev, db.whole(2).await.entity.rev), (16, 16));
}

async fn a_reading_that_is_known_is_skipped(db: &Database) {
    let known = db.append(change("known")).await;
    db.put(|s| {
        s.entities.push(contact(1));
        s.readings.push((change("known"), verdict(ChangeId(0), Some(id(1)), Outcome::Applied)));
        s.readings.push((change("new"), verdict(ChangeId(0), Some(id(1)), Outcome::Echo)));
    })
    .await;
    assert_eq!(db.store.undecided(ACME, NOW, 9).await.unwrap()[0].id, known);
    let story = db.store.story(id(1)).await.unwrap();
    assert_eq!(story.len(), 1);
    assert_eq!((story[0].0.said.dedup.as_str(), story[0].1.outcome), ("new", Outcome::Echo));
    assert_eq!(db.store.change(story[0].0.id).await.unwrap().unwrap().said, change("new"));
}

async fn a_change_put_back_gets_its_new_verdict(db: &Database) {
    let parked = db.append(change("a")).await;
    db.put(|s| s.verdicts.push(verdict(parked, None, Outcome::Parked))).await;
    db.run(&format!("INSERT INTO inbox (change_id, workspace, due) VALUES ({parked}, '{ACME}', 1)")).await;
    db.put(|s| s.verdicts.push(verdict(parked, None, Outcome::Applied))).await;
    assert_eq!(db.store.outcomes(ACME).await.unwrap(), [(Outcome::Applied, 1)].into());
}

async fn a_released_child_is_due(db: &Database) {
    let waiting =
        |n, system| Mirror { state: MirrorState::Waiting, reason: Some("no contact".to_owned()), ..mirror(n, system) };
    db.put(|s| {
        s.entities.extend([contact(1), contact(2), child(3, Kind::Task, id(1)), child(4, Kind::Note, id(1))]);
        s.entities.push(child(5, Kind::Task, id(2)));
        s.mirrors.extend([waiting(3, System::Timify), waiting(3, System::Ghl), waiting(5, System::Timify)]);
        s.mirrors.push(Mirror { state: MirrorState::Parked, ..mirror(4, System::Timify) });
    })
    .await;
    db.put(|s| s.release.push((id(1), System::Timify))).await;
    let due = db.store.due(ACME, NOW, 9).await.unwrap();
    let [released] = &due[..] else { panic!("{due:?}") };
    assert_eq!((released.entity, released.system, released.due), (id(3), System::Timify, NOW));
    assert_eq!((released.rev, &released.reason), (2, &None));
    let late = Mirror { rev: 1, ..mirror(3, System::Timify) };
    assert_eq!(db.settle(|s| s.mirrors.push(late)).await, Settled::Moved, "a released mirror has a new revision");
}

/// The child is put to wait and the parent's link is stored at the same moment, in either order.
async fn a_child_that_waits_while_its_parent_arrives_is_released(db: &Database) {
    let settlement = db.settlement().await;
    for n in (100..140).step_by(2) {
        let (mut parent, mut waits) = (settlement.clone(), settlement.clone());
        db.put(|s| s.entities.extend([contact(n), child(n + 1, Kind::Task, id(n))])).await;
        parent.links.push(link(n, System::Timify, &format!("t{n}")));
        parent.release.push((id(n), System::Timify));
        waits.mirrors.push(Mirror { state: MirrorState::Waiting, ..mirror(n + 1, System::Timify) });
        let settle =
            async |settlement: Settlement| while db.store.settle(&settlement).await.unwrap() != Settled::Done {};
        tokio::join!(settle(parent), settle(waits));
        assert_eq!(db.whole(n + 1).await.mirrors[0].state, MirrorState::Due, "pair {n}");
    }
}

async fn a_settlement_stays_in_its_workspace(db: &Database) {
    let mut settlement = db.settlement().await;
    settlement.entities.push(Entity { workspace: "other".to_owned(), ..contact(1) });
    assert!(matches!(db.store.settle(&settlement).await, Err(StoreError::Statement(_))));
    let foreign = db.append(NewChange { workspace: Some("other".to_owned()), ..change("a") }).await;
    assert_eq!(db.settle(|s| s.verdicts.push(verdict(foreign, None, Outcome::Echo))).await, Settled::Moved);
    assert_eq!(db.store.undecided("other", NOW, 9).await.unwrap().len(), 1);
}
