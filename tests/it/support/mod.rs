//! What tests stand on.

pub mod databases;
pub mod people;
mod postgres;
pub mod world;
