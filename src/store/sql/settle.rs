//! Writes a settlement: all of it, or nothing.
//!
//! Those of other tasks that wait meanwhile go with it (`together`). First the lease is checked and held; then rows are written
//! in a fixed order (entities, links, mirrors, the rest), each over the revision it was worked out from. A row that moved, a key
//! that another took and a collision of two transactions all mean [`Settled::Moved`].

mod together;

use async_trait::async_trait;

use super::change_log::{insert, keep_body, write_verdict};
use super::conflicts;
use super::dialect::{Sql, Tx, json, locking};
use super::error::{collided, taken};
use super::rows::{DELETED, LIVE, MERGED};
use super::script::{Done, Script, Value, values};
use super::{Db, Result, StoreError};
use crate::clock::Millis;
use crate::model::{
    Attempt, ChangeId, Entity, EntityId, ExternalId, Lease, Life, Link, Mirror, MirrorState, System, VerdictRow,
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

/// What a statement's result says of its settlement, if it comes too late.
type Judge = fn(Done) -> Option<Settled>;

/// It writes any number of rows.
const ANY: Judge = |_| None;

/// It writes one row, or the settlement has moved.
const ONE: Judge = |done| (done.written != 1).then_some(Settled::Moved);

/// It finds the lease.
const HELD: Judge = |done| done.number.is_none().then_some(Settled::LeaseLost);

/// The statements of a settlement.
#[derive(Default)]
struct Steps {
    script: Script,
    judges: Vec<Judge>,
}

impl Steps {
    fn add(&mut self, judge: Judge, sql: impl Into<Sql>, values: Vec<Value>) {
        self.script.add(sql, values);
        self.judges.push(judge);
    }

    /// Statements of another part of the store, of which none can come too late.
    fn with<R>(&mut self, add: impl FnOnce(&mut Script) -> R) -> R {
        let added = add(&mut self.script);
        self.judges.resize(self.script.len(), ANY);
        added
    }

    async fn run(self, tx: &mut Tx) -> std::result::Result<Vec<Done>, Stop> {
        let ran = self.script.run(tx).await;
        let mut judged = ran.done.iter().zip(self.judges);
        match judged.find_map(|(done, judge)| judge(*done)) {
            Some(late) => Err(Stop::Late(late)),
            None => Ok(ran.all()?),
        }
    }
}

async fn write(tx: &mut Tx, s: &Settlement) -> Part {
    let mut steps = Steps::default();
    hold_lease(&mut steps, &s.lease);
    rows(&mut steps, s)?;
    if !s.readings.is_empty() {
        steps = readings(tx, steps, s).await?;
    }
    decided(&mut steps, s)?;
    if conflicts::any(s) {
        std::mem::take(&mut steps).run(tx).await?;
        conflicts::write(tx, s).await?;
    }
    told(&mut steps, s)?;
    release(&mut steps, s);
    steps.run(tx).await.map(|_| ())
}

/// Entities, links and mirrors.
fn rows(steps: &mut Steps, s: &Settlement) -> sqlx::Result<()> {
    for entity in sorted(&s.entities, |entity| entity.id) {
        write_entity(steps, entity)?;
    }
    // A link that is given up goes first, so that the one that takes its place is the only live one.
    for link in sorted(&s.links, |link| (link.is_live(), link.system, link.kind, link.id.clone())) {
        write_link(steps, link)?;
    }
    for mirror in sorted(&s.mirrors, |mirror| (mirror.entity, mirror.system)) {
        write_mirror(steps, mirror)?;
    }
    Ok(())
}

/// Changes that came from inside: those whose keys are not there yet, with their verdicts. Gives what is still to run.
async fn readings(tx: &mut Tx, mut steps: Steps, s: &Settlement) -> std::result::Result<Steps, Stop> {
    for (change, _) in &s.readings {
        steps.with(|script| insert(script, change));
    }
    let done = steps.run(tx).await?;
    let inserted = done[done.len() - s.readings.len()..].iter().map(|done| done.number.map(ChangeId));
    let mut rest = Steps::default();
    for ((change, verdict), new) in s.readings.iter().zip(inserted) {
        let Some(id) = new else { continue };
        let verdict = VerdictRow { change: id, ..verdict.clone() };
        rest.with(|script| {
            keep_body(script, id, change)?;
            write_verdict(script, &verdict, Some(&s.lease.workspace))
        })?;
    }
    Ok(rest)
}

/// What becomes of changes.
fn decided(steps: &mut Steps, s: &Settlement) -> sqlx::Result<()> {
    let workspace = s.lease.workspace.as_str();
    for verdict in &s.verdicts {
        let sql = "DELETE FROM inbox WHERE change_id = $1 AND workspace = $2";
        steps.add(ONE, sql, values![verdict.change.0, workspace]);
    }
    for verdict in &s.verdicts {
        steps.with(|script| write_verdict(script, verdict, Some(workspace)))?;
    }
    for (change, entity, system, doubt) in &s.waits {
        let sql = "UPDATE inbox SET entity = $3, system = $4, doubt = $5 WHERE change_id = $1 AND workspace = $2";
        steps.add(ONE, sql, values![change.0, workspace, entity.to_string(), system.word(), *doubt]);
    }
    for (change, due) in &s.later {
        let sql = "UPDATE inbox SET due = $3, entity = NULL, system = NULL, doubt = NULL \
                   WHERE change_id = $1 AND workspace = $2";
        steps.add(ONE, sql, values![change.0, workspace, due.0]);
    }
    Ok(())
}

/// What people are told: calls that were made, and what they have to look at.
fn told(steps: &mut Steps, s: &Settlement) -> sqlx::Result<()> {
    for attempt in &s.attempts {
        write_attempt(steps, attempt)?;
    }
    for subject in &s.settled {
        steps.with(|script| close_review(script, &s.lease.workspace, subject, s.now));
    }
    for review in &s.reviews {
        open_review(steps, review);
    }
    Ok(())
}

/// Rows in an order that all transactions share, so that two of them wait for each other in one direction only.
fn sorted<T, K: Ord>(rows: &[T], key: impl Fn(&T) -> K) -> Vec<&T> {
    let mut rows: Vec<&T> = rows.iter().collect();
    rows.sort_by_key(|row| key(row));
    rows
}

/// The lease must still be ours, and stays so until the transaction ends: who takes it over waits for us. That it has
/// run out does no harm as long as nobody took it.
fn hold_lease(steps: &mut Steps, lease: &Lease) {
    let sql = locking!("SELECT fence FROM leases WHERE workspace = $1 AND owner = $2 AND fence = $3", "FOR SHARE");
    steps.add(HELD, sql, values![lease.workspace.as_str(), lease.owner.as_str(), lease.fence]);
}

fn write_entity(steps: &mut Steps, entity: &Entity) -> sqlx::Result<()> {
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
    steps.add(ONE, sql, values);
    Ok(())
}

fn write_link(steps: &mut Steps, link: &Link) -> sqlx::Result<()> {
    let sql = if link.rev == 0 {
        "INSERT INTO links (workspace, system, kind, id, entity, state, snapshot, version, seen, sent, ledger, rev, within) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 + 1, $13) ON CONFLICT DO NOTHING"
    } else {
        "UPDATE links SET entity = $5, state = $6, snapshot = $7, version = $8, seen = $9, sent = $10, ledger = $11, \
         rev = rev + 1, within = $13 WHERE workspace = $1 AND system = $2 AND kind = $3 AND id = $4 AND rev = $12"
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
    steps.add(ONE, sql, values);
    Ok(())
}

fn write_mirror(steps: &mut Steps, mirror: &Mirror) -> sqlx::Result<()> {
    let sql = if mirror.rev == 0 {
        "INSERT INTO mirrors (entity, system, workspace, state, due, tries, doubt, answered, intent, reason, since, rev, priority) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 + 1, $13) ON CONFLICT DO NOTHING"
    } else {
        "UPDATE mirrors SET state = $4, due = $5, tries = $6, doubt = $7, answered = $8, intent = $9, reason = $10, \
         since = $11, rev = rev + 1, priority = $13 WHERE entity = $1 AND system = $2 AND workspace = $3 AND rev = $12"
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
    steps.add(ONE, sql, values);
    Ok(())
}

fn write_attempt(steps: &mut Steps, attempt: &Attempt) -> sqlx::Result<()> {
    let sql = "INSERT INTO attempts (workspace, entity, system, action, object, fields, result, status, note, at, took_ms, \
         lag_ms, trace, burst_left, day_left) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
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
    steps.add(ANY, sql, values);
    Ok(())
}

fn open_review(steps: &mut Steps, review: &Review) {
    let sql =
        "INSERT INTO reviews (workspace, subject, entity, text, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let values = values![
        review.workspace.as_str(),
        review.subject.as_str(),
        review.entity.map(|id| id.to_string()),
        review.text.as_str(),
        review.at.0,
    ];
    steps.add(ANY, sql, values);
}

/// Closes the open review of a subject, if there is one.
pub(super) fn close_review(script: &mut Script, workspace: &str, subject: &str, now: Millis) {
    let sql = "UPDATE reviews SET closed = $3 WHERE workspace = $1 AND subject = $2 AND closed IS NULL";
    script.add(sql, values![workspace, subject, now.0]);
}

/// Makes mirrors due that wait for a contact. A child may be put to wait while its parent's link is being stored; both
/// lock the parent's row, so that the later of the two sees the other and no child waits for ever.
fn release(steps: &mut Steps, s: &Settlement) {
    let waiting = s.mirrors.iter().filter(|mirror| mirror.state == MirrorState::Waiting);
    for mirror in sorted(&waiting.collect::<Vec<_>>(), |mirror| (mirror.entity, mirror.system)) {
        release_if_parent_is_there(steps, mirror.entity, mirror.system, s.now);
    }
    for (contact, system) in sorted(&s.release, |release| *release) {
        let contact = contact.to_string();
        let lock = locking!("SELECT rev FROM entities WHERE id = $1", "FOR NO KEY UPDATE");
        steps.add(ANY, lock, values![contact.as_str()]);
        let sql = "UPDATE mirrors SET state = 'due', due = $3, reason = NULL, rev = rev + 1 WHERE system = $2 \
                   AND state = 'waiting' AND entity IN (SELECT id FROM entities WHERE parent = $1)";
        steps.add(ANY, sql, values![contact, system.word(), s.now.0]);
    }
}

fn release_if_parent_is_there(steps: &mut Steps, entity: EntityId, system: System, now: Millis) {
    let entity = entity.to_string();
    let lock = locking!(
        "SELECT rev FROM entities WHERE id = (SELECT parent FROM entities WHERE id = $1)",
        "FOR NO KEY UPDATE"
    );
    steps.add(ANY, lock, values![entity.as_str()]);
    let sql = "UPDATE mirrors SET state = 'due', due = $3, reason = NULL WHERE entity = $1 AND system = $2 AND EXISTS \
               (SELECT 1 FROM entities e JOIN links l ON l.entity = e.parent \
               WHERE e.id = $1 AND l.system = $2 AND l.state = 'live')";
    steps.add(ANY, sql, values![entity, system.word(), now.0]);
}
