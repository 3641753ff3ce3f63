//! Creating (R11): a stored intent, a look for an existing object, then one call. After an unclear answer no second create
//! before the first can no longer be applied, and a look first.

use std::ops::ControlFlow;
use std::time::Duration;

use super::apply::sent;
use super::brake::{May, TURN, shadow};
use super::graves::is_bereft;
use super::lane::{Call, Flow, Lane, RACES, rest_unless_moved};
use super::spread::{Creation, creation, parent_id};
use crate::clock::Millis;
use crate::dispatch::retry;
use crate::model::{
    Action, Attempt, Class, EntityId, ExternalId, Intent, Kind, Link, LinkState, MirrorState, Mode, Observation, Sent,
    Step, Whole,
};
use crate::resolve::Case;
use crate::resolve::claim::{Weight, weigh};
use crate::resolve::decide::{Frame, decide, landed};
use crate::resolve::identity::is_alike;
use crate::resolve::keys;
use crate::store::{Result, Settled};
use crate::systems::{Answer, Decision, Reading, SystemError, Wanted, trail};

/// What a look found.
struct Found {
    case: Case,
    /// Those that are no other entity yet.
    free: Vec<Reading>,
    /// For a contact: one that is.
    taken: Option<ExternalId>,
    attempt: Attempt,
}

