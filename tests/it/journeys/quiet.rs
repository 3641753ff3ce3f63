//! No mirror makes a vendor write to a real customer unless the workspace says so: the stand-ins write down each call of ours
//! that let their vendor do it.

use lockstep::model::System;
use serde_json::{Value, json};

use super::contact;
use super::mission::{held, slot};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, World};

const SYSTEMS: [&str; 3] = ["ghl", "timify", "timerex"];

/// Each call of ours that let a system's vendor write to people: what it did.
async fn notified(world: &World, system: &str) -> Vec<Value> {
    let (state, account) = (world.state().await, world.account(0));
    let rows = match system {
        "ghl" => &state["ghl"]["notified"],
        "timify" => &state["timify"][&account.timify_company]["notified"],
        _ => &state["timerex"][&account.timerex_team]["notified"],
    };
    let mut calls: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["call"].clone()).collect();
    calls.sort_by_key(Value::to_string);
    calls.dedup();
    calls
}

/// Makes, edits and deletes tasks and notes in every system that holds some.
async fn tasks_and_notes(world: &World, ghl: &str, timify: &str, timerex: &str) {
    for (system, parent) in [("ghl", ghl), ("timify+", timify), ("timerex+", timerex)] {
        let due = slot(5).0;
        let task = json!({ "title": "Call back", "body": "", "dueDate": due, "completed": false });
        let task = world.edit(0, system, "create task", json!({ "parent": parent, "fields": task })).await;
        let key = if system == "ghl" { "body" } else { "content" };
        let note = json!({ "parent": parent, "fields": { (key): "Prefers mornings" } });
        let note = world.edit(0, system, "create note", note).await;
        world.settle().await;
        world.edit(0, system, "complete task", json!({ "id": task })).await;
        world.edit(0, system, "update note", json!({ "id": note, "fields": { (key): "Prefers evenings" } })).await;
        world.settle().await;
        world.edit(0, system, "delete task", json!({ "id": task })).await;
        world.edit(0, system, "delete note", json!({ "id": note })).await;
        world.settle().await;
        assert!(held(world, "ghl", "tasks").await.is_empty() && held(world, "ghl", "notes").await.is_empty());
    }
}

/// Appointments of GHL and TIMIFY: made, renamed, moved, cancelled, deleted.
async fn appointments(world: &World, ghl: &str, customer: &str) {
    let account = world.account(0).clone();
    let in_ghl = |day: i64| {
        let title = format!("Made in GHL for day {day}");
        let fields = json!({
            "calendarId": account.ghl_calendar, "title": title, "startTime": slot(day).0, "endTime": slot(day).1
        });
        json!({ "parent": ghl, "fields": fields })
    };
    let in_timify = |day: i64| {
        json!({ "fields": {
            "startDate": slot(day).0, "duration": 30, "title": "Made in TIMIFY", "customer_id": customer,
            "service_id": account.timify_service, "resource_ids": [account.timify_resource],
        } })
    };
    let cancelled = world.edit(0, "ghl", "create appointment", in_ghl(3)).await;
    let deleted = world.edit(0, "ghl", "create appointment", in_ghl(4)).await;
    let timify = world.edit(0, "timify", "create appointment", in_timify(5)).await;
    let undone = world.edit(0, "timify", "create appointment", in_timify(6)).await;
    world.settle().await;
    for system in ["ghl", "timify"] {
        assert_eq!(held(world, system, "appointments").await.len(), 4, "{system}");
    }
    let moved = json!({ "title": "Another title", "startTime": slot(7).0, "endTime": slot(7).1 });
    world.edit(0, "ghl", "move appointment", json!({ "id": cancelled, "fields": moved })).await;
    world.edit(0, "timify", "move appointment", json!({ "id": timify, "fields": { "startDate": slot(8).0 } })).await;
    world.settle().await;
    world.edit(0, "ghl", "cancel appointment", json!({ "id": cancelled })).await;
    world.edit(0, "ghl", "delete appointment", json!({ "id": deleted })).await;
    world.edit(0, "timify", "delete appointment", json!({ "id": undone })).await;
    world.settle().await;
    assert_eq!(held(world, "timify", "appointments").await.len(), 1);
    // What TIMIFY made is cancelled in GHL: deleted in TIMIFY.
    let left = held(world, "ghl", "appointments").await;
    let left = left.iter().find(|one| one["title"] == "Made in TIMIFY" && one["appointmentStatus"] == "confirmed");
    world.edit(0, "ghl", "cancel appointment", json!({ "id": left.unwrap()["id"] })).await;
    world.settle().await;
    assert!(held(world, "timify", "appointments").await.is_empty());
}

