//! The configuration that connects a service with a sandbox, as text: what the demo runs, what `lockstep sandbox
//! --print-config` prints, and what a person can look at with `--keep`.

use std::fmt::Write;

use anyhow::{Context, Result};

use crate::model::System;
use crate::sandbox::settings::{MEMBER_NUMBER, Receiver, SandboxSettings, Workspace};
use crate::sandbox::signing::Signer;
use crate::secret::Secret;

/// What the service is told besides the accounts.
pub struct Service {
    /// The public listener.
    pub public: String,
    /// The ops listener.
    pub ops: String,
    /// The store.
    pub store: String,
    /// The ops token.
    pub token: String,
    /// The mode of the workspaces, if it is set.
    pub mode: Option<&'static str>,
    /// Further lines of `[dispatch]`.
    pub dispatch: String,
    /// Further lines of each workspace's `[workspaces.policy]`.
    pub policy: String,
    /// GHL by OAuth instead of tokens: where people reach the service, and the key that seals what they grant.
    pub oauth: Option<(String, Secret)>,
    /// TimeRex by OAuth, too.
    pub timerex_oauth: bool,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            public: "127.0.0.1:8080".to_owned(),
            ops: "127.0.0.1:8081".to_owned(),
            store: "sqlite://lockstep.db".to_owned(),
            token: "sandbox-ops-token".to_owned(),
            mode: Some("live"),
            dispatch: String::new(),
            policy: String::new(),
            oauth: None,
            timerex_oauth: false,
        }
    }
}

/// The configuration for the accounts of a sandbox at `base`.
pub fn text(settings: &SandboxSettings, base: &str, service: &Service) -> Result<String> {
    let key = Signer::new(settings)?.ed25519_pem().context("the sandbox has no Ed25519 key")?;
    let timify = settings.timify.apps.first().context("the sandbox has no TIMIFY app")?;
    let mut text = format!(
        r#"[server]
public = "{public}"
ops = "{ops}"
{reached}[store]
url = "{store}"
[ops]
token = "{token}"
[dispatch]
{dispatch}
[systems.ghl]
base_url = "{base}/ghl"
app_id = "{app_id}"
ed25519_keys = ["""{key}"""]
rsa_keys = []
[systems.timify]
base_url = "{base}/timify"
[systems.timerex]
base_url = "{base}/timerex/api/beta"
requests_per_10s = 600
requests_per_minute = 3600
writes_per_hour = 3600
[connections.timify]
system = "timify"
app_id = "{timify_id}"
app_secret = "{timify_secret}"
webhook_header = "{timify_header}"
webhook_tokens = ["{timify_token}"]
"#,
        public = service.public,
        ops = service.ops,
        reached = service.oauth.as_ref().map_or_else(String::new, reached),
        store = service.store,
        token = service.token,
        dispatch = service.dispatch,
        app_id = settings.ghl.app_id,
        timify_id = timify.appid,
        timify_secret = timify.appsecret,
        timify_header = settings.timify_header.0,
        timify_token = settings.timify_header.1,
    );
    if service.oauth.is_some() {
        text.push_str(&oauth(settings, base));
    }
    if service.timerex_oauth {
        text.push_str(&timerex_oauth(settings, base));
    }
    for workspace in &settings.workspaces {
        text.push_str(&accounts(settings, workspace, base, service));
    }
    Ok(text)
}

fn reached((public_url, key): &(String, Secret)) -> String {
    format!("public_url = \"{public_url}\"\n[seal]\nkeys = [\"{}\"]\n", key.expose())
}

/// The app as an OAuth client.
fn oauth(settings: &SandboxSettings, base: &str) -> String {
    let client = &settings.ghl.client;
    format!(
        r#"[systems.ghl.oauth]
client_id = "{id}"
client_secret = "{secret}"
authorize_url = "{base}/ghl/v2/oauth/chooselocation"
companies = ["{company}"]
"#,
        id = client.id,
        secret = client.secret.expose(),
        company = settings.ghl.company.id,
    )
}

/// The same at TimeRex.
fn timerex_oauth(settings: &SandboxSettings, base: &str) -> String {
    let client = &settings.timerex.oauth;
    format!(
        r#"[systems.timerex.oauth]
client_id = "{id}"
client_secret = "{secret}"
authorize_url = "{base}/timerex/oauth/authorize"
token_url = "{base}/timerex/oauth/token"
"#,
        id = client.client_id,
        secret = client.client_secret.expose(),
    )
}

