//! The same guards at TimeRex: one user's tokens for several teams, single use, no word about what a refusal is for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::renewing::Broken;
use super::*;
use crate::credentials::oauth::TimerexApp;
use crate::systems::{Transport, TransportError};

const TOKENS: &str = include_str!("../../../../tests/fixtures/timerex/oauth_token_response.json");
const USER: &str = include_str!("../../../../tests/fixtures/timerex/rest_user_me_oauth_only.json");
const TEAMS: &str = include_str!("../../../../tests/fixtures/timerex/rest_user_teams.json");

/// What a wrong token is answered with.
const LOGIN: &str = "HTTP 302";
/// An hour but a minute.
const NEARLY_AN_HOUR: Duration = Duration::from_mins(59);

#[derive(Default)]
struct Ground {
    /// The user that the next code is of.
    user: String,
    teams: Vec<String>,
    refresh: BTreeSet<String>,
    access: BTreeMap<String, String>,
    /// The scopes of the next tokens, if the vendor says them.
    scope: Option<String>,
    /// What was asked, in order.
    asked: Vec<String>,
    /// The next calls of this path fail.
    failing: Option<(&'static str, u16)>,
    /// The next refresh is done, and its answer lost.
    cut: bool,
    /// The next refresh waits for a permit of `back`.
    held: bool,
    made: u32,
}

struct Fake {
    ground: Mutex<Ground>,
    back: Semaphore,
}

impl Fake {
    fn ground(&self) -> MutexGuard<'_, Ground> {
        self.ground.lock().unwrap()
    }
}

impl Ground {
    fn count(&self, word: &str) -> usize {
        self.asked.iter().filter(|asked| *asked == word).count()
    }

    fn pair(&mut self, user: &str) -> Value {
        self.made += 1;
        let (access, refresh) =
            (format!("access-secret-{}", self.made), format!("{user}/refresh-secret-{}", self.made));
        self.access.insert(access.clone(), user.to_owned());
        self.refresh.insert(refresh.clone());
        let mut answer: Value = serde_json::from_str(TOKENS).unwrap();
        answer["access_token"] = json!(access);
        answer["refresh_token"] = json!(refresh);
        if let Some(scope) = &self.scope {
            answer["scope"] = json!(scope);
        }
        answer
    }

    fn token(&mut self, form: &BTreeMap<String, String>) -> (u16, Value) {
        self.asked.push(form["grant_type"].clone());
        assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str()), ("client", "client-secret"));
        if form["grant_type"] == "authorization_code" {
            assert_eq!(form["redirect_uri"], "https://sync.example.com/oauth/timerex/callback");
            let user = self.user.clone();
            return (200, self.pair(&user));
        }
        if !self.refresh.remove(&form["refresh_token"]) {
            return (400, json!({ "error": "invalid_grant", "error_description": "It was used already." }));
        }
        let user = form["refresh_token"].split('/').next().unwrap().to_owned();
        (200, self.pair(&user))
    }

    fn answer(&mut self, request: &Request<Bytes>) -> (u16, Value) {
        let form = pairs(std::str::from_utf8(request.body()).unwrap());
        let path = request.uri().path().to_owned();
        if let Some((_, status)) = self.failing.filter(|(failing, _)| *failing == path) {
            return (status, json!({ "message": "not now" }));
        }
        if path == "/oauth/token" {
            return self.token(&form);
        }
        self.asked.push(path.clone());
        let signed = request.headers()["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let Some(user) = self.access.get(signed).cloned() else { return (302, json!({})) };
        let mut answer: Value = serde_json::from_str(if path.ends_with("/teams") { TEAMS } else { USER }).unwrap();
        match path.as_str() {
            "/api/beta/user/me" => answer["id"] = json!(user),
            "/api/beta/user/me/teams" => {
                // One a page.
                let at: usize = pairs(request.uri().query().unwrap_or_default())
                    .get("nextPageToken")
                    .map_or(0, |token| token.trim_start_matches("from ").parse().unwrap());
                answer["items"][0]["url_path"] = json!(self.teams[at]);
                if at + 1 < self.teams.len() {
                    answer["nextPageToken"] = json!(format!("from {}", at + 1));
                }
            }
            "/api/beta/token/revoke" => {
                assert!(self.refresh.remove(&form["token"]), "it is the refresh token");
                self.access.remove(signed);
                answer = json!({});
            }
            other => panic!("{other}"),
        }
        (200, answer)
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let plain = |text: &str| text.replace("%2F", "/").replace("%3A", ":").replace("%20", " ").replace('+', " ");
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), plain(value)));
    text.split('&').filter_map(pair).collect()
}

