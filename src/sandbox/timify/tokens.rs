//! The tokens of TIMIFY's apps: asked for with the app's id and secret, renewed, and taken raw or after `Bearer`.

use serde_json::{Map, Value, json};

use super::{Refusal, Timify, TimifyApp};
use crate::clock::Millis;
use crate::sandbox::web;
use crate::sandbox::{Request, Response, Turn};

/// An access token that was handed out.
pub(super) struct Token {
    app: usize,
    refresh: String,
    until: Millis,
}

impl Timify {
    pub(super) fn sign_in(
        &mut self,
        id: Option<&str>,
        secret: Option<&str>,
        turn: &mut Turn<'_>,
    ) -> Result<Response, Refusal> {
        let known = |app: &TimifyApp| Some(app.appid.as_str()) == id && Some(app.appsecret.as_str()) == secret;
        let app = self.settings.apps.iter().position(known);
        Ok(self.hand_out(app.ok_or_else(|| Refusal(401, "unknown appid or appsecret".into()))?, turn))
    }

    /// Renews by `refreshToken` (the vendor's spelling is not documented: `refresh_token` is taken, too); the old pair dies.
    pub(super) fn refresh(&mut self, body: &Map<String, Value>, turn: &mut Turn<'_>) -> Result<Response, Refusal> {
        let offered = web::text(body, "refreshToken").or_else(|| web::text(body, "refresh_token"));
        let known = self.tokens.iter().find(|(_, token)| Some(token.refresh.as_str()) == offered);
        let access = known.map(|(access, _)| access.clone());
        let old = access.and_then(|access| self.tokens.remove(&access));
        Ok(self.hand_out(old.ok_or_else(|| Refusal(401, "unknown refresh token".into()))?.app, turn))
    }

    fn hand_out(&mut self, app: usize, turn: &mut Turn<'_>) -> Response {
        let (access, refresh) = (format!("ey.{}", web::hex_id(turn.rng, 40)), web::hex_id(turn.rng, 40));
        let life = self.settings.token_life;
        let mut answer = json!({ "accessToken": access, "expires": life.as_secs() });
        answer[self.settings.refresh_key] = json!(refresh);
        self.tokens.retain(|_, token| token.until > turn.now);
        self.tokens.insert(access, Token { app, refresh, until: turn.now + life });
        web::json(200, &answer)
    }

    /// Takes the token raw (older documents) or after `Bearer` (newer).
    pub(super) fn signed_in(&self, request: &Request, now: Millis) -> Result<&TimifyApp, Refusal> {
        let offered = web::header(request, "authorization").unwrap_or("");
        let offered = offered.strip_prefix("Bearer ").unwrap_or(offered);
        let token = self.tokens.get(offered).filter(|token| token.until > now);
        token.and_then(|token| self.settings.apps.get(token.app)).ok_or_else(|| Refusal(401, "unauthorized".into()))
    }
}
