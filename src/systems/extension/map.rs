//! The contract's objects and the model's fields, both ways.
//!
//! In: a bare object. Out: fields, for the keys that are there (`null` is blank, absent is absent), and back. Tags and custom
//! values belong to contacts; tags are also asked for by themselves, where a vendor has the contact.

use serde_json::{Map, Value as Json, json};

use crate::model::{Field, Fields, Kind, Value, normal};
use crate::systems::wire;

/// How a value stands in JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Email,
    Phone,
    Country,
    Instant,
    Flag,
}

/// One field: its name, the JSON pointer to it, its form.
type Slot = (Field, &'static str, Form);

const CONTACT: &[Slot] = &[
    (Field::FIRST_NAME, "/firstName", Form::Text),
    (Field::LAST_NAME, "/lastName", Form::Text),
    (Field::EMAIL, "/email", Form::Email),
    (Field::PHONE, "/phone", Form::Phone),
    (Field::ADDRESS, "/address/line1", Form::Text),
    (Field::CITY, "/address/city", Form::Text),
    (Field::STATE, "/address/state", Form::Text),
    (Field::POSTAL_CODE, "/address/postalCode", Form::Text),
    (Field::COUNTRY, "/address/country", Form::Country),
    (Field::STATUS, "/status", Form::Text),
];
const TASK: &[Slot] = &[
    (Field::TITLE, "/title", Form::Text),
    (Field::BODY, "/body", Form::Text),
    (Field::DUE, "/dueDate", Form::Instant),
    (Field::COMPLETED, "/completed", Form::Flag),
];
const NOTE: &[Slot] = &[(Field::BODY, "/content", Form::Text)];

const ADDRESS: &str = "/address/";

fn slots(kind: Kind) -> &'static [Slot] {
    match kind {
        Kind::Contact => CONTACT,
        Kind::Task => TASK,
        Kind::Note => NOTE,
        Kind::Appointment => &[],
    }
}

/// The collection's name in a path; the contract has no appointments.
pub(super) fn plural(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Contact => Some("contacts"),
        Kind::Task => Some("tasks"),
        Kind::Note => Some("notes"),
        Kind::Appointment => None,
    }
}

/// Whether the contract has the field.
pub(super) fn knows(kind: Kind, field: &Field) -> bool {
    let open = field.as_tag().is_some() || field.as_custom().is_some();
    slots(kind).iter().any(|(slot, ..)| slot == field) || (kind == Kind::Contact && open)
}

/// The fields whose keys are there. `region`: the default country of phone numbers.
pub(super) fn fields(kind: Kind, object: &Json, region: Option<&str>) -> Fields {
    let mut fields: Fields = slots(kind)
        .iter()
        .filter_map(|(field, pointer, form)| Some((field.clone(), read(at(object, pointer)?, *form, region))))
        .collect();
    if kind == Kind::Contact {
        fields.extend(tags(object));
        let custom = object["custom"].as_object().into_iter().flatten();
        fields.extend(custom.map(|(key, value)| (Field::custom(key), wire::line(value))));
        name_parts(object, &mut fields);
    }
    fields
}

/// The value at a pointer, if its key is there; a whole address that is `null` clears each of its parts.
fn at<'a>(object: &'a Json, pointer: &str) -> Option<&'a Json> {
    let whole = || object.get("address").filter(|address| address.is_null() && pointer.starts_with(ADDRESS));
    object.pointer(pointer).or_else(whole)
}

/// A `name` stands for both parts where neither is there.
fn name_parts(object: &Json, fields: &mut Fields) {
    let parted = fields.contains_key(&Field::FIRST_NAME) || fields.contains_key(&Field::LAST_NAME);
    if let Some(name) = object["name"].as_str().filter(|_| !parted) {
        let (first, last) = normal::split_name(name, None);
        fields.extend([(Field::FIRST_NAME, first), (Field::LAST_NAME, last)]);
    }
}

/// The tags that are set.
pub(super) fn tags(object: &Json) -> impl Iterator<Item = (Field, Value)> {
    let names = wire::items(&object["tags"]).iter().filter_map(Json::as_str).filter(|name| !name.trim().is_empty());
    names.map(|name| (Field::tag(name), Value::Flag(true)))
}

fn read(json: &Json, form: Form, region: Option<&str>) -> Value {
    let text = wire::text(json);
    match (form, text.as_text()) {
        (Form::Flag, _) => json.as_bool().map_or(Value::Blank, Value::Flag),
        (Form::Instant, _) => wire::instant(json).map_or(Value::Blank, Value::Instant),
        (Form::Email, Some(text)) => normal::email(text),
        (Form::Phone, Some(text)) => normal::phone(text, region),
        (Form::Country, Some(text)) => normal::country(text),
        _ => text,
    }
}

/// The body that writes `fields`: an object of only these keys, `null` where a value is cleared. An address goes as a whole, as
/// the contract does not say how deep a partial `PUT` merges; its other parts come from `whole`. Tags go with `tagged`.
pub(super) fn body(kind: Kind, fields: &Fields, whole: &Fields, tagged: bool) -> Json {
    let addressed =
        slots(kind).iter().any(|(field, pointer, _)| pointer.starts_with(ADDRESS) && fields.contains_key(field));
    let mut out = Map::new();
    for (field, pointer, _) in slots(kind) {
        if let Some(part) = pointer.strip_prefix(ADDRESS).filter(|_| addressed) {
            let value = fields.get(field).or_else(|| whole.get(field)).unwrap_or(&Value::Blank);
            out.entry("address").or_insert_with(|| json!({}))[part] = write(value);
        } else if let Some(value) = fields.get(field) {
            out.insert(pointer.trim_start_matches('/').to_owned(), write(value));
        }
    }
    for (field, value) in fields {
        if let Some(key) = field.as_custom() {
            out.entry("custom").or_insert_with(|| json!({}))[key] = write(value);
        }
    }
    if tagged {
        let set = fields.iter().filter(|(_, value)| value.is_set()).filter_map(|(field, _)| field.as_tag());
        out.insert("tags".to_owned(), set.collect());
    }
    Json::Object(out)
}

fn write(value: &Value) -> Json {
    match value {
        Value::Blank => Json::Null,
        Value::Flag(flag) => json!(flag),
        Value::Instant(instant) => json!(instant.rfc3339()),
        Value::Text(text) => json!(text),
    }
}
