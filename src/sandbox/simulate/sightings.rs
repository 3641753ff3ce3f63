//! What the service was shown of people's values, object by object.
//!
//! In: the bodies that it took in, of answers and of webhooks. Out: whether it saw a value in an object, and whether the last
//! look at that object showed it. A value may be in two objects, as one phone may be two people's: it counts where it stood.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::tokens;
use crate::clock::Millis;

/// By what something was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// A webhook that hints at it.
    Claim,
    /// A webhook with a version of the object.
    Version,
    /// An answer.
    Answer,
}

/// What a request looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// All that it is answered.
    All,
    /// One object among those that are listed: where there is no search, all are listed to look for one of them, and nobody
    /// looks at the others.
    One,
    /// A customer of TIMIFY, whose tags are its extension's: nothing is looked at before these are told.
    Customer(String),
    /// The tags of one.
    Tags(String),
}

/// All that was shown.
#[derive(Debug, Default)]
pub struct Sightings {
    ever: BTreeSet<(String, u32)>,
    last: BTreeMap<String, BTreeSet<u32>>,
    /// When each object was shown in an answer.
    looks: BTreeMap<String, BTreeSet<Millis>>,
    /// The same in answers of which nobody knows whether they were kept.
    perhaps: BTreeMap<String, BTreeSet<Millis>>,
    /// Values that were set back to. Of these a webhook tells nothing: its value is one that was there before.
    again: BTreeSet<(String, u32)>,
    /// Customers that were shown, and whose tags were not yet.
    customers: BTreeMap<String, Vec<u8>>,
}

impl Sightings {
    /// Takes in a body.
    pub fn look(&mut self, body: &[u8], by: By, at: Millis) {
        if let Ok(body) = serde_json::from_slice(body) {
            self.object(&body, by, at);
        }
    }

    /// Takes in an answer, if it told anything.
    pub fn answered(&mut self, look: Look, told: Option<&[u8]>, at: Millis) {
        match (look, told) {
            (Look::All, Some(told)) => self.look(told, By::Answer, at),
            (Look::Customer(id), Some(told)) => drop(self.customers.insert(id, told.to_vec())),
            (Look::Tags(id), tags) => {
                if let Some((customer, tags)) = self.customers.remove(&id).zip(tags) {
                    self.look(&customer, By::Answer, at);
                    self.look(tags, By::Answer, at);
                }
            }
            (Look::All | Look::One | Look::Customer(_), _) => {}
        }
    }

    /// Takes in an answer of which nobody knows whether it was kept: the object may have been looked at, and nothing more.
    pub fn perhaps(&mut self, told: Option<&[u8]>, at: Millis) {
        let json: Option<Value> = told.and_then(|told| serde_json::from_slice(told).ok());
        let Some(json) = json else { return };
        // What a vendor tells of one object is under its kind, an extension's object is all there is.
        let within = json.as_object().into_iter().flat_map(serde_json::Map::values).chain([&json]);
        for id in within.filter_map(|one| one["id"].as_str()) {
            self.perhaps.entry(id.to_owned()).or_default().insert(at);
        }
    }

    /// Gives the values in some JSON; they are shown of every object that they stand in.
    fn object(&mut self, json: &Value, by: By, at: Millis) -> BTreeSet<u32> {
        let mut values = BTreeSet::new();
        match json {
            Value::String(text) => tokens::scan(text.as_bytes(), &mut values),
            Value::Array(list) => list.iter().for_each(|one| values.extend(self.object(one, by, at))),
            Value::Object(map) => map.values().for_each(|one| values.extend(self.object(one, by, at))),
            _ => {}
        }
        if let Some(id) = json["id"].as_str() {
            if by == By::Answer {
                self.looks.entry(id.to_owned()).or_default().insert(at);
            }
            let seen = values.iter().map(|token| (id.to_owned(), *token));
            self.ever.extend(seen.filter(|value| by == By::Answer || !self.again.contains(value)));
            // An extension keeps the tags of a vendor's object by the same id, and none of its names.
            if by > By::Claim && !values.is_empty() {
                self.last.insert(id.to_owned(), values.clone());
            }
        }
        values
    }

