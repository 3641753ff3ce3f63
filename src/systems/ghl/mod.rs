//! GoHighLevel: contacts with tags, tasks, notes and appointments, all of them in the vendor's own API.
//!
//! In: webhooks and places. Out: observations, readings, answers. `webhook` reads deliveries; `wire`, `map` and `custom`
//! translate; `operations` is the table of all that can be asked, `api` sends it and knows its refusals; `target` reads, looks
//! and writes, `listing` lists what changed; `ask` and `inspect` serve people.
//!
//! What GHL cannot do: it has no webhook for an edited task and no location-wide list of notes, so that edits of tasks are
//! found by [`Target::changed`](crate::systems::Target::changed), and what happened to a note whose webhook was lost only
//! where that lists everything: a call for each contact.

mod api;
mod ask;
mod custom;
mod inspect;
mod listing;
mod map;
mod operations;
mod target;
mod webhook;
mod wire;

use std::collections::BTreeMap;

use crate::model::{Action, CANCELLED, CalendarRow, Change, Entity, Field, Kind, Observation, System, Value, normal};
use crate::systems::call::Caller;
use crate::systems::{Expressed, Home, Terms, Unreadable};

pub use ask::{AskError, takes};
pub use operations::{Family, OPERATIONS, Operation, named, scopes};
pub use webhook::GhlDoor;

/// What a workspace says about its GHL account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GhlSettings {
    /// The location id.
    pub location: String,
    /// The `Version` header of contacts, tasks, notes and tags, `2021-07-28`.
    pub contacts_version: String,
    /// The `Version` header of calendars and appointments, `2021-04-15`.
    pub calendars_version: String,
    /// The `Version` header of locations, `2021-07-28`.
    pub locations_version: String,
    /// The `Version` header of businesses, `2021-07-28`.
    pub businesses_version: String,
    /// Our name of a contact's custom field and its id in GHL: `status`, or the `KEY` of a `custom:KEY`.
    pub custom_fields: BTreeMap<String, String>,
    /// Whether GHL may tell its users and contacts of the appointments that we write.
    pub notify: bool,
}

/// GoHighLevel in one workspace.
#[derive(Clone)]
pub struct Ghl {
    api: api::Api,
    mapping: map::Mapping,
    notify: bool,
}

impl Ghl {
    /// `calendars` and `region` are the workspace's table of calendars and its policy's default country of phone numbers.
    pub fn new(settings: GhlSettings, calendars: Vec<CalendarRow>, region: Option<String>, caller: Caller) -> Self {
        let (contacts, calendars_version) = (&settings.contacts_version, &settings.calendars_version);
        let mapping = map::Mapping::new(region, calendars, settings.custom_fields, contacts, calendars_version);
        let versions = api::Versions {
            contacts: settings.contacts_version,
            calendars: settings.calendars_version,
            locations: settings.locations_version,
            businesses: settings.businesses_version,
        };
        Self { api: api::Api { caller, location: settings.location, versions }, mapping, notify: settings.notify }
    }
}

impl Terms for Ghl {
    fn system(&self) -> System {
        System::Ghl
    }

    fn home(&self, _kind: Kind) -> Home {
        Home::Native
    }

    fn tags(&self) -> Home {
        Home::Native
    }

    fn creates(&self, _kind: Kind) -> Result<(), &'static str> {
        Ok(())
    }

    fn changes(&self, _kind: Kind) -> Result<(), &'static str> {
        Ok(())
    }

    fn express(&self, kind: Kind, field: &Field, value: &Value) -> Expressed {
        self.mapping.express(kind, field, value)
    }

    fn carriers(&self, kind: Kind, field: &Field, value: &Value, making: bool) -> &'static [Action] {
        if self.mapping.express(kind, field, &Value::Blank) == Expressed::Absent {
            return &[];
        }
        if *field == Field::PHONE && !value.as_text().is_none_or(is_international) {
            return &[];
        }
        match (field.as_tag(), kind) {
            // A create has no key for it: it follows under the id that the contact then has.
            _ if *field == Field::BUSINESS => &[Action::SetBusiness],
            _ if making => &[Action::Create],
            (Some(_), _) if value.is_set() => &[Action::AddTags],
            (Some(_), _) => &[Action::RemoveTags],
            (None, Kind::Task) if *field == Field::COMPLETED => &[Action::Complete, Action::Update],
            // A call of its own, so that the brake sees many of them.
            (None, Kind::Appointment) if *field == Field::STATUS && value.as_text() == Some(CANCELLED) => {
                &[Action::Cancel, Action::Update]
            }
            (None, _) => &[Action::Update],
        }
    }

    /// Always: a cancelled appointment stays in GHL as a cancelled one.
    fn wants(&self, _entity: &Entity) -> bool {
        true
    }

    fn is_final(&self, _kind: Kind, _field: &Field, _value: &Value) -> bool {
        false
    }

    fn gone_means(&self, _kind: Kind) -> Option<(Field, Value)> {
        None
    }

    fn observe(&self, change: &Change) -> Result<Vec<Observation>, Unreadable> {
        webhook::observe(&self.mapping, self.api.caller.offset(), change)
    }
}

/// Whether a phone number says its country. What GHL makes of another is not known: it may be somebody else's number, so it is
/// not written, and the rest of the contact is.
fn is_international(phone: &str) -> bool {
    normal::phone_parts(phone).is_some()
}

#[cfg(test)]
mod tests;
