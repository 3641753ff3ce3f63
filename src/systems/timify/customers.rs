//! A customer and the model's contact fields, both ways. Pure.
//!
//! A customer has no columns: each value is a custom field whose id differs per company. In: what is known of the company's
//! fields, customer records. Out: contact fields, tags, the notes text, and the `customfields` list of a write. A phone is a JSON
//! text inside the value.
//!
//! What a raw record looks like is not documented. It is assumed that a value that was cleared stays in the list, empty or
//! `null`; what is not in the list says nothing, for it may never have been set, or be left out for another reason. A plain key
//! tells its value, and never that it is blank.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::definitions::{Definition, Definitions, key};
use super::{Company, tags};
use crate::model::{Field, Fields, Step, Value, normal};
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

/// The default key of the one text that a customer has for notes.
const NOTES: &str = "notes";

/// Fields of a contact that have no default key, and may be mapped by their names.
const OTHERS: [Field; 2] = [Field::BUSINESS, Field::STATUS];

/// The field that a name in `[workspaces.timify.fields]` means: a contact's own of this name, else a custom one.
pub(super) fn field_of(name: &str) -> Field {
    let own = COLUMNS.iter().map(|(field, ..)| field).chain(&OTHERS).find(|field| field.name() == name);
    own.cloned().unwrap_or_else(|| Field::custom(name))
}

/// Where a field stands in a customer.
struct Slot<'a> {
    /// The custom field's id, once it is known.
    id: Option<&'a str>,
    /// The vendor's default key.
    key: Option<&'static str>,
    /// Whether the value is a phone.
    phone: bool,
}

impl<'a> Slot<'a> {
    fn of(field: &Field, definition: &'a Definition, key: Option<&'static str>) -> Self {
        Self { id: Some(&definition.id), key, phone: *field == Field::PHONE || definition.phone }
    }

    fn is(&self, item: &Json) -> bool {
        let named = || self.key.is_some() && key(item).as_deref() == self.key;
        (self.id.is_some() && item["id"].as_str() == self.id) || named()
    }
}

/// The card of a company's customers: what stands where.
pub(super) struct Card<'a> {
    company: &'a Company,
    definitions: Option<Arc<Definitions>>,
}

impl<'a> Card<'a> {
    /// As long as the definitions are not read, the documented fields count as known.
    pub(super) fn new(company: &'a Company, definitions: Option<Arc<Definitions>>) -> Self {
        Self { company, definitions }
    }

    /// The definitions that it rests on.
    pub(super) fn definitions(&self) -> Option<&Arc<Definitions>> {
        self.definitions.as_ref()
    }

