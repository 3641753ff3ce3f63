//! Users of TimeRex let us in: one user's tokens for several teams, tokens that end and are given up, scopes that were not
//! granted.

use http::{Method, StatusCode};
use lockstep::config::{Config, TimerexOauth};
use lockstep::credentials::seal::new_key;
use lockstep::model::{InstallKey, InstallState, Kind, MirrorState, System};
use lockstep::sandbox::SandboxSettings;
use lockstep::secret::Secret;
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, World};

/// Where the vendor sends people back to, in all worlds here.
const PUBLIC: &str = "http://lockstep.test";

/// The service reaches TimeRex with users' tokens, and asks for everything.
fn by_users(config: &mut Config) {
    let app = SandboxSettings::with_workspaces(1).timerex.oauth;
    let base = config.systems.timerex.base_url.trim_end_matches("/api/beta").to_owned();
    config.server.public_url = Some(PUBLIC.to_owned());
    config.seal.keys = vec![Secret::new(new_key().unwrap())];
    config.systems.timerex.oauth = Some(TimerexOauth {
        client_id: app.client_id,
        client_secret: app.client_secret,
        authorize_url: format!("{base}/oauth/authorize"),
        token_url: format!("{base}/oauth/token"),
        scopes: Vec::new(),
        renew_before: std::time::Duration::from_mins(10),
    });
    for connection in config.connections.values_mut().filter(|connection| connection.system == System::Timerex) {
        (connection.login, connection.oauth) = (None, true);
    }
    for workspace in &mut config.workspaces {
        workspace.policy.notify.insert(System::Timerex);
    }
}

/// The same, asking to read only.
fn reading_only(config: &mut Config) {
    by_users(config);
    let scopes = ["profile", "User.Teams.Read", "User.Teams.Calendars.Read"];
    config.systems.timerex.oauth.as_mut().unwrap().scopes = scopes.map(ToOwned::to_owned).into();
}

/// The second team stays with its api key.
fn one_by_users(config: &mut Config) {
    let key = config.connections["timerex-ws2"].login.clone();
    by_users(config);
    let second = config.connections.get_mut("timerex-ws2").unwrap();
    (second.login, second.oauth) = (key, false);
}

fn plan(workspaces: usize, adjust: fn(&mut Config)) -> Plan {
    let mut plan = Plan::of(workspaces);
    plan.settings.timerex.oauth.redirect_uris = vec![format!("{PUBLIC}/oauth/timerex/callback")];
    plan.adjust = adjust;
    plan
}

fn user(world: &World) -> InstallKey {
    InstallKey::user(&world.settings.timerex.oauth.users[0].id)
}

async fn connect(world: &World) -> (StatusCode, String) {
    let choice = format!("user={}", user(world).account);
    Browser::to(System::Timerex, world.app.public, PUBLIC).connect(&choice).await
}

/// How an install stands in the store: its state and the generation of its tokens.
async fn stands(world: &World, key: &InstallKey) -> Option<(InstallState, i64)> {
    world.app.store.install(key).await.unwrap().map(|install| (install.state, install.generation))
}

async fn timerex_health(world: &World, workspace: &str) -> Value {
    let health = world.client.get(format!("http://{}/health", world.app.public)).send().await.unwrap();
    let health: Value = serde_json::from_str(&health.text().await.unwrap()).unwrap();
    let mut found = health["workspaces"].as_array().unwrap().iter().filter(|one| one["name"] == workspace);
    found.next().unwrap_or_else(|| panic!("no {workspace} in {health}"))["systems"]["timerex"].clone()
}

/// A guest books at a team.
async fn booked(world: &World, at: usize, name: &str) -> String {
    let fields = json!({
        "calendar": world.account(at).timerex_calendar_path, "start_datetime": START.as_str(), "guest_name": name,
        "guest_email": super::email(name),
    });
    world.edit(at, "timerex", "create appointment", json!({ "fields": fields })).await
}

/// In a month or so: bookings are listed around today.
static START: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    let day = 24 * 60 * 60 * 1_000;
    let start = crate::support::world::now().0 / day * day + 30 * day;
    lockstep::clock::Millis(start).rfc3339()
});

