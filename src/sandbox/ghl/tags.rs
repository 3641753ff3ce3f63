//! Tags of a contact: added and removed by name, stored in lower case; a location learns each new one.
//!
//! In: tag names. Out: the contact's whole list, `ContactTagUpdate`.

use serde_json::json;

use super::Ghl;
use super::answers::{Answer, Refusal};
use super::contact_fields::changed_tags;
use super::fields::{fresh_id, texts};
use super::routes::Call;
use crate::sandbox::Turn;

pub(super) fn post(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let tags = ghl.change_tags(&call.ids[0], &texts(&call.body, "tags"), &[], turn)?;
    Ok(json!({"tags": tags}))
}

pub(super) fn delete(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let tags = ghl.change_tags(&call.ids[0], &[], &texts(&call.body, "tags"), turn)?;
    Ok(json!({"tags": tags}))
}

impl Ghl {
    /// Adds and removes tags; gives the whole list.
    pub(super) fn change_tags(
        &mut self,
        contact: &str,
        add: &[String],
        remove: &[String],
        turn: &mut Turn<'_>,
    ) -> Result<Vec<String>, Refusal> {
        let before = self.contact(contact)?.clone();
        let tags = changed_tags(&texts(&before, "tags"), add, remove);
        let mut after = before.clone();
        after.insert("tags".to_owned(), tags.clone().into());
        self.change_contact(&before, after, turn)?;
        Ok(tags)
    }

    /// A tag that the location does not know yet is made on the fly.
    pub(super) fn learn_tags(&mut self, location: &str, tags: &[String], turn: &mut Turn<'_>) {
        for tag in tags {
            self.tags.entry((location.to_owned(), tag.clone())).or_insert_with(|| fresh_id(turn.rng));
        }
    }
}
