//! Installs, the claims on them, tickets of begun authorizations, and the changes that tell of installs.

use std::sync::Arc;

use lockstep::clock::Millis;
use lockstep::model::{ChangeId, Install, InstallKey, InstallState, NewChange, Standing, System};
use tokio::task::JoinSet;

use super::{NOW, change};
use crate::support::databases::{Database, in_memory, on_both};

on_both!(
    an_install_comes_back_as_it_was_written,
    installs_come_in_the_order_of_their_keys,
    an_install_is_written_only_over_the_generation_it_was_worked_out_from,
    of_many_that_write_one_generation_one_is_written,
    a_state_is_set_for_its_generation_only_and_leaves_the_tokens,
    a_claim_is_one_owners_until_it_ends,
    of_many_that_claim_one_gets_it,
    a_claim_ends_with_what_is_written,
    claims_of_the_dead_end_where_nobody_else_can_be_alive,
    a_ticket_is_good_once_and_until_it_ends,
    only_so_many_authorizations_are_open_at_once,
    of_many_that_take_a_ticket_one_gets_it,
    changes_that_tell_of_installs_come_in_order_and_without_others,
);

in_memory!(
    an_install_comes_back_as_it_was_written,
    installs_come_in_the_order_of_their_keys,
    an_install_is_written_only_over_the_generation_it_was_worked_out_from,
    of_many_that_write_one_generation_one_is_written,
    a_state_is_set_for_its_generation_only_and_leaves_the_tokens,
    a_claim_is_one_owners_until_it_ends,
    of_many_that_claim_one_gets_it,
    a_claim_ends_with_what_is_written,
    only_so_many_authorizations_are_open_at_once,
    of_many_that_take_a_ticket_one_gets_it,
    changes_that_tell_of_installs_come_in_order_and_without_others,
);

fn here() -> InstallKey {
    InstallKey::location("loc-1")
}

/// A connected install of some generation.
fn install(key: InstallKey, generation: i64) -> Install {
    Install {
        key,
        company: Some("comp-1".to_owned()),
        state: InstallState::Connected,
        reason: None,
        scopes: ["contacts.readonly", "contacts.write"].map(ToOwned::to_owned).into(),
        sealed: Some(vec![0, 255, u8::try_from(generation).unwrap()]),
        expires: Some(Millis(2_000_000)),
        generation,
        changed: NOW,
    }
}

async fn put(db: &Database, one: &Install, from: i64) -> bool {
    db.store.put_install(one, from).await.unwrap()
}

async fn claim(db: &Database, generation: i64, owner: &str, now: i64, until: i64) -> bool {
    db.store.claim_install(&here(), generation, owner, Millis(now), Millis(until)).await.unwrap()
}

async fn an_install_comes_back_as_it_was_written(db: &Database) {
    assert_eq!(db.store.install(&here()).await.unwrap(), None);
    let full = install(here(), 1);
    assert!(put(db, &full, 0).await);
    assert_eq!(db.store.install(&here()).await.unwrap(), Some(full.clone()));
    let bare = Install {
        company: None,
        state: InstallState::Removed,
        reason: Some("gone".to_owned()),
        scopes: [].into(),
        sealed: None,
        expires: None,
        generation: 2,
        changed: Millis(NOW.0 + 1),
        ..full
    };
    assert!(put(db, &bare, 1).await);
    assert_eq!(db.store.install(&here()).await.unwrap(), Some(bare));
    assert_eq!(db.store.install(&InstallKey::company("loc-1")).await.unwrap(), None, "another holder");
}

async fn installs_come_in_the_order_of_their_keys(db: &Database) {
    assert_eq!(db.store.installs().await.unwrap(), []);
    for key in [InstallKey::location("b"), InstallKey::company("z"), InstallKey::location("a")] {
        assert!(put(db, &install(key, 1), 0).await);
    }
    let keys = db.store.installs().await.unwrap().into_iter().map(|one| one.key).collect::<Vec<_>>();
    assert_eq!(keys, [InstallKey::company("z"), InstallKey::location("a"), InstallKey::location("b")]);
}

