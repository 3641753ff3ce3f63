//! The TIMIFY stand-in: customers that consist of custom fields, appointments on a five-minute grid, tokens of an app.
//!
//! In: API requests and users' edits. Out: answers and webhooks of the assumed shape (the vendor documents none). It knows
//! nothing of HTTP headers that webhooks carry; the shell adds the configured one.
//! Vendor source: docs.timify.dev, docs2.timify.com; where those are silent the choice is said at the place.

mod appointments;
mod customer_fields;
mod customers;
mod offers;
mod records;
mod series;
mod settings;
#[cfg(test)]
mod tests;
mod tokens;
mod webhooks;
mod wishes;

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Map, Value, json};

use super::web::{self, Params};
use super::{Edit, EditRefused, Request, Response, Turn, World};
use crate::clock::Millis;
use appointments::Appointment;
use customer_fields::Category;
use customers::Customer;
use offers::Offer;
pub use settings::{
    Bookable, FieldDefinition, FieldKey, Shared, Spelling, TimifyApp, TimifyCompany, TimifySettings, TimifySwitches,
    WebhookBody, WebhookForm, Within,
};
use tokens::Token;
use webhooks::{Told, webhook};

/// The vendor's page size when a list call names none.
const DEFAULT_LIMIT: usize = 10_000;
/// What a refused body is answered, if the settings do not say otherwise.
const INVALID: u16 = 422;

/// A refusal: its status and why. The vendor's error bodies are not documented; ours say `{status: 0, message}`.
#[derive(Debug)]
struct Refusal(u16, String);

impl Refusal {
    fn invalid(why: impl Into<String>) -> Self {
        Self(INVALID, why.into())
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

/// What a call in a company leads to.
struct Answered {
    response: Response,
    told: Option<Told>,
}

impl Answered {
    fn quiet(response: Response) -> Self {
        Self { response, told: None }
    }

    /// An object, read.
    fn read(record: &Value) -> Self {
        Self::quiet(web::json(200, &json!({ "data": record, "status": 1 })))
    }

    fn one(record: &Value, name: &'static str) -> Self {
        Self { told: Some((name, record.clone())), ..Self::read(record) }
    }

    fn gone(name: &'static str, told: Value) -> Self {
        Self { told: Some((name, told)), ..Self::read(&json!({})) }
    }
}

/// A company with all it holds.
struct Company {
    known: TimifyCompany,
    customers: BTreeMap<String, Customer>,
    appointments: BTreeMap<String, Appointment>,
    /// Those that are deleted and can still be read.
    leaving: BTreeMap<String, Appointment>,
    categories: Vec<Category>,
    switches: TimifySwitches,
    /// The API calls that let the vendor mail the customers: real people, in real life.
    notified: Vec<Value>,
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
                leaving: BTreeMap::new(),
                categories: Vec::new(),
                switches: settings.switches,
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
            let records = self.branches(app, params.get("enterprise_id"));
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
            let webhook = webhook(id, told, self.settings.webhook, turn);
            turn.webhooks.push(webhook);
        }
        response.extensions_mut().insert(super::requests::Account(id.to_owned()));
        Ok(response)
    }

    /// The companies of an app, or those of one enterprise.
    fn branches(&self, app: &TimifyApp, enterprise: Option<&str>) -> Vec<Value> {
        let own = self.companies.values().map(|company| &company.known);
        let own = own.filter(|known| app.companies.contains(&known.id));
        let own = own.filter(|known| enterprise.is_none_or(|id| known.enterprise.as_deref() == Some(id)));
        own.map(|known| json!({ "id": known.id, "externalId": "", "name": known.name })).collect()
    }
}

impl World for Timify {
    fn answer(&mut self, request: &Request, turn: &mut Turn<'_>) -> Response {
        let invalid = self.settings.invalid_status;
        let refused = |Refusal(status, why): Refusal| {
            let status = if status == INVALID { invalid } else { status };
            Refusal(status, why).response()
        };
        self.route(request, turn).unwrap_or_else(refused)
    }

    fn edit(&mut self, edit: &Edit, turn: &mut Turn<'_>) -> Result<String, EditRefused> {
        let company = self.companies.get_mut(&edit.account);
        let company = company.ok_or_else(|| EditRefused("no such company".into()))?;
        let refused = |refusal: Refusal| EditRefused(refusal.1);
        let (id, told) = match edit.kind.as_str() {
            "contact" => company.edit_customer(edit, turn).map_err(refused)?,
            "appointment" => company.edit_appointment(edit, turn).map_err(refused)?,
            word @ ("service" | "resource") => {
                let offer = if word == "service" { Offer::Service } else { Offer::Resource };
                let (id, answered) = company.edit_offer(offer, edit, turn).map_err(refused)?;
                (id, answered.told.ok_or_else(|| EditRefused("nothing changed".into()))?)
            }
            other => return Err(EditRefused(format!("TIMIFY has no {other}"))),
        };
        let webhook = webhook(&edit.account, told, self.settings.webhook, turn);
        turn.webhooks.push(webhook);
        Ok(id)
    }

    fn state(&self) -> Value {
        let companies = self.companies.iter().map(|(id, company)| (id.clone(), company.state()));
        Value::Object(companies.collect())
    }

    fn object(&self, id: &str) -> Option<Value> {
        self.companies.values().find_map(|company| company.object(id))
    }
}

impl Company {
    fn answer(&mut self, path: &[&str], call: &mut Call<'_, '_>) -> Result<Answered, Refusal> {
        match path {
            ["customers", rest @ ..] => self.customer_call(rest, call),
            ["appointments", rest @ ..] => self.appointment_call(rest, call),
            ["resources", rest @ ..] => self.offer_call(Offer::Resource, rest, call),
            ["services", rest @ ..] => self.offer_call(Offer::Service, rest, call),
            // The vendor has no tasks, lists of notes or tag writes: they fall here like any unknown path.
            _ => Err(Refusal::missing("path")),
        }
    }

    fn object(&self, id: &str) -> Option<Value> {
        let customer = || self.customers.get(id).map(|one| one.with_plain(&self.known, self.switches));
        customer().or_else(|| self.appointments.get(id).map(|one| self.appointment_record(one)))
    }

    fn state(&self) -> Value {
        let customers: Vec<_> = self.customers.values().map(|one| one.with_plain(&self.known, self.switches)).collect();
        let appointments: Vec<_> = self.appointments.values().map(|one| self.appointment_record(one)).collect();
        json!({ "customers": customers, "appointments": appointments, "notified": self.notified })
    }
}

/// The vendor's whole-second instants: `2026-03-25T18:46:31Z`.
fn seconds(instant: Millis) -> String {
    let text = instant.rfc3339();
    text.split_once('.').map_or_else(|| text.clone(), |(whole, _)| format!("{whole}Z"))
}
