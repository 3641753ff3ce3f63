//! Many contacts at once: tags added or removed, a business set or cleared; and who follows a contact.
//!
//! In: ids of contacts. Out: one row per contact, webhooks as for a single change.

use serde_json::{Value, json};

use super::Ghl;
use super::answers::{Answer, Refusal};
use super::contact_fields::changed_tags;
use super::fields::{Fields, flag, text, texts};
use super::routes::Call;
use crate::sandbox::Turn;

/// Adds or removes tags, as the path says; a contact that cannot be changed makes a row, not a refusal.
pub(super) fn tags(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let adds = match call.ids[0].as_str() {
        "add" => true,
        "remove" => false,
        _ => {
            let message = "type must be one of the following values: add, remove".to_owned();
            return Err(Refusal::unprocessable(vec![message]));
        }
    };
    let rows: Vec<Value> = texts(&call.body, "contacts")
        .iter()
        .map(|id| {
            let row = unfit(ghl, &call.body, id).map_or_else(|| tag(ghl, id, adds, &call.body, turn), Err);
            row.unwrap_or_else(|message| json!({"contactId": id, "message": message, "type": "error"}))
        })
        .collect();
    let failed = rows.iter().filter(|row| row["type"] == "error").count();
    Ok(json!({"succeded": true, "errorCount": failed, "responses": rows}))
}

/// Why the contact cannot be changed, in the vendor's words.
fn unfit(ghl: &Ghl, body: &Fields, id: &str) -> Option<String> {
    let here = || ghl.contacts.get(id).is_some_and(|contact| text(contact, "locationId") == text(body, "locationId"));
    let checks = [
        (id.len() != 20 || !id.chars().all(char::is_alphanumeric), "contact id is not a valid firebase id"),
        (ghl.is_deleted(id), "contact is deleted"),
        (!here(), "contact does not belong to location"),
    ];
    checks.into_iter().find(|(bad, _)| *bad).map(|(_, message)| message.to_owned())
}

fn tag(ghl: &mut Ghl, id: &str, adds: bool, body: &Fields, turn: &mut Turn<'_>) -> Result<Value, String> {
    let held = ghl.contacts.get(id).map(|contact| texts(contact, "tags")).unwrap_or_default();
    let asked = texts(body, "tags");
    let mut gone = if adds { Vec::new() } else { asked.clone() };
    if flag(body, "removeAllTags") {
        gone.extend(held.iter().cloned());
    }
    let left = changed_tags(&held, &[], &gone);
    let wanted = changed_tags(&left, if adds { &asked } else { &[] }, &[]);
    ghl.set_tags(id, &wanted, turn).map_err(|refusal| refusal.line())?;
    let without = |from: &[String], other: &[String]| -> Vec<String> {
        from.iter().filter(|tag| !other.contains(tag)).cloned().collect()
    };
    let (added, removed) = (without(&wanted, &held), without(&held, &wanted));
    Ok(json!({
        "contactId": id, "message": "Tags updated", "type": "success",
        "oldTags": held, "tagsAdded": added, "tagsRemoved": removed,
    }))
}

/// Puts contacts into a business, or takes them out with `null`.
pub(super) fn business(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let (location, business) = (text(&call.body, "locationId"), text(&call.body, "businessId"));
    if !business.is_empty() {
        ghl.business_in(location, business)?;
    }
    let mut changed = Vec::new();
    for id in texts(&call.body, "ids") {
        if ghl.contacts.get(&id).is_some_and(|contact| text(contact, "locationId") == location) {
            ghl.set_business(&id, business, turn)?;
            changed.push(id);
        }
    }
    Ok(json!({"success": true, "ids": changed}))
}

pub(super) fn follow(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let (before, after) = followers(ghl, call, true, turn)?;
    let added: Vec<&String> = after.iter().filter(|user| !before.contains(user)).collect();
    Ok(json!({"followers": after, "followersAdded": added}))
}

pub(super) fn unfollow(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let (before, after) = followers(ghl, call, false, turn)?;
    let removed: Vec<&String> = before.iter().filter(|user| !after.contains(user)).collect();
    Ok(json!({"followers": after, "followersRemoved": removed}))
}

/// The followers before and after.
fn followers(
    ghl: &mut Ghl,
    call: &Call,
    add: bool,
    turn: &mut Turn<'_>,
) -> Result<(Vec<String>, Vec<String>), Refusal> {
    let contact = ghl.contact(&call.ids[0])?.clone();
    let before = texts(&contact, "followers");
    let named = texts(&call.body, "followers");
    let mut after: Vec<String> = before.iter().filter(|user| add || !named.contains(user)).cloned().collect();
    for user in named.iter().filter(|_| add) {
        if !after.contains(user) {
            after.push(user.clone());
        }
    }
    let mut changed = contact.clone();
    changed.insert("followers".to_owned(), after.clone().into());
    ghl.change_contact(&contact, changed, turn)?;
    Ok((before, after))
}
