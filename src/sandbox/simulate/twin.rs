//! Two stores as one: each operation is carried out in memory and in SQLite, and both must answer alike.
//!
//! In and out: what every store takes and gives. What they disagree about is kept, for the judge. An operation ends within one
//! poll, whatever SQLite takes for it, so that a seed replays to the letter.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use async_trait::async_trait;
use tokio::runtime::Runtime;

use crate::clock::Millis;
use crate::model::{
    Action, Appended, Attempt, Change, ChangeId, Closing, Conflict, ConflictId, EntityId, ExternalId, Finding, Install,
    InstallKey, InstallState, Invitation, KeptConflict, Kind, Lease, Link, Mirror, MirrorState, Mode, NewChange,
    Origin, Outcome, Standing, System, VerdictRow,
};
use crate::store::memory::{Memory, Pace};
use crate::store::sql::Db;
use crate::store::{
    Bells, ChangeLog, Conflicts, Credentials, Entities, Installs, Invitations, Keys, Leases, Listening, Load, Mirrors,
    Outlook, Reports, Result, Review, Settled, Settlement, Settling, Sought, Store, Whole, Workspaces,
};

/// A SQLite store beside the one in memory, and the first thing that they disagreed about; more would follow from it.
pub struct Beside {
    sqlite: Db,
    runtime: Runtime,
    difference: Mutex<Option<String>>,
}

