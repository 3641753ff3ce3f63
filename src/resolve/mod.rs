//! Changes become decisions: read, decide, then entities, links, conflicts and mirrors, in one transaction a change.
//!
//! In: undecided changes of a workspace we hold the lease of. Out: [`Settlement`]s. A change that proves nothing raises a
//! doubt and waits for the lane's read; everything else ends here with a verdict. Calls no system: `mirror` does.

mod case;
pub mod claim;
pub mod contest;
mod correction;
pub mod decide;
mod deletion;
pub mod guest;
pub mod identity;
mod lookup;
pub mod merge;
mod moved;
mod regroup;
mod unknown;

#[cfg(test)]
mod counter_examples;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::join_all;

pub use case::{Case, DELETED, EDITED};
pub(crate) use deletion::unconfirmed;
pub use lookup::{Lookup, Matching, keys};
pub use merge::Found;
pub(crate) use regroup::questions;

use crate::clock::{Clock, Millis};
use crate::ids::Ids;
use crate::model::{
    Change, EntityId, Field, Finding, Kind, Lease, Link, Moved, Observation, Origin, Outcome, Priority, System, Terms,
    VerdictRow,
};
use crate::store::{Cached, ChangeLog, Result, Settled, Settlement, Settling};
use crate::systems::Site;
use claim::Weight;
use decide::{Frame, Verdict};

/// Changes taken up in one go.
pub const BATCH: u32 = 64;
/// How often a decision is worked out again when rows move under it.
const RACES: usize = 8;
/// How often what waits for something else looks for it: the first half of a move for the other, a booking for its contact.
const JOINING: Duration = Duration::from_millis(250);
/// How long an observation waits while a write of ours is in flight (R5), and how often it looks again.
const IN_FLIGHT: Duration = Duration::from_millis(50);

/// Works the inbox.
pub struct Resolver {
    log: Arc<dyn ChangeLog>,
    settling: Arc<dyn Settling>,
    lookup: Lookup,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
}

/// Calls that can be made at once are begun in the settlement that finds them owed: one commit less for each.
#[async_trait]
pub trait Begins: Send + Sync {
    /// Marks in an entity what is sent if the settlement is written.
    async fn begin(&self, case: &mut Case) -> Result<()>;
    /// It is written, or nothing of it is.
    fn begun(&self, entity: EntityId, written: bool);
}

/// In what the changes of a workspace are decided.
#[derive(Clone, Copy)]
struct Round<'a> {
    site: &'a Site,
    lease: &'a Lease,
    begins: Option<&'a dyn Begins>,
}

/// One change on its way to a settlement.
pub(crate) struct Turn<'a> {
    site: &'a Site,
    change: &'a Change,
    terms: &'a dyn Terms,
    system: System,
    now: Millis,
    settlement: Settlement,
    begins: Option<&'a dyn Begins>,
    /// Of which entity calls may have been begun.
    begun: Option<EntityId>,
}

impl Turn<'_> {
    /// When work that this change causes is due.
    fn due(&self) -> Millis {
        self.now + self.site.quiet
    }

    /// Another settlement, for what is written before it ends.
    fn alone(&self) -> Settlement {
        Settlement { priority: self.settlement.priority, ..Settlement::new(self.settlement.lease.clone(), self.now) }
    }

    fn workspace(&self) -> &str {
        &self.site.workspace.name
    }

    /// What is live is called at once where nothing comes before it.
    async fn begin(&mut self, case: &mut Case) -> Result<()> {
        if let Some(begins) = self.begins.filter(|_| self.settlement.priority == Priority::Live) {
            begins.begin(case).await?;
            self.begun = Some(case.whole.entity.id);
        }
        Ok(())
    }
}

/// What became of one observation.
pub(crate) enum Ruling {
    /// It is decided.
    Ended { entity: Option<EntityId>, outcome: Outcome, findings: BTreeMap<Field, Finding>, why: String },
    /// It waits for a read of this entity in its system.
    Waits { entity: EntityId, doubt: i64 },
    /// It is looked at again then.
    Later(Millis),
}

impl Ruling {
    fn is_later(&self) -> bool {
        matches!(self, Self::Later(_))
    }

    fn ended(entity: Option<EntityId>, outcome: Outcome, why: impl Into<String>) -> Self {
        Self::Ended { entity, outcome, findings: BTreeMap::new(), why: why.into() }
    }
}

