//! Calls TimeRex for one team.
//!
//! In: places, steps, page marks. Out: readings, answers, pages. A wrong key is answered with a redirect to a login page, so a
//! redirect or a page of HTML is a refusal of our credentials; to a write, a page is no clear answer.

use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use serde_json::Value as Json;

use super::Timerex;
use super::bookings;
use super::terms::{NO_BOOKING, NO_MOVE, TELLS_GUEST};
use crate::clock::Millis;
use crate::model::{Action, CANCELLED, ExternalId, Field, Kind, Link, Observation, Place, Step, Value};
use crate::systems::call::encode;
use crate::systems::{Answer, Page, Reading, Shown, SystemError, Target, Terms, Wanted, wire};

const DAY_MS: i64 = 86_400_000;
/// Bookings are listed by their start, from this many days before today to that many after.
const DAYS_BACK: i64 = 31;
const DAYS_AHEAD: i64 = 366;
/// The same for those that are still to come: a day back, for today is another day elsewhere.
const DAYS_BACK_UPCOMING: i64 = 1;
/// What a user's token needs for reading, and for cancelling and one-time links. An api key has no scopes.
const READ: &str = "User.Teams.Calendars.Read";
const READ_WRITE: &str = "User.Teams.Calendars.ReadWrite";
const NO_SUCH: &str = "TimeRex has bookings only";

impl Timerex {
    pub(super) async fn call(&self, method: Method, path: &str) -> Result<(u16, Json), SystemError> {
        let writes = method != Method::GET;
        self.caller.call(method, path, &[], None, writes).await.map_err(|error| match error {
            SystemError::Refused { system, status, .. } if (300..400).contains(&status) => login(system, status),
            SystemError::Garbled { system, status, .. } => login(system, status),
            other => other,
        })
    }

    fn refused(&self, reason: &str) -> SystemError {
        wire::not_sent(self.system(), reason)
    }

    pub(super) fn garbled(&self, status: u16, reason: &str) -> SystemError {
        SystemError::Garbled { system: self.system(), status, reason: reason.to_owned() }
    }

    async fn booking(&self, id: &ExternalId) -> Result<Reading, SystemError> {
        let (status, json) = self.call(Method::GET, &path(id)).await?;
        let observation = bookings::read(&json, &self.team, |at| self.caller.offset().to_ours(at));
        let observation =
            observation.ok_or_else(|| self.garbled(status, "no booking with an id and a known status"))?;
        Ok(Reading::new(observation, status))
    }

    /// Cancels; a booking that turns out to be cancelled already is as good.
    async fn cancel(&self, id: &ExternalId) -> Result<Answer, SystemError> {
        let refusal = match self.call(Method::POST, &format!("{}/cancel", path(id))).await {
            Ok((status, _)) => return Ok(Answer { id: id.clone(), shown: None, status }),
            Err(refusal @ SystemError::Refused { .. }) => refusal,
            Err(error) => return Err(error),
        };
        let Reading { observation, status, .. } = self.booking(id).await?;
        if is_cancelled(&observation) {
            Ok(Answer { id: id.clone(), shown: Some(observation), status })
        } else {
            Err(refusal)
        }
    }

    /// A page of the mapped calendars' bookings, calendar by calendar. A mark is the number of the calendar and the vendor's
    /// own token.
    async fn listed(&self, kind: Kind, days_back: i64, page: Option<&str>) -> Result<Page, SystemError> {
        let (number, token) = page.and_then(|page| page.split_once('/')).unwrap_or(("0", ""));
        let number: usize = number.parse().unwrap_or(0);
        let calendars = self.calendars();
        let Some((name, calendar)) = calendars.get(number).filter(|_| kind == Kind::Appointment) else {
            return Ok(Page::empty());
        };
        // Whole days, so that the pages of one list are asked for in the same words.
        let today = self.caller.offset().now().0.div_euclid(DAY_MS) * DAY_MS;
        let bound = |days: i64| second(Millis(today + days * DAY_MS));
        let (from, to) = (bound(-days_back), bound(DAYS_AHEAD));
        let mut pairs = vec![("startTime", from.as_str()), ("endTime", &to)];
        pairs.extend(Some(("nextPageToken", token)).filter(|(_, token)| !token.is_empty()));
        let path = wire::query(&format!("/calendars/{}/events", encode(calendar)), &pairs);
        let (status, json) = self.call(Method::GET, &path).await?;
        let Some(items) = json["items"].as_array() else {
            return Err(self.garbled(status, "a list without `items`"));
        };
        let observations = items.iter().filter_map(|item| bookings::listed(item, name)).collect();
        let token = json["nextPageToken"].as_str().filter(|token| !token.is_empty());
        let next = match token {
            Some(token) => Some(format!("{number}/{token}")),
            None if number + 1 < calendars.len() => Some(format!("{}/", number + 1)),
            None => None,
        };
        Ok(Page { observations, next, ..Page::empty() })
    }

    /// The calendars that are mapped: the name of the row and the id.
    fn calendars(&self) -> Vec<(&str, &str)> {
        self.team.calendars.iter().filter_map(|row| Some((row.name.as_str(), row.timerex.as_deref()?))).collect()
    }
}

fn login(system: crate::model::System, status: u16) -> SystemError {
    SystemError::Unauthorized {
        system,
        status,
        reason: "it shows its login page: our key or token is not taken".to_owned(),
    }
}

