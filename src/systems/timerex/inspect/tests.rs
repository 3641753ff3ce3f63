use std::collections::BTreeMap;
use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value as Json, json};

use super::super::{Team, Timerex};
use super::*;
use crate::model::System;
use crate::systems::testing::{Script, Told, caller, told, told_with};

fn row(name: &str, id: Option<&str>, path: Option<&str>) -> CalendarRow {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let (timerex, timerex_url_path) = (text(id), text(path));
    CalendarRow { name: name.to_owned(), timerex, timerex_url_path, ..CalendarRow::default() }
}

fn workspace(calendars: Vec<CalendarRow>) -> Workspace {
    let accounts = [(System::Timerex, "salon".to_owned())].into();
    Workspace { name: "main".to_owned(), accounts, calendars, ..Workspace::default() }
}

fn timerex(workspace: &Workspace, told: impl IntoIterator<Item = Told>) -> (Timerex, Arc<Script>) {
    let (caller, script) = caller(System::Timerex, told);
    (Timerex::new(caller, Team::of(workspace).unwrap()), script)
}

fn team(id: &str, url_path: &str) -> Json {
    json!({ "id": id, "name": "Salon", "url_path": url_path, "is_primary": true, "role": "owner" })
}

fn calendar(id: &str, path: &str) -> Json {
    json!({ "id": id, "team_id": "t1", "name": "Talk", "url": format!("https://timerex.net/s/salon/{path}?x=1"), "duration": 60 })
}

fn lines(found: &[Inspected], ok: bool) -> Vec<&str> {
    found.iter().filter(|one| one.ok == ok).map(|one| one.line.as_str()).collect()
}

#[tokio::test]
async fn a_team_that_is_as_configured_has_no_problem() {
    let rows = vec![
        row("intro", Some("c1"), Some("p1")),
        row("long", Some("c2"), None),
        row("path", None, Some("p3")),
        row("elsewhere", None, None),
    ];
    let workspace = workspace(rows);
    let first = json!({ "items": [calendar("c1", "p1"), calendar("c2", "p2")], "nextPageToken": "more=" });
    let second = json!({ "items": [calendar("c3", "p3"), calendar("c4", "p4")] });
    let (timerex, script) = timerex(&workspace, [told(200, team("t1", "salon")), told(200, first), told(200, second)]);
    let found = timerex.inspect(&workspace).await;
    let fine = [
        "the credentials work for team t1 (\"Salon\")",
        "calendar `intro` is c1 (\"Talk\")",
        "calendar `long` is c2 (\"Talk\"); set timerex_url_path = \"p2\": webhooks of older accounts name it by that alone",
        "calendar `path` is c3 (\"Talk\"); set timerex = \"c3\", or its bookings come by webhook alone",
        "not mapped: calendar c4 (\"Talk\")",
    ];
    assert_eq!((lines(&found, true), lines(&found, false)), (fine.to_vec(), vec![]));
    assert_eq!(found[2].lasts, Some(("long".to_owned(), 60)));
    let asked: Vec<String> = script.asked().into_iter().map(|(line, _)| line).collect();
    let expected =
        ["GET /user/me/teams/primary", "GET /teams/t1/calendars", "GET /teams/t1/calendars?nextPageToken=more%3D"];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_team_that_is_not_as_configured_says_where() {
    let rows = vec![
        row("intro", Some("c1"), Some("p9")),
        row("foreign", Some("c7"), None),
        row("unlisted", Some("c6"), None),
        row("gone", Some("c8"), None),
        row("path", None, Some("p8")),
    ];
    let workspace = workspace(rows);
    let of = |team: &str, id: &str| {
        let mut calendar = calendar(id, "p7");
        calendar["team_id"] = json!(team);
        told(200, calendar)
    };
    let answers = [
        told(200, team("t1", "salon")),
        told(200, json!({ "items": [calendar("c1", "p1")] })),
        of("t9", "c7"),
        of("t1", "c6"),
        told(404, json!({})),
    ];
    let (timerex, _) = timerex(&workspace, answers);
    let found = timerex.inspect(&workspace).await;
    let problems = [
        "calendar `intro` is c1 (\"Talk\"), whose url path is `p1`: set timerex_url_path, which says `p9`",
        "calendar `foreign`: c7 (\"Talk\") is another team's",
        "calendar `unlisted`: c6 (\"Talk\") is the team's, and not in its list of calendars",
        "calendar `gone`: TimeRex has no calendar c8",
        "calendar `path`: the team has no calendar with the url path `p8`",
    ];
    assert_eq!(lines(&found, false), problems);
}

#[tokio::test]
async fn the_team_need_not_be_the_primary_one() {
    let workspace = workspace(Vec::new());
    let teams = json!({ "items": [team("t2", "other"), team("t1", "salon")] });
    let answers = [told(200, team("t0", "my_space")), told(200, teams), told(200, json!({ "items": [] }))];
    let (timerex, script) = timerex(&workspace, answers);
    let found = timerex.inspect(&workspace).await;
    assert_eq!(lines(&found, true), ["the credentials work for team t1 (\"Salon\")"]);
    assert_eq!(script.asked()[2].0, "GET /teams/t1/calendars");
}

#[rstest]
#[case::redirect(vec![told_with(302, &[("location", "https://timerex.net/login")], "<html>")], "the credentials do not work: ")]
#[case::page(vec![told_with(200, &[], "<!DOCTYPE html>")], "the credentials do not work: ")]
#[case::refused(vec![told(401, json!({}))], "the credentials do not work: ")]
#[case::other(
    vec![told(200, team("t0", "my_space")), told(200, json!({ "items": [team("t2", "other")] }))],
    "do not see team `salon` but `other`, `my_space`"
)]
#[case::untold(vec![told(404, json!({})), told(500, json!({}))], "the teams are not told: ")]
#[tokio::test]
async fn credentials_that_do_not_see_the_team_are_the_one_finding(#[case] answers: Vec<Told>, #[case] said: &str) {
    let workspace = workspace(vec![row("intro", Some("c1"), Some("p1"))]);
    let (timerex, _) = timerex(&workspace, answers);
    let found = timerex.inspect(&workspace).await;
    assert_eq!((found.len(), found[0].ok), (1, false), "{found:?}");
    assert!(found[0].line.contains(said), "{}", found[0].line);
}

#[rstest]
#[case("teams.primary", &[], "GET /user/me/teams/primary")]
#[case("calendars.list", &[("teamId", "primary")], "GET /teams/primary/calendars")]
#[case("bookings.list", &[("calendarId", "c"), ("startTime", "2026-01-01 00:00:00"), ("endTime", "x")], "GET /calendars/c/events?startTime=2026-01-01%2000%3A00%3A00&endTime=x")]
#[case("bookings.get", &[("eventId", "e")], "GET /events/e")]
#[case("one-time-url.get", &[("id", "u")], "GET /calendars/one-time-url/u")]
#[tokio::test]
async fn what_reads_can_be_asked_by_name(#[case] name: &str, #[case] given: &[(&str, &str)], #[case] sent: &str) {
    let (timerex, script) = timerex(&workspace(Vec::new()), [told(200, json!({ "id": "e" }))]);
    let params: BTreeMap<String, String> =
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(timerex.ask(name, &params).await.unwrap().0, 200);
    assert_eq!(script.asked()[0].0, sent);
}
