//! What each system can do is one table: in README, in `lockstep check`, and on the ops listener. What an entity is not in,
//! `lockstep explain` gives the table's reason for. `lockstep check --online` says where a vendor knows it otherwise.

use std::fmt::Write as _;
use std::path::Path;

use http::{Method, StatusCode};
use lockstep::app;
use lockstep::config::Config;
use lockstep::model::System;
use lockstep::secret::Secret;
use lockstep::systems::capabilities::{self, Cell, Notes, Object};
use serde_json::{Value, json};

use super::{contact, email};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, world};

const BEGINS: &str = "<!-- capabilities:";
const ENDS: &str = "<!-- /capabilities -->";

/// One workspace with an account in each system, and nothing set that need not be.
const PLAIN: &str = r#"
[connections.crm]
system = "ghl"
token = "t"
[connections.bookings]
system = "timify"
app_id = "a"
app_secret = "s"
[connections.scheduling]
system = "timerex"
api_key = "k"
[[workspaces]]
name = "main"
[workspaces.ghl]
location = "loc"
connection = "crm"
[workspaces.timify]
company = "65a000000000000000000001"
connection = "bookings"
[workspaces.timerex]
team = "team"
connection = "scheduling"
"#;

/// The same with an extension beside both vendors that lack something.
const EXTENSIONS: &str = r#"
[workspaces.extensions.timify]
url = "https://flows.example.com/timify"
secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
[workspaces.extensions.timerex]
url = "https://flows.example.com/timerex"
secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
"#;

/// The table of a configuration's one workspace in Markdown, with its notes.
fn markdown(config: &str) -> String {
    let config = Config::read("lockstep.toml", config, Path::new("."), []).unwrap();
    let sites = app::sites(&config).unwrap();
    let rows = System::ALL.iter().map(|system| capabilities::row(sites["main"].terms(*system).unwrap()));
    let rows: Vec<[Cell; 5]> = rows.collect();
    let mut notes = Notes::default();
    let mut text = "|  | GHL | TIMIFY | TimeRex |\n| --- | --- | --- | --- |\n".to_owned();
    for (at, object) in Object::ALL.iter().enumerate() {
        let cells: Vec<String> = rows.iter().map(|row| notes.text(&row[at])).collect();
        writeln!(text, "| {} | {} |", object.plural(), cells.join(" | ")).unwrap();
    }
    text.push('\n');
    for (number, note) in notes.numbered() {
        writeln!(text, "[{number}] {note}  ").unwrap();
    }
    text
}

#[test]
fn the_table_in_the_readme_is_what_the_code_gives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGINS).unwrap();
    let (mark, rest) = rest.split_once("-->\n").unwrap();
    let (held, after) = rest.split_once(ENDS).unwrap();
    let made = format!(
        "Without extensions:\n\n{}\nWith an extension beside TIMIFY and one beside TimeRex:\n\n{}\n",
        markdown(PLAIN),
        markdown(&format!("{PLAIN}{EXTENSIONS}"))
    );
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, format!("{before}{BEGINS}{mark}-->\n{made}{ENDS}{after}")).unwrap();
    } else {
        assert_eq!(held, made, "the comment in README.md says how to bring it up to date");
    }
}

async fn check_and_the_ops_listener_show_one_table(place: &mut Place) {
    let world = world(place).await;
    let path = "/api/v1/capabilities";
    let unsigned = world.client.get(format!("http://{}{path}", world.app.ops)).send().await.unwrap();
    assert_eq!(unsigned.status(), StatusCode::UNAUTHORIZED);
    let all = world.ops(Method::GET, path, Value::Null).await;
    let one = world.ops(Method::GET, &format!("{path}?workspace=main"), Value::Null).await;
    assert_eq!((all.status, &all.body), (StatusCode::OK, &one.body));
    world.ops(Method::GET, &format!("{path}?workspace=x"), Value::Null).await.assert_problem(404, "unknown_workspace");
    world.ops(Method::GET, &format!("{path}?worksapce=main"), Value::Null).await.assert_problem(400, "bad_request");

    let workspaces = all.body["workspaces"].as_array().unwrap();
    assert_eq!((workspaces.len(), &workspaces[0]["name"]), (1, &json!("main")));
    let cells = workspaces[0]["capabilities"].as_array().unwrap();
    assert_eq!(cells.len(), 15);
    let printed = world.command(&["check"]);
    for system in ["ghl", "timify", "timerex"] {
        let line = printed.lines().find(|line| line.split_whitespace().nth(1) == Some(system)).unwrap();
        let homes = cells.iter().filter(|cell| cell["system"] == system).map(|cell| cell["home"].as_str().unwrap());
        let shown = line.split_whitespace().map(|word| word.trim_end_matches(':'));
        let homes: Vec<&str> = homes.collect();
        assert_eq!(shown.filter(|word| homes.contains(word)).collect::<Vec<_>>(), homes, "{line}");
    }
    let booking = cells.iter().find(|cell| cell["system"] == "timerex" && cell["object"] == "appointment").unwrap();
    let why = booking["may"]["create"]["no"].as_str().unwrap();
    let flat = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains(why), "{why}: {printed}");
    world.stop().await;
}

