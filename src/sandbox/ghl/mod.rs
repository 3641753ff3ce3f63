//! Stand-in for ghl.
