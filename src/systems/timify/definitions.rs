//! The custom fields that a company's customers have. Pure.
//!
//! In: the answer of `GET /v1/customers/customfields`. Out: a field's id by its default key or its label. The ids differ per
//! company; the raw spelling of the default key is not documented, so each spelling that was seen is taken.

use serde_json::Value as Json;

use crate::systems::wire;

/// Where the default key of a field stands.
const KEYS: &[&str] = &["/defaultId", "/default_id", "/translationKey"];

/// Default keys of which every company has some: a list that names none of them is no list of customer fields.
const USUAL: &[&str] = &["firstName", "lastName", "email", "mobilePhone", "landlinePhone"];

/// One custom field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    /// Its id in this company.
    pub id: String,
    /// The vendor's default key (`firstName`); own fields have none.
    pub key: Option<String>,
    /// What people call it.
    pub label: Option<String>,
    /// Whether its values are phones: JSON texts.
    pub phone: bool,
}

/// The custom fields of one company's customers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definitions(Vec<Definition>);

impl Definitions {
    /// From a list, with or without the vendor's envelope. `None`: it is none, or names none of the usual fields.
    pub(super) fn read(json: &Json) -> Option<Self> {
        let list = json.as_array().or_else(|| json["data"].as_array())?;
        let read = Self(list.iter().filter_map(definition).collect());
        USUAL.iter().any(|key| read.by_key(key).is_some()).then_some(read)
    }

    /// The field with this default key.
    pub(super) fn by_key(&self, key: &str) -> Option<&Definition> {
        self.0.iter().find(|one| one.key.as_deref() == Some(key))
    }

    /// The field with this id.
    pub(super) fn by_id(&self, id: &str) -> Option<&Definition> {
        self.0.iter().find(|one| one.id == id)
    }

    /// The field that people call so; blanks around it and capitals do not matter.
    pub(super) fn by_label(&self, label: &str) -> Option<&Definition> {
        let same = |other: &str| other.trim().to_lowercase() == label.trim().to_lowercase();
        self.0.iter().find(|one| one.label.as_deref().is_some_and(same))
    }
}

fn definition(json: &Json) -> Option<Definition> {
    Some(Definition {
        id: text(&json["id"])?,
        key: key(json),
        label: text(&json["label"]),
        phone: json["type"].as_str().is_some_and(|form| form.eq_ignore_ascii_case("PHONE")),
    })
}

/// The default key of a definition or of a value: `firstName`, also out of `customerFields.basic.firstName`.
pub(super) fn key(json: &Json) -> Option<String> {
    let key = text(wire::first(json, KEYS))?;
    key.rsplit('.').next().map(str::to_owned)
}

fn text(json: &Json) -> Option<String> {
    wire::text(json).as_text().map(str::to_owned)
}
