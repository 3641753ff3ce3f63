//! What the stages know of a system: three traits and their errors.
//!
//! [`Terms`] (in `model`) is pure: what a system can hold, how it says it, and what its webhooks mean. [`Target`] calls the vendor.
//! [`Door`] reads what a webhook is about before anything else is known of it. A new system is one folder beside `ghl`, a
//! config section and a registry line.

pub mod allowance;
pub mod call;
pub mod capabilities;
pub mod extension;
pub mod ghl;
pub mod http_client;
pub mod inquiry;
pub mod offset;
pub mod secrets;
#[cfg(test)]
pub(crate) mod testing;
pub mod timerex;
pub mod timify;
pub mod trail;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use crate::clock::Millis;
use crate::model::{
    Action, ExternalId, Field, Fields, InvitationState, Kind, Link, Observation, Place, Standing, Step, System,
    Workspace,
};
pub use crate::model::{Expressed, Home, Terms, Unreadable};
use crate::secret::Secret;
use crate::verify::VerifiedWebhook;
pub use inquiry::{Inquiry, Inspected, NotAsked};

/// How long to wait after a 429 that does not say.
const UNSAID: Duration = Duration::from_secs(10);
/// The least wait after a 429, whatever it says.
const LEAST: Duration = Duration::from_secs(1);

/// What a webhook is about, read without knowing any workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What makes two deliveries the same one; `None` where the sender gives nothing to tell by.
    pub delivery: Option<String>,
    /// The account it names: a GHL location, a TIMIFY company, a TimeRex team url path.
    pub account: Option<String>,
    /// The sender's own word for it.
    pub label: String,
    /// What it is about.
    pub kind: Option<Kind>,
    /// The object.
    pub object: Option<ExternalId>,
    /// When the sender says it was made, on the sender's clock.
    pub at: Option<Millis>,
    /// [`Standing::Routed`] until a workspace says otherwise, [`Standing::Unparsed`] or [`Standing::NotMirrored`].
    pub standing: Standing,
    /// Why, in one line, when it is not routed.
    pub reason: Option<String>,
}

impl Envelope {
    /// The envelope of a body that could not be read.
    pub fn unparsed(reason: impl Into<String>) -> Self {
        Self {
            delivery: None,
            account: None,
            label: "unparsed".to_owned(),
            kind: None,
            object: None,
            at: None,
            standing: Standing::Unparsed,
            reason: Some(reason.into()),
        }
    }
}

/// Reads the envelope of a verified webhook. Never fails: what it cannot read is [`Standing::Unparsed`].
pub trait Door: Send + Sync {
    /// What the webhook is about. `extension` tells that the system's extension sent it.
    fn envelope(&self, webhook: &VerifiedWebhook) -> Envelope;
    /// The keys whose values are secrets, wherever they stand in the JSON of the system or of its extension: whoever holds
    /// one can act with it. None of them means anything to [`Terms::observe`].
    fn secrets(&self) -> &'static [&'static str];
}

/// What a read, or an answer to a write, showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The object as it stands: [`Class::Current`](crate::model::Class::Current), shape `Full`, `Partial` or `Gone`.
    pub observation: Observation,
    /// All the objects that stand within this one (the notes in a TIMIFY customer, the occurrences of a series), as
    /// claims: one that is known and not among them is gone. Their ids are made of this one's ([`ExternalId::inner`]).
    /// `None`: the answer does not tell.
    pub within: Option<Vec<Observation>>,
    /// It is gone because the object that it stands within is: that says nothing of it elsewhere.
    pub orphaned: bool,
    /// The HTTP status.
    pub status: u16,
}

impl Reading {
    /// A reading of an object that holds no others.
    pub fn new(observation: Observation, status: u16) -> Self {
        Self { observation, within: None, orphaned: false, status }
    }
}

/// The answer to a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The id of the object (a create's new id).
    pub id: ExternalId,
    /// What the answer shows of the object, if anything: current, in the system's own terms.
    pub shown: Option<Observation>,
    /// The HTTP status.
    pub status: u16,
}

