//! What one account of an extension endpoint holds: contacts, tasks, notes; deleted ones stay as tombstones in the lists.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::Method;
use serde_json::{Map, Value, json};

use super::{Call, Refusal, Told};
use crate::clock::Millis;
use crate::model::Kind;
use crate::sandbox::web;
use crate::sandbox::{Edit, Response, Turn};

/// One object; what is in `fields` is the object as the contract shows it, `id` and `lastUpdated` included.
struct Held {
    fields: Map<String, Value>,
    updated: Millis,
    deleted: bool,
}

/// The objects of one account.
pub(super) struct Objects {
    native: bool,
    held: BTreeMap<(Kind, String), Held>,
}

impl Held {
    fn record(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    fn listed(&self) -> Value {
        let mut tombstone = json!({ "deleted": true, "lastUpdated": self.updated.rfc3339() });
        if !self.deleted {
            return self.record();
        }
        for key in ["id", "contactId"] {
            if let Some(value) = self.fields.get(key) {
                tombstone[key] = value.clone();
            }
        }
        tombstone
    }

    /// Merges `change`: absent is unchanged, null clears (and stays, so that readers see it), objects merge one level.
    fn merge(&mut self, change: &Map<String, Value>, now: Millis) {
        for (key, value) in change.iter().filter(|(key, _)| !matches!(key.as_str(), "id" | "contactId" | "lastUpdated"))
        {
            match (self.fields.get_mut(key), value) {
                (Some(Value::Object(old)), Value::Object(new)) => old.extend(new.clone()),
                _ => {
                    self.fields.insert(key.clone(), value.clone());
                }
            }
        }
        // A task says in two ways whether it is done; they are kept the same.
        if let Some(completed) = change.get("completed").and_then(Value::as_bool) {
            self.fields.insert("status".into(), json!(if completed { "completed" } else { "open" }));
        }
        self.touch(now);
    }

    fn touch(&mut self, now: Millis) {
        self.updated = now;
        self.fields.insert("lastUpdated".into(), json!(now.rfc3339()));
    }
}

impl Objects {
    pub(super) fn new(native: bool) -> Self {
        Self { native, held: BTreeMap::new() }
    }

    pub(super) fn make(
        &mut self,
        kind: Kind,
        contact: Option<&str>,
        call: &mut Call<'_, '_>,
    ) -> Result<(Response, Option<Told>), Refusal> {
        let (record, told) = self.create(kind, contact, &call.body, call.turn)?;
        Ok((web::json(201, &record), Some(told)))
    }

    pub(super) fn one(
        &mut self,
        kind: Kind,
        id: &str,
        contact: Option<&str>,
        call: &mut Call<'_, '_>,
    ) -> Result<(Response, Option<Told>), Refusal> {
        if kind == Kind::Contact && self.native {
            return Err(Refusal::new(404, "the vendor has the contacts"));
        }
        match *call.request.method() {
            Method::GET => Ok((web::json(200, &self.live(kind, id, contact)?.record()), None)),
            Method::PUT => {
                let (record, told) = self.update(kind, id, contact, &call.body, call.turn.now)?;
                Ok((web::json(200, &record), Some(told)))
            }
            Method::DELETE => Ok((web::empty(204), Some(self.delete(kind, id, contact, call.turn.now)?))),
            _ => Err(Refusal::new(405, "method not allowed")),
        }
    }

    pub(super) fn tag_call(
        &mut self,
        contact: &str,
        call: &mut Call<'_, '_>,
    ) -> Result<(Response, Option<Told>), Refusal> {
        let asked: BTreeSet<String> = match call.body.get("tags") {
            Some(tags) => serde_json::from_value(tags.clone()).map_err(|_| Refusal::new(422, "tags must be texts"))?,
            None => BTreeSet::new(),
        };
        let (added, removed) = match *call.request.method() {
            Method::GET => {
                let tags = match self.live(Kind::Contact, contact, None) {
                    Ok(held) => tags_of(held),
                    Err(_) if self.native => Vec::new(),
                    Err(refusal) => return Err(refusal),
                };
                return Ok((web::json(200, &json!({ "tags": tags })), None));
            }
            Method::POST => (asked, BTreeSet::new()),
            Method::DELETE => (BTreeSet::new(), asked),
            _ => return Err(Refusal::new(405, "method not allowed")),
        };
        let told = self.retag(contact, &added, &removed, call.turn.now)?;
        Ok((web::json(200, &json!({ "tags": told.1["tags"] })), Some(told)))
    }

