//! What is shown to people.

use lockstep::clock::Millis;
use lockstep::model::{
    Action, AttemptResult, Author, ChangeId, Entity, Field, Finding, Life, Link, LinkState, Outcome, System, Value,
};
use lockstep::store::{Review, StoreError};

use super::{ACME, NOW, attempt, change, conflict, contact, ext, id, link, lost, review, stamp, verdict};
use crate::support::databases::{Database, in_memory, on_both};

on_both!(
    an_entity_is_found_by_whatever_names_it,
    a_story_is_told_from_its_beginning_without_bodies,
    attempts_come_oldest_first,
    conflicts_keep_both_sides,
    a_review_opens_once_and_again_after_it_was_closed,
    a_settlement_closes_what_no_longer_needs_a_person,
    outcomes_and_findings_are_counted,
);

in_memory!(
    an_entity_is_found_by_whatever_names_it,
    a_story_is_told_from_its_beginning_without_bodies,
    attempts_come_oldest_first,
    a_review_opens_once_and_again_after_it_was_closed,
    a_settlement_closes_what_no_longer_needs_a_person,
    outcomes_and_findings_are_counted,
);

async fn an_entity_is_found_by_whatever_names_it(db: &Database) {
    let mut one = contact(1);
    one.set(Field::PHONE, Value::text("+493012345678"), stamp(1, Author::Ghl));
    let dead = Entity { life: Life::Deleted(stamp(1, Author::Ghl)), ..contact(2) };
    db.put(|s| {
        s.entities.extend([one, dead]);
        s.links.push(Link { state: LinkState::Gone, ..link(2, System::Ghl, "AbC") });
        s.links.push(Link { id: ext("same"), ..link(1, System::Ghl, "") });
        s.links.push(link(2, System::Timify, "same"));
    })
    .await;
    let named = async |text: &str| db.store.named(text).await.unwrap();
    let uuid = id(1).to_string();
    for text in [uuid.as_str(), &uuid.to_uppercase(), " P1@Example.com ", "+49 30 12345678"] {
        assert_eq!(named(text).await, [id(1)], "{text}");
    }
    assert_eq!(named("AbC").await, [id(2)]);
    assert_eq!(named("p2@example.com").await, [id(2)], "the dead are explained too");
    assert_eq!(named("same").await, [id(1), id(2)]);
    assert_eq!(named("abc").await, []);
    assert_eq!(named("").await, []);
}

async fn a_story_is_told_from_its_beginning_without_bodies(db: &Database) {
    let (a, b) = (db.append(change("a")).await, db.append(change("b")).await);
    db.put(|s| {
        s.verdicts.push(verdict(b, Some(id(1)), Outcome::Echo));
        s.verdicts.push(verdict(a, Some(id(1)), Outcome::Applied));
    })
    .await;
    let story = db.store.story(id(1)).await.unwrap();
    assert_eq!(story.iter().map(|(change, _)| change.id).collect::<Vec<_>>(), [a, b]);
    assert_eq!(story[1].1, verdict(b, Some(id(1)), Outcome::Echo));
    assert!(story.iter().all(|(change, _)| change.said.body.is_empty() && change.said.headers.is_empty()));
    assert_eq!(story[0].0.said.at, change("a").at);
    assert_eq!(db.store.story(id(2)).await.unwrap(), []);
}

async fn attempts_come_oldest_first(db: &Database) {
    let mut bare = attempt(1, Action::Create, AttemptResult::Unclear, 10);
    (bare.object, bare.status, bare.note, bare.lag_ms) = (None, None, Some("no answer".to_owned()), None);
    (bare.trace, bare.burst_left, bare.day_left) = (None, None, None);
    bare.fields.clear();
    let later = attempt(1, Action::Update, AttemptResult::Done, 30);
    let others = attempt(2, Action::Read, AttemptResult::Done, 20);
    db.put(|s| s.attempts.extend([later.clone(), others.clone(), bare.clone()])).await;
    assert_eq!(db.store.attempts(id(1)).await.unwrap(), [bare.clone(), later.clone()]);
    let since = async |since, limit| db.store.attempts_since(ACME, Millis(since), limit).await.unwrap();
    assert_eq!(since(0, 9).await, [bare.clone(), others.clone(), later.clone()]);
    assert_eq!(since(20, 9).await, [others.clone(), later]);
    assert_eq!(since(0, 2).await, [bare, others]);
    assert_eq!(db.store.attempts_since("other", Millis(0), 9).await.unwrap(), []);
}

