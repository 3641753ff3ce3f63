//! Bookings that end or move: cancelled is final, and the two halves of a move are one appointment in any order.

use std::time::Duration;

use lockstep::model::{Kind, LinkState, System};
use lockstep::reconcile::Poll;
use lockstep::sandbox::Edit;
use rstest::rstest;
use serde_json::{Value, json};

use super::desk::{Desk, GUEST};

const COMMENT: &str = "よろしくお願いします";
const FIRST: &str = "2026-05-10T01:00:00+00:00";

fn from(event: &mut Value, old: &str, start: &str) {
    (event["is_changed"], event["old_event_id"]) = (json!(true), json!(old));
    (event["created_at"], event["start_datetime"]) = (json!("2026-03-06T02:00:00+00:00"), json!(start));
    event["end_datetime"] = json!(start.replace(":00:00+", ":30:00+"));
}

fn to(event: &mut Value, key: &str, new: &str) {
    (event["is_changed"], event["canceled_at"]) = (json!(true), json!("2026-03-06T02:00:00+00:00"));
    event.as_object_mut().unwrap().remove("new_event_id");
    event[key] = json!(new);
}

/// Fails unless GHL has one appointment, confirmed, at this time.
fn assert_one(desk: &Desk, start: &str) {
    let booked = desk.booked();
    assert_eq!(booked.len(), 1, "{booked:?}");
    let moment = |text: &str| lockstep::clock::Millis::parse(text).unwrap();
    assert_eq!((booked[0].0.as_str(), moment(&booked[0].1)), ("confirmed", moment(start)));
}

#[rstest]
#[case::in_order(&[0, 1])]
#[case::reversed(&[1, 0])]
#[case::confirmed_again_late(&[0, 1, 0])]
#[case::reversed_and_doubled(&[1, 0, 1, 0])]
#[tokio::test]
async fn cancelled_is_final_in_any_order(#[case] order: &[usize]) {
    let desk = Desk::new().await;
    let bodies = [desk.confirmed("b1", |_| {}), desk.cancelled("b1", |_| {})];
    desk.tell_each(&order.iter().map(|at| &bodies[*at]).collect::<Vec<_>>()).await;
    let booked = desk.booked();
    assert_eq!((booked.len(), booked[0].0.as_str()), (1, "cancelled"));
}

#[tokio::test]
async fn a_confirmation_that_claims_to_be_newer_does_not_revive_a_cancelled_booking() {
    let desk = Desk::new().await;
    let late = desk.confirmed("b1", |event| event["created_at"] = json!("2026-12-01T00:00:00+00:00"));
    desk.tell_each(&[&desk.confirmed("b1", |_| {}), &desk.cancelled("b1", |_| {}), &late]).await;
    assert_eq!(desk.booked()[0].0, "cancelled");
}

/// A guest's booking in the stand-in, tomorrow, and who is told of it.
fn guest(desk: &Desk, what: &str, id: Option<&str>, fields: Value) -> (String, Vec<lockstep::sandbox::Webhook>) {
    let edit = Edit {
        action: what.to_owned(),
        kind: "appointment".to_owned(),
        account: desk.bench.account.timerex_team.clone(),
        id: id.map(str::to_owned),
        parent: None,
        fields,
    };
    desk.bench.edit(System::Timerex, &edit)
}

fn booking(desk: &Desk) -> Value {
    json!({
        "calendar": desk.bench.account.timerex_calendar, "start_datetime": FIRST, "guest_name": "山田 花子",
        "guest_email": GUEST, "guest_comment": COMMENT
    })
}

fn polling() -> Poll {
    Poll::new(System::Timerex, Kind::Appointment, Duration::from_mins(15))
}

#[tokio::test]
async fn a_read_or_a_list_that_shows_confirmed_does_not_revive_a_cancelled_booking() {
    let desk = Desk::new().await;
    let (id, told) = guest(&desk, "create", None, booking(&desk));
    desk.hear(&told[0]).await;
    desk.settle().await;
    // The API is behind: the stand-in goes on to show the booking as confirmed.
    let mut cancelled = told[0].body.clone();
    cancelled["webhook_type"] = json!("event_cancelled");
    cancelled["event"]["canceled_at"] = json!("2026-04-01T10:00:30+00:00");
    desk.tell_each(&[&cancelled]).await;
    assert_eq!(desk.booked()[0].0, "cancelled");
    assert_eq!(desk.poll(&mut polling()).await, 0, "a list that speaks against it is no news");
    let mut hollow = told[0].body.clone();
    hollow["event"].as_object_mut().unwrap().retain(|key, _| ["id", "start_datetime"].contains(&key.as_str()));
    hollow["event"]["start_datetime"] = json!("2026-05-11T01:00:00+00:00");
    desk.tell_each(&[&hollow]).await;
    assert_eq!(desk.booked().iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), ["cancelled"], "{id} was read");
}

