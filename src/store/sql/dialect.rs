//! What differs between the two databases, and the macros that stamp one body for both drivers.
//!
//! `all!`, `first!` and `execute!` take something to run on (a [`Conn`] or [`Tx`], by mutable reference), a statement and its
//! values. Their `?` gives the caller's error type whatever it makes of a `sqlx::Error`.

use serde::Serialize;
use sqlx::pool::PoolConnection;
use sqlx::{Postgres, Sqlite, Transaction};

/// The same thing of one driver or the other.
#[derive(Debug)]
pub(super) enum Either<S, P> {
    /// SQLite's.
    Sqlite(S),
    /// PostgreSQL's.
    Pg(P),
}

/// A connection to read on, each statement by itself.
pub(super) type Conn = Either<PoolConnection<Sqlite>, PoolConnection<Postgres>>;

/// An open transaction; rolled back when dropped.
pub(super) type Tx = Either<Transaction<'static, Sqlite>, Transaction<'static, Postgres>>;

impl Tx {
    pub(super) async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Pg(tx) => tx.commit().await,
        }
    }
}

/// One statement in both dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) pg: &'static str,
}

impl From<&'static str> for Sql {
    /// The portable subset: both understand it.
    fn from(both: &'static str) -> Self {
        Self { sqlite: both, pg: both }
    }
}

/// Begins a transaction that writes. SQLite takes its write lock at once, so that no later statement finds it taken.
pub(super) const BEGIN_WRITE: Sql = Sql { sqlite: "BEGIN IMMEDIATE", pg: "BEGIN" };

/// A read that locks its rows until the transaction ends. SQLite has one writer and needs no word for it.
macro_rules! locking {
    ($sql:expr, $lock:literal) => {
        $crate::store::sql::dialect::Sql { sqlite: $sql, pg: concat!($sql, " ", $lock) }
    };
}

/// One statement on either driver: `query` makes it of its text, `fetch` runs it, `tail` picks from the answer.
macro_rules! stamped {
    ($on:expr, $sql:expr, [$($value:expr),*], $query:path, $fetch:ident $(, $tail:ident)?) => {{
        use $crate::store::sql::dialect::{Either, Sql};
        let sql: Sql = Sql::from($sql);
        match $on {
            Either::Sqlite(on) => $query(sql.sqlite)$(.bind($value))*.$fetch(&mut **on).await?$(.$tail())?,
            Either::Pg(on) => $query(sql.pg)$(.bind($value))*.$fetch(&mut **on).await?$(.$tail())?,
        }
    }};
}

/// All rows, as a `Vec` of the wanted type.
macro_rules! all {
    ($on:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::sql::dialect::stamped!($on, $sql, [$($value),*], sqlx::query_as, fetch_all)
    };
}

/// The first row, if there is one.
macro_rules! first {
    ($on:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::sql::dialect::stamped!($on, $sql, [$($value),*], sqlx::query_as, fetch_optional)
    };
}

/// Runs a statement; gives how many rows it touched.
macro_rules! execute {
    ($on:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::store::sql::dialect::stamped!($on, $sql, [$($value),*], sqlx::query, execute, rows_affected)
    };
}

pub(super) use {all, execute, first, locking, stamped};

/// JSON for a text column.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> sqlx::Result<String> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}
