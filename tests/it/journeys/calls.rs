//! What a change costs, counted call by call in the stand-ins' own logs: one write for each target, whatever the edit. Reads stand
//! apart, once with `read_before_write = "always"` (what is written is read first) and once with `"in_doubt"`.
//!
//! What a read costs: of a contact in TIMIFY two calls, as its tags live in the extension. A read that no rule of ours asks for is
//! owed to the vendors: a webhook of GHL says of a contact, task or note neither all nor when, and one of TIMIFY nothing at all,
//! so that also the echo of our own write to TIMIFY has to be read.

use lockstep::model::ReadBeforeWrite;
use serde_json::{Value, json};

use super::mission::{held, slot};
use super::{contact, email, from_ghl, told};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Call, Plan, World};

const TIMIFY: [&str; 2] = ["timify GET contact", "timify+ GET tag"];

async fn start(place: &Place, reads: ReadBeforeWrite) -> World {
    let mut plan = Plan::of(1);
    plan.service.dispatch = String::from("quiet = \"500ms\"\n");
    if reads == ReadBeforeWrite::InDoubt {
        plan.adjust = |config| config.workspaces[0].policy.read_before_write = ReadBeforeWrite::InDoubt;
    }
    plan.start(place).await
}

/// A person who is everywhere, with an appointment in GHL and TIMIFY; the ids.
struct Told {
    ghl: String,
    timify: String,
    extension: String,
    appointment: String,
    booked: String,
}

async fn everywhere(world: &World) -> Told {
    let ghl = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Ada") })).await;
    world.settle().await;
    let [_, timify, extension] = world.everywhere(0, &email("Ada")).await;
    let (calendar, (start, end)) = (&world.account(0).ghl_calendar, slot(3));
    let fields = json!({ "calendarId": calendar, "title": "Consultation", "startTime": start, "endTime": end });
    let made = json!({ "parent": ghl, "fields": fields });
    let appointment = world.edit(0, "ghl", "create appointment", made).await;
    world.settle().await;
    let booked = held(world, "timify", "appointments").await[0]["id"].as_str().unwrap().to_owned();
    Told { ghl, timify: timify.id, extension: extension.id, appointment, booked }
}

/// The calls that follow until nothing is on its way: writes and reads, sorted by label.
async fn cost(world: &World, edits: &[(&str, &str, Value)]) -> (Vec<String>, Vec<String>) {
    let mark = world.mark().await;
    for (system, what, with) in edits {
        world.edit(0, system, what, with.clone()).await;
    }
    world.settle().await;
    spent(world, mark).await
}

async fn spent(world: &World, mark: u64) -> (Vec<String>, Vec<String>) {
    let calls = world.calls(mark).await;
    let labels = |writes: bool| {
        let mut labels: Vec<String> = calls.iter().filter(|call| call.write == writes).map(Call::label).collect();
        labels.sort();
        labels
    };
    (labels(true), labels(false))
}

fn sorted<'a>(parts: &[&[&'a str]]) -> Vec<&'a str> {
    let mut all: Vec<&str> = parts.concat();
    all.sort_unstable();
    all
}

/// One edit and what it costs: the writes, the reads that doubts owe, and the further ones of `always`.
async fn costs(
    world: &World,
    reads: ReadBeforeWrite,
    edit: (&str, &str, Value),
    writes: &[&str],
    doubts: &[&[&str]],
    further: &[&[&str]],
) {
    let name = format!("{edit:?}");
    let (written, read) = cost(world, &[edit]).await;
    let further = if reads == ReadBeforeWrite::Always { further } else { &[] };
    assert_eq!(written, writes, "{name}");
    assert_eq!(read, sorted(&[doubts, further].concat()), "{name}");
}

