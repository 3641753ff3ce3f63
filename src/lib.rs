//! Lockstep keeps a business's contacts, tasks, notes, tags and appointments the same in GoHighLevel, TIMIFY and TimeRex.
//!
//! The way of a change, stage by stage:
//!
//! - [`receive`]: a webhook comes in over HTTP ([`http`]);
//! - [`verify`]: its signature is checked, purely; nothing else makes a verified webhook;
//! - [`record`]: it becomes a row of the change log, many in one commit; only then its sender gets a 2xx;
//! - [`resolve`]: the row becomes an observation, the observation a decision: entity, links, conflicts, mirrors;
//! - [`dispatch`]: the mirrors that are due, of the workspaces that this process holds;
//! - [`mirror`]: for each a lane: read, plan, one call at a time, settle what came back;
//! - [`reconcile`]: what the systems list, compared with what they are known to hold; differences are rows again.
//!
//! Beside the way: [`model`] (the nouns), [`systems`] (the vendors), [`store`] (SQLite and PostgreSQL), [`sandbox`] (the
//! vendors as stand-ins), [`app`] (wires everything), [`cli`] (the commands).

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod dispatch;
pub mod few;
pub mod http;
pub mod ids;
pub mod mirror;
pub mod model;
pub mod receive;
pub mod reconcile;
pub mod record;
pub mod resolve;
pub mod sandbox;
pub mod secret;
pub mod store;
pub mod supervisor;
pub mod systems;
pub mod telemetry;
pub mod verify;
