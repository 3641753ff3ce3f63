//! The extension endpoint: what an operator runs beside TIMIFY or TimeRex for the kinds that the vendor lacks.
//!
//! In: Lockstep's signed calls and people's edits. Out: answers and webhooks of the contract (version 1). Which account is
//! meant follows from whose secret signed the call. The signature's arithmetic is [`super::signing`]'s.

mod objects;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::signing::{self, standard_webhooks_match};
use super::web::{self, Params};
use super::{Edit, EditRefused, Request, Response, Turn, Webhook, World, requests};
use crate::clock::Millis;
use crate::model::{Kind, System};
use crate::secret::digest;
use objects::Objects;

/// What an extension stand-in knows before the first request.
#[derive(Clone)]
pub struct ExtensionSettings {
    /// The system it stands beside.
    pub system: System,
    /// Whether the vendor has the contacts: their ids are the vendor's, and any id is taken as one.
    pub native_contacts: bool,
    /// The accounts it serves.
    pub accounts: Vec<ExtensionAccount>,
    /// Whether a write of Lockstep causes a webhook, too.
    pub echo_webhooks: bool,
    /// Items on a page when a list call names no limit.
    pub page: usize,
}

/// One account: a TIMIFY company or a TimeRex team.
#[derive(Clone)]
pub struct ExtensionAccount {
    /// The company id or the team's `url_path`.
    pub account: String,
    /// `whsec_` and base64; signs both directions.
    pub secret: String,
}

/// A refusal: its status, why, and further members of the problem.
struct Refusal(u16, &'static str, Value);

impl Refusal {
    fn new(status: u16, why: &'static str) -> Self {
        Self(status, why, json!({}))
    }
}

/// A webhook to be: its type and the object as it now stands.
type Told = (String, Value);

/// A call by one account.
struct Call<'a, 'b> {
    request: &'a Request,
    params: Params,
    body: Map<String, Value>,
    turn: &'a mut Turn<'b>,
}

/// The first answer to an `Idempotency-Key`.
struct Kept {
    asked: [u8; 32],
    status: StatusCode,
    form: Option<HeaderValue>,
    body: Bytes,
}

/// An extension endpoint, standing in.
pub struct Extension {
    settings: ExtensionSettings,
    accounts: BTreeMap<String, Objects>,
    kept: BTreeMap<(String, String), Kept>,
}

impl Extension {
    /// The accounts of the settings, empty.
    pub fn new(settings: ExtensionSettings) -> Self {
        let native = settings.native_contacts;
        let accounts = settings.accounts.iter().map(|one| (one.account.clone(), Objects::new(native)));
        Self { accounts: accounts.collect(), settings, kept: BTreeMap::new() }
    }

    /// Whose secret signed the request; 401 for nobody's, and for a timestamp more than five minutes off.
    fn signed_by(&self, request: &Request, now: Millis) -> Result<String, Refusal> {
        let header = |name| web::header(request, name).unwrap_or("");
        let (id, timestamp, offered) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
        let said = timestamp.parse::<i64>().map_err(|_| Refusal::new(401, "webhook-timestamp is missing"))?;
        if said.abs_diff(now.0.div_euclid(1_000)) > signing::TOLERANCE.as_secs() {
            return Err(Refusal::new(401, "webhook-timestamp is more than five minutes off"));
        }
        let by = |one: &&ExtensionAccount| {
            standard_webhooks_match(&one.secret, id, timestamp, request.body(), offered) && !id.is_empty()
        };
        let account = self.settings.accounts.iter().find(by).map(|one| one.account.clone());
        account.ok_or_else(|| Refusal::new(401, "bad signature"))
    }

    fn route(&mut self, request: &Request, turn: &mut Turn<'_>) -> Result<Response, Refusal> {
        let account = self.signed_by(request, turn.now)?;
        let writes = !web::reads_only(request.method());
        let key = web::header(request, "idempotency-key").filter(|_| writes);
        let key = key.map(|key| (account.clone(), key.to_owned()));
        let mut response = match key.as_ref().and_then(|key| self.kept.get(key)) {
            Some(first) => first.again(request)?,
            None => self.first_time(request, &account, turn).unwrap_or_else(Refusal::response),
        };
        // 5xx is no answer to keep: the caller tries again with the same key.
        if let Some(key) = key.filter(|_| !response.status().is_server_error()) {
            let (status, body) = (response.status(), response.body().clone());
            let form = response.headers().get(CONTENT_TYPE).cloned();
            self.kept.entry(key).or_insert(Kept { asked: asked(request), status, form, body });
        }
        response.extensions_mut().insert(requests::Account(account));
        Ok(response)
    }

    fn first_time(&mut self, request: &Request, account: &str, turn: &mut Turn<'_>) -> Result<Response, Refusal> {
        let body = web::object(request).ok_or_else(|| Refusal::new(400, "the body is not a JSON object"))?;
        let objects = self.accounts.get_mut(account).ok_or_else(|| Refusal::new(401, "bad signature"))?;
        let mut call = Call { request, params: Params::of(request), body, turn };
        let (response, told) = objects.call(&mut call, self.settings.page)?;
        if let Some(told) = told.filter(|_| self.settings.echo_webhooks) {
            self.tell(account, told, turn);
        }
        Ok(response)
    }

    fn tell(&self, account: &str, (name, object): Told, turn: &mut Turn<'_>) {
        let body = json!({ "type": name, "timestamp": turn.now.rfc3339(), "data": object });
        let id = format!("msg_{}", web::hex_id(turn.rng, 24));
        let account = account.to_owned();
        turn.webhooks.push(Webhook { system: self.settings.system, extension: true, account, id, body, push_to: None });
    }
}

impl Refusal {
    fn response(self) -> Response {
        web::problem(self.0, self.1, self.2)
    }
}

impl Kept {
    /// The first answer once more, marked; another request under the same key is refused.
    fn again(&self, request: &Request) -> Result<Response, Refusal> {
        if self.asked != asked(request) {
            return Err(Refusal::new(422, "this Idempotency-Key was used for another request"));
        }
        let mut response = Response::new(self.body.clone());
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.form.clone().map(|form| (CONTENT_TYPE, form)));
        response.extensions_mut().insert(requests::Repeated);
        Ok(response)
    }
}

