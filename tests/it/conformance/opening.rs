//! Opening a store: again after a restart, beside another process, with the wrong version; and what its tables are.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use lockstep::model::Appended;
use lockstep::store::{StoreError, sql};

use super::{ACME, change};
use crate::support::databases::{Database, Pool, on_both};

on_both!(
    a_store_that_is_opened_again_has_what_it_had,
    a_store_opened_to_read_shows_all_and_takes_nothing,
    a_database_of_a_newer_version_is_refused,
);

/// A table, its column, and whether that must be there.
type Column = (String, String, bool);

async fn columns(pool: Pool) -> BTreeSet<Column> {
    match pool {
        Pool::Sqlite(pool) => {
            let sql = "SELECT m.name, c.name, c.\"notnull\" = 1 FROM sqlite_master m, pragma_table_info(m.name) c \
                       WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> '_sqlx_migrations'";
            sqlx::query_as::<_, Column>(sql).fetch_all(&pool).await.unwrap().into_iter().collect()
        }
        Pool::Pg(pool) => {
            let sql = "SELECT table_name::text, column_name::text, is_nullable = 'NO' FROM information_schema.columns \
                       WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'";
            sqlx::query_as::<_, Column>(sql).fetch_all(&pool).await.unwrap().into_iter().collect()
        }
    }
}

#[tokio::test]
#[cfg_attr(
    postgres_missing,
    ignore = "no PostgreSQL: apt-get install postgresql, or set TEST_POSTGRES_URL=postgres://USER@HOST/DATABASE; then \
              cargo test"
)]
async fn both_databases_have_the_same_tables_and_columns() {
    let sqlite = columns(Database::sqlite().await.beside().await).await;
    let postgres = columns(Database::postgres().await.beside().await).await;
    assert!(sqlite.len() > 100, "{}", sqlite.len());
    assert_eq!(sqlite.difference(&postgres).collect::<Vec<_>>(), Vec::<&Column>::new(), "only in SQLite");
    assert_eq!(postgres.difference(&sqlite).collect::<Vec<_>>(), Vec::<&Column>::new(), "only in PostgreSQL");
}

async fn a_store_that_is_opened_again_has_what_it_had(db: &mut Database) {
    let id = db.append(change("a")).await;
    let fence = db.lease(ACME).await.fence;
    for _ in 0..3 {
        db.reopen().await;
        assert_eq!(db.store.append(&[change("a")]).await.unwrap(), [Appended::Duplicate(id)]);
        assert_eq!(db.store.change(id).await.unwrap().unwrap().said, change("a"));
        assert_eq!(db.lease(ACME).await.fence, fence);
    }
}

async fn a_store_opened_to_read_shows_all_and_takes_nothing(db: &Database) {
    let id = db.append(change("a")).await;
    let reader = sql::open_read_only(&db.url).await.unwrap();
    assert_eq!(reader.change(id).await.unwrap().unwrap().said, change("a"));
    assert!(matches!(reader.append(&[change("b")]).await, Err(StoreError::Statement(_))));
    db.append(change("b")).await;
}

async fn a_database_of_a_newer_version_is_refused(db: &Database) {
    db.run(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT 99, description, success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
    )
    .await;
    let says = |error: Option<StoreError>| {
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.contains("migration 99") && text.contains("up to 8") && text.contains("newer"), "{text}");
    };
    says(sql::open_read_only(&db.url).await.err());
    if db.url.starts_with("postgres") {
        says(sql::open(&db.url).await.err());
    }
}

#[tokio::test]
async fn a_second_process_on_one_sqlite_file_is_refused() {
    let db = Database::sqlite().await;
    let path = db.url.strip_prefix("sqlite://").unwrap();
    match sql::open(&db.url).await.err() {
        Some(StoreError::Locked(named)) => assert_eq!(named, path),
        other => panic!("{other:?}"),
    }
    for suffix in ["", ".lock", "-wal"] {
        let mode = std::fs::metadata(format!("{path}{suffix}")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
    db.append(change("the first goes on")).await;
}

#[tokio::test]
async fn a_store_that_cannot_be_had_says_so() {
    for url in ["mysql://root:secret@host/db", "sqlite://", "sqlite://:memory:", "lockstep.db"] {
        let error = sql::open(url).await.err();
        assert!(matches!(error, Some(StoreError::Url(_))), "{url}: {error:?}");
        assert!(!format!("{error:?}").contains("secret"));
    }
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("sqlite://{}/none/lockstep.db", folder.path().display());
    assert!(matches!(sql::open(&missing).await.err(), Some(StoreError::Unavailable(_))));
    assert!(matches!(sql::open_read_only(&missing).await.err(), Some(StoreError::Unavailable(_))));
    let nobody =
        format!("postgres://nobody@localhost/none?host={}", folder.path().to_str().unwrap().replace('/', "%2F"));
    assert!(matches!(sql::open(&nobody).await.err(), Some(StoreError::Unavailable(_))));
}
