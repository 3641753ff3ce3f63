//! Knows when nothing in a runtime of one thread can go on: then it is time to move the clock.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Told when the runtime has nothing to do.
#[derive(Clone, Default)]
pub struct Idle(Arc<Mutex<Option<Waker>>>);

impl Idle {
    /// The runtime has nothing to do.
    pub fn tell(&self) {
        if let Some(waker) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    /// Waits until it has.
    pub fn wait(&self) -> impl Future<Output = ()> + use<> {
        Waiting { idle: self.clone(), asked: false }
    }
}

struct Waiting {
    idle: Idle,
    asked: bool,
}

impl Future for Waiting {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut waker = self.idle.0.lock().unwrap_or_else(PoisonError::into_inner);
        if self.asked && waker.is_none() {
            return Poll::Ready(());
        }
        *waker = Some(context.waker().clone());
        drop(waker);
        self.asked = true;
        Poll::Pending
    }
}
