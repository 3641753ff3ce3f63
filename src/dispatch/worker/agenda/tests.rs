use super::*;
use crate::model::{MirrorState, Priority};
use crate::store::Times;

const NOW: Millis = Millis(100_000);
const AGAIN: Millis = Millis(101_000);

fn key(n: u128) -> Key {
    (EntityId(Uuid::from_u128(n)), System::Ghl)
}

fn mirror(n: u128, due: i64, priority: Priority) -> Mirror {
    Mirror { due: Millis(due), state: MirrorState::Due, priority, ..Mirror::new("w", key(n).0, key(n).1) }
}

fn news(mirrors: &[Mirror]) -> News {
    let mirrors = mirrors.iter().map(|mirror| ((mirror.entity, mirror.system), Due::of(mirror))).collect();
    News { mirrors, ..News::default() }
}

fn outlook(inbox: [Option<i64>; 2], mirrors: [Option<i64>; 2]) -> Outlook {
    let times = |[first, later]: [Option<i64>; 2]| Times { first: first.map(Millis), later: later.map(Millis) };
    Outlook { mode: Mode::Live, inbox: times(inbox), mirrors: times(mirrors) }
}

/// One that asked the rows a moment ago, which knew of nothing.
fn quiet() -> Agenda {
    let mut agenda = Agenda::default();
    agenda.looked(&outlook([None; 2], [None; 2]), NOW, AGAIN);
    agenda
}

fn taken(agenda: &mut Agenda, now: Millis, most: usize) -> Vec<Key> {
    agenda.take(now, most, |_| true).into_iter().map(|(key, _)| key).collect()
}

#[test]
fn what_is_live_is_next_then_what_is_due_longest() {
    let mut agenda = quiet();
    agenda.hear(news(&[
        mirror(1, 10, Priority::Backfill),
        mirror(2, 30, Priority::Live),
        mirror(3, 20, Priority::Live),
        mirror(4, 100_001, Priority::Live),
    ]));
    assert_eq!(agenda.next(NOW), Some(Millis(100_001)));
    let not_2 = |one: &Key| *one != key(2);
    assert_eq!(agenda.take(NOW, 9, not_2), [(key(3), Priority::Live), (key(1), Priority::Backfill)]);
    assert_eq!(taken(&mut agenda, Millis(100_001), 1), [key(2)]);
    assert_eq!(taken(&mut agenda, Millis(100_001), 9), [key(4)]);
}

#[test]
fn what_rests_by_now_is_not_next() {
    let mut agenda = quiet();
    agenda.hear(news(&[mirror(1, 10, Priority::Live), mirror(2, 10, Priority::Live)]));
    agenda.hear(news(&[Mirror { state: MirrorState::Idle, ..mirror(1, 10, Priority::Live) }]));
    assert_eq!(taken(&mut agenda, NOW, 9), [key(2)]);
}

#[test]
fn the_rows_are_asked_at_first_when_somebody_rang_and_from_time_to_time() {
    let mut agenda = Agenda::default();
    assert_eq!(agenda.mode(NOW), None);
    agenda.looked(&outlook([None; 2], [None; 2]), NOW, AGAIN);
    assert_eq!((agenda.mode(NOW), agenda.mode(AGAIN)), (Some(Mode::Live), None));
    agenda.wake();
    assert_eq!(agenda.mode(NOW), None);
    agenda.looked(&outlook([Some(5), None], [None; 2]), NOW, Millis(AGAIN.0 + 500));
    assert!(agenda.has_changes(NOW));
    assert_eq!(agenda.mode(AGAIN), None, "who is rung for all the time asks all the same");
    agenda.doubt();
    assert_eq!(agenda.mode(NOW), None);
}

#[test]
fn another_lease_knows_nothing() {
    let mut agenda = quiet();
    let lease = |fence| Lease { workspace: "w".to_owned(), owner: "us".to_owned(), fence, until: Millis(0) };
    agenda.under(&lease(1));
    agenda.looked(&outlook([None; 2], [None; 2]), NOW, AGAIN);
    agenda.hear(news(&[mirror(1, 10, Priority::Live)]));
    agenda.under(&lease(1));
    assert_eq!(taken(&mut agenda, NOW, 9), [key(1)]);
    agenda.hear(news(&[mirror(1, 10, Priority::Live)]));
    agenda.under(&lease(2));
    assert_eq!((taken(&mut agenda, NOW, 9), agenda.mode(NOW)), (vec![], None));
}

