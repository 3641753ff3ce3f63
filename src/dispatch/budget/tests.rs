use super::*;
use crate::clock::ManualClock;
use crate::credentials::static_token::StaticToken;
use crate::secret::Secret;
use crate::systems::call::Caller;
use crate::systems::offset::ClockOffset;
use crate::systems::testing::{Script, told, told_with};
use crate::systems::{Decision, SystemError};
use http::Method;
use rstest::rstest;
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::task::JoinSet;

const NOON: &str = "2026-03-02T12:00:00Z";

fn number(number: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(number)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn budget(short: u32, day: u32) -> (Arc<Budget>, ManualClock) {
    let clock = ManualClock::at(Millis::parse(NOON).unwrap());
    let limits = Limits { short: number(short), day: number(day) };
    let budget = Budget::new([(System::Ghl, limits)].into(), Arc::new(clock.clone()), Arc::new(Ids::seeded(5)));
    (Arc::new(budget), clock)
}

/// Moves the clock from sleeper to sleeper until all tasks have ended.
async fn live(clock: &ManualClock, tasks: &mut JoinSet<()>) {
    while !tasks.is_empty() {
        while let Some(ended) = tasks.try_join_next() {
            ended.unwrap();
        }
        match clock.next() {
            Some(next) if clock.sleeping() == tasks.len() => clock.advance(next.since(clock.now())),
            _ => tokio::task::yield_now().await,
        }
    }
}

/// When calls reached the vendor, by location.
type Arrivals = Arc<Mutex<BTreeMap<&'static str, Vec<Millis>>>>;

/// What the callers of a test do.
#[derive(Clone)]
struct Callers {
    budget: Arc<Budget>,
    clock: ManualClock,
    ids: Arc<Ids>,
    arrivals: Arrivals,
    left: Arc<AtomicU32>,
    /// One of so many calls is followed by a long pause.
    idle: u64,
}

impl Callers {
    async fn nap(&self, longest: u64) {
        self.clock.sleep(Duration::from_millis(self.ids.below(longest) + 1)).await;
    }

    async fn work(self, location: &'static str) {
        let take = || self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        while take().is_ok() {
            let begun = self.ids.below(2) == 0;
            let leave = loop {
                match self.budget.of(location, System::Ghl).pass(begun).await {
                    Ok(leave) => break leave,
                    Err(wait) => self.clock.sleep(wait).await,
                }
            };
            self.nap(100).await;
            self.arrivals.lock().unwrap().entry(location).or_default().push(self.clock.now());
            self.nap(100).await;
            drop(leave);
            if self.idle > 0 && self.ids.below(self.idle) == 0 {
                self.nap(600_000).await;
            }
        }
    }
}

/// Makes 5,000 calls by 40 tasks, and gives when they arrived.
async fn arrivals(seed: u64, short: u32, day: u32, idle: u64) -> BTreeMap<&'static str, Vec<Millis>> {
    let (budget, clock) = budget(short, day);
    let left = Arc::new(AtomicU32::new(5_000));
    let callers = Callers {
        budget,
        clock: clock.clone(),
        ids: Arc::new(Ids::seeded(seed)),
        arrivals: Arc::default(),
        left,
        idle,
    };
    let mut tasks = JoinSet::new();
    for task in 0..40 {
        tasks.spawn(callers.clone().work(if task % 2 == 0 { "a" } else { "b" }));
    }
    live(&clock, &mut tasks).await;
    std::mem::take(&mut *callers.arrivals.lock().unwrap())
}

fn assert_never_more(arrivals: &[Millis], limit: usize, length: Duration) {
    for pair in arrivals.windows(limit + 1) {
        assert!(pair[limit].since(pair[0]) >= length, "{} calls in {length:?} from {}", limit + 1, pair[0]);
    }
}

#[rstest]
#[tokio::test]
async fn no_ten_seconds_ever_hold_more_calls_than_allowed(#[values(1, 2, 3)] seed: u64, #[values(0, 20)] idle: u64) {
    const LIMIT: usize = 100;
    for (location, arrivals) in arrivals(seed, LIMIT as u32, 200_000, idle).await {
        assert_never_more(&arrivals, LIMIT, SHORT);
        if idle == 0 {
            let took = arrivals.last().unwrap().since(arrivals[0]).as_secs_f64();
            let allowed = took / SHORT.as_secs_f64() * LIMIT as f64;
            assert!(arrivals.len() as f64 >= allowed * 0.9, "{location}: {} calls of {allowed}", arrivals.len());
        }
    }
}

