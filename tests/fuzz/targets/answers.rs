//! What vendors answer, to each call of each connector: a status, headers, a body, told to whatever is asked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use lockstep::clock::ManualClock;
use lockstep::credentials::login::TokenScheme;
use lockstep::credentials::standard_webhooks::StandardWebhooks;
use lockstep::credentials::static_token::StaticToken;
use lockstep::credentials::timify_token::{TimifyApp, TimifyToken};
use lockstep::ids::Ids;
use lockstep::model::{Action, ExternalId, Field, Fields, Kind, Place, Step, System, Value, Workspace};
use lockstep::secret::Secret;
use lockstep::systems::allowance::Unlimited;
use lockstep::systems::call::Caller;
use lockstep::systems::extension::{Combined, ExtensionClient};
use lockstep::systems::ghl::{Ghl, GhlSettings};
use lockstep::systems::offset::ClockOffset;
use lockstep::systems::timerex::{Team, Timerex};
use lockstep::systems::timify::{Company, Timify};
use lockstep::systems::{Credential, Inquiry, Inviting, Target, Transport, TransportError, Wanted};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::ground::{GROUND, NOW, headers};

/// More requests than any one call of ours may take, whatever is answered: the limit of pages is the largest.
const MOST: usize = 400;

/// Answers the same to everything.
struct Answerer {
    status: u16,
    headers: http::HeaderMap,
    body: Bytes,
    asked: AtomicUsize,
}

#[async_trait]
impl Transport for Answerer {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        assert!(asked < MOST, "asked {asked} times, then {} {}", request.method(), request.uri());
        let mut response = Response::new(self.body.clone());
        *response.status_mut() = http::StatusCode::from_u16(self.status).unwrap_or_default();
        *response.headers_mut() = self.headers.clone();
        Ok(response)
    }
}

/// The first byte tells the call, the second the kind; then the status, lines of headers, an empty line, the body.
pub fn answer(input: &[u8]) {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));
    let [call, kind, rest @ ..] = input else { return };
    let end = rest.windows(2).position(|two| two == b"\n\n").unwrap_or(rest.len());
    let (head, body) = (String::from_utf8_lossy(&rest[..end]), rest.get(end + 2..).unwrap_or_default());
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or(200);
    let answerer = Arc::new(Answerer {
        status,
        headers: headers(lines.filter_map(|line| line.split_once(':'))),
        body: Bytes::copy_from_slice(body),
        asked: AtomicUsize::new(0),
    });
    let kind = Kind::ALL[usize::from(*kind) % Kind::ALL.len()];
    RUNTIME.block_on(async {
        match call % 4 {
            0 => each(&ghl(&answerer), call / 4, kind).await,
            1 => each(&timify(&answerer), call / 4, kind).await,
            2 => each(&timerex(&answerer), call / 4, kind).await,
            _ => by_hand(&answerer, call / 4).await,
        }
    });
}

/// One call of a connector. What it makes of the answer is its own affair.
async fn each(target: &impl Target, call: u8, kind: Kind) {
    let id = || ExternalId::new("65a000000000000000000001");
    let parent = (kind != Kind::Contact).then(|| ExternalId::new("65a000000000000000000002"));
    let place = Place { kind, id: id(), parent: parent.clone() };
    let writes = [
        Action::Create,
        Action::Update,
        Action::Complete,
        Action::AddTags,
        Action::RemoveTags,
        Action::SetBusiness,
        Action::Cancel,
        Action::Delete,
    ];
    let written = values(kind);
    match call % 6 {
        0 => drop(target.read(&place).await),
        1 => {
            let wanted = Wanted { kind, parent, fields: written, key: Some(Uuid::nil()) };
            drop(target.find(&wanted).await);
        }
        2 => drop(target.changed(kind, None, None).await),
        3 => drop(target.changed(kind, Some(NOW), Some("2")).await),
        4 => drop(target.untold(kind, None).await),
        _ => {
            for action in writes {
                let id = (action != Action::Create).then(id);
                let (fields, whole) = (written.clone(), written.clone());
                let step = Step {
                    action,
                    kind,
                    id,
                    parent: parent.clone(),
                    fields,
                    stamps: BTreeMap::new(),
                    whole,
                    key: Some(Uuid::nil()),
                    alone: false,
                };
                drop(target.apply(&step).await);
            }
        }
    }
}

