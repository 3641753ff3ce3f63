//! Entities that were looked at or written a moment ago are kept in memory, for as long as the lease on their workspace is ours.
//!
//! In: look-ups and settlements. Out: the same answers as the store's, mostly without asking it. The rows are the truth: what
//! was written is kept as it was written, what moved is dropped, and nothing is kept that was known under another lease or
//! while it is not known whether a settlement was written. Every settlement of a process comes through here; those of other
//! processes need the lease. So what became due is known as well (`news`), and when an entity was written to (`writes`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Entities, Keys, Mirrors, Result, Rows, Settled, Settlement, Settling, Whole};
use crate::clock::{Clock, Millis};
use crate::model::{Action, Entity, EntityId, ExternalId, Kind, Lease, Link, Mirror, MirrorState, System};

mod news;
mod writes;

pub use news::{Due, News};

use writes::Writes;

/// Entities that are kept, at most.
const MOST: usize = 4_096;

/// How long nothing of a workspace is kept after a settlement of which nobody knows whether it was written. A database that
/// still writes one has long given up then.
const UNSURE: Duration = Duration::from_mins(1);

/// A store of entities that remembers.
pub struct Cached {
    rows: Arc<dyn Rows>,
    clock: Arc<dyn Clock>,
    shelf: Mutex<Shelf>,
}

/// What an object is found by.
type Name = (String, System, Kind, ExternalId);

#[derive(Default)]
struct Shelf {
    wholes: HashMap<EntityId, Shelved>,
    names: HashMap<Name, EntityId>,
    looking: HashMap<EntityId, Looking>,
    /// How many settlements write to an entity at this moment.
    writing: HashMap<EntityId, u32>,
    fences: BTreeMap<String, i64>,
    unsure: BTreeMap<String, Millis>,
    writes: Writes,
    news: BTreeMap<String, News>,
    looks: u64,
}

struct Shelved {
    whole: Whole,
    looked: u64,
}

/// Look-ups of one entity that are under way.
#[derive(Default)]
struct Looking {
    count: u32,
    /// It was being written meanwhile: they may find what is no longer so.
    late: bool,
}

impl Shelf {
    /// What is being written may be so already, and was not when it was shelved: beside others as they are by now it would be
    /// a state that never was.
    fn look(&mut self, id: EntityId) -> Option<&Whole> {
        if self.writing.contains_key(&id) {
            return None;
        }
        self.looks += 1;
        let shelved = self.wholes.get_mut(&id)?;
        shelved.looked = self.looks;
        Some(&shelved.whole)
    }

    fn begin_look(&mut self, id: EntityId) {
        let late = self.writing.contains_key(&id);
        let looking = self.looking.entry(id).or_default();
        looking.count += 1;
        looking.late |= late;
    }

    /// Whether what was found is no longer so.
    fn end_look(&mut self, id: EntityId) -> bool {
        let Some(looking) = self.looking.get_mut(&id) else { return true };
        looking.count -= 1;
        let late = looking.late;
        if looking.count == 0 {
            self.looking.remove(&id);
        }
        late
    }

    fn begin_write(&mut self, id: EntityId) {
        *self.writing.entry(id).or_default() += 1;
        if let Some(looking) = self.looking.get_mut(&id) {
            looking.late = true;
        }
    }

    fn end_write(&mut self, id: EntityId) {
        if let Some(count) = self.writing.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.writing.remove(&id);
            }
        }
    }

    fn keep(&mut self, whole: Whole, now: Millis) {
        if self.unsure.get(&whole.entity.workspace).is_some_and(|until| now < *until) {
            return;
        }
        if self.wholes.len() >= MOST {
            self.drop_the_older_half();
        }
        for link in &whole.links {
            self.names.insert(name(link), whole.entity.id);
        }
        self.looks += 1;
        self.wholes.insert(whole.entity.id, Shelved { looked: self.looks, whole });
    }

    fn take(&mut self, id: EntityId) -> Option<Whole> {
        let whole = self.wholes.remove(&id)?.whole;
        for name in whole.links.iter().map(name) {
            // It may be another's by now.
            if self.names.get(&name) == Some(&id) {
                self.names.remove(&name);
            }
        }
        Some(whole)
    }

    fn drop_the_older_half(&mut self) {
        let mut looked: Vec<u64> = self.wholes.values().map(|shelved| shelved.looked).collect();
        looked.sort_unstable();
        let middle = looked.get(looked.len() / 2).copied().unwrap_or_default();
        self.drop_where(|shelved| shelved.looked < middle);
    }

    fn drop_where(&mut self, old: impl Fn(&Shelved) -> bool) {
        let dropped = self.wholes.iter().filter(|(_, shelved)| old(shelved)).map(|(id, _)| *id);
        for id in dropped.collect::<Vec<_>>() {
            self.take(id);
        }
    }

    /// What is being looked up may be no longer so when it is found.
    fn all_late(&mut self) {
        for looking in self.looking.values_mut() {
            looking.late = true;
        }
    }

    /// Drops what is kept of a workspace, and what is being looked up.
    fn forget(&mut self, workspace: &str) {
        self.all_late();
        self.writes.forget();
        self.drop_where(|shelved| shelved.whole.entity.workspace == workspace);
    }

    /// Who had a link that became another's has it no longer.
    fn forget_former(&mut self, links: &[Link]) {
        let moved: Vec<Name> = links.iter().filter(|link| self.is_elsewhere(link)).map(name).collect();
        if !moved.is_empty() {
            self.all_late();
        }
        for name in moved {
            if let Some(former) = self.names.get(&name).copied() {
                self.take(former);
            }
        }
    }

    /// The children of a contact that is released became due, whichever they are.
    fn forget_released(&mut self, release: &[(EntityId, System)]) {
        if !release.is_empty() {
            self.all_late();
            let released = |parent| release.iter().any(|(contact, _)| *contact == parent);
            self.drop_where(|shelved| shelved.whole.entity.parent.is_some_and(released));
        }
    }

    fn tell(&mut self, settlement: &Settlement, settled: Option<Settled>) {
        self.news.entry(settlement.lease.workspace.clone()).or_default().tell(settlement, settled);
    }

    /// Whether a link is not known to be its entity's.
    fn is_elsewhere(&self, link: &Link) -> bool {
        link.rev > 0 && self.names.get(&name(link)) != Some(&link.entity)
    }
}

