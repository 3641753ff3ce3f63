//! OAuth 2.0 of the TimeRex stand-in: a page on which a user lets an app in, tokens good for every team of that user, and
//! calls that are signed with one.
//!
//! In: requests below `/oauth`, to revoke, and with `Authorization: Bearer`; edits of kind `token`. Out: answers; a call on
//! something of one team is carried out as one with that team's key. Facts: TimeRex dossier 3.1; where it is silent, there is
//! a setting. Nobody logs in: whoever opens the page may be any of the users.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderValue, Method, header};
use serde_json::{Value, json};

use super::{OTHERS_A_PAGE, Timerex, TimerexTeam, offset_page, team_record, to_login};
use crate::clock::Millis;
use crate::sandbox::web::{self, Params};
use crate::sandbox::{Edit, EditRefused, Request, Response, Turn, World};
use crate::secret::Secret;

const FORM: &str = "application/x-www-form-urlencoded";

/// The scopes that there are.
const SCOPES: &[&str] =
    &["profile", "email", "User.Teams.Read", "User.Teams.Calendars.Read", "User.Teams.Calendars.ReadWrite"];

/// What an authorize URL carries on to the choice.
const CARRIED: &[&str] = &["response_type", "redirect_uri", "client_id", "scope", "state"];

/// The app, the users, and the moods of the OAuth endpoints.
#[derive(Debug, Clone)]
pub struct OauthSettings {
    /// The app's client id.
    pub client_id: String,
    /// Its client secret.
    pub client_secret: Secret,
    /// Where the vendor may send people back to, to the letter.
    pub redirect_uris: Vec<String>,
    /// What the app may ask for.
    pub scopes: Vec<String>,
    /// Who may let it in.
    pub users: Vec<UserSettings>,
    /// How long a code waits to be exchanged, in seconds (the vendor does not say).
    pub code_seconds: u32,
    /// How long an access token lives, in seconds.
    pub access_seconds: u32,
    /// How long an unused refresh token lives, in seconds.
    pub refresh_seconds: u32,
    /// Whether a refresh ends the access token of the pair before (the vendor does not say).
    pub refresh_ends_access: bool,
    /// Whether the second use of a refresh token ends all tokens of its grant, beside being refused (the vendor does not say).
    pub reuse_revokes: bool,
    /// Whether an answer with tokens names their scopes; the vendor's example does not.
    pub says_scope: bool,
    /// How a refresh token is refused (the vendor does not say).
    pub refusal: RefreshRefusal,
    /// Whether a wrong access token is answered with the login page, as a wrong key is, or with a plain 401.
    pub refuses_with_login: bool,
    /// What the revoke call goes by (the vendor does not say).
    pub revoke_by: RevokeBy,
}

/// A person who sees some teams.
#[derive(Debug, Clone)]
pub struct UserSettings {
    /// 20 hexadecimal digits.
    pub id: String,
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// The teams that they see, by their url paths; `None`: all.
    pub teams: Option<Vec<String>>,
}

/// How a refresh token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshRefusal {
    /// 400 `invalid_grant`, as the standard says.
    InvalidGrant,
    /// 401 `invalid_request` with a sentence, as a widespread server library says it.
    InvalidRequest,
}

/// What the revoke call goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeBy {
    /// The access token that signs it.
    Bearer,
    /// The `token` in its form, with the client's credentials (RFC 7009).
    Form,
}

impl Default for OauthSettings {
    fn default() -> Self {
        Self {
            client_id: "sandbox-timerex-client".to_owned(),
            client_secret: Secret::new("sandbox-timerex-client-secret"),
            redirect_uris: vec!["http://127.0.0.1:8080/oauth/timerex/callback".to_owned()],
            scopes: SCOPES.iter().map(ToString::to_string).collect(),
            users: vec![UserSettings {
                id: "a1b2c3d4e5f600000001".to_owned(),
                name: "Host One".to_owned(),
                email: "host.one@example.test".to_owned(),
                teams: None,
            }],
            code_seconds: 600,
            access_seconds: 3_600,
            refresh_seconds: 31_536_000,
            refresh_ends_access: false,
            reuse_revokes: false,
            says_scope: false,
            refusal: RefreshRefusal::InvalidGrant,
            refuses_with_login: true,
            revoke_by: RevokeBy::Bearer,
        }
    }
}

impl OauthSettings {
    fn user(&self, id: &str) -> Option<&UserSettings> {
        self.users.iter().find(|user| user.id == id)
    }
}

impl UserSettings {
    fn sees(&self, team: &TimerexTeam) -> bool {
        self.teams.as_ref().is_none_or(|teams| teams.contains(&team.url_path))
    }
}

