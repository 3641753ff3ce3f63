//! TIMIFY: customers that consist of custom fields, appointments on a five-minute grid; no tasks, no lists of notes, no tags.
//!
//! [`Timify`] is one company. What it has no objects for is *projected*: notes into the customer's one notes text, below the
//! person's own (`notebook`), tags into a custom field (`tags`). Where an extension beside it holds notes or tags,
//! [`super::extension::Combined`] goes by that, and what a person types into the notes text or that field is not mirrored.
//! [`TimifyDoor`] reads its webhooks, which are hints: the body is not documented, so each is followed by a read. Not here: the
//! token ([`crate::credentials::timify_token`]). Vendor sources: docs.timify.dev, docs2.timify.com.
//!
//! `api`: one call each. `known`: the company's field definitions, kept and read again. `writing`: customers and appointments.
//! `notes`: notes within customers. `lists`: pages and looks. The rest is pure.

mod api;
mod appointments;
mod customers;
mod definitions;
mod door;
mod inspect;
mod known;
mod lists;
mod notebook;
mod notes;
mod tags;
mod terms;
#[cfg(test)]
mod tests;
mod turns;
mod within;
mod writing;

use std::collections::BTreeMap;

use super::call::Caller;
use super::{SystemError, Terms};
use crate::model::{CalendarRow, Field, Projection, System, Workspace};
use customers::Card;
pub use door::TimifyDoor;
use known::Known;
use turns::Turns;

/// What is set about one company.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Company {
    /// Its id, 24 hexadecimal digits.
    pub id: String,
    /// The calendars that are one in all systems.
    pub calendars: Vec<CalendarRow>,
    /// Custom fields of its customers: ours, and the id there.
    pub fields: BTreeMap<Field, String>,
    /// What is put into its customers that TIMIFY has no objects for.
    pub projection: Projection,
    /// Whether TIMIFY may write to customers and staff by itself when we change an appointment.
    pub notify: bool,
    /// Whether a start that is not on the five-minute grid is rounded down.
    pub round_minutes: bool,
    /// The default country of phone numbers, ISO two-letter code.
    pub region: Option<String>,
    /// The longest range of an appointment list, in days: 31 in the older documents, 365 in the newer.
    pub list_days: u32,
}

impl Company {
    /// The TIMIFY company of a workspace, if it has one.
    pub fn of(workspace: &Workspace, list_days: u32) -> Option<Self> {
        let fields = workspace.fields.get(&System::Timify).into_iter().flatten();
        Some(Self {
            id: workspace.accounts.get(&System::Timify)?.clone(),
            calendars: workspace.calendars.clone(),
            fields: fields.map(|(name, id)| (customers::field_of(name), id.clone())).collect(),
            projection: workspace.projection.clone(),
            notify: workspace.policy.notify.contains(&System::Timify),
            round_minutes: workspace.policy.round_minutes,
            region: workspace.policy.region.clone(),
            list_days: list_days.max(1),
        })
    }
}

/// One TIMIFY company.
pub struct Timify {
    caller: Caller,
    company: Company,
    known: Known,
    turns: Turns,
}

impl Timify {
    /// `caller`: base url `https://api.timify.com`, with a token of the app that is installed in the company.
    pub fn new(caller: Caller, company: Company) -> Self {
        Self { caller, company, known: Known::default(), turns: Turns::default() }
    }

    /// Reads the definitions of the company's customer fields, if that is still to be done, or was done long ago. Until then the
    /// fields that every company is documented to have count as known; every call that needs them prepares by itself.
    pub async fn prepare(&self) -> Result<(), SystemError> {
        self.definitions().await.map(|_| ())
    }

    /// What is known of the company's customers at this moment.
    fn card(&self) -> Card<'_> {
        Card::new(&self.company, self.known.held())
    }

    fn garbled(&self, status: u16, reason: &str) -> SystemError {
        SystemError::Garbled { system: self.system(), status, reason: reason.to_owned() }
    }
}
