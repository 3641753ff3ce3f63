//! A system's own terms: what it can hold, and how it says it. Pure; deciding and planning rest on it.

use super::{Action, Change, Entity, Field, Kind, Observation, System, Value};

/// Where a system keeps objects of a kind, or why it does not (a cell of the capability table).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// The vendor's documented API.
    Native,
    /// The operator's endpoint, for objects that the vendor does not have.
    Extension,
    /// Put into something else that the vendor has.
    Projected,
    /// Held in Lockstep only, for this reason.
    Kept(&'static str),
    /// Not possible, for this reason.
    Refused(&'static str),
}

impl Home {
    /// Whether the system holds such objects at all.
    pub fn holds(&self) -> bool {
        matches!(self, Self::Native | Self::Extension | Self::Projected)
    }
}

/// A canonical value in a system's own terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expressed {
    /// The system would hold this.
    Holds(Value),
    /// The system has no such field; it stays out of snapshots and plans.
    Absent,
    /// The system cannot hold this value; the reason says what a person can do.
    Refused(String),
}

/// A body that turned out not to mean what its envelope promised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// What a system can hold in one workspace, and how it says it. Pure.
pub trait Terms: Send + Sync {
    /// Which system.
    fn system(&self) -> System;
    /// Where objects of a kind live.
    fn home(&self, kind: Kind) -> Home;
    /// Where the tags of its contacts live.
    fn tags(&self) -> Home;
    /// Whether an object of this kind can be created there by us; the reason if not.
    fn creates(&self, kind: Kind) -> Result<(), &'static str>;
    /// Whether an object of this kind can be changed there by us, other than deleted or cancelled; the reason if not.
    fn changes(&self, kind: Kind) -> Result<(), &'static str>;
    /// A canonical value in the system's own terms.
    fn express(&self, kind: Kind, field: &Field, value: &Value) -> Expressed;
    /// The calls that can carry a change of `field` to `value`, best first; empty: the system has no way to change it.
    /// `making`: the object does not exist yet.
    fn carriers(&self, kind: Kind, field: &Field, value: &Value, making: bool) -> &'static [Action];
    /// Whether the system should hold this entity at all as it now stands (a cancelled appointment does not exist in
    /// TIMIFY).
    fn wants(&self, entity: &Entity) -> bool;
    /// Whether a field that holds this value there never changes again, whatever comes late and says otherwise.
    fn is_final(&self, kind: Kind, field: &Field, value: &Value) -> bool;
    /// What it means when an object of this kind is gone there: a field that takes a value, or `None` for a deletion.
    fn gone_means(&self, kind: Kind) -> Option<(Field, Value)>;
    /// The observations in a change of this system (its webhook body, or the body of a kept listing row).
    fn observe(&self, change: &Change) -> Result<Vec<Observation>, Unreadable>;
}
