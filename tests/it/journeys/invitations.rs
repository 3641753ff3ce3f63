//! Guests are invited: the link stands where the contact finds it, the booking made by it is the contact's whatever the guest
//! typed, and comes in whatever is lost.

use std::net::TcpListener;

use http::{Method, StatusCode};
use lockstep::model::{EntityId, ExternalId, Kind, System};
use lockstep::secret::Secret;
use serde_json::{Value, json};

use super::{contact, email};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, Reply, World};

const FIELD: &str = "Cf0BookingLinkField01";
const PATH: &str = "/workspaces/main/invitations";
const TOKEN: &str = "channel-token-of-our-own";
const SOME_TIME: &str = "2031-03-10T01:00:00Z";

/// Live workspaces that watch their links, at an address that the sandbox reaches.
fn plan(workspaces: usize) -> Plan {
    let mut plan = Plan::of(workspaces);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    plan.service.public = free.to_string();
    plan.adjust = |config| {
        config.server.public_url = Some(format!("http://{}", config.server.public));
        for (name, connection) in config.connections.iter_mut().filter(|(_, one)| one.system == System::Timerex) {
            connection.push_tokens = vec![Secret::new(format!("{TOKEN}-{name}"))];
        }
        let ghl = config.workspaces[0].accounts.get_mut(&System::Ghl).unwrap();
        ghl.fields = [("booking_link".to_owned(), FIELD.to_owned())].into();
    };
    plan
}

/// A contact in GHL: its id there, and ours.
async fn somebody(world: &World, name: &str) -> (String, EntityId) {
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", name) })).await;
    world.settle().await;
    (id, world.app.store.named(&email(name)).await.unwrap()[0])
}

/// By e-mail, as people know it, or by our id.
async fn invite(world: &World, whom: impl ToString, to: &str) -> Reply {
    let order = json!({ "contact": whom.to_string(), "calendar": "intro", "to": to, "due": SOME_TIME });
    world.ops(Method::POST, PATH, order).await
}

/// The invitations, newest first.
async fn invitations(world: &World) -> Vec<Value> {
    let listed = world.ops(Method::GET, PATH, Value::Null).await;
    assert_eq!(listed.status, StatusCode::OK, "{listed:?}");
    listed.body["invitations"].as_array().unwrap().clone()
}

async fn becomes(world: &World, state: &str) {
    world.until(state, async || invitations(world).await[0]["state"] == state).await;
}

/// The links that TimeRex has made.
async fn links(world: &World) -> Vec<Value> {
    let state = world.state().await;
    state["timerex"][&world.account(0).timerex_team]["one_time_urls"].as_array().unwrap().clone()
}

/// What a contact has in GHL's custom field.
async fn in_field(world: &World, id: &str) -> String {
    let state = world.state().await;
    let entries = state["ghl"]["contacts"][id]["customFields"].as_array().cloned().unwrap_or_default();
    let entry = entries.iter().find(|entry| entry["id"] == FIELD);
    entry.and_then(|entry| entry["value"].as_str()).unwrap_or_default().to_owned()
}

/// A guest books by a link, under an e-mail of their own choice; gives the booking's id.
async fn book(world: &World, by: Value, name: &str) -> String {
    let mut fields = json!({ "start_datetime": SOME_TIME, "guest_name": "Guest", "guest_email": email(name) });
    fields.as_object_mut().unwrap().extend(by.as_object().unwrap().clone());
    world.edit(0, "timerex", "create appointment", json!({ "fields": fields })).await
}

/// The vendor's id of a link.
fn id_of(link: &str) -> &str {
    link.split('?').next().unwrap().rsplit('/').next().unwrap()
}

/// Whose booking it is; `None`: it has not come in.
async fn owner(world: &World, booking: &str) -> Option<EntityId> {
    let (system, id) = (System::Timerex, ExternalId::new(booking));
    let link = world.app.store.link("main", system, Kind::Appointment, &id).await.unwrap()?;
    world.app.store.whole(link.entity).await.unwrap().unwrap().entity.parent
}

/// Rows of the change log of a label.
async fn rows(place: &Place, label: &str) -> i64 {
    place.number(&format!("SELECT COUNT(*) FROM change_log WHERE label = '{label}'")).await
}

