//! The counter-examples of deciding that need a lane, a wire and time: histories of their own, each in some worlds.

use std::time::Duration;

use super::story::{Act, Deed, Trouble, Verb, What, stand_in};
use super::{Run, play_acts};
use crate::model::{Kind, System};
use crate::sandbox::faults::FaultKind;

const WORLDS: std::ops::RangeInclusive<u64> = 1..=12;

/// Plays what happens, one a second, in some worlds; and what of it occurred.
fn each(whats: &[What], of: &str) -> u64 {
    each_at(&(0..).zip(whats.iter().copied()).collect::<Vec<_>>(), of)
}

/// Plays what happens, each in its second.
fn each_at(whats: &[(u64, What)], of: &str) -> u64 {
    let occurred = WORLDS.map(|seed| {
        let act = |(number, (second, what)): (usize, &(u64, What))| {
            let (after, seed) = (Duration::from_secs(*second), seed * 100 + number as u64);
            Act { number, after, seed, what: *what }
        };
        let Run { broken, counts, .. } = play_acts(seed, whats.iter().enumerate().map(act).collect(), false).unwrap();
        assert_eq!(broken, [""; 0], "in the world of seed {seed}");
        counts.get(of).copied().unwrap_or_default()
    });
    occurred.sum()
}

fn deed(system: System, verb: Verb) -> What {
    What::Deed(Deed { workspace: 0, system, verb })
}

/// A contact of GHL is edited again and again, and GHL is slow to answer whoever reads it.
fn edited_while_it_is_read(edits: impl Iterator<Item = Verb>) {
    let slow = Trouble::Answers(stand_in(System::Ghl, Kind::Contact), FaultKind::Slow, 8);
    let mut whats = vec![deed(System::Ghl, Verb::Make(Kind::Contact)), What::Trouble(slow)];
    whats.extend(edits.map(|verb| deed(System::Ghl, verb)));
    assert!(each(&whats, "fault/slow") > 12);
}

/// Counter-example 6: R4. A webhook that comes while its object is read waits for another read.
#[test]
fn what_a_webhook_tells_while_its_object_is_read_is_not_judged_by_that_read() {
    edited_while_it_is_read(std::iter::repeat_n(Verb::Change(Kind::Contact), 12));
}

/// Found by simulation: what had just been typed was taken away again while it was read. The webhook said what was known before
/// and counted as an echo; the answer came after it, and what it showed was written everywhere until the next reconcile.
#[test]
fn what_a_webhook_takes_back_while_it_is_read_is_no_echo() {
    edited_while_it_is_read([Verb::Change(Kind::Contact), Verb::Clear].into_iter().cycle().take(16));
}

/// Counter-example 13: R11. A create gets no answer, a look finds nothing, and then it is applied.
#[test]
fn a_create_that_is_applied_after_nothing_was_found_is_not_made_again() {
    let late = |system| What::Trouble(Trouble::LateWrites(stand_in(system, Kind::Contact), 2));
    let mut whats = vec![late(System::Timify), late(System::Timerex), deed(System::Ghl, Verb::Make(Kind::Contact))];
    // Nobody is there to be changed; with the last deed all trouble is over.
    let nothing = Deed { workspace: 1, system: System::Ghl, verb: Verb::Change(Kind::Contact) };
    whats.extend([What::Deed(nothing); 60]);
    assert!(each(&whats, "fault/time_out_applied_late") > 12);
}

/// Found by simulation: a value that a person cleared long after our own clearing of it, without an answer, could have landed was
/// taken for ours and put back: nobody had looked at it since.
#[test]
fn what_is_cleared_when_a_late_write_can_no_longer_land_is_an_edit() {
    let change = deed(System::Timerex, Verb::Change(Kind::Contact));
    let mut whats = vec![(0, deed(System::Timerex, Verb::Make(Kind::Contact)))];
    whats.extend((5..25).map(|second| (second, change)));
    whats.push((60, What::Trouble(Trouble::LateWrites(stand_in(System::Timify, Kind::Contact), 2))));
    whats.push((61, deed(System::Timerex, Verb::Clear)));
    whats.extend((200..220).map(|second| (second, change)));
    whats.push((4_000, deed(System::Timify, Verb::Clear)));
    assert!(each_at(&whats, "fault/time_out_applied_late") > 12);
}
