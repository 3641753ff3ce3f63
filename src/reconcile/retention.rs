//! Letting go of history that is older than it is to be kept, in small batches with pauses between them: nobody who writes
//! waits for it.
//!
//! In: how long each part is kept. Out: fewer rows. What is true, what is linked and what waits is no history.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::store::{History, Result, Retention};

/// Rows of one batch.
const BATCH: u32 = 200;
/// The pause after a batch, for others who write.
const PAUSE: Duration = Duration::from_millis(20);

/// How long history is kept; zero: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The raw bodies and headers of webhooks.
    pub bodies: Duration,
    /// What came in, what was decided, what was called, what people closed.
    pub history: Duration,
}

/// Lets go of what is old.
pub struct Sweeper {
    /// Where it is.
    pub store: Arc<dyn Retention>,
    /// Tells what is old.
    pub clock: Arc<dyn Clock>,
    /// How long it is kept.
    pub kept: Kept,
}

impl Sweeper {
    /// Whether there is anything that is not kept for ever.
    pub fn has_work(&self) -> bool {
        History::ALL.iter().any(|what| !self.kept_for(*what).is_zero())
    }

    /// One round over everything; gives how many rows were let go of.
    pub async fn sweep(&self) -> Result<u64> {
        let mut rows = 0;
        for what in History::ALL {
            rows += self.sweep_one(*what).await?;
        }
        Ok(rows)
    }

    async fn sweep_one(&self, what: History) -> Result<u64> {
        let kept = self.kept_for(what);
        if kept.is_zero() {
            return Ok(0);
        }
        let before = self.clock.now() - kept;
        let (mut rows, mut after) = (0, 0);
        loop {
            let forgotten = self.store.forget(what, before, after, BATCH).await?;
            rows += forgotten.rows;
            let Some(last) = forgotten.next else { return Ok(rows) };
            after = last;
            self.clock.sleep(PAUSE).await;
        }
    }

    fn kept_for(&self, what: History) -> Duration {
        if what == History::Bodies { self.kept.bodies } else { self.kept.history }
    }
}
