//! Lists of TIMIFY: pages for reconciling, and looks for an object that a create would double.
//!
//! In: page marks, wanted objects. Out: pages of claims, readings. The vendor has no search by e-mail or phone, lists
//! appointments by ranges of days only, and finds a customer by the id that we gave it (`external=1`).

use std::fmt;
use std::time::Duration;

use serde_json::Value as Json;

use super::Timify;
use crate::clock::Millis;
use crate::model::{Class, ExternalId, Field, Fields, Kind, Link, Observation, Value};
use crate::systems::call::encode;
use crate::systems::{Page, Reading, Shown, SystemError, Wanted, wire};

/// Records asked for on one page; the vendor may give fewer.
const LIMIT: u64 = 100;
/// Pages that a look for an existing record reads before it gives up.
const PAGES: u32 = 1_000;
const DAY: Duration = Duration::from_hours(24);
const DAY_MS: i64 = 86_400_000;
/// Appointments are listed by their date, from this many days before today to that many after.
const DAYS_BACK: u32 = 31;
const DAYS_AHEAD: u32 = 366;

/// Which page of a list: as a text `2`, or `2/ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// From 1.
    number: u32,
    /// The last record of the page before, where a list says nothing of its length: a page that ends with it is not a new one.
    after: Option<ExternalId>,
}

impl Mark {
    const FIRST: Self = Self { number: 1, after: None };

    fn read(text: &str) -> Option<Self> {
        let (number, after) = text.split_once('/').map_or((text, None), |(number, after)| (number, Some(after)));
        let number: u32 = number.parse().ok()?;
        Some(Self { number: number.max(1), after: after.map(ExternalId::new) })
    }

    /// The page after this one, if there is one. By the number of pages; else by the number of records in all, where a page may
    /// hold fewer than were asked for; else as long as a page brings something new.
    fn next(&self, list: &Json) -> Option<Self> {
        let records = wire::items(&list["data"]);
        let following = |after| Self { number: self.number.saturating_add(1), after };
        if let Some(pages) = list["meta"]["totalPages"].as_u64() {
            return (u64::from(self.number) < pages).then(|| following(None));
        }
        if let Some(total) = wire::first(list, &["/total", "/meta/totalItems"]).as_u64() {
            let seen = u64::from(self.number) * records.len() as u64;
            return (seen > 0 && seen < total).then(|| following(None));
        }
        let last = records.iter().rev().find_map(|record| wire::id(wire::first(record, &["/id", "/_id"])));
        (last.is_some() && last != self.after).then(|| following(last))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.after {
            Some(after) => write!(f, "{}/{after}", self.number),
            None => write!(f, "{}", self.number),
        }
    }
}

impl Timify {
    /// One page of a list, each record with what is within it, and which page follows.
    async fn page(
        &self,
        kind: Kind,
        pairs: &[(&str, &str)],
        mark: &Mark,
    ) -> Result<(Vec<Observation>, Option<Mark>), SystemError> {
        if kind == Kind::Contact {
            self.prepare().await?;
        }
        let (limit, number) = (LIMIT.to_string(), mark.number.to_string());
        let mut pairs = pairs.to_vec();
        pairs.extend([("page", number.as_str()), ("limit", &limit)]);
        let (status, json) = self.get(&wire::query(self.collection(kind)?, &pairs)).await?;
        let Some(records) = json["data"].as_array() else {
            return Err(self.garbled(status, "a list without `data`"));
        };
        let mut observations = Vec::with_capacity(records.len());
        for record in records {
            let Some(one) = self.observation(kind, record, Class::Claim) else { continue };
            let within = self.all_within(kind, &one.id, record);
            observations.push(one);
            observations.extend(within.into_iter().flatten());
        }
        Ok((observations, mark.next(&json)))
    }

    async fn look(
        &self,
        kind: Kind,
        pairs: &[(&str, &str)],
        same: impl Fn(&Observation) -> bool + Send + Sync,
    ) -> Result<Vec<Reading>, SystemError> {
        let (mut found, mut mark) = (Vec::new(), Mark::FIRST);
        for _ in 0..PAGES {
            let (observations, next) = self.page(kind, pairs, &mark).await?;
            let current = |one| Reading::new(Observation { class: Class::Current, ..one }, 200);
            let alike = observations.into_iter().filter(|one| one.kind == kind && same(one));
            found.extend(alike.map(current));
            let Some(next) = next else { return Ok(found) };
            mark = next;
        }
        Err(self.garbled(200, "a list that does not end"))
    }

