//! Deletions in the lane (R10): who is read before a delete leaves, what goes with a contact, and what is looked at again
//! that was found gone.
//!
//! In: an entity whose deletion was found or has landed. Out: doubts, tombstones, reviews. What may be done next is decided in
//! [`super::deletion`]; what an operator answers, in [`crate::resolve`].

use std::ops::ControlFlow;
use std::time::Duration;

use super::deletion::{Doomed, Next, forget_deletes, goes_with_contact, is_back, is_nowhere};
use super::lane::{Call, Flow, Hold, Lane};
use super::read::verdict_row;
use crate::model::{
    Action, Attempt, ExternalId, Kind, Life, Link, LinkState, Mirror, MirrorState, Observation, OnDelete, Outcome,
    Place, Shape, Stamp, Step, System, Terms, VerdictRow, Whole,
};
use crate::resolve::{Case, EDITED, unconfirmed};
use crate::store::{Result, Settlement};
use crate::systems::trail;

/// How often a task or note that was found gone looks whether its contact was read.
const CONTACT: Duration = Duration::from_millis(250);
/// The same, where nothing reads that contact for now.
const CONTACT_RESTS: Duration = Duration::from_mins(1);

impl Lane<'_> {
    /// Lets a step pass unless it deletes what was deleted elsewhere and others are to be read first.
    pub(super) async fn may_delete(&mut self, mut case: Case, step: &Step) -> Result<ControlFlow<Flow, Case>> {
        if step.action != Action::Delete || case.whole.entity.is_live() {
            return Ok(ControlFlow::Continue(case));
        }
        let contact = if goes_with_contact(step.kind) { self.parent(&case).await? } else { None };
        let children = if step.kind == Kind::Contact { self.family(&case).await? } else { Vec::new() };
        let terms = |system: System| self.site.targets.get(&system).map(|target| -> &dyn Terms { target.as_ref() });
        let doomed = Doomed { whole: &case.whole, children: &children, contact: contact.as_ref() };
        let flow = match doomed.next(self.system, &terms) {
            Next::Delete => return Ok(ControlFlow::Continue(case)),
            Next::Wait(reason) if doomed.waits_for_contact() => {
                let wait = if rests(contact.as_ref()) { CONTACT_RESTS } else { CONTACT };
                case.mirror(self.system).reason = Some(reason);
                self.postpone(case, wait).await?
            }
            // What is read there makes this one due again.
            Next::Wait(reason) => self.rest(case, &[], &reason).await?,
            Next::Park(reason) => {
                let id = case.whole.entity.id;
                let reason = format!("{reason}: `lockstep deletion` with `delete`, `keep` or `remake`");
                let subject = Some(format!("{EDITED}{id}"));
                self.hold(case, Hold { state: MirrorState::Parked, reason, subject }).await?
            }
            Next::Spare => {
                let now = self.lanes.clock.now();
                case.whole.entity.life = Life::Live;
                case.spread(self.site, false, now, now);
                self.settle(case, None).await?.into()
            }
        };
        Ok(ControlFlow::Break(flow))
    }

    /// The tasks and notes of a contact that stand somewhere.
    async fn family(&self, contact: &Case) -> Result<Vec<Whole>> {
        let mut children = self.lanes.lookup.children(contact.whole.entity.id).await?;
        children.extend(self.lanes.lookup.remains(contact.whole.entity.id).await?);
        children.retain(|child| goes_with_contact(child.entity.kind));
        Ok(children)
    }

    /// People deleted it here: the policy says what that means elsewhere. `claimed`: the system told so by itself.
    pub(super) async fn found_deleted(
        &self,
        case: &mut Case,
        stamp: Stamp,
        claimed: bool,
        settlement: &mut Settlement,
    ) -> Result<()> {
        let (policy, now) = (self.on_delete(case), self.lanes.clock.now());
        case.deleted(self.site, self.system, stamp, policy, now);
        if case.whole.entity.kind == Kind::Contact {
            self.doubt_bookings(case, settlement).await?;
            return self.bereave(case, stamp, policy, settlement).await;
        }
        if claimed || !goes_with_contact(case.whole.entity.kind) {
            return Ok(());
        }
        // It may have gone with its contact, of which nobody told us yet.
        if let Some(contact) = self.parent(case).await?.filter(|contact| contact.link(self.system).is_some()) {
            let mut contact = Case::of(contact);
            contact.doubt(self.system, now, now);
            contact.into_settlement(settlement);
        }
        Ok(())
    }

    /// The tasks and notes of a contact go with it, in the system where it was deleted: their absence there says nothing
    /// about them elsewhere. Where the deletion is mirrored, they are read with it.
    async fn bereave(&self, contact: &Case, stamp: Stamp, policy: OnDelete, settlement: &mut Settlement) -> Result<()> {
        let now = self.lanes.clock.now();
        for child in self.family(contact).await? {
            let mut child = Case::of(child);
            if let Some(link) = child.whole.link(self.system).cloned() {
                child.put_link(link.gone());
            }
            if is_nowhere(&child.whole) {
                child.bury(stamp);
            } else if is_nowhere(&contact.whole) {
                self.take_along(&mut child, stamp);
            } else if policy == OnDelete::Mirror {
                child.doubt_all(self.site, now);
            }
            child.spread(self.site, false, now, now);
            child.into_settlement(settlement);
        }
        Ok(())
    }

    /// A contact is gone from this system, which may have taken its bookings along without a word.
    pub(super) async fn doubt_bookings(&self, contact: &Case, settlement: &mut Settlement) -> Result<()> {
        let now = self.lanes.clock.now();
        let mut children = self.lanes.lookup.children(contact.whole.entity.id).await?;
        children.retain(|child| child.entity.kind == Kind::Appointment && child.link(self.system).is_some());
        for child in children {
            let mut child = Case::of(child);
            child.doubt(self.system, now, now);
            child.into_settlement(settlement);
        }
        Ok(())
    }

    /// Once a contact that was deleted is nowhere any more, what belongs to it is deleted where it still is.
    pub(super) async fn follow_to_the_grave(&self, case: &mut Case, settlement: &mut Settlement) -> Result<()> {
        let Life::Deleted(stamp) = case.whole.entity.life else { return Ok(()) };
        if !is_nowhere(&case.whole) {
            return Ok(());
        }
        case.bury(stamp);
        if case.whole.entity.kind != Kind::Contact {
            return Ok(());
        }
        let now = self.lanes.clock.now();
        let is_told =
            |settlement: &Settlement, child: &Whole| settlement.entities.iter().any(|e| e.id == child.entity.id);
        for child in self.family(case).await? {
            if is_told(settlement, &child) {
                continue;
            }
            let mut child = Case::of(child);
            self.take_along(&mut child, stamp);
            child.spread(self.site, false, now, now);
            child.into_settlement(settlement);
        }
        Ok(())
    }

    /// A contact that is nowhere takes what belongs to it along: it is deleted where it still is, once it was read there.
    fn take_along(&self, child: &mut Case, stamp: Stamp) {
        child.whole.entity.life = Life::Deleted(stamp);
        child.doubt_all(self.site, self.lanes.clock.now());
    }

    /// A contact that is to be deleted waits for what its tasks and notes show.
    pub(super) async fn rouse_contact(&self, child: &Case, settlement: &mut Settlement) -> Result<()> {
        if !goes_with_contact(child.whole.entity.kind) {
            return Ok(());
        }
        let told = |whole: &Whole| settlement.mirrors.iter().any(|mirror| mirror.entity == whole.entity.id);
        let contact = self.parent(child).await?.filter(|contact| matches!(contact.entity.life, Life::Deleted(_)));
        let Some(contact) = contact.filter(|contact| !told(contact)) else { return Ok(()) };
        let now = self.lanes.clock.now();
        // Also one that is due: its lane may be about to rest on what it knew.
        let works = |mirror: &Mirror| matches!(mirror.state, MirrorState::Idle | MirrorState::Due);
        let waits = |system: &System| contact.mirror(*system).is_some_and(works);
        let live: Vec<System> = contact.links.iter().filter(|l| l.is_live()).map(|l| l.system).filter(waits).collect();
        let mut contact = Case::of(contact);
        for system in live {
            contact.wake(system, now);
        }
        contact.into_settlement(settlement);
        Ok(())
    }

    /// A doubt about an object that is gone. What says that it is there has it looked at again: somebody may have taken it
    /// out of the deleted ones, or it was found gone by mistake.
    pub(super) async fn look_again_at_the_gone(&mut self, mut case: Case) -> Result<Flow> {
        let doubt = case.mirror(self.system).doubt;
        let Some(tomb) = self.named_tomb(&case, doubt).await? else {
            return self.answer_for_the_gone(case, None, doubt).await;
        };
        let parent = self.parent(&case).await?;
        let parent = former_id(parent.as_ref(), self.system).cloned();
        let place = Place { kind: tomb.kind, id: tomb.id.clone(), parent };
        let sent = self.lanes.clock.now();
        let (result, trail) = trail::follow(self.target.read(&place)).await;
        let call = Call { action: Action::Read, object: Some(&tomb.id), fields: Vec::new() };
        let attempt = self.attempt(call, sent, &result.as_ref().map(|reading| reading.status), trail);
        match result {
            Err(error) => self.failed(case, &error, attempt).await,
            Ok(reading) if reading.observation.shape == Shape::Gone => {
                self.answer_for_the_gone(case, Some(attempt), doubt).await
            }
            // It is there: a live link again, and read as such.
            Ok(_) => {
                if is_back(&case.whole, self.system) {
                    case.whole.entity.life = Life::Live;
                    case.answer();
                }
                case.put_link(Link { state: LinkState::Live, ..tomb });
                if case.whole.entity.is_live() {
                    forget_deletes(&mut case.whole);
                }
                Ok(self.settle(case, Some(attempt)).await?.into())
            }
        }
    }

    /// The tombstone that a waiting claim says to be there.
    async fn named_tomb(&self, case: &Case, doubt: i64) -> Result<Option<Link>> {
        for link in case.whole.links.iter().filter(|l| l.system == self.system && l.state == LinkState::Gone) {
            let blank = Observation::new(link.kind, link.id.clone(), crate::model::Class::Claim, Shape::Hint);
            let says = |seen: &Observation| seen.shape != Shape::Gone;
            let waiting = self.waiting(doubt, &blank).await?;
            if waiting.iter().filter_map(|waiting| waiting.observation.as_ref()).any(says) {
                return Ok(Some(link.clone()));
            }
        }
        Ok(None)
    }

    /// Nothing is left to read: what waits is told so. What it brings of an object that we deleted is kept.
    async fn answer_for_the_gone(&self, mut case: Case, attempt: Option<Attempt>, doubt: i64) -> Result<Flow> {
        let now = self.lanes.clock.now();
        let mirror = case.mirror(self.system);
        (mirror.answered, mirror.tries) = (doubt, 0);
        let waiting = self.lanes.log.waiting(self.entity, self.system).await?;
        let mut settlement = self.settlement(now);
        settlement.attempts.extend(attempt);
        let tombs: Vec<Link> = case.whole.links.iter().filter(|l| l.system == self.system).cloned().collect();
        for (change, _) in waiting.into_iter().filter(|(_, number)| *number <= doubt) {
            let said = crate::resolve::claim::read(self.target, &change).unwrap_or_default();
            let of = |link: &Link| said.iter().find(|seen| seen.kind == link.kind && seen.id == link.id);
            let (mut findings, mut conflicts) = Default::default();
            if let Some((link, seen)) = tombs.iter().find_map(|link| Some((link, of(link)?))) {
                (findings, conflicts) = unconfirmed(self.target, link, seen, change.said.received);
            }
            let outcome = if conflicts.is_empty() { Outcome::Superseded } else { Outcome::Conflict };
            case.keep(conflicts, Some(change.id));
            let row = verdict_row(&change, self.entity, outcome, "the object is gone".to_owned(), now);
            settlement.verdicts.push(VerdictRow { findings, ..row });
        }
        case.into_settlement(&mut settlement);
        Ok(self.lanes.settling.settle(&settlement).await?.into())
    }
}

