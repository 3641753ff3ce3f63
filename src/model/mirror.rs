//! Mirrors: this entity must be brought to this system. One row per (entity, system), so waiting work coalesces. The row is
//! also the lane: all reads and writes of the entity in the system go through it, one call at a time.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{EntityId, ExternalId, Field, Fields, Kind, Stamp, System, words};
use crate::clock::Millis;

words! {
    /// Where a mirror stands.
    MirrorState {
        /// Nothing to do.
        Idle = "idle",
        /// To be worked at its due time.
        Due = "due",
        /// Waits for its parent's mirror in the same system.
        Waiting = "waiting",
        /// Waits for a person. A later edit of the entity makes it due again.
        Parked = "parked",
        /// Held by the brake until a person approves.
        Held = "held",
    }
}

words! {
    /// What is served first where there is not room for all of it: lanes, and calls to a vendor. The first is served first.
    Priority {
        /// Somebody did something just now.
        Live = "live",
        /// That, where the first try failed.
        Retry = "retry",
        /// A listing told of an object that is known.
        Reconcile = "reconcile",
        /// A listing told of an object that was not known.
        Backfill = "backfill",
    }
}

/// A stored intent to create: written before the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The intent's own id; an extension gets it as `Idempotency-Key`.
    pub id: Uuid,
    /// When it was written.
    pub since: Millis,
    /// The create that was sent, as long as its outcome is not known.
    pub sent: Option<super::Sent>,
    /// What the system said if it refused what was sent and may have made it all the same: it is looked for once, and if it is
    /// not there, it is not sent again.
    #[serde(default)]
    pub refused: Option<String>,
}

/// Work on one entity in one system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The workspace.
    pub workspace: String,
    /// The entity.
    pub entity: EntityId,
    /// The system.
    pub system: System,
    /// Where it stands.
    pub state: MirrorState,
    /// When it is to be worked.
    pub due: Millis,
    /// What made it due: `live`, `reconcile` or `backfill`; a try that failed counts by itself.
    pub priority: Priority,
    /// Failed tries in a row.
    pub tries: u32,
    /// The number of the newest doubt raised (R3, R4).
    pub doubt: i64,
    /// The number of the newest doubt answered by a read.
    pub answered: i64,
    /// The create that is under way.
    pub intent: Option<Intent>,
    /// Why it stands as it does, in one line for people.
    pub reason: Option<String>,
    /// When the oldest edit that it still has to carry came in; for measuring and for the age of waiting work.
    pub since: Option<Millis>,
    /// Row revision; 0 until it is stored.
    pub rev: i64,
}

impl Mirror {
    /// A new mirror with nothing to do.
    pub fn new(workspace: &str, entity: EntityId, system: System) -> Self {
        Self {
            workspace: workspace.to_owned(),
            entity,
            system,
            state: MirrorState::Idle,
            due: Millis(0),
            priority: Priority::Live,
            tries: 0,
            doubt: 0,
            answered: 0,
            intent: None,
            reason: None,
            since: None,
            rev: 0,
        }
    }

    /// How it ranks among others: what fails makes room for what has not been tried yet.
    pub fn rank(&self) -> Priority {
        if self.tries > 0 { self.priority.max(Priority::Retry) } else { self.priority }
    }

    /// Whether a read is owed.
    pub fn doubts(&self) -> bool {
        self.doubt > self.answered
    }
}

words! {
    /// What one call does.
    Action {
        /// Reads the object.
        Read = "read",
        /// Looks for an existing object before a create.
        Find = "find",
        /// Creates it.
        Create = "create",
        /// Updates fields.
        Update = "update",
        /// Sets a task's completion.
        Complete = "complete",
        /// Adds tags.
        AddTags = "add_tags",
        /// Removes tags.
        RemoveTags = "remove_tags",
        /// Puts a contact into a business, or takes it out.
        SetBusiness = "set_business",
        /// Cancels a booking.
        Cancel = "cancel",
        /// Deletes it.
        Delete = "delete",
    }
}

impl Action {
    /// Whether it changes the system.
    pub fn writes(self) -> bool {
        !matches!(self, Self::Read | Self::Find)
    }
}

/// Where an object is: what a connector needs to address it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The kind.
    pub kind: Kind,
    /// Its id.
    pub id: ExternalId,
    /// The id of the contact it belongs to, in the same system.
    pub parent: Option<ExternalId>,
}

/// One call that makes the target agree a little more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub action: Action,
    /// The kind of the object.
    pub kind: Kind,
    /// The object; `None` on create.
    pub id: Option<ExternalId>,
    /// The contact it belongs to, in the same system.
    pub parent: Option<ExternalId>,
    /// What is written, in the system's own terms: only what changes.
    pub fields: Fields,
    /// The stamps of the edits that are written.
    pub stamps: BTreeMap<Field, Stamp>,
    /// The whole object as it should stand afterwards, in the system's own terms, for systems that cannot change one
    /// field without repeating another (a TIMIFY appointment's length, a whole tag list).
    pub whole: Fields,
    /// The create intent, for systems that take an idempotency key.
    pub key: Option<Uuid>,
    /// Whether the lane has just read that nothing stands within the object (a TIMIFY appointment that is no series).
    pub alone: bool,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.kind)?;
        for (at, field) in self.fields.keys().enumerate() {
            write!(f, "{}{field}", if at == 0 { ": " } else { ", " })?;
        }
        Ok(())
    }
}

words! {
    /// How one try of a call ended.
    AttemptResult {
        /// The system took it.
        Done = "done",
        /// To be tried again.
        Retry = "retry",
        /// No answer, or one that leaves open whether it was applied.
        Unclear = "unclear",
        /// The system refused it for good.
        Refused = "refused",
    }
}

impl AttemptResult {
    /// Whether the call may have changed something.
    pub fn may_have_landed(self) -> bool {
        matches!(self, Self::Done | Self::Unclear)
    }
}

/// One try of a call, with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The workspace.
    pub workspace: String,
    /// The entity.
    pub entity: EntityId,
    /// The system.
    pub system: System,
    /// What it did.
    pub action: Action,
    /// The object, if it had an id.
    pub object: Option<ExternalId>,
    /// The fields it carried (names only).
    pub fields: Vec<Field>,
    /// How it ended.
    pub result: AttemptResult,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What the system said, or why there was no answer; never a body.
    pub note: Option<String>,
    /// When it was sent.
    pub at: Millis,
    /// How long the answer took.
    pub took_ms: i64,
    /// From the oldest edit it carried to its end; only on the last write of a mirror.
    pub lag_ms: Option<i64>,
    /// The vendor's id of the call.
    pub trace: Option<String>,
    /// Calls that the vendor said were left in its short window.
    pub burst_left: Option<u32>,
    /// Calls that the vendor said were left of the day.
    pub day_left: Option<u32>,
}

impl Attempt {
    /// Whether it may have changed the system.
    pub fn may_have_written(&self) -> bool {
        self.action.writes() && self.result.may_have_landed()
    }
}