    /// Customers with the e-mail or the phone; before that the one that a create of ours made, if one was sent: one call tells,
    /// also of a customer that has neither.
    pub(super) async fn same_customer(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError> {
        if let Some(made) = self.made_before(wanted).await? {
            return Ok(vec![made]);
        }
        if !wire::has_address(&wanted.fields) {
            return Ok(Vec::new());
        }
        let same = |one: &Observation| one.fields().is_some_and(|held| wire::same_person(held, &wanted.fields));
        self.look(wanted.kind, &[], same).await
    }

    /// The customer whose `externalId` is the key of a create that was sent before.
    async fn made_before(&self, wanted: &Wanted) -> Result<Option<Reading>, SystemError> {
        let Some(key) = wanted.key.map(|key| key.to_string()) else { return Ok(None) };
        self.prepare().await?;
        let path = wire::query(&format!("/v1/customers/{}", encode(&key)), &[("external", "1")]);
        match self.get(&path).await {
            Ok((status, json)) => {
                let ours = json["data"]["externalId"].as_str() == Some(key.as_str());
                let seen = self.current(Kind::Contact, &json["data"]).filter(|_| ours);
                Ok(seen.map(|seen| Reading::new(seen, status)))
            }
            // What an unknown id answers is not documented: a refusal of any kind is no customer.
            Err(SystemError::Gone { .. } | SystemError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The appointments of the customer that start at this instant. The days around it are asked for, too: it is not said
    /// in which zone the dates of a list are.
    pub(super) async fn same_appointment(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError> {
        let Some(start) = wanted.fields.get(&Field::START).and_then(Value::as_instant) else {
            return Ok(Vec::new());
        };
        let (from, to) = (day(start - DAY), day(start + DAY));
        let mut pairs = vec![("from_date", from.as_str()), ("to_date", &to)];
        pairs.extend(wanted.parent.as_ref().map(|customer| ("customer_id", customer.as_str())));
        let value = |fields: &Fields, field: &Field| fields.get(field).cloned();
        self.look(Kind::Appointment, &pairs, |one| {
            let held = one.fields().is_some_and(|held| {
                let same = |field: Field| value(held, &field) == value(&wanted.fields, &field);
                same(Field::START) && (!wanted.fields.contains_key(&Field::CALENDAR) || same(Field::CALENDAR))
            });
            held && one.parent == wanted.parent
        })
        .await
    }

    /// What the lists show of everything; notes stand within their customers.
    pub(super) fn in_lists(&self, link: &Link) -> Shown {
        if link.kind == Kind::Appointment {
            Shown::around(self.caller.offset().now(), link, DAY * DAYS_BACK, DAY * DAYS_AHEAD)
        } else {
            Shown::Always
        }
    }

    /// One page of the customers.
    pub(super) async fn customer_page(&self, mark: Option<&str>) -> Result<Page, SystemError> {
        let mark = mark.and_then(Mark::read).unwrap_or(Mark::FIRST);
        let (observations, next) = self.page(Kind::Contact, &[], &mark).await?;
        Ok(Page { observations, next: next.map(|next| next.to_string()), ..Page::empty() })
    }

    /// One page of the appointments around today, range by range; a mark is the first day of its range and the page.
    pub(super) async fn appointment_page(&self, mark: Option<&str>) -> Result<Page, SystemError> {
        let today = self.caller.offset().now();
        let until = today + DAY * DAYS_AHEAD;
        let (from, page) = mark.and_then(read_mark).unwrap_or_else(|| (midnight(today - DAY * DAYS_BACK), Mark::FIRST));
        let next_range = from + DAY * self.company.list_days.max(1);
        let (first, last) = (day(from), day(next_range - DAY));
        let pairs = [("from_date", first.as_str()), ("to_date", &last)];
        let (observations, next) = self.page(Kind::Appointment, &pairs, &page).await?;
        let beyond = || Some((next_range, Mark::FIRST)).filter(|(from, _)| *from <= until);
        let next = next.map(|next| (from, next)).or_else(beyond);
        Ok(Page { observations, next: next.map(|(from, page)| format!("{}/{page}", day(from))), ..Page::empty() })
    }
}

fn day(at: Millis) -> String {
    at.rfc3339().chars().take(10).collect()
}

fn midnight(at: Millis) -> Millis {
    Millis(at.0 - at.0.rem_euclid(DAY_MS))
}

fn read_mark(mark: &str) -> Option<(Millis, Mark)> {
    let (day, page) = mark.split_once('/')?;
    Some((Millis::parse(&format!("{day}T00:00:00Z"))?, Mark::read(page)?))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::told_pages("1", json!({ "total": 1, "meta": { "totalPages": 2 }, "data": [] }), Some("2"))]
    #[case::last_of_told_pages("2", json!({ "total": 9, "meta": { "totalPages": 2 }, "data": [{ "id": "c" }] }), None)]
    #[case::fewer_than_asked_for("1", json!({ "total": 3, "data": [{ "id": "a" }, { "id": "b" }] }), Some("2"))]
    #[case::in_meta("1", json!({ "meta": { "totalItems": 2 }, "data": [{ "id": "a" }] }), Some("2"))]
    #[case::all_on_one("1", json!({ "total": 2, "data": [{ "id": "a" }, { "id": "b" }] }), None)]
    #[case::past_the_end("3", json!({ "total": 3, "data": [] }), None)]
    #[case::nothing_said("1", json!({ "data": [{ "id": "a" }] }), Some("2/a"))]
    #[case::something_new("2/a", json!({ "data": [{ "id": "b" }] }), Some("3/b"))]
    #[case::the_same_again("2/a", json!({ "data": [{ "id": "a" }] }), None)]
    #[case::nothing_more("2/a", json!({ "data": [] }), None)]
    fn a_list_goes_on_by_what_it_says_and_never_by_how_full_a_page_is(
        #[case] page: &str,
        #[case] list: Json,
        #[case] next: Option<&str>,
    ) {
        let mark = Mark::read(page).unwrap();
        assert_eq!(mark.to_string(), page);
        assert_eq!(mark.next(&list).map(|next| next.to_string()).as_deref(), next);
    }
}
