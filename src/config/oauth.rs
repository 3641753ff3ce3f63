//! `[systems.NAME.oauth]`: our app as an OAuth client of a vendor.

use std::time::Duration;

use super::section::Section;
use super::setting::HttpUrl;
use crate::secret::Secret;

/// `[systems.ghl.oauth]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GhlOauth {
    /// The client id: our app's id, a dash, and a suffix.
    pub client_id: String,
    /// The client secret.
    pub client_secret: Secret,
    /// The version of a private app, which its owner is asked for by.
    pub version_id: Option<String>,
    /// Where the owner of an account is sent to.
    pub authorize_url: String,
    /// What we ask for.
    pub scopes: Vec<String>,
    /// The `Version` header of OAuth calls.
    pub version: String,
    /// Agencies whose locations open a workspace each when the app is installed there.
    pub companies: Vec<String>,
    /// Access tokens are renewed this long before they end.
    pub renew_before: Duration,
    /// Whether lost tokens are asked for anew with our client secret alone.
    pub reconnect: bool,
}

/// What the capability table needs of GHL.
const GHL_SCOPES: &[&str] = &[
    "contacts.readonly",
    "contacts.write",
    "calendars.readonly",
    "calendars/events.readonly",
    "calendars/events.write",
    "locations.readonly",
    "locations/tags.readonly",
    "locations/tasks.readonly",
    "locations/customFields.readonly",
    "businesses.readonly",
    "oauth.readonly",
    "oauth.write",
];

/// Tokens of GHL that are renewed earlier than this before their end are hardly used.
const LONGEST_BEFORE: Duration = Duration::from_hours(12);

impl GhlOauth {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let client_id: Option<String> = section.must("client_id");
        if client_id.as_ref().is_some_and(|id| !id.contains('-')) {
            section.mistake("client_id", "is not of the form APP-SUFFIX");
        }
        let client_secret = client_secret(section);
        let version = section.or("version", "2021-07-28".to_owned());
        if version == "v3" {
            section.mistake(
                "version",
                "v3 has other names for everything; Lockstep speaks OAuth in the forms of 2021-07-28",
            );
        }
        let authorize_url = section
            .or("authorize_url", HttpUrl("https://marketplace.gohighlevel.com/v2/oauth/chooselocation".to_owned()));
        Some(Self {
            client_id: client_id?,
            client_secret: client_secret?,
            version_id: section.maybe("version_id"),
            authorize_url: authorize_url.0,
            scopes: section.or("scopes", GHL_SCOPES.iter().map(ToString::to_string).collect()),
            version,
            companies: section.or("companies", Vec::new()),
            renew_before: renew_before(
                section,
                Duration::from_hours(1),
                LONGEST_BEFORE,
                "is more than 12h: GHL's tokens live for a day",
            ),
            reconnect: section.or("reconnect", false),
        })
    }

    /// The id of the app that the client is.
    pub fn app_id(&self) -> &str {
        self.client_id.split('-').next().unwrap_or_default()
    }
}

/// `[systems.timerex.oauth]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerexOauth {
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: Secret,
    /// Where a user is sent to.
    pub authorize_url: String,
    /// Where codes and refresh tokens are traded.
    pub token_url: String,
    /// What we ask for; nothing is everything.
    pub scopes: Vec<String>,
    /// Access tokens are renewed this long before they end.
    pub renew_before: Duration,
}

/// What reading and cancelling bookings needs.
const TIMEREX_SCOPES: &[&str] =
    &["profile", "User.Teams.Read", "User.Teams.Calendars.Read", "User.Teams.Calendars.ReadWrite"];

/// Without these it is not known whose tokens they are, and for which teams.
const TIMEREX_NEEDED: &[&str] = &["profile", "User.Teams.Read"];

/// TimeRex's tokens live for an hour.
const TIMEREX_LONGEST_BEFORE: Duration = Duration::from_mins(30);

impl TimerexOauth {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let client_id: Option<String> = section.must("client_id");
        let client_secret = client_secret(section);
        let url = |key: &str, default: &str| section.or(key, HttpUrl(default.to_owned())).0;
        let authorize_url = url("authorize_url", "https://timerex.net/oauth/authorize");
        let token_url = url("token_url", "https://timerex.net/oauth/token");
        let scopes = section.or("scopes", TIMEREX_SCOPES.iter().map(ToString::to_string).collect::<Vec<_>>());
        for needed in
            TIMEREX_NEEDED.iter().filter(|needed| !scopes.is_empty() && !scopes.iter().any(|one| one == *needed))
        {
            section.mistake("scopes", format!("lacks `{needed}`: it tells whose tokens they are, and for which teams"));
        }
        let too_long = "is more than 30m: TimeRex's tokens live for an hour";
        let renew_before = renew_before(section, Duration::from_mins(10), TIMEREX_LONGEST_BEFORE, too_long);
        Some(Self {
            client_id: client_id?,
            client_secret: client_secret?,
            authorize_url,
            token_url,
            scopes,
            renew_before,
        })
    }
}

fn client_secret(section: &Section<'_>) -> Option<Secret> {
    let secret = section.secret("client_secret");
    if secret.is_none() {
        section.mistake("client_secret", "is missing");
    }
    secret
}

fn renew_before(section: &Section<'_>, default: Duration, longest: Duration, too_long: &str) -> Duration {
    let before = section.or("renew_before", default);
    if before > longest {
        section.mistake("renew_before", too_long);
    }
    before
}
