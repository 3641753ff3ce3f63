//! Recording: many webhooks, one commit.
//!
//! In: changes, placed by [`place()`]. Out: for each, whether it is new or a duplicate, told only after the commit (law 1), or
//! [`NotStored`]. One task collects what waits and appends it in one transaction; how the rows are kept is left to the
//! [`ChangeLog`].

mod directory;
mod place;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};

use crate::clock::Clock;
use crate::model::{Appended, NewChange};
use crate::store::{ChangeLog, StoreError};

pub use directory::Directory;
pub use place::place;

/// How much may wait, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Changes that may wait for their commit. With the body limit this bounds the memory of a stalled store.
    pub queue: usize,
    /// Changes in one transaction.
    pub batch: usize,
    /// How long one waits at most. TimeRex gives up after 15 s, GHL says only "respond quickly".
    pub patience: Duration,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { queue: 1_024, batch: 128, patience: Duration::from_secs(5) }
    }
}

/// Why a change is not known to be stored. Its sender must send it again (law 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotStored {
    /// Too many wait already.
    #[error("too many changes wait to be stored")]
    Full,
    /// The store did not answer in time; the change may still be stored, and is then a duplicate when it comes again.
    #[error("the store did not answer in time")]
    Slow,
    /// The store failed.
    #[error("the store failed")]
    Failed,
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopped,
}

struct Entry {
    change: NewChange,
    answer: oneshot::Sender<Result<Appended, NotStored>>,
}

/// Workspaces for which new changes were stored, until whoever works them takes notice. `None`: changes of no workspace.
#[derive(Debug, Default)]
pub struct Brought {
    workspaces: Mutex<BTreeSet<Option<String>>>,
    bell: Notify,
}

impl Brought {
    fn add<'a>(&self, new: impl Iterator<Item = &'a NewChange>) {
        let mut workspaces = self.workspaces();
        let before = workspaces.len();
        for change in new {
            if !workspaces.contains(&change.workspace) {
                workspaces.insert(change.workspace.clone());
            }
        }
        if workspaces.len() > before {
            self.bell.notify_one();
        }
    }

    /// Waits for some, and takes them.
    pub async fn take(&self) -> BTreeSet<Option<String>> {
        loop {
            let workspaces = std::mem::take(&mut *self.workspaces());
            if !workspaces.is_empty() {
                return workspaces;
            }
            self.bell.notified().await;
        }
    }

    fn workspaces(&self) -> std::sync::MutexGuard<'_, BTreeSet<Option<String>>> {
        self.workspaces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands changes to the [`Writer`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Entry>,
    brought: Arc<Brought>,
    patience: Duration,
    clock: Arc<dyn Clock>,
}

/// The task that appends. It ends when the last [`Recorder`] is dropped and all that waits is answered.
pub struct Writer {
    log: Arc<dyn ChangeLog>,
    entries: mpsc::Receiver<Entry>,
    brought: Arc<Brought>,
    batch: usize,
}

impl Recorder {
    /// A recorder, and the writer that must run for it.
    pub fn new(log: Arc<dyn ChangeLog>, waiting: Waiting, clock: Arc<dyn Clock>) -> (Self, Writer) {
        let (queue, entries) = mpsc::channel(waiting.queue.max(1));
        let brought = Arc::<Brought>::default();
        let recorder = Self { queue, brought: brought.clone(), patience: waiting.patience, clock };
        (recorder, Writer { log, entries, brought, batch: waiting.batch.max(1) })
    }

    /// Stores a change and waits for the commit.
    pub async fn record(&self, change: NewChange) -> Result<Appended, NotStored> {
        let (answer, told) = oneshot::channel();
        self.queue.try_send(Entry { change, answer }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => NotStored::Full,
            mpsc::error::TrySendError::Closed(_) => NotStored::Stopped,
        })?;
        tokio::select! {
            biased;
            answer = told => answer.unwrap_or(Err(NotStored::Stopped)),
            () = self.clock.sleep(self.patience) => Err(NotStored::Slow),
        }
    }

    /// Where new rows were brought: whoever decides changes waits here for work.
    pub fn brought(&self) -> Arc<Brought> {
        self.brought.clone()
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("waiting", &self.entries.len()).finish_non_exhaustive()
    }
}

impl Writer {
    /// Appends until `over`, when nobody brings anything any more, or until the last recorder is gone. What was brought before
    /// is appended.
    pub async fn run(mut self, over: impl Future<Output = ()>) {
        let (mut entries, mut over, mut closed) = (Vec::with_capacity(self.batch), std::pin::pin!(over), false);
        loop {
            tokio::select! {
                biased;
                () = &mut over, if !closed => {
                    self.entries.close();
                    closed = true;
                    continue;
                }
                brought = self.entries.recv_many(&mut entries, self.batch) => if brought == 0 { return },
            }
            let (changes, answers): (Vec<_>, Vec<_>) = entries.drain(..).map(|e| (e.change, e.answer)).unzip();
            let results = self.append(&changes).await;
            let stored = changes.iter().zip(&results);
            self.brought
                .add(stored.filter(|(_, result)| matches!(result, Ok(Appended::New(_)))).map(|(change, _)| change));
            for (answer, result) in answers.into_iter().zip(results) {
                // A sender that no longer listens sends again, and is then told of a duplicate.
                let _ = answer.send(result);
            }
        }
    }

    /// One transaction. If a row of it is refused, each row gets its own, so that one cannot hold the others back (law 10).
    async fn append(&self, changes: &[NewChange]) -> Vec<Result<Appended, NotStored>> {
        match self.log.append(changes).await {
            Ok(appended) if appended.len() == changes.len() => appended.into_iter().map(Ok).collect(),
            Ok(appended) => {
                tracing::error!(
                    asked = changes.len(),
                    answered = appended.len(),
                    "the store answered for other changes"
                );
                vec![Err(NotStored::Failed); changes.len()]
            }
            Err(StoreError::Statement(_) | StoreError::BadRow { .. }) if changes.len() > 1 => {
                self.one_by_one(changes).await
            }
            Err(error) => {
                report(&error, changes.len());
                vec![Err(NotStored::Failed); changes.len()]
            }
        }
    }

    async fn one_by_one(&self, changes: &[NewChange]) -> Vec<Result<Appended, NotStored>> {
        let mut results = Vec::with_capacity(changes.len());
        for change in changes {
            let appended = self.log.append(std::slice::from_ref(change)).await;
            results.push(match appended.map(|rows| rows.first().copied()) {
                Ok(Some(appended)) => Ok(appended),
                Ok(None) => Err(NotStored::Failed),
                Err(error) => {
                    report(&error, 1);
                    Err(NotStored::Failed)
                }
            });
        }
        results
    }
}

fn report(error: &StoreError, changes: usize) {
    tracing::error!(changes, %error, "changes could not be stored");
}

#[cfg(test)]
pub(crate) mod tests;
