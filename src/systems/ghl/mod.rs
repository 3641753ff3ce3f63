//! GoHighLevel: contacts with tags, tasks, notes and appointments, all of them in the vendor's own API.
//!
//! In: webhooks and places. Out: observations, readings, answers. `webhook` reads deliveries, `wire` and `map` translate
//! (pure), `api` knows routes and refusals, `target` reads, looks and writes, `listing` lists what changed.
//!
//! What GHL cannot do: it has no webhook for an edited task and no location-wide list of notes, so that edits of tasks are
//! found by [`Target::changed`](crate::systems::Target::changed) and an edited note whose webhook was lost is found only
//! when the note is read for another reason.

mod api;
mod listing;
mod map;
mod target;
mod webhook;
mod wire;

use std::collections::BTreeMap;

use crate::model::{Action, CalendarRow, Change, Entity, Field, Kind, Observation, System, Value};
use crate::systems::call::Caller;
use crate::systems::{Expressed, Home, Terms, Unreadable};

pub use webhook::GhlDoor;

/// What a workspace says about its GHL account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GhlSettings {
    /// The location id.
    pub location: String,
    /// The `Version` header of all calls but those about calendars, `2021-07-28`.
    pub contacts_version: String,
    /// The `Version` header of calls about calendars, `2021-04-15`.
    pub calendars_version: String,
    /// Our key of a custom field (`custom:KEY`) and its id in GHL.
    pub custom_fields: BTreeMap<String, String>,
}

/// GoHighLevel in one workspace.
#[derive(Clone)]
pub struct Ghl {
    api: api::Api,
    mapping: map::Mapping,
}

impl Ghl {
    /// `calendars` and `region` are the workspace's table of calendars and its policy's default country of phone numbers.
    pub fn new(settings: GhlSettings, calendars: Vec<CalendarRow>, region: Option<String>, caller: Caller) -> Self {
        let GhlSettings { location, contacts_version, calendars_version, custom_fields } = settings;
        let mapping = map::Mapping::new(region, calendars, custom_fields, &contacts_version);
        Self { api: api::Api { caller, location, contacts_version, calendars_version }, mapping }
    }
}

impl Terms for Ghl {
    fn system(&self) -> System {
        System::Ghl
    }

    fn home(&self, _kind: Kind) -> Home {
        Home::Native
    }

    fn creates(&self, _kind: Kind) -> Result<(), &'static str> {
        Ok(())
    }

    fn express(&self, kind: Kind, field: &Field, value: &Value) -> Expressed {
        self.mapping.express(kind, field, value)
    }

    fn carriers(&self, kind: Kind, field: &Field, value: &Value, making: bool) -> &'static [Action] {
        if self.mapping.express(kind, field, &Value::Blank) == Expressed::Absent {
            return &[];
        }
        match (field.as_tag(), kind) {
            _ if making => &[Action::Create],
            (Some(_), _) if value.is_set() => &[Action::AddTags],
            (Some(_), _) => &[Action::RemoveTags],
            (None, Kind::Task) if *field == Field::COMPLETED => &[Action::Complete, Action::Update],
            (None, _) => &[Action::Update],
        }
    }

    /// Always: a cancelled appointment stays in GHL as a cancelled one.
    fn wants(&self, _entity: &Entity) -> bool {
        true
    }

    fn gone_means(&self, _kind: Kind) -> Option<(Field, Value)> {
        None
    }

    fn observe(&self, change: &Change) -> Result<Vec<Observation>, Unreadable> {
        webhook::observe(&self.mapping, self.api.caller.offset(), change)
    }
}

#[cfg(test)]
mod tests;
