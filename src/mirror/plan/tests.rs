//! Plans, one by one.

use super::*;
use crate::clock::Millis;
use crate::model::{Author, EntityId, Known, Life, System};
use crate::resolve::sample::Sample;

mod minimal;

const LATER: Stamp = Stamp { t: Millis(20), author: Author::Timify };

fn text(value: &str) -> Value {
    Value::text(value)
}

/// A task system like GHL's: a completion has a call of its own, tags have two, a status has none.
fn ghl() -> Sample {
    let carriers = |field: &Field, value: &Value| -> &'static [Action] {
        match field.as_tag() {
            _ if *field == Field::COMPLETED => &[Action::Complete, Action::Update],
            _ if *field == Field::STATUS => &[],
            Some(_) if value.is_set() => &[Action::AddTags],
            Some(_) => &[Action::RemoveTags],
            None => &[Action::Update],
        }
    };
    let express = |field: &Field, value: &Value| match value {
        _ if *field == Field::CITY => Expressed::Absent,
        Value::Text(odd) if odd == "odd" => Expressed::Refused("odd is not even".to_owned()),
        value => Expressed::Holds(value.clone()),
    };
    Sample { express, carriers, ..Sample::plain(System::Ghl) }
}

fn entity<const N: usize>(fields: [(Field, Value); N]) -> Entity {
    let mut entity = Entity::new(EntityId(uuid::Uuid::nil()), "w", Kind::Task, Millis(0));
    for (field, value) in fields {
        entity.set(field, value, LATER);
    }
    entity
}

/// A link whose snapshot holds these, all older than the entity's.
fn link<const N: usize>(fields: [(Field, Value); N]) -> Link {
    let mut link = Link::new("w", EntityId(uuid::Uuid::nil()), System::Ghl, Kind::Task, ExternalId::new("1"));
    let stamp = Stamp::new(Millis(10), Author::Ghl);
    link.snapshot = fields.map(|(field, value)| (field, Known { value, stamp, ..Known::default() })).into();
    link
}

