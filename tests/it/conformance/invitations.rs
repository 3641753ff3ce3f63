//! Invitations, and when they are to be looked at.

use std::sync::Arc;

use lockstep::clock::Millis;
use lockstep::model::{ChangeId, Field, Invitation, InvitationState, NewChange, Standing, System, WrittenTo};
use lockstep::store::StoreError;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{ACME, NOW, change, contact, ext, id};
use crate::support::databases::{Database, in_memory, on_both};

on_both!(
    an_invitation_comes_back_as_it_was_written,
    an_invitation_is_written_only_over_the_revision_it_carries,
    of_many_that_write_one_revision_one_is_written,
    what_follows_is_appended_with_it_or_not_at_all,
    invitations_come_newest_first_and_of_one_workspace,
    an_invitation_is_due_at_its_time,
    an_invitation_is_due_when_its_link_was_told_of_since_the_last_look,
    a_bad_word_is_named_with_its_row,
);

in_memory!(
    an_invitation_comes_back_as_it_was_written,
    an_invitation_is_written_only_over_the_revision_it_carries,
    of_many_that_write_one_revision_one_is_written,
    what_follows_is_appended_with_it_or_not_at_all,
    invitations_come_newest_first_and_of_one_workspace,
    an_invitation_is_due_at_its_time,
    an_invitation_is_due_when_its_link_was_told_of_since_the_last_look,
);

/// An open invitation of the first contact.
fn open(n: u128, due: i64) -> Invitation {
    let mut one = Invitation::new(Uuid::from_u128(n), ACME, id(1), "intro", WrittenTo::Note, NOW);
    one.opened(ext(&format!("link-{n}")), NOW);
    one.due = Some(Millis(due));
    one
}

async fn put(db: &Database, one: &Invitation) {
    assert!(db.store.put_invitation(one, &[]).await.unwrap());
}

async fn with_contact(db: &Database) {
    db.put(|s| s.entities.push(contact(1))).await;
}

async fn listed(db: &Database) -> Vec<Invitation> {
    db.store.invitations(ACME, 10).await.unwrap()
}

/// The numbers of those that are due.
async fn due(db: &Database, now: i64) -> Vec<u128> {
    let due = db.store.due_invitations(ACME, Millis(now), 10).await.unwrap();
    due.into_iter().map(|one| one.id.as_u128()).collect()
}

async fn an_invitation_comes_back_as_it_was_written(db: &Database) {
    with_contact(db).await;
    let full = Invitation {
        written_to: WrittenTo::Field(Field::custom("booking_link")),
        state: InvitationState::Confirmed,
        booking: Some(ext("booking")),
        watched: true,
        reason: Some("because".to_owned()),
        looked: Millis(5),
        idle: 3,
        ..open(1, 7)
    };
    put(db, &full).await;
    assert_eq!(listed(db).await, [Invitation { rev: 1, ..full.clone() }]);
    let bare = Invitation {
        state: InvitationState::Asked,
        link: None,
        booking: None,
        reason: None,
        due: None,
        written_to: WrittenTo::Task,
        watched: false,
        rev: 1,
        ..full
    };
    put(db, &bare).await;
    assert_eq!(listed(db).await, [Invitation { rev: 2, ..bare }]);
}

async fn an_invitation_is_written_only_over_the_revision_it_carries(db: &Database) {
    with_contact(db).await;
    let first = open(1, 7);
    assert!(!db.store.put_invitation(&Invitation { rev: 1, ..first.clone() }, &[]).await.unwrap(), "there is none");
    put(db, &first).await;
    assert!(!db.store.put_invitation(&first, &[]).await.unwrap(), "there is one");
    put(db, &Invitation { rev: 1, ..first.clone() }).await;
    assert!(!db.store.put_invitation(&Invitation { rev: 1, ..first.clone() }, &[]).await.unwrap(), "that was before");
    assert_eq!(listed(db).await, [Invitation { rev: 2, ..first }]);
}

