//! A fresh store for each test, and the macro that runs a test on both databases.

use std::ops::Deref;
use std::sync::Arc;

use lockstep::store::memory::Memory;
use lockstep::store::{Retention, Store, sql};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Sqlite, SqlitePool};
use tempfile::TempDir;

use super::postgres;

/// A database of its own that goes away with the test; nobody has opened it yet.
pub struct Place {
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

impl Place {
    /// A SQLite file in a folder of its own.
    #[expect(clippy::unused_async, reason = "called like its sibling")]
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("lockstep.db").display());
        Self { url, _home: (Some(folder), None) }
    }

    /// A database on a PostgreSQL server: the one named by `TEST_POSTGRES_URL`, else one of our own.
    pub async fn postgres() -> Self {
        let fresh = postgres::fresh().await;
        Self { url: fresh.url.clone(), _home: (None, Some(fresh)) }
    }

    /// Whether it is a SQLite file.
    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite")
    }

    /// A pool to look at the database beside the store.
    pub async fn beside(&self) -> Pool {
        if self.is_sqlite() {
            return Pool::Sqlite(SqlitePoolOptions::new().connect(&self.url).await.unwrap());
        }
        Pool::Pg(PgPoolOptions::new().max_connections(1).connect(&self.url).await.unwrap())
    }

    /// The one number that a query gives, asked beside the store.
    pub async fn number(&self, query: &str) -> i64 {
        let (number,): (i64,) = match self.beside().await {
            Pool::Sqlite(pool) => sqlx::query_as(AssertSqlSafe(query)).fetch_one(&pool).await.unwrap(),
            Pool::Pg(pool) => sqlx::query_as(AssertSqlSafe(query)).fetch_one(&pool).await.unwrap(),
        };
        number
    }

    /// Runs statements beside the store.
    pub async fn run(&self, statements: &str) {
        match self.beside().await {
            Pool::Sqlite(pool) => drop(sqlx::raw_sql(AssertSqlSafe(statements)).execute(&pool).await.unwrap()),
            Pool::Pg(pool) => drop(sqlx::raw_sql(AssertSqlSafe(statements)).execute(&pool).await.unwrap()),
        }
    }
}

impl Place {
    /// Keeps everybody else from committing a change, until released.
    pub async fn lock(&self) -> Lock {
        match self.beside().await {
            Pool::Sqlite(pool) => {
                let mut one = pool.acquire().await.unwrap();
                sqlx::query("BEGIN IMMEDIATE").execute(&mut *one).await.unwrap();
                Lock::Sqlite(one)
            }
            Pool::Pg(pool) => {
                let mut one = pool.acquire().await.unwrap();
                sqlx::raw_sql("BEGIN; LOCK TABLE change_log IN EXCLUSIVE MODE").execute(&mut *one).await.unwrap();
                Lock::Pg(one)
            }
        }
    }

    /// From now on no new row of the change log can be committed: inserting it works, the commit does not.
    pub async fn break_commits(&self) {
        const SQLITE: &str = "CREATE TABLE nowhere (id INTEGER PRIMARY KEY);
            CREATE TABLE dangling (id INTEGER REFERENCES nowhere (id) DEFERRABLE INITIALLY DEFERRED);
            CREATE TRIGGER broken AFTER INSERT ON change_log BEGIN INSERT INTO dangling VALUES (1); END";
        const POSTGRES: &str = "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql
                AS $$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$;
            CREATE CONSTRAINT TRIGGER broken AFTER INSERT ON change_log DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION broken()";
        self.run(if self.is_sqlite() { SQLITE } else { POSTGRES }).await;
    }

    /// Commits work again.
    pub async fn mend_commits(&self) {
        self.run(if self.is_sqlite() { "DROP TRIGGER broken" } else { "DROP TRIGGER broken ON change_log" }).await;
    }
}

/// A transaction beside the store that lets no change be committed.
pub enum Lock {
    /// SQLite's.
    Sqlite(PoolConnection<Sqlite>),
    /// PostgreSQL's.
    Pg(PoolConnection<Postgres>),
}

impl Lock {
    /// Ends it.
    pub async fn release(self) {
        match self {
            Self::Sqlite(mut one) => drop(sqlx::query("ROLLBACK").execute(&mut *one).await.unwrap()),
            Self::Pg(mut one) => drop(sqlx::query("ROLLBACK").execute(&mut *one).await.unwrap()),
        }
    }
}

/// A database with an open store on it.
pub struct Database {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The same as what lets go of history; none in memory.
    pub history: Option<Arc<dyn Retention>>,
    place: Place,
}

impl Deref for Database {
    type Target = Place;
    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Database {
    /// On SQLite.
    pub async fn sqlite() -> Self {
        Self::open(Place::sqlite().await).await
    }

    /// On PostgreSQL.
    pub async fn postgres() -> Self {
        Self::open(Place::postgres().await).await
    }

    /// In memory: there is nothing to look at beside it.
    pub async fn memory() -> Self {
        Self { store: Arc::new(Memory::new()), history: None, place: Place::sqlite().await }
    }

    async fn open(place: Place) -> Self {
        let db = sql::open(&place.url).await.unwrap();
        Self { store: db.clone(), history: Some(db), place }
    }

    /// Drops the store and opens it again, as a restart does.
    pub async fn reopen(&mut self) {
        (self.store, self.history) = (Arc::new(Memory::new()), None);
        let db = sql::open(&self.url).await.unwrap();
        self.store = db.clone();
        self.history = Some(db);
    }
}

/// Runs each named `async fn(&mut Database)` on both databases, as `case::sqlite::NAME` and `case::postgres::NAME`; with
/// `Place:` before the names, each `async fn(&mut Place)`.
macro_rules! on_both {
    ($given:ident: $($name:ident),+ $(,)?) => {
        mod case {
            mod sqlite {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::super::$name(&mut $crate::support::databases::$given::sqlite().await).await;
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
                    super::super::$name(&mut $crate::support::databases::$given::postgres().await).await;
                })+
            }
        }
    };
    ($($name:ident),+ $(,)?) => {
        $crate::support::databases::on_both!(Database: $($name),+);
    };
}

pub(crate) use on_both;

/// Runs each named `async fn(&mut Database)` on the store in memory, too: all but those that look beside the store, or open
/// it again.
macro_rules! in_memory {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&mut $crate::support::databases::Database::memory().await).await;
            })+
        }
    };
}

pub(crate) use in_memory;