impl Lane<'_> {
    /// Brings an entity into a system where it has no live link.
    pub(super) async fn create(&mut self, mut case: Case, parent: Option<&Whole>, mut step: Step) -> Result<Flow> {
        if let Creation::Not(reason) = self.creation(&case).await? {
            return self.not_there(case, parent, reason).await;
        }
        let has_contact = case.whole.entity.kind == Kind::Contact || parent_id(parent, self.system).is_some();
        if self.mode == Mode::Shadow && (has_contact || self.would_be_made(parent).await?) {
            return self.hold(case, shadow(&[step])).await;
        }
        if !has_contact && is_bereft(parent, self.system) {
            return self.rest(case, &[], "its contact was deleted there, and is not made again").await;
        }
        if !has_contact {
            return self.wait_for_parent(case, parent).await;
        }
        if let Some(hold) = self.ungranted(&step) {
            return self.hold(case, hold).await;
        }
        let now = self.lanes.clock.now();
        let Some(intent) = case.mirror(self.system).intent.clone() else {
            let intent = Intent { id: self.lanes.ids.uuid(now), since: now, sent: None, refused: None };
            case.mirror(self.system).intent = Some(intent);
            return Ok(self.settle(case, None).await?.into());
        };
        if let Some(open) = &intent.sent {
            if let Some(wait) = self.untold(open) {
                return self.postpone(case, wait).await;
            }
            // What was sent is looked for, and sent again to the letter: an idempotency key is good for one request. What was
            // edited since is a difference afterwards.
            step.whole.extend(open.fields.clone());
            (step.fields, step.stamps) = (open.fields.clone(), open.stamps.clone());
        }
        match self.may_write(&case, &step).await? {
            May::Write(_permit) => {
                step.key = Some(intent.id);
                self.look(case, &step, &intent).await
            }
            May::Wait => self.postpone(case, TURN).await,
            May::Not(hold) => self.hold(case, hold).await,
        }
    }

    /// Whether the contact, which is not there yet, would be made there first.
    async fn would_be_made(&self, contact: Option<&Whole>) -> Result<bool> {
        let Some(contact) = contact else { return Ok(false) };
        let booked = self.lanes.lookup.is_booked(contact.entity.id).await?;
        Ok(creation(contact, self.target, &self.site.workspace, booked) == Creation::Allowed)
    }

    /// Looks for an existing object that the create would double.
    async fn look(&mut self, case: Case, step: &Step, intent: &Intent) -> Result<Flow> {
        let key = intent.sent.as_ref().map(|_| intent.id);
        let wanted = Wanted { kind: step.kind, parent: step.parent.clone(), fields: step.fields.clone(), key };
        let Found { case, free, taken, attempt } = match self.find(case, &wanted, intent).await? {
            ControlFlow::Continue(found) => found,
            ControlFlow::Break(flow) => return Ok(flow),
        };
        match (free.as_slice(), taken) {
            // It was looked for, once it could be there: the refusal stands, and would be the same again.
            ([], None) if intent.refused.is_some() => self.give_up(case, intent, attempt).await,
            ([], None) => match self.deleted_here(&case).await? {
                Some(other) => {
                    let (id, system) = (self.entity, self.system);
                    let reason = format!(
                        "it could be {other}, which was deleted in {system} and stays deleted. If they are one: `lockstep \
                         match {other} --with {id}`; if they are two: `lockstep apart {id} {other}`"
                    );
                    self.park(case, &reason, Some(attempt)).await
                }
                None => self.make(case, step, intent, attempt).await,
            },
            ([], Some(owner)) => {
                let reason = format!("{} has it already as {owner}, which is another entity here", self.system);
                self.park(case, &reason, Some(attempt)).await
            }
            ([only], _) => self.adopt(case, only, intent, attempt).await,
            (several, _) => self.cannot_tell(case, several, attempt).await,
        }
    }

    /// Nothing is owed where it has no object. What a create without an answer may have made is looked for first, once that can
    /// be told: it would be taken for somebody's own. What is found is ours; else nothing was made.
    pub(super) async fn not_there(&mut self, mut case: Case, parent: Option<&Whole>, why: &str) -> Result<Flow> {
        let (kind, parent) = (case.whole.entity.kind, parent_id(parent, self.system).cloned());
        // What belongs to a contact can be asked for below it alone.
        let intent = case.mirror(self.system).intent.clone().filter(|_| kind == Kind::Contact || parent.is_some());
        let Some((intent, open)) = intent.and_then(|intent| Some((intent.clone(), intent.sent?))) else {
            return self.rest(case, &[], why).await;
        };
        if let Some(wait) = self.untold(&open) {
            return self.postpone(case, wait).await;
        }
        let wanted = Wanted { kind, parent, fields: open.fields, key: Some(intent.id) };
        let Found { mut case, free, attempt, .. } = match self.find(case, &wanted, &intent).await? {
            ControlFlow::Continue(found) => found,
            ControlFlow::Break(flow) => return Ok(flow),
        };
        match free.as_slice() {
            [] => {
                case.mirror(self.system).intent = None;
                self.put_to_rest(&mut case, &[], why);
                self.settle(case, Some(attempt)).await.map(rest_unless_moved)
            }
            [only] => self.adopt(case, only, &intent, attempt).await,
            several => self.cannot_tell(case, several, attempt).await,
        }
    }

    /// How long nothing can tell yet what became of a create that was sent: it may still be applied.
    fn untold(&self, open: &Sent) -> Option<Duration> {
        let (now, conclusive) = (self.lanes.clock.now(), open.at + self.site.workspace.policy.create_settle);
        (now < conclusive).then(|| conclusive.since(now))
    }

    /// Looks for objects that could be what an intent made, or would double.
    async fn find(&mut self, case: Case, wanted: &Wanted, intent: &Intent) -> Result<ControlFlow<Flow, Found>> {
        let at = self.lanes.clock.now();
        let (found, trail) = trail::follow(self.target.find(wanted)).await;
        let call = Call { action: Action::Find, object: None, fields: Vec::new() };
        let attempt = self.attempt(call, at, &found.as_ref().map(|_| 200), trail);
        let readings = match found {
            Ok(readings) => readings,
            Err(error) => return self.failed(case, &error, attempt).await.map(ControlFlow::Break),
        };
        Ok(match self.unlinked(readings, intent.sent.as_ref().map(|sent| sent.at)).await? {
            Some((free, taken)) => ControlFlow::Continue(Found { case, free, taken, attempt }),
            None => ControlFlow::Break(self.look_again(case, attempt).await?),
        })
    }

    /// A person is to say which of them it is.
    async fn cannot_tell(&self, case: Case, several: &[Reading], attempt: Attempt) -> Result<Flow> {
        let ids: Vec<&str> = several.iter().map(|reading| reading.observation.id.as_str()).collect();
        let reason = format!("{} has {} that it could be: {}", self.system, ids.len(), ids.join(", "));
        self.park(case, &reason, Some(attempt)).await
    }

    /// Another contact that this one could be, and that people deleted here: made as this one, it would be there again.
    async fn deleted_here(&self, case: &Case) -> Result<Option<EntityId>> {
        let (entity, workspace, lookup) = (&case.whole.entity, &self.site.workspace.name, &self.lanes.lookup);
        if entity.kind != Kind::Contact {
            return Ok(None);
        }
        let said = entity.fields.iter().map(|(field, stamped)| (field.clone(), stamped.value.clone())).collect();
        let apart = lookup.apart(workspace, entity.id).await?;
        let is_tomb = |link: &Link| link.system == self.system && link.state == LinkState::Gone;
        let is_it = |other: &Whole| {
            other.entity.id != entity.id
                && !apart.contains(&other.entity.id)
                && other.link(self.system).is_none()
                && other.links.iter().any(is_tomb)
                && is_alike(entity.kind, self.system, &said, other)
        };
        let others = lookup.contacts(workspace, &keys(&said)).await?;
        Ok(others.iter().find(|other| is_it(other)).map(|other| other.entity.id))
    }

    /// What was refused is not there either: it is for a person. An edit makes it due again, as a new intent.
    async fn give_up(&self, mut case: Case, intent: &Intent, attempt: Attempt) -> Result<Flow> {
        case.mirror(self.system).intent = None;
        self.park(case, intent.refused.as_deref().unwrap_or_default(), Some(attempt)).await
    }

    /// Nobody knows yet whose one of those is that were found. A placeholder's lane tells when it reads it.
    async fn look_again(&self, mut case: Case, attempt: Attempt) -> Result<Flow> {
        let limits = &self.site.workspace.policy.limits;
        let (now, mirror) = (self.lanes.clock.now(), case.mirror(self.system));
        let tries = mirror.tries + 1;
        if retry::is_over(tries, mirror.since, now, limits) {
            let reason = format!("{} has one that it could be, and that could not be read", self.system);
            return self.park(case, &reason, Some(attempt)).await;
        }
        let wait = retry::delay(tries, None, limits.backoff, &self.lanes.ids);
        let mirror = case.mirror(self.system);
        (mirror.tries, mirror.due) = (tries, now + wait);
        self.settle(case, Some(attempt)).await.map(rest_unless_moved)
    }

    /// Those that are no other entity yet; and for a contact, one that is. `None`: it is not known yet of one of them.
    async fn unlinked(
        &self,
        readings: Vec<Reading>,
        sent: Option<Millis>,
    ) -> Result<Option<(Vec<Reading>, Option<ExternalId>)>> {
        let mut free = Vec::new();
        let mut taken = None;
        let apart = self.lanes.lookup.apart(&self.site.workspace.name, self.entity).await?;
        for reading in readings {
            let seen = &reading.observation;
            let link = self.lanes.lookup.link(&self.site.workspace.name, self.system, seen.kind, &seen.id).await?;
            if let Some(link) = link.as_ref().filter(|link| link.is_live() && link.entity != self.entity) {
                self.look_closer(link, seen).await?;
            }
            match link {
                None if self.may_be_anothers(seen, sent).await? => return Ok(None),
                None => free.push(reading),
                Some(link) if apart.contains(&link.entity) => {}
                Some(link) if link.is_live() && self.may_be_ours(&link).await? => return Ok(None),
                Some(link) if link.is_live() && seen.kind == Kind::Contact => taken = Some(link.id),
                // Two equal tasks, notes or bookings are two things.
                Some(_) => {}
            }
        }
        Ok(Some((free, taken)))
    }

    /// What a look shows of an object that is another entity, and that was not known of it, is read: it may be overwritten else.
    async fn look_closer(&self, link: &Link, seen: &Observation) -> Result<()> {
        let claim = Observation { class: Class::Claim, ..seen.clone() };
        if weigh(self.target, link, &claim) == Weight::Echo {
            return Ok(());
        }
        for _ in 0..RACES {
            let Some(owner) = self.lanes.lookup.whole(link.entity).await? else { return Ok(()) };
            let (mut owner, now) = (Case::of(owner), self.lanes.clock.now());
            owner.doubt(self.system, now, now);
            let mut settlement = self.with_attempts(Vec::new());
            owner.into_settlement(&mut settlement);
            if self.lanes.settling.settle(&settlement).await? != Settled::Moved {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether an object that was found may be what another entity's create has made, which was sent before ours.
    async fn may_be_anothers(&self, seen: &Observation, sent: Option<Millis>) -> Result<bool> {
        let (workspace, lookup) = (&self.site.workspace.name, &self.lanes.lookup);
        let theirs = lookup.sent_creates(workspace, self.system, seen.kind, seen.fields(), self.entity).await?;
        Ok(theirs.is_some_and(|theirs| sent.is_none_or(|ours| theirs < ours)))
    }

    /// Whether an object that was found was linked with this entity while we looked, or with a placeholder, which may turn out
    /// to be this entity.
    async fn may_be_ours(&self, link: &Link) -> Result<bool> {
        let owner = self.lanes.lookup.whole(link.entity).await?;
        Ok(link.entity == self.entity || owner.is_some_and(|owner| owner.entity.is_placeholder()))
    }

    /// The object is there already: it is linked, and decided like any reading. After an open create of ours it is most likely
    /// what that made, for there was none before: what it held first is what was sent, and what differs was edited since. A
    /// person may have been quicker, so that what it takes the place of is kept.
    async fn adopt(&mut self, mut case: Case, found: &Reading, intent: &Intent, attempt: Attempt) -> Result<Flow> {
        let (seen, now) = (&found.observation, self.lanes.clock.now());
        let mut link = Link::new(&self.site.workspace.name, self.entity, self.system, seen.kind, seen.id.clone());
        if let Some(open) = &intent.sent {
            landed(&mut link, open, None, now);
            link.seen = open.at;
            link.ledger.push(open.clone().as_landed());
        }
        let supposed = intent.sent.is_some();
        let frame = Frame { supposed, ..Frame::of(&self.site.workspace.policy, self.target, now) };
        let seen = Observation { class: Class::Current, ..seen.clone() };
        let verdict = decide(&case.whole.entity, &link, &seen, &frame);
        case.accept(verdict, None);
        self.linked(case, attempt).await
    }

    /// The one call that creates.
    async fn make(&mut self, mut case: Case, step: &Step, intent: &Intent, look: Attempt) -> Result<Flow> {
        let since = case.mirror(self.system).since;
        let at = self.lanes.clock.now();
        let open = sent(step, at);
        case.mirror(self.system).intent = Some(Intent { sent: Some(open.clone()), ..intent.clone() });
        match self.settle(case, Some(look)).await? {
            Settled::Done => {}
            moved => return Ok(moved.into()),
        }
        let (result, trail) = trail::carry_out(at, self.target.apply(step)).await;
        let object = result.as_ref().ok().map(|answer| answer.id.clone());
        let call =
            Call { action: Action::Create, object: object.as_ref(), fields: step.fields.keys().cloned().collect() };
        let mut attempt = self.attempt(call, at, &result.as_ref().map(|answer| answer.status), trail);
        match result {
            Ok(answer) => {
                attempt.lag_ms = since.map(|since| self.lanes.clock.now().0 - since.0);
                self.settle_made(&open, &answer, attempt).await
            }
            Err(error) => self.settle_not_made(&error, intent.sent.as_ref(), attempt).await,
        }
    }

    async fn settle_made(&mut self, open: &Sent, answer: &Answer, attempt: Attempt) -> Result<Flow> {
        for _ in 0..RACES {
            let Some(mut case) = self.load().await? else { return Ok(Flow::Rest) };
            let kind = case.whole.entity.kind;
            let link = match self.lanes.lookup.link(&self.site.workspace.name, self.system, kind, &answer.id).await? {
                // Its webhook overtook the answer, and made a placeholder of it: ours all the same.
                Some(link) => Link { entity: self.entity, state: LinkState::Live, ..link },
                None => Link::new(&self.site.workspace.name, self.entity, self.system, kind, answer.id.clone()),
            };
            let link = Link { seen: self.lanes.clock.now(), ..link };
            self.land(&mut case, link, open, answer);
            match self.linked(case, attempt.clone()).await? {
                Flow::Again if self.load().await?.is_some_and(|case| case.whole.link(self.system).is_none()) => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Rest)
    }

    /// There is a link now: the intent is done, children that waited are released.
    async fn linked(&mut self, mut case: Case, attempt: Attempt) -> Result<Flow> {
        let now = self.lanes.clock.now();
        let mirror = case.mirror(self.system);
        (mirror.intent, mirror.tries, mirror.reason) = (None, 0, None);
        let booked = case.asks_for_bookings(self.site) && self.lanes.lookup.is_booked(self.entity).await?;
        case.spread(self.site, booked, now, now);
        let mut settlement = self.with_attempts(vec![attempt]);
        settlement.release.push((self.entity, self.system));
        case.into_settlement(&mut settlement);
        self.fresh = true;
        Ok(self.lanes.settling.settle(&settlement).await?.into())
    }

    /// `before`: what was open already when it was sent.
    async fn settle_not_made(&mut self, error: &SystemError, before: Option<&Sent>, attempt: Attempt) -> Result<Flow> {
        for _ in 0..RACES {
            let Some(mut case) = self.load().await? else { return Ok(Flow::Rest) };
            if let SystemError::Exists { existing, .. } = error {
                return self.meet(case, existing, attempt).await;
            }
            let unclear = matches!(error, SystemError::Unclear { .. });
            if let Some(intent) = case.mirror(self.system).intent.as_mut() {
                intent.sent = match error.decision() {
                    _ if unclear => intent.sent.take().map(|sent| Sent { unclear, ..sent }),
                    // Nobody looked at it, so it tells nothing of what was sent before.
                    Decision::Retry { .. } | Decision::Later(_) | Decision::Grant(_) | Decision::Connect => {
                        before.cloned()
                    }
                    Decision::Park | Decision::Look => None,
                };
                intent.refused = refused(error);
                if intent.sent.is_none() {
                    // Its key is good for what was sent, and what is sent next may be edited.
                    intent.id = self.lanes.ids.uuid(self.lanes.clock.now());
                }
            }
            let flow = if unclear {
                self.leave_open(case, error, attempt.clone()).await?
            } else {
                self.failed(case, error, attempt.clone()).await?
            };
            match flow {
                Flow::Again => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Rest)
    }

    /// Nobody knows whether it was made. It is looked for when that can be told, and then it may be sent again: so many times,
    /// with growing waits between. What is parked keeps its intent, so that it is looked for first also after that.
    async fn leave_open(&self, mut case: Case, error: &SystemError, attempt: Attempt) -> Result<Flow> {
        let policy = &self.site.workspace.policy;
        if case.whole.link(self.system).is_some() {
            // Its webhook was here before the answer: it was made, and is read next.
            return self.settle(case, Some(attempt)).await.map(rest_unless_moved);
        }
        let (now, mirror) = (self.lanes.clock.now(), case.mirror(self.system));
        let tries = mirror.tries + 1;
        if retry::is_over(tries, mirror.since, now, &policy.limits) {
            return self.park(case, &error.to_string(), Some(attempt)).await;
        }
        let wait = retry::delay(tries, Some(policy.create_settle), policy.limits.backoff, &self.lanes.ids);
        let mirror = case.mirror(self.system);
        (mirror.tries, mirror.due) = (tries, now + wait);
        mirror.reason = Some(error.to_string());
        self.settle(case, Some(attempt)).await.map(rest_unless_moved)
    }

    /// The system refuses to double an object that it has: link it, unless it is another entity, and read it.
    async fn meet(&mut self, mut case: Case, existing: &ExternalId, attempt: Attempt) -> Result<Flow> {
        let kind = case.whole.entity.kind;
        let known = self.lanes.lookup.link(&self.site.workspace.name, self.system, kind, existing).await?;
        if let Some(other) = known.map(|link| link.entity).filter(|other| *other != self.entity) {
            let apart = self.lanes.lookup.apart(&self.site.workspace.name, self.entity).await?.contains(&other);
            let reason = if apart {
                format!("{} lets no second one be made beside {existing}, from which it is kept apart", self.system)
            } else {
                format!("{} has it already as {existing}, which is another entity here", self.system)
            };
            return self.park(case, &reason, Some(attempt)).await;
        }
        let now = self.lanes.clock.now();
        case.put_link(Link::new(&self.site.workspace.name, self.entity, self.system, kind, existing.clone()));
        case.doubt(self.system, now, now);
        self.linked(case, attempt).await
    }

    /// The contact is not there yet: its mirror releases this one.
    async fn wait_for_parent(&self, mut case: Case, parent: Option<&Whole>) -> Result<Flow> {
        let mirror = case.mirror(self.system);
        mirror.state = MirrorState::Waiting;
        mirror.reason = Some(format!("waits for its contact in {}", self.system));
        mirror.due = self.lanes.clock.now();
        let settled = self.settle(case, None).await?;
        // The contact may have been linked between our look and this settling.
        if let (Settled::Done, Some(parent)) = (settled, parent) {
            let now = self.lanes.lookup.whole(parent.entity.id).await?;
            if parent_id(now.as_ref(), self.system).is_some() {
                let mut settlement = self.settlement(self.lanes.clock.now());
                settlement.release.push((parent.entity.id, self.system));
                return self.lanes.settling.settle(&settlement).await.map(Flow::from);
            }
        }
        Ok(rest_unless_moved(settled))
    }
}

/// A refusal that may have been carried out all the same. A 4xx is unclear only where a connector knows its vendor to do so;
/// 408 is no refusal but a request that was not taken in.
fn refused(error: &SystemError) -> Option<String> {
    match error {
        SystemError::Unclear { status: Some(400..=407 | 409..=499), reason, system } => {
            Some(format!("{system} refuses it: {reason}"))
        }
        _ => None,
    }
}
