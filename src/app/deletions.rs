//! What an operator answers to a deletion: told as a change, which goes the way of every change.

use serde_json::{Value as Json, json};

use super::Running;
use crate::http::{Deletion, OpsError};
use crate::model::{Answer, DeletionAnswer, EntityId, Link, LinkState, NewChange, Whole};
use crate::store::present;

impl Running {
    /// Tells an answer.
    pub(super) async fn answered(&self, workspace: &str, order: &Deletion) -> Result<Json, OpsError> {
        if !self.serves(workspace) {
            return Err(OpsError::UnknownWorkspace(workspace.to_owned()));
        }
        let whole = self.deleted(workspace, order).await?;
        let (entity, now) = (whole.entity.id, self.clock.now());
        let said = DeletionAnswer { entity, system: order.system, answer: order.answer };
        let key = format!("operator/deletion/{}", self.ids.uuid(now));
        let (label, kind) = (DeletionAnswer::LABEL, whole.entity.kind);
        let change = NewChange::from_operator(label, key, workspace, order.system, kind, &said, now);
        self.store.append(&[change.map_err(OpsError::failed)?]).await.map_err(OpsError::failed)?;
        self.wake();
        Ok(json!({ "workspace": workspace, "entity": entity, "system": order.system, "answer": order.answer }))
    }

    /// The one entity that is named, and was deleted in the system.
    async fn deleted(&self, workspace: &str, order: &Deletion) -> Result<Whole, OpsError> {
        let mut found: Vec<Whole> = Vec::new();
        for id in self.store.named(&order.entity).await.map_err(OpsError::failed)? {
            let whole = present(self.store.as_ref(), id).await.map_err(OpsError::failed)?;
            let fits = |whole: &Whole| whole.entity.workspace == workspace && is_answerable(whole, order);
            let is_new = |whole: &Whole| found.iter().all(|known| known.entity.id != whole.entity.id);
            found.extend(whole.filter(|whole| fits(whole) && is_new(whole)));
        }
        if found.len() > 1 {
            let ids: Vec<EntityId> = found.iter().map(|whole| whole.entity.id).collect();
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            return Err(OpsError::Conflict(format!("several are named so; name one by its id: {}", ids.join(", "))));
        }
        let (system, answer) = (order.system, order.answer);
        let none =
            || OpsError::Conflict(format!("nothing of that name was deleted in {system} that `{answer}` could answer"));
        found.pop().ok_or_else(none)
    }
}

/// Whether the answer could mean something for it.
fn is_answerable(whole: &Whole, order: &Deletion) -> bool {
    let is_tomb = whole.links.iter().any(|link| link.system == order.system && link.state == LinkState::Gone);
    let is_somewhere = whole.links.iter().any(Link::is_live);
    (is_tomb || !whole.entity.is_live()) && (is_somewhere || order.answer == Answer::Remake)
}
