//! Listing notes, contact by contact, and tasks, state by state.

use super::*;
use crate::model::Link;
use crate::systems::{Page, Shown};

fn contacts(numbers: std::ops::Range<usize>) -> Told {
    let row = |at: usize| json!({ "id": format!("C{at}"), "searchAfter": [at, "x"] });
    told(200, json!({ "contacts": numbers.map(row).collect::<Vec<_>>() }))
}

fn notes(notes: Json) -> Told {
    told(200, json!({ "notes": notes }))
}

/// All pages of a listing of everything.
async fn pages(ghl: &Ghl, kind: Kind) -> Vec<Page> {
    let (mut pages, mut next) = (Vec::new(), None);
    loop {
        let page = ghl.changed(kind, None, next.as_deref()).await.unwrap();
        next.clone_from(&page.next);
        pages.push(page);
        if next.is_none() {
            return pages;
        }
    }
}

fn shown(pages: &[Page]) -> Vec<&str> {
    pages.iter().flat_map(|page| &page.observations).map(|seen| seen.id.as_str()).collect()
}

#[tokio::test]
async fn all_notes_take_a_call_a_contact_and_one_a_hundred_contacts() {
    let noted = |at: usize| if at == 70 { json!([{ "id": "N70", "body": "hi" }]) } else { json!([]) };
    let of = |numbers: std::ops::Range<usize>| numbers.map(|at| notes(noted(at))).collect::<Vec<_>>();
    let answers = [vec![contacts(0..100)], of(0..100), vec![contacts(100..150)], of(100..150)].concat();
    let (ghl, script) = ghl(answers);
    let pages = pages(&ghl, Kind::Note).await;
    let asked = script.asked();
    assert_eq!((pages.len(), asked.len()), (152, 152), "each page is one call");
    assert_eq!((asked[0].0.as_str(), asked[101].0.as_str()), ("POST /contacts/search", "POST /contacts/search"));
    assert_eq!((&asked[0].1["searchAfter"], &asked[101].1["searchAfter"]), (&Json::Null, &json!([99, "x"])));
    assert_eq!(asked[71].0, "GET /contacts/C70/notes");
    assert_eq!(shown(&pages), ["N70"]);
    let listed: Vec<_> = pages.iter().filter_map(|page| page.of.clone()).collect();
    let expected: Vec<_> = (0..150).map(|at| id(&format!("C{at}"))).collect();
    assert_eq!(listed, expected, "each contact's list is said to be whole");
    let seen = &pages[71].observations[0];
    assert_eq!((seen.class, &seen.parent), (Class::Claim, &Some(id("C70"))));
}

#[tokio::test]
async fn a_full_hundred_of_contacts_may_be_all() {
    let none = (0..100).map(|_| notes(json!([])));
    let answers: Vec<Told> = [contacts(0..100)].into_iter().chain(none).chain([contacts(0..0)]).collect();
    let (ghl, script) = ghl(answers);
    assert_eq!(pages(&ghl, Kind::Note).await.last().unwrap(), &Page::empty());
    assert_eq!(script.asked().len(), 102);
}

#[tokio::test]
async fn a_contact_that_went_away_meanwhile_says_nothing_of_its_notes() {
    let gone = told(400, json!({ "message": "Contact with id C0 not found" }));
    let (ghl, _) = ghl([contacts(0..2), gone, notes(json!([{ "id": "N1", "contactId": "C1", "body": "hi" }]))]);
    let pages = pages(&ghl, Kind::Note).await;
    assert_eq!(pages.iter().map(|page| page.of.clone()).collect::<Vec<_>>(), [None, None, Some(id("C1"))]);
    assert_eq!(shown(&pages), ["N1"]);
}

#[tokio::test]
async fn contacts_of_another_location_and_deleted_ones_are_not_asked_for_notes() {
    let rows = json!([{ "id": "A", "locationId": "Other" }, { "id": "B", "deleted": true }, { "id": "C" }]);
    let (ghl, script) = ghl([told(200, json!({ "contacts": rows })), notes(json!([]))]);
    pages(&ghl, Kind::Note).await;
    assert_eq!(script.asked()[1].0, "GET /contacts/C/notes");
}

#[tokio::test]
async fn notes_are_not_listed_since_a_time() {
    let (ghl, script) = ghl([]);
    assert_eq!(ghl.changed(Kind::Note, Some(Millis(1)), None).await.unwrap(), Page::empty());
    assert_eq!(script.asked(), []);
}

#[rstest]
#[case("not a page")]
#[case("[[\"C1\"]]")]
#[case("7")]
#[tokio::test]
async fn what_names_no_page_of_notes_is_not_asked_for(#[case] page: &str) {
    let (ghl, script) = ghl([]);
    assert!(matches!(ghl.changed(Kind::Note, None, Some(page)).await, Err(SystemError::Unavailable { .. })));
    assert_eq!(script.asked(), []);
}

#[test]
fn a_note_is_listed_with_its_contact() {
    let (ghl, _) = ghl([]);
    let of = |kind| Link::new("w", crate::model::EntityId(uuid::Uuid::nil()), System::Ghl, kind, id("X"));
    assert_eq!(ghl.shows(&of(Kind::Note)), Shown::Below);
    assert_eq!(ghl.shows(&of(Kind::Task)), Shown::Always);
}

#[tokio::test]
async fn open_tasks_are_listed_then_completed_ones() {
    let tasks = |numbers: std::ops::Range<usize>| {
        let row = |at: usize| json!({ "id": format!("T{at}"), "title": "Call", "contactId": "C" });
        told(200, json!({ "tasks": numbers.map(row).collect::<Vec<_>>() }))
    };
    let (ghl, script) = ghl([tasks(0..100), tasks(100..101), tasks(101..201), tasks(201..202)]);
    let pages = pages(&ghl, Kind::Task).await;
    assert_eq!(shown(&pages).len(), 202);
    let asked: Vec<_> = script.asked().into_iter().map(|(_, body)| body).collect();
    let page = |completed: bool, skip: usize| json!({ "completed": completed, "limit": 100, "skip": skip });
    assert_eq!(asked, [page(false, 0), page(false, 100), page(true, 0), page(true, 100)]);
}
