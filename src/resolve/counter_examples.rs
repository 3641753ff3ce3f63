//! The histories that forced the rules of deciding, each as short as it gets. The numbers are those of the rules.

use std::time::Duration;

use rstest::rstest;

use super::claim::{self, Weight};
use super::decide::{Frame, Verdict, decide};
use super::sample::Sample;
use super::world::{Ending, START, World};
use crate::clock::Millis;
use crate::model::{
    Author, Class, Entity, EntityId, Evidence, Expressed, ExternalId, Field, FieldRule, FieldRules, Fields, Finding,
    Kind, Known, Link, LinkState, Observation, Order, Policy, Sent, Shape, Stamp, System, Value,
};

const G: System = System::Ghl;
const T: System = System::Timify;
const X: System = System::Timerex;
const NAME: Field = Field::FIRST_NAME;

fn text(value: &str) -> Value {
    Value::text(value)
}

fn world() -> World {
    World::holding([(NAME, text("base")), (Field::PHONE, text("p0"))])
}

/// Nothing is left to do, all agree on these values, and exactly these values lost.
fn ends(mut world: World, values: &[(Field, Value)], lost: &[(Field, Value)]) {
    world.finish();
    world.check();
    for (field, value) in values {
        assert_eq!(world.hub.entity.value(field), value, "{field}");
    }
    let kept: Vec<_> = world.hub.conflicts.iter().map(|c| (c.field.clone(), c.lost.clone())).collect();
    assert_eq!(kept, lost);
}

fn plain(link: &Link) -> Sample {
    Sample::plain(link.system)
}

/// A user edits, and the hub hears of it and reads it.
fn edited(world: &mut World, system: System, field: &Field, value: &str) {
    world.pass(10);
    world.edit(system, field, &text(value), 1);
    world.hear(system);
    world.lane(system, Ending::Done, None);
}

/// Counter-example 1: R3, R6.
#[test]
fn an_edit_made_on_a_clock_five_minutes_slow_is_not_stale() {
    let mut world = world();
    edited(&mut world, G, &NAME, "n0");
    world.places.get_mut(&G).unwrap().skew = -300_000;
    edited(&mut world, G, &NAME, "n1");
    ends(world, &[(NAME, text("n1"))], &[]);
}

/// Counter-example 11: R2.
#[test]
fn who_edits_what_another_wrote_wins_though_his_clock_is_slow() {
    let mut world = world();
    edited(&mut world, G, &NAME, "from G");
    world.lane(X, Ending::Done, None);
    world.places.get_mut(&X).unwrap().skew = -300_000;
    edited(&mut world, X, &NAME, "from X");
    ends(world, &[(NAME, text("from X"))], &[]);
}

/// Counter-example 2: R3, R8.
#[test]
fn a_late_payload_of_an_older_version_brings_nothing_back() {
    let mut world = world();
    edited(&mut world, G, &NAME, "n1");
    world.edit(X, &Field::tag("vip"), &Value::Flag(true), 1);
    world.pass(1);
    world.lane(X, Ending::Done, None);
    assert_eq!(world.places[&X].value(&NAME), &text("n1"));
    world.hear(X);
    assert_eq!(world.hub.entity.value(&NAME), &text("n1"));
    let writes = world.writes;
    world.finish();
    assert_eq!((writes, world.writes), (1, 4), "two edits, each written to two systems");
    ends(world, &[(NAME, text("n1")), (Field::tag("vip"), Value::Flag(true))], &[]);
}

/// Counter-example 3: R3, R9.
#[test]
fn a_value_that_a_system_no_longer_holds_is_kept_and_never_fought_over() {
    let mut world = world();
    edited(&mut world, T, &Field::PHONE, "p1");
    world.lane(X, Ending::Done, Some((Field::PHONE, text("p2"), 1)));
    world.hear(X);
    assert_eq!(world.hub.links[&X].known(&Field::PHONE).value, text("p1"), "the snapshot says what X holds");
    world.finish();
    assert_eq!(world.writes, 2, "one edit, written to two systems");
    ends(world, &[(Field::PHONE, text("p1"))], &[(Field::PHONE, text("p2"))]);
}

/// Counter-example 4: R3.
#[test]
fn two_webhooks_of_one_user_in_the_wrong_order_end_with_his_last_word() {
    let mut world = world();
    world.edit(G, &Field::tag("vip"), &Value::Flag(true), 1);
    world.pass(1);
    world.edit(G, &NAME, &text("n1"), 1);
    for at in [1, 0] {
        world.deliver(at);
        world.lane(G, Ending::Done, None);
        assert_eq!(world.hub.entity.value(&NAME), &text("n1"));
    }
    ends(world, &[(NAME, text("n1")), (Field::tag("vip"), Value::Flag(true))], &[]);
}

/// Counter-example 5: R8, R9.
#[test]
fn an_edit_that_we_wrote_over_unseen_is_kept_when_its_webhook_comes() {
    let mut world = world();
    edited(&mut world, T, &NAME, "from T");
    world.lane(G, Ending::Done, Some((NAME, text("from G"), 1)));
    ends(world, &[(NAME, text("from T"))], &[(NAME, text("from G"))]);
}

/// Counter-example 7: R1. Each pair is within the tolerance, or nearly; the winner is the same in any order.
#[rstest]
#[case([0, 1, 2])]
#[case([0, 2, 1])]
#[case([1, 0, 2])]
#[case([1, 2, 0])]
#[case([2, 0, 1])]
#[case([2, 1, 0])]
fn three_edits_a_tolerance_apart_have_one_winner_in_any_order(#[case] order: [usize; 3]) {
    let (mut world, tick) = (world(), 2_000);
    let base = START.0 / tick * tick;
    for (system, after) in [(G, 2_100), (T, 3_000), (X, 4_800)] {
        world.now = Millis(base + after);
        world.edit(system, &NAME, &text(system.word()), 1);
    }
    for at in order {
        let system = System::ALL[at];
        // TIMIFY's hints carry no value, so that the time of its edit is known from elsewhere here.
        let seen = Observation {
            at: Some(Millis(base + [2_100, 3_000, 4_800][at])),
            ..Observation::new(
                Kind::Contact,
                ExternalId::new(format!("{system}-1")),
                Class::Current,
                Shape::Full(world.places[&system].fields.clone()),
            )
        };
        let verdict = judged(&world.hub.entity, &world.hub.links[&system], &seen, world.now, &Evidence::new());
        world.hub.entity = verdict.entity;
        world.hub.links.insert(system, verdict.link);
    }
    assert_eq!(world.hub.entity.value(&NAME), &text("timerex"));
}

