//! Deciding, for what no history has to be told for.

use rstest::rstest;

use super::*;
use crate::model::{EntityId, ExternalId, Fields, Kind, Life, System};
use crate::resolve::sample::Sample;

const DONE: Field = Field::COMPLETED;
const TITLE: Field = Field::TITLE;

fn text(value: &str) -> Value {
    Value::text(value)
}

fn by(second: i64, author: Author) -> Stamp {
    Stamp::new(Millis(second * 1_000), author)
}

/// A task of which this is true.
fn task<const N: usize>(fields: [(Field, Value, Stamp); N]) -> Entity {
    let mut entity = Entity::new(EntityId(uuid::Uuid::nil()), "w", Kind::Task, Millis(0));
    for (field, value, stamp) in fields {
        entity.set(field, value, stamp);
    }
    entity
}

/// A link of GHL that was looked at in the second second, and knows these.
fn link<const N: usize>(fields: [(Field, Value, Stamp); N]) -> Link {
    let link = Link::new("w", EntityId(uuid::Uuid::nil()), System::Ghl, Kind::Task, ExternalId::new("1"));
    let known = |(field, value, stamp)| (field, Known { value, stamp, ..Known::default() });
    Link { snapshot: fields.map(known).into(), seen: Millis(2_000), ..link }
}

fn seen(field: Field, value: Value, second: i64) -> Observation {
    said(Class::Current, Shape::Partial([(field, value)].into()), second)
}

fn said(class: Class, shape: Shape, second: i64) -> Observation {
    Observation { at: Some(Millis(second * 1_000)), ..Observation::new(Kind::Task, ExternalId::new("1"), class, shape) }
}

/// GHL, which shows a task that nobody completed as not completed, and cannot tell `showed` from `confirmed`.
fn ghl() -> Sample {
    let express = |field: &Field, value: &Value| {
        Expressed::Holds(match value {
            Value::Blank if *field == DONE => Value::Flag(false),
            value if *value == Value::text("showed") => Value::text("confirmed"),
            value => value.clone(),
        })
    };
    Sample { express, ..Sample::plain(System::Ghl) }
}

fn judged(entity: &Entity, link: &Link, seen: &Observation) -> Verdict {
    under(FieldRule::Newest, entity, link, seen)
}

fn under(rule: FieldRule, entity: &Entity, link: &Link, seen: &Observation) -> Verdict {
    let mut policy = Policy::default();
    policy.rules.set(Kind::Task, TITLE.name(), rule);
    decide(entity, link, seen, &Frame::of(&policy, &ghl(), Millis(500_000)))
}

#[rstest]
#[case::nothing([Finding::Unchanged, Finding::Own], false, false, 1)]
#[case::a_stale_value([Finding::Unchanged, Finding::Stale], false, true, 1)]
#[case::a_value([Finding::Own, Finding::Taken], false, true, 2)]
#[case::a_deletion([Finding::Unchanged, Finding::Unchanged], true, true, 0)]
fn a_verdict_tells_what_it_found(
    #[case] findings: [Finding; 2],
    #[case] deleted: bool,
    #[case] something: bool,
    #[case] told: usize,
) {
    let findings = [TITLE, DONE].into_iter().zip(findings).collect();
    let (entity, conflicts) = (task([]), Vec::new());
    let verdict = Verdict { entity, link: link([]), findings, conflicts, deleted, at: Millis(0) };
    assert_eq!((verdict.found_something(), verdict.told().len()), (something, told));
    assert!(verdict.told().values().all(|finding| *finding != Finding::Unchanged));
}

#[test]
fn what_is_final_is_not_moved_by_what_is_said_of_it() {
    let held = [(TITLE, text("cancelled"), by(1, Author::Ghl))];
    let (entity, link) = (task(held.clone()), link(held));
    let terms = Sample { is_final: |_, _, value| *value == Value::text("cancelled"), ..ghl() };
    let policy = Policy::default();
    let verdict = decide(&entity, &link, &seen(TITLE, text("new"), 60), &Frame::of(&policy, &terms, Millis(500_000)));
    assert_eq!((verdict.findings[&TITLE], &verdict.entity), (Finding::Unchanged, &entity));
    assert_eq!(verdict.link.snapshot, link.snapshot);
}

/// Found by simulation: an unclear write landed over a newer value, its own webhook was lost, and a later edit of another field
/// told of both. Its time is the other field's: the value may have stood there since the last look.
#[rstest]
#[case::made_while_the_write_could_land(60, (Finding::Own, 0))]
#[case::made_after_it(900, (Finding::Taken, 1))]
fn what_a_payload_shows_may_be_a_write_of_ours_that_landed_since_the_last_look(
    #[case] second: i64,
    #[case] expected: (Finding, usize),
) {
    let held = [(TITLE, text("base"), by(1, Author::Timify))];
    let mut link = link(held.clone());
    let (fields, stamps) = (Fields::from([(TITLE, text("ours"))]), [(TITLE, by(3, Author::Timify))].into());
    link.ledger.push(Sent { fields, stamps, at: Millis(20_000), deletes: false, unclear: true });
    let shape = Shape::Partial([(TITLE, text("ours"))].into());
    let verdict = judged(&task(held), &link, &said(Class::Versioned(Millis(7)), shape, second));
    assert_eq!((verdict.findings[&TITLE], verdict.conflicts.len()), expected);
}

