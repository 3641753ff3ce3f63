//! One-time URLs: scheduling links that one guest can use once, and the pushes to those who watch them.
//!
//! In: API calls, and word of a guest's booking. Out: answers, pushes. Who books, and when, is the people's page. The vendor
//! does not say whether a move is pushed, nor whether a link can be watched twice: the first is a switch, the second is let.

use http::Method;
use serde_json::{Value, json};

use super::{Booking, Call, Timerex};
use crate::model::System;
use crate::sandbox::web;
use crate::sandbox::{EditRefused, Response, Turn, Webhook};

/// A scheduling link that can be used once.
pub(super) struct OneTimeUrl {
    pub(super) calendar: String,
    /// The booking that used it up; after a move, the one that stands now.
    booking: Option<String>,
    watchers: Vec<Watcher>,
}

/// Who is told of it.
struct Watcher {
    /// What the watcher chose to know our pushes by.
    token: String,
    /// Where to.
    url: String,
}

impl Timerex {
    /// Answers a call below `/calendars` about one-time URLs.
    pub(super) fn one_time_call(&mut self, rest: &[&str], call: &Call<'_>, turn: &mut Turn<'_>) -> Option<Response> {
        match (call.request.method().clone(), rest) {
            (Method::GET, ["one-time-url", id]) => Some(web::json(200, &self.one_time_record(id, call)?)),
            (Method::POST, ["one-time-url", id, "watch"]) => {
                self.one_time_record(id, call)?;
                self.watch(id, call)
            }
            (Method::POST, [calendar, "one-time-url"]) => {
                let calendar = call.team.calendars.iter().find(|one| one.id == *calendar)?.id.clone();
                let id = web::hex_id(turn.rng, 20);
                self.one_time_urls.insert(id.clone(), OneTimeUrl { calendar, booking: None, watchers: Vec::new() });
                Some(web::json(201, &self.one_time_record(&id, call)?))
            }
            _ => None,
        }
    }

    fn watch(&mut self, id: &str, call: &Call<'_>) -> Option<Response> {
        let (Some(token), Some(url)) = (web::text(&call.body, "token"), web::text(&call.body, "notification_url"))
        else {
            return Some(web::json(400, &json!({ "message": "token and notification_url are required" })));
        };
        let watcher = Watcher { token: token.to_owned(), url: url.to_owned() };
        self.one_time_urls.get_mut(id)?.watchers.push(watcher);
        Some(web::empty(201))
    }

    fn one_time_record(&self, id: &str, call: &Call<'_>) -> Option<Value> {
        let url = self.one_time_urls.get(id)?;
        let calendar = call.team.calendars.iter().find(|one| one.id == url.calendar)?;
        let booking = url.booking.as_ref().and_then(|id| self.bookings.get(id));
        let booked = booking.map(|booking| booking.one_time_record(calendar));
        let status = booking.map_or("pending", Booking::word);
        Some(json!({ "id": id, "url": address(&call.team.url_path, id), "status": status, "event": booked }))
    }

    /// The calendar of a link that is still to be used.
    pub(super) fn unused(&self, id: &str) -> Result<&OneTimeUrl, EditRefused> {
        let url = self.one_time_urls.get(id).ok_or_else(|| EditRefused("no such one-time link".into()))?;
        if url.booking.is_some() {
            return Err(EditRefused("the one-time link is used".into()));
        }
        Ok(url)
    }

    /// A guest used the link.
    pub(super) fn use_up(&mut self, id: &str, booking: &str, turn: &mut Turn<'_>) {
        if let Some(url) = self.one_time_urls.get_mut(id) {
            url.booking = Some(booking.to_owned());
        }
        self.push(booking, "confirmed", turn);
    }

    /// A booking was moved: its link leads to the new one.
    pub(super) fn follow(&mut self, old: &str, new: &str, turn: &mut Turn<'_>) {
        if self.settings.push_moves {
            self.push(old, "cancelled", turn);
        }
        for url in self.one_time_urls.values_mut().filter(|url| url.booking.as_deref() == Some(old)) {
            url.booking = Some(new.to_owned());
        }
        if self.settings.push_moves {
            self.push(new, "confirmed", turn);
        }
    }

    /// Tells those who watch the link that a booking came by. No word of the booking itself is in it.
    pub(super) fn push(&self, booking: &str, status: &str, turn: &mut Turn<'_>) {
        for (id, url) in self.one_time_urls.iter().filter(|(_, url)| url.booking.as_deref() == Some(booking)) {
            let Some((team, _)) = self.calendar(&url.calendar) else {
                continue;
            };
            let link = json!({ "id": id, "url": address(&team.url_path, id) });
            for watcher in &url.watchers {
                turn.webhooks.push(Webhook {
                    system: System::Timerex,
                    extension: false,
                    account: team.url_path.clone(),
                    id: web::uuid(turn.rng),
                    body: json!({ "token": watcher.token, "status": status, "one_time_url": link }),
                    push_to: Some(watcher.url.clone()),
                });
            }
        }
    }

    /// The one-time URLs of a team, for looking and comparing.
    pub(super) fn one_time_state(&self, team: &str) -> Vec<Value> {
        let own = |url: &OneTimeUrl| self.calendar(&url.calendar).is_some_and(|(owner, _)| owner.url_path == team);
        let shown = |(id, url): (&String, &OneTimeUrl)| {
            let booking = url.booking.as_ref().and_then(|id| self.bookings.get(id));
            json!({
                "id": id, "url": address(team, id), "calendar_id": url.calendar, "event_id": url.booking,
                "status": booking.map_or("pending", Booking::word), "watchers": url.watchers.len(),
            })
        };
        self.one_time_urls.iter().filter(|(_, url)| own(url)).map(shown).collect()
    }
}

/// The link itself.
fn address(team: &str, id: &str) -> String {
    format!("https://timerex.net/s/{team}/{id}")
}
