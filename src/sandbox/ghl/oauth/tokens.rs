//! Codes, access tokens and refresh tokens: made, looked up, spent, ended. They are kept by their digest.
//!
//! In: whom a token speaks for, the instant, randomness. Out: tokens in the vendor's form (long JWTs, their signature
//! random, for only the vendor could check it). Who may ask for one is left to the routes.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::settings::OauthSettings;
use crate::clock::Millis;
use crate::sandbox::{Turn, web};
use crate::secret::digest;

type Digest = [u8; 32];

/// Bytes of a JWT's signature (RS256 with a 2048-bit key).
const SIGNATURE_BYTES: usize = 256;

/// Whom a token speaks for, and how far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox::ghl) struct Grant {
    /// The location; none is the agency itself.
    pub(in crate::sandbox::ghl) location: Option<String>,
    /// Exactly what was granted.
    pub(in crate::sandbox::ghl) scopes: Vec<String>,
    /// Who installed the app.
    pub(super) user: String,
}

impl Grant {
    /// The vendor's word for the kind of token.
    pub(super) fn user_type(&self) -> &'static str {
        if self.location.is_some() { "Location" } else { "Company" }
    }
}

/// Whose tokens are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose<'a> {
    /// Everybody's.
    All,
    /// The agency's own.
    Company,
    /// Those of one location.
    Location(&'a str),
}

impl Whose<'_> {
    fn covers(self, grant: &Grant) -> bool {
        match self {
            Self::All => true,
            Self::Company => grant.location.is_none(),
            Self::Location(id) => grant.location.as_deref() == Some(id),
        }
    }
}

#[derive(Debug)]
struct Held {
    grant: Grant,
    until: Millis,
    /// Which pair it is of.
    pair: u64,
}

#[derive(Debug)]
struct Code {
    grant: Grant,
    until: Millis,
    redirect: Option<String>,
}

/// An access token and the refresh token that came with it.
pub(super) struct Pair {
    pub(super) access: String,
    pub(super) refresh: String,
    /// The vendor's `refreshTokenId`.
    pub(super) id: String,
}

/// Who issues tokens, as their claims name it.
pub(super) struct Issuer<'a> {
    pub(super) client: &'a str,
    pub(super) company: &'a str,
    pub(super) settings: &'a OauthSettings,
}

/// All codes and tokens that were given out and still count.
#[derive(Debug, Default)]
pub(in crate::sandbox::ghl) struct Tokens {
    codes: BTreeMap<Digest, Code>,
    access: BTreeMap<Digest, Held>,
    refresh: BTreeMap<Digest, Held>,
    pairs: u64,
}

impl Tokens {
    /// A new code; with `redirect`, only for a caller that names the same or none.
    pub(super) fn code(
        &mut self,
        grant: Grant,
        redirect: Option<String>,
        until: Millis,
        turn: &mut Turn<'_>,
    ) -> String {
        let code = web::hex_id(turn.rng, 40);
        self.codes.insert(digest(code.as_bytes()), Code { grant, until, redirect });
        code
    }

    /// What a code that still counts was given for, and where its bearer was sent.
    pub(super) fn coded(&self, code: &str, now: Millis) -> Option<(&Grant, Option<&str>)> {
        let code = self.codes.get(&digest(code.as_bytes())).filter(|code| code.until > now)?;
        Some((&code.grant, code.redirect.as_deref()))
    }

    /// Ends a code.
    pub(super) fn spend_code(&mut self, code: &str) {
        self.codes.remove(&digest(code.as_bytes()));
    }

    /// A new pair.
    pub(super) fn issue(&mut self, grant: &Grant, issuer: &Issuer<'_>, turn: &mut Turn<'_>) -> Pair {
        self.pairs += 1;
        let lives = [issuer.settings.access_seconds, issuer.settings.refresh_seconds];
        let [access_until, refresh_until] = lives.map(|seconds| turn.now + Duration::from_secs(seconds.into()));
        let access = jwt(&claims(grant, issuer, turn.now, access_until), turn);
        let refresh = jwt(&claims(grant, issuer, turn.now, refresh_until), turn);
        let held = |until| Held { grant: grant.clone(), until, pair: self.pairs };
        self.access.insert(digest(access.as_bytes()), held(access_until));
        self.refresh.insert(digest(refresh.as_bytes()), held(refresh_until));
        Pair { access, refresh, id: web::hex_id(turn.rng, 24) }
    }

    /// Whom a refresh token that still counts speaks for.
    pub(super) fn refreshable(&self, token: &str, now: Millis) -> Option<&Grant> {
        let held = self.refresh.get(&digest(token.as_bytes()))?;
        (held.until > now).then_some(&held.grant)
    }

    /// Ends a refresh token and, if that is so here, the access token beside it.
    pub(super) fn spend_refresh(&mut self, token: &str, with_access: bool) {
        if let Some(spent) = self.refresh.remove(&digest(token.as_bytes()))
            && with_access
        {
            self.access.retain(|_, held| held.pair != spent.pair);
        }
    }

    /// Whom an access token that still counts speaks for.
    pub(in crate::sandbox::ghl) fn bearer(&self, token: &str, now: Millis) -> Option<&Grant> {
        let held = self.access.get(&digest(token.as_bytes()))?;
        (held.until > now).then_some(&held.grant)
    }

    /// Ends access tokens.
    pub(super) fn expire(&mut self, whose: Whose<'_>) {
        self.access.retain(|_, held| !whose.covers(&held.grant));
    }

    /// Ends refresh tokens.
    pub(super) fn invalidate(&mut self, whose: Whose<'_>) {
        self.refresh.retain(|_, held| !whose.covers(&held.grant));
    }

    /// Ends everything, codes too.
    pub(super) fn end(&mut self, whose: Whose<'_>) {
        self.codes.retain(|_, code| !whose.covers(&code.grant));
        self.expire(whose);
        self.invalidate(whose);
    }
}

/// The claims that were seen in the vendor's tokens.
fn claims(grant: &Grant, issuer: &Issuer<'_>, now: Millis, until: Millis) -> Value {
    let class = grant.location.as_deref().unwrap_or(issuer.company);
    json!({
        "authClass": grant.user_type(),
        "authClassId": class,
        "primaryAuthClassId": class,
        "source": "INTEGRATION",
        "sourceId": issuer.client,
        "channel": "OAUTH",
        "oauthMeta": { "scopes": grant.scopes },
        "iat": now.0.div_euclid(1_000),
        "exp": until.0.div_euclid(1_000),
    })
}

fn jwt(claims: &Value, turn: &mut Turn<'_>) -> String {
    let head = json!({ "alg": "RS256", "typ": "JWT" });
    let signature: Vec<u8> = std::iter::repeat_with(|| turn.rng.u8(..)).take(SIGNATURE_BYTES).collect();
    let parts = [head.to_string().into_bytes(), claims.to_string().into_bytes(), signature];
    parts.map(|part| BASE64.encode(part)).join(".")
}
