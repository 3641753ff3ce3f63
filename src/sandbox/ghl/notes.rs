//! Notes of a contact. They carry `dateAdded` only; their webhooks have neither title nor user.
//!
//! In: checked bodies and users' fields. Out: answers; `NoteCreate`, `NoteUpdate`, `NoteDelete`.

use serde_json::json;

use super::answers::{Answer, Refusal};
use super::fields::{Fields, apply, oldest_first, only, pick, text};
use super::routes::Call;
use super::{Ghl, webhooks};
use crate::sandbox::Turn;

const READ: &[&str] = &["id", "body", "userId", "dateAdded", "contactId", "title", "color", "pinned"];
const WRITABLE: &[&str] = &["body", "userId", "title", "color", "pinned"];

pub(super) fn list(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    ghl.contact(&call.ids[0])?;
    let notes = oldest_first(&ghl.notes, |note| text(note, "contactId") == call.ids[0]);
    Ok(json!({"notes": notes.into_iter().map(read).collect::<Vec<_>>()}))
}

pub(super) fn post(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let id = ghl.create_note(&call.ids[0], &call.body, turn)?;
    Ok(json!({"note": read(&ghl.notes[&id])}))
}

pub(super) fn get(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    Ok(json!({"note": read(ghl.note(&call.ids[0], &call.ids[1])?)}))
}

pub(super) fn put(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    ghl.update_note(&call.ids[0], &call.ids[1], &call.body, turn)?;
    get(ghl, call, turn)
}

pub(super) fn delete(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    ghl.delete_note(&call.ids[0], &call.ids[1], turn)?;
    Ok(json!({"succeded": true}))
}

pub(super) fn read(note: &Fields) -> Fields {
    pick(note, READ)
}

impl Ghl {
    fn note(&self, contact: &str, id: &str) -> Result<&Fields, Refusal> {
        self.contact(contact)?;
        let held = self.notes.get(id).filter(|note| text(note, "contactId") == contact);
        held.ok_or_else(|| Refusal::unknown("Note", id))
    }

    pub(super) fn create_note(
        &mut self,
        contact: &str,
        input: &Fields,
        turn: &mut Turn<'_>,
    ) -> Result<String, Refusal> {
        let mut note = self.new_beside(contact, turn)?;
        apply(&mut note, only(input, WRITABLE));
        webhooks::note(self, "NoteCreate", &note, turn);
        let id = text(&note, "id").to_owned();
        self.notes.insert(id.clone(), note);
        Ok(id)
    }

    pub(super) fn update_note(
        &mut self,
        contact: &str,
        id: &str,
        input: &Fields,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let before = self.note(contact, id)?;
        let mut after = before.clone();
        apply(&mut after, only(input, WRITABLE));
        if after != *before {
            webhooks::note(self, "NoteUpdate", &after, turn);
        }
        self.notes.insert(id.to_owned(), after);
        Ok(())
    }

    pub(super) fn delete_note(&mut self, contact: &str, id: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let note = self.note(contact, id)?.clone();
        self.notes.remove(id);
        webhooks::note(self, "NoteDelete", &note, turn);
        Ok(())
    }
}
