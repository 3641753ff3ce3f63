//! Who wins where time decides, and how edits are dated: R1, R2 and R7, told again in their plainest words.
//!
//! In: what is kept of the losers, what people typed over what, and when each object was touched. Out: who should have won.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::tokens;
use crate::clock::Millis;
use crate::model::{Author, Conflict, Field, FieldRule, FieldRules, Stamp, System, Value, Whole};
use crate::sandbox::StandIn;

/// The tick of the simulation's configuration, in milliseconds.
const TICK: i64 = 2_000;
/// Its precedence, the weakest first.
const RANKS: [Author; 5] = [Author::Timerex, Author::Timify, Author::Ghl, Author::Rule, Author::Operator];
/// By how much a date may be wrong where the vendor's clock was set from one side to the other.
const CLOCK_SET: Duration = Duration::from_mins(10);
/// Edits within this time of each other may be told in the wrong order.
const SAME_TIME: Duration = Duration::from_mins(1);

/// What people did.
#[derive(Debug, Default)]
pub struct Hands {
    /// How often each value was set, where something else stood.
    pub set: BTreeMap<u32, usize>,
    /// What stood in its object when each value was set.
    over: BTreeMap<u32, BTreeSet<u32>>,
    /// How often each value was taken away from an object.
    taken: BTreeMap<(String, u32), usize>,
    /// When each object was touched last.
    touched: BTreeMap<String, Millis>,
    /// When the clock of a vendor was set.
    clocks: Vec<(StandIn, Millis)>,
}

impl Hands {
    /// Somebody has a hand in an object.
    pub fn touch(&mut self, object: &str, at: Millis) {
        self.touched.insert(object.to_owned(), at);
    }

    /// Somebody sets the clock of a vendor.
    pub fn set_clock(&mut self, of: StandIn, at: Millis) {
        self.clocks.push((of, at));
    }

    /// How often the clock of a vendor was set about that time.
    pub fn clocks_set(&self, of: StandIn, about: Millis) -> usize {
        let about_then = |at: Millis| at.since(about).max(about.since(at)) <= SAME_TIME;
        self.clocks.iter().filter(|(one, at)| *one == of && about_then(*at)).count()
    }

    /// Whether the clock of a vendor was set about when an object was touched last: what is told of it then may seem an old tale.
    pub fn clock_set_beside(&self, object: &str, of: StandIn) -> bool {
        self.touched.get(object).is_some_and(|at| self.clocks_set(of, *at) > 0)
    }

    /// A value is set in the place of others.
    pub fn set(&mut self, edit: u32, over: &BTreeSet<u32>) {
        *self.set.entry(edit).or_default() += 1;
        self.over.insert(edit, over.clone());
    }

    /// A value is taken away from an object.
    pub fn take(&mut self, object: &str, edit: u32) {
        *self.taken.entry((object.to_owned(), edit)).or_default() += 1;
    }

    /// How often somebody took that value away from that object.
    pub fn taken(&self, object: &str, edit: u32) -> usize {
        self.taken.get(&(object.to_owned(), edit)).copied().unwrap_or_default()
    }

    /// Whether who set a value had another one before them.
    pub fn saw(&self, edit: u32, other: u32) -> bool {
        self.over.get(&edit).is_some_and(|over| over.contains(&other))
    }

    /// Who should have won where time decided. `late`: values that a write put somewhere of which nobody heard; seen when it can
    /// no longer be ours, such a value is somebody's edit, and what it takes the place of is kept.
    pub fn judge(&self, conflict: &Conflict, late: &BTreeSet<u32>) -> Option<&'static str> {
        if conflict.rule != "newer" {
            return None;
        }
        if key(conflict.won_stamp) <= key(conflict.lost_stamp) {
            return Some("has the larger key, and lost");
        }
        let won = edits(&conflict.won);
        let replaced = |lost: u32| won.iter().any(|won| self.saw(lost, *won));
        // What was set twice may have lost the first time.
        let once = |edits: &BTreeSet<u32>| edits.iter().all(|edit| self.set.get(edit) == Some(&1));
        let lost = edits(&conflict.lost);
        let seen = won.is_disjoint(late) && once(&lost) && once(&won) && lost.into_iter().any(replaced);
        seen.then_some("was set in the place of what it lost to")
    }

    /// Fields that are dated later than anybody touched their object, where time decides: who wins by another rule is dated
    /// after who lost. `written`: when we did.
    pub fn dated_late<'a>(
        &'a self,
        whole: &'a Whole,
        written: &'a BTreeMap<String, Millis>,
        rules: &'a FieldRules,
    ) -> impl Iterator<Item = String> + 'a {
        let touched = move |system: System| {
            let ids = whole.links.iter().filter(move |link| link.system == system).map(|link| link.id.as_str());
            ids.map(|id| self.touched.get(id).max(written.get(id)).copied())
                .collect::<Option<Vec<_>>>()?
                .into_iter()
                .max()
        };
        let by_time = |field: &Field| rules.of(whole.entity.kind, field) == FieldRule::Newest;
        whole.entity.fields.iter().filter(move |(field, _)| by_time(field)).filter_map(move |(field, stamped)| {
            let system = *System::ALL.iter().find(|system| Author::from(**system) == stamped.stamp.author)?;
            let last = touched(system)?;
            let late = stamped.stamp.t.since(last) > CLOCK_SET;
            late.then(|| format!("{field} of {} is dated {}, last touched {last}", whole.entity.id, stamped.stamp.t))
        })
    }
}

