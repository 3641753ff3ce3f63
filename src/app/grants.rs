//! What waited for the leave of an account's owner goes on when it is given: a scope is granted, the account is connected.
//!
//! In: what each workspace's systems lack. Out: mirrors that are due again. The rows are looked at only when something is
//! lacked no longer, and now and then in any case.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;

use super::Running;
use super::access::{install_key, lacks};
use crate::config::Config;
use crate::http::Lacks;
use crate::mirror::{CONNECT, GRANT, NOT_CONNECTED, NOT_GRANTED};
use crate::model::{Install, InstallState, Mirror, MirrorState, System};
use crate::store::Review;
use crate::systems::{Site, Target};

/// After so many looks the rows are looked at in any case: something may have been lost and given between two looks.
const NOW_AND_THEN: u32 = 12;
/// Mirrors looked at.
const MOST: u32 = 500;

/// What an account's owner may not have given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Leave {
    Scope(String),
    Connection,
}

/// What is not given, by system.
type Lacked = BTreeSet<(System, Leave)>;

/// What was lacked when it was looked last, by workspace.
#[derive(Default)]
pub(super) struct Grants {
    lacked: BTreeMap<String, Lacked>,
    looks: u32,
}

impl Grants {
    /// Whether the rows of a workspace are worth a look.
    fn is_news(&mut self, workspace: &str, lacked: &Lacked) -> bool {
        let before = self.lacked.insert(workspace.to_owned(), lacked.clone());
        before.is_none_or(|before| !before.is_subset(lacked)) || self.looks.is_multiple_of(NOW_AND_THEN)
    }
}

fn lacked(config: &Config, site: &Site, installs: &[Install]) -> Lacked {
    let of = |(system, target): (&System, &Arc<dyn Target>)| {
        let Lacks { reading, writing } = lacks(target.as_ref());
        let system = *system;
        reading.into_iter().chain(writing).map(move |scope| (system, Leave::Scope(scope)))
    };
    let mut lacked: Lacked = site.targets.iter().flat_map(of).collect();
    let connected = |install: &Install| install.among(installs).state == InstallState::Connected;
    for system in site.targets.keys() {
        let key = install_key(config, &site.workspace, *system);
        if key.is_some_and(|key| !installs.iter().any(|install| install.key == key && connected(install))) {
            lacked.insert((*system, Leave::Connection));
        }
    }
    lacked
}

/// What a mirror waits for.
fn awaited(mirror: &Mirror) -> Option<(System, Leave)> {
    let reason = mirror.reason.as_deref()?;
    if reason.starts_with(NOT_CONNECTED) {
        return Some((mirror.system, Leave::Connection));
    }
    let scope = reason.strip_prefix(NOT_GRANTED)?.split('`').nth(1)?;
    Some((mirror.system, Leave::Scope(scope.to_owned())))
}

/// What a review tells of.
fn told(review: &Review) -> Option<(System, Leave)> {
    if let Some(system) = review.subject.strip_prefix(CONNECT) {
        return Some((system.parse().ok()?, Leave::Connection));
    }
    let (system, scope) = review.subject.strip_prefix(GRANT)?.split_once('/')?;
    Some((system.parse().ok()?, Leave::Scope(scope.to_owned())))
}

impl Running {
    /// Releases what waits for nothing any more.
    pub(super) async fn release_what_waited(&self, grants: &mut Grants, installs: &[Install]) -> Result<()> {
        grants.looks = grants.looks.wrapping_add(1);
        let served = self.roster.served();
        for (name, site) in &served.sites {
            if self.holder.lease(name).is_none() {
                // What another process held back meanwhile is not known.
                grants.lacked.remove(name);
                continue;
            }
            let lacked = lacked(&served.config, site, installs);
            if !grants.is_news(name, &lacked) {
                continue;
            }
            let released = self.release_given(name, &lacked).await.unwrap_or_else(|error| {
                tracing::warn!(workspace = %name, error = %error, "what waited for its owner was not released; trying again");
                true
            });
            if released {
                // A lane that was under way may have held something back at the same moment.
                grants.lacked.remove(name);
            }
        }
        Ok(())
    }

    /// Whether there was anything to release.
    async fn release_given(&self, name: &str, lacked: &Lacked) -> Result<bool> {
        let given = |leave: Option<(System, Leave)>| leave.is_some_and(|leave| !lacked.contains(&leave));
        let mut found = false;
        let held = self.store.in_state(name, MirrorState::Held, MOST).await?;
        if held.iter().any(|mirror| given(awaited(mirror))) {
            let released = self.release(name, |mirror| given(awaited(mirror))).await?;
            tracing::info!(workspace = %name, released, "what waited for its owner's leave goes on");
            found = true;
        }
        // Also those of an edit that went on by itself, or of a process that died between the two.
        for review in self.store.reviews(name).await?.iter().filter(|review| given(told(review))) {
            self.store.close_review(name, &review.subject, self.clock.now()).await?;
            found = true;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(scopes: &[&str]) -> Lacked {
        scopes.iter().map(|scope| (System::Ghl, Leave::Scope((*scope).to_owned()))).collect()
    }

    #[test]
    fn rows_are_looked_at_first_when_less_is_lacked_and_now_and_then() {
        let mut grants = Grants { looks: 1, ..Grants::default() };
        assert!(grants.is_news("main", &lacking(&["a", "b"])), "the first look");
        assert!(!grants.is_news("main", &lacking(&["a", "b"])));
        assert!(!grants.is_news("main", &lacking(&["a", "b", "c"])), "one more");
        assert!(grants.is_news("main", &lacking(&["a", "c"])), "one less");
        assert!(grants.is_news("main", &lacking(&["a", "d"])), "another one");
        grants.looks = NOW_AND_THEN;
        assert!(grants.is_news("main", &lacking(&["a", "d"])));
    }
}
