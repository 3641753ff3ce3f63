use super::*;
use crate::clock::{ManualClock, Millis};
use crate::store::memory::Memory;

const LASTS: Duration = Duration::from_secs(15);
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Processes on one store, at one time.
struct Bench {
    store: Arc<Memory>,
    clock: ManualClock,
}

impl Bench {
    fn new() -> Self {
        Self { store: Arc::new(Memory::new()), clock: ManualClock::at(Millis(1_000)) }
    }

    fn process(&self, owner: &str) -> Holder {
        let mut wanted: Vec<String> = NAMES.map(str::to_owned).into();
        wanted.push("(duty)".to_owned());
        Holder::new(self.store.clone(), Arc::new(self.clock.clone()), owner.to_owned(), LASTS, wanted)
    }

    /// Each in turn, a second later.
    async fn turns(&self, processes: &[&Holder]) {
        self.clock.advance(ASKING);
        for process in processes {
            process.renew().await.unwrap();
        }
    }
}

/// What a process may work.
fn works(process: &Holder) -> String {
    NAMES.iter().filter(|name| process.lease(name).is_some()).copied().collect()
}

fn rest(process: &Holder) {
    for name in NAMES {
        process.at_rest(name);
    }
}

#[tokio::test]
async fn who_is_alone_holds_everything_and_gives_half_to_who_comes() {
    let bench = Bench::new();
    let (one, two) = (bench.process("one"), bench.process("two"));
    bench.turns(&[&one]).await;
    assert_eq!((works(&one).as_str(), one.pause()), ("abcde", LASTS / 3));
    bench.turns(&[&two, &one]).await;
    assert_eq!((works(&one).as_str(), works(&two).as_str()), ("cde", ""), "what was begun in two ends first");
    bench.turns(&[&one, &two]).await;
    assert_eq!((works(&one).as_str(), works(&two).as_str()), ("cde", ""));
    rest(&one);
    bench.turns(&[&one, &two]).await;
    assert_eq!((works(&one).as_str(), works(&two).as_str()), ("cde", "ab"));
    for _ in 0..30 {
        bench.turns(&[&two, &one]).await;
        rest(&one);
        rest(&two);
    }
    assert_eq!((works(&one).as_str(), works(&two).as_str()), ("cde", "ab"), "so it stays");
    assert_eq!([one.lease("(duty)").is_some(), two.lease("(duty)").is_some()], [true, false]);
    assert_eq!([one.pause(), two.pause()], [ASKING; 2]);
}

#[tokio::test]
async fn what_a_dead_one_held_is_taken_when_its_leases_have_run_out_and_no_sooner() {
    let bench = Bench::new();
    let (one, two) = (bench.process("one"), bench.process("two"));
    bench.turns(&[&one, &two]).await;
    bench.turns(&[&one, &two]).await;
    rest(&one);
    bench.turns(&[&one, &two]).await;
    assert_eq!(works(&two).len(), 2);
    let live = bench.store.live_leases(bench.clock.now()).await.unwrap().into_iter();
    let until = live.filter(|lease| lease.owner == "one").map(|lease| lease.until).max().unwrap();
    while bench.clock.now() + ASKING < until {
        bench.turns(&[&two]).await;
        assert_eq!(works(&two).len(), 2);
    }
    bench.turns(&[&two]).await;
    assert_eq!((works(&two).as_str(), works(&one).as_str()), ("abcde", ""));
    assert!(two.lease("(duty)").is_some());
}

#[tokio::test]
async fn what_was_to_leave_stays_if_who_came_is_gone_again() {
    let bench = Bench::new();
    let (one, two) = (bench.process("one"), bench.process("two"));
    bench.turns(&[&one, &two, &one]).await;
    assert_eq!(works(&one), "cde");
    let fence = bench.store.live_leases(bench.clock.now()).await.unwrap();
    two.give_back().await.unwrap();
    bench.turns(&[&one]).await;
    rest(&one);
    bench.turns(&[&one]).await;
    assert_eq!(works(&one), "abcde");
    let again = bench.store.live_leases(bench.clock.now()).await.unwrap();
    let same = |name: &str| {
        let of = |leases: &[Lease]| leases.iter().find(|lease| lease.workspace == name).map(|lease| lease.fence);
        of(&fence) == of(&again)
    };
    assert!(NAMES.iter().all(|name| same(name)), "nobody else had them");
}

#[tokio::test]
async fn places_are_used_again_and_more_processes_than_workspaces_do_no_harm() {
    let bench = Bench::new();
    let processes: Vec<Holder> = (0..7).map(|number| bench.process(&format!("p{number}"))).collect();
    let all: Vec<&Holder> = processes.iter().collect();
    for _ in 0..10 {
        bench.turns(&all).await;
        for process in &all {
            rest(process);
        }
    }
    let shares: Vec<usize> = all.iter().map(|process| works(process).len()).collect();
    assert_eq!((shares.iter().sum::<usize>(), shares.iter().max()), (5, Some(&1)));
    for process in &all[1..] {
        process.give_back().await.unwrap();
    }
    bench.turns(&all[..1]).await;
    let later = bench.process("later");
    bench.turns(&[&later]).await;
    let places = bench.store.live_leases(bench.clock.now()).await.unwrap().into_iter();
    let places: Vec<String> = places.map(|lease| lease.workspace).filter(|name| name.starts_with(PLACE)).collect();
    assert_eq!(places, ["(process) 0", "(process) 1"]);
}
