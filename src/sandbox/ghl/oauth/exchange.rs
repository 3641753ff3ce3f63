//! What is given for tokens: a code, a refresh token, an agency's access token, or the client's credentials alone.
//!
//! In: a body, form or JSON, in v2 or v3 names. Out: a new pair of tokens, or the vendor's own refusal. Messages name a
//! parameter as v3 does, under v2 too: no document gives them for v2.

use std::time::Duration;

use serde_json::{Value, json};

use super::installs::Place;
use super::tokens::{Grant, Issuer, Pair};
use super::{Ask, Outcome, Said, agency};
use crate::clock::Millis;
use crate::sandbox::Turn;
use crate::sandbox::ghl::Ghl;
use crate::sandbox::ghl::answers::Refusal;
use crate::sandbox::ghl::fields::{Fields, text};
use crate::sandbox::ghl::rate::Meter;
use crate::sandbox::ghl::whitelist::{self, Form, Key, req};

const LOCATION_TOKEN: &[Key] = &[req("companyId", Form::Text), req("locationId", Form::Text)];

/// What a minted location token may do beyond its agency's.
const MINTED_SCOPES: &[&str] = &["oauth.write", "oauth.readonly"];

impl Ghl {
    /// When a code that is given now ends.
    pub(super) fn code_ends(&self, now: Millis) -> Millis {
        now + Duration::from_secs(self.settings.oauth.code_seconds.into())
    }

    fn issue(&mut self, grant: &Grant, turn: &mut Turn<'_>) -> Pair {
        let (client, company) = (&self.settings.client.id, &self.settings.company.id);
        let issuer = Issuer { client, company, settings: &self.settings.oauth };
        self.tokens.issue(grant, &issuer, turn)
    }

    /// Refuses a location that is paused.
    fn must_be_active(&self, location: Option<&str>) -> Result<(), Refusal> {
        let paused = location.and_then(|id| self.settings.location(id)).is_some_and(|location| !location.active);
        if paused { Err(Refusal::bad_request("Location is not active")) } else { Ok(()) }
    }
}

/// `POST /oauth/token`. The `userType` asked for decides nothing: who installed the app does.
pub(super) fn token(ghl: &mut Ghl, ask: &Ask<'_>, turn: &mut Turn<'_>, _: &mut Option<Meter>) -> Outcome {
    let (client, secret) = (ask.must("clientId")?, ask.must("clientSecret")?);
    if ask.one("userType").is_some_and(|kind| !matches!(kind, "Company" | "Location")) {
        return Err(invalid("userType").into());
    }
    match ask.must("grantType")? {
        "authorization_code" => by_code(ghl, ask, client, secret, turn),
        "refresh_token" => by_refresh(ghl, ask, client, secret, turn),
        _ => Err(invalid("grantType").into()),
    }
}

/// The code is looked at first: with a wrong client it is not found either.
fn by_code(ghl: &mut Ghl, ask: &Ask<'_>, client: &str, secret: &str, turn: &mut Turn<'_>) -> Outcome {
    let code = ask.must("code")?;
    let ours = ghl.settings.client.id == client && ghl.settings.client.secret.matches(secret.as_bytes());
    let Some((grant, redirect)) = ghl.tokens.coded(code, turn.now).filter(|_| ours) else {
        let body = json!({"error": "UnAuthorized!", "error_description": "Authorization code not found"});
        return Err(Said::Plain(401, body));
    };
    if ask.one("redirectUri").is_some_and(|named| redirect.is_some_and(|redirect| redirect != named)) {
        return Err(invalid("redirectUri").into());
    }
    let grant = grant.clone();
    ghl.must_be_active(grant.location.as_deref())?;
    ghl.tokens.spend_code(code);
    let pair = ghl.issue(&grant, turn);
    Ok(Said::Plain(200, shown(ghl, &grant, &pair, ask.v3)))
}

/// A refresh token counts once. That of a paused location stays good.
fn by_refresh(ghl: &mut Ghl, ask: &Ask<'_>, client: &str, secret: &str, turn: &mut Turn<'_>) -> Outcome {
    let token = ask.must("refreshToken")?;
    own(ghl, client, secret)?;
    let grant = ghl.tokens.refreshable(token, turn.now).cloned();
    let grant = grant.ok_or_else(|| Refusal::bad_request("Invalid grant: refresh token is invalid"))?;
    ghl.must_be_active(grant.location.as_deref())?;
    ghl.tokens.spend_refresh(token, ghl.settings.oauth.refresh_ends_access);
    let pair = ghl.issue(&grant, turn);
    Ok(Said::Plain(200, shown(ghl, &grant, &pair, ask.v3)))
}

