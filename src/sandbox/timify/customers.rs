//! TIMIFY customers: every value is a custom field, and a phone value is a JSON text inside the value.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Map, Value, json};

use super::settings::{Shared, TimifySwitches};
use super::{Answered, Call, Company, Refusal, TimifyCompany, Told, seconds};
use crate::clock::Millis;
use crate::sandbox::web;
use crate::sandbox::{Edit, Turn};

/// Calling codes that the phone form of the vendor's page can split; others stay whole.
const COUNTRIES: &[(&str, &str)] =
    &[("+49", "DE"), ("+43", "AT"), ("+41", "CH"), ("+34", "ES"), ("+44", "GB"), ("+81", "JP"), ("+1", "US")];

/// A customer.
pub(super) struct Customer {
    id: String,
    external_id: Option<String>,
    created: Millis,
    updated: Millis,
    /// By field id; a cleared value stays as an empty text, one never set is not there.
    values: BTreeMap<String, String>,
}

/// What a call or an edit changes.
#[derive(Default)]
struct Wish {
    /// Empty clears it.
    external_id: Option<String>,
    values: Vec<(String, String)>,
}

impl Customer {
    pub(super) fn reference(&self) -> Value {
        json!({ "id": self.id, "externalId": self.external_id })
    }

    /// The record as the API shows it.
    pub(super) fn record(&self, known: &TimifyCompany, switches: TimifySwitches) -> Value {
        let held = known.fields.iter().filter_map(|field| Some((field, self.values.get(&field.id)?)));
        let fields: Vec<_> = held
            .clone()
            .map(|(field, value)| {
                let (key, name) = field.keyed(switches.field_key);
                json!({ "id": field.id, key: name, "type": field.form, "value": value })
            })
            .collect();
        let mut record = json!({ "id": self.id, "externalId": self.external_id });
        if switches.customer_times {
            record["createdAt"] = json!(seconds(self.created));
            record["updatedAt"] = json!(seconds(self.updated));
        }
        record["fields"] = json!(fields);
        if let Some(record) = record.as_object_mut().filter(|_| switches.plain_keys) {
            record.extend(held.filter_map(|(field, value)| Some((field.default_id.clone()?, json!(value)))));
        }
        record
    }

    /// The record, with the values once more by name (`plain`), phones as bare numbers: for looking and comparing.
    pub(super) fn with_plain(&self, known: &TimifyCompany, switches: TimifySwitches) -> Value {
        let plain = known.fields.iter().filter_map(|field| {
            let value = self.values.get(&field.id)?;
            let inner = serde_json::from_str::<Value>(value).ok().filter(|_| field.form == "PHONE");
            let value = inner.and_then(|inner| inner["phone"].as_str().map(str::to_owned)).unwrap_or(value.clone());
            Some((field.name().to_owned(), Value::String(value)))
        });
        let mut record = self.record(known, switches);
        record["plain"] = Value::Object(plain.collect());
        record
    }

    fn take(&mut self, wish: Wish, now: Millis) {
        if let Some(external_id) = wish.external_id {
            self.external_id = Some(external_id).filter(|id| !id.is_empty());
        }
        self.values.extend(wish.values);
        self.updated = now;
    }
}

impl Company {
    pub(super) fn customer_call(&mut self, rest: &[&str], call: &mut Call<'_, '_>) -> Result<Answered, Refusal> {
        match (call.request.method().clone(), rest) {
            (_, ["customfields", rest @ ..]) => self.field_call(rest, call),
            (Method::GET, []) => {
                let records: Vec<_> =
                    self.customers.values().map(|one| one.record(&self.known, self.switches)).collect();
                Ok(Answered::quiet(call.page(&records)))
            }
            (Method::POST, []) => {
                let wish = self.wish(&call.body)?;
                let id = self.add_customer(wish, call.turn);
                Ok(Answered::one(&self.customers[&id].record(&self.known, self.switches), "customer_created"))
            }
            (method, [id]) => {
                let id = self.customer_id(id, call.params.get("external") == Some("1"))?;
                self.on_customer(&method, &id, call)
            }
            _ => Err(Refusal::missing("path")),
        }
    }

    fn on_customer(&mut self, method: &Method, id: &str, call: &mut Call<'_, '_>) -> Result<Answered, Refusal> {
        match *method {
            Method::GET => Ok(Answered::read(&self.customers[id].record(&self.known, self.switches))),
            Method::PATCH | Method::DELETE if self.switches.shared_customers == Shared::Refused => {
                Err(Refusal(403, "the enterprise does not let a branch change shared customers".into()))
            }
            Method::PATCH | Method::DELETE if self.switches.shared_customers == Shared::Ignored => {
                Ok(Answered::read(&self.customers[id].record(&self.known, self.switches)))
            }
            Method::PATCH => {
                let wish = self.wish(&call.body)?;
                Ok(Answered::one(&self.change_customer(id, wish, call.turn.now)?, "customer_updated"))
            }
            Method::DELETE => Ok(Answered::gone("customer_deleted", self.remove_customer(id)?)),
            _ => Err(Refusal(405, "method not allowed".into())),
        }
    }

