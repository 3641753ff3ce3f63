//! Deletions as far as changes tell of them: what an operator answers, what a late payload of a tombstone brings.
//!
//! In: a change of origin `operator` whose body is a [`DeletionAnswer`]; payloads of what is gone. Out: the entity alive or
//! deleted for good, tombstones lifted, doubts and mirrors. Reading and deleting are left to the lanes.

use std::collections::BTreeMap;

use super::{Case, RACES, Resolver, Ruling, claim, conclude};
use crate::clock::Millis;
use crate::mirror::deletion::{acknowledge, by_us, deleted_unseen, forget_deletes, goes_with_contact, is_nowhere};
use crate::model::{
    Answer, Author, Change, Conflict, DeletionAnswer, Field, Finding, Kind, Lease, Life, Link, LinkState, Observation,
    Origin, Outcome, Stamp, System, Terms,
};
use crate::store::{Result, Settled, Settlement};
use crate::systems::Site;

/// Whether a change is an operator's answer to a deletion.
pub(super) fn is_answer(change: &Change) -> bool {
    change.said.origin == Origin::Operator && change.said.label == DeletionAnswer::LABEL
}

/// Whether what is said of a tombstone has to be looked at: the object may be there again.
pub(super) fn may_be_back(case: &Case, link: &Link, seen: &Observation) -> bool {
    let is_merged = matches!(case.whole.entity.life, Life::Merged(_));
    claim::may_be_back(link, seen) && !is_merged && case.whole.link(link.system).is_none()
}

/// R8 and R10: what becomes of a claim's values that no read confirmed.
pub(crate) fn unconfirmed(
    terms: &dyn Terms,
    link: &Link,
    claim: &Observation,
    told: Millis,
) -> (BTreeMap<Field, Finding>, Vec<Conflict>) {
    if !by_us(link) {
        return claim::unconfirmed(terms, link, claim, told);
    }
    let kept = deleted_unseen(link, claim).into_iter();
    kept.map(|(field, finding, conflict)| ((field, finding), conflict)).unzip()
}

impl Resolver {
    /// Decides an operator's answer.
    pub(super) async fn answer_deletion(&self, site: &Site, lease: &Lease, change: &Change) -> Result<Settled> {
        let said: DeletionAnswer = match serde_json::from_slice(&change.said.body) {
            Ok(said) => said,
            Err(error) => {
                let unreadable = Ruling::ended(None, Outcome::Unparsed, error.to_string());
                return self.end(lease, change, vec![unreadable]).await;
            }
        };
        for _ in 0..RACES {
            let mut settlement = Settlement::new(lease.clone(), self.clock.now());
            let ruling = self.answer_once(site, &said, &mut settlement).await?;
            let now = settlement.now;
            let settled = self.settling.settle(&conclude(settlement, change, now, &[ruling])).await?;
            if settled != Settled::Moved {
                return Ok(settled);
            }
        }
        // Still in the inbox: the next step takes it up again.
        Ok(Settled::Moved)
    }

    async fn answer_once(&self, site: &Site, said: &DeletionAnswer, settlement: &mut Settlement) -> Result<Ruling> {
        let now = settlement.now;
        let Some(whole) = self.lookup.present(said.entity).await? else {
            return Ok(Ruling::ended(None, Outcome::Superseded, "there is no such entity"));
        };
        let id = whole.entity.id;
        if whole.entity.workspace != site.workspace.name {
            return Ok(Ruling::ended(None, Outcome::Unparsed, "it names an entity of another workspace"));
        }
        let mut case = Case::of(whole);
        if let Some(why) = refusal(&case, said) {
            return Ok(Ruling::ended(Some(id), Outcome::Superseded, why));
        }
        let was_live = case.whole.entity.is_live();
        answer(&mut case, said, now);
        let mut children = Vec::new();
        if case.whole.entity.kind == Kind::Contact {
            children = self.lookup.children(id).await?;
            if said.answer == Answer::Delete {
                children.extend(self.lookup.remains(id).await?);
            }
            children.retain(|child| goes_with_contact(child.entity.kind));
        }
        for child in children {
            let mut child = Case::of(child);
            with_contact(&mut child, said, was_live);
            if said.answer == Answer::Delete {
                child.doubt_all(site, now);
            }
            child.spread(site, false, now, now);
            child.into_settlement(settlement);
        }
        if said.answer == Answer::Delete {
            case.doubt_all(site, now);
        }
        for system in
            site.targets.keys().filter(|system| case.whole.link(**system).is_some()).copied().collect::<Vec<_>>()
        {
            case.wake(system, now);
        }
        let booked = case.asks_for_bookings(site) && self.lookup.is_booked(id).await?;
        case.spread(site, booked, now, now);
        case.into_settlement(settlement);
        Ok(Ruling::ended(Some(id), Outcome::Applied, told(said)))
    }
}

/// Why there is nothing to answer.
fn refusal(case: &Case, said: &DeletionAnswer) -> Option<&'static str> {
    let whole = &case.whole;
    let is_tomb = |link: &Link| link.system == said.system && link.state == LinkState::Gone;
    let none = whole.entity.is_live() && !whole.links.iter().any(is_tomb);
    match said.answer {
        _ if none => Some("it was not deleted there"),
        Answer::Delete | Answer::Keep if is_nowhere(whole) => {
            Some("it is in no system any more; only `remake` is left")
        }
        Answer::Remake if whole.entity.is_live() && whole.link(said.system).is_some() => Some("it is there already"),
        _ => None,
    }
}

fn answer(case: &mut Case, said: &DeletionAnswer, now: Millis) {
    case.answer();
    match said.answer {
        Answer::Delete => {
            acknowledge(&mut case.whole);
            case.whole.entity.life = Life::Deleted(Stamp::new(now, Author::Operator));
        }
        Answer::Keep => revive(case),
        Answer::Remake => {
            let was_live = case.whole.entity.is_live();
            revive(case);
            lift(case, said.system, !was_live);
        }
    }
}

fn revive(case: &mut Case) {
    forget_deletes(&mut case.whole);
    case.whole.entity.life = Life::Live;
}

/// Tombstones forbid nothing any more: those of one system, and with `ours` those of what we deleted ourselves.
fn lift(case: &mut Case, system: System, ours: bool) {
    for link in &mut case.whole.links {
        if link.state == LinkState::Gone && (link.system == system || (ours && by_us(link))) {
            link.state = LinkState::Retired;
        }
    }
}

/// What an answer about a contact means for its tasks and notes.
fn with_contact(child: &mut Case, said: &DeletionAnswer, was_live: bool) {
    match said.answer {
        Answer::Delete => acknowledge(&mut child.whole),
        Answer::Keep => {}
        Answer::Remake => lift(child, said.system, !was_live),
    }
}

fn told(said: &DeletionAnswer) -> String {
    let system = said.system;
    match said.answer {
        Answer::Delete => format!("an operator: deleted in {system}, and so it is deleted everywhere"),
        Answer::Keep => format!("an operator: deleted in {system}, and kept where it still is"),
        Answer::Remake => format!("an operator: deleted in {system}, and made again there"),
    }
}
