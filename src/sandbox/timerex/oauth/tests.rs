use http::StatusCode;

use super::*;
use crate::sandbox::SandboxSettings;

const START: Millis = Millis(1_772_424_306_000);
const BACK: &str = "http://127.0.0.1:8080/oauth/timerex/callback";
const ALL: &str = "";

/// The stand-in with three teams: a user sees two of them, another one all.
struct Bench {
    world: Timerex,
    rng: fastrand::Rng,
    now: Millis,
}

struct Pair {
    access: String,
    refresh: String,
}

impl Bench {
    fn new(change: impl Fn(&mut OauthSettings)) -> Self {
        let mut settings = SandboxSettings::with_workspaces(3).timerex;
        let teams = settings.teams[..2].iter().map(|team| team.url_path.clone()).collect();
        settings.oauth.users.push(UserSettings {
            id: "u2".to_owned(),
            name: "Host <Two>".to_owned(),
            email: "host.two@example.test".to_owned(),
            teams: Some(teams),
        });
        change(&mut settings.oauth);
        Self { world: Timerex::new(settings), rng: fastrand::Rng::with_seed(1), now: START }
    }

    fn ask(&mut self, method: &str, path: &str, bearer: &str, body: &str) -> Response {
        let request = http::Request::builder().method(method).uri(path).header("content-type", FORM);
        let request =
            if bearer.is_empty() { request } else { request.header("authorization", format!("Bearer {bearer}")) };
        let request = request.body(body.to_owned().into()).unwrap();
        let mut turn = Turn { now: self.now, real: self.now, rng: &mut self.rng, webhooks: Vec::new() };
        self.world.answer(&request, &mut turn)
    }

    fn get(&mut self, path: &str, bearer: &str) -> (StatusCode, Value) {
        told(&self.ask("GET", &format!("/api/beta{path}"), bearer, ""))
    }

    fn authorize(&mut self, user: &str, scope: &str) -> String {
        let url = format!(
            "/oauth/authorize/choose?response_type=code&client_id=sandbox-timerex-client&redirect_uri={}&scope={scope}&\
             state=s%26t&user={user}",
            web::encoded(BACK)
        );
        let answer = self.ask("GET", &url, "", "");
        assert_eq!(answer.status(), 302, "{answer:?}");
        answer.headers()["location"].to_str().unwrap().to_owned()
    }

    fn token(&mut self, rest: &str) -> (StatusCode, Value) {
        let body = format!("client_id=sandbox-timerex-client&client_secret=sandbox-timerex-client-secret&{rest}");
        told(&self.ask("POST", "/oauth/token", "", &body))
    }

    fn granted(&mut self, user: &str, scope: &str) -> Pair {
        let back = self.authorize(user, scope);
        let code = back.strip_prefix(&format!("{BACK}?code=")).unwrap().strip_suffix("&state=s%26t").unwrap();
        let (status, answer) =
            self.token(&format!("grant_type=authorization_code&code={code}&redirect_uri={}", web::encoded(BACK)));
        assert_eq!(status, 200, "{answer}");
        pair(&answer)
    }

    fn refresh(&mut self, token: &str) -> (StatusCode, Value) {
        self.token(&format!("grant_type=refresh_token&refresh_token={token}"))
    }

    fn edit(&mut self, action: &str, kind: &str, account: &str, fields: Value) -> Result<String, EditRefused> {
        let [action, kind, account] = [action, kind, account].map(ToOwned::to_owned);
        let edit = Edit { action, kind, account, id: None, parent: None, fields };
        let mut turn = Turn { now: self.now, real: self.now, rng: &mut self.rng, webhooks: Vec::new() };
        self.world.edit(&edit, &mut turn)
    }
}

fn told(response: &Response) -> (StatusCode, Value) {
    (response.status(), serde_json::from_slice(response.body()).unwrap_or_default())
}

fn pair(answer: &Value) -> Pair {
    let text = |key: &str| answer[key].as_str().unwrap().to_owned();
    Pair { access: text("access_token"), refresh: text("refresh_token") }
}

fn first(bench: &Bench) -> String {
    bench.world.settings.oauth.users[0].id.clone()
}

