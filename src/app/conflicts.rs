//! Undoing decisions: what lost is listed and put back, and people say who is who.
//!
//! In: an operator's order. Out: one change of origin `operator`, which goes the way of every change: it is explained,
//! mirrored, and can be undone. Dismissing changes nothing but the conflict's own row.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use super::Running;
use crate::clock::Millis;
use crate::http::{DecisionError, Decisions, Listing, Restore, Who};
use crate::model::{
    Appended, Author, Closing, ConflictId, ConflictState, Correction, EntityId, ExternalId, KeptConflict, NewChange,
    Regroup, Stamp, System, Value, Whole,
};
use crate::resolve::merge;
use crate::store::{Sought, present};

/// Conflicts on a page where nobody says how many, and at most.
const PAGE: u32 = 100;
const MOST: u32 = 1_000;
/// Who decides at the ops listener: whoever has its token.
const OPERATOR: &str = "operator";

type Decided<T> = Result<T, DecisionError>;

/// One conflict for people, with both values.
pub fn shown(one: &KeptConflict) -> Json {
    let (told, conflict) = (&one.told, &one.told.conflict);
    let side = |value: &Value, stamp: Stamp| json!({ "value": value, "by": stamp.author, "at": stamp.t.rfc3339() });
    json!({
        "id": one.id, "report": one.report, "workspace": one.workspace, "entity": told.entity, "field": conflict.field,
        "system": conflict.system, "object": told.proof.object, "lost": side(&conflict.lost, conflict.lost_stamp),
        "won": side(&conflict.won, conflict.won_stamp), "held_before": told.proof.base, "rule": conflict.rule,
        "shown_by": told.proof.shown_by, "change": told.change, "at": one.at.rfc3339(), "state": one.state,
        "closed": one.closed.as_ref().map(|(at, by)| json!({ "at": at.rfc3339(), "by": by })),
    })
}

#[async_trait]
impl Decisions for Arc<Running> {
    async fn conflicts(&self, listing: Listing) -> Decided<Json> {
        if let Some(unknown) = listing.workspace.as_ref().filter(|name| !self.serves(name)) {
            return Err(DecisionError::Unknown("workspace", unknown.clone()));
        }
        let limit = listing.limit.unwrap_or(PAGE).clamp(1, MOST);
        let state = Some(listing.state.unwrap_or(ConflictState::Open));
        let wanted = Sought { workspace: listing.workspace, entity: listing.entity, report: None, state };
        let after = ConflictId(listing.after.unwrap_or(0));
        let page = self.store.kept(&wanted, after, limit).await.map_err(DecisionError::failed)?;
        let next = page.last().filter(|_| page.len() == limit as usize).map(|last| last.id);
        Ok(json!({ "conflicts": page.iter().map(shown).collect::<Vec<_>>(), "next": next }))
    }

    async fn restore(&self, id: ConflictId, restore: Restore) -> Decided<Json> {
        // The entity is read first: where the conflict is open after that, nothing of it had been put back in what was read, and
        // the same order at the same time is the same row.
        let whole = self.live(self.kept_conflict(id).await?.told.entity).await?;
        let one = self.kept_conflict(id).await?;
        match one.state {
            ConflictState::Open => {}
            ConflictState::Restored => return Ok(json!({ "conflict": id, "state": one.state })),
            ConflictState::Dismissed => return Err(DecisionError::Refused(format!("conflict {id} was dismissed"))),
        }
        let all = if restore.report { self.report(&one).await? } else { vec![one] };
        let overtaken = overtaken(&whole, &all);
        if !restore.anyway && !overtaken.is_empty() {
            let why = format!(
                "newer edits stand where this would be put back: {}; to put it over them say so (`--anyway`)",
                overtaken.join(", ")
            );
            return Err(DecisionError::Overtaken(why));
        }
        let change = restoring(&whole, &all, self.clock.now())?;
        let number = self.order(change).await?;
        let ids: Vec<ConflictId> = all.iter().map(|one| one.id).collect();
        Ok(json!({ "change": number, "entity": whole.entity.id, "conflicts": ids }))
    }

    async fn dismiss(&self, id: ConflictId) -> Decided<Json> {
        let one = self.kept_conflict(id).await?;
        let closing = Closing { id, state: ConflictState::Dismissed, by: OPERATOR.to_owned() };
        let closed = self.store.close_conflict(&closing, self.clock.now()).await.map_err(DecisionError::failed)?;
        if !closed && one.state != ConflictState::Dismissed {
            return Err(DecisionError::Refused(format!("conflict {id} was restored")));
        }
        Ok(json!({ "conflict": id, "state": ConflictState::Dismissed }))
    }

    async fn regroup(&self, entity: EntityId, who: Who) -> Decided<Json> {
        let whole = self.live(entity).await?;
        let (order, system, key, waits) = match who {
            Who::Is(other) => {
                let with = self.counterpart(&whole, other).await?;
                let waits = merge::obstacle(&whole, &with);
                (Regroup::Match { entity: whole.entity.id, with: with.entity.id }, home(&whole), None, waits)
            }
            Who::IsNot(other) => {
                let other = self.counterpart(&whole, other).await?.entity.id;
                (Regroup::Apart { entity: whole.entity.id, other }, home(&whole), None, None)
            }
            Who::Without(system) => {
                let object = divisible(&whole, system)?;
                let conflicts = self.own_losses(&whole, system).await?;
                let into = EntityId(self.ids.uuid(self.clock.now()));
                (Regroup::Split { entity: whole.entity.id, system, into, conflicts }, system, Some(object), None)
            }
        };
        let now = self.clock.now();
        let key = key.map_or_else(|| self.ids.uuid(now).to_string(), |object| format!("{entity}/{system}/{object}"));
        let (label, one) = (order.label(), &whole.entity);
        let key = format!("operator/{label}/{key}");
        let change = NewChange::from_operator(label, key, &one.workspace, system, one.kind, &order, now);
        let number = self.order(change.map_err(DecisionError::failed)?).await?;
        Ok(json!({ "change": number, "entity": whole.entity.id, "order": order, "waits": waits }))
    }
}

