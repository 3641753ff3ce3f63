//! Entities and links, read back.

use lockstep::clock::Millis;
use lockstep::model::{
    Author, Entity, EntityId, Field, Fields, Intent, Kind, Known, Life, Link, LinkState, MirrorState, Sent, System,
    Value,
};
use lockstep::store::{Keys, Settled, StoreError, Whole};
use uuid::Uuid;

use super::{ACME, NOW, child, contact, ext, id, link, mirror, stamp};
use crate::support::databases::{Database, in_memory, on_both};

on_both!(
    an_entity_comes_back_as_it_was_with_all_that_hangs_on_it,
    each_way_of_life_comes_back,
    a_link_is_found_by_its_external_id_in_any_state,
    two_live_links_of_one_entity_in_one_system_are_refused,
    a_link_that_takes_the_place_of_another_is_stored_with_it,
    people_are_found_by_either_key,
    children_are_the_live_ones_of_a_parent,
    entities_come_in_the_order_of_their_ids,
    live_links_are_those_of_one_system_and_kind,
    links_within_are_those_of_one_object_in_any_state,
    open_intents_are_those_of_one_system_and_kind,
    a_bad_row_is_an_error_that_names_it,
);

in_memory!(
    an_entity_comes_back_as_it_was_with_all_that_hangs_on_it,
    each_way_of_life_comes_back,
    a_link_is_found_by_its_external_id_in_any_state,
    two_live_links_of_one_entity_in_one_system_are_refused,
    a_link_that_takes_the_place_of_another_is_stored_with_it,
    people_are_found_by_either_key,
    children_are_the_live_ones_of_a_parent,
    entities_come_in_the_order_of_their_ids,
    live_links_are_those_of_one_system_and_kind,
    links_within_are_those_of_one_object_in_any_state,
    open_intents_are_those_of_one_system_and_kind,
);

fn sent() -> Sent {
    let fields: Fields = [(Field::PHONE, Value::text("+4930"))].into();
    let stamps = [(Field::PHONE, stamp(4, Author::Ghl))].into();
    Sent { fields, stamps, at: Millis(77), deletes: false, unclear: true }
}

async fn an_entity_comes_back_as_it_was_with_all_that_hangs_on_it(db: &Database) {
    let mut entity = contact(1);
    entity.set(Field::tag("VIP"), Value::Flag(true), stamp(6, Author::Timify));
    entity.set(Field::custom("colour"), Value::Blank, stamp(7, Author::Operator));
    entity.set(Field::START, Value::Instant(Millis(-5)), stamp(8, Author::Rule));
    let mut live = link(1, System::Ghl, "g1");
    let (held, hold) = (vec![Value::Blank], Some(stamp(2, Author::Timify)));
    let written = Some(Millis(4));
    let (value, ours) = (Value::text("x"), true);
    let known = Known { value, stamp: stamp(3, Author::Ghl), held, wrote: true, ours, written, hold };
    live.snapshot.insert(Field::FIRST_NAME, known);
    (live.version, live.seen, live.sent, live.ledger) = (Some(Millis(9)), Millis(10), Some(sent()), vec![sent()]);
    let gone = Link { state: LinkState::Gone, ..link(1, System::Ghl, "g0") };
    let mut due = mirror(1, System::Timify);
    (due.state, due.due, due.tries, due.doubt, due.answered) = (MirrorState::Due, Millis(11), 3, 2, 1);
    due.intent =
        Some(Intent { id: Uuid::from_u128(5), since: NOW, sent: Some(sent()), refused: Some("a key".to_owned()) });
    (due.reason, due.since) = (Some("why".to_owned()), Some(Millis(12)));
    db.put(|s| {
        s.entities.push(entity.clone());
        s.links.extend([live.clone(), gone.clone()]);
        s.mirrors.push(due.clone());
    })
    .await;
    (entity.rev, live.rev, due.rev) = (1, 1, 1);
    let expected = Whole { entity, links: vec![Link { rev: 1, ..gone }, live], mirrors: vec![due] };
    assert_eq!(db.whole(1).await, expected);
    assert_eq!(expected.link(System::Ghl).map(|link| &link.id), Some(&ext("g1")));
    assert_eq!(db.store.whole(id(2)).await.unwrap(), None);

    let mut again = expected.clone();
    again.entity.set(Field::EMAIL, Value::Blank, stamp(9, Author::Ghl));
    again.links[1].sent = None;
    again.mirrors[0].state = MirrorState::Idle;
    db.put(|s| {
        s.entities.push(again.entity.clone());
        s.links.push(again.links[1].clone());
        s.mirrors.push(again.mirrors[0].clone());
    })
    .await;
    (again.entity.rev, again.links[1].rev, again.mirrors[0].rev) = (2, 2, 2);
    assert_eq!(db.whole(1).await, again);
}

