//! TimeRex bookings as they look on the wire, in four places: a webhook, the API, a calendar's list, a one-time URL.
//!
//! In: a booking, and the switches. Out: JSON. Making and changing them is the people's page.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::{Meeting, Timerex, TimerexCalendar, TimerexSettings, TimerexTeam};
use crate::clock::Millis;
use crate::model::System;
use crate::sandbox::web;
use crate::sandbox::{EditRefused, Turn, Webhook};

/// The one host of every calendar here.
pub(super) const HOST_ID: &str = "a1b2c3d4e5f60718293a";

/// What the older shape of a webhook lacks.
const NEWER_KEYS: &[&str] =
    &["calendar_id", "url", "guest_timezone", "url_params", "is_changed", "old_event_id", "new_event_id"];

/// A booking ("event" in the vendor's JSON).
#[derive(Clone)]
pub(super) struct Booking {
    pub(super) id: String,
    pub(super) calendar: String,
    pub(super) start: Millis,
    pub(super) end: Millis,
    pub(super) cancelled: Option<Cancelled>,
    pub(super) created: Millis,
    pub(super) locale: String,
    pub(super) guest_zone: String,
    /// What stood behind the `?` of the link by which the guest came.
    pub(super) query: Option<String>,
    pub(super) form: Vec<Value>,
    pub(super) url_params: Vec<Value>,
    pub(super) moved_from: Option<String>,
    pub(super) moved_to: Option<String>,
}

