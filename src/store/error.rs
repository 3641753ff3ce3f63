//! What can go wrong in a store.

/// A store failed, and why. None of these is the caller's answer to a question: not found is `Option`, lost races are
/// [`Settled`](super::Settled).
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database could not be reached, or is shutting down: try again later.
    #[error("the store is not available: {0}")]
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
    /// The database refused a statement.
    #[error("the store refused a statement: {0}")]
    Statement(Box<dyn std::error::Error + Send + Sync>),
    /// A row does not hold what its table promises.
    #[error("bad row: table {table}, column {column}, row {row}: {cause}")]
    BadRow {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong with it.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The tables are not those of this version.
    #[error("migrations: {0}")]
    Migration(String),
    /// Another process has the database file.
    #[error("another process is using {0}; one SQLite file serves one Lockstep at a time")]
    Locked(String),
    /// The URL names no store that we know.
    #[error("`{0}` is neither sqlite://PATH nor postgres://HOST/DATABASE")]
    Url(String),
}
