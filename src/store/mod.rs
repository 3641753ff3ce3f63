//! What is kept, as small traits. A method is one whole business operation and one transaction; none stays open over HTTP.
//!
//! Two stores, SQLite and PostgreSQL, behind the same traits (`sql/`); `tests/it/conformance` runs each method on both.

mod cached;
mod error;
pub mod memory;
mod retention;
pub mod sql;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

pub use cached::{Cached, Due, News};
pub use error::StoreError;
pub use retention::{Forgotten, History, Retention};

pub use crate::model::Whole;

use crate::clock::Millis;
use crate::model::{
    Action, Appended, Attempt, Change, ChangeId, Closing, Conflict, ConflictId, ConflictState, Entity, EntityId,
    ExternalId, Finding, Install, InstallKey, InstallState, Invitation, KeptConflict, Kind, Lease, Life, Link, Mirror,
    MirrorState, Mode, NewChange, NewConflict, Origin, Outcome, Priority, Standing, System, VerdictRow,
};
use crate::model::{Field, Value};

/// Shorthand.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The change log and its inbox.
#[async_trait]
pub trait ChangeLog: Send + Sync {
    /// Appends changes in one transaction; the unique key decides what is a duplicate. A routed change goes to the inbox;
    /// any other gets its verdict (`unparsed`, `unrouted`, `not_mirrored`) in the same transaction.
    async fn append(&self, changes: &[NewChange]) -> Result<Vec<Appended>>;
    /// One change with its body.
    async fn change(&self, id: ChangeId) -> Result<Option<Change>>;
    /// Changes of a workspace that are due and not yet matched with an entity, oldest first.
    async fn undecided(&self, workspace: &str, now: Millis, limit: u32) -> Result<Vec<Change>>;
    /// Changes that wait for a read of this entity in this system, each with the number of its doubt, oldest first.
    async fn waiting(&self, entity: EntityId, system: System) -> Result<Vec<(Change, i64)>>;
    /// Changes that tell of our app itself (`INSTALL`, `UNINSTALL`) after a given one, in the order of their numbers. A
    /// number may still come in that is lower than one that is there.
    async fn told_of_installs(&self, system: System, after: ChangeId, limit: u32) -> Result<Vec<Change>>;
    /// Changes of one standing, newest first; for `lockstep changes`.
    async fn by_standing(&self, standing: Standing, limit: u32) -> Result<Vec<Change>>;
}

/// By what a person is recognised: normalised e-mail and phone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// Lower-case e-mail.
    pub email: Option<String>,
    /// E.164 phone.
    pub phone: Option<String>,
}

impl Keys {
    /// The keys in some values.
    pub fn of<'a>(value: impl Fn(&Field) -> &'a Value) -> Self {
        let text = |field: &Field| value(field).as_text().map(ToOwned::to_owned);
        Self { email: text(&Field::EMAIL), phone: text(&Field::PHONE) }
    }
}

/// Entities and links.
#[async_trait]
pub trait Entities: Send + Sync {
    /// An entity with its links and mirrors.
    async fn whole(&self, entity: EntityId) -> Result<Option<Whole>>;
    /// The link of an external object, of any state.
    async fn link(&self, workspace: &str, system: System, kind: Kind, id: &ExternalId) -> Result<Option<Link>>;
    /// Live entities that share a key, without doubles. No key: none.
    async fn with_keys(&self, workspace: &str, kind: Kind, keys: &Keys) -> Result<Vec<EntityId>>;
    /// Live entities that belong to a contact.
    async fn children(&self, parent: EntityId, kind: Option<Kind>) -> Result<Vec<EntityId>>;
    /// Deleted entities that belong to a contact and still stand in some system.
    async fn remains(&self, parent: EntityId) -> Result<Vec<EntityId>>;
    /// All live entities of a workspace after a given one, in the order of their ids.
    async fn entities(&self, workspace: &str, after: Option<EntityId>, limit: u32) -> Result<Vec<EntityId>>;
    /// Links of one system and kind that are live, for comparing with a whole listing.
    async fn live_links(&self, workspace: &str, system: System, kind: Kind) -> Result<Vec<Link>>;
    /// Links of the objects that stand within another one of the same system, of any state.
    async fn links_within(&self, workspace: &str, system: System, outer: &ExternalId) -> Result<Vec<Link>>;
    /// Whether any create intent is open in this system for entities of this kind.
    async fn open_intents(&self, workspace: &str, system: System, kind: Kind) -> Result<Vec<EntityId>>;
    /// The entities that this one is never to be matched with.
    async fn apart(&self, workspace: &str, entity: EntityId) -> Result<BTreeSet<EntityId>>;
}

