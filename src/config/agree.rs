//! Whether the parts of the configuration agree with each other.
//!
//! A secret that stands in two places would let one credential speak for what is another's (law 12), so it is a mistake;
//! so is an account that two workspaces share.

use std::collections::BTreeMap;

use super::section::Notes;
use super::workspaces::ACCOUNT_KEYS;
use super::{Config, SecretLinks, WorkspaceEntry};
use crate::model::{CalendarRow, System};
use crate::secret::Secret;

/// Where something was seen first, by what it is.
type Seen<K> = BTreeMap<K, String>;

/// Notes each disagreement.
pub(super) fn agree(config: &Config, notes: &Notes) {
    listeners(config, notes);
    let mut names = Seen::new();
    let mut accounts = Seen::new();
    for (at, workspace) in config.workspaces.iter().enumerate() {
        let path = format!("workspaces[{at}]");
        once(notes, &mut names, workspace.name.clone(), &format!("{path}.name"), "has this name too");
        if workspace.accounts.is_empty() {
            notes.blame(&format!("{path}.name"), "the workspace has no account in any system");
        }
        for (system, key) in ACCOUNT_KEYS {
            let Some(account) = workspace.accounts.get(system) else { continue };
            let key = format!("{path}.{system}.{key}");
            once(notes, &mut accounts, (*system, account.id.clone()), &key, "has this account too");
        }
        connections(config, notes, workspace, &path);
        extensions(notes, workspace, &path);
        calendars(notes, workspace, &path);
    }
    secrets(config, notes);
    oauth(config, notes);
    if config.store.secret_links == SecretLinks::Seal && config.seal.keys.is_empty() {
        notes.blame("store.secret_links", "needs [seal] keys to seal with; `lockstep key new` makes one");
    }
}

/// OAuth needs an address to come back to, and keys to seal the tokens with.
fn oauth(config: &Config, notes: &Notes) {
    let apps = config.oauth_apps();
    for (name, connection) in config.connections.iter().filter(|(_, connection)| connection.oauth) {
        let system = connection.system;
        if !apps.contains(&system) {
            let text = format!("needs [systems.{system}.oauth] with the app's client id and secret");
            notes.blame(&format!("connections.{name}.oauth"), text);
        }
    }
    for system in apps {
        let key = format!("systems.{system}.oauth.client_id");
        if config.server.public_url.is_none() {
            notes.blame(&key, format!("needs server.public_url: {system} sends people back to it"));
        }
        if config.seal.keys.is_empty() {
            notes.blame(&key, "needs [seal] keys: tokens are kept sealed; `lockstep key new` makes a key");
        }
    }
    // A stand-in may well be on plain http.
    let https = |url: &str| url.starts_with("https://");
    if let (Some(oauth), Some(public)) = (&config.systems.timerex.oauth, &config.server.public_url)
        && https(&oauth.authorize_url)
        && !https(public)
    {
        notes.blame(
            "systems.timerex.oauth.client_id",
            "needs an https server.public_url: TimeRex sends people back to no other",
        );
    }
}

fn listeners(config: &Config, notes: &Notes) {
    let server = &config.server;
    if server.public == server.ops && server.ops.port() != 0 {
        notes.blame("server.ops", "is the same address as server.public");
    }
    let gateway = |(_, connection): &(&String, &super::Connection)| {
        connection.system == System::Ghl && !connection.hmac_secrets.is_empty()
    };
    if config.systems.ghl.app_id.is_none()
        && let Some((name, _)) = config.connections.iter().find(gateway)
    {
        let key = format!("connections.{name}.hmac_secrets");
        notes.blame(&key, "webhooks of GHL are accepted only where systems.ghl.app_id is set");
    }
}

/// Notes that something stands in a second place.
fn once<K: Ord>(notes: &Notes, seen: &mut Seen<K>, what: K, key: &str, text: &str) {
    match seen.get(&what) {
        Some(first) => notes.blame(key, format!("{first} {text}")),
        None => {
            seen.insert(what, key.to_owned());
        }
    }
}

fn connections(config: &Config, notes: &Notes, workspace: &WorkspaceEntry, path: &str) {
    for (system, account) in &workspace.accounts {
        let (key, name) = (format!("{path}.{system}.connection"), &account.connection);
        match config.connections.get(name) {
            None => notes.blame(&key, format!("there is no [connections.{name}]")),
            Some(connection) if connection.system != *system => {
                notes.blame(&key, format!("[connections.{name}] is for {}, not for {system}", connection.system));
            }
            Some(_) => {}
        }
    }
}

fn extensions(notes: &Notes, workspace: &WorkspaceEntry, path: &str) {
    for system in workspace.extensions.keys().filter(|system| !workspace.accounts.contains_key(system)) {
        let key = format!("{path}.extensions.{system}.url");
        notes.blame(&key, format!("the workspace has no account in {system} that this could extend"));
    }
}

/// A column of the calendar table.
type Column = (&'static str, fn(&CalendarRow) -> Option<&String>);

/// What must tell calendars apart. Several may be one TIMIFY service or resource, so these may repeat.
const COLUMNS: &[Column] = &[
    ("name", |row| Some(&row.name)),
    ("ghl", |row| row.ghl.as_ref()),
    ("timerex", |row| row.timerex.as_ref()),
    ("timerex_url_path", |row| row.timerex_url_path.as_ref()),
];

fn calendars(notes: &Notes, workspace: &WorkspaceEntry, path: &str) {
    let mut seen = Seen::new();
    for (at, row) in workspace.calendars.iter().enumerate() {
        let path = format!("{path}.calendars[{at}]");
        if row.ghl.is_none() && workspace.accounts.contains_key(&System::Ghl) {
            notes.blame(&format!("{path}.ghl"), "is missing: the id of the calendar in GHL");
        }
        for (key, value) in COLUMNS {
            if let Some(value) = value(row) {
                once(notes, &mut seen, (*key, value.clone()), &format!("{path}.{key}"), "is the same");
            }
        }
    }
}

fn secrets(config: &Config, notes: &Notes) {
    let mut seen = Seen::new();
    let mut each = |system: System, scheme: &'static str, secrets: &[Secret], key: &str| {
        for secret in secrets {
            let text = "holds the same secret; each needs its own";
            once(notes, &mut seen, (system, scheme, secret.digest()), key, text);
        }
    };
    for (name, connection) in &config.connections {
        let path = format!("connections.{name}");
        each(connection.system, "token", &connection.webhook_tokens, &format!("{path}.webhook_tokens"));
        each(connection.system, "push", &connection.push_tokens, &format!("{path}.push_tokens"));
        each(connection.system, "hmac", &connection.hmac_secrets, &format!("{path}.hmac_secrets"));
    }
    for (at, workspace) in config.workspaces.iter().enumerate() {
        for (system, extension) in &workspace.extensions {
            each(*system, "standard", &extension.secrets, &format!("workspaces[{at}].extensions.{system}.secrets"));
        }
    }
}
