//! What may be let go of, and the trait of stores that grow.

use async_trait::async_trait;

use super::Result;
use crate::clock::Millis;

/// What grows for as long as the service is used, and rests by now: nothing that is decided is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// The raw bodies and headers of decided changes.
    Bodies,
    /// Calls that were made.
    Calls,
    /// Conflicts that somebody closed.
    Conflicts,
    /// Reviews that are closed.
    Reviews,
    /// Changes, with what was decided of them.
    Changes,
}

impl History {
    /// All of it. What others rest on comes last.
    pub const ALL: &'static [Self] = &[Self::Bodies, Self::Calls, Self::Conflicts, Self::Reviews, Self::Changes];
}

/// What one batch let go of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// So many rows.
    pub rows: u64,
    /// The row after which to go on; `None`: all that follows is younger.
    pub next: Option<i64>,
}

/// Letting go of what is old. Of stores on a disk only, and so no part of [`Store`](crate::store::Store).
#[async_trait]
pub trait Retention: Send + Sync {
    /// Lets go of what is older than `before` among the next `most` rows after `after`, in one transaction.
    async fn forget(&self, what: History, before: Millis, after: i64, most: u32) -> Result<Forgotten>;
}
