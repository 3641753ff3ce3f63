//! A contact's fields: from what is written to what is stored, from what is stored to what is shown.
//!
//! In: fields as a body or a user gives them. Out: stored fields (E.164 phone, lower-case tags, ISO birth date,
//! `{id, value}` custom fields), and the vendor's views of them. No state, no webhooks.

use serde_json::{Value, json};

use super::fields::{Fields, only, pick, text, texts};

const READ: &[&str] = &[
    "id",
    "dateAdded",
    "tags",
    "type",
    "locationId",
    "firstName",
    "firstNameLowerCase",
    "fullNameLowerCase",
    "lastName",
    "lastNameLowerCase",
    "name",
    "email",
    "emailLowerCase",
    "gender",
    "timezone",
    "companyName",
    "phone",
    "dnd",
    "dndSettings",
    "inboundDndSettings",
    "source",
    "assignedTo",
    "address1",
    "city",
    "state",
    "country",
    "postalCode",
    "website",
    "dateOfBirth",
    "dateUpdated",
    "customFields",
    "businessId",
    "additionalEmails",
    "followers",
];
const CREATED: &[&str] = &[
    "id",
    "dateAdded",
    "dateUpdated",
    "deleted",
    "tags",
    "type",
    "customFields",
    "locationId",
    "firstName",
    "firstNameLowerCase",
    "fullNameLowerCase",
    "lastName",
    "lastNameLowerCase",
    "email",
    "emailLowerCase",
    "bounceEmail",
    "unsubscribeEmail",
    "dnd",
    "dndSettings",
    "phone",
    "address1",
    "city",
    "state",
    "country",
    "postalCode",
    "website",
    "source",
    "companyName",
    "dateOfBirth",
    "offers",
    "products",
    "assignedTo",
];
/// The keys that a write sets as they come.
const PLAIN: &[&str] = &[
    "firstName",
    "lastName",
    "email",
    "gender",
    "timezone",
    "companyName",
    "dnd",
    "dndSettings",
    "inboundDndSettings",
    "source",
    "assignedTo",
    "address1",
    "city",
    "state",
    "country",
    "postalCode",
    "website",
    // No document lets an API caller write these; a person can.
    "businessId",
    "additionalEmails",
];

/// What a write asks to store. A null or empty text clears its field. `Err` names a field that cannot be read.
pub(super) fn written(input: &Fields) -> Result<Fields, &'static str> {
    let mut stored: Fields = split_name(input);
    stored.extend(only(input, PLAIN));
    if let Some(phone) = input.get("phone") {
        stored.insert("phone".to_owned(), phone.as_str().map(e164).into());
    }
    if input.contains_key("tags") {
        stored.insert("tags".to_owned(), lower_cased(&texts(input, "tags")).into());
    }
    if let Some(birth) = input.get("dateOfBirth") {
        let day = birth.as_str().filter(|text| !text.is_empty()).map(|text| day(text).ok_or("dateOfBirth"));
        stored.insert("dateOfBirth".to_owned(), day.transpose()?.into());
    }
    if let Some(list) = input.get("customFields").and_then(Value::as_array) {
        let entries: Option<Vec<Value>> = list.iter().map(custom_field).collect();
        stored.insert("customFields".to_owned(), entries.ok_or("customFields")?.into());
    }
    Ok(stored)
}

/// Sets custom fields by id and keeps the others, unlike tags, which are a whole list.
pub(super) fn merge_custom_fields(held: &mut Vec<Value>, change: Vec<Value>) {
    for entry in change {
        held.retain(|old| old["id"] != entry["id"]);
        if !super::fields::empty(&entry["value"]) {
            held.push(entry);
        }
    }
}

/// A whole name makes first and last name, where these are not given themselves.
fn split_name(input: &Fields) -> Fields {
    let Some(name) = input.get("name").and_then(Value::as_str) else { return Fields::new() };
    let (first, last) = name.trim().split_once(' ').unwrap_or((name.trim(), ""));
    [("firstName", first), ("lastName", last.trim())]
        .map(|(key, part)| (key.to_owned(), part.into()))
        .into_iter()
        .collect()
}