#[rstest]
#[case::in_order(&["old", "away", "new"])]
#[case::new_half_first(&["old", "new", "away"])]
#[case::old_half_lost(&["old", "new"])]
#[case::old_booking_unknown(&["away", "new"])]
#[case::new_half_alone(&["new"])]
#[case::old_booking_told_last(&["new", "away", "old"])]
#[case::old_booking_told_between(&["new", "old", "away"])]
#[case::misspelt(&["old", "misspelt", "new"])]
#[case::misspelt_last(&["old", "new", "misspelt"])]
#[case::doubled(&["old", "away", "new", "away", "new", "old"])]
#[tokio::test]
async fn the_halves_of_a_move_are_one_appointment_and_one_note_in_any_order(#[case] order: &[&str]) {
    let desk = Desk::new().await;
    let body = |word: &str| match word {
        "old" => desk.confirmed("b1", |_| {}),
        "away" => desk.cancelled("b1", |event| to(event, "new_event_id", "b2")),
        "misspelt" => desk.cancelled("b1", |event| to(event, "new_evnet_id", "b2")),
        _ => desk.confirmed("b2", |event| from(event, "b1", FIRST)),
    };
    for word in order {
        desk.tell(&body(word)).await;
        desk.step().await;
        desk.bench.advance(1);
    }
    desk.settle().await;
    assert_one(&desk, FIRST);
    assert_eq!(desk.notes(), [COMMENT]);
    let whole = desk.whole(Kind::Appointment, "b2").await.unwrap();
    assert_eq!(whole.link(System::Timerex).unwrap().id.as_str(), "b2");
}

#[tokio::test]
async fn old_bodies_that_lack_the_keys_end_one_booking_and_begin_another() {
    let desk = Desk::new().await;
    let new = desk.confirmed("b2", |event| {
        from(event, "b1", FIRST);
        for key in ["is_changed", "old_event_id", "new_event_id"] {
            event.as_object_mut().unwrap().remove(key);
        }
    });
    desk.tell_each(&[&desk.confirmed("b1", |_| {}), &desk.cancelled("b1", |_| {}), &new]).await;
    let words: Vec<String> = desk.booked().into_iter().map(|one| one.0).collect();
    assert_eq!(words, ["cancelled", "confirmed"]);
}

#[tokio::test]
async fn an_old_half_that_names_a_booking_of_its_own_is_cancelled_and_does_not_stay_confirmed() {
    let desk = Desk::new().await;
    let new = desk.confirmed("b2", |event| {
        from(event, "b1", FIRST);
        event["old_event_id"] = Value::Null;
    });
    let away = desk.cancelled("b1", |event| to(event, "new_event_id", "b2"));
    desk.tell_each(&[&desk.confirmed("b1", |_| {}), &new, &away]).await;
    let words: Vec<String> = desk.booked().into_iter().map(|one| one.0).collect();
    assert_eq!(words, ["cancelled", "confirmed"]);
}

#[tokio::test]
async fn a_plain_cancel_does_not_keep_the_booking_that_it_was_moved_to_from_being_confirmed() {
    let desk = Desk::new().await;
    let away = desk.cancelled("b1", |event| event["canceled_at"] = json!("2026-03-06T02:00:00+00:00"));
    desk.tell_each(&[&desk.confirmed("b1", |_| {}), &away]).await;
    assert_eq!(desk.booked()[0].0, "cancelled");
    desk.tell_each(&[&desk.confirmed("b2", |event| from(event, "b1", FIRST))]).await;
    assert_one(&desk, FIRST);
}

#[rstest]
#[case::in_order(&["a", "a-b", "b", "b-c", "c"])]
#[case::new_halves_first(&["a", "b", "a-b", "c", "b-c"])]
#[case::old_halves_last(&["a", "b", "c", "b-c", "a-b"])]
#[case::only_new_halves(&["b", "c"])]
#[tokio::test]
async fn a_move_of_a_move_is_still_one_appointment(#[case] order: &[&str]) {
    let desk = Desk::new().await;
    let last = "2026-05-13T05:00:00+00:00";
    let body = |word: &str| match word {
        "a" => desk.confirmed("a", |_| {}),
        "b" => desk.confirmed("b", |event| from(event, "a", FIRST)),
        "c" => desk.confirmed("c", |event| {
            from(event, "b", last);
            event["created_at"] = json!("2026-03-07T00:00:00+00:00");
        }),
        pair => {
            let (old, new) = pair.split_once('-').unwrap();
            desk.cancelled(old, |event| to(event, "new_event_id", new))
        }
    };
    for word in order {
        desk.tell(&body(word)).await;
        desk.step().await;
    }
    desk.settle().await;
    assert_one(&desk, last);
    assert_eq!(desk.notes(), [COMMENT]);
}

#[tokio::test]
async fn a_move_whose_later_half_overtakes_the_one_before_leaves_one_booking_confirmed() {
    let desk = Desk::new().await;
    let first = desk.confirmed("a", |_| {});
    let second = desk.confirmed("b", |event| from(event, "a", FIRST));
    let third = desk.confirmed("c", |event| from(event, "b", "2026-05-13T05:00:00+00:00"));
    let away = desk.cancelled("a", |event| to(event, "new_event_id", "b"));
    desk.tell_each(&[&first, &third, &second, &away]).await;
    let words: Vec<String> = desk.booked().into_iter().map(|one| one.0).collect();
    assert_eq!(words, ["cancelled", "confirmed"]);
}

