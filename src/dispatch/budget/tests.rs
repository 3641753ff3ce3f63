use super::*;
use crate::clock::ManualClock;
use crate::credentials::static_token::StaticToken;
use crate::model::Priority;
use crate::secret::Secret;
use crate::systems::call::Caller;
use crate::systems::offset::ClockOffset;
use crate::systems::testing::{Script, told, told_with};
use crate::systems::{Decision, SystemError};
use futures_util::FutureExt;
use http::Method;
use rstest::rstest;
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::task::JoinSet;

const BEGINS: Errand = Errand { begins: true, writes: false, priority: Priority::Live };
const GOES_ON: Errand = Errand { begins: false, ..BEGINS };
const WRITES: Errand = Errand { writes: true, ..GOES_ON };
const NOON: &str = "2026-03-02T12:00:00Z";

/// How long there is no leave because calls are spent.
fn wait(denied: Denied) -> Duration {
    match denied {
        Denied::Spent(wait) => wait,
        Denied::Failing(wait) => panic!("nothing failed, and it is tried again in {wait:?}"),
    }
}

/// How long there is no leave for a call because calls are spent.
async fn put_off(allowance: &dyn Allowance, errand: Errand) -> Option<Duration> {
    allowance.pass(errand).await.err().map(wait)
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn budget(short: u32, day: u32) -> (Arc<Budget>, ManualClock) {
    let clock = ManualClock::at(Millis::parse(NOON).unwrap());
    (budget_of(vec![Limit::in_ten_seconds(number(short)), Limit::in_a_day(number(day))], &clock), clock)
}

fn budget_of(limits: Vec<Limit>, clock: &ManualClock) -> Arc<Budget> {
    Arc::new(Budget::new([(System::Ghl, limits)].into(), Arc::new(clock.clone()), Arc::new(Ids::seeded(5))))
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

/// When calls reached the vendor, by location, and whether they were writes.
type Arrivals = BTreeMap<&'static str, Vec<(Millis, bool)>>;

/// What the callers of a test do.
#[derive(Clone)]
struct Callers {
    budget: Arc<Budget>,
    clock: ManualClock,
    ids: Arc<Ids>,
    arrivals: Arc<Mutex<Arrivals>>,
    left: Arc<AtomicU32>,
    /// One of so many calls is followed by a long pause.
    idle: u64,
}

impl Callers {
    async fn nap(&self, longest: u64) {
        self.clock.sleep(Duration::from_millis(self.ids.below(longest) + 1)).await;
    }

    /// Makes calls for a location, one after the other.
    async fn work(self, location: &'static str, errands: &'static [Errand]) {
        let take = || self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        while take().is_ok() {
            let errand = errands[self.ids.below(errands.len() as u64) as usize];
            let leave = loop {
                match self.budget.of(location, System::Ghl).pass(errand).await {
                    Ok(leave) => break leave,
                    Err(denied) => self.clock.sleep(wait(denied)).await,
                }
            };
            self.nap(100).await;
            let arrival = (self.clock.now(), errand.writes);
            self.arrivals.lock().unwrap().entry(location).or_default().push(arrival);
            self.nap(100).await;
            drop(leave);
            if self.idle > 0 && self.ids.below(self.idle) == 0 {
                self.nap(600_000).await;
            }
        }
    }
}

/// What half of the tasks do, and what the other half does.
type Halves = [&'static [Errand]; 2];
const ALIKE: Halves = [&[BEGINS, GOES_ON]; 2];

/// Makes 5,000 calls by 40 tasks, and gives when they arrived.
async fn arrivals(seed: u64, limits: &[Limit], halves: Halves, idle: u64) -> Arrivals {
    let clock = ManualClock::at(Millis::parse(NOON).unwrap());
    let left = Arc::new(AtomicU32::new(5_000));
    let callers = Callers {
        budget: budget_of(limits.to_vec(), &clock),
        clock: clock.clone(),
        ids: Arc::new(Ids::seeded(seed)),
        arrivals: Arc::default(),
        left,
        idle,
    };
    let mut tasks = JoinSet::new();
    for task in 0..40 {
        let location = if task % 2 == 0 { "a" } else { "b" };
        tasks.spawn(callers.clone().work(location, halves[task / 2 % 2]));
    }
    live(&clock, &mut tasks).await;
    std::mem::take(&mut *callers.arrivals.lock().unwrap())
}

fn times(arrivals: &[(Millis, bool)], chosen: impl Fn(bool) -> bool) -> Vec<Millis> {
    arrivals.iter().filter(|(_, writes)| chosen(*writes)).map(|(at, _)| *at).collect()
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
    let limits = [Limit::in_ten_seconds(number(LIMIT as u32)), Limit::in_a_day(number(200_000))];
    for (location, arrivals) in arrivals(seed, &limits, ALIKE, idle).await {
        let arrivals = times(&arrivals, |_| true);
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
    let limits = [Limit::in_ten_seconds(number(100)), Limit::in_a_day(number(LIMIT as u32))];
    for (location, arrivals) in arrivals(seed, &limits, ALIKE, 0).await {
        let arrivals = times(&arrivals, |_| true);
        assert_never_more(&arrivals, LIMIT, DAY);
        assert_never_more(&arrivals, 100, SHORT);
        assert!(arrivals.len() / LIMIT >= 3);
        assert_nearly_all_used(location, &arrivals, LIMIT, DAY);
    }
}

/// Fails when a window held less than nine tenths of what it may, from the first arrival to the last.
fn assert_nearly_all_used(location: &str, arrivals: &[Millis], limit: usize, length: Duration) {
    for window in 0..(arrivals.len() / limit) as u32 {
        let from = arrivals[0] + length * window;
        let made = arrivals.iter().filter(|at| (from..from + length).contains(*at)).count();
        assert!(made >= limit * 9 / 10, "{location}: {made} calls in the {window}. {length:?}");
    }
}

#[rstest]
#[tokio::test]
async fn no_minute_ever_holds_more_calls_and_no_hour_more_writes_than_allowed(
    #[values(1, 2)] seed: u64,
    #[values(0, 20)] idle: u64,
) {
    const CALLS: usize = 60;
    const A_HOUR: usize = 100;
    const HALVES: Halves = [&[BEGINS, GOES_ON], &[WRITES]];
    let limits = [
        Limit::in_ten_seconds(number(20)),
        Limit::in_a_minute(number(CALLS as u32)),
        Limit::writes_in_an_hour(number(A_HOUR as u32)),
    ];
    for (location, arrivals) in arrivals(seed, &limits, HALVES, idle).await {
        let (all, writes) = (times(&arrivals, |_| true), times(&arrivals, |writes| writes));
        assert_never_more(&all, 20, SHORT);
        assert_never_more(&all, CALLS, MINUTE);
        assert_never_more(&writes, A_HOUR, HOUR);
        if idle == 0 {
            assert!(all.len() > 2_000);
            assert_nearly_all_used(location, &all[..all.len() - CALLS], CALLS, MINUTE);
        }
    }
}

#[tokio::test]
async fn an_hour_of_nothing_but_writes_is_used_and_never_passed() {
    let limits = [Limit::in_a_minute(number(60)), Limit::writes_in_an_hour(number(100))];
    for (location, arrivals) in arrivals(3, &limits, [&[WRITES]; 2], 0).await {
        let writes = times(&arrivals, |_| true);
        assert_never_more(&writes, 100, HOUR);
        assert_nearly_all_used(location, &writes, 100, HOUR);
    }
}

#[tokio::test]
async fn a_write_that_waits_for_the_hour_is_put_off_and_holds_up_no_read() {
    let clock = ManualClock::at(Millis::parse(NOON).unwrap());
    let limits = vec![Limit::in_a_minute(number(60)), Limit::writes_in_an_hour(number(3))];
    let allowance = budget_of(limits, &clock).of("a", System::Ghl);
    for _ in 0..3 {
        drop(allowance.pass(WRITES).await.unwrap());
        clock.advance(Duration::from_mins(10));
    }
    let waits = [put_off(&*allowance, WRITES).await, put_off(&*allowance, WRITES).await];
    let place = |minutes| Some(Duration::from_mins(minutes));
    assert_eq!(waits, [place(30), place(40)], "each is told a place of its own");
    assert!(allowance.pass(BEGINS).await.is_ok() && allowance.pass(GOES_ON).await.is_ok());
    clock.advance(Duration::from_mins(30));
    drop(allowance.pass(WRITES).await.unwrap());
    assert_eq!(put_off(&*allowance, WRITES).await, place(20), "another one has the next place");
}

#[tokio::test]
async fn each_workspace_and_system_has_a_budget_of_its_own() {
    let (budget, _) = budget(2, 9);
    let _open = [budget.of("a", System::Ghl).pass(GOES_ON).await, budget.of("a", System::Ghl).pass(GOES_ON).await];
    assert!(budget.of("a", System::Ghl).pass(BEGINS).await.is_err());
    assert!(budget.of("b", System::Ghl).pass(BEGINS).await.is_ok());
    assert!(budget.of("a", System::Timify).pass(BEGINS).await.is_ok(), "no limit was set");
}

#[tokio::test]
async fn a_call_counts_until_a_window_after_its_end_however_long_it_is_on_its_way() {
    let (budget, clock) = budget(1, 9);
    let allowance = budget.of("a", System::Ghl);
    let leave = allowance.pass(GOES_ON).await.unwrap();
    clock.advance(secs(15));
    assert!(allowance.pass(BEGINS).await.is_err(), "the vendor may see it only now");
    drop(leave);
    assert_eq!(put_off(&*allowance, BEGINS).await, Some(SHORT));
    clock.advance(SHORT);
    assert!(allowance.pass(BEGINS).await.is_ok());
}

#[tokio::test]
async fn the_last_part_is_left_to_those_who_go_on_with_something() {
    let (budget, _) = budget(20, 99);
    let allowance = budget.of("a", System::Ghl);
    for _ in 0..18 {
        drop(allowance.pass(BEGINS).await.unwrap());
    }
    assert!(allowance.pass(BEGINS).await.is_err());
    drop(allowance.pass(GOES_ON).await.unwrap());
    drop(allowance.pass(GOES_ON).await.unwrap());
}

fn ranked(errand: Errand, priority: Priority) -> Errand {
    Errand { priority, ..errand }
}

/// How many such calls there is room for.
fn room(allowance: &dyn Allowance, errand: Errand) -> usize {
    let mut passed = 0;
    while let Some(Ok(leave)) = allowance.pass(errand).now_or_never() {
        drop(leave);
        passed += 1;
    }
    passed
}

#[rstest]
#[case::of_seconds(Limit::in_ten_seconds(number(20)))]
#[case::of_a_day(Limit::in_a_day(number(20)))]
#[tokio::test]
async fn each_rank_leaves_room_to_those_above_it(#[case] limit: Limit) {
    let clock = ManualClock::at(Millis::parse(NOON).unwrap());
    let allowance = budget_of(vec![limit], &clock).of("a", System::Ghl);
    let update = Errand { begins: true, ..WRITES };
    let mut passed = Vec::new();
    for priority in [Priority::Backfill, Priority::Reconcile, Priority::Retry, Priority::Live] {
        passed.push(room(&*allowance, ranked(BEGINS, priority)));
    }
    passed.push(room(&*allowance, update));
    assert_eq!(passed, [12, 2, 2, 2, 2]);
}

#[tokio::test]
async fn what_a_backfill_began_goes_on_as_anything_else() {
    let (budget, _) = budget(20, 99);
    assert_eq!(room(&*budget.of("a", System::Ghl), ranked(GOES_ON, Priority::Backfill)), 20);
}

#[tokio::test]
async fn what_ranks_above_does_not_stand_behind_those_who_were_put_off() {
    let clock = ManualClock::at(Millis::parse(NOON).unwrap());
    let allowance = budget_of(vec![Limit::in_a_minute(number(10))], &clock).of("a", System::Ghl);
    let backfill = ranked(BEGINS, Priority::Backfill);
    for _ in 0..6 {
        drop(allowance.pass(backfill).await.unwrap());
        clock.advance(secs(1));
    }
    let waits = [put_off(&*allowance, backfill).await, put_off(&*allowance, backfill).await];
    assert_eq!(waits, [Some(secs(54)), Some(secs(55))]);
    for _ in 0..3 {
        drop(allowance.pass(BEGINS).await.unwrap());
    }
    assert_eq!(put_off(&*allowance, BEGINS).await, Some(secs(54)), "the first place that comes free");
}

/// Lets one call through and tells what its answer said.
async fn learn(allowance: &dyn Allowance, seen: &RateSeen) {
    allowance.pass(BEGINS).await.unwrap().learn(seen);
}

#[tokio::test]
async fn a_429_stops_everybody_and_one_call_tries_again() {
    let (budget, clock) = budget(100, 999);
    let allowance = budget.of("a", System::Ghl);
    learn(&*allowance, &RateSeen { refused: true, retry_after: Some(secs(7)), ..RateSeen::default() }).await;
    assert_eq!(put_off(&*allowance, BEGINS).await, Some(secs(7)));
    clock.advance(secs(7));
    let probe = allowance.pass(BEGINS).await.unwrap();
    let waits = tokio::spawn({
        let allowance = allowance.clone();
        async move { allowance.pass(GOES_ON).await.is_ok() }
    });
    while clock.sleeping() == 0 {
        assert!(!waits.is_finished(), "it did not wait for the one that tries");
        tokio::task::yield_now().await;
    }
    probe.learn(&RateSeen { refused: true, interval: Some(secs(10)), ..RateSeen::default() });
    drop(probe);
    clock.advance(secs(10));
    // Without an answer nothing is known: the next one tries.
    drop(allowance.pass(BEGINS).await.unwrap());
    allowance.pass(BEGINS).await.unwrap().learn(&RateSeen::default());
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
    let wait = put_off(&*allowance, BEGINS).await.unwrap_or_default();
    assert!((secs(least)..=secs(most)).contains(&wait), "{wait:?}");
}

#[tokio::test]
async fn a_spent_day_is_tried_again_when_the_vendors_next_day_may_have_begun() {
    let (budget, clock) = budget(100, 999);
    let allowance = budget.of("a", System::Ghl);
    clock.advance(Duration::from_mins(11 * 60 + 50));
    learn(&*allowance, &RateSeen { day_left: Some(0), ..RateSeen::default() }).await;
    assert_eq!(put_off(&*allowance, BEGINS).await, Some(Duration::from_mins(10)));
}

#[tokio::test]
async fn a_limit_that_the_vendor_states_is_kept_when_it_is_the_smaller_one() {
    let (budget, _) = budget(100, 999);
    let allowance = budget.of("a", System::Ghl);
    learn(&*allowance, &RateSeen { burst: Some(3), ..RateSeen::default() }).await;
    let (second, third) = (allowance.pass(GOES_ON).await, allowance.pass(GOES_ON).await);
    assert!(second.is_ok() && third.is_ok() && allowance.pass(BEGINS).await.is_err());
    learn_all(&*second.unwrap(), 1_000);
    let mut open = Vec::new();
    for _ in 0..97 {
        open.push(allowance.pass(GOES_ON).await.unwrap());
    }
    assert!(allowance.pass(BEGINS).await.is_err(), "ours is the smaller one");
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

/// Makes calls that end so, and gives what the next one is told.
async fn ended(allowance: &dyn Allowance, well: &[bool]) -> Option<Denied> {
    for well in well {
        allowance.pass(BEGINS).await.unwrap().ended(*well);
    }
    allowance.pass(BEGINS).now_or_never().unwrap().err()
}

#[tokio::test]
async fn what_fails_again_and_again_is_tried_now_and_then_by_one_call() {
    let (budget, clock) = budget(900, 9_999);
    let allowance = budget.of("a", System::Ghl);
    assert_eq!(ended(&*allowance, &[false, false, false, false, true]).await, None, "not in a row");
    let left_before = allowance.pass(BEGINS).await.unwrap();
    let failing = |seconds| Some(Denied::Failing(secs(seconds)));
    assert_eq!(ended(&*allowance, &[false; 5]).await, failing(2));
    left_before.ended(false);
    drop(left_before);
    assert!(budget.of("b", System::Ghl).pass(BEGINS).await.is_ok(), "another's account");
    for wait in [2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(allowance.pass(GOES_ON).await.err(), failing(wait));
        clock.advance(secs(wait));
        let probe = allowance.pass(BEGINS).await.unwrap();
        assert_eq!(allowance.pass(WRITES).await.err(), failing(2), "one is enough");
        probe.learn(&RateSeen::default());
        probe.ended(false);
    }
    clock.advance(secs(60));
    assert_eq!(ended(&*allowance, &[true, false, false, false, false]).await, None, "it is counted anew");
}

#[tokio::test]
async fn a_clock_that_is_set_back_stops_nobody_for_longer_than_a_window() {
    let (noon, clock) = (Millis::parse(NOON).unwrap(), ManualClock::at(Millis::parse(NOON).unwrap()));
    let mut state = State::new(&[Limit::in_ten_seconds(number(2))]);
    for _ in 0..2 {
        state.enter(GOES_ON, noon).unwrap();
        state.leave(GOES_ON, false, noon);
    }
    let before = noon - HOUR;
    let wait = |state: &mut State, now| wait(state.enter(GOES_ON, now).unwrap_err());
    assert!(wait(&mut state, before) <= SHORT + secs(1));
    assert!(state.enter(GOES_ON, before + SHORT + secs(1)).is_ok());
    state.learn(
        &RateSeen { refused: true, retry_after: Some(secs(7)), ..RateSeen::default() },
        false,
        secs(0),
        clock.now(),
    );
    assert_eq!(wait(&mut state, before), secs(7));
    assert_eq!(wait(&mut state, before + secs(6)), secs(1));
}

#[tokio::test]
async fn a_probe_that_has_no_end_is_followed_by_another() {
    let (budget, clock) = budget(900, 9_999);
    let allowance = budget.of("a", System::Ghl);
    ended(&*allowance, &[false; 5]).await;
    clock.advance(secs(2));
    drop(allowance.pass(BEGINS).await.unwrap());
    assert!(allowance.pass(BEGINS).await.is_ok());
}