/// A guest books in TimeRex; gives the booking's id there.
async fn booked(world: &World, day: i64) -> String {
    let fields = json!({
        "calendar": world.account(0).timerex_calendar, "start_datetime": slot(day).0, "guest_name": "Gus Guest",
        "guest_email": "gus@example.test", "guest_locale": "en",
    });
    let id = world.edit(0, "timerex", "create appointment", json!({ "fields": fields })).await;
    world.settle().await;
    id
}

/// The appointments in GHL that take place.
async fn standing(world: &World) -> Vec<Value> {
    let mut all = held(world, "ghl", "appointments").await;
    all.retain(|one| one["appointmentStatus"] != "cancelled");
    all
}

/// A booking that is moved and cancelled by its guest, and one that is cancelled in GHL.
async fn bookings(world: &World) -> String {
    let first = booked(world, 9).await;
    assert_eq!(standing(world).await.len(), 1);
    let moved = json!({ "id": first, "fields": { "start_datetime": slot(10).0 } });
    let second = world.edit(0, "timerex", "move appointment", moved).await;
    world.settle().await;
    assert_eq!(standing(world).await.len(), 1);
    world.edit(0, "timerex", "cancel appointment", json!({ "id": second })).await;
    world.settle().await;
    assert!(standing(world).await.is_empty() && held(world, "timify", "appointments").await.is_empty());
    let last = booked(world, 11).await;
    let appointment = standing(world).await.remove(0);
    world.edit(0, "ghl", "cancel appointment", json!({ "id": appointment["id"] })).await;
    world.settle().await;
    assert!(held(world, "timify", "appointments").await.is_empty());
    last
}

/// One story with everything; gives the booking that is cancelled in GHL at its end.
async fn everything(world: &World) -> String {
    let ghl = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Uma") })).await;
    let customer = world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Vic") })).await;
    world.settle().await;
    let [_, _, extension] = world.everywhere(0, &super::email("Uma")).await;
    let [_, timify, _] = world.everywhere(0, &super::email("Uma")).await;
    tasks_and_notes(world, &ghl, &timify.id, &extension.id).await;
    appointments(world, &ghl, &customer).await;
    let last = bookings(world).await;
    let renamed = json!({ "id": ghl, "fields": { "email": "uma.new@example.test", "phone": "+4915123450001" } });
    world.edit(0, "ghl", "update contact", renamed).await;
    world.edit(0, "timify", "delete contact", json!({ "id": customer })).await;
    world.settle().await;
    last
}

async fn status(world: &World, booking: &str) -> Value {
    let all = held(world, "timerex", "appointments").await;
    let one = all.into_iter().find(|one| one["id"] == booking).unwrap();
    one["canceled_at"].clone()
}

async fn by_default_no_vendor_writes_to_anybody(place: &mut Place) {
    let mut plan = Plan::of(1);
    plan.adjust = |config| config.workspaces[0].policy.notify.clear();
    let world = plan.start(place).await;
    let booking = everything(&world).await;
    for system in SYSTEMS {
        assert_eq!(notified(&world, system).await, [Value::Null; 0], "{system}");
    }
    assert_eq!(status(&world, &booking).await, Value::Null, "the booking stands in TimeRex");
    let reviews = world.app.store.reviews("main").await.unwrap();
    assert!(matches!(&reviews[..], [one] if one.text.contains("[workspaces.notify] timerex = true")), "{reviews:?}");
    assert_eq!(world.app.load("main").await.unwrap().parked, 1);
    world.stop().await;
}

async fn where_it_is_set_vendors_write_to_people_and_a_booking_is_cancelled(place: &mut Place) {
    let mut plan = Plan::of(1);
    plan.adjust = |config| config.workspaces[0].policy.notify = System::ALL.iter().copied().collect();
    let world = plan.start(place).await;
    let booking = everything(&world).await;
    assert!(status(&world, &booking).await.is_string());
    assert_eq!(notified(&world, "ghl").await, ["create", "update"]);
    assert_eq!(notified(&world, "timify").await, ["create", "delete", "update"]);
    assert_eq!(notified(&world, "timerex").await, ["cancel"]);
    assert_eq!(world.app.store.reviews("main").await.unwrap(), []);
    world.stop().await;
}

on_both!(
    Place: by_default_no_vendor_writes_to_anybody,
    where_it_is_set_vendors_write_to_people_and_a_booking_is_cancelled,
);
