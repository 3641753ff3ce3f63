//! Scopes and versions, questions by hand, and the look at an account.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::*;
use crate::model::Workspace;
use crate::systems::{Credential, Version};
use crate::systems::{Inquiry, Inspected};
use async_trait::async_trait;
use bytes::Bytes;

/// A token whose scopes are known.
#[derive(Debug, Default)]
struct Scoped {
    lacking: Mutex<BTreeSet<String>>,
}

impl Scoped {
    fn without(scopes: &[&str]) -> Arc<Self> {
        Arc::new(Self { lacking: Mutex::new(scopes.iter().map(|scope| (*scope).to_owned()).collect()) })
    }
}

#[async_trait]
impl Credential for Scoped {
    async fn sign(&self, _: &mut http::Request<Bytes>) -> Result<Version, SystemError> {
        Ok(Version(0))
    }

    async fn refused(&self, _: Version, _: &str) -> bool {
        false
    }

    fn lacks(&self, scope: &str) -> bool {
        self.lacking.lock().unwrap().contains(scope)
    }

    fn denied(&self, scope: &str) {
        self.lacking.lock().unwrap().insert(scope.to_owned());
    }
}

fn scoped(lacking: &[&str], told: impl IntoIterator<Item = Told>) -> (Ghl, Arc<Script>) {
    Made { credential: Some(Scoped::without(lacking)), fields: &[("shoe", "FieldA")], ..Made::default() }.ghl(told)
}

