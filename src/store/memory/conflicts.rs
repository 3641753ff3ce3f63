//! Conflicts, and pairs that are never to be matched.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Memory, Tables};
use crate::clock::Millis;
use crate::model::{Closing, ConflictId, ConflictState, EntityId, ExternalId, KeptConflict, NewConflict, System};
use crate::store::{Conflicts, Result, Settlement, Sought};

/// What is told as one report.
type Report = (EntityId, System, Option<ExternalId>, String);

impl Tables {
    /// What a settlement says of conflicts and pairs.
    pub(super) fn keep_conflicts(&mut self, s: &Settlement) {
        let mut reports: BTreeMap<Report, ConflictId> = BTreeMap::new();
        for told in &s.conflicts {
            if self.conflicts.iter().any(|kept| is_same(&kept.told, told)) {
                continue;
            }
            let id = ConflictId(self.conflicts.len() as i64 + 1);
            let conflict = &told.conflict;
            let report = (told.entity, conflict.system, told.proof.object.clone(), conflict.rule.clone());
            let report = if conflict.is_reported() { *reports.entry(report).or_insert(id) } else { id };
            self.conflicts.push(KeptConflict {
                id,
                report,
                workspace: s.lease.workspace.clone(),
                told: told.clone(),
                at: s.now,
                state: ConflictState::Open,
                closed: None,
            });
        }
        for closing in &s.closings {
            self.end(closing, s.now);
        }
        for (id, entity) in &s.handed {
            self.conflicts.iter_mut().filter(|kept| kept.id == *id).for_each(|kept| kept.told.entity = *entity);
        }
        self.apart.extend(s.apart.iter().map(|(one, other)| (*one.min(other), *one.max(other))));
    }

    fn end(&mut self, closing: &Closing, now: Millis) -> bool {
        let open = |kept: &&mut KeptConflict| kept.id == closing.id && kept.state == ConflictState::Open;
        let Some(kept) = self.conflicts.iter_mut().find(open) else { return false };
        (kept.state, kept.closed) = (closing.state, Some((now, closing.by.clone())));
        true
    }
}

fn is_same(kept: &NewConflict, told: &NewConflict) -> bool {
    let said = |one: &NewConflict| {
        let conflict = one.conflict.clone();
        (one.entity, conflict.field, conflict.system, conflict.lost, conflict.lost_stamp)
    };
    said(kept) == said(told)
}

#[async_trait]
impl Conflicts for Memory {
    async fn conflict(&self, id: ConflictId) -> Result<Option<KeptConflict>> {
        Ok(self.tables().await.conflicts.iter().find(|kept| kept.id == id).cloned())
    }

    async fn kept(&self, wanted: &Sought, after: ConflictId, limit: u32) -> Result<Vec<KeptConflict>> {
        let fits = |kept: &&KeptConflict| {
            kept.id > after
                && wanted.workspace.as_ref().is_none_or(|workspace| *workspace == kept.workspace)
                && wanted.entity.is_none_or(|entity| entity == kept.told.entity)
                && wanted.report.is_none_or(|report| report == kept.report)
                && wanted.state.is_none_or(|state| state == kept.state)
        };
        Ok(self.tables().await.conflicts.iter().filter(fits).take(limit as usize).cloned().collect())
    }

    async fn close_conflict(&self, closing: &Closing, now: Millis) -> Result<bool> {
        Ok(self.tables().await.end(closing, now))
    }
}
