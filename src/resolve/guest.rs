//! Guests: who booked is a partial observation of a contact, without an id of its own.
//!
//! In: a booking as it was seen. Out: the contact that its guest is, what the guest typed decided, and the comment as a note.
//! A guest is the contact of the booking, if that is known; else the contact in GHL that the booking link named; else the one
//! with the e-mail, or the phone; never "the latest". Several with the same one: a new contact that waits for a person. One who
//! is known by booking or link and typed another e-mail or phone than the contact has does not change these: they may book
//! with another address, or for somebody else; what was typed is kept as a conflict. What was typed is remembered in a retired
//! link, so that typing it again is no edit; so is a comment, which becomes a note once.

use super::Case;
use super::decide::{Frame, decide};
use super::lookup::Lookup;
use crate::clock::Millis;
use crate::ids::Ids;
use crate::model::{
    Author, ChangeId, Class, Conflict, Entity, EntityId, ExternalId, Field, Fields, Guest, Kind, Link, LinkState,
    Moved, Observation, Shape, Stamp, System, Value, Whole,
};
use crate::store::{Keys, Result, Settlement};
use crate::systems::Site;

/// Where and when a booking was seen.
pub struct Reception<'a> {
    /// Looks contacts up.
    pub lookup: &'a Lookup,
    /// Makes ids.
    pub ids: &'a Ids,
    /// The workspace.
    pub site: &'a Site,
    /// The system of the booking.
    pub system: System,
    /// The change it was seen in, if it was one.
    pub change: Option<ChangeId>,
    /// When work that this causes is due.
    pub due: Millis,
    /// The present.
    pub now: Millis,
}

/// Who booked.
pub enum Booker {
    /// The booking does not tell.
    Nobody,
    /// This contact; all that was said of it is in the settlement.
    Contact(EntityId),
    /// A contact in GHL that was not read yet. With its placeholder, if there was none: to be stored before it can be read.
    Unread(Option<Box<Case>>),
}

/// Who a guest could be.
enum Whose {
    /// One that we have, and what tells so.
    Known(Box<Case>, By),
    /// A new one, or one that was not read yet; and why a person has to look at it: several have the same e-mail or phone.
    New(Box<Case>, By, Option<String>),
    Nobody,
    Unread(Option<Box<Case>>),
}

/// What tells who a guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// The booking, or the link that led to it.
    Booking,
    /// The link that led to it, and the contact was not read yet.
    Unread,
    /// What was typed.
    Address,
}

