//! The change log and its inbox.

use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;

use super::{Memory, Tables, Undecided};
use crate::clock::Millis;
use crate::model::{
    Appended, Change, ChangeId, EntityId, Mirror, MirrorState, NewChange, Origin, Outcome, Standing, System,
};
use crate::store::{ChangeLog, Result};

impl Tables {
    /// Inserts a change, unless its key is there. As in SQL, one that is not inserted uses up a number all the same.
    pub(super) fn insert(&mut self, change: &NewChange) -> Appended {
        self.numbers += 1;
        if let Some(id) = self.dedup.get(&change.dedup) {
            return Appended::Duplicate(*id);
        }
        let id = ChangeId(self.numbers);
        self.log.insert(id, change.clone());
        self.dedup.insert(change.dedup.clone(), id);
        Appended::New(id)
    }

    /// Appends changes; the unique key decides what is a duplicate.
    pub(super) fn append(&mut self, changes: &[NewChange]) -> Vec<Appended> {
        let mut one = |change: &NewChange| {
            let row = self.insert(change);
            if let Appended::New(id) = row {
                self.place(id, change);
            }
            row
        };
        changes.iter().map(&mut one).collect()
    }

    /// A routed change waits to be decided; any other has its verdict at once.
    fn place(&mut self, id: ChangeId, change: &NewChange) {
        if let Some(verdict) = change.verdict_at_once(id) {
            self.verdicts.insert(id, (change.workspace.clone(), verdict));
        } else {
            let workspace = change.workspace.clone().unwrap_or_default();
            self.inbox.insert(id, Undecided { workspace, due: change.received, on: None });
        }
    }

    pub(super) fn said(&self, id: ChangeId) -> Option<&NewChange> {
        self.log.get(&id)
    }

    fn change(&self, id: ChangeId) -> Option<Change> {
        self.said(id).map(|said| Change { id, said: said.clone() })
    }

    /// The changes of these numbers, in the order in which they came in.
    fn changes<T>(&self, ids: impl Iterator<Item = (ChangeId, T)>) -> Vec<(Change, T)> {
        let mut found: Vec<_> = ids.filter_map(|(id, with)| Some((self.change(id)?, with))).collect();
        found.sort_by_key(|(change, _)| (change.said.received, change.id));
        found
    }
}

impl Memory {
    /// What is left to do, line by line: undecided changes, and mirrors that do not rest.
    pub async fn left(&self) -> Vec<String> {
        let tables = self.tables().await;
        let undecided = tables.inbox.iter().map(|(id, row)| {
            let said = tables.said(*id).map(|said| (said.system, said.label.clone(), said.object.clone()));
            format!("change {id}: {said:?} {row:?}")
        });
        let rests = |mirror: &&Mirror| mirror.state == MirrorState::Idle && !mirror.doubts();
        let mirrors = tables.mirrors.values().filter(|mirror| !rests(mirror)).map(|mirror| format!("{mirror:?}"));
        undecided.chain(mirrors).collect()
    }

    /// Undecided changes of a workspace that wait for a read that nobody is going to make: their mirror neither is due nor waits
    /// for a person.
    pub async fn forgotten(&self, workspace: &str) -> Vec<ChangeId> {
        let tables = self.tables().await;
        let goes_on = |state| matches!(state, MirrorState::Due | MirrorState::Parked | MirrorState::Held);
        let is_forgotten = |row: &Undecided| {
            let mirror = row.on.and_then(|(entity, system, _)| tables.mirrors.get(&(entity, system)));
            row.workspace == workspace && row.on.is_some() && !mirror.is_some_and(|mirror| goes_on(mirror.state))
        };
        tables.inbox.iter().filter(|(_, row)| is_forgotten(row)).map(|(id, _)| *id).collect()
    }

    /// How often each outcome occurred, also of changes that belong to no workspace.
    pub async fn all_outcomes(&self) -> BTreeMap<Outcome, u64> {
        let mut counts = BTreeMap::new();
        for (_, verdict) in self.tables().await.verdicts.values() {
            *counts.entry(verdict.outcome).or_default() += 1;
        }
        counts
    }

    /// The senders' ids of all webhooks that are kept.
    pub async fn said_by_webhooks(&self) -> std::collections::BTreeSet<String> {
        let tables = self.tables().await;
        let said = tables.log.values().filter(|said| said.origin == Origin::Webhook);
        said.filter_map(|said| said.dedup.rsplit('/').next().map(str::to_owned)).collect()
    }
}

#[async_trait]
impl ChangeLog for Memory {
    async fn append(&self, changes: &[NewChange]) -> Result<Vec<Appended>> {
        let appended = self.tables().await.append(changes);
        self.pause().await;
        Ok(appended)
    }

    async fn change(&self, id: ChangeId) -> Result<Option<Change>> {
        Ok(self.tables().await.change(id))
    }

    async fn undecided(&self, workspace: &str, now: Millis, limit: u32) -> Result<Vec<Change>> {
        let tables = self.tables().await;
        let due = |row: &Undecided| row.workspace == workspace && row.on.is_none() && row.due <= now;
        let ids = tables.inbox.iter().filter(|(_, row)| due(row)).map(|(id, _)| (*id, ()));
        Ok(tables.changes(ids).into_iter().map(|(change, ())| change).take(limit as usize).collect())
    }

    async fn waiting(&self, entity: EntityId, system: System) -> Result<Vec<(Change, i64)>> {
        let tables = self.tables().await;
        let doubt = |row: &Undecided| row.on.filter(|(on, there, _)| (*on, *there) == (entity, system));
        let ids = tables.inbox.iter().filter_map(|(id, row)| Some((*id, doubt(row)?.2)));
        Ok(tables.changes(ids))
    }

    async fn told_of_installs(&self, system: System, after: ChangeId, limit: u32) -> Result<Vec<Change>> {
        let tables = self.tables().await;
        let tells = |said: &NewChange| {
            said.system == system
                && matches!(said.label.as_str(), "INSTALL" | "UNINSTALL")
                && said.standing == Standing::NotMirrored
        };
        let later = tables.log.range((Bound::Excluded(after), Bound::Unbounded)).filter(|(_, said)| tells(said));
        Ok(later.take(limit as usize).filter_map(|(id, _)| tables.change(*id)).collect())
    }

    async fn by_standing(&self, standing: Standing, limit: u32) -> Result<Vec<Change>> {
        let tables = self.tables().await;
        let newest = tables.log.iter().rev().filter(|(_, said)| said.standing == standing);
        Ok(newest.take(limit as usize).filter_map(|(id, _)| tables.change(*id)).collect())
    }
}