/// Counter-example 8: a tag is a field of its own.
#[rstest]
#[case::first_heard_first([G, X])]
#[case::last_heard_first([X, G])]
fn a_tag_removed_and_a_tag_added_elsewhere_both_stay_so_after_a_late_payload(#[case] order: [System; 2]) {
    let (vip, new) = (Field::tag("vip"), Field::tag("new"));
    let mut world = World::holding([(vip.clone(), Value::Flag(true))]);
    world.edit(G, &vip, &Value::Blank, 1);
    world.pass(1);
    world.edit(X, &new, &Value::Flag(true), 2);
    let late = world.queue.pop().unwrap();
    world.pass(1);
    for system in order {
        world.hear(system);
        world.lane(system, Ending::Done, None);
    }
    world.lane(X, Ending::Done, None);
    world.queue.push(late);
    world.hear(X);
    assert_eq!(world.hub.entity.value(&vip), &Value::Blank);
    ends(world, &[(vip, Value::Blank), (new, Value::Flag(true))], &[]);
}

/// Counter-example 9: R5.
#[test]
fn a_write_applied_late_is_no_edit_and_the_newest_value_is_written_again() {
    let mut world = world();
    edited(&mut world, T, &NAME, "a");
    world.lane(G, Ending::Late, None);
    edited(&mut world, T, &NAME, "b");
    world.lane(G, Ending::Done, None);
    assert_eq!(world.places[&G].value(&NAME), &text("b"));
    world.pass(60);
    world.land_late(0);
    assert_eq!(world.places[&G].value(&NAME), &text("a"));
    world.hear(G);
    world.lane(G, Ending::Done, None);
    assert_eq!(world.places[&G].value(&NAME), &text("b"));
    ends(world, &[(NAME, text("b"))], &[]);
}

/// R5: not for ever. Nobody looked since it could last have landed, so what it takes the place of is kept.
#[test]
fn a_value_like_that_of_an_unclear_write_is_an_edit_once_the_write_can_no_longer_land() {
    let mut world = world();
    edited(&mut world, T, &NAME, "a");
    world.lane(G, Ending::Vanished, None);
    edited(&mut world, T, &NAME, "b");
    world.lane(G, Ending::Done, None);
    world.pass(700);
    edited(&mut world, G, &NAME, "a");
    ends(world, &[(NAME, text("a"))], &[(NAME, text("b"))]);
}

/// R5: an answer that was lost.
#[test]
fn our_own_write_is_known_again_when_its_answer_was_lost() {
    let mut world = world();
    edited(&mut world, T, &NAME, "a");
    world.lane(G, Ending::Unheard, None);
    world.lane(G, Ending::Done, None);
    assert_eq!(world.hub.entity.stamp(&NAME).author, Author::Timify);
    assert_eq!(world.hub.links[&G].known(&NAME).stamp, world.hub.entity.stamp(&NAME));
    world.finish();
    assert_eq!(world.writes, 2, "one edit, written to two systems");
    ends(world, &[(NAME, text("a"))], &[]);
}

/// Counter-example 10: R8, `held`.
#[test]
fn the_echo_of_our_first_write_after_our_second_is_stale_and_no_conflict() {
    let mut world = world();
    for value in ["a", "b"] {
        edited(&mut world, T, &NAME, value);
        world.lane(G, Ending::Done, None);
    }
    world.hear(G);
    ends(world, &[(NAME, text("b"))], &[]);
}

/// Counter-example 12: R10. Whoever's lane comes first, the other is read before anything is deleted.
#[rstest]
#[case(G, X)]
#[case(X, G)]
fn an_unseen_edit_elsewhere_stops_a_deletion_before_it_is_half_done(#[case] first: System, #[case] second: System) {
    let mut world = world();
    world.delete(T, 1);
    world.hear(T);
    world.edit(X, &NAME, &text("unseen"), 0);
    world.lane(T, Ending::Done, None);
    assert!(!world.hub.entity.is_live() && !world.hub.parked);
    world.lane(first, Ending::Done, None);
    world.lane(second, Ending::Done, None);
    world.lane(first, Ending::Done, None);
    assert!(world.hub.parked && !world.places[&X].gone && !world.places[&G].gone);
}

/// R10: what the deleter had not got is told by the tombstone's snapshot; nothing has to be found anew.
#[test]
fn an_edit_that_was_taken_and_not_yet_written_stops_a_deletion_too() {
    let mut world = world();
    edited(&mut world, G, &NAME, "on its way to T");
    world.delete(T, 1);
    world.hear(T);
    world.lane(T, Ending::Done, None);
    world.lane(X, Ending::Done, None);
    world.lane(G, Ending::Done, None);
    assert!(world.hub.parked && !world.places[&X].gone && !world.places[&G].gone);
}

fn judged(entity: &Entity, link: &Link, seen: &Observation, now: Millis, evidence: &Evidence) -> Verdict {
    let (order, rules, terms) = (Order::default(), FieldRules::new(), Sample::plain(link.system));
    let (order, rules, late_write) = (&order, &rules, Duration::from_mins(10));
    decide(
        entity,
        link,
        seen,
        &Frame { order, rules, terms: &terms, now, late_write, evidence, orphaned: false, supposed: false },
    )
}

/// An entity and a link of a system that both hold `base` since the first second.
fn both(system: System) -> (Entity, Link) {
    let mut entity = Entity::new(EntityId(uuid::Uuid::nil()), "w", Kind::Contact, Millis(0));
    let mut link = Link::new("w", entity.id, system, Kind::Contact, ExternalId::new("1"));
    let stamp = Stamp::new(second(1), Author::Operator);
    entity.set(NAME, text("base"), stamp);
    link.snapshot.insert(NAME, Known { value: text("base"), stamp, ..Known::default() });
    link.seen = second(2);
    (entity, link)
}

