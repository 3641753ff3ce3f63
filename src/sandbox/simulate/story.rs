//! A history: what people do in the three systems, and what goes wrong meanwhile. Made of a seed, before anything runs.
//!
//! In: a seed. Out: acts, each with a seed of its own, so that one left out (when a failing history is shortened) changes
//! nothing in the others.

use std::fmt;
use std::time::Duration;

use crate::model::{Kind, System};
use crate::sandbox::StandIn;
use crate::sandbox::faults::FaultKind;

/// Workspaces of a standard history.
pub const WORKSPACES: usize = 3;
/// Services that share the store.
pub const REPLICAS: usize = 2;
/// The fewest deeds of a standard history.
const DEEDS: std::ops::Range<usize> = 20..30;
/// The fewest troubles.
const TROUBLES: std::ops::Range<usize> = 10..16;

/// One act.
#[derive(Debug, Clone)]
pub struct Act {
    /// Its number.
    pub number: usize,
    /// When, from the beginning.
    pub after: Duration,
    /// For what is left to chance within it.
    pub seed: u64,
    /// What happens.
    pub what: What,
}

/// What happens.
#[derive(Debug, Clone, Copy)]
pub enum What {
    /// A person does something in a workspace's account.
    Deed(Deed),
    /// Something goes wrong.
    Trouble(Trouble),
}

/// Something that a person does.
#[derive(Debug, Clone, Copy)]
pub struct Deed {
    /// The workspace, counted from 0.
    pub workspace: usize,
    /// In which system.
    pub system: System,
    /// What.
    pub verb: Verb,
}

/// What people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Makes an object.
    Make(Kind),
    /// Makes a contact that may stand in another system already.
    Twin,
    /// Changes a field of an object.
    Change(Kind),
    /// Changes the same field of the same contact several times within seconds.
    Burst,
    /// Changes a field of an object while somebody else changes the same one in another system.
    Clash(Kind),
    /// Deletes an object while somebody else changes a field of it in another system.
    DeleteRace(Kind),
    /// Sets a field to what it was.
    Revert,
    /// Clears a field of a contact.
    Clear,
    /// Adds a tag.
    Tag,
    /// Removes a tag.
    Untag,
    /// Completes a task, or opens it again.
    Complete,
    /// Deletes an object, or cancels a booking.
    Delete(Kind),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trouble {
    /// The next requests to a stand-in fail this way.
    Answers(StandIn, FaultKind, u32),
    /// The next writes to a stand-in get no answer, and are applied later.
    LateWrites(StandIn, u32),
    /// The next requests to a stand-in cannot be sent.
    Unreachable(StandIn, u32),
    /// The next webhooks come several times.
    Double(StandIn, u32),
    /// The next webhooks never come.
    Lose(StandIn, u32),
    /// The next webhooks come late: minutes, so that others overtake them.
    Shuffle(StandIn, u32),
    /// The next webhooks come days late.
    Delay(StandIn, u32),
    /// A stand-in's clock is set: so many milliseconds ahead of ours.
    Skew(StandIn, i64),
    /// A replica is killed, and started again later.
    Crash(usize),
    /// A replica stands still for longer than its leases last.
    Freeze(usize),
    /// A workspace is reconciled.
    Reconcile(usize),
    /// A proven sender sends something that nobody understands.
    Strange(usize, Strangeness),
}

/// What is strange about a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangeness {
    /// It is no JSON.
    Garbled,
    /// It is of an account that nobody knows.
    Foreign,
    /// It is of a kind that nobody mirrors.
    Unknown,
}

impl Trouble {
    /// Its word in the coverage.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Answers(_, FaultKind::RateLimited, _) => "429",
            Self::Answers(_, FaultKind::Error500, _) => "500",
            Self::Answers(_, FaultKind::Down, _) => "503",
            Self::Answers(_, FaultKind::CutBeforeApply, _) => "time_out_not_applied",
            Self::Answers(_, FaultKind::CutAfterApply, _) => "time_out_applied",
            Self::Answers(_, FaultKind::Slow, _) => "slow",
            Self::LateWrites(..) => "time_out_applied_late",
            Self::Unreachable(..) => "unreachable",
            Self::Double(..) => "duplicate",
            Self::Lose(..) => "loss",
            Self::Shuffle(..) => "reorder",
            Self::Delay(..) => "delay_of_days",
            Self::Skew(..) => "clock_set",
            Self::Crash(_) => "crash",
            Self::Freeze(_) => "lost_lease",
            Self::Reconcile(_) => "reconcile",
            Self::Strange(..) => "strange_webhook",
        }
    }

    /// All words.
    pub const WORDS: [&'static str; 17] = [
        "429",
        "500",
        "503",
        "time_out_not_applied",
        "time_out_applied",
        "slow",
        "time_out_applied_late",
        "unreachable",
        "duplicate",
        "loss",
        "reorder",
        "delay_of_days",
        "clock_set",
        "crash",
        "lost_lease",
        "reconcile",
        "strange_webhook",
    ];
}

/// The stand-in that has a kind of object of a system.
pub fn stand_in(system: System, kind: Kind) -> StandIn {
    let extension = match (system, kind) {
        (System::Ghl, _) | (_, Kind::Appointment) | (System::Timify, Kind::Contact) => false,
        (System::Timify | System::Timerex, _) => true,
    };
    StandIn { system, extension }
}

