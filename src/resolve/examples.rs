//! The worked examples of docs/conflict-resolution.md, one test each, with the values that stand there.

use super::world::{Ending, START as NOW, World};
use crate::clock::Millis;
use crate::model::{Field, FieldRule, Stamp, System, Value};

const G: System = System::Ghl;
const X: System = System::Timerex;
const PHONE: Field = Field::PHONE;
const NAME: Field = Field::FIRST_NAME;

fn text(value: &str) -> Value {
    Value::text(value)
}

/// All three systems hold these.
fn world() -> World {
    World::holding([(NAME, text("Ada")), (PHONE, text("100"))])
}

/// One edit in GHL and one in TimeRex some seconds later, before either has heard of the other; TimeRex's is heard first.
fn rivals(mut world: World, field: &Field, ghl: &str, seconds: u64, timerex: &str) -> World {
    world.edit(G, field, &text(ghl), 1);
    world.pass(seconds);
    world.edit(X, field, &text(timerex), 1);
    world.hear(X);
    world.hear(G);
    world.lane(G, Ending::Done, None);
    world
}

/// What all hold in the end, and what is kept: the value and the rule.
fn ends(mut world: World, field: &Field, expected: &str, kept: &[(&str, &str)]) -> World {
    world.finish();
    world.check();
    assert_eq!(world.hub.entity.value(field), &text(expected));
    let lost = world.hub.conflicts.iter().map(|c| (c.lost.as_text().unwrap_or_default(), c.rule.as_str()));
    assert_eq!(lost.collect::<Vec<_>>(), kept);
    world
}

#[test]
fn edits_of_different_fields_both_survive() {
    let mut world = world();
    world.edit(G, &NAME, &text("Ada L."), 1);
    world.edit(X, &PHONE, &text("200"), 1);
    let world = ends(world, &NAME, "Ada L.", &[]);
    assert_eq!(world.hub.entity.value(&PHONE), &text("200"));
}

#[test]
fn our_own_write_that_comes_back_causes_no_call() {
    let mut world = world();
    world.edit(G, &PHONE, &text("200"), 1);
    let world = ends(world, &PHONE, "200", &[]);
    assert_eq!(world.writes, 2, "one to each other system; their webhooks came back, and caused nothing");
}

#[test]
fn a_burst_of_edits_is_one_write_with_the_last_value() {
    let mut world = world();
    for number in 1..=5 {
        world.edit(G, &PHONE, &text(&format!("20{number}")), 1);
        world.hear(G);
        world.pass(1);
    }
    assert_eq!(ends(world, &PHONE, "205", &[]).writes, 2, "one to each other system");
}

#[test]
fn a_stale_webhook_is_read_back_and_takes_nothing_back() {
    let mut world = world();
    world.edit(G, &PHONE, &text("200"), 1);
    let late = world.queue.remove(0);
    world.pass(60);
    world.edit(G, &PHONE, &text("300"), 1);
    world.hear(G);
    world.lane(G, Ending::Done, None);
    world.queue.push(late);
    ends(world, &PHONE, "300", &[]);
}

#[test]
fn older_change_never_overwrites_newer_booking() {
    let at = |hour: i64| Value::Instant(Millis(NOW.0 + hour * 3_600_000));
    let mut world = World::holding([(Field::START, at(9))]);
    world.edit(G, &Field::START, &at(10), 1);
    world.pass(60);
    world.edit(X, &Field::START, &at(11), 1);
    world.hear(X);
    world.hear(G);
    world.finish();
    world.check();
    assert_eq!(world.hub.entity.value(&Field::START), &at(11));
    assert!(world.places.values().all(|place| place.value(&Field::START) == &at(11)));
    assert_eq!(world.hub.conflicts.iter().map(|c| (&c.lost, &*c.rule)).collect::<Vec<_>>(), [(&at(10), "newer")]);
}

#[test]
fn within_the_clock_tolerance_the_first_in_precedence_wins() {
    let mut world = world();
    world.now = Millis(NOW.0 / 2_000 * 2_000);
    ends(rivals(world, &PHONE, "200", 1, "300"), &PHONE, "200", &[("300", "newer")]);
}

#[test]
fn who_saw_a_value_and_changed_it_wins_though_the_clock_is_slow() {
    let mut world = world();
    world.edit(G, &PHONE, &text("200"), 1);
    world.finish();
    world.places.get_mut(&X).unwrap().skew = -300_000;
    world.pass(10);
    world.edit(X, &PHONE, &text("300"), 1);
    ends(world, &PHONE, "300", &[]);
}

