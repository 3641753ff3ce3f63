//! How each stand-in signs what it sends, with keys of its own; and the Standard Webhooks signature in both directions.
//!
//! In: the bytes of a body. Out: header names and values. GHL: Ed25519 and RSA-SHA256 over the raw body, each when switched
//! on, or `N/A` in their places; TIMIFY and TimeRex: a fixed value in a named header; extensions: Standard Webhooks 1.0.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::delivery::Signature;
use super::{SandboxSettings, StandIn};
use crate::clock::Millis;
use crate::model::System;

/// How far a Standard Webhooks timestamp may be off.
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// A header to send.
pub type Header = (String, String);

/// Keys that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox's own {0} key cannot be used")]
pub struct BadKey(&'static str);

/// Signs what the stand-ins send.
pub struct Signer {
    ed25519: Ed25519KeyPair,
    ed25519_on: bool,
    rsa_on: bool,
    unsigned: bool,
    /// Made on first use: it takes seconds in a debug build.
    rsa: OnceLock<Option<RsaKeyPair>>,
    timify: Header,
    timerex_header: String,
    /// Per team (`url_path`): the token of its webhooks.
    timerex: BTreeMap<String, String>,
    /// Per system and account: the secret, `whsec_...`.
    extensions: BTreeMap<(System, String), String>,
}

impl Signer {
    /// Takes the keys and tokens out of the settings.
    pub fn new(settings: &SandboxSettings) -> Result<Self, BadKey> {
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(&settings.ghl_keys.seed).map_err(|_| BadKey("Ed25519"))?;
        let team = |team: &super::timerex::TimerexTeam| (team.url_path.clone(), team.webhook_token.clone());
        let both = [(System::Timify, &settings.timify_extension), (System::Timerex, &settings.timerex_extension)];
        let secrets = both.into_iter().flat_map(|(system, extension)| {
            extension.accounts.iter().map(move |one| ((system, one.account.clone()), one.secret.clone()))
        });
        Ok(Self {
            ed25519,
            ed25519_on: settings.ghl_keys.ed25519,
            rsa_on: settings.ghl_keys.rsa,
            unsigned: settings.ghl_keys.unsigned,
            rsa: OnceLock::new(),
            timify: settings.timify_header.clone(),
            timerex_header: settings.timerex_header.clone(),
            timerex: settings.timerex.teams.iter().map(team).collect(),
            extensions: secrets.collect(),
        })
    }

    /// The headers that prove who sends `body`; `now` is the sender's clock at this attempt.
    pub fn headers(&self, from: StandIn, account: &str, id: &str, now: Millis, body: &[u8]) -> Vec<Header> {
        if from.extension {
            let secret = self.extensions.get(&(from.system, account.to_owned())).map_or("", String::as_str);
            return standard_webhooks(secret, id, now, body);
        }
        match from.system {
            System::Ghl => self.ghl(body),
            System::Timify => vec![self.timify.clone()],
            System::Timerex => {
                let token = self.timerex.get(account).cloned().unwrap_or_default();
                vec![
                    ("accept".into(), "application/json".into()),
                    ("user-agent".into(), "TimeRex API v1".into()),
                    (self.timerex_header.clone(), token),
                ]
            }
        }
    }

    /// The headers of a delivery that may be signed amiss on purpose.
    pub fn amiss(
        &self,
        how: Signature,
        from: StandIn,
        account: &str,
        id: &str,
        now: Millis,
        body: &[u8],
    ) -> Vec<Header> {
        let now = if how == Signature::Old { now - Duration::from_hours(1) } else { now };
        let mut headers = self.headers(from, account, id, now, body);
        let plain = |name: &str| matches!(name, "accept" | "user-agent" | "webhook-id" | "webhook-timestamp");
        match how {
            Signature::Good | Signature::Old => {}
            Signature::Missing => headers.retain(|(name, _)| plain(name)),
            Signature::Wrong | Signature::Na => {
                for (_, value) in headers.iter_mut().filter(|(name, _)| !plain(name)) {
                    *value = if how == Signature::Na { "N/A".into() } else { spoilt(value) };
                }
            }
        }
        headers
    }

    fn ghl(&self, body: &[u8]) -> Vec<Header> {
        let ed25519 = self.ed25519_on.then(|| BASE64.encode(self.ed25519.sign(body).as_ref()));
        let headers = [("x-ghl-signature", ed25519), ("x-wh-signature", self.rsa_signature(body))];
        let said = |signature: String| if self.unsigned { "N/A".to_owned() } else { signature };
        headers.into_iter().filter_map(|(name, signature)| Some((name.to_owned(), said(signature?)))).collect()
    }

    fn rsa_signature(&self, body: &[u8]) -> Option<String> {
        let rsa = self.rsa()?;
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), body, &mut signature).ok()?;
        Some(BASE64.encode(signature))
    }

    fn rsa(&self) -> Option<&RsaKeyPair> {
        let make = || RsaKeyPair::generate(KeySize::Rsa2048).ok();
        if self.rsa_on { self.rsa.get_or_init(make).as_ref() } else { None }
    }

    /// The public Ed25519 key that GHL's webhooks are checked with, PEM (SPKI).
    pub fn ed25519_pem(&self) -> Option<String> {
        let der: PublicKeyX509Der = self.ed25519.public_key().as_der().ok()?;
        Some(pem(der.as_ref()))
    }

    /// The public RSA key of `x-wh-signature`, PEM (SPKI); none while it is switched off.
    pub fn rsa_pem(&self) -> Option<String> {
        let der: PublicKeyX509Der = self.rsa()?.public_key().as_der().ok()?;
        Some(pem(der.as_ref()))
    }
}

