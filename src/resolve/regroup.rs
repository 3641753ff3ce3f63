//! Who is who, as a person says: two entities become one, are kept apart, or what one system holds leaves as another.
//!
//! In: a change of origin `operator` whose body is a [`Regroup`]. Out: the entities, links and children as they then stand,
//! what lost, and a line in the story of each. What the vendors then hold is left to the lanes.

use super::merge::{self, Favour, Found};
use super::{Case, IN_FLIGHT, RACES, Resolver, Ruling, conclude};
use crate::clock::Millis;
use crate::mirror::spread::make_due;
use crate::model::{
    Change, ChangeId, ConflictId, Entity, EntityId, Lease, Life, Link, MirrorState, NewChange, Origin, Outcome,
    Regroup, System, VerdictRow, Whole,
};
use crate::store::{Result, Settled, Settlement};
use crate::systems::Site;

impl Case {
    /// Takes over all that another entity is; its links are read again. What lost is kept.
    pub(crate) fn absorb(&mut self, other: &mut Self, found: &Found<'_>, now: Millis) {
        let into = self.whole.entity.id;
        let was = self.whole.entity.clone();
        let lost = merge::join(&other.whole.entity, &mut self.whole.entity, found);
        self.keep_corrected(lost, found.change);
        let (rival, is) = (&other.whole.entity, &self.whole.entity);
        self.whole.links.iter_mut().for_each(|link| merge::raise(link, &was, rival, is));
        other.whole.links.iter_mut().for_each(|link| merge::raise(link, rival, &was, is));
        for link in std::mem::take(&mut other.whole.links) {
            let (system, live) = (link.system, link.is_live());
            self.put_link(Link { entity: into, ..link });
            if live {
                self.doubt(system, now, now);
            }
        }
        for mirror in &mut other.whole.mirrors {
            // A create that may have been applied is looked for by the one that stays.
            let open = mirror.intent.take().filter(|intent| intent.sent.is_some());
            if let Some(open) = open.filter(|_| self.whole.link(mirror.system).is_none()) {
                self.mirror(mirror.system).intent.get_or_insert(open);
            }
            // Claims that wait for a read of it are handed on by its lane.
            mirror.state = if mirror.doubts() { MirrorState::Due } else { MirrorState::Idle };
            mirror.reason = None;
        }
        other.whole.entity.life = Life::Merged(into);
    }

    /// Lets go of what one system holds: an entity of its own, which is read.
    fn split_off(&mut self, system: System, into: EntityId, now: Millis) -> Option<Self> {
        let at = self.whole.links.iter().position(|link| link.system == system && link.is_live())?;
        let link = self.whole.links.remove(at);
        let Entity { workspace, kind, parent, .. } = &self.whole.entity;
        let mut entity = Entity::new(into, workspace, *kind, now);
        entity.parent = *parent;
        merge::split_off(&link, &mut entity);
        let mut other = Self::new(entity);
        other.put_link(Link { entity: into, ..link });
        other.doubt(system, now, now);
        let mirror = self.mirror(system);
        (mirror.answered, mirror.intent) = (mirror.doubt, None);
        Some(other)
    }

    /// Whether a write of ours is on its way to one of its objects.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.whole.links.iter().any(Link::is_in_flight)
    }

    /// Whatever waits for a person here is tried again.
    pub(crate) fn try_again(&mut self, now: Millis) {
        for mirror in self.whole.mirrors.iter_mut().filter(|mirror| mirror.state == MirrorState::Parked) {
            make_due(mirror, now, now);
        }
    }
}

/// What an order is carried out in.
struct Ordered<'a> {
    site: &'a Site,
    change: &'a Change,
    settlement: Settlement,
}

impl Ordered<'_> {
    /// A line in the story of another entity than the one that the verdict is about.
    fn also(&mut self, entity: EntityId, outcome: Outcome, why: String) {
        let (said, now) = (&self.change.said, self.settlement.now);
        let key = format!("regroup/{}/{entity}", self.change.id);
        let workspace = &self.site.workspace.name;
        let change = NewChange {
            kind: said.kind,
            ..NewChange::from_inside(Origin::Operator, &said.label, key, workspace, said.system, now)
        };
        let findings = std::collections::BTreeMap::new();
        let row = VerdictRow { change: ChangeId(0), entity: Some(entity), outcome, findings, why, at: now };
        self.settlement.readings.push((change, row));
    }
}

