//! The configuration that connects a service with a sandbox, as text: what the demo runs, what `lockstep sandbox
//! --print-config` prints, and what a person can look at with `--keep`.

use std::fmt::Write;

use anyhow::{Context, Result};

use crate::model::System;
use crate::sandbox::settings::{Receiver, SandboxSettings, Workspace};
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
    let name = &workspace.name;
    let mode = service.mode.map_or_else(String::new, |mode| format!("mode = \"{mode}\"\n"));
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        r#"[connections.ghl-{name}]
system = "ghl"
{ghl_login}
[connections.timerex-{name}]
system = "timerex"
{timerex_login}
webhook_header = "{timerex_header}"
webhook_tokens = ["{timerex_token}"]
[[workspaces]]
name = "{name}"
{mode}[workspaces.ghl]
location = "{location}"
connection = "ghl-{name}"
[workspaces.timify]
company = "{company}"
connection = "timify"
[workspaces.timerex]
team = "{team}"
connection = "timerex-{name}"
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
        ghl_login = service
            .oauth
            .as_ref()
            .map_or_else(|| format!("token = \"{}\"", workspace.ghl_token), |_| "oauth = true".to_owned()),
        timerex_login = if service.timerex_oauth {
            "oauth = true".to_owned()
        } else {
            format!("api_key = \"{}\"", workspace.timerex_key)
        },
        timerex_header = settings.timerex_header,
        timerex_token = workspace.timerex_webhook_token,
        location = workspace.ghl_location,
        company = workspace.timify_company,
        team = workspace.timerex_team,
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

/// Where the stand-ins send their webhooks, for a service whose public listener is at `service`.
pub fn receivers(settings: &SandboxSettings, service: &str) -> Vec<Receiver> {
    let url = |system: System| format!("{service}/webhooks/{system}");
    let plain = |system: System| Receiver { system, extension: false, account: None, url: url(system) };
    let mut receivers: Vec<Receiver> = System::ALL.iter().copied().map(plain).collect();
    for workspace in &settings.workspaces {
        for (system, account) in
            [(System::Timify, &workspace.timify_company), (System::Timerex, &workspace.timerex_team)]
        {
            let url = format!("{}/{}", url(system), workspace.name);
            receivers.push(Receiver { system, extension: true, account: Some(account.clone()), url });
        }
    }
    receivers
}
