//! `[systems.NAME]`: what holds for a system in all workspaces. The defaults are the vendors' published addresses,
//! versions and keys; the sandbox sets its own.

use std::num::NonZeroU32;
use std::time::Duration;

use super::oauth::{GhlOauth, TimerexOauth};
use super::section::Section;
use super::setting::HttpUrl;
use crate::clock::Millis;
use crate::credentials::login::TokenScheme;
use crate::verify::{BadKey, PublicKey};

/// The key that GHL signs `X-GHL-Signature` with, as published in its webhook guide.
const GHL_ED25519: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=
-----END PUBLIC KEY-----";

/// The older key, of `X-WH-Signature`; GHL announced its end for 2026-09-01.
const GHL_RSA: &str = "-----BEGIN PUBLIC KEY-----
MIICIjANBgkqhkiG9w0BAQEFAAOCAg8AMIICCgKCAgEAokvo/r9tVgcfZ5DysOSC
Frm602qYV0MaAiNnX9O8KxMbiyRKWeL9JpCpVpt4XHIcBOK4u3cLSqJGOLaPuXw6
dO0t6Q/ZVdAV5Phz+ZtzPL16iCGeK9po6D6JHBpbi989mmzMryUnQJezlYJ3DVfB
csedpinheNnyYeFXolrJvcsjDtfAeRx5ByHQmTnSdFUzuAnC9/GepgLT9SM4nCpv
uxmZMxrJt5Rw+VUaQ9B8JSvbMPpez4peKaJPZHBbU3OdeCVx5klVXXZQGNHOs8gF
3kvoV5rTnXV0IknLBXlcKKAQLZcY/Q9rG6Ifi9c+5vqlvHPCUJFT5XUGG5RKgOKU
J062fRtN+rLYZUV+BjafxQauvC8wSWeYja63VSUruvmNj8xkx2zE/Juc+yjLjTXp
IocmaiFeAO6fUtNjDeFVkhf5LNb59vECyrHD2SQIrhgXpO4Q3dVNA5rw576PwTzN
h/AMfHKIjE4xQA1SZuYJmNnmVZLIZBlQAF9Ntd03rfadZ+yDiOXCCs9FkHibELhC
HULgCsnuDJHcrGNd5/Ddm5hxGQ0ASitgHeMZ0kcIOwKDOzOU53lDza6/Y09T7sYJ
PQe7z0cvj7aE4B+Ax1ZoZGPzpJlZtGXCsu9aTEGEnKzmsFqwcSsnw3JB31IGKAyk
T1hhTiaCeIY/OwwwNUY2yvcCAwEAAQ==
-----END PUBLIC KEY-----";

/// 2026-09-01T00:00:00Z, the announced end of `X-WH-Signature`.
const GHL_RSA_ENDS: Millis = Millis(1_788_220_800_000);

/// The systems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Systems {
    /// GoHighLevel.
    pub ghl: Ghl,
    /// TIMIFY.
    pub timify: Timify,
    /// TimeRex.
    pub timerex: Timerex,
}

impl Systems {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self {
            ghl: section.table("ghl", Ghl::read),
            timify: section.table("timify", Timify::read),
            timerex: section.table("timerex", Timerex::read),
        }
    }
}

fn base_url(section: &Section<'_>, default: &str) -> String {
    section.or("base_url", HttpUrl(default.to_owned())).0
}

fn requests(section: &Section<'_>, key: &str, default: u32) -> NonZeroU32 {
    section.or(key, NonZeroU32::new(default).unwrap_or(NonZeroU32::MIN))
}

/// `[systems.ghl]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ghl {
    /// Where its API answers.
    pub base_url: String,
    /// Our marketplace app. Webhooks for another are refused; without it none are accepted.
    pub app_id: Option<String>,
    /// The `Version` header of contacts, tasks and notes.
    pub contacts_version: String,
    /// The `Version` header of calendars and appointments.
    pub calendars_version: String,
    /// The `Version` header of locations: their tasks, tags and custom fields.
    pub locations_version: String,
    /// The `Version` header of businesses.
    pub businesses_version: String,
    /// Keys of `X-GHL-Signature`.
    pub ed25519_keys: Vec<PublicKey>,
    /// Keys of `X-WH-Signature`; none: not accepted.
    pub rsa_keys: Vec<PublicKey>,
    /// When `X-WH-Signature` ends to prove anything.
    pub rsa_until: Millis,
    /// Requests per workspace in ten seconds.
    pub requests_per_10s: NonZeroU32,
    /// Requests per workspace in a day.
    pub requests_per_day: NonZeroU32,
    /// How often the open tasks of a location are listed; zero: only when reconciling.
    pub poll_tasks: Duration,
    /// How old the timestamp in a body may be; no limit by default, since GHL repeats for days.
    pub max_age: Option<Duration>,
    /// Our marketplace app as an OAuth client; `None`: only Private Integration Tokens.
    pub oauth: Option<GhlOauth>,
}

