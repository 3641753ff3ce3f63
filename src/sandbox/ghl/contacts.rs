//! Contacts: create, read, update, delete, upsert, the duplicate rule.
//!
//! In: checked bodies and users' fields. Out: answers; webhooks. Fields are `contact_fields`' matter, tags have a page of
//! their own, search too.

use serde_json::{Value, json};

use super::answers::{Answer, Refusal};
use super::contact_fields::{self, created, full_name, merge_custom_fields, read, written};
use super::fields::{Fields, apply, flag, fresh_id, text, texts};
use super::routes::Call;
use super::{Ghl, webhooks};
use crate::sandbox::Turn;

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

    /// What every new task and note of a contact begins with.
    pub(super) fn new_beside(&self, contact: &str, turn: &mut Turn<'_>) -> Result<Fields, Refusal> {
        let location = text(self.contact(contact)?, "locationId");
        Ok(Fields::from_iter([
            ("id".to_owned(), fresh_id(turn.rng).into()),
            ("locationId".to_owned(), location.into()),
            ("contactId".to_owned(), contact.into()),
            ("dateAdded".to_owned(), turn.now.rfc3339().into()),
        ]))
    }

    pub(super) fn create_contact(
        &mut self,
        location: &str,
        input: &Fields,
        turn: &mut Turn<'_>,
    ) -> Result<String, Refusal> {
        let change = written(input).map_err(unreadable)?;
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
        set(&mut after, written(input).map_err(unreadable)?);
        self.change_contact(&before, after, turn)
    }

    /// Puts `after` in the place of `before` and tells what changed; an update without a difference says nothing.
    pub(super) fn change_contact(
        &mut self,
        before: &Fields,
        mut after: Fields,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let tagged = before.get("tags") != after.get("tags");
        let edited = without_tags(before) != without_tags(&after);
        if !tagged && !edited {
            return Ok(());
        }
        self.refuse_duplicate(before, &after)?;
        after.insert("dateUpdated".to_owned(), turn.now.rfc3339().into());
        self.learn_tags(text(&after, "locationId"), &texts(&after, "tags"), turn);
        if edited || self.settings.double_tag_webhook {
            webhooks::contact(self, "ContactUpdate", &after, turn);
        }
        if tagged {
            webhooks::contact(self, "ContactTagUpdate", &after, turn);
        }
        self.keep_contact(after, turn);
        Ok(())
    }

    pub(super) fn delete_contact(&mut self, id: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.contact(id)?;
        for shelf in [&mut self.tasks, &mut self.notes, &mut self.appointments] {
            shelf.retain(|_, object| text(object, "contactId") != id);
        }
        if let Some(contact) = self.contacts.remove(id) {
            webhooks::contact(self, "ContactDelete", &contact, turn);
            self.index.forget(id, turn.now, self.settings.search_lag_ms);
        }
        Ok(())
    }

    fn keep_contact(&mut self, contact: Fields, turn: &Turn<'_>) {
        self.index.learn(read(&contact), turn.now, self.settings.search_lag_ms);
        self.contacts.insert(text(&contact, "id").to_owned(), contact);
    }

    /// The oldest contact of a location whose e-mail or phone is this one.
    fn matching(&self, location: &str, field: &str, value: &str) -> Option<&Fields> {
        let normal = |value: &str| if field == "phone" { contact_fields::e164(value) } else { value.to_lowercase() };
        let wanted = normal(value);
        let fits =
            |contact: &&Fields| text(contact, "locationId") == location && normal(text(contact, field)) == wanted;
        self.contacts
            .values()
            .filter(|_| !wanted.is_empty())
            .filter(fits)
            .min_by_key(|contact| text(contact, "dateAdded"))
    }

    fn refuse_duplicate(&self, before: &Fields, after: &Fields) -> Result<(), Refusal> {
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
}

fn without_tags(contact: &Fields) -> Fields {
    contact.iter().filter(|(key, _)| *key != "tags").map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn unreadable(field: &str) -> Refusal {
    Refusal::unprocessable(vec![format!("{field} is not valid")])
}
