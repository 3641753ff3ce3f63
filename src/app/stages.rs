//! The stages that all workspaces share, built once.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::dispatch::bell::Bell;
use crate::dispatch::lease::Holder;
use crate::dispatch::worker::Worker;
use crate::ids::Ids;
use crate::mirror::{Lanes, UnderWay};
use crate::reconcile::{Follower, Reconciler};
use crate::resolve::Resolver;
use crate::store::{Cached, Store};
use crate::systems::Site;

/// The stages behind the change log.
pub struct Stages {
    /// Decides.
    pub resolver: Arc<Resolver>,
    /// Mirrors.
    pub lanes: Arc<Lanes>,
    /// Compares.
    pub reconciler: Reconciler,
    /// Looks at links that guests were sent.
    pub follower: Follower,
    cached: Arc<Cached>,
}

impl Stages {
    /// Builds them.
    pub fn new(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>, ids: &Arc<Ids>) -> Self {
        let cached = Arc::new(Cached::new(store.clone(), clock.clone()));
        let resolver = Resolver::new(store.clone(), cached.clone(), clock.clone(), ids.clone());
        let lanes = Lanes {
            log: store.clone(),
            mirrors: cached.clone(),
            settling: cached.clone(),
            workspaces: store.clone(),
            lookup: resolver.lookup(),
            clock: clock.clone(),
            ids: ids.clone(),
            under_way: UnderWay::default(),
        };
        let reconciler = Reconciler {
            log: store.clone(),
            entities: store.clone(),
            workspaces: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let follower =
            Follower { invitations: store.clone(), entities: store.clone(), clock: clock.clone(), ids: ids.clone() };
        Self { resolver: Arc::new(resolver), lanes: Arc::new(lanes), reconciler, follower, cached }
    }

    /// Who works one workspace.
    pub fn worker(&self, site: Arc<Site>, bell: Arc<Bell>, holder: &Arc<Holder>, poll: Duration) -> Worker {
        let Lanes { workspaces, clock, .. } = self.lanes.as_ref();
        let (mirrors, workspaces, clock) = (self.cached.clone(), workspaces.clone(), clock.clone());
        let (resolver, lanes, holder) = (self.resolver.clone(), self.lanes.clone(), holder.clone());
        Worker { site, resolver, lanes, mirrors, workspaces, holder, clock, bell, poll }
    }
}
