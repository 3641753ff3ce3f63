//! Contacts: create, read, update, delete, upsert, the duplicate rule.
//!
//! In: checked bodies and users' fields. Out: answers; webhooks. Fields are `contact_fields`' matter, tags have a page of
//! their own, search too.

use serde_json::{Value, json};

use super::answers::{Answer, Refusal};
use super::contact_fields::{self, created, full_name, merge_custom_fields, read, written};
use super::fields::{Fields, apply, flag, fresh_id, only, text, texts};
use super::routes::Call;
use super::{Ghl, webhooks};
use crate::sandbox::Turn;

const TAGS: &[&str] = &["tags"];
const DND: &[&str] = &["dnd", "dndSettings"];
/// What changes without a webhook: followers, and what a person asked for by answering (vendor issue #264).
const SILENT: &[&str] = &["followers", "inboundDndSettings"];

pub(super) fn post(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let id = ghl.create_contact(text(&call.body, "locationId"), &call.body, turn)?;
    Ok(json!({"contact": created(ghl.contact(&id)?)}))
}

pub(super) fn get(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    Ok(json!({"contact": read(ghl.contact(&call.ids[0])?)}))
}

pub(super) fn put(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    ghl.update_contact(&call.ids[0], &call.body, turn)?;
    Ok(json!({"succeded": true, "contact": read(ghl.contact(&call.ids[0])?)}))
}

pub(super) fn delete(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    ghl.delete_contact(&call.ids[0], turn)?;
    Ok(json!({"succeded": true}))
}

pub(super) fn duplicate(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    let asked = |key: &str| call.query.get(key).filter(|value| !value.is_empty());
    let (email, number) = (asked("email"), asked("number"));
    if email.is_none() && number.is_none() {
        return Err(Refusal::bad_request("Pass at least one of number, email query parameter"));
    }
    let location = &call.query["locationId"];
    let by_email = email.and_then(|email| ghl.matching(location, "email", email));
    let found = by_email.or_else(|| number.and_then(|number| ghl.matching(location, "phone", number)));
    Ok(json!({"contact": found.map(read)}))
}

/// Updates the first match in the location's order, else creates.
pub(super) fn upsert(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let mut body = call.body.clone();
    let location = text(&body, "locationId").to_owned();
    let settings = ghl.settings.location(&location).ok_or_else(Refusal::foreign_location)?;
    let blind = flag(&body, "createNewIfDuplicateAllowed") && settings.allow_duplicates;
    let fields = settings.match_order.clone();
    let hit = |field: &String| ghl.matching(&location, field, text(&body, field)).map(|c| text(c, "id").to_owned());
    let first = fields.iter().filter(|_| !blind).find_map(hit);
    let Some(id) = first else {
        let id = ghl.create_contact(&location, &body, turn)?;
        return Ok(json!({"new": true, "contact": read(ghl.contact(&id)?)}));
    };
    // A second field that belongs to another contact is silently ignored (vendor issue #37).
    for field in &fields {
        if ghl.matching(&location, field, text(&body, field)).is_some_and(|other| text(other, "id") != id) {
            body.remove(field);
        }
    }
    ghl.update_contact(&id, &body, turn)?;
    Ok(json!({"new": false, "contact": read(ghl.contact(&id)?)}))
}

impl Ghl {
    /// The contact, or the vendor's 400.
    pub(super) fn contact(&self, id: &str) -> Result<&Fields, Refusal> {
        self.contacts.get(id).ok_or_else(|| Refusal::unknown("Contact", id))
    }

    pub(super) fn create_contact(
        &mut self,
        location: &str,
        input: &Fields,
        turn: &mut Turn<'_>,
    ) -> Result<String, Refusal> {
        let mut change = written(input).map_err(unreadable)?;
        self.name_custom_fields(location, &mut change);
        if ["email", "phone", "firstName", "lastName"].iter().all(|key| text(&change, key).is_empty()) {
            return Err(Refusal::bad_request("Pass at least one of email, phone, name"));
        }
        let id = fresh_id(turn.rng);
        let start = json!({
            "id": id, "locationId": location, "dateAdded": turn.now.rfc3339(), "dateUpdated": turn.now.rfc3339(),
            "type": "lead", "tags": [], "dnd": false, "customFields": [],
        });
        let Value::Object(mut contact) = start else { return Err(Refusal::bad_request("Bad Request")) };
        set(&mut contact, change);
        self.refuse_duplicate(&Fields::new(), &contact)?;
        self.learn_tags(location, &texts(&contact, "tags"), turn);
        webhooks::contact(self, "ContactCreate", &contact, turn);
        self.keep_contact(contact, turn);
        Ok(id)
    }

