//! The flows that the product is asked for, each as its users would see it. Row by row, README lists the same.

use serde_json::{Value, json};

use super::{contact, email};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Call, Plan, World, now, world};

/// All objects of a kind that a system's account holds, as its stand-in says: `ghl`, `timify`, `timerex`, `timerex+`.
pub(super) async fn held(world: &World, system: &str, kind: &str) -> Vec<Value> {
    let (state, account) = (world.state().await, world.account(0));
    let all = match system {
        "ghl" => &state["ghl"][kind],
        "timify" => &state["timify"][&account.timify_company][kind],
        "timerex" => &state["timerex"][&account.timerex_team][kind],
        "timify+" => &state["extension"]["timify"][&account.timify_company][kind],
        _ => &state["extension"]["timerex"][&account.timerex_team][kind],
    };
    match all {
        Value::Object(map) => map.values().cloned().collect(),
        list => list.as_array().cloned().unwrap_or_default(),
    }
}

/// The only object of a kind that a system holds.
pub(super) async fn only(world: &World, system: &str, kind: &str) -> Value {
    let mut all = held(world, system, kind).await;
    assert_eq!(all.len(), 1, "{kind} in {system}: {all:?}");
    all.remove(0)
}

/// The start of a day's ninth hour, some days from now, and the half hour after it.
pub(super) fn slot(days: i64) -> (String, String) {
    use lockstep::clock::Millis;
    const MINUTE: i64 = 60_000;
    let midnight = now().0 / (1_440 * MINUTE) * (1_440 * MINUTE);
    let start = midnight + days * 1_440 * MINUTE + 540 * MINUTE;
    (Millis(start).rfc3339(), Millis(start + 30 * MINUTE).rfc3339())
}

fn labels(calls: &[Call], system: &str) -> Vec<String> {
    calls.iter().map(Call::label).filter(|label| label.starts_with(&format!("{system} "))).collect()
}

