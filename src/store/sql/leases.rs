//! Leases on workspaces.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::dialect::{all, execute, first};
use super::rows::LeaseRow;
use super::{Db, Result};
use crate::clock::Millis;
use crate::model::Lease;
use crate::store::Leases;

#[async_trait]
impl Leases for Db {
    async fn lease(&self, workspaces: &[String], owner: &str, now: Millis, until: Millis) -> Result<Vec<Lease>> {
        let mut leases = Vec::new();
        let mut tx = self.write().await?;
        for workspace in in_order(workspaces) {
            let row: Option<LeaseRow> = first!(
                &mut tx,
                "INSERT INTO leases (workspace, owner, fence, until) VALUES ($1, $2, 1, $4) \
                 ON CONFLICT (workspace) DO UPDATE SET \
                 fence = CASE WHEN leases.owner = excluded.owner THEN leases.fence ELSE leases.fence + 1 END, \
                 owner = excluded.owner, until = excluded.until \
                 WHERE leases.owner = excluded.owner OR leases.until <= $3 \
                 RETURNING workspace, owner, fence, until",
                workspace.as_str(),
                owner,
                now.0,
                until.0
            );
            leases.extend(row.map(Lease::from));
        }
        tx.commit().await?;
        Ok(leases)
    }

    async fn live_leases(&self, now: Millis) -> Result<Vec<Lease>> {
        let mut conn = self.read().await?;
        let rows: Vec<LeaseRow> = all!(
            &mut conn,
            "SELECT workspace, owner, fence, until FROM leases WHERE until > $1 ORDER BY workspace",
            now.0
        );
        Ok(rows.into_iter().map(Lease::from).collect())
    }

    async fn release(&self, workspaces: &[String], owner: &str) -> Result<()> {
        // Nobody's: whoever is next, the same owner too, gets a new number, and what is still under way is refused.
        let mut tx = self.write().await?;
        for workspace in in_order(workspaces) {
            execute!(
                &mut tx,
                "UPDATE leases SET owner = '', until = 0 WHERE workspace = $1 AND owner = $2",
                workspace.as_str(),
                owner
            );
        }
        Ok(tx.commit().await?)
    }
}

/// In one order for all: two processes that write many then wait for each other in one direction only.
fn in_order(workspaces: &[String]) -> BTreeSet<&String> {
    workspaces.iter().collect()
}
