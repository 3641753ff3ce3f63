//! The change log and its inbox.

use async_trait::async_trait;

use super::dialect::{Either, Tx, all, first, json};
use super::error::collided;
use super::rows::{BodyRow, Both, ChangeRow, DoubtRow, read};
use super::script::{Done, Script, did, run, values};
use super::{Db, Result};
use crate::clock::Millis;
use crate::model::{Appended, Change, ChangeId, EntityId, ExternalId, Kind, NewChange, Standing, System, VerdictRow};
use crate::store::ChangeLog;

/// How often an append is tried that collides with a settlement (which may insert the same keys, on PostgreSQL).
const TRIES: u32 = 5;

/// A change with its body, if that is still there; other columns and tables can follow.
macro_rules! select_change {
    ($columns:literal, $rest:literal) => {
        concat!(
            "SELECT c.id, c.dedup, c.workspace, c.system, c.extension, c.origin, c.label, c.kind, c.object, c.standing, ",
            "c.reason, c.at, c.received, b.headers, b.body",
            $columns,
            " FROM change_log c LEFT JOIN bodies b ON b.change_id = c.id ",
            $rest
        )
    };
}

#[async_trait]
impl ChangeLog for Db {
    async fn append(&self, changes: &[NewChange]) -> Result<Vec<Appended>> {
        let mut tries = 1;
        loop {
            match self.try_append(changes).await {
                Err(error) if collided(&error) && tries < TRIES => tries += 1,
                done => return Ok(done?),
            }
        }
    }

    async fn change(&self, id: ChangeId) -> Result<Option<Change>> {
        let mut on = self.read().await?;
        let row: Option<Both<ChangeRow, BodyRow>> = first!(&mut on, select_change!("", "WHERE c.id = $1"), id.0);
        row.map(Change::try_from).transpose()
    }

    async fn undecided(&self, workspace: &str, now: Millis, limit: u32) -> Result<Vec<Change>> {
        const SQL: &str = select_change!(
            "",
            "JOIN inbox i ON i.change_id = c.id \
             WHERE i.workspace = $1 AND i.entity IS NULL AND i.due <= $2 ORDER BY c.received, c.id LIMIT $3"
        );
        let mut on = self.read().await?;
        let rows: Vec<Both<ChangeRow, BodyRow>> = all!(&mut on, SQL, workspace, now.0, i64::from(limit));
        read(rows)
    }

    async fn waiting(&self, entity: EntityId, system: System) -> Result<Vec<(Change, i64)>> {
        const SQL: &str = select_change!(
            ", i.doubt",
            "JOIN inbox i ON i.change_id = c.id WHERE i.entity = $1 AND i.system = $2 ORDER BY c.received, c.id"
        );
        let mut on = self.read().await?;
        let rows: Vec<Both<Both<ChangeRow, BodyRow>, DoubtRow>> = all!(&mut on, SQL, entity.to_string(), system.word());
        rows.into_iter().map(|Both(change, number)| Ok((change.try_into()?, number.doubt))).collect()
    }

    async fn told_of_installs(&self, system: System, after: ChangeId, limit: u32) -> Result<Vec<Change>> {
        const SQL: &str = select_change!(
            "",
            "WHERE c.system = $1 AND c.label IN ('INSTALL', 'UNINSTALL') AND c.standing = 'not_mirrored' AND c.id > $2 \
             ORDER BY c.id LIMIT $3"
        );
        let mut on = self.read().await?;
        let rows: Vec<Both<ChangeRow, BodyRow>> = all!(&mut on, SQL, system.word(), after.0, i64::from(limit));
        read(rows)
    }

    async fn by_standing(&self, standing: Standing, limit: u32) -> Result<Vec<Change>> {
        const SQL: &str = select_change!("", "WHERE c.standing = $1 ORDER BY c.id DESC LIMIT $2");
        let mut on = self.read().await?;
        let rows: Vec<Both<ChangeRow, BodyRow>> = all!(&mut on, SQL, standing.word(), i64::from(limit));
        read(rows)
    }
}

impl Db {
    async fn try_append(&self, changes: &[NewChange]) -> sqlx::Result<Vec<Appended>> {
        let mut stroke = self.stroke().await?;
        let order = order(changes, self.pg().is_some());
        let new = numbers(&order, &did(stroke.run(inserts(changes, &order)).await)?);
        let placed = did(stroke.finish(places(changes, &new)?).await)?;
        appended(&new, &placed)
    }
}

/// Appends changes as part of a transaction.
pub(super) async fn append_all(tx: &mut Tx, changes: &[NewChange]) -> sqlx::Result<Vec<Appended>> {
    let order = order(changes, matches!(tx, Either::Pg(_)));
    let new = numbers(&order, &did(run(inserts(changes, &order), tx).await)?);
    let placed = did(run(places(changes, &new)?, tx).await)?;
    appended(&new, &placed)
}

