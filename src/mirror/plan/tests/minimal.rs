//! No plan is longer than it must be: for each system as it really is, and for any table of calls.
//!
//! A field stands in one of a few ways between an entity and a snapshot; all ways of a kind's fields are gone through. Fields
//! that go by the same calls stand for each other, so few fields stand for all.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::ids::Ids;
use crate::model::{CANCELLED, CalendarRow, Projection, Sent};
use crate::resolve::decide::landed;
use crate::systems::extension::{Combined, ExtensionClient};
use crate::systems::ghl::{Ghl, GhlSettings};
use crate::systems::testing::caller;
use crate::systems::timerex::{Team, Timerex};
use crate::systems::timify::{Company, Timify};

const OLD: Stamp = Stamp { t: Millis(10), author: Author::Ghl };
/// On TIMIFY's grid.
const NINE: i64 = 1_700_000_100_000;

fn calendars() -> Vec<CalendarRow> {
    let row = |name: &str| CalendarRow {
        name: name.to_owned(),
        ghl: Some(format!("ghl-{name}")),
        timify_resource: Some(format!("timify-{name}")),
        ..CalendarRow::default()
    };
    vec![row("room"), row("hall")]
}

fn ghl_as_it_is() -> Ghl {
    let version = "2021-07-28".to_owned();
    let settings = GhlSettings {
        location: "L".to_owned(),
        contacts_version: version.clone(),
        calendars_version: "2021-04-15".to_owned(),
        locations_version: version.clone(),
        businesses_version: version,
        custom_fields: [("shoe".to_owned(), "f1".to_owned())].into(),
        notify: false,
    };
    Ghl::new(settings, calendars(), Some("DE".to_owned()), caller(System::Ghl, []).0)
}

fn extension(system: System) -> ExtensionClient {
    ExtensionClient::new(caller(system, []).0, None, Arc::new(Ids::seeded(1)))
}

fn timify(beside: bool) -> Combined<Timify> {
    let projection = Projection { notes: true, tags_field: Some("Tags".to_owned()), make_tags_field: true };
    let fields = [(Field::custom("shoe"), "f1".to_owned())].into();
    let company = Company { id: "k".to_owned(), calendars: calendars(), fields, projection, ..Company::default() };
    let native = Timify::new(caller(System::Timify, []).0, company);
    Combined::new(native, beside.then(|| extension(System::Timify)))
}

fn timerex(beside: bool, notify: bool) -> Combined<Timerex> {
    let (url_path, calendars, questions) = ("t".to_owned(), calendars(), Vec::new());
    let team = Team { url_path, calendars, region: None, questions, notify };
    let native = Timerex::new(caller(System::Timerex, []).0, team);
    Combined::new(native, beside.then(|| extension(System::Timerex)))
}

/// The systems as they are set up by their users.
fn systems() -> Vec<Box<dyn Terms>> {
    vec![
        Box::new(ghl_as_it_is()),
        Box::new(timify(false)),
        Box::new(timify(true)),
        Box::new(timerex(false, false)),
        Box::new(timerex(true, true)),
    ]
}

/// The fields that stand for all of a kind, each with values that it may take.
fn fields_of(kind: Kind) -> Vec<(Field, Vec<Value>)> {
    let texts = |all: &[&str]| all.iter().map(|one| text(one)).collect();
    let instants = |minutes: &[i64]| minutes.iter().map(|m| Value::Instant(Millis(NINE + m * 60_000))).collect();
    let tag = || vec![Value::Flag(true)];
    match kind {
        Kind::Contact => vec![
            (Field::FIRST_NAME, texts(&["Jo"])),
            (Field::BUSINESS, texts(&["b1"])),
            (Field::tag("vip"), tag()),
            (Field::tag("old"), tag()),
        ],
        Kind::Task => vec![
            (Field::TITLE, texts(&["Call", "Write"])),
            (Field::DUE, instants(&[0, 60])),
            (Field::COMPLETED, vec![Value::Flag(false), Value::Flag(true)]),
        ],
        Kind::Note => vec![(Field::BODY, texts(&["one", "two"]))],
        Kind::Appointment => vec![
            (Field::CALENDAR, texts(&["room"])),
            (Field::START, instants(&[0])),
            (Field::END, instants(&[30])),
            (Field::STATUS, texts(&["confirmed", CANCELLED, "showed"])),
        ],
    }
}

/// What is true of a field, and what a system is known to hold.
type Way = (Option<(Value, Stamp)>, Option<(Value, Stamp)>);