async fn the_link_stands_in_a_field_and_the_booking_is_the_invited_contacts(place: &mut Place) {
    let world = plan(1).start(place).await;
    let (ada, ours) = somebody(&world, "Ada").await;
    let invited = invite(&world, email("Ada"), "field:booking_link").await;
    assert_eq!((invited.status, &invited.body["state"]), (StatusCode::CREATED, &json!("open")), "{invited:?}");
    assert_eq!((&invited.body["watched"], &invited.body["contact"]), (&json!(true), &json!(ours.to_string())));
    world.settle().await;
    let link = in_field(&world, &ada).await;
    let made = links(&world).await;
    assert_eq!((made.len(), made[0]["watchers"].as_u64()), (1, Some(1)), "{made:?}");
    assert_eq!(link, format!("{}?ghl_contact_id={ada}", made[0]["url"].as_str().unwrap()));

    let booking = book(&world, json!({ "link": link }), "Somebody.Else").await;
    becomes(&world, "confirmed").await;
    world.settle().await;
    assert_eq!(owner(&world, &booking).await, Some(ours));
    assert_eq!(invitations(&world).await[0]["booking"], json!(booking));
    let state = world.state().await;
    let booked: Vec<&Value> = state["ghl"]["appointments"].as_object().unwrap().values().collect();
    assert_eq!((booked.len(), &booked[0]["contactId"]), (1, &json!(ada)), "{booked:?}");
    assert_eq!(world.people(0, "ghl").await.len(), 1, "the guest is no second contact");

    let again = json!({
        "system": "timerex", "action": "create", "kind": "appointment", "account": world.account(0).timerex_team,
        "fields": { "link": link, "start_datetime": "2031-03-11T01:00:00Z", "guest_name": "Guest", "guest_email": email("Else") }
    });
    assert!(world.ordered("edits", again).await.is_client_error(), "a link is good once");
    world.edit(0, "timerex", "cancel appointment", json!({ "id": booking })).await;
    becomes(&world, "cancelled").await;
    world.settle().await;
    assert_eq!((rows(place, "one_time_url.confirmed").await, rows(place, "one_time_url.cancelled").await), (1, 1));
    let text = if place.is_sqlite() { "CAST(body AS TEXT)" } else { "encode(body, 'escape')" };
    let with_token = format!("SELECT COUNT(*) FROM bodies WHERE {text} LIKE '%{TOKEN}%'");
    assert_eq!(place.number(&with_token).await, 0, "what proves a push is not kept");
    for told in [world.command(&["invite", "--list", "main"]), invited.body.to_string()] {
        assert!(told.contains(&ours.to_string()) && !told.contains("timerex.net"), "the link is a secret: {told}");
    }
    assert!(world.command(&["explain", &ours.to_string()]).contains("operator"), "the operator's change is told");
    world.stop().await;
}

async fn the_link_stands_in_a_note_or_a_task_of_the_contact_everywhere(place: &mut Place) {
    let world = plan(1).start(place).await;
    let (bea, _) = somebody(&world, "Bea").await;
    for to in ["note", "task"] {
        let invited = invite(&world, email("Bea"), to).await;
        assert_eq!(invited.status, StatusCode::CREATED, "{invited:?}");
    }
    world.settle().await;
    let state = world.state().await;
    let only = |objects: &Value, text: &str| {
        let objects = objects.as_object().unwrap();
        assert_eq!(objects.len(), 1, "{objects:?}");
        objects.values().next().unwrap()[text].as_str().unwrap().to_owned()
    };
    let made = links(&world).await;
    let link = |text: &str| {
        made.iter().any(|one| text.contains(&format!("{}?ghl_contact_id={bea}", one["url"].as_str().unwrap())))
    };
    assert!(link(&only(&state["ghl"]["notes"], "body")), "{}", state["ghl"]["notes"]);
    assert!(link(&only(&state["ghl"]["tasks"], "body")), "{}", state["ghl"]["tasks"]);
    assert_eq!(only(&state["ghl"]["tasks"], "title"), "Send booking link (intro)");
    let beside = &state["extension"]["timerex"][&world.account(0).timerex_team];
    assert!(link(&beside["notes"].to_string()) && link(&beside["tasks"].to_string()), "{beside}");
    world.stop().await;
}

async fn a_booking_comes_in_though_its_webhook_is_lost_and_nothing_of_the_guest_is_known(place: &mut Place) {
    let world = plan(1).start(place).await;
    let (cid, ours) = somebody(&world, "Cid").await;
    for (lost, known_by) in [(1, "the push"), (2, "looking")] {
        assert_eq!(invite(&world, ours, "field:booking_link").await.status, StatusCode::CREATED);
        world.settle().await;
        let link = in_field(&world, &cid).await;
        world.control(Method::POST, "lose", json!({ "system": "timerex", "count": lost })).await;
        // Without its query, as where the plan does not give back what a link carries.
        let booking = book(&world, json!({ "one_time_url": id_of(&link) }), &format!("other.{lost}")).await;
        if lost == 2 {
            world.settle().await;
            assert_eq!(owner(&world, &booking).await, None, "nobody told of it");
            place.run("UPDATE invitations SET due = 0 WHERE due IS NOT NULL").await;
        }
        world.until(known_by, async || owner(&world, &booking).await.is_some()).await;
        becomes(&world, "confirmed").await;
        world.settle().await;
        assert_eq!(owner(&world, &booking).await, Some(ours), "by {known_by}");
        let held = world.state().await["ghl"]["appointments"].as_object().unwrap().len();
        assert_eq!(held, lost, "by {known_by}");
    }
    world.stop().await;
}