#[rstest]
#[tokio::test]
async fn no_day_ever_holds_more_calls_than_allowed(#[values(1, 2)] seed: u64) {
    const LIMIT: usize = 600;
    for (location, arrivals) in arrivals(seed, 100, LIMIT as u32, 0).await {
        assert_never_more(&arrivals, LIMIT, DAY);
        assert_never_more(&arrivals, 100, SHORT);
        let days = arrivals.len() / LIMIT;
        assert!(days >= 3);
        for day in 0..days as u32 {
            let from = arrivals[0] + DAY * day;
            let made = arrivals.iter().filter(|at| (from..from + DAY).contains(*at)).count();
            assert!(made >= LIMIT * 9 / 10, "{location}: {made} calls on day {day}");
        }
    }
}

#[tokio::test]
async fn each_workspace_and_system_has_a_budget_of_its_own() {
    let (budget, _) = budget(2, 9);
    let _open = [budget.of("a", System::Ghl).pass(true).await, budget.of("a", System::Ghl).pass(true).await];
    assert!(budget.of("a", System::Ghl).pass(false).await.is_err());
    assert!(budget.of("b", System::Ghl).pass(false).await.is_ok());
    assert!(budget.of("a", System::Timify).pass(false).await.is_ok(), "no limit was set");
}

#[tokio::test]
async fn a_call_counts_until_a_window_after_its_end_however_long_it_is_on_its_way() {
    let (budget, clock) = budget(1, 9);
    let allowance = budget.of("a", System::Ghl);
    let leave = allowance.pass(true).await.unwrap();
    clock.advance(secs(15));
    assert!(allowance.pass(false).await.is_err(), "the vendor may see it only now");
    drop(leave);
    assert_eq!(allowance.pass(false).await.err(), Some(SHORT));
    clock.advance(SHORT);
    assert!(allowance.pass(false).await.is_ok());
}

#[tokio::test]
async fn the_last_part_is_left_to_those_who_go_on_with_something() {
    let (budget, _) = budget(20, 99);
    let allowance = budget.of("a", System::Ghl);
    for _ in 0..18 {
        drop(allowance.pass(false).await.unwrap());
    }
    assert!(allowance.pass(false).await.is_err());
    drop(allowance.pass(true).await.unwrap());
    drop(allowance.pass(true).await.unwrap());
}

/// Lets one call through and tells what its answer said.
async fn learn(allowance: &dyn Allowance, seen: &RateSeen) {
    allowance.pass(false).await.unwrap().learn(seen);
}

#[tokio::test]
async fn a_429_stops_everybody_and_one_call_tries_again() {
    let (budget, clock) = budget(100, 999);
    let allowance = budget.of("a", System::Ghl);
    learn(&*allowance, &RateSeen { refused: true, retry_after: Some(secs(7)), ..RateSeen::default() }).await;
    assert_eq!(allowance.pass(false).await.err(), Some(secs(7)));
    clock.advance(secs(7));
    let probe = allowance.pass(false).await.unwrap();
    let waits = tokio::spawn({
        let allowance = allowance.clone();
        async move { allowance.pass(true).await.is_ok() }
    });
    while clock.sleeping() == 0 {
        assert!(!waits.is_finished(), "it did not wait for the one that tries");
        tokio::task::yield_now().await;
    }
    probe.learn(&RateSeen { refused: true, interval: Some(secs(10)), ..RateSeen::default() });
    drop(probe);
    clock.advance(secs(10));
    // Without an answer nothing is known: the next one tries.
    drop(allowance.pass(false).await.unwrap());
    allowance.pass(false).await.unwrap().learn(&RateSeen::default());
    clock.advance(PROBE);
    assert!(waits.await.unwrap());
}

