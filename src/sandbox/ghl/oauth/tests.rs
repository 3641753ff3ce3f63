//! Consent, tokens, installs and refusals, as the vendor's own words have them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use rstest::rstest;
use serde_json::{Value, json};

use super::settings::TargetUser;
use crate::clock::Millis;
use crate::sandbox::ghl::{Ghl, GhlSettings, LocationSettings, TokenSettings};
use crate::sandbox::{Edit, EditRefused, Response, Turn, Webhook, World};

const ONE: &str = "LocAAAAAAAAAAAAAAAA1";
const TWO: &str = "LocBBBBBBBBBBBBBBBB2";
const APP: &str = "65a0b1c2d3e4f5a6b7c8d9e0";
const CLIENT: &str = "65a0b1c2d3e4f5a6b7c8d9e0-sandbox1";
const SECRET: &str = "00000000-0000-4000-8000-0000000000bb";
const COMPANY: &str = "Cmp0SandboxAgency001";
const BACK: &str = "http://127.0.0.1:8080/oauth/ghl/callback";
const FOREIGN_CLASS: &str = "This authClass type is not allowed to access this scope. Please verify your IAM \
                             configuration if this is not the case.";

struct Bench {
    ghl: Ghl,
    now: Millis,
    rng: fastrand::Rng,
    sent: Vec<Webhook>,
}

struct Reply {
    status: u16,
    headers: http::HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    fn of(response: &Response) -> Self {
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        Self { status: response.status().as_u16(), headers: response.headers().clone(), text }
    }
}

/// What a call carries besides its target.
#[derive(Default, Clone, Copy)]
struct With<'a> {
    token: &'a str,
    version: &'a str,
    kind: &'a str,
    body: &'a str,
}

const FORM: &str = "application/x-www-form-urlencoded";

impl Bench {
    fn new() -> Self {
        let uninstalled = |id, name| LocationSettings { installed: false, ..LocationSettings::new(id, name) };
        let settings = GhlSettings {
            locations: vec![uninstalled(ONE, "One & <only>"), uninstalled(TWO, "Two")],
            tokens: vec![TokenSettings::full("pit-one", &[ONE]), TokenSettings::agency("pit-agency")],
            ..GhlSettings::default()
        };
        let (now, rng) = (Millis::parse("2026-11-21T09:00:00.000Z").unwrap(), fastrand::Rng::with_seed(7));
        Self { ghl: Ghl::new(settings), now, rng, sent: Vec::new() }
    }

    fn advance(&mut self, seconds: i64) {
        self.now = Millis(self.now.0 + seconds * 1_000);
    }

    fn call(&mut self, method: &str, target: &str, with: With<'_>) -> Reply {
        let named = [("authorization", format!("Bearer {}", with.token)), ("version", with.version.to_owned())];
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in named.into_iter().filter(|(_, value)| !value.is_empty() && value != "Bearer ") {
            request = request.header(name, value);
        }
        let request = request.header("content-type", with.kind).body(Bytes::from(with.body.to_owned())).unwrap();
        let mut turn = Turn { now: self.now, real: self.now, rng: &mut self.rng, webhooks: Vec::new() };
        let reply = Reply::of(&self.ghl.answer(&request, &mut turn));
        self.sent = turn.webhooks;
        reply
    }

    /// An authenticated call under the usual version.
    fn v2(&mut self, method: &str, target: &str, token: &str, body: &str) -> Reply {
        let kind = if body.starts_with('{') { "application/json" } else { FORM };
        self.call(method, target, With { token, version: "2021-07-28", kind, body })
    }

    fn edit(&mut self, kind: &str, action: &str, account: &str) -> Result<String, EditRefused> {
        let edit = Edit {
            action: action.to_owned(),
            kind: kind.to_owned(),
            account: account.to_owned(),
            id: None,
            parent: None,
            fields: json!({}),
        };
        let mut turn = Turn { now: self.now, real: self.now, rng: &mut self.rng, webhooks: Vec::new() };
        let done = self.ghl.edit(&edit, &mut turn);
        self.sent = turn.webhooks;
        done
    }

    /// Chooses an account on the page; gives the code.
    fn chosen(&mut self, account: &str, scope: &str, more: &str) -> String {
        let query = authorize(scope, "s%2F1%20%2B");
        let target = format!("/v2/oauth/chooselocation/choose?{query}&account={account}{more}");
        let reply = self.call("GET", &target, With::default());
        assert_eq!(reply.status, 302, "{}", reply.text);
        let back = reply.headers["location"].to_str().unwrap().to_owned();
        let rest = back.strip_prefix(&format!("{BACK}?code=")).unwrap();
        let (code, state) = rest.split_once("&state=").unwrap();
        assert_eq!(state, "s%2F1%20%2B");
        code.to_owned()
    }