fn params<const N: usize>(params: [(&str, &str); N]) -> BTreeMap<String, String> {
    params.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[rstest]
#[case::reads(&["contacts.write", "calendars/events.write"], Kind::Contact, Action::Read, None)]
#[case::contact(&["contacts.write"], Kind::Contact, Action::Update, Some("contacts.write"))]
#[case::business(&["contacts.write"], Kind::Contact, Action::SetBusiness, Some("contacts.write"))]
#[case::tags(&["contacts.write"], Kind::Contact, Action::AddTags, Some("contacts.write"))]
#[case::booking(&["contacts.write"], Kind::Appointment, Action::Update, None)]
#[case::cancel(&["calendars/events.write"], Kind::Appointment, Action::Cancel, Some("calendars/events.write"))]
#[case::look(&["calendars/events.readonly"], Kind::Appointment, Action::Find, Some("calendars/events.readonly"))]
#[case::listing(&["locations/tasks.readonly"], Kind::Task, Action::Find, Some("locations/tasks.readonly"))]
#[case::listing_and_looking(&["contacts.readonly", "locations/tasks.readonly"], Kind::Task, Action::Find, Some("locations/tasks.readonly"))]
#[case::looking(&["contacts.readonly"], Kind::Task, Action::Find, Some("contacts.readonly"))]
#[case::reading(&["locations/tasks.readonly"], Kind::Task, Action::Read, None)]
#[tokio::test]
async fn what_is_not_granted_is_not_sent(
    #[case] lacking: &[&str],
    #[case] kind: Kind,
    #[case] action: Action,
    #[case] missing: Option<&str>,
) {
    let (ghl, script) = scoped(lacking, []);
    let not_granted = |error: SystemError| match error {
        SystemError::NotGranted { scope, .. } => scope,
        other => panic!("{other}"),
    };
    assert_eq!(ghl.granted(kind, action).map_err(not_granted).err().as_deref(), missing);
    if let Some(missing) = missing.filter(|_| action.writes()) {
        assert_eq!(not_granted(ghl.apply(&step(action, kind, &[])).await.unwrap_err()), missing);
        assert_eq!(script.asked(), []);
    }
}

#[test]
fn asking_for_each_action_tells_every_scope_that_is_missing() {
    for (actions, writes) in [(&[Action::Read, Action::Find] as &[Action], false), (Action::ALL, true)] {
        for kind in Kind::ALL.iter().copied() {
            let needed = scopes(kind, writes);
            let (ghl, _) = scoped(&needed.iter().copied().collect::<Vec<_>>(), []);
            let missing = actions.iter().filter_map(|action| match ghl.granted(kind, *action) {
                Err(SystemError::NotGranted { scope, .. }) => Some(scope),
                _ => None,
            });
            let missing: BTreeSet<String> = missing.collect();
            assert_eq!(missing, needed.into_iter().map(str::to_owned).collect(), "{kind}");
        }
    }
}

#[tokio::test]
async fn a_scope_that_ghl_refuses_is_remembered_and_a_wrong_token_is_another_matter() {
    let says = |message: &str| told(401, json!({ "statusCode": 401, "message": message }));
    let (ghl, script) = scoped(
        &[],
        [
            says("Token's user type mismatch!"),
            says("This authClass type is not allowed to access this scope. Please verify your IAM configuration."),
            says("Invalid token: access token is invalid"),
            told(403, json!({ "message": "The token does not have access to this location." })),
            says("The token is not authorized for this scope."),
        ],
    );
    let write = step(Action::Update, Kind::Contact, &[text(Field::CITY, "Rome")]);
    for help in ["an agency's", "an agency's", "Invalid token", "another location's"] {
        let error = ghl.apply(&write).await.unwrap_err();
        assert!(matches!(error, SystemError::Unauthorized { .. }) && error.to_string().contains(help), "{error}");
        assert!(ghl.granted(Kind::Contact, Action::Update).is_ok());
    }
    for _ in 0..2 {
        let error = ghl.apply(&write).await.unwrap_err();
        assert!(matches!(&error, SystemError::NotGranted { scope, .. } if scope == "contacts.write"), "{error}");
    }
    assert_eq!(script.asked().len(), 5, "the second time nothing is sent");
    assert!(ghl.granted(Kind::Contact, Action::Read).is_ok());
}

#[rstest]
#[case("contacts.get", &[("contactId", "C/1 ?")], "GET /contacts/C%2F1%20%3F", "contacts")]
#[case("contacts.list", &[("limit", "5")], "GET /contacts/?locationId=Loc&limit=5", "contacts")]
#[case("contacts.by_business", &[("businessId", "B"), ("query", "a&b")], "GET /contacts/business/B?locationId=Loc&query=a%26b", "contacts")]
#[case("contacts.appointments", &[("contactId", "C")], "GET /contacts/C/appointments", "contacts")]
#[case("contacts.duplicate", &[("number", "+49")], "GET /contacts/search/duplicate?locationId=Loc&number=%2B49", "contacts")]
#[case("tasks.get", &[("contactId", "C"), ("taskId", "T")], "GET /contacts/C/tasks/T", "contacts")]
#[case("notes.list", &[("contactId", "C")], "GET /contacts/C/notes", "contacts")]
#[case("notes.get", &[("contactId", "C"), ("id", "N")], "GET /contacts/C/notes/N", "contacts")]
#[case("appointments.get", &[("eventId", "E")], "GET /calendars/events/appointments/E", "calendars")]
#[case("calendars.list", &[], "GET /calendars/?locationId=Loc", "calendars")]
#[case("calendars.get", &[("calendarId", "K")], "GET /calendars/K", "calendars")]
#[case("locations.get", &[], "GET /locations/Loc", "locations")]
#[case("locations.tags", &[], "GET /locations/Loc/tags", "locations")]
#[case("locations.custom_fields", &[("model", "contact")], "GET /locations/Loc/customFields?model=contact", "locations")]
#[case("tasks.search", &[], "POST /locations/Loc/tasks/search", "locations")]
#[case("businesses.list", &[("skip", "10")], "GET /businesses/?locationId=Loc&skip=10", "businesses")]
#[case("businesses.get", &[("businessId", "B")], "GET /businesses/B", "businesses")]
#[tokio::test]
async fn what_reads_can_be_asked_by_name(
    #[case] name: &str,
    #[case] given: &[(&str, &str)],
    #[case] line: &str,
    #[case] family: &str,
) {
    let answer = json!({ "any": ["thing"] });
    let (ghl, script) = Made { apart: true, ..Made::default() }.ghl([told(200, answer.clone())]);
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(ghl.ask(name, &given).await.unwrap(), (200, answer));
    assert_eq!(script.asked()[0].0, line);
    assert_eq!(script.header("version").as_deref(), Some(family), "each family has its own version");
}

#[tokio::test]
async fn a_search_by_hand_is_put_in_json_and_in_ones_own_location() {
    let (ghl, script) = ghl([told(200, json!({ "contacts": [] }))]);
    let asked = [("pageLimit", "20"), ("query", "12"), ("searchAfter", "[1,\"x\"]")];
    ghl.ask("contacts.search", &params(asked)).await.unwrap();
    let body = json!({ "locationId": "Loc", "pageLimit": 20, "query": "12", "searchAfter": [1, "x"] });
    assert_eq!(script.asked(), [("POST /contacts/search".to_owned(), body)]);
}

#[rstest]
#[case::unknown("contacts.upsert", &[], "no operation `contacts.upsert`; those that read are contacts.get, contacts.list")]
#[case::writes("contacts.delete", &[("contactId", "C")], "`contacts.delete` writes")]
#[case::missing_id("tasks.get", &[("contactId", "C")], "needs `taskId`; it takes contactId, taskId")]
#[case::missing("appointments.list", &[("startTime", "1")], "needs `endTime`")]
#[case::stray("tasks.list", &[("contactId", "C"), ("limit", "1")], "takes no `limit`; it takes contactId")]
#[case::location("locations.get", &[("locationId", "Other")], "always the workspace's own")]
#[case::location_in_the_query("businesses.list", &[("locationId", "Other")], "always the workspace's own")]
#[case::no_json("contacts.search", &[("pageLimit", "ten")], "must be JSON")]
#[case::empty("contacts.get", &[("contactId", "")], "is no id")]
#[case::up("contacts.get", &[("contactId", "..")], "is no id")]
#[case::dropped("contacts.list", &[], "gone in version v3")]
#[tokio::test]
async fn what_cannot_be_asked_says_why(#[case] name: &str, #[case] given: &[(&str, &str)], #[case] said: &str) {
    let (ghl, script) = Made { version: "v3", ..Made::default() }.ghl([]);
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let error = ghl.ask(name, &given).await.unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
    assert_eq!(script.asked(), []);
}

/// The answers to what [`Ghl::inspect`] asks, in order.
fn account() -> [Told; 8] {
    let calendars = json!([
        { "id": "CalA", "name": "Haircut", "slotDuration": 1, "slotDurationUnit": "hours" },
        { "id": "CalB", "name": "Colour", "slotDuration": 30, "slotDurationUnit": "mins" },
        { "id": "CalC", "name": "Shave" },
    ]);
    let fields = json!({ "customFields": [{ "id": "FieldA", "name": "Shoe size", "dataType": "NUMERICAL" }] });
    [
        told(200, json!({ "location": { "id": "Loc", "timezone": "Europe/Berlin" } })),
        told(200, json!({ "calendars": calendars })),
        told(200, fields),
        told(200, json!({ "contacts": [] })),
        told(200, json!({ "tasks": [] })),
        told(200, json!({ "tags": [] })),
        told(200, json!({ "businesses": [] })),
        told(200, json!({ "events": [] })),
    ]
}

fn told_of(findings: &[Inspected], ok: bool) -> Vec<&str> {
    findings.iter().filter(|finding| finding.ok == ok).map(|finding| finding.line.as_str()).collect()
}

#[tokio::test]
async fn an_account_that_is_as_configured_has_no_problem() {
    let (ghl, script) = scoped(&[], account());
    let findings = ghl.inspect(&Workspace::default()).await;
    let lines = [
        "the token works for location Loc (timezone Europe/Berlin)",
        "calendar `cut` is CalA (\"Haircut\")",
        "calendar `dye` is CalB (\"Colour\")",
        "not mapped: calendar CalC (\"Shave\")",
        "field `shoe` is custom field FieldA (\"Shoe size\", NUMERICAL)",
        "no scope is known to be missing (writing was not tried)",
    ];
    assert_eq!((told_of(&findings, true), told_of(&findings, false)), (lines.to_vec(), vec![]));
    let lasts: Vec<_> = findings.iter().filter_map(|one| one.lasts.clone()).collect();
    assert_eq!(lasts, [("cut".to_owned(), 60), ("dye".to_owned(), 30)]);
    let asked = script.asked();
    assert_eq!(asked.len(), account().len());
    assert!(asked.iter().all(|(line, _)| line.starts_with("GET ") || line.contains("/search")), "{asked:?}");
}

#[tokio::test]
async fn an_account_that_is_not_as_configured_says_where() {
    let denied = || told(401, json!({ "message": "The token is not authorized for this scope." }));
    let mut answers = account();
    answers[1] = told(200, json!({ "calendars": [{ "id": "CalA" }] }));
    answers[2] = told(200, json!({ "customFields": [] }));
    (answers[4], answers[6]) = (denied(), told(500, json!({ "message": "oops" })));
    let (ghl, _) = scoped(&["contacts.write"], answers);
    let findings = ghl.inspect(&Workspace::default()).await;
    let problems = told_of(&findings, false);
    assert_eq!(problems[0], "calendar `dye`: the location has no calendar CalB");
    assert_eq!(problems[1], "field `shoe`: the location's contacts have no custom field FieldA");
    assert!(problems[2].contains("`locations/tasks.readonly` is not granted"), "{problems:?}");
    assert!(problems[3].starts_with("`businesses.list`: "), "{problems:?}");
    assert!(problems[4].contains("`contacts.write` is not granted"), "{problems:?}");
    assert_eq!(problems.len(), 5);
}

#[tokio::test]
async fn a_token_that_does_not_work_is_the_one_finding() {
    let (ghl, script) = ghl([told(401, json!({ "message": "Invalid token: access token is invalid" }))]);
    let findings = ghl.inspect(&Workspace::default()).await;
    assert_eq!((findings.len(), findings[0].ok, script.asked().len()), (1, false, 1));
    assert!(findings[0].line.contains("does not work for location Loc"), "{}", findings[0].line);
}
