//! The TimeRex stand-in: bookings on calendars of a team, seen over a small read-mostly API, told by two webhooks.
//!
//! In: API requests and what guests and hosts do. Out: answers and webhooks of the documented shape. It knows nothing of
//! contacts, tasks, notes or tags (404), as the vendor does not, and of no way to create or move a booking over the API.
//! Vendor source: developers.timerex.net; where it is silent, a setting or a comment says what was chosen.

mod bookings;
pub mod oauth;
mod one_time;
mod people;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{Method, header};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::web::{self, Params};
use super::{Edit, EditRefused, Request, Response, Turn, World, requests};
use crate::clock::Millis;
use bookings::{Booking, Cancelled};
use one_time::OneTimeUrl;

/// Items on a page of a calendar's bookings, and of everything else.
const BOOKINGS_A_PAGE: usize = 10;
const OTHERS_A_PAGE: usize = 20;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;

/// What the TimeRex stand-in knows before the first request.
#[derive(Clone)]
pub struct TimerexSettings {
    /// The teams.
    pub teams: Vec<TimerexTeam>,
    /// Reads that a key may make in a minute.
    pub reads_a_minute: usize,
    /// Writes that a key may make in an hour.
    pub writes_an_hour: usize,
    /// Requests to watch a one-time URL that a key may make in a minute.
    pub watches_a_minute: usize,
    /// The same in a day.
    pub watches_a_day: usize,
    /// Whether cancelling over the API causes a webhook, too (the vendor does not say).
    pub echo_webhooks: bool,
    /// Whether cancelling over the API makes the vendor write to the guest.
    pub cancel_notifies: bool,
    /// What the second cancel of a booking is answered: 200 when true, else 400 (the vendor does not say).
    pub cancel_again_is_fine: bool,
    /// Whether a moved booking's old half carries `new_evnet_id`, as the vendor's own example misspells it.
    pub misspelt_new_id: bool,
    /// The `status` of a cancelled booking in webhooks: 3 in the documents, 2 in what a receiver saw.
    pub cancelled_status: i64,
    /// Whether webhooks have the older shape: no `calendar_id`, no word of moving, no `url_params`.
    pub older_shape: bool,
    /// Whether items of `form` in webhooks have only `field_type` and `value`, as in a delivery that was seen.
    pub bare_form: bool,
    /// Whether webhooks carry `url_params`; only those of premium accounts do.
    pub sends_url_params: bool,
    /// Whether `url` in webhooks carries the query of the link by which the guest came, as in a delivery that was seen.
    pub url_has_query: bool,
    /// Whether a calendar's list has the cancelled bookings, too (the vendor does not say).
    pub lists_cancelled: bool,
    /// Whether `members` of a calendar that is read alone is one object, as the vendor shows it, or a list.
    pub member_alone: bool,
    /// Whether a move of a booking that came by a one-time URL is pushed: cancelled, then confirmed (the vendor does not say).
    pub push_moves: bool,
    /// The app as an OAuth client, and who may let it in.
    pub oauth: oauth::OauthSettings,
}

impl TimerexSettings {
    /// Teams of a premium plan, and all else as documented.
    pub fn new(teams: Vec<TimerexTeam>) -> Self {
        Self {
            teams,
            reads_a_minute: 60,
            writes_an_hour: 100,
            watches_a_minute: 60,
            watches_a_day: 1_000,
            echo_webhooks: true,
            cancel_notifies: true,
            cancel_again_is_fine: true,
            misspelt_new_id: false,
            cancelled_status: 3,
            older_shape: false,
            bare_form: false,
            sends_url_params: true,
            url_has_query: false,
            lists_cancelled: true,
            member_alone: true,
            push_moves: true,
            oauth: oauth::OauthSettings::default(),
        }
    }
}

