//! Creating (law 7): a stored intent and a look come first; after an unclear answer we look again; two candidates are a
//! person's to choose from.

use http::Method;
use lockstep::model::{ExternalId, Kind, System};
use serde_json::{Value, json};

use super::{contact, email};
use crate::support::databases::{Place, on_both};
use crate::support::people::Person;
use crate::support::world::{Call, Plan, World, world};

/// The next webhooks of a stand-in never come.
async fn lose(world: &World, system: &str, count: u32) {
    world.control(Method::POST, "lose", json!({ "system": system, "count": count })).await;
}

async fn cut_creates(world: &World, system: &str, extension: bool, path: &str) {
    let fault = json!({
        "system": system, "extension": extension, "kind": "cut_after_apply", "only": "writes", "count": 1, "path": path
    });
    world.fault(fault).await;
}

async fn a_create_whose_answer_is_lost_makes_no_second_object(place: &mut Place) {
    let world = world(place).await;
    for (system, extension, path) in [("timify", false, "/customers"), ("timerex", true, "/contacts")] {
        cut_creates(&world, system, extension, path).await;
    }
    // Nothing but a look can tell that the customer is there: the webhook of its making does not come either.
    lose(&world, "timify", 1).await;
    world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Pia") })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Pia"), "city", "Osaka").await;
    assert_eq!(world.writes(0).await, ["timerex+ POST contact", "timify POST contact"]);

    cut_creates(&world, "ghl", false, "/contacts").await;
    lose(&world, "ghl", 1).await;
    world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Ron") })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Ron"), "city", "Osaka").await;
    world.stop().await;
}

/// Found by simulation: asked to wait, we forgot that it had been sent before, and made another one under a new key.
async fn a_create_whose_repetition_is_asked_to_wait_is_repeated_to_the_letter(place: &mut Place) {
    let world = world(place).await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Kai") })).await;
    world.settle().await;
    cut_creates(&world, "timerex", true, "/tasks").await;
    let wait = json!({
        "system": "timerex", "extension": true, "kind": "rate_limited", "only": "writes", "count": 1, "path": "/tasks",
        "retry_after": 1
    });
    world.fault(wait).await;
    lose(&world, "timerex", 1).await;
    let task = json!({ "title": "Call back", "body": "", "dueDate": "2031-05-05T09:00:00.000Z", "completed": false });
    world.edit(0, "ghl", "create task", json!({ "parent": id, "fields": task })).await;
    world.settle().await;
    let calls = world.calls(0).await;
    let creates = calls.iter().filter(|call| call.label() == "timerex+ POST task");
    assert_eq!(creates.map(|call| call.status).collect::<Vec<_>>(), [None, Some(429), Some(201)]);
    assert_eq!(world.state().await.to_string().matches("Call back").count(), 3, "one in each system");
    world.stop().await;
}

