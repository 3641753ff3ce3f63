//! The credential of one location's install.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Keeper, unauthorized};
use crate::model::InstallKey;
use crate::systems::{Credential, SystemError, Version};

struct OfInstall {
    keeper: Arc<Keeper>,
    key: InstallKey,
}

impl Keeper {
    /// The credential of a location. The install may come later; until then every request is refused here.
    pub fn credential(self: &Arc<Self>, location: &str) -> Arc<dyn Credential> {
        Arc::new(OfInstall { keeper: self.clone(), key: InstallKey::location(location) })
    }
}

#[async_trait]
impl Credential for OfInstall {
    async fn sign(&self, _request: &mut http::Request<Bytes>) -> Result<Version, SystemError> {
        let _held = self.keeper.held(&self.key);
        Err(unauthorized("not installed"))
    }

    async fn refused(&self, _signed: Version, _message: &str) -> bool {
        false
    }

    fn lacks(&self, _scope: &str) -> bool {
        false
    }

    fn denied(&self, _scope: &str) {}
}
