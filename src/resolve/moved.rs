//! Moves: a booking that its guest moved is cancelled under the old id and confirmed under a new one. The two halves are joined
//! into one appointment, whichever comes first, and also where one never comes.

use super::{Case, JOINING, Resolver, Ruling, Turn};
use crate::model::{ExternalId, Kind, LinkState, Observation, Outcome, Shape, Whole};
use crate::store::Result;

impl Resolver {
    /// The cancelled half: joined with the other half, or waiting for it. `old`: the appointment that has the old id.
    pub(super) async fn moved_away(
        &self,
        turn: &mut Turn<'_>,
        old: Option<Whole>,
        seen: &Observation,
        new: &ExternalId,
    ) -> Result<Ruling> {
        let joined = self.lookup.link(turn.workspace(), turn.system, seen.kind, new).await?;
        match (joined, old) {
            (Some(link), Some(old)) if link.entity != old.entity.id => {
                // The new half did not say so, and became an appointment of its own: the old one is cancelled, no more.
                let alone = Observation { moved: None, ..seen.clone() };
                self.known(turn, Case::of(old), &alone).await
            }
            (Some(link), _) => {
                let Some(whole) = self.lookup.whole(link.entity).await? else {
                    return Ok(Ruling::ended(None, Outcome::Superseded, "its entity is no longer kept"));
                };
                let mut joined = Case::of(whole);
                joined.retire(turn.system, &seen.id);
                joined.into_settlement(&mut turn.settlement);
                let why = format!("the booking was moved: now {new}");
                Ok(Ruling::ended(Some(link.entity), Outcome::Superseded, why))
            }
            (None, old) => Ok(self.wait_for_half(turn, old, seen, new)),
        }
    }

    /// Waits for the confirmed half; once that is in vain, the new booking is read.
    fn wait_for_half(&self, turn: &mut Turn<'_>, old: Option<Whole>, seen: &Observation, new: &ExternalId) -> Ruling {
        let until = turn.change.said.received + turn.site.workspace.policy.join_window;
        if turn.now < until {
            return Ruling::Later(until.min(turn.now + JOINING));
        }
        let is_live = |whole: &Whole| whole.links.iter().any(|link| link.id == seen.id && link.is_live());
        let mut case = match old {
            Some(old) if !is_live(&old) => {
                let why = "the booking was moved before, and is known under a later id";
                return Ruling::ended(Some(old.entity.id), Outcome::Superseded, why);
            }
            Some(old) => Case::of(old),
            None => {
                let hint = Observation::new(Kind::Appointment, seen.id.clone(), seen.class, Shape::Hint);
                self.fresh(turn, &hint, None)
            }
        };
        case.replace_live(turn.terms, new);
        case.doubt(turn.system, turn.now, turn.now);
        let entity = case.whole.entity.id;
        case.into_settlement(&mut turn.settlement);
        Ruling::ended(Some(entity), Outcome::Applied, format!("the booking was moved to {new}, which is read now"))
    }
}

impl Case {
    /// Adds an id that was this object's before the one it has now.
    pub fn retire(&mut self, system: crate::model::System, id: &ExternalId) {
        if self.link(system, id).is_none() {
            let entity = &self.whole.entity;
            let mut old = crate::model::Link::new(&entity.workspace, entity.id, system, entity.kind, id.clone());
            old.state = LinkState::Retired;
            self.put_link(old);
        }
    }
}
