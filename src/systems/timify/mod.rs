//! TIMIFY: customers that consist of custom fields, appointments on a five-minute grid; no tasks, no lists of notes, no tags.
//!
//! [`Timify`] is one company. [`TimifyDoor`] reads its webhooks, which are hints: the body is not documented, so each is
//! followed by a read. Not here: the token ([`crate::credentials::timify_token`]), the extension beside it
//! ([`super::extension::Combined`]). Vendor sources: docs.timify.dev, docs2.timify.com.

mod api;
mod appointments;
mod customers;
mod door;
mod inspect;
mod terms;
#[cfg(test)]
mod tests;

use tokio::sync::OnceCell;

use super::call::Caller;
use super::{SystemError, Terms};
use crate::model::{CalendarRow, System, Workspace};
use customers::Definitions;
pub use door::TimifyDoor;

/// What is set about one company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// Its id, 24 hexadecimal digits.
    pub id: String,
    /// The calendars that are one in all systems.
    pub calendars: Vec<CalendarRow>,
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
        Some(Self {
            id: workspace.accounts.get(&System::Timify)?.clone(),
            calendars: workspace.calendars.clone(),
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
    /// The company's custom field definitions, read once.
    definitions: OnceCell<Definitions>,
}

impl Timify {
    /// `caller`: base url `https://api.timify.com`, with a token of the app that is installed in the company.
    pub fn new(caller: Caller, company: Company) -> Self {
        Self { caller, company, definitions: OnceCell::new() }
    }

    /// Reads the definitions of the company's customer fields, if that is still to be done. Until then the fields that
    /// every company is documented to have count as known; every call that needs them prepares by itself.
    pub async fn prepare(&self) -> Result<(), SystemError> {
        self.definitions().await.map(|_| ())
    }

    async fn definitions(&self) -> Result<&Definitions, SystemError> {
        let read = || async {
            let (status, json) = self.get("/v1/customers/customfields").await?;
            let read = Definitions::read(&json);
            read.ok_or_else(|| self.garbled(status, "no list of customer fields"))
        };
        self.definitions.get_or_try_init(read).await
    }

    fn garbled(&self, status: u16, reason: &str) -> SystemError {
        SystemError::Garbled { system: self.system(), status, reason: reason.to_owned() }
    }
}
