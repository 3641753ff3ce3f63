//! Opens a store: pools, the lock on a SQLite file, migrations.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use futures_util::TryFutureExt;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Executor, PgPool, Postgres, SqlSafeStr, Sqlite, SqlitePool, Transaction};

use super::dialect::{BEGIN_WRITE, Conn, Either, Tx, execute, first};
use super::settle::Together;
use super::{Result, StoreError, error};

/// Connections to PostgreSQL, at most.
pub const CONNECTIONS: u32 = 10;

/// Transactions side by side in which settlements are written, on PostgreSQL. SQLite has one writer.
const PG_TURNS: usize = 6;

/// PostgreSQL keeps the plans of statements. Those that it made while tables were small would read them through when they have
/// grown.
const BY_INDEX: &str = "SET enable_seqscan = off";

/// Readers of a SQLite file.
const SQLITE_READERS: u32 = 4;

/// How long a caller waits for a connection before the store counts as unavailable.
const ACQUIRE: Duration = Duration::from_secs(10);

/// How long SQLite waits for a lock that another process holds.
const BUSY: Duration = Duration::from_secs(5);

/// The migrations: number, name, SQLite, PostgreSQL. Forward only, never edited once released.
const MIGRATIONS: &[(i64, &str, &str, &str)] = &[
    (
        1,
        "init",
        include_str!("../../../migrations/sqlite/0001_init.sql"),
        include_str!("../../../migrations/postgres/0001_init.sql"),
    ),
    (
        2,
        "installs",
        include_str!("../../../migrations/sqlite/0002_installs.sql"),
        include_str!("../../../migrations/postgres/0002_installs.sql"),
    ),
    (
        3,
        "invitations",
        include_str!("../../../migrations/sqlite/0003_invitations.sql"),
        include_str!("../../../migrations/postgres/0003_invitations.sql"),
    ),
    (
        5,
        "within",
        include_str!("../../../migrations/sqlite/0005_within.sql"),
        include_str!("../../../migrations/postgres/0005_within.sql"),
    ),
    (
        6,
        "conflicts",
        include_str!("../../../migrations/sqlite/0006_conflicts.sql"),
        include_str!("../../../migrations/postgres/0006_conflicts.sql"),
    ),
    (
        7,
        "retention",
        include_str!("../../../migrations/sqlite/0007_retention.sql"),
        include_str!("../../../migrations/postgres/0007_retention.sql"),
    ),
    (
        8,
        "priorities",
        include_str!("../../../migrations/sqlite/0008_priorities.sql"),
        include_str!("../../../migrations/postgres/0008_priorities.sql"),
    ),
];

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To serve: made if missing, migrated, locked against a second process where that matters.
    Serve,
    /// Only to look.
    ReadOnly,
}

/// An open database. Implements all store traits.
#[derive(Debug)]
pub struct Db {
    pools: Pools,
    /// Settlements that wait to be written.
    pub(super) together: Together,
}

#[derive(Debug)]
enum Pools {
    Sqlite {
        /// One connection.
        writer: SqlitePool,
        /// A few, which cannot write.
        readers: SqlitePool,
        /// Held while the store is open.
        _lock: Option<File>,
    },
    Pg(PgPool),
}

impl Db {
    /// Opens the store that a URL names. `connections` bounds the pool of PostgreSQL.
    pub async fn open(url: &str, access: Access, connections: u32) -> Result<Self> {
        let db = if let Some(path) = url.strip_prefix("sqlite://") {
            Self::on(sqlite(path, access).await?)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Self::on(postgres(url, access, connections).await?)
        } else {
            return Err(StoreError::Url(scheme(url).to_owned()));
        };
        db.fit(access).await?;
        if access == Access::Serve {
            db.free_leases_of_the_dead().await?;
        }
        Ok(db)
    }

    fn on(pools: Pools) -> Self {
        let turns = match &pools {
            Pools::Sqlite { .. } => 1,
            Pools::Pg(_) => PG_TURNS,
        };
        Self { pools, together: Together::new(turns) }
    }

    /// A SQLite store that nobody else can open and that ends with its one connection.
    pub async fn in_memory() -> Result<Self> {
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
        let one = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let writer = one.acquire_timeout(ACQUIRE).connect_with(options).await?;
        let db = Self::on(Pools::Sqlite { readers: writer.clone(), writer, _lock: None });
        db.fit(Access::Serve).await?;
        Ok(db)
    }

    /// Whoever held leases or claims in a SQLite file is dead, for we hold its lock: nobody need wait for them to run out.
    async fn free_leases_of_the_dead(&self) -> Result<()> {
        let Pools::Sqlite { .. } = &self.pools else { return Ok(()) };
        let mut tx = self.write().await?;
        execute!(&mut tx, "UPDATE leases SET until = 0");
        execute!(&mut tx, "UPDATE installs SET claimed_by = NULL, claimed_until = NULL");
        Ok(tx.commit().await?)
    }