/// A link with a write of ours on its way.
fn written_to() -> Link {
    let (_, mut link) = both(T);
    let (fields, stamps) = (Fields::from([(NAME, text("ours"))]), [(NAME, Stamp::NEVER)].into());
    link.sent = Some(Sent { fields, stamps, at: second(3), deletes: false, unclear: false });
    link
}

fn second(at: i64) -> Millis {
    Millis(at * 1_000)
}

fn seen(value: &str, at: Option<Millis>) -> Observation {
    let fields = Fields::from([(NAME, text(value))]);
    Observation { at, ..Observation::new(Kind::Contact, ExternalId::new("1"), Class::Current, Shape::Full(fields)) }
}

/// Counter-example 14: R6.3.
#[test]
fn to_agree_is_not_to_have_seen_it() {
    let (mut entity, link) = both(G);
    entity.set(NAME, text("n1"), Stamp::new(second(100), Author::Timify));
    let agreed = judged(&entity, &link, &seen("n1", Some(second(50))), second(110), &Evidence::new());
    assert_eq!(agreed.findings[&NAME], Finding::Agreed);
    assert_eq!(agreed.link.known(&NAME).stamp, Stamp::new(second(50), Author::Ghl));
    assert_eq!(agreed.entity.stamp(&NAME), entity.stamp(&NAME));
    let later = judged(&agreed.entity, &agreed.link, &seen("n2", Some(second(60))), second(120), &Evidence::new());
    assert_eq!((later.findings[&NAME], later.conflicts[0].lost.clone()), (Finding::Lost, text("n2")));
}

/// R6.4: the newer of two stamps that say the same stays.
#[test]
fn who_agrees_later_makes_it_later() {
    let (mut entity, link) = both(G);
    entity.set(NAME, text("n1"), Stamp::new(second(40), Author::Timify));
    let agreed = judged(&entity, &link, &seen("n1", Some(second(50))), second(110), &Evidence::new());
    assert_eq!(agreed.entity.stamp(&NAME), Stamp::new(second(50), Author::Ghl));
}

/// Counter-example 15: a stamp does not depend on when it arrives.
#[test]
fn the_stamp_of_an_edit_does_not_depend_on_its_arrival() {
    let (entity, link) = both(G);
    let edit = seen("n1", Some(second(500)));
    let stamps =
        [10, 400, 900].map(|now| judged(&entity, &link, &edit, second(now), &Evidence::new()).entity.stamp(&NAME));
    assert_eq!(stamps, [Stamp::new(second(500), Author::Ghl); 3]);
}

/// Counter-example 16: R7. The edit was found by a read that another edit caused.
#[test]
fn an_edit_found_by_a_read_is_no_younger_than_the_last_look() {
    let (mut entity, link) = both(G);
    entity.set(NAME, text("rival"), Stamp::new(second(50), Author::Timify));
    let found = judged(&entity, &link, &seen("n1", None), second(100), &Evidence::new());
    assert_eq!((found.findings[&NAME], found.conflicts[0].lost_stamp.t), (Finding::Lost, second(2)));
}

/// R7: the smallest of the times known to be not before the edit, and only those of the same value.
#[test]
fn a_claim_with_the_same_value_dates_the_edit_that_a_read_finds() {
    let (mut entity, link) = both(G);
    entity.set(NAME, text("rival"), Stamp::new(second(50), Author::Timify));
    let dated = |claims: &[(&str, i64)], at: Option<i64>| {
        let claims: Vec<_> = claims.iter().map(|(value, at)| seen(value, Some(second(*at)))).collect();
        let read = seen("n1", at.map(second));
        let verdict = judged(&entity, &link, &read, second(100), &claim::evidence(&claims));
        verdict.link.known(&NAME).stamp.t
    };
    assert_eq!(dated(&[("n1", 70), ("n1", 60)], None), second(60));
    assert_eq!(dated(&[("n1", 70)], Some(80)), second(70));
    assert_eq!(dated(&[("other", 30)], Some(80)), second(80));
    assert_eq!(dated(&[("other", 30)], None), second(2));
}

/// R6.5: a clearing is an edit; what was never set is not.
#[test]
fn a_clearing_that_loses_is_kept_and_what_was_never_set_is_not() {
    let (mut entity, link) = both(G);
    entity.set(NAME, Value::Blank, Stamp::new(second(50), Author::Timify));
    let edit = seen("n1", Some(second(60)));
    let verdict = judged(&entity, &link, &edit, second(100), &Evidence::new());
    assert_eq!((verdict.findings[&NAME], verdict.conflicts[0].lost.clone()), (Finding::Taken, Value::Blank));
    entity.fields.clear();
    let verdict = judged(&entity, &link, &edit, second(100), &Evidence::new());
    assert_eq!((verdict.findings[&NAME], verdict.conflicts.len()), (Finding::Taken, 0));
}

/// R6: the first link.
#[test]
fn on_first_linking_a_blank_beats_nothing_tags_unite_and_the_losers_are_one_report() {
    let (mut entity, mut link) = both(X);
    entity.set(Field::PHONE, text("p"), Stamp::new(second(50), Author::Ghl));
    entity.set(Field::tag("a"), Value::Flag(true), Stamp::new(second(50), Author::Ghl));
    link.snapshot.clear();
    link.seen = Millis(0);
    let mut first = seen("other", Some(second(60)));
    first.shape = Shape::Full(Fields::from([(NAME, text("other")), (Field::tag("b"), Value::Flag(true))]));
    let verdict = judged(&entity, &link, &first, second(100), &Evidence::new());
    assert_eq!(verdict.entity.value(&Field::PHONE), &text("p"));
    assert!(["a", "b"].iter().all(|tag| verdict.entity.value(&Field::tag(tag)).is_set()));
    let lost: Vec<_> = verdict.conflicts.iter().map(|c| (c.field.clone(), c.lost.clone(), c.rule.as_str())).collect();
    assert_eq!(lost, [(NAME, text("base"), "linking")]);
}

