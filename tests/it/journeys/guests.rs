//! TimeRex's guests: what they type reaches GHL, once; who came by a link of a contact is that contact, and does not change its
//! e-mail or phone by booking with another. What GHL cancels is cancelled in TimeRex, where that is allowed.

use http::Method;
use lockstep::model::{ExternalId, Field, Kind, System};
use serde_json::{Value, json};

use super::mission::{held, only, slot};
use super::{contact, email};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, World, world};

/// A question of the form, and the custom field in GHL that its answer goes to.
const QUESTION: &str = "How did you hear of us?";
const HEARD: &str = "Cf0HeardFieldId000001";

/// A guest books; gives the booking's id.
async fn books(world: &World, day: i64, fields: Value) -> String {
    let mut booking = json!({
        "calendar": world.account(0).timerex_calendar, "start_datetime": slot(day).0, "guest_locale": "en"
    });
    booking.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let id = world.edit(0, "timerex", "create appointment", json!({ "fields": booking })).await;
    world.settle().await;
    id
}

/// The contact in GHL.
async fn in_ghl(world: &World, id: &str) -> Value {
    let all = held(world, "ghl", "contacts").await;
    all.into_iter().find(|one| one["id"] == id).unwrap()
}

/// Found by killing: only webhooks carry a booking's title, and one that came after the booking had been read was not believed.
async fn a_booking_that_is_listed_before_its_webhook_comes_has_a_title(place: &mut Place) {
    let world = world(place).await;
    world.control(Method::POST, "hold", json!({ "system": "timerex" })).await;
    let booking = books(&world, 3, json!({ "name": "Gail Guest", "email": "gail@example.test" })).await;
    world.reconcile().await;
    world.settle().await;
    assert_eq!(only(&world, "ghl", "appointments").await["appointmentStatus"], "confirmed");
    world.control(Method::POST, "release", json!({ "system": "timerex" })).await;
    world.settle().await;
    let link = world.app.store.link("main", System::Timerex, Kind::Appointment, &ExternalId(booking)).await.unwrap();
    assert_eq!(link.unwrap().known(&Field::TITLE).value, lockstep::model::Value::text("Consultation"));
    assert!(world.app.store.reviews("main").await.unwrap().is_empty());
    world.stop().await;
}

async fn ghl_cancels_a_booking_in_timerex(place: &mut Place) {
    let world = world(place).await;
    let booking = books(&world, 3, json!({ "name": "Gus Guest", "email": "gus@example.test" })).await;
    let appointment = only(&world, "ghl", "appointments").await;
    let mark = world.mark().await;
    world.edit(0, "ghl", "cancel appointment", json!({ "id": appointment["id"] })).await;
    world.settle().await;
    let there = only(&world, "timerex", "appointments").await;
    assert!(there["id"] == booking.as_str() && there["canceled_at"].is_string(), "{there}");
    let cancels = world.writes(mark).await;
    assert_eq!(cancels.iter().filter(|call| call.starts_with("timerex ")).count(), 1, "{cancels:?}");
    assert_eq!(only(&world, "ghl", "appointments").await["appointmentStatus"], "cancelled");
    assert!(held(&world, "timify", "appointments").await.is_empty());
    let mark = world.mark().await;
    let run = world.reconcile().await;
    world.settle().await;
    assert_eq!((world.writes(mark).await, &run["reports"][0]["drift"]), (Vec::new(), &json!([])));
    world.stop().await;
}

async fn a_guests_comment_is_one_note_in_ghl(place: &mut Place) {
    let world = world(place).await;
    let comment = "I will be five minutes late.\nSorry!";
    let booking =
        books(&world, 3, json!({ "name": "Gus Guest", "email": "gus@example.test", "comment": comment })).await;
    let note = only(&world, "ghl", "notes").await;
    let person = only(&world, "ghl", "contacts").await;
    assert_eq!((&note["body"], &note["contactId"]), (&json!(comment), &person["id"]));
    world
        .edit(0, "timerex", "move appointment", json!({ "id": booking, "fields": { "start_datetime": slot(4).0 } }))
        .await;
    world.settle().await;
    world.reconcile().await;
    world.settle().await;
    assert_eq!(only(&world, "ghl", "notes").await["id"], note["id"], "moved, or listed again, it is said once");
    assert_eq!(only(&world, "timify+", "notes").await["content"], json!(comment));
    world.stop().await;
}

async fn answers_reach_ghl_by_the_label_of_their_question(place: &mut Place) {
    let mut plan = Plan::of(1);
    plan.adjust = |config| {
        let accounts = &mut config.workspaces[0].accounts;
        accounts.get_mut(&System::Timerex).unwrap().fields.insert("heard".to_owned(), QUESTION.to_owned());
        accounts.get_mut(&System::Ghl).unwrap().fields.insert("heard".to_owned(), HEARD.to_owned());
    };
    let world = plan.start(place).await;
    let answers = json!({ "電話番号": "+4915123450077", QUESTION: "From a friend", "Shoe size": "44" });
    books(&world, 3, json!({ "name": "Gus Guest", "email": "gus@example.test", "answers": answers })).await;
    let person = only(&world, "ghl", "contacts").await;
    assert_eq!(person["phone"], "+4915123450077");
    assert_eq!((&person["firstName"], &person["lastName"]), (&json!("Gus"), &json!("Guest")));
    let fields = person["customFields"].as_array().unwrap();
    let heard = fields.iter().find(|field| field["id"] == HEARD).unwrap();
    assert_eq!((&heard["value"], fields.len()), (&json!("From a friend"), 1));
    world.stop().await;
}

