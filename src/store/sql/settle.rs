//! Writes a settlement: all of it, or nothing.
//!
//! Those of other tasks that wait meanwhile go with it (`together`). First the lease is checked and held; then rows are written
//! in a fixed order (entities, links, mirrors, the rest), each over the revision it was worked out from. A row that moved, a key
//! that another took and a collision of two transactions all mean [`Settled::Moved`].

mod together;

use async_trait::async_trait;

use super::change_log::{insert, keep_body, numbers, write_verdict};
use super::conflicts;
use super::dialect::{Either, Tx, json, locking};
use super::error::{collided, taken};
use super::rows::{DELETED, LIVE, MERGED};
use super::script::{Done, Must, Script, Stopped, values};
use super::{Db, Result, StoreError};
use crate::clock::Millis;
use crate::model::{Attempt, Entity, ExternalId, Lease, Life, Link, Mirror, MirrorState, NewChange, VerdictRow};
use crate::store::{Keys, Review, Settled, Settlement, Settling};

pub(super) use together::Together;

/// Why a settlement is not written.
enum Stop {
    /// It came too late; nothing is wrong.
    Late(Settled),
    /// The database failed.
    Failed(StoreError),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        if collided(&error) || taken(&error) { Self::Late(Settled::Moved) } else { Self::Failed(error.into()) }
    }
}

/// One part of a settlement.
type Part = std::result::Result<(), Stop>;

#[async_trait]
impl Settling for Db {
    async fn settle(&self, settlement: &Settlement) -> Result<Settled> {
        settlement.own_workspace_only()?;
        self.settle_together(settlement).await
    }
}

impl Db {
    /// Writes one by itself.
    async fn settle_alone(&self, settlement: &Settlement) -> Result<Settled> {
        match self.settle_all(&[settlement]).await {
            Ok(()) => Ok(Settled::Done),
            Err(Stop::Late(settled)) => Ok(settled),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Writes all of them in one transaction, or none.
    async fn settle_all(&self, settlements: &[&Settlement]) -> Part {
        if settlements.iter().any(|settlement| conflicts::any(settlement)) {
            let mut tx = self.write().await?;
            for settlement in settlements {
                write(&mut tx, settlement).await?;
            }
            return Ok(tx.commit().await?);
        }
        let mut stroke = self.stroke().await?;
        let mut script = rows(settlements)?;
        let read = readings(settlements);
        if !read.is_empty() {
            insert(&mut script, &changes(&read), self.pg().is_some())?;
            let inserted = stroke.run(std::mem::take(&mut script)).await?;
            take_in(&mut script, &read, &inserted)?;
        }
        decided(&mut script, settlements)?;
        told(&mut script, settlements)?;
        stroke.finish(script).await?;
        Ok(())
    }
}

impl From<Stopped> for Stop {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Unmet(Must::FindEach) => Self::Late(Settled::LeaseLost),
            Stopped::Unmet(_) => Self::Late(Settled::Moved),
            Stopped::Failed(error) => error.into(),
        }
    }
}

/// Writes one that tells of conflicts: what is kept of them already has to be known first.
async fn write(tx: &mut Tx, s: &Settlement) -> Part {
    let mut script = rows(&[s])?;
    let read = readings(&[s]);
    insert(&mut script, &changes(&read), matches!(tx, Either::Pg(_)))?;
    let inserted = script.run(tx).await?;
    let mut script = Script::default();
    take_in(&mut script, &read, &inserted)?;
    decided(&mut script, &[s])?;
    script.run(tx).await?;
    conflicts::write(tx, s).await?;
    let mut script = Script::default();
    told(&mut script, &[s])?;
    script.run(tx).await?;
    Ok(())
}

