use bytes::Bytes;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use super::*;
use crate::model::{
    Action, AttemptResult, ChangeId, EntityId, Kind, LinkState, Origin, Outcome, Priority, Standing, System,
};

const ACME: &str = "acme";

fn change() -> NewChange {
    NewChange {
        dedup: "key".to_owned(),
        workspace: Some(ACME.to_owned()),
        system: System::Ghl,
        extension: false,
        origin: Origin::Read,
        label: "read".to_owned(),
        kind: Some(Kind::Contact),
        object: Some(ExternalId::new("c1")),
        standing: Standing::Routed,
        reason: None,
        at: None,
        received: Millis(1),
        headers: [].into(),
        body: Bytes::from_static(b"{}"),
    }
}

fn attempt(entity: EntityId) -> Attempt {
    Attempt {
        workspace: ACME.to_owned(),
        entity,
        system: System::Ghl,
        action: Action::Update,
        object: None,
        fields: Vec::new(),
        result: AttemptResult::Done,
        status: None,
        note: None,
        at: Millis(1),
        took_ms: 1,
        lag_ms: None,
        trace: None,
        burst_left: None,
        day_left: None,
    }
}

/// A settlement that says something of everything.
fn full() -> Settlement {
    let lease = Lease { workspace: ACME.to_owned(), owner: "us".to_owned(), fence: 1, until: Millis(9) };
    let one = EntityId(Uuid::from_u128(1));
    let verdict = VerdictRow {
        change: ChangeId(1),
        entity: Some(one),
        outcome: Outcome::Echo,
        findings: [].into(),
        why: String::new(),
        at: Millis(1),
    };
    let mut s = Settlement::new(lease, Millis(1));
    let entity = Entity::new(one, ACME, Kind::Contact, Millis(1));
    let link = Link::new(ACME, one, System::Ghl, Kind::Contact, ExternalId::new("c1"));
    let mirror =
        Mirror { state: MirrorState::Waiting, priority: Priority::Live, ..Mirror::new(ACME, one, System::Ghl) };
    for rev in [0, 1] {
        s.entities.push(Entity { rev, ..entity.clone() });
        s.links.push(Link { rev, ..link.clone() });
        s.links.push(Link { rev, state: LinkState::Retired, ..link.clone() });
        s.mirrors.push(Mirror { rev, ..mirror.clone() });
    }
    s.readings.push((change(), verdict.clone()));
    s.verdicts.push(verdict);
    s.waits.push((ChangeId(2), one, System::Ghl, 1));
    s.later.push((ChangeId(3), Millis(2)));
    s.attempts.push(attempt(one));
    s.release.push((one, System::Ghl));
    s.settled.push("subject".to_owned());
    s.reviews.push(Review {
        workspace: ACME.to_owned(),
        subject: "subject".to_owned(),
        entity: None,
        text: String::new(),
        at: Millis(1),
    });
    s
}

fn statements(s: &Settlement) -> sqlx::Result<Vec<String>> {
    let mut script = rows(&[s])?;
    let read = readings(&[s]);
    insert(&mut script, &changes(&read), false)?;
    take_in(&mut script, &read, &[Done { written: 1, rows: vec![(1, "key".to_owned())] }])?;
    decided(&mut script, &[s])?;
    told(&mut script, &[s])?;
    Ok(script.texts())
}

/// Whether it reads its own rows, or what a deferred foreign key of this row may have been waiting for.
fn is_its_own(detail: &str, statement: &str) -> bool {
    detail.contains("json_each") || (detail == "SCAN entities" && statement.starts_with("INSERT INTO entities"))
}

#[tokio::test]
async fn no_statement_of_a_settlement_reads_a_table_through() {
    let db = Db::in_memory().await.expect("a store in memory");
    let Either::Sqlite(mut on) = db.read().await.expect("a connection") else { panic!("SQLite") };
    let statements = statements(&full()).expect("plain values");
    assert!(statements.len() > 20, "{}", statements.len());
    for statement in statements {
        let explained = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"))).bind("[]");
        let plan = explained.fetch_all(&mut *on).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        for row in plan {
            let detail: String = row.get("detail");
            assert!(!detail.starts_with("SCAN") || is_its_own(&detail, &statement), "{detail}: {statement}");
        }
    }
}
