//! Stand-in for GoHighLevel: one account with its locations, contacts, tasks, notes, tags and appointments.
//!
//! In: API requests and users' edits. Out: answers in the vendor's v2 shapes and the webhooks that follow. Both ways of
//! changing an object go through the same functions. Signing, sending and repeating webhooks is left to the shell.
//! v3 is spoken on demand, as far as it differs for these objects (`v3`).

mod answers;
mod appointments;
mod attached;
mod auth;
mod bulk;
mod businesses;
mod calendars;
mod contact_fields;
mod contact_lists;
mod contacts;
mod custom_fields;
mod edits;
mod fields;
mod graves;
mod keys;
mod locations;
mod notes;
mod oauth;
mod rate;
mod routes;
mod search;
mod settings;
mod slots;
mod tags;
mod tasks;
mod times;
mod users;
mod v3;
mod webhooks;
mod whitelist;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Edit, EditRefused, Request, Response, Turn, World};
use answers::Refusal;
use fields::{Fields, Shelf, fresh_uuid};
pub use oauth::{ClientSettings, CompanySettings, OauthSettings, TargetUser};
pub use routes::RouteRow;
pub use settings::{CalendarSettings, CustomFieldSettings, GhlSettings, LocationSettings, SCOPES, TokenSettings};

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
    appointment_notes: Shelf,
    /// Blocked slots.
    blocks: Shelf,
    businesses: Shelf,
    custom_fields: Shelf,
    graves: graves::Graves,
    /// The tags that a location knows, with their ids.
    tags: BTreeMap<(String, String), String>,
    index: search::Index,
    /// The API calls that let the vendor write to a contact: a real person, in real life.
    notified: Vec<Value>,
}

impl Ghl {
    /// An empty account.
    pub fn new(settings: GhlSettings) -> Self {
        let custom_fields = settings.locations.iter().flat_map(custom_fields::configured).collect();
        Self {
            settings,
            rate: rate::Rate::default(),
            tokens: oauth::Tokens::default(),
            installs: oauth::Installs::new(),
            contacts: Shelf::new(),
            tasks: Shelf::new(),
            notes: Shelf::new(),
            appointments: Shelf::new(),
            appointment_notes: Shelf::new(),
            blocks: Shelf::new(),
            businesses: Shelf::new(),
            custom_fields,
            graves: graves::Graves::new(),
            tags: BTreeMap::new(),
            index: search::Index::default(),
            notified: Vec::new(),
        }
    }

    /// The settings, to throw a switch while the account runs.
    pub fn settings_mut(&mut self) -> &mut GhlSettings {
        &mut self.settings
    }

    /// The routes that it answers, for a judge to go through.
    pub fn routes() -> impl Iterator<Item = RouteRow> {
        routes::rows()
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
        let outcome = if self.settings.listed_messages { outcome.map_err(Refusal::in_a_list) } else { outcome };
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
            "tasks": shown(&self.tasks, attached::read::<tasks::Tasks>),
            "notes": shown(&self.notes, attached::read::<notes::Notes>),
            "appointments": shown(&self.appointments, appointments::read),
            "businesses": shown(&self.businesses, businesses::read),
            "notified": self.notified,
        })
    }

    fn object(&self, id: &str) -> Option<Value> {
        let contact = || self.contacts.get(id).map(contact_fields::read);
        let task = || self.tasks.get(id).map(attached::read::<tasks::Tasks>);
        let note = || self.notes.get(id).map(attached::read::<notes::Notes>);
        let appointment = || self.appointments.get(id).map(appointments::read);
        contact().or_else(task).or_else(note).or_else(appointment).map(Value::Object)
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