impl Resolver {
    /// Carries out an order about who is who.
    pub(super) async fn regroup(&self, site: &Site, lease: &Lease, change: &Change) -> Result<Settled> {
        let order: Regroup = match serde_json::from_slice(&change.said.body) {
            Ok(order) => order,
            Err(error) => {
                let unreadable = Ruling::ended(None, Outcome::Unparsed, error.to_string());
                return self.end(lease, change, vec![unreadable]).await;
            }
        };
        for _ in 0..RACES {
            let now = self.clock.now();
            let mut ordered = Ordered { site, change, settlement: Settlement::new(lease.clone(), now) };
            let _matching = self.lookup.matching(&site.workspace.name).await;
            let ruling = match &order {
                Regroup::Match { entity, with } => self.as_one(&mut ordered, *entity, *with).await?,
                Regroup::Apart { entity, other } => self.as_two(&mut ordered, *entity, *other).await?,
                Regroup::Split { entity, system, into, conflicts } => {
                    self.off(&mut ordered, *entity, *system, *into, conflicts).await?
                }
            };
            let settlement = conclude(ordered.settlement, change, now, &[ruling]);
            let settled = self.settling.settle(&settlement).await?;
            if settled != Settled::Moved {
                return Ok(settled);
            }
        }
        // Still in the inbox: the next step takes it up again.
        Ok(Settled::Moved)
    }

    /// A live entity of the workspace, or the one that it turned out to be.
    async fn named(&self, ordered: &Ordered<'_>, entity: EntityId) -> Result<Option<Case>> {
        let whole = self.lookup.present(entity).await?;
        let ours = |whole: &Whole| whole.entity.workspace == ordered.site.workspace.name && whole.entity.is_live();
        Ok(whole.filter(ours).map(Case::of))
    }

    /// Both, if both are there and of one kind.
    async fn pair(&self, ordered: &Ordered<'_>, one: EntityId, other: EntityId) -> Result<Option<(Case, Case)>> {
        let both = (self.named(ordered, one).await?, self.named(ordered, other).await?);
        let (Some(one), Some(other)) = both else { return Ok(None) };
        Ok((one.whole.entity.kind == other.whole.entity.kind).then_some((one, other)))
    }

    /// The two are one: the first merges into the second.
    async fn as_one(&self, ordered: &mut Ordered<'_>, entity: EntityId, with: EntityId) -> Result<Ruling> {
        let Some((mut from, mut into)) = self.pair(ordered, entity, with).await? else { return Ok(nobody(entity)) };
        let (from_id, into_id) = (from.whole.entity.id, into.whole.entity.id);
        let now = ordered.settlement.now;
        if from_id == into_id {
            return Ok(Ruling::ended(Some(into_id), Outcome::Echo, "they are one already"));
        }
        if let Some(reason) = merge::obstacle(&from.whole, &into.whole) {
            // What was said of it before is told anew, with both ids.
            ordered.settlement.settled.push(format!("ambiguous/{from_id}"));
            from.still_ambiguous(&reason, now);
            from.into_settlement(&mut ordered.settlement);
            ordered.also(into_id, Outcome::Parked, reason.clone());
            return Ok(Ruling::ended(Some(from_id), Outcome::Parked, reason));
        }
        if from.is_in_flight() || into.is_in_flight() {
            return Ok(Ruling::Later(now + IN_FLIGHT));
        }
        self.lookup.adopt(ordered.site, from_id, into_id, &mut ordered.settlement).await?;
        for other in self.lookup.apart(&ordered.site.workspace.name, from_id).await? {
            ordered.settlement.apart.extend((other != into_id).then_some((into_id, other)));
        }
        let (system, change) = (ordered.change.said.system, Some(ordered.change.id));
        let found = Found { order: &ordered.site.workspace.policy.order, by: Favour::Newer, system, change };
        into.absorb(&mut from, &found, now);
        into.try_again(now);
        self.tell(ordered, &mut into, now).await?;
        from.into_settlement(&mut ordered.settlement);
        into.into_settlement(&mut ordered.settlement);
        ordered.settlement.settled.extend(questions(from_id));
        ordered.also(from_id, Outcome::Applied, format!("a person said that it is {into_id}"));
        Ok(Ruling::ended(Some(into_id), Outcome::Applied, format!("a person said that {from_id} is this one")))
    }

