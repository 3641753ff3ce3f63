//! Conflicts, and pairs that are never to be matched.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::dialect::{Tx, all, execute, first, json};
use super::rows::{Both, ConflictRow, ProofRow, read};
use super::{Db, Result};
use crate::clock::Millis;
use crate::model::{Closing, ConflictId, EntityId, ExternalId, KeptConflict, NewConflict, Stamped, System, Value};
use crate::store::{Conflicts, Settlement, Sought};

/// A conflict with its evidence.
macro_rules! select_conflict {
    ($rest:literal) => {
        concat!(
            "SELECT id, entity, field, system, lost, won, rule, workspace, change_id, at, object, base, shown_by, report, ",
            "state, closed, closed_by FROM conflicts ",
            $rest
        )
    };
}

/// What is told as one report.
type Report<'a> = (EntityId, System, Option<&'a ExternalId>, &'a str);

/// Whether a settlement says anything of conflicts or pairs. Most do not.
pub(super) fn any(s: &Settlement) -> bool {
    !(s.conflicts.is_empty() && s.closings.is_empty() && s.handed.is_empty() && s.apart.is_empty())
}

/// What a settlement says of conflicts and pairs.
pub(super) async fn write(tx: &mut Tx, s: &Settlement) -> sqlx::Result<()> {
    let workspace = s.lease.workspace.as_str();
    let mut reports: BTreeMap<Report<'_>, i64> = BTreeMap::new();
    for told in &s.conflicts {
        let conflict = &told.conflict;
        let key: Report<'_> = (told.entity, conflict.system, told.proof.object.as_ref(), &conflict.rule);
        let report = reports.get(&key).copied();
        let written = write_one(tx, workspace, told, report, s.now).await?;
        if let Some(id) = written.filter(|_| conflict.is_reported()) {
            reports.entry(key).or_insert(id);
        }
    }
    for closing in &s.closings {
        close(tx, closing, s.now).await?;
    }
    for (id, entity) in &s.handed {
        let sql = "UPDATE conflicts SET entity = $3 WHERE id = $1 AND workspace = $2";
        execute!(&mut *tx, sql, id.0, workspace, entity.to_string());
    }
    for (one, other) in &s.apart {
        execute!(
            &mut *tx,
            "INSERT INTO apart (workspace, one, other, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            workspace,
            one.min(other).to_string(),
            one.max(other).to_string(),
            s.now.0,
        );
    }
    Ok(())
}

/// Gives its number; `None`: it is kept already.
async fn write_one(
    tx: &mut Tx,
    workspace: &str,
    told: &NewConflict,
    report: Option<i64>,
    now: Millis,
) -> sqlx::Result<Option<i64>> {
    let (conflict, proof, entity) = (&told.conflict, &told.proof, told.entity.to_string());
    let lost = json(&Stamped { value: conflict.lost.clone(), stamp: conflict.lost_stamp })?;
    let known: Option<(i64,)> = first!(
        &mut *tx,
        "SELECT id FROM conflicts WHERE workspace = $1 AND entity = $2 AND field = $3 AND system = $4 AND lost = $5",
        workspace,
        entity.as_str(),
        conflict.field.name(),
        conflict.system.word(),
        lost.as_str(),
    );
    if known.is_some() {
        return Ok(None);
    }
    let id: Option<(i64,)> = first!(
        tx,
        "INSERT INTO conflicts (workspace, entity, change_id, field, system, lost, won, rule, at, object, base, shown_by, \
         report) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id",
        workspace,
        entity.as_str(),
        told.change.map(|change| change.0),
        conflict.field.name(),
        conflict.system.word(),
        lost.as_str(),
        json(&Stamped { value: conflict.won.clone(), stamp: conflict.won_stamp })?,
        conflict.rule.as_str(),
        now.0,
        proof.object.as_ref().map(ExternalId::as_str),
        proof.base.as_ref().map(json::<Value>).transpose()?,
        proof.shown_by.map(crate::model::ShownBy::word),
        report,
    );
    Ok(id.map(|(id,)| id))
}

async fn close(tx: &mut Tx, closing: &Closing, now: Millis) -> sqlx::Result<bool> {
    let sql = "UPDATE conflicts SET state = $2, closed = $3, closed_by = $4 WHERE id = $1 AND state = 'open'";
    Ok(execute!(tx, sql, closing.id.0, closing.state.word(), now.0, closing.by.as_str()) == 1)
}

#[async_trait]
impl Conflicts for Db {
    async fn conflict(&self, id: ConflictId) -> Result<Option<KeptConflict>> {
        let mut on = self.read().await?;
        let row: Option<Both<ConflictRow, ProofRow>> = first!(&mut on, select_conflict!("WHERE id = $1"), id.0);
        row.map(KeptConflict::try_from).transpose()
    }

    async fn kept(&self, wanted: &Sought, after: ConflictId, limit: u32) -> Result<Vec<KeptConflict>> {
        const SQL: &str = select_conflict!(
            "WHERE id > $1 AND ($2 IS NULL OR workspace = $2) AND ($3 IS NULL OR entity = $3) \
             AND ($4 IS NULL OR COALESCE(report, id) = $4) AND ($5 IS NULL OR state = $5) ORDER BY id LIMIT $6"
        );
        let mut on = self.read().await?;
        let rows: Vec<Both<ConflictRow, ProofRow>> = all!(
            &mut on,
            SQL,
            after.0,
            wanted.workspace.as_deref(),
            wanted.entity.map(|id| id.to_string()),
            wanted.report.map(|id| id.0),
            wanted.state.map(crate::model::ConflictState::word),
            i64::from(limit)
        );
        read(rows)
    }

    async fn close_conflict(&self, closing: &Closing, now: Millis) -> Result<bool> {
        let mut tx = self.write().await?;
        let closed = close(&mut tx, closing, now).await?;
        tx.commit().await?;
        Ok(closed)
    }
}
