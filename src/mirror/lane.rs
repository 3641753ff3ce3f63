//! The lane of one entity in one system: reads, plans, calls and settles, one call at a time, until nothing is owed.
//!
//! No transaction is open over HTTP: what is about to be sent is stored first, what came back is settled after, and rows
//! that moved meanwhile are read again and judged anew.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::begin::Begun;
use super::brake::{May, TURN, UnderWay, shadow, unconnected, ungranted};
use super::graves::former_id;
use super::plan::{Plan, plan};
use super::spread::{Creation, cannot_change, creation, parent_id};
use crate::clock::{Clock, Millis};
use crate::dispatch::retry;
use crate::ids::Ids;
use crate::model::{
    Action, Attempt, AttemptResult, EntityId, ExternalId, Field, Lease, Life, Link, LinkState, MirrorState, Mode,
    OnDelete, Priority, ReadBeforeWrite, Snapshot, Stamp, Step, System, Whole,
};
use crate::resolve::{Case, Lookup};
use crate::store::{ChangeLog, Mirrors, Result, Settled, Settlement, Settling, Workspaces};
use crate::systems::trail::Trail;
use crate::systems::{Decision, Site, SystemError, Target};

/// Turns of one lane in one go; more means that something keeps changing, and others get their share first.
const TURNS: usize = 24;
/// How often a settlement is worked out again when rows move under it.
pub(super) const RACES: usize = 16;

/// What all lanes share.
pub struct Lanes {
    /// The change log: claims that wait for a read.
    pub log: Arc<dyn ChangeLog>,
    /// Counts calls for the fuse and the brake.
    pub mirrors: Arc<dyn Mirrors>,
    /// What the brake was told to let pass.
    pub workspaces: Arc<dyn Workspaces>,
    /// Writes settlements.
    pub settling: Arc<dyn Settling>,
    /// Looks entities up.
    pub lookup: Lookup,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids and jitter.
    pub ids: Arc<Ids>,
    /// Creates and deletes that are being made, for the brake.
    pub under_way: UnderWay,
}

/// How a lane ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worked {
    /// Nothing more to do now; the mirror's row tells when to come back.
    Rested,
    /// The lease is another's.
    LeaseLost,
}

/// What follows a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Again,
    Rest,
    LeaseLost,
}

impl From<Settled> for Flow {
    fn from(settled: Settled) -> Self {
        match settled {
            Settled::Done | Settled::Moved => Self::Again,
            Settled::LeaseLost => Self::LeaseLost,
        }
    }
}

pub(super) struct Lane<'a> {
    pub lanes: &'a Lanes,
    pub site: &'a Site,
    pub lease: &'a Lease,
    pub mode: Mode,
    pub target: &'a dyn Target,
    pub system: System,
    pub entity: EntityId,
    /// How what it finds ranks elsewhere: as it does itself.
    pub priority: Priority,
    /// Whether the object was read in this lane since it was last worked (R9).
    pub fresh: bool,
    /// The object that was read in this lane and has nothing within it.
    pub alone: Option<ExternalId>,
}

impl Lanes {
    /// Works one lane.
    pub async fn work(
        &self,
        site: &Site,
        lease: &Lease,
        mode: Mode,
        entity: EntityId,
        system: System,
    ) -> Result<Worked> {
        let Some(target) = site.targets.get(&system) else { return Ok(Worked::Rested) };
        self.lookup.under(lease);
        self.lane((site, lease, mode), target.as_ref(), system, entity).run(Flow::Again).await
    }

    /// Makes a call that was begun, and works its lane.
    pub async fn carry_on(&self, site: &Site, lease: &Lease, mode: Mode, begun: Begun) -> Result<Worked> {
        let Some(target) = site.targets.get(&begun.system) else { return Ok(Worked::Rested) };
        let mut lane = self.lane((site, lease, mode), target.as_ref(), begun.system, begun.entity);
        let flow = lane.call(begun).await?;
        lane.run(flow).await
    }

    pub(super) fn lane<'a>(
        &'a self,
        (site, lease, mode): (&'a Site, &'a Lease, Mode),
        target: &'a dyn Target,
        system: System,
        entity: EntityId,
    ) -> Lane<'a> {
        let (priority, fresh, alone) = (Priority::Live, false, None);
        Lane { lanes: self, site, lease, mode, target, system, entity, priority, fresh, alone }
    }
}