#[async_trait]
impl Transport for Fake {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        tokio::task::yield_now().await;
        let refreshes = std::str::from_utf8(request.body()).unwrap().contains("grant_type=refresh_token");
        let (held, cut) = {
            let mut ground = self.ground();
            if refreshes { (std::mem::take(&mut ground.held), std::mem::take(&mut ground.cut)) } else { (false, false) }
        };
        let (status, body) = self.ground().answer(&request);
        if held {
            self.back.acquire().await.unwrap().forget();
        }
        if cut {
            return Err(TransportError::NoAnswer("the connection was cut".to_owned()));
        }
        Ok(Response::builder().status(status).body(Bytes::from(body.to_string())).unwrap())
    }
}

/// A vendor, and the store and clock of the other bench.
struct Desk {
    bench: Bench,
    fake: Arc<Fake>,
    app: TimerexApp,
}

fn ann() -> InstallKey {
    InstallKey::user("ann")
}

fn acme() -> InstallKey {
    InstallKey::team("acme")
}

fn beta() -> InstallKey {
    InstallKey::team("beta")
}

/// Workspaces have two of the teams.
fn ours(team: &str, _user: Option<&str>) -> bool {
    team == "acme" || team == "beta"
}

impl Desk {
    async fn new() -> Self {
        let client = OauthApp {
            system: System::Timerex,
            client_id: "client".to_owned(),
            client_secret: Secret::new("client-secret"),
            authorize_url: "https://timerex.test/oauth/authorize".to_owned(),
            token_url: "https://timerex.test/oauth/token".to_owned(),
            scopes: ["profile", "User.Teams.Read", "User.Teams.Calendars.Read"].map(ToOwned::to_owned).into(),
            redirect_url: "https://sync.example.com/oauth/timerex/callback".to_owned(),
            renew_before: Duration::from_mins(10),
        };
        let teams = ["acme", "beta", "other"].map(ToOwned::to_owned).into();
        let ground = Ground { user: "ann".to_owned(), teams, ..Ground::default() };
        Self {
            bench: Bench::new().await,
            fake: Arc::new(Fake { ground: Mutex::new(ground), back: Semaphore::new(0) }),
            app: TimerexApp { client, base_url: "https://timerex.test/api/beta".to_owned() },
        }
    }

    fn keeper(&self, owner: &str) -> Arc<Keeper> {
        self.keeper_over(owner, self.bench.store.clone())
    }

    fn keeper_over(&self, owner: &str, store: Arc<dyn Installs>) -> Arc<Keeper> {
        let (sealer, clock, owner) = (self.bench.sealer.clone(), self.bench.clock.clone(), owner.to_owned());
        let means = Means { store, sealer, transport: self.fake.clone(), clock, owner };
        Keeper::new(App::Timerex(self.app.clone()), means).unwrap()
    }

    async fn connect(&self, keeper: &Arc<Keeper>) -> Result<Finished, OauthError> {
        let begun = keeper.begin().await.unwrap();
        keeper.finish(&state_of(&begun.url), &begun.cookie, &Secret::new("code"), &ours).await
    }

    async fn connected(&self) -> Arc<Keeper> {
        let keeper = self.keeper("one");
        self.connect(&keeper).await.unwrap();
        keeper
    }

    fn refreshes(&self) -> usize {
        self.fake.ground().count("refresh_token")
    }

    /// Whose token signs for a team now, if the vendor takes it.
    async fn signer(&self, keeper: &Arc<Keeper>, team: InstallKey) -> Option<String> {
        let header = sign(&keeper.credential(team)).await.unwrap().0;
        self.fake.ground().access.get(header.strip_prefix("Bearer ").unwrap()).cloned()
    }
}

