//! Sealing at rest: XChaCha20-Poly1305, `key_id (4 bytes) || nonce (24) || ciphertext and tag`.
//!
//! In: a secret and the name of its row. Out: bytes for the store. The name is authenticated with it, so that a sealed row
//! put under another name does not open. The key id is the start of the key's SHA-256: several keys can be in use at once,
//! and the newest seals.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, Generate, Key, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::secret::{Secret, digest};

const ID: usize = 4;
const NONCE: usize = 24;

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A configured key is not one.
    #[error("key {0} of [seal] keys is not base64 of 32 bytes")]
    Key(usize),
    /// There is no key to seal with.
    #[error("[seal] keys is empty; `lockstep key new` makes one")]
    NoKey,
    /// It was sealed with a key that we do not have.
    #[error("it is sealed with a key that is not among [seal] keys")]
    UnknownKey,
    /// It is not what we sealed under this name.
    #[error("it does not open: it was changed, or sealed under another name")]
    Broken,
    /// The machine gave no randomness.
    #[error("no randomness")]
    Randomness,
}

struct SealKey {
    id: [u8; ID],
    cipher: XChaCha20Poly1305,
}

/// Seals and opens.
pub struct Sealer(Vec<SealKey>);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({} keys)", self.0.len())
    }
}

impl Sealer {
    /// A sealer with these keys, the newest first. Without keys nothing can be sealed.
    pub fn new(keys: &[Secret]) -> Result<Self, SealError> {
        let key = |(at, text): (usize, &Secret)| {
            let bytes = STANDARD.decode(text.expose().trim()).map_err(|_| SealError::Key(at + 1))?;
            let cipher = XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| SealError::Key(at + 1))?;
            let digest = digest(&bytes);
            Ok(SealKey { id: [digest[0], digest[1], digest[2], digest[3]], cipher })
        };
        keys.iter().enumerate().map(key).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is a key to seal with.
    pub fn can_seal(&self) -> bool {
        !self.0.is_empty()
    }

    /// Seals a secret for the row of this name, with the newest key.
    pub fn seal(&self, name: &str, secret: &Secret) -> Result<Vec<u8>, SealError> {
        let key = self.0.first().ok_or(SealError::NoKey)?;
        let nonce = XNonce::try_generate().map_err(|_| SealError::Randomness)?;
        let payload = Payload { msg: secret.expose().as_bytes(), aad: name.as_bytes() };
        let ciphertext = key.cipher.encrypt(&nonce, payload).map_err(|_| SealError::Broken)?;
        Ok([key.id.as_slice(), nonce.as_slice(), &ciphertext].concat())
    }

    /// Opens what was sealed under this name, with whichever key it names.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        let (id, rest) = sealed.split_first_chunk::<ID>().ok_or(SealError::Broken)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or(SealError::Broken)?;
        let key = self.0.iter().find(|key| key.id == *id).ok_or(SealError::UnknownKey)?;
        let payload = Payload { msg: ciphertext, aad: name.as_bytes() };
        let bytes = key.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| SealError::Broken)?;
        String::from_utf8(bytes).map(Secret::new).map_err(|_| SealError::Broken)
    }

    /// Whether it was sealed with a key that is no longer the newest.
    pub fn reseal_needed(&self, sealed: &[u8]) -> bool {
        self.0.first().is_some_and(|newest| !sealed.starts_with(&newest.id))
    }
}

/// A new key, as it stands in the configuration.
pub fn new_key() -> Result<String, SealError> {
    let key = Key::<XChaCha20Poly1305>::try_generate().map_err(|_| SealError::Randomness)?;
    Ok(STANDARD.encode(key))
}

/// 32 random bytes of the machine, as a text that fits an address and a cookie.
pub fn random() -> Result<Secret, SealError> {
    let bytes = Key::<XChaCha20Poly1305>::try_generate().map_err(|_| SealError::Randomness)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> Vec<Secret> {
        (0..count).map(|_| Secret::new(new_key().unwrap())).collect()
    }

    #[test]
    fn what_is_sealed_opens_under_its_name_only_and_never_shows() {
        let sealer = Sealer::new(&keys(1)).unwrap();
        let sealed = sealer.seal("crm", &Secret::new("pit-secret")).unwrap();
        assert!(!sealed.windows(10).any(|window| window == b"pit-secret"));
        assert_eq!(sealer.open("crm", &sealed).unwrap(), Secret::new("pit-secret"));
        assert_eq!(sealer.open("other", &sealed).unwrap_err(), SealError::Broken);
        assert_ne!(sealer.seal("crm", &Secret::new("pit-secret")).unwrap(), sealed);
    }

    #[test]
    fn a_new_key_in_front_seals_and_the_old_one_still_opens() {
        let (old, new) = (keys(1), keys(1));
        let sealed = Sealer::new(&old).unwrap().seal("crm", &Secret::new("s")).unwrap();
        let both = Sealer::new(&[new[0].clone(), old[0].clone()]).unwrap();
        assert!(both.reseal_needed(&sealed));
        let again = both.seal("crm", &both.open("crm", &sealed).unwrap()).unwrap();
        assert!(!both.reseal_needed(&again));
        assert_eq!(Sealer::new(&new).unwrap().open("crm", &sealed).unwrap_err(), SealError::UnknownKey);
        assert_eq!(Sealer::new(&new).unwrap().open("crm", &again).unwrap(), Secret::new("s"));
    }

    #[test]
    fn any_changed_byte_is_found() {
        let sealer = Sealer::new(&keys(1)).unwrap();
        let sealed = sealer.seal("crm", &Secret::new("pit-secret")).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open("crm", &changed).is_err(), "byte {at}");
        }
        assert_eq!(sealer.open("crm", &sealed[..20]).unwrap_err(), SealError::Broken);
    }

    #[test]
    fn keys_of_the_wrong_length_and_no_keys_are_told_apart() {
        assert_eq!(Sealer::new(&[Secret::new("AAAA")]).unwrap_err(), SealError::Key(1));
        let none = Sealer::new(&[]).unwrap();
        assert_eq!(none.seal("crm", &Secret::new("s")).unwrap_err(), SealError::NoKey);
        assert!(!none.can_seal());
    }
}
