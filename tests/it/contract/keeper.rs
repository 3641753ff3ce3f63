//! Every OAuth call of our client, reconnecting apart (no document holds it), judged by the vendor's documents: the real
//! keeper of installs against the sandbox's pure core.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use lockstep::clock::{Clock, ManualClock, Millis};
use lockstep::credentials::oauth::{App, Finished, GhlApp, Keeper, Means, OauthApp};
use lockstep::credentials::seal::{Sealer, new_key};
use lockstep::model::{InstallKey, System};
use lockstep::sandbox::{Edit, Sandbox, SandboxSettings, StandIn};
use lockstep::secret::Secret;
use lockstep::systems::{Transport, TransportError};
use serde_json::{Value, json};

use super::bench::Core;
use super::openapi::{body_of, operation};
use crate::support::databases::Database;

/// One more than a page of locations holds.
const LOCATIONS: usize = 101;

const CODE: &str = "POST /oauth/token authorization_code Location";
const LIST: &str = "GET /oauth/installedLocations";
const MINT: &str = "POST /oauth/locationToken";

/// Notes each call before the core judges and answers it: its operation, and the words by which the same one differs.
struct Noting {
    core: Arc<Core>,
    calls: Mutex<Vec<String>>,
}

#[async_trait]
impl Transport for Noting {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let path = request.uri().path().strip_prefix("/ghl").unwrap();
        let body = body_of(request.headers(), request.body()).unwrap_or_default();
        let words = match &body {
            Value::Object(keys) if keys.contains_key("grant_type") => {
                ["grant_type", "user_type"].map(|key| format!(" {}", body[key].as_str().unwrap())).concat()
            }
            Value::Object(keys) if request.method() == "DELETE" => {
                keys.keys().flat_map(|key| [" ", key.as_str()]).collect()
            }
            _ => String::new(),
        };
        let named = operation(request.method().as_str(), path).unwrap();
        self.calls.lock().unwrap().push(named + &words);
        self.core.send(request).await
    }
}

/// An agency with its locations, and our keeper of installs there.
struct Agency {
    core: Arc<Core>,
    noting: Arc<Noting>,
    keeper: Arc<Keeper>,
    settings: SandboxSettings,
    _database: Database,
}

impl Agency {
    async fn new() -> Self {
        let mut settings = SandboxSettings::with_workspaces(LOCATIONS);
        settings.ghl.locations.iter_mut().for_each(|location| location.installed = false);
        let clock = Arc::new(ManualClock::at(Millis::parse("2026-04-01T10:00:00Z").unwrap()));
        let sandbox = Mutex::new(Sandbox::new(&settings));
        let core =
            Arc::new(Core { sandbox, clock: clock.clone(), webhooks: Mutex::default(), asked: Mutex::default() });
        let noting = Arc::new(Noting { core: core.clone(), calls: Mutex::default() });
        let database = Database::sqlite().await;
        let client = &settings.ghl.client;
        let client = OauthApp {
            system: System::Ghl,
            authorize_url: "http://sandbox.test/ghl/v2/oauth/chooselocation".to_owned(),
            token_url: "http://sandbox.test/ghl/oauth/token".to_owned(),
            client_id: client.id.clone(),
            client_secret: client.secret.clone(),
            scopes: client.scopes.clone(),
            redirect_url: client.redirect_uris[0].clone(),
            renew_before: Duration::from_hours(1),
        };
        let app = GhlApp {
            client,
            base_url: "http://sandbox.test/ghl".to_owned(),
            version_id: None,
            version: "2021-07-28".to_owned(),
            reconnect: false,
        };
        let sealer = Arc::new(Sealer::new(&[Secret::new(new_key().unwrap())]).unwrap());
        let (store, transport, owner) = (database.store.clone(), noting.clone(), "one".to_owned());
        let keeper = Keeper::new(App::Ghl(app), Means { store, sealer, transport, clock, owner }).unwrap();
        Self { core, noting, keeper, settings, _database: database }
    }

    fn location(&self, number: usize) -> String {
        self.settings.workspaces[number].ghl_location.clone()
    }

    fn company(&self) -> InstallKey {
        InstallKey::company(self.settings.ghl.company.id.clone())
    }

