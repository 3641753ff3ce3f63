//! The pure core of the sandbox: routes a request to its stand-in, lets faults strike, keeps the request log.
//!
//! In: requests and edits, as values, with the instant. Out: answers, and the webhooks that they cause. It holds all state
//! but no clock, no socket; the seed of the settings decides every id. Sending the webhooks is the shell's.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use http::header;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::extension::Extension;
use super::faults::{Fault, FaultKind, Faults};
use super::ghl::Ghl;
use super::requests::{self, Account, Repeated, RequestRow};
use super::timerex::Timerex;
use super::timify::Timify;
use super::{Edit, EditRefused, Request, Response, SandboxSettings, StandIn, Turn, Webhook, World, web};
use crate::clock::Millis;
use crate::model::System;
use crate::secret::digest;

/// Rows of the request log that are kept.
const LOG_ROWS: usize = 200_000;

/// What a request leads to.
#[derive(Debug)]
pub struct Answer {
    /// What to answer; of no use when `cut`.
    pub response: Response,
    /// The webhooks that it causes, in order.
    pub webhooks: Vec<Webhook>,
    /// Whether to drop the connection without an answer.
    pub cut: bool,
    /// How long to hold the answer back.
    pub delay: Duration,
}

/// All stand-ins together.
pub struct Sandbox {
    worlds: BTreeMap<StandIn, Box<dyn World + Send>>,
    rng: fastrand::Rng,
    /// What is set to go wrong.
    pub faults: Faults,
    rows: VecDeque<RequestRow>,
    next_row: u64,
    /// Which location a GHL token is for.
    ghl_tokens: BTreeMap<String, String>,
}

impl Sandbox {
    /// Builds the stand-ins, empty.
    pub fn new(settings: &SandboxSettings) -> Self {
        let tokens = settings.workspaces.iter().map(|one| (one.ghl_token.clone(), one.ghl_location.clone()));
        Self {
            worlds: worlds(settings),
            rng: fastrand::Rng::with_seed(settings.seed),
            faults: Faults::default(),
            rows: VecDeque::new(),
            next_row: 0,
            ghl_tokens: tokens.collect(),
        }
    }

    /// Answers a request whose path begins with `/ghl`, `/timify`, `/timerex`, `/extension/timify`, `/extension/timerex`.
    pub fn answer(&mut self, now: Millis, request: Request) -> Answer {
        let Some((at, request)) = addressed(request) else {
            let response = web::problem(404, "no stand-in has this path", json!({}));
            return Answer { response, webhooks: Vec::new(), cut: false, delay: Duration::ZERO };
        };
        let writes = requests::means_to_write(&request);
        let (fault, delay) = self.faults.take(at, writes, request.uri().path());
        let kind = fault.as_ref().map(|fault| fault.kind);
        let applied = matches!(kind, None | Some(FaultKind::CutAfterApply));
        let (mut response, webhooks) = match &fault {
            Some(fault) if !applied => (refused(fault), Vec::new()),
            _ => self.applied(at, now, &request),
        };
        let date = http_date(self.faults.clock(at, now));
        if let Ok(date) = header::HeaderValue::from_str(&date) {
            response.headers_mut().insert(header::DATE, date);
        }
        let cut = matches!(kind, Some(FaultKind::CutBeforeApply | FaultKind::CutAfterApply));
        let changed = writes && applied && response.status().is_success();
        let repeated = response.extensions().get::<Repeated>().is_some();
        let (object, id) = requests::object(&request, Some(&response));
        let row = RequestRow {
            number: self.next_row,
            at: now,
            stand_in: at,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            status: (!cut).then(|| response.status().as_u16()),
            write: changed && !repeated,
            kind: object,
            id,
            account: self.account(at, &request, &response),
            body_sha256: hex::encode(digest(request.body())),
            fault: kind,
        };
        self.log(row);
        Answer { response, webhooks, cut, delay }
    }

    /// Makes a person's edit; gives the object's id and the webhooks.
    pub fn edit(&mut self, now: Millis, at: StandIn, edit: &Edit) -> Result<(String, Vec<Webhook>), EditRefused> {
        let (now, real) = (self.faults.clock(at, now), now);
        let world = self.worlds.get_mut(&at).ok_or_else(|| EditRefused("no such stand-in".into()))?;
        let mut turn = Turn { now, real, rng: &mut self.rng, webhooks: Vec::new() };
        let id = world.edit(edit, &mut turn)?;
        Ok((id, turn.webhooks))
    }

