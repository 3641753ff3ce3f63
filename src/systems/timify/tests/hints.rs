//! Webhooks: what they name, in every spelling that is plausible.

use super::*;
use crate::systems::timify::door::{observe, read_envelope};

#[rstest]
#[case::created(fixture!("assumed/timify_webhook_customer_created"), Kind::Contact, Shape::Hint)]
#[case::updated(fixture!("assumed/timify_webhook_customer_updated"), Kind::Contact, Shape::Hint)]
#[case::deleted(fixture!("assumed/timify_webhook_customer_deleted"), Kind::Contact, Shape::Gone)]
#[case::made(fixture!("assumed/timify_webhook_event_created"), Kind::Appointment, Shape::Hint)]
#[case::moved(fixture!("assumed/timify_webhook_event_updated"), Kind::Appointment, Shape::Hint)]
#[case::removed(fixture!("assumed/timify_webhook_event_deleted"), Kind::Appointment, Shape::Gone)]
fn a_webhook_says_which_object_to_look_at(#[case] body: &str, #[case] kind: Kind, #[case] shape: Shape) {
    let envelope = read_envelope(body.as_bytes());
    assert_eq!(envelope.account.as_deref(), Some("65a0000000000000000000b1"));
    assert_eq!((envelope.kind, envelope.standing), (Some(kind), Standing::Routed));
    let (timify, _) = timify([]);
    let observed = timify.observe(&change(System::Timify, false, body.as_bytes())).unwrap();
    let expected = Observation {
        at: envelope.at,
        ..Observation::new(kind, envelope.object.unwrap(), Class::Claim, shape.clone())
    };
    assert_eq!(observed, [expected]);
    // A deletion carries no moment: a second one of the same object is not the first one again.
    assert_eq!(envelope.delivery.is_some(), shape == Shape::Hint);
}

#[test]
fn a_bulk_deletion_names_each_object() {
    let body = fixture!("assumed/timify_webhook_events_deleted").as_bytes();
    let envelope = read_envelope(body);
    assert_eq!((envelope.object, envelope.delivery, envelope.standing), (None, None, Standing::Routed));
    let gone: Vec<_> = observe(body, |at| at).unwrap().into_iter().map(|one| (one.id.0, one.shape)).collect();
    let expected = ["66000000000000000000a001", "66000000000000000000a002"].map(|id| (id.to_owned(), Shape::Gone));
    assert_eq!(gone, expected);
}

#[rstest]
#[case(json!({ "type": "Customer.Updated", "company_id": "k", "data": { "_id": "c1" } }), Some(Kind::Contact), Standing::Routed)]
#[case(json!({ "eventType": "customerDeleted", "company": { "id": "k" }, "customerId": "c1" }), Some(Kind::Contact), Standing::Routed)]
#[case(json!({ "topic": "Appointments Created", "id": "a1" }), Some(Kind::Appointment), Standing::Routed)]
#[case(json!({ "event": "events_deleted", "ids": ["a1"] }), Some(Kind::Appointment), Standing::Routed)]
#[case(json!({ "event": "customer_fields_created", "data": { "id": "f1" } }), None, Standing::NotMirrored)]
#[case(json!({ "event": "resource_updated", "data": { "id": "r1" } }), None, Standing::NotMirrored)]
#[case(json!({ "event": "customer_updated", "data": {} }), Some(Kind::Contact), Standing::Unparsed)]
#[case(json!({ "data": { "id": "c1" } }), None, Standing::Unparsed)]
fn several_spellings_are_read(#[case] body: Json, #[case] kind: Option<Kind>, #[case] standing: Standing) {
    let envelope = read_envelope(body.to_string().as_bytes());
    assert_eq!((envelope.kind, envelope.standing), (kind, standing));
}

/// Spellings of a body about the customer `c1` or the appointment `a1` of the company `k`.
#[rstest]
#[case::words(json!({ "event": "Customers Created", "companyId": "k", "data": { "id": "c1" } }), "c1", Shape::Hint)]
#[case::shouted(json!({ "type": "CUSTOMER_UPDATED", "company_id": "k", "payload": { "_id": "c1" } }), "c1", Shape::Hint)]
#[case::verb_first(json!({ "name": "updateCustomer", "data": { "companyId": "k", "customer": { "id": "c1" } } }), "c1", Shape::Hint)]
#[case::present(json!({ "event": "customer.delete", "company": { "id": "k" }, "data": "c1" }), "c1", Shape::Gone)]
#[case::apart(json!({ "object": "Event", "action": "Updated", "companyId": "k", "data": { "id": "a1" } }), "a1", Shape::Hint)]
#[case::type_and_event(json!({ "type": "event", "event": "deleted", "companyId": "k", "eventId": "a1" }), "a1", Shape::Gone)]
#[case::whose(json!({ "event": "event_created", "companyId": "k", "data": { "customerId": "c1", "eventId": "a1" } }), "a1", Shape::Hint)]
#[case::the_deliverys_own_id(json!({ "id": "d1", "event": "appointment_created", "companyId": "k", "appointmentId": "a1" }), "a1", Shape::Hint)]
#[case::bulk_word(json!({ "event": "events.deleted.bulk", "companyId": "k", "data": [{ "id": "a1" }] }), "a1", Shape::Gone)]
#[case::bulk_ids(json!({ "event": "Events Deleted", "companyId": "k", "payload": { "eventIds": ["a1"] } }), "a1", Shape::Gone)]
#[case::bulk_texts(json!({ "event": "eventsDeleted", "data": ["a1"], "companyId": "k" }), "a1", Shape::Gone)]
fn every_plausible_spelling_names_its_object(#[case] body: Json, #[case] id: &str, #[case] shape: Shape) {
    let body = body.to_string();
    let envelope = read_envelope(body.as_bytes());
    assert_eq!((envelope.standing, envelope.account.as_deref()), (Standing::Routed, Some("k")), "{envelope:?}");
    let [one] = observe(body.as_bytes(), |at| at).unwrap().try_into().unwrap();
    assert_eq!((one.id.as_str(), one.shape, one.class), (id, shape, Class::Claim));
    assert_eq!(Some(one.kind), envelope.kind);
}

#[rstest]
#[case("Customer Fields Created")]
#[case("Services Updated")]
#[case("Company Deleted")]
#[case("Enterprise Updated")]
#[case("Before Confirmations")]
#[case("event")]
fn what_is_not_mirrored_is_kept_apart(#[case] name: &str) {
    let body = json!({ "event": name, "companyId": "k", "data": { "id": "x" } }).to_string();
    let envelope = read_envelope(body.as_bytes());
    assert_eq!((envelope.standing, envelope.label.as_str()), (Standing::NotMirrored, name));
    assert!(observe(body.as_bytes(), |at| at).is_err());
}