impl Running {
    async fn kept_conflict(&self, id: ConflictId) -> Decided<KeptConflict> {
        let one = self.store.conflict(id).await.map_err(DecisionError::failed)?;
        let one = one.filter(|one| self.serves(&one.workspace));
        one.ok_or_else(|| DecisionError::Unknown("conflict", id.to_string()))
    }

    /// An entity that is there, or the one that it turned out to be.
    async fn live(&self, entity: EntityId) -> Decided<Whole> {
        let whole = present(self.store.as_ref(), entity).await.map_err(DecisionError::failed)?;
        let whole = whole.filter(|whole| self.serves(&whole.entity.workspace));
        let whole = whole.ok_or_else(|| DecisionError::Unknown("entity", entity.to_string()))?;
        if !whole.entity.is_live() {
            return Err(DecisionError::Refused(format!("{entity} was deleted, and deleted stays deleted")));
        }
        Ok(whole)
    }

    /// Another entity that it could be said to be.
    async fn counterpart(&self, whole: &Whole, other: EntityId) -> Decided<Whole> {
        let (one, other) = (&whole.entity, self.live(other).await?);
        let refused = |why: &str| Err(DecisionError::Refused(format!("{} and {} are {why}", one.id, other.entity.id)));
        if one.id == other.entity.id {
            return Err(DecisionError::Refused(format!(
                "they are one already: {}; `lockstep split` takes one system's part off",
                one.id
            )));
        }
        if one.workspace != other.entity.workspace {
            return refused("of two workspaces");
        }
        if one.kind != other.entity.kind {
            return refused("of two kinds");
        }
        Ok(other)
    }

    /// All open conflicts that are told as one report with this one.
    async fn report(&self, one: &KeptConflict) -> Decided<Vec<KeptConflict>> {
        let state = Some(ConflictState::Open);
        let wanted = Sought { report: Some(one.report), state, ..Sought::default() };
        self.store.kept(&wanted, ConflictId(0), MOST).await.map_err(DecisionError::failed)
    }

    /// Values of a system's own that lost: they go with what it holds.
    async fn own_losses(&self, whole: &Whole, system: System) -> Decided<Vec<ConflictId>> {
        let (entity, state) = (Some(whole.entity.id), Some(ConflictState::Open));
        let wanted = Sought { entity, state, ..Sought::default() };
        let kept = self.store.kept(&wanted, ConflictId(0), MOST).await.map_err(DecisionError::failed)?;
        let own = kept.iter().filter(|one| one.told.conflict.lost_stamp.author == Author::from(system));
        Ok(own.map(|one| one.id).collect())
    }

    /// Appends an operator's change; the same one again is the same row.
    async fn order(&self, change: NewChange) -> Decided<Option<i64>> {
        let appended = self.store.append(&[change]).await.map_err(DecisionError::failed)?;
        self.wake();
        Ok(appended.first().map(|row| match row {
            Appended::New(id) | Appended::Duplicate(id) => id.0,
        }))
    }
}

/// The fields that somebody has edited since they were lost, and that do not say the same by now.
fn overtaken(whole: &Whole, all: &[KeptConflict]) -> Vec<String> {
    let newer = |one: &&KeptConflict| {
        let (conflict, entity) = (&one.told.conflict, &whole.entity);
        entity.stamp(&conflict.field) != conflict.won_stamp && *entity.value(&conflict.field) != conflict.lost
    };
    all.iter().filter(newer).map(|one| one.told.conflict.field.to_string()).collect()
}

/// The change that puts them back. Its author has seen what stands there now.
fn restoring(whole: &Whole, all: &[KeptConflict], now: Millis) -> Decided<NewChange> {
    let entity = &whole.entity;
    let mut correction = Correction {
        kind: entity.kind,
        entity: entity.id,
        parent: None,
        fields: BTreeMap::new(),
        saw: BTreeMap::new(),
        restores: BTreeMap::new(),
    };
    let mut key = String::from("operator/restore");
    let mut system = home(whole);
    for one in all {
        let conflict = &one.told.conflict;
        let saw = entity.stamp(&conflict.field);
        correction.fields.insert(conflict.field.clone(), conflict.lost.clone());
        correction.saw.insert(conflict.field.clone(), saw);
        correction.restores.insert(conflict.field.clone(), one.id);
        // Over another edit it is another order. Writing to a String cannot fail.
        let _ = write!(key, "/{}:{}:{}", one.id, saw.t.0, saw.author);
        system = conflict.system;
    }
    NewChange::from_operator("restore", key, &entity.workspace, system, entity.kind, &correction, now)
        .map_err(DecisionError::failed)
}

/// The system that an order about an entity is filed under.
fn home(whole: &Whole) -> System {
    whole.links.iter().find(|link| link.is_live()).map_or(System::Ghl, |link| link.system)
}

/// The object that a system holds, if it can be split off.
fn divisible(whole: &Whole, system: System) -> Decided<ExternalId> {
    let id = whole.entity.id;
    let Some(link) = whole.link(system) else {
        return Err(DecisionError::Refused(format!("{system} does not hold {id}")));
    };
    if whole.links.iter().filter(|link| link.is_live()).count() < 2 {
        return Err(DecisionError::Refused(format!("only {system} holds {id}: there is nothing to split it from")));
    }
    Ok(link.id.clone())
}
