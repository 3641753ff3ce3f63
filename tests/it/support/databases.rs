//! A fresh store for each test, and the macro that runs a test on both databases.

use std::sync::Arc;

use lockstep::store::{Store, sql};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use tempfile::TempDir;

use super::postgres;

/// An open store of its own, and the way back to its database.
pub struct Database {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Its URL.
    pub url: String,
    _home: Home,
}

/// What goes away with the test.
type Home = (Option<TempDir>, Option<postgres::Fresh>);

/// A pool to look at a database beside the store.
pub enum Pool {
    /// SQLite's.
    Sqlite(SqlitePool),
    /// PostgreSQL's.
    Pg(PgPool),
}

impl Database {
    /// A SQLite file in a folder that goes away with the test.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("lockstep.db").display());
        Self { store: sql::open(&url).await.unwrap(), url, _home: (Some(folder), None) }
    }

    /// A database on a PostgreSQL server: the one named by `TEST_POSTGRES_URL`, else one of our own.
    pub async fn postgres() -> Self {
        let fresh = postgres::fresh().await;
        let url = fresh.url.clone();
        Self { store: sql::open(&url).await.unwrap(), url, _home: (None, Some(fresh)) }
    }

    /// A pool to look at the database beside the store.
    pub async fn beside(&self) -> Pool {
        if self.url.starts_with("sqlite") {
            return Pool::Sqlite(SqlitePoolOptions::new().connect(&self.url).await.unwrap());
        }
        Pool::Pg(PgPoolOptions::new().max_connections(1).connect(&self.url).await.unwrap())
    }

    /// Drops the store and opens it again, as a restart does.
    pub async fn reopen(&mut self) {
        let stand_in = Self::sqlite().await.store;
        drop(std::mem::replace(&mut self.store, stand_in));
        self.store = sql::open(&self.url).await.unwrap();
    }

    /// Runs a statement beside the store.
    pub async fn run(&self, statement: &str) {
        match self.beside().await {
            Pool::Sqlite(pool) => drop(sqlx::query(AssertSqlSafe(statement)).execute(&pool).await.unwrap()),
            Pool::Pg(pool) => drop(sqlx::query(AssertSqlSafe(statement)).execute(&pool).await.unwrap()),
        }
    }
}

/// Runs each named `async fn(&mut Database)` on both databases, as `case::sqlite::NAME` and `case::postgres::NAME`.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod case {
            mod sqlite {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::super::$name(&mut $crate::support::databases::Database::sqlite().await).await;
                })+
            }

            mod postgres {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[cfg_attr(
                    postgres_missing,
                    ignore = "no PostgreSQL: apt-get install postgresql, or set \
                              TEST_POSTGRES_URL=postgres://USER@HOST/DATABASE; then cargo test"
                )]
                async fn $name() {
                    super::super::$name(&mut $crate::support::databases::Database::postgres().await).await;
                })+
            }
        }
    };
}

pub(crate) use on_both;