/// `POST /oauth/locationToken`: an agency makes a token for one of its locations.
pub(super) fn location_token(ghl: &mut Ghl, ask: &Ask<'_>, turn: &mut Turn<'_>, meter: &mut Option<Meter>) -> Outcome {
    agency(ghl, ask, "oauth.write", turn, meter)?;
    whitelist::body(LOCATION_TOKEN, &ask.body)?;
    let location = text(&ask.body, "locationId");
    ghl.must_be_ours(text(&ask.body, "companyId"))?;
    ghl.must_be_installed(Place::Location(location))?;
    ghl.must_be_active(Some(location))?;
    let agency = ghl.bearer(ask.request, turn.now).cloned();
    let Grant { mut scopes, user, .. } = agency.ok_or_else(Refusal::bad_token)?;
    scopes.retain(|scope| !MINTED_SCOPES.contains(&scope.as_str()));
    scopes.extend(MINTED_SCOPES.iter().map(ToString::to_string));
    let grant = Grant { location: Some(location.to_owned()), scopes, user };
    let pair = ghl.issue(&grant, turn);
    let mut body = shown(ghl, &grant, &pair, ask.v3);
    if let Some(body) = body.as_object_mut() {
        for absent in ["refreshTokenId", "isBulkInstallation"] {
            body.shift_remove(absent);
        }
    }
    Ok(Said::Traced(ghl.settings.oauth.location_token_status, body))
}

/// `POST /oauth/reconnect`: a new code without a person, while the app is installed.
pub(super) fn reconnect(ghl: &mut Ghl, ask: &Ask<'_>, turn: &mut Turn<'_>, _: &mut Option<Meter>) -> Outcome {
    let (key, secret) = (ask.must_plain("clientKey")?, ask.must_plain("clientSecret")?);
    own(ghl, key, secret)?;
    let (location, company) = (text(&ask.body, "locationId"), text(&ask.body, "companyId"));
    let place = match (location, company) {
        ("", "") => return Err(missing("locationId").into()),
        ("", _) => Place::Company,
        (location, _) => Place::Location(location),
    };
    if place == Place::Company {
        ghl.must_be_ours(company)?;
    }
    ghl.must_be_installed(place)?;
    let grant = ghl.granted(place);
    let until = ghl.code_ends(turn.now);
    let code = ghl.tokens.code(grant, None, until, turn);
    Ok(Said::Traced(200, json!({"authorizationCode": code, "expiresAt": until.rfc3339()})))
}

/// Refuses a client that is not the app.
fn own(ghl: &Ghl, client: &str, secret: &str) -> Result<(), Refusal> {
    if client != ghl.settings.client.id {
        return Err(invalid("clientId"));
    }
    if !ghl.settings.client.secret.matches(secret.as_bytes()) {
        return Err(invalid("clientSecret"));
    }
    Ok(())
}

fn invalid(name: &str) -> Refusal {
    Refusal::bad_request(format!("Invalid parameter: {name}"))
}

/// The answer that carries a pair.
fn shown(ghl: &Ghl, grant: &Grant, pair: &Pair, v3: bool) -> Value {
    let mut body = Fields::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    let named = |v3_name: &str| if v3 { v3_name.to_owned() } else { snake(v3_name) };
    put(&named("accessToken"), json!(pair.access));
    put(&named("tokenType"), json!("Bearer"));
    put(&named("expiresIn"), json!(ghl.settings.oauth.access_seconds));
    put(&named("refreshToken"), json!(pair.refresh));
    put("scope", json!(grant.scopes.join(" ")));
    put("refreshTokenId", json!(pair.id));
    put("userType", json!(grant.user_type()));
    put("companyId", json!(ghl.settings.company.id));
    if let Some(location) = &grant.location {
        put("locationId", json!(location));
    }
    put("isBulkInstallation", json!(grant.location.is_none()));
    put("userId", json!(grant.user));
    Value::Object(body)
}

/// `clientId` is `client_id` before v3.
fn snake(name: &str) -> String {
    name.chars().fold(String::new(), |mut out, one| {
        if one.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(one.to_ascii_lowercase());
        out
    })
}

impl Ask<'_> {
    /// A parameter by its v3 name, as this version writes it; an empty one is none.
    fn one(&self, name: &str) -> Option<&str> {
        let name = if self.v3 { name.to_owned() } else { snake(name) };
        Some(text(&self.body, &name)).filter(|value| !value.is_empty())
    }

    fn must(&self, name: &str) -> Result<&str, Refusal> {
        self.one(name).ok_or_else(|| missing(name))
    }

    /// A parameter that every version writes alike.
    fn must_plain(&self, name: &str) -> Result<&str, Refusal> {
        Some(text(&self.body, name)).filter(|value| !value.is_empty()).ok_or_else(|| missing(name))
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::bad_request(format!("Missing parameter: {name}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_v3_become_those_of_v2() {
        assert_eq!(super::snake("refreshToken"), "refresh_token");
        assert_eq!(super::snake("code"), "code");
    }
}
