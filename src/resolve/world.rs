//! A world for tests: three systems with their users, and a hub made of the pure functions alone (`decide`, `claim`,
//! `plan`). It knows what really happened, edit by edit, and stops the test where the hub decides against it.
//!
//! In: edits, deliveries, reads, writes with all their faults, one call each. Out: what the systems and the hub hold. What
//! happens when is left to the tests: told line by line, or drawn by a seed.

mod oracle;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::claim::{self, Weight};
use super::contest::Contest;
use super::decide::{Frame, Verdict, decide, landed};
use super::sample::Sample;
use crate::clock::{ManualClock, Millis};
use crate::mirror::deletion::{Doomed, Next};
use crate::mirror::plan::{Plan, plan};
use crate::model::{
    Action, Author, Class, Conflict, Entity, EntityId, Evidence, ExternalId, Field, FieldRule, FieldRules, Fields,
    Finding, Kind, Known, Life, Link, LinkState, Mirror, Observation, Order, Sent, Shape, Stamp, Step, System, TAGS,
    Terms, Value, Whole,
};
use crate::systems::offset::ClockOffset;

/// The hub's clock as a world begins.
pub const START: Millis = Millis(1_700_000_000_000);

/// Which edit each field's value comes from; 0 is what was there in the beginning.
pub type Lineage = BTreeMap<Field, usize>;

/// One system's object.
#[derive(Default)]
pub struct Place {
    pub fields: Fields,
    pub gone: bool,
    lineage: Lineage,
    /// What its own users said last.
    last: Fields,
    /// The instant of the last change: two changes may share one.
    version: Millis,
    updated: Millis,
    /// How far its times are off after the correction of its clock, in milliseconds.
    pub skew: i64,
    /// Fields of which a user may have seen a write of ours that the hub does not know to have landed.
    unclear: Vec<Field>,
}

impl Place {
    fn set(&mut self, fields: &Fields, lineage: &Lineage, now: Millis) {
        for (field, value) in fields {
            self.fields.insert(field.clone(), value.clone());
            self.fields.retain(|_, value| !value.is_blank());
            self.lineage.insert(field.clone(), lineage.get(field).copied().unwrap_or(0));
        }
        self.version = now;
        self.updated = Millis(now.0 + self.skew);
    }

    /// Whether its own users said this, and nothing later.
    pub fn said_last(&self, field: &Field, value: &Value) -> bool {
        self.last.get(field) == Some(value)
    }

    pub fn value(&self, field: &Field) -> &Value {
        self.fields.get(field).unwrap_or(&Value::Blank)
    }
}

/// What a user did.
pub struct Edit {
    pub system: System,
    pub field: Field,
    pub value: Value,
    at: Millis,
    base: usize,
    /// Another edit that it was made of.
    also: Option<usize>,
    /// The hub found it, and it was taken, agreed to or kept.
    acked: bool,
    /// Its own system's users replaced it, or set it back.
    replaced: bool,
    /// A write of ours took its place before the hub had seen it.
    overwritten: bool,
    /// A webhook with its value reached the hub.
    told: bool,
}

pub struct Hub {
    pub entity: Entity,
    pub links: BTreeMap<System, Link>,
    pub conflicts: Vec<Conflict>,
    pub parked: bool,
    doubts: BTreeMap<System, bool>,
    waiting: BTreeMap<System, Vec<Observation>>,
    lineage: Lineage,
}

/// How a write ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Applied and answered.
    Done,
    /// Refused for now: not applied, and we know it.
    Refused,
    /// Applied, and the answer is lost.
    Unheard,
    /// No answer; never applied.
    Vanished,
    /// No answer; applied later.
    Late,
}

/// A webhook on its way.
pub struct Delivery {
    pub system: System,
    pub seen: Observation,
    lineage: Lineage,
}

