//! The bodies of TIMIFY's webhooks: the vendor documents none, so each part is spelt as the settings say.

use serde_json::{Map, Value, json};

use super::settings::{Spelling, WebhookBody, WebhookForm};
use crate::model::System;
use crate::sandbox::web;
use crate::sandbox::{Turn, Webhook};

/// A webhook to be: its name, as `customer_updated`, and the whole object.
pub(super) type Told = (&'static str, Value);

/// Objects that the vendor's own table names in the plural.
const PLURAL: &[(&str, &str)] = &[("customer", "customers"), ("service", "services"), ("field", "customer fields")];

/// The webhook of a company.
pub(super) fn webhook(company: &str, (name, whole): Told, form: WebhookForm, turn: &mut Turn<'_>) -> Webhook {
    let few = form.body == WebhookBody::Ids && whole.get("ids").is_none();
    let told = if few { json!({ "id": whole["id"], "externalId": whole["externalId"] }) } else { whole };
    let mut body = Map::new();
    body.insert(form.name_key.to_owned(), json!(spelt(name, form.spelling)));
    body.extend(form.company_key.map(|key| (key.to_owned(), json!(company))));
    match told {
        Value::Object(told) if !form.nested => body.extend(told),
        told => {
            body.insert("data".to_owned(), told);
        }
    }
    Webhook {
        system: System::Timify,
        extension: false,
        account: company.to_owned(),
        id: web::uuid(turn.rng),
        body: Value::Object(body),
        push_to: None,
    }
}

fn spelt(name: &str, spelling: Spelling) -> String {
    let (object, action) = name.split_once('_').unwrap_or((name, ""));
    match spelling {
        Spelling::Snake => name.to_owned(),
        Spelling::Dotted => format!("{}.{}", capital(object), capital(action)),
        Spelling::Words => {
            let object = PLURAL.iter().find(|(one, _)| *one == object).map_or(object, |(_, plural)| plural);
            format!("{object} {action}")
        }
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