/// An entity, or the one that it turned out to be.
pub async fn present(entities: &dyn Entities, mut id: EntityId) -> Result<Option<Whole>> {
    loop {
        let Some(whole) = entities.whole(id).await? else { return Ok(None) };
        let Life::Merged(other) = whole.entity.life else { return Ok(Some(whole)) };
        id = other;
    }
}

/// What one decision or one answer changes, written in one transaction or not at all.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The lease under which it was worked out.
    pub lease: Lease,
    /// The present.
    pub now: Millis,
    /// How what it makes due ranks.
    pub priority: Priority,
    /// Entities to insert (`rev` 0) or to write over the revision they carry.
    pub entities: Vec<Entity>,
    /// Links, likewise.
    pub links: Vec<Link>,
    /// Mirrors, likewise. One that is put to wait while its entity's parent has a live link in the system is written as due
    /// at `now`: the parent came in between, and its release is over.
    pub mirrors: Vec<Mirror>,
    /// Changes that came from inside (a read that found something), each with its verdict; `verdict.change` is ignored and
    /// becomes the new row's number. A dedup key that is there already is skipped.
    pub readings: Vec<(NewChange, VerdictRow)>,
    /// Changes that are decided now: the verdict is written, the inbox row goes. One that has no inbox row any more (nor
    /// for `waits` and `later`) was decided meanwhile: the settlement has moved.
    pub verdicts: Vec<VerdictRow>,
    /// Changes that wait from now on for a read: (change, entity, system, number of the doubt).
    pub waits: Vec<(ChangeId, EntityId, System, i64)>,
    /// Changes to look at again later; those that waited for a read no longer do.
    pub later: Vec<(ChangeId, Millis)>,
    /// Values that lost. One that is kept already (same entity, field, system, value and stamp) is not kept twice.
    pub conflicts: Vec<NewConflict>,
    /// Open conflicts that end now.
    pub closings: Vec<Closing>,
    /// Conflicts that are another entity's from now on: what lost belongs to an object that left theirs.
    pub handed: Vec<(ConflictId, EntityId)>,
    /// Pairs that are never to be matched, in either order.
    pub apart: Vec<(EntityId, EntityId)>,
    /// Calls that were made.
    pub attempts: Vec<Attempt>,
    /// Mirrors of the children of this contact that wait for it in this system become due (and rise in revision).
    pub release: Vec<(EntityId, System)>,
    /// What a person has to look at; one open row per subject.
    pub reviews: Vec<Review>,
    /// Subjects that no longer need a person: their open reviews are closed before new ones open.
    pub settled: Vec<String>,
}

