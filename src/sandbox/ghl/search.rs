//! `POST /contacts/search`: filters, groups, sort, pages and cursors over an index that may lag behind the writes.
//!
//! In: a search body. Out: contacts as they stood `search_lag_ms` ago, whatever the clock was set to since, each with the
//! `searchAfter` that continues after it.
//! Facts: GHL dossier 3.3 (search). Time zones are not in the answer (vendor issue #185).

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use super::Ghl;
use super::answers::{Answer, Refusal};
use super::fields::{Fields, Shelf, text};
use super::routes::Call;
use crate::clock::Millis;
use crate::sandbox::Turn;

const MOST_A_PAGE: usize = 500;
const MOST_BY_PAGES: usize = 10_000;
const LONGEST_QUERY: usize = 75;

/// What search can see, and what it will see later.
#[derive(Debug, Default)]
pub(super) struct Index {
    seen: Shelf,
    waiting: VecDeque<(Millis, String, Option<Fields>)>,
}

impl Index {
    pub(super) fn learn(&mut self, contact: Fields, now: Millis, lag_ms: u64) {
        self.settle(now);
        let due = now + Duration::from_millis(lag_ms);
        self.waiting.push_back((due, text(&contact, "id").to_owned(), Some(contact)));
    }

    pub(super) fn forget(&mut self, id: &str, now: Millis, lag_ms: u64) {
        self.settle(now);
        self.waiting.push_back((now + Duration::from_millis(lag_ms), id.to_owned(), None));
    }

    /// Takes in what is due.
    fn settle(&mut self, now: Millis) {
        while let Some((_, id, contact)) = self.waiting.pop_front_if(|(due, ..)| *due <= now) {
            match contact {
                Some(contact) => self.seen.insert(id, contact),
                None => self.seen.remove(&id),
            };
        }
    }
}

