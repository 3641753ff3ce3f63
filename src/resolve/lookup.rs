//! What has to be looked up before an object can be placed: its contact, and entities that it could be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::Case;
use super::identity::{self, Match};
use crate::clock::Millis;
use crate::model::{EntityId, ExternalId, Field, Fields, Kind, Lease, Link, MirrorState, System, Value, Whole};
use crate::store::{self, Cached, Entities, Keys, Result, Settlement};
use crate::systems::Site;

/// Looks things up. Clones share their locks.
#[derive(Clone)]
pub struct Lookup {
    entities: Arc<Cached>,
    matching: Arc<Mutex<BTreeMap<String, Arc<RwLock<()>>>>>,
    asked: Arc<Mutex<BTreeSet<(EntityId, System)>>>,
}

/// Held while it is worked out who an object is.
pub enum Matching {
    /// Nobody else decides anything in the workspace.
    Alone(OwnedRwLockWriteGuard<()>),
    /// Nobody is looked for.
    Beside(OwnedRwLockReadGuard<()>),
}

/// A system is being asked for an entity, as long as this is kept.
pub struct Asking {
    what: (EntityId, System),
    asked: Arc<Mutex<BTreeSet<(EntityId, System)>>>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.what);
    }
}

impl Lookup {
    /// Looks in these entities.
    pub fn new(entities: Arc<Cached>) -> Self {
        Self { entities, matching: Arc::default(), asked: Arc::default() }
    }

    /// What follows is done under this lease.
    pub fn under(&self, lease: &Lease) {
        self.entities.under(lease);
    }

    /// To be kept from before a system is asked for an entity until its answer is settled. (One lane asks at a time.)
    pub fn asking(&self, entity: EntityId, system: System) -> Asking {
        let what = (entity, system);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(what);
        Asking { what, asked: self.asked.clone() }
    }

