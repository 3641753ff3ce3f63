//! The vendor's rate limit: so many requests per location in ten seconds and in a day.
//!
//! In: a location, or an agency where none is touched, and an instant. Out: what is left, for the headers, and whether this request is one too many.
//! Windows start with their first request; the day is the UTC day (when the vendor's starts is not known).

use std::collections::BTreeMap;

use super::settings::GhlSettings;
use crate::clock::Millis;

const INTERVAL_MS: i64 = 10_000;
const DAY_MS: i64 = 86_400_000;

/// The windows of all locations.
#[derive(Debug, Default)]
pub(super) struct Rate(BTreeMap<String, Windows>);

#[derive(Debug, Default)]
struct Windows {
    since: i64,
    burst: u32,
    day: i64,
    daily: u32,
}

/// What is left after a request.
#[derive(Debug)]
pub(super) struct Meter {
    /// The location or agency whose request it was.
    pub(super) resource: String,
    limit_daily: u32,
    daily_remaining: u32,
    max: u32,
    remaining: u32,
    pub(super) exceeded: bool,
}

impl Rate {
    /// Counts one request of a location or an agency.
    pub(super) fn take(&mut self, resource: &str, settings: &GhlSettings, now: Millis) -> Meter {
        let windows = self.0.entry(resource.to_owned()).or_default();
        if now.0 - windows.since >= INTERVAL_MS {
            (windows.since, windows.burst) = (now.0, 0);
        }
        if now.0.div_euclid(DAY_MS) != windows.day {
            (windows.day, windows.daily) = (now.0.div_euclid(DAY_MS), 0);
        }
        let exceeded = windows.burst >= settings.burst || windows.daily >= settings.daily;
        if !exceeded {
            windows.burst += 1;
            windows.daily += 1;
        }
        Meter {
            resource: resource.to_owned(),
            limit_daily: settings.daily,
            daily_remaining: settings.daily.saturating_sub(windows.daily),
            max: settings.burst,
            remaining: settings.burst.saturating_sub(windows.burst),
            exceeded,
        }
    }
}

impl Meter {
    /// The headers that tell a caller what is left.
    pub(super) fn headers(&self) -> [(&'static str, u32); 5] {
        [
            ("x-ratelimit-limit-daily", self.limit_daily),
            ("x-ratelimit-daily-remaining", self.daily_remaining),
            ("x-ratelimit-interval-milliseconds", INTERVAL_MS.unsigned_abs() as u32),
            ("x-ratelimit-max", self.max),
            ("x-ratelimit-remaining", self.remaining),
        ]
    }
}
