//! Corrections: what a person at Lockstep, or a rule, wants to be true of one of our own entities.
//!
//! In: a change of origin `operator` or `rule`, whose body is a [`Correction`]. Out: the entity as it then stands, made if it
//! is new, and the mirrors that owe it to the systems. No snapshot tells what changed, so the author says what was seen:
//! the edit is later than that, and anything newer than both wins over it.

use std::collections::BTreeMap;

use super::contest::{Contest, Edit, Winner};
use super::{Case, RACES, Resolver, Ruling, conclude, summed};
use crate::clock::Millis;
use crate::model::{
    Author, Change, Closing, Conflict, ConflictState, Correction, Entity, Field, Finding, Lease, Origin, Outcome,
    Policy, RESTORED, Regroup, Stamp, Stamped, System, Value,
};
use crate::store::{Result, Settled, Settlement};
use crate::systems::Site;

/// Who speaks in a change that is a correction.
pub(super) fn author(origin: Origin) -> Option<Author> {
    match origin {
        Origin::Operator => Some(Author::Operator),
        Origin::Rule => Some(Author::Rule),
        Origin::Webhook | Origin::Read | Origin::Listing | Origin::Look => None,
    }
}

impl Resolver {
    /// Decides a correction.
    pub(super) async fn correct(&self, site: &Site, lease: &Lease, change: &Change, author: Author) -> Result<Settled> {
        if Regroup::is_label(&change.said.label) {
            return self.regroup(site, lease, change).await;
        }
        let correction: Correction = match serde_json::from_slice(&change.said.body) {
            Ok(correction) => correction,
            Err(error) => {
                let unreadable = Ruling::ended(None, Outcome::Unparsed, error.to_string());
                return self.end(lease, change, vec![unreadable]).await;
            }
        };
        for _ in 0..RACES {
            let now = self.clock.now();
            let mut settlement = Settlement::new(lease.clone(), now);
            let ruling = self.correct_once(site, change, &correction, author, &mut settlement).await?;
            let settlement = conclude(settlement, change, now, &[ruling]);
            let settled = self.settling.settle(&settlement).await?;
            if settled != Settled::Moved {
                return Ok(settled);
            }
        }
        // Still in the inbox: the next step takes it up again.
        Ok(Settled::Moved)
    }

    async fn correct_once(
        &self,
        site: &Site,
        change: &Change,
        correction: &Correction,
        author: Author,
        settlement: &mut Settlement,
    ) -> Result<Ruling> {
        let (workspace, now) = (&site.workspace.name, settlement.now);
        let Some(mut case) = self.subject(workspace, correction, now).await? else {
            let why = "the contact that it would belong to is no longer kept";
            return Ok(Ruling::ended(None, Outcome::Superseded, why));
        };
        let id = case.whole.entity.id;
        if case.whole.entity.workspace != *workspace || case.whole.entity.kind != correction.kind {
            let why = "it names an entity of another workspace or kind";
            return Ok(Ruling::ended(None, Outcome::Unparsed, why));
        }
        if !case.whole.entity.is_live() {
            return Ok(Ruling::ended(Some(id), Outcome::Superseded, "it was deleted, and deleted stays deleted"));
        }
        let made = Made { t: change.said.at.unwrap_or(change.said.received), author, of: change.said.system };
        let (findings, conflicts) = apply(&mut case.whole.entity, correction, &made, &site.workspace.policy);
        for (field, _) in findings.iter().filter(|(_, finding)| **finding != Finding::Lost) {
            case.decided(field);
        }
        case.keep_corrected(conflicts, Some(change.id));
        settlement.closings.extend(restored(correction, &findings));
        let booked = case.asks_for_bookings(site) && self.lookup.is_booked(id).await?;
        case.spread(site, booked, now, now);
        case.into_settlement(settlement);
        let (outcome, why) = summed(&findings);
        Ok(Ruling::Ended { entity: Some(id), outcome, findings, why: why.to_owned() })
    }