/// What an operator asks, and invitations.
async fn by_hand(answerer: &Arc<Answerer>, call: u8) {
    let (timerex, workspace) = (native_timerex(answerer), workspace());
    match call % 6 {
        0 => drop(ghl(answerer).inspect(workspace).await),
        1 => drop(native_timify(answerer).inspect(workspace).await),
        2 => drop(timerex.inspect(workspace).await),
        3 => drop(timerex.invite("calendar").await),
        4 => drop(timerex.watch(&ExternalId::new("l"), &Secret::new("t"), "https://x.test/").await),
        _ => drop(timerex.look(&ExternalId::new("l")).await),
    }
}

fn values(kind: Kind) -> Fields {
    let text = |field: Field, text: &str| (field, Value::text(text));
    match kind {
        Kind::Contact => Fields::from([
            text(Field::FIRST_NAME, "Ann"),
            text(Field::EMAIL, "ann@example.test"),
            text(Field::PHONE, "+4915112345678"),
            (Field::tag("vip"), Value::Flag(true)),
        ]),
        Kind::Task => Fields::from([
            text(Field::TITLE, "Call"),
            (Field::COMPLETED, Value::Flag(false)),
            (Field::DUE, Value::Instant(NOW)),
        ]),
        Kind::Note => Fields::from([text(Field::BODY, "likes tea")]),
        Kind::Appointment => Fields::from([
            text(Field::TITLE, "Cut"),
            text(Field::CALENDAR, &workspace().calendars[0].name),
            (Field::START, Value::Instant(NOW)),
            (Field::END, Value::Instant(NOW)),
        ]),
    }
}

/// The sandbox's first workspace.
fn workspace() -> &'static Workspace {
    &GROUND.sites.values().next().expect("the sandbox has one").workspace
}

fn caller(system: System, answerer: &Arc<Answerer>, credential: impl Credential + 'static) -> Caller {
    let offset = Arc::new(ClockOffset::new(Arc::new(ManualClock::at(NOW))));
    Caller::new(system, "https://x.test", answerer.clone(), Arc::new(credential), offset, Arc::new(Unlimited))
}

fn key() -> StaticToken {
    StaticToken::bearer(&Secret::new("key-1")).expect("it fits into a header")
}

fn ghl(answerer: &Arc<Answerer>) -> Ghl {
    let settings = GhlSettings {
        location: workspace().accounts[&System::Ghl].clone(),
        contacts_version: "2021-07-28".to_owned(),
        calendars_version: "2021-04-15".to_owned(),
        locations_version: "2021-07-28".to_owned(),
        businesses_version: "2021-07-28".to_owned(),
        custom_fields: BTreeMap::from([("shoe".to_owned(), "cf1".to_owned())]),
        notify: false,
    };
    Ghl::new(settings, workspace().calendars.clone(), Some("DE".to_owned()), caller(System::Ghl, answerer, key()))
}

fn native_timify(answerer: &Arc<Answerer>) -> Timify {
    let app = TimifyApp {
        base_url: "https://x.test".to_owned(),
        app_id: "app".to_owned(),
        app_secret: Secret::new("secret"),
        scheme: TokenScheme::Bearer,
    };
    let token = TimifyToken::new(app, answerer.clone(), Arc::new(ManualClock::at(NOW)));
    let company = Company::of(workspace(), 31).expect("it has an account");
    Timify::new(caller(System::Timify, answerer, token), company)
}

fn native_timerex(answerer: &Arc<Answerer>) -> Timerex {
    let team = Team::of(workspace()).expect("it has an account");
    Timerex::new(caller(System::Timerex, answerer, key()), team)
}

fn timify(answerer: &Arc<Answerer>) -> Combined<Timify> {
    Combined::new(native_timify(answerer), Some(beside(System::Timify, answerer)))
}

fn timerex(answerer: &Arc<Answerer>) -> Combined<Timerex> {
    Combined::new(native_timerex(answerer), Some(beside(System::Timerex, answerer)))
}

fn beside(system: System, answerer: &Arc<Answerer>) -> ExtensionClient {
    let ids = Arc::new(Ids::seeded(3));
    let secret = [Secret::new(GROUND.settings.workspaces[0].timify_extension_secret.clone())];
    let credential =
        StandardWebhooks::new(&secret, Arc::new(ManualClock::at(NOW)), ids.clone()).expect("it is a secret");
    ExtensionClient::new(caller(system, answerer, credential), Some("DE".to_owned()), ids)
}