/// In what order they are inserted. Where others append at the same time, the keys have one order for all: they wait in one
/// direction only.
fn order(changes: &[NewChange], beside_others: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..changes.len()).collect();
    if beside_others {
        order.sort_by_key(|at| &changes[*at].dedup);
    }
    order
}

fn inserts(changes: &[NewChange], order: &[usize]) -> Vec<Script> {
    let one = |at: &usize| {
        let mut script = Script::default();
        insert(&mut script, &changes[*at]);
        script
    };
    order.iter().map(one).collect()
}

/// The numbers of those that are new.
fn numbers(order: &[usize], inserted: &[Done]) -> Vec<Option<ChangeId>> {
    let mut new = vec![None; order.len()];
    for (at, done) in order.iter().zip(inserted) {
        new[*at] = done.number.map(ChangeId);
    }
    new
}

/// What became of each. The scripts of [`places`] end with what finds those that were there.
fn appended(new: &[Option<ChangeId>], placed: &[Done]) -> sqlx::Result<Vec<Appended>> {
    let there = new.iter().filter(|new| new.is_none()).count();
    let found = placed.get(placed.len().saturating_sub(there)..).unwrap_or_default();
    let mut found = found.iter().map(|done| done.number.map(ChangeId));
    let one = |new: &Option<ChangeId>| match new {
        Some(id) => Ok(Appended::New(*id)),
        None => found.next().flatten().map(Appended::Duplicate).ok_or(sqlx::Error::RowNotFound),
    };
    new.iter().map(one).collect()
}

/// Inserts a change, unless its key is there; gives its number if it is new. On PostgreSQL an insert waits for another
/// transaction that has the same key in hand, and a later statement sees what that one committed.
pub(super) fn insert(script: &mut Script, change: &NewChange) {
    script.add(
        "INSERT INTO change_log (dedup, workspace, system, extension, origin, label, kind, object, standing, reason, at, \
         received) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (dedup) DO NOTHING RETURNING id",
        values![
            change.dedup.as_str(),
            change.workspace.as_deref(),
            change.system.word(),
            change.extension,
            change.origin.word(),
            change.label.as_str(),
            change.kind.map(Kind::word),
            change.object.as_ref().map(ExternalId::as_str),
            change.standing.word(),
            change.reason.as_deref(),
            change.at.map(|at| at.0),
            change.received.0,
        ],
    );
}

/// Keeps the headers and the body of a change that is new.
pub(super) fn keep_body(script: &mut Script, id: ChangeId, change: &NewChange) -> sqlx::Result<()> {
    script.add(
        "INSERT INTO bodies (change_id, headers, body) VALUES ($1, $2, $3)",
        values![id.0, json(&change.headers)?, &change.body[..]],
    );
    Ok(())
}

/// What is new has a body; what is routed of it waits to be decided, any other has its verdict at once. Then what is not new is
/// found.
fn places(changes: &[NewChange], new: &[Option<ChangeId>]) -> sqlx::Result<Vec<Script>> {
    let mut scripts = Vec::with_capacity(changes.len());
    for (change, id) in changes.iter().zip(new).filter_map(|(change, id)| id.map(|id| (change, id))) {
        let mut script = Script::default();
        keep_body(&mut script, id, change)?;
        let workspace = change.workspace.as_deref();
        match change.verdict_at_once(id) {
            Some(verdict) => write_verdict(&mut script, &verdict, workspace)?,
            None => script.add(
                "INSERT INTO inbox (change_id, workspace, due) VALUES ($1, $2, $3)",
                values![id.0, workspace, change.received.0],
            ),
        }
        scripts.push(script);
    }
    for (change, _) in changes.iter().zip(new).filter(|(_, new)| new.is_none()) {
        let mut script = Script::default();
        script.add("SELECT id FROM change_log WHERE dedup = $1", values![change.dedup.as_str()]);
        scripts.push(script);
    }
    Ok(scripts)
}

/// Writes a verdict; a change that was put back and is decided again gets the new one.
pub(super) fn write_verdict(script: &mut Script, verdict: &VerdictRow, workspace: Option<&str>) -> sqlx::Result<()> {
    script.add(
        "INSERT INTO verdicts (change_id, workspace, entity, outcome, findings, why, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (change_id) DO UPDATE SET workspace = excluded.workspace, \
         entity = excluded.entity, outcome = excluded.outcome, findings = excluded.findings, why = excluded.why, \
         at = excluded.at",
        values![
            verdict.change.0,
            workspace,
            verdict.entity.map(|id| id.to_string()),
            verdict.outcome.word(),
            json(&verdict.findings)?,
            verdict.why.as_str(),
            verdict.at.0,
        ],
    );
    Ok(())
}
