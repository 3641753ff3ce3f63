//! Contacts as the stand-ins themselves say they hold them, in one form for all systems. The service is not asked.

use std::collections::BTreeMap;

use lockstep::sandbox::Workspace as Account;
use serde_json::Value;

/// Where a field stands: in GHL and the TimeRex extension, and in TIMIFY.
const FIELDS: &[(&str, &str, &str)] = &[
    ("firstName", "/firstName", "/plain/firstName"),
    ("lastName", "/lastName", "/plain/lastName"),
    ("email", "/email", "/plain/email"),
    ("phone", "/phone", "/plain/mobilePhone"),
    ("city", "/city", "/plain/city"),
];

/// A contact of one system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Its id there.
    pub id: String,
    /// Its fields; an empty text where there is none.
    pub fields: BTreeMap<&'static str, String>,
}

impl Person {
    fn of(id: &str, object: &Value, timify: bool) -> Self {
        let text = |&(name, plain, in_timify): &(&'static str, &str, &str)| {
            let value = object.pointer(if timify { in_timify } else { plain });
            let value = value.or_else(|| object.pointer(&format!("/address{plain}")));
            (name, value.and_then(Value::as_str).unwrap_or_default().to_owned())
        };
        Self { id: id.to_owned(), fields: FIELDS.iter().map(text).collect() }
    }
}

/// The contacts of an account: `system` is `ghl`, `timify`, or `timerex+` for TimeRex's extension.
pub fn people(state: &Value, account: &Account, system: &str) -> Vec<Person> {
    let (held, timify) = match system {
        "ghl" => (&state["ghl"]["contacts"], false),
        "timify" => (&state["timify"][&account.timify_company]["customers"], true),
        _ => (&state["extension"]["timerex"][&account.timerex_team]["contacts"], false),
    };
    let all: Vec<(&str, &Value)> = match held {
        Value::Object(map) => map.iter().map(|(id, object)| (id.as_str(), object)).collect(),
        other => other.as_array().into_iter().flatten().map(|one| (one["id"].as_str().unwrap_or(""), one)).collect(),
    };
    let ours = |one: &&(&str, &Value)| system != "ghl" || one.1["locationId"] == account.ghl_location.as_str();
    all.iter().filter(ours).map(|(id, object)| Person::of(id, object, timify)).collect()
}
