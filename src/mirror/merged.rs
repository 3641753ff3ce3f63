//! Merges at a vendor: one contact vanishes, and another one of the same system carries what it was known by.
//!
//! In: a reading that found a contact gone, and not by us. Out: the two entities as one, or both parked where another system
//! holds both. What is known here is asked first, then the system itself; more than one that it could be is a deletion like
//! any other, as is nobody at all. Never guesses.

use std::collections::BTreeSet;

use super::lane::{Call, Flow, Lane, RACES, live};
use crate::model::{
    Action, Attempt, ChangeId, EntityId, ExternalId, Field, Fields, Kind, Link, LinkState, MirrorState, Outcome, Shape,
    VerdictRow,
};
use crate::resolve::merge::{self, Favour};
use crate::resolve::{Case, Found, questions};
use crate::store::{Keys, Result, Settled, Settlement};
use crate::systems::{Reading, Wanted, trail};

/// Who carries on for a contact that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heir {
    /// This entity.
    Known(EntityId),
    /// An object that nobody knows yet: the same entity, under another id. With the fields that it has.
    New(ExternalId, BTreeSet<Field>),
}

impl Lane<'_> {
    /// Settles a reading that found a contact merged into another one; `None`: it is no merge.
    pub(super) async fn merged(
        &self,
        case: &Case,
        link: &Link,
        reading: &Reading,
        doubt: i64,
        attempt: &Attempt,
    ) -> Result<Option<Flow>> {
        let ours = link.was_deleted_by_us();
        let gone = reading.observation.shape == Shape::Gone && link.kind == Kind::Contact;
        if !gone || ours || !link.is_known() || !case.whole.entity.is_live() {
            return Ok(None);
        }
        let known_by = merge::keys(link);
        if known_by.is_empty() {
            return Ok(None);
        }
        let mut attempts = vec![attempt.clone()];
        let heir = match self.known_heir(link, &known_by).await? {
            Some(heir) => heir,
            None => match self.shown_heir(link, known_by, &mut attempts).await? {
                Ok(Some(heir)) => heir,
                Ok(None) => {
                    let asked = self.with_attempts(attempts.split_off(1));
                    self.lanes.settling.settle(&asked).await?;
                    return Ok(None);
                }
                Err(flow) => return Ok(Some(flow)),
            },
        };
        self.settle_merged(link, &heir, reading, doubt, &attempts).await.map(Some)
    }

    /// The one that carries on, by what is known of the others.
    async fn known_heir(&self, link: &Link, known_by: &Fields) -> Result<Option<Heir>> {
        let workspace = &self.site.workspace.name;
        let keys = Keys::of(|field| known_by.get(field).unwrap_or(&crate::model::Value::Blank));
        let others = self.lanes.lookup.contacts(workspace, &keys).await?;
        let apart = self.lanes.lookup.apart(workspace, self.entity).await?;
        Ok(merge::heir(link, &others, &apart).map(Heir::Known))
    }

    /// The one that carries on, as the system itself shows: it may have another e-mail, and this one beside it.
    async fn shown_heir(
        &self,
        link: &Link,
        fields: Fields,
        attempts: &mut Vec<Attempt>,
    ) -> Result<std::result::Result<Option<Heir>, Flow>> {
        let wanted = Wanted { kind: link.kind, parent: None, fields, key: None };
        let at = self.lanes.clock.now();
        let (found, trail) = trail::follow(self.target.find(&wanted)).await;
        let call = Call { action: Action::Find, object: Some(&link.id), fields: Vec::new() };
        attempts.push(self.attempt(call, at, &found.as_ref().map(|_| 200), trail));
        let readings = match found {
            Ok(readings) => readings,
            // Looked at again with the next read: a merge is not taken for a deletion because nobody could be asked.
            Err(error) => {
                let Some(case) = self.load().await? else { return Ok(Err(Flow::Rest)) };
                let attempt = attempts.pop();
                let Some(attempt) = attempt else { return Ok(Err(Flow::Rest)) };
                return self.failed(case, &error, attempt).await.map(Err);
            }
        };
        let workspace = &self.site.workspace.name;
        let apart = self.lanes.lookup.apart(workspace, self.entity).await?;
        let seen = merge::shown(link, readings.iter().map(|reading| &reading.observation));
        let [only] = seen[..] else { return Ok(Ok(None)) };
        let Some(known) = self.lanes.lookup.link(workspace, self.system, link.kind, &only.id).await? else {
            return Ok(Ok(Some(Heir::New(only.id.clone(), merge::has(only)))));
        };
        let whole = self.lanes.lookup.whole(known.entity).await?;
        let heir = whole.filter(|whole| merge::may_be(link, whole, &apart)).map(|whole| Heir::Known(whole.entity.id));
        Ok(Ok(heir))
    }

    async fn settle_merged(
        &self,
        asked: &Link,
        heir: &Heir,
        reading: &Reading,
        doubt: i64,
        attempts: &[Attempt],
    ) -> Result<Flow> {
        for _ in 0..RACES {
            let _matching = self.lanes.lookup.matching(&self.site.workspace.name).await;
            let Some(case) = self.load().await? else { return Ok(Flow::Rest) };
            let mut settlement = self.with_attempts(attempts.to_vec());
            let why = match live(&case, self.system, &asked.id).cloned() {
                Some(link) => self.carry_on(case, link, heir, doubt, &mut settlement).await?,
                None => None,
            };
            let Some(why) = why else {
                // Somebody is being written to, or has become another one meanwhile: the next turn looks again.
                self.lanes.settling.settle(&settlement).await?;
                let Some(case) = self.load().await? else { return Ok(Flow::Rest) };
                return self.postpone(case, super::brake::TURN).await;
            };
            self.told_merged(reading, doubt, &why, &mut settlement).await?;
            match self.lanes.settling.settle(&settlement).await? {
                Settled::Done => return Ok(Flow::Again),
                Settled::Moved => {}
                Settled::LeaseLost => return Ok(Flow::LeaseLost),
            }
        }
        Ok(Flow::Rest)
    }

    /// What becomes of the contact. Gives what happened; `None`: it has to be looked at again.
    async fn carry_on(
        &self,
        mut case: Case,
        link: Link,
        heir: &Heir,
        doubt: i64,
        settlement: &mut Settlement,
    ) -> Result<Option<String>> {
        let now = self.lanes.clock.now();
        match heir {
            Heir::Known(heir) => {
                let whole = self.lanes.lookup.whole(*heir).await?.filter(|whole| whole.entity.is_live());
                let Some(heir) = whole.map(Case::of) else { return Ok(None) };
                if case.is_in_flight() || heir.is_in_flight() {
                    return Ok(None);
                }
                self.become_one(case, heir, link, doubt, settlement).await.map(Some)
            }
            Heir::New(id, has) => {
                let workspace = &self.site.workspace.name;
                if self.lanes.lookup.link(workspace, self.system, link.kind, id).await?.is_some() {
                    return Ok(None);
                }
                let mirror = case.mirror(self.system);
                (mirror.answered, mirror.tries) = (mirror.answered.max(doubt), 0);
                case.replace_live(self.target, id);
                case.forget_but(self.system, has);
                case.doubt(self.system, now, now);
                case.into_settlement(settlement);
                Ok(Some(format!("{} merged {} into {id}, which is the same contact here", self.system, link.id)))
            }
        }
    }

    /// The two as one, unless another system holds both: then the one that is gone here waits for a person.
    async fn become_one(
        &self,
        mut case: Case,
        mut heir: Case,
        link: Link,
        doubt: i64,
        settlement: &mut Settlement,
    ) -> Result<String> {
        let now = self.lanes.clock.now();
        let (id, into) = (case.whole.entity.id, heir.whole.entity.id);
        let object = heir.whole.link(self.system).map(|link| link.id.to_string()).unwrap_or_default();
        let merged = format!("{} merged {} into {object}, which is {into}", self.system, link.id);
        let link = link.gone();
        case.put_link(link.clone());
        let mirror = case.mirror(self.system);
        (mirror.answered, mirror.tries) = (mirror.answered.max(doubt), 0);
        if let Some(reason) = merge::obstacle(&case.whole, &heir.whole) {
            let reason = format!("{merged}; {reason}");
            for system in self.site.targets.keys().filter(|system| **system != self.system) {
                // What was told there meanwhile is read all the same.
                if !case.mirror(*system).doubts() {
                    case.park(*system, &reason);
                }
            }
            let mirror = case.mirror(self.system);
            mirror.state = if mirror.doubts() { MirrorState::Due } else { MirrorState::Idle };
            case.review(&format!("merged/{id}"), reason.clone(), now);
            case.into_settlement(settlement);
            return Ok(reason);
        }
        // The id was replaced, and is no tombstone of the one that carries on.
        case.put_link(Link { state: LinkState::Retired, ..link });
        self.lanes.lookup.adopt(self.site, id, into, settlement).await?;
        let found =
            Found { order: &self.site.workspace.policy.order, by: Favour::Stays, system: self.system, change: None };
        heir.absorb(&mut case, &found, now);
        // What it holds now is what the vendor made of both.
        heir.doubt(self.system, now, now);
        heir.try_again(now);
        let booked = self.lanes.lookup.is_booked(into).await? || self.lanes.lookup.is_booked(id).await?;
        heir.spread(self.site, booked, now, now);
        case.into_settlement(settlement);
        heir.into_settlement(settlement);
        settlement.settled.extend(questions(id));
        settlement.settled.extend(questions(into));
        let workspace = &self.site.workspace.name;
        for other in self.lanes.lookup.apart(workspace, id).await? {
            settlement.apart.extend((other != into).then_some((into, other)));
        }
        Ok(merged)
    }

    /// The verdicts of the claims that waited, or a row for what the reading found by itself.
    async fn told_merged(&self, reading: &Reading, doubt: i64, why: &str, settlement: &mut Settlement) -> Result<()> {
        let now = self.lanes.clock.now();
        let row = |change| VerdictRow {
            change,
            entity: Some(self.entity),
            outcome: Outcome::Applied,
            findings: std::collections::BTreeMap::new(),
            why: why.to_owned(),
            at: now,
        };
        let waiting = self.waiting(doubt, &reading.observation).await?;
        settlement.verdicts.extend(waiting.iter().map(|waiting| row(waiting.change.id)));
        if waiting.is_empty() {
            let change = self.sighting("merged", Kind::Contact, &reading.observation.id, now);
            settlement.readings.push((change, row(ChangeId(0))));
        }
        Ok(())
    }
}
