//! Fills a store with what years of use leave behind, to measure what that costs who comes after: a change with its body, its
//! verdict and two calls each, and a contact in two systems for every tenth.

use super::dialect::{Sql, execute};
use super::{Db, Result};

/// Changes of one transaction.
const BATCH: i64 = 50_000;

/// A statement for each number from `$1` to `$2`, in the workspace `$3`.
macro_rules! each {
    ($insert:literal) => {
        each!($insert, $insert)
    };
    ($sqlite:literal, $pg:literal) => {
        Sql {
            sqlite: concat!(
                "WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $2) ",
                $sqlite
            ),
            pg: concat!(
                "WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $2) ",
                $pg
            ),
        }
    };
}

const GROWTH: [Sql; 7] = [
    each!(
        "INSERT INTO change_log (dedup, workspace, system, extension, origin, label, kind, object, standing, at, received) \
         SELECT 'grown/' || $3 || '/' || i, $3, 'ghl', FALSE, 'webhook', 'ContactUpdate', 'contact', 'grown' || i, 'routed', i, i \
         FROM n"
    ),
    each!(
        "INSERT INTO bodies (change_id, headers, body) SELECT c.id, '{}', zeroblob(600) \
         FROM n JOIN change_log c ON c.dedup = 'grown/' || $3 || '/' || i",
        "INSERT INTO bodies (change_id, headers, body) SELECT c.id, '{}', decode(repeat('00', 600), 'hex') \
         FROM n JOIN change_log c ON c.dedup = 'grown/' || $3 || '/' || i"
    ),
    each!(
        "INSERT INTO verdicts (change_id, workspace, entity, outcome, findings, why, at) SELECT c.id, $3, \
         '00000000-0000-4000-8000-' || substr(CAST(1000000000000 + i / 10 * 10 AS TEXT), 2), 'applied', \
         '{\"first_name\":\"taken\"}', 'its values are true now', i \
         FROM n JOIN change_log c ON c.dedup = 'grown/' || $3 || '/' || i"
    ),
    each!(
        "INSERT INTO attempts (workspace, entity, system, action, object, fields, result, status, at, took_ms, lag_ms) \
         SELECT $3, '00000000-0000-4000-8000-' || substr(CAST(1000000000000 + i / 10 * 10 AS TEXT), 2), s.system, 'update', \
         'grown' || i, '[\"first_name\"]', 'done', 200, i, 20, 30 \
         FROM n CROSS JOIN (SELECT 'timify' AS system UNION ALL SELECT 'timerex') AS s"
    ),
    each!(
        "INSERT INTO entities (id, workspace, kind, fields, email_key, life, made, rev) \
         SELECT '00000000-0000-4000-8000-' || substr(CAST(1000000000000 + i AS TEXT), 2), $3, 'contact', '{}', \
         'grown' || i || '@example.test', 'live', i, 1 FROM n WHERE i % 10 = 0"
    ),
    each!(
        "INSERT INTO links (workspace, system, kind, id, entity, state, snapshot, seen, ledger, rev) \
         SELECT $3, s.system, 'contact', 'grown' || i, \
         '00000000-0000-4000-8000-' || substr(CAST(1000000000000 + i AS TEXT), 2), 'live', '{}', i, '[]', 1 \
         FROM n CROSS JOIN (SELECT 'ghl' AS system UNION ALL SELECT 'timify') AS s WHERE i % 10 = 0"
    ),
    each!(
        "INSERT INTO mirrors (entity, system, workspace, state, due, tries, doubt, answered, rev) \
         SELECT '00000000-0000-4000-8000-' || substr(CAST(1000000000000 + i AS TEXT), 2), s.system, $3, 'idle', i, 0, 0, 0, 1 \
         FROM n CROSS JOIN (SELECT 'ghl' AS system UNION ALL SELECT 'timify') AS s WHERE i % 10 = 0"
    ),
];

impl Db {
    /// Adds the history of so many changes to an empty store. All of it is decided and long past.
    pub async fn grow(&self, workspace: &str, changes: u32) -> Result<()> {
        let changes = i64::from(changes);
        let mut from = 1;
        while from <= changes {
            let to = changes.min(from + BATCH - 1);
            let mut tx = self.write().await?;
            for statement in GROWTH {
                execute!(&mut tx, statement, from, to, workspace);
            }
            tx.commit().await?;
            from = to + 1;
        }
        Ok(())
    }
}
