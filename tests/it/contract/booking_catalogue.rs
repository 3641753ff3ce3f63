//! Each webhook body of TIMIFY and TimeRex that is documented, captured or assumed, from the delivery to what is made of it.
//!
//! In: the bodies and headers of `tests/fixtures/{timify,timerex}`, as they stand there. Out: a snapshot a file, of the row that
//! the real way in records in a real store, of what a repetition is, and of the observations. What the vendors' APIs answer is
//! in `booking_examples`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use insta::assert_snapshot;
use lockstep::app::{self, veils};
use lockstep::config::Config;
use lockstep::model::{CalendarRow, Change, Standing, System};
use lockstep::receive::{Receipt, Rejected};
use lockstep::secret::Secret;
use lockstep::verify::Refusal;

use super::telling::{arrival, here, names, snapshots, told};
use crate::support::databases::Database;
use crate::support::doorway::Doorway;

const SENT: &str = "2026-03-10T10:00:00.000Z";

/// The accounts that the bodies name.
pub const COMPANY: &str = "65a0000000000000000000b1";
pub const TEAM: &str = "example_team_1a2b";
/// The token of TimeRex's push notifications that the bodies carry.
pub const PUSHED: &str = "my-channel-token";
/// Questions that the bodies answer, and what they are to us.
pub const QUESTIONS: [(&str, &str); 4] = [("city", "地域"), ("topics", "話題"), ("wish", "希望"), ("firm", "会社名")];
const TIMIFY_HEADERS: &str = "timify/assumed/timify_webhook_headers";
/// TimeRex's headers now, and those of older senders.
const TIMEREX_HEADERS: [&str; 2] = ["timerex/webhook_headers", "timerex/webhook_headers_legacy"];

/// The calendar that the bodies name.
pub fn calendar() -> CalendarRow {
    CalendarRow {
        name: "intro".to_owned(),
        timify_resource: Some("65a0000000000000000000d1".to_owned()),
        timerex: Some("0c1d2e3f405162738495".to_owned()),
        timerex_url_path: Some("9f8e7d6c".to_owned()),
        ..CalendarRow::default()
    }
}

/// One body, and how it is delivered.
struct Delivery {
    name: String,
    system: System,
    body: String,
    headers: Vec<(String, String)>,
}

impl Delivery {
    /// Whether its token stands in its body.
    fn is_push(&self) -> bool {
        self.name.starts_with("push_")
    }

    /// With a token that nobody configured.
    fn forged(&self) -> Self {
        let wrong = |(name, value): &(String, String)| (name.clone(), format!("{value}x"));
        let body = self.body.replace(PUSHED, "another-token");
        Self { name: self.name.clone(), system: self.system, body, headers: self.headers.iter().map(wrong).collect() }
    }
}

/// The text of a fixture.
pub fn fixture(name: &str) -> String {
    std::fs::read_to_string(here(&format!("fixtures/{name}.json"))).unwrap()
}

fn headers(name: &str) -> Vec<(String, String)> {
    let headers: BTreeMap<String, String> = serde_json::from_str(&fixture(name)).unwrap();
    headers.into_iter().collect()
}

/// The name and value of the header that proves: the only one that is no usual one.
fn proof(name: &str) -> (String, String) {
    let usual = ["content-type", "accept", "user-agent"];
    headers(name).into_iter().find(|(name, _)| !usual.contains(&name.as_str())).unwrap()
}

/// The files of a folder that are webhook bodies.
pub fn bodies(folder: &str) -> BTreeSet<String> {
    let begins = ["timify_webhook_", "event_", "reschedule_", "push_"];
    let is_body = |name: &String| begins.iter().any(|begin| name.starts_with(begin)) && !name.contains("headers");
    names(&here(&format!("fixtures/{folder}")), ".json").into_iter().filter(is_body).collect()
}

