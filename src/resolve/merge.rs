//! Two entities that are one, and one that is two: what becomes of their values. Pure; never guesses.
//!
//! In: what is known of both. Out: what the one holds then, and what lost; or why they cannot be one yet. Links, children
//! and mirrors are moved by who asks.

use std::collections::BTreeSet;

use crate::model::{
    ChangeId, Conflict, Entity, EntityId, Field, Fields, Kind, Link, MERGED, Observation, Order, Stamped, System,
    Value, Whole,
};

/// Why two entities cannot be one as things stand: a system holds both. At most one live link per entity and system.
pub fn obstacle(one: &Whole, other: &Whole) -> Option<String> {
    let twice = |link: &&Link| link.is_live() && other.link(link.system).is_some();
    let doubles = one.links.iter().filter(twice).filter_map(|link| {
        let second = other.link(link.system)?;
        Some(format!("{} holds both {} and {}", link.system, link.id, second.id))
    });
    let doubles: Vec<String> = doubles.collect();
    (!doubles.is_empty()).then(|| {
        format!(
            "{} and {} are one, but {}: merge or delete one there",
            one.entity.id,
            other.entity.id,
            doubles.join(", ")
        )
    })
}

/// Which of two values is true when two entities become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Favour {
    /// The newer one.
    Newer,
    /// That of the entity that stays: whoever merged them at the vendor has chosen.
    Stays,
}

/// How it was found that two entities are one.
pub struct Found<'a> {
    /// How stamps are ordered.
    pub order: &'a Order,
    /// Which of two values is true then.
    pub by: Favour,
    /// The system in which it was found.
    pub system: System,
    /// The change, if it was one.
    pub change: Option<ChangeId>,
}

/// Gives `into` the values of `from`; blank never beats a value. Out: what lost.
pub fn join(from: &Entity, into: &mut Entity, found: &Found<'_>) -> Vec<Conflict> {
    let (mut lost, order) = (Vec::new(), found.order);
    for (field, theirs) in &from.fields {
        let ours = Stamped { value: into.value(field).clone(), stamp: into.stamp(field) };
        if theirs.value == ours.value {
            into.set(field.clone(), ours.value, order.max(ours.stamp, theirs.stamp));
            continue;
        }
        let theirs_wins = match (theirs.value.is_blank(), ours.value.is_blank()) {
            (true, _) => false,
            (_, true) => true,
            _ => found.by == Favour::Newer && order.key(theirs.stamp) > order.key(ours.stamp),
        };
        let (mut winner, loser) = if theirs_wins { (theirs.clone(), ours) } else { (ours, theirs.clone()) };
        // Equal stamps would tell `plan` that who holds the loser was told.
        if winner.stamp == loser.stamp || order.key(winner.stamp) < order.key(loser.stamp) {
            winner.stamp = order.after(loser.stamp, winner.stamp.t, winner.stamp.author);
        }
        if !loser.value.is_blank() {
            lost.push(Conflict {
                field: field.clone(),
                system: found.system,
                lost: loser.value,
                lost_stamp: loser.stamp,
                won: winner.value.clone(),
                won_stamp: winner.stamp,
                rule: MERGED.to_owned(),
            });
        }
        into.set(field.clone(), winner.value, winner.stamp);
    }
    lost
}

/// Raises what an object is known to hold with the value that won: its system was told of that value, and what somebody puts in
/// its place there is later (R2). `was`: its entity before it won over `other`; `is`: the one that stays.
pub fn raise(link: &mut Link, was: &Entity, other: &Entity, is: &Entity) {
    for (field, known) in &mut link.snapshot {
        // Its value may be what the system made of it.
        let told = known.stamp == was.stamp(field);
        let won = was.value(field) == is.value(field) && was.value(field) != other.value(field);
        if told && won && known.stamp != is.stamp(field) {
            known.restamp(is.stamp(field));
        }
    }
}

/// What an object becomes that leaves its entity: all that its system is known to hold of it.
pub fn split_off(link: &Link, into: &mut Entity) {
    for (field, known) in link.snapshot.iter().filter(|(_, known)| !known.value.is_blank()) {
        into.set(field.clone(), known.value.clone(), known.stamp);
    }
}

/// The keys of a contact that is gone, as its system held them.
pub fn keys(gone: &Link) -> Fields {
    let known = |field: Field| (field.clone(), gone.known(&field).value.clone());
    [Field::EMAIL, Field::PHONE].map(known).into_iter().filter(|(_, value)| !value.is_blank()).collect()
}