    pub(super) fn update_contact(&mut self, id: &str, input: &Fields, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let before = self.contact(id)?.clone();
        let mut after = before.clone();
        let mut change = written(input).map_err(unreadable)?;
        self.name_custom_fields(text(&before, "locationId"), &mut change);
        set(&mut after, change);
        self.change_contact(&before, after, turn)
    }

    /// Puts `after` in the place of `before` and tells what changed, tags and "do not disturb" each in their own words; an
    /// update without a difference says nothing.
    pub(super) fn change_contact(
        &mut self,
        before: &Fields,
        mut after: Fields,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        if *before == after {
            return Ok(());
        }
        let tagged = only(before, TAGS) != only(&after, TAGS);
        let disturbed = only(before, DND) != only(&after, DND);
        let edited = without(before, &[TAGS, DND, SILENT]) != without(&after, &[TAGS, DND, SILENT]);
        self.refuse_duplicate(before, &after)?;
        after.insert("dateUpdated".to_owned(), turn.now.rfc3339().into());
        self.learn_tags(text(&after, "locationId"), &texts(&after, "tags"), turn);
        let told = [
            (edited || (tagged && self.settings.double_tag_webhook), "ContactUpdate"),
            (disturbed, "ContactDndUpdate"),
            (tagged, "ContactTagUpdate"),
        ];
        for (_, name) in told.iter().filter(|(due, _)| *due) {
            webhooks::contact(self, name, &after, turn);
        }
        self.keep_contact(after, turn);
        Ok(())
    }

    /// Stores a contact and lets search learn of it.
    pub(super) fn keep_contact(&mut self, contact: Fields, turn: &Turn<'_>) {
        self.index.learn(read(&contact), turn.real, self.settings.search_lag_ms);
        self.contacts.insert(text(&contact, "id").to_owned(), contact);
    }

    /// The oldest contact of a location whose e-mail (a secondary one, too) or phone is this one.
    fn matching(&self, location: &str, field: &str, value: &str) -> Option<&Fields> {
        let normal = |value: &str| if field == "phone" { contact_fields::e164(value) } else { value.to_lowercase() };
        let wanted = normal(value);
        let others = |contact: &Fields| contact.get("additionalEmails").and_then(Value::as_array).cloned();
        let secondary = |contact: &Fields| {
            let mut others = others(contact).into_iter().flatten();
            field == "email" && others.any(|other| other["email"].as_str().is_some_and(|other| normal(other) == wanted))
        };
        let fits = |contact: &&Fields| {
            text(contact, "locationId") == location && (normal(text(contact, field)) == wanted || secondary(contact))
        };
        self.contacts
            .values()
            .filter(|_| !wanted.is_empty())
            .filter(fits)
            .min_by_key(|contact| text(contact, "dateAdded"))
    }

    pub(super) fn refuse_duplicate(&self, before: &Fields, after: &Fields) -> Result<(), Refusal> {
        let location = self.settings.location(text(after, "locationId")).ok_or_else(Refusal::foreign_location)?;
        let changed = |field: &&String| text(before, field) != text(after, field);
        for field in location.match_order.iter().filter(|_| !location.allow_duplicates).filter(changed) {
            let other = self.matching(&location.id, field, text(after, field));
            if let Some(other) = other.filter(|other| text(other, "id") != text(after, "id")) {
                return Err(Refusal::duplicate(text(other, "id"), &full_name(other), field));
            }
        }
        Ok(())
    }
}

fn set(contact: &mut Fields, mut change: Fields) {
    let entries = change.remove("customFields");
    if let (Some(Value::Array(entries)), Some(Value::Array(held))) = (entries, contact.get_mut("customFields")) {
        merge_custom_fields(held, entries);
    }
    apply(contact, change);
    // A secondary address that becomes the primary one is secondary no more (vendor issue #337).
    let email = text(contact, "email").to_lowercase();
    if let Some(Value::Array(others)) = contact.get_mut("additionalEmails") {
        others.retain(|other| other["email"].as_str().is_none_or(|other| other.to_lowercase() != email));
    }
}

fn without(contact: &Fields, parts: &[&[&str]]) -> Fields {
    let mut rest = contact.clone();
    rest.retain(|key, _| !parts.iter().any(|part| part.contains(&key.as_str())));
    rest
}

fn unreadable(field: &str) -> Refusal {
    Refusal::unprocessable(vec![format!("{field} is not valid")])
}
