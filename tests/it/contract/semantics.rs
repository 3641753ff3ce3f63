//! What the vendor's endpoints mean beyond their shape: pages, deletions, the rule of duplicates, odd switches. Calendars have
//! a page of their own (`bookings`).

use lockstep::sandbox::ghl::CustomFieldSettings;
use lockstep::sandbox::ghl::{Ghl, GhlSettings, LocationSettings, TokenSettings};
use rstest::rstest;
use serde_json::{Value, json};

use super::stand::{FOREIGN, LOCATION, Stand};

pub fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_deprecated_list_goes_on_after_an_instant_and_an_id() {
    let mut stand = Stand::new();
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        made.push(stand.contact(json!({"email": format!("{name}@example.com")})));
        stand.advance(1);
    }
    made.reverse();
    let list = format!("/contacts/?locationId={LOCATION}&limit=2");
    let first = stand.done(200, "GET", &list, None);
    assert_eq!((ids(&first["contacts"]), &first["count"]), (made[..2].to_vec(), &json!(3)));
    let meta = &first["meta"];
    assert_eq!((&meta["total"], &meta["currentPage"], &meta["nextPage"]), (&json!(3), &json!(1), &json!(2)));
    let next = format!("{list}&startAfter={}&startAfterId={}", meta["startAfter"], made[1]);
    let second = stand.done(200, "GET", &next, None);
    assert_eq!((ids(&second["contacts"]), &second["meta"]["nextPage"]), (made[2..].to_vec(), &Value::Null));
    assert_eq!((&second["meta"]["currentPage"], &second["meta"]["prevPage"]), (&json!(2), &json!(1)));
    assert_eq!(ids(&stand.done(200, "GET", &format!("{list}&query=B@"), None)["contacts"]), [made[1].clone()]);
    let many = stand.call("GET", &format!("/contacts/?locationId={LOCATION}&limit=101"), None);
    assert_eq!((many.status, &many.body["message"]), (422, &json!(["limit must not be greater than 100"])));
}

#[test]
fn contacts_are_put_into_a_business_listed_by_it_and_taken_out() {
    let mut stand = Stand::new();
    stand.ghl.settings_mut().business_webhooks = true;
    let made = stand.done(201, "POST", "/businesses/", json!({"locationId": LOCATION, "name": "Engines"}));
    let business = made["buiseness"]["id"].as_str().unwrap().to_owned();
    assert_eq!((business.len(), stand.events()), (24, vec!["RecordCreate"]));
    assert_eq!(stand.sent[0].body["properties"], json!([{"key": "name", "valueString": "Engines"}]));
    let members: Vec<String> =
        ["a", "b"].map(|name| stand.contact(json!({"email": format!("{name}@example.com")}))).to_vec();
    let task = json!({"title": "Call", "dueDate": "2026-12-01T10:00:00Z", "completed": false});
    stand.done(201, "POST", &format!("/contacts/{}/tasks", members[0]), task);
    let put = |ids: &[String], business: Value| json!({"locationId": LOCATION, "ids": ids, "businessId": business});
    stand.done(200, "POST", "/contacts/bulk/business", put(&members, json!(business)));
    assert_eq!(stand.events(), ["ContactUpdate", "ContactUpdate"]);
    let list = format!("/contacts/business/{business}?locationId={LOCATION}");
    assert_eq!(stand.done(200, "GET", &list, None)["count"], 2);
    assert_eq!(ids(&stand.done(200, "GET", &format!("{list}&limit=1&skip=1"), None)["contacts"]).len(), 1);
    let search = format!("/locations/{LOCATION}/tasks/search");
    let found = |stand: &mut Stand| stand.done(200, "POST", &search, json!({"businessId": business}))["tasks"].clone();
    assert_eq!(found(&mut stand)[0]["contactId"], json!(members[0]));
    stand.done(200, "POST", "/contacts/bulk/business", put(&members[..1], Value::Null));
    assert_eq!(ids(&stand.done(200, "GET", &list, None)["contacts"]), [members[1].clone()]);
    assert_eq!(found(&mut stand), json!([]));
    stand.advance(1);
    let changed = stand.done(200, "PUT", &format!("/businesses/{business}"), json!({"city": "London"}));
    assert_eq!(stand.events(), ["RecordUpdate"]);
    assert_eq!(changed["buiseness"]["updatedAt"], "2026-11-21T09:00:01.000Z");
    stand.done(200, "DELETE", &format!("/businesses/{business}"), None);
    assert_eq!(stand.events(), ["ContactUpdate", "RecordDelete"]);
    let left = stand.done(200, "GET", &format!("/contacts/{}", members[1]), None);
    assert_eq!(left["contact"].get("businessId"), None);
}

