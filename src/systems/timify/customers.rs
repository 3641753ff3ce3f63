//! A customer and the model's contact fields, both ways.
//!
//! A customer has no columns: each value is a custom field whose id differs per company. In: field definitions, customer
//! records. Out: contact fields, and the `customfields` list of a write. A phone is a JSON text inside the value.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::model::{Field, Fields, Value, normal};
use crate::systems::wire;

/// A contact field, the vendor's default key, and whether every company is documented to have it.
type Column = (Field, &'static str, bool);

const COLUMNS: &[Column] = &[
    (Field::FIRST_NAME, "firstName", true),
    (Field::LAST_NAME, "lastName", true),
    (Field::EMAIL, "email", true),
    (Field::PHONE, "mobilePhone", true),
    (Field::BIRTHDAY, "birthday", true),
    (Field::ADDRESS, "street", true),
    (Field::CITY, "city", true),
    (Field::POSTAL_CODE, "zipcode", true),
    (Field::STATE, "state", false),
    (Field::COUNTRY, "country", false),
];

/// Where the default key of a field stands; the raw spelling is not documented.
const KEYS: &[&str] = &["/defaultId", "/default_id", "/translationKey"];

/// The custom fields of one company's customers: ids by default key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definitions(BTreeMap<String, String>);

impl Definitions {
    /// From the answer of `GET /v1/customers/customfields`: a list, with or without the vendor's envelope.
    pub(super) fn read(json: &Json) -> Option<Self> {
        let list = json.as_array().or_else(|| json["data"].as_array())?;
        Some(Self(list.iter().filter_map(|one| Some((key(one)?, text(&one["id"])?))).collect()))
    }

    fn id(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn key(&self, id: &str) -> Option<&str> {
        self.0.iter().find(|(_, held)| *held == id).map(|(key, _)| key.as_str())
    }
}

/// The default key of a definition or of a value: `firstName`, also out of `customerFields.basic.firstName`.
fn key(json: &Json) -> Option<String> {
    let key = text(wire::first(json, KEYS))?;
    key.rsplit('.').next().map(str::to_owned)
}

fn text(json: &Json) -> Option<String> {
    wire::text(json).as_text().map(str::to_owned)
}

/// The columns that the company has: by its definitions, or, as long as those are not read, the documented ones.
fn columns(definitions: Option<&Definitions>) -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().filter(move |(_, key, documented)| definitions.map_or(*documented, |known| known.id(key).is_some()))
}

/// Whether the company's customers have the field.
pub(super) fn knows(field: &Field, definitions: Option<&Definitions>) -> bool {
    columns(definitions).any(|(column, ..)| column == field)
}

/// All contact fields of a customer record; one that is not there is blank.
pub(super) fn fields(customer: &Json, definitions: Option<&Definitions>, region: Option<&str>) -> Fields {
    let held = values(customer, definitions);
    let value = |field: &Field, key: &str| {
        // Plain keys have been reported beside `fields[]`, the phone's also as `phone`.
        let other = if *field == Field::PHONE { "phone" } else { key };
        let plain = || [key, other].into_iter().map(|key| &customer[key]).find(|plain| !plain.is_null());
        held.get(key).copied().or_else(plain).unwrap_or(&Json::Null)
    };
    columns(definitions).map(|(field, key, _)| (field.clone(), read(field, value(field, key), region))).collect()
}

/// The values of `fields[]` (or `customfields[]`) by default key.
fn values<'a>(customer: &'a Json, definitions: Option<&Definitions>) -> BTreeMap<String, &'a Json> {
    let items = wire::items(wire::first(customer, &["/fields", "/customfields"]));
    let named = |item: &Json| {
        let by_id = || definitions?.key(item["id"].as_str()?).map(str::to_owned);
        key(item).or_else(by_id)
    };
    items.iter().filter_map(|item| Some((named(item)?, &item["value"]))).collect()
}

fn read(field: &Field, json: &Json, region: Option<&str>) -> Value {
    if *field == Field::PHONE {
        return phone(json, region);
    }
    let value = wire::text(json);
    match value.as_text() {
        Some(text) if *field == Field::EMAIL => normal::email(text),
        Some(text) if *field == Field::BIRTHDAY => normal::birthday(text),
        Some(text) if *field == Field::COUNTRY => normal::country(text),
        _ => value,
    }
}

/// A phone: a JSON text with `phone`, or with `number` and `country`; a plain number is taken too.
fn phone(json: &Json, region: Option<&str>) -> Value {
    let inner = json.as_str().and_then(|text| serde_json::from_str::<Json>(text).ok()).filter(Json::is_object);
    let object = inner.as_ref().unwrap_or(json);
    let country = object["country"].as_str().filter(|country| !country.is_empty()).or(region);
    let number = if object.is_object() { wire::first(object, &["/phone", "/number"]) } else { json };
    wire::text(number).as_text().map_or(Value::Blank, |number| normal::phone(number, country))
}

/// The `customfields` that write these fields; the field that the company does not have, if there is one.
pub(super) fn customfields(fields: &Fields, definitions: &Definitions) -> Result<Json, Field> {
    let mut list = Vec::with_capacity(fields.len());
    for (field, value) in fields {
        let key = COLUMNS.iter().find(|(column, ..)| column == field).map(|(_, key, _)| *key);
        let id = key.and_then(|key| definitions.id(key)).ok_or_else(|| field.clone())?;
        let text = value.as_text().unwrap_or_default();
        let written = if *field == Field::PHONE { phone_text(text) } else { text.to_owned() };
        list.push(json!({ "id": id, "value": written }));
    }
    Ok(Json::Array(list))
}

fn phone_text(number: &str) -> String {
    if number.is_empty() {
        return String::new();
    }
    let mut phone = json!({ "phone": number });
    if let Some(parts) = normal::phone_parts(number) {
        phone["country"] = json!(parts.country);
        phone["prefix"] = json!(parts.prefix);
        phone["number"] = json!(parts.number);
    }
    phone.to_string()
}
