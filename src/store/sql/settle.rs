//! Writes a settlement: all of it, or nothing.
//!
//! Those of other tasks that wait meanwhile go with it (`together`). First the lease is checked and held; then rows are written
//! in a fixed order (entities, links, mirrors, the rest), each over the revision it was worked out from. A row that moved, a key
//! that another took and a collision of two transactions all mean [`Settled::Moved`].

mod together;

use async_trait::async_trait;

use super::change_log::{insert, write_verdict};
use super::conflicts;
use super::dialect::{Tx, execute, first, json, locking};
use super::error::{collided, taken};
use super::rows::{DELETED, LIVE, MERGED};
use super::{Db, Result, StoreError};
use crate::clock::Millis;
use crate::model::{
    Appended, Attempt, Entity, EntityId, ExternalId, Lease, Life, Link, Mirror, MirrorState, NewChange, System,
    VerdictRow,
};
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
    /// In a transaction of its own.
    async fn settle_alone(&self, settlement: &Settlement) -> Result<Settled> {
        let mut tx = self.write().await?;
        let written = match write(&mut tx, settlement).await {
            Ok(()) => tx.commit().await.map_err(Stop::from),
            Err(stop) => {
                tx.rollback().await?;
                Err(stop)
            }
        };
        match written {
            Ok(()) => Ok(Settled::Done),
            Err(Stop::Late(settled)) => Ok(settled),
            Err(Stop::Failed(error)) => Err(error),
        }
    }
}

async fn write(tx: &mut Tx, s: &Settlement) -> Part {
    hold_lease(tx, &s.lease).await?;
    let workspace = s.lease.workspace.as_str();
    for entity in sorted(&s.entities, |entity| entity.id) {
        moved_unless(write_entity(tx, entity).await?)?;
    }
    // A link that is given up goes first, so that the one that takes its place is the only live one.
    for link in sorted(&s.links, |link| (link.is_live(), link.system, link.kind, link.id.clone())) {
        moved_unless(write_link(tx, link).await?)?;
    }
    for mirror in sorted(&s.mirrors, |mirror| (mirror.entity, mirror.system)) {
        moved_unless(write_mirror(tx, mirror).await?)?;
    }
    for (change, verdict) in &s.readings {
        write_reading(tx, change, verdict, workspace).await?;
    }
    for verdict in &s.verdicts {
        let sql = "DELETE FROM inbox WHERE change_id = $1 AND workspace = $2";
        moved_unless(execute!(&mut *tx, sql, verdict.change.0, workspace))?;
        write_verdict(tx, verdict, Some(workspace)).await?;
    }
    for (change, entity, system, doubt) in &s.waits {
        let sql = "UPDATE inbox SET entity = $3, system = $4, doubt = $5 WHERE change_id = $1 AND workspace = $2";
        moved_unless(execute!(&mut *tx, sql, change.0, workspace, entity.to_string(), system.word(), *doubt))?;
    }
    for (change, due) in &s.later {
        let sql = "UPDATE inbox SET due = $3, entity = NULL, system = NULL, doubt = NULL \
                   WHERE change_id = $1 AND workspace = $2";
        moved_unless(execute!(&mut *tx, sql, change.0, workspace, due.0))?;
    }
    conflicts::write(tx, s).await?;
    for attempt in &s.attempts {
        write_attempt(tx, attempt).await?;
    }
    for subject in &s.settled {
        close_review(tx, workspace, subject, s.now).await?;
    }
    for review in &s.reviews {
        open_review(tx, review).await?;
    }
    release(tx, s).await
}

/// Rows in an order that all transactions share, so that two of them wait for each other in one direction only.
fn sorted<T, K: Ord>(rows: &[T], key: impl Fn(&T) -> K) -> Vec<&T> {
    let mut rows: Vec<&T> = rows.iter().collect();
    rows.sort_by_key(|row| key(row));
    rows
}

fn moved_unless(rows: u64) -> Part {
    if rows == 1 { Ok(()) } else { Err(Stop::Late(Settled::Moved)) }
}

/// The lease must still be ours, and stays so until the transaction ends: who takes it over waits for us. That it has
/// run out does no harm as long as nobody took it.
async fn hold_lease(tx: &mut Tx, lease: &Lease) -> Part {
    let sql = locking!("SELECT fence FROM leases WHERE workspace = $1 AND owner = $2 AND fence = $3", "FOR SHARE");
    let held: Option<(i64,)> = first!(tx, sql, lease.workspace.as_str(), lease.owner.as_str(), lease.fence);
    held.map(|_| ()).ok_or(Stop::Late(Settled::LeaseLost))
}

async fn write_entity(tx: &mut Tx, entity: &Entity) -> sqlx::Result<u64> {
    let sql = if entity.rev == 0 {
        "INSERT INTO entities (id, workspace, kind, parent, fields, email_key, phone_key, life, deleted_at, deleted_by, \
         merged_into, made, rev) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 + 1) \
         ON CONFLICT DO NOTHING"
    } else {
        "UPDATE entities SET kind = $3, parent = $4, fields = $5, email_key = $6, phone_key = $7, life = $8, \
         deleted_at = $9, deleted_by = $10, merged_into = $11, made = $12, rev = rev + 1 \
         WHERE id = $1 AND workspace = $2 AND rev = $13"
    };
    let keys = Keys::of(|field| entity.value(field));
    let (life, stamp, other) = match &entity.life {
        Life::Live => (LIVE, None, None),
        Life::Deleted(stamp) => (DELETED, Some(*stamp), None),
        Life::Merged(other) => (MERGED, None, Some(other.to_string())),
    };
    Ok(execute!(
        tx,
        sql,
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
    ))
}

