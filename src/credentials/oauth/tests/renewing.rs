//! Renewing: once, in one place, and never lost.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use rstest::rstest;
use tokio::task::JoinSet;

use super::fake::Fault;
use super::*;
use crate::credentials::oauth::ghl::tells_of_token;
use crate::store;

const INVALID: &str = "Invalid token: access token is invalid";

#[tokio::test]
async fn fifty_tasks_that_need_a_token_at_once_make_one_renewal() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    bench.clock.advance(Duration::from_secs(86_339));
    let credential = keeper.credential(here());
    assert_eq!(sign(&credential).await.unwrap().1, Version(1));
    assert_eq!(bench.refreshes(), 0, "a minute is left");
    bench.clock.advance(Duration::from_secs(1));
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let credential = keeper.credential(here());
        tasks.spawn(async move { sign(&credential).await.unwrap() });
    }
    let signed = tasks.join_all().await;
    assert_eq!(bench.refreshes(), 1);
    assert!(signed.iter().all(|one| *one == signed[0] && one.1 == Version(2)), "{signed:?}");
    assert!(bench.works(&keeper).await);
}

#[tokio::test]
async fn two_replicas_make_one_renewal() {
    let bench = Bench::new().await;
    let one = bench.connected().await;
    let two = bench.keeper("two");
    assert!(bench.works(&two).await);
    bench.clock.advance(NEARLY_A_DAY);
    let mut tasks = JoinSet::new();
    for keeper in [&one, &two, &one, &two] {
        let credential = keeper.credential(here());
        tasks.spawn(async move { sign(&credential).await.unwrap() });
    }
    let signed = tasks.join_all().await;
    assert_eq!(bench.refreshes(), 1);
    assert!(signed.iter().all(|one| *one == signed[0]), "{signed:?}");
}

#[tokio::test]
async fn a_replica_that_died_over_it_is_not_waited_for_longer_than_its_claim() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    let (now, until) = (bench.clock.now(), bench.clock.now() + Duration::from_secs(30));
    assert!(bench.store.claim_install(&here(), 1, "dead", now, until).await.unwrap());
    let renewing = tokio::spawn({
        let credential = keeper.credential(here());
        async move { credential.refused(Version(1), INVALID).await }
    });
    bench.clock.advance(Duration::from_secs(30));
    assert!(renewing.await.unwrap());
    assert_eq!(bench.refreshes(), 1);
}

#[tokio::test]
async fn tokens_that_live_shortly_are_not_renewed_for_each_call() {
    let bench = Bench::new().await;
    bench.fake.ground().life = Some(8);
    let keeper = bench.connected().await;
    let credential = keeper.credential(here());
    bench.clock.advance(Duration::from_secs(3));
    assert_eq!(sign(&credential).await.unwrap().1, Version(1));
    assert_eq!((keeper.renew_due().await.unwrap(), bench.refreshes()), (0, 0), "more than half their life is left");
    bench.clock.advance(Duration::from_secs(2));
    assert_eq!(sign(&credential).await.unwrap().1, Version(2));
    assert_eq!((keeper.renew_due().await.unwrap(), bench.refreshes()), (0, 1));
}

#[tokio::test]
async fn what_the_vendor_says_of_tokens_does_not_make_them_newer() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    let before = bench.row(&here()).await.unwrap();
    bench.clock.advance(Duration::from_hours(1));
    bench.fake.fail(Fault::Status(403));
    assert!(keeper.rotate(&here()).await.is_err());
    let row = bench.row(&here()).await.unwrap();
    assert_eq!((row.state, row.changed, row.reason.is_some()), (InstallState::Connected, before.changed, true));
}

#[tokio::test]
async fn a_restart_uses_the_pair_that_was_stored_before_anybody_used_it() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    keeper.rotate(&here()).await.unwrap();
    drop(keeper);
    let after = bench.keeper("after");
    assert!(bench.works(&after).await);
    after.rotate(&here()).await.unwrap();
    assert_eq!(bench.refreshes(), 2);
    assert_eq!(bench.state(&here()).await, Some(InstallState::Connected));
}

#[tokio::test]
async fn one_who_stops_waiting_does_not_stop_the_renewal() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    bench.clock.advance(NEARLY_A_DAY);
    bench.fake.fail(Fault::Held);
    let credential = keeper.credential(here());
    let asking = tokio::spawn(async move { sign(&credential).await });
    while bench.refreshes() == 0 {
        tokio::task::yield_now().await;
    }
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    bench.fake.back.add_permits(1);
    assert!(bench.works(&keeper).await);
    assert_eq!(bench.refreshes(), 1, "its answer was stored");
}