fn asked(request: &Request) -> [u8; 32] {
    let mut text = format!("{} {} ", request.method(), request.uri()).into_bytes();
    text.extend_from_slice(request.body());
    digest(&text)
}

impl World for Extension {
    fn answer(&mut self, request: &Request, turn: &mut Turn<'_>) -> Response {
        self.route(request, turn).unwrap_or_else(Refusal::response)
    }

    fn edit(&mut self, edit: &Edit, turn: &mut Turn<'_>) -> Result<String, EditRefused> {
        let objects = self.accounts.get_mut(&edit.account);
        let objects = objects.ok_or_else(|| EditRefused("no such account".into()))?;
        let (id, told) = objects.edit(edit, turn).map_err(|refusal| EditRefused(refusal.1.to_owned()))?;
        self.tell(&edit.account, told, turn);
        Ok(id)
    }

    fn state(&self) -> Value {
        let accounts = self.accounts.iter().map(|(account, objects)| (account.clone(), objects.state()));
        Value::Object(accounts.collect())
    }

    fn object(&self, id: &str) -> Option<Value> {
        self.accounts.values().find_map(|objects| objects.object(id))
    }
}

impl Objects {
    fn call(&mut self, call: &mut Call<'_, '_>, page: usize) -> Result<(Response, Option<Told>), Refusal> {
        let path = web::segments(call.request.uri().path());
        let method = call.request.method().clone();
        match path.as_slice() {
            [list] => {
                let kind = plural(list)?;
                match method {
                    Method::GET => Ok((self.list(kind, call, page), None)),
                    Method::POST if kind == Kind::Contact => self.make(kind, None, call),
                    _ => Err(Refusal::new(405, "method not allowed")),
                }
            }
            ["contacts", id] => self.one(Kind::Contact, id, None, call),
            ["contacts", contact, "tags"] => self.tag_call(contact, call),
            ["contacts", contact, list] => {
                let kind = plural(list)?;
                match method {
                    Method::POST if kind != Kind::Contact => self.make(kind, Some(contact), call),
                    _ => Err(Refusal::new(405, "method not allowed")),
                }
            }
            ["contacts", contact, "tasks", id, "completed"] if method == Method::PUT => {
                let completed = call.body.get("completed").and_then(Value::as_bool);
                let completed = completed.ok_or_else(|| Refusal::new(422, "completed must be true or false"))?;
                let (record, told) = self.complete(contact, id, completed, call.turn.now)?;
                Ok((web::json(200, &record), Some(told)))
            }
            ["contacts", contact, list, id] => self.one(plural(list)?, id, Some(contact), call),
            _ => Err(Refusal::new(404, "no such path")),
        }
    }
}

fn plural(word: &str) -> Result<Kind, Refusal> {
    match word {
        "contacts" => Ok(Kind::Contact),
        "tasks" => Ok(Kind::Task),
        "notes" => Ok(Kind::Note),
        _ => Err(Refusal::new(404, "no such path")),
    }
}
