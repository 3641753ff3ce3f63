//! `[connections.NAME]`: credentials at a vendor, ours towards it and its towards us.

use std::collections::BTreeMap;

use http::HeaderName;

use super::section::Section;
use crate::credentials::login::{Login, TimifyLogin};
use crate::model::System;
use crate::secret::Secret;

/// The fewest characters of a token of our own making.
const SHORTEST_TOKEN: usize = 16;

/// `[connections.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Which system it is for.
    pub system: System,
    /// What we show the vendor; `None`: kept sealed in the store.
    pub login: Option<Login>,
    /// Whether the tokens come from installs of our app: of GHL one for each location, of TimeRex one for each user.
    pub oauth: bool,
    /// The header in which this connection's webhooks carry a token.
    pub webhook_header: Option<HeaderName>,
    /// The tokens that are accepted in it.
    pub webhook_tokens: Vec<Secret>,
    /// The tokens that are accepted in the body of TimeRex's push notifications; links are watched with the first.
    pub push_tokens: Vec<Secret>,
    /// The header in which a gateway in front of us signs.
    pub hmac_header: Option<HeaderName>,
    /// The secrets it may sign with.
    pub hmac_secrets: Vec<Secret>,
}

impl Connection {
    pub(super) fn read_all(root: &Section<'_>) -> BTreeMap<String, Self> {
        let read = |name: &str, section: &Section<'_>| {
            if !is_name(name) {
                section.mistake("", NAME_RULE);
            }
            // Which keys there are depends on the system: without it the rest says nothing.
            let system = section.must("system");
            system.map(|system| (name.to_owned(), Self::read(section, system)))
        };
        root.named("connections", read).into_iter().flatten().collect()
    }

    fn read(section: &Section<'_>, system: System) -> Self {
        let login = match system {
            System::Ghl => section.secret("token").map(Login::Ghl),
            System::Timify => timify_login(section),
            System::Timerex => section.secret("api_key").map(Login::Timerex),
        };
        let key = match system {
            System::Ghl => Some("token"),
            System::Timify => None,
            System::Timerex => Some("api_key"),
        };
        let oauth = key.is_some() && section.or("oauth", false);
        if let Some(key) = key.filter(|_| oauth && login.is_some()) {
            section.mistake(key, "is set besides `oauth`; keep one of them");
        }
        let (webhook_header, webhook_tokens) = match system {
            System::Ghl => (None, Vec::new()),
            System::Timify => (section.maybe("webhook_header"), section.secrets("webhook_tokens")),
            System::Timerex => {
                let header = section.or("webhook_header", HeaderName::from_static("x-timerex-authorization"));
                (Some(header), section.secrets("webhook_tokens"))
            }
        };
        let push_tokens = if system == System::Timerex { push_tokens(section) } else { Vec::new() };
        let (hmac_header, hmac_secrets) = (section.maybe("hmac_header"), section.secrets("hmac_secrets"));
        needs_header(section, "webhook_header", webhook_header.as_ref(), "webhook_tokens", &webhook_tokens);
        needs_header(section, "hmac_header", hmac_header.as_ref(), "hmac_secrets", &hmac_secrets);
        Self { system, login, oauth, webhook_header, webhook_tokens, push_tokens, hmac_header, hmac_secrets }
    }
}

/// Tokens of our own making; nothing else proves who sends a push.
fn push_tokens(section: &Section<'_>) -> Vec<Secret> {
    let tokens = section.secrets("push_tokens");
    if tokens.iter().any(|token| token.expose().trim().len() < SHORTEST_TOKEN) {
        let text = format!(
            "one is shorter than {SHORTEST_TOKEN} characters; it is yours to choose, and nobody is to guess it"
        );
        section.mistake("push_tokens", text);
    }
    tokens
}

fn needs_header(section: &Section<'_>, key: &str, header: Option<&HeaderName>, list: &str, secrets: &[Secret]) {
    if header.is_none() && !secrets.is_empty() {
        section.mistake(key, format!("is missing: `{list}` are looked for in it"));
    }
    if secrets.iter().any(|secret| secret.expose().trim().is_empty()) {
        section.mistake(list, "one is empty");
    }
}

fn timify_login(section: &Section<'_>) -> Option<Login> {
    match (section.secret("app_id"), section.secret("app_secret")) {
        (Some(app_id), Some(app_secret)) => Some(Login::Timify(TimifyLogin { app_id, app_secret })),
        (None, None) => None,
        (Some(_), None) => {
            section.mistake("app_secret", "is missing; `app_id` is set");
            None
        }
        (None, Some(_)) => {
            section.mistake("app_id", "is missing; `app_secret` is set");
            None
        }
    }
}

/// What [`is_name`] asks for.
pub(super) const NAME_RULE: &str = "a name has 1 to 64 letters, digits, `-`, `_` or `.`";

/// Whether a text can be a name: names stand in routes, logs and keys.
pub(super) fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=64).contains(&text.len()) && text.chars().all(fits)
}
