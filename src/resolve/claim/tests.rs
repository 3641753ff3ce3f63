//! Claims, one by one: rows, differences, weights, and what no read confirmed.

use rstest::rstest;

use super::*;
use crate::model::{ChangeId, EntityId, ExternalId, Kind, Known, Moved};
use crate::resolve::sample::Sample;

const OWN: Author = Author::Timerex;

fn text(value: &str) -> Value {
    Value::text(value)
}

fn terms() -> Sample {
    Sample { is_final: |_, _, value| *value == Value::text("final"), ..Sample::plain(System::Timerex) }
}

/// A link that holds this city, and held Nara before.
fn link(city: &str, state: LinkState) -> Link {
    let link = Link::new("w", EntityId(Uuid::nil()), System::Timerex, Kind::Contact, ExternalId::new("1"));
    let mut link = Link { state, version: Some(Millis(5)), ..link };
    for value in ["Nara", city] {
        link.snapshot.entry(Field::CITY).or_default().move_to(text(value), Stamp::new(Millis(5), OWN));
    }
    link
}

fn inner(state: LinkState) -> Link {
    Link { id: ExternalId::inner(&ExternalId::new("1"), "2"), ..link("Osaka", state) }
}

fn said(class: Class, shape: Shape) -> Observation {
    Observation { at: Some(Millis(7)), ..Observation::new(Kind::Contact, ExternalId::new("1"), class, shape) }
}

fn city(city: &str) -> Shape {
    Shape::Partial([(Field::CITY, text(city))].into())
}

fn claim(shape: Shape) -> Observation {
    said(Class::Claim, shape)
}

fn tags_only() -> Observation {
    Observation { all_tags: true, ..claim(Shape::Partial([(Field::tag("vip"), Value::Flag(true))].into())) }
}

#[test]
fn what_was_listed_reads_back_from_its_row_and_a_webhook_by_the_systems_terms() {
    let seen = claim(city("Kobe"));
    let row = row(Origin::Listing, "w", System::Timerex, &seen, Uuid::nil(), Millis(9));
    assert_eq!((row.kind, &row.object, row.at), (Some(Kind::Contact), &Some(seen.id.clone()), Some(Millis(7))));
    assert_eq!((row.workspace.as_deref(), row.origin, row.received), (Some("w"), Origin::Listing, Millis(9)));
    let change = |said| Change { id: ChangeId(1), said };
    assert_eq!(super::read(&terms(), &change(row.clone())), Ok(vec![seen]));
    let webhook = NewChange { origin: Origin::Webhook, ..row.clone() };
    assert_eq!(super::read(&terms(), &change(webhook)), Ok(vec![]), "the sample reads nothing in any body");
    let garbled = NewChange { body: "{".into(), ..row };
    assert!(super::read(&terms(), &change(garbled)).is_err());
}

#[rstest]
#[case::never_heard_of(None, claim(city("Osaka")), Some("unknown"))]
#[case::never_heard_of_and_gone(None, claim(Shape::Gone), None)]
#[case::gone_as_it_was_moved(None, Observation { moved: Some(Moved::To(ExternalId::new("2"))), ..claim(Shape::Gone) }, Some("unknown"))]
#[case::as_it_is_known(Some(link("Osaka", LinkState::Live)), claim(city("Osaka")), None)]
#[case::otherwise(Some(link("Osaka", LinkState::Live)), claim(city("Kobe")), Some("drifted"))]
#[case::gone_and_not_known_to_be(Some(link("Osaka", LinkState::Live)), claim(Shape::Gone), Some("drifted"))]
#[case::newer(Some(link("Osaka", LinkState::Live)), said(Class::Versioned(Millis(6)), city("Kobe")), Some("drifted"))]
#[case::older(Some(link("Osaka", LinkState::Live)), said(Class::Versioned(Millis(4)), city("Nara")), None)]
#[case::gone_as_it_is_known(Some(link("Osaka", LinkState::Gone)), claim(Shape::Gone), None)]
#[case::there_again(Some(link("Osaka", LinkState::Gone)), claim(city("Osaka")), Some("restored"))]
#[case::only_its_tags_outlived_it(Some(link("Osaka", LinkState::Gone)), tags_only(), None)]
#[case::no_longer_followed(Some(link("Osaka", LinkState::Retired)), claim(city("Kobe")), None)]
#[case::another_in_its_place(Some(inner(LinkState::Gone)), claim(city("Osaka")), Some("unknown"))]
fn what_is_listed_differs(#[case] link: Option<Link>, #[case] seen: Observation, #[case] expected: Option<&str>) {
    assert_eq!(difference(&terms(), link.as_ref(), &seen), expected);
}