    /// One page, oldest change first; `cursor` is opaque and goes on after the last item of the page before.
    pub(super) fn list(&self, kind: Kind, call: &Call<'_, '_>, page: usize) -> Response {
        let since = call.params.get("updatedSince").and_then(Millis::parse);
        let limit = call.params.number("limit").filter(|limit| *limit > 0).unwrap_or(page);
        let after = call.params.get("cursor").and_then(read_cursor);
        let mut items: Vec<_> = self.held.iter().filter(|((held, _), _)| *held == kind).collect();
        items.retain(|((_, id), held)| {
            let fresh = since.is_none_or(|since| held.updated >= since);
            fresh && after.as_ref().is_none_or(|after| (held.updated, id) > (after.0, &after.1))
        });
        items.sort_by_key(|((_, id), held)| (held.updated, id.as_str()));
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more).map(|((_, id), held)| cursor(held.updated, id));
        let items: Vec<_> = items.into_iter().map(|(_, held)| held.listed()).collect();
        web::json(200, &json!({ "items": items, "nextCursor": last }))
    }

    pub(super) fn complete(
        &mut self,
        contact: &str,
        id: &str,
        completed: bool,
        now: Millis,
    ) -> Result<(Value, Told), Refusal> {
        let held = self.live_mut(Kind::Task, id, Some(contact))?;
        let was = held.fields.get("completed") == Some(&json!(true));
        held.merge(&Map::from_iter([("completed".to_owned(), json!(completed))]), now);
        let name = if completed && !was { "task.completed" } else { "task.updated" };
        Ok((held.record(), (name.to_owned(), held.record())))
    }

    /// Makes a person's edit. Fields by the contract's names; tags as the whole list `tags`, or as `addTags`, `removeTags`.
    pub(super) fn edit(&mut self, edit: &Edit, turn: &mut Turn<'_>) -> Result<(String, Told), Refusal> {
        let kind: Kind = edit.kind.parse().map_err(|_| Refusal::new(422, "no such kind"))?;
        let none = Map::new();
        let fields = edit.fields.as_object().unwrap_or(&none);
        let id = edit.id.as_deref().unwrap_or("");
        let parent = edit.parent.as_deref();
        let told = match (edit.action.as_str(), kind) {
            (_, Kind::Appointment) => return Err(Refusal::new(422, "appointments are the vendor's")),
            ("create", _) => {
                let (record, told) = self.create(kind, parent, fields, turn)?;
                return Ok((record["id"].as_str().unwrap_or("").to_owned(), told));
            }
            ("update", Kind::Contact) if fields.keys().all(|key| key.ends_with("ags")) => {
                let wanted =
                    |key: &str| -> Option<BTreeSet<String>> { serde_json::from_value(fields.get(key)?.clone()).ok() };
                let whole = wanted("tags");
                let held: BTreeSet<_> =
                    self.live(Kind::Contact, id, None).map(tags_of).unwrap_or_default().into_iter().collect();
                let added = whole.clone().or_else(|| wanted("addTags")).unwrap_or_default();
                let removed = whole.map(|whole| &held - &whole).or_else(|| wanted("removeTags")).unwrap_or_default();
                self.retag(id, &added, &removed, turn.now)?
            }
            ("update", Kind::Note) => {
                let mut fields = fields.clone();
                fields.entry("timestamp").or_insert_with(|| json!(turn.now.rfc3339()));
                self.update(kind, id, parent, &fields, turn.now)?.1
            }
            ("update", _) => self.update(kind, id, parent, fields, turn.now)?.1,
            ("delete", _) => self.delete(kind, id, parent, turn.now)?,
            ("complete", Kind::Task) => {
                let contact = self.live(Kind::Task, id, parent)?.fields.get("contactId").and_then(Value::as_str);
                let contact = contact.unwrap_or("").to_owned();
                self.complete(&contact, id, true, turn.now)?.1
            }
            _ => return Err(Refusal::new(422, "no such action")),
        };
        Ok((id.to_owned(), told))
    }

    pub(super) fn object(&self, id: &str) -> Option<Value> {
        let named = |kind: &Kind| self.held.get(&(*kind, id.to_owned())).filter(|one| !one.deleted);
        Kind::ALL.iter().find_map(named).map(Held::record)
    }

    pub(super) fn state(&self) -> Value {
        let live = |kind: Kind| -> Vec<_> {
            let of_kind = self.held.iter().filter(|((held, _), one)| *held == kind && !one.deleted);
            of_kind.map(|(_, one)| one.record()).collect()
        };
        json!({ "contacts": live(Kind::Contact), "tasks": live(Kind::Task), "notes": live(Kind::Note) })
    }

    fn create(
        &mut self,
        kind: Kind,
        contact: Option<&str>,
        fields: &Map<String, Value>,
        turn: &mut Turn<'_>,
    ) -> Result<(Value, Told), Refusal> {
        let id = format!("{}_{}", kind.word(), web::hex_id(turn.rng, 16));
        let mut start = Map::from_iter([("id".to_owned(), json!(id))]);
        match (kind, contact) {
            (Kind::Contact, _) => {
                if self.native {
                    return Err(Refusal::new(404, "the vendor has the contacts"));
                }
                self.refuse_known_email(fields)?;
                start.insert("tags".into(), json!([]));
            }
            (_, Some(contact)) => {
                if !self.native {
                    self.live(Kind::Contact, contact, None)?;
                }
                start.insert("contactId".into(), json!(contact));
            }
            (_, None) => return Err(Refusal::new(422, "the contact is missing")),
        }
        match kind {
            Kind::Task => {
                start.insert("status".into(), json!("open"));
                start.insert("completed".into(), json!(false))
            }
            Kind::Note => start.insert("timestamp".into(), json!(turn.now.rfc3339())),
            Kind::Contact | Kind::Appointment => None,
        };
        let mut held = Held { fields: start, updated: turn.now, deleted: false };
        held.merge(fields, turn.now);
        let record = held.record();
        self.held.insert((kind, id), held);
        Ok((record.clone(), (format!("{}.created", kind.word()), record)))
    }

