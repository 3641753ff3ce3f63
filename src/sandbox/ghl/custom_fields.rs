//! The custom fields that a location has defined for its contacts, and what a contact's write calls them.
//!
//! In: definitions, through the settings or the API. Out: lists of them; a written `key` becomes the field's id.

use serde_json::{Value, json};

use super::Ghl;
use super::answers::Answer;
use super::fields::{Fields, fresh_id, oldest_first, pick, text};
use super::routes::Call;
use super::settings::LocationSettings;
use crate::sandbox::Turn;

const READ: &[&str] =
    &["id", "name", "fieldKey", "placeholder", "dataType", "position", "picklistOptions", "locationId", "model"];

pub(super) fn list(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    ghl.location(&call.ids[0])?;
    let model = call.query.get("model").map(String::as_str).filter(|model| *model != "all");
    let wanted = |field: &Fields| {
        text(field, "locationId") == call.ids[0] && model.is_none_or(|model| text(field, "model") == model)
    };
    let held = oldest_first(&ghl.custom_fields, wanted);
    Ok(json!({"customFields": held.into_iter().map(|field| pick(field, READ)).collect::<Vec<_>>()}))
}

pub(super) fn post(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    ghl.location(&call.ids[0])?;
    let said = |key: &str, usual: &str| call.body.get(key).and_then(Value::as_str).unwrap_or(usual).to_owned();
    let field = defined(
        &fresh_id(turn.rng),
        &said("name", ""),
        &call.ids[0],
        &said("dataType", "TEXT"),
        &said("model", "contact"),
    );
    let shown = pick(&field, READ);
    ghl.custom_fields.insert(text(&field, "id").to_owned(), field);
    Ok(json!({"customField": shown}))
}

/// The definitions that the settings of a location name.
pub(super) fn configured(location: &LocationSettings) -> impl Iterator<Item = (String, Fields)> {
    let fields = location.custom_fields.iter();
    fields.map(|field| (field.id.clone(), defined(&field.id, &field.name, &location.id, &field.data_type, "contact")))
}

/// A definition; its key is the model and the name in lower case, other signs as underscores.
fn defined(id: &str, name: &str, location: &str, data_type: &str, model: &str) -> Fields {
    let key: String = name.to_lowercase().chars().map(|sign| if sign.is_alphanumeric() { sign } else { '_' }).collect();
    let text = |value: &str| Value::String(value.to_owned());
    let pairs = [
        ("id", text(id)),
        ("name", text(name)),
        ("fieldKey", Value::String(format!("{model}.{key}"))),
        ("dataType", text(data_type)),
        ("position", json!(0)),
        ("locationId", text(location)),
        ("model", text(model)),
    ];
    pairs.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
}

impl Ghl {
    /// Names each written custom field by its id, where it was named by its key (with or without the model).
    pub(super) fn name_custom_fields(&self, location: &str, change: &mut Fields) {
        let Some(Value::Array(entries)) = change.get_mut("customFields") else { return };
        let named = |field: &&Fields, name: &str| {
            let key = text(field, "fieldKey");
            text(field, "locationId") == location && (key == name || key.strip_prefix("contact.") == Some(name))
        };
        for entry in entries {
            let name = entry["id"].as_str().unwrap_or_default();
            if let Some(field) = self.custom_fields.values().find(|field| named(field, name)) {
                entry["id"] = text(field, "id").into();
            }
        }
    }
}