#[tokio::test]
async fn an_answer_that_was_lost_is_recovered_with_the_companys_token() {
    let bench = Bench::new().await;
    let keeper = bench.agency_connected().await;
    bench.clock.advance(Duration::from_hours(23));
    bench.fake.fail(Fault::Cut);
    let credential = keeper.credential(here());
    bench.clock.advance(Duration::from_hours(1));
    assert!(matches!(sign(&credential).await, Err(SystemError::Unavailable { .. })));
    assert_eq!(bench.state(&here()).await, Some(InstallState::Connected), "nobody knows yet");
    assert!(bench.works(&keeper).await);
    assert_eq!(bench.refreshes(), 3, "lost, invalid, and the company's own");
    assert_eq!(bench.fake.count("locationToken"), 2);
}

#[tokio::test]
async fn an_answer_that_was_lost_without_a_company_ends_lost_with_the_reason() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    bench.clock.advance(NEARLY_A_DAY);
    bench.fake.fail(Fault::Cut);
    let credential = keeper.credential(here());
    assert!(matches!(sign(&credential).await, Err(SystemError::Unavailable { .. })));
    assert!(unauthorized(&credential).await.contains("connect it again"));
    let row = bench.row(&here()).await.unwrap();
    assert_eq!(row.state, InstallState::Lost);
    assert!(row.reason.unwrap().contains("connect it again"));
    let asked = bench.refreshes();
    assert!(unauthorized(&credential).await.contains("connect it again"));
    assert!(!credential.refused(Version(1), INVALID).await);
    assert_eq!(bench.refreshes(), asked, "the vendor is not asked again");
    bench.connect(&keeper, &here()).await.unwrap();
    assert!(bench.works(&keeper).await);
}

#[tokio::test]
async fn lost_tokens_are_asked_for_anew_where_that_is_wanted() {
    let mut bench = Bench::new().await;
    bench.app.reconnect = true;
    let keeper = bench.connected().await;
    bench.spend(&here());
    keeper.rotate(&here()).await.unwrap();
    assert!(bench.works(&keeper).await);
    assert_eq!(bench.fake.count("reconnect"), 1);
    bench.spend(&here());
    bench.fake.ground().installed.remove(HERE);
    assert!(keeper.rotate(&here()).await.is_err());
    assert_eq!(bench.state(&here()).await, Some(InstallState::Lost), "it is not installed any more");
}

#[tokio::test]
async fn an_invalid_token_is_renewed_once_however_many_calls_it_was_refused_to() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    let credential = keeper.credential(here());
    let (_, first) = sign(&credential).await.unwrap();
    assert!(credential.refused(first, INVALID).await);
    assert!(credential.refused(first, INVALID).await, "another call that used the first one");
    assert_eq!((bench.refreshes(), sign(&credential).await.unwrap().1), (1, Version(2)));
    assert!(bench.works(&keeper).await);
}

#[rstest]
#[case(INVALID, true)]
#[case("Invalid JWT", true)]
#[case("The access token expired", true)]
#[case("jwt expired (trace 8cf33664-0000-4000-8000-000000000007)", true)]
#[case("The token is not authorized for this scope.", false)]
#[case("Token's user type mismatch!", false)]
#[case("This authClass type is not allowed to access this scope. Please verify your IAM configuration.", false)]
#[case("The token does not have access to this location.", false)]
#[case("version header was not found.", false)]
fn only_words_about_the_token_itself_renew_it(#[case] message: &str, #[case] renews: bool) {
    assert_eq!(tells_of_token(message), renews);
}

#[tokio::test]
async fn a_missing_scope_renews_nothing_and_is_remembered() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    let credential = keeper.credential(here());
    assert!(!credential.refused(Version(1), "The token is not authorized for this scope.").await);
    assert_eq!(bench.refreshes(), 0);
    assert!(!credential.lacks("contacts.write"));
    credential.denied("contacts.write");
    assert!(credential.lacks("contacts.write"));
    bench.clock.advance(Duration::from_hours(1));
    assert!(!credential.lacks("contacts.write"));
}

#[tokio::test]
async fn scopes_that_another_replica_was_granted_are_noticed() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    let credential = keeper.credential(here());
    credential.denied("contacts.write");
    assert!(credential.lacks("businesses.readonly"));
    bench.fake.ground().scope = Some("contacts.write businesses.readonly".to_owned());
    bench.connect(&bench.keeper("two"), &here()).await.unwrap();
    keeper.renew_due().await.unwrap();
    assert!(!credential.lacks("businesses.readonly") && !credential.lacks("contacts.write"));
    assert!(credential.lacks("contacts.readonly"), "that is granted no longer");
}

