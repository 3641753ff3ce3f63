//! What operators may ask of the running service.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::invitations::{self, shown};
use super::preview::NotLive;
use super::{Running, veils};
use crate::clock::Millis;
use crate::credentials::oauth::{Keeper, OauthError};
use crate::few::few_at_a_time;
use crate::http::{Deletion, Invite, NotWell, Ops, OpsError, Question, load_json};
use crate::model::{Install, InstallKey, Mode, System};
use crate::reconcile::{Report, Scope};
use crate::systems::capabilities::{self, Cell};
use crate::systems::inquiry::lengths;
use crate::systems::{Inspected, NotAsked, Site};

/// Runs of reconcile that are remembered.
const REMEMBERED: usize = 20;

/// One run of reconcile.
#[derive(Debug)]
pub(super) struct Run {
    id: String,
    state: RunState,
}

#[derive(Debug)]
enum RunState {
    Running,
    Done(Vec<Report>),
    Failed,
}

impl Run {
    fn json(&self) -> Value {
        match &self.state {
            RunState::Running => json!({ "run": self.id, "status": "running" }),
            RunState::Done(reports) => json!({ "run": self.id, "status": "done", "reports": reports }),
            RunState::Failed => json!({ "run": self.id, "status": "failed" }),
        }
    }
}

#[async_trait]
impl Ops for Arc<Running> {
    fn live(&self) -> Result<(), NotWell> {
        let stale = self.supervisor.stale();
        if stale.is_empty() { Ok(()) } else { Err(NotWell(format!("no sign of life from {}", stale.join(", ")))) }
    }

    async fn ready(&self) -> Result<(), NotWell> {
        self.store.mode("").await.map(drop).map_err(|_| NotWell("the store does not answer".to_owned()))
    }

    async fn status(&self) -> Result<Value, OpsError> {
        let mut workspaces = Vec::new();
        for name in self.roster.served().sites.keys() {
            let load = self.store.load(name).await.map_err(OpsError::failed)?;
            let mode = self.store.mode(name).await.map_err(OpsError::failed)?.map(Mode::word);
            let outcomes = self.store.outcomes(name).await.map_err(OpsError::failed)?;
            let outcomes: serde_json::Map<String, Value> =
                outcomes.into_iter().map(|(outcome, count)| (outcome.word().to_owned(), count.into())).collect();
            let reviews = self.store.reviews(name).await.map_err(OpsError::failed)?;
            let reviews: Vec<Value> = reviews
                .iter()
                .map(|review| json!({ "subject": review.subject, "text": review.text, "since": review.at.rfc3339() }))
                .collect();
            let leased = self.holder.lease(name).is_some();
            workspaces.push(json!({
                "name": name, "mode": mode, "leased": leased, "load": load_json(&load), "outcomes": outcomes,
                "reviews": reviews
            }));
        }
        Ok(json!({ "version": env!("CARGO_PKG_VERSION"), "workspaces": workspaces }))
    }

    async fn reconcile(&self, workspace: Option<String>, scope: Scope) -> Result<Value, OpsError> {
        if let Some(unknown) = workspace.as_ref().filter(|name| !self.serves(name)) {
            return Err(OpsError::UnknownWorkspace(unknown.clone()));
        }
        start_reconcile(self, workspace, scope)
    }

