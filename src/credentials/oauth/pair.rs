//! The sealed pair.
