//! What a service's database says, read beside the service, or after its death from a copy, so that its own way of coming
//! back is not touched.

use std::path::Path;

use serde_json::Value;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::databases::Pool;

/// An open database.
pub struct Ledger(Pool);

/// Runs a query with one column or several on either database.
macro_rules! rows {
    ($ledger:expr, $sql:expr) => {
        match &$ledger.0 {
            Pool::Sqlite(pool) => sqlx::query_as($sql).fetch_all(pool).await.unwrap(),
            Pool::Pg(pool) => sqlx::query_as($sql).fetch_all(pool).await.unwrap(),
        }
    };
}

impl Ledger {
    /// The database that a URL names. SQLite: a copy of the file and its log, in `scratch`.
    pub async fn open(url: &str, scratch: &Path) -> Self {
        let Some(path) = url.strip_prefix("sqlite://") else {
            return Self(Pool::Pg(PgPoolOptions::new().max_connections(1).connect(url).await.unwrap()));
        };
        let copy = scratch.join("copy.db");
        for suffix in ["", "-wal"] {
            drop(std::fs::copy(format!("{path}{suffix}"), scratch.join(format!("copy.db{suffix}"))));
        }
        drop(std::fs::remove_file(scratch.join("copy.db-shm")));
        let options = SqliteConnectOptions::new().filename(copy).create_if_missing(true);
        Self(Pool::Sqlite(SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap()))
    }

    /// Lets go of the database.
    pub async fn close(self) {
        match self.0 {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Pg(pool) => pool.close().await,
        }
    }

    /// Whether the tables are there; a service may be killed before it made them.
    pub async fn is_made(&self) -> bool {
        let sql = match &self.0 {
            Pool::Sqlite(_) => "SELECT COUNT(*) FROM sqlite_master WHERE name = 'leases'",
            Pool::Pg(_) => "SELECT COUNT(*) FROM pg_class WHERE relname = 'leases'",
        };
        self.count(sql).await > 0
    }

    /// How many rows a `SELECT COUNT(*)` counts.
    pub async fn count(&self, sql: &'static str) -> i64 {
        let rows: Vec<(i64,)> = rows!(self, sql);
        rows[0].0
    }

    /// The texts of the only column of a query.
    pub async fn texts(&self, sql: &'static str) -> Vec<String> {
        let rows: Vec<(String,)> = rows!(self, sql);
        rows.into_iter().map(|(text,)| text).collect()
    }

    /// All rows of the change log: key and body.
    pub async fn changes(&self) -> Vec<(String, Vec<u8>)> {
        rows!(self, "SELECT c.dedup, b.body FROM change_log c JOIN bodies b ON b.change_id = c.id")
    }

    /// When the calls were sent that were stored as sent and have no answer: creates, and other writes.
    pub async fn open_calls(&self) -> (Vec<i64>, Vec<i64>) {
        let at = |sent: &Value| sent["at"].as_i64();
        let read = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        let intents = self.texts("SELECT intent FROM mirrors WHERE intent IS NOT NULL").await;
        let writes = self.texts("SELECT sent FROM links WHERE sent IS NOT NULL").await;
        let creates = intents.into_iter().filter_map(|intent| at(&read(intent)["sent"])).collect();
        (creates, writes.into_iter().filter_map(|sent| at(&read(sent))).collect())
    }
}