#[test]
fn a_default_that_comes_back_is_an_edit() {
    let held = [(DONE, Value::Flag(true), by(1, Author::Ghl))];
    let verdict = judged(&task(held.clone()), &link(held), &seen(DONE, Value::Flag(false), 60));
    assert_eq!((verdict.findings[&DONE], verdict.entity.value(&DONE)), (Finding::Taken, &Value::Flag(false)));
    assert_eq!(verdict.entity.stamp(&DONE), by(60, Author::Ghl));
}

#[test]
fn a_default_is_nobodys_edit_and_does_not_date_back_a_clearing() {
    let shown = seen(DONE, Value::Flag(false), 60);
    let first = judged(&task([]), &link([]), &shown);
    assert_eq!(first.findings[&DONE], Finding::Agreed);
    assert!(first.entity.stamp(&DONE).t < Millis(60_000), "any edit is later");
    let cleared = task([(DONE, Value::Blank, by(80, Author::Timify))]);
    let after = judged(&cleared, &link([]), &shown);
    assert_eq!((after.findings[&DONE], after.entity.stamp(&DONE)), (Finding::Agreed, by(80, Author::Timify)));
}

/// Who agrees without knowing has not seen the newer edit; but the same list in another order needs not to be told.
#[rstest]
#[case::what_it_calls_the_same(FieldRule::Newest, "showed", "confirmed", by(60, Author::Ghl))]
#[case::the_same_list(FieldRule::Union, "a, b", "a, b", by(60, Author::Ghl))]
#[case::its_own_rendition_of_a_list(FieldRule::Union, "a, b", "b, a", by(100, Author::Timify))]
fn what_agrees_carries(#[case] rule: FieldRule, #[case] truth: &str, #[case] shown: &str, #[case] expected: Stamp) {
    let entity = task([(TITLE, text(truth), by(100, Author::Timify))]);
    let verdict =
        under(rule, &entity, &link([(TITLE, text("old"), by(1, Author::Timify))]), &seen(TITLE, text(shown), 60));
    assert_eq!((verdict.findings[&TITLE], &verdict.entity), (Finding::Agreed, &entity));
    assert_eq!(verdict.link.known(&TITLE).stamp, expected);
}

#[rstest]
#[case::of_an_object_that_is_known(link([(TITLE, text("base"), by(1, Author::Ghl))]), "newer")]
#[case::of_one_that_is_linked(Link { seen: Millis(0), ..link([]) }, LINKING)]
fn what_loses_is_told_by_the_rule_that_decided(#[case] link: Link, #[case] expected: &str) {
    let entity = task([(TITLE, text("newer"), by(100, Author::Timify))]);
    let verdict = judged(&entity, &link, &seen(TITLE, text("older"), 60));
    let told: Vec<_> = verdict.conflicts.iter().map(|lost| (lost.lost.clone(), lost.rule.as_str())).collect();
    assert_eq!((verdict.findings[&TITLE], told), (Finding::Lost, vec![(text("older"), expected)]));
}

#[test]
fn what_is_gone_with_its_contact_is_not_deleted_and_what_nobody_saw_was_never_there() {
    let (entity, gone) = (task([(TITLE, text("base"), by(1, Author::Ghl))]), said(Class::Current, Shape::Gone, 60));
    let policy = Policy::default();
    let found = |entity: &Entity, link: &Link, orphaned| {
        let verdict = decide(entity, link, &gone, &Frame { orphaned, ..Frame::of(&policy, &ghl(), Millis(500_000)) });
        (verdict.deleted, verdict.link.state)
    };
    let known = link([(TITLE, text("base"), by(1, Author::Ghl))]);
    let named = Link { seen: Millis(0), ..link([]) };
    assert_eq!(found(&entity, &known, false), (true, LinkState::Gone));
    assert_eq!(found(&entity, &known, true), (false, LinkState::Gone));
    assert_eq!(found(&entity, &named, false), (false, LinkState::Retired));
    assert_eq!(found(&task([]), &named, false), (true, LinkState::Gone), "nothing else is known of it either");
    assert_eq!(found(&task([]), &known, false), (true, LinkState::Gone));
    assert_eq!(found(&Entity { life: Life::Deleted(Stamp::NEVER), ..entity }, &known, false), (false, LinkState::Gone));
}

#[test]
fn what_is_cancelled_already_is_not_cancelled_again_by_being_gone() {
    let terms = Sample { gone_means: Some((Field::STATUS, text("cancelled"))), ..ghl() };
    let policy = Policy::default();
    for (status, expected, stamp) in
        [("cancelled", Finding::Agreed, by(1, Author::Timify)), ("confirmed", Finding::Taken, by(60, Author::Ghl))]
    {
        let entity = task([(Field::STATUS, text(status), by(1, Author::Timify))]);
        let frame = Frame::of(&policy, &terms, Millis(500_000));
        let verdict = decide(&entity, &link([]), &said(Class::Current, Shape::Gone, 60), &frame);
        assert_eq!((verdict.findings[&Field::STATUS], verdict.entity.stamp(&Field::STATUS)), (expected, stamp));
    }
}
