//! TIMIFY appointments: UTC minutes on a five-minute grid, always on a resource, with the response keys of real records.

use std::time::Duration;

use http::Method;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::{Answered, Bookable, Call, Company, Refusal, Told, seconds};
use crate::clock::Millis;
use crate::sandbox::web::{self, Params};
use crate::sandbox::{Edit, Turn};

const MINUTE: u64 = 60_000;
const DAY: i64 = 86_400_000;

/// An appointment ("event" in the vendor's webhooks).
pub(super) struct Appointment {
    id: String,
    secret: String,
    wish: Wish,
    created: Millis,
    updated: Millis,
}

/// What a call or an edit sets; in a stored appointment what is absent was never set.
#[derive(Default, Clone)]
struct Wish {
    external_id: Option<String>,
    title: Option<String>,
    notes: Option<String>,
    color: Option<String>,
    start: Option<Millis>,
    duration: Option<i64>,
    service: Option<String>,
    resources: Option<Vec<String>>,
    customers: Option<Vec<String>>,
    course: Option<bool>,
    notify: Option<bool>,
}

impl Appointment {
    fn minutes(&self) -> i64 {
        self.wish.duration.unwrap_or(0)
    }

    fn start(&self) -> Millis {
        self.wish.start.unwrap_or_default()
    }

    fn end(&self) -> Millis {
        self.start() + Duration::from_millis(self.minutes().unsigned_abs() * MINUTE)
    }

    fn reference(&self) -> Value {
        json!({ "id": self.id, "externalId": self.wish.external_id.as_deref().unwrap_or("") })
    }

    fn bookings(&self) -> Vec<Value> {
        let (start, end, minutes) = (seconds(self.start()), seconds(self.end()), self.minutes());
        let resources = self.wish.resources.iter().flatten();
        resources
            .enumerate()
            .map(|(at, resource)| {
                json!({
                    "id": format!("{}{at:08}", self.id), "startDate": start,
                    "interval": { "begin": start, "end": end },
                    "batchNumber": 0, "isFirstBatch": true, "isLastBatch": true, "recurringDay": null,
                    "duration": minutes, "durationBefore": 0, "durationAfter": 0, "durationTotal": minutes,
                    "resourceId": resource,
                })
            })
            .collect()
    }
}

impl Wish {
    fn over(self, old: &Self) -> Self {
        Self {
            external_id: self.external_id.or_else(|| old.external_id.clone()),
            title: self.title.or_else(|| old.title.clone()),
            notes: self.notes.or_else(|| old.notes.clone()),
            color: self.color.or_else(|| old.color.clone()),
            start: self.start.or(old.start),
            duration: self.duration.or(old.duration),
            service: self.service.or_else(|| old.service.clone()),
            resources: self.resources.or_else(|| old.resources.clone()),
            customers: self.customers.or_else(|| old.customers.clone()),
            course: self.course.or(old.course),
            notify: self.notify.or(old.notify),
        }
    }

    /// The create rules that the vendor states: a time, a resource, a title unless service and duration stand, a duration.
    fn complete(self) -> Result<Self, Refusal> {
        if self.start.is_none() {
            return Err(Refusal::invalid("datetime is missing"));
        }
        if self.resources.as_ref().is_none_or(Vec::is_empty) {
            return Err(Refusal::invalid("resource_ids is missing"));
        }
        if self.duration.is_none_or(|minutes| minutes <= 0) {
            return Err(Refusal::invalid("duration is missing"));
        }
        if self.title.is_none() && self.service.is_none() {
            return Err(Refusal::invalid("title is missing"));
        }
        Ok(self)
    }
}