#[rstest]
#[case::interval(RateSeen { refused: true, interval: Some(secs(10)), ..RateSeen::default() }, 10, 10)]
#[case::silent(RateSeen { refused: true, ..RateSeen::default() }, 10, 15)]
#[case::spent(RateSeen { burst_left: Some(0), interval: Some(secs(10)), ..RateSeen::default() }, 10, 10)]
#[case::spent_day(RateSeen { day_left: Some(0), ..RateSeen::default() }, 3_600, 3_600)]
#[case::spent_day_refused(
    RateSeen { refused: true, day_left: Some(0), interval: Some(secs(10)), ..RateSeen::default() }, 3_600, 3_600
)]
#[case::long(RateSeen { refused: true, retry_after: Some(secs(u64::MAX)), ..RateSeen::default() }, 86_400, 86_400)]
#[case::plenty(RateSeen { burst_left: Some(1), day_left: Some(1), interval: Some(secs(10)), ..RateSeen::default() }, 0, 0)]
#[tokio::test]
async fn what_the_vendor_says_is_heeded(#[case] seen: RateSeen, #[case] least: u64, #[case] most: u64) {
    let (budget, _) = budget(100, 999);
    let allowance = budget.of("a", System::Ghl);
    learn(&*allowance, &seen).await;
    let wait = allowance.pass(false).await.err().unwrap_or_default();
    assert!((secs(least)..=secs(most)).contains(&wait), "{wait:?}");
}

#[tokio::test]
async fn a_spent_day_is_tried_again_when_the_vendors_next_day_may_have_begun() {
    let (budget, clock) = budget(100, 999);
    let allowance = budget.of("a", System::Ghl);
    clock.advance(Duration::from_mins(11 * 60 + 50));
    learn(&*allowance, &RateSeen { day_left: Some(0), ..RateSeen::default() }).await;
    assert_eq!(allowance.pass(false).await.err(), Some(Duration::from_mins(10)));
}

#[tokio::test]
async fn a_limit_that_the_vendor_states_is_kept_when_it_is_the_smaller_one() {
    let (budget, _) = budget(100, 999);
    let allowance = budget.of("a", System::Ghl);
    learn(&*allowance, &RateSeen { burst: Some(3), ..RateSeen::default() }).await;
    let (second, third) = (allowance.pass(true).await, allowance.pass(true).await);
    assert!(second.is_ok() && third.is_ok() && allowance.pass(false).await.is_err());
    learn_all(&*second.unwrap(), 1_000);
    let mut open = Vec::new();
    for _ in 0..97 {
        open.push(allowance.pass(true).await.unwrap());
    }
    assert!(allowance.pass(false).await.is_err(), "ours is the smaller one");
}

fn learn_all(leave: &dyn Leave, burst: u32) {
    leave.learn(&RateSeen { burst: Some(burst), ..RateSeen::default() });
}

#[tokio::test]
async fn nothing_is_sent_on_a_spent_day_and_all_goes_on_on_the_next() {
    let (budget, clock) = budget(100, 2);
    let script = Arc::new(Script::new((0..3).map(|_| told(200, json!({})))));
    let credential = Arc::new(StaticToken::api_key("x-api-key", &Secret::new("key-1")).unwrap());
    let offset = Arc::new(ClockOffset::new(Arc::new(clock.clone())));
    let allowance = budget.of("a", System::Ghl);
    let caller = Caller::new(System::Ghl, "http://vendor", script.clone(), credential, offset, allowance);
    let call = || caller.call(Method::PUT, "/x", &[], None, true);
    assert!(call().await.is_ok() && call().await.is_ok());
    for _ in 0..5 {
        let error = call().await.unwrap_err();
        assert!(matches!(error, SystemError::Spent { .. }), "{error}");
        assert_eq!(error.decision(), Decision::Later(DAY), "put off, no try and no failure");
    }
    assert_eq!(script.asked().len(), 2);
    clock.advance(DAY);
    assert!(call().await.is_ok());
}

#[tokio::test]
async fn the_headers_of_a_429_stop_the_next_call_and_its_sender_comes_back_later() {
    let (budget, clock) = budget(100, 99);
    let headers = [("X-RateLimit-Interval-Milliseconds", "10000"), ("x-ratelimit-daily-remaining", "0")];
    let script = Arc::new(Script::new([told_with(429, &headers, "{}")]));
    let credential = Arc::new(StaticToken::api_key("x-api-key", &Secret::new("key-1")).unwrap());
    let offset = Arc::new(ClockOffset::new(Arc::new(clock)));
    let caller =
        Caller::new(System::Ghl, "http://vendor", script.clone(), credential, offset, budget.of("a", System::Ghl));
    let call = || caller.call(Method::GET, "/x", &[], None, false);
    assert_eq!(call().await.unwrap_err().decision(), Decision::Later(secs(10)));
    assert_eq!(call().await.unwrap_err().decision(), Decision::Later(secs(3_600)));
    assert_eq!(script.asked().len(), 1);
}