fn steps(entity: &Entity, link: &Link) -> Vec<(Action, Fields)> {
    match plan(entity, Some(link), None, &ghl()) {
        Plan::Steps(steps) => steps.into_iter().map(|step| (step.action, step.fields)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_completion_alone_has_its_own_call_and_rides_along_with_an_update() {
    let (done, title) = ((Field::COMPLETED, Value::Flag(true)), (Field::TITLE, text("Call")));
    let nothing = link([]);
    let alone = steps(&entity([done.clone()]), &nothing);
    assert_eq!(alone, [(Action::Complete, Fields::from([done.clone()]))]);
    let both = steps(&entity([done.clone(), title.clone()]), &nothing);
    assert_eq!(both, [(Action::Update, Fields::from([done, title]))]);
}

#[test]
fn each_call_carries_what_it_can_and_only_what_differs() {
    let (vip, old, title) = (Field::tag("vip"), Field::tag("old"), Field::TITLE);
    let entity = entity([
        (vip.clone(), Value::Flag(true)),
        (old.clone(), Value::Blank),
        (title.clone(), text("Call")),
        (Field::BODY, text("same")),
        (Field::CITY, text("no such field there")),
    ]);
    let link = link([(old.clone(), Value::Flag(true)), (title.clone(), text("Write")), (Field::BODY, text("same"))]);
    let expected = [
        (Action::Update, Fields::from([(title, text("Call"))])),
        (Action::AddTags, Fields::from([(vip, Value::Flag(true))])),
        (Action::RemoveTags, Fields::from([(old, Value::Blank)])),
    ];
    assert_eq!(steps(&entity, &link), expected);
}

#[test]
fn a_step_knows_its_object_its_contact_its_stamps_and_the_whole() {
    let entity = entity([(Field::TITLE, text("Call"))]);
    let link = link([(Field::BODY, text("kept")), (Field::TITLE, text("Write"))]);
    let parent = ExternalId::new("contact");
    let Plan::Steps(steps) = plan(&entity, Some(&link), Some(&parent), &ghl()) else { panic!("no steps") };
    assert_eq!((&steps[0].id, &steps[0].parent), (&Some(link.id.clone()), &Some(parent)));
    assert_eq!(steps[0].stamps, BTreeMap::from([(Field::TITLE, LATER)]));
    assert_eq!(steps[0].whole, Fields::from([(Field::BODY, text("kept")), (Field::TITLE, text("Call"))]));
}

#[test]
fn equal_values_move_their_stamp_without_a_call() {
    let moves = vec![(Field::TITLE, LATER)];
    let settled =
        plan(&entity([(Field::TITLE, text("Call"))]), Some(&link([(Field::TITLE, text("Call"))])), None, &ghl());
    assert_eq!(settled, Plan::Settled { moves, stuck: Vec::new() });
}

#[test]
fn what_the_system_made_of_the_same_edit_stands_alone_and_in_the_whole() {
    let entity = entity([(Field::TITLE, text("Call")), (Field::BODY, text("new"))]);
    let mut link = link([(Field::TITLE, text("CALL")), (Field::BODY, text("old"))]);
    link.snapshot.get_mut(&Field::TITLE).unwrap().stamp = LATER;
    let Plan::Steps(steps) = plan(&entity, Some(&link), None, &ghl()) else { panic!("no steps") };
    assert_eq!(steps[0].fields, Fields::from([(Field::BODY, text("new"))]));
    assert_eq!(steps[0].whole[&Field::TITLE], text("CALL"));
}

#[test]
fn a_held_field_is_not_written_and_its_stamp_moves_once_it_says_what_is_true() {
    let mut link = link([(Field::TITLE, text("Write"))]);
    link.snapshot.get_mut(&Field::TITLE).unwrap().hold = Some(LATER);
    let planned = |title: &str| plan(&entity([(Field::TITLE, text(title))]), Some(&link), None, &ghl());
    assert_eq!(planned("Call"), Plan::Settled { moves: Vec::new(), stuck: Vec::new() });
    assert_eq!(planned("Write"), Plan::Settled { moves: vec![(Field::TITLE, LATER)], stuck: Vec::new() });
}

#[test]
fn a_field_that_no_call_can_carry_is_stuck_and_holds_nothing_else_back() {
    let link = link([]);
    let stuck = entity([(Field::STATUS, text("done"))]);
    let expected = Plan::Settled { moves: Vec::new(), stuck: vec![Field::STATUS] };
    assert_eq!(plan(&stuck, Some(&link), None, &ghl()), expected);
    let both = entity([(Field::STATUS, text("done")), (Field::TITLE, text("Call"))]);
    assert_eq!(steps(&both, &link), [(Action::Update, Fields::from([(Field::TITLE, text("Call"))]))]);
}

#[test]
fn a_create_carries_what_is_set_and_what_the_system_has() {
    let title = (Field::TITLE, text("Call"));
    let entity = entity([title.clone(), (Field::BODY, Value::Blank), (Field::CITY, text("no such field there"))]);
    let parent = ExternalId::new("contact");
    let Plan::Create(step) = plan(&entity, None, Some(&parent), &ghl()) else { panic!("no create") };
    assert_eq!((step.action, step.id, step.parent), (Action::Create, None, Some(parent)));
    assert_eq!(step.fields, Fields::from([title]));
}

#[test]
fn a_create_that_the_system_cannot_make_is_blocked_with_the_reason() {
    let fine = entity([(Field::TITLE, text("Call"))]);
    let never = Sample { creates: Err("only guests book"), ..ghl() };
    assert_eq!(plan(&fine, None, None, &never), Plan::Blocked("only guests book".to_owned()));
    let odd = entity([(Field::TITLE, text("odd"))]);
    assert_eq!(plan(&odd, None, None, &ghl()), Plan::Blocked("odd is not even".to_owned()));
}

#[test]
fn an_update_to_a_value_that_the_system_cannot_hold_is_blocked_until_the_value_is_another() {
    let link = link([(Field::TITLE, text("Call"))]);
    let odd = entity([(Field::TITLE, text("odd")), (Field::BODY, text("fine"))]);
    assert_eq!(plan(&odd, Some(&link), None, &ghl()), Plan::Blocked("odd is not even".to_owned()));
    let mut told = link;
    told.snapshot.get_mut(&Field::TITLE).unwrap().stamp = LATER;
    assert_eq!(steps(&odd, &told), [(Action::Update, Fields::from([(Field::BODY, text("fine"))]))]);
    let Plan::Steps(steps) = plan(&odd, Some(&told), None, &ghl()) else { panic!("no steps") };
    assert_eq!(steps[0].whole, Fields::from([(Field::TITLE, text("Call")), (Field::BODY, text("fine"))]));
}

#[test]
fn what_a_system_would_refuse_and_lacks_already_does_not_hide_the_rest_from_a_step() {
    let express = |field: &Field, value: &Value| match value {
        Value::Blank if *field == Field::STATUS => Expressed::Refused("it needs one".to_owned()),
        Value::Blank if *field == Field::COMPLETED => Expressed::Holds(Value::Flag(false)),
        value => Expressed::Holds(value.clone()),
    };
    let terms = Sample { express, ..ghl() };
    let blank = [(Field::STATUS, Value::Blank), (Field::COMPLETED, Value::Blank)];
    let mut entity = entity(blank);
    entity.set(Field::TITLE, text("Call"), LATER);
    let Plan::Steps(steps) = plan(&entity, Some(&link([(Field::BODY, text("kept"))])), None, &terms) else {
        panic!("no steps")
    };
    let set = [(Field::TITLE, text("Call")), (Field::COMPLETED, Value::Flag(false))];
    assert_eq!(steps[0].fields, Fields::from(set.clone()));
    assert_eq!(steps[0].whole, set.into_iter().chain([(Field::BODY, text("kept"))]).collect());
}

#[test]
fn what_the_system_should_not_hold_is_deleted_there_and_never_made() {
    let unwanted = Sample { wants: |_| false, ..ghl() };
    let mut entity = entity([(Field::TITLE, text("Call"))]);
    let link = link([]);
    let nothing = Plan::Settled { moves: Vec::new(), stuck: Vec::new() };
    let delete =
        |plan: &Plan| matches!(plan, Plan::Steps(steps) if steps.len() == 1 && steps[0].action == Action::Delete);
    assert!(delete(&plan(&entity, Some(&link), None, &unwanted)));
    assert_eq!(plan(&entity, None, None, &unwanted), nothing);
    entity.life = Life::Deleted(LATER);
    assert!(delete(&plan(&entity, Some(&link), None, &ghl())));
    assert_eq!(plan(&entity, None, None, &ghl()), nothing);
}
