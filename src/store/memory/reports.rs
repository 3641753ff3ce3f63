//! What is shown to people.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::Memory;
use crate::clock::Millis;
use crate::model::{Attempt, Change, Conflict, EntityId, Finding, NewChange, Origin, Outcome, VerdictRow, normal};
use crate::store::{Keys, Reports, Result, Review};

#[async_trait]
impl Reports for Memory {
    async fn named(&self, text: &str) -> Result<Vec<EntityId>> {
        let text = text.trim();
        let key = |value: crate::model::Value| value.as_text().map(ToOwned::to_owned);
        let (email, phone) = (key(normal::email(text)), key(normal::phone(text, None)));
        let tables = self.tables().await;
        let has = |id: &EntityId| {
            let keys = tables.entities.get(id).map(|entity| Keys::of(|field| entity.value(field))).unwrap_or_default();
            id.to_string() == text.to_lowercase()
                || (email.is_some() && keys.email == email)
                || (phone.is_some() && keys.phone == phone)
        };
        let mut found: BTreeSet<EntityId> = tables.entities.keys().copied().filter(has).collect();
        found.extend(tables.links.values().filter(|link| link.id.as_str() == text).map(|link| link.entity));
        Ok(found.into_iter().collect())
    }

    async fn story(&self, entity: EntityId) -> Result<Vec<(Change, VerdictRow)>> {
        let tables = self.tables().await;
        let own = tables.verdicts.values().filter(|(_, verdict)| verdict.entity == Some(entity));
        let without_body =
            |said: &NewChange| NewChange { headers: BTreeMap::new(), body: bytes::Bytes::new(), ..said.clone() };
        let told = |(_, verdict): &(Option<String>, VerdictRow)| {
            let said = without_body(tables.said(verdict.change)?);
            Some((Change { id: verdict.change, said }, verdict.clone()))
        };
        let mut story: Vec<(Change, VerdictRow)> = own.filter_map(told).collect();
        story.sort_by_key(|(change, _)| (change.said.received, change.id));
        Ok(story)
    }

    async fn attempts(&self, entity: EntityId) -> Result<Vec<Attempt>> {
        let mut own: Vec<Attempt> =
            self.tables().await.attempts.iter().filter(|one| one.entity == entity).cloned().collect();
        own.sort_by_key(|one| one.at);
        Ok(own)
    }

    async fn attempts_since(&self, workspace: &str, since: Millis, limit: u32) -> Result<Vec<Attempt>> {
        let tables = self.tables().await;
        let own = tables.attempts.iter().filter(|one| one.workspace == workspace && one.at >= since);
        let mut own: Vec<Attempt> = own.cloned().collect();
        own.sort_by_key(|one| one.at);
        own.truncate(limit as usize);
        Ok(own)
    }

    async fn conflicts(&self, workspace: &str, entity: Option<EntityId>) -> Result<Vec<(EntityId, Conflict)>> {
        let tables = self.tables().await;
        let own = tables.conflicts.iter().filter(|one| one.workspace == workspace);
        let own = own.map(|one| &one.told).filter(|told| entity.is_none_or(|id| id == told.entity));
        Ok(own.map(|told| (told.entity, told.conflict.clone())).collect())
    }

    async fn reviews(&self, workspace: &str) -> Result<Vec<Review>> {
        let tables = self.tables().await;
        let open = tables.reviews.iter().filter(|one| !one.closed && one.review.workspace == workspace);
        let mut open: Vec<Review> = open.map(|one| one.review.clone()).collect();
        open.sort_by_key(|review| review.at);
        Ok(open)
    }

    async fn close_review(&self, workspace: &str, subject: &str, _now: Millis) -> Result<bool> {
        Ok(self.tables().await.close(workspace, subject))
    }

    async fn outcomes(&self, workspace: &str) -> Result<BTreeMap<Outcome, u64>> {
        let tables = self.tables().await;
        let own = tables.verdicts.values().filter(|(at, _)| at.as_deref() == Some(workspace));
        Ok(counted(own.map(|(_, verdict)| verdict.outcome)))
    }

    async fn origins(&self, workspace: &str) -> Result<BTreeMap<Origin, u64>> {
        let tables = self.tables().await;
        let own = tables.log.values().filter(|said| said.workspace.as_deref() == Some(workspace));
        Ok(counted(own.map(|said| said.origin)))
    }

    async fn findings(&self, workspace: &str) -> Result<BTreeMap<Finding, u64>> {
        let tables = self.tables().await;
        let own = tables.verdicts.values().filter(|(at, _)| at.as_deref() == Some(workspace));
        Ok(counted(own.flat_map(|(_, verdict)| verdict.findings.values().copied())))
    }
}

fn counted<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    all.fold(BTreeMap::new(), |mut counts, one| {
        *counts.entry(one).or_default() += 1;
        counts
    })
}