/// R6, the first link: a field that somebody cleared is blank, and no loser.
#[test]
fn on_first_linking_what_was_cleared_before_is_no_loser() {
    let (mut entity, mut link) = both(X);
    entity.set(NAME, Value::Blank, Stamp::new(second(50), Author::Ghl));
    link.snapshot.clear();
    link.seen = Millis(0);
    let verdict = judged(&entity, &link, &seen("n1", Some(second(60))), second(100), &Evidence::new());
    assert_eq!((verdict.findings[&NAME], verdict.conflicts.len()), (Finding::Taken, 0));
}

/// R6, the first link: a default that a system shows where nothing was said is nobody's edit.
#[test]
fn on_first_linking_a_default_that_is_shown_beats_nothing_and_is_no_loser() {
    const DONE: Field = Field::COMPLETED;
    let shows_false =
        |_: &Field, value: &Value| Expressed::Holds(if value.is_blank() { Value::Flag(false) } else { value.clone() });
    let policy = Policy::default();
    let link_to = |entity: &Entity, system: System, shown: bool| {
        let terms = Sample { express: shows_false, ..Sample::plain(system) };
        let frame = Frame::of(&policy, &terms, second(100));
        let link = Link::new("w", entity.id, system, Kind::Task, ExternalId::new("1"));
        let seen =
            Observation { shape: Shape::Full([(DONE, Value::Flag(shown))].into()), ..seen("", Some(second(60))) };
        decide(entity, &link, &seen, &frame)
    };
    let never = Entity::new(EntityId(uuid::Uuid::nil()), "w", Kind::Task, Millis(0));
    let shown = link_to(&never, G, false);
    assert_eq!(shown.findings[&DONE], Finding::Agreed);
    // A default first, then what somebody did.
    let done = link_to(&shown.entity, T, true);
    assert_eq!((done.findings[&DONE], done.conflicts.len()), (Finding::Taken, 0), "nobody said `false`");
    // The other way round.
    let mut told = never.clone();
    told.set(DONE, Value::Flag(true), Stamp::new(second(50), Author::Timify));
    let late = link_to(&told, G, false);
    assert_eq!((late.entity.value(&DONE), late.conflicts.len()), (&Value::Flag(true), 0));
    assert_ne!(late.link.known(&DONE).stamp, told.stamp(&DONE), "or it would not be told");
}

/// R1: within one tick.
#[test]
fn within_one_tick_precedence_decides_and_beyond_it_time() {
    let (mut entity, link) = both(G);
    for (rival, expected) in [(51_900, Finding::Taken), (52_000, Finding::Lost)] {
        entity.set(NAME, text("rival"), Stamp::new(Millis(rival), Author::Timify));
        let verdict = judged(&entity, &link, &seen("n1", Some(second(50))), second(100), &Evidence::new());
        assert_eq!(verdict.findings[&NAME], expected);
    }
}

/// R5: of two writes with one value, the later tells whose edit it is.
#[test]
fn a_value_of_two_unclear_writes_carries_the_stamp_of_the_later() {
    let (entity, mut link) = both(G);
    for at in [20, 30] {
        let stamps = [(NAME, Stamp::new(second(at), Author::Timify))].into();
        let fields = Fields::from([(NAME, text("a"))]);
        link.ledger.push(Sent { fields, stamps, at: second(at), deletes: false, unclear: true });
    }
    let verdict = judged(&entity, &link, &seen("a", Some(second(40))), second(100), &Evidence::new());
    assert_eq!(verdict.findings[&NAME], Finding::Own);
    assert_eq!(verdict.link.known(&NAME).stamp, Stamp::new(second(30), Author::Timify));
    assert_eq!(verdict.entity, entity);
}

/// Found by simulation (seed 109): GHL applied our write five minutes late, nobody looked until days later, and our old value
/// beat a newer edit.
#[test]
fn an_own_write_that_landed_late_is_no_edit_however_late_it_is_seen() {
    let (entity, mut link) = both(G);
    let stamps = [(NAME, Stamp::new(second(20), Author::Timify))].into();
    let fields = Fields::from([(NAME, text("a"))]);
    link.ledger.push(Sent { fields, stamps, at: second(20), deletes: false, unclear: true });
    let days = second(200_000);
    let verdict = judged(&entity, &link, &seen("a", Some(second(300))), days, &Evidence::new());
    assert_eq!((verdict.findings[&NAME], &verdict.entity), (Finding::Own, &entity));
    // Who has looked since it could last have landed has seen whether it did.
    link.seen = second(20) + Duration::from_mins(11);
    let verdict = judged(&entity, &link, &seen("a", Some(days)), days, &Evidence::new());
    assert_eq!((verdict.findings[&NAME], verdict.entity.value(&NAME)), (Finding::Taken, &text("a")));
}

/// A write of ours that may land late.
fn open(value: &str, at: Millis) -> Sent {
    let stamps = [(NAME, Stamp::new(at, Author::Timify))].into();
    Sent { fields: Fields::from([(NAME, text(value))]), stamps, at, deletes: false, unclear: true }
}

/// Found by simulation (seed 308672): TimeRex applied our write late and its webhook was lost. Hours later somebody typed in
/// another field, and what all others held was replaced by our old value, and kept nowhere.
#[test]
fn a_newer_version_does_not_tell_when_each_of_its_fields_changed() {
    let (entity, mut link) = both(X);
    link.ledger.push(open("a", second(20)));
    let hours = second(9_000);
    let version = Observation { class: Class::Versioned(hours), ..seen("a", Some(hours)) };
    let verdict = judged(&entity, &link, &version, hours, &Evidence::new());
    let kept: Vec<_> = verdict.conflicts.iter().map(|conflict| &conflict.lost).collect();
    assert_eq!((verdict.findings[&NAME], kept), (Finding::Taken, vec![&text("base")]));
}