/// The leases; entities, links and mirrors.
fn rows(settlements: &[&Settlement]) -> sqlx::Result<Script> {
    let mut script = Script::default();
    for lease in sorted(settlements, |s| std::slice::from_ref(&s.lease), |lease| lease.workspace.clone()) {
        hold_lease(&mut script, lease)?;
    }
    for entity in sorted(settlements, |s| &s.entities, |entity| entity.id) {
        write_entity(&mut script, entity)?;
    }
    let links = sorted(settlements, |s| &s.links, |link| (link.system, link.kind, link.id.clone()));
    // A link that is given up goes first, so that the one that takes its place is the only live one.
    for live in [false, true] {
        for link in links.iter().filter(|link| link.is_live() == live) {
            write_link(&mut script, link)?;
        }
        script.then();
    }
    for mirror in sorted(settlements, |s| &s.mirrors, |mirror| (mirror.entity, mirror.system)) {
        write_mirror(&mut script, mirror)?;
    }
    Ok(script)
}

/// A change that came from inside, and whose it is.
type Reading<'a> = (&'a NewChange, &'a VerdictRow, &'a str);

fn readings<'a>(settlements: &[&'a Settlement]) -> Vec<Reading<'a>> {
    let one = |s: &&'a Settlement| {
        let workspace = s.lease.workspace.as_str();
        s.readings.iter().map(move |(change, verdict)| (change, verdict, workspace))
    };
    settlements.iter().flat_map(one).collect()
}

fn changes<'a>(read: &[Reading<'a>]) -> Vec<&'a NewChange> {
    read.iter().map(|(change, ..)| *change).collect()
}