async fn an_install_is_written_only_over_the_generation_it_was_worked_out_from(db: &Database) {
    assert!(!put(db, &install(here(), 2), 1).await, "there is none");
    assert_eq!(db.store.installs().await.unwrap(), []);
    assert!(put(db, &install(here(), 1), 0).await);
    assert!(!put(db, &install(here(), 9), 0).await, "there is one");
    assert!(put(db, &install(here(), 2), 1).await);
    assert!(!put(db, &install(here(), 9), 1).await, "that was before");
    assert_eq!(db.store.install(&here()).await.unwrap(), Some(install(here(), 2)));
    let resealed = Install { sealed: Some(vec![7]), ..install(here(), 2) };
    assert!(put(db, &resealed, 2).await, "the same tokens, sealed again");
    assert_eq!(db.store.install(&here()).await.unwrap(), Some(resealed));
}

async fn of_many_that_write_one_generation_one_is_written(db: &Database) {
    for from in [0, 1] {
        let mut tasks = JoinSet::new();
        for n in 0..8_u8 {
            let store = Arc::clone(&db.store);
            let one = Install { sealed: Some(vec![n]), ..install(here(), from + 1) };
            tasks.spawn(async move { store.put_install(&one, from).await.unwrap().then_some(one) });
        }
        let written: Vec<Install> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(written.len(), 1, "{written:?}");
        assert_eq!(db.store.install(&here()).await.unwrap().as_ref(), written.first());
    }
}

async fn a_state_is_set_for_its_generation_only_and_leaves_the_tokens(db: &Database) {
    let set = async |generation, reason| {
        let (state, now) = (InstallState::Inactive, Millis(NOW.0 + 5));
        db.store.set_install_state(&here(), generation, state, reason, now).await.unwrap()
    };
    assert!(!set(1, None).await, "there is none");
    let before = install(here(), 3);
    assert!(put(db, &install(here(), 1), 0).await && put(db, &before, 1).await);
    assert!(!set(1, Some("asleep")).await, "that was before");
    assert_eq!(db.store.install(&here()).await.unwrap(), Some(before.clone()));
    assert!(set(3, Some("asleep")).await);
    let after = Install {
        state: InstallState::Inactive,
        reason: Some("asleep".to_owned()),
        changed: Millis(NOW.0 + 5),
        ..before
    };
    assert_eq!(db.store.install(&here()).await.unwrap(), Some(after));
    assert!(set(3, None).await);
    assert_eq!(db.store.install(&here()).await.unwrap().unwrap().reason, None);
}

async fn a_claim_is_one_owners_until_it_ends(db: &Database) {
    assert!(!claim(db, 1, "us", 0, 10).await, "there is nothing to claim");
    assert!(put(db, &install(here(), 1), 0).await);
    assert!(!claim(db, 2, "us", 0, 10).await, "another generation");
    assert!(claim(db, 1, "us", 0, 10).await);
    assert!(!claim(db, 1, "them", 9, 20).await);
    assert!(claim(db, 1, "us", 9, 30).await, "our own can be renewed");
    assert!(!claim(db, 1, "them", 29, 40).await);
    assert!(claim(db, 1, "them", 30, 40).await);
    assert!(!claim(db, 1, "us", 30, 40).await);
    assert_eq!(db.store.install(&here()).await.unwrap(), Some(install(here(), 1)), "it changes nothing else");
}

