//! Owners let us in at GHL: connecting in a browser, an agency's installs, scopes that were not granted, tokens that end.

use http::header::COOKIE;
use http::{Method, StatusCode};
use lockstep::config::{Config, GhlOauth};
use lockstep::credentials::seal::new_key;
use lockstep::model::{ExternalId, Holder, InstallKey, InstallState, Kind, MirrorState, System};
use lockstep::secret::Secret;
use serde_json::{Value, json};

use super::{contact, email};
use crate::support::browser::Browser;
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, World};

/// Where the vendor sends people back to, in all worlds here.
const PUBLIC: &str = "http://lockstep.test";

/// The service reaches GHL through installs of the app.
fn by_installs(config: &mut Config) {
    let sandbox = lockstep::sandbox::SandboxSettings::with_workspaces(1).ghl;
    config.server.public_url = Some(PUBLIC.to_owned());
    config.seal.keys = vec![Secret::new(new_key().unwrap())];
    config.systems.ghl.oauth = Some(GhlOauth {
        client_id: sandbox.client.id,
        client_secret: sandbox.client.secret,
        version_id: None,
        authorize_url: format!("{}/v2/oauth/chooselocation", config.systems.ghl.base_url),
        scopes: sandbox.client.scopes,
        version: "2021-07-28".to_owned(),
        companies: Vec::new(),
        renew_before: std::time::Duration::from_hours(1),
        reconnect: false,
    });
    for connection in config.connections.values_mut().filter(|connection| connection.system == System::Ghl) {
        (connection.login, connection.oauth) = (None, true);
    }
}

/// The same, asking to read contacts only.
fn reading_only(config: &mut Config) {
    by_installs(config);
    config.systems.ghl.oauth.as_mut().unwrap().scopes = vec!["contacts.readonly".to_owned()];
}

/// The agency's locations open workspaces of their own; the configuration has none of them.
fn by_agency(config: &mut Config) {
    by_installs(config);
    let agency = lockstep::sandbox::SandboxSettings::with_workspaces(1).ghl.company.id;
    config.systems.ghl.oauth.as_mut().unwrap().companies = vec![agency];
    config.workspaces.clear();
}

fn plan(workspaces: usize, adjust: fn(&mut Config)) -> Plan {
    let mut plan = Plan::of(workspaces);
    plan.settings.ghl.client.redirect_uris = vec![format!("{PUBLIC}/oauth/ghl/callback")];
    for location in &mut plan.settings.ghl.locations {
        location.installed = false;
    }
    plan.adjust = adjust;
    plan
}

fn browser(world: &World) -> Browser {
    Browser::at(world.app.public, PUBLIC)
}

async fn health_of(world: &World, workspace: &str) -> Value {
    let health = world.client.get(format!("http://{}/health", world.app.public)).send().await.unwrap();
    let health: Value = serde_json::from_str(&health.text().await.unwrap()).unwrap();
    let mut found = health["workspaces"].as_array().unwrap().iter().filter(|one| one["name"] == workspace);
    found.next().unwrap_or_else(|| panic!("no {workspace} in {health}")).clone()
}

async fn an_owner_connects_in_a_browser_and_what_waited_is_mirrored(place: &mut Place) {
    let world = plan(1, by_installs).start(place).await;
    let location = world.account(0).ghl_location.clone();
    assert_eq!(health_of(&world, "main").await["systems"]["ghl"]["install"]["state"], "awaiting");
    // Nobody has let us in: a change waits, and nothing is lost.
    world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Ann") })).await;
    let held = async || world.app.store.in_state("main", MirrorState::Held, 10).await.unwrap();
    world.until("the create waits for its account", async || held().await.len() == 1).await;
    assert!(held().await[0].reason.as_ref().unwrap().contains("`connect/ghl`"));
    assert_eq!(world.app.store.reviews("main").await.unwrap()[0].subject, "connect/ghl");

    let browser = browser(&world);
    let (status, page) = browser.connect(&format!("account={location}")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page.contains(&location) && page.contains("main"), "{page}");
    let install = world.app.store.install(&InstallKey::location(&location)).await.unwrap().unwrap();
    assert_eq!(install.state, InstallState::Connected);
    assert!(install.scopes.contains("contacts.write"));

    world.until("it goes on", async || held().await.is_empty()).await;
    world.until("it goes on", async || held().await.is_empty()).await;
    world.settle().await;
    world.everywhere(0, &email("Ann")).await;
    world
        .until("health says so (it keeps an answer for a second)", async || {
            health_of(&world, "main").await["systems"]["ghl"]["install"]["state"] == "connected"
        })
        .await;
    let begun = std::time::Instant::now();
    world.stop().await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(8), "everything ends by itself when it is asked to");
}

