//! Deletions (R10, invariant 7): nothing is deleted that somebody still edits, nothing that was deleted comes back by itself, and
//! a person answers what the policy leaves open.

use http::{Method, StatusCode};
use lockstep::store::Review;
use serde_json::json;

use super::mission::{held, slot};
use super::{contact, email, from_ghl, told};
use crate::support::databases::{Place, on_both};
use crate::support::world::{Plan, Reply, World};

/// A world in which contacts are deleted by this policy.
async fn by(place: &Place, policy: &str) -> World {
    by_more(place, policy, "").await
}

async fn by_more(place: &Place, policy: &str, dispatch: &str) -> World {
    let mut plan = Plan::of(1);
    plan.service.policy.extend(["\n[workspaces.on_delete]\ncontact = \"", policy, "\"\n"]);
    plan.service.dispatch += dispatch;
    plan.start(place).await
}

/// The ids of a new contact in GHL, TIMIFY and TimeRex's extension.
async fn known_everywhere(world: &World, name: &str) -> [String; 3] {
    world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", name) })).await;
    world.settle().await;
    world.everywhere(0, &email(name)).await.map(|person| person.id)
}

/// How many contacts each system holds.
async fn counts(world: &World) -> [usize; 3] {
    let mut counts = [0; 3];
    for (at, system) in ["ghl", "timify", "timerex+"].into_iter().enumerate() {
        counts[at] = world.people(0, system).await.len();
    }
    counts
}

async fn delete(world: &World, system: &str, id: &str) {
    world.edit(0, system, "delete contact", json!({ "id": id })).await;
}

async fn city(world: &World, system: &str, id: &str, city: &str) {
    let fields = if system == "timerex+" { json!({ "address": { "city": city } }) } else { json!({ "city": city }) };
    world.edit(0, system, "update contact", json!({ "id": id, "fields": fields })).await;
}

async fn task(world: &World, system: &str, parent: &str, title: &str) -> String {
    let fields = json!({ "title": title, "body": "", "dueDate": slot(5).0, "completed": false });
    world.edit(0, system, "create task", json!({ "parent": parent, "fields": fields })).await
}

async fn reviews(world: &World) -> Vec<Review> {
    world.app.store.reviews("main").await.unwrap()
}

async fn subjects(world: &World) -> Vec<String> {
    reviews(world).await.into_iter().map(|review| review.subject).collect()
}

/// The one entity with this e-mail.
async fn entity(world: &World, name: &str) -> String {
    let named = world.app.store.named(&email(name)).await.unwrap();
    assert_eq!(named.len(), 1);
    named[0].to_string()
}

async fn answer(world: &World, entity: &str, system: &str, answer: &str) -> Reply {
    let order = json!({ "entity": entity, "system": system, "answer": answer });
    let reply = world.ops(Method::POST, "/workspaces/main/deletions", order).await;
    world.settle().await;
    reply
}

async fn conflicts(world: &World) -> Vec<(String, String)> {
    let rows = world.app.store.conflicts("main", None).await.unwrap();
    rows.into_iter().map(|(_, row)| (row.rule, row.lost.as_text().unwrap_or_default().to_owned())).collect()
}

async fn a_mirrored_deletion_reads_everywhere_before_the_first_delete_leaves(place: &mut Place) {
    let world = by(place, "mirror").await;
    let [ghl, ..] = known_everywhere(&world, "Ada").await;
    let mark = world.mark().await;
    delete(&world, "ghl", &ghl).await;
    world.settle().await;
    assert_eq!(counts(&world).await, [0, 0, 0]);
    assert_eq!(world.writes(mark).await, ["timerex+ DELETE contact", "timify DELETE contact"]);
    let calls = world.calls(mark).await;
    let first = calls.iter().position(|call| call.write).unwrap();
    for system in ["timify GET contact", "timerex+ GET contact"] {
        assert!(calls[..first].iter().any(|call| call.label() == system), "{system} before: {calls:?}");
    }
    world.reconcile().await;
    world.settle().await;
    assert_eq!(counts(&world).await, [0, 0, 0]);
    assert_eq!(subjects(&world).await, [""; 0]);
    world.stop().await;
}

