//! The vendor's OAuth calls as the dossier tells of them: codes and refresh tokens are good once, and renewing ends the
//! access token that was there before.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::model::{Holder, InstallKey};
use crate::systems::{Transport, TransportError};

const LOCATION: &str = include_str!("../../../../tests/fixtures/ghl/rest/oauth-token-response.location.json");
const COMPANY: &str = include_str!("../../../../tests/fixtures/ghl/rest/oauth-token-response.company.json");
const MINTED: &str = include_str!("../../../../tests/fixtures/ghl/rest/oauth-location-token-response.json");

/// The company of all locations here.
pub(super) const AGENCY: &str = "CompAAAAAAAAAAAAAAA1";
/// A location that is wanted.
pub(super) const HERE: &str = "LocAAAAAAAAAAAAAAAA1";
/// Another one.
pub(super) const THERE: &str = "LocAAAAAAAAAAAAAAAA2";

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// It is done, and the answer is lost.
    Cut,
    /// It is done, and the answer waits for a permit of `back`.
    Held,
    /// It is done only when there is a permit of `back`.
    Late,
    /// It is not done.
    Status(u16),
}

#[derive(Default)]
pub(super) struct Ground {
    pub(super) codes: BTreeMap<String, InstallKey>,
    pub(super) refresh: BTreeMap<String, InstallKey>,
    pub(super) access: BTreeMap<InstallKey, String>,
    pub(super) installed: BTreeSet<String>,
    pub(super) inactive: BTreeSet<String>,
    /// The scopes of the next tokens, if not those of the documents.
    pub(super) scope: Option<String>,
    /// How many seconds the next access tokens live, if not as many as in the documents.
    pub(super) life: Option<u32>,
    pub(super) faults: VecDeque<Option<Fault>>,
    pub(super) wrong_client: bool,
    /// A code that is not known is repeated in the refusal.
    pub(super) echo: bool,
    /// What was asked, in order: a word each.
    pub(super) asked: Vec<String>,
    made: u32,
}

/// The vendor.
pub(super) struct Fake {
    ground: Mutex<Ground>,
    /// What calls wait for that were told to.
    pub(super) back: Semaphore,
}

type Said = Result<Value, (u16, Value)>;

impl Fake {
    pub(super) fn new() -> Self {
        let installed = [HERE, THERE].map(ToOwned::to_owned).into();
        let ground = Ground { installed, ..Ground::default() };
        Self { ground: Mutex::new(ground), back: Semaphore::new(0) }
    }

    pub(super) fn ground(&self) -> MutexGuard<'_, Ground> {
        self.ground.lock().unwrap()
    }

    /// A code for an account.
    pub(super) fn code(&self, key: &InstallKey) -> String {
        let mut ground = self.ground();
        let code = format!("code-{}", ground.next());
        ground.codes.insert(code.clone(), key.clone());
        code
    }

    /// How often a call was made.
    pub(super) fn count(&self, word: &str) -> usize {
        self.ground().asked.iter().filter(|asked| *asked == word).count()
    }

    /// Whether requests signed so would be let in.
    pub(super) fn lets_in(&self, key: &InstallKey, header: &str) -> bool {
        self.ground().access.get(key).is_some_and(|access| header == format!("Bearer {access}"))
    }

    /// The next call goes wrong.
    pub(super) fn fail(&self, fault: Fault) {
        self.fail_after(0, fault);
    }

    /// After this many calls one goes wrong.
    pub(super) fn fail_after(&self, calls: usize, fault: Fault) {
        let mut ground = self.ground();
        ground.faults.extend(std::iter::repeat_n(None, calls));
        ground.faults.push_back(Some(fault));
    }
}