impl Beside {
    /// An empty one.
    pub fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sqlite = runtime.block_on(Db::in_memory())?;
        Ok(Self { sqlite, runtime, difference: Mutex::default() })
    }

    /// What they disagreed about.
    pub fn difference(&self) -> Option<String> {
        self.difference.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs an operation to its end. On a thread of its own: the one that we are on has a runtime already.
    fn end<T: Send>(&self, operation: impl Future<Output = T> + Send) -> T {
        let run = || self.runtime.block_on(operation);
        thread::scope(|scope| scope.spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

/// What is kept, and where.
pub struct Kept {
    /// In memory, without pauses.
    pub memory: Memory,
    /// The same in SQLite, in some histories.
    pub beside: Option<Arc<Beside>>,
}

impl Kept {
    /// As a process sees it whose calls take this long.
    pub fn paced(&self, pace: Arc<dyn Pace>) -> Arc<dyn Store> {
        match self.beside.clone() {
            Some(beside) => Arc::new(Twin { memory: self.memory.clone(), beside, pace }),
            None => Arc::new(self.memory.paced(pace)),
        }
    }
}

/// Both stores, as one process sees them.
struct Twin {
    memory: Memory,
    beside: Arc<Beside>,
    pace: Arc<dyn Pace>,
}

impl Twin {
    async fn both<T: Debug + Send>(
        &self,
        name: &str,
        memory: impl Future<Output = Result<T>> + Send,
        sqlite: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.pause().await;
        let answer = memory.await;
        let other = self.beside.end(sqlite);
        let (told, others) = (told(&answer), told(&other));
        if told != others {
            let line = || format!("0: {name} gives {told} in memory and {others} in SQLite");
            self.beside.difference.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(line);
        }
        // Who is dropped here never learns that it was committed.
        self.pause().await;
        answer
    }

    async fn pause(&self) {
        if let Some(pause) = self.pace.pause() {
            pause.await;
        }
    }
}

/// An answer, to be compared. How a failure is put is each store's own.
fn told<T: Debug>(answer: &Result<T>) -> String {
    answer.as_ref().map_or_else(|_| "an error".to_owned(), |answer| format!("{answer:?}"))
}

/// One trait, method by method: a method that is added to it and not here does not compile.
macro_rules! both {
    ($trait:ident: $(fn $name:ident($($arg:ident: $type:ty),*) -> $out:ty;)*) => {
        #[async_trait]
        impl $trait for Twin {
            $(async fn $name(&self $(, $arg: $type)*) -> Result<$out> {
                self.both(stringify!($name), self.memory.$name($($arg),*), self.beside.sqlite.$name($($arg),*)).await
            })*
        }
    };
}

both! { ChangeLog:
    fn append(changes: &[NewChange]) -> Vec<Appended>;
    fn change(id: ChangeId) -> Option<Change>;
    fn undecided(workspace: &str, now: Millis, limit: u32) -> Vec<Change>;
    fn waiting(entity: EntityId, system: System) -> Vec<(Change, i64)>;
    fn told_of_installs(system: System, after: ChangeId, limit: u32) -> Vec<Change>;
    fn by_standing(standing: Standing, limit: u32) -> Vec<Change>;
}

both! { Entities:
    fn whole(entity: EntityId) -> Option<Whole>;
    fn link(workspace: &str, system: System, kind: Kind, id: &ExternalId) -> Option<Link>;
    fn with_keys(workspace: &str, kind: Kind, keys: &Keys) -> Vec<EntityId>;
    fn children(parent: EntityId, kind: Option<Kind>) -> Vec<EntityId>;
    fn remains(parent: EntityId) -> Vec<EntityId>;
    fn entities(workspace: &str, after: Option<EntityId>, limit: u32) -> Vec<EntityId>;
    fn live_links(workspace: &str, system: System, kind: Kind) -> Vec<Link>;
    fn links_within(workspace: &str, system: System, outer: &ExternalId) -> Vec<Link>;
    fn open_intents(workspace: &str, system: System, kind: Kind) -> Vec<EntityId>;
    fn apart(workspace: &str, entity: EntityId) -> BTreeSet<EntityId>;
}

both! { Settling:
    fn settle(settlement: &Settlement) -> Settled;
}

#[async_trait]
impl Bells for Twin {
    async fn ring(&self, _workspaces: &[&str]) -> Result<()> {
        Ok(())
    }

    async fn listen(&self) -> Result<Option<Box<dyn Listening>>> {
        Ok(None)
    }
}

both! { Mirrors:
    fn due(workspace: &str, now: Millis, limit: u32) -> Vec<Mirror>;
    fn in_state(workspace: &str, state: MirrorState, limit: u32) -> Vec<Mirror>;
    fn writes_since(entity: EntityId, system: System, since: Millis) -> Vec<Millis>;
    fn actions_since(workspace: &str, system: System, action: Action, since: Millis) -> u32;
}

both! { Leases:
    fn lease(workspaces: &[String], owner: &str, now: Millis, until: Millis) -> Vec<Lease>;
    fn live_leases(now: Millis) -> Vec<Lease>;
    fn release(workspaces: &[String], owner: &str) -> ();
}

both! { Workspaces:
    fn register(names: &[String], mode: Mode, now: Millis) -> ();
    fn mode(workspace: &str) -> Option<Mode>;
    fn outlook(workspace: &str, now: Millis) -> Option<Outlook>;
    fn set_mode(workspace: &str, mode: Mode, now: Millis) -> ();
    fn last_webhooks(workspace: &str) -> BTreeMap<System, Millis>;
    fn load(workspace: &str) -> Load;
    fn cursor(workspace: &str, name: &str) -> Option<String>;
    fn set_cursor(workspace: &str, name: &str, text: &str, now: Millis) -> ();
}

both! { Credentials:
    fn credential(name: &str) -> Option<Vec<u8>>;
    fn keep_credential(name: &str, sealed: &[u8], now: Millis) -> ();
    fn credential_names() -> Vec<String>;
}

both! { Installs:
    fn install(key: &InstallKey) -> Option<Install>;
    fn installs() -> Vec<Install>;
    fn put_install(install: &Install, from: i64) -> bool;
    fn set_install_state(key: &InstallKey, generation: i64, state: InstallState, reason: Option<&str>, now: Millis) -> bool;
    fn claim_install(key: &InstallKey, generation: i64, owner: &str, now: Millis, until: Millis) -> bool;
    fn keep_ticket(state: &str, cookie: &str, now: Millis, until: Millis) -> bool;
    fn take_ticket(state: &str, now: Millis) -> Option<String>;
}

both! { Invitations:
    fn put_invitation(invitation: &Invitation, changes: &[NewChange]) -> bool;
    fn invitations(workspace: &str, limit: u32) -> Vec<Invitation>;
    fn due_invitations(workspace: &str, now: Millis, limit: u32) -> Vec<Invitation>;
    fn workspaces_with_due_invitations(now: Millis) -> Vec<String>;
}

both! { Conflicts:
    fn conflict(id: ConflictId) -> Option<KeptConflict>;
    fn kept(wanted: &Sought, after: ConflictId, limit: u32) -> Vec<KeptConflict>;
    fn close_conflict(closing: &Closing, now: Millis) -> bool;
}

both! { Reports:
    fn named(text: &str) -> Vec<EntityId>;
    fn story(entity: EntityId) -> Vec<(Change, VerdictRow)>;
    fn attempts(entity: EntityId) -> Vec<Attempt>;
    fn attempts_since(workspace: &str, since: Millis, limit: u32) -> Vec<Attempt>;
    fn conflicts(workspace: &str, entity: Option<EntityId>) -> Vec<(EntityId, Conflict)>;
    fn reviews(workspace: &str) -> Vec<Review>;
    fn close_review(workspace: &str, subject: &str, now: Millis) -> bool;
    fn outcomes(workspace: &str) -> BTreeMap<Outcome, u64>;
    fn origins(workspace: &str) -> BTreeMap<Origin, u64>;
    fn findings(workspace: &str) -> BTreeMap<Finding, u64>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Sleep;

    struct AtOnce;

    impl Pace for AtOnce {
        fn pause(&self) -> Option<Sleep> {
            None
        }
    }

    #[test]
    fn what_the_stores_disagree_about_is_told() {
        let beside = Arc::new(Beside::new().unwrap());
        let twin = Twin { memory: Memory::new(), beside: beside.clone(), pace: Arc::new(AtOnce) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let names = ["acme".to_owned()];
        runtime.block_on(twin.register(&names, Mode::Live, Millis(1))).unwrap();
        assert_eq!(runtime.block_on(twin.mode("acme")).unwrap(), Some(Mode::Live));
        assert_eq!(beside.difference(), None);

        beside.end(beside.sqlite.set_mode("acme", Mode::Shadow, Millis(2))).unwrap();
        runtime.block_on(twin.mode("acme")).unwrap();
        let told = "0: mode gives Some(Live) in memory and Some(Shadow) in SQLite";
        assert_eq!(beside.difference().as_deref(), Some(told));
    }
}