async fn of_many_that_write_one_revision_one_is_written(db: &Database) {
    with_contact(db).await;
    put(db, &open(1, 7)).await;
    let mut tasks = JoinSet::new();
    for n in 0..8 {
        let (store, one) = (Arc::clone(&db.store), Invitation { idle: n, rev: 1, ..open(1, 7) });
        tasks.spawn(async move { store.put_invitation(&one, &[]).await.unwrap() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|written| *written).count(), 1);
}

async fn what_follows_is_appended_with_it_or_not_at_all(db: &Database) {
    with_contact(db).await;
    assert!(db.store.put_invitation(&open(1, 7), &[change("a")]).await.unwrap());
    assert!(!db.store.put_invitation(&open(1, 7), &[change("b")]).await.unwrap());
    let undecided = db.store.undecided(ACME, NOW, 10).await.unwrap();
    assert_eq!(undecided.iter().map(|change| change.said.dedup.as_str()).collect::<Vec<_>>(), ["a"]);
}

async fn invitations_come_newest_first_and_of_one_workspace(db: &Database) {
    with_contact(db).await;
    put(db, &open(1, 7)).await;
    put(db, &Invitation { made: Millis(NOW.0 + 1), ..open(2, 7) }).await;
    put(db, &Invitation { workspace: "other".to_owned(), ..open(3, 7) }).await;
    let ids = |all: Vec<Invitation>| all.into_iter().map(|one| one.id.as_u128()).collect::<Vec<_>>();
    assert_eq!(ids(listed(db).await), [2, 1]);
    assert_eq!(ids(db.store.invitations(ACME, 1).await.unwrap()), [2]);
}

async fn an_invitation_is_due_at_its_time(db: &Database) {
    with_contact(db).await;
    put(db, &open(1, 20)).await;
    put(db, &open(2, 10)).await;
    put(db, &Invitation { due: None, ..open(3, 0) }).await;
    put(db, &Invitation { workspace: "other".to_owned(), ..open(4, 15) }).await;
    assert_eq!((due(db, 9).await, due(db, 10).await, due(db, 20).await), (vec![], vec![2], vec![2, 1]));
    let workspaces = async |now| db.store.workspaces_with_due_invitations(Millis(now)).await.unwrap();
    assert_eq!(workspaces(9).await, [""; 0]);
    assert_eq!(
        (workspaces(10).await, workspaces(15).await),
        (vec![ACME.to_owned()], vec![ACME.to_owned(), "other".to_owned()])
    );
    assert_eq!(db.store.due_invitations(ACME, Millis(20), 1).await.unwrap().len(), 1);
}

async fn an_invitation_is_due_when_its_link_was_told_of_since_the_last_look(db: &Database) {
    with_contact(db).await;
    let told = |key: &str, link: &str, received| NewChange {
        system: System::Timerex,
        label: "one_time_url.confirmed".to_owned(),
        kind: None,
        object: Some(ext(link)),
        standing: Standing::NotMirrored,
        received: Millis(received),
        ..change(key)
    };
    let later = NOW.0 + 1_000;
    for n in [1, 2, 3] {
        put(db, &open(n, later)).await;
    }
    put(db, &Invitation { due: None, ..open(4, 0) }).await;
    let before: ChangeId = db.append(told("before", "link-1", NOW.0 - 1)).await;
    assert_eq!(due(db, NOW.0).await, [], "{before}: it was looked at since");
    db.append(NewChange { workspace: Some("other".to_owned()), ..told("elsewhere", "link-2", NOW.0 + 1) }).await;
    db.append(NewChange { label: "event_confirmed".to_owned(), ..told("another", "link-2", NOW.0 + 1) }).await;
    db.append(told("over", "link-4", NOW.0 + 1)).await;
    assert_eq!(due(db, NOW.0).await, []);
    db.append(told("now", "link-3", NOW.0)).await;
    assert_eq!(due(db, NOW.0).await, [3]);
    assert_eq!(db.store.workspaces_with_due_invitations(NOW).await.unwrap(), [ACME]);
    put(db, &Invitation { looked: Millis(NOW.0 + 1), rev: 1, ..open(3, later) }).await;
    assert_eq!(due(db, NOW.0).await, []);
}

async fn a_bad_word_is_named_with_its_row(db: &Database) {
    with_contact(db).await;
    put(db, &open(1, 7)).await;
    db.run("UPDATE invitations SET written_to = 'nowhere'").await;
    let error = db.store.invitations(ACME, 1).await.unwrap_err();
    assert!(matches!(error, StoreError::BadRow { table: "invitations", column: "written_to", .. }), "{error}");
}
