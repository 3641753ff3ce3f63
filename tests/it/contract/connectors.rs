//! The TIMIFY, TimeRex and extension connectors against the stand-ins (see `bench`): what one writes the other holds, and
//! what the stand-in sends the connector reads. There are no official documents to judge these by.

use lockstep::clock::Millis;
use lockstep::model::{Action, Class, ExternalId, Field, Fields, Kind, Shape, System, Terms, Value};
use lockstep::sandbox::Edit;
use lockstep::systems::{SystemError, Target, Wanted};
use serde_json::json;

use super::bench::{Bench, delivered, place, step};

fn at(text: &str) -> Value {
    Value::Instant(Millis::parse(text).unwrap())
}

fn person() -> Fields {
    Fields::from([
        (Field::FIRST_NAME, Value::text("Ada")),
        (Field::EMAIL, Value::text("ada@example.com")),
        (Field::PHONE, Value::text("+4915123456789")),
        (Field::BIRTHDAY, Value::text("1990-05-06")),
    ])
}

fn tagged(tag: &str) -> Fields {
    Fields::from([(Field::tag(tag), Value::Flag(true))])
}

async fn customer(target: &dyn Target) -> ExternalId {
    target.apply(&step(Action::Create, Kind::Contact, None, None, person())).await.unwrap().id
}

#[tokio::test]
async fn a_timify_customer_is_made_tagged_read_and_found() {
    let bench = Bench::new();
    let timify = bench.timify();
    let id = customer(&timify).await;
    timify.apply(&step(Action::AddTags, Kind::Contact, Some(&id), None, tagged("vip"))).await.unwrap();
    let read = timify.read(&place(Kind::Contact, &id, None)).await.unwrap().observation;
    let held = read.fields().unwrap();
    assert!(held[&Field::tag("vip")].is_set());
    for (field, value) in &person() {
        assert_eq!(held.get(field), Some(value));
    }
    let found = timify.find(&Wanted { kind: Kind::Contact, parent: None, fields: person(), key: None }).await.unwrap();
    assert_eq!(found.into_iter().map(|found| found.observation).collect::<Vec<_>>(), [read]);
}

#[tokio::test]
async fn a_timify_customers_fields_are_changed_and_cleared_one_by_one() {
    let bench = Bench::new();
    let timify = bench.timify();
    let id = customer(&timify).await;
    for (field, value) in [
        (Field::FIRST_NAME, Value::text("Augusta")),
        (Field::PHONE, Value::text("+819012345678")),
        (Field::BIRTHDAY, Value::text("1991-01-31")),
        (Field::CITY, Value::text("Köln")),
        (Field::CITY, Value::Blank),
        (Field::PHONE, Value::Blank),
    ] {
        let fields = Fields::from([(field.clone(), value.clone())]);
        timify.apply(&step(Action::Update, Kind::Contact, Some(&id), None, fields)).await.unwrap();
        let read = timify.read(&place(Kind::Contact, &id, None)).await.unwrap().observation;
        assert_eq!(read.fields().unwrap().get(&field).cloned().unwrap_or_default(), value, "{field}");
    }
}

#[tokio::test]
async fn a_timify_appointment_is_made_found_moved_listed_and_deleted() {
    let bench = Bench::new();
    let timify = bench.timify();
    let contact = customer(&timify).await;
    let mut booking = Fields::from([
        (Field::START, at("2026-04-04T07:05:00Z")),
        (Field::END, at("2026-04-04T07:35:00Z")),
        (Field::TITLE, Value::text("First talk")),
        (Field::CALENDAR, Value::text("first")),
    ]);
    let create = step(Action::Create, Kind::Appointment, None, Some(&contact), booking.clone());
    let made = timify.apply(&create).await.unwrap();
    let shown = made.shown.unwrap();
    assert_eq!((shown.fields(), &shown.parent), (Some(&booking), &Some(contact.clone())));
    let wanted = Wanted { kind: Kind::Appointment, parent: Some(contact), fields: booking.clone(), key: None };
    assert_eq!(timify.find(&wanted).await.unwrap().len(), 1);

    booking.insert(Field::START, at("2026-04-04T07:15:00Z"));
    let mut later = step(Action::Update, Kind::Appointment, Some(&made.id), None, booking.clone());
    later.fields.retain(|field, _| *field == Field::START);
    timify.apply(&later).await.unwrap();
    let read = timify.read(&place(Kind::Appointment, &made.id, None)).await.unwrap().observation;
    assert_eq!(read.fields(), Some(&booking));
    let page = timify.changed(Kind::Appointment, None, Some("2026-04-01/1")).await.unwrap();
    assert_eq!(page.observations.iter().map(|one| &one.id).collect::<Vec<_>>(), [&made.id]);

    timify.apply(&step(Action::Delete, Kind::Appointment, Some(&made.id), None, Fields::new())).await.unwrap();
    let read = timify.read(&place(Kind::Appointment, &made.id, None)).await.unwrap().observation;
    assert_eq!(read.shape, Shape::Gone);
}

