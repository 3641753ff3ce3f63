//! Writes a settlement: all of it, or nothing.
//!
//! Those of other tasks that wait meanwhile go with it (`together`). First the lease is checked and held; then rows are written
//! in a fixed order (entities, links, mirrors, the rest), each over the revision it was worked out from. A row that moved, a key
//! that another took and a collision of two transactions all mean [`Settled::Moved`].

mod together;

use async_trait::async_trait;

use super::change_log::{insert, keep_body, write_verdict};
use super::conflicts;
use super::dialect::{Tx, json, locking};
use super::error::{collided, taken};
use super::rows::{DELETED, LIVE, MERGED};
use super::script::{Must, Script, Stopped, values};
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
        if settlements.iter().all(|settlement| is_plain(settlement)) {
            let scripts = settlements.iter().map(|settlement| plain(settlement)).collect::<sqlx::Result<_>>()?;
            self.stroke().await?.finish(self.alike_together(scripts)).await?;
            return Ok(());
        }
        let mut tx = self.write().await?;
        for settlement in settlements {
            write(&mut tx, settlement).await?;
        }
        Ok(tx.commit().await?)
    }

    /// PostgreSQL's keep the order in which all transactions lock rows.
    fn alike_together(&self, mut scripts: Vec<Script>) -> Vec<Script> {
        if self.pg().is_none() {
            scripts.sort_by(|one, other| one.shape().cmp(other.shape()));
        }
        scripts
    }
}

impl From<Stopped> for Stop {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Unmet(Must::Find) => Self::Late(Settled::LeaseLost),
            Stopped::Unmet(_) => Self::Late(Settled::Moved),
            Stopped::Failed(error) => error.into(),
        }
    }
}

/// Whether no statement has to know what another one did. Most settlements are so.
fn is_plain(s: &Settlement) -> bool {
    s.readings.is_empty() && !conflicts::any(s)
}

fn plain(s: &Settlement) -> sqlx::Result<Script> {
    let mut script = Script::default();
    rows(&mut script, s)?;
    decided(&mut script, s)?;
    told(&mut script, s)?;
    Ok(script)
}

async fn write(tx: &mut Tx, s: &Settlement) -> Part {
    let mut script = Script::default();
    rows(&mut script, s)?;
    if !s.readings.is_empty() {
        script = readings(tx, script, s).await?;
    }
    decided(&mut script, s)?;
    if conflicts::any(s) {
        std::mem::take(&mut script).run(tx).await?;
        conflicts::write(tx, s).await?;
    }
    told(&mut script, s)?;
    script.run(tx).await?;
    Ok(())
}

/// The lease; entities, links and mirrors.
fn rows(script: &mut Script, s: &Settlement) -> sqlx::Result<()> {
    hold_lease(script, &s.lease);
    for entity in sorted(&s.entities, |entity| entity.id) {
        write_entity(script, entity)?;
    }
    // A link that is given up goes first, so that the one that takes its place is the only live one.
    for link in sorted(&s.links, |link| (link.is_live(), link.system, link.kind, link.id.clone())) {
        write_link(script, link)?;
    }
    for mirror in sorted(&s.mirrors, |mirror| (mirror.entity, mirror.system)) {
        write_mirror(script, mirror)?;
    }
    Ok(())
}

/// Changes that came from inside: those whose keys are not there yet, with their verdicts. Gives what is still to run.
async fn readings(tx: &mut Tx, mut script: Script, s: &Settlement) -> std::result::Result<Script, Stop> {
    for (change, _) in &s.readings {
        insert(&mut script, change);
    }
    let done = script.run(tx).await?;
    let inserted = done[done.len() - s.readings.len()..].iter().map(|done| done.number.map(ChangeId));
    let mut rest = Script::default();
    for ((change, verdict), new) in s.readings.iter().zip(inserted) {
        let Some(id) = new else { continue };
        let verdict = VerdictRow { change: id, ..verdict.clone() };
        keep_body(&mut rest, id, change)?;
        write_verdict(&mut rest, &verdict, Some(&s.lease.workspace))?;
    }
    Ok(rest)
}

