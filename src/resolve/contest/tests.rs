//! Rules, one by one.

use rstest::rstest;

use super::*;
use crate::clock::Millis;

fn text(value: &str) -> Value {
    Value::text(value)
}

/// A value that an author set at this second.
fn by(author: Author, second: i64, value: &str) -> Stamped {
    Stamped { value: text(value), stamp: Stamp::new(Millis(second * 1_000), author) }
}

fn never() -> Stamped {
    Stamped { value: Value::Blank, stamp: Stamp::NEVER }
}

fn settled(rule: FieldRule, former: &Stamped, base: &str, made: &Stamped, rival: bool) -> Winner {
    let order = Order::default();
    Contest { order: &order, rule, tag: false }.settle(former, &Edit { base: &text(base), made, rival })
}

/// What is true afterwards, whoever is heard first: rivals made upon `base`.
fn ends(rule: FieldRule, base: &str, one: &Stamped, other: &Stamped) -> Value {
    let [first, second] =
        [(one, other), (other, one)].map(|(former, made)| match settled(rule, former, base, made, true) {
            Winner::Edit => made.value.clone(),
            Winner::Former => former.value.clone(),
            Winner::Both(both) => both.value,
            Winner::Nobody => text("nobody"),
        });
    assert_eq!(first, second, "it depends on who is heard first");
    first
}

const G: Author = Author::Ghl;
const T: Author = Author::Timify;
const X: Author = Author::Timerex;
const OPERATOR: Author = Author::Operator;
const RULE: Author = Author::Rule;

#[rstest]
#[case::newest(FieldRule::Newest, by(G, 10, "g"), by(T, 20, "t"), "t")]
#[case::newest_in_one_tick(FieldRule::Newest, by(G, 20, "g"), by(T, 21, "t"), "g")]
#[case::newest_clearing(FieldRule::Newest, by(G, 10, "g"), by(T, 20, ""), "")]
#[case::preferred_is_older(FieldRule::PreferGhl, by(G, 10, "g"), by(T, 20, "t"), "g")]
#[case::preferred_is_newer(FieldRule::PreferTimify, by(G, 10, "g"), by(T, 20, "t"), "t")]
#[case::preferred_clears(FieldRule::PreferGhl, by(G, 10, ""), by(T, 20, "t"), "")]
#[case::nobody_preferred(FieldRule::PreferTimerex, by(G, 10, "g"), by(T, 20, "t"), "t")]
#[case::an_operator_is_as_good(FieldRule::PreferGhl, by(OPERATOR, 30, "o"), by(G, 20, "g"), "o")]
#[case::an_operator_beats_others(FieldRule::PreferGhl, by(OPERATOR, 10, "o"), by(T, 20, "t"), "o")]
#[case::a_rule_too(FieldRule::PreferTimerex, by(RULE, 10, "r"), by(T, 20, "t"), "r")]
#[case::preferred_saw_the_operators(FieldRule::PreferGhl, by(OPERATOR, 10, "o"), by(G, 20, "g"), "g")]
#[case::never_blank(FieldRule::NeverBlank, by(G, 10, "g"), by(T, 20, ""), "g")]
#[case::never_blank_two_values(FieldRule::NeverBlank, by(G, 10, "g"), by(T, 20, "t"), "t")]
#[case::an_operator_may_clear(FieldRule::NeverBlank, by(G, 10, "g"), by(OPERATOR, 20, ""), "")]
#[case::until_a_later_value(FieldRule::NeverBlank, by(G, 30, "g"), by(OPERATOR, 20, ""), "g")]
#[case::append(FieldRule::Append, by(G, 10, "Called."), by(T, 20, "Mailed."), "Called.\nMailed.")]
#[case::append_keeps_what_is_there_once(
    FieldRule::Append,
    by(G, 10, "base\nga"),
    by(T, 20, "base\ntb"),
    "base\nga\ntb"
)]
#[case::append_contained(FieldRule::Append, by(G, 10, "Called, no answer"), by(T, 20, "Called"), "Called, no answer")]
#[case::append_contains(FieldRule::Append, by(G, 10, "one\ntwo"), by(T, 20, "one\nand\ntwo"), "one\nand\ntwo")]
#[case::append_is_no_part_of_a_word(FieldRule::Append, by(G, 10, "book"), by(T, 20, "ok"), "book\nok")]
#[case::append_to_a_clearing(FieldRule::Append, by(G, 10, "g"), by(T, 20, ""), "g")]
#[case::hold(FieldRule::Hold, by(G, 10, "g"), by(T, 20, "t"), "nobody")]
#[case::hold_clearing(FieldRule::Hold, by(G, 10, "g"), by(T, 20, ""), "nobody")]
#[case::an_operator_decides(FieldRule::Hold, by(OPERATOR, 30, "o"), by(T, 20, "t"), "o")]
#[case::a_rule_decides(FieldRule::Hold, by(RULE, 30, "r"), by(T, 20, "t"), "r")]
fn rivals_end_as_the_rule_says_in_any_order(
    #[case] rule: FieldRule,
    #[case] one: Stamped,
    #[case] other: Stamped,
    #[case] expected: &str,
) {
    assert_eq!(ends(rule, "base", &one, &other), text(expected));
}