async fn conflicts_keep_both_sides(db: &Database) {
    let values = [Value::Blank, Value::Flag(false), Value::Instant(Millis(5)), Value::text("Ünï \"x\"")];
    db.put(|s| s.conflicts.extend(values.iter().map(|value| lost(1, value.clone())))).await;
    db.put(|s| s.conflicts.push(lost(2, Value::Blank))).await;
    let kept = db.store.conflicts(ACME, Some(id(1))).await.unwrap();
    assert_eq!(kept, values.map(|value| (id(1), conflict(value))));
    assert_eq!(db.store.conflicts(ACME, None).await.unwrap().len(), 5);
    assert_eq!(db.store.conflicts("other", None).await.unwrap(), []);
    db.run("UPDATE conflicts SET lost = '{'").await;
    let bad = db.store.conflicts(ACME, None).await;
    assert!(matches!(bad, Err(StoreError::BadRow { table: "conflicts", column: "lost", .. })), "{bad:?}");
}

async fn a_settlement_closes_what_no_longer_needs_a_person(db: &Database) {
    db.put(|s| s.reviews.extend([review("a"), review("b")])).await;
    db.put(|s| s.settled.push("a".to_owned())).await;
    assert_eq!(db.store.reviews(ACME).await.unwrap(), [review("b")]);
    let again = Review { at: Millis(NOW.0 + 5), ..review("b") };
    db.put(|s| {
        s.settled.push("b".to_owned());
        s.reviews.push(again.clone());
    })
    .await;
    assert_eq!(db.store.reviews(ACME).await.unwrap(), [again], "the old one is closed before the new one opens");
}

async fn a_review_opens_once_and_again_after_it_was_closed(db: &Database) {
    let second = Review { text: "said later".to_owned(), at: Millis(NOW.0 + 5), ..review("a") };
    db.put(|s| s.reviews.extend([review("a"), review("b"), second.clone()])).await;
    db.put(|s| s.reviews.push(second.clone())).await;
    assert_eq!(db.store.reviews(ACME).await.unwrap(), [review("a"), review("b")]);
    assert!(db.store.close_review(ACME, "a", NOW).await.unwrap());
    assert!(!db.store.close_review(ACME, "a", NOW).await.unwrap());
    assert!(!db.store.close_review("other", "b", NOW).await.unwrap());
    assert_eq!(db.store.reviews(ACME).await.unwrap(), [review("b")]);
    db.put(|s| s.reviews.push(second.clone())).await;
    assert_eq!(db.store.reviews(ACME).await.unwrap(), [review("b"), second]);
}

async fn outcomes_and_findings_are_counted(db: &Database) {
    let found = |findings: &[(Field, Finding)], outcome| {
        let mut row = verdict(ChangeId(0), Some(id(1)), outcome);
        row.findings = findings.iter().cloned().collect();
        row
    };
    let (phone, email) = ((Field::PHONE, Finding::Taken), (Field::EMAIL, Finding::Taken));
    db.put(|s| {
        s.readings.push((change("a"), found(&[phone.clone(), email], Outcome::Applied)));
        s.readings.push((change("b"), found(std::slice::from_ref(&phone), Outcome::Applied)));
        s.readings.push((change("c"), found(&[phone], Outcome::Applied)));
        s.readings.push((change("d"), found(&[(Field::PHONE, Finding::Lost)], Outcome::Conflict)));
        s.readings.push((change("e"), found(&[], Outcome::Echo)));
    })
    .await;
    let outcomes = [(Outcome::Applied, 3), (Outcome::Conflict, 1), (Outcome::Echo, 1)];
    assert_eq!(db.store.outcomes(ACME).await.unwrap(), outcomes.into());
    assert_eq!(db.store.findings(ACME).await.unwrap(), [(Finding::Taken, 4), (Finding::Lost, 1)].into());
    assert!(db.store.outcomes("other").await.unwrap().is_empty());
    assert!(db.store.findings("other").await.unwrap().is_empty());
}
