//! Times as the vendor shows them: in the location's zone, with its offset or naive.
//!
//! In: text and a zone's name. Out: text. A zone that is not known counts as UTC.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::clock::Millis;

fn zoned(at: Millis, zone: &str) -> Option<Zoned> {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    Timestamp::from_millisecond(at.0).ok().map(|at| at.to_zoned(zone))
}

/// `2023-09-25T16:00:00+05:30`
pub(super) fn with_offset(at: Millis, zone: &str) -> String {
    zoned(at, zone).map_or_else(String::new, |at| at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}

/// `2021-07-16 11:00:00`, without any zone.
pub(super) fn naive(at: Millis, zone: &str) -> String {
    zoned(at, zone).map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
