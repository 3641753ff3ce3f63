//! Tests against the outside of the crate, in one binary.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod conformance;
mod contract;
mod journeys;
mod support;
