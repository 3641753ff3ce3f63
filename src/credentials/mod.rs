//! What proves us to the vendors: one file a way of proving, each a [`Credential`](crate::systems::Credential).

pub mod standard_webhooks;
pub mod timify_token;

pub use standard_webhooks::{BadSecret, StandardWebhooks};
pub use timify_token::{TimifyApp, TimifyToken, TokenScheme};
