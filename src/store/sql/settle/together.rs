//! Settlements that are written together: one commit for all that came while another one was being made.
//!
//! In: settlements of any number of tasks. Out: for each, what became of it, told after the commit. Whoever finds nobody
//! writing writes for all who wait. If one of them comes too late, or the database refuses one, nothing of that transaction
//! stays, and each is written in one of its own: nobody's trouble is another's (law 10).

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, oneshot};

use super::Stop;
use crate::model::EntityId;
use crate::store::sql::Db;
use crate::store::{Result, Settled, Settlement, StoreError};

/// Settlements in one transaction, at most.
const TOGETHER: usize = 64;

/// What waits to be written.
#[derive(Debug)]
pub(in crate::store::sql) struct Together {
    waiting: Mutex<Vec<Waiting>>,
    /// Transactions side by side.
    turns: Semaphore,
}

#[derive(Debug)]
struct Waiting {
    settlement: Settlement,
    answer: oneshot::Sender<Result<Settled>>,
}

impl Together {
    /// With so many transactions side by side.
    pub(in crate::store::sql) fn new(turns: usize) -> Self {
        Self { waiting: Mutex::default(), turns: Semaphore::new(turns) }
    }

    fn add(&self, settlement: Settlement) -> oneshot::Receiver<Result<Settled>> {
        let (answer, told) = oneshot::channel();
        self.lock().push(Waiting { settlement, answer });
        told
    }

    /// Those that came first, in an order that all transactions share: two of them wait for each other in one direction only.
    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.lock();
        let count = waiting.len().min(TOGETHER);
        let mut batch: Vec<Waiting> = waiting.drain(..count).collect();
        drop(waiting);
        batch.sort_by_key(|one| first_entity(&one.settlement));
        batch
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entity whose rows are locked first. Most settlements have no other.
fn first_entity(settlement: &Settlement) -> Option<EntityId> {
    let entities = settlement.entities.iter().map(|entity| entity.id);
    let links = settlement.links.iter().map(|link| link.entity);
    entities.chain(links).chain(settlement.mirrors.iter().map(|mirror| mirror.entity)).min()
}

impl Db {
    /// Writes a settlement with those that wait beside it.
    pub(super) async fn settle_together(&self, settlement: &Settlement) -> Result<Settled> {
        loop {
            let mut told = self.together.add(settlement.clone());
            let turn = tokio::select! {
                biased;
                told = &mut told => Err(told),
                turn = self.together.turns.acquire() => Ok(turn),
            };
            let told = match turn {
                Err(told) => told,
                Ok(_turn) => {
                    while told.is_empty() && !told.is_terminated() && self.write_waiting().await {}
                    told.await
                }
            };
            // Who wrote for us gave up: nothing of ours was written, or it will be found to have moved.
            if let Ok(settled) = told {
                return settled;
            }
        }
    }

    /// Writes those that wait, and tells each; whether there were any.
    async fn write_waiting(&self) -> bool {
        let batch = self.together.take();
        if batch.is_empty() {
            return false;
        }
        let written = if batch.len() == 1 { Ok(false) } else { self.write_all(&batch).await };
        for Waiting { settlement, answer } in batch {
            let settled = match &written {
                Ok(true) => Ok(Settled::Done),
                Ok(false) => self.settle_alone(&settlement).await,
                Err(away) => Err(StoreError::Unavailable(Box::new(away.clone()))),
            };
            // Who no longer listens finds out from the rows.
            let _ = answer.send(settled);
        }
        true
    }

    /// Writes all of them, or none: `false` where one is in the way. An error: the database is away, for all of them.
    async fn write_all(&self, batch: &[Waiting]) -> std::result::Result<bool, Arc<StoreError>> {
        let settlements: Vec<&Settlement> = batch.iter().map(|one| &one.settlement).collect();
        match self.settle_all(&settlements).await {
            Ok(()) => Ok(true),
            Err(Stop::Failed(error @ StoreError::Unavailable(_))) => Err(Arc::new(error)),
            Err(_) => Ok(false),
        }
    }
}
