//! Calls an extension endpoint, and says what it can hold.
//!
//! In: places, steps and cursors. Out: readings, answers and pages. A missing object is 404; a create's 409 names the existing
//! one. A key that is absent says nothing, so that nothing is cleared because an endpoint leaves it out. Signing and the mapping
//! of other statuses are the [`Caller`]'s.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{door, map};
use crate::clock::Millis;
use crate::ids::Ids;
use crate::model::{
    Action, Change, Class, Entity, ExternalId, Field, Fields, Kind, Link, Observation, Place, Shape, Step, System,
    Value,
};
use crate::systems::call::{Caller, Reply, encode, short_line};
use crate::systems::{
    Answer, Expressed, Home, Page, Reading, Shown, SystemError, Target, Terms, Unreadable, Wanted, wire,
};

/// Objects asked for on one page.
const PAGE: &str = "100";
/// Pages that a look for an existing contact reads before it gives up: a cursor that never ends is a fault.
const PAGES: usize = 1_000;
/// The longest that an endpoint may have us wait: it is the operator's own, and a slip in its `Retry-After` must not stop a lane
/// for days.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
const NO_APPOINTMENTS: &str = "the extension contract has no appointments: both vendors have their own";

/// The extension endpoint of one system in one workspace.
pub struct ExtensionClient {
    system: System,
    caller: Caller,
    region: Option<String>,
    ids: Arc<Ids>,
}

impl ExtensionClient {
    /// `caller`: with the endpoint's base url and a [`StandardWebhooks`](crate::credentials::standard_webhooks::StandardWebhooks) credential.
    /// `region`: the default country of phone numbers.
    pub fn new(caller: Caller, region: Option<String>, ids: Arc<Ids>) -> Self {
        Self { system: caller.system(), caller, region, ids }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<Json>,
        writes: bool,
    ) -> Result<Reply, SystemError> {
        self.caller.ask(method, path, headers, body, writes).await.map_err(|error| match error {
            SystemError::Wait { system, status, after } => {
                SystemError::Wait { system, status, after: after.map(|after| after.min(LONGEST_WAIT)) }
            }
            error => error,
        })
    }

    pub(super) async fn get(&self, path: &str) -> Result<(u16, Json), SystemError> {
        self.success(self.ask(Method::GET, path, &[], None, false).await?)
    }

    /// A write. `key` makes a create repeatable; any other write gets a key of its own, for a second equal write may be meant
    /// (a value written again after somebody else's), and must not be answered with the first one's answer.
    async fn write(
        &self,
        method: Method,
        path: &str,
        body: Option<Json>,
        key: Option<Uuid>,
    ) -> Result<Reply, SystemError> {
        let key = key.unwrap_or_else(|| self.ids.uuid(self.caller.offset().now())).to_string();
        self.ask(method, path, &[("idempotency-key", &key)], body, true).await
    }

    /// Refusals are problem+json.
    fn success(&self, reply: Reply) -> Result<(u16, Json), SystemError> {
        let (system, status) = (self.system, reply.status);
        let said = short_line(wire::first(&reply.body, &["/detail", "/title"]));
        reply.success(system).map_err(|error| match (error, said) {
            (SystemError::Refused { .. }, Some(reason)) => SystemError::Refused { system, status, reason },
            (error, _) => error,
        })
    }

    /// The path of an object, or of the collection where `id` is `None`.
    fn path(&self, kind: Kind, id: Option<&ExternalId>, parent: Option<&ExternalId>) -> Result<String, SystemError> {
        let refused = |reason| wire::not_sent(self.system, reason);
        let plural = map::plural(kind).ok_or_else(|| refused(NO_APPOINTMENTS))?;
        let mut path = String::new();
        if kind != Kind::Contact {
            let parent = parent.ok_or_else(|| refused("the contact that it belongs to is not known here"))?;
            path = format!("/contacts/{}", encode(parent.as_str()));
        }
        path = format!("{path}/{plural}");
        Ok(id.map_or_else(|| path.clone(), |id| format!("{path}/{}", encode(id.as_str()))))
    }

    fn object(&self, kind: Kind, status: u16, json: &Json) -> Result<Observation, SystemError> {
        let ours = |instant| self.caller.offset().to_ours(instant);
        door::object(kind, json, self.region.as_deref(), ours)
            .ok_or_else(|| self.garbled(status, "no object with an id"))
    }

    fn garbled(&self, status: u16, reason: &str) -> SystemError {
        SystemError::Garbled { system: self.system, status, reason: reason.to_owned() }
    }