async fn a_forged_push_is_refused_and_nothing_is_stored(place: &mut Place) {
    let world = plan(2).start(place).await;
    let push = |token: &str| {
        let link = json!({ "id": "7777eeee8888ffff9999", "url": "https://timerex.net/s/onetime" });
        json!({ "token": token, "status": "confirmed", "one_time_url": link }).to_string()
    };
    let before = place.number("SELECT COUNT(*) FROM change_log").await;
    for forged in ["", "channel-token-of-our-ow", "channel-token-of-our-own-timerex-mainx", "N/A"] {
        world.post("/webhooks/timerex/main", &[], push(forged)).await.assert_problem(401, "unauthorized");
    }
    let booking = json!({ "token": format!("{TOKEN}-timerex-main"), "webhook_type": "event_confirmed", "event": {} });
    world.post("/webhooks/timerex/main", &[], booking.to_string()).await.assert_problem(401, "unauthorized");
    assert_eq!(place.number("SELECT COUNT(*) FROM change_log").await, before);

    let ours = push(&format!("{TOKEN}-timerex-main"));
    assert_eq!(world.post("/webhooks/timerex/main", &[], ours.clone()).await.status, StatusCode::OK);
    assert_eq!(world.post("/webhooks/timerex/ws2", &[], ours.clone()).await.status, StatusCode::OK);
    assert_eq!(world.post("/webhooks/timerex", &[], ours).await.status, StatusCode::OK);
    let of_main = "SELECT COUNT(*) FROM change_log WHERE label = 'one_time_url.confirmed' AND workspace = 'main'";
    assert_eq!((place.number(of_main).await, rows(place, "one_time_url.confirmed").await), (1, 3));
    world.stop().await;
}

async fn an_outage_while_inviting_makes_no_second_link_and_is_told(place: &mut Place) {
    let world = plan(1).start(place).await;
    let (dee, _) = somebody(&world, "Dee").await;
    for (kind, made) in [("down", 0), ("cut_after_apply", 1)] {
        world.fault(json!({ "system": "timerex", "kind": kind, "only": "writes", "path": "one-time-url" })).await;
        let told = invite(&world, email("Dee"), "field:booking_link").await;
        told.assert_problem(409, "conflict");
        assert!(told.body["detail"].as_str().unwrap().contains("no clear answer"), "{told:?}");
        world.heal().await;
        world.settle().await;
        let newest = invitations(&world).await.remove(0);
        assert_eq!((&newest["state"], &newest["looked_at_next"]), (&json!("unclear"), &Value::Null), "{newest}");
        assert_eq!((links(&world).await.len(), in_field(&world, &dee).await), (made, String::new()), "{kind}");
    }
    assert_eq!(invite(&world, email("Dee"), "field:booking_link").await.status, StatusCode::CREATED);
    world.settle().await;
    assert_eq!((links(&world).await.len(), in_field(&world, &dee).await.is_empty()), (2, false));
    world.stop().await;
}

async fn what_cannot_be_is_said_before_anybody_is_asked(place: &mut Place) {
    let world = plan(1).start(place).await;
    somebody(&world, "Eve").await;
    let good = json!({ "contact": email("Eve"), "calendar": "intro", "to": "note" });
    let cases = [
        ("contact", json!("nobody@example.test"), "no contact"),
        ("calendar", json!("outro"), "no calendar"),
        ("to", json!("field:hats"), "[workspaces.ghl.fields]"),
        ("to", json!("task"), "due"),
    ];
    for (key, value, said) in cases {
        let mut order = good.clone();
        order[key] = value;
        let told = world.ops(Method::POST, PATH, order).await;
        told.assert_problem(409, "conflict");
        assert!(told.body["detail"].as_str().unwrap().contains(said), "{told:?}");
    }
    let nowhere = world.ops(Method::POST, "/workspaces/nobody/invitations", good.clone()).await;
    nowhere.assert_problem(404, "unknown_workspace");
    place.run("UPDATE workspaces SET mode = 'shadow'").await;
    let told = world.ops(Method::POST, PATH, good).await;
    assert!(told.body["detail"].as_str().unwrap().contains("shadow"), "{told:?}");
    assert_eq!((links(&world).await.len(), invitations(&world).await.len()), (0, 0));
    world.stop().await;
}

on_both!(
    Place: the_link_stands_in_a_field_and_the_booking_is_the_invited_contacts,
    the_link_stands_in_a_note_or_a_task_of_the_contact_everywhere,
    a_booking_comes_in_though_its_webhook_is_lost_and_nothing_of_the_guest_is_known,
    a_forged_push_is_refused_and_nothing_is_stored,
    an_outage_while_inviting_makes_no_second_link_and_is_told,
    what_cannot_be_is_said_before_anybody_is_asked,
);
