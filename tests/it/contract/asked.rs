//! Every operation of our client's table, judged by the vendor's documents: what reads is asked by name, what writes is a
//! step of a plan. The answers are made up; only what is sent is judged here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use lockstep::clock::{ManualClock, Millis};
use lockstep::credentials::static_token::StaticToken;
use lockstep::model::{Action, CalendarRow, ExternalId, Field, Fields, Kind, System, Terms, Value};
use lockstep::secret::Secret;
use lockstep::systems::Inquiry as _;
use lockstep::systems::allowance::Unlimited;
use lockstep::systems::call::Caller;
use lockstep::systems::ghl::{Ghl, GhlSettings, OPERATIONS, takes};
use lockstep::systems::offset::ClockOffset;
use lockstep::systems::{Expressed, Target, Transport, TransportError};
use rstest::rstest;
use serde_json::json;

use super::bench::step;
use super::openapi::{check_request, operation};

/// Judges each request, and answers that it was done.
#[derive(Default)]
struct Judge {
    asked: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Transport for Judge {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let (method, uri) = (request.method().as_str(), request.uri());
        let body = (!request.body().is_empty()).then(|| serde_json::from_slice(request.body()).unwrap());
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        let faults = check_request(method, path, query, request.headers(), body.as_ref());
        assert_eq!(faults, [""; 0], "{method} {uri} {body:?}");
        self.asked.lock().unwrap().insert(operation(method, path).unwrap());
        Ok(http::Response::new(Bytes::from(json!({ "id": "X" }).to_string())))
    }
}

fn ghl(judge: &Arc<Judge>, [contacts, calendars]: [&str; 2]) -> Ghl {
    let clock = Arc::new(ManualClock::at(Millis::parse("2026-04-01T10:00:00Z").unwrap()));
    let token = Arc::new(StaticToken::bearer(&Secret::new("pit-1")).unwrap());
    let offset = Arc::new(ClockOffset::new(clock));
    let settings = GhlSettings {
        location: "Loc".to_owned(),
        contacts_version: contacts.to_owned(),
        calendars_version: calendars.to_owned(),
        locations_version: contacts.to_owned(),
        businesses_version: contacts.to_owned(),
        custom_fields: [("status".to_owned(), "cf1".to_owned()), ("shoe".to_owned(), "cf2".to_owned())].into(),
        notify: false,
    };
    let row = CalendarRow { name: "first".to_owned(), ghl: Some("Cal".to_owned()), ..CalendarRow::default() };
    let caller = Caller::new(System::Ghl, "http://ghl", judge.clone(), token, offset, Arc::new(Unlimited));
    Ghl::new(settings, vec![row], None, caller)
}

/// What a parameter could be; each of the few that are not texts is listed.
fn sample(param: &str) -> &'static str {
    match param {
        "pageLimit" | "page" | "limit" | "skip" | "startAfter" => "10",
        "startTime" | "endTime" => "1775000000000",
        "searchAfter" | "contactId[]" | "assignedTo" => "[\"a\"]",
        "filters" | "sort" => "[]",
        "completed" | "showDrafted" => "true",
        "email" => "a@example.com",
        "number" => "+4915123456789",
        "model" => "contact",
        _ => "x",
    }
}

/// A value for each field of a kind that GHL holds.
fn fields(ghl: &Ghl, kind: Kind) -> Fields {
    let text = |field, text| (field, Value::text(text));
    let at = |field, text| (field, Value::Instant(Millis::parse(text).unwrap()));
    let all = [
        text(Field::FIRST_NAME, "Ada"),
        text(Field::LAST_NAME, "Lovelace"),
        text(Field::EMAIL, "ada@example.com"),
        text(Field::PHONE, "+4915123456789"),
        text(Field::ADDRESS, "1 St James's Square"),
        text(Field::CITY, "London"),
        text(Field::STATE, "Greater London"),
        text(Field::POSTAL_CODE, "SW1Y 4JH"),
        text(Field::COUNTRY, "GB"),
        text(Field::BIRTHDAY, "1815-12-10"),
        text(Field::BUSINESS, "63b7ec34ea409a9a8bd2a4ff"),
        text(Field::custom("shoe"), "36"),
        text(Field::TITLE, "Call back"),
        text(Field::BODY, "about the engine"),
        text(Field::CALENDAR, "first"),
        text(Field::STATUS, "confirmed"),
        at(Field::DUE, "2026-04-03T09:30:00Z"),
        at(Field::START, "2026-04-03T09:00:00Z"),
        at(Field::END, "2026-04-03T09:30:00Z"),
        (Field::COMPLETED, Value::Flag(true)),
        (Field::tag("vip"), Value::Flag(true)),
    ];
    let held = |(field, value): &(Field, Value)| matches!(ghl.express(kind, field, value), Expressed::Holds(_));
    all.into_iter().filter(held).collect()
}

#[rstest]
#[case::v2(["2021-07-28", "2021-04-15"], &[])]
#[case::v3(["v3", "v3"], &["contacts.list"])]
#[tokio::test]
async fn every_operation_of_the_table_is_sent_as_its_document_says(
    #[case] versions: [&str; 2],
    #[case] dropped: &[&str],
) {
    let judge = Arc::new(Judge::default());
    let ghl = ghl(&judge, versions);
    let there: Vec<_> = OPERATIONS.iter().filter(|operation| !dropped.contains(&operation.name)).collect();
    for operation in there.iter().filter(|operation| !operation.writes) {
        let value = |param: &'static str| {
            let in_body = operation.name == "tasks.search" && param == "contactId";
            (param.to_owned(), sample(if in_body { "contactId[]" } else { param }).to_owned())
        };
        let params: BTreeMap<String, String> = takes(operation.name).into_iter().map(value).collect();
        ghl.ask(operation.name, &params).await.unwrap_or_else(|error| panic!("{}: {error}", operation.name));
    }
    for kind in Kind::ALL.iter().copied() {
        let parent = (kind != Kind::Contact).then(|| ExternalId::new("C"));
        for action in Action::ALL.iter().copied().filter(|action| action.writes()) {
            let id = (action != Action::Create).then(|| ExternalId::new("X"));
            let step = step(action, kind, id.as_ref(), parent.as_ref(), fields(&ghl, kind));
            if let Err(error) = ghl.apply(&step).await {
                assert!(error.to_string().contains("GHL has no call to"), "{step}: {error}");
            }
        }
    }
    let asked = judge.asked.lock().unwrap();
    let table: BTreeSet<String> =
        there.iter().map(|operation| format!("{} {}", operation.method(), operation.path)).collect();
    assert_eq!(*asked, table, "each row was sent, and its path is written as in the documents");
}