#[test]
fn only_what_is_said_of_a_tombstone_and_more_than_its_tags_may_mean_that_it_is_back() {
    let (gone, live) = (link("Osaka", LinkState::Gone), link("Osaka", LinkState::Live));
    assert!(may_be_back(&gone, &claim(city("Osaka"))) && may_be_back(&gone, &claim(Shape::Hint)));
    assert!(!may_be_back(&live, &claim(city("Osaka"))));
    assert!(!may_be_back(&gone, &claim(Shape::Gone)) && !may_be_back(&gone, &tags_only()));
}

#[test]
fn only_where_an_inner_object_is_gone_from_stands_another() {
    let (tomb, shown) = (inner(LinkState::Gone), claim(city("Osaka")));
    assert!(is_another(&tomb, &shown));
    assert!(!is_another(&tomb, &said(Class::Current, city("Osaka"))), "a read looks for this one");
    assert!(!is_another(&tomb, &claim(Shape::Hint)) && !is_another(&tomb, &claim(Shape::Gone)));
    assert!(!is_another(&inner(LinkState::Live), &shown) && !is_another(&link("Osaka", LinkState::Gone), &shown));
}

#[rstest]
#[case::a_newer_version_of_what_was_held("Osaka", Class::Versioned(Millis(6)), city("Nara"), Weight::Proves)]
#[case::an_equal_version_of_what_was_held("Osaka", Class::Versioned(Millis(5)), city("Nara"), Weight::Doubt)]
#[case::an_older_version_of_what_was_held("Osaka", Class::Versioned(Millis(4)), city("Nara"), Weight::Old)]
#[case::an_older_version_against_what_is_final("final", Class::Versioned(Millis(4)), city("Kobe"), Weight::Echo)]
#[case::a_claim_against_what_is_final("final", Class::Claim, city("Kobe"), Weight::Echo)]
#[case::a_hint("Osaka", Class::Claim, Shape::Hint, Weight::Doubt)]
fn an_observation_weighs(#[case] known: &str, #[case] class: Class, #[case] shape: Shape, #[case] expected: Weight) {
    assert_eq!(weigh(&terms(), &link(known, LinkState::Live), &said(class, shape)), expected);
}

#[test]
fn an_older_version_that_speaks_against_what_is_final_is_old_all_the_same() {
    let mut link = link("final", LinkState::Live);
    for phone in ["1", "2"] {
        link.snapshot.entry(Field::PHONE).or_default().move_to(text(phone), Stamp::NEVER);
    }
    let both = Shape::Partial([(Field::CITY, text("Kobe")), (Field::PHONE, text("1"))].into());
    assert_eq!(weigh(&terms(), &link, &said(Class::Versioned(Millis(4)), both)), Weight::Old);
}

#[test]
fn of_what_was_never_read_nothing_is_known_not_even_that_it_is_empty() {
    let never = Link { snapshot: Snapshot::new(), ..link("", LinkState::Live) };
    assert_eq!(weigh(&terms(), &never, &claim(Shape::Full(Fields::new()))), Weight::Doubt);
    let read = Link { seen: Millis(1), ..never };
    assert_eq!(weigh(&terms(), &read, &claim(Shape::Full(Fields::new()))), Weight::Echo);
}

