//! Corrections, one by one: what becomes of the fields, and then of the entity.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::clock::ManualClock;
use crate::ids::Ids;
use crate::model::{
    ConflictId, CreateRule, EntityId, ExternalId, FieldRule, Kind, Known, Life, Link, NewChange, Whole,
};
use crate::resolve::sample::site;
use crate::store::memory::Memory;
use crate::store::{Cached, ChangeLog, Entities, Leases, Reports, Review, Settling};

fn stamp(t: i64, author: Author) -> Stamp {
    Stamp::new(Millis(t), author)
}

fn entity() -> Entity {
    let mut entity = Entity::new(EntityId(Uuid::from_u128(1)), "main", Kind::Contact, Millis(0));
    entity.set(Field::CITY, Value::text("Osaka"), stamp(100_000, Author::Ghl));
    entity
}

/// What becomes of a city that an operator sets at this time, having seen the value with this stamp.
fn city(to: &str, t: i64, saw: Option<Stamp>) -> (Entity, BTreeMap<Field, Finding>, usize) {
    city_under(FieldRule::Newest, to, t, saw)
}

fn city_under(rule: FieldRule, to: &str, t: i64, saw: Option<Stamp>) -> (Entity, BTreeMap<Field, Finding>, usize) {
    let mut entity = entity();
    let mut policy = Policy::default();
    policy.rules.set(Kind::Contact, "city", rule);
    let correction = Correction {
        kind: Kind::Contact,
        entity: entity.id,
        parent: None,
        fields: [(Field::CITY, Value::text(to))].into(),
        saw: saw.map(|saw| (Field::CITY, saw)).into_iter().collect(),
        restores: BTreeMap::new(),
    };
    let made = Made { t: Millis(t), author: Author::Operator, of: System::Ghl };
    let (findings, conflicts) = apply(&mut entity, &correction, &made, &policy);
    (entity, findings, conflicts.len())
}

#[test]
fn it_is_later_than_what_its_author_saw_even_by_a_clock_that_is_ahead() {
    let (entity, findings, lost) = city("Kobe", 90_000, Some(stamp(100_000, Author::Ghl)));
    assert_eq!((entity.value(&Field::CITY), lost), (&Value::text("Kobe"), 0));
    assert_eq!(findings, [(Field::CITY, Finding::Taken)].into());
    assert_eq!(entity.stamp(&Field::CITY).author, Author::Operator);
}

#[test]
fn an_edit_that_came_after_what_its_author_saw_wins_and_it_is_kept() {
    let (entity, findings, lost) = city("Kobe", 90_000, Some(stamp(50_000, Author::Ghl)));
    assert_eq!((entity.value(&Field::CITY), lost), (&Value::text("Osaka"), 1));
    assert_eq!(summed(&findings).0, Outcome::Conflict);
    assert_eq!(city("Kobe", 120_000, None).0.value(&Field::CITY), &Value::text("Kobe"));
}

#[test]
fn said_again_it_changes_nothing() {
    let (again, findings, lost) = city("Osaka", 90_000, None);
    assert_eq!((again, findings.len(), lost), (entity(), 0, 0));
}
#[test]
fn who_says_the_same_later_makes_it_later_and_once_is_enough() {
    let (mut entity, findings, lost) = city("Osaka", 120_000, None);
    assert_eq!((findings, lost), ([(Field::CITY, Finding::Agreed)].into(), 0));
    assert_eq!(entity.stamp(&Field::CITY), stamp(120_000, Author::Operator));
    let made = Made { t: Millis(120_000), author: Author::Operator, of: System::Ghl };
    let again = Correction { saw: BTreeMap::new(), ..lives(entity.id, "Osaka") };
    let (findings, conflicts) = apply(&mut entity, &again, &made, &Policy::default());
    assert_eq!((findings.len(), conflicts.len()), (0, 0));
}

#[test]
fn under_every_rule_an_operator_who_saw_what_is_true_replaces_it() {
    for rule in FieldRule::ALL {
        let saw = Some(stamp(100_000, Author::Ghl));
        assert_eq!(city_under(*rule, "Kobe", 90_000, saw).0.value(&Field::CITY), &Value::text("Kobe"), "{rule}");
        assert_eq!(city_under(*rule, "", 90_000, saw).0.value(&Field::CITY), &Value::Blank, "{rule}");
    }
}

#[test]
fn one_who_did_not_see_it_is_judged_by_the_fields_rule() {
    let unseen = |rule| {
        let (entity, findings, lost) = city_under(rule, "Kobe", 90_000, None);
        (entity.value(&Field::CITY).clone(), findings[&Field::CITY], lost)
    };
    assert_eq!(unseen(FieldRule::PreferGhl), (Value::text("Osaka"), Finding::Lost, 1));
    assert_eq!(unseen(FieldRule::PreferTimify), (Value::text("Kobe"), Finding::Taken, 0));
    assert_eq!(unseen(FieldRule::Union), (Value::text("Kobe, Osaka"), Finding::United, 0));
    assert_eq!(unseen(FieldRule::Append), (Value::text("Kobe\nOsaka"), Finding::United, 0));
    assert_eq!(unseen(FieldRule::Hold), (Value::text("Osaka"), Finding::Lost, 1));
}

