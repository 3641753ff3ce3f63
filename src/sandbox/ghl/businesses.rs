//! Businesses (companies) of a location, and which contacts belong to one.
//!
//! In: checked bodies. Out: answers; `RecordCreate`, `RecordUpdate`, `RecordDelete` if the settings say so.

use serde_json::{Value, json};

use super::answers::{Answer, Refusal};
use super::fields::{Fields, apply, fresh_record_id, oldest_first, only, pick, text};
use super::routes::Call;
use super::{Ghl, webhooks};
use crate::sandbox::Turn;

const WRITABLE: &[&str] =
    &["name", "phone", "email", "website", "address", "city", "description", "state", "postalCode", "country"];
const READ: &[&str] = &[
    "id",
    "name",
    "phone",
    "email",
    "website",
    "address",
    "city",
    "description",
    "state",
    "postalCode",
    "country",
    "updatedBy",
    "locationId",
    "createdBy",
    "createdAt",
    "updatedAt",
];
const A_PAGE: usize = 100;

pub(super) fn list(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    let location = &ghl.location(call.asked("locationId"))?.id;
    let held = oldest_first(&ghl.businesses, |business| text(business, "locationId") == *location);
    let page = held.into_iter().skip(call.number("skip", 0)).take(call.number("limit", A_PAGE));
    Ok(json!({"businesses": page.map(read).collect::<Vec<_>>()}))
}

pub(super) fn get(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    Ok(json!({"business": read(ghl.business(&call.ids[0])?)}))
}

/// The key of the answer is the vendor's own spelling.
pub(super) fn post(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let location = ghl.location(text(&call.body, "locationId"))?.id.clone();
    let (id, now) = (fresh_record_id(turn.rng), turn.now.rfc3339());
    let by = json!({"type": "INTEGRATION", "channel": "OAUTH", "createdAt": now});
    let start = [
        ("id", id.into()),
        ("locationId", location.into()),
        ("createdBy", by.clone()),
        ("updatedBy", by),
        ("createdAt", now.clone().into()),
        ("updatedAt", now.into()),
    ];
    let mut business: Fields = start.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
    apply(&mut business, only(&call.body, WRITABLE));
    Ok(json!({"success": true, "buiseness": ghl.keep_business("RecordCreate", business, turn)}))
}

pub(super) fn put(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let mut business = ghl.business(&call.ids[0])?.clone();
    apply(&mut business, only(&call.body, WRITABLE));
    business.insert("updatedAt".to_owned(), turn.now.rfc3339().into());
    Ok(json!({"success": true, "buiseness": ghl.keep_business("RecordUpdate", business, turn)}))
}

pub(super) fn delete(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let business = ghl.business(&call.ids[0])?.clone();
    let of_it = |contact: &&Fields| text(contact, "businessId") == call.ids[0];
    let members: Vec<String> =
        ghl.contacts.values().filter(of_it).map(|contact| text(contact, "id").to_owned()).collect();
    for contact in members {
        ghl.set_business(&contact, "", turn)?;
    }
    ghl.businesses.remove(&call.ids[0]);
    webhooks::business(ghl, "RecordDelete", &business, WRITABLE, turn);
    Ok(json!({"success": true}))
}

pub(super) fn read(business: &Fields) -> Fields {
    pick(business, READ)
}

impl Ghl {
    fn business(&self, id: &str) -> Result<&Fields, Refusal> {
        self.businesses.get(id).ok_or_else(|| Refusal::unknown("Business", id))
    }

    /// The business, if it is one of the location.
    pub(super) fn business_in(&self, location: &str, id: &str) -> Result<&Fields, Refusal> {
        let held = self.business(id)?;
        if text(held, "locationId") == location { Ok(held) } else { Err(Refusal::unknown("Business", id)) }
    }

    /// Sets a contact's business; an empty id takes it out.
    pub(super) fn set_business(&mut self, contact: &str, id: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let before = self.contact(contact)?.clone();
        let mut after = before.clone();
        apply(&mut after, Fields::from_iter([("businessId".to_owned(), id.into())]));
        self.change_contact(&before, after, turn)
    }

    fn keep_business(&mut self, name: &str, business: Fields, turn: &mut Turn<'_>) -> Value {
        webhooks::business(self, name, &business, WRITABLE, turn);
        let shown = read(&business);
        self.businesses.insert(text(&business, "id").to_owned(), business);
        Value::Object(shown)
    }
}
