//! Changes: the rows of the change log, and what they ended in.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{EntityId, ExternalId, Field, Kind, System, words};
use crate::clock::Millis;

/// The number of a change: rises with each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeId(pub i64);

impl fmt::Display for ChangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

words! {
    /// Where a change came from.
    Origin {
        /// A verified webhook.
        Webhook = "webhook",
        /// A read in the lane, or the answer to a write.
        Read = "read",
        /// A page that reconcile listed.
        Listing = "listing",
        /// An object that was seen elsewhere: on a page that was polled, within another object, behind an invitation's link.
        Look = "look",
        /// A rule that fired.
        Rule = "rule",
        /// A person at Lockstep.
        Operator = "operator",
    }
}

words! {
    /// Whether a change could be understood and placed when it came in.
    Standing {
        /// It belongs to a workspace and names an object.
        Routed = "routed",
        /// It could not be read.
        Unparsed = "unparsed",
        /// It names no workspace of ours, or one that its credential may not speak for.
        Unrouted = "unrouted",
        /// It is understood, and nothing that we mirror.
        NotMirrored = "not_mirrored",
    }
}

words! {
    /// How a change ended.
    Outcome {
        /// Its values are now true.
        Applied = "applied",
        /// A later change of the same object took its place.
        Superseded = "superseded",
        /// Our own write coming back, or nothing new.
        Echo = "echo",
        /// A value of it lost, and is kept.
        Conflict = "conflict",
        /// It waits for a person.
        Parked = "parked",
        /// Given up after the last attempt.
        Dead = "dead",
        /// It could not be read.
        Unparsed = "unparsed",
        /// It belongs to no workspace.
        Unrouted = "unrouted",
        /// Nothing that we mirror.
        NotMirrored = "not_mirrored",
    }
}

/// A change as it comes in, before it has a number.
#[derive(Debug, Clone, PartialEq)]
pub struct NewChange {
    /// Two changes with the same key are the same change. Starts with the credential that vouched for it.
    pub dedup: String,
    /// The workspace, if it was placed.
    pub workspace: Option<String>,
    /// The system it speaks of.
    pub system: System,
    /// Whether the system's extension sent it.
    pub extension: bool,
    /// Where it came from.
    pub origin: Origin,
    /// The sender's own word for it (`ContactUpdate`, `event_confirmed`, `task.updated`).
    pub label: String,
    /// What it is about, if known.
    pub kind: Option<Kind>,
    /// The object, if known.
    pub object: Option<ExternalId>,
    /// Whether it was understood and placed.
    pub standing: Standing,
    /// Why not, in one line, when it was not.
    pub reason: Option<String>,
    /// When it was made, by its sender's clock, where the sender says.
    pub at: Option<Millis>,
    /// When it came in.
    pub received: Millis,
    /// The headers that are kept (never credentials or signatures).
    pub headers: BTreeMap<String, String>,
    /// The body as it came; of a webhook, with its secrets veiled.
    pub body: Bytes,
}

impl NewChange {
    /// One that came from inside, and from no sender: a read, a page, an operator. Of no object yet, and without a body.
    pub fn from_inside(
        origin: Origin,
        label: &str,
        dedup: String,
        workspace: &str,
        system: System,
        received: Millis,
    ) -> Self {
        Self {
            dedup,
            workspace: Some(workspace.to_owned()),
            system,
            extension: false,
            origin,
            label: label.to_owned(),
            kind: None,
            object: None,
            standing: Standing::Routed,
            reason: None,
            at: None,
            received,
            headers: BTreeMap::new(),
            body: Bytes::new(),
        }
    }

    /// An operator's order about an entity of this kind; `said` is its body.
    pub fn from_operator(
        label: &str,
        dedup: String,
        workspace: &str,
        system: System,
        kind: Kind,
        said: &impl Serialize,
        now: Millis,
    ) -> serde_json::Result<Self> {
        let body = serde_json::to_vec(said)?.into();
        let bare = Self::from_inside(Origin::Operator, label, dedup, workspace, system, now);
        Ok(Self { kind: Some(kind), at: Some(now), body, ..bare })
    }

    /// The verdict of a change that nobody has to look at: what is routed waits to be decided instead.
    pub fn verdict_at_once(&self, change: ChangeId) -> Option<VerdictRow> {
        let outcome = match (self.standing, &self.workspace) {
            (Standing::Routed, Some(_)) => return None,
            (Standing::Routed | Standing::Unrouted, _) => Outcome::Unrouted,
            (Standing::Unparsed, _) => Outcome::Unparsed,
            (Standing::NotMirrored, _) => Outcome::NotMirrored,
        };
        let why = self.reason.clone().unwrap_or_default();
        Some(VerdictRow { change, entity: None, outcome, findings: BTreeMap::new(), why, at: self.received })
    }
}

/// A row of the change log. Never updated.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its number.
    pub id: ChangeId,
    /// What it says.
    pub said: NewChange,
}

/// What became of an appended change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is a new row.
    New(ChangeId),
    /// The row was there before.
    Duplicate(ChangeId),
}

words! {
    /// What deciding found in one field.
    Finding {
        /// The same as before.
        Unchanged = "unchanged",
        /// Our own write landed.
        Own = "own",
        /// A value the system held before, or that it was never told otherwise.
        Stale = "stale",
        /// The system came to the value that is true already.
        Agreed = "agreed",
        /// The value is now true.
        Taken = "taken",
        /// It and a rival became one value, which is now true.
        United = "united",
        /// Another value is true; this one is kept as a conflict.
        Lost = "lost",
    }
}

/// What deciding found in one change, for explaining it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictRow {
    /// The change.
    pub change: ChangeId,
    /// The entity it turned out to be about.
    pub entity: Option<EntityId>,
    /// How it ended.
    pub outcome: Outcome,
    /// What was found, field by field; unchanged fields left out.
    pub findings: BTreeMap<Field, Finding>,
    /// One line for people: why.
    pub why: String,
    /// When.
    pub at: Millis,
}
