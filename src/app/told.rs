//! What GHL tells of installs of our app, by webhooks that are rows of the change log: each is followed once.
//!
//! In: INSTALL and UNINSTALL. Out: installs with tokens, or wiped. Those of one location are followed in their order, those of
//! several side by side, those of a company by themselves. One that fails is tried again, ever more seldom, for a day.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::sync::Mutex;

use super::Running;
use super::installs::{LEASE, admits_location};
use crate::clock::Millis;
use crate::credentials::oauth::{Keeper, OauthError};
use crate::few::few_at_a_time;
use crate::model::{Change, ChangeId, InstallKey, InstallState, System};

/// Another process may still be committing a change with a lower number than one that we have seen, for so long at most.
const SETTLED: Duration = Duration::from_mins(1);
/// Changes read at once.
const BATCH: u32 = 500;
/// The pause after the first failure; it doubles.
const FIRST: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST: Duration = Duration::from_mins(15);
/// What fails for so long is given up.
const GIVEN_UP: Duration = Duration::from_hours(24);

/// How far it was followed.
#[derive(Default)]
pub(super) struct Told {
    done: BTreeSet<ChangeId>,
    failed: BTreeMap<ChangeId, Failed>,
}

struct Failed {
    again: Millis,
    pause: Duration,
}

/// What came of some: those that are done, and one that failed.
type Followed = (Vec<ChangeId>, Option<(ChangeId, Millis)>);

/// What a change is about: a location, or a company as a whole.
fn about(change: &Change) -> (Option<String>, Option<String>) {
    let body: Value = serde_json::from_slice(&change.said.body).unwrap_or_default();
    let text = |key: &str| body[key].as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    (text("locationId"), text("companyId"))
}

impl Told {
    fn is_due(&self, change: &Change, now: Millis) -> bool {
        self.failed.get(&change.id).is_none_or(|failed| failed.again <= now)
    }

    fn learn(&mut self, (done, failed): Followed, now: Millis) {
        for id in done {
            self.failed.remove(&id);
            self.done.insert(id);
        }
        let Some((id, received)) = failed else { return };
        if now.since(received) > GIVEN_UP {
            tracing::error!(change.id = id.0, "an install could not be followed for a day, and is given up");
            self.done.insert(id);
            return;
        }
        let pause = self.failed.get(&id).map_or(FIRST, |failed| LONGEST.min(failed.pause * 2));
        self.failed.insert(id, Failed { again: now + pause, pause });
    }

    /// The last change before which all are done and none can come any more.
    fn reached(&self, changes: &[Change], cursor: ChangeId, now: Millis) -> ChangeId {
        let over = |change: &&Change| self.done.contains(&change.id) && now.since(change.said.received) > SETTLED;
        changes.iter().take_while(over).last().map_or(cursor, |change| change.id)
    }
}

impl Running {
    /// Follows what is told, if that is ours to do and does not run already.
    pub(super) fn follow(self: &Arc<Self>, told: &Arc<Mutex<Told>>) {
        let keeper = self.keepers.get(&System::Ghl).filter(|_| self.holder.lease(LEASE).is_some());
        let Some(keeper) = keeper.cloned() else { return };
        let Ok(mut told) = told.clone().try_lock_owned() else { return };
        let (running, stop) = (self.clone(), self.supervisor.stop().clone());
        self.supervisor.spawn(async move {
            let followed = tokio::select! {
                () = stop.cancelled() => return,
                followed = running.follow_all(&keeper, &mut told) => followed,
            };
            if let Err(error) = followed {
                tracing::error!(error = %error, "installs could not be followed; trying again");
            }
        });
    }

