//! The judge itself: it must find what is wrong, or its silence means nothing.

use http::{HeaderMap, HeaderValue};
use rstest::rstest;
use serde_json::{Value, json};

use super::lies;
use super::openapi::{
    Version, body_keys, body_of, check_request, check_response, check_response_of, check_response_to_the_key, schemas,
};

fn headers(version: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("version", HeaderValue::from_static(version));
    headers.insert("authorization", HeaderValue::from_static("Bearer pit-1"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers
}

fn contact(extra: Value) -> Value {
    let mut body = json!({"locationId": "l", "firstName": "Ada"});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

#[rstest]
#[case::unknown_key(json!({"nickname": "A"}), "body.nickname is not documented")]
#[case::wrong_type(json!({"tags": "vip"}), "body.tags is not of type \"array\"")]
#[case::wrong_item(json!({"tags": [1]}), "body.tags[0] is not of type \"string\"")]
#[case::nested_enum(json!({"dndSettings": {"SMS": {"status": "off"}}}), "body.dndSettings.SMS.status is none of")]
#[case::nested_required(json!({"dndSettings": {"SMS": {}}}), "body.dndSettings.SMS.status is missing")]
#[case::no_form_fits(json!({"customFields": [{"id": "x", "value": "y"}]}), "body.customFields[0] is none of its forms")]
#[case::null_where_none_may_be(json!({"country": null}), "body.country is not of type")]
fn a_fault_in_a_body_is_found(#[case] extra: Value, #[case] fault: &str) {
    let faults = check_request("POST", "/contacts/", "", &headers("2021-07-28"), Some(&contact(extra)));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with(fault), "{faults:?}");
}

#[test]
fn a_faultless_request_passes() {
    let body = contact(json!({
        "email": null, "tags": ["vip"], "dateOfBirth": "1990-09-25",
        "customFields": [{"id": "a", "field_value": "text"}, {"id": "b", "field_value": 7}],
    }));
    assert_eq!(check_request("POST", "/contacts/", "", &headers("2021-07-28"), Some(&body)), Vec::<String>::new());
}

#[test]
fn missing_and_wrong_headers_and_queries_are_found() {
    let path = "/calendars/events";
    let faults = check_request("GET", path, "locationId=l&startTime=1&endTime=2&limit=3", &HeaderMap::new(), None);
    assert_eq!(faults, ["header Version is missing", "unknown query parameter limit", "no bearer token"]);
    let faults = check_request("GET", path, "locationId=l", &headers("2021-07-28"), None);
    let wanted = ["Version is none of [\"2021-04-15\"]", "query startTime is missing", "query endTime is missing"];
    assert_eq!(faults, wanted);
}

#[test]
fn a_body_is_demanded_and_refused_as_documented() {
    let sent = |method, path, body: Option<&Value>| check_request(method, path, "", &headers("2021-07-28"), body);
    assert_eq!(sent("DELETE", "/contacts/c/tags", None), ["the body is missing"]);
    assert_eq!(sent("DELETE", "/contacts/c", Some(&json!({}))), ["a body where none is documented"]);
    assert_eq!(sent("POST", "/contacts", Some(&contact(json!({})))), ["no operation POST /contacts"]);
}

#[test]
fn faults_of_an_answer_are_found() {
    let answered = |status, body: Value| check_response("GET", "/contacts/c", status, &body);
    assert_eq!(answered(200, json!({"contact": {"tags": "vip"}})), ["body.contact.tags is not of type \"array\""]);
    assert_eq!(answered(201, json!({})), ["status 201 is not documented"]);
    assert_eq!(answered(422, json!({"message": "text"})), ["body.message is not of type \"array\""]);
    assert_eq!(answered(429, json!({})), Vec::<String>::new());
    assert_eq!(answered(200, json!({"contact": {"unheardOf": 1}})), Vec::<String>::new());
}

#[test]
fn each_known_lie_is_about_something_that_the_documents_say() {
    for (name, key) in lies::all() {
        let mut found = schemas(name).peekable();
        assert!(found.peek().is_some(), "no schema {name}");
        assert!(key.is_empty() || found.any(|schema| !schema["properties"][key].is_null()), "{name}.{key}");
    }
    assert!(body_keys("POST", "/contacts/search").contains(&"pageLimit".to_owned()));
}

#[test]
fn a_form_is_judged_as_its_own_kind_of_body() {
    let mut form = headers("2021-07-28");
    form.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    let body = json!({"client_id": "a", "client_secret": "b", "grant_type": "password"});
    let faults = check_request("POST", "/oauth/token", "", &form, Some(&body));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("body.grant_type is none of"), "{faults:?}");
    let mut bare = HeaderMap::new();
    bare.insert("content-type", HeaderValue::from_static("application/json"));
    assert_eq!(check_request("POST", "/oauth/token", "", &bare, Some(&body)), ["content type `application/json`"]);
}

#[test]
fn each_version_has_its_own_documents() {
    let task = json!({"succeded": true});
    let list = |version| check_response_of(version, "GET", "/contacts/", 200, &json!({}));
    assert_eq!(list(Version::V2), [""; 0]);
    assert_eq!(list(Version::V3), ["no operation GET /contacts/"]);
    let bulk = |version| check_response_of(version, "POST", "/contacts/bulk/tags/update/add", 201, &task);
    assert_eq!(bulk(Version::V3).len(), 3, "{:?}", bulk(Version::V3));
    assert_eq!(bulk(Version::V2).len(), 2, "{:?}", bulk(Version::V2));
}

#[test]
fn the_values_of_a_map_are_judged() {
    let slots = |day: Value| check_response("GET", "/calendars/c/free-slots", 200, &json!({"2026-12-01": day}));
    assert_eq!(slots(json!({"slots": ["2026-12-01T11:00:00+01:00"]})), [""; 0]);
    assert_eq!(slots(json!({"slots": [7]})), ["body.2026-12-01.slots[0] is not of type \"string\""]);
}

#[test]
fn faults_of_oauth_calls_are_found() {
    let mut form = headers("2021-07-28");
    form.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    let pair = body_of(&form, b"companyId=c&locationId=l%2B1").unwrap();
    assert_eq!(pair, json!({"companyId": "c", "locationId": "l+1"}));
    let minted = |headers: &HeaderMap| check_request("POST", "/oauth/locationToken", "", headers, Some(&pair));
    assert_eq!(minted(&form), [""; 0]);
    assert_eq!(minted(&headers("2021-07-28")), ["content type `application/json`"]);
    form.remove("version");
    form.remove("authorization");
    assert_eq!(minted(&form), ["header Version is missing", "no bearer token"]);
    let path = "/marketplace/app/a/installations";
    let sent = check_request("DELETE", path, "", &headers("2021-04-15"), Some(&json!({"location": "l"})));
    assert_eq!(sent, ["Version is none of [\"2021-07-28\"]", "body.location is not documented"]);
    let answered = |body: Value| check_response_to_the_key(Version::V2, "DELETE", path, 200, &body);
    assert_eq!(answered(json!({"success": true, "traceId": "t"})), [""; 0]);
    assert_eq!(answered(json!({"success": true, "more": 1})), ["body.more is not documented"]);
}
