//! Reconciling: what a system lists is compared with what it is known to hold; differences go the way of every change.
//!
//! In: a site. Out: rows of the change log (claims: a list page proves nothing, the lane reads), and a report of the drift.
//! A dry run reports only. A full run lists everything, and doubts linked objects that are not listed; what a system lists only
//! contact by contact (GHL its notes) is left out of every other run. Between runs, what no webhook tells of is polled (`poll`).

mod invitations;
mod marks;
mod poll;
pub mod retention;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::clock::{Clock, Millis};
use crate::ids::Ids;
use crate::model::{
    Class, ExternalId, Field, Home, Kind, Link, NewChange, Observation, Origin, Priority, Shape, System,
};
use crate::resolve::claim;
use crate::store::{ChangeLog, Entities, StoreError, Workspaces, present};
use crate::systems::{Decision, Shown, Site, SystemError, Target, trail};

pub use invitations::Follower;
use marks::Marks;
pub use poll::Poll;

/// Listings start this much before the last run, for clocks and search indexes that lag.
const OVERLAP: Duration = Duration::from_mins(10);
/// How long a listing waits for one page when the rate budget is spent; a longer wait ends it.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often one page is asked for where the vendor could not be reached, and how long apart: one failure in a list of thousands
/// of pages shall not end it.
const TRIES: u32 = 3;
const AGAIN: Duration = Duration::from_secs(1);
/// Drifting objects named in a report; the rest is counted.
const NAMED: usize = 100;

/// Compares systems with what they are known to hold.
pub struct Reconciler {
    /// Where differences go.
    pub log: Arc<dyn ChangeLog>,
    /// What is known.
    pub entities: Arc<dyn Entities>,
    /// Where the last run ended.
    pub workspaces: Arc<dyn Workspaces>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub ids: Arc<Ids>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope {
    /// List everything, not only what changed since the last run.
    pub full: bool,
    /// Report only.
    pub dry_run: bool,
}

/// What a run found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The workspace.
    pub workspace: String,
    /// Whether it only looked.
    pub dry_run: bool,
    /// Whether everything was listed.
    pub full: bool,
    /// Per system and kind.
    pub listings: Vec<Listing>,
    /// Objects that differ from what was known; the first hundred.
    pub drift: Vec<Drift>,
}

/// One system and kind.
#[derive(Debug, Clone, Serialize)]
pub struct Listing {
    /// The system.
    pub system: System,
    /// The kind.
    pub kind: Kind,
    /// Objects listed.
    pub listed: usize,
    /// Of these, as known.
    pub equal: usize,
    /// Of these, different from what was known.
    pub drifted: usize,
    /// Of these, not known before.
    pub unknown: usize,
    /// Known objects that a full listing left out.
    pub missing: usize,
    /// The scope for want of which it ended early: the owner's choice, and no failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_granted: Option<String>,
    /// Why else it ended early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Listing {
    fn new(system: System, kind: Kind) -> Self {
        let (listed, equal, drifted, unknown, missing) = (0, 0, 0, 0, 0);
        Self { system, kind, listed, equal, drifted, unknown, missing, not_granted: None, error: None }
    }

    fn ended(&mut self, error: &SystemError) {
        match error.decision() {
            Decision::Grant(scope) => self.not_granted = Some(scope),
            _ => self.error = Some(error.to_string()),
        }
    }

    /// Whether it came to its end.
    fn is_whole(&self) -> bool {
        self.error.is_none() && self.not_granted.is_none()
    }
}

/// What the pages of one listing showed.
#[derive(Default)]
struct Listed {
    objects: BTreeSet<(Kind, ExternalId)>,
    /// The contacts of which each object of the kind was listed, where they are listed so.
    contacts: BTreeSet<ExternalId>,
}