impl Resolver {
    /// A resolver over these stores.
    pub fn new(log: Arc<dyn ChangeLog>, store: Arc<Cached>, clock: Arc<dyn Clock>, ids: Arc<Ids>) -> Self {
        Self { log, settling: store.clone(), lookup: Lookup::new(store), clock, ids }
    }

    /// Its look-ups, for the lanes to share.
    pub fn lookup(&self) -> Lookup {
        self.lookup.clone()
    }

    /// Decides the changes that are due, a batch at most. Gives how many; `None`: the lease is lost.
    pub async fn step(&self, site: &Site, lease: &Lease, begins: Option<&dyn Begins>) -> Result<Option<usize>> {
        self.lookup.under(lease);
        let changes = self.log.undecided(&site.workspace.name, self.clock.now(), BATCH).await?;
        // A burst costs one write: what may go on in the next batch is not begun in this one.
        let begins = begins.filter(|_| changes.len() < BATCH as usize);
        let round = Round { site, lease, begins };
        // What belongs to a contact is decided after it, as it came.
        let is_contact = |change: &Change| change.said.kind == Some(Kind::Contact);
        for run in changes.chunk_by(|one, next| is_contact(one) && is_contact(next)) {
            if self.resolve_run(round, run).await? == Settled::LeaseLost {
                return Ok(None);
            }
        }
        Ok(Some(changes.len()))
    }

    /// Decides changes, those of different objects side by side, so that their settlements share a commit.
    async fn resolve_run(&self, round: Round<'_>, run: &[Change]) -> Result<Settled> {
        let mut objects: BTreeMap<_, Vec<&Change>> = BTreeMap::new();
        for change in run {
            objects.entry((change.said.system, &change.said.object)).or_default().push(change);
        }
        let objects = objects.into_values().map(|changes| self.resolve_all(round, changes).boxed());
        let ended = join_all(objects.collect::<Vec<_>>()).await;
        let lost = |settled: &Settled| *settled == Settled::LeaseLost;
        let ended = ended.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(ended.into_iter().find(lost).unwrap_or(Settled::Done))
    }

    /// Decides the changes of one object, in the order in which they came.
    async fn resolve_all(&self, round: Round<'_>, changes: Vec<&Change>) -> Result<Settled> {
        let count = changes.len();
        for (at, change) in changes.into_iter().enumerate() {
            let begins = round.begins.filter(|_| at + 1 == count);
            if self.resolve(Round { begins, ..round }, change).await? == Settled::LeaseLost {
                return Ok(Settled::LeaseLost);
            }
        }
        Ok(Settled::Done)
    }

    /// Decides one change, observation by observation: one transaction each, the last one with the verdict. (Working an
    /// observation again after a crash finds an echo.)
    async fn resolve(&self, round: Round<'_>, change: &Change) -> Result<Settled> {
        let Round { site, lease, .. } = round;
        if deletion::is_answer(change) {
            return self.answer_deletion(site, lease, change).await;
        }
        if let Some(author) = correction::author(change.said.origin) {
            return self.correct(site, lease, change, author).await;
        }
        let system = change.said.system;
        let observations = match site.terms(system).map(|terms| claim::read(terms, change)) {
            None => Err((Outcome::NotMirrored, format!("the workspace has no account in {system}"))),
            Some(Err(unreadable)) => Err((Outcome::Unparsed, unreadable.0)),
            Some(Ok(observations)) => Ok(observations),
        };
        let (Ok(observations), Some(terms)) = (&observations, site.terms(system)) else {
            let (outcome, why) = observations.err().unwrap_or((Outcome::NotMirrored, String::new()));
            return self.end(lease, change, vec![Ruling::ended(None, outcome, why)]).await;
        };
        let mut rulings = Vec::new();
        for (at, observation) in observations.iter().enumerate() {
            let last = at + 1 == observations.len();
            match self.rule(round, change, terms, observation, &mut rulings, last).await? {
                Settled::Done if rulings.last().is_some_and(Ruling::is_later) => return Ok(Settled::Done),
                Settled::Done => {}
                settled => return Ok(settled),
            }
        }
        if observations.is_empty() { self.end(lease, change, rulings).await } else { Ok(Settled::Done) }
    }

    async fn end(&self, lease: &Lease, change: &Change, rulings: Vec<Ruling>) -> Result<Settled> {
        let now = self.clock.now();
        let settlement = conclude(Settlement::new(lease.clone(), now), change, now, &rulings);
        self.settling.settle(&settlement).await
    }