impl Lane<'_> {
    async fn run(&mut self, mut flow: Flow) -> Result<Worked> {
        for _ in 0..TURNS {
            match flow {
                Flow::Again => flow = self.turn().await?,
                Flow::Rest => return Ok(Worked::Rested),
                Flow::LeaseLost => return Ok(Worked::LeaseLost),
            }
        }
        Ok(Worked::Rested)
    }

    async fn turn(&mut self) -> Result<Flow> {
        let Some(mut case) = self.load().await? else { return Ok(Flow::Rest) };
        let now = self.lanes.clock.now();
        let mirror = case.mirror(self.system);
        if mirror.state != MirrorState::Due || mirror.due > now {
            return Ok(Flow::Rest);
        }
        self.priority = mirror.priority;
        let doubts = mirror.doubts();
        if let Some(attempt) = self.left_behind(&mut case) {
            return Ok(self.settle(case, Some(attempt)).await?.into());
        }
        if matches!(case.whole.entity.life, Life::Merged(_)) {
            return self.hand_on(case).await;
        }
        match case.whole.link(self.system) {
            Some(link) if doubts || link.sent.is_some() => return self.read(case).await,
            Some(_) if self.may_change_until(&case).is_some_and(|until| until < now) => return self.read(case).await,
            None if doubts => return self.look_again_at_the_gone(case).await,
            _ => {}
        }
        let parent = self.parent(&case).await?;
        match self.plan(&case, parent.as_ref()) {
            Plan::Settled { .. } if case.whole.link(self.system).is_none() => {
                self.not_there(case, parent.as_ref(), "").await
            }
            Plan::Settled { moves, stuck } if stuck.is_empty() => self.rest(case, &moves, "").await,
            Plan::Settled { moves, stuck } => {
                self.move_stamps(&mut case, &moves);
                self.park(case, &cannot_change(self.system, &stuck), None).await
            }
            Plan::Blocked(reason) => self.park(case, &reason, None).await,
            Plan::Create(step) => self.create(case, parent.as_ref(), step).await,
            Plan::Steps(steps) => self.write(case, &steps).await,
        }
    }

    pub(super) fn plan(&self, case: &Case, parent: Option<&Whole>) -> Plan {
        // What is left to delete may stand below a contact that is gone.
        let of = if case.whole.entity.is_live() { parent_id } else { former_id };
        let parent = of(parent, self.system);
        let link = case.whole.link(self.system);
        if self.site.workspace.policy.guards.snapshot {
            return plan(&case.whole.entity, link, parent, self.target);
        }
        let blind = link.map(|link| Link { snapshot: Snapshot::new(), ..link.clone() });
        plan(&case.whole.entity, blind.as_ref(), parent, self.target)
    }

    /// An update or a delete: read first (R9), then the first step of the plan.
    async fn write(&mut self, case: Case, steps: &[Step]) -> Result<Flow> {
        let Some(step) = steps.first() else { return Ok(Flow::Rest) };
        let case = match self.may_delete(case, step).await? {
            ControlFlow::Continue(case) => case,
            ControlFlow::Break(flow) => return Ok(flow),
        };
        if self.mode == Mode::Shadow {
            return self.hold(case, shadow(steps)).await;
        }
        // Before the read: it would be made for nothing.
        if let Some(hold) = self.ungranted(step) {
            return self.hold(case, hold).await;
        }
        let always = self.site.workspace.policy.reads_before(self.system, step.kind) == ReadBeforeWrite::Always;
        if always && !self.fresh {
            return self.read(case).await;
        }
        match self.may_write(&case, step).await? {
            May::Write(_permit) => {
                let alone = step.id.is_some() && step.id == self.alone;
                self.apply(case, &Step { alone, ..step.clone() }, steps.len() == 1).await
            }
            May::Wait => self.postpone(case, TURN).await,
            May::Not(hold) => self.hold(case, hold).await,
        }
    }

    /// What keeps a step from being tried because the owner of the account did not grant it.
    pub(super) fn ungranted(&self, step: &Step) -> Option<Hold> {
        match self.target.granted(step.kind, step.action).err()?.decision() {
            Decision::Grant(scope) => Some(ungranted(self.system, &scope)),
            _ => None,
        }
    }

    pub(super) async fn hold(&self, case: Case, hold: Hold) -> Result<Flow> {
        self.hold_after(case, hold, None).await
    }

    async fn hold_after(&self, mut case: Case, hold: Hold, attempt: Option<Attempt>) -> Result<Flow> {
        let now = self.lanes.clock.now();
        let mirror = case.mirror(self.system);
        (mirror.state, mirror.reason) = (hold.state, Some(hold.reason.clone()));
        if let Some(subject) = hold.subject {
            case.review(&subject, hold.reason, now);
        }
        self.settle(case, attempt).await.map(rest_unless_moved)
    }

    /// Equal values that carry a newer edit.
    fn move_stamps(&self, case: &mut Case, moves: &[(Field, Stamp)]) {
        if let Some(link) = case.whole.link(self.system).cloned() {
            let mut link = link;
            for (field, stamp) in moves {
                if let Some(known) = link.snapshot.get_mut(field) {
                    known.restamp(*stamp);
                } else {
                    let known = crate::model::Known { stamp: *stamp, ..Default::default() };
                    link.snapshot.insert(field.clone(), known);
                }
            }
            case.put_link(link);
        }
    }

    pub(super) fn may_change_until(&self, case: &Case) -> Option<Millis> {
        case.whole.link(self.system)?.may_change_until(self.site.workspace.policy.late_write)
    }

    /// Nothing is owed, and that is written.
    pub(super) async fn rest(&self, mut case: Case, moves: &[(Field, Stamp)], why: &str) -> Result<Flow> {
        self.put_to_rest(&mut case, moves, why);
        self.settle(case, None).await.map(rest_unless_moved)
    }

    /// Nothing is owed: stamps move, the mirror rests. What may still be changed by a write of ours without an answer is read
    /// once more when that is over: what is found later is somebody's edit.
    pub(super) fn put_to_rest(&self, case: &mut Case, moves: &[(Field, Stamp)], why: &str) {
        self.move_stamps(case, moves);
        let may_change = self.may_change_until(case);
        let is_there = case.whole.link(self.system).is_some();
        let mirror = case.mirror(self.system);
        (mirror.tries, mirror.since) = (0, None);
        // A create that may have been applied stays known until what it made is found.
        mirror.intent.take_if(|intent| is_there || intent.sent.is_none());
        let why = if let Some(until) = may_change {
            (mirror.state, mirror.due) = (MirrorState::Due, until + Duration::from_millis(1));
            "a write without an answer may still land: it is read when it no longer can"
        } else {
            mirror.state = MirrorState::Idle;
            why
        };
        mirror.reason = (!why.is_empty()).then(|| why.to_owned());
    }

    pub(super) async fn park(&self, mut case: Case, reason: &str, attempt: Option<Attempt>) -> Result<Flow> {
        let now = self.lanes.clock.now();
        let (entity, system) = (case.whole.entity.id, self.system);
        case.park(system, reason);
        // A create that may have been applied stays known, and keeps its key.
        case.mirror(system).intent.take_if(|intent| intent.sent.is_none());
        case.review(&format!("parked/{entity}/{system}"), reason.to_owned(), now);
        self.settle(case, attempt).await.map(rest_unless_moved)
    }

    /// A call failed. `Look` raises a doubt, so that the object is read before anything else.
    pub(super) async fn failed(&self, mut case: Case, error: &SystemError, attempt: Attempt) -> Result<Flow> {
        let (now, limits) = (self.lanes.clock.now(), &self.site.workspace.policy.limits);
        let decision = error.decision();
        let tries = case.mirror(self.system).tries + 1;
        let asked = match &decision {
            Decision::Grant(scope) => return self.hold_after(case, ungranted(self.system, scope), Some(attempt)).await,
            Decision::Connect => {
                return self.hold_after(case, unconnected(self.system, error), Some(attempt)).await;
            }
            Decision::Later(after) => {
                let mirror = case.mirror(self.system);
                (mirror.due, mirror.state, mirror.reason) = (now + *after, MirrorState::Due, Some(error.to_string()));
                // What was never sent is no attempt.
                let attempt =
                    Some(attempt).filter(|_| !matches!(error, SystemError::Spent { .. } | SystemError::Failing { .. }));
                return self.settle(case, attempt).await.map(rest_unless_moved);
            }
            _ if decision == Decision::Park || retry::is_over(tries, case.mirror(self.system).since, now, limits) => {
                return self.park(case, &error.to_string(), Some(attempt)).await;
            }
            Decision::Retry { after } => *after,
            Decision::Look | Decision::Park => None,
        };
        if decision == Decision::Look && case.whole.link(self.system).is_some() {
            case.doubt(self.system, now, now);
        }
        let wait = retry::delay(tries, asked, limits.backoff, &self.lanes.ids);
        let mirror = case.mirror(self.system);
        (mirror.tries, mirror.due, mirror.state) = (tries, now + wait, MirrorState::Due);
        mirror.reason = Some(error.to_string());
        self.settle(case, Some(attempt)).await.map(rest_unless_moved)
    }

    /// Comes back later.
    pub(super) async fn postpone(&self, mut case: Case, wait: Duration) -> Result<Flow> {
        let due = self.lanes.clock.now() + wait;
        case.mirror(self.system).due = due;
        self.settle(case, None).await.map(rest_unless_moved)
    }

    /// The entity turned out to be another one: what still waits for a read of it is looked at again, and finds that one.
    async fn hand_on(&self, mut case: Case) -> Result<Flow> {
        let now = self.lanes.clock.now();
        let mut settlement = self.settlement(now);
        let waiting = self.lanes.log.waiting(self.entity, self.system).await?;
        settlement.later.extend(waiting.into_iter().map(|(change, _)| (change.id, now)));
        let mirror = case.mirror(self.system);
        mirror.answered = mirror.doubt;
        (mirror.state, mirror.reason) = (MirrorState::Idle, Some("it is another entity by now".to_owned()));
        case.into_settlement(&mut settlement);
        self.lanes.settling.settle(&settlement).await.map(rest_unless_moved)
    }

    /// Whether the rules let the entity be made here; the reason if not.
    pub(super) async fn creation(&self, case: &Case) -> Result<Creation> {
        let booked = case.asks_for_bookings(self.site) && self.lanes.lookup.is_booked(self.entity).await?;
        Ok(creation(&case.whole, self.target, &self.site.workspace, booked))
    }

    pub(super) async fn load(&self) -> Result<Option<Case>> {
        Ok(self.lanes.lookup.whole(self.entity).await?.map(Case::of))
    }

    pub(super) async fn parent(&self, case: &Case) -> Result<Option<Whole>> {
        match case.whole.entity.parent {
            Some(parent) => self.lanes.lookup.whole(parent).await,
            None => Ok(None),
        }
    }

    /// An empty settlement.
    pub(super) fn settlement(&self, now: Millis) -> Settlement {
        Settlement { priority: self.priority, ..Settlement::new(self.lease.clone(), now) }
    }

    pub(super) async fn settle(&self, case: Case, attempt: Option<Attempt>) -> Result<Settled> {
        let mut settlement = self.settlement(self.lanes.clock.now());
        settlement.attempts.extend(attempt);
        case.into_settlement(&mut settlement);
        self.lanes.settling.settle(&settlement).await
    }

    /// The row of one try that was begun at this time; what is sent later is dated so.
    pub(super) fn attempt(
        &self,
        call: Call<'_>,
        begun: Millis,
        result: &std::result::Result<u16, &SystemError>,
        trail: Trail,
    ) -> Attempt {
        let sent = trail.sent.unwrap_or(begun);
        let (status, note) = match result {
            Ok(status) => (Some(*status), None),
            Err(error) => (error.status(), Some(error.to_string())),
        };
        let result = match result {
            Ok(_) => AttemptResult::Done,
            Err(SystemError::Unclear { .. }) => AttemptResult::Unclear,
            Err(error) if error.decision() == Decision::Park => AttemptResult::Refused,
            Err(_) => AttemptResult::Retry,
        };
        let took_ms = self.lanes.clock.now().0 - sent.0;
        if trail.sent.is_some() {
            tracing::info!(
                system = %self.system, entity = %self.entity, action = %call.action, result = %result, status,
                duration_ms = took_ms, trace = trail.trace, "called {}", self.system
            );
        }
        Attempt {
            workspace: self.site.workspace.name.clone(),
            entity: self.entity,
            system: self.system,
            action: call.action,
            object: call.object.cloned(),
            fields: call.fields,
            result,
            status,
            note,
            at: sent,
            took_ms,
            lag_ms: None,
            trace: trail.trace,
            burst_left: trail.burst_left,
            day_left: trail.day_left,
        }
    }

    /// What a deletion of this kind does elsewhere.
    pub(super) fn on_delete(&self, case: &Case) -> OnDelete {
        self.site.workspace.policy.on_delete.get(&case.whole.entity.kind).copied().unwrap_or(OnDelete::Hold)
    }
}

/// One call, for its attempt row.
pub(super) struct Call<'a> {
    pub action: Action,
    pub object: Option<&'a ExternalId>,
    pub fields: Vec<Field>,
}

/// Why a write is not made now.
pub(super) struct Hold {
    pub state: MirrorState,
    pub reason: String,
    pub subject: Option<String>,
}

/// The turn ends the lane, unless rows moved: then it is judged again.
pub(super) fn rest_unless_moved(settled: Settled) -> Flow {
    match settled {
        Settled::Done => Flow::Rest,
        Settled::Moved => Flow::Again,
        Settled::LeaseLost => Flow::LeaseLost,
    }
}

/// The live link with this id.
pub(super) fn live<'a>(case: &'a Case, system: System, id: &ExternalId) -> Option<&'a Link> {
    case.link(system, id).filter(|link| link.state == LinkState::Live)
}
