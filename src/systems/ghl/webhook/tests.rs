use super::*;
use crate::clock::ManualClock;
use crate::model::{ChangeId, NewChange, System};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

fn mapping() -> Mapping {
    let custom = [("employer".to_owned(), "BcdmQEsNgz6AVpgLVUJ0".to_owned())].into();
    Mapping::new(None, Vec::new(), custom, "2021-07-28", "2021-04-15")
}

fn no_offset() -> ClockOffset {
    ClockOffset::new(Arc::new(ManualClock::at(Millis(0))))
}

fn change(origin: Origin, body: &[u8]) -> Change {
    let envelope = envelope(body);
    let said = NewChange {
        dedup: "d".to_owned(),
        workspace: None,
        system: System::Ghl,
        extension: false,
        origin,
        label: envelope.label,
        kind: envelope.kind,
        object: envelope.object,
        standing: envelope.standing,
        reason: envelope.reason,
        at: envelope.at,
        received: Millis(0),
        headers: BTreeMap::new(),
        body: Bytes::copy_from_slice(body),
    };
    Change { id: ChangeId(1), said }
}

fn observed(body: &Value) -> Observation {
    let change = change(Origin::Webhook, body.to_string().as_bytes());
    observe(&mapping(), &no_offset(), &change).unwrap().remove(0)
}

/// The catalogue, with what is mirrored of it.
#[test]
fn every_type_of_the_catalogue_is_known() {
    let mirrored = [
        (Kind::Contact, &["Create", "Update", "Delete", "DndUpdate", "TagUpdate"][..]),
        (Kind::Note, &["Create", "Update", "Delete"]),
        (Kind::Task, &["Create", "Complete", "Delete"]),
        (Kind::Appointment, &["Create", "Update", "Delete"]),
    ];
    for (kind, endings) in mirrored {
        for ending in endings {
            let (first, rest) = kind.word().split_at(1);
            let label = format!("{}{rest}{ending}", first.to_uppercase());
            let body = serde_json::json!({"type": label, "locationId": "L", "id": "1"}).to_string();
            let Envelope { standing, kind: found, account, .. } = envelope(body.as_bytes());
            assert_eq!((standing, found, account.as_deref()), (Standing::Routed, Some(kind), Some("L")), "{label}");
        }
    }
    let others = "INSTALL UNINSTALL UPDATE PLAN_CHANGE LocationCreate LocationUpdate UserCreate UserUpdate UserDelete \
                  RecordCreate RecordUpdate RecordDelete RelationCreate RelationDelete OpportunityCreate InvoiceUpdate";
    for label in others.split(' ') {
        let body = serde_json::json!({"type": label, "id": "1"}).to_string();
        let Envelope { standing, kind, reason, .. } = envelope(body.as_bytes());
        assert_eq!((standing, kind, reason), (Standing::NotMirrored, None, None), "{label}");
    }
}

#[test]
fn the_account_is_the_location_and_of_an_agency_the_company() {
    let account = |body: Value| envelope(body.to_string().as_bytes()).account;
    let own = serde_json::json!({"type": "INSTALL", "locationId": "L", "companyId": "C"});
    assert_eq!(account(own).as_deref(), Some("L"));
    assert_eq!(account(serde_json::json!({"type": "UNINSTALL", "companyId": "C"})).as_deref(), Some("C"));
    let location = serde_json::json!({"type": "LocationUpdate", "id": "L", "companyId": "C"});
    assert_eq!(account(location).as_deref(), Some("L"));
    assert_eq!(account(serde_json::json!({"type": "ContactUpdate", "id": "1", "companyId": "C"})), None);
}

#[test]
fn an_appointment_may_be_wrapped_or_flat() {
    let flat = serde_json::json!({"id": "A", "contactId": "C", "title": "t"});
    let mut body = serde_json::json!({"type": "AppointmentUpdate", "locationId": "L", "appointment": flat.clone()});
    let wrapped = observed(&body);
    body.as_object_mut().unwrap().remove("appointment");
    body.as_object_mut().unwrap().extend(flat.as_object().unwrap().clone());
    assert_eq!(observed(&body), wrapped);
    assert_eq!((wrapped.id.as_str(), wrapped.parent.unwrap().as_str()), ("A", "C"));
}

