//! The change log and its inbox.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockstep::clock::Millis;
use lockstep::model::{Appended, ChangeId, Mode, NewChange, Origin, Outcome, Standing, System};

use super::{ACME, NOW, change, contact, id, verdict};
use crate::support::databases::{Database, in_memory, on_both};

on_both!(
    a_change_comes_back_as_it_was,
    a_key_is_one_row_within_a_batch_and_across_batches,
    a_key_is_one_row_however_many_append_it_at_once,
    a_change_without_a_place_has_its_verdict_at_once,
    undecided_changes_come_oldest_first_when_their_time_has_come,
    a_change_that_waits_for_a_read_is_found_by_its_lane,
    a_change_put_off_comes_again_at_its_time,
    changes_of_a_standing_come_newest_first,
    a_purged_body_leaves_the_change,
);

in_memory!(
    a_change_comes_back_as_it_was,
    a_key_is_one_row_within_a_batch_and_across_batches,
    a_key_is_one_row_however_many_append_it_at_once,
    a_change_without_a_place_has_its_verdict_at_once,
    undecided_changes_come_oldest_first_when_their_time_has_come,
    a_change_that_waits_for_a_read_is_found_by_its_lane,
    a_change_put_off_comes_again_at_its_time,
    changes_of_a_standing_come_newest_first,
);

async fn a_change_comes_back_as_it_was(db: &Database) {
    let bare = NewChange {
        workspace: None,
        kind: None,
        object: None,
        reason: Some("not JSON".to_owned()),
        at: None,
        extension: true,
        origin: Origin::Operator,
        standing: Standing::Unparsed,
        headers: BTreeMap::new(),
        body: bytes::Bytes::new(),
        ..change("bare")
    };
    for said in [change("full"), bare] {
        let id = db.append(said.clone()).await;
        let back = db.store.change(id).await.unwrap().unwrap();
        assert_eq!((back.id, back.said), (id, said));
    }
    assert_eq!(db.store.change(ChangeId(99)).await.unwrap(), None);
}

async fn a_key_is_one_row_within_a_batch_and_across_batches(db: &Database) {
    let first = db.store.append(&[change("a"), change("b"), change("a")]).await.unwrap();
    let [Appended::New(a), Appended::New(b), Appended::Duplicate(again)] = first[..] else { panic!("{first:?}") };
    assert_eq!(again, a);
    assert!(a < b);
    let second = db.store.append(&[change("b"), change("c")]).await.unwrap();
    assert_eq!(second[0], Appended::Duplicate(b));
    assert!(matches!(second[1], Appended::New(_)));
    assert_eq!(db.store.undecided(ACME, NOW, 10).await.unwrap().len(), 3);
    assert_eq!(db.store.append(&[]).await.unwrap(), []);
}

async fn a_key_is_one_row_however_many_append_it_at_once(db: &Database) {
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let store = Arc::clone(&db.store);
        let mut keys: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
        if task % 2 == 1 {
            keys.reverse();
        }
        tasks.spawn(async move {
            let batch: Vec<NewChange> = keys.iter().map(|key| change(key)).collect();
            keys.into_iter().zip(store.append(&batch).await.unwrap()).collect::<Vec<_>>()
        });
    }
    let all: Vec<(String, Appended)> = tasks.join_all().await.into_iter().flatten().collect();
    let new: Vec<_> = all.iter().filter(|(_, row)| matches!(row, Appended::New(_))).collect();
    assert_eq!((all.len(), new.len()), (160, 20));
    let mut numbers: BTreeMap<&str, Vec<ChangeId>> = BTreeMap::new();
    for (key, Appended::New(id) | Appended::Duplicate(id)) in &all {
        numbers.entry(key).or_default().push(*id);
    }
    assert!(numbers.values().all(|ids| ids.len() == 8 && ids.iter().all(|id| *id == ids[0])), "{numbers:?}");
    assert_eq!(db.store.undecided(ACME, NOW, 100).await.unwrap().len(), 20);
}

