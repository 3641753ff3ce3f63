//! TIMIFY's services and resources: what is booked, and what it stands on. Both are listed, read, made, changed, deleted.

use http::Method;
use serde_json::{Map, Value, json};

use super::{Answered, Bookable, Call, Company, Refusal, TimifyCompany};
use crate::sandbox::web;
use crate::sandbox::{Edit, Turn};

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    Service,
    Resource,
}

impl Offer {
    fn list(self, known: &mut TimifyCompany) -> &mut Vec<Bookable> {
        if self == Self::Service { &mut known.services } else { &mut known.resources }
    }

    fn record(self, one: &Bookable, known: &TimifyCompany) -> Value {
        if self == Self::Service { one.as_offered(known) } else { one.as_place() }
    }

    /// The names of the webhooks of making, changing, deleting one.
    fn told(self) -> [&'static str; 3] {
        match self {
            Self::Service => ["service_created", "service_updated", "service_deleted"],
            Self::Resource => ["resource_created", "resource_updated", "resource_deleted"],
        }
    }
}

impl Bookable {
    /// A service, with the resources that are able to do it: here, all.
    pub(super) fn as_offered(&self, known: &TimifyCompany) -> Value {
        let able: Vec<_> = known.resources.iter().map(|one| one.id.as_str()).collect();
        json!({
            "id": self.id, "externalId": self.external_id, "name": self.name, "duration": self.duration,
            "isBookable": self.bookable, "dependencies": [{ "resourcesIds": able }],
        })
    }

    /// A resource as an appointment shows it: with its category.
    pub(super) fn as_place(&self) -> Value {
        json!({
            "id": self.id, "externalId": self.external_id, "name": self.name, "email": "",
            "category": {
                "id": "65a0000000000000000000c3", "externalId": "rooms", "internalId": "65a0000000000000000000c0",
                "orderIndex": 3, "name": "Rooms", "isDefault": false, "isDependency": false,
            },
        })
    }

    fn take(&mut self, body: &Map<String, Value>) {
        let external = web::text(body, "externalId").or_else(|| web::text(body, "external_id"));
        for (place, given) in [(&mut self.name, web::text(body, "name")), (&mut self.external_id, external)] {
            if let Some(given) = given {
                given.clone_into(place);
            }
        }
        self.duration = body.get("duration").and_then(Value::as_i64).or(self.duration);
        self.bookable = body.get("is_bookable").and_then(Value::as_bool).unwrap_or(self.bookable);
    }
}

impl Company {
    pub(super) fn offer_call(
        &mut self,
        offer: Offer,
        rest: &[&str],
        call: &mut Call<'_, '_>,
    ) -> Result<Answered, Refusal> {
        let wanted = call.params.get("bookable").and_then(|text| text.parse::<bool>().ok());
        let method = call.request.method().clone();
        let Some(given) = rest.first() else {
            if method == Method::POST {
                let body = call.body.clone();
                return self.change_offer(offer, "create", "", &body, call.turn).map(|(_, answered)| answered);
            }
            let list = offer.list(&mut self.known).clone();
            let shown = list.iter().filter(|one| wanted.is_none_or(|wanted| one.bookable == wanted));
            let records: Vec<_> = shown.map(|one| offer.record(one, &self.known)).collect();
            return Ok(Answered::quiet(call.page(&records)));
        };
        let external = call.params.get("external") == Some("1");
        let named = |one: &&Bookable| if external { one.external_id == **given } else { one.id == **given };
        let id = offer.list(&mut self.known).iter().find(named).map(|one| one.id.clone());
        let id = id.ok_or_else(|| Refusal::missing("offer"))?;
        let action = match method {
            Method::GET => "read",
            Method::PATCH => "update",
            Method::DELETE => "delete",
            _ => return Err(Refusal(405, "method not allowed".into())),
        };
        let body = call.body.clone();
        self.change_offer(offer, action, &id, &body, call.turn).map(|(_, answered)| answered)
    }

    /// Makes a user's edit of a service or a resource: `name`, `externalId`, `duration`, `is_bookable`.
    pub(super) fn edit_offer(
        &mut self,
        offer: Offer,
        edit: &Edit,
        turn: &mut Turn<'_>,
    ) -> Result<(String, Answered), Refusal> {
        let none = Map::new();
        let fields = edit.fields.as_object().unwrap_or(&none);
        self.change_offer(offer, &edit.action, edit.id.as_deref().unwrap_or(""), fields, turn)
    }

    fn change_offer(
        &mut self,
        offer: Offer,
        action: &str,
        id: &str,
        body: &Map<String, Value>,
        turn: &mut Turn<'_>,
    ) -> Result<(String, Answered), Refusal> {
        let [created, updated, deleted] = offer.told();
        let list = offer.list(&mut self.known);
        let at = list.iter().position(|one| one.id == id);
        let known = at.ok_or_else(|| Refusal::missing("offer"));
        let (at, name) = match action {
            "create" => {
                let (id, name) = (web::hex_id(turn.rng, 24), String::new());
                list.push(Bookable { id, external_id: String::new(), name, duration: None, bookable: true });
                (list.len() - 1, Some(created))
            }
            "read" => (known?, None),
            "update" => (known?, Some(updated)),
            "delete" => {
                let gone = list.remove(known?);
                let reference = json!({ "id": gone.id, "externalId": gone.external_id });
                return Ok((gone.id, Answered::gone(deleted, reference)));
            }
            other => return Err(Refusal::invalid(format!("a TIMIFY offer cannot {other}"))),
        };
        list[at].take(body);
        let one = list[at].clone();
        let record = offer.record(&one, &self.known);
        let answered = Answered::one(&record, name.unwrap_or_default());
        Ok((one.id, if name.is_some() { answered } else { Answered::quiet(answered.response) }))
    }
}
