//! Workspaces, cursors and credentials.

use lockstep::clock::Millis;
use lockstep::model::{Mirror, MirrorState, Mode, NewChange, Origin, System};
use lockstep::store::{Load, StoreError};

use super::{ACME, NOW, change, contact, id, mirror};
use crate::support::databases::{Database, in_memory, on_both};

on_both!(
    a_workspace_keeps_the_mode_it_has,
    the_last_webhook_of_each_system_is_known,
    the_load_counts_what_is_to_be_done,
    a_cursor_is_remembered,
    a_credential_is_kept_as_it_was_sealed,
);

in_memory!(
    the_last_webhook_of_each_system_is_known,
    the_load_counts_what_is_to_be_done,
    a_cursor_is_remembered,
    a_credential_is_kept_as_it_was_sealed,
);

async fn a_workspace_keeps_the_mode_it_has(db: &Database) {
    let names = ["a".to_owned(), "b".to_owned()];
    assert_eq!(db.store.mode("a").await.unwrap(), None);
    db.store.register(&names[..1], Mode::Shadow, NOW).await.unwrap();
    db.store.set_mode("a", Mode::Live, NOW).await.unwrap();
    db.store.register(&names, Mode::Shadow, NOW).await.unwrap();
    assert_eq!(db.store.mode("a").await.unwrap(), Some(Mode::Live));
    assert_eq!(db.store.mode("b").await.unwrap(), Some(Mode::Shadow));
    db.store.set_mode("nobody", Mode::Live, NOW).await.unwrap();
    assert_eq!(db.store.mode("nobody").await.unwrap(), None);
    db.run("UPDATE workspaces SET mode = 'canary'").await;
    assert!(matches!(db.store.mode("a").await, Err(StoreError::BadRow { table: "workspaces", column: "mode", .. })));
}

async fn the_last_webhook_of_each_system_is_known(db: &Database) {
    assert!(db.store.last_webhooks(ACME).await.unwrap().is_empty());
    let at = |received, key: &str| NewChange { received: Millis(received), ..change(key) };
    db.append(at(20, "b")).await;
    db.append(at(10, "a")).await;
    db.append(NewChange { system: System::Timify, ..at(5, "c") }).await;
    db.append(NewChange { origin: Origin::Listing, ..at(99, "d") }).await;
    db.append(NewChange { workspace: Some("other".to_owned()), ..at(99, "e") }).await;
    let last = db.store.last_webhooks(ACME).await.unwrap();
    assert_eq!(last, [(System::Ghl, Millis(20)), (System::Timify, Millis(5))].into());
}

async fn the_load_counts_what_is_to_be_done(db: &Database) {
    use MirrorState::{Due, Held, Idle, Parked, Waiting};
    assert_eq!(db.store.load(ACME).await.unwrap(), Load::default());
    let waits = db.append(change("a")).await;
    db.append(change("b")).await;
    db.put(|s| {
        s.entities.extend((1..=7).map(contact));
        let states = [Due, Due, Waiting, Parked, Held, Idle];
        s.mirrors.extend((1..).zip(states).map(|(n, state)| Mirror {
            state,
            due: Millis(50),
            ..mirror(n, System::Ghl)
        }));
        s.mirrors.push(Mirror { state: Due, due: Millis(90), since: Some(Millis(40)), ..mirror(7, System::Ghl) });
        s.mirrors.push(Mirror { state: Idle, since: Some(Millis(1)), ..mirror(7, System::Timify) });
        s.waits.push((waits, id(1), System::Ghl, 1));
    })
    .await;
    let load = Load { undecided: 2, due: 3, waiting: 1, parked: 2, oldest_due: Some(Millis(40)) };
    assert_eq!(db.store.load(ACME).await.unwrap(), load);
    assert_eq!(db.store.load("other").await.unwrap(), Load::default());
}

async fn a_cursor_is_remembered(db: &Database) {
    assert_eq!(db.store.cursor(ACME, "ghl/contacts").await.unwrap(), None);
    db.store.set_cursor(ACME, "ghl/contacts", "page 2", NOW).await.unwrap();
    db.store.set_cursor(ACME, "ghl/contacts", "page 3", NOW).await.unwrap();
    assert_eq!(db.store.cursor(ACME, "ghl/contacts").await.unwrap().as_deref(), Some("page 3"));
    assert_eq!(db.store.cursor("other", "ghl/contacts").await.unwrap(), None);
}

async fn a_credential_is_kept_as_it_was_sealed(db: &Database) {
    assert_eq!(db.store.credential("ghl").await.unwrap(), None);
    for sealed in [&b"\x00\xff old"[..], b"\x00\xfe new"] {
        db.store.keep_credential("ghl", sealed, NOW).await.unwrap();
        assert_eq!(db.store.credential("ghl").await.unwrap().as_deref(), Some(sealed));
    }
    db.store.keep_credential("a", b"", NOW).await.unwrap();
    assert_eq!(db.store.credential_names().await.unwrap(), ["a", "ghl"]);
}