    async fn follow_all(self: &Arc<Self>, keeper: &Arc<Keeper>, told: &mut Told) -> Result<()> {
        let text = self.store.cursor(LEASE, "told").await?;
        let cursor = ChangeId(text.and_then(|text| text.parse().ok()).unwrap_or(0));
        // Another process may have gone on from where we were.
        told.done.retain(|id| *id > cursor);
        told.failed.retain(|id, _| *id > cursor);
        let changes = self.store.told_of_installs(System::Ghl, cursor, BATCH).await?;
        let (began, before) = (self.clock.now(), told.done.len());
        let mut lanes: BTreeMap<String, Vec<Change>> = BTreeMap::new();
        for change in &changes {
            if told.done.contains(&change.id) {
                continue;
            }
            if let (Some(location), _) = about(change) {
                lanes.entry(location).or_default().push(change.clone());
            } else if told.is_due(change, began) {
                self.follow_lanes(keeper, std::mem::take(&mut lanes), told).await;
                let alone = self.clone().follow_lane(keeper.clone(), vec![change.clone()]).await;
                told.learn(alone, self.clock.now());
            }
        }
        self.follow_lanes(keeper, lanes, told).await;
        if told.done.len() > before {
            self.open_what_is_installed().await?;
        }
        let now = self.clock.now();
        let reached = told.reached(&changes, cursor, now);
        if reached != cursor {
            self.store.set_cursor(LEASE, "told", &reached.0.to_string(), now).await?;
        }
        Ok(())
    }

    /// A few locations at once: one at which the vendor hangs holds up its own place only.
    async fn follow_lanes(
        self: &Arc<Self>,
        keeper: &Arc<Keeper>,
        lanes: BTreeMap<String, Vec<Change>>,
        told: &mut Told,
    ) {
        let now = self.clock.now();
        let due = lanes.into_values().filter(|lane| lane.last().is_some_and(|last| told.is_due(last, now)));
        let followed = few_at_a_time(due, |lane| self.clone().follow_lane(keeper.clone(), lane)).await;
        for followed in followed {
            told.learn(followed, self.clock.now());
        }
    }

    /// One after the other. What failed is over when something later of the same location is done; the last tells when it is
    /// tried again.
    async fn follow_lane(self: Arc<Self>, keeper: Arc<Keeper>, lane: Vec<Change>) -> Followed {
        let (mut done, mut pending) = (Vec::new(), Vec::new());
        for change in &lane {
            pending.push(change.id);
            match self.follow_one(&keeper, change).await {
                Ok(()) => done.append(&mut pending),
                Err(error) => {
                    tracing::warn!(change.id = change.id.0, error = %error, "an install could not be followed; trying again");
                }
            }
        }
        let failed = lane.last().filter(|_| !pending.is_empty());
        (done, failed.map(|last| (last.id, last.said.received)))
    }

    async fn follow_one(&self, keeper: &Arc<Keeper>, change: &Change) -> Result<(), OauthError> {
        let (location, company) = about(change);
        let (location, company) = (location.as_deref(), company.as_deref());
        if change.said.label == "UNINSTALL" {
            let key = location.map(InstallKey::location).or_else(|| company.map(InstallKey::company));
            let Some(key) = key else { return Ok(()) };
            if !self.is_over(&key, change.said.at).await? {
                keeper.wipe(&key).await?;
            }
            return Ok(());
        }
        let served = self.roster.served();
        let admits = |location: &str, company: Option<&str>| admits_location(&served.config, location, company);
        keeper.installed(location, company, &admits).await.map(drop)
    }

    /// Whether an uninstalling that was told late is over: tokens that were got or renewed after it are good.
    async fn is_over(&self, key: &InstallKey, at: Option<Millis>) -> Result<bool, OauthError> {
        let install = self.store.install(key).await?;
        let since = install.filter(|install| install.state == InstallState::Connected).map(|install| install.changed);
        Ok(since.zip(at).is_some_and(|(since, at)| since > at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_000_000_000);

    #[test]
    fn what_fails_is_tried_ever_more_seldom_and_given_up_after_a_day() {
        let (mut told, mut now) = (Told::default(), NOW);
        let mut pauses = Vec::new();
        for _ in 0..10 {
            told.learn((vec![], Some((ChangeId(1), NOW))), now);
            pauses.push(told.failed[&ChangeId(1)].pause.as_secs());
            now = told.failed[&ChangeId(1)].again;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert!(!told.done.contains(&ChangeId(1)));
        told.learn((vec![], Some((ChangeId(1), NOW))), NOW + GIVEN_UP + Duration::from_millis(1));
        assert!(told.done.contains(&ChangeId(1)));
    }

    #[test]
    fn what_is_done_after_a_failure_forgets_it() {
        let mut told = Told::default();
        told.learn((vec![], Some((ChangeId(1), NOW))), NOW);
        told.learn((vec![ChangeId(1), ChangeId(2)], None), NOW);
        assert!(told.failed.is_empty() && told.done.len() == 2);
    }
}
