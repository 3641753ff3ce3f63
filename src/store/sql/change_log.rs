//! The change log and its inbox.

use std::collections::HashMap;

use async_trait::async_trait;

use super::dialect::{Either, Tx, all, first, json};
use super::error::collided;
use super::rows::{BodyRow, Both, ChangeRow, DoubtRow, read};
use super::script::{Done, Script, did, values};
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
        let changes: Vec<&NewChange> = changes.iter().collect();
        let mut stroke = self.stroke().await?;
        let inserted = did(stroke.run(inserts(&changes, self.pg().is_some())?).await)?;
        let new = numbers(&changes, &inserted);
        let placed = did(stroke.finish(places(&changes, &new)?).await)?;
        appended(&changes, &new, &placed)
    }
}

/// Appends changes as part of a transaction.
pub(super) async fn append_all(tx: &mut Tx, changes: &[NewChange]) -> sqlx::Result<Vec<Appended>> {
    let changes: Vec<&NewChange> = changes.iter().collect();
    let inserted = did(inserts(&changes, matches!(tx, Either::Pg(_)))?.run(tx).await)?;
    let new = numbers(&changes, &inserted);
    let placed = did(places(&changes, &new)?.run(tx).await)?;
    appended(&changes, &new, &placed)
}

fn inserts(changes: &[&NewChange], beside_others: bool) -> sqlx::Result<Script> {
    let mut script = Script::default();
    insert(&mut script, changes, beside_others)?;
    Ok(script)
}

/// Inserts changes whose keys are not there; gives the number and the key of each. Where others append at the same time, the
/// keys have one order for all, so that they wait in one direction only: on PostgreSQL an insert waits for another transaction
/// that has the same key in hand, and a later statement sees what that one committed.
pub(super) fn insert(script: &mut Script, changes: &[&NewChange], beside_others: bool) -> sqlx::Result<()> {
    let sql = "INSERT INTO change_log (dedup, workspace, system, extension, origin, label, kind, object, standing, reason, at, \
               received) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 FROM $rows WHERE true \
               ON CONFLICT (dedup) DO NOTHING RETURNING id, dedup";
    let mut changes = changes.to_vec();
    if beside_others {
        changes.sort_by_key(|change| &change.dedup);
    }
    for change in changes {
        let row = values![
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
        ];
        script.add(sql, row)?;
    }
    Ok(())
}

/// The numbers of those that are new, by what [`insert`] gave. Of those with one key the first is new.
pub(super) fn numbers(changes: &[&NewChange], inserted: &[Done]) -> Vec<Option<ChangeId>> {
    let mut given = by_key(inserted);
    changes.iter().map(|change| given.remove(change.dedup.as_str())).collect()
}

fn by_key(done: &[Done]) -> HashMap<&str, ChangeId> {
    done.iter().flat_map(|done| &done.rows).map(|(number, key)| (key.as_str(), ChangeId(*number))).collect()
}

/// What became of each. The script of [`places`] found those that were there.
fn appended(changes: &[&NewChange], new: &[Option<ChangeId>], placed: &[Done]) -> sqlx::Result<Vec<Appended>> {
    let found = by_key(placed);
    let one = |(change, new): (&&NewChange, &Option<ChangeId>)| match new {
        Some(id) => Ok(Appended::New(*id)),
        None => found.get(change.dedup.as_str()).copied().map(Appended::Duplicate).ok_or(sqlx::Error::RowNotFound),
    };
    changes.iter().zip(new).map(one).collect()
}

/// Keeps the headers and the body of a change that is new.
pub(super) fn keep_body(script: &mut Script, id: ChangeId, change: &NewChange) -> sqlx::Result<()> {
    let sql = "INSERT INTO bodies (change_id, headers, body) SELECT $1, $2, $3 FROM $rows";
    script.add(sql, values![id.0, json(&change.headers)?, &change.body[..]])
}

/// What is new has a body; what is routed of it waits to be decided, any other has its verdict at once. Then what is not new is
/// found.
fn places(changes: &[&NewChange], new: &[Option<ChangeId>]) -> sqlx::Result<Script> {
    let mut script = Script::default();
    for (change, id) in changes.iter().zip(new) {
        let workspace = change.workspace.as_deref();
        let Some(id) = *id else {
            let sql = "SELECT id, dedup FROM change_log WHERE dedup IN (SELECT $1 FROM $rows)";
            script.add(sql, values![change.dedup.as_str()])?;
            continue;
        };
        keep_body(&mut script, id, change)?;
        if let Some(verdict) = change.verdict_at_once(id) {
            write_verdict(&mut script, &verdict, workspace)?;
        } else {
            let sql = "INSERT INTO inbox (change_id, workspace, due) SELECT $1, $2, $3 FROM $rows";
            script.add(sql, values![id.0, workspace, change.received.0])?;
        }
    }
    Ok(script)
}

/// Writes a verdict; a change that was put back and is decided again gets the new one.
pub(super) fn write_verdict(script: &mut Script, verdict: &VerdictRow, workspace: Option<&str>) -> sqlx::Result<()> {
    let sql = "INSERT INTO verdicts (change_id, workspace, entity, outcome, findings, why, at) \
               SELECT $1, $2, $3, $4, $5, $6, $7 FROM $rows WHERE true \
               ON CONFLICT (change_id) DO UPDATE SET workspace = excluded.workspace, entity = excluded.entity, \
               outcome = excluded.outcome, findings = excluded.findings, why = excluded.why, at = excluded.at";
    let row = values![
        verdict.change.0,
        workspace,
        verdict.entity.map(|id| id.to_string()),
        verdict.outcome.word(),
        json(&verdict.findings)?,
        verdict.why.as_str(),
        verdict.at.0,
    ];
    script.add(sql, row)
}