pub(super) fn post(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    ghl.index.settle(turn.real);
    let page = Page::read(&call.body)?;
    let (location, words) = (text(&call.body, "locationId"), text(&call.body, "query").to_lowercase());
    let filters = call.body.get("filters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let orders = orders(&call.body);
    let wanted = |contact: &&Fields| {
        text(contact, "locationId") == location
            && says(contact, &words)
            && filters.iter().all(|filter| passes(contact, filter))
    };
    let mut found: Vec<(Vec<Value>, &Fields)> =
        ghl.index.seen.values().filter(wanted).map(|contact| (cursor(contact, &orders), contact)).collect();
    found.sort_by(|(a, _), (b, _)| compare(a, b, &orders));
    let total = found.len();
    if let Some(after) = &page.after {
        found.retain(|(cursor, _)| compare(cursor, after, &orders) == Ordering::Greater);
    }
    let shown = found.into_iter().skip(page.skip).take(page.limit).map(|(cursor, contact)| {
        let mut shown = contact.clone();
        shown.remove("timezone");
        shown.insert("searchAfter".to_owned(), cursor.into());
        Value::Object(shown)
    });
    Ok(json!({"contacts": shown.collect::<Vec<_>>(), "total": total}))
}

/// Whether the words (in lower case) stand in the name, the e-mail or the phone of a shown contact.
pub(super) fn says(contact: &Fields, words: &str) -> bool {
    ["fullNameLowerCase", "emailLowerCase", "phone"].iter().any(|key| text(contact, key).contains(words))
}

struct Page {
    skip: usize,
    limit: usize,
    after: Option<Vec<Value>>,
}

impl Page {
    fn read(body: &Fields) -> Result<Self, Refusal> {
        let number = |key: &str| body.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        let after = body.get("searchAfter").and_then(Value::as_array).cloned();
        let limit = number("pageLimit").unwrap_or(0);
        let page = number("page").unwrap_or(1).max(1);
        let faults = [
            (limit == 0 || limit > MOST_A_PAGE, "pageLimit must be between 1 and 500"),
            (
                text(body, "query").chars().count() > LONGEST_QUERY,
                "query must be shorter than or equal to 75 characters",
            ),
            (after.is_some() && body.contains_key("page"), "page and searchAfter must not be sent together"),
            (page.saturating_mul(limit) > MOST_BY_PAGES, "use searchAfter beyond 10000 records"),
        ];
        let messages: Vec<String> = faults.iter().filter(|(bad, _)| *bad).map(|(_, say)| (*say).to_owned()).collect();
        if messages.is_empty() {
            Ok(Self { skip: (page - 1) * limit, limit, after })
        } else {
            Err(Refusal::unprocessable(messages))
        }
    }
}

/// The fields to sort by, each with whether it is descending. Newest first when none is asked for.
fn orders(body: &Fields) -> Vec<(String, bool)> {
    let asked = body.get("sort").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let read = |sort: &Value| Some((sort["field"].as_str()?.to_owned(), sort["direction"] == "desc"));
    let orders: Vec<_> = asked.iter().filter_map(read).collect();
    if orders.is_empty() { vec![("dateAdded".to_owned(), true)] } else { orders }
}

/// Where a contact stands in an order: its sort values, then its id.
fn cursor(contact: &Fields, orders: &[(String, bool)]) -> Vec<Value> {
    let values = orders.iter().map(|(field, _)| contact.get(field).map_or(Value::Null, comparable));
    values.chain([text(contact, "id").into()]).collect()
}

fn compare(a: &[Value], b: &[Value], orders: &[(String, bool)]) -> Ordering {
    let descending = orders.iter().map(|(_, descending)| *descending).chain([false]);
    let turned = |((a, b), down)| if down { order(b, a) } else { order(a, b) };
    a.iter().zip(b).zip(descending).map(turned).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Instants as epoch milliseconds, other texts in lower case.
fn comparable(value: &Value) -> Value {
    let Some(text) = value.as_str() else { return value.clone() };
    Millis::parse(text).map_or_else(|| text.to_lowercase().into(), |at| at.0.into())
}

fn order(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.as_str().cmp(&b.as_str()),
    }
}

/// Whether a contact passes a filter or a group of filters.
fn passes(contact: &Fields, filter: &Value) -> bool {
    if let Some(parts) = filter["filters"].as_array() {
        let mut each = parts.iter().map(|part| passes(contact, part));
        return if filter["group"] == "OR" { each.any(|pass| pass) } else { each.all(|pass| pass) };
    }
    let held = filter["field"].as_str().and_then(|field| held(contact, field)).unwrap_or(&Value::Null);
    let wanted = &filter["value"];
    match filter["operator"].as_str().unwrap_or_default() {
        "eq" => equals(held, wanted),
        "not_eq" => !equals(held, wanted),
        "contains" => contains(held, wanted),
        "not_contains" => !contains(held, wanted),
        "exists" => !held.is_null(),
        "not_exists" => held.is_null(),
        "range" => in_range(held, wanted),
        _ => false,
    }
}

/// A field of a contact; `customFields.<id>` is the value of a custom one.
fn held<'a>(contact: &'a Fields, field: &str) -> Option<&'a Value> {
    let Some(id) = field.strip_prefix("customFields.") else { return contact.get(field) };
    let entries = contact.get("customFields").and_then(Value::as_array)?;
    entries.iter().find(|entry| entry["id"] == id).map(|entry| &entry["value"])
}

/// A list (tags) equals a value that it holds; several wanted values are alternatives.
fn equals(held: &Value, wanted: &Value) -> bool {
    match (held, wanted) {
        (_, Value::Array(any)) => any.iter().any(|wanted| equals(held, wanted)),
        (Value::Array(list), _) => list.iter().any(|held| equals(held, wanted)),
        _ => comparable(held) == comparable(wanted),
    }
}

fn contains(held: &Value, wanted: &Value) -> bool {
    let wanted = wanted.as_str().unwrap_or_default().to_lowercase();
    let text = |value: &Value| value.as_str().is_some_and(|text| text.to_lowercase().contains(&wanted));
    held.as_array().map_or_else(|| text(held), |list| list.iter().any(text))
}

fn in_range(held: &Value, wanted: &Value) -> bool {
    let held = comparable(held);
    let bound = |key: &str, fits: fn(Ordering) -> bool| {
        wanted.get(key).is_none_or(|limit| fits(order(&held, &comparable(limit))))
    };
    !held.is_null()
        && bound("gte", Ordering::is_ge)
        && bound("lte", Ordering::is_le)
        && bound("gt", Ordering::is_gt)
        && bound("lt", Ordering::is_lt)
}
