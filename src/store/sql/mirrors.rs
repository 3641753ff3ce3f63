//! Work to be done, and how much was done.

use async_trait::async_trait;

use super::dialect::{all, first};
use super::rows::{MirrorRow, read};
use super::{Db, Result};
use crate::clock::Millis;
use crate::model::{Action, EntityId, Mirror, MirrorState, System};
use crate::store::Mirrors;

#[async_trait]
impl Mirrors for Db {
    async fn due(&self, workspace: &str, now: Millis, limit: u32) -> Result<Vec<Mirror>> {
        let mut on = self.read().await?;
        // Each half by an index of its own: what is live is found behind any backlog.
        let rows: Vec<MirrorRow> = all!(
            &mut on,
            "SELECT * FROM ( \
             SELECT * FROM (SELECT workspace, entity, system, state, due, priority, tries, doubt, answered, intent, reason, \
                 since, rev FROM mirrors WHERE workspace = $1 AND state = 'due' AND priority = 'live' AND due <= $2 \
                 ORDER BY due, entity, system LIMIT $3) AS live \
             UNION ALL \
             SELECT * FROM (SELECT workspace, entity, system, state, due, priority, tries, doubt, answered, intent, reason, \
                 since, rev FROM mirrors WHERE workspace = $1 AND state = 'due' AND priority <> 'live' AND due <= $2 \
                 ORDER BY due, entity, system LIMIT $3) AS backlog) AS found \
             ORDER BY priority <> 'live', due, entity, system LIMIT $3",
            workspace,
            now.0,
            i64::from(limit)
        );
        read(rows)
    }

    async fn in_state(&self, workspace: &str, state: MirrorState, limit: u32) -> Result<Vec<Mirror>> {
        let mut on = self.read().await?;
        let rows: Vec<MirrorRow> = all!(
            &mut on,
            "SELECT workspace, entity, system, state, due, priority, tries, doubt, answered, intent, reason, since, rev \
             FROM mirrors WHERE workspace = $1 AND state = $2 ORDER BY due, entity, system LIMIT $3",
            workspace,
            state.word(),
            i64::from(limit)
        );
        read(rows)
    }

    async fn writes_since(&self, entity: EntityId, system: System, since: Millis) -> Result<Vec<Millis>> {
        let mut on = self.read().await?;
        let rows: Vec<(i64,)> = all!(
            &mut on,
            "SELECT at FROM attempts WHERE entity = $1 AND system = $2 AND at >= $3 \
             AND action NOT IN ('read', 'find') AND result IN ('done', 'unclear') ORDER BY at",
            entity.to_string(),
            system.word(),
            since.0
        );
        Ok(rows.into_iter().map(|(at,)| Millis(at)).collect())
    }

    async fn actions_since(&self, workspace: &str, system: System, action: Action, since: Millis) -> Result<u32> {
        let mut on = self.read().await?;
        let row: Option<(i64,)> = first!(
            &mut on,
            "SELECT COUNT(*) FROM attempts WHERE workspace = $1 AND system = $2 AND action = $3 AND at >= $4 \
             AND result IN ('done', 'unclear')",
            workspace,
            system.word(),
            action.word(),
            since.0
        );
        Ok(count(row))
    }
}

fn count(row: Option<(i64,)>) -> u32 {
    row.map_or(0, |(count,)| u32::try_from(count).unwrap_or(u32::MAX))
}
