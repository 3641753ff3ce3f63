//! Limits (law 8): the fuse of one entity, the brake on creates and deletes, the rate budget. (Bodies over their limit: `bad_input`.)

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use lockstep::clock::{Clock, Millis, Sleep, SystemClock};
use serde_json::{Value, json};

use super::{contact, email};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Call, Plan, World, now};

async fn limited(place: &Place, line: &str) -> World {
    let mut plan = Plan::of(1);
    plan.service.dispatch.push_str(line);
    plan.start(place).await
}

/// What waits for a person.
async fn reviews(world: &World) -> Vec<String> {
    let status = world.ops(Method::GET, "/status", Value::Null).await.body;
    let reviews = status["workspaces"][0]["reviews"].as_array().unwrap().clone();
    reviews.iter().map(|review| review["subject"].as_str().unwrap().to_owned()).collect()
}

async fn the_fuse_stops_what_keeps_changing(place: &mut Place) {
    let world = limited(place, "fuse = 3").await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Hedi") })).await;
    world.settle().await;
    for number in 0..5 {
        let fields = json!({ "city": format!("City {number}") });
        world.edit(0, "ghl", "update contact", json!({ "id": id, "fields": fields })).await;
        world.settle().await;
    }
    let writes = world.writes(0).await;
    for system in ["timify ", "timerex+ "] {
        assert_eq!(writes.iter().filter(|label| label.starts_with(system)).count(), 3, "{writes:?}");
    }
    let [ghl, timify, _] = world.everywhere(0, &email("Hedi")).await;
    assert_eq!((ghl.fields["city"].as_str(), timify.fields["city"].as_str()), ("City 4", "City 1"));
    let subjects = reviews(&world).await;
    assert_eq!(subjects.iter().filter(|subject| subject.starts_with("fuse/")).count(), 2, "{subjects:?}");
    world.stop().await;
}

async fn the_brake_holds_creates_until_they_are_approved(place: &mut Place) {
    const PEOPLE: [&str; 6] = ["Ina", "Jo", "Kai", "Lea", "Mia", "Nils"];
    let world = limited(place, "creates_per_hour = 2").await;
    for name in PEOPLE {
        world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", name) })).await;
    }
    world.settle().await;
    let made = |writes: &[String], label: &str| writes.iter().filter(|one| *one == label).count();
    let writes = world.writes(0).await;
    assert_eq!(made(&writes, "timify POST contact"), 2, "{writes:?}");
    assert_eq!(made(&writes, "timerex+ POST contact"), 2, "{writes:?}");
    let subjects = reviews(&world).await;
    assert!(subjects.contains(&"brake/timify/create".to_owned()), "{subjects:?}");

    let subject = json!({ "subject": "brake/timify/create" });
    let approved = world.ops(Method::POST, "/workspaces/main/approve", subject).await;
    assert_eq!((approved.status, &approved.body["released"]), (StatusCode::OK, &json!(4)), "{approved:?}");
    world.settle().await;
    let writes = world.writes(0).await;
    assert_eq!(made(&writes, "timify POST contact"), 6, "{writes:?}");
    assert_eq!(made(&writes, "timerex+ POST contact"), 2, "what was not approved still waits");
    world.stop().await;
}

async fn the_brake_holds_deletes(place: &mut Place) {
    let world = limited(place, "deletes_per_hour = 1").await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Ole") })).await;
    let mut notes = Vec::new();
    for number in 0..3 {
        let fields = json!({ "body": format!("Note {number}") });
        notes.push(world.edit(0, "ghl", "create note", json!({ "parent": id, "fields": fields })).await);
    }
    world.settle().await;
    let mark = world.mark().await;
    for note in &notes {
        world.edit(0, "ghl", "delete note", json!({ "parent": id, "id": note })).await;
    }
    world.settle().await;
    assert_eq!(world.writes(mark).await, ["timerex+ DELETE note", "timify+ DELETE note"]);
    world.stop().await;
}

