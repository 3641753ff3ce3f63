//! timify.
