//! Conflicts, and pairs that are never to be matched.

use std::collections::BTreeSet;

use lockstep::clock::Millis;
use lockstep::model::{
    Author, Closing, Conflict, ConflictId, ConflictState, Field, KeptConflict, LINKING, NewConflict, Proof, ShownBy,
    System, Value,
};
use lockstep::store::Sought;

use super::{ACME, NOW, change, conflict, ext, id, lost, stamp};
use crate::support::databases::{Database, in_memory, on_both};

on_both!(
    a_conflict_is_kept_with_its_evidence,
    a_conflict_that_repeats_is_kept_once,
    what_lost_when_one_object_was_linked_is_one_report,
    conflicts_are_listed_page_by_page_as_wanted,
    a_conflict_ends_once,
    a_conflict_goes_with_the_object_that_it_is_about,
    a_pair_is_kept_apart_from_either_side_and_over_a_restart,
);

in_memory!(
    a_conflict_is_kept_with_its_evidence,
    a_conflict_that_repeats_is_kept_once,
    what_lost_when_one_object_was_linked_is_one_report,
    conflicts_are_listed_page_by_page_as_wanted,
    a_conflict_ends_once,
    a_conflict_goes_with_the_object_that_it_is_about,
);

async fn kept(db: &Database, wanted: &Sought) -> Vec<KeptConflict> {
    db.store.kept(wanted, ConflictId(0), 99).await.unwrap()
}

async fn numbers(db: &Database, wanted: &Sought) -> Vec<ConflictId> {
    kept(db, wanted).await.iter().map(|one| one.id).collect()
}

async fn a_conflict_is_kept_with_its_evidence(db: &Database) {
    let change = db.append(change("a")).await;
    for (shown_by, base) in [(ShownBy::Read, Value::Blank), (ShownBy::Answer, Value::text("before"))] {
        let proof = Proof { object: Some(ext("c1")), base: Some(base), shown_by: Some(shown_by) };
        let told = NewConflict { change: Some(change), proof, ..lost(1, Value::text(shown_by.word())) };
        db.put(|s| s.conflicts.push(told.clone())).await;
        let all = kept(db, &Sought::default()).await;
        let one = all.last().unwrap();
        assert_eq!((&one.told, one.workspace.as_str(), one.at), (&told, ACME, NOW));
        assert_eq!((one.report, one.state, &one.closed), (one.id, ConflictState::Open, &None));
        assert_eq!(db.store.conflict(one.id).await.unwrap().as_ref(), Some(one));
    }
    assert_eq!(db.store.conflict(ConflictId(99)).await.unwrap(), None);
}

async fn a_conflict_that_repeats_is_kept_once(db: &Database) {
    let told = lost(1, Value::text("a"));
    let later = Conflict { lost_stamp: stamp(99, Author::Ghl), ..told.conflict.clone() };
    let elsewhere = Conflict { system: System::Timify, ..told.conflict.clone() };
    let of_another = lost(2, Value::text("a"));
    let again = Conflict { won: Value::text("other"), rule: "linking".to_owned(), ..told.conflict.clone() };
    db.put(|s| s.conflicts.extend([told.clone(), told.clone()])).await;
    db.put(|s| s.conflicts.push(NewConflict { conflict: again, ..told.clone() })).await;
    assert_eq!(kept(db, &Sought::default()).await.len(), 1, "it lost once, whatever won");
    let others = [later, elsewhere].map(|conflict| NewConflict { conflict, ..told.clone() });
    db.put(|s| s.conflicts.extend(others.into_iter().chain([of_another]))).await;
    assert_eq!(kept(db, &Sought::default()).await.len(), 4);
}

async fn what_lost_when_one_object_was_linked_is_one_report(db: &Database) {
    let linking = |field: Field, object: &str| {
        let conflict = Conflict { field, rule: LINKING.to_owned(), ..conflict(Value::text("a")) };
        let proof = Proof { object: Some(ext(object)), ..Proof::default() };
        NewConflict { proof, ..NewConflict::bare(id(1), None, conflict) }
    };
    let fields = [Field::CITY, Field::PHONE, Field::STATE];
    db.put(|s| {
        s.conflicts.extend(fields.iter().map(|field| linking(field.clone(), "t1")));
        s.conflicts.push(linking(Field::EMAIL, "t2"));
        s.conflicts.push(lost(1, Value::text("b")));
    })
    .await;
    let all = kept(db, &Sought::default()).await;
    let reports: BTreeSet<ConflictId> = all.iter().map(|one| one.report).collect();
    assert_eq!((all.len(), reports.len()), (5, 3));
    let of_first = Sought { report: Some(all[0].id), ..Sought::default() };
    let named: Vec<Field> = kept(db, &of_first).await.into_iter().map(|one| one.told.conflict.field).collect();
    assert_eq!(named, fields);
}

