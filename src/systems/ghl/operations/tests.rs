use super::*;
use rstest::rstest;

#[test]
fn each_operation_has_a_name_and_a_request_of_its_own() {
    let names: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
    let lines: BTreeSet<String> =
        OPERATIONS.iter().map(|operation| format!("{} {}", operation.method(), operation.path)).collect();
    assert_eq!((names.len(), lines.len()), (OPERATIONS.len(), OPERATIONS.len()));
    for operation in OPERATIONS {
        assert_eq!(named(operation.name), Some(*operation));
    }
    assert_eq!(named("contacts.upsert"), None);
}

#[test]
fn an_action_on_a_kind_is_one_operation() {
    for kind in Kind::ALL.iter().copied() {
        for action in Action::ALL.iter().copied() {
            let fits = |operation: &&&Operation| operation.kind == Some(kind) && operation.actions.contains(&action);
            let found: Vec<_> = OPERATIONS.iter().filter(fits).collect();
            assert!(found.len() <= 1, "{action} {kind}: {found:?}");
            assert!(found.iter().all(|operation| operation.writes == action.writes()), "{action} {kind}");
        }
        for action in [Action::Read, Action::Find, Action::Create, Action::Update, Action::Delete] {
            assert!(of(kind, action).is_some(), "{action} {kind}");
        }
    }
    assert_eq!(of(Kind::Appointment, Action::Cancel).map(|operation| operation.name), Some("appointments.update"));
    assert_eq!(of(Kind::Note, Action::Complete), None);
    let listings =
        [Kind::Contact, Kind::Task, Kind::Note, Kind::Appointment].map(|kind| listing(kind).map(|it| it.name));
    assert_eq!(listings, [Some("contacts.search"), Some("tasks.search"), None, None]);
}

#[test]
fn what_writes_needs_a_scope_that_writes_and_no_other() {
    for operation in OPERATIONS {
        assert_eq!(operation.writes, operation.scope.rsplit('.').next() == Some("write"), "{}", operation.name);
        assert_ne!(operation.writes, operation.scope.rsplit('.').next() == Some("readonly"), "{}", operation.name);
        assert!(operation.writes || !matches!(operation.verb, Verb::Put | Verb::Delete), "{}", operation.name);
    }
}

#[rstest]
#[case(Kind::Contact, &["contacts.readonly"], "contacts.write")]
#[case(Kind::Task, &["contacts.readonly", "locations/tasks.readonly"], "contacts.write")]
#[case(Kind::Note, &["contacts.readonly"], "contacts.write")]
#[case(Kind::Appointment, &["calendars/events.readonly"], "calendars/events.write")]
fn a_kind_needs_these_scopes(#[case] kind: Kind, #[case] reading: &[&str], #[case] writing: &str) {
    assert_eq!(scopes(kind, false), reading.iter().copied().collect());
    assert_eq!(scopes(kind, true), [writing].into());
}
