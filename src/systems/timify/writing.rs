//! Writes customers and appointments: one step, one write.
//!
//! In: steps of a plan. Out: what the vendor answered. Nothing is written of a step that names a field which the company does
//! not have. The notes within customers are written in `notes`.

use http::Method;
use serde_json::{Value as Json, json};

use super::customers::Card;
use super::{Timify, appointments};
use crate::model::{Action, ExternalId, Field, Kind, Observation, Shape, Step, System};
use crate::systems::{Answer, SystemError, wire};

/// Deletes appointments; the one deletion whose notices are documented.
const BULK: &str = "/v1/appointments/delete/bulk";

/// Why an appointment stays where the bulk call is missing.
const MIGHT_TELL: &str = "TIMIFY has no call here that deletes without telling the customer: delete it there by hand, or set \
                          timify = true in [workspaces.notify] to let it tell them";

const SERIES: &str = "it is one of a series in TIMIFY, and a series is only changed as a whole: change it in TIMIFY, where \
                      people see all its days";

impl Timify {
    pub(super) async fn create(&self, step: &Step) -> Result<Answer, SystemError> {
        let (status, json) = if step.kind == Kind::Contact {
            self.write_customer(Method::POST, "/v1/customers", step).await?
        } else {
            let mut body = self.appointment_body(step)?;
            if let Some(customer) = &step.parent {
                body["customer_id"] = json!(customer.as_str());
            }
            self.ask(Method::POST, self.collection(step.kind)?, Some(body), true).await?
        };
        // Made, but under which id? Only a look tells.
        let id = wire::id(wire::first(&json, &["/data/id", "/data/_id"])).ok_or_else(|| SystemError::Unclear {
            system: System::Timify,
            status: Some(status),
            reason: "the answer to a create names no id".to_owned(),
        })?;
        Ok(Answer { id, shown: self.shown(step.kind, &json), status })
    }

    pub(super) async fn change(&self, step: &Step, id: &ExternalId) -> Result<Answer, SystemError> {
        let path = self.path(step.kind, id)?;
        let (status, json) = match (step.action, step.kind) {
            (Action::Update, Kind::Contact) => self.write_customer(Method::PATCH, &path, step).await?,
            (Action::Delete, Kind::Contact) => self.ask(Method::DELETE, &path, None, true).await?,
            (Action::Update, _) => {
                let body = self.appointment_body(step)?;
                self.check_single(step, id, &path).await?;
                self.ask(Method::PATCH, &path, Some(body), true).await?
            }
            (Action::Delete, _) => {
                self.check_single(step, id, &path).await?;
                self.delete_appointment(id, &path).await?
            }
            _ => return Err(self.refused("TIMIFY has no such call")),
        };
        Ok(Answer { id: id.clone(), shown: self.shown(step.kind, &json), status })
    }

    fn appointment_body(&self, step: &Step) -> Result<Json, SystemError> {
        appointments::body(step, &self.company).map_err(|reason| self.refused(reason))
    }

    /// Refuses what would change one day of a series, or all of it for one: only the record as it stands tells. Where the lane
    /// has just read it, it is not read again.
    async fn check_single(&self, step: &Step, id: &ExternalId, path: &str) -> Result<(), SystemError> {
        if id.within().is_some() {
            return Err(self.refused(SERIES));
        }
        if step.alone {
            return Ok(());
        }
        let (_, json) = self.get(path).await?;
        let record = &json["data"];
        let later = appointments::later(record, &self.company.calendars);
        if later.map_or_else(|| appointments::recurs(record), |later| !later.is_empty()) {
            Err(self.refused(SERIES))
        } else {
            Ok(())
        }
    }

