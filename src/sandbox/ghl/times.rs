//! Times as the vendor shows them: in the location's zone, with its offset or naive; and the hours of a calendar.
//!
//! In: instants and a zone's name. Out: text, instants. A zone that is not known counts as UTC.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use crate::clock::Millis;

/// The hours at which calendars open and close.
const OPENS: i8 = 9;
const CLOSES: i8 = 17;

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

/// The starts of the half hours between nine and five on weekdays, from one instant to another, both included.
pub(super) fn half_hours(from: Millis, to: Millis, zone: &str) -> Vec<Millis> {
    let Some(first) = zoned(from, zone).map(|at| at.date()) else { return Vec::new() };
    let open = |day: &Date| !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let starts = |day: Date| {
        let zone = zone.clone();
        let at = move |half: i8| day.at(OPENS + half / 2, 30 * (half % 2), 0, 0).to_zoned(zone.clone()).ok();
        (0..2 * (CLOSES - OPENS)).filter_map(at).map(|at| Millis(at.timestamp().as_millisecond()))
    };
    let days = first.series(Span::new().days(1)).take_while(|day| {
        day.to_zoned(zone.clone()).is_ok_and(|midnight| midnight.timestamp().as_millisecond() <= to.0)
    });
    days.filter(open).flat_map(starts).filter(|start| *start >= from && *start <= to).collect()
}
