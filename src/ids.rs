//! Ids and randomness as a parameter: one generator, seeded from the machine in the service and by hand in tests.

use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::clock::Millis;

/// Makes ids and jitter.
#[derive(Debug)]
pub struct Ids(Mutex<fastrand::Rng>);

impl Ids {
    /// A generator seeded by the machine.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for randomness")]
    pub fn random() -> Self {
        Self(Mutex::new(fastrand::Rng::new()))
    }

    /// A generator that always gives the same row of ids.
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }

    /// A new id (UUID version 7: sorted by the time it was made).
    pub fn uuid(&self, now: Millis) -> Uuid {
        let millis = u64::try_from(now.0).unwrap_or(0);
        let random = self.rng().u128(..).to_be_bytes();
        let mut tail = [0_u8; 10];
        tail.copy_from_slice(&random[..10]);
        uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
    }

    /// A number in `0..below`; 0 when `below` is 0.
    pub fn below(&self, below: u64) -> u64 {
        if below == 0 { 0 } else { self.rng().u64(..below) }
    }

    fn rng(&self) -> MutexGuard<'_, fastrand::Rng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_seed_repeat_and_sort_by_time() {
        let (a, b) = (Ids::seeded(7), Ids::seeded(7));
        let (early, late) = (a.uuid(Millis(1_000)), a.uuid(Millis(2_000)));
        assert_eq!((early, late), (b.uuid(Millis(1_000)), b.uuid(Millis(2_000))));
        assert!(early < late);
        assert_eq!(early.get_version_num(), 7);
    }
}
