//! What a driver's error means to us.

use sqlx::migrate::MigrateError;

use super::StoreError;

/// Primary result codes of SQLite that pass: busy, locked, I/O error, disk full, cannot open.
const SQLITE_UNAVAILABLE: [i32; 5] = [5, 6, 10, 13, 14];

/// Classes of SQLSTATE that pass: connection, insufficient resources, operator intervention, system error.
const PG_UNAVAILABLE: [&str; 4] = ["08", "53", "57", "58"];

/// SQLSTATE of a transaction that lost against another one: serialisation failure, deadlock.
const PG_COLLIDED: [&str; 2] = ["40001", "40P01"];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if unavailable(&error) { Self::Unavailable(Box::new(error)) } else { Self::Statement(Box::new(error)) }
    }
}

fn unavailable(error: &sqlx::Error) -> bool {
    use sqlx::Error::{BeginFailed, Io, PoolClosed, PoolTimedOut, Tls, WorkerCrashed};
    match error {
        Io(_) | Tls(_) | PoolTimedOut | PoolClosed | WorkerCrashed | BeginFailed => true,
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| passes(&code)),
        _ => false,
    }
}

/// SQLSTATE has five characters; SQLite gives an extended result code, whose low byte is the primary one. An extended code
/// may have five digits too, but no class of SQLSTATE above is one of its beginnings: those have at most four.
fn passes(code: &str) -> bool {
    if code.len() == 5 {
        return PG_UNAVAILABLE.iter().any(|class| code.starts_with(class));
    }
    code.parse::<i32>().is_ok_and(|code| SQLITE_UNAVAILABLE.contains(&(code & 0xff)))
}

/// Whether the transaction lost against another that ran at the same time, and may be tried again.
pub(super) fn collided(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| PG_COLLIDED.contains(&code.as_ref()))
}

/// Whether another row has the key already.
pub(super) fn taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// Says which versions do not fit, and why that may be. `ours` is the newest version that this program knows.
pub(super) fn migration(error: MigrateError, ours: i64) -> StoreError {
    StoreError::Migration(match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) if unavailable(&error) => {
            return error.into();
        }
        MigrateError::VersionMissing(theirs) => too_new(theirs, ours),
        MigrateError::VersionMismatch(theirs) => format!(
            "migration {theirs} of the database differs from migration {theirs} of this program (which knows up to \
             {ours}): the database was made by a development build; start with a fresh one, or restore a backup"
        ),
        other => format!("{other} (this program knows up to migration {ours})"),
    })
}

/// The database is ahead of the program.
pub(super) fn too_new(theirs: i64, ours: i64) -> String {
    format!(
        "the database has migration {theirs}, this program knows up to {ours}: a newer Lockstep used this database; \
         start that version, or restore a backup made before it"
    )
}

/// The database is behind the program, which may not change it.
pub(super) fn too_old(theirs: i64, ours: i64) -> String {
    format!(
        "the database has migration {theirs}, this program needs {ours}: no Lockstep of this version served it yet; \
         start `lockstep serve` once, or use the older program"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_by_itself_is_called_unavailable() {
        let cases = [
            ("08006", true),  // PostgreSQL: connection failure
            ("57P01", true),  // PostgreSQL: admin shutdown
            ("53300", true),  // PostgreSQL: too many connections
            ("23505", false), // PostgreSQL: unique violation
            ("42703", false), // PostgreSQL: undefined column
            ("5", true),      // SQLite: busy
            ("13", true),     // SQLite: disk full
            ("778", true),    // SQLite: I/O error on write
            ("2067", false),  // SQLite: unique constraint
            ("1", false),     // SQLite: error in the statement
        ];
        for (code, expected) in cases {
            assert_eq!(passes(code), expected, "{code}");
        }
        assert!(matches!(StoreError::from(sqlx::Error::PoolTimedOut), StoreError::Unavailable(_)));
        assert!(matches!(StoreError::from(sqlx::Error::RowNotFound), StoreError::Statement(_)));
    }

    #[test]
    fn a_database_of_a_newer_program_is_refused_with_both_numbers() {
        let text = migration(MigrateError::VersionMissing(7), 1).to_string();
        assert!(text.contains("migration 7") && text.contains("up to 1") && text.contains("newer Lockstep"), "{text}");
    }
}
