//! Workspaces: one customer's accounts, and the policies that hold for them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Kind, Order, System, words};
use crate::clock::Millis;

words! {
    /// Whether a workspace may write.
    Mode {
        /// Everything is decided and planned, nothing is written.
        Shadow = "shadow",
        /// It writes.
        Live = "live",
    }
}

words! {
    /// Which contacts are created in a system.
    CreateRule {
        /// All of them.
        All = "all",
        /// Those with an appointment.
        Booked = "booked",
        /// None.
        Off = "off",
    }
}

words! {
    /// What a deletion in one system does in the others.
    OnDelete {
        /// It is deleted there too.
        Mirror = "mirror",
        /// It stays there, and is no longer kept equal.
        Unlink = "unlink",
        /// A person decides.
        Hold = "hold",
    }
}

words! {
    /// When a read precedes an update or delete (R9).
    ReadBeforeWrite {
        /// Always.
        Always = "always",
        /// Only when there is a doubt; saves the call, and accepts that an unseen edit may be overwritten.
        InDoubt = "in_doubt",
    }
}

/// One row of the calendar table: the calendars that are one in all systems.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CalendarRow {
    /// The name that appointments carry.
    pub name: String,
    /// The GHL calendar id.
    pub ghl: Option<String>,
    /// The TIMIFY service id.
    pub timify_service: Option<String>,
    /// The TIMIFY resource id.
    pub timify_resource: Option<String>,
    /// The TimeRex calendar id.
    pub timerex: Option<String>,
    /// The TimeRex calendar url path, by which its webhooks name it.
    pub timerex_url_path: Option<String>,
}

/// The policies of one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How stamps are ordered.
    pub order: Order,
    /// Which contacts are created where.
    pub create: BTreeMap<System, CreateRule>,
    /// What deletions do.
    pub on_delete: BTreeMap<Kind, OnDelete>,
    /// When a read precedes a write.
    pub read_before_write: ReadBeforeWrite,
    /// Whether minutes that a system cannot hold are rounded.
    pub round_minutes: bool,
    /// The default country of phone numbers, ISO two-letter code.
    pub region: Option<String>,
    /// How long the first half of a moved booking waits for the other.
    pub join_window: Duration,
    /// The longest time after which a write without an answer may still be applied (R5).
    pub late_write: Duration,
    /// After a create without a clear answer: how long no look-up is conclusive (R11).
    pub create_settle: Duration,
    /// Limits.
    pub limits: Limits,
    /// Guards that a rehearsal may take out.
    pub guards: Guards,
}

/// Guards that stand in production; the demo takes one out to show that it would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// An observation that says what is known ends as an echo.
    pub echo: bool,
    /// A webhook that was recorded before is no new row.
    pub dedup: bool,
    /// What goes out is the difference from the snapshot.
    pub snapshot: bool,
}

impl Default for Guards {
    fn default() -> Self {
        Self { echo: true, dedup: true, snapshot: true }
    }
}

/// Limits of one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The fuse: writes per entity and system in ten minutes before it is parked.
    pub fuse: u32,
    /// The brake: creates per system and hour before the rest is held for approval.
    pub creates_per_hour: u32,
    /// The brake: deletes per system and hour before the rest is held for approval.
    pub deletes_per_hour: u32,
    /// Lanes worked side by side.
    pub lanes: usize,
    /// Tries of one step before it is parked.
    pub tries: u32,
    /// The longest wait between two tries.
    pub backoff: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        use CreateRule::{All, Booked};
        Self {
            order: Order::default(),
            create: [(System::Ghl, All), (System::Timify, Booked), (System::Timerex, Booked)].into(),
            on_delete: Kind::ALL.iter().map(|kind| (*kind, default_on_delete(*kind))).collect(),
            read_before_write: ReadBeforeWrite::Always,
            round_minutes: false,
            region: None,
            join_window: Duration::from_mins(1),
            late_write: Duration::from_mins(10),
            create_settle: Duration::from_secs(25),
            guards: Guards::default(),
            limits: Limits {
                fuse: 30,
                creates_per_hour: 500,
                deletes_per_hour: 50,
                lanes: 16,
                tries: 20,
                backoff: Duration::from_hours(1),
            },
        }
    }
}

fn default_on_delete(kind: Kind) -> OnDelete {
    if kind == Kind::Contact { OnDelete::Unlink } else { OnDelete::Mirror }
}

/// One customer's accounts, without their secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workspace {
    /// Its name in the configuration.
    pub name: String,
    /// The account in each system: a GHL location, a TIMIFY company, a TimeRex team (its url path).
    pub accounts: BTreeMap<System, String>,
    /// The systems that have an extension endpoint here.
    pub extensions: Vec<System>,
    /// The calendars that are one.
    pub calendars: Vec<CalendarRow>,
    /// Its policies.
    pub policy: Policy,
}

/// The right of one running service to work a workspace, with its fencing number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The workspace.
    pub workspace: String,
    /// Who holds it.
    pub owner: String,
    /// Rises each time the lease changes hands; a write with an older number is refused.
    pub fence: i64,
    /// Until when.
    pub until: Millis,
}
