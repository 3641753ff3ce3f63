//! Recurring appointments: when they take place, and what people do to one occurrence or to all.
//!
//! In: the first start and the rule. Out: occurrences, each of which is told by bookings of its own in ONE record. Times keep
//! to the wall clock of the rule's zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use serde_json::{Map, Value, json};

use super::Refusal;
use crate::clock::Millis;

/// The most occurrences that a rule makes here; one that says no end goes on as far.
const MOST: i64 = 60;

/// The rule of a series.
#[derive(Clone, Debug)]
pub(super) struct Recurring {
    zone: String,
    frequency: String,
    period: i64,
    times: Option<i64>,
    last_day: Option<Date>,
}

/// One time at which an appointment takes place.
#[derive(Clone, Debug)]
pub(super) struct Occurrence {
    /// Its place when the series was made.
    pub(super) number: usize,
    /// The day for which it was planned; none when the appointment does not recur.
    pub(super) day: Option<Date>,
    pub(super) start: Millis,
}

impl Recurring {
    /// Reads `recurring`: `timezone` and `frequency` are needed; keys in snake case, or as responses write them.
    pub(super) fn read(body: &Map<String, Value>) -> Result<Option<Self>, Refusal> {
        let Some(given) = body.get("recurring").filter(|given| !given.is_null()) else {
            return Ok(None);
        };
        let text = |key: &str| given[key].as_str().map(str::to_owned);
        let missing = || Refusal::invalid("recurring needs timezone and frequency");
        let zone = text("timezone").filter(|zone| TimeZone::get(zone).is_ok()).ok_or_else(missing)?;
        let frequency = text("frequency").filter(|word| step(word, 1).is_some()).ok_or_else(missing)?;
        let number = |snake: &str, camel: &str| given[snake].as_i64().or(given[camel].as_i64());
        let last_day = text("repeat_last_day").or_else(|| text("repeatLastDay"));
        Ok(Some(Self {
            zone,
            frequency,
            period: given["period"].as_i64().unwrap_or(1).clamp(1, 99),
            times: number("repeat_times", "repeatTimes"),
            last_day: last_day.and_then(|day| day.parse().ok()),
        }))
    }

    /// When it takes place, from the first start on.
    pub(super) fn plan(&self, start: Millis) -> Vec<Occurrence> {
        let first = zoned(start, &self.zone);
        let times = self.times.unwrap_or(MOST).clamp(1, MOST);
        let starts = (0..times).filter_map(|n| first.checked_add(step(&self.frequency, n * self.period)?).ok());
        let within = starts.take_while(|one| self.last_day.is_none_or(|last| one.date() <= last));
        let occurrence = |(number, one): (usize, Zoned)| Occurrence {
            number,
            day: Some(one.date()),
            start: Millis(one.timestamp().as_millisecond()),
        };
        within.enumerate().map(occurrence).collect()
    }

    /// The rule as a record shows it.
    pub(super) fn record(&self, start: Millis) -> Value {
        let first = zoned(start, &self.zone);
        let on = |frequency: &str, at: i8| if self.frequency == frequency { vec![at] } else { Vec::new() };
        json!({
            "timezone": self.zone, "frequency": self.frequency, "period": self.period,
            "weekDays": on("WEEKS", first.weekday().to_monday_one_offset()), "monthDays": on("MONTHS", first.day()),
            "yearMonths": on("YEARS", first.month()), "repeatTimes": self.times,
            "repeatLastDay": self.last_day.map(|day| day.to_string()), "maxDay": null, "isFixedByRecurringDay": false,
        })
    }

    /// Moves all so that the first begins at `start`, by the wall clock.
    pub(super) fn shift(&self, occurrences: &mut [Occurrence], start: Millis) {
        let Some(first) = occurrences.first().map(|first| zoned(first.start, &self.zone).datetime()) else {
            return;
        };
        let by = zoned(start, &self.zone).datetime() - first;
        for one in occurrences {
            let wall = zoned(one.start, &self.zone).datetime().saturating_add(by);
            let zone = TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC);
            if let Ok(moved) = wall.to_zoned(zone) {
                (one.start, one.day) = (Millis(moved.timestamp().as_millisecond()), Some(moved.date()));
            }
        }
    }
}

/// The one that an edit means: by its place now (`occurrence`, from 0), or by the day for which it was planned (`day`).
pub(super) fn place(occurrences: &[Occurrence], fields: &Map<String, Value>) -> Result<Option<usize>, Refusal> {
    let by_day = fields.get("day").and_then(Value::as_str).map(|day| {
        let planned = |one: &Occurrence| one.day.is_some_and(|planned| planned.to_string() == day);
        occurrences.iter().position(planned).ok_or_else(|| Refusal::missing("occurrence"))
    });
    let by_place = || {
        let place = fields.get("occurrence")?;
        let place = place.as_u64().and_then(|place| usize::try_from(place).ok());
        Some(place.filter(|at| *at < occurrences.len()).ok_or_else(|| Refusal::missing("occurrence")))
    };
    by_day.or_else(by_place).transpose()
}

fn step(frequency: &str, count: i64) -> Option<Span> {
    match frequency {
        "DAYS" => Span::new().try_days(count).ok(),
        "WEEKS" => Span::new().try_weeks(count).ok(),
        "MONTHS" => Span::new().try_months(count).ok(),
        "YEARS" => Span::new().try_years(count).ok(),
        _ => None,
    }
}

fn zoned(instant: Millis, zone: &str) -> Zoned {
    let instant = Timestamp::from_millisecond(instant.0).unwrap_or_default();
    instant.to_zoned(TimeZone::get(zone).unwrap_or(TimeZone::UTC))
}