impl Settlement {
    /// An empty one, of what somebody did just now.
    pub fn new(lease: Lease, now: Millis) -> Self {
        Self {
            lease,
            now,
            priority: Priority::Live,
            entities: Vec::new(),
            links: Vec::new(),
            mirrors: Vec::new(),
            readings: Vec::new(),
            verdicts: Vec::new(),
            waits: Vec::new(),
            later: Vec::new(),
            conflicts: Vec::new(),
            closings: Vec::new(),
            handed: Vec::new(),
            apart: Vec::new(),
            attempts: Vec::new(),
            release: Vec::new(),
            reviews: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// Each workspace's trouble stays in that workspace: a mistake in a stage must not cross over.
    fn own_workspace_only(&self) -> Result<()> {
        let lease = &self.lease.workspace;
        let entities = self.entities.iter().map(|entity| &entity.workspace);
        let links = self.links.iter().map(|link| &link.workspace);
        let mirrors = self.mirrors.iter().map(|mirror| &mirror.workspace);
        let attempts = self.attempts.iter().map(|attempt| &attempt.workspace);
        let reviews = self.reviews.iter().map(|review| &review.workspace);
        let mut named = entities.chain(links).chain(mirrors).chain(attempts).chain(reviews);
        named.find(|name| *name != lease).map_or(Ok(()), |other| {
            Err(StoreError::Statement(Box::new(Foreign { lease: lease.clone(), other: other.clone() })))
        })
    }
}

/// A part of a settlement names another workspace than its lease.
#[derive(Debug, thiserror::Error)]
#[error("a settlement of workspace `{lease}` would write to workspace `{other}`")]
struct Foreign {
    lease: String,
    other: String,
}

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is written.
    Done,
    /// A row has another revision than the one it was worked out from: nothing is written; work it out again.
    Moved,
    /// The lease is another's by now: nothing is written; stop working this workspace.
    LeaseLost,
}

/// Writes decisions and answers.
#[async_trait]
pub trait Settling: Send + Sync {
    /// Writes a settlement in one transaction.
    async fn settle(&self, settlement: &Settlement) -> Result<Settled>;
}

/// Work to be done.
#[async_trait]
pub trait Mirrors: Send + Sync {
    /// Mirrors of a workspace in state `due` whose time has come: what is live first, and longest due first.
    async fn due(&self, workspace: &str, now: Millis, limit: u32) -> Result<Vec<Mirror>>;
    /// Mirrors in a state, oldest first.
    async fn in_state(&self, workspace: &str, state: MirrorState, limit: u32) -> Result<Vec<Mirror>>;
    /// When one entity was written to in one system since an instant, by attempts that were done or are unclear (the fuse).
    async fn writes_since(&self, entity: EntityId, system: System, since: Millis) -> Result<Vec<Millis>>;
    /// Attempts of one action in one system since an instant that were done or are unclear (the brake).
    async fn actions_since(&self, workspace: &str, system: System, action: Action, since: Millis) -> Result<u32>;
}

/// Leases on workspaces.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes or renews those that are free, expired, or ours; the fence rises when a lease changes hands.
    async fn lease(&self, workspaces: &[String], owner: &str, now: Millis, until: Millis) -> Result<Vec<Lease>>;
    /// All that have not run out, whoever holds them.
    async fn live_leases(&self, now: Millis) -> Result<Vec<Lease>>;
    /// Gives back those of these that are the owner's.
    async fn release(&self, workspaces: &[String], owner: &str) -> Result<()>;
}

/// Tells other processes that there is something to do. Nothing rests on it: what is not heard is found by the slow poll.
#[async_trait]
pub trait Bells: Send + Sync {
    /// Rings for workspaces.
    async fn ring(&self, workspaces: &[&str]) -> Result<()>;
    /// Listens; `None`: there is no other process.
    async fn listen(&self) -> Result<Option<Box<dyn Listening>>>;
}

/// Somebody who listens.
#[async_trait]
pub trait Listening: Send {
    /// The workspace that is rung for next, by whomever.
    async fn heard(&mut self) -> Result<String>;
}

/// When work of one sort has its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// The earliest.
    pub first: Option<Millis>,
    /// The earliest that is yet to come.
    pub later: Option<Millis>,
}

impl Times {
    /// Whether any has come.
    pub fn is_due(self, now: Millis) -> bool {
        self.first.is_some_and(|first| first <= now)
    }
}

/// What there is to do in a workspace, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// Its mode.
    pub mode: Mode,
    /// Changes that wait for no read.
    pub inbox: Times,
    /// Mirrors in state `due`.
    pub mirrors: Times,
}

impl Outlook {
    /// When the earliest work has its time.
    pub fn first(self) -> Option<Millis> {
        self.inbox.first.into_iter().chain(self.mirrors.first).min()
    }

    /// When the earliest work that is yet to come has its time.
    pub fn later(self) -> Option<Millis> {
        self.inbox.later.into_iter().chain(self.mirrors.later).min()
    }
}

