//! Credentials: sealed before they come here, opened after they leave.

use async_trait::async_trait;

use super::dialect::{all, execute, first};
use super::{Db, Result};
use crate::clock::Millis;
use crate::store::Credentials;

#[async_trait]
impl Credentials for Db {
    async fn credential(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let mut on = self.read().await?;
        let row: Option<(Vec<u8>,)> = first!(&mut on, "SELECT sealed FROM credentials WHERE name = $1", name);
        Ok(row.map(|(sealed,)| sealed))
    }

    async fn keep_credential(&self, name: &str, sealed: &[u8], now: Millis) -> Result<()> {
        let mut tx = self.write().await?;
        execute!(
            &mut tx,
            "INSERT INTO credentials (name, sealed, at) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, at = excluded.at",
            name,
            sealed,
            now.0,
        );
        Ok(tx.commit().await?)
    }

    async fn credential_names(&self) -> Result<Vec<String>> {
        let mut on = self.read().await?;
        let rows: Vec<(String,)> = all!(&mut on, "SELECT name FROM credentials ORDER BY name");
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }
}