/// A team: the account.
#[derive(Clone)]
pub struct TimerexTeam {
    /// 20 hexadecimal digits.
    pub id: String,
    /// The unique name in URLs; webhooks are told apart by it.
    pub url_path: String,
    /// Its name.
    pub name: String,
    /// The `x-api-key` of the team.
    pub api_key: String,
    /// The security token of its webhooks.
    pub webhook_token: String,
    /// Its calendars.
    pub calendars: Vec<TimerexCalendar>,
}

/// A calendar that guests book on.
#[derive(Debug, Clone)]
pub struct TimerexCalendar {
    /// 20 hexadecimal digits.
    pub id: String,
    /// The name in URLs, unique within the team.
    pub url_path: String,
    /// Its name.
    pub name: String,
    /// Minutes of a booking.
    pub duration: i64,
    /// IANA name of its time zone.
    pub timezone: String,
    /// The meeting that bookings get.
    pub meeting: Option<Meeting>,
}

/// An online meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// Zoom.
    Zoom,
    /// Google Meet.
    GoogleMeet,
    /// Microsoft Teams.
    MicrosoftTeams,
}

/// TimeRex, standing in.
pub struct Timerex {
    settings: TimerexSettings,
    bookings: BTreeMap<String, Booking>,
    one_time_urls: BTreeMap<String, OneTimeUrl>,
    /// When each key spent of each of its budgets.
    spent: BTreeMap<(String, &'static str), VecDeque<Millis>>,
    /// By team (`url_path`): the API calls that made the vendor write to a guest, a real person in real life.
    notified: BTreeMap<String, Vec<Value>>,
    tokens: oauth::Tokens,
}

/// A call by a team's key.
struct Call<'a> {
    request: &'a Request,
    params: Params,
    body: Map<String, Value>,
    team: TimerexTeam,
}

impl Timerex {
    /// Teams as the settings name them, without bookings.
    pub fn new(settings: TimerexSettings) -> Self {
        Self {
            settings,
            bookings: BTreeMap::new(),
            one_time_urls: BTreeMap::new(),
            spent: BTreeMap::new(),
            notified: BTreeMap::new(),
            tokens: oauth::Tokens::default(),
        }
    }

    fn calendar(&self, id_or_path: &str) -> Option<(&TimerexTeam, &TimerexCalendar)> {
        let named = |calendar: &&TimerexCalendar| calendar.id == id_or_path || calendar.url_path == id_or_path;
        self.settings.teams.iter().find_map(|team| Some((team, team.calendars.iter().find(named)?)))
    }

    fn route(&mut self, call: &Call<'_>, turn: &mut Turn<'_>) -> Option<Response> {
        let path = web::segments(call.request.uri().path());
        let path = path.strip_prefix(["api", "beta"].as_slice())?;
        let calendar = |id: &str| call.team.calendars.iter().find(|one| one.id == id);
        match (call.request.method().clone(), path) {
            // The key belongs to a team, not to a person.
            (Method::GET, ["user", "me"]) => {
                Some(web::json(400, &json!({ "message": "not available with an API key" })))
            }
            (Method::GET, ["user", "me", "teams", "primary"]) => Some(web::json(200, &team_record(&call.team))),
            (Method::GET, ["user", "me", "teams"]) => Some(call.page(&[team_record(&call.team)], OTHERS_A_PAGE)),
            (Method::GET, ["teams", id]) => {
                (*id == call.team.id || *id == "primary").then(|| web::json(200, &team_record(&call.team)))
            }
            (Method::GET, ["teams", id, "calendars"]) if *id == call.team.id || *id == "primary" => {
                let calendars = call.team.calendars.iter().map(|one| calendar_record(&call.team, one, false));
                Some(call.page(&calendars.collect::<Vec<_>>(), OTHERS_A_PAGE))
            }
            (_, ["calendars", rest @ ..]) if rest.contains(&"one-time-url") => self.one_time_call(rest, call, turn),
            (Method::GET, ["calendars", id]) => {
                let one_object = self.settings.member_alone;
                Some(web::json(200, &calendar_record(&call.team, calendar(id)?, one_object)))
            }
            (Method::GET, ["calendars", id, "events"]) => Some(self.list_bookings(&calendar(id)?.id, call)),
            (Method::GET, ["events", id]) => {
                let booking = self.own(id, call)?;
                Some(web::json(200, &booking.full_record(&call.team, calendar(&booking.calendar)?)))
            }
            (Method::POST, ["events", id, "cancel"]) => {
                self.own(id, call)?;
                Some(self.cancel_over_api(id, &call.team.url_path, turn))
            }
            _ => None,
        }
    }