/// The ways in which a field of these values may stand: each to each, blank included, by an edit that the system was told or not.
fn ways(values: &[Value]) -> Vec<Way> {
    let all: Vec<Value> = [Value::Blank].into_iter().chain(values.iter().cloned()).collect();
    let mut ways: Vec<Way> = vec![(None, None)];
    for is in &all {
        ways.push((Some((is.clone(), LATER)), None));
        ways.extend(all.iter().map(|held| (Some((is.clone(), LATER)), Some((held.clone(), OLD)))));
    }
    let told = (values[0].clone(), LATER);
    ways.push((Some(told.clone()), Some(told.clone())));
    // What the system made of that edit.
    ways.push((Some(told), Some((Value::Blank, LATER))));
    ways
}

/// Each choice of one way a field.
fn product(fields: &[(Field, Vec<Way>)]) -> impl Iterator<Item = Vec<(Field, Way)>> + '_ {
    let total: usize = fields.iter().map(|(_, ways)| ways.len()).product();
    (0..total).map(|number| {
        let mut left = number;
        let pick = |(field, ways): &(Field, Vec<Way>)| {
            let way = ways[left % ways.len()].clone();
            left /= ways.len();
            (field.clone(), way)
        };
        fields.iter().map(pick).collect()
    })
}

fn stand(system: System, kind: Kind, fields: &[(Field, Way)]) -> (Entity, Link) {
    let mut entity = Entity::new(EntityId(uuid::Uuid::nil()), "w", kind, Millis(0));
    let mut link = Link::new("w", entity.id, system, kind, ExternalId::new("1"));
    for (field, (is, held)) in fields {
        if let Some((value, stamp)) = is {
            entity.set(field.clone(), value.clone(), *stamp);
        }
        if let Some((value, stamp)) = held {
            link.snapshot.insert(field.clone(), Known { value: value.clone(), stamp: *stamp, ..Known::default() });
        }
    }
    (entity, link)
}

/// What a system holds once these steps are made. `None`: the object is not there.
fn after(entity: &Entity, system: System, link: Option<&Link>, steps: &[&Step]) -> Option<Link> {
    let fresh = || Link::new("w", entity.id, system, entity.kind, ExternalId::new("1"));
    let mut link = link.cloned();
    for step in steps {
        if step.action == Action::Delete {
            link = None;
            continue;
        }
        let (fields, stamps) = (step.fields.clone(), step.stamps.clone());
        let sent = Sent { fields, stamps, at: Millis(30), deletes: false, unclear: false };
        landed(link.get_or_insert_with(fresh), &sent, None, sent.at);
    }
    link
}

/// The calls that are left to be made.
fn calls(entity: &Entity, link: Option<&Link>, terms: &dyn Terms) -> Vec<Step> {
    match plan(entity, link, None, terms) {
        Plan::Create(step) => vec![step],
        Plan::Steps(steps) => steps,
        Plan::Settled { .. } | Plan::Blocked(_) => Vec::new(),
    }
}

fn moved(link: &Link, moves: Vec<(Field, Stamp)>) -> Link {
    let mut link = link.clone();
    for (field, stamp) in moves {
        link.snapshot.entry(field).or_default().stamp = stamp;
    }
    link
}

/// Nothing is left once all steps are made, and no stamp either once they have moved.
fn settles(entity: &Entity, link: Option<&Link>, terms: &dyn Terms) {
    match (plan(entity, link, None, terms), link) {
        (Plan::Settled { moves, .. }, None) => assert_eq!(moves, []),
        (Plan::Settled { moves, stuck }, Some(link)) => {
            let unable = |field: &Field| terms.carriers(entity.kind, field, entity.value(field), false).is_empty();
            assert!(stuck.iter().all(unable), "{stuck:?}");
            let next = plan(entity, Some(&moved(link, moves)), None, terms);
            assert_eq!(next, Plan::Settled { moves: Vec::new(), stuck });
        }
        (left, _) => panic!("{entity:?} {link:?}: {left:?}"),
    }
}

/// The fewest calls that can carry these fields: all ways to share them out are tried.
fn fewest_by_trying(fields: &Fields, carriers: impl Fn(&Field, &Value) -> &'static [Action]) -> usize {
    let choices: Vec<&[Action]> = fields.iter().map(|(field, value)| carriers(field, value)).collect();
    let choices: Vec<&[Action]> = choices.into_iter().filter(|several| !several.is_empty()).collect();
    let total: usize = choices.iter().map(|several| several.len()).product();
    let share = |number: usize| {
        let mut left = number;
        let pick = |several: &&[Action]| {
            let action = several[left % several.len()];
            left /= several.len();
            action
        };
        choices.iter().map(pick).collect::<BTreeSet<Action>>().len()
    };
    (0..total).map(share).min().unwrap_or(0)
}

