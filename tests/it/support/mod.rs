//! What tests stand on.

pub mod databases;
pub mod ledger;
pub mod postgres;
pub mod service;
pub mod stage;