    fn update(
        &mut self,
        kind: Kind,
        id: &str,
        contact: Option<&str>,
        fields: &Map<String, Value>,
        now: Millis,
    ) -> Result<(Value, Told), Refusal> {
        let held = self.live_mut(kind, id, contact)?;
        held.merge(fields, now);
        Ok((held.record(), (format!("{}.updated", kind.word()), held.record())))
    }

    /// Leaves a tombstone; a contact's tasks and notes go with it, without webhooks of their own.
    fn delete(&mut self, kind: Kind, id: &str, contact: Option<&str>, now: Millis) -> Result<Told, Refusal> {
        let held = self.live_mut(kind, id, contact)?;
        held.deleted = true;
        held.touch(now);
        let tombstone = held.listed();
        if kind == Kind::Contact {
            let own =
                |held: &&mut Held| held.fields.get("contactId").and_then(Value::as_str) == Some(id) && !held.deleted;
            for held in self.held.values_mut().filter(own) {
                held.deleted = true;
                held.touch(now);
            }
        }
        Ok((format!("{}.deleted", kind.word()), tombstone))
    }

    fn retag(
        &mut self,
        contact: &str,
        added: &BTreeSet<String>,
        removed: &BTreeSet<String>,
        now: Millis,
    ) -> Result<Told, Refusal> {
        if self.native {
            let fields = Map::from_iter([("id".to_owned(), json!(contact))]);
            let fresh = || Held { fields, updated: now, deleted: false };
            self.held.entry((Kind::Contact, contact.to_owned())).or_insert_with(fresh);
        }
        let held = self.live_mut(Kind::Contact, contact, None)?;
        let mut tags = tags_of(held);
        let same = |one: &String, other: &String| one.eq_ignore_ascii_case(other);
        tags.retain(|tag| !removed.iter().any(|one| same(one, tag)));
        let new: Vec<_> = added.iter().filter(|tag| !tags.iter().any(|one| same(one, tag))).cloned().collect();
        tags.extend(new);
        held.merge(&Map::from_iter([("tags".to_owned(), json!(tags))]), now);
        Ok(("contact.updated".to_owned(), held.record()))
    }

    /// 409 with the `id` when a live contact has that e-mail.
    fn refuse_known_email(&self, fields: &Map<String, Value>) -> Result<(), Refusal> {
        let email = web::text(fields, "email").unwrap_or("");
        let same = |held: &Held| web::text(&held.fields, "email").is_some_and(|one| one.eq_ignore_ascii_case(email));
        let known = self.held.iter().find(|((kind, _), held)| *kind == Kind::Contact && !held.deleted && same(held));
        match known.filter(|_| !email.is_empty()) {
            Some(((_, id), _)) => Err(Refusal(409, "a contact with this e-mail exists", json!({ "id": id }))),
            None => Ok(()),
        }
    }

    fn live(&self, kind: Kind, id: &str, contact: Option<&str>) -> Result<&Held, Refusal> {
        let held = self.held.get(&(kind, id.to_owned()));
        held.filter(|held| held.answers_to(contact)).ok_or_else(|| Refusal::new(404, "gone"))
    }

    fn live_mut(&mut self, kind: Kind, id: &str, contact: Option<&str>) -> Result<&mut Held, Refusal> {
        let held = self.held.get_mut(&(kind, id.to_owned()));
        held.filter(|held| held.answers_to(contact)).ok_or_else(|| Refusal::new(404, "gone"))
    }
}

impl Held {
    /// Whether it is alive and, where a contact is named, belongs to that contact.
    fn answers_to(&self, contact: Option<&str>) -> bool {
        let own = contact.is_none_or(|contact| web::text(&self.fields, "contactId").is_none_or(|held| held == contact));
        own && !self.deleted
    }
}

fn tags_of(held: &Held) -> Vec<String> {
    let tags = held.fields.get("tags").and_then(Value::as_array).into_iter().flatten();
    tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
}

fn cursor(updated: Millis, id: &str) -> String {
    BASE64.encode(format!("{} {id}", updated.0))
}

fn read_cursor(text: &str) -> Option<(Millis, String)> {
    let text = String::from_utf8(BASE64.decode(text).ok()?).ok()?;
    let (updated, id) = text.split_once(' ')?;
    Some((Millis(updated.parse().ok()?), id.to_owned()))
}
