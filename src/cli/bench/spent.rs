//! What was made of the budgets: how much of each was used while there was more to do, and whether one was exceeded.
//!
//! In: when the calls of one workspace came to one system. Out: numbers of calls, in windows as the strictest vendor counts.

/// The length of a window, in microseconds.
pub const WINDOW: i64 = 10_000_000;

/// The most calls in any window. The times ascend.
pub fn most(times: &[i64]) -> usize {
    let within = |(last, at): (usize, &i64)| last + 1 - times.partition_point(|time| *time <= at - WINDOW);
    times.iter().enumerate().map(within).max().unwrap_or(0)
}

/// The share of a budget that was used between two instants.
pub fn share(times: &[i64], budget: u32, from: i64, to: i64) -> f64 {
    let used = times.iter().filter(|time| (from..to).contains(time)).count();
    used as f64 * WINDOW as f64 / ((to - from) as f64 * f64::from(budget))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn the_most_calls_in_any_window_are_found_wherever_it_begins() {
        let times = [0, 9, 10, 11, 18, 19, 30].map(|second| second * SECOND);
        assert_eq!((most(&times), most(&[]), most(&[5])), (4, 0, 1));
    }

    #[test]
    fn a_share_is_of_what_the_time_between_allows() {
        let times: Vec<i64> = (0..40).map(|second| second * SECOND).collect();
        let share = share(&times, 20, 10 * SECOND, 30 * SECOND);
        assert!((share - 0.5).abs() < f64::EPSILON, "{share}");
    }
}