    fn own(&self, id: &str, call: &Call<'_>) -> Option<&Booking> {
        self.bookings.get(id).filter(|booking| call.team.calendars.iter().any(|one| one.id == booking.calendar))
    }

    /// One page; `startTime` and `endTime` are UTC, `YYYY-MM-DD HH:MM:SS`.
    fn list_bookings(&self, calendar: &str, call: &Call<'_>) -> Response {
        let bound = |key: &str| call.params.get(key).and_then(instant);
        let (from, to) = (bound("startTime"), bound("endTime"));
        let mut found: Vec<_> = self.bookings.values().filter(|one| one.calendar == calendar).collect();
        found.retain(|one| from.is_none_or(|from| one.end > from) && to.is_none_or(|to| one.start < to));
        found.retain(|one| self.settings.lists_cancelled || one.cancelled.is_none());
        found.sort_by_key(|one| (one.start, one.id.as_str()));
        let items: Vec<_> = found.into_iter().map(Booking::short_record).collect();
        call.page(&items, BOOKINGS_A_PAGE)
    }

    fn cancel_over_api(&mut self, id: &str, team: &str, turn: &mut Turn<'_>) -> Response {
        let cancelled = Cancelled { at: turn.now, reason: String::new(), status: None };
        let Ok(webhook) = self.cancel(id, cancelled, turn) else {
            return if self.settings.cancel_again_is_fine {
                web::empty(200)
            } else {
                web::json(400, &json!({ "message": "already cancelled" }))
            };
        };
        if self.settings.cancel_notifies {
            let row = json!({ "id": id, "call": "cancel", "reason": "default", "customers": 1 });
            self.notified.entry(team.to_owned()).or_default().push(row);
        }
        if self.settings.echo_webhooks {
            turn.webhooks.push(webhook);
        }
        self.push(id, "cancelled", turn);
        web::empty(200)
    }

    /// The budgets that a request spends of: their names, their sizes, and for how long they are (milliseconds).
    fn budgets(&self, request: &Request) -> Vec<(&'static str, usize, i64)> {
        let settings = &self.settings;
        if web::reads_only(request.method()) {
            vec![("reads", settings.reads_a_minute, MINUTE)]
        } else if request.uri().path().ends_with("/watch") {
            vec![("watches", settings.watches_a_minute, MINUTE), ("daily watches", settings.watches_a_day, 24 * HOUR)]
        } else {
            vec![("writes", settings.writes_an_hour, HOUR)]
        }
    }

    /// Whether the key is over one of its limits now; a refused call does not count.
    fn over_limit(&mut self, key: &str, request: &Request, now: Millis) -> bool {
        let budgets = self.budgets(request);
        for (name, limit, window) in &budgets {
            let spent = self.spent.entry((key.to_owned(), name)).or_default();
            while spent.front().is_some_and(|first| first.0 <= now.0 - window) {
                spent.pop_front();
            }
            if spent.len() >= *limit {
                return true;
            }
        }
        for (name, ..) in budgets {
            self.spent.entry((key.to_owned(), name)).or_default().push_back(now);
        }
        false
    }
}

