//! What is attached to another object and lives below its path: tasks and notes of a contact, notes of an appointment.
//!
//! In: checked bodies and users' fields, and the [`Sort`] that tells one kind from the other. Out: answers, webhooks. What
//! a kind is made of stands with the kind.

use serde_json::{Value, json};

use super::Ghl;
use super::answers::{Answer, Refusal};
use super::fields::{Fields, Shelf, apply, fresh_id, oldest_first, pick, text};
use super::routes::Call;
use crate::sandbox::Turn;

/// A kind of attached object.
pub(super) trait Sort {
    /// The vendor's name, in refusals and webhooks.
    const NAME: &'static str;
    /// The key of one in an answer.
    const ONE: &'static str;
    /// The key of a list in an answer.
    const MANY: &'static str;
    /// The key that names the object it is attached to.
    const PARENT: &'static str;
    /// The keys of the read model.
    const READ: &'static [&'static str];

    /// Where they are kept.
    fn shelf(ghl: &Ghl) -> &Shelf;
    /// The same, to change it.
    fn shelf_mut(ghl: &mut Ghl) -> &mut Shelf;
    /// What it is attached to, or the vendor's 400.
    fn parent<'a>(ghl: &'a Ghl, id: &str) -> Result<&'a Fields, Refusal>;
    /// What a new one holds before the first write.
    fn fresh(parent: &Fields) -> Fields;
    /// What a write asks to store.
    fn written(input: &Fields) -> Fields;
    /// What an update is called in a webhook, if it has one.
    fn updated(before: &Fields, after: &Fields) -> Option<&'static str>;
    /// Sends the webhook of that name.
    fn tell(ghl: &Ghl, name: &str, object: &Fields, turn: &mut Turn<'_>);
}

pub(super) fn list<S: Sort>(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    Ok(json!({S::MANY: of::<S>(ghl, &call.ids[0])?.into_iter().map(read::<S>).collect::<Vec<_>>()}))
}

pub(super) fn post<S: Sort>(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    let id = create::<S>(ghl, &call.ids[0], &call.body, turn)?;
    Ok(json!({S::ONE: read::<S>(&S::shelf(ghl)[&id])}))
}

pub(super) fn get<S: Sort>(ghl: &mut Ghl, call: &Call, _: &mut Turn<'_>) -> Answer {
    Ok(json!({S::ONE: read::<S>(held::<S>(ghl, &call.ids[0], &call.ids[1])?)}))
}

pub(super) fn put<S: Sort>(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    update::<S>(ghl, &call.ids[0], &call.ids[1], &call.body, turn)?;
    get::<S>(ghl, call, turn)
}

/// The key is the vendor's own spelling.
pub(super) fn delete<S: Sort>(ghl: &mut Ghl, call: &Call, turn: &mut Turn<'_>) -> Answer {
    remove::<S>(ghl, &call.ids[0], &call.ids[1], turn)?;
    Ok(json!({"succeded": true}))
}

/// The read model.
pub(super) fn read<S: Sort>(object: &Fields) -> Fields {
    pick(object, S::READ)
}

/// Those of one parent, oldest first.
pub(super) fn of<'a, S: Sort>(ghl: &'a Ghl, parent: &str) -> Result<Vec<&'a Fields>, Refusal> {
    S::parent(ghl, parent)?;
    Ok(oldest_first(S::shelf(ghl), |object| text(object, S::PARENT) == parent))
}

fn held<'a, S: Sort>(ghl: &'a Ghl, parent: &str, id: &str) -> Result<&'a Fields, Refusal> {
    S::parent(ghl, parent)?;
    let held = S::shelf(ghl).get(id).filter(|object| text(object, S::PARENT) == parent);
    held.ok_or_else(|| Refusal::unknown(S::NAME, id))
}

pub(super) fn create<S: Sort>(
    ghl: &mut Ghl,
    parent: &str,
    input: &Fields,
    turn: &mut Turn<'_>,
) -> Result<String, Refusal> {
    let above = S::parent(ghl, parent)?;
    let id = fresh_id(turn.rng);
    let mut object = S::fresh(above);
    let place = [
        ("id", id.clone()),
        ("locationId", text(above, "locationId").to_owned()),
        (S::PARENT, parent.to_owned()),
        ("dateAdded", turn.now.rfc3339()),
    ];
    object.extend(place.map(|(key, value)| (key.to_owned(), Value::String(value))));
    apply(&mut object, S::written(input));
    S::tell(ghl, &format!("{}Create", S::NAME), &object, turn);
    S::shelf_mut(ghl).insert(id.clone(), object);
    Ok(id)
}

pub(super) fn update<S: Sort>(
    ghl: &mut Ghl,
    parent: &str,
    id: &str,
    input: &Fields,
    turn: &mut Turn<'_>,
) -> Result<(), Refusal> {
    let before = held::<S>(ghl, parent, id)?;
    let mut after = before.clone();
    apply(&mut after, S::written(input));
    if let Some(name) = S::updated(before, &after) {
        S::tell(ghl, name, &after, turn);
    }
    S::shelf_mut(ghl).insert(id.to_owned(), after);
    Ok(())
}

pub(super) fn remove<S: Sort>(ghl: &mut Ghl, parent: &str, id: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
    let object = held::<S>(ghl, parent, id)?.clone();
    S::shelf_mut(ghl).remove(id);
    S::tell(ghl, &format!("{}Delete", S::NAME), &object, turn);
    Ok(())
}
