//! What v3 says otherwise than v2, for the objects here: keys of bodies and of answers.
//!
//! In: a body or an answer. Out: the same in the other version's words. The stand-in itself thinks in v2. Facts: GHL
//! dossier 3.1; dates in an appointment's write answers stand with the appointments, the missing list with the routes.

use http::HeaderMap;
use serde_json::Value;

use super::answers::Refusal;
use super::fields::Fields;

/// Keys of "do not disturb" settings: v2, v3.
const CHANNELS: &[(&str, &str)] =
    &[("Call", "call"), ("Email", "email"), ("SMS", "sms"), ("WhatsApp", "whatsApp"), ("GMB", "gmb"), ("FB", "fb")];

/// Whether the caller asks for v3.
pub(super) fn asked(headers: &HeaderMap) -> bool {
    headers.get("version").is_some_and(|version| version == "v3")
}

/// Turns a v3 body into v2's keys; v2's own keys are refused.
pub(super) fn request(body: &mut Fields) -> Result<(), Refusal> {
    let mut strangers = Vec::new();
    for entry in body.get_mut("customFields").and_then(Value::as_array_mut).into_iter().flatten() {
        strangers.extend(rename(entry, "fieldValue", "field_value"));
    }
    if let Some(settings) = body.get_mut("dndSettings") {
        strangers.extend(CHANNELS.iter().filter_map(|(v2, v3)| rename(settings, v3, v2)));
    }
    if strangers.is_empty() {
        return Ok(());
    }
    Err(Refusal::unprocessable(strangers.iter().map(|key| format!("property {key} should not exist")).collect()))
}

/// Turns a v2 answer into v3's keys.
pub(super) fn answer(body: &mut Value) {
    rename(body, "succeded", "succeeded");
    let many = body.get_mut("contacts").and_then(Value::as_array_mut).into_iter().flatten();
    many.for_each(show);
    body.get_mut("contact").into_iter().for_each(show);
}

fn show(contact: &mut Value) {
    if let Some(settings) = contact.get_mut("dndSettings") {
        for (v2, v3) in CHANNELS {
            rename(settings, v2, v3);
        }
    }
}

/// Gives a key its other name; tells the other name if the object had it already.
fn rename<'a>(object: &mut Value, from: &str, to: &'a str) -> Option<&'a str> {
    let fields = object.as_object_mut()?;
    let stranger = fields.contains_key(to).then_some(to);
    if let Some(value) = fields.remove(from) {
        fields.insert(to.to_owned(), value);
    }
    stranger
}
