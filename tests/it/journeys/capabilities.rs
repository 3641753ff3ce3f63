//! What each system can do is one table: in README, in `lockstep check`, and on the ops listener. What an entity is not in,
//! `lockstep explain` gives the table's reason for. `lockstep check --online` says where a vendor knows it otherwise.

use std::fmt::Write as _;
use std::path::Path;

use http::{Method, StatusCode};
use lockstep::app;
use lockstep::config::Config;
use lockstep::model::System;
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
    plan.service.policy = "[workspaces.create]\ntimify = \"all\"\ntimerex = \"off\"".to_owned();
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

on_both!(
    Place: check_and_the_ops_listener_show_one_table,
    explain_says_why_an_entity_is_not_in_a_system,
);