/// What a workspace is doing, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Load {
    /// Changes not yet decided.
    pub undecided: u64,
    /// Mirrors that are due, now or later.
    pub due: u64,
    /// Mirrors that wait for their parent.
    pub waiting: u64,
    /// Mirrors that wait for a person, held ones included.
    pub parked: u64,
    /// Since when the oldest due mirror has been waiting.
    pub oldest_due: Option<Millis>,
}

/// Workspaces, as rows.
#[async_trait]
pub trait Workspaces: Send + Sync {
    /// Makes rows for workspaces that have none yet, in this mode.
    async fn register(&self, names: &[String], mode: Mode, now: Millis) -> Result<()>;
    /// The mode of a workspace; `None`: not registered.
    async fn mode(&self, workspace: &str) -> Result<Option<Mode>>;
    /// Sets the mode.
    async fn set_mode(&self, workspace: &str, mode: Mode, now: Millis) -> Result<()>;
    /// When the last webhook of each system came in.
    async fn last_webhooks(&self, workspace: &str) -> Result<BTreeMap<System, Millis>>;
    /// What there is to do in it; `None`: not registered.
    async fn outlook(&self, workspace: &str, now: Millis) -> Result<Option<Outlook>>;
    /// What it is doing.
    async fn load(&self, workspace: &str) -> Result<Load>;
    /// A remembered text: reconcile positions and the like. `None` where nothing was remembered.
    async fn cursor(&self, workspace: &str, name: &str) -> Result<Option<String>>;
    /// Remembers one.
    async fn set_cursor(&self, workspace: &str, name: &str, text: &str, now: Millis) -> Result<()>;
}

/// Sealed credentials. What goes in is sealed already.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// A sealed credential.
    async fn credential(&self, name: &str) -> Result<Option<Vec<u8>>>;
    /// Keeps a sealed credential, over an older one.
    async fn keep_credential(&self, name: &str, sealed: &[u8], now: Millis) -> Result<()>;
    /// The names of all.
    async fn credential_names(&self) -> Result<Vec<String>>;
}

/// Authorizations that may be open: anybody can begin one.
const TICKETS: u32 = 1_000;

/// Installs of our app, and the authorizations that lead to them. Tokens are sealed before they come here.
#[async_trait]
pub trait Installs: Send + Sync {
    /// One install.
    async fn install(&self, key: &InstallKey) -> Result<Option<Install>>;
    /// All of them, in the order of their keys.
    async fn installs(&self) -> Result<Vec<Install>>;
    /// Writes an install as a whole, if the stored one still has generation `from` (0: there is none); `install.generation`
    /// is the new one. Ends a claim on it. `false`: another came first, nothing is written.
    async fn put_install(&self, install: &Install, from: i64) -> Result<bool>;
    /// Says how an install stands, if it still has this generation. Its tokens stay, a claim on it ends.
    async fn set_install_state(
        &self,
        key: &InstallKey,
        generation: i64,
        state: InstallState,
        reason: Option<&str>,
        now: Millis,
    ) -> Result<bool>;
    /// Claims the right to renew the tokens of this generation until an instant. Of all processes one gets it; the same
    /// owner may claim again. `false`: another holds it, or the generation is over.
    async fn claim_install(
        &self,
        key: &InstallKey,
        generation: i64,
        owner: &str,
        now: Millis,
        until: Millis,
    ) -> Result<bool>;
    /// Remembers a begun authorization: the digests of its `state` and of the cookie that goes with it. Those that ended
    /// before `now` are forgotten. `false`: a thousand others have been begun and not ended.
    async fn keep_ticket(&self, state: &str, cookie: &str, now: Millis, until: Millis) -> Result<bool>;
    /// Takes a begun authorization, once, and gives the cookie's digest. `None`: there is none, or it has ended.
    async fn take_ticket(&self, state: &str, now: Millis) -> Result<Option<String>>;
}

