//! What is now true: the first of the two pure functions.
//!
//! In: an entity, the link of one system, an observation that proves something, and the frame it is judged in. Out: both
//! as they now stand, what was found field by field, and the values that lost. Whether a field changed is told by the
//! snapshot alone; stamps only tell who wins. No IO, no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use super::claim;
use super::contest::{Contest, Edit, Winner};
use crate::clock::Millis;
use crate::model::{
    Author, Class, Conflict, Entity, Evidence, Expressed, Field, FieldRule, FieldRules, Finding, Known, LINKING, Link,
    LinkState, Observation, Order, Policy, Sent, Shape, Stamp, Stamped, Terms, Value,
};

/// What an observation is judged by.
pub struct Frame<'a> {
    /// How stamps are ordered.
    pub order: &'a Order,
    /// How rival edits of single fields are settled.
    pub rules: &'a FieldRules,
    /// The terms of the system that was observed.
    pub terms: &'a dyn Terms,
    /// The present, on our clock.
    pub now: Millis,
    /// How long a write without an answer may still be applied.
    pub late_write: Duration,
    /// Times at which waiting claims brought a value (R7).
    pub evidence: &'a Evidence,
    /// Whether the contact that the object belongs to is gone from the system: then the object's absence says nothing more.
    pub orphaned: bool,
    /// Whether the snapshot holds what a create of ours without an answer sent, if it is that which made the object. Somebody
    /// else may have: then who made it had not seen what it takes the place of.
    pub supposed: bool,
}

static NO_EVIDENCE: Evidence = Evidence::new();

impl<'a> Frame<'a> {
    /// The frame of a workspace's policy, with no claims waiting.
    pub fn of(policy: &'a Policy, terms: &'a dyn Terms, now: Millis) -> Self {
        let Policy { order, rules, late_write, .. } = policy;
        let late_write = *late_write;
        Self { order, rules, terms, now, late_write, evidence: &NO_EVIDENCE, orphaned: false, supposed: false }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The entity as it now stands.
    pub entity: Entity,
    /// The link as it now stands; its snapshot says what the system holds.
    pub link: Link,
    /// Per field.
    pub findings: BTreeMap<Field, Finding>,
    /// What lost.
    pub conflicts: Vec<Conflict>,
    /// Whether the object was found deleted, and not by us.
    pub deleted: bool,
    /// When it was decided.
    pub at: Millis,
}

impl Verdict {
    /// Whether anything but `unchanged` was found.
    pub fn found_something(&self) -> bool {
        self.deleted || self.findings.values().any(|finding| !matches!(finding, Finding::Unchanged | Finding::Own))
    }

    /// The findings that say something.
    pub fn told(&self) -> BTreeMap<Field, Finding> {
        let says = |finding: &Finding| *finding != Finding::Unchanged;
        self.findings.iter().filter(|(_, finding)| says(finding)).map(|(field, f)| (field.clone(), *f)).collect()
    }
}

/// Decides one observation, which must be current or of a newer version than all known (see [`claim::weigh`]).
pub fn decide(entity: &Entity, link: &Link, observation: &Observation, frame: &Frame<'_>) -> Verdict {
    let mut verdict = Verdict {
        entity: entity.clone(),
        link: link.clone(),
        findings: BTreeMap::new(),
        conflicts: Vec::new(),
        deleted: false,
        at: frame.now,
    };
    let sighting = Sighting { observation, linking: !link.is_known(), frame };
    if observation.shape == Shape::Gone {
        gone(&mut verdict, observation, frame);
    } else {
        for (field, value) in claim::stated(observation, &link.snapshot) {
            let finding =
                if claim::is_final(frame.terms, &verdict.link, &field) && value != verdict.link.known(&field).value {
                    Finding::Unchanged
                } else {
                    decide_field(&mut verdict, &field, value, &sighting)
                };
            verdict.findings.insert(field, finding);
        }
    }
    verdict.link.version = verdict.link.version.max(observation.version());
    if observation.class == Class::Current {
        verdict.link.seen = frame.now;
    }
    verdict
}

/// An observation on its way through R6.
struct Sighting<'a> {
    observation: &'a Observation,
    /// Whether the object is linked by it.
    linking: bool,
    frame: &'a Frame<'a>,
}