#[tokio::test]
async fn an_inactive_location_keeps_its_tokens_and_works_again_later() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    bench.fake.ground().inactive.insert(HERE.to_owned());
    bench.clock.advance(NEARLY_A_DAY);
    let credential = keeper.credential(here());
    for _ in 0..3 {
        assert!(unauthorized(&credential).await.contains("not active"));
    }
    assert_eq!(bench.refreshes(), 1, "a quarter of an hour is between two questions");
    let row = bench.row(&here()).await.unwrap();
    assert_eq!((row.state, row.sealed.is_some()), (InstallState::Inactive, true));
    bench.clock.advance(Duration::from_mins(15));
    assert!(unauthorized(&credential).await.contains("not active"));
    assert_eq!(bench.refreshes(), 2);
    bench.fake.ground().inactive.clear();
    assert!(unauthorized(&credential).await.contains("not active"));
    bench.clock.advance(Duration::from_mins(15));
    assert!(bench.works(&keeper).await);
    let row = bench.row(&here()).await.unwrap();
    assert_eq!((row.state, row.reason, bench.refreshes()), (InstallState::Connected, None, 3));
}

#[tokio::test]
async fn invalid_because_another_replica_was_faster_uses_the_newer_pair() {
    let bench = Bench::new().await;
    let one = bench.agency_connected().await;
    bench.fake.fail(Fault::Late);
    let slow = tokio::spawn({
        let credential = one.credential(here());
        async move { credential.refused(Version(1), INVALID).await }
    });
    while !bench.fake.ground().faults.is_empty() {
        tokio::task::yield_now().await;
    }
    // It hangs for longer than its claim; another takes over, and the slow one's call comes second.
    bench.clock.advance(Duration::from_mins(2));
    bench.keeper("two").rotate(&here()).await.unwrap();
    bench.fake.back.add_permits(1);
    assert!(slow.await.unwrap());
    assert_eq!(bench.refreshes(), 2, "one was good, one came too late");
    assert_eq!(bench.fake.count("locationToken"), 1, "nothing had to be recovered");
    let row = bench.row(&here()).await.unwrap();
    assert_eq!((row.state, row.generation), (InstallState::Connected, 2));
    assert!(bench.works(&one).await);
}

#[tokio::test]
async fn a_renewal_that_took_longer_than_its_claim_is_stored_though_another_found_the_token_spent() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    bench.fake.fail(Fault::Held);
    let credential = keeper.credential(here());
    let slow = tokio::spawn(async move { credential.refused(Version(1), INVALID).await });
    while bench.refreshes() == 0 {
        tokio::task::yield_now().await;
    }
    bench.clock.advance(Duration::from_mins(2));
    assert!(bench.keeper("two").rotate(&here()).await.is_err());
    assert_eq!(bench.state(&here()).await, Some(InstallState::Lost));
    bench.fake.back.add_permits(1);
    assert!(slow.await.unwrap());
    assert_eq!(bench.state(&here()).await, Some(InstallState::Connected));
    assert!(bench.works(&keeper).await && bench.works(&bench.keeper("two")).await);
}

/// Runs `meanwhile` while the vendor is being asked for a new pair of the location.
async fn during_a_renewal(bench: &Bench, keeper: &Arc<Keeper>, meanwhile: impl AsyncFnOnce()) -> bool {
    bench.fake.fail(Fault::Held);
    let credential = keeper.credential(here());
    let renewing = tokio::spawn(async move { credential.refused(Version(1), INVALID).await });
    while bench.refreshes() == 0 {
        tokio::task::yield_now().await;
    }
    meanwhile().await;
    bench.fake.back.add_permits(1);
    renewing.await.unwrap()
}

#[tokio::test]
async fn a_new_pair_is_stored_though_the_old_one_was_counted_up_meanwhile() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    let again = async || {
        let row = bench.row(&here()).await.unwrap();
        assert!(bench.store.put_install(&Install { generation: 7, ..row }, 1).await.unwrap());
    };
    assert!(during_a_renewal(&bench, &keeper, again).await);
    assert_eq!(bench.row(&here()).await.unwrap().generation, 8);
    assert!(bench.works(&keeper).await);
    assert!(bench.works(&bench.keeper("after")).await);
}

#[tokio::test]
async fn an_uninstall_during_a_renewal_leaves_no_tokens() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    let uninstall = async || drop(keeper.wipe(&InstallKey::location(HERE)).await.unwrap());
    assert!(!during_a_renewal(&bench, &keeper, uninstall).await);
    assert_eq!(bench.row(&here()).await.unwrap().sealed, None);
    assert!(unauthorized(&keeper.credential(here())).await.contains("uninstalled"));
}

