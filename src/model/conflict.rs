//! Conflicts: values that lost, with both sides, the evidence, and what became of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ChangeId, EntityId, ExternalId, Field, Stamp, System, Value, words};
use crate::clock::Millis;

/// A value that lost, with both sides: what deciding says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The field.
    pub field: Field,
    /// The system whose value it was, or that overwrote it.
    pub system: System,
    /// What lost.
    pub lost: Value,
    /// Its stamp.
    pub lost_stamp: Stamp,
    /// What won.
    pub won: Value,
    /// Its stamp.
    pub won_stamp: Stamp,
    /// The rule that decided, as a short word: `newer`, `overwritten_unseen`, `linking`, `deleted_unseen`, `guest`,
    /// `merged`, `restored`, or the field's rule where that decided against time ([`FieldRule`](super::FieldRule));
    /// `hold`: nobody decided yet.
    pub rule: String,
}

/// The rule of what lost when an object was linked with an entity that was there before.
pub const LINKING: &str = "linking";
/// The rule of what lost when two entities became one.
pub const MERGED: &str = "merged";
/// The rule of what a restored value took the place of.
pub const RESTORED: &str = "restored";

impl Conflict {
    /// Whether it is one of several that are told as one report.
    pub fn is_reported(&self) -> bool {
        self.rule == LINKING || self.rule == MERGED
    }
}

words! {
    /// What kind of observation showed that a value lost.
    ShownBy {
        /// A read in the lane.
        Read = "read",
        /// A payload with the object's own last-updated, newer than all known.
        Versioned = "versioned",
        /// A payload that proves nothing by itself, and that no read confirmed.
        Claim = "claim",
        /// The answer to a write of ours.
        Answer = "answer",
        /// What an operator or a rule wanted.
        Correction = "correction",
    }
}

words! {
    /// What became of a conflict.
    ConflictState {
        /// It waits for a person, or for nobody.
        Open = "open",
        /// What lost was put back.
        Restored = "restored",
        /// A person let it be.
        Dismissed = "dismissed",
    }
}

/// The number of a conflict: rises with each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConflictId(pub i64);

impl fmt::Display for ConflictId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ConflictId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What showed that a value lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// The external object.
    pub object: Option<ExternalId>,
    /// What the system was known to hold before.
    pub base: Option<Value>,
    /// The kind of observation.
    pub shown_by: Option<ShownBy>,
}

/// A conflict on its way to being kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConflict {
    /// The entity.
    pub entity: EntityId,
    /// The change it lost in.
    pub change: Option<ChangeId>,
    /// Both sides.
    pub conflict: Conflict,
    /// The evidence.
    pub proof: Proof,
}

impl NewConflict {
    /// One without evidence.
    pub fn bare(entity: EntityId, change: Option<ChangeId>, conflict: Conflict) -> Self {
        Self { entity, change, conflict, proof: Proof::default() }
    }
}

/// A conflict that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptConflict {
    /// Its number.
    pub id: ConflictId,
    /// The first one of its report: those that lost when one object was linked, or two entities became one. Of one that
    /// stands alone, itself.
    pub report: ConflictId,
    /// The workspace.
    pub workspace: String,
    /// What was said of it.
    pub told: NewConflict,
    /// When it was found.
    pub at: Millis,
    /// What became of it.
    pub state: ConflictState,
    /// When that was, and who did it.
    pub closed: Option<(Millis, String)>,
}

/// The end of an open conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// Which one.
    pub id: ConflictId,
    /// What became of it.
    pub state: ConflictState,
    /// Who did it.
    pub by: String,
}
