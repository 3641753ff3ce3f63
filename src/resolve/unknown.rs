//! Objects that nobody knows yet: matched with an entity we have, or a new entity; read first where they prove nothing.

use std::ops::ControlFlow;
use std::time::Duration;

use super::claim::Weight;
use super::guest::{Booker, Reception};
use super::identity::Match;
use super::{Case, IN_FLIGHT, JOINING, Resolver, Ruling, Turn, claim};
use crate::clock::Millis;
use crate::model::{Entity, EntityId, ExternalId, Fields, Kind, Link, Moved, Observation, Outcome, Shape, Whole};
use crate::store::Result;

/// How long a look is put off at most: a person may have the create sent again at any time.
const SELDOM: Duration = Duration::from_secs(10);

impl Resolver {
    /// An object that no link names. `former`: the link of another one that stood in its place.
    pub(crate) async fn unknown(
        &self,
        turn: &mut Turn<'_>,
        seen: &Observation,
        former: Option<Link>,
    ) -> Result<Ruling> {
        match &seen.moved {
            Some(Moved::To(new)) => return self.moved_away(turn, None, seen, new).await,
            Some(Moved::From(old)) => {
                // If its live id is neither, the halves of several moves came in disorder: each later one stands alone.
                let known = self.whole_of(turn, seen.kind, old).await?;
                if let Some(whole) = known.filter(|whole| whole.link(turn.system).is_some_and(|link| link.id == *old)) {
                    let mut case = Case::of(whole);
                    case.replace_live(turn.terms, &seen.id);
                    return self.known(turn, case, seen).await;
                }
            }
            None => {}
        }
        if seen.shape == Shape::Gone {
            return Ok(Ruling::ended(None, Outcome::Superseded, "an object that we never had is gone"));
        }
        let settle = turn.site.workspace.policy.create_settle * 2;
        let sent = self.lookup.our_open_create(turn.workspace(), turn.system, seen.kind, seen.fields()).await?;
        // Each time that it is sent again, its lane needs as long again to tell.
        if let Some(sent) = sent.filter(|sent| turn.now < turn.change.said.received.max(*sent) + settle) {
            return Ok(Ruling::Later(look_again(turn.now, sent)));
        }
        let parent = match self.contact_of(turn, seen, None).await? {
            ControlFlow::Continue(parent) => parent,
            ControlFlow::Break(later) => return Ok(later),
        };
        let blank = Link::new("", EntityId(uuid::Uuid::nil()), turn.system, seen.kind, seen.id.clone());
        if let (Weight::Proves, Some(fields)) = (claim::weigh(turn.terms, &blank, seen), seen.fields()) {
            return self.place(turn, seen, parent, &fields.clone()).await;
        }
        let mut case = self.fresh(turn, seen, parent);
        if let Some(former) = former {
            turn.settlement.links.push(make_room(&mut case, former));
        }
        self.keep_former(turn, &mut case, seen).await?;
        let doubt = case.doubt(turn.system, turn.due(), turn.now);
        let entity = case.whole.entity.id;
        case.into_settlement(&mut turn.settlement);
        Ok(Ruling::Waits { entity, doubt })
    }

    /// The id that a moved booking had before, if nobody knows it: what is told of it later is told of this one.
    async fn keep_former(&self, turn: &Turn<'_>, case: &mut Case, seen: &Observation) -> Result<()> {
        if let Some(Moved::From(old)) = &seen.moved
            && self.lookup.link(turn.workspace(), turn.system, seen.kind, old).await?.is_none()
        {
            case.retire(turn.system, old);
        }
        Ok(())
    }

    /// The contact that an object belongs to; `Break`: it is looked for again then.
    pub(crate) async fn contact_of(
        &self,
        turn: &mut Turn<'_>,
        seen: &Observation,
        booking: Option<&Whole>,
    ) -> Result<ControlFlow<Ruling, Option<EntityId>>> {
        let until = turn.change.said.received + turn.site.workspace.policy.join_window;
        let reception = Reception {
            lookup: &self.lookup,
            ids: &self.ids,
            site: turn.site,
            system: turn.system,
            change: Some(turn.change.id),
            due: turn.due(),
            now: turn.now,
        };
        match reception.receive(seen, booking, turn.now < until, &mut turn.settlement).await? {
            Booker::Contact(contact) => Ok(ControlFlow::Continue(Some(contact))),
            Booker::Nobody => self.parent(turn, seen).await.map(ControlFlow::Continue),
            Booker::Unread(placeholder) => {
                if let Some(placeholder) = placeholder {
                    // On its own: what waits writes nothing else.
                    let mut alone = turn.alone();
                    placeholder.into_settlement(&mut alone);
                    self.settling.settle(&alone).await?;
                }
                Ok(ControlFlow::Break(Ruling::Later(until.min(turn.now + JOINING))))
            }
        }
    }