    async fn rule(
        &self,
        round: Round<'_>,
        change: &Change,
        terms: &dyn Terms,
        observation: &Observation,
        rulings: &mut Vec<Ruling>,
        last: bool,
    ) -> Result<Settled> {
        for _ in 0..RACES {
            let now = self.clock.now();
            let Round { site, lease, begins } = round;
            let (system, settlement) = (change.said.system, Settlement::new(lease.clone(), now));
            let mut turn = Turn { site, change, terms, system, now, settlement, begins, begun: None };
            let (_matching, known) = self.look_up(&turn, observation).await?;
            turn.settlement.priority = priority(change, known.is_some());
            let ruling = self.rule_one(&mut turn, observation, known).await?;
            let later = ruling.is_later();
            rulings.push(ruling);
            let settlement =
                if last || later { conclude(turn.settlement, change, now, rulings) } else { turn.settlement };
            let settled = self.settling.settle(&settlement).await?;
            if let (Some(begins), Some(entity)) = (begins, turn.begun) {
                begins.begun(entity, settled == Settled::Done);
            }
            if settled != Settled::Moved {
                return Ok(settled);
            }
            rulings.pop();
        }
        // Still in the inbox: the next step takes it up again.
        Ok(Settled::Moved)
    }

    /// The link of an object, and what is held until the decision is written. Contacts that we have are decided side by side.
    async fn look_up(&self, turn: &Turn<'_>, observation: &Observation) -> Result<(Matching, Option<Link>)> {
        let (workspace, kind) = (turn.workspace(), observation.kind);
        let link = || self.lookup.link(workspace, turn.system, kind, &observation.id);
        if kind == Kind::Contact && observation.moved.is_none() {
            let beside = self.lookup.beside(workspace).await;
            if let Some(known) = link().await?.filter(|known| !claim::is_another(known, observation)) {
                return Ok((beside, Some(known)));
            }
        }
        let alone = self.lookup.matching(workspace).await;
        Ok((alone, link().await?))
    }

    async fn rule_one(&self, turn: &mut Turn<'_>, observation: &Observation, known: Option<Link>) -> Result<Ruling> {
        let link = match known {
            None => return self.unknown(turn, observation, None).await,
            Some(former) if claim::is_another(&former, observation) => {
                return self.unknown(turn, observation, Some(former)).await;
            }
            Some(link) => link,
        };
        let Some(whole) = self.lookup.whole(link.entity).await? else {
            return Ok(Ruling::ended(None, Outcome::Superseded, "its entity is no longer kept"));
        };
        if link.is_in_flight() {
            return Ok(Ruling::Later(turn.now + IN_FLIGHT));
        }
        if let Some(Moved::To(new)) = &observation.moved {
            return self.moved_away(turn, Some(whole), observation, new).await;
        }
        self.known(turn, Case::of(whole), observation).await
    }

    /// An object that we have.
    pub(crate) async fn known(&self, turn: &mut Turn<'_>, mut case: Case, seen: &Observation) -> Result<Ruling> {
        let entity = case.whole.entity.id;
        let parent = match self.contact_of(turn, seen, Some(&case.whole)).await? {
            ControlFlow::Continue(parent) => parent,
            ControlFlow::Break(later) => return Ok(later),
        };
        case.whole.entity.parent = case.whole.entity.parent.or(parent);
        let Some(link) = case.link(turn.system, &seen.id).cloned() else {
            return Ok(Ruling::ended(Some(entity), Outcome::Superseded, "the object belongs to another entity by now"));
        };
        let guards = turn.site.workspace.policy.guards;
        let weight = match claim::weigh(turn.terms, &link, seen) {
            // Who it is, its first read finds out.
            Weight::Proves if case.whole.entity.is_placeholder() => Weight::Doubt,
            weight => weight,
        };
        let ruling = match weight {
            // What is read meanwhile may be older.
            Weight::Echo if guards.echo && !self.lookup.is_asked(entity, turn.system) => {
                // What was said before it, and comes after it, is older.
                if seen.version() > link.version {
                    case.put_link(Link { version: seen.version(), ..link });
                }
                Ruling::ended(Some(entity), Outcome::Echo, "it says what the system is known to hold")
            }
            // Somebody may have taken it out of the deleted ones, or it was found gone by mistake.
            Weight::Old if deletion::may_be_back(&case, &link, seen) => {
                Ruling::Waits { entity, doubt: case.doubt(turn.system, turn.due(), turn.now) }
            }
            Weight::Old => {
                let (findings, conflicts) = deletion::unconfirmed(turn.terms, &link, seen, turn.change.said.received);
                let outcome = if conflicts.is_empty() { Outcome::Superseded } else { Outcome::Conflict };
                case.keep(conflicts, Some(turn.change.id));
                Ruling::Ended { entity: Some(entity), outcome, findings, why: "a newer version is known".to_owned() }
            }
            Weight::Doubt | Weight::Echo => {
                Ruling::Waits { entity, doubt: case.doubt(turn.system, turn.due(), turn.now) }
            }
            Weight::Proves => {
                let ruling = self.accept(turn, &mut case, seen).await?;
                turn.begin(&mut case).await?;
                ruling
            }
        };
        case.into_settlement(&mut turn.settlement);
        Ok(ruling)
    }