/// Whether a contact of the same system carries what one that is gone was known by. One phone may serve a family: it tells
/// only where no e-mail says otherwise. A further e-mail or phone beside its own comes from a merge alone.
pub fn carries(gone: &Link, held: &Fields, also: &BTreeSet<Value>) -> bool {
    let value = |field: &Field| held.get(field).unwrap_or(&Value::Blank);
    let known = |field: &Field| gone.known(field).value.clone();
    let same = |field: &Field| !known(field).is_blank() && known(field) == *value(field);
    let other_email = !known(&Field::EMAIL).is_blank()
        && !value(&Field::EMAIL).is_blank()
        && known(&Field::EMAIL) != *value(&Field::EMAIL);
    let beside = match known(&Field::EMAIL) {
        Value::Blank => also.contains(&known(&Field::PHONE)),
        email => also.contains(&email),
    };
    same(&Field::EMAIL) || (same(&Field::PHONE) && !other_email) || beside
}

/// The entity that carries on for a contact that is gone from its system, by what is known of the others: exactly one that
/// is live there and carries its e-mail or phone, and that no person said it is not.
pub fn heir(gone: &Link, others: &[Whole], apart: &BTreeSet<EntityId>) -> Option<EntityId> {
    let carries_on = |whole: &&Whole| {
        let held = whole.link(gone.system).map(keys);
        held.is_some_and(|held| carries(gone, &held, &BTreeSet::new())) && may_be(gone, whole, apart)
    };
    let mut found = others.iter().filter(carries_on).map(|whole| whole.entity.id);
    found.next().filter(|_| found.next().is_none())
}

/// Whether an entity may be what one that is gone became.
pub fn may_be(gone: &Link, whole: &Whole, apart: &BTreeSet<EntityId>) -> bool {
    let entity = &whole.entity;
    entity.kind == Kind::Contact
        && entity.is_live()
        && entity.id != gone.entity
        && !apart.contains(&entity.id)
        && whole.link(gone.system).is_some()
}

/// The contacts among those that a system shows that carry on for one that is gone.
pub fn shown<'a>(gone: &Link, seen: impl IntoIterator<Item = &'a Observation>) -> Vec<&'a Observation> {
    let carries_on =
        |one: &&Observation| one.id != gone.id && one.fields().is_some_and(|held| carries(gone, held, &one.also));
    seen.into_iter().filter(carries_on).collect()
}