/// All five.
pub const STAND_INS: [StandIn; 5] = [
    StandIn { system: System::Ghl, extension: false },
    StandIn { system: System::Timify, extension: false },
    StandIn { system: System::Timerex, extension: false },
    StandIn { system: System::Timify, extension: true },
    StandIn { system: System::Timerex, extension: true },
];

/// The history of a seed.
pub fn history(seed: u64) -> Vec<Act> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut whats: Vec<What> = (0..rng.usize(DEEDS)).map(|at| What::Deed(deed(at, &mut rng))).collect();
    for _ in 0..rng.usize(TROUBLES) {
        let at = rng.usize(1..=whats.len());
        whats.insert(at, What::Trouble(trouble(&mut rng)));
    }
    let mut after = Duration::ZERO;
    let mut acts = Vec::with_capacity(whats.len());
    for (number, what) in whats.into_iter().enumerate() {
        after += pause(number, &mut rng);
        acts.push(Act { number, after, seed: rng.u64(..), what });
    }
    acts
}

/// The time from one act to the next: at once, soon, later, after hours.
fn pause(number: usize, rng: &mut fastrand::Rng) -> Duration {
    let ms = match rng.u32(..100) {
        _ if number == 0 => 0,
        0..35 => rng.u64(0..400),
        35..60 => rng.u64(0..5_000),
        60..85 => rng.u64(0..60_000),
        85..96 => rng.u64(60_000..900_000),
        _ => rng.u64(900_000..20_000_000),
    };
    Duration::from_millis(ms)
}

/// The first deeds make people to work with; each workspace gets some.
fn deed(at: usize, rng: &mut fastrand::Rng) -> Deed {
    let workspace = if at < WORKSPACES { at } else { rng.usize(..WORKSPACES) };
    let system = System::ALL[rng.usize(..3)];
    let verb = if at < WORKSPACES {
        Verb::Make(Kind::Contact)
    } else {
        match rng.u32(..100) {
            0..6 => Verb::Make(Kind::Contact),
            6..9 => Verb::Twin,
            9..15 => Verb::Make(Kind::Task),
            15..19 => Verb::Make(Kind::Note),
            19..25 => Verb::Make(Kind::Appointment),
            25..48 => Verb::Change(Kind::Contact),
            48..50 => Verb::DeleteRace(Kind::Contact),
            50..51 => Verb::DeleteRace(Kind::Task),
            51..55 => Verb::Clash(Kind::Contact),
            55..58 => Verb::Clash(Kind::Note),
            58..62 => Verb::Change(Kind::Task),
            62..65 => Verb::Change(Kind::Note),
            65..70 => Verb::Change(Kind::Appointment),
            70..73 => Verb::Burst,
            73..75 => Verb::Revert,
            75..78 => Verb::Clear,
            78..85 => Verb::Tag,
            85..88 => Verb::Untag,
            88..92 => Verb::Complete,
            92..94 => Verb::Delete(Kind::Contact),
            94..96 => Verb::Delete(Kind::Task),
            96..97 => Verb::Delete(Kind::Note),
            _ => Verb::Delete(Kind::Appointment),
        }
    };
    Deed { workspace, system, verb }
}

fn trouble(rng: &mut fastrand::Rng) -> Trouble {
    let at = STAND_INS[rng.usize(..STAND_INS.len())];
    let few = rng.u32(1..4);
    match rng.u32(..100) {
        0..6 => Trouble::Answers(at, FaultKind::RateLimited, few),
        6..12 => Trouble::Answers(at, FaultKind::Error500, few),
        12..16 => Trouble::Answers(at, FaultKind::Down, few * 2),
        16..22 => Trouble::Answers(at, FaultKind::CutBeforeApply, few),
        22..30 => Trouble::Answers(at, FaultKind::CutAfterApply, few),
        30..33 => Trouble::Answers(at, FaultKind::Slow, few),
        33..41 => Trouble::LateWrites(at, few),
        41..44 => Trouble::Unreachable(at, few),
        44..50 => Trouble::Double(at, few),
        50..57 => Trouble::Lose(at, few),
        57..64 => Trouble::Shuffle(at, few * 2),
        64..68 => Trouble::Delay(at, few),
        68..74 => Trouble::Skew(at, rng.i64(-240_000..240_000)),
        74..86 => Trouble::Crash(rng.usize(..REPLICAS)),
        86..91 => Trouble::Freeze(rng.usize(..REPLICAS)),
        91..95 => {
            let strange = [Strangeness::Garbled, Strangeness::Foreign, Strangeness::Unknown][rng.usize(..3)];
            Trouble::Strange(rng.usize(..WORKSPACES), strange)
        }
        _ => Trouble::Reconcile(rng.usize(..WORKSPACES)),
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, ms) = (self.number, self.after.as_millis());
        write!(f, "{number:>3} +{}.{:03}s ", ms / 1_000, ms % 1_000)?;
        match &self.what {
            What::Deed(Deed { workspace, system, verb }) => write!(f, "ws{} {system}: {verb:?}", workspace + 1),
            What::Trouble(trouble) => write!(f, "{trouble:?}"),
        }
    }
}
