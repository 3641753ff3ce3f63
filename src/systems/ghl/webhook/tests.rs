use super::*;
use crate::clock::ManualClock;
use crate::model::{ChangeId, NewChange, System};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn mapping() -> Mapping {
    let custom = [("employer".to_owned(), "BcdmQEsNgz6AVpgLVUJ0".to_owned())].into();
    Mapping::new(None, Vec::new(), custom, "2021-07-28")
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

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ghl/events")
}

fn files(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(fixtures().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let json = entries.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    let mut names: Vec<String> =
        json.map(|path| format!("{folder}{}", path.file_name().unwrap().to_str().unwrap())).collect();
    // Beside the bodies stand the documents' schemas of them.
    names.retain(|name| !name.ends_with(".schema.json"));
    names.sort();
    names
}

/// Every documented and observed body, with what is made of it: reviewed by hand.
#[test]
fn every_known_body_is_read_as_its_documents_say() {
    let mut all = String::new();
    for name in files("").into_iter().chain(files("observed/")) {
        let body = std::fs::read(fixtures().join(&name)).unwrap();
        let Envelope { delivery, account, label, kind, object, at, standing, reason } = envelope(&body);
        let _ = writeln!(all, "{name}: {standing} {label}");
        if let Some(reason) = reason {
            let _ = writeln!(all, "  because {reason}");
        }
        let (account, object) = (account.unwrap_or_default(), object.map(|id| id.0).unwrap_or_default());
        let kind = kind.map_or("-", Kind::word);
        let _ = writeln!(all, "  account {account} {kind} {object} delivery {delivery:?} at {at:?}");
        if standing == Standing::Routed {
            for seen in observe(&mapping(), &no_offset(), &change(Origin::Webhook, &body)).unwrap() {
                let Observation { class, parent, at, shape, .. } = seen;
                let _ = writeln!(all, "  {class:?} of {:?} at {at:?}\n  {shape:?}", parent.map(|id| id.0));
            }
        }
    }
    insta::assert_snapshot!(all);
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