/// Keeps a leading plus and the digits.
pub(super) fn e164(phone: &str) -> String {
    let plus = if phone.trim_start().starts_with('+') { "+" } else { "" };
    plus.chars().chain(phone.chars().filter(char::is_ascii_digit)).collect()
}

/// Tags as the vendor stores them: lower case, each once.
pub(super) fn lower_cased(tags: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for tag in tags.iter().map(|tag| tag.trim().to_lowercase()) {
        if !tag.is_empty() && !kept.contains(&tag) {
            kept.push(tag);
        }
    }
    kept
}

/// A list of tags with some added and some taken out.
pub(super) fn changed_tags(held: &[String], add: &[String], remove: &[String]) -> Vec<String> {
    let gone = lower_cased(remove);
    let mut tags = lower_cased(&[held, add].concat());
    tags.retain(|tag| !gone.contains(tag));
    tags
}

/// `YYYY-MM-DD` from the vendor's eight forms (year first or last; `/`, `-`, `.`, `_`) or from an instant.
fn day(text: &str) -> Option<String> {
    let date = text.split('T').next()?;
    let parts: Vec<&str> = date.split(['/', '-', '.', '_']).collect();
    let [year, month, day] = match parts[..] {
        [year, month, day] if year.len() == 4 => [year, month, day],
        [month, day, year] if year.len() == 4 => [year, month, day],
        _ => return None,
    };
    let iso = format!("{year}-{month:0>2}-{day:0>2}");
    iso.parse::<jiff::civil::Date>().ok().map(|_| iso)
}

/// Written as `{id or key, field_value}`, stored and shown as `{id, value}`.
fn custom_field(entry: &Value) -> Option<Value> {
    let id = entry.get("id").or_else(|| entry.get("key")).and_then(Value::as_str)?;
    let value = entry.get("field_value").or_else(|| entry.get("value")).unwrap_or(&Value::Null);
    Some(json!({"id": id, "value": value}))
}

/// The whole name.
pub(super) fn full_name(contact: &Fields) -> String {
    [text(contact, "firstName"), text(contact, "lastName")].join(" ").trim().to_owned()
}

/// The read model of `GET /contacts/{id}`.
pub(super) fn read(contact: &Fields) -> Fields {
    pick(&whole(contact), READ)
}

/// The slightly different model that a create answers with.
pub(super) fn created(contact: &Fields) -> Fields {
    let mut whole = whole(contact);
    for key in ["deleted", "bounceEmail", "unsubscribeEmail"] {
        whole.insert(key.to_owned(), false.into());
    }
    for key in ["offers", "products"] {
        whole.insert(key.to_owned(), json!([]));
    }
    midnight(&mut whole);
    pick(&whole, CREATED)
}

/// A birth date as create answers and webhooks show it: midnight UTC.
pub(super) fn midnight(contact: &mut Fields) {
    if let Some(Value::String(day)) = contact.get_mut("dateOfBirth") {
        day.push_str("T00:00:00.000Z");
    }
}

fn whole(contact: &Fields) -> Fields {
    let mut whole = contact.clone();
    let name = full_name(contact);
    let lowered = [
        ("firstNameLowerCase", text(contact, "firstName").to_lowercase()),
        ("lastNameLowerCase", text(contact, "lastName").to_lowercase()),
        ("emailLowerCase", text(contact, "email").to_lowercase()),
        ("fullNameLowerCase", name.to_lowercase()),
        ("name", name),
    ];
    whole.extend(lowered.map(|(key, value)| (key.to_owned(), value.into())));
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn birth_dates_are_read_in_each_of_the_vendor_forms() {
        for form in ["1990/09/25", "09/25/1990", "1990-09-25", "09-25-1990", "1990.09.25", "09_25_1990"] {
            assert_eq!(day(form).as_deref(), Some("1990-09-25"), "{form}");
        }
        assert_eq!(day("25 September"), None);
    }

    #[test]
    fn phones_keep_a_leading_plus_and_their_digits() {
        assert_eq!(e164("+1 (888) 888-8888"), "+18888888888");
        assert_eq!(e164("030 1234"), "0301234");
    }
}
