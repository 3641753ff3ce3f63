//! What the stages know of a system: three traits and their errors.
//!
//! [`Terms`] is pure: what a system can hold, how it says it, and what its webhooks mean. [`Target`] calls the vendor.
//! [`Door`] reads what a webhook is about before anything else is known of it. A new system is one folder beside `ghl`, a
//! config section and a registry line.

pub mod call;
pub mod extension;
pub mod ghl;
pub mod http_client;
pub mod offset;
#[cfg(test)]
pub(crate) mod testing;
pub mod timerex;
pub mod timify;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::clock::Millis;
use crate::model::{
    Action, Change, Entity, ExternalId, Field, Fields, Kind, Observation, Place, Standing, Step, System, Value,
};
use crate::verify::VerifiedWebhook;

/// Where a system keeps objects of a kind, or why it does not (a cell of the capability table).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// The vendor's documented API.
    Native,
    /// The operator's endpoint, for objects that the vendor does not have.
    Extension,
    /// Put into something else that the vendor has.
    Projected,
    /// Held in Lockstep only.
    Kept,
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

/// What a webhook is about, read without knowing any workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What makes two deliveries the same one; `None` where the sender gives nothing to tell by.
    pub delivery: Option<String>,
    /// The account it names: a GHL location, a TIMIFY company, a TimeRex team url path.
    pub account: Option<String>,
    /// The sender's own word for it.
    pub label: String,
    /// What it is about.
    pub kind: Option<Kind>,
    /// The object.
    pub object: Option<ExternalId>,
    /// When the sender says it was made, on the sender's clock.
    pub at: Option<Millis>,
    /// [`Standing::Routed`] until a workspace says otherwise, [`Standing::Unparsed`] or [`Standing::NotMirrored`].
    pub standing: Standing,
    /// Why, in one line, when it is not routed.
    pub reason: Option<String>,
}

impl Envelope {
    /// The envelope of a body that could not be read.
    pub fn unparsed(reason: impl Into<String>) -> Self {
        Self {
            delivery: None,
            account: None,
            label: "unparsed".to_owned(),
            kind: None,
            object: None,
            at: None,
            standing: Standing::Unparsed,
            reason: Some(reason.into()),
        }
    }
}

/// Reads the envelope of a verified webhook. Never fails: what it cannot read is [`Standing::Unparsed`].
pub trait Door: Send + Sync {
    /// What the webhook is about. `extension` tells that the system's extension sent it.
    fn envelope(&self, webhook: &VerifiedWebhook) -> Envelope;
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
    /// Whether an object of this kind can be created there by us; the reason if not.
    fn creates(&self, kind: Kind) -> Result<(), &'static str>;
    /// A canonical value in the system's own terms.
    fn express(&self, kind: Kind, field: &Field, value: &Value) -> Expressed;
    /// The calls that can carry a change of `field` to `value`, best first; empty: the system has no way to change it.
    /// `making`: the object does not exist yet.
    fn carriers(&self, kind: Kind, field: &Field, value: &Value, making: bool) -> &'static [Action];
    /// Whether the system should hold this entity at all as it now stands (a cancelled appointment does not exist in
    /// TIMIFY).
    fn wants(&self, entity: &Entity) -> bool;
    /// What it means when an object of this kind is gone there: a field that takes a value, or `None` for a deletion.
    fn gone_means(&self, kind: Kind) -> Option<(Field, Value)>;
    /// The observations in a change of this system (its webhook body, or the body of a kept listing row).
    fn observe(&self, change: &Change) -> Result<Vec<Observation>, Unreadable>;
}

/// What a read, or an answer to a write, showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The object as it stands: [`Class::Current`](crate::model::Class::Current), shape `Full`, `Partial` or `Gone`.
    pub observation: Observation,
    /// The HTTP status.
    pub status: u16,
}

/// The answer to a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The id of the object (a create's new id).
    pub id: ExternalId,
    /// What the answer shows of the object, if anything: current, in the system's own terms.
    pub shown: Option<Observation>,
    /// The HTTP status.
    pub status: u16,
}

/// What a create would make; by what an existing object is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The kind.
    pub kind: Kind,
    /// The contact it belongs to, in the same system.
    pub parent: Option<ExternalId>,
    /// Its values, in the system's own terms.
    pub fields: Fields,
}

/// One page of what changed in a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The objects: class `Claim`, as every list page.
    pub observations: Vec<Observation>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<String>,
}

