use rstest::rstest;
use uuid::Uuid;

use super::*;
use crate::clock::Millis;
use crate::model::{Class, EntityId, ExternalId, Known, Mirror, Shape};
use crate::resolve::sample::Sample;

const G: System = System::Ghl;
const T: System = System::Timify;
const X: System = System::Timerex;
const EDIT: Stamp = Stamp { t: Millis(1_000), author: Author::Ghl };
const DELETED: Stamp = Stamp { t: Millis(5_000), author: Author::Timify };

fn link(whole: &Whole, system: System, state: LinkState) -> Link {
    let mut link = Link::new("w", whole.entity.id, system, whole.entity.kind, ExternalId::new(format!("{system}-1")));
    let known = Known { value: Value::text("base"), stamp: EDIT, ..Known::default() };
    link.snapshot = [(Field::TITLE, known)].into();
    Link { state, ..link }
}

/// Deleted in TIMIFY, live in GHL and TimeRex; all of them hold `base`.
fn deleted(kind: Kind) -> Whole {
    let mut entity = Entity::new(EntityId(Uuid::from_u128(1)), "w", kind, Millis(0));
    entity.set(Field::TITLE, Value::text("base"), EDIT);
    entity.life = Life::Deleted(DELETED);
    let mut whole = Whole { entity, links: Vec::new(), mirrors: Vec::new() };
    whole.links =
        vec![link(&whole, G, LinkState::Live), link(&whole, T, LinkState::Gone), link(&whole, X, LinkState::Live)];
    whole.mirrors = [G, T, X].map(|system| Mirror::new("w", whole.entity.id, system)).into();
    whole
}

fn next_with(whole: &Whole, children: &[Whole], contact: Option<&Whole>, system: System) -> Next {
    let all = [G, T, X].map(Sample::plain);
    let terms = |system: System| all.iter().find(|one| one.system == system).map(|one| -> &dyn Terms { one });
    Doomed { whole, children, contact }.next(system, &terms)
}

fn next(whole: &Whole, system: System) -> Next {
    next_with(whole, &[], None, system)
}

fn edit(whole: &mut Whole, value: &str, t: i64) {
    whole.entity.set(Field::TITLE, Value::text(value), Stamp::new(Millis(t), Author::Timerex));
}

fn doubt(whole: &mut Whole, system: System) {
    whole.mirrors.iter_mut().filter(|mirror| mirror.system == system).for_each(|mirror| mirror.doubt += 1);
}

fn is_parked(next: &Next) -> bool {
    matches!(next, Next::Park(_))
}

#[test]
fn a_delete_waits_until_every_other_live_link_was_read() {
    let mut whole = deleted(Kind::Contact);
    doubt(&mut whole, X);
    assert!(matches!(next(&whole, G), Next::Wait(reason) if reason.contains("timerex")));
    assert_eq!(next(&whole, X), Next::Delete, "its own doubt is read by its own lane first");
    doubt(&mut whole, T);
    whole.links[2].state = LinkState::Gone;
    assert_eq!(next(&whole, G), Next::Delete, "what is gone is not waited for");
}

/// An older edit counts as well: it is not its time that tells whether the deleter had got it.
#[rstest]
#[case::before_the_deletion(2_000)]
#[case::after_it(9_000)]
fn an_edit_that_the_deleter_had_not_got_parks_it_everywhere(#[case] t: i64) {
    let mut whole = deleted(Kind::Contact);
    edit(&mut whole, "unseen", t);
    doubt(&mut whole, X);
    assert!(is_parked(&next(&whole, G)) && is_parked(&next(&whole, X)));
    acknowledge(&mut whole);
    assert!(matches!(next(&whole, G), Next::Wait(_)), "an operator has seen it; the rest is still read");
}

#[test]
fn what_we_deleted_on_the_way_is_not_taken_for_what_people_knew() {
    let mut whole = deleted(Kind::Contact);
    edit(&mut whole, "never written to GHL", 2_000);
    acknowledge(&mut whole);
    whole.entity.life = Life::Deleted(Stamp::new(Millis(5_000), Author::Operator));
    assert_eq!(next(&whole, X), Next::Delete);
    whole.links[0] = Link { ledger: vec![ours()], seen: Millis(6_000), ..link(&whole, G, LinkState::Gone) };
    assert_eq!(next(&whole, X), Next::Delete);
}

/// Whoever sets back after the deletion what was known there still works with it (seed 180000836).
#[test]
fn the_same_value_is_nothing_that_the_deleter_had_not_got_unless_it_was_set_back_after_the_deletion() {
    let mut whole = deleted(Kind::Contact);
    edit(&mut whole, "base", 2_000);
    assert_eq!(next(&whole, G), Next::Delete);
    edit(&mut whole, "base", 9_000);
    assert!(is_parked(&next(&whole, G)));
}

/// Found by simulation: nobody was told that a customer was deleted in TIMIFY, whose extension took one more tag for it.
#[test]
fn a_tag_that_got_beside_what_was_deleted_before_is_nothing_that_the_deleter_had_got() {
    for (t, parks) in [(2_000, false), (9_000, true)] {
        let (mut whole, tag) = (deleted(Kind::Contact), Stamp::new(Millis(t), Author::Timerex));
        whole.entity.set(Field::tag("gold"), Value::Flag(true), tag);
        for link in &mut whole.links {
            let known = Known { value: Value::Flag(true), stamp: tag, ..Known::default() };
            link.snapshot.insert(Field::tag("gold"), known);
        }
        assert_eq!(is_parked(&next(&whole, G)), parks, "tagged at {t}");
    }
}