/// All that a plan owes: each call only what differs and what it can carry; no call that another could have taken along; no
/// part of the calls does, and all of them do.
fn is_minimal(entity: &Entity, link: Option<&Link>, terms: &dyn Terms) -> usize {
    let (steps, system) = (calls(entity, link, terms), terms.system());
    for step in steps.iter().filter(|step| step.action != Action::Delete) {
        let making = step.action == Action::Create;
        assert!(!step.fields.is_empty() || making, "{step:?}");
        for (field, value) in &step.fields {
            let held = link.map_or(&Value::Blank, |link| &link.known(field).value);
            assert_ne!(value, held, "{field} is there already");
            assert!(terms.carriers(entity.kind, field, value, making).contains(&step.action), "{step:?}");
            assert_eq!(step.whole.get(field), Some(value), "{step:?}");
        }
    }
    if !steps.iter().any(|step| [Action::Create, Action::Delete].contains(&step.action)) {
        let fields: Fields = steps.iter().flat_map(|step| step.fields.clone()).collect();
        let fewest = fewest_by_trying(&fields, |field, value| terms.carriers(entity.kind, field, value, false));
        assert_eq!(
            (fields.len(), steps.len()),
            (steps.iter().map(|step| step.fields.len()).sum(), fewest),
            "{steps:?}"
        );
    }
    let all = (1_u32 << steps.len()) - 1;
    for part in 0..all {
        let (made, left): (Vec<_>, Vec<_>) = steps.iter().enumerate().partition(|(at, _)| part & (1 << at) != 0);
        let made: Vec<&Step> = made.into_iter().map(|(_, step)| step).collect();
        let said = |step: &Step| (step.action, step.fields.clone());
        let left: Vec<_> = left.into_iter().map(|(_, step)| said(step)).collect();
        let next: Vec<_> = calls(entity, after(entity, system, link, &made).as_ref(), terms).iter().map(said).collect();
        assert_eq!(next, left, "after {made:?}");
    }
    steps.len()
}

/// Follows the plans until nothing is left; gives the number of calls.
fn follow(entity: &Entity, link: Option<&Link>, terms: &dyn Terms) -> usize {
    let (mut link, mut made) = (link.cloned(), 0);
    for round in 0..3 {
        made += is_minimal(entity, link.as_ref(), terms);
        let steps = calls(entity, link.as_ref(), terms);
        if steps.is_empty() {
            break;
        }
        assert!(round < 1 || steps.iter().all(|step| step.action != Action::Create), "{steps:?}");
        link = after(entity, terms.system(), link.as_ref(), &steps.iter().collect::<Vec<_>>());
    }
    if !matches!(plan(entity, link.as_ref(), None, terms), Plan::Blocked(_)) {
        settles(entity, link.as_ref(), terms);
    }
    made
}

#[rstest]
#[case::contact(Kind::Contact, 4)]
#[case::task(Kind::Task, 1)]
#[case::note(Kind::Note, 1)]
#[case::appointment(Kind::Appointment, 1)]
fn no_part_of_a_plan_reaches_what_the_plan_does(#[case] kind: Kind, #[case] longest: usize) {
    let fields: Vec<_> = fields_of(kind).into_iter().map(|(field, values)| (field, ways(&values))).collect();
    let mut calls = BTreeMap::<usize, usize>::new();
    for terms in systems().iter().filter(|terms| terms.home(kind).holds()) {
        let mut changes = 0;
        for one in product(&fields) {
            let (entity, link) = stand(terms.system(), kind, &one);
            let made = follow(&entity, Some(&link), terms.as_ref());
            *calls.entry(made).or_default() += 1;
            changes += usize::from(made > 0);
            if one.iter().all(|(_, (_, held))| held.is_none()) {
                let made = follow(&entity, None, terms.as_ref());
                *calls.entry(made).or_default() += 1;
            }
            let mut gone = entity;
            gone.life = Life::Deleted(LATER);
            assert_eq!(follow(&gone, Some(&link), terms.as_ref()), 1, "one deletion");
        }
        assert!(changes > 0 || terms.changes(kind).is_err(), "{}: something is to be done", terms.system());
    }
    assert_eq!(calls.keys().max(), Some(&longest), "{calls:?}");
}

/// All ordered choices of up to three calls, none first.
static CHOICES: LazyLock<Vec<Vec<Action>>> = LazyLock::new(|| {
    let some = [Action::Update, Action::Complete, Action::SetBusiness];
    let mut all = vec![Vec::new()];
    let mut longer: Vec<Vec<Action>> = all.clone();
    for _ in 0..some.len() {
        let append = |list: &Vec<Action>| {
            let list = list.clone();
            some.into_iter()
                .filter(|one| !list.contains(one))
                .map(|one| [&list[..], &[one]].concat())
                .collect::<Vec<_>>()
        };
        longer = longer.iter().flat_map(append).collect();
        all.extend(longer.clone());
    }
    all
});

