//! Replicas on one PostgreSQL share the workspaces: who comes gets half, who leaves hands over, who dies is followed soon; and all
//! the while nothing is written twice that no kill explains.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lockstep::clock::{Clock, SystemClock};
use lockstep::sandbox::settings::SandboxSettings;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::kill::installs::Reach;
use super::kill::{Kill, proof, rest, sandbox_settings, service};
use super::{contact, email};
use crate::support::ledger::Ledger;
use crate::support::postgres;
use crate::support::service::free_port;
use crate::support::stage::Stage;

const WORKSPACES: usize = 10;
const LEASE: Duration = Duration::from_secs(5);

/// How many workspaces each process holds, the fewest first.
async fn shares(ledger: &Ledger) -> Vec<usize> {
    let mut counts = BTreeMap::<String, usize>::new();
    let now = SystemClock.now();
    let held = "SELECT owner || ' ' || until FROM leases WHERE workspace NOT LIKE '(%' AND owner <> ''";
    for row in ledger.texts(held).await {
        let (owner, until) = row.split_once(' ').unwrap();
        if until.parse::<i64>().unwrap() > now.0 {
            *counts.entry(owner.to_owned()).or_default() += 1;
        }
    }
    let mut counts: Vec<usize> = counts.into_values().collect();
    counts.sort_unstable();
    counts
}

/// Waits until the shares are these; how long that took.
async fn until_shared(ledger: &Ledger, wanted: &[usize], patience: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let shares = shares(ledger).await;
        if shares == wanted {
            return began.elapsed();
        }
        assert!(began.elapsed() < patience, "{shares:?} after {patience:?}, not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Somebody enters people in all locations until told to stop; how many in each.
async fn enter(stage: Arc<Stage>, locations: Vec<String>, stop: CancellationToken) -> usize {
    let mut rounds = 0;
    while !stop.is_cancelled() {
        for location in &locations {
            let edit = json!({
                "system": "ghl", "action": "create", "kind": "contact", "account": location,
                "fields": contact("ghl", &format!("Eve{rounds}"))
            });
            stage.edit(edit).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        rounds += 1;
    }
    rounds
}

/// The e-mails of the customers of a company, sorted.
fn customers(state: &Value, company: &str) -> Vec<String> {
    let customers = state["timify"][company]["customers"].as_array().into_iter().flatten();
    let mut emails: Vec<String> =
        customers.map(|one| one["plain"]["email"].as_str().unwrap_or_default().to_owned()).collect();
    emails.sort();
    emails
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(
    postgres_missing,
    ignore = "no PostgreSQL: apt-get install postgresql, or set TEST_POSTGRES_URL=postgres://USER@HOST/DATABASE; then \
              cargo test"
)]
async fn who_comes_gets_a_share_who_leaves_hands_over_and_who_dies_is_followed_on_postgres() {
    let (fresh, port) = (postgres::fresh().await, free_port());
    let settings = sandbox_settings(SandboxSettings::with_workspaces(WORKSPACES), 1, port);
    let stage = Arc::new(Stage::start(settings.clone()).await);
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let process = |at: usize, port| {
        let process = service(&settings, &stage, &fresh.url, folders[at].path(), port, Reach::Tokens);
        process.with("LOCKSTEP_DISPATCH__LEASE", "5s")
    };
    let (mut one, mut two) = (process(0, port), process(1, free_port()));
    let ledger = Ledger::open(&fresh.url, folders[0].path()).await;
    one.start();
    until_shared(&ledger, &[WORKSPACES], Duration::from_secs(20)).await;

    let stop = CancellationToken::new();
    let locations = settings.workspaces.iter().map(|account| account.ghl_location.clone()).collect();
    let people = tokio::spawn(enter(stage.clone(), locations, stop.clone()));
    two.start();
    let came = until_shared(&ledger, &[WORKSPACES / 2; 2], Duration::from_secs(20)).await;
    two.stop().await;
    let left = until_shared(&ledger, &[WORKSPACES], Duration::from_secs(4)).await;
    two.start();
    until_shared(&ledger, &[WORKSPACES / 2; 2], Duration::from_secs(20)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    two.kill();
    let at = SystemClock.now();
    let died = until_shared(&ledger, &[WORKSPACES], LEASE + Duration::from_secs(2)).await;
    println!("a share in {came:?}, handed over in {left:?}, followed in {died:?}");

    stop.cancel();
    let entered = people.await.unwrap();
    let names: Vec<&str> = settings.workspaces.iter().map(|account| account.name.as_str()).collect();
    assert!(rest(&fresh.url, &names, &stage).await);
    one.stop().await;
    let mut expected: Vec<String> = (0..entered).map(|round| email(&format!("Eve{round}"))).collect();
    expected.sort();
    let state = stage.get("state").await;
    for account in &settings.workspaces {
        assert_eq!(customers(&state, &account.timify_company), expected, "in {}", account.name);
    }
    // As many may be repeated as were under way when one was killed.
    let kill = Kill { at, victim: "lockstep", creates: 0, writes: 2 * WORKSPACES };
    let (_, unexplained) = proof::repeats(&stage.get("requests").await, &[kill]);
    assert_eq!(unexplained, [""; 0]);
    assert_eq!(proof::accounted_for(&stage.get("deliveries").await, &ledger).await, [""; 0]);
}
