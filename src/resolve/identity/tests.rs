//! Who is who, case by case.

use rstest::rstest;

use super::*;
use crate::clock::Millis;
use crate::model::{Author, Entity, ExternalId, Intent, Life, Link, LinkState, Mirror, Stamp};

const MAIL: Field = Field::EMAIL;
const PHONE: Field = Field::PHONE;

fn told<const N: usize>(fields: [(Field, &str); N]) -> Fields {
    fields.map(|(field, value)| (field, Value::text(value))).into()
}

fn whole(number: u128, kind: Kind, fields: Fields) -> Whole {
    let mut entity = Entity::new(EntityId(uuid::Uuid::from_u128(number)), "w", kind, Millis(0));
    for (field, value) in fields {
        entity.set(field, value, Stamp::new(Millis(1), Author::Ghl));
    }
    Whole { entity, links: Vec::new(), mirrors: Vec::new() }
}

/// The same, already linked in a system.
fn linked(mut whole: Whole, system: System, state: LinkState) -> Whole {
    let Entity { id, kind, .. } = whole.entity;
    let mut link = Link::new("w", id, system, kind, ExternalId::new("taken"));
    link.state = state;
    whole.links.push(link);
    whole
}

fn same(whole: &Whole) -> Match {
    Match::Same(whole.entity.id)
}

fn told_of(kind: Kind, system: System, fields: &Fields, candidates: &[Whole]) -> Match {
    choose(kind, system, fields, candidates, &BTreeSet::new())
}

fn contact(number: u128, fields: Fields) -> Whole {
    whole(number, Kind::Contact, fields)
}

#[test]
fn a_contact_is_known_by_its_email_or_else_by_its_phone() {
    let ada = contact(1, told([(MAIL, "ada@example.com"), (PHONE, "+491")]));
    for (fields, expected) in [
        (told([(MAIL, "ada@example.com")]), same(&ada)),
        (told([(MAIL, "ada@example.com"), (PHONE, "+492")]), same(&ada)),
        (told([(PHONE, "+491")]), same(&ada)),
        (told([(PHONE, "+492")]), Match::New),
        (told([(Field::FIRST_NAME, "Ada")]), Match::New),
        (told([]), Match::New),
    ] {
        assert_eq!(told_of(Kind::Contact, System::Ghl, &fields, std::slice::from_ref(&ada)), expected, "{fields:?}");
    }
}

#[test]
fn a_family_phone_with_another_email_is_another_person() {
    let mother = contact(1, told([(MAIL, "mother@example.com"), (PHONE, "+491")]));
    let child = told([(MAIL, "child@example.com"), (PHONE, "+491")]);
    assert_eq!(told_of(Kind::Contact, System::Ghl, &child, std::slice::from_ref(&mother)), Match::New);
    let father = contact(2, told([(MAIL, "father@example.com"), (PHONE, "+491")]));
    let nobody = told([(PHONE, "+491")]);
    let found = told_of(Kind::Contact, System::Ghl, &nobody, &[mother, father]);
    assert!(matches!(found, Match::Ambiguous(_)), "{found:?}");
}

#[test]
fn an_email_and_a_phone_of_different_contacts_are_for_a_person_to_tell_apart() {
    let ada = contact(1, told([(MAIL, "ada@example.com")]));
    let bob = contact(2, told([(PHONE, "+491")]));
    let both = told([(MAIL, "ada@example.com"), (PHONE, "+491")]);
    let Match::Ambiguous(reason) = told_of(Kind::Contact, System::Ghl, &both, &[ada.clone(), bob.clone()]) else {
        panic!("it was guessed");
    };
    assert!([&ada, &bob].iter().all(|whole| reason.contains(&whole.entity.id.to_string())), "{reason}");
    assert!(!reason.contains('@') && !reason.contains("+491"), "{reason}");
    // One of them is taken in that system already: still no reason to guess the other.
    let taken = linked(ada, System::Ghl, LinkState::Live);
    assert!(matches!(told_of(Kind::Contact, System::Ghl, &both, &[taken, bob]), Match::Ambiguous(_)));
}

#[rstest]
#[case::taken(LinkState::Live, false)]
#[case::retired(LinkState::Retired, true)]
#[case::gone(LinkState::Gone, true)]
fn a_contact_that_the_system_holds_under_another_id_is_no_match(#[case] state: LinkState, #[case] matches: bool) {
    let ada = linked(contact(1, told([(MAIL, "ada@example.com")])), System::Ghl, state);
    let fields = told([(MAIL, "ada@example.com")]);
    let found = told_of(Kind::Contact, System::Ghl, &fields, std::slice::from_ref(&ada));
    assert_eq!(found == same(&ada), matches, "{found:?}");
    assert_eq!(matches!(found, Match::Ambiguous(_)), !matches, "{found:?}");
    assert_eq!(told_of(Kind::Contact, System::Timify, &fields, std::slice::from_ref(&ada)), same(&ada));
}

#[test]
fn the_dead_and_the_merged_are_nobody() {
    let mut ada = contact(1, told([(MAIL, "ada@example.com")]));
    for life in [Life::Deleted(Stamp::NEVER), Life::Merged(EntityId(uuid::Uuid::from_u128(2)))] {
        ada.entity.life = life;
        let fields = told([(MAIL, "ada@example.com")]);
        assert_eq!(told_of(Kind::Contact, System::Ghl, &fields, std::slice::from_ref(&ada)), Match::New);
    }
}