/// Links by which one guest books once.
#[async_trait]
pub trait Invitations: Send + Sync {
    /// Writes an invitation as a whole over the revision that it carries (0: there is none), and appends what follows from
    /// it to the change log, in one transaction. `false`: another came first, nothing is written.
    async fn put_invitation(&self, invitation: &Invitation, changes: &[NewChange]) -> Result<bool>;
    /// The invitations of a workspace, newest first.
    async fn invitations(&self, workspace: &str, limit: u32) -> Result<Vec<Invitation>>;
    /// Those of a workspace that are to be looked at: their time has come, or the vendor told of their link since the last
    /// look. Longest due first.
    async fn due_invitations(&self, workspace: &str, now: Millis, limit: u32) -> Result<Vec<Invitation>>;
    /// The workspaces that have such ones.
    async fn workspaces_with_due_invitations(&self, now: Millis) -> Result<Vec<String>>;
}

/// Which conflicts are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sought {
    /// Those of this workspace.
    pub workspace: Option<String>,
    /// Those of this entity.
    pub entity: Option<EntityId>,
    /// Those of this report.
    pub report: Option<ConflictId>,
    /// Those that came to this.
    pub state: Option<ConflictState>,
}

/// Conflicts, for people to judge.
#[async_trait]
pub trait Conflicts: Send + Sync {
    /// One of them.
    async fn conflict(&self, id: ConflictId) -> Result<Option<KeptConflict>>;
    /// Those that are wanted and come after this one, in the order of their numbers.
    async fn kept(&self, wanted: &Sought, after: ConflictId, limit: u32) -> Result<Vec<KeptConflict>>;
    /// Ends an open one. `false`: it is not open.
    async fn close_conflict(&self, closing: &Closing, now: Millis) -> Result<bool>;
}

/// Something a person has to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The workspace.
    pub workspace: String,
    /// What it is about: one open row per subject (`brake/ghl/create`, `ambiguous/ENTITY/SYSTEM`).
    pub subject: String,
    /// The entity, if it is about one.
    pub entity: Option<EntityId>,
    /// One line for people: what is the matter and what can be done.
    pub text: String,
    /// Since when.
    pub at: Millis,
}

/// What is shown to people.
#[async_trait]
pub trait Reports: Send + Sync {
    /// Entities that a text names: an entity id, an external id, an e-mail or a phone number.
    async fn named(&self, text: &str) -> Result<Vec<EntityId>>;
    /// The changes of an entity with their verdicts, oldest first (bodies and headers left empty).
    async fn story(&self, entity: EntityId) -> Result<Vec<(Change, VerdictRow)>>;
    /// The calls for an entity, oldest first.
    async fn attempts(&self, entity: EntityId) -> Result<Vec<Attempt>>;
    /// Attempts of a workspace since an instant, oldest first.
    async fn attempts_since(&self, workspace: &str, since: Millis, limit: u32) -> Result<Vec<Attempt>>;
    /// The conflicts of an entity, oldest first; with `None`, of the whole workspace.
    async fn conflicts(&self, workspace: &str, entity: Option<EntityId>) -> Result<Vec<(EntityId, Conflict)>>;
    /// What waits for a person.
    async fn reviews(&self, workspace: &str) -> Result<Vec<Review>>;
    /// Closes a review; its subject may open again.
    async fn close_review(&self, workspace: &str, subject: &str, now: Millis) -> Result<bool>;
    /// How often each outcome occurred.
    async fn outcomes(&self, workspace: &str) -> Result<BTreeMap<Outcome, u64>>;
    /// How many changes came from where.
    async fn origins(&self, workspace: &str) -> Result<BTreeMap<Origin, u64>>;
    /// How often each finding occurred.
    async fn findings(&self, workspace: &str) -> Result<BTreeMap<Finding, u64>>;
}

/// What stages look up and write.
pub trait Rows: Entities + Settling + Mirrors {}

impl<T> Rows for T where T: Entities + Settling + Mirrors {}

/// All of it.
pub trait Store:
    ChangeLog
    + Rows
    + Leases
    + Bells
    + Workspaces
    + Credentials
    + Installs
    + Invitations
    + Conflicts
    + Reports
    + Send
    + Sync
{
}

impl<T> Store for T where
    T: ChangeLog
        + Rows
        + Leases
        + Bells
        + Workspaces
        + Credentials
        + Installs
        + Invitations
        + Conflicts
        + Reports
        + Send
        + Sync
{
}
