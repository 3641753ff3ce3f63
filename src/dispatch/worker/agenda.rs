//! What a worker knows to be due, so that it need not ask the rows whenever a lane ends.
//!
//! In: what the rows told when they were asked, and what settlements of this process made due since. Out: who is next, and when
//! the rows are to be asked again. Only who holds the lease settles, so nothing else becomes due meanwhile; all the same the rows
//! are asked with every slow poll. Of a backlog only its beginning is known, and it is taken in the order of the rows.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::Key;
use crate::clock::Millis;
use crate::model::{EntityId, Lease, Mirror, Mode, Priority, System};
use crate::store::{Due, News, Outlook};

/// Mirrors that are kept in mind, at most. The rows know the rest.
const MOST: usize = 1_024;

/// Before all others of one time.
const FIRST: Key = (EntityId(Uuid::nil()), System::Ghl);

/// Where a mirror stands in the queue: what is live comes before any backlog.
type Place = (bool, Millis, Key);

/// Before all places.
const START: Place = (false, Millis(i64::MIN), FIRST);

/// What is due, as far as it is known.
#[derive(Default)]
pub(super) struct Agenda {
    fence: Option<i64>,
    mode: Option<Mode>,
    /// Anything may be different.
    woken: bool,
    /// When the rows may know what nobody told of.
    look: Option<Millis>,
    /// Beyond this place only the rows know who is due; before it the queue knows.
    known_to: Option<Place>,
    queue: BTreeSet<Place>,
    known: HashMap<Key, Due>,
    /// When changes are due.
    changes: BTreeSet<Millis>,
}

impl Agenda {
    /// What is known is known under a lease.
    pub(super) fn under(&mut self, lease: &Lease) {
        if self.fence != Some(lease.fence) {
            *self = Self { fence: Some(lease.fence), ..Self::default() };
        }
    }

    /// Changes were recorded.
    pub(super) fn came_in(&mut self, now: Millis) {
        if !self.has_changes(now) {
            self.changes.insert(now);
        }
    }

    /// Anything may be different: the rows know changes, or another mode.
    pub(super) fn wake(&mut self) {
        self.woken = true;
    }

    /// Something may be due that nobody told of.
    pub(super) fn doubt(&mut self) {
        self.look = None;
    }

    fn may_be_behind(&self, now: Millis) -> bool {
        self.look.is_none_or(|look| look <= now)
    }

    /// The mode in which to work; `None`: first the rows are to be asked what there is to do.
    pub(super) fn mode(&self, now: Millis) -> Option<Mode> {
        self.mode.filter(|_| !self.woken && !self.may_be_behind(now))
    }

    /// The rows tell what there is to do; they are asked again at this time.
    pub(super) fn looked(&mut self, outlook: &Outlook, now: Millis, again: Millis) {
        if self.may_be_behind(now) {
            (self.look, self.known_to) = (Some(again), outlook.mirrors.is_due(now).then_some(START));
        }
        self.woken = false;
        self.mode = Some(outlook.mode);
        self.changes.extend(outlook.inbox.first);
        let unknown = outlook.mirrors.later.filter(|later| self.due_from(*later) != Some(*later));
        self.look = unknown.into_iter().chain(outlook.inbox.later).chain(self.look).min();
    }

    /// What settlements made due.
    pub(super) fn hear(&mut self, news: News) {
        if news.more {
            self.doubt();
        }
        self.changes.extend(news.changes);
        for (key, due) in news.mirrors {
            self.put(key, due);
        }
    }

    /// Whether changes are due.
    pub(super) fn has_changes(&self, now: Millis) -> bool {
        self.changes.first().is_some_and(|first| *first <= now)
    }

    /// Those that were due are decided, all of them or not.
    pub(super) fn decided(&mut self, all: bool, now: Millis) {
        self.changes = self.changes.split_off(&after(now));
        if !all {
            self.changes.insert(now);
        }
    }

    /// Whether the rows may know mirrors that are due, beside the queue.
    pub(super) fn may_be_more(&self) -> bool {
        self.known_to.is_some()
    }

    /// The rows told of these mirrors, those that are due first; `all`: no others are due.
    pub(super) fn found(&mut self, mirrors: &[Mirror], all: bool) {
        let due = || mirrors.iter().filter_map(|mirror| Some(((mirror.entity, mirror.system), Due::of(mirror)?)));
        self.known_to = if all { None } else { due().map(|(key, due)| place(key, due)).max() };
        for (key, due) in due() {
            self.put(key, Some(due));
        }
    }

    /// Takes those that are next, so many at most: of those that may run.
    pub(super) fn take(&mut self, now: Millis, most: usize, may_run: impl Fn(&Key) -> bool) -> Vec<(Key, Priority)> {
        let of = |backlog| self.queue.range((backlog, Millis(i64::MIN), FIRST)..(backlog, after(now), FIRST));
        let known = of(false).chain(of(true)).take_while(|place| self.known_to.is_none_or(|to| **place <= to));
        let next: Vec<Key> = known.map(|(.., key)| *key).filter(may_run).take(most).collect();
        next.into_iter().filter_map(|key| Some((key, self.remove(key)?.rank))).collect()
    }

    /// When something is due that is not yet so, or the rows are to be asked again.
    pub(super) fn next(&self, now: Millis) -> Option<Millis> {
        self.due_from(after(now)).into_iter().chain(self.changes.first().copied()).chain(self.look).min()
    }

    /// When the first mirror of the queue is due that is not due before.
    fn due_from(&self, from: Millis) -> Option<Millis> {
        let of = |backlog| self.queue.range((backlog, from, FIRST)..(backlog, Millis(i64::MAX), FIRST)).next();
        [of(false), of(true)].into_iter().flatten().map(|(_, due, _)| *due).min()
    }

    /// What is due after the rows are asked again they tell then.
    fn put(&mut self, key: Key, due: Option<Due>) {
        self.remove(key);
        let Some(due) = due.filter(|due| self.look.is_some_and(|look| due.at <= look)) else { return };
        self.queue.insert(place(key, due));
        self.known.insert(key, due);
        if self.queue.len() > MOST
            && let Some((.., last)) = self.queue.pop_last()
        {
            self.known.remove(&last);
            let rest = self.queue.last().copied();
            self.known_to = self.known_to.into_iter().chain(rest).min();
        }
    }

    fn remove(&mut self, key: Key) -> Option<Due> {
        let due = self.known.remove(&key)?;
        self.queue.remove(&place(key, due));
        Some(due)
    }
}

fn place(key: Key, due: Due) -> Place {
    (due.priority != Priority::Live, due.at, key)
}

fn after(now: Millis) -> Millis {
    Millis(now.0 + 1)
}

#[cfg(test)]
mod tests;