fn name(link: &Link) -> Name {
    (link.workspace.clone(), link.system, link.kind, link.id.clone())
}

/// A look-up that is under way; it may be given up at any moment.
struct Look<'a> {
    store: &'a Cached,
    entity: EntityId,
    found: Option<Whole>,
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        let now = self.store.clock.now();
        let mut shelf = self.store.shelf();
        let late = shelf.end_look(self.entity);
        if let Some(whole) = self.found.take().filter(|_| !late) {
            shelf.keep(whole, now);
        }
    }
}

/// A settlement that is being written.
struct Writing<'a> {
    store: &'a Cached,
    settlement: &'a Settlement,
    entities: BTreeSet<EntityId>,
    ended: bool,
}

impl<'a> Writing<'a> {
    fn begin(store: &'a Cached, settlement: &'a Settlement) -> Self {
        let mut shelf = store.shelf();
        let rows = settlement.entities.iter().map(|entity| entity.id);
        let links = settlement.links.iter().map(|link| link.entity);
        let entities: BTreeSet<EntityId> =
            rows.chain(links).chain(settlement.mirrors.iter().map(|mirror| mirror.entity)).collect();
        for id in &entities {
            shelf.begin_write(*id);
        }
        drop(shelf);
        Self { store, settlement, entities, ended: false }
    }

    fn end(mut self, settled: Settled) {
        let now = self.store.clock.now();
        let mut shelf = self.store.shelf();
        let done = settled == Settled::Done;
        if done {
            shelf.forget_former(&self.settlement.links);
        }
        for id in &self.entities {
            let before = shelf.take(*id);
            if done && let Some(whole) = after(*id, before, self.settlement) {
                shelf.keep(whole, now);
            }
        }
        // A child may have become this contact's with the same settlement.
        if done {
            shelf.forget_released(&self.settlement.release);
            shelf.writes.add(&self.settlement.attempts);
        }
        shelf.tell(self.settlement, Some(settled));
        self.ended = true;
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let until = self.store.clock.now() + UNSURE;
        let mut shelf = self.store.shelf();
        for id in &self.entities {
            shelf.end_write(*id);
        }
        if !self.ended {
            let workspace = &self.settlement.lease.workspace;
            shelf.forget(workspace);
            shelf.unsure.insert(workspace.clone(), until);
            shelf.tell(self.settlement, None);
        }
    }
}

/// An entity as a settlement left it; `None`: that depends on what else is stored.
fn after(id: EntityId, before: Option<Whole>, settlement: &Settlement) -> Option<Whole> {
    let row = settlement.entities.iter().find(|entity| entity.id == id);
    let made =
        || row.filter(|row| row.rev == 0).map(|row| Whole { entity: row.clone(), links: vec![], mirrors: vec![] });
    let mut whole = before.or_else(made)?;
    if let Some(row) = row {
        whole.entity.rev = next(whole.entity.rev, row.rev)?;
        whole.entity = Entity { rev: whole.entity.rev, ..row.clone() };
    }
    for link in settlement.links.iter().filter(|link| link.entity == id) {
        let known = whole.links.iter().position(|known| name(known) == name(link)).map(|at| whole.links.remove(at));
        let rev = next(known.map_or(link.rev, |known| known.rev), link.rev)?;
        whole.links.push(Link { rev, ..link.clone() });
    }
    for mirror in settlement.mirrors.iter().filter(|mirror| mirror.entity == id) {
        if mirror.state == MirrorState::Waiting {
            // It is due at once if its parent came in between.
            return None;
        }
        let known = whole.mirrors.iter().position(|known| known.system == mirror.system);
        let known = known.map(|at| whole.mirrors.remove(at));
        let rev = next(known.map_or(0, |known| known.rev), mirror.rev)?;
        whole.mirrors.push(Mirror { rev, ..mirror.clone() });
    }
    whole.links.sort_by(|one, other| (one.system.word(), &one.id).cmp(&(other.system.word(), &other.id)));
    whole.mirrors.sort_by_key(|mirror| mirror.system.word());
    Some(whole)
}

