//! Credentials: how they are kept.
//!
//! In: secrets of connections. Out: sealed rows for the store, and back.

pub mod seal;
