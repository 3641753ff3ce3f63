//! Every OAuth answer of the GHL stand-in, v2 and v3, judged by the documents to the key: what they leave out is listed.

use std::collections::BTreeSet;

use bytes::Bytes;
use lockstep::sandbox::Request;
use rstest::rstest;
use serde_json::{Value, json};

use super::lies;
use super::openapi::{Version, body_of, check_request, check_response_to_the_key, operation_of, promises, schemas};
use super::stand::{FOREIGN, LOCATION, Reply, Stand};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// The stand-in with the app as an OAuth client, called in one version.
struct Vendor {
    stand: Stand,
    version: Version,
    /// The documented operations that were called, each with its statuses.
    seen: BTreeSet<(String, u16)>,
}

impl Vendor {
    fn new(version: Version) -> Self {
        let mut stand = Stand::new();
        stand.ghl.settings_mut().locations.iter_mut().for_each(|location| location.installed = false);
        Self { stand, version, seen: BTreeSet::new() }
    }

    /// One of two names, by the version.
    fn of<'a>(&self, v2: &'a str, v3: &'a str) -> &'a str {
        if self.version == Version::V3 { v3 } else { v2 }
    }

    fn settings(&mut self) -> &mut lockstep::sandbox::ghl::GhlSettings {
        self.stand.ghl.settings_mut()
    }

    /// Calls, and judges the answer, and the request if it succeeded.
    fn call(&mut self, status: u16, method: &str, target: &str, token: &str, (kind, body): (&str, String)) -> Reply {
        let request = http::Request::builder()
            .method(method)
            .uri(target)
            .header("version", self.of("2021-07-28", "v3"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", kind)
            .body(Bytes::from(body))
            .unwrap();
        self.judged(status, &request)
    }

    fn judged(&mut self, status: u16, request: &Request) -> Reply {
        let (method, path) = (request.method().as_str(), request.uri().path());
        let reply = self.stand.send(request);
        let (line, body) = (format!("{method} {path}: {}", reply.body), &reply.body);
        assert_eq!(reply.status, status, "{line}");
        assert_eq!(check_response_to_the_key(self.version, method, path, status, body), [""; 0], "{line}");
        let name = operation_of(self.version, method, path).unwrap();
        let untraced = lies::UNTRACED.iter().any(|lie| lie.0 == name && lie.1.contains(&status));
        assert_eq!(body["traceId"].is_string(), !untraced, "{line}");
        if status < 300 {
            let query = request.uri().query().unwrap_or_default();
            let sent = body_of(request.headers(), request.body());
            assert_eq!(check_request(method, path, query, request.headers(), sent.as_ref()), [""; 0], "{line}");
        }
        self.seen.insert((name, status));
        reply
    }

    /// Asks for tokens as the app, with these words besides, in the names of v2.
    fn token(&mut self, status: u16, grant: &str, words: &[(&str, &str)]) -> Value {
        let client = &self.stand.ghl.settings_mut().client;
        let (id, secret) = (client.id.clone(), client.secret.expose().to_owned());
        let own = [("client_id", id.as_str()), ("client_secret", secret.as_str()), ("grant_type", grant)];
        let named: serde_json::Map<String, Value> =
            own.iter().chain(words).map(|(key, value)| (self.name(key), json!(value))).collect();
        let form: Vec<String> = named.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap())).collect();
        // v3 takes either; v2 a form only.
        let json = self.version == Version::V3 && grant == "refresh_token";
        let body = if json { (JSON, Value::Object(named).to_string()) } else { (FORM, form.join("&")) };
        self.call(status, "POST", "/oauth/token", "", body).body
    }

    /// A name of v2 in this version.
    fn name(&self, v2: &str) -> String {
        if self.version == Version::V2 {
            return v2.to_owned();
        }
        let mut words = v2.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
    }

    /// A person installs the app on the vendor's page; the code.
    fn code(&mut self, account: &str) -> String {
        let client = &self.settings().client;
        let target = format!(
            "/oauth/chooselocation/choose?response_type=code&client_id={}&redirect_uri={}&account={account}",
            client.id, client.redirect_uris[0]
        );
        let answer = self.stand.pass(&http::Request::get(target).body(Bytes::new()).unwrap());
        let back = answer.headers()["location"].to_str().unwrap();
        back.rsplit_once("code=").unwrap().1.to_owned()
    }

    /// The same, and trades the code for tokens: an access and a refresh token.
    fn install(&mut self, account: &str) -> (String, String) {
        let code = self.code(account);
        let tokens = self.token(200, "authorization_code", &[("code", &code), ("user_type", "Location")]);
        self.pair(&tokens)
    }

    fn pair(&self, tokens: &Value) -> (String, String) {
        let part = |key: &str| tokens[self.name(key)].as_str().unwrap().to_owned();
        (part("access_token"), part("refresh_token"))
    }

    fn mint(&mut self, status: u16, token: &str, more: &str) -> Value {
        let path = self.of("/oauth/locationToken", "/oauth/location-token");
        let company = self.settings().company.id.clone();
        self.call(status, "POST", path, token, (FORM, format!("companyId={company}&{more}"))).body
    }

    fn list(&mut self, status: u16, token: &str, more: &str) -> Value {
        let path = self.of("/oauth/installedLocations", "/oauth/installed-locations");
        let company = self.settings().company.id.clone();
        let target = format!("{path}?companyId={company}&{more}");
        self.call(status, "GET", &target, token, ("", String::new())).body
    }

    fn uninstall(&mut self, status: u16, token: &str, app: &str, body: &Value) -> Value {
        let path = format!("/marketplace/app/{app}/installations");
        self.call(status, "DELETE", &path, token, (JSON, body.to_string())).body
    }
}

