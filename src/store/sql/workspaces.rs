//! Workspaces, as rows; what they are doing; where reading of theirs stopped.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::dialect::{all, execute, first};
use super::row_ref::RowRef;
use super::rows::OutlookRow;
use super::{Db, Result};
use crate::clock::Millis;
use crate::model::{MirrorState, Mode, System};
use crate::store::{Load, Outlook, Times, Workspaces};

#[async_trait]
impl Workspaces for Db {
    async fn register(&self, names: &[String], mode: Mode, now: Millis) -> Result<()> {
        let mut names: Vec<&String> = names.iter().collect();
        names.sort_unstable();
        let mut tx = self.write().await?;
        for name in names {
            execute!(
                &mut tx,
                "INSERT INTO workspaces (name, mode, made, changed) VALUES ($1, $2, $3, $3) ON CONFLICT (name) DO NOTHING",
                name.as_str(),
                mode.word(),
                now.0,
            );
        }
        Ok(tx.commit().await?)
    }

    async fn mode(&self, workspace: &str) -> Result<Option<Mode>> {
        let mut on = self.read().await?;
        let row: Option<(String,)> = first!(&mut on, "SELECT mode FROM workspaces WHERE name = $1", workspace);
        row.map(|(mode,)| RowRef::new("workspaces", workspace).word("mode", &mode)).transpose()
    }

    async fn outlook(&self, workspace: &str, now: Millis) -> Result<Option<Outlook>> {
        let mut on = self.read().await?;
        let row: Option<OutlookRow> = first!(
            &mut on,
            "SELECT mode, \
             (SELECT MIN(due) FROM inbox WHERE workspace = $1 AND entity IS NULL) AS inbox, \
             (SELECT MIN(due) FROM inbox WHERE workspace = $1 AND entity IS NULL AND due > $2) AS inbox_later, \
             (SELECT MIN(due) FROM mirrors WHERE workspace = $1 AND state = 'due') AS mirrors, \
             (SELECT MIN(due) FROM mirrors WHERE workspace = $1 AND state = 'due' AND due > $2) AS mirrors_later \
             FROM workspaces WHERE name = $1",
            workspace,
            now.0
        );
        row.map(|row| {
            Ok(Outlook {
                mode: RowRef::new("workspaces", workspace).word("mode", &row.mode)?,
                inbox: Times { first: row.inbox.map(Millis), later: row.inbox_later.map(Millis) },
                mirrors: Times { first: row.mirrors.map(Millis), later: row.mirrors_later.map(Millis) },
            })
        })
        .transpose()
    }

    async fn set_mode(&self, workspace: &str, mode: Mode, now: Millis) -> Result<()> {
        let mut tx = self.write().await?;
        let sql = "UPDATE workspaces SET mode = $2, changed = $3 WHERE name = $1";
        execute!(&mut tx, sql, workspace, mode.word(), now.0);
        Ok(tx.commit().await?)
    }

    async fn last_webhooks(&self, workspace: &str) -> Result<BTreeMap<System, Millis>> {
        let mut on = self.read().await?;
        let mut last = BTreeMap::new();
        // One look-up at the end of an index for each; grouping would read the whole index.
        for system in System::ALL {
            let row: Option<(Option<i64>,)> = first!(
                &mut on,
                "SELECT MAX(received) FROM change_log WHERE workspace = $1 AND system = $2 AND origin = 'webhook'",
                workspace,
                system.word()
            );
            last.extend(row.and_then(|(at,)| at).map(|at| (*system, Millis(at))));
        }
        Ok(last)
    }

    async fn load(&self, workspace: &str) -> Result<Load> {
        let mut on = self.read().await?;
        let row: Option<(i64,)> = first!(&mut on, "SELECT COUNT(*) FROM inbox WHERE workspace = $1", workspace);
        let mut load = Load { undecided: row.map_or(0, |(count,)| count.unsigned_abs()), ..Load::default() };
        let rows: Vec<(String, i64, Option<i64>)> = all!(
            &mut on,
            "SELECT state, COUNT(*), MIN(COALESCE(since, due)) FROM mirrors WHERE workspace = $1 \
             AND state IN ('due', 'waiting', 'parked', 'held') GROUP BY state",
            workspace
        );
        for (state, count, oldest) in rows {
            let count = count.unsigned_abs();
            match RowRef::new("mirrors", workspace).word("state", &state)? {
                MirrorState::Due => (load.due, load.oldest_due) = (count, oldest.map(Millis)),
                MirrorState::Waiting => load.waiting = count,
                MirrorState::Parked | MirrorState::Held => load.parked += count,
                MirrorState::Idle => {}
            }
        }
        Ok(load)
    }

    async fn cursor(&self, workspace: &str, name: &str) -> Result<Option<String>> {
        let mut on = self.read().await?;
        let sql = "SELECT text FROM cursors WHERE workspace = $1 AND name = $2";
        let row: Option<(String,)> = first!(&mut on, sql, workspace, name);
        Ok(row.map(|(text,)| text))
    }

    async fn set_cursor(&self, workspace: &str, name: &str, text: &str, now: Millis) -> Result<()> {
        let mut tx = self.write().await?;
        execute!(
            &mut tx,
            "INSERT INTO cursors (workspace, name, text, at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (workspace, name) DO UPDATE SET text = excluded.text, at = excluded.at",
            workspace,
            name,
            text,
            now.0,
        );
        Ok(tx.commit().await?)
    }
}
