//! Stamps and their order: rules R1 and R2 of deciding.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{System, words};
use crate::clock::Millis;

words! {
    /// Who made an edit.
    Author {
        /// GoHighLevel: one of its users, or anything that acts there.
        Ghl = "ghl",
        /// TIMIFY.
        Timify = "timify",
        /// TimeRex, its guests included.
        Timerex = "timerex",
        /// A rule that the operator set.
        Rule = "rule",
        /// A person at Lockstep.
        Operator = "operator",
    }
}

impl Author {
    /// Whether it acts on purpose at Lockstep itself: a person, or a rule that one set.
    pub fn is_deliberate(self) -> bool {
        matches!(self, Self::Operator | Self::Rule)
    }
}

impl From<System> for Author {
    fn from(system: System) -> Self {
        match system {
            System::Ghl => Self::Ghl,
            System::Timify => Self::Timify,
            System::Timerex => Self::Timerex,
        }
    }
}

/// The time of an edit, on our clock, and its author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// When; vendor times are corrected by that vendor's clock offset first.
    pub t: Millis,
    /// Who.
    pub author: Author,
}

impl Stamp {
    /// What a field carries that was never set.
    pub const NEVER: Self = Self { t: Millis(0), author: Author::Operator };

    /// A stamp.
    pub fn new(t: Millis, author: Author) -> Self {
        Self { t, author }
    }
}

/// How stamps are ordered: times within one tick are a tie, and the tie goes to the author of higher precedence. (Pairwise
/// "within a tolerance" would not be transitive: three edits could beat each other in a circle.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    tick: i64,
    precedence: Vec<Author>,
}

/// The place of a stamp in the order; the larger one wins.
pub type Key = (i64, usize, i64);

impl Order {
    /// `tolerance` is the tick (at least 1 ms); `precedence` names the strongest first, authors left out are weakest.
    pub fn new(tolerance: Duration, precedence: &[Author]) -> Self {
        let tick = i64::try_from(tolerance.as_millis()).unwrap_or(i64::MAX).max(1);
        Self { tick, precedence: precedence.to_vec() }
    }

    /// R1.
    pub fn key(&self, stamp: Stamp) -> Key {
        let rank = self.precedence.iter().rev().position(|author| *author == stamp.author).map_or(0, |at| at + 1);
        (stamp.t.0.div_euclid(self.tick), rank, stamp.t.0)
    }

    /// R2: an edit is later than what its author saw. The stamp of an edit made at `t` over a value stamped `base`.
    pub fn after(&self, base: Stamp, t: Millis, author: Author) -> Stamp {
        let stamp = Stamp::new(t, author);
        if self.key(stamp) > self.key(base) {
            return stamp;
        }
        Stamp::new(Millis((base.t.0.div_euclid(self.tick) + 1) * self.tick), author)
    }

    /// The larger of two.
    pub fn max(&self, a: Stamp, b: Stamp) -> Stamp {
        if self.key(b) > self.key(a) { b } else { a }
    }
}

impl Default for Order {
    /// Two seconds; operator, rule, then ghl, timify, timerex.
    fn default() -> Self {
        let precedence = [Author::Operator, Author::Rule, Author::Ghl, Author::Timify, Author::Timerex];
        Self::new(Duration::from_secs(2), &precedence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamps() -> impl Strategy<Value = Stamp> {
        (0_i64..20_000, 0_usize..5).prop_map(|(t, at)| Stamp::new(Millis(t), Author::ALL[at]))
    }

    #[test]
    fn three_edits_within_reach_of_each_other_never_beat_each_other_in_a_circle() {
        let order = Order::default();
        let [g, t, x] = [(2_100, Author::Ghl), (3_000, Author::Timify), (4_800, Author::Timerex)]
            .map(|(t, author)| order.key(Stamp::new(Millis(t), author)));
        assert!(g > t && x > t && x > g);
    }

    proptest! {
        #[test]
        fn an_edit_is_later_than_what_it_replaced(base in stamps(), t in 0_i64..20_000, at in 0_usize..5) {
            let order = Order::default();
            let after = order.after(base, Millis(t), Author::ALL[at]);
            prop_assert!(order.key(after) > order.key(base));
        }

        #[test]
        fn the_larger_of_two_does_not_depend_on_their_order(a in stamps(), b in stamps()) {
            let order = Order::default();
            prop_assert_eq!(order.key(order.max(a, b)), order.key(order.max(b, a)));
        }
    }
}
