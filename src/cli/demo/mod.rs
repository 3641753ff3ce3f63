//! demo
pub mod stage;
pub mod story;
