//! What calls and edits want of a TIMIFY appointment: read, checked against the vendor's rules, laid over what was there.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::series::Recurring;
use super::{Bookable, Company, Refusal};
use crate::clock::Millis;
use crate::sandbox::web::{self, Params};

pub(super) const MINUTE: i64 = 60_000;
pub(super) const DAY: i64 = 86_400_000;

/// What a call or an edit sets; in a stored appointment what is absent was never set.
#[derive(Default, Clone)]
pub(super) struct Wish {
    pub(super) external_id: Option<String>,
    pub(super) title: Option<String>,
    pub(super) notes: Option<String>,
    pub(super) color: Option<String>,
    pub(super) start: Option<Millis>,
    pub(super) duration: Option<i64>,
    /// The minutes of its parts; without, it has one.
    pub(super) pattern: Option<Vec<i64>>,
    pub(super) service: Option<String>,
    pub(super) resources: Option<Vec<String>>,
    pub(super) customers: Option<Vec<String>>,
    pub(super) course: Option<bool>,
    pub(super) notify: Option<bool>,
    pub(super) recurring: Option<Recurring>,
}

impl Wish {
    pub(super) fn over(self, old: &Self) -> Self {
        Self {
            external_id: self.external_id.or_else(|| old.external_id.clone()),
            title: self.title.or_else(|| old.title.clone()),
            notes: self.notes.or_else(|| old.notes.clone()),
            color: self.color.or_else(|| old.color.clone()),
            start: self.start.or(old.start),
            duration: self.duration.or(old.duration),
            pattern: self.pattern.or_else(|| old.pattern.clone()),
            service: self.service.or_else(|| old.service.clone()),
            resources: self.resources.or_else(|| old.resources.clone()),
            customers: self.customers.or_else(|| old.customers.clone()),
            course: self.course.or(old.course),
            notify: self.notify.or(old.notify),
            recurring: self.recurring.or_else(|| old.recurring.clone()),
        }
    }

    /// What every appointment has: a time, a resource, a length, a title unless a service names it.
    pub(super) fn complete(self) -> Result<Self, Refusal> {
        if self.start.is_none() {
            return Err(Refusal::invalid("datetime is missing"));
        }
        if self.resources.as_ref().is_none_or(Vec::is_empty) {
            return Err(Refusal::invalid("resource_ids is missing"));
        }
        if self.duration.is_none_or(|minutes| minutes <= 0) {
            return Err(Refusal::invalid("duration is missing"));
        }
        if self.title.is_none() && self.service.is_none() {
            return Err(Refusal::invalid("title is missing"));
        }
        Ok(self)
    }
}

/// The vendor's rule for a create over the API: without a title, the service and the duration must be said.
pub(super) fn check_title(body: &Map<String, Value>) -> Result<(), Refusal> {
    let says = |keys: &[&str]| keys.iter().any(|key| body.get(*key).is_some_and(|value| !value.is_null()));
    if says(&["title"]) || says(&["service_id", "external_service_id"]) && says(&["duration", "duration_pattern"]) {
        return Ok(());
    }
    Err(Refusal::invalid("title may be left out only if a service and a duration are given"))
}

impl Company {
    /// Reads the fields of a create, a patch or an edit; snake case as the vendor takes them.
    pub(super) fn wanted(&self, body: &Map<String, Value>) -> Result<Wish, Refusal> {
        let text = |key: &str| web::text(body, key).map(str::to_owned);
        let offer = one_of(body, "service_id", "external_service_id")?;
        let offer = offer.map(|given| find(&self.known.services, given, "service")).transpose()?;
        let resources = match (texts(body, "resource_ids")?, texts(body, "external_resource_ids")?) {
            (Some(_), Some(_)) => return Err(Refusal::invalid("resource_ids excludes external_resource_ids")),
            (ids, external) => ids.map(|ids| (ids, false)).or(external.map(|ids| (ids, true))),
        };
        let find_resource =
            |(id, external): (&String, bool)| Ok(find(&self.known.resources, (id, external), "resource")?.id.clone());
        let resources: Option<Result<Vec<_>, Refusal>> =
            resources.map(|(ids, external)| ids.iter().map(|id| find_resource((id, external))).collect());
        let pattern = body.get("duration_pattern").and_then(Value::as_array);
        let pattern = pattern.map(|parts| parts.iter().filter_map(Value::as_i64).collect::<Vec<_>>());
        let duration = body.get("duration").and_then(Value::as_i64);
        let duration = duration.or(pattern.as_ref().map(|parts| parts.iter().sum()));
        Ok(Wish {
            external_id: text("externalId").or_else(|| text("external_id")),
            title: text("title"),
            notes: text("notes"),
            color: text("color"),
            start: start(body)?,
            duration: duration.or(offer.and_then(|one| one.duration)),
            pattern,
            service: offer.map(|one| one.id.clone()),
            resources: resources.transpose()?,
            customers: self.wanted_customers(body)?,
            course: body.get("is_course").and_then(Value::as_bool),
            notify: body.get("has_notify_customers").and_then(Value::as_bool),
            recurring: Recurring::read(body)?,
        })
    }