async fn explain_says_why_an_entity_is_not_in_a_system(place: &mut Place) {
    let mut plan = Plan::of(1);
    plan.service.policy = String::from("[workspaces.create]\ntimify = \"all\"\ntimerex = \"off\"");
    let world = plan.start(place).await;
    let ann = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Ann") })).await;
    world.settle().await;
    let told = world.command(&["explain", &email("Ann")]);
    assert!(told.contains("create is `off` for contacts there"), "{told}");
    let fields = json!({
        "calendarId": world.account(0).ghl_calendar, "title": "Talk",
        "startTime": "2031-05-05T09:00:00Z", "endTime": "2031-05-05T09:30:00Z"
    });
    let talk = world.edit(0, "ghl", "create appointment", json!({ "parent": ann, "fields": fields })).await;
    world.settle().await;
    let told = world.command(&["explain", &talk]);
    let row = told.lines().find(|line| line.trim_start().starts_with("timerex")).unwrap();
    assert!(row.contains("not there") && row.contains("TimeRex has no call that creates a booking"), "{told}");
    assert!(told.lines().any(|line| line.trim_start().starts_with("timify") && line.contains("live")), "{told}");
    world.stop().await;
}

async fn check_online_finds_what_the_vendors_know_as_configured(place: &mut Place) {
    let world = world(place).await;
    let mark = world.mark().await;
    let printed = world.command(&["check", "--online"]);
    let account = world.account(0);
    let expected = [
        format!("main ghl: ok: calendar `intro` is {} (\"Consultation\")", account.ghl_calendar),
        format!("main timify: ok: the app's token works for company {} (\"Sandbox main\")", account.timify_company),
        format!(
            "main timify: ok: calendar `intro` is service {} (\"Consultation\") with resource {} (\"Room A\")",
            account.timify_service, account.timify_resource
        ),
        format!("main timerex: ok: calendar `intro` is {} (\"Consultation\")", account.timerex_calendar),
        "main timify: ok: the extension answers, and takes our signature".to_owned(),
        "main timerex: ok: the extension answers, and takes our signature".to_owned(),
    ];
    for line in expected {
        assert!(printed.lines().any(|printed| printed == line), "{line}: {printed}");
    }
    assert!(!printed.contains("PROBLEM") && !printed.contains("all systems"), "{printed}");
    assert_eq!(world.writes(mark).await, [""; 0]);
    world.stop().await;
}

/// A calendar that the vendors do not have, and an extension that knows another secret.
fn astray(config: &mut Config) {
    let workspace = &mut config.workspaces[0];
    let row = &mut workspace.calendars[0];
    row.timify_service = Some("65f000000000000000000bad".to_owned());
    row.timerex_url_path = Some("another".to_owned());
    let other = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    workspace.extensions.get_mut(&System::Timerex).unwrap().secrets = vec![other];
}

async fn check_online_names_a_calendar_that_is_mapped_wrongly(place: &mut Place) {
    let mut plan = Plan::of(1);
    plan.adjust = astray;
    let world = plan.start(place).await;
    let output = world.output(&["check", "--online"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    let account = world.account(0);
    let expected = [
        "main timify: PROBLEM: calendar `intro`: the company has no service 65f000000000000000000bad".to_owned(),
        format!("main timify: ok: not mapped: service {} (\"Consultation\")", account.timify_service),
        format!(
            "main timerex: PROBLEM: calendar `intro` is {} (\"Consultation\"), whose url path is `{}`: set \
             timerex_url_path, which says `another`",
            account.timerex_calendar, account.timerex_calendar_path
        ),
    ];
    for line in expected {
        assert!(printed.lines().any(|printed| printed == line), "{line}: {printed}");
    }
    let refused = "main timerex: PROBLEM: the extension refuses our signature (HTTP 401)";
    assert!(printed.lines().any(|line| line.starts_with(refused)), "{printed}");
    world.stop().await;
}

async fn calendars_of_one_row_that_differ_in_length_are_told(place: &mut Place) {
    let mut plan = Plan::of(1);
    plan.settings.timerex.teams[0].calendars[0].duration = 60;
    let world = plan.start(place).await;
    let printed = world.command(&["check", "--online"]);
    let told = "main all systems: ok: calendar `intro` has appointments of 30 minutes in ghl, 30 minutes in timify, 60 \
                minutes in timerex: each keeps its own length in the others";
    assert!(printed.lines().any(|line| line == told), "{printed}");
    world.stop().await;
}

async fn each_system_can_be_asked_by_name(place: &mut Place) {
    let world = world(place).await;
    let ann = world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Ann") })).await;
    world.settle().await;
    let told = world.command(&["ask", "main", "timify", "customers.get", &format!("customerId={ann}")]);
    assert!(told.contains(&email("Ann")), "{told}");
    let told = world.command(&["ask", "main", "timerex", "teams.primary"]);
    assert!(told.contains(&world.account(0).timerex_team), "{told}");
    for (system, known) in [("timify", "services.list"), ("timerex", "one-time-url.get")] {
        let output = world.output(&["ask", "main", system, "list"]);
        assert!(String::from_utf8_lossy(&output.stderr).contains(known), "{output:?}");
    }
    world.stop().await;
}

on_both!(
    Place: check_and_the_ops_listener_show_one_table,
    explain_says_why_an_entity_is_not_in_a_system,
    check_online_finds_what_the_vendors_know_as_configured,
    check_online_names_a_calendar_that_is_mapped_wrongly,
    calendars_of_one_row_that_differ_in_length_are_told,
    each_system_can_be_asked_by_name,
);
