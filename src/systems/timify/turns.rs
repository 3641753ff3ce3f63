//! One at a time for each customer: a text that is read, rewritten and written back is nobody else's meanwhile.
//!
//! In: the id of a customer. Out: a guard. A customer's lock lives as long as somebody holds or awaits it. It keeps our own
//! tasks apart; the lease keeps other processes away, and nothing keeps staff from typing between our read and our write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Lock, OwnedMutexGuard};

use crate::model::ExternalId;

/// The locks of a company's customers.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<BTreeMap<String, Weak<Lock<()>>>>);

impl Turns {
    /// Waits for the customer's turn.
    pub(super) async fn take(&self, customer: &ExternalId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| lock.strong_count() > 0);
            let held = locks.get(customer.as_str()).and_then(Weak::upgrade);
            held.unwrap_or_else(|| {
                let made = Arc::new(Lock::new(()));
                locks.insert(customer.as_str().to_owned(), Arc::downgrade(&made));
                made
            })
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// What a future gives when it is polled once.
    fn poll_once<F: Future>(future: F) -> Option<F::Output> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_customer_is_one_at_a_time_and_others_go_on() {
        let (turns, [a, b]) = (Turns::default(), ["a", "b"].map(ExternalId::new));
        let first = poll_once(turns.take(&a)).unwrap();
        assert!(poll_once(turns.take(&a)).is_none());
        assert!(poll_once(turns.take(&b)).is_some());
        drop(first);
        assert!(poll_once(turns.take(&a)).is_some());
        drop(poll_once(turns.take(&b)));
        assert_eq!(turns.0.lock().unwrap().len(), 1, "locks that nobody holds are dropped at the next turn");
    }
}