/// Deleted in TIMIFY while TimeRex holds an edit that nobody has heard of.
async fn contested(place: &Place, name: &str) -> (World, [String; 3]) {
    let world = by(place, "mirror").await;
    let ids = known_everywhere(&world, name).await;
    world.control(Method::POST, "lose", json!({ "system": "timerex", "extension": true, "count": 1 })).await;
    city(&world, "timerex+", &ids[2], "Kobe").await;
    delete(&world, "timify", &ids[1]).await;
    world.settle().await;
    assert_eq!(counts(&world).await, [1, 0, 1], "nothing is half deleted");
    assert_eq!(subjects(&world).await, [format!("edited_after_delete/{}", entity(&world, name).await)]);
    (world, ids)
}

async fn an_unseen_edit_elsewhere_stops_a_deletion_before_anything_is_deleted(place: &mut Place) {
    let (world, ids) = contested(place, "Bea").await;
    let subject = json!({ "subject": subjects(&world).await[0] });
    let refused = world.ops(Method::POST, "/workspaces/main/approve", subject).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "it is a question: {refused:?}");
    let fields = json!({ "lastName": "Mori" });
    world.edit(0, "ghl", "update contact", json!({ "id": ids[0], "fields": fields })).await;
    world.settle().await;
    assert_eq!(counts(&world).await, [1, 0, 1], "a further edit deletes nothing either");
    let told = answer(&world, &email("Bea"), "timify", "remake").await;
    assert_eq!(told.status, StatusCode::ACCEPTED, "{told:?}");
    world.assert_everywhere(0, &email("Bea"), "city", "Kobe").await;
    world.assert_everywhere(0, &email("Bea"), "lastName", "Mori").await;
    assert_eq!(subjects(&world).await, [""; 0]);
    let told = world.command(&["explain", &email("Bea")]);
    assert!(told.contains("an operator: deleted in"), "{told}");
    world.stop().await;
}

async fn an_operator_may_let_it_be_deleted_all_the_same_or_keep_it_where_it_is(place: &mut Place) {
    let (world, ids) = contested(place, "Cleo").await;
    answer(&world, &email("Cleo"), "timify", "keep").await;
    assert_eq!(counts(&world).await, [1, 0, 1]);
    assert_eq!(world.people(0, "ghl").await[0].fields["city"], "Kobe", "and it is kept equal");
    assert_eq!(subjects(&world).await, [""; 0]);
    city(&world, "ghl", &ids[0], "Nara").await;
    world.settle().await;
    assert_eq!(world.people(0, "timerex+").await[0].fields["city"], "Nara");
    answer(&world, &email("Cleo"), "timify", "delete").await;
    assert_eq!(counts(&world).await, [0, 0, 0]);
    assert_eq!(subjects(&world).await, [""; 0]);
    world.stop().await;
}

async fn what_is_unlinked_stays_equal_elsewhere_and_is_not_made_again(place: &mut Place) {
    let world = by(place, "unlink").await;
    let [ghl, timify, timerex] = known_everywhere(&world, "Dan").await;
    delete(&world, "ghl", &ghl).await;
    world.settle().await;
    city(&world, "timify", &timify, "Kobe").await;
    world.settle().await;
    world.reconcile().await;
    world.settle().await;
    assert_eq!(counts(&world).await, [0, 1, 1]);
    assert_eq!(world.people(0, "timerex+").await[0].fields["city"], "Kobe");
    let told = world.command(&["explain", &email("Dan")]);
    assert!(told.contains("deleted stays deleted"), "{told}");
    // A task made elsewhere waits for no contact that never comes.
    task(&world, "timerex+", &timerex, "Call back").await;
    world.settle().await;
    assert!(held(&world, "ghl", "tasks").await.is_empty());
    let task = held(&world, "timerex+", "tasks").await[0]["id"].as_str().unwrap().to_owned();
    let told = world.command(&["explain", &task]);
    assert!(told.contains("its contact was deleted there"), "{told}");

    answer(&world, &email("Dan"), "ghl", "remake").await;
    world.assert_everywhere(0, &email("Dan"), "city", "Kobe").await;
    assert_eq!(held(&world, "ghl", "tasks").await.len(), 1);
    world.stop().await;
}