/// One difference. Names fields, never values.
#[derive(Debug, Clone, Serialize)]
pub struct Drift {
    /// The system.
    pub system: System,
    /// The kind.
    pub kind: Kind,
    /// The object.
    pub object: ExternalId,
    /// `unknown`, `missing` or `drifted`.
    pub what: &'static str,
    /// The fields that differ.
    pub fields: Vec<Field>,
}

impl Reconciler {
    /// Reconciles one workspace.
    pub async fn run(&self, site: &Site, scope: Scope) -> Result<Report, StoreError> {
        let workspace = site.workspace.name.clone();
        let Scope { full, dry_run } = scope;
        let mut report = Report { workspace, dry_run, full, listings: Vec::new(), drift: Vec::new() };
        for (system, target) in &site.targets {
            for kind in Kind::ALL {
                if matches!(target.home(*kind), Home::Native | Home::Extension) {
                    self.list(site, *system, target.as_ref(), *kind, scope, &mut report).await?;
                }
            }
        }
        Ok(report)
    }

    async fn list(
        &self,
        site: &Site,
        system: System,
        target: &dyn Target,
        kind: Kind,
        scope: Scope,
        report: &mut Report,
    ) -> Result<(), StoreError> {
        let workspace = &site.workspace.name;
        let cursor = format!("reconcile/{system}/{kind}");
        let started = self.clock.now();
        let since = if scope.full { None } else { self.since(workspace, &cursor).await? };
        let mut listing = Listing::new(system, kind);
        let mut listed = Listed::default();
        let mut marks = Marks::default();
        loop {
            let answer = match self.page(target, kind, since, marks.last()).await {
                Ok(answer) => answer,
                Err(error) => {
                    listing.ended(&error);
                    break;
                }
            };
            let mut changes = Vec::new();
            listed.contacts.extend(answer.of);
            for seen in answer.observations {
                if !seen.tells_only_tags() {
                    listed.objects.insert((seen.kind, seen.id.clone()));
                }
                listing.listed += 1;
                let link = self.entities.link(workspace, system, seen.kind, &seen.id).await?;
                match claim::difference(target, link.as_ref(), &seen) {
                    None => listing.equal += 1,
                    Some("restored") if self.is_orphan(workspace, system, &seen).await? => listing.equal += 1,
                    Some(what) => {
                        *(if what == "unknown" { &mut listing.unknown } else { &mut listing.drifted }) += 1;
                        note(report, system, &seen, what, link.as_ref());
                        changes.push(self.row(Origin::Listing, workspace, system, &seen));
                    }
                }
            }
            self.feed(scope, &changes).await?;
            match marks.go_on(system, answer.next) {
                Ok(true) => {}
                Ok(false) => break,
                Err(endless) => {
                    listing.ended(&endless);
                    break;
                }
            }
        }
        if since.is_none() && listing.is_whole() && scope.full {
            // What is projected stands within contacts, and was listed with them.
            let within =
                Kind::ALL.iter().filter(|other| kind == Kind::Contact && target.home(**other) == Home::Projected);
            for kind in std::iter::once(&kind).chain(within) {
                listing.missing += self.doubt_missing(workspace, target, *kind, scope, &listed, report).await?;
            }
        }
        if listing.is_whole() && !scope.dry_run {
            self.workspaces.set_cursor(workspace, &cursor, &started.0.to_string(), started).await?;
        }
        report.listings.push(listing);
        Ok(())
    }

    async fn since(&self, workspace: &str, cursor: &str) -> Result<Option<Millis>, StoreError> {
        let text = self.workspaces.cursor(workspace, cursor).await?;
        Ok(text.and_then(|text| text.parse().ok()).map(|last| Millis(last) - OVERLAP))
    }