/// The one appointment of a location of GHL.
async fn in_ghl(world: &World, at: usize) -> Value {
    let state = world.state().await;
    let all = state["ghl"]["appointments"].as_object().unwrap().values();
    let mut here = all.filter(|one| one["locationId"] == world.account(at).ghl_location.as_str());
    let one = here.next().unwrap_or_else(|| panic!("none in {}", state["ghl"]["appointments"])).clone();
    assert!(here.next().is_none(), "there is one only");
    one
}

/// Cancelled in GHL by a person.
async fn cancel_in_ghl(world: &World, at: usize) {
    let id = in_ghl(world, at).await["id"].clone();
    let fields = json!({ "appointmentStatus": "cancelled" });
    world.edit(at, "ghl", "update appointment", json!({ "id": id, "fields": fields })).await;
}

async fn is_cancelled(world: &World, at: usize, booking: &str) -> bool {
    let state = world.state().await;
    let all = &state["timerex"][&world.account(at).timerex_team]["appointments"];
    let one = all.as_array().unwrap().iter().find(|one| one["id"] == booking).unwrap();
    one["status"] != "confirmed" && one["status"] != 1
}

async fn one_user_connects_two_teams_whose_bookings_are_read_and_cancelled_with_one_pair(place: &mut Place) {
    let world = plan(2, by_users).start(place).await;
    assert_eq!(timerex_health(&world, "ws2").await["install"]["state"], "awaiting");
    let (status, page) = connect(&world).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    for account in &world.settings.workspaces {
        assert!(page.contains(&format!("Team <code>{}</code>", account.timerex_team)), "{page}");
        assert!(page.contains(&format!("<code>{}</code>.", account.name)), "{page}");
    }
    let installs = world.app.store.installs().await.unwrap();
    let sealed = installs.iter().filter(|install| install.sealed.is_some()).map(|install| install.key.clone());
    assert_eq!((installs.len(), sealed.collect::<Vec<_>>()), (3, vec![user(&world)]));
    world
        .until("health says so (it keeps an answer for a second)", async || {
            timerex_health(&world, "ws2").await["install"]["state"] == "connected"
        })
        .await;

    let mark = world.mark().await;
    let bookings = [booked(&world, 0, "Ann").await, booked(&world, 1, "Ben").await];
    world.settle().await;
    world.reconcile().await;
    world.settle().await;
    let calls = world.calls(mark).await;
    let listed = calls.iter().filter(|call| call.label() == "timerex GET appointment");
    let listed: Vec<_> = listed.map(|call| (call.account.as_deref().unwrap(), call.status)).collect();
    for account in &world.settings.workspaces {
        assert!(listed.contains(&(account.timerex_team.as_str(), Some(200))), "{listed:?}");
    }
    for at in [0, 1] {
        assert_eq!(in_ghl(&world, at).await["appointmentStatus"], "confirmed");
    }

    // The tokens end, and the vendor does not say so: it shows its login page.
    let team = &world.account(0).timerex_team;
    world
        .control(
            Method::POST,
            "edits",
            json!({ "system": "timerex", "action": "expire", "kind": "token", "account": team }),
        )
        .await;
    for (at, booking) in bookings.iter().enumerate() {
        cancel_in_ghl(&world, at).await;
        world.settle().await;
        assert!(is_cancelled(&world, at, booking).await);
    }
    assert_eq!(stands(&world, &user(&world)).await, Some((InstallState::Connected, 2)), "one refresh for both");
    let listed = world.ops(Method::GET, "/installs", Value::Null).await.body;
    let shown = |install: &Value| (install["install"].clone(), install["workspace"].clone(), install["state"].clone());
    let listed: Vec<_> = listed["installs"].as_array().unwrap().iter().map(shown).collect();
    assert!(listed.contains(&(json!(format!("timerex/team/{team}")), json!("main"), json!("connected"))), "{listed:?}");
    world.stop().await;
}