async fn of_many_that_claim_one_gets_it(db: &Database) {
    assert!(put(db, &install(here(), 1), 0).await);
    let mut tasks = JoinSet::new();
    for n in 0..8 {
        let store = Arc::clone(&db.store);
        let owner = format!("p{n}");
        tasks.spawn(async move { store.claim_install(&here(), 1, &owner, Millis(0), Millis(10)).await.unwrap() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|got| *got).count(), 1);
}

async fn claims_of_the_dead_end_where_nobody_else_can_be_alive(db: &mut Database) {
    assert!(put(db, &install(here(), 1), 0).await);
    assert!(claim(db, 1, "dead", 0, 10).await);
    db.reopen().await;
    assert_eq!(claim(db, 1, "us", 1, 20).await, db.url.starts_with("sqlite"), "a SQLite file is one process's alone");
}

async fn a_claim_ends_with_what_is_written(db: &Database) {
    assert!(put(db, &install(here(), 1), 0).await);
    assert!(claim(db, 1, "us", 0, 10).await);
    assert!(!put(db, &install(here(), 5), 4).await);
    assert!(!claim(db, 1, "them", 1, 10).await, "nothing was written");
    assert!(put(db, &install(here(), 2), 1).await);
    assert!(claim(db, 2, "them", 1, 10).await);
    let state = InstallState::Connected;
    assert!(!db.store.set_install_state(&here(), 1, state, None, NOW).await.unwrap());
    assert!(!claim(db, 2, "us", 2, 10).await, "nothing was written");
    assert!(db.store.set_install_state(&here(), 2, state, None, NOW).await.unwrap());
    assert!(claim(db, 2, "us", 2, 10).await);
}

async fn a_ticket_is_good_once_and_until_it_ends(db: &Database) {
    let keep = async |state, now, until| {
        db.store.keep_ticket(state, &format!("cookie of {state}"), Millis(now), Millis(until)).await.unwrap();
    };
    let take = async |state, now| db.store.take_ticket(state, Millis(now)).await.unwrap();
    keep("a", 0, 10).await;
    keep("b", 0, 10).await;
    assert_eq!(take("c", 5).await, None);
    assert_eq!(take("a", 9).await.as_deref(), Some("cookie of a"));
    assert_eq!(take("a", 9).await, None, "once");
    assert_eq!(take("b", 10).await, None, "over");
    assert_eq!(take("b", 0).await, None, "and gone");
    keep("d", 0, 10).await;
    keep("e", 9, 20).await;
    assert_eq!(db.number("SELECT COUNT(*) FROM tickets").await, 2);
    keep("f", 10, 20).await;
    assert_eq!(db.number("SELECT COUNT(*) FROM tickets").await, 2, "what ended is forgotten");
    assert_eq!(take("e", 19).await.as_deref(), Some("cookie of e"));
}

async fn only_so_many_authorizations_are_open_at_once(db: &Database) {
    for n in 0..1_000 {
        assert!(db.store.keep_ticket(&n.to_string(), "cookie", Millis(0), Millis(10)).await.unwrap(), "{n}");
    }
    assert!(!db.store.keep_ticket("more", "cookie", Millis(9), Millis(19)).await.unwrap());
    assert!(db.store.keep_ticket("more", "cookie", Millis(10), Millis(20)).await.unwrap(), "those have ended");
}

async fn of_many_that_take_a_ticket_one_gets_it(db: &Database) {
    db.store.keep_ticket("a", "cookie", Millis(0), Millis(10)).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&db.store);
        tasks.spawn(async move { store.take_ticket("a", Millis(1)).await.unwrap() });
    }
    let taken: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken, ["cookie"]);
}

async fn changes_that_tell_of_installs_come_in_order_and_without_others(db: &Database) {
    let told = |key: &str, label: &str, standing, system| NewChange {
        label: label.to_owned(),
        standing,
        system,
        workspace: None,
        kind: None,
        object: None,
        ..change(key)
    };
    let (outside, ghl) = (Standing::NotMirrored, System::Ghl);
    let first = db.append(told("1", "INSTALL", outside, ghl)).await;
    db.append(told("2", "LocationUpdate", outside, ghl)).await;
    db.append(told("3", "INSTALL", outside, System::Timify)).await;
    db.append(told("4", "INSTALL", Standing::Unparsed, ghl)).await;
    db.append(change("5")).await;
    let second = db.append(told("6", "UNINSTALL", outside, ghl)).await;
    let third = db.append(told("7", "INSTALL", outside, ghl)).await;
    let ids = async |after, limit| {
        let told = db.store.told_of_installs(ghl, after, limit).await.unwrap();
        told.into_iter().map(|change| change.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(ChangeId(0), 10).await, [first, second, third]);
    assert_eq!(ids(ChangeId(0), 2).await, [first, second]);
    assert_eq!(ids(second, 10).await, [third]);
    assert_eq!(ids(third, 10).await, []);
    let told = db.store.told_of_installs(ghl, first, 1).await.unwrap();
    assert_eq!(told[0].said.body, change("6").body, "with its body");
}
