//! The timer and the operator's commands.

use super::*;
use crate::credentials::logins;

#[tokio::test]
async fn what_ends_soon_is_renewed_by_one_replica() {
    let bench = Bench::new().await;
    let one = bench.agency_connected().await;
    assert_eq!(one.renew_due().await.unwrap(), 0);
    bench.clock.advance(Duration::from_hours(23));
    let two = bench.keeper("two");
    let (by_one, by_two) = tokio::join!(one.renew_due(), two.renew_due());
    assert!(by_one.unwrap() + by_two.unwrap() >= 2);
    assert_eq!(bench.refreshes(), 2, "the company's and the location's, once each");
    assert_eq!(one.renew_due().await.unwrap() + two.renew_due().await.unwrap(), 0);
    assert!(bench.works(&one).await && bench.works(&two).await);
}

#[tokio::test]
async fn an_inactive_location_is_asked_about_by_the_timer() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    bench.fake.ground().inactive.insert(HERE.to_owned());
    assert!(keeper.rotate(&here()).await.is_err());
    bench.fake.ground().inactive.clear();
    assert_eq!(keeper.renew_due().await.unwrap(), 0);
    bench.clock.advance(Duration::from_mins(15));
    assert_eq!(keeper.renew_due().await.unwrap(), 1);
    assert_eq!(bench.state(&here()).await, Some(InstallState::Connected));
}

#[tokio::test]
async fn an_install_is_rotated_only_if_it_is_there() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    keeper.rotate(&here()).await.unwrap();
    assert_eq!(bench.row(&here()).await.unwrap().generation, 2);
    assert!(matches!(keeper.rotate(&agency()).await, Err(OauthError::Unknown(key)) if key == agency()));
    assert!(matches!(keeper.revoke(&agency(), false).await, Err(OauthError::Unknown(_))));
}

#[tokio::test]
async fn an_install_is_given_up_here_or_at_the_vendor_too() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    assert_eq!(keeper.revoke(&here(), false).await.unwrap(), [here()]);
    assert_eq!(bench.fake.count("installations"), 0);
    assert_eq!(bench.state(&here()).await, Some(InstallState::Removed));
    assert!(keeper.revoke(&here(), true).await.is_err(), "no token is left to uninstall with");
    bench.connect(&keeper, &here()).await.unwrap();
    bench.fake.fail(fake::Fault::Status(500));
    assert!(keeper.revoke(&here(), true).await.is_err());
    assert_eq!(bench.state(&here()).await, Some(InstallState::Connected), "it can be tried again");
    assert_eq!(keeper.revoke(&here(), true).await.unwrap(), [here()]);
    assert!(!bench.fake.ground().installed.contains(HERE));
    assert_eq!(bench.row(&here()).await.unwrap().sealed, None);
}

#[tokio::test]
async fn what_an_older_key_sealed_is_sealed_with_the_newest() {
    let mut bench = Bench::new().await;
    let old = Secret::new(new_key().unwrap());
    bench.sealer = Arc::new(Sealer::new(std::slice::from_ref(&old)).unwrap());
    bench.agency_connected().await;
    let login = crate::credentials::login::Login::Ghl(Secret::new("pit-1"));
    logins::keep("crm", &login, bench.store.as_ref(), &bench.sealer, Millis(0)).await.unwrap();

    let new = Secret::new(new_key().unwrap());
    bench.sealer = Arc::new(Sealer::new(&[new.clone(), old]).unwrap());
    let keeper = bench.keeper("two");
    assert_eq!((keeper.reseal().await.unwrap(), keeper.reseal().await.unwrap()), (2, 0));
    let resealed = async || logins::reseal(bench.store.as_ref(), &bench.sealer, Millis(0)).await.unwrap();
    assert_eq!((resealed().await, resealed().await), (1, 0));

    bench.sealer = Arc::new(Sealer::new(&[new]).unwrap());
    let keeper = bench.keeper("three");
    assert_eq!(keeper.open_all().await.unwrap(), 2);
    assert!(bench.works(&keeper).await);
    logins::reseal(bench.store.as_ref(), &bench.sealer, Millis(0)).await.unwrap();
}

