//! What waited for a scope goes on when it is granted.
//!
//! In: which scopes each workspace's systems lack. Out: mirrors that are due again. The rows are looked at only when something
//! is lacked no longer, and now and then in any case.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::Running;
use super::access::lacks;
use crate::http::Lacks;
use crate::mirror::NOT_GRANTED;
use crate::model::{Mirror, MirrorState, System};
use crate::systems::Site;

/// After so many looks the rows are looked at in any case: a scope may have been lost and granted between two looks.
const NOW_AND_THEN: u32 = 12;
/// Mirrors looked at.
const MOST: u32 = 500;

/// A scope that a system does not grant.
type Lacked = BTreeSet<(System, String)>;

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

fn lacked(site: &Site) -> Lacked {
    let of = |(system, target): (&System, &_)| {
        let Lacks { reading, writing } = lacks(std::sync::Arc::as_ref(target));
        let system = *system;
        reading.into_iter().chain(writing).map(move |scope| (system, scope))
    };
    site.targets.iter().flat_map(of).collect()
}

/// Whether a mirror waits for a scope that is not lacked, as far as is known.
fn is_granted(mirror: &Mirror, lacked: &Lacked) -> bool {
    let reason = mirror.reason.as_deref().filter(|reason| reason.starts_with(NOT_GRANTED));
    let scope = reason.and_then(|reason| reason.split('`').nth(1));
    scope.is_some_and(|scope| !lacked.contains(&(mirror.system, scope.to_owned())))
}

impl Running {
    /// Releases what waits for nothing any more.
    pub(super) async fn release_what_is_granted(&self, grants: &mut Grants) -> Result<()> {
        grants.looks = grants.looks.wrapping_add(1);
        for (name, site) in &self.roster.served().sites {
            if self.holder.lease(name).is_none() {
                // What another process held back meanwhile is not known.
                grants.lacked.remove(name);
                continue;
            }
            let lacked = lacked(site);
            if grants.is_news(name, &lacked)
                && let Err(error) = self.release_granted(name, &lacked).await
            {
                grants.lacked.remove(name);
                tracing::warn!(workspace = %name, error = %error, "what waited for a scope was not released; trying again");
            }
        }
        Ok(())
    }

    async fn release_granted(&self, name: &str, lacked: &Lacked) -> Result<()> {
        let held = self.store.in_state(name, MirrorState::Held, MOST).await?;
        if !held.iter().any(|mirror| is_granted(mirror, lacked)) {
            return Ok(());
        }
        let released = self.release(name, |mirror| is_granted(mirror, lacked)).await?;
        tracing::info!(workspace = %name, released, "a scope was granted; what waited for it goes on");
        for review in self.store.reviews(name).await? {
            let of = review.subject.strip_prefix("grant/").and_then(|rest| rest.split_once('/'));
            let of = of.and_then(|(system, scope)| Some((system.parse().ok()?, scope.to_owned())));
            if of.is_some_and(|of| !lacked.contains(&of)) {
                self.store.close_review(name, &review.subject, self.clock.now()).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(scopes: &[&str]) -> Lacked {
        scopes.iter().map(|scope| (System::Ghl, (*scope).to_owned())).collect()
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
