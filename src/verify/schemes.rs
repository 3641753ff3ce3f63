//! The schemes: whether one check proves one webhook.
//!
//! All but the two fixed tokens cover the raw body, before anything reads it. A header that comes more than once is not
//! believed. Sources: the vendors' own guides (GHL, TimeRex) and Standard Webhooks 1.0.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::Sha256;

use super::{Check, Keys, PublicKey, RawWebhook, Refusal, SigningSecret, TokenDigest, push};
use crate::clock::Millis;

/// How far `webhook-timestamp` may be from our clock, either way (Standard Webhooks).
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// More signatures than any change of secrets needs; each costs an HMAC per secret.
const MOST_SIGNATURES: usize = 16;

/// Whether the check proves the webhook. Gives the delivery id that the scheme itself carries, if it does.
pub(super) fn prove(check: &Check, raw: &RawWebhook, now: Millis) -> Result<Option<String>, Refusal> {
    let offered = match (&check.keys, &check.header) {
        (Keys::BodyToken(tokens), _) => return in_body(tokens, &raw.body),
        (_, Some(header)) => single(&raw.headers, header.as_str())?,
        (_, None) => return Err(Refusal::Missing),
    };
    let fits = match &check.keys {
        Keys::Ed25519(keys) | Keys::RsaSha256(keys) => signed(keys, offered, &raw.body),
        Keys::StaticToken(tokens) => tokens.iter().any(|token| token.fits(offered.as_bytes())),
        Keys::HmacSha256(secrets) => gateway(secrets, offered, &raw.body),
        Keys::StandardWebhooks(secrets) => return standard(secrets, offered, raw, now).map(Some),
        Keys::BodyToken(_) => false,
    };
    if fits { Ok(None) } else { Err(Refusal::Bad) }
}

fn in_body(tokens: &[TokenDigest], body: &[u8]) -> Result<Option<String>, Refusal> {
    let offered = push::token(body).ok_or(Refusal::Missing)?;
    let fits = tokens.iter().fold(false, |fits, token| token.fits(offered.as_bytes()) | fits);
    if fits { Ok(None) } else { Err(Refusal::Bad) }
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Bad);
    }
    let text = value.to_str().map_err(|_| Refusal::Bad)?.trim();
    if text.is_empty() { Err(Refusal::Missing) } else { Ok(text) }
}

fn signed(keys: &[PublicKey], offered: &str, body: &[u8]) -> bool {
    let Ok(signature) = STANDARD.decode(offered) else { return false };
    keys.iter().any(|key| key.fits(body, &signature))
}

fn gateway(secrets: &[SigningSecret], offered: &str, body: &[u8]) -> bool {
    let text = offered.strip_prefix("sha256=").unwrap_or(offered);
    let decoded = if text.len() == 64 { hex::decode(text).ok() } else { STANDARD.decode(text).ok() };
    decoded.is_some_and(|code| secrets.iter().any(|secret| code_fits(secret, &[body], &code)))
}

fn standard(secrets: &[SigningSecret], offered: &str, raw: &RawWebhook, now: Millis) -> Result<String, Refusal> {
    let id = single(&raw.headers, "webhook-id")?;
    let stated = single(&raw.headers, "webhook-timestamp")?;
    let codes = offered.split_whitespace().filter_map(|entry| entry.strip_prefix("v1,")).take(MOST_SIGNATURES);
    let message: [&[u8]; 5] = [id.as_bytes(), b".", stated.as_bytes(), b".", &raw.body];
    let fits = codes.filter_map(|code| STANDARD.decode(code).ok()).any(|code| {
        let fitting = |secret: &SigningSecret| code_fits(secret, &message, &code);
        secrets.iter().any(fitting)
    });
    if !fits {
        return Err(Refusal::Bad);
    }
    let seconds: i64 = stated.parse().map_err(|_| Refusal::Bad)?;
    let sent = Millis(seconds.saturating_mul(1_000));
    if now.since(sent) > TOLERANCE || sent.since(now) > TOLERANCE {
        return Err(Refusal::TooOld);
    }
    Ok(id.to_owned())
}

fn code_fits(secret: &SigningSecret, parts: &[&[u8]], code: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.bytes()) else { return false };
    for part in parts {
        mac.update(part);
    }
    mac.verify_slice(code).is_ok()
}
