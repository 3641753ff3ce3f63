//! The definitions of the company's customer fields: read once and kept, read again when they are old, when something is not
//! among them, and when the vendor refuses what was written by them.
//!
//! In: answers of `GET /v1/customers/customfields`. Out: the newest definitions. An answer that is no list of customer fields
//! never takes the place of one that was. Also makes the field that holds the tags, once, where the workspace allows that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::sync::Mutex;

use super::Timify;
use super::definitions::Definitions;
use crate::clock::Millis;
use crate::model::System;
use crate::systems::{SystemError, wire};

const FIELDS: &str = "/v1/customers/customfields";

/// How long definitions are taken for what they were.
const AGE: Duration = Duration::from_hours(1);

#[derive(Debug, Clone)]
struct Held {
    definitions: Arc<Definitions>,
    at: Millis,
}

/// What is known of the definitions.
#[derive(Debug, Default)]
pub(super) struct Known {
    held: RwLock<Option<Held>>,
    /// Held while they are read, so that one read serves all who wait.
    reading: Mutex<()>,
    /// Held while the field for the tags is looked for and made.
    making: Mutex<()>,
    made: AtomicBool,
}

impl Known {
    /// The definitions, however old.
    pub(super) fn held(&self) -> Option<Arc<Definitions>> {
        self.newest().map(|held| held.definitions)
    }

    fn newest(&self) -> Option<Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, held: Held) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }
}

impl Timify {
    /// The definitions, read within the last hour where TIMIFY tells them.
    pub(super) async fn definitions(&self) -> Result<Arc<Definitions>, SystemError> {
        if let Some(young) = self.young() {
            return Ok(young);
        }
        let _reading = self.known.reading.lock().await;
        if let Some(young) = self.young() {
            return Ok(young);
        }
        // Old ones are better than none.
        self.fetch().await.or_else(|error| self.known.held().ok_or(error))
    }

    /// Newer definitions than those that something was not found in.
    pub(super) async fn newer(&self, than: Option<&Arc<Definitions>>) -> Result<Arc<Definitions>, SystemError> {
        let _reading = self.known.reading.lock().await;
        let held = self.known.held().filter(|held| than.is_none_or(|than| !Arc::ptr_eq(held, than)));
        match held {
            Some(held) => Ok(held),
            None => self.fetch().await,
        }
    }

    /// Definitions that are asked for from now on, whatever is being read already.
    async fn anew(&self) -> Result<Arc<Definitions>, SystemError> {
        let _reading = self.known.reading.lock().await;
        self.fetch().await
    }

    fn young(&self) -> Option<Arc<Definitions>> {
        let now = self.caller.offset().now();
        self.known.newest().filter(|held| now < held.at + AGE).map(|held| held.definitions)
    }

    async fn fetch(&self) -> Result<Arc<Definitions>, SystemError> {
        let (status, json) = self.get(FIELDS).await?;
        let read = Definitions::read(&json);
        let read = read.ok_or_else(|| self.garbled(status, "no list of the fields that a company's customers have"))?;
        let definitions = Arc::new(read);
        self.known.keep(Held { definitions: definitions.clone(), at: self.caller.offset().now() });
        Ok(definitions)
    }

    /// Makes the customer field of this label. The vendor documents the call (`POST /v1/customers/customfields`), not its body:
    /// `{label, type}` are the names that its own definitions have. It is made once; if it is not listed then, a person must
    /// look. No answer is no harm: the next try looks whether it is there.
    pub(super) async fn make_field(&self, label: &str) -> Result<Arc<Definitions>, SystemError> {
        let _making = self.known.making.lock().await;
        let there = |definitions: &Arc<Definitions>| definitions.by_label(label).is_some();
        if let Some(held) = self.known.held().filter(there) {
            return Ok(held);
        }
        if !self.known.made.load(Ordering::Relaxed) {
            let body = json!({ "label": label, "type": "TEXT" });
            self.ask(Method::POST, FIELDS, Some(body), false).await?;
            self.known.made.store(true, Ordering::Relaxed);
        }
        // Asked for now: what another task is reading meanwhile may be older than the field.
        let newer = self.anew().await?;
        if there(&newer) {
            return Ok(newer);
        }
        let reason = format!(
            "TIMIFY took a new customer field `{label}` for the tags, and does not list it: make it in TIMIFY by hand, or \
             take `tags_field` out of `[workspaces.timify]`"
        );
        Err(wire::not_sent(System::Timify, &reason))
    }
}
