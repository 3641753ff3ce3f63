//! Claims: observations that prove nothing by themselves (R3), the evidence they bring (R7), and what becomes of one that
//! a read did not confirm (R8). Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Millis;
use crate::model::{
    Author, Change, Class, Conflict, Evidence, Field, Fields, Finding, Link, LinkState, NewChange, Observation, Origin,
    Shape, Snapshot, Stamp, System, Terms, Unreadable, Value, is_told_late,
};

/// By how much a vendor's clock may have been set between an edit and its telling, if that took long: five minutes wrong
/// one way, and then the other.
const CLOCK_SET: Duration = Duration::from_mins(10);

/// How an observation is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It may move snapshot and entity.
    Proves,
    /// Everything it says is known.
    Echo,
    /// It says something new and proves nothing: the object must be read.
    Doubt,
    /// It is of an older version than one we know, and says what was true then: R8 at once.
    Old,
}

/// The observations in a change: the row of a look carries its own, anything else is read by the system's terms.
pub fn read(terms: &dyn Terms, change: &Change) -> Result<Vec<Observation>, Unreadable> {
    if !matches!(change.said.origin, Origin::Listing | Origin::Look) {
        return terms.observe(change);
    }
    let seen = serde_json::from_slice(&change.said.body).map_err(|error| Unreadable(error.to_string()))?;
    Ok(vec![seen])
}

/// The row of an observation that was made by looking: on a listed page, or within another object; [`read`] reads it
/// back. `key`: makes it one of its own.
pub fn row(origin: Origin, workspace: &str, system: System, seen: &Observation, key: Uuid, now: Millis) -> NewChange {
    let key = format!("{origin}/{system}/{key}");
    NewChange {
        kind: Some(seen.kind),
        object: Some(seen.id.clone()),
        at: seen.at,
        body: serde_json::to_vec(seen).unwrap_or_default().into(),
        ..NewChange::from_inside(origin, origin.word(), key, workspace, system, now)
    }
}

/// How an observation differs from what is known; `None`: it does not. That what we never had is gone is no difference: it
/// stays listed as deleted, and nothing is kept of it.
pub fn difference(terms: &dyn Terms, link: Option<&Link>, seen: &Observation) -> Option<&'static str> {
    match link.filter(|link| !is_another(link, seen)).map(|link| weigh(terms, link, seen)) {
        None if seen.shape == Shape::Gone && seen.moved.is_none() => None,
        None => Some("unknown"),
        Some(Weight::Old) if link.is_some_and(|link| may_be_back(link, seen)) => Some("restored"),
        Some(Weight::Echo | Weight::Old) => None,
        Some(Weight::Doubt | Weight::Proves) => Some("drifted"),
    }
}

/// Whether what is said of a tombstone may mean that the object is there again.
pub fn may_be_back(link: &Link, seen: &Observation) -> bool {
    link.state == LinkState::Gone && seen.shape != Shape::Gone && !seen.tells_only_tags()
}

/// Weighs an observation against what the link knows.
pub fn weigh(terms: &dyn Terms, link: &Link, observation: &Observation) -> Weight {
    if observation.shape == Shape::Gone {
        return if link.state == LinkState::Live { proof_of_absence(observation) } else { Weight::Echo };
    }
    if link.state != LinkState::Live {
        return Weight::Old;
    }
    match observation.class {
        Class::Current => Weight::Proves,
        _ if equals_snapshot(terms, link, observation) => Weight::Echo,
        Class::Versioned(version) => match link.version {
            Some(known) if version < known && !is_later(link, observation) && has_been(terms, link, observation) => {
                Weight::Old
            }
            // Its clock may have been set back.
            Some(known) if version <= known => Weight::Doubt,
            // Our writes have versions too, though not every answer tells them.
            _ if observation.at.is_some_and(|at| link.written() >= Some(at)) => Weight::Doubt,
            _ => Weight::Proves,
        },
        Class::Claim => Weight::Doubt,
    }
}

/// Whether a reading was overtaken on its way (R4): a payload told meanwhile of a newer version than it shows. `asked`: the link
/// when it was sent.
pub fn is_overtaken(asked: &Link, link: &Link, seen: &Observation) -> bool {
    link.version > asked.version && seen.version() < link.version
}

/// Whether something is said of a time after all that we saw and did there: then its version is no older one, but its clock was set.
fn is_later(link: &Link, observation: &Observation) -> bool {
    let known = link.written().max(Some(link.seen).filter(|seen| *seen > Millis(0)));
    known.is_some() && observation.at > known
}

/// Whether another object stands now where a former one is gone from: an id within another object is only a place.
pub fn is_another(former: &Link, observation: &Observation) -> bool {
    let shown = observation.class == Class::Claim && observation.fields().is_some();
    shown && former.state == LinkState::Gone && former.id.within().is_some()
}

fn proof_of_absence(observation: &Observation) -> Weight {
    if observation.class == Class::Current { Weight::Proves } else { Weight::Doubt }
}

/// Whether what the system is known to hold in a field cannot change again.
pub fn is_final(terms: &dyn Terms, link: &Link, field: &Field) -> bool {
    terms.is_final(link.kind, field, &link.known(field).value)
}

