//! Each example of what the APIs of TIMIFY and TimeRex answer and are asked, through the real connectors.
//!
//! In: the files of `tests/fixtures/{timify,timerex}` that are no webhooks, told by a scripted transport. Out: a snapshot a case,
//! of what was asked and what was read. A file without a case fails, and so does a snapshot without a file.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use insta::assert_snapshot;
use lockstep::clock::{ManualClock, Millis};
use lockstep::credentials::login::TokenScheme;
use lockstep::credentials::static_token::StaticToken;
use lockstep::credentials::timify_token::{TimifyApp, TimifyToken};
use lockstep::model::{Action, ExternalId, Field, Fields, Kind, System, Value, Workspace};
use lockstep::secret::Secret;
use lockstep::systems::allowance::Unlimited;
use lockstep::systems::call::Caller;
use lockstep::systems::offset::ClockOffset;
use lockstep::systems::timerex::{Team, Timerex};
use lockstep::systems::timify::{Company, Timify};
use lockstep::systems::{Credential, Inquiry, Inviting, Page, Reading, Target, Transport, TransportError};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::bench::{place, step};
use super::booking_catalogue::{COMPANY, PUSHED, QUESTIONS, TEAM, bodies, calendar, fixture};
use super::telling::{here, names, observed, snapshots};

/// Files that no connector of ours reads or writes, and why; or the source file whose test takes them.
const ELSEWHERE: &[(&str, &str)] = &[
    ("booker_availabilities_service", "the public booking flow: nobody here asks for slots"),
    ("booker_confirm_request", "the public booking flow: nobody here books as a guest"),
    ("rest_user_me_oauth_only", "src/credentials/oauth/tests/timerex.rs"),
    ("oauth_token_response", "src/credentials/oauth/tests/timerex.rs"),
    ("timify_webhook_headers", "tests/it/contract/booking_catalogue.rs"),
    ("webhook_headers", "tests/it/contract/booking_catalogue.rs"),
    ("webhook_headers_legacy", "tests/it/contract/booking_catalogue.rs"),
];

/// Answers with these, in order, and keeps what it was asked.
struct Script {
    told: Mutex<VecDeque<(u16, String)>>,
    asked: Mutex<Vec<(String, Json)>>,
}

impl Script {
    fn new(told: &[(u16, String)]) -> Arc<Self> {
        Arc::new(Self { told: Mutex::new(told.iter().cloned().collect()), asked: Mutex::default() })
    }

    /// The bodies that it was sent.
    fn sent(&self) -> Vec<Json> {
        self.asked.lock().unwrap().iter().map(|(_, body)| body.clone()).filter(|body| !body.is_null()).collect()
    }

    /// All that it was asked, then what was made of it.
    fn and(&self, made: &str) -> String {
        let mut text = String::new();
        for (line, body) in self.asked.lock().unwrap().iter() {
            let _ = writeln!(text, "{line}");
            if !body.is_null() {
                let _ = writeln!(text, "{body:#}");
            }
        }
        assert!(self.told.lock().unwrap().is_empty(), "not all of it was asked for: {text}");
        format!("{text}\n{}\n", made.trim())
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let path = request.uri().path_and_query().unwrap().as_str();
        let line = format!("{} {path}", request.method());
        self.asked.lock().unwrap().push((line, serde_json::from_slice(request.body()).unwrap_or_default()));
        let (status, body) = self.told.lock().unwrap().pop_front().unwrap();
        Ok(Response::builder().status(status).body(body.into()).unwrap())
    }
}

/// What a case is called, the files that it takes, and what came of them.
struct Case {
    name: &'static str,
    files: &'static [&'static str],
    text: String,
}

fn case(files: &'static [&'static str], text: String) -> Case {
    Case { name: files[0], files, text }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Millis::parse("2026-03-10T10:00:00Z").unwrap()))
}

fn workspace() -> Workspace {
    let questions = QUESTIONS.map(|(field, label)| (field.to_owned(), label.to_owned()));
    Workspace {
        accounts: [(System::Timify, COMPANY.to_owned()), (System::Timerex, TEAM.to_owned())].into(),
        calendars: vec![calendar()],
        fields: [(System::Timerex, questions.into())].into(),
        ..Workspace::default()
    }
}