/// What a user let the app do.
#[derive(Debug, Clone)]
struct Grant {
    /// Which: all pairs that came of one code have the same.
    number: u64,
    user: String,
    scopes: Vec<String>,
}

#[derive(Debug)]
struct Code {
    grant: Grant,
    redirect: String,
    until: Millis,
}

#[derive(Debug)]
struct Held {
    grant: Grant,
    until: Millis,
    /// Of a refresh token: whether it was used already.
    spent: bool,
}

/// All codes and tokens that were given out.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, Held>,
    refresh: BTreeMap<String, Held>,
    grants: u64,
}

impl Tokens {
    fn end(&mut self, of: impl Fn(&Grant) -> bool) {
        self.access.retain(|_, held| !of(&held.grant));
        self.refresh.retain(|_, held| !of(&held.grant));
    }
}

impl Timerex {
    /// Answers what is about OAuth, or signed with a token.
    pub(super) fn by_oauth(&mut self, request: &Request, turn: &mut Turn<'_>) -> Option<Response> {
        let path = web::segments(request.uri().path());
        match (request.method().clone(), path.as_slice()) {
            (Method::GET, ["oauth", "authorize"]) => return Some(self.page(&Params::of(request))),
            (Method::GET, ["oauth", "authorize", "choose"]) => return Some(self.choose(&Params::of(request), turn)),
            (Method::POST, ["oauth", "token"]) => return Some(self.token(request, turn)),
            _ => {}
        }
        let api = path.strip_prefix(["api", "beta"].as_slice())?;
        let bearer = web::header(request, "authorization").and_then(|value| value.strip_prefix("Bearer "));
        if api == ["token", "revoke"] && self.settings.oauth.revoke_by == RevokeBy::Form {
            return Some(self.revoke_form(request));
        }
        let held = self.tokens.access.get(bearer?).filter(|held| held.until > turn.now);
        let Some(grant) = held.map(|held| held.grant.clone()) else {
            let login = self.settings.oauth.refuses_with_login;
            return Some(if login { to_login() } else { web::json(401, &json!({ "message": "Unauthenticated." })) });
        };
        if api == ["token", "revoke"] {
            self.tokens.end(|other| other.number == grant.number);
            return Some(web::empty(200));
        }
        Some(self.as_user(request, api, &grant, turn))
    }

    /// A call by a user. What is of one team is done as with that team's key, so it is that one's limit that counts.
    fn as_user(&mut self, request: &Request, api: &[&str], grant: &Grant, turn: &mut Turn<'_>) -> Response {
        let Some(user) = self.settings.oauth.user(&grant.user).cloned() else { return to_login() };
        let has = |scope: &str| grant.scopes.iter().any(|one| one == scope);
        let writes = has("User.Teams.Calendars.ReadWrite");
        let may = match (web::reads_only(request.method()), api) {
            (true, ["user", "me"]) => has("profile"),
            (true, ["user", "me", ..] | ["teams", _]) => has("User.Teams.Read"),
            (true, _) => has("User.Teams.Calendars.Read") || writes,
            (false, _) => writes,
        };
        if !may {
            return web::json(403, &json!({ "message": "Invalid scope(s) provided." }));
        }
        let teams: Vec<_> = self.settings.teams.iter().filter(|team| user.sees(team)).cloned().collect();
        match api {
            ["user", "me"] => {
                let mut shown = json!({ "id": user.id, "name": user.name, "display_name": user.name });
                if has("email") {
                    shown["email"] = json!(user.email);
                }
                web::json(200, &shown)
            }
            ["user", "me", "teams"] => {
                let records: Vec<_> = teams.iter().map(team_record).collect();
                offset_page(&Params::of(request), &records, OTHERS_A_PAGE)
            }
            _ => self.as_teams(request, api, &teams, turn),
        }
    }

    fn as_teams(&mut self, request: &Request, api: &[&str], teams: &[TimerexTeam], turn: &mut Turn<'_>) -> Response {
        let of_calendar = |id: &str| teams.iter().find(|team| team.calendars.iter().any(|one| one.id == id));
        let one: Option<&TimerexTeam> = match api {
            ["user", "me", "teams", "primary"] | ["teams", "primary", ..] => teams.first(),
            ["teams", id, ..] => teams.iter().find(|team| team.id == *id),
            ["calendars", "one-time-url", id, ..] => {
                self.one_time_urls.get(*id).and_then(|url| of_calendar(&url.calendar))
            }
            ["calendars", id, ..] => of_calendar(id),
            ["events", id, ..] => self.bookings.get(*id).and_then(|booking| of_calendar(&booking.calendar)),
            _ => None,
        };
        let key = one.and_then(|team| HeaderValue::from_str(&team.api_key).ok());
        let Some(key) = key else { return web::json(404, &json!({ "message": "Not Found" })) };
        let mut request = request.clone();
        request.headers_mut().remove(header::AUTHORIZATION);
        request.headers_mut().insert("x-api-key", key);
        self.answer(&request, turn)
    }