/// Found by simulation (seed 309940): GHL applied our write of an old value late, and somebody changed that one before anybody
/// looked. The newer value that we had written meanwhile was taken for what he had seen.
#[rstest]
#[case::may_have_landed("a", 2, FieldRule::Newest, true)]
#[case::says_what_is_known("base", 2, FieldRule::Newest, false)]
#[case::was_looked_for("a", 700, FieldRule::Newest, false)]
#[case::under_another_rule("a", 2, FieldRule::Append, true)]
fn who_may_have_seen_a_late_write_of_ours_has_not_replaced_what_is_known(
    #[case] late: &str,
    #[case] looked: i64,
    #[case] rule: FieldRule,
    #[case] kept: bool,
) {
    let (entity, mut link) = both(G);
    link.seen = second(looked);
    link.ledger.push(open(late, second(20)));
    let (order, mut rules, terms, now) = (Order::default(), FieldRules::new(), Sample::plain(G), second(900));
    rules.set(Kind::Contact, NAME.name(), rule);
    let (late_write, evidence) = (Duration::from_mins(10), Evidence::new());
    let (order, rules, evidence) = (&order, &rules, &evidence);
    let frame = Frame { order, rules, terms: &terms, now, late_write, evidence, orphaned: false, supposed: false };
    let verdict = decide(&entity, &link, &seen("typed", Some(second(710))), &frame);
    assert_eq!(verdict.entity.value(&NAME), &text("typed"));
    let lost: Vec<_> = verdict.conflicts.iter().map(|conflict| conflict.lost.clone()).collect();
    assert_eq!(lost, if kept { vec![text("base")] } else { Vec::new() });
}

/// Found by simulation (seed 42): TIMIFY did not say when a name was typed in; a guest's took its place and it was not kept.
#[test]
fn an_edit_of_which_no_time_is_known_is_kept_when_it_loses() {
    let blank = Entity::new(EntityId(uuid::Uuid::nil()), "w", Kind::Contact, second(0));
    let link = |system| Link::new("w", blank.id, system, Kind::Contact, ExternalId::new("1"));
    let first = judged(&blank, &link(T), &seen("typed", None), second(10), &Evidence::new()).entity;
    let verdict = judged(&first, &link(X), &seen("by guest", Some(second(60))), second(100), &Evidence::new());
    assert_eq!((verdict.entity.value(&NAME), &verdict.conflicts[0].lost), (&text("by guest"), &text("typed")));
}

/// Found by simulation (seed 17932): a customer was deleted in TIMIFY and entered anew under another name, both without a time.
/// Their stamps were equal, so that nothing was owed and the systems differed for ever.
#[test]
fn what_is_entered_anew_without_a_time_never_carries_the_stamp_of_the_former() {
    let blank = Entity::new(EntityId(uuid::Uuid::nil()), "w", Kind::Contact, second(0));
    let link = |id: &str| Link::new("w", blank.id, T, Kind::Contact, ExternalId::new(id));
    let first = judged(&blank, &link("1"), &seen("former", None), second(10), &Evidence::new()).entity;
    let again = judged(&first, &link("2"), &seen("anew", None), second(20), &Evidence::new());
    assert_eq!(again.entity.value(&NAME), &text("anew"));
    assert_ne!(again.link.known(&NAME).stamp, first.stamp(&NAME));
}

/// R9: the answered value with the stamp of the edit that was sent.
#[test]
fn a_write_leaves_what_was_answered_or_else_what_was_sent() {
    let (_, mut link) = both(G);
    let stamp = Stamp::new(second(20), Author::Timify);
    let fields = Fields::from([(NAME, text("sent")), (Field::PHONE, text("p1"))]);
    let stamps = [(NAME, stamp), (Field::PHONE, stamp)].into();
    let sent = Sent { fields, stamps, at: second(21), deletes: false, unclear: false };
    let shown = Fields::from([(NAME, text("answered")), (Field::CITY, text("not sent"))]);
    let shown = Observation { shape: Shape::Partial(shown), ..seen("base", None) };
    super::decide::landed(&mut link, &sent, Some(&shown), second(22));
    let (held, written) = (vec![text("base")], Some(second(22)));
    let expected = Known { value: text("answered"), stamp, held, wrote: true, ours: true, written, hold: None };
    assert_eq!(link.known(&NAME), &expected);
    assert_eq!((&link.known(&Field::PHONE).value, link.snapshot.len()), (&text("p1"), 2));
}

/// R7: `seen` is the lower bound of the next edit, and only a read raises it.
#[test]
fn only_a_read_moves_the_time_of_the_last_look() {
    let (entity, link) = both(X);
    let looked = |class| {
        let seen = Observation { class, ..seen("n1", Some(second(60))) };
        judged(&entity, &link, &seen, second(100), &Evidence::new()).link.seen
    };
    assert_eq!((looked(Class::Current), looked(Class::Versioned(Millis(7)))), (second(100), second(2)));
}

/// Found by simulation: the answer to a write of tags, which shows tags only, counted as a look at the contact. A late write of ours
/// to its name was then taken for an edit.
#[rstest]
#[case::all_of_it(true, second(100))]
#[case::a_part(false, second(2))]
fn an_answer_is_a_look_only_where_it_shows_the_whole_object(#[case] all: bool, #[case] looked: Millis) {
    let (entity, link) = both(X);
    let fields = Fields::from([(Field::CITY, text("ours"))]);
    let sent = Sent { fields, stamps: [].into(), at: second(90), deletes: false, unclear: false };
    let fields = Fields::from([(NAME, text("n1")), (Field::CITY, text("as they write it"))]);
    let shape = if all { Shape::Full(fields) } else { Shape::Partial(fields) };
    let shown = Observation { class: Class::Versioned(second(95)), shape, ..seen("base", None) };
    let (policy, terms) = (crate::model::Policy::default(), plain(&link));
    let verdict = super::decide::answered(&entity, &link, &sent, &shown, &Frame::of(&policy, &terms, second(100)));
    assert_eq!(verdict.link.seen, looked);
    assert_eq!(verdict.told(), [(NAME, Finding::Taken)].into(), "what was sent has landed already");
}

