//! An access and a refresh token, and how they lie in a row: as JSON, sealed with the row's key as its context.

use serde_json::{Value, json};

use super::OauthError;
use crate::credentials::seal::Sealer;
use crate::model::{Install, InstallKey};
use crate::secret::Secret;

/// The tokens of one install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// Signs requests.
    pub(super) access: Secret,
    /// Good once, for the next pair. Older answers about locations came without one.
    pub(super) refresh: Option<Secret>,
}

impl Pair {
    /// Seals it for the row of this key.
    pub(super) fn seal(&self, key: &InstallKey, sealer: &Sealer) -> Result<Vec<u8>, OauthError> {
        let text = json!({ "access": self.access.expose(), "refresh": self.refresh.as_ref().map(Secret::expose) });
        sealer.seal(&key.to_string(), &Secret::new(text.to_string())).map_err(OauthError::Sealing)
    }

    /// Opens that of a row; `None` where it has none.
    pub(super) fn open(row: &Install, sealer: &Sealer) -> Result<Option<Self>, OauthError> {
        let Some(sealed) = &row.sealed else { return Ok(None) };
        let opened = sealer.open(&row.key.to_string(), sealed);
        let text = opened.map_err(|source| OauthError::Sealed { key: row.key.clone(), source })?;
        let json: Value = serde_json::from_str(text.expose()).unwrap_or_default();
        let part = |name: &str| json[name].as_str().map(Secret::new);
        let access = part("access").ok_or_else(|| OauthError::Unreadable(row.key.clone()))?;
        Ok(Some(Self { access, refresh: part("refresh") }))
    }
}
