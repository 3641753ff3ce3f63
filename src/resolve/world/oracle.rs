//! What a [`World`] knows of its own history, held against what the hub decides.

use std::time::Duration;

use super::{Edit, Finding, Verdict, World};
use crate::clock::Millis;
use crate::model::{Conflict, Field, FieldRule, Step, System, Value};

impl World {
    /// Compares a finding with what really happened.
    pub(super) fn judge(&mut self, field: &Field, edit: usize, verdict: &Verdict) {
        let (finding, true_edit) = (verdict.findings[field], self.hub.lineage.get(field).copied().unwrap_or(0));
        let value = verdict.link.known(field).value.clone();
        let was = self.hub.entity.value(field).clone();
        let keeps = |value: &Value| verdict.conflicts.iter().any(|c| c.field == *field && c.lost == *value);
        let author = verdict.link.system;
        let unclear = self.places[&author].unclear.contains(field);
        let by_time = !self.goes_before_time(field);
        let what = format!("{author} {field} {value:?} over {was:?}: {finding}");
        match finding {
            Finding::Taken => {
                let knew = self.ancestors(edit).any(|one| one == true_edit || *self.value_of(one, field) == was);
                assert!(knew || keeps(&was), "{what}, and what it beat is not kept");
                let saw = self.ancestors(edit).any(|one| one == true_edit);
                assert!(
                    !saw || unclear || !by_time || verdict.conflicts.is_empty() || !keeps(&was),
                    "{what}, and it saw what it beat"
                );
                self.upset += usize::from(!saw && self.is_much_later(true_edit, edit));
                self.hub.lineage.insert(field.clone(), edit);
            }
            Finding::Lost => {
                assert!(keeps(&value), "{what}, and is not kept");
                let knew = self.ancestors(edit).any(|one| one == true_edit && one != edit);
                self.upset += usize::from(self.is_much_later(edit, true_edit));
                assert!(!knew || unclear || !by_time, "{what}, though its author had seen what is true");
            }
            Finding::Agreed if verdict.entity.stamp(field) == verdict.link.known(field).stamp => {
                self.hub.lineage.insert(field.clone(), edit);
            }
            _ => {}
        }
    }

    pub(super) fn value_of(&self, edit: usize, field: &Field) -> &Value {
        if edit == 0 { self.initial.get(field).unwrap_or(&Value::Blank) } else { &self.edits[edit].value }
    }

    /// An edit and all that it was made upon.
    fn ancestors(&self, edit: usize) -> impl Iterator<Item = usize> {
        let (mut found, mut at) = (vec![edit], 0);
        while let Some(one) = found.get(at).copied() {
            let before = self.edits.get(one).filter(|_| one != 0).map(|edit| [Some(edit.base), edit.also]);
            found.extend(before.into_iter().flatten().flatten());
            at += 1;
        }
        found.into_iter()
    }

    /// Whether a field's rule lets an older edit win over one that saw it.
    fn goes_before_time(&self, field: &Field) -> bool {
        match self.contest(field).rule {
            FieldRule::Newest | FieldRule::Append | FieldRule::Hold => false,
            FieldRule::Union => field.as_tag().is_some(),
            _ => true,
        }
    }

    /// What a system is known to hold is never replaced by what it was made upon.
    pub(super) fn is_no_step_back(&self, system: System, step: &Step) {
        let place = &self.places[&system];
        let judged = |field: &Field| !place.unclear.contains(field) && !self.goes_before_time(field);
        for (field, value) in step.fields.iter().filter(|(field, _)| judged(field)) {
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
            let known = self.hub.links[system].known(field);
            assert_eq!(known.value, *held, "the snapshot of {system} errs on {field}");
            if known.is_held(self.hub.entity.stamp(field)) {
                let asked =
                    self.hub.conflicts.iter().any(|c| c.system == *system && c.field == *field && c.lost == *held);
                assert!(asked, "{system} keeps its {field}, and nobody is asked");
            } else {
                assert!(self.contest(field).is_same(held, value), "{system} holds {held:?} in {field}, not {value:?}");
            }
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
    /// a webhook told it, unless it is there again.
    fn accounts_for(&self, edit: &Edit) {
        let Edit { system, field, value, .. } = edit;
        let known = self.hub.links[system].known(field);
        let is_kept = self.hub.conflicts.iter().any(|c| c.field == *field && c.lost == *value);
        let is_there = known.value == *value || known.held.contains(value);
        let excused = edit.overwritten && (!edit.told || is_kept || is_there);
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
