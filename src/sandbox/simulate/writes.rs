//! What our writes did to the values of people's edits, object by object.
//!
//! In: what stood in an object before and after a write. Out: how often each value was put there, whether it was taken away, and
//! how often either was done by a write of which nobody heard, and where such writes were made.

use std::collections::{BTreeMap, BTreeSet};

/// The value of an edit in an object: the object's id, the number of the edit.
type Place = (String, u32);

/// What all writes did.
#[derive(Debug, Default)]
pub struct Writes {
    put: BTreeMap<Place, usize>,
    taken: BTreeSet<Place>,
    unheard: BTreeMap<Place, usize>,
    unsure: BTreeSet<String>,
}

/// What one write did.
#[derive(Debug)]
pub struct Change {
    object: String,
    put: BTreeSet<u32>,
    taken: BTreeSet<u32>,
}

impl Change {
    /// The difference between what stood in an object before a write and after it.
    pub fn between(object: String, before: &BTreeSet<u32>, after: &BTreeSet<u32>) -> Self {
        let without = |all: &BTreeSet<u32>, some| all.difference(some).copied().collect();
        Self { object, put: without(after, before), taken: without(before, after) }
    }
}

impl Writes {
    /// A write was made.
    pub fn made(&mut self, change: &Change) {
        add(&mut self.put, &change.object, &change.put);
        self.taken.extend(change.taken.iter().map(|edit| (change.object.clone(), *edit)));
    }

    /// Its outcome was heard by nobody who goes by it: by nobody at all, or by one whose lease was another's by then.
    pub fn not_heard(&mut self, change: Option<Change>) {
        if let Some(Change { object, put, taken }) = &change {
            add(&mut self.unheard, object, put);
            add(&mut self.unheard, object, taken);
            self.unsure.insert(object.clone());
        }
    }

    /// Whether there was a write to an object of which nobody heard whether it landed.
    pub fn unsure(&self, object: &str) -> bool {
        self.unsure.contains(object)
    }

    /// Values that were put into an object more than once: the object, the edit, how often.
    pub fn repeated(&self) -> impl Iterator<Item = (&str, u32, usize)> {
        let repeated = self.put.iter().filter(|(_, count)| **count > 1);
        repeated.map(|(place, count)| (place.0.as_str(), place.1, *count))
    }

    /// Whether a write took that value away, or one of which nobody heard put it there.
    pub fn came_between(&self, object: &str, edit: u32) -> bool {
        let place = (object.to_owned(), edit);
        self.taken.contains(&place) || self.unheard.contains_key(&place)
    }

    /// What a write of which nobody heard took away from an object.
    pub fn taken_unheard<'a>(&'a self, object: &'a str) -> impl Iterator<Item = u32> + 'a {
        let here = self.taken.iter().filter(move |place| place.0 == object && self.unheard.contains_key(place));
        here.map(|place| place.1)
    }

    /// How often a write of which nobody heard put a value there or took it away: the object, the edit, how often.
    pub fn unheard(&self) -> impl Iterator<Item = (&str, u32, usize)> {
        self.unheard.iter().map(|(place, count)| (place.0.as_str(), place.1, *count))
    }
}

fn add(counts: &mut BTreeMap<Place, usize>, object: &str, edits: &BTreeSet<u32>) {
    for edit in edits {
        *counts.entry((object.to_owned(), *edit)).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(writes: &mut Writes, before: u32, after: u32) -> Change {
        let change = Change::between("it".to_owned(), &BTreeSet::from([before]), &BTreeSet::from([after]));
        writes.made(&change);
        change
    }

    #[test]
    fn what_an_unheard_write_took_away_may_be_put_there_again() {
        let mut writes = Writes::default();
        write(&mut writes, 1, 2);
        let late = write(&mut writes, 2, 1);
        writes.not_heard(Some(late));
        write(&mut writes, 1, 2);
        assert_eq!(writes.repeated().collect::<Vec<_>>(), [("it", 2, 2)]);
        assert_eq!(writes.unheard().collect::<Vec<_>>(), [("it", 1, 1), ("it", 2, 1)]);
    }

    #[test]
    fn a_write_that_took_a_value_away_came_between_heard_or_not() {
        let mut writes = Writes::default();
        let late = write(&mut writes, 1, 2);
        assert!(writes.came_between("it", 1) && !writes.came_between("it", 2) && !writes.came_between("another", 1));
        assert_eq!(writes.taken_unheard("it").count(), 0);
        writes.not_heard(Some(late));
        assert!(writes.came_between("it", 2));
        assert_eq!(writes.taken_unheard("it").collect::<Vec<_>>(), [1]);
        assert_eq!(writes.taken_unheard("another").count(), 0);
    }

    #[test]
    fn a_write_of_which_nobody_heard_leaves_its_object_unsure_also_where_it_did_nothing() {
        let mut writes = Writes::default();
        let refused = write(&mut writes, 1, 1);
        assert!(!writes.unsure("it"));
        writes.not_heard(Some(refused));
        assert!(writes.unsure("it") && !writes.unsure("other"));
    }

    #[test]
    fn what_was_put_there_again_after_all_was_heard_is_not_excused() {
        let mut writes = Writes::default();
        for (before, after) in [(1, 2), (2, 1), (1, 2)] {
            write(&mut writes, before, after);
        }
        assert_eq!(writes.repeated().collect::<Vec<_>>(), [("it", 2, 2)]);
        assert_eq!(writes.unheard().count(), 0);
    }
}