#[tokio::test]
async fn a_users_tokens_serve_every_wanted_team_that_the_user_sees() {
    let desk = Desk::new().await;
    let keeper = desk.keeper("one");
    let begun = keeper.begin().await.unwrap();
    let asked = "https://timerex.test/oauth/authorize?response_type=code&client_id=client&state=";
    let with = "&redirect_uri=https%3A%2F%2Fsync.example.com%2Foauth%2Ftimerex%2Fcallback\
                &scope=profile+User.Teams.Read+User.Teams.Calendars.Read";
    let url = begun.url.expose();
    assert!(url.starts_with(asked) && url.ends_with(with), "{url}");
    let done = desk.connect(&keeper).await.unwrap();
    let connected = vec![ann(), acme(), beta()];
    assert_eq!(done, Finished { connected, awaiting: vec![], refused: vec![InstallKey::team("other")] });
    let rows = desk.bench.store.installs().await.unwrap();
    let with_tokens: Vec<_> = rows.iter().filter(|row| row.sealed.is_some()).map(|row| &row.key).collect();
    assert_eq!((rows.len(), with_tokens), (3, vec![&ann()]), "one pair, in one place");
    for team in [acme(), beta()] {
        assert_eq!(desk.signer(&keeper, team.clone()).await.as_deref(), Some("ann"));
        assert_eq!(desk.signer(&desk.keeper("two"), team).await.as_deref(), Some("ann"));
    }
    assert!(unauthorized(&keeper.credential(InstallKey::team("other"))).await.contains("there is no install"));
}

#[tokio::test]
async fn scopes_that_the_vendor_does_not_name_are_those_that_were_asked_for() {
    let mut desk = Desk::new().await;
    let keeper = desk.connected().await;
    let credential = keeper.credential(acme());
    assert!(!credential.lacks("User.Teams.Calendars.Read") && credential.lacks("User.Teams.Calendars.ReadWrite"));
    keeper.rotate(&ann()).await.unwrap();
    assert!(credential.lacks("User.Teams.Calendars.ReadWrite"), "a refresh changes no scopes");

    desk.app.client.scopes.clear();
    let keeper = desk.connected().await;
    assert!(!keeper.credential(beta()).lacks("User.Teams.Calendars.ReadWrite"), "nothing asked is all");
    desk.fake.ground().scope = Some("profile User.Teams.Read".to_owned());
    desk.connect(&keeper).await.unwrap();
    assert!(keeper.credential(beta()).lacks("User.Teams.Calendars.Read"), "what it names counts");
}

#[tokio::test]
async fn a_user_who_sees_no_wanted_team_leaves_nothing_behind() {
    let desk = Desk::new().await;
    let keeper = desk.keeper("one");
    desk.fake.ground().teams = vec!["other".to_owned()];
    assert!(matches!(desk.connect(&keeper).await, Err(OauthError::Foreign(key)) if key == ann()));
    for path in ["/api/beta/user/me", "/api/beta/user/me/teams"] {
        desk.fake.ground().failing = Some((path, 503));
        assert!(matches!(desk.connect(&keeper).await, Err(OauthError::Vendor(_))));
    }
    assert_eq!(desk.bench.store.installs().await.unwrap(), []);
}

#[tokio::test]
async fn an_authorization_that_was_begun_at_one_vendor_is_none_at_another() {
    let desk = Desk::new().await;
    let (ghl, timerex) = (desk.bench.keeper("one"), desk.keeper("one"));
    let begun = ghl.begin().await.unwrap();
    let code = Secret::new("code");
    let mixed_up = timerex.finish(&state_of(&begun.url), &begun.cookie, &code, &ours).await;
    assert!(matches!(mixed_up, Err(OauthError::Ticket)));
    assert_eq!(desk.fake.ground().asked, Vec::<String>::new());
}

