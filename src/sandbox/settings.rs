//! What a sandbox is built from: its workspaces, each an account at every vendor, and all keys, tokens and switches.
//!
//! In: how many workspaces. Out: settings with fixed, made-up ids and secrets, the same on every start, so that a
//! configuration written once fits.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::StandIn;
use super::delivery::DeliverySettings;
use super::extension::{ExtensionAccount, ExtensionSettings};
use super::ghl::{CalendarSettings, GhlSettings, LocationSettings, TokenSettings};
use super::timerex::oauth::OauthSettings;
use super::timerex::{TimerexCalendar, TimerexSettings, TimerexTeam};
use super::timify::{Bookable, FieldDefinition, TimifyApp, TimifyCompany, TimifySettings, WebhookBody};
use crate::model::System;
use crate::secret::digest;

/// The customer fields that every company of the sandbox has: the vendor's key and form.
const FIELDS: &[(&str, &str)] = &[
    ("firstName", "TEXT"),
    ("lastName", "TEXT"),
    ("email", "EMAIL"),
    ("mobilePhone", "PHONE"),
    ("birthday", "DATE"),
    ("street", "TEXT"),
    ("city", "TEXT"),
    ("zipcode", "TEXT"),
    ("country", "TEXT"),
    ("notes", "TEXTAREA"),
];

/// One customer's accounts, with calendars that are one: what a configuration needs to know.
#[derive(Clone, Serialize)]
pub struct Workspace {
    /// Its name.
    pub name: String,
    /// GHL location (20 characters).
    pub ghl_location: String,
    /// Its calendar.
    pub ghl_calendar: String,
    /// Its user.
    pub ghl_user: String,
    /// Its Private Integration Token.
    pub ghl_token: String,
    /// TIMIFY company (24 hexadecimal digits).
    pub timify_company: String,
    /// The service that is the calendar.
    pub timify_service: String,
    /// The resource that its bookings stand on.
    pub timify_resource: String,
    /// Secret of the TIMIFY extension.
    pub timify_extension_secret: String,
    /// TimeRex team (`url_path`).
    pub timerex_team: String,
    /// The id of its calendar.
    pub timerex_calendar: String,
    /// The calendar's `url_path`.
    pub timerex_calendar_path: String,
    /// The team's api key.
    pub timerex_key: String,
    /// The security token of the team's webhooks.
    pub timerex_webhook_token: String,
    /// Secret of the TimeRex extension.
    pub timerex_extension_secret: String,
}

/// What the GHL stand-in signs with.
#[derive(Clone)]
pub struct GhlKeys {
    /// The seed of the Ed25519 key.
    pub seed: [u8; 32],
    /// Whether webhooks carry the Ed25519 signature.
    pub ed25519: bool,
    /// Whether webhooks carry the older RSA signature, too.
    pub rsa: bool,
    /// Whether `N/A` stands in place of each signature.
    pub unsigned: bool,
}

/// Where webhooks go: of a stand-in, or of one account of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// The system.
    pub system: System,
    /// Whether its extension is meant.
    #[serde(default)]
    pub extension: bool,
    /// Only for this account, before a receiver for all.
    #[serde(default)]
    pub account: Option<String>,
    /// The URL to POST to.
    pub url: String,
}

impl Receiver {
    pub(super) fn stand_in(&self) -> StandIn {
        StandIn { system: self.system, extension: self.extension }
    }
}

/// All that a sandbox is built from.
#[derive(Clone)]
pub struct SandboxSettings {
    /// Seed of all ids.
    pub seed: u64,
    /// The workspaces whose accounts the worlds hold.
    pub workspaces: Vec<Workspace>,
    /// GHL.
    pub ghl: GhlSettings,
    /// GHL's keys.
    pub ghl_keys: GhlKeys,
    /// TIMIFY.
    pub timify: TimifySettings,
    /// Name and value of the header of TIMIFY's webhooks.
    pub timify_header: (String, String),
    /// TimeRex.
    pub timerex: TimerexSettings,
    /// The name of the header with TimeRex's token; older accounts have `authorization`.
    pub timerex_header: String,
    /// The extension beside TIMIFY.
    pub timify_extension: ExtensionSettings,
    /// The extension beside TimeRex.
    pub timerex_extension: ExtensionSettings,
    /// How webhooks are sent and repeated.
    pub delivery: DeliverySettings,
    /// Where webhooks go.
    pub receivers: Vec<Receiver>,
}

impl SandboxSettings {
    /// One workspace, `main`.
    pub fn example() -> Self {
        Self::with_workspaces(1)
    }

    /// `count` workspaces: `main`, `ws2`, `ws3` and so on.
    pub fn with_workspaces(count: usize) -> Self {
        let workspaces: Vec<_> = (1..=count).map(Workspace::numbered).collect();
        let timify_secrets = |one: &Workspace| (one.timify_company.clone(), one.timify_extension_secret.clone());
        let timerex_secrets = |one: &Workspace| (one.timerex_team.clone(), one.timerex_extension_secret.clone());
        Self {
            seed: 1,
            ghl: ghl(&workspaces),
            ghl_keys: GhlKeys { seed: digest(b"the sandbox signs as GHL"), ed25519: true, rsa: false, unsigned: false },
            timify: timify(&workspaces),
            timify_header: ("x-timify-token".into(), "sandbox-timify-header-value".into()),
            timerex: timerex(&workspaces),
            timerex_header: "x-timerex-authorization".into(),
            timify_extension: extension(System::Timify, workspaces.iter().map(timify_secrets)),
            timerex_extension: extension(System::Timerex, workspaces.iter().map(timerex_secrets)),
            delivery: DeliverySettings::default(),
            receivers: Vec::new(),
            workspaces,
        }
    }
}

