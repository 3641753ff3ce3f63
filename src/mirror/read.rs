//! The lane's read: what the system holds is decided, the claims that waited for it get their verdicts.

use super::deletion::is_nowhere;
use super::graves::{former_id, settle_deletes};
use super::lane::{Call, Flow, Lane, RACES, live};
use super::spread::make_due;
use crate::clock::Millis;
use crate::model::{
    Action, Attempt, Change, ChangeId, EntityId, ExternalId, Finding, Kind, Life, Link, LinkState, MirrorState,
    NewChange, Observation, Origin, Outcome, Place, Shape, VerdictRow,
};
use crate::resolve::claim;
use crate::resolve::decide::{Frame, Verdict, decide, deletion_stamp};
use crate::resolve::identity::Match;
use crate::resolve::{Case, summary, unconfirmed};
use crate::store::{Result, Settled, Settlement};
use crate::systems::{Reading, trail};

/// A claim that waits for the read.
pub(super) struct Waiting {
    pub(super) change: Change,
    pub(super) observation: Option<Observation>,
}

impl Waiting {
    /// Whether the system itself told that the object is deleted.
    fn says_deleted(&self) -> bool {
        let told = self.change.said.origin == Origin::Webhook;
        told && self.observation.as_ref().is_some_and(|seen| seen.shape == Shape::Gone)
    }
}

