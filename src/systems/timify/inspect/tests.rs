use std::collections::BTreeMap;
use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value as Json, json};

use super::super::{Company, Timify};
use super::*;
use crate::model::Projection;
use crate::systems::testing::{Script, Told, caller, told};

const COMPANY: &str = "65a000000000000000000001";

fn row(name: &str, service: Option<&str>, resource: Option<&str>) -> CalendarRow {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let (timify_service, timify_resource) = (text(service), text(resource));
    CalendarRow { name: name.to_owned(), timify_service, timify_resource, ..CalendarRow::default() }
}

fn workspace(calendars: Vec<CalendarRow>) -> Workspace {
    let accounts = [(System::Timify, COMPANY.to_owned())].into();
    Workspace { name: "main".to_owned(), accounts, calendars, ..Workspace::default() }
}

fn timify(workspace: &Workspace, told: impl IntoIterator<Item = Told>) -> (Timify, Arc<Script>) {
    let (caller, script) = caller(System::Timify, told);
    (Timify::new(caller, Company::of(workspace, 31).unwrap()), script)
}

fn list(records: Json) -> Told {
    told(200, json!({ "data": records, "status": 1 }))
}

fn companies() -> Told {
    list(json!([{ "id": COMPANY, "name": "Salon" }, { "id": "other", "name": "Other" }]))
}

/// The usual fields, the last one without a key.
fn fields() -> Json {
    let key = |id: &str, name: &str, key: &str| json!({ "id": id, name: key });
    json!([
        key("f1", "defaultId", "firstName"),
        key("f2", "translationKey", "customerFields.basic.lastName"),
        key("f3", "default_id", "email"),
        key("f4", "defaultId", "mobilePhone"),
        key("f5", "defaultId", "notes"),
        { "id": "f6", "label": "Labels" },
    ])
}

fn services() -> Told {
    let service =
        |id: &str, resources: Json| json!({ "id": id, "name": id, "duration": 45, "dependencies": resources });
    list(json!([service("cut", json!([{ "resourcesIds": ["ann"] }])), service("dye", json!([]))]))
}

fn resources() -> Told {
    list(json!([{ "id": "ann", "name": "Ann" }, { "id": "bob", "name": "Bob" }]))
}

fn lines(found: &[Inspected], ok: bool) -> Vec<&str> {
    found.iter().filter(|one| one.ok == ok).map(|one| one.line.as_str()).collect()
}

#[tokio::test]
async fn a_company_that_is_as_configured_has_no_problem() {
    let rows =
        vec![row("cut", Some("cut"), Some("ann")), row("dye", Some("dye"), Some("bob")), row("none", None, None)];
    let mut workspace = workspace(rows);
    workspace.fields.insert(System::Timify, [("status".to_owned(), "f6".to_owned())].into());
    workspace.projection.tags_field = Some("Labels".to_owned());
    let (timify, script) = timify(&workspace, [companies(), list(fields()), services(), resources()]);
    let found = timify.inspect(&workspace).await;
    let fine = [
        "the app's token works for company 65a000000000000000000001 (\"Salon\")",
        "the customers have fields for name, e-mail and mobile phone",
        "field `status` is customer field f6 (\"Labels\")",
        "notes stand in the customers' notes text",
        "tags stand in the customer field \"Labels\"",
        "calendar `cut` is service cut (\"cut\") with resource ann (\"Ann\")",
        "calendar `dye` is service dye (\"dye\") with resource bob (\"Bob\"); which resources do it is not told",
    ];
    assert_eq!((lines(&found, true), lines(&found, false)), (fine.to_vec(), vec![]));
    assert_eq!(found[5].lasts, Some(("cut".to_owned(), 45)));
    let asked: Vec<String> = script.asked().into_iter().map(|(line, _)| line).collect();
    let expected = ["GET /v1/companies", "GET /v1/customers/customfields", "GET /v1/services", "GET /v1/resources"];
    assert_eq!(asked, expected);
    assert_eq!(script.header("company-id").as_deref(), Some(COMPANY));
}

#[tokio::test]
async fn a_company_that_is_not_as_configured_says_where() {
    let rows = vec![
        row("cut", Some("cut"), Some("bob")),
        row("dye", Some("perm"), Some("bob")),
        row("wash", Some("cut"), Some("cat")),
        row("comb", Some("cut"), None),
    ];
    let mut workspace = workspace(rows);
    workspace.fields.insert(System::Timify, [("status".to_owned(), "f9".to_owned())].into());
    workspace.projection.tags_field = Some("Tags".to_owned());
    let few = json!([{ "id": "f1", "defaultId": "firstName" }, { "id": "f3", "defaultId": "email" }]);
    let (timify, _) = timify(&workspace, [companies(), list(few), services(), resources()]);
    let found = timify.inspect(&workspace).await;
    let problems = [
        "the customers have no field for the last name (`lastName`)",
        "the customers have no field for the mobile phone (`mobilePhone`)",
        "field `status`: the customers have no field f9",
        "the customers have no notes text: set notes = false in [workspaces.timify]",
        "the customers have no field \"Tags\" for tags: make it there, or set make_tags_field = true",
        "calendar `cut` is service cut (\"cut\") with resource bob (\"Bob\"), and that resource does not do that service",
        "calendar `dye`: the company has no service perm",
        "calendar `wash`: the company has no resource cat",
        "calendar `comb` names a service and no resource: set timify_resource",
    ];
    assert_eq!(lines(&found, false), problems);
    let not_mapped = ["not mapped: service dye (\"dye\")", "not mapped: resource ann (\"Ann\")"];
    assert_eq!(lines(&found, true)[1..], not_mapped);
}

