//! Custom fields of contacts: which of ours is which of GHL's, and how their values are read and written.
//!
//! In: entries of `customFields`, or our fields. Out: fields, or entries. GHL has texts, numbers, flags, lists and files; all
//! of them are held here as one text. Which form a field has is learned from what GHL shows, as reads come before writes: a
//! list is written back as a list, and what a text cannot replace is not written at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};

use super::api::V3;
use crate::model::{Field, Fields, Value};
use crate::systems::wire::{LIST, line};

/// The form that GHL's values of a custom field have; a later one is never unlearned for an earlier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// A text.
    #[default]
    Text,
    /// A number.
    Number,
    /// A list of texts, none of which has what we put between them.
    List,
    /// A file, or a list that its one text does not tell apart.
    Other,
}

/// The custom fields of one workspace.
#[derive(Debug, Clone)]
pub(super) struct CustomFields {
    /// Our field, and its id in GHL.
    ids: BTreeMap<Field, String>,
    /// The key of a value in a request: `field_value`, in v3 `fieldValue`.
    key: &'static str,
    forms: Arc<Mutex<BTreeMap<Field, Form>>>,
}

impl CustomFields {
    /// `fields`: our name of the field (`status`, or a name of one's own) and its id in GHL.
    pub(super) fn new(fields: BTreeMap<String, String>, contacts_version: &str) -> Self {
        let ids = fields.into_iter().map(|(name, id)| (field_of(&name), id)).collect();
        let key = if contacts_version == V3 { "fieldValue" } else { "field_value" };
        Self { ids, key, forms: Arc::default() }
    }

    /// Each field of ours and its id in GHL.
    pub(super) fn mapped(&self) -> impl Iterator<Item = (&Field, &str)> {
        self.ids.iter().map(|(field, id)| (field, id.as_str()))
    }

    pub(super) fn has(&self, field: &Field) -> bool {
        self.ids.contains_key(field)
    }

    /// The mapped fields among the entries of a contact.
    pub(super) fn read<'a>(&'a self, contact: &'a Json) -> impl Iterator<Item = (Field, Value)> + 'a {
        let list = contact["customFields"].as_array().map_or(&[] as &[Json], Vec::as_slice);
        list.iter().filter_map(|entry| {
            let id = entry["id"].as_str()?;
            let (field, _) = self.ids.iter().find(|(_, known)| *known == id)?;
            let value = &entry["value"];
            self.learn(field, value);
            Some((field.clone(), line(value)))
        })
    }

    fn learn(&self, field: &Field, value: &Json) {
        let form = match value {
            Json::Number(_) => Form::Number,
            Json::Array(items) if items.iter().all(|item| item.as_str().is_some_and(|text| !text.contains(LIST))) => {
                Form::List
            }
            Json::Array(_) | Json::Object(_) => Form::Other,
            Json::String(_) | Json::Bool(_) | Json::Null => Form::Text,
        };
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        let known = forms.entry(field.clone()).or_default();
        *known = form.max(*known);
    }

    fn form(&self, field: &Field) -> Form {
        let forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        forms.get(field).copied().unwrap_or_default()
    }

    /// The entries that set these fields, of those that are mapped.
    pub(super) fn entries(&self, fields: &Fields) -> Vec<Json> {
        let entry = |(field, value): (&Field, &Value)| {
            Some(json!({ "id": self.ids.get(field)?, self.key: self.write(field, value) }))
        };
        fields.iter().filter_map(entry).collect()
    }

    fn write(&self, field: &Field, value: &Value) -> Json {
        let text = value.as_text().unwrap_or_default();
        let parts = || text.split(LIST).filter(|part| !part.is_empty()).collect();
        match self.form(field) {
            Form::List => parts(),
            Form::Number => text.parse().map_or_else(|_| text.into(), Json::Number),
            Form::Text | Form::Other => text.into(),
        }
    }

    /// A field whose value in GHL a text would destroy.
    pub(super) fn unwritable<'a>(&self, fields: &'a Fields) -> Option<&'a Field> {
        fields.keys().find(|field| self.has(field) && self.form(field) == Form::Other)
    }
}

/// The field that a name in `[workspaces.ghl.fields]` means.
fn field_of(name: &str) -> Field {
    if name == Field::STATUS.name() { Field::STATUS } else { Field::custom(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn custom() -> CustomFields {
        CustomFields::new([("status".to_owned(), "S".to_owned()), ("hats".to_owned(), "H".to_owned())].into(), V3)
    }

    fn shown(value: &Json) -> Json {
        json!({ "customFields": [{ "id": "H", "value": value }, { "id": "unknown", "value": "x" }] })
    }

    #[rstest]
    #[case::text(json!("red"), "red", json!("blue, green"))]
    #[case::list(json!(["red", "green"]), "red, green", json!(["blue", "green"]))]
    #[case::no_number(json!(42), "42", json!("blue, green"))]
    #[case::flag(json!(true), "true", json!("blue, green"))]
    fn a_value_is_written_in_the_form_that_ghl_showed(#[case] value: Json, #[case] text: &str, #[case] written: Json) {
        let (custom, field) = (custom(), Field::custom("hats"));
        let read: Fields = custom.read(&shown(&value)).collect();
        assert_eq!(read, [(field.clone(), Value::text(text))].into());
        let edit = [(field, Value::text("blue, green"))].into();
        assert_eq!(custom.entries(&edit), [json!({ "id": "H", "fieldValue": written })]);
        assert_eq!(custom.unwritable(&edit), None);
    }

    #[rstest]
    #[case::list(json!(["red", "green"]))]
    #[case::number(json!(4.5))]
    #[case::text(json!("red, green"))]
    fn what_ghl_showed_is_written_back_as_it_was(#[case] value: Json) {
        let custom = custom();
        let read: Fields = custom.read(&shown(&value)).collect();
        assert_eq!(custom.entries(&read)[0]["fieldValue"], value);
    }

    #[rstest]
    #[case::comma_in_an_option(json!(["red, dark", "green"]), "red, dark, green")]
    #[case::list_of_numbers(json!([1, 2]), "1, 2")]
    #[case::file(json!({ "f1": { "url": "https://x" } }), "")]
    fn a_text_never_replaces_what_it_cannot_tell(#[case] value: Json, #[case] text: &str) {
        let (custom, field) = (custom(), Field::custom("hats"));
        let read: Fields = custom.read(&shown(&value)).collect();
        assert_eq!(read[&field], Value::text(text));
        custom.read(&shown(&json!(["red"]))).for_each(drop);
        assert_eq!(custom.unwritable(&read), Some(&field), "one list that can be told does not make the field safe");
    }

    #[test]
    fn an_emptied_list_is_an_empty_list() {
        let custom = custom();
        custom.read(&shown(&json!(["red"]))).for_each(drop);
        assert_eq!(custom.entries(&[(Field::custom("hats"), Value::Blank)].into())[0]["fieldValue"], json!([]));
    }

    #[test]
    fn status_is_a_field_of_ours_and_any_other_name_is_ones_own() {
        let custom = custom();
        let mapped: Vec<(&Field, &str)> = custom.mapped().collect();
        assert_eq!(mapped, [(&Field::custom("hats"), "H"), (&Field::STATUS, "S")]);
        assert!(!custom.has(&Field::custom("status")));
    }
}
