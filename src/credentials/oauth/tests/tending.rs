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
    assert!(unauthorized(&bench.keeper("three").credential(HERE)).await.contains("[seal] keys"));
}