/// The fields that an object shows a value of.
pub fn has(seen: &Observation) -> BTreeSet<Field> {
    let held = seen.fields().into_iter().flatten();
    held.filter(|(_, value)| !value.is_blank()).map(|(field, _)| field.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::model::{Author, ExternalId, Known, Stamp};

    fn stamp(t: i64, author: Author) -> Stamp {
        Stamp::new(Millis(t), author)
    }

    fn entity<const N: usize>(number: u128, fields: [(Field, &str, i64); N]) -> Entity {
        let mut entity = Entity::new(EntityId(uuid::Uuid::from_u128(number)), "w", Kind::Contact, Millis(0));
        for (field, value, t) in fields {
            entity.set(field, Value::text(value), stamp(t, Author::Ghl));
        }
        entity
    }

    fn link<const N: usize>(number: u128, id: &str, fields: [(Field, &str); N]) -> Link {
        let entity = EntityId(uuid::Uuid::from_u128(number));
        let mut link = Link::new("w", entity, System::Ghl, Kind::Contact, ExternalId::new(id));
        for (field, value) in fields {
            let known = Known { value: Value::text(value), stamp: stamp(1, Author::Ghl), ..Known::default() };
            link.snapshot.insert(field, known);
        }
        link
    }

    fn whole(number: u128, link: Link) -> Whole {
        Whole { entity: entity(number, []), links: vec![link], mirrors: Vec::new() }
    }

    fn by(order: &Order, by: Favour) -> Found<'_> {
        Found { order, by, system: System::Ghl, change: None }
    }

    #[test]
    fn who_merged_two_at_the_vendor_chose_the_values() {
        let from = entity(1, [(Field::CITY, "Kobe", 90_000), (Field::STATE, "Hyogo", 1)]);
        let mut into = entity(2, [(Field::CITY, "Osaka", 50_000)]);
        let lost = join(&from, &mut into, &by(&Order::default(), Favour::Stays));
        assert_eq!(
            (into.value(&Field::CITY).as_text(), into.value(&Field::STATE).as_text()),
            (Some("Osaka"), Some("Hyogo"))
        );
        assert_eq!((lost.len(), lost[0].lost.as_text()), (1, Some("Kobe")));
    }

    /// Simulation, 320035443: the value that was chosen bore the date of the choice, and an edit of the object that had just
    /// been made over that value, and was told after, seemed older than it.
    #[test]
    fn what_somebody_puts_in_the_place_of_the_chosen_value_is_later_than_the_choice() {
        let from =
            entity(1, [(Field::CITY, "Kobe", 90_000), (Field::STATE, "Hyogo", 90_000), (Field::COUNTRY, "JP", 9_000)]);
        let was =
            entity(2, [(Field::CITY, "Osaka", 50_000), (Field::STATE, "Hyogo", 50_000), (Field::COUNTRY, "DE", 9_000)]);
        let mut into = was.clone();
        join(&from, &mut into, &by(&Order::default(), Favour::Stays));
        let mut held = link(2, "c", [(Field::CITY, "Osaka"), (Field::STATE, "Hyogo"), (Field::COUNTRY, "IT")]);
        for field in [Field::CITY, Field::STATE] {
            held.snapshot.get_mut(&field).unwrap().stamp = was.stamp(&field);
        }
        let before = held.clone();
        raise(&mut held, &was, &from, &into);
        assert_eq!(held.known(&Field::CITY).stamp, into.stamp(&Field::CITY));
        assert!(held.known(&Field::CITY).stamp.t > Millis(90_000), "{held:?}");
        let same = [Field::STATE, Field::COUNTRY].map(|field| held.known(&field) == before.known(&field));
        assert_eq!(same, [true, true], "nobody chose between equal values, and it was not told of the other one");
    }

    #[test]
    fn of_two_that_are_one_the_newer_value_is_true_and_the_other_is_kept() {
        let from =
            entity(1, [(Field::CITY, "Kobe", 90_000), (Field::LAST_NAME, "Sato", 1), (Field::STATE, "", 95_000)]);
        let before = entity(2, [(Field::CITY, "Osaka", 50_000), (Field::STATE, "Hyogo", 7), (Field::EMAIL, "a@b", 3)]);
        let mut into = before.clone();
        let lost = join(&from, &mut into, &by(&Order::default(), Favour::Newer));
        let text = |field: &Field| into.value(field).as_text().map(str::to_owned);
        let all =
            [Field::CITY, Field::LAST_NAME, Field::STATE, Field::EMAIL].map(|field| text(&field).unwrap_or_default());
        assert_eq!(all, ["Kobe", "Sato", "Hyogo", "a@b"], "blank never beats a value");
        let [conflict] = &lost[..] else { panic!("{lost:?}") };
        assert_eq!((conflict.lost.as_text(), conflict.rule.as_str()), (Some("Osaka"), MERGED));
        let order = Order::default();
        assert!(order.key(into.stamp(&Field::STATE)) > order.key(from.stamp(&Field::STATE)), "who cleared it is told");
    }

    #[test]
    fn of_two_values_with_one_stamp_the_one_that_stays_has_another() {
        let from = entity(1, [(Field::CITY, "Kobe", 50_000)]);
        let mut into = entity(2, [(Field::CITY, "Osaka", 50_000)]);
        let lost = join(&from, &mut into, &by(&Order::default(), Favour::Newer));
        assert_eq!((into.value(&Field::CITY).as_text(), lost.len()), (Some("Osaka"), 1));
        assert_ne!(into.stamp(&Field::CITY), from.stamp(&Field::CITY), "or the plan would leave `Kobe` where it is");
    }

    #[test]
    fn two_that_one_system_holds_under_two_ids_cannot_be_one_yet() {
        let (one, other) = (whole(1, link(1, "g1", [])), whole(2, link(2, "g2", [])));
        let reason = obstacle(&one, &other).unwrap();
        assert!(reason.contains("ghl holds both g1 and g2"), "{reason}");
        let mut gone = other.clone();
        gone.links[0].state = crate::model::LinkState::Gone;
        assert_eq!(obstacle(&one, &gone), None);
    }

    #[test]
    fn who_carries_the_email_of_one_that_is_gone_carries_on_for_it() {
        const MAIL: Field = Field::EMAIL;
        let gone = link(1, "g1", [(MAIL, "a@b.example"), (Field::PHONE, "+491")]);
        let same = whole(2, link(2, "g2", [(MAIL, "a@b.example")]));
        let family = whole(3, link(3, "g3", [(MAIL, "c@d.example"), (Field::PHONE, "+491")]));
        let nobody = BTreeSet::new();
        assert_eq!(heir(&gone, &[same.clone(), family.clone()], &nobody), Some(same.entity.id));
        assert_eq!(heir(&gone, std::slice::from_ref(&family), &nobody), None, "a phone may serve a family");
        assert_eq!(heir(&gone, &[same.clone(), whole(4, link(4, "g4", [(MAIL, "a@b.example")]))], &nobody), None);
        assert_eq!(heir(&gone, std::slice::from_ref(&same), &[same.entity.id].into()), None, "they are kept apart");
        let held = keys(&link(3, "g3", [(MAIL, "c@d.example")]));
        assert!(!carries(&gone, &held, &nobody_else()) && carries(&gone, &held, &[Value::text("a@b.example")].into()));
        assert!(!carries(&gone, &held, &[Value::text("+491")].into()), "the e-mail was not taken over");
    }

    fn nobody_else() -> BTreeSet<Value> {
        BTreeSet::new()
    }

    #[test]
    fn what_leaves_is_what_its_system_holds() {
        let link = link(1, "g1", [(Field::CITY, "Kobe"), (Field::STATE, "")]);
        let mut into = entity(2, []);
        split_off(&link, &mut into);
        assert_eq!(into.fields.keys().collect::<Vec<_>>(), [&Field::CITY]);
        assert_eq!(into.stamp(&Field::CITY), stamp(1, Author::Ghl), "so that nothing is owed to it");
    }
}