async fn each_way_of_life_comes_back(db: &Database) {
    let lives = [Life::Live, Life::Deleted(stamp(4, Author::Timerex)), Life::Merged(id(1))];
    for (n, life) in (1..).zip(lives.clone()) {
        db.put(|s| s.entities.push(Entity { life, ..contact(n) })).await;
    }
    for (n, life) in (1..).zip(lives) {
        assert_eq!(db.whole(n).await.entity.life, life);
    }
}

async fn a_link_is_found_by_its_external_id_in_any_state(db: &Database) {
    let retired = Link { state: LinkState::Retired, ..link(1, System::Timify, "x") };
    db.put(|s| {
        s.entities.push(contact(1));
        s.links.extend([link(1, System::Ghl, "x"), retired.clone()]);
    })
    .await;
    let found = async |workspace: &'static str, system, kind, id: &'static str| {
        db.store.link(workspace, system, kind, &ext(id)).await.unwrap().map(|link| link.state)
    };
    assert_eq!(found(ACME, System::Ghl, Kind::Contact, "x").await, Some(LinkState::Live));
    assert_eq!(found(ACME, System::Timify, Kind::Contact, "x").await, Some(LinkState::Retired));
    assert_eq!(found(ACME, System::Timerex, Kind::Contact, "x").await, None);
    assert_eq!(found(ACME, System::Ghl, Kind::Task, "x").await, None);
    assert_eq!(found("other", System::Ghl, Kind::Contact, "x").await, None);
}

async fn two_live_links_of_one_entity_in_one_system_are_refused(db: &Database) {
    let retired = Link { state: LinkState::Retired, ..link(1, System::Ghl, "old") };
    db.put(|s| {
        s.entities.push(contact(1));
        s.links.extend([link(1, System::Ghl, "a"), retired]);
    })
    .await;
    assert_eq!(db.settle(|s| s.links.push(link(1, System::Ghl, "b"))).await, Settled::Moved);
    let revived = Link { state: LinkState::Live, rev: 1, ..link(1, System::Ghl, "old") };
    assert_eq!(db.settle(|s| s.links.push(revived)).await, Settled::Moved);
    db.put(|s| s.links.push(link(1, System::Timify, "b"))).await;
    assert_eq!(db.whole(1).await.links.iter().filter(|link| link.is_live()).count(), 2);
}

async fn a_link_that_takes_the_place_of_another_is_stored_with_it(db: &Database) {
    db.put(|s| {
        s.entities.push(contact(1));
        s.links.push(link(1, System::Timerex, "z-old"));
    })
    .await;
    let old = Link { state: LinkState::Retired, rev: 1, ..link(1, System::Timerex, "z-old") };
    db.put(|s| s.links.extend([link(1, System::Timerex, "a-new"), old])).await;
    assert_eq!(db.whole(1).await.link(System::Timerex).unwrap().id, ext("a-new"));
}