async fn one_field(world: &World, reads: ReadBeforeWrite, ids: &Told) {
    let in_ghl = ("ghl", "update contact", json!({ "id": ids.ghl, "fields": { "city": "Ulm" } }));
    let writes = ["timerex+ PUT contact", "timify PATCH contact"];
    // GHL's webhook is a claim, TIMIFY's of our own write a hint.
    let doubts = [&["ghl GET contact"], &TIMIFY[..]];
    costs(world, reads, in_ghl, &writes, &doubts, &[&["timerex+ GET contact"], &TIMIFY]).await;

    let in_timify = ("timify", "update contact", json!({ "id": ids.timify, "fields": { "city": "Bonn" } }));
    let writes = ["ghl PUT contact", "timerex+ PUT contact"];
    let further = ["ghl GET contact", "timerex+ GET contact"];
    costs(world, reads, in_timify, &writes, &[&TIMIFY], &[&further]).await;

    // The extension says when each object was edited, so what it tells is believed.
    let beside = ("timerex+", "update contact", json!({ "id": ids.extension, "fields": { "firstName": "Adele" } }));
    let writes = ["ghl PUT contact", "timify PATCH contact"];
    costs(world, reads, beside, &writes, &[&TIMIFY], &[&["ghl GET contact"], &TIMIFY]).await;
}

async fn tags(world: &World, reads: ReadBeforeWrite, ids: &Told) {
    let add = ("ghl", "update contact", json!({ "id": ids.ghl, "fields": { "addTags": ["vip"] } }));
    let writes = ["timerex+ POST tag", "timify+ POST tag"];
    costs(world, reads, add, &writes, &[&["ghl GET contact"]], &[&["timerex+ GET contact"], &TIMIFY]).await;
    let remove = ("timerex+", "update contact", json!({ "id": ids.extension, "fields": { "removeTags": ["vip"] } }));
    let writes = ["ghl DELETE tag", "timify+ DELETE tag"];
    costs(world, reads, remove, &writes, &[], &[&["ghl GET contact"], &TIMIFY]).await;
}

async fn appointments(world: &World, reads: ReadBeforeWrite, ids: &Told) {
    let (start, end) = slot(7);
    let moved =
        ("ghl", "move appointment", json!({ "id": ids.appointment, "fields": { "startTime": start, "endTime": end } }));
    let read = "timify GET appointment";
    // Once before the write: by the lane, or else by the connector, which must know that it is no series. Once for the echo.
    costs(world, reads, moved, &["timify PATCH appointment"], &[&[read, read]], &[]).await;
    let moved = ("timify", "move appointment", json!({ "id": ids.booked, "fields": { "startDate": slot(8).0 } }));
    costs(world, reads, moved, &["ghl PUT appointment"], &[&[read]], &[&["ghl GET appointment"]]).await;
    let cancelled = ("ghl", "cancel appointment", json!({ "id": ids.appointment }));
    costs(world, reads, cancelled, &["timify POST appointment"], &[&[read]], &[]).await;
}

async fn bursts_and_echoes(world: &World, reads: ReadBeforeWrite, ids: &Told) {
    let burst = |number: usize| {
        let fields = json!({ (["city", "firstName"][number % 2]): format!("Burst {number}") });
        ("timerex+", "update contact", json!({ "id": ids.extension, "fields": fields }))
    };
    let address = |number: usize| {
        let (system, what, mut with) = burst(number);
        if let Some(city) = with["fields"].as_object_mut().unwrap().remove("city") {
            with["fields"]["address"] = json!({ "city": city });
        }
        (system, what, with)
    };
    let (written, _) = cost(world, &(0..10).map(address).collect::<Vec<_>>()).await;
    assert_eq!(written, ["ghl PUT contact", "timify PATCH contact"], "ten edits, one write each");
    world.assert_everywhere(0, &email("Ada"), "city", "Burst 8").await;

    // What it says is what GHL is known to hold, however often it says so.
    let mark = world.mark().await;
    let mut fields = contact("ghl", "Ada");
    fields
        .as_object_mut()
        .unwrap()
        .extend([("firstName".to_owned(), json!("Burst 9")), ("city".to_owned(), json!("Burst 8"))]);
    for webhook in ["once", "again"] {
        assert_eq!(from_ghl(world, &told(world, 0, webhook, &ids.ghl, &fields)).await.status, 200);
    }
    world.settle().await;
    assert_eq!(spent(world, mark).await, (vec![], vec![]), "an echo costs nothing ({reads})");
}