/// R8, for what we wrote and was cleared, tagged, or written over before it was said.
#[rstest]
#[case::a_clearing(Field::CITY, Author::Ghl, Value::Blank, Some(Finding::Lost))]
#[case::a_tag_put_on(Field::tag("vip"), Author::Ghl, Value::Flag(true), Some(Finding::Lost))]
#[case::over_our_copy_of_their_own(Field::CITY, OWN, Value::text("Kobe"), Some(Finding::Lost))]
#[case::what_it_holds(Field::CITY, Author::Ghl, Value::text("ours"), None)]
fn a_claim_that_we_may_have_written_over_is_kept(
    #[case] field: Field,
    #[case] author: Author,
    #[case] value: Value,
    #[case] expected: Option<Finding>,
) {
    let mut link = Link { snapshot: Snapshot::new(), ..link("", LinkState::Live) };
    let stamp = Stamp::new(Millis(3), author);
    let (ours, written) = (true, Some(Millis(5)));
    let known = Known { value: text("ours"), stamp, wrote: true, ours, written, ..Known::default() };
    link.snapshot.insert(field.clone(), known);
    let (findings, conflicts) =
        unconfirmed(&terms(), &link, &claim(Shape::Partial([(field.clone(), value)].into())), Millis(9));
    assert_eq!(findings.get(&field).copied(), expected);
    assert_eq!(conflicts.len(), usize::from(expected.is_some()));
}

#[test]
fn a_claim_against_what_is_final_is_stale() {
    let mut link = link("final", LinkState::Live);
    link.snapshot.entry(Field::CITY).or_default().write(text("final"), Stamp::NEVER, Millis(9));
    let (findings, conflicts) = unconfirmed(&terms(), &link, &claim(city("Kobe")), Millis(9));
    assert_eq!((findings[&Field::CITY], conflicts.len()), (Finding::Stale, 0));
}

#[test]
fn only_a_list_of_all_tags_says_of_a_tag_that_it_is_not_there() {
    let of = |seen: &Observation, field: Field| super::said(seen, &field);
    let some = Observation { all_tags: false, ..tags_only() };
    assert_eq!(of(&tags_only(), Field::tag("vip")), Some(Value::Flag(true)));
    assert_eq!(of(&tags_only(), Field::tag("gold")), Some(Value::Blank));
    assert_eq!(of(&some, Field::tag("gold")), None);
    assert_eq!(of(&tags_only(), Field::CITY), None);
}

/// Found by killing: a booking that was listed before its webhook came had no title, which only webhooks carry, and whatever
/// others called it could not be written there.
#[test]
fn what_was_told_of_the_version_that_is_read_completes_the_reading() {
    let both =
        |city: &str, state: &str| Shape::Partial([(Field::CITY, text(city)), (Field::STATE, text(state))].into());
    let reading = Observation { version: Some(Millis(5)), ..said(Class::Current, city("Osaka")) };
    let told = |version, shape| said(Class::Versioned(Millis(version)), shape);
    let of = |claims: &[Observation]| completed(&reading, claims).shape;
    assert_eq!(of(&[told(5, both("Nara", "Kansai"))]), both("Osaka", "Kansai"), "what is read counts more");
    assert_eq!(of(&[told(4, both("Nara", "Kansai"))]), city("Osaka"), "of another version");
    assert_eq!(of(&[said(Class::Claim, both("Nara", "Kansai"))]), city("Osaka"), "of no version");
    let tagged = Shape::Partial([(Field::tag("vip"), Value::Flag(true))].into());
    let tags = Observation { all_tags: true, ..reading.clone() };
    assert_eq!(completed(&tags, &[told(5, tagged)]).shape, city("Osaka"), "it says that the tag is not there");
}
