//! What is to be done: the second of the two pure functions.
//!
//! In: an entity, its link in one system (if any), that system's terms. Out: the smallest ordered list of calls that makes
//! the system agree. A field is written only if its value *and* its stamp differ from the snapshot: equal values are never
//! written, and a system's own rendition of an edit that it was told (or that it made) is left alone, so that a lossy
//! mapping never writes its loss back.

use std::collections::BTreeMap;

use crate::model::{
    Action, Entity, Expressed, ExternalId, Field, Fields, Kind, Known, Link, Snapshot, Stamp, Step, Terms, Value,
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
            let known = link.known(field);
            if known.stamp == stamped.stamp {
                continue;
            }
            match self.terms.express(self.entity.kind, field, &stamped.value) {
                Expressed::Absent => {}
                Expressed::Holds(value) if value == known.value => moves.push((field.clone(), stamped.stamp)),
                // What it holds already is not refused.
                Expressed::Refused(_) if stamped.value == known.value => moves.push((field.clone(), stamped.stamp)),
                _ if known.is_held(stamped.stamp) => {}
                Expressed::Holds(value) => drop(writes.insert(field.clone(), value)),
                Expressed::Refused(reason) => return Plan::Blocked(reason),
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
        Step { action, kind: self.entity.kind, id, parent, fields, stamps, whole, key: None }
    }

    /// The whole object as it should stand, in the system's own terms.
    fn expressed(&self) -> Result<Fields, String> {
        let nothing = Snapshot::new();
        let held = self.link.map_or(&nothing, |link| &link.snapshot);
        let mut whole: Fields = held.iter().map(|(field, known)| (field.clone(), known.value.clone())).collect();
        for (field, stamped) in &self.entity.fields {
            // What the system made of this very edit stands, also where it shows what it would not let us write; and so does
            // what a person has yet to decide about.
            let stands = |known: &Known| {
                known.stamp == stamped.stamp || known.value == stamped.value || known.is_held(stamped.stamp)
            };
            if held.get(field).is_some_and(stands) {
                continue;
            }
            match self.terms.express(self.entity.kind, field, &stamped.value) {
                Expressed::Absent => {}
                Expressed::Holds(value) => drop(whole.insert(field.clone(), value)),
                Expressed::Refused(reason) => return Err(reason),
            }
        }
        Ok(whole)
    }
}

/// Shares the writes out over as few calls as can carry them: calls that some field cannot do without come first, a field
/// with a choice rides with one of those, and only then gets a call of its own. Second: the fields that no call can carry.
fn carry(kind: Kind, writes: &Fields, terms: &dyn Terms) -> (BTreeMap<Action, Fields>, Vec<Field>) {
    let mut calls: BTreeMap<Action, Fields> = BTreeMap::new();
    let mut choosy = Vec::new();
    let mut stuck = Vec::new();
    for (field, value) in writes {
        match terms.carriers(kind, field, value, false) {
            [] => stuck.push(field.clone()),
            [only] => drop(calls.entry(*only).or_default().insert(field.clone(), value.clone())),
            several => choosy.push((field, value, several)),
        }
    }
    for (field, value, several) in choosy {
        let riding = several.iter().find(|action| calls.contains_key(action)).unwrap_or(&several[0]);
        calls.entry(*riding).or_default().insert(field.clone(), value.clone());
    }
    (calls, stuck)
}

#[cfg(test)]
mod tests;