/// A full reconcile of systems that agree lists, and does no more.
async fn reconciling(world: &World) {
    let mark = world.mark().await;
    let run = world.reconcile().await;
    world.settle().await;
    let (written, read) = spent(world, mark).await;
    assert_eq!(written, [""; 0], "{run}");
    let calls = world.calls(mark).await;
    let objects: Vec<&Call> = calls.iter().filter(|call| call.id.is_some()).collect();
    assert!(objects.is_empty(), "only lists are asked for: {objects:?}");
    // A year of TIMIFY's appointments in ranges of the 31 days that it takes.
    let ranges = read.iter().filter(|label| *label == "timify GET appointment").count();
    // GHL's notes are listed contact by contact, and there is one contact. Tasks are searched in each state.
    let times = |label: &str| read.iter().filter(|one| *one == label).count();
    assert_eq!((times("ghl GET note"), times("ghl POST task")), (held(world, "ghl", "contacts").await.len(), 2));
    let mut lists = read;
    lists.dedup();
    let expected = [
        "ghl GET appointment",
        "ghl GET note",
        "ghl POST contact",
        "ghl POST task",
        "timerex GET appointment",
        "timerex+ GET contact",
        "timerex+ GET note",
        "timerex+ GET task",
        "timify GET appointment",
        "timify GET contact",
        "timify+ GET contact",
        "timify+ GET note",
        "timify+ GET task",
    ];
    assert_eq!((lists, ranges), (expected.map(str::to_owned).to_vec(), 13));
}

async fn each(place: &Place, reads: ReadBeforeWrite) {
    let world = start(place, reads).await;
    let ids = everywhere(&world).await;
    one_field(&world, reads, &ids).await;
    tags(&world, reads, &ids).await;
    appointments(&world, reads, &ids).await;
    bursts_and_echoes(&world, reads, &ids).await;
    reconciling(&world).await;
    world.stop().await;
}

async fn each_change_costs_one_write_a_target_and_a_read_before_each(place: &mut Place) {
    each(place, ReadBeforeWrite::Always).await;
}

async fn where_reads_are_left_out_each_change_costs_one_write_a_target_and_reads_in_doubt(place: &mut Place) {
    each(place, ReadBeforeWrite::InDoubt).await;
}

/// The one read that is not left out: what GHL does to a day of a series is not done to all of it.
async fn where_reads_are_left_out_a_series_is_looked_at_all_the_same(place: &mut Place) {
    let world = start(place, ReadBeforeWrite::InDoubt).await;
    let customer = world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Fay") })).await;
    let account = world.account(0).clone();
    let fields = json!({
        "startDate": slot(3).0, "duration": 30, "title": "Course", "customer_id": customer,
        "service_id": account.timify_service, "resource_ids": [account.timify_resource],
        "recurring": { "timezone": "UTC", "frequency": "DAYS", "period": 1, "repeat_times": 3 },
    });
    world.edit(0, "timify", "create appointment", json!({ "fields": fields })).await;
    world.settle().await;
    let mut all = held(&world, "ghl", "appointments").await;
    all.sort_by_key(|one| one["startTime"].as_str().unwrap().to_owned());
    assert_eq!(all.len(), 3);
    let first = json!({ "id": all[0]["id"] });
    let (written, read) = cost(&world, &[("ghl", "cancel appointment", first)]).await;
    assert_eq!((written, read), (vec![], vec!["timify GET appointment".to_owned()]));
    assert_eq!(world.app.load("main").await.unwrap().parked, 1);
    world.stop().await;
}

on_both!(
    Place: each_change_costs_one_write_a_target_and_a_read_before_each,
    where_reads_are_left_out_each_change_costs_one_write_a_target_and_reads_in_doubt,
    where_reads_are_left_out_a_series_is_looked_at_all_the_same,
);