#[test]
fn the_page_offers_each_user_and_goes_back_nowhere_else() {
    let mut bench = Bench::new(|_| {});
    let asked = "response_type=code&client_id=sandbox-timerex-client&redirect_uri=";
    let page = bench.ask("GET", &format!("/oauth/authorize?{asked}{}", web::encoded(BACK)), "", "");
    let text = String::from_utf8_lossy(page.body());
    assert!(page.status() == 200 && text.contains("Host &lt;Two&gt;") && text.contains("Host One"), "{text}");
    let page = bench.ask("GET", &format!("/oauth/authorize?{asked}http%3A%2F%2Felsewhere"), "", "");
    assert_eq!(page.status(), 400);
    assert_eq!(bench.authorize("", ALL), format!("{BACK}?error=access_denied&state=s%26t"));
}

#[test]
fn the_answer_with_tokens_has_the_documented_keys() {
    let fixture: Value =
        serde_json::from_str(include_str!("../../../../tests/fixtures/timerex/oauth_token_response.json")).unwrap();
    let mut bench = Bench::new(|_| {});
    let user = first(&bench);
    let tokens = bench.granted(&user, ALL);
    let (status, answer) = bench.refresh(&tokens.refresh);
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((status.as_u16(), keys(&answer)), (200, keys(&fixture)));
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&fixture["token_type"], &fixture["expires_in"]));
    let fixture: Value =
        serde_json::from_str(include_str!("../../../../tests/fixtures/timerex/rest_user_me_oauth_only.json")).unwrap();
    let (_, me) = bench.get("/user/me", &tokens.access);
    assert!(fixture.as_object().unwrap().keys().all(|key| me[key].is_string()), "{me}");
    let key = bench.world.settings.teams[0].api_key.clone();
    let request = http::Request::get("/api/beta/user/me").header("x-api-key", key).body(bytes::Bytes::new()).unwrap();
    let mut turn = Turn { now: START, real: START, rng: &mut bench.rng, webhooks: Vec::new() };
    assert_eq!(bench.world.answer(&request, &mut turn).status(), 400, "with a key it still does not work");
}

#[test]
fn a_code_is_good_once_for_its_own_address_and_client() {
    let mut bench = Bench::new(|_| {});
    let user = first(&bench);
    let code_of = |back: &str| back.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let code = code_of(&bench.authorize(&user, ALL));
    let with = |redirect: &str| format!("grant_type=authorization_code&code={code}&redirect_uri={redirect}");
    let wrong = bench.ask("POST", "/oauth/token", "", &format!("client_id=x&client_secret=y&{}", with(BACK)));
    assert_eq!(told(&wrong).1["error"], "invalid_client");
    assert_eq!(bench.token(&with(BACK)).0, 200);
    assert_eq!(bench.token(&with(BACK)).1["error"], "invalid_grant");
    let code = code_of(&bench.authorize(&user, ALL));
    let elsewhere = format!("grant_type=authorization_code&code={code}&redirect_uri=http://elsewhere");
    assert_eq!(bench.token(&elsewhere).1["error"], "invalid_grant");
}

#[rstest::rstest]
#[case::nothing_else_ends(false, 200)]
#[case::all_of_the_grant_ends(true, 302)]
fn a_refresh_token_is_good_once(#[case] reuse_revokes: bool, #[case] afterwards: u16) {
    let mut bench = Bench::new(|oauth| oauth.reuse_revokes = reuse_revokes);
    let user = first(&bench);
    let old = bench.granted(&user, ALL);
    let new = pair(&bench.refresh(&old.refresh).1);
    assert_eq!(bench.get("/user/me", &old.access).0, 200, "the access token before lives on");
    let (status, answer) = bench.refresh(&old.refresh);
    assert_eq!((status.as_u16(), &answer["error"]), (400, &json!("invalid_grant")));
    assert_eq!(bench.get("/user/me", &new.access).0, afterwards);
}

#[test]
fn tokens_end_in_time_and_a_wrong_one_meets_the_login_page() {
    let mut bench = Bench::new(|oauth| (oauth.access_seconds, oauth.refresh_seconds) = (60, 600));
    let user = first(&bench);
    let tokens = bench.granted(&user, ALL);
    bench.now = START + Duration::from_mins(1);
    let answer = bench.ask("GET", "/api/beta/user/me", &tokens.access, "");
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()),
        (302, "https://timerex.net/login")
    );
    let tokens = pair(&bench.refresh(&tokens.refresh).1);
    bench.now = bench.now + Duration::from_mins(10);
    assert_eq!(bench.refresh(&tokens.refresh).0, 400);
    bench.world.settings.oauth.refuses_with_login = false;
    assert_eq!(bench.get("/user/me", "x").0, 401);
    bench.world.settings.oauth.refusal = RefreshRefusal::InvalidRequest;
    assert_eq!(bench.refresh("x").0, 401);
}