pub struct World {
    pub now: Millis,
    pub order: Order,
    pub rules: FieldRules,
    pub places: BTreeMap<System, Place>,
    pub hub: Hub,
    pub queue: Vec<Delivery>,
    pub edits: Vec<Edit>,
    initial: Fields,
    /// Writes that will be applied later.
    pub late: Vec<(System, Fields, Lineage)>,
    /// Values written that changed a system.
    pub writes: usize,
    /// Writes applied late, or unheard.
    pub unclear: usize,
    /// Values of ours that landed late, over something else.
    pub landed_late: usize,
    /// Decisions for the much older of two edits.
    pub upset: usize,
    /// Claims kept as overwritten unseen that were not.
    pub needless: usize,
}

fn id(system: System) -> ExternalId {
    ExternalId::new(format!("{system}-1"))
}

impl World {
    /// All three systems and the hub hold these values, and everybody has seen them.
    pub fn holding<const N: usize>(fields: [(Field, Value); N]) -> Self {
        let mut entity = Entity::new(EntityId(uuid::Uuid::from_u128(1)), "w", Kind::Contact, Millis(0));
        let stamp = Stamp::new(START - Duration::from_hours(1), Author::Operator);
        for (field, value) in &fields {
            entity.set(field.clone(), value.clone(), stamp);
        }
        let link = |system: &System| {
            let mut link = Link::new("w", entity.id, *system, Kind::Contact, id(*system));
            let known = |value: &Value| Known { value: value.clone(), stamp, ..Known::default() };
            link.snapshot = fields.iter().map(|(field, value)| (field.clone(), known(value))).collect();
            link.seen = START - Duration::from_mins(30);
            (*system, link)
        };
        let links = System::ALL.iter().map(link).collect();
        let place = |system: &System| (*system, Place { fields: Fields::from(fields.clone()), ..Place::default() });
        let places = System::ALL.iter().map(place).collect();
        let (doubts, waiting, lineage) = (BTreeMap::new(), BTreeMap::new(), Lineage::new());
        let hub = Hub { entity, links, doubts, waiting, conflicts: Vec::new(), parked: false, lineage };
        let nobody = Edit {
            system: System::Ghl,
            field: Field::TITLE,
            value: Value::Blank,
            at: Millis(0),
            base: 0,
            also: None,
            acked: true,
            replaced: false,
            overwritten: false,
            told: false,
        };
        let (order, queue, late, initial) = (Order::default(), Vec::new(), Vec::new(), Fields::from(fields));
        Self {
            now: START,
            order,
            rules: FieldRules::new(),
            places,
            hub,
            queue,
            edits: vec![nobody],
            initial,
            late,
            writes: 0,
            unclear: 0,
            landed_late: 0,
            upset: 0,
            needless: 0,
        }
    }

    /// The same, with all fields by this rule; what all hold in the beginning was once said in GHL.
    pub fn under(mut self, rule: FieldRule) -> Self {
        for name in ["first_name", "phone", TAGS] {
            self.rules.set(Kind::Contact, name, rule);
        }
        let known = self.hub.links.values_mut().flat_map(|link| link.snapshot.values_mut());
        known.for_each(|known| known.stamp.author = Author::Ghl);
        self.hub.entity.fields.values_mut().for_each(|held| held.stamp.author = Author::Ghl);
        self
    }