    /// The page: one form a user, and one to refuse.
    fn page(&self, params: &Params) -> Response {
        if let Err(what) = self.wish(params) {
            return sorry(what);
        }
        let input = |name: &str, value: &str| {
            format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", web::escaped(value))
        };
        let carried: String =
            CARRIED.iter().filter_map(|name| Some(input(name, params.get(name)?))).collect::<Vec<_>>().concat();
        let form = |user: &str, name: &str| {
            let (user, name) = (input("user", user), web::escaped(name));
            // Relative: the stand-in may stand below any path.
            format!("<form action=\"authorize/choose\" method=\"get\">{carried}{user}<button>{name}</button></form>\n")
        };
        let mut page = "<!doctype html><title>Authorize</title><h1>Who lets the app in?</h1>\n".to_owned();
        page.extend(self.settings.oauth.users.iter().map(|user| form(&user.id, &user.name)));
        page.push_str(&form("", "Nobody"));
        web::typed(200, "text/html; charset=utf-8", page)
    }

    /// The choice: `user`, or an empty one to refuse.
    fn choose(&mut self, params: &Params, turn: &mut Turn<'_>) -> Response {
        let (redirect, scopes) = match self.wish(params) {
            Ok(wish) => wish,
            Err(what) => return sorry(what),
        };
        let user = params.get("user").unwrap_or_default();
        let state = params.get("state").map_or_else(String::new, |state| format!("&state={}", web::encoded(state)));
        let word = if user.is_empty() {
            "error=access_denied".to_owned()
        } else if self.settings.oauth.user(user).is_none() {
            return sorry("there is no such user");
        } else {
            self.tokens.grants += 1;
            let grant = Grant { number: self.tokens.grants, user: user.to_owned(), scopes };
            let until = turn.now + seconds(self.settings.oauth.code_seconds);
            let code = web::hex_id(turn.rng, 40);
            self.tokens.codes.insert(code.clone(), Code { grant, redirect: redirect.clone(), until });
            format!("code={code}")
        };
        let mut response = web::empty(302);
        let join = if redirect.contains('?') { '&' } else { '?' };
        if let Ok(to) = format!("{redirect}{join}{word}{state}").parse() {
            response.headers_mut().insert(header::LOCATION, to);
        }
        response
    }

