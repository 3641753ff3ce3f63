//! What guests and hosts do in TimeRex: a guest books, also by a one-time link, and moves; both cancel.
//!
//! In: edits. Out: bookings, and the webhooks that tell of them. Fields of `create`: `calendar` (id or path), `one_time_url` (id)
//! or `link` (a whole scheduling address, whose query comes back as the vendor says), `start_datetime`, `end_datetime`,
//! `name`, `email`, `phone`, `comment`, `company`, `answers` ({question: answer}), `form` (items), `params`, `guest_locale`,
//! `guest_timezone`. Of `cancel`: `cancellation_reason`, `status` (the number). Of `move`: the times, and `order`.

use serde_json::{Map, Value, json};

use super::Timerex;
use super::bookings::{Booking, Cancelled};
use crate::clock::Millis;
use crate::sandbox::web::{self, Params};
use crate::sandbox::{Edit, EditRefused, Turn, Webhook};

/// The questions that a guest's form asks here, with the edit's field names for their answers.
const QUESTIONS: &[(&str, &str, bool)] = &[
    ("company_name", "会社名", false),
    ("guest_name", "名前", true),
    ("guest_email", "メールアドレス", true),
    ("guest_phone", "電話番号", false),
    ("guest_comment", "コメント", false),
];

/// Short words of an edit, and query parameters that fill in the form, for the fields that they mean.
const SHORT: &[(&str, &str)] = &[
    ("name", "guest_name"),
    ("email", "guest_email"),
    ("phone", "guest_phone"),
    ("comment", "guest_comment"),
    ("company", "company_name"),
    ("guest_company", "company_name"),
    ("locale", "guest_locale"),
    ("params", "url_params"),
];

/// What a move tells, by its `order`: `true` is the old half's cancellation.
const ORDERS: &[(&str, &[bool])] = &[
    ("cancelled_first", &[true, false]),
    ("confirmed_first", &[false, true]),
    ("cancelled_only", &[true]),
    ("confirmed_only", &[false]),
];

type Fields = Map<String, Value>;

impl Timerex {
    /// What guests and hosts do: `create` (a guest books), `cancel`, `move` (a guest picks another time; gives the new id).
    pub(super) fn made_by_person(&mut self, edit: &Edit, turn: &mut Turn<'_>) -> Result<String, EditRefused> {
        if edit.kind != "appointment" {
            return Err(EditRefused(format!("TimeRex has no {}", edit.kind)));
        }
        let fields = spelt_out(edit.fields.as_object())?;
        let id = edit.id.as_deref().unwrap_or("");
        match edit.action.as_str() {
            "create" => self.book(&edit.account, &fields, turn),
            "cancel" => {
                let status = fields.get("status").and_then(Value::as_i64);
                let reason = web::text(&fields, "cancellation_reason").unwrap_or("").to_owned();
                let told = self.cancel(id, Cancelled { at: turn.now, reason, status }, turn)?;
                turn.webhooks.push(told);
                self.push(id, "cancelled", turn);
                Ok(id.to_owned())
            }
            "move" => self.move_booking(id, &fields, turn),
            other => Err(EditRefused(format!("a TimeRex booking cannot {other}"))),
        }
    }

    /// Cancels a booking, once; gives the webhook of it.
    pub(super) fn cancel(
        &mut self,
        id: &str,
        cancelled: Cancelled,
        turn: &mut Turn<'_>,
    ) -> Result<Webhook, EditRefused> {
        self.live(id)?.cancelled = Some(cancelled);
        self.webhook("event_cancelled", id, turn)
    }

    fn book(&mut self, team: &str, fields: &Fields, turn: &mut Turn<'_>) -> Result<String, EditRefused> {
        let page = web::text(fields, "page");
        let one_time = web::text(fields, "one_time_url").or(page.filter(|page| self.one_time_urls.contains_key(*page)));
        let named = match one_time {
            Some(id) => Some(self.unused(id)?.calendar.as_str()),
            None => web::text(fields, "calendar_id").or_else(|| web::text(fields, "calendar")).or(page),
        };
        let (_, calendar) = named
            .and_then(|named| self.calendar(named))
            .filter(|(owner, _)| owner.url_path == team)
            .ok_or_else(|| EditRefused("no such calendar in this team".into()))?;
        let (start, end) = times(fields, i64::saturating_mul(calendar.duration, 60_000))?;
        let id = web::hex_id(turn.rng, 20);
        let booking = Booking {
            id: id.clone(),
            calendar: calendar.id.clone(),
            start,
            end,
            cancelled: None,
            created: turn.now,
            locale: web::text(fields, "guest_locale").unwrap_or("ja").to_owned(),
            guest_zone: web::text(fields, "guest_timezone").unwrap_or(&calendar.timezone).to_owned(),
            query: web::text(fields, "query").map(str::to_owned),
            form: answers(fields),
            url_params: one_key_objects(fields.get("url_params")),
            moved_from: None,
            moved_to: None,
        };
        self.bookings.insert(id.clone(), booking);
        let told = self.webhook("event_confirmed", &id, turn)?;
        turn.webhooks.push(told);
        if let Some(one_time) = one_time {
            self.use_up(one_time, &id, turn);
        }
        Ok(id)
    }