impl Reception<'_> {
    /// Finds who booked, and puts what the guest said into the settlement. `booking`: what is known of it. `wait`: whether a
    /// contact that the link named is waited for if we did not read it yet; else the guest is whoever else it may be.
    pub async fn receive(
        &self,
        seen: &Observation,
        booking: Option<&Whole>,
        wait: bool,
        settlement: &mut Settlement,
    ) -> Result<Booker> {
        let Some(guest) = seen.guest.as_deref() else { return Ok(Booker::Nobody) };
        let former = self.former(seen, booking).await?;
        let booking = former.as_ref().or(booking);
        let (case, by, ambiguous) = match self.whose(guest, seen, booking, wait).await? {
            Whose::Known(case, by) => (*case, by, None),
            Whose::New(case, by, ambiguous) => (*case, by, ambiguous),
            Whose::Nobody => return Ok(Booker::Nobody),
            Whose::Unread(placeholder) => return Ok(Booker::Unread(placeholder)),
        };
        let contact = case.whole.entity.id;
        if case.whole.entity.is_live() {
            self.typed(case, by, guest, seen, ambiguous, settlement).await?;
            self.said(guest, seen, booking, contact, settlement).await?;
        }
        Ok(Booker::Contact(contact))
    }

    /// What is known of the booking that this one was moved from, where nothing is known of this one.
    async fn former(&self, seen: &Observation, booking: Option<&Whole>) -> Result<Option<Whole>> {
        let knows = booking.is_some_and(|booking| booking.entity.parent.is_some());
        let Some(Moved::From(old)) = seen.moved.as_ref().filter(|_| !knows) else { return Ok(None) };
        match self.link(seen.kind, old).await? {
            Some(link) => self.lookup.whole(link.entity).await,
            None => Ok(None),
        }
    }

    async fn whose(&self, guest: &Guest, seen: &Observation, booking: Option<&Whole>, wait: bool) -> Result<Whose> {
        let contact = booking.and_then(|booking| booking.entity.parent);
        if let Some(case) = self.case(contact).await? {
            return Ok(Whose::Known(Box::new(case), By::Booking));
        }
        let mut unread = None;
        if let Some(id) = self.named(guest) {
            match self.in_ghl(&id).await? {
                InGhl::Read(case) => return Ok(Whose::Known(case, By::Booking)),
                InGhl::Unread(_) if wait => return Ok(Whose::Unread(None)),
                InGhl::Unknown(placeholder) if wait => return Ok(Whose::Unread(Some(placeholder))),
                InGhl::Unread(case) | InGhl::Unknown(case) => unread = Some(case),
                InGhl::Absent => {}
            }
        }
        let text = |field: &Field| guest.fields.get(field).and_then(|value| value.as_text()).map(ToOwned::to_owned);
        let (email, phone) = (text(&Field::EMAIL), text(&Field::PHONE));
        let memory = self.link(Kind::Contact, &memory_id(guest, seen)).await?;
        if let Some(case) = self.case(memory.map(|link| link.entity)).await?.filter(|case| case.whole.entity.is_live())
        {
            // It may be remembered from a booking whose link named the contact.
            let own = email.is_none() || case.whole.entity.value(&Field::EMAIL).as_text() == email.as_deref();
            return Ok(Whose::Known(Box::new(case), if own { By::Address } else { By::Booking }));
        }
        let mut ambiguous = None;
        for (word, keys) in [
            ("e-mail", Keys { email: email.clone(), phone: None }),
            ("phone", Keys { email: None, phone: phone.clone() }),
        ] {
            let mut found = self.lookup.contacts(&self.site.workspace.name, &keys).await?;
            found.retain(|whole| is_same_person(whole, email.as_deref()));
            match found.len() {
                0 => {}
                1 => {
                    let known = |only| Whose::Known(Box::new(Case::of(only)), By::Address);
                    return Ok(found.pop().map_or(Whose::Nobody, known));
                }
                _ => ambiguous = ambiguous.or(Some(several(word, &found))),
            }
        }
        Ok(match unread {
            Some(placeholder) => Whose::New(placeholder, By::Unread, None),
            None if guest.fields.is_empty() => Whose::Nobody,
            None => Whose::New(Box::new(self.fresh(Kind::Contact)), By::Address, ambiguous),
        })
    }

    /// The id in GHL that the booking link named, where there is a GHL.
    fn named(&self, guest: &Guest) -> Option<ExternalId> {
        let id = guest.correlation.clone().map(ExternalId)?;
        self.site.targets.contains_key(&System::Ghl).then_some(id)
    }

    async fn in_ghl(&self, id: &ExternalId) -> Result<InGhl> {
        let workspace = &self.site.workspace.name;
        let Some(link) = self.lookup.link(workspace, System::Ghl, Kind::Contact, id).await? else {
            let mut placeholder = self.fresh(Kind::Contact);
            let entity = placeholder.whole.entity.id;
            placeholder.put_link(Link::new(workspace, entity, System::Ghl, Kind::Contact, id.clone()));
            placeholder.doubt(System::Ghl, self.now, self.now);
            return Ok(InGhl::Unknown(Box::new(placeholder)));
        };
        // An id that is gone, or that never was, names nobody: all who follow the same old link would be one person.
        let was_there = link.state == LinkState::Live || (link.state == LinkState::Retired && link.is_known());
        let case = self.case(Some(link.entity)).await?.filter(|case| was_there && case.whole.entity.is_live());
        Ok(match case.map(Box::new) {
            Some(case) if case.whole.entity.is_placeholder() => InGhl::Unread(case),
            Some(case) => InGhl::Read(case),
            None => InGhl::Absent,
        })
    }

    /// What was typed is decided, unless the same booking, or a later one, told it already.
    async fn typed(
        &self,
        mut case: Case,
        by: By,
        guest: &Guest,
        seen: &Observation,
        ambiguous: Option<String>,
        settlement: &mut Settlement,
    ) -> Result<()> {
        let is_new = case.whole.entity.rev == 0;
        let mut memory = self.memory(&case, guest, seen).await?;
        // A body that does not say when it was typed is the oldest: it never replaces what a later one told.
        let version = guest.typed.unwrap_or(Millis(0));
        let told = guest.fields.is_empty() || memory.version.is_some_and(|known| known >= version);
        if told && !is_new {
            return Ok(());
        }
        if let Some(terms) = self.site.terms(self.system).filter(|_| !told) {
            let mut fields = guest.fields.clone();
            if by == By::Booking {
                let stamp = Stamp::new(guest.typed.or(seen.at).unwrap_or(self.now), Author::from(self.system));
                case.keep(withhold(&mut fields, &mut memory, &case.whole.entity, stamp), self.change);
            }
            if matches!(seen.moved, Some(Moved::From(_))) {
                // Who moves a booking types nothing: what was typed with it is said again, whatever took its place since.
                fields.retain(|field, value| !memory.known(field).held.contains(value));
            }
            let (class, shape) = (Class::Versioned(version), Shape::Partial(fields));
            let mut typed = Observation::new(Kind::Contact, memory.id.clone(), class, shape);
            typed.at = guest.typed.or(seen.at);
            let frame = Frame::of(&self.site.workspace.policy, terms, self.now);
            let verdict = decide(&case.whole.entity, &memory, &typed, &frame);
            case.accept(verdict, self.change);
            if by == By::Unread {
                yield_to_all(&mut case.whole.entity, self.system);
            }
        }
        case.spread(self.site, true, self.due, self.now);
        if let Some(reason) = ambiguous {
            case.ambiguous(self.site, self.system, &reason, self.now);
            if case.whole.mirror(self.system).is_some() {
                case.park(self.system, &reason);
            }
        }
        case.into_settlement(settlement);
        Ok(())
    }

    /// The link that remembers what was typed. One e-mail may have been typed for several contacts.
    async fn memory(&self, case: &Case, guest: &Guest, seen: &Observation) -> Result<Link> {
        let (workspace, entity) = (&self.site.workspace.name, case.whole.entity.id);
        let plain = memory_id(guest, seen);
        let known = self.link(Kind::Contact, &plain).await?;
        let taken = known.as_ref().is_some_and(|link| link.entity != entity);
        let id = if taken { ExternalId(format!("{plain}/{entity}")) } else { plain };
        let known = if taken { self.link(Kind::Contact, &id).await? } else { known };
        let link = known.unwrap_or_else(|| Link::new(workspace, entity, self.system, Kind::Contact, id));
        Ok(Link { entity, state: LinkState::Retired, ..link })
    }

    /// The comment becomes a note of the contact: once, also where the booking is told, read or moved again.
    async fn said(
        &self,
        guest: &Guest,
        seen: &Observation,
        booking: Option<&Whole>,
        contact: EntityId,
        settlement: &mut Settlement,
    ) -> Result<()> {
        let text = guest.comment.as_ref().map_or(Value::Blank, Value::text);
        let id = comment_id(&seen.id);
        if text.is_blank() || self.link(Kind::Note, &id).await?.is_some() {
            return Ok(());
        }
        let stamp = Stamp::new(guest.typed.or(seen.at).unwrap_or(self.now), Author::from(self.system));
        let mut note = self.fresh(Kind::Note);
        let mut memory =
            Link::new(&self.site.workspace.name, note.whole.entity.id, self.system, Kind::Note, id.clone());
        memory.state = LinkState::Retired;
        memory.snapshot.entry(Field::BODY).or_default().move_to(text.clone(), stamp);
        for former in former_ids(seen, booking, self.system) {
            let told = self.link(Kind::Note, &comment_id(former)).await?;
            if let Some(told) = told.filter(|told| told.known(&Field::BODY).value == text) {
                settlement.links.push(Link { entity: told.entity, ..memory });
                return Ok(());
            }
        }
        note.whole.entity.parent = Some(contact);
        note.whole.entity.set(Field::BODY, text, stamp);
        note.put_link(memory);
        note.spread(self.site, false, self.due, self.now);
        note.into_settlement(settlement);
        Ok(())
    }

    fn fresh(&self, kind: Kind) -> Case {
        let id = EntityId(self.ids.uuid(self.now));
        Case::new(Entity::new(id, &self.site.workspace.name, kind, self.now))
    }

    async fn link(&self, kind: Kind, id: &ExternalId) -> Result<Option<Link>> {
        self.lookup.link(&self.site.workspace.name, self.system, kind, id).await
    }

    /// A case of an entity, or of the one that it turned out to be.
    async fn case(&self, entity: Option<EntityId>) -> Result<Option<Case>> {
        match entity {
            Some(entity) => Ok(self.lookup.present(entity).await?.map(Case::of)),
            None => Ok(None),
        }
    }
}