#[rstest]
#[case::known(true)]
#[case::unknown(false)]
#[tokio::test]
async fn the_old_half_alone_waits_for_the_join_window_and_then_the_new_booking_is_read(#[case] known: bool) {
    let desk = Desk::new().await;
    let (old, told) = guest(&desk, "create", None, booking(&desk));
    if known {
        desk.hear(&told[0]).await;
        desk.settle().await;
    }
    let (new, told) = guest(&desk, "move", Some(&old), json!({ "start_datetime": "2026-05-12T05:00:00+00:00" }));
    let began = desk.bench.now();
    desk.tell_each(&[&told[0].body]).await;
    assert!(desk.bench.now().since(began) >= Duration::from_mins(1));
    assert_one(&desk, "2026-05-12T05:00:00+00:00");
    assert_eq!(desk.notes(), [COMMENT]);
    let whole = desk.whole(Kind::Appointment, &new).await.unwrap();
    let states: Vec<_> = whole.links.iter().filter(|link| link.id.as_str() == old).map(|link| link.state).collect();
    assert!(states.iter().all(|state| *state == LinkState::Retired), "{states:?}");
}

#[tokio::test]
async fn bookings_whose_webhooks_were_lost_are_found_by_the_poll_with_their_guests() {
    let desk = Desk::new().await;
    let (old, _never) = guest(&desk, "create", None, booking(&desk));
    let mut poll = polling();
    assert_eq!(desk.poll(&mut poll).await, 1);
    assert_one(&desk, FIRST);
    assert_eq!((desk.notes(), desk.ghl("contacts").len()), (vec![COMMENT.to_owned()], 1));
    assert_eq!(desk.poll(&mut poll).await, 0, "an unchanged list writes no row");
    assert_eq!(desk.poll(&mut polling()).await, 0, "nor for a service that has just started");
    guest(&desk, "move", Some(&old), json!({ "start_datetime": "2026-05-12T05:00:00+00:00" }));
    desk.poll(&mut poll).await;
    assert_one(&desk, "2026-05-12T05:00:00+00:00");
    assert_eq!((desk.notes().len(), desk.poll(&mut poll).await), (1, 0));
}

#[tokio::test]
async fn what_was_booked_cancelled_and_moved_while_we_were_away_is_found_in_one_poll() {
    let desk = Desk::new().await;
    let (old, _) = guest(&desk, "create", None, booking(&desk));
    guest(&desk, "move", Some(&old), json!({ "start_datetime": "2026-05-12T05:00:00+00:00" }));
    desk.poll(&mut polling()).await;
    assert_one(&desk, "2026-05-12T05:00:00+00:00");
    assert_eq!(desk.notes(), [COMMENT]);
}

#[tokio::test]
async fn a_round_is_due_again_once_its_interval_is_over_also_for_a_service_that_starts() {
    let desk = Desk::new().await;
    guest(&desk, "create", None, booking(&desk));
    let round = async |poll: &mut Poll| desk.reconciler.poll_if_due(&desk.site, poll).await.unwrap();
    assert_eq!(round(&mut polling()).await, 1, "no round was made yet");
    desk.bench.advance(14 * 60);
    assert_eq!(round(&mut polling()).await, 0, "the last is not long ago");
    desk.bench.advance(60);
    assert_eq!(round(&mut polling()).await, 1);
}

#[rstest]
#[case::wanted(true)]
#[case::not_wanted(false)]
#[tokio::test]
async fn a_cancel_in_ghl_reaches_timerex_only_where_it_may_tell_the_guest(#[case] notify: bool) {
    let desk = Desk::with(|team| team.notify = notify, false).await;
    let (id, told) = guest(&desk, "create", None, booking(&desk));
    desk.hear(&told[0]).await;
    desk.settle().await;
    let appointment = desk.ghl("appointments")[0]["id"].as_str().unwrap().to_owned();
    desk.bench.advance(60);
    desk.edit(System::Ghl, "update appointment", Some(&appointment), json!({ "appointmentStatus": "cancelled" })).await;
    desk.settle().await;
    let whole = desk.whole(Kind::Appointment, &id).await.unwrap();
    let reason = whole.mirror(System::Timerex).and_then(|mirror| mirror.reason.clone());
    let state = desk.bench.core.sandbox.lock().unwrap().state();
    let held = state["timerex"].to_string();
    assert_eq!(held.contains("\"status\":\"cancelled\""), notify, "{held}");
    assert_eq!(reason.is_some_and(|reason| reason.contains("[workspaces.notify] timerex = true")), !notify);
    // The guest cancels there: nothing is left to do.
    if !notify {
        let (_, told) = guest(&desk, "cancel", Some(&id), json!({}));
        desk.hear(&told[0]).await;
        desk.settle().await;
        let whole = desk.whole(Kind::Appointment, &id).await.unwrap();
        assert_eq!(whole.mirror(System::Timerex).and_then(|mirror| mirror.reason.clone()), None);
    }
}