/// Calls a system for one workspace. Each method is one HTTP call where the vendor allows it.
#[async_trait]
pub trait Target: Terms {
    /// Reads one object. A missing one is a reading of shape `Gone`.
    async fn read(&self, place: &Place) -> Result<Reading, SystemError>;
    /// Looks for existing objects that a create would double. Current, whole readings; an empty list: none.
    async fn find(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError>;
    /// Makes one call of a plan.
    async fn apply(&self, step: &Step) -> Result<Answer, SystemError>;
    /// Lists what changed since an instant (our clock; `None`: everything), a page at a time.
    async fn changed(&self, kind: Kind, since: Option<Millis>, page: Option<&str>) -> Result<Page, SystemError>;
}

/// Why a call did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SystemError {
    /// The vendor asks us to wait (429, or 503 with `Retry-After`).
    #[error("{system} asks to wait (HTTP {status})")]
    Wait {
        /// The system.
        system: System,
        /// The HTTP status.
        status: u16,
        /// How long, if it says.
        after: Option<Duration>,
    },
    /// The request was not applied, and may succeed later (connection refused, 5xx on a read).
    #[error("{system} could not be reached: {reason}")]
    Unavailable {
        /// The system.
        system: System,
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// What happened.
        reason: String,
    },
    /// It is not known whether the write was applied: no answer, or a 5xx.
    #[error("{system} gave no clear answer: {reason}")]
    Unclear {
        /// The system.
        system: System,
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// What happened.
        reason: String,
    },
    /// The object already exists under this id (a create that would double).
    #[error("{system} already has it as {existing}")]
    Exists {
        /// The system.
        system: System,
        /// The HTTP status.
        status: u16,
        /// The existing object.
        existing: ExternalId,
    },
    /// The object is gone.
    #[error("{system} no longer has it (HTTP {status})")]
    Gone {
        /// The system.
        system: System,
        /// The HTTP status.
        status: u16,
    },
    /// The credentials are refused.
    #[error("{system} refuses our credentials (HTTP {status}): {reason}")]
    Unauthorized {
        /// The system.
        system: System,
        /// The HTTP status.
        status: u16,
        /// What it said.
        reason: String,
    },
    /// The request is refused for good, as it stands.
    #[error("{system} refuses it (HTTP {status}): {reason}")]
    Refused {
        /// The system.
        system: System,
        /// The HTTP status.
        status: u16,
        /// What it said, and what a person can do.
        reason: String,
    },
    /// The answer could not be read.
    #[error("the answer of {system} could not be read: {reason}")]
    Garbled {
        /// The system.
        system: System,
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        reason: String,
    },
}

/// What to do about a [`SystemError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Try again, not before the given time has passed.
    Retry {
        /// What the vendor asked for.
        after: Option<Duration>,
    },
    /// Stop and wait for a person.
    Park,
    /// Read the object first: what we believed of it is wrong, or unknown.
    Look,
}

impl SystemError {
    /// What to do next.
    pub fn decision(&self) -> Decision {
        match self {
            Self::Wait { after, .. } => Decision::Retry { after: *after },
            Self::Unavailable { .. } | Self::Unauthorized { .. } => Decision::Retry { after: None },
            Self::Unclear { .. } | Self::Exists { .. } | Self::Gone { .. } => Decision::Look,
            Self::Refused { .. } | Self::Garbled { .. } => Decision::Park,
        }
    }

    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unavailable { status, .. } | Self::Unclear { status, .. } => *status,
            Self::Wait { status, .. }
            | Self::Exists { status, .. }
            | Self::Gone { status, .. }
            | Self::Unauthorized { status, .. }
            | Self::Refused { status, .. }
            | Self::Garbled { status, .. } => Some(*status),
        }
    }
}

/// Sends one HTTP request; the only way out. The real one lives in `http_client`; tests may answer from the sandbox's core.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends it and waits for the whole answer. Redirects are not followed.
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError>;
}

/// Why there was no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransportError {
    /// The request never left (connection refused, name not found).
    #[error("not sent: {0}")]
    NotSent(String),
    /// It left, and no whole answer came back.
    #[error("no answer: {0}")]
    NoAnswer(String),
}

/// Proves who we are on a request. Behind it: a static token, an app id and secret exchanged for a token, an api key.
#[async_trait]
pub trait Credential: Send + Sync {
    /// Adds what proves us to the request. May call the vendor once to obtain it.
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<(), SystemError>;
    /// The vendor refused what `sign` added: forget what was obtained. Returns whether another try may do better.
    async fn refused(&self) -> bool;
}

/// The systems of one workspace.
pub type Targets = std::collections::BTreeMap<System, Arc<dyn Target>>;
