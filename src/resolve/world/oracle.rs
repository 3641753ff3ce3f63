//! What a [`World`] knows of its own history, held against what the hub decides.

use std::time::Duration;

use super::{Edit, Finding, Verdict, World};
use crate::clock::Millis;
use crate::model::{Conflict, Field, Step, System, Value};

impl World {
    /// Compares a finding with what really happened.
    pub(super) fn judge(&mut self, field: &Field, edit: usize, verdict: &Verdict) {
        let (finding, true_edit) = (verdict.findings[field], self.hub.lineage.get(field).copied().unwrap_or(0));
        let value = verdict.link.known(field).value.clone();
        let was = self.hub.entity.value(field).clone();
        let keeps = |value: &Value| verdict.conflicts.iter().any(|c| c.field == *field && c.lost == *value);
        let author = verdict.link.system;
        let unclear = self.places[&author].unclear.contains(field);
        let what = format!("{author} {field} {value:?} over {was:?}: {finding}");
        match finding {
            Finding::Taken => {
                let knew = self.ancestors(edit).any(|one| one == true_edit || *self.value_of(one, field) == was);
                assert!(knew || unclear || keeps(&was), "{what}, and what it beat is not kept");
                let saw = self.ancestors(edit).any(|one| one == true_edit);
                assert!(
                    !saw || unclear || verdict.conflicts.is_empty() || !keeps(&was),
                    "{what}, and it saw what it beat"
                );
                self.upset += usize::from(!saw && self.is_much_later(true_edit, edit));
                self.hub.lineage.insert(field.clone(), edit);
            }
            Finding::Lost => {
                assert!(keeps(&value), "{what}, and is not kept");
                let knew = self.ancestors(edit).any(|one| one == true_edit && one != edit);
                self.upset += usize::from(self.is_much_later(edit, true_edit));
                assert!(!knew || unclear, "{what}, though its author had seen what is true");
            }
            Finding::Agreed if verdict.entity.stamp(field) == verdict.link.known(field).stamp => {
                self.hub.lineage.insert(field.clone(), edit);
            }
            _ => {}
        }
    }

    fn value_of(&self, edit: usize, field: &Field) -> &Value {
        if edit == 0 { self.initial.get(field).unwrap_or(&Value::Blank) } else { &self.edits[edit].value }
    }

    /// An edit and all that it was made upon.
    fn ancestors(&self, edit: usize) -> impl Iterator<Item = usize> {
        let before = |at: &usize| (*at != 0).then(|| self.edits[*at].base);
        std::iter::successors(Some(edit), before)
    }

    /// What a system is known to hold is never replaced by what it was made upon.
    pub(super) fn is_no_step_back(&self, system: System, step: &Step) {
        let place = &self.places[&system];
        for (field, value) in step.fields.iter().filter(|(field, _)| !place.unclear.contains(field)) {
            let written = self.hub.lineage.get(field).copied().unwrap_or(0);
            let held = place.lineage.get(field).copied().unwrap_or(0);
            let back = held != written && self.ancestors(held).any(|one| one == written);
            assert!(!back, "{system} {field}: {value:?} is written over what its users made of it");
        }
    }

    /// What must hold in the end, unless it is parked.
    pub fn check(&self) {
        assert!(self.queue.is_empty() && self.hub.doubts.is_empty(), "work is left after twelve rounds");
        if self.hub.parked {
            return;
        }
        if !self.hub.entity.is_live() {
            let there: Vec<_> = self.places.iter().filter(|(_, place)| !place.gone).map(|(system, _)| system).collect();
            assert!(there.is_empty(), "deleted stays deleted, but {there:?} has it");
            return;
        }
        let fields: Vec<&Field> = self.places.values().flat_map(|place| place.fields.keys()).collect();
        for (system, field) in System::ALL.iter().flat_map(|system| fields.iter().map(move |field| (system, *field))) {
            let (held, value) = (self.places[system].value(field), self.hub.entity.value(field));
            assert_eq!(held, value, "{system} disagrees on {field}");
            assert_eq!(self.hub.links[system].known(field).value, *value, "the snapshot of {system} errs on {field}");
        }
        self.edits.iter().for_each(|edit| self.accounts_for(edit));
        // R12: each edit to both other systems, and one more for each loser that is kept. A write of ours that lands late, when
        // it had been made again and something newer after it, changes the system itself and is written over once more.
        let (edits, losers) = (self.edits.len() - 1, self.hub.conflicts.len());
        let bound = 2 * edits + losers + 2 * self.landed_late;
        assert!(
            self.writes <= bound,
            "{} writes for {edits} edits, {losers} losers, {} late",
            self.writes,
            self.landed_late
        );
    }

    /// An edit was found, or its own users replaced it, or a write of ours took its place unseen: then its value is kept if
    /// a webhook told it.
    fn accounts_for(&self, edit: &Edit) {
        let Edit { system, field, value, .. } = edit;
        let known = self.hub.links[system].known(field);
        let is_kept = self.hub.conflicts.iter().any(|c| c.field == *field && c.lost == *value);
        let excused = edit.overwritten && (!edit.told || is_kept || known.held.contains(value));
        assert!(edit.acked || edit.replaced || excused, "{value:?} of {system} in {field} vanished");
    }

    fn is_much_later(&self, one: usize, other: usize) -> bool {
        let corrected = self.places.values().all(|place| place.skew.abs() <= 300);
        let [one, other] = [one, other].map(|edit| self.edits[edit].at);
        corrected && other > Millis(0) && one.since(other) > Duration::from_secs(10)
    }

    /// Keeps what a claim lost, as the hub does.
    pub(super) fn keep(&mut self, conflicts: Vec<Conflict>) {
        let is_true =
            |c: &Conflict, e: &Edit| e.overwritten && e.system == c.system && e.field == c.field && e.value == c.lost;
        let needless = |c: &&Conflict| !self.edits.iter().any(|edit| is_true(c, edit));
        self.needless += conflicts.iter().filter(needless).count();
        self.hub.conflicts.extend(conflicts);
    }
}
