use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;
use uuid::Uuid;

use super::writes::tests::attempt;
use super::*;
use crate::clock::ManualClock;
use crate::ids::Ids;
use crate::model::{Attempt, AttemptResult, Author, Entity, Field, LinkState, Mirror, Stamp, Value};
use crate::store::memory::Memory;
use crate::store::{Leases, StoreError};

const ACME: &str = "acme";

/// A store that counts what it is asked, and can hold answers to looks or to settlements back, or fail.
struct Asked {
    store: Memory,
    looks: AtomicUsize,
    fails: AtomicBool,
    holds: AtomicBool,
    held: Notify,
    /// Settlements are written, and nobody is told so for now.
    settles: AtomicBool,
}

#[async_trait]
impl Settling for Asked {
    async fn settle(&self, settlement: &Settlement) -> Result<Settled> {
        let settled = self.store.settle(settlement).await;
        if self.settles.load(Ordering::SeqCst) {
            self.held.notified().await;
        }
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("cut off after the commit".into()));
        }
        settled
    }
}

#[async_trait]
impl Mirrors for Asked {
    async fn due(&self, workspace: &str, now: Millis, limit: u32) -> Result<Vec<Mirror>> {
        self.store.due(workspace, now, limit).await
    }

    async fn in_state(&self, workspace: &str, state: MirrorState, limit: u32) -> Result<Vec<Mirror>> {
        self.store.in_state(workspace, state, limit).await
    }

    async fn writes_since(&self, entity: EntityId, system: System, since: Millis) -> Result<Vec<Millis>> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.store.writes_since(entity, system, since).await
    }

    async fn actions_since(&self, workspace: &str, system: System, action: Action, since: Millis) -> Result<u32> {
        self.store.actions_since(workspace, system, action, since).await
    }
}

#[async_trait]
impl Entities for Asked {
    async fn whole(&self, entity: EntityId) -> Result<Option<Whole>> {
        let (holds, found) = (self.holds.load(Ordering::SeqCst), self.store.whole(entity).await);
        self.looks.fetch_add(1, Ordering::SeqCst);
        if holds {
            self.held.notified().await;
        }
        found
    }

    async fn link(&self, workspace: &str, system: System, kind: Kind, id: &ExternalId) -> Result<Option<Link>> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.store.link(workspace, system, kind, id).await
    }

    async fn with_keys(&self, workspace: &str, kind: Kind, keys: &Keys) -> Result<Vec<EntityId>> {
        self.store.with_keys(workspace, kind, keys).await
    }

    async fn children(&self, parent: EntityId, kind: Option<Kind>) -> Result<Vec<EntityId>> {
        self.store.children(parent, kind).await
    }

    async fn remains(&self, parent: EntityId) -> Result<Vec<EntityId>> {
        self.store.remains(parent).await
    }

    async fn entities(&self, workspace: &str, after: Option<EntityId>, limit: u32) -> Result<Vec<EntityId>> {
        self.store.entities(workspace, after, limit).await
    }

    async fn live_links(&self, workspace: &str, system: System, kind: Kind) -> Result<Vec<Link>> {
        self.store.live_links(workspace, system, kind).await
    }

    async fn links_within(&self, workspace: &str, system: System, outer: &ExternalId) -> Result<Vec<Link>> {
        self.store.links_within(workspace, system, outer).await
    }

    async fn open_intents(&self, workspace: &str, system: System, kind: Kind) -> Result<Vec<EntityId>> {
        self.store.open_intents(workspace, system, kind).await
    }

    async fn apart(&self, workspace: &str, entity: EntityId) -> Result<BTreeSet<EntityId>> {
        self.store.apart(workspace, entity).await
    }
}

struct Bench {
    asked: Arc<Asked>,
    cached: Arc<Cached>,
    clock: ManualClock,
    lease: Lease,
}

