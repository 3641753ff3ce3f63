use super::*;
use crate::clock::{ManualClock, Millis};
use crate::ids::Ids;
use crate::mirror::UnderWay;
use crate::model::{Correction, Entity, Field, Kind, Mirror, MirrorState, Mode, NewChange, Value};
use crate::resolve::sample::site;
use crate::store::memory::Memory;
use crate::store::{Cached, ChangeLog, Settlement, Settling};

const NOW: Millis = Millis(120_000);

fn contact() -> EntityId {
    EntityId(uuid::Uuid::from_u128(1))
}

/// A worker of a workspace in which a mirror is due, and something came in.
async fn worker() -> Worker {
    let (store, clock, ids) = (Arc::new(Memory::new()), Arc::new(ManualClock::at(NOW)), Arc::new(Ids::seeded(1)));
    store.register(&["w".to_owned()], Mode::Live, NOW).await.unwrap();
    let holder = Holder::new(store.clone(), clock.clone(), "us".to_owned(), POLL * 60, vec!["w".to_owned()]);
    holder.renew().await.unwrap();
    let contact = Entity::new(contact(), "w", Kind::Contact, NOW);
    let mut settlement = Settlement::new(holder.lease("w").unwrap(), NOW);
    settlement.mirrors.push(Mirror { state: MirrorState::Due, ..Mirror::new("w", contact.id, System::Ghl) });
    settlement.entities.push(contact);
    let cached = Arc::new(Cached::new(store.clone(), clock.clone()));
    cached.settle(&settlement).await.unwrap();
    let said = Correction {
        kind: Kind::Contact,
        entity: EntityId(uuid::Uuid::from_u128(2)),
        parent: None,
        fields: [(Field::CITY, Value::text("Kobe"))].into(),
        saw: [].into(),
        restores: [].into(),
    };
    let said =
        NewChange::from_operator("correct", "1".to_owned(), "w", System::Ghl, Kind::Contact, &said, NOW).unwrap();
    store.append(&[said]).await.unwrap();
    let resolver = Resolver::new(store.clone(), cached.clone(), clock.clone(), ids.clone());
    let lanes = Lanes {
        log: store.clone(),
        mirrors: store.clone(),
        workspaces: store.clone(),
        settling: cached.clone(),
        lookup: resolver.lookup(),
        clock: clock.clone(),
        ids,
        under_way: UnderWay::default(),
    };
    Worker {
        site: Arc::new(site()),
        resolver: Arc::new(resolver),
        lanes: Arc::new(lanes),
        mirrors: cached,
        workspaces: store,
        holder: Arc::new(holder),
        clock,
        bell: Arc::default(),
        poll: POLL,
    }
}

/// A round that only decided left mirrors waiting for as long as more came in than could be decided.
#[tokio::test]
async fn what_is_due_is_started_in_the_round_that_decides() {
    let worker = worker().await;
    let mut running = Running::default();
    worker.turn(&mut running).await.unwrap();
    assert!(running.keys.contains(&(contact(), System::Ghl)), "{:?}", running.keys);
}