async fn what_was_edited_in_an_object_before_its_create_is_known_of_wins(place: &mut Place) {
    let mut plan = Plan::of(1);
    plan.service.policy = plan.service.policy.replace("create_settle = \"1s\"", "create_settle = \"2s\"");
    let world = plan.start(place).await;
    cut_creates(&world, "timify", false, "/customers").await;
    // Neither its making nor its edit is told of.
    lose(&world, "timify", 2).await;
    world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Uwe") })).await;
    world.until("the customer is made", async || world.people(0, "timify").await.len() == 1).await;
    let id = world.people(0, "timify").await[0].id.clone();
    world.edit(0, "timify", "update contact", json!({ "id": id, "fields": { "city": "Kobe" } })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Uwe"), "city", "Kobe").await;
    // It may be somebody else's object, who had not seen what it takes the place of: that is kept.
    let kept = world.app.store.conflicts("main", None).await.unwrap();
    let kept: Vec<_> = kept.iter().map(|(_, one)| (one.lost.as_text(), one.won.as_text())).collect();
    assert_eq!(kept, [(Some("Osaka"), Some("Kobe"))]);
    world.stop().await;
}

async fn a_task_and_a_booking_whose_answer_is_lost_are_not_doubled(place: &mut Place) {
    let world = world(place).await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Sia") })).await;
    world.settle().await;
    cut_creates(&world, "timerex", true, "/tasks").await;
    cut_creates(&world, "timify", false, "/appointments").await;
    lose(&world, "timify", 1).await;
    let task = json!({ "title": "Call back", "body": "", "dueDate": "2031-05-05T09:00:00.000Z", "completed": false });
    world.edit(0, "ghl", "create task", json!({ "parent": id, "fields": task })).await;
    let booking = json!({
        "calendarId": world.account(0).ghl_calendar, "startTime": "2031-05-06T09:00:00.000Z",
        "endTime": "2031-05-06T09:30:00.000Z", "title": "Consultation"
    });
    world.edit(0, "ghl", "create appointment", json!({ "parent": id, "fields": booking })).await;
    world.settle().await;
    let state = world.state().await;
    let account = world.account(0);
    let count = |value: &Value| value.as_object().map(serde_json::Map::len).or(value.as_array().map(Vec::len)).unwrap();
    assert_eq!(count(&state["extension"]["timerex"][&account.timerex_team]["tasks"]), 1);
    assert_eq!(count(&state["timify"][&account.timify_company]["appointments"]), 1);
    world.stop().await;
}

async fn the_one_existing_object_is_linked_and_not_doubled(place: &mut Place) {
    let world = world(place).await;
    lose(&world, "timify", 1).await;
    let mut known = contact("timify", "Tom");
    known.as_object_mut().unwrap().remove("city");
    let id = world.edit(0, "timify", "create contact", json!({ "fields": known })).await;
    world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Tom") })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Tom"), "city", "Osaka").await;
    assert_eq!(world.everywhere(0, &email("Tom")).await[1].id, id);
    world.stop().await;
}

async fn one_person_entered_in_two_systems_at_once_is_one(place: &mut Place) {
    const PEOPLE: [&str; 6] = ["Vic", "Wes", "Xim", "Yve", "Zoe", "Abe"];
    let world = world(place).await;
    for name in PEOPLE {
        let (ghl, timify) = (json!({ "fields": contact("ghl", name) }), json!({ "fields": contact("timify", name) }));
        let made = [world.edit(0, "ghl", "create contact", ghl), world.edit(0, "timify", "create contact", timify)];
        let [one, two] = made;
        tokio::join!(one, two);
    }
    world.settle().await;
    for name in PEOPLE {
        world.assert_everywhere(0, &email(name), "city", "Osaka").await;
        assert_eq!(world.app.store.named(&email(name)).await.unwrap().len(), 1, "{name} is one entity");
    }
    assert_eq!(world.writes(0).await, ["timerex+ POST contact"; 6]);
    assert_eq!(world.app.load("main").await.unwrap().parked, 0);
    world.stop().await;
}

async fn two_candidates_are_parked_as_ambiguous(place: &mut Place) {
    let world = world(place).await;
    lose(&world, "timify", 2).await;
    for _ in 0..2 {
        world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Una") })).await;
    }
    world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Una") })).await;
    world.settle().await;
    assert_eq!(world.people(0, "timify").await.len(), 2);
    assert_eq!(world.writes(0).await, ["timerex+ POST contact"], "TIMIFY is left alone, the other goes on");
    let status = world.ops(Method::GET, "/status", Value::Null).await.body;
    let reviews = &status["workspaces"][0]["reviews"];
    assert!(reviews[0]["subject"].as_str().unwrap().ends_with("/timify"), "{reviews}");
    assert!(reviews[0]["text"].as_str().unwrap().contains("2 that it could be"), "{reviews}");
    world.stop().await;
}

