//! Whether a workspace's team in TimeRex is as the configuration says, and questions by hand; for a person who sets it up.
//!
//! In: a workspace, or the name of an operation. Out: findings in plain lines, or the vendor's answer. Reads only, a handful of
//! calls: the team, its calendars, and each calendar that a row names and the team does not have.

use std::collections::BTreeMap;

use async_trait::async_trait;
use http::Method;
use serde_json::Value as Json;

use super::Timerex;
use crate::model::{CalendarRow, Workspace};
use crate::systems::call::encode;
use crate::systems::inquiry::{self, Operation};
use crate::systems::{Inquiry, Inspected, NotAsked, SystemError, wire};

const OPERATIONS: &[Operation] = &[
    Operation::get("teams.primary", "/user/me/teams/primary"),
    Operation::get("teams.list", "/user/me/teams").may(&["nextPageToken"]),
    Operation::get("calendars.list", "/teams/{teamId}/calendars").may(&["nextPageToken"]),
    Operation::get("calendars.get", "/calendars/{calendarId}"),
    Operation::get("bookings.list", "/calendars/{calendarId}/events")
        .must(&["startTime", "endTime"])
        .may(&["nextPageToken"]),
    Operation::get("bookings.get", "/events/{eventId}"),
    Operation::get("one-time-url.get", "/calendars/one-time-url/{id}"),
];

/// Pages of one list that are read at most, of 20 each.
const PAGES: usize = 50;

#[async_trait]
impl Inquiry for Timerex {
    async fn inspect(&self, workspace: &Workspace) -> Vec<Inspected> {
        let mut found = Vec::new();
        if let Some(team) = self.inspect_team(&mut found).await {
            self.inspect_calendars(&team, &workspace.calendars, &mut found).await;
        }
        found
    }

    async fn ask(&self, operation: &str, params: &BTreeMap<String, String>) -> Result<(u16, Json), NotAsked> {
        Ok(self.call(Method::GET, &inquiry::put(OPERATIONS, operation, params)?).await?)
    }
}