#[test]
fn what_was_never_there_is_deleted_with_the_rest_unless_it_was_edited_later_or_could_have_been_there() {
    let mut child = deleted(Kind::Task);
    child.entity.life = Life::Live;
    child.links.retain(|link| link.system != T);
    let contact = deleted(Kind::Contact);
    let all = [Sample::plain(G), Sample::plain(X)];
    let terms = |system: System| all.iter().find(|one| one.system == system).map(|one| -> &dyn Terms { one });
    let next = |child: &Whole| {
        let children = [child.clone()];
        Doomed { whole: &contact, children: &children, contact: None }.next(G, &terms)
    };
    assert_eq!(next(&child), Next::Delete, "TIMIFY holds no tasks");
    edit(&mut child, "later", 9_000);
    assert!(is_parked(&next(&child)));
    edit(&mut child, "before", 2_000);
    assert!(is_parked(&next_with(&contact, &[child], None, G)), "TIMIFY could have had it, and had not");
}

#[test]
fn a_contact_waits_for_its_tasks_and_is_parked_by_an_edit_of_one() {
    let contact = deleted(Kind::Contact);
    let mut child = Whole { entity: Entity { life: Life::Live, ..deleted(Kind::Task).entity }, ..deleted(Kind::Task) };
    assert_eq!(next_with(&contact, std::slice::from_ref(&child), None, G), Next::Delete);
    doubt(&mut child, G);
    assert!(matches!(next_with(&contact, std::slice::from_ref(&child), None, G), Next::Wait(_)));
    edit(&mut child, "unseen", 2_000);
    assert!(is_parked(&next_with(&contact, &[child], None, G)));
}

#[test]
fn a_task_found_gone_is_spared_if_it_went_with_its_contact() {
    let task = deleted(Kind::Task);
    let mut contact = deleted(Kind::Contact);
    contact.entity.life = Life::Live;
    assert_eq!(next_with(&task, &[], Some(&contact), G), Next::Spare);
    contact.links.iter_mut().for_each(|link| link.state = LinkState::Gone);
    assert_eq!(next_with(&task, &[], Some(&contact), G), Next::Delete, "the contact is nowhere any more");
    contact.links.iter_mut().for_each(|link| link.state = LinkState::Live);
    assert_eq!(next_with(&task, &[], Some(&contact), G), Next::Delete, "the contact is still there");
    contact.links[1].sent = Some(ours());
    assert!(matches!(next_with(&task, &[], Some(&contact), G), Next::Wait(_)), "we are deleting it there");
    contact.links[1].sent = None;
    doubt(&mut contact, T);
    assert!(matches!(next_with(&task, &[], Some(&contact), G), Next::Wait(_)));
}

fn ours() -> Sent {
    let (fields, stamps) = (Fields::new(), std::collections::BTreeMap::new());
    Sent { fields, stamps, at: Millis(6_000), deletes: true, unclear: false }
}

#[test]
fn what_is_there_again_is_not_deleted_again() {
    let mut whole = deleted(Kind::Contact);
    whole.links[0].ledger.push(ours());
    assert!(is_parked(&next(&whole, G)));
    forget_deletes(&mut whole);
    assert_eq!(next(&whole, G), Next::Delete);
    whole.links[0].ledger.push(Sent { unclear: true, ..ours() });
    assert_eq!(next(&whole, G), Next::Delete, "a delete that was not carried out is tried again");
    whole.links[1].state = LinkState::Live;
    assert!(is_parked(&next(&whole, T)));
}

#[test]
fn a_restored_object_lives_again_unless_we_deleted_something() {
    let mut whole = deleted(Kind::Contact);
    assert!(is_back(&whole, T) && !is_back(&whole, G));
    whole.links[0].state = LinkState::Gone;
    whole.links[0].ledger.push(ours());
    assert!(!is_back(&whole, T));
    whole.entity.life = Life::Live;
    assert!(is_back(&whole, T) && is_back(&whole, G));
}

#[rstest]
#[case::unknown("never heard of", 1)]
#[case::known("base", 0)]
#[case::once_held("former", 0)]
fn a_late_value_of_what_we_deleted_is_kept(#[case] value: &str, #[case] kept: usize) {
    let whole = deleted(Kind::Contact);
    let mut tomb = whole.links[1].clone();
    tomb.snapshot.entry(Field::TITLE).or_default().held.push(Value::text("former"));
    let fields = Fields::from([(Field::TITLE, Value::text(value)), (Field::tag("vip"), Value::Blank)]);
    let claim = Observation::new(Kind::Contact, tomb.id.clone(), Class::Claim, Shape::Full(fields));
    assert_eq!(deleted_unseen(&tomb, &claim), [], "people deleted it themselves");
    tomb.ledger.push(ours());
    let found = deleted_unseen(&tomb, &claim);
    assert_eq!(found.len(), kept);
    assert!(found.iter().all(|(_, _, conflict)| conflict.rule == "deleted_unseen"));
}

#[test]
fn nowhere_is_where_no_link_lives_and_no_create_is_open() {
    let mut whole = deleted(Kind::Contact);
    assert!(!is_nowhere(&whole));
    whole.links.iter_mut().for_each(|link| link.state = LinkState::Gone);
    assert!(is_nowhere(&whole));
    let sent = Some(Sent { deletes: false, ..ours() });
    let intent = crate::model::Intent { id: Uuid::nil(), since: Millis(0), sent, refused: None };
    whole.mirrors[0].intent = Some(intent);
    assert!(!is_nowhere(&whole));
    whole.links.clear();
    whole.mirrors.clear();
    assert!(!is_nowhere(&whole), "what was never anywhere is not deleted");
}