/// Those whose keys were not there have their bodies and verdicts.
fn take_in(script: &mut Script, read: &[Reading<'_>], inserted: &[Done]) -> sqlx::Result<()> {
    for ((change, verdict, workspace), new) in read.iter().zip(numbers(&changes(read), inserted)) {
        let Some(id) = new else { continue };
        keep_body(script, id, change)?;
        write_verdict(script, &VerdictRow { change: id, ..(*verdict).clone() }, Some(workspace))?;
    }
    Ok(())
}

/// What becomes of changes.
fn decided(script: &mut Script, settlements: &[&Settlement]) -> sqlx::Result<()> {
    let of = |s: &Settlement| s.lease.workspace.clone();
    for s in settlements {
        for verdict in &s.verdicts {
            let sql = "DELETE FROM inbox WHERE (change_id, workspace) IN (SELECT $1, $2 FROM $rows)";
            script.must(Must::WriteEach, sql, values![verdict.change.0, of(s)])?;
        }
    }
    script.then();
    for s in settlements {
        for verdict in &s.verdicts {
            write_verdict(script, verdict, Some(&of(s)))?;
        }
        for (change, entity, system, doubt) in &s.waits {
            let sql = "UPDATE inbox SET entity = $3, system = $4, doubt = $5 FROM $rows \
                       WHERE change_id = $1 AND workspace = $2";
            let row = values![change.0, of(s), entity.to_string(), system.word(), *doubt];
            script.must(Must::WriteEach, sql, row)?;
        }
        for (change, due) in &s.later {
            let sql = "UPDATE inbox SET due = $3, entity = NULL, system = NULL, doubt = NULL FROM $rows \
                       WHERE change_id = $1 AND workspace = $2";
            script.must(Must::WriteEach, sql, values![change.0, of(s), due.0])?;
        }
    }
    Ok(())
}

/// What people are told: calls that were made, and what they have to look at. Then whoever waits for it goes on.
fn told(script: &mut Script, settlements: &[&Settlement]) -> sqlx::Result<()> {
    for attempt in settlements.iter().flat_map(|s| &s.attempts) {
        write_attempt(script, attempt)?;
    }
    for s in settlements {
        for subject in &s.settled {
            close_review(script, &s.lease.workspace, subject, s.now)?;
        }
    }
    script.then();
    for review in settlements.iter().flat_map(|s| &s.reviews) {
        open_review(script, review)?;
    }
    wait(script, settlements)?;
    release(script, settlements)
}

/// The rows of all settlements in an order that all transactions share, so that two of them wait for each other in one direction
/// only.
fn sorted<'a, T, K: Ord>(
    settlements: &[&'a Settlement],
    of: impl Fn(&'a Settlement) -> &'a [T],
    key: impl Fn(&T) -> K,
) -> Vec<&'a T> {
    let mut rows: Vec<&T> = settlements.iter().flat_map(|s| of(s)).collect();
    rows.sort_by_key(|row| key(row));
    rows
}

/// The lease must still be ours, and stays so until the transaction ends: who takes it over waits for us. That it has
/// run out does no harm as long as nobody took it.
fn hold_lease(script: &mut Script, lease: &Lease) -> sqlx::Result<()> {
    let sql = locking!(
        "SELECT l.fence, l.workspace FROM $rows JOIN leases l ON l.workspace = $1 AND l.owner = $2 AND l.fence = $3",
        "FOR SHARE OF l"
    );
    script.must(Must::FindEach, sql, values![lease.workspace.as_str(), lease.owner.as_str(), lease.fence])
}

fn write_entity(script: &mut Script, entity: &Entity) -> sqlx::Result<()> {
    let sql = if entity.rev == 0 {
        "INSERT INTO entities (id, workspace, kind, parent, fields, email_key, phone_key, life, deleted_at, deleted_by, \
         merged_into, made, rev) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 + 1 FROM $rows \
         WHERE true ON CONFLICT DO NOTHING"
    } else {
        "UPDATE entities SET kind = $3, parent = $4, fields = $5, email_key = $6, phone_key = $7, life = $8, \
         deleted_at = $9, deleted_by = $10, merged_into = $11, made = $12, rev = rev + 1 \
         FROM $rows WHERE id = $1 AND workspace = $2 AND rev = $13"
    };
    let keys = Keys::of(|field| entity.value(field));
    let (life, stamp, other) = match &entity.life {
        Life::Live => (LIVE, None, None),
        Life::Deleted(stamp) => (DELETED, Some(*stamp), None),
        Life::Merged(other) => (MERGED, None, Some(other.to_string())),
    };
    let values = values![
        entity.id.to_string(),
        entity.workspace.as_str(),
        entity.kind.word(),
        entity.parent.map(|id| id.to_string()),
        json(&entity.fields)?,
        keys.email,
        keys.phone,
        life,
        stamp.map(|stamp| stamp.t.0),
        stamp.map(|stamp| stamp.author.word()),
        other,
        entity.made.0,
        entity.rev,
    ];
    script.must(Must::WriteEach, sql, values)
}

fn write_link(script: &mut Script, link: &Link) -> sqlx::Result<()> {
    let sql = if link.rev == 0 {
        "INSERT INTO links (workspace, system, kind, id, entity, state, snapshot, version, seen, sent, ledger, rev, within) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 + 1, $13 FROM $rows WHERE true ON CONFLICT DO NOTHING"
    } else {
        "UPDATE links SET entity = $5, state = $6, snapshot = $7, version = $8, seen = $9, sent = $10, ledger = $11, \
         rev = rev + 1, within = $13 FROM $rows WHERE workspace = $1 AND system = $2 AND kind = $3 AND id = $4 AND rev = $12"
    };
    let values = values![
        link.workspace.as_str(),
        link.system.word(),
        link.kind.word(),
        link.id.as_str(),
        link.entity.to_string(),
        link.state.word(),
        json(&link.snapshot)?,
        link.version.map(|version| version.0),
        link.seen.0,
        link.sent.as_ref().map(json).transpose()?,
        json(&link.ledger)?,
        link.rev,
        link.id.within().map(|outer| outer.0),
    ];
    script.must(Must::WriteEach, sql, values)
}

fn write_mirror(script: &mut Script, mirror: &Mirror) -> sqlx::Result<()> {
    let sql = if mirror.rev == 0 {
        "INSERT INTO mirrors (entity, system, workspace, state, due, tries, doubt, answered, intent, reason, since, rev, priority) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 + 1, $13 FROM $rows WHERE true ON CONFLICT DO NOTHING"
    } else {
        "UPDATE mirrors SET state = $4, due = $5, tries = $6, doubt = $7, answered = $8, intent = $9, reason = $10, \
         since = $11, rev = rev + 1, priority = $13 FROM $rows WHERE entity = $1 AND system = $2 AND workspace = $3 AND rev = $12"
    };
    let values = values![
        mirror.entity.to_string(),
        mirror.system.word(),
        mirror.workspace.as_str(),
        mirror.state.word(),
        mirror.due.0,
        i64::from(mirror.tries),
        mirror.doubt,
        mirror.answered,
        mirror.intent.as_ref().map(json).transpose()?,
        mirror.reason.as_deref(),
        mirror.since.map(|since| since.0),
        mirror.rev,
        mirror.priority.word(),
    ];
    script.must(Must::WriteEach, sql, values)
}

fn write_attempt(script: &mut Script, attempt: &Attempt) -> sqlx::Result<()> {
    let sql = "INSERT INTO attempts (workspace, entity, system, action, object, fields, result, status, note, at, took_ms, \
         lag_ms, trace, burst_left, day_left) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 FROM $rows";
    let values = values![
        attempt.workspace.as_str(),
        attempt.entity.to_string(),
        attempt.system.word(),
        attempt.action.word(),
        attempt.object.as_ref().map(ExternalId::as_str),
        json(&attempt.fields)?,
        attempt.result.word(),
        attempt.status.map(i64::from),
        attempt.note.as_deref(),
        attempt.at.0,
        attempt.took_ms,
        attempt.lag_ms,
        attempt.trace.as_deref(),
        attempt.burst_left.map(i64::from),
        attempt.day_left.map(i64::from),
    ];
    script.add(sql, values)
}

fn open_review(script: &mut Script, review: &Review) -> sqlx::Result<()> {
    let sql = "INSERT INTO reviews (workspace, subject, entity, text, at) SELECT $1, $2, $3, $4, $5 FROM $rows WHERE true \
               ON CONFLICT DO NOTHING";
    let values = values![
        review.workspace.as_str(),
        review.subject.as_str(),
        review.entity.map(|id| id.to_string()),
        review.text.as_str(),
        review.at.0,
    ];
    script.add(sql, values)
}

/// Closes the open review of a subject, if there is one.
pub(super) fn close_review(script: &mut Script, workspace: &str, subject: &str, now: Millis) -> sqlx::Result<()> {
    let sql = "UPDATE reviews SET closed = $3 FROM $rows WHERE workspace = $1 AND subject = $2 AND closed IS NULL";
    script.add(sql, values![workspace, subject, now.0])
}

/// A child may be put to wait while its parent's link is being stored; both lock the parent's row, so that the later of the two
/// sees the other and no child waits for ever. One whose parent is there by now is due.
fn wait(script: &mut Script, settlements: &[&Settlement]) -> sqlx::Result<()> {
    let lock = locking!(
        "SELECT rev, id FROM entities WHERE id IN \
         (SELECT e.parent FROM $rows JOIN entities e ON e.id = $1 WHERE e.parent IS NOT NULL) ORDER BY id",
        "FOR NO KEY UPDATE"
    );
    let sql = "UPDATE mirrors SET state = 'due', due = $3, reason = NULL FROM $rows WHERE entity = $1 AND system = $2 AND EXISTS \
               (SELECT 1 FROM entities e JOIN links l ON l.entity = e.parent \
               WHERE e.id = $1 AND l.system = $2 AND l.state = 'live')";
    for s in settlements {
        for mirror in s.mirrors.iter().filter(|mirror| mirror.state == MirrorState::Waiting) {
            let child = mirror.entity.to_string();
            script.add(lock, values![child.as_str()])?;
            script.add(sql, values![child, mirror.system.word(), s.now.0])?;
        }
    }
    Ok(())
}

/// Makes mirrors due that wait for a contact.
fn release(script: &mut Script, settlements: &[&Settlement]) -> sqlx::Result<()> {
    let lock =
        locking!("SELECT rev, id FROM entities WHERE id IN (SELECT $1 FROM $rows) ORDER BY id", "FOR NO KEY UPDATE");
    let sql = "UPDATE mirrors SET state = 'due', due = $3, reason = NULL, rev = mirrors.rev + 1 \
               FROM $rows JOIN entities e ON e.parent = $1 \
               WHERE mirrors.entity = e.id AND mirrors.system = $2 AND mirrors.state = 'waiting'";
    for s in settlements {
        for (contact, system) in &s.release {
            script.add(lock, values![contact.to_string()])?;
            script.add(sql, values![contact.to_string(), system.word(), s.now.0])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