#[tokio::test]
async fn fifty_tasks_of_two_teams_and_two_replicas_make_one_renewal() {
    let desk = Desk::new().await;
    let keepers = [desk.connected().await, desk.keeper("two")];
    desk.bench.clock.advance(NEARLY_AN_HOUR + Duration::from_secs(1));
    let mut tasks = JoinSet::new();
    for number in 0..50 {
        let team = if number % 2 == 0 { acme() } else { beta() };
        let credential = keepers[number % 2].credential(team);
        tasks.spawn(async move { sign(&credential).await.unwrap() });
    }
    let signed = tasks.join_all().await;
    assert_eq!(desk.refreshes(), 1);
    assert!(signed.iter().all(|one| *one == signed[0] && one.1 == Version(2)), "{signed:?}");
}

#[tokio::test]
async fn the_timer_renews_a_users_tokens_once_and_a_team_has_none_to_renew() {
    let desk = Desk::new().await;
    let keeper = desk.connected().await;
    assert_eq!(keeper.renew_due().await.unwrap(), 0);
    desk.bench.clock.advance(Duration::from_mins(50));
    let two = desk.keeper("two");
    let (by_one, by_two) = tokio::join!(keeper.renew_due(), two.renew_due());
    assert!(by_one.unwrap() + by_two.unwrap() >= 1);
    assert_eq!(desk.refreshes(), 1);
    assert_eq!(keeper.renew_due().await.unwrap() + two.renew_due().await.unwrap(), 0);
}

#[tokio::test]
async fn a_pair_that_was_not_stored_before_a_crash_is_lost_and_the_user_connects_again() {
    let desk = Desk::new().await;
    let keeper = desk.connected().await;
    desk.bench.clock.advance(NEARLY_AN_HOUR + Duration::from_secs(1));
    desk.fake.ground().cut = true;
    let credential = keeper.credential(acme());
    assert!(matches!(sign(&credential).await, Err(SystemError::Unavailable { .. })));
    drop(keeper);
    let after = desk.keeper("after");
    assert!(unauthorized(&after.credential(acme())).await.contains("connect it again"));
    let rows = desk.bench.store.installs().await.unwrap();
    let team = rows.iter().find(|row| row.key == acme()).unwrap();
    assert_eq!((team.state, team.among(&rows).state), (InstallState::Connected, InstallState::Lost));
    let asked = desk.refreshes();
    assert!(unauthorized(&after.credential(beta())).await.contains("connect it again"));
    assert_eq!(desk.refreshes(), asked, "the vendor is not asked again");
    desk.connect(&after).await.unwrap();
    assert_eq!(desk.signer(&after, beta()).await.as_deref(), Some("ann"));
}

#[tokio::test]
async fn a_pair_that_was_stored_before_a_crash_is_used_after_it() {
    let desk = Desk::new().await;
    let keeper = desk.connected().await;
    keeper.rotate(&acme()).await.unwrap();
    drop(keeper);
    let after = desk.keeper("after");
    assert_eq!(sign(&after.credential(acme())).await.unwrap().1, Version(2));
    after.rotate(&ann()).await.unwrap();
    assert_eq!((desk.refreshes(), desk.signer(&after, acme()).await.as_deref()), (2, Some("ann")));
}

#[tokio::test]
async fn a_pair_that_the_store_does_not_take_is_nobodys_until_it_does() {
    let desk = Desk::new().await;
    desk.connected().await;
    let broken = Arc::new(Broken(desk.bench.store.clone(), AtomicBool::new(true), AtomicUsize::new(0)));
    let keeper = desk.keeper_over("two", broken.clone());
    let credential = keeper.credential(acme());
    sign(&credential).await.unwrap();
    assert!(!credential.refused(Version(1), LOGIN).await);
    assert_eq!(sign(&credential).await.unwrap().1, Version(1));
    broken.1.store(false, Ordering::SeqCst);
    assert_eq!(keeper.renew_due().await.unwrap(), 1);
    assert_eq!(
        (desk.refreshes(), sign(&credential).await.unwrap().1),
        (1, Version(2)),
        "the vendor was not asked again"
    );
}

