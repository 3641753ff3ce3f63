//! Receiving: from what arrived to a recorded change, or the reason why not.
//!
//! In: the parts of an HTTP request, as values. Out: a [`Receipt`] after the commit, or a [`Rejected`]. The order is fixed:
//! route, proof, envelope, place, veil, record. Only the proof can refuse; once a sender is proven, whatever it sends is kept
//! (law 1): no JSON, a truncated body, another content type, an unknown type, an unknown workspace. Signatures and the key of
//! repetitions are of the bytes as they came; what is stored has its secrets veiled. (Reads and listings store observations,
//! in which there are none.)

mod sightings;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use http::HeaderMap;

use crate::clock::Clock;
use crate::ids::Ids;
use crate::model::{Appended, System};
use crate::record::{Directory, NotStored, Recorder, place};
use crate::systems::secrets::{Veil, veiled};
use crate::systems::{Door, Envelope};
use crate::verify::{Check, RawWebhook, Refusal, VerifiedWebhook, verify};

pub use sightings::{Alarm, Sightings};

/// A system's route: who may come in, and who reads what they bring.
#[derive(Clone)]
pub struct Gate {
    /// What a webhook may be proven by.
    pub checks: Vec<Check>,
    /// What reads its envelope.
    pub door: Arc<dyn Door>,
}

/// What arrived at a route.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The system that the path names.
    pub system: System,
    /// The workspace that the path names.
    pub workspace: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A stored webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// It is a new row.
    Recorded,
    /// It was there already.
    Duplicate,
}

/// Why a webhook is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Nothing is configured that could prove it.
    #[error("no route")]
    NoRoute,
    /// Its sender is not proven.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be stored: its sender must try again.
    #[error(transparent)]
    NotStored(#[from] NotStored),
}

/// Who may come in, and where what they bring belongs. Replaced as a whole when a workspace opens.
struct Entries {
    gates: BTreeMap<System, Gate>,
    directory: Directory,
}

impl Entries {
    /// A gate without checks is none (law 9).
    fn new(gates: BTreeMap<System, Gate>, directory: Directory) -> Self {
        Self { gates: gates.into_iter().filter(|(_, gate)| !gate.checks.is_empty()).collect(), directory }
    }
}

/// The way in.
#[derive(Clone)]
pub struct Intake {
    entries: Arc<RwLock<Arc<Entries>>>,
    recorder: Recorder,
    veil: Arc<Veil>,
    clock: Arc<dyn Clock>,
    ids: Arc<Ids>,
    sightings: Arc<Sightings>,
}

impl Intake {
    /// The way in through these gates. `veil`: what is stored in the place of secrets.
    pub fn new(
        gates: BTreeMap<System, Gate>,
        directory: Directory,
        recorder: Recorder,
        veil: Arc<Veil>,
        clock: Arc<dyn Clock>,
        ids: Arc<Ids>,
    ) -> Self {
        let entries = Entries::new(gates, directory);
        let sightings = Arc::new(Sightings::new(&entries.gates));
        Self { entries: Arc::new(RwLock::new(Arc::new(entries))), recorder, veil, clock, ids, sightings }
    }

    /// Which ways of proving a webhook still come.
    pub fn sightings(&self) -> Arc<Sightings> {
        self.sightings.clone()
    }

    /// Lets these in from now on.
    pub fn admit(&self, gates: BTreeMap<System, Gate>, directory: Directory) {
        *self.entries.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Entries::new(gates, directory));
    }

    fn entries(&self) -> Arc<Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether webhooks of a system are accepted at all.
    pub fn has_route(&self, system: System) -> bool {
        self.entries().gates.contains_key(&system)
    }

    /// Takes a webhook in. Answers after the commit.
    pub async fn accept(&self, arrival: Arrival) -> Result<Receipt, Rejected> {
        let entries = self.entries();
        let gate = entries.gates.get(&arrival.system).ok_or(Rejected::NoRoute)?;
        let now = self.clock.now();
        let Arrival { system, workspace, headers, body } = arrival;
        let raw = RawWebhook { system, workspace, headers, body, received: now };
        let webhook = verify(&gate.checks, raw, now).inspect_err(|refusal| {
            tracing::info!(%system, %refusal, "webhook refused");
            self.sightings.refused(system, *refusal, now);
        })?;
        self.sightings.proven(&gate.checks, &webhook, now);
        let door = gate.door.as_ref();
        let mut change = place(&webhook, envelope(door, &webhook), &entries.directory, self.ids.uuid(now));
        if let Some(body) = veiled(&change.body, door.secrets(), self.veil.as_ref()) {
            change.body = body.into();
        }
        let standing = change.standing;
        let credential = webhook.credential();
        let appended = self.recorder.record(change).await.inspect_err(|error| {
            tracing::warn!(%system, credential, %error, "webhook not stored; its sender is asked to send it again");
        })?;
        let (receipt, id) = match appended {
            Appended::New(id) => (Receipt::Recorded, id),
            Appended::Duplicate(id) => (Receipt::Duplicate, id),
        };
        tracing::debug!(%system, credential, change.id = id.0, %standing, ?receipt, "webhook stored");
        Ok(receipt)
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("systems", &self.entries().gates.keys()).finish_non_exhaustive()
    }
}

/// A reader that fails on a body has not understood it; what is proven is kept all the same.
fn envelope(door: &dyn Door, webhook: &VerifiedWebhook) -> Envelope {
    catch_unwind(AssertUnwindSafe(|| door.envelope(webhook))).unwrap_or_else(|_| {
        tracing::error!(system = %webhook.raw().system, "the reader of webhooks failed on a body");
        Envelope::unparsed("the reader failed on this body")
    })
}
