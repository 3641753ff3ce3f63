//! Mirrors: an entity is brought to a system. [`plan`] is pure; a [`Lane`](Lanes) makes its calls, one at a time.
//!
//! In: due mirrors. Out: calls to a [`Target`](crate::systems::Target), and settlements of what they showed. Which mirrors
//! are due, and how many lanes run side by side, is the dispatcher's.

mod apply;
mod begin;
mod bookings;
mod brake;
mod create;
pub mod deletion;
mod graves;
mod lane;
mod merged;
pub mod plan;
mod read;
pub mod spread;
mod within;

pub use begin::{Beginnings, Begun};
pub use brake::{CONNECT, GRANT, NOT_CONNECTED, NOT_GRANTED, SHADOW, UnderWay, allow, approve, mend};
pub use lane::{Lanes, Worked};