/// How a booking ended.
#[derive(Clone)]
pub(super) struct Cancelled {
    pub(super) at: Millis,
    pub(super) reason: String,
    /// The number in the webhook, where it is not the usual one.
    pub(super) status: Option<i64>,
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
        record.extend(calendar.meeting.map(|meeting| meeting.record(&json!("800 0000 0001"))));
        record.extend(self.links());
        record.extend(self.moving());
        record.insert("event".into(), Value::Object(inner));
        Value::Object(record)
    }

    /// What a one-time URL shows of its booking: the zone under `timezone`.
    pub(super) fn one_time_record(&self, calendar: &TimerexCalendar) -> Value {
        let mut record = self.shared(calendar);
        record.extend(self.links());
        record.extend(calendar.meeting.map(|meeting| meeting.record(&json!(80_000_000_001_i64))));
        let left_out = ["calendar_timezone", "guest_timezone", "calendar_id", "pre_travel_time", "post_travel_time"];
        for key in left_out.into_iter().chain(["guest_reschedule_url"]) {
            record.remove(key);
        }
        record.insert("timezone".into(), json!(calendar.timezone));
        Value::Object(record)
    }

    /// All of it, for looking and comparing.
    pub(super) fn whole(&self) -> Value {
        let cancelled = self.cancelled.as_ref();
        let mut whole = json!({
            "id": self.id, "calendar_id": self.calendar, "status": self.word(), "start_datetime": utc(self.start),
            "end_datetime": utc(self.end), "created_at": utc(self.created), "form": self.form,
            "canceled_at": cancelled.map(|one| utc(one.at)), "guest_locale": self.locale, "url_params": self.url_params,
            "old_event_id": self.moved_from, "new_event_id": self.moved_to,
        });
        for part in ["guest_name", "guest_email", "guest_phone", "guest_comment"] {
            let answer = self.form.iter().find(|item| item["field_type"] == part);
            whole[part] = answer.map_or(Value::Null, |item| item["value"].clone());
        }
        whole
    }

    /// The keys that every full form has.
    fn shared(&self, calendar: &TimerexCalendar) -> Map<String, Value> {
        let keys = json!({
            "id": self.id, "calendar_id": self.calendar, "pre_travel_time": 0, "post_travel_time": 0,
            "start_datetime": utc(self.start), "end_datetime": utc(self.end),
            "local_start_datetime": local(self.start, &calendar.timezone),
            "local_end_datetime": local(self.end, &calendar.timezone),
            "calendar_timezone": calendar.timezone, "guest_locale": self.locale, "guest_timezone": self.guest_zone,
            "created_at": utc(self.created), "online_meeting_provider": calendar.meeting.map(Meeting::word),
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
        let query = self.query.as_ref().filter(|query| settings.url_has_query && !query.is_empty());
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        record.insert("url".into(), json!(link(team, calendar) + &query));
        record.insert("url_params".into(), json!(self.url_params));
        record.extend(self.moving());
        if let Some(cancelled) = &self.cancelled {
            self.ended(&mut record, cancelled, settings);
        } else {
            record.insert("status".into(), json!(1));
            record.extend(self.links());
            record.extend(calendar.meeting.map(|meeting| meeting.record(&json!(80_000_000_001_i64))));
        }
        if !settings.sends_url_params {
            record.remove("url_params");
        }
        if settings.bare_form {
            let bare = |item: &Value| json!({ "field_type": item["field_type"], "value": item["value"] });
            record.insert("form".into(), self.form.iter().map(bare).collect());
        }
        if settings.older_shape {
            age(&mut record);
        }
        Value::Object(record)
    }

    fn ended(&self, record: &mut Map<String, Value>, cancelled: &Cancelled, settings: &TimerexSettings) {
        record.insert("status".into(), json!(cancelled.status.unwrap_or(settings.cancelled_status)));
        record.insert("canceled_at".into(), json!(utc(cancelled.at)));
        record.insert("cancellation_reason".into(), json!(cancelled.reason));
        record.insert("online_meeting_provider".into(), Value::Null);
        if settings.misspelt_new_id && self.moved_to.is_some() {
            let id = record.remove("new_event_id").unwrap_or_default();
            record.insert("new_evnet_id".into(), id);
        }
    }
}

/// Brings a webhook's booking into the older shape.
fn age(record: &mut Map<String, Value>) {
    for key in NEWER_KEYS {
        record.remove(*key);
    }
    if record.contains_key("canceled_at") {
        record.remove("created_at");
    }
    record.insert("hosts".into(), json!([unnumbered_host()]));
    for meeting in record.iter_mut().filter(|(key, _)| key.ends_with("_meeting")).map(|(_, meeting)| meeting) {
        meeting["host"] = unnumbered_host();
    }
}

impl Meeting {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Zoom => "zoom",
            Self::GoogleMeet => "google_meet",
            Self::MicrosoftTeams => "microsoft_teams",
        }
    }

    /// The meeting under its key. Zoom's number is a number in webhooks, a text with spaces over the API.
    fn record(self, zoom_id: &Value) -> (String, Value) {
        let record = match self {
            Self::Zoom => {
                let url = "https://zoom.example.test/j/80000000001?pwd=x";
                json!({ "meeting_id": zoom_id, "join_url": url, "password": "000000", "host": host() })
            }
            Self::GoogleMeet => {
                let id = "abc-defg-hij";
                json!({ "meeting_id": id, "join_url": format!("https://meet.example.test/{id}"), "host": host() })
            }
            Self::MicrosoftTeams => json!({
                "meeting_id": "200 000 000 000", "join_url": "https://teams.example.test/l/1",
                "short_url": "https://teams.example.test/1", "host": host(),
            }),
        };
        (format!("{}_meeting", self.word()), record)
    }
}

impl Timerex {
    /// The webhook that tells of a booking as it stands.
    pub(super) fn webhook(&self, name: &str, id: &str, turn: &mut Turn<'_>) -> Result<Webhook, EditRefused> {
        let booking = self.bookings.get(id).ok_or_else(|| EditRefused("no such booking".into()))?;
        let (team, calendar) =
            self.calendar(&booking.calendar).ok_or_else(|| EditRefused("no such calendar".into()))?;
        let body = json!({
            "webhook_type": name, "calendar_url_path": calendar.url_path, "team_url_path": team.url_path,
            "calendar_url": link(team, calendar), "calendar_name": calendar.name,
            "event": booking.told(team, calendar, &self.settings),
        });
        let (system, account) = (System::Timerex, team.url_path.clone());
        Ok(Webhook { system, extension: false, account, id: web::uuid(turn.rng), body, push_to: None })
    }
}

/// The public scheduling page of a calendar.
pub(super) fn link(team: &TimerexTeam, calendar: &TimerexCalendar) -> String {
    format!("https://timerex.net/s/{}/{}", team.url_path, calendar.url_path)
}

fn host() -> Value {
    json!({ "id": HOST_ID, "name": "Host One", "email": "host.one@example.test" })
}

/// The host as older webhooks show it, without an id.
fn unnumbered_host() -> Value {
    json!({ "name": "Host One", "email": "host.one@example.test" })
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
