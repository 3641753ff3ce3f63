//! Stand-in for extension.
