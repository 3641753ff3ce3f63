use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;

use super::*;
use crate::clock::ManualClock;
use crate::ids::Ids;
use crate::mirror::UnderWay;
use crate::model::{Author, Entity, Field, Kind, Known, Life, Mirror, Stamp, Value};
use crate::resolve::Resolver;
use crate::resolve::sample::site;
use crate::store::Cached;
use crate::store::memory::Memory;

const NOW: Millis = Millis(1_000_000);
const EDIT: Stamp = Stamp { t: NOW, author: Author::Timify };

/// A city that was edited, and that GHL is owed.
struct Owed {
    site: Site,
    case: Case,
    mode: Mode,
    running: BTreeSet<(EntityId, System)>,
    room: usize,
}

impl Owed {
    fn new() -> Self {
        let id = EntityId(uuid::Uuid::from_u128(1));
        let mut entity = Entity::new(id, "w", Kind::Contact, Millis(0));
        entity.set(Field::CITY, Value::text("Kobe"), EDIT);
        let mut case = Case::new(entity);
        let mut link = Link::new("w", id, System::Ghl, Kind::Contact, ExternalId::new("c"));
        let stamp = Stamp::new(Millis(1), Author::Ghl);
        link.snapshot.insert(Field::CITY, Known { value: Value::text("Osaka"), stamp, ..Known::default() });
        case.put_link(link);
        (case.mirror(System::Ghl).state, case.mirror(System::Ghl).due) = (MirrorState::Due, NOW);
        let mut site = site();
        site.workspace.policy.read_before_write = ReadBeforeWrite::InDoubt;
        Self { site, case, mode: Mode::Live, running: BTreeSet::new(), room: 9 }
    }

    fn mirror(&mut self) -> &mut Mirror {
        self.case.mirror(System::Ghl)
    }

    fn link(&mut self, change: impl FnOnce(&mut Link)) {
        let mut link = self.case.whole.link(System::Ghl).unwrap().clone();
        change(&mut link);
        self.case.put_link(link);
    }

    /// The calls that are begun if it is written, or is not, and what stands in the link then.
    async fn begun(mut self, written: bool) -> (Vec<Begun>, Option<Sent>) {
        let (store, clock) = (Arc::new(Memory::new()), Arc::new(ManualClock::at(NOW)));
        let (cached, ids) = (Arc::new(Cached::new(store.clone(), clock.clone())), Arc::new(Ids::seeded(1)));
        let resolver = Resolver::new(store.clone(), cached.clone(), clock.clone(), ids.clone());
        let lanes = Lanes {
            log: store.clone(),
            mirrors: store.clone(),
            workspaces: store,
            settling: cached,
            lookup: resolver.lookup(),
            clock,
            ids,
            under_way: UnderWay::default(),
        };
        let lease = Lease { workspace: "w".to_owned(), owner: "us".to_owned(), fence: 1, until: Millis(i64::MAX) };
        let begins = Beginnings::new(&lanes, (&self.site, &lease, self.mode), &self.running, self.room);
        begins.begin(&mut self.case).await.unwrap();
        begins.begun(self.case.whole.entity.id, written);
        (begins.into_calls(), self.case.whole.link(System::Ghl).and_then(|link| link.sent.clone()))
    }
}

#[tokio::test]
async fn an_update_that_would_be_sent_at_once_is_stored_as_sent() {
    let (calls, sent) = Owed::new().begun(true).await;
    let call = &calls[0];
    assert_eq!((calls.len(), call.object.as_str(), call.step.action), (1, "c", Action::Update));
    assert_eq!(call.step.fields, [(Field::CITY, Value::text("Kobe"))].into());
    assert_eq!(sent.as_ref(), Some(&call.sent));
    assert_eq!((call.sent.at, call.sent.unclear), (NOW, false));
}

#[tokio::test]
async fn what_is_not_written_is_not_called() {
    assert!(Owed::new().begun(false).await.0.is_empty());
}

#[rstest]
#[case::shadow(|owed: &mut Owed| owed.mode = Mode::Shadow)]
#[case::its_lane_runs(|owed: &mut Owed| { owed.running.insert((owed.case.whole.entity.id, System::Ghl)); })]
#[case::no_lane_is_free(|owed: &mut Owed| owed.room = 0)]
#[case::a_read_comes_first(|owed: &mut Owed| owed.site.workspace.policy.read_before_write = ReadBeforeWrite::Always)]
#[case::in_doubt(|owed: &mut Owed| owed.mirror().doubt = 1)]
#[case::quiet(|owed: &mut Owed| owed.mirror().due = NOW + Duration::from_millis(1))]
#[case::parked(|owed: &mut Owed| owed.mirror().state = MirrorState::Parked)]
#[case::tried_before(|owed: &mut Owed| owed.mirror().tries = 1)]
#[case::in_flight(|owed: &mut Owed| owed.link(|link| link.sent = Some(unclear())))]
#[case::may_land_late(|owed: &mut Owed| owed.link(|link| link.ledger = vec![unclear()]))]
#[case::equal(|owed: &mut Owed| owed.link(|link| link.snapshot.get_mut(&Field::CITY).unwrap().value = Value::text("Kobe")))]
#[case::deleted(|owed: &mut Owed| owed.case.whole.entity.life = Life::Deleted(EDIT))]
#[case::not_there(|owed: &mut Owed| owed.link(|link| link.state = crate::model::LinkState::Gone))]
#[case::fused(|owed: &mut Owed| owed.site.workspace.policy.limits.fuse = 0)]
#[tokio::test]
async fn what_anything_comes_before_is_left_to_its_lane(#[case] change: fn(&mut Owed)) {
    let mut owed = Owed::new();
    change(&mut owed);
    let before = owed.case.whole.clone();
    let (calls, sent) = owed.begun(true).await;
    assert!(calls.is_empty(), "{calls:?}");
    assert_eq!(sent, before.link(System::Ghl).and_then(|link| link.sent.clone()));
}

fn unclear() -> Sent {
    let fields = [(Field::CITY, Value::text("Nara"))].into();
    Sent { fields, stamps: [(Field::CITY, EDIT)].into(), at: NOW, deletes: false, unclear: true }
}
