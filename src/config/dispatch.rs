//! `[dispatch]`: the limits of the running service. They hold in every workspace.

use std::num::NonZeroU32;
use std::time::Duration;

use super::section::Section;
use crate::model::{Limits, Policy};

/// The shortest lease: it must outlive a slow call and a renewal.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// `[dispatch]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// The limits of each workspace.
    pub limits: Limits,
    /// How long a lease on a workspace lasts without being renewed.
    pub lease: Duration,
    /// How long to wait for further changes of an object before acting on one.
    pub quiet: Duration,
}

impl Dispatch {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Policy::default().limits;
        let at_least_one = |key: &str, default: u32| {
            let default = NonZeroU32::new(default).unwrap_or(NonZeroU32::MIN);
            section.or(key, default).get()
        };
        let limits = Limits {
            lanes: at_least_one("lanes", default.lanes as u32) as usize,
            tries: at_least_one("tries", default.tries),
            horizon: section.or("horizon", default.horizon),
            backoff: section.or("backoff", default.backoff),
            fuse: at_least_one("fuse", default.fuse),
            creates_per_hour: section.or("creates_per_hour", default.creates_per_hour),
            deletes_per_hour: section.or("deletes_per_hour", default.deletes_per_hour),
        };
        let lease = section.or("lease", Duration::from_secs(15));
        if lease < SHORTEST_LEASE {
            section.mistake("lease", "must be at least \"1s\"");
        }
        Self { limits, lease, quiet: section.or("quiet", Duration::ZERO) }
    }
}