async fn tokens_that_are_given_up_here_are_over_at_the_vendor_and_what_waits_goes_on_when_the_user_is_back(
    place: &mut Place,
) {
    let world = plan(1, by_users).start(place).await;
    connect(&world).await;
    let booking = booked(&world, 0, "Cid").await;
    world.settle().await;

    let team = InstallKey::team(&world.account(0).timerex_team);
    let mark = world.mark().await;
    let revoked = world.ops(Method::POST, &format!("/installs/{team}/revoke"), json!({})).await;
    assert_eq!(revoked.body["revoked"].as_array().unwrap().len(), 2, "{revoked:?}");
    let asked = world.calls(mark).await;
    let told = asked.iter().filter(|call| call.system() == "timerex" && call.label().contains("POST"));
    assert_eq!(told.map(|call| call.status).collect::<Vec<_>>(), [Some(200)]);
    assert_eq!(stands(&world, &team).await.map(|(state, _)| state), Some(InstallState::Removed));
    let install = world.app.store.install(&user(&world)).await.unwrap().unwrap();
    assert_eq!((install.state, install.sealed), (InstallState::Removed, None));

    cancel_in_ghl(&world, 0).await;
    let held = async || world.app.store.in_state("main", MirrorState::Held, 10).await.unwrap();
    world.until("the cancellation waits for the user", async || !held().await.is_empty()).await;
    assert!(held().await[0].reason.as_ref().unwrap().contains("`connect/timerex`"));
    assert!(!is_cancelled(&world, 0, &booking).await);
    let (status, page) = connect(&world).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    world.until("it goes on", async || is_cancelled(&world, 0, &booking).await).await;
    world.settle().await;
    world.stop().await;
}

async fn with_reading_scopes_alone_bookings_are_read_and_never_cancelled(place: &mut Place) {
    let world = plan(1, reading_only).start(place).await;
    let (status, page) = connect(&world).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let booking = booked(&world, 0, "Dan").await;
    world.settle().await;
    let mark = world.mark().await;
    cancel_in_ghl(&world, 0).await;
    let held = async || world.app.store.in_state("main", MirrorState::Held, 10).await.unwrap();
    world.until("the cancellation waits for the scope", async || !held().await.is_empty()).await;
    world.settle().await;
    assert!(held().await[0].reason.as_ref().unwrap().contains("`User.Teams.Calendars.ReadWrite`"));
    assert!(!is_cancelled(&world, 0, &booking).await);
    let calls = world.calls(mark).await;
    assert!(calls.iter().all(|call| call.label() != "timerex POST appointment"), "{calls:?}");
    let subject = "grant/timerex/User.Teams.Calendars.ReadWrite";
    let reviews = world.app.store.reviews("main").await.unwrap();
    assert!(reviews.iter().any(|review| review.subject == subject), "{reviews:?}");
    world
        .until("health says so (it keeps an answer for a second)", async || {
            let health = timerex_health(&world, "main").await;
            health["read_only"] == true && health["not_granted"] == json!(["User.Teams.Calendars.ReadWrite"])
        })
        .await;
    world.stop().await;
}

async fn a_user_who_sees_no_team_of_ours_or_says_no_is_refused_and_nothing_is_kept(place: &mut Place) {
    let mut plan = plan(2, one_by_users);
    let second = plan.settings.workspaces[1].timerex_team.clone();
    plan.settings.timerex.oauth.users[0].teams = Some(vec![second]);
    let world = plan.start(place).await;
    // The second team has an api key: nobody's tokens are wanted for it.
    let (status, page) = connect(&world).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{page}");
    assert!(page.contains(&user(&world).account) && page.contains("nothing of it was kept"), "{page}");
    let browser = Browser::to(System::Timerex, world.app.public, PUBLIC);
    let (status, page) = browser.connect("user=").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{page}");
    assert!(page.contains("TimeRex answered `access_denied`"), "{page}");
    assert_eq!(world.app.store.installs().await.unwrap(), []);
    assert!(timerex_health(&world, "ws2").await["install"].is_null());
    world.control(Method::POST, "lose", json!({ "system": "timerex", "count": 1 })).await;
    let id = booked(&world, 1, "Eve").await;
    world.reconcile().await;
    world.settle().await;
    let object = lockstep::model::ExternalId::new(&id);
    let link = world.app.store.link("ws2", System::Timerex, Kind::Appointment, &object).await.unwrap();
    assert!(link.is_some(), "the key serves all the same");
    world.stop().await;
}

on_both!(
    Place: one_user_connects_two_teams_whose_bookings_are_read_and_cancelled_with_one_pair,
    tokens_that_are_given_up_here_are_over_at_the_vendor_and_what_waits_goes_on_when_the_user_is_back,
    with_reading_scopes_alone_bookings_are_read_and_never_cancelled,
    a_user_who_sees_no_team_of_ours_or_says_no_is_refused_and_nothing_is_kept,
);