    /// Whether the value of an edit was seen in an object since it was set there.
    pub fn saw(&self, id: &str, token: u32) -> bool {
        self.ever.contains(&(id.to_owned(), token))
    }

    /// All objects that were ever looked at.
    pub fn objects(&self) -> impl Iterator<Item = &String> {
        self.looks.keys()
    }

    /// Whether an object was looked at in that time.
    pub fn looked(&self, id: &str, from: Millis, to: Millis) -> bool {
        within(&self.looks, id, from, to)
    }

    /// Whether it may have been.
    pub fn may_have_looked(&self, id: &str, from: Millis, to: Millis) -> bool {
        self.looked(id, from, to) || within(&self.perhaps, id, from, to)
    }

    /// Whether the last look at an object showed the value: to set it again is no edit, whatever was there for a moment.
    pub fn shows(&self, id: &str, token: u32) -> bool {
        self.last.get(id).is_some_and(|values| values.contains(&token))
    }

    /// The value is set in an object. That it was seen there before tells nothing of this edit.
    pub fn set(&mut self, id: &str, token: u32) {
        let value = (id.to_owned(), token);
        if self.ever.remove(&value) {
            self.again.insert(value);
        }
    }
}

fn within(looks: &BTreeMap<String, BTreeSet<Millis>>, id: &str, from: Millis, to: Millis) -> bool {
    looks.get(id).is_some_and(|looks| looks.range(from..=to).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(sightings: &mut Sightings, body: &Value, by: By) {
        sightings.look(body.to_string().as_bytes(), by, Millis(1));
    }

    #[test]
    fn a_value_is_seen_in_the_object_that_it_stands_in_and_in_no_other() {
        let mut seen = Sightings::default();
        let within = serde_json::json!({ "id": "1", "fields": [{ "id": "f", "value": tokens::phone(7) }] });
        look(&mut seen, &serde_json::json!({ "data": [within, { "id": "2", "name": "none" }] }), By::Answer);
        assert_eq!(["1", "f", "2"].map(|id| seen.saw(id, 7)), [true, true, false]);
        seen.set("1", 7);
        assert_eq!(["1", "f"].map(|id| seen.saw(id, 7)), [false, true]);
    }

    /// Found by simulation (seed 400024699): a replica stood still when it was answered, the other one was down, and so it went on
    /// with its lease and what it had read.
    #[test]
    fn an_answer_that_may_have_been_kept_may_have_been_a_look() {
        let mut seen = Sightings::default();
        let body = serde_json::json!({ "task": { "id": "t", "title": tokens::text(7) } }).to_string();
        seen.perhaps(Some(body.as_bytes()), Millis(5));
        let looked = (seen.may_have_looked("t", Millis(5), Millis(5)), seen.looked("t", Millis(5), Millis(5)));
        assert_eq!((looked, seen.saw("t", 7)), ((true, false), false));
    }

    #[test]
    fn the_last_look_that_proves_something_tells_what_an_object_shows() {
        let mut seen = Sightings::default();
        let named = |token| serde_json::json!({ "id": "1", "name": tokens::text(token) });
        look(&mut seen, &named(1), By::Answer);
        look(&mut seen, &named(2), By::Claim);
        assert_eq!((seen.shows("1", 1), seen.shows("1", 2), seen.saw("1", 2)), (true, false, true));
        look(&mut seen, &named(3), By::Version);
        assert_eq!((seen.shows("1", 1), seen.shows("1", 3), seen.shows("2", 3)), (false, true, false));
        look(&mut seen, &serde_json::json!({ "id": "1", "tags": ["vip"] }), By::Version);
        assert!(seen.shows("1", 3), "tags tell nothing of names");
        seen.look(b"{ no JSON v4q", By::Answer, Millis(1));
    }

    #[test]
    fn only_an_answer_shows_that_a_value_was_set_back() {
        let mut seen = Sightings::default();
        let named = serde_json::json!({ "id": "1", "name": tokens::text(1) });
        seen.set("1", 1);
        look(&mut seen, &named, By::Claim);
        assert!(seen.saw("1", 1));
        seen.set("1", 1);
        look(&mut seen, &named, By::Version);
        assert!(!seen.saw("1", 1));
        look(&mut seen, &named, By::Answer);
        assert!(seen.saw("1", 1));
    }
}
