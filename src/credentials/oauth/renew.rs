//! Renewing.

use std::sync::Arc;

use crate::clock::Clock;

pub(super) struct Held {
    clock: Arc<dyn Clock>,
}

impl Held {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}
