//! A world: the sandbox and the real service in this process, on a database of the test's choice, real HTTP between them.
//!
//! A test makes edits as people do, waits until nothing is on its way, and looks at what the stand-ins hold and which calls
//! reached them. A world must be stopped, and may then have nothing left to do: else the test fails.

use std::num::NonZeroU32;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use lockstep::app::{self, Ground, Running};
use lockstep::cli::demo::config::{self, Service};
use lockstep::clock::{Clock, Millis, SystemClock};
use lockstep::config::Config;
use lockstep::sandbox::shell;
use lockstep::sandbox::signing::Signer;
use lockstep::sandbox::{SandboxSettings, StandIn, Workspace as Account};
use lockstep::secret::Secret;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::databases::Place;
use super::people::{Person, people};

/// How long a world may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(30);

/// More than any test spends.
const PLENTY: u32 = 1_000_000;

/// What a world is made of, before it starts.
pub struct Plan {
    /// The sandbox.
    pub settings: SandboxSettings,
    /// The service.
    pub service: Service,
    /// What is changed in the configuration after it is read.
    pub adjust: fn(&mut Config),
    /// What tells the service the time; the machine, if there is none.
    pub clock: Option<Arc<dyn Clock>>,
    /// Whether webhooks go to the service from the start.
    pub connected: bool,
    /// How long it may take to come to rest.
    pub patience: Duration,
}

impl Plan {
    /// So many live workspaces, with contacts made in every system, and no rate limit that a test would feel.
    pub fn of(workspaces: usize) -> Self {
        let mut settings = SandboxSettings::with_workspaces(workspaces);
        (settings.ghl.burst, settings.timerex.reads_a_minute, settings.timerex.writes_an_hour) =
            (PLENTY, PLENTY as usize, PLENTY as usize);
        let service = Service {
            public: "127.0.0.1:0".to_owned(),
            ops: "127.0.0.1:0".to_owned(),
            dispatch: "quiet = \"60ms\"\nbackoff = \"1s\"\n".to_owned(),
            policy: "create_settle = \"1s\"\n[workspaces.create]\ntimify = \"all\"\ntimerex = \"all\"".to_owned(),
            ..Service::default()
        };
        Self { settings, service, adjust: |_| {}, clock: None, connected: true, patience: PATIENCE }
    }

    /// Starts it on a database.
    pub async fn start(mut self, place: &Place) -> World {
        self.service.store.clone_from(&place.url);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let text = config::text(&self.settings, &base, &self.service).unwrap();
        let mut config = Config::read("lockstep.toml", &text, std::env::temp_dir().as_path(), []).unwrap();
        let systems = &mut config.systems;
        for budget in [
            &mut systems.ghl.requests_per_10s,
            &mut systems.timify.requests_per_10s,
            &mut systems.timerex.requests_per_10s,
            &mut systems.timerex.requests_per_minute,
            &mut systems.timerex.writes_per_hour,
        ] {
            *budget = NonZeroU32::new(PLENTY).unwrap();
        }
        // Listings of their own accord would be counted with the calls that a test is about.
        (systems.ghl.poll_tasks, systems.timerex.poll_bookings) = (Duration::ZERO, Duration::ZERO);
        (self.adjust)(&mut config);
        let stop = CancellationToken::new();
        let (settings, shut) = (self.settings.clone(), stop.clone());
        tokio::spawn(async move { shell::serve(listener, settings, shut).await.unwrap() });
        let mut ground = Ground::real(false).unwrap();
        ground.clock = self.clock.unwrap_or(ground.clock);
        let app = app::start(&config, ground).await.unwrap();
        (self.service.public, self.service.ops) = (app.public.to_string(), app.ops.to_string());
        let folder = tempfile::tempdir().unwrap();
        let text = config::text(&self.settings, &base, &self.service).unwrap();
        std::fs::write(folder.path().join("lockstep.toml"), text).unwrap();
        let world = World {
            // A connection whose body was refused is closed by the service: none is used twice.
            client: reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap(),
            signer: Signer::new(&self.settings).unwrap(),
            settings: self.settings,
            token: self.service.token,
            patience: self.patience,
            stopped: false,
            base,
            app,
            config: Box::new(config),
            folder,
            stop,
        };
        if self.connected {
            world.connect().await;
        }
        world
    }
}

/// One workspace, started on a database.
pub async fn world(place: &Place) -> World {
    Plan::of(1).start(place).await
}

/// The sandbox and the service.
pub struct World {
    /// The service.
    pub app: Arc<Running>,
    /// What the sandbox was built from.
    pub settings: SandboxSettings,
    /// What the stand-ins sign with.
    pub signer: Signer,
    /// Calls whatever is asked.
    pub client: reqwest::Client,
    base: String,
    config: Box<Config>,
    token: String,
    patience: Duration,
    folder: TempDir,
    stop: CancellationToken,
    stopped: bool,
}