async fn timify_contacts_reach_ghl_at_once_and_edits_come_back(place: &mut Place) {
    let world = world(place).await;
    let customer = world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Aiko") })).await;
    world.settle().await;
    let [ghl, ..] = world.everywhere(0, &email("Aiko")).await;
    world.edit(0, "timify", "update contact", json!({ "id": customer, "fields": { "city": "Nara" } })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Aiko"), "city", "Nara").await;
    world.edit(0, "ghl", "update contact", json!({ "id": ghl.id, "fields": { "phone": "+491512345678" } })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Aiko"), "phone", "+491512345678").await;
    world.stop().await;
}

async fn timify_appointments_are_made_moved_and_cancelled_in_ghl(place: &mut Place) {
    let world = world(place).await;
    let customer = world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Bea") })).await;
    let account = world.account(0).clone();
    let fields = json!({
        "startDate": slot(3).0, "duration": 30, "title": "Consultation", "customer_id": customer,
        "service_id": account.timify_service, "resource_ids": [account.timify_resource],
    });
    let booked = world.edit(0, "timify", "create appointment", json!({ "fields": fields })).await;
    world.settle().await;
    let person = world.people(0, "ghl").await.remove(0);
    let appointment = only(&world, "ghl", "appointments").await;
    assert_eq!(
        (&appointment["contactId"], &appointment["calendarId"]),
        (&json!(person.id), &json!(account.ghl_calendar))
    );
    assert_eq!(instant(&appointment["startTime"]), instant(&json!(slot(3).0)));

    world.edit(0, "timify", "move appointment", json!({ "id": booked, "fields": { "startDate": slot(4).0 } })).await;
    world.settle().await;
    let moved = only(&world, "ghl", "appointments").await;
    assert_eq!(moved["id"], appointment["id"], "it is the same appointment");
    assert_eq!((instant(&moved["startTime"]), instant(&moved["endTime"])), (at(&slot(4).0), at(&slot(4).1)));

    world.edit(0, "timify", "cancel appointment", json!({ "id": booked })).await;
    world.settle().await;
    assert_eq!(only(&world, "ghl", "appointments").await["appointmentStatus"], "cancelled");
    world.stop().await;
}

pub(super) fn instant(value: &Value) -> i64 {
    at(value.as_str().unwrap())
}

pub(super) fn at(text: &str) -> i64 {
    lockstep::clock::Millis::parse(text).unwrap_or_else(|| panic!("{text}")).0
}

/// A contact that is everywhere, entered in GHL; its ids there and at TimeRex's extension.
async fn settled(world: &World, name: &str) -> (String, String) {
    let ghl = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", name) })).await;
    world.settle().await;
    let [_, _, extension] = world.everywhere(0, &email(name)).await;
    (ghl, extension.id)
}

/// Makes, edits, completes and deletes a task beside a booking tool; GHL follows each time.
async fn tasks_follow(world: &World, system: &str, parent: &str) {
    let task = json!({ "title": "Send the offer", "body": "With prices", "dueDate": slot(5).0, "completed": false });
    let task = world.edit(0, system, "create task", json!({ "parent": parent, "fields": task })).await;
    world.settle().await;
    let made = only(world, "ghl", "tasks").await;
    assert_eq!(
        (&made["title"], &made["body"], &made["completed"]),
        (&json!("Send the offer"), &json!("With prices"), &json!(false))
    );
    assert_eq!(instant(&made["dueDate"]), at(&slot(5).0));
    let edit = json!({ "title": "Send it again", "dueDate": slot(6).0 });
    world.edit(0, system, "update task", json!({ "id": task, "fields": edit })).await;
    world.settle().await;
    let edited = only(world, "ghl", "tasks").await;
    assert_eq!((&edited["id"], &edited["title"]), (&made["id"], &json!("Send it again")));
    assert_eq!(instant(&edited["dueDate"]), at(&slot(6).0));
    world.edit(0, system, "complete task", json!({ "id": task })).await;
    world.settle().await;
    assert_eq!(only(world, "ghl", "tasks").await["completed"], true);
    world.edit(0, system, "delete task", json!({ "id": task })).await;
    world.settle().await;
    assert!(held(world, "ghl", "tasks").await.is_empty());
}

async fn timify_tasks_are_made_edited_completed_and_deleted_in_ghl(place: &mut Place) {
    let world = world(place).await;
    settled(&world, "Cleo").await;
    let customer = world.people(0, "timify").await.remove(0).id;
    tasks_follow(&world, "timify+", &customer).await;
    assert!(held(&world, "timerex+", "tasks").await.is_empty());
    world.stop().await;
}

async fn timerex_tasks_are_made_edited_completed_and_deleted_in_ghl(place: &mut Place) {
    let world = world(place).await;
    let (_, extension) = settled(&world, "Dora").await;
    tasks_follow(&world, "timerex+", &extension).await;
    assert!(held(&world, "timify+", "tasks").await.is_empty());
    world.stop().await;
}

async fn ghl_tasks_are_edited_completed_and_deleted_in_timerex(place: &mut Place) {
    let world = world(place).await;
    let (ghl, extension) = settled(&world, "Edda").await;
    let task = json!({ "title": "Call back", "body": "", "dueDate": slot(5).0, "completed": false });
    let task = world.edit(0, "ghl", "create task", json!({ "parent": ghl, "fields": task })).await;
    world.settle().await;
    let there = only(&world, "timerex+", "tasks").await;
    assert_eq!((&there["contactId"], &there["title"]), (&json!(extension), &json!("Call back")));
    world.edit(0, "ghl", "complete task", json!({ "id": task })).await;
    world.settle().await;
    assert_eq!(only(&world, "timerex+", "tasks").await["completed"], true);
    world.edit(0, "ghl", "delete task", json!({ "id": task })).await;
    world.settle().await;
    assert!(held(&world, "timerex+", "tasks").await.is_empty());
    world.stop().await;
}

async fn ghl_notes_reach_timerex_linked_to_the_contact(place: &mut Place) {
    let world = world(place).await;
    let (ghl, extension) = settled(&world, "Finn").await;
    let note =
        world.edit(0, "ghl", "create note", json!({ "parent": ghl, "fields": { "body": "Prefers mornings" } })).await;
    world.settle().await;
    let there = only(&world, "timerex+", "notes").await;
    assert_eq!((&there["contactId"], &there["content"]), (&json!(extension), &json!("Prefers mornings")));
    world.edit(0, "ghl", "update note", json!({ "id": note, "fields": { "body": "Prefers evenings" } })).await;
    world.settle().await;
    let edited = only(&world, "timerex+", "notes").await;
    assert_eq!((&edited["id"], &edited["content"]), (&there["id"], &json!("Prefers evenings")));
    world.edit(0, "ghl", "delete note", json!({ "id": note })).await;
    world.settle().await;
    assert!(held(&world, "timerex+", "notes").await.is_empty());
    world.stop().await;
}

/// All that the mission names of a contact; GHL is read before it is written.
async fn a_timerex_contact_is_fetched_and_then_put_into_ghl(place: &mut Place) {
    let world = status_plan().start(place).await;
    let (ghl, extension) = settled(&world, "Gina").await;
    let mark = world.mark().await;
    let edit = json!({
        "firstName": "Gina Maria", "email": "gina.maria@example.test", "phone": "+4915123450000", "status": "customer",
        "address": { "line1": "Ring 1", "city": "Kyoto", "postalCode": "600-8001", "country": "JP" },
        "tags": ["vip", "newsletter"],
    });
    world.edit(0, "timerex+", "update contact", json!({ "id": extension, "fields": edit })).await;
    world.settle().await;
    let held = world.state().await["ghl"]["contacts"][&ghl].clone();
    let plain =
        ["firstName", "email", "phone", "address1", "city", "postalCode", "country"].map(|key| held[key].clone());
    let expected = ["Gina Maria", "gina.maria@example.test", "+4915123450000", "Ring 1", "Kyoto", "600-8001", "JP"];
    assert_eq!(plain, expected.map(Value::from));
    let tags: std::collections::BTreeSet<_> =
        held["tags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(tags, ["newsletter", "vip"].into());
    let status = held["customFields"].as_array().unwrap().iter().find(|one| one["id"] == STATUS).unwrap();
    assert_eq!(status["value"], "customer");
    let asked = labels(&world.calls(mark).await, "ghl");
    assert_eq!(asked.first().map(String::as_str), Some("ghl GET contact"), "the latest is fetched first: {asked:?}");
    assert!(asked.contains(&"ghl PUT contact".to_owned()), "{asked:?}");

    world.edit(0, "timerex+", "update contact", json!({ "id": extension, "fields": { "tags": ["vip"] } })).await;
    world.settle().await;
    assert_eq!(
        world.state().await["ghl"]["contacts"][&ghl]["tags"],
        json!(["vip"]),
        "a tag that is taken off goes there too"
    );
    world.stop().await;
}

const STATUS: &str = "Cf0StatusFieldId00001";

fn status_plan() -> Plan {
    let mut plan = Plan::of(1);
    plan.adjust = |config| {
        let ghl = config.workspaces[0].accounts.get_mut(&lockstep::model::System::Ghl).unwrap();
        ghl.fields = [("status".to_owned(), STATUS.to_owned())].into();
    };
    plan
}

async fn where_reads_are_left_out_only_doubts_are_read(place: &mut Place) {
    use lockstep::model::{Kind, ReadBeforeWrite, System};
    let mut plan = Plan::of(1);
    plan.adjust = |config| {
        let rule = ((System::Ghl, Kind::Contact), ReadBeforeWrite::InDoubt);
        config.workspaces[0].policy.read_before_write_of = [rule].into();
    };
    let world = plan.start(place).await;
    let (_, extension) = settled(&world, "Hana").await;
    let mark = world.mark().await;
    world
        .edit(0, "timerex+", "update contact", json!({ "id": extension, "fields": { "address": { "city": "Kobe" } } }))
        .await;
    world.settle().await;
    world.assert_everywhere(0, &email("Hana"), "city", "Kobe").await;
    let calls = world.calls(mark).await;
    assert_eq!(labels(&calls, "ghl").first().map(String::as_str), Some("ghl PUT contact"), "GHL is written unread");
    let timify = labels(&calls, "timify");
    assert_eq!(timify.first().map(String::as_str), Some("timify GET contact"), "TIMIFY is read as before: {timify:?}");
    world.stop().await;
}

async fn a_timify_change_reaches_timerex_through_the_hub(place: &mut Place) {
    let world = world(place).await;
    let customer = world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Ines") })).await;
    world.settle().await;
    world.edit(0, "timify", "update contact", json!({ "id": customer, "fields": { "lastName": "Mori" } })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Ines"), "lastName", "Mori").await;
    world.stop().await;
}

async fn a_timify_change_stays_out_of_timerex_where_the_mapping_says_so(place: &mut Place) {
    use lockstep::model::{CreateRule, System};
    let mut plan = Plan::of(1);
    plan.adjust = |config| {
        config.workspaces[0].policy.create.insert(System::Timerex, CreateRule::Off);
    };
    let world = plan.start(place).await;
    world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Jana") })).await;
    world.settle().await;
    assert_eq!((world.people(0, "ghl").await.len(), world.people(0, "timerex+").await.len()), (1, 0));
    world.stop().await;
}

on_both!(
    Place: timify_contacts_reach_ghl_at_once_and_edits_come_back,
    timify_appointments_are_made_moved_and_cancelled_in_ghl,
    timify_tasks_are_made_edited_completed_and_deleted_in_ghl,
    timerex_tasks_are_made_edited_completed_and_deleted_in_ghl,
    ghl_tasks_are_edited_completed_and_deleted_in_timerex,
    ghl_notes_reach_timerex_linked_to_the_contact,
    a_timerex_contact_is_fetched_and_then_put_into_ghl,
    where_reads_are_left_out_only_doubts_are_read,
    a_timify_change_reaches_timerex_through_the_hub,
    a_timify_change_stays_out_of_timerex_where_the_mapping_says_so,
);
