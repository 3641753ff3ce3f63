//! Our connectors on a bench: their requests go to the sandbox's pure core, without a socket.
//!
//! What goes to GHL is judged by the vendor's documents on its way, and so is the answer. A fault stops the test there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lockstep::clock::{Clock, ManualClock, Millis};
use lockstep::credentials::login::TokenScheme;
use lockstep::credentials::standard_webhooks::StandardWebhooks;
use lockstep::credentials::static_token::StaticToken;
use lockstep::credentials::timify_token::{TimifyApp, TimifyToken};
use lockstep::ids::Ids;
use lockstep::model::{
    Action, CalendarRow, Change, ChangeId, ExternalId, Fields, Kind, NewChange, Origin, Place, Standing, Step, System,
};
use lockstep::sandbox::ghl::CalendarSettings;
use lockstep::sandbox::{Edit, Sandbox, SandboxSettings, StandIn, Webhook, Workspace};
use lockstep::secret::Secret;
use lockstep::systems::allowance::{Allowance, Unlimited};
use lockstep::systems::call::Caller;
use lockstep::systems::extension::{Combined, ExtensionClient};
use lockstep::systems::ghl::{Ghl, GhlSettings};
use lockstep::systems::offset::ClockOffset;
use lockstep::systems::timerex::{Team, Timerex};
use lockstep::systems::timify::{Company, Timify};
use lockstep::systems::{Credential, Transport, TransportError};
use serde_json::Value;

use super::openapi::{body_of, check_request, check_response, operation};

/// The calendar of the second row.
const OTHER_CALENDAR: &str = "CalBBBBBBBBBBBBBBBB2";

/// A [`Transport`] that ends in the sandbox.
pub struct Core {
    pub sandbox: Mutex<Sandbox>,
    pub clock: Arc<ManualClock>,
    pub webhooks: Mutex<Vec<Webhook>>,
    /// Each documented operation that GHL was asked for.
    pub asked: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Transport for Core {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let (parts, body) = (request.clone().into_parts().0, request.body().clone());
        let answer = self.sandbox.lock().unwrap().answer(self.clock.now(), request);
        // No document tells of a server that is down; only a fault that a test has set makes it so.
        let is_up = !answer.response.status().is_server_error();
        if let Some(path) = parts.uri.path().strip_prefix("/ghl").filter(|_| is_up) {
            self.judge(&parts, path, &body, &answer.response);
        }
        self.webhooks.lock().unwrap().extend(answer.webhooks);
        Ok(answer.response)
    }
}

impl Core {
    fn judge(&self, asked: &http::request::Parts, path: &str, body: &[u8], answer: &http::Response<Bytes>) {
        let (method, query) = (asked.method.as_str(), asked.uri.query().unwrap_or_default());
        let body = body_of(&asked.headers, body);
        let faults = check_request(method, path, query, &asked.headers, body.as_ref());
        assert_eq!(faults, [""; 0], "{method} {path}?{query} {body:?}");
        let (status, said): (_, Value) = (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap());
        assert_eq!(check_response(method, path, status, &said), [""; 0], "{method} {path}: {said}");
        assert_ne!(status, 422, "{method} {path} {body:?}: {said}");
        self.asked.lock().unwrap().insert(operation(method, path).unwrap());
    }
}

/// The sandbox's first workspace, and what it takes to call its systems.
pub struct Bench {
    pub core: Arc<Core>,
    pub account: Workspace,
    settings: SandboxSettings,
    offset: Arc<ClockOffset>,
    ids: Arc<Ids>,
}

impl Bench {
    pub fn new() -> Self {
        let mut settings = SandboxSettings::example();
        let account = settings.workspaces[0].clone();
        settings.ghl.calendars.push(CalendarSettings::new(OTHER_CALENDAR, "Second", &account.ghl_location));
        let clock = Arc::new(ManualClock::at(Millis::parse("2026-04-01T10:00:00Z").unwrap()));
        let sandbox = Mutex::new(Sandbox::new(&settings));
        let offset = Arc::new(ClockOffset::new(clock.clone()));
        let core = Core { sandbox, clock, webhooks: Mutex::default(), asked: Mutex::default() };
        Self { core: Arc::new(core), account, settings, offset, ids: Arc::new(Ids::seeded(3)) }
    }

    pub fn now(&self) -> Millis {
        self.core.clock.now()
    }

    pub fn advance(&self, seconds: u64) {
        self.core.clock.advance(Duration::from_secs(seconds));
    }

    /// The webhooks that came since the last look.
    pub fn webhooks(&self) -> Vec<Webhook> {
        std::mem::take(&mut *self.core.webhooks.lock().unwrap())
    }

    /// A person's edit in one of the vendors' own pages.
    pub fn edit(&self, system: System, edit: &Edit) -> (String, Vec<Webhook>) {
        self.core.sandbox.lock().unwrap().edit(self.now(), StandIn::vendor(system), edit).unwrap()
    }

