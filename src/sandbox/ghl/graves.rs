//! Deleted contacts: the vendor keeps them, out of the API's sight, and a person may restore them.
//!
//! In: ids. Out: `ContactDelete`, and on restoring what the settings say (unknown at the vendor). A deleted contact takes its
//! tasks, notes and appointments with it, without webhooks of their own, and brings them back.

use std::collections::BTreeMap;

use serde_json::json;

use super::answers::Refusal;
use super::fields::{Fields, Shelf, text};
use super::{Ghl, webhooks};
use crate::sandbox::Turn;

/// The deleted contacts by id.
pub(super) type Graves = BTreeMap<String, Grave>;

/// A deleted contact and what it took with it.
#[derive(Debug)]
pub(super) struct Grave {
    contact: Fields,
    beside: [Shelf; 3],
}

impl Ghl {
    /// Whether the contact was deleted and not restored.
    pub(super) fn is_deleted(&self, contact: &str) -> bool {
        self.graves.contains_key(contact)
    }

    fn beside(&mut self) -> [&mut Shelf; 3] {
        [&mut self.tasks, &mut self.notes, &mut self.appointments]
    }

    pub(super) fn delete_contact(&mut self, id: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let mut contact = self.contact(id)?.clone();
        self.contacts.remove(id);
        webhooks::contact(self, "ContactDelete", &contact, turn);
        self.index.forget(id, turn.real, self.settings.search_lag_ms);
        contact.insert("deleted".to_owned(), json!(true));
        let taken = |shelf: &mut Shelf| shelf.extract_if(.., |_, object| text(object, "contactId") == id).collect();
        let beside = self.beside().map(taken);
        self.graves.insert(id.to_owned(), Grave { contact, beside });
        Ok(())
    }

    /// A person takes a contact of the location out of the deleted ones.
    pub(super) fn restore_contact(&mut self, location: &str, id: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let grave = self.graves.get(id).filter(|grave| text(&grave.contact, "locationId") == location);
        let mut contact = grave.ok_or_else(|| Refusal::unknown("Contact", id))?.contact.clone();
        contact.remove("deleted");
        self.refuse_duplicate(&Fields::new(), &contact)?;
        contact.insert("dateUpdated".to_owned(), turn.now.rfc3339().into());
        let beside = self.graves.remove(id).map(|grave| grave.beside).into_iter().flatten();
        for (shelf, mut objects) in self.beside().into_iter().zip(beside) {
            shelf.append(&mut objects);
        }
        if !self.settings.restore_webhook.is_empty() {
            webhooks::contact(self, &self.settings.restore_webhook, &contact, turn);
        }
        self.keep_contact(contact, turn);
        Ok(())
    }
}