impl Workspace {
    fn numbered(number: usize) -> Self {
        let secret = |what: &str| format!("whsec_{}", BASE64.encode(digest(format!("{what} {number}").as_bytes())));
        Self {
            name: if number == 1 { "main".into() } else { format!("ws{number}") },
            ghl_location: format!("SandboxLoc{number:010}"),
            ghl_calendar: format!("SandboxCal{number:010}"),
            ghl_user: format!("SandboxUsr{number:010}"),
            ghl_token: format!("pit-00000000-0000-4000-8000-{number:012}"),
            timify_company: format!("65a0{number:020x}"),
            timify_service: format!("65f0{number:020x}"),
            timify_resource: format!("65d0{number:020x}"),
            timify_extension_secret: secret("timify extension"),
            timerex_team: format!("sandbox_team_{number}"),
            timerex_calendar: format!("0c1d{number:016x}"),
            timerex_calendar_path: format!("cal{number:05x}"),
            timerex_key: hex::encode(digest(format!("timerex key {number}").as_bytes())),
            timerex_webhook_token: hex::encode(&digest(format!("timerex token {number}").as_bytes())[..16]),
            timerex_extension_secret: secret("timerex extension"),
        }
    }
}

fn ghl(workspaces: &[Workspace]) -> GhlSettings {
    let calendar = |one: &Workspace| CalendarSettings {
        user: one.ghl_user.clone(),
        ..CalendarSettings::new(&one.ghl_calendar, "Consultation", &one.ghl_location)
    };
    let location = |one: &Workspace| LocationSettings {
        user: one.ghl_user.clone(),
        ..LocationSettings::new(&one.ghl_location, &format!("Sandbox {}", one.name))
    };
    GhlSettings {
        tokens: workspaces.iter().map(|one| TokenSettings::full(&one.ghl_token, &[&one.ghl_location])).collect(),
        locations: workspaces.iter().map(location).collect(),
        calendars: workspaces.iter().map(calendar).collect(),
        ..GhlSettings::default()
    }
}

fn timify(workspaces: &[Workspace]) -> TimifySettings {
    let company = |(number, one): (usize, &Workspace)| {
        let id = |field: usize| format!("65c0{:010x}{field:010x}", number + 1);
        let own = FieldDefinition { id: id(99), default_id: None, label: Some("Tags".into()), form: "TEXT".into() };
        let fields = FIELDS.iter().enumerate().map(|(field, (key, form))| FieldDefinition {
            id: id(field),
            default_id: Some((*key).into()),
            label: None,
            form: (*form).into(),
        });
        let bookable = |id: &str, name: &str, duration| Bookable {
            id: id.into(),
            external_id: String::new(),
            name: name.into(),
            duration,
        };
        TimifyCompany {
            id: one.timify_company.clone(),
            name: format!("Sandbox {}", one.name),
            fields: fields.chain([own]).collect(),
            resources: vec![bookable(&one.timify_resource, "Room A", None)],
            services: vec![bookable(&one.timify_service, "Consultation", Some(30))],
        }
    };
    TimifySettings {
        apps: vec![TimifyApp {
            appid: "0123456789abcdef01234567".into(),
            appsecret: "00000000-0000-4000-8000-0000000000aa".into(),
            companies: workspaces.iter().map(|one| one.timify_company.clone()).collect(),
        }],
        companies: workspaces.iter().enumerate().map(company).collect(),
        echo_webhooks: true,
        webhook_body: WebhookBody::Full,
        range_days: 31,
        token_life: Duration::from_hours(1),
    }
}

fn timerex(workspaces: &[Workspace]) -> TimerexSettings {
    let team = |(number, one): (usize, &Workspace)| TimerexTeam {
        id: format!("aa11{:016x}", number + 1),
        url_path: one.timerex_team.clone(),
        name: format!("Sandbox {}", one.name),
        api_key: one.timerex_key.clone(),
        webhook_token: one.timerex_webhook_token.clone(),
        calendars: vec![TimerexCalendar {
            id: one.timerex_calendar.clone(),
            url_path: one.timerex_calendar_path.clone(),
            name: "Consultation".into(),
            duration: 30,
            timezone: "Asia/Tokyo".into(),
            zoom: false,
        }],
    };
    TimerexSettings {
        teams: workspaces.iter().enumerate().map(team).collect(),
        reads_a_minute: 60,
        writes_an_hour: 100,
        echo_webhooks: true,
        cancel_again_is_fine: true,
        misspelt_new_id: false,
        cancelled_status: 3,
        older_shape: false,
        oauth: OauthSettings::default(),
    }
}

fn extension(system: System, secrets: impl Iterator<Item = (String, String)>) -> ExtensionSettings {
    ExtensionSettings {
        system,
        native_contacts: system == System::Timify,
        accounts: secrets.map(|(account, secret)| ExtensionAccount { account, secret }).collect(),
        echo_webhooks: true,
        page: 100,
    }
}
