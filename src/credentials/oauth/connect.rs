//! How installs come and go.

use super::{Admits, Begun, Finished, Keeper, OauthError};
use crate::model::InstallKey;
use crate::secret::Secret;

impl Keeper {
    /// Begins an authorization: where to send the owner's browser, and the cookie it must bring back. Good for ten minutes.
    pub async fn begin(&self) -> Result<Begun, OauthError> {
        Err(OauthError::Ticket)
    }

    /// The owner came back: trades the code for tokens and stores those that `admits` wants. For a company its locations'
    /// tokens are made at once. [`OauthError::Foreign`] if nothing was wanted.
    pub async fn finish(
        &self,
        state: &Secret,
        cookie: &Secret,
        code: &Secret,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError> {
        let _ = (state, cookie, code, admits);
        Err(OauthError::Ticket)
    }

    /// The vendor says that the app was installed: at a location, or (without one) at all chosen locations of a company.
    /// May come before the owner is back, and more than once.
    pub async fn installed(
        &self,
        location: Option<&str>,
        company: Option<&str>,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError> {
        let _ = (location, company, admits);
        Ok(Finished::default())
    }

    /// The vendor says that the app was uninstalled: at a location, or (without one) at a company with all its locations.
    /// Their tokens are wiped. Gives those that were wiped now; may come more than once.
    pub async fn uninstalled(
        &self,
        location: Option<&str>,
        company: Option<&str>,
    ) -> Result<Vec<InstallKey>, OauthError> {
        let _ = (location, company);
        Ok(Vec::new())
    }
}