    /// The owner chooses an account on the vendor's page, and comes back; we want the first `wanted` locations.
    async fn connect(&self, account: &str, chosen: &[String], wanted: usize) -> Finished {
        let begun = self.keeper.begin().await.unwrap();
        let mut url = begun.url.expose().replacen("chooselocation?", "chooselocation/choose?", 1);
        url.extend([format!("&account={account}")]);
        url.extend(chosen.iter().map(|location| format!("&location={location}")));
        let request = http::Request::get(&url).body(Bytes::new()).unwrap();
        let answer = self.core.sandbox.lock().unwrap().answer(self.core.clock.now(), request).response;
        let back = reqwest::Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        let part = |name: &str| Secret::new(back.query_pairs().find(|(key, _)| key == name).unwrap().1);
        let admits = self.admitting(wanted);
        self.keeper.finish(&part("state"), &begun.cookie, &part("code"), &admits).await.unwrap()
    }

    /// The vendor tells of an install at a location, or at the agency; we want the first `wanted` locations.
    async fn told(&self, location: Option<&str>, wanted: usize) -> Finished {
        let (company, admits) = (self.company().account, self.admitting(wanted));
        self.keeper.installed(location, Some(&company), &admits).await.unwrap()
    }

    /// Wants the first so many locations.
    fn admitting(&self, wanted: usize) -> impl Fn(&str, Option<&str>) -> bool + use<> {
        let wanted: Vec<String> = (0..wanted).map(|number| self.location(number)).collect();
        move |location, _| wanted.iter().any(|one| one == location)
    }

    fn edit(&self, kind: &str, action: &str, account: &str) {
        let edit = Edit {
            action: action.to_owned(),
            kind: kind.to_owned(),
            account: account.to_owned(),
            id: None,
            parent: None,
            fields: json!({}),
        };
        self.core.sandbox.lock().unwrap().edit(self.core.clock.now(), StandIn::vendor(System::Ghl), &edit).unwrap();
    }

    /// The calls since the last look.
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.noting.calls.lock().unwrap())
    }
}

#[tokio::test]
async fn a_locations_tokens_come_are_renewed_and_go_as_documented() {
    let agency = Agency::new().await;
    let key = InstallKey::location(agency.location(0));
    assert_eq!(agency.connect(&key.account, &[], 1).await.connected, std::slice::from_ref(&key));
    assert_eq!(agency.calls(), [CODE]);
    agency.keeper.rotate(&key).await.unwrap();
    assert_eq!(agency.calls(), ["POST /oauth/token refresh_token Location"]);
    agency.core.clock.advance(Duration::from_hours(23));
    assert_eq!(agency.keeper.renew_due().await.unwrap(), 1);
    assert_eq!(agency.calls(), ["POST /oauth/token refresh_token Location"]);
    assert_eq!(agency.keeper.revoke(&key, true).await.unwrap(), [key]);
    assert_eq!(agency.calls(), ["DELETE /marketplace/app/{appId}/installations locationId"]);
}

#[tokio::test]
async fn an_agencys_tokens_list_and_mint_those_of_its_locations_as_documented() {
    let agency = Agency::new().await;
    let company = agency.company();
    let chosen: Vec<String> = (0..LOCATIONS).map(|number| agency.location(number)).collect();
    let done = agency.connect("company", &chosen, 2).await;
    assert_eq!((done.connected.len(), done.refused.len()), (3, LOCATIONS - 2));
    // Two pages with locations, and one without that is the end.
    assert_eq!(agency.calls(), [CODE, LIST, LIST, LIST, MINT, MINT]);

    let third = agency.location(2);
    assert_eq!(agency.told(Some(&third), 3).await.connected, [InstallKey::location(&third)]);
    assert_eq!(agency.calls(), [MINT]);
    assert_eq!(agency.told(None, 4).await.connected.len(), 5);
    assert_eq!(agency.calls(), [LIST, LIST, LIST, MINT]);

    let first = InstallKey::location(agency.location(0));
    agency.edit("token", "invalidate", &first.account);
    agency.edit("token", "expire", "company");
    agency.keeper.rotate(&first).await.unwrap();
    let refreshed = "POST /oauth/token refresh_token Company";
    assert_eq!(agency.calls(), ["POST /oauth/token refresh_token Location", MINT, refreshed, MINT]);

    assert_eq!(agency.keeper.revoke(&company, true).await.unwrap().len(), 5);
    assert_eq!(agency.calls(), ["DELETE /marketplace/app/{appId}/installations companyId"]);
}