    /// All that the stand-ins hold: `{ghl, timify, timerex, extension: {timify, timerex}}`, each by account.
    pub fn state(&self) -> Value {
        let of = |at: StandIn| self.worlds.get(&at).map(|world| world.state());
        let mut state = json!({});
        for system in System::ALL {
            state[system.word()] = json!(of(StandIn::vendor(*system)));
        }
        for system in [System::Timify, System::Timerex] {
            state["extension"][system.word()] = json!(of(StandIn::extension(system)));
        }
        state
    }

    /// One object of a stand-in, as in [`Self::state`].
    pub fn object(&self, at: StandIn, id: &str) -> Option<Value> {
        self.worlds.get(&at)?.object(id)
    }

    /// The logged requests from a number on.
    pub fn requests(&self, since: u64) -> Vec<&RequestRow> {
        self.rows.iter().filter(|row| row.number >= since).collect()
    }

    /// The number that the next request will get.
    pub fn next_request(&self) -> u64 {
        self.next_row
    }

    /// Empties the request log.
    pub fn forget_requests(&mut self) {
        self.rows.clear();
    }

    fn applied(&mut self, at: StandIn, now: Millis, request: &Request) -> (Response, Vec<Webhook>) {
        let (now, real) = (self.faults.clock(at, now), now);
        let mut turn = Turn { now, real, rng: &mut self.rng, webhooks: Vec::new() };
        let answer = self.worlds.get_mut(&at).map(|world| world.answer(request, &mut turn));
        (answer.unwrap_or_else(|| web::problem(404, "no such stand-in", json!({}))), turn.webhooks)
    }

    fn account(&self, at: StandIn, request: &Request, response: &Response) -> Option<String> {
        let told = response.extensions().get::<Account>().map(|account| account.0.clone());
        let token = || web::header(request, "authorization")?.strip_prefix("Bearer ");
        told.or_else(|| match (at.system, at.extension) {
            (System::Ghl, _) => self.ghl_tokens.get(token()?).cloned(),
            (System::Timify, false) => web::header(request, "company-id").map(str::to_owned),
            _ => None,
        })
    }

    fn log(&mut self, row: RequestRow) {
        self.next_row += 1;
        self.rows.push_back(row);
        if self.rows.len() > LOG_ROWS {
            self.rows.pop_front();
        }
    }
}

/// The one place where the worlds are built.
fn worlds(settings: &SandboxSettings) -> BTreeMap<StandIn, Box<dyn World + Send>> {
    let worlds: [(StandIn, Box<dyn World + Send>); 5] = [
        (StandIn::vendor(System::Ghl), Box::new(Ghl::new(settings.ghl.clone()))),
        (StandIn::vendor(System::Timify), Box::new(Timify::new(settings.timify.clone()))),
        (StandIn::vendor(System::Timerex), Box::new(Timerex::new(settings.timerex.clone()))),
        (StandIn::extension(System::Timify), Box::new(Extension::new(settings.timify_extension.clone()))),
        (StandIn::extension(System::Timerex), Box::new(Extension::new(settings.timerex_extension.clone()))),
    ];
    BTreeMap::from(worlds)
}

/// The stand-in that a path begins with, and what follows.
pub(super) fn addressee(path: &str) -> Option<(StandIn, &str)> {
    let (word, extension) = match path.strip_prefix("/extension/") {
        Some(rest) => (rest, true),
        None => (path.strip_prefix('/')?, false),
    };
    let (word, rest) = word.split_once('/').unwrap_or((word, ""));
    Some((StandIn { system: word.parse().ok()?, extension }, rest))
}

/// Finds the stand-in in the path and takes its prefix off.
fn addressed(request: Request) -> Option<(StandIn, Request)> {
    let (at, rest) = addressee(request.uri().path())?;
    let query = request.uri().query().map_or(String::new(), |query| format!("?{query}"));
    let inner = format!("/{rest}{query}").parse().ok()?;
    let (mut parts, body) = request.into_parts();
    parts.uri = inner;
    Some((at, Request::from_parts(parts, body)))
}

fn refused(fault: &Fault) -> Response {
    let (status, title) = match fault.kind {
        FaultKind::RateLimited => (429, "Too Many Requests"),
        FaultKind::Error500 => (500, "Internal Server Error"),
        _ => (503, "Service Unavailable"),
    };
    let mut response = web::json(status, &json!({ "statusCode": status, "message": title }));
    if let Some(seconds) = fault.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    response
}

/// The `Date` of an answer: the vendor's own clock, which is how a caller learns its offset.
fn http_date(now: Millis) -> String {
    let instant = Timestamp::from_millisecond(now.0).unwrap_or_default();
    instant.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