    /// Closes all connections and lets go of the file. Dropping does so too, but does not wait for it.
    pub async fn close(self) {
        match &self.pools {
            Pools::Sqlite { writer, readers, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Pg(pool) => pool.close().await,
        }
    }

    /// PostgreSQL's pool, if it is that.
    pub(super) fn pg(&self) -> Option<&PgPool> {
        match &self.pools {
            Pools::Sqlite { .. } => None,
            Pools::Pg(pool) => Some(pool),
        }
    }

    /// A connection to read on.
    pub(super) async fn read(&self) -> Result<Conn> {
        Ok(match &self.pools {
            Pools::Sqlite { readers, .. } => Either::Sqlite(readers.acquire().await?),
            Pools::Pg(pool) => Either::Pg(pool.acquire().await?),
        })
    }

    /// What a transaction that writes is made on: SQLite's connection, before it begins; PostgreSQL's, begun.
    pub(super) async fn writer(&self) -> sqlx::Result<Either<PoolConnection<Sqlite>, Transaction<'static, Postgres>>> {
        Ok(match &self.pools {
            Pools::Sqlite { writer, .. } => Either::Sqlite(writer.acquire().await?),
            Pools::Pg(pool) => Either::Pg(pool.begin_with(BEGIN_WRITE.pg).await?),
        })
    }

    /// A transaction that writes.
    pub(super) async fn write(&self) -> sqlx::Result<Tx> {
        Ok(match &self.pools {
            Pools::Sqlite { writer, .. } => Either::Sqlite(writer.begin_with(BEGIN_WRITE.sqlite).await?),
            Pools::Pg(pool) => Either::Pg(pool.begin_with(BEGIN_WRITE.pg).await?),
        })
    }

    /// Brings the tables to our version, or sees that they are.
    async fn fit(&self, access: Access) -> Result<()> {
        let ours = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0);
        if access == Access::Serve {
            let migrated = match &self.pools {
                Pools::Sqlite { writer, .. } => migrator(|(_, _, sqlite, _)| sqlite).run(writer).await,
                Pools::Pg(pool) => migrator(|(_, _, _, pg)| pg).run(pool).await,
            };
            return migrated.map_err(|error| error::migration(error, ours));
        }
        let mut conn = self.read().await?;
        let row: Option<(Option<i64>,)> = first!(&mut conn, "SELECT MAX(version) FROM _sqlx_migrations");
        let theirs = row.and_then(|(version,)| version).unwrap_or(0);
        match theirs.cmp(&ours) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(StoreError::Migration(error::too_new(theirs, ours))),
            std::cmp::Ordering::Less => Err(StoreError::Migration(error::too_old(theirs, ours))),
        }
    }
}

fn migrator(dialect: impl Fn((i64, &'static str, &'static str, &'static str)) -> &'static str) -> Migrator {
    let one = |row: &(i64, &'static str, &'static str, &'static str)| {
        Migration::new(row.0, row.1.into(), MigrationType::Simple, dialect(*row).into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.iter().map(one).collect())
}

/// What may be said of a URL that is not ours: it may carry a password.
fn scheme(url: &str) -> &str {
    url.split("://").next().unwrap_or_default()
}

async fn postgres(url: &str, access: Access, connections: u32) -> Result<Pools> {
    let options: PgConnectOptions = url.parse().map_err(|_| StoreError::Url(scheme(url).to_owned()))?;
    let options = match access {
        Access::Serve => options,
        Access::ReadOnly => options.options([("default_transaction_read_only", "on")]),
    };
    let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE);
    let pool = pool.after_connect(|connection, _| Box::pin(connection.execute(BY_INDEX).map_ok(drop)));
    Ok(Pools::Pg(pool.connect_with(options.application_name("lockstep")).await?))
}

async fn sqlite(path: &str, access: Access) -> Result<Pools> {
    if path.is_empty() || path.starts_with(':') || path.contains('?') {
        return Err(StoreError::Url(format!("sqlite://{path}")));
    }
    let path = Path::new(path);
    let reading = SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(BUSY).read_only(true);
    if access == Access::ReadOnly {
        let readers = connected(path, SQLITE_READERS, reading).await?;
        return Ok(Pools::Sqlite { writer: readers.clone(), readers, _lock: None });
    }
    let lock = lock(path)?;
    private_file(path)?;
    let writing = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // What a statement may have to take back is kept in memory.
        .pragma("temp_store", "memory");
    // The writer makes what is missing.
    let writer = connected(path, 1, writing).await?;
    let readers = connected(path, SQLITE_READERS, reading).await?;
    Ok(Pools::Sqlite { writer, readers, _lock: Some(lock) })
}

/// At most so many connections, all of them whole: where the disk fails, SQLite itself ends the transaction, of which the driver
/// then believes for ever that it is open. Such a one is closed. To ask a file whether it is still there costs a turn of its
/// thread.
async fn connected(path: &Path, most: u32, options: SqliteConnectOptions) -> Result<SqlitePool> {
    let pool = SqlitePoolOptions::new().max_connections(most).acquire_timeout(ACQUIRE).test_before_acquire(false);
    let whole = pool.before_acquire(|connection, _| Box::pin(std::future::ready(Ok(!connection.is_in_transaction()))));
    whole.connect_with(options).await.map_err(|error| unavailable(path, &error))
}

/// Takes the lock that keeps a second process off a SQLite file. The operating system frees it when we end, however we end.
fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = private_file(Path::new(&name))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(path.display().to_string())),
        Err(TryLockError::Error(error)) => Err(unavailable(path, &error)),
    }
}

/// Opens a file, made if missing, that only its owner can read.
fn private_file(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    opened.map_err(|error| unavailable(path, &error))
}

/// A person has to know which file it is.
fn unavailable(path: &Path, error: &dyn std::error::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()).into())
}