    fn token(&mut self, body: &str) -> Reply {
        self.call("POST", "/oauth/token", With { kind: FORM, body, ..With::default() })
    }

    fn exchanged(&mut self, code: &str) -> Value {
        let reply = self.token(&format!(
            "client_id={CLIENT}&client_secret={SECRET}&grant_type=authorization_code&code={code}&redirect_uri={BACK}"
        ));
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    }

    fn refreshed(&mut self, refresh: &str) -> Reply {
        self.token(&format!(
            "client_id={CLIENT}&client_secret={SECRET}&grant_type=refresh_token&refresh_token={refresh}"
        ))
    }

    /// Installs at a location by OAuth; gives the token answer.
    fn location(&mut self, id: &str, scope: &str) -> Value {
        let code = self.chosen(id, scope, "");
        self.exchanged(&code)
    }

    /// Installs at the agency, for location ONE too; gives the access token.
    fn agency(&mut self) -> String {
        let code = self.chosen("company", "", &format!("&location={ONE}"));
        text(&self.exchanged(&code), "access_token")
    }

    fn types(&self) -> Vec<&str> {
        self.sent.iter().map(|webhook| webhook.body["type"].as_str().unwrap()).collect()
    }
}

fn authorize(scope: &str, state: &str) -> String {
    format!("response_type=code&client_id={CLIENT}&redirect_uri={BACK}&scope={scope}&state={state}")
}

fn text(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap().to_owned()
}

