//! Named workers: spawned, watched by their heartbeats, stopped together.
//!
//! A worker that panics or hangs stops beating; `/health/live` then fails, and whoever runs us starts us anew.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{Clock, Millis};

/// A heartbeat older than this is a worker that hangs.
const STALE: Duration = Duration::from_mins(1);

/// Tells that a worker lives.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    clock: Arc<dyn Clock>,
    last: Arc<AtomicI64>,
}

impl Heartbeat {
    /// A heartbeat that nobody watches, for workers that are driven by hand.
    pub fn unwatched(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: Arc::default() }
    }

    /// The worker lives.
    pub fn beat(&self) {
        self.last.store(self.clock.now().0, Ordering::Relaxed);
    }
}

/// Runs workers.
pub struct Supervisor {
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    tracker: TaskTracker,
    hearts: Mutex<Vec<(String, Heartbeat)>>,
}

impl Supervisor {
    /// A supervisor without workers.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, stop: CancellationToken::new(), tracker: TaskTracker::new(), hearts: Mutex::default() }
    }

    /// Rung when everything is to stop.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Starts a worker that must beat.
    pub fn watch<F>(&self, name: impl Into<String>, work: impl FnOnce(Heartbeat) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let heart = Heartbeat::unwatched(self.clock.clone());
        heart.beat();
        self.tracker.spawn(work(heart.clone()));
        self.lock().push((name.into(), heart));
    }

    /// Starts a task that need not beat (a listener, a run that ends).
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(work);
    }

    /// The workers that have not beaten for too long.
    pub fn stale(&self) -> Vec<String> {
        let now = self.clock.now();
        let stale = |heart: &Heartbeat| now.since(Millis(heart.last.load(Ordering::Relaxed))) > STALE;
        self.lock().iter().filter(|(_, heart)| stale(heart)).map(|(name, _)| name.clone()).collect()
    }

    /// Rings the stop and waits for everything that runs, for at most `patience`. Returns whether all ended by themselves.
    pub async fn finish(&self, patience: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(patience, self.tracker.wait()).await.is_ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, Heartbeat)>> {
        self.hearts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("workers", &self.lock().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[tokio::test]
    async fn a_worker_that_stops_beating_is_told_by_name() {
        let clock = Arc::new(ManualClock::at(Millis(1_000)));
        let supervisor = Supervisor::new(clock.clone());
        supervisor.watch("alive", |_| async {});
        assert!(supervisor.stale().is_empty());
        clock.advance(STALE + Duration::from_secs(1));
        assert_eq!(supervisor.stale(), ["alive"]);
        assert!(supervisor.finish(Duration::from_secs(1)).await);
    }
}
