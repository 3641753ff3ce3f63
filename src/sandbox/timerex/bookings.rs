//! TimeRex bookings: how they are made, cancelled and moved by people, and how they look on the wire in three places.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::{Timerex, TimerexCalendar, TimerexSettings, TimerexTeam};
use crate::clock::Millis;
use crate::model::System;
use crate::sandbox::web;
use crate::sandbox::{Edit, EditRefused, Turn, Webhook};

/// The one host of every calendar here.
pub(super) const HOST_ID: &str = "a1b2c3d4e5f60718293a";

/// The questions that a guest's form asks here, with the edit's field names for their answers.
const QUESTIONS: &[(&str, &str, bool)] = &[
    ("company_name", "会社名", false),
    ("guest_name", "名前", true),
    ("guest_email", "メールアドレス", true),
    ("guest_phone", "電話番号", false),
    ("guest_comment", "コメント", false),
];

/// A booking ("event" in the vendor's JSON).
#[derive(Clone)]
pub(super) struct Booking {
    pub(super) id: String,
    pub(super) calendar: String,
    pub(super) start: Millis,
    pub(super) end: Millis,
    pub(super) cancelled: Option<(Millis, String)>,
    created: Millis,
    locale: String,
    guest_zone: String,
    form: Vec<Value>,
    url_params: Vec<Value>,
    moved_from: Option<String>,
    moved_to: Option<String>,
}

impl Booking {
    pub(super) fn word(&self) -> &'static str {
        if self.cancelled.is_some() { "cancelled" } else { "confirmed" }
    }

    /// An item of a calendar's list.
    pub(super) fn short_record(&self) -> Value {
        json!({
            "id": self.id, "status": self.word(),
            "start_datetime": utc(self.start), "end_datetime": utc(self.end),
        })
    }

    /// What `GET /events/{id}` shows: `status` as a word, a second, smaller copy under `event`, no `url_params`.
    pub(super) fn full_record(&self, team: &TimerexTeam, calendar: &TimerexCalendar) -> Value {
        let mut record = self.shared(calendar);
        let copied = ["id", "start_datetime", "end_datetime", "local_start_datetime", "local_end_datetime"];
        let copied = copied.into_iter().chain(["guest_locale", "created_at", "online_meeting_provider"]);
        let copied = copied.filter_map(|key| Some((key.to_owned(), record.get(key)?.clone())));
        let mut inner: Map<_, _> = copied.chain(self.links()).collect();
        inner.remove("guest_reschedule_url");
        inner.insert("host_cancel_url".into(), json!(format!("https://timerex.net/user/event/cancel/{}", self.id)));
        inner.insert("timezone".into(), json!(calendar.timezone));
        record.insert("status".into(), json!(self.word()));
        record.insert("url".into(), json!(link(team, calendar)));
        record.insert("duration".into(), json!(calendar.duration));
        if calendar.zoom {
            record.insert("zoom_meeting".into(), zoom(json!("800 0000 0001")));
        }
        record.extend(self.links());
        record.extend(self.moving());
        record.insert("event".into(), Value::Object(inner));
        Value::Object(record)
    }

    /// What a one-time URL shows of its booking: the zone under `timezone`.
    pub(super) fn one_time_record(&self, calendar: &TimerexCalendar) -> Value {
        let mut record = self.shared(calendar);
        record.extend(self.links());
        if calendar.zoom {
            record.insert("zoom_meeting".into(), zoom(json!(80_000_000_001_i64)));
        }
        let left_out = ["calendar_timezone", "guest_timezone", "calendar_id", "pre_travel_time", "post_travel_time"];
        for key in left_out.into_iter().chain(["guest_reschedule_url"]) {
            record.remove(key);
        }
        record.insert("timezone".into(), json!(calendar.timezone));
        Value::Object(record)
    }

    /// All of it, for looking and comparing.
    pub(super) fn whole(&self) -> Value {
        let guest = |part: &str| self.form.iter().find(|item| item["field_type"] == part).map(|item| &item["value"]);
        let cancelled = self.cancelled.as_ref();
        json!({
            "id": self.id, "calendar_id": self.calendar, "status": self.word(), "start_datetime": utc(self.start),
            "end_datetime": utc(self.end), "created_at": utc(self.created), "canceled_at": cancelled.map(|(at, _)| utc(*at)),
            "guest_name": guest("guest_name"), "guest_email": guest("guest_email"), "guest_phone": guest("guest_phone"),
            "guest_comment": guest("guest_comment"), "guest_locale": self.locale, "url_params": self.url_params,
            "old_event_id": self.moved_from, "new_event_id": self.moved_to,
        })
    }

    /// The keys that every full form has.
    fn shared(&self, calendar: &TimerexCalendar) -> Map<String, Value> {
        let keys = json!({
            "id": self.id, "calendar_id": self.calendar, "pre_travel_time": 0, "post_travel_time": 0,
            "start_datetime": utc(self.start), "end_datetime": utc(self.end),
            "local_start_datetime": local(self.start, &calendar.timezone),
            "local_end_datetime": local(self.end, &calendar.timezone),
            "calendar_timezone": calendar.timezone, "guest_locale": self.locale, "guest_timezone": self.guest_zone,
            "created_at": utc(self.created), "online_meeting_provider": calendar.zoom.then_some("zoom"),
            "hosts": [host()], "form": self.form,
        });
        if let Value::Object(keys) = keys { keys } else { Map::new() }
    }

    /// The bearer links: whoever holds them can act.
    fn links(&self) -> Map<String, Value> {
        let link = |word: &str| json!(format!("https://timerex.net/schedule/{word}/{}", self.id));
        [("host_cancel_url", "host_cancel"), ("guest_cancel_url", "cancel"), ("guest_reschedule_url", "change")]
            .map(|(key, word)| (key.to_owned(), link(word)))
            .into_iter()
            .collect()
    }

    fn moving(&self) -> Map<String, Value> {
        let changed = self.moved_from.is_some() || self.moved_to.is_some();
        let keys = [
            ("is_changed", json!(changed)),
            ("old_event_id", json!(self.moved_from)),
            ("new_event_id", json!(self.moved_to)),
        ];
        keys.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
    }

    /// The `event` of a webhook; `status` is a number here.
    fn told(&self, team: &TimerexTeam, calendar: &TimerexCalendar, settings: &TimerexSettings) -> Value {
        let mut record = self.shared(calendar);
        record.insert("duration".into(), json!(calendar.duration));
        record.insert("url".into(), json!(link(team, calendar)));
        record.insert("url_params".into(), json!(self.url_params));
        record.extend(self.moving());
        if let Some((at, reason)) = &self.cancelled {
            record.insert("status".into(), json!(settings.cancelled_status));
            record.insert("canceled_at".into(), json!(utc(*at)));
            record.insert("cancellation_reason".into(), json!(reason));
            record.insert("online_meeting_provider".into(), Value::Null);
            if settings.misspelt_new_id && self.moved_to.is_some() {
                let id = record.remove("new_event_id").unwrap_or_default();
                record.insert("new_evnet_id".into(), id);
            }
        } else {
            record.insert("status".into(), json!(1));
            record.extend(self.links());
            if calendar.zoom {
                record.insert("zoom_meeting".into(), zoom(json!(80_000_000_001_i64)));
            }
        }
        if settings.older_shape {
            for key in
                ["calendar_id", "url", "guest_timezone", "url_params", "is_changed", "old_event_id", "new_event_id"]
            {
                record.remove(key);
            }
            if self.cancelled.is_some() {
                record.remove("created_at");
            }
        }
        Value::Object(record)
    }
}