fn keys(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_page_offers_every_location_and_the_agency_and_carries_the_request_on() {
    let mut bench = Bench::new();
    for path in ["/oauth/chooselocation", "/v2/oauth/chooselocation"] {
        let reply = bench.call("GET", &format!("{path}?{}", authorize("contacts.readonly", "a%22b")), With::default());
        assert_eq!((reply.status, reply.headers["content-type"].to_str().unwrap()), (200, "text/html; charset=utf-8"));
        assert_eq!(reply.text.matches("<form action=\"chooselocation/choose\"").count(), 3);
        assert!(reply.text.contains("value=\"a&quot;b\""), "the state is carried, escaped");
        assert!(reply.text.contains("One &amp; &lt;only&gt;"));
        assert!(bench.sent.is_empty(), "looking installs nothing");
    }
}

#[rstest]
#[case::foreign_client("client_id", "65a0b1c2d3e4f5a6b7c8d9e0-sandbox2", "there is no such client_id")]
#[case::foreign_redirect("redirect_uri", "https://evil.example/", "redirect_uri is none of the app's")]
#[case::no_code("response_type", "token", "response_type must be code")]
fn an_authorize_url_that_is_not_the_apps_installs_nothing(
    #[case] key: &str,
    #[case] value: &str,
    #[case] message: &str,
) {
    let mut bench = Bench::new();
    let spoilt: Vec<String> = authorize("", "s")
        .split('&')
        .map(|pair| if pair.starts_with(&format!("{key}=")) { format!("{key}={value}") } else { pair.to_owned() })
        .collect();
    for path in ["chooselocation", "chooselocation/choose"] {
        let target = format!("/v2/oauth/{path}?{}&account={ONE}", spoilt.join("&"));
        let reply = bench.call("GET", &target, With::default());
        assert_eq!((reply.status, reply.text.contains(message)), (400, true), "{}", reply.text);
        assert!(bench.sent.is_empty());
    }
}

#[test]
fn a_private_app_needs_its_version_in_the_authorize_url() {
    let mut bench = Bench::new();
    bench.ghl.settings_mut().client.version_id = Some(APP.to_owned());
    let target = format!("/v2/oauth/chooselocation?{}", authorize("", "s"));
    let reply = bench.call("GET", &target, With::default());
    assert!((reply.status, reply.text.contains("error.noversionid")) == (400, true));
    assert_eq!(bench.call("GET", &format!("{target}&version_id={APP}"), With::default()).status, 200);
}

#[test]
fn a_location_install_is_told_in_the_observed_form_before_the_code_is_used() {
    let mut bench = Bench::new();
    let code = bench.chosen(ONE, "contacts.readonly", "");
    let told = bench.sent[0].body.clone();
    let observed = "type appId versionId installType locationId companyId userId companyName isWhitelabelCompany \
                    whitelabelDetails trial timestamp webhookId";
    assert_eq!(keys(&told), observed.split_whitespace().collect::<Vec<_>>());
    assert_eq!((&told["type"], &told["appId"]), (&json!("INSTALL"), &json!(APP)));
    assert_eq!((&told["locationId"], &told["companyId"]), (&json!(ONE), &json!(COMPANY)));
    assert_eq!((bench.sent.len(), bench.sent[0].account.as_str()), (1, ONE));
    let tokens = bench.exchanged(&code);
    let shape = "access_token token_type expires_in refresh_token scope refreshTokenId userType companyId locationId \
                 isBulkInstallation userId";
    assert_eq!(keys(&tokens), shape.split_whitespace().collect::<Vec<_>>());
    assert_eq!((&tokens["expires_in"], &tokens["token_type"]), (&json!(86_399), &json!("Bearer")));
    assert_eq!((&tokens["userType"], &tokens["isBulkInstallation"]), (&json!("Location"), &json!(false)));
    assert_eq!((&tokens["scope"], &tokens["locationId"]), (&json!("contacts.readonly"), &json!(ONE)));
    assert_eq!(tokens["userId"], told["userId"]);
}

#[test]
fn an_access_token_is_a_jwt_with_the_claims_that_were_seen() {
    let mut bench = Bench::new();
    let tokens = bench.location(ONE, "contacts.readonly");
    let access = text(&tokens, "access_token");
    let claims: Value = serde_json::from_slice(&BASE64.decode(access.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert_eq!((&claims["authClass"], &claims["authClassId"]), (&json!("Location"), &json!(ONE)));
    assert_eq!((&claims["sourceId"], &claims["channel"]), (&json!(CLIENT), &json!("OAUTH")));
    assert_eq!(claims["oauthMeta"]["scopes"], json!(["contacts.readonly"]));
    assert!(access.len() > 500 && !format!("{:?}", bench.ghl).contains(&access));
}

#[test]
fn an_agency_install_is_told_once_for_itself_and_once_for_each_chosen_location() {
    let mut bench = Bench::new();
    let code = bench.chosen(COMPANY, "contacts.readonly%20oauth.write", &format!("&location={ONE}&location={TWO}"));
    assert_eq!(bench.types(), ["INSTALL"; 3]);
    let agency = &bench.sent[0].body;
    let shape = ["type", "appId", "versionId", "installType", "companyId", "trial", "timestamp", "webhookId"];
    assert_eq!(keys(agency), shape);
    assert_eq!((&agency["installType"], bench.sent[0].account.as_str()), (&json!("Company"), COMPANY));
    let locations: Vec<_> =
        bench.sent[1..].iter().map(|webhook| webhook.body["locationId"].as_str().unwrap()).collect();
    assert_eq!(locations, [ONE, TWO]);
    let ids: std::collections::BTreeSet<_> = bench.sent.iter().map(|webhook| &webhook.id).collect();
    assert_eq!(ids.len(), 3);
    let tokens = bench.exchanged(&code);
    assert_eq!((&tokens["userType"], &tokens["isBulkInstallation"]), (&json!("Company"), &json!(true)));
    assert_eq!((tokens.get("locationId"), tokens.get("approvedLocations")), (None, None));
}

#[rstest]
#[case::cut_to_the_app("contacts.readonly%20workflows.readonly", "contacts.readonly")]
#[case::each_once("contacts.write+contacts.readonly+contacts.write", "contacts.write contacts.readonly")]
#[case::none_of_ours("workflows.readonly", "")]
fn scopes_are_what_was_asked_for_and_the_app_allows(#[case] asked: &str, #[case] granted: &str) {
    assert_eq!(Bench::new().location(ONE, asked)["scope"], json!(granted));
}

#[test]
fn an_app_for_agencies_gets_no_scopes_of_locations_and_is_not_offered_to_them() {
    let mut bench = Bench::new();
    bench.ghl.settings_mut().client.target = TargetUser::Agency;
    let query = authorize("", "s");
    let page = bench.call("GET", &format!("/oauth/chooselocation?{query}"), With::default());
    assert_eq!(page.text.matches("<form").count(), 1);
    let target = format!("/oauth/chooselocation/choose?{query}&account={ONE}");
    assert_eq!(bench.call("GET", &target, With::default()).status, 400);
    let code = bench.chosen("company", "contacts.readonly%20oauth.write", "");
    assert_eq!(bench.exchanged(&code)["scope"], json!("oauth.write"));
}

const NO_CODE: &str = r#"{"error":"UnAuthorized!","error_description":"Authorization code not found"}"#;

#[test]
fn a_code_counts_once_and_for_ten_minutes() {
    let mut bench = Bench::new();
    let ask =
        |code: &str| format!("client_id={CLIENT}&client_secret={SECRET}&grant_type=authorization_code&code={code}");
    let code = bench.chosen(ONE, "", "");
    bench.exchanged(&code);
    let again = bench.token(&ask(&code));
    assert_eq!((again.status, again.text.as_str()), (401, NO_CODE));
    let late = bench.chosen(ONE, "", "");
    bench.advance(600);
    assert_eq!(bench.token(&ask(&late)).text, NO_CODE);
}

#[test]
fn a_wrong_client_is_answered_like_an_unknown_code_and_burns_none() {
    let mut bench = Bench::new();
    let code = bench.chosen(ONE, "", "");
    for (client, secret, code) in [(CLIENT, "wrong", &*code), ("other-1", SECRET, &*code), (CLIENT, SECRET, "unknown")]
    {
        let body = format!("client_id={client}&client_secret={secret}&grant_type=authorization_code&code={code}");
        let reply = bench.token(&body);
        assert_eq!((reply.status, reply.text.as_str()), (401, NO_CODE));
    }
    bench.exchanged(&code);
}

#[rstest]
#[case::no_client("grant_type=refresh_token", "Missing parameter: clientId")]
#[case::no_secret("client_id=C", "Missing parameter: clientSecret")]
#[case::no_grant("client_id=C&client_secret=S", "Missing parameter: grantType")]
#[case::odd_grant("client_id=C&client_secret=S&grant_type=password", "Invalid parameter: grantType")]
#[case::client_grant("client_id=C&client_secret=S&grant_type=client_credentials", "Invalid parameter: grantType")]
#[case::odd_user("client_id=C&client_secret=S&grant_type=refresh_token&user_type=x", "Invalid parameter: userType")]
#[case::no_code("client_id=C&client_secret=S&grant_type=authorization_code", "Missing parameter: code")]
#[case::no_refresh("client_id=C&client_secret=S&grant_type=refresh_token", "Missing parameter: refreshToken")]
#[case::wrong_client(
    "client_id=X&client_secret=S&grant_type=refresh_token&refresh_token=r",
    "Invalid parameter: clientId"
)]
#[case::wrong_secret(
    "client_id=C&client_secret=X&grant_type=refresh_token&refresh_token=r",
    "Invalid parameter: clientSecret"
)]
#[case::unknown_refresh(
    "client_id=C&client_secret=S&grant_type=refresh_token&refresh_token=r",
    "Invalid grant: refresh token is invalid"
)]
fn what_is_wrong_with_a_token_request_is_named(#[case] body: &str, #[case] message: &str) {
    let body = body.replace("=C", &format!("={CLIENT}")).replace("=S", &format!("={SECRET}"));
    let reply = Bench::new().token(&body);
    assert_eq!((reply.status, reply.message().as_str()), (400, message));
    assert_eq!(reply.json()["statusCode"], json!(400));
    assert!(reply.json()["traceId"].is_string());
}

