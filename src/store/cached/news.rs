//! What settlements made due, by workspace, until its worker hears of it.
//!
//! In: settlements that were written, and those of which it is not known. Out: the mirrors that they wrote, and whether the rows
//! know more.

use std::collections::BTreeMap;

use super::MOST;
use crate::clock::Millis;
use crate::model::{EntityId, Mirror, MirrorState, Priority, System};
use crate::store::{Settled, Settlement};

/// A mirror that is due, now or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Millis,
    /// How it ranks among those that are due.
    pub priority: Priority,
    /// How its calls rank.
    pub rank: Priority,
}

impl Due {
    /// When a mirror is due; `None`: it is not, as far as its row says.
    pub fn of(mirror: &Mirror) -> Option<Self> {
        let due = Self { at: mirror.due, priority: mirror.priority, rank: mirror.rank() };
        (mirror.state == MirrorState::Due).then_some(due)
    }
}

/// What became due since the last time that somebody asked.
#[derive(Debug, Default)]
pub struct News {
    /// The mirrors that were written.
    pub mirrors: BTreeMap<(EntityId, System), Option<Due>>,
    /// When changes are to be looked at again.
    pub changes: Vec<Millis>,
    /// There is more, which only the rows tell.
    pub more: bool,
}

impl News {
    /// What became of a settlement; `None`: nobody knows.
    pub(super) fn tell(&mut self, settlement: &Settlement, settled: Option<Settled>) {
        match settled {
            Some(Settled::Done) => {
                for mirror in &settlement.mirrors {
                    // One that waits is due at once if its parent came in between.
                    self.more |= mirror.state == MirrorState::Waiting;
                    self.mirrors.insert((mirror.entity, mirror.system), Due::of(mirror));
                }
                self.changes.extend(settlement.later.iter().map(|(_, due)| *due));
                self.more |= !settlement.release.is_empty();
            }
            Some(Settled::Moved) | None => self.more = true,
            // Whose it is now asks the rows.
            Some(Settled::LeaseLost) => {}
        }
        if self.mirrors.len() + self.changes.len() > MOST {
            *self = Self { more: true, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Lease;

    fn entity() -> EntityId {
        EntityId(uuid::Uuid::from_u128(1))
    }

    fn settlement(state: MirrorState) -> Settlement {
        let lease = Lease { workspace: "w".to_owned(), owner: "us".to_owned(), fence: 1, until: Millis(9) };
        let mirror = Mirror { state, due: Millis(7), tries: 1, ..Mirror::new("w", entity(), System::Ghl) };
        Settlement { mirrors: vec![mirror], ..Settlement::new(lease, Millis(5)) }
    }

    fn told(settlement: &Settlement, settled: Option<Settled>) -> News {
        let mut news = News::default();
        news.tell(settlement, settled);
        news
    }

    #[test]
    fn a_settlement_tells_which_mirrors_are_due_and_which_no_longer_are() {
        let mut news = told(&settlement(MirrorState::Due), Some(Settled::Done));
        let due = Due { at: Millis(7), priority: Priority::Live, rank: Priority::Retry };
        assert_eq!(news.mirrors, [((entity(), System::Ghl), Some(due))].into());
        news.tell(&settlement(MirrorState::Idle), Some(Settled::Done));
        assert_eq!((news.mirrors, news.more), ([((entity(), System::Ghl), None)].into(), false));
    }

    #[test]
    fn what_only_the_rows_know_is_to_be_asked() {
        let idle = settlement(MirrorState::Idle);
        assert!(!told(&idle, Some(Settled::Done)).more && !told(&idle, Some(Settled::LeaseLost)).more);
        assert!(told(&idle, Some(Settled::Moved)).more, "what was to be decided is still there");
        assert!(told(&idle, None).more, "it may be written");
        assert!(
            told(&settlement(MirrorState::Waiting), Some(Settled::Done)).more,
            "its parent may have come in between"
        );
        let releases = Settlement { release: vec![(entity(), System::Ghl)], ..idle };
        assert!(told(&releases, Some(Settled::Done)).more, "the children are not named");
    }

    #[test]
    fn news_that_nobody_asks_for_do_not_pile_up() {
        let mut news = News::default();
        for n in 0..=MOST as i64 {
            let later = vec![(crate::model::ChangeId(n), Millis(n))];
            news.tell(&Settlement { later, ..settlement(MirrorState::Idle) }, Some(Settled::Done));
        }
        assert!(news.more && news.changes.len() < 9, "{}", news.changes.len());
    }
}
