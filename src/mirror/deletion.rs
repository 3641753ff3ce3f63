//! Deletions (R10): whether an entity that was deleted in one system may be deleted in another now. Pure.
//!
//! In: the entity with its links, mirrors and (for a contact) what belongs to it. Out: go on, wait for what the others show,
//! or leave it to a person. A deletion raises a doubt about every other live link; the doubts that are open tell which of
//! them were not read since. Tombstones keep their snapshot: it tells what people knew in the system where they deleted.

use std::collections::BTreeSet;

use crate::model::{Author, Conflict, Entity, Expressed, Field, Finding, Kind, Life, Link, LinkState, Observation};
use crate::model::{Fields, Sent, Stamp, System, Terms, Value, Whole};

/// What to do about a delete that is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Delete it.
    Delete,
    /// Others are read first.
    Wait(String),
    /// A person decides: the reason.
    Park(String),
    /// It is no deletion of its own: it went with its contact, whose deletion decides.
    Spare,
}

/// An entity that was deleted, with what goes with it.
pub struct Doomed<'a> {
    /// The entity.
    pub whole: &'a Whole,
    /// The tasks and notes that go with a contact.
    pub children: &'a [Whole],
    /// The contact that a task or note goes with.
    pub contact: Option<&'a Whole>,
}

impl Doomed<'_> {
    /// Whether the contact is to be read first.
    pub fn waits_for_contact(&self) -> bool {
        let Life::Deleted(stamp) = self.whole.entity.life else { return false };
        matches!(self.contact.and_then(|contact| after_contact(contact, stamp)), Some(Next::Wait(_)))
    }

    /// What to do about its delete in `system`. `terms`: of the systems that can be called.
    pub fn next<'t>(&self, system: System, terms: &impl Fn(System) -> Option<&'t dyn Terms>) -> Next {
        let Life::Deleted(stamp) = self.whole.entity.life else { return Next::Delete };
        if self.whole.link(system).is_some_and(|link| was_deleted(link, stamp)) {
            return Next::Park(format!("it was deleted, and {system} has it again"));
        }
        if let Some(next) = self.contact.and_then(|contact| after_contact(contact, stamp)) {
            return next;
        }
        let edited = unseen(self.whole, stamp, terms);
        if !edited.is_empty() {
            let names: Vec<&str> = edited.iter().map(Field::name).collect();
            let by = stamp.author;
            return Next::Park(format!("it was deleted by {by}, who had not got an edit of {}", names.join(", ")));
        }
        if let Some(child) = self.children.iter().find(|child| !unseen(child, stamp, terms).is_empty()) {
            let (kind, id, by) = (child.entity.kind, child.entity.id, stamp.author);
            return Next::Park(format!("it was deleted by {by}, who had not got an edit of its {kind} {id}"));
        }
        let waits = |whole: &Whole| unread(whole).into_iter().filter(|s| terms(*s).is_some()).collect::<Vec<_>>();
        let own = waits(self.whole).into_iter().filter(|other| *other != system);
        let others: BTreeSet<System> = own.chain(self.children.iter().flat_map(waits)).collect();
        if others.is_empty() {
            return Next::Delete;
        }
        let names: Vec<&str> = others.iter().map(|system| system.word()).collect();
        Next::Wait(format!("it is deleted here once it was read in {}", names.join(", ")))
    }
}

/// A task or note may have gone with its contact, which is read first where it was found gone.
fn after_contact(contact: &Whole, stamp: Stamp) -> Option<Next> {
    let system = *System::ALL.iter().find(|system| Author::from(**system) == stamp.author)?;
    let is_gone = contact.links.iter().any(|link| link.system == system && link.state == LinkState::Gone);
    match contact.link(system) {
        // Or is being deleted there by us at this moment.
        Some(link) if link.sent.is_some() || unread(contact).contains(&system) => {
            Some(Next::Wait(format!("its contact is read in {system} first")))
        }
        // A contact that is nowhere takes what belongs to it along.
        None if is_gone && !is_nowhere(contact) => Some(Next::Spare),
        _ => None,
    }
}

/// The systems of its live links that are still to be read.
fn unread(whole: &Whole) -> Vec<System> {
    let doubts = |system: System| whole.mirror(system).is_some_and(crate::model::Mirror::doubts);
    let open = |link: &&Link| link.is_live() && doubts(link.system);
    whole.links.iter().filter(open).map(|link| link.system).collect()
}

/// Whether a live link is of an object that was deleted, and is there again.
fn was_deleted(link: &Link, stamp: Stamp) -> bool {
    stamp.author == Author::from(link.system) || link.ledger.iter().any(Sent::is_done_delete)
}

