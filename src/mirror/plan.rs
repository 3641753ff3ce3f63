//! What is to be done: the second of the two pure functions.
//!
//! In: an entity, its link in one system (if any), that system's terms. Out: the smallest ordered list of calls that makes
//! the system agree. A field is written only if its value *and* its stamp differ from the snapshot: equal values are never
//! written, and a system's own rendition of an edit that it was told (or that it made) is left alone, so that a lossy
//! mapping never writes its loss back.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Action, Entity, Expressed, ExternalId, Field, Fields, Kind, Link, Stamp, Stamped, Step, Terms, Value,
};

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing to call.
    Settled {
        /// Stamps to move in the snapshot: equal values that carry a newer edit.
        moves: Vec<(Field, Stamp)>,
        /// Fields that differ and that the system has no call to change.
        stuck: Vec<Field>,
    },
    /// The object is to be made there.
    Create(Step),
    /// Calls, in order. Each is planned again after the one before.
    Steps(Vec<Step>),
    /// The system cannot hold or change it; for a person.
    Blocked(String),
}

/// The smallest plan that makes the system agree. `parent`: the id of the entity's contact in that system.
pub fn plan(entity: &Entity, link: Option<&Link>, parent: Option<&ExternalId>, terms: &dyn Terms) -> Plan {
    let wanted = entity.is_live() && terms.wants(entity);
    let draft = Draft { entity, link, parent, terms };
    match link {
        None if wanted => draft.create(),
        None => Plan::Settled { moves: Vec::new(), stuck: Vec::new() },
        Some(link) if !wanted => Plan::Steps(vec![draft.step(Action::Delete, Some(link), Fields::new())]),
        Some(link) => draft.update(link),
    }
}

struct Draft<'a> {
    entity: &'a Entity,
    link: Option<&'a Link>,
    parent: Option<&'a ExternalId>,
    terms: &'a dyn Terms,
}

impl Draft<'_> {
    fn create(&self) -> Plan {
        let kind = self.entity.kind;
        if let Err(reason) = self.terms.creates(kind) {
            return Plan::Blocked(reason.to_owned());
        }
        match self.expressed() {
            Err(reason) => Plan::Blocked(reason),
            Ok(whole) => {
                // What a create cannot carry (tags that live beside the vendor) is planned once the object is there.
                let carried = |(field, value): &(&Field, &Value)| {
                    !value.is_blank() && self.terms.carriers(kind, field, value, true).contains(&Action::Create)
                };
                let fields =
                    whole.iter().filter(carried).map(|(field, value)| (field.clone(), value.clone())).collect();
                Plan::Create(self.step(Action::Create, None, fields))
            }
        }
    }

    fn update(&self, link: &Link) -> Plan {
        let mut moves = Vec::new();
        let mut writes = Fields::new();
        for (field, stamped) in &self.entity.fields {
            match self.wish(field, stamped) {
                Err(reason) => return Plan::Blocked(reason),
                Ok(None) => {}
                Ok(Some(value)) if value == link.known(field).value => moves.push((field.clone(), stamped.stamp)),
                Ok(Some(value)) => drop(writes.insert(field.clone(), value)),
            }
        }
        let (calls, stuck) = carry(self.entity.kind, &writes, self.terms);
        if calls.is_empty() {
            return Plan::Settled { moves, stuck };
        }
        Plan::Steps(calls.into_iter().map(|(action, f)| self.step(action, Some(link), f)).collect())
    }

    fn step(&self, action: Action, link: Option<&Link>, fields: Fields) -> Step {
        let stamps = fields.keys().map(|field| (field.clone(), self.entity.stamp(field))).collect();
        let id = link.map(|link| link.id.clone());
        let (parent, whole) = (self.parent.cloned(), self.expressed().unwrap_or_default());
        Step { action, kind: self.entity.kind, id, parent, fields, stamps, whole, key: None, alone: false }
    }

    /// What the system should hold in a field, in its own terms. `None`: what it holds stands, be it nothing.
    fn wish(&self, field: &Field, stamped: &Stamped) -> Result<Option<Value>, String> {
        let known = self.link.map(|link| link.known(field));
        // What the system made of this very edit stands, also where it shows what it would not let us write.
        if known.is_some_and(|known| known.stamp == stamped.stamp) {
            return Ok(None);
        }
        let holds = |value: &Value| known.is_some_and(|known| known.value == *value);
        match self.terms.express(self.entity.kind, field, &stamped.value) {
            Expressed::Absent => Ok(None),
            Expressed::Holds(value) if holds(&value) => Ok(Some(value)),
            // What it holds already is not refused.
            Expressed::Refused(_) if holds(&stamped.value) => Ok(Some(stamped.value.clone())),
            // A person has yet to decide about it.
            _ if known.is_some_and(|known| known.is_held(stamped.stamp)) => Ok(None),
            Expressed::Holds(value) => Ok(Some(value)),
            Expressed::Refused(reason) => Err(reason),
        }
    }

    /// The whole object as it should stand, in the system's own terms.
    fn expressed(&self) -> Result<Fields, String> {
        let held = self.link.into_iter().flat_map(|link| &link.snapshot);
        let mut whole: Fields = held.map(|(field, known)| (field.clone(), known.value.clone())).collect();
        for (field, stamped) in &self.entity.fields {
            let wish = self.wish(field, stamped)?;
            let differs = |value: &Value| self.link.is_none_or(|link| link.known(field).value != *value);
            whole.extend(wish.filter(differs).map(|value| (field.clone(), value)));
        }
        Ok(whole)
    }
}

/// Shares the writes out over as few calls as can carry them. Second: the fields that no call can carry.
fn carry(kind: Kind, writes: &Fields, terms: &dyn Terms) -> (BTreeMap<Action, Fields>, Vec<Field>) {
    let several: Vec<_> =
        writes.iter().map(|(field, value)| (field, value, terms.carriers(kind, field, value, false))).collect();
    let choices: Vec<&[Action]> = several.iter().map(|(.., several)| *several).collect();
    let made = fewest(&choices, BTreeSet::new());
    let mut calls: BTreeMap<Action, Fields> = BTreeMap::new();
    let mut stuck = Vec::new();
    for (field, value, several) in several {
        match several.iter().find(|action| made.contains(action)) {
            Some(action) => drop(calls.entry(*action).or_default().insert(field.clone(), value.clone())),
            None => stuck.push(field.clone()),
        }
    }
    (calls, stuck)
}

/// The smallest set of calls that holds one of each field's choices; of several such sets, one with what is best for the
/// first fields. Calls that some field cannot do without come first, so that hardly ever more than one way is tried.
fn fewest(choices: &[&[Action]], made: BTreeSet<Action>) -> BTreeSet<Action> {
    let open = choices.iter().filter(|several| !several.iter().any(|action| made.contains(action)));
    let Some(next) = open.filter(|several| !several.is_empty()).min_by_key(|several| several.len()) else {
        return made;
    };
    let with = |action: &Action| fewest(choices, made.iter().copied().chain([*action]).collect());
    next.iter().map(with).min_by_key(BTreeSet::len).unwrap_or_default()
}

#[cfg(test)]
mod tests;
