//! What the stand-ins themselves say they hold, in one form for all of them. The service is not asked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::clock::Millis;
use crate::model::{Kind, System};
use crate::sandbox::settings::Workspace;

/// One object of one system.
#[derive(Debug, Clone)]
pub struct Held {
    /// The system.
    pub system: System,
    /// The kind.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Its fields, by our names; what is blank is left out.
    pub fields: BTreeMap<&'static str, String>,
}

/// Our name of a field, and where the vendor has it.
type Place = (&'static str, &'static str);

const GHL_CONTACT: &[Place] = &[
    ("first_name", "/firstName"),
    ("last_name", "/lastName"),
    ("email", "/email"),
    ("phone", "/phone"),
    ("city", "/city"),
];
const TIMIFY_CONTACT: &[Place] = &[
    ("first_name", "/plain/firstName"),
    ("last_name", "/plain/lastName"),
    ("email", "/plain/email"),
    ("phone", "/plain/mobilePhone"),
    ("city", "/plain/city"),
];
const TIMEREX_CONTACT: &[Place] = &[
    ("first_name", "/firstName"),
    ("last_name", "/lastName"),
    ("email", "/email"),
    ("phone", "/phone"),
    ("city", "/address/city"),
];
const TASK: &[Place] = &[("title", "/title"), ("completed", "/completed")];
const GHL_NOTE: &[Place] = &[("body", "/body")];
const NOTE: &[Place] = &[("body", "/content")];

/// All that stands in the accounts of a workspace.
pub fn held(state: &Value, account: &Workspace) -> Vec<Held> {
    let timify = &state["timify"][&account.timify_company];
    let timify_extension = &state["extension"]["timify"][&account.timify_company];
    let timerex = &state["timerex"][&account.timerex_team];
    let timerex_extension = &state["extension"]["timerex"][&account.timerex_team];
    let at_ghl = |list: &str| -> Vec<Value> {
        let all = objects(&state["ghl"][list]);
        all.into_iter().filter(|one| one["locationId"] == account.ghl_location.as_str()).collect()
    };
    let mut held = Vec::new();
    let mut add = |system, kind, list: Vec<Value>, places: &[Place]| {
        held.extend(list.iter().map(|one| Held { system, kind, id: id(one), fields: fields(one, places) }));
    };
    add(System::Ghl, Kind::Contact, at_ghl("contacts"), GHL_CONTACT);
    add(System::Timify, Kind::Contact, objects(&timify["customers"]), TIMIFY_CONTACT);
    add(System::Timerex, Kind::Contact, objects(&timerex_extension["contacts"]), TIMEREX_CONTACT);
    add(System::Ghl, Kind::Task, at_ghl("tasks"), TASK);
    add(System::Timify, Kind::Task, objects(&timify_extension["tasks"]), TASK);
    add(System::Timerex, Kind::Task, objects(&timerex_extension["tasks"]), TASK);
    add(System::Ghl, Kind::Note, at_ghl("notes"), GHL_NOTE);
    add(System::Timify, Kind::Note, objects(&timify_extension["notes"]), NOTE);
    add(System::Timerex, Kind::Note, objects(&timerex_extension["notes"]), NOTE);
    let stands = |one: &Value| one["appointmentStatus"] != "cancelled";
    let booked: Vec<Value> = at_ghl("appointments").into_iter().filter(stands).collect();
    add(System::Ghl, Kind::Appointment, booked, &[("start", "/startTime"), ("end", "/endTime")]);
    let of_timify = &[("start", "/startDate"), ("end", "/bookings/0/interval/end")];
    add(System::Timify, Kind::Appointment, objects(&timify["appointments"]), of_timify);
    let stands = |one: &Value| one["status"] == "confirmed" || one["status"] == 1;
    let booked: Vec<Value> = objects(&timerex["appointments"]).into_iter().filter(stands).collect();
    add(System::Timerex, Kind::Appointment, booked, &[("start", "/start_datetime"), ("end", "/end_datetime")]);
    let tags = |list: Vec<Value>| -> BTreeMap<String, String> {
        list.iter().map(|one| (id(one), tags(&one["tags"]))).filter(|(_, tags)| !tags.is_empty()).collect()
    };
    let tagged = [
        (System::Ghl, tags(at_ghl("contacts"))),
        (System::Timify, tags(objects(&timify_extension["contacts"]))),
        (System::Timerex, tags(objects(&timerex_extension["contacts"]))),
    ];
    for one in held.iter_mut().filter(|one| one.kind == Kind::Contact) {
        let of_system = tagged.iter().find(|(system, _)| *system == one.system);
        if let Some(tags) = of_system.and_then(|(_, tags)| tags.get(&one.id)) {
            one.fields.insert("tags", tags.clone());
        }
    }
    held
}

fn objects(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(map) => map.values().cloned().collect(),
        Value::Array(list) => list.clone(),
        _ => Vec::new(),
    }
}

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap_or_default().to_owned()
}

fn fields(value: &Value, places: &[Place]) -> BTreeMap<&'static str, String> {
    let field = |(name, place): &Place| Some((*name, text(name, value.pointer(place)?)));
    places.iter().filter_map(field).filter(|(_, text)| !text.is_empty()).collect()
}

fn text(name: &str, value: &Value) -> String {
    let text = match value {
        Value::Null | Value::Bool(false) => String::new(),
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    match name {
        "email" => text.to_lowercase(),
        "start" | "end" => Millis::parse(&text).map_or(text, |at| at.0.to_string()),
        _ => text,
    }
}

fn tags(value: &Value) -> String {
    let names: BTreeSet<String> =
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_lowercase).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}