impl Timerex {
    /// All items of a list.
    async fn all_of(&self, path: &str) -> Result<Vec<Json>, SystemError> {
        let (mut items, mut token) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let pairs: Vec<(&str, &str)> = token.as_deref().map(|token| ("nextPageToken", token)).into_iter().collect();
            let (status, json) = self.call(Method::GET, &wire::query(path, &pairs)).await?;
            let Some(page) = json["items"].as_array() else {
                return Err(self.garbled(status, "a list without `items`"));
            };
            items.extend(page.iter().cloned());
            token = json["nextPageToken"].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// Whether the credentials work and see the team; its id if so. An api key sees the team that issued it and no other.
    async fn inspect_team(&self, found: &mut Vec<Inspected>) -> Option<String> {
        let ours = |team: &Json| team["url_path"] == self.team.url_path.as_str();
        let primary = match self.call(Method::GET, "/user/me/teams/primary").await {
            Ok((_, team)) => Some(team),
            Err(error @ (SystemError::Unauthorized { .. } | SystemError::NotConnected { .. })) => {
                found.push(Inspected::problem(format!("the credentials do not work: {error}")));
                return None;
            }
            Err(_) => None,
        };
        if let Some(team) = primary.as_ref().filter(|team| ours(team)) {
            found.push(Inspected::fine(format!("the credentials work for team {}", named(team))));
            return id(team);
        }
        // It may be one of the others: somebody's primary team is their own space.
        let teams = match self.all_of("/user/me/teams").await {
            Ok(teams) => teams,
            Err(error) => {
                found.push(Inspected::problem(format!("the teams are not told: {error}")));
                return None;
            }
        };
        let Some(team) = teams.iter().find(|team| ours(team)) else {
            let seen: Vec<&str> = teams.iter().chain(&primary).filter_map(|team| team["url_path"].as_str()).collect();
            let (team, seen) = (&self.team.url_path, seen.join("`, `"));
            let line =
                format!("the credentials do not see team `{team}` but `{seen}`: correct `team`, or take its own key");
            found.push(Inspected::problem(line));
            return None;
        };
        found.push(Inspected::fine(format!("the credentials work for team {}", named(team))));
        id(team)
    }

    async fn inspect_calendars(&self, team: &str, rows: &[CalendarRow], found: &mut Vec<Inspected>) {
        let calendars = match self.all_of(&format!("/teams/{}/calendars", encode(team))).await {
            Ok(calendars) => calendars,
            Err(error) => return found.push(Inspected::problem(format!("the team's calendars are not told: {error}"))),
        };
        for row in rows {
            let by_path =
                |one: &&Json| row.timerex_url_path.is_some() && row.timerex_url_path.as_deref() == url_path(one);
            let listed = |wanted: &str| calendars.iter().find(|one| one["id"] == wanted);
            match (row.timerex.as_deref(), calendars.iter().find(by_path)) {
                (Some(wanted), _) => match listed(wanted) {
                    Some(calendar) => found.push(inspect_row(row, calendar)),
                    None => found.push(self.stranger(team, row, wanted).await),
                },
                (None, Some(calendar)) => found.push(only_path(row, calendar)),
                (None, None) => found.extend(row.timerex_url_path.as_ref().map(|path| {
                    Inspected::problem(format!(
                        "calendar `{}`: the team has no calendar with the url path `{path}`",
                        row.name
                    ))
                })),
            }
        }
        let mapped = |one: &&Json| {
            let path =
                |row: &CalendarRow| row.timerex_url_path.as_deref().is_some_and(|path| url_path(one) == Some(path));
            rows.iter().any(|row| row.timerex.as_deref().map_or_else(|| path(row), |id| one["id"] == id))
        };
        let strangers = calendars.iter().filter(|one| !mapped(one));
        found.extend(strangers.map(|one| Inspected::fine(format!("not mapped: calendar {}", named(one)))));
    }

    /// What a calendar is that a row names and the team's list does not.
    async fn stranger(&self, team: &str, row: &CalendarRow, id: &str) -> Inspected {
        let name = &row.name;
        Inspected::problem(match self.call(Method::GET, &format!("/calendars/{}", encode(id))).await {
            Ok((_, calendar)) if calendar["team_id"] == team => {
                format!("calendar `{name}`: {} is the team's, and not in its list of calendars", named(&calendar))
            }
            Ok((_, calendar)) => format!("calendar `{name}`: {} is another team's", named(&calendar)),
            Err(SystemError::Gone { .. }) => format!("calendar `{name}`: TimeRex has no calendar {id}"),
            Err(error) => format!("calendar `{name}`: {id} is not among the team's: {error}"),
        })
    }
}

fn inspect_row(row: &CalendarRow, calendar: &Json) -> Inspected {
    let line = format!("calendar `{}` is {}", row.name, named(calendar));
    let minutes = calendar["duration"].as_u64();
    match (row.timerex_url_path.as_deref(), url_path(calendar)) {
        (Some(ours), Some(theirs)) if ours != theirs => Inspected::problem(format!(
            "{line}, whose url path is `{theirs}`: set timerex_url_path, which says `{ours}`"
        )),
        (None, Some(theirs)) => Inspected::fine(format!(
            "{line}; set timerex_url_path = \"{theirs}\": webhooks of older accounts name it by that alone"
        ))
        .lasting(&row.name, minutes),
        _ => Inspected::fine(line).lasting(&row.name, minutes),
    }
}

/// A row that only says what webhooks call its calendar.
fn only_path(row: &CalendarRow, calendar: &Json) -> Inspected {
    let (name, id) = (&row.name, id(calendar).unwrap_or_default());
    let line = format!(
        "calendar `{name}` is {}; set timerex = \"{id}\", or its bookings come by webhook alone",
        named(calendar)
    );
    Inspected::fine(line).lasting(name, calendar["duration"].as_u64())
}

fn id(one: &Json) -> Option<String> {
    wire::id(&one["id"]).map(|id| id.as_str().to_owned())
}

/// The last part of a calendar's address.
fn url_path(calendar: &Json) -> Option<&str> {
    let url = calendar["url"].as_str()?;
    let path = url.split(['?', '#']).next()?;
    path.trim_end_matches('/').rsplit('/').next()
}

/// The id and the name: `0c1d… ("Intro call")`.
fn named(one: &Json) -> String {
    let name = wire::text(&one["name"]);
    format!("{} (\"{}\")", id(one).unwrap_or_else(|| "without an id".to_owned()), name.as_text().unwrap_or("no name"))
}

#[cfg(test)]
mod tests;
