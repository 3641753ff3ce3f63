//! The three systems side by side, field by field, from what the stand-ins themselves say they hold. The service is not asked.

use std::collections::BTreeSet;

use serde_json::Value;

use super::story::field_of;
use crate::clock::Millis;
use crate::sandbox::settings::Workspace;

/// One field of one object, in each system that holds the object.
#[derive(Debug, Clone)]
pub struct Row {
    /// The object, for people.
    pub object: String,
    /// The field.
    pub field: String,
    /// What GHL, TIMIFY (with its extension) and TimeRex (with its extension) hold; `None`: not there.
    pub held: [Option<String>; 3],
}

impl Row {
    /// Whether all who hold it hold the same.
    pub fn agrees(&self) -> bool {
        let values: BTreeSet<&String> = self.held.iter().flatten().collect();
        values.len() <= 1
    }
}

/// Compares everything.
pub fn compare(state: &Value, account: &Workspace) -> Vec<Row> {
    let sides = Sides {
        ghl: &state["ghl"],
        timify: &state["timify"][&account.timify_company],
        timify_extension: &state["extension"]["timify"][&account.timify_company],
        timerex: &state["timerex"][&account.timerex_team],
        timerex_extension: &state["extension"]["timerex"][&account.timerex_team],
    };
    let mut rows = sides.contacts();
    rows.extend(sides.children("tasks", &[("title", "title"), ("completed", "completed")]));
    rows.extend(sides.children("notes", &[("body", "content")]));
    rows.extend(sides.appointments());
    rows
}

struct Sides<'a> {
    ghl: &'a Value,
    timify: &'a Value,
    timify_extension: &'a Value,
    timerex: &'a Value,
    timerex_extension: &'a Value,
}

/// Objects with their ids; stand-ins list them by id, or as a list of objects with ids.
pub fn objects(value: &Value) -> Vec<(&str, &Value)> {
    match value {
        Value::Object(map) => map.iter().map(|(id, object)| (id.as_str(), object)).collect(),
        Value::Array(list) => list.iter().map(|object| (object["id"].as_str().unwrap_or_default(), object)).collect(),
        _ => Vec::new(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, ToOwned::to_owned)
}

fn tags(value: &Value) -> String {
    let names: BTreeSet<String> = value.as_array().into_iter().flatten().map(text).collect();
    names.into_iter().collect::<Vec<_>>().join(" ")
}

impl Sides<'_> {
    /// Contacts, matched by e-mail; each system's e-mails are in the list, so that a missing partner shows.
    fn contacts(&self) -> Vec<Row> {
        let mut emails: BTreeSet<String> =
            objects(&self.ghl["contacts"]).into_iter().map(|(_, c)| text(&c["email"])).collect();
        emails.extend(objects(&self.timify["customers"]).into_iter().map(|(_, customer)| field_of(customer, "email")));
        emails.extend(
            objects(&self.timerex_extension["contacts"]).into_iter().map(|(_, contact)| text(&contact["email"])),
        );
        let mut rows = Vec::new();
        for email in emails {
            let ghl = objects(&self.ghl["contacts"]).into_iter().find(|(_, c)| c["email"] == email.as_str());
            let timify = objects(&self.timify["customers"]).into_iter().find(|(_, c)| field_of(c, "email") == email);
            let timerex =
                objects(&self.timerex_extension["contacts"]).into_iter().find(|(_, c)| c["email"] == email.as_str());
            for (field, timify_field, pointer) in [
                ("firstName", "firstName", "/firstName"),
                ("lastName", "lastName", "/lastName"),
                ("phone", "mobilePhone", "/phone"),
                ("city", "city", "/address/city"),
            ] {
                let held = [
                    Some(ghl.map_or_else(String::new, |(_, c)| text(&c[field]))),
                    timify.map(|(_, c)| field_of(c, timify_field)),
                    timerex.map(|(_, c)| text(c.pointer(pointer).unwrap_or(&Value::Null))),
                ];
                rows.push(Row { object: email.clone(), field: field.to_owned(), held });
            }
            let of_timify = timify.map(|(id, _)| self.timify_tags(id));
            let held = [ghl.map(|(_, c)| tags(&c["tags"])), of_timify, timerex.map(|(_, c)| tags(&c["tags"]))];
            rows.push(Row { object: email, field: "tags".to_owned(), held });
        }
        rows
    }

    fn timify_tags(&self, customer: &str) -> String {
        let found = objects(&self.timify_extension["contacts"]).into_iter().find(|(id, _)| *id == customer);
        found.map_or_else(String::new, |(_, contact)| tags(&contact["tags"]))
    }

    /// Tasks and notes, in the order in which they were made on each side.
    fn children(&self, kind: &str, fields: &[(&str, &str)]) -> Vec<Row> {
        let list =
            |side: &Value| objects(&side[kind]).into_iter().map(|(_, object)| object.clone()).collect::<Vec<_>>();
        let sides = [list(self.ghl), list(self.timify_extension), list(self.timerex_extension)];
        let count = sides.iter().map(Vec::len).max().unwrap_or(0);
        let mut rows = Vec::new();
        for at in 0..count {
            for (ghl_field, field) in fields {
                let held = [(0, ghl_field), (1, field), (2, field)].map(|(side, field)| {
                    Some(sides[side].get(at).map_or_else(String::new, |object| text(&object[*field])))
                });
                rows.push(Row { object: format!("{kind} {}", at + 1), field: (*field).to_owned(), held });
            }
        }
        rows
    }

    /// Bookings that stand, by their start.
    fn appointments(&self) -> Vec<Row> {
        let instant = |value: &Value| Millis::parse(&text(value)).map(|at| at.0);
        let ghl =
            objects(&self.ghl["appointments"]).into_iter().filter(|(_, one)| one["appointmentStatus"] != "cancelled");
        let ghl: BTreeSet<_> = ghl.map(|(_, one)| (instant(&one["startTime"]), instant(&one["endTime"]))).collect();
        let end = |one: &Value| instant(&one["bookings"][0]["interval"]["end"]);
        let timify: BTreeSet<_> = objects(&self.timify["appointments"])
            .into_iter()
            .map(|(_, one)| (instant(&one["startDate"]), end(one)))
            .collect();
        let stands = |one: &Value| one["status"] == "confirmed" || one["status"] == 1;
        let timerex: BTreeSet<_> = objects(&self.timerex["appointments"])
            .into_iter()
            .filter(|(_, one)| stands(one))
            .map(|(_, one)| (instant(&one["start_datetime"]), instant(&one["end_datetime"])))
            .collect();
        let all: BTreeSet<_> = ghl.iter().chain(&timify).chain(&timerex).copied().collect();
        let shown = |slot: &(Option<i64>, Option<i64>)| {
            let of = |at: Option<i64>| at.map_or_else(String::new, |at| Millis(at).rfc3339());
            format!("{} to {}", of(slot.0), of(slot.1))
        };
        let row = |slot: &(Option<i64>, Option<i64>)| {
            let held = [&ghl, &timify, &timerex]
                .map(|side| Some(if side.contains(slot) { "booked".to_owned() } else { String::new() }));
            Row { object: format!("booking {}", shown(slot)), field: "stands".to_owned(), held }
        };
        all.iter().map(row).collect()
    }
}