    fn calendars(&self) -> Vec<CalendarRow> {
        let account = &self.account;
        let first = CalendarRow {
            name: "first".to_owned(),
            ghl: Some(account.ghl_calendar.clone()),
            timify_service: Some(account.timify_service.clone()),
            timify_resource: Some(account.timify_resource.clone()),
            timerex: Some(account.timerex_calendar.clone()),
            timerex_url_path: Some(account.timerex_calendar_path.clone()),
        };
        let second = CalendarRow {
            name: "second".to_owned(),
            ghl: Some(OTHER_CALENDAR.to_owned()),
            timify_service: None,
            timify_resource: None,
            timerex: None,
            timerex_url_path: None,
        };
        vec![first, second]
    }

    fn caller(&self, system: System, path: &str, credential: impl Credential + 'static) -> Caller {
        self.caller_within(Arc::new(Unlimited), system, path, credential)
    }

    fn caller_within(
        &self,
        allowance: Arc<dyn Allowance>,
        system: System,
        path: &str,
        credential: impl Credential + 'static,
    ) -> Caller {
        let url = format!("http://sandbox.test/{path}");
        Caller::new(system, &url, self.core.clone(), Arc::new(credential), self.offset.clone(), allowance)
    }

    pub fn ghl(&self) -> Ghl {
        self.ghl_within(Arc::new(Unlimited))
    }

    pub fn ghl_within(&self, allowance: Arc<dyn Allowance>) -> Ghl {
        let token = StaticToken::bearer(&Secret::new(self.account.ghl_token.clone())).unwrap();
        let settings = GhlSettings {
            location: self.account.ghl_location.clone(),
            contacts_version: "2021-07-28".to_owned(),
            calendars_version: "2021-04-15".to_owned(),
            locations_version: "2021-07-28".to_owned(),
            businesses_version: "2021-07-28".to_owned(),
            custom_fields: BTreeMap::from([("shoe".to_owned(), "cf1".to_owned())]),
            notify: false,
        };
        Ghl::new(settings, self.calendars(), None, self.caller_within(allowance, System::Ghl, "ghl", token))
    }

    pub fn timify(&self) -> Combined<Timify> {
        let app = &self.settings.timify.apps[0];
        let app = TimifyApp {
            base_url: "http://sandbox.test/timify".to_owned(),
            app_id: app.appid.clone(),
            app_secret: Secret::new(app.appsecret.clone()),
            scheme: TokenScheme::Bearer,
        };
        let token = TimifyToken::new(app, self.core.clone(), self.core.clock.clone());
        let company = Company {
            id: self.account.timify_company.clone(),
            calendars: self.calendars(),
            list_days: 31,
            ..Company::default()
        };
        let native = Timify::new(self.caller(System::Timify, "timify", token), company);
        Combined::new(native, Some(self.extension(System::Timify, &self.account.timify_extension_secret)))
    }

    pub fn timerex(&self) -> Combined<Timerex> {
        self.timerex_as(|_| {}, true)
    }

    /// TimeRex with another setting of the team, with or without the extension beside it.
    pub fn timerex_as(&self, adjust: impl FnOnce(&mut Team), extended: bool) -> Combined<Timerex> {
        let key = StaticToken::api_key("x-api-key", &Secret::new(self.account.timerex_key.clone())).unwrap();
        let mut team = Team {
            url_path: self.account.timerex_team.clone(),
            calendars: self.calendars(),
            region: None,
            questions: Vec::new(),
            notify: true,
        };
        adjust(&mut team);
        let native = Timerex::new(self.caller(System::Timerex, "timerex/api/beta", key), team);
        let extension = extended.then(|| self.extension(System::Timerex, &self.account.timerex_extension_secret));
        Combined::new(native, extension)
    }

    fn extension(&self, system: System, secret: &str) -> ExtensionClient {
        let secrets = [Secret::new(secret)];
        let credential = StandardWebhooks::new(&secrets, self.core.clock.clone(), self.ids.clone()).unwrap();
        ExtensionClient::new(self.caller(system, &format!("extension/{system}"), credential), None, self.ids.clone())
    }
}

/// A step of a plan; `fields` is also the whole object.
pub fn step(action: Action, kind: Kind, id: Option<&ExternalId>, parent: Option<&ExternalId>, fields: Fields) -> Step {
    let (id, parent, whole) = (id.cloned(), parent.cloned(), fields.clone());
    Step { action, kind, id, parent, fields, stamps: BTreeMap::new(), whole, key: None, alone: false }
}

pub fn place(kind: Kind, id: &ExternalId, parent: Option<&ExternalId>) -> Place {
    Place { kind, id: id.clone(), parent: parent.cloned() }
}

/// A delivered webhook, as it stands in the change log.
pub fn delivered(webhook: &Webhook) -> Change {
    let said = NewChange {
        dedup: webhook.id.clone(),
        workspace: Some("main".to_owned()),
        system: webhook.system,
        extension: webhook.extension,
        origin: Origin::Webhook,
        label: String::new(),
        kind: None,
        object: None,
        standing: Standing::Routed,
        reason: None,
        at: None,
        // At once; extensions say when.
        received: webhook.body["timestamp"].as_str().and_then(Millis::parse).unwrap_or_default(),
        headers: BTreeMap::new(),
        body: webhook.body.to_string().into(),
    };
    Change { id: ChangeId(1), said }
}
