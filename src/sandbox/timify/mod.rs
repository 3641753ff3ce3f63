//! The TIMIFY stand-in: customers that consist of custom fields, appointments on a five-minute grid, tokens of an app.
//!
//! In: API requests and users' edits. Out: answers and webhooks of the assumed shape (the vendor documents none). It knows
//! nothing of HTTP headers that webhooks carry; the shell adds the configured one.
//! Vendor source: docs.timify.dev, docs2.timify.com; where those are silent the choice is said at the place.

mod appointments;
mod customers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use super::web::{self, Params};
use super::{Edit, EditRefused, Request, Response, Turn, Webhook, World};
use crate::clock::Millis;
use crate::model::System;
use appointments::Appointment;
use customers::Customer;

/// The vendor's page size when a list call names none.
const DEFAULT_LIMIT: usize = 10_000;

/// What a webhook's `data` holds; the vendor does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WebhookBody {
    /// The whole object.
    #[default]
    Full,
    /// Only `id` and `externalId`.
    Ids,
}

/// What the TIMIFY stand-in knows before the first request.
#[derive(Clone)]
pub struct TimifySettings {
    /// The apps that may ask for tokens.
    pub apps: Vec<TimifyApp>,
    /// The companies (branches).
    pub companies: Vec<TimifyCompany>,
    /// Whether a write over the API causes a webhook, too.
    pub echo_webhooks: bool,
    /// What a webhook's `data` holds.
    pub webhook_body: WebhookBody,
    /// The longest range of an appointment list, in days (31 in the older documents, 365 in the newer).
    pub range_days: i64,
    /// How long an access token is good for.
    pub token_life: Duration,
}

/// An app of the developer platform.
#[derive(Clone)]
pub struct TimifyApp {
    /// Its id.
    pub appid: String,
    /// Its secret.
    pub appsecret: String,
    /// The companies that installed it.
    pub companies: Vec<String>,
}

/// A company (branch).
#[derive(Debug, Clone)]
pub struct TimifyCompany {
    /// 24 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The custom fields of its customers, in the order of its form; the ids differ per company.
    pub fields: Vec<FieldDefinition>,
    /// Rooms and people that appointments stand on.
    pub resources: Vec<Bookable>,
    /// What can be booked.
    pub services: Vec<Bookable>,
}

/// One custom field of a company's customers.
#[derive(Debug, Clone)]
pub struct FieldDefinition {
    /// 24 hexadecimal digits.
    pub id: String,
    /// The vendor's key for a field that every company has (`firstName`, `mobilePhone`); own fields have none.
    pub default_id: Option<String>,
    /// What an own field is called.
    pub label: Option<String>,
    /// `TEXT`, `EMAIL`, `PHONE`, `DATE` or `TEXTAREA`.
    pub form: String,
}

/// A resource or a service.
#[derive(Debug, Clone)]
pub struct Bookable {
    /// 24 hexadecimal digits.
    pub id: String,
    /// The operator's own id of it; may be empty.
    pub external_id: String,
    /// Its name.
    pub name: String,
    /// Minutes; a service only.
    pub duration: Option<i64>,
}

impl Bookable {
    fn record(&self, resource_ids: Option<Vec<&str>>) -> Value {
        let mut record = json!({ "id": self.id, "externalId": self.external_id, "name": self.name });
        match resource_ids {
            Some(ids) => {
                record["duration"] = json!(self.duration);
                record["dependencies"] = json!([{ "resourcesIds": ids }]);
            }
            None => record["email"] = json!(""),
        }
        record
    }
}

/// A refusal: its status and why. The vendor's error bodies are not documented; ours say `{status: 0, message}`.
#[derive(Debug)]
struct Refusal(u16, String);

impl Refusal {
    fn invalid(why: impl Into<String>) -> Self {
        Self(422, why.into())
    }

    fn missing(what: &str) -> Self {
        Self(404, format!("{what} not found"))
    }

    fn response(self) -> Response {
        web::json(self.0, &json!({ "status": 0, "message": self.1 }))
    }
}

/// An API call inside one company.
struct Call<'a, 'b> {
    request: &'a Request,
    params: Params,
    body: Map<String, Value>,
    turn: &'a mut Turn<'b>,
}

impl Call<'_, '_> {
    /// One page of `records` in the list envelope; no limit, or 0, means 10,000.
    fn page(&self, records: &[Value]) -> Response {
        let limit = self.params.number("limit").filter(|limit| *limit > 0).unwrap_or(DEFAULT_LIMIT);
        let page = self.params.number("page").filter(|page| *page > 0).unwrap_or(1);
        let shown: Vec<_> = records.iter().skip((page - 1).saturating_mul(limit)).take(limit).collect();
        let meta = json!({
            "page": page, "limit": limit, "totalItems": records.len(), "totalPages": records.len().div_ceil(limit),
        });
        web::json(200, &json!({ "data": shown, "total": records.len(), "meta": meta, "status": 1 }))
    }
}