#[test]
fn a_user_reaches_what_is_of_their_teams_and_nothing_else() {
    let mut bench = Bench::new(|_| {});
    let tokens = bench.granted("u2", ALL);
    let teams = bench.world.settings.teams.clone();
    let (_, listed) = bench.get("/user/me/teams", &tokens.access);
    let paths: Vec<_> = listed["items"].as_array().unwrap().iter().map(|team| team["url_path"].clone()).collect();
    assert_eq!(paths, [json!(teams[0].url_path), json!(teams[1].url_path)]);
    let mut booked = Vec::new();
    for team in &teams {
        let fields = json!({
            "calendar": team.calendars[0].url_path, "start_datetime": "2026-03-10T01:00:00Z", "guest_name": "A B",
            "guest_email": "a.b@example.test",
        });
        booked.push(bench.edit("create", "appointment", &team.url_path, fields).unwrap());
    }
    for (at, status) in [(0, 200), (1, 200), (2, 404)] {
        let (team, calendar) = (&teams[at].id, &teams[at].calendars[0].id);
        let paths = [
            format!("/teams/{team}"),
            format!("/teams/{team}/calendars"),
            format!("/calendars/{calendar}"),
            format!("/calendars/{calendar}/events"),
            format!("/events/{}", booked[at]),
        ];
        for path in paths {
            assert_eq!(bench.get(&path, &tokens.access).0, status, "{path}");
        }
        let cancelled = bench.ask("POST", &format!("/api/beta/events/{}/cancel", booked[at]), &tokens.access, "");
        assert_eq!(cancelled.status(), status);
    }
    assert_eq!(bench.get("/user/me/teams/primary", &tokens.access).1["url_path"], json!(teams[0].url_path));
}

#[test]
fn a_scope_that_was_not_granted_is_403() {
    let mut bench = Bench::new(|oauth| oauth.says_scope = true);
    let user = first(&bench);
    let tokens = bench.granted(&user, "profile+User.Teams.Calendars.Read+unknown");
    let calendar = bench.world.settings.teams[0].calendars[0].id.clone();
    assert_eq!(bench.get("/user/me", &tokens.access).0, 200);
    assert!(bench.get("/user/me", &tokens.access).1["email"].is_null());
    assert_eq!(bench.get("/user/me/teams", &tokens.access).0, 403);
    assert_eq!(bench.get(&format!("/calendars/{calendar}"), &tokens.access).0, 200);
    let link = format!("/api/beta/calendars/{calendar}/one-time-url");
    assert_eq!(bench.ask("POST", &link, &tokens.access, "").status(), 403);
    let answer = bench.refresh(&tokens.refresh).1;
    assert_eq!(answer["scope"], "profile User.Teams.Calendars.Read");
}

#[rstest::rstest]
#[case(RevokeBy::Bearer)]
#[case(RevokeBy::Form)]
fn a_revoked_grant_is_over(#[case] by: RevokeBy) {
    let mut bench = Bench::new(|oauth| oauth.revoke_by = by);
    let user = first(&bench);
    let (tokens, others) = (bench.granted(&user, ALL), bench.granted(&user, ALL));
    let client = "client_id=sandbox-timerex-client&client_secret=sandbox-timerex-client-secret";
    let body = format!("token={}&{client}", tokens.refresh);
    assert_eq!(bench.ask("POST", "/api/beta/token/revoke", &tokens.access, &body).status(), 200);
    assert_eq!(bench.get("/user/me", &tokens.access).0, 302);
    assert_eq!(bench.refresh(&tokens.refresh).0, 400);
    assert_eq!(bench.get("/user/me", &others.access).0, 200);
}

#[test]
fn tokens_end_by_hand_too() {
    let mut bench = Bench::new(|_| {});
    let user = first(&bench);
    let (one, two) = (bench.granted(&user, ALL), bench.granted("u2", ALL));
    assert!(bench.edit("melt", "token", &user, json!({})).is_err());
    bench.edit("expire", "token", &user, json!({})).unwrap();
    assert_eq!(
        (bench.get("/user/me", &one.access).0.as_u16(), bench.get("/user/me", &two.access).0.as_u16()),
        (302, 200)
    );
    assert_eq!(bench.refresh(&one.refresh).0, 200);
    let team = bench.world.settings.teams[1].url_path.clone();
    bench.edit("revoke", "token", &team, json!({})).unwrap();
    assert_eq!((bench.get("/user/me", &two.access).0.as_u16(), bench.refresh(&two.refresh).0.as_u16()), (302, 400));
}
