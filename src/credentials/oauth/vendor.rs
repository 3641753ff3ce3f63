//! What is a vendor's own in OAuth: who grants, what a grant is good for, and the calls beside the two grants.
//!
//! In: codes, tokens, installs. Out: [`Granted`], or a [`Refusal`]. The guards (one renewal at a time, stored before it is
//! used) are the keeper's and the same for all; a vendor that must look at other installs is given the keeper.

use std::sync::Arc;

use async_trait::async_trait;

use super::client::{Client, Granted, Refusal};
use super::pair::Pair;
use super::{Admits, Finished, Keeper, OauthError};
use crate::model::{Holder, Install, InstallKey};
use crate::secret::Secret;

/// A vendor at which our app is installed.
#[async_trait]
pub(super) trait Vendor: Send + Sync {
    /// Our client there.
    fn client(&self) -> &Client;
    /// Where to send the owner of an account.
    fn authorize_url(&self, state: &Secret) -> Secret;
    /// Trades a code for tokens, and learns whose they are.
    async fn exchange(&self, code: &Secret) -> Result<Granted, Refusal>;
    /// Trades a refresh token for a new pair. It is used up by that.
    async fn refresh(&self, refresh: &Secret, holder: Holder) -> Result<Granted, Refusal>;
    /// Keeps what came for a code, with all that hangs on it, as far as it is wanted.
    async fn take_in(
        &self,
        keeper: &Arc<Keeper>,
        key: InstallKey,
        granted: Granted,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError>;
    /// The vendor told that the app was installed: at a location, or at all chosen ones of a company.
    async fn installed(
        &self,
        keeper: &Arc<Keeper>,
        location: Option<&str>,
        company: Option<&str>,
        admits: Admits<'_>,
    ) -> Result<Finished, OauthError>;
    /// The refresh token of an install is spent: makes a pair without it.
    async fn recover(&self, keeper: &Arc<Keeper>, row: &Install) -> Result<Granted, Refusal>;
    /// Asks for the tokens that an install awaits.
    async fn complete(&self, keeper: &Arc<Keeper>, row: &Install) -> Result<Finished, OauthError>;
    /// Whether tokens that are given up here are always given up at the vendor too.
    fn always_tells(&self) -> bool;
    /// Gives tokens up at the vendor. Tokens that it does not take any more are given up.
    async fn give_up(&self, pair: &Pair, key: &InstallKey) -> Result<(), Refusal>;
    /// Whether a refusal of a request is about the token itself, so that a new one may help; `None`: its words do not tell.
    fn tells_of_token(&self, message: &str) -> Option<bool>;
}
