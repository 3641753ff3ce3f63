//! Lockstep keeps a business's contacts, tasks, notes, tags and appointments the same in GoHighLevel, TIMIFY and TimeRex.

pub mod clock;
pub mod config;
pub mod credentials;
pub mod http;
pub mod ids;
pub mod model;
pub mod receive;
pub mod record;
pub mod sandbox;
pub mod secret;
pub mod store;
pub mod systems;
pub mod telemetry;
pub mod verify;