#[test]
fn two_equal_tasks_of_one_system_are_two_and_find_their_counterparts_one_each() {
    let title = told([(Field::TITLE, "Call")]);
    let first = linked(whole(1, Kind::Task, title.clone()), System::Ghl, LinkState::Live);
    assert_eq!(told_of(Kind::Task, System::Ghl, &title, std::slice::from_ref(&first)), Match::New);
    let second = linked(whole(2, Kind::Task, title.clone()), System::Ghl, LinkState::Live);
    let pair = [first.clone(), second.clone()];
    assert_eq!(told_of(Kind::Task, System::Timerex, &title, &pair), same(&first));
    let met = [linked(first, System::Timerex, LinkState::Live), second.clone()];
    assert_eq!(told_of(Kind::Task, System::Timerex, &title, &met), same(&second));
}

#[rstest]
#[case::task_without_a_date(Kind::Task, told([(Field::TITLE, "Call")]), true)]
#[case::note(Kind::Note, told([(Field::BODY, "tea")]), true)]
#[case::another_note(Kind::Note, told([(Field::BODY, "coffee")]), false)]
#[case::booking(Kind::Appointment, told([(Field::START, "9"), (Field::CALENDAR, "first")]), true)]
#[case::booking_elsewhere(Kind::Appointment, told([(Field::START, "9"), (Field::CALENDAR, "second")]), false)]
#[case::booking_at_another_time(Kind::Appointment, told([(Field::START, "10"), (Field::CALENDAR, "first")]), false)]
#[case::task_on_another_day(Kind::Task, told([(Field::TITLE, "Call"), (Field::DUE, "2")]), false)]
#[case::task_on_that_day(Kind::Task, told([(Field::TITLE, "Call"), (Field::DUE, "1")]), true)]
#[case::another_task(Kind::Task, told([(Field::TITLE, "Write"), (Field::DUE, "1")]), false)]
fn tasks_notes_and_bookings_are_known_by_what_they_are(
    #[case] kind: Kind,
    #[case] fields: Fields,
    #[case] matches: bool,
) {
    let held = told([
        (Field::TITLE, "Call"),
        (Field::DUE, "1"),
        (Field::BODY, "tea"),
        (Field::START, "9"),
        (Field::CALENDAR, "first"),
    ]);
    assert_eq!(is_alike(kind, System::Ghl, &fields, &whole(1, kind, held)), matches);
}

#[test]
fn what_is_blank_on_both_sides_tells_nothing_and_what_is_blank_on_one_is_no_difference() {
    let blank = |field: Field| Fields::from([(field, Value::Blank)]);
    assert!(!is_alike(Kind::Contact, System::Ghl, &blank(MAIL), &contact(1, told([(PHONE, "+491")]))));
    assert!(!is_alike(Kind::Task, System::Ghl, &blank(Field::TITLE), &whole(1, Kind::Task, told([]))));
    let dated = told([(Field::TITLE, "Call"), (Field::DUE, "2")]);
    assert!(is_alike(Kind::Task, System::Ghl, &dated, &whole(1, Kind::Task, told([(Field::TITLE, "Call")]))));
}

#[test]
fn who_a_person_said_it_is_not_is_nobody() {
    let fields = told([(MAIL, "ada@example.com")]);
    let (ada, double) = (contact(1, fields.clone()), contact(2, fields.clone()));
    let pair = [ada.clone(), double.clone()];
    let apart = |whole: &Whole| BTreeSet::from([whole.entity.id]);
    assert!(matches!(told_of(Kind::Contact, System::Ghl, &fields, &pair), Match::Ambiguous(_)));
    assert_eq!(choose(Kind::Contact, System::Ghl, &fields, &pair, &apart(&ada)), same(&double));
    assert_eq!(choose(Kind::Contact, System::Ghl, &fields, &pair[..1], &apart(&ada)), Match::New);
}

#[test]
fn an_object_is_what_an_open_create_carried_whatever_was_edited_since() {
    let mut task = whole(1, Kind::Task, told([(Field::TITLE, "Call back")]));
    let (carried, since) = (told([(Field::TITLE, "Call")]), Millis(1));
    let found = |task: &Whole, system| told_of(Kind::Task, system, &carried, std::slice::from_ref(task));
    let open = Sent { fields: carried.clone(), stamps: [].into(), at: since, deletes: false, unclear: true };
    let mut mirror = Mirror::new("w", task.entity.id, System::Timify);
    mirror.intent = Some(Intent { id: uuid::Uuid::nil(), since, sent: Some(open), refused: None });
    assert_eq!(found(&task, System::Timify), Match::New);
    task.mirrors.push(mirror);
    assert!(!is_alike(Kind::Task, System::Timify, &told([(Field::TITLE, "Write")]), &task), "nor carried");
    assert_eq!((found(&task, System::Timify), found(&task, System::Timerex)), (same(&task), Match::New));
    // Found by simulation: a task was deleted while its create was open, and the webhook of what that made became a second one.
    let dead = Whole { entity: Entity { life: Life::Deleted(Stamp::NEVER), ..task.entity.clone() }, ..task.clone() };
    assert_eq!(found(&dead, System::Timify), Match::New);
    assert!(was_sent(Kind::Task, System::Timify, &carried, &dead), "it may be what we made all the same");
    if let Some(intent) = &mut task.mirrors[0].intent {
        intent.sent = None;
    }
    assert_eq!(found(&task, System::Timify), Match::New, "nothing was sent");
    assert!(!was_sent(Kind::Task, System::Timify, &carried, &task));
}