/// Found by simulation: of an answer that lists all tags, those that had been sent were put aside, and so seemed to be left out: a
/// contact that was made with tags lost them everywhere.
#[test]
fn an_answer_that_lists_the_tags_that_were_sent_takes_none_away() {
    let (mut entity, mut link) = both(X);
    let (vip, old, gone) = (Field::tag("vip"), Field::tag("old"), Field::tag("gone"));
    let stamp = Stamp::new(second(50), Author::Ghl);
    for tag in [&vip, &old, &gone] {
        entity.set(tag.clone(), Value::Flag(true), stamp);
    }
    for tag in [&old, &gone] {
        let known = Known { value: Value::Flag(true), stamp, ..Known::default() };
        link.snapshot.insert(tag.clone(), known);
    }
    let said = Fields::from([(vip.clone(), Value::Flag(true))]);
    let stamps = [(vip.clone(), stamp)].into();
    let sent = Sent { fields: said, stamps, at: second(90), deletes: false, unclear: false };
    let fields = Fields::from([(vip.clone(), Value::Flag(true)), (old.clone(), Value::Flag(true))]);
    let shown = Observation {
        class: Class::Versioned(second(95)),
        shape: Shape::Partial(fields),
        all_tags: true,
        ..seen("base", Some(second(95)))
    };
    super::decide::landed(&mut link, &sent, Some(&shown), second(95));
    let (policy, terms) = (crate::model::Policy::default(), plain(&link));
    let verdict = super::decide::answered(&entity, &link, &sent, &shown, &Frame::of(&policy, &terms, second(100)));
    let stands = [&vip, &old, &gone].map(|tag| verdict.entity.value(tag) == &Value::Flag(true));
    assert_eq!(stands, [true, true, false], "{:?}", verdict.findings);
}

/// R2: stamps raised to the same tick. Equal stamps would tell `plan` that the system holds what is true.
#[test]
fn two_edits_of_one_author_never_carry_one_stamp() {
    let (mut entity, mut link) = both(X);
    entity.set(NAME, Value::Blank, Stamp::new(second(44), Author::Timerex));
    let written = Stamp::new(Millis(43_998), Author::Ghl);
    link.snapshot.insert(NAME, Known { value: text("late write"), stamp: written, wrote: true, ..Known::default() });
    let verdict = judged(&entity, &link, &seen("n1", Some(second(3))), second(100), &Evidence::new());
    assert_eq!((verdict.findings[&NAME], verdict.entity.value(&NAME)), (Finding::Taken, &text("n1")));
    assert_ne!(verdict.entity.stamp(&NAME), entity.stamp(&NAME));
}

/// R8, row by row: never written, once held, its own author's, an absent tag; else it was overwritten unseen.
#[rstest]
#[case::never_written(false, &[], Author::Ghl, NAME, Finding::Stale)]
#[case::once_held(true, &["claimed"], Author::Ghl, NAME, Finding::Stale)]
#[case::replaced_by_its_own_author(true, &[], Author::Timify, NAME, Finding::Stale)]
#[case::overwritten_unseen(true, &["else"], Author::Ghl, NAME, Finding::Lost)]
fn a_claim_that_the_read_did_not_confirm(
    #[case] wrote: bool,
    #[case] held: &[&str],
    #[case] author: Author,
    #[case] field: Field,
    #[case] expected: Finding,
) {
    let (_, mut link) = both(T);
    let held = held.iter().map(|value| text(value)).collect();
    let known = Known { value: text("now"), stamp: Stamp::new(second(50), author), held, wrote, ..Known::default() };
    link.snapshot.insert(field.clone(), known);
    let claim = Observation { class: Class::Claim, ..seen("claimed", Some(second(40))) };
    let (findings, conflicts) = claim::unconfirmed(&plain(&link), &link, &claim, second(80));
    assert_eq!(findings[&field], expected);
    let kept: Vec<_> = conflicts.iter().map(|c| (c.lost.clone(), c.won.clone(), c.rule.as_str())).collect();
    let lost = [(text("claimed"), text("now"), "overwritten_unseen")];
    assert_eq!(kept, lost[..usize::from(expected == Finding::Lost)]);
}

#[test]
fn a_claim_that_lacks_a_tag_of_ours_is_stale() {
    let (_, mut link) = both(T);
    let vip = Field::tag("vip");
    let stamp = Stamp::new(second(50), Author::Ghl);
    link.snapshot.insert(vip.clone(), Known { value: Value::Flag(true), stamp, wrote: true, ..Known::default() });
    let fields = Fields::from([(vip.clone(), Value::Blank)]);
    let claim = Observation::new(Kind::Contact, ExternalId::new("1"), Class::Claim, Shape::Partial(fields));
    let (findings, conflicts) = claim::unconfirmed(&plain(&link), &link, &claim, second(80));
    assert_eq!((findings[&vip], conflicts.len()), (Finding::Stale, 0));
}

/// R3: what each kind of observation weighs.
#[rstest]
#[case::a_read(Class::Current, "base", Some(5), Weight::Proves)]
#[case::a_claim_of_what_is_known(Class::Claim, "base", None, Weight::Echo)]
#[case::a_claim_of_anything_else(Class::Claim, "n1", None, Weight::Doubt)]
#[case::the_first_version(Class::Versioned(Millis(4)), "n1", None, Weight::Proves)]
#[case::a_newer_version(Class::Versioned(Millis(6)), "n1", Some(5), Weight::Proves)]
#[case::an_equal_version(Class::Versioned(Millis(5)), "n1", Some(5), Weight::Doubt)]
#[case::an_older_version(Class::Versioned(Millis(4)), "held before", Some(5), Weight::Old)]
#[case::an_older_version_of_what_nobody_knew(Class::Versioned(Millis(4)), "n1", Some(5), Weight::Doubt)]
#[case::an_older_version_of_what_is_known(Class::Versioned(Millis(4)), "base", Some(5), Weight::Echo)]
fn an_observation_weighs(
    #[case] class: Class,
    #[case] value: &str,
    #[case] version: Option<i64>,
    #[case] expected: Weight,
) {
    let (_, mut link) = both(X);
    link.version = version.map(Millis);
    link.snapshot.entry(NAME).or_default().held.push(text("held before"));
    assert_eq!(claim::weigh(&plain(&link), &link, &Observation { class, ..seen(value, None) }), expected);
}