/// Tokens for a code and for a refresh token, and why there are none.
fn tokens(vendor: &mut Vendor) {
    let (_, refresh) = vendor.install(LOCATION);
    let words = [("refresh_token", refresh.as_str()), ("user_type", "Location")];
    let renewed = vendor.token(200, "refresh_token", &words);
    assert_eq!(vendor.token(400, "refresh_token", &words)["message"], "Invalid grant: refresh token is invalid");
    let (_, refresh) = vendor.pair(&renewed);
    vendor.settings().locations[0].active = false;
    let paused = vendor.token(400, "refresh_token", &[("refresh_token", &refresh)]);
    assert_eq!(paused["message"], "Location is not active");
    vendor.settings().locations[0].active = true;
    vendor.token(400, "refresh_token", &[]);
    vendor.token(400, "client_credentials", &[]);
    let unknown = vendor.token(401, "authorization_code", &[("code", "none")]);
    assert_eq!(unknown["error_description"], "Authorization code not found");
}

/// Minting and listing by an agency, and what is refused to it and to others.
fn agencys(vendor: &mut Vendor) -> String {
    let (location, _) = vendor.install(LOCATION);
    let (agency, _) = vendor.install("company");
    let own = format!("locationId={LOCATION}");
    let minted = vendor.mint(201, &agency, &own);
    assert_eq!(minted["userType"], "Location");
    vendor.settings().oauth.location_token_status = 200;
    vendor.mint(200, &agency, &own);
    vendor.mint(401, &location, &own);
    vendor.mint(401, "none", &own);
    vendor.mint(400, &agency, &format!("locationId={FOREIGN}"));
    vendor.mint(422, &agency, "strange=1");

    let app = vendor.settings().app_id.clone();
    let known = format!("appId={app}&isInstalled=true");
    let listed = vendor.list(200, &agency, &known);
    assert_eq!(listed[vendor.of("locations", "items")][0]["_id"], LOCATION);
    vendor.install(FOREIGN);
    let paged = vendor.list(200, &agency, &format!("{known}&{}", vendor.of("skip=1&limit=1", "pageSize=1")));
    if let Some(next) = paged["pagination"]["nextPageToken"].as_str() {
        let second = vendor.list(200, &agency, &format!("{known}&pageSize=1&pageToken={next}"));
        assert_eq!(second["items"][0]["_id"], FOREIGN);
        vendor.list(400, &agency, &format!("{known}&pageToken=x"));
        vendor.list(400, &agency, &format!("{known}&pageSize=0"));
        vendor.list(404, &agency, "appId=none");
    } else {
        assert_eq!(paged["locations"][0]["_id"], FOREIGN);
        vendor.list(400, &agency, "appId=none");
    }
    vendor.list(401, &location, &known);
    vendor.list(422, &agency, &format!("{known}&strange=1"));
    agency
}

/// Taking the app out of a location and of an agency.
fn uninstalls(vendor: &mut Vendor, agency: &str) {
    let app = vendor.settings().app_id.clone();
    let (location, _) = vendor.install(LOCATION);
    vendor.uninstall(422, &location, &app, &json!({}));
    vendor.uninstall(400, &location, "none", &json!({"locationId": LOCATION}));
    let own = json!({"locationId": LOCATION, "reason": "moved"});
    assert_eq!(vendor.uninstall(200, &location, &app, &own)["success"], true);
    vendor.uninstall(401, &location, &app, &json!({"locationId": LOCATION}));
    let company = vendor.settings().company.id.clone();
    vendor.uninstall(200, agency, &app, &json!({ "companyId": company }));
}

#[rstest]
#[case::v2(Version::V2)]
#[case::v3(Version::V3)]
fn every_answer_about_tokens_and_installs_is_as_documented(#[case] version: Version) {
    let mut vendor = Vendor::new(version);
    tokens(&mut vendor);
    let agency = agencys(&mut vendor);
    uninstalls(&mut vendor, &agency);
    let (mint, list) = ("POST /oauth/locationToken", "GET /oauth/installedLocations");
    let (mint, list) =
        (vendor.of(mint, "POST /oauth/location-token"), vendor.of(list, "GET /oauth/installed-locations"));
    let mut wanted: BTreeSet<(&str, u16)> = BTreeSet::new();
    wanted.extend([200, 400, 401].map(|status| ("POST /oauth/token", status)));
    wanted.extend([200, 201, 400, 401, 422].map(|status| (mint, status)));
    wanted.extend([200, 400, 401, 422].map(|status| (list, status)));
    wanted.extend([200, 400, 401, 422].map(|status| ("DELETE /marketplace/app/{appId}/installations", status)));
    wanted.extend((version == Version::V3).then_some((list, 404)));
    assert_eq!(vendor.seen.iter().map(|(name, status)| (name.as_str(), *status)).collect::<BTreeSet<_>>(), wanted);
}

#[test]
fn what_the_documents_leave_out_is_not_in_them() {
    for (name, key, _) in lies::UNLISTED_KEYS {
        let mut found = schemas(name).peekable();
        assert!(found.peek().is_some(), "no schema {name}");
        // The original of v3 carries an older schema along, which has more.
        assert!(found.any(|schema| schema["properties"][key].is_null()), "{name}.{key} is documented");
    }
    for (name, status, documented, _) in lies::OTHER_STATUSES {
        let (method, path) = name.split_once(' ').unwrap();
        let Some((_, successes)) = promises(method, path) else { continue };
        assert!(successes.contains(&documented.to_string()) && !successes.contains(&status.to_string()), "{name}");
    }
}
