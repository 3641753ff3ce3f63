//! Who works when: leases on workspaces, a worker for each that is held, the rate budget, and when to try again.

pub mod bell;
pub mod budget;
pub mod clocks;
pub mod lease;
pub mod retry;
pub mod worker;
