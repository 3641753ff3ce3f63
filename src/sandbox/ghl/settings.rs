//! What a stand-in GHL account is made of: tokens, locations, calendars, and the switches of its known moods.
//!
//! In: a literal, or a deserialised table. Out: [`GhlSettings`], read by all of the stand-in. No behaviour here.

use serde::Deserialize;

use super::oauth::{ClientSettings, CompanySettings, OauthSettings};
use crate::secret::Secret;

/// Every scope that an endpoint of the stand-in asks for.
pub const SCOPES: &[&str] = &[
    "contacts.readonly",
    "contacts.write",
    "calendars.readonly",
    "calendars/events.readonly",
    "calendars/events.write",
    "locations.readonly",
    "locations/tags.readonly",
    "locations/tasks.readonly",
    "locations/tags.write",
    "locations/customFields.readonly",
    "locations/customFields.write",
    "users.readonly",
    "businesses.readonly",
    "businesses.write",
];

/// A stand-in account and its switches.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GhlSettings {
    /// The app in whose name webhooks are sent (24 hexadecimal digits); also sent as `versionId`.
    pub app_id: String,
    /// The agency that the locations belong to.
    pub company: CompanySettings,
    /// The app as an OAuth client; its id begins with `app_id`.
    pub client: ClientSettings,
    /// The moods of the OAuth endpoints.
    pub oauth: OauthSettings,
    /// The accepted Private Integration Tokens.
    pub tokens: Vec<TokenSettings>,
    /// The locations (sub-accounts).
    pub locations: Vec<LocationSettings>,
    /// The calendars of all locations.
    pub calendars: Vec<CalendarSettings>,
    /// Whether `Version: v3` is known to all routes; to those of OAuth it always is.
    pub v3: bool,
    /// Whether an agency's OAuth token gets 403 from a location's endpoint, not 401 (which of the two is not known).
    pub class_refusal_is_403: bool,
    /// Whether API writes come back as webhooks, as at the vendor.
    pub echo_webhooks: bool,
    /// Whether a tag change sends `ContactUpdate` as well as `ContactTagUpdate`.
    pub double_tag_webhook: bool,
    /// Whether `TaskCreate` lacks `contactId` and `body` (vendor issue #332).
    pub task_create_without_contact: bool,
    /// How long a write stays invisible to `POST /contacts/search`, in milliseconds.
    pub search_lag_ms: u64,
    /// Requests allowed per location in ten seconds.
    pub burst: u32,
    /// Requests allowed per location in a day (UTC).
    pub daily: u32,
    /// Whether `POST /contacts/` that is refused for its keys has made the contact all the same (vendor issue #64).
    pub refused_create_creates: bool,
    /// Whether each refusal's `message` is a list, not only that of 422.
    pub listed_messages: bool,
    /// Whether businesses send `RecordCreate`, `RecordUpdate`, `RecordDelete`.
    pub business_webhooks: bool,
    /// The webhook of a restored contact (unknown at the vendor); empty for none.
    pub restore_webhook: String,
}

impl Default for GhlSettings {
    fn default() -> Self {
        Self {
            app_id: "65a0b1c2d3e4f5a6b7c8d9e0".to_owned(),
            company: CompanySettings::default(),
            client: ClientSettings::default(),
            oauth: OauthSettings::default(),
            tokens: Vec::new(),
            locations: Vec::new(),
            calendars: Vec::new(),
            v3: false,
            class_refusal_is_403: false,
            echo_webhooks: true,
            double_tag_webhook: false,
            task_create_without_contact: false,
            search_lag_ms: 0,
            burst: 100,
            daily: 200_000,
            refused_create_creates: false,
            listed_messages: false,
            business_webhooks: false,
            restore_webhook: "ContactCreate".to_owned(),
        }
    }
}

impl GhlSettings {
    pub(super) fn location(&self, id: &str) -> Option<&LocationSettings> {
        self.locations.iter().find(|location| location.id == id)
    }

    pub(super) fn location_mut(&mut self, id: &str) -> Option<&mut LocationSettings> {
        self.locations.iter_mut().find(|location| location.id == id)
    }

    pub(super) fn calendar(&self, id: &str) -> Option<&CalendarSettings> {
        self.calendars.iter().find(|calendar| calendar.id == id)
    }
}

/// A Private Integration Token and what it may do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// The token, `pit-...`.
    pub token: Secret,
    /// The locations that it may touch.
    pub locations: Vec<String>,
    /// Its scopes, such as `contacts.write`.
    pub scopes: Vec<String>,
    /// Whether it was made in the agency, and so opens no location's endpoint.
    #[serde(default)]
    pub agency: bool,
}

impl TokenSettings {
    /// A token with every scope, for some locations.
    pub fn full(token: &str, locations: &[&str]) -> Self {
        Self {
            token: Secret::new(token),
            locations: locations.iter().map(ToString::to_string).collect(),
            scopes: SCOPES.iter().map(ToString::to_string).collect(),
            agency: false,
        }
    }

    /// An agency's token with every scope.
    pub fn agency(token: &str) -> Self {
        Self { agency: true, ..Self::full(token, &[]) }
    }
}

/// A location (sub-account).
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocationSettings {
    /// Its id, 20 characters.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its time zone (IANA name); appointments are shown in it.
    pub timezone: String,
    /// Whether several contacts may share an e-mail or a phone.
    pub allow_duplicates: bool,
    /// By what a duplicate is recognised, first match first: `email`, `phone`.
    pub match_order: Vec<String>,
    /// The user who installs apps in it.
    pub user: String,
    /// Whether the app is installed in it; without, it sends no webhooks.
    pub installed: bool,
    /// Whether it is active; else its tokens cannot be refreshed.
    pub active: bool,
    /// The custom fields of its contacts that are there from the start.
    pub custom_fields: Vec<CustomFieldSettings>,
}

/// A custom field of a location's contacts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomFieldSettings {
    /// Its id, 20 characters.
    pub id: String,
    /// Its name; its key is `contact.` and the name in lower case with underscores.
    pub name: String,
    /// Its type in the vendor's words, such as `TEXT`, `NUMERICAL`.
    pub data_type: String,
}

impl Default for LocationSettings {
    fn default() -> Self {
        Self {
            id: String::new(),
            name: String::new(),
            timezone: "UTC".to_owned(),
            allow_duplicates: false,
            match_order: vec!["email".to_owned(), "phone".to_owned()],
            user: some_user(),
            installed: true,
            active: true,
            custom_fields: Vec::new(),
        }
    }
}

impl LocationSettings {
    /// A location in UTC that allows no duplicates and matches by e-mail, then phone.
    pub fn new(id: &str, name: &str) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), ..Self::default() }
    }
}

/// A calendar of a location.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarSettings {
    /// Its id, 20 characters.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The location it belongs to.
    pub location: String,
    /// The calendar group it stands in.
    #[serde(default = "some_group")]
    pub group: String,
    /// The user who takes its appointments unless another is named.
    #[serde(default = "some_user")]
    pub user: String,
    /// Whether an appointment must name its `assignedUserId` (vendor issue #23).
    #[serde(default)]
    pub demands_user: bool,
}

impl CalendarSettings {
    /// A calendar with a group and a user of its own.
    pub fn new(id: &str, name: &str, location: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            location: location.to_owned(),
            group: some_group(),
            user: some_user(),
            demands_user: false,
        }
    }
}

fn some_group() -> String {
    "Grp0SandboxGroup0001".to_owned()
}

fn some_user() -> String {
    "Usr0SandboxUser00001".to_owned()
}