/// R1.
fn key(stamp: Stamp) -> (i64, Option<usize>, i64) {
    (stamp.t.0.div_euclid(TICK), RANKS.iter().position(|author| *author == stamp.author), stamp.t.0)
}

/// The numbers of the edits whose values stand in a value.
pub fn edits(value: &Value) -> BTreeSet<u32> {
    let mut edits = BTreeSet::new();
    tokens::scan(value.as_text().unwrap_or_default().as_bytes(), &mut edits);
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Entity, EntityId, ExternalId, Kind, Link};

    fn conflict(lost: (u32, i64, Author), won: (u32, i64, Author)) -> Conflict {
        let value = |edit| Value::text(tokens::text(edit));
        Conflict {
            field: Field::CITY,
            system: System::Ghl,
            lost: value(lost.0),
            lost_stamp: Stamp::new(Millis(lost.1), lost.2),
            won: value(won.0),
            won_stamp: Stamp::new(Millis(won.1), won.2),
            rule: "newer".to_owned(),
        }
    }

    #[test]
    fn who_wins_has_the_larger_key_and_did_not_stand_there_before() {
        let mut hands = Hands::default();
        hands.set(1, &BTreeSet::new());
        hands.set(2, &BTreeSet::new());
        let later = conflict((1, 9_000, Author::Ghl), (2, 9_900, Author::Timify));
        assert_eq!(hands.judge(&later, &BTreeSet::new()), Some("has the larger key, and lost"));
        let next_tick = conflict((1, 9_000, Author::Ghl), (2, 10_000, Author::Timify));
        assert_eq!(hands.judge(&next_tick, &BTreeSet::new()), None);
        hands.set(3, &BTreeSet::from([2]));
        let over = conflict((3, 9_000, Author::Ghl), (2, 10_000, Author::Timify));
        assert_eq!(hands.judge(&over, &BTreeSet::new()), Some("was set in the place of what it lost to"));
        assert_eq!(hands.judge(&over, &BTreeSet::from([2])), None, "it may be a late write of ours");
        hands.set(3, &BTreeSet::from([2]));
        assert_eq!(hands.judge(&over, &BTreeSet::new()), None, "it may have lost when it was set first");
        assert_eq!(hands.judge(&Conflict { rule: "prefer_ghl".to_owned(), ..later }, &BTreeSet::new()), None);
    }

    #[test]
    fn a_clock_is_set_at_one_vendor_and_at_one_time() {
        let (ghl, about) = (StandIn::vendor(System::Ghl), Millis(600_000));
        let mut hands = Hands::default();
        for (of, at) in [(ghl, 545_000), (ghl, 655_000), (ghl, 661_000), (StandIn::extension(System::Timify), 600_000)]
        {
            hands.set_clock(of, Millis(at));
        }
        assert_eq!(hands.clocks_set(ghl, about), 2);
        assert_eq!(hands.clocks_set(StandIn::vendor(System::Timify), about), 0);
        hands.touch("near", about);
        hands.touch("far", Millis(900_000));
        assert_eq!(["near", "far", "never"].map(|object| hands.clock_set_beside(object, ghl)), [true, false, false]);
    }

    #[test]
    fn nothing_is_dated_later_than_it_was_touched() {
        let minute = |at: i64| Millis(at * 60_000);
        let mut entity = Entity::new(EntityId(uuid::Uuid::nil()), "w", Kind::Contact, Millis(0));
        entity.set(Field::CITY, Value::text("v1q"), Stamp::new(minute(30), Author::Timify));
        let links = vec![Link::new("w", entity.id, System::Timify, Kind::Contact, ExternalId::new("t"))];
        let whole = Whole { entity, links, mirrors: Vec::new() };
        let mut hands = Hands::default();
        let late = |hands: &Hands, written| hands.dated_late(&whole, &written, &FieldRules::default()).count();
        assert_eq!(late(&hands, BTreeMap::new()), 0, "nobody knows when");
        hands.touch("t", minute(19));
        assert_eq!(late(&hands, BTreeMap::new()), 1);
        assert_eq!(late(&hands, BTreeMap::from([("t".to_owned(), minute(20))])), 0);
    }
}