#[test]
fn another_redirect_than_the_one_used_is_refused() {
    let mut bench = Bench::new();
    let code = bench.chosen(ONE, "", "");
    let body = format!(
        "client_id={CLIENT}&client_secret={SECRET}&grant_type=authorization_code&code={code}&redirect_uri=http://x/"
    );
    assert_eq!(bench.token(&body).message(), "Invalid parameter: redirectUri");
    bench.exchanged(&code);
}

#[test]
fn v3_speaks_camel_case_in_json_and_in_forms() {
    let mut bench = Bench::new();
    let code = bench.chosen(ONE, "contacts.readonly", "");
    let ask = json!({"clientId": CLIENT, "clientSecret": SECRET, "grantType": "authorization_code", "code": code});
    let with = With { version: "v3", kind: "application/json", body: &ask.to_string(), ..With::default() };
    let tokens = bench.call("POST", "/oauth/token", with).json();
    assert_eq!(keys(&tokens)[..5], ["accessToken", "tokenType", "expiresIn", "refreshToken", "scope"]);
    let refresh = text(&tokens, "refreshToken");
    let form = format!("clientId={CLIENT}&clientSecret={SECRET}&grantType=refresh_token&refreshToken={refresh}");
    let reply = bench.call("POST", "/oauth/token", With { body: &form, kind: FORM, ..with });
    assert_eq!((reply.status, reply.json()["accessToken"].is_string()), (200, true));
    let snake = bench.call("POST", "/oauth/token", With { body: "client_id=x", kind: FORM, ..with });
    assert_eq!(snake.message(), "Missing parameter: clientId");
}

#[test]
fn v2_takes_json_too() {
    let mut bench = Bench::new();
    let code = bench.chosen(ONE, "", "");
    let ask = json!({"client_id": CLIENT, "client_secret": SECRET, "grant_type": "authorization_code", "code": code});
    let with = With { kind: "application/json; charset=utf-8", body: &ask.to_string(), ..With::default() };
    assert_eq!(bench.call("POST", "/oauth/token", with).status, 200);
    let broken = bench.call("POST", "/oauth/token", With { body: "[1]", ..with });
    assert_eq!(broken.status, 400);
}