fn rests(contact: Option<&Whole>) -> bool {
    contact.is_some_and(|contact| contact.mirrors.iter().all(|mirror| mirror.state != MirrorState::Due))
}

/// The id of a contact in a system, also where it is gone: what stood below it is asked for by it.
pub(super) fn former_id(contact: Option<&Whole>, system: System) -> Option<&ExternalId> {
    let links = || contact.into_iter().flat_map(|contact| &contact.links).filter(|link| link.system == system);
    let live = links().find(|link| link.is_live());
    live.or_else(|| links().filter(|link| link.state == LinkState::Gone).max_by_key(|link| link.seen)).map(|l| &l.id)
}

/// Whether a contact was deleted in a system, and is not there under another id.
pub(super) fn is_bereft(contact: Option<&Whole>, system: System) -> bool {
    let Some(contact) = contact else { return false };
    let is_tomb = |link: &Link| link.system == system && link.state == LinkState::Gone;
    contact.link(system).is_none() && (!contact.entity.is_live() || contact.links.iter().any(is_tomb))
}

/// A delete without an answer is done if the object is gone, and is none if it is there: it is planned again.
pub(super) fn settle_deletes(link: &mut Link) {
    let is_gone = link.state == LinkState::Gone;
    for sent in link.ledger.iter_mut().filter(|sent| sent.deletes) {
        sent.unclear &= !is_gone;
    }
}