/// What a create would make; by what an existing object is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The kind.
    pub kind: Kind,
    /// The contact it belongs to, in the same system.
    pub parent: Option<ExternalId>,
    /// Its values, in the system's own terms.
    pub fields: Fields,
    /// The key of a create that was sent for it before, if what became of that is not known.
    pub key: Option<Uuid>,
}

/// One page of what changed in a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The objects: class `Claim`, as every list page.
    pub observations: Vec<Observation>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<String>,
    /// The contact all of whose objects of the kind it shows, where there is no list but that of each contact.
    pub of: Option<ExternalId>,
}

impl Page {
    /// The last page, with nothing on it.
    pub fn empty() -> Self {
        Self { observations: Vec::new(), next: None, of: None }
    }
}

/// Whether a listing of everything shows an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It does: one that is left out may be deleted.
    Always,
    /// With its contact: where that was not listed, it says nothing that this was left out.
    Below,
    /// Not as it stands (too long ago, cancelled): that it is left out says nothing.
    Outside,
}

impl Shown {
    /// An appointment, of which those from so long before `now` to so long after are listed. On the edges nothing is said: they
    /// move on while the pages are listed, and vendors count in days of their own.
    pub fn around(now: Millis, link: &Link, back: Duration, ahead: Duration) -> Self {
        const EDGE: Duration = Duration::from_hours(48);
        let start = link.known(&Field::START).value.as_instant();
        let inside = |start: Millis| now - back + EDGE <= start && start + EDGE <= now + ahead;
        if start.is_none_or(inside) { Self::Always } else { Self::Outside }
    }
}

/// Calls a system for one workspace. Each method is one HTTP call where the vendor allows it.
#[async_trait]
pub trait Target: Terms {
    /// Reads one object. A missing one is a reading of shape `Gone`.
    async fn read(&self, place: &Place) -> Result<Reading, SystemError>;
    /// Looks for existing objects that a create would double. Current, whole readings; an empty list: none.
    async fn find(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError>;
    /// Makes one call of a plan.
    async fn apply(&self, step: &Step) -> Result<Answer, SystemError>;
    /// Whether the owner of the account granted us what this action on a kind needs ([`SystemError::NotGranted`] if not);
    /// to find is also to list what changed. Asks nobody.
    fn granted(&self, kind: Kind, action: Action) -> Result<(), SystemError>;
    /// Lists what changed since an instant (our clock; `None`: everything), a page at a time, and each page is one call. What
    /// takes a call for each contact is listed only with everything.
    async fn changed(&self, kind: Kind, since: Option<Millis>, page: Option<&str>) -> Result<Page, SystemError>;
    /// Whether listing everything shows an object, as far as is known of it. Asks nobody.
    fn shows(&self, link: &Link) -> Shown;
    /// Lists the objects of a kind that are edited without a webhook (GHL's open tasks), a page at a time. Of a kind whose
    /// edits are all told, none.
    async fn untold(&self, kind: Kind, page: Option<&str>) -> Result<Page, SystemError>;
}

/// A system in which only a guest can book, by a link that one can make: good for one booking.
#[async_trait]
pub trait Inviting: Send + Sync {
    /// Makes a link for a calendar (the vendor's id). Without a clear answer there may be one that nobody knows.
    async fn invite(&self, calendar: &str) -> Result<OneTimeLink, SystemError>;
    /// Has what happens to a link told to this address, each time with the token: it is the only proof of who tells it.
    async fn watch(&self, link: &ExternalId, token: &Secret, notify: &str) -> Result<(), SystemError>;
    /// How a link stands.
    async fn look(&self, link: &ExternalId) -> Result<Looked, SystemError>;
}

/// A link by which one guest books once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimeLink {
    /// The vendor's id of it.
    pub id: ExternalId,
    /// The link. Whoever has it can book.
    pub url: Secret,
}

/// How a link stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// `Open`, `Confirmed` or `Cancelled`.
    pub state: InvitationState,
    /// The booking made by it, if there is one, with its guest.
    pub booking: Option<Observation>,
}

