//! Workspaces: one customer's accounts, and the policies that hold for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{FieldRules, Kind, Order, System, words};
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
        /// It stays there, is kept equal between the rest, and is not made again where it was deleted.
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
    /// How rival edits of single fields are settled, where it is not by the newest.
    pub rules: FieldRules,
    /// Which contacts are created where.
    pub create: BTreeMap<System, CreateRule>,
    /// What deletions do.
    pub on_delete: BTreeMap<Kind, OnDelete>,
    /// When a read precedes a write.
    pub read_before_write: ReadBeforeWrite,
    /// The same, where it is another for one system and kind.
    pub read_before_write_of: BTreeMap<(System, Kind), ReadBeforeWrite>,
    /// The systems that may write to customers by themselves when we change something there.
    pub notify: BTreeSet<System>,
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
    /// Tries of one step before it may be parked.
    pub tries: u32,
    /// How long a step is tried at least before it is parked.
    pub horizon: Duration,
    /// The longest wait between two tries.
    pub backoff: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        use CreateRule::{All, Booked};
        Self {
            order: Order::default(),
            rules: FieldRules::new(),
            create: [(System::Ghl, All), (System::Timify, Booked), (System::Timerex, Booked)].into(),
            on_delete: Kind::ALL.iter().map(|kind| (*kind, default_on_delete(*kind))).collect(),
            read_before_write: ReadBeforeWrite::Always,
            read_before_write_of: BTreeMap::new(),
            notify: BTreeSet::new(),
            round_minutes: false,
            region: None,
            join_window: Duration::from_mins(1),
            late_write: Duration::from_mins(10),
            create_settle: Duration::from_secs(40),
            guards: Guards::default(),
            limits: Limits {
                fuse: 30,
                creates_per_hour: 500,
                deletes_per_hour: 50,
                lanes: 16,
                tries: 20,
                horizon: Duration::from_hours(72),
                backoff: Duration::from_hours(1),
            },
        }
    }
}

impl Policy {
    /// When a read precedes an update or delete of an object of this kind in this system.
    pub fn reads_before(&self, system: System, kind: Kind) -> ReadBeforeWrite {
        self.read_before_write_of.get(&(system, kind)).copied().unwrap_or(self.read_before_write)
    }
}

fn default_on_delete(kind: Kind) -> OnDelete {
    if kind == Kind::Contact { OnDelete::Unlink } else { OnDelete::Mirror }
}

/// What TIMIFY has no objects for, and what is made of it there where no extension holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// Whether notes stand in the customer's notes field.
    pub notes: bool,
    /// The label of the customer field that holds the tags.
    pub tags_field: Option<String>,
    /// Whether that field is made if the company does not have it.
    pub make_tags_field: bool,
}

impl Default for Projection {
    fn default() -> Self {
        Self { notes: true, tags_field: None, make_tags_field: false }
    }
}

/// One customer's accounts, without their secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workspace {
    /// Its name in the configuration.
    pub name: String,
    /// The account in each system: a GHL location, a TIMIFY company, a TimeRex team (its url path).
    pub accounts: BTreeMap<System, String>,
    /// What an account calls the fields that no system names for all: our name of the field, and the vendor's (a custom
    /// field's id; for TimeRex the label of a question).
    pub fields: BTreeMap<System, BTreeMap<String, String>>,
    /// What is put into TIMIFY's customers that TIMIFY has no objects for.
    pub projection: Projection,
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