    /// Deletes one appointment by the bulk call, for which it is documented how to notify nobody. Where an app or a host has no
    /// such call, by the plain one, of which the vendor does not say whether it takes those words: so only where customers may be
    /// told anyway. The words stand in query and body, as a body of a DELETE may be dropped on the way.
    async fn delete_appointment(&self, id: &ExternalId, path: &str) -> Result<(u16, Json), SystemError> {
        let mut body = json!({ "ids": [id.as_str()] });
        let notices = appointments::notices(&self.company);
        for (key, notify) in notices {
            body[key] = json!(notify);
        }
        match self.ask(Method::POST, BULK, Some(body.clone()), true).await {
            Err(SystemError::Gone { .. } | SystemError::Refused { status: 405, .. }) => {}
            answer => return answer,
        }
        if !self.company.notify {
            return Err(self.refused(MIGHT_TELL));
        }
        let words = notices.map(|(key, notify)| (key, if notify { "true" } else { "false" }));
        body["ids"].take();
        self.ask(Method::DELETE, &wire::query(path, &words), Some(body), true).await
    }

    async fn write_customer(&self, method: Method, path: &str, step: &Step) -> Result<(u16, Json), SystemError> {
        let card = self.card_for(step).await?;
        let body = |card: &Card<'_>| {
            let mut body = json!({ "customfields": card.entries(step) });
            if let (Action::Create, Some(key)) = (step.action, step.key) {
                body["externalId"] = json!(key.to_string());
            }
            body
        };
        self.send(method, path, card, body).await
    }

    /// Writes custom fields. What the vendor answers to a field id that it does not know is not documented: so whatever it
    /// refuses, the definitions are read again, and where that makes another body, it is sent once more.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        card: Card<'_>,
        body: impl Fn(&Card<'_>) -> Json + Send + Sync,
    ) -> Result<(u16, Json), SystemError> {
        let first = body(&card);
        let refused = match self.ask(method.clone(), path, Some(first.clone()), true).await {
            Err(refused @ SystemError::Refused { .. }) => refused,
            answer => return answer,
        };
        let newer = self.newer(card.definitions()).await.map_err(|_| refused.clone())?;
        let again = body(&Card::new(&self.company, Some(newer)));
        if again == first {
            return Err(refused);
        }
        self.ask(method, path, Some(again), true).await
    }

    /// A card on which each of the step's fields has a place; at a miss the definitions are read again first.
    async fn card_for(&self, step: &Step) -> Result<Card<'_>, SystemError> {
        let card = Card::new(&self.company, Some(self.definitions().await?));
        if card.lacks(step).is_none() {
            return Ok(card);
        }
        let card = Card::new(&self.company, Some(self.newer(card.definitions()).await?));
        let (Some(lacking), projection) = (card.lacks(step), &self.company.projection) else { return Ok(card) };
        let label = projection.tags_field.as_deref().filter(|_| projection.make_tags_field);
        match label {
            // Tags come last among the fields: all others have their place.
            Some(label) if lacking.as_tag().is_some() => {
                Ok(Card::new(&self.company, Some(self.make_field(label).await?)))
            }
            _ => Err(self.lacking(&card, &lacking)),
        }
    }

    fn lacking(&self, card: &Card<'_>, field: &Field) -> SystemError {
        if let Some(id) = card.unknown_id(field) {
            let name = field.as_custom().unwrap_or(field.name());
            return self.refused(&format!(
                "`[workspaces.timify.fields] {name}` names the customer field `{id}`, which the company does not have"
            ));
        }
        // Planned before the definitions were read; the next plan leaves the field out.
        SystemError::Unavailable {
            system: System::Timify,
            status: None,
            reason: format!("the company's customers have no field for {field}"),
        }
    }

    /// What a write's answer shows, where it shows the record. It may show less than all: what is empty in it says nothing.
    fn shown(&self, kind: Kind, json: &Json) -> Option<Observation> {
        let telling: &[&str] =
            if kind == Kind::Contact { &["/data/fields", "/data/customfields"] } else { &["/data/startDate"] };
        if wire::first(json, telling).is_null() {
            return None;
        }
        let mut shown = wire::partial(self.current(kind, &json["data"])?);
        if let Shape::Partial(fields) = &mut shown.shape {
            fields.retain(|_, value| !value.is_blank());
        }
        shown.all_tags = false;
        Some(shown)
    }
}
