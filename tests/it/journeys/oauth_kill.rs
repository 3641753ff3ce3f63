//! Tokens that end every few seconds, beside `kill -9` and a second replica: each is renewed once, none is used twice, and
//! what no crash can save waits until its owner connects again. Where the process dies between the vendor's answer and our
//! commit, the vendor has given out a pair that nobody has.

use std::collections::BTreeSet;
use std::time::Duration;

use lockstep::model::{InstallKey, MirrorState};
use lockstep::sandbox::settings::{SandboxSettings, Workspace};
use lockstep::store::sql;
use serde_json::{Value, json};

use super::kill::installs::Reach;
use super::kill::{Trial, chosen, installs, proof, rest, sandbox_settings, service};
use super::{contact, email};
use crate::support::ledger::Ledger;
use crate::support::postgres;
use crate::support::service::free_port;
use crate::support::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_install_is_lost_when_an_agencys_service_is_killed_while_tokens_end_on_sqlite() {
    let trial = Trial::on_sqlite(chosen("LOCKSTEP_KILL_SEED", 1), chosen("LOCKSTEP_KILLS", 50) * 3 / 10);
    Trial { installed: true, ..trial }.run().await;
}

/// A person enters somebody in TIMIFY.
async fn enter(stage: &Stage, account: &Workspace, name: &str) {
    let fields = contact("timify", name);
    let company = &account.timify_company;
    let edit =
        json!({ "system": "timify", "action": "create", "kind": "contact", "account": company, "fields": fields });
    stage.edit(edit).await;
}

/// The e-mails that a location's contacts have, in order.
async fn in_ghl(stage: &Stage, location: &str) -> Vec<String> {
    let state = stage.get("state").await;
    let contacts = state["ghl"]["contacts"].as_object().unwrap().values();
    let here = contacts.filter(|contact| contact["locationId"] == location);
    let mut emails: Vec<String> = here.map(|contact| contact["email"].as_str().unwrap().to_owned()).collect();
    emails.sort();
    emails
}

