//! What proves us to the vendors.
//!
//! In: secrets from the configuration. Out: implementations of [`Credential`](crate::systems::Credential).

pub mod standard_webhooks;
pub mod static_token;
pub mod timify_token;