/// An app that loses its access may show every booking as gone: nobody's appointments are all cancelled for that.
async fn the_brake_holds_cancelling(place: &mut Place) {
    let world = limited(place, "deletes_per_hour = 1").await;
    let fields = json!({ "fields": contact("timify", "Pia") });
    let customer = world.edit(0, "timify", "create contact", fields).await;
    let account = world.account(0).clone();
    let mut booked = Vec::new();
    for hour in 9..12 {
        let fields = json!({
            "startDate": format!("2031-05-06T{hour:02}:00:00Z"), "duration": 30, "title": "Consultation", "customer_id": customer,
            "service_id": account.timify_service, "resource_ids": [account.timify_resource],
        });
        booked.push(world.edit(0, "timify", "create appointment", json!({ "fields": fields })).await);
    }
    world.settle().await;
    for one in &booked {
        world.edit(0, "timify", "delete appointment", json!({ "id": one })).await;
    }
    world.settle().await;
    let appointments = world.state().await["ghl"]["appointments"].clone();
    let appointments = appointments.as_object().unwrap();
    let cancelled = appointments.values().filter(|one| one["appointmentStatus"] == "cancelled");
    assert_eq!((appointments.len(), cancelled.count()), (3, 1));
    assert_eq!(reviews(&world).await, ["brake/ghl/cancel"]);
    world.stop().await;
}

/// Calls to GHL itself, in the order in which they came.
async fn to_ghl(world: &World) -> Vec<Call> {
    world.calls(0).await.into_iter().filter(|call| call.system() == "ghl").collect()
}

/// Fails when any ten seconds, by the vendor's own clock, held more calls than this.
fn assert_never_more(calls: &[&Call], limit: usize) {
    for window in calls.windows(limit + 1) {
        assert!(window[limit].at - window[0].at >= 10_000, "{} calls in ten seconds", limit + 1);
    }
}

/// A location is taken over while people go on working. (On one database: it lasts as long as a window of the limit.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_does_now_does_not_wait_for_a_backfill() {
    const PEOPLE: usize = 20;
    const BUDGET: u32 = 30;
    let (place, mut plan) = (Place::sqlite().await, Plan::of(1));
    plan.adjust = |config| config.systems.ghl.requests_per_10s = NonZeroU32::new(BUDGET).unwrap();
    (plan.connected, plan.patience) = (false, Duration::from_mins(1));
    let world = plan.start(&place).await;
    for number in 0..PEOPLE {
        let fields = contact("timify", &format!("Old{number}"));
        world.edit(0, "timify", "create contact", json!({ "fields": fields })).await;
    }
    world.connect().await;
    world.reconcile().await;
    let in_ghl = async || world.state().await["ghl"]["contacts"].as_object().unwrap().clone();
    world.until("the budget is spent", async || in_ghl().await.len() >= 3).await;
    world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Zoe") })).await;
    let is_zoe = |fields: &Value| fields["email"] == email("Zoe");
    world.until("Zoe is in GHL", async || in_ghl().await.values().any(is_zoe)).await;
    let before = in_ghl().await.len();
    assert!(before <= PEOPLE * 2 / 3, "{before} others were made before");
    world.settle().await;
    world.stop().await;
}

/// (On one database: it lasts as long as the trouble.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_whatever_it_is_asked_is_left_alone_until_it_works() {
    const PEOPLE: usize = 40;
    let place = Place::sqlite().await;
    let world = Plan::of(1).start(&place).await;
    world.fault(json!({ "system": "timify", "kind": "down" })).await;
    let mark = world.mark().await;
    let asked = async || world.calls(mark).await.into_iter().filter(|call| call.system() == "timify").count();
    for number in 0..PEOPLE {
        let fields = contact("ghl", &format!("Kit{number}"));
        world.edit(0, "ghl", "create contact", json!({ "fields": fields })).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let tries = asked().await;
    assert!((5..PEOPLE).contains(&tries), "{tries} calls in vain");
    world.heal().await;
    world.settle().await;
    assert_eq!(world.people(0, "timify").await.len(), PEOPLE);
    world.stop().await;
}

/// The machine's clock, and by how much it was set back, in milliseconds.
#[derive(Debug, Clone, Default)]
struct SetBack(Arc<AtomicI64>);

