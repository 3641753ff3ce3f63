//! Guests: who booked is a partial observation of a contact, without an id of its own.
//!
//! Matched by the correlation id that the booking link carried, then by e-mail, then by phone; never by "latest". What a
//! guest typed is remembered in a retired link of its own, so that typing the same again is no edit.

use super::decide::{Frame, decide};
use super::{Case, Resolver, Turn};
use crate::model::{
    Class, Entity, EntityId, ExternalId, Field, Guest, Kind, Link, LinkState, Observation, Shape, System, Whole,
};
use crate::store::{Keys, Result};

impl Resolver {
    /// The contact that a booking's guest is, its fields decided; `None` where the observation names no guest.
    pub(crate) async fn guest(&self, turn: &mut Turn<'_>, seen: &Observation) -> Result<Option<EntityId>> {
        let Some(guest) = seen.guest.as_deref().filter(|guest| !guest.fields.is_empty()) else { return Ok(None) };
        let id = memory_id(guest, seen);
        let mut case = self.whose(turn, guest, &id).await?;
        let entity = case.whole.entity.id;
        let mut memory = case
            .link(turn.system, &id)
            .cloned()
            .unwrap_or_else(|| Link::new(turn.workspace(), entity, turn.system, Kind::Contact, id.clone()));
        memory.state = LinkState::Retired;
        let version = seen.version().or(seen.at).unwrap_or(turn.now);
        if memory.version.is_some_and(|known| known >= version) {
            return Ok(Some(entity));
        }
        let frame = Frame::of(&turn.site.workspace.policy, turn.terms, turn.now);
        let mut typed =
            Observation::new(Kind::Contact, id, Class::Versioned(version), Shape::Partial(guest.fields.clone()));
        typed.at = seen.at;
        let verdict = decide(&case.whole.entity, &memory, &typed, &frame);
        case.accept(verdict, Some(turn.change.id));
        case.spread(turn.site, true, turn.due(), turn.now);
        case.into_settlement(&mut turn.settlement);
        Ok(Some(entity))
    }

    async fn whose(&self, turn: &Turn<'_>, guest: &Guest, id: &ExternalId) -> Result<Case> {
        let workspace = turn.workspace();
        if let Some(link) = self.lookup.link(workspace, turn.system, Kind::Contact, id).await?
            && let Some(whole) = self.lookup.whole(link.entity).await?
        {
            return Ok(Case::of(whole));
        }
        if let Some(correlation) = &guest.correlation
            && let Some(link) =
                self.lookup.link(workspace, System::Ghl, Kind::Contact, &ExternalId::new(correlation.clone())).await?
            && let Some(whole) = self.lookup.whole(link.entity).await?
        {
            return Ok(Case::of(whole));
        }
        let text = |field: &Field| guest.fields.get(field).and_then(|value| value.as_text()).map(ToOwned::to_owned);
        for keys in [Keys { email: text(&Field::EMAIL), phone: None }, Keys { email: None, phone: text(&Field::PHONE) }]
        {
            let found = self.lookup.contacts(workspace, &keys).await?;
            if let [only] = found.as_slice()
                && is_same_person(only, text(&Field::EMAIL).as_deref())
            {
                return Ok(Case::of(only.clone()));
            }
        }
        let id = EntityId(self.ids.uuid(turn.now));
        Ok(Case::new(Entity::new(id, workspace, Kind::Contact, turn.now)))
    }
}

/// One phone may serve a family: another e-mail is another person.
fn is_same_person(whole: &Whole, email: Option<&str>) -> bool {
    let known = whole.entity.value(&Field::EMAIL).as_text();
    known.is_none() || email.is_none() || known == email
}

/// The id under which a guest's typing is remembered.
fn memory_id(guest: &Guest, seen: &Observation) -> ExternalId {
    let key =
        [Field::EMAIL, Field::PHONE].iter().find_map(|field| guest.fields.get(field)?.as_text().map(str::to_owned));
    ExternalId(format!("guest:{}", key.unwrap_or_else(|| seen.id.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::model::{Author, Fields, Stamp, Value};

    fn typed<const N: usize>(fields: [(Field, &str); N]) -> Guest {
        let fields: Fields = fields.map(|(field, value)| (field, Value::text(value))).into();
        Guest { correlation: None, fields, comment: None }
    }

    #[test]
    fn a_guest_with_the_familys_phone_and_an_email_of_his_own_is_another_person() {
        let entity = Entity::new(EntityId(uuid::Uuid::nil()), "w", Kind::Contact, Millis(0));
        let mut whole = Whole { entity, links: Vec::new(), mirrors: Vec::new() };
        assert!(is_same_person(&whole, Some("child@example.com")), "no e-mail is known");
        let mother = Value::text("mother@example.com");
        whole.entity.set(Field::EMAIL, mother, Stamp::new(Millis(1), Author::Ghl));
        assert!(!is_same_person(&whole, Some("child@example.com")));
        assert!(is_same_person(&whole, Some("mother@example.com")) && is_same_person(&whole, None));
    }

    #[test]
    fn what_a_guest_typed_is_remembered_by_email_then_phone_then_booking() {
        let seen = Observation::new(Kind::Appointment, ExternalId::new("booking"), Class::Claim, Shape::Hint);
        let remembered = |guest| memory_id(&guest, &seen).0;
        let (email, phone) = ((Field::EMAIL, "ada@example.com"), (Field::PHONE, "+491"));
        assert_eq!(remembered(typed([email.clone(), phone.clone()])), "guest:ada@example.com");
        assert_eq!(remembered(typed([phone])), "guest:+491");
        assert_eq!(remembered(typed([(Field::FIRST_NAME, "Ada")])), "guest:booking");
    }
}
