//! The owner's way, and the webhooks.

use super::fake::{Fault, THERE};
use super::*;

#[tokio::test]
async fn the_vendors_page_is_asked_for_what_the_documents_say() {
    let bench = Bench::new().await;
    let begun = bench.keeper("one").begin().await.unwrap();
    let url = begun.url.expose();
    for part in [
        "https://marketplace.test/v2/oauth/chooselocation?",
        "response_type=code",
        "client_id=app-suffix",
        "redirect_uri=https%3A%2F%2Fsync.example.com%2Foauth%2Fghl%2Fcallback",
        "scope=contacts.readonly+calendars%2Fevents.write",
        "version_id=v1",
    ] {
        assert!(url.contains(part), "{part}: {url}");
    }
    let (state, again) = (state_of(&begun.url), bench.keeper("one").begin().await.unwrap());
    assert!(state.expose().len() >= 43 && begun.cookie.expose().len() >= 43, "32 bytes each");
    assert_ne!((state, begun.cookie), (state_of(&again.url), again.cookie));
}

#[tokio::test]
async fn a_location_is_connected_by_its_code() {
    let bench = Bench::new().await;
    let keeper = bench.keeper("one");
    let done = bench.connect(&keeper, &here()).await.unwrap();
    assert_eq!(done, Finished { connected: vec![here()], ..Finished::default() });
    let row = bench.row(&here()).await.unwrap();
    assert_eq!((row.state, row.company.as_deref()), (InstallState::Connected, Some(AGENCY)));
    assert!(row.scopes.contains("calendars/events.write"));
    let sealed = row.sealed.unwrap();
    assert!(!sealed.windows(6).any(|window| window == b"secret"), "it is sealed");
    assert!(bench.works(&keeper).await);
    let credential = keeper.credential(here());
    assert!(credential.lacks("locations.readonly") && !credential.lacks("contacts.write"));
}

#[tokio::test]
async fn a_state_is_good_once_for_ten_minutes_and_for_its_own_browser() {
    let bench = Bench::new().await;
    let keeper = bench.keeper("one");
    let finish = async |url: &Secret, cookie: &Secret| {
        let code = Secret::new(bench.fake.code(&here()));
        keeper.finish(&state_of(url), cookie, &code, &only_here).await.map(drop)
    };
    let (begun, other) = (keeper.begin().await.unwrap(), keeper.begin().await.unwrap());
    assert!(matches!(finish(&begun.url, &other.cookie).await, Err(OauthError::Cookie)));
    assert!(matches!(finish(&begun.url, &begun.cookie).await, Err(OauthError::Ticket)), "that was its one time");
    bench.clock.advance(Duration::from_mins(10));
    assert!(matches!(finish(&other.url, &other.cookie).await, Err(OauthError::Ticket)), "too late");
    assert_eq!(bench.fake.count("authorization_code"), 0);
    let begun = keeper.begin().await.unwrap();
    bench.clock.advance(Duration::from_secs(599));
    finish(&begun.url, &begun.cookie).await.unwrap();
    assert!(matches!(finish(&begun.url, &begun.cookie).await, Err(OauthError::Ticket)));
}

#[tokio::test]
async fn a_code_that_the_vendor_does_not_know_says_so() {
    let bench = Bench::new().await;
    let keeper = bench.keeper("one");
    let begun = keeper.begin().await.unwrap();
    let code = Secret::new("code-unknown");
    let said = keeper.finish(&state_of(&begun.url), &begun.cookie, &code, &only_here).await.unwrap_err();
    assert!(matches!(&said, OauthError::Code(said) if said.contains("Authorization code not found")), "{said}");
    bench.fake.ground().wrong_client = true;
    assert!(matches!(bench.connect(&keeper, &here()).await, Err(OauthError::Client(System::Ghl))));
}

#[tokio::test]
async fn a_location_that_nobody_wants_leaves_nothing_behind() {
    let bench = Bench::new().await;
    let keeper = bench.keeper("one");
    let foreign = InstallKey::location(THERE);
    let said = bench.connect(&keeper, &foreign).await.unwrap_err();
    assert!(matches!(&said, OauthError::Foreign(key) if *key == foreign) && said.to_string().contains(THERE), "{said}");
    assert_eq!(bench.store.installs().await.unwrap(), []);
    let done = keeper.installed(Some(THERE), Some(AGENCY), &only_here).await.unwrap();
    assert_eq!(done, Finished { refused: vec![foreign], ..Finished::default() });
    assert_eq!(bench.store.installs().await.unwrap(), []);
}

#[tokio::test]
async fn a_companys_token_makes_those_of_its_wanted_locations() {
    let bench = Bench::new().await;
    let keeper = bench.keeper("one");
    let done = bench.connect(&keeper, &agency()).await.unwrap();
    let refused = vec![InstallKey::location(THERE)];
    assert_eq!(done, Finished { connected: vec![agency(), here()], refused, awaiting: vec![] });
    assert!(bench.works(&keeper).await);
    assert_eq!(bench.store.installs().await.unwrap().len(), 2);
    assert_eq!(bench.row(&here()).await.unwrap().company.as_deref(), Some(AGENCY));
}

#[tokio::test]
async fn a_company_without_a_wanted_location_leaves_nothing_behind() {
    let bench = Bench::new().await;
    bench.fake.ground().installed.remove(HERE);
    let keeper = bench.keeper("one");
    assert!(matches!(bench.connect(&keeper, &agency()).await, Err(OauthError::Foreign(key)) if key == agency()));
    assert_eq!(bench.store.installs().await.unwrap(), []);
}