/// Why a call did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SystemError {
    /// The vendor asks us to wait (429, or 503 with `Retry-After`).
    #[error("{system} asks to wait (HTTP {status})")]
    Wait {
        /// The system.
        system: System,
        /// The HTTP status.
        status: u16,
        /// How long, if it says.
        after: Option<Duration>,
    },
    /// The request was not applied, and may succeed later (connection refused, 5xx on a read).
    #[error("{system} could not be reached: {reason}")]
    Unavailable {
        /// The system.
        system: System,
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// What happened.
        reason: String,
    },
    /// It is not known whether the write was applied: no answer, a 5xx, or a success that is not JSON.
    #[error("{system} gave no clear answer: {reason}")]
    Unclear {
        /// The system.
        system: System,
        /// The HTTP status, if there was an answer.
        status: Option<u16>,
        /// What happened.
        reason: String,
    },
    /// The object already exists under this id (a create that would double).
    #[error("{system} already has it as {existing}")]
    Exists {
        /// The system.
        system: System,
        /// The HTTP status.
        status: u16,
        /// The existing object.
        existing: ExternalId,
    },
    /// The object is gone.
    #[error("{system} no longer has it (HTTP {status})")]
    Gone {
        /// The system.
        system: System,
        /// The HTTP status.
        status: u16,
    },
    /// The credentials are refused.
    #[error("{system} refuses our credentials (HTTP {status}): {reason}")]
    Unauthorized {
        /// The system.
        system: System,
        /// The HTTP status.
        status: u16,
        /// What it said.
        reason: String,
    },
    /// The owner of the account has not let us in, or no longer does. Nothing was sent.
    #[error("{system} is not connected: {reason}")]
    NotConnected {
        /// The system.
        system: System,
        /// What is the matter, and what its owner can do.
        reason: String,
    },
    /// The owner of the account did not grant us this. Nothing was sent, or the vendor said so.
    #[error("{system} did not grant us `{scope}`: connect it again with this scope")]
    NotGranted {
        /// The system.
        system: System,
        /// The scope that is missing.
        scope: String,
    },
    /// Our own budget of calls is spent; nothing was sent.
    #[error("the budget of calls to {system} is spent")]
    Spent {
        /// The system.
        system: System,
        /// When there is some again.
        after: Duration,
    },
    /// It failed so often in a row that only now and then a call tries again; nothing was sent.
    #[error("{system} fails whatever it is asked: one call at a time tries again")]
    Failing {
        /// The system.
        system: System,
        /// When the next one may.
        after: Duration,
    },
    /// The request is refused for good, as it stands.
    #[error("{system} refuses it (HTTP {status}): {reason}")]
    Refused {
        /// The system.
        system: System,
        /// The HTTP status.
        status: u16,
        /// What it said, and what a person can do.
        reason: String,
    },
    /// The answer could not be read.
    #[error("the answer of {system} could not be read: {reason}")]
    Garbled {
        /// The system.
        system: System,
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        reason: String,
    },
}

/// What to do about a [`SystemError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Try again, not before the given time has passed.
    Retry {
        /// What the vendor asked for.
        after: Option<Duration>,
    },
    /// Put it off by this time; it is no failure, and no try.
    Later(Duration),
    /// Stop and wait for a person.
    Park,
    /// Wait until this scope is granted; until then nothing is tried that needs it.
    Grant(String),
    /// Wait until the account is connected; until then nothing is tried there.
    Connect,
    /// Read the object first: what we believed of it is wrong, or unknown.
    Look,
}

impl SystemError {
    /// What to do next.
    pub fn decision(&self) -> Decision {
        match self {
            // Nothing is wrong with the request, and it was not applied.
            Self::Wait { status: 429, after, .. } => Decision::Later(after.unwrap_or(UNSAID).max(LEAST)),
            Self::Wait { after, .. } => Decision::Retry { after: *after },
            Self::Unavailable { .. } | Self::Unauthorized { .. } => Decision::Retry { after: None },
            Self::Spent { after, .. } | Self::Failing { after, .. } => Decision::Later(*after),
            Self::NotGranted { scope, .. } => Decision::Grant(scope.clone()),
            Self::NotConnected { .. } => Decision::Connect,
            Self::Unclear { .. } | Self::Exists { .. } | Self::Gone { .. } => Decision::Look,
            Self::Refused { .. } | Self::Garbled { .. } => Decision::Park,
        }
    }

    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::NotGranted { .. } | Self::NotConnected { .. } | Self::Spent { .. } | Self::Failing { .. } => None,
            Self::Unavailable { status, .. } | Self::Unclear { status, .. } => *status,
            Self::Wait { status, .. }
            | Self::Exists { status, .. }
            | Self::Gone { status, .. }
            | Self::Unauthorized { status, .. }
            | Self::Refused { status, .. }
            | Self::Garbled { status, .. } => Some(*status),
        }
    }
}