impl Timerex {
    /// What guests and hosts do: `create` (a guest books), `cancel`, `move` (a guest picks another time; gives the new id).
    pub(super) fn made_by_person(&mut self, edit: &Edit, turn: &mut Turn<'_>) -> Result<String, EditRefused> {
        if edit.kind != "appointment" {
            return Err(EditRefused(format!("TimeRex has no {}", edit.kind)));
        }
        let none = Map::new();
        let fields = edit.fields.as_object().unwrap_or(&none);
        let id = edit.id.as_deref().unwrap_or("");
        match edit.action.as_str() {
            "create" => self.book(&edit.account, fields, turn),
            "cancel" => {
                let told = self.cancel(id, web::text(fields, "cancellation_reason").unwrap_or(""), turn)?;
                turn.webhooks.push(told);
                Ok(id.to_owned())
            }
            "move" => self.move_booking(id, fields, turn),
            other => Err(EditRefused(format!("a TimeRex booking cannot {other}"))),
        }
    }

    /// Cancels a booking, once; gives the webhook of it.
    pub(super) fn cancel(&mut self, id: &str, reason: &str, turn: &mut Turn<'_>) -> Result<Webhook, EditRefused> {
        let booking = self.live(id)?;
        booking.cancelled = Some((turn.now, reason.to_owned()));
        self.webhook("event_cancelled", id, turn)
    }

    fn book(&mut self, team: &str, fields: &Map<String, Value>, turn: &mut Turn<'_>) -> Result<String, EditRefused> {
        let one_time = web::text(fields, "one_time_url").and_then(|id| self.one_time_urls.get(id));
        let named = one_time.map(|url| url.calendar.as_str());
        let named = named.or_else(|| web::text(fields, "calendar_id")).or_else(|| web::text(fields, "calendar"));
        let (_, calendar) = named
            .and_then(|named| self.calendar(named))
            .filter(|(owner, _)| owner.url_path == team)
            .ok_or_else(|| EditRefused("no such calendar in this team".into()))?;
        let (calendar_id, zone) = (calendar.id.clone(), calendar.timezone.clone());
        let (start, end) = times(fields, i64::saturating_mul(calendar.duration, 60_000))?;
        let id = web::hex_id(turn.rng, 20);
        let booking = Booking {
            id: id.clone(),
            calendar: calendar_id,
            start,
            end,
            cancelled: None,
            created: turn.now,
            locale: web::text(fields, "guest_locale").unwrap_or("ja").to_owned(),
            guest_zone: web::text(fields, "guest_timezone").unwrap_or(&zone).to_owned(),
            form: answers(fields),
            url_params: one_key_objects(fields.get("url_params")),
            moved_from: None,
            moved_to: None,
        };
        self.bookings.insert(id.clone(), booking);
        if let Some(url) = web::text(fields, "one_time_url").and_then(|url| self.one_time_urls.get_mut(url)) {
            url.booking = Some(id.clone());
        }
        let told = self.webhook("event_confirmed", &id, turn)?;
        turn.webhooks.push(told);
        Ok(id)
    }