/// Found by simulation: an edit of which no webhook told was shown by a look for somebody else, and overwritten all the same.
async fn what_a_look_for_somebody_else_shows_is_read(place: &mut Place) {
    let world = world(place).await;
    let id = world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Pia") })).await;
    world.settle().await;
    lose(&world, "ghl", 1).await;
    world.edit(0, "ghl", "update contact", json!({ "id": id, "fields": { "phone": "+491512345678" } })).await;
    let other = json!({ "firstName": "Nora", "phone": "+491512345678" });
    world.edit(0, "timerex+", "create contact", json!({ "fields": other })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Pia"), "phone", "+491512345678").await;
    world.stop().await;
}

/// Found by simulation: what one contact's create had made, not yet answered, was found by the look of another one of the same
/// e-mail, who took it for its own; and both were mixed up.
async fn what_an_unanswered_create_has_made_is_no_other_contacts(place: &mut Place) {
    let world = world(place).await;
    let slow = json!({
        "system": "timerex", "extension": true, "kind": "slow", "only": "writes", "count": 1, "path": "/contacts",
        "delay_ms": 4_000
    });
    world.fault(slow).await;
    world.edit(0, "timify", "create contact", json!({ "fields": { "firstName": "Ann", "email": email("Ann") } })).await;
    let sent = async || world.calls(0).await.iter().any(|call| call.label() == "timerex+ POST contact");
    world.until("the create was sent", sent).await;
    let bob = json!({ "firstName": "Bob", "email": email("Ann") });
    let bob = world.edit(0, "timify", "create contact", json!({ "fields": bob })).await;
    let read = async || world.calls(0).await.iter().filter(|call| call.label() == "timify+ GET tag").count() == 2;
    world.until("the other one was read", read).await;
    // It waits for a person to say whether they are one; an edit makes it due again.
    world.edit(0, "timify", "update contact", json!({ "id": bob, "fields": { "city": "Kobe" } })).await;
    world.settle().await;
    let names = |people: Vec<Person>| people.into_iter().map(|one| one.fields["firstName"].clone()).collect::<Vec<_>>();
    let mut held = names(world.people(0, "timify").await);
    held.sort();
    assert_eq!(held, ["Ann", "Bob"]);
    let there = world.people(0, "timerex").await;
    assert_eq!(there.iter().map(|one| one.fields["city"].as_str()).collect::<Vec<_>>(), [""]);
    assert_eq!(names(there), ["Ann"]);
    world.stop().await;
}

/// Found by simulation: a task came before its contact, and that one could not be read yet. What a webhook told of it made it a
/// person of its own, whoever else had that e-mail.
async fn who_a_contact_is_that_was_never_read_is_found_out_by_its_read(place: &mut Place) {
    let world = world(place).await;
    let at = json!({ "system": "timerex", "extension": true, "count": 1 });
    world.control(Method::POST, "lose", at).await;
    let fields = json!({ "firstName": "Ann", "email": email("Ann") });
    let id = world.edit(0, "timerex+", "create contact", json!({ "fields": fields })).await;
    let wait = json!({
        "system": "timerex", "extension": true, "kind": "rate_limited", "only": "reads", "count": 1, "path": "/contacts",
        "retry_after": 2
    });
    world.fault(wait).await;
    let task = json!({ "title": "Call back", "completed": false });
    world.edit(0, "timerex+", "create task", json!({ "parent": id, "fields": task })).await;
    let refused = async || world.calls(0).await.iter().any(|call| call.status == Some(429));
    world.until("its read was put off", refused).await;
    world.edit(0, "timerex+", "update contact", json!({ "id": id, "fields": { "firstName": "Anna" } })).await;
    world.settle().await;
    let calls = world.calls(0).await;
    let first = |label: &str| calls.iter().position(|call| call.label() == label && call.status == Some(200));
    let made = calls.iter().position(|call| call.label() == MAKE).unwrap();
    assert!(first("timerex+ GET contact").is_some_and(|read| read < made), "{calls:?}");
    world.assert_everywhere(0, &email("Ann"), "firstName", "Anna").await;
    world.stop().await;
}

/// Found by simulation: a task was deleted while nobody knew whether a create of it had been applied. That was forgotten, as
/// nothing was owed there any more; and what it had made came back as somebody's new task.
async fn a_task_deleted_while_its_create_is_unanswered_does_not_come_back(place: &mut Place) {
    let mut plan = Plan::of(1);
    plan.service.policy = plan.service.policy.replace("create_settle = \"1s\"", "create_settle = \"2s\"");
    let world = plan.start(place).await;
    let id = world.edit(0, "timerex+", "create contact", json!({ "fields": contact("timerex+", "Kai") })).await;
    world.settle().await;
    cut_creates(&world, "ghl", false, "/tasks").await;
    lose(&world, "ghl", 1).await;
    let task = json!({ "title": "Call back", "completed": false });
    let task = world.edit(0, "timerex+", "create task", json!({ "parent": id, "fields": task })).await;
    let sent = async || world.calls(0).await.iter().any(|call| call.label() == "ghl POST task");
    world.until("the create was sent", sent).await;
    world.edit(0, "timerex+", "delete task", json!({ "id": task })).await;
    world.settle().await;
    world.reconcile().await;
    world.settle().await;
    assert_eq!(world.state().await.to_string().matches("Call back").count(), 0, "{:?}", world.calls(0).await);
    world.stop().await;
}

const LOOK: &str = "ghl GET contact";
const MAKE: &str = "ghl POST contact";

/// The calls to GHL itself, in the order in which they came.
async fn to_ghl(world: &World) -> Vec<Call> {
    world.calls(0).await.into_iter().filter(|call| call.system() == "ghl").collect()
}

/// GHL may have made what it refuses with 422, so it is looked for; it is not there, and is not sent again.
async fn a_create_that_was_refused_is_looked_for_once_and_then_parked(place: &mut Place) {
    let world = world(place).await;
    let mut bad = contact("timerex+", "Wim");
    bad["email"] = "wim at example".into();
    world.edit(0, "timerex+", "create contact", json!({ "fields": bad })).await;
    world.settle().await;
    let to_ghl = to_ghl(&world).await;
    let labels: Vec<String> = to_ghl.iter().map(Call::label).collect();
    assert_eq!(labels, [LOOK, LOOK, MAKE, LOOK, LOOK], "by e-mail and by phone, each time");
    assert!(!to_ghl[2].write, "it was refused");
    let status = world.ops(Method::GET, "/status", Value::Null).await.body;
    let reviews = status["workspaces"][0]["reviews"].as_array().unwrap();
    let ours = reviews.iter().find(|review| review["subject"].as_str().unwrap().ends_with("/ghl")).unwrap();
    let text = ours["text"].as_str().unwrap();
    assert!(text.contains("ghl refuses it") && text.contains("email"), "{text}");
    world.stop().await;
}

/// The setting of the stand-in makes what it refuses with 422, as the vendor did. (On one database: it is about the vendor.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_was_refused_and_carried_out_all_the_same_is_adopted() {
    let (place, mut plan) = (Place::sqlite().await, Plan::of(1));
    plan.settings.ghl.refused_create_creates = true;
    let world = plan.start(&place).await;
    // Nothing but a look can tell that it is there.
    lose(&world, "ghl", 1).await;
    let mut odd = contact("timerex+", "Xia");
    odd["email"] = "xia at example".into();
    world.edit(0, "timerex+", "create contact", json!({ "fields": odd })).await;
    world.settle().await;
    let people = world.people(0, "ghl").await;
    assert_eq!(people.len(), 1, "{people:?}");
    let calls = to_ghl(&world).await;
    let creates: Vec<_> = calls.iter().filter(|call| call.label() == MAKE).collect();
    assert_eq!((creates.len(), creates[0].status), (1, Some(422)), "{calls:?}");
    let (system, id) = (System::Ghl, ExternalId::new(&people[0].id));
    let link = world.app.store.link("main", system, Kind::Contact, &id).await.unwrap().unwrap();
    let whole = world.app.store.named("xia at example").await.unwrap();
    assert_eq!(whole, [link.entity], "it is the contact that was sent, and no other");
    // TIMIFY refuses such an address too, and that is its matter.
    assert_eq!(place.number("SELECT COUNT(*) FROM mirrors WHERE system = 'ghl' AND state <> 'idle'").await, 0);
    world.stop().await;
}