#[test]
fn a_deletion_is_read_back_once_and_nothing_of_what_is_gone_proves_anything() {
    let (_, mut link) = both(X);
    let gone = |class| Observation::new(Kind::Contact, ExternalId::new("1"), class, Shape::Gone);
    assert_eq!(claim::weigh(&plain(&link), &link, &gone(Class::Claim)), Weight::Doubt);
    assert_eq!(claim::weigh(&plain(&link), &link, &gone(Class::Versioned(Millis(9)))), Weight::Doubt);
    assert_eq!(claim::weigh(&plain(&link), &link, &gone(Class::Current)), Weight::Proves);
    link.state = LinkState::Gone;
    assert_eq!(claim::weigh(&plain(&link), &link, &gone(Class::Claim)), Weight::Echo);
    assert_eq!(claim::weigh(&plain(&link), &link, &seen("n1", None)), Weight::Old);
}

#[test]
fn a_known_field_that_a_claim_leaves_out_is_a_doubt_and_in_a_read_a_clearing() {
    let (entity, link) = both(G);
    let nothing = |class| Observation { class, shape: Shape::Full(Fields::new()), ..seen("", Some(second(60))) };
    assert_eq!(claim::weigh(&plain(&link), &link, &nothing(Class::Claim)), Weight::Doubt);
    let silent = Observation { silent: [NAME].into(), ..nothing(Class::Claim) };
    assert_eq!(claim::weigh(&plain(&link), &link, &silent), Weight::Echo, "it never carries that field");
    let verdict = judged(&entity, &link, &nothing(Class::Current), second(100), &Evidence::new());
    assert_eq!((verdict.findings[&NAME], verdict.entity.value(&NAME)), (Finding::Taken, &Value::Blank));
    let partial = Observation { shape: Shape::Partial(Fields::new()), ..nothing(Class::Current) };
    assert_eq!(judged(&entity, &link, &partial, second(100), &Evidence::new()).entity, entity);
}

#[test]
fn a_whole_list_of_tags_clears_the_known_tags_that_it_lacks_and_no_other_field() {
    let (mut entity, mut link) = both(T);
    let known = Known { value: Value::Flag(true), ..Known::default() };
    link.snapshot.insert(Field::tag("vip"), known);
    entity.set(Field::tag("vip"), Value::Flag(true), Stamp::NEVER);
    let fields = Fields::from([(Field::tag("new"), Value::Flag(true))]);
    let list = Observation { shape: Shape::Partial(fields), all_tags: true, ..seen("", Some(second(60))) };
    let verdict = judged(&entity, &link, &list, second(100), &Evidence::new());
    let held = [Field::tag("vip"), Field::tag("new"), NAME].map(|field| verdict.entity.value(&field).clone());
    assert_eq!(held, [Value::Blank, Value::Flag(true), text("base")]);
}

/// R10: what a deletion means.
#[test]
fn a_deletion_of_ours_is_no_news_and_another_is_a_deletion_or_a_value() {
    let (entity, mut link) = both(T);
    let gone = Observation::new(Kind::Contact, ExternalId::new("1"), Class::Current, Shape::Gone);
    let verdict = judged(&entity, &link, &gone, second(100), &Evidence::new());
    assert!(verdict.deleted && verdict.link.state == LinkState::Gone);

    let mut terms = Sample::plain(T);
    terms.gone_means = Some((Field::STATUS, text("cancelled")));
    let policy = crate::model::Policy::default();
    let frame = Frame::of(&policy, &terms, second(100));
    let verdict = decide(&entity, &link, &gone, &frame);
    assert_eq!((verdict.deleted, verdict.entity.value(&Field::STATUS)), (false, &text("cancelled")));

    let mut dead = entity.clone();
    dead.life = crate::model::Life::Deleted(Stamp::NEVER);
    assert!(!judged(&dead, &link, &gone, second(100), &Evidence::new()).deleted, "it is what was wanted");
    let retired = Link { state: LinkState::Retired, ..link.clone() };
    let verdict = judged(&entity, &retired, &gone, second(100), &Evidence::new());
    assert_eq!((verdict.deleted, verdict.link.state), (false, LinkState::Retired));

    let (fields, stamps) = (Fields::new(), std::collections::BTreeMap::new());
    link.sent = Some(Sent { fields, stamps, at: second(90), deletes: true, unclear: true });
    let verdict = judged(&entity, &link, &gone, second(100), &Evidence::new());
    assert!(!verdict.deleted && verdict.link.state == LinkState::Gone);
}

/// Found by simulation: a vendor's clock was set back, so that its own edits came as older versions; R8 at once called them
/// stale, the entity never had them, and the next write to that system took their place.
#[test]
fn an_edit_by_a_clock_that_was_set_back_is_read() {
    let (_, mut link) = both(X);
    link.version = Some(second(50));
    let edit = Observation { class: Class::Versioned(second(20)), ..seen("n1", Some(second(20))) };
    assert_eq!(claim::weigh(&plain(&link), &link, &edit), Weight::Doubt);
}

/// Found by simulation: we wrote over an edit that nobody had read, people there then edited the field again, and last of all
/// came the webhook of the first edit. Their later edit was taken for the one that replaced it.
#[rstest]
#[case::it_was_there_before_our_write(Some(40), 80, Finding::Lost)]
#[case::nobody_knows_when_it_was(None, 80, Finding::Lost)]
#[case::it_came_after_our_write(Some(61), 80, Finding::Stale)]
// Its clock may have been set before it was told, and told it as later than it was.
#[case::it_was_told_late(Some(61), 9_000, Finding::Lost)]
#[case::it_was_told_late_and_came_long_after(Some(651), 9_000, Finding::Stale)]
fn what_we_wrote_over_unseen_is_kept_also_where_it_was_edited_again(
    #[case] at: Option<i64>,
    #[case] told: i64,
    #[case] expected: Finding,
) {
    let (_, mut link) = both(X);
    let by = |at, author| Stamp::new(second(at), author);
    let known = link.snapshot.entry(NAME).or_default();
    known.write(text("ours"), by(45, Author::Ghl), second(50));
    known.move_to(text("again"), by(70, Author::Timerex));
    let claim = Observation { class: Class::Claim, ..seen("unseen", at.map(second)) };
    let (findings, conflicts) = claim::unconfirmed(&plain(&link), &link, &claim, second(told));
    assert_eq!((findings[&NAME], conflicts.len()), (expected, usize::from(expected == Finding::Lost)));
}

