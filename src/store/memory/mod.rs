//! A store in memory, for simulating: the same traits, held to the same conformance suite, without a disk.
//!
//! In: what every store takes. Out: what every store gives. All of it stands behind one lock, so a method is one transaction.
//! Nothing survives the process: never for serving.

mod conflicts;
mod invitations;
mod log;
mod reports;
mod rows;
mod settle;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::clock::{Millis, Sleep};
use crate::model::{
    Attempt, ChangeId, Entity, EntityId, ExternalId, Install, InstallKey, Invitation, KeptConflict, Kind, Lease, Link,
    Mirror, Mode, NewChange, System, VerdictRow,
};
use crate::store::Review;

/// How long a store takes.
pub trait Pace: Send + Sync {
    /// How long the caller waits now; `None`: not at all.
    fn pause(&self) -> Option<Sleep>;
}

/// A store in memory, as one process sees it.
#[derive(Default, Clone)]
pub struct Memory {
    tables: Arc<Mutex<Tables>>,
    pace: Option<Arc<dyn Pace>>,
}

impl Memory {
    /// An empty one that takes no time.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same store, for a process whose calls take this long.
    pub fn paced(&self, pace: Arc<dyn Pace>) -> Self {
        Self { tables: self.tables.clone(), pace: Some(pace) }
    }

    async fn tables(&self) -> MutexGuard<'_, Tables> {
        self.pause().await;
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before a transaction, and after one that wrote: who is dropped then never learns that it was committed.
    async fn pause(&self) {
        if let Some(pause) = self.pace.as_ref().and_then(|pace| pace.pause()) {
            pause.await;
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// By what a link is found.
type LinkKey = (String, System, Kind, ExternalId);

/// A change that is not decided yet.
#[derive(Debug, Clone)]
struct Undecided {
    workspace: String,
    due: Millis,
    /// The read that it waits for.
    on: Option<(EntityId, System, i64)>,
}

/// A review, and whether it is closed.
#[derive(Debug, Clone)]
struct Looked {
    review: Review,
    closed: bool,
}

/// A claim on an install: who, and until when.
type Claim = (String, Millis);

#[derive(Debug, Default)]
struct Tables {
    log: BTreeMap<ChangeId, NewChange>,
    /// The last number that a change got, or would have got had it been new.
    numbers: i64,
    dedup: HashMap<String, ChangeId>,
    inbox: BTreeMap<ChangeId, Undecided>,
    verdicts: BTreeMap<ChangeId, (Option<String>, VerdictRow)>,
    entities: BTreeMap<EntityId, Entity>,
    children: BTreeMap<EntityId, BTreeSet<EntityId>>,
    links: BTreeMap<LinkKey, Link>,
    links_of: BTreeMap<EntityId, BTreeSet<LinkKey>>,
    mirrors: BTreeMap<(EntityId, System), Mirror>,
    attempts: Vec<Attempt>,
    attempts_of: BTreeMap<(EntityId, System), Vec<usize>>,
    conflicts: Vec<KeptConflict>,
    apart: BTreeSet<(EntityId, EntityId)>,
    reviews: Vec<Looked>,
    leases: BTreeMap<String, Lease>,
    workspaces: BTreeMap<String, Mode>,
    cursors: BTreeMap<(String, String), String>,
    credentials: BTreeMap<String, Vec<u8>>,
    installs: BTreeMap<InstallKey, (Install, Option<Claim>)>,
    tickets: BTreeMap<String, (String, Millis)>,
    invitations: BTreeMap<Uuid, Invitation>,
}
