//! An entity under decision: loaded with its links and mirrors, changed in memory, written as part of one settlement.

use std::collections::BTreeSet;

use super::claim::is_final;
use super::decide::Verdict;
use crate::clock::Millis;
use crate::mirror::deletion::is_nowhere;
use crate::mirror::spread::{is_owed, make_due, mirror_of};
use crate::model::{
    Action, ChangeId, Conflict, CreateRule, Entity, EntityId, ExternalId, Field, FieldRule, Kind, Life, Link,
    LinkState, Mirror, MirrorState, NewConflict, OnDelete, Proof, Sent, ShownBy, Stamp, System, Terms, Value, Whole,
};
use crate::store::{Review, Settlement};
use crate::systems::Site;

/// How the subject of a review begins that asks what a deletion means elsewhere; the entity and the system follow.
pub const DELETED: &str = "deleted/";
/// How the subject of a review begins that tells of an edit that stands against a deletion; the entity follows.
pub const EDITED: &str = "edited_after_delete/";

/// An entity under decision.
#[derive(Debug, Clone)]
pub struct Case {
    /// As it now stands.
    pub whole: Whole,
    before: Option<Whole>,
    /// Systems that are owed something by what changed here. Their mirrors are written even where they were due already: a
    /// lane that is about to rest on what it knew must find its row moved.
    owed: BTreeSet<System>,
    conflicts: Vec<NewConflict>,
    reviews: Vec<Review>,
    /// Subjects of reviews that no longer need a person.
    answered: Vec<String>,
}

impl Case {
    /// An entity that is stored.
    pub fn of(whole: Whole) -> Self {
        Self { before: Some(whole.clone()), ..Self::bare(whole) }
    }

    /// An entity that is not stored yet.
    pub fn new(entity: Entity) -> Self {
        Self::bare(Whole { entity, links: Vec::new(), mirrors: Vec::new() })
    }

    fn bare(whole: Whole) -> Self {
        let (owed, conflicts, reviews, answered) = (BTreeSet::new(), Vec::new(), Vec::new(), Vec::new());
        Self { whole, before: None, owed, conflicts, reviews, answered }
    }

    /// Whether it is stored already.
    pub fn is_stored(&self) -> bool {
        self.before.is_some()
    }

    /// The link with an external id, of any state.
    pub fn link(&self, system: System, id: &ExternalId) -> Option<&Link> {
        self.whole.links.iter().find(|link| link.system == system && link.id == *id)
    }

    /// Puts a link in place of the one with the same id, or adds it.
    pub fn put_link(&mut self, link: Link) {
        let same = |other: &&mut Link| other.system == link.system && other.id == link.id;
        match self.whole.links.iter_mut().find(same) {
            Some(place) => *place = link,
            None => self.whole.links.push(link),
        }
    }

    /// Puts the link of an object that was found. An open create of ours may have made it: what that carried is our own.
    pub fn put_found(&mut self, mut link: Link) {
        let intent = self.whole.mirror(link.system).and_then(|mirror| mirror.intent.as_ref());
        let open = intent.and_then(|intent| intent.sent.clone());
        link.ledger.extend(open.map(Sent::as_landed));
        self.put_link(link);
    }

    /// Retires the live link of a system, if there is one, and gives its snapshot to the id that takes its place. That the
    /// former booking is cancelled, which is final, is not said of the one that it was moved to.
    pub fn replace_live(&mut self, terms: &dyn Terms, id: &ExternalId) {
        let system = terms.system();
        let entity = &self.whole.entity;
        let mut fresh = Link::new(&entity.workspace, entity.id, system, entity.kind, id.clone());
        if let Some(old) = self.whole.links.iter_mut().find(|link| link.system == system && link.is_live()) {
            (fresh.snapshot, fresh.seen) = (old.snapshot.clone(), old.seen);
            old.state = LinkState::Retired;
        }
        if is_final(terms, &fresh, &Field::STATUS)
            && let Some(known) = fresh.snapshot.get_mut(&Field::STATUS)
        {
            known.move_to(Value::Blank, known.stamp);
        }
        self.put_link(fresh);
    }

    /// Nothing is known of an object in a system but what it has: where it is blank, that is no edit of what the one had whose
    /// place it takes, and it is owed what is true.
    pub fn forget_but(&mut self, system: System, has: &BTreeSet<Field>) {
        for link in self.whole.links.iter_mut().filter(|link| link.system == system && link.is_live()) {
            link.snapshot.retain(|field, _| has.contains(field));
        }
    }

