//! What a worker is woken by.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Rung by whoever knows of work.
#[derive(Debug, Default)]
pub struct Bell {
    ring: Notify,
    anything: AtomicBool,
}

/// What it was rung for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rung {
    /// Changes were recorded.
    Changes,
    /// Anything may be different from what it was: the mode, too.
    Anything,
}

impl Bell {
    /// Changes were recorded.
    pub fn changes(&self) {
        self.ring.notify_one();
    }

    /// Anything may be different.
    pub fn anything(&self) {
        self.anything.store(true, Ordering::Release);
        self.ring.notify_one();
    }

    /// Waits until it is rung.
    pub(super) async fn rung(&self) -> Rung {
        self.ring.notified().await;
        if self.anything.swap(false, Ordering::Acquire) { Rung::Anything } else { Rung::Changes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_rung_for_twice_is_heard_once_and_for_all_of_it() {
        let bell = Bell::default();
        bell.changes();
        assert_eq!(bell.rung().await, Rung::Changes);
        bell.anything();
        bell.changes();
        assert_eq!(bell.rung().await, Rung::Anything);
        bell.changes();
        assert_eq!(bell.rung().await, Rung::Changes);
    }
}
