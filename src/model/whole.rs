//! An entity with all that hangs on it.

use super::{Entity, Link, Mirror, System};

/// An entity with all that hangs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// The entity.
    pub entity: Entity,
    /// Its links, of every state.
    pub links: Vec<Link>,
    /// Its mirrors.
    pub mirrors: Vec<Mirror>,
}

impl Whole {
    /// The live link in a system.
    pub fn link(&self, system: System) -> Option<&Link> {
        self.links.iter().find(|link| link.system == system && link.is_live())
    }

    /// The mirror for a system.
    pub fn mirror(&self, system: System) -> Option<&Mirror> {
        self.mirrors.iter().find(|mirror| mirror.system == system)
    }
}
