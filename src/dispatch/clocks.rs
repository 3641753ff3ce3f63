//! What is measured of the clocks of somebody's own servers moves with the lease: who takes a workspace over, or starts anew,
//! notices that one was set back meanwhile.
//!
//! Kept is what would be missed, so that nothing is written for each answer.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Millis;
use crate::model::{Lease, System};
use crate::store::{Result, Workspaces};
use crate::systems::Site;
use crate::systems::offset::Measured;

/// What is kept of a workspace's clocks.
#[derive(Default)]
pub struct Clocks {
    /// Under which lease that was looked up.
    fence: Option<i64>,
    /// With the time until which nothing more is kept.
    kept: BTreeMap<System, (Measured, Millis)>,
}

/// How often it is kept what is new, where two servers behind one address tell two times.
const EVERY: Duration = Duration::from_secs(10);

impl Clocks {
    /// Looks up what is kept, once a lease, and keeps what is new since.
    pub async fn keep(&mut self, store: &dyn Workspaces, site: &Site, lease: &Lease, now: Millis) -> Result<()> {
        let workspace = &lease.workspace;
        if self.fence != Some(lease.fence) {
            for (system, clock) in &site.clocks {
                let text = store.cursor(workspace, &name(*system)).await?;
                // What an older release wrote in another way is measured again.
                let kept: Measured = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
                clock.recall(kept);
                self.kept.insert(*system, (kept, now));
            }
            self.fence = Some(lease.fence);
        }
        for (system, clock) in &site.clocks {
            let (measured, (kept, until)) = (clock.so_far(), self.kept.entry(*system).or_default());
            if now >= *until && measured.is_news_to(*kept) {
                let text = serde_json::to_string(&measured).unwrap_or_default();
                store.set_cursor(workspace, &name(*system), &text, now).await?;
                (*kept, *until) = (measured, now + EVERY);
            }
        }
        Ok(())
    }
}

fn name(system: System) -> String {
    format!("clock/{system}+")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;
    use crate::model::{Class, ExternalId, Kind, Observation, Shape};
    use crate::resolve::sample;
    use crate::store::memory::Memory;
    use crate::systems::offset::ClockOffset;

    const NOW: Millis = Millis(1_700_000_000_000);
    const LEASED: Duration = Duration::from_mins(1);

    /// A process at work on one workspace.
    struct Process {
        site: Site,
        offset: Arc<ClockOffset>,
        clocks: Clocks,
    }

    impl Process {
        fn new(clock: &ManualClock) -> Self {
            let offset = Arc::new(ClockOffset::new(Arc::new(clock.clone())));
            let site = Site { clocks: [(System::Timify, offset.clone())].into(), ..sample::site() };
            Self { site, offset, clocks: Clocks::default() }
        }

        /// Asks a server whose clock is so much ahead of ours, and works on.
        async fn asks(&mut self, store: &dyn Workspaces, lease: &Lease, ahead: i64) {
            let now = self.offset.now();
            self.clocks.keep(store, &self.site, lease, now).await.unwrap();
            self.offset.measure(Millis(now.0 + ahead), now, now);
            self.clocks.keep(store, &self.site, lease, now).await.unwrap();
        }

        fn proves_an_order(&self) -> bool {
            let now = self.offset.now();
            let version = Class::Versioned(self.offset.to_theirs(now));
            let seen = Observation::new(Kind::Note, ExternalId::new("n"), version, Shape::Hint);
            self.offset.weighed(seen, now).class == version
        }
    }

    fn lease(fence: i64) -> Lease {
        Lease { workspace: "w".to_owned(), owner: fence.to_string(), fence, until: NOW + LEASED }
    }

    /// Simulation, 310017805: all processes were started anew after the clock was set back, before anybody had asked again.
    #[tokio::test]
    async fn a_clock_that_was_set_back_while_nobody_was_at_work_is_noticed() {
        let (store, clock) = (Memory::new(), ManualClock::at(NOW));
        let mut first = Process::new(&clock);
        first.asks(&store, &lease(1), 0).await;
        clock.advance(LEASED);
        for (fence, ahead, proves) in [(2, 0, true), (3, -131_000, false), (4, -131_000, false)] {
            let mut next = Process::new(&clock);
            next.asks(&store, &lease(fence), ahead).await;
            assert_eq!(next.proves_an_order(), proves, "lease {fence}");
        }
        clock.advance(Duration::from_secs(131) + LEASED + LEASED);
        let mut last = Process::new(&clock);
        last.asks(&store, &lease(5), -131_000).await;
        assert!(last.proves_an_order(), "its times are new ones again");
    }

    /// Who was at work before, and is again, learns what the one between measured.
    #[tokio::test]
    async fn what_another_process_measured_is_taken_over_with_its_lease() {
        let (store, clock) = (Memory::new(), ManualClock::at(NOW));
        let (mut ours, mut theirs) = (Process::new(&clock), Process::new(&clock));
        ours.asks(&store, &lease(1), 0).await;
        theirs.asks(&store, &lease(2), -131_000).await;
        ours.clocks.keep(&store, &ours.site, &lease(3), NOW).await.unwrap();
        assert_eq!((ours.offset.ms(), ours.proves_an_order()), (theirs.offset.ms(), false));
    }

    #[tokio::test]
    async fn an_answer_that_says_nothing_new_is_not_kept() {
        let (store, clock) = (Memory::new(), ManualClock::at(NOW));
        let mut process = Process::new(&clock);
        process.asks(&store, &lease(1), 0).await;
        let kept = store.cursor("w", &name(System::Timify)).await.unwrap();
        for _ in 0..100 {
            clock.advance(Duration::from_secs(1));
            process.asks(&store, &lease(1), 0).await;
        }
        assert_eq!(store.cursor("w", &name(System::Timify)).await.unwrap(), kept);
        for _ in 0..11 {
            clock.advance(Duration::from_secs(1));
            process.asks(&store, &lease(1), 500_000).await;
        }
        assert_ne!(store.cursor("w", &name(System::Timify)).await.unwrap(), kept, "it was set");
    }
}
