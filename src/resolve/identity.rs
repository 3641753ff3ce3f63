//! Who is who: whether an object that nobody knows yet is an entity that we have. Pure; never guesses.

use std::collections::BTreeSet;

use crate::model::{EntityId, Field, Fields, Kind, Sent, System, Value, Whole};

/// What an unknown object turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Nobody that we have.
    New,
    /// This entity.
    Same(EntityId),
    /// It cannot be told: the reason, for a person.
    Ambiguous(String),
}

/// Matches an object of `system` with the entities that share a key with it (contacts) or a parent (the rest). `apart`:
/// those that a person said it is not.
pub fn choose(kind: Kind, system: System, fields: &Fields, candidates: &[Whole], apart: &BTreeSet<EntityId>) -> Match {
    let may_be = |whole: &&Whole| !apart.contains(&whole.entity.id) && is_alike(kind, system, fields, whole);
    let alike: Vec<&Whole> = candidates.iter().filter(may_be).collect();
    let (taken, free): (Vec<&Whole>, Vec<&Whole>) =
        alike.into_iter().partition(|whole| whole.links.iter().any(|link| link.system == system && link.is_live()));
    match (kind, free.as_slice(), taken.as_slice()) {
        (_, [], []) => Match::New,
        (_, [only], []) => Match::Same(only.entity.id),
        // Two equal tasks, notes or bookings made by people in one system are two things; only people are unique.
        (Kind::Contact, [], [taken, ..]) => {
            Match::Ambiguous(format!("{system} holds two contacts with this e-mail or phone: {}", taken.entity.id))
        }
        (Kind::Contact, ..) => {
            let ids: Vec<String> = free.iter().chain(&taken).map(|whole| whole.entity.id.to_string()).collect();
            Match::Ambiguous(format!("its e-mail and phone belong to different contacts: {}", ids.join(", ")))
        }
        (_, [], _) => Match::New,
        (_, [first, ..], _) => Match::Same(first.entity.id),
    }
}

/// Whether an entity could be the object of `system`: by what it says, or by what a create that is open there carried, whatever
/// was edited since.
pub fn is_alike(kind: Kind, system: System, fields: &Fields, whole: &Whole) -> bool {
    let entity = &whole.entity;
    let says = |field: &Field| entity.value(field);
    entity.is_live() && (says_alike(kind, fields, says) || was_sent(kind, system, fields, whole))
}

/// Whether a create that is open in `system` carried this, also where the entity was deleted meanwhile.
pub fn was_sent(kind: Kind, system: System, fields: &Fields, whole: &Whole) -> bool {
    let intent = whole.mirror(system).and_then(|mirror| mirror.intent.as_ref());
    let carried = |sent: &Sent| says_alike(kind, fields, |field| sent.fields.get(field).unwrap_or(&Value::Blank));
    intent.and_then(|intent| intent.sent.as_ref()).is_some_and(carried)
}

/// Whether values tell of the same thing.
fn says_alike<'v>(kind: Kind, fields: &Fields, value: impl Fn(&Field) -> &'v Value) -> bool {
    let said = |field: &Field| fields.get(field).filter(|said| !said.is_blank());
    let same = |field: &Field| said(field).is_some_and(|said| said == value(field));
    let differs = |field: &Field| said(field).is_some_and(|said| !value(field).is_blank() && said != value(field));
    match kind {
        // One phone may serve a family: it tells only where no e-mail says otherwise.
        Kind::Contact => same(&Field::EMAIL) || (same(&Field::PHONE) && !differs(&Field::EMAIL)),
        Kind::Task => same(&Field::TITLE) && !differs(&Field::DUE),
        Kind::Note => same(&Field::BODY),
        Kind::Appointment => same(&Field::START) && !differs(&Field::CALENDAR),
    }
}

#[cfg(test)]
mod tests;
