//! Polling: objects that webhooks do not tell of, or not for long (GHL's open tasks, TimeRex's upcoming bookings), are listed
//! every few minutes, and what differs from what is known becomes rows of the change log.
//!
//! In: a site, and what its last poll found. Out: claims, as from a reconcile; its position is not touched. A page is one
//! call. A poll yields: when the budget is spent, the round ends, and the calls are left to the lanes. When a round was
//! whole is kept, so that a service that starts again knows whether one is due.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Reconciler;
use super::marks::Marks;
use crate::clock::Millis;
use crate::model::{ExternalId, Kind, NewChange, Observation, Origin, Shape, System};
use crate::resolve::claim;
use crate::store::StoreError;
use crate::systems::{Decision, Page, Site, SystemError, Target, trail};

/// The polling of one kind in one system of one workspace. It is lent to each round, so no two can run at once.
#[derive(Debug)]
pub struct Poll {
    system: System,
    kind: Kind,
    every: Duration,
    /// When the last round began, or was found to have begun before we started.
    begun: Option<Millis>,
    /// When the last round that listed everything began.
    last: Option<Millis>,
    /// What was listed differently from what is known and has become a row. While it is listed just so, it is not said
    /// again: a listing may show a field in another form than a read for ever.
    said: BTreeMap<ExternalId, Shape>,
    /// The last round failed, and that was logged.
    failing: bool,
}

impl Poll {
    /// The polling of a kind in a system, in rounds that begin so far apart; nothing was listed yet.
    pub fn new(system: System, kind: Kind, every: Duration) -> Self {
        Self { system, kind, every, begun: None, last: None, said: BTreeMap::new(), failing: false }
    }

    /// Whether it may be time for a round: no other began as far as is known, or long enough ago.
    pub fn may_be_due(&self, now: Millis) -> bool {
        // One that began later than now: the clock was set back.
        self.begun.is_none_or(|begun| begun > now || now.since(begun) >= self.every)
    }

    fn cursor(&self) -> String {
        format!("poll/{}/{}", self.system, self.kind)
    }

    /// What was seen, if it is not said yet. An edit that the round before did not see was made in between, so that now is
    /// not before it (R7); what the first round sees may be old.
    fn news(&self, mut seen: Observation, started: Millis) -> Option<Observation> {
        if self.said.get(&seen.id) == Some(&seen.shape) {
            return None;
        }
        seen.at = seen.at.or(self.last.map(|_| started));
        Some(seen)
    }

    /// Says once that it does not work, until it works again: a scope that was not granted, a vendor that is away.
    fn failed(&mut self, workspace: &str, error: &SystemError) {
        if !self.failing {
            let (system, kind) = (self.system, self.kind);
            tracing::warn!(workspace, %system, %kind, %error, "polling failed; edits are found when reconciling only");
        }
        self.failing = true;
    }
}

impl Reconciler {
    /// One round, if it is time for one: the last may have begun before the service started. Gives how many differences became
    /// rows.
    pub async fn poll_if_due(&self, site: &Site, poll: &mut Poll) -> Result<usize, StoreError> {
        if poll.begun.is_none() {
            let text = self.workspaces.cursor(&site.workspace.name, &poll.cursor()).await?;
            poll.begun = text.and_then(|text| text.parse().ok()).map(Millis);
        }
        if poll.may_be_due(self.clock.now()) { self.poll(site, poll).await } else { Ok(0) }
    }

    /// One round. Gives how many differences became rows.
    pub async fn poll(&self, site: &Site, poll: &mut Poll) -> Result<usize, StoreError> {
        let Some(target) = site.targets.get(&poll.system) else { return Ok(0) };
        let workspace = &site.workspace.name;
        let started = self.clock.now();
        poll.begun = Some(started);
        let (mut differing, mut rows, mut marks) = (BTreeMap::new(), 0, Marks::default());
        let ended = loop {
            let listed = match self.untold_page(workspace, target.as_ref(), poll, marks.last()).await {
                Ok(Some(listed)) => listed,
                Ok(None) => break false,
                Err(error) => {
                    poll.failed(workspace, &error);
                    break false;
                }
            };
            let mut changes: Vec<NewChange> = Vec::new();
            for seen in listed.observations {
                let link = self.entities.link(workspace, poll.system, poll.kind, &seen.id).await?;
                if claim::difference(target.as_ref(), link.as_ref(), &seen).is_some() {
                    differing.insert(seen.id.clone(), seen.shape.clone());
                    changes.extend(
                        poll.news(seen, started).map(|seen| self.row(Origin::Look, workspace, poll.system, &seen)),
                    );
                }
            }
            if !changes.is_empty() {
                self.log.append(&changes).await?;
                rows += changes.len();
            }
            match marks.go_on(poll.system, listed.next) {
                Ok(true) => {}
                Ok(false) => break true,
                Err(endless) => {
                    poll.failed(workspace, &endless);
                    break false;
                }
            }
        };
        if ended {
            (poll.last, poll.failing) = (Some(started), false);
            poll.said.clear();
            self.workspaces.set_cursor(workspace, &poll.cursor(), &started.0.to_string(), started).await?;
        }
        poll.said.extend(differing);
        Ok(rows)
    }

    /// One page; `None`: calls are put off, so the round is left to the next one.
    async fn untold_page(
        &self,
        workspace: &str,
        target: &dyn Target,
        poll: &Poll,
        page: Option<&str>,
    ) -> Result<Option<Page>, SystemError> {
        match trail::follow(target.untold(poll.kind, page)).await.0 {
            Err(error) if matches!(error.decision(), Decision::Later(_)) => {
                tracing::debug!(workspace, system = %poll.system, %error, "a poll was left out");
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }
}