/// What we know of a contact that a booking link named.
enum InGhl {
    Read(Box<Case>),
    Unread(Box<Case>),
    Unknown(Box<Case>),
    Absent,
}

fn several(word: &str, found: &[Whole]) -> String {
    let ids: Vec<String> = found.iter().map(|whole| whole.entity.id.to_string()).collect();
    format!("the guest's {word} belongs to several contacts: {}", ids.join(", "))
}

/// One phone may serve a family: another e-mail is another person.
fn is_same_person(whole: &Whole, email: Option<&str>) -> bool {
    let known = whole.entity.value(&Field::EMAIL).as_text();
    known.is_none() || email.is_none() || known == email
}

/// Takes an e-mail and a phone out of what was typed that are not the contact's own; gives those that were not typed before.
fn withhold(fields: &mut Fields, memory: &mut Link, entity: &Entity, stamp: Stamp) -> Vec<Conflict> {
    let mut kept = Vec::new();
    for field in [Field::EMAIL, Field::PHONE] {
        let held = entity.value(&field);
        let is_other = |typed: &&Value| !held.is_blank() && *typed != held;
        let Some(typed) = fields.get(&field).filter(is_other).cloned() else { continue };
        fields.remove(&field);
        if memory.known(&field).value == typed {
            continue;
        }
        memory.snapshot.entry(field.clone()).or_default().move_to(typed.clone(), stamp);
        kept.push(Conflict {
            system: memory.system,
            lost: typed,
            lost_stamp: stamp,
            won: held.clone(),
            won_stamp: entity.stamp(&field),
            rule: "guest".to_owned(),
            field,
        });
    }
    kept
}