async fn a_change_without_a_place_has_its_verdict_at_once(db: &Database) {
    let standings = [
        (Standing::Unparsed, Outcome::Unparsed),
        (Standing::Unrouted, Outcome::Unrouted),
        (Standing::NotMirrored, Outcome::NotMirrored),
    ];
    for (standing, _) in standings {
        db.append(NewChange { standing, reason: Some("why".to_owned()), ..change(standing.word()) }).await;
    }
    let outcomes = db.store.outcomes(ACME).await.unwrap();
    assert_eq!(outcomes, standings.map(|(_, outcome)| (outcome, 1)).into());
    assert!(db.store.undecided(ACME, NOW, 10).await.unwrap().is_empty());
    assert_eq!(db.store.load(ACME).await.unwrap().undecided, 0);
}

async fn undecided_changes_come_oldest_first_when_their_time_has_come(db: &Database) {
    let a = db.append(change("a")).await;
    let b = db.append(NewChange { received: Millis(NOW.0 - 5), ..change("b") }).await;
    db.append(NewChange { received: Millis(NOW.0 + 1), ..change("later") }).await;
    db.append(NewChange { workspace: Some("other".to_owned()), ..change("elsewhere") }).await;
    let ids = async |now, limit| {
        let changes = db.store.undecided(ACME, now, limit).await.unwrap();
        changes.iter().map(|change| change.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(NOW, 10).await, [b, a]);
    assert_eq!(ids(NOW, 1).await, [b]);
    assert_eq!(ids(Millis(NOW.0 + 1), 10).await.len(), 3);
    db.put(|s| s.verdicts.push(verdict(a, None, Outcome::Echo))).await;
    assert_eq!(ids(NOW, 10).await, [b]);
}

async fn a_change_that_waits_for_a_read_is_found_by_its_lane(db: &Database) {
    let (a, b) = (db.append(change("a")).await, db.append(change("b")).await);
    db.put(|s| {
        s.entities.push(contact(1));
        s.waits.extend([(b, id(1), System::Ghl, 2), (a, id(1), System::Ghl, 1)]);
    })
    .await;
    let waiting = db.store.waiting(id(1), System::Ghl).await.unwrap();
    let numbers: Vec<_> = waiting.iter().map(|(change, doubt)| (change.id, *doubt)).collect();
    assert_eq!(numbers, [(a, 1), (b, 2)]);
    assert_eq!(waiting[0].0.said, change("a"));
    assert!(db.store.waiting(id(1), System::Timify).await.unwrap().is_empty());
    assert!(db.store.undecided(ACME, NOW, 10).await.unwrap().is_empty());
    assert_eq!(db.store.load(ACME).await.unwrap().undecided, 2);
    db.put(|s| s.verdicts.push(verdict(a, Some(id(1)), Outcome::Applied))).await;
    assert_eq!(db.store.waiting(id(1), System::Ghl).await.unwrap().len(), 1);
}

async fn a_change_put_off_comes_again_at_its_time(db: &Database) {
    let (a, b) = (db.append(change("a")).await, db.append(change("b")).await);
    db.put(|s| s.waits.push((b, id(1), System::Ghl, 1))).await;
    let later = Millis(NOW.0 + 60_000);
    db.put(|s| s.later.extend([(a, later), (b, later)])).await;
    assert!(db.store.undecided(ACME, NOW, 10).await.unwrap().is_empty());
    assert!(db.store.waiting(id(1), System::Ghl).await.unwrap().is_empty());
    db.store.register(&[ACME.to_owned()], Mode::Live, NOW).await.unwrap();
    let outlook = db.store.outlook(ACME, NOW).await.unwrap().unwrap();
    assert_eq!((outlook.first(), outlook.later()), (Some(later), Some(later)));
    assert_eq!(db.store.undecided(ACME, later, 10).await.unwrap().len(), 2);
}

async fn changes_of_a_standing_come_newest_first(db: &Database) {
    for key in ["a", "b", "c"] {
        db.append(NewChange { standing: Standing::Unparsed, ..change(key) }).await;
    }
    db.append(change("routed")).await;
    let changes = db.store.by_standing(Standing::Unparsed, 2).await.unwrap();
    assert_eq!(changes.iter().map(|change| change.said.dedup.as_str()).collect::<Vec<_>>(), ["c", "b"]);
    assert_eq!(changes[0].said.body, change("c").body);
}

async fn a_purged_body_leaves_the_change(db: &Database) {
    let id = db.append(change("a")).await;
    db.run("DELETE FROM bodies").await;
    let said = db.store.change(id).await.unwrap().unwrap().said;
    assert_eq!((said.body.len(), said.headers.len(), said.dedup.as_str()), (0, 0, "a"));
}