#[tokio::test]
async fn a_login_page_renews_once_and_new_tokens_that_meet_it_too_are_left_alone() {
    let desk = Desk::new().await;
    let keeper = desk.connected().await;
    let (one, other) = (keeper.credential(acme()), keeper.credential(beta()));
    sign(&one).await.unwrap();
    assert!(one.refused(Version(1), LOGIN).await);
    assert!(other.refused(Version(1), LOGIN).await, "another call that used the first one");
    assert_eq!(desk.refreshes(), 1);
    assert!(!one.refused(Version(2), LOGIN).await, "it is not for the token");
    assert_eq!(desk.refreshes(), 1);
    desk.bench.clock.advance(Duration::from_mins(1));
    assert!(one.refused(Version(2), LOGIN).await);
    assert_eq!(desk.refreshes(), 2);
}

#[tokio::test]
async fn a_renewal_that_nobody_waits_for_any_more_is_stored() {
    let desk = Desk::new().await;
    let keeper = desk.connected().await;
    desk.bench.clock.advance(NEARLY_AN_HOUR + Duration::from_secs(1));
    desk.fake.ground().held = true;
    let credential = keeper.credential(acme());
    let asking = tokio::spawn(async move { sign(&credential).await });
    while desk.refreshes() == 0 {
        tokio::task::yield_now().await;
    }
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    desk.fake.back.add_permits(1);
    keeper.settled().await;
    assert_eq!(desk.bench.row(&ann()).await.unwrap().generation, 2);
}

#[tokio::test]
async fn a_team_that_is_connected_stays_with_its_user_and_goes_over_once_it_is_given_up() {
    let desk = Desk::new().await;
    let keeper = desk.connected().await;
    let comes = |user: &str| {
        let mut ground = desk.fake.ground();
        (ground.user, ground.teams) = (user.to_owned(), vec!["acme".to_owned()]);
    };
    comes("bob");
    let bob = InstallKey::user("bob");
    assert!(matches!(desk.connect(&keeper).await, Err(OauthError::Foreign(key)) if key == bob));
    assert_eq!(desk.signer(&keeper, acme()).await.as_deref(), Some("ann"));
    assert!(desk.bench.row(&bob).await.is_none(), "nothing of it is kept");

    // What a user sees no longer goes with the next authorization.
    comes("ann");
    desk.connect(&keeper).await.unwrap();
    assert_eq!(desk.bench.state(&beta()).await, Some(InstallState::Removed));
    assert!(unauthorized(&keeper.credential(beta())).await.contains("connect it again"));

    keeper.wipe(&ann()).await.unwrap();
    comes("bob");
    desk.connect(&keeper).await.unwrap();
    assert_eq!(desk.signer(&keeper, acme()).await.as_deref(), Some("bob"));
}

#[tokio::test]
async fn giving_a_team_up_gives_its_users_tokens_up_at_the_vendor_too() {
    let desk = Desk::new().await;
    let keeper = desk.connected().await;
    desk.fake.ground().failing = Some(("/api/beta/token/revoke", 503));
    assert!(keeper.revoke(&acme(), false).await.is_err());
    assert_eq!(desk.bench.state(&acme()).await, Some(InstallState::Connected), "it can be tried again");
    desk.fake.ground().failing = None;
    let wiped = BTreeSet::from_iter(keeper.revoke(&acme(), false).await.unwrap());
    assert_eq!(wiped, BTreeSet::from([ann(), acme(), beta()]));
    assert!(desk.fake.ground().refresh.is_empty() && desk.fake.ground().access.is_empty());
    assert_eq!(desk.bench.row(&ann()).await.unwrap().sealed, None);
    assert!(unauthorized(&keeper.credential(beta())).await.contains("connect it again"));
    assert!(matches!(keeper.revoke(&InstallKey::team("other"), false).await, Err(OauthError::Unknown(_))));
}

#[tokio::test]
async fn each_keeper_tends_its_own_vendors_installs() {
    let desk = Desk::new().await;
    desk.bench.agency_connected().await;
    let timerex = desk.connected().await;
    assert_eq!(timerex.open_all().await.unwrap(), 3);
    desk.bench.clock.advance(NEARLY_A_DAY);
    assert_eq!(timerex.renew_due().await.unwrap(), 1);
    assert_eq!((desk.refreshes(), desk.bench.refreshes()), (1, 0));
    assert_eq!(desk.bench.keeper("two").renew_due().await.unwrap(), 2);
    assert_eq!((desk.refreshes(), desk.bench.refreshes()), (1, 2));
}