#[test]
fn bulk_tags_tell_for_each_contact_what_became_of_it() {
    let mut stand = Stand::new();
    let good = stand.contact(json!({"email": "a@example.com", "tags": ["one", "two"]}));
    let gone = stand.contact(json!({"email": "b@example.com"}));
    stand.done(200, "DELETE", &format!("/contacts/{gone}"), None);
    let stranger = "ABCDEFGHIJKLMNOPQRST";
    let mut body = json!({"locationId": LOCATION, "contacts": [good, "abc", gone, stranger], "tags": ["Two", "THREE"]});
    let answer = stand.done(201, "POST", "/contacts/bulk/tags/update/add", body.clone());
    assert_eq!((&answer["succeded"], &answer["errorCount"]), (&json!(true), &json!(3)));
    assert_eq!(
        answer["responses"][0],
        json!({"contactId": good, "message": "Tags updated", "type": "success", "oldTags": ["one", "two"],
            "tagsAdded": ["three"], "tagsRemoved": []})
    );
    let messages: Vec<&Value> = (1..4).map(|row| &answer["responses"][row]["message"]).collect();
    let wanted = ["contact id is not a valid firebase id", "contact is deleted", "contact does not belong to location"];
    assert_eq!(messages, wanted);
    assert_eq!(stand.events(), ["ContactTagUpdate"]);
    body["removeAllTags"] = true.into();
    let answer = stand.done(201, "POST", "/contacts/bulk/tags/update/remove", body.clone());
    assert_eq!(answer["responses"][0]["tagsRemoved"], json!(["one", "two", "three"]));
    assert_eq!(stand.call("POST", "/contacts/bulk/tags/update/swap", body).status, 422);
}

#[test]
fn followers_come_and_go_without_a_webhook() {
    let mut stand = Stand::new();
    let id = stand.contact(json!({"email": "a@example.com"}));
    let path = format!("/contacts/{id}/followers");
    stand.done(201, "POST", &path, json!({"followers": ["u1", "u2"]}));
    let added = stand.done(201, "POST", &path, json!({"followers": ["u2", "u3"]}));
    assert_eq!((&added["followers"], &added["followersAdded"]), (&json!(["u1", "u2", "u3"]), &json!(["u3"])));
    assert_eq!(stand.events(), [""; 0]);
    let removed = stand.done(200, "DELETE", &path, json!({"followers": ["u1", "u9"]}));
    assert_eq!((&removed["followers"], &removed["followersRemoved"]), (&json!(["u2", "u3"]), &json!(["u1"])));
}

#[test]
fn upsert_by_a_secondary_address_makes_it_the_primary_one() {
    let mut stand = Stand::new();
    let others = json!([{"email": "second@example.com"}, {"email": "third@example.com"}]);
    let fields = json!({"email": "first@example.com", "additionalEmails": others});
    let id = stand.edit("contact", "create", None, None, fields).unwrap();
    let body = json!({"locationId": LOCATION, "email": "Second@example.com"});
    assert_eq!(stand.done(200, "POST", "/contacts/upsert", body)["contact"]["id"], json!(id));
    let held = stand.done(200, "GET", &format!("/contacts/{id}"), None)["contact"].clone();
    assert_eq!(
        (&held["email"], &held["additionalEmails"]),
        (&json!("Second@example.com"), &json!([{"email": "third@example.com"}]))
    );
}

#[rstest]
#[case::duplicates_refused(false, false)]
#[case::duplicates_allowed(true, true)]
fn upsert_creates_without_a_look_only_where_duplicates_are_allowed(#[case] allowed: bool, #[case] new: bool) {
    let mut stand = Stand::new();
    stand.ghl.settings_mut().locations[0].allow_duplicates = allowed;
    let id = stand.contact(json!({"email": "a@example.com", "tags": ["old"]}));
    let body = json!({"locationId": LOCATION, "email": "a@example.com", "tags": ["New"],
        "createNewIfDuplicateAllowed": true});
    let answer = stand.done(200, "POST", "/contacts/upsert", body);
    assert_eq!((&answer["new"], answer["contact"]["id"] != json!(id)), (&json!(new), new));
    assert_eq!(answer["contact"]["tags"], json!(["new"]), "tags are overwritten");
}