    /// Decides an observation that proves something, and tells the other systems.
    pub(crate) async fn accept(&self, turn: &Turn<'_>, case: &mut Case, seen: &Observation) -> Result<Ruling> {
        let entity = case.whole.entity.id;
        let Some(link) = case.link(turn.system, &seen.id).cloned() else {
            return Ok(Ruling::ended(Some(entity), Outcome::Superseded, "the object belongs to another entity by now"));
        };
        let frame = Frame::of(&turn.site.workspace.policy, turn.terms, turn.now);
        let verdict = decide::decide(&case.whole.entity, &link, seen, &frame);
        let ruling = told(entity, &verdict);
        case.accept(verdict, Some(turn.change.id));
        let booked = case.asks_for_bookings(turn.site) && self.lookup.is_booked(entity).await?;
        case.spread(turn.site, booked, turn.due(), turn.now);
        Ok(ruling)
    }
}

/// How what a change causes ranks.
fn priority(change: &Change, is_known: bool) -> Priority {
    match (change.said.origin, is_known) {
        (Origin::Listing, true) => Priority::Reconcile,
        (Origin::Listing, false) => Priority::Backfill,
        _ => Priority::Live,
    }
}

/// What a verdict means for the change that it was found in.
pub(crate) fn told(entity: EntityId, verdict: &Verdict) -> Ruling {
    let (outcome, why) = summary(verdict);
    Ruling::Ended { entity: Some(entity), outcome, findings: verdict.told(), why: why.to_owned() }
}

/// Outcome and reason of a verdict.
pub(crate) fn summary(verdict: &Verdict) -> (Outcome, &'static str) {
    if verdict.deleted { (Outcome::Applied, "it was deleted there") } else { summed(&verdict.findings) }
}

/// Outcome and reason of what was found, field by field.
fn summed(findings: &BTreeMap<Field, Finding>) -> (Outcome, &'static str) {
    let found = |finding: Finding| findings.values().any(|f| *f == finding);
    if found(Finding::Lost) {
        (Outcome::Conflict, "a newer value is true; this one is kept")
    } else if found(Finding::Taken) || found(Finding::Agreed) || found(Finding::United) {
        (Outcome::Applied, "its values are true now")
    } else {
        (Outcome::Echo, "it says what was known")
    }
}

/// Adds what the rulings on a change's observations mean for the change itself.
fn conclude(mut settlement: Settlement, change: &Change, now: Millis, rulings: &[Ruling]) -> Settlement {
    if let Some(Ruling::Later(at)) = rulings.iter().find(|ruling| ruling.is_later()) {
        let mut waiting = Settlement::new(settlement.lease, now);
        waiting.later.push((change.id, *at));
        return waiting;
    }
    let row =
        |entity, outcome, findings, why| VerdictRow { change: change.id, entity, outcome, findings, why, at: now };
    let verdict = match rulings {
        [] => row(None, Outcome::NotMirrored, BTreeMap::new(), "it tells nothing that is mirrored".to_owned()),
        [Ruling::Ended { entity, outcome, findings, why }] => row(*entity, *outcome, findings.clone(), why.clone()),
        [Ruling::Waits { entity, doubt }] => {
            settlement.waits.push((change.id, *entity, change.said.system, *doubt));
            return settlement;
        }
        several => {
            let why = format!("it names {} objects; each was decided or is read", several.len());
            row(None, Outcome::Applied, BTreeMap::new(), why)
        }
    };
    settlement.verdicts.push(verdict);
    settlement
}
