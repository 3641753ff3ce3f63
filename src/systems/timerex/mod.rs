//! timerex.