impl Bench {
    async fn new() -> Self {
        let store = Memory::new();
        let lease = store.lease(&[ACME.to_owned()], "us", Millis(0), Millis(i64::MAX)).await.unwrap().remove(0);
        let (looks, fails, holds, held, settles) = Default::default();
        let asked = Arc::new(Asked { store, looks, fails, holds, held, settles });
        let clock = ManualClock::at(Millis(1_000));
        let cached = Arc::new(Cached::new(asked.clone(), Arc::new(clock.clone())));
        cached.under(&lease);
        Self { asked, cached, clock, lease }
    }

    fn settlement(&self) -> Settlement {
        Settlement::new(self.lease.clone(), Millis(1_000))
    }

    /// An entity with a link and a mirror.
    async fn made(&self, number: u128) -> EntityId {
        let mut settlement = self.settlement();
        settlement.entities.push(Entity::new(id(number), ACME, Kind::Contact, Millis(1)));
        settlement.links.push(Link::new(ACME, id(number), System::Ghl, Kind::Contact, external(number)));
        settlement.mirrors.push(Mirror::new(ACME, id(number), System::Timify));
        assert_eq!(self.cached.settle(&settlement).await.unwrap(), Settled::Done);
        id(number)
    }

    /// A task whose mirror waits for a contact's.
    async fn waiting_for(&self, contact: EntityId) -> EntityId {
        let (child, mut settlement) = (id(9), self.settlement());
        settlement.entities.push(Entity { parent: Some(contact), ..Entity::new(child, ACME, Kind::Task, Millis(1)) });
        let waits = Mirror { state: MirrorState::Waiting, ..Mirror::new(ACME, child, System::Timify) };
        settlement.mirrors.push(waits);
        assert_eq!(self.cached.settle(&settlement).await.unwrap(), Settled::Done);
        child
    }

    async fn whole(&self, id: EntityId) -> Whole {
        self.cached.whole(id).await.unwrap().unwrap()
    }

    /// How often the store is asked while an entity is looked up, which is as it is stored.
    async fn looks_for(&self, id: EntityId) -> usize {
        let before = self.asked.looks.load(Ordering::SeqCst);
        let whole = self.whole(id).await;
        let looks = self.asked.looks.load(Ordering::SeqCst) - before;
        assert_eq!(Some(whole), self.asked.store.whole(id).await.unwrap());
        looks
    }

    /// Begins to look an entity up; the answer of the store is on its way.
    async fn begin_look(&self, id: EntityId) -> tokio::task::JoinHandle<Whole> {
        let (before, cached) = (self.asked.looks.load(Ordering::SeqCst), self.cached.clone());
        self.asked.holds.store(true, Ordering::SeqCst);
        let look = tokio::spawn(async move { cached.whole(id).await.unwrap().unwrap() });
        while self.asked.looks.load(Ordering::SeqCst) == before {
            tokio::task::yield_now().await;
        }
        self.asked.holds.store(false, Ordering::SeqCst);
        look
    }

    async fn end_look(&self, look: tokio::task::JoinHandle<Whole>) -> Whole {
        self.asked.held.notify_one();
        look.await.unwrap()
    }

    /// Writes a mirror past the cache.
    async fn settle_past(&self, change: impl FnOnce(&mut Mirror), id: EntityId) {
        let mut mirror = self.asked.store.whole(id).await.unwrap().unwrap().mirrors.remove(0);
        change(&mut mirror);
        let settlement = Settlement { mirrors: vec![mirror], ..self.settlement() };
        assert_eq!(self.asked.store.settle(&settlement).await.unwrap(), Settled::Done);
    }
}

fn id(number: u128) -> EntityId {
    EntityId(Uuid::from_u128(number))
}

fn external(number: u128) -> ExternalId {
    ExternalId::new(format!("c{number}"))
}

#[tokio::test]
async fn what_was_written_or_looked_at_is_not_asked_for_again() {
    let bench = Bench::new().await;
    let one = bench.made(1).await;
    assert_eq!(bench.looks_for(one).await, 0, "as it was written");
    let link = bench.cached.link(ACME, System::Ghl, Kind::Contact, &external(1)).await.unwrap().unwrap();
    assert_eq!((link.entity, bench.asked.looks.load(Ordering::SeqCst)), (one, 0));
    let again = Bench { cached: Arc::new(Cached::new(bench.asked.clone(), Arc::new(bench.clock.clone()))), ..bench };
    assert_eq!([again.looks_for(one).await, again.looks_for(one).await], [1, 0]);
}