/// No answer is ever clear: it is tried so many times, never sooner than a look can tell, and then it is a person's.
async fn a_create_that_is_never_answered_clearly_is_parked_after_its_tries(place: &mut Place) {
    const KEPT: &str = "SELECT COUNT(*) FROM mirrors WHERE system = 'ghl' AND state = 'parked' AND intent IS NOT NULL";
    const TRIES: &str = "SELECT COUNT(*) FROM attempts WHERE system = 'ghl' AND action = 'create'";
    const TOO_SOON: &str = "SELECT COUNT(*) FROM attempts one JOIN attempts two ON two.system = one.system
        AND two.action = one.action AND two.id > one.id AND two.at < one.at + 1000
        WHERE one.system = 'ghl' AND one.action = 'create'";
    let mut plan = Plan::of(1);
    plan.service.dispatch.push_str("tries = 2\nhorizon = \"0s\"");
    let world = plan.start(place).await;
    world.fault(json!({ "system": "ghl", "kind": "error_500", "only": "writes" })).await;
    world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Yan") })).await;
    world.settle().await;
    let calls = to_ghl(&world).await;
    let labels: Vec<String> = calls.iter().map(Call::label).collect();
    let looked = |two: &[usize]| labels[two[0] + 1..two[1]].iter().filter(|label| *label == LOOK).count();
    let made: Vec<usize> = (0..calls.len()).filter(|at| labels[*at] == MAKE).collect();
    assert_eq!(made.len(), 3, "two tries more, and no third: {labels:?}");
    assert!(made.windows(2).all(|two| looked(two) >= 2), "by e-mail and by phone before each: {labels:?}");
    assert_eq!(place.number(TRIES).await, 3);
    assert_eq!(place.number(TOO_SOON).await, 0, "`create_settle` is a second here");
    assert_eq!(place.number(KEPT).await, 1, "what may have been made stays known");

    world.heal().await;
    let reviews = world.app.store.reviews("main").await.unwrap();
    let subject = json!({ "subject": reviews[0].subject });
    assert!(reviews[0].text.contains("no clear answer"), "{reviews:?}");
    let approved = world.ops(Method::POST, "/workspaces/main/approve", subject).await;
    assert_eq!(approved.body["released"], 1, "{approved:?}");
    world.settle().await;
    world.assert_everywhere(0, &email("Yan"), "city", "Osaka").await;
    world.stop().await;
}

on_both!(
    Place: a_create_whose_answer_is_lost_makes_no_second_object,
    a_create_whose_repetition_is_asked_to_wait_is_repeated_to_the_letter,
    what_was_edited_in_an_object_before_its_create_is_known_of_wins,
    a_task_and_a_booking_whose_answer_is_lost_are_not_doubled,
    the_one_existing_object_is_linked_and_not_doubled,
    one_person_entered_in_two_systems_at_once_is_one,
    two_candidates_are_parked_as_ambiguous,
    what_a_look_for_somebody_else_shows_is_read,
    what_an_unanswered_create_has_made_is_no_other_contacts,
    who_a_contact_is_that_was_never_read_is_found_out_by_its_read,
    a_task_deleted_while_its_create_is_unanswered_does_not_come_back,
    a_create_that_was_refused_is_looked_for_once_and_then_parked,
    a_create_that_is_never_answered_clearly_is_parked_after_its_tries,
);