/// A value of the same form that proves nothing: the case of its letters is turned around.
fn spoilt(value: &str) -> String {
    let (version, proof) = value.split_once(',').map_or(("", value), |(version, proof)| (version, proof));
    let turn = |one: char| if one.is_ascii_uppercase() { one.to_ascii_lowercase() } else { one.to_ascii_uppercase() };
    let turned: String = proof.chars().map(turn).collect();
    let turned = if turned == proof { format!("{turned}x") } else { turned };
    if version.is_empty() { turned } else { format!("{version},{turned}") }
}

fn pem(der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

/// The three headers of Standard Webhooks 1.0; `secret` is `whsec_` and base64.
pub fn standard_webhooks(secret: &str, id: &str, now: Millis, body: &[u8]) -> Vec<Header> {
    let timestamp = now.0.div_euclid(1_000).to_string();
    let signature = keyed(secret, id, &timestamp, body).map(|mac| BASE64.encode(mac.finalize().into_bytes()));
    vec![
        ("webhook-id".into(), id.into()),
        ("webhook-timestamp".into(), timestamp),
        ("webhook-signature".into(), format!("v1,{}", signature.unwrap_or_default())),
    ]
}

/// Whether one of the signatures in `offered` (`v1,<base64>`, separated by spaces) is made with `secret`.
pub fn standard_webhooks_match(secret: &str, id: &str, timestamp: &str, body: &[u8], offered: &str) -> bool {
    offered.split(' ').filter_map(|one| one.strip_prefix("v1,")).any(|one| {
        let mac = keyed(secret, id, timestamp, body);
        mac.zip(BASE64.decode(one).ok()).is_some_and(|(mac, offered)| mac.verify_slice(&offered).is_ok())
    })
}

fn keyed(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    let key = BASE64.decode(secret.strip_prefix("whsec_")?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    fn der(pem: &str) -> Vec<u8> {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        BASE64.decode(body).unwrap()
    }

    #[test]
    fn ghl_webhooks_verify_with_both_published_keys_and_no_flipped_byte_does() {
        let mut settings = SandboxSettings::example();
        settings.ghl_keys.rsa = true;
        let signer = Signer::new(&settings).unwrap();
        let body = br#"{"type":"ContactCreate"}"#;
        let headers = signer.headers(StandIn::vendor(System::Ghl), "", "", Millis(0), body);
        let signatures: Vec<_> = headers.iter().map(|(_, value)| BASE64.decode(value).unwrap()).collect();
        let ed25519 = UnparsedPublicKey::new(&ED25519, der(&signer.ed25519_pem().unwrap()));
        ed25519.verify(body, &signatures[0]).unwrap();
        assert!(ed25519.verify(br#"{"type":"ContactDelete"}"#, &signatures[0]).is_err());
        let rsa = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der(&signer.rsa_pem().unwrap()));
        rsa.verify(body, &signatures[1]).unwrap();
    }

    #[test]
    fn ghl_webhooks_carry_the_headers_that_are_switched_on_and_na_where_nothing_is_signed() {
        let headers = |ed25519: bool, unsigned: bool| {
            let mut settings = SandboxSettings::example();
            (settings.ghl_keys.ed25519, settings.ghl_keys.unsigned) = (ed25519, unsigned);
            Signer::new(&settings).unwrap().headers(StandIn::vendor(System::Ghl), "", "", Millis(0), b"{}")
        };
        assert_eq!(headers(true, true), [("x-ghl-signature".to_owned(), "N/A".to_owned())]);
        assert_eq!(headers(false, false), []);
        assert_eq!(headers(true, false)[0].1.len(), 88);
    }

    #[test]
    fn the_example_of_the_standard_webhooks_specification_is_met() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = br#"{"test": 2432232314}"#;
        let headers = standard_webhooks(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", Millis(1_614_265_330_000), body);
        assert_eq!(headers[2].1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let offered = format!("v1,AAAA {}", headers[2].1);
        assert!(standard_webhooks_match(secret, &headers[0].1, &headers[1].1, body, &offered));
        assert!(!standard_webhooks_match(secret, &headers[0].1, "1614265331", body, &offered));
    }
}