#[tokio::test]
async fn a_link_that_becomes_anothers_leaves_the_one_that_had_it() {
    let bench = Bench::new().await;
    let (one, two) = (bench.made(1).await, bench.made(2).await);
    let mut link = bench.whole(one).await.links.remove(0);
    link.entity = two;
    let mut former = bench.whole(two).await.links.remove(0);
    former.state = LinkState::Gone;
    let settlement = Settlement { links: vec![link, former], ..bench.settlement() };
    assert_eq!(bench.cached.settle(&settlement).await.unwrap(), Settled::Done);
    assert_eq!([bench.looks_for(one).await, bench.looks_for(two).await], [1, 0]);
    let link = bench.cached.link(ACME, System::Ghl, Kind::Contact, &external(1)).await.unwrap().unwrap();
    assert_eq!(link.entity, two);
}

#[tokio::test]
async fn a_look_for_who_loses_a_link_meanwhile_is_not_kept() {
    let bench = Bench::new().await;
    let (one, two) = (bench.made(1).await, bench.made(2).await);
    let mut link = bench.whole(one).await.links.remove(0);
    (link.entity, link.state) = (two, LinkState::Gone);
    bench.cached.shelf().forget(ACME);
    let look = bench.begin_look(one).await;
    let settlement = Settlement { links: vec![link], ..bench.settlement() };
    assert_eq!(bench.cached.settle(&settlement).await.unwrap(), Settled::Done);
    bench.end_look(look).await;
    assert_eq!(bench.looks_for(one).await, 1);
}

#[tokio::test]
async fn what_moved_is_asked_for_again() {
    let bench = Bench::new().await;
    let one = bench.made(1).await;
    let stale = bench.whole(one).await.mirrors;
    bench.settle_past(|mirror| mirror.due = Millis(9), one).await;
    let settlement = Settlement { mirrors: stale, ..bench.settlement() };
    assert_eq!(bench.cached.settle(&settlement).await.unwrap(), Settled::Moved);
    assert_eq!(bench.looks_for(one).await, 1);
}

#[tokio::test]
async fn what_was_known_under_an_older_lease_is_forgotten() {
    let bench = Bench::new().await;
    let one = bench.made(1).await;
    bench.cached.under(&Lease { fence: bench.lease.fence - 1, ..bench.lease.clone() });
    assert_eq!(bench.looks_for(one).await, 0, "whoever comes late with an older one");
    bench.settle_past(|mirror| mirror.due = Millis(9), one).await;
    bench.cached.under(&Lease { fence: bench.lease.fence + 1, ..bench.lease.clone() });
    assert_eq!(bench.looks_for(one).await, 1);
}

#[tokio::test]
async fn a_look_that_a_write_or_a_new_lease_crosses_is_not_kept() {
    for new_lease in [false, true] {
        let bench = Bench::new().await;
        let one = bench.made(1).await;
        let mut mirror = bench.whole(one).await.mirrors.remove(0);
        bench.cached.shelf().forget(ACME);
        let look = bench.begin_look(one).await;
        if new_lease {
            bench.settle_past(|mirror| mirror.due = Millis(9), one).await;
            bench.cached.under(&Lease { fence: bench.lease.fence + 1, ..bench.lease.clone() });
        } else {
            mirror.due = Millis(9);
            let settlement = Settlement { mirrors: vec![mirror], ..bench.settlement() };
            assert_eq!(bench.cached.settle(&settlement).await.unwrap(), Settled::Done);
        }
        assert_ne!(bench.end_look(look).await.mirrors[0].due, Millis(9), "it found what was there");
        assert_eq!(bench.looks_for(one).await, 1, "new lease: {new_lease}");
    }
}