impl Ground {
    fn next(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    /// A new pair, in the form of the documents.
    fn pair(&mut self, key: &InstallKey, form: &str) -> Value {
        let n = self.next();
        let (access, refresh) = (format!("access-secret-{n}"), format!("refresh-secret-{n}"));
        self.access.insert(key.clone(), access.clone());
        self.refresh.insert(refresh.clone(), key.clone());
        let mut answer: Value = serde_json::from_str(form).unwrap();
        answer["access_token"] = json!(access);
        answer["refresh_token"] = json!(refresh);
        if key.holder == Holder::Location {
            answer["locationId"] = json!(key.account);
        }
        if let Some(scope) = &self.scope {
            answer["scope"] = json!(scope);
        }
        if let Some(life) = self.life {
            answer["expires_in"] = json!(life);
        }
        answer
    }

    fn token(&mut self, form: &BTreeMap<String, String>) -> Said {
        if form["client_id"] != "app-suffix" || form["client_secret"] != "client-secret" || self.wrong_client {
            self.asked.push("wrong client".to_owned());
            return no(400, "Invalid client credentials");
        }
        self.asked.push(form["grant_type"].clone());
        if form["grant_type"] == "authorization_code" {
            assert_eq!((form["user_type"].as_str(), form["redirect_uri"].as_str()), ("Location", super::BACK));
            let Some(key) = self.codes.remove(&form["code"]) else {
                if self.echo {
                    return no(400, &format!("Authorization code {} not found", form["code"]));
                }
                let said = json!({"error": "UnAuthorized!", "error_description": "Authorization code not found"});
                return Err((401, said));
            };
            return Ok(self.pair(&key, if key.holder == Holder::Company { COMPANY } else { LOCATION }));
        }
        let Some(key) = self.refresh.get(&form["refresh_token"]).cloned() else {
            return no(400, "Invalid grant: refresh token is invalid");
        };
        if self.inactive.contains(&key.account) {
            return no(400, "Location is not active");
        }
        let company = key.holder == Holder::Company;
        assert_eq!(form["user_type"], if company { "Company" } else { "Location" });
        self.refresh.remove(&form["refresh_token"]);
        Ok(self.pair(&key, if company { COMPANY } else { LOCATION }))
    }

    fn location_token(&mut self, form: &BTreeMap<String, String>) -> Said {
        let key = InstallKey::location(form["locationId"].clone());
        if form["companyId"] != AGENCY || !self.installed.contains(&key.account) {
            return no(400, "Location not found");
        }
        Ok(self.pair(&key, MINTED))
    }

    fn installed_locations(&self, query: &BTreeMap<String, String>) -> Value {
        assert_eq!((query["companyId"].as_str(), query["appId"].as_str()), (AGENCY, "app"));
        // One a page: the vendor may give fewer than we ask for.
        let page = self.installed.iter().skip(query["skip"].parse().unwrap()).take(1);
        let locations: Vec<Value> = page.map(|id| json!({"_id": id, "name": "Acme", "isInstalled": true})).collect();
        json!({ "locations": locations, "count": 99 })
    }

    fn reconnect(&mut self, body: &Value) -> Said {
        if body["clientKey"] != "app-suffix" || body["clientSecret"] != "client-secret" {
            return no(401, "Unauthorized");
        }
        let key = InstallKey::location(body["locationId"].as_str().unwrap());
        if !self.installed.contains(&key.account) {
            return no(400, "The app is not installed");
        }
        let code = format!("code-{}", self.next());
        self.codes.insert(code.clone(), key);
        Ok(json!({ "authorizationCode": code, "expiresAt": "2026-01-01T00:00:00Z", "traceId": "t" }))
    }

    fn uninstall(&mut self, body: &Value) -> Value {
        self.installed.remove(body["locationId"].as_str().unwrap_or_default());
        json!({ "success": true })
    }

    fn answer(&mut self, request: &Request<Bytes>) -> Said {
        let text = std::str::from_utf8(request.body()).unwrap();
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        if path == "/oauth/token" {
            assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
            return self.token(&pairs(text));
        }
        self.asked.push(path.rsplit('/').next().unwrap().to_owned());
        if request.headers().get("version").is_none_or(|version| version != "2021-07-28") {
            return no(401, "version header was not found.");
        }
        let signed = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let whose = self.access.iter().find(|(_, access)| signed.as_ref() == Some(&format!("Bearer {access}")));
        match (path, whose.map(|(key, _)| key.holder)) {
            ("/oauth/reconnect", None) => self.reconnect(&serde_json::from_str(text).unwrap()),
            (_, None) => no(401, "Invalid token: access token is invalid"),
            ("/oauth/locationToken", Some(Holder::Company)) => self.location_token(&pairs(text)),
            ("/oauth/installedLocations", Some(Holder::Company)) => Ok(self.installed_locations(&pairs(query))),
            ("/marketplace/app/app/installations", _) => Ok(self.uninstall(&serde_json::from_str(text).unwrap())),
            _ => no(404, "Not Found"),
        }
    }
}

fn no(status: u16, message: &str) -> Said {
    Err((status, json!({ "statusCode": status, "message": message })))
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let plain = |text: &str| text.replace("%2F", "/").replace("%3A", ":").replace('+', " ");
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), plain(value)));
    text.split('&').filter_map(pair).collect()
}

#[async_trait]
impl Transport for Fake {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        tokio::task::yield_now().await;
        let fault = self.ground().faults.pop_front().flatten();
        if let Some(Fault::Late) = fault {
            self.back.acquire().await.unwrap().forget();
        }
        let said = match fault {
            Some(Fault::Status(status)) => no(status, "try later"),
            _ => self.ground().answer(&request),
        };
        match fault {
            Some(Fault::Cut) => return Err(TransportError::NoAnswer("the connection was cut".to_owned())),
            Some(Fault::Held) => self.back.acquire().await.unwrap().forget(),
            _ => {}
        }
        let (status, body) = said.map_or_else(|no| no, |body| (200, body));
        // The vendor answers 201 to some of these.
        let status = if status == 200 && request.uri().path() == "/oauth/locationToken" { 201 } else { status };
        Ok(Response::builder().status(status).body(Bytes::from(body.to_string())).unwrap())
    }
}