    /// The mirror for a system, made if there is none.
    pub fn mirror(&mut self, system: System) -> &mut Mirror {
        if self.whole.mirror(system).is_none() {
            self.whole.mirrors.push(mirror_of(&self.whole, system));
        }
        let at = self.whole.mirrors.iter().position(|mirror| mirror.system == system).unwrap_or(0);
        &mut self.whole.mirrors[at]
    }

    /// Raises a doubt about what a system holds (R3); gives its number.
    pub fn doubt(&mut self, system: System, due: Millis, now: Millis) -> i64 {
        let mirror = self.mirror(system);
        mirror.doubt += 1;
        make_due(mirror, due, now);
        mirror.doubt
    }

    /// Takes over what was decided: of a change, or of a read.
    pub fn accept(&mut self, verdict: Verdict, change: Option<ChangeId>) {
        let shown_by = if change.is_some() { ShownBy::Versioned } else { ShownBy::Read };
        self.take(verdict, change, shown_by);
    }

    /// Takes over what was decided of the answer to a write of ours.
    pub fn accept_answer(&mut self, verdict: Verdict) {
        self.take(verdict, None, ShownBy::Answer);
    }

    fn take(&mut self, verdict: Verdict, change: Option<ChangeId>, shown_by: ShownBy) {
        let link = &verdict.link;
        let before = self.link(link.system, &link.id).cloned();
        for conflict in verdict.conflicts {
            if conflict.rule == FieldRule::Hold.word() {
                self.ask(&conflict, verdict.at);
            }
            let base = before.as_ref().map(|before| before.known(&conflict.field).value.clone());
            let proof = Proof { object: Some(link.id.clone()), base, shown_by: Some(shown_by) };
            self.lost(conflict, change, proof);
        }
        self.whole.entity = verdict.entity;
        self.put_link(verdict.link);
    }

    /// Asks which of two values is true.
    fn ask(&mut self, Conflict { field, system, .. }: &Conflict, at: Millis) {
        let text =
            format!("{field} says something else in {system}, where nobody had seen what is true; say which it is");
        self.review(&hold(self.whole.entity.id, field), text, at);
    }

    /// Somebody decided what is true of a field: no system keeps its own any longer.
    pub fn decided(&mut self, field: &Field) {
        for known in self.whole.links.iter_mut().filter_map(|link| link.snapshot.get_mut(field)) {
            known.hold = None;
        }
    }

    /// Keeps values that lost outside of a verdict: claimed, and not confirmed.
    pub fn keep(&mut self, conflicts: Vec<Conflict>, change: Option<ChangeId>) {
        for conflict in conflicts {
            let link = self.whole.link(conflict.system);
            let base = link.and_then(|link| link.known(&conflict.field).held.last().cloned());
            let object = link.map(|link| link.id.clone());
            self.lost(conflict, change, Proof { object, base, shown_by: Some(ShownBy::Claim) });
        }
    }

    /// Nobody learned what became of the write to a system that is on its way: it is unclear from now on. Gives what was sent.
    pub fn leave_open(&mut self, system: System) -> Option<(Action, Option<ExternalId>, Sent)> {
        if let Some(mut link) = self.whole.link(system).filter(|link| link.is_in_flight()).cloned() {
            let sent = link.sent.as_mut()?;
            sent.unclear = true;
            let action = if sent.deletes { Action::Delete } else { Action::Update };
            let left = (action, Some(link.id.clone()), sent.clone());
            self.put_link(link);
            return Some(left);
        }
        let mut intent = self.whole.mirror(system)?.intent.clone()?;
        let sent = intent.sent.as_mut().filter(|sent| !sent.unclear)?;
        sent.unclear = true;
        let left = (Action::Create, None, sent.clone());
        self.mirror(system).intent = Some(intent);
        Some(left)
    }

    /// Keeps values that lost by what a person, or a rule, wanted.
    pub fn keep_corrected(&mut self, conflicts: Vec<Conflict>, change: Option<ChangeId>) {
        for conflict in conflicts {
            self.lost(conflict, change, Proof { shown_by: Some(ShownBy::Correction), ..Proof::default() });
        }
    }

    fn lost(&mut self, conflict: Conflict, change: Option<ChangeId>, proof: Proof) {
        self.conflicts.push(NewConflict { entity: self.whole.entity.id, change, conflict, proof });
    }