async fn health(port: u16) -> Option<Value> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://127.0.0.1:{port}/health")).send().await.ok()?;
    serde_json::from_str(&answer.text().await.ok()?).ok()
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came to this: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_lost_in_a_crash_are_told_of_and_nothing_else_is_lost_on_sqlite() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let url = format!("sqlite://{}", folder.path().join("lockstep.db").display());
    let mut settings = sandbox_settings(SandboxSettings::example(), 1, port);
    installs::set(&mut settings, port);
    let stage = Stage::start(settings.clone()).await;
    let account = stage.account.clone();
    let mut service = service(&settings, &stage, &url, folder.path(), port, Reach::Installs);
    service.start();
    let choice = format!("account={}", account.ghl_location);
    installs::connect(port, &choice).await;
    enter(&stage, &account, "Ann").await;
    assert!(rest(&url, &[&account.name], &stage).await);
    assert_eq!(in_ghl(&stage, &account.ghl_location).await, [email("Ann")]);

    // The vendor gives out new tokens, and we die before they are here.
    stage.slow_tokens(5_000, Some(1)).await;
    // Ann's tokens have ended by now, so that Ben asks for new ones.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (asked, ()) = tokio::join!(stage.next_of_tokens(Duration::from_secs(20)), enter(&stage, &account, "Ben"));
    assert!(asked);
    service.kill();
    let fields = contact("ghl", "Cid");
    let location = &account.ghl_location;
    stage
        .edit(json!({ "system": "ghl", "action": "create", "kind": "contact", "account": location, "fields": fields }))
        .await;
    service.start();
    let install = async || Some(health(port).await?["workspaces"][0]["systems"]["ghl"]["install"].clone());
    until("the install is lost", async || install().await.is_some_and(|install| install["state"] == "lost")).await;
    let store = sql::open_read_only(&url).await.unwrap();
    let lost = store.install(&InstallKey::location(location)).await.unwrap().unwrap();
    assert!(lost.reason.unwrap().contains("connect it again"));
    until("everything waits", async || {
        let load = store.load(&account.name).await.unwrap();
        let held = store.in_state(&account.name, MirrorState::Held, 10).await.unwrap();
        stage.pending().await == 0 && load.due == 0 && held.len() == 2
    })
    .await;
    let told = async || store.reviews(&account.name).await.unwrap().into_iter().map(|review| review.subject);
    assert_eq!(told().await.collect::<Vec<_>>(), ["connect/ghl"]);
    assert_eq!(store.in_state(&account.name, MirrorState::Parked, 10).await.unwrap(), []);
    assert_eq!(in_ghl(&stage, location).await, [email("Ann"), email("Cid")]);

    installs::connect(port, &choice).await;
    assert!(rest(&url, &[&account.name], &stage).await);
    assert_eq!(in_ghl(&stage, location).await, [email("Ann"), email("Ben"), email("Cid")]);
    let state = stage.get("state").await;
    assert_eq!(state["timify"][&account.timify_company]["customers"].as_array().unwrap().len(), 3);
    until("nobody is asked for anything", async || told().await.next().is_none()).await;
    service.kill();
    let ledger = Ledger::open(&url, folder.path()).await;
    assert_eq!(proof::accounted_for(&stage.get("deliveries").await, &ledger).await, [""; 0]);
    assert_eq!(proof::repeats(&stage.get("requests").await, &[]), (0, Vec::new()));
    assert_eq!(installs::asked(&stage).await.refused, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(
    postgres_missing,
    ignore = "no PostgreSQL: apt-get install postgresql, or set TEST_POSTGRES_URL=postgres://USER@HOST/DATABASE; then \
              cargo test"
)]
async fn two_replicas_never_use_a_refresh_token_twice_on_postgres() {
    let (fresh, port) = (postgres::fresh().await, free_port());
    let mut settings = sandbox_settings(SandboxSettings::with_workspaces(2), 1, port);
    installs::set(&mut settings, port);
    let stage = Stage::start(settings.clone()).await;
    stage.slow_tokens(100, None).await;
    // One process knows both workspaces and gets all webhooks; the other, started first, works the second workspace.
    let (folders, accounts) = ([(); 2].map(|()| tempfile::tempdir().unwrap()), settings.workspaces.clone());
    let mut second = settings.clone();
    second.workspaces.remove(0);
    let mut ours = service(&settings, &stage, &fresh.url, folders[0].path(), port, Reach::Replicas);
    let mut theirs = service(&second, &stage, &fresh.url, folders[1].path(), free_port(), Reach::Replicas);

    let ledger = Ledger::open(&fresh.url, folders[0].path()).await;
    let owners = "SELECT DISTINCT owner FROM leases WHERE workspace NOT LIKE '(%'";
    theirs.start();
    until("it holds a lease", async || ledger.texts(owners).await.len() == 1).await;
    ours.start();
    installs::connect(port, &installs::agency(&settings)).await;
    let mut told = [BTreeSet::new(), BTreeSet::new()];
    for number in 0..40 {
        let (at, name) = (number % 2, format!("Eve{number}"));
        enter(&stage, &accounts[at], &name).await;
        told[at].insert(email(&name));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
    assert!(rest(&fresh.url, &names, &stage).await);
    assert_eq!(ledger.texts(owners).await.len(), 2, "each holds one");
    for (account, told) in accounts.iter().zip(told) {
        assert_eq!(in_ghl(&stage, &account.ghl_location).await, told.into_iter().collect::<Vec<_>>());
    }
    assert_eq!(ledger.texts("SELECT account FROM installs WHERE state <> 'connected'").await, [""; 0]);
    let asked = installs::asked(&stage).await;
    assert_eq!((asked.refused, asked.minted, asked.anew), (0, 2, 0), "{asked:?}");
    assert!(asked.given >= 6 && asked.given <= 3 * (asked.seconds / 2 + 1), "{asked:?}");
}
