//! Links: this external id in this system is that entity. A link carries the snapshot.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EntityId, Field, Fields, Kind, Stamp, System, Value, words};
use crate::clock::Millis;

/// An object's id in a system, as that system writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExternalId(pub String);

impl ExternalId {
    /// An id.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands between the id of an object and the key of one within it.
    const WITHIN: char = '#';

    /// The id of an object that stands within this one. It is a place: what stands there after the former is gone is
    /// another object.
    pub fn inner(&self, key: &str) -> Self {
        Self(format!("{}{}{key}", self.0, Self::WITHIN))
    }

    /// The object that this one stands within, if it does, and its key there.
    pub fn apart(&self) -> Option<(Self, &str)> {
        self.0.split_once(Self::WITHIN).map(|(outer, key)| (Self(outer.to_owned()), key))
    }

    /// The object that this one stands within, if it does.
    pub fn within(&self) -> Option<Self> {
        self.apart().map(|(outer, _)| outer)
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// What a link is worth.
    LinkState {
        /// The object is there, and it is this entity.
        Live = "live",
        /// No longer the one: replaced by another id (a move, a merge), or a memory of what a guest once typed.
        Retired = "retired",
        /// The object is deleted. The row stays as a tombstone.
        Gone = "gone",
    }
}

/// What a system is known to hold in one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The value, in the system's own terms.
    pub value: Value,
    /// The stamp of the edit that the value carries.
    pub stamp: Stamp,
    /// The last values it was known to hold before, newest last, at most [`Known::HELD`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Value>,
    /// Whether we ever wrote this field there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wrote: bool,
    /// Whether what it holds now was written by us, whoever edited it first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ours: bool,
    /// Until when a write of ours may have taken the place of a value that we had not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Millis>,
    /// The stamp of the true value that this one is a rival of, until a person decides between them (rule `hold`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Stamp>,
}

impl Known {
    /// How many former values are remembered.
    pub const HELD: usize = 8;

    /// Moves to a new value; the former one is remembered.
    pub fn move_to(&mut self, value: Value, stamp: Stamp) {
        if value != self.value {
            let former = std::mem::replace(&mut self.value, value);
            self.held.retain(|held| *held != former);
            self.held.push(former);
            if self.held.len() > Self::HELD {
                self.held.remove(0);
            }
        }
        self.ours = false;
        self.restamp(stamp);
    }

    /// Moves to a value that we wrote, and that has been there by now.
    pub fn write(&mut self, value: Value, stamp: Stamp, now: Millis) {
        self.move_to(value, stamp);
        (self.wrote, self.ours, self.written) = (true, true, Some(now));
    }

    /// The same value, carrying another edit.
    pub fn restamp(&mut self, stamp: Stamp) {
        (self.stamp, self.hold) = (stamp, None);
    }

    /// Whether it is not to be written over with a value of this stamp: until an operator or a rule said something new,
    /// nobody decided between the two.
    pub fn is_held(&self, stamp: Stamp) -> bool {
        self.hold.is_some_and(|rival| rival == stamp || !stamp.author.is_deliberate())
    }
}

/// What stands for a field never seen.
static NOTHING: Known = Known {
    value: Value::Blank,
    stamp: Stamp::NEVER,
    held: Vec::new(),
    wrote: false,
    ours: false,
    written: None,
    hold: None,
};

impl Default for Known {
    fn default() -> Self {
        NOTHING.clone()
    }
}

/// What a system is last known to hold of one object.
pub type Snapshot = BTreeMap<Field, Known>;

/// A write that was sent: what it carried. Open while its answer is not known; kept for a while after an unclear one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Values in the system's own terms.
    pub fields: Fields,
    /// The stamps of the edits they carry.
    pub stamps: BTreeMap<Field, Stamp>,
    /// When it was sent.
    pub at: Millis,
    /// Whether it deletes the object.
    #[serde(default)]
    pub deletes: bool,
    /// Whether its outcome is unclear (no answer, a 5xx): only a read clears it.
    #[serde(default)]
    pub unclear: bool,
}

impl Sent {
    /// The create that is taken to have made what was found: it has landed, and will not again.
    #[must_use]
    pub fn as_landed(self) -> Self {
        Self { unclear: false, ..self }
    }

    /// Whether it deleted the object for sure.
    pub fn is_done_delete(&self) -> bool {
        self.deletes && !self.unclear
    }
}

