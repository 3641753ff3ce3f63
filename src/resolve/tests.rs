//! Histories: three systems, their users, and a hub made of the pure functions alone. Deliveries are reordered, doubled and
//! lost; edits revert, clear and delete; clocks are off. At the end, one reconcile; then the invariants.

use std::collections::BTreeMap;
use std::time::Duration;

use super::claim::{self, Weight};
use super::decide::{Frame, decide, landed};
use crate::clock::Millis;
use crate::mirror::plan::{Plan, plan};
use crate::model::{
    Action, Author, Change, Class, Conflict, Entity, EntityId, Evidence, Expressed, ExternalId, Field, Fields, Home,
    Kind, Life, Link, LinkState, Observation, Order, Sent, Shape, Stamp, System, Terms, Unreadable, Value,
};

struct Plain(System);

impl Terms for Plain {
    fn system(&self) -> System {
        self.0
    }
    fn home(&self, _: Kind) -> Home {
        Home::Native
    }
    fn creates(&self, _: Kind) -> Result<(), &'static str> {
        Ok(())
    }
    fn express(&self, _: Kind, _: &Field, value: &Value) -> Expressed {
        Expressed::Holds(value.clone())
    }
    fn carriers(&self, _: Kind, _: &Field, _: &Value, _: bool) -> &'static [Action] {
        &[Action::Update]
    }
    fn wants(&self, _: &Entity) -> bool {
        true
    }
    fn gone_means(&self, _: Kind) -> Option<(Field, Value)> {
        None
    }
    fn observe(&self, _: &Change) -> Result<Vec<Observation>, Unreadable> {
        Ok(Vec::new())
    }
}

/// One system's object, and what its users did to it.
#[derive(Default)]
struct Place {
    fields: Fields,
    gone: bool,
    version: i64,
    skew: i64,
}

struct Edit {
    system: System,
    field: Field,
    value: Value,
    replaced_by_own: bool,
}

struct Hub {
    entity: Entity,
    links: BTreeMap<System, Link>,
    doubts: BTreeMap<System, bool>,
    waiting: BTreeMap<System, Vec<Observation>>,
    conflicts: Vec<Conflict>,
    parked: bool,
}

struct History {
    rng: fastrand::Rng,
    now: Millis,
    order: Order,
    places: BTreeMap<System, Place>,
    hub: Hub,
    queue: Vec<(System, Observation)>,
    edits: Vec<Edit>,
    writes: usize,
}