    /// The tags of a contact, those that are set. `None`: the endpoint knows nothing of them, which is not to say that there
    /// are none.
    pub(super) async fn tags(&self, contact: &ExternalId) -> Result<Option<Fields>, SystemError> {
        match self.get(&tags_path(contact)).await {
            Ok((status, json)) => map::all_tags(&json)
                .map(Some)
                .ok_or_else(|| self.garbled(status, "an answer without its list of `tags`")),
            Err(SystemError::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn retag(&self, method: Method, step: &Step, contact: &ExternalId) -> Result<Answer, SystemError> {
        let names: Vec<&str> = step.fields.keys().filter_map(Field::as_tag).collect();
        let reply = self.write(method, &tags_path(contact), Some(json!({ "tags": names })), None).await?;
        let (status, json) = self.success(reply)?;
        let shown = map::all_tags(&json).map(|all| {
            let mut tags: Fields = step.fields.keys().map(|field| (field.clone(), Value::Blank)).collect();
            tags.extend(all);
            Observation::new(Kind::Contact, contact.clone(), Class::Current, Shape::Partial(tags))
        });
        Ok(Answer { id: contact.clone(), shown, status })
    }

    async fn create(&self, step: &Step) -> Result<Answer, SystemError> {
        let path = self.path(step.kind, None, step.parent.as_ref())?;
        let reply = self.write(Method::POST, &path, Some(map::body(step)), step.key).await?;
        if let Some(existing) = wire::id(&reply.body["id"]).filter(|_| reply.status == 409) {
            return Err(SystemError::Exists { system: self.system, status: reply.status, existing });
        }
        let (status, json) = self.success(reply)?;
        let shown = self.answered(step.kind, status, &json);
        // Made, but under which id? A look tells, a second create would not be safe without the key.
        let unclear = || SystemError::Unclear {
            system: self.system,
            status: Some(status),
            reason: "the answer to a create names no id".to_owned(),
        };
        let id = shown.as_ref().map(|shown| shown.id.clone()).ok_or_else(unclear)?;
        Ok(Answer { id, shown, status })
    }

    /// What the answer to a write shows.
    fn answered(&self, kind: Kind, status: u16, json: &Json) -> Option<Observation> {
        self.object(kind, status, json).ok().map(current)
    }

    async fn change(&self, step: &Step, id: &ExternalId) -> Result<Answer, SystemError> {
        let path = self.path(step.kind, Some(id), step.parent.as_ref())?;
        let (method, path, body) = match step.action {
            Action::Delete => (Method::DELETE, path, None),
            Action::Complete => {
                let completed = step.fields.get(&Field::COMPLETED).is_some_and(Value::is_set);
                (Method::PUT, format!("{path}/completed"), Some(json!({ "completed": completed })))
            }
            Action::Update => (Method::PUT, path, Some(map::body(step))),
            _ => return Err(wire::not_sent(self.system, "the extension contract has no such call")),
        };
        let (status, json) = self.success(self.write(method, &path, body, None).await?)?;
        let shown = self.answered(step.kind, status, &json).filter(|shown| shown.id == *id);
        Ok(Answer { id: id.clone(), shown, status })
    }
}

fn tags_path(contact: &ExternalId) -> String {
    format!("/contacts/{}/tags", encode(contact.as_str()))
}

impl Terms for ExtensionClient {
    fn system(&self) -> System {
        self.system
    }

    fn home(&self, kind: Kind) -> Home {
        if map::plural(kind).is_some() { Home::Extension } else { Home::Refused(NO_APPOINTMENTS) }
    }

    fn tags(&self) -> Home {
        Home::Extension
    }

    fn creates(&self, kind: Kind) -> Result<(), &'static str> {
        map::plural(kind).map(|_| ()).ok_or(NO_APPOINTMENTS)
    }

    fn changes(&self, kind: Kind) -> Result<(), &'static str> {
        self.creates(kind)
    }

    fn express(&self, kind: Kind, field: &Field, value: &Value) -> Expressed {
        if map::knows(kind, field) { Expressed::Holds(value.clone()) } else { Expressed::Absent }
    }

    fn carriers(&self, kind: Kind, field: &Field, value: &Value, making: bool) -> &'static [Action] {
        match (map::knows(kind, field), field.as_tag()) {
            (false, _) => &[],
            (true, _) if making => &[Action::Create],
            (true, Some(_)) if value.is_set() => &[Action::AddTags],
            (true, Some(_)) => &[Action::RemoveTags],
            (true, None) if *field == Field::COMPLETED => &[Action::Complete, Action::Update],
            (true, None) => &[Action::Update],
        }
    }

