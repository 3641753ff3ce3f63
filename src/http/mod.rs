//! The two listeners: what they answer, and how.
//!
//! [`routes`] is the one page on which all routes stand. Handlers turn requests into calls of the stages and their results
//! into answers; each error leaves as `application/problem+json` with a stable code and the request's id ([`problem`]).

mod connect;
pub mod decisions;
mod deletions;
mod frame;
pub mod health;
pub mod ops;
pub mod problem;
pub mod routes;
mod serve;
#[cfg(test)]
mod tests;
mod unread;
mod webhooks;

pub use connect::{Begun, Connect, ConnectError, Connected};
pub use decisions::{DecisionError, Decisions, Listing, Restore, Who};
pub use deletions::Deletion;
pub use frame::Frame;
pub use health::{Access, Health, Lacks, load_json};
pub use ops::{Invite, NotWell, Ops, OpsError, Question};
pub use routes::{Operations, Public};
pub use serve::{Connections, affordable, serve};