async fn people_are_found_by_either_key(db: &Database) {
    let mut phone = contact(3);
    phone.set(Field::EMAIL, Value::Blank, stamp(1, Author::Ghl));
    phone.set(Field::PHONE, Value::text("+81312345678"), stamp(1, Author::Ghl));
    let dead = Entity { life: Life::Deleted(stamp(1, Author::Ghl)), id: id(4), ..contact(1) };
    let mut both = contact(1);
    both.set(Field::PHONE, Value::text("+81312345678"), stamp(1, Author::Ghl));
    db.put(|s| s.entities.extend([both, contact(2), phone, dead])).await;
    let found = async |workspace, kind, email: Option<&str>, phone: Option<&str>| {
        let keys = Keys { email: email.map(ToOwned::to_owned), phone: phone.map(ToOwned::to_owned) };
        db.store.with_keys(workspace, kind, &keys).await.unwrap()
    };
    let (email, number) = (Some("p1@example.com"), Some("+81312345678"));
    assert_eq!(found(ACME, Kind::Contact, email, None).await, [id(1)]);
    assert_eq!(found(ACME, Kind::Contact, None, number).await, [id(1), id(3)]);
    assert_eq!(found(ACME, Kind::Contact, email, number).await, [id(1), id(3)]);
    assert_eq!(found(ACME, Kind::Contact, None, None).await, []);
    assert_eq!(found(ACME, Kind::Contact, Some("nobody@example.com"), None).await, []);
    assert_eq!(found("other", Kind::Contact, email, number).await, []);
    assert_eq!(found(ACME, Kind::Note, email, number).await, []);
}

async fn children_are_the_live_ones_of_a_parent(db: &Database) {
    let dead = Entity { life: Life::Deleted(stamp(1, Author::Ghl)), ..child(5, Kind::Task, id(1)) };
    db.put(|s| {
        s.entities.extend([contact(1), contact(2), dead]);
        s.entities.extend([child(4, Kind::Note, id(1)), child(3, Kind::Task, id(1)), child(6, Kind::Task, id(2))]);
    })
    .await;
    assert_eq!(db.store.children(id(1), None).await.unwrap(), [id(3), id(4)]);
    assert_eq!(db.store.children(id(1), Some(Kind::Note)).await.unwrap(), [id(4)]);
    assert_eq!(db.store.children(id(3), None).await.unwrap(), []);
    assert_eq!(db.store.remains(id(1)).await.unwrap(), [], "it stands nowhere");
    db.put(|s| s.links.extend([link(3, System::Ghl, "t3"), link(5, System::Ghl, "t5")])).await;
    let gone = Link { state: LinkState::Gone, ..link(6, System::Ghl, "t6") };
    db.put(|s| s.links.push(gone)).await;
    assert_eq!(db.store.remains(id(1)).await.unwrap(), [id(5)]);
}

async fn entities_come_in_the_order_of_their_ids(db: &Database) {
    let dead = Entity { life: Life::Merged(id(1)), ..contact(12) };
    db.put(|s| s.entities.extend([contact(0xff), contact(9), contact(10), dead, contact(1)])).await;
    let page = async |after: Option<EntityId>, limit| db.store.entities(ACME, after, limit).await.unwrap();
    assert_eq!(page(None, 10).await, [id(1), id(9), id(10), id(0xff)]);
    assert_eq!(page(None, 2).await, [id(1), id(9)]);
    assert_eq!(page(Some(id(9)), 2).await, [id(10), id(0xff)]);
    assert_eq!(page(Some(id(0xff)), 2).await, []);
    assert_eq!(db.store.entities("other", None, 10).await.unwrap(), []);
}

