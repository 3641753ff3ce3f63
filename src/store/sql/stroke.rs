//! A transaction that begins with its first script and is committed with its last one: on SQLite those are no messages of their own.
//!
//! In: scripts. Out: what they did. Dropped before its end, or stopped, it takes everything back.

use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Sqlite, Transaction};

use super::Db;
use super::dialect::Either;
use super::script::{Bounds, Ran, Script};

/// Such a transaction.
pub(super) struct Stroke(Either<Late, Transaction<'static, Postgres>>);

/// SQLite's part of it.
struct Late {
    /// Until it is dropped.
    on: Option<PoolConnection<Sqlite>>,
    open: bool,
}

impl Db {
    /// A transaction that writes, once it has something to write.
    pub(super) async fn stroke(&self) -> sqlx::Result<Stroke> {
        Ok(Stroke(match self.writer().await? {
            Either::Sqlite(on) => Either::Sqlite(Late { on: Some(on), open: false }),
            Either::Pg(tx) => Either::Pg(tx),
        }))
    }
}

impl Stroke {
    /// Runs a script that is not the last one.
    pub(super) async fn run(&mut self, script: Script) -> Ran {
        match &mut self.0 {
            Either::Sqlite(late) => late.run(script, false).await,
            Either::Pg(tx) => script.on_postgres(tx).await,
        }
    }

    /// Runs the last script and commits; stopped, nothing of it all stays.
    pub(super) async fn finish(self, script: Script) -> Ran {
        match self.0 {
            Either::Sqlite(mut late) => late.run(script, true).await,
            Either::Pg(mut tx) => {
                let done = script.on_postgres(&mut tx).await?;
                tx.commit().await?;
                Ok(done)
            }
        }
    }
}

impl Late {
    async fn run(&mut self, script: Script, commits: bool) -> Ran {
        let Some(on) = &mut self.on else { return Ok(Vec::new()) };
        let begins = !std::mem::replace(&mut self.open, true);
        let done = script.on_sqlite(on, Bounds { begins, commits }).await?;
        self.open = !commits;
        Ok(done)
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        let Some(mut on) = self.on.take().filter(|_| self.open) else { return };
        // The connection serves nobody else before that is done. Where the disk failed, SQLite took everything back itself, and
        // says that there is nothing to take back.
        tokio::spawn(async move { drop(sqlx::raw_sql("ROLLBACK").execute(&mut *on).await) });
    }
}