#[test]
fn what_the_rows_know_beside_the_queue_is_asked_for_once() {
    let mut agenda = Agenda::default();
    agenda.looked(&outlook([None; 2], [Some(10), Some(100_500)]), NOW, AGAIN);
    assert!(agenda.may_be_more());
    agenda.found(&[mirror(1, 10, Priority::Live)], true);
    assert!(!agenda.may_be_more());
    assert_eq!(agenda.mode(Millis(100_500)), None, "another one is due then, which nobody told of");
    // Its lane runs: its row is due all the time.
    agenda.wake();
    agenda.looked(&outlook([None; 2], [Some(10), None]), NOW, AGAIN);
    assert!(!agenda.may_be_more());
}

#[test]
fn what_is_known_to_be_due_later_is_not_asked_for() {
    let mut agenda = quiet();
    agenda.hear(news(&[mirror(1, 100_500, Priority::Backfill)]));
    agenda.wake();
    agenda.looked(&outlook([None; 2], [Some(100_500), Some(100_500)]), NOW, AGAIN);
    assert_eq!(agenda.mode(Millis(100_500)), Some(Mode::Live));
    assert_eq!(agenda.next(NOW), Some(Millis(100_500)));
}

#[test]
fn changes_that_came_in_are_decided_without_asking_what_there_is_to_do() {
    let mut agenda = quiet();
    agenda.came_in(NOW);
    agenda.came_in(Millis(NOW.0 + 1));
    assert_eq!(agenda.changes.len(), 1, "nobody decides where the lease is another's");
    assert_eq!((agenda.mode(NOW), agenda.has_changes(NOW)), (Some(Mode::Live), true));
    agenda.decided(true, NOW);
    assert!(!agenda.has_changes(NOW));
}

#[test]
fn changes_are_due_when_they_were_told_to_be() {
    let mut agenda = quiet();
    agenda.hear(News { changes: vec![Millis(100_300), Millis(100_200)], ..News::default() });
    assert!(!agenda.has_changes(NOW));
    assert_eq!(agenda.next(NOW), Some(Millis(100_200)));
    agenda.decided(true, Millis(100_200));
    assert_eq!(agenda.next(NOW), Some(Millis(100_300)));
    agenda.decided(false, Millis(100_300));
    assert!(agenda.has_changes(Millis(100_300)), "more came in than was decided");
}

#[test]
fn no_more_are_kept_in_mind_than_so_many_and_those_are_the_first() {
    let (mut agenda, most) = (quiet(), MOST as u128);
    for n in (1..=most + 2).rev() {
        agenda.hear(news(&[mirror(n, n as i64, Priority::Live)]));
    }
    assert_eq!((agenda.known.len(), agenda.queue.len()), (MOST, MOST));
    let first: Vec<Key> = (1..=most).map(key).collect();
    assert_eq!(taken(&mut agenda, NOW, MOST + 9), first);
    assert!(agenda.may_be_more(), "the rows know the rest");
}

/// A first run over thousands of contacts once took what became due last before what had been due all the time.
#[test]
fn a_backlog_is_taken_in_the_order_of_the_rows() {
    let mut agenda = Agenda::default();
    agenda.looked(&outlook([None; 2], [Some(10), None]), NOW, AGAIN);
    agenda.hear(news(&[mirror(9, 90, Priority::Backfill), mirror(8, 80, Priority::Live)]));
    assert_eq!(taken(&mut agenda, NOW, 9), [], "first the rows are to be asked");
    agenda.found(&[mirror(8, 80, Priority::Live), mirror(1, 10, Priority::Backfill)], false);
    assert_eq!(taken(&mut agenda, NOW, 9), [key(8), key(1)]);
    agenda.found(&[mirror(2, 20, Priority::Backfill), mirror(9, 90, Priority::Backfill)], true);
    agenda.hear(news(&[mirror(10, 95, Priority::Backfill)]));
    assert_eq!(taken(&mut agenda, NOW, 9), [key(2), key(9), key(10)]);
}

#[test]
fn what_is_due_after_the_rows_are_asked_again_they_tell() {
    let mut agenda = quiet();
    agenda.hear(news(&[mirror(1, AGAIN.0 + 1, Priority::Live), mirror(2, AGAIN.0, Priority::Live)]));
    assert_eq!((agenda.known.len(), agenda.next(NOW)), (1, Some(AGAIN)));
}