    /// Whether a system is being asked for an entity: its answer may be older than what is told meanwhile (R4).
    pub fn is_asked(&self, entity: EntityId, system: System) -> bool {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).contains(&(entity, system))
    }

    /// Held from looking for who an object is until the answer is written, one at a time in a workspace: two objects of one
    /// person, looked at side by side, would both be nobody that we have. (The lease keeps other processes off.)
    pub async fn matching(&self, workspace: &str) -> Matching {
        Matching::Alone(self.lock(workspace).write_owned().await)
    }

    /// The same, for one that is known: those may be decided side by side, as long as nobody is looked for.
    pub async fn beside(&self, workspace: &str) -> Matching {
        Matching::Beside(self.lock(workspace).read_owned().await)
    }

    fn lock(&self, workspace: &str) -> Arc<RwLock<()>> {
        let mut locks = self.matching.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(workspace.to_owned()).or_default().clone()
    }

    /// An entity with all that hangs on it.
    pub async fn whole(&self, entity: EntityId) -> Result<Option<Whole>> {
        self.entities.whole(entity).await
    }

    /// An entity with all that hangs on it, or the one that it turned out to be.
    pub async fn present(&self, entity: EntityId) -> Result<Option<Whole>> {
        store::present(self.entities.as_ref(), entity).await
    }

    /// The link of an external object, of any state.
    pub async fn link(&self, workspace: &str, system: System, kind: Kind, id: &ExternalId) -> Result<Option<Link>> {
        self.entities.link(workspace, system, kind, id).await
    }

    /// The links of all that stands within an object, of any state.
    pub async fn within(&self, workspace: &str, system: System, outer: &ExternalId) -> Result<Vec<Link>> {
        self.entities.links_within(workspace, system, outer).await
    }

    /// All that belongs to a contact.
    pub async fn children(&self, contact: EntityId) -> Result<Vec<Whole>> {
        let ids = self.entities.children(contact, None).await?;
        self.wholes(ids).await
    }

    /// What belongs to a contact, was deleted, and still stands somewhere: a person is to say what becomes of it, or it is on its
    /// way out.
    pub async fn remains(&self, contact: EntityId) -> Result<Vec<Whole>> {
        let ids = self.entities.remains(contact).await?;
        self.wholes(ids).await
    }

    /// Gives all that belongs to a contact to another one, which it turned out to be.
    pub async fn adopt(&self, site: &Site, from: EntityId, into: EntityId, settlement: &mut Settlement) -> Result<()> {
        for child in self.children(from).await? {
            let mut child = Case::of(child);
            child.whole.entity.parent = Some(into);
            child.into_settlement(settlement);
        }
        settlement.release.extend(site.targets.keys().map(|system| (into, *system)));
        self.wake_children(site, into, settlement).await
    }

    /// A contact is in a system that it was not in (any more): what belongs to it and rests without it is looked at again.
    pub async fn wake_children(&self, site: &Site, contact: EntityId, settlement: &mut Settlement) -> Result<()> {
        let now = settlement.now;
        for child in self.children(contact).await? {
            let id = child.entity.id;
            if settlement.mirrors.iter().any(|mirror| mirror.entity == id) {
                continue;
            }
            let mut child = Case::of(child);
            child.spread(site, false, now, now);
            child.into_settlement(settlement);
        }
        Ok(())
    }

    /// Whether a contact has an appointment.
    pub async fn is_booked(&self, contact: EntityId) -> Result<bool> {
        Ok(!self.entities.children(contact, Some(Kind::Appointment)).await?.is_empty())
    }

    /// What an unknown object of `system` is. `not`: an entity that is no candidate (its own placeholder).
    pub async fn identify(
        &self,
        workspace: &str,
        system: System,
        kind: Kind,
        parent: Option<EntityId>,
        fields: &Fields,
        not: Option<EntityId>,
    ) -> Result<Match> {
        let ids = match (kind, parent) {
            (Kind::Contact, _) => self.entities.with_keys(workspace, kind, &keys(fields)).await?,
            (_, Some(parent)) => self.entities.children(parent, Some(kind)).await?,
            (_, None) => Vec::new(),
        };
        let candidates = self.wholes(ids.into_iter().filter(|id| Some(*id) != not)).await?;
        let apart = match not {
            Some(own) => self.entities.apart(workspace, own).await?,
            None => BTreeSet::new(),
        };
        Ok(identity::choose(kind, system, fields, &candidates, &apart))
    }

    /// The entities that a person said this one is not.
    pub async fn apart(&self, workspace: &str, entity: EntityId) -> Result<BTreeSet<EntityId>> {
        self.entities.apart(workspace, entity).await
    }

    /// When a create was last sent, or is to be, that could make this object (R11): only its lane can tell.
    pub async fn our_open_create(
        &self,
        workspace: &str,
        system: System,
        kind: Kind,
        said: Option<&Fields>,
    ) -> Result<Option<Millis>> {
        let sent = |whole: &Whole| {
            let mirror = whole.mirror(system)?;
            let intent = mirror.intent.as_ref()?;
            let sent = intent.sent.as_ref().map_or(intent.since, |sent| sent.at);
            // It looks then, and sends again.
            Some(if mirror.state == MirrorState::Due { sent.max(mirror.due) } else { sent })
        };
        Ok(self.open_creates(workspace, system, kind, said).await?.iter().filter_map(sent).max())
    }

    /// When the first create of any other entity was sent that could have made this object, and has not been answered.
    pub async fn sent_creates(
        &self,
        workspace: &str,
        system: System,
        kind: Kind,
        said: Option<&Fields>,
        not: EntityId,
    ) -> Result<Option<Millis>> {
        let sent = |whole: &Whole| Some(whole.mirror(system)?.intent.as_ref()?.sent.as_ref()?.at);
        let open = self.open_creates(workspace, system, kind, said).await?;
        Ok(open.iter().filter(|whole| whole.entity.id != not).filter_map(sent).min())
    }

    /// The entities that are being made in a system, of those that this object could be.
    async fn open_creates(
        &self,
        workspace: &str,
        system: System,
        kind: Kind,
        said: Option<&Fields>,
    ) -> Result<Vec<Whole>> {
        let open = self.entities.open_intents(workspace, system, kind).await?;
        let mut open = self.wholes(open).await?;
        open.retain(|whole| {
            said.is_none_or(|said| {
                identity::is_alike(kind, system, said, whole) || identity::was_sent(kind, system, said, whole)
            })
        });
        Ok(open)
    }

    async fn wholes(&self, ids: impl IntoIterator<Item = EntityId>) -> Result<Vec<Whole>> {
        let mut wholes = Vec::new();
        for id in ids {
            wholes.extend(self.entities.whole(id).await?);
        }
        Ok(wholes)
    }

    /// Live contacts with one of these keys.
    pub async fn contacts(&self, workspace: &str, keys: &Keys) -> Result<Vec<Whole>> {
        let ids = self.entities.with_keys(workspace, Kind::Contact, keys).await?;
        self.wholes(ids).await
    }
}