/// The revision that follows, if what is kept is what was written over.
fn next(kept: i64, written: i64) -> Option<i64> {
    (kept == written).then_some(written + 1)
}

impl Cached {
    /// Remembers what is looked up and written there.
    pub fn new(rows: Arc<dyn Rows>, clock: Arc<dyn Clock>) -> Self {
        Self { rows, clock, shelf: Mutex::default() }
    }

    /// What follows is done under this lease. What is known under an older one may no longer be so.
    pub fn under(&self, lease: &Lease) {
        let mut shelf = self.shelf();
        if shelf.fences.get(&lease.workspace).is_none_or(|fence| *fence < lease.fence) {
            shelf.fences.insert(lease.workspace.clone(), lease.fence);
            shelf.forget(&lease.workspace);
        }
    }

    /// What became due in a workspace since this was last asked.
    pub fn news(&self, workspace: &str) -> News {
        self.shelf().news.remove(workspace).unwrap_or_default()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Settling for Cached {
    async fn settle(&self, settlement: &Settlement) -> Result<Settled> {
        let writing = Writing::begin(self, settlement);
        let settled = self.rows.settle(settlement).await?;
        writing.end(settled);
        Ok(settled)
    }
}

#[async_trait]
impl Entities for Cached {
    async fn whole(&self, entity: EntityId) -> Result<Option<Whole>> {
        {
            let mut shelf = self.shelf();
            if let Some(whole) = shelf.look(entity) {
                return Ok(Some(whole.clone()));
            }
            shelf.begin_look(entity);
        }
        let mut look = Look { store: self, entity, found: None };
        look.found = self.rows.whole(entity).await?;
        Ok(look.found.clone())
    }

    async fn link(&self, workspace: &str, system: System, kind: Kind, id: &ExternalId) -> Result<Option<Link>> {
        let wanted = (workspace.to_owned(), system, kind, id.clone());
        {
            let mut shelf = self.shelf();
            if let Some(entity) = shelf.names.get(&wanted).copied()
                && let Some(whole) = shelf.look(entity)
            {
                return Ok(whole.links.iter().find(|link| name(link) == wanted).cloned());
            }
        }
        self.rows.link(workspace, system, kind, id).await
    }

    async fn with_keys(&self, workspace: &str, kind: Kind, keys: &Keys) -> Result<Vec<EntityId>> {
        self.rows.with_keys(workspace, kind, keys).await
    }

    async fn children(&self, parent: EntityId, kind: Option<Kind>) -> Result<Vec<EntityId>> {
        self.rows.children(parent, kind).await
    }

    async fn remains(&self, parent: EntityId) -> Result<Vec<EntityId>> {
        self.rows.remains(parent).await
    }

    async fn entities(&self, workspace: &str, after: Option<EntityId>, limit: u32) -> Result<Vec<EntityId>> {
        self.rows.entities(workspace, after, limit).await
    }

    async fn live_links(&self, workspace: &str, system: System, kind: Kind) -> Result<Vec<Link>> {
        self.rows.live_links(workspace, system, kind).await
    }

    async fn links_within(&self, workspace: &str, system: System, outer: &ExternalId) -> Result<Vec<Link>> {
        self.rows.links_within(workspace, system, outer).await
    }

    async fn open_intents(&self, workspace: &str, system: System, kind: Kind) -> Result<Vec<EntityId>> {
        self.rows.open_intents(workspace, system, kind).await
    }

    async fn apart(&self, workspace: &str, entity: EntityId) -> Result<BTreeSet<EntityId>> {
        self.rows.apart(workspace, entity).await
    }
}

#[async_trait]
impl Mirrors for Cached {
    async fn due(&self, workspace: &str, now: Millis, limit: u32) -> Result<Vec<Mirror>> {
        self.rows.due(workspace, now, limit).await
    }

    async fn in_state(&self, workspace: &str, state: MirrorState, limit: u32) -> Result<Vec<Mirror>> {
        self.rows.in_state(workspace, state, limit).await
    }

    async fn writes_since(&self, entity: EntityId, system: System, since: Millis) -> Result<Vec<Millis>> {
        let known = self.shelf().writes.since(entity, system, since);
        if let Some(writes) = known {
            return Ok(writes);
        }
        let writes = self.rows.writes_since(entity, system, since).await?;
        self.shelf().writes.keep(entity, system, since, &writes);
        Ok(writes)
    }

    async fn actions_since(&self, workspace: &str, system: System, action: Action, since: Millis) -> Result<u32> {
        self.rows.actions_since(workspace, system, action, since).await
    }
}

#[cfg(test)]
mod tests;
