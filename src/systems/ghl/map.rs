//! GHL's JSON to our fields, and back. Pure.
//!
//! In: JSON objects as GHL writes them, or fields in GHL's terms. Out: fields in GHL's terms, or JSON to send. Knows a
//! workspace's calendars and region (its custom fields are in `custom`); knows nothing of routes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::api::V3;
use super::custom::CustomFields;
use super::wire::{self, Form};
use crate::clock::Millis;
use crate::model::{CalendarRow, Field, Fields, Kind, Value, normal};
use crate::systems::{Expressed, Unreadable};

/// 2099-12-31T00:00:00Z: what GHL holds for a task that has no due date.
///
/// GHL demands a `dueDate` on every task, we do not. A made-up near date would be read back as somebody's edit and would
/// make the task overdue; so "no date" is written as this one instant and read as no date, which loses nothing.
pub(super) const NO_DUE: Millis = Millis(4_102_358_400_000);

/// 2099-01-01T00:00:00Z: from here on a due date means none, so that GHL may round [`NO_DUE`] to a day in any zone.
const NO_DUE_FROM: Millis = Millis(4_070_908_800_000);

/// What clears a field. Not documented: the DTOs call most contact fields `nullable` and say no more. An empty text is what
/// GHL's own pages send, is a valid value of every text key, and leaves the field out of the next read.
const CLEARED: &str = "";

/// The prefix of a calendar that no row of the table names.
const UNMAPPED: &str = "ghl:";

/// The statuses that GHL lets us write; the last two in v3 only. Others are read as they come.
const STATUSES: &[&str] = &["new", "confirmed", "cancelled", "showed", "noshow", "invalid", "active", "completed"];
/// How many of them v2 has.
const STATUSES_V2: usize = 6;

/// How one workspace's fields look in GHL.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    region: Option<String>,
    calendars: Vec<CalendarRow>,
    statuses: &'static [&'static str],
    pub(super) custom: CustomFields,
}

impl Mapping {
    pub(super) fn new(
        region: Option<String>,
        calendars: Vec<CalendarRow>,
        custom_fields: BTreeMap<String, String>,
        contacts_version: &str,
        calendars_version: &str,
    ) -> Self {
        let statuses = if calendars_version == V3 { STATUSES } else { &STATUSES[..STATUSES_V2] };
        Self { region, calendars, statuses, custom: CustomFields::new(custom_fields, contacts_version) }
    }

    /// The fields that the object states: absent keys are left out.
    pub(super) fn stated(&self, kind: Kind, json: &Json) -> Result<Fields, Unreadable> {
        let mut fields = Fields::new();
        for column in wire::columns(kind) {
            if let Some(value) = json.get(column.key) {
                let value = self.read(column.form, value);
                let value = value.ok_or_else(|| Unreadable(format!("`{}` has an unknown form", column.key)))?;
                fields.insert(column.field.clone(), value);
            }
        }
        if kind == Kind::Contact {
            fields.extend(tags(json).map(|tag| (tag, Value::Flag(true))));
            fields.extend(self.custom.read(json));
        }
        Ok(fields)
    }

    /// All fields of a whole object. GHL leaves empty fields out, so what is not here is blank.
    pub(super) fn whole(&self, kind: Kind, json: &Json) -> Result<Fields, Unreadable> {
        let mut fields = self.stated(kind, json)?;
        fields.retain(|_, value| !value.is_blank());
        if kind == Kind::Task {
            fields.entry(Field::COMPLETED).or_insert(Value::Flag(false));
        }
        Ok(fields)
    }

    /// Further e-mails and phones of a contact. Of the phones no body was ever seen, so each plausible form is taken.
    pub(super) fn also(&self, kind: Kind, json: &Json) -> BTreeSet<Value> {
        let forms = [("additionalEmails", "email", Form::Email), ("additionalPhones", "phone", Form::Phone)];
        let listed = forms.iter().filter(|_| kind == Kind::Contact).flat_map(|(list, key, form)| {
            let items = json.get(list).and_then(Json::as_array).into_iter().flatten();
            let text = |item: &Json| item.as_str().or_else(|| item.get(*key)?.as_str()).map(ToOwned::to_owned);
            items.filter_map(text).map(|text| self.normal(*form, &text)).collect::<Vec<Value>>()
        });
        listed.filter(|value| !value.is_blank()).collect()
    }

    fn read(&self, form: Form, value: &Json) -> Option<Value> {
        let text = match value {
            Json::Null => String::new(),
            Json::String(text) => text.clone(),
            Json::Number(number) => number.to_string(),
            Json::Bool(flag) if form == Form::Flag => return Some(Value::Flag(*flag)),
            _ => return None,
        };
        Some(match form {
            _ if text.trim().is_empty() => {
                if form == Form::Flag {
                    Value::Flag(false)
                } else {
                    Value::Blank
                }
            }
            Form::Flag => return None,
            Form::Instant => Value::Instant(wire::instant(value)?),
            Form::Due => due(wire::instant(value)?),
            Form::Calendar => self.calendar(&text),
            Form::Status => Value::text(text.to_lowercase()),
            Form::Text | Form::Email | Form::Phone | Form::Country | Form::Day | Form::Tie => self.normal(form, &text),
        })
    }

    fn normal(&self, form: Form, text: &str) -> Value {
        match form {
            Form::Email => normal::email(text),
            Form::Phone => normal::phone(text, self.region.as_deref()),
            Form::Country => normal::country(text),
            Form::Day => normal::birthday(text),
            _ => Value::text(text),
        }
    }