/// Found by simulation: a slow read was answered after a payload had told of a newer version. What it showed was taken for an edit,
/// and the old value was written everywhere until the next read.
#[rstest]
#[case::an_older_version(Some(7), Some(9), Some(8), true)]
#[case::no_version(None, Some(9), None, true)]
#[case::the_newer_version(Some(7), Some(9), Some(9), false)]
#[case::nothing_was_told_meanwhile(Some(9), Some(9), Some(8), false)]
fn a_reading_that_a_newer_version_overtook_says_nothing(
    #[case] asked: Option<i64>,
    #[case] known: Option<i64>,
    #[case] shown: Option<i64>,
    #[case] overtaken: bool,
) {
    let of = |version: Option<i64>| Link { version: version.map(second), ..both(X).1 };
    let reading = Observation { version: shown.map(second), ..seen("old", None) };
    assert_eq!(claim::is_overtaken(&of(asked), &of(known), &reading), overtaken);
}

/// Found by simulation: the first webhook of a booking came days late, with the time that it had before we moved it. No answer and
/// no echo had told us of a version, so it was the newest of all, and the booking was moved back everywhere.
#[rstest]
#[case::before_our_write(40, Weight::Doubt)]
#[case::with_our_write(50, Weight::Doubt)]
#[case::after_our_write(51, Weight::Proves)]
fn a_version_from_before_our_own_write_proves_nothing(#[case] at: i64, #[case] weight: Weight) {
    let (_, mut link) = both(X);
    let known = link.snapshot.entry(NAME).or_default();
    known.write(text("ours"), Stamp::new(second(45), Author::Ghl), second(50));
    link.version = None;
    let told = Observation { class: Class::Versioned(second(at)), ..seen("theirs", Some(second(at))) };
    assert_eq!(claim::weigh(&plain(&link), &link, &told), weight);
}

/// Found by simulation: a clock was set back, and a field was cleared that had been blank before. By its version that was what had
/// once been true.
#[rstest]
#[case::before_we_looked(90, Weight::Old)]
#[case::when_we_looked(100, Weight::Old)]
#[case::after_we_looked(101, Weight::Doubt)]
fn an_older_version_that_was_said_after_we_looked_is_of_a_clock_that_was_set(#[case] at: i64, #[case] weight: Weight) {
    let (_, mut link) = both(X);
    link.snapshot.entry(NAME).or_default().move_to(text("n1"), Stamp::new(second(40), Author::Timerex));
    (link.version, link.seen) = (Some(second(95)), second(100));
    let told = Observation { class: Class::Versioned(second(80)), ..seen("base", Some(second(at))) };
    assert_eq!(claim::weigh(&plain(&link), &link, &told), weight);
    link.seen = second(2);
    link.snapshot.entry(NAME).or_default().write(text("ours"), Stamp::new(second(45), Author::Ghl), second(100));
    assert_eq!(claim::weigh(&plain(&link), &link, &told), weight, "our own write is as good as a look");
}

/// Found by simulation: a crash left a write open, its contact was then found gone and taken over by another one, and the merge
/// waited for the answer to that write, which nobody awaited: it was read without end.
#[test]
fn what_was_sent_before_a_crash_is_no_longer_on_its_way() {
    let (_, mut quiet) = both(T);
    quiet.leave_open();
    assert!(quiet.ledger.is_empty(), "nothing was sent");
    let mut link = written_to();
    link.leave_open();
    assert!(!link.is_in_flight() && link.is_live());
    assert_eq!(link.ledger.iter().map(|sent| sent.unclear).collect::<Vec<_>>(), [true]);
}

/// Found by simulation: a contact was found gone while a note of it was written, and the note's webhook then waited for the
/// answer to that write for ever: nobody settles it where the note is gone.
#[test]
fn what_goes_with_its_contact_is_waited_for_no_longer() {
    let link = written_to();
    assert!(link.is_in_flight());
    let gone = link.gone();
    assert!(!gone.is_in_flight());
    assert_eq!((gone.state, gone.ledger.iter().map(|sent| sent.unclear).collect()), (LinkState::Gone, vec![true]));
}

/// Found by simulation: a create of ours got no answer, and before it came through a person made the same contact by another
/// name. That was taken for an edit of ours, and our name, which its author never saw, was gone.
#[test]
fn what_a_create_without_an_answer_sent_is_kept_where_the_object_found_says_something_else() {
    let (entity, mut link) = both(G);
    let stamp = entity.stamp(&NAME);
    let (fields, stamps) = (Fields::from([(NAME, text("base"))]), [(NAME, stamp)].into());
    let open = Sent { fields, stamps, at: second(3), deletes: false, unclear: true };
    link.snapshot.clear();
    super::decide::landed(&mut link, &open, None, second(30));
    let (policy, terms) = (Policy::default(), plain(&link));
    let kept = |supposed| {
        let frame = Frame { supposed, ..Frame::of(&policy, &terms, second(30)) };
        let verdict = decide(&entity, &link, &seen("of a person", Some(second(20))), &frame);
        assert_eq!((verdict.findings[&NAME], verdict.entity.value(&NAME)), (Finding::Taken, &text("of a person")));
        verdict.conflicts.into_iter().map(|conflict| conflict.lost).collect::<Vec<_>>()
    };
    assert_eq!((kept(true), kept(false)), (vec![text("base")], vec![]));
}
