//! The vendor's own documents as judges: of what the GHL stand-in answers, and of what our client asks.
//!
//! [`openapi`] is the judge; other tests may call it too.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

pub mod openapi;

mod asked;
mod bench;
mod booking_catalogue;
mod booking_examples;
mod bookings;
mod catalogue;
mod checker;
mod client;
mod connectors;
mod desk;
mod endpoints;
mod events;
pub mod extension;
pub mod extension_document;
mod guests;
mod keeper;
mod lies;
mod moves;
mod polling;
mod rows;
mod scopes;
mod semantics;
mod stand;
mod telling;
mod tokens;
mod traps;
mod v3;
