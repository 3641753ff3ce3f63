//! Who booked: the guest of a TimeRex booking becomes a contact, what was typed its fields, the comment a note.

use lockstep::model::{Field, Kind, System, Value as Held};
use serde_json::{Value, json};

use super::desk::{Desk, GUEST, MAIN, answer};

const COMMENT: &str = "よろしくお願いします";

fn emails(desk: &Desk) -> Vec<String> {
    let mut all: Vec<String> =
        desk.ghl("contacts").iter().map(|one| one["email"].as_str().unwrap_or_default().to_owned()).collect();
    all.sort();
    all
}

async fn in_ghl(desk: &Desk, fields: Value) -> String {
    let id = desk.edit(System::Ghl, "create contact", None, fields).await;
    desk.settle().await;
    id
}

#[tokio::test]
async fn a_guest_becomes_a_contact_with_an_appointment_and_the_comment_as_a_note() {
    let desk = Desk::new().await;
    desk.tell_each(&[&desk.confirmed("b1", |_| {})]).await;
    assert_eq!(emails(&desk), [GUEST]);
    assert_eq!(desk.booked().len(), 1);
    assert_eq!(desk.notes(), [COMMENT]);
    let booking = desk.whole(Kind::Appointment, "b1").await.unwrap();
    let note = desk.whole(Kind::Note, "b1/comment").await.unwrap();
    assert_eq!((booking.entity.parent.is_some(), note.entity.parent), (true, booking.entity.parent));
}

#[tokio::test]
async fn a_comment_told_twice_then_cancelled_then_read_is_one_note() {
    let desk = Desk::new().await;
    let (confirmed, cancelled) = (desk.confirmed("b1", |_| {}), desk.cancelled("b1", |_| {}));
    desk.tell_each(&[&confirmed, &confirmed, &cancelled, &confirmed]).await;
    assert_eq!(desk.notes(), [COMMENT]);
}

#[tokio::test]
async fn a_comment_is_one_note_also_where_the_cancellation_comes_first() {
    let desk = Desk::new().await;
    desk.tell_each(&[&desk.cancelled("b1", |_| {}), &desk.confirmed("b1", |_| {})]).await;
    assert_eq!(desk.notes(), [COMMENT]);
    assert_eq!(desk.booked()[0].0, "cancelled");
}

#[tokio::test]
async fn a_comment_whose_note_was_deleted_in_ghl_is_not_made_again() {
    let desk = Desk::new().await;
    let confirmed = desk.confirmed("b1", |_| {});
    desk.tell_each(&[&confirmed]).await;
    let note = desk.ghl("notes")[0]["id"].as_str().unwrap().to_owned();
    desk.edit(System::Ghl, "delete note", Some(&note), json!({})).await;
    desk.settle().await;
    desk.tell_each(&[&confirmed, &desk.cancelled("b1", |_| {})]).await;
    assert_eq!(desk.notes(), [""; 0]);
}

#[tokio::test]
async fn a_comment_goes_to_an_extension_that_holds_notes_too() {
    let desk = Desk::with(|_| {}, true).await;
    desk.tell_each(&[&desk.confirmed("b1", |_| {})]).await;
    let note = desk.whole(Kind::Note, "b1/comment").await.unwrap();
    let live: Vec<System> = note.links.iter().filter(|link| link.is_live()).map(|link| link.system).collect();
    assert_eq!(live.len(), 2, "{live:?}");
    assert_eq!(desk.notes(), [COMMENT]);
}

#[tokio::test]
async fn another_booking_with_the_same_comment_is_another_note() {
    let desk = Desk::new().await;
    desk.tell_each(&[&desk.confirmed("b1", |_| {}), &desk.confirmed("b2", |_| {})]).await;
    assert_eq!((desk.notes().len(), emails(&desk).len()), (2, 1));
}

