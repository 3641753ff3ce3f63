//! The OAuth calls of GHL.

use std::sync::Arc;

use super::{OauthApp, OauthError};
use crate::systems::Transport;

pub(super) struct Vendor {
    pub(super) app: OauthApp,
    transport: Arc<dyn Transport>,
}

impl Vendor {
    pub(super) fn new(app: OauthApp, transport: Arc<dyn Transport>) -> Result<Self, OauthError> {
        Ok(Self { app, transport })
    }
}