#[test]
fn a_refresh_token_counts_once_and_gives_a_new_pair_with_the_same_scopes() {
    let mut bench = Bench::new();
    let first = bench.location(ONE, "locations.readonly");
    let second = bench.refreshed(&text(&first, "refresh_token"));
    assert_eq!((second.status, &second.json()["scope"]), (200, &first["scope"]));
    assert_ne!(second.json()["access_token"], first["access_token"]);
    assert_ne!(second.json()["refresh_token"], first["refresh_token"]);
    assert_ne!(second.json()["refreshTokenId"], first["refreshTokenId"]);
    let again = bench.refreshed(&text(&first, "refresh_token"));
    assert_eq!((again.status, again.message().as_str()), (400, "Invalid grant: refresh token is invalid"));
    assert_eq!(bench.refreshed(&text(&second.json(), "refresh_token")).status, 200, "a reuse ends nothing else");
}

#[rstest]
#[case::as_usual(false, 200)]
#[case::if_it_does(true, 401)]
fn a_refresh_ends_the_old_access_token_only_if_told_so(#[case] ends: bool, #[case] status: u16) {
    let mut bench = Bench::new();
    bench.ghl.settings_mut().oauth.refresh_ends_access = ends;
    let first = bench.location(ONE, "locations.readonly");
    bench.refreshed(&text(&first, "refresh_token"));
    let reply = bench.v2("GET", &format!("/locations/{ONE}"), &text(&first, "access_token"), "");
    assert_eq!(reply.status, status);
}

#[test]
fn an_access_token_ends_by_the_clock_and_its_refresh_token_a_year_later() {
    let mut bench = Bench::new();
    bench.ghl.settings_mut().oauth.access_seconds = 5;
    let tokens = bench.location(ONE, "locations.readonly");
    let (access, target) = (text(&tokens, "access_token"), format!("/locations/{ONE}"));
    assert_eq!(tokens["expires_in"], json!(5));
    assert_eq!(bench.v2("GET", &target, &access, "").status, 200);
    bench.advance(5);
    let reply = bench.v2("GET", &target, &access, "");
    assert_eq!((reply.status, reply.message().as_str()), (401, "Invalid token: access token is invalid"));
    bench.advance(31_536_000);
    let late = bench.refreshed(&text(&tokens, "refresh_token"));
    assert_eq!(late.message(), "Invalid grant: refresh token is invalid");
}

#[test]
fn a_paused_location_keeps_its_refresh_token_good() {
    let mut bench = Bench::new();
    let tokens = bench.location(ONE, "");
    bench.edit("location", "deactivate", ONE).unwrap();
    let paused = bench.refreshed(&text(&tokens, "refresh_token"));
    assert_eq!((paused.status, paused.message().as_str()), (400, "Location is not active"));
    bench.edit("location", "activate", ONE).unwrap();
    assert_eq!(bench.refreshed(&text(&tokens, "refresh_token")).status, 200);
}

#[test]
fn an_agency_makes_a_location_token_with_a_refresh_token_of_its_own() {
    let mut bench = Bench::new();
    let code = bench.chosen("company", "locations.readonly%20oauth.write", &format!("&location={ONE}"));
    let agency = text(&bench.exchanged(&code), "access_token");
    let form = format!("companyId={COMPANY}&locationId={ONE}");
    let reply = bench.v2("POST", "/oauth/locationToken", &agency, &form);
    let minted = reply.json();
    assert_eq!(reply.status, 201, "{minted}");
    let shape = "access_token token_type expires_in refresh_token scope userType companyId locationId userId traceId";
    assert_eq!(keys(&minted), shape.split_whitespace().collect::<Vec<_>>());
    assert_eq!(minted["scope"], json!("locations.readonly oauth.write oauth.readonly"));
    assert_eq!(reply.headers["x-ratelimit-remaining"], "99");
    let access = text(&minted, "access_token");
    assert_eq!(bench.v2("GET", &format!("/locations/{ONE}"), &access, "").status, 200);
    let refreshed = bench.refreshed(&text(&minted, "refresh_token")).json();
    assert_eq!((&refreshed["userType"], &refreshed["locationId"]), (&json!("Location"), &json!(ONE)));
    bench.ghl.settings_mut().oauth.location_token_status = 200;
    assert_eq!(bench.v2("POST", "/oauth/locationToken", &agency, &form).status, 200);
}

