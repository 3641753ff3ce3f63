//! A [`Transport`] for unit tests: gives the answers it was told, in order, and keeps what it was asked.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;

use super::{Transport, TransportError};

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
#[expect(clippy::unnecessary_wraps, reason = "stands beside scripted errors in one list")]
pub(crate) fn told(status: u16, body: Value) -> Told {
    told_with(status, &[], &body.to_string())
}

/// A scripted answer with headers.
pub(crate) fn told_with(status: u16, headers: &[(&str, &str)], body: &str) -> Told {
    let builder =
        headers.iter().fold(http::Response::builder().status(status), |made, (name, value)| made.header(*name, *value));
    Ok(builder.body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
}
