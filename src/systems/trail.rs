//! The trail of calls: what is worth keeping of the HTTP calls that a [`Target`](super::Target) made for one wish.
//!
//! In: the future that makes the calls, and what [`Caller`](super::call::Caller) notes while it runs. Out: its output, and the
//! trail of the last call. So no connector has to pass it on.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::allowance::RateSeen;
use crate::clock::Millis;
use crate::model::Priority;

tokio::task_local! {
    static TRAIL: RefCell<Trail>;
    /// When what runs now was decided, and stored; then, when its last write was answered.
    static DECIDED: Cell<Millis>;
    /// How what runs now ranks.
    static PRIORITY: Priority;
}

/// A write leaves so soon after its intent was stored, or not at all: later, another replica may have taken it for one whose answer
/// was lost. Long enough to wait for a short window of calls; `create_settle` is longer.
pub(super) const PROMPT: Duration = Duration::from_secs(15);

/// What is known of the last call that left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail {
    /// When it left; `None`: nothing did.
    pub sent: Option<Millis>,
    /// The vendor's id of it.
    pub trace: Option<String>,
    /// Calls that the vendor said were left in its short window.
    pub burst_left: Option<u32>,
    /// Calls that the vendor said were left of the day.
    pub day_left: Option<u32>,
}

impl Trail {
    /// Takes in what the answer said.
    pub(super) fn saw(&mut self, seen: &RateSeen) {
        (self.burst_left, self.day_left) = (seen.burst_left, seen.day_left);
    }
}

/// Runs what makes calls, and keeps their trail.
pub async fn follow<T>(calls: impl Future<Output = T>) -> (T, Trail) {
    let followed = async {
        let output = calls.await;
        (output, TRAIL.with(RefCell::take))
    };
    TRAIL.scope(RefCell::default(), followed).await
}

/// Follows the calls of an intent that was stored then.
pub async fn carry_out<T>(decided: Millis, calls: impl Future<Output = T>) -> (T, Trail) {
    DECIDED.scope(Cell::new(decided), follow(calls)).await
}

/// Whether what runs now was decided too long ago to be written.
pub(super) fn is_overdue(now: Millis) -> bool {
    DECIDED.try_with(|decided| now.since(decided.get()) > PROMPT).unwrap_or(false)
}

/// A write was answered: the next one of the same intent is prompt if it follows that soon.
pub(super) fn answered(now: Millis) {
    // Nobody decided anything: nothing can be late.
    let _ = DECIDED.try_with(|decided| decided.set(now));
}

/// Changes the trail of what runs now, if it is followed.
pub(super) fn note(change: impl FnOnce(&mut Trail)) {
    // Nobody follows: nobody wants to know.
    let _ = TRAIL.try_with(|trail| change(&mut trail.borrow_mut()));
}

/// Runs what ranks so among the calls of its workspace.
pub async fn ranked<T>(priority: Priority, calls: impl Future<Output = T>) -> T {
    PRIORITY.scope(priority, calls).await
}

/// How what runs now ranks. Of what nobody told, somebody waits for it.
pub(super) fn priority() -> Priority {
    PRIORITY.try_with(|priority| *priority).unwrap_or(Priority::Live)
}

/// Whether a call left already for what runs now. What nobody follows counts as begun.
pub(super) fn begun() -> bool {
    TRAIL.try_with(|trail| trail.borrow().sent.is_some()).unwrap_or(true)
}