/// A webhook to be: its name and the whole object.
type Told = (&'static str, Value);

/// What a call in a company leads to.
struct Answered {
    response: Response,
    told: Option<Told>,
}

impl Answered {
    fn quiet(response: Response) -> Self {
        Self { response, told: None }
    }

    fn one(record: &Value, name: &'static str) -> Self {
        Self { response: web::json(200, &json!({ "data": record, "status": 1 })), told: Some((name, record.clone())) }
    }

    fn gone(name: &'static str, told: Value) -> Self {
        Self { response: web::json(200, &json!({ "data": {}, "status": 1 })), told: Some((name, told)) }
    }
}

/// A company with all it holds.
struct Company {
    known: TimifyCompany,
    customers: BTreeMap<String, Customer>,
    appointments: BTreeMap<String, Appointment>,
    range_days: i64,
    /// The API calls that let the vendor mail the customers: real people, in real life.
    notified: Vec<Value>,
}

/// An access token that was handed out.
struct Token {
    app: usize,
    refresh: String,
    until: Millis,
}

/// TIMIFY, standing in.
pub struct Timify {
    settings: TimifySettings,
    companies: BTreeMap<String, Company>,
    tokens: BTreeMap<String, Token>,
}

impl Timify {
    /// Companies as the settings name them, without customers or appointments.
    pub fn new(settings: TimifySettings) -> Self {
        let companies = settings.companies.iter().map(|known| {
            let company = Company {
                known: known.clone(),
                customers: BTreeMap::new(),
                appointments: BTreeMap::new(),
                range_days: settings.range_days,
                notified: Vec::new(),
            };
            (known.id.clone(), company)
        });
        Self { companies: companies.collect(), settings, tokens: BTreeMap::new() }
    }

    fn route(&mut self, request: &Request, turn: &mut Turn<'_>) -> Result<Response, Refusal> {
        let path = web::segments(request.uri().path());
        let Some(("v1", path)) = path.split_first().map(|(first, rest)| (*first, rest)) else {
            return Err(Refusal::missing("path"));
        };
        let params = Params::of(request);
        let body = web::object(request).ok_or_else(|| Refusal(400, "the body is not a JSON object".into()))?;
        match (request.method(), path) {
            (&Method::POST, ["auth", "token"]) => {
                return self.sign_in(web::text(&body, "appid"), web::text(&body, "appsecret"), turn);
            }
            (&Method::GET, ["auth", "token"]) => {
                return self.sign_in(params.get("appid"), params.get("appsecret"), turn);
            }
            (&Method::POST, ["auth", "refresh-token"]) => return self.refresh(&body, turn),
            _ => {}
        }
        let app = self.signed_in(request, turn.now)?;
        if let (&Method::GET, ["companies"]) = (request.method(), path) {
            let own =
                self.companies.values().map(|company| &company.known).filter(|known| app.companies.contains(&known.id));
            let records: Vec<_> = own.map(|known| json!({ "id": known.id, "name": known.name })).collect();
            return Ok(Call { request, params, body, turn }.page(&records));
        }
        let id = web::header(request, "company-id").ok_or_else(|| Refusal(400, "company-id is missing".into()))?;
        if !app.companies.iter().any(|company| company == id) {
            return Err(Refusal(403, "the app is not installed in this company".into()));
        }
        let company = self.companies.get_mut(id).ok_or_else(|| Refusal::missing("company"))?;
        let mut call = Call { request, params, body, turn };
        let Answered { mut response, told } = company.answer(path, &mut call)?;
        if let Some(told) = told.filter(|_| self.settings.echo_webhooks) {
            let webhook = webhook(id, told, self.settings.webhook_body, turn);
            turn.webhooks.push(webhook);
        }
        response.extensions_mut().insert(super::requests::Account(id.to_owned()));
        Ok(response)
    }

    fn sign_in(&mut self, id: Option<&str>, secret: Option<&str>, turn: &mut Turn<'_>) -> Result<Response, Refusal> {
        let known = |app: &TimifyApp| Some(app.appid.as_str()) == id && Some(app.appsecret.as_str()) == secret;
        let app = self.settings.apps.iter().position(known);
        Ok(self.hand_out(app.ok_or_else(|| Refusal(401, "unknown appid or appsecret".into()))?, turn))
    }

    /// Renews by `refreshToken` (the vendor's spelling is not documented: `refresh_token` is taken, too); the old pair dies.
    fn refresh(&mut self, body: &Map<String, Value>, turn: &mut Turn<'_>) -> Result<Response, Refusal> {
        let offered = web::text(body, "refreshToken").or_else(|| web::text(body, "refresh_token"));
        let known = self.tokens.iter().find(|(_, token)| Some(token.refresh.as_str()) == offered);
        let access = known.map(|(access, _)| access.clone());
        let old = access.and_then(|access| self.tokens.remove(&access));
        Ok(self.hand_out(old.ok_or_else(|| Refusal(401, "unknown refresh token".into()))?.app, turn))
    }

    fn hand_out(&mut self, app: usize, turn: &mut Turn<'_>) -> Response {
        let (access, refresh) = (format!("ey.{}", web::hex_id(turn.rng, 40)), web::hex_id(turn.rng, 40));
        let life = self.settings.token_life;
        let answer = json!({ "accessToken": access, "refreshToken": refresh, "expires": life.as_secs() });
        self.tokens.retain(|_, token| token.until > turn.now);
        self.tokens.insert(access, Token { app, refresh, until: turn.now + life });
        web::json(200, &answer)
    }

    /// Takes the token raw (older documents) or after `Bearer` (newer).
    fn signed_in(&self, request: &Request, now: Millis) -> Result<&TimifyApp, Refusal> {
        let offered = web::header(request, "authorization").unwrap_or("");
        let offered = offered.strip_prefix("Bearer ").unwrap_or(offered);
        let token = self.tokens.get(offered).filter(|token| token.until > now);
        token.and_then(|token| self.settings.apps.get(token.app)).ok_or_else(|| Refusal(401, "unauthorized".into()))
    }
}

impl World for Timify {
    fn answer(&mut self, request: &Request, turn: &mut Turn<'_>) -> Response {
        self.route(request, turn).unwrap_or_else(Refusal::response)
    }

    fn edit(&mut self, edit: &Edit, turn: &mut Turn<'_>) -> Result<String, EditRefused> {
        let company = self.companies.get_mut(&edit.account);
        let company = company.ok_or_else(|| EditRefused("no such company".into()))?;
        let refused = |refusal: Refusal| EditRefused(refusal.1);
        let (id, told) = match edit.kind.as_str() {
            "contact" => company.edit_customer(edit, turn).map_err(refused)?,
            "appointment" => company.edit_appointment(edit, turn).map_err(refused)?,
            other => return Err(EditRefused(format!("TIMIFY has no {other}"))),
        };
        let webhook = webhook(&edit.account, told, self.settings.webhook_body, turn);
        turn.webhooks.push(webhook);
        Ok(id)
    }

    fn state(&self) -> Value {
        let companies = self.companies.iter().map(|(id, company)| (id.clone(), company.state()));
        Value::Object(companies.collect())
    }
}

impl Company {
    fn answer(&mut self, path: &[&str], call: &mut Call<'_, '_>) -> Result<Answered, Refusal> {
        match path {
            ["customers", rest @ ..] => self.customer_call(rest, call),
            ["appointments", rest @ ..] => self.appointment_call(rest, call),
            ["resources"] if call.request.method() == Method::GET => {
                let records: Vec<_> = self.known.resources.iter().map(|one| one.record(None)).collect();
                Ok(Answered::quiet(call.page(&records)))
            }
            ["services"] if call.request.method() == Method::GET => {
                let able: Vec<_> = self.known.resources.iter().map(|one| one.id.as_str()).collect();
                let records: Vec<_> = self.known.services.iter().map(|one| one.record(Some(able.clone()))).collect();
                Ok(Answered::quiet(call.page(&records)))
            }
            // The vendor has no tasks, lists of notes or tag writes: they fall here like any unknown path.
            _ => Err(Refusal::missing("path")),
        }
    }

    fn state(&self) -> Value {
        let customers: Vec<_> = self.customers.values().map(|one| one.with_plain(&self.known)).collect();
        let appointments: Vec<_> = self.appointments.values().map(|one| self.appointment_record(one)).collect();
        json!({ "customers": customers, "appointments": appointments, "notified": self.notified })
    }
}

fn webhook(company: &str, (name, whole): Told, body: WebhookBody, turn: &mut Turn<'_>) -> Webhook {
    let few = body == WebhookBody::Ids && whole.get("ids").is_none();
    let told = if few { json!({ "id": whole["id"], "externalId": whole["externalId"] }) } else { whole };
    Webhook {
        system: System::Timify,
        extension: false,
        account: company.to_owned(),
        id: web::uuid(turn.rng),
        body: json!({ "event": name, "companyId": company, "data": told }),
        push_to: None,
    }
}

/// The vendor's whole-second instants: `2026-03-25T18:46:31Z`.
fn seconds(instant: Millis) -> String {
    let text = instant.rfc3339();
    text.split_once('.').map_or_else(|| text.clone(), |(whole, _)| format!("{whole}Z"))
}
