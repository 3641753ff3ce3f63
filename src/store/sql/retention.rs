//! Letting go of what is old, a few rows at a time: one writer is waited for by everybody.
//!
//! Rows get their numbers in the order of their times, so what is old stands in front. What has to stay is stepped over.

use async_trait::async_trait;

use super::dialect::{Tx, execute, first};
use super::{Db, Result};
use crate::clock::Millis;
use crate::store::{Forgotten, History, Retention};

/// Up to which row things are old, among the next so many after one.
const fn front(what: History) -> &'static str {
    match what {
        History::Bodies => {
            "SELECT MAX(id) FROM (SELECT b.change_id AS id, c.received AS at FROM bodies b \
             JOIN change_log c ON c.id = b.change_id WHERE b.change_id > $1 ORDER BY b.change_id LIMIT $2) AS page \
             WHERE at < $3"
        }
        History::Calls => {
            "SELECT MAX(id) FROM (SELECT id, at FROM attempts WHERE id > $1 ORDER BY id LIMIT $2) AS page WHERE at < $3"
        }
        History::Conflicts => {
            "SELECT MAX(id) FROM (SELECT id, at FROM conflicts WHERE id > $1 ORDER BY id LIMIT $2) AS page WHERE at < $3"
        }
        History::Reviews => {
            "SELECT MAX(id) FROM (SELECT id, at FROM reviews WHERE id > $1 ORDER BY id LIMIT $2) AS page WHERE at < $3"
        }
        History::Changes => {
            "SELECT MAX(id) FROM (SELECT id, received AS at FROM change_log WHERE id > $1 ORDER BY id LIMIT $2) AS page \
             WHERE at < $3"
        }
    }
}

/// The changes from `$1` to `$2` that nothing rests on any more: old, decided, without a conflict that is kept. What is told of
/// our app itself is read again at each start.
macro_rules! old_changes {
    ($head:literal) => {
        concat!(
            $head,
            " IN (SELECT c.id FROM change_log c WHERE c.id > $1 AND c.id <= $2 AND c.received < $3 \
             AND c.label NOT IN ('INSTALL', 'UNINSTALL') \
             AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.change_id = c.id) \
             AND NOT EXISTS (SELECT 1 FROM conflicts k WHERE k.change_id = c.id))"
        )
    };
}

/// What lets go of the old ones among the rows from `$1` to `$2`; the last statement counts.
const fn letting_go(what: History) -> &'static [&'static str] {
    match what {
        History::Bodies => &["DELETE FROM bodies WHERE change_id > $1 AND change_id <= $2 AND change_id IN \
             (SELECT c.id FROM change_log c WHERE c.id > $1 AND c.id <= $2 AND c.received < $3 \
             AND c.label NOT IN ('INSTALL', 'UNINSTALL') \
             AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.change_id = c.id))"],
        History::Calls => &["DELETE FROM attempts WHERE id > $1 AND id <= $2 AND at < $3"],
        History::Conflicts => &["DELETE FROM conflicts WHERE id > $1 AND id <= $2 AND closed < $3"],
        History::Reviews => &["DELETE FROM reviews WHERE id > $1 AND id <= $2 AND closed < $3"],
        History::Changes => &[
            old_changes!("DELETE FROM bodies WHERE change_id"),
            old_changes!("DELETE FROM verdicts WHERE change_id"),
            old_changes!("DELETE FROM change_log WHERE id"),
        ],
    }
}

#[async_trait]
impl Retention for Db {
    async fn forget(&self, what: History, before: Millis, after: i64, most: u32) -> Result<Forgotten> {
        let mut tx = self.write().await?;
        let front: Option<(Option<i64>,)> = first!(&mut tx, front(what), after, i64::from(most), before.0);
        let Some(last) = front.and_then(|(last,)| last) else { return Ok(Forgotten::default()) };
        let mut rows = 0;
        for statement in letting_go(what) {
            rows = delete(&mut tx, statement, (after, last), before).await?;
        }
        tx.commit().await?;
        Ok(Forgotten { rows, next: Some(last) })
    }
}

async fn delete(tx: &mut Tx, statement: &'static str, (after, last): (i64, i64), before: Millis) -> Result<u64> {
    Ok(execute!(tx, statement, after, last, before.0))
}
