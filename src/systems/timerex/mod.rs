//! TimeRex: bookings by guests on a team's calendars. The API reads bookings and cancels them, and nothing else.
//!
//! [`Timerex`] is one team. [`TimerexDoor`] reads its two webhooks. Not here: the api key
//! ([`crate::credentials::static_token`]), the extension beside it ([`super::extension::Combined`]).
//! Vendor source: developers.timerex.net.

mod api;
mod bookings;
mod door;
mod guests;
mod inspect;
mod invitations;
mod terms;
#[cfg(test)]
mod tests;

use super::call::Caller;
use crate::model::{CalendarRow, Field, System, Workspace};
pub use door::TimerexDoor;

/// What is set about one team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Its url path, by which its webhooks name it.
    pub url_path: String,
    /// The calendars that are one in all systems.
    pub calendars: Vec<CalendarRow>,
    /// The default country of phone numbers, ISO two-letter code.
    pub region: Option<String>,
    /// Fields of a contact, and the labels of the questions whose answers they are.
    pub questions: Vec<(Field, String)>,
    /// Whether TimeRex may write to guests because of us: it tells them of each cancellation.
    pub notify: bool,
}

impl Team {
    /// The TimeRex team of a workspace, if it has one.
    pub fn of(workspace: &Workspace) -> Option<Self> {
        Some(Self {
            url_path: workspace.accounts.get(&System::Timerex)?.clone(),
            calendars: workspace.calendars.clone(),
            region: workspace.policy.region.clone(),
            questions: questions(workspace),
            notify: workspace.policy.notify.contains(&System::Timerex),
        })
    }
}

/// `[workspaces.timerex.fields]`: a contact's own fields by their names, any other name is a field of the business's own.
fn questions(workspace: &Workspace) -> Vec<(Field, String)> {
    let field = |name: &str| {
        let own = guests::ASKED.iter().find(|(field, _)| field.name() == name).map(|(field, _)| field.clone());
        own.unwrap_or_else(|| Field::custom(name))
    };
    let labels = workspace.fields.get(&System::Timerex).into_iter().flatten();
    labels.map(|(name, label)| (field(name), label.clone())).collect()
}

/// One TimeRex team.
pub struct Timerex {
    caller: Caller,
    team: Team,
}

impl Timerex {
    /// `caller`: base url `https://timerex.net/api/beta`, with the team's key in the header `x-api-key`, or the token of a user
    /// who sees the team.
    pub fn new(caller: Caller, team: Team) -> Self {
        Self { caller: caller.behind_login(), team }
    }
}
