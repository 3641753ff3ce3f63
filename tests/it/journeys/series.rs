//! A recurring TIMIFY appointment: GHL knows no series, so each occurrence is an appointment of its own there, which follows
//! TIMIFY and is only changed there.

use lockstep::clock::Millis;
use serde_json::{Value, json};

use super::contact;
use super::mission::{at, held, instant, slot};
use crate::support::databases::{Place, on_both};
use crate::support::world::{World, world};

const DAY: i64 = 86_400_000;

/// A series of four days in TIMIFY; its id there.
async fn series(world: &World, name: &str) -> String {
    let customer = world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", name) })).await;
    let account = world.account(0).clone();
    let fields = json!({
        "startDate": slot(3).0, "duration": 30, "title": "Course", "customer_id": customer,
        "service_id": account.timify_service, "resource_ids": [account.timify_resource],
        "recurring": { "timezone": "UTC", "frequency": "DAYS", "period": 1, "repeat_times": 4 },
    });
    let made = world.edit(0, "timify", "create appointment", json!({ "fields": fields })).await;
    world.settle().await;
    made
}

/// GHL's appointments by their starts: start, id, status.
async fn in_ghl(world: &World) -> Vec<(i64, String, String)> {
    let word = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let mut all: Vec<_> = held(world, "ghl", "appointments")
        .await
        .iter()
        .map(|one| (instant(&one["startTime"]), word(one, "id"), word(one, "appointmentStatus")))
        .collect();
    all.sort();
    all
}

fn starts(all: &[(i64, String, String)]) -> Vec<i64> {
    all.iter().map(|(start, ..)| *start).collect()
}

fn days(all: [i64; 4]) -> Vec<i64> {
    all.map(|day| at(&slot(day).0)).to_vec()
}

async fn edit(world: &World, what: &str, series: &str, fields: Value) {
    world.edit(0, "timify", what, json!({ "id": series, "fields": fields })).await;
    world.settle().await;
}

/// A full reconcile finds nothing that differs.
async fn at_rest(world: &World) {
    let mark = world.mark().await;
    let run = world.reconcile().await;
    world.settle().await;
    assert_eq!(world.writes(mark).await, Vec::<String>::new(), "{run}");
    for report in run["reports"].as_array().unwrap() {
        assert_eq!(report["drift"], json!([]), "{run}");
    }
}

async fn each_occurrence_of_a_series_is_an_appointment_in_ghl(place: &mut Place) {
    let world = world(place).await;
    let series = series(&world, "Fay").await;
    let made = in_ghl(&world).await;
    assert_eq!(starts(&made), days([3, 4, 5, 6]));
    assert!(made.iter().all(|(.., status)| status == "confirmed"), "{made:?}");
    at_rest(&world).await;

    let moved = Millis(at(&slot(4).0) + DAY / 24).rfc3339();
    edit(&world, "move appointment", &series, json!({ "occurrence": 1, "startDate": moved })).await;
    let after = in_ghl(&world).await;
    assert_eq!(after[1], (at(&moved), made[1].1.clone(), made[1].2.clone()), "that one, and it is the same");
    assert_eq!((&after[0], &after[2], &after[3]), (&made[0], &made[2], &made[3]));

    edit(&world, "cut appointment", &series, json!({ "occurrence": 2 })).await;
    let after = in_ghl(&world).await;
    let statuses: Vec<&str> = after.iter().map(|(.., status)| status.as_str()).collect();
    assert_eq!(statuses, ["confirmed", "confirmed", "cancelled", "confirmed"]);
    at_rest(&world).await;

    world.edit(0, "timify", "delete appointment", json!({ "id": series })).await;
    world.settle().await;
    let after = in_ghl(&world).await;
    assert!(after.len() == 4 && after.iter().all(|(.., status)| status == "cancelled"), "{after:?}");
    at_rest(&world).await;
    assert_eq!(world.app.load("main").await.unwrap().parked, 0);
    world.stop().await;
}

async fn the_first_of_a_series_is_moved_and_cut_like_the_others(place: &mut Place) {
    let world = world(place).await;
    let series = series(&world, "Gus").await;
    let made = in_ghl(&world).await;
    let moved = Millis(at(&slot(3).0) + DAY / 24).rfc3339();
    edit(&world, "move appointment", &series, json!({ "occurrence": 0, "startDate": moved })).await;
    let after = in_ghl(&world).await;
    assert_eq!(after[0], (at(&moved), made[0].1.clone(), made[0].2.clone()));
    assert_eq!(after[1..], made[1..]);

    // The record then stands for what is the first now: whichever appointment in GHL is which, three days are left of four.
    edit(&world, "cut appointment", &series, json!({ "occurrence": 0 })).await;
    let after = in_ghl(&world).await;
    let left: Vec<i64> = after.iter().filter(|(.., status)| status != "cancelled").map(|(start, ..)| *start).collect();
    assert_eq!(left, days([4, 5, 6, 6])[..3], "{after:?}");
    at_rest(&world).await;

    edit(&world, "move appointment", &series, json!({ "startDate": slot(10).0 })).await;
    let after = in_ghl(&world).await;
    let left: Vec<i64> = after.iter().filter(|(.., status)| status != "cancelled").map(|(start, ..)| *start).collect();
    assert_eq!(left, days([10, 11, 12, 12])[..3], "all of it moved: {after:?}");
    at_rest(&world).await;
    world.stop().await;
}

/// The vendor changes a series as a whole only.
async fn what_ghl_does_to_one_of_a_series_waits_for_a_person(place: &mut Place) {
    let world = world(place).await;
    series(&world, "Hal").await;
    let made = in_ghl(&world).await;
    let mark = world.mark().await;
    let moved = json!({ "startTime": slot(20).0, "endTime": slot(20).1 });
    world.edit(0, "ghl", "move appointment", json!({ "id": made[2].1, "fields": moved })).await;
    world.edit(0, "ghl", "cancel appointment", json!({ "id": made[0].1 })).await;
    world.edit(0, "ghl", "cancel appointment", json!({ "id": made[3].1 })).await;
    world.settle().await;
    assert_eq!(world.writes(mark).await, Vec::<String>::new());
    let reviews = world.app.store.reviews("main").await.unwrap();
    assert!(
        reviews.len() == 3 && reviews.iter().all(|one| one.text.contains("one of a series in TIMIFY")),
        "{reviews:?}"
    );
    assert_eq!(world.app.load("main").await.unwrap().parked, 3);
    let held = held(&world, "timify", "appointments").await;
    assert_eq!(held[0]["bookings"].as_array().unwrap().len(), 4, "{held:?}");
    at_rest(&world).await;
    world.stop().await;
}

on_both!(
    Place: each_occurrence_of_a_series_is_an_appointment_in_ghl,
    the_first_of_a_series_is_moved_and_cut_like_the_others,
    what_ghl_does_to_one_of_a_series_waits_for_a_person,
);