async fn conflicts_are_listed_page_by_page_as_wanted(db: &Database) {
    db.put(|s| s.conflicts.extend((0..5).map(|n| lost(n % 2 + 1, Value::text(n.to_string()))))).await;
    let all = numbers(db, &Sought::default()).await;
    let page = async |after, limit| {
        let page = db.store.kept(&Sought::default(), after, limit).await.unwrap();
        page.iter().map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!(page(ConflictId(0), 2).await, all[..2]);
    assert_eq!(page(all[1], 2).await, all[2..4]);
    assert_eq!(page(all[3], 2).await, all[4..]);
    assert_eq!(page(all[4], 2).await, []);
    let wanted = Sought { entity: Some(id(2)), ..Sought::default() };
    assert_eq!(numbers(db, &wanted).await, [all[1], all[3]]);
    let of = |workspace: &str| Sought { workspace: Some(workspace.to_owned()), ..Sought::default() };
    assert_eq!((numbers(db, &of(ACME)).await, numbers(db, &of("other")).await), (all.clone(), vec![]));
    let closing = Closing { id: all[0], state: ConflictState::Dismissed, by: "somebody".to_owned() };
    assert!(db.store.close_conflict(&closing, NOW).await.unwrap());
    let state = |state| Sought { state: Some(state), ..Sought::default() };
    assert_eq!(numbers(db, &state(ConflictState::Open)).await, all[1..]);
    assert_eq!(numbers(db, &state(ConflictState::Dismissed)).await, all[..1]);
}

async fn a_conflict_ends_once(db: &Database) {
    db.put(|s| s.conflicts.extend([lost(1, Value::text("a")), lost(1, Value::text("b"))])).await;
    let all = numbers(db, &Sought::default()).await;
    let end = |id, state| Closing { id, state, by: "somebody".to_owned() };
    db.put(|s| s.closings.push(end(all[0], ConflictState::Restored))).await;
    let one = db.store.conflict(all[0]).await.unwrap().unwrap();
    assert_eq!((one.state, one.closed), (ConflictState::Restored, Some((NOW, "somebody".to_owned()))));
    let later = Millis(NOW.0 + 5);
    assert!(!db.store.close_conflict(&end(all[0], ConflictState::Dismissed), later).await.unwrap());
    assert_eq!(db.store.conflict(all[0]).await.unwrap().unwrap().state, ConflictState::Restored);
    assert!(db.store.close_conflict(&end(all[1], ConflictState::Dismissed), later).await.unwrap());
    db.put(|s| s.closings.push(end(all[1], ConflictState::Restored))).await;
    assert_eq!(db.store.conflict(all[1]).await.unwrap().unwrap().state, ConflictState::Dismissed);
    assert!(!db.store.close_conflict(&end(ConflictId(99), ConflictState::Dismissed), NOW).await.unwrap());
}

async fn a_conflict_goes_with_the_object_that_it_is_about(db: &Database) {
    db.put(|s| s.conflicts.push(lost(1, Value::text("a")))).await;
    let all = numbers(db, &Sought::default()).await;
    db.put(|s| s.handed.push((all[0], id(2)))).await;
    assert_eq!(db.store.conflicts(ACME, Some(id(1))).await.unwrap(), []);
    assert_eq!(db.store.conflicts(ACME, Some(id(2))).await.unwrap(), [(id(2), conflict(Value::text("a")))]);
}

async fn a_pair_is_kept_apart_from_either_side_and_over_a_restart(db: &mut Database) {
    db.put(|s| s.apart.extend([(id(2), id(1)), (id(3), id(1)), (id(1), id(2))])).await;
    let apart = async |db: &Database, of| db.store.apart(ACME, id(of)).await.unwrap();
    assert_eq!(apart(db, 1).await, [id(2), id(3)].into());
    assert_eq!(apart(db, 2).await, [id(1)].into());
    assert!(apart(db, 4).await.is_empty());
    db.reopen().await;
    assert_eq!(apart(db, 3).await, [id(1)].into());
}