async fn a_way_back_is_good_once_and_only_in_the_browser_that_began(place: &mut Place) {
    let world = plan(2, by_installs).start(place).await;
    let browser = browser(&world);
    let choice = format!("account={}", world.account(0).ghl_location);
    let (back, cookie) = browser.choose(&choice).await;
    let (other_back, other_cookie) = browser.choose(&choice).await;
    assert_eq!(browser.go_back(&back, "").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(browser.go_back(&back, &other_cookie).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(browser.go_back(&back, &cookie).await.0, StatusCode::BAD_REQUEST, "a wrong cookie used it up");
    assert_eq!(browser.go_back(&other_back, &other_cookie).await.0, StatusCode::OK);
    assert_eq!(browser.go_back(&other_back, &other_cookie).await.0, StatusCode::BAD_REQUEST);
    // The vendor tells of the installs, too.
    world.settle().await;
    world.stop().await;
}

async fn who_closes_the_browser_while_the_vendor_answers_is_connected_all_the_same(place: &mut Place) {
    let world = plan(1, by_installs).start(place).await;
    let key = InstallKey::location(&world.account(0).ghl_location);
    let browser = browser(&world);
    let (back, cookie) = browser.choose(&format!("account={}", key.account)).await;
    world.fault(json!({ "system": "ghl", "kind": "slow", "path": "/oauth/token", "delay_ms": 700, "count": 1 })).await;
    let gone = browser.client.get(&back).header(COOKIE, &cookie).timeout(std::time::Duration::from_millis(200));
    assert!(gone.send().await.unwrap_err().is_timeout(), "nothing was answered before the browser went away");
    world
        .until("the tokens are here", async || {
            let install = world.app.store.install(&key).await.unwrap();
            install.is_some_and(|install| install.state == InstallState::Connected)
        })
        .await;
    world.stop().await;
}

async fn a_location_that_no_workspace_has_is_not_kept(place: &mut Place) {
    let mut plan = plan(2, |config| {
        by_installs(config);
        config.workspaces.truncate(1);
    });
    plan.connected = false;
    let world = plan.start(place).await;
    let foreign = world.account(1).ghl_location.clone();
    let (status, page) = browser(&world).connect(&format!("account={foreign}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{page}");
    assert!(page.contains(&foreign), "{page}");
    assert_eq!(world.app.store.installs().await.unwrap(), []);
    world.stop().await;
}

async fn an_agency_opens_a_workspace_for_each_location_also_when_the_install_comes_first(place: &mut Place) {
    let world = plan(3, by_agency).start(place).await;
    let locations: Vec<String> = world.settings.workspaces.iter().map(|one| one.ghl_location.clone()).collect();
    let agency = world.settings.ghl.company.id.clone();
    let (back, cookie) = browser(&world).choose(&format!("account={agency}&location={}", locations[0])).await;
    // The INSTALL webhooks are there before the owner's browser comes back.
    let key = InstallKey::location(&locations[0]);
    world.until("the install is known", async || world.app.store.install(&key).await.unwrap().is_some()).await;
    let (status, page) = browser(&world).go_back(&back, &cookie).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let name = |location: &String| format!("ghl-{location}");
    world
        .until("the first workspace is connected", async || {
            let install = world.app.store.install(&key).await.unwrap();
            install.is_some_and(|install| install.state == InstallState::Connected) && world.app.sites().len() == 1
        })
        .await;
    let company = world.app.store.install(&InstallKey::company(&agency)).await.unwrap().unwrap();
    assert_eq!((company.state, company.key.holder), (InstallState::Connected, Holder::Company));

    // The app is installed in a second location later on, by the agency: no browser is needed.
    let install = json!({ "system": "ghl", "action": "install", "kind": "app", "account": locations[1] });
    world.control(Method::POST, "edits", install).await;
    world.until("the second workspace opens", async || world.app.sites().len() == 2).await;
    let id = world.edit(1, "ghl", "create contact", json!({ "fields": contact("ghl", "Ben") })).await;
    world.settle().await;
    let (workspace, object) = (name(&locations[1]), ExternalId::new(&id));
    let link = world.app.store.link(&workspace, System::Ghl, Kind::Contact, &object).await.unwrap();
    assert!(link.is_some(), "its webhooks are routed to the new workspace");
    assert_eq!(health_of(&world, &name(&locations[1])).await["mode"], "shadow", "nothing is written unasked");
    assert!(!world.app.sites().contains_key(&name(&locations[2])));

    // An old UNINSTALL, repeated late, says nothing of the install that came after it.
    let late = json!({
        "type": "UNINSTALL", "appId": world.settings.ghl.app_id, "locationId": locations[1],
        "timestamp": "2020-01-01T00:00:00.000Z", "webhookId": "late"
    });
    assert_eq!(super::from_ghl(&world, &late.to_string()).await.status, StatusCode::OK);
    // Uninstalled: no token is kept, and no call is made.
    let uninstall = json!({ "system": "ghl", "action": "uninstall", "kind": "app", "account": locations[0] });
    world.control(Method::POST, "edits", uninstall).await;
    world
        .until("the install is gone", async || {
            let install = world.app.store.install(&key).await.unwrap().unwrap();
            install.state == InstallState::Removed && install.sealed.is_none()
        })
        .await;
    let second = world.app.store.install(&InstallKey::location(&locations[1])).await.unwrap().unwrap();
    assert_eq!(second.state, InstallState::Connected);
    world.stop().await;
}

async fn with_contacts_readonly_alone_a_workspace_reads_and_says_so(place: &mut Place) {
    let world = plan(1, reading_only).start(place).await;
    let location = world.account(0).ghl_location.clone();
    let (status, page) = browser(&world).connect(&format!("account={location}")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    let mark = world.mark().await;
    world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Cid") })).await;
    world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Dan") })).await;
    world.settle().await;

    let names = |people: Vec<crate::support::people::Person>| -> Vec<String> {
        let mut names: Vec<String> = people.iter().map(|person| person.fields["email"].clone()).collect();
        names.sort();
        names
    };
    assert_eq!(names(world.people(0, "timify").await), [email("Cid"), email("Dan")], "what GHL holds is mirrored");
    assert_eq!(names(world.people(0, "ghl").await), [email("Cid")], "GHL is not written");
    let writes = world.writes(mark).await;
    assert!(writes.iter().all(|label| !label.starts_with("ghl ")), "{writes:?}");
    let held = world.app.store.in_state("main", MirrorState::Held, 10).await.unwrap();
    assert_eq!(held.len(), 1);
    assert!(held[0].reason.as_ref().unwrap().contains("`contacts.write`"), "{held:?}");

    let ghl = &health_of(&world, "main").await["systems"]["ghl"];
    assert_eq!(ghl["read_only"], true, "{ghl}");
    assert!(ghl["not_granted"].as_array().unwrap().contains(&json!("contacts.write")), "{ghl}");
    let reviews = world.app.store.reviews("main").await.unwrap();
    assert!(reviews.iter().any(|review| review.subject == "grant/ghl/contacts.write"), "{reviews:?}");
    world.stop().await;
}

async fn tokens_that_end_while_contacts_are_written_are_renewed_once(place: &mut Place) {
    let world = plan(1, by_installs).start(place).await;
    let location = world.account(0).ghl_location.clone();
    browser(&world).connect(&format!("account={location}")).await;
    let generation = async || {
        let install = world.app.store.install(&InstallKey::location(&location)).await.unwrap().unwrap();
        assert_eq!(install.state, InstallState::Connected);
        install.generation
    };
    let before = generation().await;
    for round in 0..20 {
        let name = format!("Eve{round}");
        world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", &name) })).await;
        if round == 8 {
            let expire = json!({ "system": "ghl", "action": "expire", "kind": "token", "account": location });
            world.control(Method::POST, "edits", expire).await;
        }
    }
    world.settle().await;
    assert_eq!(world.people(0, "ghl").await.len(), 20);
    assert_eq!(generation().await, before + 1, "one refresh, however many calls were refused");
    world.stop().await;
}

on_both!(
    Place: an_owner_connects_in_a_browser_and_what_waited_is_mirrored,
    a_way_back_is_good_once_and_only_in_the_browser_that_began,
    who_closes_the_browser_while_the_vendor_answers_is_connected_all_the_same,
    a_location_that_no_workspace_has_is_not_kept,
    an_agency_opens_a_workspace_for_each_location_also_when_the_install_comes_first,
    with_contacts_readonly_alone_a_workspace_reads_and_says_so,
    tokens_that_end_while_contacts_are_written_are_renewed_once,
);
