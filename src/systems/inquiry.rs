//! Asking a system by hand: whether an account is as the configuration says, and any operation that only reads, by its name.
//!
//! In: a workspace, or the name of an operation with its parameters as texts. Out: findings in plain lines, or the vendor's
//! answer. Here is what all systems share: the trait, findings, and a table of operations that are a GET. What there is to ask
//! and to find is each connector's own.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::Value;

use super::{SystemError, wire};
use crate::model::{System, Workspace};

/// A system that people can ask by hand, to set a workspace up or to look into something. Reads only.
#[async_trait]
pub trait Inquiry: Send + Sync {
    /// What the vendor says of the account, calendars and fields that the workspace's configuration names.
    async fn inspect(&self, workspace: &Workspace) -> Vec<Inspected>;
    /// Asks one operation by its name.
    async fn ask(&self, operation: &str, params: &BTreeMap<String, String>) -> Result<(u16, Value), NotAsked>;
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found, in one line.
    pub line: String,
    /// The row of `calendars` that it is about, and for how many minutes its appointments are, where the vendor says.
    pub lasts: Option<(String, u64)>,
}

impl Inspected {
    /// It is as it should be, or worth to be known.
    pub fn fine(line: impl Into<String>) -> Self {
        Self { ok: true, line: line.into(), lasts: None }
    }

    /// It is not as it should be.
    pub fn problem(line: impl Into<String>) -> Self {
        Self { ok: false, line: line.into(), lasts: None }
    }

    /// It is about the calendar of a row, whose appointments are this long.
    pub fn lasting(self, row: &str, minutes: Option<u64>) -> Self {
        Self { lasts: minutes.map(|minutes| (row.to_owned(), minutes)), ..self }
    }
}

/// Rows whose calendars are not equally long in all systems. No problem: an appointment keeps its own length.
pub fn lengths(found: &BTreeMap<System, Vec<Inspected>>) -> Vec<Inspected> {
    let mut rows: BTreeMap<&str, Vec<(System, u64)>> = BTreeMap::new();
    for (system, one) in found.iter().flat_map(|(system, found)| found.iter().map(move |one| (*system, one))) {
        if let Some((row, minutes)) = &one.lasts {
            rows.entry(row).or_default().push((system, *minutes));
        }
    }
    let differ = rows.into_iter().filter(|(_, lasts)| lasts.iter().any(|(_, minutes)| *minutes != lasts[0].1));
    let line = |(row, lasts): (&str, Vec<(System, u64)>)| {
        let told: Vec<String> =
            lasts.iter().map(|(system, minutes)| format!("{minutes} minutes in {system}")).collect();
        let told = told.join(", ");
        Inspected::fine(format!("calendar `{row}` has appointments of {told}: each keeps its own length in the others"))
    };
    differ.map(line).collect()
}

/// A question that was not put, or not answered; in one line, with what can be asked.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotAsked(pub Box<dyn std::error::Error + Send + Sync>);

impl From<NotPut> for NotAsked {
    fn from(error: NotPut) -> Self {
        Self(error.into())
    }
}

impl From<SystemError> for NotAsked {
    fn from(error: SystemError) -> Self {
        Self(error.into())
    }
}

/// Why a question was not put.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPut {
    /// There is no such operation.
    #[error("there is no operation `{name}`; those that read are {}", known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What can be asked.
        known: Vec<&'static str>,
    },
    /// A parameter that it needs is not there.
    #[error("`{name}` needs `{param}`; it takes {}", takes.join(", "))]
    Missing {
        /// The operation.
        name: &'static str,
        /// The parameter.
        param: &'static str,
        /// What it takes.
        takes: Vec<&'static str>,
    },
    /// A parameter that it does not take.
    #[error("`{name}` takes no `{param}`; it takes {}", takes.join(", "))]
    Stray {
        /// The operation.
        name: &'static str,
        /// The parameter.
        param: String,
        /// What it takes.
        takes: Vec<&'static str>,
    },
    /// An id that a URL would swallow.
    #[error("`{param}` of `{name}` is no id")]
    NoId {
        /// The operation.
        name: &'static str,
        /// The parameter.
        param: &'static str,
    },
}

