//! The contract's objects and the model's fields, both ways.
//!
//! In: a bare object. Out: fields, for the keys that are there (`null` is blank, absent is absent), and back. Tags and custom
//! values belong to contacts; tags are also asked for by themselves, where a vendor has the contact.

use serde_json::{Map, Value as Json, json};

use crate::model::{Action, Field, Fields, Kind, Stamp, Step, Value, normal};
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

const COMPLETED: &str = "completed";
const OPEN: &str = "open";

/// What the `status` of a task may say, in lower case, and whether it is then done.
const STATUS_WORDS: &[(&str, bool)] = &[
    (COMPLETED, true),
    ("complete", true),
    ("done", true),
    ("closed", true),
    (OPEN, false),
    ("incomplete", false),
    ("pending", false),
    ("in progress", false),
];

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

/// The fields whose keys are there, in a form that the contract has: what is anything else says nothing. `region`: the default
/// country of phone numbers.
pub(super) fn fields(kind: Kind, object: &Json, region: Option<&str>) -> Fields {
    let mut fields: Fields = slots(kind)
        .iter()
        .filter_map(|(field, pointer, form)| Some((field.clone(), read(at(object, pointer)?, *form, region)?)))
        .collect();
    match kind {
        Kind::Contact => {
            fields.extend(tags(object));
            let custom = object["custom"].as_object().into_iter().flatten();
            fields.extend(custom.map(|(key, value)| (Field::custom(key), wire::line(value))));
            name_parts(object, &mut fields);
        }
        Kind::Task => status_word(object, &mut fields),
        Kind::Note | Kind::Appointment => {}
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

/// The `status` of a task tells whether it is done where `completed` does not; a word that we do not know says nothing.
fn status_word(object: &Json, fields: &mut Fields) {
    let said = object["status"].as_str().map(|word| word.trim().to_lowercase());
    let word = STATUS_WORDS.iter().find(|(word, _)| said.as_deref() == Some(word));
    if let Some((_, done)) = word.filter(|_| !matches!(fields.get(&Field::COMPLETED), Some(Value::Flag(_)))) {
        fields.insert(Field::COMPLETED, Value::Flag(*done));
    }
}

/// Whether an object states its whole list of tags; `null` is a list without any.
pub(super) fn lists_tags(object: &Json) -> bool {
    object.get("tags").is_some_and(Json::is_null) || all_tags(object).is_some()
}

/// The whole list of tags, those that are set; `None` where there is no list, or items in it that are no texts.
pub(super) fn all_tags(object: &Json) -> Option<Fields> {
    object["tags"].as_array().filter(|items| items.iter().all(Json::is_string)).map(|_| tags(object).collect())
}

/// The tags that are set.
fn tags(object: &Json) -> impl Iterator<Item = (Field, Value)> {
    let names = wire::items(&object["tags"]).iter().filter_map(Json::as_str).filter(|name| !name.trim().is_empty());
    names.map(|name| (Field::tag(name), Value::Flag(true)))
}

/// `null` and an empty text are blank.
fn read(json: &Json, form: Form, region: Option<&str>) -> Option<Value> {
    if json.is_array() || json.is_object() {
        return None;
    }
    let text = wire::text(json);
    Some(match (form, text.as_text()) {
        (_, None) => Value::Blank,
        (Form::Flag, Some(text)) => Value::Flag(text.parse().ok()?),
        (Form::Instant, Some(_)) => Value::Instant(wire::instant(json)?),
        (Form::Email, Some(text)) => normal::email(text),
        (Form::Phone, Some(text)) => normal::phone(text, region),
        (Form::Country, Some(text)) => normal::country(text),
        (Form::Text, Some(_)) => text,
    })
}

/// The body of a create or an update: an object of what is written, `null` where a value is cleared. An address and the custom
/// values go as a whole, as endpoints differ in how deep a partial `PUT` merges; the rest of them is as it should stand.
///
/// A create is sent again to the letter under its key, so nothing goes into it that may change in between.
pub(super) fn body(step: &Step) -> Json {
    let making = step.action == Action::Create;
    let whole = if making { &step.fields } else { &step.whole };
    let written = |field: &Field| step.fields.get(field);
    let addressed = |pointer: &str, field: &Field| pointer.starts_with(ADDRESS) && written(field).is_some();
    let address = slots(step.kind).iter().any(|(field, pointer, _)| addressed(pointer, field));
    let mut out = Map::new();
    for (field, pointer, _) in slots(step.kind) {
        match (pointer.strip_prefix(ADDRESS).filter(|_| address), written(field)) {
            (Some(part), value) => {
                let value = value.or_else(|| whole.get(field)).unwrap_or(&Value::Blank);
                out.entry("address").or_insert_with(|| json!({}))[part] = write(value);
            }
            (None, Some(value)) => drop(out.insert(pointer.trim_start_matches('/').to_owned(), write(value))),
            (None, None) => {}
        }
    }
    if step.fields.keys().any(|field| field.as_custom().is_some()) {
        let custom = whole.iter().chain(&step.fields);
        let custom = custom.filter_map(|(field, value)| Some((field.as_custom()?.to_owned(), write(value))));
        out.insert("custom".to_owned(), Json::Object(custom.collect()));
    }
    beside(step, making, &mut out);
    Json::Object(out)
}

/// What says a field once more, or is no field of its own: all tags of a contact that is made, a task's `status`, the time at
/// which a note's text was written.
fn beside(step: &Step, making: bool, out: &mut Map<String, Json>) {
    if step.kind == Kind::Contact && making {
        let set = step.fields.iter().filter(|(_, value)| value.is_set()).filter_map(|(field, _)| field.as_tag());
        out.insert("tags".to_owned(), set.collect());
    }
    if let (Kind::Task, Some(completed)) = (step.kind, step.fields.get(&Field::COMPLETED)) {
        out.insert("status".to_owned(), json!(if completed.is_set() { COMPLETED } else { OPEN }));
    }
    let edit = step.stamps.get(&Field::BODY).filter(|stamp| **stamp != Stamp::NEVER);
    if let (Kind::Note, true, Some(edit)) = (step.kind, step.fields.contains_key(&Field::BODY), edit) {
        out.insert("timestamp".to_owned(), json!(edit.t.rfc3339()));
    }
}

fn write(value: &Value) -> Json {
    match value {
        Value::Blank => Json::Null,
        Value::Flag(flag) => json!(flag),
        Value::Instant(instant) => json!(instant.rfc3339()),
        Value::Text(text) => json!(text),
    }
}
