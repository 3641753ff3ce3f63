//! The nouns and their transitions. No IO.

mod change;
mod conflict;
mod correction;
mod deletion;
mod entity;
mod field;
mod field_rule;
mod install;
mod invitation;
mod link;
mod mirror;
pub mod normal;
mod observation;
mod regroup;
mod stamp;
mod system;
mod terms;
mod whole;
mod workspace;

pub use change::{Appended, Change, ChangeId, Finding, NewChange, Origin, Outcome, Standing, VerdictRow};
pub use conflict::{
    Closing, Conflict, ConflictId, ConflictState, KeptConflict, LINKING, MERGED, NewConflict, Proof, RESTORED, ShownBy,
};
pub use correction::Correction;
pub use deletion::{Answer, DeletionAnswer};
pub use entity::{Entity, EntityId, Life, Stamped};
pub use field::{CANCELLED, Field, Fields, Value};
pub use field_rule::{FieldRule, FieldRules, TAGS};
pub use install::{Holder, Install, InstallKey, InstallState};
pub use invitation::{Invitation, InvitationState, WrittenTo};
pub use link::{ExternalId, Known, Link, LinkState, Sent, Snapshot};
pub use mirror::{Action, Attempt, AttemptResult, Intent, Mirror, MirrorState, Place, Priority, Step};
pub use observation::{Class, Evidence, FRESH, Guest, Moved, Observation, Shape, is_told_late};
pub use regroup::Regroup;
pub use stamp::{Author, Key, Order, Stamp};
pub(crate) use system::words;
pub use system::{Kind, System, UnknownWord};
pub use terms::{Expressed, Home, Terms, Unreadable};
pub use whole::Whole;
pub use workspace::{
    CalendarRow, CreateRule, Guards, Lease, Limits, Mode, OnDelete, Policy, Projection, ReadBeforeWrite, Workspace,
};