    /// How rivals in a field are settled.
    pub fn contest(&self, field: &Field) -> Contest<'_> {
        Contest::of(&self.order, &self.rules, Kind::Contact, field)
    }

    pub fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    /// A user's edit. Its webhook is queued that many times.
    pub fn edit(&mut self, system: System, field: &Field, value: &Value, copies: usize) {
        let number = self.edits.len();
        let Some(place) = self.places.get_mut(&system).filter(|place| !place.gone && place.value(field) != value)
        else {
            return;
        };
        let base = place.lineage.get(field).copied().unwrap_or(0);
        place.set(&Fields::from([(field.clone(), value.clone())]), &Lineage::from([(field.clone(), number)]), self.now);
        place.last.insert(field.clone(), value.clone());
        for former in self.edits.iter_mut().filter(|edit| edit.system == system && edit.field == *field) {
            former.replaced = true;
        }
        let told = copies > 0 && system != System::Timify && !value.is_blank();
        let (field, value) = (field.clone(), value.clone());
        let fresh = Edit {
            system,
            field,
            value,
            at: self.now,
            base,
            also: None,
            acked: false,
            replaced: false,
            overwritten: false,
            told,
        };
        self.edits.push(fresh);
        self.announce(system, copies);
    }

    /// Users delete the object.
    pub fn delete(&mut self, system: System, copies: usize) {
        if let Some(place) = self.places.get_mut(&system) {
            place.gone = true;
            self.announce(system, copies);
        }
    }

    /// The webhook of a change: GHL claims, TIMIFY hints, TimeRex's extension sends versions; deletions are claims.
    fn announce(&mut self, system: System, copies: usize) {
        let place = &self.places[&system];
        let full = Shape::Full(place.fields.clone());
        let (class, shape) = match system {
            _ if place.gone => (Class::Claim, Shape::Gone),
            System::Ghl => (Class::Claim, full),
            System::Timify => (Class::Claim, Shape::Hint),
            System::Timerex => (Class::Versioned(place.version), full),
        };
        let mut seen = Observation::new(Kind::Contact, id(system), class, shape);
        seen.at = (!place.gone).then_some(place.updated);
        for _ in 0..copies {
            self.queue.push(Delivery { system, seen: seen.clone(), lineage: place.lineage.clone() });
        }
    }

    /// A webhook reaches the hub.
    pub fn deliver(&mut self, at: usize) {
        let Delivery { system, seen, lineage } = self.queue.remove(at);
        let seen = ClockOffset::new(Arc::new(ManualClock::at(self.now))).weighed(seen, self.now);
        let link = &self.hub.links[&system];
        let terms = Sample::plain(system);
        match claim::weigh(&terms, link, &seen) {
            Weight::Echo => {}
            Weight::Old => self.keep(claim::unconfirmed(&terms, link, &seen, self.now).1),
            Weight::Doubt => {
                self.hub.doubts.insert(system, true);
                self.hub.waiting.entry(system).or_default().push(seen);
            }
            Weight::Proves => self.decide(system, &seen, &lineage, &Evidence::new()),
        }
    }

    /// All webhooks of a system that are on their way reach the hub.
    pub fn hear(&mut self, system: System) {
        while let Some(at) = self.queue.iter().position(|delivery| delivery.system == system) {
            self.deliver(at);
        }
    }

    fn decide(&mut self, system: System, seen: &Observation, lineage: &Lineage, evidence: &Evidence) {
        let terms = Sample::plain(system);
        let (order, now) = (&self.order, self.now);
        let late_write = Duration::from_mins(10);
        let frame = Frame {
            order,
            rules: &self.rules,
            terms: &terms,
            now,
            late_write,
            evidence,
            orphaned: false,
            supposed: false,
        };
        let verdict = decide(&self.hub.entity, &self.hub.links[&system], seen, &frame);
        for field in verdict.findings.keys() {
            self.judge(field, lineage.get(field).copied().unwrap_or(0), &verdict);
        }
        let united = verdict.findings.iter().filter(|(_, finding)| **finding == Finding::United);
        let united: Vec<Field> = united.map(|(field, _)| field.clone()).collect();
        for (field, edit) in lineage.iter().filter(|_| seen.shape != Shape::Gone) {
            let (known, held) = (&verdict.link.known(field).value, self.value_of(*edit, field));
            assert_eq!(known, held, "the snapshot of {system} does not move with {field}");
            self.edits[*edit].acked = true;
        }
        self.hub.entity = verdict.entity;
        for field in &united {
            let base = self.hub.lineage.get(field).copied().unwrap_or(0);
            self.by_hub(system, field, base, lineage.get(field).copied());
        }
        if verdict.deleted {
            self.hub.entity.life = Life::Deleted(Stamp::new(self.now, Author::from(system)));
            let others = self.hub.links.values().filter(|link| link.is_live() && link.system != system);
            self.hub.doubts.extend(others.map(|link| (link.system, true)));
        }
        self.hub.links.insert(system, verdict.link);
        self.hub.conflicts.extend(verdict.conflicts);
    }

    /// A read in the lane, and what becomes of the claims that waited for it.
    pub fn read(&mut self, system: System) {
        self.hub.doubts.remove(&system);
        let waiting = self.hub.waiting.remove(&system).unwrap_or_default();
        let (place, link) = (&self.places[&system], &self.hub.links[&system]);
        if link.state == LinkState::Live {
            let shape = if place.gone { Shape::Gone } else { Shape::Full(place.fields.clone()) };
            let mut seen = Observation::new(Kind::Contact, id(system), Class::Current, shape);
            seen.at = (system != System::Timify && !place.gone).then_some(place.updated);
            seen.version = (system == System::Timerex).then_some(place.version);
            let (lineage, evidence) = (place.lineage.clone(), claim::evidence(&waiting));
            self.decide(system, &seen, &lineage, &evidence);
        }
        let link = self.hub.links.entry(system).and_modify(Link::leave_open);
        let link = link.or_insert_with(|| unreachable!("all systems are linked"));
        let lost: Vec<_> = waiting
            .iter()
            .flat_map(|claim| claim::unconfirmed(&Sample::plain(system), link, claim, self.now).1)
            .collect();
        self.keep(lost);
    }

    /// One turn of a lane: read if in doubt, read before a write, plan again, write. `gap`: a user's edit between that read
    /// and the write, and how often it is announced.
    pub fn lane(&mut self, system: System, ending: Ending, gap: Option<(Field, Value, usize)>) {
        if self.hub.doubts.contains_key(&system) {
            self.read(system);
        }
        if self.hub.parked || self.owed(system).is_none() {
            return;
        }
        self.read(system);
        let Some(step) = self.owed(system).filter(|_| !self.hub.parked) else { return };
        if self.places[&system].gone {
            return;
        }
        if step.action == Action::Delete {
            match self.next(system) {
                Next::Delete => {}
                Next::Wait(_) | Next::Spare => return,
                Next::Park(_) => {
                    self.hub.parked = true;
                    return;
                }
            }
        }
        self.is_no_step_back(system, &step);
        if let Some((field, value, copies)) = gap {
            self.now = self.now + Duration::from_millis(self.now.0.unsigned_abs() % 2);
            self.edit(system, &field, &value, copies);
        }
        self.write(system, step, ending);
    }

    /// What is to be done about a delete (R10).
    fn next(&self, system: System) -> Next {
        let mirror = |system: &System| {
            let doubt = i64::from(self.hub.doubts.contains_key(system));
            Mirror { doubt, ..Mirror::new("w", self.hub.entity.id, *system) }
        };
        let links = self.hub.links.values().cloned().collect();
        let mirrors = System::ALL.iter().map(mirror).collect();
        let whole = Whole { entity: self.hub.entity.clone(), links, mirrors };
        let all = System::ALL.iter().map(|system| (*system, Sample::plain(*system))).collect::<BTreeMap<_, _>>();
        let terms = |system: System| all.get(&system).map(|terms| -> &dyn Terms { terms });
        Doomed { whole: &whole, children: &[], contact: None }.next(system, &terms)
    }

    fn write(&mut self, system: System, step: Step, ending: Ending) {
        let deletes = step.action == Action::Delete;
        let ending = if deletes && ending == Ending::Late { Ending::Vanished } else { ending };
        let open = Sent { fields: step.fields, stamps: step.stamps, at: self.now, deletes, unclear: true };
        let fields = open.fields.clone();
        let lineage: Lineage =
            fields.keys().map(|f| (f.clone(), self.hub.lineage.get(f).copied().unwrap_or(0))).collect();
        if matches!(ending, Ending::Done | Ending::Unheard) {
            self.land(system, &fields, &lineage, deletes);
        }
        let version = self.places[&system].version;
        let Some(link) = self.hub.links.get_mut(&system) else { return };
        match ending {
            Ending::Refused => {}
            Ending::Done => {
                landed(link, &open, None, self.now);
                link.version = link.version.max((system == System::Timerex).then_some(version));
                link.state = if deletes { LinkState::Gone } else { link.state };
            }
            Ending::Unheard | Ending::Vanished | Ending::Late => {
                link.sent = Some(open);
                self.hub.doubts.insert(system, true);
                self.unclear += 1;
                self.places.entry(system).or_default().unclear.extend(fields.keys().cloned());
                if ending == Ending::Late {
                    self.late.push((system, fields, lineage));
                }
            }
        }
    }

    /// A write of ours is applied.
    fn land(&mut self, system: System, fields: &Fields, lineage: &Lineage, deletes: bool) {
        let Some(place) = self.places.get_mut(&system).filter(|place| !place.gone) else { return };
        for (field, value) in fields {
            let differs = place.value(field) != value;
            let held = &mut self.edits[place.lineage.get(field).copied().unwrap_or(0)];
            self.writes += usize::from(differs);
            held.overwritten |= differs && held.system == system && !held.acked;
            // What says the same as our write is not lost by it.
            held.acked |= !differs;
        }
        place.set(fields, lineage, self.now);
        place.gone = deletes;
        self.announce(system, 1);
    }

    /// A late write is applied.
    pub fn land_late(&mut self, at: usize) {
        let (system, fields, lineage) = self.late.remove(at);
        let before = self.writes;
        self.land(system, &fields, &lineage, false);
        self.landed_late += self.writes - before;
    }

    /// What the hub would do in a system next. Stamps that only move are moved.
    pub fn owed(&mut self, system: System) -> Option<Step> {
        let link = self.hub.links.get_mut(&system).filter(|link| link.is_live())?;
        match plan(&self.hub.entity, Some(link), None, &Sample::plain(system)) {
            Plan::Steps(steps) => steps.into_iter().next(),
            Plan::Settled { moves, .. } => {
                for (field, stamp) in moves {
                    link.snapshot.entry(field).or_default().restamp(stamp);
                }
                None
            }
            _ => None,
        }
    }

    /// The fields of which a system keeps its own value until a person decides.
    pub fn held(&self) -> Vec<Field> {
        let is_held = |(field, known): &(&Field, &Known)| known.is_held(self.hub.entity.stamp(field));
        let known = self.hub.links.values().flat_map(|link| &link.snapshot).filter(is_held);
        known.map(|(field, _)| field.clone()).collect()
    }

    /// A person at Lockstep says what is true, having seen what the hub holds.
    pub fn correct(&mut self, field: &Field, value: &Value) {
        let stamp = self.order.after(self.hub.entity.stamp(field), self.now, Author::Operator);
        self.hub.entity.set(field.clone(), value.clone(), stamp);
        let base = self.hub.lineage.get(field).copied().unwrap_or(0);
        self.by_hub(System::Ghl, field, base, None);
    }

    /// A value that came about in the hub is an edit like any other, of which no system has to be told on.
    fn by_hub(&mut self, system: System, field: &Field, base: usize, also: Option<usize>) {
        self.hub.lineage.insert(field.clone(), self.edits.len());
        self.edits.push(Edit {
            system,
            field: field.clone(),
            value: self.hub.entity.value(field).clone(),
            at: self.now,
            base,
            also,
            acked: true,
            replaced: true,
            overwritten: false,
            told: false,
        });
    }

    /// All that is late lands, all deliveries come, one reconcile reads everything, lanes run until nothing is owed.
    pub fn finish(&mut self) {
        while !self.late.is_empty() {
            self.land_late(0);
        }
        for round in 0..12 {
            while !self.queue.is_empty() {
                self.deliver(0);
            }
            for system in System::ALL {
                if round == 0 {
                    self.hub.doubts.insert(*system, true);
                }
                self.lane(*system, Ending::Done, None);
            }
            if self.queue.is_empty()
                && self.hub.doubts.is_empty()
                && System::ALL.iter().all(|s| self.owed(*s).is_none())
            {
                return;
            }
        }
    }
}
