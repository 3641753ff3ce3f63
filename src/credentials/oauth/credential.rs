//! The credential of one location's install.
//!
//! In: requests to sign, and what the vendor says of them. Out: requests with the install's access token. Renewing is left to
//! `renew`; the version of a request is the generation of its tokens.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::AUTHORIZATION;

use super::Keeper;
use super::held::Held;
use super::renew::{for_call, tells_of_token};
use super::vendor::bearer;
use crate::model::InstallKey;
use crate::systems::{Credential, SystemError, Version};

struct OfInstall {
    keeper: Arc<Keeper>,
    key: InstallKey,
    held: Arc<Held>,
}

impl Keeper {
    /// The credential of a location. The install may come later; until then every request is refused here.
    pub fn credential(self: &Arc<Self>, location: &str) -> Arc<dyn Credential> {
        let key = InstallKey::location(location);
        Arc::new(OfInstall { keeper: self.clone(), held: self.held(&key), key })
    }
}

#[async_trait]
impl Credential for OfInstall {
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<Version, SystemError> {
        let known = self.keeper.fresh(&self.key).await.map_err(for_call)?;
        let Some(pair) = &known.pair else { return Err(known.refusal()) };
        request.headers_mut().insert(AUTHORIZATION, bearer(&pair.access)?);
        Ok(Version(known.row.generation))
    }

    async fn refused(&self, signed: Version, message: &str) -> bool {
        tells_of_token(message) && self.keeper.renew(&self.key, signed.0).await.is_ok()
    }

    fn lacks(&self, scope: &str) -> bool {
        self.held.lacks(scope)
    }

    fn denied(&self, scope: &str) {
        self.held.denied.add(scope);
    }
}