impl Clock for SetBack {
    fn now(&self) -> Millis {
        Millis(SystemClock.now().0 - self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, time: Duration) -> Sleep {
        SystemClock.sleep(time)
    }
}

/// By four minutes, while the budget of a window is spent. (By more, and extensions would not believe what we sign.)
async fn a_clock_that_is_set_back_stops_nothing(place: &mut Place) {
    let (clock, mut plan) = (SetBack::default(), Plan::of(1));
    plan.adjust = |config| config.systems.timify.requests_per_10s = NonZeroU32::new(12).unwrap();
    plan.clock = Some(Arc::new(clock.clone()));
    let world = plan.start(place).await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Uma") })).await;
    world.settle().await;
    clock.0.store(240_000, Ordering::SeqCst);
    for city in ["Kobe", "Nara", "Otaru"] {
        world.edit(0, "ghl", "update contact", json!({ "id": id, "fields": { "city": city } })).await;
        world.settle().await;
        world.assert_everywhere(0, &email("Uma"), "city", city).await;
    }
    world.stop().await;
}

/// The fields, the look, the create, its echo and the read before the update spend the budget: the update waits in its lane.
/// (On one database, like the next one: they last as long as the window of a limit.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_waits_for_the_budget_is_not_read_for_again() {
    const BUDGET: u32 = 5;
    let (place, mut plan) = (Place::sqlite().await, Plan::of(1));
    plan.adjust = |config| config.systems.timify.requests_per_10s = NonZeroU32::new(BUDGET).unwrap();
    let world = plan.start(&place).await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Pia") })).await;
    world.settle().await;
    world.edit(0, "ghl", "update contact", json!({ "id": id, "fields": { "city": "Kobe" } })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Pia"), "city", "Kobe").await;
    let calls: Vec<Call> = world.calls(0).await.into_iter().filter(|call| call.system() == "timify").collect();
    // The token is no call of the workspace.
    let calls: Vec<&Call> = calls.iter().filter(|call| call.label() != "timify POST ?").collect();
    let writes: Vec<usize> = (0..calls.len()).filter(|at| calls[*at].write).collect();
    let [made, updated] = writes[..] else { panic!("two writes, and not {calls:?}") };
    // The create's echo, and the read before the update; no third.
    assert!(updated - made <= 3, "{calls:?}");
    assert_never_more(&calls, BUDGET as usize);
    world.stop().await;
}

/// Our limit is the vendor's own, with nothing to spare.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_edits_arrives_whole_and_never_passes_the_limit() {
    const LIMIT: u32 = 30;
    let (place, mut plan) = (Place::sqlite().await, Plan::of(1));
    plan.settings.ghl.burst = LIMIT;
    plan.adjust = |config| config.systems.ghl.requests_per_10s = NonZeroU32::new(LIMIT).unwrap();
    let world = plan.start(&place).await;
    let names: Vec<String> = (0..40).map(|number| format!("Rei{number}")).collect();
    for name in &names {
        world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", name) })).await;
    }
    world.until("some are in TIMIFY", async || world.people(0, "timify").await.len() >= 6).await;
    let people = world.people(0, "timify").await;
    let edited: Vec<_> = people.iter().take(6).collect();
    for person in &edited {
        let fields = json!({ "firstName": "Renamed" });
        world.edit(0, "timify", "update contact", json!({ "id": person.id, "fields": fields })).await;
    }
    world.settle().await;
    for name in &names {
        let email = email(name);
        let renamed = edited.iter().any(|person| person.fields["email"] == email);
        world.assert_everywhere(0, &email, "firstName", if renamed { "Renamed" } else { name }).await;
    }
    let calls = to_ghl(&world).await;
    assert!(calls.len() > 40, "each is read at least, and those that TIMIFY renamed are written");
    assert!(calls.iter().all(|call| call.status != Some(429)), "none was one too many");
    assert_never_more(&calls.iter().collect::<Vec<_>>(), LIMIT as usize);
    world.stop().await;
}

async fn a_vendor_that_refuses_everything_for_a_while_is_not_stormed_and_all_edits_arrive(place: &mut Place) {
    let world = Plan::of(1).start(place).await;
    world.fault(json!({ "system": "ghl", "kind": "rate_limited", "retry_after": 1 })).await;
    let names: Vec<String> = (0..20).map(|number| format!("Sou{number}")).collect();
    for name in &names {
        world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", name) })).await;
    }
    world.until("it was asked again and again", async || to_ghl(&world).await.len() >= 18).await;
    world.heal().await;
    world.settle().await;
    for name in &names {
        world.assert_everywhere(0, &email(name), "firstName", name).await;
    }
    assert_eq!(place.number("SELECT COUNT(*) FROM mirrors WHERE state = 'parked' OR tries > 0").await, 0);
    let calls = to_ghl(&world).await;
    let refused: Vec<&Call> = calls.iter().filter(|call| call.status == Some(429)).collect();
    // The lanes that were on their way when it began; then one call a second.
    let first = refused[0].at;
    let late = refused.iter().filter(|call| call.at >= first + 900).count() as i64;
    assert!(late <= (refused.last().unwrap().at - first) / 1_000 + 1, "{late} of {} came late", refused.len());
    world.stop().await;
}