/// R6, for one field.
fn decide_field(verdict: &mut Verdict, field: &Field, value: Value, seen: &Sighting<'_>) -> Finding {
    let Sighting { observation, linking, frame, .. } = *seen;
    let Verdict { entity, link, .. } = verdict;
    let author = Author::from(link.system);
    let known = link.snapshot.get(field).cloned().unwrap_or_default();
    if value == known.value {
        return Finding::Unchanged;
    }
    let t = claim::edit_time(field, &value, observation.at, link.seen, frame.evidence);
    let ours = own_write(link, field, &value, frame);
    if let Some(sent) = ours.filter(|sent| sent.unclear.is_none_or(|until| t <= until)) {
        link.snapshot.entry(field.clone()).or_default().write(value, sent.stamp, frame.now);
        return Finding::Own;
    }
    let nothing = linking && shows_nothing(link, field, &value, frame.terms);
    let mut stamp = if nothing { unsaid(frame.order, author) } else { frame.order.after(known.stamp, t, author) };
    if !nothing && t == Millis(0) {
        // Nobody knows when it was made; but it was.
        stamp = frame.order.after(stamp, t, author);
    }
    if stamp == entity.stamp(field) {
        // Raised to the same tick as its author's former edit: it is the later one, and equal stamps would tell `plan` that the
        // system holds what is true.
        stamp = frame.order.after(stamp, t, author);
    }
    link.snapshot.entry(field.clone()).or_default().move_to(value.clone(), stamp);

    let former = Stamped { value: entity.value(field).clone(), stamp: entity.stamp(field) };
    let contest = Contest::of(frame.order, frame.rules, link.kind, field);
    if agrees(&contest, &former.value, &value, |known| frame.terms.express(link.kind, field, known)) {
        let never_said = former.stamp == Stamp::NEVER && former.value.is_blank();
        // What says the same is left alone, unless nothing was said: a default that the system shows is a value, but where
        // nothing was ever said nobody edited it, and any edit is later.
        let edited = if never_said && !value.is_blank() {
            unsaid(frame.order, author)
        } else {
            contest.max(&value, former.stamp, stamp)
        };
        if contest.rule == FieldRule::Union && former.value != value {
            // The same list in another order is the system's own rendition of it.
            link.snapshot.entry(field.clone()).or_default().restamp(edited);
        }
        let said = if former.value.is_blank() { value } else { former.value };
        entity.set(field.clone(), said, edited);
        return Finding::Agreed;
    }
    if nothing {
        return Finding::Stale;
    }
    // It may be a late write of ours, or an edit of what one left there: what it takes the place of is kept, as if its author
    // had not seen it.
    let unsure = frame.supposed || may_have_been_changed(link, field, &known.value, frame);
    let known = if unsure { Known { stamp: Stamp::NEVER, ..known } } else { known };
    contend(verdict, field, &contest, &former, &known, Stamped { value, stamp }, linking)
}

/// R6, where the system says something else than what is true.
fn contend(
    verdict: &mut Verdict,
    field: &Field,
    contest: &Contest<'_>,
    former: &Stamped,
    known: &Known,
    made: Stamped,
    linking: bool,
) -> Finding {
    let Verdict { entity, link, conflicts, .. } = verdict;
    let never_set = former.stamp == Stamp::NEVER || former.stamp == unsaid(contest.order, former.stamp.author);
    let unseen = former.stamp != known.stamp && !never_set;
    let rival = unseen && !(linking && former.value.is_blank());
    let winner = contest.settle(former, &Edit { base: &known.value, made: &made, rival });
    let word = match winner {
        Winner::Nobody => FieldRule::Hold.word(),
        _ if linking => LINKING,
        _ => contest.word(former, &made),
    };
    let conflict = |lost: &Stamped, won: &Stamped| Conflict {
        field: field.clone(),
        system: link.system,
        lost: lost.value.clone(),
        lost_stamp: lost.stamp,
        won: won.value.clone(),
        won_stamp: won.stamp,
        rule: word.to_owned(),
    };
    match winner {
        Winner::Edit => {
            conflicts.extend(rival.then(|| conflict(former, &made)));
            entity.set(field.clone(), made.value, made.stamp);
            Finding::Taken
        }
        Winner::Former => {
            conflicts.push(conflict(&made, former));
            Finding::Lost
        }
        Winner::Nobody => {
            conflicts.push(conflict(&made, former));
            link.snapshot.entry(field.clone()).or_default().hold = Some(former.stamp);
            Finding::Lost
        }
        Winner::Both(both) => {
            // Of what it was made upon nothing is put together with it; and that may not be what its author saw.
            conflicts.extend((known.value == former.value).then(|| conflict(former, &both)));
            if contest.is_same(&both.value, &made.value) {
                link.snapshot.entry(field.clone()).or_default().restamp(both.stamp);
            }
            entity.set(field.clone(), both.value, both.stamp);
            Finding::United
        }
    }
}

/// Whether a value says what is true, in the system's own terms.
fn agrees(contest: &Contest<'_>, truth: &Value, value: &Value, express: impl Fn(&Value) -> Expressed) -> bool {
    let holds = |expressed| matches!(expressed, Expressed::Holds(known) if contest.is_same(&known, value));
    contest.is_same(truth, value) || holds(express(truth))
}

/// The stamp of a value that a system shows where nothing was said: nobody edited it, and any edit is later.
fn unsaid(order: &Order, author: Author) -> Stamp {
    order.after(Stamp::NEVER, Millis(0), author)
}