#[test]
fn a_location_token_is_for_agencies_and_locations_with_the_app() {
    let mut bench = Bench::new();
    let (agency, location) = (bench.agency(), text(&bench.location(ONE, "oauth.write"), "access_token"));
    let form = format!("companyId={COMPANY}&locationId={ONE}");
    for token in ["pit-one", "pit-agency", &location] {
        let reply = bench.v2("POST", "/oauth/locationToken", token, &form);
        assert_eq!((reply.status, reply.message().as_str()), (401, FOREIGN_CLASS));
    }
    let without = bench.v2("POST", "/oauth/locationToken", &agency, &format!("companyId={COMPANY}&locationId={TWO}"));
    assert_eq!(without.status, 400);
    let foreign = bench.v2("POST", "/oauth/locationToken", &agency, &format!("companyId=x&locationId={ONE}"));
    assert_eq!(foreign.status, 403);
    let missing = bench.v2("POST", "/oauth/locationToken", &agency, &format!("companyId={COMPANY}"));
    assert_eq!((missing.status, &missing.json()["message"]), (422, &json!(["locationId should not be empty"])));
    bench.edit("location", "deactivate", ONE).unwrap();
    let paused = bench.v2("POST", "/oauth/locationToken", &agency, &form);
    assert_eq!((paused.status, paused.message().as_str()), (400, "Location is not active"));
    let bare =
        bench.call("POST", "/oauth/locationToken", With { token: &agency, body: &form, kind: FORM, version: "" });
    assert_eq!((bare.status, bare.message().as_str()), (401, "version header was not found."));
}

#[test]
fn an_agency_without_the_scope_makes_no_location_token() {
    let mut bench = Bench::new();
    let code = bench.chosen("company", "contacts.readonly", &format!("&location={ONE}"));
    let agency = text(&bench.exchanged(&code), "access_token");
    let form = format!("companyId={COMPANY}&locationId={ONE}");
    let reply = bench.v2("POST", "/oauth/locationToken", &agency, &form);
    assert_eq!((reply.status, reply.message().as_str()), (401, "The token is not authorized for this scope."));
}

#[test]
fn paths_in_kebab_case_are_there_under_v3_only() {
    let mut bench = Bench::new();
    let agency = bench.agency();
    let form = format!("companyId={COMPANY}&locationId={ONE}");
    assert_eq!(bench.v2("POST", "/oauth/location-token", &agency, &form).status, 404);
    let v3 = With { token: &agency, version: "v3", kind: FORM, body: &form };
    for path in ["/oauth/location-token", "/oauth/locationToken"] {
        let reply = bench.call("POST", path, v3);
        assert_eq!((reply.status, reply.json()["refreshToken"].is_string()), (201, true));
    }
    let list = format!("/oauth/installed-locations?companyId={COMPANY}&appId={APP}");
    assert_eq!(bench.v2("GET", &list, &agency, "").status, 404);
    assert_eq!(bench.call("GET", &list, v3).status, 200);
}

#[test]
fn locations_are_listed_with_whether_they_have_the_app() {
    let mut bench = Bench::new();
    let agency = bench.agency();
    let list = |more: &str| format!("/oauth/installedLocations?companyId={COMPANY}&appId={APP}{more}");
    let all = bench.v2("GET", &list(""), &agency, "").json();
    assert_eq!(keys(&all), ["locations", "count", "installToFutureLocations", "traceId"]);
    assert_eq!(
        all["locations"][0],
        json!({"_id": ONE, "name": "One & <only>", "address": "", "isInstalled": true, "versionId": APP,
               "installedAt": "2026-11-21T09:00:00.000Z"})
    );
    assert_eq!(all["locations"][1], json!({"_id": TWO, "name": "Two", "address": "", "isInstalled": false}));
    let mut ids = |more: &str| {
        let page = bench.v2("GET", &list(more), &agency, "").json();
        let ids = page["locations"].as_array().unwrap().iter().map(|one| text(one, "_id")).collect::<Vec<_>>();
        (ids, page["count"].as_u64().unwrap())
    };
    assert_eq!(ids("&isInstalled=true"), (vec![ONE.to_owned()], 1));
    assert_eq!(ids("&isInstalled=false"), (vec![TWO.to_owned()], 1));
    assert_eq!(ids("&skip=1&limit=1"), (vec![TWO.to_owned()], 2));
    assert_eq!(ids("&query=tw"), (vec![TWO.to_owned()], 1));
    let foreign = bench.v2("GET", &format!("/oauth/installedLocations?companyId=x&appId={APP}"), &agency, "");
    assert_eq!(foreign.status, 403);
    let bare = bench.v2("GET", "/oauth/installedLocations", &agency, "");
    assert_eq!(bare.json()["message"], json!(["companyId should not be empty", "appId should not be empty"]));
    assert_eq!(bench.v2("GET", &list(""), "pit-one", "").status, 401);
}