    async fn run(&self, id: &str) -> Result<Option<Value>, OpsError> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(runs.iter().find(|run| run.id == id).map(Run::json))
    }

    async fn preview(&self, workspace: &str) -> Result<Value, OpsError> {
        let preview = Running::preview(self, workspace).await.map_err(refused)?;
        serde_json::to_value(preview).map_err(OpsError::failed)
    }

    async fn go_live(&self, workspace: &str, code: &str) -> Result<Value, OpsError> {
        let calls = Running::go_live(self, workspace, code).await.map_err(refused)?;
        Ok(json!({ "workspace": workspace, "mode": "live", "released": calls }))
    }

    async fn approve(&self, workspace: &str, subject: &str) -> Result<Value, OpsError> {
        let released = Running::approve(self, workspace, subject).await.map_err(refused)?;
        Ok(json!({ "workspace": workspace, "subject": subject, "released": released }))
    }

    async fn deletion(&self, workspace: &str, order: Deletion) -> Result<Value, OpsError> {
        self.answered(workspace, &order).await
    }

    async fn installs(&self) -> Result<Value, OpsError> {
        let served = self.roster.served();
        let installs = self.store.installs().await.map_err(OpsError::failed)?;
        let shown = |install: &Install| {
            let install = install.among(&installs);
            json!({
                "install": install.key.to_string(), "company": install.company, "state": install.state,
                "reason": install.reason, "scopes": install.scopes, "expires": install.expires.map(Millis::rfc3339),
                "workspace": served.config.workspace_of(install.key.system, &install.key.account),
            })
        };
        Ok(json!({ "installs": installs.iter().map(shown).collect::<Vec<_>>() }))
    }

    async fn rotate(&self, install: InstallKey) -> Result<Value, OpsError> {
        self.keeper(install.system)?.rotate(&install).await.map_err(not_done)?;
        Ok(json!({ "rotated": install.to_string() }))
    }

    async fn revoke(&self, install: InstallKey, uninstall: bool) -> Result<Value, OpsError> {
        let revoked = self.keeper(install.system)?.revoke(&install, uninstall).await.map_err(not_done)?;
        Ok(json!({ "revoked": revoked.iter().map(ToString::to_string).collect::<Vec<_>>() }))
    }

    fn capabilities(&self, workspace: Option<&str>) -> Result<Value, OpsError> {
        let served = self.roster.served();
        if let Some(unknown) = workspace.filter(|name| !served.sites.contains_key(*name)) {
            return Err(OpsError::UnknownWorkspace(unknown.to_owned()));
        }
        let wanted = served.sites.iter().filter(|(name, _)| workspace.is_none_or(|wanted| wanted == *name));
        let shown = wanted.map(|(name, site)| {
            let cells: Vec<Cell> =
                site.targets.values().flat_map(|target| capabilities::row(target.as_ref())).collect();
            json!({ "name": name, "capabilities": cells })
        });
        Ok(json!({ "workspaces": shown.collect::<Vec<_>>() }))
    }

    async fn inspect(&self, workspace: &str) -> Result<Value, OpsError> {
        let site = self.site(workspace)?;
        let mut found = BTreeMap::new();
        for (system, inquiry) in &site.inquiries {
            found.insert(*system, inquiry.inspect(&site.workspace).await);
        }
        let lines = |found: &[Inspected]| -> Value {
            found.iter().map(|one| json!({ "ok": one.ok, "line": one.line })).collect()
        };
        let systems: serde_json::Map<String, Value> =
            found.iter().map(|(system, found)| (system.word().to_owned(), lines(found))).collect();
        Ok(json!({ "workspace": workspace, "systems": systems, "across": lines(&lengths(&found)) }))
    }

    async fn ask(&self, workspace: &str, system: System, question: Question) -> Result<Value, OpsError> {
        let site = self.site(workspace)?;
        let none =
            || OpsError::Conflict(format!("workspace `{workspace}` has no account in {system} that can be asked"));
        let inquiry = site.inquiries.get(&system).ok_or_else(none)?;
        let refused = |error: NotAsked| OpsError::Conflict(error.to_string());
        let (status, answer) = inquiry.ask(&question.operation, &question.params).await.map_err(refused)?;
        let answer = if question.secrets { answer } else { veils::answer_without_secrets(system, answer) };
        Ok(json!({ "status": status, "answer": answer }))
    }

    async fn invite(&self, workspace: &str, order: Invite) -> Result<Value, OpsError> {
        let (running, site) = (self.clone(), self.site(workspace)?);
        let (tell, told) = oneshot::channel();
        // By itself: a link that was made must be written down, though nobody waits to hear it any more.
        self.supervisor.spawn(async move {
            if tell.send(running.invited(&site, &order).await).is_err() {
                tracing::warn!(workspace = %site.workspace.name, "somebody was invited, and nobody waits to hear it");
            }
        });
        told.await.map_err(OpsError::failed)?
    }

    async fn invitations(&self, workspace: &str) -> Result<Value, OpsError> {
        let site = self.site(workspace)?;
        let invitations =
            self.store.invitations(&site.workspace.name, invitations::MOST).await.map_err(OpsError::failed)?;
        Ok(json!({ "workspace": workspace, "invitations": invitations.iter().map(shown).collect::<Vec<_>>() }))
    }
}

