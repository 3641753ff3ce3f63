//! The wire of a replica into the world, and how long its store takes.

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::world::{Answered, Caller, Shared, lock};
use crate::clock::{Clock, Sleep};
use crate::sandbox::Request;
use crate::store::memory::Pace;
use crate::systems::{Transport, TransportError};

/// A replica's way out, and how long its store takes.
#[derive(Clone)]
pub struct Wire {
    /// The world.
    pub world: Shared,
    /// Whose.
    pub caller: Caller,
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Request) -> Answered {
        let frozen = {
            let world = lock(&self.world);
            let (now, until) = (world.clock.now(), world.frozen[self.caller.0]);
            (until > now).then(|| world.clock.sleep(until.since(now)))
        };
        if let Some(frozen) = frozen {
            frozen.await;
        }
        let (caller, answer) = oneshot::channel();
        lock(&self.world).send(request, self.caller, caller);
        answer.await.unwrap_or_else(|_| Err(TransportError::NoAnswer("nobody answers".to_owned())))
    }
}

impl Pace for Wire {
    fn pause(&self) -> Option<Sleep> {
        let mut world = lock(&self.world);
        let (now, until) = (world.clock.now(), world.frozen[self.caller.0]);
        if until > now {
            return Some(world.clock.sleep(until.since(now)));
        }
        let waits = world.chance(12);
        waits.then(|| {
            let time = world.ms(1..25);
            world.clock.sleep(time)
        })
    }
}
