//! TIMIFY appointments: made, changed, deleted over the API and by people; whom the vendor writes to is written down.
//!
//! In: calls and edits. Out: answers, webhooks to be. What a call may want, how a record looks and how a series recurs are
//! pages of their own. People also `move` and `cut` a series: one occurrence (`occurrence` or `day`), or all.

use http::Method;
use serde_json::{Map, Value, json};

use super::series::{self, Occurrence};
use super::wishes::{Wish, check_title, range, texts};
use super::{Answered, Call, Company, Refusal, Told};
use crate::clock::Millis;
use crate::sandbox::web;
use crate::sandbox::{Edit, Turn};

/// What `createdByScope` says of a person.
const PERSON: Option<&str> = Some("COMPANY");

/// An appointment ("event" in the vendor's webhooks).
pub(super) struct Appointment {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) wish: Wish,
    /// At least one; a series has several.
    pub(super) occurrences: Vec<Occurrence>,
    pub(super) created: Mark,
    pub(super) updated: Mark,
    /// When it was deleted, where it stays readable.
    pub(super) deleted: Option<Millis>,
}

/// When, and by whom.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) at: Millis,
    pub(super) scope: Option<&'static str>,
}

impl Company {
    pub(super) fn appointment_call(&mut self, rest: &[&str], call: &mut Call<'_, '_>) -> Result<Answered, Refusal> {
        let mark = Mark { at: call.turn.now, scope: self.switches.app_scope };
        match (call.request.method().clone(), rest) {
            (Method::GET, []) => self.list_appointments(call),
            (Method::POST, []) => {
                check_title(&call.body)?;
                let wish = self.wanted(&call.body)?.complete()?;
                let customers = wish.customers.clone();
                let id = self.add_appointment(wish, mark, call.turn);
                self.note_mailing("create", &id, notify(call), customers.as_ref());
                Ok(Answered::one(&self.appointment_record(&self.appointments[&id]), "event_created"))
            }
            (Method::POST, ["delete", "bulk"]) => self.delete_many(call),
            (Method::GET, [id]) => {
                let one = self.appointments.get(*id).or_else(|| self.leaving.get(*id));
                Ok(Answered::read(&self.appointment_record(one.ok_or_else(|| Refusal::missing("appointment"))?)))
            }
            (Method::PATCH, [id]) => {
                let wish = self.wanted(&call.body)?;
                let record = self.change_appointment(id, wish, mark)?;
                let customers = self.appointments.get(*id).and_then(|one| one.wish.customers.clone());
                self.note_mailing("update", id, notify(call), customers.as_ref());
                Ok(Answered::one(&record, "event_updated"))
            }
            (Method::DELETE, [id]) => {
                let customers = self.appointments.get(*id).and_then(|one| one.wish.customers.clone());
                let gone = self.remove_appointment(id, call.turn.now)?;
                self.note_mailing("delete", id, notify(call), customers.as_ref());
                Ok(Answered::gone("event_deleted", gone))
            }
            _ => Err(Refusal::missing("path")),
        }
    }

    /// Makes a user's edit of an appointment: the API's names; the time as `datetime` or as `startDate` (RFC 3339).
    pub(super) fn edit_appointment(&mut self, edit: &Edit, turn: &mut Turn<'_>) -> Result<(String, Told), Refusal> {
        let mut fields = edit.fields.as_object().cloned().unwrap_or_default();
        if let Some(start) = fields.remove("startDate") {
            let start = start.as_str().and_then(Millis::parse).map(Millis::rfc3339);
            let start = start.ok_or_else(|| Refusal::invalid("startDate is not RFC 3339"))?;
            fields.insert("datetime".into(), json!(format!("{} {}", &start[..10], &start[11..16])));
        }
        let wish = self.wanted(&fields)?;
        let id = edit.id.as_deref().unwrap_or("");
        let mark = Mark { at: turn.now, scope: PERSON };
        match edit.action.as_str() {
            "create" => {
                let id = self.add_appointment(wish.complete()?, mark, turn);
                let record = self.appointment_record(&self.appointments[&id]);
                Ok((id, ("event_created", record)))
            }
            "move" if fields.contains_key("occurrence") || fields.contains_key("day") => {
                Ok((id.to_owned(), ("event_updated", self.move_one(id, &fields, wish.start, mark)?)))
            }
            "update" | "move" => Ok((id.to_owned(), ("event_updated", self.change_appointment(id, wish, mark)?))),
            "cut" => Ok((id.to_owned(), ("event_updated", self.cut(id, &fields, mark)?))),
            "delete" | "cancel" => Ok((id.to_owned(), ("event_deleted", self.remove_appointment(id, turn.now)?))),
            other => Err(Refusal::invalid(format!("a TIMIFY appointment cannot {other}"))),
        }
    }

    fn add_appointment(&mut self, wish: Wish, mark: Mark, turn: &mut Turn<'_>) -> String {
        let (id, secret) = (web::hex_id(turn.rng, 24), web::uuid(turn.rng));
        let occurrences = planned(&wish);
        let (created, updated) = (mark, mark);
        let one = Appointment { id: id.clone(), secret, wish, occurrences, created, updated, deleted: None };
        self.appointments.insert(id.clone(), one);
        id
    }