/// Starts a run in the background; one at a time.
pub(super) fn start_reconcile(
    running: &Arc<Running>,
    workspace: Option<String>,
    scope: Scope,
) -> Result<Value, OpsError> {
    let id = running.ids.uuid(running.clock.now()).to_string();
    {
        let mut runs = running.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.iter().any(|run| matches!(run.state, RunState::Running)) {
            return Err(OpsError::Busy("a reconcile".to_owned()));
        }
        if runs.len() >= REMEMBERED {
            runs.remove(0);
        }
        runs.push(Run { id: id.clone(), state: RunState::Running });
    }
    let (service, run) = (running.clone(), id.clone());
    running.supervisor.spawn(async move { service.run_reconcile(&run, workspace, scope).await });
    Ok(json!({ "run": id, "status": "running" }))
}

impl Running {
    /// A few workspaces at a time: a vendor that hangs in one holds up its own place only. Ends when the service stops.
    async fn run_reconcile(self: &Arc<Self>, id: &str, workspace: Option<String>, scope: Scope) {
        let ours = |name: &String| self.holder.lease(name).is_some();
        let wanted = |name: &String| workspace.as_ref().map_or_else(|| ours(name), |wanted| wanted == name);
        let sites: Vec<(String, Arc<Site>)> = self.sites().into_iter().filter(|(name, _)| wanted(name)).collect();
        let all = sites.len();
        let run = |(name, site): (String, Arc<Site>)| {
            let running = self.clone();
            async move {
                let report = running.stages.reconciler.run(&site, scope).await;
                running.wake_in(&name);
                report.inspect_err(|error| tracing::error!(workspace = %name, error = %error, "reconcile failed"))
            }
        };
        let ran = tokio::select! {
            () = self.supervisor.stop().cancelled() => return,
            ran = few_at_a_time(sites, run) => ran,
        };
        let mut reports: Vec<Report> = ran.into_iter().flatten().collect();
        reports.sort_by(|one, other| one.workspace.cmp(&other.workspace));
        let state = if reports.len() == all { RunState::Done(reports) } else { RunState::Failed };
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = runs.iter_mut().find(|run| run.id == id) {
            run.state = state;
        }
    }
}

impl Running {
    fn keeper(&self, system: System) -> Result<&Arc<Keeper>, OpsError> {
        let none = || OpsError::Conflict(format!("no OAuth app is configured ([systems.{system}.oauth])"));
        self.keepers.get(&system).ok_or_else(none)
    }

    fn site(&self, workspace: &str) -> Result<Arc<Site>, OpsError> {
        let unknown = || OpsError::UnknownWorkspace(workspace.to_owned());
        self.roster.served().sites.get(workspace).cloned().ok_or_else(unknown)
    }
}

fn not_done(error: OauthError) -> OpsError {
    match error {
        OauthError::Unknown(_) | OauthError::Client(_) | OauthError::Vendor(_) => OpsError::Conflict(error.to_string()),
        other => OpsError::failed(other),
    }
}

fn refused(error: NotLive) -> OpsError {
    match error {
        NotLive::Unknown(name) => OpsError::UnknownWorkspace(name),
        NotLive::Store(error) => OpsError::failed(error),
        other => OpsError::Conflict(other.to_string()),
    }
}
