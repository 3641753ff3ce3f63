//! What a read of a booking shows beside its fields: who booked, and that the guest moved it.
//!
//! In: a reading, and the lane's entity. Out: the contact, decided; the appointment under its new id. Webhooks that tell the same
//! are resolved in [`crate::resolve`], by the same rules.

use super::lane::Lane;
use super::read::{Waiting, verdict_row};
use super::spread::make_due;
use crate::model::{Attempt, ExternalId, Link, Moved, Observation, Outcome};
use crate::resolve::Case;
use crate::resolve::guest::{Booker, Reception};
use crate::store::{Result, Settlement};

impl Lane<'_> {
    /// The id that a booking has by now, if the read shows that its guest moved it and nobody told us yet.
    pub(super) async fn moved_on(&self, seen: &Observation) -> Result<Option<ExternalId>> {
        let Some(Moved::To(new)) = &seen.moved else { return Ok(None) };
        let known = self.lanes.lookup.link(&self.site.workspace.name, self.system, seen.kind, new).await?;
        Ok(known.is_none().then(|| new.clone()))
    }

    /// The object is read under its new id.
    pub(super) async fn follow(
        &self,
        mut case: Case,
        seen: &Observation,
        new: &ExternalId,
        doubt: i64,
        attempt: &Attempt,
    ) -> Result<Settlement> {
        let now = self.lanes.clock.now();
        let mut settlement = self.settlement(now);
        for Waiting { change, .. } in self.waiting(doubt, seen).await? {
            let why = format!("the booking was moved to {new}, which is read now");
            settlement.verdicts.push(verdict_row(&change, self.entity, Outcome::Superseded, why, now));
        }
        case.replace_live(self.target, new);
        case.doubt(self.system, now, now);
        let mirror = case.mirror(self.system);
        (mirror.answered, mirror.tries) = (mirror.answered.max(doubt), 0);
        settlement.attempts.push(attempt.clone());
        case.into_settlement(&mut settlement);
        Ok(settlement)
    }

    /// The contact that a booking's guest is; what the guest said goes into the settlement.
    pub(super) async fn receive(&self, case: &mut Case, seen: &Observation, settlement: &mut Settlement) -> Result<()> {
        let now = self.lanes.clock.now();
        let reception = Reception {
            lookup: &self.lanes.lookup,
            ids: &self.lanes.ids,
            site: self.site,
            system: self.system,
            change: None,
            due: now,
            now,
        };
        let booker = reception.receive(seen, Some(&case.whole), false, settlement).await?;
        if let Booker::Contact(contact) = booker {
            case.whole.entity.parent.get_or_insert(contact);
        }
        Ok(())
    }

    /// A placeholder that is what became of a booking that its guest moved: the appointment that has the old id.
    pub(super) async fn moved_here(&self, case: &mut Case, link: &Link, seen: &Observation) -> Result<Option<Case>> {
        let Some(Moved::From(old)) = &seen.moved else { return Ok(None) };
        let lookup = &self.lanes.lookup;
        let Some(known) = lookup.link(&self.site.workspace.name, self.system, link.kind, old).await? else {
            case.retire(self.system, old);
            return Ok(None);
        };
        let whole = lookup.whole(known.entity).await?.filter(|whole| whole.entity.id != self.entity);
        let Some(whole) = whole.filter(|whole| whole.link(self.system).is_some_and(|live| live.id == *old)) else {
            return Ok(None);
        };
        let mut other = Case::of(whole);
        case.whole.links.retain(|link| link.system != self.system || !link.is_live());
        other.replace_live(self.target, &link.id);
        if let Some(fresh) = other.link(self.system, &link.id).cloned() {
            other.put_link(Link { rev: link.rev, ..fresh });
        }
        other.whole.entity.parent = other.whole.entity.parent.or(case.whole.entity.parent);
        let now = self.lanes.clock.now();
        make_due(other.mirror(self.system), now, now);
        Ok(Some(other))
    }
}
