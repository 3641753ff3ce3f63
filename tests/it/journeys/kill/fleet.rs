//! What can be killed: the processes of the service, and PostgreSQL where it is ours.

use crate::support::postgres::Cluster;
use crate::support::service::Service;

/// Replicas on one database. They are numbered; the database comes after them.
pub struct Fleet {
    pub replicas: Vec<Service>,
    pub cluster: Option<Cluster>,
}

impl Fleet {
    /// Starts all replicas.
    pub fn start_all(&mut self) {
        self.replicas.iter_mut().for_each(Service::start);
    }

    /// Ends all replicas, which must have run until now.
    pub fn stop_all(&mut self) {
        self.replicas.iter_mut().for_each(Service::kill);
    }

    /// Somebody.
    pub fn any(&self, rng: &mut fastrand::Rng) -> usize {
        rng.usize(..self.replicas.len() + usize::from(self.cluster.is_some()))
    }

    pub fn is_database(&self, victim: usize) -> bool {
        victim == self.replicas.len()
    }

    /// Whether nobody else is at work.
    pub fn is_alone(&self, victim: usize) -> bool {
        self.replicas.len() == 1 && victim == 0
    }

    pub fn name(&self, victim: usize) -> &'static str {
        if self.is_database(victim) { "postgres" } else { "lockstep" }
    }

    pub fn kill(&mut self, victim: usize) {
        match self.replicas.get_mut(victim) {
            Some(replica) => replica.kill(),
            None => self.cluster.as_ref().unwrap().kill(),
        }
    }

    pub fn start(&mut self, victim: usize) {
        match self.replicas.get_mut(victim) {
            Some(replica) => replica.start(),
            None => self.cluster.as_ref().unwrap().start(),
        }
    }
}