    /// The two are two, and are never matched again; what waited for that is told on its own.
    async fn as_two(&self, ordered: &mut Ordered<'_>, entity: EntityId, other: EntityId) -> Result<Ruling> {
        let Some((mut one, mut two)) = self.pair(ordered, entity, other).await? else { return Ok(nobody(entity)) };
        let (one_id, two_id, now) = (one.whole.entity.id, two.whole.entity.id, ordered.settlement.now);
        if one_id == two_id {
            let why = "they are one by now: split off what a system holds of the other";
            return Ok(Ruling::ended(Some(one_id), Outcome::Parked, why));
        }
        ordered.settlement.apart.push((one_id, two_id));
        for case in [&mut one, &mut two] {
            ordered.settlement.settled.extend(questions(case.whole.entity.id));
            case.try_again(now);
            self.tell(ordered, case, now).await?;
        }
        one.into_settlement(&mut ordered.settlement);
        two.into_settlement(&mut ordered.settlement);
        ordered.also(two_id, Outcome::Applied, format!("a person said that it is not {one_id}"));
        Ok(Ruling::ended(Some(one_id), Outcome::Applied, format!("a person said that it is not {two_id}")))
    }

    /// What a system holds leaves the entity, and becomes one of its own.
    async fn off(
        &self,
        ordered: &mut Ordered<'_>,
        entity: EntityId,
        system: System,
        into: EntityId,
        conflicts: &[ConflictId],
    ) -> Result<Ruling> {
        let Some(mut case) = self.named(ordered, entity).await? else { return Ok(nobody(entity)) };
        let (id, now) = (case.whole.entity.id, ordered.settlement.now);
        let live = case.whole.links.iter().filter(|link| link.is_live()).count();
        if case.whole.link(system).is_none() || live < 2 {
            let why = format!("nothing is left to split: {system} does not hold it, or nobody else does");
            return Ok(Ruling::ended(Some(id), Outcome::Superseded, why));
        }
        if case.is_in_flight() {
            return Ok(Ruling::Later(now + IN_FLIGHT));
        }
        let waiting = self.log.waiting(id, system).await?;
        let Some(mut other) = case.split_off(system, into, now) else { return Ok(nobody(id)) };
        ordered.settlement.later.extend(waiting.into_iter().map(|(change, _)| (change.id, now)));
        ordered.settlement.apart.push((id, into));
        ordered.settlement.handed.extend(conflicts.iter().map(|conflict| (*conflict, into)));
        let stay = self.part_children(ordered, id, into, system).await?;
        self.tell(ordered, &mut case, now).await?;
        self.tell(ordered, &mut other, now).await?;
        let object = other.whole.link(system).map(|link| link.id.to_string()).unwrap_or_default();
        case.into_settlement(&mut ordered.settlement);
        other.into_settlement(&mut ordered.settlement);
        ordered.also(into, Outcome::Applied, format!("a person split it off from {id}"));
        let rest = if stay == 0 { String::new() } else { format!("; {stay} that other systems hold too stay here") };
        let why = format!("a person said that {object} in {system} is another one: {into} by now{rest}");
        Ok(Ruling::ended(Some(id), Outcome::Applied, why))
    }

    /// What belongs to an object that leaves goes with it, unless other systems hold it too. Gives how many stay.
    async fn part_children(
        &self,
        ordered: &mut Ordered<'_>,
        from: EntityId,
        into: EntityId,
        system: System,
    ) -> Result<usize> {
        let mut stay = 0;
        for child in self.lookup.children(from).await? {
            let held = |elsewhere: bool| move |link: &&Link| link.is_live() && (link.system != system) == elsewhere;
            let there = child.links.iter().any(|link| held(false)(&link));
            if there && !child.links.iter().any(|link| held(true)(&link)) {
                let mut child = Case::of(child);
                child.whole.entity.parent = Some(into);
                child.into_settlement(&mut ordered.settlement);
            } else {
                stay += usize::from(there);
            }
        }
        Ok(stay)
    }

    /// Makes due what an entity owes as it now stands.
    async fn tell(&self, ordered: &Ordered<'_>, case: &mut Case, now: Millis) -> Result<()> {
        let booked = case.asks_for_bookings(ordered.site) && self.lookup.is_booked(case.whole.entity.id).await?;
        case.spread(ordered.site, booked, now, now);
        Ok(())
    }
}

fn nobody(entity: EntityId) -> Ruling {
    let why = format!("{entity} or the other one is deleted, or of another workspace or kind");
    Ruling::ended(None, Outcome::Superseded, why)
}

/// What was asked of a person about who an entity is.
pub(crate) fn questions(entity: EntityId) -> [String; 2] {
    [format!("ambiguous/{entity}"), format!("merged/{entity}")]
}
