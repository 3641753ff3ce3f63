//! The fields of a company's customers: how they are defined, sorted into categories, and what values they take.

use http::Method;
use serde_json::{Map, Value, json};

use super::settings::{FieldDefinition, FieldKey};
use super::{Answered, Call, Company, Refusal};
use crate::sandbox::web;

/// A category that fields stand in.
pub(super) struct Category {
    id: String,
    name: String,
}

impl Category {
    fn record(&self) -> Value {
        json!({ "id": self.id, "name": self.name })
    }
}

impl FieldDefinition {
    /// What people call it: the vendor's key, or the label.
    pub(super) fn name(&self) -> &str {
        self.default_id.as_deref().or(self.label.as_deref()).unwrap_or(&self.id)
    }

    /// The vendor's own key under the key of the switch; nothing of an own field but the empty key.
    pub(super) fn keyed(&self, spelling: FieldKey) -> (String, Value) {
        let translated = || self.default_id.as_ref().map(|key| format!("customerFields.basic.{key}"));
        match spelling {
            FieldKey::DefaultId => ("defaultId".to_owned(), json!(self.default_id)),
            FieldKey::SnakeDefaultId => ("default_id".to_owned(), json!(self.default_id)),
            FieldKey::TranslationKey => ("translationKey".to_owned(), json!(translated())),
        }
    }

    fn record(&self, order: usize, spelling: FieldKey) -> Value {
        let mut record = json!({
            "id": self.id, "type": self.form, "label": self.label, "orderIndex": order, "isMandatoryOnline": false,
            "isAfterAuth": true, "hasOverwrite": true, "selectOptions": null, "placeholder": null,
        });
        for (key, value) in [self.keyed(FieldKey::TranslationKey), self.keyed(spelling)] {
            record[key] = value;
        }
        record
    }

    /// A value as the vendor keeps it; a phone must be a JSON text with `phone` or `number`.
    pub(super) fn checked(&self, value: &Value) -> Result<String, Refusal> {
        let text = match value {
            Value::Null => "",
            Value::String(text) => text,
            _ => return Err(Refusal::invalid("a custom field's value must be a text")),
        };
        if self.form == "PHONE" && !text.is_empty() {
            let phone: Value = serde_json::from_str(text).unwrap_or_default();
            if !phone["phone"].is_string() && !phone["number"].is_string() {
                return Err(Refusal::invalid("a phone's value must be a JSON text with phone or number"));
            }
        }
        if self.form == "EMAIL" && !text.is_empty() && !text.contains('@') {
            return Err(Refusal::invalid("not an e-mail address"));
        }
        Ok(text.to_owned())
    }
}

impl Company {
    /// Answers a call below `/v1/customers/customfields`.
    pub(super) fn field_call(&mut self, rest: &[&str], call: &mut Call<'_, '_>) -> Result<Answered, Refusal> {
        match (call.request.method().clone(), rest) {
            (Method::GET, []) => {
                let fields = self.known.fields.iter().enumerate();
                let records = fields.map(|(order, field)| field.record(order, self.switches.field_key));
                Ok(Answered::quiet(call.page(&records.collect::<Vec<_>>())))
            }
            (Method::POST, []) => self.define(call),
            (Method::GET, ["categories"]) => {
                let records: Vec<_> = self.categories.iter().map(Category::record).collect();
                Ok(Answered::quiet(call.page(&records)))
            }
            (Method::POST, ["categories"]) => {
                let name = web::text(&call.body, "name").ok_or_else(|| Refusal::invalid("name is missing"))?;
                let category = Category { id: web::hex_id(call.turn.rng, 24), name: name.to_owned() };
                let answered = Answered::read(&category.record());
                self.categories.push(category);
                Ok(answered)
            }
            (Method::GET, ["categories", id]) => Ok(Answered::read(&self.categories[self.category(id)?].record())),
            (Method::DELETE, ["categories", id]) => {
                self.categories.remove(self.category(id)?);
                Ok(Answered::read(&json!({})))
            }
            _ => Err(Refusal::missing("path")),
        }
    }

    fn category(&self, id: &str) -> Result<usize, Refusal> {
        self.categories.iter().position(|one| one.id == id).ok_or_else(|| Refusal::missing("category"))
    }

    /// Makes a definition; `label` or `name`, `type`, and `category_id`.
    fn define(&mut self, call: &mut Call<'_, '_>) -> Result<Answered, Refusal> {
        let of = |body: &Map<String, Value>, keys: [&str; 2]| {
            keys.iter().find_map(|key| web::text(body, key)).map(str::to_owned)
        };
        let label = of(&call.body, ["label", "name"]).ok_or_else(|| Refusal::invalid("label is missing"))?;
        match of(&call.body, ["category_id", "categoryId"]) {
            Some(category) => _ = self.category(&category)?,
            None if self.switches.field_needs_category => return Err(Refusal::invalid("category_id is missing")),
            None => {}
        }
        let form = web::text(&call.body, "type").unwrap_or("TEXT").to_owned();
        let id = web::hex_id(call.turn.rng, 24);
        let field = FieldDefinition { id, default_id: None, label: Some(label), form };
        let record = field.record(self.known.fields.len(), self.switches.field_key);
        self.known.fields.push(field);
        let told = Answered::one(&record, "field_created");
        Ok(if self.switches.tells_fields { told } else { Answered::quiet(told.response) })
    }
}