#[test]
fn v3_lists_locations_by_page_tokens_and_refuses_in_its_own_envelope() {
    let mut bench = Bench::new();
    let agency = bench.agency();
    let v3 = With { token: &agency, version: "v3", ..With::default() };
    let list = format!("/oauth/installed-locations?companyId={COMPANY}&appId={APP}&pageSize=1");
    let first = bench.call("GET", &list, v3).json();
    assert_eq!((&first["items"][0]["_id"], &first["pagination"]["hasNextPage"]), (&json!(ONE), &json!(true)));
    let next = text(&first["pagination"], "nextPageToken");
    let second = bench.call("GET", &format!("{list}&pageToken={next}"), v3).json();
    assert_eq!((&second["items"][0]["_id"], &second["pagination"]["hasNextPage"]), (&json!(TWO), &json!(false)));
    let unknown = bench.call("GET", &format!("/oauth/installed-locations?companyId={COMPANY}&appId=abc"), v3);
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (404, &json!("RESOURCE_NOT_FOUND")));
    for bad in ["&pageToken=x", "&pageSize=0"] {
        let target = format!("/oauth/installed-locations?companyId={COMPANY}&appId={APP}{bad}");
        let reply = bench.call("GET", &target, v3);
        assert_eq!(
            (reply.status, keys(&reply.json()["error"])),
            (400, vec!["code", "message", "details", "resolution"])
        );
    }
}

#[test]
fn reconnecting_is_off_unless_switched_on_and_needs_the_app_to_be_installed() {
    let mut bench = Bench::new();
    bench.location(ONE, "contacts.readonly");
    let ask = |location: &str, secret: &str| {
        json!({"clientKey": CLIENT, "clientSecret": secret, "locationId": location}).to_string()
    };
    let off = bench.v2("POST", "/oauth/reconnect", "", &ask(ONE, SECRET));
    assert_eq!((off.status, off.message().as_str()), (404, "Cannot POST /oauth/reconnect"));
    bench.ghl.settings_mut().oauth.reconnect = true;
    let reply = bench.v2("POST", "/oauth/reconnect", "", &ask(ONE, SECRET));
    assert_eq!(keys(&reply.json()), ["authorizationCode", "expiresAt", "traceId"]);
    assert_eq!(reply.json()["expiresAt"], json!("2026-11-21T09:10:00.000Z"));
    let tokens = bench.exchanged(&text(&reply.json(), "authorizationCode"));
    assert_eq!((&tokens["locationId"], &tokens["scope"]), (&json!(ONE), &json!("contacts.readonly")));
    assert_eq!(bench.v2("POST", "/oauth/reconnect", "", &ask(TWO, SECRET)).status, 400);
    assert_eq!(bench.v2("POST", "/oauth/reconnect", "", &ask(ONE, "x")).message(), "Invalid parameter: clientSecret");
}

#[test]
fn uninstalling_by_the_api_ends_the_tokens_and_is_told() {
    let mut bench = Bench::new();
    let tokens = bench.location(ONE, "oauth.write");
    let access = text(&tokens, "access_token");
    let path = format!("/marketplace/app/{APP}/installations");
    let foreign = bench.v2("DELETE", &path, &access, &json!({"locationId": TWO}).to_string());
    assert_eq!((foreign.status, foreign.message().as_str()), (403, "The token does not have access to this location."));
    assert_eq!(bench.v2("DELETE", &path, &access, "{}").json()["message"], json!(["locationId should not be empty"]));
    assert_eq!(bench.v2("DELETE", "/marketplace/app/x/installations", &access, "{}").status, 400);
    let reply = bench.v2("DELETE", &path, &access, &json!({"locationId": ONE, "reason": "moved"}).to_string());
    assert_eq!((reply.status, &reply.json()["success"]), (200, &json!(true)));
    let told = &bench.sent[0].body;
    assert_eq!(keys(told), ["type", "appId", "versionId", "locationId", "timestamp", "webhookId"]);
    assert_eq!((&told["type"], &told["locationId"]), (&json!("UNINSTALL"), &json!(ONE)));
    assert_eq!(bench.v2("DELETE", &path, &access, "{}").message(), "Invalid token: access token is invalid");
    let refresh = bench.refreshed(&text(&tokens, "refresh_token"));
    assert_eq!(refresh.message(), "Invalid grant: refresh token is invalid");
}

#[test]
fn an_agencys_uninstall_takes_all_locations_with_it() {
    let mut bench = Bench::new();
    let (agency, location) = (bench.agency(), text(&bench.location(TWO, "locations.readonly"), "access_token"));
    let path = format!("/marketplace/app/{APP}/installations");
    assert_eq!(bench.v2("DELETE", &path, &agency, "{}").json()["message"], json!(["companyId should not be empty"]));
    assert_eq!(bench.v2("DELETE", &path, &agency, &json!({"companyId": COMPANY}).to_string()).status, 200);
    assert_eq!(keys(&bench.sent[0].body), ["type", "appId", "versionId", "companyId", "timestamp", "webhookId"]);
    assert_eq!(bench.sent.len(), 1);
    for token in [agency, location] {
        assert_eq!(bench.v2("GET", &format!("/locations/{TWO}"), &token, "").status, 401);
    }
    bench.edit("app", "uninstall", TWO).unwrap_err();
}