    fn move_booking(&mut self, id: &str, fields: &Fields, turn: &mut Turn<'_>) -> Result<String, EditRefused> {
        let order = web::text(fields, "order").unwrap_or("cancelled_first");
        let (_, order) = ORDERS
            .iter()
            .find(|(word, _)| *word == order)
            .ok_or_else(|| EditRefused(format!("a move cannot be told {order}")))?;
        let old = self.live(id)?;
        let (start, end) = times(fields, old.end.0 - old.start.0)?;
        let new_id = web::hex_id(turn.rng, 20);
        let new = Booking {
            id: new_id.clone(),
            start,
            end,
            created: turn.now,
            moved_from: Some(id.to_owned()),
            moved_to: None,
            ..old.clone()
        };
        old.cancelled = Some(Cancelled { at: turn.now, reason: String::new(), status: None });
        old.moved_to = Some(new_id.clone());
        self.bookings.insert(new_id.clone(), new);
        for old_half in *order {
            let (name, id) = if *old_half { ("event_cancelled", id) } else { ("event_confirmed", new_id.as_str()) };
            let told = self.webhook(name, id, turn)?;
            turn.webhooks.push(told);
        }
        self.follow(id, &new_id, turn);
        Ok(new_id)
    }

    fn live(&mut self, id: &str) -> Result<&mut Booking, EditRefused> {
        let booking = self.bookings.get_mut(id).ok_or_else(|| EditRefused("no such booking".into()))?;
        if booking.cancelled.is_some() {
            return Err(EditRefused("the booking is cancelled".into()));
        }
        Ok(booking)
    }
}

/// The fields with the long words, and with what a whole link says: its last part names the calendar or the one-time URL, its
/// query fills in the form or comes back as parameters.
fn spelt_out(given: Option<&Fields>) -> Result<Fields, EditRefused> {
    let mut fields: Fields =
        given.cloned().unwrap_or_default().into_iter().map(|(key, value)| (long(&key), value)).collect();
    let Some(link) = fields.remove("link").and_then(|link| link.as_str().map(str::to_owned)) else {
        return Ok(fields);
    };
    let (page, query) = link.split_once('?').unwrap_or((&link, ""));
    let name = page.rsplit('/').next().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| EditRefused("the link names no calendar".into()))?;
    fields.insert("page".to_owned(), json!(name));
    let mut params = one_key_objects(fields.get("url_params"));
    for (key, value) in Params::read(query).pairs() {
        if QUESTIONS.iter().any(|(name, ..)| *name == long(key)) || long(key) == "guest_locale" {
            fields.entry(long(key)).or_insert_with(|| json!(value));
        } else {
            params.push(json!({ key: value }));
        }
    }
    fields.insert("url_params".to_owned(), json!(params));
    fields.insert("query".to_owned(), json!(query));
    Ok(fields)
}

fn long(key: &str) -> String {
    SHORT.iter().find(|(short, _)| *short == key).map_or(key, |(_, long)| long).to_owned()
}

fn times(fields: &Fields, length: i64) -> Result<(Millis, Millis), EditRefused> {
    let read = |key: &str| web::text(fields, key).and_then(Millis::parse);
    let start = read("start_datetime").ok_or_else(|| EditRefused("start_datetime is missing or no RFC 3339".into()))?;
    let end = read("end_datetime").unwrap_or(Millis(start.0 + length));
    if end <= start {
        return Err(EditRefused("end_datetime is not after start_datetime".into()));
    }
    Ok((start, end))
}

/// The answers of the form; a question without an answer keeps an empty one. Own questions come as items in `form`, or as
/// `answers`: a text is a paragraph, a list ticks checkboxes.
fn answers(fields: &Fields) -> Vec<Value> {
    let none = Map::new();
    let given = fields.get("answers").and_then(Value::as_object).unwrap_or(&none);
    let said = |name: &str, label: &str| web::text(fields, name).or_else(|| web::text(given, label));
    let asked = QUESTIONS.iter().filter(|(name, label, _)| *name != "guest_phone" || said(name, label).is_some());
    let mut form: Vec<_> = asked
        .map(|(name, label, required)| {
            let value = said(name, label).unwrap_or("");
            json!({ "field_type": name, "required": required, "label": label, "description": "", "value": value })
        })
        .collect();
    form.extend(fields.get("form").and_then(Value::as_array).into_iter().flatten().cloned());
    let own = given.iter().filter(|(label, _)| !QUESTIONS.iter().any(|(_, known, _)| known == label));
    form.extend(own.map(|(label, value)| {
        let kind = if value.is_array() { "checkboxes" } else { "paragraph" };
        let mut item = json!({ "field_type": kind, "required": false, "label": label, "description": "" });
        if value.is_array() {
            item["options"] = value.clone();
        }
        item["value"] = value.clone();
        item
    }));
    form
}

/// `{a: 1, b: 2}` as the vendor sends it: `[{a: 1}, {b: 2}]`; a list is taken as it is.
fn one_key_objects(params: Option<&Value>) -> Vec<Value> {
    match params {
        Some(Value::Object(params)) => params.iter().map(|(key, value)| json!({ key: value })).collect(),
        Some(Value::Array(params)) => params.clone(),
        _ => Vec::new(),
    }
}