    fn calendar(&self, id: &str) -> Value {
        let row = self.calendars.iter().find(|row| row.ghl.as_deref() == Some(id));
        row.map_or_else(|| Value::text(format!("{UNMAPPED}{id}")), |row| Value::text(&row.name))
    }

    /// A canonical value in GHL's terms.
    pub(super) fn express(&self, kind: Kind, field: &Field, value: &Value) -> Expressed {
        if kind == Kind::Contact && field.as_tag().is_some() {
            return Expressed::Holds(if value.is_set() { Value::Flag(true) } else { Value::Blank });
        }
        if kind == Kind::Contact && self.custom.has(field) {
            return Expressed::Holds(value.clone());
        }
        let Some(column) = wire::column_of(kind, field) else { return Expressed::Absent };
        let unfit = || Expressed::Refused(format!("`{field}` has a form that GHL cannot hold"));
        match (column.form, value) {
            // Only appointments have these. GHL would refuse an empty text, and half an appointment helps nobody.
            (Form::Instant | Form::Calendar | Form::Status, Value::Blank) => {
                Expressed::Refused(format!("`{field}` is empty, and an appointment in GHL cannot be without it"))
            }
            (Form::Flag, Value::Blank) => Expressed::Holds(Value::Flag(false)),
            (_, Value::Blank) | (Form::Flag, Value::Flag(_)) | (Form::Instant, Value::Instant(_)) => {
                Expressed::Holds(value.clone())
            }
            (Form::Due, Value::Instant(instant)) => Expressed::Holds(due(*instant)),
            (Form::Calendar, Value::Text(name)) => self.express_calendar(name),
            (Form::Status, Value::Text(status)) => self.express_status(status),
            (Form::Instant | Form::Due | Form::Flag, _) => unfit(),
            (form, Value::Text(text)) => Expressed::Holds(self.normal(form, text)),
            _ => unfit(),
        }
    }

    fn express_status(&self, status: &str) -> Expressed {
        if self.statuses.contains(&status) {
            return Expressed::Holds(Value::text(status));
        }
        let also = if STATUSES.contains(&status) { "; that one needs `calendars_version = \"v3\"`" } else { "" };
        let known = self.statuses.join(", ");
        Expressed::Refused(format!("GHL takes no appointment status `{status}`, only {known}{also}"))
    }

    fn express_calendar(&self, name: &str) -> Expressed {
        if self.calendar_id(name).is_some() {
            return Expressed::Holds(Value::text(name));
        }
        let key = if self.calendars.iter().any(|row| row.name == name) {
            format!("set `ghl` in the `[[workspaces.calendars]]` row named `{name}`")
        } else {
            format!("no `[[workspaces.calendars]]` row names `{name}`: add one with `ghl` set")
        };
        Expressed::Refused(key)
    }

    /// The GHL calendar behind a calendar value.
    pub(super) fn calendar_id<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let row = self.calendars.iter().find(|row| row.name == name);
        name.strip_prefix(UNMAPPED).or_else(|| row?.ghl.as_deref())
    }

    /// The rows of the workspace's table that name a calendar of GHL: name and id.
    pub(super) fn mapped_calendars(&self) -> impl Iterator<Item = (&str, &str)> {
        self.calendars.iter().filter_map(|row| Some((row.name.as_str(), row.ghl.as_deref()?)))
    }

    /// The JSON that sets these fields (GHL's terms); blank ones are cleared. Tags and the business have calls of their own.
    pub(super) fn json(&self, kind: Kind, fields: &Fields) -> Map<String, Json> {
        let mut object = Map::new();
        for (field, value) in fields {
            if let Some(column) = wire::column_of(kind, field).filter(|column| column.form != Form::Tie) {
                object.insert(column.key.to_owned(), self.write(column.form, value));
            }
        }
        let custom = if kind == Kind::Contact { self.custom.entries(fields) } else { Vec::new() };
        if !custom.is_empty() {
            object.insert("customFields".to_owned(), custom.into());
        }
        object
    }

    fn write(&self, form: Form, value: &Value) -> Json {
        match value {
            Value::Blank if form == Form::Due => NO_DUE.rfc3339().into(),
            Value::Blank if form == Form::Flag => false.into(),
            Value::Blank => CLEARED.into(),
            Value::Flag(flag) => (*flag).into(),
            // In UTC: which offset a booking was made in is not part of what we hold. GHL wants the offset of its free slots
            // back only where it checks the slot, and a mirror tells it not to (`ignoreFreeSlotValidation`).
            Value::Instant(instant) => instant.rfc3339().into(),
            Value::Text(name) if form == Form::Calendar => self.calendar_id(name).unwrap_or(name).into(),
            Value::Text(text) => text.as_str().into(),
        }
    }
}

/// The names of the tags among the fields.
pub(super) fn tag_names(fields: &Fields) -> Vec<&str> {
    fields.keys().filter_map(Field::as_tag).collect()
}

fn tags(json: &Json) -> impl Iterator<Item = Field> + '_ {
    let list = json["tags"].as_array().map_or(&[] as &[Json], Vec::as_slice);
    list.iter().filter_map(Json::as_str).filter(|tag| !tag.trim().is_empty()).map(Field::tag)
}

fn due(instant: Millis) -> Value {
    if instant >= NO_DUE_FROM { Value::Blank } else { Value::Instant(instant) }
}

#[cfg(test)]
mod tests;