    fn move_booking(
        &mut self,
        id: &str,
        fields: &Map<String, Value>,
        turn: &mut Turn<'_>,
    ) -> Result<String, EditRefused> {
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
        old.cancelled = Some((turn.now, String::new()));
        old.moved_to = Some(new_id.clone());
        self.bookings.insert(new_id.clone(), new);
        let cancelled = self.webhook("event_cancelled", id, turn)?;
        let confirmed = self.webhook("event_confirmed", &new_id, turn)?;
        let confirmed_first = web::text(fields, "order") == Some("confirmed_first");
        turn.webhooks.extend(if confirmed_first { [confirmed, cancelled] } else { [cancelled, confirmed] });
        Ok(new_id)
    }

    fn live(&mut self, id: &str) -> Result<&mut Booking, EditRefused> {
        let booking = self.bookings.get_mut(id).ok_or_else(|| EditRefused("no such booking".into()))?;
        if booking.cancelled.is_some() {
            return Err(EditRefused("the booking is cancelled".into()));
        }
        Ok(booking)
    }

    fn webhook(&self, name: &str, id: &str, turn: &mut Turn<'_>) -> Result<Webhook, EditRefused> {
        let booking = self.bookings.get(id).ok_or_else(|| EditRefused("no such booking".into()))?;
        let (team, calendar) =
            self.calendar(&booking.calendar).ok_or_else(|| EditRefused("no such calendar".into()))?;
        let body = json!({
            "webhook_type": name, "calendar_url_path": calendar.url_path, "team_url_path": team.url_path,
            "calendar_url": link(team, calendar), "calendar_name": calendar.name,
            "event": booking.told(team, calendar, &self.settings),
        });
        let (system, account) = (System::Timerex, team.url_path.clone());
        Ok(Webhook { system, extension: false, account, id: web::uuid(turn.rng), body })
    }
}

/// The public scheduling page of a calendar.
pub(super) fn link(team: &TimerexTeam, calendar: &TimerexCalendar) -> String {
    format!("https://timerex.net/s/{}/{}", team.url_path, calendar.url_path)
}

fn times(fields: &Map<String, Value>, length: i64) -> Result<(Millis, Millis), EditRefused> {
    let read = |key: &str| web::text(fields, key).and_then(Millis::parse);
    let start = read("start_datetime").ok_or_else(|| EditRefused("start_datetime is missing or no RFC 3339".into()))?;
    let end = read("end_datetime").unwrap_or(Millis(start.0 + length));
    if end <= start {
        return Err(EditRefused("end_datetime is not after start_datetime".into()));
    }
    Ok((start, end))
}

/// The answers of the form; a question without an answer keeps an empty one. Own questions come as items in `form`.
fn answers(fields: &Map<String, Value>) -> Vec<Value> {
    let asked = QUESTIONS.iter().filter(|(name, ..)| *name != "guest_phone" || fields.contains_key(*name));
    let mut form: Vec<_> = asked
        .map(|(name, label, required)| {
            let value = web::text(fields, name).unwrap_or("");
            json!({ "field_type": name, "required": required, "label": label, "description": "", "value": value })
        })
        .collect();
    form.extend(fields.get("form").and_then(Value::as_array).into_iter().flatten().cloned());
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

fn host() -> Value {
    json!({ "id": HOST_ID, "name": "Host One", "email": "host.one@example.test" })
}

/// The meeting number is a number in webhooks, a text with spaces over the API.
fn zoom(meeting_id: Value) -> Value {
    let url = "https://zoom.example.test/j/80000000001?pwd=x";
    json!({ "meeting_id": meeting_id, "join_url": url, "password": "000000", "host": host() })
}

/// `2026-03-10T01:00:00+00:00`
fn utc(instant: Millis) -> String {
    zoned(instant, TimeZone::UTC)
}

fn local(instant: Millis, zone: &str) -> String {
    zoned(instant, TimeZone::get(zone).unwrap_or(TimeZone::UTC))
}

fn zoned(instant: Millis, zone: TimeZone) -> String {
    let instant = Timestamp::from_millisecond(instant.0).unwrap_or_default();
    instant.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