/// Found by simulation: who looked at a contact, which was read anew, and at its note, which was kept as it had been before the same
/// settlement, rested on a read that had been made by then.
#[tokio::test]
async fn what_one_settlement_writes_is_not_seen_half_done() {
    let bench = Bench::new().await;
    let (one, two) = (bench.made(1).await, bench.made(2).await);
    let mut settlement = bench.settlement();
    for id in [one, two] {
        let mut mirror = bench.whole(id).await.mirrors.remove(0);
        mirror.tries = 7;
        settlement.mirrors.push(mirror);
    }
    bench.asked.settles.store(true, Ordering::SeqCst);
    let cached = bench.cached.clone();
    let settling = tokio::spawn(async move { cached.settle(&settlement).await.unwrap() });
    let written = async |id| bench.asked.store.whole(id).await.unwrap().unwrap().mirrors[0].tries == 7;
    while !written(one).await {
        tokio::task::yield_now().await;
    }
    for id in [one, two] {
        assert_eq!(bench.whole(id).await.mirrors[0].tries, 7);
    }
    bench.asked.held.notify_one();
    assert_eq!(settling.await.unwrap(), Settled::Done);
    assert_eq!([bench.looks_for(one).await, bench.looks_for(two).await], [0, 0]);
}

#[tokio::test]
async fn a_look_that_is_given_up_is_over() {
    let bench = Bench::new().await;
    let one = bench.made(1).await;
    bench.cached.under(&Lease { fence: bench.lease.fence + 1, ..bench.lease.clone() });
    let look = bench.begin_look(one).await;
    bench.settle_past(|mirror| mirror.tries = 7, one).await;
    look.abort();
    assert!(look.await.unwrap_err().is_cancelled());
    bench.cached.under(&Lease { fence: bench.lease.fence + 2, ..bench.lease.clone() });
    assert_eq!([bench.looks_for(one).await, bench.looks_for(one).await], [1, 0]);
}

#[tokio::test]
async fn after_a_settlement_that_may_be_written_yet_nothing_is_kept_for_a_while() {
    let bench = Bench::new().await;
    let (one, two) = (bench.made(1).await, bench.made(2).await);
    let mut mirror = bench.whole(one).await.mirrors.remove(0);
    mirror.due = Millis(9);
    bench.asked.fails.store(true, Ordering::SeqCst);
    let settlement = Settlement { mirrors: vec![mirror], ..bench.settlement() };
    assert!(bench.cached.settle(&settlement).await.is_err());
    bench.asked.fails.store(false, Ordering::SeqCst);
    for entity in [one, two, one] {
        assert_eq!(bench.looks_for(entity).await, 1);
    }
    bench.clock.advance(UNSURE);
    assert_eq!([bench.looks_for(one).await, bench.looks_for(one).await], [1, 0]);
}

#[tokio::test]
async fn children_that_a_contact_releases_are_asked_for_again() {
    let bench = Bench::new().await;
    let contact = bench.made(1).await;
    let child = bench.waiting_for(contact).await;
    assert_eq!([bench.looks_for(child).await, bench.looks_for(child).await], [1, 0], "it may be due at once");
    let settlement = Settlement { release: vec![(contact, System::Timify)], ..bench.settlement() };
    bench.cached.settle(&settlement).await.unwrap();
    assert_eq!(bench.whole(child).await.mirrors[0].state, MirrorState::Due);
    assert_eq!(bench.looks_for(child).await, 0);
}

/// Found by simulation: what waited for one contact was kept as it waited when it became another one's, which is there. Its
/// lane looked for ever at what it was not.
#[tokio::test]
async fn a_child_that_becomes_a_released_contacts_is_asked_for_again() {
    let bench = Bench::new().await;
    let (former, heir) = (bench.made(1).await, bench.made(2).await);
    let child = bench.waiting_for(former).await;
    let task = bench.whole(child).await.entity;
    let settlement = Settlement {
        entities: vec![Entity { parent: Some(heir), ..task }],
        release: vec![(heir, System::Timify)],
        ..bench.settlement()
    };
    bench.cached.settle(&settlement).await.unwrap();
    assert_eq!(bench.whole(child).await.mirrors[0].state, MirrorState::Due);
    assert_eq!(bench.looks_for(child).await, 0);
}