/// A request that reached a stand-in.
#[derive(Debug, Clone, Deserialize)]
pub struct Call {
    /// Counts up.
    pub number: u64,
    /// When it came, on the sandbox's clock.
    pub at: i64,
    system: String,
    extension: bool,
    method: String,
    /// What was answered; none where the connection was cut.
    pub status: Option<u16>,
    /// Whether it changed something.
    pub write: bool,
    kind: Option<String>,
    /// The object.
    pub id: Option<String>,
    /// The account, where the stand-in knows it.
    pub account: Option<String>,
}

impl Call {
    /// `ghl`, or `timerex+` for an extension.
    pub fn system(&self) -> String {
        format!("{}{}", self.system, if self.extension { "+" } else { "" })
    }

    /// `ghl PUT contact`, `timerex+ POST task`.
    pub fn label(&self) -> String {
        format!("{} {} {}", self.system(), self.method, self.kind.as_deref().unwrap_or("?"))
    }
}

/// What the service's listeners answer.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The content type.
    pub form: String,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Value,
}

impl Reply {
    async fn of(answer: reqwest::Response) -> Self {
        let text = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap_or_default().to_owned());
        let (status, form, retry_after) =
            (answer.status(), text("content-type").unwrap_or_default(), text("retry-after"));
        let body = serde_json::from_str(&answer.text().await.unwrap_or_default()).unwrap_or_default();
        Self { status, form, retry_after, body }
    }

    /// Fails unless it is a problem of this status and code, in the documented form.
    pub fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.form, "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert!(self.body["request_id"].is_string() && self.body["title"].is_string(), "{self:?}");
    }
}

impl World {
    /// The accounts of a workspace, counted from 0.
    pub fn account(&self, at: usize) -> &Account {
        &self.settings.workspaces[at]
    }

    /// Runs `lockstep` beside the service, with the configuration that fits it, and gives what it printed.
    pub fn command(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, whether it succeeds or not.
    pub fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        let config = self.folder.path().join("lockstep.toml");
        command.args(arguments).arg("--config").arg(config).output().unwrap()
    }

