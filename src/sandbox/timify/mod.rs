//! Stand-in for timify.