    /// Changes one; a new start moves all of a series, a new rule makes it anew.
    fn change_appointment(&mut self, id: &str, wish: Wish, mark: Mark) -> Result<Value, Refusal> {
        let one = self.appointments.get_mut(id).ok_or_else(|| Refusal::missing("appointment"))?;
        let (start, ruled) = (wish.start, wish.recurring.is_some());
        let wish = wish.over(&one.wish).complete()?;
        match (start, &wish.recurring) {
            (Some(start), Some(rule)) if !ruled => rule.shift(&mut one.occurrences, start),
            (None, _) if !ruled => {}
            _ => one.occurrences = planned(&wish),
        }
        (one.wish, one.updated) = (wish, mark);
        Ok(self.appointment_record(&self.appointments[id]))
    }

    /// Moves one occurrence of a series, which stays where it stands in it.
    fn move_one(
        &mut self,
        id: &str,
        fields: &Map<String, Value>,
        start: Option<Millis>,
        mark: Mark,
    ) -> Result<Value, Refusal> {
        let one = self.appointments.get_mut(id).ok_or_else(|| Refusal::missing("appointment"))?;
        let at = series::place(&one.occurrences, fields)?.ok_or_else(|| Refusal::missing("occurrence"))?;
        one.occurrences[at].start = start.ok_or_else(|| Refusal::invalid("datetime is missing"))?;
        one.updated = mark;
        Ok(self.appointment_record(&self.appointments[id]))
    }

    /// Takes one occurrence out of a series, or all behind the first `repeat_times`.
    fn cut(&mut self, id: &str, fields: &Map<String, Value>, mark: Mark) -> Result<Value, Refusal> {
        let one = self.appointments.get_mut(id).ok_or_else(|| Refusal::missing("appointment"))?;
        let kept = fields.get("repeat_times").and_then(Value::as_u64).and_then(|kept| usize::try_from(kept).ok());
        match (series::place(&one.occurrences, fields)?, kept) {
            (Some(at), _) if one.occurrences.len() > 1 => _ = one.occurrences.remove(at),
            (None, Some(kept)) if kept > 0 => one.occurrences.truncate(kept),
            _ => return Err(Refusal::invalid("nothing would be left, or nothing is named")),
        }
        one.wish.start = one.occurrences.first().map(|first| first.start);
        one.updated = mark;
        Ok(self.appointment_record(&self.appointments[id]))
    }

    /// Deletes one; gives what is told of it.
    fn remove_appointment(&mut self, id: &str, now: Millis) -> Result<Value, Refusal> {
        let mut one = self.appointments.remove(id).ok_or_else(|| Refusal::missing("appointment"))?;
        let reference = one.reference();
        if self.switches.deletes_later {
            one.deleted = Some(now);
            self.leaving.insert(id.to_owned(), one);
        }
        Ok(reference)
    }

    fn delete_many(&mut self, call: &mut Call<'_, '_>) -> Result<Answered, Refusal> {
        let ids = texts(&call.body, "ids")?.ok_or_else(|| Refusal::invalid("ids is missing"))?;
        let mut gone = Vec::new();
        for id in ids {
            let customers = self.appointments.get(&id).and_then(|one| one.wish.customers.clone());
            if self.remove_appointment(&id, call.turn.now).is_ok() {
                self.note_mailing("delete", &id, notify(call), customers.as_ref());
                gone.push(id);
            }
        }
        Ok(Answered::gone("events_deleted", json!({ "ids": gone })))
    }

    fn list_appointments(&self, call: &Call<'_, '_>) -> Result<Answered, Refusal> {
        let ids = call.params.all("ids");
        let range = if ids.is_empty() { Some(range(&call.params, self.switches.range_days)?) } else { None };
        let (resources, customer) = (call.params.all("resource_ids"), call.params.get("customer_id"));
        let found = self.appointments.values().filter(|one| {
            let wanted = ids.is_empty() || ids.contains(&one.id.as_str());
            let inside = range.is_none_or(|(from, to)| one.touches(from, to));
            let held = |list: &Option<Vec<String>>, id: &str| list.iter().flatten().any(|held| held == id);
            let on = resources.is_empty() || resources.iter().any(|id| held(&one.wish.resources, id));
            wanted && inside && on && customer.is_none_or(|id| held(&one.wish.customers, id))
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|one| (one.start(), one.id.as_str()));
        let records: Vec<_> = found.into_iter().map(|one| self.appointment_record(one)).collect();
        Ok(Answered::quiet(call.page(&records)))
    }

    /// Writes down an API call that let the vendor write to customers: asked to, or left to its default.
    fn note_mailing(&mut self, call: &str, id: &str, notify: Option<bool>, customers: Option<&Vec<String>>) {
        if notify.unwrap_or(self.switches.notifies_by_default) {
            let reason = if notify.is_some() { "asked" } else { "default" };
            let customers = customers.map_or(0, Vec::len);
            self.notified.push(json!({ "id": id, "call": call, "reason": reason, "customers": customers }));
        }
    }
}

/// When an appointment takes place, by its first start and its rule.
fn planned(wish: &Wish) -> Vec<Occurrence> {
    let start = wish.start.unwrap_or_default();
    let once = || vec![Occurrence { number: 0, day: None, start }];
    wish.recurring.as_ref().map_or_else(once, |rule| rule.plan(start))
}

/// Whether the call lets the vendor mail customers, from the body or the query; `None` leaves it to the vendor.
fn notify(call: &Call<'_, '_>) -> Option<bool> {
    let said = call.body.get("has_notify_customers").and_then(Value::as_bool);
    said.or_else(|| call.params.get("has_notify_customers")?.parse().ok())
}
