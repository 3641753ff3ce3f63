//! When to try again: capped exponential backoff with jitter, never before the time that the vendor asked for.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::clock::Millis;
use crate::ids::Ids;
use crate::model::Limits;

/// The first wait.
const FIRST: Duration = Duration::from_millis(500);

/// How long to wait after the given number of failed tries (1: the first one failed).
pub fn delay(tries: u32, asked: Option<Duration>, longest: Duration, ids: &Ids) -> Duration {
    let curve = ExponentialBuilder::default()
        .with_min_delay(FIRST.min(longest))
        .with_max_delay(longest)
        .with_factor(2.0)
        .without_max_times()
        .build();
    let base = curve.into_iter().nth(tries.saturating_sub(1).min(40) as usize).unwrap_or(longest);
    let jitter = Duration::from_millis(ids.below(base.as_millis() as u64 / 2 + 1));
    (base + jitter).max(asked.unwrap_or_default())
}

/// Whether a step that failed so often is left to a person. `since`: since when it is owed.
pub fn is_over(tries: u32, since: Option<Millis>, now: Millis, limits: &Limits) -> bool {
    tries > limits.tries && since.is_none_or(|since| now.since(since) >= limits.horizon)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Policy;

    #[test]
    fn nothing_is_given_up_before_it_was_tried_often_and_long() {
        let limits = Policy::default().limits;
        let hours = |hours| Some(Millis(0) + Duration::from_hours(hours));
        let over = |tries, owed_for| is_over(tries, Some(Millis(0)), hours(owed_for).unwrap_or_default(), &limits);
        assert_eq!([over(21, 72), over(21, 71), over(20, 100), over(500, 71)], [true, false, false, false]);
        assert!(is_over(21, None, Millis(0), &limits));
    }

    #[test]
    fn the_waits_reach_the_horizon() {
        let (limits, ids) = (Policy::default().limits, Ids::seeded(1));
        let (mut at, mut tries) = (Millis(0), 0);
        while !is_over(tries, Some(Millis(0)), at, &limits) {
            tries += 1;
            at = at + delay(tries, None, limits.backoff, &ids);
        }
        assert!(at >= Millis(0) + limits.horizon && tries < 100, "{tries} tries until {at}");
    }

    #[test]
    fn waits_grow_stay_under_their_cap_and_honour_the_vendor() {
        let ids = Ids::seeded(1);
        let longest = Duration::from_mins(1);
        let waits: Vec<Duration> = (1..30).map(|tries| delay(tries, None, longest, &ids)).collect();
        assert!(waits[0] >= FIRST && waits[0] < FIRST * 2);
        assert!(waits[5] > waits[0] * 8);
        assert!(waits.iter().all(|wait| *wait <= longest + longest / 2));
        assert_eq!(delay(1, Some(Duration::from_secs(7)), longest, &ids), Duration::from_secs(7));
    }

    #[test]
    fn where_no_wait_is_allowed_none_is_made() {
        assert_eq!(delay(1, None, Duration::ZERO, &Ids::seeded(1)), Duration::ZERO);
    }

    #[test]
    fn a_wait_is_longer_by_at_most_half_of_it() {
        let (ids, longest) = (Ids::seeded(3), Duration::from_millis(2));
        let waits: Vec<Duration> = (0..40).map(|_| delay(1, None, longest, &ids)).collect();
        assert_eq!([waits.iter().min(), waits.iter().max()], [Some(&longest), Some(&Duration::from_millis(3))]);
    }

    #[test]
    fn two_lanes_that_fail_together_do_not_come_back_together() {
        let ids = Ids::seeded(2);
        let longest = Duration::from_mins(1);
        assert_ne!(delay(5, None, longest, &ids), delay(5, None, longest, &ids));
    }
}