/// Sends one HTTP request; the only way out. The real one lives in `http_client`; tests may answer from the sandbox's core.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends it and waits for the whole answer. Redirects are not followed.
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError>;
}

/// Why there was no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransportError {
    /// The request never left (connection refused, name not found).
    #[error("not sent: {0}")]
    NotSent(String),
    /// It left, and no whole answer came back.
    #[error("no answer: {0}")]
    NoAnswer(String),
}

/// Which version of a credential a request was signed with. Rises when it is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub i64);

/// Proves who we are on a request. Behind it: a static token, tokens of an OAuth install, an app id and secret exchanged for
/// a token, an api key.
#[async_trait]
pub trait Credential: Send + Sync {
    /// Adds what proves us to the request. May call the vendor once to obtain it.
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<Version, SystemError>;
    /// The vendor refused (401) a request that was signed with this version, and said why: renew it, unless that was done
    /// meanwhile. Returns whether another try may do better.
    async fn refused(&self, signed: Version, message: &str) -> bool;
    /// Whether a scope is known not to be granted. `false` where nothing is known.
    fn lacks(&self, scope: &str) -> bool;
    /// The vendor said that this scope is not granted: remember it for a while, so that not each call has to find out.
    fn denied(&self, scope: &str);
}

/// One workspace as the stages see it: its rules, and its systems.
pub struct Site {
    /// Accounts, calendars and policies.
    pub workspace: Workspace,
    /// The systems it has accounts in.
    pub targets: BTreeMap<System, Arc<dyn Target>>,
    /// Those of them that people can ask by hand.
    pub inquiries: BTreeMap<System, Arc<dyn Inquiry>>,
    /// Those of them in which guests can be invited to book.
    pub inviting: BTreeMap<System, Arc<dyn Inviting>>,
    /// The clocks of the extensions of those that have one.
    pub clocks: BTreeMap<System, Arc<offset::ClockOffset>>,
    /// How long to wait for further changes of an object before acting on one; zero acts at once.
    pub quiet: Duration,
}

impl Site {
    /// A site that nobody asks by hand or invites from, without extensions, which acts at once.
    pub fn new(workspace: Workspace, targets: BTreeMap<System, Arc<dyn Target>>) -> Self {
        let (inquiries, inviting, clocks, quiet) = Default::default();
        Self { workspace, targets, inquiries, inviting, clocks, quiet }
    }

    /// The terms of one of its systems.
    pub fn terms(&self, system: System) -> Option<&dyn Terms> {
        self.targets.get(&system).map(|target| target.as_ref() as &dyn Terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EntityId, Stamp, Value};
    use rstest::rstest;

    const DAY: i64 = 86_400_000;

    #[rstest]
    #[case::now(Some(0), Shown::Always)]
    #[case::soon(Some(360), Shown::Always)]
    #[case::too_far(Some(365), Shown::Outside)]
    #[case::lately(Some(-28), Shown::Always)]
    #[case::long_ago(Some(-30), Shown::Outside)]
    #[case::nobody_knows_when(None, Shown::Always)]
    fn an_appointment_outside_of_what_is_listed_is_not_missing(#[case] day: Option<i64>, #[case] expected: Shown) {
        let now = Millis(1_000 * DAY);
        let entity = EntityId(uuid::Uuid::nil());
        let mut link = Link::new("w", entity, System::Ghl, Kind::Appointment, ExternalId::new("a"));
        if let Some(day) = day {
            let start = Value::Instant(Millis(now.0 + day * DAY));
            link.snapshot.entry(Field::START).or_default().move_to(start, Stamp::NEVER);
        }
        let days = |days: u64| Duration::from_hours(24 * days);
        assert_eq!(Shown::around(now, &link, days(31), days(366)), expected);
    }
}