#[tokio::test]
async fn the_tags_of_timify_customers_are_listed_after_the_customers() {
    let bench = Bench::new();
    let timify = bench.timify();
    let id = customer(&timify).await;
    timify.apply(&step(Action::AddTags, Kind::Contact, Some(&id), None, tagged("vip"))).await.unwrap();
    let (mut listed, mut page) = (Vec::new(), None);
    loop {
        let found = timify.changed(Kind::Contact, None, page.as_deref()).await.unwrap();
        listed.extend(found.observations);
        page = found.next;
        if page.is_none() {
            break;
        }
    }
    let own: Vec<_> = listed.iter().filter(|one| one.id == id).filter_map(|one| one.fields()).collect();
    assert_eq!((own[0].get(&Field::EMAIL), own[1]), (person().get(&Field::EMAIL), &tagged("vip")));
}

#[tokio::test]
async fn an_extension_makes_one_task_of_a_create_that_is_repeated() {
    let bench = Bench::new();
    let timify = bench.timify();
    let contact = customer(&timify).await;
    let title = Fields::from([(Field::TITLE, Value::text("Call"))]);
    let mut create = step(Action::Create, Kind::Task, None, Some(&contact), title);
    create.key = Some(uuid::Uuid::from_u128(5));
    let first = timify.apply(&create).await.unwrap().id;
    assert_eq!(timify.apply(&create).await.unwrap().id, first);
    create.key = Some(uuid::Uuid::from_u128(6));
    assert_ne!(timify.apply(&create).await.unwrap().id, first, "another intent is another task");
}

#[tokio::test]
async fn a_second_contact_with_the_same_address_exists_in_the_timerex_extension() {
    let bench = Bench::new();
    let timerex = bench.timerex();
    let id = customer(&timerex).await;
    let email = Fields::from([(Field::EMAIL, Value::text("ada@example.com"))]);
    let error = timerex.apply(&step(Action::Create, Kind::Contact, None, None, email)).await.unwrap_err();
    assert!(matches!(&error, SystemError::Exists { existing, .. } if *existing == id), "{error}");
    let read = timerex.read(&place(Kind::Contact, &id, None)).await.unwrap().observation;
    assert_eq!(read.fields().unwrap().get(&Field::EMAIL), Some(&Value::text("ada@example.com")));
}

#[tokio::test]
async fn a_timerex_booking_is_told_read_listed_and_cancelled_twice() {
    let bench = Bench::new();
    let timerex = bench.timerex();
    let booking = Edit {
        action: "create".to_owned(),
        kind: "appointment".to_owned(),
        account: bench.account.timerex_team.clone(),
        id: None,
        parent: None,
        fields: json!({
            "calendar": bench.account.timerex_calendar, "start_datetime": "2026-04-06T10:00:00Z",
            "guest_name": "山田 花子", "guest_email": "hanako@example.com", "url_params": { "contact_ref": "ghl_1" },
        }),
    };
    let (id, webhooks) = bench.edit(System::Timerex, &booking);
    let id = ExternalId::new(id);
    let told = timerex.observe(&delivered(&webhooks[0])).unwrap();
    let read = timerex.read(&place(Kind::Appointment, &id, None)).await.unwrap().observation;
    // The API says less of a booking than the webhook: what it says must be the same, the rest must not look cleared.
    assert!(matches!(read.shape, Shape::Partial(_)));
    for (field, value) in read.fields().unwrap() {
        assert_eq!(told[0].fields().unwrap().get(field), Some(value), "{field}");
    }
    let guests = [&read.guest, &told[0].guest].map(|guest| &guest.as_ref().unwrap().fields);
    assert_eq!(guests[0], guests[1]);
    assert_eq!(read.fields().unwrap()[&Field::START], at("2026-04-06T10:00:00Z"));
    assert_eq!(timerex.changed(Kind::Appointment, None, None).await.unwrap().observations.len(), 1);
    for _ in 0..2 {
        timerex.apply(&step(Action::Cancel, Kind::Appointment, Some(&id), None, Fields::new())).await.unwrap();
    }
    let read = timerex.read(&place(Kind::Appointment, &id, None)).await.unwrap().observation;
    assert_eq!(read.fields().unwrap()[&Field::STATUS], Value::text("cancelled"));
}

#[tokio::test]
async fn no_webhook_of_our_own_writes_claims_to_be_a_read() {
    let bench = Bench::new();
    let (timify, timerex) = (bench.timify(), bench.timerex());
    let mut seen = 0;
    for target in [&timify as &dyn Target, &timerex] {
        let contact = customer(target).await;
        let title = Fields::from([(Field::TITLE, Value::text("Call"))]);
        target.apply(&step(Action::AddTags, Kind::Contact, Some(&contact), None, tagged("vip"))).await.unwrap();
        target.apply(&step(Action::Create, Kind::Task, None, Some(&contact), title)).await.unwrap();
        for webhook in bench.webhooks() {
            let said = target.observe(&delivered(&webhook)).unwrap();
            assert!(said.iter().all(|one| one.class != Class::Current), "{webhook:?}");
            seen += said.len();
        }
    }
    assert!(seen >= 6, "{seen} observations");
}