/// Whether the value is what the system shows where nothing was said: like a blank, it beats nothing when it is linked, and
/// is no loser.
fn shows_nothing(link: &Link, field: &Field, value: &Value, terms: &dyn Terms) -> bool {
    !value.is_blank() && terms.express(link.kind, field, &Value::Blank) == Expressed::Holds(value.clone())
}

/// A write of ours that a value may be.
#[derive(Clone, Copy)]
struct Ours {
    stamp: Stamp,
    /// Until when it may have landed, if its outcome was unclear.
    unclear: Option<Millis>,
}

/// Writes without an answer that may have landed since the last look, the latest first. A read is a look, and nothing else is:
/// the version of a payload tells when something in the object changed, not when each of its fields did.
fn late<'a>(link: &'a Link, frame: &Frame<'_>) -> impl Iterator<Item = (&'a Sent, Millis)> {
    let until = link.ledger.iter().rev().map(|sent| (sent, sent.at + frame.late_write));
    until.filter(|(_, until)| link.seen <= *until)
}

/// R5: our own write, if the value is one that we sent and that may have landed since the last look.
fn own_write(link: &Link, field: &Field, value: &Value, frame: &Frame<'_>) -> Option<Ours> {
    let carries = |sent: &Sent| sent.fields.get(field) == Some(value);
    let stamp = |sent: &Sent| sent.stamps.get(field).copied();
    if let Some(sent) = link.sent.as_ref().filter(|sent| carries(sent)) {
        return Some(Ours { stamp: stamp(sent)?, unclear: None });
    }
    let (sent, until) = late(link, frame).find(|(sent, _)| carries(sent))?;
    Some(Ours { stamp: stamp(sent)?, unclear: Some(until) })
}

/// Whether a write of ours of which nobody knows whether it landed may have changed the field since the last look.
fn may_have_been_changed(link: &Link, field: &Field, known: &Value, frame: &Frame<'_>) -> bool {
    let mut unclear = late(link, frame).map(|(sent, _)| sent).chain(&link.sent);
    unclear.any(|sent| sent.fields.get(field).is_some_and(|value| value != known))
}

/// The object is gone: by us, or as a value of a field, or for good.
fn gone(verdict: &mut Verdict, observation: &Observation, frame: &Frame<'_>) {
    let Verdict { entity, link, .. } = verdict;
    if link.state != LinkState::Live {
        return;
    }
    link.state = LinkState::Gone;
    let ours = link.was_deleted_by_us();
    if ours || !entity.is_live() || frame.orphaned {
        return;
    }
    let Some((field, value)) = frame.terms.gone_means(link.kind) else {
        // What others named and nobody ever saw was never there: no deletion, and no tombstone that forbids to make it.
        if !link.is_known() && !entity.is_placeholder() {
            link.state = LinkState::Retired;
            return;
        }
        verdict.deleted = true;
        return;
    };
    if *entity.value(&field) == value {
        verdict.findings.insert(field, Finding::Agreed);
        return;
    }
    let t = observation.at.unwrap_or(link.seen);
    let stamp = frame.order.after(entity.stamp(&field), t, Author::from(link.system));
    entity.set(field.clone(), value, stamp);
    verdict.findings.insert(field, Finding::Taken);
}

/// The stamp that a deletion found by `observation` carries, which `link` had not been told of: that of the time when it is said
/// to have been, or else when the object was last seen.
pub fn deletion_stamp(link: &Link, observation: &Observation) -> Stamp {
    Stamp::new(observation.at.unwrap_or(link.seen), Author::from(link.system))
}

/// What a write of ours leaves in the snapshot: the answered value where the answer shows the field, else the sent one,
/// with the entity's stamp (R9).
pub fn landed(link: &mut Link, sent: &Sent, shown: Option<&Observation>, now: Millis) {
    for (field, value) in &sent.fields {
        let answered = shown.and_then(|shown| claim::said(shown, field)).unwrap_or_else(|| value.clone());
        let Some(stamp) = sent.stamps.get(field) else { continue };
        link.snapshot.entry(field.clone()).or_default().write(answered, *stamp, now);
    }
}

/// Decides what the answer to a write of ours, which has [`landed`], shows beside what was sent.
pub fn answered(entity: &Entity, link: &Link, sent: &Sent, shown: &Observation, frame: &Frame<'_>) -> Verdict {
    let mut rest = shown.fields().cloned().unwrap_or_default();
    // What landed is known by now. It stays, for a list of all tags that leaves one out says that it is gone.
    rest.retain(|field, _| !sent.fields.contains_key(field) || sent.stamps.contains_key(field));
    let rest = Observation { class: Class::Current, shape: Shape::Partial(rest), ..shown.clone() };
    let mut verdict = decide(entity, link, &rest, frame);
    if !matches!(shown.shape, Shape::Full(_)) {
        // What it does not show was not looked at.
        verdict.link.seen = link.seen;
    }
    verdict
}

#[cfg(test)]
mod tests;
