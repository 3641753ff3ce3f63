//! The whole service on its way through trouble: the real binary beside a sandbox.

mod kill;