fn path(id: &ExternalId) -> String {
    format!("/events/{}", encode(id.as_str()))
}

fn is_cancelled(one: &Observation) -> bool {
    one.fields().and_then(|fields| fields.get(&Field::STATUS)) == Some(&Value::text(CANCELLED))
}

/// UTC, `2023-12-19 16:00:00`.
fn second(at: Millis) -> String {
    at.rfc3339().replacen('T', " ", 1).chars().take(19).collect()
}

#[async_trait]
impl Target for Timerex {
    async fn read(&self, place: &Place) -> Result<Reading, SystemError> {
        if place.kind != Kind::Appointment {
            return Err(self.refused(NO_SUCH));
        }
        match self.booking(&place.id).await {
            Err(SystemError::Gone { status, .. }) => Ok(Reading::new(wire::gone(place), status)),
            answer => answer,
        }
    }

    /// Nothing is ever created here, so nothing is looked for.
    async fn find(&self, _wanted: &Wanted) -> Result<Vec<Reading>, SystemError> {
        Ok(Vec::new())
    }

    /// Cancels. A deletion elsewhere is a cancelled booking here, too.
    async fn apply(&self, step: &Step) -> Result<Answer, SystemError> {
        match (step.action, step.kind, &step.id) {
            (Action::Cancel | Action::Delete, Kind::Appointment, Some(_)) if !self.team.notify => {
                Err(self.refused(TELLS_GUEST))
            }
            (Action::Cancel | Action::Delete, Kind::Appointment, Some(id)) => self.cancel(id).await,
            (Action::Create, kind, _) => Err(self.refused(self.creates(kind).err().unwrap_or(NO_BOOKING))),
            _ => Err(self.refused(NO_MOVE)),
        }
    }

    fn granted(&self, kind: Kind, action: Action) -> Result<(), SystemError> {
        match (kind, action) {
            (Kind::Appointment, Action::Read | Action::Find) => {
                self.caller.granted(READ).or_else(|lacking| self.caller.granted(READ_WRITE).map_err(|_| lacking))
            }
            (Kind::Appointment, _) => self.caller.granted(READ_WRITE),
            _ => Ok(()),
        }
    }

    /// The bookings around today; lists know no filter by the time of a change.
    async fn changed(&self, kind: Kind, _since: Option<Millis>, page: Option<&str>) -> Result<Page, SystemError> {
        self.listed(kind, DAYS_BACK, page).await
    }

    /// Whether lists have the cancelled ones is not documented; they do not change again.
    fn shows(&self, link: &Link) -> Shown {
        let days = |days: i64| Duration::from_hours(24 * days.unsigned_abs());
        if link.known(&Field::STATUS).value == Value::text(CANCELLED) {
            return Shown::Outside;
        }
        Shown::around(self.caller.offset().now(), link, days(DAYS_BACK), days(DAYS_AHEAD))
    }

    /// The bookings that are still to come: a webhook is repeated for less than a minute, and then never told again.
    async fn untold(&self, kind: Kind, page: Option<&str>) -> Result<Page, SystemError> {
        self.listed(kind, DAYS_BACK_UPCOMING, page).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use rstest::rstest;

    use super::super::Team;
    use super::*;
    use crate::clock::ManualClock;
    use crate::model::{System, Workspace};
    use crate::systems::allowance::Unlimited;
    use crate::systems::call::Caller;
    use crate::systems::offset::ClockOffset;
    use crate::systems::testing::Script;
    use crate::systems::{Credential, Version};

    /// A user's token with these scopes.
    struct Scopes(&'static [&'static str]);

    #[async_trait]
    impl Credential for Scopes {
        async fn sign(&self, _: &mut http::Request<Bytes>) -> Result<Version, SystemError> {
            Ok(Version(1))
        }
        async fn refused(&self, _: Version, _: &str) -> bool {
            false
        }
        fn lacks(&self, scope: &str) -> bool {
            !self.0.contains(&scope)
        }
        fn denied(&self, _: &str) {}
    }

    #[rstest]
    #[case::none(&[], Some(READ), Some(READ_WRITE))]
    #[case::read(&[READ], None, Some(READ_WRITE))]
    #[case::write_is_read_too(&[READ_WRITE], None, None)]
    fn a_users_scopes_tell_what_may_be_done(
        #[case] scopes: &'static [&'static str],
        #[case] reading: Option<&str>,
        #[case] writing: Option<&str>,
    ) {
        let offset = Arc::new(ClockOffset::new(Arc::new(ManualClock::at(Millis(0)))));
        let (script, scopes) = (Arc::new(Script::new([])), Arc::new(Scopes(scopes)));
        let caller = Caller::new(System::Timerex, "https://x.test", script, scopes, offset, Arc::new(Unlimited));
        let accounts = [(System::Timerex, "acme".to_owned())].into();
        let team = Team::of(&Workspace { accounts, ..Workspace::default() }).unwrap();
        let timerex = Timerex::new(caller, team);
        let lacking = |action| match timerex.granted(Kind::Appointment, action) {
            Err(SystemError::NotGranted { scope, .. }) => Some(scope),
            other => other.err().map(|error| error.to_string()),
        };
        for action in Action::ALL {
            let wanted = if matches!(action, Action::Read | Action::Find) { reading } else { writing };
            assert_eq!(lacking(*action).as_deref(), wanted, "{action}");
        }
        assert!(timerex.granted(Kind::Contact, Action::Create).is_ok(), "others are the extension's");
    }
}
