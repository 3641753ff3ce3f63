//! The canonical object: one contact, task, note or appointment, with a value and a stamp per field.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Field, Kind, Stamp, Value};
use crate::clock::Millis;

/// The id of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntityId(pub Uuid);

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EntityId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A value and the stamp of the edit it carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// The value, in canonical form.
    pub value: Value,
    /// The stamp.
    pub stamp: Stamp,
}

/// Whether an entity is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// It is.
    Live,
    /// It was deleted by the author of the stamp.
    Deleted(Stamp),
    /// It turned out to be another entity, which took over its links.
    Merged(EntityId),
}

/// One contact, task, note or appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// Its id.
    pub id: EntityId,
    /// The workspace it belongs to.
    pub workspace: String,
    /// What it is.
    pub kind: Kind,
    /// The contact it belongs to; contacts have none.
    pub parent: Option<EntityId>,
    /// What is true, per field. A field that is absent was never set.
    pub fields: BTreeMap<Field, Stamped>,
    /// Whether it is there.
    pub life: Life,
    /// When it was first seen.
    pub made: Millis,
    /// Row revision; 0 until it is stored. A store refuses a write over another revision.
    pub rev: i64,
}

impl Entity {
    /// A new, empty entity.
    pub fn new(id: EntityId, workspace: &str, kind: Kind, made: Millis) -> Self {
        let (parent, fields, life) = (None, BTreeMap::new(), Life::Live);
        Self { id, workspace: workspace.to_owned(), kind, parent, fields, life, made, rev: 0 }
    }

    /// The value of a field; blank when it was never set.
    pub fn value(&self, field: &Field) -> &Value {
        self.fields.get(field).map_or(&Value::Blank, |stamped| &stamped.value)
    }

    /// The stamp of a field.
    pub fn stamp(&self, field: &Field) -> Stamp {
        self.fields.get(field).map_or(Stamp::NEVER, |stamped| stamped.stamp)
    }

    /// Sets a field.
    pub fn set(&mut self, field: Field, value: Value, stamp: Stamp) {
        self.fields.insert(field, Stamped { value, stamp });
    }

    /// Whether it is live.
    pub fn is_live(&self) -> bool {
        self.life == Life::Live
    }

    /// Whether nothing was ever set: a placeholder whose first reading is still to come.
    pub fn is_placeholder(&self) -> bool {
        self.fields.is_empty()
    }
}