async fn a_spent_day_puts_mirrors_off_and_nothing_is_sent_or_counted_against_them(place: &mut Place) {
    const DUE: &str = "SELECT COUNT(*) FROM mirrors WHERE system = 'ghl' AND state = 'due' AND tries = 0 AND due > ";
    let mut plan = Plan::of(1);
    plan.adjust = |config| config.systems.ghl.requests_per_day = NonZeroU32::new(3).unwrap();
    let world = plan.start(place).await;
    for number in 0..7 {
        let fields = contact("ghl", &format!("Tom{number}"));
        world.edit(0, "ghl", "create contact", json!({ "fields": fields })).await;
    }
    let tomorrow = now() + Duration::from_hours(23);
    world.until("four are put off", async || place.number(&format!("{DUE}{}", tomorrow.0)).await == 4).await;
    assert_eq!(to_ghl(&world).await.len(), 3);
    assert_eq!(place.number("SELECT COUNT(*) FROM mirrors WHERE state = 'parked'").await, 0);
    let attempts = "SELECT COUNT(*) FROM attempts WHERE system = 'ghl'";
    let traced = format!("{attempts} AND trace IS NOT NULL AND burst_left > 0 AND day_left > 0");
    world.until("what was sent is settled", async || place.number(&traced).await == 3).await;
    assert_eq!(place.number(attempts).await, 3);
    // Tomorrow does not come in this test.
    place.run("DELETE FROM inbox; UPDATE mirrors SET state = 'idle' WHERE system = 'ghl'").await;
    world.settle().await;
    world.stop().await;
}

async fn a_cancel_that_waits_for_the_hour_of_timerex_is_put_off_and_reads_go_on(place: &mut Place) {
    const DUE: &str =
        "SELECT COUNT(*) FROM mirrors WHERE system = 'timerex' AND state = 'due' AND tries = 0 AND due > ";
    let mut plan = Plan::of(1);
    plan.adjust = |config| config.systems.timerex.writes_per_hour = NonZeroU32::MIN;
    let world = plan.start(place).await;
    let day = &(now() + Duration::from_hours(48)).rfc3339()[..10];
    for hour in ["09", "10", "11"] {
        let fields = json!({
            "calendar_id": world.account(0).timerex_calendar, "start_datetime": format!("{day}T{hour}:00:00Z"),
            "end_datetime": format!("{day}T{hour}:30:00Z"), "guest_name": "Gus Guest",
            "guest_email": "guest@example.test", "guest_locale": "en"
        });
        world.edit(0, "timerex", "create appointment", json!({ "fields": fields })).await;
    }
    world.settle().await;
    let held = world.state().await["ghl"]["appointments"].clone();
    let held = held.as_object().unwrap();
    assert_eq!(held.len(), 3);
    for id in held.keys() {
        let fields = json!({ "appointmentStatus": "cancelled" });
        world.edit(0, "ghl", "update appointment", json!({ "id": id, "fields": fields })).await;
    }
    let later = now() + Duration::from_mins(55);
    world.until("two are put off", async || place.number(&format!("{DUE}{}", later.0)).await == 2).await;
    let listed = world.reconcile().await;
    let of_timerex = |one: &&Value| one["system"] == "timerex" && one["kind"] == "appointment";
    let listing = listed["reports"][0]["listings"].as_array().unwrap().iter().find(of_timerex).unwrap();
    assert_eq!((&listing["listed"], &listing["error"]), (&json!(3), &Value::Null), "{listing}");
    let calls = world.calls(0).await;
    let cancels = calls.iter().filter(|call| call.system() == "timerex" && call.write).count();
    assert_eq!(cancels, 1);
    assert_eq!(place.number("SELECT COUNT(*) FROM mirrors WHERE state = 'parked'").await, 0);
    // The next hour does not come in this test.
    place.run("DELETE FROM inbox; UPDATE mirrors SET state = 'idle' WHERE system = 'timerex'").await;
    world.settle().await;
    world.stop().await;
}

on_both!(
    Place: the_fuse_stops_what_keeps_changing,
    a_vendor_that_refuses_everything_for_a_while_is_not_stormed_and_all_edits_arrive,
    a_spent_day_puts_mirrors_off_and_nothing_is_sent_or_counted_against_them,
    a_cancel_that_waits_for_the_hour_of_timerex_is_put_off_and_reads_go_on,
    the_brake_holds_creates_until_they_are_approved,
    the_brake_holds_deletes,
    the_brake_holds_cancelling,
    a_clock_that_is_set_back_stops_nothing,
);