    /// Reads an authorize URL: where to go back, and what is granted of what it asks for (nothing asked is everything).
    fn wish(&self, params: &Params) -> Result<(String, Vec<String>), &'static str> {
        let oauth = &self.settings.oauth;
        if params.get("response_type") != Some("code") {
            return Err("response_type must be code");
        }
        if params.get("client_id") != Some(&oauth.client_id) {
            return Err("there is no such client_id");
        }
        let redirect = params.get("redirect_uri").unwrap_or_default().to_owned();
        if !oauth.redirect_uris.contains(&redirect) {
            return Err("redirect_uri is none of the app's");
        }
        let asked: Vec<&str> = params.get("scope").unwrap_or_default().split_whitespace().collect();
        let granted = |scope: &&String| asked.is_empty() || asked.contains(&scope.as_str());
        Ok((redirect, oauth.scopes.iter().filter(granted).cloned().collect()))
    }

    /// `POST /oauth/token`, with a form.
    fn token(&mut self, request: &Request, turn: &mut Turn<'_>) -> Response {
        if !web::header(request, "content-type").is_some_and(|content| content.starts_with(FORM)) {
            return refused(400, "invalid_request", "The parameters must come as a form.");
        }
        let form = Params::read(&String::from_utf8_lossy(request.body()));
        let said = |name: &str| form.get(name).unwrap_or_default();
        if !self.is_client(&form) {
            return refused(401, "invalid_client", "Client authentication failed");
        }
        match said("grant_type") {
            "authorization_code" => {
                let code = self.tokens.codes.remove(said("code")).filter(|code| code.until > turn.now);
                let code = code.filter(|code| code.redirect == said("redirect_uri"));
                match code {
                    Some(code) => self.issue(code.grant, turn),
                    None => refused(400, "invalid_grant", "The authorization code is invalid."),
                }
            }
            "refresh_token" => self.by_refresh(said("refresh_token"), turn),
            _ => refused(400, "unsupported_grant_type", "The authorization grant type is not supported."),
        }
    }

    /// A refresh token counts once.
    fn by_refresh(&mut self, token: &str, turn: &mut Turn<'_>) -> Response {
        let oauth = &self.settings.oauth;
        let (ends_access, reuse_revokes) = (oauth.refresh_ends_access, oauth.reuse_revokes);
        let held = self.tokens.refresh.get_mut(token).filter(|held| held.until > turn.now);
        let spent = held.as_ref().is_some_and(|held| held.spent);
        let Some(held) = held.filter(|held| !held.spent) else {
            if let (true, true, Some(held)) = (spent, reuse_revokes, self.tokens.refresh.get(token)) {
                let number = held.grant.number;
                self.tokens.end(|grant| grant.number == number);
            }
            return match self.settings.oauth.refusal {
                RefreshRefusal::InvalidGrant => refused(400, "invalid_grant", "The grant has ended."),
                RefreshRefusal::InvalidRequest => refused(401, "invalid_request", "The refresh token is invalid."),
            };
        };
        held.spent = true;
        let grant = held.grant.clone();
        if ends_access {
            self.tokens.access.retain(|_, held| held.grant.number != grant.number);
        }
        self.issue(grant, turn)
    }

    /// A new pair.
    fn issue(&mut self, grant: Grant, turn: &mut Turn<'_>) -> Response {
        let oauth = &self.settings.oauth;
        let (access, refresh) = (format!("trx-{}", web::hex_id(turn.rng, 64)), web::hex_id(turn.rng, 64));
        let mut body = json!({
            "token_type": "Bearer", "expires_in": oauth.access_seconds, "access_token": access,
            "refresh_token": refresh,
        });
        if oauth.says_scope {
            body["scope"] = json!(grant.scopes.join(" "));
        }
        let held = |lives: u32| Held { grant: grant.clone(), until: turn.now + seconds(lives), spent: false };
        self.tokens.access.insert(access, held(oauth.access_seconds));
        self.tokens.refresh.insert(refresh, held(oauth.refresh_seconds));
        web::json(200, &body)
    }

    /// A token that is not known is given up (RFC 7009, 2.2).
    fn revoke_form(&mut self, request: &Request) -> Response {
        let form = Params::read(&String::from_utf8_lossy(request.body()));
        if !self.is_client(&form) {
            return refused(401, "invalid_client", "Client authentication failed");
        }
        let token = form.get("token").unwrap_or_default();
        let held = self.tokens.refresh.get(token).or_else(|| self.tokens.access.get(token));
        if let Some(number) = held.map(|held| held.grant.number) {
            self.tokens.end(|grant| grant.number == number);
        }
        web::empty(200)
    }

    fn is_client(&self, form: &Params) -> bool {
        let (oauth, secret) = (&self.settings.oauth, form.get("client_secret").unwrap_or_default());
        form.get("client_id") == Some(&oauth.client_id) && oauth.client_secret.matches(secret.as_bytes())
    }

    /// What time or a person does to tokens, of a user (by id) or of all who see a team (by url path): `expire` ends access
    /// tokens, `invalidate` refresh tokens, `revoke` both.
    pub(super) fn edit_tokens(&mut self, edit: &Edit) -> Option<Result<String, EditRefused>> {
        if edit.kind != "token" {
            return None;
        }
        let team = self.settings.teams.iter().find(|team| team.url_path == edit.account);
        let meant = |user: &&UserSettings| user.id == edit.account || team.is_some_and(|team| user.sees(team));
        let users: Vec<String> = self.settings.oauth.users.iter().filter(meant).map(|user| user.id.clone()).collect();
        let of = |held: &Held| users.contains(&held.grant.user);
        let (access, refresh) = match edit.action.as_str() {
            "expire" => (true, false),
            "invalidate" => (false, true),
            "revoke" => (true, true),
            other => return Some(Err(EditRefused(format!("a token cannot be made to `{other}`")))),
        };
        self.tokens.access.retain(|_, held| !(access && of(held)));
        self.tokens.refresh.retain(|_, held| !(refresh && of(held)));
        Some(Ok(edit.account.clone()))
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

fn refused(status: u16, error: &str, description: &str) -> Response {
    let body: Value = json!({ "error": error, "error_description": description });
    web::json(status, &body)
}

fn sorry(what: &str) -> Response {
    let page = format!("<!doctype html><title>Not possible</title><p>{}</p>", web::escaped(what));
    web::typed(400, "text/html; charset=utf-8", page)
}

#[cfg(test)]
mod tests;
