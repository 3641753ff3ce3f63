//! An entity under decision: loaded with its links and mirrors, changed in memory, written as part of one settlement.

use std::collections::BTreeSet;

use super::decide::Verdict;
use crate::clock::Millis;
use crate::mirror::spread::{is_owed, make_due, mirror_of};
use crate::model::{
    ChangeId, Entity, ExternalId, Kind, Life, Link, LinkState, Mirror, MirrorState, OnDelete, Stamp, System, Whole,
};
use crate::store::{Review, Settlement};
use crate::systems::Site;

/// An entity under decision.
#[derive(Debug, Clone)]
pub struct Case {
    /// As it now stands.
    pub whole: Whole,
    before: Option<Whole>,
    /// Systems that are owed something by what changed here. Their mirrors are written even where they were due already: a
    /// lane that is about to rest on what it knew must find its row moved.
    owed: BTreeSet<System>,
    conflicts: Vec<(Option<ChangeId>, crate::model::Conflict)>,
    reviews: Vec<Review>,
}

impl Case {
    /// An entity that is stored.
    pub fn of(whole: Whole) -> Self {
        let (owed, conflicts, reviews) = (BTreeSet::new(), Vec::new(), Vec::new());
        Self { before: Some(whole.clone()), whole, owed, conflicts, reviews }
    }

    /// An entity that is not stored yet.
    pub fn new(entity: Entity) -> Self {
        let whole = Whole { entity, links: Vec::new(), mirrors: Vec::new() };
        Self { whole, before: None, owed: BTreeSet::new(), conflicts: Vec::new(), reviews: Vec::new() }
    }

    /// Whether it is not stored yet.
    pub fn is_new(&self) -> bool {
        self.before.is_none()
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
        link.ledger.extend(open.map(|open| crate::model::Sent { unclear: true, ..open }));
        self.put_link(link);
    }

    /// Retires the live link of a system, if there is one, and gives its snapshot to the id that takes its place.
    pub fn replace_live(&mut self, system: System, id: &ExternalId) {
        let entity = &self.whole.entity;
        let mut fresh = Link::new(&entity.workspace, entity.id, system, entity.kind, id.clone());
        if let Some(old) = self.whole.links.iter_mut().find(|link| link.system == system && link.is_live()) {
            (fresh.snapshot, fresh.seen) = (old.snapshot.clone(), old.seen);
            old.state = LinkState::Retired;
        }
        self.put_link(fresh);
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

    /// Takes over what was decided.
    pub fn accept(&mut self, verdict: Verdict, change: Option<ChangeId>) {
        self.whole.entity = verdict.entity;
        self.put_link(verdict.link);
        self.conflicts.extend(verdict.conflicts.into_iter().map(|conflict| (change, conflict)));
    }

    /// Keeps values that lost outside of a verdict.
    pub fn keep(&mut self, conflicts: Vec<crate::model::Conflict>, change: Option<ChangeId>) {
        self.conflicts.extend(conflicts.into_iter().map(|conflict| (change, conflict)));
    }

    /// Applies the policy for a deletion that people made in `system`.
    pub fn deleted(&mut self, system: System, stamp: Stamp, policy: OnDelete, now: Millis) {
        match policy {
            OnDelete::Mirror => self.whole.entity.life = Life::Deleted(stamp),
            OnDelete::Unlink => {}
            OnDelete::Hold => {
                let text = format!("it was deleted in {system}; `on_delete` is `hold`: delete or keep it elsewhere");
                self.review(&format!("deleted/{}/{system}", self.whole.entity.id), text, now);
            }
        }
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

    /// Makes the mirrors due that the entity's present state owes.
    pub fn spread(&mut self, site: &Site, booked: bool, due: Millis, now: Millis) {
        for (system, target) in &site.targets {
            if is_owed(&self.whole, target.as_ref(), &site.workspace, booked) {
                make_due(self.mirror(*system), due, now);
                self.owed.insert(*system);
            }
        }
    }

    /// Whether the contact's rules may need to know whether it has an appointment.
    pub fn asks_for_bookings(&self) -> bool {
        self.whole.entity.kind == Kind::Contact
    }

    /// Adds what differs from what is stored to a settlement.
    pub fn into_settlement(self, settlement: &mut Settlement) {
        let Self { whole, before, owed, conflicts, reviews } = self;
        let id = whole.entity.id;
        let nothing = Whole { entity: whole.entity.clone(), links: Vec::new(), mirrors: Vec::new() };
        let stored = before.as_ref().unwrap_or(&nothing);
        if before.is_none() || stored.entity != whole.entity {
            settlement.entities.push(whole.entity);
        }
        settlement.links.extend(whole.links.into_iter().filter(|link| !stored.links.contains(link)));
        let moved = |mirror: &Mirror| owed.contains(&mirror.system) || !stored.mirrors.contains(mirror);
        settlement.mirrors.extend(whole.mirrors.into_iter().filter(moved));
        settlement.conflicts.extend(conflicts.into_iter().map(|(change, conflict)| (id, change, conflict)));
        let known: BTreeSet<String> = settlement.reviews.iter().map(|review| review.subject.clone()).collect();
        settlement.reviews.extend(reviews.into_iter().filter(|review| !known.contains(&review.subject)));
    }
}
