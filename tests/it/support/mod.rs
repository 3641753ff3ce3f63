//! What tests stand on.

pub mod browser;
pub mod databases;
pub mod doorway;
pub mod ledger;
pub mod logs;
pub mod people;
pub mod postgres;
pub mod service;
pub mod stage;
pub mod world;