async fn write_link(tx: &mut Tx, link: &Link) -> sqlx::Result<u64> {
    let sql = if link.rev == 0 {
        "INSERT INTO links (workspace, system, kind, id, entity, state, snapshot, version, seen, sent, ledger, rev, within) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 + 1, $13) ON CONFLICT DO NOTHING"
    } else {
        "UPDATE links SET entity = $5, state = $6, snapshot = $7, version = $8, seen = $9, sent = $10, ledger = $11, \
         rev = rev + 1, within = $13 WHERE workspace = $1 AND system = $2 AND kind = $3 AND id = $4 AND rev = $12"
    };
    Ok(execute!(
        tx,
        sql,
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
    ))
}

async fn write_mirror(tx: &mut Tx, mirror: &Mirror) -> sqlx::Result<u64> {
    let sql = if mirror.rev == 0 {
        "INSERT INTO mirrors (entity, system, workspace, state, due, tries, doubt, answered, intent, reason, since, rev) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 + 1) ON CONFLICT DO NOTHING"
    } else {
        "UPDATE mirrors SET state = $4, due = $5, tries = $6, doubt = $7, answered = $8, intent = $9, reason = $10, \
         since = $11, rev = rev + 1 WHERE entity = $1 AND system = $2 AND workspace = $3 AND rev = $12"
    };
    Ok(execute!(
        tx,
        sql,
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
    ))
}

async fn write_reading(tx: &mut Tx, change: &NewChange, verdict: &VerdictRow, workspace: &str) -> sqlx::Result<()> {
    if let Appended::New(id) = insert(tx, change).await? {
        write_verdict(tx, &VerdictRow { change: id, ..verdict.clone() }, Some(workspace)).await?;
    }
    Ok(())
}

async fn write_attempt(tx: &mut Tx, attempt: &Attempt) -> sqlx::Result<()> {
    execute!(
        tx,
        "INSERT INTO attempts (workspace, entity, system, action, object, fields, result, status, note, at, took_ms, \
         lag_ms, trace, burst_left, day_left) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
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
    );
    Ok(())
}

async fn open_review(tx: &mut Tx, review: &Review) -> sqlx::Result<()> {
    execute!(
        tx,
        "INSERT INTO reviews (workspace, subject, entity, text, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        review.workspace.as_str(),
        review.subject.as_str(),
        review.entity.map(|id| id.to_string()),
        review.text.as_str(),
        review.at.0,
    );
    Ok(())
}

/// Closes the open review of a subject, if there is one.
pub(super) async fn close_review(tx: &mut Tx, workspace: &str, subject: &str, now: Millis) -> sqlx::Result<bool> {
    let sql = "UPDATE reviews SET closed = $3 WHERE workspace = $1 AND subject = $2 AND closed IS NULL";
    Ok(execute!(tx, sql, workspace, subject, now.0) == 1)
}

/// Makes mirrors due that wait for a contact. A child may be put to wait while its parent's link is being stored; both
/// lock the parent's row, so that the later of the two sees the other and no child waits for ever.
async fn release(tx: &mut Tx, s: &Settlement) -> Part {
    let waiting = s.mirrors.iter().filter(|mirror| mirror.state == MirrorState::Waiting);
    for mirror in sorted(&waiting.collect::<Vec<_>>(), |mirror| (mirror.entity, mirror.system)) {
        release_if_parent_is_there(tx, mirror.entity, mirror.system, s.now).await?;
    }
    for (contact, system) in sorted(&s.release, |release| *release) {
        let contact = contact.to_string();
        let lock = locking!("SELECT id FROM entities WHERE id = $1", "FOR NO KEY UPDATE");
        let _locked: Option<(String,)> = first!(&mut *tx, lock, contact.as_str());
        execute!(
            &mut *tx,
            "UPDATE mirrors SET state = 'due', due = $3, reason = NULL, rev = rev + 1 WHERE system = $2 \
             AND state = 'waiting' AND entity IN (SELECT id FROM entities WHERE parent = $1)",
            contact.as_str(),
            system.word(),
            s.now.0,
        );
    }
    Ok(())
}

async fn release_if_parent_is_there(tx: &mut Tx, entity: EntityId, system: System, now: Millis) -> sqlx::Result<()> {
    let entity = entity.to_string();
    let lock =
        locking!("SELECT id FROM entities WHERE id = (SELECT parent FROM entities WHERE id = $1)", "FOR NO KEY UPDATE");
    let _locked: Option<(String,)> = first!(&mut *tx, lock, entity.as_str());
    execute!(
        tx,
        "UPDATE mirrors SET state = 'due', due = $3, reason = NULL WHERE entity = $1 AND system = $2 AND EXISTS \
         (SELECT 1 FROM entities e JOIN links l ON l.entity = e.parent \
         WHERE e.id = $1 AND l.system = $2 AND l.state = 'live')",
        entity.as_str(),
        system.word(),
        now.0,
    );
    Ok(())
}