/// The contact's own e-mail and phone, which nobody has read yet, are to win over those that the guest typed.
fn yield_to_all(entity: &mut Entity, system: System) {
    for field in [Field::EMAIL, Field::PHONE] {
        let typed = entity.value(&field).clone();
        if !typed.is_blank() {
            entity.set(field, typed, Stamp::new(Millis(0), Author::from(system)));
        }
    }
}

/// The id under which a guest's typing is remembered.
fn memory_id(guest: &Guest, seen: &Observation) -> ExternalId {
    let key =
        [Field::EMAIL, Field::PHONE].iter().find_map(|field| guest.fields.get(field)?.as_text().map(str::to_owned));
    ExternalId(format!("guest:{}", key.unwrap_or_else(|| seen.id.to_string())))
}

/// The id under which the comment of a booking is remembered.
fn comment_id(booking: &ExternalId) -> ExternalId {
    ExternalId(format!("{booking}/comment"))
}

/// The other ids of a booking that was moved.
fn former_ids<'a>(
    seen: &'a Observation,
    booking: Option<&'a Whole>,
    system: System,
) -> impl Iterator<Item = &'a ExternalId> {
    let known = booking.into_iter().flat_map(|booking| &booking.links).filter(move |link| link.system == system);
    let named = seen.moved.iter().filter_map(|moved| match moved {
        Moved::From(old) => Some(old),
        Moved::To(_) => None,
    });
    known.map(|link| &link.id).chain(named).filter(|id| **id != seen.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed<const N: usize>(fields: [(Field, &str); N]) -> Guest {
        let fields: Fields = fields.map(|(field, value)| (field, Value::text(value))).into();
        Guest { correlation: None, fields, comment: None, typed: None }
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
    fn another_email_or_phone_of_a_known_guest_is_kept_once_and_changes_neither() {
        let ghl = Stamp::new(Millis(1), Author::Ghl);
        let mut entity = Entity::new(EntityId(uuid::Uuid::nil()), "w", Kind::Contact, Millis(0));
        entity.set(Field::EMAIL, Value::text("own@example.com"), ghl);
        let mut memory = Link::new("w", entity.id, System::Timerex, Kind::Contact, ExternalId::new("guest:x"));
        let stamp = Stamp::new(Millis(9), Author::Timerex);
        let all = typed([(Field::EMAIL, "other@example.com"), (Field::PHONE, "+81"), (Field::FIRST_NAME, "Jo")]).fields;
        let mut fields = all.clone();
        let kept = withhold(&mut fields, &mut memory, &entity, stamp);
        assert_eq!(fields.keys().collect::<Vec<_>>(), [&Field::FIRST_NAME, &Field::PHONE], "a blank is filled");
        let [conflict] = &kept[..] else { panic!("{kept:?}") };
        assert_eq!(
            (conflict.lost.as_text(), conflict.won.as_text()),
            (Some("other@example.com"), Some("own@example.com"))
        );
        assert_eq!((conflict.rule.as_str(), conflict.lost_stamp, conflict.won_stamp), ("guest", stamp, ghl));

        entity.set(Field::PHONE, Value::text("+49"), ghl);
        let mut again = all.clone();
        let kept = withhold(&mut again, &mut memory, &entity, stamp);
        assert_eq!(
            kept.iter().map(|one| &one.field).collect::<Vec<_>>(),
            [&Field::PHONE],
            "the e-mail is kept already"
        );
        assert_eq!(again.keys().collect::<Vec<_>>(), [&Field::FIRST_NAME]);
        let mut own = typed([(Field::EMAIL, "own@example.com")]).fields;
        assert_eq!(withhold(&mut own, &mut memory, &entity, stamp), []);
        assert_eq!(own.len(), 1);
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