#[test]
fn what_a_restored_value_takes_the_place_of_is_kept_in_turn() {
    let mut entity = entity();
    let id = entity.id;
    let restores = |value: &str, saw: Stamp, number: i64| Correction {
        kind: Kind::Contact,
        entity: id,
        parent: None,
        fields: [(Field::CITY, Value::text(value))].into(),
        saw: [(Field::CITY, saw)].into(),
        restores: [(Field::CITY, ConflictId(number))].into(),
    };
    let made = Made { t: Millis(90_000), author: Author::Operator, of: System::Ghl };
    let order = Policy::default();
    let first = restores("Kobe", stamp(100_000, Author::Ghl), 7);
    let (findings, kept) = apply(&mut entity, &first, &made, &order);
    assert_eq!((kept[0].rule.as_str(), &kept[0].lost), (RESTORED, &Value::text("Osaka")));
    assert_eq!(restored(&first, &findings)[0].id, ConflictId(7));
    let back = restores("Osaka", entity.stamp(&Field::CITY), 8);
    let (_, kept) = apply(&mut entity, &back, &made, &order);
    assert_eq!((entity.value(&Field::CITY), &kept[0].lost), (&Value::text("Osaka"), &Value::text("Kobe")));
    // What was overtaken between the order and its decision stays what it is, and open.
    let late = restores("Nara", stamp(5, Author::Ghl), 9);
    let (findings, kept) = apply(&mut entity, &late, &made, &order);
    assert_eq!((findings[&Field::CITY], kept.len(), restored(&late, &findings).len()), (Finding::Lost, 0, 0));
}

const NOW: Millis = Millis(120_000);

/// A resolver over a store of its own, and what it is told.
struct Desk {
    store: Arc<Memory>,
    cached: Arc<Cached>,
    resolver: Resolver,
    site: Site,
    lease: Lease,
}

impl Desk {
    async fn open() -> Self {
        let store = Arc::new(Memory::new());
        let leases = store.lease(&["v".to_owned(), "w".to_owned()], "us", NOW, Millis(i64::MAX)).await.unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let cached = Arc::new(Cached::new(store.clone(), clock.clone()));
        let resolver = Resolver::new(store.clone(), cached.clone(), clock, Arc::new(Ids::seeded(1)));
        Self { store, cached, resolver, site: site(), lease: leases[1].clone() }
    }

    /// Keeps an entity of `w`; gives its id.
    async fn keep(&self, number: u128, entity: Entity, links: Vec<Link>) -> EntityId {
        let id = EntityId(Uuid::from_u128(number));
        let mut settlement = Settlement::new(self.lease.clone(), NOW);
        settlement.entities.push(Entity { id, workspace: "w".to_owned(), ..entity });
        settlement.links = links;
        assert_eq!(self.cached.settle(&settlement).await.unwrap(), Settled::Done);
        id
    }

    /// How a change ends that an operator makes of this body.
    async fn told(&self, body: &impl serde::Serialize) -> Option<Outcome> {
        let before = self.store.outcomes("w").await.unwrap();
        let dedup = format!("operator/{}", before.values().sum::<u64>());
        let said = NewChange::from_operator("correct", dedup, "w", System::Ghl, Kind::Contact, body, NOW).unwrap();
        self.store.append(&[said]).await.unwrap();
        assert_eq!(self.resolver.step(&self.site, &self.lease, None).await.unwrap(), Some(1));
        let after = self.store.outcomes("w").await.unwrap();
        after.into_iter().find(|(outcome, count)| before.get(outcome) != Some(count)).map(|(outcome, _)| outcome)
    }

    async fn whole(&self, id: EntityId) -> Option<Whole> {
        self.store.whole(id).await.unwrap()
    }
}

/// An operator who saw what is true says where a contact lives.
fn lives(entity: EntityId, city: &str) -> Correction {
    Correction {
        kind: Kind::Contact,
        entity,
        parent: None,
        fields: [(Field::CITY, Value::text(city))].into(),
        saw: [(Field::CITY, stamp(100_000, Author::Ghl))].into(),
        restores: BTreeMap::new(),
    }
}

#[tokio::test]
async fn what_is_corrected_is_true_and_told_to_the_systems() {
    let desk = Desk::open().await;
    let id = desk.keep(1, entity(), vec![]).await;
    assert_eq!(desk.told(&lives(id, "Kobe")).await, Some(Outcome::Applied));
    let whole = desk.whole(id).await.unwrap();
    assert_eq!(whole.entity.value(&Field::CITY), &Value::text("Kobe"));
    assert_eq!(whole.mirrors.iter().map(|mirror| mirror.system).collect::<Vec<_>>(), [System::Ghl]);
}

