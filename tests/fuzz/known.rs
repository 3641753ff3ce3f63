//! What is known to be sent to each target: fixtures, what we print ourselves, and the kept corpus.

use std::path::{Path, PathBuf};

use lockstep::model::System;
use lockstep::sandbox::StandIn;
use serde_json::{Value, json};

use super::targets::config::VARIABLES;
use super::targets::ground::{GROUND, NOW};

/// All targets.
pub const NAMES: &[&str] =
    &["webhook_ghl", "webhook_timify", "webhook_timerex", "webhook_extension", "signatures", "answers", "config"];

/// What is known to be sent, or was found to reach far.
pub fn known(name: &str) -> Vec<Vec<u8>> {
    let mut known = match name {
        "webhook_ghl" => files("tests/fixtures/ghl/events"),
        "webhook_timify" => files("tests/fixtures/timify/assumed"),
        "webhook_timerex" => files("tests/fixtures/timerex"),
        "webhook_extension" => of_the_contract(),
        "signatures" => forged(),
        "answers" => answers(),
        "config" => configurations(),
        other => panic!("{other} is no target"),
    };
    known.extend(files(&format!("fuzz/corpus/{name}")));
    known
}

/// The contents of all files in a folder of the project and below.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![project().join(folder)];
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() { folders.push(path) } else { found.extend(std::fs::read(path)) }
        }
    }
    found
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One webhook of each type of the contract.
fn of_the_contract() -> Vec<Vec<u8>> {
    let at = "2026-08-30T10:00:00.000Z";
    let contact = json!({ "id": "c1", "firstName": "Ann", "lastName": "Lee", "email": "ann@example.test",
        "phone": "+4915112345678", "tags": ["vip"], "lastUpdated": at, "customFields": { "shoe": 42 },
        "address": { "street": "Way 1", "city": "Kyoto", "country": "JP", "postalCode": "600" } });
    let task = json!({ "id": "t1", "contactId": "c1", "title": "Call", "body": "soon", "dueDate": at, "completed": false,
        "status": "open", "lastUpdated": at });
    let note = json!({ "id": "n1", "contactId": "c1", "content": "likes tea", "timestamp": at });
    let body = |kind: &str, verb: &str, data: &Value| {
        json!({ "type": format!("{kind}.{verb}"), "timestamp": at, "data": data }).to_string().into_bytes()
    };
    let mut known = Vec::new();
    for (kind, data) in [("contact", contact), ("task", task), ("note", note)] {
        for (whose, verb) in [(b'0', "created"), (b'1', "updated"), (b'0', "deleted"), (b'1', "completed")] {
            known.push([&[whose], body(kind, verb, &data).as_slice()].concat());
        }
    }
    known
}

const BODY: &str = r#"{"type":"ContactUpdate","locationId":"L1","id":"c1","webhook_token":"no","timestamp":1}"#;

/// What each system sends, with a body that none of it was made for.
fn forged() -> Vec<Vec<u8>> {
    let ground = &*GROUND;
    let account = &ground.settings.workspaces[0];
    let senders = [
        (0, StandIn::vendor(System::Ghl), &account.ghl_location),
        (1, StandIn::extension(System::Timify), &account.timify_company),
        (2, StandIn::extension(System::Timerex), &account.timerex_team),
    ];
    let mut known = Vec::new();
    for (which, from, account) in senders {
        let signed = ground.signer.headers(from, account, "delivery-1", NOW, b"another body");
        known.push(forgery(which, signed.iter().map(|(name, value)| format!("{name}: {value}"))));
    }
    for (which, line) in [(1, "timify-token: none"), (2, "x-timerex-authorization: none"), (2, "Authorization: Bearer")]
    {
        known.push(forgery(which, [line.to_owned()].into_iter()));
    }
    for line in ["webhook-id: x\nwebhook-timestamp: 1\nwebhook-signature: v1,AA== v1a,x", "x-wh-signature: N/A"] {
        known.extend((0..3).map(|which| forgery(which, [line.to_owned()].into_iter())));
    }
    known
}

