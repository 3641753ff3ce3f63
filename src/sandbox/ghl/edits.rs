//! A user's edits, as made in the vendor's own pages: the same changes as through the API, without its whitelist.
//!
//! In: an [`Edit`]. Out: the object's id, webhooks. A contact takes `tags` (the whole list), `addTags`, `removeTags`; an
//! appointment's contact is the edit's parent or its `contactId`. A deleted contact can be restored (`restore`). What is done
//! to the app and its tokens is `oauth`'s.

use serde_json::json;

use super::answers::Refusal;
use super::attached::{create as attach, remove, update};
use super::contact_fields::changed_tags;
use super::fields::{Fields, text, texts};
use super::notes::Notes;
use super::tasks::Tasks;
use super::{Ghl, oauth};
use crate::sandbox::{Edit, EditRefused, Turn};

/// Makes the edit.
pub(super) fn make(ghl: &mut Ghl, edit: &Edit, turn: &mut Turn<'_>) -> Result<String, EditRefused> {
    if let Some(done) = oauth::edit(ghl, edit, turn) {
        return done;
    }
    let fields = edit.fields.as_object().cloned().unwrap_or_default();
    if edit.action == "create" {
        return create(ghl, edit, &fields, turn).map_err(refused);
    }
    let id = edit.id.as_deref().ok_or_else(|| EditRefused(format!("`{}` needs an id", edit.action)))?;
    if (edit.kind.as_str(), edit.action.as_str()) == ("contact", "restore") {
        ghl.restore_contact(&edit.account, id, turn).map_err(refused)?;
        return Ok(id.to_owned());
    }
    let parent = parent_of(ghl, edit, id)?;
    let done = match (edit.kind.as_str(), edit.action.as_str()) {
        ("contact", "update") => update_contact(ghl, id, &fields, turn),
        ("contact", "delete") => ghl.delete_contact(id, turn),
        ("task", "update") => update::<Tasks>(ghl, &parent, id, &fields, turn),
        ("task", "complete") => update::<Tasks>(ghl, &parent, id, &one("completed", true), turn),
        ("task", "delete") => remove::<Tasks>(ghl, &parent, id, turn),
        ("note", "update") => update::<Notes>(ghl, &parent, id, &fields, turn),
        ("note", "delete") => remove::<Notes>(ghl, &parent, id, turn),
        ("appointment", "update" | "move") => ghl.update_appointment(id, &fields, false, turn),
        ("appointment", "cancel") => ghl.update_appointment(id, &one("appointmentStatus", "cancelled"), false, turn),
        ("appointment", "delete") => ghl.delete_appointment(id, turn),
        _ => return Err(unknown(edit)),
    };
    done.map_err(refused)?;
    Ok(id.to_owned())
}

fn create(ghl: &mut Ghl, edit: &Edit, fields: &Fields, turn: &mut Turn<'_>) -> Result<String, Refusal> {
    if edit.kind == "contact" {
        return create_contact(ghl, &edit.account, fields, turn);
    }
    let parent = edit.parent.as_deref().unwrap_or_else(|| text(fields, "contactId")).to_owned();
    if text(ghl.contact(&parent)?, "locationId") != edit.account {
        return Err(Refusal::foreign_location());
    }
    match edit.kind.as_str() {
        "task" => attach::<Tasks>(ghl, &parent, fields, turn),
        "note" => attach::<Notes>(ghl, &parent, fields, turn),
        "appointment" => ghl.create_appointment(&parent, fields, false, turn),
        _ => Err(Refusal::bad_request(unknown(edit).0)),
    }
}

fn create_contact(ghl: &mut Ghl, location: &str, fields: &Fields, turn: &mut Turn<'_>) -> Result<String, Refusal> {
    let mut fields = fields.clone();
    let tags = [texts(&fields, "tags"), texts(&fields, "addTags")].concat();
    fields.insert("tags".to_owned(), tags.into());
    ghl.create_contact(location, &fields, turn)
}

/// Fields and tags in one save.
fn update_contact(ghl: &mut Ghl, id: &str, fields: &Fields, turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let mut fields = fields.clone();
    let (add, remove) = (texts(&fields, "addTags"), texts(&fields, "removeTags"));
    if !add.is_empty() || !remove.is_empty() {
        let held = if fields.contains_key("tags") { texts(&fields, "tags") } else { texts(ghl.contact(id)?, "tags") };
        fields.insert("tags".to_owned(), changed_tags(&held, &add, &remove).into());
    }
    ghl.update_contact(id, &fields, turn)
}

/// The contact that the object belongs to; refuses an object of another account.
fn parent_of(ghl: &Ghl, edit: &Edit, id: &str) -> Result<String, EditRefused> {
    let shelf = match edit.kind.as_str() {
        "contact" => &ghl.contacts,
        "task" => &ghl.tasks,
        "note" => &ghl.notes,
        "appointment" => &ghl.appointments,
        _ => return Err(unknown(edit)),
    };
    let object = shelf.get(id).filter(|object| text(object, "locationId") == edit.account);
    let object = object.ok_or_else(|| EditRefused(format!("no {} {id} in {}", edit.kind, edit.account)))?;
    Ok(text(object, "contactId").to_owned())
}

fn one(key: &str, value: impl serde::Serialize) -> Fields {
    Fields::from_iter([(key.to_owned(), json!(value))])
}

fn unknown(edit: &Edit) -> EditRefused {
    EditRefused(format!("a {} knows no `{}`", edit.kind, edit.action))
}

fn refused(refusal: Refusal) -> EditRefused {
    EditRefused(refusal.line())
}
