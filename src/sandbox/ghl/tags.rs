//! Tags: those of a contact, added and removed by name, stored in lower case; and those that a location knows.
//!
//! In: tag names. Out: the contact's whole list, `ContactTagUpdate`; the location's tags with their ids.

use serde_json::{Value, json};

use super::Ghl;
use super::answers::{Answer, Refusal};
use super::contact_fields::{changed_tags, lower_cased};
use super::fields::{fresh_id, text, texts};
use super::routes::Call;
use crate::sandbox::Turn;

pub(super) fn post(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    change(ghl, call, &texts(&call.body, "tags"), &[], turn)
}

pub(super) fn delete(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    change(ghl, call, &[], &texts(&call.body, "tags"), turn)
}

fn change(ghl: &mut Ghl, call: &Call, add: &[String], remove: &[String], turn: &mut Turn<'_>) -> Answer {
    let id = &call.ids[0];
    let tags = changed_tags(&texts(ghl.contact(id)?, "tags"), add, remove);
    ghl.set_tags(id, &tags, turn)?;
    Ok(json!({"tags": tags}))
}

/// The tags that a location knows.
pub(super) fn of_location(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    ghl.location(&call.ids[0])?;
    let known = ghl.tags.iter().filter(|((location, _), _)| *location == call.ids[0]);
    Ok(json!({"tags": known.map(|((location, name), id)| shown(location, name, id)).collect::<Vec<_>>()}))
}

/// Makes a tag known; one that is known already is answered as it is.
pub(super) fn post_to_location(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let location = &ghl.location(&call.ids[0])?.id.clone();
    let names = lower_cased(&[text(&call.body, "name").to_owned()]);
    let Some(name) = names.first() else {
        return Err(Refusal::unprocessable(vec!["name should not be empty".to_owned()]));
    };
    ghl.learn_tags(location, &names, turn);
    Ok(json!({"tag": shown(location, name, &ghl.tags[&(location.clone(), name.clone())])}))
}

fn shown(location: &str, name: &str, id: &str) -> Value {
    json!({"name": name, "locationId": location, "id": id})
}

impl Ghl {
    /// Gives a contact these tags and no others.
    pub(super) fn set_tags(&mut self, contact: &str, tags: &[String], turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let before = self.contact(contact)?.clone();
        let mut after = before.clone();
        after.insert("tags".to_owned(), tags.into());
        self.change_contact(&before, after, turn)
    }

    /// A tag that the location does not know yet is made on the fly.
    pub(super) fn learn_tags(&mut self, location: &str, tags: &[String], turn: &mut Turn<'_>) {
        for tag in tags {
            self.tags.entry((location.to_owned(), tag.clone())).or_insert_with(|| fresh_id(turn.rng));
        }
    }
}
