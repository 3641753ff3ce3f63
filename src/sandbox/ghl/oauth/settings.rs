//! The agency, the app as an OAuth client, and the moods of the OAuth endpoints.
//!
//! In: a literal, or a deserialised table. Out: parts of the stand-in's settings. No behaviour here but what a scope list
//! comes down to.

use serde::Deserialize;

use crate::secret::Secret;

/// What the app may ask for unless its settings say otherwise.
const CLIENT_SCOPES: &[&str] = &[
    "contacts.readonly",
    "contacts.write",
    "calendars.readonly",
    "calendars/events.readonly",
    "calendars/events.write",
    "locations.readonly",
    "locations/tags.readonly",
    "locations/tags.write",
    "locations/tasks.readonly",
    "locations/customFields.readonly",
    "users.readonly",
    "businesses.readonly",
    "businesses.write",
    "oauth.readonly",
    "oauth.write",
];

/// Families of scopes that an app for agencies cannot have.
const SUB_ACCOUNT_ONLY: &[&str] = &["contacts", "calendars", "businesses"];

/// The agency that all locations belong to.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompanySettings {
    /// Its id, 20 characters.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The agency user who installs apps.
    pub user: String,
    /// Whether the app is installed at the agency itself.
    pub installed: bool,
}

impl Default for CompanySettings {
    fn default() -> Self {
        Self {
            id: "Cmp0SandboxAgency001".to_owned(),
            name: "Sandbox Agency".to_owned(),
            user: "Usr0SandboxAgency001".to_owned(),
            installed: false,
        }
    }
}

/// For whom an app is made; it limits its scopes and who is offered to install it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetUser {
    /// Sub-accounts; an agency may install it for some of its own.
    SubAccount,
    /// Agencies only.
    Agency,
}

/// The app as an OAuth client.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientSettings {
    /// Its client id: the app id, a dash, eight characters.
    pub id: String,
    /// Its client secret, a UUID.
    pub secret: Secret,
    /// Where the vendor may send people back to, to the letter.
    pub redirect_uris: Vec<String>,
    /// What the app may ask for.
    pub scopes: Vec<String>,
    /// For whom it is made.
    pub target: TargetUser,
    /// Of a private app: the version that an authorize URL must name, or else it is refused with `error.noversionid`.
    pub version_id: Option<String>,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            id: "65a0b1c2d3e4f5a6b7c8d9e0-sandbox1".to_owned(),
            secret: Secret::new("00000000-0000-4000-8000-0000000000bb"),
            redirect_uris: vec!["http://127.0.0.1:8080/oauth/ghl/callback".to_owned()],
            scopes: CLIENT_SCOPES.iter().map(ToString::to_string).collect(),
            target: TargetUser::SubAccount,
            version_id: None,
        }
    }
}

impl ClientSettings {
    /// What is granted of what was asked for, each once, in that order; all that the app may have where nothing is asked.
    pub(super) fn granted(&self, asked: &str) -> Vec<String> {
        let family = |scope: &str| scope.split(['.', '/']).next().unwrap_or_default().to_owned();
        let target =
            |scope: &&str| self.target == TargetUser::SubAccount || !SUB_ACCOUNT_ONLY.contains(&family(scope).as_str());
        let mut asked: Vec<&str> = asked.split_whitespace().collect();
        if asked.is_empty() {
            asked = self.scopes.iter().map(String::as_str).collect();
        }
        let allowed = asked.into_iter().filter(|scope| self.scopes.iter().any(|held| held == scope)).filter(target);
        allowed.fold(Vec::new(), |mut granted, scope| {
            if !granted.iter().any(|held| held == scope) {
                granted.push(scope.to_owned());
            }
            granted
        })
    }
}

/// How the OAuth endpoints behave where it can be chosen.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OauthSettings {
    /// How long an access token lives, in seconds; told as `expires_in`.
    pub access_seconds: u32,
    /// How long an unused refresh token lives, in seconds.
    pub refresh_seconds: u32,
    /// How long a code waits to be exchanged, in seconds.
    pub code_seconds: u32,
    /// Whether a refresh ends the access token of the pair before (what the vendor does is not known).
    pub refresh_ends_access: bool,
    /// The status of a minted location token: 201 as observed; 200 stands in the document.
    pub location_token_status: u16,
    /// Whether `POST /oauth/reconnect` is there.
    pub reconnect: bool,
}

impl Default for OauthSettings {
    fn default() -> Self {
        Self {
            access_seconds: 86_399,
            refresh_seconds: 31_536_000,
            code_seconds: 600,
            refresh_ends_access: false,
            location_token_status: 201,
            reconnect: false,
        }
    }
}