    /// Asks for one page, and again when it was put off for a short time, or could not be had.
    async fn page(
        &self,
        target: &dyn Target,
        kind: Kind,
        since: Option<Millis>,
        page: Option<&str>,
    ) -> Result<crate::systems::Page, SystemError> {
        let (until, mut tries) = (self.clock.now() + PATIENCE, 0);
        loop {
            let listing = trail::follow(target.changed(kind, since, page));
            let (answer, _) = trail::ranked(Priority::Reconcile, listing).await;
            let wait = match &answer {
                Err(SystemError::Unavailable { status: Some(_), .. }) if tries + 1 < TRIES => {
                    tries += 1;
                    AGAIN
                }
                Err(error) => match error.decision() {
                    Decision::Later(wait) => wait,
                    _ => return answer,
                },
                Ok(_) => return answer,
            };
            if self.clock.now() + wait > until {
                return answer;
            }
            self.clock.sleep(wait).await;
        }
    }

    /// Linked objects that a whole listing left out may be deleted: a claim each, so that they are read.
    async fn doubt_missing(
        &self,
        workspace: &str,
        target: &dyn Target,
        kind: Kind,
        scope: Scope,
        listed: &Listed,
        report: &mut Report,
    ) -> Result<usize, StoreError> {
        let system = target.system();
        let links = self.entities.live_links(workspace, system, kind).await?;
        let (mut changes, mut missing) = (Vec::new(), 0);
        for link in links.iter().filter(|link| !listed.objects.contains(&(kind, link.id.clone()))) {
            let is_missing = match target.shows(link) {
                Shown::Always => true,
                Shown::Below => self.is_below(link, &listed.contacts).await?,
                Shown::Outside => false,
            };
            if !is_missing {
                continue;
            }
            let seen = Observation::new(kind, link.id.clone(), Class::Claim, Shape::Gone);
            missing += 1;
            note(report, system, &seen, "missing", None);
            changes.push(self.row(Origin::Listing, workspace, system, &seen));
        }
        self.feed(scope, &changes).await?;
        Ok(missing)
    }

    /// Whether a linked object belongs to one of these contacts of its system.
    async fn is_below(&self, link: &Link, contacts: &BTreeSet<ExternalId>) -> Result<bool, StoreError> {
        let entities = self.entities.as_ref();
        let parent = present(entities, link.entity).await?.and_then(|whole| whole.entity.parent);
        let Some(parent) = parent else { return Ok(false) };
        let contact = present(entities, parent).await?;
        let there = contact.as_ref().and_then(|contact| contact.link(link.system));
        Ok(there.is_some_and(|there| contacts.contains(&there.id)))
    }

    /// Whether a task or note stands below a contact that is gone from its system, or has another id there. It went with that,
    /// though it is listed still (an extension is not told what becomes of the vendor's contacts), and comes back with that.
    async fn is_orphan(&self, workspace: &str, system: System, seen: &Observation) -> Result<bool, StoreError> {
        let within = matches!(seen.kind, Kind::Task | Kind::Note);
        let Some(contact) = seen.parent.as_ref().filter(|_| within) else { return Ok(false) };
        let link = self.entities.link(workspace, system, Kind::Contact, contact).await?;
        Ok(link.is_some_and(|link| !link.is_live()))
    }

    async fn feed(&self, scope: Scope, changes: &[NewChange]) -> Result<(), StoreError> {
        if !scope.dry_run && !changes.is_empty() {
            self.log.append(changes).await?;
        }
        Ok(())
    }

    fn row(&self, origin: Origin, workspace: &str, system: System, seen: &Observation) -> NewChange {
        let now = self.clock.now();
        claim::row(origin, workspace, system, seen, self.ids.uuid(now), now)
    }
}

fn note(report: &mut Report, system: System, seen: &Observation, what: &'static str, link: Option<&Link>) {
    if report.drift.len() >= NAMED {
        return;
    }
    let differs = |link: &Link| {
        let stated = claim::stated(seen, &link.snapshot);
        stated.into_iter().filter(|(field, value)| link.known(field).value != *value).map(|(field, _)| field).collect()
    };
    let fields = link.map(differs).unwrap_or_default();
    report.drift.push(Drift { system, kind: seen.kind, object: seen.id.clone(), what, fields });
}