impl Ghl {
    fn read(section: &Section<'_>) -> Self {
        let oauth = section.table_if("oauth", GhlOauth::read).flatten();
        let app_id: Option<String> = section.maybe("app_id");
        let of_client = oauth.as_ref().map(|oauth| oauth.app_id().to_owned());
        if let (Some(app_id), Some(of_client)) = (&app_id, &of_client)
            && app_id != of_client
        {
            section.mistake("app_id", "is another app than that of `oauth.client_id`");
        }
        Self {
            base_url: base_url(section, "https://services.leadconnectorhq.com"),
            app_id: app_id.or(of_client),
            oauth,
            contacts_version: section.or("contacts_version", "2021-07-28".to_owned()),
            calendars_version: section.or("calendars_version", "2021-04-15".to_owned()),
            locations_version: section.or("locations_version", "2021-07-28".to_owned()),
            businesses_version: section.or("businesses_version", "2021-07-28".to_owned()),
            ed25519_keys: public_keys(section, "ed25519_keys", GHL_ED25519, PublicKey::ed25519),
            rsa_keys: public_keys(section, "rsa_keys", GHL_RSA, PublicKey::rsa),
            rsa_until: section.or("rsa_until", GHL_RSA_ENDS),
            requests_per_10s: requests(section, "requests_per_10s", 90),
            requests_per_day: requests(section, "requests_per_day", 180_000),
            poll_tasks: section.or("poll_tasks", Duration::from_mins(2)),
            max_age: section.maybe("max_age"),
        }
    }
}

fn public_keys(
    section: &Section<'_>,
    key: &str,
    default: &str,
    parse: fn(&str) -> Result<PublicKey, BadKey>,
) -> Vec<PublicKey> {
    let pems = section.or(key, vec![default.to_owned()]);
    let parsed = |(at, pem): (usize, &String)| {
        parse(pem).inspect_err(|bad| section.mistake(key, format!("key {}: {bad}", at + 1))).ok()
    };
    pems.iter().enumerate().filter_map(parsed).collect()
}

/// `[systems.timify]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timify {
    /// Where its API answers.
    pub base_url: String,
    /// How the token is sent.
    pub authorization: TokenScheme,
    /// The days that one listing of appointments covers.
    pub list_days: NonZeroU32,
    /// Requests per workspace in ten seconds.
    pub requests_per_10s: NonZeroU32,
}

impl Timify {
    fn read(section: &Section<'_>) -> Self {
        Self {
            base_url: base_url(section, "https://api.timify.com"),
            authorization: section.or("authorization", TokenScheme::Bearer),
            list_days: section.or("list_days", NonZeroU32::new(31).unwrap_or(NonZeroU32::MIN)),
            requests_per_10s: requests(section, "requests_per_10s", 50),
        }
    }
}

/// `[systems.timerex]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timerex {
    /// Where its API answers.
    pub base_url: String,
    /// Requests per workspace in ten seconds.
    pub requests_per_10s: NonZeroU32,
    /// Requests per workspace in a minute.
    pub requests_per_minute: NonZeroU32,
    /// Requests per workspace in an hour that change something.
    pub writes_per_hour: NonZeroU32,
    /// How often the upcoming bookings of the mapped calendars are listed; zero: only when reconciling.
    pub poll_bookings: Duration,
    /// Our app as an OAuth client; `None`: only api keys.
    pub oauth: Option<TimerexOauth>,
}

impl Timerex {
    fn read(section: &Section<'_>) -> Self {
        Self {
            base_url: base_url(section, "https://timerex.net/api/beta"),
            requests_per_10s: requests(section, "requests_per_10s", 10),
            requests_per_minute: requests(section, "requests_per_minute", 55),
            writes_per_hour: requests(section, "writes_per_hour", 90),
            poll_bookings: section.or("poll_bookings", Duration::from_mins(15)),
            oauth: section.table_if("oauth", TimerexOauth::read).flatten(),
        }
    }
}