#[tokio::test]
async fn a_lost_key_is_noticed_at_the_start() {
    let mut bench = Bench::new().await;
    bench.connected().await;
    bench.sealer = Arc::new(Sealer::new(&[Secret::new(new_key().unwrap())]).unwrap());
    let said = bench.keeper("two").open_all().await.unwrap_err();
    assert!(matches!(&said, OauthError::Sealed { key, .. } if *key == here()), "{said}");
    assert!(unauthorized(&bench.keeper("three").credential(here())).await.contains("[seal] keys"));
}

#[tokio::test]
async fn an_account_at_which_the_vendor_hangs_holds_nobody_elses_tokens_up() {
    let bench = Bench::new().await;
    let keeper = bench.agency_connected().await;
    let there = InstallKey::location(fake::THERE);
    keeper.installed(Some(fake::THERE), Some(AGENCY), &any).await.unwrap();
    bench.clock.advance(Duration::from_hours(23));
    bench.fake.fail(fake::Fault::Held);
    let renewing = tokio::spawn({
        let keeper = keeper.clone();
        async move { keeper.renew_due().await.unwrap() }
    });
    let renewed = async || {
        let rows = [bench.row(&agency()).await, bench.row(&here()).await, bench.row(&there).await];
        rows.iter().flatten().filter(|row| row.generation == 2).count()
    };
    let others = async {
        while renewed().await < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), others).await.expect("the others have new tokens meanwhile");
    assert_eq!(renewed().await, 2);
    bench.fake.back.add_permits(1);
    assert_eq!(renewing.await.unwrap(), 3);
}

#[tokio::test]
async fn who_stops_waits_for_a_renewal_that_nobody_else_waits_for() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    bench.fake.fail(fake::Fault::Held);
    let renewing = tokio::spawn({
        let keeper = keeper.clone();
        async move { keeper.rotate(&here()).await }
    });
    while bench.refreshes() == 0 {
        tokio::task::yield_now().await;
    }
    renewing.abort();
    let settled = tokio::spawn({
        let keeper = keeper.clone();
        async move { keeper.settled().await }
    });
    tokio::task::yield_now().await;
    assert!(!settled.is_finished());
    bench.fake.back.add_permits(1);
    settled.await.unwrap();
    assert_eq!(bench.row(&here()).await.unwrap().generation, 2, "its tokens are stored");
}

#[tokio::test]
async fn a_failed_renewal_does_not_make_tokens_look_newer_than_an_uninstalling() {
    let bench = Bench::new().await;
    let keeper = bench.connected().await;
    let since = bench.row(&here()).await.unwrap().changed;
    bench.clock.advance(Duration::from_hours(1));
    bench.fake.fail(fake::Fault::Status(503));
    assert!(keeper.rotate(&here()).await.is_err());
    let row = bench.row(&here()).await.unwrap();
    assert_eq!((row.state, row.changed), (InstallState::Connected, since));
}

#[tokio::test]
async fn tokens_that_live_shorter_than_renew_before_are_renewed_at_half_their_life() {
    let mut bench = Bench::new().await;
    bench.app.client.renew_before = Duration::from_hours(48);
    let keeper = bench.connected().await;
    assert_eq!(keeper.renew_due().await.unwrap(), 0, "not each time anew");
    bench.clock.advance(Duration::from_hours(12));
    assert_eq!(keeper.renew_due().await.unwrap(), 1);
}

#[tokio::test]
async fn tokens_that_another_replica_wiped_are_used_no_longer() {
    let bench = Bench::new().await;
    let (one, two) = (bench.connected().await, bench.keeper("two"));
    assert!(bench.works(&two).await);
    one.revoke(&here(), false).await.unwrap();
    two.notice(&bench.store.installs().await.unwrap());
    assert!(unauthorized(&two.credential(here())).await.contains("given up here"));
}