/// All deliveries; those of TimeRex with these headers.
fn deliveries(timerex: &str) -> Vec<Delivery> {
    let of = |system: System, folder: &'static str, proven: &[(String, String)]| {
        let proven = proven.to_vec();
        bodies(folder).into_iter().map(move |name| {
            let (body, headers) = (fixture(&format!("{folder}/{name}")), proven.clone());
            let mut one = Delivery { name, system, body, headers };
            if one.is_push() {
                one.headers.retain(|(name, _)| name == "content-type");
            }
            one
        })
    };
    let timify = of(System::Timify, "timify/assumed", &headers(TIMIFY_HEADERS));
    timify.chain(of(System::Timerex, "timerex", &headers(timerex))).collect()
}

/// The workspace that the bodies are about, with these headers of TimeRex.
fn fitted(config: &mut Config, timerex: &str) {
    for (system, file) in [(System::Timify, TIMIFY_HEADERS), (System::Timerex, timerex)] {
        let (name, token) = proof(file);
        let connection = config.connections.values_mut().find(|one| one.system == system).unwrap();
        connection.webhook_header = Some(name.parse().unwrap());
        connection.webhook_tokens = vec![Secret::new(token)];
        if system == System::Timerex {
            connection.push_tokens = vec![Secret::new(PUSHED)];
        }
    }
    let workspace = &mut config.workspaces[0];
    workspace.extensions.clear();
    workspace.calendars = vec![calendar()];
    for (system, id) in [(System::Timify, COMPANY), (System::Timerex, TEAM)] {
        let account = workspace.accounts.get_mut(&system).unwrap();
        id.clone_into(&mut account.id);
        account.fields.clear();
    }
    let questions = QUESTIONS.map(|(field, label)| (field.to_owned(), label.to_owned()));
    workspace.accounts.get_mut(&System::Timerex).unwrap().fields.extend(questions);
}

async fn open(database: &Database, timerex: &str) -> Doorway {
    Doorway::open(&database.store, SENT, false, |config| fitted(config, timerex)).await
}

/// A row, as a snapshot shows it: a key that nothing tells is another one each time.
fn shown(door: &Doorway, change: &mut Change, again: Receipt) -> String {
    if again == Receipt::Recorded {
        "its own".clone_into(&mut change.said.dedup);
    }
    let site = &app::sites(&door.config).unwrap()[&door.config.workspaces[0].name];
    let terms = site.terms(change.said.system).unwrap();
    let routed = change.said.standing == Standing::Routed;
    let observations = if routed { terms.observe(change).unwrap() } else { Vec::new() };
    if let Some(body) = veils::without_secrets(change.said.system, &change.said.body).filter(|_| routed) {
        change.said.body = body.into();
        assert_eq!(terms.observe(change).unwrap(), observations, "secrets that are dropped take nothing with them");
    }
    let again = if again == Receipt::Recorded { "another row" } else { "the same row" };
    format!("repeated: {again}\n{}", told(change, &observations))
}

#[tokio::test]
async fn every_known_body_is_recorded_and_read_under_both_of_timerexs_headers() {
    let settings = snapshots("bookings");
    for form in TIMEREX_HEADERS {
        for one in deliveries(form) {
            // Several bodies are the same delivery in other shapes: each has a store of its own.
            let database = Database::sqlite().await;
            let door = open(&database, form).await;
            let deliver = || door.intake.accept(arrival(one.system, &one.headers, one.body.as_bytes()));
            assert_eq!(deliver().await, Ok(Receipt::Recorded), "{}", one.name);
            let mut change = door.newest().await.unwrap();
            let kept = String::from_utf8(change.said.body.to_vec()).unwrap();
            if one.is_push() {
                assert!(!kept.contains(PUSHED), "{}: the token is not kept", one.name);
            } else {
                assert_eq!(kept, one.body, "{}: the body is kept as it came", one.name);
            }
            let text = shown(&door, &mut change, deliver().await.unwrap());
            settings.bind(|| assert_snapshot!(one.name.as_str(), text));
        }
    }
}