impl World for Timerex {
    fn answer(&mut self, request: &Request, turn: &mut Turn<'_>) -> Response {
        if let Some(response) = self.by_oauth(request, turn) {
            return response;
        }
        let key = web::header(request, "x-api-key").unwrap_or("");
        let team = self.settings.teams.iter().find(|team| team.api_key == key).cloned();
        let Some(team) = team else {
            return to_login();
        };
        if self.over_limit(key, request, turn.now) {
            return web::json(429, &json!({ "message": "Too Many Attempts." }));
        }
        let account = requests::Account(team.url_path.clone());
        let Some(body) = web::object(request) else {
            return web::json(400, &json!({ "message": "the body is not a JSON object" }));
        };
        let call = Call { request, params: Params::of(request), body, team };
        let response = self.route(&call, turn);
        let mut response = response.unwrap_or_else(|| web::json(404, &json!({ "message": "Not Found" })));
        response.extensions_mut().insert(account);
        response
    }

    fn edit(&mut self, edit: &Edit, turn: &mut Turn<'_>) -> Result<String, EditRefused> {
        self.edit_tokens(edit).unwrap_or_else(|| self.made_by_person(edit, turn))
    }

    fn state(&self) -> Value {
        let teams = self.settings.teams.iter().map(|team| {
            let own = |booking: &&Booking| team.calendars.iter().any(|one| one.id == booking.calendar);
            let bookings: Vec<_> = self.bookings.values().filter(own).map(Booking::whole).collect();
            let notified = self.notified.get(&team.url_path).map_or(&[][..], Vec::as_slice);
            let links = self.one_time_state(&team.url_path);
            let held = json!({ "appointments": bookings, "notified": notified, "one_time_urls": links });
            (team.url_path.clone(), held)
        });
        Value::Object(teams.collect())
    }

    fn object(&self, id: &str) -> Option<Value> {
        self.bookings.get(id).map(Booking::whole)
    }
}

impl Call<'_> {
    fn page(&self, items: &[Value], size: usize) -> Response {
        offset_page(&self.params, items, size)
    }
}

/// One page of `items`; the token of the next page is opaque, and absent on the last.
fn offset_page(params: &Params, items: &[Value], size: usize) -> Response {
    let token = params.get("nextPageToken").and_then(|token| BASE64.decode(token).ok());
    let start = token.and_then(|token| String::from_utf8(token).ok()?.strip_prefix("from:")?.parse().ok());
    let start: usize = start.unwrap_or(0);
    let mut body = json!({ "items": items.iter().skip(start).take(size).collect::<Vec<_>>() });
    if start + size < items.len() {
        body["nextPageToken"] = json!(BASE64.encode(format!("from:{}", start + size)));
    }
    web::json(200, &body)
}

/// What a wrong key gets: not 401 but a redirect to the login page.
fn to_login() -> Response {
    let page = "<!DOCTYPE html><html><head><title>Redirecting to https://timerex.net/login</title></head></html>";
    let mut response = web::typed(302, "text/html; charset=utf-8", page.to_owned());
    let target = header::HeaderValue::from_static("https://timerex.net/login");
    response.headers_mut().insert(header::LOCATION, target);
    response
}

fn team_record(team: &TimerexTeam) -> Value {
    json!({ "id": team.id, "name": team.name, "url_path": team.url_path, "is_primary": false, "role": "administrator" })
}

/// A calendar; `members` is a list in a team's list, but one object, with a group, where the calendar is read alone.
fn calendar_record(team: &TimerexTeam, calendar: &TimerexCalendar, one_object: bool) -> Value {
    let member = |id: &str, name: &str, own: bool| json!({ "id": id, "name": name, "is_self": own });
    let members = if one_object {
        let mut member = member(bookings::HOST_ID, "Host One", true);
        member["group_number"] = Value::Null;
        member
    } else {
        json!([member(bookings::HOST_ID, "Host One", true)])
    };
    json!({
        "id": calendar.id, "team_id": team.id, "name": calendar.name, "url": bookings::link(team, calendar),
        "duration": calendar.duration, "pre_travel_time": 0, "post_travel_time": 0,
        "online_meeting_provider": calendar.meeting.map(Meeting::word), "type": "and", "members": members,
    })
}

fn instant(text: &str) -> Option<Millis> {
    let civil = DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    Some(Millis(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond()))
}
