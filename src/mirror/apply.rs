//! One step, one call: what is sent is stored before, what came back moves the snapshot.

use super::begin::Begun;
use super::lane::{Call, Flow, Lane, RACES, live};
use super::plan::Plan;
use crate::model::{Action, Attempt, ExternalId, Field, Life, Link, LinkState, Mirror, MirrorState, Sent, Stamp, Step};
use crate::resolve::Case;
use crate::resolve::decide::{Frame, answered, landed};
use crate::store::{Result, Settled, Settlement};
use crate::systems::trail::Trail;
use crate::systems::{Answer, SystemError, trail};

impl Lane<'_> {
    /// Makes the call of a step.
    pub(super) async fn apply(&mut self, mut case: Case, step: &Step, last: bool) -> Result<Flow> {
        let Some(link) = case.whole.link(self.system).cloned() else { return Ok(Flow::Rest) };
        let since = case.mirror(self.system).since.filter(|_| last);
        let sent = sent(step, self.lanes.clock.now());
        case.put_link(Link { sent: Some(sent.clone()), ..link.clone() });
        if sent.deletes {
            case.rest_on_all();
        }
        match self.settle(case, None).await? {
            Settled::Done => {}
            moved => return Ok(moved.into()),
        }
        let (entity, system, step) = (self.entity, self.system, step.clone());
        self.call(Begun { entity, system, object: link.id, step, sent, since }).await
    }

    /// Makes a call that is stored as sent.
    pub(super) async fn call(&mut self, begun: Begun) -> Result<Flow> {
        let Begun { object, step, sent, since, .. } = begun;
        let (result, trail) = trail::carry_out(sent.at, self.target.apply(&step)).await;
        let call = Call { action: step.action, object: Some(&object), fields: step.fields.keys().cloned().collect() };
        let mut attempt = self.attempt(call, sent.at, &result.as_ref().map(|answer| answer.status), trail);
        match result {
            Ok(answer) => {
                let now = self.lanes.clock.now();
                attempt.lag_ms = since.map(|since| now.0 - since.0);
                self.settle_answer(&object, &sent, &answer, attempt).await
            }
            Err(error) => self.settle_failure(&object, &error, attempt).await,
        }
    }

    async fn settle_answer(&self, id: &ExternalId, sent: &Sent, answer: &Answer, attempt: Attempt) -> Result<Flow> {
        for _ in 0..RACES {
            let Some(mut case) = self.load().await? else { return Ok(Flow::Rest) };
            if let Some(link) = live(&case, self.system, id).cloned() {
                self.land(&mut case, link, sent, answer);
                let mirror = case.mirror(self.system);
                (mirror.tries, mirror.reason) = (0, None);
            }
            let now = self.lanes.clock.now();
            let mut settlement = self.with_attempts(vec![attempt.clone()]);
            if sent.deletes {
                self.doubt_bookings(&case, &mut settlement).await?;
                self.follow_to_the_grave(&mut case, &mut settlement).await?;
            }
            // Others are owed nothing by an answer that shows what was sent, and their lanes need not look again.
            if case.is_news_beyond(self.system) {
                let booked = case.asks_for_bookings(self.site) && self.lanes.lookup.is_booked(self.entity).await?;
                case.spread(self.site, booked, now, now);
            }
            let done = self.owes_nothing(&case).await?;
            if let Some(moves) = &done {
                self.put_to_rest(&mut case, moves, "");
            }
            case.into_settlement(&mut settlement);
            match self.lanes.settling.settle(&settlement).await? {
                Settled::Done => return Ok(if done.is_some() { Flow::Rest } else { Flow::Again }),
                Settled::Moved => {}
                Settled::LeaseLost => return Ok(Flow::LeaseLost),
            }
        }
        Ok(Flow::Again)
    }

    /// The stamps that move where nothing more is owed: what the next turn would find, by one look and one commit more.
    async fn owes_nothing(&self, case: &Case) -> Result<Option<Vec<(Field, Stamp)>>> {
        let (link, mirror) = (case.whole.link(self.system), case.whole.mirror(self.system));
        let now = self.lanes.clock.now();
        let is_due = |mirror: &Mirror| mirror.state == MirrorState::Due && mirror.due <= now && !mirror.doubts();
        let may_rest = link.is_some_and(|link| link.sent.is_none()) && mirror.is_some_and(is_due);
        if !may_rest || matches!(case.whole.entity.life, Life::Merged(_)) {
            return Ok(None);
        }
        let parent = self.parent(case).await?;
        Ok(match self.plan(case, parent.as_ref()) {
            Plan::Settled { moves, stuck } if stuck.is_empty() => Some(moves),
            _ => None,
        })
    }

    /// Moves the snapshot: the sent fields with the stamps they carried; what else the answer shows is decided as current.
    pub(super) fn land(&self, case: &mut Case, mut link: Link, sent: &Sent, answer: &Answer) {
        let shown = answer.shown.as_ref();
        link.sent = None;
        if sent.deletes {
            link.state = LinkState::Gone;
            // It stays known that we deleted it.
            link.ledger.push(sent.clone());
            case.put_link(link);
            return;
        }
        landed(&mut link, sent, shown, self.lanes.clock.now());
        let Some(shown) = shown else {
            case.put_link(link);
            return;
        };
        let frame = Frame::of(&self.site.workspace.policy, self.target, self.lanes.clock.now());
        case.accept_answer(answered(&case.whole.entity, &link, sent, shown, &frame));
    }

    /// The write did not go through, or nobody knows: an unclear one stays with the link until a read has cleared it.
    async fn settle_failure(&self, id: &ExternalId, error: &SystemError, attempt: Attempt) -> Result<Flow> {
        let unclear = matches!(error, SystemError::Unclear { .. });
        for _ in 0..RACES {
            let Some(mut case) = self.load().await? else { return Ok(Flow::Rest) };
            if let Some(mut link) = live(&case, self.system, id).cloned() {
                link.sent = link.sent.filter(|_| unclear).map(|sent| Sent { unclear: true, ..sent });
                case.put_link(link);
            }
            match self.failed(case, error, attempt.clone()).await? {
                Flow::Again => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Rest)
    }

    /// A write of which nobody settled what became of it: the process that sent it ended, or its store failed. It is unclear from
    /// now on, and has a row like any other.
    pub(super) fn left_behind(&self, case: &mut Case) -> Option<Attempt> {
        let (action, object, sent) = case.leave_open(self.system)?;
        let reason = "nobody learned of its answer".to_owned();
        let unclear = SystemError::Unclear { system: self.system, status: None, reason };
        let call = Call { action, object: object.as_ref(), fields: sent.fields.into_keys().collect() };
        let trail = Trail { sent: Some(sent.at), ..Trail::default() };
        Some(self.attempt(call, sent.at, &Err(&unclear), trail))
    }

    /// Settles nothing but an attempt; for calls whose result changes no row.
    pub(super) fn with_attempts(&self, attempts: Vec<Attempt>) -> Settlement {
        Settlement { attempts, ..self.settlement(self.lanes.clock.now()) }
    }
}

/// What is stored before a step's call.
pub(super) fn sent(step: &Step, at: crate::clock::Millis) -> Sent {
    let deletes = step.action == Action::Delete;
    Sent { fields: step.fields.clone(), stamps: step.stamps.clone(), at, deletes, unclear: false }
}