    /// What is corrected, or made; `None`: the contact that it would belong to is not there.
    async fn subject(&self, workspace: &str, correction: &Correction, now: Millis) -> Result<Option<Case>> {
        if let Some(whole) = self.lookup.present(correction.entity).await? {
            return Ok(Some(Case::of(whole)));
        }
        let mut entity = Entity::new(correction.entity, workspace, correction.kind, now);
        if let Some(parent) = correction.parent {
            let Some(parent) = self.lookup.present(parent).await? else { return Ok(None) };
            entity.parent = Some(parent.entity.id);
        }
        Ok(Some(Case::new(entity)))
    }
}

/// When a correction was made, by whom, and which system it is about.
struct Made {
    t: Millis,
    author: Author,
    of: System,
}

/// The conflicts whose losers are true again. One that lost once more stays open.
fn restored(correction: &Correction, findings: &BTreeMap<Field, Finding>) -> Vec<Closing> {
    let is_true = |field: &Field| findings.get(field) != Some(&Finding::Lost);
    let restored = correction.restores.iter().filter(|(field, _)| is_true(field));
    restored.map(|(_, id)| Closing { id: *id, state: ConflictState::Restored, by: "operator".to_owned() }).collect()
}

/// Sets what is to be true, field by field; what has a newer stamp stays, and the correction's value is kept as the loser.
/// What a restored value takes the place of is kept in turn, so that restoring that one swaps them back.
fn apply(
    entity: &mut Entity,
    correction: &Correction,
    made: &Made,
    policy: &Policy,
) -> (BTreeMap<Field, Finding>, Vec<Conflict>) {
    let (mut findings, mut conflicts) = (BTreeMap::new(), Vec::new());
    for (field, value) in &correction.fields {
        let saw = correction.saw.get(field).copied().unwrap_or(Stamp::NEVER);
        let edit = Stamped { value: value.clone(), stamp: policy.order.after(saw, made.t, made.author) };
        let former = Stamped { value: entity.value(field).clone(), stamp: entity.stamp(field) };
        let contest = Contest::of(&policy.order, &policy.rules, entity.kind, field);
        let newer = contest.place(&edit) > contest.place(&former);
        let restores = correction.restores.contains_key(field);
        let finding = match former.value == *value {
            true if !newer => continue,
            true => {
                entity.set(field.clone(), edit.value, edit.stamp);
                Finding::Agreed
            }
            false => {
                let rival = saw != former.stamp && former.stamp != Stamp::NEVER;
                let base = if rival { &Value::Blank } else { &former.value };
                match contest.settle(&former, &Edit { base, made: &edit, rival }) {
                    Winner::Edit => {
                        entity.set(field.clone(), edit.value.clone(), edit.stamp);
                        if restores {
                            conflicts.push(Conflict {
                                rule: RESTORED.to_owned(),
                                ..lost(field, made.of, former, edit, contest)
                            });
                        }
                        Finding::Taken
                    }
                    Winner::Both(both) => {
                        entity.set(field.clone(), both.value, both.stamp);
                        Finding::United
                    }
                    Winner::Former | Winner::Nobody => {
                        // What was to be restored is kept already.
                        if !restores {
                            conflicts.push(lost(field, made.of, edit, former, contest));
                        }
                        Finding::Lost
                    }
                }
            }
        };
        findings.insert(field.clone(), finding);
    }
    (findings, conflicts)
}

fn lost(field: &Field, system: System, lost: Stamped, won: Stamped, contest: Contest<'_>) -> Conflict {
    Conflict {
        rule: contest.word(&lost, &won).to_owned(),
        field: field.clone(),
        system,
        lost: lost.value,
        lost_stamp: lost.stamp,
        won: won.value,
        won_stamp: won.stamp,
    }
}

#[cfg(test)]
mod tests;
