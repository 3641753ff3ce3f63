//! What proves us to the vendors, and how it is kept.
//!
//! In: secrets from the configuration, or sealed rows of the store. Out: implementations of
//! [`Credential`](crate::systems::Credential).

pub mod denied;
pub mod login;
pub mod logins;
pub mod oauth;
pub mod private_token;
pub mod seal;
pub mod standard_webhooks;
pub mod static_token;
pub mod timify_token;
