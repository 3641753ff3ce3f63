//! A [`Transport`] for unit tests: gives the answers it was told, in order, and keeps what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;

use super::allowance::Unlimited;
use super::call::Caller;
use super::offset::ClockOffset;
use super::{Transport, TransportError};
use crate::clock::{ManualClock, Millis};
use crate::credentials::static_token::StaticToken;
use crate::model::{
    Action, Change, ChangeId, ExternalId, Fields, Kind, NewChange, Origin, Place, Standing, Step, System,
};
use crate::secret::Secret;

/// One scripted answer.
pub(crate) type Told = Result<http::Response<Bytes>, TransportError>;

/// The script.
#[derive(Debug, Default)]
pub(crate) struct Script {
    told: Mutex<VecDeque<Told>>,
    asked: Mutex<Vec<http::Request<Bytes>>>,
}

impl Script {
    /// Answers with these, in order; then fails with `NotSent`.
    pub(crate) fn new(told: impl IntoIterator<Item = Told>) -> Self {
        Self { told: Mutex::new(told.into_iter().collect()), asked: Mutex::default() }
    }

    /// `METHOD path` and the JSON body of each request so far.
    pub(crate) fn asked(&self) -> Vec<(String, Value)> {
        let asked = self.asked.lock().unwrap();
        let line = |request: &http::Request<Bytes>| {
            let target = request.uri().path_and_query().map_or("", |target| target.as_str());
            format!("{} {target}", request.method())
        };
        asked
            .iter()
            .map(|request| (line(request), serde_json::from_slice(request.body()).unwrap_or_default()))
            .collect()
    }

    /// A header of the last request.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let asked = self.asked.lock().unwrap();
        asked.last()?.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: http::Request<Bytes>) -> Told {
        self.asked.lock().unwrap().push(request);
        let next = self.told.lock().unwrap().pop_front();
        next.unwrap_or_else(|| Err(TransportError::NotSent("the script is over".to_owned())))
    }
}

/// A scripted JSON answer.
pub(crate) fn told(status: u16, body: Value) -> Told {
    told_with(status, &[], &body.to_string())
}

/// A scripted answer with headers.
#[expect(clippy::unnecessary_wraps, reason = "stands beside scripted errors in one list")]
pub(crate) fn told_with(status: u16, headers: &[(&str, &str)], body: &str) -> Told {
    let builder =
        headers.iter().fold(http::Response::builder().status(status), |made, (name, value)| made.header(*name, *value));
    Ok(builder.body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
}

/// A caller of a vendor that answers with these, in order, at 2026-01-02T03:04:05Z on everybody's clock.
pub(crate) fn caller(system: System, told: impl IntoIterator<Item = Told>) -> (Caller, Arc<Script>) {
    let script = Arc::new(Script::new(told));
    let clock = Arc::new(ManualClock::at(Millis::parse("2026-01-02T03:04:05Z").unwrap()));
    (caller_over(system, script.clone(), clock), script)
}

/// A caller over any transport, by a clock of the test's own.
pub(crate) fn caller_over(system: System, transport: Arc<dyn Transport>, clock: Arc<ManualClock>) -> Caller {
    let credential = Arc::new(StaticToken::api_key("x-api-key", &Secret::new("key-1")).unwrap());
    let offset = Arc::new(ClockOffset::new(clock));
    Caller::new(system, "https://vendor.test", transport, credential, offset, Arc::new(Unlimited))
}

/// A webhook of a system (`extension`: of the extension beside it), as it stands in the change log.
pub(crate) fn change(system: System, extension: bool, body: &[u8]) -> Change {
    let said = NewChange {
        dedup: "d".to_owned(),
        workspace: Some("w".to_owned()),
        system,
        extension,
        origin: Origin::Webhook,
        label: String::new(),
        kind: None,
        object: None,
        standing: Standing::Routed,
        reason: None,
        at: None,
        received: Millis(0),
        headers: BTreeMap::new(),
        body: Bytes::copy_from_slice(body),
    };
    Change { id: ChangeId(1), said }
}

/// A step of a plan that writes `fields`; `whole` is the same.
pub(crate) fn step(action: Action, kind: Kind, id: Option<&str>, fields: Fields) -> Step {
    let (id, parent, whole) = (id.map(ExternalId::new), None, fields.clone());
    Step { action, kind, id, parent, fields, stamps: BTreeMap::new(), whole, key: None, alone: false }
}

/// A place without a parent.
pub(crate) fn place(kind: Kind, id: &str) -> Place {
    Place { kind, id: ExternalId::new(id), parent: None }
}
