//! Lockstep keeps a business's contacts, tasks, notes, tags and appointments the same in GoHighLevel, TIMIFY and TimeRex.

pub mod clock;
pub mod credentials;
pub mod dispatch;
pub mod ids;
pub mod mirror;
pub mod model;
pub mod reconcile;
pub mod resolve;
pub mod sandbox;
pub mod secret;
pub mod store;
pub mod systems;
pub mod verify;
