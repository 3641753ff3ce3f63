//! ghl.