/// What becomes of changes.
fn decided(script: &mut Script, s: &Settlement) -> sqlx::Result<()> {
    let workspace = s.lease.workspace.as_str();
    for verdict in &s.verdicts {
        let sql = "DELETE FROM inbox WHERE change_id = $1 AND workspace = $2";
        script.must(Must::WriteOne, sql, values![verdict.change.0, workspace]);
    }
    for verdict in &s.verdicts {
        write_verdict(script, verdict, Some(workspace))?;
    }
    for (change, entity, system, doubt) in &s.waits {
        let sql = "UPDATE inbox SET entity = $3, system = $4, doubt = $5 WHERE change_id = $1 AND workspace = $2";
        script.must(Must::WriteOne, sql, values![change.0, workspace, entity.to_string(), system.word(), *doubt]);
    }
    for (change, due) in &s.later {
        let sql = "UPDATE inbox SET due = $3, entity = NULL, system = NULL, doubt = NULL \
                   WHERE change_id = $1 AND workspace = $2";
        script.must(Must::WriteOne, sql, values![change.0, workspace, due.0]);
    }
    Ok(())
}

/// What people are told: calls that were made, and what they have to look at. Then whoever waits for it goes on.
fn told(script: &mut Script, s: &Settlement) -> sqlx::Result<()> {
    for attempt in &s.attempts {
        write_attempt(script, attempt)?;
    }
    for subject in &s.settled {
        close_review(script, &s.lease.workspace, subject, s.now);
    }
    for review in &s.reviews {
        open_review(script, review);
    }
    release(script, s);
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
fn hold_lease(script: &mut Script, lease: &Lease) {
    let sql = locking!("SELECT fence FROM leases WHERE workspace = $1 AND owner = $2 AND fence = $3", "FOR SHARE");
    script.must(Must::Find, sql, values![lease.workspace.as_str(), lease.owner.as_str(), lease.fence]);
}

fn write_entity(script: &mut Script, entity: &Entity) -> sqlx::Result<()> {
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
    script.must(Must::WriteOne, sql, values);
    Ok(())
}

fn write_link(script: &mut Script, link: &Link) -> sqlx::Result<()> {
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
    script.must(Must::WriteOne, sql, values);
    Ok(())
}

fn write_mirror(script: &mut Script, mirror: &Mirror) -> sqlx::Result<()> {
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
    script.must(Must::WriteOne, sql, values);
    Ok(())
}

fn write_attempt(script: &mut Script, attempt: &Attempt) -> sqlx::Result<()> {
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
    script.add(sql, values);
    Ok(())
}

fn open_review(script: &mut Script, review: &Review) {
    let sql =
        "INSERT INTO reviews (workspace, subject, entity, text, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let values = values![
        review.workspace.as_str(),
        review.subject.as_str(),
        review.entity.map(|id| id.to_string()),
        review.text.as_str(),
        review.at.0,
    ];
    script.add(sql, values);
}

/// Closes the open review of a subject, if there is one.
pub(super) fn close_review(script: &mut Script, workspace: &str, subject: &str, now: Millis) {
    let sql = "UPDATE reviews SET closed = $3 WHERE workspace = $1 AND subject = $2 AND closed IS NULL";
    script.add(sql, values![workspace, subject, now.0]);
}

/// Makes mirrors due that wait for a contact. A child may be put to wait while its parent's link is being stored; both
/// lock the parent's row, so that the later of the two sees the other and no child waits for ever.
fn release(script: &mut Script, s: &Settlement) {
    let waiting = s.mirrors.iter().filter(|mirror| mirror.state == MirrorState::Waiting);
    for mirror in sorted(&waiting.collect::<Vec<_>>(), |mirror| (mirror.entity, mirror.system)) {
        release_if_parent_is_there(script, mirror.entity, mirror.system, s.now);
    }
    for (contact, system) in sorted(&s.release, |release| *release) {
        let contact = contact.to_string();
        let lock = locking!("SELECT rev FROM entities WHERE id = $1", "FOR NO KEY UPDATE");
        script.add(lock, values![contact.as_str()]);
        let sql = "UPDATE mirrors SET state = 'due', due = $3, reason = NULL, rev = rev + 1 WHERE system = $2 \
                   AND state = 'waiting' AND entity IN (SELECT id FROM entities WHERE parent = $1)";
        script.add(sql, values![contact, system.word(), s.now.0]);
    }
}

fn release_if_parent_is_there(script: &mut Script, entity: EntityId, system: System, now: Millis) {
    let entity = entity.to_string();
    let lock = locking!(
        "SELECT rev FROM entities WHERE id = (SELECT parent FROM entities WHERE id = $1)",
        "FOR NO KEY UPDATE"
    );
    script.add(lock, values![entity.as_str()]);
    let sql = "UPDATE mirrors SET state = 'due', due = $3, reason = NULL WHERE entity = $1 AND system = $2 AND EXISTS \
               (SELECT 1 FROM entities e JOIN links l ON l.entity = e.parent \
               WHERE e.id = $1 AND l.system = $2 AND l.state = 'live')";
    script.add(sql, values![entity, system.word(), now.0]);
}