#[tokio::test]
async fn a_location_whose_token_could_not_be_made_awaits_it_and_gets_it_later() {
    let bench = Bench::new().await;
    let keeper = bench.keeper("one");
    // The code, three pages of locations, then the token of the location.
    bench.fake.fail_after(4, Fault::Status(503));
    let done = bench.connect(&keeper, &agency()).await.unwrap();
    assert_eq!((done.connected, done.awaiting), (vec![agency()], vec![here()]));
    assert!(unauthorized(&keeper.credential(here())).await.contains("did not come yet"));
    assert_eq!(keeper.renew_due().await.unwrap(), 0, "not at once");
    bench.clock.advance(Duration::from_mins(15));
    assert_eq!(keeper.renew_due().await.unwrap(), 1);
    assert!(bench.works(&keeper).await);
}

#[tokio::test]
async fn a_webhook_before_the_owner_is_back_is_awaited_and_told_twice_changes_nothing() {
    let bench = Bench::new().await;
    let keeper = bench.keeper("one");
    for _ in 0..2 {
        let done = keeper.installed(Some(HERE), Some(AGENCY), &only_here).await.unwrap();
        assert_eq!(done, Finished { awaiting: vec![here()], ..Finished::default() });
        assert_eq!(bench.state(&here()).await, Some(InstallState::Awaiting));
    }
    assert!(unauthorized(&keeper.credential(here())).await.contains("did not come yet"));
    bench.connect(&keeper, &here()).await.unwrap();
    assert!(bench.works(&keeper).await);
    let row = bench.row(&here()).await;
    let done = keeper.installed(Some(HERE), Some(AGENCY), &only_here).await.unwrap();
    assert_eq!(done, Finished { connected: vec![here()], ..Finished::default() });
    assert_eq!(bench.row(&here()).await, row);
}

#[tokio::test]
async fn a_webhook_of_an_agency_whose_token_is_here_makes_the_tokens_of_new_locations() {
    let bench = Bench::new().await;
    let keeper = bench.agency_connected().await;
    let there = InstallKey::location(THERE);
    let done = keeper.installed(Some(THERE), Some(AGENCY), &any).await.unwrap();
    assert_eq!(done.connected, std::slice::from_ref(&there));
    keeper.wipe(&InstallKey::location(THERE)).await.unwrap();
    let done = keeper.installed(None, Some(AGENCY), &any).await.unwrap();
    assert_eq!(done.connected, [here(), there, agency()]);
    assert_eq!(bench.fake.count("locationToken"), 3, "the one that is connected is left alone");
    let unknown = bench.keeper("two").installed(None, Some("Comp2"), &only_here).await.unwrap();
    assert_eq!(unknown.refused, [InstallKey::company("Comp2")]);
}

#[tokio::test]
async fn an_uninstall_wipes_the_tokens_and_an_agencys_those_of_its_locations() {
    let bench = Bench::new().await;
    let keeper = bench.agency_connected().await;
    assert_eq!(keeper.wipe(&InstallKey::location("elsewhere")).await.unwrap(), []);
    assert_eq!(keeper.wipe(&agency()).await.unwrap(), [agency(), here()]);
    assert_eq!(keeper.wipe(&agency()).await.unwrap(), []);
    let row = bench.row(&here()).await.unwrap();
    assert_eq!((row.state, row.sealed, row.expires), (InstallState::Removed, None, None));
    assert!(unauthorized(&keeper.credential(here())).await.contains("uninstalled"));
    assert!(!keeper.credential(here()).refused(Version(1), "Invalid token").await);
    assert_eq!(bench.refreshes(), 0);
    bench.connect(&keeper, &here()).await.unwrap();
    assert!(bench.works(&keeper).await, "it can come back");
}

#[tokio::test]
async fn nothing_secret_is_in_print() {
    let bench = Bench::new().await;
    let keeper = bench.keeper("one");
    let begun = keeper.begin().await.unwrap();
    let printed = format!("{begun:?}");
    assert!(!printed.contains(begun.cookie.expose()) && !printed.contains(state_of(&begun.url).expose()), "{printed}");
    let done = bench.connect(&keeper, &agency()).await.unwrap();
    let (row, known) = (bench.row(&here()).await, keeper.read(&here()).await.unwrap());
    let garbled = OauthError::Code("x".to_owned());
    let printed = format!("{keeper:?} {:?} {done:?} {row:?} {known:?} {garbled:?} {garbled}", bench.app);
    for secret in ["client-secret", "access-secret", "refresh-secret"] {
        assert!(!printed.contains(secret), "{secret}: {printed}");
    }
}

#[tokio::test]
async fn a_token_in_the_vendors_words_is_not_repeated_however_long_it_is() {
    let bench = Bench::new().await;
    let keeper = bench.keeper("one");
    let begun = keeper.begin().await.unwrap();
    let code = Secret::new("eyJhbGciOi".repeat(60));
    bench.fake.ground().echo = true;
    let said = keeper.finish(&state_of(&begun.url), &begun.cookie, &code, &only_here).await.unwrap_err().to_string();
    assert!(said.contains("[secret]") && !said.contains("eyJhbGciOi"), "{said}");
}

#[tokio::test]
async fn nothing_is_held_of_companies_that_a_webhook_names() {
    let bench = Bench::new().await;
    let keeper = bench.keeper("one");
    for company in 0..3 {
        keeper.installed(None, Some(&format!("Comp{company}")), &only_here).await.unwrap();
    }
    assert!(keeper.held.lock().unwrap().is_empty());
}