fn id(system: System) -> ExternalId {
    ExternalId::new(format!("{system}-1"))
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let entity = Entity::new(EntityId(uuid::Uuid::from_u128(1)), "w", Kind::Contact, Millis(0));
        let link = |system: &System| (*system, Link::new("w", entity.id, *system, Kind::Contact, id(*system)));
        let links = System::ALL.iter().map(link).collect();
        let skewed = |system: &System| (*system, Place { skew: rng.i64(-300_000..300_000), ..Place::default() });
        let places = System::ALL.iter().map(skewed).collect();
        let (doubts, waiting, conflicts) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let hub = Hub { entity, links, doubts, waiting, conflicts, parked: false };
        let now = Millis(1_700_000_000_000);
        let (queue, edits) = (Vec::new(), Vec::new());
        Self { rng, now, order: Order::default(), places, hub, queue, edits, writes: 0 }
    }

    fn any_system(&mut self) -> System {
        System::ALL[self.rng.usize(..System::ALL.len())]
    }

    /// A user's edit; its delivery may be lost, doubled, and comes whenever it comes.
    fn edit(&mut self) {
        let system = self.any_system();
        let field = [Field::FIRST_NAME, Field::PHONE, Field::tag("vip")][self.rng.usize(..3)].clone();
        let value = match (field.as_tag(), self.rng.usize(..5)) {
            (Some(_), n) if n < 3 => Value::Flag(true),
            (None, n) if n < 4 => Value::text(format!("v{}", self.rng.u8(..4))),
            _ => Value::Blank,
        };
        let Some(place) = self.places.get_mut(&system).filter(|place| !place.gone) else { return };
        if place.fields.get(&field).unwrap_or(&Value::Blank) == &value {
            return;
        }
        place.fields.insert(field.clone(), value.clone());
        for former in self.edits.iter_mut().filter(|edit| edit.system == system && edit.field == field) {
            former.replaced_by_own = true;
        }
        self.edits.push(Edit { system, field, value, replaced_by_own: false });
        self.announce(system);
    }

    fn delete(&mut self) {
        let system = self.any_system();
        if let Some(place) = self.places.get_mut(&system) {
            place.gone = true;
            self.queue.push((system, Observation::new(Kind::Contact, id(system), Class::Claim, Shape::Gone)));
        }
    }

    /// The webhook of a change: GHL claims, TIMIFY hints, TimeRex's extension sends versions.
    fn announce(&mut self, system: System) {
        let now = self.now;
        let Some(place) = self.places.get_mut(&system) else { return };
        place.version += 1;
        let full = Shape::Full(place.fields.clone());
        let (class, shape) = match system {
            System::Ghl => (Class::Claim, full),
            System::Timify => (Class::Claim, Shape::Hint),
            System::Timerex => (Class::Versioned(Millis(place.version)), full),
        };
        let mut seen = Observation::new(Kind::Contact, id(system), class, shape);
        // Residual error of the offset correction: a few hundred milliseconds.
        seen.at = Some(Millis(now.0 + place.skew / 1_000));
        for _ in 0..[0, 1, 1, 1, 2][self.rng.usize(..5)] {
            self.queue.push((system, seen.clone()));
        }
    }

    fn frame<'a>(&'a self, terms: &'a Plain, evidence: &'a Evidence) -> Frame<'a> {
        Frame {
            order: &self.order,
            terms,
            now: self.now,
            late_write: Duration::from_mins(10),
            evidence,
            orphaned: false,
        }
    }

    fn deliver(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let (system, seen) = self.queue.swap_remove(self.rng.usize(..self.queue.len()));
        let Some(link) = self.hub.links.get(&system).cloned() else { return };
        match claim::weigh(&link, &seen) {
            Weight::Echo => {}
            Weight::Old => self.hub.conflicts.extend(claim::unconfirmed(&link, &seen).1),
            Weight::Doubt => {
                self.hub.doubts.insert(system, true);
                self.hub.waiting.entry(system).or_default().push(seen);
            }
            Weight::Proves => self.decide(system, &seen, &Evidence::new()),
        }
    }

    fn decide(&mut self, system: System, seen: &Observation, evidence: &Evidence) {
        let Some(link) = self.hub.links.get(&system) else { return };
        let terms = Plain(system);
        let verdict = decide(&self.hub.entity, link, seen, &self.frame(&terms, evidence));
        let edited_after_delete = !verdict.entity.is_live() && verdict.found_something() && !verdict.deleted;
        self.hub.parked |= edited_after_delete;
        self.hub.entity = verdict.entity;
        if verdict.deleted {
            self.hub.entity.life = Life::Deleted(Stamp::new(self.now, Author::from(system)));
        }
        self.hub.links.insert(system, verdict.link);
        self.hub.conflicts.extend(verdict.conflicts);
    }

    fn read(&mut self, system: System) {
        let (place, link) = (&self.places[&system], &self.hub.links[&system]);
        if link.state != LinkState::Live {
            self.hub.doubts.remove(&system);
            return;
        }
        let shape = if place.gone { Shape::Gone } else { Shape::Full(place.fields.clone()) };
        let mut seen = Observation::new(Kind::Contact, id(system), Class::Current, shape);
        seen.version = (system == System::Timerex).then_some(Millis(place.version));
        let waiting = self.hub.waiting.remove(&system).unwrap_or_default();
        let evidence = claim::evidence(&waiting);
        self.decide(system, &seen, &evidence);
        for claim in &waiting {
            let lost = claim::unconfirmed(&self.hub.links[&system], claim).1;
            self.hub.conflicts.extend(lost);
        }
        self.hub.doubts.remove(&system);
    }

    /// One turn of a lane: read if in doubt; read, plan again and write if owed. An edit may fall between read and write.
    fn lane(&mut self, system: System) {
        if self.hub.doubts.contains_key(&system) {
            self.read(system);
        }
        if self.hub.parked || self.owed(system).is_none() {
            return;
        }
        self.read(system);
        let Some(step) = self.owed(system).filter(|_| !self.hub.parked) else { return };
        let Some(place) = self.places.get_mut(&system) else { return };
        if place.gone {
            return;
        }
        self.writes += 1;
        let deletes = step.action == Action::Delete;
        place.gone = deletes;
        place.fields.extend(step.fields.clone());
        place.version += 1;
        let version = place.version;
        let sent = Sent { fields: step.fields, stamps: step.stamps, at: self.now, deletes, unclear: false };
        if let Some(link) = self.hub.links.get_mut(&system) {
            landed(link, &sent, None);
            link.version = link.version.max((system == System::Timerex).then_some(Millis(version)));
            link.state = if deletes { LinkState::Gone } else { link.state };
        }
        if deletes {
            self.queue.push((system, Observation::new(Kind::Contact, id(system), Class::Claim, Shape::Gone)));
        } else {
            self.announce(system);
            if let Some(place) = self.places.get_mut(&system) {
                place.version = version;
            }
        }
    }

    fn owed(&mut self, system: System) -> Option<crate::model::Step> {
        let link = self.hub.links.get_mut(&system)?;
        let live = Some(&*link).filter(|link| link.is_live());
        live?;
        match plan(&self.hub.entity, live, None, &Plain(system)) {
            Plan::Steps(steps) => steps.into_iter().next(),
            Plan::Settled { moves, .. } => {
                for (field, stamp) in moves {
                    link.snapshot.entry(field).or_default().stamp = stamp;
                }
                None
            }
            _ => None,
        }
    }

    fn play(&mut self, with_deletes: bool) {
        for _ in 0..40 {
            self.now = self.now + Duration::from_millis(self.rng.u64(1..4_000));
            match self.rng.u8(..10) {
                0..4 => self.edit(),
                4..7 => self.deliver(),
                7 if with_deletes && self.rng.u8(..20) == 0 => self.delete(),
                _ => {
                    let system = self.any_system();
                    self.lane(system);
                }
            }
        }
        self.finish();
    }

    /// All deliveries come, one reconcile reads everything, lanes run until nothing is owed.
    fn finish(&mut self) {
        for round in 0..12 {
            while !self.queue.is_empty() {
                self.deliver();
            }
            for system in System::ALL {
                if round == 0 {
                    self.hub.doubts.insert(*system, true);
                }
                self.lane(*system);
            }
        }
    }

    fn check(&self, seed: u64) {
        let quiet = self.queue.is_empty() && self.hub.doubts.is_empty();
        assert!(quiet, "seed {seed}: work is left after twelve rounds");
        if self.hub.parked {
            return;
        }
        let there: Vec<&System> =
            self.places.iter().filter(|(_, place)| !place.gone).map(|(system, _)| system).collect();
        if !self.hub.entity.is_live() {
            assert!(there.is_empty(), "seed {seed}: deleted stays deleted, but {there:?} has it");
            return;
        }
        for (system, place) in &self.places {
            for field in [Field::FIRST_NAME, Field::PHONE, Field::tag("vip")] {
                let (held, value) = (place.fields.get(&field).unwrap_or(&Value::Blank), self.hub.entity.value(&field));
                assert_eq!(held, value, "seed {seed}: {system} disagrees on {field}");
            }
        }
        // An edit that its own author did not replace is true, or kept as a conflict, or was made true meanwhile by
        // somebody else (then it was taken first, and the newer value replaced it knowingly).
        for edit in self.edits.iter().filter(|edit| !edit.replaced_by_own && !edit.value.is_blank()) {
            let is_true = *self.hub.entity.value(&edit.field) == edit.value;
            let is_kept = self.hub.conflicts.iter().any(|c| c.field == edit.field && c.lost == edit.value);
            let was_told = self.hub.links.values().any(|link| {
                let known = link.known(&edit.field);
                link.system != edit.system && known.held.contains(&edit.value)
            });
            let was_seen = self.hub.links[&edit.system].known(&edit.field).held.contains(&edit.value);
            assert!(
                is_true || is_kept || was_told || was_seen,
                "seed {seed}: {:?} of {} vanished",
                edit.value,
                edit.system
            );
        }
        let bound = 2 * self.edits.len() + 2 * self.hub.conflicts.len();
        assert!(self.writes <= bound, "seed {seed}: {} writes for {} edits", self.writes, self.edits.len());
    }
}

#[test]
fn histories_of_edits_converge_and_lose_nothing() {
    for seed in 0..3_000 {
        let mut history = History::new(seed);
        history.play(false);
        history.check(seed);
    }
}

#[test]
fn histories_with_deletions_end_deleted_everywhere_or_parked() {
    for seed in 100_000..102_000 {
        let mut history = History::new(seed);
        history.play(true);
        history.check(seed);
    }
}

#[test]
fn a_quiet_world_is_never_written_to() {
    for seed in 0..300 {
        let mut history = History::new(seed);
        history.play(false);
        let before = history.writes;
        history.finish();
        assert_eq!(history.writes, before, "seed {seed}");
    }
}
