//! Bells between the processes on one PostgreSQL. A SQLite file has one process.

use async_trait::async_trait;
use sqlx::postgres::PgListener;

use super::{Db, Result};
use crate::store::{Bells, Listening};

/// The channel; what is said on it is the name of a workspace.
const CHANNEL: &str = "lockstep";

#[async_trait]
impl Bells for Db {
    async fn ring(&self, workspaces: &[&str]) -> Result<()> {
        let Some(pool) = self.pg().filter(|_| !workspaces.is_empty()) else { return Ok(()) };
        let sql = "SELECT pg_notify($1, name) FROM UNNEST($2) AS name";
        sqlx::query(sql).bind(CHANNEL).bind(workspaces).execute(pool).await?;
        Ok(())
    }

    async fn listen(&self) -> Result<Option<Box<dyn Listening>>> {
        let Some(pool) = self.pg() else { return Ok(None) };
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Some(Box::new(listener)))
    }
}

#[async_trait]
impl Listening for PgListener {
    async fn heard(&mut self) -> Result<String> {
        Ok(self.recv().await?.payload().to_owned())
    }
}
