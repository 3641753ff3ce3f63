//! What tests stand on.

pub mod databases;
mod postgres;