/// Whether the parameters are those that an operation takes: each its name, and whether it must be there.
pub fn check(
    name: &'static str,
    taken: impl IntoIterator<Item = (&'static str, bool)>,
    params: &BTreeMap<String, String>,
) -> Result<(), NotPut> {
    let taken: Vec<(&'static str, bool)> = taken.into_iter().collect();
    let takes = || taken.iter().map(|(param, _)| *param).collect();
    if let Some(stray) = params.keys().find(|given| taken.iter().all(|(param, _)| param != given)) {
        return Err(NotPut::Stray { name, param: stray.clone(), takes: takes() });
    }
    let missing = taken.iter().find(|(param, must)| *must && !params.contains_key(*param));
    missing.map_or(Ok(()), |(param, _)| Err(NotPut::Missing { name, param, takes: takes() }))
}

/// An operation of a vendor's API that is a GET: one row of the table of what people can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    name: &'static str,
    path: &'static str,
    must: &'static [&'static str],
    may: &'static [&'static str],
}

impl Operation {
    /// `path`: `{name}` stands for an id.
    pub const fn get(name: &'static str, path: &'static str) -> Self {
        Self { name, path, must: &[], may: &[] }
    }

    /// What its query must have.
    pub const fn must(self, must: &'static [&'static str]) -> Self {
        Self { must, ..self }
    }

    /// What its query may have.
    pub const fn may(self, may: &'static [&'static str]) -> Self {
        Self { may, ..self }
    }

    fn taken(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let (must, may) = (self.must.iter(), self.may.iter());
        wire::ids(self.path).chain(must.copied()).map(|param| (param, true)).chain(may.map(|param| (*param, false)))
    }
}

/// The path and query by which an operation of a table is asked.
pub fn put(table: &'static [Operation], operation: &str, params: &BTreeMap<String, String>) -> Result<String, NotPut> {
    let unknown =
        || NotPut::Unknown { name: operation.to_owned(), known: table.iter().map(|known| known.name).collect() };
    let asked = table.iter().find(|known| known.name == operation).ok_or_else(unknown)?;
    check(asked.name, asked.taken(), params)?;
    let path = wire::path(asked.path, |param| {
        let id = params.get(param).map_or("", String::as_str);
        if wire::is_id(id) { Ok(id) } else { Err(NotPut::NoId { name: asked.name, param }) }
    })?;
    let given = |param: &&'static str| Some((*param, params.get(*param)?.as_str()));
    let query: Vec<(&str, &str)> = asked.must.iter().chain(asked.may).filter_map(given).collect();
    Ok(wire::query(&path, &query))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const TABLE: &[Operation] = &[
        Operation::get("bookings.list", "/calendars/{calendarId}/events").must(&["from"]).may(&["page"]),
        Operation::get("teams.list", "/teams"),
    ];

    fn params(given: &[(&str, &str)]) -> BTreeMap<String, String> {
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[rstest]
    #[case("teams.list", &[], Ok("/teams"))]
    #[case("bookings.list", &[("calendarId", "a/b"), ("from", "x y")], Ok("/calendars/a%2Fb/events?from=x%20y"))]
    #[case("bookings.list", &[("page", "2"), ("calendarId", "a"), ("from", "x")], Ok("/calendars/a/events?from=x&page=2"))]
    #[case("list", &[], Err("there is no operation `list`; those that read are bookings.list, teams.list"))]
    #[case("bookings.list", &[("calendarId", "a")], Err("`bookings.list` needs `from`; it takes calendarId, from, page"))]
    #[case("bookings.list", &[("from", "x")], Err("`bookings.list` needs `calendarId`; it takes calendarId, from, page"))]
    #[case("bookings.list", &[("calendarId", ".."), ("from", "x")], Err("`calendarId` of `bookings.list` is no id"))]
    #[case("teams.list", &[("page", "1")], Err("`teams.list` takes no `page`; it takes "))]
    fn an_operation_is_put_as_its_row_says(
        #[case] name: &str,
        #[case] given: &[(&str, &str)],
        #[case] expected: Result<&str, &str>,
    ) {
        let put = put(TABLE, name, &params(given)).map_err(|error| error.to_string());
        assert_eq!(put, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn calendars_of_one_row_that_differ_in_length_are_told_and_no_problem() {
        let last = |row: &str, minutes| Inspected::fine("").lasting(row, minutes);
        let found = BTreeMap::from([
            (System::Ghl, vec![last("a", Some(30)), last("b", Some(30)), last("c", Some(5))]),
            (System::Timify, vec![last("a", Some(60)), last("b", Some(30)), last("c", None)]),
        ]);
        let line = "calendar `a` has appointments of 30 minutes in ghl, 60 minutes in timify: each keeps its own length in \
                    the others";
        assert_eq!(lengths(&found), [Inspected::fine(line)]);
    }
}