    /// Applies the policy for a deletion that people made in `system`. What is in no system any more is deleted by any policy.
    pub fn deleted(&mut self, site: &Site, system: System, stamp: Stamp, policy: OnDelete, now: Millis) {
        if is_nowhere(&self.whole) {
            return self.bury(stamp);
        }
        match policy {
            OnDelete::Mirror => {
                self.whole.entity.life = Life::Deleted(stamp);
                self.doubt_all(site, now);
            }
            OnDelete::Unlink => {}
            OnDelete::Hold => {
                let (workspace, id) = (&self.whole.entity.workspace, self.whole.entity.id);
                let text = format!(
                    "it was deleted in {system}; `on_delete` is `hold`: `lockstep deletion {workspace} {id} --in {system}` \
                     with `delete`, `keep` or `remake`"
                );
                self.review(&format!("{DELETED}{id}/{system}"), text, now);
            }
        }
    }

    /// It is in no system any more: there is nothing left to decide about it.
    pub fn bury(&mut self, stamp: Stamp) {
        if self.whole.entity.is_live() {
            self.whole.entity.life = Life::Deleted(stamp);
        }
        self.answer();
    }

    /// Raises a doubt about every live link that can be read.
    pub fn doubt_all(&mut self, site: &Site, now: Millis) {
        let live: Vec<System> = self.whole.links.iter().filter(|l| l.is_live()).map(|l| l.system).collect();
        for system in live.into_iter().filter(|system| site.targets.contains_key(system)) {
            self.doubt(system, now, now);
        }
    }

    /// Its deletion needs a person no longer.
    pub fn answer(&mut self) {
        let id = self.whole.entity.id;
        self.answered.push(format!("{EDITED}{id}"));
        self.answered.extend(System::ALL.iter().map(|system| format!("{DELETED}{id}/{system}")));
    }

    /// What is settled with this rests on what is known of every system: it is worked out again if any mirror moved.
    pub fn rest_on_all(&mut self) {
        self.owed.extend(self.whole.mirrors.iter().map(|mirror| mirror.system));
    }

    /// Makes the mirror for a system due, whether or not something is owed there.
    pub fn wake(&mut self, system: System, now: Millis) {
        make_due(self.mirror(system), now, now);
        self.owed.insert(system);
    }

    /// Asks a person to look.
    pub fn review(&mut self, subject: &str, text: String, at: Millis) {
        let (workspace, entity) = (self.whole.entity.workspace.clone(), Some(self.whole.entity.id));
        self.reviews.push(Review { workspace, subject: subject.to_owned(), entity, text, at });
    }

    /// Parks the mirror for a system.
    pub fn park(&mut self, system: System, reason: &str) {
        let mirror = self.mirror(system);
        (mirror.state, mirror.reason) = (MirrorState::Parked, Some(reason.to_owned()));
    }

    /// It cannot be told who an object of `system` is: no other system is told of it until a person decides.
    pub fn ambiguous(&mut self, site: &Site, system: System, reason: &str, now: Millis) {
        for other in site.targets.keys().filter(|other| **other != system) {
            self.park(*other, reason);
        }
        let id = self.whole.entity.id;
        let text = format!(
            "{reason}. If they are one: `lockstep match {id} --with ID`; if they are two: `lockstep apart {id} ID`"
        );
        self.review(&format!("ambiguous/{id}"), text, now);
    }

    /// Who it is has been told, and it cannot be made so: what was parked waits for another reason.
    pub fn still_ambiguous(&mut self, reason: &str, now: Millis) {
        let parked = self.whole.mirrors.iter_mut().filter(|mirror| mirror.state == MirrorState::Parked);
        parked.for_each(|mirror| mirror.reason = Some(reason.to_owned()));
        self.review(&format!("ambiguous/{}", self.whole.entity.id), reason.to_owned(), now);
    }

    /// Makes the mirrors due that the entity's present state owes.
    pub fn spread(&mut self, site: &Site, booked: bool, due: Millis, now: Millis) {
        for (system, target) in &site.targets {
            if self.stands_still(*system) {
                continue;
            }
            if is_owed(&self.whole, target.as_ref(), &site.workspace, booked) {
                make_due(self.mirror(*system), due, now);
                self.owed.insert(*system);
            } else if self.whole.mirror(*system).is_some_and(|mirror| mirror.state == MirrorState::Held) {
                // What was held may be needed no more: the lane finds out.
                make_due(self.mirror(*system), due, now);
            }
        }
    }