fn accounts(settings: &SandboxSettings, workspace: &Workspace, base: &str, service: &Service) -> String {
    let mut text = connections(settings, workspace, service);
    let mode = service.mode.map_or_else(String::new, |mode| format!("mode = \"{mode}\"\n"));
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        r#"[[workspaces]]
name = "{name}"
{mode}[workspaces.ghl]
location = "{location}"
connection = "ghl-{name}"
[workspaces.ghl.fields]
member_number = "{ghl_member_field}"
[workspaces.timify]
company = "{company}"
connection = "timify"
# Where no extension holds the tags, they stand in this field of the customer.
tags_field = "Tags"
[workspaces.timify.fields]
member_number = "{timify_member_field}"
[workspaces.timerex]
team = "{team}"
connection = "timerex-{name}"
[workspaces.timerex.fields]
phone = "電話番号"
member_number = "{member_number}"
# This is a rehearsal: nobody is mailed. At the real TimeRex, a cancellation over the API writes to the guest.
[workspaces.notify]
timerex = true
[workspaces.extensions.timify]
url = "{base}/extension/timify"
secrets = ["{timify_extension}"]
[workspaces.extensions.timerex]
url = "{base}/extension/timerex"
secrets = ["{timerex_extension}"]
[[workspaces.calendars]]
name = "intro"
ghl = "{ghl_calendar}"
timify_service = "{service}"
timify_resource = "{resource}"
timerex = "{calendar}"
timerex_url_path = "{calendar_path}"
[workspaces.policy]
{policy}
"#,
        name = workspace.name,
        location = workspace.ghl_location,
        ghl_member_field = workspace.ghl_member_field,
        company = workspace.timify_company,
        timify_member_field = workspace.timify_member_field,
        team = workspace.timerex_team,
        member_number = MEMBER_NUMBER,
        timify_extension = workspace.timify_extension_secret,
        timerex_extension = workspace.timerex_extension_secret,
        ghl_calendar = workspace.ghl_calendar,
        service = workspace.timify_service,
        resource = workspace.timify_resource,
        calendar = workspace.timerex_calendar,
        calendar_path = workspace.timerex_calendar_path,
        policy = service.policy,
    );
    text
}

/// The connections that are a workspace's own.
fn connections(settings: &SandboxSettings, workspace: &Workspace, service: &Service) -> String {
    let by_oauth = || "oauth = true".to_owned();
    let login = || format!("token = \"{}\"", workspace.ghl_token);
    let key = || format!("api_key = \"{}\"", workspace.timerex_key);
    format!(
        r#"[connections.ghl-{name}]
system = "ghl"
{ghl_login}
[connections.timerex-{name}]
system = "timerex"
{timerex_login}
webhook_header = "{timerex_header}"
webhook_tokens = ["{timerex_token}"]
"#,
        name = workspace.name,
        ghl_login = service.oauth.as_ref().map_or_else(login, |_| by_oauth()),
        timerex_login = if service.timerex_oauth { by_oauth() } else { key() },
        timerex_header = settings.timerex_header,
        timerex_token = workspace.timerex_webhook_token,
    )
}

/// Where the stand-ins send their webhooks, for a service whose public listener is at `service`.
pub fn receivers(settings: &SandboxSettings, service: &str) -> Vec<Receiver> {
    let url = |system: System| format!("{service}/webhooks/{system}");
    let plain = |system: System| Receiver { system, extension: false, account: None, url: url(system) };
    let mut receivers: Vec<Receiver> = System::ALL.iter().copied().map(plain).collect();
    // Without a company in the body, each company needs a URL of its own.
    let timify_apart = settings.timify.webhook.company_key.is_none();
    for workspace in &settings.workspaces {
        if timify_apart {
            let (system, account) = (System::Timify, Some(workspace.timify_company.clone()));
            let url = format!("{}/{}", url(system), workspace.name);
            receivers.push(Receiver { system, extension: false, account, url });
        }
        for (system, account) in
            [(System::Timify, &workspace.timify_company), (System::Timerex, &workspace.timerex_team)]
        {
            let url = format!("{}/{}", url(system), workspace.name);
            receivers.push(Receiver { system, extension: true, account: Some(account.clone()), url });
        }
    }
    receivers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn printed(settings: &SandboxSettings) -> Config {
        let text = text(settings, "http://127.0.0.1:8090", &Service::default()).unwrap();
        Config::read("lockstep.toml", &text, std::env::temp_dir().as_path(), []).unwrap()
    }

    #[test]
    fn the_printed_configuration_names_fields_that_the_sandbox_has_and_lets_timerex_alone_write_to_people() {
        let settings = SandboxSettings::example();
        let config = printed(&settings);
        let row = &config.workspaces[0];
        assert_eq!(row.policy.notify.iter().collect::<Vec<_>>(), [&System::Timerex]);
        let company = &settings.timify.companies[0];
        let mapped = &row.accounts[&System::Timify].fields["member_number"];
        let field = company.fields.iter().find(|field| field.id == *mapped).unwrap();
        assert_eq!(field.label.as_deref(), Some(MEMBER_NUMBER));
        assert!(company.fields.iter().any(|field| field.label == row.projection.tags_field));
        let mapped = &row.accounts[&System::Ghl].fields["member_number"];
        assert_eq!(*mapped, settings.ghl.locations[0].custom_fields[0].id);
    }

    #[test]
    fn timify_gets_a_url_for_each_company_where_its_webhooks_name_none() {
        let mut settings = SandboxSettings::with_workspaces(2);
        let of = |settings: &SandboxSettings| {
            let timify = receivers(settings, "http://here").into_iter().filter(|one| one.system == System::Timify);
            timify.filter(|one| !one.extension && one.account.is_some()).map(|one| one.url).collect::<Vec<_>>()
        };
        assert!(of(&settings).is_empty());
        settings.timify.webhook.company_key = None;
        assert_eq!(of(&settings), ["http://here/webhooks/timify/main", "http://here/webhooks/timify/ws2"]);
    }
}