impl Lane<'_> {
    /// Reads the object and settles what it shows. Answers the doubts raised before it is sent.
    pub(super) async fn read(&mut self, mut case: Case) -> Result<Flow> {
        let Some(link) = case.whole.link(self.system).cloned() else { return Ok(Flow::Rest) };
        let parent = self.parent(&case).await?;
        let parent = former_id(parent.as_ref(), self.system).cloned();
        let place = Place { kind: link.kind, id: link.id.clone(), parent };
        let doubt = case.mirror(self.system).doubt;
        let _asking = self.lanes.lookup.asking(self.entity, self.system);
        let sent = self.lanes.clock.now();
        let (result, trail) = trail::follow(self.target.read(&place)).await;
        let call = Call { action: Action::Read, object: Some(&link.id), fields: Vec::new() };
        let attempt = self.attempt(call, sent, &result.as_ref().map(|reading| reading.status), trail);
        match result {
            Ok(reading) => {
                self.tell_within(&link, &reading).await?;
                if let Some(flow) = self.merged(&case, &link, &reading, doubt, &attempt).await? {
                    return Ok(flow);
                }
                self.settle_reading(&link, &reading, doubt, attempt).await
            }
            Err(error) => self.failed(case, &error, attempt).await,
        }
    }

    async fn settle_reading(&mut self, asked: &Link, reading: &Reading, doubt: i64, attempt: Attempt) -> Result<Flow> {
        for _ in 0..RACES {
            let Some(case) = self.load().await? else { return Ok(Flow::Rest) };
            let Some(link) = live(&case, self.system, &asked.id).cloned() else {
                // Moved to another id, or found gone meanwhile: this reading says nothing any more.
                return Ok(self.settle(case, Some(attempt.clone())).await?.into());
            };
            if claim::is_overtaken(asked, &link, &reading.observation) {
                return Ok(self.settle(case, Some(attempt.clone())).await?.into());
            }
            let finds_out_who = case.whole.entity.is_placeholder() || reading.observation.guest.is_some();
            let _matching =
                if finds_out_who { Some(self.lanes.lookup.matching(&self.site.workspace.name).await) } else { None };
            let settlement = match self.moved_on(&reading.observation).await? {
                Some(new) => self.follow(case, &reading.observation, &new, doubt, &attempt).await?,
                None => self.judge(case, link, reading, doubt, &attempt).await?,
            };
            match self.lanes.settling.settle(&settlement).await? {
                Settled::Done => {
                    self.fresh = true;
                    self.alone = reading.within.as_ref().filter(|within| within.is_empty()).map(|_| asked.id.clone());
                    return Ok(Flow::Again);
                }
                Settled::Moved => {}
                Settled::LeaseLost => return Ok(Flow::LeaseLost),
            }
        }
        Ok(Flow::Rest)
    }

    /// Everything that one reading changes.
    async fn judge(
        &self,
        mut case: Case,
        link: Link,
        reading: &Reading,
        doubt: i64,
        attempt: &Attempt,
    ) -> Result<Settlement> {
        let now = self.lanes.clock.now();
        let mut settlement = self.settlement(now);
        let waiting = self.waiting(doubt, &reading.observation).await?;
        let told = waiting.iter().filter_map(|waiting| waiting.observation.as_ref());
        let seen = &claim::completed(&reading.observation, told);
        self.receive(&mut case, seen, &mut settlement).await?;
        let (mut whose, ambiguous) = self.whose(&mut case, &link, seen, &mut settlement).await?;
        // The link as the entity has it that the object turned out to be.
        let link = whose.as_ref().and_then(|whose| live(whose, self.system, &link.id)).cloned().unwrap_or(link);
        let subject = whose.as_mut().unwrap_or(&mut case);
        let orphaned = self.is_orphaned(subject, reading).await?;
        let stamp = deletion_stamp(&link, seen);
        let verdict = self.verdict(subject, link, seen, &waiting, orphaned);
        self.rule(&waiting, &verdict, subject, &mut settlement, now);
        let (deleted, gone) = (verdict.deleted, !verdict.link.is_live());
        subject.accept(verdict, None);
        if deleted {
            let claimed = waiting.iter().any(Waiting::says_deleted);
            self.found_deleted(subject, stamp, claimed, &mut settlement).await?;
        } else if gone && orphaned && is_nowhere(&subject.whole) {
            subject.bury(stamp);
        }
        if gone {
            self.follow_to_the_grave(subject, &mut settlement).await?;
        }
        self.rouse_contact(subject, &mut settlement).await?;
        let is_booked =
            subject.asks_for_bookings(self.site) && self.lanes.lookup.is_booked(subject.whole.entity.id).await?;
        subject.spread(self.site, is_booked, now, now);
        if let Some(reason) = ambiguous {
            subject.ambiguous(self.site, self.system, &reason, now);
        }
        self.spread_to_contact(subject, seen.kind, &mut settlement, now).await?;
        let mirror = case.mirror(self.system);
        (mirror.answered, mirror.tries) = (mirror.answered.max(doubt), 0);
        settlement.attempts.push(attempt.clone());
        if let Some(whose) = whose {
            case.whole.entity.life = Life::Merged(whose.whole.entity.id);
            // Claims that came in after the read was sent wait here in vain: the next turn hands them on.
            let mirror = case.mirror(self.system);
            mirror.state = if mirror.doubts() { MirrorState::Due } else { MirrorState::Idle };
            mirror.reason = None;
            whose.into_settlement(&mut settlement);
        }
        case.into_settlement(&mut settlement);
        Ok(settlement)
    }

    /// A placeholder's first reading may show that it is an entity we have: then that one takes the link over. Second: why
    /// it cannot be told; it is then parked towards the other systems.
    async fn whose(
        &self,
        case: &mut Case,
        link: &Link,
        seen: &Observation,
        settlement: &mut Settlement,
    ) -> Result<(Option<Case>, Option<String>)> {
        let Some(fields) = seen.fields().filter(|_| case.whole.entity.is_placeholder()) else {
            return Ok((None, None));
        };
        let (workspace, lookup) = (&self.site.workspace.name, &self.lanes.lookup);
        if let Some(other) = self.moved_here(case, link, seen).await? {
            return Ok((Some(other), None));
        }
        let parent = match (case.whole.entity.parent, &seen.parent) {
            (None, Some(contact)) => {
                lookup.link(workspace, self.system, Kind::Contact, contact).await?.map(|link| link.entity)
            }
            (parent, _) => parent,
        };
        case.whole.entity.parent = parent;
        let own = Some(self.entity);
        match lookup.identify(workspace, self.system, link.kind, parent, fields, own).await? {
            Match::New => Ok((None, None)),
            Match::Ambiguous(reason) => Ok((None, Some(reason))),
            Match::Same(entity) => {
                let Some(whole) = lookup.whole(entity).await? else { return Ok((None, None)) };
                let mut other = Case::of(whole);
                case.whole.links.retain(|link| link.system != self.system || !link.is_live());
                other.put_found(Link { entity, ..link.clone() });
                lookup.adopt(self.site, self.entity, entity, settlement).await?;
                // It may wait there for a create that is needed no more.
                let now = self.lanes.clock.now();
                make_due(other.mirror(self.system), now, now);
                Ok((Some(other), None))
            }
        }
    }

    /// Whether the contact is gone from this system: it was found gone, or what stands within it was looked for and the
    /// contact itself was not there.
    async fn is_orphaned(&self, case: &Case, reading: &Reading) -> Result<bool> {
        let contact = self.parent(case).await?;
        if reading.orphaned {
            return Ok(true);
        }
        Ok(contact.is_some_and(|contact| {
            let gone = |link: &Link| link.system == self.system && link.state == LinkState::Gone;
            contact.link(self.system).is_none() && contact.links.iter().any(gone)
        }))
    }

    fn verdict(&self, case: &Case, link: Link, seen: &Observation, waiting: &[Waiting], orphaned: bool) -> Verdict {
        let now = self.lanes.clock.now();
        let policy = &self.site.workspace.policy;
        let evidence = claim::evidence(waiting.iter().filter_map(|waiting| waiting.observation.as_ref()));
        let frame = Frame { evidence: &evidence, orphaned, ..Frame::of(policy, self.target, now) };
        let mut verdict = decide(&case.whole.entity, &link, seen, &frame);
        // What landed is in the snapshot now.
        verdict.link.leave_open();
        settle_deletes(&mut verdict.link);
        verdict.link.ledger.retain(|sent| sent.is_done_delete() || now.since(sent.at) <= policy.late_write);
        verdict
    }

    pub(super) async fn waiting(&self, doubt: i64, seen: &Observation) -> Result<Vec<Waiting>> {
        let rows = self.lanes.log.waiting(self.entity, self.system).await?;
        let read = |change: Change| {
            let about = |said: &Observation| said.kind == seen.kind && said.id == seen.id;
            let observation = claim::read(self.target, &change).ok().and_then(|said| said.into_iter().find(about));
            Waiting { change, observation }
        };
        Ok(rows.into_iter().filter(|(_, number)| *number <= doubt).map(|(change, _)| read(change)).collect())
    }

    /// The verdicts of the claims that waited, and a row for what the reading found by itself.
    fn rule(&self, waiting: &[Waiting], verdict: &Verdict, case: &mut Case, settlement: &mut Settlement, now: Millis) {
        let entity = case.whole.entity.id;
        let last = waiting.last().map(|waiting| waiting.change.id);
        for Waiting { change, observation } in waiting {
            let row = match observation {
                Some(claim) if claim.fields().is_some() => {
                    let (mut findings, conflicts) =
                        unconfirmed(self.target, &verdict.link, claim, change.said.received);
                    let lost = !conflicts.is_empty();
                    case.keep(conflicts, Some(change.id));
                    let confirmed =
                        |(field, _): &(&_, &Finding)| claim.fields().is_some_and(|f| f.contains_key(*field));
                    let told = verdict.told();
                    let shared: Vec<_> =
                        told.iter().filter(confirmed).map(|(f, finding)| (f.clone(), *finding)).collect();
                    for (field, finding) in shared {
                        findings.entry(field).or_insert(finding);
                    }
                    let (outcome, why) = claim_outcome(&findings, lost);
                    VerdictRow { findings, ..verdict_row(change, entity, outcome, why.to_owned(), now) }
                }
                _ if last != Some(change.id) => {
                    let why = format!("change {} of the same object took its place", last.unwrap_or(ChangeId(0)));
                    verdict_row(change, entity, Outcome::Superseded, why, now)
                }
                Some(claim) if claim.shape == Shape::Gone && verdict.link.is_live() => {
                    verdict_row(change, entity, Outcome::Superseded, "the object is still there".to_owned(), now)
                }
                _ => {
                    let (outcome, why) = summary(verdict);
                    VerdictRow { findings: verdict.told(), ..verdict_row(change, entity, outcome, why.to_owned(), now) }
                }
            };
            settlement.verdicts.push(row);
        }
        if waiting.is_empty() && verdict.found_something() {
            settlement.readings.push(self.reading_row(verdict, entity, now));
        }
    }

    /// The row of what a look at an object found by itself, without a claim.
    pub(super) fn sighting(&self, label: &str, kind: Kind, object: &ExternalId, now: Millis) -> NewChange {
        let key = format!("read/{}/{}", self.system, self.lanes.ids.uuid(now));
        let bare = NewChange::from_inside(Origin::Read, label, key, &self.site.workspace.name, self.system, now);
        NewChange { kind: Some(kind), object: Some(object.clone()), ..bare }
    }

    fn reading_row(&self, verdict: &Verdict, entity: EntityId, now: Millis) -> (NewChange, VerdictRow) {
        let link = &verdict.link;
        let change = self.sighting("read", link.kind, &link.id, now);
        let (outcome, why) = summary(verdict);
        let findings = verdict.told();
        let row =
            VerdictRow { change: ChangeId(0), entity: Some(entity), outcome, findings, why: why.to_owned(), at: now };
        (change, row)
    }

    /// A first appointment makes its contact one that has an appointment: systems that want those may owe it now.
    pub(super) async fn spread_to_contact(
        &self,
        case: &Case,
        kind: Kind,
        settlement: &mut Settlement,
        now: Millis,
    ) -> Result<()> {
        let is_told = |contact: &EntityId| settlement.mirrors.iter().any(|mirror| mirror.entity == *contact);
        let contact = case.whole.entity.parent.filter(|_| kind == Kind::Appointment);
        let Some(contact) = contact.filter(|contact| !is_told(contact)) else { return Ok(()) };
        if let Some(whole) = self.lanes.lookup.whole(contact).await? {
            let mut contact = Case::of(whole);
            contact.spread(self.site, true, now, now);
            contact.into_settlement(settlement);
        }
        Ok(())
    }
}

/// What became of a claim, from what was found in its fields.
fn claim_outcome(
    findings: &std::collections::BTreeMap<crate::model::Field, Finding>,
    lost: bool,
) -> (Outcome, &'static str) {
    let found = |finding: Finding| findings.values().any(|f| *f == finding);
    if lost || found(Finding::Lost) {
        (Outcome::Conflict, "a value of it lost, and is kept")
    } else if found(Finding::Taken) || found(Finding::Agreed) || found(Finding::United) {
        (Outcome::Applied, "the system was read, and its values are true now")
    } else if found(Finding::Stale) {
        (Outcome::Superseded, "the system was read, and holds other values by now")
    } else {
        (Outcome::Echo, "the system was read, and holds what was known")
    }
}

/// A verdict without findings.
pub(super) fn verdict_row(change: &Change, entity: EntityId, outcome: Outcome, why: String, now: Millis) -> VerdictRow {
    let findings = std::collections::BTreeMap::new();
    VerdictRow { change: change.id, entity: Some(entity), outcome, findings, why, at: now }
}
