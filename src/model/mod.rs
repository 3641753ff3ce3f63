//! The nouns and their transitions. No IO.

mod system;

pub(crate) use system::words;
pub use system::{Kind, System, UnknownWord};