    /// Whether a mirror waits for a person and nothing has changed that it waited with. Otherwise two parked mirrors of one
    /// entity would wake each other, with a read each, for ever.
    fn stands_still(&self, system: System) -> bool {
        let waits = |mirror: &Mirror| matches!(mirror.state, MirrorState::Parked | MirrorState::Held);
        let Some(before) = self.before.as_ref().filter(|_| self.whole.mirror(system).is_some_and(waits)) else {
            return false;
        };
        let said = |entity: &Entity| (entity.fields.clone(), entity.life.clone(), entity.parent);
        let held = |whole: &Whole| whole.link(system).map(|link| (link.id.clone(), link.snapshot.clone()));
        said(&before.entity) == said(&self.whole.entity) && held(before) == held(&self.whole)
    }

    /// Whether the rules need to know whether the contact has an appointment: it is made somewhere if so.
    pub fn asks_for_bookings(&self, site: &Site) -> bool {
        let may_be_made =
            |(system, rule): (&System, &CreateRule)| *rule == CreateRule::Booked && self.whole.link(*system).is_none();
        self.whole.entity.kind == Kind::Contact && site.workspace.policy.create.iter().any(may_be_made)
    }

    /// Whether anything is new that another system than this one could be owed.
    pub fn is_news_beyond(&self, system: System) -> bool {
        self.before.as_ref().is_none_or(|before| {
            let links = |whole: &Whole| whole.links.iter().filter(|link| link.system != system).cloned().collect();
            let (were, are): (Vec<Link>, Vec<Link>) = (links(before), links(&self.whole));
            before.entity != self.whole.entity || places(before) != places(&self.whole) || were != are
        })
    }

    /// Adds what differs from what is stored to a settlement.
    pub fn into_settlement(self, settlement: &mut Settlement) {
        let Self { mut whole, before, owed, conflicts, reviews, answered } = self;
        let id = whole.entity.id;
        let nothing = Whole { entity: whole.entity.clone(), links: Vec::new(), mirrors: Vec::new() };
        let stored = before.as_ref().unwrap_or(&nothing);
        // Where it stands is written with it: who decides about it meanwhile by where it stood finds it moved.
        if before.is_none() || stored.entity != whole.entity || places(stored) != places(&whole) {
            settlement.entities.push(whole.entity.clone());
        }
        // What waits already rises only by news: the echo of what we told one system is none to the others.
        let is_news = stored.entity != whole.entity;
        for mirror in whole.mirrors.iter_mut().filter(|mirror| mirror.state == MirrorState::Due) {
            mirror.priority = match stored.mirror(mirror.system).filter(|was| was.state == MirrorState::Due) {
                Some(was) if !is_news && was.doubt == mirror.doubt => was.priority,
                Some(was) => was.priority.min(settlement.priority),
                None => settlement.priority,
            };
        }
        let recovered = |mirror: &&Mirror| {
            let was = stored.mirrors.iter().find(|stored| stored.system == mirror.system).map(|stored| stored.state);
            was == Some(MirrorState::Parked) && mirror.state != MirrorState::Parked
        };
        let parked = |mirror: &Mirror| format!("parked/{id}/{}", mirror.system);
        settlement.settled.extend(whole.mirrors.iter().filter(recovered).map(parked).chain(answered));
        let open = held(&whole);
        settlement.settled.extend(held(stored).into_iter().filter(|was| !open.contains(was)).map(|f| hold(id, f)));
        settlement.links.extend(whole.links.into_iter().filter(|link| !stored.links.contains(link)));
        let moved = |mirror: &Mirror| owed.contains(&mirror.system) || !stored.mirrors.contains(mirror);
        settlement.mirrors.extend(whole.mirrors.into_iter().filter(moved));
        settlement.conflicts.extend(conflicts);
        let known: BTreeSet<String> = settlement.reviews.iter().map(|review| review.subject.clone()).collect();
        settlement.reviews.extend(reviews.into_iter().filter(|review| !known.contains(&review.subject)));
    }
}

/// Where an entity stands, and where it was deleted.
fn places(whole: &Whole) -> Vec<(System, &ExternalId, LinkState)> {
    let counts = whole.links.iter().filter(|link| link.state != LinkState::Retired);
    counts.map(|link| (link.system, &link.id, link.state)).collect()
}

/// The fields of which some system keeps its own value until a person decides.
fn held(whole: &Whole) -> BTreeSet<&Field> {
    let fields = whole.links.iter().filter(|link| link.is_live()).flat_map(|link| &link.snapshot);
    fields.filter(|(field, known)| known.is_held(whole.entity.stamp(field))).map(|(field, _)| field).collect()
}

/// What a person is asked about a field that is held.
fn hold(entity: EntityId, field: &Field) -> String {
    format!("hold/{entity}/{field}")
}

#[cfg(test)]
mod tests;
