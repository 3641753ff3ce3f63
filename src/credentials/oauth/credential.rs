//! The credential of one account's install.
//!
//! In: requests to sign, and what the vendor says of them. Out: requests with the install's access token, or with that of the
//! install whose tokens it uses. Renewing is left to `renew`; the version of a request is the generation of its tokens.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::AUTHORIZATION;

use super::client::bearer;
use super::renew::for_call;
use super::{Keeper, OauthError};
use crate::model::{Holder, InstallKey};
use crate::systems::{Credential, SystemError, Version};

struct OfInstall {
    keeper: Arc<Keeper>,
    key: InstallKey,
}

impl Keeper {
    /// The credential of an account. The install may come later; until then every request is refused here.
    pub fn credential(self: &Arc<Self>, key: InstallKey) -> Arc<dyn Credential> {
        // From now on it is noticed when its row changes.
        self.held(&key);
        Arc::new(OfInstall { keeper: self.clone(), key })
    }

    /// The install whose tokens sign for this one, as far as is known without asking the store.
    fn bearer(&self, key: &InstallKey) -> InstallKey {
        let known = self.peek(key).and_then(|held| held.known());
        known.map_or_else(|| key.clone(), |known| known.row.bearer())
    }

    /// The install whose tokens sign for this one, asking the store where that is not known.
    async fn signs_for(&self, key: &InstallKey) -> Result<InstallKey, OauthError> {
        let bearer = self.bearer(key);
        if bearer != *key || key.holder != Holder::Team {
            return Ok(bearer);
        }
        Ok(self.read(key).await?.ok_or_else(|| OauthError::Unknown(key.clone()))?.row.bearer())
    }
}

#[async_trait]
impl Credential for OfInstall {
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<Version, SystemError> {
        let (keeper, system) = (&self.keeper, self.key.system);
        let of_call = |error| for_call(system, error);
        let signer = keeper.signs_for(&self.key).await.map_err(of_call)?;
        let known = keeper.fresh(&signer).await.map_err(of_call)?;
        let Some(pair) = &known.pair else { return Err(known.refusal()) };
        request.headers_mut().insert(AUTHORIZATION, bearer(&pair.access, system)?);
        Ok(Version(known.row.generation))
    }

    async fn refused(&self, signed: Version, message: &str) -> bool {
        let signer = self.keeper.bearer(&self.key);
        let renews = self.keeper.vendor.tells_of_token(message).unwrap_or_else(|| {
            let held = self.keeper.held(&signer);
            // Those that came meanwhile may do better; others are asked for now and then.
            let newer = held.known().is_some_and(|known| known.row.generation > signed.0);
            newer || held.may_try(self.keeper.clock.now())
        });
        renews && self.keeper.renew(&signer, signed.0).await.is_ok()
    }

    fn lacks(&self, scope: &str) -> bool {
        self.keeper.peek(&self.keeper.bearer(&self.key)).is_some_and(|held| held.lacks(scope))
    }

    fn denied(&self, scope: &str) {
        self.keeper.held(&self.keeper.bearer(&self.key)).denied.add(scope);
    }
}
