//! When entities were written to a moment ago: what the fuse counts before each write.
//!
//! An entity is written to in a system by one lane at a time, which asks before it writes: no write is missed that was under way
//! while the rows were asked.

use std::collections::HashMap;

use super::MOST;
use crate::clock::Millis;
use crate::model::{Attempt, EntityId, System};

/// The writes to one entity in one system.
struct Known {
    /// All since then are known.
    since: Millis,
    at: Vec<Millis>,
}

/// The writes to those that were asked for.
#[derive(Default)]
pub(super) struct Writes(HashMap<(EntityId, System), Known>);

impl Writes {
    /// Those since an instant; `None`: not known.
    pub(super) fn since(&mut self, entity: EntityId, system: System, since: Millis) -> Option<Vec<Millis>> {
        let known = self.0.get_mut(&(entity, system)).filter(|known| known.since <= since)?;
        known.at.retain(|at| *at >= since);
        known.since = since;
        Some(known.at.clone())
    }

    /// The rows say that these are all since then.
    pub(super) fn keep(&mut self, entity: EntityId, system: System, since: Millis, at: &[Millis]) {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert((entity, system), Known { since, at: at.to_vec() });
    }

    /// These were made.
    pub(super) fn add(&mut self, attempts: &[Attempt]) {
        for attempt in attempts.iter().filter(|attempt| attempt.may_have_written()) {
            if let Some(known) = self.0.get_mut(&(attempt.entity, attempt.system)) {
                known.at.push(attempt.at);
            }
        }
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{Action, AttemptResult};

    /// A call for the first entity.
    pub(in crate::store::cached) fn attempt(action: Action, result: AttemptResult, at: i64) -> Attempt {
        Attempt {
            workspace: "w".to_owned(),
            entity: entity(),
            system: System::Ghl,
            action,
            object: None,
            fields: Vec::new(),
            result,
            status: None,
            note: None,
            at: Millis(at),
            took_ms: 0,
            lag_ms: None,
            trace: None,
            burst_left: None,
            day_left: None,
        }
    }

    fn entity() -> EntityId {
        EntityId(uuid::Uuid::from_u128(1))
    }

    #[test]
    fn writes_are_known_since_they_were_asked_for_and_no_longer() {
        let mut writes = Writes::default();
        let since = |writes: &mut Writes, at| writes.since(entity(), System::Ghl, Millis(at));
        writes.add(&[attempt(Action::Update, AttemptResult::Done, 9)]);
        assert_eq!(since(&mut writes, 5), None, "nobody asked the rows yet");
        writes.keep(entity(), System::Ghl, Millis(5), &[Millis(9)]);
        writes.add(&[
            attempt(Action::Update, AttemptResult::Unclear, 12),
            attempt(Action::Update, AttemptResult::Refused, 13),
            attempt(Action::Read, AttemptResult::Done, 14),
        ]);
        assert_eq!(since(&mut writes, 4), None, "the rows may have older ones");
        assert_eq!(since(&mut writes, 6), Some(vec![Millis(9), Millis(12)]));
        assert_eq!(since(&mut writes, 10), Some(vec![Millis(12)]));
        assert_eq!(since(&mut writes, 6), None, "older ones are forgotten");
    }
}
