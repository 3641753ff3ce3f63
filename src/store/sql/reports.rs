//! What is shown to people.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::dialect::all;
use super::row_ref::RowRef;
use super::rows::{AttemptRow, Both, ChangeRow, ConflictRow, FoundRow, ReviewRow, ids, read};
use super::script::{Script, did};
use super::settle::close_review;
use super::{Db, Result};
use crate::clock::Millis;
use crate::model::{Attempt, Change, Conflict, EntityId, Field, Finding, Origin, Outcome, VerdictRow, normal};
use crate::store::{Reports, Review};

#[async_trait]
impl Reports for Db {
    async fn named(&self, text: &str) -> Result<Vec<EntityId>> {
        let text = text.trim();
        let (email, phone) = (normal::email(text), normal::phone(text, None));
        let mut on = self.read().await?;
        ids(all!(
            &mut on,
            "SELECT id FROM entities WHERE id = $2 UNION SELECT entity FROM links WHERE id = $1 \
             UNION SELECT id FROM entities WHERE email_key = $2 UNION SELECT id FROM entities WHERE phone_key = $3 \
             ORDER BY 1",
            text,
            email.as_text(),
            phone.as_text()
        ))
    }

    async fn story(&self, entity: EntityId) -> Result<Vec<(Change, VerdictRow)>> {
        let mut on = self.read().await?;
        let rows: Vec<Both<ChangeRow, FoundRow>> = all!(
            &mut on,
            "SELECT c.id, c.dedup, c.workspace, c.system, c.extension, c.origin, c.label, c.kind, c.object, c.standing, \
             c.reason, c.at, c.received, v.change_id, v.entity, v.outcome, v.findings, v.why, v.at AS decided \
             FROM verdicts v JOIN change_log c ON c.id = v.change_id WHERE v.entity = $1 ORDER BY c.received, c.id",
            entity.to_string()
        );
        rows.into_iter().map(|Both(change, found)| Ok((change.with_body(None)?, found.try_into()?))).collect()
    }

    async fn attempts(&self, entity: EntityId) -> Result<Vec<Attempt>> {
        let mut on = self.read().await?;
        let rows: Vec<AttemptRow> = all!(
            &mut on,
            "SELECT id, workspace, entity, system, action, object, fields, result, status, note, at, took_ms, lag_ms, \
             trace, burst_left, day_left FROM attempts WHERE entity = $1 ORDER BY at, id",
            entity.to_string()
        );
        read(rows)
    }

    async fn attempts_since(&self, workspace: &str, since: Millis, limit: u32) -> Result<Vec<Attempt>> {
        let mut on = self.read().await?;
        let rows: Vec<AttemptRow> = all!(
            &mut on,
            "SELECT id, workspace, entity, system, action, object, fields, result, status, note, at, took_ms, lag_ms, \
             trace, burst_left, day_left FROM attempts WHERE workspace = $1 AND at >= $2 ORDER BY at, id LIMIT $3",
            workspace,
            since.0,
            i64::from(limit)
        );
        read(rows)
    }

    async fn conflicts(&self, workspace: &str, entity: Option<EntityId>) -> Result<Vec<(EntityId, Conflict)>> {
        let mut on = self.read().await?;
        let rows: Vec<ConflictRow> = all!(
            &mut on,
            "SELECT id, entity, field, system, lost, won, rule FROM conflicts \
             WHERE workspace = $1 AND ($2 IS NULL OR entity = $2) ORDER BY id",
            workspace,
            entity.map(|id| id.to_string())
        );
        read(rows)
    }

    async fn reviews(&self, workspace: &str) -> Result<Vec<Review>> {
        let mut on = self.read().await?;
        let rows: Vec<ReviewRow> = all!(
            &mut on,
            "SELECT id, workspace, subject, entity, text, at FROM reviews \
             WHERE workspace = $1 AND closed IS NULL ORDER BY at, id",
            workspace
        );
        read(rows)
    }

    async fn close_review(&self, workspace: &str, subject: &str, now: Millis) -> Result<bool> {
        let mut script = Script::default();
        close_review(&mut script, workspace, subject, now)?;
        let done = did(self.stroke().await?.finish(script).await)?;
        Ok(done.iter().any(|done| done.written == 1))
    }

    async fn outcomes(&self, workspace: &str) -> Result<BTreeMap<Outcome, u64>> {
        let mut on = self.read().await?;
        let sql = "SELECT outcome, COUNT(*) FROM verdicts WHERE workspace = $1 GROUP BY outcome";
        let rows: Vec<(String, i64)> = all!(&mut on, sql, workspace);
        let row = RowRef::new("verdicts", workspace);
        rows.into_iter().map(|(word, count)| Ok((row.word("outcome", &word)?, count.unsigned_abs()))).collect()
    }

    async fn origins(&self, workspace: &str) -> Result<BTreeMap<Origin, u64>> {
        let mut on = self.read().await?;
        let sql = "SELECT origin, COUNT(*) FROM change_log WHERE workspace = $1 GROUP BY origin";
        let rows: Vec<(String, i64)> = all!(&mut on, sql, workspace);
        let row = RowRef::new("change_log", workspace);
        rows.into_iter().map(|(word, count)| Ok((row.word("origin", &word)?, count.unsigned_abs()))).collect()
    }

    async fn findings(&self, workspace: &str) -> Result<BTreeMap<Finding, u64>> {
        let mut on = self.read().await?;
        // Equal verdicts are counted by the database: there are many rows, but few ways to say the same.
        let sql = "SELECT findings, COUNT(*) FROM verdicts WHERE workspace = $1 GROUP BY findings";
        let rows: Vec<(String, i64)> = all!(&mut on, sql, workspace);
        let row = RowRef::new("verdicts", workspace);
        let mut findings = BTreeMap::new();
        for (text, count) in rows {
            let fields: BTreeMap<Field, Finding> = row.json("findings", &text)?;
            for finding in fields.into_values() {
                *findings.entry(finding).or_default() += count.unsigned_abs();
            }
        }
        Ok(findings)
    }
}