    /// Makes a user's edit of a customer; fields by `defaultId` or label, a phone as a bare E.164 number.
    pub(super) fn edit_customer(&mut self, edit: &Edit, turn: &mut Turn<'_>) -> Result<(String, Told), Refusal> {
        let none = Map::new();
        let wish = self.typed_in(edit.fields.as_object().unwrap_or(&none))?;
        let id = edit.id.as_deref().unwrap_or("");
        match edit.action.as_str() {
            "create" => {
                let id = self.add_customer(wish, turn);
                let record = self.customers[&id].record(&self.known, self.switches);
                Ok((id, ("customer_created", record)))
            }
            "update" => Ok((id.to_owned(), ("customer_updated", self.change_customer(id, wish, turn.now)?))),
            "delete" => Ok((id.to_owned(), ("customer_deleted", self.remove_customer(id)?))),
            other => Err(Refusal::invalid(format!("a TIMIFY customer cannot {other}"))),
        }
    }

    /// The customer's own id, from it or from the operator's external id (the first made wins: ids need not be unique).
    fn customer_id(&self, given: &str, external: bool) -> Result<String, Refusal> {
        if !external {
            return self.customers.get(given).map(|one| one.id.clone()).ok_or_else(|| Refusal::missing("customer"));
        }
        let named = self.customers.values().filter(|one| one.external_id.as_deref() == Some(given));
        let first = named.min_by_key(|one| one.created);
        first.map(|one| one.id.clone()).ok_or_else(|| Refusal::missing("customer"))
    }

    fn add_customer(&mut self, wish: Wish, turn: &mut Turn<'_>) -> String {
        let id = web::hex_id(turn.rng, 24);
        let mut customer = Customer {
            id: id.clone(),
            external_id: None,
            created: turn.now,
            updated: turn.now,
            values: BTreeMap::new(),
        };
        customer.take(wish, turn.now);
        self.customers.insert(id.clone(), customer);
        id
    }

    fn change_customer(&mut self, id: &str, wish: Wish, now: Millis) -> Result<Value, Refusal> {
        let customer = self.customers.get_mut(id).ok_or_else(|| Refusal::missing("customer"))?;
        customer.take(wish, now);
        Ok(customer.record(&self.known, self.switches))
    }

    fn remove_customer(&mut self, id: &str) -> Result<Value, Refusal> {
        self.customers.remove(id).map(|one| one.reference()).ok_or_else(|| Refusal::missing("customer"))
    }

    /// Reads `externalId` and `customfields: [{id, value}]`; an id that is not this company's is refused.
    fn wish(&self, body: &Map<String, Value>) -> Result<Wish, Refusal> {
        let mut wish = Wish { external_id: external_id(body), ..Wish::default() };
        let fields = match body.get("customfields") {
            None => return Ok(wish),
            Some(fields) => fields.as_array().ok_or_else(|| Refusal::invalid("customfields must be a list"))?,
        };
        for item in fields {
            let id = item["id"].as_str().unwrap_or("");
            let known = self.known.fields.iter().find(|field| field.id == id);
            let known = known.ok_or_else(|| Refusal::invalid(format!("unknown custom field {id}")))?;
            wish.values.push((known.id.clone(), known.checked(&item["value"])?));
        }
        Ok(wish)
    }

    fn typed_in(&self, fields: &Map<String, Value>) -> Result<Wish, Refusal> {
        let mut wish = Wish { external_id: external_id(fields), ..Wish::default() };
        for (name, value) in fields.iter().filter(|(name, _)| *name != "externalId") {
            let known = self.known.fields.iter().find(|field| field.name() == name || field.id == *name);
            let known = known.ok_or_else(|| Refusal::invalid(format!("the company has no field {name}")))?;
            let bare = value.as_str().filter(|text| known.form == "PHONE" && text.starts_with('+'));
            let value = bare.map_or_else(|| value.clone(), |number| Value::String(phone_value(number)));
            wish.values.push((known.id.clone(), known.checked(&value)?));
        }
        Ok(wish)
    }
}

fn external_id(body: &Map<String, Value>) -> Option<String> {
    let value = body.get("externalId").or_else(|| body.get("external_id"))?;
    Some(value.as_str().unwrap_or("").to_owned())
}

/// A phone number as the vendor's own page stores it: a JSON text with phone, country, prefix, number.
fn phone_value(number: &str) -> String {
    let (prefix, country) =
        COUNTRIES.iter().find(|(prefix, _)| number.starts_with(prefix)).copied().unwrap_or(("+", ""));
    let local = &number[prefix.len()..];
    json!({ "phone": number, "country": country, "prefix": &prefix[1..], "number": format!("0{local}") }).to_string()
}