#[tokio::test]
async fn a_wrong_or_missing_token_is_a_401_and_nothing_is_stored() {
    for form in TIMEREX_HEADERS {
        let database = Database::sqlite().await;
        let door = open(&database, form).await;
        for one in deliveries(form) {
            let forged = one.forged();
            let (status, _) = door.post_to(one.system, &forged.headers, &forged.body).await;
            assert_eq!(status, 401, "{}: a wrong token", one.name);
            let bare = if one.is_push() { one.body.replace("\"token\"", "\"t\"") } else { one.body.clone() };
            let (status, _) = door.post_to(one.system, &[], &bare).await;
            assert_eq!(status, 401, "{}: no token", one.name);
        }
        // The right token in the header of the other form is none.
        let other = TIMEREX_HEADERS.into_iter().find(|other| *other != form).unwrap();
        for one in deliveries(other).iter().filter(|one| one.system == System::Timerex && !one.is_push()) {
            let (status, _) = door.post_to(one.system, &one.headers, &one.body).await;
            assert_eq!(status, 401, "{}: the token in another header", one.name);
        }
        assert!(door.newest().await.is_none());
    }
}

#[tokio::test]
async fn a_static_token_proves_the_sender_alone_so_a_changed_byte_is_taken_by_design() {
    let database = Database::sqlite().await;
    let door = open(&database, TIMEREX_HEADERS[0]).await;
    for one in deliveries(TIMEREX_HEADERS[0]).iter().filter(|one| !one.is_push()) {
        for place in 0..4 {
            let mut changed = one.body.clone().into_bytes();
            let place = place * (changed.len() - 1) / 3;
            changed[place] ^= 1;
            let answer = door.intake.accept(arrival(one.system, &one.headers, &changed)).await;
            assert!(answer.is_ok(), "{}: {answer:?}", one.name);
        }
    }
}

#[tokio::test]
async fn the_token_of_a_push_stands_in_its_body_so_a_changed_byte_of_that_is_refused() {
    let database = Database::sqlite().await;
    let door = open(&database, TIMEREX_HEADERS[0]).await;
    for one in deliveries(TIMEREX_HEADERS[0]).iter().filter(|one| one.is_push()) {
        let token = one.body.find(PUSHED).unwrap();
        for place in token..token + PUSHED.len() {
            let mut changed = one.body.clone().into_bytes();
            changed[place] ^= 1;
            let answer = door.intake.accept(arrival(one.system, &one.headers, &changed)).await;
            assert!(matches!(answer, Err(Rejected::Refused(Refusal::Bad | Refusal::Missing))), "{place}: {answer:?}");
        }
    }
    assert!(door.newest().await.is_none());
}

#[tokio::test]
async fn a_captured_request_proves_itself_for_ever_and_is_the_same_row_for_ever() {
    let database = Database::sqlite().await;
    let door = open(&database, TIMEREX_HEADERS[0]).await;
    let deliveries = deliveries(TIMEREX_HEADERS[0]);
    let one = deliveries.iter().find(|one| one.name == "event_confirmed").unwrap();
    let deliver = || door.intake.accept(arrival(one.system, &one.headers, one.body.as_bytes()));
    assert_eq!(deliver().await, Ok(Receipt::Recorded));
    for _ in 0..3 {
        door.clock.advance(Duration::from_hours(24 * 365));
        assert_eq!(deliver().await, Ok(Receipt::Duplicate));
    }
}

#[tokio::test]
async fn what_is_taken_is_answered_with_200_also_when_it_is_repeated_or_not_understood() {
    let database = Database::sqlite().await;
    let door = open(&database, TIMEREX_HEADERS[0]).await;
    for one in deliveries(TIMEREX_HEADERS[0]) {
        let mut bodies = vec![one.body.clone(), one.body.clone()];
        if !one.is_push() {
            bodies.extend(["{".to_owned(), r#"{"webhook_type":"event_moved","event":"moved"}"#.to_owned()]);
        }
        for body in bodies {
            let (status, _) = door.post_to(one.system, &one.headers, &body).await;
            assert_eq!(status, 200, "{}: a 4xx would be repeated, a 3xx is not documented", one.name);
        }
    }
}
