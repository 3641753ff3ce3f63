//! Observations: a change, or an answer, read into canonical form.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ExternalId, Field, Fields, Kind, Value};
use crate::clock::Millis;

/// How old what is told may be.
pub const FRESH: Duration = Duration::from_mins(1);

/// How much an observation proves (R3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A read made in the entity's lane, or the answer to a write: what is there now.
    Current,
    /// A payload that carries the object's own last-updated (vendor clock). Proves something when it is newer than every
    /// version we know.
    Versioned(Millis),
    /// Proves nothing by itself.
    Claim,
}

/// What is said of the object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// All of it: a field that a snapshot knows and that is not here is blank.
    Full(Fields),
    /// Only these fields.
    Partial(Fields),
    /// It is deleted.
    Gone,
    /// Only that something about it may have changed.
    Hint,
}

/// One object, as somebody saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// What it is.
    pub kind: Kind,
    /// Which one.
    pub id: ExternalId,
    /// The contact it belongs to, in the same system.
    pub parent: Option<ExternalId>,
    /// How much it proves.
    pub class: Class,
    /// What is said. Values are normalised and in the system's own terms.
    pub shape: Shape,
    /// The earliest time known to be not before the edit, on our clock (R7): the object's last-updated, or when the
    /// sender sent it.
    pub at: Option<Millis>,
    /// The object's own last-updated, on the vendor's clock, where a current observation shows one.
    pub version: Option<Millis>,
    /// Whether the whole list of tags is stated: a known tag that is not here is gone.
    pub all_tags: bool,
    /// Fields that what is said never carries, so that their absence says nothing.
    #[serde(default)]
    pub silent: BTreeSet<Field>,
    /// Further e-mails and phones that a contact carries beside its own, normalised: where the system merged another one
    /// into it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub also: BTreeSet<Value>,
    /// A booking that was moved: the other id of the pair.
    pub moved: Option<Moved>,
    /// The guest who booked.
    pub guest: Option<Box<Guest>>,
}

impl Observation {
    /// A plain observation; the rest can be set on it.
    pub fn new(kind: Kind, id: ExternalId, class: Class, shape: Shape) -> Self {
        Self {
            kind,
            id,
            parent: None,
            class,
            shape,
            at: None,
            version: None,
            all_tags: false,
            silent: BTreeSet::new(),
            also: BTreeSet::new(),
            moved: None,
            guest: None,
        }
    }

    /// The newest version of the object that it shows.
    pub fn version(&self) -> Option<Millis> {
        if let Class::Versioned(version) = self.class { Some(version) } else { self.version }
    }

    /// The fields, if any are given.
    pub fn fields(&self) -> Option<&Fields> {
        match &self.shape {
            Shape::Full(fields) | Shape::Partial(fields) => Some(fields),
            Shape::Gone | Shape::Hint => None,
        }
    }

    /// Whether it tells of nothing but tags. They may be kept beside the object (by an extension), and outlive it.
    pub fn tells_only_tags(&self) -> bool {
        matches!(&self.shape, Shape::Partial(fields) if self.all_tags && fields.keys().all(|field| field.as_tag().is_some()))
    }
}

/// Whether something of that time was told so late that a clock may have been set meanwhile. A webhook comes within seconds.
pub fn is_told_late(at: Millis, told: Millis) -> bool {
    told.since(at) > FRESH
}

/// One half of a move that arrives as two deliveries (TimeRex).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moved {
    /// This booking replaces that one.
    From(ExternalId),
    /// This booking was replaced by that one.
    To(ExternalId),
}

/// A guest of a booking: a partial observation of a contact, without an id of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// The id of the contact in GHL, carried through the booking link (`url_params`).
    pub correlation: Option<String>,
    /// What the guest typed.
    pub fields: Fields,
    /// What the guest had to say: it becomes a note, once.
    #[serde(default)]
    pub comment: Option<String>,
    /// When all that was typed, on our clock: a booking that is cancelled later repeats it.
    #[serde(default)]
    pub typed: Option<Millis>,
}

/// Evidence from claims that wait for a read: this value was sent at that time.
pub type Evidence = BTreeMap<Field, Vec<(Value, Millis)>>;