/// One external object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The workspace.
    pub workspace: String,
    /// The entity it is.
    pub entity: EntityId,
    /// The system it lives in.
    pub system: System,
    /// The kind of the entity.
    pub kind: Kind,
    /// Its id there.
    pub id: ExternalId,
    /// What the link is worth.
    pub state: LinkState,
    /// What the system is known to hold.
    pub snapshot: Snapshot,
    /// The newest version of the object that we know, by the vendor's own last-updated, on the vendor's clock.
    pub version: Option<Millis>,
    /// When it was last read, on our clock.
    pub seen: Millis,
    /// The write in flight.
    pub sent: Option<Sent>,
    /// Unclear writes that may still be applied late (R5), and what else a late webhook may still tell of.
    pub ledger: Vec<Sent>,
    /// Row revision; 0 until it is stored.
    pub rev: i64,
}

impl Link {
    /// A new live link of which nothing is known yet.
    pub fn new(workspace: &str, entity: EntityId, system: System, kind: Kind, id: ExternalId) -> Self {
        Self {
            workspace: workspace.to_owned(),
            entity,
            system,
            kind,
            id,
            state: LinkState::Live,
            snapshot: Snapshot::new(),
            version: None,
            seen: Millis(0),
            sent: None,
            ledger: Vec::new(),
            rev: 0,
        }
    }

    /// Whether the object is there.
    pub fn is_live(&self) -> bool {
        self.state == LinkState::Live
    }

    /// The tombstone of an object that went with another one: nobody waits for the answer to what is under way to it.
    #[must_use]
    pub fn gone(mut self) -> Self {
        self.leave_open();
        Self { state: LinkState::Gone, ..self }
    }

    /// Nobody waits for the answer to what was sent last: it may have landed, and may still land.
    pub fn leave_open(&mut self) {
        self.ledger.extend(self.sent.take().map(|sent| Sent { unclear: true, ..sent }));
    }

    /// Until when a write of which nobody knows whether it landed may still land. `None`: there is none, or it was looked at since.
    pub fn may_change_until(&self, late_write: Duration) -> Option<Millis> {
        let unclear = self.ledger.iter().filter(|sent| sent.unclear);
        unclear.map(|sent| sent.at + late_write).max().filter(|until| self.seen <= *until)
    }

    /// Whether a write of ours to it is on its way.
    pub fn is_in_flight(&self) -> bool {
        self.is_live() && self.sent.as_ref().is_some_and(|sent| !sent.unclear)
    }

    /// Whether a delete of ours was sent, is under way, or may still be applied.
    pub fn was_deleted_by_us(&self) -> bool {
        self.sent.iter().chain(&self.ledger).any(|sent| sent.deletes)
    }

    /// What the system is known to hold in `field`.
    pub fn known(&self, field: &Field) -> &Known {
        self.snapshot.get(field).unwrap_or(&NOTHING)
    }

    /// When we last wrote to it, as far as that is known.
    pub fn written(&self) -> Option<Millis> {
        self.snapshot.values().filter_map(|known| known.written).max()
    }

    /// Whether the object was ever read or written by us.
    pub fn is_known(&self) -> bool {
        !self.snapshot.is_empty() || self.seen > Millis(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Duration = Duration::from_mins(10);

    /// A link that was last read at a time, and what was sent at others, each with or without an answer.
    fn link(seen: i64, sent_at: &[(i64, bool)]) -> Link {
        let mut link =
            Link::new("main", EntityId(uuid::Uuid::nil()), System::Timify, Kind::Contact, ExternalId::new("c1"));
        link.seen = Millis(seen);
        link.ledger.extend(sent_at.iter().map(|(at, unclear)| sent(*at, *unclear)));
        link
    }

    fn sent(at: i64, unclear: bool) -> Sent {
        Sent { fields: Fields::new(), stamps: BTreeMap::new(), at: Millis(at), deletes: false, unclear }
    }

    #[test]
    fn it_may_change_until_the_last_write_without_an_answer_can_no_longer_land() {
        let until = |seen, sent: &[(i64, bool)]| link(seen, sent).may_change_until(LATE);
        assert_eq!(until(5_000, &[]), None);
        assert_eq!(until(5_000, &[(4_000, true)]), Some(Millis(604_000)));
        assert_eq!(until(5_000, &[(4_000, true), (3_000, true)]), Some(Millis(604_000)), "the last one of two");
        assert_eq!(until(5_000, &[(4_000, false)]), None, "nothing is to come of what is known to have landed");
    }

    #[test]
    fn what_was_read_when_nothing_could_land_any_more_does_not_change() {
        let until = |seen| link(seen, &[(4_000, true)]).may_change_until(LATE);
        assert_eq!(until(604_000), Some(Millis(604_000)));
        assert_eq!(until(604_001), None);
    }

    #[test]
    fn what_a_create_sent_is_not_awaited_where_its_object_was_found() {
        let mut link = link(5_000, &[]);
        link.ledger.push(sent(4_000, true).as_landed());
        assert_eq!(link.may_change_until(LATE), None);
    }
}
