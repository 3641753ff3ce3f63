//! Stand-in for timerex.