#[test]
fn what_a_body_leaves_out_or_says_in_an_unknown_form_is_read_back() {
    let bare = |label: &str, more: Value| {
        let mut body = serde_json::json!({"type": label, "locationId": "L", "id": "1"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let Observation { class, shape, .. } = observed(&body);
        assert_eq!(class, Class::Claim, "{label}");
        shape
    };
    assert_eq!(bare("ContactUpdate", serde_json::json!({})), Shape::Full(crate::model::Fields::new()));
    assert_eq!(bare("NoteUpdate", serde_json::json!({"contactId": "C"})), Shape::Full(crate::model::Fields::new()));
    for label in ["TaskCreate", "TaskComplete", "AppointmentCreate", "AppointmentUpdate"] {
        assert_eq!(bare(label, serde_json::json!({"title": "t"})), Shape::Hint, "{label}");
    }
    let odd = [
        ("ContactUpdate", serde_json::json!({"email": {"primary": "a@example.com"}})),
        ("TaskComplete", serde_json::json!({"contactId": "C", "dueDate": "tomorrow"})),
        ("NoteCreate", serde_json::json!({"contactId": "C", "body": ["a"]})),
    ];
    for (label, more) in odd {
        assert_eq!(bare(label, more), Shape::Hint, "{label}");
    }
}

#[test]
fn what_is_not_understood_is_kept_as_unparsed() {
    for body in ["", "{", "[]", "{}", r#"{"type":"ContactMerge","id":"1"}"#, r#"{"type":"ContactUpdate"}"#] {
        let envelope = envelope(body.as_bytes());
        assert_eq!(envelope.standing, Standing::Unparsed, "{body}");
        assert!(envelope.reason.is_some());
    }
}

#[test]
fn an_appointment_proves_something_only_by_a_version_and_only_when_it_is_whole() {
    let whole = serde_json::json!({"type": "AppointmentUpdate", "locationId": "L", "appointment": {
        "id": "A", "title": "t", "calendarId": "c", "appointmentStatus": "new", "contactId": "C",
        "startTime": "2026-01-01T10:00:00Z", "endTime": "2026-01-01T11:00:00Z", "dateUpdated": "2026-01-01T00:00:00Z"}});
    assert_eq!(observed(&whole).class, Class::Versioned(Millis::parse("2026-01-01T00:00:00Z").unwrap()));
    for key in ["title", "dateUpdated"] {
        let mut less = whole.clone();
        less["appointment"].as_object_mut().unwrap().remove(key);
        assert_eq!(observed(&less).class, Class::Claim, "without {key}");
    }
}

#[test]
fn a_real_deletion_of_an_appointment_is_a_claim_that_it_is_gone() {
    let body = serde_json::json!({"type": "AppointmentDelete", "appointment": {"id": "A", "locationId": "L"},
        "timestamp": "2026-01-01T00:00:00.000Z"});
    assert_eq!(envelope(body.to_string().as_bytes()).account.as_deref(), Some("L"));
    let seen = observed(&body);
    assert_eq!((seen.class, seen.shape, seen.at), (Class::Claim, Shape::Gone, Millis::parse("2026-01-01T00:00:00Z")));
}

#[test]
fn the_time_of_an_edit_is_on_our_clock() {
    let offset = no_offset();
    offset.measure(Millis(300_000), Millis(600_000), Millis(600_000));
    let body = br#"{"type":"ContactUpdate","id":"C","timestamp":"1970-01-01T00:05:00.000Z"}"#;
    let seen = observe(&mapping(), &offset, &change(Origin::Webhook, body)).unwrap().remove(0);
    assert_eq!(seen.at, Some(Millis(300_000 - offset.ms())));
    assert!(offset.ms() < -290_000);
}

#[test]
fn a_listed_row_is_a_hint_to_read() {
    let mut listed = change(Origin::Listing, br#"{"contactId":"C"}"#);
    assert!(observe(&mapping(), &no_offset(), &listed).is_err());
    (listed.said.kind, listed.said.object) = (Some(Kind::Task), Some(crate::model::ExternalId::new("T")));
    let seen = observe(&mapping(), &no_offset(), &listed).unwrap().remove(0);
    assert_eq!((seen.shape, seen.parent.unwrap().0.as_str()), (Shape::Hint, "C"));
}