/// Whether every value that is stated is the one the snapshot holds, or speaks against what is final.
fn equals_snapshot(terms: &dyn Terms, link: &Link, observation: &Observation) -> bool {
    observation.fields().is_some()
        && link.is_known()
        && stated(observation, &link.snapshot)
            .iter()
            .all(|(field, value)| link.known(field).value == *value || is_final(terms, link, field))
}

/// Whether every value that is stated is one that the system is known to hold, or to have held.
fn has_been(terms: &dyn Terms, link: &Link, observation: &Observation) -> bool {
    stated(observation, &link.snapshot).iter().all(|(field, value)| {
        let known = link.known(field);
        known.value == *value || known.held.contains(value) || is_final(terms, link, field)
    })
}

/// All that an observation states: a full one states blank for each known field that it leaves out and might have carried,
/// one with the whole tag list for each known tag.
pub fn stated(observation: &Observation, snapshot: &Snapshot) -> Fields {
    let mut stated = observation.fields().cloned().unwrap_or_default();
    let whole = matches!(observation.shape, Shape::Full(_));
    let silent = |field: &Field| observation.silent.contains(field);
    let left_out = |field: &&Field| (whole && !silent(field)) || (observation.all_tags && field.as_tag().is_some());
    for field in snapshot.keys().filter(left_out) {
        stated.entry(field.clone()).or_default();
    }
    stated
}

/// What an observation says of one field, if anything.
pub fn said(observation: &Observation, field: &Field) -> Option<Value> {
    let absent = (observation.all_tags && field.as_tag().is_some()).then_some(Value::Blank);
    observation.fields().and_then(|fields| fields.get(field)).cloned().or(absent)
}

/// A reading, with what was told besides of the very version that it shows: some calls leave out what webhooks carry.
pub fn completed<'a>(reading: &Observation, told: impl IntoIterator<Item = &'a Observation>) -> Observation {
    let mut whole = reading.clone();
    let Shape::Partial(fields) = &mut whole.shape else { return whole };
    let is_of_it = |claim: &&Observation| claim.version().is_some() && claim.version() == reading.version();
    for (field, value) in told.into_iter().filter(is_of_it).filter_map(Observation::fields).flatten() {
        if said(reading, field).is_none() {
            fields.insert(field.clone(), value.clone());
        }
    }
    whole
}

/// The values that waiting claims brought, with their times.
pub fn evidence<'a>(claims: impl IntoIterator<Item = &'a Observation>) -> Evidence {
    let mut evidence = Evidence::new();
    for claim in claims {
        let (Some(fields), Some(at)) = (claim.fields(), claim.at) else { continue };
        for (field, value) in fields {
            evidence.entry(field.clone()).or_default().push((value.clone(), at));
        }
    }
    evidence
}

/// R7: the smallest of the times known to be not before the edit; none known: the last time the old value was seen.
pub fn edit_time(field: &Field, value: &Value, at: Option<Millis>, seen: Millis, evidence: &Evidence) -> Millis {
    let claimed = evidence.get(field).into_iter().flatten().filter(|(said, _)| said == value).map(|(_, at)| *at);
    claimed.chain(at).min().unwrap_or(seen)
}

/// R8: what becomes of a claim's values now that a read (or a newer version) has told what the system holds. Only values
/// that differ from the snapshot are judged; a value that we may have overwritten unseen is kept as a conflict. `told`: when
/// the claim came in.
pub fn unconfirmed(
    terms: &dyn Terms,
    link: &Link,
    claim: &Observation,
    told: Millis,
) -> (BTreeMap<Field, Finding>, Vec<Conflict>) {
    let mut findings = BTreeMap::new();
    let mut conflicts = Vec::new();
    let author = Author::from(link.system);
    let late = claim.at.is_some_and(|at| is_told_late(at, told));
    let amiss = if late { CLOCK_SET } else { Duration::ZERO };
    for (field, value) in claim.fields().into_iter().flatten() {
        let known = link.known(field);
        if known.value == *value {
            continue;
        }
        if is_final(terms, link, field) {
            findings.insert(field.clone(), Finding::Stale);
            continue;
        }
        let absent_tag = field.as_tag().is_some() && value.is_blank();
        // What its own users say now replaced it; what we wrote may have, also where it was theirs before, or is theirs again.
        let unseen = |until| claim.at.is_none_or(|at| at.since(until) <= amiss);
        let overwritten = known.ours || known.written.is_some_and(unseen);
        let replaced = known.stamp.author == author && !overwritten;
        let stale = !known.wrote || known.held.contains(value) || replaced || absent_tag;
        findings.insert(field.clone(), if stale { Finding::Stale } else { Finding::Lost });
        if !stale {
            conflicts.push(Conflict {
                field: field.clone(),
                system: link.system,
                lost: value.clone(),
                lost_stamp: Stamp::new(claim.at.unwrap_or(link.seen), author),
                won: known.value.clone(),
                won_stamp: known.stamp,
                rule: "overwritten_unseen".to_owned(),
            });
        }
    }
    (findings, conflicts)
}

#[cfg(test)]
mod tests;