fn forgery(which: u8, lines: impl Iterator<Item = String>) -> Vec<u8> {
    let lines: Vec<String> = lines.collect();
    [&[which], format!("{}\n\n{BODY}", lines.join("\n")).as_bytes()].concat()
}

/// What we print, and the example.
fn configurations() -> Vec<Vec<u8>> {
    let example = std::fs::read(project().join("config.example.toml")).expect("it stands beside the code");
    let printed = GROUND.config.clone();
    let variables = "SERVER__BODY_LIMIT=5\nSTORE__URL=sqlite://x\nDISPATCH__LEASE=1s\nSYSTEMS__GHL__RSA_KEYS=[]\n";
    let with = format!("{printed}{VARIABLES}{variables}");
    vec![example, printed.into_bytes(), with.into_bytes()]
}

/// Each known answer, to each call that may get it.
fn answers() -> Vec<Vec<u8>> {
    const HEADS: &[&str] = &[
        "200",
        "429\nretry-after: 5\nx-ratelimit-remaining: 0\nx-ratelimit-interval-milliseconds: 10000\nx-ratelimit-max: 100",
        "400\ndate: Mon, 30 Aug 2027 10:00:00 GMT",
    ];
    let mut bodies = files("tests/fixtures/timify");
    bodies.extend(files("tests/fixtures/timerex"));
    bodies.extend(files("tests/fixtures/ghl/rest"));
    bodies.extend(OF_GHL.iter().map(|body| body.as_bytes().to_vec()));
    let mut known = Vec::new();
    for (number, body) in bodies.iter().enumerate() {
        for call in 0..24_u8 {
            let (kind, head) = ((number % 4) as u8, HEADS[if number % 8 == 7 { 1 + number / 8 % 2 } else { 0 }]);
            known.push([&[call, kind], head.as_bytes(), b"\n\n", body].concat());
        }
    }
    known
}

/// What GHL's documents say that it answers.
const OF_GHL: &[&str] = &[
    r#"{"contact":{"id":"c1","locationId":"L1","firstName":"Ann","email":"a@x.test","phone":"+4915112345678","tags":["vip"],"dateOfBirth":"1990-01-02","dateUpdated":"2026-08-30T10:00:00.000Z","customFields":[{"id":"cf1","value":42}],"businessId":"b1"}}"#,
    r#"{"contacts":[{"id":"c1","email":"a@x.test","dateUpdated":"2026-08-30T10:00:00.000Z","searchAfter":[1,"c1"]}],"total":1}"#,
    r#"{"task":{"id":"t1","contactId":"c1","title":"Call","body":"soon","dueDate":"2026-08-30T10:00:00.000Z","completed":false}}"#,
    r#"{"tasks":[{"id":"t1","contactId":"c1","title":"Call","dueDate":"2026-08-30T10:00:00.000Z","completed":true}]}"#,
    r#"{"note":{"id":"n1","contactId":"c1","body":"<p>likes tea</p>","bodyText":"likes tea","dateAdded":"2026-08-30T10:00:00.000Z"}}"#,
    r#"{"notes":[{"id":"n1","contactId":"c1","body":"likes tea","dateAdded":"2026-08-30T10:00:00.000Z"}]}"#,
    r#"{"event":{"id":"a1","contactId":"c1","calendarId":"CalAAAAAAAAAAAAAAAA1","startTime":"2026-08-30T10:00:00+02:00","endTime":"2026-08-30T11:00:00+02:00","appointmentStatus":"confirmed","title":"Cut","dateUpdated":"2026-08-30T10:00:00.000Z"}}"#,
    r#"{"events":[{"id":"a1","contactId":"c1","calendarId":"CalAAAAAAAAAAAAAAAA1","startTime":"2026-08-30 10:00:00","endTime":"2026-08-30 11:00:00","appointmentStatus":"cancelled"}]}"#,
    r#"{"statusCode":400,"message":["email must be an email"],"error":"Bad Request","meta":{"contactId":"c9","matchingField":"email"},"traceId":"x"}"#,
    r#"{"tags":["vip"],"tagsAdded":["vip"],"traceId":"x"}"#,
];
