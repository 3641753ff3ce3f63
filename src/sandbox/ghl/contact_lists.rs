//! Lists of contacts: the deprecated one of a location, and the contacts of a business.
//!
//! In: a query. Out: pages, newest first. Unlike search these do not lag behind the writes.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::Ghl;
use super::answers::Answer;
use super::contact_fields::read;
use super::fields::{Fields, text};
use super::routes::Call;
use super::search::says;
use crate::clock::Millis;
use crate::sandbox::Turn;

const A_PAGE: usize = 20;
const A_PAGE_OF_BUSINESS: usize = 25;

/// `GET /contacts/`: goes on after the instant and the id of the last contact seen.
pub(super) fn list(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    ghl.location(call.asked("locationId"))?;
    let found = newest_first(ghl, call, |_| true);
    let (total, limit) = (found.len(), call.number("limit", A_PAGE).max(1));
    let after = call.asked("startAfter").parse().ok().map(|at| (Reverse(at), call.asked("startAfterId")));
    let rest: Vec<&Fields> =
        found.into_iter().filter(|contact| after.is_none_or(|after| rank(contact) > after)).collect();
    let page = (total - rest.len()) / limit + 1;
    let more = rest.len() > limit;
    let shown: Vec<&Fields> = rest.into_iter().take(limit).collect();
    let mut meta = json!({"total": total, "currentPage": page, "nextPage": more.then_some(page + 1)});
    meta["prevPage"] = (page > 1).then_some(page - 1).into();
    if let Some(last) = shown.last().filter(|_| more) {
        let (Reverse(at), id) = rank(last);
        let location = call.asked("locationId");
        meta["startAfter"] = at.into();
        meta["startAfterId"] = id.into();
        meta["nextPageUrl"] = format!("/contacts/?locationId={location}&startAfter={at}&startAfterId={id}").into();
    }
    Ok(json!({"contacts": views(shown), "count": total, "meta": meta}))
}

/// `GET /contacts/business/{businessId}`
pub(super) fn of_business(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    ghl.business_in(call.asked("locationId"), &call.ids[0])?;
    let found = newest_first(ghl, call, |contact| text(contact, "businessId") == call.ids[0]);
    let count = found.len();
    let page = found.into_iter().skip(call.number("skip", 0)).take(call.number("limit", A_PAGE_OF_BUSINESS));
    Ok(json!({"contacts": views(page), "count": count}))
}

fn newest_first<'a>(ghl: &'a Ghl, call: &Call, pass: impl Fn(&Fields) -> bool) -> Vec<&'a Fields> {
    let (location, words) = (call.asked("locationId"), call.asked("query").to_lowercase());
    let wanted =
        |contact: &&Fields| text(contact, "locationId") == location && pass(contact) && says(&read(contact), &words);
    let mut found: Vec<&Fields> = ghl.contacts.values().filter(wanted).collect();
    found.sort_by_key(|contact| rank(contact));
    found
}

/// The place in a list: newest first, then by id.
fn rank(contact: &Fields) -> (Reverse<i64>, &str) {
    (Reverse(Millis::parse(text(contact, "dateAdded")).unwrap_or_default().0), text(contact, "id"))
}

fn views<'a>(contacts: impl IntoIterator<Item = &'a Fields>) -> Vec<Value> {
    contacts.into_iter().map(|contact| Value::Object(read(contact))).collect()
}