    fn wanted_customers(&self, body: &Map<String, Value>) -> Result<Option<Vec<String>>, Refusal> {
        let one = web::text(body, "customer_id").map(|id| vec![id.to_owned()]);
        let Some(ids) = one.map_or_else(|| texts(body, "customer_ids"), |ids| Ok(Some(ids)))? else {
            return Ok(None);
        };
        match ids.iter().find(|id| !self.customers.contains_key(*id)) {
            Some(unknown) => Err(Refusal::invalid(format!("unknown customer {unknown}"))),
            None => Ok(Some(ids)),
        }
    }
}

fn start(body: &Map<String, Value>) -> Result<Option<Millis>, Refusal> {
    let Some(text) = web::text(body, "datetime") else {
        return Ok(None);
    };
    let start = minute(text, "UTC").ok_or_else(|| Refusal::invalid("datetime is not YYYY-MM-DD HH:mm"))?;
    if start.0 % (5 * MINUTE) == 0 {
        return Ok(Some(start));
    }
    Err(Refusal::invalid("the minutes must be divisible by 5"))
}

/// A minute of a zone, `YYYY-MM-DD HH:mm`.
fn minute(text: &str, zone: &str) -> Option<Millis> {
    let civil = DateTime::strptime("%Y-%m-%d %H:%M", text).ok()?;
    Some(Millis(civil.to_zoned(TimeZone::get(zone).ok()?).ok()?.timestamp().as_millisecond()))
}

/// The range of a list call, in UTC or in its `timezone`; `to_date` is a whole day, `to_time` a minute.
pub(super) fn range(params: &Params, days: i64) -> Result<(Millis, Millis), Refusal> {
    let zone = params.get("timezone").unwrap_or("UTC");
    let day = |key: &str| params.get(key).and_then(|text| minute(&format!("{text} 00:00"), zone));
    let time = |key: &str| params.get(key).and_then(|text| minute(text, zone));
    let dates = day("from_date").zip(day("to_date")).map(|(from, to)| (from, to, DAY));
    let times = || time("from_time").zip(time("to_time")).map(|(from, to)| (from, to, 0));
    let (from, to, more) = dates
        .or_else(times)
        .ok_or_else(|| Refusal(400, "from_date and to_date, or from_time and to_time, are required".into()))?;
    if to.0 - from.0 > days * DAY {
        return Err(Refusal(400, format!("the range is longer than {days} days")));
    }
    Ok((from, Millis(to.0 + more)))
}

fn one_of<'a>(body: &'a Map<String, Value>, own: &str, external: &str) -> Result<Option<(&'a str, bool)>, Refusal> {
    match (web::text(body, own), web::text(body, external)) {
        (Some(_), Some(_)) => Err(Refusal::invalid(format!("{own} excludes {external}"))),
        (own, external) => Ok(own.map(|id| (id, false)).or(external.map(|id| (id, true)))),
    }
}

fn find<'a>(list: &'a [Bookable], (id, external): (&str, bool), what: &str) -> Result<&'a Bookable, Refusal> {
    let found = list.iter().find(|one| if external { one.external_id == id } else { one.id == id });
    found.ok_or_else(|| Refusal::invalid(format!("unknown {what} {id}")))
}

pub(super) fn texts(body: &Map<String, Value>, key: &str) -> Result<Option<Vec<String>>, Refusal> {
    body.get(key)
        .map(|value| serde_json::from_value(value.clone()).map_err(|_| Refusal::invalid(format!("{key} is no list"))))
        .transpose()
}