#[test]
fn a_later_clearing_wins_and_the_value_is_kept() {
    ends(rivals(world(), &PHONE, "200", 60, ""), &PHONE, "", &[("200", "newer")]);
}

#[test]
fn an_edit_overwritten_unseen_is_kept() {
    let mut world = world();
    world.edit(X, &PHONE, &text("200"), 1);
    world.hear(X);
    world.lane(G, Ending::Done, Some((PHONE, text("300"), 1)));
    ends(world, &PHONE, "200", &[("300", "overwritten_unseen")]);
}

#[test]
fn the_preferred_system_wins_although_its_edit_is_older() {
    let under = |rule| rivals(world().under(rule), &PHONE, "200", 60, "300");
    ends(under(FieldRule::PreferGhl), &PHONE, "200", &[("300", "prefer_ghl")]);
    ends(under(FieldRule::PreferTimerex), &PHONE, "300", &[("200", "prefer_timerex")]);
    ends(under(FieldRule::PreferTimify), &PHONE, "300", &[("200", "newer")]);
}

#[test]
fn a_system_that_is_not_preferred_cannot_change_what_the_preferred_one_said() {
    let mut world = world().under(FieldRule::PreferGhl);
    world.edit(G, &PHONE, &text("200"), 1);
    world.finish();
    world.pass(60);
    world.edit(X, &PHONE, &text("300"), 1);
    let world = ends(world, &PHONE, "200", &[("300", "prefer_ghl")]);
    assert_eq!(world.places[&X].value(&PHONE), &text("200"), "it was put back");
}

#[test]
fn what_a_system_clears_comes_back_under_never_blank() {
    let mut world = world().under(FieldRule::NeverBlank);
    world.edit(X, &PHONE, &Value::Blank, 1);
    let world = ends(world, &PHONE, "100", &[("", "never_blank")]);
    assert_eq!(world.places[&X].value(&PHONE), &text("100"));
}

#[test]
fn lists_that_both_edited_are_united() {
    let list = |text: &str| World::holding([(NAME, Value::text(text))]).under(FieldRule::Union);
    ends(rivals(list("tea, coffee"), &NAME, "tea, coffee, milk", 60, "tea"), &NAME, "milk, tea", &[]);
    let mut world = list("tea, coffee");
    world.edit(X, &NAME, &text("Coffee; tea"), 1);
    assert_eq!(ends(world, &NAME, "tea, coffee", &[]).writes, 0, "the same list in another order");
}

#[test]
fn a_tag_taken_off_in_a_system_comes_back_under_union() {
    let vip = Field::tag("vip");
    let mut world = World::holding([(vip.clone(), Value::Flag(true))]).under(FieldRule::Union);
    world.edit(X, &vip, &Value::Blank, 1);
    world.finish();
    world.check();
    assert!(world.places[&X].value(&vip).is_set());
    world.correct(&vip, &Value::Blank);
    ends(world, &vip, "", &[("", "union")]);
}

#[test]
fn two_texts_are_put_one_below_the_other() {
    let note = || World::holding([(NAME, text("Likes tea."))]).under(FieldRule::Append);
    let both = rivals(note(), &NAME, "Likes tea.\nCalled.", 60, "Likes tea.\nMailed.");
    let world = ends(both, &NAME, "Likes tea.\nCalled.\nMailed.", &[]);
    let mut world = world;
    world.pass(60);
    world.edit(G, &NAME, &text("Called and mailed."), 1);
    ends(world, &NAME, "Called and mailed.", &[]);
}

#[test]
fn nobody_is_overwritten_until_a_person_decides_under_hold() {
    let mut world = rivals(world().under(FieldRule::Hold), &PHONE, "200", 60, "300");
    world.finish();
    world.check();
    let holds = |world: &World| System::ALL.iter().map(|s| world.places[s].value(&PHONE).clone()).collect::<Vec<_>>();
    assert_eq!(holds(&world), ["200", "300", "300"].map(text));
    assert_eq!(world.held(), [PHONE]);
    world.correct(&PHONE, &text("200"));
    let world = ends(world, &PHONE, "200", &[("200", "hold")]);
    assert_eq!((holds(&world), world.held()), (vec![text("200"); 3], vec![]));
}

#[test]
fn under_hold_an_edit_without_a_rival_passes() {
    let mut world = world().under(FieldRule::Hold);
    for (system, phone) in [(G, "200"), (X, "300")] {
        world.pass(60);
        world.edit(system, &PHONE, &text(phone), 1);
        world.finish();
    }
    assert_ne!(world.hub.entity.stamp(&PHONE), Stamp::NEVER);
    assert_eq!(ends(world, &PHONE, "300", &[]).held(), []);
}