    fn slot(&self, field: &Field) -> Option<Slot<'_>> {
        let Some(definitions) = &self.definitions else { return self.presumed(field) };
        if let Some(id) = self.company.fields.get(field) {
            return definitions.by_id(id).map(|definition| Slot::of(field, definition, None));
        }
        let (_, key, _) = COLUMNS.iter().find(|(column, ..)| column == field)?;
        definitions.by_key(key).map(|definition| Slot::of(field, definition, Some(key)))
    }

    /// Where a field stands as long as the definitions are not read.
    fn presumed(&self, field: &Field) -> Option<Slot<'_>> {
        let phone = *field == Field::PHONE;
        if let Some(id) = self.company.fields.get(field) {
            return Some(Slot { id: Some(id), key: None, phone });
        }
        let (_, key, documented) = COLUMNS.iter().find(|(column, ..)| column == field)?;
        documented.then_some(Slot { id: None, key: Some(key), phone })
    }

    /// The id that a field of the workspace's own is mapped to, if the company has no such field.
    pub(super) fn unknown_id(&self, field: &Field) -> Option<&'a str> {
        let definitions = self.definitions.as_ref()?;
        self.company.fields.get(field).map(String::as_str).filter(|id| definitions.by_id(id).is_none())
    }

    /// Whether customers have the field. What the workspace maps counts, also if the company turns out not to have it: that is
    /// for a person to see.
    pub(super) fn knows(&self, field: &Field) -> bool {
        self.company.fields.contains_key(field) || self.slot(field).is_some()
    }

    /// The first of a step's fields that has no place in a customer.
    pub(super) fn lacks(&self, step: &Step) -> Option<Field> {
        let placed = |field: &Field| match field.as_tag() {
            Some(_) => self.tags_id().is_some(),
            None => self.slot(field).is_some_and(|slot| slot.id.is_some()),
        };
        step.fields.keys().find(|field| !placed(field)).cloned()
    }

    /// The id of the field that holds the tags, if that is known.
    pub(super) fn tags_id(&self) -> Option<&str> {
        let label = self.company.projection.tags_field.as_deref()?;
        self.definitions.as_ref()?.by_label(label).map(|definition| definition.id.as_str())
    }

    /// The id of the field that holds the notes text, if that is known.
    pub(super) fn notes_id(&self) -> Option<&str> {
        self.definitions.as_ref()?.by_key(NOTES).map(|definition| definition.id.as_str())
    }

    /// The contact fields that a customer record shows.
    pub(super) fn fields(&self, customer: &Json) -> Fields {
        let names: BTreeSet<&Field> =
            COLUMNS.iter().map(|(field, ..)| field).chain(self.company.fields.keys()).collect();
        let read = |field: &Field| {
            let slot = self.slot(field)?;
            Some((field.clone(), self.read(field, value(customer, field, &slot)?, slot.phone)?))
        };
        names.into_iter().filter_map(read).collect()
    }

    /// The tags of a customer, if there is a field for them and the record shows it; a field of options may show a list. Any
    /// other form says nothing.
    pub(super) fn tags(&self, customer: &Json) -> Option<BTreeSet<Field>> {
        let slot = Slot { id: Some(self.tags_id()?), key: None, phone: false };
        match held(customer, &slot)? {
            Json::Null => Some(BTreeSet::new()),
            Json::String(text) => Some(tags::read(text)),
            Json::Array(items) => {
                let names: Option<Vec<&str>> = items.iter().map(Json::as_str).collect();
                Some(names?.into_iter().flat_map(tags::read).collect())
            }
            _ => None,
        }
    }

    /// The notes text of a customer, as it stands there; if there is a field for it, the record shows it, and it is a text.
    pub(super) fn notes<'j>(&self, customer: &'j Json) -> Option<&'j str> {
        let slot = Slot { id: Some(self.notes_id()?), key: Some(NOTES), phone: false };
        match held(customer, &slot)? {
            Json::Null => Some(""),
            other => other.as_str(),
        }
    }

    /// Whether a record lists values and no notes text among them, as one does whose notes were never set.
    pub(super) fn lists_no_notes(&self, customer: &Json) -> bool {
        let slot = Slot { id: self.notes_id(), key: Some(NOTES), phone: false };
        !values(customer).is_empty() && held(customer, &slot).is_none()
    }

    /// A value; one of a form that a field never has says nothing.
    fn read(&self, field: &Field, json: &Json, is_phone: bool) -> Option<Value> {
        if is_phone {
            return phone(json, self.company.region.as_deref());
        }
        let value = Some(json).filter(|json| !json.is_object()).map(wire::line)?;
        Some(match value.as_text() {
            Some(text) if *field == Field::EMAIL => normal::email(text),
            Some(text) if *field == Field::BIRTHDAY => normal::birthday(text),
            Some(text) if *field == Field::COUNTRY => normal::country(text),
            _ => value,
        })
    }

    /// The `customfields` that make a step. Fields that have no place are left out (see [`Card::lacks`]).
    pub(super) fn entries(&self, step: &Step) -> Vec<Json> {
        let entry = |(field, value): (&Field, &Value)| {
            let slot = self.slot(field)?;
            let text = value.as_text().unwrap_or_default();
            let written = if slot.phone { phone_text(text) } else { text.to_owned() };
            Some(entry(slot.id?, &written))
        };
        let mut list: Vec<Json> = step.fields.iter().filter_map(entry).collect();
        if step.fields.keys().any(|field| field.as_tag().is_some()) {
            list.extend(self.tags_id().map(|id| self::entry(id, &tags::after(step))));
        }
        list
    }
}

/// One entry of `customfields`.
pub(super) fn entry(id: &str, value: &str) -> Json {
    json!({ "id": id, "value": value })
}

/// Whether a record shows its fields at all: one that does not says nothing, not that all of them are empty.
pub(super) fn is_told(customer: &Json) -> bool {
    let plain = || COLUMNS.iter().any(|(_, key, _)| customer.get(*key).is_some());
    LISTS.iter().any(|list| customer[*list].is_array()) || plain()
}

/// Where the values of a customer stand.
const LISTS: [&str; 2] = ["fields", "customfields"];

/// The values of a customer.
fn values(customer: &Json) -> &[Json] {
    let lists = LISTS.iter().map(|list| wire::items(&customer[*list]));
    lists.into_iter().find(|list| !list.is_empty()).unwrap_or_default()
}

/// The value of a custom field, if the record shows it.
fn held<'j>(customer: &'j Json, slot: &Slot<'_>) -> Option<&'j Json> {
    values(customer).iter().find(|item| slot.is(item))?.get("value")
}

/// The value of a contact field; plain keys have been reported beside `fields[]`, the phone's also as `phone`.
fn value<'j>(customer: &'j Json, field: &Field, slot: &Slot<'_>) -> Option<&'j Json> {
    let among = held(customer, slot);
    let also = slot.key.filter(|_| *field == Field::PHONE).map(|_| "phone");
    let keys = slot.key.into_iter().chain(also);
    let plain = || keys.map(|key| &customer[key]).find(|plain| !plain.is_null() && **plain != "");
    among.filter(|among| !among.is_null()).or_else(plain).or(among)
}

/// A phone: a JSON text with `phone`, or with `number` and `country`; a plain number is taken too.
fn phone(json: &Json, region: Option<&str>) -> Option<Value> {
    let inner = json.as_str().and_then(|text| serde_json::from_str::<Json>(text).ok()).filter(Json::is_object);
    let object = inner.as_ref().unwrap_or(json);
    let country = object["country"].as_str().filter(|country| !country.is_empty()).or(region);
    let numbers: Vec<&Json> = match object {
        Json::Object(parts) => ["phone", "number"].iter().filter_map(|key| parts.get(*key)).collect(),
        Json::Array(_) => Vec::new(),
        plain => vec![plain],
    };
    let shown = !numbers.is_empty();
    let number = numbers.into_iter().map(wire::text).find(|number| !number.is_blank());
    shown
        .then(|| number.as_ref().and_then(Value::as_text).map_or(Value::Blank, |number| normal::phone(number, country)))
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