#[test]
fn a_deleted_contact_is_out_of_sight_until_a_person_restores_it() {
    let mut stand = Stand::new();
    let id = stand.contact(json!({"email": "a@example.com", "tags": ["vip"]}));
    let note = stand.edit("note", "create", None, Some(&id), json!({"body": "Tea"})).unwrap();
    let booking = stand.appointment(&id, "2026-12-01T10:00:00Z");
    let path = format!("/contacts/{id}");
    stand.done(200, "DELETE", &path, None);
    for (method, path) in [("GET", path.clone()), ("DELETE", path.clone()), ("GET", format!("{path}/notes"))] {
        let reply = stand.call(method, &path, None);
        let wanted = json!(format!("Contact with id {id} not found"));
        assert_eq!((reply.status, &reply.body["message"]), (400, &wanted), "{method} {path}");
    }
    assert_eq!(stand.call("GET", &format!("/calendars/events/appointments/{booking}"), None).status, 400);
    let other = stand.contact(json!({"email": "a@example.com"}));
    assert!(stand.edit("contact", "restore", Some(&id), None, json!({})).is_err(), "its address is taken");
    stand.done(200, "DELETE", &format!("/contacts/{other}"), None);
    stand.edit("contact", "restore", Some(&id), None, json!({})).unwrap();
    assert_eq!(stand.events(), ["ContactCreate"]);
    assert_eq!(stand.done(200, "GET", &path, None)["contact"]["tags"], json!(["vip"]));
    assert_eq!(ids(&stand.done(200, "GET", &format!("{path}/notes"), None)["notes"]), [note]);
    let found = stand.done(200, "POST", "/contacts/search", json!({"locationId": LOCATION, "pageLimit": 5}));
    assert_eq!(ids(&found["contacts"]), [id]);
}

#[test]
fn a_refused_create_may_have_made_the_contact_all_the_same() {
    let mut stand = Stand::new();
    let body = json!({"locationId": LOCATION, "email": "a@example.com", "nickname": "A"});
    let count = |stand: &mut Stand| {
        let list = stand.done(200, "GET", &format!("/contacts/?locationId={LOCATION}"), None);
        list["count"].as_u64().unwrap()
    };
    assert_eq!(stand.call("POST", "/contacts/", body.clone()).status, 422);
    assert_eq!(count(&mut stand), 0);
    stand.ghl.settings_mut().refused_create_creates = true;
    assert_eq!(stand.call("POST", "/contacts/", body).status, 422);
    assert_eq!(stand.events(), ["ContactCreate"]);
    assert_eq!(count(&mut stand), 1);
}

#[test]
fn do_not_disturb_has_a_webhook_of_its_own_and_what_the_person_asked_for_has_none() {
    let mut stand = Stand::new();
    let id = stand.contact(json!({"email": "a@example.com"}));
    let path = format!("/contacts/{id}");
    stand.done(200, "PUT", &path, json!({"dndSettings": {"SMS": {"status": "active"}}}));
    assert_eq!(stand.events(), ["ContactDndUpdate"]);
    assert_eq!(stand.sent[0].body["dndSettings"], json!({"SMS": {"status": "active"}}));
    stand.done(200, "PUT", &path, json!({"inboundDndSettings": {"all": {"status": "active"}}}));
    assert_eq!(stand.events(), [""; 0]);
    stand.done(200, "PUT", &path, json!({"dnd": true, "city": "Berlin"}));
    assert_eq!(stand.events(), ["ContactUpdate", "ContactDndUpdate"]);
}

#[test]
fn a_custom_field_is_written_by_id_or_key_and_read_by_id() {
    let shoe =
        CustomFieldSettings { id: "CfAAAAAAAAAAAAAAAAA1".into(), name: "Shoe Size".into(), data_type: "TEXT".into() };
    let location = LocationSettings { custom_fields: vec![shoe], ..LocationSettings::new(LOCATION, "One") };
    let tokens = vec![TokenSettings::full(super::stand::TOKEN, &[LOCATION])];
    let mut stand = Stand::new();
    stand.ghl = Ghl::new(GhlSettings { tokens, locations: vec![location], ..GhlSettings::default() });
    let id = stand.contact(json!({"email": "a@example.com"}));
    for (number, key) in ["id", "key", "key"].into_iter().enumerate() {
        let name = ["CfAAAAAAAAAAAAAAAAA1", "shoe_size", "contact.shoe_size"][number];
        let body = json!({"customFields": [{key: name, "field_value": number.to_string()}]});
        let reply = stand.send(&Stand::request("PUT", &format!("/contacts/{id}"), Some(&body)));
        let wanted = json!([{"id": "CfAAAAAAAAAAAAAAAAA1", "value": number.to_string()}]);
        assert_eq!((reply.status, &reply.body["contact"]["customFields"]), (200, &wanted), "{name}");
    }
    let filter = json!({"field": "customFields.CfAAAAAAAAAAAAAAAAA1", "operator": "eq", "value": "2"});
    let body = json!({"locationId": LOCATION, "pageLimit": 5, "filters": [filter]});
    assert_eq!(ids(&stand.done(200, "POST", "/contacts/search", body)["contacts"]), [id]);
}