    /// Places an observation that proves something.
    async fn place(
        &self,
        turn: &mut Turn<'_>,
        seen: &Observation,
        parent: Option<EntityId>,
        fields: &Fields,
    ) -> Result<Ruling> {
        let found = self.lookup.identify(turn.workspace(), turn.system, seen.kind, parent, fields, None).await?;
        let mut case = match &found {
            Match::Same(entity) => match self.lookup.whole(*entity).await? {
                Some(whole) => {
                    let mut case = Case::of(whole);
                    case.put_found(Link::new(turn.workspace(), *entity, turn.system, seen.kind, seen.id.clone()));
                    case
                }
                None => self.fresh(turn, seen, parent),
            },
            Match::New | Match::Ambiguous(_) => self.fresh(turn, seen, parent),
        };
        self.keep_former(turn, &mut case, seen).await?;
        let mut ruling = self.accept(turn, &mut case, seen).await?;
        if let Match::Ambiguous(reason) = found {
            case.ambiguous(turn.site, turn.system, &reason, turn.now);
            ruling = Ruling::ended(Some(case.whole.entity.id), Outcome::Parked, reason);
        }
        let is_appointment = seen.kind == Kind::Appointment;
        let contact_again = (seen.kind == Kind::Contact && case.is_stored()).then_some(case.whole.entity.id);
        case.into_settlement(&mut turn.settlement);
        if let Some(contact) = contact_again {
            self.lookup.wake_children(turn.site, contact, &mut turn.settlement).await?;
        }
        if let Some(contact) = parent.filter(|_| is_appointment) {
            self.booked(turn, contact).await?;
        }
        Ok(ruling)
    }

    /// A contact has an appointment now: systems that want booked contacts only may owe it.
    async fn booked(&self, turn: &mut Turn<'_>, contact: EntityId) -> Result<()> {
        if turn.settlement.entities.iter().any(|entity| entity.id == contact) {
            return Ok(());
        }
        if let Some(whole) = self.lookup.whole(contact).await? {
            let mut case = Case::of(whole);
            case.spread(turn.site, true, turn.due(), turn.now);
            turn.settlement.mirrors.retain(|mirror| mirror.entity != contact);
            case.into_settlement(&mut turn.settlement);
        }
        Ok(())
    }

    /// A new entity, linked with the object.
    pub(super) fn fresh(&self, turn: &Turn<'_>, seen: &Observation, parent: Option<EntityId>) -> Case {
        let id = EntityId(self.ids.uuid(turn.now));
        let mut entity = Entity::new(id, turn.workspace(), seen.kind, turn.now);
        entity.parent = parent;
        let mut case = Case::new(entity);
        case.put_link(Link::new(turn.workspace(), id, turn.system, seen.kind, seen.id.clone()));
        case
    }

    /// The contact that an object belongs to; one that is not known yet becomes a placeholder that is read.
    pub(crate) async fn parent(&self, turn: &mut Turn<'_>, seen: &Observation) -> Result<Option<EntityId>> {
        let Some(contact) = &seen.parent else { return Ok(None) };
        if let Some(link) = self.lookup.link(turn.workspace(), turn.system, Kind::Contact, contact).await? {
            return Ok(Some(link.entity));
        }
        let hint = Observation::new(Kind::Contact, contact.clone(), seen.class, Shape::Hint);
        let mut case = self.fresh(turn, &hint, None);
        case.doubt(turn.system, turn.now, turn.now);
        let id = case.whole.entity.id;
        case.into_settlement(&mut turn.settlement);
        Ok(Some(id))
    }

    async fn whole_of(&self, turn: &Turn<'_>, kind: Kind, id: &ExternalId) -> Result<Option<Whole>> {
        match self.lookup.link(turn.workspace(), turn.system, kind, id).await? {
            Some(link) => self.lookup.whole(link.entity).await,
            None => Ok(None),
        }
    }
}

/// When to look again whether an object is what an open create made. Its lane can tell soon after it was sent, or when it is
/// sent again.
fn look_again(now: Millis, sent: Millis) -> Millis {
    now + sent.since(now).max(now.since(sent) / 8).clamp(IN_FLIGHT, SELDOM)
}

/// Gives the place of a former object to the one that stands there now. The former's own tombstone goes to an id beside it.
fn make_room(case: &mut Case, former: Link) -> Link {
    if let Some(link) = case.link(former.system, &former.id).cloned() {
        case.put_link(Link { rev: former.rev, ..link });
    }
    let id = ExternalId(format!("{}~{}", former.id, former.entity));
    Link { id, rev: 0, ..former }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by simulation: a create without an answer was sent again after an hour, and all the while it was looked twenty times
    /// a second whether an object was what it had made.
    #[test]
    fn it_is_looked_more_seldom_the_longer_a_create_is_open() {
        let wait = |sent: i64| look_again(Millis(100_000), Millis(sent)).since(Millis(100_000)).as_millis();
        assert_eq!((wait(100_000), wait(99_600), wait(92_000), wait(0)), (50, 50, 1_000, 10_000));
        assert_eq!((wait(100_020), wait(103_000), wait(3_700_000)), (50, 3_000, 10_000), "it is sent again then");
    }
}