    /// Stops the service and starts it anew on the same database; the stand-ins go on. `lockstep` does not find it again.
    pub async fn restart(&mut self) {
        let ground = Ground::real(false).unwrap();
        let mut elsewhere = Config::clone(&self.config);
        elsewhere.store.url = Secret::new(format!("sqlite://{}/aside.db", self.folder.path().display()));
        // Something has to stand in its place until the last of the former lets go of the file.
        let aside = app::start(&elsewhere, ground.clone()).await.unwrap();
        let former = std::mem::replace(&mut self.app, aside.clone());
        former.stop().await.unwrap();
        drop(former);
        let begun = Instant::now();
        self.app = loop {
            match app::start(&self.config, ground.clone()).await {
                Ok(app) => break app,
                Err(error) => assert!(begun.elapsed() < self.patience, "{error:#}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        aside.stop().await.unwrap();
        self.connect().await;
    }

    /// Lets webhooks go to the service.
    pub async fn connect(&self) {
        let receivers = config::receivers(&self.settings, &format!("http://{}", self.app.public));
        self.control(Method::POST, "receivers", json!({ "receivers": receivers })).await;
    }

    /// Calls the sandbox's control API.
    pub async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.client.request(method, format!("{}/control/{path}", self.base));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "the sandbox refused {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The status that the sandbox's control API answers an order with, which it may refuse.
    pub async fn ordered(&self, path: &str, body: Value) -> StatusCode {
        let request = self.client.post(format!("{}/control/{path}", self.base));
        request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap().status()
    }

    /// A person's edit in a workspace's account: `system` is `ghl`, `timify+` (its extension) and so on, `what` is for example
    /// `update contact`, `with` holds `id`, `parent` and `fields`. Gives the object's id.
    pub async fn edit(&self, at: usize, system: &str, what: &str, with: Value) -> String {
        let (action, kind) = what.split_once(' ').unwrap();
        let (name, account) = (system.trim_end_matches('+'), self.account(at));
        let account = match name {
            "ghl" => &account.ghl_location,
            "timify" => &account.timify_company,
            _ => &account.timerex_team,
        };
        let mut edit = json!({
            "system": name, "extension": name != system, "action": action, "kind": kind, "account": account
        });
        edit.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        self.control(Method::POST, "edits", edit).await["id"].as_str().unwrap().to_owned()
    }

    /// Sets a fault of a stand-in.
    pub async fn fault(&self, fault: Value) {
        self.control(Method::POST, "faults", fault).await;
    }

    /// Clears all faults.
    pub async fn heal(&self) {
        self.control(Method::DELETE, "faults", Value::Null).await;
    }

    /// All that the stand-ins hold.
    pub async fn state(&self) -> Value {
        self.control(Method::GET, "state", Value::Null).await
    }

    /// The contacts of an account: `ghl`, `timify`, or `timerex+`.
    pub async fn people(&self, at: usize, system: &str) -> Vec<Person> {
        people(&self.state().await, self.account(at), system)
    }

    /// The contact with an e-mail in each of the three places; there must be one in each, and no more.
    pub async fn everywhere(&self, at: usize, email: &str) -> [Person; 3] {
        let state = self.state().await;
        ["ghl", "timify", "timerex+"].map(|system| {
            let mut found = people(&state, self.account(at), system);
            found.retain(|person| person.fields["email"] == email);
            assert_eq!(found.len(), 1, "{email} in {system}: {found:?}");
            found.remove(0)
        })
    }

    /// Fails unless a field of the contact with this e-mail has this value in all three places.
    pub async fn assert_everywhere(&self, at: usize, email: &str, field: &str, value: &str) {
        let held = self.everywhere(at, email).await.map(|person| person.fields[field].clone());
        assert_eq!(held, [value; 3], "{field} of {email}");
    }

    /// The number that the next request to a stand-in gets.
    pub async fn mark(&self) -> u64 {
        self.control(Method::GET, "requests?since=999999999", Value::Null).await["next"].as_u64().unwrap()
    }

    /// The requests to the stand-ins since a mark.
    pub async fn calls(&self, since: u64) -> Vec<Call> {
        let path = format!("requests?since={since}");
        serde_json::from_value(self.control(Method::GET, &path, Value::Null).await["requests"].take()).unwrap()
    }

    /// The requests since a mark that changed something, sorted by label.
    pub async fn writes(&self, since: u64) -> Vec<String> {
        let mut labels: Vec<String> = self.calls(since).await.iter().filter(|c| c.write).map(Call::label).collect();
        labels.sort();
        labels
    }

    /// The log of deliveries.
    pub async fn deliveries(&self) -> Vec<Value> {
        let log = self.control(Method::GET, "deliveries", Value::Null).await;
        log["deliveries"].as_array().unwrap().clone()
    }

    /// The headers with which a stand-in signs a body now.
    pub fn signed(&self, from: StandIn, account: &str, id: &str, body: &str) -> Vec<(String, String)> {
        self.signer.headers(from, account, id, now(), body.as_bytes())
    }

    /// Posts to the public listener.
    pub async fn post(&self, path: &str, headers: &[(String, String)], body: impl Into<reqwest::Body>) -> Reply {
        let request = self.client.post(format!("http://{}{path}", self.app.public)).body(body);
        let named = headers.iter().any(|(name, _)| name == "content-type");
        let request = if named { request } else { request.header("content-type", "application/json") };
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        Reply::of(request.send().await.unwrap()).await
    }

    /// Asks the ops listener, as an operator.
    pub async fn ops(&self, method: Method, path: &str, body: Value) -> Reply {
        let request = self.client.request(method, format!("http://{}{path}", self.app.ops)).bearer_auth(&self.token);
        let request = if body.is_null() {
            request
        } else {
            request.header("content-type", "application/json").body(body.to_string())
        };
        Reply::of(request.send().await.unwrap()).await
    }

    /// Reconciles fully and waits for the report.
    pub async fn reconcile(&self) -> Value {
        let started = self.ops(Method::POST, "/reconcile", json!({ "full": true })).await;
        assert_eq!(started.status, StatusCode::ACCEPTED, "{started:?}");
        let path = format!("/reconcile/{}", started.body["run"].as_str().unwrap());
        let begun = Instant::now();
        loop {
            let run = self.ops(Method::GET, &path, Value::Null).await.body;
            if run["status"] != "running" {
                assert_eq!(run["status"], "done", "{run}");
                return run;
            }
            assert!(begun.elapsed() < self.patience, "reconcile did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What is on its way: deliveries, undecided changes, due mirrors.
    async fn pending(&self) -> (u64, u64, u64) {
        let log = self.control(Method::GET, "deliveries?since=999999999", Value::Null).await;
        let (mut undecided, mut due) = (0, 0);
        for name in self.app.sites().keys() {
            let load = self.app.load(name).await.unwrap();
            (undecided, due) = (undecided + load.undecided, due + load.due);
        }
        (log["pending"].as_u64().unwrap(), undecided, due)
    }

    /// Waits until nothing is on its way, twice in a row.
    pub async fn settle(&self) {
        let (mut quiet, begun) = (0, Instant::now());
        while quiet < 2 {
            let pending = self.pending().await;
            quiet = if pending == (0, 0, 0) { quiet + 1 } else { 0 };
            let waited = begun.elapsed();
            assert!(waited < self.patience, "not at rest; deliveries, undecided, due: {pending:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until `holds`, for as long as a world may take to come to rest.
    pub async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !holds().await {
            assert!(begun.elapsed() < self.patience, "it never came to this: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops both. Nothing may be left to do.
    pub async fn stop(mut self) {
        let pending = self.pending().await;
        self.stopped = true;
        self.app.stop().await.unwrap();
        self.stop.cancel();
        assert_eq!(pending, (0, 0, 0), "something was left to do: deliveries, undecided, due");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
        assert!(self.stopped || std::thread::panicking(), "a world was dropped without being stopped");
    }
}

/// The present.
pub fn now() -> Millis {
    SystemClock.now()
}