#[test]
fn a_location_without_the_app_sends_nothing_but_its_uninstall() {
    let mut bench = Bench::new();
    let contact = json!({"locationId": ONE, "firstName": "Ada"}).to_string();
    assert_eq!(bench.v2("POST", "/contacts", "pit-one", &contact).status, 201);
    assert_eq!(bench.types(), [""; 0]);
    bench.edit("app", "install", ONE).unwrap();
    assert_eq!(bench.types(), ["INSTALL"]);
    assert_eq!(bench.v2("POST", "/contacts", "pit-one", &contact).status, 201);
    assert_eq!(bench.types(), ["ContactCreate"]);
    bench.edit("app", "uninstall", ONE).unwrap();
    assert_eq!(bench.types(), ["UNINSTALL"]);
}

#[test]
fn installs_are_told_even_where_api_writes_are_not() {
    let mut bench = Bench::new();
    bench.ghl.settings_mut().echo_webhooks = false;
    bench.chosen(ONE, "", "");
    assert_eq!(bench.types(), ["INSTALL"]);
}

#[test]
fn tokens_are_ended_on_demand_for_one_account_or_for_all() {
    let mut bench = Bench::new();
    let (one, two) = (bench.location(ONE, "locations.readonly"), bench.location(TWO, "locations.readonly"));
    let works = |bench: &mut Bench, id: &str, tokens: &Value| {
        bench.v2("GET", &format!("/locations/{id}"), &text(tokens, "access_token"), "").status == 200
    };
    bench.edit("token", "expire", ONE).unwrap();
    assert_eq!((works(&mut bench, ONE, &one), works(&mut bench, TWO, &two)), (false, true));
    bench.edit("token", "expire", "").unwrap();
    assert!(!works(&mut bench, TWO, &two));
    bench.edit("token", "invalidate", TWO).unwrap();
    assert_eq!(bench.refreshed(&text(&two, "refresh_token")).status, 400);
    assert_eq!(bench.refreshed(&text(&one, "refresh_token")).status, 200);
    for (kind, action, account) in [("token", "expire", "nowhere"), ("app", "install", "nowhere"), ("app", "move", ONE)]
    {
        bench.edit(kind, action, account).unwrap_err();
    }
}

#[rstest]
#[case::no_version("pit-one", "", 401, "version header was not found.")]
#[case::odd_version("pit-one", "bogus-version", 400, "Invalid API version segment 'bogus-version' at position 0")]
#[case::v3("pit-one", "v3", 400, "Invalid API version segment 'v3' at position 0")]
#[case::no_token("", "2021-07-28", 401, "Invalid token: access token is invalid")]
#[case::unknown_token("pit-none", "2021-07-28", 401, "Invalid token: access token is invalid")]
#[case::agency_pit("pit-agency", "2021-07-28", 401, "Token's user type mismatch!")]
fn who_may_not_call_is_told_in_the_vendors_words(
    #[case] token: &str,
    #[case] version: &str,
    #[case] status: u16,
    #[case] message: &str,
) {
    let reply = Bench::new().call("GET", &format!("/locations/{ONE}/tags"), With { token, version, ..With::default() });
    assert_eq!((reply.status, reply.message().as_str()), (status, message));
}

#[test]
fn v3_is_known_when_the_settings_say_so() {
    let mut bench = Bench::new();
    bench.ghl.settings_mut().v3 = true;
    let with = With { token: "pit-one", version: "v3", ..With::default() };
    assert_eq!(bench.call("GET", &format!("/locations/{ONE}"), with).status, 200);
}

#[test]
fn a_token_does_what_was_granted_where_it_was_granted() {
    let mut bench = Bench::new();
    let access = text(&bench.location(ONE, "contacts.readonly"), "access_token");
    let search = json!({"locationId": ONE, "pageLimit": 10}).to_string();
    assert_eq!(bench.v2("POST", "/contacts/search", &access, &search).status, 200);
    let lacks = bench.v2("POST", "/contacts", &access, &json!({"locationId": ONE}).to_string());
    assert_eq!((lacks.status, lacks.message().as_str()), (401, "The token is not authorized for this scope."));
    let foreign = bench.v2("POST", "/contacts/search", &access, &search.replace(ONE, TWO));
    assert_eq!((foreign.status, foreign.message().as_str()), (403, "The token does not have access to this location."));
}

#[test]
fn an_agencys_oauth_token_is_of_the_wrong_class_for_a_location() {
    let mut bench = Bench::new();
    let agency = bench.agency();
    let tags = format!("/locations/{ONE}/tags");
    let reply = bench.v2("GET", &tags, &agency, "");
    assert_eq!((reply.status, reply.message().as_str()), (401, FOREIGN_CLASS));
    bench.ghl.settings_mut().class_refusal_is_403 = true;
    assert_eq!(bench.v2("GET", &tags, &agency, "").status, 403);
    assert_eq!(bench.v2("GET", &format!("/locations/{ONE}"), &agency, "").status, 200, "documented for agencies too");
}
