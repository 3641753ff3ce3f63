//! A secret that goes into a header as it stands: a GHL Private Integration Token, a TimeRex api key.
//!
//! In: a [`Secret`]. Out: a [`Credential`] that adds one header. It never expires and cannot be renewed: when the vendor
//! refuses it, only a person can help.

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, InvalidHeaderName, InvalidHeaderValue};

use crate::secret::Secret;
use crate::systems::{Credential, SystemError, Version};

/// One header with a secret in it.
#[derive(Debug, Clone)]
pub struct StaticToken {
    name: HeaderName,
    value: HeaderValue,
}

/// A header that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum NotAHeader {
    /// Its name.
    #[error("the name of the header is not one")]
    Name(#[from] InvalidHeaderName),
    /// The secret has a line break, or something else that no header can carry.
    #[error("the secret has characters that no header can carry")]
    Value(#[from] InvalidHeaderValue),
}

impl StaticToken {
    /// `Authorization: Bearer TOKEN` (a GHL Private Integration Token).
    pub fn bearer(token: &Secret) -> Result<Self, NotAHeader> {
        Self::new(AUTHORIZATION, &format!("Bearer {}", token.expose()))
    }

    /// The key alone in a header of its own (TimeRex).
    pub fn api_key(header: &str, key: &Secret) -> Result<Self, NotAHeader> {
        Self::new(header.parse()?, key.expose())
    }

    fn new(name: HeaderName, value: &str) -> Result<Self, NotAHeader> {
        let mut value: HeaderValue = value.parse()?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

#[async_trait]
impl Credential for StaticToken {
    async fn sign(&self, request: &mut http::Request<Bytes>) -> Result<Version, SystemError> {
        request.headers_mut().insert(self.name.clone(), self.value.clone());
        Ok(Version(0))
    }

    async fn refused(&self, _signed: Version, _message: &str) -> bool {
        false
    }

    fn lacks(&self, _scope: &str) -> bool {
        false
    }

    fn denied(&self, _scope: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_secret_is_in_its_header_and_nowhere_in_print() {
        let mut request = http::Request::new(Bytes::new());
        let bearer = StaticToken::bearer(&Secret::new("pit-1")).unwrap();
        let key = StaticToken::api_key("X-Api-Key", &Secret::new("key-1")).unwrap();
        bearer.sign(&mut request).await.unwrap();
        key.sign(&mut request).await.unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer pit-1");
        assert_eq!(request.headers()["x-api-key"], "key-1");
        let printed = format!("{bearer:?} {key:?} {request:?}");
        assert!(!printed.contains("pit-1") && !printed.contains("key-1"), "{printed}");
        assert!(!bearer.refused(Version(0), "").await);
    }

    #[test]
    fn a_secret_with_a_line_break_is_refused() {
        assert!(StaticToken::bearer(&Secret::new("a\nb")).is_err());
        assert!(StaticToken::api_key("not a header", &Secret::new("a")).is_err());
    }
}
