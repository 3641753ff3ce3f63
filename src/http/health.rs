//! `GET /health`: whether webhooks arrive, workspace by workspace, and how much waits.
//!
//! In: the workspaces, who may send for them, the store's rows about them, and what stays away. Out: JSON without accounts, secrets or
//! personal values, since everybody may read it. An answer is kept for a second, so that asking costs the store little.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::problem::Problem;
use crate::clock::{Clock, Millis};
use crate::model::{System, Workspace};
use crate::receive::{Alarm, Sightings};
use crate::store::{Load, StoreError, Workspaces};
use crate::verify::Check;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(1);

/// What `/health` tells.
pub struct Health {
    rows: Arc<dyn Workspaces>,
    workspaces: Vec<Workspace>,
    spoken_for: BTreeMap<System, BTreeSet<String>>,
    sightings: Arc<Sightings>,
    clock: Arc<dyn Clock>,
    kept: Mutex<Option<(Millis, Value)>>,
}

impl Health {
    /// The health of these workspaces, whose webhooks these checks prove and these sightings watch.
    pub fn new(
        rows: Arc<dyn Workspaces>,
        workspaces: Vec<Workspace>,
        checks: &BTreeMap<System, Vec<Check>>,
        sightings: Arc<Sightings>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let names = |checks: &Vec<Check>| checks.iter().flat_map(|check| check.speaks_for.clone()).collect();
        let spoken_for = checks.iter().map(|(system, checks)| (*system, names(checks))).collect();
        Self { rows, workspaces, spoken_for, sightings, clock, kept: Mutex::new(None) }
    }

    /// The present health, or that of the last second.
    pub async fn tell(&self) -> Result<Value, StoreError> {
        let now = self.clock.now();
        let mut kept = self.kept.lock().await;
        if let Some((_, told)) = kept.as_ref().filter(|(at, _)| now.since(*at) < KEPT) {
            return Ok(told.clone());
        }
        let mut workspaces = Vec::with_capacity(self.workspaces.len());
        for workspace in &self.workspaces {
            workspaces.push(self.workspace(workspace).await?);
        }
        let alarms: Vec<Value> = self.sightings.alarms().iter().map(alarm_json).collect();
        let told = json!({
            "status": "ok", "version": env!("CARGO_PKG_VERSION"), "alarms": alarms, "workspaces": workspaces
        });
        *kept = Some((now, told.clone()));
        Ok(told)
    }

    async fn workspace(&self, workspace: &Workspace) -> Result<Value, StoreError> {
        let name = workspace.name.as_str();
        let mode = self.rows.mode(name).await?.map(crate::model::Mode::word);
        let last = self.rows.last_webhooks(name).await?;
        let load = self.rows.load(name).await?;
        let systems: Map<String, Value> = workspace
            .accounts
            .keys()
            .map(|system| (system.word().to_owned(), self.system(*system, name, last.get(system).copied())))
            .collect();
        Ok(json!({"name": name, "mode": mode, "systems": systems, "load": load_json(&load)}))
    }

    fn system(&self, system: System, workspace: &str, last: Option<Millis>) -> Value {
        let registered = self.spoken_for.get(&system).is_some_and(|names| names.contains(workspace));
        let webhooks = match (registered, last) {
            (_, Some(_)) => "seen",
            (true, None) => "registered but nothing seen yet",
            (false, None) => "not registered: no key, token or secret is configured for its webhooks",
        };
        json!({"registered": registered, "webhooks": webhooks, "last_webhook": last.map(Millis::rfc3339)})
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").field("workspaces", &self.workspaces.len()).finish_non_exhaustive()
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
