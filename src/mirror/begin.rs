//! Calls that are begun with the decision that finds them owed: what is about to be sent is stored with it, in one commit.
//!
//! In: an entity that was just decided. Out: the calls of lanes that would make one at once, with no read, hold or wait before it.
//! Whatever else a lane would do, it does by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::apply::sent;
use super::brake::May;
use super::lane::{Lane, Lanes};
use super::plan::Plan;
use crate::clock::Millis;
use crate::model::{Action, EntityId, ExternalId, Lease, Link, MirrorState, Mode, ReadBeforeWrite, Sent, Step, System};
use crate::resolve::{Begins, Case};
use crate::store::Result;
use crate::systems::Site;

/// A call whose start is stored, and that is to be made now.
#[derive(Debug)]
pub struct Begun {
    /// Of which entity.
    pub entity: EntityId,
    /// In which system.
    pub system: System,
    pub(super) object: ExternalId,
    pub(super) step: Step,
    pub(super) sent: Sent,
    /// Since when the mirror has been waiting for the whole of it, if this call is the last one.
    pub(super) since: Option<Millis>,
}

/// Begins the calls of one round of a worker.
pub struct Beginnings<'a> {
    lanes: &'a Lanes,
    site: &'a Site,
    lease: &'a Lease,
    mode: Mode,
    /// Whose lanes run already.
    running: &'a BTreeSet<(EntityId, System)>,
    /// How many lanes there is room for.
    room: usize,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    /// Not yet known to be stored.
    open: BTreeMap<EntityId, Vec<Begun>>,
    stored: Vec<Begun>,
}

impl Calls {
    fn count(&self) -> usize {
        self.stored.len() + self.open.values().map(Vec::len).sum::<usize>()
    }
}

impl<'a> Beginnings<'a> {
    /// With this much room beside the lanes that run.
    pub fn new(
        lanes: &'a Lanes,
        (site, lease, mode): (&'a Site, &'a Lease, Mode),
        running: &'a BTreeSet<(EntityId, System)>,
        room: usize,
    ) -> Self {
        Self { lanes, site, lease, mode, running, room, calls: Mutex::default() }
    }

    /// Those that are to be made.
    pub fn into_calls(self) -> Vec<Begun> {
        self.calls.into_inner().unwrap_or_else(PoisonError::into_inner).stored
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Begins for Beginnings<'_> {
    async fn begin(&self, case: &mut Case) -> Result<()> {
        let entity = case.whole.entity.id;
        for (system, target) in &self.site.targets {
            if self.running.contains(&(entity, *system)) || self.calls().count() >= self.room {
                continue;
            }
            let lane = self.lanes.lane((self.site, self.lease, self.mode), target.as_ref(), *system, entity);
            if let Some(begun) = lane.begin(case).await? {
                self.calls().open.entry(entity).or_default().push(begun);
            }
        }
        Ok(())
    }

    fn begun(&self, entity: EntityId, written: bool) {
        let mut calls = self.calls();
        let open = calls.open.remove(&entity).filter(|_| written);
        calls.stored.extend(open.into_iter().flatten());
    }
}

impl Lane<'_> {
    /// The update that this lane would send at once, marked as sent.
    async fn begin(&self, case: &mut Case) -> Result<Option<Begun>> {
        let now = self.lanes.clock.now();
        let (Some(mirror), Some(link)) = (case.whole.mirror(self.system), case.whole.link(self.system).cloned()) else {
            return Ok(None);
        };
        let is_due = mirror.state == MirrorState::Due && mirror.due <= now && mirror.tries == 0 && !mirror.doubts();
        let is_open = link.sent.is_some() || self.may_change_until(case).is_some();
        if self.mode != Mode::Live || !is_due || is_open || !case.whole.entity.is_live() {
            return Ok(None);
        }
        let since = mirror.since;
        let parent = self.parent(case).await?;
        let Plan::Steps(steps) = self.plan(case, parent.as_ref()) else { return Ok(None) };
        let Some(step) = steps.first().filter(|step| step.action == Action::Update) else { return Ok(None) };
        let reads = self.site.workspace.policy.reads_before(self.system, step.kind) == ReadBeforeWrite::Always;
        if reads || self.ungranted(step).is_some() || !matches!(self.may_write(case, step).await?, May::Write(None)) {
            return Ok(None);
        }
        let (step, sent) = (step.clone(), sent(step, now));
        case.put_link(Link { sent: Some(sent.clone()), ..link.clone() });
        let since = since.filter(|_| steps.len() == 1);
        Ok(Some(Begun { entity: self.entity, system: self.system, object: link.id, step, sent, since }))
    }
}

#[cfg(test)]
mod tests;
