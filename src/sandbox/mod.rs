//! The sandbox: the three vendors, and an operator's extension endpoint, as faithful stand-ins with faults on demand.
//!
//! In: HTTP requests, as values. Out: HTTP responses and the webhooks that they cause, as values. The worlds
//! ([`ghl`], [`timify`], [`timerex`], [`extension`]) are pure: no IO, no clock, no randomness of their own, everything
//! they need comes with the [`Turn`]. [`core`](Sandbox) joins them; the shell puts them on a socket and sends the webhooks.

pub mod control;
mod core;
pub mod delivery;
pub mod extension;
pub mod faults;
pub mod ghl;
mod requests;
pub mod settings;
pub mod shell;
pub mod signing;
pub mod simulate;
#[cfg(test)]
mod tests;
pub mod timerex;
pub mod timify;
mod web;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Millis;
use crate::model::System;

pub use core::{Answer, Sandbox};
pub use requests::RequestRow;
pub use settings::{GhlKeys, Receiver, SandboxSettings, Workspace};

/// Which of the five stand-ins: a vendor, or the extension endpoint beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StandIn {
    /// The system.
    pub system: System,
    /// Whether the extension endpoint of that system is meant, not the vendor.
    #[serde(default)]
    pub extension: bool,
}

impl StandIn {
    /// The vendor itself.
    pub fn vendor(system: System) -> Self {
        Self { system, extension: false }
    }

    /// The extension endpoint beside the vendor.
    pub fn extension(system: System) -> Self {
        Self { system, extension: true }
    }
}

/// A request to a stand-in, its path already without the prefix that named the stand-in.
pub type Request = http::Request<Bytes>;

/// What a stand-in answers.
pub type Response = http::Response<Bytes>;

/// What one request or one edit may use and leave behind.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The present instant, on the vendor's own clock.
    pub now: Millis,
    /// The present instant whatever that clock is set to: how long something takes is measured on this.
    pub real: Millis,
    /// The sandbox's randomness: ids of new objects come from here.
    pub rng: &'a mut fastrand::Rng,
    /// The webhooks that this turn causes, in order.
    pub webhooks: Vec<Webhook>,
}

/// A webhook that a stand-in wants to send; the shell signs and sends it.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// The system whose account sends it.
    pub system: System,
    /// Whether the extension endpoint of that system sends it, not the vendor.
    pub extension: bool,
    /// The account it speaks for: a GHL location, a TIMIFY company, a TimeRex team.
    pub account: String,
    /// The id under which the sender repeats it (GHL `webhookId`, Standard Webhooks `webhook-id`); a TIMIFY or TimeRex
    /// delivery carries none on the wire.
    pub id: String,
    /// The JSON body; keys keep the order in which the vendor writes them.
    pub body: Value,
    /// Where it goes instead of to the registered receiver, and then without any header that proves who sends: a push
    /// notification, to the URL that its subscriber named.
    pub push_to: Option<String>,
}

/// A user's edit in one of the systems, as the control API takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// `create`, `update`, `delete`, or a kind's own word: `complete` (task), `cancel`, `move` (appointment), `restore` (GHL contact).
    pub action: String,
    /// `contact`, `task`, `note`, `appointment`.
    pub kind: String,
    /// The account: a GHL location, a TIMIFY company, a TimeRex team.
    pub account: String,
    /// The object to edit; absent on `create`.
    pub id: Option<String>,
    /// The contact that the object belongs to, where it belongs to one.
    pub parent: Option<String>,
    /// The fields to set, in the vendor's own names and form (what a person sees in the vendor's own pages).
    pub fields: Value,
}

/// Why an edit was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EditRefused(pub String);

/// Whether any part of an object counts as secret or noise is the caller's question; the worlds list all they hold.
pub trait World {
    /// Answers one API request.
    fn answer(&mut self, request: &Request, turn: &mut Turn<'_>) -> Response;
    /// Makes a user's edit, as from the vendor's own pages; gives the object's id (a TimeRex move gives the new id).
    fn edit(&mut self, edit: &Edit, turn: &mut Turn<'_>) -> Result<String, EditRefused>;
    /// All that the world holds, deleted objects left out, for comparing and looking at.
    fn state(&self) -> Value;
    /// One object, of whatever kind and account, as in `state`.
    fn object(&self, id: &str) -> Option<Value>;
}