#[rstest]
#[case::both_added("a, b", "a, b, c", "a, b, d", "a, b, c, d")]
#[case::one_took_out("a, b", "a", "a, b, d", "a, d")]
#[case::both_took_out("a, b, c", "a, c", "b, c", "c")]
#[case::the_same_added("a", "a, VIP", "a, vip", "a, VIP")]
#[case::nothing_was_there("", "a", "b", "a, b")]
#[case::one_cleared("a, b", "", "a, b, c", "c")]
#[case::both_took_out_all("a, b", "a", "b", "")]
#[case::semicolons("a; b", "a; b; c", "a; b; d", "a; b; c; d")]
#[case::lines("a\nb", "a\nb\nc", "a\nb\nd", "a\nb\nc\nd")]
fn lists_unite(#[case] base: &str, #[case] one: &str, #[case] other: &str, #[case] expected: &str) {
    assert_eq!(ends(FieldRule::Union, base, &by(G, 10, one), &by(T, 20, other)), text(expected));
}

#[test]
fn a_united_list_that_is_one_of_the_two_keeps_its_spelling() {
    let (short, long) = (by(G, 10, "b, a, c"), by(T, 20, "c, d, b, a"));
    assert_eq!(ends(FieldRule::Union, "a, b", &short, &long), long.value);
    let order = Order::default();
    let contest = |rule| Contest { order: &order, rule, tag: false };
    assert!(contest(FieldRule::Union).is_same(&text("B, a"), &text("a; b")));
    assert!(!contest(FieldRule::Union).is_same(&text("a"), &text("a, b")));
    assert!(!contest(FieldRule::Newest).is_same(&text("B, a"), &text("a; b")));
}

#[rstest]
#[case(FieldRule::Newest, by(T, 20, ""))]
#[case(FieldRule::NeverBlank, by(G, 10, ""))]
#[case(FieldRule::Union, by(G, 10, ""))]
fn a_tag_taken_off_comes_back_where_presence_wins(#[case] rule: FieldRule, #[case] off: Stamped) {
    let there = Stamped { value: Value::Flag(true), ..by(G, 10, "") };
    let off = Stamped { stamp: Stamp::new(Millis(20_000), off.stamp.author), ..off };
    let order = Order::default();
    let tag = Contest { order: &order, rule, tag: true };
    let expected = if rule == FieldRule::Newest { Winner::Edit } else { Winner::Former };
    assert_eq!(tag.settle(&there, &Edit { base: &there.value, made: &off, rival: false }), expected);
    assert_eq!(
        tag.settle(&there, &Edit { base: &there.value, made: &by(OPERATOR, 20, ""), rival: false }),
        Winner::Edit,
        "an operator takes it off"
    );
}

/// Whoever saw what is true and changed it is no rival: it is taken as it is.
#[rstest]
#[case(FieldRule::Newest)]
#[case(FieldRule::PreferTimerex)]
#[case(FieldRule::NeverBlank)]
#[case(FieldRule::Union)]
#[case(FieldRule::Append)]
#[case(FieldRule::Hold)]
fn who_saw_what_is_true_replaces_it(#[case] rule: FieldRule) {
    assert_eq!(settled(rule, &by(G, 10, "a, b"), "a, b", &by(T, 20, "b"), false), Winner::Edit);
    assert_eq!(settled(rule, &never(), "", &by(T, 20, "b"), false), Winner::Edit);
}

#[test]
fn what_was_never_said_is_weakest_and_so_is_what_is_said_in_default() {
    for rule in FieldRule::ALL {
        assert_eq!(settled(*rule, &never(), "", &by(X, 10, "x"), false), Winner::Edit, "{rule}");
    }
    let typed = by(X, 0, "typed");
    assert_eq!(ends(FieldRule::PreferTimerex, "", &typed, &by(G, 20, "g")), text("g"));
}

#[test]
fn what_became_of_two_is_later_than_both_and_the_same_in_any_order() {
    let (order, one, other) = (Order::default(), by(G, 10, "g"), by(T, 20, "t"));
    for rule in [FieldRule::Union, FieldRule::Append] {
        let both = settled(rule, &one, "", &other, true);
        assert_eq!(both, settled(rule, &other, "", &one, true));
        let Winner::Both(both) = both else { panic!("{both:?}") };
        assert!([one.stamp, other.stamp].iter().all(|stamp| order.key(both.stamp) > order.key(*stamp)));
        assert_eq!(both.stamp.author, Author::Rule);
    }
}

#[test]
fn the_word_is_the_rules_only_where_time_did_not_decide() {
    let order = Order::default();
    let word = |rule, a: &Stamped, b: &Stamped| Contest { order: &order, rule, tag: false }.word(a, b);
    assert_eq!(word(FieldRule::PreferGhl, &by(G, 10, "g"), &by(T, 20, "t")), "prefer_ghl");
    assert_eq!(word(FieldRule::PreferGhl, &by(X, 10, "x"), &by(T, 20, "t")), "newer");
    assert_eq!(word(FieldRule::NeverBlank, &by(X, 10, "x"), &by(T, 20, "")), "never_blank");
    assert_eq!(word(FieldRule::Append, &by(X, 10, "x"), &by(T, 20, "")), "append");
    assert_eq!(word(FieldRule::Hold, &by(OPERATOR, 30, "x"), &by(T, 20, "t")), "newer");
}
