//! The operator's own endpoint beside TIMIFY or TimeRex, for objects that the vendor does not have: contract version 1.
//!
//! [`ExtensionClient`] calls it, [`door`] reads what it sends. [`Combined`] puts it beside a vendor's connector, so
//! that the stages see one system. Signing is the credential's ([`crate::credentials::standard_webhooks::StandardWebhooks`]).

mod client;
mod combined;
pub mod door;
mod inspect;
mod map;
#[cfg(test)]
mod tests;

pub use client::ExtensionClient;
pub use combined::Combined;