/// What the entity carries that whoever deleted it had not got. Where there was nothing of it, all that is later.
fn unseen<'t>(whole: &Whole, stamp: Stamp, terms: &impl Fn(System) -> Option<&'t dyn Terms>) -> Vec<Field> {
    let entity = &whole.entity;
    let where_deleted = System::ALL.iter().find(|system| Author::from(**system) == stamp.author);
    // What we deleted on the way tells nothing of what people knew.
    let tombs = whole.links.iter().filter(|link| link.state == LinkState::Gone && !by_us(link));
    let tomb = tombs.filter(|link| where_deleted.is_none_or(|system| *system == link.system)).max_by_key(|l| l.seen);
    if let Some((tomb, terms)) = tomb.and_then(|tomb| Some((tomb, terms(tomb.system)?))) {
        return differing(entity, tomb, stamp, terms);
    }
    let could_hold = where_deleted.and_then(|system| terms(*system)).is_some_and(|t| t.home(entity.kind).holds());
    let later = |stamped: &crate::model::Stamped| could_hold || stamped.stamp.t > stamp.t;
    entity.fields.iter().filter(|(_, stamped)| later(stamped)).map(|(field, _)| field.clone()).collect()
}

/// What was edited after the deletion counts also where it set back what was known: somebody still uses it. That a tag got
/// there tells nothing: it may be kept beside the object, which was gone.
fn differing(entity: &Entity, tomb: &Link, deleted: Stamp, terms: &dyn Terms) -> Vec<Field> {
    let differs = |(field, stamped): &(&Field, &crate::model::Stamped)| {
        let known = tomb.known(field);
        let is_later = stamped.stamp.t > deleted.t;
        let may_be_beside = is_later && field.as_tag().is_some();
        (known.stamp != stamped.stamp || may_be_beside)
            && (is_later || known.value != stamped.value)
            && match terms.express(entity.kind, field, &stamped.value) {
                Expressed::Absent => false,
                Expressed::Holds(value) => is_later || value != known.value,
                Expressed::Refused(_) => true,
            }
    };
    entity.fields.iter().filter(differs).map(|(field, _)| field.clone()).collect()
}

/// Whether an entity of this kind goes with its contact.
pub fn goes_with_contact(kind: Kind) -> bool {
    matches!(kind, Kind::Task | Kind::Note)
}

/// Whether an object that is gone was deleted by us.
pub fn by_us(link: &Link) -> bool {
    link.state == LinkState::Gone && link.was_deleted_by_us()
}

/// Whether an entity whose object a person took out of the deleted ones in `system` is alive again: nothing of it was deleted
/// by us, so nobody's deletion is undone but that person's own.
pub fn is_back(whole: &Whole, system: System) -> bool {
    match whole.entity.life {
        Life::Live => true,
        Life::Deleted(stamp) => stamp.author == Author::from(system) && !whole.links.iter().any(by_us),
        Life::Merged(_) => false,
    }
}

/// What a late payload brings of an object that we deleted (R10): values that nobody knows of are kept.
pub fn deleted_unseen(link: &Link, claim: &Observation) -> Vec<(Field, Finding, Conflict)> {
    let said: Vec<(&Field, &Value)> = claim.fields().map(Fields::iter).into_iter().flatten().collect();
    let news = |(field, value): &(&Field, &Value)| {
        let known = link.known(field);
        let absent = value.is_blank() && field.as_tag().is_some();
        by_us(link) && known.value != **value && !known.held.contains(value) && !absent
    };
    let kept = |(field, value): (&Field, &Value)| {
        let known = link.known(field);
        let conflict = Conflict {
            field: field.clone(),
            system: link.system,
            lost: value.clone(),
            lost_stamp: Stamp::new(claim.at.unwrap_or(link.seen), Author::from(link.system)),
            won: known.value.clone(),
            won_stamp: known.stamp,
            rule: "deleted_unseen".to_owned(),
        };
        (field.clone(), Finding::Lost, conflict)
    };
    said.into_iter().filter(news).map(kept).collect()
}

/// What is kept of a home that holds nothing is no tombstone: whether the entity is in no system any more.
pub fn is_nowhere(whole: &Whole) -> bool {
    let made = whole.mirrors.iter().any(|mirror| mirror.intent.as_ref().is_some_and(|intent| intent.sent.is_some()));
    !made && !whole.links.iter().any(Link::is_live) && whole.links.iter().any(|link| link.state == LinkState::Gone)
}

/// An operator has seen what the entity carries: it is no longer an edit that nobody had got who deleted it.
pub fn acknowledge(whole: &mut Whole) {
    let stamps: Vec<(Field, Stamp)> = whole.entity.fields.iter().map(|(field, s)| (field.clone(), s.stamp)).collect();
    for link in &mut whole.links {
        if link.state == LinkState::Gone {
            for (field, stamp) in &stamps {
                link.snapshot.entry(field.clone()).or_default().stamp = *stamp;
            }
        }
    }
    forget_deletes(whole);
}

/// What is live is not marked as deleted by us any more.
pub fn forget_deletes(whole: &mut Whole) {
    for link in whole.links.iter_mut().filter(|link| link.is_live()) {
        link.ledger.retain(|sent| !sent.deletes);
    }
}

#[cfg(test)]
mod tests;