#[rstest]
#[case::eq("eq", json!("berlin"), &["b"])]
#[case::eq_any("eq", json!(["Berlin", "Paris"]), &["b", "p"])]
#[case::not_eq("not_eq", json!("Berlin"), &["none", "p"])]
#[case::contains("contains", json!("ar"), &["p"])]
#[case::not_contains("not_contains", json!("ar"), &["b", "none"])]
#[case::exists("exists", Value::Null, &["b", "p"])]
#[case::not_exists("not_exists", Value::Null, &["none"])]
fn search_knows_the_operator(#[case] operator: &str, #[case] value: Value, #[case] names: &[&str]) {
    let mut stand = Stand::new();
    for (name, city) in [("b", "Berlin"), ("none", ""), ("p", "Paris")] {
        stand.contact(json!({"firstName": name, "email": format!("{name}@example.com"), "city": city,
            "timezone": "Europe/Berlin"}));
    }
    let sort = json!([{"field": "firstNameLowerCase", "direction": "asc"}]);
    let filter = json!({"field": "city", "operator": operator, "value": value});
    let body = json!({"locationId": LOCATION, "pageLimit": 500, "filters": [filter], "sort": sort});
    let found = stand.done(200, "POST", "/contacts/search", body)["contacts"].clone();
    let found = found.as_array().unwrap();
    assert_eq!(found.iter().map(|one| one["firstName"].as_str().unwrap()).collect::<Vec<_>>(), names);
    assert!(found.iter().all(|one| one.get("timezone").is_none()));
}

#[rstest]
#[case::page_too_large(json!({"pageLimit": 501}))]
#[case::beyond_ten_thousand(json!({"pageLimit": 500, "page": 21}))]
#[case::page_and_cursor(json!({"pageLimit": 5, "page": 1, "searchAfter": [1, "a"]}))]
fn search_has_its_bounds(#[case] mut body: Value) {
    body["locationId"] = LOCATION.into();
    assert_eq!(Stand::new().call("POST", "/contacts/search", body).status, 422);
}

#[test]
fn tasks_are_searched_by_all_parameters() {
    let mut stand = Stand::new();
    let people: Vec<String> =
        ["a", "b"].map(|name| stand.contact(json!({"email": format!("{name}@example.com")}))).to_vec();
    let mut made = Vec::new();
    for (person, title, user, completed) in
        [(0, "Call", "u1", false), (0, "Write", "u2", true), (1, "Call", "u2", false)]
    {
        stand.advance(1);
        let body =
            json!({"title": title, "dueDate": "2026-12-01T10:00:00Z", "completed": completed, "assignedTo": user});
        let task = stand.done(201, "POST", &format!("/contacts/{}/tasks", people[person]), body);
        made.extend(ids(&json!([task["task"]])));
    }
    for (asked, wanted) in [
        (json!({"contactId": [people[0]]}), &made[..2]),
        (json!({"contactId": people}), &made[..]),
        (json!({"completed": true}), &made[1..2]),
        (json!({"assignedTo": ["u2"]}), &made[1..]),
        (json!({"assignedTo": ["u2"], "query": "call"}), &made[2..]),
        (json!({"limit": 1, "skip": 1}), &made[1..2]),
    ] {
        let found = stand.done(200, "POST", &format!("/locations/{LOCATION}/tasks/search"), asked.clone());
        assert_eq!(ids(&found["tasks"]), wanted, "{asked}");
    }
}

#[test]
fn a_refusals_message_can_be_a_list() {
    let mut stand = Stand::new();
    stand.ghl.settings_mut().listed_messages = true;
    let reply = stand.send(&Stand::request("GET", "/contacts/none", None));
    assert_eq!((reply.status, &reply.body["message"]), (400, &json!(["Contact with id none not found"])));
}

#[test]
fn what_belongs_to_another_location_is_not_touched() {
    let mut stand = Stand::new();
    for (method, path, body) in [
        ("POST", "/businesses/".to_owned(), json!({"locationId": FOREIGN, "name": "Engines"})),
        ("GET", format!("/users/?locationId={FOREIGN}"), Value::Null),
        ("GET", format!("/contacts/?locationId={FOREIGN}"), Value::Null),
        ("POST", format!("/locations/{FOREIGN}/tags"), json!({"name": "vip"})),
    ] {
        let body = (!body.is_null()).then_some(body);
        assert_eq!(stand.call(method, &path, body).status, 403, "{method} {path}");
    }
}
