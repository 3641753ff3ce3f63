//! Each method of the store, on both databases: what holds for one holds for the other.

mod bells;
mod change_log;
mod conflicts;
mod entities;
mod installs;
mod invitations;
mod leases;
mod mirrors;
mod opening;
mod reports;
mod retention;
mod settle;
mod workspaces;

use bytes::Bytes;
use lockstep::clock::Millis;
use lockstep::model::{
    Action, Appended, Attempt, AttemptResult, Author, ChangeId, Conflict, Entity, EntityId, ExternalId, Field, Kind,
    Lease, Link, Mirror, NewChange, NewConflict, Origin, Outcome, Stamp, Standing, System, Value, VerdictRow,
};
use lockstep::store::{Review, Settled, Settlement, Whole};
use uuid::Uuid;

use crate::support::databases::Database;

/// The workspace of most cases.
const ACME: &str = "acme";

/// The present of most cases.
const NOW: Millis = Millis(1_000_000);

fn id(n: u128) -> EntityId {
    EntityId(Uuid::from_u128(n))
}

fn ext(text: &str) -> ExternalId {
    ExternalId::new(text)
}

fn stamp(t: i64, author: Author) -> Stamp {
    Stamp::new(Millis(t), author)
}

/// A routed webhook.
fn change(key: &str) -> NewChange {
    NewChange {
        dedup: key.to_owned(),
        workspace: Some(ACME.to_owned()),
        system: System::Ghl,
        extension: false,
        origin: Origin::Webhook,
        label: "ContactUpdate".to_owned(),
        kind: Some(Kind::Contact),
        object: Some(ext("c1")),
        standing: Standing::Routed,
        reason: None,
        at: Some(Millis(900_000)),
        received: NOW,
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: Bytes::from_static(b"{\"a\": \xff\x00}"),
    }
}

fn verdict(change: ChangeId, entity: Option<EntityId>, outcome: Outcome) -> VerdictRow {
    VerdictRow { change, entity, outcome, findings: [].into(), why: "because".to_owned(), at: NOW }
}

fn contact(n: u128) -> Entity {
    let mut entity = Entity::new(id(n), ACME, Kind::Contact, NOW);
    entity.set(Field::EMAIL, Value::text(format!("p{n}@example.com")), stamp(5, Author::Ghl));
    entity
}

fn child(n: u128, kind: Kind, parent: EntityId) -> Entity {
    let mut entity = Entity::new(id(n), ACME, kind, NOW);
    entity.parent = Some(parent);
    entity
}

fn link(n: u128, system: System, external: &str) -> Link {
    Link::new(ACME, id(n), system, Kind::Contact, ext(external))
}

fn mirror(n: u128, system: System) -> Mirror {
    Mirror::new(ACME, id(n), system)
}

fn attempt(n: u128, action: Action, result: AttemptResult, at: i64) -> Attempt {
    Attempt {
        workspace: ACME.to_owned(),
        entity: id(n),
        system: System::Timify,
        action,
        object: Some(ext("t1")),
        fields: vec![Field::PHONE, Field::tag("vip")],
        result,
        status: Some(200),
        note: None,
        at: Millis(at),
        took_ms: 12,
        lag_ms: Some(345),
        trace: Some("trace-1".to_owned()),
        burst_left: Some(99),
        day_left: Some(199_999),
    }
}

fn conflict(lost: Value) -> Conflict {
    Conflict {
        field: Field::PHONE,
        system: System::Ghl,
        lost,
        lost_stamp: stamp(7, Author::Ghl),
        won: Value::text("+4930123"),
        won_stamp: stamp(8, Author::Timify),
        rule: "newer".to_owned(),
    }
}

/// The same, lost by an entity.
fn lost(n: u128, value: Value) -> NewConflict {
    NewConflict::bare(id(n), None, conflict(value))
}

fn review(subject: &str) -> Review {
    let (workspace, subject, text) = (ACME.to_owned(), subject.to_owned(), "look at this".to_owned());
    Review { workspace, subject, entity: Some(id(1)), text, at: NOW }
}

impl Database {
    /// A lease on a workspace, ours.
    async fn lease(&self, workspace: &str) -> Lease {
        let until = Millis(NOW.0 + 60_000);
        self.store.lease(&[workspace.to_owned()], "us", NOW, until).await.unwrap().pop().unwrap()
    }

    /// An empty settlement under our lease.
    async fn settlement(&self) -> Settlement {
        Settlement::new(self.lease(ACME).await, NOW)
    }

    /// Settles what `fill` puts into a settlement.
    async fn settle(&self, fill: impl FnOnce(&mut Settlement)) -> Settled {
        let mut settlement = self.settlement().await;
        fill(&mut settlement);
        self.store.settle(&settlement).await.unwrap()
    }

    /// Settles what `fill` puts into a settlement, which must be written.
    async fn put(&self, fill: impl FnOnce(&mut Settlement)) {
        assert_eq!(self.settle(fill).await, Settled::Done);
    }

    /// Appends one change, which must be new.
    async fn append(&self, change: NewChange) -> ChangeId {
        match self.store.append(&[change]).await.unwrap()[..] {
            [Appended::New(id)] => id,
            ref other => panic!("{other:?}"),
        }
    }

    /// An entity that must be there.
    async fn whole(&self, n: u128) -> Whole {
        self.store.whole(id(n)).await.unwrap().unwrap()
    }
}