/// The keys in some values.
pub fn keys(fields: &Fields) -> Keys {
    Keys::of(|field: &Field| fields.get(field).unwrap_or(&Value::Blank))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::model::{Author, Entity, Intent, Mirror, Sent, Stamp};
    use crate::store::memory::Memory;
    use crate::store::{Leases, Settling};

    /// Found by simulation: a create was sent twice without an answer, and what the first one had made was taken for somebody's own
    /// when the time was over that a first one needs. It was made everywhere once more.
    #[tokio::test]
    async fn what_a_create_may_have_made_waits_from_when_it_was_last_sent() {
        let (store, kind, system) = (Memory::new(), Kind::Note, System::Timify);
        let mut entity = Entity::new(EntityId(uuid::Uuid::from_u128(1)), "w", kind, Millis(0));
        entity.set(Field::BODY, Value::text("tea"), Stamp::new(Millis(1), Author::Ghl));
        let lease = store.lease(&["w".to_owned()], "us", Millis(0), Millis(i64::MAX)).await.unwrap().remove(0);
        let (store, clock) = (Arc::new(store), Arc::new(ManualClock::at(Millis(0))));
        let store = Arc::new(Cached::new(store, clock));
        let lookup = Lookup::new(store.clone());
        let said = |text| Fields::from([(Field::BODY, Value::text(text))]);
        let open = async |text| lookup.our_open_create("w", system, kind, Some(&said(text))).await.unwrap();
        assert_eq!(open("tea").await, None);

        let mut case = Case::new(entity);
        let id = uuid::Uuid::from_u128(2);
        case.mirror(system).intent = Some(Intent { id, since: Millis(3), sent: None, refused: None });
        let intend = async |case: Case| {
            let mut settlement = Settlement::new(lease.clone(), Millis(9));
            case.into_settlement(&mut settlement);
            store.settle(&settlement).await.unwrap();
            Case::of(store.whole(EntityId(uuid::Uuid::from_u128(1))).await.unwrap().unwrap())
        };
        let mut case = intend(case).await;
        assert_eq!((open("tea").await, open("milk").await), (Some(Millis(3)), None));
        let sent = Sent { fields: said("milk"), stamps: BTreeMap::new(), at: Millis(7), deletes: false, unclear: true };
        let mirror: &mut Mirror = case.mirror(system);
        mirror.intent = mirror.intent.take().map(|intent| Intent { sent: Some(sent), ..intent });
        let mut case = intend(case).await;
        assert_eq!((open("tea").await, open("milk").await, open("no").await), (Some(Millis(7)), Some(Millis(7)), None));

        let sent_by_others = async |text, not: u128| {
            let (said, not) = (said(text), EntityId(uuid::Uuid::from_u128(not)));
            lookup.sent_creates("w", system, kind, Some(&said), not).await.unwrap()
        };
        assert_eq!((sent_by_others("milk", 2).await, sent_by_others("milk", 1).await), (Some(Millis(7)), None));
        assert_eq!(sent_by_others("no", 2).await, None);

        // Its lane waits longer each time.
        let mirror = case.mirror(system);
        (mirror.state, mirror.due) = (MirrorState::Due, Millis(90));
        let mut case = intend(case).await;
        assert_eq!(open("tea").await, Some(Millis(90)));
        case.mirror(system).state = MirrorState::Parked;
        intend(case).await;
        assert_eq!(open("tea").await, Some(Millis(7)), "nobody looks before a person does");
    }
}