/// The link was made for a contact; whoever follows it books for that one.
async fn a_guest_by_a_contacts_link_is_the_contact_and_changes_neither_its_email_nor_its_phone(place: &mut Place) {
    let world = world(place).await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Wes") })).await;
    world.settle().await;
    let before = in_ghl(&world, &id).await;
    let guest = json!({
        "name": "Wes Sato", "email": "wes.at.work@example.test", "phone": "+4915199999999",
        "params": { "ghl_contact_id": id },
    });
    books(&world, 3, guest.clone()).await;
    let appointment = only(&world, "ghl", "appointments").await;
    assert_eq!(appointment["contactId"], id.as_str());
    let after = in_ghl(&world, &id).await;
    assert_eq!((&after["email"], &after["phone"]), (&before["email"], &before["phone"]));
    world.assert_everywhere(0, &email("Wes"), "phone", before["phone"].as_str().unwrap()).await;
    let typed = async || {
        let all = world.app.store.conflicts("main", None).await.unwrap().into_iter().map(|(_, one)| one);
        let ours = all.filter(|one| one.rule == "guest" && one.system == System::Timerex);
        let mut ours: Vec<_> = ours.map(|one| (one.field, one.lost.as_text().unwrap_or_default().to_owned())).collect();
        ours.sort();
        ours
    };
    let mut kept =
        vec![(Field::EMAIL, "wes.at.work@example.test".to_owned()), (Field::PHONE, "+4915199999999".to_owned())];
    kept.sort();
    assert_eq!(typed().await, kept, "what was typed is kept");

    // Once more by the link, and once without it under the same address: the same person, the same nothing.
    books(&world, 4, guest).await;
    books(&world, 5, json!({ "name": "Wes Sato", "email": "wes.at.work@example.test" })).await;
    let all = held(&world, "ghl", "appointments").await;
    assert!(all.len() == 3 && all.iter().all(|one| one["contactId"] == id.as_str()), "{all:?}");
    let after = in_ghl(&world, &id).await;
    assert_eq!((&after["email"], &after["phone"]), (&before["email"], &before["phone"]));
    assert_eq!((typed().await, world.people(0, "ghl").await.len()), (kept, 1));
    assert_eq!(world.app.load("main").await.unwrap().parked, 0);
    world.stop().await;
}

async fn a_guest_by_a_contacts_link_fills_in_what_the_contact_lacks(place: &mut Place) {
    let world = world(place).await;
    let bare = json!({ "firstName": "Xia", "email": email("Xia") });
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": bare })).await;
    world.settle().await;
    let guest = json!({ "name": "Xia Li", "email": "x@example.test", "phone": "+4915188888888", "params": { "contact_ref": format!("ghl_{id}") } });
    books(&world, 3, guest).await;
    let after = in_ghl(&world, &id).await;
    assert_eq!((&after["email"], &after["phone"]), (&json!(email("Xia")), &json!("+4915188888888")));
    assert_eq!((&after["lastName"], world.people(0, "ghl").await.len()), (&json!("Li"), 1));
    world.stop().await;
}

/// GHL cannot be asked for longer than a booking waits for its contact.
async fn a_contact_that_could_not_be_read_in_time_keeps_its_email_and_phone_too(place: &mut Place) {
    let mut plan = Plan::of(1);
    plan.service.policy.insert_str(0, "join_window = \"300ms\"\n");
    plan.connected = false;
    let world = plan.start(place).await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Yui") })).await;
    world.settle().await;
    let before = in_ghl(&world, &id).await;
    world.connect().await;
    world.fault(json!({ "system": "ghl", "kind": "down", "path": "/contacts" })).await;
    let booking = json!({
        "calendar": world.account(0).timerex_calendar, "start_datetime": slot(3).0, "name": "Yui Mori",
        "email": "yui.at.work@example.test", "phone": "+4915177777777", "params": { "contact_ref": id },
    });
    world.edit(0, "timerex", "create appointment", json!({ "fields": booking })).await;
    let held_up = async || world.app.load("main").await.unwrap().undecided == 0;
    world.until("the booking waits no longer", held_up).await;
    world.heal().await;
    world.settle().await;
    let after = in_ghl(&world, &id).await;
    assert_eq!((&after["email"], &after["phone"]), (&before["email"], &before["phone"]));
    assert_eq!(
        (only(&world, "ghl", "appointments").await["contactId"].clone(), world.people(0, "ghl").await.len()),
        (json!(id), 1)
    );
    let lost = world.app.store.conflicts("main", None).await.unwrap();
    let lost: Vec<_> = lost.iter().filter_map(|(_, one)| one.lost.as_text()).collect();
    assert!(
        lost.contains(&"yui.at.work@example.test") && lost.contains(&"+4915177777777"),
        "what was typed is kept: {lost:?}"
    );
    world.stop().await;
}

on_both!(
    Place: a_booking_that_is_listed_before_its_webhook_comes_has_a_title,
    ghl_cancels_a_booking_in_timerex,
    a_guests_comment_is_one_note_in_ghl,
    answers_reach_ghl_by_the_label_of_their_question,
    a_guest_by_a_contacts_link_is_the_contact_and_changes_neither_its_email_nor_its_phone,
    a_guest_by_a_contacts_link_fills_in_what_the_contact_lacks,
    a_contact_that_could_not_be_read_in_time_keeps_its_email_and_phone_too,
);
