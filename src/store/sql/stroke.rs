//! A transaction that begins with its first script and is committed with its last one: on SQLite those are no messages of their
//! own.
//!
//! In: scripts. Out: what they did. Dropped before its end, or stopped, it takes everything back.

use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Sqlite, Transaction};

use super::Db;
use super::dialect::Either;
use super::script::{Bounds, Ran, Script, on_postgres, on_sqlite};

/// Such a transaction.
pub(super) struct Stroke(Either<Late, Transaction<'static, Postgres>>);

/// SQLite's part of it.
struct Late {
    /// Until everything is taken back.
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
            Either::Pg(tx) => on_postgres(script, tx).await,
        }
    }

    /// Runs the last script and commits; stopped, nothing of it all stays.
    pub(super) async fn finish(self, script: Script) -> Ran {
        match self.0 {
            Either::Sqlite(mut late) => late.run(script, true).await,
            Either::Pg(mut tx) => {
                let done = on_postgres(script, &mut tx).await?;
                tx.commit().await?;
                Ok(done)
            }
        }
    }
}

impl Late {
    async fn run(&mut self, script: Script, commits: bool) -> Ran {
        let on = self.on.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        let begins = !std::mem::replace(&mut self.open, true);
        let ran = on_sqlite(script, on, Bounds { begins, commits }).await;
        match ran {
            Ok(_) => self.open = !commits,
            Err(_) => self.take_back(),
        }
        ran
    }

    /// The connection serves nobody else before that is done.
    fn take_back(&mut self) {
        let Some(mut on) = self.on.take().filter(|_| self.open) else { return };
        tokio::spawn(async move {
            let Err(error) = sqlx::raw_sql("ROLLBACK").execute(&mut *on).await else { return };
            // Where the disk failed, SQLite took everything back itself; and what was given up may have been committed by then.
            if !error.as_database_error().is_some_and(|error| error.message().contains("no transaction is active")) {
                tracing::error!(error = %error, "a transaction could not be taken back; its connection is closed");
                on.close_on_drop();
            }
        });
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        self.take_back();
    }
}