async fn what_is_in_no_system_any_more_is_deleted_by_any_policy(place: &mut Place) {
    let world = by(place, "unlink").await;
    let [ghl, timify, timerex] = known_everywhere(&world, "Eli").await;
    for (system, id) in [("ghl", &ghl), ("timify", &timify), ("timerex+", &timerex)] {
        delete(&world, system, id).await;
        world.settle().await;
    }
    assert_eq!(counts(&world).await, [0, 0, 0]);
    assert!(world.command(&["explain", &email("Eli")]).contains("deleted by timerex"));
    // Entered anew by a person, it is another contact.
    let first = entity(&world, "Eli").await;
    world.edit(0, "timify", "create contact", json!({ "fields": contact("timify", "Eli") })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Eli"), "city", "Osaka").await;
    let named = world.app.store.named(&email("Eli")).await.unwrap();
    assert!(named.iter().any(|id| id.to_string() != first), "{named:?}");
    world.stop().await;
}

async fn a_held_deletion_is_answered_each_way(place: &mut Place) {
    let world = by(place, "hold").await;
    for (name, word, after) in [("Fay", "delete", [0, 0, 0]), ("Gus", "keep", [1, 0, 1]), ("Hal", "remake", [2, 1, 2])]
    {
        let [_, timify, _] = known_everywhere(&world, name).await;
        delete(&world, "timify", &timify).await;
        world.settle().await;
        let id = entity(&world, name).await;
        assert_eq!(subjects(&world).await, [format!("deleted/{id}/timify")]);
        if word == "delete" {
            let told = world.command(&["deletion", "main", &id, "--in", "timify", word]);
            assert!(told.contains(&id), "{told}");
            world.settle().await;
        } else {
            answer(&world, &id, "timify", word).await;
        }
        assert_eq!(counts(&world).await, after, "{name}: {word}");
        assert_eq!(subjects(&world).await, [""; 0]);
    }
    let refused = answer(&world, &entity(&world, "Hal").await, "ghl", "delete").await;
    refused.assert_problem(409, "conflict");
    world.stop().await;
}

async fn a_mirrored_deletion_can_be_undone(place: &mut Place) {
    let world = by(place, "mirror").await;
    let [ghl, ..] = known_everywhere(&world, "Ida").await;
    delete(&world, "ghl", &ghl).await;
    world.settle().await;
    assert_eq!(counts(&world).await, [0, 0, 0]);
    answer(&world, &email("Ida"), "ghl", "remake").await;
    world.assert_everywhere(0, &email("Ida"), "city", "Osaka").await;
    world.reconcile().await;
    world.settle().await;
    assert_eq!(counts(&world).await, [1, 1, 1]);
    world.stop().await;
}

async fn a_value_that_we_deleted_unseen_is_kept_as_a_conflict(place: &mut Place) {
    let world = by(place, "mirror").await;
    let [ghl, timify, _] = known_everywhere(&world, "Jo").await;
    delete(&world, "timify", &timify).await;
    world.settle().await;
    assert_eq!(counts(&world).await, [0, 0, 0]);
    let mut fields = contact("ghl", "Jo");
    fields["city"] = json!("Unheard of");
    from_ghl(&world, &told(&world, 0, "late", &ghl, &fields)).await;
    world.settle().await;
    assert_eq!(conflicts(&world).await, [("deleted_unseen".to_owned(), "Unheard of".to_owned())]);
    assert_eq!(counts(&world).await, [0, 0, 0]);
    world.stop().await;
}

async fn old_webhook(place: &Place, policy: &str) {
    let world = by(place, policy).await;
    let [ghl, ..] = known_everywhere(&world, "Kim").await;
    delete(&world, "ghl", &ghl).await;
    world.settle().await;
    let before = counts(&world).await;
    let mark = world.mark().await;
    let mut fields = contact("ghl", "Kim");
    fields["city"] = json!("Long ago");
    from_ghl(&world, &told(&world, 0, policy, &ghl, &fields)).await;
    world.settle().await;
    assert_eq!((counts(&world).await, world.writes(mark).await), (before, vec![]));
    assert_eq!((conflicts(&world).await, subjects(&world).await), (vec![], vec![]));
    world.stop().await;
}

async fn a_webhook_older_than_the_deletion_brings_nothing_back(place: &mut Place) {
    old_webhook(place, "mirror").await;
}

async fn a_webhook_older_than_the_deletion_brings_nothing_back_where_it_is_unlinked(place: &mut Place) {
    old_webhook(place, "unlink").await;
}

async fn a_deletion_that_the_read_does_not_confirm_deletes_nothing(place: &mut Place) {
    let world = by(place, "mirror").await;
    let [ghl, ..] = known_everywhere(&world, "Lea").await;
    let body = told(&world, 0, "untrue", &ghl, &contact("ghl", "Lea")).replace("ContactUpdate", "ContactDelete");
    let mark = world.mark().await;
    from_ghl(&world, &body).await;
    world.settle().await;
    assert_eq!((counts(&world).await, world.writes(mark).await), ([1, 1, 1], vec![]));
    let told = world.command(&["explain", &ghl]);
    assert!(told.contains("superseded") && told.contains("the object is still"), "{told}");
    world.stop().await;
}

async fn deleted_in_two_systems_at_once_it_is_deleted_in_the_third(place: &mut Place) {
    let world = by(place, "mirror").await;
    let [ghl, timify, _] = known_everywhere(&world, "Mia").await;
    delete(&world, "ghl", &ghl).await;
    delete(&world, "timify", &timify).await;
    world.settle().await;
    assert_eq!((counts(&world).await, subjects(&world).await), ([0, 0, 0], vec![]));
    world.stop().await;
}

async fn a_contact_that_ghl_restores_is_kept_equal_again(place: &mut Place) {
    let world = by(place, "unlink").await;
    let [ghl, timify, _] = known_everywhere(&world, "Ned").await;
    delete(&world, "ghl", &ghl).await;
    world.settle().await;
    city(&world, "timify", &timify, "Kobe").await;
    world.settle().await;
    world.edit(0, "ghl", "restore contact", json!({ "id": ghl })).await;
    world.settle().await;
    world.reconcile().await;
    world.settle().await;
    world.assert_everywhere(0, &email("Ned"), "city", "Kobe").await;
    assert_eq!(subjects(&world).await, [""; 0]);
    world.stop().await;
}

async fn a_contact_that_ghl_restores_after_we_deleted_it_elsewhere_waits_for_a_person(place: &mut Place) {
    let world = by(place, "mirror").await;
    let [ghl, timify, _] = known_everywhere(&world, "Oda").await;
    for (deleted, id) in [("ghl", &ghl), ("timify", &timify)] {
        delete(&world, deleted, id).await;
        world.settle().await;
        assert_eq!(counts(&world).await, [0, 0, 0]);
        world.edit(0, "ghl", "restore contact", json!({ "id": ghl })).await;
        world.settle().await;
        world.reconcile().await;
        world.settle().await;
        assert_eq!(counts(&world).await, [1, 0, 0], "nothing comes back by itself");
        assert_eq!(subjects(&world).await, [format!("edited_after_delete/{}", entity(&world, "Oda").await)]);
        answer(&world, &email("Oda"), deleted, "remake").await;
        world.assert_everywhere(0, &email("Oda"), "city", "Osaka").await;
        assert_eq!(subjects(&world).await, [""; 0]);
        if deleted == "ghl" {
            let [_, again, _] = world.everywhere(0, &email("Oda")).await;
            delete(&world, "timify", &again.id).await;
            world.settle().await;
            break;
        }
    }
    world.stop().await;
}

async fn a_person_entered_anew_is_a_new_contact_and_not_the_dead_one(place: &mut Place) {
    let world = by(place, "mirror").await;
    let [ghl, ..] = known_everywhere(&world, "Pia").await;
    let dead = entity(&world, "Pia").await;
    delete(&world, "ghl", &ghl).await;
    world.settle().await;
    world.edit(0, "ghl", "create contact", json!({ "fields": contact("ghl", "Pia") })).await;
    world.settle().await;
    world.assert_everywhere(0, &email("Pia"), "city", "Osaka").await;
    let named = world.app.store.named(&email("Pia")).await.unwrap();
    assert_eq!(named.iter().filter(|id| id.to_string() != dead).count(), 1, "{named:?}");
    assert!(world.command(&["explain", &dead]).contains("deleted by ghl"));
    world.stop().await;
}

async fn a_task_made_while_its_contact_is_being_deleted_stops_the_deletion(place: &mut Place) {
    let world = by(place, "mirror").await;
    let [ghl, _, timerex] = known_everywhere(&world, "Quin").await;
    world.control(Method::POST, "hold", json!({ "system": "timify" })).await;
    task(&world, "timerex+", &timerex, "Call back").await;
    delete(&world, "ghl", &ghl).await;
    world.control(Method::POST, "release", json!({ "system": "timify", "order": "reversed" })).await;
    world.settle().await;
    let [_, timify, there] = counts(&world).await;
    let tasks = held(&world, "timerex+", "tasks").await.len();
    assert_eq!((timify, there, tasks), (1, 1, 1), "{:?}", subjects(&world).await);
    answer(&world, &email("Quin"), "ghl", "remake").await;
    assert_eq!((counts(&world).await, held(&world, "ghl", "tasks").await.len()), ([1, 1, 1], 1));
    world.stop().await;
}

/// How many tasks are left at TimeRex's extension after their contact was deleted in GHL.
async fn tasks_left(place: &Place, policy: &str) -> usize {
    let world = by(place, policy).await;
    let [ghl, ..] = known_everywhere(&world, "Rob").await;
    task(&world, "ghl", &ghl, "Call back").await;
    world.settle().await;
    assert_eq!(held(&world, "timerex+", "tasks").await.len(), 1);
    delete(&world, "ghl", &ghl).await;
    world.settle().await;
    world.reconcile().await;
    world.settle().await;
    let left = held(&world, "timerex+", "tasks").await.len();
    assert_eq!((counts(&world).await[0], reviews(&world).await), (0, vec![]));
    world.stop().await;
    left
}

async fn tasks_come_back_with_a_contact_that_is_made_again(place: &mut Place) {
    let world = by(place, "unlink").await;
    let [ghl, ..] = known_everywhere(&world, "Rex").await;
    task(&world, "ghl", &ghl, "Call back").await;
    world.settle().await;
    delete(&world, "ghl", &ghl).await;
    world.settle().await;
    assert!(held(&world, "ghl", "tasks").await.is_empty());
    answer(&world, &email("Rex"), "ghl", "remake").await;
    world.assert_everywhere(0, &email("Rex"), "city", "Osaka").await;
    assert_eq!((held(&world, "ghl", "tasks").await.len(), subjects(&world).await), (1, vec![]));
    world.stop().await;
}

/// What belongs to a contact under `hold` stays equal too, and an edit made meanwhile is not lost by any answer.
async fn what_is_held_is_kept_equal_and_an_edit_after_the_answer_stops_it_again(place: &mut Place) {
    let world = by(place, "hold").await;
    let [_, timify, timerex] = known_everywhere(&world, "Rita").await;
    delete(&world, "timify", &timify).await;
    world.settle().await;
    city(&world, "timerex+", &timerex, "Kobe").await;
    world.settle().await;
    assert_eq!(world.people(0, "ghl").await[0].fields["city"], "Kobe");
    world.control(Method::POST, "lose", json!({ "system": "timerex", "extension": true, "count": 1 })).await;
    city(&world, "timerex+", &timerex, "Nara").await;
    answer(&world, &email("Rita"), "timify", "delete").await;
    assert_eq!(counts(&world).await, [1, 0, 1], "the operator had not seen the last edit either");
    assert_eq!(subjects(&world).await.len(), 1);
    answer(&world, &email("Rita"), "timify", "delete").await;
    assert_eq!((counts(&world).await, subjects(&world).await), ([0, 0, 0], vec![]));
    world.stop().await;
}

async fn tasks_go_with_a_contact_that_is_deleted_everywhere(place: &mut Place) {
    assert_eq!(tasks_left(place, "mirror").await, 0);
}

async fn tasks_stay_where_their_contact_stays(place: &mut Place) {
    assert_eq!(tasks_left(place, "unlink").await, 1);
}

/// Nobody told of the deletion: a full reconcile finds contact and task gone, in any order.
async fn a_task_found_gone_before_its_contact_stays_where_the_contact_stays(place: &mut Place) {
    let world = by(place, "unlink").await;
    let [ghl, ..] = known_everywhere(&world, "Sue").await;
    let made = task(&world, "ghl", &ghl, "Call back").await;
    world.settle().await;
    world.control(Method::POST, "lose", json!({ "system": "ghl", "count": 1 })).await;
    delete(&world, "ghl", &ghl).await;
    let gone = json!({ "id": made, "contactId": ghl, "title": "Else", "dateAdded": slot(1).0 });
    let body = told(&world, 0, "hint", &made, &gone).replace("ContactUpdate", "TaskCreate");
    from_ghl(&world, &body).await;
    world.settle().await;
    assert_eq!(held(&world, "timerex+", "tasks").await.len(), 1, "{:?}", subjects(&world).await);
    world.reconcile().await;
    world.settle().await;
    assert_eq!((held(&world, "timerex+", "tasks").await.len(), counts(&world).await), (1, [0, 1, 1]));
    world.stop().await;
}

async fn the_brake_holds_mirrored_deletions_and_approving_lets_exactly_those_pass(place: &mut Place) {
    const PEOPLE: [&str; 4] = ["Tom", "Una", "Vic", "Wim"];
    let world = by_more(place, "mirror", "deletes_per_hour = 1").await;
    let mut ids = Vec::new();
    for name in PEOPLE {
        let [ghl, ..] = known_everywhere(&world, name).await;
        task(&world, "ghl", &ghl, name).await;
        ids.push(ghl);
    }
    world.settle().await;
    for id in &ids[..3] {
        delete(&world, "ghl", id).await;
    }
    world.settle().await;
    assert_eq!(counts(&world).await, [1, 3, 3], "one passes, two are held");
    let tasks = held(&world, "timerex+", "tasks").await.len();
    assert!(tasks >= 3, "what belongs to a contact that is held is not deleted: {tasks}");
    let subject = json!({ "subject": "brake/timify/delete" });
    let approved = world.ops(Method::POST, "/workspaces/main/approve", subject).await;
    assert_eq!(approved.status, StatusCode::OK, "{approved:?}");
    world.settle().await;
    assert_eq!(counts(&world).await, [1, 1, 3]);
    delete(&world, "ghl", &ids[3]).await;
    world.settle().await;
    assert_eq!(counts(&world).await, [0, 1, 3], "the next one is held again");
    world.stop().await;
}

on_both!(
    Place: a_mirrored_deletion_reads_everywhere_before_the_first_delete_leaves,
    an_unseen_edit_elsewhere_stops_a_deletion_before_anything_is_deleted,
    an_operator_may_let_it_be_deleted_all_the_same_or_keep_it_where_it_is,
    what_is_unlinked_stays_equal_elsewhere_and_is_not_made_again,
    what_is_in_no_system_any_more_is_deleted_by_any_policy,
    a_held_deletion_is_answered_each_way,
    a_mirrored_deletion_can_be_undone,
    a_value_that_we_deleted_unseen_is_kept_as_a_conflict,
    a_webhook_older_than_the_deletion_brings_nothing_back,
    a_webhook_older_than_the_deletion_brings_nothing_back_where_it_is_unlinked,
    a_deletion_that_the_read_does_not_confirm_deletes_nothing,
    deleted_in_two_systems_at_once_it_is_deleted_in_the_third,
    a_contact_that_ghl_restores_is_kept_equal_again,
    a_contact_that_ghl_restores_after_we_deleted_it_elsewhere_waits_for_a_person,
    a_person_entered_anew_is_a_new_contact_and_not_the_dead_one,
    a_task_made_while_its_contact_is_being_deleted_stops_the_deletion,
    tasks_go_with_a_contact_that_is_deleted_everywhere,
    tasks_stay_where_their_contact_stays,
    tasks_come_back_with_a_contact_that_is_made_again,
    what_is_held_is_kept_equal_and_an_edit_after_the_answer_stops_it_again,
    a_task_found_gone_before_its_contact_stays_where_the_contact_stays,
    the_brake_holds_mirrored_deletions_and_approving_lets_exactly_those_pass,
    a_customer_whose_tags_outlived_it_is_found_gone,
    what_belongs_to_a_contact_follows_it_to_where_a_person_made_it_again,
    what_is_listed_still_of_contacts_that_are_gone_is_no_news,
    bookings_that_went_with_a_contact_are_known_to_be_gone,
);

/// Found by simulation: the extension that keeps a customer's tags lists them after the customer is gone.
async fn a_customer_whose_tags_outlived_it_is_found_gone(place: &Place) {
    let world = by(place, "mirror").await;
    let [_, timify, _] = known_everywhere(&world, "Mika").await;
    world.edit(0, "timify+", "update contact", json!({ "id": timify, "fields": { "addTags": ["vip"] } })).await;
    world.settle().await;
    world.control(Method::POST, "lose", json!({ "system": "timify", "count": 1 })).await;
    delete(&world, "timify", &timify).await;
    world.settle().await;
    assert_eq!(counts(&world).await, [1, 0, 1], "nobody was told");
    world.reconcile().await;
    world.settle().await;
    assert_eq!(counts(&world).await, [0, 0, 0]);
    world.stop().await;
}

/// Found by simulation: a note that was made meanwhile rested for want of its contact, and nothing woke it.
async fn what_belongs_to_a_contact_follows_it_to_where_a_person_made_it_again(place: &Place) {
    let world = by(place, "unlink").await;
    let [ghl, _, timerex] = known_everywhere(&world, "Noa").await;
    delete(&world, "timerex+", &timerex).await;
    world.settle().await;
    world.edit(0, "ghl", "create note", json!({ "parent": ghl, "fields": { "body": "Prefers mornings" } })).await;
    world.settle().await;
    let notes = async || {
        let state = world.state().await;
        state["extension"]["timerex"][&world.account(0).timerex_team]["notes"].as_array().unwrap().len()
    };
    assert_eq!(notes().await, 0, "its contact is not there");
    world.edit(0, "timerex+", "create contact", json!({ "fields": contact("timerex+", "Noa") })).await;
    world.settle().await;
    assert_eq!((counts(&world).await, notes().await), ([1, 1, 1], 1));
    world.stop().await;
}

/// What a full reconcile finds different.
async fn drift(world: &World) -> serde_json::Value {
    let run = world.reconcile().await;
    world.settle().await;
    run["reports"][0]["drift"].clone()
}

/// Found by simulation: an extension keeps a customer's tasks, and lists what it deleted as deleted; each run read them anew.
async fn what_is_listed_still_of_contacts_that_are_gone_is_no_news(place: &Place) {
    let world = by(place, "unlink").await;
    let [_, timify, _] = known_everywhere(&world, "Kim").await;
    task(&world, "timify+", &timify, "Call Kim").await;
    world.settle().await;
    delete(&world, "timify", &timify).await;
    world.control(Method::POST, "lose", json!({ "system": "timerex", "extension": true, "count": 1 })).await;
    let never_seen = world.edit(0, "timerex+", "create contact", json!({ "fields": contact("timerex+", "Lou") })).await;
    delete(&world, "timerex+", &never_seen).await;
    world.settle().await;
    assert_eq!(held(&world, "timify+", "tasks").await.len(), 1, "nobody told the extension");
    assert_eq!((drift(&world).await, counts(&world).await), (json!([]), [1, 0, 1]));
    world.stop().await;
}

/// Found by simulation: a deletion that we mirrored took the bookings along there, of which a later run had to find out.
async fn bookings_that_went_with_a_contact_are_known_to_be_gone(place: &Place) {
    let world = by(place, "mirror").await;
    let [ghl, timify, _] = known_everywhere(&world, "Uma").await;
    let account = world.account(0);
    let (start, end) = slot(6);
    let booking = json!({
        "calendarId": account.ghl_calendar, "title": "Talk", "startTime": start, "endTime": end,
    });
    world.edit(0, "ghl", "create appointment", json!({ "parent": ghl, "fields": booking })).await;
    world.settle().await;
    delete(&world, "timify", &timify).await;
    world.settle().await;
    assert_eq!(counts(&world).await, [0, 0, 0]);
    assert_eq!(drift(&world).await, json!([]));
    world.stop().await;
}