#[tokio::test]
async fn the_contact_that_the_link_names_is_the_guest_whatever_was_typed() {
    let desk = Desk::new().await;
    let named = in_ghl(&desk, json!({ "email": "work@example.test", "firstName": "Hanako" })).await;
    in_ghl(&desk, json!({ "email": GUEST, "firstName": "Other" })).await;
    let body = desk.confirmed("b1", |event| {
        event["url_params"] = json!([{ "contact_ref": format!("ghl_{named}") }]);
        event["created_at"] = json!("2026-04-01T11:00:00+00:00");
        answer(event, "guest_email", "private@example.test");
    });
    desk.tell_each(&[&body]).await;
    assert_eq!(emails(&desk), [GUEST, "work@example.test"], "no third contact, and each keeps its own e-mail");
    assert_eq!(desk.ghl("appointments")[0]["contactId"], json!(named));
}

#[tokio::test]
async fn the_contact_that_the_link_names_comes_before_who_typed_the_same_earlier() {
    let desk = Desk::new().await;
    desk.tell_each(&[&desk.confirmed("b1", |_| {})]).await;
    let named = in_ghl(&desk, json!({ "email": "work@example.test" })).await;
    let body = desk.confirmed("b2", |event| {
        event["url_params"] = json!([{ "ghl_contact_id": named }]);
        event["created_at"] = json!("2026-03-03T00:00:00+00:00");
    });
    desk.tell_each(&[&body]).await;
    let parents = [
        desk.whole(Kind::Appointment, "b1").await.unwrap().entity.parent,
        desk.whole(Kind::Appointment, "b2").await.unwrap().entity.parent,
    ];
    assert_ne!(parents[0], parents[1]);
}

#[tokio::test]
async fn a_contact_that_the_link_names_and_nobody_told_of_is_read_and_not_made_again() {
    let desk = Desk::new().await;
    let fields = json!({ "email": "work@example.test", "lastName": "Yamada" });
    let lost = lockstep::sandbox::Edit {
        action: "create".to_owned(),
        kind: "contact".to_owned(),
        account: desk.bench.account.ghl_location.clone(),
        id: None,
        parent: None,
        fields,
    };
    let (named, _never_told) = desk.bench.edit(System::Ghl, &lost);
    let body = desk.confirmed("b1", |event| event["url_params"] = json!([{ "contact_ref": named }]));
    desk.tell_each(&[&body]).await;
    assert_eq!(emails(&desk).len(), 1);
    assert_eq!(desk.ghl("appointments")[0]["contactId"], json!(named));
    assert_eq!(desk.notes(), [COMMENT]);
}

#[tokio::test]
async fn a_link_that_names_nobody_loses_nothing_of_its_guest() {
    let desk = Desk::new().await;
    let known = in_ghl(&desk, json!({ "email": GUEST })).await;
    let body = |id: &str, email: &str| {
        desk.confirmed(id, |event| {
            event["url_params"] = json!([{ "contact_ref": "ghl_NoSuchContact00001" }]);
            answer(event, "guest_email", email);
        })
    };
    desk.tell_each(&[&body("b1", GUEST), &body("b2", "new@example.test")]).await;
    assert_eq!(emails(&desk), [GUEST, "new@example.test"]);
    let (whose, notes) = (desk.ghl("appointments"), desk.notes());
    assert_eq!((whose.len(), notes.len()), (2, 2));
    assert!(whose.iter().any(|one| one["contactId"] == json!(known)));
}

#[tokio::test]
async fn while_ghl_is_away_a_guest_waits_no_longer_than_the_join_window() {
    let desk = Desk::new().await;
    desk.ghl_is_away(true);
    let body =
        desk.confirmed("b1", |event| event["url_params"] = json!([{ "contact_ref": "ghl_Unread00000000000001" }]));
    desk.tell(&body).await;
    for _ in 0..65 {
        desk.step().await;
        desk.bench.advance(1);
    }
    let booking = desk.whole(Kind::Appointment, "b1").await.unwrap();
    let contact = desk.database.store.whole(booking.entity.parent.unwrap()).await.unwrap().unwrap();
    assert_eq!(contact.entity.value(&Field::EMAIL), &Held::text(GUEST));
    desk.ghl_is_away(false);
    desk.settle().await;
    assert_eq!(
        (emails(&desk), desk.booked().len()),
        (vec![GUEST.to_owned()], 1),
        "the named one is not there: it is made"
    );
}