async fn live_links_are_those_of_one_system_and_kind(db: &Database) {
    let task = Link { kind: Kind::Task, ..link(3, System::Ghl, "t") };
    let gone = Link { state: LinkState::Gone, ..link(2, System::Ghl, "c") };
    db.put(|s| {
        s.entities.extend([contact(1), contact(2), child(3, Kind::Task, id(1))]);
        s.links.extend([
            link(2, System::Ghl, "b"),
            link(1, System::Ghl, "a"),
            link(1, System::Timify, "d"),
            gone,
            task,
        ]);
    })
    .await;
    let links = db.store.live_links(ACME, System::Ghl, Kind::Contact).await.unwrap();
    assert_eq!(links.iter().map(|link| link.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(db.store.live_links(ACME, System::Ghl, Kind::Task).await.unwrap().len(), 1);
    assert_eq!(db.store.live_links("other", System::Ghl, Kind::Contact).await.unwrap(), []);
}

async fn links_within_are_those_of_one_object_in_any_state(db: &Database) {
    let inner = |n, id: &str| Link { kind: Kind::Note, ..link(n, System::Timify, id) };
    let gone = Link { state: LinkState::Gone, ..inner(2, "c1#own") };
    db.put(|s| {
        s.entities.extend((1..=4).map(contact));
        s.links.push(link(1, System::Timify, "c1"));
        s.links.extend([gone.clone(), inner(3, "c1#k2"), inner(4, "c10#own")]);
    })
    .await;
    let within = async |system, outer: &str| db.store.links_within(ACME, system, &ext(outer)).await.unwrap();
    let found = within(System::Timify, "c1").await;
    let ids: Vec<_> = found.into_iter().map(|link| (link.id.0, link.state)).collect();
    assert_eq!(ids, [("c1#k2".to_owned(), LinkState::Live), ("c1#own".to_owned(), LinkState::Gone)]);
    assert!(within(System::Timify, "c2").await.is_empty());
    assert!(within(System::Timerex, "c1").await.is_empty());
}

async fn open_intents_are_those_of_one_system_and_kind(db: &Database) {
    let intent = Intent { id: Uuid::from_u128(1), since: NOW, sent: None, refused: None };
    let with_intent = |n, system| {
        let mut mirror = mirror(n, system);
        mirror.intent = Some(intent.clone());
        mirror
    };
    db.put(|s| {
        s.entities.extend([contact(1), contact(2), child(3, Kind::Task, id(1))]);
        let open = [with_intent(1, System::Ghl), with_intent(3, System::Ghl), with_intent(2, System::Timify)];
        s.mirrors.extend(open);
        s.mirrors.push(mirror(2, System::Ghl));
    })
    .await;
    assert_eq!(db.store.open_intents(ACME, System::Ghl, Kind::Contact).await.unwrap(), [id(1)]);
    assert_eq!(db.store.open_intents(ACME, System::Ghl, Kind::Task).await.unwrap(), [id(3)]);
    assert_eq!(db.store.open_intents("other", System::Ghl, Kind::Task).await.unwrap(), []);
}

async fn a_bad_row_is_an_error_that_names_it(db: &Database) {
    db.put(|s| {
        s.entities.push(contact(1));
        s.links.push(link(1, System::Ghl, "g1"));
        s.mirrors.push(mirror(1, System::Ghl));
    })
    .await;
    let spoiled = [
        ("UPDATE mirrors SET tries = -1", "mirrors", "tries", format!("{}/ghl", id(1))),
        ("UPDATE links SET ledger = '[{]'", "links", "ledger", format!("{ACME}/ghl/contact/g1")),
        ("UPDATE entities SET life = 'deleted'", "entities", "deleted_by", id(1).to_string()),
        ("UPDATE entities SET fields = '{\"email\": \"ann@example.com\"}'", "entities", "fields", id(1).to_string()),
        ("UPDATE entities SET kind = 'deal'", "entities", "kind", id(1).to_string()),
    ];
    for (statement, table, column, row) in spoiled {
        db.run(statement).await;
        let error = db.store.whole(id(1)).await.unwrap_err();
        let text = format!("{error:?} {error}");
        assert!(!text.contains("ann@"), "a value is shown: {text}");
        let StoreError::BadRow { table: t, column: c, row: r, .. } = error else { panic!("{text}") };
        assert_eq!((t, c, r), (table, column, row));
    }
}
