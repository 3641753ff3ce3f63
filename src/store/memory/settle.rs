//! Writes a settlement: all of it, or nothing. Everything that can refuse it is looked at before anything is written.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{LinkKey, Looked, Memory, Tables};
use crate::model::{Appended, ChangeId, Entity, EntityId, Link, Mirror, MirrorState, System, VerdictRow};
use crate::store::{Result, Settled, Settlement, Settling};

#[async_trait]
impl Settling for Memory {
    async fn settle(&self, settlement: &Settlement) -> Result<Settled> {
        settlement.own_workspace_only()?;
        {
            let mut tables = self.tables().await;
            if !tables.is_held(settlement) {
                return Ok(Settled::LeaseLost);
            }
            if !tables.is_current(settlement) {
                return Ok(Settled::Moved);
            }
            tables.write(settlement);
        }
        self.pause().await;
        Ok(Settled::Done)
    }
}

pub(super) fn key_of(link: &Link) -> LinkKey {
    (link.workspace.clone(), link.system, link.kind, link.id.clone())
}

impl Tables {
    /// Whether the lease is still ours.
    fn is_held(&self, s: &Settlement) -> bool {
        let held = self.leases.get(&s.lease.workspace);
        held.is_some_and(|held| held.owner == s.lease.owner && held.fence == s.lease.fence)
    }

    /// Whether every row is as it was when this was worked out.
    fn is_current(&self, s: &Settlement) -> bool {
        let workspace = &s.lease.workspace;
        let entity = |one: &Entity| self.entities.get(&one.id).map_or(0, |held| held.rev) == one.rev;
        let link = |one: &Link| self.links.get(&key_of(one)).map_or(0, |held| held.rev) == one.rev;
        let mirror = |one: &Mirror| self.mirrors.get(&(one.entity, one.system)).map_or(0, |held| held.rev) == one.rev;
        let asked = s.verdicts.iter().map(|verdict| verdict.change);
        let asked = asked.chain(s.waits.iter().map(|(change, ..)| *change));
        let mut asked = asked.chain(s.later.iter().map(|(change, _)| *change));
        s.entities.iter().all(entity)
            && s.links.iter().all(link)
            && s.mirrors.iter().all(mirror)
            && self.one_live_each(s)
            && asked.all(|change| self.inbox.get(&change).is_some_and(|row| row.workspace == *workspace))
    }

    /// Whether no entity would have two live links in one system.
    fn one_live_each(&self, s: &Settlement) -> bool {
        let written: BTreeSet<LinkKey> = s.links.iter().map(key_of).collect();
        let mut live: BTreeSet<(EntityId, System)> = BTreeSet::new();
        let entities: BTreeSet<EntityId> = s.links.iter().map(|link| link.entity).collect();
        let kept = entities.iter().filter_map(|entity| self.links_of.get(entity)).flatten();
        let kept = kept.filter(|key| !written.contains(*key)).filter_map(|key| self.links.get(key));
        kept.chain(&s.links).filter(|link| link.is_live()).all(|link| live.insert((link.entity, link.system)))
    }

    fn write(&mut self, s: &Settlement) {
        for entity in &s.entities {
            self.write_entity(entity);
        }
        for link in &s.links {
            self.write_link(link);
        }
        for mirror in &s.mirrors {
            let row = Mirror { rev: mirror.rev + 1, ..mirror.clone() };
            self.mirrors.insert((mirror.entity, mirror.system), row);
        }
        self.write_changes(s);
        self.keep_conflicts(s);
        for attempt in &s.attempts {
            self.attempts_of.entry((attempt.entity, attempt.system)).or_default().push(self.attempts.len());
            self.attempts.push(attempt.clone());
        }
        for subject in &s.settled {
            self.close(&s.lease.workspace, subject);
        }
        for review in &s.reviews {
            let same = |one: &Looked| {
                !one.closed && (&one.review.workspace, &one.review.subject) == (&review.workspace, &review.subject)
            };
            if !self.reviews.iter().any(same) {
                self.reviews.push(Looked { review: review.clone(), closed: false });
            }
        }
        self.release(s);
    }

    fn write_entity(&mut self, entity: &Entity) {
        let former = self.entities.insert(entity.id, Entity { rev: entity.rev + 1, ..entity.clone() });
        if let Some(parent) = former.and_then(|former| former.parent) {
            self.children.entry(parent).or_default().remove(&entity.id);
        }
        if let Some(parent) = entity.parent {
            self.children.entry(parent).or_default().insert(entity.id);
        }
    }

    fn write_link(&mut self, link: &Link) {
        let key = key_of(link);
        let former = self.links.insert(key.clone(), Link { rev: link.rev + 1, ..link.clone() });
        if let Some(former) = former {
            self.links_of.entry(former.entity).or_default().remove(&key);
        }
        self.links_of.entry(link.entity).or_default().insert(key);
    }

    fn write_changes(&mut self, s: &Settlement) {
        let workspace = || Some(s.lease.workspace.clone());
        for (change, verdict) in &s.readings {
            if let Appended::New(id) = self.insert(change) {
                self.verdicts.insert(id, (workspace(), VerdictRow { change: id, ..verdict.clone() }));
            }
        }
        for verdict in &s.verdicts {
            self.inbox.remove(&verdict.change);
            self.verdicts.insert(verdict.change, (workspace(), verdict.clone()));
        }
        for (change, entity, system, doubt) in &s.waits {
            self.row(*change, |row| row.on = Some((*entity, *system, *doubt)));
        }
        for (change, due) in &s.later {
            self.row(*change, |row| (row.due, row.on) = (*due, None));
        }
    }

    fn row(&mut self, change: ChangeId, edit: impl FnOnce(&mut super::Undecided)) {
        if let Some(row) = self.inbox.get_mut(&change) {
            edit(row);
        }
    }

    pub(super) fn close(&mut self, workspace: &str, subject: &str) -> bool {
        let mut open = self.reviews.iter_mut();
        let open = open.find(|one| !one.closed && one.review.workspace == workspace && one.review.subject == subject);
        open.map(|one| one.closed = true).is_some()
    }

    /// Makes mirrors due that wait for a contact that is there.
    fn release(&mut self, s: &Settlement) {
        for mirror in s.mirrors.iter().filter(|mirror| mirror.state == MirrorState::Waiting) {
            let parent = self.entities.get(&mirror.entity).and_then(|entity| entity.parent);
            let mut links = parent.and_then(|parent| self.links_of.get(&parent)).into_iter().flatten();
            let live =
                |key: &LinkKey| self.links.get(key).is_some_and(|link| link.system == mirror.system && link.is_live());
            if links.any(live) {
                self.wake(mirror.entity, mirror.system, s, false);
            }
        }
        for (contact, system) in &s.release {
            for child in self.children.get(contact).cloned().unwrap_or_default() {
                self.wake(child, *system, s, true);
            }
        }
    }

    fn wake(&mut self, entity: EntityId, system: System, s: &Settlement, moves: bool) {
        let row = self.mirrors.get_mut(&(entity, system));
        if let Some(row) = row.filter(|row| row.state == MirrorState::Waiting) {
            (row.state, row.due, row.reason) = (MirrorState::Due, s.now, None);
            row.rev += i64::from(moves);
        }
    }
}
