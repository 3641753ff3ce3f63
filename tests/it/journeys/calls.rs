//! What a change costs: calls counted one by one in the stand-ins' own logs, writes and reads apart.

use lockstep::model::ReadBeforeWrite;
use serde_json::{Value, json};

use super::mission::{held, slot};
use super::{contact, email};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Call, Plan, World};

async fn start(place: &Place, reads: ReadBeforeWrite) -> World {
    let mut plan = Plan::of(1);
    plan.service.dispatch = String::from("quiet = \"300ms\"");
    plan.adjust = match reads {
        ReadBeforeWrite::Always => |_| {},
        ReadBeforeWrite::InDoubt => |config| {
            config.workspaces[0].policy.read_before_write = ReadBeforeWrite::InDoubt;
        },
    };
    plan.start(place).await
}

async fn explore(place: &Place, reads: ReadBeforeWrite) {
    let world = start(place, reads).await;
    let ghl = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Ada") })).await;
    world.settle().await;
    let [_, timify, ext] = world.everywhere(0, &email("Ada")).await;
    let account = world.account(0).clone();
    let fields = json!({ "calendarId": account.ghl_calendar, "title": "T", "startTime": slot(3).0, "endTime": slot(3).1 });
    let appointment = world.edit(0, "ghl", "create appointment", json!({ "parent": ghl, "fields": fields })).await;
    world.settle().await;
    let tapp = held(&world, "timify", "appointments").await[0]["id"].as_str().unwrap().to_owned();
    let moved = json!({ "startTime": slot(7).0, "endTime": slot(7).1 });
    let steps: Vec<(&str, &str, &str, Value)> = vec![
        ("one ghl", "ghl", "update contact", json!({ "id": ghl, "fields": { "city": "Ulm" } })),
        ("one timify", "timify", "update contact", json!({ "id": timify.id, "fields": { "city": "Bonn" } })),
        ("one ext", "timerex+", "update contact", json!({ "id": ext.id, "fields": { "firstName": "Adele" } })),
        ("tag ghl", "ghl", "update contact", json!({ "id": ghl, "fields": { "addTags": ["vip"] } })),
        ("untag ext", "timerex+", "update contact", json!({ "id": ext.id, "fields": { "removeTags": ["vip"] } })),
        ("move ghl", "ghl", "move appointment", json!({ "id": appointment, "fields": moved })),
        ("move timify", "timify", "move appointment", json!({ "id": tapp, "fields": { "startDate": slot(8).0 } })),
        ("cancel ghl", "ghl", "cancel appointment", json!({ "id": appointment })),
    ];
    for (name, system, what, with) in steps {
        let mark = world.mark().await;
        world.edit(0, system, what, with).await;
        world.settle().await;
        show(&world, name, mark).await;
    }
    let mark = world.mark().await;
    for n in 0..10 {
        world.edit(0, "ghl", "update contact", json!({ "id": ghl, "fields": { "city": format!("B{n}") } })).await;
    }
    world.settle().await;
    show(&world, "burst", mark).await;
    let mark = world.mark().await;
    world.reconcile().await;
    world.settle().await;
    show(&world, "reconcile", mark).await;
    world.stop().await;
}

async fn show(world: &World, name: &str, mark: u64) {
    let calls = world.calls(mark).await;
    let of = |write: bool| calls.iter().filter(|c| c.write == write).map(Call::label).collect::<Vec<_>>();
    println!("{name}: W {:?}\n     R {:?}", of(true), of(false));
}

async fn always(place: &mut Place) {
    explore(place, ReadBeforeWrite::Always).await;
}
async fn in_doubt(place: &mut Place) {
    explore(place, ReadBeforeWrite::InDoubt).await;
}

on_both!(Place: always, in_doubt);