/// The calls of a field whose value is the number of a choice.
fn by_number(_: &Field, value: &Value) -> &'static [Action] {
    let number = value.as_text().and_then(|text| text.parse::<usize>().ok());
    number.map_or(&[], |number| &CHOICES[number])
}

#[test]
fn whatever_calls_there_are_no_two_are_made_where_one_could_carry_both() {
    let terms = Sample { carriers: by_number, ..Sample::plain(System::Ghl) };
    assert_eq!(CHOICES.len(), 16);
    let fields = ["a", "b", "c", "d"].map(Field::custom);
    for number in 0..CHOICES.len().pow(4) {
        let choice = |at: usize| number / CHOICES.len().pow(u32::try_from(at).unwrap()) % CHOICES.len();
        let writes: Fields =
            fields.iter().enumerate().map(|(at, field)| (field.clone(), text(&choice(at).to_string()))).collect();
        let (calls, stuck) = carry(Kind::Contact, &writes, &terms);
        assert_eq!(calls.len(), fewest_by_trying(&writes, by_number), "{writes:?}: {calls:?}");
        assert!(calls.values().all(|fields| !fields.is_empty()));
        let carried: usize = calls.values().map(Fields::len).sum();
        assert_eq!(carried + stuck.len(), writes.len());
        for (action, field, value) in calls.iter().flat_map(|(a, fields)| fields.iter().map(move |(f, v)| (a, f, v))) {
            assert!(by_number(field, value).contains(action));
        }
        assert!(stuck.iter().all(|field| by_number(field, &writes[field]).is_empty()));
    }
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    (0_i64..40, 0..Author::ALL.len()).prop_map(|(t, at)| Stamp::new(Millis(t), Author::ALL[at]))
}

/// Any of a field's values, with any stamp, or nothing.
fn any_value(values: Vec<Value>) -> impl Strategy<Value = Option<(Value, Stamp)>> {
    let all: Vec<Value> = [Value::Blank].into_iter().chain(values).collect();
    prop::option::of((prop::sample::select(all), any_stamp()))
}

/// Any entity and what a system holds of it; all fields of the kind, phone numbers included.
fn any_stand() -> impl Strategy<Value = (Kind, Vec<(Field, Way)>)> {
    prop::sample::select(Kind::ALL).prop_flat_map(|kind| {
        let more = [
            (Field::PHONE, "+491512345678", "1512345678"),
            (Field::custom("shoe"), "41", "42"),
            (Field::TITLE, "One", "Two"),
            (Field::BODY, "one", "two"),
        ];
        let mut fields: BTreeMap<Field, Vec<Value>> = fields_of(kind).into_iter().collect();
        for (field, one, other) in more {
            fields.entry(field).or_default().extend([text(one), text(other)]);
        }
        let ways: Vec<_> = fields
            .into_iter()
            .map(|(field, values)| (Just(field), (any_value(values.clone()), any_value(values))))
            .collect();
        (Just(kind), ways)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn after_its_plan_nothing_is_owed_to_a_system((kind, fields) in any_stand(), linked in any::<bool>()) {
        for terms in systems().iter().filter(|terms| terms.home(kind).holds()) {
            let (entity, link) = stand(terms.system(), kind, &fields);
            follow(&entity, linked.then_some(&link), terms.as_ref());
        }
    }

    /// In which order edits came, what was held before, when it was read: none of it is asked.
    #[test]
    fn a_plan_rests_on_values_and_stamps_alone(
        (kind, fields) in any_stand(), shuffled in any::<u64>(), seen in any::<i64>(), wrote in any::<bool>(),
    ) {
        let mut other = fields.clone();
        fastrand::Rng::with_seed(shuffled).shuffle(&mut other);
        for terms in systems() {
            let (entity, link) = stand(terms.system(), kind, &fields);
            let (same, mut later) = stand(terms.system(), kind, &other);
            for known in later.snapshot.values_mut() {
                (known.held, known.wrote) = (vec![text("before")], wrote);
            }
            (later.seen, later.version, later.rev) = (Millis(seen), Some(Millis(seen)), 7);
            later.ledger.push(Sent {
                fields: Fields::new(), stamps: BTreeMap::new(), at: Millis(1), deletes: false, unclear: true,
            });
            let plans = [(&entity, &link), (&same, &later)].map(|(e, l)| plan(e, Some(l), None, terms.as_ref()));
            prop_assert_eq!(&plans[0], &plans[1]);
        }
    }
}