#[tokio::test]
async fn when_the_shelf_is_full_the_older_half_goes() {
    let bench = Bench::new().await;
    for number in 1..=MOST as u128 + 1 {
        bench.made(number).await;
    }
    assert_eq!(bench.cached.shelf().wholes.len(), MOST / 2 + 1);
    assert_eq!(bench.cached.shelf().names.len(), MOST / 2 + 1);
    assert_eq!(bench.looks_for(id(MOST as u128)).await, 0);
    assert_eq!(bench.looks_for(id(1)).await, 1);
}

/// Any settlements, some of them worked out from what is no longer so: what is kept is what is stored.
#[tokio::test]
async fn it_gives_what_is_stored_whatever_is_settled() {
    for seed in 0..50 {
        let (bench, ids) = (Bench::new().await, Ids::seeded(seed));
        let mut old = Vec::new();
        for number in 1..=4 {
            bench.made(number).await;
        }
        for step in 0..60 {
            let whole = bench.whole(id(1 + u128::from(ids.below(4)))).await;
            let other = bench.whole(id(1 + u128::from(ids.below(4)))).await;
            let mut settlement = bench.settlement();
            if ids.below(2) == 0 {
                let mut entity = whole.entity.clone();
                if ids.below(3) == 0 && other.entity.id < entity.id {
                    entity.parent = Some(other.entity.id);
                }
                entity.set(Field::EMAIL, Value::text(format!("{step}@x.test")), Stamp::new(Millis(step), Author::Ghl));
                settlement.entities.push(entity);
            }
            if ids.below(2) == 0 {
                let mut mirror = whole.mirrors[0].clone();
                mirror.due = Millis(step);
                mirror.state = if ids.below(2) == 0 { MirrorState::Waiting } else { MirrorState::Idle };
                settlement.mirrors.push(mirror);
            }
            if ids.below(4) == 0 {
                settlement.release.push((other.entity.id, System::Timify));
            }
            if let Some(link) = whole.links.first().filter(|_| ids.below(4) == 0) {
                settlement.links.push(Link { entity: other.entity.id, state: LinkState::Gone, ..link.clone() });
            }
            if ids.below(3) == 0 {
                old.push(settlement.clone());
            }
            let late = old.get(ids.below(old.len().max(1) as u64) as usize).cloned().filter(|_| ids.below(4) == 0);
            bench.cached.settle(&late.unwrap_or(settlement)).await.unwrap();
            for number in 1..=4 {
                bench.looks_for(id(number)).await;
            }
        }
    }
}

#[tokio::test]
async fn writes_are_counted_without_asking_until_it_is_not_known_what_was_written() {
    let bench = Bench::new().await;
    let one = bench.made(1).await;
    let writes = async || bench.cached.writes_since(one, System::Ghl, Millis(500)).await.unwrap();
    let looks = || bench.asked.looks.load(Ordering::SeqCst);
    let wrote = |at| {
        let mut settlement = bench.settlement();
        settlement
            .attempts
            .push(Attempt { workspace: ACME.to_owned(), ..attempt(Action::Update, AttemptResult::Done, at) });
        settlement
    };
    assert_eq!((writes().await, looks()), (vec![], 1));
    bench.cached.settle(&wrote(600)).await.unwrap();
    assert_eq!((writes().await, looks()), (vec![Millis(600)], 1));
    bench.asked.fails.store(true, Ordering::SeqCst);
    bench.cached.settle(&wrote(700)).await.unwrap_err();
    assert_eq!((writes().await, looks()), (vec![Millis(600), Millis(700)], 2), "it was written all the same");
}

#[tokio::test]
async fn what_became_due_is_told_once() {
    let bench = Bench::new().await;
    bench.made(1).await;
    let told: Vec<_> = bench.cached.news(ACME).mirrors.into_keys().collect();
    assert_eq!(told, [(id(1), System::Timify)]);
    assert!(bench.cached.news(ACME).mirrors.is_empty());
    bench.asked.fails.store(true, Ordering::SeqCst);
    bench.cached.settle(&bench.settlement()).await.unwrap_err();
    assert!(bench.cached.news(ACME).more && !bench.cached.news("another").more);
}
