//! Stand-in for GoHighLevel: one account with its locations, contacts, tasks, notes, tags and appointments.
//!
//! In: API requests and users' edits. Out: answers in the vendor's v2 shapes and the webhooks that follow. Both ways of
//! changing an object go through the same functions. Signing, sending and repeating webhooks is left to the shell.
//! A deleted contact takes its tasks, notes and
//! appointments with it, without webhooks of their own (what the vendor does there is not known).

mod answers;
mod appointments;
mod auth;
mod calendars;
mod contact_fields;
mod contacts;
mod edits;
mod fields;
mod keys;
mod locations;
mod notes;
mod oauth;
mod rate;
mod routes;
mod search;
mod settings;
mod tags;
mod tasks;
mod times;
mod webhooks;
mod whitelist;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Edit, EditRefused, Request, Response, Turn, World};
use fields::{Fields, Shelf, fresh_uuid};
pub use oauth::{ClientSettings, CompanySettings, OauthSettings, TargetUser};
pub use settings::{CalendarSettings, GhlSettings, LocationSettings, SCOPES, TokenSettings};

/// A GoHighLevel account in memory.
#[derive(Debug)]
pub struct Ghl {
    settings: GhlSettings,
    rate: rate::Rate,
    /// What OAuth has given out.
    tokens: oauth::Tokens,
    installs: oauth::Installs,
    contacts: Shelf,
    tasks: Shelf,
    notes: Shelf,
    appointments: Shelf,
    /// The tags that a location knows, with their ids.
    tags: BTreeMap<(String, String), String>,
    index: search::Index,
}

impl Ghl {
    /// An empty account.
    pub fn new(settings: GhlSettings) -> Self {
        Self {
            settings,
            rate: rate::Rate::default(),
            tokens: oauth::Tokens::default(),
            installs: oauth::Installs::new(),
            contacts: Shelf::new(),
            tasks: Shelf::new(),
            notes: Shelf::new(),
            appointments: Shelf::new(),
            tags: BTreeMap::new(),
            index: search::Index::default(),
        }
    }

    /// The settings, to throw a switch while the account runs.
    pub fn settings_mut(&mut self) -> &mut GhlSettings {
        &mut self.settings
    }
}

impl World for Ghl {
    fn answer(&mut self, request: &Request, turn: &mut Turn<'_>) -> Response {
        let trace = fresh_uuid(turn.rng);
        if let Some(response) = oauth::answer(self, request, turn, &trace) {
            return response;
        }
        let before = turn.webhooks.len();
        let mut meter = None;
        let outcome = routes::answer(self, request, turn, &mut meter);
        if !self.settings.echo_webhooks {
            turn.webhooks.truncate(before);
        }
        answers::response(outcome, meter, &trace, turn.now)
    }

    fn edit(&mut self, edit: &Edit, turn: &mut Turn<'_>) -> Result<String, EditRefused> {
        edits::make(self, edit, turn)
    }

    fn state(&self) -> Value {
        json!({
            "contacts": shown(&self.contacts, contact_fields::read),
            "tasks": shown(&self.tasks, tasks::read),
            "notes": shown(&self.notes, notes::read),
            "appointments": shown(&self.appointments, appointments::read),
        })
    }
}

/// All objects of a kind in their read model, each with its location.
fn shown(shelf: &Shelf, read: impl Fn(&Fields) -> Fields) -> Value {
    let whole = |object: &Fields| {
        let mut view = read(object);
        view.insert("locationId".to_owned(), object.get("locationId").cloned().unwrap_or_default());
        Value::Object(view)
    };
    Value::Object(shelf.iter().map(|(id, object)| (id.clone(), whole(object))).collect())
}
