//! What an operator says of a deletion that waits for a person, or of a tombstone. The body of the change that says it.

use serde::{Deserialize, Serialize};

use super::{EntityId, System, words};

words! {
    /// What a deletion in one system is to mean.
    Answer {
        /// It is deleted in the other systems too.
        Delete = "delete",
        /// It stays where it still is, and is not made again where it was deleted.
        Keep = "keep",
        /// It stays where it still is, and is made again where it was deleted.
        Remake = "remake",
    }
}

/// An operator's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionAnswer {
    /// What was deleted.
    pub entity: EntityId,
    /// Where.
    pub system: System,
    /// What that is to mean.
    pub answer: Answer,
}

impl DeletionAnswer {
    /// The label of the change that carries one.
    pub const LABEL: &str = "deletion";
}