#[tokio::test]
async fn a_row_without_a_service_stands_for_all_of_its_resource() {
    let workspace = workspace(vec![row("ann", None, Some("ann"))]);
    let (timify, _) = timify(&workspace, [companies(), list(fields()), services(), resources()]);
    let found = timify.inspect(&workspace).await;
    let expected = ["calendar `ann` is all services of resource ann (\"Ann\")", "not mapped: resource bob (\"Bob\")"];
    assert_eq!(lines(&found, true)[3..], expected);
}

#[rstest]
#[case::made(Projection { tags_field: Some("New".to_owned()), make_tags_field: true, ..Projection::default() }, false, "it is made for the first tag")]
#[case::no_notes(Projection { notes: false, ..Projection::default() }, false, "")]
#[case::extension(Projection { tags_field: Some("New".to_owned()), ..Projection::default() }, true, "")]
fn what_an_extension_holds_or_is_made_needs_no_field(
    #[case] projection: Projection,
    #[case] extension: bool,
    #[case] line: &str,
) {
    let mut workspace = workspace(Vec::new());
    workspace.projection = projection;
    workspace.extensions = if extension { vec![System::Timify] } else { Vec::new() };
    let mut all = fields();
    all.as_array_mut().unwrap().remove(4);
    let mut found = inspect_fields(all.as_array().unwrap(), &workspace);
    if line.is_empty() {
        assert_eq!(found.len(), 1);
    } else {
        assert!(found.pop().unwrap().line.ends_with(line));
        assert_eq!(
            lines(&found, false),
            ["the customers have no notes text: set notes = false in [workspaces.timify]"]
        );
    }
}

#[rstest]
#[case::token(vec![told(401, json!({}))], "the app's id and secret do not work: ")]
#[case::company(vec![list(json!([{ "id": "other", "name": "Other" }])), told(403, json!({}))], "it sees other (\"Other\")")]
#[case::no_list(vec![told(404, json!({})), told(403, json!({}))], "the app is not let into company 65a")]
#[tokio::test]
async fn an_app_that_is_not_let_in_is_the_one_finding(#[case] answers: Vec<Told>, #[case] said: &str) {
    let workspace = workspace(vec![row("cut", Some("cut"), Some("ann"))]);
    let asked = answers.len();
    let (timify, script) = timify(&workspace, answers);
    let found = timify.inspect(&workspace).await;
    assert_eq!((found.len(), found[0].ok, script.asked().len()), (1, false, asked));
    assert!(found[0].line.contains(said), "{}", found[0].line);
}

#[tokio::test]
async fn a_company_that_the_list_does_not_name_may_let_us_in_all_the_same() {
    let workspace = workspace(Vec::new());
    let (timify, _) = timify(&workspace, [told(400, json!({})), told(200, fields()), services(), told(500, json!({}))]);
    let found = timify.inspect(&workspace).await;
    assert_eq!(lines(&found, true)[0], "the app's token works for company 65a000000000000000000001");
    assert!(lines(&found, false)[0].starts_with("the company's resources are not told: "), "{found:?}");
}

#[tokio::test]
async fn a_list_of_several_pages_is_read_to_its_end() {
    let workspace = workspace(Vec::new());
    let page = |id: &str| told(200, json!({ "data": [{ "id": id }], "meta": { "totalPages": 2 } }));
    let (timify, script) = timify(&workspace, [page("a"), page("b")]);
    assert_eq!(timify.listed("/v1/services").await.unwrap().len(), 2);
    assert_eq!(script.asked()[1].0, "GET /v1/services?page=2");
}

#[rstest]
#[case("customers.get", &[("customerId", "c/1"), ("external", "1")], "GET /v1/customers/c%2F1?external=1")]
#[case("customfields.list", &[], "GET /v1/customers/customfields")]
#[case("appointments.list", &[("to_date", "2026-01-31"), ("from_date", "2026-01-01")], "GET /v1/appointments?from_date=2026-01-01&to_date=2026-01-31")]
#[case("companies.list", &[("enterprise_id", "e")], "GET /v1/companies?enterprise_id=e")]
#[tokio::test]
async fn what_reads_can_be_asked_by_name(#[case] name: &str, #[case] given: &[(&str, &str)], #[case] sent: &str) {
    let record = json!({ "data": [{ "id": "a" }] });
    let (timify, script) = timify(&workspace(Vec::new()), [told(200, record)]);
    let params: BTreeMap<String, String> =
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (status, answer) = Inquiry::ask(&timify, name, &params).await.unwrap();
    assert_eq!((status, &answer["data"][0]["id"]), (200, &json!("a")));
    assert_eq!(script.asked()[0].0, sent);
}

#[tokio::test]
async fn an_unknown_operation_names_those_that_are_there() {
    let (timify, script) = timify(&workspace(Vec::new()), []);
    let error = Inquiry::ask(&timify, "list", &BTreeMap::new()).await.unwrap_err().to_string();
    let known = "customers.list, customers.get, customfields.list, appointments.list, appointments.get, services.list, \
                 resources.list, companies.list";
    assert!(error.contains(known), "{error}");
    assert_eq!(script.asked(), []);
}
