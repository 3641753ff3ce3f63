//! `GET /health`: whether webhooks arrive, workspace by workspace, and how much waits.
//!
//! In: the workspaces, who may send for them, the store's rows about them, and what stays away. Out: JSON without accounts, secrets or
//! personal values, since everybody may read it. An answer is kept for a second, so that asking costs the store little.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::problem::Problem;
use crate::clock::{Clock, Millis};
use crate::model::{Install, System, Workspace};
use crate::receive::{Alarm, Sightings};
use crate::store::{Load, StoreError, Workspaces};
use crate::verify::Check;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(1);

/// What `/health` tells.
pub struct Health {
    rows: Arc<dyn Workspaces>,
    access: Arc<dyn Access>,
    served: RwLock<Arc<Served>>,
    sightings: Arc<Sightings>,
    clock: Arc<dyn Clock>,
    kept: Mutex<Option<(Millis, Value)>>,
}

/// The workspaces, and who may send for them.
struct Served {
    workspaces: Vec<Workspace>,
    spoken_for: BTreeMap<System, BTreeSet<String>>,
}

/// What we may do at a vendor.
#[async_trait]
pub trait Access: Send + Sync {
    /// How the install of our app stands at this account, and why; `None`: no install is needed there.
    async fn install(&self, workspace: &Workspace, system: System) -> Result<Option<Install>, StoreError>;
    /// The scopes that a workspace needs in a system and that are known not to be granted: for reading, and for writing.
    fn lacks(&self, workspace: &str, system: System) -> Lacks;
}

/// What is not granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacks {
    /// Needed for reading.
    pub reading: BTreeSet<String>,
    /// Needed for writing.
    pub writing: BTreeSet<String>,
}

impl Health {
    /// The health of these workspaces, whose webhooks these checks prove and these sightings watch.
    pub fn new(
        rows: Arc<dyn Workspaces>,
        workspaces: Vec<Workspace>,
        checks: &BTreeMap<System, Vec<Check>>,
        access: Arc<dyn Access>,
        sightings: Arc<Sightings>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let served = RwLock::new(Arc::new(Served::new(workspaces, checks)));
        Self { rows, access, served, sightings, clock, kept: Mutex::new(None) }
    }

    /// Tells of these from now on.
    pub fn serve(&self, workspaces: Vec<Workspace>, checks: &BTreeMap<System, Vec<Check>>) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Served::new(workspaces, checks));
    }

    /// The present health, or that of the last second.
    pub async fn tell(&self) -> Result<Value, StoreError> {
        let now = self.clock.now();
        let mut kept = self.kept.lock().await;
        if let Some((_, told)) = kept.as_ref().filter(|(at, _)| now.since(*at) < KEPT) {
            return Ok(told.clone());
        }
        let served = self.served.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut workspaces = Vec::with_capacity(served.workspaces.len());
        for workspace in &served.workspaces {
            workspaces.push(self.workspace(&served, workspace).await?);
        }
        let alarms: Vec<Value> = self.sightings.alarms().iter().map(alarm_json).collect();
        let told = json!({
            "status": "ok", "version": env!("CARGO_PKG_VERSION"), "alarms": alarms, "workspaces": workspaces
        });
        *kept = Some((now, told.clone()));
        Ok(told)
    }

    async fn workspace(&self, served: &Served, workspace: &Workspace) -> Result<Value, StoreError> {
        let name = workspace.name.as_str();
        let mode = self.rows.mode(name).await?.map(crate::model::Mode::word);
        let last = self.rows.last_webhooks(name).await?;
        let load = self.rows.load(name).await?;
        let mut systems = Map::new();
        for system in workspace.accounts.keys() {
            let mut told = served.webhooks(*system, name, last.get(system).copied());
            self.tell_access(workspace, *system, &mut told).await?;
            systems.insert(system.word().to_owned(), told.into());
        }
        Ok(json!({"name": name, "mode": mode, "systems": systems, "load": load_json(&load)}))
    }

    /// What we may do there. Nothing is said where nothing is wrong or known.
    async fn tell_access(
        &self,
        workspace: &Workspace,
        system: System,
        told: &mut Map<String, Value>,
    ) -> Result<(), StoreError> {
        if let Some(install) = self.access.install(workspace, system).await? {
            // Not its reason, which has the account and the vendor's words: operators see it (`lockstep install`).
            told.insert("install".to_owned(), json!({"state": install.state}));
        }
        let Lacks { reading, writing } = self.access.lacks(&workspace.name, system);
        if !writing.is_empty() {
            told.insert("read_only".to_owned(), true.into());
        }
        if !reading.is_empty() || !writing.is_empty() {
            let missing: BTreeSet<_> = reading.union(&writing).collect();
            told.insert("not_granted".to_owned(), json!(missing));
        }
        Ok(())
    }
}

impl Served {
    fn new(workspaces: Vec<Workspace>, checks: &BTreeMap<System, Vec<Check>>) -> Self {
        // A push, which has no header, says nothing of the webhooks that are to be registered.
        let names = |checks: &Vec<Check>| {
            checks.iter().filter(|check| check.header.is_some()).flat_map(|check| check.speaks_for.clone()).collect()
        };
        Self { workspaces, spoken_for: checks.iter().map(|(system, checks)| (*system, names(checks))).collect() }
    }

    fn webhooks(&self, system: System, workspace: &str, last: Option<Millis>) -> Map<String, Value> {
        let registered = self.spoken_for.get(&system).is_some_and(|names| names.contains(workspace));
        let webhooks = match (registered, last) {
            (_, Some(_)) => "seen",
            (true, None) => "registered but nothing seen yet",
            (false, None) => "not registered: no key, token or secret is configured for its webhooks",
        };
        let last = json!(last.map(Millis::rfc3339));
        [("registered", registered.into()), ("webhooks", webhooks.into()), ("last_webhook", last)]
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect()
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

fn alarm_json(alarm: &Alarm) -> Value {
    let Alarm { system, header, last_seen, text } = alarm;
    json!({"system": system, "header": header, "last_seen": last_seen.rfc3339(), "text": text})
}

/// A workspace's load, in JSON.
pub fn load_json(load: &Load) -> Value {
    json!({
        "undecided": load.undecided,
        "due": load.due,
        "waiting": load.waiting,
        "parked": load.parked,
        "oldest_due": load.oldest_due.map(Millis::rfc3339),
    })
}

pub(super) async fn health(State(health): State<Arc<Health>>) -> Result<Json<Value>, Problem> {
    health.tell().await.map(Json).map_err(|error| {
        tracing::error!(%error, "health could not be told");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "")
    })
}