#[tokio::test]
async fn a_contact_without_an_appointment_is_not_made_where_only_booked_ones_are() {
    let mut desk = Desk::open().await;
    desk.site.workspace.policy.create.insert(System::Ghl, CreateRule::Booked);
    let id = desk.keep(1, entity(), vec![]).await;
    desk.told(&lives(id, "Kobe")).await;
    assert_eq!(desk.whole(id).await.unwrap().mirrors, []);
    let booking = Entity { kind: Kind::Appointment, parent: Some(id), ..entity() };
    desk.keep(2, booking, vec![]).await;
    desk.told(&Correction { saw: BTreeMap::new(), ..lives(id, "Nara") }).await;
    assert_eq!(desk.whole(id).await.unwrap().mirrors.len(), 1);
}

#[tokio::test]
async fn what_is_not_there_yet_is_made_if_its_contact_is() {
    let desk = Desk::open().await;
    let id = EntityId(Uuid::from_u128(2));
    let note = |parent| Correction {
        kind: Kind::Note,
        parent: Some(parent),
        fields: [(Field::BODY, Value::text("tea"))].into(),
        ..lives(id, "")
    };
    let nobody = EntityId(Uuid::from_u128(9));
    assert_eq!(desk.told(&note(nobody)).await, Some(Outcome::Superseded));
    assert_eq!(desk.whole(id).await, None);
    let contact = desk.keep(1, entity(), vec![]).await;
    assert_eq!(desk.told(&note(contact)).await, Some(Outcome::Applied));
    let made = desk.whole(id).await.unwrap().entity;
    assert_eq!((made.kind, made.parent, made.value(&Field::BODY)), (Kind::Note, Some(contact), &Value::text("tea")));
}

#[tokio::test]
async fn nothing_of_another_workspace_or_kind_and_nothing_deleted_is_corrected() {
    let desk = Desk::open().await;
    let gone = Entity { life: Life::Deleted(stamp(110_000, Author::Ghl)), ..entity() };
    let (task, gone) = (Entity { kind: Kind::Task, ..entity() }, desk.keep(1, gone, vec![]).await);
    let task = desk.keep(2, task, vec![]).await;
    let mut elsewhere = Settlement::new(Lease { workspace: "v".to_owned(), ..desk.lease.clone() }, NOW);
    elsewhere.entities.push(Entity { id: EntityId(Uuid::from_u128(3)), workspace: "v".to_owned(), ..entity() });
    assert_eq!(desk.cached.settle(&elsewhere).await.unwrap(), Settled::Done);
    let expected =
        [(gone, Outcome::Superseded), (task, Outcome::Unparsed), (elsewhere.entities[0].id, Outcome::Unparsed)];
    for (id, outcome) in expected {
        assert_eq!(desk.told(&lives(id, "Kobe")).await, Some(outcome));
        assert_eq!(desk.whole(id).await.unwrap().entity.value(&Field::CITY), &Value::text("Osaka"));
    }
    assert_eq!(desk.told(&"Kobe, please").await, Some(Outcome::Unparsed));
}

#[tokio::test]
async fn who_comes_too_late_leaves_a_held_field_to_be_asked_about_and_who_saw_it_decides() {
    let desk = Desk::open().await;
    let rival = stamp(500_000, Author::Ghl);
    let (mut held, mut link) =
        (entity(), Link::new("w", entity().id, System::Ghl, Kind::Contact, ExternalId::new("g")));
    held.set(Field::CITY, Value::text("Osaka"), rival);
    link.snapshot.insert(Field::CITY, Known { value: Value::text("Nara"), hold: Some(rival), ..Known::default() });
    let id = desk.keep(1, held, vec![link]).await;
    let mut asked = Settlement::new(desk.lease.clone(), NOW);
    let (workspace, subject) = ("w".to_owned(), format!("hold/{id}/city"));
    asked.reviews.push(Review { workspace, subject, entity: Some(id), text: String::new(), at: NOW });
    desk.cached.settle(&asked).await.unwrap();
    for (saw, outcome, open) in [(Stamp::NEVER, Outcome::Conflict, 1), (rival, Outcome::Applied, 0)] {
        let said = Correction { saw: [(Field::CITY, saw)].into(), ..lives(id, "Kobe") };
        assert_eq!(desk.told(&said).await, Some(outcome));
        assert_eq!(desk.store.reviews("w").await.unwrap().len(), open);
    }
}

#[tokio::test]
async fn who_lost_the_lease_stops() {
    let desk = Desk::open().await;
    let id = desk.keep(1, entity(), vec![]).await;
    let body = lives(id, "Kobe");
    let said =
        NewChange::from_operator("correct", "1".to_owned(), "w", System::Ghl, Kind::Contact, &body, NOW).unwrap();
    desk.store.append(&[said]).await.unwrap();
    let former = Lease { fence: desk.lease.fence - 1, ..desk.lease.clone() };
    assert_eq!(desk.resolver.step(&desk.site, &former, None).await.unwrap(), None);
}
