//! `[reconcile]`: how often the systems are compared with what is known of them.

use std::time::Duration;

use super::section::Section;

/// `[reconcile]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconcile {
    /// The time from the start of one run to the start of the next; zero: only when asked.
    pub every: Duration,
}

impl Reconcile {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self { every: section.or("every", Duration::from_hours(1)) }
    }
}