    fn wants(&self, _entity: &Entity) -> bool {
        true
    }

    fn is_final(&self, _kind: Kind, _field: &Field, _value: &Value) -> bool {
        false
    }

    fn gone_means(&self, _kind: Kind) -> Option<(Field, Value)> {
        None
    }

    fn observe(&self, change: &Change) -> Result<Vec<Observation>, Unreadable> {
        let offset = self.caller.offset();
        let seen = door::observe(&change.said.body, self.region.as_deref(), |instant| offset.to_ours(instant))?;
        Ok(seen.into_iter().map(|one| offset.weighed(one, change.said.received)).collect())
    }
}

#[async_trait]
impl Target for ExtensionClient {
    async fn read(&self, place: &Place) -> Result<Reading, SystemError> {
        let path = self.path(place.kind, Some(&place.id), place.parent.as_ref())?;
        match self.get(&path).await {
            Ok((status, json)) => {
                let observation = current(self.object(place.kind, status, &json)?);
                if observation.id != place.id {
                    return Err(self.garbled(status, "another object than the one that was asked for"));
                }
                Ok(Reading::new(observation, status))
            }
            Err(SystemError::Gone { status, .. }) => Ok(Reading::new(wire::gone(place), status)),
            Err(error) => Err(error),
        }
    }

    /// Looks for a contact by e-mail or phone. Tasks and notes need no look: the endpoint keeps creates apart by their key.
    async fn find(&self, wanted: &Wanted) -> Result<Vec<Reading>, SystemError> {
        if wanted.kind != Kind::Contact || !wire::has_address(&wanted.fields) {
            return Ok(Vec::new());
        }
        let (mut found, mut page) = (Vec::new(), None);
        for _ in 0..PAGES {
            let Page { observations, next, .. } = self.changed(Kind::Contact, None, page.as_deref()).await?;
            let same = observations
                .into_iter()
                .filter(|one| one.fields().is_some_and(|it| wire::same_person(it, &wanted.fields)));
            found.extend(same.map(|one| Reading::new(current(one), 200)));
            page = next;
            if page.is_none() {
                return Ok(found);
            }
        }
        Err(self.garbled(200, "the list of contacts does not end"))
    }

    async fn apply(&self, step: &Step) -> Result<Answer, SystemError> {
        let unknown = || wire::not_sent(self.system, "the step names no object");
        match (step.action, &step.id) {
            (Action::Create, _) => self.create(step).await,
            (_, None) => Err(unknown()),
            (Action::AddTags, Some(id)) => self.retag(Method::POST, step, id).await,
            (Action::RemoveTags, Some(id)) => self.retag(Method::DELETE, step, id).await,
            (_, Some(id)) => self.change(step, id).await,
        }
    }

    fn granted(&self, _kind: Kind, _action: Action) -> Result<(), SystemError> {
        Ok(())
    }

    async fn changed(&self, kind: Kind, since: Option<Millis>, page: Option<&str>) -> Result<Page, SystemError> {
        let plural = map::plural(kind).ok_or_else(|| wire::not_sent(self.system, NO_APPOINTMENTS))?;
        let since = since.map(|since| self.caller.offset().to_theirs(since).rfc3339());
        let mut pairs = vec![("limit", PAGE)];
        pairs.extend(since.as_deref().map(|since| ("updatedSince", since)));
        pairs.extend(page.map(|page| ("cursor", page)));
        let (status, json) = self.get(&wire::query(&format!("/{plural}"), &pairs)).await?;
        let Some(items) = json["items"].as_array() else {
            return Err(self.garbled(status, "a list without `items`"));
        };
        let observations = items.iter().filter_map(|item| self.object(kind, status, item).ok());
        let observations = observations.map(|one| Observation { class: Class::Claim, ..one }).collect();
        let next = wire::text(&json["nextCursor"]).as_text().map(str::to_owned);
        if next.is_some() && next.as_deref() == page {
            return Err(self.garbled(status, "`nextCursor` is the cursor that was asked with: the list does not end"));
        }
        Ok(Page { observations, next, ..Page::empty() })
    }

    fn shows(&self, _link: &Link) -> Shown {
        Shown::Always
    }

    async fn untold(&self, _kind: Kind, _page: Option<&str>) -> Result<Page, SystemError> {
        Ok(Page::empty())
    }
}

fn current(one: Observation) -> Observation {
    Observation { class: Class::Current, ..one }
}