fn caller(system: System, script: &Arc<Script>) -> Caller {
    let credential = StaticToken::api_key("x-api-key", &Secret::new("key-1")).unwrap();
    let offset = Arc::new(ClockOffset::new(clock()));
    Caller::new(system, "https://x.test", script.clone(), Arc::new(credential), offset, Arc::new(Unlimited))
}

fn timify(told: &[&str]) -> (Timify, Arc<Script>) {
    let script = Script::new(&told.iter().map(|body| (200, (*body).to_owned())).collect::<Vec<_>>());
    let company = Company::of(&workspace(), 31).unwrap();
    (Timify::new(caller(System::Timify, &script), company), script)
}

fn timerex(told: &[&str]) -> (Timerex, Arc<Script>) {
    let script = Script::new(&told.iter().map(|body| (200, (*body).to_owned())).collect::<Vec<_>>());
    (Timerex::new(caller(System::Timerex, &script), Team::of(&workspace()).unwrap()), script)
}

/// A fixture of TIMIFY, of TimeRex.
fn of_timify(name: &str) -> String {
    fixture(&format!("timify/{name}"))
}

fn of_timerex(name: &str) -> String {
    fixture(&format!("timerex/{name}"))
}

fn parsed(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

fn seen(reading: &Reading) -> String {
    let within = match &reading.within {
        Some(within) => format!("\n{} within it\n{}", within.len(), within.iter().map(observed).collect::<String>()),
        None => "\nit does not tell what is within it\n".to_owned(),
    };
    format!("answered with {}\n{}{within}", reading.status, observed(&reading.observation))
}

fn page(page: &Page) -> String {
    let listed: String = page.observations.iter().map(observed).collect();
    format!("{} on the page, next: {:?}\n{listed}", page.observations.len(), page.next)
}

async fn read(target: &impl Target, kind: Kind, id: &str) -> Reading {
    target.read(&place(kind, &ExternalId::new(id), None)).await.unwrap()
}

/// The booker's definitions, with those of the fields that a customer has besides.
fn definitions() -> String {
    let mut list = parsed(&of_timify("booker_company_customer_fields"));
    let more = [("97", "PHONE", "mobilePhone"), ("9a", "TEXTAREA", "notes")].map(|(end, form, key)| {
        json!({
            "id": format!("65c0000000000000000000{end}"), "type": form,
            "translationKey": format!("customerFields.basic.{key}"),
        })
    });
    list.as_array_mut().unwrap().extend(more);
    list.to_string()
}

async fn timify_appointments() -> Vec<Case> {
    let single = of_timify("appointment_get_response");
    let series = of_timify("appointment_recurring_get_response");
    let shifts = of_timify("list_envelope_timeshifts");
    let (one, first) = timify(&[&single]);
    let (many, second) = timify(&[&series, &series]);
    let (none, third) = timify(&[&shifts]);
    let whole = read(&many, Kind::Appointment, "66000000000000000000a002").await;
    let fifth = read(&many, Kind::Appointment, "66000000000000000000a002#2026-05-05").await;
    let single = read(&one, Kind::Appointment, "66000000000000000000a001").await;
    let listed = none.changed(Kind::Appointment, None, Some("2026-04-01/1")).await.unwrap();
    let series = format!("{}\n\none of them alone: {}", seen(&whole), seen(&fifth));
    vec![
        case(&["appointment_get_response"], first.and(&seen(&single))),
        case(&["appointment_recurring_get_response"], second.and(&series)),
        case(&["list_envelope_timeshifts"], third.and(&page(&listed))),
    ]
}

async fn timify_customers() -> Vec<Case> {
    let (customer, list) = ("assumed/timify_customer_get_response", "assumed/timify_customers_list_response");
    let (customer, list) = (of_timify(customer), of_timify(list));
    let (read_one, first) = timify(&[&definitions(), &customer]);
    let (list_all, second) = timify(&[&definitions(), &list]);
    let (three_fields, third) = timify(&[&of_timify("booker_company_customer_fields"), &customer]);
    let id = "66000000000000000000c001";
    let one = seen(&read(&read_one, Kind::Contact, id).await);
    let listed = page(&list_all.changed(Kind::Contact, None, None).await.unwrap());
    let three = seen(&read(&three_fields, Kind::Contact, id).await);
    vec![
        case(&["timify_customer_get_response"], first.and(&one)),
        case(&["timify_customers_list_response"], second.and(&listed)),
        case(&["booker_company_customer_fields"], third.and(&three)),
    ]
}

async fn timify_writes() -> Vec<Case> {
    let made = json!({ "data": { "id": "66000000000000000000c009" }, "status": 1 }).to_string();
    let (customers, first) = timify(&[&definitions(), &made]);
    let text = |text: &str| Value::text(text);
    let person = Fields::from([
        (Field::FIRST_NAME, text("Hanako")),
        (Field::LAST_NAME, text("Yamada")),
        (Field::EMAIL, text("hanako.yamada@example.test")),
        (Field::PHONE, text("+491510000000")),
    ]);
    let mut create = step(Action::Create, Kind::Contact, None, None, person);
    create.key = Some(Uuid::from_u128(42));
    let answer = format!("{:?}", customers.apply(&create).await.unwrap());
    let (appointments, second) = timify(&[&made]);
    let at = |text: &str| Value::Instant(Millis::parse(text).unwrap());
    let booking = Fields::from([
        (Field::START, at("2026-04-04T07:05:00Z")),
        (Field::END, at("2026-04-04T07:35:00Z")),
        (Field::TITLE, text("Consultation")),
        (Field::CALENDAR, text("intro")),
    ]);
    let booked = appointments.apply(&step(Action::Create, Kind::Appointment, None, None, booking)).await.unwrap();
    // What we send is the example, but for what it says of itself only.
    let example = parsed(&of_timify("appointment_create_request"));
    for key in ["resource_ids", "datetime", "duration", "title"] {
        assert_eq!(second.sent()[0][key], example[key], "{key}");
    }
    let example = parsed(&of_timify("customer_create_request"));
    let by_id = |body: &Json| -> BTreeMap<String, String> {
        let fields = body["customfields"].as_array().unwrap().iter();
        fields.map(|one| (one["id"].to_string(), one["value"].as_str().unwrap().to_owned())).collect()
    };
    let (sent, wanted) = (by_id(&first.sent()[0]), by_id(&example));
    assert!(sent.keys().eq(wanted.keys()), "{sent:?}");
    vec![
        case(&["customer_create_request"], first.and(&answer)),
        case(&["appointment_create_request"], second.and(&format!("{booked:?}"))),
    ]
}

async fn timify_login() -> Case {
    let script = Script::new(&[(200, of_timify("assumed/timify_auth_token_response"))]);
    let example = parsed(&of_timify("auth_token_request"));
    let app = TimifyApp {
        base_url: "https://x.test".to_owned(),
        app_id: example["appid"].as_str().unwrap().to_owned(),
        app_secret: Secret::new(example["appsecret"].as_str().unwrap()),
        scheme: TokenScheme::Bearer,
    };
    let token = TimifyToken::new(app, script.clone(), clock());
    let mut request = Request::get("https://x.test/v1/customers").body(Bytes::new()).unwrap();
    token.sign(&mut request).await.unwrap();
    assert_eq!(script.sent(), [example]);
    let header = request.headers()["authorization"].to_str().unwrap().to_owned();
    case(&["timify_auth_token_response", "auth_token_request"], script.and(&format!("authorization: {header}")))
}

async fn timerex_bookings() -> Vec<Case> {
    let (first, last) = (of_timerex("rest_calendar_events_page1"), of_timerex("rest_calendar_events_last_page"));
    let (one, script) = timerex(&[&of_timerex("rest_get_event")]);
    let booking = seen(&read(&one, Kind::Appointment, "1111aaaa2222bbbb3333").await);
    let booking = case(&["rest_get_event"], script.and(&booking));
    let (list, script) = timerex(&[&first, &last]);
    let ten = list.changed(Kind::Appointment, None, None).await.unwrap();
    let rest = list.changed(Kind::Appointment, None, ten.next.as_deref()).await.unwrap();
    let pages = format!("{}\n\n{}", page(&ten), page(&rest));
    let pages = case(&["rest_calendar_events_page1", "rest_calendar_events_last_page"], script.and(&pages));
    vec![booking, pages]
}

async fn timerex_links() -> Vec<Case> {
    let (pending, confirmed) = (of_timerex("rest_one_time_url_pending"), of_timerex("rest_one_time_url_confirmed"));
    let link = ExternalId::new("7777eeee8888ffff9999");
    let (open, first) = timerex(&[&pending, &pending]);
    let made = open.invite("0c1d2e3f405162738495").await.unwrap();
    assert_eq!(made.url.expose(), parsed(&pending)["url"].as_str().unwrap());
    let waits = format!("link {}\n{:?}", made.id.as_str(), open.look(&link).await.unwrap());
    let (booked, second) = timerex(&[&confirmed]);
    let looked = booked.look(&link).await.unwrap();
    let booking = format!("{:?}\n{}", looked.state, observed(&looked.booking.unwrap()));
    let (watching, third) = timerex(&["{}"]);
    let example = parsed(&of_timerex("rest_watch_one_time_url_request"));
    let notify = example["notification_url"].as_str().unwrap();
    watching.watch(&link, &Secret::new(PUSHED), notify).await.unwrap();
    assert_eq!(third.sent(), std::slice::from_ref(&example));
    vec![
        case(&["rest_one_time_url_pending"], first.and(&waits)),
        case(&["rest_one_time_url_confirmed"], second.and(&booking)),
        case(&["rest_watch_one_time_url_request"], third.and("watched")),
    ]
}

/// The team is not the primary one; the second row's calendar is not in the list, and is asked for alone.
async fn timerex_team() -> Case {
    const FILES: [&str; 4] = ["rest_primary_team", "rest_user_teams", "rest_team_calendars", "rest_get_calendar"];
    let [primary, teams, calendars, calendar] = FILES.map(of_timerex);
    let (timerex, script) = timerex(&[&primary, &teams, &calendars, r#"{"items":[]}"#, &calendar]);
    let mut rows = workspace();
    let mut second = super::booking_catalogue::calendar();
    (second.name, second.timerex) = ("second".to_owned(), Some("ffff".to_owned()));
    rows.calendars.push(second);
    let mut found = String::new();
    let line = |one: &dyn Debug| format!("{one:?}\n");
    timerex.inspect(&rows).await.iter().for_each(|one| found.push_str(&line(one)));
    let files = &["rest_team_calendars", "rest_primary_team", "rest_user_teams", "rest_get_calendar"];
    case(files, script.and(&found))
}

async fn cases() -> Vec<Case> {
    let mut cases = timify_appointments().await;
    cases.extend(timify_customers().await);
    cases.extend(timify_writes().await);
    cases.extend(timerex_bookings().await);
    cases.extend(timerex_links().await);
    cases.extend([timify_login().await, timerex_team().await]);
    cases
}

#[tokio::test]
async fn every_example_of_the_apis_is_read_or_asked_as_documented() {
    let settings = snapshots("bookings");
    for one in cases().await {
        settings.bind(|| assert_snapshot!(one.name, one.text));
    }
}

#[tokio::test]
async fn every_file_has_its_case_and_every_snapshot_its_file() {
    let cases = cases().await;
    let webhooks = ["timify/assumed", "timerex"].into_iter().flat_map(bodies);
    let webhooks: BTreeSet<String> = webhooks.collect();
    let taken = cases.iter().flat_map(|one| one.files).chain(ELSEWHERE.iter().map(|(file, _)| file));
    let taken: BTreeSet<String> = taken.map(|file| (*file).to_owned()).chain(webhooks.iter().cloned()).collect();
    let folders = ["timify", "timify/assumed", "timerex"];
    let files: BTreeSet<String> =
        folders.into_iter().flat_map(|folder| names(&here(&format!("fixtures/{folder}")), ".json")).collect();
    assert_eq!(files, taken);
    let shown: BTreeSet<String> = cases.iter().map(|one| one.name.to_owned()).chain(webhooks).collect();
    assert_eq!(names(&here("it/contract/snapshots/bookings"), ".snap"), shown);
    for (file, place) in ELSEWHERE.iter().filter(|(_, place)| place.contains('/')) {
        let source = std::fs::read_to_string(here(&format!("../{place}"))).unwrap();
        assert!(source.contains(file), "{file} is not in {place}");
    }
}
