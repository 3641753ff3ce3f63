//! Time as a parameter.
//!
//! All instants are integer milliseconds UTC ([`Millis`]). Nothing asks the machine for the time except [`SystemClock`]. Who
//! waits, and is to be tested or simulated, waits through its clock.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Sub};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// RFC 3339 in UTC with milliseconds, as the vendors write it: `2026-03-29T13:52:04.212Z`.
    pub fn rfc3339(self) -> String {
        Timestamp::from_millisecond(self.0)
            .map_or_else(|_| self.0.to_string(), |instant| instant.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
    }

    /// Reads RFC 3339 with any offset or `Z`.
    pub fn parse(text: &str) -> Option<Self> {
        text.trim().parse::<Timestamp>().ok().map(|instant| Self(instant.as_millisecond()))
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl Add<Duration> for Millis {
    type Output = Self;
    fn add(self, more: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(more.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Millis {
    type Output = Self;
    fn sub(self, less: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(less.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// A wait.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present instant.
    fn now(&self) -> Millis;
    /// Waits until this much time has passed on this clock.
    fn sleep(&self, time: Duration) -> Sleep;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    fn now(&self) -> Millis {
        Millis(Timestamp::now().as_millisecond())
    }

    fn sleep(&self, time: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(time))
    }
}

/// A clock that stands until it is moved; for tests and simulation.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<Mutex<Dial>>);

/// What a [`ManualClock`] shows, and who waits for it.
#[derive(Debug, Default)]
struct Dial {
    now: Millis,
    /// By when they wake, and their number.
    sleepers: BTreeMap<(Millis, u64), Waker>,
    numbers: u64,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn at(start: Millis) -> Self {
        Self(Arc::new(Mutex::new(Dial { now: start, ..Dial::default() })))
    }

    /// Moves the clock forward, and wakes who slept until then.
    pub fn advance(&self, by: Duration) {
        let due = {
            let mut dial = self.dial();
            dial.now = dial.now + by;
            let later = (Millis(dial.now.0 + 1), 0);
            let later = dial.sleepers.split_off(&later);
            std::mem::replace(&mut dial.sleepers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// How many sleep.
    pub fn sleeping(&self) -> usize {
        self.dial().sleepers.len()
    }

    /// When the next sleeper wakes, if anybody sleeps.
    pub fn next(&self) -> Option<Millis> {
        self.dial().sleepers.keys().next().map(|(until, _)| *until)
    }

    fn dial(&self) -> MutexGuard<'_, Dial> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.dial().now
    }

    fn sleep(&self, time: Duration) -> Sleep {
        let mut dial = self.dial();
        dial.numbers += 1;
        Box::pin(Sleeper { clock: self.clone(), until: (dial.now + time, dial.numbers) })
    }
}

/// One who sleeps on a [`ManualClock`].
struct Sleeper {
    clock: ManualClock,
    until: (Millis, u64),
}

impl Future for Sleeper {
    type Output = ();
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut dial = self.clock.dial();
        if dial.now >= self.until.0 {
            return Poll::Ready(());
        }
        dial.sleepers.insert(self.until, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.clock.dial().sleepers.remove(&self.until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_keep_their_milliseconds_when_written_and_read() {
        let instant = Millis::parse("2026-03-29T13:52:04.212Z").unwrap();
        assert_eq!(instant.rfc3339(), "2026-03-29T13:52:04.212Z");
        assert_eq!(Millis::parse("2026-03-29T22:52:04.212+09:00"), Some(instant));
        assert_eq!(Millis::parse("yesterday"), None);
    }

    #[tokio::test]
    async fn sleepers_wake_when_the_clock_has_reached_their_time_and_not_before() {
        let clock = ManualClock::at(Millis(1_000));
        let woken = |time| tokio::spawn(clock.sleep(Duration::from_millis(time)));
        let (early, late) = (woken(20), woken(30));
        while clock.sleeping() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(clock.next(), Some(Millis(1_020)));
        clock.advance(Duration::from_millis(20));
        early.await.unwrap();
        assert!(!late.is_finished());
        assert_eq!((clock.sleeping(), clock.next()), (1, Some(Millis(1_030))));
        late.abort();
        assert!(late.await.is_err());
        assert_eq!(clock.sleeping(), 0, "who is dropped does not sleep on");
        clock.sleep(Duration::ZERO).await;
    }
}