#[tokio::test]
async fn a_guest_whose_email_two_contacts_have_waits_for_a_person() {
    let desk = Desk::new().await;
    for number in [1, 2] {
        desk.have_contact(number, GUEST).await;
    }
    desk.tell_each(&[&desk.confirmed("b1", |_| {})]).await;
    let booking = desk.whole(Kind::Appointment, "b1").await.unwrap();
    let reviews = desk.database.store.reviews(MAIN).await.unwrap();
    assert!(reviews.iter().any(|review| review.text.contains("several contacts")), "{reviews:?}");
    assert!(booking.link(System::Ghl).is_none() && desk.ghl("contacts").is_empty());
    let parent = desk.database.store.whole(booking.entity.parent.unwrap()).await.unwrap().unwrap();
    let reason = parent.mirror(System::Ghl).and_then(|mirror| mirror.reason.clone()).unwrap();
    assert!(reviews[0].text.starts_with(&reason), "{reason}");
}

/// The name that a guest typed, and when.
fn typed(event: &mut Value, at: &str, name: &str) {
    event["created_at"] = json!(at);
    answer(event, "guest_name", name);
}

#[tokio::test]
async fn the_cancel_of_an_older_booking_does_not_bring_back_what_was_typed_there() {
    let desk = Desk::new().await;
    let older = |event: &mut Value| typed(event, "2026-03-02T04:05:06+00:00", "山田 花子");
    let newer = |event: &mut Value| typed(event, "2026-03-03T00:00:00+00:00", "佐藤 花子");
    let (first, second, end) = (desk.confirmed("b1", older), desk.confirmed("b2", newer), desk.cancelled("b1", older));
    desk.tell_each(&[&first, &second, &end]).await;
    assert_eq!(desk.ghl("contacts")[0]["lastName"], json!("佐藤"));
}

/// Found by simulation: with a booking that was moved, the name that was typed with it came back over what was typed since.
#[tokio::test]
async fn who_moves_a_booking_types_nothing_anew() {
    let desk = Desk::new().await;
    let first = desk.confirmed("b1", |event| typed(event, "2026-03-02T04:05:06+00:00", "山田 花子"));
    let second = desk.confirmed("b2", |event| typed(event, "2026-03-03T00:00:00+00:00", "佐藤 花子"));
    let moved = |from: Option<&str>| {
        desk.confirmed("b3", move |event| {
            typed(event, "2026-03-04T00:00:00+00:00", "山田 花子");
            event["old_event_id"] = json!(from);
        })
    };
    desk.tell_each(&[&first, &second, &moved(Some("b1"))]).await;
    assert_eq!(desk.ghl("contacts")[0]["lastName"], json!("佐藤"));
    assert_eq!(desk.database.store.conflicts(MAIN, None).await.unwrap(), [], "nobody typed against anybody");

    let desk = Desk::new().await;
    desk.tell_each(&[&first, &second, &moved(None)]).await;
    assert_eq!(desk.ghl("contacts")[0]["lastName"], json!("山田"), "who books anew types it");
}

#[tokio::test]
async fn a_guest_who_types_what_is_known_is_no_conflict() {
    let desk = Desk::new().await;
    in_ghl(&desk, json!({ "email": GUEST, "firstName": "花子", "lastName": "山田" })).await;
    desk.tell_each(&[&desk.confirmed("b1", |_| {})]).await;
    assert_eq!(desk.database.store.conflicts(MAIN, None).await.unwrap(), []);
}

#[tokio::test]
async fn a_booking_without_an_email_is_its_guests_all_the_same() {
    let desk = Desk::new().await;
    let line = |event: &mut Value| answer(event, "guest_email", "");
    desk.tell_each(&[&desk.confirmed("b1", line), &desk.cancelled("b1", line)]).await;
    assert_eq!((desk.ghl("contacts").len(), desk.booked().len()), (1, 1));
}
