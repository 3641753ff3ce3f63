//! Reaching GHL by installs of the app, with tokens that live for seconds: what the sandbox and the service are told, owners
//! who connect, and what the stand-in saw of tokens.

use std::net::SocketAddr;
use std::time::Duration;

use lockstep::sandbox::settings::SandboxSettings;
use lockstep::secret::Secret;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::support::browser::Browser;
use crate::support::ledger::Ledger;
use crate::support::stage::Stage;

/// What tokens are sealed with.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// How long an access token lives, in seconds.
const LIFE: u32 = 3;

/// The app is installed nowhere yet, and sends people back to a service at this port. Renewing ends the access token that
/// was there before: the hardest that the vendor may do.
pub fn set(settings: &mut SandboxSettings, port: u16) {
    settings.ghl.client.redirect_uris = vec![format!("http://127.0.0.1:{port}/oauth/ghl/callback")];
    settings.ghl.oauth.access_seconds = LIFE;
    settings.ghl.oauth.refresh_ends_access = true;
    for location in &mut settings.ghl.locations {
        location.installed = false;
    }
}

/// How the service reaches GHL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// By the tokens in its configuration.
    Tokens,
    /// By installs of the app.
    Installs,
    /// The same, with leases that nobody loses on a busy machine.
    Replicas,
    /// The same, asking for lost tokens anew with the client secret: a company's have no other way back but its owner.
    InstallsAskedAnew,
}

impl Reach {
    /// What the configuration says of it, for a service that is reached at `public`.
    pub fn oauth(self, public: &str) -> Option<(String, Secret)> {
        (self != Self::Tokens).then(|| (format!("http://{public}"), Secret::new(KEY)))
    }

    /// What the environment says of it. No agency opens workspaces: the configuration names them.
    pub fn variables(self) -> Vec<(&'static str, String)> {
        let companies = ("LOCKSTEP_SYSTEMS__GHL__OAUTH__COMPANIES", String::new());
        let reconnect = ("LOCKSTEP_SYSTEMS__GHL__OAUTH__RECONNECT", (self == Self::InstallsAskedAnew).to_string());
        let lease = ("LOCKSTEP_DISPATCH__LEASE", "30s".to_owned());
        match self {
            Self::Tokens => Vec::new(),
            Self::Replicas => vec![companies, reconnect, lease],
            Self::Installs | Self::InstallsAskedAnew => vec![companies, reconnect],
        }
    }
}

/// The choice of an agency's owner: the agency with all its locations.
pub fn agency(settings: &SandboxSettings) -> String {
    let locations = settings.workspaces.iter().map(|workspace| format!("&location={}", workspace.ghl_location));
    format!("account={}{}", settings.ghl.company.id, locations.collect::<String>())
}

/// An owner connects an account in a browser at the service at this port, as soon as it answers.
pub async fn connect(port: u16, choice: &str) {
    let service = SocketAddr::from(([127, 0, 0, 1], port));
    let answering = async {
        while TcpStream::connect(service).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), answering).await.expect("nobody answers at the service");
    let (status, page) = Browser::at(service, &format!("http://{service}")).connect(choice).await;
    assert!(status.is_success(), "{status}: {page}");
}

/// How often tokens were asked for.
#[derive(Debug, Default)]
pub struct Asked {
    /// By a code or a refresh token.
    pub given: usize,
    /// The same, refused: the refresh token was spent.
    pub refused: usize,
    /// By the company's token.
    pub minted: usize,
    /// By the client secret.
    pub anew: usize,
    /// Calls for anything else at GHL.
    pub other: usize,
    /// Seconds from the first call to the last.
    pub seconds: usize,
}

/// What the GHL stand-in was asked for.
pub async fn asked(stage: &Stage) -> Asked {
    let requests = stage.get("requests").await;
    let ghl = || requests["requests"].as_array().unwrap().iter().filter(|row| row["system"] == "ghl");
    let mut asked = Asked::default();
    for row in ghl() {
        let of = match (row["path"].as_str().unwrap(), row["status"].as_u64()) {
            ("/oauth/token", Some(200)) => &mut asked.given,
            ("/oauth/token", _) => &mut asked.refused,
            ("/oauth/locationToken", _) => &mut asked.minted,
            ("/oauth/reconnect", _) => &mut asked.anew,
            _ => &mut asked.other,
        };
        *of += 1;
    }
    let at = |row: Option<&Value>| row.map_or(0, |row| row["at"].as_i64().unwrap());
    asked.seconds = usize::try_from((at(ghl().next_back()) - at(ghl().next())) / 1_000).unwrap();
    asked
}

/// What is amiss with the two installs of an agency and its location after these kills: one is not connected, or the vendor
/// was asked for more tokens than had ended.
pub async fn amiss(stage: &Stage, ledger: &Ledger, kills: usize) -> Vec<String> {
    let installs = ledger.texts("SELECT holder || ' ' || state || ' ' || COALESCE(reason, '') FROM installs").await;
    let mut differ: Vec<String> = installs
        .iter()
        .filter(|install| !install.contains(" connected "))
        .map(|one| format!("install {one}"))
        .collect();
    let asked = asked(stage).await;
    println!("{asked:?} of {} installs", installs.len());
    differ.extend((installs.len() != 2).then(|| format!("{} installs", installs.len())));
    // Tokens are renewed after three quarters of their life, and made anew where a kill lost them.
    let most = installs.len() * asked.seconds / 2 + 2 * kills;
    let all = asked.given + asked.refused + asked.minted + asked.anew;
    differ.extend((all > most).then(|| format!("{asked:?}: more than {most} calls for tokens")));
    let least = asked.seconds / LIFE as usize;
    differ.extend((asked.given < least).then(|| format!("{asked:?}: no {least} renewals; nothing was tried")));
    differ
}