#[tokio::test]
async fn a_wrong_client_secret_keeps_everything_and_names_the_keys() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    bench.fake.ground().wrong_client = true;
    bench.clock.advance(NEARLY_A_DAY);
    let credential = keeper.credential(here());
    assert!(unauthorized(&credential).await.contains("client_secret in [systems.ghl.oauth]"));
    let row = bench.row(&here()).await.unwrap();
    assert_eq!((row.state, row.generation), (InstallState::Connected, 1));
    assert!(row.reason.unwrap().contains("client_secret"));
    bench.fake.ground().wrong_client = false;
    assert!(bench.works(&keeper).await);
    assert_eq!(bench.row(&here()).await.unwrap().reason, None);
}

#[rstest]
#[case(429)]
#[case(500)]
#[case(503)]
#[tokio::test]
async fn a_vendor_that_fails_is_asked_again(#[case] status: u16) {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    bench.clock.advance(NEARLY_A_DAY);
    bench.fake.fail(Fault::Status(status));
    let said = sign(&keeper.credential(here())).await.unwrap_err();
    assert!(matches!(said, SystemError::Wait { .. } | SystemError::Unavailable { .. }), "{said}");
    assert!(bench.works(&bench.keeper("two")).await, "the claim is given back at once");
    assert_eq!(bench.refreshes(), 1);
}

/// A store that can be told to take no installs, and counts claims.
pub(super) struct Broken(pub(super) Arc<dyn Store>, pub(super) AtomicBool, pub(super) AtomicUsize);

#[async_trait]
impl Installs for Broken {
    async fn install(&self, key: &InstallKey) -> store::Result<Option<Install>> {
        self.0.install(key).await
    }
    async fn installs(&self) -> store::Result<Vec<Install>> {
        self.0.installs().await
    }
    async fn put_install(&self, install: &Install, from: i64) -> store::Result<bool> {
        if self.1.load(Ordering::SeqCst) {
            return Err(store::StoreError::Unavailable("broken on purpose".into()));
        }
        self.0.put_install(install, from).await
    }
    async fn set_install_state(
        &self,
        key: &InstallKey,
        generation: i64,
        state: InstallState,
        reason: Option<&str>,
        now: Millis,
    ) -> store::Result<bool> {
        self.0.set_install_state(key, generation, state, reason, now).await
    }
    async fn claim_install(
        &self,
        key: &InstallKey,
        generation: i64,
        owner: &str,
        now: Millis,
        until: Millis,
    ) -> store::Result<bool> {
        let claimed = self.0.claim_install(key, generation, owner, now, until).await;
        self.2.fetch_add(1, Ordering::SeqCst);
        claimed
    }
    async fn keep_ticket(&self, state: &str, cookie: &str, now: Millis, until: Millis) -> store::Result<bool> {
        self.0.keep_ticket(state, cookie, now, until).await
    }
    async fn take_ticket(&self, state: &str, now: Millis) -> store::Result<Option<String>> {
        self.0.take_ticket(state, now).await
    }
}

#[tokio::test]
async fn a_pair_that_the_store_did_not_take_is_not_used_and_stored_as_soon_as_it_can_be() {
    let bench = Bench::new().await;
    bench.connected().await;
    let broken = Arc::new(Broken(bench.store.clone(), AtomicBool::new(true), AtomicUsize::new(0)));
    let keeper = bench.keeper_over("two", broken.clone());
    let credential = keeper.credential(here());
    assert!(!credential.refused(Version(1), INVALID).await);
    assert_eq!(sign(&credential).await.unwrap().1, Version(1), "the new one is nobody's before it is stored");
    broken.1.store(false, Ordering::SeqCst);
    assert_eq!(keeper.renew_due().await.unwrap(), 1);
    assert_eq!(bench.refreshes(), 1, "the vendor was not asked again");
    assert!(bench.works(&keeper).await);
    assert!(bench.works(&bench.keeper("after")).await);
}

/// Takes as long as a third of a claim lasts: nobody advances the clock of tokio.
#[tokio::test]
async fn a_renewal_that_takes_longer_than_its_claim_keeps_it() {
    let bench = Bench::new().await;
    bench.connected().await;
    let store = Arc::new(Broken(bench.store.clone(), AtomicBool::new(false), AtomicUsize::new(0)));
    let keeper = bench.keeper_over("slow", store.clone());
    bench.fake.fail(Fault::Held);
    let slow = tokio::spawn(async move { keeper.rotate(&here()).await });
    while bench.refreshes() == 0 {
        tokio::task::yield_now().await;
    }
    bench.clock.advance(Duration::from_secs(14));
    while store.2.load(Ordering::SeqCst) == 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.clock.advance(Duration::from_secs(14));
    let now = bench.clock.now();
    assert!(!bench.store.claim_install(&here(), 1, "two", now, now).await.unwrap(), "28 s after it began");
    bench.fake.back.add_permits(1);
    slow.await.unwrap().unwrap();
    assert_eq!(bench.refreshes(), 1);
}
