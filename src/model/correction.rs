//! Corrections: what a person at Lockstep, or a rule, wants to be true of one of our own entities. The body of their changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ConflictId, EntityId, Field, Fields, Kind, Stamp};

/// What is to be true of an entity: as an observation of an object in a system, but of the entity itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// What it is.
    pub kind: Kind,
    /// Which one; made if there is none yet.
    pub entity: EntityId,
    /// The contact that one yet to be made belongs to.
    #[serde(default)]
    pub parent: Option<EntityId>,
    /// What is to be true, in canonical form.
    pub fields: Fields,
    /// The stamps of the values that the author saw and means to replace; a field that is left out was not looked at. An
    /// edit is later than what its author saw, so these never win over it.
    #[serde(default)]
    pub saw: BTreeMap<Field, Stamp>,
    /// The conflicts whose losers these values are: what they replace becomes a conflict in turn.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restores: BTreeMap<Field, ConflictId>,
}
