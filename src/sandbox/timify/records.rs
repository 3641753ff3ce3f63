//! TIMIFY's appointments as responses show them: exactly the keys of real ones.

use std::time::Duration;

use serde_json::{Value, json};

use super::appointments::{Appointment, Mark};
use super::settings::Within;
use super::wishes::{DAY, MINUTE, Wish};
use super::{Company, Customer, seconds};
use crate::clock::Millis;

impl Appointment {
    fn minutes(&self) -> i64 {
        self.wish.duration.unwrap_or(0)
    }

    fn length(&self) -> Duration {
        Duration::from_millis((self.minutes().max(0) * MINUTE).unsigned_abs())
    }

    /// When it begins first.
    pub(super) fn start(&self) -> Millis {
        self.occurrences.first().map_or_else(Millis::default, |first| first.start)
    }

    /// Whether one of its occurrences touches the span.
    pub(super) fn touches(&self, from: Millis, to: Millis) -> bool {
        self.occurrences.iter().any(|one| one.start < to && one.start + self.length() > from)
    }

    pub(super) fn reference(&self) -> Value {
        json!({ "id": self.id, "externalId": self.wish.external_id.as_deref().unwrap_or("") })
    }

    /// One for each occurrence on each resource.
    fn bookings(&self, renumbered: bool) -> Vec<Value> {
        let resources = self.wish.resources.as_deref().unwrap_or_default();
        let minutes = self.minutes();
        let booking = |(at, (place, resource)): (usize, (usize, &String))| {
            let one = &self.occurrences[at];
            let number = if renumbered { at } else { one.number } * resources.len() + place;
            let (start, end) = (seconds(one.start), seconds(one.start + self.length()));
            json!({
                "id": format!("{}{number:08}", self.id), "startDate": start,
                "interval": { "begin": start, "end": end },
                "batchNumber": 0, "isFirstBatch": true, "isLastBatch": true,
                "recurringDay": one.day.map(|day| day.to_string()),
                "duration": minutes, "durationBefore": 0, "durationAfter": 0, "durationTotal": minutes,
                "resourceId": resource,
            })
        };
        let on_each = |at| resources.iter().enumerate().map(move |place| (at, place));
        (0..self.occurrences.len()).flat_map(on_each).map(booking).collect()
    }
}

impl Company {
    /// The record of an appointment.
    pub(super) fn appointment_record(&self, one: &Appointment) -> Value {
        let wish = &one.wish;
        let start = seconds(one.start());
        let offer = wish.service.as_ref().and_then(|id| self.known.services.iter().find(|known| known.id == *id));
        let pattern = wish.pattern.clone().unwrap_or_else(|| vec![one.minutes()]);
        let (customers, single) = self.people(wish);
        let count = wish.customers.as_ref().map_or(0, Vec::len);
        let mut record = json!({
            "id": one.id, "externalId": wish.external_id.as_deref().unwrap_or(""), "type": "booking",
            "title": wish.title.as_deref().or(offer.map(|known| known.name.as_str())).unwrap_or(""),
            "notes": wish.notes.as_deref().unwrap_or(""), "color": wish.color.as_deref().unwrap_or("#ebb65d"),
            "price": 0, "date": format!("{}Z", &start[..10]), "duration": one.minutes(),
            "durationBefore": 0, "durationAfter": 0, "durationsPattern": pattern, "startDate": start,
            "reschedulingSecret": one.secret, "rescheduleUntil": seconds(Millis(one.start().0 - DAY)),
            "companyName": self.known.name, "timestamp": one.updated.at.0.to_string(),
            "hasNotifyCustomers": wish.notify.unwrap_or(self.switches.notifies_by_default), "hasNotifyResources": false,
            "isCourse": wish.course.unwrap_or(false), "maxParticipants": count.max(1), "participants": count,
            "customers": customers, "singleCustomers": single, "resources": self.places(wish),
            "serviceId": wish.service, "service": offer.map(|known| known.as_offered(&self.known)),
            "recurring": wish.recurring.as_ref().map(|rule| rule.record(one.start())),
            "bookings": one.bookings(self.switches.renumbers_series), "enterpriseId": self.known.enterprise,
            "scheduledForDeletionAt": one.deleted.map(seconds),
        });
        for (prefix, Mark { at, scope }) in [("created", one.created), ("updated", one.updated)] {
            record[format!("{prefix}At")] = json!(seconds(at));
            record[format!("{prefix}By")] = json!("Staff Member");
            record[format!("{prefix}ByUserId")] = json!("65f000000000000000000001");
            record[format!("{prefix}ByScope")] = json!(scope);
        }
        if let (Some(record), Value::Object(rest)) = (record.as_object_mut(), unchanging()) {
            record.extend(rest);
        }
        record
    }

    /// What stands under `customers` and under `singleCustomers`.
    fn people(&self, wish: &Wish) -> (Vec<Value>, Vec<Value>) {
        let shown = |id: &String| match (self.switches.customers_within, self.customers.get(id)) {
            (Within::Ids, _) => json!(id),
            (Within::Records, Some(customer)) => customer.record(&self.known, self.switches),
            (_, customer) => customer.map_or_else(|| json!({ "id": id }), Customer::reference),
        };
        let people = wish.customers.iter().flatten().map(shown).collect();
        if self.switches.customers_within == Within::Single { (Vec::new(), people) } else { (people, Vec::new()) }
    }

    fn places(&self, wish: &Wish) -> Vec<Value> {
        let ids = wish.resources.iter().flatten();
        let known = ids.filter_map(|id| self.known.resources.iter().find(|known| known.id == *id));
        known.map(super::Bookable::as_place).collect()
    }
}

/// The keys that never differ here.
fn unchanging() -> Value {
    json!({
        "isOnlineBooking": false, "isBookable": true, "isPaidOnlineWithStripe": false, "isPaidOnlineWithPaypal": false,
        "customfields": [], "chainId": null, "chainedEvents": [], "isLastInTheChain": null, "tagIds": [], "tags": [],
        "combination": null, "reservedUntil": null, "metadata": {},
    })
}
