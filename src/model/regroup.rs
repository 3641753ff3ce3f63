//! Orders of a person about who is who. The body of their changes.

use serde::{Deserialize, Serialize};

use super::{ConflictId, EntityId, System};

/// What a person says of two entities, or of one that is two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub enum Regroup {
    /// The first is the second: it merges into that.
    Match {
        /// The one that goes.
        entity: EntityId,
        /// The one that stays.
        with: EntityId,
    },
    /// They are two, and never to be matched again.
    Apart {
        /// One.
        entity: EntityId,
        /// The other.
        other: EntityId,
    },
    /// What one system holds is another one: it leaves, and becomes an entity of its own.
    Split {
        /// What it leaves.
        entity: EntityId,
        /// The system.
        system: System,
        /// What it becomes.
        into: EntityId,
        /// Values of its own that lost and go with it.
        #[serde(default)]
        conflicts: Vec<ConflictId>,
    },
}

impl Regroup {
    /// The label of its change.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Match { .. } => "match",
            Self::Apart { .. } => "apart",
            Self::Split { .. } => "split",
        }
    }

    /// Whether a change of this label carries one.
    pub fn is_label(label: &str) -> bool {
        ["match", "apart", "split"].contains(&label)
    }
}
