//! Installs of our app at a vendor: what an account's owner granted us.

use std::collections::BTreeSet;

use super::{System, words};
use crate::clock::Millis;

words! {
    /// What an install is good for.
    Holder {
        /// An agency with its locations: its token makes tokens of locations, and reads no contact itself.
        Company = "company",
        /// One location.
        Location = "location",
        /// A person at TimeRex: their tokens serve every team that they see.
        User = "user",
        /// One of a user's teams: it has no tokens of its own.
        Team = "team",
    }
}

words! {
    /// How an install stands.
    InstallState {
        /// The vendor says that the app is installed; no token came yet.
        Awaiting = "awaiting",
        /// There are tokens, and they are renewed.
        Connected = "connected",
        /// The vendor says that the location is not active. The tokens are kept: they work again when it is.
        Inactive = "inactive",
        /// The vendor takes the tokens no longer: its owner has to connect again.
        Lost = "lost",
        /// The app was uninstalled, or the tokens were given up here. No tokens are kept.
        Removed = "removed",
    }
}

/// Which install.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstallKey {
    /// The vendor.
    pub system: System,
    /// What it is an install of.
    pub holder: Holder,
    /// The vendor's id of it.
    pub account: String,
}

impl InstallKey {
    /// An install at a location of GHL.
    pub fn location(account: impl Into<String>) -> Self {
        Self { system: System::Ghl, holder: Holder::Location, account: account.into() }
    }

    /// An install at a company (agency) of GHL.
    pub fn company(account: impl Into<String>) -> Self {
        Self { system: System::Ghl, holder: Holder::Company, account: account.into() }
    }

    /// What a user of TimeRex granted us.
    pub fn user(account: impl Into<String>) -> Self {
        Self { system: System::Timerex, holder: Holder::User, account: account.into() }
    }

    /// A team of TimeRex, by its url path.
    pub fn team(account: impl Into<String>) -> Self {
        Self { system: System::Timerex, holder: Holder::Team, account: account.into() }
    }

    /// The install by which a workspace reaches its account; `None`: the system has no installs.
    pub fn of_account(system: System, account: &str) -> Option<Self> {
        match system {
            System::Ghl => Some(Self::location(account)),
            System::Timify => None,
            System::Timerex => Some(Self::team(account)),
        }
    }
}

impl std::fmt::Display for InstallKey {
    /// `ghl/location/ID`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.system, self.holder, self.account)
    }
}

/// An install with its tokens, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// Which.
    pub key: InstallKey,
    /// What it hangs on: the company of a location, where that is known; the user whose tokens serve a team.
    pub company: Option<String>,
    /// How it stands.
    pub state: InstallState,
    /// Why, in one line, where it does not stand well.
    pub reason: Option<String>,
    /// The scopes that were granted.
    pub scopes: BTreeSet<String>,
    /// Access and refresh token, sealed.
    pub sealed: Option<Vec<u8>>,
    /// When the access token ends.
    pub expires: Option<Millis>,
    /// Rises with each pair of tokens, and when they are wiped. 0: not stored yet.
    pub generation: i64,
    /// When it was last written.
    pub changed: Millis,
}

impl Install {
    /// One that is not there yet.
    pub fn awaited(key: InstallKey, now: Millis) -> Self {
        Self {
            key,
            company: None,
            state: InstallState::Awaiting,
            reason: None,
            scopes: BTreeSet::new(),
            sealed: None,
            expires: None,
            generation: 0,
            changed: now,
        }
    }

    /// The install whose tokens sign for this one: a team's is its user's, as long as it is connected.
    pub fn bearer(&self) -> InstallKey {
        match (self.key.holder, self.state, &self.company) {
            (Holder::Team, InstallState::Connected, Some(user)) => InstallKey::user(user),
            _ => self.key.clone(),
        }
    }

    /// Whether it comes and goes with another one: a location with its company, a team with its user.
    pub fn hangs_on(&self, other: &InstallKey) -> bool {
        let above = match self.key.holder {
            Holder::Location => Holder::Company,
            Holder::Team => Holder::User,
            Holder::Company | Holder::User => return false,
        };
        (self.key.system, above, self.company.as_deref()) == (other.system, other.holder, Some(other.account.as_str()))
    }

    /// How it stands, among others: one without tokens of its own stands no better than the one whose tokens it uses.
    pub fn among(&self, others: &[Self]) -> Self {
        let bearer = Some(self.bearer()).filter(|bearer| *bearer != self.key);
        let bearer = bearer.and_then(|bearer| others.iter().find(|other| other.key == bearer));
        let stands = |bearer: &Self| Self {
            key: self.key.clone(),
            company: self.company.clone(),
            sealed: None,
            ..bearer.clone()
        };
        bearer.map_or_else(|| self.clone(), stands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(key: InstallKey, company: Option<&str>, state: InstallState) -> Install {
        Install { company: company.map(ToOwned::to_owned), state, ..Install::awaited(key, Millis(0)) }
    }

    #[test]
    fn a_team_stands_as_its_user_does_and_a_location_by_itself() {
        let (connected, lost) = (InstallState::Connected, InstallState::Lost);
        let user = install(InstallKey::user("u1"), None, lost);
        let team = install(InstallKey::team("acme"), Some("u1"), connected);
        let gone = install(InstallKey::team("old"), Some("u1"), InstallState::Removed);
        let location = install(InstallKey::location("loc"), Some("comp"), connected);
        let company = install(InstallKey::company("comp"), None, lost);
        let all = [user.clone(), team.clone(), gone.clone(), location.clone(), company.clone()];
        let stands = |one: &Install| (one.among(&all).key, one.among(&all).state);
        assert_eq!(stands(&team), (team.key.clone(), lost));
        assert_eq!(stands(&gone), (gone.key.clone(), InstallState::Removed));
        assert_eq!(stands(&location), (location.key.clone(), connected));
        assert_eq!(
            [team.bearer(), gone.bearer(), location.bearer()],
            [user.key.clone(), gone.key, location.key.clone()]
        );
        assert!(team.hangs_on(&user.key) && location.hangs_on(&company.key));
        assert!(!team.hangs_on(&InstallKey::user("u2")) && !user.hangs_on(&user.key) && !location.hangs_on(&user.key));
    }
}