impl Company {
    pub(super) fn appointment_call(&mut self, rest: &[&str], call: &mut Call<'_, '_>) -> Result<Answered, Refusal> {
        match (call.request.method().clone(), rest) {
            (Method::GET, []) => self.list_appointments(call),
            (Method::POST, []) => {
                let wish = self.wanted(&call.body)?.complete()?;
                self.note_mailing("create", None, notify(call), wish.customers.as_ref());
                let id = self.add_appointment(wish, call.turn);
                self.name_last_mailing(&id);
                Ok(Answered::one(&self.appointment_record(&self.appointments[&id]), "event_created"))
            }
            (Method::POST, ["delete", "bulk"]) => self.delete_many(call),
            (Method::GET, [id]) => {
                let one = self.appointments.get(*id).ok_or_else(|| Refusal::missing("appointment"))?;
                let record = self.appointment_record(one);
                Ok(Answered::quiet(web::json(200, &json!({ "data": record, "status": 1 }))))
            }
            (Method::PATCH, [id]) => {
                let wish = self.wanted(&call.body)?;
                let record = self.change_appointment(id, wish, call.turn.now)?;
                let customers = self.appointments.get(*id).and_then(|one| one.wish.customers.clone());
                self.note_mailing("update", Some(id), notify(call), customers.as_ref());
                Ok(Answered::one(&record, "event_updated"))
            }
            (Method::DELETE, [id]) => {
                let gone = self.appointments.remove(*id).ok_or_else(|| Refusal::missing("appointment"))?;
                self.note_mailing("delete", Some(id), notify(call), gone.wish.customers.as_ref());
                Ok(Answered::gone("event_deleted", gone.reference()))
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
        match edit.action.as_str() {
            "create" => {
                let id = self.add_appointment(wish.complete()?, turn);
                let record = self.appointment_record(&self.appointments[&id]);
                Ok((id, ("event_created", record)))
            }
            "update" | "move" => Ok((id.to_owned(), ("event_updated", self.change_appointment(id, wish, turn.now)?))),
            "delete" | "cancel" => {
                let gone = self.appointments.remove(id).ok_or_else(|| Refusal::missing("appointment"))?;
                Ok((id.to_owned(), ("event_deleted", gone.reference())))
            }
            other => Err(Refusal::invalid(format!("a TIMIFY appointment cannot {other}"))),
        }
    }

    fn add_appointment(&mut self, wish: Wish, turn: &mut Turn<'_>) -> String {
        let (id, secret) = (web::hex_id(turn.rng, 24), web::uuid(turn.rng));
        let one = Appointment { id: id.clone(), secret, wish, created: turn.now, updated: turn.now };
        self.appointments.insert(id.clone(), one);
        id
    }

    fn change_appointment(&mut self, id: &str, wish: Wish, now: Millis) -> Result<Value, Refusal> {
        let one = self.appointments.get_mut(id).ok_or_else(|| Refusal::missing("appointment"))?;
        one.wish = wish.over(&one.wish).complete()?;
        one.updated = now;
        Ok(self.appointment_record(&self.appointments[id]))
    }

    fn delete_many(&mut self, call: &mut Call<'_, '_>) -> Result<Answered, Refusal> {
        let ids = texts(&call.body, "ids")?.ok_or_else(|| Refusal::invalid("ids is missing"))?;
        let mut gone = Vec::new();
        for id in ids {
            if let Some(one) = self.appointments.remove(&id) {
                self.note_mailing("delete", Some(&id), notify(call), one.wish.customers.as_ref());
                gone.push(id);
            }
        }
        Ok(Answered::gone("events_deleted", json!({ "ids": gone })))
    }

    fn list_appointments(&self, call: &Call<'_, '_>) -> Result<Answered, Refusal> {
        let ids = call.params.all("ids");
        let range = if ids.is_empty() { Some(range(&call.params, self.range_days)?) } else { None };
        let (resources, customer) = (call.params.all("resource_ids"), call.params.get("customer_id"));
        let found = self.appointments.values().filter(|one| {
            let wanted = ids.is_empty() || ids.contains(&one.id.as_str());
            let inside = range.is_none_or(|(from, to)| one.start() < to && one.end() > from);
            let held = |list: &Option<Vec<String>>, id: &str| list.iter().flatten().any(|held| held == id);
            let on = resources.is_empty() || resources.iter().any(|id| held(&one.wish.resources, id));
            wanted && inside && on && customer.is_none_or(|id| held(&one.wish.customers, id))
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|one| (one.start(), one.id.as_str()));
        let records: Vec<_> = found.into_iter().map(|one| self.appointment_record(one)).collect();
        Ok(Answered::quiet(call.page(&records)))
    }

    /// Reads the fields of a create, a patch or an edit; snake case as the vendor takes them.
    fn wanted(&self, body: &Map<String, Value>) -> Result<Wish, Refusal> {
        let text = |key: &str| web::text(body, key).map(str::to_owned);
        let offer = one_of(body, "service_id", "external_service_id")?;
        let offer = offer.map(|given| find(&self.known.services, given, "service")).transpose()?;
        let resources = match (texts(body, "resource_ids")?, texts(body, "external_resource_ids")?) {
            (Some(_), Some(_)) => return Err(Refusal::invalid("resource_ids excludes external_resource_ids")),
            (ids, external) => ids.map(|ids| (ids, false)).or(external.map(|ids| (ids, true))),
        };
        let find_resource =
            |(id, external): (&String, bool)| Ok(find(&self.known.resources, (id, external), "resource")?.id.clone());
        let resources: Option<Result<Vec<_>, Refusal>> =
            resources.map(|(ids, external)| ids.iter().map(|id| find_resource((id, external))).collect());
        Ok(Wish {
            external_id: text("externalId").or_else(|| text("external_id")),
            title: text("title"),
            notes: text("notes"),
            color: text("color"),
            start: start(body)?,
            duration: body.get("duration").and_then(Value::as_i64).or(offer.and_then(|one| one.duration)),
            service: offer.map(|one| one.id.clone()),
            resources: resources.transpose()?,
            customers: self.wanted_customers(body)?,
            course: body.get("is_course").and_then(Value::as_bool),
            notify: body.get("has_notify_customers").and_then(Value::as_bool),
        })
    }

    fn wanted_customers(&self, body: &Map<String, Value>) -> Result<Option<Vec<String>>, Refusal> {
        let one = web::text(body, "customer_id").map(|id| vec![id.to_owned()]);
        let Some(ids) = one.map_or_else(|| texts(body, "customer_ids"), |ids| Ok(Some(ids)))? else {
            return Ok(None);
        };
        match ids.iter().find(|id| !self.customers.contains_key(*id)) {
            Some(unknown) => Err(Refusal::invalid(format!("unknown customer {unknown}"))),
            None => Ok(Some(ids)),
        }
    }

    /// Writes down an API call that let the vendor mail customers: `has_notify_customers` true, or left to its default, true.
    fn note_mailing(&mut self, call: &str, id: Option<&str>, notify: Option<bool>, customers: Option<&Vec<String>>) {
        if notify != Some(false) {
            let reason = if notify.is_some() { "asked" } else { "default" };
            let customers = customers.map_or(0, Vec::len);
            self.notified.push(json!({ "id": id, "call": call, "reason": reason, "customers": customers }));
        }
    }

    fn name_last_mailing(&mut self, id: &str) {
        if let Some(last) = self.notified.last_mut().filter(|last| last["id"].is_null()) {
            last["id"] = json!(id);
        }
    }

    /// The record, with the keys of real responses.
    pub(super) fn appointment_record(&self, one: &Appointment) -> Value {
        let wish = &one.wish;
        let start = seconds(one.start());
        let offer = wish.service.as_ref().and_then(|id| self.known.services.iter().find(|known| known.id == *id));
        let mut record = json!({
            "id": one.id, "externalId": wish.external_id.as_deref().unwrap_or(""), "type": "booking",
            "title": wish.title.as_deref().or(offer.map(|known| known.name.as_str())).unwrap_or(""),
            "notes": wish.notes.as_deref().unwrap_or(""), "color": wish.color.as_deref().unwrap_or("#ebb65d"),
            "price": 0, "date": format!("{}Z", &start[..10]), "duration": one.minutes(),
            "durationBefore": 0, "durationAfter": 0, "durationsPattern": [one.minutes()], "startDate": start,
            "reschedulingSecret": one.secret, "rescheduleUntil": seconds(Millis(one.start().0 - DAY)),
            "companyName": self.known.name, "timestamp": one.updated.0.to_string(),
            "hasNotifyCustomers": wish.notify.unwrap_or(true), "hasNotifyResources": false,
            "isCourse": wish.course.unwrap_or(false),
            "participants": wish.customers.as_ref().map_or(0, Vec::len),
            "customers": self.people(wish), "resources": self.places(wish),
            "serviceId": wish.service, "service": offer.map(|known| known.record(Some(Vec::new()))),
            "bookings": one.bookings(),
        });
        for (prefix, at) in [("created", one.created), ("updated", one.updated)] {
            record[format!("{prefix}At")] = json!(seconds(at));
            record[format!("{prefix}By")] = json!("Staff Member");
            record[format!("{prefix}ByUserId")] = Value::Null;
            record[format!("{prefix}ByScope")] = json!("COMPANY");
        }
        if let (Some(record), Value::Object(rest)) = (record.as_object_mut(), unchanging()) {
            record.extend(rest);
        }
        record
    }

    fn people(&self, wish: &Wish) -> Vec<Value> {
        let ids = wish.customers.iter().flatten();
        ids.map(|id| self.customers.get(id).map_or_else(|| json!({ "id": id }), super::Customer::reference)).collect()
    }

    fn places(&self, wish: &Wish) -> Vec<Value> {
        let ids = wish.resources.iter().flatten();
        ids.filter_map(|id| self.known.resources.iter().find(|known| known.id == *id))
            .map(|known| known.record(None))
            .collect()
    }
}

/// The keys that never differ here.
fn unchanging() -> Value {
    json!({
        "isOnlineBooking": false, "isBookable": true, "isPaidOnlineWithStripe": false, "isPaidOnlineWithPaypal": false,
        "maxParticipants": 1, "singleCustomers": [], "customfields": [], "recurring": null, "chainId": null,
        "chainedEvents": [], "isLastInTheChain": null, "tagIds": [], "tags": [], "combination": null,
        "reservedUntil": null, "metadata": {}, "scheduledForDeletionAt": null, "enterpriseId": null,
    })
}

/// Whether the call lets the vendor mail customers, from the body or the query; `None` leaves it to the vendor.
fn notify(call: &Call<'_, '_>) -> Option<bool> {
    let said = call.body.get("has_notify_customers").and_then(Value::as_bool);
    said.or_else(|| call.params.get("has_notify_customers")?.parse().ok())
}

fn start(body: &Map<String, Value>) -> Result<Option<Millis>, Refusal> {
    let Some(text) = web::text(body, "datetime") else {
        return Ok(None);
    };
    let start = minute(text).ok_or_else(|| Refusal::invalid("datetime is not YYYY-MM-DD HH:mm"))?;
    if start.0 % (5 * MINUTE.cast_signed()) == 0 {
        return Ok(Some(start));
    }
    Err(Refusal::invalid("the minutes must be divisible by 5"))
}

/// A UTC minute, `YYYY-MM-DD HH:mm`.
fn minute(text: &str) -> Option<Millis> {
    let civil = DateTime::strptime("%Y-%m-%d %H:%M", text).ok()?;
    Some(Millis(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond()))
}

/// The range of a list call; `to_date` is a whole day, `to_time` a minute.
fn range(params: &Params, days: i64) -> Result<(Millis, Millis), Refusal> {
    let day = |key: &str| params.get(key).and_then(|text| minute(&format!("{text} 00:00")));
    let time = |key: &str| params.get(key).and_then(minute);
    let dates = day("from_date").zip(day("to_date")).map(|(from, to)| (from, to, DAY));
    let times = || time("from_time").zip(time("to_time")).map(|(from, to)| (from, to, 0));
    let (from, to, more) = dates
        .or_else(times)
        .ok_or_else(|| Refusal(400, "from_date and to_date, or from_time and to_time, are required".into()))?;
    if to.0 - from.0 > days * DAY {
        return Err(Refusal(400, format!("the range is longer than {days} days")));
    }
    Ok((from, Millis(to.0 + more)))
}

fn one_of<'a>(body: &'a Map<String, Value>, own: &str, external: &str) -> Result<Option<(&'a str, bool)>, Refusal> {
    match (web::text(body, own), web::text(body, external)) {
        (Some(_), Some(_)) => Err(Refusal::invalid(format!("{own} excludes {external}"))),
        (own, external) => Ok(own.map(|id| (id, false)).or(external.map(|id| (id, true)))),
    }
}

fn find<'a>(list: &'a [Bookable], (id, external): (&str, bool), what: &str) -> Result<&'a Bookable, Refusal> {
    let found = list.iter().find(|one| if external { one.external_id == id } else { one.id == id });
    found.ok_or_else(|| Refusal::invalid(format!("unknown {what} {id}")))
}

fn texts(body: &Map<String, Value>, key: &str) -> Result<Option<Vec<String>>, Refusal> {
    body.get(key)
        .map(|value| serde_json::from_value(value.clone()).map_err(|_| Refusal::invalid(format!("{key} is no list"))))
        .transpose()
}
